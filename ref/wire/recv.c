/* SPDX-License-Identifier: MIT
 *
 * Judging what arrives, and applying it.
 *
 * A frame is judged before anything is changed, in the order of checks that the protocol fixes:
 * link state, length, kind, context zero or not, role, fragments, life, half and credit. All that
 * can be found at the header is found there, so a peer that announces sixteen megabytes is told off
 * before it has sent them. Only a frame that passed is applied; its payload is checked last.
 */
#include "wire/engine.h"

#include <string.h>

struct verdict {
  copse_code code; /* not NONE: a violation */
  const char *why;
  bool ignore;
  bool first; /* the first fragment of a message */
  copse__context *ctx;
  uint8_t next_life, next_in;
};

static bool bad(struct verdict *verdict, copse_code code, const char *why) {
  verdict->code = code;
  verdict->why = why;
  return false;
}

/* --- judging ---------------------------------------------------------------------------------- */

static unsigned link_event(uint8_t kind) {
  switch (kind) {
  case COPSE_KIND_HELLO: return COPSE__LINK_ON_HELLO;
  case COPSE_KIND_BYE: return COPSE__LINK_ON_BYE;
  case COPSE_KIND_PING: return COPSE__LINK_ON_PING;
  case COPSE_KIND_PONG: return COPSE__LINK_ON_PONG;
  case COPSE_KIND_OPEN: return COPSE__LINK_ON_OPEN;
  default: return COPSE__LINK_ON_OTHER;
  }
}

/* Link state, length, kind, context, role. */
static bool judge_header(const copse_wire *wire, const copse__frame *frame,
                         struct verdict *verdict) {
  const unsigned event = link_event(frame->kind);
  if (copse__link[wire->link][event] == COPSE__VIOLATION ||
      (frame->kind == COPSE_KIND_HELLO && wire->hello_received))
    return bad(verdict, COPSE_CODE_STATE,
               wire->hello_received ? "a frame out of place on the link" : "not a HELLO");

  const copse__kind_rule *rule = copse__kind_rule_of(frame->kind);
  if (!rule || rule->message) {
    if (frame->length > wire->mine.frame)
      return bad(verdict, COPSE_CODE_FRAME, "longer than my frame limit");
  } else if (frame->length > rule->limit) {
    return bad(verdict, COPSE_CODE_LIMIT, "longer than such a frame may be");
  }

  if (!rule) {
    verdict->ignore = true;
    return frame->kind >= 0x40 ? true : bad(verdict, COPSE_CODE_FRAME, "unknown kind");
  }
  if (rule->feature & ~wire->features)
    return bad(verdict, COPSE_CODE_FRAME, "a kind of a feature that was not agreed");

  if (rule->link != (frame->context == 0) || frame->context > (uint64_t)COPSE__UINT_MAX)
    return bad(verdict, COPSE_CODE_FRAME, "a kind that does not go with this context");

  if (!rule->link && !(rule->from & (copse__id_mine(wire, frame->context) ? 2 : 1)))
    return bad(verdict, COPSE_CODE_STATE, "not a frame for this side to send");

  if (frame->more && !rule->message)
    return bad(verdict, COPSE_CODE_FRAME, "more, on a kind that is never split");
  if (frame->more && frame->length == 0) return bad(verdict, COPSE_CODE_FRAME, "an empty fragment");
  return true;
}

/* Whether a frame may come while a message of its sender on the context is unfinished, and whether
 * it discards that message. */
static bool may_interrupt(uint8_t kind, uint8_t unfinished, bool *discards) {
  *discards = false;
  switch (kind) {
  case COPSE_KIND_STOP:
  case COPSE_KIND_CREDIT: return true;
  case COPSE_KIND_CANCEL:
    *discards = true; /* whatever an opener has under way */
    return true;
  case COPSE_KIND_END: *discards = true; return unfinished == COPSE_KIND_ITEM;
  case COPSE_KIND_RETURN:
    *discards = true;
    return unfinished == COPSE_KIND_STARTED || unfinished == COPSE_KIND_ITEM;
  case COPSE_KIND_ERROR:
  case COPSE_KIND_CANCELLED: *discards = true; return unfinished <= COPSE_KIND_RETURN;
  default: return false;
  }
}

