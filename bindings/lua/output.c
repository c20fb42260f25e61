/* SPDX-License-Identifier: MIT
 *
 * output.c: printing for somebody who has gone.
 *
 * `copse run program.lua | head` shall end when head has had enough. A process alone would be
 * killed by SIGPIPE. An actor is not, since its links may be pipes, too, and its clean-up shall
 * run; so it has to be told another way, and print and io.write raise an error. It goes up like any
 * other and ends the tree, but nobody needs a report of it: whoever closed the pipe knows.
 */
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char lost_type[] = "copse.output";

static int raise_lost(lua_State *L) {
  const copse_error_info info = {.code = copse_code_text(COPSE_CODE_FAILED),
                                 .known = COPSE_CODE_FAILED,
                                 .type = lost_type,
                                 .message = "nobody reads the output any more"};
  return copse__lua_raise(L, copse_error_make(&info));
}

bool copse__lua_output_lost(const copse_error *error) {
  const copse_error_info *info = copse_error_get(error);
  if (info->known != COPSE_CODE_GROUP) return strcmp(info->type, lost_type) == 0;
  for (size_t i = 0; i < info->cause_count; i++)
    if (!copse__lua_output_lost(info->causes[i])) return false;
  return info->cause_count > 0;
}

/* To be asked after writing, with errno cleared before. A stream that is flushed by the line does
 * not say of the writing itself that it has failed. */
static bool is_lost(void) { return ferror(stdout) && errno == EPIPE; }

static int print(lua_State *L) {
  int count = lua_gettop(L);
  errno = 0;
  for (int i = 1; i <= count; i++) {
    size_t size;
    const char *text = luaL_tolstring(L, i, &size);
    if (i > 1) putc('\t', stdout);
    fwrite(text, 1, size, stdout);
    lua_pop(L, 1);
  }
  putc('\n', stdout);
  fflush(stdout);
  return is_lost() ? raise_lost(L) : 0;
}

/* The original is the upvalue. */
static int io_write(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  errno = 0;
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return is_lost() ? raise_lost(L) : lua_gettop(L);
}

void copse__lua_open_output(lua_State *L) {
  const int top = lua_gettop(L);
  lua_register(L, "print", print);
  if (lua_getglobal(L, "io") == LUA_TTABLE && lua_getfield(L, -1, "write") == LUA_TFUNCTION) {
    lua_pushcclosure(L, io_write, 1);
    lua_setfield(L, -2, "write");
  }
  lua_settop(L, top);
}
