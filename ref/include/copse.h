/* SPDX-License-Identifier: MIT
 *
 * copse.h: the actor runtime on libuv.
 *
 * A process that calls `copse_new` is an actor: the root of a tree, or a child, when another actor
 * has spawned it, which it learns from its environment. Everything in it lives in a tree of scopes:
 * tasks, contexts opened on other actors, child processes. A scope ends only when all in it has
 * ended. An error in it cancels the rest and goes up; cancellation goes down, across processes.
 *
 * Rules that hold for every function:
 *  - One thread: the one that runs the loop. Only copse_wake may be called from others.
 *  - Nothing blocks, except copse_run and copse_template_serve.
 *  - Callbacks run from the turn of the loop, never inside a function of this library that you
 *    call, and never inside a callback of libuv. A callback may call any function of this header.
 *  - Values are encoded msgpack (copse/wire.h: copse_pack_*, copse_reader). Views that a callback
 *    is given live until it returns. What you pass in is copied.
 *  - Errors are reference counted. A function that "takes" one owns your reference from then on,
 *    also when it fails; one that you are lent is "borrowed". Functions that return an error give
 *    you a reference of your own, unless they say otherwise.
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

/* The version of the library that runs, COPSE_VERSION_STRING that of this header. */
COPSE_API const char *copse_version(void);

typedef struct uv_loop_s uv_loop_t;

typedef struct copse copse;                 /* the runtime of this process */
typedef struct copse_scope copse_scope;     /* a node of the tree */
typedef struct copse_member copse_member;   /* something that lives in a scope */
typedef struct copse_context copse_context; /* one end of a context */
typedef struct copse_peer copse_peer;       /* another actor, on which contexts can be opened */
typedef struct copse_child copse_child;     /* a process that this actor spawned */
typedef struct copse_error copse_error;     /* an error, with its path */

/* --- runtime ---------------------------------------------------------------------------------- */

typedef enum copse_log_level {
  COPSE_LOG_ERROR,
  COPSE_LOG_WARN,
  COPSE_LOG_INFO,
  COPSE_LOG_DEBUG,
  COPSE_LOG_TRACE
} copse_log_level;

/* How long a process that is to begin or to go may take. 0 stands for the default (in the options
 * of a spawn: for the runtime's own); who wants no patience at all says 1. */
typedef struct copse_rungs {
  uint32_t grace_ms; /* CANCEL to SIGTERM; default 3000 */
  uint32_t term_ms;  /* SIGTERM to SIGKILL; default 500 */
  uint32_t boot_ms;  /* exec to STARTED of copse.actor; default 30000 */
} copse_rungs;

/* All fields but `size` may be zero. */
typedef struct copse_config {
  size_t size;     /* sizeof(copse_config) */
  uv_loop_t *loop; /* NULL: an own one */
  /* A root's name; NULL: "root". A child's is given by its parent. */
  const char *name;
  /* Zero fields are defaults; that of `frame` is 64 bytes more than the protocol's. */
  copse_limits limits;
  copse_rungs rungs;
  /* With log_level_set this level; else that of COPSE_LOG; else COPSE_LOG_WARN. A parent that says
   * another has the last word. */
  copse_log_level log_level;
  bool log_level_set;
  /* Address of a root's registrar; NULL: itself. */
  const char *registrar;
  /* A child, too, is a registrar: of itself, its children and whoever else asks it. */
  bool registrar_here;
  /* Addresses to listen on besides the tree's own socket, up to a NULL. May be NULL. */
  const char *const *listen;
  /* A root without a runtime directory: `copse tree` cannot find it. */
  bool no_rundir;
  /* COPSE_LINK is not looked at: this is a root. */
  bool ignore_env;
  /* Raises the soft limit of open descriptors to the hard one (65536 at most) for this process;
   * those it spawns get back what it was. A parent needs three for each child. */
  bool raise_files;
  /* The process exits when it is done with copse_run and copse_free. What the system takes back by
   * itself then is left to it: memory, the loop, and in a child that has said all, the link and the
   * watchdog, which thus watches to the end. Of no effect with a loop of the caller's own. Not for
   * a program whose leaks are counted. */
  bool exits;
} copse_config;