static bool judge_fragments(const copse_wire *wire, const copse__frame *frame,
                            struct verdict *verdict) {
  const copse__context *ctx = verdict->ctx;
  uint32_t partials = wire->partials_in;
  uint64_t size = frame->length;
  verdict->first = true;
  if (ctx && ctx->incoming) {
    bool discards;
    if (ctx->incoming == frame->kind) {
      verdict->first = false;
      size += ctx->assembled;
    } else if (!may_interrupt(frame->kind, ctx->incoming, &discards)) {
      return bad(verdict, COPSE_CODE_FRAME, "another frame between the fragments of a message");
    } else if (discards) {
      partials--;
    }
  }
  if (frame->kind == COPSE_KIND_OPEN && frame->more && verdict->first && wire->opening_id)
    return bad(verdict, COPSE_CODE_FRAME, "a second unfinished OPEN");
  if (size > wire->mine.message)
    return bad(verdict, COPSE_CODE_LIMIT, "longer than my message limit");
  if (verdict->first && frame->more && partials >= wire->mine.partials)
    return bad(verdict, COPSE_CODE_LIMIT, "more unfinished messages than my partials limit");
  return true;
}

static bool judge_life(const copse_wire *wire, const copse__frame *frame, struct verdict *verdict) {
  const copse__kind_rule *rule = copse__kind_rule_of(frame->kind);
  const copse__context *ctx = verdict->ctx;
  uint8_t next;
  if (copse__id_mine(wire, frame->context)) {
    unsigned life = ctx                               ? ctx->life
                    : frame->context >= wire->next_id ? COPSE__OPENER_UNOPENED
                                                      : COPSE__OPENER_ENDED;
    unsigned event = rule->opener_event;
    if (event == COPSE__OPENER_ON_CANCELLED && ctx && ctx->cancelled)
      event = COPSE__OPENER_ON_CANCELLED_ASKED;
    next = copse__opener[life][event];
    if (next == COPSE__NEVER) next = COPSE__VIOLATION;
  } else {
    unsigned life = ctx                                 ? ctx->life
                    : frame->context > wire->highest_id ? COPSE__CALLEE_UNOPENED
                                                        : COPSE__CALLEE_ENDED;
    unsigned event = rule->callee_event;
    if (event == COPSE__CALLEE_ON_OPEN && frame->more) event = COPSE__CALLEE_ON_OPEN_MORE;
    next = copse__callee[life][event];
  }
  if (next == COPSE__VIOLATION)
    return bad(verdict, COPSE_CODE_STATE, "not allowed in this state of the context");
  verdict->ignore = next == COPSE__IGNORED;
  verdict->next_life = next;
  if (frame->kind == COPSE_KIND_OPEN && !ctx && wire->serving >= wire->mine.contexts)
    return bad(verdict, COPSE_CODE_LIMIT, "more contexts than my limit");
  return true;
}

static bool judge_half(const copse__frame *frame, struct verdict *verdict) {
  const copse__context *ctx = verdict->ctx;
  if (frame->kind != COPSE_KIND_ITEM && frame->kind != COPSE_KIND_END) return true;
  verdict->next_in =
      copse__in[ctx->in][frame->kind == COPSE_KIND_ITEM ? COPSE__IN_ON_ITEM : COPSE__IN_ON_END];
  if (verdict->next_in == COPSE__VIOLATION)
    return bad(verdict, COPSE_CODE_STATE, "after the end of this half");
  if (frame->kind == COPSE_KIND_ITEM &&
      (ctx->taken.items >= ctx->given.items || ctx->taken.bytes >= ctx->given.bytes))
    return bad(verdict, COPSE_CODE_CREDIT, "an item beyond the credit");
  return true;
}

