/* SPDX-License-Identifier: MIT
 *
 * Bytes out.
 *
 * One linear buffer of encoded frames, between whose bytes stand pieces of memory that the caller
 * lent. All positions are running totals, so that "the terminal of this context is handed over" is
 * one comparison. A reserve at the end of the buffer is never used but for the last BYE: an engine
 * that has run out of memory can still say so.
 */
#include "wire/engine.h"

#include <string.h>

enum { FIRST = 2048, QUIET_ROUNDS = 64 };

copse_status copse__output_init(copse_wire *wire) {
  wire->out.data = copse__resize(&wire->mem, NULL, 0, FIRST);
  if (!wire->out.data) return COPSE_ENOMEM;
  wire->out.capacity = FIRST;
  return COPSE_OK;
}

void copse__output_deinit(copse_wire *wire) {
  if (wire->out.data) copse__resize(&wire->mem, wire->out.data, wire->out.capacity, 0);
}

static copse_status move(copse_wire *wire, size_t capacity) {
  copse__output *out = &wire->out;
  uint8_t *fresh = copse__resize(&wire->mem, NULL, 0, capacity);
  if (!fresh) return COPSE_ENOMEM;
  memcpy(fresh, out->data + out->head, out->tail - out->head);
  copse__resize(&wire->mem, out->data, out->capacity, 0);
  out->data = fresh;
  out->tail -= out->head;
  out->head = 0;
  out->capacity = capacity;
  return COPSE_OK;
}

copse_status copse__output_reserve(copse_wire *wire, size_t size) {
  copse__output *out = &wire->out;
  size += COPSE__BYE_RESERVE;
#ifdef COPSE_HARD
  return move(wire, out->tail - out->head + size);
#else
  if (size <= out->capacity - out->tail) return COPSE_OK;
  const size_t left = out->tail - out->head;
  /* Moving to the front is worth it only if it frees a good part. */
  if (left + size <= out->capacity && left <= out->capacity / 2) {
    memmove(out->data, out->data + out->head, left);
    out->head = 0;
    out->tail = left;
    return COPSE_OK;
  }
  size_t capacity = out->capacity * 2;
  while (capacity < left + size) capacity *= 2;
  return move(wire, capacity);
#endif
}

bool copse__output_can_lend(const copse_wire *wire) {
  return wire->out.lent_count < COPSE__LENT_COUNT;
}

void copse__output_lend(copse_wire *wire, const void *data, size_t size) {
  copse__output *out = &wire->out;
  out->lent[(out->lent_first + out->lent_count++) % COPSE__LENT_COUNT] =
      (copse__lent){.at = out->taken + (out->tail - out->head), .data = data, .size = size};
  out->lent_bytes += size;
}

copse_status copse__output_frame(copse_wire *wire, uint8_t kind, uint64_t context,
                                 copse_bytes payload) {
  copse_status status = copse__output_reserve(wire, COPSE_HEADER_SIZE + payload.size);
  if (status) return status;
  copse__output_header(wire, (copse__frame){(uint32_t)payload.size, false, kind, context});
  copse__output_bytes(wire, payload.data, payload.size);
  return COPSE_OK;
}

size_t copse_wire_out(copse_wire *wire, copse_bytes *views, size_t count) {
  copse__output *out = &wire->out;
  copse__pump(wire);
  size_t used = 0;
  size_t own = out->head;
  for (unsigned i = 0; i <= out->lent_count && used < count; i++) {
    const copse__lent *lent = &out->lent[(out->lent_first + i) % COPSE__LENT_COUNT];
    const size_t until =
        i < out->lent_count ? out->head + (size_t)(lent->at - out->taken) : out->tail;
    if (until > own) views[used++] = (copse_bytes){out->data + own, until - own};
    own = until;
    if (i < out->lent_count && used < count) views[used++] = (copse_bytes){lent->data, lent->size};
  }
  return used;
}

/* Slots are free once their terminals are handed over. */
static void let_go(copse_wire *wire) {
  while (!copse__list_empty(&wire->leaving)) {
    copse__context *ctx = COPSE__OWNER(wire->leaving.next, copse__context, turn);
    if (ctx->leaves_at > wire->out.written) return;
    copse__context_free(wire, ctx);
  }
}

void copse_wire_out_done(copse_wire *wire, size_t size) {
  copse__output *out = &wire->out;
  const size_t unwritten = copse__unwritten(wire);
  if (size > unwritten) size = unwritten;
  if (unwritten > out->peak) out->peak = unwritten;
  out->written += size;
  while (size > 0) {
    copse__lent *lent = out->lent_count ? &out->lent[out->lent_first] : NULL;
    size_t own = lent ? (size_t)(lent->at - out->taken) : out->tail - out->head;
    if (own > size) own = size;
    out->head += own;
    out->taken += own;
    size -= own;
    if (!lent || lent->at != out->taken) continue;
    const size_t gone = lent->size < size ? lent->size : size;
    lent->data += gone;
    lent->size -= gone;
    out->lent_bytes -= gone;
    size -= gone;
    if (lent->size == 0) {
      out->lent_first = (out->lent_first + 1) % COPSE__LENT_COUNT;
      out->lent_count--;
    }
  }
  let_go(wire);
  if (copse__unwritten(wire) > 0) return;
  out->head = out->tail = 0;
  if (++out->quiet < QUIET_ROUNDS) return;
  if (out->peak < out->capacity / 4 && out->capacity > FIRST) (void)move(wire, out->capacity / 2);
  out->quiet = 0;
  out->peak = 0;
}

copse_status copse_wire_settle(copse_wire *wire) {
  copse__output *out = &wire->out;
  copse_status status = COPSE_OK;
  if (out->lent_count) {
    const size_t size = copse__unwritten(wire);
    uint8_t *fresh = copse__resize(&wire->mem, NULL, 0, size + COPSE__BYE_RESERVE);
    if (!fresh) {
      status = COPSE_ENOMEM;
    } else {
      copse_bytes views[2 * COPSE__LENT_COUNT + 1];
      size_t at = 0, own = out->head, count = 0;
      for (unsigned i = 0; i < out->lent_count; i++) {
        const copse__lent *lent = &out->lent[(out->lent_first + i) % COPSE__LENT_COUNT];
        const size_t until = out->head + (size_t)(lent->at - out->taken);
        views[count++] = (copse_bytes){out->data + own, until - own};
        views[count++] = (copse_bytes){lent->data, lent->size};
        own = until;
      }
      views[count++] = (copse_bytes){out->data + own, out->tail - own};
      for (size_t i = 0; i < count; i++) {
        if (views[i].size) memcpy(fresh + at, views[i].data, views[i].size);
        at += views[i].size;
      }
      copse__resize(&wire->mem, out->data, out->capacity, 0);
      out->data = fresh;
      out->capacity = size + COPSE__BYE_RESERVE;
      out->head = 0;
      out->tail = size;
    }
  }
  if (status == COPSE_OK) status = copse__messages_settle(wire);
  if (status == COPSE_OK) {
    out->lent_count = 0;
    out->lent_bytes = 0;
    return COPSE_OK;
  }
  /* The lender's memory goes now, and with it perhaps the middle of a frame: nothing that were
   * written after it could be understood, so nothing is. */
  out->lent_count = 0;
  out->lent_bytes = 0;
  out->head = out->tail = 0;
  out->written = out->taken = 0;
  copse__violate(wire, COPSE_CODE_NO_MEMORY, 0, "out of memory");
  out->head = out->tail = 0;
  return status;
}
