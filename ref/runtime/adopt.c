/* SPDX-License-Identifier: MIT
 *
 * adopt.c: orphans are found, ended and reaped.
 *
 * A child that is killed cannot reap what it had started. Its own actors see the loss of their
 * link and end by themselves; helpers that it started (a compressor, a shell pipeline) do not.
 * As every actor is a subreaper, all of them become *our* children at that moment, so we can
 * find them, and we alone can reap them. What remains is to tell them from children that the
 * program we are a part of has started for itself (popen, uv_spawn), which are none of our
 * business:
 *
 *   - what is in our own process group is the program's. A child that we spawn leads a group of its
 *     own from its first moment on, before it has started anything, and what it starts is there or
 *     in another that began there: nothing comes back into ours without being told its number.
 *   - each actor has a mark in its environment, COPSE_WITHIN=its id, which everything that it
 *     starts inherits. A child with our mark, or with the one we were born with (a fork of ours
 *     shows the environment of our own start), is the program's.
 *   - any other came to us from a dead child, or cannot be told from that: a program of our own
 *     that has both a group and an environment to itself.
 *   - a zombie shows no environment. One that we saw alive as a stranger is reaped; any other is
 *     given a moment, in which the program reaps it if it knows it.
 *
 * An orphan that was started with a link is an actor, or the launcher of one: it has the grace
 * that its parent had, for its clean-up. Others are killed at once. As long as any is left we
 * look again, quickly at first, since each death may bring us the next generation. That we cannot
 * look, for want of descriptors, is not taken for "none is left": we look again then, too, for as
 * long as an orphan would have had.
 */
#include "runtime/adopt.h"

#include "runtime/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_FIRST_MS 1
#define WAIT_MAX_MS 20
#define ZOMBIE_MS 100   /* how long an unknown zombie is left to whoever may wait for it */
#define GIVE_UP_MS 2000 /* after the kill: what even SIGKILL does not end is the system's */
#define NAME_SIZE 64

typedef enum origin_kind {
  NOT_OURS_TO_TOUCH,
  AN_ACTOR,
  A_HELPER,
  A_ZOMBIE,
  GONE,
  UNSEEN
} origin_kind;

/* --- looking at one process ------------------------------------------------------------------- */

/* That something in /proc could not be opened or read says nothing about it. */
static bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

typedef struct environment {
  bool has_link;
  char mark[33];
} environment;

/* Reads the environment a process was started with, a byte at a time in meaning, a block in fact:
 * it may be megabytes, and only the beginnings of its strings matter. */
static bool read_environment(pid_t pid, environment *out) {
  static const char mark[] = COPSE__MARK "=", link[] = "COPSE_LINK=";
  char path[NAME_SIZE], block[4096], string[NAME_SIZE];
  size_t size = 0, total = 0;
  memset(out, 0, sizeof *out);
  snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n;
  while ((n = read(fd, block, sizeof block)) > 0) {
    total += (size_t)n;
    for (ssize_t i = 0; i < n; i++) {
      if (block[i]) {
        if (size < sizeof string - 1) string[size++] = block[i];
        continue;
      }
      string[size] = 0;
      size = 0;
      if (strncmp(string, link, sizeof link - 1) == 0) out->has_link = true;
      if (strncmp(string, mark, sizeof mark - 1) == 0)
        snprintf(out->mark, sizeof out->mark, "%.32s", string + sizeof mark - 1);
    }
  }
  close(fd);
  return n == 0 && total > 0; /* nothing at all: it has just died */
}

/* Its state letter and process group; false if there is no such process. */
static bool read_stat(pid_t pid, char *state, pid_t *group) {
  char path[NAME_SIZE], text[512];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  const char *at = strrchr(text, ')'); /* the name before it may hold anything */
  long parent, pgrp;
  if (!at || sscanf(at + 1, " %c %ld %ld", state, &parent, &pgrp) != 3) return false;
  *group = (pid_t)pgrp;
  return true;
}

static origin_kind look_at(const copse__adopt *adopt, pid_t pid) {
  char state;
  pid_t group;
  environment env;
  errno = 0;
  if (!read_stat(pid, &state, &group)) return is_shortage(errno) ? UNSEEN : GONE;
  if (group == getpgrp()) return NOT_OURS_TO_TOUCH;
  if (state == 'Z' || state == 'X') return A_ZOMBIE;
  errno = 0;
  if (!read_environment(pid, &env)) /* of another user, or just dead */
    return is_shortage(errno) ? UNSEEN : A_HELPER;
  if (strcmp(env.mark, adopt->mark) == 0 || strcmp(env.mark, adopt->born) == 0)
    return NOT_OURS_TO_TOUCH;
  return env.has_link ? AN_ACTOR : A_HELPER;
}

/* --- looking at all children ------------------------------------------------------------------ */

static copse__orphan *find_orphan(copse__adopt *adopt, pid_t pid, uint64_t now) {
  for (size_t i = 0; i < adopt->orphan_count; i++)
    if (adopt->orphans[i].pid == pid) return &adopt->orphans[i];
  if (adopt->orphan_count == adopt->orphan_room) {
    size_t room = adopt->orphan_room ? adopt->orphan_room * 2 : 16;
    copse__orphan *orphans = realloc(adopt->orphans, room * sizeof *orphans);
    if (!orphans) return NULL;
    adopt->orphans = orphans;
    adopt->orphan_room = room;
  }
  copse__orphan *orphan = &adopt->orphans[adopt->orphan_count++];
  *orphan = (copse__orphan){.pid = pid, .since = now};
  return orphan;
}

static bool reap(pid_t pid) {
  siginfo_t info;
  return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == pid;
}

