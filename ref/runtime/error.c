/* SPDX-License-Identifier: MIT
 *
 * Errors.
 *
 * An error is immutable once made and reference counted, because it goes many ways at once: to the
 * scope, to the log, into a group, onto a link. It is one allocation, with all its text behind it.
 * What a relay adds (its `via`) makes a new one. When memory is short, an error becomes a constant
 * one that says so: raising must never fail.
 */
#include "runtime/internal.h"
#include "wire/value.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 8 /* levels of causes that are written and read; what lies deeper is left out */
#define CAUSES_MAX 64 /* in all of one error that is written; of one array that is read */
#define OBJECTS_MAX                                                                                \
  1024 /* in all of one error that came from a peer: a map of 1 MiB could name 60 times as many */

struct copse_error {
  unsigned refs; /* UINT_MAX: static */
  bool received; /* of a peer: whoever it says raised it stands, even if it says nobody */
  copse_error_info info;
  size_t code, type, message, stack; /* sizes: a peer's text may have NUL in it */
};

static copse_error no_memory = {
    .refs = UINT_MAX,
    .info = {.code = "no_memory",
             .known = COPSE_CODE_NO_MEMORY,
             .type = "",
             .message = "out of memory",
             .stack = ""},
    .code = sizeof "no_memory" - 1,
    .message = sizeof "out of memory" - 1,
};

copse_error *copse__error_no_memory(void) { return &no_memory; }

copse_error *copse_error_ref(copse_error *error) {
  if (error && error->refs != UINT_MAX) error->refs++;
  return error;
}

void copse_error_unref(copse_error *error) {
  if (!error || error->refs == UINT_MAX || --error->refs) return;
  for (size_t i = 0; i < error->info.cause_count; i++) copse_error_unref(error->info.causes[i]);
  free(error);
}

const copse_error_info *copse_error_get(const copse_error *error) { return &error->info; }

/* What a callee's own layer of the protocol can send, before user code has had an effect
 * (ERROR-013). */
static bool is_refusal(copse_code code) {
  return code == COPSE_CODE_NO_TARGET || code == COPSE_CODE_DENIED || code == COPSE_CODE_BAD_ARGS ||
         code == COPSE_CODE_NOT_READY || code == COPSE_CODE_CLOSING || code == COPSE_CODE_BUSY;
}

bool copse_error_retry(const copse_error *error) {
  const copse_error_info *info = &error->info;
  if (info->known >= COPSE_CODE_COUNT || !copse_code_retry(info->known)) return false;
  return info->via_count == 0 || (info->via_count == 1 && !*info->stack && is_refusal(info->known));
}

/* --- making ----------------------------------------------------------------------------------- */

/* What an error is made of; its texts need not be terminated. `more` follows `via`. */
typedef struct parts {
  copse_bytes code, type, message, stack, data;
  copse_code known;
  const copse_ref *actor;
  const copse_ref *via;
  size_t via_count;
  const copse_ref *more;
  size_t more_count;
  copse_error *const *causes; /* referenced */
  size_t cause_count;
  bool cancelled;
} parts;

static copse_bytes text(const char *s) {
  return (copse_bytes){(const uint8_t *)(s ? s : ""), s ? strlen(s) : 0};
}

static uint8_t *put(uint8_t *at, const void *data, size_t size) {
  if (size) memcpy(at, data, size);
  return at + size;
}

/* Texts of the system and of languages may be any bytes; on a link they must be UTF-8. */
static const char *put_text(uint8_t **at, copse_bytes bytes) {
  uint8_t *start = *at;
  *at = put(start, bytes.data, bytes.size);
  *(*at)++ = 0;
  if (!copse__utf8(start, bytes.size))
    for (size_t i = 0; i < bytes.size; i++)
      if (start[i] & 0x80) start[i] = '?';
  return (const char *)start;
}

