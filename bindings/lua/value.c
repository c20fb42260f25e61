/* SPDX-License-Identifier: MIT
 *
 * value.c: Lua values to bytes and back, without a tree in between.
 *
 * Most of the mapping is plain: integers stay integers, floats floats. Three things need a rule.
 * A Lua string does not say whether it is text: what is UTF-8 goes as str, anything else as bin,
 * and copse.bin insists. A Lua table does not say whether it is an array: 1..n are an array, no
 * positions at all are a map, both at once are refused, {} is an empty array, and copse.map and
 * copse.array insist. And a table cannot hold nil: copse.null stands for it.
 */
#include "host.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARGS_MAX 250
#define LARGE 4096

static char array_mark, map_mark; /* registry: the metatables */

typedef struct encoder {
  lua_State *L;
  copse_buf *out;
  int depth;
  int key[COPSE_DEPTH_MAX + 1]; /* where in the stack the key of each level is */
} encoder;

bool copse__lua_is_utf8(const char *text, size_t size) {
  const uint8_t *p = (const uint8_t *)text, *end = p + size;
  while (p < end) {
    uint64_t word;
    while (end - p >= 8 && (memcpy(&word, p, 8), !(word & UINT64_C(0x8080808080808080)))) p += 8;
    if (p == end) break;
    uint8_t c = *p++;
    if (c < 0x80) continue;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || end - p < more) return false;
    if ((c == 0xe0 && *p < 0xa0) || (c == 0xed && *p > 0x9f) || (c == 0xf0 && *p < 0x90) ||
        (c == 0xf4 && *p > 0x8f))
      return false;
    while (more-- > 0)
      if ((*p++ & 0xc0) != 0x80) return false;
  }
  return true;
}

/* --- encoding --------------------------------------------------------------------------------- */

static int refuse(encoder *e, const char *what) {
  lua_State *L = e->L;
  luaL_Buffer path;
  char number[40];
  int keys = e->depth < COPSE_DEPTH_MAX ? e->depth : COPSE_DEPTH_MAX;
  luaL_checkstack(L, 8, NULL);
  lua_pushstring(L, what);
  int message = lua_gettop(L);
  luaL_buffinit(L, &path);
  for (int i = 0; i < keys; i++) {
    if (lua_type(L, e->key[i]) == LUA_TSTRING) {
      luaL_addchar(&path, '.');
      luaL_addstring(&path, lua_tostring(L, e->key[i]));
    } else {
      snprintf(number, sizeof number, "[%" PRId64 "]", (int64_t)lua_tointeger(L, e->key[i]));
      luaL_addstring(&path, number);
    }
    if (i == 7 && keys > 8) {
      luaL_addstring(&path, "...");
      break;
    }
  }
  luaL_pushresult(&path);
  size_t length = lua_rawlen(L, -1);
  return luaL_error(L, "%s%s%s", lua_tostring(L, message), length ? " at " : "",
                    lua_tostring(L, -1));
}

static void encode(encoder *e, int index);

static void encode_string(lua_State *L, int index, copse_buf *out) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  if (copse__lua_is_utf8(text, size)) copse_pack_str(out, text, size);
  else copse_pack_bin(out, text, size);
}

static void encode_sequence(encoder *e, int index, lua_Integer count) {
  lua_State *L = e->L;
  copse_pack_array(e->out, (size_t)count);
  lua_pushnil(L);
  e->key[e->depth - 1] = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_pushinteger(L, i);
    lua_replace(L, e->key[e->depth - 1]);
    lua_rawgeti(L, index, i);
    encode(e, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void encode_pairs(encoder *e, int index) {
  lua_State *L = e->L;
  size_t count = 0;
  lua_pushnil(L);
  for (; lua_next(L, index); lua_pop(L, 1)) count++;
  copse_pack_map(e->out, count);
  lua_pushnil(L);
  e->key[e->depth - 1] = lua_gettop(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      size_t size;
      const char *text = lua_tolstring(L, -2, &size);
      if (!copse__lua_is_utf8(text, size)) {
        e->depth--;
        refuse(e, "cannot encode a map whose key is not UTF-8");
      }
      copse_pack_str(e->out, text, size);
    } else if (lua_isinteger(L, -2)) {
      copse_pack_int(e->out, lua_tointeger(L, -2));
    } else {
      e->depth--;
      lua_pushfstring(L, "cannot encode a table with a %s as key (strings and integers can be)",
                      luaL_typename(L, -2));
      refuse(e, lua_tostring(L, -1));
    }
    encode(e, lua_gettop(L));
    lua_pop(L, 1);
  }
}

/* Which key keeps a table with positions from being an array 1..n; false if none does. Leaves it
 * on the stack. */
static bool stray_key(lua_State *L, int index, lua_Integer count) {
  lua_Integer seen = 0;
  lua_pushnil(L);
  for (; lua_next(L, index); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > count) {
      lua_pop(L, 1);
      return true;
    }
    seen++;
  }
  if (seen == count) return false;
  lua_Integer hole = 1;
  while (lua_rawgeti(L, index, hole) != LUA_TNIL) {
    lua_pop(L, 1);
    hole++;
  }
  lua_pop(L, 1);
  lua_pushinteger(L, hole);
  return true;
}

