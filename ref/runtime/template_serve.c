/* SPDX-License-Identifier: MIT
 *
 * template_serve.c: a process from which actors are cloned.
 *
 * It sleeps until its parent asks (see template.c), clones itself, and goes back to sleep. The
 * clone becomes what an executed child would be: it has its parent's parent for a parent, is killed
 * with it, leads a group, has the descriptors, the environment and the directory that it is to have
 * and no other, shows its own command line, and then returns from copse_template_serve, so that
 * what called that goes on as if it had been started this moment.
 *
 * The clone is a fork by hand, because no function of the C library passes
 * CLONE_PARENT. A fork by hand is harmless in a process with one thread and no fork
 * handlers, if two things that the kernel and the C library know about a thread are
 * told anew: where its number is kept, and its list of robust mutexes.
 *
 * What clones of one template have in common and executed programs have not: the layout of their
 * memory, the canary of their stacks, and the seed of their interpreter's hashes.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define FIRST_FREE 4 /* descriptors from here up are none of a child's */

extern char **environ;

typedef struct server {
  char *argv_area; /* what the system shows as our command line */
  size_t argv_size;
  char *mark_area; /* and the value of COPSE__MARK in what it shows as our environment */
  int *tid_address;
  void *robust_list;
  size_t robust_size;
  char *request; /* being read */
  int fds[COPSE__TEMPLATE_FDS];
  size_t fd_count;
} server;

/* --- what can be known beforehand ------------------------------------------------------------- */

/* Fields 48 and 49 of /proc/self/stat, of which the second stands between parentheses and may hold
 * anything. */
static bool find_argv(server *s) {
  char text[2048];
  unsigned long start, end;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  const char *at = strrchr(text, ')');
  for (int field = 2; at && field < 48; field++) at = strchr(at + 1, ' ');
  if (!at || sscanf(at, " %lu %lu", &start, &end) != 2 || !start || end <= start) return false;
  s->argv_area = (char *)start;
  s->argv_size = end - start;
  return true;
}

