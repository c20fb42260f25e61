/* SPDX-License-Identifier: MIT
 *
 * task.c: tasks are coroutines that can wait.
 *
 * Lua has no place where an error of a coroutine could run its to-be-closed variables and let
 * them wait: once lua_resume has returned an error, the coroutine is dead. So the body of each
 * task runs under lua_pcallk inside its coroutine (`body`): the message handler takes the
 * traceback, Lua unwinds, the __close handlers run and may wait like any other code, and only
 * then does the trampoline see the outcome.
 *
 * A wait is lua_yieldk. Whoever ends it resumes the task from a callback of the runtime, or,
 * when Lua code ends it (an event that is set), puts the task into the list of ready tasks,
 * which the next loop turn drains. A cancellation takes the task out of what it waits for
 * (`unwait`) and resumes it with `interrupted`, which raises the cancellation value.
 *
 * This works only if a coroutine of the user's never yields in place of the task. So the
 * functions of the coroutine library that resume and yield are replaced: they refuse tasks, and
 * they keep track of the innermost running coroutine, which is where the hook for hot loops is
 * set.
 */
#include "host.h"

#include <stdio.h>
#include <string.h>

/* Instructions between two looks of the hook. Once a cancellation was raised out of a loop,
 * clean-up code gets a longer leash; what needs more belongs into copse.shield. */
#define HOOK_FIRST 1000
#define HOOK_AGAIN 10000000

/* The task whose coroutine L is, NULL for a coroutine of the user's. Lua copies the main
 * thread's extra space (NULL) into each new thread. */
static task *task_of(lua_State *L) {
  task *t;
  memcpy(&t, lua_getextraspace(L), sizeof t);
  return t;
}

static void set_task_of(lua_State *L, task *t) { memcpy(lua_getextraspace(L), &t, sizeof t); }

/* --- lists ------------------------------------------------------------------------------------ */

void copse__lua_list_add(task_list *list, task *t) {
  t->list = list;
  t->next = NULL;
  t->prev = list->last;
  if (list->last) list->last->next = t;
  else list->first = t;
  list->last = t;
}

void copse__lua_list_remove(task *t) {
  task_list *list = t->list;
  if (!list) return;
  if (t->prev) t->prev->next = t->next;
  else list->first = t->next;
  if (t->next) t->next->prev = t->prev;
  else list->last = t->prev;
  t->next = t->prev = NULL;
  t->list = NULL;
}

/* --- running ---------------------------------------------------------------------------------- */

static void complete(task *t) {
  host *h = t->host;
  copse_error *error = t->guard.error;
  t->guard.error = NULL;
  if (t->guard.cancelled && !copse_scope_is_cancelled(t->base.scope))
    error =
        copse_error_new(COPSE_CODE_CANCELLED, "the cancellation left the scope it was meant for");
  copse__lua_forget_peers(&t->base);
  copse_member *member = t->base.member;
  t->base.member = NULL;
  if (t->kind == TASK_MAIN) {
    copse_main_done(h->rt, (copse_bytes){NULL, 0}, error);
    error = NULL;
  } else if (t->kind == TASK_HANDLER) {
    t->guard.error = error;
    copse__lua_handler_done(t);
    error = NULL;
  }
  set_task_of(t->co, NULL);
  h->task_count--;
  copse_buf_deinit(&t->result);
  copse__lua_release(h, t);
  copse_member_leave(member, error);
}

/* Memory ran out in the trampoline itself: its frames are ended without it. */
static void abandon(task *t) {
  while (t->top != &t->base) {
    if (t->top->scope) copse_scope_cancel(t->top->scope, COPSE_ORIGIN_ERROR, NULL, -1);
    copse__lua_frame_drop(t->top);
  }
}

static void hook(lua_State *L, lua_Debug *ar);

