/* SPDX-License-Identifier: MIT
 *
 * Events that came at a bad time.
 *
 * copse_pump reads links in the middle of user code, and must run none: what it finds there is
 * copied and told in the next turn, in its order, before anything the engine still has. That is
 * bounded by what the peer was granted: items by credit (none is given back before they were told),
 * opens and terminals by the number of contexts, and the rest by one each per context. A CANCEL,
 * which may be repeated for ever, is not kept (see link.c); and with the context that it ends goes
 * what was kept of it, or the next to take its place would add to that.
 */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct deferred {
  copse__list link;
  copse_event event;
  copse_context *ctx; /* referenced: user code may end it before it is told */
  uint8_t bytes[];
} deferred;

/* The views of an event, to be copied together with it. */
static size_t views_of(copse_event *event, copse_bytes *views[5]) {
  size_t n = 0;
  views[n++] = &event->value;
  if (event->type == COPSE_EV_OPEN) {
    views[n++] = &event->open.target;
    views[n++] = &event->open.args;
    views[n++] = &event->open.traceparent;
    views[n++] = &event->open.meta;
  } else if (event->type == COPSE_EV_HELLO) {
    views[n++] = &event->hello.agent;
    views[n++] = &event->hello.token;
  } else if (event->type == COPSE_EV_BYE) {
    views[n++] = &event->bye.code;
    views[n++] = &event->bye.message;
  }
  return n;
}

bool copse__deferred_keep(copse__link *link, const copse_event *event) {
  copse_event copy = *event;
  copse_bytes *views[5];
  size_t count = views_of(&copy, views), size = 0;
  for (size_t i = 0; i < count; i++) size += views[i]->size;
  deferred *d = malloc(sizeof *d + size);
  if (!d) return false;
  d->event = copy;
  count = views_of(&d->event, views);
  uint8_t *at = d->bytes;
  for (size_t i = 0; i < count; i++) {
    if (views[i]->size) memcpy(at, views[i]->data, views[i]->size);
    views[i]->data = at;
    at += views[i]->size;
  }
  d->ctx = event->user ? copse__context_ref(event->user) : NULL;
  copse__list_push(&link->deferred, &d->link);
  return true;
}

static void drop(deferred *d) {
  if (d->ctx) copse__context_unref(d->ctx);
  free(d);
}

/* What followed an OPEN that was itself kept does not know its context yet. */
static copse_context *find(copse__link *link, uint64_t id) {
  for (copse__list *node = link->contexts.next; id && node != &link->contexts; node = node->next) {
    copse_context *ctx = copse__of(node, copse_context, all);
    if (ctx->id == id) return ctx;
  }
  return NULL;
}

int copse__deferred_tell(copse__link *link, int max,
                         void (*tell)(copse__link *link, copse_event *event)) {
  int told = 0;
  for (copse__list *node; told < max && (node = copse__list_pop(&link->deferred)); told++) {
    deferred *d = copse__of(node, deferred, link);
    copse_context *ctx = d->ctx ? d->ctx : find(link, d->event.context);
    d->event.user = ctx && !ctx->over ? ctx : NULL;
    if (link->state <= COPSE__LINK_OPEN) tell(link, &d->event);
    drop(d);
  }
  return told;
}

void copse__deferred_forget(copse__link *link, uint64_t context) {
  for (copse__list *node = link->deferred.next, *next; node != &link->deferred; node = next) {
    deferred *d = copse__of(node, deferred, link);
    next = node->next;
    if (d->event.context != context) continue;
    copse__list_remove(node);
    drop(d);
  }
}

void copse__deferred_drop(copse__link *link) {
  for (copse__list *node; (node = copse__list_pop(&link->deferred));)
    drop(copse__of(node, deferred, link));
}
