/* SPDX-License-Identifier: MIT
 *
 * Contexts: the edges of the tree that cross to another process.
 *
 * The engine knows the protocol of a context; here is what it means to the tree. An opener's end is a member of the scope
 * it was opened in: it leaves when the terminal has come or the link is lost, and not before. A callee's end *is* a scope:
 * what the handler starts lives in it, and the terminal goes out when the handler has said its result and all of
 * that has ended. So a terminal never tells of something that is still running.
 *
 * Items go straight from the engine's buffer to the callback; the window is replenished when half of it was consumed,
 * with running totals, so that an update that says nothing new is never sent.
 */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES 262144 /* where somebody asks for items and says no bytes */
#define LEND_MIN 8192       /* smaller ones are cheaper copied */

/* The copy of an OPEN that waits for its peer. */
struct copse__held {
  copse_open_options options;
  uint8_t bytes[];
};

/* ------------------------------------------------------------------------------------------- memory */

copse_context *copse__context_ref(copse_context *ctx) {
  ctx->refs++;
  return ctx;
}

static void release(copse__grave *grave) {
  copse_context *ctx = copse__of(grave, copse_context, grave);
  copse__cause_unref(ctx->cancel_cause);
  copse_buf_deinit(&ctx->value);
  free(ctx->held);
  free(ctx->meta);
  free(ctx);
}

void copse__context_unref(copse_context *ctx) {
  if (--ctx->refs == 0) copse__bury(ctx->rt, &ctx->grave, release);
}

static copse_context *make(copse *rt, copse_peer *peer) {
  copse_context *ctx = calloc(1, sizeof *ctx);
  if (!ctx) return NULL;
  ctx->rt = rt;
  ctx->refs = 1;
  ctx->peer = copse__peer_ref(peer);
  ctx->deadline = ctx->grace_end = COPSE__NEVER;
  copse_buf_init(&ctx->value, SIZE_MAX, NULL);
  copse__list_init(&ctx->all);
  copse__list_init(&ctx->due);
  copse__list_init(&ctx->member.link);
  copse__list_init(&ctx->member.due);
  return ctx;
}

static void attach(copse_context *ctx, copse__link *link, uint64_t id) {
  ctx->link = copse__link_ref(link);
  ctx->id = id;
  ctx->from = link->from;
  copse__list_push(&link->contexts, &ctx->all);
}

static void detach(copse_context *ctx) {
  copse__list_remove(&ctx->all);
  copse__list_remove(&ctx->due);
  copse__timer_stop(ctx->rt, &ctx->timer);
  copse__link_unref(ctx->link);
  ctx->link = NULL;
}

/* Nothing more happens to it: callbacks further up may still hold the pointer until the end of the turn. */
static void retire(copse_context *ctx) {
  ctx->over = true;
  detach(ctx);
  copse__peer_unref(ctx->peer);
  copse__context_unref(ctx);
}

void copse__contexts_abandon(copse__list *list) {
  while (!copse__list_empty(list)) {
    copse_context *ctx = copse__of(list->next, copse_context, all);
    if (ctx->member.scope) {
      copse__list_remove(&ctx->member.link);
      copse__list_remove(&ctx->member.due);
      ctx->member.scope->count--;
      ctx->member.scope = NULL;
    }
    if (!ctx->opener && !ctx->scope->parent) copse__scope_abandon(ctx->scope);
    retire(ctx);
  }
}

/* -------------------------------------------------------------------------------------------- credit */

static copse_credit sane(copse_credit window) {
  if (window.items && !window.bytes) window.bytes = WINDOW_BYTES;
  return window;
}

static void replenish(copse_context *ctx) {
  uint64_t items = ctx->consumed.items + ctx->window.items, bytes = ctx->consumed.bytes + ctx->window.bytes;
  if ((items - ctx->granted.items) * 2 < ctx->window.items && (bytes - ctx->granted.bytes) * 2 < ctx->window.bytes) return;
  ctx->granted = (copse_credit){items, bytes};
  if (copse_wire_credit(ctx->link->wire, ctx->id, ctx->granted) == COPSE_OK) copse__link_dirty(ctx->link);
}

void copse_consumed(copse_context *ctx, uint64_t items, uint64_t bytes) {
  ctx->consumed.items += items;
  ctx->consumed.bytes += bytes;
  if (ctx->link && !ctx->over && !ctx->said) replenish(ctx);
}

