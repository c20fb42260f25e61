/* SPDX-License-Identifier: MIT
 *
 * Links: an engine between two descriptors.
 *
 * libuv says when a descriptor is readable; reading and writing are our own calls, straight into
 * and out of the engine's memory. A turn reads at most READ_BUDGET bytes of a link, so that no peer
 * keeps the others waiting, and writes what came together at its end, with one call.
 *
 * A link ends in steps. The engine says that it is over (the peer's EOF, both BYEs said with
 * nothing open, a violation on either side). Then contexts that are left are lost, and the owner is
 * told. What is still to be said is written, our side is shut, and the peer's bytes are dropped
 * until its EOF, so that our last words reach it instead of a reset; one second bounds all that.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BUDGET (256u * 1024)
#define EVENT_BUDGET 4096
#define VIEWS 64
#ifdef COPSE_HARD
#define CHUNK(size) ((size) ? (size_t)1 : 0) /* every boundary there can be is met */
#else
#define CHUNK(size) (size)
#endif

static void end(copse__link *link, copse_code code, const char *text, bool graceful);
static void finish_output(copse__link *link);

/* --- memory ----------------------------------------------------------------------------------- */

copse__link *copse__link_ref(copse__link *link) {
  link->refs++;
  return link;
}

static void release(copse__grave *grave) {
  copse__link *link = copse__of(grave, copse__link, grave);
  copse_wire_free(link->wire);
  copse_error_unref(link->why);
  free(link);
}

void copse__link_unref(copse__link *link) {
  if (!link || --link->refs) return;
  copse__bury(link->rt, &link->grave, release);
}

static void activate(copse__link *link) {
  if (copse__list_empty(&link->active)) copse__list_push(&link->rt->links_active, &link->active);
}

void copse__link_dirty(copse__link *link) {
  if (link->state == COPSE__LINK_CLOSED) return;
  if (copse__list_empty(&link->dirty)) copse__list_push(&link->rt->links_dirty, &link->dirty);
}

/* The last of it, when its descriptors are closed and its owner has heard so. */
static void retire(copse__link *link) {
  copse *rt = link->rt;
  copse__list_remove(&link->all);
  if (link->peer) {
    if (link->peer->link == link) link->peer->link = NULL;
    copse__peer_unref(link->peer);
    link->peer = NULL;
  }
  copse__link_unref(link);
  copse__links_check(rt);
}

/* Posts those who wait for everything to be written. */
static void tell_flushed(copse__link *link) {
  copse_job *head = &link->flushed;
  while (head->next != head) {
    copse_job *job = head->next;
    copse_unpost(link->rt, job);
    copse_post(link->rt, job);
  }
}

void copse__link_when_flushed(copse__link *link, copse_job *job) {
  copse_job *head = &link->flushed;
  if (job->next) return;
  job->prev = head->prev;
  job->next = head;
  head->prev->next = job;
  head->prev = job;
  copse__link_dirty(link); /* perhaps there is nothing to write */
}

static void close_now(copse__link *link) {
  copse *rt = link->rt;
  if (link->state == COPSE__LINK_CLOSED) return;
  link->state = COPSE__LINK_CLOSED;
  copse__poll_stop(&link->rpoll);
  copse__poll_stop(&link->wpoll);
  copse__timer_stop(rt, &link->timer);
  copse__timer_stop(rt, &link->heart);
  close(link->rfd);
  if (link->wfd >= 0 && link->wfd != link->rfd) close(link->wfd);
  link->rfd = link->wfd = -1;
  copse__list_remove(&link->dirty);
  copse__list_remove(&link->active);
  copse__deferred_drop(link);
  tell_flushed(link);
  if (link->lost_told) retire(link);
}

/* --- out -------------------------------------------------------------------------------------- */

static void watch(copse__link *link) {
  int in = link->eof ? 0 : UV_READABLE, out = link->writing ? UV_WRITABLE : 0;
  if (link->wpoll.handle) {
    copse__poll_events(&link->rpoll, in);
    copse__poll_events(&link->wpoll, out);
  } else {
    copse__poll_events(&link->rpoll, in | out);
  }
}

