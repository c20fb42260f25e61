/* SPDX-License-Identifier: MIT
 *
 * run.c: a lua_State becomes an actor.
 *
 * `copse run` and copse.run meet here. The actor's first task loads the program (inside a task,
 * so that what a module does when it is loaded may wait, and so that its errors take the same
 * way as all others), takes its table as exports, and then calls `main` in a root or `start` in
 * a child. Nothing of Lua is left when copse_run returns: all tasks are members of scopes, and
 * the root scope has ended.
 */
#include "copse_lua.h"
#include "host.h"
#include "memory.h"

#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static char exports_key, job_key, results_key, last_key; /* registry */

void copse__lua_push_exports(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &exports_key); }

void copse__lua_program(const char **module, const char **file) {
  *module = copse__lua_host->module;
  *file = copse__lua_host->file;
}

/* --- the first task --------------------------------------------------------------------------- */

/* Its stack: [1] the job {what, arguments...}, [2] the configuration, [3] the nursery of the
 * actor's scope, [4...] values of the step before. */
enum { LOAD, LOADED, DONE };

static int push_arguments(lua_State *L) {
  int count = (int)lua_rawlen(L, 1);
  lua_getfield(L, 1, "n");
  if (lua_isinteger(L, -1)) count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count + 4, "too many arguments");
  for (int i = 2; i <= count; i++) lua_rawgeti(L, 1, i);
  return count > 1 ? count - 1 : 0;
}

/* Pushes the path of the module's file and its chunk, or nil where it is preloaded or written in C.
 * What package.searchpath finds, but opened once and not twice. */
static void load_module(lua_State *L) {
  luaL_gsub(L, copse__lua_host->module, ".", LUA_DIRSEP);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  const char *templates = luaL_checkstring(L, -1);
  for (size_t size; *templates; templates += size + (templates[size] != '\0')) {
    size = strcspn(templates, LUA_PATH_SEP);
    lua_pushlstring(L, templates, size);
    luaL_gsub(L, lua_tostring(L, -1), LUA_PATH_MARK, lua_tostring(L, 4));
    int status = luaL_loadfile(L, lua_tostring(L, -1));
    if (status == LUA_OK) {
      lua_copy(L, -2, 4);
      lua_copy(L, -1, 5);
      lua_settop(L, 5);
      return;
    }
    if (status != LUA_ERRFILE) lua_error(L);
    lua_settop(L, 6);
  }
  lua_settop(L, 4);
  lua_pushnil(L);
  lua_replace(L, 4);
}

/* Pushes the program's chunk and its arguments from index 5 on; returns their number. */
static int push_program(lua_State *L) {
  host *h = copse__lua_host;
  if (h->file) {
    lua_pushstring(L, h->file);
    if (luaL_loadfile(L, h->file) != LUA_OK) return lua_error(L);
    return push_arguments(L);
  }
  load_module(L);
  if (lua_isnil(L, 4)) {
    lua_getglobal(L, "require");
    lua_pushstring(L, h->module);
    return 1;
  }
  lua_pushstring(L, h->module);
  lua_pushvalue(L, 4);
  return 2;
}

/* The program's value becomes package.loaded of its name, so that it can require itself. */
static void remember_module(lua_State *L, int index) {
  host *h = copse__lua_host;
  char name[NAME_MAX + 1];
  const char *from = h->module;
  if (h->file) {
    const char *base = strrchr(h->file, '/');
    snprintf(name, sizeof name, "%s", base ? base + 1 : h->file);
    char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".lua") == 0) *dot = '\0';
    from = name;
  }
  if (!from) return;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, from) == LUA_TNIL) {
    lua_pushvalue(L, index);
    lua_setfield(L, -3, from);
  }
  lua_pop(L, 2);
}

/* What a program returns is a table of its functions, or a function, or nothing when it has done
 * its work while it was loaded. Anything else, and a root's table without main, would end at once,
 * successful and silent. */