/* -------------------------------------------------------------------------------- the opener's outcome */

/* The outcome is told, and what nobody took care of goes to the scope. `asked`: somebody here wanted the cancellation. */
static void conclude(copse_context *ctx, const copse_outcome *outcome, bool asked) {
  if (ctx->over) return;
  ctx->over = true;
  detach(ctx);
  bool handled = ctx->cbs.done && ctx->cbs.done(ctx, outcome, ctx->data);
  copse_error *error = NULL;
  if (!handled && outcome->kind == COPSE_FAILED) {
    error = copse_error_ref(outcome->error);
  } else if (!handled && outcome->kind == COPSE_WAS_CANCELLED && !asked) {
    const copse_cause *cause = outcome->cause;
    error = copse__error_at(COPSE_CODE_CANCELLED, &ctx->peer->ref, (copse_bytes){NULL, 0}, "cancelled by the other side (%s)%s%s",
                            copse_origin_text(cause->origin), cause->message[0] ? ": " : "", cause->message);
  }
  copse_member_leave(&ctx->member, error);
  retire(ctx);
}

static void conclude_failed(copse_context *ctx, copse_error *error) {
  copse_outcome outcome = {.kind = COPSE_FAILED, .error = error, .ran = true};
  conclude(ctx, &outcome, false);
}

static void conclude_deadline(copse_context *ctx) {
  copse_error *error = copse_error_new(COPSE_CODE_DEADLINE, "the deadline of a context on %s has passed", ctx->peer->ref.name);
  conclude_failed(ctx, error);
  copse_error_unref(error);
}

static void conclude_cancelled(copse_context *ctx, const copse_cause *cause, bool ran, bool asked) {
  copse_outcome outcome = {.kind = COPSE_WAS_CANCELLED, .cause = cause, .ran = ran};
  if (ctx->expired) {
    conclude_deadline(ctx);
    return;
  }
  if (!asked && cause->origin == COPSE_ORIGIN_DEADLINE) {
    /* The other side's clock was first with the deadline that it had from here. */
    if (ctx->deadline_own) {
      conclude_deadline(ctx);
      return;
    }
    asked = ctx->scope && copse__scope_expire_nearest(ctx->scope);
  }
  conclude(ctx, &outcome, asked);
}

void copse__context_lost(copse_context *ctx, copse_error *error) {
  if (ctx->opener) {
    conclude_failed(ctx, error);
    return;
  }
  detach(ctx);
  copse__cause *cause = copse__cause_new(COPSE_ORIGIN_LINK_LOST, &ctx->peer->ref, copse_error_get(error)->message);
  uint64_t grace_end = copse__after(ctx->rt, (int64_t)ctx->rt->rungs.grace_ms);
  copse__scope_cancel_shared(ctx->scope, cause, grace_end);
  copse__cause_unref(cause);
}

/* ----------------------------------------------------------------------------------------- cancelling */

static void on_grace(copse__timer *timer) {
  copse_context *ctx = copse__of(timer, copse_context, timer);
  copse__link *link = ctx->link;
  if (!link || ctx->over) return;
  copse_log(ctx->rt, COPSE_LOG_WARN, "%s did not end a cancelled context in time", ctx->peer->ref.name);
  if (link->hooks && link->hooks->unresponsive)
    link->hooks->unresponsive(link, ctx);
  else
    copse__link_bye(link, COPSE_CODE_UNRESPONSIVE, "a cancelled context was not ended within its grace");
}

/* The opener's CANCEL: at once, and shorter ones again. The callee is told three quarters of the patience that is left here, so that
 * its answer, and those of all below it, can be back in time. */
static void cancel(copse_context *ctx, copse__cause *cause, uint64_t grace_end) {
  copse *rt = ctx->rt;
  if (ctx->over || (ctx->cancel_asked && grace_end >= ctx->grace_end)) return;
  ctx->cancel_asked = true;
  ctx->grace_end = grace_end;
  if (!ctx->cancel_cause) ctx->cancel_cause = copse__cause_ref(cause);
  if (ctx->held) {
    if (copse__list_empty(&ctx->due)) copse__list_push(&rt->contexts_due, &ctx->due);
    return;
  }
  if (!ctx->link) return;
  int64_t left = copse__left(rt, grace_end);
  if (copse_wire_cancel(ctx->link->wire, ctx->id, &ctx->cancel_cause->cause, left < 0 ? -1 : left * 3 / 4) == COPSE_ENOMEM)
    copse__link_abort(ctx->link, COPSE_CODE_NO_MEMORY, "out of memory");
  else
    copse__link_dirty(ctx->link);
  copse__timer_stop(rt, &ctx->timer);
  ctx->timer.pump = false; /* what follows is user code's business */
  copse__timer_start(rt, &ctx->timer, grace_end, on_grace);
}

