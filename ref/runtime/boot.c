/* SPDX-License-Identifier: MIT
 *
 * boot.c: the child's half of the spawn contract, up to its HELLO.
 *
 * A process that finds COPSE_LINK was spawned as an actor. What it finds is taken at face value
 * only where nothing depends on it: a process group that is announced is believed only if it was
 * announced on this system and in this pid namespace, since a launcher may have carried the
 * variables to another host, where the number means somebody else.
 *
 * Everything here is done before user code runs, so that user code, and whatever it executes,
 * sees neither the variables nor the link: a grandchild that inherited the link would keep it
 * open after our death, and our parent would never know.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ABOVE_STDIO 10

__attribute__((format(printf, 3, 4))) static copse_status fail(copse_status status, char **why,
                                                               const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (vasprintf(why, format, args) < 0) *why = NULL;
  va_end(args);
  return status;
}

/* The number at *text, which moves behind it, or the largest there is; -1: there is none. */
static long long read_number(const char **text) {
  long long number = -1;
  for (; **text >= '0' && **text <= '9'; ++*text) {
    int digit = **text - '0';
    if (number > (INT64_MAX - digit) / 10) number = INT64_MAX;
    else number = (number < 0 ? 0 : number * 10) + digit;
  }
  return number;
}

static bool is_of_id(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
}

/* Reads "PGID:BOOT-ID:PID-NAMESPACE" up to `end`; false if it is none. *group is
 * the group if all that is here, else 0. By hand, because scanf costs the start
 * of an actor more than all else here. */
static bool read_group(const char *text, const char *end, pid_t *group) {
  char boot_id[40];
  unsigned long pid_namespace;
  long long number = read_number(&text);
  if (number < 0 || *text++ != ':') return false;
  const char *announced = text;
  while (is_of_id(*text)) text++;
  size_t size = (size_t)(text - announced);
  if (!size || *text++ != ':') return false;
  long long announced_namespace = read_number(&text);
  if (announced_namespace < 0 || text != end) return false;
  bool here = number > 1 && number <= INT32_MAX && copse__here(boot_id, &pid_namespace) &&
              strlen(boot_id) == size && memcmp(boot_id, announced, size) == 0 &&
              pid_namespace == (unsigned long)announced_namespace;
  *group = here ? (pid_t)number : 0;
  return true;
}

static copse_status read_actor(copse__boot *boot, const char *text, char **why) {
  const char *blank = strchr(text, ' ');
  size_t name_size = blank ? strlen(blank + 1) : 0;
  bool plain = strlen(text) > 32 && (text[32] == ' ' || text[32] == '@');
  if (!plain || !blank || !copse__unhex(text, boot->id, sizeof boot->id))
    return fail(COPSE_EADDRESS, why, COPSE__ENV_ACTOR " is not an id and a name: \"%.100s\"", text);
  if (name_size < 1 || name_size > COPSE_NAME_MAX)
    return fail(COPSE_EADDRESS, why, COPSE__ENV_ACTOR ": the name must have 1 to %d bytes",
                COPSE_NAME_MAX);
  if (text[32] == '@' && !read_group(text + 33, blank, &boot->group))
    return fail(COPSE_EADDRESS, why, COPSE__ENV_ACTOR ": no process group: \"%.100s\"", text + 32);
  memcpy(boot->name, blank + 1, name_size + 1);
  return COPSE_OK;
}

