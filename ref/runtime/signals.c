/* SPDX-License-Identifier: MIT
 *
 * signals.c: being asked to stop by signal.
 *
 * SIGTERM in any actor, and SIGINT in a root, cancel the actor, as CANCEL from a parent would; a
 * second one takes the patience away, so that shielded clean-up ends and children are killed. In
 * a child SIGINT is ignored: the terminal sends it to every process it knows, and only the root
 * shall turn it into one cancellation that goes down the tree in order.
 *
 * A disposition that is not the default is somebody's decision, the host program's or nohup's,
 * and is left alone.
 *
 * The handler only counts and wakes the loop; the rest happens in the turn, or, where user code
 * burns CPU and does not let the loop turn, in copse_pump. Where user code blocks in a system call,
 * reading a terminal, say, neither happens: so until the first signal was heard, the next one
 * interrupts that call.
 */
#include "runtime/process.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define IMPATIENCE_MS 500 /* timeout(1), for one, sends the same signal twice in a breath */

static const int watched[] = {SIGTERM, SIGINT};
#define WATCHED (sizeof watched / sizeof *watched)

/* A handler has no argument: there is one runtime per process. */
static struct {
  copse__process *_Atomic process;
  atomic_uint terms, ints;
  struct sigaction before[WATCHED];
  bool taken[WATCHED];
} state;

static void on_signal(int signal);

static int handle(int signal, void (*handler)(int signal), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigfillset(&action.sa_mask);
  return sigaction(signal, &action, NULL);
}

static void on_signal(int signal) {
  int number = errno;
  copse__process *process = atomic_load(&state.process);
  if (process) {
    atomic_fetch_add(signal == SIGTERM ? &state.terms : &state.ints, 1);
    uv_async_send(process->stop);
    (void)handle(signal, on_signal, 0);
  }
  errno = number;
}

/* Cancels what was asked for; runs no user code. */
static void stop(copse__process *process) {
  unsigned terms = atomic_exchange(&state.terms, 0), ints = atomic_exchange(&state.ints, 0);
  if (!terms && !ints) return;
  if (terms) (void)handle(SIGTERM, on_signal, SA_RESTART);
  if (ints) (void)handle(SIGINT, on_signal, SA_RESTART);
  uint64_t now = copse_now(process->rt);
  bool again = process->stop_asked != 0;
  if (again && now - process->stop_asked < IMPATIENCE_MS) return;
  process->stop_asked = now ? now : 1;
  copse_log(process->rt, COPSE_LOG_INFO, "asked to stop by %s", terms ? "SIGTERM" : "SIGINT");
  copse__actor_stop(process, terms ? COPSE_ORIGIN_SHUTDOWN : COPSE_ORIGIN_REQUESTED,
                    terms ? "SIGTERM" : "SIGINT", again ? 0 : -1);
}

static void on_stop(copse_job *job) { stop(copse__of(job, copse__process, stop_job)); }

/* In the middle of user code that does not come back to the loop: Ctrl-C must reach it all the
 * same. */
static void on_pump(copse *rt) { stop(rt->process); }

static void on_async(uv_async_t *async) {
  copse__process *process = async->data;
  if (process) copse_post(process->rt, &process->stop_job);
}

static void take(size_t i, void (*handler)(int signal)) {
  if (sigaction(watched[i], NULL, &state.before[i]) != 0) return;
  if ((state.before[i].sa_flags & SA_SIGINFO) || state.before[i].sa_handler != SIG_DFL) return;
  state.taken[i] = handle(watched[i], handler, SA_RESTART) == 0;
}

static void on_closed(uv_handle_t *handle) { free(handle); }

copse_status copse__signals_init(copse__process *process) {
  process->stop_job.cb = on_stop;
  process->stop = calloc(1, sizeof *process->stop);
  if (!process->stop) return COPSE_ENOMEM;
  int error = uv_async_init(process->rt->loop, process->stop, on_async);
  if (error) {
    free(process->stop);
    process->stop = NULL;
    return error == UV_ENOMEM ? COPSE_ENOMEM : COPSE_ESYSTEM;
  }
  process->stop->data = process;
  uv_unref((uv_handle_t *)process->stop);
  memset(&state.taken, 0, sizeof state.taken);
  atomic_store(&state.process, process);
  process->rt->on_pump = on_pump;
  for (size_t i = 0; i < WATCHED; i++)
    take(i, watched[i] == SIGINT && process->is_child ? SIG_IGN : on_signal);
  return COPSE_OK;
}

void copse__signals_deinit(copse__process *process) {
  if (!process->stop) return;
  for (size_t i = 0; i < WATCHED; i++)
    if (state.taken[i]) sigaction(watched[i], &state.before[i], NULL);
  atomic_store(&state.process, NULL);
  process->rt->on_pump = NULL;
  copse_unpost(process->rt, &process->stop_job);
  process->stop->data = NULL;
  uv_close((uv_handle_t *)process->stop, on_closed);
  process->stop = NULL;
}
