/* SPDX-License-Identifier: MIT
 *
 * Two engines back to back, and hand-made frames. */
#include "wire_pair.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- memory ----------------------------------------------------------------------------------- */

static void *test_resize(void *ud, void *ptr, size_t old_size, size_t new_size) {
  test_mem *mem = ud;
  if (new_size > 0 && mem->fail_at > 0) {
    mem->calls++;
    if (mem->calls == mem->fail_at || (mem->fail_after && mem->calls > mem->fail_at)) return NULL;
  } else if (new_size > 0) {
    mem->calls++;
  }
  if (new_size == 0) {
    if (ptr) mem->blocks--;
    mem->bytes -= old_size;
    free(ptr);
    return NULL;
  }
  void *fresh = realloc(ptr, new_size);
  if (!fresh) abort();
  if (!ptr) mem->blocks++;
  mem->bytes += new_size - old_size;
  if (mem->bytes > mem->peak) mem->peak = mem->bytes;
  return fresh;
}

void test_mem_init(test_mem *mem) { *mem = (test_mem){.mem = {test_resize, mem}}; }

/* --- randomness ------------------------------------------------------------------------------- */

uint64_t test_random_next(test_random *random) {
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t test_random_below(test_random *random, uint64_t bound) {
  return test_random_next(random) % bound;
}

/* --- log -------------------------------------------------------------------------------------- */

void test_log_add(test_log *log, const char *format, ...) {
  va_list args;
  char line[4096];
  va_start(args, format);
  int size = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (size < 0) return;
  if ((size_t)size >= sizeof line) size = (int)sizeof line - 1;
  if (log->size + (size_t)size + 1 > log->capacity) {
    log->capacity = (log->size + (size_t)size + 1) * 2;
    log->text = realloc(log->text, log->capacity);
    if (!log->text) abort();
  }
  memcpy(log->text + log->size, line, (size_t)size + 1);
  log->size += (size_t)size;
}

void test_log_reset(test_log *log) {
  log->size = 0;
  if (log->text) log->text[0] = 0;
}

const char *test_log_text(const test_log *log) { return log->text ? log->text : ""; }

void test_log_deinit(test_log *log) {
  free(log->text);
  *log = (test_log){NULL, 0, 0};
}

const char *test_event_name(copse_event_type type) {
  static const char *const names[] = {
      "NONE",   "HELLO", "OPEN",      "STARTED",   "ITEM", "END", "STOP",   "WRITABLE", "CANCEL",
      "RETURN", "ERROR", "CANCELLED", "WITHDRAWN", "PONG", "BYE", "CLOSED", "VIOLATION"};
  return (unsigned)type < sizeof names / sizeof *names ? names[type] : "?";
}

size_t test_event_text(const copse_event *event, char *text, size_t size) {
  char value[512] = "";
  size_t at = 0;
#define PUT(...)                                                                                   \
  do {                                                                                             \
    int put = snprintf(text + at, size - at, __VA_ARGS__);                                         \
    if (put > 0) at += (size_t)put < size - at ? (size_t)put : size - at - 1;                      \
  } while (0)
  PUT("%s", test_event_name(event->type));
  if (event->context) PUT(" %llu", (unsigned long long)event->context);
  if (event->value.size) {
    copse_value_text(event->value, value, sizeof value);
    PUT(" %s", value);
  }
  switch (event->type) {
  case COPSE_EV_HELLO:
    PUT(" version %u actor %s features %u frame %u message %u contexts %u partials %u",
        event->hello.version, event->hello.actor.name, event->hello.features,
        event->hello.limits.frame, event->hello.limits.message, event->hello.limits.contexts,
        event->hello.limits.partials);
    break;
  case COPSE_EV_OPEN:
    PUT(" target %.*s", (int)event->open.target.size, (const char *)event->open.target.data);
    if (event->open.args.size) {
      copse_value_text(event->open.args, value, sizeof value);
      PUT(" args %s", value);
    }
    if (event->open.send) PUT(" send");
    if (event->open.reads)
      PUT(" credit %llu %llu", (unsigned long long)event->open.credit.items,
          (unsigned long long)event->open.credit.bytes);
    if (event->open.deadline_ms >= 0) PUT(" deadline %lld", (long long)event->open.deadline_ms);
    break;
  case COPSE_EV_CANCEL:
    PUT(" origin %s grace %lld%s", copse_origin_text(event->cancel.cause.origin),
        (long long)event->cancel.grace_ms, event->cancel.again ? " again" : "");
    if (event->cancel.cause.message[0]) PUT(" message %s", event->cancel.cause.message);
    break;
  case COPSE_EV_CANCELLED:
    PUT(" origin %s ran %s%s", copse_origin_text(event->cancelled.cause.origin),
        event->cancelled.ran ? "true" : "false", event->cancelled.asked ? " asked" : "");
    break;
  case COPSE_EV_BYE:
    PUT(" %.*s", (int)event->bye.code.size, (const char *)event->bye.code.data);
    if (event->bye.context) PUT(" context %llu", (unsigned long long)event->bye.context);
    PUT(" last %llu", (unsigned long long)event->bye.last);
    break;
  case COPSE_EV_CLOSED: PUT(" %s", event->closed.graceful ? "graceful" : "lost"); break;
  case COPSE_EV_VIOLATION:
    at = 0;
    PUT("violation %s %llu %s", copse_code_text(event->violation.code),
        (unsigned long long)event->violation.context, event->violation.why);
    break;
  case COPSE_EV_NONE:
  case COPSE_EV_STARTED:
  case COPSE_EV_ITEM:
  case COPSE_EV_END:
  case COPSE_EV_STOP:
  case COPSE_EV_WRITABLE:
  case COPSE_EV_RETURN:
  case COPSE_EV_ERROR:
  case COPSE_EV_WITHDRAWN:
  case COPSE_EV_PONG: break;
  }
#undef PUT
  return at;
}

/* --- pair ------------------------------------------------------------------------------------- */

copse_ref test_ref(const char *name, uint8_t id) {
  copse_ref ref;
  memset(&ref, 0, sizeof ref);
  memset(ref.id, id, sizeof ref.id);
  snprintf(ref.name, sizeof ref.name, "%s", name);
  return ref;
}

copse_wire_config test_config(bool connector, const copse_ref *self) {
  return (copse_wire_config){
      .connector = connector, .features = COPSE_FEATURES_ALL, .self = self, .agent = "test"};
}

static void fail(const char *what) {
  fprintf(stderr, "# test support: %s\n", what);
  abort();
}

copse_event test_expect(copse_wire *wire, copse_event_type type) {
  copse_event event;
  if (copse_wire_next(wire, &event) != type) {
    char text[1024];
    test_event_text(&event, text, sizeof text);
    fprintf(stderr, "# expected %s, got %s\n", test_event_name(type), text);
    fail("another event than expected");
  }
  return event;
}

size_t test_pair_move(test_pair *pair, int from, size_t size) {
  copse_bytes views[4];
  size_t moved = 0;
  for (;;) {
    size_t count = copse_wire_out(pair->end[from], views, 4);
    if (count == 0 || moved == size) return moved;
    size_t take = views[0].size < size - moved ? views[0].size : size - moved;
    size_t given = copse_wire_recv(pair->end[!from], views[0].data, take);
    copse_wire_out_done(pair->end[from], given);
    moved += given;
    if (given == 0) return moved; /* events are to be pulled first */
  }
}

void test_pair_drain(test_pair *pair, int end) {
  copse_event event;
  char text[2048];
  while (copse_wire_next(pair->end[end], &event) != COPSE_EV_NONE) {
    test_event_text(&event, text, sizeof text);
    test_log_add(&pair->log[end], "%s\n", text);
  }
}

void test_pair_run(test_pair *pair) {
  size_t moved;
  do {
    moved = 0;
    for (int end = 0; end < 2; end++) {
      test_pair_drain(pair, !end); /* it takes no more bytes before */
      moved += test_pair_move(pair, end, SIZE_MAX);
      test_pair_drain(pair, !end);
      test_pair_drain(pair, end);
    }
  } while (moved > 0);
}

void test_pair_init(test_pair *pair, const copse_limits *opener, const copse_limits *callee) {
  *pair = (test_pair){.end = {NULL, NULL}};
  const copse_limits *limits[] = {opener, callee};
  for (int end = 0; end < 2; end++) {
    test_mem_init(&pair->mem[end]);
    copse_ref self = test_ref(end == OPENER ? "opener" : "callee", (uint8_t)(end + 1));
    copse_wire_config config = test_config(end == OPENER, &self);
    config.mem = &pair->mem[end].mem;
    if (limits[end]) config.limits = *limits[end];
    if (copse_wire_new(&pair->end[end], &config)) fail("no engine");
  }
  while (test_pair_move(pair, OPENER, SIZE_MAX)) {
  }
  (void)test_expect(pair->end[CALLEE], COPSE_EV_HELLO);
  if (copse_wire_accept(pair->end[CALLEE])) fail("no accept");
  while (test_pair_move(pair, CALLEE, SIZE_MAX)) {
  }
  (void)test_expect(pair->end[OPENER], COPSE_EV_HELLO);
}

void test_pair_deinit(test_pair *pair) {
  for (int end = 0; end < 2; end++) {
    copse_wire_free(pair->end[end]);
    test_log_deinit(&pair->log[end]);
    if (pair->mem[end].blocks || pair->mem[end].bytes) fail("an engine left memory behind");
  }
}

copse_bytes test_take(copse_wire *wire) {
  uint8_t *data = NULL;
  size_t size = 0;
  copse_bytes views[8];
  for (size_t count; (count = copse_wire_out(wire, views, 8)) > 0;) {
    for (size_t i = 0; i < count; i++) {
      data = realloc(data, size + views[i].size);
      if (!data) abort();
      memcpy(data + size, views[i].data, views[i].size);
      size += views[i].size;
    }
    size_t all = 0;
    for (size_t i = 0; i < count; i++) all += views[i].size;
    copse_wire_out_done(wire, all);
  }
  return (copse_bytes){data, size};
}

void test_give(copse_wire *wire, copse_bytes bytes, size_t piece) {
  while (bytes.size > 0) {
    size_t given = copse_wire_recv(wire, bytes.data, bytes.size < piece ? bytes.size : piece);
    if (given == 0) return;
    bytes.data += given;
    bytes.size -= given;
  }
}

/* --- frames ----------------------------------------------------------------------------------- */

void test_frame(copse_buf *buf, unsigned kind, bool more, uint64_t context, copse_bytes payload) {
  uint8_t head[COPSE_HEADER_SIZE] = {(uint8_t)(payload.size >> 16), (uint8_t)(payload.size >> 8),
                                     (uint8_t)payload.size, (uint8_t)(kind | (more ? 0x80u : 0u))};
  for (unsigned i = 0; i < 8; i++) head[4 + i] = (uint8_t)(context >> (56 - 8 * i));
  copse_buf_append(buf, head, sizeof head);
  copse_buf_append(buf, payload.data, payload.size);
}

copse_bytes test_hex(const char *hex, uint8_t *bytes, size_t size) {
  size_t used = 0;
  unsigned digits = 0, value = 0;
  for (; *hex; hex++) {
    const char *all = "0123456789abcdef", *at = strchr(all, *hex | 0x20);
    if (!at || *hex < '0') continue;
    value = value << 4 | (unsigned)(at - all);
    if (++digits % 2 == 0 && used < size) bytes[used++] = (uint8_t)value;
  }
  return (copse_bytes){bytes, used};
}

void test_hello(copse_buf *buf, const copse_limits *limits) {
  copse_buf body;
  copse_buf_init(&body, 16384, NULL);
  copse_ref self = test_ref("peer", 9);
  copse_pack_map(&body, limits ? 4 : 3);
  copse_pack_cstr(&body, "copse");
  copse_pack_array(&body, 2);
  copse_pack_int(&body, 1);
  copse_pack_int(&body, 1);
  copse_pack_cstr(&body, "actor");
  copse_pack_ref(&body, &self, false);
  copse_pack_cstr(&body, "features");
  copse_pack_array(&body, 3);
  copse_pack_cstr(&body, "stream");
  copse_pack_cstr(&body, "spawn");
  copse_pack_cstr(&body, "registry");
  if (limits) {
    copse_pack_cstr(&body, "limits");
    copse_pack_map(&body, 4);
    copse_pack_cstr(&body, "frame");
    copse_pack_int(&body, limits->frame);
    copse_pack_cstr(&body, "message");
    copse_pack_int(&body, limits->message);
    copse_pack_cstr(&body, "contexts");
    copse_pack_int(&body, limits->contexts);
    copse_pack_cstr(&body, "partials");
    copse_pack_int(&body, limits->partials);
  }
  test_frame(buf, COPSE_KIND_HELLO, false, 0, copse_buf_bytes(&body));
  copse_buf_deinit(&body);
}

void test_open(copse_buf *buf, uint64_t context, const char *target, bool send, bool reads,
               copse_credit credit) {
  copse_buf body;
  copse_buf_init(&body, 16384, NULL);
  copse_pack_map(&body, 1u + send + reads);
  copse_pack_cstr(&body, "target");
  copse_pack_cstr(&body, target);
  if (send) {
    copse_pack_cstr(&body, "send");
    copse_pack_bool(&body, true);
  }
  if (reads) {
    copse_pack_cstr(&body, "credit");
    copse_pack_array(&body, 2);
    copse_pack_int(&body, (int64_t)credit.items);
    copse_pack_int(&body, (int64_t)credit.bytes);
  }
  test_frame(buf, COPSE_KIND_OPEN, false, context, copse_buf_bytes(&body));
  copse_buf_deinit(&body);
}
