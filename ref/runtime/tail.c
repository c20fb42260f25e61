/* SPDX-License-Identifier: MIT
 *
 * tail.c: the last words of a child.
 *
 * What a process writes to its standard error output before it dies is the best explanation
 * there is, so the parent keeps the end of it for the error `died`, and passes everything on to
 * its own, so that nothing looks different from a program without actors.
 *
 * It is a pipe and not a socket, because scripts open /dev/stderr, which fails on a socket. A
 * write to a pipe whose reader has died raises SIGPIPE; the runtime takes care of that in every
 * actor (see core.c), so that an actor that outlives its parent is not killed in the middle of
 * its clean-up by a line of its log.
 *
 * Our own standard error output may be slow, or a pipe that nobody reads just now. Writing to it
 * must not hold up the loop: we write at most PIPE_BUF bytes, and where there is no room for them
 * keep those and leave everything else in the child's pipe, and look again soon. So a child that
 * writes faster than the terminal takes it waits, as it would without us.
 *
 * That poll says that there is room is not enough: a terminal with room for one byte has room, and
 * others write to a terminal or a pipe as well. It must be the write that does not wait. To make
 * the descriptor non-blocking would make it so for everybody who shares it, the shell included;
 * so for the time of the write we open what it refers to once more, for ourselves.
 */
#include "runtime/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define AGAIN_MS 10        /* how soon we look again at an output without room */
#define AFTER_DEATH_MS 200 /* how long we read after the death of the child at most */
#define READS_PER_TURN 8
#define READS_AT_THE_END 16

static void look(copse__tail *tail, bool to_the_end);

static void keep(copse__tail *tail, const uint8_t *data, size_t size) {
  for (size_t done = 0; done < size;) {
    size_t at = (size_t)(tail->total % COPSE__TAIL_SIZE);
    size_t room = COPSE__TAIL_SIZE - at;
    size_t n = size - done < room ? size - done : room;
    memcpy(tail->ring + at, data + done, n);
    tail->total += n;
    done += n;
  }
}

/* A descriptor that does not wait. A file never waits, and one of our own would begin at its start.
 * Of others (a socket, another user's terminal, what cannot be opened for want of descriptors) it
 * has to do that poll says there is room: a child whose words are not read stands still. */
static int open_output(void) {
  struct stat st;
  if (fstat(STDERR_FILENO, &st) != 0 || !(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
    return STDERR_FILENO;
  int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  return fd >= 0 ? fd : STDERR_FILENO;
}

/* Writes what is in the ring and was not passed on, in one piece, so that lines stay together. */
static ssize_t write_rest(copse__tail *tail, int fd) {
  size_t at = (size_t)(tail->passed % COPSE__TAIL_SIZE);
  size_t size = (size_t)(tail->total - tail->passed);
  size_t first = size < COPSE__TAIL_SIZE - at ? size : COPSE__TAIL_SIZE - at;
  struct iovec parts[] = {{tail->ring + at, first}, {tail->ring, size - first}};
  ssize_t n;
  do n = writev(fd, parts, 2);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Passes on what was read and was not yet; false if some of that is left, for want of room. What
 * cannot be written at all is not kept, and not tried again if nobody will ever read it. */
static bool pass_on(copse__tail *tail) {
  while (tail->forward && tail->passed < tail->total) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&p, 1, 0) == 0) return false;
    if (p.revents & (POLLERR | POLLNVAL)) {
      tail->forward = false;
      break;
    }
    int fd = open_output();
    ssize_t n = write_rest(tail, fd);
    bool no_room = n < 0 && errno == EAGAIN;
    if (fd != STDERR_FILENO) close(fd);
    if (no_room) return false;
    tail->passed = n > 0 ? tail->passed + (uint64_t)n : tail->total;
  }
  return true;
}

static void end(copse__tail *tail) {
  if (!tail->ended) {
    tail->ended = true;
    copse__poll_stop(&tail->poll);
    copse__timer_stop(tail->rt, &tail->timer);
  }
  if (tail->on_end) {
    void (*on_end)(copse__tail *) = tail->on_end;
    tail->on_end = NULL;
    on_end(tail);
  }
}

