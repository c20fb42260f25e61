/* SPDX-License-Identifier: MIT
 *
 * The scope tree, without any link. */
#include "runtime_core_pair.h"

#include <unistd.h>

static copse *rt;

static int setup(void **state) {
  (void)state;
  alarm(120);
  rt = pair_alone();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  copse__core_free(rt);
  alarm(0);
  return 0;
}

static void until(const bool *flag) {
  while (!*flag) pair_turn(rt->loop);
}

/* Lets the loop turn once, without sleeping. */
static void turn(void) {
  copse_wake(rt);
  uv_run(rt->loop, UV_RUN_ONCE);
}

typedef struct told {
  copse_member *member;
  int cancelled, finished;
} told;

static void on_cancel(copse_member *member, void *arg) {
  (void)member;
  ((told *)arg)->cancelled++;
}

static void on_finish(copse_member *member, void *arg) {
  (void)member;
  ((told *)arg)->finished++;
}

static void join(copse_scope *scope, told *t, bool service) {
  copse_member_cbs cbs = {on_cancel, service ? on_finish : NULL};
  *t = (told){0};
  t->member = copse_scope_join(scope, &cbs, t);
  assert_non_null(t->member);
}

static copse_error *failure(const char *message) {
  return copse_error_new(COPSE_CODE_FAILED, "%s", message);
}

static copse_error *died(uint8_t id) {
  copse_ref actor = {.id = {id}, .name = "x"};
  return copse__error_at(COPSE_CODE_DIED, &actor, (copse_bytes){NULL, 0}, "killed");
}

static void a_scope_ends_when_it_is_sealed_and_all_its_members_have_left(void **state) {
  ending e;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &t, false);
  copse_scope_seal(scope, NULL);
  turn();
  assert_false(e.ended);
  copse_member_leave(t.member, NULL);
  assert_false(e.ended); /* never from within a call */
  until(&e.ended);
  assert_null(e.error);
  assert_false(e.cancelled);
}

static void an_unsealed_scope_does_not_end_when_it_is_empty(void **state) {
  ending e;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &t, false);
  copse_member_leave(t.member, NULL);
  turn();
  turn();
  assert_false(e.ended);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void an_error_cancels_the_rest_and_is_the_outcome(void **state) {
  ending e;
  told one, other;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &one, false);
  join(scope, &other, false);
  copse_scope_seal(scope, NULL);
  copse_member_leave(one.member, failure("boom"));
  assert_true(copse_scope_is_cancelled(scope));
  assert_int_equal(copse_scope_cause(scope)->origin, COPSE_ORIGIN_ERROR);
  assert_string_equal(copse_scope_cause(scope)->message, "boom");
  assert_int_equal(other.cancelled, 0); /* told in the turn */
  turn();
  assert_int_equal(other.cancelled, 1);
  assert_false(e.ended);
  copse_member_leave(other.member, NULL);
  until(&e.ended);
  assert_string_equal(copse_error_get(e.error)->message, "boom");
  assert_false(e.cancelled);
  pair_ending_clear(&e);
}

static void several_errors_become_one_flat_group(void **state) {
  ending e;
  told t[3];
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  for (int i = 0; i < 3; i++) join(scope, &t[i], false);
  copse_error *two[2] = {failure("one"), failure("two")};
  copse_error *group = copse__error_join(two, 2);
  copse_error_unref(two[0]);
  copse_error_unref(two[1]);
  copse_member_leave(t[0].member, group);
  copse_member_leave(t[1].member, failure("three"));
  copse_member_leave(t[2].member, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  const copse_error_info *info = copse_error_get(e.error);
  assert_int_equal(info->known, COPSE_CODE_GROUP);
  assert_int_equal(info->cause_count, 3);
  assert_string_equal(copse_error_get(info->causes[0])->message, "one");
  assert_string_equal(copse_error_get(info->causes[2])->message, "three");
  pair_ending_clear(&e);
}

static void the_death_of_one_actor_is_recorded_once(void **state) {
  ending e;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope_fail(scope, died(1));
  copse_scope_fail(scope, died(1));
  copse_scope_fail(scope, died(1));
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_int_equal(copse_error_get(e.error)->known, COPSE_CODE_DIED);
  pair_ending_clear(&e);
}

static void the_deaths_of_two_actors_are_a_group(void **state) {
  ending e;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope_fail(scope, died(1));
  copse_scope_fail(scope, died(2));
  copse_scope_fail(scope, died(1));
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_int_equal(copse_error_get(e.error)->known, COPSE_CODE_GROUP);
  assert_int_equal(copse_error_get(e.error)->cause_count, 2);
  pair_ending_clear(&e);
}

static void cancellation_reaches_all_levels_before_the_call_returns(void **state) {
  ending e;
  copse_scope_options none = COPSE_SCOPE_OPTIONS;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, &none, NULL, NULL);
  copse_scope *leaf = copse_scope_new(rt, inner, &none, NULL, NULL);
  join(leaf, &t, false);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, "enough", -1);
  assert_true(copse_scope_is_cancelled(inner));
  assert_true(copse_scope_is_cancelled(leaf));
  assert_string_equal(copse_scope_cause(leaf)->message, "enough");
  assert_memory_equal(copse_scope_cause(leaf)->by.id, rt->self.id, 16);
  turn();
  assert_int_equal(t.cancelled, 1);
  copse_member_leave(t.member, NULL);
  copse_scope_seal(leaf, NULL);
  copse_scope_seal(inner, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_true(e.cancelled);
  assert_null(e.error);
}

