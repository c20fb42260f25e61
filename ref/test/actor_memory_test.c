/* SPDX-License-Identifier: MIT
 *
 * Every allocation of an actor's life fails in turn: of a root that spawns, looks up, registers
 * and asks; of a child that boots, serves and ends. Something is refused, or the actor gives up;
 * but nothing crashes or waits for ever, and no process and no descriptor is left.
 *
 * This program is its own child: with COPSE_LINK in its environment it is an actor.
 */
#include "failing_memory.h"
#include "test/stage.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOTHING ((copse_bytes){NULL, 0})
#define HANG_SECONDS 240 /* of one round, on any machine */

static char self_path[4096];

static void nobody_is_left(int fds_before) {
  errno = 0;
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
  assert_int_equal(stage_fds(), fds_before);
}

/* --- the child -------------------------------------------------------------------------------- */

static void on_echo(copse_context *ctx, copse_bytes args, void *arg) {
  (void)arg;
  copse_return(ctx, args);
}

static void on_registered(copse_error *error, void *arg) {
  copse_main_done(arg, NOTHING, copse_error_ref(error));
}

static void child_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  (void)config;
  (void)arg;
  copse_status status = copse_export(rt, "echo", on_echo, NULL, COPSE_FROM_ANYONE, false);
  if (status == COPSE_OK) status = copse_register(rt, scope, "service", on_registered, rt);
  if (status != COPSE_OK)
    copse_main_done(rt, NOTHING, copse_status_error(status, "the start of a test's actor"));
}

/* Leaves a file where it has come to its end without a failure. */
static int be_an_actor(void) {
  copse *rt;
  char *why = NULL;
  const char *fail_at = getenv("FAIL_AT"), *whole = getenv("WHOLE");
  countdown = fail_at && *fail_at ? atol(fail_at) : -1;
  copse_config config = {
      .size = sizeof config, .log_level = COPSE_LOG_ERROR, .log_level_set = true};
  if (copse_new(&rt, &config, &why) != COPSE_OK) {
    fprintf(stderr, "%s\n", why ? why : "no memory");
    free(why);
    return 3;
  }
  int status = copse_run(rt, child_main, NULL);
  copse_free(rt);
  if (!failed && whole) {
    FILE *file = fopen(whole, "w");
    if (file) fclose(file);
  }
  return status;
}

/* --- the root --------------------------------------------------------------------------------- */

typedef struct scene scene;

typedef struct actor {
  scene *scene;
  int owed;     /* answers, */
  bool settled; /* all of which have come, or never will */
} actor;

struct scene {
  copse *rt;
  copse_scope *scope;
  copse_member *body;          /* keeps the scope until all actors are settled */
  const char *fail_at, *whole; /* of the child */
  actor actors[3];
  int spawned, settled;
  char crash[64]; /* how a child has died where it should not */
  int questions;
  bool asked;
};

static void check_body(scene *s) {
  if (!s->body || s->settled < s->spawned) return;
  copse_member_leave(s->body, NULL);
  s->body = NULL;
}

static void settle(actor *a) {
  if (!a->settled) a->scene->settled++;
  a->settled = true;
  check_body(a->scene);
}

static bool on_answer(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  actor *a = arg;
  (void)ctx;
  (void)outcome;
  if (--a->owed == 0) settle(a);
  return true;
}

static void on_found(const copse_ref *refs, size_t count, copse_error *error, void *arg) {
  (void)refs;
  (void)count;
  (void)error;
  ++*(int *)arg;
}

static void on_named(copse_error *error, void *arg) {
  (void)error;
  (void)arg;
}

static void on_event(char op, const char *name, const copse_ref *ref, copse_error *error,
                     void *arg) {
  (void)op;
  (void)name;
  (void)ref;
  (void)error;
  (void)arg;
}

static void on_ready(copse_child *child, void *arg) {
  static const char *const targets[] = {"copse.info", "echo", "nothing"};
  actor *a = arg;
  for (int i = 0; i < 3; i++)
    if (copse_call(copse_child_peer(child), a->scene->scope, targets[i], NOTHING, on_answer, a) ==
        COPSE_OK)
      a->owed++;
  if (!a->owed) settle(a);
}