static void on_timer(copse__timer *timer) {
  copse__tail *tail = copse__of(timer, copse__tail, timer);
  look(tail, tail->read_until && copse_now(tail->rt) >= tail->read_until);
}

static void on_readable(copse__poll *poll, int events) {
  (void)events;
  look(copse__of(poll, copse__tail, poll), false);
}

/* Reads what there is. `to_the_end`: no waiting for room, and no more reading after this. */
static void look(copse__tail *tail, bool to_the_end) {
  uint8_t piece[PIPE_BUF];
  if (tail->ended) {
    end(tail);
    return;
  }
  for (int i = 0;; i++) {
    if (!pass_on(tail)) {
      if (!to_the_end) {
        copse__poll_events(&tail->poll, 0);
        copse__timer_start(tail->rt, &tail->timer, copse_now(tail->rt) + AGAIN_MS, on_timer);
        return;
      }
      tail->forward = false;
    }
    if (i >= READS_PER_TURN && !to_the_end) break;
    /* A holder of the pipe that never pauses must not keep us here. */
    ssize_t n = i <= READS_AT_THE_END ? read(tail->fd, piece, sizeof piece) : 0;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && !to_the_end) break;
    if (n <= 0) {
      end(tail);
      return;
    }
    keep(tail, piece, (size_t)n);
  }
  copse__poll_events(&tail->poll, UV_READABLE);
  if (tail->read_until) copse__timer_start(tail->rt, &tail->timer, tail->read_until, on_timer);
}

copse_status copse__tail_open(copse *rt, copse__tail *tail, bool forward, int *child_end) {
  int ends[2];
  memset(tail, 0, offsetof(copse__tail, ring));
  if (pipe2(ends, O_CLOEXEC) != 0) return COPSE_ESYSTEM;
  /* Makes only our end non-blocking: the child expects a stderr that blocks. */
  copse_status status = copse__poll_start(rt, &tail->poll, ends[0], UV_READABLE, on_readable);
  if (status != COPSE_OK) {
    close(ends[0]);
    close(ends[1]);
    return status;
  }
  tail->rt = rt;
  tail->fd = ends[0];
  tail->forward = forward;
  *child_end = ends[1];
  return COPSE_OK;
}

void copse__tail_finish(copse__tail *tail, void (*on_end)(copse__tail *tail)) {
  tail->on_end = on_end;
  tail->read_until = copse_now(tail->rt) + AFTER_DEATH_MS;
  /* Always later, so that the caller has one order of events only. */
  copse__timer_start(tail->rt, &tail->timer, copse_now(tail->rt), on_timer);
}

/* The length of the UTF-8 sequence at `at`, 0 if there is none. Overlong forms and surrogates
 * are none. */
static size_t utf8_size(const uint8_t *at, size_t size) {
  uint8_t c = at[0];
  if (c < 0x80) return 1;
  size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  if (c < 0xc2 || c > 0xf4 || n > size) return 0;
  for (size_t i = 1; i < n; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
      (c == 0xf4 && at[1] > 0x8f))
    return 0;
  return n;
}

void copse__tail_text(const copse__tail *tail, copse_buf *out) {
  uint8_t flat[COPSE__TAIL_SIZE];
  size_t size = tail->total < COPSE__TAIL_SIZE ? (size_t)tail->total : COPSE__TAIL_SIZE;
  size_t first = size < COPSE__TAIL_SIZE ? 0 : (size_t)(tail->total % COPSE__TAIL_SIZE);
  memcpy(flat, tail->ring + first, size - first);
  memcpy(flat + (size - first), tail->ring, first);

  const uint8_t *at = flat, *stop = flat + size;
  if (tail->total > COPSE__TAIL_SIZE) {
    const uint8_t *line = memchr(at, '\n', size);
    if (line && line + 1 < stop) at = line + 1;
  }
  while (at < stop) {
    size_t n = utf8_size(at, (size_t)(stop - at));
    if (n) copse_buf_append(out, at, n);
    else copse_buf_append(out, "?", n = 1);
    at += n;
  }
}

void copse__tail_close(copse__tail *tail) {
  if (!tail->rt) return;
  tail->on_end = NULL;
  end(tail);
  close(tail->fd);
  tail->rt = NULL;
}
