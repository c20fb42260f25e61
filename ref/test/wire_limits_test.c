/* SPDX-License-Identifier: MIT
 *
 * Limits: what a peer may send, what an engine may hold, what happens when memory runs out. */
#include "wire_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const copse_limits small = {16384, 40000, 16, 2};
static uint8_t body[70000];

/* In the hard build every byte moves memory. */
#ifdef COPSE_HARD
enum { ROUNDS = 2000 };
#else
enum { ROUNDS = 20000 };
#endif

struct fixture {
  test_mem mem;
  copse_wire *wire;
  copse_buf buf;
};

static int setup(void **state) {
  struct fixture *it = calloc(1, sizeof *it);
  if (!it) return -1;
  test_mem_init(&it->mem);
  copse_ref self = test_ref("acceptor", 1);
  copse_wire_config config = test_config(false, &self);
  config.limits = small;
  config.mem = &it->mem.mem;
  if (copse_wire_new(&it->wire, &config)) return -1;
  copse_buf_init(&it->buf, 64 << 20, NULL);
  test_hello(&it->buf, NULL);
  test_give(it->wire, copse_buf_bytes(&it->buf), SIZE_MAX);
  (void)test_expect(it->wire, COPSE_EV_HELLO);
  if (copse_wire_accept(it->wire)) return -1;
  free((void *)(uintptr_t)test_take(it->wire).data);
  copse_buf_reset(&it->buf);
  *state = it;
  return 0;
}

static int teardown(void **state) {
  struct fixture *it = *state;
  copse_wire_free(it->wire);
  copse_buf_deinit(&it->buf);
  const size_t left = it->mem.blocks;
  free(it);
  return left ? -1 : 0;
}

/* Gives what was collected; the first event after it. Nothing is written meanwhile. */
static copse_event give(struct fixture *it) {
  copse_event event = {.type = COPSE_EV_NONE}, first = event;
  copse_bytes bytes = copse_buf_bytes(&it->buf);
  while (bytes.size > 0) {
    const size_t given = copse_wire_recv(it->wire, bytes.data, bytes.size);
    while (copse_wire_next(it->wire, &event) != COPSE_EV_NONE)
      if (first.type == COPSE_EV_NONE || event.type == COPSE_EV_VIOLATION) first = event;
    bytes.data += given;
    bytes.size -= given;
  }
  copse_buf_reset(&it->buf);
  return first;
}

static void expect_violation(struct fixture *it, copse_code code, uint64_t context) {
  const copse_event event = give(it);
  assert_int_equal(event.type, COPSE_EV_VIOLATION);
  assert_string_equal(copse_code_text(event.violation.code), copse_code_text(code));
  assert_int_equal(event.violation.context, context);
  /* It has said so, once, and says nothing more. */
  copse_bytes out = test_take(it->wire);
  copse_wire *reader;
  copse_ref self = test_ref("reader", 3);
  copse_wire_config config = test_config(true, &self);
  assert_int_equal(copse_wire_new(&reader, &config), COPSE_OK);
  copse_buf_reset(&it->buf);
  test_hello(&it->buf, NULL);
  test_give(reader, copse_buf_bytes(&it->buf), SIZE_MAX);
  (void)test_expect(reader, COPSE_EV_HELLO);
  uint64_t id; /* so that replies about context 1 are about something */
  copse_wire_open_args args = {.target = "f", .send = true, .reads = true, .deadline_ms = -1};
  for (int i = 0; i < 16; i++) (void)copse_wire_open(reader, &args, &id);
  free((void *)(uintptr_t)test_take(reader).data);
  test_give(reader, out, SIZE_MAX);
  copse_event said;
  do {
    assert_int_not_equal(copse_wire_next(reader, &said), COPSE_EV_NONE);
  } while (said.type != COPSE_EV_BYE);
  assert_int_equal(said.bye.code.size, strlen(copse_code_text(code)));
  assert_memory_equal(said.bye.code.data, copse_code_text(code), said.bye.code.size);
  assert_int_equal(said.bye.context, context);
  copse_wire_free(reader);
  free((void *)(uintptr_t)out.data);
  (void)test_expect(it->wire, COPSE_EV_CLOSED);
  assert_int_equal(copse_wire_pong(it->wire), COPSE_ECLOSED);
}

static const copse_credit plenty = {100, 1 << 20};

