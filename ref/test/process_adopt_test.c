/* SPDX-License-Identifier: MIT
 *
 * Orphans and others: adopt.c, with real processes.
 *
 * This process is the actor that adopts: one that was born in a tree itself, as every spawned actor
 * is. Programs that it started for itself stay, whatever they look like; what came to it from
 * a dead child goes.
 */
#include "runtime/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ABOVE "0123456789abcdef0123456789abcdef"
#define BELOW "fedcba9876543210fedcba9876543210"

extern char **environ;

typedef struct fixture {
  copse *rt;
  copse__adopt adopt;
  copse__timer timer;
  pid_t orphan;
  bool clear, orphan_was_left;
} fixture;

static fixture f;

static bool nobody_is_spawned(copse__adopt *adopt, pid_t pid) {
  (void)adopt;
  (void)pid;
  return false;
}

static bool is_there(pid_t pid) { return kill(pid, 0) == 0; }

static void on_clear(copse__adopt *adopt) {
  (void)adopt;
  f.clear = true;
  f.orphan_was_left = is_there(f.orphan);
  copse__stop(f.rt);
}

static int setup(void **state) {
  (void)state;
  copse_config config = {.size = sizeof config, .ignore_env = true};
  memset(&f, 0, sizeof f);
  alarm(60);
  setenv(COPSE__MARK, ABOVE, 1);
  if (copse__core_new(&f.rt, &config, NULL, NULL) != COPSE_OK) return -1;
  if (copse__adopt_init(f.rt, &f.adopt) != COPSE_OK) return -1;
  f.adopt.is_spawned = nobody_is_spawned;
  f.adopt.on_clear = on_clear;
  return 0;
}

/* Whether it is there; then no longer, so that it is in nobody's way. */
static bool end(pid_t pid) {
  if (!pid || kill(pid, SIGKILL) != 0) return false;
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  return true;
}

static int teardown(void **state) {
  (void)state;
  copse__adopt_deinit(&f.adopt);
  copse__core_free(f.rt);
  unsetenv(COPSE__MARK);
  if (end(f.orphan)) return -1;
  return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1; /* nobody is left */
}

_Noreturn static void sleep_with(char *const *environment) {
  char *argv[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "1000", NULL};
  execve("/bin/sleep", argv, environment);
  _exit(127);
}

/* Returns when everybody who holds the other end has closed it: those who execute a program. */
static void await_end(int ends[2]) {
  char byte;
  close(ends[1]);
  assert_int_equal(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

/* A program that we start for ourselves. */
static pid_t start_own(char *const *environment) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) sleep_with(environment);
  await_end(ends);
  return pid;
}

/* One that a child had started for itself, which has died since. */
static pid_t make_orphan(void) {
  static char mark[] = COPSE__MARK "=" BELOW;
  char *environment[] = {mark, NULL};
  int ends[2], told[2];
  pid_t pid;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  assert_int_equal(pipe2(told, O_CLOEXEC), 0);
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    pid = fork();
    if (pid == 0) sleep_with(environment);
    _exit(write(told[1], &pid, sizeof pid) != sizeof pid);
  }
  await_end(ends);
  assert_int_equal(read(told[0], &pid, sizeof pid), sizeof pid);
  close(told[0]);
  close(told[1]);
  assert_int_equal(waitpid(child, NULL, 0), child);
  return pid;
}

static void sweep(void) {
  copse__adopt_sweep(&f.adopt, 0);
  copse__loop_run(f.rt);
  assert_true(f.clear);
}

static void is_ours_still(pid_t pid) {
  assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
  assert_int_equal(kill(pid, SIGTERM), 0);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void what_a_dead_child_had_started_is_killed_and_reaped(void **state) {
  (void)state;
  f.orphan = make_orphan();
  sweep();
  assert_false(f.orphan_was_left);
}

static void a_program_of_our_own_stays_whatever_its_environment(void **state) {
  (void)state;
  static char path[] = "PATH=/bin", below[] = COPSE__MARK "=" BELOW;
  char *nothing[] = {NULL}, *other[] = {path, NULL}, *foreign[] = {below, NULL};
  char *const *const environments[] = {environ, nothing, other, foreign};
  enum { COUNT = sizeof environments / sizeof *environments };
  pid_t own[COUNT];
  for (size_t i = 0; i < COUNT; i++) own[i] = start_own(environments[i]);
  f.orphan = make_orphan();
  sweep();
  assert_false(f.orphan_was_left);
  for (size_t i = 0; i < COUNT; i++) is_ours_still(own[i]);
}

/* --- no descriptors --------------------------------------------------------------------------- */

static struct rlimit usual;

static void take_descriptors(void) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
  const struct rlimit none = {0, usual.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_descriptors(void) { setrlimit(RLIMIT_NOFILE, &usual); }

static void on_timer(copse__timer *timer) {
  (void)timer;
  give_descriptors();
}

static void orphans_that_cannot_be_looked_for_are_not_taken_for_gone(void **state) {
  (void)state;
  f.orphan = make_orphan();
  take_descriptors();
  copse__timer_start(f.rt, &f.timer, copse_now(f.rt) + 30, on_timer);
  sweep();
  give_descriptors();
  assert_false(f.orphan_was_left);
}

static void descriptors_that_never_come_are_not_waited_for(void **state) {
  (void)state;
  pid_t own = start_own(environ);
  take_descriptors();
  sweep();
  give_descriptors();
  is_ours_still(own);
}

static void on_signal(int number) {
  (void)number;
  give_descriptors();
}

static void the_end_of_all_comes_also_where_descriptors_are_short_for_a_while(void **state) {
  (void)state;
  const struct itimerval soon = {.it_value = {0, 30000}};
  pid_t own = start_own(environ);
  f.orphan = make_orphan();
  take_descriptors();
  signal(SIGALRM, on_signal);
  setitimer(ITIMER_REAL, &soon, NULL);
  copse__adopt_end_all(&f.adopt);
  give_descriptors();
  signal(SIGALRM, SIG_DFL);
  assert_false(end(own));
  assert_false(end(f.orphan));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_a_dead_child_had_started_is_killed_and_reaped),
      TEST(a_program_of_our_own_stays_whatever_its_environment),
      TEST(orphans_that_cannot_be_looked_for_are_not_taken_for_gone),
      TEST(descriptors_that_never_come_are_not_waited_for),
      TEST(the_end_of_all_comes_also_where_descriptors_are_short_for_a_while),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
