/* SPDX-License-Identifier: MIT
 *
 * A child, seen from its parent: how it lives, and all the ways in which it does not.
 */
#include "test/stage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void begin_serve(stage *s) { stage_spawn(s, "worker", "serve", NULL); }

/* --- living ----------------------------------------------------------------------------------- */

static bool on_echo(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  (void)ctx;
  int64_t number = 0;
  copse_bytes value;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  assert_int_equal(copse_map_get(outcome->value, "n", &value), COPSE_OK);
  assert_int_equal(copse_value_int(value, &number), COPSE_OK);
  assert_int_equal(number, 42);
  s->own = s;
  return true;
}

static void call_echo(stage *s, copse_child *child) {
  copse_buf args;
  copse_buf_init(&args, 64, NULL);
  copse_pack_map(&args, 1);
  copse_pack_cstr(&args, "n");
  copse_pack_int(&args, 42);
  assert_int_equal(
      copse_call(copse_child_peer(child), s->scope, "echo", copse_buf_bytes(&args), on_echo, s),
      COPSE_OK);
  copse_buf_deinit(&args);
}

static void expect_good_end(stage *s) {
  assert_true(s->done);
  assert_int_equal(s->kind, COPSE_RETURNED);
  assert_int_equal(s->status, 0);
  assert_null(s->root_error);
}

static void a_child_answers_a_call_and_finishes_with_what_its_main_returned(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = call_echo};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  copse_bytes text;
  assert_int_equal(copse_value_str((copse_bytes){s.value, s.value_size}, &text), COPSE_OK);
  assert_int_equal(text.size, 8);
  assert_memory_equal(text.data, "all done", 8);
  stage_deinit(&s);
}

static void begin_and_call(stage *s) { call_echo(s, stage_spawn(s, "worker", "serve", NULL)); }

static void a_call_opened_before_the_child_is_ready_waits_for_it(void **state) {
  (void)state;
  stage s = {.on_begin = begin_and_call};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static void begin_stdio(stage *s) {
  copse_spawn_options options = {.size = sizeof options, .link = "stdio"};
  stage_spawn(s, "worker", "serve", &options);
}

static void a_link_over_standard_input_and_output_works_like_any_other(void **state) {
  (void)state;
  stage s = {.on_begin = begin_stdio, .on_ready = call_echo};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static void begin_unix(stage *s) {
  copse_spawn_options options = {.size = sizeof options, .link = "unix"};
  stage_spawn(s, "worker", "serve", &options);
}

static void a_child_that_dials_its_parent_is_known_by_its_token(void **state) {
  (void)state;
  stage s = {.on_begin = begin_unix, .on_ready = call_echo};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static void begin_shell(stage *s) {
  char line[4200];
  const char *argv[] = {"sh", "-c", line, NULL};
  copse_spawn_options options = {.size = sizeof options, .argv = argv};
  snprintf(line, sizeof line, "'%s' serve; exit $?", stage_tool());
  stage_spawn(s, "worker", NULL, &options);
}

static void an_actor_behind_a_launcher_is_an_actor(void **state) {
  (void)state;
  stage s = {.on_begin = begin_shell, .on_ready = call_echo};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static bool on_late(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  int64_t seven = 0;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  assert_int_equal(copse_value_int(outcome->value, &seven), COPSE_OK);
  assert_int_equal(seven, 7);
  s->own = s;
  return true;
}

static copse_context *late;

static void on_late_started(copse_context *ctx, copse_bytes value, void *arg) {
  stage *s = arg;
  (void)value;
  copse_child_finish(s->child); /* END first, then the end of the items */
  copse_end(ctx);
}

static void open_late(stage *s, copse_child *child) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "late";
  options.send = true;
  options.cbs.started = on_late_started;
  options.cbs.done = on_late;
  options.data = s;
  assert_int_equal(copse_open(copse_child_peer(child), s->scope, &options, &late), COPSE_OK);
}

static void a_child_that_is_told_to_finish_lets_what_runs_end_first(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = open_late};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static bool on_held(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  assert_int_equal(copse_value_type(outcome->value), COPSE_NIL);
  s->own = s;
  return true;
}

static void on_held_started(copse_context *ctx, copse_bytes value, void *arg) {
  stage *s = arg;
  (void)ctx;
  (void)value;
  copse_child_finish(s->child);
}

static void open_held(stage *s, copse_child *child) {
  copse_open_options options = COPSE_OPEN_OPTIONS;
  options.target = "hold";
  options.send = true;
  options.cbs.started = on_held_started;
  options.cbs.done = on_held;
  options.data = s;
  assert_int_equal(copse_open(copse_child_peer(child), s->scope, &options, NULL), COPSE_OK);
}

static void contexts_that_exist_to_be_held_end_with_nil_when_their_actor_finishes(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = open_held};
  stage_init(&s);
  stage_run(&s);
  assert_ptr_equal(s.own, &s);
  expect_good_end(&s);
  stage_deinit(&s);
}

static void cancel_it(stage *s, copse_child *child) {
  (void)s;
  copse_child_cancel(child, COPSE_ORIGIN_REQUESTED, "enough", -1);
}

static void a_child_that_is_cancelled_ends_as_cancelled_and_that_is_no_error(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = cancel_it, .stay = true};
  stage_init(&s);
  stage_run(&s);
  assert_true(s.done);
  assert_int_equal(s.kind, COPSE_WAS_CANCELLED);
  assert_int_equal(s.status, 0);
  stage_deinit(&s);
}

static void begin_and_cancel(stage *s) {
  copse_child_cancel(stage_spawn(s, "worker", "serve", NULL), COPSE_ORIGIN_REQUESTED, NULL, -1);
}

static void a_child_that_is_cancelled_while_it_boots_ends_as_cancelled(void **state) {
  (void)state;
  stage s = {.on_begin = begin_and_cancel, .stay = true};
  stage_init(&s);
  stage_run(&s);
  assert_true(s.done);
  assert_int_equal(s.kind, COPSE_WAS_CANCELLED);
  assert_int_equal(s.status, 0);
  stage_deinit(&s);
}

static void terminate_it(stage *s, copse_child *child) {
  (void)s;
  assert_int_equal(kill(copse_child_pid(child), SIGTERM), 0);
}

static void sigterm_cancels_a_child_which_its_parent_takes_for_an_error(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = terminate_it, .stay = true};
  stage_init(&s);
  stage_run(&s);
  assert_int_equal(s.kind, COPSE_WAS_CANCELLED);
  assert_int_equal(s.status, 1);
  const copse_error_info *info = stage_find_error(s.root_error, COPSE_CODE_CANCELLED, "worker");
  assert_non_null(info);
  assert_non_null(strstr(info->message, "shutdown"));
  stage_deinit(&s);
}

