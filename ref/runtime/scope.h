/* SPDX-License-Identifier: MIT
 *
 * The tree of scopes from the inside (scope.c), and the errors that go up in it (error.c).
 *
 * A member may be embedded in whatever lives in a scope, and have a hook that hears of a
 * cancellation at once, where users' members hear of it in the turn. A cause is shared by all that
 * it cancelled, so that cancelling takes no memory.
 */
#ifndef COPSE_RUNTIME_SCOPE_H
#define COPSE_RUNTIME_SCOPE_H

#include "runtime/turn.h"

/* --- errors ----------------------------------------------------------------------------------- */

/* Appends the error map as it leaves this process: what was raised here bears `self` (may be NULL),
 * and `cancelled` where it was raised in what was cancelled. */
void copse__error_encode(const copse_error *error, const copse_ref *self, bool cancelled,
                         copse_buf *out);
/* Decodes what came from a peer and appends that to `via`. Never NULL: what is malformed, or too
 * much for the memory there is, becomes an error that says so. */
copse_error *copse__error_received(copse_bytes map, const copse_ref *peer);
/* An error with one known code, a message, and `data` (one encoded value, may be empty), raised at
 * `actor` (NULL: here). */
copse_error *copse__error_at(copse_code code, const copse_ref *actor, copse_bytes data,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One error is itself (a new reference), several become a flat `group`. */
copse_error *copse__error_join(copse_error *const *errors, size_t count);
/* Whether both are `died` of the same actor, or the same object. */
bool copse__error_same(const copse_error *a, const copse_error *b);
/* The constant one for when memory is short. */
copse_error *copse__error_no_memory(void);

/* --- causes ----------------------------------------------------------------------------------- */

/* A cause shared by all that it cancelled. */
typedef struct copse__cause {
  unsigned refs; /* 0: static */
  copse_cause cause;
} copse__cause;

/* Never NULL: a constant stands in when memory is short. `by` and `message` may be NULL. */
copse__cause *copse__cause_new(copse_origin origin, const copse_ref *by, const char *message);
copse__cause *copse__cause_ref(copse__cause *cause);
void copse__cause_unref(copse__cause *cause);

/* --- members ---------------------------------------------------------------------------------- */

enum {
  COPSE__MEMBER_SERVICE = 1u,
  COPSE__MEMBER_HEAP = 2u,       /* of copse_scope_join: freed when it leaves */
  COPSE__MEMBER_CANCEL_DUE = 4u, /* to be told in the turn */
  COPSE__MEMBER_FINISH_DUE = 8u,
  COPSE__MEMBER_CANCELLED = 16u, /* told, or due */
  COPSE__MEMBER_FINISHED = 32u,
};

struct copse_member {
  copse__list link;   /* in scope->members */
  copse__list due;    /* in rt->members_due */
  copse_scope *scope; /* NULL: in none */
  copse_member_cbs cbs;
  /* At once, possibly inside copse_pump: runs no user code. May be NULL. */
  void (*cancel_now)(copse_member *member);
  void *arg;
  unsigned flags;
  copse__grave grave;
};

/* Joins with the caller's memory: zeroed before, to be buried, not freed, after it left. `cbs` as
 * in copse_scope_join. If the scope is cancelled already, cancel_now is called before this returns.
 * False when the scope has ended. */
bool copse__member_join(copse_scope *scope, copse_member *member, const copse_member_cbs *cbs,
                        void (*cancel_now)(copse_member *member), void *arg);
/* The turn: tells members that they are cancelled, or are to finish. */
void copse__members_run(copse *rt, bool *any);

/* --- scopes ----------------------------------------------------------------------------------- */

struct copse_scope {
  copse *rt;
  copse_scope *parent; /* NULL: the root scope */
  copse_member member; /* in the parent */
  copse__list members;
  size_t count, services; /* of `members` */
  copse__list ended_link; /* in rt->scopes_ended */
  bool sealed, ended, cancelled, finishing;
  bool failed;         /* it was its own error that cancelled it */
  bool expired;        /* its own explicit deadline came: ends with the error `deadline` */
  bool given;          /* its deadline was given by the opener of `context` (not an error here) */
  copse__cause *cause; /* while cancelled, or coming through a shield */
  uint64_t grace_end;  /* while cancelled: when patience ends; COPSE__NEVER before */
  uint64_t deadline;   /* COPSE__NEVER: none */
  int64_t allowed_ms;  /* what its own deadline was, for the error */
  copse__timer deadline_timer;
  int64_t shield_ms; /* -1: none */
  copse__timer shield_timer;
  copse_error **errors; /* `slot` while one is enough: the first error is never lost */
  copse_error *slot;
  size_t error_count, error_capacity;
  bool errors_lost; /* memory was short for a further one */
  copse_scope_done_cb done;
  void *arg;
  copse_context *context; /* the callee's context whose scope this is, or NULL */
  char *name;
  copse__grave grave;
};

/* copse_scope_new, with the callbacks that its membership in the parent has (`finish` set: a
 * service). */
copse_scope *copse__scope_new(copse *rt, copse_scope *parent, const copse_scope_options *options,
                              copse_scope_done_cb done, void *arg, const copse_member_cbs *cbs);
/* Cancels with a cause received or inherited, which is passed on unchanged.
 * grace_end is absolute. */
void copse__scope_cancel_cause(copse_scope *scope, const copse_cause *cause, uint64_t grace_end);
void copse__scope_cancel_shared(copse_scope *scope, copse__cause *cause, uint64_t grace_end);
/* Starts its deadline, from now. */
void copse__scope_set_deadline(copse_scope *scope, int64_t ms);
/* Of `scope` and its ancestors, the nearest whose deadline comes first of all is taken as expired
 * now. False: none has a deadline. */
bool copse__scope_expire_nearest(copse_scope *scope);
/* Milliseconds of patience left in a cancelled scope (0 at least), or the default. */
int64_t copse__scope_grace_left(const copse_scope *scope);
/* The turn: ends scopes. */
void copse__scopes_run(copse *rt, bool *any);
/* When the runtime is freed before the tree has ended: frees it without telling anybody. */
void copse__scope_abandon(copse_scope *scope);

#endif