static void demand_program(lua_State *L, bool root) {
  host *h = copse__lua_host;
  const char *name = h->file ? h->file : h->module ? h->module : "the program";
  int type = lua_type(L, 4);
  if (type == LUA_TFUNCTION || (type == LUA_TNIL && root)) return;
  if (type != LUA_TTABLE)
    luaL_error(L, "%s returns a %s and not a table of its functions", name, luaL_typename(L, 4));
  lua_pushliteral(L, "main");
  if (lua_rawget(L, 4) == LUA_TNIL && root)
    luaL_error(L, "%s has no function main: there is nothing to run", name);
  lua_pop(L, 1);
}

/* Pushes what this actor does by itself and its arguments; -1 when there is nothing. */
static int push_work(lua_State *L, bool root) {
  int value = 4;
  if (lua_type(L, value) == LUA_TFUNCTION) lua_pushvalue(L, value);
  else if (lua_type(L, value) == LUA_TTABLE) {
    lua_pushstring(L, root ? "main" : "start");
    lua_rawget(L, value);
  } else return -1;
  if (lua_isnil(L, -1)) return -1;
  if (root) return push_arguments(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  return 2;
}

/* Keeps what the work returned for the caller of copse.run. */
static void keep_results(lua_State *L) {
  int count = lua_gettop(L) - 4;
  lua_createtable(L, count, 1);
  lua_insert(L, 5);
  for (int i = count; i >= 1; i--) lua_rawseti(L, 5, i);
  lua_pushinteger(L, count);
  lua_setfield(L, 5, "n");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &results_key);
}

static int work(lua_State *L, int status, lua_KContext step) {
  host *h = copse__lua_host;
  (void)status;
  if (step == LOAD) {
    lua_rawgeti(L, 1, 1);
    if (lua_type(L, 4) == LUA_TSTRING) {
      lua_settop(L, 3);
      int count = push_program(L);
      lua_remove(L, 4);
      lua_callk(L, count, 1, LOADED, work);
    }
    step = LOADED;
  }
  if (step == LOADED) {
    lua_settop(L, 4);
    if (lua_type(L, 4) == LUA_TTABLE) {
      lua_pushvalue(L, 4);
      lua_rawsetp(L, LUA_REGISTRYINDEX, &exports_key);
      remember_module(L, 4);
    }
    demand_program(L, copse_is_root(h->rt));
    int count = push_work(L, copse_is_root(h->rt));
    if (count >= 0) lua_callk(L, count, LUA_MULTRET, DONE, work);
    else lua_settop(L, 4);
  }
  keep_results(L);
  copse_ready(h->rt);
  return 0;
}

static int first_task(lua_State *L) { return work(L, LUA_OK, LOAD); }

typedef struct beginning {
  copse_scope *scope;
  copse_bytes config;
  task *task;
} beginning;

static int begin(lua_State *L) {
  beginning *b = lua_touserdata(L, 1);
  lua_pushcfunction(L, first_task);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &job_key);
  if (b->config.size) copse__lua_decode(L, b->config, false);
  else lua_newtable(L);
  copse__lua_push_scope_nursery(L, b->scope);
  b->task = copse__lua_task_new(L, TASK_MAIN, b->scope, 3);
  if (b->task) snprintf(b->task->site, sizeof b->task->site, "the actor's main");
  return 0;
}

static void on_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  beginning b = {.scope = scope, .config = config};
  bool ok = copse__lua_protected(arg, begin, &b);
  if (b.task) copse__lua_task_resume(b.task);
  else
    copse_main_done(rt, (copse_bytes){NULL, 0},
                    ok ? NULL : copse_error_new(COPSE_CODE_NO_MEMORY, "not enough memory"));
}

/* --- running ---------------------------------------------------------------------------------- */

typedef struct ending {
  int status;
  bool root, cancelled;
  copse_error *error; /* a reference */
} ending;

