/* SPDX-License-Identifier: MIT
 *
 * What the modules of the runtime offer each other.
 *
 * The runtime is two halves. The *core* (loop, timer, link, peer, context, scope, error, export, listen, dial, hot, log)
 * knows links and contexts and nothing of processes; the *process* half (spawn, child, actor, watchdog, adopt, rundir,
 * registry, info) builds actors of it. The core never calls the process half by name: it has hooks (copse__link_hooks,
 * copse.on_root_ended), so that a test can link the core alone. runtime.c ties the two together.
 *
 * The turn. libuv callbacks only mark; everything else, all user code included, runs in the turn (loop.c), from
 * uv_check after the poll and from uv_prepare where something came up before it. What
 * is called from user code at any time takes effect on data at once, but calls no user code: what is to be told is put
 * on a list of the runtime and told in the turn.
 *
 * In short, what there is for the process half:
 *  - copse__poll_*      watch a descriptor; the callback runs in the turn (pidfds, stderr pipes, listening sockets).
 *  - copse__timer_*     one-shot timers, in the turn, free to start and stop.
 *  - copse__member_join an embedded member of a scope, with a synchronous cancel hook.
 *  - copse__link_new    an engine on descriptors; copse__link_hooks: hello, opened, lost, silent, unresponsive.
 *  - copse__peer_new    who it is, before or after there is a link; copse__link_bind ties them.
 *  - copse__peer_hold / copse__peer_release: user's opens wait until the child is ready, or fail with it.
 *  - copse__open        like copse_open, also in no scope at all, and past the hold (for copse.actor).
 *  - link->owned        this link's contexts do not end with it: hooks.lost is told, and its owner later calls
 *                       copse__link_fail_all(link, error) and copse__peer_fail_held(peer, error) with one `died` for all.
 *  - copse__export      copse_export without the refusal of "copse." names.
 *  - rt->phase          NOT_READY / READY / CLOSING: how a stranger's OPEN is answered (copse.actor is let through).
 *  - copse__held_end    ends contexts that exist to be held with RETURN nil.
 *  - copse__core_close  listeners off, BYE on every link, and a call when the last is gone. copse__stop ends copse_run.
 */
#ifndef COPSE_RUNTIME_INTERNAL_H
#define COPSE_RUNTIME_INTERNAL_H

#include "runtime/list.h"

#include <copse.h>
#include <signal.h>
#include <stdatomic.h>
#include <uv.h>

typedef struct copse__link copse__link;
typedef struct copse__listener copse__listener;

#define COPSE__NEVER UINT64_MAX /* a time that does not come */
#define COPSE__HELLO_MS 10000u
#define COPSE__BYE_MS 10000u /* for the answer to a BYE `none` */
#define COPSE__CLOSE_MS                                                                            \
  1000u /* ... where nobody has that time, and from BYE to the end of the input */
#define COPSE__FRAME                                                                               \
  (65536u + 64u) /* `frame` that we announce: 64 KiB fit in one with their head */
#define COPSE__GRACE_MS 3000u
#define COPSE__TERM_MS 500u
#define COPSE__BOOT_MS 30000u
#define COPSE__HEARTBEAT_MS 5000u /* on dialled and accepted links; 0 on inherited descriptors */

/* ------------------------------------------------------------------------------------------- timer.c */

/* A one-shot timer of the caller's memory. `cb` runs in the turn. With `pump` it runs in copse_pump, too, in the middle of user code:
 * it must then call none (scope deadlines and heartbeats do). `pump` may change only while stopped. Zeroed memory is a
 * stopped timer. */
typedef struct copse__timer {
  uint64_t due;
  void (*cb)(struct copse__timer *timer);
  bool active, pump;
  struct copse__timer *child, *next, *prev; /* the heap's */
} copse__timer;

/* `due` is absolute, on the clock of copse_now. Starting a running one moves it. */
void copse__timer_start(copse *rt, copse__timer *timer, uint64_t due,
                        void (*cb)(copse__timer *timer));
