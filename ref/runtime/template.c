/* SPDX-License-Identifier: MIT
 *
 * template.c: a parent and its template.
 *
 * Executing a program again and again does the same work again and again: loading libraries,
 * building an interpreter. A template is a process that has done it once and waits. Asked for an
 * actor, it clones itself, and since it passes CLONE_PARENT, the clone is not its child but ours:
 * we watch, signal and reap it like any other, and the death of the template means nothing to it.
 * What makes it an actor of its own (link, descriptors, environment, directory, group) comes with
 * the request; the other side of this is template_serve.c.
 *
 * Whatever goes wrong, the answer is one: the template is killed, with anything it may have begun,
 * and the command is executed. For this to be right, no clone may be lost:
 *
 *   - The first act of a clone, before it is of any use, is to report its number, and one that
 *     cannot ends. So when we stop waiting for a report, we shut our end of the socket and then
 *     read what is in it: a clone is heard of now, or it will run nothing of a user's. One that we
 *     have heard of is a child like any other. Every other is an orphan, stopped and dead ones too:
 *     it bears in its environment a mark that is not ours, and the sweep that we begin once the
 *     template is dead, after which no clone can come into being, kills and reaps it (adopt.c).
 *   - The wait is bounded: it ends when the template is seen dead or stopped, or after a time in
 *     which even a busy machine should have answered. After a few failures we stop trying.
 *   - When we die, the template is killed by the system; its end of the socket, which nothing that
 *     we start inherits, sees it too.
 *
 * A process has one template at most, from its second child on: a single one shall not cost two.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define LOOK_MS 20       /* between two looks at a template that lets us wait */
#define PATIENCE_MS 2000 /* a template that is neither dead nor stopped */
#define FAILURES_MAX 3

extern char **environ;

static uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* --- its end ---------------------------------------------------------------------------------- */

void copse__template_kill(copse__template *template) {
  if (template->proc.pid) copse__proc_kill(&template->proc, SIGKILL);
}

void copse__template_end(copse__template *template) {
  siginfo_t info;
  if (!template->proc.pid) return;
  copse__template_kill(template);
  while (!template->proc.reaped && waitid(P_PID, (id_t) template->proc.pid, &info, WEXITED) != 0 &&
         errno == EINTR)
    continue;
  template->proc.reaped = true;
  copse__proc_close(&template->proc);
  close(template->control);
}

/* By itself, or by somebody else: the next request starts another. */
static void on_exit_seen(copse__proc *proc) {
  copse__template_end(copse__of(proc, copse__template, proc));
}

/* --- waiting for its word --------------------------------------------------------------------- */

/* It is dead or stopped, so that no word will come. */
static bool is_still(const copse__template *template) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  return waitid(P_PID, (id_t) template->proc.pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) !=
             0 ||
         info.si_pid != 0;
}

/* One message of exactly `size` bytes. */
static bool hear(const copse__template *template, void *message, size_t size) {
  uint64_t until = now_ms() + PATIENCE_MS;
  for (;;) {
    ssize_t n = recv(template->control, message, size, MSG_TRUNC);
    if (n >= 0) return (size_t)n == size;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || is_still(template) || now_ms() > until) return false;
  }
}

/* --- its beginning ---------------------------------------------------------------------------- */

/* Our environment, but for what makes a process a certain actor. A clone cannot change what the
 * system shows of its environment, except in place: so the variables by which adopt.c tells whose a
 * process is are there from the beginning. */
static char **make_environment(char *link, char *mark) {
  static const char *const ours[] = {
      "COPSE_LINK=", "COPSE_ACTOR=", "COPSE_TOKEN=", COPSE__MARK "="};
  size_t count = 0, room = 3;
  for (char **e = environ; e && *e; e++) room++;
  char **list = malloc(room * sizeof *list);
  if (!list) return NULL;
  for (char **e = environ; e && *e; e++) {
    bool is_ours = false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
      is_ours |= strncmp(*e, ours[i], strlen(ours[i])) == 0;
    if (!is_ours) list[count++] = *e;
  }
  list[count++] = link;
  list[count++] = mark;
  list[count] = NULL;
  return list;
}

static bool start(copse *rt, copse__template *template, const char *const *argv) {
  char link[] = "COPSE_LINK=fd:3", name[33], mark[sizeof COPSE__MARK + sizeof name];
  uint8_t id[16];
  int ends[2];
  copse__spawned spawned;
  copse__spawn_error error;
  copse__template_hello hello;
  const struct timeval look = {0, LOOK_MS * 1000};

  if (!copse__random(id, sizeof id)) return false;
  copse__hex(id, name);
  snprintf(mark, sizeof mark, COPSE__MARK "=%s", name);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
  copse__spawn_args args = {.argv = argv,
                            .envp = make_environment(link, mark),
                            .fds = {COPSE__FD_NULL, COPSE__FD_NULL, COPSE__FD_NULL, ends[1]}};
  copse_status status = args.envp ? copse__spawn(&args, &spawned, &error) : COPSE_ENOMEM;
  free((void *)(uintptr_t)args.envp);
  close(ends[1]);
  if (status == COPSE_OK) {
    siginfo_t info;
    status = copse__proc_watch(rt, &template->proc, &spawned, on_exit_seen);
    if (status != COPSE_OK) {
      kill(spawned.pid, SIGKILL);
      waitid(P_PID, (id_t)spawned.pid, &info, WEXITED);
    }
  }
  if (status != COPSE_OK) {
    close(ends[0]);
    return false;
  }
  template->control = ends[0];
  if (setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look) == 0 &&
      hear(template, &hello, sizeof hello) &&
      hello.request_size == sizeof(copse__template_request) &&
      strncmp(hello.version, COPSE_VERSION_STRING, sizeof hello.version) == 0)
    return true;
  copse__template_end(template);
  return false;
}

