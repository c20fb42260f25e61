/* SPDX-License-Identifier: MIT
 *
 * Cancellation and deadlines across a link, and what a terminal waits for. */
#include "runtime_core_pair.h"

#include <stdio.h>

/* What a handler saw and does. */
typedef struct far_end {
  copse_context *ctx;
  int cancels, dones;
  copse_outcome_kind kind;
  copse_origin origin;
  char message[64];
  int64_t grace;
  bool deaf;     /* hears the cancellation and does nothing */
  bool to_error; /* answers with an error */
  bool to_value; /* answers with a value */
} far_end;

static void on_cancel(copse_context *ctx, void *arg) {
  far_end *f = arg;
  const copse_cause *cause = copse_scope_cause(copse_context_scope(ctx));
  f->cancels++;
  f->origin = cause->origin;
  snprintf(f->message, sizeof f->message, "%.60s", cause->message);
  f->grace = copse__scope_grace_left(copse_context_scope(ctx));
  if (f->deaf) return;
  if (f->to_error) copse_fail(ctx, copse_error_new(COPSE_CODE_FAILED, "while cleaning up"));
  else if (f->to_value) copse_return(ctx, pair_int(7));
  else copse_cancelled(ctx);
}

static bool far_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  far_end *f = arg;
  (void)ctx;
  f->dones++;
  f->kind = outcome->kind;
  f->ctx = NULL;
  return true;
}

static void wait_for_cancel(copse_context *ctx, copse_bytes args, void *arg) {
  far_end *f = arg;
  copse_context_cbs cbs = {.cancel = on_cancel, .done = far_done};
  (void)args;
  f->ctx = ctx;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, f);
}

typedef struct near_end {
  bool done, take, ran;
  copse_outcome_kind kind;
  copse_error *error;
  copse_origin origin;
  int64_t value;
} near_end;

static bool near_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  near_end *n = arg;
  (void)ctx;
  n->done = true;
  n->kind = outcome->kind;
  n->ran = outcome->ran;
  n->error = copse_error_ref(outcome->error);
  if (outcome->cause) n->origin = outcome->cause->origin;
  if (outcome->kind == COPSE_RETURNED && copse_value_type(outcome->value) == COPSE_INT)
    n->value = pair_int_of(outcome->value);
  return n->take;
}

static copse_context *open_wait(copse_peer *peer, copse_scope *scope, near_end *near,
                                int64_t deadline_ms) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = "wait";
  o.deadline_ms = deadline_ms;
  o.cbs.done = near_done;
  o.data = near;
  assert_int_equal(copse_open(peer, scope, &o, &ctx), COPSE_OK);
  return ctx;
}

typedef struct fixture {
  pair *p;
  ending e;
  near_end near;
  far_end far;
  copse_scope *scope;
} fixture;

static void begin(fixture *f, const pair_options *o, int64_t deadline_ms) {
  memset(f, 0, sizeof *f);
  f->p = pair_new(o);
  assert_int_equal(
      copse_export(f->p->b, "wait", wait_for_cancel, &f->far, COPSE_FROM_ANYONE, false), COPSE_OK);
  f->scope = pair_scope(f->p->a, &f->e, deadline_ms);
}

static void finish(fixture *f) {
  if (!f->e.ended) copse_scope_seal(f->scope, NULL);
  pair_until(f->p, &f->e.ended);
  copse_error_unref(f->near.error);
  pair_ending_clear(&f->e);
  pair_free(f->p);
}

static void cancelling_a_scope_cancels_its_contexts_and_waits_for_the_answer(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  assert_int_equal(f.far.cancels, 0);
  copse_scope_cancel(f.scope, COPSE_ORIGIN_SHUTDOWN, "closing time", 1000);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_int_equal(f.far.cancels, 1);
  assert_int_equal(f.far.origin, COPSE_ORIGIN_SHUTDOWN);
  assert_string_equal(f.far.message, "closing time");
  assert_in_range(f.far.grace, 0, 750); /* three quarters at most */
  assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
  assert_true(f.near.ran);
  assert_null(f.e.error); /* absorbed */
  assert_true(f.e.cancelled);
  finish(&f);
}

