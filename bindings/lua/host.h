/* SPDX-License-Identifier: MIT
 *
 * host.h: what the files of the binding share.
 *
 * Three things carry the whole binding. A *task* is a Lua coroutine whose body runs under
 * lua_pcallk inside it, so that its to-be-closed variables run while it unwinds, and may wait. A
 * *frame* is an entry of a task's stack of scopes: a nursery, a timeout, an opened context; each
 * waits for its scope before it is popped. The *host* ties one lua_State to one runtime.
 *
 * Lua code runs from callbacks of the runtime (which come from the loop turn, never from inside
 * libuv's callbacks or from inside a call of ours), always inside lua_resume or lua_pcall. A
 * task has at most one pending wait.
 */
#ifndef COPSE_LUA_HOST_H
#define COPSE_LUA_HOST_H

#include <copse.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <uv.h>

typedef struct host host;
typedef struct task task;
typedef struct frame frame;
typedef struct guard guard;
typedef struct context context;
typedef struct peer peer;

/* --- the classes of userdata ------------------------------------------------------------------ */

#define CLASSES(X)                                                                                 \
  X(CANCELLED, "copse.cancelled")                                                                  \
  X(NULL, "copse.null")                                                                            \
  X(BIN, "copse.bin")                                                                              \
  X(EXT, "copse.ext")                                                                              \
  X(REF, "copse.ref")                                                                              \
  X(ERROR, "copse.error")                                                                          \
  X(ENDPOINT, "copse.endpoint")                                                                    \
  X(NURSERY, "copse.nursery")                                                                      \
  X(SCOPE, "copse.scope")                                                                          \
  X(CONTEXT, "copse.context")                                                                      \
  X(PEER, "copse.peer")                                                                            \
  X(EVENT, "copse.event")                                                                          \
  X(WATCH, "copse.watch")                                                                          \
  X(CALL, "copse.call")

typedef enum class_id {
#define X(id, name) CLASS_##id,
  CLASSES(X)
#undef X
      CLASS_COUNT
} class_id;

/* --- tasks ------------------------------------------------------------------------------------ */

typedef struct task_list {
  task *first, *last;
} task_list;

typedef enum frame_kind { FRAME_BASE, FRAME_SCOPED, FRAME_CONTEXT, FRAME_WATCH } frame_kind;

/* Why a frame is closed. */
typedef enum closing { CLOSE_NORMAL, CLOSE_FAILED, CLOSE_CANCELLED } closing;

struct frame {
  frame_kind kind;
  task *task;
  frame *outer;
  copse_scope *scope;   /* NULL once it has ended */
  copse_member *member; /* the task's own place in the scope, while its body runs */
  copse_error *error;   /* how the scope ended */
  bool closing, done;
  bool was_cancelled;
  peer *peers; /* handles that lose their peer when this scope ends */
};

/* One protected call of a task. While an error unwinds to it, an error of a __close replaces it
 * in Lua; the guard remembers the first one, which becomes the cause of the other. */
struct guard {
  guard *outer;
  copse_error *first; /* of those that passed the message handler */
  copse_error *error; /* how the body ended */
  bool cancelled;     /* it ended by the cancellation value */
  int results;        /* it ended well, with so many values */
};

typedef enum task_kind { TASK_PLAIN, TASK_HANDLER, TASK_MAIN } task_kind;

struct task {
  task_kind kind;
  host *host;
  lua_State *co;
  frame base;
  frame *top;
  guard guard; /* of the whole body */
  guard *innermost;
  task *next, *prev;
  task_list *list; /* where it is linked: the ready tasks, the waiters of something, or NULL */
  void (*unwait)(task *); /* set while an interruptible wait is pending: takes the task out of it */
  void *on;               /* what it waits for, for those who wake it */
  bool interrupted;       /* the pending wait is to raise the cancellation */
  uint64_t wake_at;       /* sleeping: when, */
  size_t heap_index;      /* and where in the heap */
  copse_bytes incoming;   /* the item it was woken with: a view, valid until it first waits again */
  bool has_incoming;
  context *handles;   /* TASK_HANDLER: its context, NULL for a plain function */
  copse_context *ctx; /* TASK_HANDLER: until its terminal or the loss */
  copse_buf result;   /* TASK_HANDLER, TASK_MAIN: the encoded value */
  char site[160];     /* where it was started */
};

