/* SPDX-License-Identifier: MIT
 *
 * Making an engine, asking it what is due, and letting it go.
 */
#include "wire/engine.h"

#include <string.h>

#ifndef COPSE_VERSION
#define COPSE_VERSION "0.1.0"
#endif

static bool limits_ready(copse_limits *limits) {
  const copse_limits normal = COPSE_LIMITS_DEFAULT;
  if (!limits->frame) limits->frame = normal.frame;
  if (!limits->message)
    limits->message = limits->frame > normal.message ? limits->frame : normal.message;
  if (!limits->contexts) limits->contexts = normal.contexts;
  if (!limits->partials) limits->partials = normal.partials;
  return limits->frame >= 16384 && limits->frame <= COPSE__FRAME_MAX &&
         limits->message >= limits->frame && limits->contexts >= 16;
}

static bool self_ok(const copse_ref *self) {
  static const uint8_t nobody[16];
  if (memcmp(self->id, nobody, sizeof nobody) == 0) return false;
  if (!copse__name_ok((const uint8_t *)self->name, strnlen(self->name, sizeof self->name)))
    return false;
  if (self->address_count > COPSE_REF_ADDRESSES_MAX) return false;
  for (unsigned i = 0; i < self->address_count; i++) {
    const size_t size = strnlen(self->addresses[i], sizeof self->addresses[i]);
    if (size > COPSE_ADDRESS_MAX || !copse__utf8((const uint8_t *)self->addresses[i], size))
      return false;
  }
  return true;
}

static void *copy(const copse_mem *mem, const void *data, size_t size) {
  void *fresh = copse__resize(mem, NULL, 0, size ? size : 1);
  if (fresh && size) memcpy(fresh, data, size);
  return fresh;
}

copse_status copse_wire_new(copse_wire **out, const copse_wire_config *config) {
  copse_limits limits = config->limits;
  const char *agent = config->agent ? config->agent : "copse/" COPSE_VERSION;
  const size_t agent_size = strlen(agent);
  *out = NULL;
  if (!limits_ready(&limits) || !config->self || !self_ok(config->self)) return COPSE_EINVAL;
  if (agent_size > 255 || !copse__utf8((const uint8_t *)agent, agent_size)) return COPSE_EINVAL;
  if (config->token.size > 1024) return COPSE_EINVAL;
  if (config->heartbeat_ms > 0 && config->heartbeat_ms < 1000) return COPSE_EINVAL;

  const copse_mem *mem = config->mem ? config->mem : &copse__mem_libc;
  copse_wire *wire = copse__resize(mem, NULL, 0, sizeof *wire);
  if (!wire) return COPSE_ENOMEM;
  memset(wire, 0, sizeof *wire);
  wire->mem = *mem;
  wire->self = *config->self;
  wire->mine = limits;
  wire->my_features = config->features & COPSE_FEATURES_ALL;
  wire->heartbeat_ms = config->heartbeat_ms;
  wire->connector = config->connector;
  wire->next_id = config->connector ? 1 : 2;
  copse__node *lists[] = {&wire->ring,    &wire->parked, &wire->opens,
                          &wire->leaving, &wire->owing,  &wire->notices};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) copse__list_init(lists[i]);

  wire->agent_size = agent_size;
  wire->token_size = config->token.size;
  wire->agent = copy(mem, agent, wire->agent_size);
  wire->token = copy(mem, config->token.data, wire->token_size);
  copse_status status = COPSE_ENOMEM;
  if (wire->agent && wire->token && copse__contexts_init(wire) == COPSE_OK)
    status = copse__output_init(wire);
  if (status == COPSE_OK && wire->connector) status = copse__hello_send(wire);
  if (status) {
    copse_wire_free(wire);
    return status;
  }
  *out = wire;
  return COPSE_OK;
}

void copse_wire_free(copse_wire *wire) {
  if (!wire) return;
  const copse_mem mem = wire->mem;
  copse__contexts_deinit(wire);
  copse__input_deinit(wire);
  copse__output_deinit(wire);
  copse__blob_free(wire, wire->ping);
  if (wire->agent) copse__resize(&mem, wire->agent, wire->agent_size ? wire->agent_size : 1, 0);
  if (wire->token) copse__resize(&mem, wire->token, wire->token_size ? wire->token_size : 1, 0);
  copse__resize(&mem, wire, sizeof *wire, 0);
}