static void all_the_time_in_the_world_is_a_deadline_and_a_grace_too(void **state) {
  static const int64_t times[] = {INT64_MAX, INT64_MAX / 3 + 1, 1LL << 53, (1LL << 53) - 1};
  (void)state;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    fixture f;
    begin(&f, NULL, -1);
    open_wait(f.p->to_b, f.scope, &f.near, times[i]);
    pair_settle(f.p);
    copse_scope_cancel(f.scope, COPSE_ORIGIN_REQUESTED, NULL, times[i]);
    copse_scope_seal(f.scope, NULL);
    pair_until(f.p, &f.e.ended);
    assert_int_equal(f.far.cancels, 1);
    assert_in_range(f.far.grace, 1LL << 52, (1LL << 53) - 1);
    finish(&f);
  }
}

static void a_context_cancelled_before_its_open_left_is_withdrawn(void **state) {
  fixture f;
  near_end big = {.take = true};
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_buf args;
  uint8_t *zeros = calloc(1, 900000);
  (void)state;
  begin(&f, NULL, -1);
  copse_buf_init(&args, SIZE_MAX, NULL);
  copse_pack_array(&args, 1);
  copse_pack_bin(&args, zeros, 900000);
  o.target = "nothing";
  o.args = copse_buf_bytes(&args);
  o.cbs.done = near_done;
  o.data = &big;
  assert_int_equal(copse_open(f.p->to_b, f.scope, &o, NULL),
                   COPSE_OK); /* more than what may be encoded ahead */
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  assert_int_equal(copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1), COPSE_OK);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
  assert_false(f.near.ran);
  pair_until(f.p, &big.done);
  assert_null(f.far.ctx);
  copse_error_unref(big.error);
  copse_buf_deinit(&args);
  free(zeros);
  finish(&f);
}

static void a_return_that_crosses_the_cancel_stands(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_return(f.far.ctx, pair_int(5));
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_RETURNED);
  assert_int_equal(f.near.value, 5);
  finish(&f);
}

static void a_handler_may_still_return_its_value_when_it_is_cancelled(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  f.far.to_value = true;
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_RETURNED);
  assert_int_equal(f.near.value, 7);
  finish(&f);
}

static void an_error_after_the_cancel_is_kept_and_says_that_it_was_cancelled(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  f.far.to_error = true;
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_string_equal(copse_error_get(f.e.error)->message, "while cleaning up");
  assert_true(copse_error_get(f.e.error)->cancelled);
  finish(&f);
}

static void an_ordinary_error_does_not_say_that_it_was_cancelled(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_fail(f.far.ctx, copse_error_new(COPSE_CODE_FAILED, "boom"));
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_false(copse_error_get(f.e.error)->cancelled);
  assert_true(copse_error_get(f.e.error)->has_actor);
  assert_memory_equal(copse_error_get(f.e.error)->actor.id, f.p->b->self.id, 16);
  finish(&f);
}

static void a_handler_without_a_cancel_callback_is_ended_by_the_runtime(void **state) {
  fixture f;
  copse_context_cbs none = {.done = far_done};
  (void)state;
  begin(&f, NULL, -1);
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_context_set_cbs(f.far.ctx, &none);
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
  assert_int_equal(f.far.dones, 1);
  finish(&f);
}

static void a_handler_that_says_cancelled_without_having_been_fails(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_cancelled(f.far.ctx);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_int_equal(copse_error_get(f.e.error)->known, COPSE_CODE_CANCELLED);
  finish(&f);
}

static void a_terminal_waits_for_what_the_handler_started(void **state) {
  fixture f;
  copse_member_cbs cbs = {NULL, NULL};
  (void)state;
  begin(&f, NULL, -1);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_member *task = copse_scope_join(copse_context_scope(f.far.ctx), &cbs, NULL);
  copse_return(f.far.ctx, pair_int(1));
  pair_settle(f.p);
  assert_false(f.near.done);
  copse_member_leave(task, NULL);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.value, 1);
  finish(&f);
}

static void an_error_in_the_handlers_scope_replaces_its_return(void **state) {
  fixture f;
  copse_member_cbs cbs = {NULL, NULL};
  (void)state;
  begin(&f, NULL, -1);
  f.near.take = true;
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_member *task = copse_scope_join(copse_context_scope(f.far.ctx), &cbs, NULL);
  copse_return(f.far.ctx, pair_int(1));
  copse_member_leave(task, copse_error_new(COPSE_CODE_FAILED, "a task failed"));
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_FAILED);
  assert_string_equal(copse_error_get(f.near.error)->message, "a task failed");
  assert_null(f.e.error); /* the callback took care of it */
  finish(&f);
}

