/* SPDX-License-Identifier: MIT
 *
 * serve.c: the end of a context that serves it.
 *
 * What a module exports are the functions in its table. A plain function is called with the
 * arguments and its value is what the context returns; a function wrapped by copse.context gets
 * the context first. Each context is served by a task of its own, whose outermost scope is the
 * context's: cancelling the context cancels the task, and the terminal leaves after everything
 * that the task has begun is over.
 */
#include "context.h"

#include <stdio.h>
#include <string.h>

typedef struct endpoint {
  copse_credit window;
} endpoint;

/* --- the handler's task ----------------------------------------------------------------------- */

/* The values of the function: one at most, since a context returns one. */
static int answered(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_host->current;
  int count = lua_gettop(L);
  if (count > 1)
    return luaL_error(
        L,
        "a call answers with one value, but the function returned %d: return a table, or put "
        "parentheses around its last call",
        count);
  if (count == 1) copse__lua_encode(L, 1, &t->result);
  copse__lua_check_buf(L, &t->result);
  return 0;
}

static int answer(lua_State *L) {
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, answered);
  return answered(L, LUA_OK, 0);
}

static void on_cancel(copse_context *ctx, void *arg) {
  (void)ctx; /* the task hears it from its scope */
  (void)arg;
}

/* The link is lost: the terminal has nowhere to go. */
static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)outcome;
  task *t = arg;
  if (!t) return true;
  context *c = t->handles;
  task_list woken = {NULL, NULL};
  t->ctx = NULL;
  if (!c) return true;
  c->handle = NULL;
  c->finished = true;
  if (!c->error) c->error = copse_error_new(COPSE_CODE_LINK_LOST, "the link to the opener is lost");
  copse__lua_context_collect(c, &woken);
  copse__lua_resume_all(&woken);
  return true;
}

static bool on_item(copse_context *ctx, copse_bytes value, void *arg) {
  return copse__lua_context_item(ctx, value, ((task *)arg)->handles);
}

static void on_end(copse_context *ctx, void *arg) {
  copse__lua_context_end(ctx, ((task *)arg)->handles);
}

static void on_writable(copse_context *ctx, void *arg) {
  copse__lua_context_writable(ctx, ((task *)arg)->handles);
}

static const copse_context_cbs plain_cbs = {.cancel = on_cancel, .done = on_done};
static const copse_context_cbs stream_cbs = {.item = on_item,
                                             .end = on_end,
                                             .stopped = on_writable,
                                             .writable = on_writable,
                                             .cancel = on_cancel,
                                             .done = on_done};
static const copse_context_cbs no_cbs = {.cancel = on_cancel};

void copse__lua_handler_done(task *t) {
  copse_context *ctx = t->ctx;
  context *c = t->handles;
  copse_error *error = t->guard.error;
  task_list woken = {NULL, NULL};
  t->guard.error = NULL;
  t->ctx = NULL;
  t->handles = NULL;
  if (c) {
    c->handle = NULL;
    c->finished = true;
    c->serving = NULL;
    copse__lua_context_collect(c, &woken); /* other tasks, which outlive it */
    copse__lua_release(t->host, c);
  }
  if (!ctx) {
    if (error)
      copse_log(t->host->rt, COPSE_LOG_WARN, "an error after the link was lost: %s",
                copse_error_get(error)->message);
    if (error) copse_error_unref(error);
  } else {
    copse_context_set_cbs(ctx, &no_cbs);
    copse_context_set_data(ctx, NULL);
    if (error) copse_fail(ctx, error);
    else if (t->guard.cancelled) copse_cancelled(ctx);
    else copse_return(ctx, copse_buf_bytes(&t->result));
  }
  while (woken.first) copse__lua_task_ready(woken.first);
}

/* --- looking up ------------------------------------------------------------------------------- */

typedef struct opening {
  copse_context *ctx;
  const char *target;
  copse_bytes args;
  bool found, bad_args;
  task *task;
} opening;

static bool is_exported(const char *name) {
  return name[0] != '_' && strcmp(name, "main") != 0 && strcmp(name, "start") != 0;
}