static bool is_single_threaded(void) {
  struct stat st;
  return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

static copse_status prepare(server *s, char **why) {
  const char *missing = NULL;
  int type = 0;
  socklen_t size = sizeof type;
  char boot_id[40];
  unsigned long pid_namespace;
  int own = -1;
  memset(s, 0, sizeof *s);
  s->mark_area = getenv(COPSE__MARK);
  if (getsockopt(COPSE__TEMPLATE_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_SEQPACKET)
    missing = "no socket to its parent";
  else if (!s->mark_area || strlen(s->mark_area) != 32) missing = "no mark in its environment";
  else if (!is_single_threaded()) missing = "more than one thread";
  else if (!find_argv(s)) missing = "no command line";
  else if (prctl(PR_GET_TID_ADDRESS, &s->tid_address, 0, 0, 0) != 0 ||
           syscall(SYS_get_robust_list, 0, &s->robust_list, &s->robust_size) != 0 ||
           (own = (int)syscall(SYS_pidfd_open, getpid(), 0)) < 0)
    missing = "a system that is too old";
  if (own >= 0) close(own);
  if (missing) {
    if (why && asprintf(why, "cannot be a template: it has %s", missing) < 0) *why = NULL;
    return COPSE_ESYSTEM;
  }
  s->request = malloc(COPSE__TEMPLATE_REQUEST_MAX + 1);
  if (!s->request) return COPSE_ENOMEM;
  /* What is done once in a process is done here, for all. */
  copse__here(boot_id, &pid_namespace);
  copse__watchdog_rehearse();
  return chdir("/") == 0 ? COPSE_OK : COPSE_ESYSTEM; /* so that none is kept busy by us */
}

/* --- in the clone ----------------------------------------------------------------------------- */

/* The link takes the place of the socket to our former parent; what else there is is closed. */
static bool take_descriptors(const server *s) {
  static const int places[COPSE__TEMPLATE_FDS] = {[COPSE__TEMPLATE_CWD] = -1,
                                                  [COPSE__TEMPLATE_LINK] = COPSE__TEMPLATE_FD,
                                                  [COPSE__TEMPLATE_STDERR] = STDERR_FILENO,
                                                  [COPSE__TEMPLATE_STDOUT] = STDOUT_FILENO};
  if (fchdir(s->fds[COPSE__TEMPLATE_CWD]) != 0) return false;
  for (size_t i = COPSE__TEMPLATE_LINK; i < s->fd_count; i++)
    if (dup2(s->fds[i], places[i]) < 0) return false;
  if (syscall(SYS_close_range, (unsigned)FIRST_FREE, ~0u, 0u) == 0) return true;
  for (size_t i = 0; i < s->fd_count; i++) close(s->fds[i]);
  return true;
}

/* Shows the words as our command line, as far as there is room. */
static void show_argv(const server *s, const char *words, size_t size) {
  if (size > s->argv_size) size = s->argv_size;
  memcpy(s->argv_area, words, size);
  memset(s->argv_area + size, 0, s->argv_size - size);
}

/* The strings of the request become argv and environment: they stay where they are. */
static bool take_words(const server *s, const copse__template_request *r, int *argc, char ***argv) {
  char **words = malloc(((size_t)r->argc + r->envc + 2) * sizeof *words), **word = words;
  char *strings = s->request + sizeof *r, *at = strings;
  if (!words) return false;
  for (uint32_t i = 0; i < r->argc; i++, at += strlen(at) + 1) *word++ = at;
  *word++ = NULL;
  show_argv(s, strings, (size_t)(at - strings));
  *argc = (int)r->argc;
  *argv = words;
  environ = word;
  for (uint32_t i = 0; i < r->envc; i++, at += strlen(at) + 1) *word++ = at;
  *word = NULL;
  pid_t pid = getpid();
  for (uint32_t i = r->pid_width; r->pid_at && i > 0; i--, pid /= 10)
    strings[r->pid_at + i - 1] = (char)('0' + pid % 10);
  return true;
}

static bool report(pid_t pid, int error) {
  const copse__template_report word = {pid, error};
  ssize_t n;
  do n = send(COPSE__TEMPLATE_FD, &word, sizeof word, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof word;
}

/* Nobody is told of a failure after the report but by our exit: there is next to nothing that could
 * fail, and our parent sees us die before HELLO. */
static void become(const server *s, int *argc, char ***argv) {
  const copse__template_request *r = (const copse__template_request *)(void *)s->request;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != r->parent) _exit(127); /* it died before the line above */
  setpgid(0, 0);
  if (!report(getpid(), 0)) _exit(127); /* another was executed in our place */
  syscall(SYS_set_robust_list, s->robust_list, s->robust_size);
  if (!take_descriptors(s) || !take_words(s, r, argc, argv)) {
    fprintf(stderr, "copse: a clone cannot become an actor: %s\n", strerror(errno));
    _exit(127);
  }
  memcpy(s->mark_area, r->mark, strlen(r->mark));
}

/* --- in the template -------------------------------------------------------------------------- */

/* 0 in the clone. The kernel takes the address of the number as the fourth or the fifth argument,
 * depending on the processor; neither of the two means anything else here. */
static pid_t clone_for_parent(const server *s) {
  const unsigned long flags =
      CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | (unsigned long)SIGCHLD;
  return (pid_t)syscall(SYS_clone, flags, NULL, NULL, s->tid_address, s->tid_address);
}

/* Its length; 0 when there will be no more. */
static size_t read_request(server *s) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(COPSE__TEMPLATE_FDS * sizeof(int))];
  } rights;
  struct iovec part = {s->request, COPSE__TEMPLATE_REQUEST_MAX};
  struct msghdr msg = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = rights.space,
                       .msg_controllen = sizeof rights.space};
  ssize_t n;
  do n = recvmsg(COPSE__TEMPLATE_FD, &msg, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  s->fd_count = 0;
  if (n <= 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) return 0;
  struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
  if (header && header->cmsg_type == SCM_RIGHTS) {
    s->fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(s->fds, CMSG_DATA(header), s->fd_count * sizeof(int));
  }
  if ((size_t)n < sizeof(copse__template_request) || s->fd_count < COPSE__TEMPLATE_STDOUT) return 0;
  s->request[n] = 0;
  return (size_t)n;
}

copse_status copse_template_serve(int *argc, char ***argv, char **why) {
  server s;
  if (why) *why = NULL;
  copse_status status = prepare(&s, why);
  if (status != COPSE_OK) return status;
  copse__template_hello hello = {.request_size = sizeof(copse__template_request)};
  snprintf(hello.version, sizeof hello.version, "%s", COPSE_VERSION_STRING);
  if (send(COPSE__TEMPLATE_FD, &hello, sizeof hello, MSG_NOSIGNAL) < 0) _exit(0);
  while (read_request(&s)) {
    pid_t pid = clone_for_parent(&s);
    if (pid == 0) {
      become(&s, argc, argv);
      return COPSE_OK;
    }
    if (pid < 0) report(0, errno);
    for (size_t i = 0; i < s.fd_count; i++) close(s.fds[i]);
  }
  _exit(0); /* our parent has gone, or has no more use for us */
}
