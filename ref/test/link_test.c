/* SPDX-License-Identifier: MIT
 *
 * A link's whole life: greeting, silence, loss, violation, the graceful end; and
 * what copse_pump does in the middle of user code. Where a conforming peer would be
 * in the way, the other end is a bare descriptor. */
#include "runtime_core_pair.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a link whose other end is the test ------------------------------------------------------- */

typedef struct bare {
  copse *rt;
  copse__link *link;
  copse_peer *peer; /* who is expected, or NULL */
  int fd;           /* the test's end */
  bool opened, lost, graceful;
  copse_error *error;
} bare;

static void on_opened(copse__link *link) { ((bare *)link->owner)->opened = true; }

static void on_lost(copse__link *link, copse_error *error, bool graceful) {
  bare *b = link->owner;
  b->lost = true;
  b->graceful = graceful;
  b->error = copse_error_ref(error);
  b->link = NULL;
}

static const copse__link_hooks hooks = {.opened = on_opened, .lost = on_lost};

static void bare_begin(bare *b, bool connector, int64_t hello_ms, uint32_t heartbeat_ms) {
  int fds[2];
  memset(b, 0, sizeof *b);
  alarm(120);
  b->rt = pair_alone();
  b->rt->phase = COPSE__READY;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  b->fd = fds[1];
  assert_int_equal(fcntl(b->fd, F_SETFL, O_NONBLOCK), 0);
  copse__link_options o = {.rfd = fds[0],
                           .wfd = fds[0],
                           .connector = connector,
                           .from = COPSE_FROM_LOCAL,
                           .heartbeat_ms = heartbeat_ms,
                           .hello_ms = hello_ms,
                           .hooks = &hooks,
                           .owner = b};
  assert_int_equal(copse__link_new(b->rt, &o, &b->link), COPSE_OK);
}

static void bare_end(bare *b) {
  if (b->fd >= 0) close(b->fd);
  copse_error_unref(b->error);
  copse__core_free(b->rt);
  alarm(0);
}

static void until(bare *b, const bool *flag) {
  while (!*flag) pair_turn(b->rt->loop);
}

static void until_no_links(bare *b) {
  while (!copse__list_empty(&b->rt->links)) pair_turn(b->rt->loop);
}

/* The engine of the test's end. */
typedef struct tongue {
  copse_wire *wire;
  copse_ref self;
  bool hello;
  char bye[32]; /* the code of the BYE that came */
} tongue;

static void tongue_begin(tongue *t, bool connector) {
  memset(t, 0, sizeof *t);
  t->self.id[0] = 0x77;
  memcpy(t->self.name, "test", 5);
  copse_wire_config config = {.connector = connector,
                              .self = &t->self,
                              .features = COPSE_FEATURES_ALL,
                              .heartbeat_ms = 1000};
  assert_int_equal(copse_wire_new(&t->wire, &config), COPSE_OK);
}

/* Writes at most `max` bytes of what the engine has to say. */
static size_t say(tongue *t, int fd, size_t max) {
  copse_bytes view;
  size_t said = 0;
  while (said < max && copse_wire_out(t->wire, &view, 1)) {
    size_t size = view.size < max - said ? view.size : max - said;
    ssize_t n = write(fd, view.data, size);
    assert_true(n > 0);
    copse_wire_out_done(t->wire, (size_t)n);
    said += (size_t)n;
  }
  return said;
}

/* Reads what there is. */
static void hear(tongue *t, int fd) {
  copse_event event;
  uint8_t bytes[4096];
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) > 0) {
    for (size_t at = 0; at < (size_t)n;) {
      size_t taken = copse_wire_recv(t->wire, bytes + at, (size_t)n - at);
      at += taken;
      while (copse_wire_next(t->wire, &event) != COPSE_EV_NONE) {
        t->hello |= event.type == COPSE_EV_HELLO;
        if (event.type == COPSE_EV_BYE)
          snprintf(t->bye, sizeof t->bye, "%.*s", (int)event.bye.code.size,
                   (const char *)event.bye.code.data);
      }
      if (!taken) break;
    }
  }
}

static void greet(bare *b, tongue *t) {
  tongue_begin(t, true);
  say(t, b->fd, SIZE_MAX);
  until(b, &b->opened);
  while (!t->hello) {
    pair_turn(b->rt->loop);
    hear(t, b->fd);
  }
}

/* --- greeting --------------------------------------------------------------------------------- */

