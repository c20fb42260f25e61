/* SPDX-License-Identifier: MIT
 *
 * Two engines back to back, and hand-made frames: what the tests of the engine stand on. */
#ifndef COPSE_TEST_WIRE_PAIR_H
#define COPSE_TEST_WIRE_PAIR_H

#include "copse/wire.h"

#include <stdio.h>

/* --- memory ----------------------------------------------------------------------------------- */

/* Counts what is allocated, and can be told to fail. */
typedef struct test_mem {
  copse_mem mem;
  size_t blocks, bytes, peak;
  long calls;      /* allocations asked for so far */
  long fail_at;    /* the one that fails; 0: none */
  bool fail_after; /* ... and all after it */
} test_mem;

void test_mem_init(test_mem *mem);

/* --- randomness ------------------------------------------------------------------------------- */

/* A small generator of our own, so that a seed means the same everywhere. */
typedef struct test_random {
  uint64_t state;
} test_random;

uint64_t test_random_next(test_random *random);
/* 0 <= number < bound */
uint64_t test_random_below(test_random *random, uint64_t bound);

/* --- log -------------------------------------------------------------------------------------- */

/* A growing text. */
typedef struct test_log {
  char *text;
  size_t size, capacity;
} test_log;

void test_log_add(test_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void test_log_reset(test_log *log);
const char *test_log_text(const test_log *log);
void test_log_deinit(test_log *log);

/* One event as a line, without its end. */
size_t test_event_text(const copse_event *event, char *text, size_t size);
const char *test_event_name(copse_event_type type);

/* --- pair ------------------------------------------------------------------------------------- */

enum { OPENER, CALLEE };

typedef struct test_pair {
  copse_wire *end[2]; /* OPENER is the connector */
  test_mem mem[2];
  test_log log[2];
} test_pair;

/* A reference with a name and an id made of one byte. */
copse_ref test_ref(const char *name, uint8_t id);
copse_wire_config test_config(bool connector, const copse_ref *self);

/* Two engines that have said HELLO. NULL limits: the defaults. */
void test_pair_init(test_pair *pair, const copse_limits *opener, const copse_limits *callee);
void test_pair_deinit(test_pair *pair);
/* Takes at most `size` bytes from one end to the other; returns how many. Pulls no events. */
size_t test_pair_move(test_pair *pair, int from, size_t size);
/* Moves everything both ways and logs every event, until nothing moves. */
void test_pair_run(test_pair *pair);
/* Logs what an end has to say. */
void test_pair_drain(test_pair *pair, int end);
/* The next event, which must be of this type. */
copse_event test_expect(copse_wire *wire, copse_event_type type);

/* Everything that an engine has to write, in one piece; to be freed. */
copse_bytes test_take(copse_wire *wire);
/* Gives bytes to an engine, in pieces of `piece`. */
void test_give(copse_wire *wire, copse_bytes bytes, size_t piece);

/* --- frames ----------------------------------------------------------------------------------- */

void test_frame(copse_buf *buf, unsigned kind, bool more, uint64_t context, copse_bytes payload);
copse_bytes test_hex(const char *hex, uint8_t *bytes, size_t size);
/* A HELLO of a peer with these limits and all features. */
void test_hello(copse_buf *buf, const copse_limits *limits);
/* OPEN of a target; credit {0,0} and `reads` false: none. */
void test_open(copse_buf *buf, uint64_t context, const char *target, bool send, bool reads,
               copse_credit credit);

#define TEST_BYTES(text) ((copse_bytes){(const uint8_t *)(text), sizeof(text) - 1})
static const copse_bytes test_nil = {(const uint8_t *)"\xc0", 1};
static const copse_bytes test_nothing = {NULL, 0};

#endif
