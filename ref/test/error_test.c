/* SPDX-License-Identifier: MIT
 *
 * Errors as objects and as maps: what one carries survives the way to another process. */
#include "runtime_core_pair.h"

static copse_ref ref(uint8_t id, const char *name) {
  copse_ref r;
  memset(&r, 0, sizeof r);
  r.id[0] = id;
  memcpy(r.name, name, strlen(name) + 1);
  return r;
}

static copse_error *round_trip(const copse_error *error, const copse_ref *self,
                               const copse_ref *peer) {
  copse_buf map;
  copse_buf_init(&map, 1u << 24, NULL);
  copse__error_encode(error, self, false, &map);
  assert_int_equal(copse_buf_status(&map), COPSE_OK);
  copse_error *back = copse__error_received(copse_buf_bytes(&map), peer);
  copse_buf_deinit(&map);
  return back;
}

static void all_that_an_error_says_survives_the_way(void **state) {
  copse_ref actor = ref(1, "worker"), via[2] = {ref(2, "relay"), ref(3, "farther")},
            peer = ref(4, "peer");
  copse_error *cause = copse_error_new(COPSE_CODE_BAD_ARGS, "a %s", "cause");
  copse_error *causes[1] = {cause};
  copse_error_info info = {.code = "x_custom",
                           .type = "ValueError",
                           .message = "h\xc3\xa9",
                           .stack = "at x\nat y",
                           .has_actor = true,
                           .actor = actor,
                           .via_count = 2,
                           .via = via,
                           .cause_count = 1,
                           .causes = causes,
                           .data = pair_int(5),
                           .cancelled = true};
  (void)state;
  copse_error *error = copse_error_make(&info);
  copse_error *back = round_trip(error, NULL, &peer);
  const copse_error_info *i = copse_error_get(back);
  assert_string_equal(i->code, "x_custom");
  assert_int_equal(i->known, COPSE_CODE_COUNT);
  assert_string_equal(i->type, "ValueError");
  assert_string_equal(i->message, "h\xc3\xa9");
  assert_string_equal(i->stack, "at x\nat y");
  assert_string_equal(i->actor.name, "worker");
  assert_int_equal(i->via_count, 3);
  assert_string_equal(i->via[0].name, "relay");
  assert_string_equal(i->via[2].name, "peer");
  assert_int_equal(i->cause_count, 1);
  assert_string_equal(copse_error_get(i->causes[0])->message, "a cause");
  assert_int_equal(pair_int_of(i->data), 5);
  assert_true(i->cancelled);
  copse_error_unref(back);
  copse_error_unref(error);
  copse_error_unref(cause);
}

static void an_error_bears_the_actor_that_sends_it_first(void **state) {
  copse_ref self = ref(1, "me"), peer = ref(1, "me");
  copse_error *error = copse_error_new(COPSE_CODE_FAILED, "x");
  (void)state;
  assert_false(copse_error_get(error)->has_actor);
  copse_error *back = round_trip(error, &self, &peer);
  assert_string_equal(copse_error_get(back)->actor.name, "me");
  copse_error_unref(back);
  copse_error_unref(error);
}

/* Reads what one peer sent and writes what goes to the next; to be compared. */
static copse_buf passed_on(copse_bytes map, const copse_ref *self, const copse_ref *peer) {
  copse_buf out;
  copse_error *error = copse__error_received(map, peer);
  copse_buf_init(&out, 4096, NULL);
  copse__error_encode(error, self, false, &out);
  copse_error_unref(error);
  return out;
}

