/* SPDX-License-Identifier: MIT
 *
 * Contexts between two engines: what a caller at either end sees of calls, streams, credit,
 * cancellation and the end of the link. */
#include "wire_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const copse_wire_open_args call_args = {.target = "f", .deadline_ms = -1};
static const copse_wire_open_args stream_args = {
    .target = "f", .send = true, .reads = true, .credit = {4, 4096}, .deadline_ms = -1};
static const copse_cause requested = {.origin = COPSE_ORIGIN_REQUESTED};

static int setup(void **state) {
  test_pair *pair = malloc(sizeof *pair);
  if (!pair) return -1;
  test_pair_init(pair, NULL, NULL);
  *state = pair;
  return 0;
}

static int teardown(void **state) {
  test_pair_deinit(*state);
  free(*state);
  return 0;
}

static uint64_t open_context(test_pair *pair, const copse_wire_open_args *args) {
  uint64_t id = 0;
  assert_int_equal(copse_wire_open(pair->end[OPENER], args, &id), COPSE_OK);
  test_pair_move(pair, OPENER, SIZE_MAX);
  copse_event event = test_expect(pair->end[CALLEE], COPSE_EV_OPEN);
  assert_int_equal(event.context, id);
  return id;
}

/* Moves everything, then the one event that must have come of it. */
static copse_event after(test_pair *pair, int from, copse_event_type type) {
  test_pair_move(pair, from, SIZE_MAX);
  return test_expect(pair->end[!from], type);
}

static void silent(test_pair *pair, int end) { (void)test_expect(pair->end[end], COPSE_EV_NONE); }

static void a_call_is_one_frame_each_way(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args args = call_args;
  args.args = TEST_BYTES("\x92\x01\x02");
  int mine = 7;
  args.user = &mine;
  uint64_t id;
  copse_wire_info before[2], now;
  copse_wire_get_info(pair->end[OPENER], &before[OPENER]);
  copse_wire_get_info(pair->end[CALLEE], &before[CALLEE]);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &args, &id), COPSE_OK);
  assert_int_equal(id, 1);
  copse_event event = after(pair, OPENER, COPSE_EV_OPEN);
  assert_memory_equal(event.open.target.data, "f", 1);
  assert_int_equal(event.open.args.size, 3);
  assert_false(event.open.send);
  assert_false(event.open.reads);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, TEST_BYTES("\x2a")), COPSE_OK);
  event = after(pair, CALLEE, COPSE_EV_RETURN);
  assert_ptr_equal(event.user, &mine);
  assert_int_equal(event.value.data[0], 0x2a);
  silent(pair, OPENER);
  silent(pair, CALLEE);
  for (int end = 0; end < 2; end++) {
    copse_wire_get_info(pair->end[end], &now);
    assert_int_equal(now.frames_out - before[end].frames_out, 1);
    assert_int_equal(now.opened, 0);
    assert_int_equal(now.serving, 0);
  }
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, test_nil), COPSE_EUNKNOWN);
}

static void both_sides_open_ids_of_their_own_parity(void **state) {
  test_pair *pair = *state;
  for (uint64_t i = 0; i < 3; i++) {
    uint64_t id;
    assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_OK);
    assert_int_equal(id, 1 + 2 * i);
    assert_int_equal(copse_wire_open(pair->end[CALLEE], &call_args, &id), COPSE_OK);
    assert_int_equal(id, 2 + 2 * i);
  }
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]),
                      "OPEN 2 target f\nOPEN 4 target f\nOPEN 6 target f\n");
}