static void open_stream(struct fixture *it, uint64_t id, copse_credit credit) {
  test_open(&it->buf, id, "f", true, true, plenty);
  assert_int_equal(give(it).type, COPSE_EV_OPEN);
  assert_int_equal(copse_wire_credit(it->wire, id, credit), COPSE_OK);
  assert_int_equal(copse_wire_started(it->wire, id, test_nil), COPSE_OK);
  free((void *)(uintptr_t)test_take(it->wire).data);
}

static void a_frame_beyond_my_limit_is_found_at_its_header(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, plenty);
  copse_buf_append(&it->buf, "\x00\x40\x01\x12\0\0\0\0\0\0\0\1",
                   12); /* 16385 announced, none sent */
  expect_violation(it, COPSE_CODE_FRAME, 1);
}

static void a_frame_of_exactly_my_limit_is_fine(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, plenty);
  memcpy(body, "\xc5\x3f\xfd", 3);
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, (copse_bytes){body, 16384});
  assert_int_equal(give(it).type, COPSE_EV_ITEM);
}

static void a_message_beyond_my_limit_is_found_at_the_fragment_that_exceeds_it(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, plenty);
  for (int i = 0; i < 2; i++)
    test_frame(&it->buf, COPSE_KIND_ITEM, true, 1, (copse_bytes){body, 16384});
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  /* 40000 - 2 * 16384 = 7232 are left; 7233 are announced */
  copse_buf_append(&it->buf, "\x00\x1c\x41\x12\0\0\0\0\0\0\0\1", 12);
  expect_violation(it, COPSE_CODE_LIMIT, 1);
}

static void a_context_beyond_my_limit_is_a_violation(void **state) {
  struct fixture *it = *state;
  for (uint64_t i = 0; i < 16; i++) test_open(&it->buf, 1 + 2 * i, "f", false, false, plenty);
  assert_int_equal(give(it).type, COPSE_EV_OPEN);
  test_open(&it->buf, 33, "f", false, false, plenty);
  expect_violation(it, COPSE_CODE_LIMIT, 33);
}

static void a_slot_is_held_until_its_terminal_is_handed_over(void **state) {
  struct fixture *it = *state;
  copse_wire_info info;
  for (uint64_t i = 0; i < 16; i++) test_open(&it->buf, 1 + 2 * i, "f", false, false, plenty);
  (void)give(it);
  assert_int_equal(copse_wire_return(it->wire, 1, test_nil), COPSE_OK);
  copse_bytes view;
  assert_int_equal(copse_wire_out(it->wire, &view, 1), 1);
  copse_wire_out_done(it->wire, view.size - 1);
  copse_wire_get_info(it->wire, &info);
  assert_int_equal(info.serving, 16);
  copse_wire_out_done(it->wire, 1);
  copse_wire_get_info(it->wire, &info);
  assert_int_equal(info.serving, 15);
  test_open(&it->buf, 33, "f", false, false, plenty);
  assert_int_equal(give(it).type, COPSE_EV_OPEN);
  assert_int_equal(copse_wire_return(it->wire, 3, test_nil), COPSE_OK);
  test_open(&it->buf, 35, "f", false, false, plenty);
  expect_violation(it, COPSE_CODE_LIMIT, 35); /* RETURN is queued, not handed over */
}

static void an_unfinished_message_beyond_my_partials_is_a_violation(void **state) {
  struct fixture *it = *state;
  for (uint64_t id = 1; id <= 5; id += 2) open_stream(it, id, plenty);
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 1, TEST_BYTES("\x92"));
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 3, TEST_BYTES("\x92"));
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 5, TEST_BYTES("\x92"));
  expect_violation(it, COPSE_CODE_LIMIT, 5);
}

/* FRAME-020: one OPEN at a time may be unfinished; whole ones of higher ids may pass it. */
static void
a_whole_open_may_come_between_the_fragments_of_another_and_a_second_part_may_not(void **state) {
  struct fixture *it = *state;
  const copse_credit none = {0, 0};
  test_frame(&it->buf, COPSE_KIND_OPEN, true, 1, TEST_BYTES("\x81\xa6tar"));
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  test_open(&it->buf, 3, "whole", false, false, none);
  copse_event event = give(it);
  assert_int_equal(event.type, COPSE_EV_OPEN);
  assert_int_equal(event.context, 3);
  test_frame(&it->buf, COPSE_KIND_OPEN, false, 1, TEST_BYTES("get\xa1x"));
  event = give(it);
  assert_int_equal(event.type, COPSE_EV_OPEN);
  assert_int_equal(event.context, 1);
  test_frame(&it->buf, COPSE_KIND_OPEN, true, 5, TEST_BYTES("\x81\xa6tar"));
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  test_frame(&it->buf, COPSE_KIND_OPEN, true, 7, TEST_BYTES("\x81\xa6tar"));
  expect_violation(it, COPSE_CODE_FRAME, 7);
}

