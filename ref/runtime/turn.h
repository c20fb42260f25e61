/* SPDX-License-Identifier: MIT
 *
 * What happens in the turn: timers that come due, descriptors that have something to say, memory
 * that is given back at its end (timer.c, loop.c).
 *
 * Everything here is memory of the caller's, embedded in whatever it serves: to start, stop and
 * bury cannot fail for want of memory. Only a watch can, because libuv keeps its handle beyond us.
 */
#ifndef COPSE_RUNTIME_TURN_H
#define COPSE_RUNTIME_TURN_H

#include "runtime/list.h"

#include <copse.h>
#include <uv.h>

#define COPSE__NEVER UINT64_MAX /* a time that does not come */

/* --- timer.c ---------------------------------------------------------------------------------- */

/* A one-shot timer; zeroed memory is a stopped one. `cb` runs in the turn; with `pump` in
 * copse_pump, too, in the middle of user code: it must then call none (scope deadlines and
 * heartbeats do). `pump` may change only while stopped. */
typedef struct copse__timer {
  uint64_t due;
  void (*cb)(struct copse__timer *timer);
  bool active, pump;
  struct copse__timer *child, *next, *prev; /* the heap's */
} copse__timer;

/* `due` is absolute, on the clock of copse_now. Starting a running one moves it. */
void copse__timer_start(copse *rt, copse__timer *timer, uint64_t due,
                        void (*cb)(copse__timer *timer));
void copse__timer_stop(copse *rt, copse__timer *timer);
/* now + ms, without overflow; ms < 0 is never. */
uint64_t copse__after(copse *rt, int64_t ms);
/* Milliseconds until `due`: 0 when past, -1 when never. */
int64_t copse__left(copse *rt, uint64_t due);
/* When the first is due. */
uint64_t copse__timers_next(const copse *rt);
/* Runs what is due (all, or only timers with `pump`); whether any did. */
bool copse__timers_run(copse *rt, bool pump);

/* --- loop.c ----------------------------------------------------------------------------------- */

/* A watched descriptor; zeroed memory is one not started. `cb` runs in the turn with UV_READABLE,
 * UV_WRITABLE, UV_DISCONNECT bits; the watch is level-triggered and stays on. */
typedef struct copse__poll {
  copse *rt;
  uv_poll_t *handle; /* its own allocation, because libuv gives it back later */
  int fd, events;
  int fired;
  copse__list due;
  void (*cb)(struct copse__poll *poll, int events);
} copse__poll;

/* Makes the descriptor non-blocking. COPSE_ENOMEM, COPSE_ESYSTEM (a descriptor that cannot be
 * polled, such as a file). */
copse_status copse__poll_start(copse *rt, copse__poll *poll, int fd, int events,
                               void (*cb)(copse__poll *poll, int events));
/* Changes what is watched for; 0 pauses. */
void copse__poll_events(copse__poll *poll, int events);
/* Stops. The descriptor may be closed and the memory freed right after. Harmless
 * when not started. */
void copse__poll_stop(copse__poll *poll);

/* Has `release` free what the grave lies in, at the end of the turn: callbacks further up may still
 * look at it. */
typedef struct copse__grave {
  copse__list link;
  void (*release)(struct copse__grave *grave);
} copse__grave;
void copse__bury(copse *rt, copse__grave *grave, void (*release)(copse__grave *grave));

copse_status copse__loop_init(copse *rt, uv_loop_t *loop);
/* Closes all handles and runs the loop until they are gone. */
void copse__loop_deinit(copse *rt);
/* Runs the loop until copse__stop. */
void copse__loop_run(copse *rt);
/* Ends copse_run after this turn. */
void copse__stop(copse *rt);

#endif