static void an_error_that_names_no_actor_gains_none_when_it_is_passed_on(void **state) {
  copse_ref self = ref(1, "me"), peer = ref(2, "peer");
  copse_error *cause = copse_error_new(COPSE_CODE_FAILED, "below"), *causes[1] = {cause};
  copse_error_info info = {.code = "failed", .message = "x", .cause_count = 1, .causes = causes};
  copse_buf map;
  (void)state;
  copse_error *error = copse_error_make(&info);
  copse_buf_init(&map, 4096, NULL);
  copse_error_encode(error, &map);
  copse_buf out = passed_on(copse_buf_bytes(&map), &self, &peer);
  copse_error *back = copse_error_decode(copse_buf_bytes(&out));
  const copse_error_info *i = copse_error_get(back);
  assert_false(i->has_actor);
  assert_int_equal(i->via_count, 1);
  assert_false(copse_error_get(i->causes[0])->has_actor);
  copse_error_unref(back);
  copse_error_unref(error);
  copse_error_unref(cause);
  copse_buf_deinit(&out);
  copse_buf_deinit(&map);
}

static void text_with_zero_bytes_is_passed_on_whole(void **state) {
  static const char code[] = "a\0b", message[] = "one\0two", stack[] = "\0";
  copse_ref self = ref(1, "me"), peer = ref(2, "peer");
  copse_bytes value, text;
  copse_buf map;
  (void)state;
  copse_buf_init(&map, 4096, NULL);
  copse_pack_map(&map, 3);
  copse_pack_cstr(&map, "code");
  copse_pack_str(&map, code, sizeof code - 1);
  copse_pack_cstr(&map, "message");
  copse_pack_str(&map, message, sizeof message - 1);
  copse_pack_cstr(&map, "stack");
  copse_pack_str(&map, stack, sizeof stack - 1);
  copse_buf out = passed_on(copse_buf_bytes(&map), &self, &peer);
  assert_int_equal(copse_map_get(copse_buf_bytes(&out), "code", &value), COPSE_OK);
  assert_int_equal(copse_value_str(value, &text), COPSE_OK);
  assert_int_equal(text.size, sizeof code - 1);
  assert_int_equal(copse_map_get(copse_buf_bytes(&out), "message", &value), COPSE_OK);
  assert_int_equal(copse_value_str(value, &text), COPSE_OK);
  assert_int_equal(text.size, sizeof message - 1);
  assert_memory_equal(text.data, message, text.size);
  assert_int_equal(copse_map_get(copse_buf_bytes(&out), "stack", &value), COPSE_OK);
  copse_buf_deinit(&out);
  copse_buf_deinit(&map);
}

static void a_path_of_more_than_32_relays_keeps_those_nearest_to_the_origin(void **state) {
  copse_error *error = copse_error_new(COPSE_CODE_FAILED, "x");
  (void)state;
  for (uint8_t i = 1; i < 40; i++) {
    copse_ref peer = ref(i, "p");
    copse_error *next = round_trip(error, NULL, &peer);
    copse_error_unref(error);
    error = next;
  }
  const copse_error_info *info = copse_error_get(error);
  assert_int_equal(info->via_count, COPSE_VIA_MAX);
  assert_int_equal(info->via[0].id[0], 1);
  assert_int_equal(info->via[31].id[0], 32);
  copse_error_unref(error);
}

static void text_that_is_no_utf8_is_made_sendable(void **state) {
  copse_error *error = copse_error_new(COPSE_CODE_FAILED, "bad \xff\xfe bytes");
  (void)state;
  assert_string_equal(copse_error_get(error)->message, "bad ?? bytes");
  copse_error_unref(error);
}

static void one_error_joined_is_itself_and_groups_are_flattened_with_their_path(void **state) {
  copse_ref peer = ref(7, "relay");
  copse_error *a = copse_error_new(COPSE_CODE_FAILED, "a"),
              *b = copse_error_new(COPSE_CODE_FAILED, "b");
  copse_error *c = copse_error_new(COPSE_CODE_FAILED, "c"), *two[2] = {a, b};
  (void)state;
  copse_error *one = copse__error_join(two, 1);
  assert_ptr_equal(one, a);
  copse_error_unref(one);
  copse_error *group = copse__error_join(two, 2);
  copse_error *relayed = round_trip(group, NULL, &peer);
  copse_error *again[2] = {relayed, c};
  copse_error *flat = copse__error_join(again, 2);
  const copse_error_info *info = copse_error_get(flat);
  assert_string_equal(info->code, "group");
  assert_int_equal(info->cause_count, 3);
  assert_string_equal(copse_error_get(info->causes[0])->message, "a");
  assert_int_equal(copse_error_get(info->causes[0])->via_count, 1);
  assert_string_equal(copse_error_get(info->causes[0])->via[0].name, "relay");
  assert_int_equal(copse_error_get(info->causes[2])->via_count, 0);
  copse_error_unref(flat);
  copse_error_unref(relayed);
  copse_error_unref(group);
  copse_error_unref(a);
  copse_error_unref(b);
  copse_error_unref(c);
}

