/* SPDX-License-Identifier: MIT
 *
 * Every cell of every state machine, driven for real.
 *
 * For each state an engine is brought into it by frames and calls, then each event of the machine
 * happens to it, and what comes of it is compared with the table: the state it is in afterwards, a
 * violation with code `state`, a frame without effect, a call that is refused, a call that writes
 * nothing. Cells that cannot occur are the only ones left out, and they are counted. */
#include "wire/engine.h"
#include "wire_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An engine with a hand-made peer. */
struct scene {
  copse_wire *wire;
  uint64_t id;
  test_log kinds; /* kinds of the frames it has written */
  copse_event last;
  copse_status status; /* of the local call */
};

static copse_buf frames;

static void give(struct scene *scene, unsigned kind, bool more, uint64_t id, copse_bytes payload) {
  copse_buf_reset(&frames);
  test_frame(&frames, kind, more, id, payload);
  test_give(scene->wire, copse_buf_bytes(&frames), SIZE_MAX);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
  copse_event event;
  while (copse_wire_next(scene->wire, &event) != COPSE_EV_NONE)
    if (scene->last.type == COPSE_EV_NONE) scene->last = event;
}

/* Notes the kinds of frames among what the engine has written, at most `most` views of it. */
static void take(struct scene *scene) {
  copse_bytes out = test_take(scene->wire);
  for (size_t at = 0; at + COPSE_HEADER_SIZE <= out.size;) {
    copse__frame frame;
    copse__frame_read(out.data + at, &frame);
    test_log_add(&scene->kinds, "%s%s ", copse_kind_name(frame.kind), frame.more ? "+" : "");
    at += COPSE_HEADER_SIZE + frame.length;
  }
  free((void *)(uintptr_t)out.data);
}

static void take_fragment(struct scene *scene) {
  copse_bytes view;
  size_t count = copse_wire_out(scene->wire, &view, 1);
  if (count) copse_wire_out_done(scene->wire, view.size);
}

static void scene_init(struct scene *scene, bool connector, bool hello) {
  copse_ref self = test_ref("engine", 1);
  copse_wire_config config = test_config(connector, &self);
  *scene = (struct scene){.status = COPSE_OK};
  assert_int_equal(copse_wire_new(&scene->wire, &config), COPSE_OK);
  if (!hello) return;
  copse_buf_reset(&frames);
  test_hello(&frames, NULL);
  test_give(scene->wire, copse_buf_bytes(&frames), SIZE_MAX);
  (void)test_expect(scene->wire, COPSE_EV_HELLO);
  if (!connector) assert_int_equal(copse_wire_accept(scene->wire), COPSE_OK);
  take(scene);
  test_log_reset(&scene->kinds);
}

static void scene_deinit(struct scene *scene) {
  copse_wire_free(scene->wire);
  test_log_deinit(&scene->kinds);
}

static const copse_cause cause = {.origin = COPSE_ORIGIN_REQUESTED};
static const copse_credit some = {10, 10000};

static copse_bytes payload_of(unsigned kind, uint8_t *bytes, size_t size) {
  switch (kind) {
  case COPSE_KIND_STARTED:
  case COPSE_KIND_ITEM:
  case COPSE_KIND_RETURN:
  case COPSE_KIND_PING:
  case COPSE_KIND_PONG: return test_nil;
  case COPSE_KIND_CREDIT: return test_hex("92 63 cd ffff", bytes, size);
  case COPSE_KIND_CANCEL:
    return TEST_BYTES("\x81\xa6origin\xa5"
                      "error");
  case COPSE_KIND_CANCELLED:
    return TEST_BYTES("\x82\xa6origin\xa5"
                      "error\xa3ran\xc2");
  case COPSE_KIND_ERROR:
    return TEST_BYTES("\x82\xa4"
                      "code\xa6"
                      "failed\xa7message\xa0");
  case COPSE_KIND_OPEN:
    return TEST_BYTES("\x83\xa6target\xa1"
                      "f\xa4send\xc3\xa6"
                      "credit\x92\x0a\xcd\x27\x10");
  case COPSE_KIND_BYE:
    return TEST_BYTES("\x81\xa4"
                      "code\xa4none");
  default: return test_nothing;
  }
}

