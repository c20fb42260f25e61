/* SPDX-License-Identifier: MIT
 *
 * host.c: one lua_State tied to one runtime, and the module `copse` put together.
 *
 * Userdata are told apart by the identity of their metatable, kept in the host: an operation on
 * a context costs a pointer comparison, not a look-up by name. What C refers to while Lua might
 * forget it (open frames, contexts, children, tasks) is anchored in one registry table under its
 * address.
 */
#include "host.h"

#include "copse_lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static host the_host;
host *copse__lua_host = &the_host;

static char anchors, singletons[2]; /* registry */

static const char *const class_names[CLASS_COUNT] = {
#define X(id, name) [CLASS_##id] = name,
    CLASSES(X)
#undef X
};

/* --- classes ---------------------------------------------------------------------------------- */

void copse__lua_class(lua_State *L, class_id id, const luaL_Reg *meta, const luaL_Reg *methods) {
  luaL_newmetatable(L, class_names[id]);
  if (meta) luaL_setfuncs(L, meta, 0);
  if (methods) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  the_host.classes[id] = lua_topointer(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &the_host.classes[id]);
}

void *copse__lua_new(lua_State *L, size_t size, int values, class_id id) {
  void *ud = lua_newuserdatauv(L, size, values);
  memset(ud, 0, size);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &the_host.classes[id]);
  lua_setmetatable(L, -2);
  return ud;
}

void *copse__lua_test(lua_State *L, int index, class_id id) {
  void *ud = lua_touserdata(L, index);
  if (!ud || !lua_getmetatable(L, index)) return NULL;
  const void *meta = lua_topointer(L, -1);
  lua_pop(L, 1);
  return meta == the_host.classes[id] ? ud : NULL;
}

void *copse__lua_check(lua_State *L, int index, class_id id) {
  void *ud = copse__lua_test(L, index, id);
  if (!ud) luaL_typeerror(L, index, class_names[id]);
  return ud;
}

const char *copse__lua_check_text(lua_State *L, int index, int arg) {
  size_t size;
  const char *text = luaL_checklstring(L, index, &size);
  luaL_argcheck(L, strlen(text) == size, arg, "a string without a zero byte");
  return text;
}

const char *copse__lua_check_name(lua_State *L, int arg) {
  const char *name = copse__lua_check_text(L, arg, arg);
  size_t size = strlen(name);
  luaL_argcheck(L, size >= 1 && size <= COPSE_NAME_MAX && copse__lua_is_utf8(name, size), arg,
                "a name of 1 to 64 bytes of UTF-8");
  return name;
}

void copse__lua_push_cancelled(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &singletons[0]); }

void copse__lua_push_null(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &singletons[1]); }

/* --- anchors ---------------------------------------------------------------------------------- */

void copse__lua_anchor(lua_State *L, int index, const void *key) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

/* An assignment of nil to a key that is there allocates nothing. */
void copse__lua_release(host *h, const void *key) {
  lua_State *L = h->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors);
  lua_rawgetp(L, -1, key);
  bool there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (there) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, key);
  }
  lua_pop(L, 1);
}

bool copse__lua_push_anchored(lua_State *L, const void *key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors);
  lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

/* --- helpers ---------------------------------------------------------------------------------- */

copse *copse__lua_runtime(lua_State *L) {
  if (!the_host.rt)
    luaL_error(L, "copse: no actor runs here: start one with `copse run` or copse.run");
  return the_host.rt;
}

bool copse__lua_protected(host *h, lua_CFunction fn, void *arg) {
  lua_State *L = h->L;
  if (!lua_checkstack(L, 4)) return false;
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, arg);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

int64_t copse__lua_milliseconds(lua_State *L, int index, const char *what) {
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0, index,
                lua_pushfstring(L, "%s: a number of seconds, not negative", what));
  lua_Number ms = seconds * 1000;
  if (ms > 9e15) return INT64_C(9000000000000000);
  if (ms > 0 && ms < 1) return 1;
  return (int64_t)(ms + (lua_Number)0.5);
}

