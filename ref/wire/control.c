/* SPDX-License-Identifier: MIT
 *
 * The payloads that the protocol itself reads: HELLO, BYE, OPEN, CREDIT, CANCEL, CANCELLED and the
 * error map, each declared as a table of fields.
 *
 * One walk serves them all. It passes strictly over every key and value, known or not, so that
 * bytes that are no value are told from a map that breaks its schema, wherever in the map they
 * stand; a key nobody knows is ignored, one that comes twice is refused. What was found are views
 * of each field's value; nothing is allocated.
 */
#include "wire/engine.h"

#include <string.h>

enum type {
  BOOL,
  UINT,
  STR,
  BIN,
  REF,
  BARE_REF, /* without addresses */
  ARGS,     /* array or map */
  META,     /* map with str keys */
  PAIR,     /* two uints */
  STRS,
  LIMITS,
  BARE_REFS,
  CAUSES,
  ORIGIN,
  ANY,
};

struct field {
  const char *name;
  enum type type;
  bool required;
  uint64_t min, max; /* of a number, or of bytes of text; max 0: no bound */
};

enum {
  FIELDS_MAX = 9,
  STRANGERS_MAX = 64, /* unknown keys that are compared with each other */
  CAUSES_DEPTH = 8,
  CAUSES_COUNT = 64,
};

struct walk {
  copse_code code;
  const char *why;
};

static bool fault(struct walk *walk, copse_code code, const char *why) {
  if (walk->code == COPSE_CODE_NONE) {
    walk->code = code;
    walk->why = why;
  }
  return false;
}

static bool map_walk(struct walk *walk, copse_bytes payload, const struct field *fields,
                     size_t count, copse_bytes *values);
static bool error_walk(struct walk *walk, copse_bytes error, unsigned depth, unsigned *causes,
                       copse_bytes *values);

/* --- types ------------------------------------------------------------------------------------ */

/* The elements of an array, one call each; false at the end. */
static bool each(copse_reader *reader, uint32_t *left, copse_bytes *value) {
  return (*left)-- > 0 && copse_read_value(reader, value) == COPSE_OK;
}

static bool array_begin(copse_bytes value, copse_reader *reader, uint32_t *count) {
  copse_token token;
  copse_reader_init(reader, value);
  if (copse_read(reader, &token) || token.type != COPSE_ARRAY) return false;
  *count = token.count;
  return true;
}

static bool uint_of(copse_bytes value, uint64_t *out) {
  int64_t number;
  if (copse_value_int(value, &number) || number < 0 || number > COPSE__UINT_MAX) return false;
  *out = (uint64_t)number;
  return true;
}

static bool pair_of(copse_bytes value, uint64_t *first, uint64_t *second) {
  copse_reader reader;
  uint32_t left;
  copse_bytes one, two;
  return array_begin(value, &reader, &left) && left == 2 && each(&reader, &left, &one) &&
         each(&reader, &left, &two) && uint_of(one, first) && uint_of(two, second);
}

static bool bare_ref(copse_bytes value) {
  copse_ref ref;
  return copse_value_ref(value, &ref) == COPSE_OK && ref.address_count == 0;
}

static bool str_keys(copse_bytes value) {
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) || token.type != COPSE_MAP) return false;
  for (uint32_t left = token.count; left > 0; left--) {
    if (copse_read(&reader, &token) || token.type != COPSE_STR) return false;
    if (copse_read_value(&reader, NULL)) return false;
  }
  return true;
}

static const struct field limit_fields[] = {
    {"frame", UINT, false, 16384, 0},
    {"message", UINT, false, 16384, 0},
    {"contexts", UINT, false, 16, 0},
    {"partials", UINT, false, 1, 0},
};

