/* SPDX-License-Identifier: MIT
 *
 * A circular list whose links live inside the listed things: nothing to allocate, so nothing to
 * fail, and everything can take itself out of wherever it is in constant time. */
#ifndef COPSE_RUNTIME_LIST_H
#define COPSE_RUNTIME_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Head and link alike. One that is in no list points at itself; so must it be before first use. */
typedef struct copse__list {
  struct copse__list *next, *prev;
} copse__list;

/* The thing of type `type` that a link is the `field` of. */
#define copse__of(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void copse__list_init(copse__list *list) { list->next = list->prev = list; }

static inline bool copse__list_empty(const copse__list *list) { return list->next == list; }

static inline void copse__list_push(copse__list *head, copse__list *link) {
  link->prev = head->prev;
  link->next = head;
  head->prev->next = link;
  head->prev = link;
}

/* Takes a link out of its list; harmless when it is in none. */
static inline void copse__list_remove(copse__list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  copse__list_init(link);
}

/* Takes the first out, or gives NULL. */
static inline copse__list *copse__list_pop(copse__list *head) {
  copse__list *first = head->next;
  if (first == head) return NULL;
  copse__list_remove(first);
  return first;
}

/* Moves all of `from` to the end of `to`. */
static inline void copse__list_move(copse__list *to, copse__list *from) {
  if (copse__list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  copse__list_init(from);
}

#endif