static void items_flow_both_ways_under_credit_and_end(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  const copse_bytes one = TEST_BYTES("\x01");
  /* The callee may not send before STARTED, the opener not without credit. */
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &one, 1, 0), COPSE_ESTATE);
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &one, 1, 0), COPSE_EAGAIN);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nothing), COPSE_OK);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nothing), COPSE_ESTATE);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  for (int i = 0; i < 4; i++)
    assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &one, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &one, 1, 0), COPSE_EAGAIN);
  test_pair_move(pair, CALLEE, SIZE_MAX);
  for (int i = 0; i < 4; i++)
    assert_int_equal(test_expect(pair->end[OPENER], COPSE_EV_ITEM).item.bytes, 1);
  assert_int_equal(copse_wire_credit(pair->end[OPENER], id, (copse_credit){5, 4096}), COPSE_OK);
  (void)after(pair, OPENER, COPSE_EV_WRITABLE);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &one, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_credit(pair->end[CALLEE], id, (copse_credit){1, 100}), COPSE_OK);
  assert_int_equal(copse_wire_end(pair->end[CALLEE], id), COPSE_OK);
  assert_int_equal(copse_wire_end(pair->end[CALLEE], id), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &one, 1, 0), COPSE_ESTATE);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "ITEM 1 1\nEND 1\nWRITABLE 1\n");
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &one, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &one, 1, 0), COPSE_EAGAIN);
  assert_int_equal(copse_wire_end(pair->end[OPENER], id), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "ITEM 1 1\nEND 1\n");
}

static void the_next_item_can_be_taken_and_nothing_else_before_its_turn(void **state) {
  test_pair *pair = *state;
  copse_wire *opener = pair->end[OPENER], *callee = pair->end[CALLEE];
  uint64_t other = open_context(pair, &stream_args), id = open_context(pair, &stream_args);
  copse_bytes value, one = TEST_BYTES("\x01"), two = TEST_BYTES("\x02");
  const uint64_t ids[] = {id, other};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(copse_wire_credit(callee, ids[i], (copse_credit){4, 4096}), COPSE_OK);
  }
  test_pair_move(pair, CALLEE, SIZE_MAX);
  silent(pair, OPENER);
  assert_int_equal(copse_wire_send(opener, id, &one, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(opener, id, &two, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(opener, other, &one, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_end(opener, other), COPSE_OK);
  assert_int_equal(copse_wire_send(opener, id, &two, 1, 0), COPSE_OK);
  test_pair_move(pair, OPENER, SIZE_MAX);

  assert_false(copse_wire_next_item(callee, other, &value));
  assert_true(copse_wire_next_item(callee, id, &value));
  assert_int_equal(value.data[0], 1);
  copse_event event = test_expect(callee, COPSE_EV_ITEM); /* the usual way goes on from there */
  assert_int_equal(event.context, id);
  assert_int_equal(event.value.data[0], 2);
  assert_false(copse_wire_next_item(callee, id, &value));
  assert_true(copse_wire_next_item(callee, other, &value));
  assert_false(copse_wire_next_item(callee, other, &value));
  assert_int_equal(test_expect(callee, COPSE_EV_END).context, other);
  assert_int_equal(copse_wire_stop(callee, id), COPSE_OK);
  assert_false(copse_wire_next_item(callee, id, &value)); /* nobody wants it any more */
  silent(pair, CALLEE);
  assert_false(copse_wire_next_item(callee, 99, &value));
}

static void a_next_item_that_breaks_the_protocol_ends_the_link(void **state) {
  test_pair *pair = *state;
  uint64_t id = open_context(pair, &stream_args);
  copse_bytes value, cut = TEST_BYTES("\x92\x01");
  assert_int_equal(copse_wire_credit(pair->end[CALLEE], id, (copse_credit){4, 4096}), COPSE_OK);
  test_pair_move(pair, CALLEE, SIZE_MAX);
  silent(pair, OPENER);
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &cut, 1, COPSE_TRUSTED), COPSE_OK);
  test_pair_move(pair, OPENER, SIZE_MAX);
  assert_false(copse_wire_next_item(pair->end[CALLEE], id, &value));
  copse_event event = test_expect(pair->end[CALLEE], COPSE_EV_VIOLATION);
  assert_int_equal(event.violation.code, COPSE_CODE_VALUE);
  assert_int_equal(event.violation.context, id);
}

