/* SPDX-License-Identifier: MIT
 *
 * Trees of processes: whatever is killed, wherever, and whatever the others are doing, nothing
 * is left.
 *
 * The test's process is a subreaper: what escapes from a tree becomes its child. That nobody is
 * left and no zombie was left to it is checked after every test (see stage_deinit).
 */
#include "test/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

/* What a test wants of its tree, and does to it when it is complete. */
typedef struct plan {
  const char *bottom; /* what the leaves do */
  const char *victim; /* who is hit when all are up; NULL: nobody */
  int signal;
  bool cancel; /* the tree is cancelled when all are up */
  bool finish; /* the tree is told to finish */
  int litter;  /* -1, or how many calls of litter are under way */
  copse_context *grown;
} plan;

enum { ALL_UP = 7 }; /* top, two in the middle, four leaves */

static void begin(stage *s) { stage_spawn(s, "top", "serve", NULL); }

static void open_grow(stage *s, copse_child *child) {
  plan *p = s->own;
  p->grown = stage_grow(s, child, 2, 2, p->bottom);
}

static void when_up(stage *s, const stage_up *up) {
  plan *p = s->own;
  (void)up;
  if (s->up_count < ALL_UP) return;
  for (size_t i = 0; i < s->up_count; i++)
    if (p->victim && !strcmp(s->up[i].name, p->victim))
      assert_int_equal(kill(s->up[i].pid, p->signal), 0);
  if (p->cancel) copse_scope_cancel(s->scope, COPSE_ORIGIN_REQUESTED, "enough", -1);
  if (p->finish) copse_end(p->grown);
}

static void all_are_gone(const stage *s) {
  assert_int_equal(s->up_count, ALL_UP);
  for (size_t i = 0; i < s->up_count; i++) {
    assert_int_equal(kill(s->up[i].pid, 0), -1);
    assert_int_equal(errno, ESRCH);
  }
}

static void run(stage *s, plan *p) {
  *s = (stage){.on_begin = begin, .on_ready = open_grow, .on_up = when_up, .own = p};
  if (strcmp(p->bottom, "idle") != 0) s->grace_ms = 300; /* somebody will not go by himself */
  stage_init(s);
  stage_run(s);
  all_are_gone(s);
}

static void died(const stage *s, const char *name, int number) {
  int64_t signal = 0;
  const copse_error_info *info = stage_find_error(s->root_error, COPSE_CODE_DIED, name);
  assert_non_null(info);
  assert_true(stage_data_int(info, "signal", &signal));
  assert_int_equal(signal, number);
}

static void a_tree_of_three_levels_finishes_when_it_is_told_to(void **state) {
  (void)state;
  stage s;
  plan p = {.bottom = "idle", .finish = true};
  run(&s, &p);
  assert_null(s.root_error);
  assert_int_equal(s.status, 0);
  stage_deinit(&s);
}

static void a_tree_of_three_levels_is_cancelled_as_a_whole(void **state) {
  (void)state;
  stage s;
  plan p = {.bottom = "idle", .cancel = true};
  run(&s, &p);
  assert_null(s.root_error);
  assert_true(s.root_cancelled);
  assert_int_equal(s.status, 0);
  stage_deinit(&s);
}

static void cancelled_with(const char *bottom) {
  stage s;
  plan p = {.bottom = bottom, .cancel = true};
  run(&s, &p);
  /* The ladder had to end the leaves, and what a ladder ends is an error of the tree. */
  const copse_error_info *info = stage_find_error(s.root_error, COPSE_CODE_DIED, NULL);
  assert_non_null(info);
  assert_true(stage_data_has(info, "ladder", "SIG"));
  assert_true(info->cancelled);
  stage_deinit(&s);
}

static void busy_leaves_of_a_cancelled_tree_are_ended_by_the_ladder(void **state) {
  (void)state;
  cancelled_with("spin");
}

static void blocked_leaves_of_a_cancelled_tree_are_ended_by_the_ladder(void **state) {
  (void)state;
  cancelled_with("block");
}

