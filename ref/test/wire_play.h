/* SPDX-License-Identifier: MIT
 *
 * A game of random but legal moves at both ends of a link, with a referee. */
#ifndef COPSE_TEST_WIRE_PLAY_H
#define COPSE_TEST_WIRE_PLAY_H

#include "wire_pair.h"

/* Where decisions come from: a seeded generator, or the bytes of a fuzzer. */
typedef struct test_choices {
  test_random random;
  const uint8_t *data; /* not NULL: these, and then zeros */
  size_t size, used;
} test_choices;

uint64_t test_choose(test_choices *choices, uint64_t bound);

typedef struct test_play_result {
  size_t items, contexts, terminals, cancels; /* seen at either end */
  size_t peak;                                /* bytes that both engines held at most */
} test_play_result;

/* Plays `moves` moves, then lets everything end. Returns NULL, or what rule was broken.
 * `frail`: allocations may fail (a choice each), which may end the link with no_memory. */
const char *test_play(test_choices *choices, size_t moves, bool frail, test_play_result *result);

#endif
