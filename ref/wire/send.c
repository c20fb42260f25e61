/* SPDX-License-Identifier: MIT
 *
 * Sending messages.
 *
 * A message goes straight into the output if nothing stands before it: header and payload are
 * written where the transport will read them, without a queue, a copy more or an allocation. If
 * something does (64 KiB are unwritten, others wait, or the message must be split), it is queued at
 * its context, and contexts that have something queued are served in turn, a frame each. So a long
 * message delays no other by more than a frame, and no message but one per context ever waits here.
 *
 * What may not wait does not pass through here: CANCEL is written at once; STOP, CREDIT and a
 * repeated CANCEL are owed and written before any message is. END and the terminals keep their
 * place behind the messages of their context. The OPENs of a link reach the wire in the order of
 * their ids, one after the other.
 */
#include "wire/engine.h"

#include <string.h>

/* A message of more parts is copied when it has to be queued. */
enum { LENT_PARTS = 8 };

static size_t total_size(const copse_bytes *parts, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].size;
  return total;
}

static bool is_terminal(uint8_t kind) { return kind >= COPSE_KIND_RETURN; }

/* ERROR and CANCELLED do not wait for what was queued before them. */
static bool supersedes(uint8_t kind) { return kind > COPSE_KIND_RETURN; }

/* --- turns ------------------------------------------------------------------------------------ */

static void take_turn(copse_wire *wire, copse__context *ctx, enum copse__place place) {
  copse__node *list = place == COPSE__PLACE_RING     ? &wire->ring
                      : place == COPSE__PLACE_PARKED ? &wire->parked
                      : place == COPSE__PLACE_OPENS  ? &wire->opens
                                                     : &wire->leaving;
  copse__list_push(list, &ctx->turn);
  ctx->place = (uint8_t)place;
}

static void leave_turn(copse__context *ctx) {
  copse__list_remove(&ctx->turn);
  ctx->place = COPSE__PLACE_NONE;
}

/* One unfinished message less: another may begin. */
static void partial_over(copse_wire *wire) {
  wire->partials_out--;
  if (copse__list_empty(&wire->parked)) return;
  take_turn(wire, COPSE__OWNER(wire->parked.next, copse__context, turn), COPSE__PLACE_RING);
}

/* The OPEN of this context is written or withdrawn: the next one may begin. */
static void open_over(copse_wire *wire, copse__context *ctx) {
  if (wire->open_active != ctx) return;
  wire->open_active = NULL;
  if (copse__list_empty(&wire->opens)) return;
  wire->open_active = COPSE__OWNER(wire->opens.next, copse__context, turn);
  take_turn(wire, wire->open_active, COPSE__PLACE_RING);
}

/* --- queue ------------------------------------------------------------------------------------ */

static void message_free(copse_wire *wire, copse__message *message) {
  wire->queued_bytes -= message->size - message->sent;
  copse__resize(&wire->mem, message, message->allocated, 0);
}

/* The bytes to keep follow the message: all, as one part, or, if it is lent, the small parts. */
static copse__message *message_new(copse_wire *wire, uint8_t kind, const copse_bytes *parts,
                                   size_t count, size_t size, bool lent) {
  const size_t kept = lent ? count : 1;
  size_t copied = lent ? 0 : size;
  for (size_t i = 0; lent && i < count; i++)
    if (parts[i].size < COPSE__LEND_MIN) copied += parts[i].size;
  const size_t allocated = sizeof(copse__message) + kept * sizeof *parts + copied;
  copse__message *message = copse__resize(&wire->mem, NULL, 0, allocated);
  if (!message) return NULL;
  *message = (copse__message){
      .allocated = allocated, .size = size, .count = kept, .kind = kind, .lent = lent};
  uint8_t *data = (uint8_t *)(message->parts + kept);
  if (!lent) message->parts[0] = (copse_bytes){data, size};
  for (size_t i = 0; i < count; i++) {
    const bool copy = !lent || parts[i].size < COPSE__LEND_MIN;
    if (lent) message->parts[i] = copy ? (copse_bytes){data, parts[i].size} : parts[i];
    if (!copy || parts[i].size == 0) continue;
    memcpy(data, parts[i].data, parts[i].size);
    data += parts[i].size;
  }
  wire->queued_bytes += size;
  return message;
}

