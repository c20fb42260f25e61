/* SPDX-License-Identifier: MIT
 *
 * The watchdog: an actor whose loop is stuck does not outlive its parent's link.
 *
 * Each test forks the victim, a process that never looks at its link, and lets go of the other end.
 */
#include "runtime/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_int turns;

static void ignore_loss(void *arg) { (void)arg; }

static copse__watchdog_config config_for(int fd, uint32_t grace_ms) {
  return (copse__watchdog_config){
      .fds = {fd, -1}, .grace_ms = grace_ms, .turns = &turns, .lost = ignore_loss};
}

static void make_pair(int ends[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static int status_of(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static void a_stuck_process_is_ended_when_its_link_is_lost(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    copse__watchdog_config config = config_for(ends[1], 30);
    close(ends[0]);
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  close(ends[0]);
  int status = status_of(victim);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* As a program does that wants to open nothing any more. poll refuses to work then. */
static void a_stuck_process_that_may_open_nothing_is_ended_too(void **state) {
  (void)state;
  int ends[2], ready[2];
  char byte;
  make_pair(ends);
  make_pair(ready);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    struct rlimit limit;
    copse__watchdog_config config = config_for(ends[1], 30);
    close(ends[0]);
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(1);
    limit.rlim_cur = 0;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(1);
    if (write(ready[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ends[0]);
  close(ends[1]);
  int status = status_of(victim);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void the_loss_goes_on_to_the_children_before_the_grace_is_over(void **state) {
  (void)state;
  int ends[2], below[2];
  char byte;
  make_pair(ends);
  make_pair(below);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    copse__watchdog_config config = config_for(ends[1], 1000000);
    close(ends[0]);
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    if (copse__watchdog_add_link(dog, below[0]) != COPSE_OK) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  close(below[0]);
  close(ends[0]);
  assert_int_equal(read(below[1], &byte, 1), 0); /* the child's end of input */
  assert_int_equal(waitpid(victim, NULL, WNOHANG), 0);
  kill(victim, SIGKILL);
  status_of(victim);
  close(below[1]);
}

/* As a loop does that is not stuck: it turns when it is woken. */
static void turn(void *arg) {
  (void)arg;
  turns++;
}

static void a_loop_that_turns_keeps_its_children_for_its_clean_up(void **state) {
  (void)state;
  int ends[2], below[2];
  char byte = 1;
  make_pair(ends);
  make_pair(below);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    copse__watchdog_config config = config_for(ends[1], 200);
    config.lost = turn;
    close(ends[0]);
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    if (copse__watchdog_add_link(dog, below[0]) != COPSE_OK) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  close(ends[0]);
  assert_true(WIFSIGNALED(status_of(victim)));
  /* Our copy of its descriptor was never shut down. */
  assert_int_equal(send(below[0], &byte, 1, MSG_NOSIGNAL), 1);
  close(below[0]);
  close(below[1]);
}

static void a_link_that_was_forgotten_is_left_alone(void **state) {
  (void)state;
  int ends[2], below[2], other[2];
  char byte = 1;
  make_pair(ends);
  make_pair(below);
  make_pair(other);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    copse__watchdog_config config = config_for(ends[1], 200);
    close(ends[0]);
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    if (copse__watchdog_add_link(dog, below[0]) != COPSE_OK) _exit(1);
    if (copse__watchdog_add_link(dog, other[0]) != COPSE_OK) _exit(1);
    copse__watchdog_forget_link(dog, below[0]);
    for (;;) pause();
  }
  close(ends[1]);
  close(ends[0]);
  assert_true(WIFSIGNALED(status_of(victim)));
  assert_int_equal(send(below[0], &byte, 1, MSG_NOSIGNAL), 1);
  assert_int_equal(send(other[0], &byte, 1, MSG_NOSIGNAL), -1);
  assert_int_equal(errno, EPIPE);
  for (int i = 0; i < 2; i++) {
    close(below[i]);
    close(other[i]);
  }
}

static void the_process_group_goes_with_it(void **state) {
  (void)state;
  int ends[2], alive[2];
  char byte;
  make_pair(ends);
  assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    setpgid(0, 0);
    close(ends[0]);
    if (fork() == 0) /* a helper, which holds the pipe as long as it lives */
      for (;;) pause();
    copse__watchdog_config config = config_for(ends[1], 30);
    config.group = getpid();
    if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  close(alive[1]);
  close(ends[0]);
  assert_int_equal(read(alive[0], &byte, 1), 0); /* nobody holds it any more */
  assert_true(WIFSIGNALED(status_of(victim)));
  close(alive[0]);
}

static int told[2];

static void tell_loss(void *arg) {
  (void)arg;
  if (write(told[1], "", 1) != 1) abort();
}

static void what_is_left_of_the_grace_runs_on_when_the_watchdog_is_stopped(void **state) {
  (void)state;
  int ends[2];
  make_pair(ends);
  pid_t victim = fork();
  if (victim == 0) {
    copse__watchdog *dog;
    char byte;
    copse__watchdog_config config = config_for(ends[1], 100);
    config.lost = tell_loss;
    close(ends[0]);
    if (pipe(told) != 0 || copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
    if (read(told[0], &byte, 1) != 1) _exit(1);
    copse__watchdog_stop(dog);
    for (;;) pause(); /* an exit handler that hangs */
  }
  close(ends[1]);
  close(ends[0]);
  int status = status_of(victim);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* On a busy machine the loop has dealt with a loss before this thread has run once. */
static void a_loss_that_comes_with_the_stop_bounds_the_exit_as_well(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    int ends[2];
    make_pair(ends);
    pid_t victim = fork();
    if (victim == 0) {
      copse__watchdog *dog;
      copse__watchdog_config config = config_for(ends[1], 1);
      close(ends[0]);
      if (copse__watchdog_start(&dog, &config) != COPSE_OK) _exit(1);
      copse__watchdog_stop(dog);
      for (;;) pause();
    }
    assert_true(victim > 0);
    close(ends[0]);
    close(ends[1]);
    int status = status_of(victim);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
  }
}

static atomic_int losses;

static void count_loss(void *arg) {
  (void)arg;
  atomic_fetch_add(&losses, 1);
}

static void a_watchdog_that_is_stopped_has_done_nothing(void **state) {
  (void)state;
  int ends[2];
  copse__watchdog *dog;
  make_pair(ends);
  copse__watchdog_config config = config_for(ends[1], 1);
  config.lost = count_loss;
  assert_int_equal(copse__watchdog_start(&dog, &config), COPSE_OK);
  copse__watchdog_set_grace(dog, 100000);
  copse__watchdog_stop(dog);
  copse__watchdog_stop(NULL);
  assert_int_equal(atomic_load(&losses), 0);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stuck_process_is_ended_when_its_link_is_lost),
      cmocka_unit_test(a_stuck_process_that_may_open_nothing_is_ended_too),
      cmocka_unit_test(the_loss_goes_on_to_the_children_before_the_grace_is_over),
      cmocka_unit_test(a_loop_that_turns_keeps_its_children_for_its_clean_up),
      cmocka_unit_test(a_link_that_was_forgotten_is_left_alone),
      cmocka_unit_test(the_process_group_goes_with_it),
      cmocka_unit_test(what_is_left_of_the_grace_runs_on_when_the_watchdog_is_stopped),
      cmocka_unit_test(a_loss_that_comes_with_the_stop_bounds_the_exit_as_well),
      cmocka_unit_test(a_watchdog_that_is_stopped_has_done_nothing),
  };
  alarm(60);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
