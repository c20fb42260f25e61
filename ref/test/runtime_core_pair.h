/* SPDX-License-Identifier: MIT
 *
 * Two runtimes in one process, on one loop, with a link between them: everything that the core does
 * can be watched from both ends, in one debugger, without a process or a socket file. */
#ifndef COPSE_TEST_RUNTIME_CORE_PAIR_H
#define COPSE_TEST_RUNTIME_CORE_PAIR_H

#include "runtime/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct pair {
  uv_loop_t loop;
  copse *a, *b;            /* `a` connected */
  copse__link *la, *lb;    /* NULL once lost */
  copse_peer *to_b, *to_a; /* referenced */
  copse_error *lost_a, *lost_b;
  bool graceful_a, graceful_b;
  int fds; /* open ones when it began */
} pair;

/* How the pair is made; zero is fine. */
typedef struct pair_options {
  copse_limits limits_b; /* of b */
  uint32_t heartbeat_ms; /* of both */
  uint32_t grace_ms;     /* of both */
  bool not_ready;        /* b answers not_ready */
  unsigned from;         /* what a is to b; 0: FROM_LOCAL */
} pair_options;

pair *pair_new(const pair_options *options);
/* Checks that everything is given back: descriptors, handles. */
void pair_free(pair *p);
/* One turn of a loop, sleeping before it only while nothing at all is due. (With UV_RUN_ONCE a loop
 * goes to sleep after what was due before its poll, and a test would not get to look at that.) */
void pair_turn(uv_loop_t *loop);
/* Turns the loop until `*flag`. A hang is ended by an alarm, not by a clock of ours. */
void pair_until(pair *p, const bool *flag);
/* Turns the loop until nothing is on its way between the two any more: a PING there
 * and back, both ways. */
void pair_settle(pair *p);
/* A value for tests: an encoded string, integer or array of one integer, valid
 * until the next but three. */
copse_bytes pair_str(const char *text);
copse_bytes pair_int(int64_t value);
int64_t pair_int_of(copse_bytes value);
/* A root-like scope of `rt` that says how it ended. */
typedef struct ending {
  bool ended, cancelled;
  copse_error *error;
} ending;
copse_scope *pair_scope(copse *rt, ending *e, int64_t deadline_ms);
void pair_ending_clear(ending *e);
int pair_count_fds(void);
/* A runtime alone on a loop of its own. */
copse *pair_alone(void);

#endif
