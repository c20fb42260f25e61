/* SPDX-License-Identifier: MIT
 *
 * files.c: how many descriptors this process may have.
 *
 * A parent needs three for each child: its link, its standard error output, the handle of its
 * process. The soft limit of 1024 that most systems start programs with therefore ends at some
 * three hundred children. It is that low only for the sake of programs that use select(2), which
 * knows no greater numbers; the hard limit is what the system really allows. So the command raises
 * the one to the other, and gives back to each program that it spawns what it has found itself,
 * since that program may well use select. The bound spares those that close every descriptor they
 * could have, one by one.
 */
#include "runtime/files.h"

#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct rlimit found;
static bool raised;

void copse__files_raise(void) {
  struct rlimit more;
  if (raised || getrlimit(RLIMIT_NOFILE, &found) != 0) return;
  more = found;
  more.rlim_cur = found.rlim_max < COPSE__FILES_MAX ? found.rlim_max : COPSE__FILES_MAX;
  if (more.rlim_cur <= found.rlim_cur) return;
  raised = setrlimit(RLIMIT_NOFILE, &more) == 0;
}

bool copse__files_left(void) {
  int fds[COPSE__FILES_OF_LOOP];
  size_t got = 0;
  fds[0] = eventfd(0, EFD_CLOEXEC);
  if (fds[0] >= 0) got = 1;
  while (got && got < COPSE__FILES_OF_LOOP && (fds[got] = dup(fds[0])) >= 0) got++;
  bool enough = got == COPSE__FILES_OF_LOOP;
  while (got) close(fds[--got]);
  return enough;
}

const struct rlimit *copse__files_of_children(void) { return raised ? &found : NULL; }
