/* SPDX-License-Identifier: MIT
 *
 * The turn.
 *
 * libuv calls back in the middle of its own bookkeeping, in an order that is its own business, as
 * often as it likes. A runtime that did its work there would have to be re-entrant everywhere, and
 * would write once per frame. So the callbacks here only mark what happened, and one function,
 * turn, does everything: it tells what descriptors have to say, lets links read and tell their
 * events, runs timers, tells members of scopes that they are cancelled, ends contexts and scopes,
 * runs posted jobs, goes round again while that brought up more (a bounded number of times), and
 * then writes each link that has something to say, once.
 *
 * It runs from uv_check, right after the poll: so a frame that comes in is answered
 * by one epoll_wait, one read and one write. It runs from uv_prepare, too, where
 * something came up in between (a timer; the user's own libuv callbacks): nothing
 * ever waits in a list while the loop sleeps. What a turn leaves undone keeps an
 * idle handle alive, which makes the next poll return at once.
 */
#include "runtime/files.h"
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 16 /* of one turn, before the loop may look at its descriptors again */

/* --- descriptors ------------------------------------------------------------------------------ */

static void on_poll(uv_poll_t *handle, int status, int events) {
  copse__poll *poll = handle->data;
  if (!poll) return;
  /* An error shows itself to whoever reads or writes next. libuv watches no more after it has told
   * one, but what the peer said before it died is still to be read, and its end after that. */
  if (status < 0 && poll->events) uv_poll_start(handle, poll->events, on_poll);
  poll->fired |= status < 0 ? UV_READABLE | UV_WRITABLE : events;
  if (copse__list_empty(&poll->due)) copse__list_push(&poll->rt->polls_due, &poll->due);
}

static void on_poll_closed(uv_handle_t *handle) { free(handle); }

copse_status copse__poll_start(copse *rt, copse__poll *poll, int fd, int events,
                               void (*cb)(copse__poll *poll, int events)) {
  uv_poll_t *handle = calloc(1, sizeof *handle);
  if (!handle) return COPSE_ENOMEM;
  int error = uv_poll_init(rt->loop, handle, fd);
  if (error) {
    free(handle);
    return error == UV_ENOMEM ? COPSE_ENOMEM : COPSE_ESYSTEM;
  }
  poll->rt = rt;
  poll->handle = handle;
  poll->fd = fd;
  poll->events = 0;
  poll->fired = 0;
  poll->cb = cb;
  copse__list_init(&poll->due);
  handle->data = poll;
  copse__poll_events(poll, events);
  return COPSE_OK;
}

void copse__poll_events(copse__poll *poll, int events) {
  if (!poll->handle || poll->events == events) return;
  poll->events = events;
  if (events) uv_poll_start(poll->handle, events, on_poll);
  else uv_poll_stop(poll->handle);
}

void copse__poll_stop(copse__poll *poll) {
  if (!poll->handle) return;
  copse__list_remove(&poll->due);
  poll->handle->data = NULL;
  uv_close((uv_handle_t *)poll->handle, on_poll_closed);
  poll->handle = NULL;
}

static bool run_polls(copse *rt) {
  copse__list now;
  bool any = false;
  copse__list_init(&now);
  copse__list_move(&now, &rt->polls_due);
  for (copse__list *link; (link = copse__list_pop(&now));) {
    copse__poll *poll = copse__of(link, copse__poll, due);
    int events = poll->fired;
    poll->fired = 0;
    any = true;
    poll->cb(poll, events);
  }
  return any;
}

/* --- jobs ------------------------------------------------------------------------------------- */

/* The head makes the empty list, so that a job can be taken out without knowing where it is. */
void copse_post(copse *rt, copse_job *job) {
  if (job->next) return;
  copse_job *head = &rt->jobs;
  job->prev = head->prev;
  job->next = head;
  head->prev->next = job;
  head->prev = job;
}

void copse_unpost(copse *rt, copse_job *job) {
  (void)rt;
  if (!job->next) return;
  job->prev->next = job->next;
  job->next->prev = job->prev;
  job->next = job->prev = NULL;
}

/* Those that are there now; what they post comes in the next round. */
static bool run_jobs(copse *rt) {
  copse_job *head = &rt->jobs;
  if (head->next == head) return false;
  copse_job mark = {NULL, NULL, NULL}; /* in the list: jobs before it were there when we began */
  mark.prev = head->prev;
  mark.next = head;
  head->prev->next = &mark;
  head->prev = &mark;
  while (head->next != &mark) {
    copse_job *job = head->next;
    copse_unpost(rt, job);
    job->cb(job);
  }
  copse_unpost(rt, &mark);
  return true;
}

/* --- graves ----------------------------------------------------------------------------------- */

void copse__bury(copse *rt, copse__grave *grave, void (*release)(copse__grave *grave)) {
  grave->release = release;
  copse__list_push(&rt->graves, &grave->link);
}

static void dig(copse *rt) {
  for (copse__list *link; (link = copse__list_pop(&rt->graves));) {
    copse__grave *grave = copse__of(link, copse__grave, link);
    grave->release(grave);
  }
}

/* --- the turn --------------------------------------------------------------------------------- */

static bool run_links(copse *rt) {
  copse__list now;
  bool any = false;
  copse__list_init(&now);
  copse__list_move(&now, &rt->links_active);
  for (copse__list *node; (node = copse__list_pop(&now));) {
    any = true;
    copse__link_run(copse__of(node, copse__link, active));
  }
  return any;
}

static bool flush_links(copse *rt) {
  copse__list now;
  copse__list_init(&now);
  copse__list_move(&now, &rt->links_dirty);
  for (copse__list *node; (node = copse__list_pop(&now));)
    copse__link_flush(copse__of(node, copse__link, dirty));
  return !copse__list_empty(&rt->links_active);
}