static void a_cancellation_that_is_not_answered_ends_the_link_when_the_grace_is_over(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  f.far.deaf = true;
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse_scope_cancel(f.scope, COPSE_ORIGIN_REQUESTED, NULL, 20);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_int_equal(f.near.kind, COPSE_FAILED);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_LINK_LOST);
  assert_non_null(f.p->lost_a);
  while (!f.p->lost_b) pair_turn(&f.p->loop);
  assert_non_null(strstr(copse_error_get(f.p->lost_b)->message, "unresponsive"));
  copse_cancelled(f.far.ctx);
  finish(&f);
}

static void an_explicit_deadline_is_the_error_deadline(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  open_wait(f.p->to_b, f.scope, &f.near, 10);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_int_equal(f.near.kind, COPSE_FAILED);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_DEADLINE);
  assert_int_equal(copse_error_get(f.e.error)->known, COPSE_CODE_DEADLINE);
  assert_int_equal(f.far.cancels, 1);
  assert_int_equal(f.far.origin, COPSE_ORIGIN_DEADLINE);
  finish(&f);
}

static void a_handler_does_not_begin_when_its_time_is_over(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  f.near.take = true;
  open_wait(f.p->to_b, f.scope, &f.near, 0);
  /* So that it is the other end that finds it, however slow this is. */
  copse__link_flush(f.p->la);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_FAILED);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_DEADLINE);
  assert_null(f.far.ctx);
  assert_int_equal(f.far.dones, 0);
  finish(&f);
}

/* A binding's lookup, which knows whether the handler had begun when it was cancelled. */
static copse_lookup look_up(copse_context *ctx, const char *target, copse_bytes args, void *arg) {
  (void)args;
  (void)arg;
  if (strcmp(target, "nothing") == 0) return COPSE_LOOKUP_NONE;
  copse_scope_cancel(copse_context_scope(ctx), COPSE_ORIGIN_REQUESTED, NULL, -1);
  if (strcmp(target, "late") == 0) return COPSE_LOOKUP_LATE;
  copse_cancelled(ctx); /* in its first step */
  return COPSE_LOOKUP_FOUND;
}

static void what_a_lookup_has_begun_did_run_though_it_ended_at_once(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  copse_export_fallback(f.p->b, look_up, NULL);
  static const char *const targets[] = {"begins", "late", "nothing"};
  for (size_t i = 0; i < 3; i++) {
    copse_open_options o = COPSE_OPEN_OPTIONS;
    near_end near = {.take = true};
    o.target = targets[i];
    o.cbs.done = near_done;
    o.data = &near;
    assert_int_equal(copse_open(f.p->to_b, f.scope, &o, NULL), COPSE_OK);
    pair_until(f.p, &near.done);
    if (i < 2) {
      assert_int_equal(near.kind, COPSE_WAS_CANCELLED);
      assert_int_equal(near.ran, i == 0);
    } else {
      assert_int_equal(copse_error_get(near.error)->known, COPSE_CODE_NO_TARGET);
    }
    copse_error_unref(near.error);
  }
  finish(&f);
}

static void an_inherited_deadline_is_told_by_the_scope_alone(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, 10);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  copse_scope_seal(f.scope, NULL);
  pair_until(f.p, &f.e.ended);
  assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
  assert_int_equal(copse_error_get(f.e.error)->known, COPSE_CODE_DEADLINE);
  assert_int_equal(copse_error_get(f.e.error)->cause_count, 0);
  finish(&f);
}

static void deadlines_shrink_on_their_way(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, 500000);
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, 1000000);
  pair_settle(f.p);
  assert_in_range(copse_scope_remaining(copse_context_scope(f.far.ctx)), 400000, 500000);
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  finish(&f);
}

static void a_scope_opens_nothing_once_it_is_cancelled(void **state) {
  fixture f;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx = (void *)&f;
  (void)state;
  begin(&f, NULL, -1);
  o.target = "wait";
  copse_scope_cancel(f.scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  assert_int_equal(copse_open(f.p->to_b, f.scope, &o, &ctx), COPSE_ECANCELLED);
  assert_null(ctx);
  finish(&f);
}

/* --- three in a row: a -> b -> b -------------------------------------------------------------- */

static void relay(copse_context *ctx, copse_bytes args, void *arg) {
  pair *p = arg;
  (void)args;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = "wait";
  assert_int_equal(copse_open(p->to_a, copse_context_scope(ctx), &o, NULL), COPSE_OK);
  copse_return(ctx, pair_int(0));
}

static void cancellation_travels_through_a_relay_with_its_cause_and_the_answers_come_back_in_order(
    void **state) {
  fixture f;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  (void)state;
  begin(&f, NULL, -1);
  assert_int_equal(copse_export(f.p->b, "relay", relay, f.p, COPSE_FROM_ANYONE, false), COPSE_OK);
  assert_int_equal(copse_export(f.p->a, "wait", wait_for_cancel, &f.far, COPSE_FROM_ANYONE, false),
                   COPSE_OK);
  o.target = "relay";
  o.cbs.done = near_done;
  o.data = &f.near;
  o.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert_int_equal(copse_open(f.p->to_b, f.scope, &o, NULL), COPSE_OK);
  pair_settle(f.p);
  assert_non_null(f.far.ctx);
  assert_string_equal(f.far.ctx->traceparent, o.traceparent);
  copse_scope_cancel(f.scope, COPSE_ORIGIN_REQUESTED, "the first cause", 1600);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.far.dones, 1);
  assert_string_equal(f.far.message, "the first cause");
  assert_in_range(f.far.grace, 0, 900); /* three quarters of three quarters */
  finish(&f);
}