static void cancel_from_scope(copse_member *member) {
  copse_context *ctx = member->arg;
  cancel(ctx, member->scope->cause, member->scope->grace_end);
}

static void on_deadline(copse__timer *timer) {
  copse_context *ctx = copse__of(timer, copse_context, timer);
  ctx->expired = true;
  copse__cause *cause = copse__cause_new(COPSE_ORIGIN_DEADLINE, &ctx->rt->self, NULL);
  cancel(ctx, cause, copse__after(ctx->rt, (int64_t)ctx->rt->rungs.grace_ms));
  copse__cause_unref(cause);
}

void copse__context_cancel(copse_context *ctx, const copse_cause *cause, int64_t grace_ms) {
  copse__cause *own = copse__cause_new(cause->origin, &cause->by, cause->message);
  cancel(ctx, own, copse__after(ctx->rt, grace_ms));
  copse__cause_unref(own);
}

copse_status copse_cancel(copse_context *ctx, copse_origin origin, const char *message, int64_t grace_ms) {
  if (!ctx->opener) return COPSE_EINVAL;
  if (ctx->over) return COPSE_ESTATE;
  uint64_t end = copse__after(ctx->rt, grace_ms < 0 ? (int64_t)ctx->rt->rungs.grace_ms : grace_ms);
  if (ctx->cancel_asked && grace_ms < 0) return COPSE_OK;
  copse__cause *cause = ctx->cancel_cause ? copse__cause_ref(ctx->cancel_cause) : copse__cause_new(origin, &ctx->rt->self, message);
  cancel(ctx, cause, end);
  copse__cause_unref(cause);
  return COPSE_OK;
}

void copse__contexts_run(copse *rt, bool *any) {
  for (copse__list *node; (node = copse__list_pop(&rt->contexts_due));) {
    copse_context *ctx = copse__of(node, copse_context, due);
    *any = true;
    conclude_cancelled(ctx, &ctx->cancel_cause->cause, false, true);
  }
}

/* -------------------------------------------------------------------------------------------- opening */

/* The nearest context that this scope is work of: what it opens belongs to the same trace. */
static const char *inherited_trace(const copse_scope *scope) {
  for (; scope; scope = scope->parent)
    if (scope->context && scope->context->traceparent[0]) return scope->context->traceparent;
  return NULL;
}

/* Puts it into the engine; deadlines shrink by the time that it waited. */
static copse_status send_open(copse_context *ctx, const copse_open_options *options) {
  copse__link *link = ctx->peer->link;
  uint64_t id;
  if (!link || link->state != COPSE__LINK_OPEN || link->peer_bye || link->bye_said || link->why) return COPSE_ECLOSED;
  int64_t own = ctx->deadline == COPSE__NEVER ? -1 : copse__left(ctx->rt, ctx->deadline);
  int64_t rest = ctx->scope ? copse_scope_remaining(ctx->scope) : -1;
  ctx->deadline_own = own >= 0 && (rest < 0 || own <= rest);
  copse_wire_open_args args = {.target = options->target,
                               .args = options->args,
                               .send = options->send,
                               .reads = ctx->window.items != 0,
                               .credit = ctx->window,
                               .deadline_ms = own >= 0 && (rest < 0 || own < rest) ? own : rest,
                               .traceparent = ctx->traceparent[0] ? ctx->traceparent : NULL,
                               .meta = options->meta,
                               .user = ctx};
  copse_status status = copse_wire_open(link->wire, &args, &id);
  if (status) return status;
  ctx->granted = ctx->window;
  attach(ctx, link, id);
  copse__link_dirty(link);
  return COPSE_OK;
}

static uint8_t *keep(uint8_t *at, copse_bytes *bytes) {
  if (bytes->size) memcpy(at, bytes->data, bytes->size);
  bytes->data = at;
  return at + bytes->size;
}

