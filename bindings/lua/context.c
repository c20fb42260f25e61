/* SPDX-License-Identifier: MIT
 *
 * context.c: what both ends of a context do: send, receive, finish, stop.
 *
 * Items go the short way. Where a task waits to receive, the runtime's callback resumes it with a
 * view of the item, and the continuation decodes it on that task's stack: nothing is copied or
 * queued. What else of the stream has arrived the task then takes without waiting, so a loop over
 * many small items is resumed once for all that one read brought. An item that nobody waits for is
 * kept as bytes, within the credit that was granted, which is given back when it is received. A
 * string is sent from where it lies; any other value is encoded into the host's buffer, and where
 * there is no credit the task waits and encodes it again.
 */
#include "context.h"

#include <stdint.h>
#include <string.h>

context *copse__lua_context_new(lua_State *L, bool opener) {
  context *c = copse__lua_new(L, sizeof *c, 0, CLASS_CONTEXT);
  c->opener = opener;
  copse_buf_init(&c->value, SIZE_MAX, NULL);
  copse_buf_init(&c->queue, SIZE_MAX, NULL);
  return c;
}

/* --- waking ----------------------------------------------------------------------------------- */

static void move_all(task_list *from, task_list *to) {
  while (from->first) {
    task *t = from->first;
    copse__lua_list_remove(t);
    copse__lua_list_add(to, t);
  }
}

bool copse__lua_context_collect(context *c, task_list *woken) {
  move_all(&c->receivers, woken);
  move_all(&c->senders, woken);
  move_all(&c->finishers, woken);
  if (c->opening) copse__lua_list_add(woken, c->opening);
  c->opening = NULL;
  const bool heard = woken->first != NULL;
  move_all(&c->closers, woken);
  return heard;
}

void copse__lua_resume_all(task_list *woken) {
  while (woken->first) copse__lua_task_resume(woken->first);
}

