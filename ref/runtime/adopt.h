/* SPDX-License-Identifier: MIT
 *
 * adopt.h: what a dead child leaves behind.
 */
#ifndef COPSE_RUNTIME_ADOPT_H
#define COPSE_RUNTIME_ADOPT_H

#include "runtime/internal.h"

#define COPSE__MARK                                                                                \
  "COPSE_WITHIN" /* the variable that says within which actor a process was started */

typedef struct copse__orphan {
  pid_t pid;
  bool seen_alive;
  bool killed;
  uint64_t since; /* when it was first seen */
} copse__orphan;

typedef struct copse__adopt {
  copse *rt;
  copse__timer timer;
  char mark[33]; /* the own actor's id in hex */
  char born[33]; /* the mark this process was started with; "": none */
  uint32_t grace_ms;
  uint64_t wait_ms;
  bool sweeping;
  bool blind;           /* something could not be looked at, for want of descriptors */
  uint64_t blind_since; /* 0: not */
  bool ending;          /* nobody is spared */
  copse__orphan *orphans;
  size_t orphan_count, orphan_room;
  /* Whether a process is a child that the runtime spawned itself. */
  bool (*is_spawned)(struct copse__adopt *adopt, pid_t pid);
  /* No orphan is left. In the turn. */
  void (*on_clear)(struct copse__adopt *adopt);
} copse__adopt;

/* Makes this process the one that inherits the orphans below it, and marks what it will start:
 * sets COPSE__MARK in the environment. The caller sets the callbacks. COPSE_ENOMEM. */
copse_status copse__adopt_init(copse *rt, copse__adopt *adopt);

/* A child or a template has died: looks for what it left behind until nothing is, then calls
 * `on_clear`. Orphans that are actors clean up by themselves, and are killed after `grace_ms`;
 * others are killed at once. */
void copse__adopt_sweep(copse__adopt *adopt, uint32_t grace_ms);

/* Kills and reaps every child of this process and what comes to it by their deaths, the program's
 * own included. Blocks until that is done; the last act of an actor whose parent is dead, after
 * which nobody would look for them. */
void copse__adopt_end_all(copse__adopt *adopt);
/* Harmless on zeroed memory. */
void copse__adopt_deinit(copse__adopt *adopt);

#endif