static void bytes_bound_the_credit_with_one_message_of_overdraft(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args args = stream_args;
  args.credit = (copse_credit){100, 10};
  const uint64_t id = open_context(pair, &args);
  uint8_t item[9] = {0xc4, 7};
  const copse_bytes value = {item, sizeof item};
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &value, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &value, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &value, 1, 0), COPSE_EAGAIN);
  test_pair_run(pair);
}

static void stop_is_answered_by_end_and_sending_becomes_a_soft_no(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  assert_int_equal(copse_wire_credit(pair->end[OPENER], id, (copse_credit){9, 9999}), COPSE_ESTATE);
  (void)after(pair, OPENER, COPSE_EV_STOP);
  silent(pair, CALLEE);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &test_nil, 1, 0), COPSE_ENOMORE);
  (void)after(pair, CALLEE, COPSE_EV_END);
}

static void stop_before_started_is_answered_after_it(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  (void)after(pair, OPENER, COPSE_EV_STOP);
  assert_int_equal(test_pair_move(pair, CALLEE, SIZE_MAX), 0);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  (void)test_expect(pair->end[OPENER], COPSE_EV_END);
}

static void what_was_granted_before_started_goes_before_it(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_credit(pair->end[CALLEE], id, (copse_credit){3, 99}), COPSE_OK);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  copse_bytes bytes = test_take(pair->end[CALLEE]);
  assert_int_equal(bytes.data[3], COPSE_KIND_CREDIT);
  assert_int_equal(bytes.data[COPSE_HEADER_SIZE + bytes.data[2] + 3], COPSE_KIND_STARTED);
  test_give(pair->end[OPENER], bytes, bytes.size);
  free((void *)(uintptr_t)bytes.data);
  (void)test_expect(pair->end[OPENER], COPSE_EV_STARTED);
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &test_nil, 1, 0), COPSE_OK);
}

static void stop_is_not_answered_when_the_terminal_comes_first(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  (void)after(pair, OPENER, COPSE_EV_STOP);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_RETURN);
  silent(pair, OPENER);
}

static void items_after_my_stop_are_discarded_and_still_counted(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &test_nil, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "END 1\n");
}

static void an_open_without_credit_makes_sending_a_soft_no(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &call_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &test_nil, 1, 0), COPSE_ENOMORE);
  assert_int_equal(copse_wire_end(pair->end[CALLEE], id), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  silent(pair, OPENER);
}

static void cancel_reaches_a_running_callee_and_is_answered_cancelled(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  copse_cause cause = {.origin = COPSE_ORIGIN_ERROR, .by = test_ref("culprit", 5)};
  strcpy(cause.message, "because");
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &cause, 500), COPSE_OK);
  copse_event event = after(pair, OPENER, COPSE_EV_CANCEL);
  assert_int_equal(event.cancel.grace_ms, 500);
  assert_int_equal(event.cancel.cause.origin, COPSE_ORIGIN_ERROR);
  assert_string_equal(event.cancel.cause.message, "because");
  assert_string_equal(event.cancel.cause.by.name, "culprit");
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &test_nil, 1, 0), COPSE_ESTATE);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &test_nil, 1, 0), COPSE_ESTATE);
  /* A longer grace, or none, in a repeat says nothing new. */
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &cause, 900), COPSE_OK);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &cause, -1), COPSE_OK);
  assert_int_equal(test_pair_move(pair, OPENER, SIZE_MAX), 0);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &cause, 100), COPSE_OK);
  event = after(pair, OPENER, COPSE_EV_CANCEL);
  assert_true(event.cancel.again);
  assert_int_equal(event.cancel.grace_ms, 100);
  assert_int_equal(copse_wire_cancelled(pair->end[CALLEE], id, &event.cancel.cause, true),
                   COPSE_OK);
  event = after(pair, CALLEE, COPSE_EV_CANCELLED);
  assert_true(event.cancelled.ran);
  assert_true(event.cancelled.asked);
  assert_string_equal(event.cancelled.cause.by.name, "culprit");
}