copse_status copse__boot_read(copse__boot *boot, char **why) {
  const char *link = getenv(COPSE__ENV_LINK), *actor = getenv(COPSE__ENV_ACTOR);
  const char *token = getenv(COPSE__ENV_TOKEN);
  memset(boot, 0, sizeof *boot);
  boot->rfd = boot->wfd = -1;
  if (!link) return COPSE_OK;
  boot->is_child = true;
  if (strlen(link) > COPSE_ADDRESS_MAX)
    return fail(COPSE_EADDRESS, why, COPSE__ENV_LINK " is longer than %d bytes", COPSE_ADDRESS_MAX);
  strcpy(boot->link, link);
  if (!actor)
    return fail(COPSE_EADDRESS, why, COPSE__ENV_LINK " is set, but " COPSE__ENV_ACTOR " is not");
  if (token) {
    boot->token_size = strlen(token) / 2;
    if (strlen(token) % 2 || boot->token_size < 1 || boot->token_size > sizeof boot->token ||
        !copse__unhex(token, boot->token, boot->token_size))
      return fail(COPSE_EADDRESS, why, COPSE__ENV_TOKEN " is not 2 to %zu hexadecimal digits",
                  2 * sizeof boot->token);
  }
  return read_actor(boot, actor, why);
}

void copse__boot_hide(void) {
  unsetenv(COPSE__ENV_LINK);
  unsetenv(COPSE__ENV_ACTOR);
  unsetenv(COPSE__ENV_TOKEN);
}

/* Inherited descriptors stay where they are and are hidden from what we execute. */
static copse_status take_descriptors(copse__boot *boot, int rfd, int wfd, char **why) {
  if (fcntl(rfd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(wfd, F_SETFD, FD_CLOEXEC) != 0)
    return fail(COPSE_ESYSTEM, why, COPSE__ENV_LINK "=%s: there is no such descriptor", boot->link);
  boot->rfd = rfd;
  boot->wfd = wfd;
  return COPSE_OK;
}

/* Standard input becomes empty, standard output joins standard error output: neither a stray print
 * nor a read can get into the protocol. */
static copse_status move_stdio(copse__boot *boot, char **why) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  boot->rfd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, ABOVE_STDIO);
  boot->wfd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, ABOVE_STDIO);
  if (null < 0 || boot->rfd < 0 || boot->wfd < 0 || dup2(null, STDIN_FILENO) < 0 ||
      dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    copse_status status =
        fail(COPSE_ESYSTEM, why, COPSE__ENV_LINK "=%s: %s", boot->link, strerror(errno));
    if (null >= 0) close(null);
    copse__boot_close(boot);
    return status;
  }
  close(null);
  return COPSE_OK;
}

/* Waits for the connection: nothing else can be done before. */
static copse_status dial(copse__boot *boot, const copse__address *address, char **why) {
  int fd = socket(address->sock.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, &address->sock.any, address->sock_size) != 0) {
    copse_status status =
        fail(COPSE_ESYSTEM, why, COPSE__ENV_LINK "=%s: %s", boot->link, strerror(errno));
    if (fd >= 0) close(fd);
    return status;
  }
  boot->dialled = true;
  boot->rfd = boot->wfd = fd;
  return COPSE_OK;
}

copse_status copse__boot_link(copse__boot *boot, char **why) {
  copse__address address;
  const char *reason;
  copse_status status = copse__address_parse(boot->link, &address, &reason);
  if (status != COPSE_OK) return fail(status, why, COPSE__ENV_LINK "=%s: %s", boot->link, reason);
  switch (address.kind) {
  case COPSE__ADDRESS_FD: status = take_descriptors(boot, address.rfd, address.wfd, why); break;
  case COPSE__ADDRESS_STDIO: status = move_stdio(boot, why); break;
  case COPSE__ADDRESS_UNIX:
  case COPSE__ADDRESS_TCP: status = dial(boot, &address, why); break;
  }
  /* The spawner has us killed with our parent. We can do better: the watchdog ends us, after a
   * clean-up. But a stopped process has no watchdog; the signal that wakes it is this one. */
  if (status == COPSE_OK) prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0);
  return status;
}

void copse__boot_close(copse__boot *boot) {
  if (boot->rfd >= 0) close(boot->rfd);
  if (boot->wfd >= 0 && boot->wfd != boot->rfd) close(boot->wfd);
  boot->rfd = boot->wfd = -1;
}
