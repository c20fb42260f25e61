/* SPDX-License-Identifier: MIT
 *
 * A value as one line for people and logs.
 *
 * It looks like JSON where JSON has the thing, and like nothing that could be mistaken for JSON
 * where it has not: b"01ff" is binary, <name 1f2e...> a reference, ext 7 b"..." the rest. Control
 * characters never reach the reader's terminal.
 */
#include "wire/value.h"

#include <stdio.h>
#include <string.h>

struct line {
  char *text;
  size_t size, room;
  bool cut;
};

static void put(struct line *line, const char *text, size_t size) {
  if (line->cut) return;
  if (size > line->room - line->size) {
    line->cut = true;
    return;
  }
  memcpy(line->text + line->size, text, size);
  line->size += size;
}

static void put_text(struct line *line, const char *text) { put(line, text, strlen(text)); }

static void put_str(struct line *line, copse_bytes text) {
  const bool sound = copse__utf8(text.data, text.size);
  put_text(line, "\"");
  for (size_t i = 0; i < text.size && !line->cut; i++) {
    const uint8_t byte = text.data[i];
    char escaped[8];
    if (byte == '"' || byte == '\\') {
      put(line, (char[]){'\\', (char)byte}, 2);
    } else if (byte == '\n') {
      put_text(line, "\\n");
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !sound)) {
      put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", byte));
    } else if (byte == 0xc2 && text.data[i + 1] < 0xa0) { /* U+0080 to U+009F */
      i++;
      put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", text.data[i]));
    } else if (byte < 0x80) {
      put(line, (const char *)&text.data[i], 1);
    } else {
      size_t size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      put(line, (const char *)&text.data[i], size);
      i += size - 1;
    }
  }
  put_text(line, "\"");
}

static void put_hex(struct line *line, copse_bytes bytes) {
  for (size_t i = 0; i < bytes.size && !line->cut; i++) {
    char pair[3];
    snprintf(pair, sizeof pair, "%02x", bytes.data[i]);
    put(line, pair, 2);
  }
}

static void put_scalar(struct line *line, const copse_token *token) {
  char number[40];
  switch (token->type) {
  case COPSE_NIL: put_text(line, "null"); break;
  case COPSE_BOOL: put_text(line, token->boolean ? "true" : "false"); break;
  case COPSE_INT:
    put(line, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)token->integer));
    break;
  case COPSE_FLOAT: {
    int size = snprintf(number, sizeof number, "%.15g", token->number);
    put(line, number, (size_t)size);
    if (strspn(number, "-0123456789") == (size_t)size) put_text(line, ".0");
    break;
  }
  case COPSE_STR: put_str(line, token->bytes); break;
  case COPSE_BIN:
    put_text(line, "b\"");
    put_hex(line, token->bytes);
    put_text(line, "\"");
    break;
  case COPSE_EXT:
    if (token->ext == COPSE_EXT_REF && copse__ref_ok(token->bytes)) {
      copse_reader inner;
      copse_token part;
      copse_bytes id = {NULL, 0};
      copse_reader_init(&inner, token->bytes);
      (void)copse_read(&inner, &part);
      (void)copse_read(&inner, &part);
      id = part.bytes;
      (void)copse_read(&inner, &part);
      put_text(line, "<");
      put(line, (const char *)part.bytes.data, part.bytes.size);
      put_text(line, " ");
      put_hex(line, id);
      put_text(line, ">");
    } else {
      put(line, number, (size_t)snprintf(number, sizeof number, "ext %d b\"", token->ext));
      put_hex(line, token->bytes);
      put_text(line, "\"");
    }
    break;
  case COPSE_ARRAY:
  case COPSE_MAP: break;
  }
}

size_t copse_value_text(copse_bytes value, char *text, size_t size) {
  enum { LEVELS = 64 };
  if (size == 0) return 0;
  /* Room is kept for the dots and the end. */
  struct line line = {text, 0, size > 4 ? size - 4 : 0, size <= 4};
  uint64_t left[LEVELS];
  bool map[LEVELS];
  unsigned level = 0;
  copse_reader reader;
  copse_reader_init(&reader, value);
  do {
    copse_token token;
    if (copse_read(&reader, &token)) {
      put_text(&line, "?");
      break;
    }
    const bool container = token.type == COPSE_ARRAY || token.type == COPSE_MAP;
    if (!container) {
      put_scalar(&line, &token);
    } else if (level == LEVELS) {
      line.cut = true;
      break;
    } else {
      map[level] = token.type == COPSE_MAP;
      left[level] = (uint64_t)token.count << map[level];
      put_text(&line, map[level] ? "{" : "[");
      if (left[level++] > 0) continue; /* its first element comes next */
      left[level - 1] = 1;             /* closed below */
    }
    while (level > 0 && --left[level - 1] == 0) {
      level--;
      put_text(&line, map[level] ? "}" : "]");
    }
    if (level > 0) put_text(&line, map[level - 1] && left[level - 1] % 2 == 1 ? ": " : ", ");
  } while (level > 0 && !line.cut);
  if (line.cut && size > 4) {
    memcpy(text + line.size, "...", 3);
    line.size += 3;
  }
  text[line.size] = 0;
  return line.size;
}
