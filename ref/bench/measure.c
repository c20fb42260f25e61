/* SPDX-License-Identifier: MIT
 *
 * What the benchmark programs share: the clock, the processors, and the ten lines that make a
 * process an actor with one child.
 */
#include "measure.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_pin(int which) {
  const char *text = getenv("BENCH_CPUS");
  int cpus[2] = {0, 1};
  if (text) {
    int n = sscanf(text, "%d %d", &cpus[0], &cpus[1]);
    if (n == 1) cpus[1] = cpus[0];
    if (n < 1) bench_die("BENCH_CPUS is no list of processors: %s", text);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)cpus[which], &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    bench_die("cannot run on processor %d", cpus[which]);
}

_Noreturn void bench_die(const char *format, ...) {
  int error = errno;
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, error ? ": %s\n" : "\n", error ? strerror(error) : "");
  exit(1);
}

void bench_returned(const copse_outcome *outcome, const char *what) {
  if (outcome->kind == COPSE_RETURNED) return;
  errno = 0;
  if (outcome->kind == COPSE_FAILED)
    bench_die("%s: %s", what, copse_error_get(outcome->error)->message);
  bench_die("%s: cancelled", what);
}

int bench_actor(copse_main_cb main, void *arg) {
  copse_config config = {.size = sizeof config, .name = "bench", .no_rundir = true};
  copse *rt;
  char *why = NULL;
  if (copse_new(&rt, &config, &why) != COPSE_OK)
    bench_die("copse_new: %s", why ? why : "no reason given");
  int status = copse_run(rt, main, arg);
  copse_error *error = copse_result_error(rt, NULL);
  if (error && copse_is_root(rt)) fprintf(stderr, "%s\n", copse_error_get(error)->message);
  copse_free(rt);
  return status;
}

copse_child *bench_spawn_self(copse *rt, const char *mode, void (*ready)(copse_child *, void *),
                              void *arg) {
  static char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) bench_die("/proc/self/exe");
  self[n] = '\0';
  const char *argv[] = {self, mode, NULL};
  copse_spawn_options options = {.size = sizeof options, .name = mode, .argv = argv};
  copse_spawn_cbs cbs = {.ready = ready};
  copse_child *child;
  copse_status status = copse_spawn(rt, copse_root_scope(rt), &options, &cbs, arg, &child);
  errno = 0;
  if (status != COPSE_OK) bench_die("copse_spawn: %s", copse_status_text(status));
  return child;
}

void bench_done(copse *rt) { copse_main_done(rt, (copse_bytes){0}, NULL); }

void bench_write_all(int fd, const void *data, size_t size) {
  const char *at = data;
  while (size) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) bench_die("write");
    at += n;
    size -= (size_t)n;
  }
}

bool bench_read_all(int fd, void *data, size_t size) {
  char *at = data;
  while (size) {
    ssize_t n = read(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) bench_die("read");
    if (n == 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}
