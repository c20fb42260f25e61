/* SPDX-License-Identifier: MIT
 *
 * Random legal walks, and the independence of events from how the bytes were cut. */
#include "wire_play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The hard build moves memory at every byte: a tenth of the rounds takes longer than all others. */
#ifdef COPSE_HARD
enum { SHARE = 10 };
#else
enum { SHARE = 1 };
#endif

static void walk(uint64_t seed, size_t moves, bool frail, test_play_result *sum) {
  test_choices choices = {.random = {seed}};
  test_play_result result;
  const char *broken = test_play(&choices, moves, frail, &result);
  if (broken) fail_msg("seed %llu: %s", (unsigned long long)seed, broken);
  sum->items += result.items;
  sum->contexts += result.contexts;
  sum->terminals += result.terminals;
  sum->cancels += result.cancels;
  if (result.peak > sum->peak) sum->peak = result.peak;
}

static void random_legal_walks_deliver_what_was_sent_and_end_everything(void **state) {
  (void)state;
  test_play_result sum = {0};
  for (uint64_t seed = 1; seed <= 150 / SHARE; seed++) walk(seed, 2000, false, &sum);
  print_message("# %zu contexts, %zu items, %zu terminals, %zu CANCELs, %zu bytes at most\n",
                sum.contexts, sum.items, sum.terminals, sum.cancels, sum.peak);
  /* A walk that did nothing would pass as well; so it must have done a lot. */
  assert_true(sum.items > 5000 / SHARE);
  assert_true(sum.contexts > 1000 / SHARE);
  assert_true(sum.cancels > 500 / SHARE);
}

static void random_walks_survive_failing_memory_at_either_end(void **state) {
  (void)state;
  test_play_result sum = {0};
  for (uint64_t seed = 1; seed <= 400 / SHARE; seed++) walk(seed << 32, 400, true, &sum);
  assert_true(sum.items > 50 / SHARE);
}

/* --- split invariance ------------------------------------------------------------------------- */

/* A side that does the same at the same event, whenever that comes. */
static void react(copse_wire *wire, const copse_event *event, test_log *log) {
  char text[2048];
  test_event_text(event, text, sizeof text);
  test_log_add(log, "%s\n", text);
  switch (event->type) {
  case COPSE_EV_HELLO: (void)copse_wire_accept(wire); break;
  case COPSE_EV_OPEN:
    (void)copse_wire_credit(wire, event->context, (copse_credit){100, 1 << 20});
    (void)copse_wire_started(wire, event->context, test_nil);
    break;
  case COPSE_EV_END: (void)copse_wire_return(wire, event->context, TEST_BYTES("\x05")); break;
  case COPSE_EV_CANCEL:
    if (!event->cancel.again)
      (void)copse_wire_cancelled(wire, event->context, &event->cancel.cause, true);
    break;
  case COPSE_EV_NONE:
  case COPSE_EV_STARTED:
  case COPSE_EV_ITEM:
  case COPSE_EV_STOP:
  case COPSE_EV_WRITABLE:
  case COPSE_EV_RETURN:
  case COPSE_EV_ERROR:
  case COPSE_EV_CANCELLED:
  case COPSE_EV_WITHDRAWN:
  case COPSE_EV_PONG:
  case COPSE_EV_BYE:
  case COPSE_EV_CLOSED:
  case COPSE_EV_VIOLATION: break;
  }
}

/* What an acceptor makes of these bytes, cut in this way: 0 is at random. */
static void replay(copse_bytes bytes, size_t piece, uint64_t seed, test_log *log) {
  copse_ref self = test_ref("acceptor", 7);
  copse_wire_config config = test_config(false, &self);
  config.limits = (copse_limits){16384, 65536, 16, 2};
  copse_wire *wire;
  assert_int_equal(copse_wire_new(&wire, &config), COPSE_OK);
  test_random random = {seed};
  copse_event event;
  copse_bytes views[8];
  test_log_reset(log);
  while (bytes.size > 0) {
    size_t size = piece ? piece : 1 + (size_t)test_random_below(&random, 3000);
    if (size > bytes.size) size = bytes.size;
    const size_t given = copse_wire_recv(wire, bytes.data, size);
    while (copse_wire_next(wire, &event) != COPSE_EV_NONE) react(wire, &event, log);
    bytes.data += given;
    bytes.size -= given;
    /* Everything is written at once, so that slots and PONGs do not depend on it. */
    for (size_t count; (count = copse_wire_out(wire, views, 8)) > 0;)
      for (size_t i = 0; i < count; i++) copse_wire_out_done(wire, views[i].size);
  }
  copse_wire_eof(wire);
  while (copse_wire_next(wire, &event) != COPSE_EV_NONE) react(wire, &event, log);
  copse_wire_free(wire);
}

