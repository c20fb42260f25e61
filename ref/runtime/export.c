/* SPDX-License-Identifier: MIT
 *
 * Exports: what peers may open here.
 *
 * A hash table from target to handler, with the kinds of link that each is for: what a peer may
 * open follows from how its link came about, never from what it holds. Refusals are made here, in
 * an order that tells a stranger nothing about what exists: first whether the actor takes contexts
 * at all, then whether there is such a target, then whether it is for this peer.
 */
#include "runtime/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct copse__export_entry {
  copse__export_entry *next; /* in its slot */
  copse_handler handler;
  void *arg;
  unsigned from, flags;
  size_t size;
  char target[];
};

/* FNV-1a. The keys are the program's own, so nobody outside can choose colliding ones. */
static size_t hash(const char *target, size_t size) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < size; i++) h = (h ^ (uint8_t)target[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 32);
}

static copse__export_entry **place(const copse *rt, const char *target, size_t size) {
  copse__export_entry **at = &rt->exports[hash(target, size) & (rt->export_slots - 1)];
  while (*at && ((*at)->size != size || memcmp((*at)->target, target, size) != 0))
    at = &(*at)->next;
  return at;
}

static bool grow(copse *rt) {
  size_t old = rt->export_slots, slots = old ? old * 2 : 16;
  copse__export_entry **before = rt->exports, **after = calloc(slots, sizeof *after);
  if (!after) return false;
  rt->exports = after;
  rt->export_slots = slots;
  for (size_t i = 0; i < old; i++) {
    for (copse__export_entry *entry = before[i], *next; entry; entry = next) {
      next = entry->next;
      copse__export_entry **at = place(rt, entry->target, entry->size);
      entry->next = NULL;
      *at = entry;
    }
  }
  free(before);
  return true;
}

copse_status copse__export(copse *rt, const char *target, copse_handler handler, void *arg,
                           unsigned from, unsigned flags) {
  size_t size = target ? strlen(target) : 0;
  if (!size || size > COPSE_TARGET_MAX || !handler) return COPSE_EINVAL;
  if (rt->export_count >= rt->export_slots && !grow(rt)) return COPSE_ENOMEM;
  copse__export_entry **at = place(rt, target, size), *entry = *at;
  if (!entry) {
    entry = malloc(sizeof *entry + size + 1);
    if (!entry) return COPSE_ENOMEM;
    entry->next = NULL;
    entry->size = size;
    memcpy(entry->target, target, size + 1);
    *at = entry;
    rt->export_count++;
  }
  entry->handler = handler;
  entry->arg = arg;
  entry->from = from;
  entry->flags = flags;
  return COPSE_OK;
}

copse_status copse_export(copse *rt, const char *target, copse_handler handler, void *arg,
                          unsigned from, bool held) {
  if (!target || strncmp(target, "copse.", 6) == 0) return COPSE_EINVAL;
  return copse__export(rt, target, handler, arg, from, held ? COPSE__EXPORT_HELD : 0);
}

void copse_export_fallback(copse *rt,
                           copse_lookup (*lookup)(copse_context *ctx, const char *target,
                                                  copse_bytes args, void *arg),
                           void *arg) {
  rt->fallback = lookup;
  rt->fallback_arg = arg;
}

void copse__exports_deinit(copse *rt) {
  for (size_t i = 0; i < rt->export_slots; i++) {
    for (copse__export_entry *entry = rt->exports[i], *next; entry; entry = next) {
      next = entry->next;
      free(entry);
    }
  }
  free(rt->exports);
  rt->exports = NULL;
  rt->export_slots = rt->export_count = 0;
}

static void refuse(copse__link *link, uint64_t id, copse_code code, const char *message) {
  if (copse_wire_refuse(link->wire, id, code, message) == COPSE_ENOMEM)
    copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
}

/* What needs no handler is answered here, and no user code runs. *entry: what is exported, NULL
 * where it is to be looked up. */
static bool refused(copse__link *link, const copse_event *event, copse__export_entry **exported) {
  copse *rt = link->rt;
  const char *name = (const char *)event->open.target.data;
  size_t size = event->open.target.size;
  copse__export_entry *entry = *exported = rt->export_slots ? *place(rt, name, size) : NULL;
  bool outside = entry && entry->flags & COPSE__EXPORT_ACTOR;
  char text[COPSE_TARGET_MAX + 64];
  if (!outside) {
    if (rt->phase == COPSE__NOT_READY) {
      refuse(link, event->context, COPSE_CODE_NOT_READY, "this actor has not started yet");
      return true;
    }
    if (rt->phase == COPSE__CLOSING || !rt->served || rt->served->sealed || rt->served->cancelled) {
      refuse(link, event->context, COPSE_CODE_CLOSING, "this actor takes nothing more");
      return true;
    }
  }
  bool reserved = size >= 6 && memcmp(name, "copse.", 6) == 0;
  if (!entry && (reserved || !rt->fallback || memchr(name, 0, size))) {
    snprintf(text, sizeof text, "%.*s is not exported here", (int)size, name);
    refuse(link, event->context, COPSE_CODE_NO_TARGET, text);
    return true;
  }
  if (entry && !(entry->from & link->from)) {
    snprintf(text, sizeof text, outside ? "%s is for the parent, once" : "%s is not for this link",
             entry->target);
    refuse(link, event->context, COPSE_CODE_DENIED, text);
    return true;
  }
  /* Where a handler is looked up elsewhere, it is there that its time is found to be over. */
  if (entry && !outside && event->open.deadline_ms == 0) {
    copse_cause cause = {.origin = COPSE_ORIGIN_DEADLINE, .by = rt->self};
    cause.by.address_count = 0;
    if (copse_wire_cancelled(link->wire, event->context, &cause, false) == COPSE_ENOMEM)
      copse__link_abort(link, COPSE_CODE_NO_MEMORY, "out of memory");
    return true;
  }
  return false;
}

bool copse__export_refuse(copse__link *link, const copse_event *event) {
  copse__export_entry *entry;
  return refused(link, event, &entry);
}

void copse__export_dispatch(copse__link *link, const copse_event *event) {
  copse *rt = link->rt;
  copse__export_entry *entry;
  if (refused(link, event, &entry)) return;
  bool outside = entry && entry->flags & COPSE__EXPORT_ACTOR;
  copse_context *ctx =
      copse__context_serve(link, event, entry && entry->flags & COPSE__EXPORT_HELD, outside);
  if (!ctx) return;
  if (outside) entry->from = 0;
  if (entry) {
    entry->handler(ctx, event->open.args, entry->arg);
    return;
  }
  char target[COPSE_TARGET_MAX + 1];
  copse_bytes name = event->open.target;
  memcpy(target, name.data, name.size); /* the engine takes no longer ones */
  target[name.size] = 0;
  switch (rt->fallback(ctx, target, event->open.args, rt->fallback_arg)) {
  case COPSE_LOOKUP_FOUND: break;
  case COPSE_LOOKUP_LATE:
    ctx->ran = false;
    copse_cancelled(ctx);
    break;
  case COPSE_LOOKUP_NONE:
    copse_fail(ctx, copse_error_new(COPSE_CODE_NO_TARGET, "%s is not exported here", target));
    break;
  }
}