static copse_status hold(copse_context *ctx, const copse_open_options *options) {
  size_t target = strlen(options->target) + 1;
  copse__held *held = malloc(sizeof *held + target + options->args.size + options->meta.size);
  if (!held) return COPSE_ENOMEM;
  held->options = *options;
  uint8_t *at = held->bytes;
  held->options.target = memcpy(at, options->target, target);
  at = keep(at + target, &held->options.args);
  keep(at, &held->options.meta);
  ctx->held = held;
  copse__list_push(&ctx->peer->held, &ctx->all);
  return COPSE_OK;
}

copse_status copse__open(copse_peer *peer, copse_scope *scope, const copse_open_options *options, unsigned flags,
                         copse_context **out) {
  if (out) *out = NULL;
  if (!peer || !options || !options->target || !options->target[0] || strlen(options->target) > COPSE_TARGET_MAX)
    return COPSE_EINVAL;
  if (scope && (scope->cancelled || scope->ended)) return COPSE_ECANCELLED;
  copse *rt = peer->rt;
  copse_context *ctx = make(rt, peer);
  if (!ctx) return COPSE_ENOMEM;
  ctx->opener = true;
  ctx->scope = scope;
  ctx->cbs = options->cbs;
  ctx->data = options->data;
  ctx->window = sane(options->window);
  ctx->sends = ctx->window.items != 0;
  ctx->reads = options->send;
  ctx->deadline = copse__after(rt, options->deadline_ms);
  const char *trace = options->traceparent ? options->traceparent : inherited_trace(scope);
  if (trace && strlen(trace) < sizeof ctx->traceparent) memcpy(ctx->traceparent, trace, strlen(trace) + 1);
  bool wait = peer->hold && !(flags & COPSE__OPEN_PAST_HOLD);
  copse_status status = wait ? hold(ctx, options) : send_open(ctx, options);
  if (status) {
    retire(ctx);
    return status;
  }
  if (ctx->deadline != COPSE__NEVER) {
    ctx->timer.pump = true;
    copse__timer_start(rt, &ctx->timer, ctx->deadline, on_deadline);
  }
  if (scope) copse__member_join(scope, &ctx->member, NULL, cancel_from_scope, ctx);
  if (out) *out = ctx;
  return COPSE_OK;
}

copse_status copse_open(copse_peer *peer, copse_scope *scope, const copse_open_options *options, copse_context **ctx) {
  return scope ? copse__open(peer, scope, options, 0, ctx) : COPSE_EINVAL;
}

void copse__context_unhold(copse_context *ctx) {
  copse__held *held = ctx->held;
  if (!copse__list_empty(&ctx->due)) { /* cancelled while it waited: that will be told */
    copse__list_push(&ctx->peer->held, &ctx->all);
    return;
  }
  copse_status status = send_open(ctx, &held->options);
  if (status) {
    copse_error *error = copse_status_error(status, held->options.target);
    conclude_failed(ctx, error);
    copse_error_unref(error);
    return;
  }
  ctx->held = NULL;
  free(held);
  if (ctx->held_end) copse_end(ctx);
  if (ctx->held_stop) copse_stop(ctx);
  /* Who was told to try again while there was no link does so now. */
  if (ctx->held_wait && ctx->cbs.writable) ctx->cbs.writable(ctx, ctx->data);
}

/* -------------------------------------------------------------------------------------------- serving */

static void on_handler_cancel(copse_member *member, void *arg) {
  copse_context *ctx = arg;
  (void)member;
  if (ctx->said) return;
  if (ctx->cbs.cancel)
    ctx->cbs.cancel(ctx, ctx->data);
  else
    copse_cancelled(ctx);
}

static void send_error(copse_context *ctx, copse_error *error) {
  copse_buf map;
  copse_status status;
  copse_buf_init(&map, ctx->rt->limits.message * 4ull, NULL);
  /* Said only where it was somebody else who cancelled it. */
  copse__error_encode(error, &ctx->rt->self, ctx->scope->cancelled && !ctx->scope->failed, &map);
  status = copse_buf_status(&map);
  if (!status) status = copse_wire_error(ctx->link->wire, ctx->id, copse_buf_bytes(&map));
  copse_buf_deinit(&map);
  /* What could not be encoded is said shorter; where even that fails, the link cannot be kept. */
  if (status && status != COPSE_ETOOLARGE)
    status = copse_wire_refuse(ctx->link->wire, ctx->id, copse_error_get(error)->known, copse_error_get(error)->message);
  if (status == COPSE_ENOMEM) copse__link_abort(ctx->link, COPSE_CODE_NO_MEMORY, "out of memory");
}