static void give_kind(struct scene *scene, unsigned kind) {
  uint8_t bytes[64];
  give(scene, kind, false, scene->id, payload_of(kind, bytes, sizeof bytes));
}

/* --- judging ---------------------------------------------------------------------------------- */

static const char *outcome_of(uint8_t cell) {
  switch (cell) {
  case COPSE__VIOLATION: return "violation state";
  case COPSE__IGNORED: return "ignored";
  case COPSE__MISUSE: return "misuse";
  case COPSE__NOTHING: return "nothing";
  default: return "moves";
  }
}

/* What has come of a frame or a call: `state` is where the machine is now. */
static void judge(const copse__machine *machine, unsigned from, unsigned event, struct scene *scene,
                  bool local, unsigned state) {
  const uint8_t cell = machine->cells[from * machine->events + event];
  const char *what = "moves";
  /* While OPEN is unfinished, fragments are judged before the life is, and fail it already. */
  const bool unfinished = machine->cells == copse__callee[0] && from == COPSE__CALLEE_OPENING &&
                          scene->last.type == COPSE_EV_VIOLATION &&
                          scene->last.violation.code == COPSE_CODE_FRAME;
  if (scene->last.type == COPSE_EV_VIOLATION)
    what = unfinished                                       ? "violation state"
           : scene->last.violation.code == COPSE_CODE_STATE ? "violation state"
                                                            : "another violation";
  else if (cell == COPSE__IGNORED && scene->last.type == COPSE_EV_NONE && state == from)
    what = "ignored";
  else if (local && scene->status && scene->status != COPSE_ENOMORE) what = "misuse";
  else if (cell == COPSE__NOTHING && test_log_text(&scene->kinds)[0] == 0) what = "nothing";
  if (strcmp(what, outcome_of(cell)) != 0)
    fail_msg("%s, %s on %s: %s (%s), the table says %s", machine->name, machine->state_names[from],
             machine->event_names[event], what, copse_status_name(scene->status), outcome_of(cell));
  if (cell < machine->states && state != cell)
    fail_msg("%s, %s on %s: now %s, the table says %s", machine->name, machine->state_names[from],
             machine->event_names[event], machine->state_names[state], machine->state_names[cell]);
}

/* --- opener ----------------------------------------------------------------------------------- */

static void open_large(struct scene *scene) {
  static uint8_t body[200000] = {0x91, 0xc6, 0, 3, 0x0d, 0x3a};
  copse_wire_open_args args = {.target = "f", .send = true, .reads = true, .deadline_ms = -1};
  args.credit = some;
  args.args = (copse_bytes){body, sizeof body};
  assert_int_equal(copse_wire_open(scene->wire, &args, &scene->id), COPSE_OK);
}

static void open_small(struct scene *scene) {
  copse_wire_open_args args = {.target = "f", .send = true, .reads = true, .deadline_ms = -1};
  args.credit = some;
  assert_int_equal(copse_wire_open(scene->wire, &args, &scene->id), COPSE_OK);
}

static unsigned opener_state(const struct scene *scene) {
  const copse__context *ctx = copse__context_find(scene->wire, scene->id);
  if (ctx && !ctx->withdrawn) return ctx->life;
  return scene->id < scene->wire->next_id ? COPSE__OPENER_ENDED : COPSE__OPENER_UNOPENED;
}

