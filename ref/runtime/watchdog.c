/* SPDX-License-Identifier: MIT
 *
 * watchdog.c: nobody outlives the parent's link.
 *
 * When a parent dies, nobody is left to climb a ladder for its children. Each must see the loss
 * of its link and go by itself, and it must do so even if its user code is in an endless loop or
 * in a C call that does not come back, so that the event loop never hears of the loss. So every
 * actor that has a parent has this thread. It sleeps in poll on the link, costs a small stack, and
 * wakes once in its life:
 *
 *   loss          it wakes the loop, which cancels everything and cleans up;
 *   50 ms later   if the loop has not turned, it shuts down the links to our own children, so that
 *                 they learn of the loss now and the grace is one for the whole subtree, not one
 *                 for each level;
 *   the grace     whoever is still here is killed: the actor's process group (launchers and helpers
 *                 too), then the process itself.
 *
 * It must not close anything, because the loop still owns it all; shutting a socket down is
 * enough for the other end to see the end. Poll also sees a link that the loop has closed in the
 * meantime, which epoll forgets; but it refuses to work in a program that has lowered its limit of
 * descriptors to open no more, so epoll is there for that. The last act is exit_group and not only
 * SIGKILL, because as the first process of a pid namespace we are immune to our own signals; that
 * exit takes everything below with it.
 */
#include "runtime/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STALL_MS 50 /* a loop that has not turned for so long is stuck */
#define NAP_MS 50   /* how often we look where nothing wakes us */
#define STACK_SIZE (64u * 1024u)

struct copse__watchdog {
  pthread_t thread;
  int stop;   /* an eventfd: readable when the thread is to end */
  int events; /* an epoll instance, of that and of the link, for where there is no poll */
  copse__watchdog_config config;
  atomic_uint grace_ms;
  uint64_t lost_at;     /* in now_ms; 0: not. The thread's, until it is joined. */
  pthread_mutex_t lock; /* of what follows */
  int *links;
  size_t link_count, link_room;
};

static uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Adds a descriptor; -1 is none. One that nothing can happen to (a file) is no link, as who reads
 * from it will find out. */
