/* SPDX-License-Identifier: MIT
 *
 * The chaos test: hurts a living tree of 16 processes and looks whether anything is left behind.
 *
 * Each round runs tree.lua, waits until a random number of its processes is up, and sends SIGKILL,
 * SIGTERM, SIGINT or SIGSTOP to a random one of them, the root included. A tree that cannot end by
 * itself is told to end. This program is a subreaper, so whatever escapes from the tree becomes its
 * child and cannot hide. Afterwards it demands: no process alive, nothing for it to reap that a
 * surviving process of the tree should have reaped, no socket file, and the right story from every
 * parent that survived. A round is decided by its seed alone (but for the scheduler), so a failing
 * seed can be run again.
 *
 * usage: chaos-tool COPSE DIRECTORY-OF-TREE ROUNDS [SEED]      prints TAP
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 16, LINES_MAX = 512, WATCHDOG_MS = 60000 };

typedef struct actor {
  char name[32], mode[16];
  pid_t pid;
} actor;

typedef struct round {
  uint64_t seed, random;
  char base[128], fifo[160];
  int pipe;
  actor up[PROCESSES];
  int up_count;
  char saw[LINES_MAX][128]; /* "PARENT CODE ACTOR SIGNAL" */
  int saw_count;
  char partial[4096];
  size_t partial_size;
  pid_t root;
  bool root_reaped;
  int root_status, adopted;
  char why[512];
} round_t;

static uint64_t draw(round_t *r, uint64_t below) { /* xorshift64*: the same everywhere */
  r->random ^= r->random >> 12;
  r->random ^= r->random << 25;
  r->random ^= r->random >> 27;
  return (r->random * 0x2545F4914F6CDD1Dull >> 33) % below;
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 3))) static void fail(round_t *r, const char *format, ...) {
  if (r->why[0]) return; /* the first reason explains the others */
  va_list args;
  va_start(args, format);
  vsnprintf(r->why, sizeof r->why, format, args);
  va_end(args);
}

/* --- what the tree tells ---------------------------------------------------------------------- */

static void on_line(round_t *r, char *line) {
  actor a = {0};
  int pid;
  if (sscanf(line, "up %31s %d %15s", a.name, &pid, a.mode) == 3) {
    a.pid = pid;
    if (r->up_count < PROCESSES) r->up[r->up_count++] = a;
    else fail(r, "more processes than the tree has: %s", line);
  } else if (!strncmp(line, "saw ", 4)) {
    if (r->saw_count < LINES_MAX)
      snprintf(r->saw[r->saw_count++], sizeof r->saw[0], "%s", line + 4);
  } else {
    fail(r, "unexpected line: %s", line);
  }
}

static void read_pipe(round_t *r) {
  ssize_t n;
  while ((n = read(r->pipe, r->partial + r->partial_size,
                   sizeof r->partial - 1 - r->partial_size)) > 0) {
    r->partial_size += (size_t)n;
    r->partial[r->partial_size] = 0;
    char *start = r->partial, *newline;
    while ((newline = strchr(start, '\n'))) {
      *newline = 0;
      on_line(r, start);
      start = newline + 1;
    }
    r->partial_size -= (size_t)(start - r->partial);
    memmove(r->partial, start, r->partial_size);
  }
}

/* Whether a line was told that is this one, or begins so. */
static bool saw(const round_t *r, const char *line, bool whole) {
  for (int i = 0; i < r->saw_count; i++)
    if (!strncmp(r->saw[i], line, strlen(line) + whole)) return true;
  return false;
}

/* --- processes -------------------------------------------------------------------------------- */

static void reap(round_t *r) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == r->root) {
      r->root_reaped = true;
      r->root_status = status;
    } else {
      r->adopted++;
    }
  }
}

static int child_signal = -1; /* written by the SIGCHLD handler so that poll wakes */
static void on_child(int sig) {
  int saved = errno;
  (void)sig;
  if (write(child_signal, "", 1) < 0) errno = saved;
  errno = saved;
}

/* Waits until `ready` says so; false when the watchdog ran out. Turns only on
 * events: lines and deaths. */
static bool wait_until(round_t *r, int wake, bool (*ready)(round_t *)) {
  int64_t limit = now_ms() + WATCHDOG_MS;
  for (;;) {
    read_pipe(r);
    reap(r);
    if (ready(r)) return true;
    int64_t left = limit - now_ms();
    if (left <= 0) return false;
    struct pollfd fds[2] = {{r->pipe, POLLIN, 0}, {wake, POLLIN, 0}};
    poll(fds, 2, (int)left);
    char drain[64];
    while (read(wake, drain, sizeof drain) > 0) {
    }
  }
}

