/* SPDX-License-Identifier: MIT
 *
 * peer.c: other actors, and calling them.
 *
 * A peer object is a handle: it stays valid for Lua after the actor has gone, and says so. A
 * call needs no scope of its own: it is a context in the task's innermost scope, whose outcome
 * the task waits for. That wait is not interrupted: cancelling the scope cancels the context,
 * and the far side's answer to that ends the wait.
 */
#include "host.h"

#include <string.h>

/* --- handles ---------------------------------------------------------------------------------- */

/* Handles that a scope has got keep their peer themselves: the link may be gone, and with it the
 * service that brought the peer, long before the scope has ended. */
static void link_peer(peer *p, frame *f) {
  copse_peer_retain(p->peer);
  p->frame = f;
  p->next = f->peers;
  if (f->peers) f->peers->prev = p;
  f->peers = p;
}

static void unlink_peer(peer *p) {
  if (!p->frame) return;
  if (p->prev) p->prev->next = p->next;
  else p->frame->peers = p->next;
  if (p->next) p->next->prev = p->prev;
  p->next = p->prev = NULL;
  p->frame = NULL;
  copse_peer_release(p->peer);
  p->peer = NULL;
}

void copse__lua_forget_peers(frame *f) {
  while (f->peers) unlink_peer(f->peers);
}

peer *copse__lua_push_peer(lua_State *L, copse_peer *cp, frame *f) {
  copse_child *child = cp ? copse_peer_child(cp) : NULL;
  if (child && copse__lua_push_anchored(L, child)) return lua_touserdata(L, -1);
  peer *p = copse__lua_new(L, sizeof *p, 0, CLASS_PEER);
  p->peer = cp;
  p->ready = true;
  p->run = copse__lua_host->runs;
  if (cp) p->ref = *copse_peer_ref(cp);
  if (cp && f) link_peer(p, f);
  return p;
}

copse_peer *copse__lua_live_peer(lua_State *L, int index) {
  peer *p = copse__lua_check(L, index, CLASS_PEER);
  copse__lua_runtime(L);
  if (p->run != copse__lua_host->runs) p->peer = NULL;
  if (p->peer) return p->peer;
  if (p->gone) copse__lua_raise(L, copse_error_ref(p->gone));
  copse__lua_raise(L, copse_error_new(COPSE_CODE_CLOSING,
                                      "the actor \"%s\" has ended, or this handle's scope has",
                                      p->ref.name));
  return NULL;
}

/* --- options ---------------------------------------------------------------------------------- */

void copse__lua_field_window(lua_State *L, int index, copse_credit *window) {
  int type = lua_getfield(L, index, "window");
  copse_credit defaults = COPSE_WINDOW_DEFAULT;
  if (type == LUA_TNUMBER && lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0) {
    window->items = (uint64_t)lua_tointeger(L, -1);
    window->bytes = defaults.bytes;
  } else if (type == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    if (!lua_isinteger(L, -2) || !lua_isinteger(L, -1) || lua_tointeger(L, -2) < 0 ||
        lua_tointeger(L, -1) < 1)
      luaL_error(L, "option 'window': {items, bytes}, two integers");
    window->items = (uint64_t)lua_tointeger(L, -2);
    window->bytes = (uint64_t)lua_tointeger(L, -1);
    lua_pop(L, 2);
  } else if (type != LUA_TNIL) {
    luaL_error(L, "option 'window': a number of items, or {items, bytes}");
  }
  lua_pop(L, 1);
}

void copse__lua_target(lua_State *L, int index, copse_open_options *o) {
  static const char *const names[] = {"args", "deadline", "meta", "send", "window", NULL};
  if (lua_type(L, index) != LUA_TTABLE) {
    o->target = copse__lua_check_text(L, index, index);
    return;
  }
  if (lua_rawgeti(L, index, 1) != LUA_TSTRING)
    luaL_argerror(L, index, "a target, or { target, option = ... }");
  o->target = copse__lua_check_text(L, -1, index); /* the table keeps it */
  lua_pop(L, 1);
  copse__lua_check_options(L, index, "a target", names);
  o->deadline_ms = copse__lua_field_ms(L, index, "deadline", -1);
  copse__lua_field_window(L, index, &o->window);
  if (lua_getfield(L, index, "send") != LUA_TNIL) o->send = lua_toboolean(L, -1);
  lua_pop(L, 1);
}