static bool on_child_done(copse_child *child, const copse_outcome *outcome, void *arg) {
  actor *a = arg;
  scene *s = a->scene;
  (void)child;
  settle(a);
  const copse_error_info *died = stage_find_error(
      outcome->kind == COPSE_FAILED ? outcome->error : NULL, COPSE_CODE_DIED, NULL);
  int64_t signal;
  if (died && stage_data_int(died, "signal", &signal) && !stage_data_has(died, "ladder", "SIG"))
    snprintf(s->crash, sizeof s->crash, "signal %d", (int)signal);
  return true;
}

static void spawn(scene *s, const char *name, const char *program, const char *link) {
  static const copse_spawn_cbs cbs = {on_ready, on_child_done};
  char fail_at[64], whole[200];
  const char *env[] = {fail_at, whole, NULL}, *argv[] = {program, NULL};
  copse_spawn_options options = {.size = sizeof options,
                                 .name = name,
                                 .argv = argv,
                                 .env = env,
                                 .link = link,
                                 .stderr_keep = true};
  snprintf(fail_at, sizeof fail_at, "FAIL_AT=%s", s->fail_at);
  snprintf(whole, sizeof whole, "WHOLE=%s", s->whole);
  actor *a = &s->actors[s->spawned];
  a->scene = s;
  if (copse_spawn(s->rt, s->scope, &options, &cbs, a, NULL) == COPSE_OK) s->spawned++;
}

static void root_main(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  scene *s = arg;
  (void)config;
  s->scope = scope;
  s->body = copse_scope_join(scope, NULL, NULL);
  spawn(s, "worker", self_path, NULL);
  if (!s->fail_at[0]) { /* it is the root that is to fail: have it do more */
    spawn(s, "dialling", self_path, "unix");
    spawn(s, "nobody", "/no/such/program", NULL);
  }
  copse_register(rt, scope, "root", on_named, s);
  s->asked = copse_find(rt, scope, "service", false, on_found, &s->questions) == COPSE_OK;
  copse_watch(rt, scope, NULL, on_event, s);
  check_body(s);
  copse_main_done(rt, NOTHING, NULL);
}

static bool run(scene *s) {
  char *why = NULL;
  copse_config config = {.size = sizeof config,
                         .name = "root",
                         .rungs = {.grace_ms = 10000, .term_ms = 10000},
                         .log_level = COPSE_LOG_ERROR,
                         .log_level_set = true};
  if (copse_new(&s->rt, &config, &why) != COPSE_OK) {
    free(why);
    return false;
  }
  copse_run(s->rt, root_main, s);
  copse_free(s->rt);
  assert_true(!s->asked || s->questions == 1);
  return true;
}

static void whatever_allocation_of_a_root_fails_its_tree_ends(void **state) {
  long n = 0;
  int fds = stage_fds();
  (void)state;
  do {
    scene s = {.fail_at = "", .whole = ""};
    alarm(HANG_SECONDS);
    failed = false;
    countdown = n++;
    run(&s);
    countdown = -1;
    nobody_is_left(fds);
  } while (failed);
  alarm(0);
  assert_true(n > 100);
}

static void whatever_allocation_of_a_child_fails_it_does_not_crash_or_hang(void **state) {
  char number[32], whole[120];
  long n = 0;
  int fds = stage_fds();
  (void)state;
  snprintf(whole, sizeof whole, "%s/whole", getenv("XDG_RUNTIME_DIR"));
  do {
    scene s = {.fail_at = number, .whole = whole};
    alarm(HANG_SECONDS);
    snprintf(number, sizeof number, "%ld", n++);
    assert_true(run(&s));
    assert_string_equal(s.crash, "");
    nobody_is_left(fds);
  } while (access(whole, F_OK) != 0);
  unlink(whole);
  alarm(0);
  assert_true(n > 30);
}

int main(void) {
  ssize_t size = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
  if (size <= 0) return 125;
  if (getenv("COPSE_LINK")) return be_an_actor();
  /* libuv keeps two descriptors for ever from its first loop on. */
  uv_loop_t first;
  if (uv_loop_init(&first) == 0) uv_loop_close(&first);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_allocation_of_a_root_fails_its_tree_ends),
      cmocka_unit_test(whatever_allocation_of_a_child_fails_it_does_not_crash_or_hang),
  };
  return cmocka_run_group_tests(tests, stage_group_begin, stage_group_end);
}