static int start_handler(lua_State *L) {
  opening *o = lua_touserdata(L, 1);
  host *h = copse__lua_host;
  if (!is_exported(o->target)) return 0;
  copse__lua_push_exports(L);
  if (lua_type(L, -1) != LUA_TTABLE) return 0;
  lua_pushstring(L, o->target);
  lua_rawget(L, -2);
  endpoint *e = copse__lua_test(L, -1, CLASS_ENDPOINT);
  if (!e && lua_type(L, -1) != LUA_TFUNCTION) return 0;
  o->found = true;
  if (copse_scope_is_cancelled(copse_context_scope(o->ctx))) return 0; /* before it could begin */
  int fn = lua_gettop(L);
  context *c = NULL;
  lua_pushcfunction(L, answer);
  if (e) lua_getiuservalue(L, fn, 1);
  else lua_pushvalue(L, fn);
  if (e) {
    c = copse__lua_context_new(L, false);
    copse__lua_anchor(L, -1, c);
  }
  int count = copse__lua_decode_args(L, o->args);
  if (count < 0) {
    o->bad_args = true;
    if (c) copse__lua_release(h, c);
    return 0;
  }
  task *t = copse__lua_task_new(L, TASK_HANDLER, copse_context_scope(o->ctx), count + (e ? 2 : 1));
  if (!t) {
    if (c) copse__lua_release(h, c);
    return 0;
  }
  t->ctx = o->ctx;
  t->handles = c;
  copse_context_set_data(o->ctx, t);
  copse_context_set_cbs(o->ctx, e ? &stream_cbs : &plain_cbs);
  snprintf(t->site, sizeof t->site, "context \"%.100s\"", o->target);
  if (c) {
    c->handle = o->ctx;
    c->serving = t;
    /* These fail only where there is no link any more, of which the task hears by itself. */
    if (copse_context_sends(o->ctx)) {
      if (e->window.items) copse_accept_items(o->ctx, e->window);
      else copse_stop(o->ctx);
    }
    c->in_ended = !copse_context_sends(o->ctx) || !e->window.items;
  }
  o->task = t;
  return 0;
}

copse_lookup copse__lua_lookup(copse_context *ctx, const char *target, copse_bytes args,
                               void *arg) {
  host *h = arg;
  opening o = {.ctx = ctx, .target = target, .args = args};
  bool ok = copse__lua_protected(h, start_handler, &o);
  /* A task that is cancelled before its first step does not take it. */
  bool late = o.found && copse_scope_is_cancelled(copse_context_scope(ctx));
  if (o.task) copse__lua_task_resume(o.task);
  else if (o.bad_args)
    copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "more than 250 arguments"));
  else if (ok && !o.found) return COPSE_LOOKUP_NONE;
  else if (!late)
    copse_fail(ctx,
               copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory to serve \"%s\"", target));
  return late ? COPSE_LOOKUP_LATE : COPSE_LOOKUP_FOUND;
}

/* --- Lua -------------------------------------------------------------------------------------- */

/* ctx:started([value]) */
int copse__lua_context_started(lua_State *L) {
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  copse_buf *buf = &copse__lua_host->scratch;
  luaL_argcheck(L, !c->opener, 1, "only the end that serves a context says started");
  if (c->started)
    return luaL_error(L,
                      "started was said already (by ctx:started, or by the first send or receive)");
  lua_settop(L, 2);
  copse__lua_checkpoint(L, copse__lua_task_any(L));
  if (!c->handle) return luaL_error(L, "the context has ended");
  copse_buf_reset(buf);
  copse__lua_encode(L, 2, buf);
  copse__lua_check_buf(L, buf);
  copse_status status = copse_started(c->handle, copse_buf_bytes(buf));
  if (status != COPSE_OK) return copse__lua_raise_status(L, status, "the value of started");
  c->started = true;
  return 0;
}

/* copse.context(fn [, { window = items | {items, bytes} }]) */
static int l_context(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  copse_credit window = COPSE_WINDOW_DEFAULT;
  if (!lua_isnoneornil(L, 2)) {
    static const char *const names[] = {"window", NULL};
    luaL_checktype(L, 2, LUA_TTABLE);
    copse__lua_check_options(L, 2, "copse.context", names);
    copse__lua_field_window(L, 2, &window);
  }
  endpoint *e = copse__lua_new(L, sizeof *e, 1, CLASS_ENDPOINT);
  e->window = window;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* copse.meta(): what the opener sent along with the context that this task serves, or nil */
static int l_meta(lua_State *L) {
  task *t = copse__lua_task_any(L);
  copse_bytes meta = {NULL, 0};
  if (t->ctx) meta = copse_context_meta(t->ctx);
  copse__lua_decode(L, meta, false);
  return 1;
}

void copse__lua_open_serve(lua_State *L, int lib) {
  static const luaL_Reg functions[] = {{"context", l_context}, {"meta", l_meta}, {NULL, NULL}};
  copse__lua_class(L, CLASS_ENDPOINT, NULL, NULL);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