/* Makes this process an actor; one runtime per process. A child takes COPSE_* out of its
 * environment, marks and hides the descriptors of its link, and starts its watchdog. SIGPIPE kills
 * no longer: left at its default, it gets a handler that does nothing. `config` may be NULL.
 * COPSE_ENOMEM, COPSE_EINVAL (config), COPSE_ESYSTEM, COPSE_EADDRESS (COPSE_LINK is malformed);
 * *why (unless NULL) is then a text that says what was wrong, or NULL, to be freed with free(). */
COPSE_API copse_status copse_new(copse **rt, const copse_config *config, char **why);

/* Called once, when this actor may work: in a root at once, in a child when its parent has opened
 * copse.actor. `scope` is the actor's root scope: what is opened in it belongs to the actor.
 * `config` is the map that the parent gave, empty in a root. It, or something that it started,
 * calls copse_ready (a child then answers STARTED), and copse_main_done when its work is done. */
typedef void (*copse_main_cb)(copse *rt, copse_scope *scope, copse_bytes config, void *arg);

/* Drives the loop until the root scope has ended and every child is reaped. Blocks. The result is
 * the status that the process should exit with: 0 after success or cancellation, 1 after an error.
 * Nothing is printed: copse_result_error has the error. */
COPSE_API int copse_run(copse *rt, copse_main_cb main, void *arg);

/* The error that ended the root scope, or NULL; borrowed, until copse_free. *cancelled (unless
 * NULL) tells whether the actor was cancelled. */
COPSE_API copse_error *copse_result_error(copse *rt, bool *cancelled);

/* Frees everything, after copse_run has returned. Accepts NULL. */
COPSE_API void copse_free(copse *rt);

/* This actor accepts contexts from now on; a child sends STARTED. In a root the return of main
 * implies it. Calling it again does nothing. */
COPSE_API void copse_ready(copse *rt);

/* This actor's own work is over, with an error (taken) or NULL. `value` is what a child RETURNs to
 * its parent (empty: nil). A child goes on serving until its parent says END, a root until its root
 * scope is empty. */
COPSE_API void copse_main_done(copse *rt, copse_bytes value, copse_error *error);

/* Cancels this whole actor, as a CANCEL of its parent or a signal would. */
COPSE_API void copse_shutdown(copse *rt, copse_origin origin, const char *message);

COPSE_API copse_scope *copse_root_scope(copse *rt);
COPSE_API uv_loop_t *copse_loop(copse *rt);
COPSE_API const copse_ref *copse_self(copse *rt); /* with its addresses; borrowed */
COPSE_API bool copse_is_root(copse *rt);
COPSE_API copse_peer *copse_parent(copse *rt); /* NULL in a root */
COPSE_API void *copse_data(copse *rt);         /* the caller's own; NULL at first */
COPSE_API void copse_set_data(copse *rt, void *data);

/* The loop's monotonic clock, in milliseconds. */
COPSE_API uint64_t copse_now(copse *rt);
/* Makes the loop turn; from any thread, or from a signal handler. */
COPSE_API void copse_wake(copse *rt);

/* A function to be called from the next turn. The memory is the caller's, zero before its first
 * use, and stays valid until the call or copse_unpost. */
typedef struct copse_job {
  void (*cb)(struct copse_job *job);
  struct copse_job *next, *prev; /* private */
} copse_job;

/* Jobs run in the order in which they were posted. To post a pending one again does nothing. */
COPSE_API void copse_post(copse *rt, copse_job *job);
/* Takes a pending job back. Harmless when it is none. */
COPSE_API void copse_unpost(copse *rt, copse_job *job);