copse_status copse_wire_accept(copse_wire *wire) {
  if (wire->failed) return COPSE_ECLOSED;
  if (wire->connector || !wire->hello_received || wire->hello_sent) return COPSE_ESTATE;
  copse_status status = copse__hello_send(wire);
  if (status == COPSE_OK) wire->link = copse__link[wire->link][COPSE__LINK_ON_HELLO];
  return status;
}

/* --- events ----------------------------------------------------------------------------------- */

/* An event that a context has noted; false if there is none after all. */
static bool noted(copse_wire *wire, copse__context *ctx, copse_event *event) {
  copse__list_remove(&ctx->notice);
  event->context = ctx->id;
  event->user = ctx->user;
  if (ctx->withdrawn) {
    event->type = COPSE_EV_WITHDRAWN;
    copse__context_free(wire, ctx);
    return true;
  }
  if (!ctx->want_write || ctx->queue || ctx->out != COPSE__HALF_OPEN ||
      ctx->begun.items >= ctx->grant.items || ctx->begun.bytes >= ctx->grant.bytes)
    return false;
  ctx->want_write = false;
  event->type = COPSE_EV_WRITABLE;
  return true;
}

/* The link has ended; what remains is to say so. */
static copse_event_type last_words(copse_wire *wire, copse_event *event) {
  event->context = 0;
  event->user = NULL;
  if (wire->violation_due) {
    wire->violation_due = false;
    event->type = COPSE_EV_VIOLATION;
    event->context = wire->violation_context;
    event->violation.code = wire->violation_code;
    event->violation.context = wire->violation_context;
    event->violation.why = wire->violation_why;
  } else if (!wire->closed_told && (copse__unwritten(wire) == 0 || wire->in.eof)) {
    wire->closed_told = true;
    event->type = COPSE_EV_CLOSED;
    event->closed.graceful = wire->graceful;
  }
  return event->type;
}

copse_event_type copse_wire_next(copse_wire *wire, copse_event *event) {
  for (;;) {
    event->type = COPSE_EV_NONE;
    event->context = 0;
    event->user = NULL;
    event->value = (copse_bytes){NULL, 0};
    if (wire->failed) return last_words(wire, event);
    if (!copse__list_empty(&wire->notices)) {
      if (noted(wire, COPSE__OWNER(wire->notices.next, copse__context, notice), event))
        return event->type;
      continue;
    }
    if (copse__receive(wire, event)) {
      if (wire->violation_due) continue; /* whatever was half made is void */
      if (event->type != COPSE_EV_NONE) return event->type;
      continue;
    }
    copse__link_settle(wire);
    if (wire->failed || !copse__list_empty(&wire->notices)) continue;
    if (!wire->in.eof) return COPSE_EV_NONE;
    wire->link = copse__link[wire->link][COPSE__LINK_ON_EOF];
    wire->failed = true;
  }
}

bool copse_wire_next_item(copse_wire *wire, uint64_t context, copse_bytes *value) {
  if (wire->failed || !copse__list_empty(&wire->notices)) return false;
  copse__context *ctx = copse__context_find(wire, context);
  copse_event event;
  event.type = COPSE_EV_NONE;
  event.value = (copse_bytes){NULL, 0};
  if (!ctx || !copse__receive_item(wire, ctx, &event)) return false;
  value->data = event.value.data; /* one by one: a copy of the pair would stall on the stores */
  value->size = event.value.size;
  return true;
}

void copse_wire_get_info(const copse_wire *wire, copse_wire_info *info) {
  *info = (copse_wire_info){
      .hello_received = wire->hello_received,
      .hello_sent = wire->hello_sent,
      .bye_received = wire->bye_received,
      .bye_sent = wire->bye_sent,
      .failed = wire->failed && !wire->graceful,
      .closed = wire->closed_told,
      .peer_limits = wire->theirs,
      .features = wire->features,
      .opened = wire->opened,
      .serving = wire->serving,
      .opening = wire->opening_id,
      .unwritten = copse__unwritten(wire) + wire->queued_bytes,
      .frames_in = wire->frames_in,
      .frames_out = wire->frames_out,
      .bytes_in = wire->bytes_in,
      .bytes_out = wire->out.written,
  };
}