void copse__link_flush(copse__link *link) {
  copse_bytes views[VIEWS];
  struct iovec iov[VIEWS];
  copse__list_remove(&link->dirty);
  if (link->state == COPSE__LINK_CLOSED) return;
  if (link->deaf || link->wfd < 0) {
    finish_output(link);
    return;
  }
  for (;;) {
    size_t count = copse_wire_out(link->wire, views, VIEWS);
    if (!count) break;
    for (size_t i = 0; i < count; i++) {
      iov[i].iov_base = (void *)(uintptr_t)views[i].data;
      iov[i].iov_len = CHUNK(views[i].size);
      if (iov[i].iov_len < views[i].size) count = i + 1;
    }
    ssize_t n = count == 1 ? write(link->wfd, iov[0].iov_base, iov[0].iov_len)
                           : writev(link->wfd, iov, (int)count);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        if (!link->writing) {
          link->writing = true;
          watch(link);
        }
        return;
      }
      /* Want of memory, say: it is still there, but we cannot talk to it. */
      if (errno != EPIPE && errno != ECONNRESET) {
        copse__link_abort(link, COPSE_CODE_LINK_LOST, "it cannot be written to");
        return;
      }
      /* Whoever does not listen may still have said something: EOF tells the end. */
      link->deaf = true;
      link->writing = false;
      watch(link);
      finish_output(link);
      return;
    }
    link->last_out++;
    copse_wire_out_done(link->wire, (size_t)n);
    activate(link); /* there may be events: room to write, the end */
  }
  if (link->writing) {
    link->writing = false;
    watch(link);
  }
  if (link->flushed.next != &link->flushed) {
    copse_wire_info info;
    copse_wire_get_info(link->wire, &info);
    if (!info.unwritten) tell_flushed(link);
  }
  finish_output(link);
}

/* All is said: the peer gets to see the end of it. */
static void finish_output(copse__link *link) {
  copse_bytes view;
  if (link->state != COPSE__LINK_DRAINING) return;
  if (!link->deaf && copse_wire_out(link->wire, &view, 1)) return;
  if (!link->shut) {
    link->shut = true;
    if (link->wfd == link->rfd) {
      shutdown(link->wfd, SHUT_WR);
    } else {
      copse__poll_stop(&link->wpoll);
      close(link->wfd);
      link->wfd = -1;
    }
  }
  if (link->eof) close_now(link);
}

/* --- in --------------------------------------------------------------------------------------- */

static void on_bound(copse__timer *timer) {
  copse__link *link = copse__of(timer, copse__link, timer);
  if (link->state == COPSE__LINK_HELLO) {
    copse__link_bye(link, COPSE_CODE_TIMEOUT, "no HELLO in time");
    return;
  }
  if (link->state == COPSE__LINK_DRAINING) {
    close_now(link);
    return;
  }
  /* We said BYE. Once it is answered, what is open may take its time: the engine ends the link. */
  if (link->why || link->rt->closing) copse__link_abort(link, COPSE_CODE_TIMEOUT, "no BYE in time");
  else if (!link->peer_bye) copse__link_bye(link, COPSE_CODE_TIMEOUT, "no BYE in time");
  else if (copse_now(link->rt) >= link->patience)
    copse__link_bye(link, COPSE_CODE_TIMEOUT, "what was open did not end in time");
  else copse__timer_start(link->rt, &link->timer, link->patience, on_bound);
}

/* Whether no event comes after this one but that the link is closed. */
static bool is_end(const copse_event *event) {
  if (event->type != COPSE_EV_BYE)
    return event->type == COPSE_EV_VIOLATION || event->type == COPSE_EV_CLOSED;
  return copse_code_of((const char *)event->bye.code.data, event->bye.code.size) != COPSE_CODE_NONE;
}