void copse__timer_stop(copse *rt, copse__timer *timer);
/* now + ms, without overflow; ms < 0 is never. */
uint64_t copse__after(copse *rt, int64_t ms);
/* Milliseconds until `due`: 0 when past, -1 when never. */
int64_t copse__left(copse *rt, uint64_t due);
/* When the first is due. */
uint64_t copse__timers_next(const copse *rt);
/* Runs what is due (all, or only timers with `pump`); whether any did. */
bool copse__timers_run(copse *rt, bool pump);

/* -------------------------------------------------------------------------------------------- loop.c */

/* A watched descriptor of the caller's memory; zeroed memory is one not started. `cb` runs in the turn with UV_READABLE,
 * UV_WRITABLE, UV_DISCONNECT bits; the watch is level-triggered and stays on. */
typedef struct copse__poll {
  copse *rt;
  uv_poll_t *handle; /* its own allocation, because libuv gives it back later */
  int fd, events;
  int fired;
  copse__list due;
  void (*cb)(struct copse__poll *poll, int events);
} copse__poll;

/* COPSE_ENOMEM, COPSE_ESYSTEM (a descriptor that cannot be polled, such as a file). Makes the descriptor non-blocking. */
copse_status copse__poll_start(copse *rt, copse__poll *poll, int fd, int events,
                               void (*cb)(copse__poll *poll, int events));
/* Changes what is watched for; 0 pauses. */
void copse__poll_events(copse__poll *poll, int events);
/* Stops. The descriptor may be closed and the memory freed right after. Harmless when not started. */
void copse__poll_stop(copse__poll *poll);

copse_status copse__loop_init(copse *rt, uv_loop_t *loop);
/* Closes all handles and runs the loop until they are gone. */
void copse__loop_deinit(copse *rt);
/* Ends copse_run after this turn. */
void copse__stop(copse *rt);
/* Frees `thing` with `release` at the end of the turn: callbacks further up may still look at it. `grave` is a link inside it, in no list. */
typedef struct copse__grave {
  copse__list link;
  void (*release)(struct copse__grave *grave);
} copse__grave;
void copse__bury(copse *rt, copse__grave *grave, void (*release)(copse__grave *grave));

/* ------------------------------------------------------------------------------------------ error.c */

/* Everything the library builds on behalf of `rt` bears its actor once it is sent. */
void copse__error_encode(const copse_error *error, const copse_ref *self, bool cancelled,
                         copse_buf *out);
/* Decodes what came from a peer and appends it to `via`; never NULL (malformed or short of memory: says so). */
copse_error *copse__error_received(copse_bytes map, const copse_ref *peer);
/* An error with one known code, `message`, and `data` (one encoded value, may be empty), raised at `actor` (NULL: here). */
copse_error *copse__error_at(copse_code code, const copse_ref *actor, copse_bytes data,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One error is itself (a new reference), several become a flat `group`. */
copse_error *copse__error_join(copse_error *const *errors, size_t count);
/* Whether both are `died` of the same actor, or the same object. */
bool copse__error_same(const copse_error *a, const copse_error *b);
/* The constant one for when memory is short. */
copse_error *copse__error_no_memory(void);

/* ------------------------------------------------------------------------------------------ scope.c */

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
  void (*cancel_now)(
      copse_member *member); /* internal: at once, possibly inside copse_pump; no user code */
  void *arg;
  unsigned flags;
  copse__grave grave;
};

/* A cause shared by all that it cancelled. */
typedef struct copse__cause {
  unsigned refs; /* 0: static */
  copse_cause cause;
} copse__cause;

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

/* copse_scope_new, with the callbacks that its membership in the parent has (`finish` set: a service). */
copse_scope *copse__scope_new(copse *rt, copse_scope *parent, const copse_scope_options *options,
                              copse_scope_done_cb done, void *arg, const copse_member_cbs *cbs);
/* Joins with the caller's memory (zeroed before; to be buried, not freed, after it left); cbs as in copse_scope_join; cancel_now may be NULL. False when the scope has ended. If the
 * scope is cancelled already, cancel_now is called before this returns. */
bool copse__member_join(copse_scope *scope, copse_member *member, const copse_member_cbs *cbs,
                        void (*cancel_now)(copse_member *member), void *arg);