/* One line of the log, on standard error. */
COPSE_API void copse_log(copse *rt, copse_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
COPSE_API copse_log_level copse_log_get_level(copse *rt);
/* Reads one of: error warn info debug trace. *ok (unless NULL) tells whether it was. */
COPSE_API copse_log_level copse_log_parse(const char *text, bool *ok);

/* --- scopes ----------------------------------------------------------------------------------- */

typedef struct copse_scope_options {
  /* From now; -1: none. Expired, it cancels the scope, whose outcome is the error `deadline`. */
  int64_t deadline_ms;
  /* Cancellation from outside reaches the scope only after that many milliseconds (the grace is a
   * bound to it); -1: at once. */
  int64_t shield_ms;
  /* For logs and trees; may be NULL. */
  const char *name;
} copse_scope_options;
#define COPSE_SCOPE_OPTIONS                                                                        \
  { -1, -1, NULL }

/* How a scope ended, told in the turn, before its parent can end; the scope is freed afterwards.
 * error: NULL, the one error, or a group; borrowed. cancelled: somebody cancelled it, from inside
 * or outside; what its own error or its own deadline did to it, only `error` tells. */
typedef void (*copse_scope_done_cb)(copse_scope *scope, copse_error *error, bool cancelled,
                                    void *arg);

/* A scope inside another, as a member of it. `done` is called when it was sealed and all its
 * members have left. Its error does NOT go to the parent by itself: `done` decides, and usually
 * calls copse_scope_fail(parent, error), or raises it in the code that waits. With done == NULL
 * errors go to the parent. `options` may be NULL: no deadline, no shield. In a cancelled parent a
 * new scope is born cancelled. NULL when memory is short or the parent has ended. */
COPSE_API copse_scope *copse_scope_new(copse *rt, copse_scope *parent,
                                       const copse_scope_options *options, copse_scope_done_cb done,
                                       void *arg);

/* The body of the scope is over, with an error (taken) or NULL: it starts nothing more. An error
 * cancels the rest. When only services are left (child processes, registrations, kept links), all
 * of them are told to finish at once, and awaited. */
COPSE_API void copse_scope_seal(copse_scope *scope, copse_error *error);

/* Something in the scope failed: keeps the error (taken) and cancels the rest (origin error). The
 * same death told twice (`died` of one actor) is one error. */
COPSE_API void copse_scope_fail(copse_scope *scope, copse_error *error);

/* Cancels the scope and all below it. The first cause stands. grace_ms -1 means the default; a
 * repeat can only shorten it. */
COPSE_API void copse_scope_cancel(copse_scope *scope, copse_origin origin, const char *message,
                                  int64_t grace_ms);

/* Cancelled, itself or by an ancestor, and not shielded: every wait in it must fail. */
COPSE_API bool copse_scope_is_cancelled(const copse_scope *scope);
/* The first cause, borrowed; NULL while it is not cancelled. */
COPSE_API const copse_cause *copse_scope_cause(const copse_scope *scope);
/* Milliseconds left until the tightest deadline of it and its ancestors; -1: none. */
COPSE_API int64_t copse_scope_remaining(const copse_scope *scope);
COPSE_API copse_scope *copse_scope_parent(const copse_scope *scope);

/* What a member is told, from the turn. Both may be NULL. */
typedef struct copse_member_cbs {
  /* The scope is cancelled, perhaps since before the member joined. Called once. */
  void (*cancel)(copse_member *member, void *arg);
  /* Not NULL: the member is a service. It does not keep the scope from finishing, and is told so by
   * this when the scope is sealed and only services are left. */
  void (*finish)(copse_member *member, void *arg);
} copse_member_cbs;

/* Joins a scope, which then waits for this member. NULL: memory is short, or it has ended. */
COPSE_API copse_member *copse_scope_join(copse_scope *scope, const copse_member_cbs *cbs,
                                         void *arg);
/* Leaves, with an error for the scope (taken) or NULL. The member is gone. */
COPSE_API void copse_member_leave(copse_member *member, copse_error *error);
COPSE_API copse_scope *copse_member_scope(copse_member *member);

/* --- contexts: opening ------------------------------------------------------------------------ */

typedef enum copse_outcome_kind {
  COPSE_RETURNED,
  COPSE_FAILED,
  COPSE_WAS_CANCELLED
} copse_outcome_kind;

/* How a context ended. All of it is borrowed. */
typedef struct copse_outcome {
  copse_outcome_kind kind;
  copse_bytes value;        /* RETURNED */
  copse_error *error;       /* FAILED */
  const copse_cause *cause; /* WAS_CANCELLED */
  bool ran;                 /* WAS_CANCELLED: whether user code ran */
} copse_outcome;

/* What an end of a context is told. All may be NULL; `arg` is the pointer that
 * copse_context_set_data sets. */
typedef struct copse_context_cbs {
  /* Opener: the callee has STARTED, with this value. */
  void (*started)(copse_context *ctx, copse_bytes value, void *arg);
  /* One item. The window is replenished as items are consumed: this one is when the result is true;
   * after false call copse_consumed later. */
  bool (*item)(copse_context *ctx, copse_bytes value, void *arg);
  void (*end)(copse_context *ctx, void *arg);      /* the peer sends no more */
  void (*stopped)(copse_context *ctx, void *arg);  /* the peer reads no more */
  void (*writable)(copse_context *ctx, void *arg); /* after COPSE_EAGAIN: try again */
  /* Callee: its scope was cancelled. The handler cleans up and then ends the context, usually with
   * copse_cancelled. Where this is NULL the runtime ends it as cancelled. */
  void (*cancel)(copse_context *ctx, void *arg);
  /* Once, and last: `ctx` is gone afterwards. An opener is told the outcome. It returns true if it
   * took care of a failure; with false an error (and a cancellation that nobody here asked for)
   * goes to the scope the context was opened in. A callee is told what was sent: its handler is
   * done, all in its scope has ended, and the terminal is sent or the link lost. */
  bool (*done)(copse_context *ctx, const copse_outcome *outcome, void *arg);
} copse_context_cbs;

typedef struct copse_open_options {
  const char *target;
  /* Encoded array or map; empty: absent. */
  copse_bytes args;
  /* I will send items, and then say copse_end. */
  bool send;
  /* How much I take at once. Zero items: I read none. Zero bytes of items: 262144 bytes. More than
   * 2^53-1, as UINT64_MAX, is no limit. */
  copse_credit window;
  /* When it expires the outcome is the error `deadline`; -1: only what the scope has. */
  int64_t deadline_ms;
  /* NULL: that of the context which the scope belongs to, if any. */
  const char *traceparent;
  copse_bytes meta;
  copse_context_cbs cbs;
  void *data; /* as by copse_context_set_data */
} copse_open_options;
#define COPSE_OPEN_OPTIONS                                                                         \
  { NULL, {NULL, 0}, false, {0, 0}, -1, NULL, {NULL, 0}, {0}, NULL }
#define COPSE_WINDOW_DEFAULT                                                                       \
  { 256, 262144 }

/* Opens a context on a peer, inside a scope, which does not end before the outcome; cancelling the
 * scope cancels the context, and that has an answer. Deadline and traceparent are inherited. `ctx`
 * may be NULL. Errors, with nothing opened: COPSE_ECANCELLED (the scope is), COPSE_ELIMIT,
 * COPSE_ETOOLARGE, COPSE_EVALUE, COPSE_EINVAL, COPSE_ECLOSED (the link is gone or closing),
 * COPSE_ENOMEM. A failure of the far side comes as the outcome. */
COPSE_API copse_status copse_open(copse_peer *peer, copse_scope *scope,
                                  const copse_open_options *options, copse_context **ctx);

/* A call: a context that neither sends nor reads items. Errors as of copse_open. */
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

/* Cancels this context alone. Its CANCELLED is then absorbed: `done` is told, the scope is not. */
COPSE_API copse_status copse_cancel(copse_context *ctx, copse_origin origin, const char *message,
                                    int64_t grace_ms);

/* --- contexts: both ends ---------------------------------------------------------------------- */

/* Sends an item. COPSE_EAGAIN: no credit, or enough is queued; `writable` will tell. The others are
 * those of copse_wire_send. */
COPSE_API copse_status copse_send(copse_context *ctx, copse_bytes value);
/* The same for a bin, without copies where possible. */
COPSE_API copse_status copse_send_bin(copse_context *ctx, const void *data, size_t size);
/* The same for a str; COPSE_EVALUE if the text is not UTF-8. */
COPSE_API copse_status copse_send_str(copse_context *ctx, const char *text, size_t size);
COPSE_API copse_status copse_end(copse_context *ctx);  /* I send no more items */
COPSE_API copse_status copse_stop(copse_context *ctx); /* I read no more */

/* What was consumed of items for which the callback `item` said false. */
COPSE_API void copse_consumed(copse_context *ctx, uint64_t items, uint64_t bytes);
/* The next item, if it is here already and nothing else of the link stands before it: for a loop
 * that takes items as it needs them. It counts as consumed; the view is valid until the caller
 * returns to the loop. False: the callback will come. */
COPSE_API bool copse_next_item(copse_context *ctx, copse_bytes *value);

COPSE_API void *copse_context_data(const copse_context *ctx);
COPSE_API void copse_context_set_data(copse_context *ctx, void *data);
COPSE_API void copse_context_set_cbs(copse_context *ctx, const copse_context_cbs *cbs);
COPSE_API copse_peer *copse_context_peer(const copse_context *ctx);
COPSE_API uint64_t copse_context_id(const copse_context *ctx);
COPSE_API copse *copse_context_runtime(const copse_context *ctx);
/* The opener's is the scope it was opened in. A callee has its own, in which the handler opens,
 * spawns and waits. */
COPSE_API copse_scope *copse_context_scope(const copse_context *ctx);

/* --- contexts: serving ------------------------------------------------------------------------ */

/* Whose contexts an export is for, by how their link came about. */
#define COPSE_FROM_PARENT 1u
#define COPSE_FROM_CHILD 2u
#define COPSE_FROM_LOCAL 4u  /* a unix socket, same user */
#define COPSE_FROM_REMOTE 8u /* TCP with the token */
#define COPSE_FROM_ANYONE 15u

/* A context was opened on a target. `args` is valid during the call. The handler sets callbacks and
 * data as it needs, and ends the context, now or later. */
typedef void (*copse_handler)(copse_context *ctx, copse_bytes args, void *arg);

/* Exports a target, whose name does not begin with "copse.", to peers of the kinds in `from`;
 * replaces an earlier one. A `held` export exists to be held: END of the actor ends its contexts
 * with RETURN nil. COPSE_ENOMEM, COPSE_EINVAL. */
COPSE_API copse_status copse_export(copse *rt, const char *target, copse_handler handler, void *arg,
                                    unsigned from, bool held);

/* What came of looking a target up. */
typedef enum copse_lookup {
  COPSE_LOOKUP_NONE,  /* there is no such target: the runtime ends the context, no_target */
  COPSE_LOOKUP_FOUND, /* a handler was called, which ends the context, or has; or it has failed */
  COPSE_LOOKUP_LATE   /* cancelled before a handler could begin: the runtime ends the context and
                       * says that nothing ran, after which the opener may try again ([CTX-007]) */
} copse_lookup;

/* Called for a target that nobody exported; bindings look it up then. It may begin the handler
 * before it returns. */
COPSE_API void copse_export_fallback(copse *rt,
                                     copse_lookup (*lookup)(copse_context *ctx, const char *target,
                                                            copse_bytes args, void *arg),
                                     void *arg);

/* Exactly one of these three says that the handler is done, once. The terminal leaves when
 * everything in the context's scope has ended; an error there replaces the value. */
COPSE_API void copse_return(copse_context *ctx, copse_bytes value);
/* The error is taken. */
COPSE_API void copse_fail(copse_context *ctx, copse_error *error);
/* Honest only if the scope is cancelled; else it becomes an error `cancelled`. */
COPSE_API void copse_cancelled(copse_context *ctx);

/* Sends STARTED with one value (empty: nil). Statuses of copse_wire_started. */
COPSE_API copse_status copse_started(copse_context *ctx, copse_bytes value);
/* Items are wanted: grants a window (none before this). Zero bytes of items: 262144 bytes. More
 * than 2^53-1, as UINT64_MAX, is no limit. COPSE_ESTATE (it has ended, or this is the opener),
 * COPSE_ECLOSED (the link is lost). */
COPSE_API copse_status copse_accept_items(copse_context *ctx, copse_credit window);
COPSE_API bool copse_context_reads(const copse_context *ctx);       /* the opener granted credit */
COPSE_API bool copse_context_sends(const copse_context *ctx);       /* the opener will send items */
COPSE_API copse_bytes copse_context_meta(const copse_context *ctx); /* borrowed; may be empty */

/* --- peers ------------------------------------------------------------------------------------ */

typedef enum copse_peer_state {
  COPSE_PEER_ALIVE,
  COPSE_PEER_SUSPENDED,    /* no frame for three heartbeats: it is a child, and stopped */
  COPSE_PEER_UNRESPONSIVE, /* the same without that excuse */
  COPSE_PEER_LOST
} copse_peer_state;

/* A peer, or an error: unreachable, denied, wrong_actor, version, deadline. Both are borrowed: the
 * peer until its link is lost or the scope ends, whichever comes first (see copse_peer_retain). */
typedef void (*copse_connect_cb)(copse *rt, copse_peer *peer, copse_error *error, void *arg);

/* Connects to an actor, by address (`unix:PATH`, `tcp:HOST:PORT` on loopback), by reference (the id
 * must then be its: wrong_actor), or by both. `done` is called once. The peer is a service of
 * `scope`: it is closed (BYE) when the scope finishes, unless others use the same link. `token` is
 * what a TCP listener demands; NULL: that of the file which COPSE_TOKEN_FILE names, or none.
 * COPSE_EADDRESS, COPSE_EDENIED (by policy), COPSE_ECANCELLED, COPSE_EINVAL, COPSE_ENOMEM. */
COPSE_API copse_status copse_connect(copse *rt, copse_scope *scope, const char *address,
                                     const copse_ref *ref, copse_bytes token, copse_connect_cb done,
                                     void *arg);

/* copse_connect by reference, where the parent and children are reached by the link there is. */
COPSE_API copse_status copse_reach(copse *rt, copse_scope *scope, const copse_ref *ref,
                                   copse_connect_cb done, void *arg);

/* Listens on an address. A unix socket gets mode 0600, and peers of another user are refused. TCP
 * needs a token of at least 16 bytes. COPSE_EADDRESS, COPSE_ESYSTEM, COPSE_EDENIED (TCP beyond
 * loopback needs TLS, which does not exist yet), COPSE_EINVAL (token); *why as of copse_new. */
COPSE_API copse_status copse_listen(copse *rt, const char *address, copse_bytes token, char **why);

/* Keeps a peer beyond the time for which it was borrowed, but not beyond copse_free. That does not
 * keep its link: when that is gone, copse_peer_alive says so and copse_open gives COPSE_ECLOSED.
 * Returns the peer. Each copse_peer_retain is taken back by one copse_peer_release (before
 * copse_free; NULL is accepted). Neither blocks nor fails. */
COPSE_API copse_peer *copse_peer_retain(copse_peer *peer);
COPSE_API void copse_peer_release(copse_peer *peer);

COPSE_API const copse_ref *copse_peer_ref(const copse_peer *peer); /* who it is; borrowed */
COPSE_API bool copse_peer_alive(const copse_peer *peer); /* its link stands and is not closing */
COPSE_API copse_peer_state copse_peer_get_state(const copse_peer *peer);
COPSE_API copse_child *copse_peer_child(const copse_peer *peer); /* NULL if it is not mine */

/* Measures the time from PING to PONG: `cb` gets it in microseconds, UINT64_MAX if the link is
 * lost. COPSE_EAGAIN while one is under way; COPSE_ECLOSED, COPSE_EINVAL, COPSE_ENOMEM. */
COPSE_API copse_status copse_peer_ping(copse_peer *peer,
                                       void (*cb)(copse_peer *peer, uint64_t us, void *arg),
                                       void *arg);
/* Runs the job when nothing that was said to the peer is left to be written, or its link is lost:
 * before an exit or an exec that does not wait for the tree. copse_unpost takes it back.
 * COPSE_ECLOSED: there is no link, and the job does not run. */
COPSE_API copse_status copse_peer_flush(copse_peer *peer, copse_job *job);
/* What its link is in: what was agreed, contexts open in both directions, traffic (copse/wire.h).
 * COPSE_ECLOSED: there is none. */
COPSE_API copse_status copse_peer_get_info(const copse_peer *peer, copse_wire_info *info);
/* The descriptors that its link reads and writes, often one and the same, to ask the system who is
 * at the other end: not to be used or closed. -1: none. */
COPSE_API void copse_peer_fds(const copse_peer *peer, int fds[2]);

/* --- children --------------------------------------------------------------------------------- */

typedef struct copse_spawn_options {
  size_t size;             /* sizeof(copse_spawn_options) */
  const char *name;        /* 1..64 bytes */
  const char *const *argv; /* the command; argv[0] is looked up in PATH */
  /* "K=V" up to a NULL, added to this process's environment; NULL: none. */
  const char *const *env;
  const char *cwd;    /* NULL: inherited */
  copse_bytes config; /* one map for the child's main; empty: none */
  copse_rungs rungs;  /* zero fields: the runtime's */
  const char *link;   /* "fd" (default), "stdio", "unix" */
  bool stdio_null;    /* stdout to /dev/null instead of inherited */
  bool stderr_keep;   /* stderr is kept for the error `died` only, and not passed on to ours */
  /* The command line of a template, see copse_template_serve; NULL: none. */
  const char *const *template_argv;
} copse_spawn_options;

typedef struct copse_spawn_cbs {
  /* The child is STARTED: contexts may be opened on copse_child_peer. */
  void (*ready)(copse_child *child, void *arg);
  /* It is gone and reaped, with everything below it; the outcome's value is what it RETURNed. True:
   * you took care of an error; false passes it to the scope. */
  bool (*done)(copse_child *child, const copse_outcome *outcome, void *arg);
} copse_spawn_cbs;

/* Spawns a process as a service of `scope`. It is told to finish when the scope is sealed and
 * nothing else is left in it, is cancelled with the scope, and killed by the ladder of its rungs if
 * it does not go. `child` may be NULL. Errors, with nothing spawned: COPSE_EINVAL,
 * COPSE_ECANCELLED, COPSE_ENOMEM. A command that cannot be executed is the outcome spawn_failed,
 * told by `done`. */
COPSE_API copse_status copse_spawn(copse *rt, copse_scope *scope,
                                   const copse_spawn_options *options, const copse_spawn_cbs *cbs,
                                   void *arg, copse_child **child);

/* What is opened on it before `ready` is held back until then, or fails with the child. */
COPSE_API copse_peer *copse_child_peer(copse_child *child);
COPSE_API const copse_ref *copse_child_ref(const copse_child *child);
COPSE_API pid_t copse_child_pid(const copse_child *child); /* 0 after it was reaped */
COPSE_API copse *copse_child_runtime(const copse_child *child);

COPSE_API void copse_child_finish(copse_child *child); /* END: finish your work, then exit */
/* CANCEL, then the ladder. Its CANCELLED is then no error. */
COPSE_API void copse_child_cancel(copse_child *child, copse_origin origin, const char *message,
                                  int64_t grace_ms);
COPSE_API void copse_child_kill(copse_child *child, int signal); /* for tests and the impatient */

/* Where many children run the same program, a template saves each of them its beginning: a process
 * that has done what they all do alike, and of which they are clones. Whoever spawns gives its
 * command line, the same in every call, besides that of the child. The latter is what a clone
 * shows, and what is executed for the first child, whenever a clone cannot be had, and whenever it
 * would inherit what has changed since (limits, processors, umask and the like). Only for children
 * whose link is "fd". The template is no actor; it ends with the runtime that has started it.
 *
 * A program that finds itself started by the template's command line prepares what it likes,
 * without a second thread, a libuv loop or descriptors, and calls this. It returns in the clones,
 * each a child of who has spawned it and in every respect as if it had just been executed: its
 * words are in *argc and *argv, which then live as long as the process. The template itself ends in
 * here. Blocks. COPSE_ESYSTEM, COPSE_ENOMEM; *why as of copse_new. */
COPSE_API copse_status copse_template_serve(int *argc, char ***argv, char **why);

/* --- registry --------------------------------------------------------------------------------- */

/* The three functions below fail at once, and call nothing, with COPSE_EINVAL (the name is too
 * long, empty or no UTF-8, or the scope has ended), COPSE_ECANCELLED (the scope is) or COPSE_ENOMEM. Errors
 * that callbacks are given are borrowed. */

/* Registers this actor under a name, as a service of `scope`: the name is gone when the scope
 * finishes or the actor dies. done(NULL): it is registered; else it is not. */
COPSE_API copse_status copse_register(copse *rt, copse_scope *scope, const char *name,
                                      void (*done)(copse_error *error, void *arg), void *arg);

/* Who is registered under a name; `count` may be 0. With `wait`, waits for the first. Cancelled
 * with the scope: the error is then `cancelled`. */
COPSE_API copse_status copse_find(copse *rt, copse_scope *scope, const char *name, bool wait,
                                  void (*done)(const copse_ref *refs, size_t count,
                                               copse_error *error, void *arg),
                                  void *arg);

/* Tells who is registered under a name (NULL: under any), until the scope ends. First a snapshot:
 * op 's' for each entry, then '.' once. Then changes: '+' and '-'. 'x' is the end, with an error.
 * `found` is the name under which `ref` is registered; both are views, NULL with '.' and 'x'. */
COPSE_API copse_status copse_watch(copse *rt, copse_scope *scope, const char *name,
                                   void (*event)(char op, const char *found, const copse_ref *ref,
                                                 copse_error *error, void *arg),
                                   void *arg);

/* Calls `cb` with the socket address of each root of this user that runs, as found in the runtime
 * directory, and returns how many there are. Sweeps what dead roots left. */
COPSE_API size_t copse_trees(void (*cb)(const char *address, const char *name, void *arg),
                             void *arg);

/* --- errors ----------------------------------------------------------------------------------- */

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

/* A new error, raised here: its actor is this process's once it is sent. Never fails: when memory
 * is short it is a constant `no_memory`. */
COPSE_API copse_error *copse_error_new(copse_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with everything said. NULL: absent. Copies strings and data, references the causes. */
COPSE_API copse_error *copse_error_make(const copse_error_info *info);
/* The error that a status of copse_open or copse_connect stands for (ELIMIT: busy, ECLOSED:
 * closing), by which nothing was begun. */
COPSE_API copse_error *copse_status_error(copse_status status, const char *what);
/* The error that a cancellation is which nobody here asked for: `cancelled`, or `deadline` where
 * that is its origin, raised where the cancelling began, with `origin` and `by` as data
 * (CANCEL-011). Never fails. */
COPSE_API copse_error *copse_cause_error(const copse_cause *cause);

/* Another reference; one less. Both accept NULL. */
COPSE_API copse_error *copse_error_ref(copse_error *error);
COPSE_API void copse_error_unref(copse_error *error);
/* What it says; borrowed, as long as the error lives. */
COPSE_API const copse_error_info *copse_error_get(const copse_error *error);
/* Whether nothing had been done, so that trying again is safe: it arose here, or it is a refusal of
 * the actor that was asked. One that this actor has passed on, or that its code has raised (it has a
 * stack), arose while the handler ran. */
COPSE_API bool copse_error_retry(const copse_error *error);
/* Appends the report for people: boxes with what was raised where, the stack, the path it came.
 * `colour` is for terminals; `width` is in columns, 0: 100. */
COPSE_API void copse_error_report(const copse_error *error, copse_buf *out, bool colour,
                                  unsigned width);

/* Appends the error map of the protocol. */
COPSE_API void copse_error_encode(const copse_error *error, copse_buf *out);
/* Reads one; NULL if it is malformed. */
COPSE_API copse_error *copse_error_decode(copse_bytes map);

/* --- hot code: for bindings of interpreters --------------------------------------------------- */

/* `interrupt` is called from a signal handler on the loop's thread, when user code has burnt 20 ms
 * of CPU without a turn of the loop and a link has input. It may only do async-signal-safe things:
 * set a hook of the interpreter. Costs nothing while nothing burns. */
COPSE_API void copse_set_interrupt(copse *rt, void (*interrupt)(void *arg), void *arg);
/* From that hook, in normal context: reads links, answers PING, applies cancellations to scopes,
 * and flushes. Callbacks stay queued. Views that the running callback was handed end here. */
COPSE_API void copse_pump(copse *rt);

#ifdef __cplusplus
}
#endif
#endif