/* Events of the link itself. */
static void link_event(copse__link *link, copse_event *event) {
  char text[320];
  switch ((int)event->type) {
  case COPSE_EV_HELLO: copse__link_hello(link, event); break;
  case COPSE_EV_PONG: copse__peer_pong(link, event->value); break;
  case COPSE_EV_BYE:
    copse_log(link->rt, COPSE_LOG_DEBUG, "%s says BYE %.*s %.*s",
              link->peer ? link->peer->ref.name : "a peer", (int)event->bye.code.size,
              (const char *)event->bye.code.data, (int)event->bye.message.size,
              (const char *)event->bye.message.data);
    link->peer_bye = true;
    if (!is_end(event)) {
      copse__link_dirty(link); /* the engine has answered */
      break;
    }
    snprintf(text, sizeof text, "the peer ended the link: %.*s%s%.*s", (int)event->bye.code.size,
             (const char *)event->bye.code.data, event->bye.message.size ? ": " : "",
             (int)copse__utf8_fit(event->bye.message.data, event->bye.message.size, 200),
             (const char *)event->bye.message.data);
    end(link, copse_code_of((const char *)event->bye.code.data, event->bye.code.size), text, false);
    break;
  case COPSE_EV_VIOLATION:
    snprintf(text, sizeof text, "%s broke the protocol: %s: %s (context %llu)",
             link->peer ? link->peer->ref.name : "the peer", copse_code_text(event->violation.code),
             event->violation.why, (unsigned long long)event->violation.context);
    copse_log(link->rt, COPSE_LOG_WARN, "%s", text);
    copse__link_dirty(link);
    end(link, event->violation.code, text, false);
    break;
  case COPSE_EV_CLOSED: end(link, link->code, NULL, event->closed.graceful); break;
  default: break;
  }
}

static bool is_link_event(copse_event_type type) {
  return type == COPSE_EV_HELLO || type >= COPSE_EV_PONG;
}

static void tell(copse__link *link, copse_event *event) {
  if (is_link_event(event->type)) link_event(link, event);
  else copse__context_event(link, event);
}

/* The deadline of an OPEN that came in pieces runs from the first of them. */
static void note_opening(copse__link *link) {
  copse_wire_info info;
  copse_wire_get_info(link->wire, &info);
  if (info.opening == link->opening) return;
  link->opening = info.opening;
  link->opening_at = copse_now(link->rt);
}

static copse_event_type next_event(copse__link *link, copse_event *event) {
  copse_event_type type = copse_wire_next(link->wire, event);
  if (type == COPSE_EV_OPEN && link->opening == event->context && event->open.deadline_ms > 0) {
    int64_t waited = (int64_t)(copse_now(link->rt) - link->opening_at);
    event->open.deadline_ms =
        waited < event->open.deadline_ms ? event->open.deadline_ms - waited : 0;
  }
  if (type == COPSE_EV_NONE) note_opening(link);
  return type;
}

/* Tells what the engine and copse_pump have in store. False: there is more, for another turn. */
static bool pull(copse__link *link) {
  copse_event *event = &link->rt->event;
  int left = EVENT_BUDGET;
  for (;;) {
    /* User code that was told may have pumped: that came before what the engine has. */
    if (!copse__list_empty(&link->deferred)) left -= copse__deferred_tell(link, left, tell);
    if (left <= 0) return false;
    if (link->state > COPSE__LINK_OPEN || next_event(link, event) == COPSE_EV_NONE) return true;
    left--;
    tell(link, event);
  }
}

static void input_ended(copse__link *link) {
  link->eof = true;
  link->readable = false;
  watch(link);
  if (link->state == COPSE__LINK_DRAINING) finish_output(link);
  else copse_wire_eof(link->wire);
}