static void malformed_maps_are_no_errors_and_what_is_received_is_never_nothing(void **state) {
  static const struct {
    const uint8_t bytes[32];
    size_t size;
  } bad[] = {
      {{0xc0}, 1},
      {{0x80}, 1},
      {{0x81, 0xa4, 'c', 'o', 'd', 'e', 0xa1, 'x'}, 8}, /* no message */
      {{0x82, 0xa4, 'c', 'o', 'd', 'e', 0x01, 0xa7, 'm', 'e', 's', 's', 'a', 'g', 'e', 0xa1, 'x'},
       17},
      {{0x82, 0xa4, 'c', 'o', 'd', 'e', 0xa1, 'x', 0xa7, 'm', 'e', 's', 's', 'a', 'g', 'e'}, 16},
      {{0xdf, 0xff, 0xff, 0xff, 0xff}, 5},
      {{0}, 0},
  };
  copse_ref peer = ref(1, "p");
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    copse_bytes map = {bad[i].bytes, bad[i].size};
    assert_null(copse_error_decode(map));
    copse_error *error = copse__error_received(map, &peer);
    assert_int_equal(copse_error_get(error)->known, COPSE_CODE_FAILED);
    copse_error_unref(error);
  }
}

static void a_map_of_many_causes_is_cut_and_not_believed(void **state) {
  copse_buf map;
  (void)state;
  copse_buf_init(&map, 1u << 24, NULL);
  copse_pack_map(&map, 3);
  copse_pack_cstr(&map, "code");
  copse_pack_cstr(&map, "group");
  copse_pack_cstr(&map, "message");
  copse_pack_cstr(&map, "many");
  copse_pack_cstr(&map, "causes");
  copse_pack_array(&map, 10000);
  for (int i = 0; i < 10000; i++) {
    copse_pack_map(&map, 2);
    copse_pack_cstr(&map, "code");
    copse_pack_cstr(&map, "");
    copse_pack_cstr(&map, "message");
    copse_pack_cstr(&map, "");
  }
  copse_error *error = copse_error_decode(copse_buf_bytes(&map));
  assert_non_null(error);
  assert_int_equal(copse_error_get(error)->cause_count, 64);
  copse_error_unref(error);
  copse_buf_deinit(&map);
}

static void causes_of_causes_are_written_and_read_to_a_bounded_depth(void **state) {
  copse_error *error = copse_error_new(COPSE_CODE_FAILED, "innermost");
  unsigned depth = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    copse_error *causes[1] = {error};
    copse_error_info info = {
        .code = "failed", .message = "outer", .cause_count = 1, .causes = causes};
    copse_error *outer = copse_error_make(&info);
    copse_error_unref(error);
    error = outer;
  }
  copse_error *back = round_trip(error, NULL, NULL);
  for (const copse_error *e = back; copse_error_get(e)->cause_count;
       e = copse_error_get(e)->causes[0])
    depth++;
  assert_int_equal(depth, 8);
  copse_error_unref(back);
  copse_error_unref(error);
}

