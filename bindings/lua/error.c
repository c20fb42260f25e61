/* SPDX-License-Identifier: MIT
 *
 * error.c: error objects.
 *
 * Whatever leaves a task, a scope or a context is an error of the runtime, which carries a code,
 * the stack and the path it came. Lua sees it as an object with these fields. In the other
 * direction any Lua value can be raised: a string becomes the message, a table may say code,
 * message, type and data. A table that passes several scopes on its way up keeps the error
 * object it got first, and with it the stack of where it was raised.
 */
#include "host.h"

#include <string.h>

static char by_table; /* registry: error objects by the table that was raised; weak keys */

static copse_error **box_of(lua_State *L, int index) {
  return copse__lua_test(L, index, CLASS_ERROR);
}

static size_t size_of(const copse_error *error) {
  const copse_error_info *info = copse_error_get(error);
  return info->data.size + strlen(info->stack) + strlen(info->message);
}

/* What the object keeps alive is memory that the collector does not see: a program that catches
 * errors with much data, again and again, would fill it with garbage. */
static void tell_collector(lua_State *L, const copse_error *error) {
  const copse_error_info *info = copse_error_get(error);
  size_t size = size_of(error);
  for (size_t i = 0; i < info->cause_count; i++) size += size_of(info->causes[i]);
  if (size >= 1024) lua_gc(L, LUA_GCSTEP, (int)(size / 1024));
}

/* Takes the reference. */
static void push_box(lua_State *L, copse_error *error) {
  copse_error **box = copse__lua_new(L, sizeof *box, 0, CLASS_ERROR);
  *box = error;
  tell_collector(L, error);
}

void copse__lua_push_error(lua_State *L, copse_error *error) {
  push_box(L, copse_error_ref(error));
}

int copse__lua_raise(lua_State *L, copse_error *error) {
  push_box(L, error);
  return lua_error(L);
}

int copse__lua_raise_status(lua_State *L, copse_status status, const char *what) {
  if (status == COPSE_ECANCELLED) return copse__lua_cancel(L);
  return copse__lua_raise(L, copse_status_error(status, what));
}

/* A copy of the information with one cause more, or with a stack. */
static copse_error *copy_with(copse_error *error, const char *stack, copse_error *cause) {
  copse_error_info info = *copse_error_get(error);
  copse_error *causes[33];
  if (stack) info.stack = stack;
  if (cause && info.cause_count < 32) {
    for (size_t i = 0; i < info.cause_count; i++) causes[i] = info.causes[i];
    causes[info.cause_count++] = cause;
    info.causes = causes;
  }
  return copse_error_make(&info);
}

copse_error *copse__lua_error_because(copse_error *error, copse_error *cause) {
  if (!cause) return error;
  const copse_error_info *info = copse_error_get(error);
  bool known = cause == error;
  for (size_t i = 0; i < info->cause_count && !known; i++) known = info->causes[i] == cause;
  for (size_t i = 0; i < copse_error_get(cause)->cause_count && !known; i++)
    if (copse_error_get(cause)->causes[i] == error) { /* the other way round already */
      copse_error_unref(error);
      return cause;
    }
  if (known) {
    copse_error_unref(cause);
    return error;
  }
  copse_error *both = copy_with(error, NULL, cause);
  copse_error_unref(error);
  copse_error_unref(cause);
  return both;
}

/* --- from Lua values -------------------------------------------------------------------------- */

static int protected_tostring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

static int protected_encode(lua_State *L) {
  copse__lua_encode(L, 1, lua_touserdata(L, 2));
  return 0;
}

/* Pushes the text of a value whose __tostring may fail. */
static const char *text_of(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, protected_tostring);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushfstring(L, "(a %s whose __tostring fails)", luaL_typename(L, index));
  }
  return lua_tostring(L, -1);
}

/* Pushes a field if it is a string, else nil. */
static const char *text_field(lua_State *L, int index, const char *field) {
  index = lua_absindex(L, index);
  lua_pushstring(L, field);
  lua_rawget(L, index);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* Encodes the value on top into the buffer if it can be, and wholly; pops it. */
static void try_encode(lua_State *L, copse_buf *buf) {
  lua_pushcfunction(L, protected_encode);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, buf);
  bool raised = lua_pcall(L, 2, 0, 0) != LUA_OK;
  if (raised) lua_pop(L, 1);
  if (raised || copse_buf_status(buf) != COPSE_OK) copse_buf_reset(buf);
}