static void pop(copse_wire *wire, copse__context *ctx) {
  copse__message *message = ctx->queue;
  const bool partial = message->partial;
  ctx->queue = message->next;
  if (!ctx->queue) ctx->queue_last = NULL;
  message_free(wire, message);
  if (partial) partial_over(wire);
}

void copse__queue_drop(copse_wire *wire, copse__context *ctx) {
  if (ctx->place != COPSE__PLACE_LEAVING) leave_turn(ctx);
  while (ctx->queue) pop(wire, ctx);
  ctx->end_queued = false;
  open_over(wire, ctx);
}

void copse__queue_drop_items(copse_wire *wire, copse__context *ctx) {
  copse__message *kept = NULL;
  if (ctx->queue && ctx->queue->kind != COPSE_KIND_ITEM) {
    kept = ctx->queue; /* a STARTED; nothing else stands before an ITEM */
    ctx->queue = kept->next;
  }
  while (ctx->queue) pop(wire, ctx);
  ctx->queue = ctx->queue_last = kept;
  if (kept) kept->next = NULL;
  else if (!ctx->end_queued && ctx->place != COPSE__PLACE_LEAVING) leave_turn(ctx);
}

static void enqueue(copse_wire *wire, copse__context *ctx, copse__message *message) {
  if (ctx->queue) ctx->queue_last->next = message;
  else ctx->queue = message;
  ctx->queue_last = message;
  if (ctx->place != COPSE__PLACE_NONE) return;
  if (message->kind == COPSE_KIND_OPEN) {
    if (wire->open_active) {
      take_turn(wire, ctx, COPSE__PLACE_OPENS);
      return;
    }
    wire->open_active = ctx;
  }
  take_turn(wire, ctx, COPSE__PLACE_RING);
}

/* A fragment of a message was encoded. */
static void encoded(copse_wire *wire, copse__context *ctx, uint8_t kind, bool more) {
  if (kind == COPSE_KIND_OPEN) {
    ctx->life = copse__opener[ctx->life]
                             [more ? COPSE__OPENER_ON_SEND_OPEN_MORE : COPSE__OPENER_ON_SEND_OPEN];
    if (ctx->stop_owed || ctx->credit_owed) copse__owe(wire, ctx);
  } else if (is_terminal(kind) && !more) {
    ctx->end_queued = false; /* which it implies */
    copse__list_remove(&ctx->owes);
    ctx->leaves_at = copse__output_end(wire);
    take_turn(wire, ctx, COPSE__PLACE_LEAVING);
  }
}

/* --- encoding --------------------------------------------------------------------------------- */

/* Large parts may be lent, if the output has a place to remember each. */
static size_t copied_size(const copse_wire *wire, const copse_bytes *parts, size_t count,
                          bool *lend) {
  size_t large = 0, copied = 0;
  for (size_t i = 0; i < count; i++) {
    if (*lend && parts[i].size >= COPSE__LEND_MIN) large++;
    else copied += parts[i].size;
  }
  if (large == 0 || wire->out.lent_count + large > COPSE__LENT_COUNT) {
    *lend = false;
    return total_size(parts, count);
  }
  return copied;
}

static copse_status pay(copse_wire *wire, copse__context *ctx) {
  const copse_bytes nothing = {NULL, 0};
  copse_status status = COPSE_OK;
  if (ctx->credit_owed) {
    uint8_t bytes[32];
    copse_buf buf;
    copse__buf_fixed(&buf, bytes, sizeof bytes);
    copse_pack_array(&buf, 2);
    copse_pack_int(&buf, (int64_t)ctx->given.items);
    copse_pack_int(&buf, (int64_t)ctx->given.bytes);
    status = copse__output_frame(wire, COPSE_KIND_CREDIT, ctx->id, copse_buf_bytes(&buf));
    if (status == COPSE_OK) ctx->credit_owed = false;
  }
  if (status == COPSE_OK && ctx->stop_owed) {
    status = copse__output_frame(wire, COPSE_KIND_STOP, ctx->id, nothing);
    if (status == COPSE_OK) ctx->stop_owed = false;
  }
  if (status == COPSE_OK && ctx->cancel_owed) {
    copse__blob *blob = ctx->cancel_owed;
    status = copse__output_frame(wire, COPSE_KIND_CANCEL, ctx->id,
                                 (copse_bytes){blob->data, blob->size});
    if (status == COPSE_OK) {
      ctx->cancel_owed = NULL;
      copse__blob_free(wire, blob);
    }
  }
  if (status == COPSE_OK) copse__list_remove(&ctx->owes);
  return status;
}