/* One read. Afterwards `readable` tells whether there may be more. */
static void take_in(copse__link *link, size_t *budget) {
  size_t size = 0;
  uint8_t waste[4096], *space = copse_wire_space(link->wire, &size);
  /* An engine that is over takes no more; we do, see above, and drop it. */
  const bool over = !space;
  if (over) {
    space = waste;
    size = sizeof waste;
  }
  ssize_t n;
  do n = read(link->rfd, space, CHUNK(size));
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    size_t got = (size_t)n;
    *budget -= got < *budget ? got : *budget;
    if (link->first_size < sizeof link->first) {
      size_t keep = sizeof link->first - link->first_size;
      if (keep > got) keep = got;
      memcpy(link->first + link->first_size, space, keep);
      link->first_size += keep;
    }
    if (over) return;
    link->last_in = copse_now(link->rt);
    if (link->quiet) {
      link->quiet = false;
      if (link->peer) link->peer->state = COPSE_PEER_ALIVE;
    }
    copse_wire_fed(link->wire, got);
    /* A short read took all there was: asking again would be a system call for nothing. */
    if (got < CHUNK(size)) link->readable = false;
    return;
  }
  link->readable = false;
  if (n == 0 || errno != EAGAIN) input_ended(link);
}

static void on_poll(copse__poll *poll, int events) {
  copse__link *link = copse__of(poll, copse__link, rpoll);
  if (events & (UV_READABLE | UV_DISCONNECT)) link->readable = true;
  activate(link);
  if (events & UV_WRITABLE) copse__link_dirty(link);
}

static void on_wpoll(copse__poll *poll, int events) {
  copse__link *link = copse__of(poll, copse__link, wpoll);
  if (events) copse__link_dirty(link);
}

void copse__link_run(copse__link *link) {
  size_t budget = READ_BUDGET;
  bool told;
  if (link->state == COPSE__LINK_CLOSED) return;
  copse__link_ref(link);
  /* Views point into the engine: what was read is told before more is read. */
  for (;;) {
    told = pull(link);
    if (!told || link->state == COPSE__LINK_CLOSED || !link->readable || !budget) break;
    take_in(link, &budget);
  }
  if (link->state != COPSE__LINK_CLOSED) {
    copse_bytes view;
    link->readable = false; /* what is still there, the next poll tells */
    if (!told) activate(link);
    /* The protocol layer may owe answers that nobody here asked for. */
    if (!link->writing && copse_wire_out(link->wire, &view, 1)) copse__link_dirty(link);
  }
  copse__link_unref(link);
}

/* The peer is gone: what is served for it is cancelled at once, and told so in the turn. */
static void cancel_served(copse__link *link) {
  if (!link->peer) return;
  copse__cause *cause =
      copse__cause_new(COPSE_ORIGIN_LINK_LOST, &link->peer->ref, "the link is lost");
  uint64_t grace_end = copse__after(link->rt, (int64_t)link->rt->rungs.grace_ms);
  for (copse__list *node = link->contexts.next; node != &link->contexts; node = node->next) {
    copse_context *ctx = copse__of(node, copse_context, all);
    if (!ctx->opener && !ctx->over) copse__scope_cancel_shared(ctx->scope, cause, grace_end);
  }
  copse__cause_unref(cause);
}

/* A cancellation waits for no turn: it is marked where user code runs, and where none has begun it
 * is answered. So however often it is repeated, nothing of it is kept. */
static void pump_cancel(copse__link *link, copse_event *event) {
  if (event->user) {
    copse__context_event(link, event);
    return;
  }
  copse__deferred_forget(link, event->context);
  if (copse_wire_cancelled(link->wire, event->context, &event->cancel.cause, false) == COPSE_ENOMEM)
    copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
}

