/* SPDX-License-Identifier: MIT
 *
 * stage.c: see stage.h.
 *
 * Nothing here waits for time. A test hears that an actor is up from a line in a fifo, that a
 * process is gone from its reaping; a hang is the watchdog's business, which is generous.
 */
#include "test/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HANG_SECONDS 60

static char stage_directory[32] = "/tmp/copse-test-XXXXXX";

int stage_group_begin(void **state) {
  (void)state;
  if (!mkdtemp(stage_directory)) return -1;
  return setenv("XDG_RUNTIME_DIR", stage_directory, 1);
}

static void count_ours(const char *address, const char *name, void *arg) {
  (void)name;
  if (strstr(address, stage_directory)) ++*(size_t *)arg;
}

size_t stage_trees(void) {
  size_t count = 0;
  copse_trees(count_ours, &count); /* sweeps what killed roots left */
  return count;
}

int stage_group_end(void **state) {
  char path[64];
  (void)state;
  size_t living = stage_trees();
  snprintf(path, sizeof path, "%s/copse", stage_directory);
  rmdir(path);
  if (rmdir(stage_directory) == 0 && !living) return 0;
  fprintf(stderr, "something is left in %s\n", stage_directory);
  return -1;
}

const char *stage_tool(void) {
  static char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
  assert_true(n > 0);
  path[n] = 0;
  char *slash = strrchr(path, '/');
  *slash = 0;
  slash = strrchr(path, '/');
  strcpy(slash, "/actor-tool");
  return path;
}

int stage_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static void on_pipe(copse__poll *poll, int events) {
  stage *s = copse__of(poll, stage, poll);
  char lines[4096];
  (void)events;
  ssize_t n = read(poll->fd, lines, sizeof lines - 1); /* writes are small: lines are whole */
  if (n <= 0) return;
  lines[n] = 0;
  for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
    stage_up *up = &s->up[s->up_count];
    long pid;
    assert_true(s->up_count < STAGE_UP_MAX);
    assert_int_equal(sscanf(line, "%64s %ld %15s", up->name, &pid, up->what), 3);
    up->pid = (pid_t)pid;
    s->up_count++;
    if (s->on_up) s->on_up(s, up);
  }
}

void stage_init(stage *s) {
  char *why;
  static int number;
  alarm(HANG_SECONDS);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  /* libuv keeps two descriptors for ever from its first loop on. */
  uv_loop_t first;
  if (number == 0 && uv_loop_init(&first) == 0) uv_loop_close(&first);
  s->fds_before = stage_fds();
  snprintf(s->fifo, sizeof s->fifo, "%s/up-%d", stage_directory, number++);
  assert_int_equal(mkfifo(s->fifo, 0600), 0);
  setenv("ACTOR_PIPE", s->fifo, 1);
  copse_config config = {.size = sizeof config,
                         .name = "root",
                         .rungs = {.grace_ms = s->grace_ms ? s->grace_ms : 20000, .term_ms = 300},
                         .log_level = COPSE_LOG_ERROR,
                         .log_level_set = true};
  assert_int_equal(copse_new(&s->rt, &config, &why), COPSE_OK);
  int fd = open(s->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(copse__poll_start(s->rt, &s->poll, fd, UV_READABLE, on_pipe), COPSE_OK);
}

static void leave_body(stage *s) {
  if (s->body) copse_member_leave(s->body, NULL);
  s->body = NULL;
}

static void on_ready(copse_child *child, void *arg) {
  stage *s = arg;
  if (s->on_ready) s->on_ready(s, child);
  if (!s->stay) leave_body(s);
}

static bool on_done(copse_child *child, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  if (child != s->child) return false;
  s->child = NULL;
  s->done = true;
  s->kind = outcome->kind;
  s->error = copse_error_ref(outcome->error);
  s->value_size = outcome->value.size;
  assert_true(outcome->value.size <= sizeof s->value);
  leave_body(s);
  if (outcome->value.size) memcpy(s->value, outcome->value.data, outcome->value.size);
  return s->swallow;
}

copse_child *stage_spawn(stage *s, const char *name, const char *mode,
                         const copse_spawn_options *given) {
  static const copse_spawn_cbs cbs = {on_ready, on_done};
  const char *argv[] = {stage_tool(), mode, NULL};
  copse_spawn_options options = {.size = sizeof options};
  copse_child *child;
  if (given) options = *given;
  options.name = name;
  if (!options.argv) options.argv = argv;
  options.stderr_keep = true;
  assert_int_equal(copse_spawn(s->rt, s->scope, &options, &cbs, s, &child), COPSE_OK);
  if (!s->child && !s->done) s->child = child;
  return child;
}

copse_context *stage_grow(stage *s, copse_child *child, int levels, int width, const char *mode) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  copse_buf args;
  copse_buf_init(&args, 256, NULL);
  copse_pack_map(&args, 3);
  copse_pack_cstr(&args, "levels");
  copse_pack_int(&args, levels);
  copse_pack_cstr(&args, "width");
  copse_pack_int(&args, width);
  copse_pack_cstr(&args, "mode");
  copse_pack_cstr(&args, mode);
  options.target = "grow";
  options.args = copse_buf_bytes(&args);
  options.send = true;
  assert_int_equal(copse_open(copse_child_peer(child), s->scope, &options, &ctx), COPSE_OK);
  copse_buf_deinit(&args);
  return ctx;
}