static void of_repeated_cancels_no_more_than_one_waits_to_be_written(void **state) {
  test_pair *pair = *state;
  const uint64_t ids[] = {open_context(pair, &stream_args), open_context(pair, &stream_args)};
  copse_cause cause = {.origin = COPSE_ORIGIN_ERROR, .by = test_ref("culprit", 5)};
  strcpy(cause.message, "because");
  copse_wire_info info;
  /* Nothing is written meanwhile. */
  for (int grace = 20000; grace > 0; grace--)
    for (int i = 0; i < 2; i++)
      assert_int_equal(copse_wire_cancel(pair->end[OPENER], ids[i], &cause, grace), COPSE_OK);
  copse_wire_get_info(pair->end[OPENER], &info);
  assert_in_range(info.unwritten, 1, 1000);
  (void)test_pair_move(pair, OPENER, SIZE_MAX);
  for (int last = 0; last < 2; last++) {
    for (int i = 0; i < 2; i++) {
      copse_event event = test_expect(pair->end[CALLEE], COPSE_EV_CANCEL);
      assert_int_equal(event.context, ids[i]);
      assert_int_equal(event.cancel.grace_ms, last ? 1 : 20000);
      assert_string_equal(event.cancel.cause.message, "because");
      assert_string_equal(event.cancel.cause.by.name, "culprit");
    }
  }
  silent(pair, CALLEE);
  /* One that is owed when its context ends is not sent at all. */
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], ids[0], &cause, 0), COPSE_OK);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], ids[0], test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_RETURN);
  assert_int_equal(test_pair_move(pair, OPENER, SIZE_MAX), 0);
}

static void a_cancel_before_any_byte_of_its_open_withdraws_both(void **state) {
  test_pair *pair = *state;
  /* Something large stands before it, so the OPEN waits in the queue. */
  copse_wire_open_args large = call_args;
  static uint8_t body[200000] = {0x91, 0xc6, 0, 3, 0x0d, 0x3a};
  large.args = (copse_bytes){body, sizeof body};
  uint64_t first, second;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &large, &first), COPSE_OK);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &second), COPSE_OK);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], second, &requested, -1), COPSE_OK);
  assert_int_equal(test_expect(pair->end[OPENER], COPSE_EV_WITHDRAWN).context, second);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], second, &requested, -1), COPSE_EUNKNOWN);
  uint64_t third;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &third), COPSE_OK);
  assert_true(third > second);
  test_pair_run(pair);
  assert_non_null(strstr(test_log_text(&pair->log[CALLEE]), "OPEN 5 target f\n"));
  assert_null(strstr(test_log_text(&pair->log[CALLEE]), "OPEN 3"));
}

static void a_cancel_in_the_middle_of_its_open_is_answered_that_nothing_ran(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args large = call_args;
  static uint8_t body[200000] = {0x91, 0xc6, 0, 3, 0x0d, 0x3a};
  large.args = (copse_bytes){body, sizeof body};
  uint64_t id, next;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &large, &id), COPSE_OK);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &next), COPSE_OK);
  assert_true(test_pair_move(pair, OPENER, 1000) > 0); /* a piece of the first fragment */
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &requested, -1), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]),
                      "CANCELLED 1 origin requested ran false asked\n");
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "OPEN 3 target f\n");
}

static void a_return_that_crosses_a_cancel_stands(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &call_args);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, TEST_BYTES("\x07")), COPSE_OK);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &requested, -1), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "RETURN 1 7\n");
  assert_string_equal(test_log_text(&pair->log[CALLEE]),
                      ""); /* the late CANCEL meets an ended context */
}