void copse__link_pump(copse__link *link) {
  copse_event event;
  size_t budget = READ_BUDGET;
  if (link->eof || link->pumped_out || link->state > COPSE__LINK_OPEN) return;
  copse__link_ref(link);
  link->readable = true;
  for (;;) {
    /* What was read before is kept first: reading makes its views void. */
    while (link->state <= COPSE__LINK_OPEN && next_event(link, &event) != COPSE_EV_NONE) {
      if (event.type == COPSE_EV_PONG && !link->ping.cb) continue;
      if (event.type == COPSE_EV_CANCEL) {
        pump_cancel(link, &event);
        continue;
      }
      if (event.type == COPSE_EV_OPEN && copse__export_refuse(link, &event)) continue;
      if (!copse__deferred_keep(link, &event)) {
        copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
        break;
      }
      if (is_end(&event)) {
        link->pumped_out = true;
        cancel_served(link);
      }
      activate(link);
    }
    if (!link->readable || !budget || link->pumped_out || link->state > COPSE__LINK_OPEN) break;
    take_in(link, &budget);
  }
  if (link->state != COPSE__LINK_CLOSED) {
    copse__list_remove(&link->dirty);
    copse__link_flush(link);
  }
  copse__link_unref(link);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void why(copse__link *link, const char *text) {
  if (link->why) return;
  if (text) link->why = copse_error_new(COPSE_CODE_LINK_LOST, "%s", text);
  else
    link->why = copse_error_new(COPSE_CODE_LINK_LOST, "the link with %s was lost",
                                link->peer ? link->peer->ref.name : "the peer");
}

/* Tells that it is over. In the turn only: this runs user code. */
static void tell_lost(copse__link *link) {
  if (link->lost_told) return;
  copse__timer_stop(link->rt, &link->heart);
  copse_error *error = copse_error_ref(link->why);
  copse__link_ref(link);
  link->lost_told = true;
  bool closed = link->state == COPSE__LINK_CLOSED; /* else it retires when that comes */
  if (link->ping.cb) {
    void (*cb)(copse_peer *, uint64_t, void *) = link->ping.cb;
    link->ping.cb = NULL;
    cb(link->peer, UINT64_MAX, link->ping.arg);
  }
  if (link->peer && link->peer->link == link) link->peer->state = COPSE_PEER_LOST;
  if (!link->owned) {
    copse__link_fail_all(link, error);
    if (link->peer) copse__peer_fail_held(link->peer, error);
  }
  if (link->hooks && link->hooks->lost) link->hooks->lost(link, error, link->graceful);
  if (closed) retire(link);
  copse__link_unref(link);
  copse_error_unref(error);
}

static void on_lost(copse_job *job) {
  copse__link *link = copse__of(job, copse__link, lost_job);
  tell_lost(link);
  copse__link_unref(link);
}

/* The engine is over: nothing comes any more, what is left to write is written. */
static void end(copse__link *link, copse_code code, const char *text, bool graceful) {
  if (link->state >= COPSE__LINK_DRAINING) return;
  link->code = code;
  link->graceful = graceful;
  why(link, text);
  link->state = COPSE__LINK_DRAINING;
  copse__timer_start(link->rt, &link->timer, copse__after(link->rt, COPSE__CLOSE_MS), on_bound);
  copse__link_ref(link);
  copse__link_flush(link);
  tell_lost(link);
  copse__link_unref(link);
}

void copse__link_abort(copse__link *link, copse_code code, const char *text) {
  if (link->state == COPSE__LINK_CLOSED) return;
  if (link->state < COPSE__LINK_DRAINING) {
    link->code = code;
    why(link, text);
    /* Perhaps in the middle of user code: who is concerned hears of it in the turn. */
    if (!link->lost_told && !link->lost_job.next) {
      link->lost_job.cb = on_lost;
      copse__link_ref(link);
      copse_post(link->rt, &link->lost_job);
    }
  }
  close_now(link);
}

bool copse__link_has_heard_hello(const copse__link *link) {
  copse_wire_info info;
  copse_wire_get_info(link->wire, &info);
  return info.hello_received;
}

void copse__link_bye(copse__link *link, copse_code code, const char *message) {
  if (link->state > COPSE__LINK_OPEN) return;
  /* Whoever has said HELLO is owed an answer, be it BYE. */
  if (code == COPSE_CODE_NONE && link->state == COPSE__LINK_HELLO &&
      !copse__link_has_heard_hello(link)) {
    copse__link_abort(link, code, "closed before it was open");
    return;
  }
  if (link->bye_said && code == COPSE_CODE_NONE) return;
  if (copse_wire_bye(link->wire, code, message, 0) == COPSE_ENOMEM) {
    copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
    return;
  }
  link->bye_said = true;
  if (code != COPSE_CODE_NONE) {
    link->code = code;
    why(link, message);
  }
  copse__timer_start(
      link->rt, &link->timer,
      copse__after(link->rt, code == COPSE_CODE_NONE ? COPSE__BYE_MS : COPSE__CLOSE_MS), on_bound);
  copse__link_dirty(link);
  activate(link);
}

void copse__link_hurry(copse__link *link, int64_t ms) {
  uint64_t due = copse__after(link->rt, ms > COPSE__CLOSE_MS ? ms : COPSE__CLOSE_MS);
  if (link->state != COPSE__LINK_OPEN || !link->bye_said || link->why) return;
  if (due < link->patience) link->patience = due;
  if (!link->timer.active || due < link->timer.due)
    copse__timer_start(link->rt, &link->timer, due, on_bound);
}

void copse__link_fail_all(copse__link *link, copse_error *error) {
  copse__list now;
  copse__list_init(&now);
  copse__list_move(&now, &link->contexts);
  for (copse__list *node; (node = copse__list_pop(&now));)
    copse__context_lost(copse__of(node, copse_context, all), error);
}

/* --- beginning -------------------------------------------------------------------------------- */

void copse__link_bind(copse__link *link, copse_peer *peer) {
  link->peer = copse__peer_ref(peer);
  peer->link = link;
  peer->state = COPSE_PEER_ALIVE;
}

void copse__link_set_hooks(copse__link *link, const copse__link_hooks *hooks, void *owner) {
  link->hooks = hooks;
  link->owner = owner;
}

copse_status copse__link_new(copse *rt, const copse__link_options *options, copse__link **out) {
  copse__link *link = calloc(1, sizeof *link);
  copse_status status = COPSE_ENOMEM;
  if (!link) goto fail;
  link->rt = rt;
  link->rfd = options->rfd;
  link->wfd = options->wfd;
  link->refs = 1;
  link->connector = options->connector;
  link->owned = options->owned;
  link->from = options->from;
  link->heartbeat_ms = options->heartbeat_ms;
  link->patience = COPSE__NEVER;
  link->hooks = options->hooks;
  link->owner = options->owner;
  link->flushed.next = link->flushed.prev = &link->flushed;
  copse__list *lists[] = {&link->all, &link->active, &link->dirty, &link->contexts,
                          &link->deferred};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) copse__list_init(lists[i]);
  copse_wire_config config = {.connector = options->connector,
                              .limits = rt->limits,
                              .heartbeat_ms = options->heartbeat_ms,
                              .features = COPSE_FEATURES_ALL,
                              .self = &rt->self,
                              .token = options->token};
  status = copse_wire_new(&link->wire, &config);
  if (status) goto fail;
  int both = link->rfd == link->wfd;
  status = copse__poll_start(rt, &link->rpoll, link->rfd, UV_READABLE, on_poll);
  if (status) goto fail;
  if (!both && (status = copse__poll_start(rt, &link->wpoll, link->wfd, 0, on_wpoll))) goto fail;
  if (options->peer) copse__link_bind(link, options->peer);
  copse__list_push(&rt->links, &link->all);
  if (options->hello_ms >= 0)
    copse__timer_start(rt, &link->timer, copse__after(rt, options->hello_ms), on_bound);
  copse__link_dirty(link);
  *out = link;
  return COPSE_OK;

fail:
  if (link) {
    copse__poll_stop(&link->rpoll);
    copse_wire_free(link->wire);
    free(link);
  }
  close(options->rfd);
  if (options->wfd != options->rfd) close(options->wfd);
  return status;
}

void copse__link_drop(copse__link *link) {
  bool told = link->lost_told;
  link->hooks = NULL;
  link->lost_told = true;
  if (link->lost_job.next) {
    copse_unpost(link->rt, &link->lost_job);
    copse__link_unref(link);
  }
  if (link->state != COPSE__LINK_CLOSED) copse__link_abort(link, COPSE_CODE_NONE, "dropped");
  else if (!told) retire(link);
}
