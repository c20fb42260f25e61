/* SPDX-License-Identifier: MIT
 *
 * Values as JSON and back.
 *
 * JSON lacks what values have: bytes, references, infinities, maps keyed by integers. Each becomes
 * an object with one key that begins with a dollar sign, and such objects are read back:
 *
 *     {"$bin": "base64"}     {"$ext": [type, "base64"]}     {"$float": "nan" | "inf" | "-inf"}
 *     {"$ref": {"id": "32 hex digits", "name": "...", "addresses": ["unix:..."]}}
 *     {"$map": [[key, value], ...]}
 *
 * the last for a map with a key that is no string or that would look like one of these.
 *
 * So what one command prints, another takes.
 */
#include "cli.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- JSON to value ---------------------------------------------------------------------------- */

typedef struct packer {
  copse_buf *out;
  char *why;
  size_t why_size;
} packer;

static bool refuse(packer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(packer *p, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(p->why, p->why_size, format, args);
  va_end(args);
  return false;
}

static bool pack(packer *p, const json_t *json, unsigned depth);

/* Decodes a base64 string; to be freed. */
static uint8_t *decode(packer *p, const json_t *json, const char *form, size_t *size) {
  size_t length = json_string_length(json);
  uint8_t *data = json_is_string(json) ? malloc(length + 1) : NULL;
  ptrdiff_t n = data ? cli_base64_decode(json_string_value(json), length, data) : -1;
  if (n < 0) {
    refuse(p, "%s takes base64 in a string", form);
    free(data);
    return NULL;
  }
  *size = (size_t)n;
  return data;
}

static bool pack_bin(packer *p, const json_t *json) {
  size_t size;
  uint8_t *data = decode(p, json, "$bin", &size);
  if (!data) return false;
  copse_pack_bin(p->out, data, size);
  free(data);
  return true;
}

static bool pack_ext(packer *p, const json_t *json) {
  json_int_t type = json_integer_value(json_array_get(json, 0));
  if (json_array_size(json) != 2 || !json_is_integer(json_array_get(json, 0)) || type < -128 ||
      type > 127)
    return refuse(p, "$ext takes [type, \"base64\"] with a type from -128 to 127");
  size_t size;
  uint8_t *data = decode(p, json_array_get(json, 1), "$ext", &size);
  if (!data) return false;
  copse_pack_ext(p->out, (int8_t)type, data, size);
  free(data);
  return true;
}

static bool pack_float(packer *p, const json_t *json) {
  const char *text = json_is_string(json) ? json_string_value(json) : "";
  double number = strcmp(text, "nan") == 0    ? (double)NAN
                  : strcmp(text, "inf") == 0  ? (double)INFINITY
                  : strcmp(text, "-inf") == 0 ? -(double)INFINITY
                                              : 0;
  if (number == 0) return refuse(p, "$float takes \"nan\", \"inf\" or \"-inf\"");
  copse_pack_float(p->out, number);
  return true;
}

static bool pack_ref(packer *p, const json_t *json) {
  copse_ref ref = {0};
  const json_t *id = json_object_get(json, "id"), *name = json_object_get(json, "name");
  const json_t *addresses = json_object_get(json, "addresses");
  if (!json_is_string(id) || json_string_length(id) != 32)
    return refuse(p, "$ref takes an \"id\" of 32 hexadecimal digits");
  for (size_t i = 0; i < 16; i++) {
    const char *digits = json_string_value(id) + 2 * i;
    char pair[3] = {digits[0], digits[1], '\0'};
    if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
      return refuse(p, "$ref takes an \"id\" of 32 hexadecimal digits");
    ref.id[i] = (uint8_t)strtoul(pair, NULL, 16);
  }
  size_t length = json_string_length(name);
  if (!json_is_string(name) || length < 1 || length > COPSE_NAME_MAX)
    return refuse(p, "$ref takes a \"name\" of 1 to %d bytes", COPSE_NAME_MAX);
  memcpy(ref.name, json_string_value(name), length);
  if (addresses &&
      (!json_is_array(addresses) || json_array_size(addresses) > COPSE_REF_ADDRESSES_MAX))
    return refuse(p, "$ref takes at most %d \"addresses\"", COPSE_REF_ADDRESSES_MAX);
  for (size_t i = 0; i < json_array_size(addresses); i++) {
    const json_t *address = json_array_get(addresses, i);
    length = json_string_length(address);
    if (!json_is_string(address) || length > COPSE_ADDRESS_MAX)
      return refuse(p, "an address of $ref is a string of at most %d bytes", COPSE_ADDRESS_MAX);
    memcpy(ref.addresses[i], json_string_value(address), length);
    ref.address_count++;
  }
  copse_pack_ref(p->out, &ref, true);
  return true;
}

static bool pack_map(packer *p, const json_t *json, unsigned depth) {
  size_t i;
  json_t *pair;
  if (!json_is_array(json)) return refuse(p, "$map takes an array of [key, value] pairs");
  copse_pack_map(p->out, json_array_size(json));
  json_array_foreach(json, i, pair) {
    const json_t *key = json_array_get(pair, 0);
    if (json_array_size(pair) != 2 || !(json_is_string(key) || json_is_integer(key)))
      return refuse(p, "$map takes [key, value] pairs whose keys are strings or integers");
    if (!pack(p, key, depth) || !pack(p, json_array_get(pair, 1), depth)) return false;
  }
  return true;
}

static bool pack_object(packer *p, const json_t *json, unsigned depth) {
  const char *key;
  json_t *value;
  void *first = json_object_iter((json_t *)(uintptr_t)json);
  if (json_object_size(json) == 1 && json_object_iter_key(first)[0] == '$') {
    key = json_object_iter_key(first);
    value = json_object_iter_value(first);
    if (strcmp(key, "$bin") == 0) return pack_bin(p, value);
    if (strcmp(key, "$ext") == 0) return pack_ext(p, value);
    if (strcmp(key, "$float") == 0) return pack_float(p, value);
    if (strcmp(key, "$ref") == 0) return pack_ref(p, value);
    if (strcmp(key, "$map") == 0) return pack_map(p, value, depth);
    return refuse(p,
                  "\"%s\" is no form of value (there are $bin, $ext, $float, $ref, $map); "
                  "a map with this key alone is written {\"$map\": [[\"%s\", ...]]}",
                  key, key);
  }
  copse_pack_map(p->out, json_object_size(json));
  json_object_foreach((json_t *)(uintptr_t)json, key, value) {
    copse_pack_cstr(p->out, key);
    if (!pack(p, value, depth)) return false;
  }
  return true;
}

static bool pack(packer *p, const json_t *json, unsigned depth) {
  size_t i;
  json_t *element;
  if ((json_is_array(json) || json_is_object(json)) && depth++ == COPSE_DEPTH_MAX)
    return refuse(p, "arrays and objects are nested more than %d deep", COPSE_DEPTH_MAX);
  switch (json_typeof(json)) {
  case JSON_OBJECT: return pack_object(p, json, depth);
  case JSON_ARRAY:
    copse_pack_array(p->out, json_array_size(json));
    json_array_foreach(json, i, element) {
      if (!pack(p, element, depth)) return false;
    }
    return true;
  case JSON_STRING:
    copse_pack_str(p->out, json_string_value(json), json_string_length(json));
    return true;
  case JSON_INTEGER: copse_pack_int(p->out, json_integer_value(json)); return true;
  case JSON_REAL: copse_pack_float(p->out, json_real_value(json)); return true;
  case JSON_TRUE:
  case JSON_FALSE: copse_pack_bool(p->out, json_is_true(json)); return true;
  case JSON_NULL: copse_pack_nil(p->out); return true;
  }
  return refuse(p, "a JSON value of an unknown type");
}

bool cli_json_pack(const json_t *json, copse_buf *out, char *why, size_t why_size) {
  packer p = {out, why, why_size};
  if (!pack(&p, json, 0)) return false;
  if (copse_buf_status(out) == COPSE_OK) return true;
  return refuse(&p, "%s", copse_status_text(copse_buf_status(out)));
}

/* --- value to JSON ---------------------------------------------------------------------------- */

static json_t *read_json(copse_reader *reader, unsigned depth);

/* {"$form": value}; takes the reference to value, which may be NULL. */
static json_t *form(const char *name, json_t *value) {
  json_t *object = json_object();
  if (json_object_set_new(object, name, value) == 0) return object;
  json_decref(object);
  return NULL;
}

static json_t *base64(copse_bytes bytes) {
  char *text = malloc(cli_base64_size(bytes.size));
  if (!text) return NULL;
  cli_base64_encode(bytes.data, bytes.size, text);
  json_t *json = json_string(text);
  free(text);
  return json;
}

static json_t *ref_json(const copse_ref *ref) {
  char id[33];
  json_t *addresses = json_array();
  for (size_t i = 0; i < 16; i++) snprintf(id + 2 * i, 3, "%02x", ref->id[i]);
  for (size_t i = 0; i < ref->address_count; i++)
    json_array_append_new(addresses, json_string(ref->addresses[i]));
  return form("$ref",
              json_pack("{s:s, s:s, s:o}", "id", id, "name", ref->name, "addresses", addresses));
}

static json_t *float_json(double number) {
  if (isnan(number)) return form("$float", json_string("nan"));
  if (isinf(number)) return form("$float", json_string(number > 0 ? "inf" : "-inf"));
  return json_real(number);
}

/* Whether these pairs can be an object that reads back as the same map. */
static bool is_plain(const json_t *pairs) {
  size_t i;
  json_t *pair;
  json_array_foreach(pairs, i, pair) {
    const json_t *key = json_array_get(pair, 0);
    if (!json_is_string(key) || strlen(json_string_value(key)) != json_string_length(key))
      return false;
    if (json_array_size(pairs) == 1 && json_string_value(key)[0] == '$') return false;
  }
  return true;
}

static json_t *map_json(copse_reader *reader, uint32_t count, unsigned depth) {
  json_t *pairs = json_array();
  size_t i;
  json_t *pair;
  for (uint32_t k = 0; k < count; k++) {
    json_t *key = read_json(reader, depth);
    json_t *value = key ? read_json(reader, depth) : NULL;
    pair = json_array();
    int failed = json_array_append_new(pair, key) | json_array_append_new(pair, value);
    failed |= json_array_append_new(pairs, pair);
    if (failed) {
      json_decref(pairs);
      return NULL;
    }
  }
  if (!is_plain(pairs)) return form("$map", pairs);
  json_t *object = json_object();
  json_array_foreach(pairs, i, pair) {
    if (json_object_set(object, json_string_value(json_array_get(pair, 0)),
                        json_array_get(pair, 1)) != 0) {
      json_decref(object);
      object = NULL;
      break;
    }
  }
  json_decref(pairs);
  return object;
}

static json_t *array_json(copse_reader *reader, uint32_t count, unsigned depth) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < count; i++) {
    if (json_array_append_new(array, read_json(reader, depth)) != 0) {
      json_decref(array);
      return NULL;
    }
  }
  return array;
}

