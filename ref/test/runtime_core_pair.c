/* SPDX-License-Identifier: MIT
 *
 * See runtime_core_pair.h. */
#include "runtime_core_pair.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANG_SECONDS 120

int pair_count_fds(void) {
  uv_loop_t first; /* of a process makes descriptors that libuv keeps */
  assert_int_equal(uv_loop_init(&first), 0);
  assert_int_equal(uv_loop_close(&first), 0);
  DIR *dir = opendir("/proc/self/fd");
  int n = 0;
  assert_non_null(dir);
  while (readdir(dir)) n++;
  closedir(dir);
  return n;
}

static void on_lost_a(copse__link *link, copse_error *error, bool graceful) {
  pair *p = link->owner;
  p->lost_a = copse_error_ref(error);
  p->graceful_a = graceful;
  p->la = NULL;
}

static void on_lost_b(copse__link *link, copse_error *error, bool graceful) {
  pair *p = link->owner;
  p->lost_b = copse_error_ref(error);
  p->graceful_b = graceful;
  p->lb = NULL;
}

static const copse__link_hooks hooks_a = {.lost = on_lost_a}, hooks_b = {.lost = on_lost_b};

static copse *make(uv_loop_t *loop, const char *name, const pair_options *o, copse_limits limits) {
  copse *rt = NULL;
  copse_config config = {.size = sizeof config,
                         .loop = loop,
                         .limits = limits,
                         .log_level_set = true,
                         .log_level = COPSE_LOG_ERROR,
                         .ignore_env = true};
  config.rungs.grace_ms = o->grace_ms;
  assert_int_equal(copse__core_new(&rt, &config, NULL, name), COPSE_OK);
  rt->phase = o->not_ready ? COPSE__NOT_READY : COPSE__READY;
  return rt;
}

copse *pair_alone(void) {
  pair_options none = {0};
  return make(NULL, "alone", &none, (copse_limits){0});
}

pair *pair_new(const pair_options *options) {
  pair_options none = {0};
  const pair_options *o = options ? options : &none;
  pair *p = calloc(1, sizeof *p);
  int fds[2];
  assert_non_null(p);
  p->fds = pair_count_fds();
  alarm(HANG_SECONDS);
  assert_int_equal(uv_loop_init(&p->loop), 0);
  pair_options ready = *o;
  ready.not_ready = false;
  p->a = make(&p->loop, "a", &ready, (copse_limits){0});
  p->b = make(&p->loop, "b", o, o->limits_b);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  p->to_b = copse__peer_new(p->a, NULL);
  p->to_a = copse__peer_new(p->b, NULL);
  copse__link_options to_b = {.rfd = fds[0],
                              .wfd = fds[0],
                              .connector = true,
                              .from = COPSE_FROM_PARENT,
                              .heartbeat_ms = o->heartbeat_ms,
                              .hello_ms = -1,
                              .peer = p->to_b,
                              .hooks = &hooks_a,
                              .owner = p};
  copse__link_options to_a = {.rfd = fds[1],
                              .wfd = fds[1],
                              .from = o->from ? o->from : COPSE_FROM_LOCAL,
                              .heartbeat_ms = o->heartbeat_ms,
                              .hello_ms = -1,
                              .peer = p->to_a,
                              .hooks = &hooks_b,
                              .owner = p};
  assert_int_equal(copse__link_new(p->a, &to_b, &p->la), COPSE_OK);
  assert_int_equal(copse__link_new(p->b, &to_a, &p->lb), COPSE_OK);
  while (p->la->state != COPSE__LINK_OPEN || p->lb->state != COPSE__LINK_OPEN) pair_turn(&p->loop);
  return p;
}

static void on_closed(copse *rt) { rt->data = rt; }

void pair_free(pair *p) {
  p->a->data = p->b->data = NULL;
  copse__core_close(p->a, on_closed);
  copse__core_close(p->b, on_closed);
  while (!p->a->data || !p->b->data) pair_turn(&p->loop);
  copse__peer_unref(p->to_a);
  copse__peer_unref(p->to_b);
  copse_error_unref(p->lost_a);
  copse_error_unref(p->lost_b);
  copse__core_free(p->a);
  copse__core_free(p->b);
  assert_int_equal(uv_loop_close(&p->loop), 0);
  assert_int_equal(pair_count_fds(), p->fds);
  alarm(0);
  free(p);
}

void pair_turn(uv_loop_t *loop) {
  struct pollfd fd = {.fd = uv_backend_fd(loop), .events = POLLIN};
  uv_run(loop, UV_RUN_NOWAIT);
  int due = uv_backend_timeout(loop);
  if (due) poll(&fd, 1, due < 0 || due > 5 ? 5 : due);
}

void pair_until(pair *p, const bool *flag) {
  while (!*flag) pair_turn(&p->loop);
}

static void on_pong(copse_peer *peer, uint64_t us, void *arg) {
  (void)peer;
  (void)us;
  *(bool *)arg = true;
}

void pair_settle(pair *p) {
  for (int i = 0; i < 2; i++) {
    bool a = !p->la, b = !p->lb;
    if (p->la && copse_peer_ping(p->to_b, on_pong, &a)) a = true;
    if (p->lb && copse_peer_ping(p->to_a, on_pong, &b)) b = true;
    pair_until(p, &a);
    pair_until(p, &b);
  }
}

/* A buffer over one of a few arrays, so that no allocation of a test's own can fail. */
static copse_buf ring_next(void) {
  static uint8_t ring[4][4096];
  static unsigned next;
  return (copse_buf){.data = ring[next++ % 4], .capacity = sizeof ring[0], .max = sizeof ring[0]};
}

copse_bytes pair_str(const char *text) {
  copse_buf value = ring_next();
  copse_pack_cstr(&value, text);
  assert_int_equal(copse_buf_status(&value), COPSE_OK);
  return copse_buf_bytes(&value);
}

copse_bytes pair_int(int64_t integer) {
  copse_buf value = ring_next();
  copse_pack_int(&value, integer);
  return copse_buf_bytes(&value);
}

int64_t pair_int_of(copse_bytes value) {
  int64_t integer;
  assert_int_equal(copse_value_int(value, &integer), COPSE_OK);
  return integer;
}

static void on_ended(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  ending *e = arg;
  (void)scope;
  e->ended = true;
  e->cancelled = cancelled;
  e->error = copse_error_ref(error);
}

copse_scope *pair_scope(copse *rt, ending *e, int64_t deadline_ms) {
  copse_scope_options options = COPSE_SCOPE_OPTIONS;
  options.deadline_ms = deadline_ms;
  *e = (ending){0};
  copse_scope *scope = copse_scope_new(rt, rt->root, &options, on_ended, e);
  assert_non_null(scope);
  return scope;
}

void pair_ending_clear(ending *e) {
  copse_error_unref(e->error);
  *e = (ending){0};
}