static void the_first_cause_stands_and_members_are_told_once(void **state) {
  ending e;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &t, false);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, "first", 5000);
  uint64_t end = scope->grace_end;
  copse_scope_cancel(scope, COPSE_ORIGIN_SHUTDOWN, "second", 60000);
  assert_int_equal(scope->grace_end, end); /* never longer */
  copse_scope_cancel(scope, COPSE_ORIGIN_SHUTDOWN, "third", 100);
  assert_true(scope->grace_end < end);
  assert_int_equal(copse_scope_cause(scope)->origin, COPSE_ORIGIN_REQUESTED);
  turn();
  assert_int_equal(t.cancelled, 1);
  copse_member_leave(t.member, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void what_is_made_in_a_cancelled_scope_is_born_cancelled(void **state) {
  ending e;
  copse_scope_options none = COPSE_SCOPE_OPTIONS;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope *late = copse_scope_new(rt, scope, &none, NULL, NULL);
  assert_true(copse_scope_is_cancelled(late));
  join(late, &t, false);
  assert_int_equal(t.cancelled, 0);
  turn();
  assert_int_equal(t.cancelled, 1);
  copse_member_leave(t.member, NULL);
  copse_scope_seal(late, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void a_shield_keeps_cancellation_out_for_as_long_as_it_says(void **state) {
  ending e;
  copse_scope_options shield = COPSE_SCOPE_OPTIONS;
  told t;
  (void)state;
  shield.shield_ms = 20;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, &shield, NULL, NULL);
  join(inner, &t, false);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, "out", -1);
  uint64_t began = copse_now(rt);
  assert_false(copse_scope_is_cancelled(inner));
  bool told_now = false;
  while (!told_now) {
    pair_turn(rt->loop);
    told_now = t.cancelled == 1;
  }
  assert_true(copse_now(rt) >= began + 20);
  assert_true(copse_scope_is_cancelled(inner));
  assert_string_equal(copse_scope_cause(inner)->message, "out");
  copse_member_leave(t.member, NULL);
  copse_scope_seal(inner, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void a_shield_ends_with_the_grace(void **state) {
  ending e;
  copse_scope_options shield = COPSE_SCOPE_OPTIONS;
  (void)state;
  shield.shield_ms = 1000000;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, &shield, NULL, NULL);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, "out", 10);
  assert_false(copse_scope_is_cancelled(inner));
  while (!copse_scope_is_cancelled(inner)) pair_turn(rt->loop);
  copse_scope_seal(inner, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void a_shield_does_not_keep_its_own_cancellation_out(void **state) {
  ending e;
  copse_scope_options shield = COPSE_SCOPE_OPTIONS;
  (void)state;
  shield.shield_ms = 1000000;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, &shield, NULL, NULL);
  copse_scope_cancel(inner, COPSE_ORIGIN_REQUESTED, NULL, -1);
  assert_true(copse_scope_is_cancelled(inner));
  assert_false(copse_scope_is_cancelled(scope));
  copse_scope_seal(inner, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_false(e.cancelled);
}

static void
a_shield_that_has_ended_already_leaves_no_timer_when_all_around_is_cancelled(void **state) {
  ending e;
  copse_scope_options shield = COPSE_SCOPE_OPTIONS;
  (void)state;
  shield.shield_ms = 1000000;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, &shield, NULL, NULL);
  uint64_t due = copse__timers_next(rt);
  copse_scope_seal(inner, NULL); /* it leaves in the turn */
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  assert_true(copse__timers_next(rt) == due);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void services_are_told_to_finish_when_nothing_else_is_left(void **state) {
  ending e;
  told task, service[2];
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &task, false);
  join(scope, &service[0], true);
  join(scope, &service[1], true);
  copse_scope_seal(scope, NULL);
  turn();
  assert_int_equal(service[0].finished + service[1].finished, 0);
  copse_member_leave(task.member, NULL);
  turn();
  assert_int_equal(service[0].finished, 1); /* all before any is awaited */
  assert_int_equal(service[1].finished, 1);
  assert_false(e.ended);
  copse_member_leave(service[0].member, NULL);
  copse_member_leave(service[1].member, NULL);
  until(&e.ended);
  assert_int_equal(service[0].finished, 1);
  assert_int_equal(service[0].cancelled, 0);
}

static void services_of_a_cancelled_scope_are_cancelled_and_not_told_to_finish(void **state) {
  ending e;
  told service;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  join(scope, &service, true);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope_seal(scope, NULL);
  turn();
  assert_int_equal(service.cancelled, 1);
  assert_int_equal(service.finished, 0);
  copse_member_leave(service.member, NULL);
  until(&e.ended);
}

static void a_scope_whose_own_deadline_came_ends_with_the_error_deadline(void **state) {
  ending e;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, 5);
  assert_in_range(copse_scope_remaining(scope), 0, 5);
  join(scope, &t, false);
  copse_scope_seal(scope, NULL);
  while (!t.cancelled) pair_turn(rt->loop);
  assert_int_equal(copse_scope_cause(scope)->origin, COPSE_ORIGIN_DEADLINE);
  copse_member_leave(t.member, NULL);
  until(&e.ended);
  assert_int_equal(copse_error_get(e.error)->known, COPSE_CODE_DEADLINE);
  pair_ending_clear(&e);
}

static void a_deadline_that_does_not_come_leaves_no_trace(void **state) {
  ending e;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, 1000000);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_null(e.error);
  assert_false(e.cancelled);
}

