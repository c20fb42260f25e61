/* SPDX-License-Identifier: MIT
 *
 * The opener's end of a context.
 *
 * It is a member of the scope it was opened in: it leaves when the terminal has come or the link is
 * lost, and not before. So a scope never ends while something that it started runs on elsewhere.
 * Cancelling it is a message that always has an answer; who does not answer within the grace is
 * given up, together with the link.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

/* The copy of an OPEN that waits for its peer. */
struct copse__held {
  copse_open_options options;
  uint8_t bytes[];
};

/* As many milliseconds as a frame can tell of. */
static int64_t sayable(int64_t ms) { return ms < COPSE__UINT_MAX ? ms : COPSE__UINT_MAX; }

/* --- the opener's outcome --------------------------------------------------------------------- */

/* The outcome is told, and what nobody took care of goes to the scope. `asked`: somebody here
 * wanted the cancellation. */
void copse__context_conclude(copse_context *ctx, const copse_outcome *outcome, bool asked) {
  if (ctx->over) return;
  ctx->over = true;
  copse__context_detach(ctx);
  bool handled = ctx->cbs.done && ctx->cbs.done(ctx, outcome, ctx->data);
  copse_error *error = NULL;
  if (!handled && outcome->kind == COPSE_FAILED) {
    error = copse_error_ref(outcome->error);
  } else if (!handled && outcome->kind == COPSE_WAS_CANCELLED && !asked) {
    error = copse_cause_error(outcome->cause);
  }
  copse_member_leave(&ctx->member, error);
  copse__context_retire(ctx);
}

void copse__context_failed(copse_context *ctx, copse_error *error) {
  copse_outcome outcome = {.kind = COPSE_FAILED, .error = error, .ran = true};
  copse__context_conclude(ctx, &outcome, false);
}

static void conclude_deadline(copse_context *ctx) {
  copse_error *error = copse_error_new(
      COPSE_CODE_DEADLINE, "the deadline of a context on %s has passed", ctx->peer->ref.name);
  copse__context_failed(ctx, error);
  copse_error_unref(error);
}

void copse__context_cancelled(copse_context *ctx, const copse_cause *cause, bool ran, bool asked) {
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
  copse__context_conclude(ctx, &outcome, asked);
}

