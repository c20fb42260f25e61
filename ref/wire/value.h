/* SPDX-License-Identifier: MIT
 *
 * Values as the engine's files see them: the head of an item, the strict check, texts. */
#ifndef COPSE_WIRE_VALUE_H
#define COPSE_WIRE_VALUE_H

#include "wire/buf.h"

#define COPSE__UINT_MAX ((INT64_C(1) << 53) - 1) /* the greatest `uint` of the protocol */

/* The head of one msgpack item: all that stands before its content or its elements. */
typedef struct copse__head {
  copse_type type;
  uint32_t size;    /* bytes of the head itself, with an ext's type byte and a scalar's number */
  uint32_t count;   /* STR, BIN, EXT: bytes of content; ARRAY: elements; MAP: pairs; BOOL: 0 or 1 */
  uint64_t integer; /* INT: as int64; FLOAT: the bits of the double; EXT: the type */
} copse__head;

/* Decodes a head; NULL, or a constant text saying what is wrong with it. It looks at nothing
 * beyond the head: whether the content is there is the caller's question. */
const char *copse__head_read(const uint8_t *at, const uint8_t *end, copse__head *head);

/* Passes strictly over one value at `at` that may nest `depth` deep. Returns where it ends, or NULL
 * with *why (a constant text) and *where. */
const uint8_t *copse__check(const uint8_t *at, const uint8_t *end, unsigned depth, const char **why,
                            const uint8_t **where);

bool copse__utf8(const uint8_t *text, size_t size);
/* How much of a UTF-8 text fits into `max` bytes without cutting a character. */
size_t copse__utf8_fit(const uint8_t *text, size_t size, size_t max);
/* Whether this may be an actor's name: 1 to 64 bytes of UTF-8 without control characters. */
bool copse__name_ok(const uint8_t *text, size_t size);
/* Whether the content of an ext 1 is an actor reference. */
bool copse__ref_ok(copse_bytes content);

#endif
