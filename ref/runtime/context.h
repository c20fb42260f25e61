/* SPDX-License-Identifier: MIT
 *
 * Contexts: what both ends have in common (context.c), an opener's (open.c), a callee's (serve.c),
 * and the targets that can be opened here (export.c).
 */
#ifndef COPSE_RUNTIME_CONTEXT_H
#define COPSE_RUNTIME_CONTEXT_H

#include "runtime/link.h"
#include "runtime/scope.h"

typedef struct copse__held copse__held; /* the copy of an OPEN that waits */

struct copse_context {
  copse *rt;
  copse__link *link; /* holds a reference; NULL: held back, or lost */
  copse_peer *peer;
  uint64_t id;
  copse__list all; /* in link->contexts or peer->held */
  copse__list due; /* in rt->contexts_due: cancelled before it was sent */
  copse_scope *scope;
  /* Opener: in the scope it was opened in. Callee: the handler, in its own scope. */
  copse_member member;
  copse_context_cbs cbs;
  void *data;
  copse_credit window, granted, consumed;
  bool opener, over;                   /* over: no terminal is to come or go any more */
  bool reads, sends;                   /* the peer reads items, the peer sends items */
  bool cancel_asked;                   /* opener: somebody here wants it cancelled */
  bool expired;                        /* opener: its own deadline came */
  bool deadline_own;                   /* opener: its own deadline is no later than its scope's */
  bool is_held;                        /* callee: of a `held` export */
  bool said, said_cancelled;           /* callee: the handler is done */
  bool ran;                            /* callee: user code has run */
  bool held_end, held_stop, held_wait; /* said while held back */
  unsigned from;
  copse__cause *cancel_cause;
  copse__timer timer; /* the deadline, after CANCEL the grace */
  uint64_t deadline, grace_end;
  copse_buf value; /* callee: what it returned */
  char traceparent[64];
  uint8_t *meta;
  size_t meta_size;
  copse__held *held;
  unsigned refs; /* deferred events that point here */
  copse__grave grave;
};

/* --- both ends -------------------------------------------------------------------------------- */

/* A new one with a reference to its peer; ties it to a link and an id; unties it; gives it up. */
copse_context *copse__context_make(copse *rt, copse_peer *peer);
void copse__context_attach(copse_context *ctx, copse__link *link, uint64_t id);
void copse__context_detach(copse_context *ctx);
void copse__context_retire(copse_context *ctx);
copse_context *copse__context_ref(copse_context *ctx);
void copse__context_unref(copse_context *ctx);
/* A window in which zero bytes have become the default. */
copse_credit copse__credit_sane(copse_credit window);
/* An event of the engine, told in the turn; a CANCEL at any time. */
void copse__context_event(copse__link *link, copse_event *event);
/* When the runtime is freed: forgets those of a list, telling nobody. */
void copse__contexts_abandon(copse__list *list);

/* --- the opener's ----------------------------------------------------------------------------- */

enum { COPSE__OPEN_PAST_HOLD = 1u };
/* copse_open; `scope` may be NULL: then nobody waits for it, nothing cancels it, and its failure
 * goes to cbs.done alone. */
copse_status copse__open(copse_peer *peer, copse_scope *scope, const copse_open_options *options,
                         unsigned flags, copse_context **ctx);
/* Sends an OPEN that was held back. */
void copse__context_unhold(copse_context *ctx);
/* Cancels with a cause that came from elsewhere (a child's copse.actor, which is in no scope). */
void copse__context_cancel(copse_context *ctx, const copse_cause *cause, int64_t grace_ms);
/* The outcome is told, and what nobody took care of goes to the scope. `asked`: somebody here
 * wanted the cancellation. */
void copse__context_conclude(copse_context *ctx, const copse_outcome *outcome, bool asked);
void copse__context_failed(copse_context *ctx, copse_error *error);
void copse__context_cancelled(copse_context *ctx, const copse_cause *cause, bool ran, bool asked);
/* Ends it with a local failure (borrowed): link loss, a refusal before sending. */
void copse__context_lost(copse_context *ctx, copse_error *error);
/* The turn: outcomes that came about without the engine. */
void copse__contexts_run(copse *rt, bool *any);

/* --- the callee's ----------------------------------------------------------------------------- */

/* The complete OPEN of a peer as a context; NULL when it could not be made, and
 * has been refused. */
copse_context *copse__context_serve(copse__link *link, const copse_event *event, bool is_held,
                                    bool outside);
/* Ends every served context of a `held` export with RETURN nil. */
void copse__held_end(copse *rt);

/* --- exports ---------------------------------------------------------------------------------- */

typedef struct copse__export_entry copse__export_entry;

enum {
  /* END of the actor ends its contexts with RETURN nil. */
  COPSE__EXPORT_HELD = 1u,
  /* copse.actor: taken in every phase, and its scope is not below rt->served: the actor is below
   * *it*. */
  COPSE__EXPORT_ACTOR = 2u,
};

/* copse_export, for names that begin with "copse." too. */
copse_status copse__export(copse *rt, const char *target, copse_handler handler, void *arg,
                           unsigned from, unsigned flags);
/* The complete OPEN of a peer: finds the handler and calls it, or refuses. */
void copse__export_dispatch(copse__link *link, const copse_event *event);
/* Answers an OPEN that no handler has to be called for; false: one has to be. Runs no user code. */
bool copse__export_refuse(copse__link *link, const copse_event *event);
void copse__exports_deinit(copse *rt);

#endif