static void opener_in(struct scene *scene, unsigned state, bool cancelled) {
  scene_init(scene, true, true);
  scene->id = 1;
  if (state == COPSE__OPENER_UNOPENED) return;
  if (state == COPSE__OPENER_OPENING) {
    open_large(scene);
    take_fragment(scene);
  } else {
    open_small(scene);
    if (state == COPSE__OPENER_STARTED) give_kind(scene, COPSE_KIND_STARTED);
    give_kind(scene, COPSE_KIND_CREDIT);
  }
  if (cancelled) {
    assert_int_equal(copse_wire_cancel(scene->wire, scene->id, &cause, -1), COPSE_OK);
    if (state != COPSE__OPENER_OPENING) take(scene);
  }
  if (state == COPSE__OPENER_ENDED) give_kind(scene, COPSE_KIND_RETURN);
  if (state != COPSE__OPENER_OPENING) take(scene);
  test_log_reset(&scene->kinds);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
  assert_int_equal(opener_state(scene), state);
}

static void opener_event(struct scene *scene, unsigned state, unsigned event) {
  static const unsigned kinds[] = {COPSE_KIND_STARTED, COPSE_KIND_ITEM,      COPSE_KIND_END,
                                   COPSE_KIND_STOP,    COPSE_KIND_CREDIT,    COPSE_KIND_RETURN,
                                   COPSE_KIND_ERROR,   COPSE_KIND_CANCELLED, COPSE_KIND_CANCELLED};
  copse_wire *wire = scene->wire;
  if (event < sizeof kinds / sizeof *kinds) {
    give_kind(scene, kinds[event]);
    return;
  }
  const bool unopened = state == COPSE__OPENER_UNOPENED;
  switch (event) {
  case COPSE__OPENER_ON_SEND_OPEN_MORE:
    if (unopened) open_large(scene);
    if (state > COPSE__OPENER_OPENING) scene->status = COPSE_ESTATE; /* no call can ask for it */
    take_fragment(scene);
    break;
  case COPSE__OPENER_ON_SEND_OPEN:
    if (unopened) open_small(scene);
    if (state > COPSE__OPENER_OPENING) scene->status = COPSE_ESTATE;
    take(scene);
    break;
  case COPSE__OPENER_ON_SEND_ITEM:
    scene->status = copse_wire_send(wire, scene->id, &test_nil, 1, 0);
    if (scene->status == COPSE_EAGAIN && state >= COPSE__OPENER_WAITING) scene->status = COPSE_OK;
    break;
  case COPSE__OPENER_ON_SEND_END:
    scene->status = copse_wire_end(wire, scene->id);
    if (state == COPSE__OPENER_OPENING) { /* it is kept until OPEN is complete */
      take_fragment(scene);
      take(scene);
      const char *end = strstr(test_log_text(&scene->kinds), "END");
      assert_non_null(end);
      assert_null(strstr(end, "OPEN"));
      test_log_reset(&scene->kinds);
      scene->status = COPSE_ESTATE;
    }
    break;
  case COPSE__OPENER_ON_SEND_STOP: scene->status = copse_wire_stop(wire, scene->id); break;
  case COPSE__OPENER_ON_SEND_CREDIT:
    scene->status = copse_wire_credit(wire, scene->id, (copse_credit){20, 20000});
    break;
  case COPSE__OPENER_ON_SEND_CANCEL:
    if (unopened) { /* an OPEN that nothing was sent of */
      open_large(scene);
      const uint64_t first = scene->id;
      open_small(scene);
      take_fragment(scene);
      assert_int_equal(scene->id, first + 2);
    }
    scene->status = copse_wire_cancel(wire, scene->id, &cause, -1);
    break;
  default: /* loss */
    copse_wire_eof(wire);
    while (copse_wire_next(wire, &scene->last) != COPSE_EV_NONE) {
    }
    scene->status = copse_wire_end(wire, scene->id);
    assert_int_equal(scene->status, COPSE_ECLOSED);
    scene->status = COPSE_OK;
  }
  /* After its end a call for a context is told that there is none, which writes nothing. */
  if (state == COPSE__OPENER_ENDED && scene->status == COPSE_EUNKNOWN &&
      copse__opener[state][event] == COPSE__NOTHING)
    scene->status = COPSE_OK;
}