/* The handler is done and all it started has ended: the terminal. */
static void on_scope_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  copse_context *ctx = arg;
  copse_outcome outcome = {.kind = COPSE_RETURNED, .value = copse_buf_bytes(&ctx->value), .ran = true};
  copse_error *own = NULL;
  (void)cancelled;
  if (error) {
    outcome.kind = COPSE_FAILED;
    outcome.error = error;
  } else if (ctx->said_cancelled) {
    outcome.kind = COPSE_WAS_CANCELLED;
    outcome.cause = copse_scope_cause(scope);
  }
  if (ctx->link) {
    copse_status status = COPSE_OK;
    if (outcome.kind == COPSE_RETURNED) {
      status = copse_wire_return(ctx->link->wire, ctx->id, outcome.value);
      if (status == COPSE_ETOOLARGE) {
        own = copse_error_new(COPSE_CODE_TOO_LARGE, "the result is larger than the peer takes");
      } else if (status) {
        own = copse_status_error(status, "the result");
        send_error(ctx, own);
      }
      if (own) {
        outcome.kind = COPSE_FAILED;
        outcome.error = own;
      }
    } else if (outcome.kind == COPSE_FAILED) {
      send_error(ctx, error);
    } else if (copse_wire_cancelled(ctx->link->wire, ctx->id, outcome.cause, true) == COPSE_ENOMEM) {
      copse__link_abort(ctx->link, COPSE_CODE_NO_MEMORY, "out of memory");
    }
    copse__link_dirty(ctx->link);
  }
  ctx->over = true;
  if (ctx->cbs.done) ctx->cbs.done(ctx, &outcome, ctx->data);
  copse_error_unref(own);
  retire(ctx);
}

copse_context *copse__context_serve(copse__link *link, const copse_event *event, bool is_held, bool outside) {
  copse *rt = link->rt;
  copse_scope_options options = COPSE_SCOPE_OPTIONS;
  char name[COPSE_TARGET_MAX + 1];
  copse_context *ctx = make(rt, link->peer);
  if (!ctx) goto fail;
  size_t size = event->open.target.size < sizeof name ? event->open.target.size : sizeof name - 1;
  memcpy(name, event->open.target.data, size);
  name[size] = 0;
  options.name = name;
  ctx->is_held = is_held;
  ctx->reads = event->open.reads;
  ctx->sends = event->open.send;
  if (event->open.traceparent.size && event->open.traceparent.size < sizeof ctx->traceparent)
    memcpy(ctx->traceparent, event->open.traceparent.data, event->open.traceparent.size);
  if (event->open.meta.size) {
    ctx->meta = malloc(event->open.meta.size);
    if (!ctx->meta) goto fail;
    memcpy(ctx->meta, event->open.meta.data, event->open.meta.size);
    ctx->meta_size = event->open.meta.size;
  }
  ctx->scope = copse__scope_new(rt, outside ? NULL : rt->served, &options, on_scope_done, ctx, NULL);
  if (!ctx->scope) goto fail;
  ctx->scope->context = ctx;
  ctx->scope->given = true; /* whatever deadline it gets is the opener's to tell of */
  static const copse_member_cbs cbs = {on_handler_cancel, NULL};
  copse__member_join(ctx->scope, &ctx->member, &cbs, NULL, ctx);
  attach(ctx, link, event->context);
  copse_wire_set_user(link->wire, event->context, ctx);
  if (event->open.deadline_ms >= 0) copse__scope_set_deadline(ctx->scope, event->open.deadline_ms);
  return ctx;

fail:
  if (ctx) retire(ctx);
  copse_wire_refuse(link->wire, event->context, COPSE_CODE_NO_MEMORY, "out of memory");
  return NULL;
}

static bool handler_says(copse_context *ctx) {
  if (ctx->opener || ctx->said) return false;
  ctx->said = true;
  return true;
}

void copse_return(copse_context *ctx, copse_bytes value) {
  if (!handler_says(ctx)) return;
  copse_buf_append(&ctx->value, value.data, value.size);
  copse_status status = copse_buf_status(&ctx->value);
  copse_scope_seal(ctx->scope, status ? copse_status_error(status, "the result") : NULL);
  copse_member_leave(&ctx->member, NULL);
}

