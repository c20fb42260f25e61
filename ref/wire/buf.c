/* SPDX-License-Identifier: MIT
 *
 * Memory, and the growing buffer that everything is encoded into.
 *
 * Failure is sticky. Encoding a value takes dozens of appends; checking each would bury the code
 * that says what is encoded, so the buffer remembers the first failure and the caller asks once.
 * Every buffer has a maximum that its owner had to think about, so no encoder can eat the machine.
 */
#include "wire/buf.h"

#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *ud, void *ptr, size_t old_size, size_t new_size) {
  (void)ud;
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_size);
}

const copse_mem copse__mem_libc = {libc_resize, NULL};

void copse_buf_init(copse_buf *buf, size_t max, const copse_mem *mem) {
  *buf = (copse_buf){.max = max, .mem = mem ? mem : &copse__mem_libc};
}

void copse__buf_fixed(copse_buf *buf, void *array, size_t size) {
  *buf = (copse_buf){.data = array, .capacity = size, .max = size, .mem = NULL};
}

void copse_buf_deinit(copse_buf *buf) {
  if (buf->mem && buf->data) copse__resize(buf->mem, buf->data, buf->capacity, 0);
  *buf = (copse_buf){.max = buf->max, .mem = buf->mem};
}

void copse_buf_reset(copse_buf *buf) {
  buf->size = 0;
  buf->status = COPSE_OK;
}

copse_status copse_buf_status(const copse_buf *buf) { return buf->status; }

copse_bytes copse_buf_bytes(const copse_buf *buf) { return (copse_bytes){buf->data, buf->size}; }

static bool grow(copse_buf *buf, size_t size) {
  if (size > buf->max - buf->size) {
    buf->status = COPSE_ETOOLARGE;
    return false;
  }
  size_t need = buf->size + size;
  if (!buf->mem) return true; /* fixed: max is the capacity */
#ifdef COPSE_HARD
  /* A new address at every append, so that a view kept too long is found by the sanitizer. */
  uint8_t *fresh = copse__resize(buf->mem, NULL, 0, need);
  if (fresh && buf->size) memcpy(fresh, buf->data, buf->size);
  if (fresh && buf->data) copse__resize(buf->mem, buf->data, buf->capacity, 0);
#else
  if (need < 64) need = 64;
  if (need < buf->capacity * 2) need = buf->capacity * 2;
  if (need > buf->max) need = buf->max;
  uint8_t *fresh = copse__resize(buf->mem, buf->data, buf->capacity, need);
#endif
  if (!fresh) {
    buf->status = COPSE_ENOMEM;
    return false;
  }
  buf->data = fresh;
  buf->capacity = need;
  return true;
}

void copse_buf_append(copse_buf *buf, const void *data, size_t size) {
  if (buf->status || size == 0) return;
#ifdef COPSE_HARD
  if (!grow(buf, size)) return;
#else
  if (size > buf->capacity - buf->size && !grow(buf, size)) return;
#endif
  uint8_t *to = buf->data + buf->size;
  buf->size += size;
  if (size > 8) {
    memcpy(to, data, size);
    return;
  }
  /* The head of an item was stored byte by byte just now, and is faster taken up like that. */
  const uint8_t *from = data;
  do *to++ = *from++;
  while (--size);
}