/* --- dying ------------------------------------------------------------------------------------ */

static bool remember_error(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_FAILED);
  s->own = copse_error_ref(outcome->error);
  return false;
}

static void call(stage *s, copse_child *child, const char *target) {
  assert_int_equal(copse_call(copse_child_peer(child), s->scope, target, (copse_bytes){NULL, 0},
                              remember_error, s),
                   COPSE_OK);
}

static void call_die(stage *s, copse_child *child) { call(s, child, "die"); }

static void a_child_that_is_killed_in_a_call_is_one_error_for_the_call_and_the_scope(void **state) {
  (void)state;
  int64_t signal = 0;
  stage s = {.on_begin = begin_serve, .on_ready = call_die};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_string_equal(info->actor.name, "worker");
  assert_true(stage_data_int(info, "signal", &signal));
  assert_int_equal(signal, SIGKILL);
  assert_true(stage_data_has(info, "stderr", "these are my last words"));
  assert_non_null(strstr(info->message, "SIGKILL"));
  assert_ptr_equal(s.own, s.error);
  assert_int_equal(s.status, 1);
  copse_error_unref(s.own);
  stage_deinit(&s);
}

static void call_exit(stage *s, copse_child *child) { call(s, child, "exit"); }

static void a_child_that_exits_in_a_call_is_reported_with_its_status(void **state) {
  (void)state;
  int64_t status = 0;
  stage s = {.on_begin = begin_serve, .on_ready = call_exit};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_true(stage_data_int(info, "status", &status));
  assert_int_equal(status, 3);
  copse_error_unref(s.own);
  stage_deinit(&s);
}

static void begin_liar(stage *s) { stage_spawn(s, "worker", "liar", NULL); }

