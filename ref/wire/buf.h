/* SPDX-License-Identifier: MIT
 *
 * Memory, and the growing buffer, as the engine's files see them. */
#ifndef COPSE_WIRE_BUF_H
#define COPSE_WIRE_BUF_H

#include "copse/wire.h"

/* The C library's memory, which a NULL copse_mem stands for. */
extern const copse_mem copse__mem_libc;

static inline void *copse__resize(const copse_mem *mem, void *ptr, size_t old_size,
                                  size_t new_size) {
  return mem->resize(mem->ud, ptr, old_size, new_size);
}

/* A buffer over the caller's array: it never allocates; what does not fit is COPSE_ETOOLARGE. */
void copse__buf_fixed(copse_buf *buf, void *array, size_t size);

#endif
