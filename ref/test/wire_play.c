/* SPDX-License-Identifier: MIT
 *
 * A game of random but legal moves at both ends of a link, with a referee.
 *
 * Either end opens contexts, sends items of all sizes (copied, lent, in parts), grants credit,
 * ends, stops, cancels, fails and answers, while bytes move in pieces of any size and events are
 * pulled now or later. The referee knows what was sent: items must arrive whole, in order and
 * without a gap; every context must end exactly once at its opener; and neither end may ever call
 * the other a violator. */
#include "wire_play.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CONTEXTS = 48, LENT = 16 };

struct side {
  bool used, opener, live;
  uint64_t id;
  uint64_t sent, received; /* items */
  copse_credit given;
  copse_cause cause;
  bool cancelled, stopped, ended, started, peer_ended, terminal_sent, returned;
};

struct play {
  test_pair pair;
  test_choices *choices;
  struct side sides[2][MOST_CONTEXTS];
  void *lent[2][LENT];
  size_t lent_count[2];
  bool over[2], frail;
  const char *broken;
  test_play_result *result;
};

uint64_t test_choose(test_choices *choices, uint64_t bound) {
  if (!choices->data) return test_random_below(&choices->random, bound);
  uint64_t value = 0;
  for (uint64_t reach = 1; reach < bound; reach <<= 8) {
    uint8_t byte = choices->used < choices->size ? choices->data[choices->used++] : 0;
    value = value << 8 | byte;
  }
  return value % bound;
}

static uint64_t choose(struct play *play, uint64_t bound) {
  return test_choose(play->choices, bound);
}

static void broken(struct play *play, const char *what) {
  if (!play->broken) play->broken = what;
}

/* The engines' memory, seen as one. */
static void watch(struct play *play) {
  size_t now = play->pair.mem[0].bytes + play->pair.mem[1].bytes;
  if (now > play->result->peak) play->result->peak = now;
}

static struct side *side_new(struct play *play, int end) {
  for (int i = 0; i < MOST_CONTEXTS; i++)
    if (!play->sides[end][i].used) {
      play->sides[end][i] = (struct side){.used = true, .live = true};
      return &play->sides[end][i];
    }
  return NULL;
}

static struct side *side_pick(struct play *play, int end) {
  struct side *all[MOST_CONTEXTS];
  size_t count = 0;
  for (int i = 0; i < MOST_CONTEXTS; i++)
    if (play->sides[end][i].used && play->sides[end][i].live) all[count++] = &play->sides[end][i];
  return count ? all[choose(play, count)] : NULL;
}

/* --- items ------------------------------------------------------------------------------------ */

/* An item is a bin that tells who sent it, as which, and in its rest repeats that. */
static size_t item_size(struct play *play) {
  switch (choose(play, 16)) {
  case 0: return 16 + choose(play, 200000);
  case 1:
  case 2: return 16 + choose(play, 30000);
  default: return 16 + choose(play, 100);
  }
}

static void item_make(uint8_t *bytes, size_t size, uint64_t id, uint64_t number) {
  memcpy(bytes, &id, 8);
  memcpy(bytes + 8, &number, 8);
  memset(bytes + 16, (int)(number & 0xff), size - 16);
}

static bool item_is(copse_bytes item, uint64_t id, uint64_t number) {
  if (item.size < 16 || memcmp(item.data, &id, 8) != 0 || memcmp(item.data + 8, &number, 8) != 0)
    return false;
  for (size_t i = 16; i < item.size; i++)
    if (item.data[i] != (uint8_t)number) return false;
  return true;
}

/* What was lent must stay until all is written or settled, and no longer. */
static void lent_release(struct play *play, int end) {
  for (size_t i = 0; i < play->lent_count[end]; i++) free(play->lent[end][i]);
  play->lent_count[end] = 0;
}

static void lent_check(struct play *play, int end, bool settle) {
  copse_wire_info info;
  if (play->lent_count[end] == 0) return;
  copse_wire_get_info(play->pair.end[end], &info);
  if (info.unwritten > 0) {
    if (!settle) return;
    copse_status status = copse_wire_settle(play->pair.end[end]);
    if (status && !(play->frail && status == COPSE_ENOMEM)) broken(play, "settle failed");
  }
  lent_release(play, end);
}

