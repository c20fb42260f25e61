/* SPDX-License-Identifier: MIT
 *
 * Watching a process, making it go, and hearing its last words: proc.c, ladder.c, tail.c.
 */
#include "runtime/ladder.h"
#include "runtime/proc.h"
#include "runtime/tail.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

typedef struct fixture {
  copse *rt;
  copse__proc proc;
  copse__ladder ladder;
  copse__tail tail;
  int waiting; /* ends to come before the loop stops */
} fixture;

static fixture f;

static void one_less(void) {
  if (--f.waiting == 0) copse__stop(f.rt);
}

static void on_dead(copse__proc *proc) {
  (void)proc;
  copse__ladder_stop(&f.ladder);
  one_less();
}

static void on_tail(copse__tail *tail) {
  (void)tail;
  one_less();
}

static void send_signal(copse__ladder *ladder, int signal) {
  (void)ladder;
  copse__proc_kill(&f.proc, signal);
}

static int setup(void **state) {
  (void)state;
  copse_config config = {.size = sizeof config, .ignore_env = true};
  memset(&f, 0, sizeof f);
  alarm(60);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (copse__core_new(&f.rt, &config, NULL, NULL) != COPSE_OK) return -1;
  copse__ladder_init(f.rt, &f.ladder, 20, send_signal);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  copse__ladder_stop(&f.ladder);
  copse__proc_close(&f.proc);
  copse__tail_close(&f.tail);
  copse__core_free(f.rt);
  return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1; /* nobody is left */
}

static void start(const char *script, bool with_tail) {
  const char *argv[] = {"sh", "-c", script, NULL};
  copse__spawn_args args = {
      .argv = argv,
      .envp = environ,
      .fds = {COPSE__FD_NULL, COPSE__FD_INHERIT, COPSE__FD_INHERIT, COPSE__FD_CLOSED}};
  copse__spawned child;
  copse__spawn_error error;
  int end = -1;
  if (with_tail) {
    assert_int_equal(copse__tail_open(f.rt, &f.tail, false, &end), COPSE_OK);
    args.fds[2] = end;
  }
  assert_int_equal(copse__spawn(&args, &child, &error), COPSE_OK);
  if (end >= 0) close(end);
  assert_int_equal(copse__proc_watch(f.rt, &f.proc, &child, on_dead), COPSE_OK);
}

/* The same, and comes back when the script has written a line. */
static void start_up(const char *script) {
  int ends[2], own = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  char byte;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[1]);
  start(script, false);
  dup2(own, STDOUT_FILENO);
  close(own);
  assert_int_equal(read(ends[0], &byte, 1), 1);
  close(ends[0]);
}

static void run(int ends) {
  f.waiting = ends;
  copse__loop_run(f.rt);
}

static void an_exit_status_is_learned_before_the_process_is_reaped(void **state) {
  (void)state;
  siginfo_t info;
  start("exit 5", false);
  run(1);
  assert_true(f.proc.exited);
  assert_false(f.proc.reaped);
  assert_int_equal(f.proc.exit_code, 5);
  assert_int_equal(f.proc.exit_signal, 0);
  assert_int_equal(waitid(P_PID, (id_t)f.proc.pid, &info, WEXITED | WNOWAIT), 0); /* still there */
  copse__proc_reap(&f.proc);
  assert_true(f.proc.reaped);
}

static void the_signal_that_ended_a_process_is_learned(void **state) {
  (void)state;
  start("kill -TERM $$; exit 0", false);
  run(1);
  assert_int_equal(f.proc.exit_signal, SIGTERM);
  copse__proc_reap(&f.proc);
}

static void a_status_that_somebody_else_took_is_known_to_be_unknown(void **state) {
  (void)state;
  start("exit 5", false);
  assert_int_equal(waitpid(f.proc.pid, NULL, 0), f.proc.pid);
  run(1);
  assert_true(f.proc.reaped);
  assert_int_equal(f.proc.exit_code, -1);
}

static void a_stopped_process_is_told_from_a_busy_one(void **state) {
  (void)state;
  siginfo_t info;
  start("while :; do :; done", false);
  assert_false(copse__proc_is_stopped(&f.proc));
  copse__proc_kill(&f.proc, SIGSTOP);
  assert_int_equal(waitid(P_PID, (id_t)f.proc.pid, &info, WSTOPPED | WNOWAIT), 0);
  assert_true(copse__proc_is_stopped(&f.proc));
  assert_true(copse__proc_is_stopped(&f.proc)); /* to look changes nothing */
  copse__proc_kill(&f.proc, SIGKILL);
  run(1);
  assert_int_equal(f.proc.exit_signal, SIGKILL);
  copse__proc_reap(&f.proc);
}