void copse__lua_task_resume(task *t) {
  host *h = t->host;
  lua_State *co = t->co;
  task *outer = h->current;
  lua_State *outer_running = h->running;
  int fresh = lua_status(co) == LUA_OK;
  if (t->list) copse__lua_list_remove(t);
  t->unwait = NULL;
  t->on = NULL;
  int status = LUA_OK, count = 0;
  if (fresh && copse_scope_is_cancelled(t->base.scope)) {
    t->guard.cancelled = true; /* before its first step: nothing of it has run */
  } else {
    h->current = t;
    h->running = co;
    status = lua_resume(co, h->L, fresh ? lua_gettop(co) - 1 : 0, &count);
    h->running = outer_running;
    h->current = outer;
    if (lua_gethook(co) == hook) lua_sethook(co, NULL, 0, 0);
    if (status == LUA_YIELD) {
      lua_pop(co, count);
      return;
    }
  }
  if (status != LUA_OK) {
    abandon(t);
    if (t->guard.error) copse_error_unref(t->guard.error);
    t->guard.cancelled = false;
    t->guard.error =
        copse_error_new(status == LUA_ERRMEM ? COPSE_CODE_NO_MEMORY : COPSE_CODE_FAILED, "%s",
                        lua_type(co, -1) == LUA_TSTRING ? lua_tostring(co, -1) : "unknown error");
  }
  complete(t);
}

/* Runs what was ready when it began; what becomes ready meanwhile waits for the next turn, so
 * that links are read. */
static void drain(copse_job *job) {
  host *h = (host *)((char *)job - offsetof(host, drain));
  size_t count = 0;
  for (task *t = h->ready.first; t; t = t->next) count++;
  while (count-- > 0 && h->ready.first) copse__lua_task_resume(h->ready.first);
  if (h->ready.first) copse_post(h->rt, &h->drain);
}

void copse__lua_task_ready(task *t) {
  host *h = t->host;
  if (t->list) copse__lua_list_remove(t);
  if (t->unwait) t->unwait = copse__lua_list_remove;
  copse__lua_list_add(&h->ready, t);
  h->drain.cb = drain;
  copse_post(h->rt, &h->drain);
}

/* The trampoline: [1] the function, then its arguments; in the continuation [1] is the message
 * handler. */
static int body_done(lua_State *L, int status, lua_KContext again) {
  task *t = task_of(L);
  guard *g = &t->guard;
  if (!again) copse__lua_guard_leave(L, t, g, status, 1);
  closing why = g->error ? CLOSE_FAILED : g->cancelled ? CLOSE_CANCELLED : CLOSE_NORMAL;
  if (!copse__lua_unwind(t, &t->base, false, why, &g->error))
    return copse__lua_wait_on(L, t, t->on, 1, body_done);
  if (g->error) g->cancelled = false;
  return 0;
}

static int body(lua_State *L) {
  task *t = task_of(L);
  lua_pushcfunction(L, copse__lua_message_handler);
  lua_insert(L, 1);
  copse__lua_guard_enter(t, &t->guard);
  return body_done(L, lua_pcallk(L, lua_gettop(L) - 2, 0, 1, 0, body_done), 0);
}

static void where(lua_State *L, char *site, size_t size) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0) {
      size_t n = strlen(ar.short_src);
      if (n > size - 16) n = size - 16;
      memcpy(site, ar.short_src, n);
      snprintf(site + n, size - n, ":%d", ar.currentline);
      return;
    }
  }
}

task *copse__lua_task_new(lua_State *L, task_kind kind, copse_scope *scope, int nargs) {
  host *h = copse__lua_host;
  task *t = lua_newuserdatauv(L, sizeof *t, 1);
  memset(t, 0, sizeof *t);
  lua_State *co = lua_newthread(L);
  if (!lua_checkstack(co, nargs + 4)) luaL_error(L, "too many arguments for a task");
  lua_setiuservalue(L, -2, 1);
  copse__lua_anchor(L, -1, t);
  lua_pop(L, 1);
  /* Nothing below raises. */
  t->kind = kind;
  t->host = h;
  t->co = co;
  t->base.kind = FRAME_BASE;
  t->base.task = t;
  t->top = &t->base;
  copse_buf_init(&t->result, SIZE_MAX, NULL);
  where(L, t->site, sizeof t->site);
  lua_pushcfunction(co, body);
  lua_xmove(L, co, nargs + 1);
  if (!copse__lua_frame_base(t, scope)) {
    copse__lua_release(h, t);
    return NULL;
  }
  set_task_of(co, t);
  h->task_count++;
  return t;
}

