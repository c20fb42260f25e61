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

#include <poll.h>
#include <stddef.h>

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

/* poll tells which of many numbers are no descriptors, so that none has to be taken to know. */
bool copse__files_left(void) {
  struct pollfd fds[64];
  const rlim_t at_once = sizeof fds / sizeof *fds;
  struct rlimit limit;
  size_t left = 0;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  for (rlim_t first = 0; first < limit.rlim_cur && left < COPSE__FILES_OF_LOOP; first += at_once) {
    const rlim_t rest = limit.rlim_cur - first, count = rest < at_once ? rest : at_once;
    for (rlim_t i = 0; i < count; i++) fds[i] = (struct pollfd){.fd = (int)(first + i)};
    if (poll(fds, (nfds_t)count, 0) <= 0) continue; /* all are descriptors, and quiet */
    for (rlim_t i = 0; i < count; i++) left += (fds[i].revents & POLLNVAL) != 0;
  }
  return left >= COPSE__FILES_OF_LOOP;
}

const struct rlimit *copse__files_of_children(void) { return raised ? &found : NULL; }
