/* SPDX-License-Identifier: MIT
 *
 * wire-tool: the engine's tables and its judgement, for other programs to compare with.
 *
 *   wire-tool tables              kinds, codes, origins, state machines and limits as TSV
 *   wire-tool vector acceptor     an engine that plays this side of a link reads hexadecimal bytes
 *   wire-tool vector connector    from the standard input, and says what it makes of them
 *
 * A line of the input is bytes in hexadecimal that the engine receives, blanks ignored, a # begins
 * a comment. A line that begins with > holds whole frames that the engine is to have sent by then:
 * the tool makes it send frames of these kinds on these contexts. The engine is the actor `root` as
 * the acceptor and `child` as the connector, with default limits. What it says is a line per event,
 * or `violation CODE context WHY`, and at the end `sent HEX`: all that it has written. */
#include "wire/engine.h"
#include "wire_pair.h"

#include <stdlib.h>
#include <string.h>

static void print_cell(uint8_t cell, const copse__machine *machine) {
  switch (cell) {
  case COPSE__NEVER: puts("-"); break;
  case COPSE__VIOLATION: puts("violation state"); break;
  case COPSE__IGNORED: puts("ignored"); break;
  case COPSE__MISUSE: puts("misuse"); break;
  case COPSE__NOTHING: puts("nothing"); break;
  default: puts(machine->state_names[cell]);
  }
}

static int tables(void) {
#define X(name, byte) printf("kind\t%s\t%02x\n", #name, byte);
  COPSE_KINDS(X)
#undef X
  for (int code = 0; code < COPSE_CODE_COUNT; code++) {
    const bool link = copse_code_of_link((copse_code)code);
    const bool context = copse_code_of_context((copse_code)code);
    printf("code\t%s\t%s\t%d\n", copse_code_text((copse_code)code),
           link && context ? "both"
           : link          ? "link"
                           : "context",
           copse_code_retry((copse_code)code));
  }
  for (int origin = 0; origin < COPSE_ORIGIN_COUNT; origin++)
    printf("origin\t%s\n", copse_origin_text((copse_origin)origin));
  for (int i = 0; i < COPSE__MACHINE_COUNT; i++) {
    const copse__machine *machine = &copse__machines[i];
    for (unsigned state = 0; state < machine->states; state++)
      printf("state\t%s\t%s\n", machine->name, machine->state_names[state]);
    for (unsigned state = 0; state < machine->states; state++)
      for (unsigned event = 0; event < machine->events; event++) {
        printf("cell\t%s\t%s\t%s\t", machine->name, machine->state_names[state],
               machine->event_names[event]);
        print_cell(machine->cells[state * machine->events + event], machine);
      }
  }
  const copse_limits normal = COPSE_LIMITS_DEFAULT;
  printf("limit\tframe\t16384\t%u\n", normal.frame);
  printf("limit\tmessage\tframe\t%u\n", normal.message);
  printf("limit\tcontexts\t16\t%u\n", normal.contexts);
  printf("limit\tpartials\t1\t%u\n", normal.partials);
  return 0;
}

/* --- vectors ---------------------------------------------------------------------------------- */

struct player {
  copse_wire *wire;
  copse_buf sent;
};

static void take(struct player *player) {
  copse_bytes out = test_take(player->wire);
  copse_buf_append(&player->sent, out.data, out.size);
  free((void *)(uintptr_t)out.data);
}

static void events(struct player *player) {
  copse_event event;
  char text[2048];
  while (copse_wire_next(player->wire, &event) != COPSE_EV_NONE) {
    test_event_text(&event, text, sizeof text);
    puts(text);
  }
}

static void receive(struct player *player, copse_bytes bytes) {
  while (bytes.size > 0) {
    const size_t given = copse_wire_recv(player->wire, bytes.data, bytes.size);
    events(player);
    if (given == 0) return;
    bytes.data += given;
    bytes.size -= given;
  }
}

/* OPEN as the frame has it; unfinished, with enough behind it to stay so. */
static copse_status send_open(struct player *player, const copse__frame *frame,
                              copse_bytes payload) {
  static uint8_t long_meta[100000];
  copse_event open = {.type = COPSE_EV_NONE};
  const char *why;
  char target[COPSE_TARGET_MAX + 1] = "f";
  copse_wire_open_args args = {.target = target, .deadline_ms = -1};
  if (frame->more) {
    copse_buf meta;
    copse_buf_init(&meta, sizeof long_meta + 64, NULL);
    copse_pack_map(&meta, 1);
    copse_pack_cstr(&meta, "long");
    copse_pack_bin(&meta, long_meta, sizeof long_meta);
    player->wire->next_id = frame->context;
    args.meta = copse_buf_bytes(&meta);
    args.send = args.reads = true;
    uint64_t id;
    copse_status status = copse_wire_open(player->wire, &args, &id);
    copse_buf_deinit(&meta);
    copse_bytes view; /* takes the first fragment and no more */
    if (copse_wire_out(player->wire, &view, 1)) {
      copse_buf_append(&player->sent, view.data, view.size);
      copse_wire_out_done(player->wire, view.size);
    }
    return status;
  }
  if (copse__context_find(player->wire, frame->context)) { /* the rest of it */
    take(player);
    return COPSE_OK;
  }
  if (copse__open_decode(payload, &open, &why) != COPSE_CODE_NONE) return COPSE_EVALUE;
  memcpy(target, open.open.target.data, open.open.target.size);
  target[open.open.target.size] = 0;
  args.args = open.open.args;
  args.send = open.open.send;
  args.reads = open.open.reads;
  args.credit = open.open.credit;
  args.deadline_ms = open.open.deadline_ms;
  args.meta = open.open.meta;
  player->wire->next_id = frame->context;
  uint64_t id;
  return copse_wire_open(player->wire, &args, &id);
}