static void main_cb(copse *rt, copse_scope *scope, copse_bytes config, void *arg) {
  stage *s = arg;
  (void)config;
  s->scope = scope;
  if (s->on_ready || s->stay) s->body = copse_scope_join(scope, NULL, NULL);
  s->on_begin(s);
  copse_main_done(rt, (copse_bytes){NULL, 0}, NULL);
}

void stage_run(stage *s) {
  s->status = copse_run(s->rt, main_cb, s);
  s->root_error = copse_error_ref(copse_result_error(s->rt, &s->root_cancelled));
  if (s->root_error && getenv("STAGE_SHOW")) {
    copse_buf report;
    copse_buf_init(&report, 1 << 20, NULL);
    copse_error_report(s->root_error, &report, false, 100);
    fprintf(stderr, "%.*s\n", (int)report.size, (char *)report.data);
    copse_buf_deinit(&report);
  }
}

void stage_wait_for_nobody(void) {
  alarm(HANG_SECONDS);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
  assert_int_equal(errno, ECHILD);
}

void stage_deinit(stage *s) {
  close(s->poll.fd);
  copse__poll_stop(&s->poll);
  copse_free(s->rt);
  copse_error_unref(s->error);
  copse_error_unref(s->root_error);
  unlink(s->fifo);
  unsetenv("ACTOR_PIPE");
  /* A living process, or a zombie that nobody reaped: both are children of ours, because we are
   * a subreaper. */
  errno = 0;
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
  assert_int_equal(stage_fds(), s->fds_before);
  alarm(0);
}

const copse_error_info *stage_find_error(const copse_error *error, copse_code code,
                                         const char *name) {
  if (!error) return NULL;
  const copse_error_info *info = copse_error_get(error);
  if (info->known == code && (!name || (info->has_actor && !strcmp(info->actor.name, name))))
    return info;
  if (info->known != COPSE_CODE_GROUP) return NULL;
  for (size_t i = 0; i < info->cause_count; i++) {
    const copse_error_info *found = stage_find_error(info->causes[i], code, name);
    if (found) return found;
  }
  return NULL;
}

bool stage_data_int(const copse_error_info *error, const char *key, int64_t *value) {
  copse_bytes found;
  return copse_map_get(error->data, key, &found) == COPSE_OK &&
         copse_value_int(found, value) == COPSE_OK;
}

bool stage_data_has(const copse_error_info *error, const char *key, const char *part) {
  copse_bytes found, text;
  return copse_map_get(error->data, key, &found) == COPSE_OK &&
         copse_value_str(found, &text) == COPSE_OK &&
         memmem(text.data, text.size, part, strlen(part)) != NULL;
}
