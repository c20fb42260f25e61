/* SPDX-License-Identifier: MIT
 *
 * What a well-formed value is, decided before anybody believes a byte of it.
 *
 * A peer can announce four thousand million elements in five bytes, nest a million arrays, or put
 * half a character into a string. The check meets each of these with arithmetic: a container may
 * not announce more elements than bytes remain, nesting is a counter in a small array, and text is
 * read byte by byte. It allocates nothing and calls itself never, so its cost is linear and its
 * memory constant whatever it is given.
 *
 * `copse__head_read` is the only place that knows how msgpack spells things; the check here and the
 * cursor of reader.c both stand on it, so they cannot disagree.
 */
#include "wire/value.h"

#include <string.h>

static uint64_t big_endian(const uint8_t *at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) value = value << 8 | at[i];
  return value;
}

static uint64_t sign_extend(uint64_t value, unsigned size) {
  unsigned shift = 64 - 8 * size;
  return (uint64_t)((int64_t)(value << shift) >> shift);
}

static const char cut_short[] = "value cut short";

const char *copse__head_read(const uint8_t *at, const uint8_t *end, copse__head *head) {
  if (at == end) return cut_short;
  const uint8_t byte = *at;
  const size_t left = (size_t)(end - at);
  unsigned width = 0; /* bytes of the length or number that follows */

  *head = (copse__head){.type = COPSE_INT, .size = 1};
  if (byte <= 0x7f) {
    head->integer = byte;
    return NULL;
  }
  if (byte >= 0xe0) {
    head->integer = sign_extend(byte, 1);
    return NULL;
  }
  if (byte <= 0xbf) {
    head->type = byte <= 0x8f ? COPSE_MAP : byte <= 0x9f ? COPSE_ARRAY : COPSE_STR;
    head->count = byte & (byte <= 0x9f ? 15u : 31u);
    return NULL;
  }
  switch (byte) {
  case 0xc0: head->type = COPSE_NIL; return NULL;
  case 0xc1: return "byte c1 means nothing";
  case 0xc2:
  case 0xc3:
    head->type = COPSE_BOOL;
    head->count = byte & 1u;
    return NULL;
  case 0xc4:
  case 0xc5:
  case 0xc6:
    head->type = COPSE_BIN;
    width = 1u << (byte - 0xc4);
    break;
  case 0xc7:
  case 0xc8:
  case 0xc9:
    head->type = COPSE_EXT;
    width = 1u << (byte - 0xc7);
    break;
  case 0xca:
  case 0xcb:
    head->type = COPSE_FLOAT;
    width = byte == 0xca ? 4 : 8;
    break;
  case 0xcc:
  case 0xcd:
  case 0xce:
  case 0xcf: width = 1u << (byte - 0xcc); break;
  case 0xd0:
  case 0xd1:
  case 0xd2:
  case 0xd3: width = 1u << (byte - 0xd0); break;
  case 0xd4:
  case 0xd5:
  case 0xd6:
  case 0xd7:
  case 0xd8: head->type = COPSE_EXT; break;
  case 0xd9:
  case 0xda:
  case 0xdb:
    head->type = COPSE_STR;
    width = 1u << (byte - 0xd9);
    break;
  case 0xdc:
  case 0xdd:
    head->type = COPSE_ARRAY;
    width = byte == 0xdc ? 2 : 4;
    break;
  default: /* 0xde, 0xdf */
    head->type = COPSE_MAP;
    width = byte == 0xde ? 2 : 4;
    break;
  }

  head->size += width + (head->type == COPSE_EXT);
  if (left < head->size) return cut_short;
  const uint64_t number = big_endian(at + 1, width);
  if (head->type == COPSE_INT) {
    head->integer = byte >= 0xd0 ? sign_extend(number, width) : number;
    if (byte == 0xcf && number > INT64_MAX) return "integer above 2^63-1";
  } else if (head->type == COPSE_FLOAT) {
    head->integer = number;
    if (width == 4) {
      uint32_t bits = (uint32_t)number;
      float narrow;
      memcpy(&narrow, &bits, sizeof narrow);
      double wide = (double)narrow;
      memcpy(&head->integer, &wide, sizeof wide);
    }
  } else if (head->type == COPSE_EXT) {
    head->count = width ? (uint32_t)number : 1u << (byte - 0xd4);
    head->integer = at[1 + width];
  } else {
    head->count = (uint32_t)number;
  }
  return NULL;
}

/* --- text ------------------------------------------------------------------------------------- */

bool copse__utf8(const uint8_t *text, size_t size) {
  const uint8_t *const end = text + size;
  for (;;) {
    while (end - text >= 8) { /* most text is ASCII: eight bytes at a time */
      uint64_t word;
      memcpy(&word, text, sizeof word);
      if (word & UINT64_C(0x8080808080808080)) break;
      text += 8;
    }
    while (text < end && *text < 0x80) text++;
    if (text == end) return true;
    const uint8_t lead = *text;
    unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - text) <= more) return false;
    /* The second byte's range rules out overlong forms, surrogates and what is above U+10FFFF. */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) return false;
    for (unsigned i = 2; i <= more; i++)
      if ((text[i] & 0xc0) != 0x80) return false;
    text += more + 1;
  }
}