static copse_error *build(const parts *p) {
  size_t room = p->via_count < COPSE_VIA_MAX ? COPSE_VIA_MAX - p->via_count : 0;
  size_t more =
      p->more_count < room ? p->more_count : room; /* the nearest to the origin are kept */
  size_t refs = (p->via_count + more) * sizeof(copse_ref),
         causes = p->cause_count * sizeof(copse_error *);
  size_t size = sizeof(copse_error) + causes + refs + p->data.size + p->code.size + p->type.size +
                p->message.size + p->stack.size + 4;
  copse_error *error = malloc(size);
  if (!error) return &no_memory;
  memset(error, 0, sizeof *error);
  error->refs = 1;
  copse_error_info *info = &error->info;
  uint8_t *at = (uint8_t *)(error + 1); /* pointers first, then what needs no alignment */
  copse_error **list = (copse_error **)(void *)at;
  for (size_t i = 0; i < p->cause_count; i++) list[i] = copse_error_ref(p->causes[i]);
  at += causes;
  info->causes = list;
  info->cause_count = p->cause_count;
  info->via = (const copse_ref *)(void *)at;
  info->via_count = p->via_count + more;
  at = put(at, p->via, p->via_count * sizeof *p->via);
  at = put(at, p->more, more * sizeof *p->more);
  info->data = (copse_bytes){at, p->data.size};
  at = put(at, p->data.data, p->data.size);
  error->code = p->code.size;
  error->type = p->type.size;
  error->message = p->message.size;
  error->stack = p->stack.size;
  info->code = put_text(&at, p->code);
  info->type = put_text(&at, p->type);
  info->message = put_text(&at, p->message);
  info->stack = put_text(&at, p->stack);
  info->known = p->known;
  info->cancelled = p->cancelled;
  if (p->actor) {
    info->has_actor = true;
    info->actor = *p->actor;
  }
  return error;
}

/* A text of an error that exists, whole. */
static copse_bytes whole(const char *text, size_t size) {
  return (copse_bytes){(const uint8_t *)text, size};
}

/* The parts of an error that is described. */
static parts parts_of(const copse_error_info *i) {
  return (parts){.code = text(i->code),
                 .type = text(i->type),
                 .message = text(i->message),
                 .stack = text(i->stack),
                 .data = i->data,
                 .known = i->known,
                 .actor = i->has_actor ? &i->actor : NULL,
                 .via = i->via,
                 .via_count = i->via_count,
                 .causes = i->causes,
                 .cause_count = i->cause_count,
                 .cancelled = i->cancelled};
}

copse_error *copse_error_make(const copse_error_info *info) {
  parts p = parts_of(info);
  if (info->code && info->code[0]) {
    p.known = copse_code_of(info->code, strlen(info->code));
  } else {
    if ((unsigned)p.known >= COPSE_CODE_COUNT || p.known == COPSE_CODE_NONE)
      p.known = COPSE_CODE_FAILED;
    p.code = text(copse_code_text(p.known));
  }
  if (p.via_count > COPSE_VIA_MAX) p.via_count = COPSE_VIA_MAX;
  return build(&p);
}

__attribute__((format(printf, 4, 0))) static copse_error *make_v(copse_code code,
                                                                 const copse_ref *actor,
                                                                 copse_bytes data,
                                                                 const char *format, va_list args) {
  enum { TEXT_MAX = 1500 }; /* more than the message of a CANCEL, and who sent it */
  char message[TEXT_MAX + 2];
  int n = vsnprintf(message, sizeof message, format, args);
  if (n < 0) message[0] = 0;
  else if (n > TEXT_MAX) /* not in the middle of a character */
    message[copse__utf8_fit((uint8_t *)message, (size_t)n, TEXT_MAX)] = 0;
  parts p = {.known = code,
             .code = text(copse_code_text(code)),
             .message = text(message),
             .actor = actor,
             .data = data};
  return build(&p);
}

copse_error *copse_error_new(copse_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  copse_error *error = make_v(code, NULL, (copse_bytes){NULL, 0}, format, args);
  va_end(args);
  return error;
}

copse_error *copse__error_at(copse_code code, const copse_ref *actor, copse_bytes data,
                             const char *format, ...) {
  va_list args;
  va_start(args, format);
  copse_error *error = make_v(code, actor, data, format, args);
  va_end(args);
  return error;
}