static bool judge(const copse_wire *wire, const copse__frame *frame, struct verdict *verdict) {
  *verdict = (struct verdict){.code = COPSE_CODE_NONE};
  if (!judge_header(wire, frame, verdict)) return false;
  if (verdict->ignore || frame->context == 0) return true;

  verdict->ctx = copse__context_find(wire, frame->context);
  const copse__context *ctx = verdict->ctx;
  /* What has ended at the callee is judged by its life alone. */
  const bool ended = !copse__id_mine(wire, frame->context) &&
                     (ctx ? ctx->life == COPSE__CALLEE_ENDED
                          : frame->context <= wire->highest_id && frame->kind != COPSE_KIND_OPEN);
  if (!ended && !judge_fragments(wire, frame, verdict)) return false;
  /* The machines are asked at the first fragment; OPEN moves its life at the last as well. */
  if (!ended && !verdict->first && frame->kind != COPSE_KIND_OPEN) return true;
  if (!judge_life(wire, frame, verdict)) return false;
  return verdict->ignore || judge_half(frame, verdict);
}

/* --- putting together ------------------------------------------------------------------------- */

static void assembly_drop(copse_wire *wire, copse__context *ctx) {
  copse__blob_free(wire, ctx->assembly);
  ctx->assembly = NULL;
}

/* The peer's unfinished message is over, one way or another. */
static void incoming_over(copse_wire *wire, copse__context *ctx) {
  if (!ctx->incoming) return;
  if (ctx->incoming == COPSE_KIND_OPEN) wire->opening_id = 0;
  ctx->incoming = 0;
  ctx->assembled = 0;
  ctx->skip = false;
  wire->partials_in--;
  assembly_drop(wire, ctx);
}

static bool assembly_append(copse_wire *wire, copse__context *ctx, copse_bytes payload) {
  copse__blob *blob = ctx->assembly;
  const size_t have = blob ? blob->size : 0, capacity = blob ? blob->capacity : 0;
  if (capacity - have < payload.size) {
    size_t want = have + payload.size;
    if (have > 0 && want < 2 * have) want = 2 * have;
    if (want > wire->mine.message) want = wire->mine.message;
    blob = copse__resize(&wire->mem, blob, blob ? sizeof *blob + capacity : 0, sizeof *blob + want);
    if (!blob) return false;
    blob->next = NULL;
    blob->size = have;
    blob->capacity = want;
    ctx->assembly = blob;
  }
  if (payload.size) memcpy(blob->data + have, payload.data, payload.size);
  blob->size += payload.size;
  return true;
}

/* A fragment: true if the message is complete and wanted; *payload is then all of it. */
static bool assemble(copse_wire *wire, copse__context *ctx, const copse__frame *frame, bool first,
                     copse_bytes *payload) {
  if (frame->kind == COPSE_KIND_ITEM) {
    ctx->taken.items += first;
    ctx->taken.bytes += frame->length;
    if (ctx->in != COPSE__HALF_OPEN) ctx->skip = true; /* STOP was sent: nobody wants it */
  }
  const bool skip = ctx->skip;
  if (skip) assembly_drop(wire, ctx);
  if (first && !frame->more) {
    ctx->skip = false;
    return !skip;
  }
  if (!skip && !assembly_append(wire, ctx, *payload)) {
    copse__violate(wire, COPSE_CODE_NO_MEMORY, ctx->id, "out of memory");
    return false;
  }
  if (first) {
    ctx->incoming = frame->kind;
    wire->partials_in++;
    if (frame->kind == COPSE_KIND_OPEN) wire->opening_id = ctx->id;
  }
  ctx->assembled += frame->length;
  if (frame->more) return false;
  if (!skip) {
    copse__blob *blob = ctx->assembly;
    ctx->assembly = NULL;
    *payload = (copse_bytes){blob->data, blob->size};
    blob->next = wire->retired; /* in view until the next read */
    wire->retired = blob;
  }
  incoming_over(wire, ctx);
  return !skip;
}

/* --- applying --------------------------------------------------------------------------------- */

static void violate(copse_wire *wire, copse__context *ctx, copse_code code, const char *why) {
  copse__violate(wire, code, ctx->id, why);
}

