/* SPDX-License-Identifier: MIT
 *
 * Hot code.
 *
 * User code that computes for seconds without coming back to the loop would leave links unread: no
 * PING answered, no heartbeat kept, no cancellation heard. To look now and then from inside it
 * would cost every iteration. So a timer on the CPU time of the loop's thread asks instead: it runs
 * only while the thread burns CPU, its signal costs nothing while the process sleeps, and what it
 * does when it finds that the loop has not turned since the last time and that something waits, is
 * to let the interpreter be interrupted at its next safe point. There the binding calls copse_pump:
 * links are read, the protocol is served, cancellation takes effect on scopes at once; what is to
 * be told is kept for the turn. Whether to raise is then the binding's question to its scope.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 20000000
#define SIGNAL SIGURG /* ignored by default, and hardly used for anything */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static copse *hot; /* the handler's; a process has one runtime with an interrupt */
static struct sigaction before;

/* In the loop's thread, possibly in the middle of anything: reads a few words and polls. */
static void on_tick(int signal) {
  copse *rt = hot;
  int saved = errno;
  struct timespec now;
  (void)signal;
  if (!rt || !rt->interrupt) return;
  int turns = rt->turns;
  if (!rt->in_turn || turns != rt->seen_turns) {
    rt->seen_turns = turns;
    return;
  }
  /* The descriptor of the loop's epoll is readable when one of those it watches has something. */
  struct pollfd fd = {.fd = rt->backend_fd, .events = POLLIN};
  /* Once in every long turn whatever the descriptors say: what was read with the frame that began
   * this user code is in the engine already. And what user code has sent waits to be written. */
  bool due = !rt->pumped || !copse__list_empty(&rt->links_dirty) || poll(&fd, 1, 0) > 0;
  if (!due && clock_gettime(CLOCK_MONOTONIC, &now) == 0)
    due = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 >=
          atomic_load_explicit(&rt->next_due, memory_order_relaxed);
  if (due) rt->interrupt(rt->interrupt_arg);
  errno = saved;
}

void copse_set_interrupt(copse *rt, void (*interrupt)(void *arg), void *arg) {
  copse__hot_deinit(rt);
  if (!interrupt || hot) return;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_tick;
  action.sa_flags = SA_RESTART;
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGNAL;
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
  rt->interrupt = interrupt;
  rt->interrupt_arg = arg;
  rt->backend_fd = uv_backend_fd(rt->loop);
  hot = rt;
  if (sigaction(SIGNAL, &action, &before)) {
    hot = NULL;
    return;
  }
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &rt->cpu_timer)) {
    copse_log(rt, COPSE_LOG_WARN, "no CPU-time timer: %s; hot code will not be interrupted",
              strerror(errno));
    sigaction(SIGNAL, &before, NULL);
    hot = NULL;
    return;
  }
  rt->cpu_timer_on = true;
  timer_settime(rt->cpu_timer, 0, &every, NULL);
}

void copse__hot_deinit(copse *rt) {
  if (rt->cpu_timer_on) {
    timer_delete(rt->cpu_timer);
    sigaction(SIGNAL, &before, NULL);
    rt->cpu_timer_on = false;
    hot = NULL;
  }
  rt->interrupt = NULL;
}

void copse_pump(copse *rt) {
  if (rt->in_pump) return;
  rt->in_pump = rt->pumped = true;
  uv_update_time(rt->loop);
  /* Any link may go away under this, but that only closes it: it leaves the list in the turn. */
  for (copse__list *node = rt->links.next; node != &rt->links; node = node->next)
    copse__link_pump(copse__of(node, copse__link, all));
  if (rt->on_pump) rt->on_pump(rt);
  copse__timers_run(rt, true);
  rt->turns++;
  rt->in_pump = false;
}
