/* SPDX-License-Identifier: MIT
 *
 * launch.c: the parent's half of the spawn contract, up to the moment the program runs.
 *
 * A child learns three things from its environment: where its link is, who it is, and, where it
 * has to dial, the token that proves it. Everything else it is told over the link. What it
 * inherits besides is its standard input, which is empty, standard output, which is ours, and
 * standard error output, a pipe to us.
 *
 * The child's end of the link is the only descriptor of ours that it gets. A parent's end that
 * leaked into some other child would keep the link open when we die, and this child would never
 * learn of it; so every descriptor here is born close-on-exec, and the spawner closes what is
 * left.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define PID_WIDTH 10

/* --- the environment -------------------------------------------------------------------------- */

typedef struct environment {
  char **list;
  size_t count;
  char link[sizeof COPSE__ENV_LINK + 1 + COPSE_ADDRESS_MAX];
  char actor[sizeof COPSE__ENV_ACTOR + 160 + COPSE_NAME_MAX];
  char token[sizeof COPSE__ENV_TOKEN + 1 + 2 * COPSE__TOKEN_SIZE];
  char mark[sizeof COPSE__MARK + 34];
  char *pid_at; /* inside `actor`: where the process group's number belongs */
} environment;

/* Compares names, each of which ends with its '='. */
static bool same_variable(const char *a, const char *b) {
  while (*a == *b && *a && *a != '=') a++, b++;
  return *a == '=' && *b == '=';
}

static bool is_listed(const char *variable, const char *const *list) {
  for (; list && *list; list++)
    if (same_variable(variable, *list)) return true;
  return false;
}

/* Neither changes while a process lives, so the kernel is asked once. */
bool copse__here(char boot_id[40], unsigned long *pid_namespace) {
  enum { UUID = 36 };
  static char known_boot_id[40];
  static unsigned long known_namespace;
  if (!known_namespace) {
    struct stat st;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    bool ok =
        fd >= 0 && read(fd, known_boot_id, UUID) == UUID && stat("/proc/self/ns/pid", &st) == 0;
    if (fd >= 0) close(fd);
    if (!ok) return false;
    known_namespace = (unsigned long)st.st_ino;
  }
  strcpy(boot_id, known_boot_id);
  *pid_namespace = known_namespace;
  return true;
}

static void write_actor(environment *env, const copse_ref *ref) {
  char id[33], boot_id[40];
  unsigned long pid_namespace;
  copse__hex(ref->id, id);
  if (copse__here(boot_id, &pid_namespace)) {
    int n = snprintf(env->actor, sizeof env->actor, COPSE__ENV_ACTOR "=%s@", id);
    env->pid_at = env->actor + n;
    snprintf(env->pid_at, sizeof env->actor - (size_t)n, "%0*d:%s:%lu %s", PID_WIDTH, 0, boot_id,
             pid_namespace, ref->name);
  } else {
    env->pid_at = NULL;
    snprintf(env->actor, sizeof env->actor, COPSE__ENV_ACTOR "=%s %s", id, ref->name);
  }
}

/* Ours, changed by what the caller wants, and what the contract adds, which nobody can change. */
static copse_status make_environment(environment *env, const copse_child *child,
                                     const char *const *wanted, const char *address) {
  const char *own[5];
  size_t own_count = 0, room = 8;
  char hex[33];

  snprintf(env->link, sizeof env->link, COPSE__ENV_LINK "=%s", address);
  write_actor(env, &child->peer->ref);
  copse__hex(child->peer->ref.id, hex);
  snprintf(env->mark, sizeof env->mark, COPSE__MARK "=%s", hex);
  own[own_count++] = env->link;
  own[own_count++] = env->actor;
  own[own_count++] = env->mark;
  if (child->dials) {
    copse__hex(child->token, hex);
    snprintf(env->token, sizeof env->token, COPSE__ENV_TOKEN "=%s", hex);
    own[own_count++] = env->token;
  }
  own[own_count] = NULL;

  for (char **e = environ; e && *e; e++) room++;
  for (const char *const *e = wanted; e && *e; e++) room++;
  env->list = malloc(room * sizeof *env->list);
  if (!env->list) return COPSE_ENOMEM;
  env->count = 0;
  for (char **e = environ; e && *e; e++)
    if (!is_listed(*e, wanted) && !is_listed(*e, own) && !same_variable(COPSE__ENV_TOKEN "=", *e))
      env->list[env->count++] = *e;
  for (const char *const *e = wanted; e && *e; e++)
    if (!is_listed(*e, own)) env->list[env->count++] = (char *)(uintptr_t)*e;
  for (const char *const *e = own; *e; e++) env->list[env->count++] = (char *)(uintptr_t)*e;
  env->list[env->count] = NULL;
  return COPSE_OK;
}

/* --- the link --------------------------------------------------------------------------------- */

typedef enum link_kind { LINK_FD, LINK_STDIO, LINK_UNIX, LINK_UNKNOWN } link_kind;

static link_kind kind_of(const char *text) {
  static const char *const names[] = {
      [LINK_FD] = "fd", [LINK_STDIO] = "stdio", [LINK_UNIX] = "unix"};
  if (!text) return LINK_FD;
  for (int i = 0; i < LINK_UNKNOWN; i++)
    if (strcmp(text, names[i]) == 0) return (link_kind)i;
  return LINK_UNKNOWN;
}

