/* SPDX-License-Identifier: MIT
 *
 * scope.c: the stack of scopes of a task.
 *
 * copse.nursery, copse.timeout and copse.shield are one function with different options: open a
 * scope inside the innermost one, run the body under lua_pcallk, seal the scope with the body's
 * error, wait until all in it has ended, and only then return the body's values or raise. An
 * opened context pushes such a frame, too, and is closed by its __close; what a body leaves open
 * is closed when the body ends, innermost first.
 *
 * How it ends is decided by the scope, not by the body: a body that was interrupted because its
 * sibling failed ends by the cancellation value, and the scope's outcome is the sibling's error.
 * The body's own error is part of the outcome; when it is the whole of it, the very value that
 * was raised is raised again.
 */
#include "host.h"

#include <string.h>

typedef struct nursery {
  frame frame;
  guard guard;
  bool shield;
  copse_scope *borrowed; /* not a frame: the actor's own scope, */
  unsigned run;          /* in this run of the host */
} nursery;

/* --- frames ----------------------------------------------------------------------------------- */

/* The innermost frame of a waiting task was cancelled: its wait ends. A deeper frame gets its
 * own call. */
static void frame_cancelled(copse_member *member, void *arg) {
  (void)member;
  frame *f = arg;
  task *t = f->task;
  if (!t || t->top != f || !t->unwait) return;
  t->unwait(t);
  t->unwait = NULL;
  t->interrupted = true;
  copse__lua_task_resume(t);
}

static const copse_member_cbs body_cbs = {.cancel = frame_cancelled};

static void frame_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  frame *f = arg;
  f->scope = NULL;
  f->done = true;
  f->was_cancelled = cancelled;
  if (!f->task) { /* dropped: what failed in it since is for the scope around */
    if (error) copse_scope_fail(copse_scope_parent(scope), copse_error_ref(error));
    copse__lua_release(copse__lua_host, f);
    return;
  }
  f->error = error ? copse_error_ref(error) : NULL;
  if (f->task->on == f) copse__lua_task_resume(f->task);
}