/* --- the host --------------------------------------------------------------------------------- */

struct host {
  lua_State *L;  /* the main thread */
  copse *rt;     /* NULL while nothing runs */
  unsigned runs; /* how many times something ran: handles of an earlier run are dead */
  task *current; /* whose Lua code is running now */
  lua_State *volatile running; /* the innermost coroutine of it, for the interrupt */
  task_list ready;
  copse_job drain;
  size_t task_count;
  copse_buf scratch; /* for encoding: used up before anything that may collect garbage, since a
                      * finalizer may encode, too */
  uv_timer_t timer;
  bool timer_open;
  task **sleepers; /* a heap by wake_at */
  size_t sleeper_count, sleeper_capacity;
  const void *classes[CLASS_COUNT]; /* identities of the metatables */
  char *command;                    /* how Lua actors are started */
  bool stock;                       /* by a stock interpreter: -e ... instead of run ... */
  char *module, *file;              /* the program of this actor, where it is known */
  bool exiting;                     /* os.exit was called */
  int exit_status;
  copse_config config;
};

/* The one host of this process: the runtime is one per process, too, and a signal handler needs
 * a way in. */
extern host *copse__lua_host;

/* host.c */
void *copse__lua_new(lua_State *L, size_t size, int values, class_id id);
void *copse__lua_test(lua_State *L, int index, class_id id);  /* NULL if it is none */
void *copse__lua_check(lua_State *L, int index, class_id id); /* raises an argument error */
void copse__lua_class(lua_State *L, class_id id, const luaL_Reg *meta, const luaL_Reg *methods);
void copse__lua_push_cancelled(lua_State *L);
void copse__lua_push_null(lua_State *L);
/* Keeps a userdata alive while C refers to it, under its address. The second never raises. */
void copse__lua_anchor(lua_State *L, int index, const void *key);
void copse__lua_release(host *h, const void *key);
bool copse__lua_push_anchored(lua_State *L, const void *key); /* false, and nothing pushed: none */
copse *copse__lua_runtime(lua_State *L);                      /* raises when nothing runs */
/* Runs fn(L, arg) protected on the main thread; false when it raised (of which only memory is
 * possible). */
bool copse__lua_protected(host *h, lua_CFunction fn, void *arg);
/* Seconds (a number) to milliseconds, at least 1 unless it is 0; raises an argument error. */
int64_t copse__lua_milliseconds(lua_State *L, int index, const char *what);
/* The string at `index`, which belongs to the argument `arg`: raises an argument error if it has a
 * zero byte, where C would take it to end, or is none. */
const char *copse__lua_check_text(lua_State *L, int index, int arg);
/* The argument `arg`, a name: the same, and 1 to 64 bytes of UTF-8. */
const char *copse__lua_check_name(lua_State *L, int arg);
/* Raises an error if the table at `index` has a field whose name is not among those (NULL ends
 * them): what was misspelt would go unheard. */
void copse__lua_check_options(lua_State *L, int index, const char *what, const char *const *names);
/* Milliseconds from the seconds in an optional field of the table at `index`; `none` if absent. */
int64_t copse__lua_field_ms(lua_State *L, int index, const char *field, int64_t none);

/* task.c */
void copse__lua_open_task(lua_State *L);
/* Creates a task in a scope. The stack of L holds the function and `nargs` arguments, which are
 * taken. Raises when memory is short; NULL (and the arguments taken) when the scope has ended. */