static void an_abandoned_message_makes_room_for_another(void **state) {
  struct fixture *it = *state;
  for (uint64_t id = 1; id <= 5; id += 2) open_stream(it, id, plenty);
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 1, TEST_BYTES("\x92"));
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 3, TEST_BYTES("\x92"));
  test_frame(&it->buf, COPSE_KIND_END, false, 3, test_nothing);
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 5, TEST_BYTES("\x92"));
  assert_int_equal(give(it).type, COPSE_EV_END);
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 5, TEST_BYTES("\x01\x02"));
  const copse_event event = give(it);
  assert_int_equal(event.type, COPSE_EV_ITEM);
  assert_int_equal(event.value.size, 3);
}

static void a_control_frame_beyond_1_kib_is_a_violation(void **state) {
  struct fixture *it = *state;
  memcpy(body, "\xc5\x03\xfe", 3); /* 3 + 1022 = 1025 */
  test_frame(&it->buf, COPSE_KIND_PING, false, 0, (copse_bytes){body, 1025});
  expect_violation(it, COPSE_CODE_LIMIT, 0);
}

static void a_second_ping_before_the_answer_is_handed_over_is_a_violation(void **state) {
  struct fixture *it = *state;
  memcpy(body, "\xc5\x03\xfd", 3); /* exactly 1 KiB */
  test_frame(&it->buf, COPSE_KIND_PING, false, 0, (copse_bytes){body, 1024});
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  free((void *)(uintptr_t)test_take(it->wire).data);
  test_frame(&it->buf, COPSE_KIND_PING, false, 0, test_nil);
  assert_int_equal(give(it).type, COPSE_EV_NONE);
  test_frame(&it->buf, COPSE_KIND_PING, false, 0, test_nil);
  expect_violation(it, COPSE_CODE_LIMIT, 0);
}

static void an_item_beyond_the_credit_is_a_violation_even_after_my_stop(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, (copse_credit){2, 1000});
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, test_nil);
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, test_nil);
  assert_int_equal(give(it).type, COPSE_EV_ITEM);
  assert_int_equal(copse_wire_stop(it->wire, 1), COPSE_OK);
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, test_nil);
  expect_violation(it, COPSE_CODE_CREDIT, 1);
}

static void one_item_may_overdraw_the_bytes_and_the_next_may_not(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, (copse_credit){9, 10});
  memcpy(body, "\xc5\x10\x00", 3);
  test_frame(&it->buf, COPSE_KIND_ITEM, true, 1, (copse_bytes){body, 9});
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, (copse_bytes){body + 9, 4099 - 9});
  assert_int_equal(give(it).type, COPSE_EV_ITEM);
  test_frame(&it->buf, COPSE_KIND_ITEM, false, 1, test_nil);
  expect_violation(it, COPSE_CODE_CREDIT, 1);
}

static void a_smaller_total_of_credit_is_a_violation(void **state) {
  struct fixture *it = *state;
  open_stream(it, 1, plenty);
  test_frame(&it->buf, COPSE_KIND_CREDIT, false, 1, TEST_BYTES("\x92\x63\xce\x00\x20\x00\x00"));
  expect_violation(it, COPSE_CODE_CREDIT, 1);
}

