/* SPDX-License-Identifier: MIT
 *
 * spawn.c: n:spawn(name, options).
 *
 * A spawned actor is a service of the nursery: told to finish when the nursery's work is done,
 * cancelled with it, and in any case gone when the nursery has ended. The call waits until the
 * actor is ready, so that its start-up errors are raised where it was asked for; an actor that
 * ends badly later fails the nursery.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 256
#define TEMPLATE_ROOM 1024

/* Strings for argv and env, each kept alive by a table on the stack. */
typedef struct words {
  int keep;
  size_t count;
  const char *list[WORDS_MAX + 1];
} words;

/* Takes the string on top. */
static void add_word(lua_State *L, words *w) {
  if (w->count == WORDS_MAX)
    luaL_error(L, "more than %d words in a command line or environment", WORDS_MAX);
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (strlen(text) != length)
    luaL_error(L, "a command line or environment cannot hold a zero byte");
  w->list[w->count++] = text;
  w->list[w->count] = NULL;
  lua_rawseti(L, w->keep, (lua_Integer)lua_rawlen(L, w->keep) + 1);
}

static void add_format(lua_State *L, words *w, const char *format, const char *value) {
  lua_pushfstring(L, format, value);
  add_word(L, w);
}

static const char *option_string(lua_State *L, int options, const char *field) {
  if (lua_isnil(L, options)) return NULL;
  const char *value = NULL;
  int type = lua_getfield(L, options, field);
  if (type == LUA_TSTRING) value = copse__lua_check_text(L, -1, options); /* the table keeps it */
  else if (type != LUA_TNIL) luaL_error(L, "option '%s': a string", field);
  lua_pop(L, 1);
  return value;
}

static bool option_flag(lua_State *L, int options, const char *field, bool otherwise) {
  if (lua_isnil(L, options)) return otherwise;
  if (lua_getfield(L, options, field) != LUA_TNIL) otherwise = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return otherwise;
}

/* Milliseconds; 0, which stands for the default, if it is absent, and never if it is there. */
static uint32_t option_rung(lua_State *L, int options, const char *field) {
  int64_t ms = copse__lua_field_ms(L, options, field, -1);
  if (ms < 0) return 0;
  if (ms == 0) return 1;
  return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void add_package(lua_State *L, words *env, const char *field, const char *format) {
  int top = lua_gettop(L);
  if (lua_getglobal(L, "package") == LUA_TTABLE && lua_getfield(L, -1, field) == LUA_TSTRING)
    add_format(L, env, format, lua_tostring(L, -1));
  lua_settop(L, top);
}

/* The command that runs a Lua actor. `file` is made absolute, because the child may start
 * elsewhere. */
static void lua_command(lua_State *L, words *argv, words *env, const char *module,
                        const char *file) {
  host *h = copse__lua_host;
  char *path = NULL;
  if (file) {
    path = realpath(file, NULL);
    if (!path) luaL_error(L, "cannot spawn '%s': no such file", file);
    lua_pushstring(L, path);
    free(path);
    file = lua_tostring(L, -1);
  } else {
    lua_pushnil(L);
  }
  int kept = lua_gettop(L);
  lua_pushstring(L, h->command);
  add_word(L, argv);
  if (h->stock) {
    const char *program = file ? file : module;
    if (strstr(program, "]==]")) luaL_error(L, "cannot spawn a program with such a name");
    lua_pushliteral(L, "-e");
    add_word(L, argv);
    add_format(L, argv, "require'copse'.run[==[%s]==]", program);
    add_package(L, env, "path", "LUA_PATH_5_4=%s");
    add_package(L, env, "cpath", "LUA_CPATH_5_4=%s");
  } else {
    lua_pushliteral(L, "run");
    add_word(L, argv);
    if (!file) {
      lua_pushliteral(L, "--module");
      add_word(L, argv);
    }
    lua_pushstring(L, file ? file : module);
    add_word(L, argv);
    add_package(L, env, "path", "COPSE_LUA_PATH=%s");
    add_package(L, env, "cpath", "COPSE_LUA_CPATH=%s");
  }
  lua_remove(L, kept);
}

/* How a process is started from which such actors are cloned. Where the actor's own command line is
 * longer than this one, it is cut off where the system shows it; hence the blanks. */
static const char *const *template_command(void) {
  static char room[TEMPLATE_ROOM + 1];
  static const char *argv[] = {NULL, "run", "--template", room, NULL};
  memset(room, ' ', TEMPLATE_ROOM);
  argv[0] = copse__lua_host->command;
  return argv;
}

static void read_env(lua_State *L, int options, words *env) {
  if (lua_getfield(L, options, "env") == LUA_TTABLE) {
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
        luaL_error(L, "option 'env': strings by name");
      lua_pushvalue(L, -2);
      lua_pushliteral(L, "=");
      lua_pushvalue(L, -3);
      lua_concat(L, 3);
      add_word(L, env);
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "option 'env': a table");
  }
  lua_pop(L, 1);
}

