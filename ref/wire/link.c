/* SPDX-License-Identifier: MIT
 *
 * The link itself: HELLO, BYE, PING, PONG, and how it ends.
 *
 * There are two ends. The agreed one is a conversation: BYE both ways, nothing new is opened, what
 * is open ends, and then it is over. The other is a statement: one BYE that names what was wrong,
 * after which this side says nothing and believes nothing.
 */
#include "wire/engine.h"

#include <string.h>

/* --- ending ----------------------------------------------------------------------------------- */

copse_status copse__bye_send(copse_wire *wire, copse_code code, const char *message,
                             uint64_t context) {
  uint8_t bytes[COPSE__BYE_RESERVE - COPSE_HEADER_SIZE];
  copse_buf buf;
  copse__buf_fixed(&buf, bytes, sizeof bytes);
  size_t size = message ? strlen(message) : 0;
  size = copse__utf8_fit((const uint8_t *)message, size, 400);
  if (size && !copse__utf8((const uint8_t *)message, size)) size = 0;
  copse_pack_map(&buf, 2u + (size > 0) + (context > 0));
  copse_pack_cstr(&buf, "code");
  copse_pack_cstr(&buf, copse_code_text(code));
  if (size > 0) {
    copse_pack_cstr(&buf, "message");
    copse_pack_str(&buf, message, size);
  }
  if (context > 0) {
    copse_pack_cstr(&buf, "context");
    copse_pack_int(&buf, (int64_t)context);
  }
  copse_pack_cstr(&buf, "last");
  copse_pack_int(&buf, (int64_t)wire->highest_id);
  copse_status status = copse__output_frame(wire, COPSE_KIND_BYE, 0, copse_buf_bytes(&buf));
  if (status && code != COPSE_CODE_NONE) {
    /* The reserve is for this: the last frame of all. */
    copse__output_header(wire, (copse__frame){(uint32_t)buf.size, false, COPSE_KIND_BYE, 0});
    copse__output_bytes(wire, buf.data, buf.size);
    status = COPSE_OK;
  }
  if (status == COPSE_OK) wire->bye_sent = true;
  return status;
}

void copse__violate(copse_wire *wire, copse_code code, uint64_t context, const char *why) {
  if (wire->failed) return;
  (void)copse__bye_send(wire, code, why, context <= COPSE__UINT_MAX ? context : 0);
  wire->failed = true;
  wire->link = copse__link[wire->link][COPSE__LINK_ON_FAULT];
  wire->violation_due = true;
  wire->violation_code = code;
  wire->violation_context = context;
  wire->violation_why = why;
}

/* BYE was sent or received: what was to be opened and has not begun is not opened any more. */
void copse__closing_enter(copse_wire *wire) {
  for (;;) {
    copse__context *ctx = wire->open_active;
    if (!ctx || ctx->life != COPSE__OPENER_UNOPENED) {
      if (copse__list_empty(&wire->opens)) return;
      ctx = COPSE__OWNER(wire->opens.next, copse__context, turn);
    }
    copse__queue_drop(wire, ctx);
    ctx->life = COPSE__OPENER_ENDED;
    ctx->withdrawn = true;
    copse__context_notice(wire, ctx);
  }
}

copse_status copse_wire_bye(copse_wire *wire, copse_code code, const char *message,
                            uint64_t context) {
  if ((unsigned)code >= COPSE_CODE_COUNT || !copse_code_of_link(code)) return COPSE_EINVAL;
  const uint8_t next = copse__link[wire->link][COPSE__LINK_ON_SEND_BYE];
  if (wire->failed || next == COPSE__NOTHING) return COPSE_ECLOSED;
  if (code != COPSE_CODE_NONE) {
    (void)copse__bye_send(wire, code, message, context);
    wire->failed = true;
    wire->link = COPSE__LINK_CLOSED;
    return COPSE_OK;
  }
  if (wire->bye_sent) return COPSE_OK;
  copse_status status = copse__bye_send(wire, code, message, context);
  if (status) return status;
  wire->link = next;
  if (next == COPSE__LINK_CLOSED) wire->failed = true; /* a refusal, before HELLO */
  else copse__closing_enter(wire);
  return COPSE_OK;
}

void copse__link_settle(copse_wire *wire) {
  if (wire->link != COPSE__LINK_CLOSING || !wire->bye_sent || !wire->bye_received) return;
  if (wire->opened + wire->serving > 0) return;
  wire->link = copse__link[wire->link][COPSE__LINK_ON_IDLE];
  wire->failed = true;
  wire->graceful = true;
}

/* --- receiving -------------------------------------------------------------------------------- */

static bool hello_received(copse_wire *wire, copse_bytes payload, copse_event *event) {
  uint32_t lowest = 0, highest = 0;
  const char *why = NULL;
  copse_code code = copse__hello_decode(payload, event, &lowest, &highest, &why);
  if (code == COPSE_CODE_NONE &&
      memcmp(event->hello.actor.id, wire->self.id, sizeof wire->self.id) == 0) {
    code = COPSE_CODE_ECHO;
    why = "HELLO bears my own id";
  }
  if (code == COPSE_CODE_NONE && (lowest > COPSE_VERSION_MAX || highest < COPSE_VERSION_MIN)) {
    code = COPSE_CODE_VERSION;
    why = "no version in common";
  }
  if (code != COPSE_CODE_NONE) {
    copse__violate(wire, code, 0, why);
    return true;
  }
  wire->hello_received = true;
  wire->theirs = event->hello.limits;
  wire->features = event->hello.features &= wire->my_features;
  event->hello.version = highest < COPSE_VERSION_MAX ? highest : COPSE_VERSION_MAX;
  /* An acceptor that has not said HELLO yet stays in `hello`: its peer may not speak before. */
  if (wire->hello_sent) wire->link = copse__link[wire->link][COPSE__LINK_ON_HELLO];
  event->type = COPSE_EV_HELLO;
  return true;
}