/* Whether a value that is known to be well-formed is what the field wants. */
static bool fits(struct walk *walk, const struct field *field, copse_bytes value, unsigned depth,
                 unsigned *causes) {
  copse_reader reader;
  uint32_t left;
  copse_bytes bytes;
  uint64_t number, second;
  bool truth;
  copse_ref ref;
  switch (field->type) {
  case BOOL: return copse_value_bool(value, &truth) == COPSE_OK;
  case UINT:
    return uint_of(value, &number) && number >= field->min && (!field->max || number <= field->max);
  case STR:
    return copse_value_str(value, &bytes) == COPSE_OK && bytes.size >= field->min &&
           (!field->max || bytes.size <= field->max);
  case BIN:
    return copse_value_bin(value, &bytes) == COPSE_OK && bytes.size >= field->min &&
           (!field->max || bytes.size <= field->max);
  case REF: return copse_value_ref(value, &ref) == COPSE_OK;
  case BARE_REF: return bare_ref(value);
  case ARGS: return copse_value_type(value) == COPSE_ARRAY || copse_value_type(value) == COPSE_MAP;
  case META: return str_keys(value);
  case PAIR: return pair_of(value, &number, &second);
  case STRS:
    if (!array_begin(value, &reader, &left)) return false;
    while (each(&reader, &left, &value))
      if (copse_value_type(value) != COPSE_STR) return false;
    return true;
  case BARE_REFS:
    if (!array_begin(value, &reader, &left) || left > field->max) return false;
    while (each(&reader, &left, &value))
      if (!bare_ref(value)) return false;
    return true;
  case LIMITS: {
    copse_bytes values[FIELDS_MAX];
    return map_walk(walk, value, limit_fields, 4, values);
  }
  case CAUSES:
    if (depth == 0 || !array_begin(value, &reader, &left)) return false;
    while (each(&reader, &left, &value)) {
      copse_bytes values[FIELDS_MAX];
      if (++*causes > CAUSES_COUNT) return false;
      if (!error_walk(walk, value, depth - 1, causes, values)) return false;
    }
    return true;
  case ORIGIN:
    return copse_value_str(value, &bytes) == COPSE_OK &&
           copse_origin_of((const char *)bytes.data, bytes.size) != COPSE_ORIGIN_COUNT;
  case ANY: return true;
  }
  return false;
}

/* --- walk ------------------------------------------------------------------------------------- */

/* Passes strictly over one value. */
static bool pass(struct walk *walk, copse_reader *reader, unsigned depth, copse_bytes *value) {
  const char *why = NULL;
  const uint8_t *where;
  const uint8_t *end = copse__check(reader->at, reader->end, depth, &why, &where);
  if (!end) { /* tells more than any fault of the schema before it */
    walk->code = COPSE_CODE_VALUE;
    walk->why = why;
    return false;
  }
  *value = (copse_bytes){reader->at, (size_t)(end - reader->at)};
  reader->at = end;
  return true;
}

