/* SPDX-License-Identifier: MIT
 *
 * spawn.c: starting a process.
 *
 * Why not uv_spawn, posix_spawn or fork? fork copies the page tables, so that a large actor
 * stalls its loop for tens of milliseconds per child; uv_spawn is a fork. posix_spawn is quick
 * but has no place for the two calls on which the promise "no orphans" rests: PR_SET_PDEATHSIG,
 * and the comparison of getppid() that closes the gap before it took effect. So this file is a
 * vfork with those two in it: clone with CLONE_VM (nothing is copied) and CLONE_VFORK (we sleep
 * until the child has executed its program or given up), on a stack of its own, and CLONE_PIDFD,
 * which gives us a handle of the child that can never mean another process.
 *
 * Between clone and execve the child runs in our memory while our other threads go on. It
 * therefore does nothing but system calls on what was prepared for it: no allocation, no lock,
 * no search of PATH (the parent did that), and no signal handler of ours may run in it (all
 * signals are blocked around the clone, and in the child reset before they are unblocked). It
 * tells us how it fared through a shared page, which also holds where a tool such as valgrind
 * turns CLONE_VM into a fork.
 */
#include "runtime/spawn.h"
#include "runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* execve never returns, so a sanitizer would never see these functions leave their frames, and
 * hold the stack, and whatever is mapped there next, for poisoned. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread")))

#define STACK_SIZE 65536u
#define SIGNAL_COUNT 64

/* Everything the child needs and all it tells; lives in the shared page. */
typedef struct spawn_job {
  const copse__spawn_args *args;
  const char *path;
  const struct rlimit *files; /* NULL: as here */
  pid_t parent;
  int lift;     /* descriptors from here up are out of the way of 0..COPSE__SPAWN_FDS-1 */
  int open_max; /* for systems without close_range */
  copse__spawn_step step;
  int error;
} spawn_job;

const char *copse__spawn_step_text(copse__spawn_step step) {
  static const char *const texts[] = {
#define X(name, text) text,
      COPSE__SPAWN_STEPS(X)
#undef X
  };
  return (size_t)step < sizeof texts / sizeof *texts ? texts[step] : "cannot be started";
}

/* --- the child, in our memory ----------------------------------------------------------------- */

IN_CHILD static void child_reset_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  /* Fails for SIGKILL, SIGSTOP and the C library's own two, all of which are right already. */
  for (int i = 1; i <= SIGNAL_COUNT; i++) sigaction(i, &action, NULL);
  /* Ctrl-C is for the root alone: it turns it into a cancellation, which reaches the child. */
  action.sa_handler = SIG_IGN;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGQUIT, &action, NULL);
}

/* First all sources out of the way, then each to its place: any permutation works. */
IN_CHILD static bool child_set_descriptors(spawn_job *job) {
  int lifted[COPSE__SPAWN_FDS];
  for (int i = 0; i < COPSE__SPAWN_FDS; i++) {
    int source = job->args->fds[i];
    lifted[i] = -1;
    if (source == COPSE__FD_CLOSED || source == COPSE__FD_INHERIT) continue;
    int opened = -1;
    if (source == COPSE__FD_NULL) {
      opened = open("/dev/null", O_RDWR | O_CLOEXEC);
      if (opened < 0) return false;
      source = opened;
    }
    lifted[i] = fcntl(source, F_DUPFD_CLOEXEC, job->lift);
    if (lifted[i] < 0) return false;
    if (opened >= 0) close(opened);
  }
  for (int i = 0; i < COPSE__SPAWN_FDS; i++) {
    if (job->args->fds[i] == COPSE__FD_CLOSED) close(i);
    else if (lifted[i] >= 0 && dup2(lifted[i], i) < 0) /* dup2 clears close-on-exec */ return false;
    else if (lifted[i] < 0)
      fcntl(i, F_SETFD, 0); /* inherited; that it is closed here is no error */
  }
  if (syscall(SYS_close_range, (unsigned)COPSE__SPAWN_FDS, ~0u, 0u) == 0) return true;
  for (int i = COPSE__SPAWN_FDS; i < job->open_max; i++) close(i);
  return true;
}

IN_CHILD static void child_write_pid(const copse__spawn_args *args, pid_t pid) {
  if (!args->pid_at) return;
  for (size_t i = args->pid_width; i > 0; i--, pid /= 10)
    args->pid_at[i - 1] = (char)('0' + pid % 10);
}