static bool bye_received(copse_wire *wire, copse_bytes payload, copse_event *event) {
  const char *why = NULL;
  copse_code code = copse__bye_decode(payload, event, &why);
  if (code != COPSE_CODE_NONE) {
    copse__violate(wire, code, 0, why);
    return true;
  }
  const bool none =
      copse_code_of((const char *)event->bye.code.data, event->bye.code.size) == COPSE_CODE_NONE;
  const bool again = wire->bye_received;
  wire->bye_received = true;
  wire->link = copse__link[wire->link][none ? COPSE__LINK_ON_BYE : COPSE__LINK_ON_BYE_CODE];
  if (none && !wire->bye_sent && copse__bye_send(wire, COPSE_CODE_NONE, NULL, 0) != COPSE_OK) {
    copse__violate(wire, COPSE_CODE_NO_MEMORY, 0, "out of memory");
    return true;
  }
  if (wire->link == COPSE__LINK_CLOSED) wire->failed = true;
  else copse__closing_enter(wire);
  if (none && again) return false; /* said already */
  event->type = COPSE_EV_BYE;
  return true;
}

static bool ping_received(copse_wire *wire, copse_bytes payload) {
  const char *why = NULL;
  if (copse_value_check(payload, &why, NULL)) {
    copse__violate(wire, COPSE_CODE_VALUE, 0, why);
    return true;
  }
  if (wire->out.written < wire->pong_at) {
    copse__violate(wire, COPSE_CODE_LIMIT, 0, "PING while another is unanswered");
    return true;
  }
  if (copse__output_frame(wire, COPSE_KIND_PONG, 0, payload)) {
    copse__violate(wire, COPSE_CODE_NO_MEMORY, 0, "out of memory");
    return true;
  }
  wire->pong_at = copse__output_end(wire);
  return false;
}

static bool pong_received(copse_wire *wire, copse_bytes payload, copse_event *event) {
  const char *why = NULL;
  if (copse_value_check(payload, &why, NULL)) {
    copse__violate(wire, COPSE_CODE_VALUE, 0, why);
    return true;
  }
  if (!wire->ping_out || payload.size != wire->ping->size ||
      memcmp(payload.data, wire->ping->data, payload.size) != 0)
    return false; /* it keeps a heartbeat promise, no more */
  wire->ping_out = false;
  event->type = COPSE_EV_PONG;
  event->value = payload;
  return true;
}

bool copse__link_receive(copse_wire *wire, const copse__frame *frame, copse_bytes payload,
                         copse_event *event) {
  switch (frame->kind) {
  case COPSE_KIND_HELLO: return hello_received(wire, payload, event);
  case COPSE_KIND_BYE: return bye_received(wire, payload, event);
  case COPSE_KIND_PING: return ping_received(wire, payload);
  default: return pong_received(wire, payload, event);
  }
}

/* --- own PING --------------------------------------------------------------------------------- */

copse_status copse_wire_ping(copse_wire *wire, copse_bytes value) {
  if (wire->failed) return COPSE_ECLOSED;
  if (wire->link == COPSE__LINK_HELLO) return COPSE_ESTATE;
  if (wire->ping_out) return COPSE_EAGAIN;
  if (value.size > COPSE__CONTROL_MAX) return COPSE_ETOOLARGE;
  uint8_t bytes[16];
  copse_buf buf;
  copse__buf_fixed(&buf, bytes, sizeof bytes);
  if (value.size == 0) {
    copse_pack_int(&buf, (int64_t)(++wire->ping_number & (uint64_t)COPSE__UINT_MAX));
    value = copse_buf_bytes(&buf);
  } else {
    copse_status status = copse_value_check(value, NULL, NULL);
    if (status) return status;
    if (copse_value_type(value) == COPSE_NIL) return COPSE_EINVAL;
  }
  if (!wire->ping || wire->ping->capacity < value.size) {
    copse__blob *fresh = copse__resize(&wire->mem, NULL, 0, sizeof *fresh + value.size);
    if (!fresh) return COPSE_ENOMEM;
    copse__blob_free(wire, wire->ping);
    wire->ping = fresh;
    *fresh = (copse__blob){.capacity = value.size};
  }
  copse_status status = copse__output_frame(wire, COPSE_KIND_PING, 0, value);
  if (status) return status;
  memcpy(wire->ping->data, value.data, value.size);
  wire->ping->size = value.size;
  wire->ping_out = true;
  return COPSE_OK;
}

copse_status copse_wire_pong(copse_wire *wire) {
  static const uint8_t nil = 0xc0;
  if (wire->failed) return COPSE_ECLOSED;
  if (wire->link == COPSE__LINK_HELLO) return COPSE_ESTATE;
  if (copse__unwritten(wire) > 0) return COPSE_OK; /* bytes on their way keep the promise as well */
  return copse__output_frame(wire, COPSE_KIND_PONG, 0, (copse_bytes){&nil, 1});
}
