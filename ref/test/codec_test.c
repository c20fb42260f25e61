/* SPDX-License-Identifier: MIT
 *
 * Values: what is written is read back, what is no value is refused, and msgpack-c agrees. */
#include "wire/value.h"
#include "wire_pair.h"

#include <math.h>
#include <msgpack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_hex(const char *hex, const char *why) {
  uint8_t bytes[4096];
  const copse_bytes value = test_hex(hex, bytes, sizeof bytes);
  /* A copy of just the size, so that a read beyond it is found. */
  uint8_t *exact = malloc(value.size ? value.size : 1);
  if (!exact) abort();
  memcpy(exact, value.data, value.size);
  const char *found = NULL;
  size_t offset = 0;
  const copse_status status = copse_value_check((copse_bytes){exact, value.size}, &found, &offset);
  free(exact);
  if (!why && status) fail_msg("%s is refused at %zu: %s", hex, offset, found);
  if (why && status != COPSE_EVALUE) fail_msg("%s is not refused", hex);
  if (why && strcmp(found, why) != 0) fail_msg("%s: %s, not %s", hex, found, why);
}

static void integers_of_every_width_come_back(void **state) {
  (void)state;
  static const int64_t numbers[] = {0,
                                    1,
                                    -1,
                                    -32,
                                    -33,
                                    127,
                                    128,
                                    255,
                                    256,
                                    -128,
                                    -129,
                                    65535,
                                    65536,
                                    -32768,
                                    -32769,
                                    INT32_MAX,
                                    INT32_MIN,
                                    UINT32_MAX,
                                    INT64_MAX,
                                    INT64_MIN,
                                    INT64_C(1) << 32,
                                    -(INT64_C(1) << 32)};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    copse_buf buf;
    copse_buf_init(&buf, 64, NULL);
    copse_pack_int(&buf, numbers[i]);
    int64_t back = 0;
    assert_int_equal(copse_value_check(copse_buf_bytes(&buf), NULL, NULL), COPSE_OK);
    assert_int_equal(copse_value_int(copse_buf_bytes(&buf), &back), COPSE_OK);
    assert_true(back == numbers[i]);
    copse_buf_deinit(&buf);
  }
}

static void scalars_and_containers_come_back(void **state) {
  (void)state;
  copse_buf buf;
  copse_reader reader;
  copse_token token;
  copse_buf_init(&buf, 1 << 20, NULL);
  copse_pack_array(&buf, 8);
  copse_pack_nil(&buf);
  copse_pack_bool(&buf, true);
  copse_pack_float(&buf, -0.5);
  copse_pack_cstr(&buf, "h\xc3\xa9");
  copse_pack_bin(&buf, "\0\xff", 2);
  copse_pack_map(&buf, 1);
  copse_pack_int(&buf, -7);
  copse_pack_array(&buf, 0);
  copse_pack_ext(&buf, 42, "abc", 3);
  copse_pack_value(&buf, TEST_BYTES("\xa1z"));
  assert_int_equal(copse_buf_status(&buf), COPSE_OK);
  assert_int_equal(copse_value_check(copse_buf_bytes(&buf), NULL, NULL), COPSE_OK);
  copse_reader_init(&reader, copse_buf_bytes(&buf));
  static const copse_type types[] = {COPSE_ARRAY, COPSE_NIL, COPSE_BOOL, COPSE_FLOAT,
                                     COPSE_STR,   COPSE_BIN, COPSE_MAP,  COPSE_INT,
                                     COPSE_ARRAY, COPSE_EXT, COPSE_STR};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    assert_int_equal(copse_read(&reader, &token), COPSE_OK);
    assert_int_equal(token.type, types[i]);
    if (token.type == COPSE_FLOAT) assert_true(token.number < -0.4 && token.number > -0.6);
    if (token.type == COPSE_EXT) assert_int_equal(token.ext, 42);
    if (i == 4) assert_memory_equal(token.bytes.data, "h\xc3\xa9", 3);
  }
  assert_int_equal(copse_read(&reader, &token), COPSE_EEND);
  copse_reader_init(&reader, copse_buf_bytes(&buf));
  copse_bytes whole;
  assert_int_equal(copse_read_value(&reader, &whole), COPSE_OK);
  assert_int_equal(whole.size, buf.size);
  char text[200];
  copse_value_text(whole, text, sizeof text);
  assert_string_equal(
      text, "[null, true, -0.5, \"h\xc3\xa9\", b\"00ff\", {-7: []}, ext 42 b\"616263\", \"z\"]");
  copse_buf_deinit(&buf);
}