static void
a_peer_that_leaves_at_any_byte_of_its_hello_is_a_lost_link_and_nothing_more(void **state) {
  tongue t;
  (void)state;
  tongue_begin(&t, true);
  copse_bytes hello;
  assert_int_equal(copse_wire_out(t.wire, &hello, 1), 1);
  int fds = pair_count_fds();
  for (size_t cut = 0; cut < hello.size; cut++) {
    bare b;
    bare_begin(&b, false, -1, 0);
    if (cut) assert_int_equal(write(b.fd, hello.data, cut), cut);
    close(b.fd);
    b.fd = -1;
    until(&b, &b.lost);
    assert_false(b.opened);
    assert_false(b.graceful);
    bare_end(&b);
  }
  copse_wire_free(t.wire);
  assert_int_equal(pair_count_fds(), fds);
}

static void a_peer_that_leaves_right_after_its_hello_was_there(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 0);
  tongue_begin(&t, true);
  say(&t, b.fd, SIZE_MAX);
  close(b.fd);
  b.fd = -1;
  until(&b, &b.lost);
  assert_true(b.opened);
  assert_false(b.graceful);
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void a_peer_that_dies_without_having_read_is_lost_after_what_it_said(void **state) {
  bare b;
  tongue t;
  char byte;
  (void)state;
  bare_begin(&b, false, -1, 0);
  tongue_begin(&t, true);
  say(&t, b.fd, SIZE_MAX);
  until(&b, &b.opened);
  while (recv(b.fd, &byte, 1, MSG_PEEK) != 1) pair_turn(b.rt->loop);
  /* Both at once, so that one poll tells of a byte and of an error. */
  assert_int_equal(write(b.fd, "", 1), 1);
  close(b.fd);
  b.fd = -1;
  until(&b, &b.lost);
  assert_false(b.graceful);
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void a_peer_that_says_nothing_is_told_timeout(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, 10, 0);
  tongue_begin(&t, true);
  until(&b, &b.lost);
  hear(&t, b.fd);
  assert_string_equal(t.bye, "timeout");
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void bytes_that_are_no_hello_are_a_violation_and_can_be_quoted(void **state) {
  bare b;
  (void)state;
  bare_begin(&b, true, -1, 0);
  copse__link *link = copse__link_ref(b.link);
  assert_int_equal(write(b.fd, "Usage: frobnicate [-v] FILE...\n", 31), 31);
  until(&b, &b.lost);
  close(b.fd);
  b.fd = -1;
  until_no_links(&b); /* all that came is heard, though nothing of it is believed */
  assert_memory_equal(link->first, "Usage: frobnicate", 17);
  assert_int_equal(link->first_size, 31);
  copse__link_unref(link);
  bare_end(&b);
}

static void another_actor_than_expected_is_told_wrong_actor(void **state) {
  bare b;
  tongue t;
  copse_ref expected = {.id = {1}, .name = "expected"};
  (void)state;
  bare_begin(&b, false, -1, 0);
  copse_peer *peer = copse__peer_new(b.rt, &expected);
  copse__link_bind(b.link, peer);
  tongue_begin(&t, true);
  say(&t, b.fd, SIZE_MAX);
  until(&b, &b.lost);
  hear(&t, b.fd);
  assert_string_equal(t.bye, "wrong_actor");
  copse__peer_unref(peer);
  copse_wire_free(t.wire);
  bare_end(&b);
}

/* --- loss ------------------------------------------------------------------------------------- */

typedef struct counted {
  int dones, cancels;
  copse_origin origin;
  copse_context *ctx;
  copse_code code;
} counted;

static bool count_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  counted *c = arg;
  (void)ctx;
  c->dones++;
  if (outcome->error) c->code = copse_error_get(outcome->error)->known;
  return true;
}

static void count_cancel(copse_context *ctx, void *arg) {
  counted *c = arg;
  c->cancels++;
  c->origin = copse_scope_cause(copse_context_scope(ctx))->origin;
  copse_cancelled(ctx);
}

static void ignore_cancel(copse_context *ctx, void *arg) {
  (void)ctx;
  (void)arg;
}

static void serve_counted(copse_context *ctx, copse_bytes args, void *arg) {
  counted *c = arg;
  copse_context_cbs cbs = {.cancel = count_cancel, .done = count_done};
  (void)args;
  c->ctx = ctx;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, c);
}

