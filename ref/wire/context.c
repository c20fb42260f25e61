/* SPDX-License-Identifier: MIT
 *
 * The table of contexts.
 *
 * Ids of one side grow by two, so the low bits of an id are a perfect hash for as long as contexts
 * end about as they began, and a decent one otherwise. Ended contexts leave their memory for the
 * next: a link that does a million calls allocates for as many as were ever open at once.
 */
#include "wire/engine.h"

#include <string.h>

enum { FEWEST_BUCKETS = 16, MOST_SPARE = 64 };

copse_status copse__contexts_init(copse_wire *wire) {
  const size_t size = FEWEST_BUCKETS * sizeof(copse__context *);
  wire->buckets = copse__resize(&wire->mem, NULL, 0, size);
  if (!wire->buckets) return COPSE_ENOMEM;
  memset(wire->buckets, 0, size);
  wire->bucket_count = FEWEST_BUCKETS;
  return COPSE_OK;
}

static void release(copse_wire *wire, copse__context *ctx) {
  copse__resize(&wire->mem, ctx, sizeof *ctx, 0);
}

void copse__contexts_deinit(copse_wire *wire) {
  for (size_t i = 0; i < wire->bucket_count; i++)
    while (wire->buckets[i]) copse__context_free(wire, wire->buckets[i]);
  while (wire->spare) {
    copse__context *next = wire->spare->chain;
    release(wire, wire->spare);
    wire->spare = next;
  }
  if (wire->buckets)
    copse__resize(&wire->mem, wire->buckets, wire->bucket_count * sizeof(copse__context *), 0);
}

/* Best effort: with too few buckets everything works, only slower. */
static void grow(copse_wire *wire) {
  const size_t count = wire->bucket_count * 2;
  copse__context **fresh = copse__resize(&wire->mem, NULL, 0, count * sizeof(copse__context *));
  if (!fresh) return;
  memset(fresh, 0, count * sizeof(copse__context *));
  for (size_t i = 0; i < wire->bucket_count; i++) {
    for (copse__context *ctx = wire->buckets[i], *next; ctx; ctx = next) {
      next = ctx->chain;
      ctx->chain = fresh[ctx->id & (count - 1)];
      fresh[ctx->id & (count - 1)] = ctx;
    }
  }
  copse__resize(&wire->mem, wire->buckets, wire->bucket_count * sizeof(copse__context *), 0);
  wire->buckets = fresh;
  wire->bucket_count = count;
}

copse__context *copse__context_new(copse_wire *wire, uint64_t id, bool opener) {
  copse__context *ctx = wire->spare;
  if (ctx) {
    wire->spare = ctx->chain;
    wire->spare_count--;
  } else {
    ctx = copse__resize(&wire->mem, NULL, 0, sizeof *ctx);
    if (!ctx) return NULL;
  }
  if (wire->opened + wire->serving >= wire->bucket_count) grow(wire);
  copse__context **bucket = &wire->buckets[id & (wire->bucket_count - 1)];
  *ctx = (copse__context){.id = id, .opener = opener, .grace = -1, .chain = *bucket};
  *bucket = ctx;
  copse__list_init(&ctx->turn);
  copse__list_init(&ctx->owes);
  copse__list_init(&ctx->notice);
  *(opener ? &wire->opened : &wire->serving) += 1;
  return ctx;
}

void copse__context_free(copse_wire *wire, copse__context *ctx) {
  copse__queue_drop(wire, ctx);
  copse__list_remove(&ctx->turn);
  copse__list_remove(&ctx->owes);
  copse__list_remove(&ctx->notice);
  copse__blob_free(wire, ctx->assembly);
  copse__blob_free(wire, ctx->cancel_owed);
  if (ctx->incoming) wire->partials_in--;
  copse__context **link = &wire->buckets[ctx->id & (wire->bucket_count - 1)];
  while (*link != ctx) link = &(*link)->chain;
  *link = ctx->chain;
  *(ctx->opener ? &wire->opened : &wire->serving) -= 1;
  if (wire->spare_count < MOST_SPARE) {
    ctx->chain = wire->spare;
    wire->spare = ctx;
    wire->spare_count++;
  } else {
    release(wire, ctx);
  }
}

void copse__context_notice(copse_wire *wire, copse__context *ctx) {
  copse__list_push(&wire->notices, &ctx->notice);
}