static void a_peer_that_never_reads_cannot_make_me_hold_more_than_the_bound(void **state) {
  struct fixture *it = *state;
  /* It opens, pings, stops, gives credit and cancels as much as it may, for ever; I answer all. */
  size_t frames = 0;
  copse_event event;
  for (uint64_t id = 1; id < 32; id += 2) test_open(&it->buf, id, "f", true, true, plenty);
  test_frame(&it->buf, COPSE_KIND_PING, false, 0, test_nil);
  for (int i = 0; i < ROUNDS; i++) {
    const uint64_t id = 1 + 2 * (uint64_t)(i % 16);
    test_frame(&it->buf, COPSE_KIND_CREDIT, false, id,
               TEST_BYTES("\x92\xce\x00\xff\xff\xff\xce\x0f\xff\xff\xff"));
    test_frame(&it->buf, COPSE_KIND_ITEM, false, id, TEST_BYTES("\xa5hello"));
    if (i > ROUNDS - 1000) test_frame(&it->buf, COPSE_KIND_STOP, false, id, test_nothing);
    if (i > ROUNDS - 500)
      test_frame(&it->buf, COPSE_KIND_CANCEL, false, id,
                 TEST_BYTES("\x81\xa6origin\xa5"
                            "error"));
    if (i > ROUNDS - 500) break;
  }
  copse_bytes bytes = copse_buf_bytes(&it->buf);
  memcpy(body, "\xc5\x3f\x00", 3);
  const copse_bytes item = {body, 3 + 0x3f00};
  uint64_t consumed[32] = {0};
  while (bytes.size > 0) {
    const size_t given =
        copse_wire_recv(it->wire, bytes.data, bytes.size < 1000 ? bytes.size : 1000);
    bytes.data += given;
    bytes.size -= given;
    while (copse_wire_next(it->wire, &event) != COPSE_EV_NONE) {
      frames++;
      assert_int_not_equal(event.type, COPSE_EV_VIOLATION);
      if (event.type == COPSE_EV_OPEN) {
        assert_int_equal(copse_wire_started(it->wire, event.context, test_nil), COPSE_OK);
        assert_int_equal(copse_wire_credit(it->wire, event.context, (copse_credit){10, 1000}),
                         COPSE_OK);
      } else if (event.type == COPSE_EV_ITEM) {
        consumed[event.context]++;
        const copse_credit more = {consumed[event.context] + 10,
                                   1000 + 6 * consumed[event.context]};
        assert_int_equal(copse_wire_credit(it->wire, event.context, more), COPSE_OK);
        (void)copse_wire_send(it->wire, event.context, &item, 1, 0);
      } else if (event.type == COPSE_EV_CANCEL) {
        assert_int_equal(copse_wire_cancelled(it->wire, event.context, &event.cancel.cause, true),
                         COPSE_OK);
      }
      copse_bytes view; /* the transport takes nothing, however often it looks */
      (void)copse_wire_out(it->wire, &view, 1);
    }
  }
  assert_true(frames > ROUNDS * 3 / 4);
  /* One queued item per context, 64 KiB and a frame, control frames, buffers that double. */
  const size_t bound = 2 * (16 * (16384 + 1024) + 65536 + 16384 + 128 * 1024) + 65536;
  if (it->mem.peak > bound) fail_msg("%zu bytes held, the bound is %zu", it->mem.peak, bound);
}

/* --- failing memory --------------------------------------------------------------------------- */

/* A conversation with everything in it; false if an engine could not even be made. */
static bool scenario(test_pair *pair, long fail_at, bool after, int which, long *calls) {
  for (int end = 0; end < 2; end++) test_mem_init(&pair->mem[end]);
  pair->mem[which].fail_at = fail_at;
  pair->mem[which].fail_after = after;
  for (int end = 0; end < 2; end++) {
    pair->log[end] = (test_log){NULL, 0, 0};
    copse_ref self = test_ref("engine", (uint8_t)(end + 1));
    copse_wire_config config = test_config(end == OPENER, &self);
    config.mem = &pair->mem[end].mem;
    config.limits = small;
    config.token = TEST_BYTES("secret");
    copse_status status = copse_wire_new(&pair->end[end], &config);
    if (status) {
      assert_int_equal(status, COPSE_ENOMEM);
      assert_null(pair->end[end]);
      if (end == 1) copse_wire_free(pair->end[0]);
      *calls = pair->mem[which].calls;
      return false;
    }
  }
  copse_wire *opener = pair->end[OPENER], *callee = pair->end[CALLEE];
#define MAY_FAIL(call)                                                                             \
  do {                                                                                             \
    copse_status status_ = (call);                                                                 \
    if (status_ == COPSE_ENOMEM) status_ = (call); /* nothing was changed: so again */             \
    (void)status_;                                                                                 \
  } while (0)
  test_pair_move(pair, OPENER, SIZE_MAX);
  test_pair_drain(pair, CALLEE);
  MAY_FAIL(copse_wire_accept(callee));
  test_pair_run(pair);
  copse_wire_open_args args = {.target = "f", .send = true, .reads = true, .deadline_ms = -1};
  args.credit = plenty;
  uint64_t ids[4] = {0};
  memcpy(body, "\x91\xc5\x7f\xf0", 4);
  args.args = (copse_bytes){body, 4 + 0x7ff0};
  for (int i = 0; i < 4; i++) {
    MAY_FAIL(copse_wire_open(opener, &args, &ids[i]));
    args.args = test_nothing;
  }
  test_pair_run(pair);
  memcpy(body, "\xc5\x7f\xf0", 3);
  const copse_bytes item = {body, 3 + 0x7ff0};
  for (int i = 0; i < 4; i++) {
    MAY_FAIL(copse_wire_credit(callee, ids[i], plenty));
    MAY_FAIL(copse_wire_started(callee, ids[i], item));
    MAY_FAIL(copse_wire_send(callee, ids[i], &item, 1, COPSE_LEND));
    MAY_FAIL(copse_wire_send(callee, ids[i], &test_nil, 1, 0));
  }
  (void)copse_wire_settle(callee);
  MAY_FAIL(copse_wire_ping(opener, test_nothing));
  test_pair_run(pair);
  for (int i = 0; i < 4; i++) MAY_FAIL(copse_wire_send(opener, ids[i], &item, 1, 0));
  const copse_cause cause = {.origin = COPSE_ORIGIN_REQUESTED};
  MAY_FAIL(copse_wire_stop(opener, ids[0]));
  MAY_FAIL(copse_wire_cancel(opener, ids[1], &cause, 100));
  test_pair_run(pair);
  MAY_FAIL(copse_wire_return(callee, ids[0], item));
  MAY_FAIL(copse_wire_cancelled(callee, ids[1], &cause, true));
  MAY_FAIL(copse_wire_refuse(callee, ids[2], COPSE_CODE_BUSY, "busy"));
  MAY_FAIL(copse_wire_return(callee, ids[3], test_nil));
  test_pair_run(pair);
  MAY_FAIL(copse_wire_bye(opener, COPSE_CODE_NONE, NULL, 0));
  test_pair_run(pair);
#undef MAY_FAIL
  *calls = pair->mem[which].calls;
  return true;
}

