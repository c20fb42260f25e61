/* SPDX-License-Identifier: MIT
 *
 * Arguments: a map, or an array in the order of the fields; all are checked before a handler runs.
 */
#include "testee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INT_MAX_53 ((INT64_C(1) << 53) - 1)

static bool is_args(copse_bytes v) {
  return copse_value_type(v) == COPSE_ARRAY || copse_value_type(v) == COPSE_MAP;
}

static bool is_int(copse_bytes v) {
  int64_t number;
  return copse_value_int(v, &number) == COPSE_OK && number >= 0 && number <= INT_MAX_53;
}

static bool is_call(copse_bytes v) {
  copse_bytes target, args;
  return copse_map_get(v, "target", &target) == COPSE_OK && copse_value_type(target) == COPSE_STR &&
         (copse_map_get(v, "args", &args) != COPSE_OK || is_args(args));
}

static bool is_str(copse_bytes v) { return copse_value_type(v) == COPSE_STR; }

/* An array of what `is` allows; its length, or -1. */
static int64_t array_of(copse_bytes v, bool (*is)(copse_bytes v)) {
  copse_reader reader;
  copse_token token;
  copse_bytes element;
  copse_reader_init(&reader, v);
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY) return -1;
  for (uint32_t i = 0; i < token.count; i++)
    if (copse_read_value(&reader, &element) != COPSE_OK || !is(element)) return -1;
  return token.count;
}

static bool one_of(copse_bytes v, const char *words) {
  copse_bytes text;
  char word[16];
  if (copse_value_str(v, &text) != COPSE_OK || text.size > sizeof word - 3) return false;
  int n = snprintf(word, sizeof word, " %.*s ", (int)text.size, (const char *)text.data);
  return n == (int)text.size + 2 && strstr(words, word);
}

static bool fits(enum type type, copse_bytes v) {
  copse_ref ref;
  int64_t number;
  switch (type) {
  case ANY: return true;
  case INT: return is_int(v);
  case SIZE: return is_int(v) && copse_value_int(v, &number) == COPSE_OK && number >= 8;
  case STR: return is_str(v);
  case BIN: return copse_value_type(v) == COPSE_BIN;
  case REF: return copse_value_ref(v, &ref) == COPSE_OK;
  case MAP: return copse_value_type(v) == COPSE_MAP;
  case ARGS: return is_args(v);
  case WINDOW: return array_of(v, is_int) == 2;
  case ARGV: return array_of(v, is_str) > 0;
  case CALL: return is_call(v);
  case CALLS: return array_of(v, is_call) >= 0;
  case THEN: return one_of(v, " return fail cancel ");
  case HOW: return one_of(v, " exit signal close hang spin ");
  }
  return false;
}

bool args_read(call *c, const struct field *fields, char *why, size_t size) {
  copse_bytes args = copse_buf_bytes(&c->args), v;
  copse_reader reader;
  copse_token token = {.count = 0};
  bool by_name = copse_value_type(args) == COPSE_MAP;
  copse_reader_init(&reader, args);
  if (args.size && !by_name) copse_read(&reader, &token);
  for (uint32_t i = 0; i < FIELDS_MAX && fields[i].name; i++) {
    copse_status found = by_name           ? copse_map_get(args, fields[i].name, &v)
                         : i < token.count ? copse_read_value(&reader, &v)
                                           : COPSE_EUNKNOWN;
    if (found == COPSE_OK) c->arg[i] = v;
    if (found == COPSE_OK ? !fits(fields[i].type, v) : fields[i].required) {
      snprintf(why, size, "%s %s", fields[i].name,
               found == COPSE_OK ? "is not what it must be" : "is missing");
      return false;
    }
  }
  return true;
}

int64_t arg_int(const call *c, int field, int64_t otherwise) {
  int64_t number;
  return copse_value_int(c->arg[field], &number) == COPSE_OK ? number : otherwise;
}

copse_credit arg_window(const call *c, int field) {
  copse_reader reader;
  copse_token items = {.integer = 16}, bytes = {.integer = 65536};
  copse_reader_init(&reader, c->arg[field]);
  if (copse_read(&reader, &items) == COPSE_OK) {
    copse_read(&reader, &items);
    copse_read(&reader, &bytes);
  } else {
    items.integer = 16;
  }
  /* A zero means that nothing may be sent; the library would take one of bytes for its default. */
  if (!items.integer || !bytes.integer) return (copse_credit){0, 0};
  return (copse_credit){(uint64_t)items.integer, (uint64_t)bytes.integer};
}

char *arg_text(const call *c, int field, const char *otherwise) {
  copse_bytes text;
  if (copse_value_str(c->arg[field], &text) != COPSE_OK) return strdup(otherwise);
  return strndup((const char *)text.data, text.size);
}

bool arg_is(const call *c, int field, const char *text) {
  copse_bytes v;
  return copse_value_str(c->arg[field], &v) == COPSE_OK && v.size == strlen(text) &&
         memcmp(v.data, text, v.size) == 0;
}
