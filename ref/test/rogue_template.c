/* SPDX-License-Identifier: MIT
 *
 * rogue_template.c: see rogue_template.h.
 */
#include "test/rogue_template.h"

#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is(const char *how, const char *what) { return strcmp(how, what) == 0; }

static void say(const void *message, size_t size) {
  if (send(COPSE__TEMPLATE_FD, message, size, MSG_NOSIGNAL) < 0) _exit(0);
}

/* It drops the descriptors that come with it, which the clones of a good one would keep. */
static void await_request(void) {
  static char message[COPSE__TEMPLATE_REQUEST_MAX];
  if (recv(COPSE__TEMPLATE_FD, message, sizeof message, 0) <= 0) _exit(0);
}

_Noreturn static void hang(void) {
  for (;;) pause();
}

static void clone_in_silence(void) {
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | (unsigned long)SIGCHLD, NULL, NULL, NULL, 0);
  if (pid == 0) hang();
}

/* Returns when it has let go of everything, and so is dead or as good as that. */
static void clone_that_dies(void) {
  int ends[2];
  char byte;
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  if (syscall(SYS_clone, CLONE_PARENT | (unsigned long)SIGCHLD, NULL, NULL, NULL, 0) == 0) _exit(0);
  close(ends[1]);
  if (read(ends[0], &byte, 1) != 0) abort();
}

_Noreturn void rogue_template(const char *how) {
  copse__template_hello hello = {.request_size = sizeof(copse__template_request)};
  if (is(how, "dead")) _exit(0);
  snprintf(hello.version, sizeof hello.version, "%s",
           is(how, "stranger") ? "0.0.0" : COPSE_VERSION_STRING);
  say(&hello, sizeof hello);
  await_request();
  if (is(how, "mute") || is(how, "orphaning")) clone_in_silence();
  if (is(how, "stillborn")) clone_that_dies();
  if (is(how, "dying") || is(how, "stillborn") || is(how, "orphaning")) _exit(0);
  if (is(how, "stopped") || is(how, "mute")) raise(SIGSTOP);
  while (is(how, "refusing")) {
    const copse__template_report none = {0, EAGAIN};
    say(&none, sizeof none);
    await_request();
  }
  hang();
}
