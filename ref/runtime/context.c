/* SPDX-License-Identifier: MIT
 *
 * Contexts: the edges of the tree that cross to another process.
 *
 * The engine knows the protocol of a context; here is what it means to the tree. This file has what
 * both ends have in common: their life as objects, items and credit, and who hears of which event.
 * How an opener's end belongs to the scope it was opened in is in open.c, how a callee's end is a
 * scope itself in serve.c.
 *
 * Items go straight from the engine's buffer to the callback; the window is replenished when half
 * of it was consumed, with running totals, so that an update that says nothing new is never sent.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES 262144 /* where somebody asks for items and says no bytes */
#define LEND_MIN 8192       /* smaller ones are cheaper copied */

/* --- memory ----------------------------------------------------------------------------------- */

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

copse_context *copse__context_make(copse *rt, copse_peer *peer) {
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

void copse__context_attach(copse_context *ctx, copse__link *link, uint64_t id) {
  ctx->link = copse__link_ref(link);
  ctx->id = id;
  ctx->from = link->from;
  copse__list_push(&link->contexts, &ctx->all);
}

void copse__context_detach(copse_context *ctx) {
  copse__list_remove(&ctx->all);
  copse__list_remove(&ctx->due);
  copse__timer_stop(ctx->rt, &ctx->timer);
  copse__link_unref(ctx->link);
  ctx->link = NULL;
}

/* Nothing more happens to it. Callbacks further up may hold the pointer until the turn ends. */
void copse__context_retire(copse_context *ctx) {
  ctx->over = true;
  copse__context_detach(ctx);
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
    if (!ctx->opener) ctx->scope->context = NULL;
    if (!ctx->opener && !ctx->scope->parent) copse__scope_abandon(ctx->scope);
    copse__context_retire(ctx);
  }
}

/* --- credit ----------------------------------------------------------------------------------- */

/* A total cannot be more than what a CREDIT can say; nobody comes that far. */
static uint64_t total(uint64_t consumed, uint64_t window) {
  const uint64_t most = (uint64_t)COPSE__UINT_MAX;
  return consumed > most || window > most - consumed ? most : consumed + window;
}

static copse_credit total_of(const copse_context *ctx) {
  return (copse_credit){total(ctx->consumed.items, ctx->window.items),
                        total(ctx->consumed.bytes, ctx->window.bytes)};
}

copse_credit copse__credit_sane(copse_credit window) {
  if (window.items && !window.bytes) window.bytes = WINDOW_BYTES;
  return (copse_credit){total(0, window.items), total(0, window.bytes)};
}

static void replenish(copse_context *ctx) {
  const copse_credit next = total_of(ctx);
  if ((next.items - ctx->granted.items) * 2 < ctx->window.items &&
      (next.bytes - ctx->granted.bytes) * 2 < ctx->window.bytes)
    return;
  ctx->granted = next;
  /* At once, not at the end of the turn: the peer may be waiting for it, and can send on while what
   * came before is still worked on here. */
  if (copse_wire_credit(ctx->link->wire, ctx->id, ctx->granted) == COPSE_OK)
    copse__link_flush(ctx->link);
}

void copse_consumed(copse_context *ctx, uint64_t items, uint64_t bytes) {
  ctx->consumed.items += items;
  ctx->consumed.bytes += bytes;
  if (ctx->link && !ctx->over && !ctx->said) replenish(ctx);
}

/* --- events ----------------------------------------------------------------------------------- */

static void item(copse_context *ctx, copse_event *event) {
  uint64_t bytes = event->item.bytes;
  /* Its result stands: what still comes is dropped, and nothing more is granted. */
  if (ctx->said) return;
  if (ctx->cbs.item && !ctx->cbs.item(ctx, event->value, ctx->data)) return;
  ctx->consumed.items++;
  ctx->consumed.bytes += bytes;
  if (ctx->link && !ctx->said) replenish(ctx);
}

bool copse_next_item(copse_context *ctx, copse_bytes *value) {
  copse__link *link = ctx->link;
  if (!link || ctx->over || ctx->said || link->state != COPSE__LINK_OPEN) return false;
  /* What copse_pump kept comes before what the engine has. */
  if (!copse__list_empty(&link->deferred) || !copse_wire_next_item(link->wire, ctx->id, value))
    return false;
  copse_consumed(ctx, 1, value->size);
  return true;
}

/* No byte of its OPEN was written: it was cancelled here, or a BYE came before its turn. */
static void withdrawn(copse_context *ctx) {
  if (ctx->cancel_cause) {
    copse__context_cancelled(ctx, &ctx->cancel_cause->cause, false, true);
    return;
  }
  copse_error *error = copse_error_new(COPSE_CODE_CLOSING, "the link with %s is ending: not begun",
                                       ctx->peer->ref.name);
  copse__context_failed(ctx, error);
  copse_error_unref(error);
}

