/* SPDX-License-Identifier: MIT
 *
 * open.c: the end of a context that opens it.
 *
 * An opened context is a scope of its own on the opener's stack of scopes. So when the far side
 * fails while the opener waits for something else, its wait ends by cancellation, everything it
 * had begun unwinds up to the context, and closing the context raises the real error. When an
 * operation on the context itself meets the failure, it raises the error directly.
 */
#include "context.h"

/* --- callbacks -------------------------------------------------------------------------------- */

static void on_started(copse_context *ctx, copse_bytes value, void *arg) {
  (void)ctx;
  context *c = arg;
  task *t = c->opening;
  c->started = true;
  c->opening = NULL;
  if (!t) return;
  c->first = value;
  copse__lua_task_resume(t);
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  context *c = arg;
  task_list woken = {NULL, NULL};
  c->handle = NULL;
  c->finished = true;
  if (outcome->kind == COPSE_RETURNED) {
    copse_buf_append(&c->value, outcome->value.data, outcome->value.size);
    if (copse_buf_status(&c->value) != COPSE_OK)
      c->error = copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory to keep a result");
  } else if (outcome->kind == COPSE_FAILED) {
    c->error = copse_error_ref(outcome->error);
  } else {
    c->cancelled = c->asked || (c->frame.scope && copse_scope_is_cancelled(c->frame.scope));
    if (c->cancelled) c->cancellation = copse_cause_error(outcome->cause);
    else c->error = copse_cause_error(outcome->cause);
  }
  if (c->error || c->cancelled) {
    copse_buf_reset(&c->queue);
    c->head = 0;
  }
  bool closed = c->closers.first != NULL;
  bool heard = copse__lua_context_collect(c, &woken);
  if (c->error && heard) c->raised = true;
  bool taken = heard || closed || !c->error;
  copse__lua_resume_all(&woken); /* from here on `c` may be gone */
  return taken;
}

static const copse_context_cbs opener_cbs = {.started = on_started,
                                             .item = copse__lua_context_item,
                                             .end = copse__lua_context_end,
                                             .stopped = copse__lua_context_writable,
                                             .writable = copse__lua_context_writable,
                                             .done = on_done};

/* --- opening ---------------------------------------------------------------------------------- */

/* It was cancelled from here, and somebody asks for what it cannot give any more. */
static int raise_cancelled(lua_State *L, const context *c, const char *message) {
  if (c->cancellation) return copse__lua_raise(L, copse_error_ref(c->cancellation));
  return copse__lua_raise(L, copse_error_new(COPSE_CODE_CANCELLED, "%s", message));
}

/* [c_index] is the context. */
static int opened(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  context *c = lua_touserdata(L, (int)index);
  if (c->started || (c->finished && !c->error && !c->cancelled)) {
    copse_bytes first = c->first;
    c->first = (copse_bytes){NULL, 0};
    lua_pushvalue(L, (int)index);
    copse__lua_decode(L, first, false);
    return 2;
  }
  c->raised = true;
  if (!c->popped && !copse__lua_unwind(t, &c->frame, true, CLOSE_NORMAL, &c->closing))
    return copse__lua_wait_on(L, t, t->on, index, opened);
  if (c->error) return copse__lua_raise(L, copse_error_ref(c->error));
  if (copse_scope_is_cancelled(t->top->scope)) return copse__lua_cancel(L);
  if (c->closing) return copse__lua_raise(L, copse_error_ref(c->closing));
  return raise_cancelled(L, c, "the context was cancelled while it was opened");
}

/* peer:open(target, ...) */
int copse__lua_peer_open(lua_State *L) {
  task *t = copse__lua_task(L);
  copse_peer *cp = copse__lua_live_peer(L, 1);
  copse__lua_checkpoint(L, t);
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.send = true;
  o.window = (copse_credit)COPSE_WINDOW_DEFAULT;
  copse__lua_target(L, 2, &o);
  int last = lua_gettop(L);
  copse_scope_options so = COPSE_SCOPE_OPTIONS;
  so.name = o.target;
  context *c = copse__lua_context_new(L, true);
  int index = lua_gettop(L);
  copse__lua_encode_opening(L, 2, last, &o);
  o.cbs = opener_cbs;
  o.data = c;
  c->out_ended = !o.send;
  c->in_ended = o.window.items == 0;
  lua_settop(L, index);
  copse__lua_frame_open(L, t, &c->frame, FRAME_CONTEXT, &so);
  copse_status status = copse_open(cp, c->frame.scope, &o, &c->handle);
  if (status == COPSE_OK) {
    c->opening = t;
    return copse__lua_wait_on(L, t, NULL, index, opened);
  }
  c->handle = NULL;
  c->finished = true;
  if (status == COPSE_ECANCELLED) c->cancelled = true;
  else c->error = copse_status_error(status, o.target);
  return opened(L, LUA_OK, index);
}

/* --- closing ---------------------------------------------------------------------------------- */

void copse__lua_context_close(frame *f, closing why) {
  context *c = context_of(f);
  if (why != CLOSE_NORMAL || !c->handle) return;
  copse_end(c->handle);
  copse_stop(c->handle);
  c->out_ended = c->in_ended = true;
}

/* An error that was raised already is not raised again, unless it got lost on the way: what
 * arrived here is the cancellation. */
