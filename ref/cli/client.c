/* SPDX-License-Identifier: MIT
 *
 * Asking running trees: an actor that is nobody's child, that no other finds, and that is gone when
 * it has its answers.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

bool cli_client_run(const cli_options *common, const char *command, copse_main_cb main, void *arg) {
  copse *rt;
  char *why = NULL, name[COPSE_NAME_MAX + 1];
  snprintf(name, sizeof name, "copse-%s", command);
  copse_config config = {.size = sizeof config,
                         .name = name,
                         .log_level = common->level,
                         .log_level_set = common->level_set,
                         .no_rundir = true,
                         .ignore_env = true,
                         .raise_files = true};
  copse_status status = copse_new(&rt, &config, &why);
  if (status != COPSE_OK) {
    cli_complain(command, "%s", why ? why : copse_status_text(status));
    free(why);
    return false;
  }
  copse_run(rt, main, arg);
  copse_free(rt);
  return true;
}

copse_scope *cli_client_scope(copse *rt, int64_t deadline_ms, copse_scope_done_cb done, void *arg) {
  copse_scope_options options = COPSE_SCOPE_OPTIONS;
  options.deadline_ms = deadline_ms;
  return copse_scope_new(rt, copse_root_scope(rt), &options, done, arg);
}

static void add_tree(const char *address, const char *name, void *arg) {
  cli_trees *trees = arg;
  cli_tree *all = realloc(trees->all, (trees->count + 1) * sizeof *all);
  if (all) trees->all = all;
  cli_tree tree = {strdup(address), strdup(name)};
  if (!all || !tree.address || !tree.name) {
    free(tree.address);
    free(tree.name);
    trees->failed = true;
    return;
  }
  all[trees->count++] = tree;
}

static int by_name(const void *a, const void *b) {
  const cli_tree *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : strcmp(x->address, y->address);
}

void cli_trees_find(cli_trees *trees) {
  memset(trees, 0, sizeof *trees);
  copse_trees(add_tree, trees);
  if (trees->count) qsort(trees->all, trees->count, sizeof *trees->all, by_name);
}

void cli_trees_deinit(cli_trees *trees) {
  for (size_t i = 0; i < trees->count; i++) {
    free(trees->all[i].address);
    free(trees->all[i].name);
  }
  free(trees->all);
  memset(trees, 0, sizeof *trees);
}