static copse_context *open_counted(copse_peer *peer, copse_scope *scope, const char *target,
                                   counted *c, bool send) {
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = target;
  o.send = send;
  o.cbs.done = count_done;
  o.data = c;
  assert_int_equal(copse_open(peer, scope, &o, &ctx), COPSE_OK);
  return ctx;
}

static void losing_the_link_is_an_error_upward_and_a_cancellation_downward(void **state) {
  pair *p = pair_new(NULL);
  counted near[3] = {{0}}, far = {0};
  ending e;
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  for (int i = 0; i < 3; i++) open_counted(p->to_b, scope, "counted", &near[i], false);
  pair_settle(p);
  copse__link_abort(p->la, COPSE_CODE_NONE, "cut for the test");
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  while (far.dones < 3) pair_turn(&p->loop);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(near[i].dones, 1);
    assert_int_equal(near[i].code, COPSE_CODE_LINK_LOST);
  }
  assert_int_equal(far.cancels, 3);
  assert_int_equal(far.origin, COPSE_ORIGIN_LINK_LOST);
  assert_int_equal(copse_peer_get_state(p->to_b), COPSE_PEER_LOST);
  assert_false(copse_peer_alive(p->to_b));
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = "counted";
  copse_context *ctx;
  assert_int_equal(copse_open(p->to_b, p->a->root, &o, &ctx), COPSE_ECLOSED);
  pair_free(p);
}

static void an_owned_links_contexts_end_when_its_owner_says_so(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  ending e;
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  copse__link *link = copse__link_ref(p->la);
  link->owned = true;
  open_counted(p->to_b, scope, "counted", &near, false);
  pair_settle(p);
  copse__link_abort(p->lb, COPSE_CODE_NONE, "cut for the test");
  while (!p->lost_a) pair_turn(&p->loop);
  while (!copse__list_empty(&p->a->links)) pair_turn(&p->loop);
  assert_int_equal(near.dones, 0);
  copse_error *died =
      copse__error_at(COPSE_CODE_DIED, &p->b->self, (copse_bytes){NULL, 0}, "killed");
  copse__link_fail_all(link, died);
  copse_error_unref(died);
  copse__link_unref(link);
  assert_int_equal(near.dones, 1);
  assert_int_equal(near.code, COPSE_CODE_DIED);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_free(p);
}

static void the_graceful_end_waits_for_what_is_open_and_is_no_loss(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  ending e;
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  open_counted(p->to_b, scope, "counted", &near, false);
  pair_settle(p);
  copse__link_bye(p->la, COPSE_CODE_NONE, NULL);
  copse_open_options o = COPSE_OPEN_OPTIONS;
  copse_context *ctx;
  o.target = "counted";
  assert_int_equal(copse_open(p->to_b, scope, &o, &ctx), COPSE_ECLOSED);
  pair_turn(&p->loop);
  pair_turn(&p->loop);
  assert_non_null(p->la);
  copse_return(far.ctx, pair_int(1));
  while (!p->lost_a || !p->lost_b) pair_turn(&p->loop);
  assert_true(p->graceful_a && p->graceful_b);
  assert_int_equal(near.dones, 1);
  assert_int_equal(near.code, COPSE_CODE_NONE);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_free(p);
}

