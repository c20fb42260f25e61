/* SPDX-License-Identifier: MIT
 *
 * What the caller does to contexts.
 *
 * Each call asks the tables whether the event is legal now, so that nothing leaves that the peer
 * would call a violation, and then does it or changes nothing. The caller's view runs ahead of the
 * wire: a context whose OPEN still waits in the queue is, to its caller, an open one.
 */
#include "wire/engine.h"

#include <string.h>

static copse_status live(const copse_wire *wire, uint64_t id, copse__context **ctx) {
  if (wire->failed) return COPSE_ECLOSED;
  *ctx = copse__context_find(wire, id);
  if (!*ctx || (*ctx)->detached || (*ctx)->withdrawn) return COPSE_EUNKNOWN;
  /* Of an OPEN that is not complete nobody has been told. */
  if (!(*ctx)->opener && (*ctx)->life == COPSE__CALLEE_OPENING) return COPSE_EUNKNOWN;
  return COPSE_OK;
}

/* Like `live`, for calls that one role has. */
static copse_status live_as(const copse_wire *wire, uint64_t id, bool opener,
                            copse__context **ctx) {
  copse_status status = live(wire, id, ctx);
  return status == COPSE_OK && (*ctx)->opener != opener ? COPSE_ESTATE : status;
}

/* The life as the caller sees it. */
static uint8_t opener_life(const copse__context *ctx) {
  return ctx->life < COPSE__OPENER_WAITING ? (uint8_t)COPSE__OPENER_WAITING : ctx->life;
}

static bool life_allows(const copse__context *ctx, unsigned opener_event, unsigned callee_event) {
  return ctx->opener ? copse__opener[opener_life(ctx)][opener_event] != COPSE__MISUSE
                     : copse__callee[ctx->life][callee_event] != COPSE__MISUSE;
}

/* --- OPEN ------------------------------------------------------------------------------------- */

static bool target_ok(const char *target, size_t size) {
  return size >= 1 && size <= COPSE_TARGET_MAX && copse__utf8((const uint8_t *)target, size);
}

static bool map_of_str_keys(copse_bytes value) {
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) || token.type != COPSE_MAP) return false;
  for (uint32_t left = token.count; left > 0; left--)
    if (copse_read(&reader, &token) || token.type != COPSE_STR || copse_read_value(&reader, NULL))
      return false;
  return true;
}

static copse_status open_check(const copse_wire *wire, const copse_wire_open_args *args) {
  const uint64_t most = (uint64_t)COPSE__UINT_MAX;
  if (wire->failed || wire->link >= COPSE__LINK_CLOSING) return COPSE_ECLOSED;
  if (wire->link == COPSE__LINK_HELLO) return COPSE_ESTATE;
  if (!args->target || !target_ok(args->target, strlen(args->target))) return COPSE_EINVAL;
  if (args->reads && !(wire->features & COPSE_FEATURE_STREAM)) return COPSE_ESTATE;
  if (args->credit.items > most || args->credit.bytes > most) return COPSE_EINVAL;
  if (args->deadline_ms > COPSE__UINT_MAX) return COPSE_EINVAL;
  if (args->traceparent) {
    const size_t size = strlen(args->traceparent);
    if (size > 255 || !copse__utf8((const uint8_t *)args->traceparent, size)) return COPSE_EINVAL;
  }
  if (args->args.size) {
    if (copse_value_check(args->args, NULL, NULL)) return COPSE_EVALUE;
    const copse_type type = copse_value_type(args->args);
    if (type != COPSE_ARRAY && type != COPSE_MAP) return COPSE_EVALUE;
  }
  if (args->meta.size &&
      (copse_value_check(args->meta, NULL, NULL) || !map_of_str_keys(args->meta)))
    return COPSE_EVALUE;
  if (wire->opened >= wire->theirs.contexts) return COPSE_ELIMIT;
  if (wire->next_id > most) return COPSE_ELIMIT;
  return COPSE_OK;
}