static void floats_of_both_widths_are_read_and_keep_their_bits(void **state) {
  (void)state;
  double number;
  assert_int_equal(copse_value_float(TEST_BYTES("\xca\x3f\xc0\0\0"), &number), COPSE_OK);
  assert_true(fabs(number - 1.5) < 1e-9);
  assert_int_equal(copse_value_float(TEST_BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), &number), COPSE_OK);
  assert_true(isnan(number));
  assert_int_equal(copse_value_float(TEST_BYTES("\x07"), &number), COPSE_OK);
  assert_true(fabs(number - 7) < 1e-9);
  assert_int_equal(copse_value_float(TEST_BYTES("\xa1x"), &number), COPSE_ETYPE);
}

static void references_come_back_with_and_without_addresses(void **state) {
  (void)state;
  copse_ref ref = test_ref("worker \xc3\xa9", 3), back;
  strcpy(ref.addresses[0], "unix:/tmp/a");
  strcpy(ref.addresses[1], "tcp:localhost:77");
  ref.address_count = 2;
  for (int with = 0; with < 2; with++) {
    copse_buf buf;
    copse_buf_init(&buf, 1 << 16, NULL);
    copse_pack_ref(&buf, &ref, with);
    assert_int_equal(copse_value_check(copse_buf_bytes(&buf), NULL, NULL), COPSE_OK);
    assert_int_equal(copse_value_ref(copse_buf_bytes(&buf), &back), COPSE_OK);
    assert_memory_equal(back.id, ref.id, 16);
    assert_string_equal(back.name, ref.name);
    assert_int_equal(back.address_count, with ? 2 : 0);
    if (with) assert_string_equal(back.addresses[1], ref.addresses[1]);
    copse_buf_deinit(&buf);
  }
  assert_int_equal(copse_value_ref(TEST_BYTES("\xa1x"), &back), COPSE_ETYPE);
  assert_int_equal(copse_value_ref(TEST_BYTES("\xd4\x01\x93"), &back), COPSE_EVALUE);
}

static void map_get_finds_a_key_among_others(void **state) {
  (void)state;
  const copse_bytes map = TEST_BYTES("\x83\xa1"
                                     "a\x01\xa2"
                                     "ab\x92\x01\x02\xa1"
                                     "b\xa1x");
  copse_bytes value;
  assert_int_equal(copse_map_get(map, "ab", &value), COPSE_OK);
  assert_int_equal(value.size, 3);
  assert_int_equal(copse_map_get(map, "c", &value), COPSE_EUNKNOWN);
  assert_int_equal(copse_map_get(TEST_BYTES("\x90"), "c", &value), COPSE_ETYPE);
}

static void a_buffer_keeps_its_maximum_and_its_first_failure(void **state) {
  (void)state;
  copse_buf buf;
  copse_buf_init(&buf, 10, NULL);
  copse_pack_cstr(&buf, "12345678");
  assert_int_equal(copse_buf_status(&buf), COPSE_OK);
  copse_pack_cstr(&buf, "12345678");
  copse_pack_nil(&buf);
  assert_int_equal(copse_buf_status(&buf), COPSE_ETOOLARGE);
  copse_buf_reset(&buf);
  copse_pack_nil(&buf);
  assert_int_equal(copse_buf_status(&buf), COPSE_OK);
  assert_int_equal(copse_buf_bytes(&buf).size, 1);
  copse_buf_deinit(&buf);
  test_mem mem;
  test_mem_init(&mem);
  mem.fail_at = 1;
  copse_buf_init(&buf, 100, &mem.mem);
  copse_pack_nil(&buf);
  copse_pack_nil(&buf);
  assert_int_equal(copse_buf_status(&buf), COPSE_ENOMEM);
  copse_buf_deinit(&buf);
}