static json_t *read_json(copse_reader *reader, unsigned depth) {
  copse_reader before = *reader;
  copse_token token;
  copse_ref ref;
  if (depth > 2 * COPSE_DEPTH_MAX || copse_read(reader, &token) != COPSE_OK) return NULL;
  switch (token.type) {
  case COPSE_NIL: return json_null();
  case COPSE_BOOL: return json_boolean(token.boolean);
  case COPSE_INT: return json_integer(token.integer);
  case COPSE_FLOAT: return float_json(token.number);
  case COPSE_STR: return json_stringn((const char *)token.bytes.data, token.bytes.size);
  case COPSE_BIN: return form("$bin", base64(token.bytes));
  case COPSE_ARRAY: return array_json(reader, token.count, depth + 1);
  case COPSE_MAP: return map_json(reader, token.count, depth + 1);
  case COPSE_EXT:
    if (token.ext == COPSE_EXT_REF && copse_read_ref(&before, &ref) == COPSE_OK)
      return ref_json(&ref);
    return form("$ext", json_pack("[i, o]", token.ext, base64(token.bytes)));
  }
  return NULL;
}

json_t *cli_json_of(copse_bytes value) {
  copse_reader reader;
  if (value.size == 0) return json_null();
  copse_reader_init(&reader, value);
  return read_json(&reader, 0);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The digits that all the numbers in it need to be read back as they were: 0.1 is not to be printed
 * with 17. */
static int precision(const json_t *json) {
  int most = 15;
  size_t i;
  const char *key;
  json_t *element;
  if (json_is_real(json)) {
    char text[64];
    while (most < 17) {
      snprintf(text, sizeof text, "%.*g", most, json_real_value(json));
      if (strtod(text, NULL) == json_real_value(json)) break;
      most++;
    }
  }
  json_array_foreach(json, i, element) {
    int needed = precision(element);
    if (needed > most) most = needed;
  }
  json_object_foreach((json_t *)(uintptr_t)json, key, element) {
    int needed = precision(element);
    if (needed > most) most = needed;
  }
  return most;
}

bool cli_json_write(const json_t *json, FILE *stream, bool indented) {
  size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)precision(json));
  if (indented) flags |= JSON_INDENT(2);
  return json_dumpf(json, stream, flags) == 0 && putc('\n', stream) != EOF;
}