static void a_child_that_returns_and_exits_with_another_status_has_died(void **state) {
  (void)state;
  int64_t status = 0;
  stage s = {.on_begin = begin_liar};
  stage_init(&s);
  stage_run(&s);
  assert_int_equal(s.kind, COPSE_FAILED);
  const copse_error_info *info = copse_error_get(s.error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_true(stage_data_int(info, "status", &status));
  assert_int_equal(status, 9);
  stage_deinit(&s);
}

static void begin_missing(stage *s) {
  const char *argv[] = {"copse-no-such-command", NULL};
  copse_spawn_options options = {.size = sizeof options, .argv = argv};
  copse_child *child = stage_spawn(s, "worker", NULL, &options);
  call(s, child, "echo");
}

static void a_command_that_cannot_be_found_is_spawn_failed_for_all_who_wait(void **state) {
  (void)state;
  stage s = {.on_begin = begin_missing};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.error);
  assert_int_equal(info->known, COPSE_CODE_SPAWN_FAILED);
  assert_non_null(strstr(info->message, "copse-no-such-command"));
  assert_non_null(strstr(info->message, "No such file"));
  assert_int_equal(copse_error_get(s.own)->known, COPSE_CODE_SPAWN_FAILED);
  copse_error_unref(s.own);
  stage_deinit(&s);
}

static void begin_directory(stage *s) {
  const char *argv[] = {"/", NULL};
  copse_spawn_options options = {.size = sizeof options, .argv = argv};
  stage_spawn(s, "worker", NULL, &options);
}

static void a_command_that_cannot_be_executed_is_spawn_failed_with_the_reason(void **state) {
  (void)state;
  stage s = {.on_begin = begin_directory};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.error);
  assert_int_equal(info->known, COPSE_CODE_SPAWN_FAILED);
  assert_non_null(strstr(info->message, "Permission denied"));
  stage_deinit(&s);
}

static void begin_broken(stage *s) {
  call(s, stage_spawn(s, "worker", "broken", NULL), "echo"); /* waits, and fails with it */
}

static void a_child_whose_main_fails_tells_its_error_and_not_only_that_it_is_gone(void **state) {
  (void)state;
  stage s = {.on_begin = begin_broken};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_FAILED);
  assert_string_equal(info->message, "this actor cannot start");
  assert_string_equal(info->actor.name, "worker");
  assert_ptr_equal(s.own, s.error);
  copse_error_unref(s.own);
  stage_deinit(&s);
}

static void begin_status(stage *s) { stage_spawn(s, "worker", "status", NULL); }

static void a_child_that_exits_before_its_hello_has_died_with_its_last_words(void **state) {
  (void)state;
  stage s = {.on_begin = begin_status};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_true(stage_data_has(info, "stderr", "cannot find my configuration"));
  stage_deinit(&s);
}

/* --- being made to go ------------------------------------------------------------------------- */

static void begin_silent(stage *s) {
  copse_spawn_options options = {.size = sizeof options, .rungs = {.boot_ms = 50}};
  stage_spawn(s, "worker", "silent", &options);
}

static void a_child_that_never_says_hello_misses_its_boot_deadline(void **state) {
  (void)state;
  stage s = {.on_begin = begin_silent};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_BOOT_TIMEOUT);
  assert_string_equal(info->actor.name, "worker");
  assert_true(stage_data_has(info, "ladder", "SIGTERM"));
  stage_deinit(&s);
}

static void begin_garbage(stage *s) {
  copse_spawn_options options = {.size = sizeof options, .rungs = {.grace_ms = 50}};
  stage_spawn(s, "worker", "garbage", &options);
}

static void what_a_child_says_in_place_of_hello_is_quoted(void **state) {
  (void)state;
  stage s = {.on_begin = begin_garbage};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_non_null(strstr(info->message, "Welcome to the machine"));
  stage_deinit(&s);
}

static void begin_deaf(stage *s) {
  copse_spawn_options options = {.size = sizeof options, .rungs = {.grace_ms = 50, .term_ms = 50}};
  stage_spawn(s, "worker", "deaf", &options);
}

static void a_child_that_ignores_everything_is_killed_and_that_is_an_error(void **state) {
  (void)state;
  int64_t signal = 0;
  stage s = {.on_begin = begin_deaf, .on_ready = cancel_it, .stay = true};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *info = copse_error_get(s.root_error);
  assert_int_equal(info->known, COPSE_CODE_DIED);
  assert_true(stage_data_int(info, "signal", &signal));
  assert_int_equal(signal, SIGKILL);
  assert_true(stage_data_has(info, "ladder", "SIGKILL"));
  assert_true(info->cancelled);
  stage_deinit(&s);
}

static void stop_and_cancel(stage *s, copse_child *child) {
  (void)s;
  assert_int_equal(kill(copse_child_pid(child), SIGSTOP), 0);
  copse_child_cancel(child, COPSE_ORIGIN_REQUESTED, NULL, 50);
}

