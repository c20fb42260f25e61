/* SPDX-License-Identifier: MIT
 *
 * copse tree: what is running.
 *
 * Every root is found through the runtime directory and asked `copse.info`; it asks its children,
 * and so on down, so one answer holds a tree. A root that does not answer in time is shown as such:
 * that, too, is what one looks for here.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char doc[] =
    "Show the running trees of actors of this user."
    "\v"
    "For each actor: its name, process, state, open contexts and memory (resident). With NAME, "
    "only trees of that name.\n"
    "\n"
    "Exit status:\n"
    "  0  shown, also when nothing runs\n"
    "  1  a tree could not be asked\n"
    "  2  wrong usage\n"
    "  3  no tree is called NAME\n";

enum { OPTION_WATCH = 'w', OPTION_JSON = 'j', OPTION_INTERVAL = 'n' };

static const struct argp_option options[] = {
    {"watch", OPTION_WATCH, NULL, 0, "Keep showing, in place, until interrupted", 1},
    {"interval", OPTION_INTERVAL, "SECONDS", 0, "How often with --watch (1)", 1},
    {"json", OPTION_JSON, NULL, 0, "Write JSON: an array of trees", 1},
    {0}};

enum { ANSWER_MS = 3000 };

enum { LEVELS_MAX = 512 }; /* that are drawn apart */

typedef struct tree_view tree_view;

/* One tree being asked. */
typedef struct asked {
  tree_view *view;
  const cli_tree *tree;
  copse_scope *scope;
  json_t *info; /* what it said; NULL: nothing */
} asked;

struct tree_view {
  cli_options *common;
  const char *only;
  bool watch, as_json;
  int64_t interval_ms;

  copse *rt;
  cli_trees trees;
  asked *asked;
  size_t pending;
  size_t lines_shown;
  int status;
};

/* --- rendering -------------------------------------------------------------------------------- */

/* The table is made as text first, since the width of a column depends on all rows. */
typedef struct row {
  char *name; /* with its branch lines */
  char pid[24], contexts[24], memory[24];
  char *state;
} row;

typedef struct table {
  row *rows;
  size_t count, capacity;
  bool unicode;
  bool failed;
} table;

static void table_deinit(table *t) {
  for (size_t i = 0; i < t->count; i++) {
    free(t->rows[i].name);
    free(t->rows[i].state);
  }
  free(t->rows);
}

static void format_memory(char *out, size_t size, json_int_t bytes) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
  double amount = (double)bytes / 1024;
  size_t unit = 0;
  while (amount >= 1000 && unit < 3) amount /= 1024, unit++;
  snprintf(out, size, amount < 10 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
}

static const char *text_of(const json_t *object, const char *key, const char *otherwise) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : otherwise;
}

/* Adds an actor and those below it. `lead` is what its own branch hangs on, `under` what is put
 * before its children's. */