static bool value_ok(copse_wire *wire, copse__context *ctx, copse_bytes value) {
  const char *why = NULL;
  if (copse_value_check(value, &why, NULL) == COPSE_OK) return true;
  violate(wire, ctx, COPSE_CODE_VALUE, why);
  return false;
}

static void event_of(copse__context *ctx, copse_event *event, copse_event_type type) {
  event->type = type;
  event->context = ctx->id;
  event->user = ctx->user;
}

static void on_open(copse_wire *wire, copse__context *ctx, copse_bytes payload,
                    copse_event *event) {
  const char *why = NULL;
  copse_code code = copse__open_decode(payload, event, &why);
  if (code != COPSE_CODE_NONE) {
    violate(wire, ctx, code, why);
    return;
  }
  if (!(wire->features & COPSE_FEATURE_STREAM)) event->open.reads = false;
  if (!event->open.send) ctx->in = COPSE__HALF_ENDED;
  if (event->open.reads) { /* a CREDIT may have been there before */
    if (ctx->grant.items < event->open.credit.items) ctx->grant.items = event->open.credit.items;
    if (ctx->grant.bytes < event->open.credit.bytes) ctx->grant.bytes = event->open.credit.bytes;
    event->open.credit = ctx->grant;
    event->open.reads = ctx->out == COPSE__HALF_OPEN;
  } else {
    ctx->out = COPSE__HALF_ENDED;
    ctx->no_more = true;
    ctx->end_owed = false;
  }
  if (wire->link == COPSE__LINK_CLOSING) {
    if (copse_wire_refuse(wire, ctx->id, COPSE_CODE_CLOSING, "the link is closing"))
      violate(wire, ctx, COPSE_CODE_NO_MEMORY, "out of memory");
    return;
  }
  event_of(ctx, event, COPSE_EV_OPEN);
}

static void on_item(copse_wire *wire, copse__context *ctx, copse_bytes payload,
                    copse_event *event) {
  if (!value_ok(wire, ctx, payload)) return;
  event_of(ctx, event, COPSE_EV_ITEM);
  event->value.data = payload.data; /* one by one: a copy of the pair would stall on the stores */
  event->value.size = payload.size;
  event->item.bytes = payload.size;
}

static void on_stop(copse_wire *wire, copse__context *ctx, copse_event *event) {
  const uint8_t next = copse__out[ctx->out][COPSE__OUT_ON_STOP];
  if (next == COPSE__IGNORED) return;
  ctx->out = next;
  ctx->no_more = true;
  ctx->want_write = false;
  copse__queue_drop_items(wire, ctx);
  if (!ctx->opener && ctx->life != COPSE__CALLEE_STARTED) {
    ctx->end_owed = true;
    if (ctx->life == COPSE__CALLEE_OPENING) return; /* OPEN will tell */
  } else {
    ctx->out = copse__out[ctx->out][COPSE__OUT_ON_SEND_END];
    copse__end_send(wire, ctx);
  }
  event_of(ctx, event, COPSE_EV_STOP);
}

static void on_credit(copse_wire *wire, copse__context *ctx, copse_bytes payload) {
  const char *why = NULL;
  copse_credit grant;
  copse_code code = copse__credit_decode(payload, &grant, &why);
  if (code != COPSE_CODE_NONE) {
    violate(wire, ctx, code, why);
    return;
  }
  if (copse__out[ctx->out][COPSE__OUT_ON_CREDIT] == COPSE__IGNORED) return;
  if (grant.items < ctx->grant.items || grant.bytes < ctx->grant.bytes) {
    violate(wire, ctx, COPSE_CODE_CREDIT, "a smaller total of credit");
    return;
  }
  ctx->grant = grant;
  if (ctx->want_write) copse__context_notice(wire, ctx);
}

