/* SPDX-License-Identifier: MIT
 *
 * Timers.
 *
 * Every scope with a deadline, every context under cancellation and every link with a heartbeat has
 * one, so they must be cheap to start and stop, must not allocate, and must fire in the turn and
 * not inside a libuv callback. They are kept in a pairing heap whose links live in the timers; one
 * libuv timer stands for the first of them, and is only moved when it would fire too late (see
 * loop.c): firing too early costs one empty turn, moving it each time a deadline is met would cost
 * a heap operation per context.
 */
#include "runtime/internal.h"

static copse__timer *meld(copse__timer *a, copse__timer *b) {
  if (!a) return b;
  if (!b) return a;
  if (b->due < a->due) {
    copse__timer *t = a;
    a = b;
    b = t;
  }
  b->prev = a; /* of a first child: its parent */
  b->next = a->child;
  if (a->child) a->child->prev = b;
  a->child = b;
  return a;
}

/* Makes one heap of a removed timer's children: pairs from the left, then all. They may be many:
 * no recursion. */
static copse__timer *meld_children(copse__timer *first) {
  copse__timer *pairs = NULL, *whole = NULL;
  while (first) {
    copse__timer *a = first, *b = a->next;
    first = b ? b->next : NULL;
    a->next = a->prev = NULL;
    if (b) b->next = b->prev = NULL;
    a = meld(a, b);
    a->next = pairs;
    pairs = a;
  }
  while (pairs) {
    copse__timer *a = pairs;
    pairs = a->next;
    a->next = NULL;
    whole = meld(whole, a);
  }
  return whole;
}

static void take_out(copse *rt, copse__timer *timer) {
  copse__timer **heap = &rt->timers[timer->pump];
  copse__timer *rest = meld_children(timer->child);
  timer->child = NULL;
  if (*heap == timer) {
    *heap = rest;
  } else {
    if (timer->prev->child == timer) timer->prev->child = timer->next;
    else timer->prev->next = timer->next;
    if (timer->next) timer->next->prev = timer->prev;
    *heap = meld(*heap, rest);
  }
  timer->next = timer->prev = NULL;
  timer->active = false;
}

uint64_t copse__timers_next(const copse *rt) {
  uint64_t a = rt->timers[0] ? rt->timers[0]->due : COPSE__NEVER;
  uint64_t b = rt->timers[1] ? rt->timers[1]->due : COPSE__NEVER;
  return a < b ? a : b;
}

/* What the CPU-time handler looks at: it may not touch the heap. */
static void publish(copse *rt) {
  atomic_store_explicit(&rt->next_due, rt->timers[1] ? rt->timers[1]->due : COPSE__NEVER,
                        memory_order_relaxed);
}

void copse__timer_start(copse *rt, copse__timer *timer, uint64_t due,
                        void (*cb)(copse__timer *timer)) {
  if (timer->active) take_out(rt, timer);
  timer->due = due;
  timer->cb = cb;
  if (due != COPSE__NEVER) {
    timer->active = true;
    timer->child = timer->next = timer->prev = NULL;
    rt->timers[timer->pump] = meld(rt->timers[timer->pump], timer);
  }
  publish(rt);
}

void copse__timer_stop(copse *rt, copse__timer *timer) {
  if (!timer->active) return;
  take_out(rt, timer);
  publish(rt);
}

uint64_t copse_now(copse *rt) { return uv_now(rt->loop); }

uint64_t copse__after(copse *rt, int64_t ms) {
  uint64_t now = uv_now(rt->loop);
  if (ms < 0 || now > COPSE__NEVER - (uint64_t)ms) return COPSE__NEVER;
  return now + (uint64_t)ms;
}

int64_t copse__left(copse *rt, uint64_t due) {
  uint64_t now = uv_now(rt->loop);
  if (due == COPSE__NEVER) return -1;
  if (due <= now) return 0;
  return due - now > INT64_MAX ? INT64_MAX : (int64_t)(due - now);
}

bool copse__timers_run(copse *rt, bool pump) {
  uint64_t now = uv_now(rt->loop);
  bool any = false;
  for (int i = pump; i < 2; i++) {
    while (rt->timers[i] && rt->timers[i]->due <= now) {
      copse__timer *timer = rt->timers[i];
      take_out(rt, timer);
      any = true;
      timer->cb(timer);
    }
  }
  publish(rt);
  return any;
}