copse_error *copse_cause_error(const copse_cause *cause) {
  bool named = cause->by.name[0] != 0, expired = cause->origin == COPSE_ORIGIN_DEADLINE;
  copse_buf data;
  copse_buf_init(&data, 512, NULL);
  copse_pack_map(&data, named ? 2 : 1);
  copse_pack_cstr(&data, "origin");
  copse_pack_cstr(&data, copse_origin_text(cause->origin));
  if (named) {
    copse_pack_cstr(&data, "by");
    copse_pack_ref(&data, &cause->by, false);
  }
  copse_bytes bytes = copse_buf_status(&data) ? (copse_bytes){NULL, 0} : copse_buf_bytes(&data);
  copse_error *error = copse__error_at(
      expired ? COPSE_CODE_DEADLINE : COPSE_CODE_CANCELLED, named ? &cause->by : NULL, bytes,
      "%s by %s (%s)%s%s", expired ? "a deadline has passed, said" : "cancelled",
      named ? cause->by.name : "an actor", copse_origin_text(cause->origin),
      cause->message[0] ? ": " : "", cause->message);
  copse_buf_deinit(&data);
  return error;
}

copse_error *copse_status_error(copse_status status, const char *what) {
  static const struct {
    copse_status status;
    copse_code code;
  } codes[] = {
      {COPSE_ENOMEM, COPSE_CODE_NO_MEMORY},   {COPSE_ELIMIT, COPSE_CODE_BUSY},
      {COPSE_EAGAIN, COPSE_CODE_BUSY},        {COPSE_ETOOLARGE, COPSE_CODE_TOO_LARGE},
      {COPSE_EVALUE, COPSE_CODE_BAD_ARGS},    {COPSE_ETYPE, COPSE_CODE_BAD_ARGS},
      {COPSE_EINVAL, COPSE_CODE_BAD_ARGS},    {COPSE_ECLOSED, COPSE_CODE_CLOSING},
      {COPSE_EUNKNOWN, COPSE_CODE_NOT_FOUND}, {COPSE_EADDRESS, COPSE_CODE_UNREACHABLE},
      {COPSE_EDENIED, COPSE_CODE_DENIED},     {COPSE_ECANCELLED, COPSE_CODE_CANCELLED},
  };
  copse_code code = COPSE_CODE_FAILED;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i].status == status) code = codes[i].code;
  return what && what[0] ? copse_error_new(code, "%s: %s", what, copse_status_text(status))
                         : copse_error_new(code, "%s", copse_status_text(status));
}

/* --- joining ---------------------------------------------------------------------------------- */

bool copse__error_same(const copse_error *a, const copse_error *b) {
  if (a == b) return true;
  return a->info.known == COPSE_CODE_DIED && b->info.known == COPSE_CODE_DIED &&
         a->info.has_actor && b->info.has_actor &&
         memcmp(a->info.actor.id, b->info.actor.id, sizeof a->info.actor.id) == 0;
}

static bool is_group(const copse_error *error) {
  return error->info.known == COPSE_CODE_GROUP && error->info.cause_count > 0;
}

/* What a group's member would look like had it come alone: the group's path follows its own. */
static copse_error *member_of(const copse_error *group, copse_error *member) {
  if (!group->info.via_count) return copse_error_ref(member);
  parts p = parts_of(&member->info);
  p.code = whole(member->info.code, member->code);
  p.type = whole(member->info.type, member->type);
  p.message = whole(member->info.message, member->message);
  p.stack = whole(member->info.stack, member->stack);
  p.more = group->info.via;
  p.more_count = group->info.via_count;
  copse_error *error = build(&p);
  if (error != &no_memory) error->received = member->received;
  return error;
}

static size_t add(copse_error **list, size_t count, copse_error *error) {
  for (size_t i = 0; i < count; i++) {
    if (copse__error_same(list[i], error)) {
      copse_error_unref(error);
      return count;
    }
  }
  list[count] = error;
  return count + 1;
}

