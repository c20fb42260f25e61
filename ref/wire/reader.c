/* SPDX-License-Identifier: MIT
 *
 * Reading values: a cursor that yields a token at a time.
 *
 * A consumer that knows what it wants (a binding that builds its own tables, the engine that looks
 * for seven keys) needs no tree in between. The cursor only moves; strings are views. It checks
 * bounds at every step and is safe on any bytes, but says nothing of UTF-8, keys or depth: that is
 * the check's part, which everything that came off the wire has passed.
 */
#include "wire/value.h"

#include <string.h>

void copse_reader_init(copse_reader *reader, copse_bytes value) {
  reader->at = value.data;
  reader->end = value.size ? value.data + value.size : value.data;
}

copse_status copse_read(copse_reader *reader, copse_token *token) {
  if (reader->at == reader->end) return COPSE_EEND;
  copse__head head;
  if (copse__head_read(reader->at, reader->end, &head)) return COPSE_EVALUE;
  const uint8_t *content = reader->at + head.size;
  const size_t left = (size_t)(reader->end - content);

  *token = (copse_token){.type = head.type};
  switch (head.type) {
  case COPSE_NIL: break;
  case COPSE_BOOL: token->boolean = head.count != 0; break;
  case COPSE_INT: token->integer = (int64_t)head.integer; break;
  case COPSE_FLOAT: memcpy(&token->number, &head.integer, sizeof token->number); break;
  case COPSE_STR:
  case COPSE_BIN:
  case COPSE_EXT:
    if (head.type == COPSE_EXT) token->ext = (int8_t)head.integer;
    if (head.count > left) return COPSE_EVALUE;
    token->bytes = (copse_bytes){content, head.count};
    content += head.count;
    break;
  case COPSE_ARRAY:
  case COPSE_MAP:
    if ((uint64_t)head.count << (head.type == COPSE_MAP) > left) return COPSE_EVALUE;
    token->count = head.count;
    break;
  }
  reader->at = content;
  return COPSE_OK;
}

copse_status copse_read_value(copse_reader *reader, copse_bytes *value) {
  copse_reader ahead = *reader;
  if (ahead.at == ahead.end) return COPSE_EEND;
  /* How many items are still to be passed says all; which container they belong to is no matter. */
  for (uint64_t pending = 1; pending > 0; pending--) {
    copse_token token;
    if (copse_read(&ahead, &token)) return COPSE_EVALUE;
    pending += (uint64_t)token.count << (token.type == COPSE_MAP);
    if (pending - 1 > (size_t)(ahead.end - ahead.at)) return COPSE_EVALUE;
  }
  if (value) *value = (copse_bytes){reader->at, (size_t)(ahead.at - reader->at)};
  *reader = ahead;
  return COPSE_OK;
}

copse_status copse_read_ref(copse_reader *reader, copse_ref *ref) {
  copse_reader ahead = *reader;
  copse_token token;
  copse_status status = copse_read(&ahead, &token);
  if (status) return status;
  if (token.type != COPSE_EXT || token.ext != COPSE_EXT_REF) return COPSE_ETYPE;
  if (!copse__ref_ok(token.bytes)) return COPSE_EVALUE;
  *reader = ahead;

  /* From here on every read succeeds: the shape was checked. */
  copse_reader inner;
  copse_reader_init(&inner, token.bytes);
  (void)copse_read(&inner, &token);
  (void)copse_read(&inner, &token);
  memcpy(ref->id, token.bytes.data, sizeof ref->id);
  (void)copse_read(&inner, &token);
  memcpy(ref->name, token.bytes.data, token.bytes.size);
  ref->name[token.bytes.size] = 0;
  (void)copse_read(&inner, &token);
  ref->address_count = 0;
  for (uint32_t left = token.count; left > 0; left--) {
    if (copse_read(&inner, &token)) break;
    /* Too long, or with a NUL in it: no form of address that we know, so it is passed over. */
    if (token.bytes.size > COPSE_ADDRESS_MAX ||
        (token.bytes.size && memchr(token.bytes.data, 0, token.bytes.size)))
      continue;
    char *address = ref->addresses[ref->address_count++];
    if (token.bytes.size) memcpy(address, token.bytes.data, token.bytes.size);
    address[token.bytes.size] = 0;
  }
  return COPSE_OK;
}