task *copse__lua_task_new(lua_State *L, task_kind kind, copse_scope *scope, int nargs);
void copse__lua_task_ready(task *t);  /* it runs from the next loop turn */
void copse__lua_task_resume(task *t); /* now: only from callbacks of the runtime */
/* The current task, if a wait is possible here; raises if not. Without `wait`, only that there
 * is one. */
task *copse__lua_task(lua_State *L);
task *copse__lua_task_any(lua_State *L);
/* Raises the cancellation if the task's innermost scope is cancelled. */
void copse__lua_checkpoint(lua_State *L, task *t);
int copse__lua_cancel(lua_State *L); /* raises it */
/* Waits in a list until somebody takes it out and resumes it. Use: return copse__lua_wait(...).
 * In `k` call copse__lua_resumed first. */
int copse__lua_wait(lua_State *L, task *t, task_list *list, lua_KContext ctx, lua_KFunction k);
/* Waits on what cannot be interrupted (its end is certain: the runtime cancels what it waits
 * for). */
int copse__lua_wait_on(lua_State *L, task *t, void *on, lua_KContext ctx, lua_KFunction k);
/* Waits on something that `unwait` takes it out of. */
int copse__lua_wait_with(lua_State *L, task *t, void *on, void (*unwait)(task *), lua_KContext ctx,
                         lua_KFunction k);
task *copse__lua_resumed(lua_State *L);
void copse__lua_list_add(task_list *list, task *t);
void copse__lua_list_remove(task *t);
void copse__lua_interrupt(void *arg);
void copse__lua_message_stack(lua_State *L,
                              const char *message); /* pushes a traceback with the spawn site */

/* wait.c */
void copse__lua_open_wait(lua_State *L, int lib);
void copse__lua_timer_close(host *h);

/* output.c */
void copse__lua_open_output(lua_State *L);
/* Whether this, and all of a group, is that nobody reads what is printed. */
bool copse__lua_output_lost(const copse_error *error);

/* scope.c */
void copse__lua_open_scope(lua_State *L, int lib);
int copse__lua_message_handler(lua_State *L);
/* The end of a protected body: fills the guard from what lua_pcallk gave. On failure the stack
 * is cut to `keep` and the error value pushed. */
void copse__lua_guard_enter(task *t, guard *g);
void copse__lua_guard_leave(lua_State *L, task *t, guard *g, int status, int keep);
/* Opens a frame: a scope inside the task's innermost one. Raises when memory is short. */
void copse__lua_frame_open(lua_State *L, task *t, frame *f, frame_kind kind,
                           const copse_scope_options *o);
/* Takes part in an existing scope as the body of a task. False when it has ended. */
bool copse__lua_frame_base(task *t, copse_scope *scope);
/* Closes the frames above `until` (and itself if `inclusive`), adding their errors to *error.
 * False: the task must wait on (copse__lua_wait_on(t->on)) and call it again. */
bool copse__lua_unwind(task *t, frame *until, bool inclusive, closing why, copse_error **error);
/* Whether a context or watch may be closed by unwinding to its frame: nothing is above it, or only
 * contexts and watches that are cancelled with it. What was opened later and is in use stays; and
 * never is a frame taken off whose body still runs. */
bool copse__lua_frame_is_last(const frame *f);
/* Takes a frame out of the stack, wherever it lies, and waits for nothing: its scope ends after
 * those that were opened inside it, and what fails in it until then goes to the scope around. */
void copse__lua_frame_drop(frame *f);
/* The nursery of a scope that is not a task's own frame: the actor's. */
void copse__lua_push_scope_nursery(lua_State *L, copse_scope *scope);
copse_scope *copse__lua_nursery_scope(lua_State *L, int index, frame **f);

/* error.c */
void copse__lua_open_error(lua_State *L, int lib);
/* Pushes an error object for `error`, which it references. */
void copse__lua_push_error(lua_State *L, copse_error *error);
/* Raises it and takes the reference. */
int copse__lua_raise(lua_State *L, copse_error *error);
int copse__lua_raise_status(lua_State *L, copse_status status, const char *what);
/* What an error value stands for: a new reference. `stack` (may be NULL) is used when it has
 * none yet. */
