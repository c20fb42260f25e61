/* SPDX-License-Identifier: MIT
 *
 * Gates: latches that all links of the process see, by which a case holds a handler where it wants.
 */
#include "testee.h"

#include <stdlib.h>
#include <string.h>

struct gate {
  struct gate *next;
  bool open;
  call *waiters, **last; /* in the order in which they came */
  size_t size;
  uint8_t key[];
};

static struct gate *gates;

static struct gate *find(copse_bytes value) {
  copse_bytes key = {0};
  copse_value_str(value, &key);
  for (struct gate *gate = gates; gate; gate = gate->next)
    if (gate->size == key.size && memcmp(gate->key, key.data, key.size) == 0) return gate;
  struct gate *gate = calloc(1, sizeof *gate + key.size);
  if (!gate) return NULL;
  memcpy(gate->key, key.data, gate->size = key.size);
  gate->last = &gate->waiters;
  gate->next = gates;
  return gates = gate;
}

bool gate_wait(call *c, copse_bytes key, void (*opened)(call *c)) {
  struct gate *gate = find(key);
  if (!gate) return false;
  if (gate->open) {
    opened(c);
    return true;
  }
  c->gate = gate;
  c->opened = opened;
  c->next_waiter = NULL;
  *gate->last = c;
  gate->last = &c->next_waiter;
  return true;
}

void gate_leave(call *c) {
  if (!c->gate) return;
  call **at = &c->gate->waiters;
  while (*at != c) at = &(*at)->next_waiter;
  *at = c->next_waiter;
  if (!*at) c->gate->last = at;
  c->gate = NULL;
}

int gate_open(copse_bytes key) {
  struct gate *gate = find(key);
  if (!gate) return -1;
  if (gate->open) return 0;
  gate->open = true;
  for (call *c; (c = gate->waiters);) {
    gate_leave(c);
    c->opened(c);
  }
  return 1;
}

void gates_free(void) {
  for (struct gate *gate; (gate = gates);) {
    gates = gate->next;
    free(gate);
  }
}
