/* SPDX-License-Identifier: MIT
 *
 * Items under credit, both ways, and what ends a half. */
#include "runtime_core_pair.h"

/* One end of a stream, as a test's handlers see it. */
typedef struct end_of {
  copse_context *ctx;
  copse_error *error;
  copse_outcome_kind kind;
  bool done, ended, stopped, started, writable, refuse;
  int64_t next;     /* to send */
  int64_t to_send;  /* so many in all; then END */
  int64_t received; /* in order */
  uint64_t bytes;
  copse_credit window;
  copse_status last;
} end_of;

static void pour(end_of *e) {
  while (e->next < e->to_send) {
    e->last = copse_send(e->ctx, pair_int(e->next));
    if (e->last != COPSE_OK) return;
    e->next++;
  }
  copse_end(e->ctx);
}

static bool on_item(copse_context *ctx, copse_bytes value, void *arg) {
  end_of *e = arg;
  (void)ctx;
  if (copse_value_type(value) == COPSE_BIN || copse_value_type(value) == COPSE_STR) {
    e->bytes += value.size;
  } else {
    assert_int_equal(pair_int_of(value), e->received);
  }
  e->received++;
  return !e->refuse;
}

static void on_end(copse_context *ctx, void *arg) {
  (void)ctx;
  ((end_of *)arg)->ended = true;
}

static void on_stopped(copse_context *ctx, void *arg) {
  (void)ctx;
  ((end_of *)arg)->stopped = true;
}

static void on_writable(copse_context *ctx, void *arg) {
  (void)ctx;
  ((end_of *)arg)->writable = true;
  pour(arg);
}

static void on_started(copse_context *ctx, copse_bytes value, void *arg) {
  end_of *e = arg;
  (void)value;
  e->ctx = ctx;
  e->started = true;
  pour(e);
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  end_of *e = arg;
  (void)ctx;
  e->done = true;
  e->kind = outcome->kind;
  e->error = copse_error_ref(outcome->error);
  return true;
}

static void on_end_return(copse_context *ctx, void *arg) {
  end_of *e = arg;
  e->ended = true;
  if (e->next == e->to_send) copse_return(ctx, pair_int(e->received));
}

static void on_writable_callee(copse_context *ctx, void *arg) {
  end_of *e = arg;
  on_writable(ctx, arg);
  if (e->ended && e->next == e->to_send) copse_return(ctx, pair_int(e->received));
}

static void serve(copse_context *ctx, copse_bytes args, void *arg) {
  end_of *e = arg;
  copse_context_cbs cbs = {.item = on_item,
                           .end = on_end_return,
                           .stopped = on_stopped,
                           .writable = on_writable_callee,
                           .done = on_done};
  (void)args;
  e->ctx = ctx;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, e);
  assert_int_equal(copse_started(ctx, pair_int(0)), COPSE_OK);
  if (e->window.items) assert_int_equal(copse_accept_items(ctx, e->window), COPSE_OK);
  if (copse_context_reads(ctx)) pour(e);
}

static copse_context *open_stream(pair *p, copse_scope *scope, end_of *near, bool send,
                                  copse_credit window) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = "stream";
  o.send = send;
  o.window = window;
  o.cbs = (copse_context_cbs){.started = on_started,
                              .item = on_item,
                              .end = on_end,
                              .stopped = on_stopped,
                              .writable = on_writable,
                              .done = on_done};
  o.data = near;
  assert_int_equal(copse_open(p->to_b, scope, &o, &ctx), COPSE_OK);
  near->ctx = ctx;
  return ctx;
}

/* A stream that the test itself feeds and ends. */
static copse_context *open_by_hand(pair *p, copse_scope *scope, end_of *near) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = "stream";
  o.send = true;
  o.cbs.done = on_done;
  o.data = near;
  assert_int_equal(copse_open(p->to_b, scope, &o, &ctx), COPSE_OK);
  return ctx;
}

static void finish(pair *p, copse_scope *scope, ending *e) {
  copse_scope_seal(scope, NULL);
  pair_until(p, &e->ended);
  assert_null(e->error);
  pair_free(p);
}

static void items_flow_both_ways_in_order_through_small_windows(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {.to_send = 1000}, far = {.to_send = 700, .window = {3, 1000}};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_stream(p, scope, &near, true, (copse_credit){5, 1000});
  pair_until(p, &near.done);
  assert_int_equal(near.kind, COPSE_RETURNED);
  assert_int_equal(far.received, 1000);
  assert_int_equal(near.received, 700);
  assert_true(near.writable && far.writable);
  finish(p, scope, &e);
}

static void a_window_beyond_what_a_total_can_say_is_no_limit(void **state) {
  const copse_credit all = {UINT64_MAX, UINT64_MAX};
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {.to_send = 1000}, far = {.to_send = 1000, .window = all};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_stream(p, scope, &near, true, all);
  pair_until(p, &near.done);
  assert_int_equal(near.kind, COPSE_RETURNED);
  assert_int_equal(far.received, 1000);
  assert_int_equal(near.received, 1000);
  finish(p, scope, &e);
}