static void a_ladder_ends_at_the_first_rung_that_helps(void **state) {
  (void)state;
  start("exec sleep 1000", false);
  copse__ladder_climb(&f.ladder, COPSE__RUNG_ASKED, 1);
  run(1);
  assert_int_equal(f.proc.exit_signal, SIGTERM);
  assert_true(copse__ladder_sent(&f.ladder, SIGTERM));
  assert_false(copse__ladder_sent(&f.ladder, SIGKILL));
  assert_string_equal(copse__ladder_signal_name(&f.ladder), "SIGTERM");
  copse__proc_reap(&f.proc);
}

static void a_ladder_goes_up_to_the_signal_that_nobody_can_refuse(void **state) {
  (void)state;
  start_up("trap '' TERM; echo up; while :; do :; done");
  copse__ladder_climb(&f.ladder, COPSE__RUNG_ASKED, 1);
  run(1);
  assert_int_equal(f.proc.exit_signal, SIGKILL);
  assert_string_equal(copse__ladder_signal_name(&f.ladder), "SIGKILL");
  copse__proc_reap(&f.proc);
}

static void asking_again_can_only_shorten_what_is_left(void **state) {
  (void)state;
  start("exec sleep 1000", false);
  copse__ladder_climb(&f.ladder, COPSE__RUNG_ASKED, 1000);
  uint64_t due = f.ladder.timer.due;
  copse__ladder_climb(&f.ladder, COPSE__RUNG_ASKED, 100000);
  assert_int_equal(f.ladder.timer.due, due);
  copse__ladder_climb(&f.ladder, COPSE__RUNG_ASKED, 10);
  assert_true(f.ladder.timer.due < due);
  copse__ladder_climb(&f.ladder, COPSE__RUNG_KILLED, 0);
  assert_false(f.ladder.timer.active);
  copse__ladder_climb(&f.ladder, COPSE__RUNG_TERMED, 0); /* never down */
  assert_int_equal(f.ladder.rung, COPSE__RUNG_KILLED);
  run(1);
  assert_int_equal(f.proc.exit_signal, SIGKILL);
  copse__proc_reap(&f.proc);
}

static copse_buf finish_tail(void) {
  copse_buf text;
  run(1);
  copse__proc_reap(&f.proc);
  copse__tail_finish(&f.tail, on_tail);
  run(1);
  copse_buf_init(&text, 1 << 20, NULL);
  copse__tail_text(&f.tail, &text);
  copse_buf_append(&text, "", 1);
  assert_int_equal(copse_buf_status(&text), COPSE_OK);
  return text;
}

static void last_words_are_kept(void **state) {
  (void)state;
  start("echo one >&2; echo two >&2; exit 1", true);
  copse_buf text = finish_tail();
  assert_string_equal(text.data, "one\ntwo\n");
  copse_buf_deinit(&text);
}

static void of_many_words_the_last_are_kept_from_the_start_of_a_line(void **state) {
  (void)state;
  start("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done >&2", true);
  copse_buf text = finish_tail();
  assert_true(text.size <= COPSE__TAIL_SIZE + 1);
  assert_true(text.size > COPSE__TAIL_SIZE - 100);
  assert_memory_equal(text.data, "line ", 5);
  assert_string_equal(text.data + text.size - 1 - 10, "line 2999\n");
  copse_buf_deinit(&text);
}

static void last_words_are_text_whatever_was_said(void **state) {
  (void)state;
  start("printf 'gr\\303\\274n \\377\\303 \\355\\240\\200 \\360\\237\\214\\263' >&2", true);
  copse_buf text = finish_tail();
  assert_string_equal(text.data, "gr\xc3\xbcn ?? ??? \xf0\x9f\x8c\xb3");
  copse_buf_deinit(&text);
}

static void a_stranger_who_holds_the_pipe_open_is_not_waited_for(void **state) {
  (void)state;
  start("echo last >&2; sleep 1000 & exit 0", true);
  copse_buf text = finish_tail(); /* comes back, while the sleeper holds it */
  assert_string_equal(text.data, "last\n");
  copse_buf_deinit(&text);
  /* It is in the group of the dead process, and comes to us, a subreaper. */
  assert_int_equal(kill(-f.proc.pid, SIGKILL), 0);
  assert_true(waitpid(-1, NULL, 0) > 0);
}

/* --- a terminal ------------------------------------------------------------------------------- */

typedef struct terminal {
  int own_stderr, master;
  copse__timer timer;
  copse_buf seen;
  size_t awaited; /* 0: nobody will ever read */
  bool has_stalled;
} terminal;