static void every_cell_of_the_life_at_the_opener(void **unused) {
  (void)unused;
  const copse__machine *machine = &copse__machines[0];
  unsigned driven = 0, never = 0;
  for (unsigned state = 0; state < machine->states; state++)
    for (unsigned event = 0; event < machine->events; event++) {
      if (copse__opener[state][event] == COPSE__NEVER) {
        never++;
        continue;
      }
      struct scene scene;
      opener_in(&scene, state, event == COPSE__OPENER_ON_CANCELLED_ASKED);
      opener_event(&scene, state, event);
      const bool local = event >= COPSE__OPENER_ON_SEND_OPEN_MORE;
      unsigned now = event == COPSE__OPENER_ON_LOSS ? COPSE__OPENER_ENDED : opener_state(&scene);
      if (local && event > COPSE__OPENER_ON_SEND_OPEN && event < COPSE__OPENER_ON_LOSS &&
          state >= COPSE__OPENER_WAITING)
        take(&scene);
      judge(machine, state, event, &scene, local, now);
      scene_deinit(&scene);
      driven++;
    }
  assert_int_equal(driven + never, machine->states * machine->events);
  assert_int_equal(never, 1);
}

/* --- callee ----------------------------------------------------------------------------------- */

static unsigned callee_state(const struct scene *scene) {
  const copse__context *ctx = copse__context_find(scene->wire, scene->id);
  if (ctx) return ctx->life;
  return scene->id <= scene->wire->highest_id ? COPSE__CALLEE_ENDED : COPSE__CALLEE_UNOPENED;
}

static void callee_in(struct scene *scene, unsigned state, bool cancelled) {
  scene_init(scene, false, true);
  scene->id = 1;
  const copse_bytes open = payload_of(COPSE_KIND_OPEN, NULL, 0);
  if (state == COPSE__CALLEE_UNOPENED) return;
  if (state == COPSE__CALLEE_OPENING) {
    give(scene, COPSE_KIND_OPEN, true, scene->id, (copse_bytes){open.data, 10});
  } else {
    give_kind(scene, COPSE_KIND_OPEN);
    if (state == COPSE__CALLEE_STARTED)
      assert_int_equal(copse_wire_started(scene->wire, scene->id, test_nil), COPSE_OK);
    assert_int_equal(copse_wire_credit(scene->wire, scene->id, some), COPSE_OK);
    take(scene);
    if (cancelled) give_kind(scene, COPSE_KIND_CANCEL);
    if (state == COPSE__CALLEE_ENDED)
      assert_int_equal(copse_wire_return(scene->wire, scene->id, test_nil), COPSE_OK);
    take(scene);
  }
  test_log_reset(&scene->kinds);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
  assert_int_equal(callee_state(scene), state);
}