/* Pushes the table in a field of the target, or nil. */
static void push_table(lua_State *L, int target, const char *field) {
  int type = LUA_TNIL;
  if (lua_type(L, target) == LUA_TTABLE) type = lua_getfield(L, target, field);
  else lua_pushnil(L);
  if (type != LUA_TTABLE && type != LUA_TNIL) luaL_error(L, "option '%s': a table", field);
}

/* The arguments are the values after the target, or the target table's field `args`. Both fields
 * are read before anything is encoded: reading them may run code that encodes, too. */
void copse__lua_encode_opening(lua_State *L, int target, int last, copse_open_options *o) {
  copse_buf *buf = &copse__lua_host->scratch;
  if (last > target) lua_pushnil(L);
  else push_table(L, target, "args");
  push_table(L, target, "meta");
  const int meta = lua_gettop(L);
  copse_buf_reset(buf);
  if (last > target) copse__lua_encode_array(L, target + 1, last, buf);
  else if (!lua_isnil(L, meta - 1)) copse__lua_encode(L, meta - 1, buf);
  const size_t args = copse_buf_bytes(buf).size;
  if (!lua_isnil(L, meta)) {
    for (lua_pushnil(L); lua_next(L, meta); lua_pop(L, 1))
      if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "option 'meta': values by name");
    copse__lua_encode_map(L, meta, buf);
  }
  lua_settop(L, meta - 2);
  copse__lua_check_buf(L, buf);
  copse_bytes both = copse_buf_bytes(buf);
  o->args = (copse_bytes){both.data, args};
  o->meta = (copse_bytes){both.data + args, both.size - args};
}

/* --- calls ------------------------------------------------------------------------------------ */

typedef struct call {
  task *task;
  const copse_outcome *outcome; /* while the task is being resumed with it */
} call;

static bool call_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  call *c = arg;
  c->outcome = outcome;
  copse__lua_task_resume(c->task);
  return true;
}

static int called(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  call *c = lua_touserdata(L, (int)index);
  const copse_outcome *outcome = c->outcome;
  c->outcome = NULL;
  if (outcome->kind == COPSE_RETURNED) {
    copse__lua_decode(L, outcome->value, false);
    return 1;
  }
  if (outcome->kind == COPSE_FAILED) return copse__lua_raise(L, copse_error_ref(outcome->error));
  copse__lua_checkpoint(L, t);
  return copse__lua_raise(L, copse_cause_error(outcome->cause));
}

/* peer:call(target, ...) */
static int peer_call(lua_State *L) {
  task *t = copse__lua_task(L);
  copse_peer *cp = copse__lua_live_peer(L, 1);
  copse__lua_checkpoint(L, t);
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse__lua_target(L, 2, &o);
  o.send = false;
  o.window = (copse_credit){0, 0};
  int last = lua_gettop(L);
  call *c = copse__lua_new(L, sizeof *c, 0, CLASS_CALL);
  c->task = t;
  copse__lua_encode_opening(L, 2, last, &o);
  o.cbs.done = call_done;
  o.data = c;
  copse_context *ctx;
  copse_status status = copse_open(cp, t->top->scope, &o, &ctx);
  if (status != COPSE_OK) return copse__lua_raise_status(L, status, o.target);
  return copse__lua_wait_on(L, t, NULL, last + 1, called);
}

/* --- the rest of the handle ------------------------------------------------------------------- */

static int peer_finish(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  if (p->child) copse_child_finish(p->child);
  else if (p->peer)
    return luaL_error(L, "only the actor that spawned \"%s\" can finish it", p->ref.name);
  return 0;
}

static int peer_cancel(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  const char *message = luaL_optstring(L, 2, NULL);
  if (p->child) copse_child_cancel(p->child, COPSE_ORIGIN_REQUESTED, message, -1);
  else if (p->peer)
    return luaL_error(L, "only the actor that spawned \"%s\" can cancel it", p->ref.name);
  return 0;
}

static int peer_kill(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  lua_Integer number = luaL_optinteger(L, 2, 9);
  luaL_argcheck(L, number > 0 && number < 65, 2, "a signal's number");
  if (p->child) copse_child_kill(p->child, (int)number);
  else if (p->peer)
    return luaL_error(L, "only the actor that spawned \"%s\" can kill it", p->ref.name);
  return 0;
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  copse__lua_resumed(L);
  return 0;
}

/* peer:wait(): until a spawned actor has gone */
static int peer_wait(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  if (p->ended) return 0;
  if (!p->child)
    return luaL_error(L, "only the actor that spawned \"%s\" can wait for its end", p->ref.name);
  return copse__lua_wait(L, t, &p->waiting, 0, waited);
}