static void items_and_end_that_cross_a_cancel_are_absorbed(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  (void)after(pair, CALLEE, COPSE_EV_STARTED);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &test_nil, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_end(pair->end[CALLEE], id), COPSE_OK);
  assert_int_equal(copse_wire_cancel(pair->end[OPENER], id, &requested, -1), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "END 1\n");
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "CANCEL 1 origin requested grace -1\n");
}

static void frames_that_cross_a_terminal_are_ignored_by_the_callee(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_credit(pair->end[CALLEE], id, (copse_credit){9, 999}), COPSE_OK);
  test_pair_run(pair);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[OPENER], id, &test_nil, 1, 0), COPSE_OK);
  assert_int_equal(copse_wire_credit(pair->end[OPENER], id, (copse_credit){9, 9999}), COPSE_OK);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  assert_int_equal(copse_wire_end(pair->end[OPENER], id), COPSE_OK);
  test_log_reset(&pair->log[CALLEE]);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "");
}

static void an_error_overtakes_the_items_queued_before_it(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args args = stream_args;
  args.credit = (copse_credit){100, 1 << 30};
  const uint64_t id = open_context(pair, &args);
  static uint8_t body[200000] = {0xc6, 0, 3, 0x0d, 0x3b};
  const copse_bytes large = {body, sizeof body};
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &large, 1, 0), COPSE_OK);
  assert_true(test_pair_move(pair, CALLEE, 100) == 100); /* the item has begun */
  assert_int_equal(copse_wire_refuse(pair->end[CALLEE], id, COPSE_CODE_FAILED, "no"), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]),
                      "STARTED 1 null\nERROR 1 {\"code\": \"failed\", \"message\": \"no\"}\n");
}

static void an_error_of_many_frames_overtakes_them_as_well(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args args = stream_args;
  args.credit = (copse_credit){100, 1 << 30};
  const uint64_t id = open_context(pair, &args);
  static uint8_t body[200000] = {0xc6, 0, 3, 0x0d, 0x3b};
  const copse_bytes large = {body, sizeof body};
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  assert_int_equal(copse_wire_send(pair->end[CALLEE], id, &large, 1, 0), COPSE_OK);
  copse_buf error;
  copse_buf_init(&error, 1 << 20, NULL);
  copse_pack_map(&error, 3);
  copse_pack_cstr(&error, "code");
  copse_pack_cstr(&error, "failed");
  copse_pack_cstr(&error, "message");
  copse_pack_cstr(&error, "no");
  copse_pack_cstr(&error, "data");
  copse_pack_bin(&error, body, sizeof body);
  assert_int_equal(copse_wire_error(pair->end[CALLEE], id, copse_buf_bytes(&error)), COPSE_OK);
  copse_buf_deinit(&error);
  test_pair_run(pair);
  assert_null(strstr(test_log_text(&pair->log[OPENER]), "ITEM"));
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "ERROR 1 "));
}

static void an_oversized_result_becomes_the_error_too_large(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &call_args);
  size_t size = 2 << 20;
  uint8_t *body = calloc(1, size);
  memcpy(body, "\xc6\x00\x1f\xff\xfb", 5);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, (copse_bytes){body, size}),
                   COPSE_ETOOLARGE);
  free(body);
  test_pair_run(pair);
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "ERROR 1 {\"code\": \"too_large\""));
}