static void callee_event(struct scene *scene, unsigned state, unsigned event) {
  static const unsigned kinds[] = {COPSE_KIND_OPEN,  COPSE_KIND_OPEN, COPSE_KIND_ITEM,
                                   COPSE_KIND_END,   COPSE_KIND_STOP, COPSE_KIND_CREDIT,
                                   COPSE_KIND_CANCEL};
  copse_wire *wire = scene->wire;
  const copse_bytes open = payload_of(COPSE_KIND_OPEN, NULL, 0);
  if (event <= COPSE__CALLEE_ON_OPEN) {
    const bool more = event == COPSE__CALLEE_ON_OPEN_MORE;
    const size_t from = state == COPSE__CALLEE_OPENING ? 10 : 0;
    const size_t size = more ? 10 : open.size - from;
    give(scene, COPSE_KIND_OPEN, more, scene->id, (copse_bytes){open.data + from, size});
    return;
  }
  if (event < sizeof kinds / sizeof *kinds) {
    give_kind(scene, kinds[event]);
    return;
  }
  switch (event) {
  case COPSE__CALLEE_ON_SEND_STARTED:
    scene->status = copse_wire_started(wire, scene->id, test_nil);
    break;
  case COPSE__CALLEE_ON_SEND_ITEM:
    scene->status = copse_wire_send(wire, scene->id, &test_nil, 1, 0);
    break;
  case COPSE__CALLEE_ON_SEND_END: scene->status = copse_wire_end(wire, scene->id); break;
  case COPSE__CALLEE_ON_SEND_STOP: scene->status = copse_wire_stop(wire, scene->id); break;
  case COPSE__CALLEE_ON_SEND_CREDIT:
    scene->status = copse_wire_credit(wire, scene->id, (copse_credit){20, 20000});
    break;
  case COPSE__CALLEE_ON_SEND_RETURN:
    scene->status = copse_wire_return(wire, scene->id, test_nil);
    break;
  case COPSE__CALLEE_ON_SEND_ERROR:
    scene->status = copse_wire_refuse(wire, scene->id, COPSE_CODE_FAILED, "x");
    break;
  case COPSE__CALLEE_ON_SEND_CANCELLED:
  case COPSE__CALLEE_ON_SEND_CANCELLED_DUE:
    scene->status = copse_wire_cancelled(wire, scene->id, &cause, true);
    break;
  default: /* loss */
    copse_wire_eof(wire);
    while (copse_wire_next(wire, &scene->last) != COPSE_EV_NONE) {
    }
    assert_int_equal(copse_wire_return(wire, scene->id, test_nil), COPSE_ECLOSED);
  }
  if (state == COPSE__CALLEE_ENDED && scene->status == COPSE_EUNKNOWN &&
      copse__callee[state][event] == COPSE__NOTHING)
    scene->status = COPSE_OK;
}

static void every_cell_of_the_life_at_the_callee(void **unused) {
  (void)unused;
  const copse__machine *machine = &copse__machines[1];
  unsigned driven = 0, never = 0, callers = 0;
  for (unsigned state = 0; state < machine->states; state++)
    for (unsigned event = 0; event < machine->events; event++) {
      if (copse__callee[state][event] == COPSE__NEVER) {
        never++;
        continue;
      }
      /* Whether a deadline or a shutdown has cancelled the context is known to the caller alone,
       * and so is whether CANCELLED without CANCEL is due. */
      const bool alive = state == COPSE__CALLEE_RUNNING || state == COPSE__CALLEE_STARTED;
      if (event == COPSE__CALLEE_ON_CANCELLED ||
          (event == COPSE__CALLEE_ON_SEND_CANCELLED && alive)) {
        callers++;
        continue;
      }
      struct scene scene;
      callee_in(&scene, state, event == COPSE__CALLEE_ON_SEND_CANCELLED_DUE);
      callee_event(&scene, state, event);
      const bool local = event >= COPSE__CALLEE_ON_SEND_STARTED;
      unsigned now = event == COPSE__CALLEE_ON_LOSS ? COPSE__CALLEE_ENDED : callee_state(&scene);
      if (local && event < COPSE__CALLEE_ON_LOSS) take(&scene);
      judge(machine, state, event, &scene, local, now);
      scene_deinit(&scene);
      driven++;
    }
  assert_int_equal(driven + never + callers, machine->states * machine->events);
  assert_int_equal(never, 4);
  assert_int_equal(callers, 6);
}

/* --- halves ----------------------------------------------------------------------------------- */

