/* SPDX-License-Identifier: MIT
 *
 * proc.h: a process that this one started and has not reaped yet.
 */
#ifndef COPSE_RUNTIME_PROC_H
#define COPSE_RUNTIME_PROC_H

#include "runtime/internal.h"
#include "runtime/spawn.h"

typedef struct copse__proc {
  copse__poll poll;
  pid_t pid;
  int pidfd;
  bool exited;     /* it is dead, and what follows is known */
  bool reaped;     /* its number may belong to somebody else now */
  int exit_code;   /* its exit status, if it was not a signal; -1: somebody else took it */
  int exit_signal; /* the signal that ended it; 0: none */
  void (*on_exit)(struct copse__proc *proc);
} copse__proc;

/* Watches a process: `on_exit` runs once, in the turn, when it is dead. It is not reaped then:
 * until copse__proc_reap its process group can still be signalled without a doubt who is meant.
 * Owns the pidfd from here, also on failure (when the process is as it was, and nobody watches
 * it). COPSE_ENOMEM, COPSE_ESYSTEM. */
copse_status copse__proc_watch(copse *rt, copse__proc *proc, const copse__spawned *child,
                               void (*on_exit)(copse__proc *proc));

/* Sends a signal to the process / to its group. Nothing happens once it is reaped. */
void copse__proc_kill(const copse__proc *proc, int signal);
void copse__proc_kill_group(const copse__proc *proc, int signal);

/* Whether it is stopped (SIGSTOP, a debugger's shell), as opposed to merely busy. */
bool copse__proc_is_stopped(const copse__proc *proc);

/* Reaps a process that has exited. */
void copse__proc_reap(copse__proc *proc);

/* Gives everything back; the memory is the caller's right after. A process that was not reaped
 * stays so. Harmless on zeroed memory. */
void copse__proc_close(copse__proc *proc);

#endif