copse_error *copse__error_join(copse_error *const *errors, size_t count) {
  size_t max = 0, n = 0;
  if (count == 1) return copse_error_ref(errors[0]);
  for (size_t i = 0; i < count; i++) max += is_group(errors[i]) ? errors[i]->info.cause_count : 1;
  if (!max) return NULL;
  copse_error **list = calloc(max, sizeof *list);
  if (!list) return copse_error_ref(errors[0]); /* better the first than none */
  for (size_t i = 0; i < count; i++) {
    if (is_group(errors[i]))
      for (size_t k = 0; k < errors[i]->info.cause_count; k++)
        n = add(list, n, member_of(errors[i], errors[i]->info.causes[k]));
    else n = add(list, n, copse_error_ref(errors[i]));
  }
  copse_error *joined;
  if (n == 1) {
    joined = copse_error_ref(list[0]);
  } else {
    char message[256];
    snprintf(message, sizeof message, "%zu errors; the first: %.200s", n, list[0]->info.message);
    parts p = {.known = COPSE_CODE_GROUP,
               .code = text("group"),
               .message = text(message),
               .causes = list,
               .cause_count = n};
    joined = build(&p);
    if (joined == &no_memory) joined = copse_error_ref(list[0]);
  }
  for (size_t i = 0; i < n; i++) copse_error_unref(list[i]);
  free(list);
  return joined;
}

/* --- the map ---------------------------------------------------------------------------------- */

static void pack_text(copse_buf *out, const char *key, const char *text, size_t size) {
  copse_pack_cstr(out, key);
  copse_pack_str(out, text, size);
}

static void encode(const copse_error *error, const copse_ref *self, bool cancelled, copse_buf *out,
                   unsigned depth, size_t *left) {
  const copse_error_info *e = &error->info;
  const copse_ref *actor = e->has_actor ? &e->actor : error->received ? NULL : self;
  size_t causes = depth >= NESTING_MAX ? 0 : e->cause_count < *left ? e->cause_count : *left;
  bool has[] = {error->type != 0,         error->stack != 0, actor != NULL,
                e->via_count != 0,        causes != 0,       e->data.size != 0,
                e->cancelled || cancelled};
  size_t keys = 2;
  for (size_t i = 0; i < sizeof has / sizeof *has; i++) keys += has[i];
  copse_pack_map(out, keys);
  pack_text(out, "code", e->code, error->code);
  pack_text(out, "message", e->message, error->message);
  if (error->type) pack_text(out, "type", e->type, error->type);
  if (error->stack) pack_text(out, "stack", e->stack, error->stack);
  if (actor) {
    copse_pack_cstr(out, "actor");
    copse_pack_ref(out, actor, false);
  }
  if (e->via_count) {
    copse_pack_cstr(out, "via");
    copse_pack_array(out, e->via_count);
    for (size_t i = 0; i < e->via_count; i++) copse_pack_ref(out, &e->via[i], false);
  }
  if (causes) {
    copse_pack_cstr(out, "causes");
    copse_pack_array(out, causes);
    *left -= causes;
    for (size_t i = 0; i < causes; i++) encode(e->causes[i], self, false, out, depth + 1, left);
  }
  if (e->data.size) {
    copse_pack_cstr(out, "data");
    copse_pack_value(out, e->data);
  }
  if (e->cancelled || cancelled) {
    copse_pack_cstr(out, "cancelled");
    copse_pack_bool(out, true);
  }
}

void copse__error_encode(const copse_error *error, const copse_ref *self, bool cancelled,
                         copse_buf *out) {
  size_t left = CAUSES_MAX;
  encode(error, self, cancelled, out, 0, &left);
}

void copse_error_encode(const copse_error *error, copse_buf *out) {
  copse__error_encode(error, NULL, false, out);
}

/* Reads an array of references, `max` at most. NULL with *count 0 where memory is short. */
static copse_ref *decode_via(copse_bytes value, size_t max, size_t *count, bool *bad) {
  copse_reader reader;
  copse_token token;
  *count = 0;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) || token.type != COPSE_ARRAY) {
    *bad = true;
    return NULL;
  }
  size_t n = token.count < max ? token.count : max;
  copse_ref *refs = n ? malloc(n * sizeof *refs) : NULL;
  if (!refs) return NULL;
  for (size_t i = 0; i < n; i++)
    if (copse_read_ref(&reader, &refs[i])) *bad = true;
  *count = n;
  return refs;
}

