/* SPDX-License-Identifier: MIT
 *
 * The `copse` command: finds the subcommand and gives it the rest of the line.
 *
 * Options that all subcommands take may stand before or after its name; they are parsed by one
 * argp, which each subcommand's own has as a child.
 */
#include "cli.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <lua.h>

static const struct {
  const char *name;
  int (*run)(cli_options *common, int argc, char **argv);
} commands[] = {
    {"run", cmd_run},
    {"call", cmd_call},
    {"tree", cmd_tree},
    {"decode", cmd_decode},
};

/* --- common options --------------------------------------------------------------------------- */

enum { OPTION_LOG_LEVEL = 0x100, OPTION_COLOR };

static const struct argp_option common_options[] = {
    {NULL, 0, NULL, 0, "In every command:", 90},
    {"verbose", 'v', NULL, 0, "Log more: once info, twice debug, three times trace", 90},
    {"log-level", OPTION_LOG_LEVEL, "LEVEL", 0, "Log error, warn, info, debug or trace and worse",
     90},
    {"color", OPTION_COLOR, "WHEN", 0, "Colour the output: auto, always or never", 90},
    {0}};

static error_t parse_common(int key, char *arg, struct argp_state *state) {
  cli_options *options = state->input;
  bool ok;
  switch (key) {
  case 'v':
    if (!options->level_set) options->level = COPSE_LOG_WARN;
    if (options->level < COPSE_LOG_TRACE) options->level++;
    options->level_set = true;
    return 0;
  case OPTION_LOG_LEVEL:
    options->level = copse_log_parse(arg, &ok);
    options->level_set = true;
    if (!ok) argp_error(state, "there is no log level '%s': error, warn, info, debug, trace", arg);
    return 0;
  case OPTION_COLOR:
    if (strcmp(arg, "auto") == 0) options->colour = -1;
    else if (strcmp(arg, "always") == 0 || strcmp(arg, "never") == 0) options->colour = *arg == 'a';
    else argp_error(state, "--color takes auto, always or never, not '%s'", arg);
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

const struct argp cli_common_argp = {.options = common_options, .parser = parse_common};

static void print_version(FILE *stream, struct argp_state *state) {
  (void)state;
  fprintf(stream, "copse %s\nprotocol version %d\nlibuv %s, %s\n", copse_version(),
          COPSE_VERSION_MAX, uv_version_string(), LUA_RELEASE);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static const char doc[] =
    "Structured concurrency across processes."
    "\v"
    "Commands:\n"
    "  run FILE [ARG...]      run a Lua program as the root of a tree of actors\n"
    "  call TARGET [ARGS]     call a function of a running actor; JSON in, JSON out\n"
    "  tree [NAME]            show the running trees of actors\n"
    "  decode [FILE]          print frames of the protocol as readable lines\n"
    "\n"
    "`copse COMMAND --help` tells more. Exit status: 0 success, 1 failure, 2 wrong usage, 3 "
    "not found or "
    "not reachable, 4 timeout, 5 cancelled.\n"
    "The environment variable COPSE_LOG sets the log level of a whole tree; -v and --log-level "
    "win over "
    "it.";

typedef struct choice {
  cli_options *common;
  size_t command;
  int next; /* where the command's own arguments begin */
} choice;

static error_t parse_main(int key, char *arg, struct argp_state *state) {
  choice *chosen = state->input;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = chosen->common; return 0;
  case ARGP_KEY_ARG:
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
      if (strcmp(arg, commands[i].name) != 0) continue;
      chosen->command = i;
      chosen->next = state->next;
      state->next = state->argc;
      return 0;
    }
    if (strcmp(arg, "help") == 0) argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
    argp_error(state,
               strchr(arg, '.') ? "there is no command '%s'; to run a file: copse run %s"
                                : "there is no command '%s': run, call, tree, decode",
               arg, arg);
    return 0;
  case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static pid_t answers_for_output;

/* Output that did not arrive is no success, however the command ends (argp exits by itself). */
static void check_output(int status, void *arg) {
  (void)arg;
  if (getpid() == answers_for_output && status == CLI_OK && !cli_flush(NULL)) _exit(CLI_FAILED);
}

int main(int argc, char **argv) {
  static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {
      .parser = parse_main, .args_doc = "COMMAND [ARG...]", .doc = doc, .children = children};
  cli_options common = {.colour = -1};
  choice chosen = {.common = &common};
  char name[32];

  /* Of an actor the status tells its parent how it ended; what it printed is not its affair. */
  if (!getenv("COPSE_LINK")) answers_for_output = getpid();
  on_exit(check_output, NULL);
  argp_program_version_hook = print_version;
  argp_err_exit_status = CLI_USAGE;
  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &chosen) != 0) return CLI_USAGE;

  /* An actor's own locale is its program's affair, and its start is to cost nothing that it does
   * not need. */
  if (commands[chosen.command].run != cmd_run) setlocale(LC_CTYPE, "");

  /* The subcommand parses a line that begins with both names, for its messages. */
  snprintf(name, sizeof name, "copse %s", commands[chosen.command].name);
  argv += chosen.next - 1;
  argc -= chosen.next - 1;
  argv[0] = name;
  return commands[chosen.command].run(&common, argc, argv);
}