void copse__lua_check_options(lua_State *L, int index, const char *what, const char *const *names) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue; /* positions are the caller's */
    const char *key = lua_tostring(L, -2);
    const char *const *name = names;
    while (*name && strcmp(*name, key) != 0) name++;
    if (*name) continue;
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (name = names; *name; name++) {
      if (name != names) luaL_addstring(&text, ", ");
      luaL_addstring(&text, *name);
    }
    luaL_pushresult(&text);
    luaL_error(L, "%s has no option '%s'; there are: %s", what, key, lua_tostring(L, -1));
  }
}

int64_t copse__lua_field_ms(lua_State *L, int index, const char *field, int64_t none) {
  int64_t ms = none;
  if (lua_getfield(L, index, field) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) < 0)
      luaL_error(L, "option '%s': a number of seconds, not negative", field);
    ms = copse__lua_milliseconds(L, lua_gettop(L), field);
  }
  lua_pop(L, 1);
  return ms;
}

/* --- small functions of the module ------------------------------------------------------------ */

static int cancelled_tostring(lua_State *L) {
  lua_pushliteral(L, "cancelled");
  return 1;
}

static int l_self(lua_State *L) {
  copse__lua_push_ref(L, copse_self(copse__lua_runtime(L)));
  return 1;
}

static int l_log(lua_State *L) {
  bool ok;
  copse_log_level level = copse_log_parse(luaL_checkstring(L, 1), &ok);
  luaL_argcheck(L, ok, 1, "a level: error, warn, info, debug or trace");
  luaL_checkany(L, 2);
  copse *rt = copse__lua_runtime(L);
  if (level > copse_log_get_level(rt)) return 0;
  lua_remove(L, 1);
  if (lua_gettop(L) > 1) {
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_remove(L, -2);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
  }
  copse_log(rt, level, "%s", luaL_tolstring(L, 1, NULL));
  return 0;
}

/* The counterpart of Lua's panic: an error outside any protected call, which would be a mistake
 * of this binding. */
static int panic(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "copse: an error outside any protected call: %s\n", text ? text : "(no message)");
  return 0;
}

static int forget(lua_State *L) {
  (void)L;
  copse__lua_timer_close(&the_host);
  copse_buf_deinit(&the_host.scratch);
  free(the_host.command);
  free(the_host.module);
  free(the_host.file);
  memset(&the_host, 0, sizeof the_host);
  return 0;
}

int luaopen_copse(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  if (the_host.L)
    return luaL_error(L, "copse is already loaded, maybe in another lua_State: one per process");
  the_host.L = main;
  lua_atpanic(L, panic);
  copse_buf_init(&the_host.scratch, SIZE_MAX, NULL);

  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors);
  lua_newuserdatauv(L, 0, 0); /* its __gc is the end of the state */
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, forget);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &the_host);

  static const luaL_Reg cancelled_meta[] = {{"__tostring", cancelled_tostring}, {NULL, NULL}};
  copse__lua_class(L, CLASS_CANCELLED, cancelled_meta, NULL);
  copse__lua_new(L, 0, 0, CLASS_CANCELLED);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &singletons[0]);

  lua_newtable(L);
  int lib = lua_gettop(L);
  copse__lua_open_value(L, lib);
  copse__lua_new(L, 0, 0, CLASS_NULL);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &singletons[1]);
  lua_setfield(L, lib, "null");
  copse__lua_open_error(L, lib);
  copse__lua_open_task(main);
  copse__lua_open_output(main);
  copse__lua_open_scope(L, lib);
  copse__lua_open_wait(L, lib);
  copse__lua_open_context(L, lib);
  copse__lua_open_peer(L, lib);
  copse__lua_open_registry(L, lib);
  copse__lua_open_run(L, lib);
  static const luaL_Reg functions[] = {{"self", l_self}, {"log", l_log}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushstring(L, copse_version());
  lua_setfield(L, lib, "version");
  return 1;
}
