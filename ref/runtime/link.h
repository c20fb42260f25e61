/* SPDX-License-Identifier: MIT
 *
 * Links, an engine between two descriptors (link.c, greeting.c, defer.c), and peers, who is at the
 * other end of one, before and after there is one (peer.c).
 *
 * Whoever makes a link says by hooks what becomes of it: a child's owner, a listener and a dialled
 * connection have each their own.
 */
#ifndef COPSE_RUNTIME_LINK_H
#define COPSE_RUNTIME_LINK_H

#include "runtime/turn.h"

typedef struct copse__link copse__link;

/* `frame` that we announce: 64 KiB fit in one with their head. */
#define COPSE__FRAME (65536u + 64u)
#define COPSE__HELLO_MS 10000u
/* For the answer to a BYE `none`. */
#define COPSE__BYE_MS 10000u
/* ... where nobody has that time, and from BYE to the end of the input. */
#define COPSE__CLOSE_MS 1000u
/* On dialled and accepted links; 0 on inherited descriptors. */
#define COPSE__HEARTBEAT_MS 5000u

/* --- links ------------------------------------------------------------------------------------ */

typedef enum copse__link_state {
  COPSE__LINK_HELLO,    /* until both HELLOs */
  COPSE__LINK_OPEN,     /* until the engine is over (a BYE may be under way) */
  COPSE__LINK_DRAINING, /* our last byte is out, or never will be: reading until EOF or the bound */
  COPSE__LINK_CLOSED    /* no descriptors any more */
} copse__link_state;

/* All run in the turn; all optional. `link->owner` is the hooks' own pointer. */
typedef struct copse__link_hooks {
  /* The peer's HELLO. May bind a peer (copse__link_bind). Refuses by setting *code and *why
   * (constant text) and returning false. */
  bool (*hello)(copse__link *link, const copse_event *event, copse_code *code, const char **why);
  /* Both HELLOs are exchanged: contexts may be opened. */
  void (*opened)(copse__link *link);
  /* Over: no frame comes any more. graceful: after BYE both ways with nothing open. `error` says
   * why (borrowed; its code is link_lost, its message may be the BYE's). Before the link became
   * open this is all that is told. On a link that is `owned`, contexts are still there: see
   * copse__link_fail_all. */
  void (*lost)(copse__link *link, copse_error *error, bool graceful);
  /* The peer has been silent for three of its heartbeats: what does its owner know? NULL:
   * COPSE_PEER_UNRESPONSIVE. */
  copse_peer_state (*silent)(copse__link *link);
  /* A context was not ended within the grace of its cancellation. NULL: BYE `unresponsive`. */
  void (*unresponsive)(copse__link *link, copse_context *ctx);
} copse__link_hooks;

typedef struct copse__link_options {
  int rfd, wfd; /* may be one; taken over, also on failure (they are closed) */
  bool connector;
  bool owned;            /* see hooks.lost */
  unsigned from;         /* COPSE_FROM_*: what the peer is to exports */
  uint32_t heartbeat_ms; /* our promise */
  int64_t hello_ms;      /* bound of the handshake; -1: none (its owner has one) */
  copse_bytes token;     /* said in our HELLO */
  copse_peer *peer;      /* bound at once if not NULL: then HELLO must bear its id (wrong_actor) */
  const copse__link_hooks *hooks;
  void *owner;
} copse__link_options;

struct copse__link {
  copse *rt;
  copse_wire *wire;
  int rfd, wfd;
  copse__link_state state;
  copse__poll rpoll, wpoll; /* wpoll only where wfd is another descriptor */
  copse__list all;          /* in rt->links */
  copse__list active;       /* in rt->links_active: readable, or events due */
  copse__list dirty;        /* in rt->links_dirty: something to write */
  copse__list contexts;     /* all contexts of both roles */
  copse__list deferred;     /* events that copse_pump took in: told in the turn */
  copse_peer *peer;         /* NULL until known; holds a reference */
  bool connector, owned;
  bool readable;   /* the descriptor may have something */
  bool writing;    /* a write was cut short: writability is asked for */
  bool eof;        /* the peer's side is at its end */
  bool pumped_out; /* copse_pump has met its end, which is told in the turn */
  bool deaf;       /* writing failed: nobody listens any more */
  bool shut;       /* our side was ended */
  bool quiet;      /* silent for three heartbeats */
  bool lost_told, graceful;
  bool greeting;           /* accepted, and no HELLO yet: counted in rt->greeting */
  bool peer_bye, bye_said; /* the peer said BYE; we did */
  unsigned from;
  uint32_t heartbeat_ms, peer_heartbeat_ms;
  uint64_t opening, opening_at;  /* the peer's OPEN that is coming in pieces, and since when */
  uint64_t last_in;              /* when */
  uint64_t last_out, ticked_out; /* writes; and what they were when the heart last beat */
  copse__timer timer;            /* the handshake's, then the closing's */
  uint64_t patience;             /* until when what is open may take its time: see hurry */
  copse__timer heart;
  copse_error *why; /* why it ended */
  copse_code code;  /* of the BYE that ended it, ours or the peer's */
  copse_job lost_job;
  copse_job flushed; /* head of those that wait until all is written */
  const copse__link_hooks *hooks;
  void *owner;
  uint8_t first[64]; /* the first bytes that came, to be quoted when they are no HELLO */
  size_t first_size;
  unsigned refs;
  copse__grave grave;
  struct {
    void (*cb)(copse_peer *peer, uint64_t us, void *arg);
    void *arg;
    uint64_t sent_ns, serial;
  } ping;
};

