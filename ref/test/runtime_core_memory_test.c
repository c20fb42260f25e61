/* SPDX-License-Identifier: MIT
 *
 * Every allocation of a busy scene fails in turn: something may be refused, a
 * context may fail, a link may be given up; but everything that began ends,
 * once, and nothing is lost or touched after it is gone. The program is linked
 * so that the library's allocations come through here (--wrap). */
#include "failing_memory.h"
#include "runtime_core_pair.h"

#include <stdio.h>
#include <unistd.h>

/* --- the scene -------------------------------------------------------------------------------- */

static int opened, concluded, served, ended;

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)outcome;
  (void)arg;
  concluded++;
  return false; /* so that errors go up, too */
}

static bool on_served(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)outcome;
  (void)arg;
  served--;
  return true;
}

static bool echo_item(copse_context *ctx, copse_bytes value, void *arg) {
  (void)arg;
  copse_send(ctx, value);
  return true;
}

static void echo_end(copse_context *ctx, void *arg) {
  (void)arg;
  copse_return(ctx, pair_str("all of it"));
}

static void echo(copse_context *ctx, copse_bytes args, void *arg) {
  copse_context_cbs cbs = {.item = echo_item, .end = echo_end, .done = on_served};
  (void)args;
  (void)arg;
  served++;
  copse_context_set_cbs(ctx, &cbs);
  if (copse_started(ctx, pair_int(0)) || copse_accept_items(ctx, (copse_credit){4, 1000}))
    copse_fail(ctx, copse_error_new(COPSE_CODE_FAILED, "could not start"));
}

static void broken(copse_context *ctx, copse_bytes args, void *arg) {
  copse_context_cbs cbs = {.done = on_served};
  copse_scope *inner =
      copse_scope_new(copse_context_runtime(ctx), copse_context_scope(ctx), NULL, NULL, NULL);
  (void)args;
  (void)arg;
  served++;
  copse_context_set_cbs(ctx, &cbs);
  if (inner) copse_scope_seal(inner, copse_error_new(COPSE_CODE_FAILED, "a task of it"));
  copse_fail(ctx, copse_error_new(COPSE_CODE_BAD_ARGS, "broken on purpose"));
}

static void forever(copse_context *ctx, copse_bytes args, void *arg) {
  copse_context_cbs cbs = {.done = on_served};
  (void)args;
  (void)arg;
  served++;
  copse_context_set_cbs(ctx, &cbs);
}

static void feed(copse_context *ctx, copse_bytes value, void *arg) {
  (void)value;
  (void)arg;
  for (int i = 0; i < 3; i++) copse_send(ctx, pair_int(i));
  copse_end(ctx);
}

static void on_ended(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  (void)scope;
  (void)error;
  (void)cancelled;
  (void)arg;
  ended--;
}

static void begin(pair *p, copse_scope *scope, const char *target, bool stream) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = target;
  o.send = stream;
  if (stream) o.window = (copse_credit)COPSE_WINDOW_DEFAULT;
  o.cbs.started = stream ? feed : NULL;
  o.cbs.done = on_done;
  o.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  if (copse_open(p->to_b, scope, &o, NULL) == COPSE_OK) opened++;
}

static void scene(pair *p) {
  static const char *const targets[] = {"echo", "broken", "forever", "nothing", "echo"};
  opened = concluded = served = ended = 0;
  copse_scope_options with = {1000000, -1, "a scene"};
  copse_scope *outer = copse_scope_new(p->a, p->a->root, &with, on_ended, NULL);
  if (!outer) return;
  ended++;
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    copse_scope *inner = copse_scope_new(p->a, outer, NULL, on_ended, NULL);
    if (!inner) continue;
    ended++;
    begin(p, inner, targets[i], strcmp(targets[i], "echo") == 0);
    for (int k = 0; k < 4; k++) uv_run(&p->loop, UV_RUN_NOWAIT);
    if (strcmp(targets[i], "forever") == 0)
      copse_scope_cancel(inner, COPSE_ORIGIN_REQUESTED, "enough", 2000);
    copse_scope_seal(inner, copse_error_new(COPSE_CODE_FAILED, "and one of its own"));
  }
  copse_scope_seal(outer, NULL);
  while (ended || concluded < opened || served) pair_turn(&p->loop);
  assert_int_equal(concluded, opened);
}

static void whatever_allocation_fails_everything_ends_once(void **state) {
  long n = 0;
  (void)state;
  do {
    pair *p = pair_new(NULL);
    assert_int_equal(copse_export(p->b, "echo", echo, NULL, COPSE_FROM_ANYONE, false), COPSE_OK);
    assert_int_equal(copse_export(p->b, "broken", broken, NULL, COPSE_FROM_ANYONE, false),
                     COPSE_OK);
    assert_int_equal(copse_export(p->b, "forever", forever, NULL, COPSE_FROM_ANYONE, false),
                     COPSE_OK);
    failed = false;
    countdown = n++;
    scene(p);
    countdown = -1;
    pair_free(p);
  } while (failed);
  assert_true(n > 50);
}

static void a_runtime_is_made_whole_or_not_at_all(void **state) {
  copse_status status;
  long n = 0;
  (void)state;
  copse_config config = {.size = sizeof config, .ignore_env = true};
  int fds = pair_count_fds();
  do {
    copse *rt = NULL;
    failed = false;
    countdown = n++;
    status = copse__core_new(&rt, &config, NULL, "x");
    countdown = -1;
    if (status == COPSE_OK) copse__core_free(rt);
    else assert_int_equal(status, COPSE_ENOMEM);
    assert_int_equal(pair_count_fds(), fds);
  } while (failed);
  assert_int_equal(status, COPSE_OK);
}

static void nothing(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  (void)rt;
  (void)peer;
  (void)error;
  ++*(int *)arg;
}

static void listening_and_dialling_survive_it_too(void **state) {
  char address[100];
  (void)state;
  snprintf(address, sizeof address, "unix:/tmp/copse-memory-%ld", (long)getpid());
  int fds = pair_count_fds();
  long n = 0;
  do {
    copse *rt[2];
    uv_loop_t loop;
    int told = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    copse_config config = {.size = sizeof config,
                           .ignore_env = true,
                           .loop = &loop,
                           .log_level_set = true,
                           .log_level = COPSE_LOG_ERROR};
    for (int i = 0; i < 2; i++)
      assert_int_equal(copse__core_new(&rt[i], &config, NULL, "x"), COPSE_OK);
    failed = false;
    countdown = n++;
    char *why = NULL;
    copse_status status = copse_listen(rt[0], address, (copse_bytes){NULL, 0}, &why);
    free(why);
    copse_scope *scope = copse_scope_new(rt[1], rt[1]->root, NULL, on_ended, NULL);
    ended = scope != NULL;
    bool asked = scope && copse_connect(rt[1], scope, address, NULL, (copse_bytes){NULL, 0},
                                        nothing, &told) == COPSE_OK;
    while (asked && !told) pair_turn(&loop);
    if (scope) copse_scope_seal(scope, NULL);
    while (ended) pair_turn(&loop);
    countdown = -1;
    assert_int_equal(told, asked);
    assert_true(status == COPSE_OK || failed);
    for (int i = 0; i < 2; i++) copse__core_free(rt[i]);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(pair_count_fds(), fds);
  } while (failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_allocation_fails_everything_ends_once),
      cmocka_unit_test(a_runtime_is_made_whole_or_not_at_all),
      cmocka_unit_test(listening_and_dialling_survive_it_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