static void no_more_arrives_than_was_granted(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {.to_send = 100}, far = {.window = {10, 100000}, .refuse = true};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_context *ctx = open_stream(p, scope, &near, true, (copse_credit){0, 0});
  pair_settle(p);
  assert_int_equal(far.received, 10);
  assert_int_equal(near.next, 10);
  assert_int_equal(near.last, COPSE_EAGAIN);
  copse_consumed(far.ctx, 4, 0); /* less than half: nothing is said yet */
  pair_settle(p);
  assert_int_equal(far.received, 10);
  copse_consumed(far.ctx, 1, 0);
  pair_settle(p);
  assert_int_equal(far.received, 15);
  copse_cancel(ctx, COPSE_ORIGIN_REQUESTED, NULL, -1);
  finish(p, scope, &e);
}

static void a_callee_that_grants_nothing_gets_nothing(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {.to_send = 5}, far = {0};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_stream(p, scope, &near, true, (copse_credit){0, 0});
  pair_settle(p);
  assert_true(near.started);
  assert_int_equal(near.next, 0);
  assert_int_equal(copse_accept_items(far.ctx, (copse_credit){2, 100}), COPSE_OK);
  pair_until(p, &near.done);
  assert_int_equal(far.received, 5);
  finish(p, scope, &e);
}

static void stop_makes_the_next_send_a_soft_no_more(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {.to_send = 100000}, far = {.window = {10, 10000}, .refuse = true};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_stream(p, scope, &near, true, (copse_credit){0, 0});
  pair_settle(p);
  assert_int_equal(copse_stop(far.ctx), COPSE_OK);
  pair_until(p, &near.stopped);
  assert_int_equal(copse_send(near.ctx, pair_int(0)), COPSE_ENOMORE);
  pair_until(p, &near.done); /* the END that answers STOP ended the handler */
  assert_int_equal(near.kind, COPSE_RETURNED);
  finish(p, scope, &e);
}

static void big_bins_pass_whole_and_without_being_kept_by_the_sender(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {0}, far = {.window = {4, 3000000}};
  enum { SIZE = 900000, COUNT = 6 };
  uint8_t *data = malloc(SIZE);
  (void)state;
  assert_non_null(data);
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_context *ctx = open_by_hand(p, scope, &near);
  for (int sent = 0; sent < COUNT;) {
    memset(data, sent, SIZE);
    copse_status status = copse_send_bin(ctx, data, SIZE);
    memset(data, 0xEE, SIZE); /* ours again at once */
    if (status == COPSE_OK) {
      sent++;
    } else {
      assert_int_equal(status, COPSE_EAGAIN);
      pair_turn(&p->loop);
    }
  }
  copse_end(ctx);
  pair_until(p, &near.done);
  assert_int_equal(near.kind, COPSE_RETURNED);
  assert_int_equal(far.received, COUNT);
  assert_true(far.bytes == (uint64_t)COUNT * (SIZE + 5));
  free(data);
  finish(p, scope, &e);
}

static void what_is_larger_than_the_peer_takes_fails_here_and_nothing_is_sent(void **state) {
  pair_options o = {.limits_b = {.message = 65536}};
  pair *p = pair_new(&o);
  ending e;
  end_of near = {0}, far = {.window = {4, 3000000}};
  uint8_t *data = calloc(1, 100000);
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_context *ctx = open_by_hand(p, scope, &near);
  pair_settle(p);
  assert_int_equal(copse_send_bin(ctx, data, 100000), COPSE_ETOOLARGE);
  assert_int_equal(copse_send_bin(ctx, data, 60000), COPSE_OK);
  assert_int_equal(copse_send_bin(ctx, data, 70), COPSE_OK);
  copse_end(ctx);
  pair_until(p, &near.done);
  assert_int_equal(far.received, 2);
  finish(p, scope, &e);
  free(data);
}

static void a_result_that_is_too_large_becomes_the_error_too_large(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {0}, far = {.window = {4, 3000000}, .to_send = 1};
  (void)state;
  size_t size = 2u << 20;
  copse_buf big;
  copse_buf_init(&big, SIZE_MAX, NULL);
  uint8_t *zeros = calloc(1, size);
  copse_pack_bin(&big, zeros, size);
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_by_hand(p, scope, &near);
  pair_settle(p);
  copse_return(far.ctx, copse_buf_bytes(&big));
  pair_until(p, &near.done);
  assert_int_equal(near.kind, COPSE_FAILED);
  assert_int_equal(copse_error_get(near.error)->known, COPSE_CODE_TOO_LARGE);
  assert_int_equal(far.kind, COPSE_FAILED); /* the callee hears what was sent */
  copse_error_unref(near.error);
  copse_error_unref(far.error);
  copse_buf_deinit(&big);
  free(zeros);
  finish(p, scope, &e);
}

static copse_status send_text(pair *p, copse_context *ctx, const char *text, size_t size) {
  copse_status status;
  while ((status = copse_send_str(ctx, text, size)) == COPSE_EAGAIN) pair_turn(&p->loop);
  return status;
}