copse_status copse_wire_open(copse_wire *wire, const copse_wire_open_args *args,
                             uint64_t *context) {
  copse_status status = open_check(wire, args);
  if (status) return status;

  uint8_t bytes[COPSE_TARGET_MAX + 255 + 128];
  copse_buf buf;
  copse__buf_fixed(&buf, bytes, sizeof bytes);
  copse_pack_map(&buf, 1u + args->send + args->reads + (args->deadline_ms >= 0) +
                           (args->traceparent != NULL) + (args->args.size > 0) +
                           (args->meta.size > 0));
  copse_pack_cstr(&buf, "target");
  copse_pack_cstr(&buf, args->target);
  if (args->send) {
    copse_pack_cstr(&buf, "send");
    copse_pack_bool(&buf, true);
  }
  if (args->reads) {
    copse_pack_cstr(&buf, "credit");
    copse_pack_array(&buf, 2);
    copse_pack_int(&buf, (int64_t)args->credit.items);
    copse_pack_int(&buf, (int64_t)args->credit.bytes);
  }
  if (args->deadline_ms >= 0) {
    copse_pack_cstr(&buf, "deadline");
    copse_pack_int(&buf, args->deadline_ms);
  }
  if (args->traceparent) {
    copse_pack_cstr(&buf, "traceparent");
    copse_pack_cstr(&buf, args->traceparent);
  }
  static const uint8_t args_key[] = {0xa4, 'a', 'r', 'g', 's'};
  static const uint8_t meta_key[] = {0xa4, 'm', 'e', 't', 'a'};
  copse_bytes parts[5];
  size_t count = 0;
  parts[count++] = copse_buf_bytes(&buf);
  if (args->args.size) {
    parts[count++] = (copse_bytes){args_key, sizeof args_key};
    parts[count++] = args->args;
  }
  if (args->meta.size) {
    parts[count++] = (copse_bytes){meta_key, sizeof meta_key};
    parts[count++] = args->meta;
  }

  copse__context *ctx = copse__context_new(wire, wire->next_id, true);
  if (!ctx) return COPSE_ENOMEM;
  status = copse__message_send(wire, ctx, COPSE_KIND_OPEN, parts, count, 0);
  if (status) {
    copse__context_free(wire, ctx);
    return status;
  }
  wire->next_id += 2;
  ctx->user = args->user;
  ctx->open_sends = args->send;
  ctx->open_reads = args->reads;
  ctx->out = args->send ? COPSE__HALF_OPEN : COPSE__HALF_ENDED;
  ctx->in = args->reads ? COPSE__HALF_OPEN : COPSE__HALF_ENDED;
  if (args->reads) ctx->given = args->credit;
  *context = ctx->id;
  return COPSE_OK;
}

void copse_wire_set_user(copse_wire *wire, uint64_t context, void *user) {
  copse__context *ctx;
  if (live(wire, context, &ctx) == COPSE_OK) ctx->user = user;
}

/* --- messages --------------------------------------------------------------------------------- */

static const uint8_t nil = 0xc0;

/* A user value of one part: nil if there are no bytes. */
static copse_status value_ready(copse_bytes *value) {
  if (value->size == 0) *value = (copse_bytes){&nil, 1};
  return copse_value_check(*value, NULL, NULL);
}

copse_status copse_wire_started(copse_wire *wire, uint64_t context, copse_bytes value) {
  copse__context *ctx;
  copse_status status = live_as(wire, context, false, &ctx);
  if (status) return status;
  const uint8_t next = copse__callee[ctx->life][COPSE__CALLEE_ON_SEND_STARTED];
  if (next == COPSE__MISUSE) return COPSE_ESTATE;
  if ((status = value_ready(&value))) return status;
  status = copse__message_send(wire, ctx, COPSE_KIND_STARTED, &value, 1, 0);
  if (status) return status;
  ctx->life = next;
  if (ctx->end_owed) { /* STOP came before */
    ctx->end_owed = false;
    ctx->out = copse__out[ctx->out][COPSE__OUT_ON_SEND_END];
    copse__end_send(wire, ctx);
  }
  return COPSE_OK;
}

/* The check runs over one piece of memory; a value in several parts is put together for it. */
static copse_status parts_check(const copse_wire *wire, const copse_bytes *parts, size_t count) {
  size_t whole = 0, last = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].size == 0) continue;
    whole++;
    last = i;
    size += parts[i].size;
  }
  if (whole == 0) return COPSE_EVALUE;
  if (whole == 1) return copse_value_check(parts[last], NULL, NULL);
  if (size > wire->theirs.message) return COPSE_ETOOLARGE;
  uint8_t *joined = copse__resize(&wire->mem, NULL, 0, size);
  if (!joined) return COPSE_ENOMEM;
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].size) memcpy(joined + at, parts[i].data, parts[i].size);
    at += parts[i].size;
  }
  const copse_status status = copse_value_check((copse_bytes){joined, size}, NULL, NULL);
  copse__resize(&wire->mem, joined, size, 0);
  return status;
}