static void an_error_passes_a_relay_with_the_path_it_came(void **state) {
  fixture f;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  (void)state;
  begin(&f, NULL, -1);
  assert_int_equal(copse_export(f.p->b, "relay", relay, f.p, COPSE_FROM_ANYONE, false), COPSE_OK);
  assert_int_equal(copse_export(f.p->a, "wait", wait_for_cancel, &f.far, COPSE_FROM_ANYONE, false),
                   COPSE_OK);
  o.target = "relay";
  o.cbs.done = near_done;
  o.data = &f.near;
  assert_int_equal(copse_open(f.p->to_b, f.scope, &o, NULL), COPSE_OK);
  pair_settle(f.p);
  copse_fail(f.far.ctx, copse_error_new(COPSE_CODE_FAILED, "deep"));
  pair_until(f.p, &f.near.done);
  const copse_error_info *info = copse_error_get(f.near.error);
  assert_string_equal(info->message, "deep");
  assert_int_equal(info->via_count, 2);
  assert_memory_equal(info->via[0].id, f.p->a->self.id, 16);
  assert_memory_equal(info->via[1].id, f.p->b->self.id, 16);
  finish(&f);
}

/* --- cancel at every moment ------------------------------------------------------------------- */

/* A stream there and back, cancelled after the n-th turn: whatever the moment,
 * both ends end, once. */
static bool echo_item(copse_context *ctx, copse_bytes value, void *arg) {
  (void)arg;
  copse_send(ctx, value);
  return true;
}

static void echo(copse_context *ctx, copse_bytes args, void *arg) {
  far_end *f = arg;
  copse_context_cbs cbs = {.item = echo_item, .cancel = on_cancel, .done = far_done};
  (void)args;
  f->ctx = ctx;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, f);
  copse_started(ctx, pair_int(0));
  copse_accept_items(ctx, (copse_credit){2, 100});
}

static void cancelled_at_any_moment_a_stream_ends_once_on_both_sides(void **state) {
  (void)state;
  for (int moment = 0; moment < 40; moment++) {
    fixture f;
    copse_open_options o = COPSE_OPEN_OPTIONS;
    copse_context *ctx;
    begin(&f, NULL, -1);
    copse_export(f.p->b, "echo", echo, &f.far, COPSE_FROM_ANYONE, false);
    o.target = "echo";
    o.send = true;
    o.window = (copse_credit){2, 100};
    o.cbs.done = near_done;
    o.data = &f.near;
    assert_int_equal(copse_open(f.p->to_b, f.scope, &o, &ctx), COPSE_OK);
    for (int i = 0; i < moment; i++) {
      if (moment & 1) copse_send(ctx, pair_int(i)); /* whatever comes of it */
      uv_run(&f.p->loop, UV_RUN_NOWAIT);
    }
    copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
    assert_int_equal(copse_send(ctx, pair_int(0)), COPSE_ESTATE);
    pair_until(f.p, &f.near.done);
    assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
    pair_settle(f.p);
    assert_int_equal(f.far.dones, f.near.ran ? 1 : 0);
    finish(&f);
  }
}

/* --- holds and phases ------------------------------------------------------------------------- */

static void what_is_opened_on_a_held_peer_waits_and_keeps_its_order(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  copse__peer_hold(f.p->to_b);
  copse_context *ctx = open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  assert_null(f.far.ctx);
  assert_int_equal(copse_send(ctx, pair_int(0)), COPSE_EAGAIN);
  copse__peer_release(f.p->to_b);
  pair_settle(f.p);
  assert_non_null(f.far.ctx);
  copse_return(f.far.ctx, pair_int(3));
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.value, 3);
  finish(&f);
}

