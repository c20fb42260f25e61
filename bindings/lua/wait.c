/* SPDX-License-Identifier: MIT
 *
 * wait.c: waiting for time and for each other.
 *
 * All sleeping tasks share one timer of the loop: a heap holds them by the time they wake. The
 * timer's callback only moves them to the ready list, which the loop turn drains. An event is
 * set once and wakes all who wait for it; it carries a value.
 */
#include "host.h"

#include <stdlib.h>

/* --- the heap of sleepers --------------------------------------------------------------------- */

static void heap_put(host *h, size_t i, task *t) {
  h->sleepers[i] = t;
  t->heap_index = i;
}

static void heap_up(host *h, size_t i, task *t) {
  while (i > 0 && h->sleepers[(i - 1) / 2]->wake_at > t->wake_at) {
    heap_put(h, i, h->sleepers[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  heap_put(h, i, t);
}

static void heap_down(host *h, size_t i, task *t) {
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= h->sleeper_count) break;
    if (child + 1 < h->sleeper_count &&
        h->sleepers[child + 1]->wake_at < h->sleepers[child]->wake_at)
      child++;
    if (h->sleepers[child]->wake_at >= t->wake_at) break;
    heap_put(h, i, h->sleepers[child]);
    i = child;
  }
  heap_put(h, i, t);
}

static void heap_remove(host *h, size_t i) {
  task *last = h->sleepers[--h->sleeper_count];
  if (i == h->sleeper_count) return;
  if (i > 0 && h->sleepers[(i - 1) / 2]->wake_at > last->wake_at) heap_up(h, i, last);
  else heap_down(h, i, last);
}

static void arm(host *h);

static void on_timer(uv_timer_t *timer) {
  host *h = timer->data;
  uint64_t now = uv_now(timer->loop);
  while (h->sleeper_count > 0 && h->sleepers[0]->wake_at <= now) {
    task *t = h->sleepers[0];
    heap_remove(h, 0);
    copse__lua_task_ready(t);
  }
  arm(h);
}

static void arm(host *h) {
  if (h->sleeper_count == 0) {
    uv_timer_stop(&h->timer);
    return;
  }
  uint64_t now = uv_now(h->timer.loop), at = h->sleepers[0]->wake_at;
  uv_timer_start(&h->timer, on_timer, at > now ? at - now : 0, 0);
}

static void unsleep(task *t) {
  heap_remove(t->host, t->heap_index);
  arm(t->host);
}

void copse__lua_timer_close(host *h) {
  free(h->sleepers);
  h->sleepers = NULL;
  h->sleeper_count = h->sleeper_capacity = 0;
}

static int slept(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  copse__lua_resumed(L);
  return 0;
}

/* copse.sleep(seconds) */
static int l_sleep(lua_State *L) {
  int64_t ms = copse__lua_milliseconds(L, 1, "sleep");
  task *t = copse__lua_task(L);
  host *h = t->host;
  copse__lua_checkpoint(L, t);
  if (h->sleeper_count == h->sleeper_capacity) {
    size_t capacity = h->sleeper_capacity ? 2 * h->sleeper_capacity : 16;
    task **grown = realloc(h->sleepers, capacity * sizeof *grown);
    if (!grown) return luaL_error(L, "not enough memory");
    h->sleepers = grown;
    h->sleeper_capacity = capacity;
  }
  uv_loop_t *loop = copse_loop(h->rt);
  uv_update_time(loop);
  t->wake_at = uv_now(loop) + (uint64_t)ms;
  heap_up(h, h->sleeper_count++, t);
  arm(h);
  return copse__lua_wait_with(L, t, NULL, unsleep, 0, slept);
}

/* copse.yield(): lets the others run, and the links be read. */
static int l_yield(lua_State *L) {
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  t->unwait = copse__lua_list_remove;
  copse__lua_task_ready(t);
  return copse__lua_wait_with(L, t, NULL, copse__lua_list_remove, 0, slept);
}

/* copse.now(): seconds of a clock that only goes forward */
static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)uv_hrtime() / 1e9);
  return 1;
}

static int l_cancelled(lua_State *L) {
  task *t = copse__lua_task_any(L);
  lua_pushboolean(L, copse_scope_is_cancelled(t->top->scope));
  return 1;
}

/* --- events ----------------------------------------------------------------------------------- */

typedef struct event {
  task_list waiting;
  bool set;
} event;

static int l_event(lua_State *L) {
  copse__lua_new(L, sizeof(event), 1, CLASS_EVENT);
  return 1;
}

/* e:set([value]): true the first time */
static int event_set(lua_State *L) {
  event *e = copse__lua_check(L, 1, CLASS_EVENT);
  lua_pushboolean(L, !e->set);
  if (e->set) return 1;
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  e->set = true;
  while (e->waiting.first) copse__lua_task_ready(e->waiting.first);
  lua_pushboolean(L, 1);
  return 1;
}

static int event_is_set(lua_State *L) {
  event *e = copse__lua_check(L, 1, CLASS_EVENT);
  lua_pushboolean(L, e->set);
  return 1;
}

static int event_waited(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  copse__lua_resumed(L);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

static int event_wait(lua_State *L) {
  event *e = copse__lua_check(L, 1, CLASS_EVENT);
  task *t = copse__lua_task(L);
  copse__lua_checkpoint(L, t);
  if (!e->set) return copse__lua_wait(L, t, &e->waiting, 0, event_waited);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

void copse__lua_open_wait(lua_State *L, int lib) {
  static const luaL_Reg methods[] = {
      {"set", event_set}, {"is_set", event_is_set}, {"wait", event_wait}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"sleep", l_sleep}, {"yield", l_yield},
                                       {"now", l_now},     {"cancelled", l_cancelled},
                                       {"event", l_event}, {NULL, NULL}};
  copse__lua_class(L, CLASS_EVENT, NULL, methods);
  lua_pushvalue(L, lib);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
