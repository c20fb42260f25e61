/* SPDX-License-Identifier: MIT
 *
 * The child's half of the spawn contract, up to its HELLO: what the environment may say, and what
 * its programs see of it.
 */
#include "runtime/process.h"
#include "test/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "00112233445566778899aabbccddeeff"

static int setup(void **state) {
  (void)state;
  alarm(60);
  copse__boot_hide();
  return 0;
}

static void refused(copse_status expected, const char *part) {
  copse *rt;
  char *why;
  assert_int_equal(copse_new(&rt, NULL, &why), expected);
  assert_null(rt);
  assert_non_null(why);
  assert_non_null(strstr(why, part));
  free(why);
}

static void what_is_wrong_with_the_environment_is_said(void **state) {
  (void)state;
  int fds = stage_fds();
  setenv("COPSE_LINK", "fd:3", 1);
  refused(COPSE_EADDRESS, "COPSE_ACTOR is not");
  setenv("COPSE_ACTOR", "me", 1);
  refused(COPSE_EADDRESS, "\"me\"");
  setenv("COPSE_ACTOR", ID, 1);
  refused(COPSE_EADDRESS, "not an id and a name");
  setenv("COPSE_ACTOR", ID " ", 1);
  refused(COPSE_EADDRESS, "the name");
  static const char *const groups[] = {"@",       "@x:y:z",    "@1",   "@1:a-b",
                                       "@1:a-b:", "@1:a-b:2x", "@:a:2"};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    char actor[64];
    snprintf(actor, sizeof actor, ID "%s oak", groups[i]);
    setenv("COPSE_ACTOR", actor, 1);
    refused(COPSE_EADDRESS, "no process group");
  }
  setenv("COPSE_ACTOR", ID " oak", 1);
  setenv("COPSE_TOKEN", "xyz", 1);
  refused(COPSE_EADDRESS, "COPSE_TOKEN");
  unsetenv("COPSE_TOKEN");
  setenv("COPSE_LINK", "carrier pigeon", 1);
  refused(COPSE_EADDRESS, "carrier pigeon");
  setenv("COPSE_ACTOR", ID " oak", 1);
  setenv("COPSE_LINK", "fd:987", 1);
  refused(COPSE_ESYSTEM, "no such descriptor");
  setenv("COPSE_ACTOR", ID " oak", 1);
  setenv("COPSE_LINK", "unix:/no/such/socket", 1);
  refused(COPSE_ESYSTEM, "/no/such/socket");
  assert_int_equal(stage_fds(), fds);
}

static void the_link_and_the_variables_are_hidden_from_what_is_executed(void **state) {
  (void)state;
  int ends[2], fds = stage_fds();
  char link[16];
  copse *rt;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  snprintf(link, sizeof link, "fd:%d", ends[1]);
  setenv("COPSE_LINK", link, 1);
  setenv("COPSE_ACTOR", ID " a name of words", 1);
  setenv("COPSE_TOKEN", "00ff", 1);
  assert_int_equal(copse_new(&rt, NULL, NULL), COPSE_OK);
  assert_false(copse_is_root(rt));
  assert_string_equal(copse_self(rt)->name, "a name of words");
  assert_int_equal(copse_self(rt)->id[15], 0xff);
  assert_null(getenv("COPSE_LINK"));
  assert_null(getenv("COPSE_ACTOR"));
  assert_null(getenv("COPSE_TOKEN"));
  assert_string_equal(getenv("COPSE_WITHIN"), ID);
  assert_int_equal(fcntl(ends[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  int signal = 0;
  assert_int_equal(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0), 0);
  assert_int_equal(signal, SIGCONT);
  copse_free(rt);
  close(ends[0]);
  assert_int_equal(stage_fds(), fds);
}

static void a_program_that_says_so_is_a_root_whatever_its_environment_says(void **state) {
  (void)state;
  copse *rt;
  copse_config config = {.size = sizeof config, .ignore_env = true, .no_rundir = true};
  setenv("COPSE_LINK", "fd:987", 1);
  setenv("COPSE_ACTOR", ID " oak", 1);
  assert_int_equal(copse_new(&rt, &config, NULL), COPSE_OK);
  assert_true(copse_is_root(rt));
  copse_free(rt);
}

static pid_t group_of(const char *actor) {
  copse__boot boot;
  char *why = NULL;
  setenv("COPSE_LINK", "fd:3", 1);
  setenv("COPSE_ACTOR", actor, 1);
  assert_int_equal(copse__boot_read(&boot, &why), COPSE_OK);
  assert_string_equal(boot.name, "oak");
  return boot.group;
}

static void a_process_group_is_believed_only_if_it_was_announced_here(void **state) {
  (void)state;
  char boot_id[40], text[200];
  unsigned long pid_namespace;
  assert_true(copse__here(boot_id, &pid_namespace));
  snprintf(text, sizeof text, ID "@4711:%s:%lu oak", boot_id, pid_namespace);
  assert_int_equal(group_of(text), 4711);
  snprintf(text, sizeof text, ID "@4711:%s:%lu oak", boot_id, pid_namespace + 1);
  assert_int_equal(group_of(text), 0);
  snprintf(text, sizeof text, ID "@4711:%s:%lu oak", "00000000-0000", pid_namespace);
  assert_int_equal(group_of(text), 0);
  snprintf(text, sizeof text, ID "@1:%s:%lu oak", boot_id, pid_namespace);
  assert_int_equal(group_of(text), 0);
  assert_int_equal(group_of(ID " oak"), 0);
}

/* In a process of its own, whose standard input and output are the link. */
static int with_stdio(int link) {
  copse *rt;
  char byte;
  dup2(link, STDIN_FILENO);
  dup2(link, STDOUT_FILENO);
  setenv("COPSE_LINK", "stdio:", 1);
  setenv("COPSE_ACTOR", ID " oak", 1);
  if (copse_new(&rt, NULL, NULL) != COPSE_OK) return 1;
  if (read(STDIN_FILENO, &byte, 1) != 0) return 2; /* empty, and not the link */
  if (write(STDOUT_FILENO, "stray\n", 6) != 6) return 3;
  copse_free(rt);
  return 0;
}

static void a_stray_print_does_not_get_into_a_link_over_standard_output(void **state) {
  (void)state;
  int ends[2], errors[2], status;
  char out[512];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(errors[1], STDERR_FILENO);
    _exit(with_stdio(ends[1]));
  }
  close(ends[1]);
  close(errors[1]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  ssize_t n = read(errors[0], out, sizeof out);
  assert_int_equal(n, 6);
  assert_memory_equal(out, "stray\n", 6);
  n = read(ends[0], out, sizeof out);
  assert_true(n <= 0 || memmem(out, (size_t)n, "stray", 5) == NULL);
  close(ends[0]);
  close(errors[0]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, setup)
  const struct CMUnitTest tests[] = {
      TEST(what_is_wrong_with_the_environment_is_said),
      TEST(the_link_and_the_variables_are_hidden_from_what_is_executed),
      TEST(a_program_that_says_so_is_a_root_whatever_its_environment_says),
      TEST(a_process_group_is_believed_only_if_it_was_announced_here),
      TEST(a_stray_print_does_not_get_into_a_link_over_standard_output),
  };
  /* libuv keeps two descriptors for ever from its first loop on. */
  uv_loop_t first;
  if (uv_loop_init(&first) == 0) uv_loop_close(&first);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