copse_status copse_wire_send(copse_wire *wire, uint64_t context, const copse_bytes *parts,
                             size_t count, unsigned flags) {
  copse__context *ctx;
  copse_status status = live(wire, context, &ctx);
  if (status) return status;
  if (!life_allows(ctx, COPSE__OPENER_ON_SEND_ITEM, COPSE__CALLEE_ON_SEND_ITEM))
    return COPSE_ESTATE;
  const uint8_t next = copse__out[ctx->out][COPSE__OUT_ON_SEND_ITEM];
  if (next != COPSE__HALF_OPEN)
    return ctx->no_more && !ctx->cancelled ? COPSE_ENOMORE : COPSE_ESTATE;
  if (ctx->queue || ctx->begun.items >= ctx->grant.items || ctx->begun.bytes >= ctx->grant.bytes) {
    ctx->want_write = true;
    return COPSE_EAGAIN;
  }
  if (!(flags & COPSE_TRUSTED) && (status = parts_check(wire, parts, count))) return status;
  status = copse__message_send(wire, ctx, COPSE_KIND_ITEM, parts, count, flags);
  if (status) return status;
  ctx->begun.items++;
  for (size_t i = 0; i < count; i++) ctx->begun.bytes += parts[i].size;
  return COPSE_OK;
}

copse_status copse_wire_end(copse_wire *wire, uint64_t context) {
  copse__context *ctx;
  copse_status status = live(wire, context, &ctx);
  if (status) return status;
  if (ctx->out == COPSE__HALF_ENDED) return COPSE_OK;
  if (!life_allows(ctx, COPSE__OPENER_ON_SEND_END, COPSE__CALLEE_ON_SEND_END)) return COPSE_ESTATE;
  ctx->out = copse__out[ctx->out][COPSE__OUT_ON_SEND_END];
  ctx->want_write = false;
  copse__end_send(wire, ctx);
  return COPSE_OK;
}

/* --- STOP and CREDIT -------------------------------------------------------------------------- */

copse_status copse_wire_stop(copse_wire *wire, uint64_t context) {
  copse__context *ctx;
  copse_status status = live(wire, context, &ctx);
  if (status) return status;
  if (!life_allows(ctx, COPSE__OPENER_ON_SEND_STOP, COPSE__CALLEE_ON_SEND_STOP))
    return COPSE_ESTATE;
  const uint8_t next = copse__in[ctx->in][COPSE__IN_ON_SEND_STOP];
  if (next == COPSE__NOTHING) return COPSE_OK;
  ctx->in = next;
  ctx->credit_owed = false;
  /* Without the feature no item can come; END still can. */
  if (!(wire->features & COPSE_FEATURE_STREAM)) return COPSE_OK;
  ctx->stop_owed = true;
  copse__owe(wire, ctx);
  return COPSE_OK;
}

copse_status copse_wire_credit(copse_wire *wire, uint64_t context, copse_credit total) {
  copse__context *ctx;
  copse_status status = live(wire, context, &ctx);
  if (status) return status;
  if (total.items > (uint64_t)COPSE__UINT_MAX || total.bytes > (uint64_t)COPSE__UINT_MAX)
    return COPSE_EINVAL;
  if (!(wire->features & COPSE_FEATURE_STREAM)) return COPSE_ESTATE;
  if (!life_allows(ctx, COPSE__OPENER_ON_SEND_CREDIT, COPSE__CALLEE_ON_SEND_CREDIT))
    return COPSE_ESTATE;
  const uint8_t next = copse__in[ctx->in][COPSE__IN_ON_SEND_CREDIT];
  if (next == COPSE__MISUSE) return COPSE_ESTATE;
  if (next == COPSE__NOTHING) return COPSE_OK;
  if (total.items <= ctx->given.items && total.bytes <= ctx->given.bytes) return COPSE_OK;
  if (total.items > ctx->given.items) ctx->given.items = total.items;
  if (total.bytes > ctx->given.bytes) ctx->given.bytes = total.bytes;
  ctx->credit_owed = true;
  copse__owe(wire, ctx);
  return COPSE_OK;
}