static void an_oversized_error_is_cut_until_it_fits(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &call_args);
  copse_buf error;
  copse_buf_init(&error, 8 << 20, NULL);
  size_t size = 2 << 20;
  char *text = malloc(size);
  memset(text, 'x', size);
  copse_pack_map(&error, 4);
  copse_pack_cstr(&error, "stack");
  copse_pack_str(&error, text, size);
  copse_pack_cstr(&error, "code");
  copse_pack_cstr(&error, "failed");
  copse_pack_cstr(&error, "message");
  copse_pack_str(&error, text, size);
  copse_pack_cstr(&error, "type");
  copse_pack_cstr(&error, "string");
  assert_int_equal(copse_wire_error(pair->end[CALLEE], id, copse_buf_bytes(&error)), COPSE_OK);
  copse_buf_deinit(&error);
  free(text);
  copse_event event;
  do {
    test_pair_move(pair, CALLEE, SIZE_MAX);
  } while (copse_wire_next(pair->end[OPENER], &event) == COPSE_EV_NONE);
  assert_int_equal(event.type, COPSE_EV_ERROR);
  copse_bytes value;
  assert_int_equal(copse_map_get(event.value, "type", &value), COPSE_OK);
  assert_int_equal(copse_map_get(event.value, "stack", &value), COPSE_EUNKNOWN);
  assert_int_equal(copse_map_get(event.value, "message", &value), COPSE_OK);
  assert_true(value.size > (1 << 20) - 200 && event.value.size <= 1 << 20);
}

static void a_bye_both_ways_closes_once_every_context_has_ended(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &call_args);
  assert_int_equal(copse_wire_bye(pair->end[OPENER], COPSE_CODE_NONE, NULL, 0), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "BYE none last 0\n");
  assert_string_equal(test_log_text(&pair->log[OPENER]), "BYE none last 1\n");
  uint64_t late;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &late), COPSE_ECLOSED);
  assert_int_equal(copse_wire_open(pair->end[CALLEE], &call_args, &late), COPSE_ECLOSED);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], id, test_nil), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "BYE none last 0\nCLOSED graceful\n");
  assert_string_equal(test_log_text(&pair->log[OPENER]),
                      "BYE none last 1\nRETURN 1 null\nCLOSED graceful\n");
}

static void an_open_that_crosses_a_bye_is_refused_as_closing(void **state) {
  test_pair *pair = *state;
  uint64_t id;
  assert_int_equal(copse_wire_bye(pair->end[CALLEE], COPSE_CODE_NONE, NULL, 0), COPSE_OK);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_OK);
  test_pair_run(pair);
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "ERROR 1 {\"code\": \"closing\""));
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "CLOSED graceful"));
  assert_non_null(strstr(test_log_text(&pair->log[CALLEE]), "CLOSED graceful"));
  assert_null(strstr(test_log_text(&pair->log[CALLEE]), "OPEN"));
}

static void opens_not_begun_are_withdrawn_by_a_bye(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args large = call_args;
  static uint8_t body[200000] = {0x91, 0xc6, 0, 3, 0x0d, 0x3a};
  large.args = (copse_bytes){body, sizeof body};
  uint64_t first, second;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &large, &first), COPSE_OK);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &second), COPSE_OK);
  assert_true(test_pair_move(pair, OPENER, 10) == 10);
  assert_int_equal(copse_wire_bye(pair->end[OPENER], COPSE_CODE_NONE, NULL, 0), COPSE_OK);
  assert_int_equal(test_expect(pair->end[OPENER], COPSE_EV_WITHDRAWN).context, second);
  test_pair_run(pair);
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "ERROR 1 {\"code\": \"closing\""));
  assert_non_null(strstr(test_log_text(&pair->log[OPENER]), "CLOSED graceful"));
}

static void the_end_of_input_without_an_agreed_close_is_loss(void **state) {
  test_pair *pair = *state;
  (void)open_context(pair, &call_args);
  copse_wire_eof(pair->end[OPENER]);
  assert_false(test_expect(pair->end[OPENER], COPSE_EV_CLOSED).closed.graceful);
  (void)test_expect(pair->end[OPENER], COPSE_EV_NONE);
  uint64_t id;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_ECLOSED);
}

