/* SPDX-License-Identifier: MIT
 *
 * copse call: asks a running actor from a shell.
 *
 * The command connects as a plain peer. Who is meant by --on is settled in this order: an address
 * as it stands; a running tree of that name, whose root is asked; an actor registered under that
 * name in any running tree. What is ambiguous is refused with the addresses to choose from, never
 * guessed.
 */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char doc[] =
    "Call a function of a running actor."
    "\v"
    "ARGS is JSON: an array of positional arguments, or an object; `-` reads it from standard "
    "input. The result is "
    "written as JSON. What JSON lacks is written {\"$bin\": \"base64\"}, {\"$ref\": {...}}, "
    "{\"$ext\": [type, "
    "\"base64\"]}, {\"$float\": \"nan\"} and {\"$map\": [[key, value], ...]}, both ways.\n"
    "\n"
    "Without --on, the root of the only running tree is asked.\n"
    "\n"
    "Exit status:\n"
    "  0  the result is on standard output\n"
    "  1  the function failed, or its actor died; the report is on standard error\n"
    "  2  wrong usage\n"
    "  3  no such actor or function, not reachable, or refused: nothing was run\n"
    "  4  --timeout expired\n"
    "  5  the call was cancelled, there or here\n";

enum { OPTION_ON = 0x200, OPTION_TIMEOUT };

static const struct argp_option options[] = {
    {"on", OPTION_ON, "NAME|ADDRESS", 0,
     "The actor: a tree's or a registered name, or unix:PATH, tcp:HOST:PORT", 1},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "Cancel the call when it takes longer", 1},
    {0}};

typedef struct finding {
  copse_ref ref;
  const cli_tree *tree;
} finding;

typedef struct call {
  cli_options *common;
  const char *target, *on, *args_text;
  int64_t timeout_ms;
  copse_buf args;

  copse *rt;
  copse_scope *scope;
  cli_trees trees;
  size_t asking; /* the tree whose registrar is being asked */
  finding *found;
  size_t found_count;
  int status;
} call;

