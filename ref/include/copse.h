/* SPDX-License-Identifier: MIT
 *
 * copse.h: the actor runtime on libuv.
 *
 * A process that calls `copse_new` is an actor: the root of a tree, or (when it was spawned by another actor, which it learns from
 * its environment) a child. Everything lives in a tree of scopes: tasks, contexts opened on other actors, child processes.
 * A scope ends only when all in it has ended; an error in it cancels the rest and goes up; cancellation goes down,
 * across processes.
 *
 * Rules that hold for every function:
 *  - One thread: the one that runs the loop. Only copse_wake may be called from others.
 *  - Nothing blocks, except copse_run.
 *  - Callbacks run from the loop turn, never inside a function of yours that called this library, and never inside a libuv
 *    callback. A callback may call any function of this header.
 *  - Values are encoded msgpack (see copse/wire.h: copse_pack_*, copse_reader). Views handed to a callback live until it
 *    returns. What you pass in is copied.
 *  - Errors are reference counted (copse_error_ref/unref). "Takes" means the function owns your reference, also when it fails.
 */
#ifndef COPSE_H
#define COPSE_H

#include <copse/wire.h>
#include <stdarg.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COPSE_VERSION_STRING "0.1.0"

typedef struct uv_loop_s uv_loop_t;

typedef struct copse copse;                 /* the runtime of this process */
typedef struct copse_scope copse_scope;     /* a node of the tree */
typedef struct copse_member copse_member;   /* something that lives in a scope */
typedef struct copse_context copse_context; /* one end of a context */
typedef struct copse_peer copse_peer;       /* another actor, on which contexts can be opened */
typedef struct copse_child copse_child;     /* a process that this actor spawned */
typedef struct copse_error copse_error;     /* an error, with its path */

COPSE_API const char *copse_version(void);

/* ------------------------------------------------------------------------------------------------------ errors */

typedef struct copse_error_info {
  const char *code;    /* wire text of the code, never NULL */
  copse_code known;    /* COPSE_CODE_COUNT where the text is not known here */
  const char *type;    /* the raising language's name of it; "" if none */
  const char *message; /* for people */
  const char *stack;   /* the remote or local stack; "" if none */
  bool has_actor;
  copse_ref actor; /* where it was raised */
  size_t via_count;
  const copse_ref *via; /* the path it came, nearest to the origin first */
  size_t cause_count;   /* members of a group, or what led to it */
  copse_error *const *causes;
  copse_bytes data; /* one value, or empty */
  bool cancelled;   /* it was raised while being cancelled */
} copse_error_info;

/* A new error raised here (its actor is this process's once it is sent). Never fails: when memory is short it is a constant
 * `no_memory` error. */