/* Cancels with a cause received or inherited, which is passed on unchanged. grace_end is absolute. */
void copse__scope_cancel_cause(copse_scope *scope, const copse_cause *cause, uint64_t grace_end);
void copse__scope_cancel_shared(copse_scope *scope, copse__cause *cause, uint64_t grace_end);
/* Starts its deadline, from now. */
void copse__scope_set_deadline(copse_scope *scope, int64_t ms);
/* Never NULL: a constant stands in when memory is short. `by` and `message` may be NULL. */
copse__cause *copse__cause_new(copse_origin origin, const copse_ref *by, const char *message);
copse__cause *copse__cause_ref(copse__cause *cause);
void copse__cause_unref(copse__cause *cause);
/* When the runtime is freed before the tree has ended: frees it without telling anybody. */
void copse__scope_abandon(copse_scope *scope);
/* The deadline of the scope nearest to `scope` that comes first of all is taken as expired now. False: there is none. */
bool copse__scope_expire_nearest(copse_scope *scope);
/* Milliseconds of patience left in a cancelled scope (0 at least), or the default. */
int64_t copse__scope_grace_left(const copse_scope *scope);
void copse__scopes_run(copse *rt, bool *any);  /* the turn: done callbacks */
void copse__members_run(copse *rt, bool *any); /* the turn: cancel and finish callbacks */

/* ------------------------------------------------------------------------------------------- link.c */

typedef enum copse__link_state {
  COPSE__LINK_HELLO,    /* until both HELLOs */
  COPSE__LINK_OPEN,     /* until the engine is over (a BYE may be under way) */
  COPSE__LINK_DRAINING, /* our last byte is written or will never be: reading until EOF or the bound */
  COPSE__LINK_CLOSED    /* no descriptors any more */
} copse__link_state;