static void the_tightest_deadline_of_all_ancestors_is_what_remains(void **state) {
  ending e;
  copse_scope_options inner_options = COPSE_SCOPE_OPTIONS;
  (void)state;
  inner_options.deadline_ms = 500000;
  copse_scope *scope = pair_scope(rt, &e, 1000000);
  copse_scope *inner = copse_scope_new(rt, scope, &inner_options, NULL, NULL);
  copse_scope *leaf = copse_scope_new(rt, inner, NULL, NULL, NULL);
  assert_in_range(copse_scope_remaining(leaf), 499000, 500000);
  assert_in_range(copse_scope_remaining(scope), 999000, 1000000);
  assert_int_equal(copse_scope_remaining(rt->root), -1);
  copse_scope_seal(leaf, NULL);
  copse_scope_seal(inner, NULL);
  copse_scope_seal(scope, NULL);
  until(&e.ended);
}

static void an_error_that_nobody_awaits_goes_to_the_parent(void **state) {
  ending e;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, NULL, NULL, NULL);
  copse_scope_seal(inner, failure("deep"));
  copse_scope_seal(scope, NULL);
  until(&e.ended);
  assert_string_equal(copse_error_get(e.error)->message, "deep");
  pair_ending_clear(&e);
}

static void forward(copse_scope *scope, copse_error *error, bool cancelled, void *arg) {
  (void)scope;
  (void)cancelled;
  copse_scope_fail(arg, copse_error_ref(error));
}

static void an_error_may_be_raised_into_the_parent_by_the_one_who_is_told(void **state) {
  ending e;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope *inner = copse_scope_new(rt, scope, NULL, forward, scope);
  copse_scope_seal(scope, NULL); /* ends only after inner's callback */
  copse_scope_seal(inner, failure("passed on"));
  until(&e.ended);
  assert_string_equal(copse_error_get(e.error)->message, "passed on");
  pair_ending_clear(&e);
}

static void leave_other(copse_member *member, void *arg) {
  told *other = arg;
  copse_member_leave(member, NULL);
  if (other->member) copse_member_leave(other->member, NULL);
  other->member = NULL;
}

static void a_member_may_take_others_with_it_while_it_is_told(void **state) {
  ending e;
  told other = {0}, third;
  copse_member_cbs cbs = {leave_other, NULL};
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  assert_non_null(copse_scope_join(scope, &cbs, &other));
  join(scope, &other, false);
  join(scope, &third, false);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope_seal(scope, NULL);
  turn();
  assert_int_equal(other.cancelled, 0);
  copse_member_leave(third.member, NULL);
  until(&e.ended);
}

static void nobody_joins_a_scope_that_has_ended(void **state) {
  ending e;
  told t = {0};
  copse_member_cbs cbs = {on_cancel, NULL};
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, -1);
  copse_scope_seal(scope, NULL);
  assert_null(copse_scope_join(scope, &cbs, &t));
  assert_null(copse_scope_new(rt, scope, NULL, NULL, NULL));
  until(&e.ended);
}