static int wanted_up;
static bool enough_up(round_t *r) { return r->up_count >= wanted_up || r->root_reaped; }
static bool no_children_left(round_t *r) {
  (void)r;
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* Every process below `parent`, for the report of a failure and for cleaning up after it. */
static int descendants(pid_t parent, pid_t *out, int max) {
  char path[64], text[8192];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  int fd = open(path, O_RDONLY | O_CLOEXEC), count = 0;
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  for (char *save, *word = strtok_r(text, " ", &save); word && count < max;
       word = strtok_r(NULL, " ", &save)) {
    out[count++] = (pid_t)atoi(word);
    count += descendants(out[count - 1], out + count, max - count);
  }
  return count;
}

static void kill_survivors(round_t *r) {
  pid_t pids[256];
  char names[256] = "";
  int count = descendants(getpid(), pids, 256);
  for (int i = 0; i < count; i++) {
    char path[64], comm[64] = "?";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pids[i]);
    FILE *f = fopen(path, "re");
    if (f) {
      char state = '?';
      if (fscanf(f, "%*d (%40[^)]) %c", comm, &state) == 2) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, " %d(%s %c)", (int)pids[i], comm, state);
      }
      fclose(f);
    }
  }
  fail(r, "%d processes left after %d s:%s", count, WATCHDOG_MS / 1000, names);
  for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
  }
}

/* --- files ------------------------------------------------------------------------------------ */

/* Removes what is below `path`; counts what was no directory. */
static int remove_below(const char *path, char *first, size_t size) {
  int files = 0;
  DIR *dir = opendir(path);
  if (!dir) return 0;
  for (struct dirent *e; (e = readdir(dir));) {
    char child[512];
    struct stat st;
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    snprintf(child, sizeof child, "%s/%s", path, e->d_name);
    if (lstat(child, &st)) continue;
    if (S_ISDIR(st.st_mode)) {
      files += remove_below(child, first, size);
      rmdir(child);
    } else {
      if (!files++ && !first[0]) snprintf(first, size, "%s", child);
      unlink(child);
    }
  }
  closedir(dir);
  return files;
}

/* --- a round ---------------------------------------------------------------------------------- */

static const struct {
  int number;
  const char *name;
  unsigned weight;
} SIGNALS[] = {{SIGKILL, "SIGKILL", 4},
               {SIGTERM, "SIGTERM", 2},
               {SIGINT, "SIGINT", 1},
               {SIGSTOP, "SIGSTOP", 2}};

/* What the parents must have told when `victim` was hit and the root lived on. */
static void check_story(round_t *r, const actor *victim, int sig) {
  char parent[32] = "tree", line[128], below[128] = "";
  int branch;
  if (sscanf(victim->name, "leaf.%d.", &branch) == 1)
    snprintf(parent, sizeof parent, "branch.%d", branch);
  else if (sscanf(victim->name, "branch.%d", &branch) == 1)
    snprintf(below, sizeof below, "tree died leaf.%d.", branch);
  if (sig == SIGKILL) {
    snprintf(line, sizeof line, "%s died %s %d", parent, victim->name, sig);
    if (!saw(r, line, true)) fail(r, "the parent did not see: %s", line);
    snprintf(line, sizeof line, "tree died %s %d", victim->name, sig);
    if (!saw(r, line, true)) fail(r, "the root did not see: %s", line);
  } else if (sig == SIGTERM) {
    /* It was cancelled; or did not manage before its parent lost patience; or what
     * it tells of is a leaf that did not. */
    char died[128];
    snprintf(line, sizeof line, "%s cancelled %s -", parent, victim->name);
    snprintf(died, sizeof died, "%s died %s", parent, victim->name);
    if (!saw(r, line, true) && !saw(r, died, false) && !(below[0] && saw(r, below, false)))
      fail(r, "the parent did not see that %s went at SIGTERM", victim->name);
  }
}

/* What is left when nobody of a killed tree lives on, the next start of anything sweeps away. */
static void sweep(round_t *r, const char *copse) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setenv("XDG_RUNTIME_DIR", r->base, 1);
    if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(126);
    execl(copse, copse, "tree", (char *)NULL);
    _exit(127);
  }
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) fail(r, "copse tree crashed");
}