static void every_allocation_that_fails_in_turn_is_survived(void **state) {
  (void)state;
  static test_pair pair;
  size_t unharmed = 0, no_memory = 0;
  for (int which = 0; which < 2; which++) {
    long count = 0;
    assert_true(scenario(&pair, 0, false, which, &count));
    assert_non_null(strstr(test_log_text(&pair.log[OPENER]), "CLOSED graceful"));
    char *good = strdup(test_log_text(&pair.log[OPENER]));
    test_pair_deinit(&pair);
    assert_true(count > 20);
    const long stride =
        count / 200 + 1; /* 1 but in the hard build, which allocates at every byte */
    for (int after = 0; after < 2; after++)
      for (long i = 1; i <= count; i += stride) {
        long calls;
        if (!scenario(&pair, i, after, which, &calls)) {
          assert_int_equal(pair.mem[which].blocks, 0);
          continue;
        }
        /* Either nobody noticed, or the link was ended with the right word. */
        const bool same = strcmp(good, test_log_text(&pair.log[OPENER])) == 0;
        const bool said = strstr(test_log_text(&pair.log[which]), "violation no_memory") != NULL;
        const bool heard = strstr(test_log_text(&pair.log[!which]), "BYE no_memory") != NULL;
        unharmed += same;
        no_memory += said && heard;
        assert_null(strstr(test_log_text(&pair.log[!which]), "violation"));
        test_pair_deinit(&pair);
      }
    free(good);
  }
  assert_true(unharmed > 10);
  assert_true(no_memory > 10);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_frame_beyond_my_limit_is_found_at_its_header),
      TEST(a_frame_of_exactly_my_limit_is_fine),
      TEST(a_message_beyond_my_limit_is_found_at_the_fragment_that_exceeds_it),
      TEST(a_context_beyond_my_limit_is_a_violation),
      TEST(a_slot_is_held_until_its_terminal_is_handed_over),
      TEST(an_unfinished_message_beyond_my_partials_is_a_violation),
      TEST(a_whole_open_may_come_between_the_fragments_of_another_and_a_second_part_may_not),
      TEST(an_abandoned_message_makes_room_for_another),
      TEST(a_control_frame_beyond_1_kib_is_a_violation),
      TEST(a_second_ping_before_the_answer_is_handed_over_is_a_violation),
      TEST(an_item_beyond_the_credit_is_a_violation_even_after_my_stop),
      TEST(one_item_may_overdraw_the_bytes_and_the_next_may_not),
      TEST(a_smaller_total_of_credit_is_a_violation),
      TEST(a_peer_that_never_reads_cannot_make_me_hold_more_than_the_bound),
      cmocka_unit_test(every_allocation_that_fails_in_turn_is_survived),
  };
  return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
