/* SPDX-License-Identifier: MIT
 *
 * The callee's end of a context.
 *
 * It *is* a scope: what the handler starts lives in it, and the handler itself is
 * its first member. The terminal goes out when the handler has said its result and
 * all of that has ended; so it never tells of something that is still running, and
 * an error anywhere in it is not lost but is the result.
 */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- serving ---------------------------------------------------------------------------------- */

static void on_handler_cancel(copse_member *member, void *arg) {
  copse_context *ctx = arg;
  (void)member;
  if (ctx->said) return;
  if (ctx->cbs.cancel) ctx->cbs.cancel(ctx, ctx->data);
  else copse_cancelled(ctx);
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
  if (status && status != COPSE_ETOOLARGE && status != COPSE_ECLOSED) {
    const copse_error_info *info = copse_error_get(error);
    copse_code code = copse_code_of_context(info->known) ? info->known : COPSE_CODE_FAILED;
    status = copse_wire_refuse(ctx->link->wire, ctx->id, code, info->message);
    if (status && status != COPSE_ECLOSED)
      copse__link_abort(ctx->link, COPSE_CODE_INTERNAL, copse_status_text(status));
  }
}

/* The handler is done and all it started has ended: the terminal. */
static void on_scope_done(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  copse_context *ctx = arg;
  copse_outcome outcome = {
      .kind = COPSE_RETURNED, .value = copse_buf_bytes(&ctx->value), .ran = true};
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
    } else {
      outcome.ran = ctx->ran;
      status = copse_wire_cancelled(ctx->link->wire, ctx->id, outcome.cause, ctx->ran);
      if (status && status != COPSE_ECLOSED)
        copse__link_abort(ctx->link, COPSE_CODE_INTERNAL, copse_status_text(status));
    }
    copse__link_dirty(ctx->link);
  }
  ctx->over = true;
  if (ctx->cbs.done) ctx->cbs.done(ctx, &outcome, ctx->data);
  copse_error_unref(own);
  copse__context_retire(ctx);
}

copse_context *copse__context_serve(copse__link *link, const copse_event *event, bool is_held,
                                    bool outside) {
  copse *rt = link->rt;
  copse_scope_options options = COPSE_SCOPE_OPTIONS;
  char name[COPSE_TARGET_MAX + 1];
  copse_context *ctx = copse__context_make(rt, link->peer);
  if (!ctx) goto fail;
  size_t size = event->open.target.size < sizeof name ? event->open.target.size : sizeof name - 1;
  memcpy(name, event->open.target.data, size);
  name[size] = 0;
  options.name = name;
  ctx->is_held = is_held;
  ctx->ran = true;
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
  ctx->scope =
      copse__scope_new(rt, outside ? NULL : rt->served, &options, on_scope_done, ctx, NULL);
  if (!ctx->scope) goto fail;
  ctx->scope->context = ctx;
  ctx->scope->given = true; /* whatever deadline it gets is the opener's to tell of */
  static const copse_member_cbs cbs = {on_handler_cancel, NULL};
  copse__member_join(ctx->scope, &ctx->member, &cbs, NULL, ctx);
  copse__context_attach(ctx, link, event->context);
  copse_wire_set_user(link->wire, event->context, ctx);
  if (event->open.deadline_ms >= 0) copse__scope_set_deadline(ctx->scope, event->open.deadline_ms);
  return ctx;

fail:
  if (ctx) copse__context_retire(ctx);
  /* Else the opener would wait for ever; and an actor that cannot take copse.actor is none. */
  if (copse_wire_refuse(link->wire, event->context, COPSE_CODE_NO_MEMORY, "out of memory") ==
      COPSE_ENOMEM)
    copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
  else if (outside) copse__link_bye(link, COPSE_CODE_NO_MEMORY, "out of memory");
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
  copse_error *error =
      honest || ctx->scope->failed
          ? NULL
          : copse_error_new(COPSE_CODE_CANCELLED, "gave up without having been cancelled");
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