/* Runs the job in the registry. Raises only if there is no runtime to be had. */
static void run_job(lua_State *L, ending *end) {
  host *h = copse__lua_host;
  char *why = NULL;
  copse *rt = NULL;
  if (h->rt) luaL_error(L, "copse: an actor runs here already, one per process");
  copse_config config = h->config;
  config.size = sizeof config;
  copse_status status = copse_new(&rt, &config, &why);
  if (status != COPSE_OK) {
    lua_pushfstring(L, "copse: cannot become an actor: %s", why ? why : copse_status_text(status));
    free(why);
    lua_error(L);
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &results_key); /* of an earlier run */
  h->rt = rt;
  h->runs++;
  h->ready = (task_list){NULL, NULL};
  memset(&h->drain, 0, sizeof h->drain);
  uv_timer_init(copse_loop(rt), &h->timer);
  h->timer.data = h;
  uv_unref((uv_handle_t *)&h->timer);
  copse_export_fallback(rt, copse__lua_lookup, h);
  copse_set_interrupt(rt, copse__lua_interrupt, h);
  end->status = copse_run(rt, on_main, h);
  copse_set_interrupt(rt, NULL, NULL);
  end->root = copse_is_root(rt);
  copse_error *error = copse_result_error(rt, &end->cancelled);
  end->error = error ? copse_error_ref(error) : NULL;
  copse_unpost(rt, &h->drain);
  uv_close((uv_handle_t *)&h->timer, NULL);
  copse_free(rt);
  h->rt = NULL;
  copse__lua_timer_close(h);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &exports_key);
}

static char *own_executable(void) {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return NULL;
  path[n] = '\0';
  return strdup(path);
}

static void set_program(lua_State *L, char **field, char *value) {
  free(*field);
  *field = value;
  if (!value) luaL_error(L, "not enough memory");
}

/* copse.run(module table | function | module name | file, ...) */
static int l_run(lua_State *L) {
  host *h = copse__lua_host;
  ending end = {0};
  int type = lua_type(L, 1);
  if (type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TSTRING)
    return luaL_typeerror(L, 1, "module table, function, module name or file");
  if (h->current) return luaL_error(L, "copse: an actor runs here already, one per process");
  h->stock = true;
  if (!h->command) set_program(L, &h->command, own_executable());
  if (type == LUA_TSTRING) {
    const char *program = lua_tostring(L, 1);
    size_t length = strlen(program);
    bool file = strchr(program, '/') || (length > 4 && strcmp(program + length - 4, ".lua") == 0);
    set_program(L, file ? &h->file : &h->module, strdup(program));
  }
  int count = lua_gettop(L);
  lua_createtable(L, count, 1);
  lua_insert(L, 1);
  for (int i = count; i >= 1; i--) lua_rawseti(L, 1, i);
  lua_pushinteger(L, count);
  lua_setfield(L, 1, "n");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &job_key);
  run_job(L, &end);
  if (!end.root) { /* a child's errors are its parent's; its exit status is part of the contract */
    if (end.error) copse_error_unref(end.error);
    fflush(NULL);
    exit(end.status);
  }
  if (end.error) return copse__lua_raise(L, end.error);
  if (h->exiting) {
    fflush(NULL);
    exit(h->exit_status);
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &results_key) != LUA_TTABLE) return 0;
  int results = lua_gettop(L);
  lua_getfield(L, results, "n");
  count = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, count, NULL);
  for (int i = 1; i <= count; i++) lua_rawgeti(L, results, i);
  return count;
}

/* os.exit in an actor ends it in order. */
static int l_exit(lua_State *L) {
  host *h = copse__lua_host;
  if (!h->rt || !h->current) {
    int count = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, 0);
    return 0;
  }
  if (!copse_is_root(h->rt))
    return luaL_error(
        L,
        "os.exit: an actor that was spawned ends when its parent lets it; raise an error instead");
  int status = EXIT_SUCCESS;
  if (lua_isboolean(L, 1)) status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  h->exiting = true;
  h->exit_status = status;
  copse_shutdown(h->rt, COPSE_ORIGIN_REQUESTED, "os.exit");
  return copse__lua_cancel(L);
}