static bool read_argv(lua_State *L, int options, words *argv) {
  int type = lua_getfield(L, options, "argv");
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  if (type != LUA_TTABLE || lua_rawlen(L, -1) == 0)
    luaL_error(L, "option 'argv': an array of strings");
  int table = lua_gettop(L);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, table); i++) {
    lua_rawgeti(L, table, i);
    if (!lua_isstring(L, -1)) luaL_error(L, "option 'argv': an array of strings");
    lua_tostring(L, -1);
    add_word(L, argv);
  }
  lua_pop(L, 1);
  return true;
}

/* --- the child's life ------------------------------------------------------------------------- */

static void on_ready(copse_child *child, void *arg) {
  (void)child;
  peer *p = arg;
  task *t = p->spawning;
  p->ready = true;
  p->ref = *copse_child_ref(child); /* with the addresses that it listens on now */
  p->spawning = NULL;
  if (t) copse__lua_task_resume(t);
}

static bool on_done(copse_child *child, const copse_outcome *outcome, void *arg) {
  (void)child;
  peer *p = arg;
  task *t = p->spawning;
  host *h = copse__lua_host;
  task_list woken = {NULL, NULL};
  p->spawning = NULL;
  p->peer = NULL;
  copse__lua_release(h, p->child);
  p->child = NULL;
  p->ended = true;
  if (outcome->kind == COPSE_FAILED) p->gone = copse_error_ref(outcome->error);
  while (p->waiting.first) {
    task *w = p->waiting.first;
    copse__lua_list_remove(w);
    copse__lua_list_add(&woken, w);
  }
  if (t) copse__lua_task_resume(t);
  while (woken.first) copse__lua_task_resume(woken.first);
  copse__lua_release(h, p);
  return t != NULL;
}

static const copse_spawn_cbs spawn_cbs = {.ready = on_ready, .done = on_done};

/* The one who asked has no time any more: then the actor is not wanted, either. */
static void unspawn(task *t) {
  peer *p = t->on;
  p->spawning = NULL;
  if (p->child) copse_child_cancel(p->child, COPSE_ORIGIN_REQUESTED, NULL, -1);
}

static int spawned(lua_State *L, int status, lua_KContext index) {
  (void)status;
  task *t = copse__lua_resumed(L);
  peer *p = copse__lua_check(L, (int)index, CLASS_PEER);
  if (p->ended) {
    if (p->gone) return copse__lua_raise(L, copse_error_ref(p->gone));
    copse__lua_checkpoint(L, t);
    return copse__lua_raise(L, copse_error_new(COPSE_CODE_CANCELLED,
                                               "the actor \"%s\" ended before it was ready",
                                               p->ref.name));
  }
  lua_settop(L, (int)index);
  return 1;
}