/* --- CANCEL ----------------------------------------------------------------------------------- */

static bool cause_ok(const copse_cause *cause) {
  const size_t size = strnlen(cause->message, sizeof cause->message);
  static const uint8_t nobody[16];
  if ((unsigned)cause->origin >= COPSE_ORIGIN_COUNT) return false;
  if (size == sizeof cause->message || !copse__utf8((const uint8_t *)cause->message, size))
    return false;
  const char *name = cause->by.name;
  return memcmp(cause->by.id, nobody, sizeof nobody) == 0 ||
         copse__name_ok((const uint8_t *)name, strnlen(name, sizeof cause->by.name));
}

/* However often a caller gets more impatient, one repeat per context waits for its turn: the last.
 * Not so the first, which is written whatever the output holds. */
static copse_status cancel_again(copse_wire *wire, copse__context *ctx, copse_bytes payload) {
  if (!ctx->cancel_owed) {
    copse__blob *blob = copse__resize(&wire->mem, NULL, 0, sizeof *blob + COPSE__CONTROL_MAX);
    if (!blob) return COPSE_ENOMEM;
    *blob = (copse__blob){.capacity = COPSE__CONTROL_MAX};
    ctx->cancel_owed = blob;
  }
  memcpy(ctx->cancel_owed->data, payload.data, payload.size);
  ctx->cancel_owed->size = payload.size;
  copse__owe(wire, ctx);
  return COPSE_OK;
}

copse_status copse_wire_cancel(copse_wire *wire, uint64_t context, const copse_cause *cause,
                               int64_t grace_ms) {
  copse__context *ctx;
  copse_status status = live_as(wire, context, true, &ctx);
  if (status) return status;
  if (!cause_ok(cause) || grace_ms > COPSE__UINT_MAX) return COPSE_EINVAL;
  if (grace_ms < 0) grace_ms = -1;
  const uint8_t next = copse__opener[ctx->life][COPSE__OPENER_ON_SEND_CANCEL];
  if (next == COPSE__NOTHING) return COPSE_OK;
  if (ctx->cancelled && (grace_ms < 0 || (ctx->grace >= 0 && grace_ms >= ctx->grace)))
    return COPSE_OK; /* a repeat may only shorten */

  if (ctx->life != COPSE__OPENER_UNOPENED) {
    uint8_t bytes[COPSE__CONTROL_MAX];
    copse_buf buf;
    copse__buf_fixed(&buf, bytes, sizeof bytes);
    enum { GRACE_MAX = 6 + 9 };
    copse__cause_encode(&buf, cause, grace_ms >= 0, GRACE_MAX);
    if (grace_ms >= 0) {
      copse_pack_cstr(&buf, "grace");
      copse_pack_int(&buf, grace_ms);
    }
    if (copse_buf_status(&buf)) return COPSE_EINVAL;
    const copse_bytes payload = copse_buf_bytes(&buf);
    status = ctx->cancelled ? cancel_again(wire, ctx, payload)
                            : copse__output_frame(wire, COPSE_KIND_CANCEL, ctx->id, payload);
    if (status) return status;
  }
  ctx->grace = grace_ms;
  if (ctx->cancelled) return COPSE_OK;
  ctx->cancelled = true;
  ctx->want_write = ctx->stop_owed = ctx->credit_owed = false;
  copse__list_remove(&ctx->owes);
  copse__queue_drop(wire, ctx);
  ctx->out = copse__out[ctx->out][COPSE__OUT_ON_SEND_CANCEL];
  ctx->in = copse__in[ctx->in][COPSE__IN_ON_SEND_CANCEL];
  ctx->life = next;
  if (next == COPSE__OPENER_ENDED) {
    ctx->withdrawn = true;
    copse__context_notice(wire, ctx);
  }
  return COPSE_OK;
}

/* --- terminals -------------------------------------------------------------------------------- */

/* The caller's part of the context is over; the frame may still have to be written. */
static void detach(copse_wire *wire, copse__context *ctx) {
  ctx->life = COPSE__CALLEE_ENDED;
  ctx->out = copse__out[ctx->out][COPSE__OUT_ON_TERMINAL];
  ctx->in = copse__in[ctx->in][COPSE__IN_ON_TERMINAL];
  ctx->detached = true;
  ctx->user = NULL;
  ctx->want_write = ctx->stop_owed = ctx->credit_owed = ctx->end_owed = false;
  copse__list_remove(&ctx->owes);
  copse__list_remove(&ctx->notice);
  if (!ctx->incoming) return;
  ctx->incoming = 0;
  wire->partials_in--;
  copse__blob_free(wire, ctx->assembly);
  ctx->assembly = NULL;
}

