/* SPDX-License-Identifier: MIT
 *
 * Calls: one context after the other, from both ends. */
#include "runtime_core_pair.h"

typedef struct call {
  bool done;
  copse_outcome_kind kind;
  int64_t value;
  copse_error *error;
  bool take;
} call;

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  call *c = arg;
  (void)ctx;
  c->done = true;
  c->kind = outcome->kind;
  if (outcome->kind == COPSE_RETURNED && copse_value_type(outcome->value) == COPSE_INT)
    c->value = pair_int_of(outcome->value);
  c->error = copse_error_ref(outcome->error);
  return c->take;
}

static void twice(copse_context *ctx, copse_bytes args, void *arg) {
  copse_reader reader;
  copse_token token;
  (void)arg;
  copse_reader_init(&reader, args);
  assert_int_equal(copse_read(&reader, &token), COPSE_OK);
  assert_int_equal(copse_read(&reader, &token), COPSE_OK);
  copse_return(ctx, pair_int(token.integer * 2));
}

static copse_bytes args_of(int64_t n) {
  static uint8_t bytes[2];
  bytes[0] = 0x91;
  bytes[1] = (uint8_t)n;
  return (copse_bytes){bytes, 2};
}

static void a_call_brings_back_what_the_handler_returned(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  call c = {0};
  (void)state;
  assert_int_equal(copse_export(p->b, "twice", twice, NULL, COPSE_FROM_ANYONE, false), COPSE_OK);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  assert_int_equal(copse_call(p->to_b, scope, "twice", args_of(21), on_done, &c), COPSE_OK);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  assert_true(c.done);
  assert_int_equal(c.kind, COPSE_RETURNED);
  assert_int_equal(c.value, 42);
  assert_null(e.error);
  pair_free(p);
}

static void a_call_of_what_is_not_exported_fails_the_scope_with_no_target(void **state) {
  pair *p = pair_new(NULL);
  ending e;
  call c = {0};
  (void)state;
  copse_scope *scope = pair_scope(p->a, &e, -1);
  assert_int_equal(copse_call(p->to_b, scope, "nothing", args_of(1), on_done, &c), COPSE_OK);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  assert_int_equal(c.kind, COPSE_FAILED);
  assert_string_equal(copse_error_get(e.error)->code, "no_target");
  assert_int_equal(copse_error_get(e.error)->via_count, 1);
  assert_memory_equal(copse_error_get(e.error)->via[0].id, p->b->self.id, 16);
  copse_error_unref(c.error);
  pair_ending_clear(&e);
  pair_free(p);
}

static void wait_for_ever(copse_context *ctx, copse_bytes args, void *arg) {
  (void)ctx;
  (void)args;
  (void)arg;
}

/* LINK-007: what waits behind other messages when BYE comes is not begun any more,
 * and whoever waits is told. */
static void a_call_that_was_not_begun_before_bye_fails_with_closing(void **state) {
  enum { BEFORE = 4, SIZE = 60000 };
  static uint8_t large[SIZE] = {0x91, 0xc5, (SIZE - 4) >> 8, (SIZE - 4) & 0xff};
  pair *p = pair_new(NULL);
  ending e;
  call c = {.take = true}, others[BEFORE];
  (void)state;
  memset(others, 0, sizeof others);
  assert_int_equal(copse_export(p->b, "wait", wait_for_ever, NULL, COPSE_FROM_ANYONE, false),
                   COPSE_OK);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  for (int i = 0; i < BEFORE; i++) {
    others[i].take = true;
    assert_int_equal(
        copse_call(p->to_b, scope, "wait", (copse_bytes){large, SIZE}, on_done, &others[i]),
        COPSE_OK);
  }
  assert_int_equal(copse_call(p->to_b, scope, "wait", args_of(1), on_done, &c), COPSE_OK);
  copse__link_bye(p->la, COPSE_CODE_NONE, NULL);
  pair_until(p, &c.done);
  assert_int_equal(c.kind, COPSE_FAILED);
  assert_string_equal(copse_error_get(c.error)->code, "closing");
  copse_scope_seal(scope, NULL);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  pair_until(p, &e.ended);
  for (int i = 0; i < BEFORE; i++) copse_error_unref(others[i].error);
  copse_error_unref(c.error);
  pair_ending_clear(&e);
  pair_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_brings_back_what_the_handler_returned),
      cmocka_unit_test(a_call_of_what_is_not_exported_fails_the_scope_with_no_target),
      cmocka_unit_test(a_call_that_was_not_begun_before_bye_fails_with_closing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
