/* SPDX-License-Identifier: MIT
 *
 * Actors that are cloned from a template, and templates that fail at every point at which they can:
 * the actor is there all the same, and nothing is left (see stage_deinit).
 */
#include "test/stage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ACTORS = 4 };

/* What a test wants, and what it saw. */
typedef struct trial {
  const char *kind; /* of template */
  int ready, clones;
  pid_t template; /* the last one that was seen */
  unsigned failures;
  bool other_template; /* was there after the first */
  void (*between)(stage *s);
  stage *stage;
  copse__timer timer;
} trial;

/* A clone shows the environment that its template was started with, in which nobody has a name. */
static bool is_clone(pid_t pid) {
  char path[64], text[65536];
  snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  ssize_t size = read(fd, text, sizeof text);
  close(fd);
  assert_true(size > 0);
  return !memmem(text, (size_t)size, "\0COPSE_ACTOR=", 13);
}

static void spawn_one(stage *s) {
  trial *t = s->own;
  char name[32];
  const char *argv[] = {stage_tool(), "template", t->kind, NULL};
  copse_spawn_options options = {.size = sizeof options, .template_argv = argv};
  snprintf(name, sizeof name, "actor-%d", t->ready);
  stage_spawn(s, name, "serve", &options);
}

static bool on_echo(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)arg;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  return true;
}

/* The actors live until everybody else who is dead has been reaped, which no later event shall have
 * to bring about. */
static void leave_when_reaped(copse__timer *timer) {
  stage *s = copse__of(timer, trial, timer)->stage;
  siginfo_t info = {.si_pid = 0};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
    copse__timer_start(s->rt, timer, copse_now(s->rt) + 1, leave_when_reaped);
    return;
  }
  copse_member_leave(s->body, NULL);
  s->body = NULL;
}

/* One after another, so that each meets what became of the template by the one before. */
static void next(stage *s, copse_child *child) {
  trial *t = s->own;
  const copse__template *template = &s->rt->process->template;
  t->ready++;
  t->clones += is_clone(copse_child_pid(child));
  t->failures = template->failures;
  t->other_template |= t->template && template->proc.pid && template->proc.pid != t->template;
  if (template->proc.pid) t->template = template->proc.pid;
  copse_buf args;
  copse_buf_init(&args, 64, NULL);
  copse_pack_map(&args, 0);
  assert_int_equal(
      copse_call(copse_child_peer(child), s->scope, "echo", copse_buf_bytes(&args), on_echo, s),
      COPSE_OK);
  copse_buf_deinit(&args);
  if (t->ready == ACTORS) {
    t->stage = s;
    copse__timer_start(s->rt, &t->timer, copse_now(s->rt), leave_when_reaped);
    return;
  }
  if (t->between) t->between(s);
  spawn_one(s);
}

/* Spawns four actors, of which each answers, and all end well. */
static void try(trial *t) {
  int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (own < 0) skip(); /* then there are no clones (valgrind) */
  close(own);
  stage s = {.on_begin = spawn_one, .on_ready = next, .stay = true, .own = t};
  stage_init(&s);
  stage_run(&s);
  assert_int_equal(t->ready, ACTORS);
  assert_int_equal(s.status, 0);
  assert_null(s.root_error);
  stage_deinit(&s);
}

/* --- good ones -------------------------------------------------------------------------------- */

static void every_actor_but_the_first_is_cloned_from_one_template(void **state) {
  (void)state;
  trial t = {.kind = "good"};
  try(&t);
  assert_int_equal(t.clones, ACTORS - 1);
  assert_int_equal(t.failures, 0);
  assert_false(t.other_template);
}

static void kill_template(stage *s) {
  copse__template *template = &s->rt->process->template;
  if (template->proc.pid) copse__proc_kill(&template->proc, SIGKILL);
}

static void a_template_that_was_killed_is_replaced_and_its_clones_live_on(void **state) {
  (void)state;
  trial t = {.kind = "good", .between = kill_template};
  try(&t);
  assert_true(t.clones > 0);
  assert_int_equal(t.ready, ACTORS);
}

static void stop_template(stage *s) {
  siginfo_t info;
  copse__template *template = &s->rt->process->template;
  if (!template->proc.pid) return;
  copse__proc_kill(&template->proc, SIGSTOP);
  assert_int_equal(waitid(P_PID, (id_t) template->proc.pid, &info, WSTOPPED | WNOWAIT), 0);
}

static void a_template_that_was_stopped_keeps_nobody_waiting(void **state) {
  (void)state;
  trial t = {.kind = "good", .between = stop_template};
  try(&t);
  assert_int_equal(t.failures,
                   1); /* the third actor is executed, the fourth has another template */
  assert_int_equal(t.clones, 2);
}

/* A clone bears its template's mark for a moment after its report; these do for ever. */
static void a_clone_that_has_reported_outlives_its_template_however_early_that_fails(void **state) {
  (void)state;
  trial t = {.kind = "early", .between = stop_template};
  try(&t);
  assert_int_equal(t.failures, 1);
  assert_int_equal(t.clones, 2);
}

static void change_umask(stage *s) {
  (void)s;
  umask(umask(0) ^ S_IWGRP);
}

static void
what_children_inherit_comes_from_now_and_not_from_when_the_template_began(void **state) {
  (void)state;
  trial t = {.kind = "good", .between = change_umask};
  mode_t before = umask(0);
  umask(before);
  try(&t);
  umask(before);
  assert_true(t.other_template);
  assert_int_equal(t.clones, ACTORS - 1);
  assert_int_equal(t.failures, 0);
}