copse_error *copse__lua_error_of(lua_State *L, int index, const char *stack);
/* `error` with `cause` added to its causes unless it is there; takes both. */
copse_error *copse__lua_error_because(copse_error *error, copse_error *cause);

/* value.c */
void copse__lua_open_value(lua_State *L, int lib);
/* Appends the value at `index`; raises an error that names where in the value it is wrong. */
void copse__lua_encode(lua_State *L, int index, copse_buf *out);
/* Appends values first..last as an array. */
void copse__lua_encode_array(lua_State *L, int first, int last, copse_buf *out);
/* The same as a map, whatever the table looks like ({} included). */
void copse__lua_encode_map(lua_State *L, int index, copse_buf *out);
/* Raises when the buffer has failed. */
void copse__lua_check_buf(lua_State *L, const copse_buf *buf);
/* Pushes a checked value; no bytes are nil. `item`: nil becomes copse.null. */
void copse__lua_decode(lua_State *L, copse_bytes value, bool item);
/* Pushes the elements of an array and returns how many, or one value. -1: too many. */
int copse__lua_decode_args(lua_State *L, copse_bytes args);
void copse__lua_push_ref(lua_State *L, const copse_ref *ref);
/* Whether the bytes are UTF-8 as the protocol wants it: no overlong forms, no surrogates. */
bool copse__lua_is_utf8(const char *text, size_t size);
/* A copse.bin that is better sent from where it lies, by copse_send_bin. */
bool copse__lua_is_large_bin(lua_State *L, int index, const char **data, size_t *size);

/* context.c */
void copse__lua_open_context(lua_State *L, int lib);
copse_lookup copse__lua_lookup(copse_context *ctx, const char *target, copse_bytes args, void *arg);
void copse__lua_handler_done(task *t);
int copse__lua_peer_open(lua_State *L);
void copse__lua_context_close(frame *f, closing why);
bool copse__lua_context_silent(frame *f, closing why);
void copse__lua_context_popped(frame *f);

/* peer.c */
struct peer {
  copse_peer *peer;   /* NULL: gone */
  copse_child *child; /* NULL: not spawned here, or gone */
  copse_error *gone;  /* how a child ended, if badly */
  copse_ref ref;
  int64_t pid;
  task *spawning; /* waits for ready */
  frame *frame;   /* in whose list of peers it is */
  peer *next, *prev;
  bool ready, ended;
  unsigned run;      /* of the host */
  task_list waiting; /* for its end */
};
void copse__lua_open_peer(lua_State *L, int lib);
peer *copse__lua_push_peer(lua_State *L, copse_peer *cp, frame *f);
void copse__lua_forget_peers(frame *f);                    /* its handles lose their peers */
copse_peer *copse__lua_live_peer(lua_State *L, int index); /* raises when it is gone */
/* The target and options of call and open at `index`: a string or a table { target, window =,
 * deadline =, ... }. */
void copse__lua_target(lua_State *L, int index, copse_open_options *o);
/* Encodes arguments (the values after the target up to `last`, or its field `args`) and meta into
 * the host's buffer. */
void copse__lua_encode_opening(lua_State *L, int target, int last, copse_open_options *o);
/* The option `window` of the table at `index`, if it is there. */
void copse__lua_field_window(lua_State *L, int index, copse_credit *window);

/* spawn.c */
int copse__lua_spawn(lua_State *L);

/* registry.c */
void copse__lua_open_registry(lua_State *L, int lib);
void copse__lua_watch_close(frame *f);
void copse__lua_watch_popped(frame *f);

/* run.c */
void copse__lua_open_run(lua_State *L, int lib);
void copse__lua_push_exports(lua_State *L); /* the module's table, or nil */
/* What runs here, to be spawned again: a module or a file; both NULL where it is not known. */
void copse__lua_program(const char **module, const char **file);

#endif