static bool same(copse_bytes a, copse_bytes b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Walks a map; `values` get the bytes of each field, or none. On false, walk->code says why. */
static bool walk_fields(struct walk *walk, copse_bytes payload, const struct field *fields,
                        size_t count, copse_bytes *values, unsigned depth, unsigned *causes) {
  copse_reader reader;
  copse_token token;
  copse_bytes strangers[STRANGERS_MAX];
  size_t stranger_count = 0;
  memset(values, 0, count * sizeof *values);
  copse_reader_init(&reader, payload);
  if (payload.size == 0) return fault(walk, COPSE_CODE_VALUE, "no value");
  if (copse_value_type(payload) != COPSE_MAP || copse_read(&reader, &token)) {
    copse_bytes value;
    if (!pass(walk, &reader, COPSE_DEPTH_MAX, &value)) return false;
    if (reader.at != reader.end) return fault(walk, COPSE_CODE_VALUE, "bytes after the value");
    return fault(walk, COPSE_CODE_SCHEMA, "not a map");
  }
  for (uint32_t left = token.count; left > 0; left--) {
    copse_bytes key, value, name = {NULL, 0};
    const copse_type key_type =
        copse_value_type((copse_bytes){reader.at, (size_t)(reader.end - reader.at)});
    if (!pass(walk, &reader, 0, &key)) return false;
    if (key_type == COPSE_STR) (void)copse_value_str(key, &name);
    else if (key_type == COPSE_INT) fault(walk, COPSE_CODE_SCHEMA, "key is not a str");
    else {
      walk->code = COPSE_CODE_VALUE;
      walk->why = "map key is neither str nor integer";
      return false;
    }
    size_t index = 0;
    while (index < count && !(name.data && strlen(fields[index].name) == name.size &&
                              memcmp(fields[index].name, name.data, name.size) == 0))
      index++;
    const bool nested = index < count && fields[index].type == CAUSES;
    if (!pass(walk, &reader, nested ? COPSE_DEPTH_MAX + 2 * CAUSES_DEPTH + 2 : COPSE_DEPTH_MAX,
              &value))
      return false;
    if (index == count) {
      for (size_t i = 0; i < stranger_count; i++)
        if (same(strangers[i], key)) fault(walk, COPSE_CODE_SCHEMA, "key occurs twice");
      if (stranger_count < STRANGERS_MAX) strangers[stranger_count++] = key;
      continue;
    }
    if (values[index].data) fault(walk, COPSE_CODE_SCHEMA, "key occurs twice");
    values[index] = value;
    struct walk inner = {COPSE_CODE_NONE, NULL};
    if (fits(&inner, &fields[index], value, depth, causes)) continue;
    if (inner.code == COPSE_CODE_VALUE) { /* inside a cause */
      *walk = inner;
      return false;
    }
    fault(walk, COPSE_CODE_SCHEMA, inner.why ? inner.why : "field of wrong type or out of range");
  }
  if (reader.at != reader.end) {
    walk->code = COPSE_CODE_VALUE;
    walk->why = "bytes after the value";
    return false;
  }
  for (size_t i = 0; i < count; i++)
    if (fields[i].required && !values[i].data)
      fault(walk, COPSE_CODE_SCHEMA, "required field missing");
  return walk->code == COPSE_CODE_NONE;
}

static bool map_walk(struct walk *walk, copse_bytes payload, const struct field *fields,
                     size_t count, copse_bytes *values) {
  unsigned causes = 0;
  return walk_fields(walk, payload, fields, count, values, 0, &causes);
}

/* --- reading a field -------------------------------------------------------------------------- */

static uint64_t get_uint(copse_bytes value, uint64_t otherwise) {
  uint64_t number;
  return value.size && uint_of(value, &number) ? number : otherwise;
}

static int64_t get_ms(copse_bytes value) { return value.size ? (int64_t)get_uint(value, 0) : -1; }

static bool get_bool(copse_bytes value) {
  bool truth = false;
  return value.size && copse_value_bool(value, &truth) == COPSE_OK && truth;
}

static copse_bytes get_text(copse_bytes value) {
  copse_bytes text = {NULL, 0};
  if (value.size && copse_value_str(value, &text) == COPSE_ETYPE)
    (void)copse_value_bin(value, &text);
  return text;
}

/* --- HELLO ------------------------------------------------------------------------------------ */

enum { H_COPSE, H_ACTOR, H_AGENT, H_LIMITS, H_FEATURES, H_HEARTBEAT, H_TOKEN, H_COUNT };
static const struct field hello_fields[H_COUNT] = {
    [H_COPSE] = {"copse", PAIR, true, 0, 0},
    [H_ACTOR] = {"actor", REF, true, 0, 0},
    [H_AGENT] = {"agent", STR, false, 0, 0},
    [H_LIMITS] = {"limits", LIMITS, false, 0, 0},
    [H_FEATURES] = {"features", STRS, false, 0, 0},
    [H_HEARTBEAT] = {"heartbeat", UINT, false, 0, 0},
    [H_TOKEN] = {"token", BIN, false, 1, 1024},
};

static const struct {
  const char *name;
  uint32_t bit;
} feature_names[] = {
    {"stream", COPSE_FEATURE_STREAM},
    {"spawn", COPSE_FEATURE_SPAWN},
    {"registry", COPSE_FEATURE_REGISTRY},
};

static uint32_t clamp32(uint64_t number) {
  return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

copse_code copse__hello_decode(copse_bytes payload, copse_event *event, uint32_t *version_min,
                               uint32_t *version_max, const char **why) {
  copse_bytes values[FIELDS_MAX], limits[FIELDS_MAX] = {{NULL, 0}};
  struct walk walk = {COPSE_CODE_NONE, NULL};
  if (!map_walk(&walk, payload, hello_fields, H_COUNT, values)) {
    *why = walk.why;
    return walk.code;
  }
  *why = "field of wrong type or out of range";
  uint64_t lowest, highest;
  (void)pair_of(values[H_COPSE], &lowest, &highest);
  if (lowest < 1 || highest > 65535 || lowest > highest) return COPSE_CODE_SCHEMA;
  *version_min = (uint32_t)lowest;
  *version_max = (uint32_t)highest;

  (void)copse_value_ref(values[H_ACTOR], &event->hello.actor);
  event->hello.agent = get_text(values[H_AGENT]);
  event->hello.token = get_text(values[H_TOKEN]);
  const uint64_t heartbeat = get_uint(values[H_HEARTBEAT], 0);
  if (heartbeat > 0 && heartbeat < 1000) return COPSE_CODE_SCHEMA;
  event->hello.heartbeat_ms = clamp32(heartbeat);

  if (values[H_LIMITS].size) (void)map_walk(&walk, values[H_LIMITS], limit_fields, 4, limits);
  const copse_limits normal = COPSE_LIMITS_DEFAULT;
  const uint64_t frame = get_uint(limits[0], normal.frame);
  uint64_t message = get_uint(limits[1], normal.message);
  if (!limits[1].size && message < frame) message = frame;
  if (message < frame) return COPSE_CODE_SCHEMA;
  event->hello.limits = (copse_limits){
      .frame = frame > COPSE__FRAME_MAX ? COPSE__FRAME_MAX : (uint32_t)frame,
      .message = clamp32(message),
      .contexts = clamp32(get_uint(limits[2], normal.contexts)),
      .partials = clamp32(get_uint(limits[3], normal.partials)),
  };

  event->hello.features = 0;
  copse_reader reader;
  uint32_t left;
  copse_bytes value;
  if (values[H_FEATURES].size && array_begin(values[H_FEATURES], &reader, &left))
    while (each(&reader, &left, &value)) {
      const copse_bytes name = get_text(value);
      for (size_t i = 0; i < sizeof feature_names / sizeof *feature_names; i++)
        if (strlen(feature_names[i].name) == name.size &&
            memcmp(feature_names[i].name, name.data, name.size) == 0)
          event->hello.features |= feature_names[i].bit;
    }
  return COPSE_CODE_NONE;
}

copse_status copse__hello_send(copse_wire *wire) {
  /* The longest that this can be: a reference, an agent, a token and some forty small items. */
  copse_buf buf;
  copse_buf_init(&buf, COPSE__HELLO_MAX, &wire->mem);
  unsigned count = 5u + (wire->heartbeat_ms > 0) + (wire->token_size > 0);
  copse_pack_map(&buf, count);
  copse_pack_cstr(&buf, "copse");
  copse_pack_array(&buf, 2);
  copse_pack_int(&buf, COPSE_VERSION_MIN);
  copse_pack_int(&buf, COPSE_VERSION_MAX);
  copse_pack_cstr(&buf, "actor");
  copse_pack_ref(&buf, &wire->self, true);
  copse_pack_cstr(&buf, "agent");
  copse_pack_str(&buf, wire->agent, wire->agent_size);
  copse_pack_cstr(&buf, "limits");
  copse_pack_map(&buf, 4);
  const uint32_t limits[] = {wire->mine.frame, wire->mine.message, wire->mine.contexts,
                             wire->mine.partials};
  for (size_t i = 0; i < 4; i++) {
    copse_pack_cstr(&buf, limit_fields[i].name);
    copse_pack_int(&buf, limits[i]);
  }
  copse_pack_cstr(&buf, "features");
  size_t features = 0;
  for (size_t i = 0; i < sizeof feature_names / sizeof *feature_names; i++)
    features += (wire->my_features & feature_names[i].bit) != 0;
  copse_pack_array(&buf, features);
  for (size_t i = 0; i < sizeof feature_names / sizeof *feature_names; i++)
    if (wire->my_features & feature_names[i].bit) copse_pack_cstr(&buf, feature_names[i].name);
  if (wire->heartbeat_ms > 0) {
    copse_pack_cstr(&buf, "heartbeat");
    copse_pack_int(&buf, wire->heartbeat_ms);
  }
  if (wire->token_size > 0) {
    copse_pack_cstr(&buf, "token");
    copse_pack_bin(&buf, wire->token, wire->token_size);
  }
  copse_status status = copse_buf_status(&buf);
  if (status == COPSE_OK)
    status = copse__output_frame(wire, COPSE_KIND_HELLO, 0, copse_buf_bytes(&buf));
  copse_buf_deinit(&buf);
  if (status == COPSE_OK) wire->hello_sent = true;
  return status;
}

/* --- BYE -------------------------------------------------------------------------------------- */

enum { B_CODE, B_MESSAGE, B_CONTEXT, B_LAST, B_COUNT };
static const struct field bye_fields[B_COUNT] = {
    [B_CODE] = {"code", STR, true, 1, 64},
    [B_MESSAGE] = {"message", STR, false, 0, 0},
    [B_CONTEXT] = {"context", UINT, false, 0, 0},
    [B_LAST] = {"last", UINT, false, 0, 0},
};

copse_code copse__bye_decode(copse_bytes payload, copse_event *event, const char **why) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  if (map_walk(&walk, payload, bye_fields, B_COUNT, values)) {
    event->bye.code = get_text(values[B_CODE]);
    event->bye.message = get_text(values[B_MESSAGE]);
    event->bye.context = get_uint(values[B_CONTEXT], 0);
    event->bye.last = get_uint(values[B_LAST], 0);
  }
  *why = walk.why;
  return walk.code;
}

/* --- OPEN ------------------------------------------------------------------------------------- */

enum { O_TARGET, O_ARGS, O_SEND, O_CREDIT, O_DEADLINE, O_TRACEPARENT, O_META, O_COUNT };
static const struct field open_fields[O_COUNT] = {
    [O_TARGET] = {"target", STR, true, 1, COPSE_TARGET_MAX},
    [O_ARGS] = {"args", ARGS, false, 0, 0},
    [O_SEND] = {"send", BOOL, false, 0, 0},
    [O_CREDIT] = {"credit", PAIR, false, 0, 0},
    [O_DEADLINE] = {"deadline", UINT, false, 0, 0},
    [O_TRACEPARENT] = {"traceparent", STR, false, 0, 0},
    [O_META] = {"meta", META, false, 0, 0},
};

copse_code copse__open_decode(copse_bytes payload, copse_event *event, const char **why) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  if (map_walk(&walk, payload, open_fields, O_COUNT, values)) {
    event->open.target = get_text(values[O_TARGET]);
    event->open.args = values[O_ARGS];
    event->open.send = get_bool(values[O_SEND]);
    event->open.reads = values[O_CREDIT].size > 0;
    event->open.credit = (copse_credit){0, 0};
    if (event->open.reads)
      (void)pair_of(values[O_CREDIT], &event->open.credit.items, &event->open.credit.bytes);
    event->open.deadline_ms = get_ms(values[O_DEADLINE]);
    event->open.traceparent = get_text(values[O_TRACEPARENT]);
    event->open.meta = values[O_META];
  }
  *why = walk.why;
  return walk.code;
}

