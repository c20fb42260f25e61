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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_brings_back_what_the_handler_returned),
      cmocka_unit_test(a_call_of_what_is_not_exported_fails_the_scope_with_no_target),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