/* Runs no user code: the pump does this, too. */
static void cancel(copse_context *ctx, copse_event *event) {
  int64_t grace =
      event->cancel.grace_ms < 0 ? (int64_t)ctx->rt->rungs.grace_ms : event->cancel.grace_ms;
  copse__scope_cancel_cause(ctx->scope, &event->cancel.cause, copse__after(ctx->rt, grace));
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
  case COPSE_EV_ITEM: item(ctx, event); break;
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
  case COPSE_EV_CANCEL: cancel(ctx, event); break;
  case COPSE_EV_RETURN: {
    copse_outcome outcome = {.kind = COPSE_RETURNED, .value = event->value, .ran = true};
    copse__context_conclude(ctx, &outcome, false);
    break;
  }
  case COPSE_EV_ERROR: {
    copse_error *error = copse__error_received(event->value, &ctx->peer->ref);
    copse__context_failed(ctx, error);
    copse_error_unref(error);
    break;
  }
  case COPSE_EV_CANCELLED:
    copse__context_cancelled(ctx, &event->cancelled.cause, event->cancelled.ran,
                             event->cancelled.asked);
    break;
  case COPSE_EV_WITHDRAWN: withdrawn(ctx); break;
  default: /* the link's own, which do not come here */ break;
  }
}

/* --- sending, both ends ----------------------------------------------------------------------- */

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

/* The head of a str or bin whose size takes one, two or four bytes. It is stored as one word: it is
 * loaded again at once, which a store of single bytes would hold up. */
static size_t sized_head(uint8_t first, size_t size, uint64_t *head) {
  const unsigned order = size <= 0xFF ? 0 : size <= 0xFFFF ? 1 : 2, n = 1 + (1u << order);
  *head = htobe64(((uint64_t)(first + order) << (8 * (n - 1)) | size) << (8 * (8 - n)));
  return n;
}

/* An item that is known to be sound, of a head and its content. */
static copse_status send_content(copse_context *ctx, const uint64_t *head, size_t n,
                                 const void *data, size_t size) {
  copse_bytes parts[2] = {{(const uint8_t *)head, n}, {data, size}};
  copse__link *link = ctx->link;
  bool lend = size >= LEND_MIN;
  copse_status status =
      copse_wire_send(link->wire, ctx->id, parts, 2, COPSE_TRUSTED | (lend ? COPSE_LEND : 0));
  if (status) return status;
  copse__link_dirty(link);
  if (lend) {
    /* From the caller's memory into the kernel's; only what it does not take is copied. */
    copse__link_flush(link);
    if (link->state != COPSE__LINK_CLOSED && copse_wire_settle(link->wire) == COPSE_ENOMEM)
      copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
  }
  return COPSE_OK;
}

copse_status copse_send_bin(copse_context *ctx, const void *data, size_t size) {
  uint64_t head;
  if (!ctx->link) return unlinked(ctx);
  if (ctx->said) return COPSE_ESTATE;
  if (size > UINT32_MAX) return COPSE_ETOOLARGE;
  size_t n = sized_head(0xC4, size, &head);
  return send_content(ctx, &head, n, data, size);
}

copse_status copse_send_str(copse_context *ctx, const char *text, size_t size) {
  uint64_t head;
  if (!ctx->link) return unlinked(ctx);
  if (ctx->said) return COPSE_ESTATE;
  if (size > UINT32_MAX) return COPSE_ETOOLARGE;
  if (!copse__utf8((const uint8_t *)text, size)) return COPSE_EVALUE;
  size_t n = 1;
  if (size < 32) head = htobe64((uint64_t)(0xA0 | size) << 56);
  else n = sized_head(0xD9, size, &head);
  return send_content(ctx, &head, n, text, size);
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
  /* At once: user code may go on to compute or block, and the opener waits. */
  copse__link_flush(ctx->link);
  return status;
}

copse_status copse_accept_items(copse_context *ctx, copse_credit window) {
  if (ctx->opener || ctx->said) return COPSE_ESTATE;
  if (!ctx->link) return unlinked(ctx);
  ctx->window = copse__credit_sane(window);
  ctx->granted = total_of(ctx);
  copse_status status = copse_wire_credit(ctx->link->wire, ctx->id, ctx->granted);
  copse__link_dirty(ctx->link);
  return status;
}

/* --- queries ---------------------------------------------------------------------------------- */

void *copse_context_data(const copse_context *ctx) { return ctx->data; }
void copse_context_set_data(copse_context *ctx, void *data) { ctx->data = data; }
void copse_context_set_cbs(copse_context *ctx, const copse_context_cbs *cbs) { ctx->cbs = *cbs; }
copse_peer *copse_context_peer(const copse_context *ctx) { return ctx->peer; }
uint64_t copse_context_id(const copse_context *ctx) { return ctx->id; }
copse *copse_context_runtime(const copse_context *ctx) { return ctx->rt; }
copse_scope *copse_context_scope(const copse_context *ctx) { return ctx->scope; }
bool copse_context_reads(const copse_context *ctx) { return ctx->reads; }
bool copse_context_sends(const copse_context *ctx) { return ctx->sends; }
copse_bytes copse_context_meta(const copse_context *ctx) {
  return (copse_bytes){ctx->meta, ctx->meta_size};
}