/* --- others ----------------------------------------------------------------------------------- */

static void fails(const char *kind, unsigned failures) {
  trial t = {.kind = kind};
  try(&t);
  assert_int_equal(t.clones, 0);
  assert_int_equal(t.failures, failures);
}

static void one_that_exits_at_once_is_tried_no_more_than_three_times(void **state) {
  (void)state;
  fails("dead", 3);
}

static void one_of_another_version_is_not_used(void **state) {
  (void)state;
  fails("stranger", 3);
}

static void one_that_dies_of_a_request_costs_nobody_an_actor(void **state) {
  (void)state;
  fails("dying", 3);
}

static void one_that_stops_at_a_request_is_killed(void **state) {
  (void)state;
  fails("stopped", 3);
}

static void one_that_cannot_clone_says_so_and_the_command_is_executed(void **state) {
  (void)state;
  fails("refusing", 0);
}

static void a_clone_that_has_not_reported_when_its_template_is_stopped_is_killed_too(void **state) {
  (void)state;
  fails("mute", 3);
}

static void a_clone_that_has_not_reported_when_its_template_is_dead_is_killed_too(void **state) {
  (void)state;
  fails("orphaning", 3);
}

static void a_clone_that_was_dead_before_it_reported_is_reaped_too(void **state) {
  (void)state;
  fails("stillborn", 3);
}

/* Asks a template for a clone that would run the actor-tool in mode silent. */
static void ask_for_silence(int control) {
  static const char words[] = "actor-tool\0silent";
  char message[sizeof(copse__template_request) + sizeof words];
  const copse__template_request request = {.argc = 2, .parent = getpid()};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(COPSE__TEMPLATE_STDOUT * sizeof(int))];
  } rights;
  int fds[COPSE__TEMPLATE_STDOUT] = {open("/", O_PATH | O_CLOEXEC), control, STDERR_FILENO};
  struct iovec part = {message, sizeof message};
  struct msghdr msg = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = rights.space,
                       .msg_controllen = sizeof rights.space};
  memset(&rights, 0, sizeof rights);
  rights.header.cmsg_level = SOL_SOCKET;
  rights.header.cmsg_type = SCM_RIGHTS;
  rights.header.cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(&rights.header), fds, sizeof fds);
  memcpy(message, &request, sizeof request);
  memcpy(message + sizeof request, words, sizeof words);
  assert_int_equal(sendmsg(control, &msg, MSG_NOSIGNAL), sizeof message);
  close(fds[0]);
}

/* Its parent has stopped waiting for it, and something else has been executed in its place. */
static void a_clone_that_cannot_report_ends(void **state) {
  (void)state;
  int own = (int)syscall(SYS_pidfd_open, getpid(), 0), ends[2], status;
  if (own < 0) skip();
  close(own);
  char mark[] = COPSE__MARK "=0123456789abcdef0123456789abcdef";
  char *environment[] = {mark, NULL};
  const char *argv[] = {stage_tool(), "template", "good", NULL};
  copse__template_hello hello;
  copse__spawned template;
  copse__spawn_error error;
  alarm(60);
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  copse__spawn_args args = {.argv = argv,
                            .envp = environment,
                            .fds = {COPSE__FD_NULL, COPSE__FD_NULL, COPSE__FD_NULL, ends[1]}};
  assert_int_equal(copse__spawn(&args, &template, &error), COPSE_OK);
  close(ends[1]);
  assert_int_equal(recv(ends[0], &hello, sizeof hello, 0), sizeof hello);
  assert_int_equal(shutdown(ends[0], SHUT_RD), 0);
  ask_for_silence(ends[0]);
  assert_true(waitpid(-1, &status, 0) != template.pid); /* a clone is a child of ours */
  assert_true(WIFEXITED(status));
  close(ends[0]); /* the template goes, too */
  assert_int_equal(waitpid(template.pid, &status, 0), template.pid);
  close(template.pidfd);
  alarm(0);
}

static void one_that_never_answers_is_given_up(void **state) {
  (void)state;
  fails("silent", 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_actor_but_the_first_is_cloned_from_one_template),
      cmocka_unit_test(a_template_that_was_killed_is_replaced_and_its_clones_live_on),
      cmocka_unit_test(a_template_that_was_stopped_keeps_nobody_waiting),
      cmocka_unit_test(a_clone_that_has_reported_outlives_its_template_however_early_that_fails),
      cmocka_unit_test(what_children_inherit_comes_from_now_and_not_from_when_the_template_began),
      cmocka_unit_test(one_that_exits_at_once_is_tried_no_more_than_three_times),
      cmocka_unit_test(one_of_another_version_is_not_used),
      cmocka_unit_test(one_that_dies_of_a_request_costs_nobody_an_actor),
      cmocka_unit_test(one_that_stops_at_a_request_is_killed),
      cmocka_unit_test(one_that_cannot_clone_says_so_and_the_command_is_executed),
      cmocka_unit_test(a_clone_that_has_not_reported_when_its_template_is_stopped_is_killed_too),
      cmocka_unit_test(a_clone_that_has_not_reported_when_its_template_is_dead_is_killed_too),
      cmocka_unit_test(a_clone_that_was_dead_before_it_reported_is_reaped_too),
      cmocka_unit_test(a_clone_that_cannot_report_ends),
      cmocka_unit_test(one_that_never_answers_is_given_up),
  };
  return cmocka_run_group_tests(tests, stage_group_begin, stage_group_end);
}