static void what_is_no_value_is_refused_with_the_reason(void **state) {
  (void)state;
  check_hex("", "no value at all");
  check_hex("c1", "byte c1 means nothing");
  check_hex("c0c0", "bytes after the value");
  check_hex("cc", "value cut short");
  check_hex("cf8000000000000000", "integer above 2^63-1");
  check_hex("cf7fffffffffffffff", NULL);
  check_hex("d38000000000000000", NULL);
  check_hex("a2ff41", "str is not UTF-8");
  check_hex("a3616263", NULL);
  check_hex("a36162", "value cut short");
  check_hex("9101", NULL);
  check_hex("91", "value cut short");
  check_hex("8101", "value cut short");
  check_hex("810102", NULL);
  check_hex("81a16102", NULL);
  check_hex("81c002", "map key is neither str nor integer");
  check_hex("81ca0000000002", "map key is neither str nor integer");
  check_hex("81900102", "map key is neither str nor integer");
  check_hex("820102c003", "map key is neither str nor integer");
  check_hex("d6ff00000000", NULL);
  check_hex("d5ff0000", "malformed timestamp");
  check_hex("c70cff000000000000000000000000", NULL);
  check_hex("d40100", "malformed actor reference");
  check_hex("d40700", NULL);
  check_hex("d4", "value cut short");
}

static void bombs_of_count_and_depth_are_refused_at_once(void **state) {
  (void)state;
  check_hex("ddffffffff", "value cut short");
  check_hex("dfffffffff", "value cut short");
  check_hex("df7fffffff0102", "value cut short");
  check_hex("dbffffffff", "value cut short");
  check_hex("c6ffffffff", "value cut short");
  check_hex("c9ffffffff01", "value cut short");
  char hex[200] = "";
  for (int i = 0; i < 32; i++) strcat(hex, "91");
  strcat(hex, "c0");
  check_hex(hex, NULL);
  memmove(hex + 2, hex, strlen(hex) + 1);
  memcpy(hex, "91", 2);
  check_hex(hex, "nested too deep");
  /* A million levels cost no stack and no time. */
  static uint8_t deep[1 << 20];
  memset(deep, 0x91, sizeof deep);
  assert_int_equal(copse_value_check((copse_bytes){deep, sizeof deep}, NULL, NULL), COPSE_EVALUE);
  copse_reader reader;
  copse_reader_init(&reader, (copse_bytes){deep, sizeof deep});
  assert_int_equal(copse_read_value(&reader, NULL), COPSE_EVALUE);
  deep[sizeof deep - 1] = 0xc0;
  copse_reader_init(&reader, (copse_bytes){deep, sizeof deep});
  assert_int_equal(copse_read_value(&reader, NULL), COPSE_OK);
  char text[100];
  const size_t written = copse_value_text((copse_bytes){deep, sizeof deep}, text, sizeof text);
  assert_int_equal(written, strlen(text));
}

