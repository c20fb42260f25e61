/* SPDX-License-Identifier: MIT
 *
 * ladder.h: how a child is made to go, a rung at a time.
 */
#ifndef COPSE_RUNTIME_LADDER_H
#define COPSE_RUNTIME_LADDER_H

#include "runtime/internal.h"

/* The rungs, lowest first. X(name, signal that is sent on it, how long we wait on it) */
#define COPSE__RUNGS(X)                                                                            \
  X(GROUND, 0, COPSE__WAIT_NONE) /* not begun */                                                   \
  X(ASKED, 0, COPSE__WAIT_GRACE) /* CANCEL or END was sent: it is to go by itself */               \
  X(TERMED, SIGTERM, COPSE__WAIT_TERM)                                                             \
  X(KILLED, SIGKILL, COPSE__WAIT_EXIT) /* nothing left to do but to wait for its exit */

typedef enum copse__rung {
#define X(name, signal, wait) COPSE__RUNG_##name,
  COPSE__RUNGS(X)
#undef X
} copse__rung;

typedef struct copse__ladder {
  copse *rt;
  copse__timer timer;
  copse__rung rung;
  uint32_t term_ms;
  /* Sends a signal to the child; called from copse__ladder_climb and in the turn. */
  void (*send)(struct copse__ladder *ladder, int signal);
} copse__ladder;

void copse__ladder_init(copse *rt, copse__ladder *ladder, uint32_t term_ms,
                        void (*send)(copse__ladder *ladder, int signal));
/* Climbs to `rung` at once, or stays where it is higher already. On the rung ASKED, where the
 * child goes by itself, the next one follows after `grace_ms`; asking again can only shorten
 * what is left of it. */
void copse__ladder_climb(copse__ladder *ladder, copse__rung rung, uint64_t grace_ms);
/* The child is gone: no more rungs. What was sent is remembered. */
void copse__ladder_stop(copse__ladder *ladder);
/* The name of the last signal that was sent ("SIGTERM", "SIGKILL"), NULL if none was. */
const char *copse__ladder_signal_name(const copse__ladder *ladder);
/* Whether the end by this signal is the ladder's doing. */
bool copse__ladder_sent(const copse__ladder *ladder, int signal);

#endif