static void cancel_call(stage *s, const stage_up *up) {
  (void)up;
  assert_int_equal(copse_cancel(s->own, COPSE_ORIGIN_REQUESTED, NULL, -1), COPSE_OK);
}

static void open_spin(stage *s, copse_child *child) { s->own = stage_grow(s, child, 0, 0, "spin"); }

static void begin_impatient(stage *s) {
  copse_spawn_options options = {.size = sizeof options,
                                 .rungs = {.grace_ms = 100, .term_ms = 100}};
  stage_spawn(s, "worker", "serve", &options);
}

/* The root's own grace is an hour. */
static void a_cancelled_call_has_no_more_time_than_the_child_was_given(void **state) {
  (void)state;
  stage s = {.on_begin = begin_impatient,
             .on_ready = open_spin,
             .on_up = cancel_call,
             .grace_ms = 3600000};
  stage_init(&s);
  stage_run(&s);
  const copse_error_info *died = stage_find_error(s.root_error, COPSE_CODE_DIED, "worker");
  assert_non_null(died);
  assert_true(stage_data_has(died, "ladder", "SIGKILL"));
  stage_deinit(&s);
}

static void a_stopped_child_is_woken_by_the_ladder(void **state) {
  (void)state;
  stage s = {.on_begin = begin_serve, .on_ready = stop_and_cancel, .stay = true};
  stage_init(&s);
  stage_run(&s);
  assert_true(s.done);
  assert_int_equal(s.kind, COPSE_WAS_CANCELLED); /* it answered after SIGTERM and SIGCONT */
  stage_deinit(&s);
}

static void ignore_registered(copse_error *error, void *arg) {
  (void)error;
  (void)arg;
}

static void a_runtime_that_is_freed_without_having_run_takes_its_children_with_it(void **state) {
  (void)state;
  stage s = {0};
  stage_init(&s);
  s.scope = copse_root_scope(s.rt);
  stage_spawn(&s, "worker", "serve", NULL);
  assert_int_equal(copse_register(s.rt, s.scope, "me", ignore_registered, NULL), COPSE_OK);
  stage_deinit(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_child_answers_a_call_and_finishes_with_what_its_main_returned),
      cmocka_unit_test(a_call_opened_before_the_child_is_ready_waits_for_it),
      cmocka_unit_test(a_link_over_standard_input_and_output_works_like_any_other),
      cmocka_unit_test(a_child_that_dials_its_parent_is_known_by_its_token),
      cmocka_unit_test(an_actor_behind_a_launcher_is_an_actor),
      cmocka_unit_test(a_child_that_is_told_to_finish_lets_what_runs_end_first),
      cmocka_unit_test(contexts_that_exist_to_be_held_end_with_nil_when_their_actor_finishes),
      cmocka_unit_test(a_child_that_is_cancelled_ends_as_cancelled_and_that_is_no_error),
      cmocka_unit_test(a_child_that_is_cancelled_while_it_boots_ends_as_cancelled),
      cmocka_unit_test(sigterm_cancels_a_child_which_its_parent_takes_for_an_error),
      cmocka_unit_test(a_child_that_is_killed_in_a_call_is_one_error_for_the_call_and_the_scope),
      cmocka_unit_test(a_child_that_exits_in_a_call_is_reported_with_its_status),
      cmocka_unit_test(a_child_that_returns_and_exits_with_another_status_has_died),
      cmocka_unit_test(a_command_that_cannot_be_found_is_spawn_failed_for_all_who_wait),
      cmocka_unit_test(a_command_that_cannot_be_executed_is_spawn_failed_with_the_reason),
      cmocka_unit_test(a_child_whose_main_fails_tells_its_error_and_not_only_that_it_is_gone),
      cmocka_unit_test(a_child_that_exits_before_its_hello_has_died_with_its_last_words),
      cmocka_unit_test(a_child_that_never_says_hello_misses_its_boot_deadline),
      cmocka_unit_test(what_a_child_says_in_place_of_hello_is_quoted),
      cmocka_unit_test(a_child_that_ignores_everything_is_killed_and_that_is_an_error),
      cmocka_unit_test(a_cancelled_call_has_no_more_time_than_the_child_was_given),
      cmocka_unit_test(a_stopped_child_is_woken_by_the_ladder),
      cmocka_unit_test(a_runtime_that_is_freed_without_having_run_takes_its_children_with_it),
  };
  return cmocka_run_group_tests(tests, stage_group_begin, stage_group_end);
}