static void encode_table(encoder *e, int index) {
  lua_State *L = e->L;
  const void *mark = NULL;
  if (e->depth >= COPSE_DEPTH_MAX)
    refuse(e, "cannot encode a value nested more than 32 levels deep (or in itself)");
  luaL_checkstack(L, 8, "a value nested too deep");
  if (lua_getmetatable(L, index)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &map_mark);
    if (lua_rawequal(L, -1, -2)) mark = &map_mark;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mark);
    if (lua_rawequal(L, -1, -3)) mark = &array_mark;
    lua_pop(L, 3);
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  bool positions = count > 0;
  if (mark == &array_mark) positions = true;
  if (!mark && !positions) { /* an empty table is an empty array */
    lua_pushnil(L);
    if (lua_next(L, index)) lua_pop(L, 2);
    else positions = true;
  }
  if (mark != &map_mark && positions && stray_key(L, index, count)) {
    if (lua_isinteger(L, -1))
      lua_pushfstring(
          L, "cannot encode an array with a hole or stray position at %I (copse.null can fill it)",
          (LUAI_UACINT)lua_tointeger(L, -1));
    else if (lua_type(L, -1) == LUA_TSTRING)
      lua_pushfstring(L, "cannot encode a table with both positions and the key '%s'",
                      lua_tostring(L, -1));
    else
      lua_pushfstring(L, "cannot encode a table with both positions and a %s as key",
                      luaL_typename(L, -1));
    refuse(e, lua_tostring(L, -1));
  }
  e->depth++;
  if (mark != &map_mark && positions) encode_sequence(e, index, count);
  else encode_pairs(e, index);
  e->depth--;
}

static void encode_userdata(encoder *e, int index) {
  lua_State *L = e->L;
  void *ud;
  if (copse__lua_test(L, index, CLASS_NULL)) {
    copse_pack_nil(e->out);
  } else if (copse__lua_test(L, index, CLASS_BIN)) {
    size_t size;
    lua_getiuservalue(L, index, 1);
    const char *data = lua_tolstring(L, -1, &size);
    copse_pack_bin(e->out, data, size);
    lua_pop(L, 1);
  } else if ((ud = copse__lua_test(L, index, CLASS_REF))) {
    copse_pack_ref(e->out, ud, true);
  } else if ((ud = copse__lua_test(L, index, CLASS_PEER))) {
    copse_pack_ref(e->out, &((peer *)ud)->ref, true);
  } else if ((ud = copse__lua_test(L, index, CLASS_EXT))) {
    size_t size;
    lua_getiuservalue(L, index, 1);
    const char *data = lua_tolstring(L, -1, &size);
    copse_pack_ext(e->out, *(int8_t *)ud, data, size);
    lua_pop(L, 1);
  } else {
    luaL_tolstring(L, index, NULL);
    lua_pushfstring(L, "cannot encode this userdata (%s)", lua_tostring(L, -1));
    refuse(e, lua_tostring(L, -1));
  }
}

static void encode(encoder *e, int index) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
  case LUA_TNIL: copse_pack_nil(e->out); break;
  case LUA_TBOOLEAN: copse_pack_bool(e->out, lua_toboolean(L, index)); break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) copse_pack_int(e->out, lua_tointeger(L, index));
    else copse_pack_float(e->out, lua_tonumber(L, index));
    break;
  case LUA_TSTRING: encode_string(L, index, e->out); break;
  case LUA_TTABLE: encode_table(e, index); break;
  case LUA_TUSERDATA: encode_userdata(e, index); break;
  default:
    lua_pushfstring(L, "cannot encode a %s", luaL_typename(L, index));
    refuse(e, lua_tostring(L, -1));
  }
}

void copse__lua_encode(lua_State *L, int index, copse_buf *out) {
  if (lua_type(L, index) == LUA_TSTRING) { /* needs no place to remember where in the value it is */
    encode_string(L, index, out);
    return;
  }
  encoder e = {.L = L, .out = out};
  encode(&e, lua_absindex(L, index));
}

void copse__lua_encode_array(lua_State *L, int first, int last, copse_buf *out) {
  encoder e = {.L = L, .out = out, .depth = 1};
  luaL_checkstack(L, 4, NULL);
  copse_pack_array(out, first > last ? 0 : (size_t)(last - first + 1));
  lua_pushinteger(L, 0);
  e.key[0] = lua_gettop(L);
  for (int i = first; i <= last; i++) {
    lua_pushinteger(L, i - first + 1);
    lua_replace(L, e.key[0]);
    encode(&e, i);
  }
  lua_pop(L, 1);
}