/* --- waiting ---------------------------------------------------------------------------------- */

task *copse__lua_task_any(lua_State *L) {
  host *h = copse__lua_host;
  if (!h->rt) luaL_error(L, "copse: no actor runs here: start one with `copse run` or copse.run");
  if (!h->current) luaL_error(L, "copse: this works only inside a task");
  return h->current;
}

task *copse__lua_task(lua_State *L) {
  task *t = copse__lua_task_any(L);
  if (task_of(L) != t)
    luaL_error(
        L, "copse: cannot wait inside a coroutine of your own (coroutine.wrap, coroutine.resume): "
           "start a task for it instead");
  if (!lua_isyieldable(L))
    luaL_error(
        L, "copse: cannot wait here: a function that is not written in Lua is waiting for this one "
           "(table.sort, string.gsub, require and the like)");
  return t;
}

int copse__lua_cancel(lua_State *L) {
  copse__lua_push_cancelled(L);
  return lua_error(L);
}

void copse__lua_checkpoint(lua_State *L, task *t) {
  if (copse_scope_is_cancelled(t->top->scope)) copse__lua_cancel(L);
}

int copse__lua_wait_with(lua_State *L, task *t, void *on, void (*unwait)(task *), lua_KContext ctx,
                         lua_KFunction k) {
  t->on = on;
  t->unwait = unwait;
  return lua_yieldk(L, 0, ctx, k);
}

int copse__lua_wait(lua_State *L, task *t, task_list *list, lua_KContext ctx, lua_KFunction k) {
  copse__lua_list_add(list, t);
  return copse__lua_wait_with(L, t, NULL, copse__lua_list_remove, ctx, k);
}

int copse__lua_wait_on(lua_State *L, task *t, void *on, lua_KContext ctx, lua_KFunction k) {
  return copse__lua_wait_with(L, t, on, NULL, ctx, k);
}

task *copse__lua_resumed(lua_State *L) {
  task *t = task_of(L);
  if (t->interrupted) {
    t->interrupted = false;
    copse__lua_cancel(L);
  }
  return t;
}

/* The traceback ends in the binding's own functions, which have no names to tell. */
static void push_trimmed(lua_State *L) {
  static const char own[] = "\n\t[C]: in ?";
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  while (size >= sizeof own - 1 && memcmp(text + size - (sizeof own - 1), own, sizeof own - 1) == 0)
    size -= sizeof own - 1;
  lua_pushlstring(L, text, size);
  lua_remove(L, -2);
}

void copse__lua_message_stack(lua_State *L, const char *message) {
  task *t = copse__lua_host->current;
  luaL_traceback(L, L, message, 1);
  push_trimmed(L);
  if (t && t->site[0]) {
    lua_pushfstring(L, "\n\t[started at %s]", t->site);
    lua_concat(L, 2);
  }
}

/* --- hot loops -------------------------------------------------------------------------------- */

/* In a signal handler, on the thread of the loop: sets the hook, which does the work. A hook of
 * the user's stays. */
void copse__lua_interrupt(void *arg) {
  host *h = arg;
  lua_State *L = h->running;
  if (L && !lua_gethook(L)) lua_sethook(L, hook, LUA_MASKCOUNT | LUA_MASKCALL, HOOK_FIRST);
}

static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  host *h = copse__lua_host;
  lua_sethook(L, NULL, 0, 0);
  if (!h->current) return;
  copse_pump(h->rt);
  if (copse_scope_is_cancelled(h->current->top->scope)) {
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_AGAIN);
    copse__lua_cancel(L);
  }
}

/* --- the coroutine library -------------------------------------------------------------------- */

static lua_State *coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static bool is_cancelled_value(lua_State *L, int index) {
  return copse__lua_test(L, index, CLASS_CANCELLED) != NULL;
}

