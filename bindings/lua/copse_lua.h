/* SPDX-License-Identifier: MIT
 *
 * copse_lua.h: a program that is a Lua actor.
 *
 * `copse run` is this function and a command line around it; an own host (a program that brings Lua
 * modules written in C, say) calls it the same way. It serves roots and spawned actors alike:
 * whether this process has a parent, the runtime learns from its environment (COPSE_LINK).
 *
 * A Lua actor that spawns another one by `module` or `file` starts it as
 *
 *     COMMAND run --module NAME        or        COMMAND run FILE
 *
 * where COMMAND is `command` below. A host that gives another command must understand these two,
 * and should understand COMMAND run --template WORD: `template` below. What package.path and
 * package.cpath were in the parent comes in the environment variables COPSE_LUA_PATH and
 * COPSE_LUA_CPATH, which copse_lua_run takes out.
 */
#ifndef COPSE_LUA_H
#define COPSE_LUA_H

#include <copse.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

typedef struct copse_lua_run_options {
  size_t size; /* sizeof(copse_lua_run_options) */
  /* The program: a Lua file, whose directory require then searches first, or a module, found as
   * require would. Exactly one of the two, the other NULL; both NULL for a template. */
  const char *file;
  const char *module;
  /* What follows it on the command line: given to the program's `...`, to the global `arg` and to
   * M.main. Not copied. */
  int argc;
  char *const *argv;
  /* The executable that runs Lua actors; NULL: that of this process. */
  const char *command;
  /* Put before package.path (the installed Lua files) and package.cpath; NULL: nothing. */
  const char *path;
  const char *cpath;
  /* Name, log level and so on; zero fields mean the defaults, `size` is filled in. With `exits`,
   * copse_lua_run ends the process with that status instead of returning it, after all
   * finalizers. */
  copse_config runtime;
  /* The report on stderr: 1 coloured, 0 plain, -1 if stderr is a terminal. */
  int colour;
  /* This process is a template: Lua actors are cloned from it (see copse_template_serve), and
   * copse_lua_run returns in each of them, when it has ended. With `exits`, what the host has
   * registered by atexit(3) runs in a clone only if that has loaded a module written in C. */
  bool template_only;
} copse_lua_run_options;

/* Exit statuses of copse_lua_run besides those that a Lua root chooses by os.exit. */
#define COPSE_LUA_OK 0     /* the program has ended, or was cancelled */
#define COPSE_LUA_FAILED 1 /* an uncaught error; in a root its report is on stderr */
#define COPSE_LUA_UNUSABLE                                                                         \
  2 /* nothing was run: options are wrong, or there was no memory; one line on stderr says what */

/* Runs the program until its tree has ended; drives the loop. Returns the exit status: return it
 * from main. A root prints the report of an uncaught error on stderr, once; a spawned actor
 * prints nothing, its parent gets the error. Makes stdout line buffered. Blocks until the actor
 * has ended. */
int copse_lua_run(const copse_lua_run_options *options);

/* What `require "copse"` calls. A host with its own lua_State puts it into
 * package.preload.copse; such a state then becomes an actor by copse.run(module). One state per
 * process may load it. */
__attribute__((visibility("default"))) int luaopen_copse(struct lua_State *L);

#ifdef __cplusplus
}
#endif
#endif
