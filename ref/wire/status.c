/* SPDX-License-Identifier: MIT
 *
 * The texts of what has numbers: status codes, protocol codes, origins, frame kinds.
 *
 * All of them are generated from the lists in copse/wire.h, so a name, its number and its text
 * cannot drift apart, and a binding or a document that needs them reads the same lists.
 */
#include "copse/wire.h"

#include <string.h>

enum { SCOPE_LINK, SCOPE_CONTEXT, SCOPE_BOTH };

static const struct code_row {
  const char *text;
  uint8_t scope;
  uint8_t retry;
} codes[] = {
#define X(name, text, scope, retry) [COPSE_CODE_##name] = {text, SCOPE_##scope, retry},
    COPSE_CODES(X)
#undef X
};

static const char *const origins[] = {
#define X(name, text) [COPSE_ORIGIN_##name] = text,
    COPSE_ORIGINS(X)
#undef X
};

const char *copse_status_text(copse_status status) {
  switch (status) {
#define X(name, number, text)                                                                      \
  case COPSE_##name: return text;
    COPSE_STATUSES(X)
#undef X
  }
  return "unknown status";
}

const char *copse_status_name(copse_status status) {
  switch (status) {
#define X(name, number, text)                                                                      \
  case COPSE_##name: return #name;
    COPSE_STATUSES(X)
#undef X
  }
  return "unknown status";
}

const char *copse_code_text(copse_code code) {
  return (unsigned)code < COPSE_CODE_COUNT ? codes[code].text : "unknown";
}

copse_code copse_code_of(const char *text, size_t size) {
  for (unsigned i = 0; i < COPSE_CODE_COUNT; i++)
    if (strlen(codes[i].text) == size && memcmp(codes[i].text, text, size) == 0)
      return (copse_code)i;
  return COPSE_CODE_COUNT;
}

bool copse_code_retry(copse_code code) {
  return (unsigned)code < COPSE_CODE_COUNT && codes[code].retry;
}

bool copse_code_of_link(copse_code code) {
  return (unsigned)code < COPSE_CODE_COUNT && codes[code].scope != SCOPE_CONTEXT;
}

bool copse_code_of_context(copse_code code) {
  return (unsigned)code < COPSE_CODE_COUNT && codes[code].scope != SCOPE_LINK;
}

const char *copse_origin_text(copse_origin origin) {
  return (unsigned)origin < COPSE_ORIGIN_COUNT ? origins[origin] : "unknown";
}

copse_origin copse_origin_of(const char *text, size_t size) {
  for (unsigned i = 0; i < COPSE_ORIGIN_COUNT; i++)
    if (strlen(origins[i]) == size && memcmp(origins[i], text, size) == 0) return (copse_origin)i;
  return COPSE_ORIGIN_COUNT;
}

const char *copse_kind_name(unsigned kind) {
  switch (kind) {
#define X(name, byte)                                                                              \
  case byte: return #name;
    COPSE_KINDS(X)
#undef X
  default: return "unknown";
  }
}