/* A context that I serve, started, whose halves are in these states. */
static void half_in(struct scene *scene, unsigned out, unsigned in) {
  callee_in(scene, out == COPSE__HALF_STOPPED ? COPSE__CALLEE_RUNNING : COPSE__CALLEE_STARTED,
            false);
  if (out == COPSE__HALF_STOPPED) give_kind(scene, COPSE_KIND_STOP);
  if (out == COPSE__HALF_ENDED) assert_int_equal(copse_wire_end(scene->wire, scene->id), COPSE_OK);
  if (in == COPSE__HALF_STOPPED)
    assert_int_equal(copse_wire_stop(scene->wire, scene->id), COPSE_OK);
  if (in == COPSE__HALF_ENDED) give_kind(scene, COPSE_KIND_END);
  take(scene);
  test_log_reset(&scene->kinds);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
}

/* The same at the opener, for what only an opener does. */
static void half_in_opener(struct scene *scene, unsigned out, unsigned in) {
  opener_in(scene, COPSE__OPENER_STARTED, false);
  if (out == COPSE__HALF_ENDED) assert_int_equal(copse_wire_end(scene->wire, scene->id), COPSE_OK);
  if (in == COPSE__HALF_STOPPED)
    assert_int_equal(copse_wire_stop(scene->wire, scene->id), COPSE_OK);
  if (in == COPSE__HALF_ENDED) give_kind(scene, COPSE_KIND_END);
  take(scene);
  test_log_reset(&scene->kinds);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
}

static void every_cell_of_the_half_that_sends(void **unused) {
  (void)unused;
  const copse__machine *machine = &copse__machines[2];
  for (unsigned state = 0; state < machine->states; state++)
    for (unsigned event = 0; event < machine->events; event++) {
      struct scene scene;
      const bool opener = event == COPSE__OUT_ON_SEND_CANCEL;
      if (opener && state == COPSE__HALF_STOPPED) {
        /* An opener answers STOP at once, so its half is never found there: the END comes first. */
        opener_in(&scene, COPSE__OPENER_STARTED, false);
        give_kind(&scene, COPSE_KIND_STOP);
        take(&scene);
        assert_string_equal(test_log_text(&scene.kinds), "END ");
        scene_deinit(&scene);
        continue;
      }
      if (opener) half_in_opener(&scene, state, COPSE__HALF_OPEN);
      else half_in(&scene, state, COPSE__HALF_OPEN);
      bool local = true;
      switch (event) {
      case COPSE__OUT_ON_SEND_ITEM:
        if (state == COPSE__HALF_STOPPED) { /* an item may go only after STARTED */
          assert_int_equal(copse_wire_started(scene.wire, scene.id, test_nil), COPSE_OK);
          take(&scene);
          assert_string_equal(test_log_text(&scene.kinds), "STARTED END ");
          test_log_reset(&scene.kinds);
        }
        scene.status = copse_wire_send(scene.wire, scene.id, &test_nil, 1, 0);
        if (state == COPSE__HALF_STOPPED) assert_int_equal(scene.status, COPSE_ENOMORE);
        break;
      case COPSE__OUT_ON_SEND_END:
        if (state == COPSE__HALF_STOPPED) { /* the engine sends it */
          scene.status = copse_wire_started(scene.wire, scene.id, test_nil);
        } else {
          scene.status = copse_wire_end(scene.wire, scene.id);
          /* A second END is granted to the caller, who is not to keep count: but
           * none is written. */
          if (state == COPSE__HALF_ENDED) {
            take(&scene);
            assert_string_equal(test_log_text(&scene.kinds), "");
            scene.status = COPSE_ESTATE;
          }
        }
        break;
      case COPSE__OUT_ON_SEND_CANCEL:
        scene.status = copse_wire_cancel(scene.wire, scene.id, &cause, -1);
        break;
      case COPSE__OUT_ON_TERMINAL:
        scene.status = copse_wire_return(scene.wire, scene.id, test_nil);
        break;
      default: {
        static const unsigned kinds[] = {[COPSE__OUT_ON_STOP] = COPSE_KIND_STOP,
                                         [COPSE__OUT_ON_CREDIT] = COPSE_KIND_CREDIT,
                                         [COPSE__OUT_ON_CANCEL] = COPSE_KIND_CANCEL};
        local = false;
        give_kind(&scene, kinds[event]);
      }
      }
      const copse__context *ctx = copse__context_find(scene.wire, scene.id);
      assert_non_null(ctx);
      unsigned now = ctx->out;
      /* STOPPED is passed through at once where nothing defers the END. */
      if (event == COPSE__OUT_ON_STOP && state == COPSE__HALF_OPEN) {
        assert_int_equal(now, COPSE__HALF_ENDED);
        take(&scene);
        assert_string_equal(test_log_text(&scene.kinds), "END ");
        now = COPSE__HALF_STOPPED;
      }
      judge(machine, state, event, &scene, local, now);
      scene_deinit(&scene);
    }
}

