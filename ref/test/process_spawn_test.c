/* SPDX-License-Identifier: MIT
 *
 * The spawner: what a program finds when it starts, and what is said when it does not start.
 */
#include "runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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

static const int plain_fds[COPSE__SPAWN_FDS] = {COPSE__FD_NULL, COPSE__FD_INHERIT,
                                                COPSE__FD_INHERIT, COPSE__FD_CLOSED};

static copse__spawn_args shell(const char **argv, const char *script) {
  argv[0] = "sh";
  argv[1] = "-c";
  argv[2] = script;
  argv[3] = NULL;
  copse__spawn_args args = {.argv = argv, .envp = environ};
  memcpy(args.fds, plain_fds, sizeof plain_fds);
  return args;
}

static siginfo_t reap(const copse__spawned *child) {
  siginfo_t info;
  assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED), 0);
  close(child->pidfd);
  return info;
}

/* Runs a script with its output in `out`, and gives its status. */
static int output_of(copse__spawn_args *args, char *out, size_t size) {
  copse__spawned child;
  copse__spawn_error error;
  int ends[2];
  size_t at = 0;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  args->fds[1] = ends[1];
  assert_int_equal(copse__spawn(args, &child, &error), COPSE_OK);
  close(ends[1]);
  for (ssize_t n; at < size - 1 && (n = read(ends[0], out + at, size - 1 - at)) > 0;)
    at += (size_t)n;
  out[at] = 0;
  close(ends[0]);
  return reap(&child).si_status;
}

