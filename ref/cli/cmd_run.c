/* SPDX-License-Identifier: MIT
 *
 * copse run: a Lua program as an actor. The root of a tree when a user starts it, a child when an
 * actor does: the same command line serves both, the environment tells which.
 */
#include "cli.h"

#include "../../bindings/lua/copse_lua.h"
#include "wire/value.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_COUNTED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define LEAKS_ARE_COUNTED 1
#endif
#ifndef LEAKS_ARE_COUNTED
#define LEAKS_ARE_COUNTED 0
#endif

static const char doc[] =
    "Run a Lua program as the root of a tree of actors."
    "\v"
    "FILE returns a table of functions; its `main` gets the arguments. The command returns "
    "when everything "
    "that the program started has ended.\n"
    "\n"
    "Exit status:\n"
    "  0  the program ended, or was cancelled\n"
    "  1  it failed; the report is on standard error\n"
    "  2  wrong usage\n"
    "  3  FILE cannot be read\n";

enum { OPTION_MODULE = 0x200, OPTION_NAME, OPTION_TEMPLATE };

static const struct argp_option options[] = {
    {"module", OPTION_MODULE, "NAME", 0,
     "Run a module, found as `require` would, instead of a file", 1},
    {"name", OPTION_NAME, "NAME", 0, "Name of the tree (the file's name without .lua)", 1},
    /* For actors alone, whose parent is on descriptor 3. */
    {"template", OPTION_TEMPLATE, NULL, OPTION_HIDDEN, NULL, 1},
    {0}};

typedef struct run {
  cli_options *common;
  const char *module, *name;
  bool template;
  char **arguments;
  int count;
} run;

static error_t parse(int key, char *arg, struct argp_state *state) {
  run *r = state->input;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = r->common; return 0;
  case OPTION_MODULE: r->module = arg; return 0;
  case OPTION_TEMPLATE: r->template = true; return 0;
  case OPTION_NAME:
    if (!*arg || strlen(arg) > COPSE_NAME_MAX)
      argp_error(state, "a name has 1 to %d bytes", COPSE_NAME_MAX);
    r->name = arg;
    return 0;
  case ARGP_KEY_ARG:
    /* The first word ends our options: the rest is the program's. */
    r->arguments = state->argv + state->next - 1;
    r->count = state->argc - state->next + 1;
    state->next = state->argc;
    return 0;
  case ARGP_KEY_END:
    if (!r->module && !r->template && r->count == 0)
      argp_error(state, "which program? Give a Lua file");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

/* Where the Lua files of the library are: beside the command (a build directory), in the tree it
 * was installed to, or where it was meant to be installed. The first that exists; to be freed. */
static char *lua_path(void) {
  char self[PATH_MAX], *path = NULL;
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n > 0) {
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
  }
  for (size_t i = 0; n > 0 && i < 2; i++) {
    char *dir = NULL, *probe = NULL;
    struct stat info;
    if (asprintf(&dir, i == 0 ? "%s/lua" : "%s/../share/lua/5.4", self) < 0) return NULL;
    bool found = asprintf(&probe, "%s/copse", dir) > 0 && stat(probe, &info) == 0;
    free(probe);
    if (found && asprintf(&path, "%s/?.lua;%s/?/init.lua", dir, dir) < 0) path = NULL;
    free(dir);
    if (found) return path;
  }
  if (asprintf(&path, "%s/?.lua;%s/?/init.lua", COPSE_LUA_SHAREDIR, COPSE_LUA_SHAREDIR) < 0)
    return NULL;
  return path;
}

/* "examples/primes.lua" makes the tree "primes". A file's name may be longer than an actor's, and
 * hold what that cannot: as many whole characters as fit are taken, with `?` for what is none. */
static void name_of(const char *file, char name[COPSE_NAME_MAX + 1]) {
  const char *base = strrchr(file, '/');
  base = base ? base + 1 : file;
  size_t length = strlen(base), used = 0, n;
  if (length > 4 && strcmp(base + length - 4, ".lua") == 0) length -= 4;
  for (size_t at = 0; at < length; at += n) {
    n = 1;
    if ((uint8_t)base[at] >= 0xc0)
      while (n < 4 && at + n < length && ((uint8_t)base[at + n] & 0xc0) == 0x80) n++;
    bool ok = copse__name_ok((const uint8_t *)base + at, n);
    if (!ok) n = 1;
    if (used + n > COPSE_NAME_MAX) break;
    memcpy(name + used, ok ? base + at : "?", n);
    used += n;
  }
  name[used] = '\0';
}

int cmd_run(cli_options *common, int argc, char **argv) {
  static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {.options = options,
                                   .parser = parse,
                                   .args_doc = "FILE [ARG...]\n--module NAME [ARG...]",
                                   .doc = doc,
                                   .children = children};
  run r = {.common = common};
  char name[COPSE_NAME_MAX + 1];
  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r) != 0) return CLI_USAGE;

  if (r.template) r.module = NULL;
  const char *file = r.module || r.template ? NULL : r.arguments[0];
  struct stat info;
  if (file && (stat(file, &info) != 0 || access(file, R_OK) != 0)) {
    cli_complain("run", "cannot read %s: %s", file, strerror(errno));
    return CLI_NOT_FOUND;
  }
  if (file && S_ISDIR(info.st_mode)) {
    cli_complain("run", "%s is a directory; give a Lua file", file);
    return CLI_NOT_FOUND;
  }
  name_of(file ? file : r.module ? r.module : "template", name);
  char *path = lua_path();
  copse_lua_run_options lua = {.size = sizeof lua,
                               .file = file,
                               .module = r.module,
                               .argc = file ? r.count - 1 : r.count,
                               .argv = file ? r.arguments + 1 : r.arguments,
                               .path = path,
                               .cpath = COPSE_LUA_CMODDIR "/?.so",
                               .colour = common->colour,
                               .template_only = r.template};
  lua.runtime.size = sizeof lua.runtime;
  lua.runtime.exits = !LEAKS_ARE_COUNTED;
  lua.runtime.name = r.name ? r.name : name;
  lua.runtime.log_level = common->level;
  lua.runtime.log_level_set = common->level_set;
  lua.runtime.raise_files = true;
  int status = copse_lua_run(&lua);
  free(path);
  return status;
}
