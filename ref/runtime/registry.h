/* SPDX-License-Identifier: MIT
 *
 * registry.h: the names of a tree, inside the process that keeps them.
 */
#ifndef COPSE_RUNTIME_REGISTRY_H
#define COPSE_RUNTIME_REGISTRY_H

#include "runtime/process.h"

/* A name that somebody bears, from copse__registry_add to copse__registry_remove. The memory is
 * the caller's. */
typedef struct copse__entry {
  copse__list all;
  char name[COPSE_NAME_MAX + 1];
  copse_ref ref;
} copse__entry;

/* Somebody who hears of changes, from copse__registry_watch to copse__registry_unwatch. */
typedef struct copse__watcher {
  copse__list all;
  char name[COPSE_NAME_MAX + 1]; /* "": all names */
  /* An entry came or goes. May unwatch itself, and nothing else. */
  void (*changed)(struct copse__watcher *watcher, const copse__entry *entry, bool added);
} copse__watcher;

void copse__registry_add(copse__registry *registry, copse__entry *entry);
/* Harmless on one that is not there. */
void copse__registry_remove(copse__registry *registry, copse__entry *entry);
void copse__registry_watch(copse__registry *registry, copse__watcher *watcher);
void copse__registry_unwatch(copse__watcher *watcher);
/* The next entry under a name ("": any) after `at`, oldest first; NULL: the first. NULL when
 * there is none. */
const copse__entry *copse__registry_next(copse__registry *registry, const char *name,
                                         const copse__entry *at);

#endif