static copse_error *decode(copse_bytes map, bool received, const copse_ref *peer, unsigned depth,
                           size_t *budget);

static copse_error **decode_causes(copse_bytes value, bool received, unsigned depth, size_t *budget,
                                   size_t *count, bool *bad) {
  copse_reader reader;
  copse_token token;
  *count = 0;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) || token.type != COPSE_ARRAY) {
    *bad = true;
    return NULL;
  }
  size_t n = token.count < CAUSES_MAX ? token.count : CAUSES_MAX;
  copse_error **causes = n && depth < NESTING_MAX ? calloc(n, sizeof *causes) : NULL;
  if (!causes) return NULL;
  for (size_t i = 0; i < n && *budget && !*bad; i++) {
    copse_bytes one;
    if (copse_read_value(&reader, &one)) {
      *bad = true;
      break;
    }
    causes[*count] = decode(one, received, NULL, depth + 1, budget);
    if (causes[*count]) ++*count;
    else *bad = true;
  }
  return causes;
}

/* NULL: malformed. */
static copse_error *decode(copse_bytes map, bool received, const copse_ref *peer, unsigned depth,
                           size_t *budget) {
  parts p = {.known = COPSE_CODE_FAILED, .more = peer, .more_count = peer ? 1 : 0};
  copse_ref actor, *via = NULL;
  copse_error **causes = NULL;
  copse_reader reader;
  copse_token token;
  bool bad = false, has_code = false, has_message = false;
  if (*budget) --*budget;
  copse_reader_init(&reader, map);
  if (copse_read(&reader, &token) || token.type != COPSE_MAP) return NULL;
  for (uint32_t pairs = token.count; pairs && !bad; pairs--) {
    copse_bytes value;
    if (copse_read(&reader, &token) || token.type != COPSE_STR ||
        copse_read_value(&reader, &value)) {
      bad = true;
      break;
    }
    const char *key = (const char *)token.bytes.data;
    size_t size = token.bytes.size;
#define KEY(name) (size == sizeof name - 1 && memcmp(key, name, sizeof name - 1) == 0)
    if (KEY("code")) {
      has_code = copse_value_str(value, &p.code) == COPSE_OK;
      bad = !has_code;
    } else if (KEY("message")) {
      has_message = copse_value_str(value, &p.message) == COPSE_OK;
      bad = !has_message;
    } else if (KEY("type")) {
      bad = copse_value_str(value, &p.type) != COPSE_OK;
    } else if (KEY("stack")) {
      bad = copse_value_str(value, &p.stack) != COPSE_OK;
    } else if (KEY("actor")) {
      bad = copse_value_ref(value, &actor) != COPSE_OK;
      p.actor = &actor;
    } else if (KEY("via") && !via) {
      via = decode_via(value, COPSE_VIA_MAX, &p.via_count, &bad);
    } else if (KEY("causes") && !causes) {
      causes = decode_causes(value, received, depth, budget, &p.cause_count, &bad);
    } else if (KEY("data")) {
      p.data = value;
    } else if (KEY("cancelled")) {
      bad = copse_value_bool(value, &p.cancelled) != COPSE_OK;
    }
#undef KEY
  }
  copse_error *error = NULL;
  if (!bad && has_code && has_message) {
    p.known = copse_code_of((const char *)p.code.data, p.code.size);
    p.via = via;
    p.causes = causes;
    error = build(&p);
    if (error != &no_memory) error->received = received;
  }
  for (size_t i = 0; i < p.cause_count; i++) copse_error_unref(causes[i]);
  free(causes);
  free(via);
  return error;
}

copse_error *copse_error_decode(copse_bytes map) {
  size_t budget = OBJECTS_MAX;
  return decode(map, false, NULL, 0, &budget);
}

copse_error *copse__error_received(copse_bytes map, const copse_ref *peer) {
  size_t budget = OBJECTS_MAX;
  copse_error *error = decode(map, true, peer, 0, &budget);
  return error ? error
               : copse__error_at(COPSE_CODE_FAILED, peer, (copse_bytes){NULL, 0},
                                 "the peer sent a malformed error");
}