/* --- ping ------------------------------------------------------------------------------------- */

typedef struct ping {
  task *task; /* NULL: it was cancelled and waits no more */
  uint64_t us;
} ping;

static void on_pong(copse_peer *cp, uint64_t us, void *arg) {
  (void)cp;
  ping *p = arg;
  task *t = p->task;
  p->us = us;
  p->task = NULL;
  if (t) copse__lua_task_resume(t); /* whose stack keeps `p` */
  copse__lua_release(copse__lua_host, p);
}

static void unping(task *t) { ((ping *)t->on)->task = NULL; }

static int pinged(lua_State *L, int status, lua_KContext index) {
  (void)status;
  copse__lua_resumed(L);
  const ping *p = lua_touserdata(L, (int)index);
  if (p->us == UINT64_MAX) {
    const peer *to = copse__lua_check(L, 1, CLASS_PEER);
    return copse__lua_raise(
        L, copse_error_new(COPSE_CODE_LINK_LOST, "the link with %s was lost", to->ref.name));
  }
  lua_pushnumber(L, (lua_Number)p->us / 1e6);
  return 1;
}

/* peer:ping(): seconds there and back */
static int peer_ping(lua_State *L) {
  task *t = copse__lua_task(L);
  copse_peer *cp = copse__lua_live_peer(L, 1);
  copse__lua_checkpoint(L, t);
  ping *p = copse__lua_new(L, sizeof *p, 0, CLASS_CALL);
  int index = lua_gettop(L);
  copse__lua_anchor(L, index, p);
  p->task = t;
  copse_status status = copse_peer_ping(cp, on_pong, p);
  if (status != COPSE_OK) {
    copse__lua_release(t->host, p);
    if (status == COPSE_EAGAIN) return luaL_error(L, "a ping of this actor is under way already");
    return copse__lua_raise_status(L, status, "ping");
  }
  return copse__lua_wait_with(L, t, p, unping, index, pinged);
}

static int peer_index(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  const char *key = luaL_checkstring(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (strcmp(key, "name") == 0) lua_pushstring(L, p->ref.name);
  else if (strcmp(key, "ref") == 0) copse__lua_push_ref(L, &p->ref);
  else if (strcmp(key, "id") == 0) {
    copse__lua_push_ref(L, &p->ref);
    lua_getfield(L, -1, "id");
  } else if (strcmp(key, "pid") == 0 && p->pid > 0) lua_pushinteger(L, p->pid);
  else if (strcmp(key, "alive") == 0)
    lua_pushboolean(L, p->peer && !p->ended && copse__lua_host->rt &&
                           p->run == copse__lua_host->runs && copse_peer_alive(p->peer));
  else lua_pushnil(L);
  return 1;
}

static int peer_eq(lua_State *L) {
  peer *a = copse__lua_test(L, 1, CLASS_PEER), *b = copse__lua_test(L, 2, CLASS_PEER);
  lua_pushboolean(L, a && b && memcmp(a->ref.id, b->ref.id, sizeof a->ref.id) == 0);
  return 1;
}

static int peer_tostring(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  if (p->pid > 0) lua_pushfstring(L, "%s (pid %I)", p->ref.name, (LUAI_UACINT)p->pid);
  else lua_pushstring(L, p->ref.name);
  return 1;
}

static int peer_gc(lua_State *L) {
  peer *p = copse__lua_check(L, 1, CLASS_PEER);
  unlink_peer(p);
  if (p->gone) copse_error_unref(p->gone);
  p->gone = NULL;
  return 0;
}

/* copse.parent(): nil in a root */
static int l_parent(lua_State *L) {
  copse_peer *cp = copse_parent(copse__lua_runtime(L));
  if (cp) copse__lua_push_peer(L, cp, NULL);
  else lua_pushnil(L);
  return 1;
}

void copse__lua_open_peer(lua_State *L, int lib) {
  static const luaL_Reg meta[] = {
      {"__eq", peer_eq}, {"__tostring", peer_tostring}, {"__gc", peer_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"call", peer_call},     {"open", copse__lua_peer_open},
                                     {"finish", peer_finish}, {"cancel", peer_cancel},
                                     {"kill", peer_kill},     {"wait", peer_wait},
                                     {"ping", peer_ping},     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"parent", l_parent}, {NULL, NULL}};
  copse__lua_class(L, CLASS_PEER, meta, NULL);
  copse__lua_class(L, CLASS_CALL, NULL, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &copse__lua_host->classes[CLASS_PEER]);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, peer_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