static bool something_due(const copse *rt) {
  return !copse__list_empty(&rt->polls_due) || !copse__list_empty(&rt->links_active) ||
         !copse__list_empty(&rt->links_dirty) || !copse__list_empty(&rt->members_due) ||
         !copse__list_empty(&rt->contexts_due) || !copse__list_empty(&rt->scopes_ended) ||
         !copse__list_empty(&rt->graves) || rt->jobs.next != &rt->jobs ||
         copse__timers_next(rt) <= uv_now(rt->loop);
}

static void on_idle(uv_idle_t *handle) { (void)handle; }
static void on_timer(uv_timer_t *handle) { ((copse *)handle->data)->armed = COPSE__NEVER; }

/* The libuv timer must not fire after our first; before it does no harm. */
static void arm(copse *rt) {
  uint64_t due = copse__timers_next(rt);
  if (due >= rt->armed) return;
  uint64_t now = uv_now(rt->loop);
  rt->armed = due;
  uv_timer_start(&rt->timer, on_timer, due > now ? due - now : 0, 0);
}

static void turn(copse *rt) {
  bool any = true;
  rt->in_turn = true;
  rt->pumped = false;
  rt->turns++;
  for (int round = 0; any && round < ROUNDS; round++) {
    /* What came in goes before what is due: silence is judged after the input was looked at. */
    any = run_polls(rt);
    any |= run_links(rt);
    any |= copse__timers_run(rt, false);
    copse__members_run(rt, &any);
    copse__contexts_run(rt, &any);
    copse__scopes_run(rt, &any);
    any |= run_jobs(rt);
    if (!any)
      any = flush_links(rt); /* nothing more to say for now: writing may make room for more */
  }
  flush_links(rt);
  dig(rt);
  rt->in_turn = false;
  bool more = something_due(rt);
  if (more != rt->idling) {
    rt->idling = more;
    if (more) uv_idle_start(&rt->idle, on_idle);
    else uv_idle_stop(&rt->idle);
  }
  arm(rt);
  if (rt->stopped) uv_stop(rt->loop);
}

static void on_check(uv_check_t *handle) { turn(handle->data); }

static void on_prepare(uv_prepare_t *handle) {
  copse *rt = handle->data;
  /* After a turn that left work over, the poll comes first; the idle handle keeps it awake. */
  if (!rt->idling && something_due(rt)) turn(rt);
  arm(rt);
}

static void on_async(uv_async_t *handle) { (void)handle; }

void copse_wake(copse *rt) { uv_async_send(&rt->async); }

/* --- its life --------------------------------------------------------------------------------- */

copse_status copse__loop_init(copse *rt, uv_loop_t *loop) {
  copse__list *lists[] = {&rt->polls_due,    &rt->links_active, &rt->links_dirty, &rt->members_due,
                          &rt->contexts_due, &rt->scopes_ended, &rt->graves};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) copse__list_init(lists[i]);
  rt->jobs.next = rt->jobs.prev = &rt->jobs;
  rt->armed = COPSE__NEVER;
  atomic_init(&rt->next_due, COPSE__NEVER);
  if (!loop) {
    if (!copse__files_left()) return COPSE_ESYSTEM;
    int error = uv_loop_init(&rt->own_loop);
    if (error) return error == UV_ENOMEM ? COPSE_ENOMEM : COPSE_ESYSTEM;
    rt->loop_is_own = true;
    loop = &rt->own_loop;
  }
  /* The only one that can fail comes first: then there is nothing to take back. */
  int error = uv_async_init(loop, &rt->async, on_async);
  if (error) {
    if (rt->loop_is_own) uv_loop_close(loop);
    rt->loop_is_own = false;
    return error == UV_ENOMEM ? COPSE_ENOMEM : COPSE_ESYSTEM;
  }
  rt->loop = loop;
  uv_prepare_init(loop, &rt->prepare);
  uv_check_init(loop, &rt->check);
  uv_idle_init(loop, &rt->idle);
  uv_timer_init(loop, &rt->timer);
  rt->prepare.data = rt->check.data = rt->idle.data = rt->timer.data = rt->async.data = rt;
  uv_prepare_start(&rt->prepare, on_prepare);
  uv_check_start(&rt->check, on_check);
  rt->handles = 5;
  return COPSE_OK;
}

static void on_closed(uv_handle_t *handle) { ((copse *)handle->data)->handles--; }

void copse__loop_deinit(copse *rt) {
  if (!rt->loop) return;
  dig(rt);
  uv_close((uv_handle_t *)&rt->prepare, on_closed);
  uv_close((uv_handle_t *)&rt->check, on_closed);
  uv_close((uv_handle_t *)&rt->idle, on_closed);
  uv_close((uv_handle_t *)&rt->timer, on_closed);
  uv_close((uv_handle_t *)&rt->async, on_closed);
  /* A loop of the user's may be kept alive by other handles: ours are closed within a turn. */
  while (rt->handles) uv_run(rt->loop, UV_RUN_NOWAIT);
  uv_run(rt->loop, UV_RUN_NOWAIT); /* the polls' memory */
  if (rt->loop_is_own) uv_loop_close(rt->loop);
  rt->loop = NULL;
}

void copse__stop(copse *rt) {
  rt->stopped = true;
  if (!rt->in_turn) uv_stop(rt->loop);
}

void copse__loop_run(copse *rt) {
  rt->stopped = false;
  rt->running = true;
  while (!rt->stopped) uv_run(rt->loop, UV_RUN_DEFAULT);
  rt->running = false;
}

uv_loop_t *copse_loop(copse *rt) { return rt->loop; }