static void table_add(table *t, const json_t *actor, const char *lead, const char *under) {
  if (t->count == t->capacity) {
    size_t capacity = t->capacity ? 2 * t->capacity : 32;
    row *rows = realloc(t->rows, capacity * sizeof *rows);
    if (!rows) {
      t->failed = true;
      return;
    }
    t->rows = rows;
    t->capacity = capacity;
  }
  row *r = &t->rows[t->count];
  memset(r, 0, sizeof *r);
  const json_t *value;
  if ((value = json_object_get(actor, "pid")))
    snprintf(r->pid, sizeof r->pid, "%" PRId64, (int64_t)json_integer_value(value));
  if ((value = json_object_get(actor, "contexts")))
    snprintf(r->contexts, sizeof r->contexts, "%" PRId64, (int64_t)json_integer_value(value));
  if ((value = json_object_get(actor, "memory")))
    format_memory(r->memory, sizeof r->memory, json_integer_value(value));
  if (asprintf(&r->name, "%s%s", lead, text_of(actor, "name", "?")) < 0) r->name = NULL;
  r->state = strdup(text_of(actor, "state", "?"));
  t->count++;
  if (!r->name || !r->state) {
    t->failed = true;
    return;
  }

  const json_t *children = json_object_get(actor, "children"), *child;
  size_t i;
  json_array_foreach(children, i, child) {
    bool last = i + 1 == json_array_size(children);
    const char *branch = t->unicode ? last ? "└─ " : "├─ " : last ? "`- " : "|- ";
    const char *stem = last ? "   " : t->unicode ? "│  " : "|  ";
    char *child_lead = NULL, *child_under = NULL;
    if (asprintf(&child_lead, "%s%s", under, branch) < 0) child_lead = NULL;
    if (asprintf(&child_under, "%s%s", under, stem) < 0) child_under = NULL;
    if (child_lead && child_under) table_add(t, child, child_lead, child_under);
    else t->failed = true;
    free(child_lead);
    free(child_under);
  }
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

static void pad(FILE *stream, size_t columns) {
  while (columns--) putc(' ', stream);
}

static const char *state_colour(const char *state) {
  if (strcmp(state, "working") == 0) return "\033[32m";
  if (strcmp(state, "unresponsive") == 0 || strcmp(state, "suspended") == 0 ||
      strcmp(state, "no answer") == 0)
    return "\033[31m";
  return "\033[33m";
}

/* Prints at most `lines` rows (0: all) and returns how many lines that made. */
static size_t table_print(const table *t, FILE *stream, bool colour, unsigned lines) {
  size_t name = 5, pid = 3, state = 5, contexts = 8, memory = 6;
  for (size_t i = 0; i < t->count; i++) {
    const row *r = &t->rows[i];
    name = max_size(name, cli_text_width(r->name));
    pid = max_size(pid, strlen(r->pid));
    state = max_size(state, cli_text_width(r->state));
    contexts = max_size(contexts, strlen(r->contexts));
    memory = max_size(memory, strlen(r->memory));
  }
  fprintf(stream, "%s%-*s  %*s  %-*s  %*s  %*s%s\n", colour ? "\033[1m" : "", (int)name, "ACTOR",
          (int)pid, "PID", (int)state, "STATE", (int)contexts, "CONTEXTS", (int)memory, "MEMORY",
          colour ? "\033[0m" : "");
  size_t shown = t->count;
  if (lines > 4 && shown > lines - 3) shown = lines - 3;
  for (size_t i = 0; i < shown; i++) {
    const row *r = &t->rows[i];
    cli_print_safe(stream, r->name);
    pad(stream, name - cli_text_width(r->name));
    fprintf(stream, "  %*s  %s", (int)pid, r->pid, colour ? state_colour(r->state) : "");
    cli_print_safe(stream, r->state);
    fputs(colour ? "\033[0m" : "", stream);
    pad(stream, state - cli_text_width(r->state));
    fprintf(stream, "  %*s  %*s\n", (int)contexts, r->contexts, (int)memory, r->memory);
  }
  if (shown < t->count) fprintf(stream, "... and %zu more\n", t->count - shown);
  return shown + 1 + (shown < t->count);
}

/* --- reading answers -------------------------------------------------------------------------- */

static const char *write_id(const copse_ref *ref, char id[33]) {
  for (size_t i = 0; i < 16; i++) snprintf(id + 2 * i, 3, "%02x", ref->id[i]);
  return id;
}

/* An entry of copse.info, in the shape that --json shows. NULL for what is none. */
static json_t *actor_of(copse_bytes entry) {
  static const char *const numbers[][2] = {
      {"pid", "pid"}, {"contexts", "contexts"}, {"rss", "memory"}};
  copse_bytes field, text;
  copse_ref ref;
  int64_t number;
  char id[33];
  if (copse_map_get(entry, "ref", &field) != COPSE_OK || copse_value_ref(field, &ref) != COPSE_OK)
    return NULL;
  json_t *actor = json_object(), *addresses = json_array();
  for (size_t i = 0; i < ref.address_count; i++)
    json_array_append_new(addresses, json_string(ref.addresses[i]));
  json_object_set_new(actor, "name", json_string(ref.name));
  json_object_set_new(actor, "id", json_string(write_id(&ref, id)));
  json_object_set_new(actor, "addresses", addresses);
  for (size_t i = 0; i < 3; i++) {
    if (copse_map_get(entry, numbers[i][0], &field) == COPSE_OK &&
        copse_value_int(field, &number) == COPSE_OK)
      json_object_set_new(actor, numbers[i][1], json_integer(number));
  }
  if (copse_map_get(entry, "state", &field) == COPSE_OK &&
      copse_value_str(field, &text) == COPSE_OK)
    json_object_set_new(actor, "state", json_stringn((const char *)text.data, text.size));
  json_object_set_new(actor, "children", json_array());
  return actor;
}

/* Where an actor with this parent is to hang: below an entry before it, so that no answer makes a
 * circle; below the root, where there is none. */
static json_t *place_of(json_t *by_id, json_t *root, copse_bytes entry, size_t *level) {
  copse_bytes field;
  copse_ref parent;
  char id[33];
  json_t *place = NULL;
  if (copse_map_get(entry, "parent", &field) == COPSE_OK &&
      copse_value_ref(field, &parent) == COPSE_OK)
    place = json_object_get(by_id, write_id(&parent, id));
  *level = place ? (size_t)json_integer_value(json_array_get(place, 1)) + 1 : 1;
  return place && *level < LEVELS_MAX ? json_array_get(place, 0) : root;
}

/* The list that copse.info brings, as the tree that it tells of; NULL for what is none. */
static json_t *tree_of(copse_bytes list) {
  copse_reader reader;
  copse_token array;
  copse_bytes entry;
  char id[33];
  json_t *root = NULL, *by_id = json_object(); /* to [actor, level] */
  copse_reader_init(&reader, list);
  if (copse_read(&reader, &array) != COPSE_OK || array.type != COPSE_ARRAY) array.count = 0;
  for (uint32_t i = 0; i < array.count && copse_read_value(&reader, &entry) == COPSE_OK; i++) {
    size_t level = 0;
    json_t *actor = actor_of(entry);
    if (!actor) continue;
    snprintf(id, sizeof id, "%s", text_of(actor, "id", ""));
    if (!root) root = json_incref(actor);
    else
      json_array_append(json_object_get(place_of(by_id, root, entry, &level), "children"), actor);
    json_object_set_new(by_id, id, json_pack("[o, I]", actor, (json_int_t)level));
  }
  json_decref(by_id);
  return root;
}

static json_t *no_answer(const cli_tree *tree) {
  return json_pack("{s:s, s:[s], s:s, s:[]}", "name", tree->name, "addresses", tree->address,
                   "state", "no answer", "children");
}

/* --- showing ---------------------------------------------------------------------------------- */

static void show_table(tree_view *v, const json_t *trees) {
  bool on_terminal = cli_lines(stdout) > 0;
  const json_t *tree;
  size_t i;
  table t = {.unicode = cli_use_unicode()};
  json_array_foreach(trees, i, tree) table_add(&t, tree, "", "");
  if (v->lines_shown && on_terminal) printf("\033[%zuA\r\033[J", v->lines_shown);
  if (v->lines_shown && !on_terminal) putchar('\n');
  if (t.failed) {
    cli_complain("tree", "out of memory");
    v->status = CLI_FAILED;
    v->lines_shown = 0;
  } else if (t.count == 0) {
    printf(v->only ? "No tree called %s is running.\n"
                   : "No tree of actors is running. Start one with: copse run FILE.lua\n",
           v->only);
    v->lines_shown = 1;
  } else {
    /* In place, a line must not wrap: the cursor goes back by lines. */
    bool in_place = v->watch && on_terminal;
    if (in_place) fputs("\033[?7l", stdout);
    v->lines_shown = table_print(&t, stdout, cli_use_colour(v->common, stdout),
                                 in_place ? cli_lines(stdout) : 0);
    if (in_place) fputs("\033[?7h", stdout);
  }
  table_deinit(&t);
}

static void look(tree_view *v);

/* The pause of --watch is a scope with nothing but a deadline. */
static void pause_cancel(copse_member *member, void *arg) {
  (void)arg;
  copse_member_leave(member, NULL);
}

static void pause_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  tree_view *v = arg;
  (void)scope, (void)error, (void)cancelled;
  if (copse_scope_is_cancelled(copse_root_scope(v->rt)))
    copse_main_done(v->rt, (copse_bytes){0}, NULL);
  else look(v);
}