void copse__lua_open_run(lua_State *L, int lib) {
  static const luaL_Reg functions[] = {{"run", l_run}, {NULL, NULL}};
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  if (lua_getglobal(L, "os") == LUA_TTABLE) {
    lua_getfield(L, -1, "exit");
    lua_pushcclosure(L, l_exit, 1);
    lua_setfield(L, -2, "exit");
  }
  lua_pop(L, 1);
}

/* --- a program from the command line ---------------------------------------------------------- */

static void set_package(lua_State *L, const char *field, const char *before,
                        const char *inherited) {
  lua_getglobal(L, "package");
  if (inherited) {
    lua_pushstring(L, inherited);
  } else {
    lua_pushfstring(L, "%s%s", before ? before : "", before ? ";" : "");
    lua_getfield(L, -2, field);
    lua_concat(L, 2);
  }
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

/* The directory of the program comes first, and absolute: a spawned actor may start elsewhere. */
static void add_directory(lua_State *L, const char *file) {
  char *path = realpath(file, NULL);
  char *slash = path ? strrchr(path, '/') : NULL;
  if (slash) {
    *slash = '\0';
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", path, path);
    set_package(L, "path", lua_tostring(L, -1), NULL);
    lua_pop(L, 1);
  }
  free(path);
}

static void set_arguments(lua_State *L, const copse_lua_run_options *o) {
  lua_createtable(L, o->argc, 1);
  lua_createtable(L, o->argc + 1, 1);
  lua_pushstring(L, o->file ? o->file : o->module);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -4, 0);
  lua_rawseti(L, -2, 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, o->argv[i]);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, i + 1);
    lua_rawseti(L, -2, i + 2);
  }
  lua_pushinteger(L, o->argc + 1);
  lua_setfield(L, -2, "n");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &job_key);
  lua_setglobal(L, "arg");
}

static void report(const copse_error *error, int colour) {
  copse_buf text;
  copse_buf_init(&text, 1 << 20, NULL);
  copse_error_report(error, &text, colour < 0 ? isatty(STDERR_FILENO) : colour > 0, 0);
  copse_bytes bytes = copse_buf_bytes(&text);
  if (copse_buf_status(&text) == COPSE_OK) fwrite(bytes.data, 1, bytes.size, stderr);
  else fprintf(stderr, "copse: %s\n", copse_error_get(error)->message);
  copse_buf_deinit(&text);
}

typedef struct session {
  copse_lua_run_options options;
  ending end;
  int status;
  bool over;                    /* the state is being closed */
  unsigned long long libraries; /* loaded when it was opened */
} session;

static int read_adds(struct dl_phdr_info *info, size_t size, void *adds) {
  (void)size;
  *(unsigned long long *)adds = info->dlpi_adds;
  return 1;
}

/* How many libraries this process has loaded in its life. */
static unsigned long long libraries(void) {
  unsigned long long adds = 0;
  dl_iterate_phdr(read_adds, &adds);
  return adds;
}

/* Finalizers run in the reverse order of their making, so that of the first userdata is the last of
 * all. After it, nothing of Lua is left to be done but to give back memory, which the system does
 * faster. What exit(3) does besides is of use in a clone only to a module in C that the program has
 * loaded; without one it touches pages for nothing, a tenth of what the end of an actor costs. */
static int on_last_finalizer(lua_State *L) {
  const session *s = *(session **)lua_touserdata(L, 1);
  if (!s->over || !s->options.runtime.exits) return 0;
  if (!s->options.template_only || libraries() != s->libraries) exit(s->status);
  fflush(NULL);
  _exit(s->status);
}

static void push_last(lua_State *L, session *s) {
  *(session **)lua_newuserdatauv(L, sizeof s, 0) = s;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_last_finalizer);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &last_key);
}