/* --- CREDIT ----------------------------------------------------------------------------------- */

copse_code copse__credit_decode(copse_bytes payload, copse_credit *credit, const char **why) {
  if (copse_value_check(payload, why, NULL)) return COPSE_CODE_VALUE;
  if (pair_of(payload, &credit->items, &credit->bytes)) return COPSE_CODE_NONE;
  *why = "not two unsigned integers";
  return COPSE_CODE_SCHEMA;
}

/* --- CANCEL and CANCELLED --------------------------------------------------------------------- */

enum { C_ORIGIN, C_BY, C_MESSAGE, C_EXTRA, C_COUNT };
static const struct field cancel_fields[C_COUNT] = {
    [C_ORIGIN] = {"origin", ORIGIN, true, 0, 0},
    [C_BY] = {"by", BARE_REF, false, 0, 0},
    [C_MESSAGE] = {"message", STR, false, 0, 0},
    [C_EXTRA] = {"grace", UINT, false, 0, 0},
};
static const struct field cancelled_fields[C_COUNT] = {
    [C_ORIGIN] = {"origin", ORIGIN, true, 0, 0},
    [C_BY] = {"by", BARE_REF, false, 0, 0},
    [C_MESSAGE] = {"message", STR, false, 0, 0},
    [C_EXTRA] = {"ran", BOOL, true, 0, 0},
};