COPSE_API copse_error *copse_error_new(copse_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with everything said; strings and data are copied, causes are referenced. NULL info fields mean absent. */
COPSE_API copse_error *copse_error_make(const copse_error_info *info);
COPSE_API copse_error *copse_error_ref(copse_error *error);
COPSE_API void copse_error_unref(copse_error *error);
COPSE_API const copse_error_info *copse_error_get(const copse_error *error);
/* The boxed report for people: what was raised where, the stack, the path it came. Appends text to `out`; `colour` for terminals;
 * `width` columns (0: 100). */
COPSE_API void copse_error_report(const copse_error *error, copse_buf *out, bool colour,
                                  unsigned width);
/* Encodes it as the error map of the protocol / reads one. copse_error_decode gives NULL on a malformed map. */
COPSE_API void copse_error_encode(const copse_error *error, copse_buf *out);
COPSE_API copse_error *copse_error_decode(copse_bytes map);

/* ----------------------------------------------------------------------------------------------------- runtime */

typedef enum copse_log_level {
  COPSE_LOG_ERROR,
  COPSE_LOG_WARN,
  COPSE_LOG_INFO,
  COPSE_LOG_DEBUG,
  COPSE_LOG_TRACE
} copse_log_level;

/* In every field 0 stands for the default (in the options of a spawn: for the runtime's own); who wants no patience at all says 1. */
typedef struct copse_rungs {
  uint32_t grace_ms; /* CANCEL .. SIGTERM; default 3000 */
  uint32_t term_ms;  /* SIGTERM .. SIGKILL; default 500 */
  uint32_t boot_ms;  /* exec .. STARTED of copse.actor; default 30000 */
} copse_rungs;

typedef struct copse_config {
  size_t size;         /* sizeof(copse_config) */
  uv_loop_t *loop;     /* NULL: an own one */
  const char *name;    /* a root's name; NULL: "root". A child's name is given by its parent. */
  copse_limits limits; /* zero fields: defaults; `frame` 64 bytes more than the protocol's */
  copse_rungs rungs;   /* zero fields: defaults */
  copse_log_level log_level; /* used unless COPSE_LOG is set or the parent says another */
  bool log_level_set;        /* log_level overrides COPSE_LOG */
  const char *registrar;     /* a root's registrar address; NULL: itself */
  bool
      registrar_here; /* a child, too, is a registrar: of itself, its children and whoever else asks it */
  const char *const *
      listen; /* NULL-terminated addresses to listen on besides the tree's own socket; may be NULL */
  bool no_rundir;  /* a root without runtime directory: it cannot be found by `copse tree` */
  bool ignore_env; /* do not look at COPSE_LINK: be a root */
  bool
      raise_files; /* raise the soft limit of open descriptors to the hard one (65536 at most) for this process; those it spawns
                     * get back what it was. A parent needs three for each child. */
  bool
      exits; /* the process exits when it is done with copse_run and copse_free: what the system takes back by itself then is
               * left to it (memory, the loop, and in a child that has said all the link and the watchdog, which thus watches to the
               * end). Of no effect with a loop of the caller's own; not for a program whose leaks are counted. */
} copse_config;

/* Makes this process an actor. In a child: takes COPSE_* out of the environment, marks and hides the link's descriptors,
 * starts the watchdog. Blocks SIGPIPE. Errors: COPSE_ENOMEM, COPSE_EINVAL (config), COPSE_ESYSTEM, COPSE_EADDRESS (COPSE_LINK is malformed).
 * On failure *why (if not NULL) gets a text that names what was wrong, to be freed with free(). One runtime per process. */
COPSE_API copse_status copse_new(copse **rt, const copse_config *config, char **why);
/* After copse_run has returned. Frees everything; accepts NULL. */
COPSE_API void copse_free(copse *rt);

/* Called once, when this actor may work: a root at once, a child when its parent has opened copse.actor. `config` is the map that
 * the parent gave (empty in a root). `scope` is the actor's root scope: what is opened in it belongs to the actor. The callback (or
 * something it started) later calls copse_ready (a child then answers STARTED), and copse_main_done when its own work is done. */
typedef void (*copse_main_cb)(copse *rt, copse_scope *scope, copse_bytes config, void *arg);

/* Runs the actor until its root scope has ended and everything is reaped; drives the loop. Returns the exit status that the process should
 * end with: 0 after success or cancellation, 1 after an error. A root prints nothing: the outcome is in copse_outcome. */
COPSE_API int copse_run(copse *rt, copse_main_cb main, void *arg);
/* The error that ended the root scope, or NULL; borrowed, valid until copse_free. `cancelled` (may be NULL) tells a cancellation. */
COPSE_API copse_error *copse_result_error(copse *rt, bool *cancelled);

/* The actor accepts contexts now. A child sends STARTED. Idempotent. Implied by the return of main in a root. */
COPSE_API void copse_ready(copse *rt);
/* The actor's own work is over, with an error (taken) or NULL. `value` is what a child RETURNs to its parent (may be empty: nil). A child goes on serving
 * until its parent says END; a root ends when its root scope has emptied. */
COPSE_API void copse_main_done(copse *rt, copse_bytes value, copse_error *error);
/* Cancels the whole actor, as its parent's CANCEL or a signal would. */
COPSE_API void copse_shutdown(copse *rt, copse_origin origin, const char *message);

COPSE_API copse_scope *copse_root_scope(copse *rt);
COPSE_API uv_loop_t *copse_loop(copse *rt);
COPSE_API const copse_ref *copse_self(copse *rt); /* with addresses; borrowed */
COPSE_API bool copse_is_root(copse *rt);
COPSE_API copse_peer *copse_parent(copse *rt); /* NULL in a root */
COPSE_API void *copse_data(copse *rt);
COPSE_API void copse_set_data(copse *rt, void *data);
/* From any thread or a signal handler: makes the loop turn. */
COPSE_API void copse_wake(copse *rt);
/* Milliseconds of the loop's monotonic clock. */
COPSE_API uint64_t copse_now(copse *rt);

/* Runs cb(arg) from the next loop turn, in order. The struct is the caller's and must stay valid until it ran; posting a pending
 * one again does nothing. */
typedef struct copse_job {
  void (*cb)(struct copse_job *job);
  struct copse_job *next, *prev; /* private; zero before first use */
} copse_job;
COPSE_API void copse_post(copse *rt, copse_job *job);
COPSE_API void copse_unpost(copse *rt, copse_job *job);

COPSE_API void copse_log(copse *rt, copse_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
COPSE_API copse_log_level copse_log_get_level(copse *rt);
COPSE_API copse_log_level copse_log_parse(const char *text,
                                          bool *ok); /* error warn info debug trace */

/* ---- hot code: for bindings of interpreters ---- */

/* `interrupt` is called from a signal handler on the loop's thread when user code has burnt 20 ms of CPU without a loop
 * turn and a link has input. It may only do async-signal-safe things (set a debug hook). Costs nothing while not burning. */
COPSE_API void copse_set_interrupt(copse *rt, void (*interrupt)(void *arg), void *arg);
/* From that hook, in normal context: reads links, answers PING, applies cancellations to scopes, flushes; runs no
 * callbacks (they stay queued). Views that the running callback was handed end here. */
COPSE_API void copse_pump(copse *rt);

/* ------------------------------------------------------------------------------------------------------ scopes */

typedef struct copse_scope_options {
  int64_t
      deadline_ms; /* from now; -1: none. Its expiry cancels the scope (origin deadline), whose outcome is then the error `deadline` */
  int64_t
      shield_ms; /* -1: no shield; else: cancellation from outside reaches it only after that many ms (bounded by the grace) */
  const char *name; /* for logs and trees; may be NULL */
} copse_scope_options;
#define COPSE_SCOPE_OPTIONS                                                                        \
  { -1, -1, NULL }

/* How a scope ended. error: NULL, the one error, or a group (borrowed in the callback). cancelled: somebody cancelled it, from
 * inside or outside; what its own error or its own deadline did to it is told by `error` alone. Runs in the turn, before
 * the parent can end. The scope is freed after the callback. */
typedef void (*copse_scope_done_cb)(copse_scope *scope, copse_error *error, bool cancelled,
                                    void *arg);

/* A scope inside another. It is a member of `parent`; `done` runs when it was sealed and all its members have left. An error does
 * NOT go to the parent by itself: the callback decides (usually copse_scope_fail(parent, error), or raising it in the code that waits).
 * With done == NULL errors go to the parent. Errors: NULL when memory is short or parent has ended.
 * A new scope in a cancelled parent is born cancelled. */
COPSE_API copse_scope *copse_scope_new(copse *rt, copse_scope *parent,
                                       const copse_scope_options *options, copse_scope_done_cb done,
                                       void *arg);
/* The scope's body is over, with an error (taken) or NULL: nothing more will be started by it. An error cancels the rest. When only
 * services (child processes, registrations, kept links) are left, all of them are told to finish at once, then awaited. */
COPSE_API void copse_scope_seal(copse_scope *scope, copse_error *error);
/* Something in it failed: records the error (taken) and cancels the rest (origin error). An equal `died` of the same actor is recorded once. */
COPSE_API void copse_scope_fail(copse_scope *scope, copse_error *error);
/* Cancels it and all below. The first cause stands; `grace_ms` -1 means the default and a repeat can only shorten it. */
COPSE_API void copse_scope_cancel(copse_scope *scope, copse_origin origin, const char *message,
                                  int64_t grace_ms);
/* Cancelled, itself or by an ancestor (and not shielded): every wait in it must fail. */
COPSE_API bool copse_scope_is_cancelled(const copse_scope *scope);
/* The first cause, or NULL while not cancelled. */
COPSE_API const copse_cause *copse_scope_cause(const copse_scope *scope);
/* Milliseconds left until the tightest deadline of it and its ancestors; -1: none. */
COPSE_API int64_t copse_scope_remaining(const copse_scope *scope);
COPSE_API copse_scope *copse_scope_parent(const copse_scope *scope);

/* Joins a scope: it will not end before this member leaves. `cancel` (may be NULL) is called once from the loop turn when the scope is
 * cancelled (also if it already is). `service` members do not keep the body's siblings: see copse_scope_seal; `finish` is called for them.
 * NULL when memory is short or the scope has ended. */
typedef struct copse_member_cbs {
  void (*cancel)(copse_member *member, void *arg);
  void (*finish)(copse_member *member, void *arg); /* not NULL: a service */
} copse_member_cbs;
COPSE_API copse_member *copse_scope_join(copse_scope *scope, const copse_member_cbs *cbs,
                                         void *arg);
/* Leaves, with an error for the scope (taken) or NULL. The member is gone. */
COPSE_API void copse_member_leave(copse_member *member, copse_error *error);
COPSE_API copse_scope *copse_member_scope(copse_member *member);

/* ---------------------------------------------------------------------------------------------------- contexts */

typedef enum copse_outcome_kind {
  COPSE_RETURNED,
  COPSE_FAILED,
  COPSE_WAS_CANCELLED
} copse_outcome_kind;

typedef struct copse_outcome {
  copse_outcome_kind kind;
  copse_bytes value;        /* RETURNED */
  copse_error *error;       /* FAILED: borrowed */
  const copse_cause *cause; /* WAS_CANCELLED */
  bool ran;                 /* WAS_CANCELLED: whether user code ran */
} copse_outcome;

/* All optional. `arg` is the context's own pointer (copse_context_set_data). */
typedef struct copse_context_cbs {
  void (*started)(copse_context *ctx, copse_bytes value, void *arg); /* opener */
  /* One item. The window is replenished as items are consumed: they are when this returns true; with false call copse_consumed later. */
  bool (*item)(copse_context *ctx, copse_bytes value, void *arg);
  void (*end)(copse_context *ctx, void *arg);      /* the peer sends no more */
  void (*stopped)(copse_context *ctx, void *arg);  /* the peer reads no more */
  void (*writable)(copse_context *ctx, void *arg); /* after COPSE_EAGAIN: try again */
  /* Callee: its scope was cancelled. The handler cleans up and then ends the context (usually copse_cancelled). Where this is NULL
   * the runtime ends it as cancelled itself. */
  void (*cancel)(copse_context *ctx, void *arg);
  /* Opener: the outcome, once; afterwards `ctx` is gone. Return true if you took care of a failure; false passes an error
   * (and a cancellation nobody here asked for) to the scope it was opened in. Callee: called once, when the
   * handler is done, all in its scope has ended and the terminal was sent (or the link is lost); the outcome is what was sent. */
  bool (*done)(copse_context *ctx, const copse_outcome *outcome, void *arg);
} copse_context_cbs;

typedef struct copse_open_options {
  const char *target;
  copse_bytes args; /* encoded array or map; empty: absent */
  bool send;        /* I will send items: end with copse_end */
  copse_credit
      window; /* how much I take at once, items and bytes; zero items: I read none; items and zero bytes: 262144 bytes */
  int64_t
      deadline_ms; /* explicit; -1: only what the scope has. Its expiry is the error `deadline` */
  const char *traceparent; /* NULL: inherited from the context this scope belongs to, if any */
  copse_bytes meta;
  copse_context_cbs cbs;
  void *data;
} copse_open_options;
#define COPSE_OPEN_OPTIONS                                                                         \
  { NULL, {NULL, 0}, false, {0, 0}, -1, NULL, {NULL, 0}, {0}, NULL }
#define COPSE_WINDOW_DEFAULT                                                                       \
  { 256, 262144 }

/* Opens a context on a peer, inside a scope: the scope does not end before its outcome, and cancelling the scope cancels it
 * (with an answer). Deadline and traceparent are inherited. Errors, with nothing opened: COPSE_ECANCELLED (the scope is), COPSE_ELIMIT, COPSE_ETOOLARGE, COPSE_EVALUE, COPSE_EINVAL,
 * COPSE_ECLOSED (link gone or closing), COPSE_ENOMEM. A failure of the far side comes as the outcome. */
COPSE_API copse_status copse_open(copse_peer *peer, copse_scope *scope,
                                  const copse_open_options *options, copse_context **ctx);
/* The error that a status of copse_open or copse_connect stands for, e.g. ELIMIT -> busy, ECLOSED -> closing: nothing was begun. */
COPSE_API copse_error *copse_status_error(copse_status status, const char *what);
/* The error that a cancellation is which nobody here asked for: `cancelled`, or `deadline` where that is its origin, raised
 * where the cancelling began, with `origin` and `by` as data (CANCEL-011). Never fails. */
COPSE_API copse_error *copse_cause_error(const copse_cause *cause);

/* A call: a context that neither sends nor reads items. */
static inline copse_status copse_call(copse_peer *peer, copse_scope *scope, const char *target,
                                      copse_bytes args,
                                      bool (*done)(copse_context *, const copse_outcome *, void *),
                                      void *data) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = target;
  o.args = args;
  o.cbs.done = done;
  o.data = data;
  return copse_open(peer, scope, &o, (copse_context **)0);
}

/* Both ends. */
COPSE_API copse_status copse_send(copse_context *ctx,
                                  copse_bytes value); /* statuses of copse_wire_send */
COPSE_API copse_status copse_send_bin(copse_context *ctx, const void *data,
                                      size_t size); /* a bin item, without copies where possible */
/* The same for a str item; COPSE_EVALUE if the text is not UTF-8. */
COPSE_API copse_status copse_send_str(copse_context *ctx, const char *text, size_t size);
COPSE_API copse_status copse_end(copse_context *ctx);  /* no more items from me */
COPSE_API copse_status copse_stop(copse_context *ctx); /* I read no more */
/* The next item, if it is here already and nothing else of the link stands before it: for a loop that takes items as it
 * needs them. It counts as consumed; the view is valid until the caller returns to the loop. False: the callback will
 * come. */
COPSE_API bool copse_next_item(copse_context *ctx, copse_bytes *value);
COPSE_API void copse_consumed(copse_context *ctx, uint64_t items,
                              uint64_t bytes); /* of items whose callback said false */
COPSE_API void *copse_context_data(const copse_context *ctx);
COPSE_API void copse_context_set_data(copse_context *ctx, void *data);
COPSE_API void copse_context_set_cbs(copse_context *ctx, const copse_context_cbs *cbs);
COPSE_API copse_peer *copse_context_peer(const copse_context *ctx);
COPSE_API uint64_t copse_context_id(const copse_context *ctx);
COPSE_API copse *copse_context_runtime(const copse_context *ctx);
/* Opener: the scope it was opened in. Callee: its own scope, in which the handler opens, spawns and waits. */
COPSE_API copse_scope *copse_context_scope(const copse_context *ctx);

/* Opener: cancel this context alone. Its CANCELLED is then absorbed: done() gets it, the scope does not. */
COPSE_API copse_status copse_cancel(copse_context *ctx, copse_origin origin, const char *message,
                                    int64_t grace_ms);

/* Callee. */
COPSE_API copse_status copse_started(copse_context *ctx, copse_bytes value);
/* Items are wanted: grants a window (default: none until this is called). Items and zero bytes: 262144 bytes. */
COPSE_API copse_status copse_accept_items(copse_context *ctx, copse_credit window);
COPSE_API bool
copse_context_reads(const copse_context *ctx); /* the opener granted credit at OPEN */
COPSE_API bool copse_context_sends(const copse_context *ctx); /* the opener will send items */
COPSE_API copse_bytes copse_context_meta(const copse_context *ctx);
/* The handler is done: exactly one of these, once. The terminal leaves when everything in the context's scope has ended (an
 * error there replaces a RETURN). Errors are taken. */
COPSE_API void copse_return(copse_context *ctx, copse_bytes value);
COPSE_API void copse_fail(copse_context *ctx, copse_error *error);
COPSE_API void copse_cancelled(
    copse_context *ctx); /* honest only if the scope is cancelled; else an error `cancelled` */

/* ----------------------------------------------------------------------------------------------------- exports */

#define COPSE_FROM_PARENT 1u
#define COPSE_FROM_CHILD 2u
#define COPSE_FROM_LOCAL 4u  /* a unix socket, same user */
#define COPSE_FROM_REMOTE 8u /* TCP with the token */
#define COPSE_FROM_ANYONE 15u

/* A context was opened on `target`. `args` is valid during the call. The handler sets callbacks and data as it needs and ends the
 * context, now or later. */
typedef void (*copse_handler)(copse_context *ctx, copse_bytes args, void *arg);
/* Exports a target (not starting with "copse."), for peers in `from`; replaces an earlier one. A `held` export exists to be held: END of the
 * actor ends its contexts with RETURN nil. COPSE_ENOMEM, COPSE_EINVAL. */
COPSE_API copse_status copse_export(copse *rt, const char *target, copse_handler handler, void *arg,
                                    unsigned from, bool held);
/* Called for a target that nobody exported (bindings look it up then). Return false for no_target. */
COPSE_API void copse_export_fallback(copse *rt,
                                     bool (*lookup)(copse_context *ctx, const char *target,
                                                    copse_bytes args, void *arg),
                                     void *arg);

/* ------------------------------------------------------------------------------------------------------- peers */

COPSE_API const copse_ref *copse_peer_ref(const copse_peer *peer); /* who it is; borrowed */
COPSE_API bool copse_peer_alive(const copse_peer *peer); /* the link stands and is not closing */
COPSE_API copse_child *copse_peer_child(const copse_peer *peer); /* NULL if it is not my child */
/* Measures: PING and the time until PONG, in microseconds; cb gets UINT64_MAX on loss. COPSE_EAGAIN while one is under way. */
COPSE_API copse_status copse_peer_ping(copse_peer *peer,
                                       void (*cb)(copse_peer *peer, uint64_t us, void *arg),
                                       void *arg);
/* Runs the job when nothing that was said to the peer is left to be written, or its link is lost: before an exit or an exec that does not
 * wait for the tree. COPSE_ECLOSED: there is no link, and the job does not run. copse_unpost takes it back. */
COPSE_API copse_status copse_peer_flush(copse_peer *peer, copse_job *job);
/* What its link is in: what was agreed, contexts open in both directions, traffic (see copse/wire.h). COPSE_ECLOSED: there is none. */
COPSE_API copse_status copse_peer_get_info(const copse_peer *peer, copse_wire_info *info);
/* The descriptors that its link reads and writes, often one and the same, to ask the system who is at the other end: not to be
 * used or closed. -1: none. */
COPSE_API void copse_peer_fds(const copse_peer *peer, int fds[2]);
/* A peer suspected (no frame for three heartbeats) or back again. */
typedef enum copse_peer_state {
  COPSE_PEER_ALIVE,
  COPSE_PEER_SUSPENDED,
  COPSE_PEER_UNRESPONSIVE,
  COPSE_PEER_LOST
} copse_peer_state;
COPSE_API copse_peer_state copse_peer_get_state(const copse_peer *peer);

/* Connects to an actor, by address (`unix:PATH`, `tcp:HOST:PORT` on loopback) and/or by reference (its id is checked: wrong_actor).
 * The peer is a service of `scope`: it is closed (BYE) when the scope finishes, unless others use the same link. `done` runs once, with a peer
 * or an error (borrowed): unreachable, denied, wrong_actor, version, deadline. `token`: what a TCP listener demands; NULL: from the environment variable COPSE_TOKEN_FILE or none.
 * COPSE_EADDRESS, COPSE_EDENIED (an address policy forbids), COPSE_ECANCELLED, COPSE_ENOMEM. */
typedef void (*copse_connect_cb)(copse *rt, copse_peer *peer, copse_error *error, void *arg);
COPSE_API copse_status copse_connect(copse *rt, copse_scope *scope, const char *address,
                                     const copse_ref *ref, copse_bytes token, copse_connect_cb done,
                                     void *arg);
/* Listens on an address; a unix socket gets mode 0600, peers of another user are refused. A TCP listener needs a token of at least 16 bytes.
 * COPSE_EADDRESS, COPSE_ESYSTEM, COPSE_EDENIED (TCP beyond loopback needs TLS, which does not exist yet), COPSE_EINVAL (token). */
COPSE_API copse_status copse_listen(copse *rt, const char *address, copse_bytes token, char **why);

/* ---------------------------------------------------------------------------------------------------- children */

typedef struct copse_spawn_options {
  size_t size;             /* sizeof(copse_spawn_options) */
  const char *name;        /* 1..64 bytes */
  const char *const *argv; /* the command; argv[0] is looked up in PATH */
  const char *const
      *env;           /* NULL-terminated "K=V" added to this process's environment; NULL: none */
  const char *cwd;    /* NULL: inherited */
  copse_bytes config; /* one map for the child's main; empty: none */
  copse_rungs rungs;  /* zero fields: the runtime's */
  const char *link;   /* "fd" (default), "stdio", "unix" */
  bool stdio_null;    /* stdout to /dev/null instead of inherited */
  bool stderr_keep;   /* stderr is kept for the error `died` only, and not passed on to ours */
  const char *const *template_argv; /* the command line of a template, see below; NULL: none */
} copse_spawn_options;

typedef struct copse_spawn_cbs {
  /* The child is STARTED: contexts may be opened on copse_child_peer. */
  void (*ready)(copse_child *child, void *arg);
  /* It is gone and reaped, everything below it too. value: what it RETURNed. Return true if you took care of an error; false passes it to the scope. */
  bool (*done)(copse_child *child, const copse_outcome *outcome, void *arg);
} copse_spawn_cbs;

/* Spawns a process as a service of `scope`: it is told to finish when the scope is sealed and nothing else is left in it, cancelled with it, and killed by the
 * ladder if it does not go. Errors with nothing spawned: COPSE_EINVAL, COPSE_ECANCELLED, COPSE_ENOMEM. A command that cannot be executed is the outcome
 * spawn_failed (through done). */
COPSE_API copse_status copse_spawn(copse *rt, copse_scope *scope,
                                   const copse_spawn_options *options, const copse_spawn_cbs *cbs,
                                   void *arg, copse_child **child);
COPSE_API copse_peer *copse_child_peer(
    copse_child
        *child); /* contexts opened before ready are held back until it is, or fail with it */
COPSE_API const copse_ref *copse_child_ref(const copse_child *child);
COPSE_API pid_t copse_child_pid(const copse_child *child); /* 0 after the reap */
COPSE_API copse *copse_child_runtime(const copse_child *child);
/* END: finish your work, then exit. */
COPSE_API void copse_child_finish(copse_child *child);
/* CANCEL, then the ladder. Its CANCELLED is then no error. */
COPSE_API void copse_child_cancel(copse_child *child, copse_origin origin, const char *message,
                                  int64_t grace_ms);
COPSE_API void copse_child_kill(copse_child *child, int signal); /* for tests and the impatient */

/* Where many children run the same program, a template saves each of them its beginning: a process that has done what they all do alike, and of
 * which they are clones. Whoever spawns gives its command line, the same in every call, besides that of the child (which is what a clone shows, and what is
 * executed for the first child, and whenever a clone cannot be had, or would inherit what has changed since: limits, processors, umask and the like). Only
 * for children whose link is "fd". The template is no actor; it ends with the runtime that has started it.
 *
 * A program that finds itself started by that command line prepares what it likes, without a second thread, a libuv loop or descriptors, and calls this. It returns
 * in the clones, each a child of who has spawned it and in every respect as if it had just been executed: its words are in *argc and *argv, which then live as
 * long as the process. The template itself ends in here. Blocks. Errors, with a reason on the heap in *why: COPSE_ESYSTEM, COPSE_ENOMEM. */
COPSE_API copse_status copse_template_serve(int *argc, char ***argv, char **why);

/* ---------------------------------------------------------------------------------------------------- registry */

/* Registers this actor under a name, as a service of `scope`: the name is gone when the scope finishes or the actor dies. `done(NULL)` when
 * registered, or the error. */
COPSE_API copse_status copse_register(copse *rt, copse_scope *scope, const char *name,
                                      void (*done)(copse_error *error, void *arg), void *arg);
/* Who is registered under a name (`count` may be 0); with `wait`, waits for the first. Cancelled with the scope (error `cancelled`). */
COPSE_API copse_status copse_find(copse *rt, copse_scope *scope, const char *name, bool wait,
                                  void (*done)(const copse_ref *refs, size_t count,
                                               copse_error *error, void *arg),
                                  void *arg);
/* A snapshot (op 's', one call per entry, then op '.' once), then changes (op '+', '-') until the scope ends; op 'x' with the error if it fails.
 * `name` NULL: all names; `found` is the one under which `ref` is registered. Both are views, NULL with '.' and 'x'. */
COPSE_API copse_status copse_watch(copse *rt, copse_scope *scope, const char *name,
                                   void (*event)(char op, const char *found, const copse_ref *ref,
                                                 copse_error *error, void *arg),
                                   void *arg);
/* The peer of an actor reference: the parent, a child, an existing link, or a new connection (see copse_connect). */
COPSE_API copse_status copse_reach(copse *rt, copse_scope *scope, const copse_ref *ref,
                                   copse_connect_cb done, void *arg);

/* Running trees of this user, found in the runtime directory: calls cb for each root's socket address; returns how many. Sweeps what dead roots left. */
COPSE_API size_t copse_trees(void (*cb)(const char *address, const char *name, void *arg),
                             void *arg);

#ifdef __cplusplus
}
#endif
#endif