bool copse__lua_context_silent(frame *f, closing why) {
  return context_of(f)->raised && why != CLOSE_CANCELLED;
}

void copse__lua_context_popped(frame *f) { context_of(f)->popped = true; }

/* [1] context, [2] the error that unwinds, or nil: for what follows, too. */
static closing why_closed(lua_State *L) {
  if (lua_isnoneornil(L, 2)) return CLOSE_NORMAL;
  return copse__lua_test(L, 2, CLASS_CANCELLED) ? CLOSE_CANCELLED : CLOSE_FAILED;
}

static int conclude(lua_State *L, task *t, context *c, closing why) {
  copse_error *error = c->closing;
  c->closing = NULL;
  if (!error && why == CLOSE_NORMAL) copse__lua_checkpoint(L, t);
  if (!error) return 0;
  if (why == CLOSE_FAILED) {
    copse_error *cause = copse__lua_error_of(L, 2, NULL);
    error = copse__lua_error_because(error, cause);
  }
  return copse__lua_raise(L, error);
}

static int closed(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_task_any(L);
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  closing why = why_closed(L);
  if (!copse__lua_unwind(t, &c->frame, true, why, &c->closing))
    return copse__lua_wait_on(L, t, t->on, 0, closed);
  return conclude(L, t, c, why);
}

/* What was opened later is still in use: the context ends alone. Where its scope is cancelled, that
 * is left to the scope around, and with it an error that nobody has heard. */
static int closed_alone(lua_State *L, int status, lua_KContext waited) {
  (void)status;
  task *t = copse__lua_task_any(L);
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  closing why = why_closed(L);
  bool hurry = why != CLOSE_NORMAL || t->interrupted || copse_scope_is_cancelled(t->top->scope);
  t->interrupted = false;
  if (!c->finished && !hurry) {
    copse__lua_context_close(&c->frame, why);
    return copse__lua_wait(L, t, &c->closers, true, closed_alone);
  }
  if (!c->finished) {
    copse_origin origin = why == CLOSE_FAILED ? COPSE_ORIGIN_ERROR : COPSE_ORIGIN_REQUESTED;
    c->asked = true;
    c->out_ended = c->in_ended = true;
    copse_cancel(c->handle, origin, NULL, -1);
    copse__lua_list_add(&c->closers, t);
    return copse__lua_wait_on(L, t, NULL, true, closed_alone);
  }
  bool cancelled = copse_scope_is_cancelled(c->frame.scope);
  bool heard = c->raised && why != CLOSE_CANCELLED;
  if (c->error && (waited ? !heard : !(c->raised || cancelled))) {
    c->raised = true;
    c->closing = copse_error_ref(c->error);
  }
  if (!cancelled) copse__lua_frame_drop(&c->frame);
  return conclude(L, t, c, why);
}

int copse__lua_context_dunder_close(lua_State *L) {
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  if (!c->opener || c->popped || !copse__lua_host->rt) return 0;
  task *t = copse__lua_task_any(L);
  if (c->frame.task != t) return 0; /* the task that opened it will close it */
  copse__lua_task(L);
  lua_settop(L, 2);
  if (!copse__lua_frame_is_last(&c->frame)) return closed_alone(L, LUA_OK, false);
  return closed(L, LUA_OK, 0);
}

/* --- the outcome ------------------------------------------------------------------------------ */

static int result_now(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_resumed(L);
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  if (!c->finished) return copse__lua_wait(L, t, &c->finishers, 0, result_now);
  if (c->error) {
    c->raised = true;
    return copse__lua_raise(L, copse_error_ref(c->error));
  }
  if (c->cancelled) {
    copse__lua_checkpoint(L, t);
    return raise_cancelled(L, c, "the context was cancelled");
  }
  if (!c->popped && t->top == &c->frame) {
    if (!copse__lua_unwind(t, &c->frame, true, CLOSE_NORMAL, &c->closing))
      return copse__lua_wait_on(L, t, t->on, 0, result_now);
  }
  if (c->closing) return copse__lua_raise(L, copse_error_ref(c->closing));
  copse__lua_decode(L, copse_buf_bytes(&c->value), false);
  return 1;
}

/* ctx:result(): I send and read no more; what the far side returned */
int copse__lua_context_result(lua_State *L) {
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  luaL_argcheck(L, c->opener, 1, "only the end that opened a context has its result");
  task *t = copse__lua_task(L);
  if (!c->finished) copse__lua_checkpoint(L, t);
  if (c->handle) {
    copse_end(c->handle);
    copse_stop(c->handle);
    c->out_ended = c->in_ended = true;
  }
  lua_settop(L, 1);
  return result_now(L, LUA_OK, 0);
}

/* ctx:cancel([message]): the far side ends; here nothing does */
int copse__lua_context_cancel(lua_State *L) {
  context *c = copse__lua_check(L, 1, CLASS_CONTEXT);
  const char *message = luaL_optstring(L, 2, NULL);
  luaL_argcheck(L, c->opener, 1, "only the end that opened a context can cancel it");
  if (!c->handle) return 0;
  c->asked = true;
  c->out_ended = c->in_ended = true;
  copse_status status = copse_cancel(c->handle, COPSE_ORIGIN_REQUESTED, message, -1);
  if (status != COPSE_OK && status != COPSE_ESTATE)
    return copse__lua_raise_status(L, status, "cancelling a context");
  return 0;
}