static void a_runtime_may_be_freed_while_its_tree_lives(void **state) {
  ending e;
  told t;
  (void)state;
  copse_scope *scope = pair_scope(rt, &e, 1000000);
  copse_scope *inner = copse_scope_new(rt, scope, NULL, NULL, NULL);
  join(inner, &t, true);
  copse_scope_fail(scope, failure("kept"));
  /* The teardown frees it; the sanitizer counts. */
}

/* --- jobs and timers -------------------------------------------------------------------------- */

static int order[8], order_count;

typedef struct numbered {
  copse_job job;
  int number;
} numbered;

static void on_job(copse_job *job) { order[order_count++] = ((numbered *)(void *)job)->number; }

static void jobs_run_in_the_order_they_were_posted_and_once(void **state) {
  numbered jobs[4];
  (void)state;
  memset(jobs, 0, sizeof jobs);
  order_count = 0;
  for (int i = 0; i < 4; i++) {
    jobs[i].job.cb = on_job;
    jobs[i].number = i;
    copse_post(rt, &jobs[i].job);
    copse_post(rt, &jobs[i].job);
  }
  copse_unpost(rt, &jobs[1].job);
  copse_unpost(rt, &jobs[1].job);
  assert_int_equal(order_count, 0);
  turn();
  turn();
  assert_int_equal(order_count, 3);
  assert_int_equal(order[0], 0);
  assert_int_equal(order[1], 2);
  assert_int_equal(order[2], 3);
}

static copse__timer timers[200];
static uint64_t fired_due[200];
static size_t fired;

static void on_timer(copse__timer *timer) { fired_due[fired++] = timer->due; }

static void
timers_fire_in_the_order_of_their_times_whatever_order_they_were_started_in(void **state) {
  unsigned seed = 7;
  size_t left = 0;
  (void)state;
  fired = 0;
  memset(timers, 0, sizeof timers);
  uint64_t now = copse_now(rt);
  for (size_t i = 0; i < 200; i++) {
    seed = seed * 1103515245u + 12345u;
    timers[i].pump = i & 1;
    copse__timer_start(rt, &timers[i], now + (seed >> 16) % 20, on_timer);
  }
  for (size_t i = 0; i < 200; i += 3) copse__timer_stop(rt, &timers[i]);
  for (size_t i = 1; i < 200; i += 3)
    copse__timer_start(rt, &timers[i], timers[i].due + 3, on_timer);
  for (size_t i = 0; i < 200; i++) left += timers[i].active;
  while (fired < left) pair_turn(rt->loop);
  for (size_t i = 0; i < 200; i++) assert_false(timers[i].active);
  assert_int_equal(fired, left);
}

static void wake_up(void *arg) { copse_wake(arg); }

static void another_thread_may_wake_the_loop(void **state) {
  uv_thread_t thread;
  (void)state;
  assert_int_equal(uv_thread_create(&thread, wake_up, rt), 0);
  uv_run(rt->loop, UV_RUN_ONCE); /* sleeps until then: nothing else is due */
  uv_thread_join(&thread);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(a_scope_ends_when_it_is_sealed_and_all_its_members_have_left),
      T(an_unsealed_scope_does_not_end_when_it_is_empty),
      T(an_error_cancels_the_rest_and_is_the_outcome),
      T(several_errors_become_one_flat_group),
      T(the_death_of_one_actor_is_recorded_once),
      T(the_deaths_of_two_actors_are_a_group),
      T(cancellation_reaches_all_levels_before_the_call_returns),
      T(the_first_cause_stands_and_members_are_told_once),
      T(what_is_made_in_a_cancelled_scope_is_born_cancelled),
      T(a_shield_keeps_cancellation_out_for_as_long_as_it_says),
      T(a_shield_ends_with_the_grace),
      T(a_shield_does_not_keep_its_own_cancellation_out),
      T(a_shield_that_has_ended_already_leaves_no_timer_when_all_around_is_cancelled),
      T(services_are_told_to_finish_when_nothing_else_is_left),
      T(services_of_a_cancelled_scope_are_cancelled_and_not_told_to_finish),
      T(a_scope_whose_own_deadline_came_ends_with_the_error_deadline),
      T(a_deadline_that_does_not_come_leaves_no_trace),
      T(the_tightest_deadline_of_all_ancestors_is_what_remains),
      T(an_error_that_nobody_awaits_goes_to_the_parent),
      T(an_error_may_be_raised_into_the_parent_by_the_one_who_is_told),
      T(a_member_may_take_others_with_it_while_it_is_told),
      T(nobody_joins_a_scope_that_has_ended),
      T(a_runtime_may_be_freed_while_its_tree_lives),
      T(jobs_run_in_the_order_they_were_posted_and_once),
      T(timers_fire_in_the_order_of_their_times_whatever_order_they_were_started_in),
      T(another_thread_may_wake_the_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
