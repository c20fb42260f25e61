/* SPDX-License-Identifier: MIT
 *
 * failing_memory.h: allocations that fail when the test says so. The program that includes it is
 * linked with --wrap, so that the library's allocations come through here.
 */
#ifndef COPSE_TEST_FAILING_MEMORY_H
#define COPSE_TEST_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

static long countdown = -1; /* allocations until one fails; below 0: none does */
static bool failed;

static bool refuse(void) {
  if (countdown < 0 || countdown-- > 0) return false;
  failed = true;
  return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) { return refuse() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) {
  return refuse() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *ptr, size_t size) { return refuse() ? NULL : __real_realloc(ptr, size); }
char *__wrap_strdup(const char *text) { return refuse() ? NULL : __real_strdup(text); }

#endif
