/* SPDX-License-Identifier: MIT
 *
 * heritage.h: what a process hands on to its children without a word.
 */
#ifndef COPSE_RUNTIME_HERITAGE_H
#define COPSE_RUNTIME_HERITAGE_H

#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Compared as a whole: zeroed before it is filled. */
typedef struct copse__heritage {
  struct rlimit limits[RLIM_NLIMITS];
  cpu_set_t cpus;
  uid_t users[3];
  gid_t groups[3];
  pid_t session;
  mode_t mask;
  int nice, scheduler, no_new_privileges;
  char cgroup[512];
} copse__heritage;

/* What children would inherit that are started now. */
void copse__heritage_read(copse__heritage *heritage);

#endif
