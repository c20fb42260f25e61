/* SPDX-License-Identifier: MIT
 *
 * Names, and the tree as it is seen from inside: the registry and copse.info, among real processes.
 */
#include "test/stage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct plan {
  copse_child *asker, *named;
  char events[16]; /* of a watch: what came, in order */
  size_t event_count;
  char name[COPSE_NAME_MAX + 1];
  copse_ref found;
  size_t found_count;
  bool told, registered;
  copse_scope *scope;
  copse_member *body;
  copse_code code;
} plan;

static copse_child *spawn_named(stage *s, const char *name, const char *as) {
  const char *argv[] = {stage_tool(), "named", as, NULL};
  copse_spawn_options options = {.size = sizeof options, .argv = argv};
  return stage_spawn(s, name, NULL, &options);
}

/* --- finding ---------------------------------------------------------------------------------- */

static bool on_answer(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  plan *p = s->own;
  copse_bytes text;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  assert_int_equal(copse_value_str(outcome->value, &text), COPSE_OK);
  memcpy(p->name, text.data, text.size);
  return true;
}

/* The asker asks before anybody bears the name. */
static void begin_asking(stage *s) {
  plan *p = s->own;
  copse_buf args;
  copse_buf_init(&args, 64, NULL);
  copse_pack_map(&args, 1);
  copse_pack_cstr(&args, "name");
  copse_pack_cstr(&args, "service");
  p->asker = stage_spawn(s, "asker", "serve", NULL);
  assert_int_equal(
      copse_call(copse_child_peer(p->asker), s->scope, "ask", copse_buf_bytes(&args), on_answer, s),
      COPSE_OK);
  copse_buf_deinit(&args);
  p->named = spawn_named(s, "worker", "service");
}

static void siblings_find_each_other_by_name_and_talk_directly(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_asking, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_null(s.root_error);
  assert_string_equal(p.name, "worker");
  stage_deinit(&s);
}

static void on_found(const copse_ref *refs, size_t count, copse_error *error, void *arg) {
  stage *s = arg;
  plan *p = s->own;
  assert_null(error);
  p->told = true;
  p->found_count = count;
  if (count) p->found = refs[0];
}

static void find_it(stage *s, copse_child *child) {
  (void)child;
  assert_int_equal(copse_find(s->rt, s->scope, "service", false, on_found, s), COPSE_OK);
}

static void begin_named(stage *s) { spawn_named(s, "worker", "service"); }

static void the_registrar_finds_in_its_own_process_who_is_registered(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_named, .on_ready = find_it, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_int_equal(p.found_count, 1);
  assert_string_equal(p.found.name, "worker");
  assert_true(p.found.address_count > 0);
  stage_deinit(&s);
}

static void begin_finding_nobody(stage *s) {
  assert_int_equal(copse_find(s->rt, s->scope, "nobody", false, on_found, s), COPSE_OK);
}

static void a_name_that_nobody_bears_is_found_empty(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_finding_nobody, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_true(p.told);
  assert_int_equal(p.found_count, 0);
  stage_deinit(&s);
}

static void on_never_registered(copse_error *error, void *arg) {
  (void)error;
  (void)arg;
  fail();
}

static void begin_with_bad_names(stage *s) {
  char longest[COPSE_NAME_MAX + 2];
  memset(longest, 'x', sizeof longest);
  longest[COPSE_NAME_MAX + 1] = 0;
  const char *const bad[] = {"", longest, "a\xff", "\xc3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(copse_register(s->rt, s->scope, bad[i], on_never_registered, s), COPSE_EINVAL);
    assert_int_equal(copse_find(s->rt, s->scope, bad[i], true, on_found, s), COPSE_EINVAL);
  }
}

static void a_name_that_nobody_could_be_told_is_refused(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_with_bad_names, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_null(s.root_error);
  assert_false(p.told);
  stage_deinit(&s);
}

static void on_not_found(const copse_ref *refs, size_t count, copse_error *error, void *arg) {
  stage *s = arg;
  plan *p = s->own;
  (void)refs;
  assert_int_equal(count, 0);
  p->told = true;
  p->code = copse_error_get(error)->known;
}

