/* SPDX-License-Identifier: MIT
 *
 * spawn.h: starting a process, knowing at once why it did not start.
 */
#ifndef COPSE_RUNTIME_SPAWN_H
#define COPSE_RUNTIME_SPAWN_H

#include <copse/wire.h>
#include <sys/types.h>
#include <sys/wait.h>

#define COPSE__P_PIDFD ((idtype_t)3) /* P_PIDFD, which older C libraries do not name */

/* What a descriptor of the child becomes, where it is not one of ours. */
#define COPSE__FD_INHERIT (-1) /* the one this process has under that number */
#define COPSE__FD_NULL (-2)    /* /dev/null */
#define COPSE__FD_CLOSED (-3)  /* closed; like every descriptor beyond these */

#define COPSE__SPAWN_FDS 4 /* descriptors 0 to 3 */

/* The steps on the way to a running program, in their order. X(name, what is said of a failure) */
#define COPSE__SPAWN_STEPS(X)                                                                      \
  X(LOOKUP, "cannot be found")                                                                     \
  X(CLONE, "cannot be started: no new process")                                                    \
  X(PARENT, "cannot be started: its parent has died")                                              \
  X(GROUP, "cannot be started: no process group")                                                  \
  X(DESCRIPTORS, "cannot be started: its descriptors cannot be set up")                            \
  X(DIRECTORY, "cannot be started: its directory cannot be entered")                               \
  X(EXEC, "cannot be executed")

typedef enum copse__spawn_step {
#define X(name, text) COPSE__SPAWN_##name,
  COPSE__SPAWN_STEPS(X)
#undef X
} copse__spawn_step;

typedef struct copse__spawn_args {
  const char *const *argv; /* argv[0] is looked up in the PATH of `envp`, unless it has a slash */
  char *const *envp;       /* the whole environment, NULL-terminated */
  const char *cwd;         /* NULL: ours */
  int fds[COPSE__SPAWN_FDS];
  /* A place inside a string of `envp` where the child writes its process group as
   * `pid_width` decimal digits, which only it can know in time. NULL: none. */
  char *pid_at;
  size_t pid_width;
} copse__spawn_args;

typedef struct copse__spawned {
  pid_t pid;
  int pidfd; /* close-on-exec; the caller's */
} copse__spawned;

typedef struct copse__spawn_error {
  copse__spawn_step step;
  int error; /* errno */
} copse__spawn_error;

/* Starts a process that leads a group of its own, is killed when the calling thread ends (so call
 * it from the loop thread only), ignores SIGINT and SIGQUIT, has every other signal at its default,
 * an empty signal mask and no descriptor beyond `fds`. Blocks until the program runs or the attempt
 * has failed, which takes a fraction of a millisecond, whatever the size of this process.
 * COPSE_OK: *child is set, and must be reaped. COPSE_ESYSTEM: nothing was started (or it is reaped
 * already) and *error says at which step and why. COPSE_ENOMEM. */
copse_status copse__spawn(const copse__spawn_args *args, copse__spawned *child,
                          copse__spawn_error *error);

/* What is said of a command that failed at this step. */
const char *copse__spawn_step_text(copse__spawn_step step);

#endif