static copse_status send_frame(struct player *player, const copse__frame *frame,
                               copse_bytes payload) {
  copse_wire *wire = player->wire;
  copse_event event = {.type = COPSE_EV_NONE};
  copse_credit credit;
  const char *why;
  const copse__context *ctx = copse__context_find(wire, frame->context);
  switch (frame->kind) {
  case COPSE_KIND_HELLO:
    return wire->connector || wire->hello_sent ? COPSE_OK : copse_wire_accept(wire);
  case COPSE_KIND_BYE:
    if (copse__bye_decode(payload, &event, &why) != COPSE_CODE_NONE) return COPSE_EVALUE;
    if (wire->bye_sent) return COPSE_OK; /* it answered by itself */
    return copse_wire_bye(
        wire, copse_code_of((const char *)event.bye.code.data, event.bye.code.size), NULL, 0);
  case COPSE_KIND_PING: return copse_wire_ping(wire, payload);
  case COPSE_KIND_PONG: return COPSE_OK; /* it answers by itself */
  case COPSE_KIND_OPEN: return send_open(player, frame, payload);
  case COPSE_KIND_STARTED: return copse_wire_started(wire, frame->context, payload);
  case COPSE_KIND_ITEM: return copse_wire_send(wire, frame->context, &payload, 1, 0);
  case COPSE_KIND_END: return copse_wire_end(wire, frame->context);
  case COPSE_KIND_STOP: return copse_wire_stop(wire, frame->context);
  case COPSE_KIND_CREDIT:
    if (copse__credit_decode(payload, &credit, &why) != COPSE_CODE_NONE) return COPSE_EVALUE;
    return copse_wire_credit(wire, frame->context, credit);
  case COPSE_KIND_CANCEL:
    if (copse__cancel_decode(payload, &event, &why) != COPSE_CODE_NONE) return COPSE_EVALUE;
    return copse_wire_cancel(wire, frame->context, &event.cancel.cause, event.cancel.grace_ms);
  case COPSE_KIND_RETURN: return copse_wire_return(wire, frame->context, payload);
  case COPSE_KIND_ERROR:
    return ctx && !ctx->detached ? copse_wire_error(wire, frame->context, payload) : COPSE_OK;
  case COPSE_KIND_CANCELLED:
    if (copse__cancelled_decode(payload, &event, &why) != COPSE_CODE_NONE) return COPSE_EVALUE;
    if (!ctx || ctx->detached) return COPSE_OK; /* it answered by itself */
    return copse_wire_cancelled(wire, frame->context, &event.cancelled.cause, event.cancelled.ran);
  default: return COPSE_EINVAL;
  }
}

static copse_status send(struct player *player, copse_bytes bytes) {
  while (bytes.size >= COPSE_HEADER_SIZE) {
    copse__frame frame;
    copse__frame_read(bytes.data, &frame);
    if (frame.length > bytes.size - COPSE_HEADER_SIZE) return COPSE_EINVAL;
    copse_status status =
        send_frame(player, &frame, (copse_bytes){bytes.data + COPSE_HEADER_SIZE, frame.length});
    if (status) {
      fprintf(stderr, "wire-tool: cannot send %s on %llu: %s\n", copse_kind_name(frame.kind),
              (unsigned long long)frame.context, copse_status_text(status));
      return status;
    }
    if (frame.kind != COPSE_KIND_OPEN || !frame.more) take(player);
    bytes.data += COPSE_HEADER_SIZE + frame.length;
    bytes.size -= COPSE_HEADER_SIZE + frame.length;
  }
  return bytes.size ? COPSE_EINVAL : COPSE_OK;
}

static int vector(bool connector) {
  copse_ref self = test_ref(connector ? "child" : "root", 0);
  for (unsigned i = 0; i < sizeof self.id; i++) self.id[i] = (uint8_t)(connector ? i : 0xf0 + i);
  copse_wire_config config = test_config(connector, &self);
  struct player player;
  if (copse_wire_new(&player.wire, &config)) return 1;
  copse_buf_init(&player.sent, SIZE_MAX, NULL);
  static char line[1 << 20];
  static uint8_t bytes[sizeof line / 2];
  int status = 0;
  while (status == 0 && fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "#")] = 0;
    const bool mine = line[0] == '>';
    const copse_bytes given = test_hex(line + mine, bytes, sizeof bytes);
    if (!mine) receive(&player, given);
    else if (send(&player, given) != COPSE_OK) status = 1;
    events(&player);
    if (!mine) take(&player);
  }
  copse_wire_eof(player.wire);
  events(&player);
  take(&player);
  printf("sent ");
  for (size_t i = 0; i < player.sent.size; i++) printf("%02x", player.sent.data[i]);
  puts("");
  copse_buf_deinit(&player.sent);
  copse_wire_free(player.wire);
  return status;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "tables") == 0) return tables();
  if (argc == 3 && strcmp(argv[1], "vector") == 0) {
    if (strcmp(argv[2], "acceptor") == 0) return vector(false);
    if (strcmp(argv[2], "connector") == 0) return vector(true);
  }
  fputs("usage: wire-tool tables | wire-tool vector acceptor|connector <HEX\n", stderr);
  return 2;
}