static copse_status straight(copse_wire *wire, copse__context *ctx, uint8_t kind,
                             const copse_bytes *parts, size_t count, size_t size, bool lend) {
  copse_status status = COPSE_OK;
  /* Credit that was granted before STARTED was said goes before it, too. */
  if (kind == COPSE_KIND_STARTED && !copse__list_empty(&ctx->owes)) status = pay(wire, ctx);
  if (status) return status;
  const size_t copied = lend ? copied_size(wire, parts, count, &lend) : size;
  status = copse__output_reserve(wire, COPSE_HEADER_SIZE + copied);
  if (status) return status;
  if (supersedes(kind)) copse__queue_drop(wire, ctx);
  copse__output_header(wire, (copse__frame){(uint32_t)size, false, kind, ctx->id});
  for (size_t i = 0; i < count; i++) {
    if (lend && parts[i].size >= COPSE__LEND_MIN)
      copse__output_lend(wire, parts[i].data, parts[i].size);
    else copse__output_bytes(wire, parts[i].data, parts[i].size);
  }
  if (kind != COPSE_KIND_ITEM) encoded(wire, ctx, kind, false);
  return COPSE_OK;
}

copse_status copse__message_send(copse_wire *wire, copse__context *ctx, uint8_t kind,
                                 const copse_bytes *parts, size_t count, unsigned flags) {
  const size_t size = total_size(parts, count);
  if (size > wire->theirs.message) return COPSE_ETOOLARGE;
  bool lend = (flags & COPSE_LEND) != 0;

  /* A small terminal does not wait for others: contexts bound how many there are. */
  const bool first = !ctx->queue || supersedes(kind);
  const bool calm = copse__list_empty(&wire->ring) && copse__unwritten(wire) < COPSE__OUTPUT_SOFT;
  const bool small = is_terminal(kind) && size <= COPSE__CONTROL_MAX;
  if (first && size <= wire->theirs.frame && (calm || small))
    return straight(wire, ctx, kind, parts, count, size, lend);

  copse__message *message =
      message_new(wire, kind, parts, count, size, lend && count <= LENT_PARTS);
  if (!message) return COPSE_ENOMEM;
  if (supersedes(kind)) copse__queue_drop(wire, ctx);
  if (is_terminal(kind)) ctx->end_queued = false;
  enqueue(wire, ctx, message);
  return COPSE_OK;
}

void copse__end_send(copse_wire *wire, copse__context *ctx) {
  if (!ctx->queue &&
      copse__output_frame(wire, COPSE_KIND_END, ctx->id, (copse_bytes){NULL, 0}) == COPSE_OK)
    return;
  ctx->end_queued = true;
  if (ctx->place == COPSE__PLACE_NONE) take_turn(wire, ctx, COPSE__PLACE_RING);
}

void copse__owe(copse_wire *wire, copse__context *ctx) {
  if (ctx->opener && ctx->life == COPSE__OPENER_UNOPENED) return; /* not before its OPEN */
  copse__list_push(&wire->owing, &ctx->owes);
}

