/* SPDX-License-Identifier: MIT
 *
 * memory.h: the allocator of the command's Lua state. */
#ifndef COPSE_LUA_MEMORY_H
#define COPSE_LUA_MEMORY_H

#include <lua.h>

/* Makes a fresh state take its small objects from pages of its own. What it has already stays where
 * it is. There is one such state in a process. */
void copse__lua_memory_use(lua_State *L);

#endif
