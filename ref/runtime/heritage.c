/* SPDX-License-Identifier: MIT
 *
 * heritage.c: what a process hands on to its children without a word.
 *
 * A child that is executed gets limits, priorities, processors, the umask and the control group as
 * its parent has them at that moment. One that is cloned from a template gets them as they were
 * when the template was started. So that nobody can tell the two apart, the parent looks whether
 * anything of it has changed since, and if so has another template.
 *
 * What needs no look: directory, environment and descriptors come with each request; signals are
 * set by the spawner. What is not looked at: namespaces, capabilities and policies of memory, which
 * no program changes in the middle of its life without knowing what it does.
 */
#include "runtime/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_cgroup(char *text, size_t size) {
  int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = read(fd, text, size - 1);
  text[n > 0 ? n : 0] = 0;
  close(fd);
}

void copse__heritage_read(copse__heritage *heritage) {
  memset(heritage, 0, sizeof *heritage);
  for (int i = 0; i < RLIM_NLIMITS; i++) getrlimit((__rlimit_resource_t)i, &heritage->limits[i]);
  sched_getaffinity(0, sizeof heritage->cpus, &heritage->cpus);
  getresuid(&heritage->users[0], &heritage->users[1], &heritage->users[2]);
  getresgid(&heritage->groups[0], &heritage->groups[1], &heritage->groups[2]);
  heritage->session = getsid(0);
  heritage->scheduler = sched_getscheduler(0);
  heritage->nice = getpriority(PRIO_PROCESS, 0);
  heritage->no_new_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  /* The only way to ask. What another thread creates in between is too private at worst. */
  heritage->mask = umask(S_IRWXG | S_IRWXO);
  umask(heritage->mask);
  read_cgroup(heritage->cgroup, sizeof heritage->cgroup);
}