bool copse__lua_context_item(copse_context *ctx, copse_bytes value, void *arg) {
  context *c = arg;
  task *t = c->receivers.first;
  if (t) {
    t->incoming = value;
    t->has_incoming = true;
    copse__lua_task_resume(t);
    return true;
  }
  if (c->in_ended) return true; /* stopped: it is not wanted any more */
  if (c->head == c->queue.size) {
    copse_buf_reset(&c->queue);
    c->head = 0;
  } else if (c->head > 65536 && c->head > c->queue.size / 2) {
    memmove(c->queue.data, c->queue.data + c->head, c->queue.size - c->head);
    c->queue.size -= c->head;
    c->head = 0;
  }
  copse_buf_append(&c->queue, &value.size, sizeof value.size);
  copse_buf_append(&c->queue, value.data, value.size);
  if (copse_buf_status(&c->queue) != COPSE_OK)
    copse_scope_fail(copse_context_scope(ctx),
                     copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory to keep an item"));
  return false;
}

void copse__lua_context_end(copse_context *ctx, void *arg) {
  (void)ctx;
  context *c = arg;
  task_list woken = {NULL, NULL};
  c->in_ended = true;
  move_all(&c->receivers, &woken);
  copse__lua_resume_all(&woken);
}

void copse__lua_context_writable(copse_context *ctx, void *arg) {
  (void)ctx;
  context *c = arg;
  task_list woken = {NULL, NULL};
  move_all(&c->senders, &woken);
  copse__lua_resume_all(&woken);
}

/* --- receiving -------------------------------------------------------------------------------- */

static context *check(lua_State *L) { return copse__lua_check(L, 1, CLASS_CONTEXT); }

/* What the peer failed with is raised by the operation on its context. */
static void raise_failure(lua_State *L, context *c) {
  if (!c->error) return;
  c->raised = true;
  copse__lua_raise(L, copse_error_ref(c->error));
}

/* A handler that begins to work with items is ready, whether it said so or not: else both ends
 * would wait. */
static void ensure_started(lua_State *L, context *c) {
  if (c->opener || c->started || !c->handle) return;
  copse_status status = copse_started(c->handle, (copse_bytes){NULL, 0});
  if (status != COPSE_OK) copse__lua_raise_status(L, status, "starting a context");
  c->started = true;
}

static int receive_more(lua_State *L, int status, lua_KContext index);

/* The context is at `index`. */
static int receive_now(lua_State *L, int index, context *c, task *t) {
  copse__lua_checkpoint(L, t);
  raise_failure(L, c);
  if (c->head < c->queue.size) {
    copse_bytes value;
    memcpy(&value.size, c->queue.data + c->head, sizeof value.size);
    value.data = c->queue.data + c->head + sizeof value.size;
    c->head += sizeof value.size + value.size;
    if (c->handle) copse_consumed(c->handle, 1, value.size);
    copse__lua_decode(L, value, true);
    return 1;
  }
  if (c->in_ended || c->finished) {
    lua_pushnil(L);
    return 1;
  }
  ensure_started(L, c);
  copse_bytes value;
  if (c->handle && !c->receivers.first && copse_next_item(c->handle, &value)) {
    copse__lua_decode(L, value, true);
    return 1;
  }
  return copse__lua_wait(L, t, &c->receivers, index, receive_more);
}

static int receive_more(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  if (t->has_incoming) {
    t->has_incoming = false;
    copse__lua_decode(L, t->incoming, true);
    return 1;
  }
  return receive_now(L, (int)index, lua_touserdata(L, (int)index), t);
}

static int context_receive(lua_State *L) {
  context *c = check(L);
  return receive_now(L, 1, c, copse__lua_task(L));
}

/* A loop over items asks once what it loops over. */
static int items_next(lua_State *L) {
  const int index = lua_upvalueindex(1);
  return receive_now(L, index, lua_touserdata(L, index), copse__lua_task(L));
}

static int context_items(lua_State *L) {
  check(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, items_next, 1);
  return 1;
}

/* --- sending ---------------------------------------------------------------------------------- */

static int send_more(lua_State *L, int status, lua_KContext ctx);

static int send_now(lua_State *L, context *c, task *t) {
  copse__lua_checkpoint(L, t);
  raise_failure(L, c);
  if (c->out_ended) return luaL_error(L, "send after finish");
  if (!c->handle) {
    if (!c->opener) return luaL_error(L, "the context has ended");
    lua_pushboolean(L, 0);
    return 1;
  }
  ensure_started(L, c);
  const char *data;
  size_t size;
  copse_status status;
  if (lua_type(L, 2) == LUA_TSTRING) { /* what most items are; see value.c for its rule */
    data = lua_tolstring(L, 2, &size);
    status = copse_send_str(c->handle, data, size);
    if (status == COPSE_EVALUE) status = copse_send_bin(c->handle, data, size);
  } else if (copse__lua_is_large_bin(L, 2, &data, &size)) {
    status = copse_send_bin(c->handle, data, size);
  } else {
    copse_buf *buf = &t->host->scratch;
    copse_buf_reset(buf);
    copse__lua_encode(L, 2, buf);
    copse__lua_check_buf(L, buf);
    status = copse_send(c->handle, copse_buf_bytes(buf));
  }
  if (status == COPSE_EAGAIN) return copse__lua_wait(L, t, &c->senders, 0, send_more);
  if (status != COPSE_OK && status != COPSE_ENOMORE) {
    copse__lua_checkpoint(L, t);
    return copse__lua_raise_status(L, status, "sending an item");
  }
  lua_pushboolean(L, status == COPSE_OK);
  return 1;
}

static int send_more(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_resumed(L);
  return send_now(L, check(L), t);
}

/* ctx:send(value): true, or false when the peer reads no more */
static int context_send(lua_State *L) {
  context *c = check(L);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  return send_now(L, c, copse__lua_task(L));
}

/* ctx:finish(): I send no more */
static int context_finish(lua_State *L) {
  context *c = check(L);
  if (c->out_ended) return 0;
  if (c->handle) {
    ensure_started(L, c);
    copse_end(c->handle);
  }
  c->out_ended = true;
  return 0;
}

/* ctx:stop(): I read no more */
static int context_stop(lua_State *L) {
  context *c = check(L);
  if (c->in_ended && c->head == c->queue.size) return 0;
  if (c->handle) {
    ensure_started(L, c);
    copse_stop(c->handle);
  }
  c->in_ended = true;
  copse_buf_reset(&c->queue);
  c->head = 0;
  return 0;
}

/* --- the object ------------------------------------------------------------------------------- */

static int context_tostring(lua_State *L) {
  context *c = check(L);
  lua_pushfstring(L, "copse.context (%s, %s)", c->opener ? "opened" : "served",
                  c->error      ? "failed"
                  : c->finished ? "ended"
                                : "open");
  return 1;
}

static int context_gc(lua_State *L) {
  context *c = check(L);
  if (c->error) copse_error_unref(c->error);
  if (c->closing) copse_error_unref(c->closing);
  if (c->cancellation) copse_error_unref(c->cancellation);
  c->error = c->closing = c->cancellation = NULL;
  copse_buf_deinit(&c->value);
  copse_buf_deinit(&c->queue);
  return 0;
}

void copse__lua_open_context(lua_State *L, int lib) {
  static const luaL_Reg meta[] = {{"__tostring", context_tostring},
                                  {"__gc", context_gc},
                                  {"__close", copse__lua_context_dunder_close},
                                  {NULL, NULL}};
  static const luaL_Reg methods[] = {{"send", context_send},
                                     {"receive", context_receive},
                                     {"items", context_items},
                                     {"finish", context_finish},
                                     {"stop", context_stop},
                                     {"result", copse__lua_context_result},
                                     {"cancel", copse__lua_context_cancel},
                                     {"started", copse__lua_context_started},
                                     {NULL, NULL}};
  copse__lua_class(L, CLASS_CONTEXT, meta, methods);
  copse__lua_open_serve(L, lib);
}