/* Whatever a peer puts into an error, a terminal gets to see characters. */
static void no_control_character_gets_into_a_report(void **state) {
  static const char evil[] = "a\033[2Jb\xc2\x9b"
                             "31mc\rd\x7f"
                             "e";
  copse_buf data, report;
  (void)state;
  copse_buf_init(&data, 4096, NULL);
  copse_pack_map(&data, 2);
  copse_pack_cstr(&data, evil);
  copse_pack_cstr(&data, evil);
  copse_pack_cstr(&data, "stderr");
  copse_pack_cstr(&data, "line\n\033[2Jline\n");
  copse_error_info inner_info = {.code = evil, .message = evil, .type = evil};
  copse_error *inner = copse_error_make(&inner_info);
  copse_error_info info = {.code = evil,
                           .type = evil,
                           .message = evil,
                           .stack = evil,
                           .data = copse_buf_bytes(&data),
                           .cause_count = 1,
                           .causes = &inner};
  copse_error *error = copse_error_make(&info);
  copse_buf_init(&report, 1u << 20, NULL);
  copse_error_report(error, &report, false, 0);
  assert_true(report.size > 0);
  for (size_t i = 0; i < report.size; i++) {
    assert_true(report.data[i] == '\n' || (report.data[i] >= 0x20 && report.data[i] != 0x7f));
    assert_false(report.data[i] == 0xc2 && report.data[i + 1] < 0xa0);
  }
  copse_buf_deinit(&report);
  copse_buf_deinit(&data);
  copse_error_unref(error);
  copse_error_unref(inner);
}

static void every_status_stands_for_an_error(void **state) {
  (void)state;
#define X(name, number, text)                                                                      \
  {                                                                                                \
    copse_error *error = copse_status_error((copse_status)(number), "what");                       \
    assert_true(copse_error_get(error)->known != COPSE_CODE_COUNT);                                \
    assert_non_null(strstr(copse_error_get(error)->message, text));                                \
    copse_error_unref(error);                                                                      \
  }
  COPSE_STATUSES(X)
#undef X
}

static void a_message_that_is_too_long_is_cut_between_characters(void **state) {
  enum { CHARACTERS = 1200 };
  char text[3 * CHARACTERS + 1];
  (void)state;
  for (int i = 0; i < CHARACTERS; i++) memcpy(text + 3 * i, "\xe2\x82\xac", 3);
  text[3 * CHARACTERS] = 0;
  for (int pad = 0; pad < 3; pad++) {
    copse_error *error = copse_error_new(COPSE_CODE_FAILED, "%.*s%s", pad, "xx", text);
    const char *message = copse_error_get(error)->message;
    size_t size = strlen(message);
    assert_true(size > 1400 && size < 3 * CHARACTERS);
    assert_int_equal((size - (size_t)pad) % 3, 0);
    assert_memory_equal(message + pad, text, size - (size_t)pad);
    copse_error_unref(error);
  }
}

static void the_constant_error_needs_no_counting(void **state) {
  copse_error *error = copse__error_no_memory();
  (void)state;
  copse_error_unref(copse_error_ref(error));
  copse_error_unref(error);
  assert_string_equal(copse_error_get(error)->code, "no_memory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_that_an_error_says_survives_the_way),
      cmocka_unit_test(an_error_bears_the_actor_that_sends_it_first),
      cmocka_unit_test(an_error_that_names_no_actor_gains_none_when_it_is_passed_on),
      cmocka_unit_test(text_with_zero_bytes_is_passed_on_whole),
      cmocka_unit_test(a_path_of_more_than_32_relays_keeps_those_nearest_to_the_origin),
      cmocka_unit_test(text_that_is_no_utf8_is_made_sendable),
      cmocka_unit_test(one_error_joined_is_itself_and_groups_are_flattened_with_their_path),
      cmocka_unit_test(malformed_maps_are_no_errors_and_what_is_received_is_never_nothing),
      cmocka_unit_test(a_map_of_many_causes_is_cut_and_not_believed),
      cmocka_unit_test(causes_of_causes_are_written_and_read_to_a_bounded_depth),
      cmocka_unit_test(no_control_character_gets_into_a_report),
      cmocka_unit_test(every_status_stands_for_an_error),
      cmocka_unit_test(a_message_that_is_too_long_is_cut_between_characters),
      cmocka_unit_test(the_constant_error_needs_no_counting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