static void get_cause(const copse_bytes *values, copse_cause *cause) {
  const copse_bytes origin = get_text(values[C_ORIGIN]), message = get_text(values[C_MESSAGE]);
  cause->origin = copse_origin_of((const char *)origin.data, origin.size);
  if (!values[C_BY].size || copse_value_ref(values[C_BY], &cause->by)) {
    memset(cause->by.id, 0, sizeof cause->by.id);
    cause->by.name[0] = 0;
    cause->by.address_count = 0;
  }
  /* A NUL would end the text for whoever reads it as a C string; so it does here. */
  size_t size = copse__utf8_fit(message.data, message.size, sizeof cause->message - 1);
  if (size) memcpy(cause->message, message.data, size);
  cause->message[size] = 0;
}

copse_code copse__cancel_decode(copse_bytes payload, copse_event *event, const char **why) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  if (map_walk(&walk, payload, cancel_fields, C_COUNT, values)) {
    get_cause(values, &event->cancel.cause);
    event->cancel.grace_ms = get_ms(values[C_EXTRA]);
  }
  *why = walk.why;
  return walk.code;
}

copse_code copse__cancelled_decode(copse_bytes payload, copse_event *event, const char **why) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  if (map_walk(&walk, payload, cancelled_fields, C_COUNT, values)) {
    get_cause(values, &event->cancelled.cause);
    event->cancelled.ran = get_bool(values[C_EXTRA]);
  }
  *why = walk.why;
  return walk.code;
}