/* The link frees itself after it is CLOSED and `lost` was told; who holds a reference keeps the
 * struct. COPSE_ENOMEM, COPSE_ESYSTEM. */
copse_status copse__link_new(copse *rt, const copse__link_options *options, copse__link **link);
copse__link *copse__link_ref(copse__link *link);
void copse__link_unref(copse__link *link);
/* Ties a link to who it is with. */
void copse__link_bind(copse__link *link, copse_peer *peer);
void copse__link_set_hooks(copse__link *link, const copse__link_hooks *hooks, void *owner);

/* Something was put into the engine: at the end of the turn it is flushed, and
 * events are pulled. */
void copse__link_dirty(copse__link *link);
/* Writes what there is now; what does not fit waits for the descriptor. */
void copse__link_flush(copse__link *link);
/* Runs the job when all is written, or the link is closed. */
void copse__link_when_flushed(copse__link *link, copse_job *job);

/* In the turn: reads, dispatches, within a budget. */
void copse__link_run(copse__link *link);
/* In copse_pump: reads; events are kept for the turn. */
void copse__link_pump(copse__link *link);

bool copse__link_has_heard_hello(const copse__link *link);
/* BYE: graceful with COPSE_CODE_NONE, else at once. */
void copse__link_bye(copse__link *link, copse_code code, const char *message);
/* Whoever said BYE has no more time than this left, from now, for the answer and what is open. */
void copse__link_hurry(copse__link *link, int64_t ms);
/* No more of it: descriptors are closed without a word (a child that is dead, a watchdog that has
 * fired). `lost` is told in the turn. */
void copse__link_abort(copse__link *link, copse_code code, const char *why);
/* When the runtime is freed: without telling anybody. */
void copse__link_drop(copse__link *link);
/* Ends every context of a link that is over: openers get `error` (borrowed),
 * callees are cancelled. */
void copse__link_fail_all(copse__link *link, copse_error *error);

/* greeting.c: the peer's HELLO has come. */
void copse__link_hello(copse__link *link, const copse_event *event);
/* defer.c: keeps an event (false: no memory); tells at most `max`, and says how many; forgets those
 * of a context that nobody here was told of, or all. */
bool copse__deferred_keep(copse__link *link, const copse_event *event);
int copse__deferred_tell(copse__link *link, int max,
                         void (*tell)(copse__link *link, copse_event *event));
void copse__deferred_forget(copse__link *link, uint64_t context);
void copse__deferred_drop(copse__link *link);
/* core.c: a link is gone: is anybody waiting for the last one? */
void copse__links_check(copse *rt);

/* --- peers ------------------------------------------------------------------------------------ */

struct copse_peer {
  copse *rt;
  copse__list all; /* in rt->peers */
  copse_ref ref;
  bool known; /* ref.id is who it must be or has said it is */
  bool hold;  /* opens wait */
  bool parent;
  copse__link *link; /* NULL: none (yet, any more) */
  copse_child *child;
  copse_peer_state state;
  uint32_t grace_ms; /* what a cancelled context on it may take at most; 0: no bound of its own */
  copse__list held;  /* contexts that wait */
  char *address;     /* where it was dialled, to share links */
  unsigned users;    /* services that keep a dialled link */
  copse__list services; /* they themselves (dial.c) */
  unsigned refs;
  copse__grave grave;
};

/* ref may be NULL (not known yet). NULL when memory is short. */
copse_peer *copse__peer_new(copse *rt, const copse_ref *ref);
copse_peer *copse__peer_ref(copse_peer *peer);
void copse__peer_unref(copse_peer *peer);
/* The one with this id on which contexts can be opened: the parent, a child or a dialled one.
 * Borrowed; NULL: there is none. */
copse_peer *copse__peer_find(copse *rt, const uint8_t id[16]);
/* From now on what is opened on it is held back. */
void copse__peer_hold(copse_peer *peer);
/* Sends what was held back. */
void copse__peer_release(copse_peer *peer);
/* Ends what is held back with an error (borrowed). */
void copse__peer_fail_held(copse_peer *peer, copse_error *error);
/* A PONG that may be the answer to copse_peer_ping. */
void copse__peer_pong(copse__link *link, copse_bytes value);

#endif