static void on_cancel(copse_wire *wire, copse__context *ctx, uint8_t next_life, copse_bytes payload,
                      copse_event *event) {
  const char *why = NULL;
  copse_code code = copse__cancel_decode(payload, event, &why);
  if (code != COPSE_CODE_NONE) {
    violate(wire, ctx, code, why);
    return;
  }
  const int64_t grace = event->cancel.grace_ms;
  const bool again = ctx->cancelled;
  incoming_over(wire, ctx);
  ctx->cancelled = true;
  if (next_life == COPSE__CALLEE_ENDED) { /* OPEN was unfinished: nothing can have run */
    const copse_cause cause = event->cancel.cause;
    ctx->life = COPSE__CALLEE_RUNNING;
    if (copse_wire_cancelled(wire, ctx->id, &cause, false))
      violate(wire, ctx, COPSE_CODE_NO_MEMORY, "out of memory");
    return;
  }
  ctx->in = copse__in[ctx->in][COPSE__IN_ON_CANCEL];
  ctx->out = copse__out[ctx->out][COPSE__OUT_ON_CANCEL];
  ctx->want_write = ctx->end_owed = ctx->end_queued = false;
  if (!ctx->queue || !ctx->queue->partial) copse__queue_drop_items(wire, ctx);
  if (again && (grace < 0 || (ctx->grace >= 0 && grace >= ctx->grace))) return;
  ctx->grace = grace;
  event->cancel.again = again;
  event_of(ctx, event, COPSE_EV_CANCEL);
}

static void on_terminal(copse_wire *wire, copse__context *ctx, uint8_t kind, copse_bytes payload,
                        copse_event *event) {
  const char *why = NULL;
  copse_code code = COPSE_CODE_NONE;
  if (kind == COPSE_KIND_RETURN) {
    if (!value_ok(wire, ctx, payload)) return;
  } else if (kind == COPSE_KIND_ERROR) {
    code = copse__error_check(payload, &why);
  } else {
    code = copse__cancelled_decode(payload, event, &why);
    event->cancelled.asked = ctx->cancelled;
    if (code == COPSE_CODE_NONE && ctx->life == COPSE__OPENER_OPENING && event->cancelled.ran) {
      code = COPSE_CODE_STATE;
      why = "it cannot have run: its OPEN was unfinished";
    }
  }
  if (code != COPSE_CODE_NONE) {
    violate(wire, ctx, code, why);
    return;
  }
  event_of(ctx, event,
           kind == COPSE_KIND_RETURN  ? COPSE_EV_RETURN
           : kind == COPSE_KIND_ERROR ? COPSE_EV_ERROR
                                      : COPSE_EV_CANCELLED);
  if (kind != COPSE_KIND_CANCELLED) event->value = payload;
  copse__context_free(wire, ctx);
}

static void apply(copse_wire *wire, const copse__frame *frame, const struct verdict *verdict,
                  copse_bytes payload, copse_event *event) {
  copse__context *ctx = verdict->ctx;
  const uint8_t kind = frame->kind;
  const copse__kind_rule *rule = copse__kind_rule_of(kind);
  if (!ctx) {
    ctx = copse__context_new(wire, frame->context, false);
    if (!ctx) {
      copse__violate(wire, COPSE_CODE_NO_MEMORY, frame->context, "out of memory");
      return;
    }
    wire->highest_id = frame->context;
  }
  bool discards;
  if (ctx->incoming && ctx->incoming != kind && kind != COPSE_KIND_CANCEL &&
      may_interrupt(kind, ctx->incoming, &discards) && discards)
    incoming_over(wire, ctx);
  if (kind == COPSE_KIND_OPEN) ctx->life = verdict->next_life;
  if (rule->message && !assemble(wire, ctx, frame, verdict->first, &payload)) return;

  switch (kind) {
  case COPSE_KIND_OPEN: on_open(wire, ctx, payload, event); return;
  case COPSE_KIND_STARTED:
    if (!value_ok(wire, ctx, payload)) return;
    ctx->life = COPSE__OPENER_STARTED;
    event_of(ctx, event, COPSE_EV_STARTED);
    event->value = payload;
    return;
  case COPSE_KIND_ITEM: on_item(wire, ctx, payload, event); return;
  case COPSE_KIND_END:
    ctx->in = verdict->next_in;
    event_of(ctx, event, COPSE_EV_END);
    return;
  case COPSE_KIND_STOP: on_stop(wire, ctx, event); return;
  case COPSE_KIND_CREDIT: on_credit(wire, ctx, payload); return;
  case COPSE_KIND_CANCEL: on_cancel(wire, ctx, verdict->next_life, payload, event); return;
  default: on_terminal(wire, ctx, kind, payload, event); return;
  }
}