/* Moves `nargs` values over, resumes, moves the results back: their number, or -1 with the error
 * on top. */
static int resume(lua_State *L, lua_State *co, int nargs) {
  host *h = copse__lua_host;
  const char *refusal = NULL;
  if (task_of(co)) refusal = "cannot resume a task of copse";
  else if (!lua_checkstack(co, nargs)) refusal = "too many arguments to resume";
  else if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
    refusal = "cannot resume dead coroutine";
  else if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
    refusal = "cannot resume dead coroutine";
  if (refusal) {
    lua_pushstring(L, refusal);
    return -1;
  }
  lua_xmove(L, co, nargs);
  lua_State *outer = h->running;
  int count = 0;
  h->running = co;
  int status = lua_resume(co, L, nargs, &count);
  h->running = outer;
  if (lua_gethook(co) == hook) {
    lua_sethook(co, NULL, 0, 0);
    if (outer && status != LUA_OK && status != LUA_YIELD && !lua_gethook(outer))
      lua_sethook(outer, hook, LUA_MASKCOUNT, HOOK_AGAIN);
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(co, count);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, count);
  return count;
}

/* A cancellation goes through: a coroutine is no place where it could end. */
static int co_resume(lua_State *L) {
  lua_State *co = coroutine(L);
  int count = resume(L, co, lua_gettop(L) - 1);
  if (count < 0) {
    if (is_cancelled_value(L, -1)) return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -(count + 1));
  return count + 1;
}

static int reset(lua_State *L, lua_State *co) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, L);
#else
  (void)L;
  return lua_resetthread(co);
#endif
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int count = resume(L, co, lua_gettop(L));
  if (count >= 0) return count;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = reset(L, co); /* runs its __close handlers, whose error stands */
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

static int co_yield (lua_State *L) {
  if (task_of(L)) return luaL_error(L, "cannot yield: this is a task, not a coroutine of your own");
  return lua_yield(L, lua_gettop(L));
}

static int co_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : coroutine(L);
  lua_pushboolean(L, !task_of(co) && lua_isyieldable(co));
  return 1;
}

static int co_close(lua_State *L) {
  lua_State *co = coroutine(L);
  lua_Debug ar;
  int status = lua_status(co);
  if (task_of(co)) return luaL_error(L, "cannot close a task of copse");
  if (co == L || (status == LUA_OK && lua_getstack(co, 0, &ar)))
    return luaL_error(L, "cannot close a running coroutine");
  if (reset(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_xmove(co, L, 1);
  if (is_cancelled_value(L, -1)) return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* --- pcall and xpcall ------------------------------------------------------------------------- */

/* [1] is a placeholder that the continuation turns into `true`. */
static int pcall_done(lua_State *L, int status, lua_KContext handler) {
  if (status != LUA_OK && status != LUA_YIELD) {
    if (is_cancelled_value(L, -1)) return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_replace(L, (int)handler + 1);
  return lua_gettop(L) - (int)handler;
}

static int pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushnil(L);
  lua_insert(L, 1);
  return pcall_done(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcall_done), 0);
}

/* The user's handler does not see cancellations: it could turn them into something else. */
static int filter(lua_State *L) {
  if (is_cancelled_value(L, 1)) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int xpcall(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, filter, 1);
  lua_replace(L, 2);
  /* function, handler, arguments -> function, handler, nil, function, arguments */
  lua_pushvalue(L, 1);
  lua_insert(L, 3);
  lua_pushnil(L);
  lua_insert(L, 3);
  return pcall_done(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, pcall_done), 2);
}

void copse__lua_open_task(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"resume", co_resume},           {"wrap", co_wrap}, {"yield", co_yield }, {"close", co_close},
      {"isyieldable", co_isyieldable}, {NULL, NULL}};
  set_task_of(L, NULL);
  if (lua_getglobal(L, "coroutine") == LUA_TTABLE) luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  lua_register(L, "pcall", pcall);
  lua_register(L, "xpcall", xpcall);
}