static void a_command_of_the_path_runs_and_gives_its_status(void **state) {
  (void)state;
  const char *argv[4];
  copse__spawn_args args = shell(argv, "exit 7");
  copse__spawned child;
  copse__spawn_error error;
  assert_int_equal(copse__spawn(&args, &child, &error), COPSE_OK);
  assert_int_equal(fcntl(child.pidfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  siginfo_t info = reap(&child);
  assert_int_equal(info.si_code, CLD_EXITED);
  assert_int_equal(info.si_status, 7);
}

static void fails(copse__spawn_args *args, copse__spawn_step step, int number) {
  copse__spawned child;
  copse__spawn_error error;
  assert_int_equal(copse__spawn(args, &child, &error), COPSE_ESYSTEM);
  assert_int_equal(error.step, step);
  assert_int_equal(error.error, number);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to be reaped */
  assert_int_equal(errno, ECHILD);
}

static void a_command_that_is_not_there_fails_at_the_lookup(void **state) {
  (void)state;
  const char *argv[] = {"copse-no-such-command", NULL};
  copse__spawn_args args = {.argv = argv, .envp = environ};
  fails(&args, COPSE__SPAWN_LOOKUP, ENOENT);
}

static void a_command_that_may_not_be_executed_fails_at_the_lookup(void **state) {
  (void)state;
  char dir[] = "/tmp/copse-test-XXXXXX", path[64], variable[64];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/thing", dir);
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  snprintf(variable, sizeof variable, "PATH=%s", dir);
  char *envp[] = {variable, NULL};
  const char *argv[] = {"thing", NULL};
  copse__spawn_args args = {.argv = argv, .envp = envp};
  fails(&args, COPSE__SPAWN_LOOKUP, EACCES);
  unlink(path);
  rmdir(dir);
}

static void a_file_that_is_no_program_fails_at_its_execution(void **state) {
  (void)state;
  const char *argv[] = {"/", NULL};
  copse__spawn_args args = {.argv = argv, .envp = environ};
  fails(&args, COPSE__SPAWN_EXEC, EACCES);
}

static void a_directory_that_is_not_there_fails_where_it_is_entered(void **state) {
  (void)state;
  const char *argv[4];
  copse__spawn_args args = shell(argv, "exit 0");
  args.cwd = "/no/such/directory";
  fails(&args, COPSE__SPAWN_DIRECTORY, ENOENT);
}

static void a_program_starts_in_its_directory_and_environment(void **state) {
  (void)state;
  const char *argv[4];
  char out[64], path[] = "PATH=/usr/bin:/bin", colour[] = "COLOUR=green";
  char *envp[] = {path, colour, NULL};
  copse__spawn_args args = shell(argv, "echo $COLOUR; pwd");
  args.envp = envp;
  args.cwd = "/";
  assert_int_equal(output_of(&args, out, sizeof out), 0);
  assert_string_equal(out, "green\n/\n");
}

static void a_program_gets_the_descriptors_meant_for_it_and_no_other(void **state) {
  (void)state;
  const char *argv[] = {"ls", "/proc/self/fd", NULL};
  char out[256];
  int leak = fcntl(STDERR_FILENO, F_DUPFD, 20); /* not close-on-exec */
  copse__spawn_args args = {.argv = argv, .envp = environ};
  memcpy(args.fds, plain_fds, sizeof plain_fds);
  assert_true(leak >= 20);
  assert_int_equal(output_of(&args, out, sizeof out), 0);
  assert_string_equal(out, "0\n1\n2\n3\n"); /* 3 is that of ls, on the directory */
  close(leak);
}

static void descriptors_may_trade_places(void **state) {
  (void)state;
  const char *argv[4];
  char out[64];
  int ends[2];
  copse__spawned child;
  copse__spawn_error error;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  /* 2 becomes 1's, 1 becomes the pipe, 3 becomes 2's */
  copse__spawn_args args = shell(argv, "echo to the pipe; test -e /proc/$$/fd/3");
  args.fds[1] = ends[1];
  args.fds[2] = STDOUT_FILENO;
  args.fds[3] = STDERR_FILENO;
  assert_int_equal(copse__spawn(&args, &child, &error), COPSE_OK);
  close(ends[1]);
  ssize_t n = read(ends[0], out, sizeof out);
  assert_int_equal(n, 12);
  assert_memory_equal(out, "to the pipe\n", 12);
  close(ends[0]);
  assert_int_equal(reap(&child).si_status, 0);
}

static void a_program_starts_with_default_signals_but_deaf_to_the_terminal(void **state) {
  (void)state;
  const char *argv[] = {"grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status", NULL};
  char out[128];
  sigset_t set, before;
  unsigned long long blocked, ignored;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &before);
  void (*hup)(int) = signal(SIGHUP, SIG_IGN);
  copse__spawn_args args = {.argv = argv, .envp = environ};
  memcpy(args.fds, plain_fds, sizeof plain_fds);
  assert_int_equal(output_of(&args, out, sizeof out), 0);
  signal(SIGHUP, hup);
  sigprocmask(SIG_SETMASK, &before, NULL);
  assert_int_equal(sscanf(out, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
  assert_int_equal(blocked, 0);
  assert_int_equal(ignored & 0x7fffffff, 1u << (SIGINT - 1) | 1u << (SIGQUIT - 1));
}

static void a_program_leads_a_process_group_whose_number_it_is_told(void **state) {
  (void)state;
  const char *argv[4];
  char out[64], path[] = "PATH=/usr/bin:/bin", group[] = "GROUP=0000000000";
  char *envp[] = {path, group, NULL};
  long said, self, pgrp;
  copse__spawn_args args = shell(argv, "echo $GROUP $(cut -d' ' -f1,5 /proc/$$/stat)");
  args.envp = envp;
  args.pid_at = group + 6;
  args.pid_width = 10;
  assert_int_equal(output_of(&args, out, sizeof out), 0);
  assert_int_equal(sscanf(out, "%ld %ld %ld", &said, &self, &pgrp), 3);
  assert_int_equal(said, self);
  assert_int_equal(pgrp, self);
}

static void a_program_dies_with_its_parent(void **state) {
  (void)state;
  int ends[2];
  char byte;
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t parent = fork();
  if (parent == 0) {
    const char *argv[4];
    copse__spawn_args args = shell(argv, "echo up; exec sleep 1000");
    copse__spawned child;
    copse__spawn_error error;
    args.fds[1] = ends[1];
    if (copse__spawn(&args, &child, &error) != COPSE_OK) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &byte, 1), 1); /* the program is up */
  kill(parent, SIGKILL);
  assert_int_equal(waitpid(parent, NULL, 0), parent);
  int status;
  assert_true(waitpid(-1, &status, 0) > 0); /* it comes to us, dead */
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_command_of_the_path_runs_and_gives_its_status),
      cmocka_unit_test(a_command_that_is_not_there_fails_at_the_lookup),
      cmocka_unit_test(a_command_that_may_not_be_executed_fails_at_the_lookup),
      cmocka_unit_test(a_file_that_is_no_program_fails_at_its_execution),
      cmocka_unit_test(a_directory_that_is_not_there_fails_where_it_is_entered),
      cmocka_unit_test(a_program_starts_in_its_directory_and_environment),
      cmocka_unit_test(a_program_gets_the_descriptors_meant_for_it_and_no_other),
      cmocka_unit_test(descriptors_may_trade_places),
      cmocka_unit_test(a_program_starts_with_default_signals_but_deaf_to_the_terminal),
      cmocka_unit_test(a_program_leads_a_process_group_whose_number_it_is_told),
      cmocka_unit_test(a_program_dies_with_its_parent),
  };
  alarm(60);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