/* All run in the turn; all optional. `link->owner` is the hook's own pointer. */
typedef struct copse__link_hooks {
  /* The peer's HELLO. May bind a peer (copse__link_bind). Refuse by setting *code and *why (constant text) and returning false. */
  bool (*hello)(copse__link *link, const copse_event *event, copse_code *code, const char **why);
  /* Both HELLOs are exchanged: contexts may be opened. */
  void (*opened)(copse__link *link);
  /* Over: no frame comes any more. graceful: after BYE both ways with nothing open. `error` says why (borrowed; code link_lost, or the BYE's code as message).
   * Before the link became open this is all that is told. On a link that is `owned`, contexts are still there: see copse__link_fail_all. */
  void (*lost)(copse__link *link, copse_error *error, bool graceful);
  /* The peer has been silent for three of its heartbeats: what does its owner know? NULL: COPSE_PEER_UNRESPONSIVE. */
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

/* COPSE_ENOMEM, COPSE_ESYSTEM. The link frees itself after it is CLOSED and `lost` was told; hold a reference to keep the struct. */
copse_status copse__link_new(copse *rt, const copse__link_options *options, copse__link **link);
copse__link *copse__link_ref(copse__link *link);
void copse__link_unref(copse__link *link);
/* Ties a link to who it is with. */
void copse__link_bind(copse__link *link, copse_peer *peer);
void copse__link_set_hooks(copse__link *link, const copse__link_hooks *hooks, void *owner);
/* Something was put into the engine: it will be flushed at the end of the turn, and events pulled. */
void copse__link_dirty(copse__link *link);
/* Writes what there is now; what does not fit waits for the descriptor. */
void copse__link_flush(copse__link *link);
/* BYE: graceful with COPSE_CODE_NONE, else at once. */
void copse__link_bye(copse__link *link, copse_code code, const char *message);
/* Whoever said BYE has no more time than this left for the answer, from now. */
void copse__link_hurry(copse__link *link, int64_t ms);
/* Runs the job when all is written, or the link is closed. */
void copse__link_when_flushed(copse__link *link, copse_job *job);
/* No more of it: descriptors are closed without a word (a child that is dead, a watchdog that has fired). `lost` is told in the turn. */
void copse__link_abort(copse__link *link, copse_code code, const char *why);
/* When the runtime is freed: without telling anybody. */
void copse__link_drop(copse__link *link);
/* Ends every context of a link that is over: openers get `error` (borrowed), callees are cancelled. */
void copse__link_fail_all(copse__link *link, copse_error *error);
/* In the turn: reads, dispatches, within a budget. */
void copse__link_run(copse__link *link);
/* In copse_pump: reads; events are kept for the turn. */
void copse__link_pump(copse__link *link);
/* greeting.c: the peer's HELLO has come. */
void copse__link_hello(copse__link *link, const copse_event *event);
/* defer.c: keeps an event (false: no memory); tells at most `max`, and says how many; forgets them. */
bool copse__deferred_keep(copse__link *link, const copse_event *event);
int copse__deferred_tell(copse__link *link, int max,
                         void (*tell)(copse__link *link, copse_event *event));
void copse__deferred_drop(copse__link *link);
/* core.c: a link is gone: is anybody waiting for the last one? */
void copse__links_check(copse *rt);

/* ------------------------------------------------------------------------------------------- peer.c */

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
/* The one with this id on which contexts can be opened: the parent, a child or a dialled one. Borrowed; NULL. */
copse_peer *copse__peer_find(copse *rt, const uint8_t id[16]);
void copse__peer_hold(copse_peer *peer);
/* Sends what was held back. */
void copse__peer_release(copse_peer *peer);
/* Ends what is held back with an error (borrowed). */
void copse__peer_fail_held(copse_peer *peer, copse_error *error);

/* A PONG that may be the answer to copse_peer_ping. */
void copse__peer_pong(copse__link *link, copse_bytes value);

/* ---------------------------------------------------------------------------------------- context.c */

typedef struct copse__held copse__held; /* the copy of an OPEN that waits */

struct copse_context {
  copse *rt;
  copse__link *link; /* holds a reference; NULL: held back, or lost */
  copse_peer *peer;
  uint64_t id;
  copse__list all; /* in link->contexts or peer->held */
  copse__list due; /* in rt->contexts_due: cancelled before it was sent */
  copse_scope *scope;
  copse_member
      member; /* opener: in the scope it was opened in; callee: the handler, in its own scope */
  copse_context_cbs cbs;
  void *data;
  copse_credit window, granted, consumed;
  bool opener, over; /* over: no terminal is to come or go any more */
  bool reads, sends; /* the peer reads items, the peer sends items */
  bool cancel_asked; /* opener: somebody here wants it cancelled */
  bool expired;      /* opener: its own deadline came */
  bool deadline_own; /* opener: `deadline` was given to it and is no later than its scope's */
  bool is_held;      /* callee: of a `held` export */
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

enum { COPSE__OPEN_PAST_HOLD = 1u };
/* copse_open; `scope` may be NULL: then nobody waits for it, nothing cancels it and its failure goes to cbs.done alone. */
copse_status copse__open(copse_peer *peer, copse_scope *scope, const copse_open_options *options,
                         unsigned flags, copse_context **ctx);
/* Cancels an opener's context with a cause that came from elsewhere (a child's copse.actor, which is in no scope). */
void copse__context_cancel(copse_context *ctx, const copse_cause *cause, int64_t grace_ms);
/* context.c: a new one with a reference to its peer; ties it to a link and an id; unties; gives it up. */
copse_context *copse__context_make(copse *rt, copse_peer *peer);
void copse__context_attach(copse_context *ctx, copse__link *link, uint64_t id);
void copse__context_detach(copse_context *ctx);
void copse__context_retire(copse_context *ctx);
copse_credit copse__credit_sane(copse_credit window);
/* open.c: the outcome is told, and what nobody took care of goes to the scope. `asked`: somebody here wanted the
 * cancellation. */
void copse__context_conclude(copse_context *ctx, const copse_outcome *outcome, bool asked);
void copse__context_failed(copse_context *ctx, copse_error *error);
void copse__context_cancelled(copse_context *ctx, const copse_cause *cause, bool ran, bool asked);
/* An event of the engine, told in the turn. */
void copse__context_event(copse__link *link, copse_event *event);
/* What of an event must not wait for the turn: cancellation. */
void copse__context_event_now(copse__link *link, copse_event *event);
/* Ends an opener's context with a local failure (borrowed): link loss, a refusal before sending. */
void copse__context_lost(copse_context *ctx, copse_error *error);
/* The turn: outcomes that came about without the engine. */
void copse__contexts_run(copse *rt, bool *any);
/* The complete OPEN of a peer as a context: NULL when it could not be made (it has been refused then). */
copse_context *copse__context_serve(copse__link *link, const copse_event *event, bool is_held,
                                    bool outside);
copse_context *copse__context_ref(copse_context *ctx);
void copse__context_unref(copse_context *ctx);
/* Sends an OPEN that was held back. */
void copse__context_unhold(copse_context *ctx);
/* When the runtime is freed: forgets those of a list, telling nobody. */
void copse__contexts_abandon(copse__list *list);
/* Ends every served context of a `held` export with RETURN nil. */
void copse__held_end(copse *rt);

/* ----------------------------------------------------------------------------------------- export.c */

enum {
  COPSE__EXPORT_HELD = 1u, /* END of the actor ends its contexts with RETURN nil */
  COPSE__EXPORT_ACTOR =
      2u, /* copse.actor: taken in every phase, and its scope is not below rt->served: the actor is below *it* */
};
copse_status copse__export(copse *rt, const char *target, copse_handler handler, void *arg,
                           unsigned from, unsigned flags);
/* The complete OPEN of a peer: finds the handler and calls it, or refuses. */
void copse__export_dispatch(copse__link *link, const copse_event *event);
void copse__exports_deinit(copse *rt);

/* ---------------------------------------------------------------------------------------- address.c */

typedef enum copse__address_kind {
  COPSE__ADDRESS_UNIX,
  COPSE__ADDRESS_TCP,
  COPSE__ADDRESS_FD,
  COPSE__ADDRESS_STDIO
} copse__address_kind;
typedef struct copse__address {
  copse__address_kind kind;
  char text[COPSE_ADDRESS_MAX + 1];
  char path[108]; /* unix */
  int rfd, wfd;   /* fd, stdio */
  union {         /* unix, tcp: ready for bind and connect */
    struct sockaddr any;
    struct sockaddr_storage storage;
  } sock;
  socklen_t sock_size;
  bool loopback; /* tcp */
} copse__address;

/* Reads "unix:PATH", "tcp:HOST:PORT" (numbers, [v6] or localhost), "fd:N", "fd:R,W", "stdio:". COPSE_EADDRESS with *why (constant). */
copse_status copse__address_parse(const char *text, copse__address *address, const char **why);
/* The text of a bound socket's own address. */
copse_status copse__address_of(int fd, copse__address *address);

/* ----------------------------------------------------------------------------------------- listen.c, dial.c */

/* copse_listen, giving the listener (may be NULL). `token` empty: none is demanded (unix only). rt->claim is asked first at the HELLO of
 * each accepted link, and may take it over (a child that dials its parent): binding a peer, setting hooks of its own, returning true. */
copse_status copse__listen(copse *rt, const char *address, copse_bytes token,
                           copse__listener **listener, char **why);
/* Stops accepting and removes a socket file. Links that came of it stay. */
void copse__listener_free(copse__listener *listener);
void copse__listeners_close(copse *rt);
/* The actual address (with the port that was assigned). */
const char *copse__listener_address(const copse__listener *listener);
bool copse__equal_secret(const void *a, size_t a_size, const void *b,
                         size_t b_size); /* in constant time of b_size */
/* When the runtime is freed: forgets connections and attempts. */
void copse__dials_drop(copse *rt);
/* Adds to / removes from rt->self's addresses. */
void copse__self_add(copse *rt, const char *address);
void copse__self_remove(copse *rt, const char *address);

/* ------------------------------------------------------------------------------------------- log.c, hot.c */

void copse__log_init(copse *rt, const copse_config *config);
const char *copse__log_name(copse_log_level level);

void copse__hot_deinit(copse *rt);

/* --------------------------------------------------------------------------------------------- the runtime */

typedef enum copse__phase { COPSE__NOT_READY, COPSE__READY, COPSE__CLOSING } copse__phase;

typedef struct copse__export_entry copse__export_entry;
typedef struct copse__process copse__process; /* the process half's own state (actor.c) */

struct copse {
  /* loop.c */
  uv_loop_t *loop;
  uv_loop_t own_loop;
  bool exits; /* see copse_config */
  bool loop_is_own, in_turn, in_pump, idling, stopped, running;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t async;
  uv_timer_t timer;
  unsigned handles;        /* of libuv, not yet closed */
  copse__timer *timers[2]; /* heaps: [1] of those that copse_pump may run */
  uint64_t armed;          /* when the libuv timer will fire */
  copse__list polls_due, links_active, links_dirty, members_due, contexts_due, scopes_ended, graves;
  copse_job jobs;   /* head of the posted ones */
  atomic_int turns; /* read by the watchdog's thread and in a signal handler */
  /* links and peers */
  copse__list links, peers, listeners, dials;
  size_t greeting; /* accepted links without HELLO */
  bool closing;
  void (*closed_cb)(copse *rt);
  copse_job closed_job;
  bool (*claim)(
      copse__link *link,
      const copse_event
          *event);   /* asked at the HELLO of an accepted link: a child that dials its parent */
  copse_event event; /* the one being told */
  /* scopes and contexts */
  copse_scope *root;   /* the actor's own; NULL once it has ended, like the next */
  copse_scope *served; /* parent of all that is served; a service of `root` */
  void (*on_root_ended)(copse *rt, copse_error *error, bool cancelled); /* in the turn */
  void (*on_pump)(
      copse *
          rt); /* in copse_pump: what must be heard in the middle of user code (signals). NULL: nothing */
  void (*on_served_finish)(
      copse *rt); /* only services are left in `root`. NULL: copse__serve_end */
  copse__phase phase;
  copse__export_entry **exports;
  size_t export_slots, export_count;
  bool (*fallback)(copse_context *ctx, const char *target, copse_bytes args, void *arg);
  void *fallback_arg;
  /* what it is */
  copse_ref self;
  copse_limits limits;
  copse_rungs rungs;
  copse_log_level log_level;
  char *token_file;
  copse_peer *parent; /* holds a reference; NULL in a root */
  void *data;
  int exit_status;
  copse_error *result; /* what ended the root scope */
  bool result_cancelled;
  /* hot.c */
  void (*interrupt)(void *arg);
  void *interrupt_arg;
  timer_t cpu_timer;
  bool cpu_timer_on;
  bool pumped; /* in this turn */
  int backend_fd;
  sig_atomic_t seen_turns;
  _Atomic uint64_t next_due;
  copse__process *process;
};

/* core.c: everything above without processes. `id` NULL: random. COPSE_ENOMEM, COPSE_ESYSTEM, COPSE_EINVAL. */
copse_status copse__core_new(copse **rt, const copse_config *config, const uint8_t *id,
                             const char *name);
void copse__core_free(copse *rt);
/* No more contexts are served: new ones are refused (`closing`), the served scope is sealed. */
void copse__serve_end(copse *rt);
/* Closes listeners and says BYE on all links; `closed` runs in the turn when the last is closed (bounded by COPSE__CLOSE_MS each). */
void copse__core_close(copse *rt, void (*closed)(copse *rt));
bool copse__random(void *bytes, size_t size);
/* Runs the loop until copse__stop. */
void copse__loop_run(copse *rt);

/* ---- what runtime.c expects of the process half ---- */

/* After the core is there: reads and removes COPSE_* (given the environment is not ignored), makes the parent's link, watchdog,
 * runtime directory, exports of copse.*; listens on config->listen. On failure sets *why and returns. Must be undone by copse__process_deinit, also after failure. */
copse_status copse__process_init(copse *rt, const copse_config *config, char **why);
/* What it says of itself before the core is made: id (16 bytes) and name from COPSE_ACTOR; false: a root. COPSE_EADDRESS when malformed. */
copse_status copse__process_identity(const copse_config *config, bool *is_child, uint8_t id[16],
                                     char name[COPSE_NAME_MAX + 1], char **why);
/* copse_run began: a root posts main, a child keeps it for copse.actor. */
void copse__process_run(copse *rt, copse_main_cb main, void *arg);
void copse__process_deinit(copse *rt);

#endif