/* A long conversation of hand-made frames; `wild` ends it with bytes that are anything. */
static copse_buf conversation(uint64_t seed, bool wild) {
  test_random random = {seed};
  copse_buf buf;
  copse_buf_init(&buf, 8 << 20, NULL);
  test_hello(&buf, NULL);
  uint64_t next = 1;
  struct {
    bool open, partial, ended;
  } contexts[8] = {{false, false, false}};
  static uint8_t body[16000];
  memset(body, 0xc0, sizeof body);
  size_t partials = 0;
  bool pinged = false;
  for (int i = 0; i < 400; i++) {
    const unsigned which = (unsigned)test_random_below(&random, 8);
    const uint64_t id = next + 2 * which;
    if (!contexts[which].open) {
      if (which > 0 && !contexts[which - 1].open) continue;
      test_open(&buf, id, "target", true, test_random_below(&random, 2), (copse_credit){3, 300});
      contexts[which].open = true;
      continue;
    }
    if (contexts[which].ended) continue;
    switch (test_random_below(&random, 8)) {
    case 0:
    case 1:
      if (!contexts[which].partial) {
        test_frame(&buf, COPSE_KIND_ITEM, false, id, TEST_BYTES("\xa3one"));
      } else { /* the rest: an array of that many nils was announced */
        test_frame(&buf, COPSE_KIND_ITEM, false, id, (copse_bytes){body, 10000});
        contexts[which].partial = false;
        partials--;
      }
      break;
    case 2:
      if (!contexts[which].partial && partials < 2) {
        test_frame(&buf, COPSE_KIND_ITEM, true, id, TEST_BYTES("\xdc\x27\x10"));
        contexts[which].partial = true;
        partials++;
      }
      break;
    case 3:
      /* Once: whether a second is too early depends on what was written between. */
      if (!pinged) test_frame(&buf, COPSE_KIND_PING, false, 0, TEST_BYTES("\xa4ping"));
      pinged = true;
      break;
    case 4:
      test_frame(&buf, 0x55, true, id, (copse_bytes){body, test_random_below(&random, 500)});
      break;
    case 5:
      if (test_random_below(&random, 4) == 0) {
        test_frame(&buf, COPSE_KIND_CANCEL, false, id,
                   TEST_BYTES("\x81\xa6origin\xa5"
                              "error"));
        contexts[which].ended = true;
        partials -= contexts[which].partial;
      }
      break;
    case 6:
      if (test_random_below(&random, 4) == 0) {
        test_frame(&buf, COPSE_KIND_END, false, id, test_nothing);
        contexts[which].ended = true;
        partials -= contexts[which].partial;
      }
      break;
    default: test_frame(&buf, COPSE_KIND_STOP, false, id, test_nothing);
    }
  }
  if (wild)
    for (int i = 0; i < 20; i++) {
      uint8_t junk[16];
      for (size_t j = 0; j < sizeof junk; j++) junk[j] = (uint8_t)test_random_next(&random);
      test_frame(&buf, junk[0] & 0x1f, junk[1] % 4 == 0, junk[2] % 20,
                 (copse_bytes){junk, junk[3] % sizeof junk});
    }
  return buf;
}

static void any_partition_of_the_bytes_gives_the_same_events(void **state) {
  (void)state;
  test_log whole = {NULL, 0, 0}, pieces = {NULL, 0, 0};
  size_t lines = 0, violations = 0;
  for (uint64_t seed = 1; seed <= 60 / SHARE; seed++) {
    copse_buf buf = conversation(seed, seed % 2);
    const copse_bytes bytes = copse_buf_bytes(&buf);
    replay(bytes, SIZE_MAX, 0, &whole);
    for (const char *at = test_log_text(&whole); *at; at++) lines += *at == '\n';
    violations += strstr(test_log_text(&whole), "violation") != NULL;
    if (seed % 2 == 0) assert_null(strstr(test_log_text(&whole), "violation"));
    const size_t cuts[] = {1, 2, 11, 12, 13, 4096, 0, 0, 0};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
      replay(bytes, cuts[i], seed * 100 + i, &pieces);
      assert_string_equal(test_log_text(&whole), test_log_text(&pieces));
    }
    copse_buf_deinit(&buf);
  }
  assert_true(lines > 2000 / SHARE);
  assert_true(violations >= 20 / SHARE);
  test_log_deinit(&whole);
  test_log_deinit(&pieces);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_legal_walks_deliver_what_was_sent_and_end_everything),
      cmocka_unit_test(random_walks_survive_failing_memory_at_either_end),
      cmocka_unit_test(any_partition_of_the_bytes_gives_the_same_events),
  };
  return cmocka_run_group_tests_name("walks", tests, NULL, NULL);
}