IN_CHILD static int child_main(void *arg) {
  spawn_job *job = arg;
  const copse__spawn_args *args = job->args;

  child_reset_signals();
  job->step = COPSE__SPAWN_PARENT;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) goto failed;
  /* The parent may have died before the line above; then the signal never comes. Not compared with
   * 1: the new parent may be any subreaper. */
  if (syscall(SYS_getppid) != job->parent) {
    errno = ESRCH;
    goto failed;
  }
  job->step = COPSE__SPAWN_GROUP;
  if (setpgid(0, 0) != 0) goto failed;
  child_write_pid(args, (pid_t)syscall(SYS_getpid));
  job->step = COPSE__SPAWN_DESCRIPTORS;
  if (!child_set_descriptors(job)) goto failed;
  job->step = COPSE__SPAWN_DIRECTORY;
  if (args->cwd && chdir(args->cwd) != 0) goto failed;

  job->step = COPSE__SPAWN_EXEC;
  if (job->files) setrlimit(RLIMIT_NOFILE, job->files); /* back to less: always allowed */
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(job->path, (char *const *)(uintptr_t)args->argv, args->envp);
failed:
  job->error = errno;
  /* Not _exit: sanitizers treat that as ours and look at a stack they do not know. */
  syscall(SYS_exit_group, 127);
  return 127;
}

/* --- the parent ------------------------------------------------------------------------------- */

static const char *path_variable(char *const *envp) {
  for (; *envp; envp++)
    if (strncmp(*envp, "PATH=", 5) == 0) return *envp + 5;
  return "/usr/local/bin:/bin:/usr/bin";
}

static bool is_program(const char *path, int *error) {
  struct stat st;
  if (stat(path, &st) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) *error = errno;
    return false;
  }
  if (S_ISREG(st.st_mode) && access(path, X_OK) == 0) return true;
  *error = EACCES;
  return false;
}

/* The path to execute, on the heap, or NULL and errno in *error. */
static char *find_program(const char *name, char *const *envp, int *error) {
  *error = ENOENT;
  if (!*name) return NULL;
  if (strchr(name, '/')) {
    char *copy = strdup(name); /* execve says what is wrong with it */
    if (!copy) *error = ENOMEM;
    return copy;
  }
  size_t name_size = strlen(name);
  const char *dir = path_variable(envp);
  for (;;) {
    size_t size = strcspn(dir, ":");
    char *path = malloc(size + name_size + 3);
    if (!path) {
      *error = ENOMEM;
      return NULL;
    }
    if (size == 0) sprintf(path, "./%s", name);
    else sprintf(path, "%.*s/%s", (int)size, dir, name);
    if (is_program(path, error)) return path;
    free(path);
    if (!dir[size]) return NULL;
    dir += size + 1;
  }
}

static int open_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1 << 20) return 1 << 20;
  return (int)limit.rlim_cur;
}

static copse_status fail(copse__spawn_error *error, copse__spawn_step step, int number) {
  error->step = step;
  error->error = number;
  return number == ENOMEM && step == COPSE__SPAWN_LOOKUP ? COPSE_ENOMEM : COPSE_ESYSTEM;
}

copse_status copse__spawn(const copse__spawn_args *args, copse__spawned *child,
                          copse__spawn_error *error) {
  int number;
  char *path = find_program(args->argv[0], args->envp, &number);
  if (!path) return fail(error, COPSE__SPAWN_LOOKUP, number);

  spawn_job *job =
      mmap(NULL, sizeof *job, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (job == MAP_FAILED || stack == MAP_FAILED) {
    if (job != MAP_FAILED) munmap(job, sizeof *job);
    if (stack != MAP_FAILED) munmap(stack, STACK_SIZE);
    free(path);
    return COPSE_ENOMEM;
  }
  *job = (spawn_job){.args = args,
                     .path = path,
                     .files = copse__files_of_children(),
                     .parent = getpid(),
                     .lift = COPSE__SPAWN_FDS,
                     .open_max = open_limit(),
                     .step = COPSE__SPAWN_CLONE};

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  int pidfd = -1;
  pid_t pid = clone(child_main, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                    job, &pidfd);
  number = pid < 0 ? errno : job->error;
  copse__spawn_step step = job->step;
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  munmap(stack, STACK_SIZE);
  munmap(job, sizeof *job);
  free(path);
  if (pid < 0) return fail(error, COPSE__SPAWN_CLONE, number);
  if (number) {
    siginfo_t info;
    while (waitid(COPSE__P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0 && errno == EINTR) continue;
    close(pidfd);
    return fail(error, step, number);
  }
  child->pid = pid;
  child->pidfd = pidfd;
  return COPSE_OK;
}