static copse_status failed(copse_child *child, const char *what) {
  child->error =
      copse__error_at(COPSE_CODE_SPAWN_FAILED, &child->peer->ref, (copse_bytes){NULL, 0},
                      "%s \"%s\" %s: %s", "the command", child->command, what, strerror(errno));
  return errno == ENOMEM ? COPSE_ENOMEM : COPSE_ESYSTEM;
}

/* The address where a child can dial us, NULL if we listen nowhere. */
static const char *own_unix_address(const copse *rt) {
  for (size_t i = 0; i < rt->self.address_count; i++)
    if (strncmp(rt->self.addresses[i], "unix:", 5) == 0) return rt->self.addresses[i];
  return NULL;
}

static copse_status make_link(copse_child *child, int fd, const copse__link_hooks *hooks) {
  copse__link_options options = {.rfd = fd,
                                 .wfd = fd,
                                 .owned = true,
                                 .from = COPSE_FROM_CHILD,
                                 .hello_ms =
                                     -1, /* the boot deadline is tighter or wider, as configured */
                                 .peer = child->peer,
                                 .hooks = hooks,
                                 .owner = child};
  copse__link *link;
  copse_status status = copse__link_new(child->rt, &options, &link);
  if (status == COPSE_OK) child->link = copse__link_ref(link);
  return status;
}

/* --- the two together ------------------------------------------------------------------------- */

static copse_status spawn(copse_child *child, const copse_spawn_options *options, link_kind kind,
                          const environment *env, const int fds[COPSE__SPAWN_FDS],
                          copse__spawned *spawned) {
  copse__spawn_args args = {.argv = options->argv,
                            .envp = env->list,
                            .cwd = options->cwd,
                            .fds = {fds[0], fds[1], fds[2], fds[3]},
                            .pid_at = env->pid_at,
                            .pid_width = PID_WIDTH};
  copse__spawn_error error;
  copse_status status = COPSE_EAGAIN;
  if (options->template_argv && kind == LINK_FD)
    status = copse__template_spawn(child->rt, &child->rt->process->template, options->template_argv,
                                   &args, env->mark + sizeof COPSE__MARK, spawned);
  if (status == COPSE_EAGAIN) status = copse__spawn(&args, spawned, &error);
  if (status == COPSE_ESYSTEM) {
    errno = error.error;
    return failed(child, copse__spawn_step_text(error.step));
  }
  return status;
}

copse_status copse__child_launch(copse_child *child, const copse_spawn_options *options,
                                 const copse__link_hooks *hooks,
                                 void (*on_exit)(copse__proc *proc)) {
  copse *rt = child->rt;
  link_kind kind = kind_of(options->link);
  int ends[2] = {-1, -1}, errors = -1;
  const char *address = NULL;
  environment env = {0};
  copse__spawned spawned;
  copse_status status;

  if (kind == LINK_UNIX) {
    address = own_unix_address(rt);
    if (!address) {
      errno = ENOTCONN;
      return failed(child, "cannot dial its parent, which listens on no unix socket");
    }
    if (!copse__random(child->token, sizeof child->token)) return failed(child, "gets no token");
    child->dials = true;
  } else {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return failed(child, "gets no link");
    address = kind == LINK_STDIO ? "stdio:" : "fd:3";
  }

  int stdout_fd = options->stdio_null ? COPSE__FD_NULL : COPSE__FD_INHERIT;
  status = copse__tail_open(rt, &child->tail, !options->stderr_keep, &errors);
  if (status == COPSE_ESYSTEM) status = failed(child, "gets no standard error output");
  if (status == COPSE_OK) status = make_environment(&env, child, options->env, address);
  if (status == COPSE_OK) {
    int fds[COPSE__SPAWN_FDS] = {COPSE__FD_NULL, stdout_fd, errors, COPSE__FD_CLOSED};
    if (kind == LINK_FD) fds[3] = ends[1];
    if (kind == LINK_STDIO) fds[0] = fds[1] = ends[1];
    status = spawn(child, options, kind, &env, fds, &spawned);
  }
  free(env.list);
  if (ends[1] >= 0) close(ends[1]);
  if (errors >= 0) close(errors);
  if (status != COPSE_OK) {
    if (ends[0] >= 0) close(ends[0]);
    copse__tail_close(&child->tail);
    return status;
  }

  /* From here on there is a process. It is watched first: whatever else fails, it is reaped. */
  status = copse__proc_watch(rt, &child->proc, &spawned, on_exit);
  if (status != COPSE_OK) {
    siginfo_t info;
    kill(-spawned.pid, SIGKILL);
    while (waitid(P_PID, (id_t)spawned.pid, &info, WEXITED) != 0 && errno == EINTR) continue;
    if (ends[0] >= 0) close(ends[0]);
    copse__tail_close(&child->tail);
    return status;
  }
  if (ends[0] < 0) return COPSE_OK;
  status = make_link(child, ends[0], hooks);
  if (status == COPSE_OK) copse__child_guard(child, ends[0]);
  return status;
}