static void a_bye_with_a_code_ends_the_link_for_both(void **state) {
  test_pair *pair = *state;
  (void)open_context(pair, &call_args);
  assert_int_equal(copse_wire_bye(pair->end[OPENER], COPSE_CODE_FAILED, "x", 1), COPSE_EINVAL);
  assert_int_equal(copse_wire_bye(pair->end[OPENER], COPSE_CODE_UNRESPONSIVE, "x", 1), COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "CLOSED lost\n");
  assert_string_equal(test_log_text(&pair->log[CALLEE]),
                      "BYE unresponsive context 1 last 0\nCLOSED lost\n");
}

static void a_ping_comes_back_with_what_it_said(void **state) {
  test_pair *pair = *state;
  assert_int_equal(copse_wire_ping(pair->end[OPENER], TEST_BYTES("\xa1x")), COPSE_OK);
  assert_int_equal(copse_wire_ping(pair->end[OPENER], test_nothing), COPSE_EAGAIN);
  assert_int_equal(copse_wire_pong(pair->end[CALLEE]), COPSE_OK); /* unsolicited: is ignored */
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]), "PONG \"x\"\n");
  assert_string_equal(test_log_text(&pair->log[CALLEE]), "");
  assert_int_equal(copse_wire_ping(pair->end[OPENER], test_nothing), COPSE_OK);
  test_pair_run(pair);
}

static void a_pong_comes_after_the_answers_that_the_engine_owed(void **state) {
  test_pair *pair = *state;
  const uint64_t id = open_context(pair, &stream_args);
  assert_int_equal(copse_wire_started(pair->end[CALLEE], id, test_nil), COPSE_OK);
  test_pair_run(pair);
  test_log_reset(&pair->log[OPENER]);
  assert_int_equal(copse_wire_stop(pair->end[OPENER], id), COPSE_OK);
  copse_bytes views[4];
  (void)copse_wire_out(pair->end[OPENER], views, 4); /* STOP is written before what follows */
  uint64_t other;
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &other), COPSE_OK);
  assert_int_equal(copse_wire_ping(pair->end[OPENER], test_nothing), COPSE_OK);
  test_pair_move(pair, OPENER, SIZE_MAX);
  copse_event event;
  while (copse_wire_next(pair->end[CALLEE], &event) != COPSE_EV_NONE)
    if (event.type == COPSE_EV_OPEN)
      assert_int_equal(
          copse_wire_refuse(pair->end[CALLEE], event.context, COPSE_CODE_NO_TARGET, "none"),
          COPSE_OK);
  test_pair_run(pair);
  assert_string_equal(test_log_text(&pair->log[OPENER]),
                      "END 1\nERROR 3 {\"code\": \"no_target\", \"message\": \"none\"}\nPONG 1\n");
}

static void opening_at_the_limit_of_the_peer_fails_at_once(void **state) {
  test_pair *pair = *state;
  uint64_t id;
  for (int i = 0; i < 256; i++)
    assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_OK);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_ELIMIT);
  test_pair_run(pair);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], 1, test_nil), COPSE_OK);
  test_pair_run(pair);
  assert_int_equal(copse_wire_open(pair->end[OPENER], &call_args, &id), COPSE_OK);
  test_pair_run(pair);
  assert_null(strstr(test_log_text(&pair->log[CALLEE]), "violation"));
}