void copse__lua_frame_open(lua_State *L, task *t, frame *f, frame_kind kind,
                           const copse_scope_options *o) {
  host *h = t->host;
  copse__lua_anchor(L, -1, f);
  f->kind = kind;
  f->task = t;
  f->scope = copse_scope_new(h->rt, t->top->scope, o, frame_done, f);
  if (f->scope) f->member = copse_scope_join(f->scope, &body_cbs, f);
  if (!f->member) {
    if (f->scope) {
      f->task = NULL;
      copse_scope_seal(f->scope, NULL);
    } else {
      copse__lua_release(h, f);
    }
    copse__lua_raise(L, copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory for a scope"));
  }
  f->outer = t->top;
  t->top = f;
}

bool copse__lua_frame_base(task *t, copse_scope *scope) {
  t->base.scope = scope;
  t->base.member = copse_scope_join(scope, &body_cbs, &t->base);
  return t->base.member != NULL;
}

/* The body of this frame is over: its scope is sealed, and told to end if it was not left in
 * peace. */
static void frame_close(frame *f, closing why) {
  if (f->closing) return;
  f->closing = true;
  if (f->kind == FRAME_CONTEXT) copse__lua_context_close(f, why);
  if (f->kind == FRAME_WATCH) copse__lua_watch_close(f);
  if (why == CLOSE_FAILED) copse_scope_cancel(f->scope, COPSE_ORIGIN_ERROR, NULL, -1);
  if (why == CLOSE_CANCELLED) copse_scope_cancel(f->scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_member *member = f->member;
  f->member = NULL;
  copse_member_leave(member, NULL);
  copse_scope_seal(f->scope, NULL);
}

/* Only once it is done. The error is the caller's. */
static copse_error *frame_pop(frame *f) {
  copse_error *error = f->error;
  f->error = NULL;
  f->task->top = f->outer;
  copse__lua_forget_peers(f);
  if (f->kind == FRAME_CONTEXT) copse__lua_context_popped(f);
  if (f->kind == FRAME_WATCH) copse__lua_watch_popped(f);
  copse__lua_release(f->task->host, f);
  return error;
}

bool copse__lua_unwind(task *t, frame *until, bool inclusive, closing why, copse_error **error) {
  for (;;) {
    frame *f = t->top;
    if (f == until && !inclusive) return true;
    frame_close(f, *error ? CLOSE_FAILED : why);
    if (!f->done) {
      t->on = f;
      return false;
    }
    bool silent = f->kind == FRAME_CONTEXT && copse__lua_context_silent(f, why);
    bool last = f == until;
    copse_error *e = frame_pop(f);
    if (e && silent) copse_error_unref(e);
    else if (e) *error = copse__lua_error_because(e, *error);
    if (last) return true;
  }
}

bool copse__lua_frame_is_last(const frame *f) {
  const frame *above = f->task->top;
  if (above != f && !(f->scope && copse_scope_is_cancelled(f->scope))) return false;
  for (; above != f; above = above->outer)
    if (above->kind == FRAME_SCOPED) return false;
  return true;
}

void copse__lua_frame_drop(frame *f) {
  frame **at = &f->task->top;
  while (*at != f) at = &(*at)->outer;
  *at = f->outer;
  f->task = NULL;
  copse__lua_forget_peers(f);
  if (f->kind == FRAME_CONTEXT) copse__lua_context_popped(f);
  if (f->kind == FRAME_WATCH) copse__lua_watch_popped(f);
  if (f->member) copse_member_leave(f->member, NULL);
  f->member = NULL;
  if (f->scope) copse_scope_seal(f->scope, NULL);
}

/* --- guards ----------------------------------------------------------------------------------- */

void copse__lua_guard_enter(task *t, guard *g) {
  g->outer = t->innermost;
  t->innermost = g;
}

/* Runs at the point of the error, before anything unwinds: what is raised becomes an error
 * object with the traceback (tables stay themselves, and their error object is remembered). */
int copse__lua_message_handler(lua_State *L) {
  if (copse__lua_test(L, 1, CLASS_CANCELLED)) return 1;
  copse__lua_message_stack(L, NULL);
  const char *stack = lua_tostring(L, -1);
  copse_error *error = copse__lua_error_of(L, 1, stack);
  task *t = copse__lua_host->current;
  guard *g = t ? t->innermost : NULL;
  if (g && !g->first) g->first = copse_error_ref(error);
  if (lua_type(L, 1) == LUA_TTABLE) {
    copse_error_unref(error);
    lua_settop(L, 1);
    return 1;
  }
  copse__lua_push_error(L, error);
  copse_error_unref(error);
  return 1;
}

void copse__lua_guard_leave(lua_State *L, task *t, guard *g, int status, int keep) {
  t->innermost = g->outer;
  copse_error *first = g->first;
  g->first = NULL;
  if (status == LUA_OK || status == LUA_YIELD) {
    g->results = lua_gettop(L) - keep;
    if (first) copse_error_unref(first);
    return;
  }
  lua_insert(L, keep + 1);
  lua_settop(L, keep + 1);
  if (copse__lua_test(L, -1, CLASS_CANCELLED)) {
    g->cancelled = !first;
    if (first) { /* an error that a cancellation in a __close has replaced is not dropped */
      g->error = first;
      lua_settop(L, keep);
      copse__lua_push_error(L, first);
    }
    return;
  }
  if (status == LUA_ERRMEM) {
    g->error = copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory");
    if (first) copse_error_unref(first);
    lua_settop(L, keep);
    copse__lua_push_error(L, g->error);
    return;
  }
  g->error = copse__lua_error_of(L, -1, NULL);
  if (!first) return;
  copse_error *last = g->error;
  g->error = copse__lua_error_because(last, first);
  if (g->error == last) return;
  lua_settop(L, keep);
  copse__lua_push_error(L, g->error);
}

/* --- nursery, timeout, shield ----------------------------------------------------------------- */

/* [1] nursery, [2] message handler, then the values of the body, or the error value. */
static int scoped_done(lua_State *L, int status, lua_KContext again) {
  task *t = copse__lua_host->current;
  nursery *n = lua_touserdata(L, 1);
  guard *g = &n->guard;
  frame *f = &n->frame;
  if (!again) copse__lua_guard_leave(L, t, g, status, 2);
  if (!f->closing) {
    closing why = g->error ? CLOSE_FAILED : g->cancelled ? CLOSE_CANCELLED : CLOSE_NORMAL;
    copse_error *before = g->error;
    bool unwound = copse__lua_unwind(t, f, false, why, &g->error);
    if (g->error != before) { /* what was left open failed: there is no value of its own to raise */
      lua_settop(L, 2);
      copse__lua_push_error(L, g->error);
    }
    if (!unwound) return copse__lua_wait_on(L, t, t->on, 1, scoped_done);
    f->closing = true;
    copse_member *member = f->member;
    f->member = NULL;
    copse_member_leave(member, NULL);
    copse_scope_seal(f->scope, g->error ? copse_error_ref(g->error) : NULL);
  }
  if (!f->done) return copse__lua_wait_on(L, t, f, 1, scoped_done);
  bool failed = g->error || g->cancelled;
  bool was_cancelled = f->was_cancelled;
  copse_error *own = g->error;
  g->error = NULL;
  copse_error *error = frame_pop(f);
  if (error) {
    if (error != own) {
      if (own) copse_error_unref(own);
      return copse__lua_raise(L, error);
    }
    copse_error_unref(own);
    copse_error_unref(error);
    lua_settop(L, 3);
    return lua_error(L);
  }
  if (own) copse_error_unref(own);
  /* The end of a scope is a wait: where all around it is cancelled, nobody goes on from here as if
   * everything had been done. A shield is there to be used in such a place. */
  bool cancelled = copse_scope_is_cancelled(t->top->scope);
  if (!failed && (!cancelled || n->shield)) return g->results;
  if (cancelled) return copse__lua_cancel(L);
  if (was_cancelled) return 0;
  return copse__lua_raise(
      L, copse_error_new(COPSE_CODE_CANCELLED, "the cancellation left the scope it was meant for"));
}

/* The stack: the function and its arguments, from index 1. */
static int scoped(lua_State *L, const copse_scope_options *o, bool pass_nursery) {
  task *t = copse__lua_task(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  nursery *n = copse__lua_new(L, sizeof *n, 0, pass_nursery ? CLASS_NURSERY : CLASS_SCOPE);
  n->shield = o->shield_ms >= 0;
  copse__lua_frame_open(L, t, &n->frame, FRAME_SCOPED, o);
  lua_insert(L, 1);
  lua_pushcfunction(L, copse__lua_message_handler);
  lua_insert(L, 2);
  if (pass_nursery) {
    lua_pushvalue(L, 1);
    lua_insert(L, 4);
  }
  copse__lua_guard_enter(t, &n->guard);
  return scoped_done(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, scoped_done), 0);
}

static int l_nursery(lua_State *L) {
  copse_scope_options o = COPSE_SCOPE_OPTIONS;
  o.name = "nursery";
  return scoped(L, &o, true);
}

static int l_timeout(lua_State *L) {
  copse_scope_options o = COPSE_SCOPE_OPTIONS;
  o.name = "timeout";
  o.deadline_ms = copse__lua_milliseconds(L, 1, "timeout");
  lua_remove(L, 1);
  return scoped(L, &o, false);
}

static int l_shield(lua_State *L) {
  copse_scope_options o = COPSE_SCOPE_OPTIONS;
  o.name = "shield";
  o.shield_ms = copse__lua_milliseconds(L, 1, "shield");
  lua_remove(L, 1);
  return scoped(L, &o, false);
}

/* --- the nursery object ----------------------------------------------------------------------- */

copse_scope *copse__lua_nursery_scope(lua_State *L, int index, frame **f) {
  nursery *n = copse__lua_check(L, index, CLASS_NURSERY);
  *f = n->borrowed ? NULL : &n->frame;
  copse_scope *scope = n->borrowed ? n->borrowed : n->frame.scope;
  if (!copse__lua_host->rt || !scope || n->frame.done ||
      (n->borrowed && n->run != copse__lua_host->runs))
    luaL_error(L, "the nursery has ended");
  return scope;
}

void copse__lua_push_scope_nursery(lua_State *L, copse_scope *scope) {
  nursery *n = copse__lua_new(L, sizeof *n, 0, CLASS_NURSERY);
  n->borrowed = scope;
  n->run = copse__lua_host->runs;
}

static int nursery_start(lua_State *L) {
  frame *f;
  copse_scope *scope = copse__lua_nursery_scope(L, 1, &f);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  copse__lua_task_any(L);
  task *t = copse__lua_task_new(L, TASK_PLAIN, scope, lua_gettop(L) - 2);
  if (!t) return luaL_error(L, "the nursery has ended");
  copse__lua_task_ready(t);
  lua_settop(L, 1);
  return 1;
}

static int nursery_cancel(lua_State *L) {
  frame *f;
  copse_scope *scope = copse__lua_nursery_scope(L, 1, &f);
  const char *message = luaL_optstring(L, 2, NULL);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, message, -1);
  return 0;
}

static int nursery_tostring(lua_State *L) {
  nursery *n = copse__lua_check(L, 1, CLASS_NURSERY);
  host *h = copse__lua_host;
  copse_scope *scope = n->frame.scope;
  if (n->borrowed && n->run == h->runs) scope = n->borrowed;
  const char *state = "open";
  if (!scope || !h->rt) state = "ended";
  else if (copse_scope_is_cancelled(scope)) state = "cancelled";
  lua_pushfstring(L, "copse.nursery (%s)", state);
  return 1;
}

void copse__lua_open_scope(lua_State *L, int lib) {
  static const luaL_Reg meta[] = {{"__tostring", nursery_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"start", nursery_start},
                                     {"spawn", copse__lua_spawn},
                                     {"cancel", nursery_cancel},
                                     {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"nursery", l_nursery}, {"timeout", l_timeout}, {"shield", l_shield}, {NULL, NULL}};
  copse__lua_class(L, CLASS_NURSERY, meta, methods);
  copse__lua_class(L, CLASS_SCOPE, none, none);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