copse_status copse_map_get(copse_bytes map, const char *key, copse_bytes *value) {
  copse_reader reader;
  copse_token token;
  const size_t size = strlen(key);
  copse_reader_init(&reader, map);
  if (copse_read(&reader, &token) || token.type != COPSE_MAP) return COPSE_ETYPE;
  for (uint32_t left = token.count; left > 0; left--) {
    copse_bytes name, found;
    if (copse_read_value(&reader, &name) || copse_read_value(&reader, &found)) return COPSE_EVALUE;
    copse_bytes text;
    if (copse_value_str(name, &text) == COPSE_OK && text.size == size &&
        memcmp(text.data, key, size) == 0) {
      *value = found;
      return COPSE_OK;
    }
  }
  return COPSE_EUNKNOWN;
}

/* --- one whole value, typed ------------------------------------------------------------------- */

static copse_status whole(copse_bytes value, copse_type type, copse_token *token) {
  copse_reader reader;
  copse_reader_init(&reader, value);
  copse_status status = copse_read(&reader, token);
  if (status == COPSE_EEND) return COPSE_ETYPE;
  if (status) return status;
  return token->type == type ? COPSE_OK : COPSE_ETYPE;
}

copse_status copse_value_int(copse_bytes value, int64_t *out) {
  copse_token token;
  copse_status status = whole(value, COPSE_INT, &token);
  if (status == COPSE_OK) *out = token.integer;
  return status;
}

copse_status copse_value_float(copse_bytes value, double *out) {
  copse_token token;
  copse_status status = whole(value, COPSE_FLOAT, &token);
  if (status == COPSE_OK) *out = token.number;
  else if (status == COPSE_ETYPE && whole(value, COPSE_INT, &token) == COPSE_OK) {
    *out = (double)token.integer;
    status = COPSE_OK;
  }
  return status;
}

copse_status copse_value_bool(copse_bytes value, bool *out) {
  copse_token token;
  copse_status status = whole(value, COPSE_BOOL, &token);
  if (status == COPSE_OK) *out = token.boolean;
  return status;
}

/* Item by item this is what receiving costs, so it goes past the token and leaves alone what it
 * does not need. The two members are written one by one: a copy of the pair right after its halves
 * were stored stalls the processor. */
static copse_status content(copse_bytes value, copse_type type, copse_bytes *out) {
  copse__head head;
  if (value.size == 0) return COPSE_ETYPE;
  if (copse__head_read(value.data, value.data + value.size, &head)) return COPSE_EVALUE;
  if (head.type != type) return COPSE_ETYPE;
  if (head.count > value.size - head.size) return COPSE_EVALUE;
  out->data = value.data + head.size;
  out->size = head.count;
  return COPSE_OK;
}

copse_status copse_value_str(copse_bytes value, copse_bytes *out) {
  return content(value, COPSE_STR, out);
}

copse_status copse_value_bin(copse_bytes value, copse_bytes *out) {
  return content(value, COPSE_BIN, out);
}

copse_status copse_value_ref(copse_bytes value, copse_ref *out) {
  copse_reader reader;
  copse_reader_init(&reader, value);
  copse_status status = copse_read_ref(&reader, out);
  return status == COPSE_EEND ? COPSE_ETYPE : status;
}

copse_type copse_value_type(copse_bytes value) {
  copse__head head;
  if (value.size == 0 || copse__head_read(value.data, value.data + value.size, &head))
    return COPSE_NIL;
  return head.type;
}