static void move_send(struct play *play, int end, struct side *side) {
  copse_wire *wire = play->pair.end[end];
  const size_t size = item_size(play);
  uint8_t *memory = malloc(size + 8);
  if (!memory) abort();
  copse_buf head;
  copse_buf_init(&head, 16, NULL);
  uint8_t announce[5] = {0xc6, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                         (uint8_t)size};
  copse_buf_append(&head, announce, sizeof announce);
  item_make(memory, size, side->id, side->sent);
  const size_t cut = choose(play, size + 1);
  const copse_bytes parts[] = {copse_buf_bytes(&head), {memory, cut}, {memory + cut, size - cut}};
  const unsigned flags = (unsigned)choose(play, 4); /* LEND and TRUSTED, or not */
  if (flags & COPSE_LEND && play->lent_count[end] == LENT) lent_check(play, end, true);
  copse_status status = copse_wire_send(wire, side->id, parts, 3, flags);
  if (status == COPSE_OK) {
    side->sent++;
    play->result->items++;
    if (side->ended || side->terminal_sent) broken(play, "an item after END was taken");
    if (flags & COPSE_LEND) {
      play->lent[end][play->lent_count[end]++] = memory;
      memory = NULL;
      lent_check(play, end, choose(play, 2));
    }
  }
  free(memory);
  copse_buf_deinit(&head);
}

/* --- events ----------------------------------------------------------------------------------- */

static struct side *side_of(struct play *play, int end, const copse_event *event) {
  for (int i = 0; i < MOST_CONTEXTS; i++)
    if (event->user == &play->sides[end][i]) return &play->sides[end][i];
  broken(play, "an event for a context that nobody has");
  return NULL;
}

static void on_terminal(struct play *play, struct side *side, const copse_event *event) {
  if (!side->live) broken(play, "a second terminal");
  play->result->terminals++;
  if (event->type == COPSE_EV_RETURN && !side->stopped && !side->cancelled && side->opener) {
    int64_t sent = -1;
    if (copse_value_int(event->value, &sent) == COPSE_OK && sent >= 0 &&
        (uint64_t)sent != side->received)
      broken(play, "items before a RETURN are missing");
  }
  if (event->type == COPSE_EV_CANCELLED && event->cancelled.asked != side->cancelled)
    broken(play, "CANCELLED does not know whether it was asked for");
  if (event->type == COPSE_EV_WITHDRAWN && !side->cancelled)
    broken(play, "a context was withdrawn that nobody cancelled");
  side->used = side->live = false;
}

static void on_event(struct play *play, int end, const copse_event *event) {
  copse_wire *wire = play->pair.end[end];
  struct side *side;
  if (event->type == COPSE_EV_OPEN) {
    play->result->contexts++;
    if ((side = side_new(play, end))) {
      side->id = event->context;
      side->ended = !event->open.reads;
      side->peer_ended = !event->open.send;
      copse_wire_set_user(wire, event->context, side);
    } else if (copse_wire_refuse(wire, event->context, COPSE_CODE_BUSY, "busy") != COPSE_OK &&
               !play->frail) {
      broken(play, "cannot refuse");
    }
    return;
  }
  switch (event->type) {
  case COPSE_EV_STARTED:
    if ((side = side_of(play, end, event))) {
      if (side->started) broken(play, "STARTED twice");
      side->started = true;
    }
    break;
  case COPSE_EV_ITEM:
    if (!(side = side_of(play, end, event))) break;
    {
      copse_bytes item = {NULL, 0};
      if (copse_value_bin(event->value, &item)) broken(play, "an item of another type");
      else if (!item_is(item, event->context, side->received)) broken(play, "another item");
      if (side->stopped) broken(play, "an item after my STOP");
      if (side->peer_ended) broken(play, "an item after END");
      if (event->item.bytes != event->value.size) broken(play, "an item of another size");
      side->received++;
    }
    break;
  case COPSE_EV_END:
    if ((side = side_of(play, end, event))) {
      if (side->peer_ended) broken(play, "END twice");
      side->peer_ended = true;
    }
    break;
  case COPSE_EV_STOP:
  case COPSE_EV_WRITABLE: (void)side_of(play, end, event); break;
  case COPSE_EV_CANCEL:
    if ((side = side_of(play, end, event))) {
      if (!side->cancelled && event->cancel.again) broken(play, "a first CANCEL called a repeat");
      side->cancelled = true;
      side->cause = event->cancel.cause;
    }
    break;
  case COPSE_EV_RETURN:
  case COPSE_EV_ERROR:
  case COPSE_EV_CANCELLED:
  case COPSE_EV_WITHDRAWN:
    if ((side = side_of(play, end, event))) on_terminal(play, side, event);
    break;
  case COPSE_EV_VIOLATION:
    if (!play->frail || event->violation.code != COPSE_CODE_NO_MEMORY) {
      fprintf(stderr, "# violation %s: %s\n", copse_code_text(event->violation.code),
              event->violation.why);
      broken(play, "a violation");
    }
    play->over[end] = true;
    break;
  case COPSE_EV_CLOSED: play->over[end] = true; break;
  case COPSE_EV_NONE:
  case COPSE_EV_HELLO:
  case COPSE_EV_OPEN:
  case COPSE_EV_PONG:
  case COPSE_EV_BYE: break;
  }
}