static copse_status finish(copse_wire *wire, copse__context *ctx, uint8_t kind, copse_bytes value) {
  copse_status status = copse__message_send(wire, ctx, kind, &value, 1, 0);
  if (status == COPSE_OK) detach(wire, ctx);
  return status;
}

copse_status copse_wire_return(copse_wire *wire, uint64_t context, copse_bytes value) {
  copse__context *ctx;
  copse_status status = live_as(wire, context, false, &ctx);
  if (status) return status;
  if (copse__callee[ctx->life][COPSE__CALLEE_ON_SEND_RETURN] == COPSE__MISUSE) return COPSE_ESTATE;
  if ((status = value_ready(&value))) return status;
  status = finish(wire, ctx, COPSE_KIND_RETURN, value);
  if (status != COPSE_ETOOLARGE) return status;
  const copse_status refused = copse_wire_refuse(wire, context, COPSE_CODE_TOO_LARGE,
                                                 "the result is larger than the peer takes");
  return refused ? refused : COPSE_ETOOLARGE;
}

copse_status copse_wire_error(copse_wire *wire, uint64_t context, copse_bytes error_map) {
  copse__context *ctx;
  const char *why;
  copse_status status = live_as(wire, context, false, &ctx);
  if (status) return status;
  if (copse__callee[ctx->life][COPSE__CALLEE_ON_SEND_ERROR] == COPSE__MISUSE) return COPSE_ESTATE;
  if (copse__error_check(error_map, &why)) return COPSE_EVALUE;
  if (error_map.size <= wire->theirs.message) return finish(wire, ctx, COPSE_KIND_ERROR, error_map);
  copse_buf cut;
  copse_buf_init(&cut, wire->theirs.message, &wire->mem);
  copse__error_cut(&cut, error_map, wire->theirs.message);
  status = copse_buf_status(&cut);
  if (status == COPSE_OK) status = finish(wire, ctx, COPSE_KIND_ERROR, copse_buf_bytes(&cut));
  copse_buf_deinit(&cut);
  return status;
}

copse_status copse_wire_refuse(copse_wire *wire, uint64_t context, copse_code code,
                               const char *message) {
  uint8_t bytes[COPSE__CONTROL_MAX];
  copse_buf buf;
  if (!copse_code_of_context(code)) return COPSE_EINVAL;
  size_t size = message ? strlen(message) : 0;
  size = copse__utf8_fit((const uint8_t *)message, size, 900);
  if (size && !copse__utf8((const uint8_t *)message, size)) return COPSE_EINVAL;
  copse__buf_fixed(&buf, bytes, sizeof bytes);
  copse_pack_map(&buf, 2);
  copse_pack_cstr(&buf, "code");
  copse_pack_cstr(&buf, copse_code_text(code));
  copse_pack_cstr(&buf, "message");
  copse_pack_str(&buf, size ? message : "", size);
  return copse_wire_error(wire, context, copse_buf_bytes(&buf));
}

copse_status copse_wire_cancelled(copse_wire *wire, uint64_t context, const copse_cause *cause,
                                  bool ran) {
  copse__context *ctx;
  copse_status status = live_as(wire, context, false, &ctx);
  if (status) return status;
  if (!cause_ok(cause)) return COPSE_EINVAL;
  if (copse__callee[ctx->life][COPSE__CALLEE_ON_SEND_CANCELLED_DUE] == COPSE__MISUSE)
    return COPSE_ESTATE;
  uint8_t bytes[COPSE__CONTROL_MAX + 64]; /* a message, so the whole text of a CANCEL fits */
  copse_buf buf;
  copse__buf_fixed(&buf, bytes, sizeof bytes);
  enum { RAN_SIZE = 4 + 1 };
  copse__cause_encode(&buf, cause, 1, RAN_SIZE);
  copse_pack_cstr(&buf, "ran");
  copse_pack_bool(&buf, ran);
  if (copse_buf_status(&buf)) return COPSE_EINVAL;
  return finish(wire, ctx, COPSE_KIND_CANCELLED, copse_buf_bytes(&buf));
}