static void every_cell_of_the_half_that_receives(void **unused) {
  (void)unused;
  const copse__machine *machine = &copse__machines[3];
  for (unsigned state = 0; state < machine->states; state++)
    for (unsigned event = 0; event < machine->events; event++) {
      struct scene scene;
      if (event == COPSE__IN_ON_SEND_CANCEL) half_in_opener(&scene, COPSE__HALF_OPEN, state);
      else half_in(&scene, COPSE__HALF_OPEN, state);
      bool local = true;
      switch (event) {
      case COPSE__IN_ON_ITEM:
      case COPSE__IN_ON_END:
      case COPSE__IN_ON_CANCEL:
        local = false;
        give_kind(&scene, event == COPSE__IN_ON_ITEM  ? COPSE_KIND_ITEM
                          : event == COPSE__IN_ON_END ? COPSE_KIND_END
                                                      : COPSE_KIND_CANCEL);
        if (event == COPSE__IN_ON_ITEM)
          assert_true((scene.last.type == COPSE_EV_ITEM) == (state == COPSE__HALF_OPEN));
        break;
      case COPSE__IN_ON_SEND_STOP: scene.status = copse_wire_stop(scene.wire, scene.id); break;
      case COPSE__IN_ON_SEND_CREDIT:
        scene.status = copse_wire_credit(scene.wire, scene.id, (copse_credit){20, 20000});
        break;
      case COPSE__IN_ON_SEND_CANCEL:
        scene.status = copse_wire_cancel(scene.wire, scene.id, &cause, -1);
        break;
      default: scene.status = copse_wire_return(scene.wire, scene.id, test_nil);
      }
      const copse__context *ctx = copse__context_find(scene.wire, scene.id);
      assert_non_null(ctx);
      const unsigned now = ctx->in;
      if (local && event != COPSE__IN_ON_TERMINAL) take(&scene);
      judge(machine, state, event, &scene, local, now);
      scene_deinit(&scene);
    }
}

/* --- link ------------------------------------------------------------------------------------- */

static void link_in(struct scene *scene, unsigned state) {
  scene_init(scene, false, state != COPSE__LINK_HELLO);
  scene->id = 0;
  if (state == COPSE__LINK_OPEN || state == COPSE__LINK_CLOSING) {
    /* Something is open, so that BYE does not close it at once. */
    scene->id = 1;
    give_kind(scene, COPSE_KIND_OPEN);
    scene->id = 0;
  }
  if (state == COPSE__LINK_CLOSING) give_kind(scene, COPSE_KIND_BYE);
  if (state == COPSE__LINK_CLOSED)
    assert_int_equal(copse_wire_bye(scene->wire, COPSE_CODE_INTERNAL, "x", 0), COPSE_OK);
  take(scene);
  copse_event event;
  while (copse_wire_next(scene->wire, &event) != COPSE_EV_NONE) {
  }
  test_log_reset(&scene->kinds);
  scene->last = (copse_event){.type = COPSE_EV_NONE};
  assert_int_equal(scene->wire->link, state);
}