/* --- a request -------------------------------------------------------------------------------- */

static size_t size_of(const char *const *words, uint32_t *count) {
  size_t size = 0;
  for (*count = 0; words[*count]; ++*count) size += strlen(words[*count]) + 1;
  return size;
}

static char *add_words(char *at, const char *const *words) {
  for (; *words; words++) at = stpcpy(at, *words) + 1;
  return at;
}

/* The message, on the heap; NULL where there is no memory or it would be too long. */
static char *make_request(const copse__spawn_args *args, const char *mark, size_t *size) {
  const char *const *environment = (const char *const *)args->envp;
  copse__template_request request = {.parent = getpid(), .pid_width = (uint32_t)args->pid_width};
  snprintf(request.mark, sizeof request.mark, "%s", mark);
  size_t words = size_of(args->argv, &request.argc);
  *size = sizeof request + words + size_of(environment, &request.envc);
  if (*size > COPSE__TEMPLATE_REQUEST_MAX) return NULL;
  /* It is inside one of the strings of the environment: the same place in the copy. */
  for (const char *const *e = environment; args->pid_at && *e; e++) {
    if (args->pid_at >= *e && args->pid_at < *e + strlen(*e))
      request.pid_at = (uint32_t)(words + (size_t)(args->pid_at - *e));
    words += strlen(*e) + 1;
  }
  char *message = malloc(*size);
  if (!message) return NULL;
  memcpy(message, &request, sizeof request);
  add_words(add_words(message + sizeof request, args->argv), environment);
  return message;
}

static bool send_request(int control, char *message, size_t size, const int *fds, size_t count) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(COPSE__TEMPLATE_FDS * sizeof(int))];
  } rights;
  struct iovec part = {message, size};
  struct msghdr msg = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = rights.space,
                       .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  memset(&rights, 0, sizeof rights);
  rights.header.cmsg_level = SOL_SOCKET;
  rights.header.cmsg_type = SCM_RIGHTS;
  rights.header.cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(&rights.header), fds, count * sizeof(int));
  ssize_t n;
  do n = sendmsg(control, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)size;
}

/* The number of the clone; 0: there is none, and *broken says whether that is the template's
 * fault. */
static pid_t ask(const copse__template *template, const copse__spawn_args *args, const char *mark,
                 bool *broken) {
  copse__template_report report = {0, 0};
  int fds[COPSE__TEMPLATE_FDS];
  size_t count = COPSE__TEMPLATE_STDOUT, size;
  const char *cwd = args->cwd ? args->cwd : ".";
  *broken = false;
  char *message = make_request(args, mark, &size);
  if (!message) return 0;
  fds[COPSE__TEMPLATE_CWD] = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
  fds[COPSE__TEMPLATE_LINK] = args->fds[COPSE__TEMPLATE_FD];
  fds[COPSE__TEMPLATE_STDERR] = args->fds[STDERR_FILENO];
  if (args->fds[STDOUT_FILENO] == COPSE__FD_INHERIT && fcntl(STDOUT_FILENO, F_GETFD) >= 0)
    fds[count++] = STDOUT_FILENO;
  if (fds[COPSE__TEMPLATE_CWD] >= 0 && access(cwd, X_OK) == 0 &&
      send_request(template->control, message, size, fds, count) &&
      !hear(template, &report, sizeof report)) {
    *broken = true;
    shutdown(template->control, SHUT_RD);
    if (!hear(template, &report, sizeof report)) report.pid = 0;
  }
  free(message);
  if (fds[COPSE__TEMPLATE_CWD] >= 0) close(fds[COPSE__TEMPLATE_CWD]);
  return report.pid;
}

/* Makes sure that there is one as we are now. */
static bool have(copse *rt, copse__template *template, const char *const *argv) {
  copse__heritage heritage;
  copse__heritage_read(&heritage);
  if (template->proc.pid) {
    if (memcmp(&heritage, &template->heritage, sizeof heritage) == 0) return true;
    copse__template_end(template);
  }
  template->heritage = heritage;
  if (start(rt, template, argv)) return true;
  template->failures++;
  return false;
}

copse_status copse__template_spawn(copse *rt, copse__template *template,
                                   const char *const *template_argv, const copse__spawn_args *args,
                                   const char *mark, copse__spawned *child) {
  siginfo_t info;
  bool broken;
  if (template->failures >= FAILURES_MAX || template->asked++ == 0) return COPSE_EAGAIN;
  if (!have(rt, template, template_argv)) return COPSE_EAGAIN;
  child->pid = ask(template, args, mark, &broken);
  if (broken) {
    template->failures++;
    copse__template_end(template);
    copse__adopt_sweep(&rt->process->adopt, 0);
  }
  if (!child->pid) return COPSE_EAGAIN;
  child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
  if (child->pidfd >= 0) return COPSE_OK;
  /* It has no descriptor; where the system has none at all (valgrind), it never does. */
  if (errno == ENOSYS) template->failures = FAILURES_MAX;
  kill(child->pid, SIGKILL);
  while (waitid(P_PID, (id_t)child->pid, &info, WEXITED) != 0 && errno == EINTR) continue;
  return COPSE_EAGAIN;
}
