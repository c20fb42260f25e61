/* SPDX-License-Identifier: MIT
 *
 * registry.c: finding other actors: by address, by reference, by the name they are registered
 * under.
 *
 * All of these are contexts or links inside the scope in which they are asked for, and end with
 * it. One pattern serves: a request on the Lua stack, a task that waits for it without being
 * interrupted (the runtime answers when the scope is cancelled), a continuation that takes the
 * answer while it is there.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

typedef struct request {
  task *task;
  copse_peer *peer;
  const copse_ref *refs; /* views, while the task is being resumed */
  size_t count;
  copse_error *error; /* a reference of ours */
} request;

static request *new_request(lua_State *L, task *t) {
  request *r = copse__lua_new(L, sizeof *r, 0, CLASS_CALL);
  r->task = t;
  return r;
}

/* The error is raised; a cancellation that comes from the task's own scope is one. */
static void check_answer(lua_State *L, task *t, request *r) {
  copse_error *error = r->error;
  if (!error) return;
  r->error = NULL;
  if (copse_error_get(error)->known == COPSE_CODE_CANCELLED &&
      copse_scope_is_cancelled(t->top->scope)) {
    copse_error_unref(error);
    copse__lua_cancel(L);
  }
  copse__lua_raise(L, error);
}

static void check_status(lua_State *L, copse_status status, const char *what) {
  if (status != COPSE_OK) copse__lua_raise_status(L, status, what);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void on_connected(copse *rt, copse_peer *cp, copse_error *error, void *arg) {
  (void)rt;
  request *r = arg;
  r->peer = cp;
  r->error = error ? copse_error_ref(error) : NULL;
  copse__lua_task_resume(r->task);
}

static int connected(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  request *r = copse__lua_check(L, (int)index, CLASS_CALL);
  check_answer(L, t, r);
  copse__lua_push_peer(L, r->peer, t->top);
  return 1;
}

/* The optional table { token = } at `index`: a view of its string. */
static copse_bytes token_of(lua_State *L, int index, const char *what) {
  static const char *const names[] = {"token", NULL};
  copse_bytes token = {NULL, 0};
  if (lua_isnoneornil(L, index)) return token;
  luaL_checktype(L, index, LUA_TTABLE);
  copse__lua_check_options(L, index, what, names);
  if (lua_getfield(L, index, "token") != LUA_TNIL)
    token.data = (const uint8_t *)luaL_checklstring(L, -1, &token.size);
  lua_pop(L, 1); /* the table keeps it */
  return token;
}

/* copse.connect(address [, { token = }]) */
static int l_connect(lua_State *L) {
  const char *address = copse__lua_check_text(L, 1, 1);
  copse_bytes token = token_of(L, 2, "copse.connect");
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  request *r = new_request(L, t);
  check_status(L, copse_connect(t->host->rt, t->top->scope, address, NULL, token, on_connected, r),
               address);
  return copse__lua_wait_on(L, t, NULL, lua_gettop(L), connected);
}

/* copse.listen(address [, { token = }]) */
static int l_listen(lua_State *L) {
  const char *address = copse__lua_check_text(L, 1, 1);
  copse_bytes token = token_of(L, 2, "copse.listen");
  char *why = NULL;
  copse_status status = copse_listen(copse__lua_runtime(L), address, token, &why);
  if (status == COPSE_OK) return 0;
  luaL_where(L, 1);
  lua_pushfstring(L, "cannot listen: %s", why ? why : copse_status_text(status));
  free(why);
  lua_concat(L, 2);
  return lua_error(L);
}

/* copse.reach(ref) */
static int l_reach(lua_State *L) {
  const copse_ref *ref = copse__lua_test(L, 1, CLASS_REF);
  if (!ref && copse__lua_test(L, 1, CLASS_PEER)) ref = &((peer *)lua_touserdata(L, 1))->ref;
  if (!ref) ref = copse__lua_check(L, 1, CLASS_REF);
  task *t = copse__lua_task(L);
  bool myself = memcmp(ref->id, copse_self(t->host->rt)->id, sizeof ref->id) == 0;
  luaL_argcheck(L, !myself, 1, "this actor itself, which has no link to itself");
  copse__lua_checkpoint(L, t);
  request *r = new_request(L, t);
  check_status(L, copse_reach(t->host->rt, t->top->scope, ref, on_connected, r), ref->name);
  return copse__lua_wait_on(L, t, NULL, lua_gettop(L), connected);
}

/* --- names ------------------------------------------------------------------------------------ */

static void on_registered(copse_error *error, void *arg) {
  request *r = arg;
  r->error = error ? copse_error_ref(error) : NULL;
  copse__lua_task_resume(r->task); /* once; of a loss later on the scope hears */
}

static int registered(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  check_answer(L, t, copse__lua_check(L, (int)index, CLASS_CALL));
  return 0;
}

/* copse.register(name) */
static int l_register(lua_State *L) {
  const char *name = copse__lua_check_name(L, 1);
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  request *r = new_request(L, t);
  check_status(L, copse_register(t->host->rt, t->top->scope, name, on_registered, r), name);
  return copse__lua_wait_on(L, t, NULL, lua_gettop(L), registered);
}

static void on_found(const copse_ref *refs, size_t count, copse_error *error, void *arg) {
  request *r = arg;
  r->refs = refs;
  r->count = count;
  r->error = error ? copse_error_ref(error) : NULL;
  copse__lua_task_resume(r->task);
}

static int found_all(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  request *r = copse__lua_check(L, (int)index, CLASS_CALL);
  check_answer(L, t, r);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    copse__lua_push_ref(L, &r->refs[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int found_one(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  request *r = copse__lua_check(L, (int)index, CLASS_CALL);
  check_answer(L, t, r);
  if (r->count == 0)
    return copse__lua_raise(L, copse_error_new(COPSE_CODE_NOT_FOUND, "nobody is registered"));
  copse__lua_push_ref(L, &r->refs[0]);
  return 1;
}

static int find(lua_State *L, bool wait, lua_KFunction k) {
  const char *name = copse__lua_check_name(L, 1);
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  request *r = new_request(L, t);
  check_status(L, copse_find(t->host->rt, t->top->scope, name, wait, on_found, r), name);
  return copse__lua_wait_on(L, t, NULL, lua_gettop(L), k);
}

static int l_find(lua_State *L) { return find(L, false, found_all); }

static int l_wait(lua_State *L) { return find(L, true, found_one); }

/* --- watching --------------------------------------------------------------------------------- */

/* An event of the registry as it is kept: the operation, the length of what follows, and encoded
 * the reference and the name. */
typedef struct watch {
  frame frame;
  bool popped, over;
  copse_error *error;
  copse_buf queue; /* op byte, size_t length, encoded reference and name */
  size_t head;
  task_list waiting;
} watch;

static void on_change(char op, const char *name, const copse_ref *ref, copse_error *error,
                      void *arg) {
  watch *w = arg;
  if (w->popped) return;
  if (op == 'x') {
    bool asked = !w->frame.scope || copse_scope_is_cancelled(w->frame.scope);
    w->over = true;
    if (error && !w->error && !(asked && copse_error_get(error)->known == COPSE_CODE_CANCELLED))
      w->error = copse_error_ref(error);
  } else if (op != '.') {
    copse_buf encoded;
    copse_buf_init(&encoded, 1 << 16, NULL);
    copse_pack_ref(&encoded, ref, true);
    copse_pack_cstr(&encoded, name);
    copse_bytes bytes = copse_buf_bytes(&encoded);
    copse_status status = copse_buf_status(&encoded);
    copse_buf_append(&w->queue, &op, 1);
    copse_buf_append(&w->queue, &bytes.size, sizeof bytes.size);
    copse_buf_append(&w->queue, bytes.data, bytes.size);
    copse_buf_deinit(&encoded);
    if ((status != COPSE_OK || copse_buf_status(&w->queue) != COPSE_OK) && !w->error)
      w->error = copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory to keep a change");
  }
  task_list woken = w->waiting;
  if (!woken.first || (op == '.' && w->head == w->queue.size)) return;
  copse__lua_task_resume(woken.first);
}

/* The operation, the reference and its name, or nothing when it is over. */
static int next_change(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_resumed(L);
  watch *w = copse__lua_check(L, 1, CLASS_WATCH);
  copse__lua_checkpoint(L, t);
  if (w->error) return copse__lua_raise(L, copse_error_ref(w->error));
  if (w->head < w->queue.size) {
    const uint8_t *at = w->queue.data + w->head;
    copse_bytes entry = {at + 1 + sizeof entry.size, 0}, value;
    copse_reader reader;
    char op = (char)at[0];
    memcpy(&entry.size, at + 1, sizeof entry.size);
    w->head += 1 + sizeof entry.size + entry.size;
    copse_reader_init(&reader, entry);
    lua_pushstring(L, op == '-' ? "remove" : "add");
    for (int i = 0; i < 2 && copse_read_value(&reader, &value) == COPSE_OK; i++)
      copse__lua_decode(L, value, false);
    if (w->head == w->queue.size) {
      copse_buf_reset(&w->queue);
      w->head = 0;
    }
    return 3;
  }
  if (w->over || w->popped) return 0;
  if (w->waiting.first) return luaL_error(L, "another task follows this watch");
  return copse__lua_wait(L, t, &w->waiting, 0, next_change);
}

static int watch_next(lua_State *L) {
  copse__lua_check(L, 1, CLASS_WATCH);
  copse__lua_task(L);
  lua_settop(L, 1);
  return next_change(L, LUA_OK, 0);
}

void copse__lua_watch_close(frame *f) {
  copse_scope_cancel(f->scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
}

void copse__lua_watch_popped(frame *f) { ((watch *)f)->popped = true; }

static int watch_ended(lua_State *L, watch *w) {
  if (w->error && lua_isnoneornil(L, 2)) return copse__lua_raise(L, copse_error_ref(w->error));
  return 0;
}

/* [1] watch, [2] error or nil */
static int watch_closed(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  task *t = copse__lua_task_any(L);
  watch *w = copse__lua_check(L, 1, CLASS_WATCH);
  closing why = lua_isnoneornil(L, 2) ? CLOSE_NORMAL : CLOSE_FAILED;
  if (!copse__lua_unwind(t, &w->frame, true, why, &w->error))
    return copse__lua_wait_on(L, t, t->on, 0, watch_closed);
  return watch_ended(L, w);
}

static int watch_close(lua_State *L) {
  watch *w = copse__lua_check(L, 1, CLASS_WATCH);
  if (w->popped || !copse__lua_host->rt) return 0;
  task *t = copse__lua_task(L);
  if (w->frame.task != t) return 0;
  lua_settop(L, 2);
  if (copse__lua_frame_is_last(&w->frame)) return watch_closed(L, LUA_OK, 0);
  if (copse_scope_is_cancelled(w->frame.scope)) return 0; /* the scope around closes it */
  copse__lua_frame_drop(&w->frame);
  w->over = true;
  if (w->waiting.first) copse__lua_task_ready(w->waiting.first);
  return watch_ended(L, w);
}

static int watch_gc(lua_State *L) {
  watch *w = copse__lua_check(L, 1, CLASS_WATCH);
  if (w->error) copse_error_unref(w->error);
  w->error = NULL;
  copse_buf_deinit(&w->queue);
  return 0;
}

/* for op, ref, name in copse.watch([name]) do ... end */
static int l_watch(lua_State *L) {
  const char *name = lua_isnoneornil(L, 1) ? NULL : copse__lua_check_name(L, 1);
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  copse_scope_options o = COPSE_SCOPE_OPTIONS;
  o.name = "watch";
  lua_pushcfunction(L, watch_next);
  watch *w = copse__lua_new(L, sizeof *w, 0, CLASS_WATCH);
  copse_buf_init(&w->queue, SIZE_MAX, NULL);
  copse__lua_frame_open(L, t, &w->frame, FRAME_WATCH, &o);
  copse_status status = copse_watch(t->host->rt, w->frame.scope, name, on_change, w);
  if (status != COPSE_OK) w->error = copse_status_error(status, "watching the registry");
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

void copse__lua_open_registry(lua_State *L, int lib) {
  static const luaL_Reg meta[] = {{"__close", watch_close}, {"__gc", watch_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"connect", l_connect}, {"listen", l_listen}, {"reach", l_reach}, {"register", l_register},
      {"find", l_find},       {"wait", l_wait},     {"watch", l_watch}, {NULL, NULL}};
  copse__lua_class(L, CLASS_WATCH, meta, NULL);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