/* The definition of UTF-8, spelled out: slow, and another way round. */
static bool utf8_by_definition(const uint8_t *text, size_t size) {
  for (size_t i = 0; i < size;) {
    unsigned length = text[i] < 0x80             ? 1
                      : (text[i] & 0xe0) == 0xc0 ? 2
                      : (text[i] & 0xf0) == 0xe0 ? 3
                      : (text[i] & 0xf8) == 0xf0 ? 4
                                                 : 0;
    if (length == 0 || i + length > size) return false;
    uint32_t point = length == 1 ? text[i] : text[i] & (0x7fu >> length);
    for (unsigned j = 1; j < length; j++) {
      if ((text[i + j] & 0xc0) != 0x80) return false;
      point = point << 6 | (text[i + j] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      return false;
    i += length;
  }
  return true;
}

static void utf_8_is_what_its_definition_says(void **state) {
  (void)state;
  size_t good = 0;
  for (uint32_t bytes = 0; bytes < 1 << 24; bytes += 7) { /* three bytes, nearly all */
    const uint8_t text[] = {(uint8_t)(bytes >> 16), (uint8_t)(bytes >> 8), (uint8_t)bytes};
    const bool sound = utf8_by_definition(text, 3);
    good += sound;
    if (copse__utf8(text, 3) != sound) fail_msg("%06x", bytes);
  }
  assert_true(good > 100000);
  test_random random = {11};
  for (int i = 0; i < 300000; i++) {
    uint8_t text[24];
    const size_t size = test_random_below(&random, sizeof text + 1);
    for (size_t j = 0; j < size; j++) {
      static const uint8_t likely[] = {0x41, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f,
                                       0x98, 0x80, 0xed, 0xa0, 0xf4, 0x8f, 0xbf, 0x90};
      text[j] = likely[test_random_below(&random, sizeof likely)];
    }
    const bool sound = utf8_by_definition(text, size);
    if (copse__utf8(text, size) != sound) fail_msg("random text %d", i);
    const size_t fit = copse__utf8_fit(text, size, size / 2);
    assert_true(fit <= size / 2 || fit == size);
    if (sound) assert_true(utf8_by_definition(text, fit));
  }
}

/* A random value, mostly well-formed: so that mistakes are few and meet deep. */
static void random_value(test_random *random, copse_buf *buf, unsigned depth) {
  static const char junk[] = "\xc1\xff\x00\xd9\xdd";
  uint8_t bytes[300] = {0};
  if (test_random_below(random, 200) == 0)
    copse_buf_append(buf, junk + test_random_below(random, 5), 1);
  const uint64_t what = test_random_below(random, depth ? 12 : 9);
  const size_t size = test_random_below(random, test_random_below(random, 8) ? 20 : sizeof bytes);
  for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)('a' + test_random_below(random, 26));
  switch (what) {
  case 0: copse_pack_nil(buf); break;
  case 1: copse_pack_bool(buf, test_random_below(random, 2)); break;
  case 2:
  case 3:
    copse_pack_int(buf, (int64_t)(test_random_next(random) >> test_random_below(random, 64)) *
                            (test_random_below(random, 2) ? 1 : -1));
    break;
  case 4: copse_pack_float(buf, (double)(int64_t)test_random_next(random) / 1e9); break;
  case 5:
  case 6: copse_pack_str(buf, (char *)bytes, size); break;
  case 7: copse_pack_bin(buf, bytes, size); break;
  case 8: copse_pack_ext(buf, (int8_t)(2 + test_random_below(random, 100)), bytes, size); break;
  default: {
    const size_t count = test_random_below(random, test_random_below(random, 9) ? 4 : 40);
    const bool map = what == 11;
    if (map) copse_pack_map(buf, count);
    else copse_pack_array(buf, count);
    for (size_t i = 0; i < count && buf->size < 60000; i++) {
      if (map) copse_pack_int(buf, (int64_t)i - 5);
      random_value(random, buf, depth - 1);
    }
  }
  }
}

static void msgpack_c_agrees_about_what_is_well_formed(void **state) {
  (void)state;
  test_random random = {5};
  size_t accepted = 0, refused = 0;
  for (int i = 0; i < 60000; i++) {
    copse_buf buf;
    copse_buf_init(&buf, 1 << 20, NULL);
    random_value(&random, &buf, 6);
    /* One in three is mutilated. */
    if (i % 3 == 0 && buf.size > 0) buf.size -= test_random_below(&random, buf.size);
    if (i % 3 == 1 && buf.size > 0)
      buf.data[test_random_below(&random, buf.size)] = (uint8_t)test_random_next(&random);
    const copse_bytes value = copse_buf_bytes(&buf);
    const char *why = NULL;
    const bool mine = copse_value_check(value, &why, NULL) == COPSE_OK;
    /* What only the profile forbids is nothing that msgpack-c could find. */
    const bool profile =
        why && (strstr(why, "UTF-8") || strstr(why, "map key") || strstr(why, "integer above") ||
                strstr(why, "malformed") || strstr(why, "too deep"));
    /* Bombs are not for its unpacker: it reserves what they announce. */
    if (mine || (!profile && buf.size < 64)) {
      uint8_t *exact = malloc(value.size ? value.size : 1);
      if (!exact) abort();
      memcpy(exact, value.data, value.size);
      bool bomb = false;
      for (size_t j = 0; !mine && j < value.size; j++) bomb |= exact[j] >= 0xdc && exact[j] <= 0xdf;
      if (!bomb) {
        msgpack_unpacked out;
        msgpack_unpacked_init(&out);
        size_t used = 0;
        const bool theirs =
            msgpack_unpack_next(&out, (char *)exact, value.size, &used) == MSGPACK_UNPACK_SUCCESS &&
            used == value.size;
        msgpack_unpacked_destroy(&out);
        if (mine != theirs) fail_msg("value %d: %s, msgpack-c: %d", i, why ? why : "fine", theirs);
        accepted += mine;
        refused += !mine;
      }
      free(exact);
    }
    /* The cursor is at home in anything that the check lets through, and safe in the rest. */
    copse_reader reader;
    copse_bytes whole;
    copse_reader_init(&reader, value);
    const copse_status status = copse_read_value(&reader, &whole);
    if (mine) assert_true(status == COPSE_OK && whole.size == value.size);
    char text[256];
    const size_t written = copse_value_text(value, text, sizeof text);
    assert_int_equal(written, strlen(text));
    copse_buf_deinit(&buf);
  }
  assert_true(accepted > 20000);
  assert_true(refused > 500);
}

static void names_are_bounded_and_without_control_characters(void **state) {
  (void)state;
  const struct {
    const char *name;
    bool good;
  } names[] = {{"a", true},      {"", false},          {"w\xc3\xb6rker 1", true}, {"a\nb", false},
               {"a\x7f", false}, {"a\xc2\x85", false}, {"a\xc2\xa0", true},       {"\xff", false}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_int_equal(copse__name_ok((const uint8_t *)names[i].name, strlen(names[i].name)),
                     names[i].good);
  uint8_t long_name[65];
  memset(long_name, 'x', sizeof long_name);
  assert_true(copse__name_ok(long_name, 64));
  assert_false(copse__name_ok(long_name, 65));
}

static void every_number_has_its_text_and_the_other_way_round(void **state) {
  (void)state;
  for (int i = 0; i < COPSE_CODE_COUNT; i++) {
    const char *text = copse_code_text((copse_code)i);
    assert_int_equal(copse_code_of(text, strlen(text)), i);
    assert_true(copse_code_of_link((copse_code)i) || copse_code_of_context((copse_code)i));
  }
  assert_int_equal(copse_code_of("nonsense", 8), COPSE_CODE_COUNT);
  for (int i = 0; i < COPSE_ORIGIN_COUNT; i++) {
    const char *text = copse_origin_text((copse_origin)i);
    assert_int_equal(copse_origin_of(text, strlen(text)), i);
  }
  assert_string_equal(copse_status_name(COPSE_EAGAIN), "EAGAIN");
  assert_string_equal(copse_status_text((copse_status)77), "unknown status");
  assert_string_equal(copse_kind_name(COPSE_KIND_OPEN), "OPEN");
  assert_string_equal(copse_kind_name(0x7f), "unknown");
}

static void a_text_is_cut_with_dots_and_always_ended(void **state) {
  (void)state;
  const copse_bytes value = TEST_BYTES("\xd9\x20"
                                       "abcdefghijklmnopqrstuvwxyz012345");
  for (size_t size = 1; size < 60; size++) {
    char text[64];
    memset(text, 'X', sizeof text);
    const size_t written = copse_value_text(value, text, size);
    assert_true(written < size);
    assert_int_equal(strlen(text), written);
    assert_int_equal(text[size], 'X');
    if (size > 37) assert_string_equal(text, "\"abcdefghijklmnopqrstuvwxyz012345\"");
    else if (size > 6) assert_non_null(strstr(text, "..."));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_of_every_width_come_back),
      cmocka_unit_test(scalars_and_containers_come_back),
      cmocka_unit_test(floats_of_both_widths_are_read_and_keep_their_bits),
      cmocka_unit_test(references_come_back_with_and_without_addresses),
      cmocka_unit_test(map_get_finds_a_key_among_others),
      cmocka_unit_test(a_buffer_keeps_its_maximum_and_its_first_failure),
      cmocka_unit_test(what_is_no_value_is_refused_with_the_reason),
      cmocka_unit_test(bombs_of_count_and_depth_are_refused_at_once),
      cmocka_unit_test(utf_8_is_what_its_definition_says),
      cmocka_unit_test(msgpack_c_agrees_about_what_is_well_formed),
      cmocka_unit_test(names_are_bounded_and_without_control_characters),
      cmocka_unit_test(every_number_has_its_text_and_the_other_way_round),
      cmocka_unit_test(a_text_is_cut_with_dots_and_always_ended),
  };
  return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