static bool watch(const copse__watchdog *dog, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  return fd < 0 || epoll_ctl(dog->events, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EPERM;
}

/* For where there is no poll. What was closed under us epoll has forgotten: we look ourselves. No
 * other can have the number, as none can be opened there. */
static void look_without_poll(const copse__watchdog *dog, int left, bool *stop, bool *loss) {
  struct epoll_event events[3];
  int n = epoll_wait(dog->events, events, 3, left < 0 || left > NAP_MS ? NAP_MS : left);
  for (int i = 0; i < n; i++) *(events[i].data.fd == dog->stop ? stop : loss) = true;
  for (int i = 0; i < 2; i++)
    if (dog->config.fds[i] >= 0 && fcntl(dog->config.fds[i], F_GETFD) < 0) *loss = true;
}

/* What has happened within `left` milliseconds (-1: for ever), or nothing sooner. `known`: of the
 * loss nothing more is to be told. */
static void look(const copse__watchdog *dog, int left, bool known, bool *stop, bool *loss) {
  struct pollfd p[3] = {{.fd = dog->stop, .events = POLLIN},
                        {.fd = dog->config.fds[0], .events = POLLRDHUP},
                        {.fd = dog->config.fds[1], .events = 0}};
  int n = poll(p, known ? 1 : 3, left);
  *stop = n > 0 && p[0].revents;
  *loss = n > 0 && !known && (p[1].revents || p[2].revents);
  if (n < 0 && errno == EINVAL) look_without_poll(dog, left, stop, loss);
}

/* Sleeps until `until` (in now_ms); true if the thread is to end instead. */
static bool sleep_until(const copse__watchdog *dog, uint64_t until) {
  for (;;) {
    bool stop, loss;
    uint64_t now = now_ms();
    uint64_t rest = now < until ? until - now : 0;
    look(dog, rest < INT_MAX ? (int)rest : INT_MAX, true, &stop, &loss);
    if (stop) return true;
    if (now_ms() >= until) return false;
  }
}

/* True when the link is lost, false when the thread is to end. Where both have come, the loss
 * counts: whoever runs an exit handler after it has a bounded time for that. */
static bool wait_for_loss(const copse__watchdog *dog) {
  for (;;) {
    bool stop, loss;
    look(dog, -1, false, &stop, &loss);
    if (loss) return true;
    if (stop) return false;
  }
}

static void shut_links(copse__watchdog *dog) {
  pthread_mutex_lock(&dog->lock);
  for (size_t i = 0; i < dog->link_count; i++) shutdown(dog->links[i], SHUT_RDWR);
  pthread_mutex_unlock(&dog->lock);
}

_Noreturn static void put_an_end_to_it(const copse__watchdog *dog) {
  if (dog->config.group > 1) kill(-dog->config.group, SIGKILL);
  kill(getpid(), SIGKILL);
  for (;;) syscall(SYS_exit_group, 128 + SIGKILL);
}

static void *run(void *arg) {
  copse__watchdog *dog = arg;
  if (!wait_for_loss(dog)) return NULL;
  uint64_t lost_at = dog->lost_at = now_ms();
  int turns = atomic_load(dog->config.turns);
  dog->config.lost(dog->config.arg);
  if (sleep_until(dog, lost_at + STALL_MS)) return NULL;
  if (atomic_load(dog->config.turns) == turns) shut_links(dog);
  if (sleep_until(dog, lost_at + atomic_load(&dog->grace_ms))) return NULL;
  put_an_end_to_it(dog);
}

static copse_status start_thread(pthread_t *thread, void *(*body)(void *arg), void *arg) {
  pthread_attr_t attr;
  sigset_t all, before;
  if (pthread_attr_init(&attr) != 0) return COPSE_ENOMEM;
  pthread_attr_setstacksize(&attr, STACK_SIZE); /* too small for this system: the default will do */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
  int r = pthread_create(thread, &attr, body, arg);
  if (r == EINVAL) /* too small for the thread-local memory of this program */
    r = pthread_create(thread, NULL, body, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return r == 0 ? COPSE_OK : COPSE_ESYSTEM;
}

static void *do_nothing(void *arg) { return arg; }

void copse__watchdog_rehearse(void) {
  pthread_t thread;
  for (int i = 0; i < 2; i++) /* the second has the stack of the first, as that of a clone will */
    if (start_thread(&thread, do_nothing, NULL) == COPSE_OK) pthread_join(thread, NULL);
}

static void release(copse__watchdog *dog) {
  if (dog->stop >= 0) close(dog->stop);
  if (dog->events >= 0) close(dog->events);
  pthread_mutex_destroy(&dog->lock);
  free(dog->links);
  free(dog);
}

copse_status copse__watchdog_start(copse__watchdog **out, const copse__watchdog_config *config) {
  copse__watchdog *dog = calloc(1, sizeof *dog);
  if (!dog) return COPSE_ENOMEM;
  dog->config = *config;
  atomic_init(&dog->grace_ms, config->grace_ms);
  pthread_mutex_init(&dog->lock, NULL);
  dog->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  dog->events = epoll_create1(EPOLL_CLOEXEC);
  copse_status status = COPSE_ESYSTEM;
  if (dog->stop >= 0 && dog->events >= 0 && watch(dog, dog->stop, EPOLLIN) &&
      watch(dog, config->fds[0], EPOLLRDHUP | EPOLLONESHOT) &&
      watch(dog, config->fds[1], EPOLLONESHOT))
    status = start_thread(&dog->thread, run, dog);
  if (status != COPSE_OK) {
    release(dog);
    return status;
  }
  *out = dog;
  return COPSE_OK;
}

/* Whoever is here still, in an exit handler that hangs, is killed by the kernel. Nothing of ours
 * is needed for that, and nothing can stop it. */
static void leave_to_the_kernel(uint64_t until) {
  struct sigevent event;
  timer_t timer;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  struct itimerspec at = {.it_value = {(time_t)(until / 1000), (long)(until % 1000) * 1000000 + 1}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
    timer_settime(timer, TIMER_ABSTIME, &at, NULL);
}

void copse__watchdog_stop(copse__watchdog *dog) {
  if (!dog) return;
  uint64_t one = 1;
  while (write(dog->stop, &one, sizeof one) < 0 && errno == EINTR) continue;
  pthread_join(dog->thread, NULL);
  if (dog->lost_at) leave_to_the_kernel(dog->lost_at + atomic_load(&dog->grace_ms));
  release(dog);
}

void copse__watchdog_set_grace(copse__watchdog *dog, uint32_t grace_ms) {
  if (dog) atomic_store(&dog->grace_ms, grace_ms);
}

copse_status copse__watchdog_add_link(copse__watchdog *dog, int fd) {
  if (!dog) return COPSE_OK;
  copse_status status = COPSE_OK;
  pthread_mutex_lock(&dog->lock);
  if (dog->link_count == dog->link_room) {
    size_t room = dog->link_room ? dog->link_room * 2 : 8;
    int *links = realloc(dog->links, room * sizeof *links);
    if (links) {
      dog->links = links;
      dog->link_room = room;
    } else {
      status = COPSE_ENOMEM;
    }
  }
  if (status == COPSE_OK) dog->links[dog->link_count++] = fd;
  pthread_mutex_unlock(&dog->lock);
  return status;
}

void copse__watchdog_forget_link(copse__watchdog *dog, int fd) {
  if (!dog) return;
  pthread_mutex_lock(&dog->lock);
  for (size_t i = 0; i < dog->link_count; i++) {
    if (dog->links[i] != fd) continue;
    dog->links[i] = dog->links[--dog->link_count];
    break;
  }
  pthread_mutex_unlock(&dog->lock);
}
