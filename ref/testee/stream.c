/* SPDX-License-Identifier: MIT
 *
 * The handlers that send and take items.
 *
 * What sends does so until it is told "not now", and goes on when it is told that it may. What
 * takes puts each item into a queue and consumes from there, as its gate or the other direction
 * allows; the window bounds the queue.
 */
#include "testee.h"

#include <stdlib.h>
#include <string.h>

/* --- fail ------------------------------------------------------------------------------------- */

static void fail_now(call *c) {
  copse_buf map;
  copse_buf_init(&map, c->args.size + 256, NULL);
  copse_pack_map(&map, c->arg[2].data ? 3 : 2);
  copse_pack_cstr(&map, "code");
  if (c->arg[0].data) copse_pack_value(&map, c->arg[0]);
  else copse_pack_cstr(&map, "failed");
  copse_pack_cstr(&map, "message");
  if (c->arg[1].data) copse_pack_value(&map, c->arg[1]);
  else copse_pack_cstr(&map, "");
  if (c->arg[2].data) {
    copse_pack_cstr(&map, "data");
    copse_pack_value(&map, c->arg[2]);
  }
  copse_error *error = copse_error_decode(copse_buf_bytes(&map));
  copse_buf_deinit(&map);
  copse_fail(c->ctx, error ? error : copse_error_new(COPSE_CODE_BAD_ARGS, "this is no error"));
}

static void fail_written(copse_job *job) {
  fail_now((call *)(void *)((char *)job - offsetof(call, job)));
}

static copse_status send_int(call *c, int64_t number) {
  uint8_t bytes[16];
  copse_buf item = {.data = bytes, .capacity = sizeof bytes, .max = sizeof bytes};
  copse_pack_int(&item, number);
  return copse_send(c->ctx, copse_buf_bytes(&item));
}

void fail_on(copse_context *ctx, void *arg) {
  call *c = arg;
  int64_t items = arg_int(c, 3, 0);
  (void)ctx;
  if (c->over) return;
  for (; c->count < items; c->count++) {
    copse_status status = send_int(c, c->count);
    if (status == COPSE_EAGAIN) return;
    if (status != COPSE_OK) break; /* no more, or the end of it all */
  }
  c->over = true;
  c->job.cb = fail_written;
  if (copse_peer_flush(c->peer, &c->job) != COPSE_OK) fail_now(c);
}

void fail(call *c) {
  if (!arg_int(c, 3, 0)) {
    fail_now(c);
    return;
  }
  started(c);
  fail_on(c->ctx, c);
}

/* --- source ----------------------------------------------------------------------------------- */

static copse_status send_bin(call *c, int64_t number, size_t size) {
  uint8_t *data = calloc(1, size);
  if (!data) return COPSE_ENOMEM;
  for (int i = 0; i < 8; i++) data[i] = (uint8_t)(number >> (56 - 8 * i));
  copse_status status = copse_send_bin(c->ctx, data, size);
  free(data);
  return status;
}

void source_on(copse_context *ctx, void *arg) {
  call *c = arg;
  int64_t end = arg_int(c, 0, INT64_MAX), size = arg_int(c, 1, 0);
  for (; c->count < end; c->count++) {
    copse_status status = size ? send_bin(c, c->count, (size_t)size) : send_int(c, c->count);
    if (status == COPSE_EAGAIN) return;
    if (status == COPSE_ENOMORE) break;
    if (status != COPSE_OK) {
      copse_fail(ctx, copse_status_error(status, "an item"));
      return;
    }
  }
  copse_end(ctx);
  return_int(c, c->count);
}

void source(call *c) {
  started(c);
  source_on(c->ctx, c);
}

/* --- sink, duplex ----------------------------------------------------------------------------- */

/* The first item of the queue. */
static bool front(call *c, copse_bytes *item) {
  copse_reader reader;
  copse_reader_init(&reader, copse_buf_bytes(&c->queue));
  return copse_read_value(&reader, item) == COPSE_OK;
}

static void consume(call *c, copse_bytes item) {
  copse_consumed(c->ctx, 1, item.size);
  memmove(c->queue.data, item.data + item.size, c->queue.size -= item.size);
}

static void sink_return(call *c) {
  copse_buf map;
  copse_buf_init(&map, 128, NULL);
  copse_pack_map(&map, 4);
  copse_pack_cstr(&map, "count");
  copse_pack_int(&map, c->count);
  copse_pack_cstr(&map, "sum");
  copse_pack_int(&map, (int64_t)c->sum);
  copse_pack_cstr(&map, "bytes");
  copse_pack_int(&map, (int64_t)c->bytes);
  copse_pack_cstr(&map, "ended");
  copse_pack_bool(&map, !c->over);
  copse_return(c->ctx, copse_buf_bytes(&map));
  copse_buf_deinit(&map);
}

/* Takes what it may. `over`: it has said STOP. */
static void sink_take(call *c) {
  int64_t stop_after = arg_int(c, 2, -1), number;
  copse_bytes item, bin;
  if (c->gate || c->over) return;
  while (c->count != stop_after && front(c, &item)) {
    c->count++;
    if (copse_value_int(item, &number) == COPSE_OK) c->sum += (uint64_t)number;
    if (copse_value_bin(item, &bin) == COPSE_OK) c->bytes += bin.size;
    consume(c, item);
  }
  if (c->count == stop_after) {
    c->over = true;
    copse_stop(c->ctx);
    if (!c->arg[3].data) sink_return(c);
    else if (!gate_wait(c, c->arg[3], sink_return)) fail_memory(c);
  } else if (c->ended) {
    sink_return(c);
  }
}

static void duplex_take(call *c) {
  copse_bytes item;
  while (front(c, &item)) {
    copse_status status = copse_send(c->ctx, item);
    if (status == COPSE_EAGAIN) return;
    if (status != COPSE_OK && status != COPSE_ENOMORE) {
      copse_fail(c->ctx, copse_status_error(status, "an item"));
      return;
    }
    c->count++;
    consume(c, item);
  }
  if (!c->ended) return;
  copse_end(c->ctx);
  return_int(c, c->count);
}

bool stream_item(copse_context *ctx, copse_bytes value, void *arg) {
  call *c = arg;
  copse_buf_append(&c->queue, value.data, value.size);
  if (copse_buf_status(&c->queue) != COPSE_OK) fail_memory(c);
  else stream_on(ctx, c);
  return false; /* `consume` tells when it is */
}

void stream_end(copse_context *ctx, void *arg) {
  ((call *)arg)->ended = true;
  stream_on(ctx, arg);
}

void stream_on(copse_context *ctx, void *arg) {
  (void)ctx;
  ((call *)arg)->take(arg);
}

static void begin(call *c, void (*take)(call *c)) {
  c->take = take;
  c->ended = !copse_context_sends(c->ctx);
  copse_accept_items(c->ctx, arg_window(c, 0));
  started(c);
}

void sink(call *c) {
  begin(c, sink_take);
  if (!c->arg[1].data) sink_take(c);
  else if (!gate_wait(c, c->arg[1], sink_take)) fail_memory(c);
}

void duplex(call *c) {
  begin(c, duplex_take);
  duplex_take(c);
}