/* What is the same for all actors. */
static int prepare(lua_State *L) {
  session *s = lua_touserdata(L, 1);
  const copse_lua_run_options *o = &s->options;
  lua_gc(L, LUA_GCSTOP); /* until there can be any garbage */
  push_last(L, s);
  luaL_openlibs(L);
  luaL_requiref(L, "copse", luaopen_copse, 0);
  lua_pop(L, 1);
  set_program(L, &copse__lua_host->command, o->command ? strdup(o->command) : own_executable());
  lua_gc(L, LUA_GCRESTART);
  return 0;
}

static int protected_run(lua_State *L) {
  session *s = lua_touserdata(L, 1);
  const copse_lua_run_options *o = &s->options;
  host *h = copse__lua_host;
  const char *path = getenv("COPSE_LUA_PATH"), *cpath = getenv("COPSE_LUA_CPATH");
  set_package(L, "path", o->path, path);
  set_package(L, "cpath", o->cpath, cpath);
  if (o->file && !path) add_directory(L, o->file);
  unsetenv("COPSE_LUA_PATH");
  unsetenv("COPSE_LUA_CPATH");
  set_program(L, o->file ? &h->file : &h->module, strdup(o->file ? o->file : o->module));
  set_arguments(L, o);
  h->config = o->runtime;
  run_job(L, &s->end);
  return 0;
}

/* --- a template ------------------------------------------------------------------------------- */

/* Clones must not agree on what they draw. */
static int reseed(lua_State *L) {
  lua_Integer seed[2];
  if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) return 0;
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, seed[0]);
  lua_pushinteger(L, seed[1]);
  lua_call(L, 2, 0);
  return 0;
}

/* Returns in a clone: COMMAND run FILE, or COMMAND run --module NAME (see spawn.c). */
static bool become_clone(lua_State *L, copse_lua_run_options *o) {
  char **argv, *why = NULL;
  int argc;
  lua_gc(L, LUA_GCCOLLECT);
  copse_status status = copse_template_serve(&argc, &argv, &why);
  if (status != COPSE_OK || argc < 3) {
    fprintf(stderr, "copse: %s\n", why ? why : copse_status_text(status));
    free(why);
    return false;
  }
  bool module = argc > 3 && strcmp(argv[2], "--module") == 0;
  o->file = module ? NULL : argv[2];
  o->module = module ? argv[3] : NULL;
  o->argc = 0;
  lua_pushcfunction(L, reseed);
  return lua_pcall(L, 0, 0, 0) == LUA_OK;
}

/* --- copse_lua_run ---------------------------------------------------------------------------- */

/* Prints what went wrong, if anything. */
static bool succeeds(lua_State *L, lua_CFunction fn, session *s) {
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "%s\n", text ? text : "copse: cannot run");
  return false;
}

int copse_lua_run(const copse_lua_run_options *options) {
  if (!options || options->size < sizeof *options ||
      !options->file + !options->module != 1 + options->template_only) {
    fprintf(stderr, "copse: a Lua program is a file or a module\n");
    return COPSE_LUA_UNUSABLE;
  }
  session s = {.options = *options, .libraries = libraries()};
  lua_State *L = luaL_newstate();
  if (!L) {
    fprintf(stderr, "copse: not enough memory for Lua\n");
    return COPSE_LUA_UNUSABLE;
  }
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* nothing is written before there is a program */
  bool ran = succeeds(L, prepare, &s) && (!options->template_only || become_clone(L, &s.options));
  if (ran) {
    copse__lua_memory_use(L); /* not in a template: each clone begins with pages of its own */
    ran = succeeds(L, protected_run, &s);
  }
  s.status = ran ? s.end.status : COPSE_LUA_UNUSABLE;
  if (ran && copse__lua_host->exiting && !s.end.error) s.status = copse__lua_host->exit_status;
  fflush(stdout);
  if (s.end.error && s.end.root && !copse__lua_output_lost(s.end.error))
    report(s.end.error, options->colour);
  s.over = true;
  lua_close(L);
  if (s.end.error) copse_error_unref(s.end.error);
  return s.status;
}