static void run_round(round_t *r, const char *copse, const char *tree, int wake, char *title,
                      size_t title_size) {
  snprintf(r->base, sizeof r->base, "%s/copse-chaos-XXXXXX",
           getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(r->base)) {
    fail(r, "mkdtemp: %s", strerror(errno));
    return;
  }
  snprintf(r->fifo, sizeof r->fifo, "%s/told", r->base);
  if (mkfifo(r->fifo, 0600) || (r->pipe = open(r->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) {
    fail(r, "fifo: %s", strerror(errno));
    return;
  }
  wanted_up = 1 + (int)draw(r, PROCESSES);
  useconds_t pause =
      (useconds_t)draw(r, 3000); /* where in its life the victim is hit, nothing waits for it */
  unsigned total = 0, pick, kind = 0;
  for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) total += SIGNALS[i].weight;
  for (pick = (unsigned)draw(r, total); pick >= SIGNALS[kind].weight; kind++)
    pick -= SIGNALS[kind].weight;
  int sig = SIGNALS[kind].number;

  fflush(stdout);
  r->root = fork();
  if (r->root == 0) {
    char file[512], log[512];
    setsid();
    setenv("CHAOS_PIPE", r->fifo, 1);
    setenv("CHAOS_GRACE", "0.4", 1);
    setenv("XDG_RUNTIME_DIR", r->base, 1);
    snprintf(file, sizeof file, "%s/tree.lua", tree);
    snprintf(log, sizeof log, "%s/stderr", r->base);
    int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
    execl(copse, copse, "run", file, (char *)NULL);
    _exit(127);
  }
  if (!wait_until(r, wake, enough_up) || r->root_reaped) {
    fail(r, "the tree did not come up: %d of %d, root %s %d", r->up_count, wanted_up,
         r->root_reaped ? "ended with" : "running", r->root_status);
    snprintf(title, title_size, "seed %llu: tree comes up", (unsigned long long)r->seed);
  } else {
    actor victim = r->up[draw(r, (uint64_t)r->up_count)];
    snprintf(title, title_size, "seed %llu: %s to %s (%s) with %d up", (unsigned long long)r->seed,
             SIGNALS[kind].name, victim.name, victim.mode, r->up_count);
    usleep(pause);
    kill(victim.pid, sig);
    bool is_root = victim.pid == r->root;
    bool ends_itself = sig == SIGKILL || (sig == SIGTERM && strcmp(victim.mode, "blocked")) ||
                       (sig == SIGINT && is_root);
    /* Children ignore SIGINT, a stopped one does nothing, a blocked one has no time. */
    if (!ends_itself) {
      kill(r->root, SIGTERM);
      if (is_root) kill(r->root, SIGCONT);
    }
    if (wait_until(r, wake, no_children_left)) {
      read_pipe(r);
      if (!is_root && r->adopted)
        fail(r, "%d processes were left for the test to reap", r->adopted);
      if (!is_root && ends_itself) check_story(r, &victim, sig);
      if (is_root && sig == SIGKILL) sweep(r, copse);
    }
  }
  if (!no_children_left(r)) kill_survivors(r);
  close(r->pipe);
}

/* What the tree left in its runtime directory, and the tree's stderr if something was wrong. */
static void clean_round(round_t *r) {
  char path[256], first[512] = "", line[512];
  unlink(r->fifo);
  snprintf(path, sizeof path, "%s/copse", r->base);
  int left = remove_below(path, first, sizeof first);
  if (left) fail(r, "%d files left, the first: %s", left, first);
  if (r->why[0]) {
    snprintf(path, sizeof path, "%s/stderr", r->base);
    FILE *f = fopen(path, "re");
    if (f) {
      for (int i = 0; i < 40 && fgets(line, sizeof line, f); i++)
        printf("#   | %s%s", line, strchr(line, '\n') ? "" : "\n");
      fclose(f);
    }
    for (int i = 0; i < r->saw_count; i++) printf("#   saw %s\n", r->saw[i]);
  }
  remove_below(r->base, first, sizeof first);
  rmdir(r->base);
}

int main(int argc, char **argv) {
  if (argc < 4 || argc > 5) {
    fprintf(stderr, "usage: chaos-tool COPSE DIRECTORY-OF-TREE ROUNDS [SEED]\n");
    return 2;
  }
  int rounds = atoi(argv[3]), failed = 0, wake[2];
  uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)time(NULL);
  if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) || prctl(PR_SET_CHILD_SUBREAPER, 1)) {
    perror("chaos");
    return 1;
  }
  child_signal = wake[1];
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  sigaction(SIGCHLD, &action, NULL);
  printf("TAP version 13\n1..%d\n# chaos: %d rounds from seed %llu\n", rounds, rounds,
         (unsigned long long)seed);
  for (int i = 0; i < rounds; i++) {
    round_t *r = calloc(1, sizeof *r);
    char title[160] = "";
    if (!r) return 1;
    r->seed = seed + (uint64_t)i;
    r->random = r->seed * 0x9E3779B97F4A7C15ull | 1;
    for (int warm = 0; warm < 4; warm++) (void)draw(r, 2);
    run_round(r, argv[1], argv[2], wake[0], title, sizeof title);
    clean_round(r);
    printf("%s %d - %s\n", r->why[0] ? "not ok" : "ok", i + 1, title);
    if (r->why[0]) {
      printf("#   %s\n#   again: chaos-tool COPSE TREE 1 %llu\n", r->why,
             (unsigned long long)r->seed);
      failed++;
    }
    fflush(stdout);
    free(r);
  }
  return failed ? 1 : 0;
}