int copse__lua_spawn(lua_State *L) {
  frame *f;
  host *h = copse__lua_host;
  copse_scope *scope = copse__lua_nursery_scope(L, 1, &f);
  copse_spawn_options o = {.size = sizeof o};
  o.name = copse__lua_check_name(L, 2);
  bool wait = true, commanded = false;
  if (!lua_isnoneornil(L, 3)) {
    static const char *const names[] = {"argv",     "boot",  "config", "cwd",    "env",
                                        "file",     "grace", "link",   "module", "stdout",
                                        "template", "wait",  NULL};
    luaL_checktype(L, 3, LUA_TTABLE);
    copse__lua_check_options(L, 3, "spawn", names);
  }
  lua_settop(L, 3);
  task *t = copse__lua_task_any(L);
  words *argv = lua_newuserdatauv(L, sizeof *argv, 0);
  words *env = lua_newuserdatauv(L, sizeof *env, 0);
  memset(argv, 0, sizeof *argv);
  memset(env, 0, sizeof *env);
  lua_newtable(L);
  argv->keep = env->keep = lua_gettop(L);
  if (!lua_isnil(L, 3)) {
    commanded = read_argv(L, 3, argv);
    read_env(L, 3, env);
    o.cwd = option_string(L, 3, "cwd");
    o.link = option_string(L, 3, "link");
    if (o.link && strcmp(o.link, "fd") && strcmp(o.link, "stdio") && strcmp(o.link, "unix"))
      return luaL_error(L, "option 'link': \"fd\", \"stdio\" or \"unix\"");
    o.rungs.grace_ms = option_rung(L, 3, "grace");
    o.rungs.boot_ms = option_rung(L, 3, "boot");
    wait = option_flag(L, 3, "wait", true);
    o.stdio_null = !option_flag(L, 3, "stdout", true);
  }
  if (!commanded) {
    const char *module = option_string(L, 3, "module"), *file = option_string(L, 3, "file");
    if (module && file) return luaL_error(L, "spawn: 'module' or 'file', not both");
    if (!module && !file) copse__lua_program(&module, &file);
    if (!module && !file)
      return luaL_error(L, "spawn: which program? Say 'module', 'file' or 'argv'");
    /* What an environment asks of the C library is heard at the beginning of a program alone. */
    bool cloned = !h->stock && env->count == 0 && option_flag(L, 3, "template", true);
    lua_command(L, argv, env, module, file);
    if (cloned) o.template_argv = template_command();
  }
  if (wait) {
    copse__lua_task(L);
    copse__lua_checkpoint(L, t);
  }
  o.argv = argv->list;
  o.env = env->count ? env->list : NULL;
  peer *p = copse__lua_push_peer(L, NULL, NULL);
  int index = lua_gettop(L);
  p->ready = false;
  if (!lua_isnil(L, 3)) {
    int type = lua_getfield(L, 3, "config");
    copse_buf_reset(&h->scratch);
    if (type == LUA_TTABLE) copse__lua_encode_map(L, lua_gettop(L), &h->scratch);
    else if (type != LUA_TNIL) return luaL_error(L, "option 'config': a table");
    lua_pop(L, 1);
    copse__lua_check_buf(L, &h->scratch);
    o.config = copse_buf_bytes(&h->scratch);
  }
  copse__lua_anchor(L, index, p);
  copse_status status = copse_spawn(h->rt, scope, &o, &spawn_cbs, p, &p->child);
  if (status != COPSE_OK) {
    p->child = NULL;
    p->ended = true;
    copse__lua_release(h, p);
    if (status == COPSE_ECANCELLED && !copse_scope_is_cancelled(t->top->scope))
      return luaL_error(L, "the nursery is cancelled");
    return copse__lua_raise_status(L, status, o.name);
  }
  p->peer = copse_child_peer(p->child);
  p->ref = *copse_child_ref(p->child);
  p->pid = copse_child_pid(p->child);
  copse__lua_anchor(L, index, p->child); /* where copse.reach finds it */
  if (!wait) return 1;
  p->spawning = t;
  return copse__lua_wait_with(L, t, p, unspawn, index, spawned);
}