static void what_is_cancelled_while_it_is_held_was_never_there(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  copse__peer_hold(f.p->to_b);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  copse_scope_cancel(f.scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse__peer_release(f.p->to_b);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_WAS_CANCELLED);
  assert_false(f.near.ran);
  pair_settle(f.p);
  assert_null(f.far.ctx);
  finish(&f);
}

static void
an_actor_that_has_not_started_says_not_ready_and_one_that_ends_says_closing(void **state) {
  fixture f;
  pair_options o = {.not_ready = true};
  (void)state;
  begin(&f, &o, -1);
  f.near.take = true;
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_NOT_READY);
  copse_error_unref(f.near.error);
  f.near = (near_end){.take = true};
  f.p->b->phase = COPSE__READY;
  /* Nothing but services left: served contexts may finish, no new ones come. */
  copse_scope_seal(f.p->b->root, NULL);
  pair_settle(f.p);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_CLOSING);
  finish(&f);
}

static void who_may_open_follows_from_the_link(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  f.near.take = true;
  copse_export(f.p->b, "wait", wait_for_cancel, &f.far, COPSE_FROM_PARENT, false);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_until(f.p, &f.near.done);
  assert_int_equal(copse_error_get(f.near.error)->known, COPSE_CODE_DENIED);
  assert_int_equal(
      copse_export(f.p->b, "copse.mine", wait_for_cancel, NULL, COPSE_FROM_ANYONE, false),
      COPSE_EINVAL);
  finish(&f);
}

static void held_contexts_are_ended_with_nil_when_the_actor_ends(void **state) {
  fixture f;
  (void)state;
  begin(&f, NULL, -1);
  copse_export(f.p->b, "wait", wait_for_cancel, &f.far, COPSE_FROM_ANYONE, true);
  open_wait(f.p->to_b, f.scope, &f.near, -1);
  pair_settle(f.p);
  copse__held_end(f.p->b);
  pair_until(f.p, &f.near.done);
  assert_int_equal(f.near.kind, COPSE_RETURNED);
  assert_int_equal(f.far.dones, 1);
  finish(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cancelling_a_scope_cancels_its_contexts_and_waits_for_the_answer),
      cmocka_unit_test(all_the_time_in_the_world_is_a_deadline_and_a_grace_too),
      cmocka_unit_test(a_context_cancelled_before_its_open_left_is_withdrawn),
      cmocka_unit_test(a_return_that_crosses_the_cancel_stands),
      cmocka_unit_test(a_handler_may_still_return_its_value_when_it_is_cancelled),
      cmocka_unit_test(an_error_after_the_cancel_is_kept_and_says_that_it_was_cancelled),
      cmocka_unit_test(an_ordinary_error_does_not_say_that_it_was_cancelled),
      cmocka_unit_test(a_handler_without_a_cancel_callback_is_ended_by_the_runtime),
      cmocka_unit_test(a_handler_that_says_cancelled_without_having_been_fails),
      cmocka_unit_test(a_terminal_waits_for_what_the_handler_started),
      cmocka_unit_test(an_error_in_the_handlers_scope_replaces_its_return),
      cmocka_unit_test(a_cancellation_that_is_not_answered_ends_the_link_when_the_grace_is_over),
      cmocka_unit_test(an_explicit_deadline_is_the_error_deadline),
      cmocka_unit_test(a_handler_does_not_begin_when_its_time_is_over),
      cmocka_unit_test(what_a_lookup_has_begun_did_run_though_it_ended_at_once),
      cmocka_unit_test(an_inherited_deadline_is_told_by_the_scope_alone),
      cmocka_unit_test(deadlines_shrink_on_their_way),
      cmocka_unit_test(a_scope_opens_nothing_once_it_is_cancelled),
      cmocka_unit_test(
          cancellation_travels_through_a_relay_with_its_cause_and_the_answers_come_back_in_order),
      cmocka_unit_test(an_error_passes_a_relay_with_the_path_it_came),
      cmocka_unit_test(cancelled_at_any_moment_a_stream_ends_once_on_both_sides),
      cmocka_unit_test(what_is_opened_on_a_held_peer_waits_and_keeps_its_order),
      cmocka_unit_test(what_is_cancelled_while_it_is_held_was_never_there),
      cmocka_unit_test(an_actor_that_has_not_started_says_not_ready_and_one_that_ends_says_closing),
      cmocka_unit_test(who_may_open_follows_from_the_link),
      cmocka_unit_test(held_contexts_are_ended_with_nil_when_the_actor_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
