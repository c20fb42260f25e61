/* SPDX-License-Identifier: MIT
 *
 * proc.c: watching, signalling and reaping a child.
 *
 * A pidfd is a handle of one process and no other, for as long as it is open: it becomes
 * readable in the loop when the process is dead, it is what we wait on, and signals sent through
 * it cannot hit a stranger that got the number later. So the death of a child costs one event
 * and two system calls, however many children there are; there is no SIGCHLD handler, and never
 * a waitpid(-1), which would steal the children of the program that we are a part of.
 *
 * Death is learned in two steps on purpose. First the status is looked at and the corpse left
 * where it is: as long as it lies there, its number, which is also the number of its process
 * group, cannot be given to anybody else, so its group can be killed safely. Then it is reaped.
 */
#include "runtime/proc.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static int wait_for(const copse__proc *proc, siginfo_t *info, int options) {
  int r;
  memset(info, 0, sizeof *info);
  do r = waitid(COPSE__P_PIDFD, (id_t)proc->pidfd, info, options);
  while (r != 0 && errno == EINTR);
  return r;
}

static void on_readable(copse__poll *poll, int events) {
  copse__proc *proc = copse__of(poll, copse__proc, poll);
  (void)events;
  siginfo_t info;
  int r = wait_for(proc, &info, WEXITED | WNOHANG | WNOWAIT);
  if (r == 0 && info.si_pid == 0) return; /* not dead */
  copse__poll_stop(poll);
  proc->exited = true;
  if (r != 0) { /* somebody has waited for any child, ours included */
    proc->reaped = true;
    proc->exit_code = -1;
  } else if (info.si_code == CLD_EXITED) {
    proc->exit_code = info.si_status;
  } else {
    proc->exit_signal = info.si_status;
  }
  proc->on_exit(proc);
}

copse_status copse__proc_watch(copse *rt, copse__proc *proc, const copse__spawned *child,
                               void (*on_exit)(copse__proc *proc)) {
  memset(proc, 0, sizeof *proc);
  proc->pid = child->pid;
  proc->pidfd = child->pidfd;
  proc->on_exit = on_exit;
  copse_status status = copse__poll_start(rt, &proc->poll, proc->pidfd, UV_READABLE, on_readable);
  if (status != COPSE_OK) { /* the caller ends it; here, nobody waits for it */
    close(proc->pidfd);
    memset(proc, 0, sizeof *proc);
  }
  return status;
}

void copse__proc_kill(const copse__proc *proc, int signal) {
  if (proc->reaped) return;
  if (syscall(SYS_pidfd_send_signal, proc->pidfd, signal, NULL, 0u) == 0) return;
  /* Not there (old kernels, valgrind): the number is still its own, because it is not reaped. */
  if (errno == ENOSYS) kill(proc->pid, signal);
}

void copse__proc_kill_group(const copse__proc *proc, int signal) {
  if (!proc->reaped) kill(-proc->pid, signal);
}

bool copse__proc_is_stopped(const copse__proc *proc) {
  siginfo_t info;
  return !proc->reaped && wait_for(proc, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == proc->pid && info.si_code == CLD_STOPPED;
}

void copse__proc_reap(copse__proc *proc) {
  siginfo_t info;
  if (!proc->reaped) wait_for(proc, &info, WEXITED | WNOHANG);
  proc->reaped = true;
}

void copse__proc_close(copse__proc *proc) {
  if (!proc->pid) return;
  copse__poll_stop(&proc->poll);
  close(proc->pidfd);
  proc->pid = 0;
}