static void leaf_killed_with(const char *bottom) {
  stage s;
  plan p = {.bottom = bottom, .victim = "top.1.0", .signal = SIGKILL};
  run(&s, &p);
  died(&s, "top.1.0", SIGKILL);
  const copse_error_info *info = stage_find_error(s.root_error, COPSE_CODE_DIED, "top.1.0");
  assert_int_equal(info->via_count, 2); /* it came by the middle and the top */
  assert_string_equal(info->via[0].name, "top.1");
  assert_string_equal(info->via[1].name, "top");
  assert_int_equal(s.status, 1);
  stage_deinit(&s);
}

static void a_killed_leaf_ends_the_tree_with_one_error_that_names_it(void **state) {
  (void)state;
  leaf_killed_with("idle");
}

static void a_killed_stopped_leaf_ends_the_tree_with_an_error_that_names_it(void **state) {
  (void)state;
  leaf_killed_with("stop");
}

static void middle_killed_with(const char *bottom) {
  stage s;
  plan p = {.bottom = bottom, .victim = "top.0", .signal = SIGKILL};
  run(&s, &p);
  died(&s, "top.0", SIGKILL);
  assert_int_equal(s.status, 1);
  stage_deinit(&s);
}

static void a_killed_middle_leaves_nothing_of_idle_leaves(void **state) {
  (void)state;
  middle_killed_with("idle");
}

static void a_killed_middle_leaves_nothing_of_busy_leaves(void **state) {
  (void)state;
  middle_killed_with("spin");
}

static void a_killed_middle_leaves_nothing_of_stopped_leaves(void **state) {
  (void)state;
  middle_killed_with("stop");
}

static void a_killed_middle_leaves_nothing_of_blocked_leaves(void **state) {
  (void)state;
  middle_killed_with("block");
}

/* --- a root that is killed: another process --------------------------------------------------- */

static bool directory_is_empty(void) {
  char path[64];
  snprintf(path, sizeof path, "%s/copse", getenv("XDG_RUNTIME_DIR"));
  return rmdir(path) == 0;
}

static void root_hit_with(const char *bottom, int signal, int expected_status) {
  char fifo[96], line[128];
  const char *argv[] = {stage_tool(), "root", bottom, NULL};
  pid_t root;
  int status, fds = stage_fds();
  alarm(60);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  snprintf(fifo, sizeof fifo, "%s/up", getenv("XDG_RUNTIME_DIR"));
  assert_int_equal(mkfifo(fifo, 0600), 0);
  setenv("ACTOR_PIPE", fifo, 1);
  bool clean = strcmp(bottom, "idle") == 0 && !getenv("ACTOR_DETACHED"); /* all go by themselves */
  setenv("ACTOR_GRACE", clean || signal != SIGKILL ? "20000" : "300", 1);
  FILE *pipe = fopen(fifo, "r+e");
  assert_non_null(pipe);
  assert_int_equal(posix_spawn(&root, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ),
                   0);
  for (int up = 0; up < 15; up++) assert_non_null(fgets(line, sizeof line, pipe));
  assert_int_equal(kill(root, signal), 0);
  assert_int_equal(waitpid(root, &status, 0), root);
  if (signal == SIGKILL) assert_true(WIFSIGNALED(status));
  else assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, expected_status);
  stage_wait_for_nobody();
  fclose(pipe);
  unlink(fifo);
  unsetenv("ACTOR_PIPE");
  assert_int_equal(stage_fds(), fds);
  /* Actors that could clean up have removed its directory; for others the next who looks does. */
  if (clean) assert_true(directory_is_empty());
  assert_int_equal(stage_trees(), 0);
}

static void a_killed_root_leaves_nothing_of_an_idle_tree(void **state) {
  (void)state;
  root_hit_with("idle", SIGKILL, 0);
}

static void a_killed_root_leaves_nothing_of_a_busy_tree(void **state) {
  (void)state;
  root_hit_with("spin", SIGKILL, 0);
}

static void a_killed_root_leaves_nothing_of_a_stopped_tree(void **state) {
  (void)state;
  root_hit_with("stop", SIGKILL, 0);
}

static void a_killed_root_leaves_nothing_of_a_blocked_tree(void **state) {
  (void)state;
  root_hit_with("block", SIGKILL, 0);
}