/* Our standard error output becomes one, which nobody reads. It shows what is written as it is. */
static void open_terminal(terminal *t) {
  struct termios mode;
  memset(t, 0, sizeof *t);
  copse_buf_init(&t->seen, 1 << 20, NULL);
  t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  assert_true(t->master >= 0);
  assert_int_equal(grantpt(t->master), 0);
  assert_int_equal(unlockpt(t->master), 0);
  int slave = open(ptsname(t->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  assert_true(slave >= 0);
  assert_int_equal(tcgetattr(slave, &mode), 0);
  cfmakeraw(&mode);
  assert_int_equal(tcsetattr(slave, TCSANOW, &mode), 0);
  assert_int_equal(fcntl(t->master, F_SETFL, O_NONBLOCK), 0);
  t->own_stderr = dup(STDERR_FILENO);
  dup2(slave, STDERR_FILENO);
  close(slave);
}

static void read_terminal(terminal *t) {
  char text[4096];
  ssize_t n;
  while ((n = read(t->master, text, sizeof text)) > 0) copse_buf_append(&t->seen, text, (size_t)n);
}

static void close_terminal(terminal *t) {
  copse__timer_stop(f.rt, &t->timer);
  dup2(t->own_stderr, STDERR_FILENO);
  close(t->own_stderr);
  close(t->master);
  copse_buf_deinit(&t->seen);
}

/* The tail waits for room: its timer says so. Only then somebody begins to read, until he has all
 * that he waits for. That this runs at all is what is tested. */
static void watch_terminal(copse__timer *timer) {
  terminal *t = copse__of(timer, terminal, timer);
  if (f.tail.timer.active && !f.proc.exited) t->has_stalled = true;
  if (t->has_stalled && t->awaited) read_terminal(t);
  if (t->has_stalled && t->seen.size >= t->awaited) copse__proc_kill(&f.proc, SIGKILL);
  copse__timer_start(f.rt, timer, copse_now(f.rt) + 1, watch_terminal);
}

static void a_terminal_that_nobody_reads_does_not_stop_the_loop(void **state) {
  (void)state;
  terminal t;
  open_terminal(&t);
  start("while :; do echo and so on; done >&2", true);
  f.tail.forward = true;
  copse__timer_start(f.rt, &t.timer, copse_now(f.rt), watch_terminal);
  copse_buf text = finish_tail();
  close_terminal(&t);
  assert_true(t.has_stalled);
  assert_int_equal(f.proc.exit_signal, SIGKILL);
  assert_memory_equal(text.data, "and so on\n", 10);
  copse_buf_deinit(&text);
}

static void a_terminal_that_is_read_late_gets_everything_in_order(void **state) {
  (void)state;
  terminal t;
  copse_buf all;
  char line[32];
  copse_buf_init(&all, 1 << 20, NULL);
  for (int i = 0; i < 3000; i++)
    copse_buf_append(&all, line, (size_t)snprintf(line, sizeof line, "line %d\n", i));
  open_terminal(&t);
  t.awaited = copse_buf_bytes(&all).size;
  start("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done >&2; exec sleep 1000", true);
  f.tail.forward = true;
  copse__timer_start(f.rt, &t.timer, copse_now(f.rt), watch_terminal);
  copse_buf text = finish_tail();
  assert_true(t.has_stalled);
  assert_int_equal(t.seen.size, all.size);
  assert_memory_equal(t.seen.data, all.data, all.size);
  close_terminal(&t);
  copse_buf_deinit(&all);
  copse_buf_deinit(&text);
}

static void what_a_child_says_is_passed_on_to_our_own_stderr(void **state) {
  (void)state;
  int ends[2], own = dup(STDERR_FILENO);
  char out[64];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  dup2(ends[1], STDERR_FILENO);
  start("echo hello >&2", true);
  f.tail.forward = true;
  copse_buf text = finish_tail();
  dup2(own, STDERR_FILENO);
  close(own);
  close(ends[1]);
  ssize_t n = read(ends[0], out, sizeof out);
  close(ends[0]);
  assert_int_equal(n, 6);
  assert_memory_equal(out, "hello\n", 6);
  copse_buf_deinit(&text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(an_exit_status_is_learned_before_the_process_is_reaped),
      TEST(the_signal_that_ended_a_process_is_learned),
      TEST(a_status_that_somebody_else_took_is_known_to_be_unknown),
      TEST(a_stopped_process_is_told_from_a_busy_one),
      TEST(a_ladder_ends_at_the_first_rung_that_helps),
      TEST(a_ladder_goes_up_to_the_signal_that_nobody_can_refuse),
      TEST(asking_again_can_only_shorten_what_is_left),
      TEST(last_words_are_kept),
      TEST(of_many_words_the_last_are_kept_from_the_start_of_a_line),
      TEST(last_words_are_text_whatever_was_said),
      TEST(a_stranger_who_holds_the_pipe_open_is_not_waited_for),
      TEST(a_terminal_that_nobody_reads_does_not_stop_the_loop),
      TEST(a_terminal_that_is_read_late_gets_everything_in_order),
      TEST(what_a_child_says_is_passed_on_to_our_own_stderr),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