static void rest(tree_view *v) {
  static const copse_member_cbs cbs = {.cancel = pause_cancel};
  copse_scope *scope = cli_client_scope(v->rt, v->interval_ms, pause_done, v);
  if (!scope) {
    copse_main_done(v->rt, (copse_bytes){0}, NULL);
    return;
  }
  copse_scope_join(scope, &cbs, v);
  copse_scope_seal(scope, NULL);
}

/* All have answered, or will not. */
static void show(tree_view *v) {
  json_t *trees = json_array();
  bool cancelled = copse_scope_is_cancelled(copse_root_scope(v->rt));
  for (size_t i = 0; i < v->trees.count; i++) {
    asked *a = &v->asked[i];
    if (v->only && strcmp(v->only, a->tree->name) != 0) continue;
    if (!a->info && !cancelled) v->status = CLI_FAILED;
    json_array_append_new(trees, a->info ? a->info : no_answer(a->tree));
    a->info = NULL;
  }
  if (!cancelled) {
    if (v->as_json) cli_json_write(trees, stdout, !v->watch);
    else show_table(v, trees);
    if (v->only && json_array_size(trees) == 0 && !v->watch) v->status = CLI_NOT_FOUND;
  }
  json_decref(trees);
  free(v->asked);
  v->asked = NULL;
  cli_trees_deinit(&v->trees);
  bool written = cli_flush("tree");
  if (!written) v->status = CLI_FAILED;
  if (v->watch && !cancelled && written) rest(v);
  else copse_main_done(v->rt, (copse_bytes){0}, NULL);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void tree_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  asked *a = arg;
  tree_view *v = a->view;
  (void)scope, (void)error, (void)cancelled;
  if (--v->pending == 0) show(v);
}