static void every_cell_of_the_link(void **unused) {
  (void)unused;
  const copse__machine *machine = &copse__machines[4];
  unsigned driven = 0;
  for (unsigned state = 0; state < machine->states; state++)
    for (unsigned event = 0; event < machine->events; event++) {
      const uint8_t cell = copse__link[state][event];
      if (cell == COPSE__NEVER) continue;
      struct scene scene;
      link_in(&scene, state);
      bool local = false;
      switch (event) {
      case COPSE__LINK_ON_HELLO:
        copse_buf_reset(&frames);
        test_hello(&frames, NULL);
        test_give(scene.wire, copse_buf_bytes(&frames), SIZE_MAX);
        (void)copse_wire_next(scene.wire, &scene.last);
        if (scene.last.type == COPSE_EV_HELLO)
          assert_int_equal(copse_wire_accept(scene.wire), COPSE_OK);
        break;
      case COPSE__LINK_ON_BYE:
        give_kind(&scene, COPSE_KIND_BYE);
        if (cell < machine->states) assert_true(scene.wire->bye_sent);
        break;
      case COPSE__LINK_ON_BYE_CODE:
        give(&scene, COPSE_KIND_BYE, false, 0,
             TEST_BYTES("\x81\xa4"
                        "code\xa5"
                        "state"));
        break;
      case COPSE__LINK_ON_PING:
        give_kind(&scene, COPSE_KIND_PING);
        take(&scene);
        if (cell < machine->states) assert_string_equal(test_log_text(&scene.kinds), "PONG ");
        break;
      case COPSE__LINK_ON_PONG: give_kind(&scene, COPSE_KIND_PONG); break;
      case COPSE__LINK_ON_OPEN:
        scene.id = 3;
        give_kind(&scene, COPSE_KIND_OPEN);
        take(&scene);
        if (state == COPSE__LINK_CLOSING)
          assert_string_equal(test_log_text(&scene.kinds), "ERROR ");
        if (state == COPSE__LINK_OPEN) assert_int_equal(scene.last.type, COPSE_EV_OPEN);
        break;
      case COPSE__LINK_ON_OTHER:
        scene.id = 1;
        give_kind(&scene, COPSE_KIND_CANCEL);
        break;
      case COPSE__LINK_ON_SEND_BYE:
        local = true;
        scene.status = copse_wire_bye(scene.wire, COPSE_CODE_NONE, NULL, 0);
        if (state == COPSE__LINK_CLOSED) {
          assert_int_equal(scene.status, COPSE_ECLOSED);
          take(&scene);
          scene.status = COPSE_OK;
        }
        break;
      case COPSE__LINK_ON_IDLE:
        assert_int_equal(copse_wire_return(scene.wire, 1, test_nil), COPSE_OK);
        take(&scene);
        (void)test_expect(scene.wire, COPSE_EV_CLOSED);
        break;
      case COPSE__LINK_ON_FAULT:
        local = true; /* a limit of time of its own, say */
        (void)copse_wire_bye(scene.wire, COPSE_CODE_TIMEOUT, "too slow", 0);
        break;
      default: copse_wire_eof(scene.wire); (void)copse_wire_next(scene.wire, &scene.last);
      }
      judge(machine, state, event, &scene, local, scene.wire->link);
      scene_deinit(&scene);
      driven++;
    }
  assert_int_equal(driven, machine->states * machine->events - 3);
}

int main(void) {
  copse_buf_init(&frames, 1 << 20, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cell_of_the_life_at_the_opener),
      cmocka_unit_test(every_cell_of_the_life_at_the_callee),
      cmocka_unit_test(every_cell_of_the_half_that_sends),
      cmocka_unit_test(every_cell_of_the_half_that_receives),
      cmocka_unit_test(every_cell_of_the_link),
  };
  int failed = cmocka_run_group_tests_name("cells of the state machines", tests, NULL, NULL);
  copse_buf_deinit(&frames);
  return failed;
}