/* Deals with one child; true if it is an orphan that is still there. */
static bool visit(copse__adopt *adopt, pid_t pid, uint64_t now) {
  if (adopt->ending) {
    siginfo_t info;
    kill(pid, SIGKILL);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR) continue;
    return true;
  }
  if (adopt->is_spawned(adopt, pid)) return false;
  origin_kind kind = look_at(adopt, pid);
  if (kind == NOT_OURS_TO_TOUCH || kind == GONE) return false;
  if (kind == UNSEEN) {
    adopt->blind = true;
    return false;
  }
  copse__orphan *orphan = find_orphan(adopt, pid, now);
  if (!orphan) return true; /* no memory: next time */
  if (kind == A_ZOMBIE) {
    if (orphan->seen_alive || now - orphan->since >= ZOMBIE_MS) return !reap(pid);
    return true;
  }
  orphan->seen_alive = true;
  if (orphan->killed) return now - orphan->since < GIVE_UP_MS;
  if (kind == AN_ACTOR && now - orphan->since < adopt->grace_ms) return true;
  kill(pid, SIGKILL);
  orphan->killed = true;
  orphan->since = now;
  return true;
}

/* Visits the children in one "children" file: numbers with blanks between them. */
static size_t visit_list(copse__adopt *adopt, int fd, uint64_t now) {
  char block[4096];
  size_t left = 0;
  long pid = 0;
  ssize_t n;
  while ((n = read(fd, block, sizeof block)) > 0) {
    for (ssize_t i = 0; i < n; i++) {
      if (isdigit((unsigned char)block[i])) {
        pid = pid * 10 + (block[i] - '0');
      } else {
        if (pid) left += visit(adopt, (pid_t)pid, now);
        pid = 0;
      }
    }
  }
  if (n < 0 && is_shortage(errno)) adopt->blind = true;
  return left;
}

/* To know this takes no descriptor: a program that has given up its right to any, or has run out of
 * them, does not wait for ever. */
static bool has_children(void) {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

/* Visits all children of this process, whichever of its threads they hang on; returns how many
 * orphans are left, and whether there was something that could not be looked at. */
static size_t visit_all(copse__adopt *adopt) {
  size_t left = 0;
  uint64_t now = copse_now(adopt->rt);
  adopt->blind = false;
  if (!has_children()) return 0;
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) {
    adopt->blind = is_shortage(errno);
    return 0;
  }
  for (struct dirent *task; (task = readdir(tasks));) {
    char path[NAME_SIZE];
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%.32s/children", task->d_name);
    int fd = openat(dirfd(tasks), path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      left += visit_list(adopt, fd, now);
      close(fd);
    } else if (is_shortage(errno)) {
      adopt->blind = true;
    }
  }
  closedir(tasks);
  return left;
}

/* --- the sweep -------------------------------------------------------------------------------- */

/* Whether it is worth while to look again. Not for ever: what waits for us are the deaths of others,
 * and descriptors may never come. */
static bool is_blind(copse__adopt *adopt, uint64_t patience_ms) {
  uint64_t now = copse_now(adopt->rt);
  if (!adopt->blind) adopt->blind_since = 0;
  else if (!adopt->blind_since) adopt->blind_since = now;
  return adopt->blind && now - adopt->blind_since < patience_ms;
}

static void on_timer(copse__timer *timer) {
  copse__adopt *adopt = copse__of(timer, copse__adopt, timer);
  bool left = visit_all(adopt) > 0;
  if (is_blind(adopt, (uint64_t)adopt->grace_ms + GIVE_UP_MS) || left) {
    copse__timer_start(adopt->rt, timer, copse_now(adopt->rt) + adopt->wait_ms, on_timer);
    adopt->wait_ms = adopt->wait_ms * 2 < WAIT_MAX_MS ? adopt->wait_ms * 2 : WAIT_MAX_MS;
    return;
  }
  adopt->sweeping = false;
  adopt->orphan_count = 0;
  adopt->on_clear(adopt);
}

void copse__adopt_sweep(copse__adopt *adopt, uint32_t grace_ms) {
  if (!adopt->sweeping || grace_ms > adopt->grace_ms) adopt->grace_ms = grace_ms;
  adopt->sweeping = true;
  adopt->wait_ms = WAIT_FIRST_MS;
  copse__timer_start(adopt->rt, &adopt->timer, copse_now(adopt->rt), on_timer);
}

void copse__adopt_end_all(copse__adopt *adopt) {
  const struct timespec moment = {0, WAIT_FIRST_MS * 1000000L};
  adopt->ending = true;
  for (;;) {
    bool left = visit_all(adopt) > 0;
    uv_update_time(copse_loop(adopt->rt));
    if (!is_blind(adopt, GIVE_UP_MS) && !left) return;
    nanosleep(&moment, NULL);
  }
}

copse_status copse__adopt_init(copse *rt, copse__adopt *adopt) {
  const char *born = getenv(COPSE__MARK);
  memset(adopt, 0, sizeof *adopt);
  snprintf(adopt->born, sizeof adopt->born, "%s", born ? born : "");
  copse__hex(rt->self.id, adopt->mark);
  /* A parent that speaks this protocol in C has said so already. */
  if (strcmp(adopt->born, adopt->mark) != 0 && setenv(COPSE__MARK, adopt->mark, 1) != 0)
    return COPSE_ENOMEM;
  /* Where this cannot be had, orphans go to whoever reaps above us. */
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  adopt->rt = rt;
  return COPSE_OK;
}

void copse__adopt_deinit(copse__adopt *adopt) {
  if (!adopt->rt) return;
  copse__timer_stop(adopt->rt, &adopt->timer);
  free(adopt->orphans);
  memset(adopt, 0, sizeof *adopt);
}
