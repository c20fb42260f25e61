/* SPDX-License-Identifier: MIT
 *
 * tail.h: the standard error output of a child, forwarded, with its end kept.
 */
#ifndef COPSE_RUNTIME_TAIL_H
#define COPSE_RUNTIME_TAIL_H

#include "runtime/internal.h"

#define COPSE__TAIL_SIZE 8192 /* bytes kept */

typedef struct copse__tail {
  copse *rt;
  copse__poll poll;
  copse__timer timer;
  int fd;
  bool forward;        /* to our own standard error output */
  bool ended;          /* no more will be read */
  uint64_t read_until; /* once the child is dead: when to give up on whoever else holds the pipe */
  uint64_t total;      /* bytes ever read; the last of them stand in `ring` */
  uint64_t passed;     /* how many of them have been forwarded */
  void (*on_end)(struct copse__tail *tail);
  uint8_t ring[COPSE__TAIL_SIZE];
} copse__tail;

/* Makes the pipe and reads it. *child_end (close-on-exec) is for the child's descriptor 2 and is
 * the caller's to close after the spawn. COPSE_ENOMEM, COPSE_ESYSTEM; then nothing is open. */
copse_status copse__tail_open(copse *rt, copse__tail *tail, bool forward, int *child_end);

/* The child is dead: `on_end` runs once, in the turn, when all it wrote has been read, or after
 * a bounded time if another process holds the pipe open. */
void copse__tail_finish(copse__tail *tail, void (*on_end)(copse__tail *tail));

/* Appends what is kept as text: UTF-8 whatever the child wrote (what is not becomes '?'), beginning
 * at the start of a line where something was lost. */
void copse__tail_text(const copse__tail *tail, copse_buf *out);

/* Stops reading; the memory is the caller's right after. Harmless on zeroed memory. */
void copse__tail_close(copse__tail *tail);

#endif