static void begin_waiting_for_nobody(stage *s) {
  assert_int_equal(copse_find(s->rt, s->scope, "nobody", true, on_not_found, s), COPSE_OK);
  copse_scope_cancel(s->scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
}

static void waiting_for_a_name_ends_with_its_scope(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_waiting_for_nobody, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_true(p.told);
  assert_int_equal(p.code, COPSE_CODE_CANCELLED);
  stage_deinit(&s);
}

/* --- watching --------------------------------------------------------------------------------- */

static void on_event(char op, const char *name, const copse_ref *ref, copse_error *error,
                     void *arg) {
  stage *s = arg;
  plan *p = s->own;
  assert_null(error);
  if (ref) assert_string_equal(name, "service");
  else assert_null(name);
  if (p->event_count < sizeof p->events - 1) p->events[p->event_count++] = op;
  if (op == '.') spawn_named(s, "worker", "service");
  if (op == '+') {
    assert_string_equal(ref->name, "worker");
    copse_child_kill(s->child, SIGKILL);
  }
  if (op == '-') copse_member_leave(p->body, NULL);
}

static void begin_watching(stage *s) {
  plan *p = s->own;
  p->body = copse_scope_join(s->scope, NULL, NULL); /* leaves when all was seen */
  s->swallow = true;
  assert_int_equal(copse_watch(s->rt, s->scope, NULL, on_event, s), COPSE_OK);
}

static void a_watcher_sees_a_name_come_and_go_with_the_process_that_bore_it(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_watching, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_string_equal(p.events, ".+-");
  stage_deinit(&s);
}

static void on_own_registered(copse_error *error, void *arg) {
  stage *s = arg;
  plan *p = s->own;
  assert_null(error);
  p->registered = true;
  assert_int_equal(copse_find(s->rt, s->scope, "self", false, on_found, s), COPSE_OK);
}

static void begin_registering(stage *s) {
  plan *p = s->own;
  p->scope = copse_scope_new(s->rt, s->scope, NULL, NULL, NULL);
  assert_int_equal(copse_register(s->rt, p->scope, "self", on_own_registered, s), COPSE_OK);
  /* A registration is a service: the body is what keeps the scope. */
  copse_scope_seal(p->scope, NULL);
}

static void a_registration_alone_does_not_keep_its_scope(void **state) {
  (void)state;
  plan p = {0};
  stage s = {.on_begin = begin_registering, .own = &p};
  stage_init(&s);
  stage_run(&s);
  assert_null(s.root_error);
  stage_deinit(&s);
}

/* --- copse.info ------------------------------------------------------------------------------- */

/* What was told of the lowest actor. */
static char seen_state[32];
static pid_t seen_pid;
static size_t seen_entries;

static copse_ref ref_in(copse_bytes entry, const char *key) {
  copse_bytes value;
  copse_ref ref;
  assert_int_equal(copse_map_get(entry, key, &value), COPSE_OK);
  assert_int_equal(copse_value_ref(value, &ref), COPSE_OK);
  return ref;
}

static int64_t int_in(copse_bytes entry, const char *key) {
  copse_bytes value;
  int64_t number = 0;
  assert_int_equal(copse_map_get(entry, key, &value), COPSE_OK);
  assert_int_equal(copse_value_int(value, &number), COPSE_OK);
  return number;
}

/* A list, from the one that was asked downwards: each entry names the one before as its parent. */
static bool on_info(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  stage *s = arg;
  copse_bytes entry, value, text;
  copse_reader reader;
  copse_token array;
  copse_ref above = *copse_self(s->rt), ref;
  (void)ctx;
  assert_int_equal(outcome->kind, COPSE_RETURNED);
  copse_reader_init(&reader, outcome->value);
  assert_int_equal(copse_read(&reader, &array), COPSE_OK);
  assert_int_equal(array.type, COPSE_ARRAY);
  seen_entries = array.count;
  for (uint32_t i = 0; i < array.count; i++) {
    assert_int_equal(copse_read_value(&reader, &entry), COPSE_OK);
    ref = ref_in(entry, "parent");
    assert_memory_equal(ref.id, above.id, sizeof ref.id);
    above = ref_in(entry, "ref");
    if (i == 0) {
      assert_string_equal(above.name, "top");
      assert_true(int_in(entry, "rss") > 0);
    }
  }
  assert_int_equal(copse_map_get(entry, "state", &value), COPSE_OK);
  assert_int_equal(copse_value_str(value, &text), COPSE_OK);
  assert_true(text.size < sizeof seen_state);
  memcpy(seen_state, text.data, text.size);
  seen_state[text.size] = 0;
  seen_pid = (pid_t)int_in(entry, "pid");
  copse_child_kill(s->child, SIGKILL);
  return true;
}

static void ask_when_up(stage *s, const stage_up *up) {
  if (strcmp(up->name, "top.0") != 0) return;
  assert_int_equal(copse_call(copse_child_peer(s->child), s->scope, "copse.info",
                              (copse_bytes){NULL, 0}, on_info, s),
                   COPSE_OK);
}

static void grow_one(stage *s, copse_child *child) { stage_grow(s, child, 1, 1, s->own); }

static void begin_top(stage *s) { stage_spawn(s, "top", "serve", NULL); }

static void info_of(const char *bottom, const char *expected) {
  stage s = {.on_begin = begin_top,
             .on_ready = grow_one,
             .on_up = ask_when_up,
             .own = (void *)(uintptr_t)bottom,
             .grace_ms = 300};
  seen_pid = 0;
  stage_init(&s);
  stage_run(&s);
  assert_string_equal(seen_state, expected);
  assert_int_equal(s.up_count, 2);
  assert_int_equal(seen_entries, 2);
  assert_int_equal(seen_pid, s.up[1].pid);
  stage_deinit(&s);
}

static void an_actor_tells_of_its_children_as_they_tell_of_themselves(void **state) {
  (void)state;
  info_of("idle", "working");
}

static void a_child_in_a_busy_loop_is_listed_as_unresponsive(void **state) {
  (void)state;
  info_of("spin", "unresponsive");
}

static void a_stopped_child_is_listed_as_suspended(void **state) {
  (void)state;
  info_of("stop", "suspended");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(siblings_find_each_other_by_name_and_talk_directly),
      cmocka_unit_test(the_registrar_finds_in_its_own_process_who_is_registered),
      cmocka_unit_test(a_name_that_nobody_bears_is_found_empty),
      cmocka_unit_test(a_name_that_nobody_could_be_told_is_refused),
      cmocka_unit_test(waiting_for_a_name_ends_with_its_scope),
      cmocka_unit_test(a_watcher_sees_a_name_come_and_go_with_the_process_that_bore_it),
      cmocka_unit_test(a_registration_alone_does_not_keep_its_scope),
      cmocka_unit_test(an_actor_tells_of_its_children_as_they_tell_of_themselves),
      cmocka_unit_test(a_child_in_a_busy_loop_is_listed_as_unresponsive),
      cmocka_unit_test(a_stopped_child_is_listed_as_suspended),
  };
  return cmocka_run_group_tests(tests, stage_group_begin, stage_group_end);
}