static copse_error *from_table(lua_State *L, int index, const char *stack) {
  int top = lua_gettop(L);
  copse_error_info info = {.stack = stack ? stack : ""};
  copse_buf data;
  copse_buf_init(&data, 1 << 20, NULL);
  info.code = text_field(L, index, "code");
  if (!info.code) info.code = copse_code_text(COPSE_CODE_FAILED);
  info.known = copse_code_of(info.code, strlen(info.code));
  info.type = text_field(L, index, "type");
  if (!info.type && luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    info.type = lua_tostring(L, -1);
  if (!info.type) info.type = "table";
  info.message = text_field(L, index, "message");
  bool described = info.message != NULL;
  if (!described) info.message = text_of(L, index);
  lua_pushliteral(L, "data");
  lua_rawget(L, index);
  if (lua_isnil(L, -1) && !described) lua_pushvalue(L, index);
  if (lua_isnil(L, -1)) lua_pop(L, 1);
  else try_encode(L, &data);
  info.data = copse_buf_bytes(&data);
  copse_error *error = copse_error_make(&info);
  copse_buf_deinit(&data);
  lua_settop(L, top);
  return error;
}

copse_error *copse__lua_error_of(lua_State *L, int index, const char *stack) {
  index = lua_absindex(L, index);
  copse_error **box = box_of(L, index);
  if (box) {
    const copse_error_info *info = copse_error_get(*box);
    if (stack && !info->stack[0] && !info->has_actor && !info->via_count) {
      copse_error *fuller = copy_with(*box, stack, NULL);
      copse_error_unref(*box);
      *box = fuller;
    }
    return copse_error_ref(*box);
  }
  if (copse__lua_test(L, index, CLASS_CANCELLED))
    return copse_error_new(COPSE_CODE_CANCELLED, "cancelled");
  if (lua_type(L, index) == LUA_TTABLE) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &by_table);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    box = box_of(L, -1);
    if (box) {
      lua_pop(L, 2);
      return copse_error_ref(*box);
    }
    lua_pop(L, 1);
    copse_error *error = from_table(L, index, stack);
    lua_pushvalue(L, index);
    copse_error **kept = copse__lua_new(L, sizeof *kept, 0, CLASS_ERROR);
    *kept = copse_error_ref(error);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return error;
  }
  copse_error_info info = {.code = copse_code_text(COPSE_CODE_FAILED),
                           .known = COPSE_CODE_FAILED,
                           .type = "",
                           .stack = stack ? stack : ""};
  info.message = text_of(L, index);
  if (strcmp(info.message, "not enough memory") ==
      0) { /* Lua's own text, which comes in two ways */
    info.known = COPSE_CODE_NO_MEMORY;
    info.code = copse_code_text(info.known);
  }
  copse_error *error = copse_error_make(&info);
  lua_pop(L, 1);
  return error;
}

/* --- the object ------------------------------------------------------------------------------- */