static void a_violation_is_answered_with_a_bye_that_the_peer_can_read(void **state) {
  static const uint8_t nonsense[12] = {0, 0, 0, 0x3f};
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  assert_int_equal(write(b.fd, nonsense, sizeof nonsense), (ssize_t)sizeof nonsense);
  /* And more, that it will not read: it must not turn the answer into a reset. */
  uint8_t junk[2000] = {0};
  assert_int_equal(write(b.fd, junk, sizeof junk), (ssize_t)sizeof junk);
  until(&b, &b.lost);
  hear(&t, b.fd);
  assert_string_equal(t.bye, "frame");
  close(b.fd);
  b.fd = -1;
  until_no_links(&b);
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void a_peer_that_never_closes_is_not_waited_for_beyond_the_bound(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  copse__link_bye(b.link, COPSE_CODE_INTERNAL, "over");
  until(&b, &b.lost);
  until_no_links(&b); /* COPSE__CLOSE_MS later */
  copse_wire_free(t.wire);
  bare_end(&b);
}

/* The time that a link has left for its end, and the end of that time. */
static uint64_t bound_of(const bare *b) {
  assert_true(b->link->timer.active);
  return b->link->timer.due - copse_now(b->rt);
}

static void let_the_bound_pass(bare *b) {
  copse__timer_start(b->rt, &b->link->timer, copse_now(b->rt), b->link->timer.cb);
}

static void a_bye_that_is_not_answered_for_ten_seconds_is_followed_by_bye_timeout(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  copse__link_bye(b.link, COPSE_CODE_NONE, NULL);
  assert_int_equal(bound_of(&b), 10000);
  let_the_bound_pass(&b);
  until(&b, &b.lost);
  assert_false(b.graceful);
  /* The engine of this end has ended with the first BYE: the bytes themselves are looked at. */
  uint8_t said[4096];
  size_t size = 0;
  while (!memmem(said, size, "timeout", 7)) {
    ssize_t n = read(b.fd, said + size, sizeof said - size);
    if (n > 0) size += (size_t)n;
    else pair_turn(b.rt->loop);
  }
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void an_answered_bye_leaves_what_is_open_all_its_time(void **state) {
  bare b;
  tongue t;
  counted far = {0};
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  copse_export(b.rt, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_wire_open_args args = {.target = "counted", .send = true, .deadline_ms = -1};
  uint64_t id;
  assert_int_equal(copse_wire_open(t.wire, &args, &id), COPSE_OK);
  say(&t, b.fd, SIZE_MAX);
  while (!far.ctx) pair_turn(b.rt->loop);
  copse__link_bye(b.link, COPSE_CODE_NONE, NULL);
  while (strcmp(t.bye, "none") != 0) {
    pair_turn(b.rt->loop);
    hear(&t, b.fd);
  }
  say(&t, b.fd, SIZE_MAX);
  while (!b.link->peer_bye) pair_turn(b.rt->loop);
  let_the_bound_pass(&b);
  while (b.link->timer.active) pair_turn(b.rt->loop);
  assert_false(b.lost);
  copse_return(far.ctx, pair_int(1));
  until(&b, &b.lost);
  assert_true(b.graceful);
  copse_wire_free(t.wire);
  bare_end(&b);
}

static void at_the_end_of_the_runtime_nobody_waits_long_for_an_answer(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  copse__link_bye(b.link, COPSE_CODE_NONE, NULL);
  copse__core_close(b.rt, NULL);
  assert_int_equal(bound_of(&b), COPSE__CLOSE_MS);
  let_the_bound_pass(&b);
  until(&b, &b.lost);
  until_no_links(&b);
  copse_wire_free(t.wire);
  bare_end(&b);
}

/* As many refusals as it takes to fill the descriptor, of a peer that reads none of them. */
static void fill_output(bare *b, tongue *t) {
  int small = 4096;
  setsockopt(b->link->wfd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  copse_wire_open_args args = {
      .target = "no such target, and a long name of it at that: ............................"
                "............................",
      .deadline_ms = -1};
  uint64_t id;
  for (int i = 0; i < 200; i++) {
    assert_int_equal(copse_wire_open(t->wire, &args, &id), COPSE_OK);
    say(t, b->fd, SIZE_MAX);
    uv_run(b->rt->loop, UV_RUN_NOWAIT);
  }
  assert_true(b->link->writing);
}

/* A context of the test's end; its handler is there when this returns. */
static void open_from_outside(bare *b, tongue *t, counted *far) {
  copse_wire_open_args args = {.target = "counted", .send = true, .deadline_ms = -1};
  uint64_t id;
  copse_export(b->rt, "counted", serve_counted, far, COPSE_FROM_ANYONE, false);
  assert_int_equal(copse_wire_open(t->wire, &args, &id), COPSE_OK);
  say(t, b->fd, SIZE_MAX);
  while (!far->ctx) pair_turn(b->rt->loop);
}

static void a_peer_that_does_not_read_does_not_stop_the_reading_of_its_bytes(void **state) {
  bare b;
  tongue t;
  counted far = {0};
  (void)state;
  bare_begin(&b, false, -1, 0);
  greet(&b, &t);
  fill_output(&b, &t);
  /* It goes on reading, and holds no more than the limits allow. */
  open_from_outside(&b, &t, &far);
  assert_true(b.link->writing);
  for (int i = 0; i < 5; i++) pair_turn(b.rt->loop);
  while (b.link->writing) {
    hear(&t, b.fd);
    pair_turn(b.rt->loop);
  }
  copse_wire_free(t.wire);
  bare_end(&b);
}

/* Its output is stuck, a handler runs for the peer, and the peer says BYE with a code. */
static copse__link *left_by_a_deaf_peer(bare *b, tongue *t, counted *far) {
  bare_begin(b, false, -1, 0);
  greet(b, t);
  open_from_outside(b, t, far);
  fill_output(b, t);
  assert_int_equal(copse_wire_bye(t->wire, COPSE_CODE_INTERNAL, "a fault", 0), COPSE_OK);
  return copse__link_ref(b->link);
}

/* It was lost for the reason that the peer gave, and what ran for the peer was cancelled. */
static void it_was_left(bare *b, tongue *t, counted *far, copse__link *link) {
  until(b, &b->lost);
  while (!far->dones) pair_turn(b->rt->loop);
  assert_int_equal(far->cancels, 1);
  assert_int_equal(far->origin, COPSE_ORIGIN_LINK_LOST);
  assert_false(b->graceful);
  assert_string_equal(copse_error_get(b->error)->message,
                      "the peer ended the link: internal: a fault");
  assert_int_equal(link->code, COPSE_CODE_INTERNAL);
  if (link->state != COPSE__LINK_CLOSED) {
    assert_in_range(link->timer.due - copse_now(b->rt), 0, COPSE__CLOSE_MS);
    copse__timer_start(b->rt, &link->timer, copse_now(b->rt), link->timer.cb);
  }
  until_no_links(b);
  copse__link_unref(link);
  copse_wire_free(t->wire);
  bare_end(b);
}

static void a_bye_with_a_code_is_the_end_though_nothing_can_be_written(void **state) {
  bare b;
  tongue t;
  counted far = {0};
  (void)state;
  copse__link *link = left_by_a_deaf_peer(&b, &t, &far);
  say(&t, b.fd, SIZE_MAX);
  it_was_left(&b, &t, &far, link);
}

static void what_comes_behind_a_bye_with_a_code_is_dropped(void **state) {
  for (int and_leaves = 0; and_leaves < 2; and_leaves++) {
    bare b;
    tongue t;
    counted far = {0};
    (void)state;
    copse__link *link = left_by_a_deaf_peer(&b, &t, &far);
    say(&t, b.fd, SIZE_MAX);
    assert_int_equal(write(b.fd, "and more", 8), 8);
    if (and_leaves) assert_int_equal(shutdown(b.fd, SHUT_WR), 0);
    while (!link->eof && !b.lost) pair_turn(b.rt->loop);
    it_was_left(&b, &t, &far, link);
  }
}

/* --- heartbeats ------------------------------------------------------------------------------- */

static void
an_idle_side_keeps_its_promise_and_a_silent_peer_is_reported_and_forgiven(void **state) {
  bare b;
  tongue t;
  (void)state;
  bare_begin(&b, false, -1, 1000);
  greet(&b, &t);
  copse_wire_info info;
  copse_wire_get_info(t.wire, &info);
  uint64_t before = info.frames_in;
  copse_peer *peer = copse__peer_ref(b.link->peer);
  assert_int_equal(copse_peer_get_state(peer), COPSE_PEER_ALIVE);
  while (copse_peer_get_state(peer) == COPSE_PEER_ALIVE)
    pair_turn(b.rt->loop); /* we promised 1 s and say nothing */
  assert_int_equal(copse_peer_get_state(peer), COPSE_PEER_UNRESPONSIVE);
  assert_false(b.lost); /* on a local link silence is only reported */
  hear(&t, b.fd);
  copse_wire_get_info(t.wire, &info);
  assert_true(info.frames_in - before >= 3);
  assert_int_equal(copse_wire_pong(t.wire), COPSE_OK);
  say(&t, b.fd, SIZE_MAX);
  while (copse_peer_get_state(peer) != COPSE_PEER_ALIVE) pair_turn(b.rt->loop);
  copse__peer_unref(peer);
  copse_wire_free(t.wire);
  bare_end(&b);
}

/* --- pump ------------------------------------------------------------------------------------- */

typedef struct hot {
  copse_job job;
  pair *p;
  counted *far;
  copse_context *opener;
  copse_outcome_kind kind;
  bool user_code_ran;
  int items, seen_inside;
  bool ran, cancelled_inside, done_inside;
} hot;

static bool hot_item(copse_context *ctx, copse_bytes value, void *arg) {
  hot *h = arg;
  (void)ctx;
  assert_int_equal(pair_int_of(value), h->items);
  h->items++;
  return true;
}

static void hot_cancel(copse_context *ctx, void *arg) {
  (void)arg;
  copse_cancelled(ctx);
}

static void serve_hot(copse_context *ctx, copse_bytes args, void *arg) {
  hot *h = arg;
  copse_context_cbs cbs = {.item = hot_item, .cancel = hot_cancel, .done = count_done};
  (void)args;
  h->far->ctx = ctx;
  copse_context_set_cbs(ctx, &cbs);
  copse_context_set_data(ctx, h);
  copse_started(ctx, pair_int(0));
  copse_accept_items(ctx, (copse_credit){100, 10000});
}

/* User code of b that computes and computes: what happens around it can only come
 * in through the pump. */
static void hot_loop(copse_job *job) {
  hot *h = (hot *)(void *)job;
  pair *p = h->p;
  copse_scope *scope = copse_context_scope(h->far->ctx);
  for (int i = 0; i < 3; i++) assert_int_equal(copse_send(h->opener, pair_int(i)), COPSE_OK);
  copse__link_flush(p->la);
  copse_pump(p->b);
  h->seen_inside = h->items;
  assert_false(copse_scope_is_cancelled(scope));
  assert_int_equal(copse_wire_ping(p->la->wire, pair_int(1)), COPSE_OK);
  copse_cancel(h->opener, COPSE_ORIGIN_REQUESTED, "stop", -1);
  copse__link_flush(p->la);
  copse_pump(p->b);
  h->cancelled_inside = copse_scope_is_cancelled(scope);
  h->done_inside = h->far->dones != 0;
  struct pollfd answer = {.fd = p->la->rfd, .events = POLLIN};
  assert_int_equal(poll(&answer, 1, 0), 1); /* the PONG */
  h->ran = true;
}

static void the_pump_serves_the_protocol_and_runs_no_callbacks(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  hot h = {.p = p, .far = &far, .job = {.cb = hot_loop}};
  ending e;
  (void)state;
  copse_export(p->b, "hot", serve_hot, &h, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  h.opener = open_counted(p->to_b, scope, "hot", &near, true);
  pair_settle(p);
  copse_post(p->b, &h.job);
  pair_until(p, &h.ran);
  assert_int_equal(h.seen_inside, 0);
  assert_true(h.cancelled_inside);
  assert_false(h.done_inside);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  assert_int_equal(h.items, 3); /* told afterwards, in order, once */
  assert_int_equal(near.dones, 1);
  pair_free(p);
}

static size_t kept(const copse__link *link) {
  size_t count = 0;
  for (const copse__list *node = link->deferred.next; node != &link->deferred; node = node->next)
    count++;
  return count;
}

/* The opener grows more and more impatient. */
static void hurry(pair *p, copse_context *opener) {
  for (int64_t grace = 100000; grace > 90000; grace -= 10)
    copse_cancel(opener, COPSE_ORIGIN_REQUESTED, "faster", grace);
  copse__link_flush(p->la);
  copse_pump(p->b);
}

static void hot_hurry(copse_job *job) {
  hot *h = (hot *)(void *)job;
  hurry(h->p, h->opener);
  h->cancelled_inside = copse_scope_is_cancelled(copse_context_scope(h->far->ctx));
  assert_in_range(copse__scope_grace_left(copse_context_scope(h->far->ctx)), 0, 90010 * 3 / 4);
  assert_int_equal(kept(h->p->lb), 0);
  h->ran = true;
}

static void repeated_cancels_that_come_in_through_the_pump_are_not_kept(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  hot h = {.p = p, .far = &far, .job = {.cb = hot_hurry}};
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  h.opener = open_counted(p->to_b, p->a->root, "counted", &near, false);
  pair_settle(p);
  copse_post(p->b, &h.job);
  pair_until(p, &h.ran);
  assert_true(h.cancelled_inside);
  while (!near.dones) pair_turn(&p->loop);
  assert_int_equal(far.cancels, 1);
  assert_int_equal(far.dones, 1);
  pair_free(p);
}

static bool far_answered(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  hot *h = arg;
  (void)ctx;
  h->ran = true;
  h->kind = outcome->kind;
  h->user_code_ran = outcome->ran;
  return true;
}

static void hot_open(copse_job *job) {
  hot *h = (hot *)(void *)job;
  pair *p = h->p;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = "counted";
  o.send = true;
  o.cbs.done = far_answered;
  o.data = h;
  for (int round = 0; round < 100; round++) {
    assert_int_equal(copse_open(p->to_b, p->a->root, &o, &h->opener), COPSE_OK);
    copse_end(h->opener);
    copse__link_flush(p->la);
    copse_pump(p->b);
    assert_int_not_equal(kept(p->lb), 0);
    hurry(p, h->opener);
    assert_int_equal(kept(p->lb), 0);
  }
  h->seen_inside = 1;
}

static void a_handler_that_is_cancelled_before_the_turn_would_begin_it_never_begins(void **state) {
  pair *p = pair_new(NULL);
  counted far = {0};
  hot h = {.p = p, .far = &far, .job = {.cb = hot_open}};
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_post(p->b, &h.job);
  pair_until(p, &h.ran);
  pair_settle(p);
  assert_int_equal(h.seen_inside, 1);
  assert_int_equal(h.kind, COPSE_WAS_CANCELLED);
  assert_false(h.user_code_ran);
  assert_null(far.ctx);
  pair_free(p);
}

static void hot_loss(copse_job *job) {
  hot *h = (hot *)(void *)job;
  copse__link_abort(h->p->la, COPSE_CODE_NONE, "cut for the test");
  copse_pump(h->p->b);
  copse_pump(h->p->b);
  h->done_inside = h->far->cancels != 0;
  h->ran = true;
}

static void a_loss_inside_the_pump_is_told_in_the_turn(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  hot h = {.p = p, .far = &far, .job = {.cb = hot_loss}};
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  open_counted(p->to_b, p->a->root, "counted", &near, false);
  pair_settle(p);
  copse_post(p->b, &h.job);
  pair_until(p, &h.ran);
  assert_false(h.done_inside);
  while (!far.dones) pair_turn(&p->loop);
  assert_int_equal(far.origin, COPSE_ORIGIN_LINK_LOST);
  pair_free(p);
}

typedef struct hot_bare {
  copse_job job;
  bare *b;
  tongue *t;
  counted *far;
  bool ran;
} hot_bare;

static void hot_bye(copse_job *job) {
  hot_bare *h = (hot_bare *)(void *)job;
  say(h->t, h->b->fd, SIZE_MAX);
  copse_pump(h->b->rt);
  assert_int_equal(write(h->b->fd, "and more", 8), 8);
  copse_pump(h->b->rt);
  assert_true(copse_scope_is_cancelled(copse_context_scope(h->far->ctx)));
  assert_int_equal(h->far->cancels, 0); /* marked, not told */
  h->ran = true;
}

static void
a_bye_with_a_code_inside_the_pump_cancels_at_once_and_is_told_in_the_turn(void **state) {
  bare b;
  tongue t;
  counted far = {0};
  (void)state;
  copse__link *link = left_by_a_deaf_peer(&b, &t, &far);
  hot_bare h = {.job = {.cb = hot_bye}, .b = &b, .t = &t, .far = &far};
  copse_post(b.rt, &h.job);
  until(&b, &h.ran);
  it_was_left(&b, &t, &far, link);
}

/* --- pairs of pipes --------------------------------------------------------------------------- */

static void a_link_may_be_a_pair_of_pipes(void **state) {
  copse *rt[2];
  copse__link *link[2];
  uv_loop_t loop;
  int there[2], back[2];
  (void)state;
  alarm(120);
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(pipe2(there, O_CLOEXEC), 0);
  assert_int_equal(pipe2(back, O_CLOEXEC), 0);
  for (int i = 0; i < 2; i++) {
    copse_config config = {.size = sizeof config, .loop = &loop, .ignore_env = true};
    assert_int_equal(copse__core_new(&rt[i], &config, NULL, i ? "b" : "a"), COPSE_OK);
    copse__link_options o = {.rfd = i ? there[0] : back[0],
                             .wfd = i ? back[1] : there[1],
                             .connector = !i,
                             .hello_ms = -1};
    assert_int_equal(copse__link_new(rt[i], &o, &link[i]), COPSE_OK);
  }
  while (link[0]->state != COPSE__LINK_OPEN || link[1]->state != COPSE__LINK_OPEN) pair_turn(&loop);
  copse__link_bye(link[0], COPSE_CODE_NONE, NULL);
  while (!copse__list_empty(&rt[0]->links) || !copse__list_empty(&rt[1]->links)) pair_turn(&loop);
  copse__core_free(rt[0]);
  copse__core_free(rt[1]);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_descriptor_that_cannot_be_polled_is_an_error_and_is_closed(void **state) {
  copse *rt = pair_alone();
  copse__link *link;
  char path[] = "/tmp/copse-link-XXXXXX";
  int fd = mkstemp(path);
  (void)state;
  unlink(path);
  copse__link_options o = {.rfd = fd, .wfd = fd, .hello_ms = -1};
  assert_int_equal(copse__link_new(rt, &o, &link), COPSE_ESYSTEM);
  assert_int_equal(fcntl(fd, F_GETFD), -1);
  copse__core_free(rt);
}

static void a_runtime_may_be_freed_with_everything_open(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  copse_scope *scope = copse_scope_new(p->a, p->a->root, NULL, NULL, NULL);
  open_counted(p->to_b, scope, "counted", &near, true);
  pair_settle(p);
  copse__peer_hold(p->to_b);
  open_counted(p->to_b, scope, "counted", &near, true);
  copse__peer_unref(p->to_a);
  copse__peer_unref(p->to_b);
  copse__core_free(p->a);
  copse__core_free(p->b);
  copse_error_unref(p->lost_b); /* freeing the one was a loss to the other */
  assert_int_equal(near.dones, 0);
  assert_int_equal(uv_loop_close(&p->loop), 0);
  assert_int_equal(pair_count_fds(), p->fds);
  free(p);
}

static void a_runtime_may_be_freed_while_a_handler_still_cleans_up_after_a_loss(void **state) {
  pair *p = pair_new(NULL);
  counted near = {0}, far = {0};
  copse_context_cbs deaf = {0};
  (void)state;
  copse_export(p->b, "counted", serve_counted, &far, COPSE_FROM_ANYONE, false);
  open_counted(p->to_b, p->a->root, "counted", &near, false);
  pair_settle(p);
  deaf.cancel = ignore_cancel;
  copse_context_set_cbs(far.ctx, &deaf);
  copse__link_abort(p->la, COPSE_CODE_NONE, "cut for the test");
  while (!p->lost_a || !p->lost_b) pair_turn(&p->loop);
  pair_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_peer_that_leaves_at_any_byte_of_its_hello_is_a_lost_link_and_nothing_more),
      cmocka_unit_test(a_peer_that_leaves_right_after_its_hello_was_there),
      cmocka_unit_test(a_peer_that_dies_without_having_read_is_lost_after_what_it_said),
      cmocka_unit_test(a_peer_that_says_nothing_is_told_timeout),
      cmocka_unit_test(bytes_that_are_no_hello_are_a_violation_and_can_be_quoted),
      cmocka_unit_test(another_actor_than_expected_is_told_wrong_actor),
      cmocka_unit_test(losing_the_link_is_an_error_upward_and_a_cancellation_downward),
      cmocka_unit_test(an_owned_links_contexts_end_when_its_owner_says_so),
      cmocka_unit_test(the_graceful_end_waits_for_what_is_open_and_is_no_loss),
      cmocka_unit_test(a_violation_is_answered_with_a_bye_that_the_peer_can_read),
      cmocka_unit_test(a_peer_that_never_closes_is_not_waited_for_beyond_the_bound),
      cmocka_unit_test(a_bye_that_is_not_answered_for_ten_seconds_is_followed_by_bye_timeout),
      cmocka_unit_test(an_answered_bye_leaves_what_is_open_all_its_time),
      cmocka_unit_test(at_the_end_of_the_runtime_nobody_waits_long_for_an_answer),
      cmocka_unit_test(a_peer_that_does_not_read_does_not_stop_the_reading_of_its_bytes),
      cmocka_unit_test(a_bye_with_a_code_is_the_end_though_nothing_can_be_written),
      cmocka_unit_test(what_comes_behind_a_bye_with_a_code_is_dropped),
      cmocka_unit_test(an_idle_side_keeps_its_promise_and_a_silent_peer_is_reported_and_forgiven),
      cmocka_unit_test(the_pump_serves_the_protocol_and_runs_no_callbacks),
      cmocka_unit_test(repeated_cancels_that_come_in_through_the_pump_are_not_kept),
      cmocka_unit_test(a_handler_that_is_cancelled_before_the_turn_would_begin_it_never_begins),
      cmocka_unit_test(a_bye_with_a_code_inside_the_pump_cancels_at_once_and_is_told_in_the_turn),
      cmocka_unit_test(a_loss_inside_the_pump_is_told_in_the_turn),
      cmocka_unit_test(a_link_may_be_a_pair_of_pipes),
      cmocka_unit_test(a_descriptor_that_cannot_be_polled_is_an_error_and_is_closed),
      cmocka_unit_test(a_runtime_may_be_freed_with_everything_open),
      cmocka_unit_test(a_runtime_may_be_freed_while_a_handler_still_cleans_up_after_a_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