static void pull(struct play *play, int end, size_t most) {
  copse_event event;
  while (most-- > 0 && copse_wire_next(play->pair.end[end], &event) != COPSE_EV_NONE)
    on_event(play, end, &event);
  watch(play);
}

/* --- moves ------------------------------------------------------------------------------------ */

static void move_open(struct play *play, int end) {
  struct side *side = side_new(play, end);
  if (!side) return;
  copse_wire_open_args args = {.target = "f", .deadline_ms = -1, .user = side};
  args.send = choose(play, 4) > 0;
  args.reads = choose(play, 4) > 0;
  if (args.reads) args.credit = (copse_credit){choose(play, 6), choose(play, 100000)};
  copse_buf buf;
  copse_buf_init(&buf, 1 << 20, NULL);
  if (choose(play, 2)) {
    static const uint8_t zeros[150000];
    copse_pack_array(&buf, 1);
    copse_pack_bin(&buf, zeros, choose(play, 8) ? choose(play, 50) : choose(play, sizeof zeros));
    args.args = copse_buf_bytes(&buf);
  }
  copse_status status = copse_wire_open(play->pair.end[end], &args, &side->id);
  copse_buf_deinit(&buf);
  *side = (struct side){.used = status == COPSE_OK,
                        .live = status == COPSE_OK,
                        .opener = true,
                        .id = side->id,
                        .given = args.credit,
                        .ended = !args.send,
                        .peer_ended = !args.reads};
  if (status && status != COPSE_ELIMIT && status != COPSE_ECLOSED &&
      !(play->frail && status == COPSE_ENOMEM))
    broken(play, "cannot open");
}

static void terminal(struct play *play, int end, struct side *side) {
  copse_wire *wire = play->pair.end[end];
  copse_status status = COPSE_OK;
  copse_buf buf;
  copse_buf_init(&buf, 1 << 20, NULL);
  switch (choose(play, side->cancelled ? 6 : 4)) {
  case 0: status = copse_wire_refuse(wire, side->id, COPSE_CODE_FAILED, "failed"); break;
  case 4:
  case 5: status = copse_wire_cancelled(wire, side->id, &side->cause, true); break;
  case 1: { /* a result of many frames, which says nothing of items */
    static const uint8_t zeros[180000];
    copse_pack_bin(&buf, zeros, choose(play, sizeof zeros));
    status = copse_wire_return(wire, side->id, copse_buf_bytes(&buf));
    break;
  }
  default: /* tells how many items it sent, which must have arrived */
    copse_pack_int(&buf, side->cancelled ? -1 : (int64_t)side->sent);
    status = copse_wire_return(wire, side->id, copse_buf_bytes(&buf));
  }
  copse_buf_deinit(&buf);
  if (status == COPSE_OK) side->used = side->live = false;
  else if (!play->over[end] &&
           !(play->frail && (status == COPSE_ENOMEM || status == COPSE_ECLOSED)))
    broken(play, "cannot end a context");
}