void copse__lua_encode_map(lua_State *L, int index, copse_buf *out) {
  encoder e = {.L = L, .out = out, .depth = 1};
  encode_pairs(&e, lua_absindex(L, index));
}

void copse__lua_check_buf(lua_State *L, const copse_buf *buf) {
  copse_status status = copse_buf_status(buf);
  if (status != COPSE_OK) copse__lua_raise_status(L, status, "encoding a value");
}

bool copse__lua_is_large_bin(lua_State *L, int index, const char **data, size_t *size) {
  if (lua_type(L, index) != LUA_TUSERDATA || !copse__lua_test(L, index, CLASS_BIN)) return false;
  lua_getiuservalue(L, index, 1);
  *data = lua_tolstring(L, -1, size); /* the userdata keeps it alive */
  lua_pop(L, 1);
  return *size >= LARGE;
}

/* --- decoding --------------------------------------------------------------------------------- */

void copse__lua_push_ref(lua_State *L, const copse_ref *ref) {
  copse_ref *copy = copse__lua_new(L, sizeof *copy, 0, CLASS_REF);
  *copy = *ref;
}

static void decode(lua_State *L, copse_reader *reader, bool item);

static void decode_map(lua_State *L, copse_reader *reader, uint32_t count) {
  bool ambiguous = count == 0;
  luaL_checkstack(L, 6, "a value nested too deep");
  lua_createtable(L, 0, (int)count);
  for (uint32_t i = 0; i < count; i++) {
    decode(L, reader, true);
    ambiguous = ambiguous || lua_isinteger(L, -1);
    decode(L, reader, true);
    lua_rawset(L, -3);
  }
  if (ambiguous) { /* so that it goes back as a map */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &map_mark);
    lua_setmetatable(L, -2);
  }
}

static void decode_array(lua_State *L, copse_reader *reader, uint32_t count) {
  luaL_checkstack(L, 6, "a value nested too deep");
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    decode(L, reader, true);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void decode_ext(lua_State *L, copse_reader *before, const copse_token *token) {
  copse_ref ref;
  if (token->ext == COPSE_EXT_REF && copse_read_ref(before, &ref) == COPSE_OK) {
    copse__lua_push_ref(L, &ref);
    return;
  }
  int8_t *type = copse__lua_new(L, sizeof *type, 1, CLASS_EXT);
  *type = token->ext;
  lua_pushlstring(L, (const char *)token->bytes.data, token->bytes.size);
  lua_setiuservalue(L, -2, 1);
}

static void decode(lua_State *L, copse_reader *reader, bool item) {
  copse_token token;
  const uint8_t *at = reader->at;
  if (copse_read(reader, &token) != COPSE_OK)
    luaL_error(L, "copse: a malformed value was received");
  switch (token.type) {
  case COPSE_NIL:
    if (item) copse__lua_push_null(L);
    else lua_pushnil(L);
    break;
  case COPSE_BOOL: lua_pushboolean(L, token.boolean); break;
  case COPSE_INT: lua_pushinteger(L, token.integer); break;
  case COPSE_FLOAT: lua_pushnumber(L, token.number); break;
  case COPSE_STR:
  case COPSE_BIN: lua_pushlstring(L, (const char *)token.bytes.data, token.bytes.size); break;
  case COPSE_ARRAY: decode_array(L, reader, token.count); break;
  case COPSE_MAP: decode_map(L, reader, token.count); break;
  case COPSE_EXT: decode_ext(L, &(copse_reader){at, reader->end}, &token); break;
  }
}

void copse__lua_decode(lua_State *L, copse_bytes value, bool item) {
  if (value.size == 0) {
    lua_pushnil(L);
    return;
  }
  copse_bytes text;
  if (copse_value_str(value, &text) == COPSE_OK) { /* what most items are */
    lua_pushlstring(L, (const char *)text.data, text.size);
    return;
  }
  copse_reader reader;
  copse_reader_init(&reader, value);
  decode(L, &reader, item);
}

int copse__lua_decode_args(lua_State *L, copse_bytes args) {
  copse_reader reader;
  copse_token token;
  if (args.size == 0) return 0;
  copse_reader_init(&reader, args);
  if (copse_value_type(args) != COPSE_ARRAY || copse_read(&reader, &token) != COPSE_OK) {
    copse__lua_decode(L, args, false);
    return 1;
  }
  if (token.count > ARGS_MAX) return -1;
  luaL_checkstack(L, (int)token.count + 8, "too many arguments");
  for (uint32_t i = 0; i < token.count; i++) decode(L, &reader, false);
  return (int)token.count;
}

/* --- the marks and the opaque types ----------------------------------------------------------- */

static int mark(lua_State *L, const void *which) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, which);
  lua_setmetatable(L, 1);
  return 1;
}