void copse_fail(copse_context *ctx, copse_error *error) {
  if (!handler_says(ctx)) {
    copse_error_unref(error);
    return;
  }
  copse_scope_seal(ctx->scope, error ? error : copse_error_new(COPSE_CODE_FAILED, "failed"));
  copse_member_leave(&ctx->member, NULL);
}

void copse_cancelled(copse_context *ctx) {
  bool honest = ctx->scope && ctx->scope->cancelled && !ctx->scope->failed;
  if (!handler_says(ctx)) return;
  ctx->said_cancelled = true;
  /* Where its own error cancelled it, that error is told. */
  copse_error *error = honest || ctx->scope->failed ? NULL : copse_error_new(COPSE_CODE_CANCELLED, "gave up without having been cancelled");
  copse_scope_seal(ctx->scope, error);
  copse_member_leave(&ctx->member, NULL);
}

void copse__held_end(copse *rt) {
  for (copse__list *l = rt->links.next; l != &rt->links; l = l->next) {
    copse__link *link = copse__of(l, copse__link, all);
    /* Saying the result takes nothing out of this list: the terminal comes from the turn. */
    for (copse__list *node = link->contexts.next; node != &link->contexts; node = node->next) {
      copse_context *ctx = copse__of(node, copse_context, all);
      if (ctx->is_held) copse_return(ctx, (copse_bytes){NULL, 0});
    }
  }
}

/* --------------------------------------------------------------------------------------------- events */

static void item(copse_context *ctx, copse_event *event) {
  uint64_t bytes = event->item.bytes;
  if (ctx->said) return; /* its result stands: what still comes is dropped, and nothing more is granted */
  if (ctx->cbs.item && !ctx->cbs.item(ctx, event->value, ctx->data)) return;
  ctx->consumed.items++;
  ctx->consumed.bytes += bytes;
  if (ctx->link && !ctx->said) replenish(ctx);
}

void copse__context_event(copse__link *link, copse_event *event) {
  copse_context *ctx = event->user;
  if (event->type == COPSE_EV_OPEN) {
    copse__export_dispatch(link, event);
    copse__link_dirty(link);
    return;
  }
  if (!ctx || ctx->over) return;
  switch ((int)event->type) {
  case COPSE_EV_ITEM:
    item(ctx, event);
    break;
  case COPSE_EV_STARTED:
    if (ctx->cbs.started) ctx->cbs.started(ctx, event->value, ctx->data);
    break;
  case COPSE_EV_END:
    if (ctx->cbs.end && !ctx->said) ctx->cbs.end(ctx, ctx->data);
    break;
  case COPSE_EV_STOP:
    copse__link_dirty(link); /* the engine answers END */
    if (ctx->cbs.stopped && !ctx->said) ctx->cbs.stopped(ctx, ctx->data);
    break;
  case COPSE_EV_WRITABLE:
    if (ctx->cbs.writable && !ctx->said) ctx->cbs.writable(ctx, ctx->data);
    break;
  case COPSE_EV_CANCEL:
    copse__context_event_now(link, event); /* once more does nothing */
    break;
  case COPSE_EV_RETURN: {
    copse_outcome outcome = {.kind = COPSE_RETURNED, .value = event->value, .ran = true};
    conclude(ctx, &outcome, false);
    break;
  }
  case COPSE_EV_ERROR: {
    copse_error *error = copse__error_received(event->value, &ctx->peer->ref);
    conclude_failed(ctx, error);
    copse_error_unref(error);
    break;
  }
  case COPSE_EV_CANCELLED:
    conclude_cancelled(ctx, &event->cancelled.cause, event->cancelled.ran, event->cancelled.asked);
    break;
  case COPSE_EV_WITHDRAWN:
    conclude_cancelled(ctx, &ctx->cancel_cause->cause, false, true);
    break;
  default: /* the link's own, which do not come here */
    break;
  }
}

void copse__context_event_now(copse__link *link, copse_event *event) {
  copse_context *ctx = event->user;
  (void)link;
  if (event->type != COPSE_EV_CANCEL || !ctx || ctx->over) return;
  int64_t grace = event->cancel.grace_ms < 0 ? (int64_t)ctx->rt->rungs.grace_ms : event->cancel.grace_ms;
  copse__scope_cancel_cause(ctx->scope, &event->cancel.cause, copse__after(ctx->rt, grace));
}

/* ------------------------------------------------------------------------------- sending, both ends */