static bool answered(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  asked *a = arg;
  (void)ctx;
  if (outcome->kind == COPSE_RETURNED) a->info = tree_of(outcome->value);
  copse_scope_seal(a->scope, NULL);
  return true;
}

static void reached(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  static const uint8_t no_args = 0x80; /* an empty map */
  asked *a = arg;
  (void)rt;
  if (error ||
      copse_call(peer, a->scope, "copse.info", (copse_bytes){&no_args, 1}, answered, a) != COPSE_OK)
    copse_scope_seal(a->scope, NULL);
}

static void look(tree_view *v) {
  v->status = CLI_OK;
  cli_trees_find(&v->trees);
  v->asked = calloc(v->trees.count + 1, sizeof *v->asked);
  if (!v->asked) {
    cli_complain("tree", "out of memory");
    v->status = CLI_FAILED;
    copse_main_done(v->rt, (copse_bytes){0}, NULL);
    return;
  }
  /* Held until all are asked, so that an early answer does not end the round. */
  v->pending = 1;
  for (size_t i = 0; i < v->trees.count; i++) {
    asked *a = &v->asked[i];
    a->view = v;
    a->tree = &v->trees.all[i];
    if (v->only && strcmp(v->only, a->tree->name) != 0) continue;
    a->scope = cli_client_scope(v->rt, ANSWER_MS, tree_done, a);
    if (!a->scope) continue;
    v->pending++;
    if (copse_connect(v->rt, a->scope, a->tree->address, NULL, (copse_bytes){0}, reached, a) !=
        COPSE_OK)
      copse_scope_seal(a->scope, NULL);
  }
  if (--v->pending == 0) show(v);
}

static void tree_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  tree_view *v = arg;
  (void)scope, (void)config;
  v->rt = rt;
  look(v);
}

/* --- command line ----------------------------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state) {
  tree_view *v = state->input;
  char *end;
  double seconds;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = v->common; return 0;
  case OPTION_WATCH: v->watch = true; return 0;
  case OPTION_JSON: v->as_json = true; return 0;
  case OPTION_INTERVAL:
    seconds = strtod(arg, &end);
    if (end == arg || *end || !(seconds >= 0.1 && seconds <= 86400))
      argp_error(state, "--interval takes seconds, from 0.1 to 86400, not '%s'", arg);
    v->interval_ms = (int64_t)(seconds * 1000);
    return 0;
  case ARGP_KEY_ARG:
    if (state->arg_num > 0) argp_error(state, "one name at most");
    v->only = arg;
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

int cmd_tree(cli_options *common, int argc, char **argv) {
  static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {
      .options = options, .parser = parse, .args_doc = "[NAME]", .doc = doc, .children = children};
  tree_view v = {.common = common, .interval_ms = 1000};
  if (argp_parse(&argp, argc, argv, 0, NULL, &v) != 0) return CLI_USAGE;
  if (!cli_client_run(common, "tree", tree_main, &v)) v.status = CLI_FAILED;
  cli_trees_deinit(&v.trees);
  free(v.asked);
  return v.status;
}
