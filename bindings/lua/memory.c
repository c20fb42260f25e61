/* SPDX-License-Identifier: MIT
 *
 * memory.c: where the small objects of a Lua state live.
 *
 * An actor that reads a stream makes a string for each item and drops it at once, millions in a
 * second. malloc serves many threads and all sizes, and takes a third of the time of such a loop.
 * Lua has one thread and says the size of what it frees, so less will do: pages of slots of one
 * size, each with a list of its free slots. A page without a slot in use goes back to malloc, but
 * for as many as are in use: the collector will want them in its next cycle.
 *
 * The first few thousand blocks are malloc's all the same. It lays them side by side, while each
 * size begins a page of its own; and for an actor that lives a moment, each page is a fault.
 *
 * A block must tell by itself where it came from: a state has some before it comes here, and an
 * object that shrinks may have to stay where it is, since Lua does not expect that shrinking fails.
 * What malloc gives is aligned to 16 bytes; slots lie 8 bytes beside.
 */
#include "memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A sanitizer is to see each object. */
#if defined(__SANITIZE_ADDRESS__) || defined(COPSE_HARD)
#define WATCHED true
#elif defined(__has_feature)
#define WATCHED __has_feature(address_sanitizer)
#else
#define WATCHED false
#endif

enum {
  PAGE = 4096,
  STEP = 16,     /* sizes of slots */
  LARGEST = 256, /* what is larger is malloc's */
  CLASSES = LARGEST / STEP,
  BESIDE = 8,
  MALLOC_HEAD = 16, /* left to malloc, so that its pages follow each other without gaps */
  YOUNG = 4096
};

typedef struct slot {
  struct slot *next;
} slot;

typedef struct page {
  struct page *prev, *next; /* of those of its class with a free slot, or the next empty one */
  slot *free;
  uint16_t used, size_class;
} page;

_Static_assert(sizeof(page) % STEP == 0, "slots begin 8 bytes beside a multiple of 16");

static struct {
  page *open[CLASSES]; /* pages with a free slot */
  page *empty;
  size_t empty_count, page_count;
  size_t young; /* blocks that malloc gives yet */
} pool;

static page *page_of(void *block) { return (page *)((uintptr_t)block & ~(uintptr_t)(PAGE - 1)); }

static bool is_slot(const void *block) { return (uintptr_t)block & BESIDE; }

static unsigned class_of(size_t size) { return (unsigned)((size - 1) / STEP); }

static void open_page(page *p) {
  page **first = &pool.open[p->size_class];
  p->prev = NULL;
  p->next = *first;
  if (*first) (*first)->prev = p;
  *first = p;
}

static void close_page(page *p) {
  if (p->prev) p->prev->next = p->next;
  else pool.open[p->size_class] = p->next;
  if (p->next) p->next->prev = p->prev;
}

static page *page_new(unsigned size_class) {
  page *p = pool.empty;
  if (p) {
    pool.empty = p->next;
    pool.empty_count--;
  } else {
    void *fresh;
    if (posix_memalign(&fresh, PAGE, PAGE - MALLOC_HEAD)) return NULL;
    p = fresh;
  }
  const size_t size = (size_t)(size_class + 1) * STEP;
  *p = (page){.size_class = (uint16_t)size_class};
  for (size_t at = sizeof *p + BESIDE; at + size <= PAGE - MALLOC_HEAD; at += size) {
    slot *s = (slot *)((char *)p + at);
    s->next = p->free;
    p->free = s;
  }
  pool.page_count++;
  open_page(p);
  return p;
}

/* Empty pages beyond those in use are more than the collector will need. */
static void trim(size_t keep) {
  while (pool.empty_count > keep) {
    page *p = pool.empty;
    pool.empty = p->next;
    pool.empty_count--;
    free(p);
  }
}

static void *take(size_t size) {
  const unsigned size_class = class_of(size);
  page *p = pool.open[size_class];
  if (!p && !(p = page_new(size_class))) return NULL;
  slot *s = p->free;
  p->free = s->next;
  p->used++;
  if (!p->free) close_page(p);
  return s;
}

static void give(void *block) {
  page *p = page_of(block);
  slot *s = block;
  if (!p->free) open_page(p);
  s->next = p->free;
  p->free = s;
  if (--p->used || (!p->prev && !p->next)) return; /* the only open one is wanted soon */
  close_page(p);
  p->next = pool.empty;
  pool.empty = p;
  pool.empty_count++;
  pool.page_count--;
  trim(pool.page_count);
}

static void release(void *block) {
  if (is_slot(block)) give(block);
  else free(block);
}

static void *obtain(size_t size) {
  if (size > LARGEST) return malloc(size);
  if (!pool.young) return take(size);
  pool.young--;
  return malloc(size);
}

static void *resize(void *block, size_t old_size, size_t size) {
  if (!is_slot(block) && size > LARGEST) return realloc(block, size);
  if (is_slot(block) && size <= LARGEST && class_of(size) == page_of(block)->size_class)
    return block;
  void *fresh = obtain(size);
  if (!fresh) return size <= old_size ? block : NULL;
  memcpy(fresh, block, old_size < size ? old_size : size);
  release(block);
  return fresh;
}

/* See lua_Alloc in Lua's manual: without a block, the old size is a type. */
static void *allocate(void *ud, void *block, size_t old_size, size_t size) {
  (void)ud;
  if (!block) return size ? obtain(size) : NULL;
  if (size) return resize(block, old_size, size);
  release(block);
  return NULL;
}

void copse__lua_memory_use(lua_State *L) {
  pool.young = YOUNG;
  if (!WATCHED && _Alignof(max_align_t) > BESIDE) lua_setallocf(L, allocate, NULL);
}