static int error_index(lua_State *L) {
  copse_error **box = copse__lua_check(L, 1, CLASS_ERROR);
  const copse_error_info *info = copse_error_get(*box);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "code") == 0) lua_pushstring(L, info->code);
  else if (strcmp(key, "message") == 0) lua_pushstring(L, info->message);
  else if (strcmp(key, "type") == 0) lua_pushstring(L, info->type);
  else if (strcmp(key, "stack") == 0) lua_pushstring(L, info->stack);
  else if (strcmp(key, "cancelled") == 0) lua_pushboolean(L, info->cancelled);
  else if (strcmp(key, "retry") == 0) lua_pushboolean(L, copse_error_retry(*box));
  else if (strcmp(key, "data") == 0) copse__lua_decode(L, info->data, false);
  else if (strcmp(key, "actor") == 0 && info->has_actor) copse__lua_push_ref(L, &info->actor);
  else if (strcmp(key, "via") == 0) {
    lua_createtable(L, (int)info->via_count, 0);
    for (size_t i = 0; i < info->via_count; i++) {
      copse__lua_push_ref(L, &info->via[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
  } else if (strcmp(key, "causes") == 0) {
    lua_createtable(L, (int)info->cause_count, 0);
    for (size_t i = 0; i < info->cause_count; i++) {
      copse__lua_push_error(L, info->causes[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
  } else lua_pushnil(L);
  return 1;
}

static int error_tostring(lua_State *L) {
  copse_error **box = copse__lua_check(L, 1, CLASS_ERROR);
  const copse_error_info *info = copse_error_get(*box);
  bool plain = info->known == COPSE_CODE_FAILED;
  bool remote = info->via_count > 0 && info->has_actor;
  lua_pushfstring(L, "%s%s%s%s%s%s", plain ? "" : info->code, plain ? "" : ": ", info->message,
                  remote ? " (from " : "", remote ? info->actor.name : "", remote ? ")" : "");
  return 1;
}

static int error_eq(lua_State *L) {
  copse_error **a = box_of(L, 1), **b = box_of(L, 2);
  lua_pushboolean(L, a && b && *a == *b);
  return 1;
}

static int error_gc(lua_State *L) {
  copse_error **box = copse__lua_check(L, 1, CLASS_ERROR);
  if (*box) copse_error_unref(*box);
  *box = NULL;
  return 0;
}

/* copse.error{code =, message =, type =, data =, causes =} or copse.error(message) */
static int l_error(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "message");
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  copse_error_info info = {.stack = "", .type = "", .message = ""};
  lua_getfield(L, 1, "code");
  info.code = luaL_optstring(L, -1, copse_code_text(COPSE_CODE_FAILED));
  info.known = copse_code_of(info.code, strlen(info.code));
  lua_getfield(L, 1, "message");
  info.message = luaL_optstring(L, -1, "");
  lua_getfield(L, 1, "type");
  info.type = luaL_optstring(L, -1, "");
  copse_error *causes[32];
  if (lua_getfield(L, 1, "causes") == LUA_TTABLE) {
    size_t count = lua_rawlen(L, -1);
    if (count > 32) count = 32;
    luaL_checkstack(L, 40, NULL);
    for (size_t i = 0; i < count; i++) { /* the objects stay on the stack, and so alive */
      lua_rawgeti(L, 5, (lua_Integer)i + 1);
      if (!box_of(L, -1)) {
        copse_error *error = copse__lua_error_of(L, -1, NULL);
        copse_error **box = copse__lua_new(L, sizeof *box, 0, CLASS_ERROR);
        *box = error;
        lua_remove(L, -2);
      }
      causes[i] = *box_of(L, -1);
    }
    info.cause_count = count;
    info.causes = causes;
  }
  copse_buf *buf = &copse__lua_host->scratch;
  copse_error **box = copse__lua_new(L, sizeof *box, 0, CLASS_ERROR);
  int result = lua_gettop(L);
  if (lua_getfield(L, 1, "data") != LUA_TNIL) {
    copse_buf_reset(buf);
    copse__lua_encode(L, lua_gettop(L), buf);
    copse__lua_check_buf(L, buf);
    info.data = copse_buf_bytes(buf);
  }
  *box = copse_error_make(&info);
  lua_settop(L, result);
  return 1;
}

/* copse.report(err [, colour]) */
static int l_report(lua_State *L) {
  luaL_checkany(L, 1);
  bool colour = lua_toboolean(L, 2);
  copse_error *error = copse__lua_error_of(L, 1, NULL);
  copse_error **box = copse__lua_new(L, sizeof *box, 0, CLASS_ERROR);
  *box = error;
  copse_buf *buf = &copse__lua_host->scratch;
  copse_buf_reset(buf);
  copse_error_report(error, buf, colour, 0);
  copse__lua_check_buf(L, buf);
  copse_bytes text = copse_buf_bytes(buf);
  lua_pushlstring(L, (const char *)text.data, text.size);
  return 1;
}

void copse__lua_open_error(lua_State *L, int lib) {
  static const luaL_Reg meta[] = {{"__index", error_index},
                                  {"__tostring", error_tostring},
                                  {"__eq", error_eq},
                                  {"__gc", error_gc},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"error", l_error}, {"report", l_report}, {NULL, NULL}};
  copse__lua_class(L, CLASS_ERROR, meta, NULL);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &by_table);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
