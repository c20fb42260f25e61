/* SPDX-License-Identifier: MIT
 *
 * ladder.c: CANCEL, grace, SIGTERM, wait, SIGKILL, reap.
 *
 * A scope does not end before its children have, so every child must end: each rung is tried for a
 * bounded time, and the last one cannot be refused. The rungs are a table, and the ladder is
 * nothing but a timer that walks it; what makes it begin (a cancelled scope, a lost link, a missed
 * boot deadline) and the frame that is sent on the first rung are the business of child.c.
 */
#include "runtime/ladder.h"

#include <signal.h>
#include <stddef.h>

typedef enum wait_kind {
  COPSE__WAIT_NONE,
  COPSE__WAIT_GRACE,
  COPSE__WAIT_TERM,
  COPSE__WAIT_EXIT
} wait_kind;

static const struct {
  int signal;
  wait_kind wait;
} rungs[] = {
#define X(name, signal, wait) {signal, wait},
    COPSE__RUNGS(X)
#undef X
};

void copse__ladder_init(copse *rt, copse__ladder *ladder, uint32_t term_ms,
                        void (*send)(copse__ladder *ladder, int signal)) {
  *ladder = (copse__ladder){.rt = rt, .rung = COPSE__RUNG_GROUND, .term_ms = term_ms, .send = send};
}

static void on_timer(copse__timer *timer) {
  copse__ladder *ladder = copse__of(timer, copse__ladder, timer);
  copse__ladder_climb(ladder, ladder->rung + 1, 0);
}

static void wait_for(copse__ladder *ladder, uint64_t ms) {
  uint64_t due = copse_now(ladder->rt) + ms;
  if (ladder->timer.active && ladder->timer.due <= due) return; /* only ever shorter */
  copse__timer_start(ladder->rt, &ladder->timer, due, on_timer);
}

void copse__ladder_climb(copse__ladder *ladder, copse__rung rung, uint64_t grace_ms) {
  if (rung < ladder->rung) return;
  bool arrived = rung > ladder->rung;
  ladder->rung = rung;
  if (arrived) {
    copse__ladder_stop(ladder);
    if (rungs[rung].signal) ladder->send(ladder, rungs[rung].signal);
  }
  switch (rungs[rung].wait) {
  case COPSE__WAIT_GRACE: wait_for(ladder, grace_ms); break;
  case COPSE__WAIT_TERM: wait_for(ladder, ladder->term_ms); break;
  case COPSE__WAIT_NONE:
  case COPSE__WAIT_EXIT: break;
  }
}

void copse__ladder_stop(copse__ladder *ladder) { copse__timer_stop(ladder->rt, &ladder->timer); }

bool copse__ladder_sent(const copse__ladder *ladder, int signal) {
  for (int i = 0; i <= (int)ladder->rung; i++)
    if (rungs[i].signal && rungs[i].signal == signal) return true;
  return false;
}

const char *copse__ladder_signal_name(const copse__ladder *ladder) {
  if (copse__ladder_sent(ladder, SIGKILL)) return "SIGKILL";
  return copse__ladder_sent(ladder, SIGTERM) ? "SIGTERM" : NULL;
}
