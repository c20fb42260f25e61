/* SPDX-License-Identifier: MIT
 *
 * watchdog.h: the thread that sees to it that an actor does not outlive its parent.
 */
#ifndef COPSE_RUNTIME_WATCHDOG_H
#define COPSE_RUNTIME_WATCHDOG_H

#include <copse/wire.h>
#include <stdatomic.h>
#include <sys/types.h>

typedef struct copse__watchdog copse__watchdog;

typedef struct copse__watchdog_config {
  int fds
      [2]; /* the link to the parent: one descriptor, or that to read and that to write; -1: none */
  uint32_t grace_ms; /* from the loss of the link to the end of this process */
  pid_t group;       /* a process group that is known to be this actor's own; 0: none */
  atomic_int *turns; /* counts the turns of the loop: its sign of life */
  /* The link is lost. Called on the watchdog's thread. */
  void (*lost)(void *arg);
  void *arg;
} copse__watchdog_config;

/* Starts the thread. COPSE_ENOMEM, COPSE_ESYSTEM. */
copse_status copse__watchdog_start(copse__watchdog **dog, const copse__watchdog_config *config);
/* Stops it and frees it; accepts NULL. To be called before the descriptors are closed. If the
 * link was lost, what is left of the grace still runs: the process is killed at its end. */
void copse__watchdog_stop(copse__watchdog *dog);

/* The parent has said another grace than the one it was started with. */
void copse__watchdog_set_grace(copse__watchdog *dog, uint32_t grace_ms);
/* A child's link, which is shut down when ours is lost and the loop does not turn. Forget it
 * before it is closed. */
copse_status copse__watchdog_add_link(copse__watchdog *dog, int fd);
void copse__watchdog_forget_link(copse__watchdog *dog, int fd);

/* Has the C library do all that a process does for its first thread only, which is then there in
 * the clones of this process. */
void copse__watchdog_rehearse(void);

#endif