size_t copse__utf8_fit(const uint8_t *text, size_t size, size_t max) {
  if (size <= max) return size;
  while (max > 0 && (text[max] & 0xc0) == 0x80) max--;
  return max;
}

bool copse__name_ok(const uint8_t *text, size_t size) {
  if (size < 1 || size > COPSE_NAME_MAX || !copse__utf8(text, size)) return false;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < 0x20 || text[i] == 0x7f) return false;
    if (text[i] == 0xc2 && text[i + 1] < 0xa0) return false; /* U+0080 to U+009F */
  }
  return true;
}

bool copse__ref_ok(copse_bytes content) {
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, content);
  if (copse_read(&reader, &token) || token.type != COPSE_ARRAY || token.count != 3) return false;
  if (copse_read(&reader, &token) || token.type != COPSE_BIN || token.bytes.size != 16)
    return false;
  if (copse_read(&reader, &token) || token.type != COPSE_STR) return false;
  if (!copse__name_ok(token.bytes.data, token.bytes.size)) return false;
  if (copse_read(&reader, &token) || token.type != COPSE_ARRAY) return false;
  if (token.count > COPSE_REF_ADDRESSES_MAX) return false;
  for (uint32_t i = token.count; i > 0; i--) {
    if (copse_read(&reader, &token) || token.type != COPSE_STR) return false;
    if (!copse__utf8(token.bytes.data, token.bytes.size)) return false;
  }
  return reader.at == reader.end;
}

/* --- check ------------------------------------------------------------------------------------ */

static const char *check_content(const copse__head *head, const uint8_t *content) {
  if (head->type == COPSE_STR && !copse__utf8(content, head->count)) return "str is not UTF-8";
  if (head->type != COPSE_EXT) return NULL;
  const int8_t type = (int8_t)head->integer;
  if (type == COPSE_EXT_REF && !copse__ref_ok((copse_bytes){content, head->count}))
    return "malformed actor reference";
  if (type == COPSE_EXT_TIMESTAMP && head->count != 4 && head->count != 8 && head->count != 12)
    return "malformed timestamp";
  return NULL;
}

const uint8_t *copse__check(const uint8_t *at, const uint8_t *end, unsigned depth, const char **why,
                            const uint8_t **where) {
  enum { LEVELS = 64 };
  uint64_t left[LEVELS + 1]; /* elements still to come at each level; keys and values both count */
  uint64_t maps = 0;         /* bit n: level n is a map, and an even `left` means a key is next */
  unsigned level = 0;
  if (depth > LEVELS - 1) depth = LEVELS - 1;
  left[0] = 1;
  for (;;) {
    while (left[level] == 0) {
      if (level == 0) return at;
      level--;
    }
    *where = at;
    copse__head head;
    if ((*why = copse__head_read(at, end, &head))) return NULL;
    if (maps >> level & 1 && (left[level] & 1) == 0 && head.type != COPSE_STR &&
        head.type != COPSE_INT) {
      *why = "map key is neither str nor integer";
      return NULL;
    }
    left[level]--;
    at += head.size;
    switch (head.type) {
    case COPSE_STR:
    case COPSE_BIN:
    case COPSE_EXT:
      if (head.count > (size_t)(end - at)) {
        *why = cut_short;
        return NULL;
      }
      if ((*why = check_content(&head, at))) return NULL;
      at += head.count;
      break;
    case COPSE_ARRAY:
    case COPSE_MAP: {
      const bool map = head.type == COPSE_MAP;
      const uint64_t elements = (uint64_t)head.count << map;
      if (elements > (size_t)(end - at)) { /* each takes a byte at least */
        *why = cut_short;
        return NULL;
      }
      if (level == depth) {
        *why = "nested too deep";
        return NULL;
      }
      level++;
      left[level] = elements;
      maps = (maps & ~(UINT64_C(1) << level)) | (uint64_t)map << level;
      break;
    }
    case COPSE_NIL:
    case COPSE_BOOL:
    case COPSE_INT:
    case COPSE_FLOAT: break;
    }
  }
}

/* Most items of a stream are one str, bin or number: those need no account of levels. Whatever is
 * wrong, the strict pass says what. */
static bool is_simple(copse_bytes value) {
  copse__head head;
  if (value.size == 0 || copse__head_read(value.data, value.data + value.size, &head)) return false;
  if (head.type == COPSE_ARRAY || head.type == COPSE_MAP) return false;
  const bool content = head.type == COPSE_STR || head.type == COPSE_BIN || head.type == COPSE_EXT;
  return value.size == head.size + (content ? (size_t)head.count : 0) &&
         !check_content(&head, value.data + head.size);
}

copse_status copse_value_check(copse_bytes value, const char **why, size_t *offset) {
  if (is_simple(value)) return COPSE_OK;
  const char *text = "no value at all";
  const uint8_t *where = value.data;
  const uint8_t *end = value.data + value.size;
  const uint8_t *at = NULL;
  if (value.size > 0) at = copse__check(value.data, end, COPSE_DEPTH_MAX, &text, &where);
  if (at == end && at) return COPSE_OK;
  if (at) {
    text = "bytes after the value";
    where = at;
  }
  if (why) *why = text;
  if (offset) *offset = (size_t)(where - value.data);
  return COPSE_EVALUE;
}