void copse__context_lost(copse_context *ctx, copse_error *error) {
  if (ctx->opener) {
    copse__context_failed(ctx, error);
    return;
  }
  copse__context_detach(ctx);
  copse__cause *cause =
      copse__cause_new(COPSE_ORIGIN_LINK_LOST, &ctx->peer->ref, copse_error_get(error)->message);
  uint64_t grace_end = copse__after(ctx->rt, (int64_t)ctx->rt->rungs.grace_ms);
  copse__scope_cancel_shared(ctx->scope, cause, grace_end);
  copse__cause_unref(cause);
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void on_grace(copse__timer *timer) {
  copse_context *ctx = copse__of(timer, copse_context, timer);
  copse__link *link = ctx->link;
  if (!link || ctx->over) return;
  copse_log(ctx->rt, COPSE_LOG_WARN, "%s did not end a cancelled context in time",
            ctx->peer->ref.name);
  if (ctx->peer->parent) return; /* without it we are nothing; it has its ladder, should we hang */
  if (link->hooks && link->hooks->unresponsive) link->hooks->unresponsive(link, ctx);
  else
    copse__link_bye(link, COPSE_CODE_UNRESPONSIVE,
                    "a cancelled context was not ended within its grace");
}

/* The opener's CANCEL: at once, and shorter ones again. The callee is told three
 * quarters of the patience that is left here, so that its answer, and those of
 * all below it, can be back in time. */
static void cancel(copse_context *ctx, copse__cause *cause, uint64_t grace_end) {
  copse *rt = ctx->rt;
  if (ctx->peer->grace_ms) {
    uint64_t most = copse__after(rt, ctx->peer->grace_ms);
    if (most < grace_end) grace_end = most;
  }
  if (ctx->over || (ctx->cancel_asked && grace_end >= ctx->grace_end)) return;
  ctx->cancel_asked = true;
  ctx->grace_end = grace_end;
  if (!ctx->cancel_cause) ctx->cancel_cause = copse__cause_ref(cause);
  if (ctx->held) {
    if (copse__list_empty(&ctx->due)) copse__list_push(&rt->contexts_due, &ctx->due);
    return;
  }
  if (!ctx->link) return;
  int64_t left = sayable(copse__left(rt, grace_end));
  if (copse_wire_cancel(ctx->link->wire, ctx->id, &ctx->cancel_cause->cause,
                        left < 0 ? -1 : left * 3 / 4) == COPSE_ENOMEM)
    copse__link_abort(ctx->link, COPSE_CODE_NO_MEMORY, "out of memory");
  else copse__link_dirty(ctx->link);
  copse__timer_stop(rt, &ctx->timer);
  ctx->timer.pump = false; /* what follows is user code's business */
  /* However little patience is left: an answer takes its time, and others use the link. */
  uint64_t answer = copse__after(rt, COPSE__TERM_MS);
  copse__timer_start(rt, &ctx->timer, grace_end > answer ? grace_end : answer, on_grace);
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

copse_status copse_cancel(copse_context *ctx, copse_origin origin, const char *message,
                          int64_t grace_ms) {
  if (!ctx->opener) return COPSE_EINVAL;
  if (ctx->over) return COPSE_ESTATE;
  uint64_t end = copse__after(ctx->rt, grace_ms < 0 ? (int64_t)ctx->rt->rungs.grace_ms : grace_ms);
  if (ctx->cancel_asked && grace_ms < 0) return COPSE_OK;
  copse__cause *cause = ctx->cancel_cause ? copse__cause_ref(ctx->cancel_cause)
                                          : copse__cause_new(origin, &ctx->rt->self, message);
  cancel(ctx, cause, end);
  copse__cause_unref(cause);
  return COPSE_OK;
}

void copse__contexts_run(copse *rt, bool *any) {
  for (copse__list *node; (node = copse__list_pop(&rt->contexts_due));) {
    copse_context *ctx = copse__of(node, copse_context, due);
    *any = true;
    copse__context_cancelled(ctx, &ctx->cancel_cause->cause, false, true);
  }
}

/* --- opening ---------------------------------------------------------------------------------- */

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
  if (!link || link->state != COPSE__LINK_OPEN || link->peer_bye || link->bye_said || link->why)
    return COPSE_ECLOSED;
  int64_t own = ctx->deadline == COPSE__NEVER ? -1 : copse__left(ctx->rt, ctx->deadline);
  int64_t rest = ctx->scope ? copse_scope_remaining(ctx->scope) : -1;
  ctx->deadline_own = own >= 0 && (rest < 0 || own <= rest);
  copse_wire_open_args args = {.target = options->target,
                               .args = options->args,
                               .send = options->send,
                               .reads = ctx->window.items != 0,
                               .credit = ctx->window,
                               .deadline_ms =
                                   sayable(own >= 0 && (rest < 0 || own < rest) ? own : rest),
                               .traceparent = ctx->traceparent[0] ? ctx->traceparent : NULL,
                               .meta = options->meta,
                               .user = ctx};
  copse_status status = copse_wire_open(link->wire, &args, &id);
  if (status) return status;
  ctx->granted = ctx->window;
  copse__context_attach(ctx, link, id);
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

copse_status copse__open(copse_peer *peer, copse_scope *scope, const copse_open_options *options,
                         unsigned flags, copse_context **out) {
  if (out) *out = NULL;
  if (!peer || !options || !options->target || !options->target[0] ||
      strlen(options->target) > COPSE_TARGET_MAX)
    return COPSE_EINVAL;
  if (scope && (scope->cancelled || scope->ended)) return COPSE_ECANCELLED;
  copse *rt = peer->rt;
  copse_context *ctx = copse__context_make(rt, peer);
  if (!ctx) return COPSE_ENOMEM;
  ctx->opener = true;
  ctx->scope = scope;
  ctx->cbs = options->cbs;
  ctx->data = options->data;
  ctx->window = copse__credit_sane(options->window);
  ctx->sends = ctx->window.items != 0;
  ctx->reads = options->send;
  ctx->deadline = copse__after(rt, options->deadline_ms);
  const char *trace = options->traceparent ? options->traceparent : inherited_trace(scope);
  if (trace && strlen(trace) < sizeof ctx->traceparent)
    memcpy(ctx->traceparent, trace, strlen(trace) + 1);
  bool wait = peer->hold && !(flags & COPSE__OPEN_PAST_HOLD);
  copse_status status = wait ? hold(ctx, options) : send_open(ctx, options);
  if (status) {
    copse__context_retire(ctx);
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

copse_status copse_open(copse_peer *peer, copse_scope *scope, const copse_open_options *options,
                        copse_context **ctx) {
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
    copse__context_failed(ctx, error);
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