/* What can be said of one that has no link now. */
static copse_status unlinked(copse_context *ctx) {
  if (ctx->over) return COPSE_ESTATE;
  if (!ctx->held) return COPSE_ECLOSED;
  ctx->held_wait = true;
  return COPSE_EAGAIN;
}

copse_status copse_send(copse_context *ctx, copse_bytes value) {
  if (!ctx->link) return unlinked(ctx);
  if (ctx->said) return COPSE_ESTATE;
  copse_status status = copse_wire_send(ctx->link->wire, ctx->id, &value, 1, 0);
  if (status == COPSE_OK) copse__link_dirty(ctx->link);
  return status;
}

copse_status copse_send_bin(copse_context *ctx, const void *data, size_t size) {
  uint8_t head[5];
  size_t n = 0;
  if (!ctx->link) return unlinked(ctx);
  if (ctx->said) return COPSE_ESTATE;
  if (size > UINT32_MAX) return COPSE_ETOOLARGE;
  int width = size <= 0xFF ? 1 : size <= 0xFFFF ? 2 : 4;
  head[n++] = width == 1 ? 0xC4 : width == 2 ? 0xC5 : 0xC6;
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) head[n++] = (uint8_t)(size >> shift);
  copse_bytes parts[2] = {{head, n}, {data, size}};
  copse__link *link = ctx->link;
  bool lend = size >= LEND_MIN;
  copse_status status = copse_wire_send(link->wire, ctx->id, parts, 2, COPSE_TRUSTED | (lend ? COPSE_LEND : 0));
  if (status) return status;
  copse__link_dirty(link);
  if (lend) {
    copse__link_flush(link); /* from the caller's memory into the kernel's; only what it does not take is copied */
    if (link->state != COPSE__LINK_CLOSED && copse_wire_settle(link->wire) == COPSE_ENOMEM)
      copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
  }
  return COPSE_OK;
}

copse_status copse_end(copse_context *ctx) {
  if (ctx->held && !ctx->over) {
    ctx->held_end = true;
    return COPSE_OK;
  }
  if (!ctx->link) return unlinked(ctx);
  copse_status status = copse_wire_end(ctx->link->wire, ctx->id);
  copse__link_dirty(ctx->link);
  return status;
}

copse_status copse_stop(copse_context *ctx) {
  if (ctx->held && !ctx->over) {
    ctx->held_stop = true;
    return COPSE_OK;
  }
  if (!ctx->link) return unlinked(ctx);
  copse_status status = copse_wire_stop(ctx->link->wire, ctx->id);
  copse__link_dirty(ctx->link);
  return status;
}

copse_status copse_started(copse_context *ctx, copse_bytes value) {
  if (ctx->opener || ctx->said) return COPSE_ESTATE;
  if (!ctx->link) return unlinked(ctx);
  copse_status status = copse_wire_started(ctx->link->wire, ctx->id, value);
  copse__link_dirty(ctx->link);
  return status;
}

copse_status copse_accept_items(copse_context *ctx, copse_credit window) {
  if (ctx->opener || ctx->said) return COPSE_ESTATE;
  if (!ctx->link) return unlinked(ctx);
  ctx->window = sane(window);
  ctx->granted = (copse_credit){ctx->consumed.items + ctx->window.items, ctx->consumed.bytes + ctx->window.bytes};
  copse_status status = copse_wire_credit(ctx->link->wire, ctx->id, ctx->granted);
  copse__link_dirty(ctx->link);
  return status;
}

/* ------------------------------------------------------------------------------------------- queries */

void *copse_context_data(const copse_context *ctx) { return ctx->data; }
void copse_context_set_data(copse_context *ctx, void *data) { ctx->data = data; }
void copse_context_set_cbs(copse_context *ctx, const copse_context_cbs *cbs) { ctx->cbs = *cbs; }
copse_peer *copse_context_peer(const copse_context *ctx) { return ctx->peer; }
uint64_t copse_context_id(const copse_context *ctx) { return ctx->id; }
copse *copse_context_runtime(const copse_context *ctx) { return ctx->rt; }
copse_scope *copse_context_scope(const copse_context *ctx) { return ctx->scope; }
bool copse_context_reads(const copse_context *ctx) { return ctx->reads; }
bool copse_context_sends(const copse_context *ctx) { return ctx->sends; }
copse_bytes copse_context_meta(const copse_context *ctx) { return (copse_bytes){ctx->meta, ctx->meta_size}; }