/* One frame of the message that is next on a context. */
static copse_status encode_fragment(copse_wire *wire, copse__context *ctx) {
  copse__message *message = ctx->queue;
  const size_t left = message->size - message->sent;
  const size_t size = left < wire->theirs.frame ? left : wire->theirs.frame;
  const bool more = size < left;

  /* Which pieces of the parts make up this fragment. */
  copse_bytes pieces[LENT_PARTS];
  size_t count = 0, gathered = 0, part = message->part, offset = message->offset;
  while (gathered < size) {
    const copse_bytes *from = &message->parts[part];
    const size_t here = from->size - offset, need = size - gathered;
    const size_t taken = here < need ? here : need;
    if (taken) pieces[count++] = (copse_bytes){from->data + offset, taken};
    gathered += taken;
    offset += taken;
    if (offset == from->size) {
      part++;
      offset = 0;
    }
  }
  bool lend = message->lent;
  const size_t copied = lend ? copied_size(wire, pieces, count, &lend) : size;
  copse_status status = copse__output_reserve(wire, COPSE_HEADER_SIZE + copied);
  if (status) return status;
  copse__output_header(wire, (copse__frame){(uint32_t)size, more, message->kind, ctx->id});
  for (size_t i = 0; i < count; i++) {
    if (lend && pieces[i].size >= COPSE__LEND_MIN)
      copse__output_lend(wire, pieces[i].data, pieces[i].size);
    else copse__output_bytes(wire, pieces[i].data, pieces[i].size);
  }
  message->part = part;
  message->offset = offset;
  message->sent += size;
  wire->queued_bytes -= size;
  if (more && !message->partial) {
    message->partial = true;
    wire->partials_out++;
  }
  return COPSE_OK;
}

static copse_status serve(copse_wire *wire, copse__context *ctx) {
  copse__message *message = ctx->queue;
  if (!message) { /* only an END is left */
    copse_status status =
        copse__output_frame(wire, COPSE_KIND_END, ctx->id, (copse_bytes){NULL, 0});
    if (status) return status;
    ctx->end_queued = false;
    leave_turn(ctx);
    return COPSE_OK;
  }
  if (!message->partial && message->size > wire->theirs.frame &&
      wire->partials_out >= wire->theirs.partials) {
    take_turn(wire, ctx, COPSE__PLACE_PARKED);
    return COPSE_OK;
  }
  copse_status status = encode_fragment(wire, ctx);
  if (status) return status;
  const uint8_t kind = message->kind;
  const bool more = message->sent < message->size;
  if (!more) pop(wire, ctx);
  if (ctx->queue || ctx->end_queued)
    take_turn(wire, ctx, COPSE__PLACE_RING); /* behind the others */
  else leave_turn(ctx);
  encoded(wire, ctx, kind, more);
  if (more) return COPSE_OK;
  if (kind == COPSE_KIND_OPEN) open_over(wire, ctx);
  if (ctx->want_write && !ctx->queue) copse__context_notice(wire, ctx);
  return COPSE_OK;
}

void copse__pump(copse_wire *wire) {
  copse_status status = COPSE_OK;
  if (wire->failed || wire->link == COPSE__LINK_HELLO || wire->link == COPSE__LINK_CLOSED) return;
  while (!status && !copse__list_empty(&wire->owing) &&
         copse__unwritten(wire) < 2 * COPSE__OUTPUT_SOFT)
    status = pay(wire, COPSE__OWNER(wire->owing.next, copse__context, owes));
  while (!status && !copse__list_empty(&wire->ring) && copse__unwritten(wire) < COPSE__OUTPUT_SOFT)
    status = serve(wire, COPSE__OWNER(wire->ring.next, copse__context, turn));
  if (status) copse__violate(wire, COPSE_CODE_NO_MEMORY, 0, "out of memory");
}

copse_status copse__messages_settle(copse_wire *wire) {
  for (size_t i = 0; i < wire->bucket_count; i++) {
    for (copse__context *ctx = wire->buckets[i]; ctx; ctx = ctx->chain) {
      for (copse__message **at = &ctx->queue; *at; at = &(*at)->next) {
        copse__message *old = *at;
        if (!old->lent) continue;
        copse__message *copy =
            message_new(wire, old->kind, old->parts, old->count, old->size, false);
        if (!copy) return COPSE_ENOMEM;
        copy->next = old->next;
        copy->sent = copy->offset = old->sent;
        copy->partial = old->partial;
        wire->queued_bytes -= old->sent; /* message_new counted it whole */
        *at = copy;
        if (ctx->queue_last == old) ctx->queue_last = copy;
        message_free(wire, old);
      }
    }
  }
  return COPSE_OK;
}