static void move(struct play *play) {
  const int end = (int)choose(play, 2);
  copse_wire *wire = play->pair.end[end];
  const unsigned what = (unsigned)choose(play, 32);
  static const uint8_t sizes[] = {1, 7, 40, 255};
  if (what < 6) {
    const uint64_t scale = choose(play, 3);
    size_t size = choose(play, sizes[choose(play, 4)]) + 1;
    for (uint64_t i = 0; i < scale; i++) size *= 40;
    test_pair_move(&play->pair, end, size);
    pull(play, !end, choose(play, 2) ? SIZE_MAX : choose(play, 4));
    lent_check(play, end, false);
    return;
  }
  if (what < 9) {
    pull(play, end, SIZE_MAX);
    return;
  }
  if (what < 12) {
    move_open(play, end);
    return;
  }
  if (what == 12) {
    (void)copse_wire_ping(wire, test_nothing);
    return;
  }
  struct side *side = side_pick(play, end);
  if (!side) return;
  if (what < 22) {
    move_send(play, end, side);
  } else if (what < 26) {
    side->given.items += choose(play, 5);
    side->given.bytes += choose(play, 90000);
    (void)copse_wire_credit(wire, side->id, side->given);
  } else if (what == 26) {
    if (choose(play, 3) == 0 && copse_wire_end(wire, side->id) == COPSE_OK) side->ended = true;
  } else if (what == 27) {
    if (choose(play, 3) == 0 && copse_wire_stop(wire, side->id) == COPSE_OK) side->stopped = true;
  } else if (side->opener) {
    if (what == 28 && choose(play, 6) == 0) {
      const copse_cause cause = {.origin = COPSE_ORIGIN_REQUESTED, .message = "enough"};
      if (copse_wire_cancel(wire, side->id, &cause, (int64_t)choose(play, 3000)) == COPSE_OK) {
        play->result->cancels++;
        side->cancelled = side->ended = side->stopped = true;
      }
    }
  } else if (what < 30) {
    if (copse_wire_started(wire, side->id, test_nil) == COPSE_OK) side->started = true;
  } else if (choose(play, 6) == 0) {
    terminal(play, end, side);
  }
}

/* Moves until nothing does. */
static void settle(struct play *play) {
  size_t moved;
  do {
    moved = 0;
    for (int end = 0; end < 2; end++) {
      pull(play, !end, SIZE_MAX); /* it takes no more bytes before */
      size_t now = test_pair_move(&play->pair, end, SIZE_MAX);
      moved += now;
      pull(play, !end, SIZE_MAX);
      pull(play, end, SIZE_MAX);
      lent_check(play, end, false);
    }
  } while (moved > 0);
}

const char *test_play(test_choices *choices, size_t moves, bool frail, test_play_result *result) {
  /* Small limits, so that splitting, parking and refusing happen all the time. */
  const copse_limits limits[2] = {
      {16384 + (uint32_t)test_choose(choices, 3) * 20000, 262144, 16, 1},
      {16384 + (uint32_t)test_choose(choices, 3) * 20000, 262144, 16, 2}};
  struct play *play = calloc(1, sizeof *play);
  if (!play) abort();
  *result = (test_play_result){0};
  play->choices = choices;
  play->result = result;
  play->frail = frail;
  test_pair_init(&play->pair, &limits[0], &limits[1]);
  if (frail) {
    const int end = (int)test_choose(choices, 2);
    play->pair.mem[end].calls = 0;
    play->pair.mem[end].fail_at = 1 + (long)test_choose(choices, 60);
    play->pair.mem[end].fail_after = test_choose(choices, 2);
  }
  for (size_t i = 0; i < moves && !play->broken && !play->over[0] && !play->over[1]; i++) {
    if (choices->data && choices->used >= choices->size) break;
    move(play);
  }
  for (int end = 0; end < 2; end++) play->pair.mem[end].fail_at = 0; /* from here on, enough */
  if (!play->broken && !play->over[0] && !play->over[1]) {
    for (int round = 0; round < 2; round++) {
      settle(play);
      for (int end = 0; end < 2; end++)
        for (int i = 0; i < MOST_CONTEXTS; i++) {
          struct side *side = &play->sides[end][i];
          if (side->used && !side->opener) terminal(play, end, side);
        }
    }
    settle(play);
  }
  if (!play->broken && !play->over[0] && !play->over[1]) {
    copse_wire_info info;
    for (int end = 0; end < 2; end++) {
      copse_wire_get_info(play->pair.end[end], &info);
      if (info.opened || info.serving) broken(play, "a context was left over");
      if (info.unwritten) broken(play, "bytes were left over");
      for (int i = 0; i < MOST_CONTEXTS; i++)
        if (play->sides[end][i].used) broken(play, "a context never ended at its opener");
    }
    (void)copse_wire_bye(play->pair.end[0], COPSE_CODE_NONE, NULL, 0);
    settle(play);
    if (!play->over[0] || !play->over[1]) broken(play, "BYE did not close the link");
  }
  for (int end = 0; end < 2; end++) lent_release(play, end);
  const char *what = play->broken;
  test_pair_deinit(&play->pair);
  free(play);
  return what;
}
