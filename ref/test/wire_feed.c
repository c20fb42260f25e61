/* SPDX-License-Identifier: MIT
 *
 * What the fuzzer does, as functions. */
#include "wire_feed.h"

#include "wire_play.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                              \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

/* The engine's own frames must at least be frames. */
static void check_output(copse_wire *wire, bool over) {
  copse_bytes out = test_take(wire);
  size_t at = 0;
  unsigned last = 0;
  while (at < out.size) {
    MUST(out.size - at >= COPSE_HEADER_SIZE);
    const size_t length =
        (size_t)out.data[at] << 16 | (size_t)out.data[at + 1] << 8 | out.data[at + 2];
    last = out.data[at + 3] & 0x7f;
    MUST(strcmp(copse_kind_name(last), "unknown") != 0);
    MUST(out.size - at - COPSE_HEADER_SIZE >= length);
    const bool empty = last == COPSE_KIND_END || last == COPSE_KIND_STOP;
    const bool whole = !(out.data[at + 3] & 0x80) && last != COPSE_KIND_RETURN;
    MUST(empty ? length == 0 : length > 0);
    if (!empty && whole)
      MUST(copse_value_check((copse_bytes){out.data + at + COPSE_HEADER_SIZE, length}, NULL,
                             NULL) == COPSE_OK);
    at += COPSE_HEADER_SIZE + length;
  }
  if (over && out.size) MUST(last == COPSE_KIND_BYE);
  free((void *)(uintptr_t)out.data);
}

/* Touches everything that an event shows. */
static void look(const copse_event *event) {
  static volatile uint8_t sum;
  char text[2048];
  test_event_text(event, text, sizeof text);
  for (size_t i = 0; i < event->value.size; i++) sum = (uint8_t)(sum + event->value.data[i]);
  if (event->type == COPSE_EV_OPEN) {
    MUST(event->open.target.size >= 1 && event->open.target.size <= COPSE_TARGET_MAX);
    MUST(event->open.args.size == 0 || copse_value_check(event->open.args, NULL, NULL) == COPSE_OK);
  }
  if (event->value.size && event->type != COPSE_EV_ERROR)
    MUST(copse_value_check(event->value, NULL, NULL) == COPSE_OK);
}

void test_feed_bytes(const uint8_t *data, size_t size) {
  if (size < 4) return;
  const uint8_t flags = data[0], piece = data[1], habit = data[2];
  data += 3;
  size -= 3;
  test_mem mem;
  test_mem_init(&mem);
  copse_ref self = test_ref("fuzzed", 1);
  copse_wire_config config = test_config(flags & 1, &self);
  config.limits = (copse_limits){16384, 40000, 16, 2};
  config.mem = &mem.mem;
  copse_wire *wire;
  MUST(copse_wire_new(&wire, &config) == COPSE_OK);
  copse_event event;
  if (!(flags & 2)) { /* else the HELLO, too, is in the data */
    copse_buf buf;
    copse_buf_init(&buf, 1 << 16, NULL);
    test_hello(&buf, NULL);
    test_give(wire, copse_buf_bytes(&buf), SIZE_MAX);
    copse_buf_deinit(&buf);
    MUST(copse_wire_next(wire, &event) == COPSE_EV_HELLO);
    MUST(copse_wire_accept(wire) == (flags & 1 ? COPSE_ESTATE : COPSE_OK));
    copse_wire_open_args args = {.target = "f", .send = true, .reads = true, .deadline_ms = -1};
    args.credit = (copse_credit){3, 1000};
    uint64_t id;
    for (int i = 0; i < 3; i++) MUST(copse_wire_open(wire, &args, &id) == COPSE_OK);
  }
  bool over = false, closed = false;
  unsigned round = 0;
  const copse_cause cause = {.origin = COPSE_ORIGIN_REQUESTED};
  while (size > 0) {
    size_t part = piece ? piece : size;
    if (part > size) part = size;
    size_t given = copse_wire_recv(wire, data, part);
    data += given;
    size -= given;
    while (copse_wire_next(wire, &event) != COPSE_EV_NONE) {
      MUST(!closed);
      MUST(!over || event.type == COPSE_EV_CLOSED);
      look(&event);
      if (event.type == COPSE_EV_VIOLATION) over = true;
      if (event.type == COPSE_EV_CLOSED) closed = true;
      if (event.type == COPSE_EV_HELLO) (void)copse_wire_accept(wire);
      if (event.context == 0) continue;
      switch (habit >> (round++ % 6) & 7) {
      case 0:
        (void)copse_wire_started(wire, event.context, test_nil);
        (void)copse_wire_credit(wire, event.context, (copse_credit){round, round * 100});
        break;
      case 1: (void)copse_wire_send(wire, event.context, &test_nil, 1, 0); break;
      case 2: (void)copse_wire_end(wire, event.context); break;
      case 3: (void)copse_wire_stop(wire, event.context); break;
      case 4: (void)copse_wire_cancel(wire, event.context, &cause, round); break;
      case 5:
        if (event.type == COPSE_EV_ITEM) (void)copse_wire_return(wire, event.context, event.value);
        break;
      case 6: (void)copse_wire_refuse(wire, event.context, COPSE_CODE_BUSY, "busy"); break;
      default: (void)copse_wire_bye(wire, COPSE_CODE_NONE, NULL, 0);
      }
    }
    MUST(mem.bytes < 4 << 20);
    if (flags & 4) check_output(wire, over);
    if (given == 0) break;
  }
  check_output(wire, over);
  copse_wire_eof(wire);
  while (copse_wire_next(wire, &event) != COPSE_EV_NONE) {
    look(&event);
    closed = event.type == COPSE_EV_CLOSED;
  }
  MUST(closed || over);
  copse_wire_free(wire);
  MUST(mem.blocks == 0 && mem.bytes == 0);
}

void test_feed_play(const uint8_t *data, size_t size) {
  if (size == 0) return;
  test_choices choices = {.data = data + 1, .size = size - 1};
  test_play_result result;
  const char *broken = test_play(&choices, 4000, data[0] & 1, &result);
  if (broken) {
    fprintf(stderr, "%s\n", broken);
    abort();
  }
}

void test_feed_value(const uint8_t *data, size_t size) {
  const copse_bytes value = {data, size};
  copse_bytes whole;
  copse_reader reader;
  const char *why = NULL;
  size_t offset = 0;
  const bool good = copse_value_check(value, &why, &offset) == COPSE_OK;
  if (!good) MUST(why && offset <= size);
  copse_reader_init(&reader, value);
  const copse_status status = copse_read_value(&reader, &whole);
  if (good) MUST(status == COPSE_OK && whole.size == size);
  char text[300];
  MUST(copse_value_text(value, text, sizeof text) < sizeof text);
  copse_reader_init(&reader, value);
  copse_token token;
  copse_buf again;
  copse_buf_init(&again, 2 * size + 16, NULL);
  while (copse_read(&reader, &token) == COPSE_OK) {
    if (token.bytes.size)
      MUST(token.bytes.data >= data && token.bytes.data + token.bytes.size <= data + size);
    copse_pack_value(&again, token.bytes);
  }
  MUST(copse_buf_status(&again) == COPSE_OK);
  copse_buf_deinit(&again);
  copse_ref ref;
  (void)copse_value_ref(value, &ref);
  (void)copse_map_get(value, "a", &whole);
}
