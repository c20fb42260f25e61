/* SPDX-License-Identifier: MIT
 *
 * The limits for actors as processes: what spawning, ending and keeping the bare program (bare.c)
 * costs.
 *
 *   bare_bench spawn N     posix_spawn until its first byte, median of N, microseconds
 *   bare_bench down N      N of them: sockets closed until all are reaped, milliseconds
 *   bare_bench memory N    N of them, idle: proportional share of memory of one, mean, KiB
 *
 * The bare program is found beside this one.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
  pid_t pid;
  int fd;
} bare;

static char program[4096];

static void find_program(void) {
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  if (n <= 0) bench_die("/proc/self/exe");
  program[n] = '\0';
  char *slash = strrchr(program, '/');
  snprintf(slash + 1, sizeof program - (size_t)(slash + 1 - program), "bare");
}

static bare start(void) {
  int fds[2];
  posix_spawn_file_actions_t actions;
  char *argv[] = {program, NULL};
  bare b;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) bench_die("socketpair");
  posix_spawn_file_actions_init(&actions);
  if (fds[1] == 3) fcntl(fds[1], F_SETFD, 0);
  posix_spawn_file_actions_adddup2(&actions, fds[1], 3);
  errno = posix_spawn(&b.pid, program, &actions, NULL, argv, environ);
  if (errno) bench_die("%s", program);
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  b.fd = fds[0];
  return b;
}

static void await(const bare *b) {
  char byte;
  if (!bench_read_all(b->fd, &byte, 1)) bench_die("%s ended without a word", program);
}

static void reap(const bare *b) {
  int status;
  if (waitpid(b->pid, &status, 0) != b->pid || status != 0)
    bench_die("%s did not end well", program);
}

static int by_size(const void *a, const void *b) {
  const uint64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static double spawn(uint64_t n) {
  uint64_t *took = calloc(n, sizeof *took);
  if (!took) bench_die("calloc");
  for (uint64_t i = 0; i < n; i++) {
    uint64_t begun = bench_now();
    bare b = start();
    await(&b);
    took[i] = bench_now() - begun;
    close(b.fd);
    reap(&b);
  }
  qsort(took, n, sizeof *took, by_size);
  double median = (double)took[(n - 1) / 2] / 1e3;
  free(took);
  return median;
}

static double memory(const bare *all, uint64_t n) {
  long sum = 0;
  for (uint64_t i = 0; i < n; i++) {
    char path[64], line[256];
    long pss = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)all[i].pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
      if (sscanf(line, "Pss: %ld kB", &pss) == 1) break;
    }
    if (!f || pss < 0) bench_die("%s", path);
    fclose(f);
    sum += pss;
  }
  return (double)sum / (double)n;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  struct rlimit files;
  find_program();
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  bool down = strcmp(mode, "down") == 0, spawning = strcmp(mode, "spawn") == 0;
  if (n == 0 || (!down && !spawning && strcmp(mode, "memory") != 0))
    bench_die("usage: bare_bench spawn|down|memory N");
  if (spawning) {
    bench_pin(0);
    printf("%.3f\n", spawn(n));
    return 0;
  }
  bare *all = calloc(n, sizeof *all);
  if (!all) bench_die("calloc");
  for (uint64_t i = 0; i < n; i++) all[i] = start();
  for (uint64_t i = 0; i < n; i++) await(&all[i]);
  double kib = down ? 0 : memory(all, n);
  uint64_t begun = bench_now();
  for (uint64_t i = 0; i < n; i++) close(all[i].fd);
  for (uint64_t i = 0; i < n; i++) reap(&all[i]);
  printf("%.3f\n", down ? (double)(bench_now() - begun) / 1e6 : kib);
  free(all);
  return 0;
}