/* --- command line ----------------------------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state) {
  call *c = state->input;
  char *end;
  double seconds;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = c->common; return 0;
  case OPTION_ON: c->on = arg; return 0;
  case OPTION_TIMEOUT:
    seconds = strtod(arg, &end);
    if (end == arg || *end || !(seconds > 0 && seconds <= 1e9))
      argp_error(state, "--timeout takes a number of seconds greater than 0, not '%s'", arg);
    c->timeout_ms = (int64_t)ceil(seconds * 1000);
    return 0;
  case ARGP_KEY_ARG:
    if (state->arg_num == 0) c->target = arg;
    else if (state->arg_num == 1) c->args_text = arg;
    else
      argp_error(state,
                 "the arguments are one JSON text: quote it, as in copse call %s '[1, \"two\"]'",
                 c->target);
    return 0;
  case ARGP_KEY_END:
    if (!c->target) argp_error(state, "which function? Give its name");
    if (!*c->target || strlen(c->target) > COPSE_TARGET_MAX)
      argp_error(state, "a function's name has 1 to %d bytes", COPSE_TARGET_MAX);
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

/* Encodes the arguments into c->args. */
static bool pack_args(call *c) {
  json_error_t error;
  char why[256];
  if (!c->args_text) return true;
  bool from_stdin = strcmp(c->args_text, "-") == 0;
  json_t *json = from_stdin ? json_loadf(stdin, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error)
                            : json_loads(c->args_text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
  bool ok = false;
  if (!json)
    cli_complain("call", "the arguments are no JSON: %s (line %d, column %d)", error.text,
                 error.line, error.column);
  else if (!json_is_array(json) && !json_is_object(json))
    cli_complain("call", "the arguments are a JSON array or object: for one argument write '[%s]'",
                 from_stdin ? "..." : c->args_text);
  else if (!cli_json_pack(json, &c->args, why, sizeof why))
    cli_complain("call", "the arguments cannot be sent: %s", why);
  else if (copse_value_type(copse_buf_bytes(&c->args)) != COPSE_ARRAY &&
           copse_value_type(copse_buf_bytes(&c->args)) != COPSE_MAP)
    cli_complain("call",
                 "the arguments are an array or a map, not a single value: put it into [ ]");
  else ok = true;
  json_decref(json);
  return ok;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Ends the work with a status; the scope then closes what was opened. */
static void finish(call *c, int status) {
  c->status = status;
  copse_scope_seal(c->scope, NULL);
}

/* Ends the work where its time is over, or a signal has come; the scope's own end then says so. */
static bool given_up(call *c) {
  if (!copse_scope_is_cancelled(c->scope)) return false;
  copse_scope_seal(c->scope, NULL);
  return true;
}

static int status_of(const copse_error *error) {
  if (copse_error_get(error)->known == COPSE_CODE_CANCELLED) return CLI_CANCELLED;
  return copse_error_retry(error) ? CLI_NOT_FOUND : CLI_FAILED;
}

static void finish_error(call *c, const copse_error *error) {
  const copse_error_info *info = copse_error_get(error);
  int status = status_of(error);
  if (status != CLI_NOT_FOUND) cli_report(c->common, error);
  else if (info->known == COPSE_CODE_NO_TARGET)
    cli_complain("call", "there is no function %s: %s", c->target, info->message);
  else cli_complain("call", "%s (%s; nothing was run)", info->message, info->code);
  finish(c, status);
}

static void finish_cancelled(call *c, const copse_cause *cause, bool ran) {
  cli_complain("call", "cancelled: %s%s",
               cause->message[0] ? cause->message : copse_origin_text(cause->origin),
               ran ? "" : " before it began");
  finish(c, CLI_CANCELLED);
}

static void finish_status(call *c, copse_status status, const char *what) {
  copse_error *error = copse_status_error(status, what);
  finish_error(c, error);
  copse_error_unref(error);
}

/* Its scope has ended: by finish, or by the deadline or a signal before that was called. */
static void scope_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  call *c = arg;
  if (c->status < 0) {
    if (error && copse_error_get(error)->known == COPSE_CODE_DEADLINE) {
      cli_complain("call", "no result within %g s; the call was cancelled",
                   (double)c->timeout_ms / 1000);
      c->status = CLI_TIMEOUT;
    } else if (error) {
      cli_report(c->common, error);
      c->status = CLI_FAILED;
    } else if (cancelled) {
      finish_cancelled(c, copse_scope_cause(scope), false);
    } else {
      c->status = CLI_FAILED;
    }
  }
  copse_main_done(c->rt, (copse_bytes){0}, NULL);
}

/* --- the call --------------------------------------------------------------------------------- */

static bool has_expired(const call *c) {
  const copse_cause *cause = copse_scope_cause(c->scope);
  return cause && cause->origin == COPSE_ORIGIN_DEADLINE;
}

/* Whether the deadline that a CANCELLED tells of is ours: by our clock, or by that of the actor
 * called, which has it from us and may be a moment ahead. What somebody else sets a time for ends
 * by the same origin. */
static bool is_our_deadline(const call *c, copse_context *ctx, const copse_cause *cause) {
  const copse_ref *callee = copse_peer_ref(copse_context_peer(ctx));
  return cause->origin == COPSE_ORIGIN_DEADLINE && has_expired(c) &&
         (copse_scope_remaining(c->scope) == 0 ||
          memcmp(cause->by.id, callee->id, sizeof callee->id) == 0);
}

static bool call_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  if (outcome->kind == COPSE_RETURNED) {
    json_t *json = cli_json_of(outcome->value);
    bool made = json && cli_json_write(json, stdout, isatty(STDOUT_FILENO) == 1);
    json_decref(json);
    if (!made && !ferror(stdout)) cli_complain("call", "out of memory");
    finish(c, cli_flush("call") && made ? CLI_OK : CLI_FAILED);
  } else if (outcome->kind == COPSE_FAILED) {
    /* Our time may be over in something that the function has called, and come back as an error;
     * a time that the function has set itself is its own business. And the link is lost with whoever
     * does not answer a CANCEL. */
    const copse_code known = copse_error_get(outcome->error)->known;
    const bool unheeded = known == COPSE_CODE_LINK_LOST && copse_scope_is_cancelled(c->scope);
    if ((unheeded || known == COPSE_CODE_DEADLINE) && has_expired(c)) given_up(c);
    else if (unheeded) finish_cancelled(c, copse_scope_cause(c->scope), true);
    else finish_error(c, outcome->error);
  } else if (is_our_deadline(c, ctx, outcome->cause)) {
    given_up(c);
  } else {
    finish_cancelled(c, outcome->cause, outcome->ran);
  }
  return true;
}

static void connected(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  call *c = arg;
  (void)rt;
  if (given_up(c)) return;
  if (error) {
    finish_error(c, error);
    return;
  }
  copse_status status =
      copse_call(peer, c->scope, c->target, copse_buf_bytes(&c->args), call_done, c);
  if (status != COPSE_OK) finish_status(c, status, c->target);
}

static void dial(call *c, const char *address, const copse_ref *ref) {
  copse_status status =
      copse_connect(c->rt, c->scope, address, ref, (copse_bytes){0}, connected, c);
  if (status != COPSE_OK) finish_status(c, status, address ? address : ref->name);
}

/* --- finding the actor ------------------------------------------------------------------------ */

static void print_choice(const char *address, const char *name, const char *place) {
  fputs("    --on ", stderr);
  cli_print_safe(stderr, address);
  fprintf(stderr, "    %s%s\n", name, place);
}

static bool is_address(const char *text) {
  return strncmp(text, "unix:", 5) == 0 || strncmp(text, "tcp:", 4) == 0;
}

static void ask_next_registrar(call *c);

/* All registrars have answered. */
static void choose(call *c) {
  if (c->found_count == 1) {
    dial(c, NULL, &c->found[0].ref);
    return;
  }
  if (c->found_count == 0) {
    cli_complain(
        "call",
        "no running tree and no registered actor is called %s; `copse tree` shows what runs",
        c->on);
  } else {
    cli_complain("call", "%zu actors are registered as %s; choose one:", c->found_count, c->on);
    for (size_t i = 0; i < c->found_count; i++) {
      const finding *f = &c->found[i];
      char place[COPSE_NAME_MAX + 16];
      snprintf(place, sizeof place, " in %s", f->tree->name);
      print_choice(f->ref.address_count ? f->ref.addresses[0] : "(no address)", f->ref.name, place);
    }
  }
  finish(c, CLI_NOT_FOUND);
}