void copse__cause_encode(copse_buf *buf, const copse_cause *cause, int extra, size_t reserve) {
  static const uint8_t nobody[16];
  const bool by = memcmp(cause->by.id, nobody, sizeof nobody) != 0;
  size_t size = strnlen(cause->message, sizeof cause->message - 1);
  copse_pack_map(buf, 1u + by + (size > 0) + (unsigned)extra);
  copse_pack_cstr(buf, "origin");
  copse_pack_cstr(buf, copse_origin_text(cause->origin));
  if (by) {
    copse_pack_cstr(buf, "by");
    copse_pack_ref(buf, &cause->by, false);
  }
  if (size == 0) return;
  copse_pack_cstr(buf, "message");
  const size_t left = buf->max - buf->size, others = reserve + 3; /* the head of a str */
  size = copse__utf8_fit((const uint8_t *)cause->message, size, left > others ? left - others : 0);
  copse_pack_str(buf, cause->message, size);
}

/* --- error map -------------------------------------------------------------------------------- */

enum { E_CODE, E_MESSAGE, E_TYPE, E_ACTOR, E_CANCELLED, E_VIA, E_CAUSES, E_DATA, E_STACK, E_COUNT };
static const struct field error_fields[E_COUNT] = {
    [E_CODE] = {"code", STR, true, 1, 64},
    [E_MESSAGE] = {"message", STR, true, 0, 0},
    [E_TYPE] = {"type", STR, false, 0, 0},
    [E_ACTOR] = {"actor", BARE_REF, false, 0, 0},
    [E_CANCELLED] = {"cancelled", BOOL, false, 0, 0},
    [E_VIA] = {"via", BARE_REFS, false, 0, COPSE_VIA_MAX},
    [E_CAUSES] = {"causes", CAUSES, false, 0, 0},
    [E_DATA] = {"data", ANY, false, 0, 0},
    [E_STACK] = {"stack", STR, false, 0, 0},
};

/* Recursion is bounded: `depth` is at most CAUSES_DEPTH. */
static bool error_walk(struct walk *walk, copse_bytes error, unsigned depth, unsigned *causes,
                       copse_bytes *values) {
  return walk_fields(walk, error, error_fields, E_COUNT, values, depth, causes);
}

copse_code copse__error_check(copse_bytes payload, const char **why) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  unsigned causes = 0;
  (void)error_walk(&walk, payload, CAUSES_DEPTH, &causes, values);
  *why = walk.why;
  return walk.code;
}

void copse__error_cut(copse_buf *buf, copse_bytes error, size_t max) {
  copse_bytes values[FIELDS_MAX];
  struct walk walk = {COPSE_CODE_NONE, NULL};
  unsigned causes = 0;
  if (!error_walk(&walk, error, CAUSES_DEPTH, &causes, values)) {
    buf->status = COPSE_EVALUE;
    return;
  }
  /* What goes first stands last in the list of fields. */
  size_t kept = E_COUNT;
  size_t size;
  for (;;) {
    size = 1;
    for (size_t i = 0; i < kept; i++)
      if (values[i].size) size += 1 + strlen(error_fields[i].name) + values[i].size;
    if (size <= max || kept == E_VIA) break;
    kept--;
  }
  copse_bytes message = get_text(values[E_MESSAGE]), type = get_text(values[E_TYPE]);
  if (size > max) {
    const size_t rest = size - values[E_MESSAGE].size - values[E_TYPE].size;
    type.size = copse__utf8_fit(type.data, type.size, 256);
    const size_t room = max - rest - type.size - 2 * 5; /* two heads of str */
    message.size = copse__utf8_fit(message.data, message.size, room);
  }
  size_t pairs = 0;
  for (size_t i = 0; i < kept; i++) pairs += values[i].size > 0;
  copse_pack_map(buf, pairs);
  for (size_t i = 0; i < kept; i++) {
    if (!values[i].size) continue;
    copse_pack_cstr(buf, error_fields[i].name);
    if (i == E_MESSAGE || i == E_TYPE) {
      const copse_bytes text = i == E_MESSAGE ? message : type;
      copse_pack_str(buf, (const char *)text.data, text.size);
    } else {
      copse_pack_value(buf, values[i]);
    }
  }
}