static int l_array(lua_State *L) { return mark(L, &array_mark); }

static int l_map(lua_State *L) { return mark(L, &map_mark); }

static int l_bin(lua_State *L) {
  luaL_checkstring(L, 1);
  copse__lua_new(L, 0, 1, CLASS_BIN);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int l_ext(lua_State *L) {
  lua_Integer type = luaL_checkinteger(L, 1);
  luaL_checkstring(L, 2);
  luaL_argcheck(L, type >= -128 && type <= 127 && type != COPSE_EXT_REF, 1,
                "not a type of an opaque ext (-128..127, not 1)");
  int8_t *ext = copse__lua_new(L, sizeof *ext, 1, CLASS_EXT);
  *ext = (int8_t)type;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int content_tostring(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return 1;
}

static int ext_index(lua_State *L) {
  int8_t *ext = copse__lua_check(L, 1, CLASS_EXT);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "type") == 0) lua_pushinteger(L, *ext);
  else if (strcmp(key, "data") == 0) lua_getiuservalue(L, 1, 1);
  else lua_pushnil(L);
  return 1;
}

static void push_id(lua_State *L, const copse_ref *ref) {
  char hex[33];
  for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", ref->id[i]);
  lua_pushstring(L, hex);
}

static int ref_index(lua_State *L) {
  copse_ref *ref = copse__lua_check(L, 1, CLASS_REF);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "name") == 0) lua_pushstring(L, ref->name);
  else if (strcmp(key, "id") == 0) push_id(L, ref);
  else if (strcmp(key, "addresses") == 0) {
    lua_createtable(L, ref->address_count, 0);
    for (int i = 0; i < ref->address_count; i++) {
      lua_pushstring(L, ref->addresses[i]);
      lua_rawseti(L, -2, i + 1);
    }
  } else lua_pushnil(L);
  return 1;
}

static int ref_eq(lua_State *L) {
  copse_ref *a = copse__lua_test(L, 1, CLASS_REF), *b = copse__lua_test(L, 2, CLASS_REF);
  lua_pushboolean(L, a && b && memcmp(a->id, b->id, sizeof a->id) == 0);
  return 1;
}

static int ref_tostring(lua_State *L) {
  copse_ref *ref = copse__lua_check(L, 1, CLASS_REF);
  push_id(L, ref);
  lua_pushfstring(L, "%s (%s)", ref->name, lua_tostring(L, -1));
  return 1;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

static void push_mark(lua_State *L, const char *name, const void *key) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* copse.encode and copse.decode: a value as the bytes it has on the wire, for files and for
 * tests. */
static int l_encode(lua_State *L) {
  copse_buf *buf = &copse__lua_host->scratch;
  luaL_checkany(L, 1);
  copse_buf_reset(buf);
  copse__lua_encode(L, 1, buf);
  copse__lua_check_buf(L, buf);
  copse_bytes bytes = copse_buf_bytes(buf);
  lua_pushlstring(L, (const char *)bytes.data, bytes.size);
  return 1;
}

static int l_decode(lua_State *L) {
  size_t size, offset = 0;
  const char *why = "";
  copse_bytes bytes = {(const uint8_t *)luaL_checklstring(L, 1, &size), 0};
  bytes.size = size;
  if (copse_value_check(bytes, &why, &offset) != COPSE_OK)
    return luaL_error(L, "not a value: %s at byte %I", why, (LUAI_UACINT)offset);
  copse__lua_decode(L, bytes, false);
  return 1;
}

void copse__lua_open_value(lua_State *L, int lib) {
  static const luaL_Reg null_meta[] = {{"__tostring", null_tostring}, {NULL, NULL}};
  static const luaL_Reg bin_meta[] = {{"__tostring", content_tostring}, {NULL, NULL}};
  static const luaL_Reg ext_meta[] = {{"__index", ext_index}, {NULL, NULL}};
  static const luaL_Reg ref_meta[] = {
      {"__index", ref_index}, {"__eq", ref_eq}, {"__tostring", ref_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"array", l_array},   {"map", l_map},       {"bin", l_bin}, {"ext", l_ext},
      {"encode", l_encode}, {"decode", l_decode}, {NULL, NULL}};
  copse__lua_class(L, CLASS_NULL, null_meta, NULL);
  copse__lua_class(L, CLASS_BIN, bin_meta, NULL);
  copse__lua_class(L, CLASS_EXT, ext_meta, NULL);
  copse__lua_class(L, CLASS_REF, ref_meta, NULL);
  push_mark(L, "copse.array", &array_mark);
  push_mark(L, "copse.map", &map_mark);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