/* --- item by item ----------------------------------------------------------------------------- */

/* Whether a whole frame is what nearly all are on a busy link: one item of a stream that both ends
 * have begun, unsplit and within every limit. All that `judge` would ask of it is asked here at
 * once; anything else it has to judge. */
static bool is_plain_item(const copse_wire *wire, const copse__context *ctx,
                          const copse__frame *frame) {
  return frame->kind == COPSE_KIND_ITEM && !frame->more && frame->length <= wire->mine.frame &&
         frame->length <= wire->mine.message && wire->link == COPSE__LINK_OPEN &&
         ctx->in == COPSE__HALF_OPEN && !ctx->incoming &&
         ctx->life == (ctx->opener ? (uint8_t)COPSE__OPENER_STARTED : COPSE__CALLEE_STARTED) &&
         ctx->taken.items < ctx->given.items && ctx->taken.bytes < ctx->given.bytes;
}

static void take_plain_item(copse_wire *wire, copse__context *ctx, copse_bytes payload,
                            copse_event *event) {
  copse__input *in = &wire->in;
  in->judged = false;
  in->head += COPSE_HEADER_SIZE + payload.size;
  wire->frames_in++;
  ctx->taken.items++;
  ctx->taken.bytes += payload.size;
  on_item(wire, ctx, payload, event);
}

bool copse__receive_item(copse_wire *wire, copse__context *ctx, copse_event *event) {
  const copse__input *in = &wire->in;
  const size_t left = in->tail - in->head;
  copse__frame frame;
  if (left < COPSE_HEADER_SIZE || ctx->in != COPSE__HALF_OPEN || ctx->skip) return false;
  const uint8_t *at = in->data + in->head;
  copse__frame_read(at, &frame);
  if (frame.context != ctx->id || frame.kind != COPSE_KIND_ITEM || frame.more ||
      left - COPSE_HEADER_SIZE < frame.length)
    return false;
  if (is_plain_item(wire, ctx, &frame))
    take_plain_item(wire, ctx, (copse_bytes){at + COPSE_HEADER_SIZE, frame.length}, event);
  else (void)copse__receive(wire, event);
  return event->type == COPSE_EV_ITEM;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* Works through frames until one of them made an event; false when there is no whole frame left. */
bool copse__receive(copse_wire *wire, copse_event *event) {
  copse__input *in = &wire->in;
  for (;;) {
    const size_t left = in->tail - in->head;
    if (left < COPSE_HEADER_SIZE) return false;
    const uint8_t *at = in->data + in->head;
    copse__frame frame;
    copse__frame_read(at, &frame);
    const bool complete = left - COPSE_HEADER_SIZE >= frame.length;
    if (!complete && in->judged) return false;
    const copse_bytes payload = {at + COPSE_HEADER_SIZE, frame.length};
    copse__context *ctx = complete ? copse__context_find(wire, frame.context) : NULL;
    if (ctx && is_plain_item(wire, ctx, &frame)) {
      take_plain_item(wire, ctx, payload, event);
      return true;
    }
    struct verdict verdict;
    if (!judge(wire, &frame, &verdict)) {
      copse__violate(wire, verdict.code, frame.context, verdict.why);
      return true;
    }
    in->judged = true;
    if (!complete) return false;
    in->judged = false;
    in->head += COPSE_HEADER_SIZE + frame.length;
    wire->frames_in++;
    if (verdict.ignore) continue;
    if (frame.context == 0) {
      if (copse__link_receive(wire, &frame, payload, event)) return true;
      continue;
    }
    apply(wire, &frame, &verdict, payload, event);
    if (event->type != COPSE_EV_NONE || wire->failed) return true;
    if (!copse__list_empty(&wire->notices)) return true;
  }
}