/* Sizes at which the head of a str changes, and one that is lent; far.bytes counts the heads. */
static void texts_of_every_size_pass_and_what_is_not_utf8_is_refused(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {0}, far = {.window = {100, 3000000}};
  static const struct {
    size_t size, head;
  } cases[] = {{0, 1},   {1, 1},     {31, 1},    {32, 2},    {255, 2},
               {256, 3}, {65535, 3}, {65536, 5}, {300000, 5}};
  char *text = malloc(300000);
  uint64_t bytes = 0;
  (void)state;
  assert_non_null(text);
  memset(text, 'x', 300000);
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_context *ctx = open_by_hand(p, scope, &near);
  pair_settle(p);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(send_text(p, ctx, text, cases[i].size), COPSE_OK);
    bytes += cases[i].head + cases[i].size;
  }
  assert_int_equal(send_text(p, ctx, "\xc3", 1), COPSE_EVALUE);
  assert_int_equal(send_text(p, ctx, "\xc3\xa4", 2), COPSE_OK);
  copse_end(ctx);
  pair_until(p, &near.done);
  assert_int_equal(near.kind, COPSE_RETURNED);
  assert_int_equal(far.received, sizeof cases / sizeof cases[0] + 1);
  assert_true(far.bytes == bytes + 3);
  free(text);
  finish(p, scope, &e);
}

static void a_malformed_value_is_refused_before_it_is_sent(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  end_of near = {0}, far = {.window = {4, 1000}};
  static const uint8_t half[] = {0x92, 0x01};
  (void)state;
  copse_export(p->b, "stream", serve, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_context *ctx = open_by_hand(p, scope, &near);
  pair_settle(p);
  assert_int_equal(copse_send(ctx, (copse_bytes){half, 2}), COPSE_EVALUE);
  assert_int_equal(copse_send(ctx, (copse_bytes){half, 0}), COPSE_EVALUE);
  copse_end(ctx);
  pair_until(p, &near.done);
  assert_int_equal(far.received, 0);
  finish(p, scope, &e);
}

typedef struct flushed {
  copse_job job;
  bool ran;
} flushed;

static void on_flushed(copse_job *job) { copse__of(job, flushed, job)->ran = true; }

static void a_flush_is_told_when_the_last_byte_has_left_or_never_will(void **state) {
  static uint8_t data[300000];
  pair *p = pair_new(NULL);
  end_of callee = {.window = {64, 1u << 20}};
  flushed idle = {.job = {.cb = on_flushed}}, busy = idle, lost = idle;
  ending e;
  (void)state;
  assert_int_equal(copse_peer_flush(p->to_b, &idle.job), COPSE_OK);
  assert_false(idle.ran);
  pair_until(p, &idle.ran);
  assert_int_equal(copse_export(p->b, "take", serve, &callee, COPSE_FROM_ANYONE, false), COPSE_OK);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = "take";
  o.send = true;
  assert_int_equal(copse_open(p->to_b, scope, &o, &ctx), COPSE_OK);
  while (copse_send_bin(ctx, data, sizeof data) != COPSE_OK) pair_turn(&p->loop);
  assert_int_equal(copse_peer_flush(p->to_b, &busy.job), COPSE_OK);
  pair_until(p, &busy.ran);
  copse_wire_info info;
  assert_int_equal(copse_peer_get_info(p->to_b, &info), COPSE_OK);
  assert_int_equal(info.unwritten, 0);
  assert_int_equal(info.opened, 1);
  assert_int_equal(copse_send_bin(ctx, data, sizeof data), COPSE_OK);
  assert_int_equal(copse_peer_flush(p->to_b, &lost.job), COPSE_OK);
  copse__link_abort(p->la, COPSE_CODE_LINK_LOST, "on purpose");
  pair_until(p, &lost.ran);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_ending_clear(&e);
  while (p->lb) pair_turn(&p->loop);
  assert_int_equal(copse_peer_flush(p->to_b, &lost.job), COPSE_ECLOSED);
  pair_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_flow_both_ways_in_order_through_small_windows),
      cmocka_unit_test(a_window_beyond_what_a_total_can_say_is_no_limit),
      cmocka_unit_test(no_more_arrives_than_was_granted),
      cmocka_unit_test(a_callee_that_grants_nothing_gets_nothing),
      cmocka_unit_test(stop_makes_the_next_send_a_soft_no_more),
      cmocka_unit_test(big_bins_pass_whole_and_without_being_kept_by_the_sender),
      cmocka_unit_test(what_is_larger_than_the_peer_takes_fails_here_and_nothing_is_sent),
      cmocka_unit_test(a_result_that_is_too_large_becomes_the_error_too_large),
      cmocka_unit_test(texts_of_every_size_pass_and_what_is_not_utf8_is_refused),
      cmocka_unit_test(a_malformed_value_is_refused_before_it_is_sent),
      cmocka_unit_test(a_flush_is_told_when_the_last_byte_has_left_or_never_will),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
