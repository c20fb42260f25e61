/* SPDX-License-Identifier: MIT
 *
 * What the fuzzer does, as functions: so that its finds can be replayed by any compiler. */
#ifndef COPSE_TEST_WIRE_FEED_H
#define COPSE_TEST_WIRE_FEED_H

#include "wire_pair.h"

/* Raw bytes for an engine whose link is open. Stops the program where a rule is broken. */
void test_feed_bytes(const uint8_t *data, size_t size);
/* Bytes as choices in a game of two engines. */
void test_feed_play(const uint8_t *data, size_t size);
/* Bytes as a value. */
void test_feed_value(const uint8_t *data, size_t size);

#endif