/* An actor may be registered under a name several times, and is one all the same. */
static bool is_found(const call *c, const copse_ref *ref) {
  for (size_t i = 0; i < c->found_count; i++)
    if (memcmp(c->found[i].ref.id, ref->id, sizeof ref->id) == 0) return true;
  return false;
}

static bool found(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  copse_reader reader;
  copse_token array = {0};
  copse_ref ref;
  (void)ctx;
  if (given_up(c)) return true;
  /* A tree that does not answer as a registrar knows nobody. */
  if (outcome->kind == COPSE_RETURNED) {
    copse_reader_init(&reader, outcome->value);
    if (copse_read(&reader, &array) != COPSE_OK || array.type != COPSE_ARRAY) array.count = 0;
  }
  for (uint32_t i = 0; i < array.count && copse_read_ref(&reader, &ref) == COPSE_OK; i++) {
    if (is_found(c, &ref)) continue;
    finding *all = realloc(c->found, (c->found_count + 1) * sizeof *all);
    if (!all) {
      finish_status(c, COPSE_ENOMEM, c->on);
      return true;
    }
    c->found = all;
    c->found[c->found_count++] = (finding){ref, &c->trees.all[c->asking]};
  }
  c->asking++;
  ask_next_registrar(c);
  return true;
}

static void registrar_connected(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  call *c = arg;
  copse_buf args;
  (void)rt;
  if (given_up(c)) return;
  if (error) {
    c->asking++;
    ask_next_registrar(c);
    return;
  }
  copse_buf_init(&args, 1024, NULL);
  copse_pack_map(&args, 1);
  copse_pack_cstr(&args, "name");
  copse_pack_cstr(&args, c->on);
  copse_status status = copse_call(peer, c->scope, "copse.find", copse_buf_bytes(&args), found, c);
  copse_buf_deinit(&args);
  if (status != COPSE_OK) finish_status(c, status, "copse.find");
}

static void ask_next_registrar(call *c) {
  while (c->asking < c->trees.count) {
    if (copse_connect(c->rt, c->scope, c->trees.all[c->asking].address, NULL, (copse_bytes){0},
                      registrar_connected, c) == COPSE_OK)
      return;
    c->asking++;
  }
  choose(c);
}

/* The running trees with that name (NULL: all). */
static void find(call *c) {
  const cli_tree *match = NULL;
  size_t matches = 0;
  cli_trees_find(&c->trees);
  for (size_t i = 0; i < c->trees.count; i++) {
    if (c->on && strcmp(c->trees.all[i].name, c->on) != 0) continue;
    match = &c->trees.all[i];
    matches++;
  }
  if (matches == 1) {
    dial(c, match->address, NULL);
    return;
  }
  if (matches == 0 && c->on) {
    ask_next_registrar(c);
    return;
  }
  if (matches == 0)
    cli_complain("call", "no tree of actors is running; start one with `copse run FILE.lua`");
  else
    cli_complain("call", "%zu trees%s%s are running; choose one:", matches, c->on ? " called " : "",
                 c->on ? c->on : "");
  for (size_t i = 0; matches && i < c->trees.count; i++) {
    if (c->on && strcmp(c->trees.all[i].name, c->on) != 0) continue;
    print_choice(c->trees.all[i].address, c->trees.all[i].name, "");
  }
  finish(c, CLI_NOT_FOUND);
}

static void call_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  call *c = arg;
  (void)scope, (void)config;
  c->rt = rt;
  c->scope = cli_client_scope(rt, c->timeout_ms, scope_done, c);
  if (!c->scope) {
    cli_complain("call", "out of memory");
    c->status = CLI_FAILED;
    copse_main_done(rt, (copse_bytes){0}, NULL);
  } else if (c->on && is_address(c->on)) {
    dial(c, c->on, NULL);
  } else {
    find(c);
  }
}

int cmd_call(cli_options *common, int argc, char **argv) {
  static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {.options = options,
                                   .parser = parse,
                                   .args_doc = "TARGET [ARGS]",
                                   .doc = doc,
                                   .children = children};
  call c = {.common = common, .timeout_ms = -1, .status = -1};
  if (argp_parse(&argp, argc, argv, 0, NULL, &c) != 0) return CLI_USAGE;
  /* More than this no peer is asked to take in one message by default; who takes more says so. */
  copse_buf_init(&c.args, 64u << 20, NULL);
  if (!pack_args(&c)) c.status = CLI_USAGE;
  else if (!cli_client_run(common, "call", call_main, &c)) c.status = CLI_FAILED;
  copse_buf_deinit(&c.args);
  cli_trees_deinit(&c.trees);
  free(c.found);
  return c.status < 0 ? CLI_CANCELLED : c.status;
}