static void misuse_is_refused_and_changes_nothing(void **state) {
  test_pair *pair = *state;
  copse_wire_open_args args = call_args;
  uint64_t id;
  copse_wire *wire = pair->end[OPENER];
  args.target = "";
  assert_int_equal(copse_wire_open(wire, &args, &id), COPSE_EINVAL);
  args.target = "\xff";
  assert_int_equal(copse_wire_open(wire, &args, &id), COPSE_EINVAL);
  args = call_args;
  args.args = TEST_BYTES("\x01");
  assert_int_equal(copse_wire_open(wire, &args, &id), COPSE_EVALUE);
  args.args = TEST_BYTES("\x91");
  assert_int_equal(copse_wire_open(wire, &args, &id), COPSE_EVALUE);
  args = call_args;
  args.meta = TEST_BYTES("\x81\x01\x02");
  assert_int_equal(copse_wire_open(wire, &args, &id), COPSE_EVALUE);
  const uint64_t ctx = open_context(pair, &call_args);
  assert_int_equal(ctx, 1);
  assert_int_equal(copse_wire_return(wire, ctx, test_nil), COPSE_ESTATE);
  assert_int_equal(copse_wire_started(wire, ctx, test_nil), COPSE_ESTATE);
  assert_int_equal(copse_wire_cancel(pair->end[CALLEE], ctx, &requested, -1), COPSE_ESTATE);
  assert_int_equal(copse_wire_return(pair->end[CALLEE], ctx, TEST_BYTES("\x92")), COPSE_EVALUE);
  assert_int_equal(copse_wire_error(pair->end[CALLEE], ctx, TEST_BYTES("\x80")), COPSE_EVALUE);
  assert_int_equal(copse_wire_end(wire, 77), COPSE_EUNKNOWN);
  assert_int_equal(copse_wire_accept(pair->end[OPENER]), COPSE_ESTATE);
  assert_int_equal(copse_wire_accept(pair->end[CALLEE]), COPSE_ESTATE);
  assert_int_equal(test_pair_move(pair, OPENER, SIZE_MAX) + test_pair_move(pair, CALLEE, SIZE_MAX),
                   0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_call_is_one_frame_each_way),
      TEST(both_sides_open_ids_of_their_own_parity),
      TEST(items_flow_both_ways_under_credit_and_end),
      TEST(the_next_item_can_be_taken_and_nothing_else_before_its_turn),
      TEST(a_next_item_that_breaks_the_protocol_ends_the_link),
      TEST(bytes_bound_the_credit_with_one_message_of_overdraft),
      TEST(stop_is_answered_by_end_and_sending_becomes_a_soft_no),
      TEST(stop_before_started_is_answered_after_it),
      TEST(what_was_granted_before_started_goes_before_it),
      TEST(stop_is_not_answered_when_the_terminal_comes_first),
      TEST(items_after_my_stop_are_discarded_and_still_counted),
      TEST(an_open_without_credit_makes_sending_a_soft_no),
      TEST(cancel_reaches_a_running_callee_and_is_answered_cancelled),
      TEST(of_repeated_cancels_no_more_than_one_waits_to_be_written),
      TEST(a_cancel_before_any_byte_of_its_open_withdraws_both),
      TEST(a_cancel_in_the_middle_of_its_open_is_answered_that_nothing_ran),
      TEST(a_return_that_crosses_a_cancel_stands),
      TEST(items_and_end_that_cross_a_cancel_are_absorbed),
      TEST(frames_that_cross_a_terminal_are_ignored_by_the_callee),
      TEST(an_error_overtakes_the_items_queued_before_it),
      TEST(an_error_of_many_frames_overtakes_them_as_well),
      TEST(an_oversized_result_becomes_the_error_too_large),
      TEST(an_oversized_error_is_cut_until_it_fits),
      TEST(a_bye_both_ways_closes_once_every_context_has_ended),
      TEST(an_open_that_crosses_a_bye_is_refused_as_closing),
      TEST(opens_not_begun_are_withdrawn_by_a_bye),
      TEST(the_end_of_input_without_an_agreed_close_is_loss),
      TEST(a_bye_with_a_code_ends_the_link_for_both),
      TEST(a_ping_comes_back_with_what_it_said),
      TEST(a_pong_comes_after_the_answers_that_the_engine_owed),
      TEST(opening_at_the_limit_of_the_peer_fails_at_once),
      TEST(misuse_is_refused_and_changes_nothing),
  };
  return cmocka_run_group_tests_name("contexts between two engines", tests, NULL, NULL);
}
