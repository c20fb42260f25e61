/* SPDX-License-Identifier: MIT
 *
 * What the engine costs by itself: nanoseconds per item, without a transport.
 *
 * Two engines in one process; the bytes are copied from one's output to the other's input, as a
 * read and a write would, and that copy is measured alone, too. */
#include "copse/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static copse_wire *engine(bool connector) {
  copse_ref self;
  memset(&self, 0, sizeof self);
  self.id[0] = connector ? 1 : 2;
  strcpy(self.name, "bench");
  copse_wire_config config = {
      .connector = connector, .features = COPSE_FEATURES_ALL, .self = &self};
  copse_wire *wire;
  if (copse_wire_new(&wire, &config)) abort();
  return wire;
}

/* Moves what is there; counts the items that arrived. */
static size_t carry(copse_wire *from, copse_wire *to, double *sending, double *receiving) {
  copse_bytes views[16];
  copse_event event;
  size_t items = 0;
  for (;;) {
    double start = now();
    size_t count = copse_wire_out(from, views, 16);
    *sending += now() - start;
    if (count == 0) return items;
    for (size_t i = 0; i < count; i++) {
      while (views[i].size > 0) {
        size_t room;
        start = now();
        uint8_t *space = copse_wire_space(to, &room);
        *receiving += now() - start;
        if (!space) abort();
        if (room > views[i].size) room = views[i].size;
        memcpy(space, views[i].data, room);
        start = now();
        copse_wire_fed(to, room);
        while (copse_wire_next(to, &event) != COPSE_EV_NONE) items += event.type == COPSE_EV_ITEM;
        *receiving += now() - start;
        start = now();
        copse_wire_out_done(from, room);
        *sending += now() - start;
        views[i].data += room;
        views[i].size -= room;
      }
    }
  }
}

static void measure(size_t size, size_t total, unsigned flags) {
  copse_wire *a = engine(true), *b = engine(false);
  double ignored = 0;
  (void)carry(a, b, &ignored, &ignored);
  if (copse_wire_accept(b)) abort();
  (void)carry(b, a, &ignored, &ignored);
  copse_wire_open_args args = {.target = "f", .send = true, .deadline_ms = -1};
  uint64_t id;
  if (copse_wire_open(a, &args, &id)) abort();
  (void)carry(a, b, &ignored, &ignored);
  if (copse_wire_started(b, id, (copse_bytes){NULL, 0})) abort();
  if (copse_wire_credit(b, id, (copse_credit){UINT64_C(1) << 52, UINT64_C(1) << 52})) abort();
  (void)carry(b, a, &ignored, &ignored);

  copse_buf item;
  copse_buf_init(&item, size + 8, NULL);
  uint8_t *body = calloc(1, size + 1);
  if (!body) abort();
  copse_pack_bin(&item, body, size > 5 ? size - (size < 256 ? 2 : 5) : 0);
  const copse_bytes value = copse_buf_bytes(&item);
  double sending = 0, receiving = 0;
  size_t sent = 0, arrived = 0;
  while (sent < total) {
    double start = now();
    for (size_t i = 0; i < 512 && copse_wire_send(a, id, &value, 1, flags) == COPSE_OK; i++) sent++;
    sending += now() - start;
    arrived += carry(a, b, &sending, &receiving);
  }
  if (arrived != sent) abort();
  printf("%7zu B %s send %8.1f ns  receive %8.1f ns\n", value.size,
         flags & COPSE_LEND      ? "lent   "
         : flags & COPSE_TRUSTED ? "trusted"
                                 : "checked",
         sending / (double)sent, receiving / (double)sent);
  copse_buf_deinit(&item);
  free(body);
  copse_wire_free(a);
  copse_wire_free(b);
}

int main(void) {
  for (int round = 0; round < 2; round++) {
    measure(64, 4000000, 0);
    measure(64, 4000000, COPSE_TRUSTED);
    measure(1024, 1000000, COPSE_TRUSTED);
    measure(65536, 40000, COPSE_TRUSTED);
    measure(65536, 40000, COPSE_TRUSTED | COPSE_LEND);
  }
  return 0;
}
