/* SPDX-License-Identifier: MIT
 *
 * files.h: how many descriptors this process may have, and how many its children.
 */
#ifndef COPSE_RUNTIME_FILES_H
#define COPSE_RUNTIME_FILES_H

#include <stdbool.h>
#include <sys/resource.h>

/* Raises the soft limit of open descriptors to the hard one, or COPSE__FILES_MAX. Where that fails
 * nothing has changed. Idempotent. */
void copse__files_raise(void);
#define COPSE__FILES_MAX 65536

/* Whether as many descriptors are still to be had as a loop takes. libuv ends the process where it
 * lacks one in the middle of its own set-up, so it must be known before. */
bool copse__files_left(void);
#define COPSE__FILES_OF_LOOP 12

/* The limit that a program started by us is to have, because it would have it without us. NULL:
 * ours. */
const struct rlimit *copse__files_of_children(void);

#endif