/* Each actor behind a shell, in a session of its own, and not a child of who spawned it. */
static void a_killed_root_leaves_nothing_of_actors_that_their_launchers_detached(void **state) {
  (void)state;
  setenv("ACTOR_DETACHED", "1", 1);
  root_hit_with("idle", SIGKILL, 0);
  root_hit_with("spin", SIGKILL, 0);
  root_hit_with("stop", SIGKILL, 0);
  root_hit_with("block", SIGKILL, 0);
  unsetenv("ACTOR_DETACHED");
}

static void a_root_that_is_interrupted_cancels_its_tree_and_succeeds(void **state) {
  (void)state;
  root_hit_with("idle", SIGINT, 0);
}

static void a_root_that_is_terminated_cancels_its_tree_and_succeeds(void **state) {
  (void)state;
  root_hit_with("idle", SIGTERM, 0);
}

/* --- what is no actor ------------------------------------------------------------------------- */

static bool on_littered(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  copse_child_kill(s->child, SIGKILL);
  return true;
}

static void litter(stage *s, copse_child *child) {
  assert_int_equal(copse_call(copse_child_peer(child), s->scope, "litter", (copse_bytes){NULL, 0},
                              on_littered, s),
                   COPSE_OK);
}

/* A helper program of this one's own, in a session of its own or not. Returns when it is executed:
 * until then it shows the environment that this program began with, which knows nothing of the
 * runtimes that the tests before had. */
static pid_t helper(bool apart) {
  int ends[2];
  char byte;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    if (apart) setsid();
    execlp("sleep", "sleep", "1000", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &byte, 1), 0);
  close(ends[0]);
  return pid;
}

static void programs_that_a_killed_actor_had_detached_are_ended_and_our_own_are_not(void **state) {
  (void)state;
  pid_t own = helper(false);
  pid_t apart = helper(true); /* a helper in a session of its own is ours all the same */
  stage s = {.on_begin = begin, .on_ready = litter};
  stage_init(&s);
  stage_run(&s);
  died(&s, "top", SIGKILL);
  assert_int_equal(kill(own, SIGKILL), 0);
  assert_int_equal(waitpid(own, NULL, 0), own);
  assert_int_equal(kill(apart, SIGKILL), 0);
  assert_int_equal(waitpid(apart, NULL, 0), apart);
  stage_deinit(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tree_of_three_levels_finishes_when_it_is_told_to),
      cmocka_unit_test(a_tree_of_three_levels_is_cancelled_as_a_whole),
      cmocka_unit_test(busy_leaves_of_a_cancelled_tree_are_ended_by_the_ladder),
      cmocka_unit_test(blocked_leaves_of_a_cancelled_tree_are_ended_by_the_ladder),
      cmocka_unit_test(a_killed_leaf_ends_the_tree_with_one_error_that_names_it),
      cmocka_unit_test(a_killed_stopped_leaf_ends_the_tree_with_an_error_that_names_it),
      cmocka_unit_test(a_killed_middle_leaves_nothing_of_idle_leaves),
      cmocka_unit_test(a_killed_middle_leaves_nothing_of_busy_leaves),
      cmocka_unit_test(a_killed_middle_leaves_nothing_of_stopped_leaves),
      cmocka_unit_test(a_killed_middle_leaves_nothing_of_blocked_leaves),
      cmocka_unit_test(a_killed_root_leaves_nothing_of_an_idle_tree),
      cmocka_unit_test(a_killed_root_leaves_nothing_of_a_busy_tree),
      cmocka_unit_test(a_killed_root_leaves_nothing_of_a_stopped_tree),
      cmocka_unit_test(a_killed_root_leaves_nothing_of_a_blocked_tree),
      cmocka_unit_test(a_killed_root_leaves_nothing_of_actors_that_their_launchers_detached),
      cmocka_unit_test(a_root_that_is_interrupted_cancels_its_tree_and_succeeds),
      cmocka_unit_test(a_root_that_is_terminated_cancels_its_tree_and_succeeds),
      cmocka_unit_test(programs_that_a_killed_actor_had_detached_are_ended_and_our_own_are_not),
  };
  return cmocka_run_group_tests(tests, stage_group_begin, stage_group_end);
}
