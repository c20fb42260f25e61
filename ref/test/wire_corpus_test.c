/* SPDX-License-Identifier: MIT
 *
 * What the fuzzer has found worth keeping, replayed: as it is, and mutilated in the same random
 * ways at every run. Runs with any compiler; the fuzzer itself needs clang. */
#include "wire_feed.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every file of a directory; returns how many there were. */
static size_t replay(const char *name, void (*feed)(const uint8_t *, size_t), unsigned mutants) {
  char path[1024];
  static uint8_t data[1 << 16];
  const char *root = getenv("COPSE_TEST_CORPUS");
  snprintf(path, sizeof path, "%s/%s", root ? root : "ref/test/corpus", name);
  struct dirent **entries;
  const int found = scandir(path, &entries, NULL, alphasort); /* the same order everywhere */
  if (found < 0) fail_msg("no directory %s", path);
  size_t files = 0;
  test_random random = {1};
  for (int i = 0; i < found; i++) {
    char file_path[2048];
    snprintf(file_path, sizeof file_path, "%s/%s", path, entries[i]->d_name);
    free(entries[i]);
    FILE *file = fopen(file_path, "rb");
    if (!file) continue;
    size_t size = fread(data, 1, sizeof data, file);
    const bool readable = !ferror(file);
    fclose(file);
    if (!readable) continue; /* a directory */
    files++;
    feed(data, size);
    for (unsigned j = 0; j < mutants && size > 0; j++) {
      const size_t at = test_random_below(&random, size);
      switch (test_random_below(&random, 4)) {
      case 0: data[at] = (uint8_t)test_random_next(&random); break;
      case 1: data[at] ^= (uint8_t)(1u << test_random_below(&random, 8)); break;
      case 2: size = at + 1; break;
      default: { /* a piece of it once more */
        size_t length = test_random_below(&random, 64);
        if (length > size - at) length = size - at;
        if (size + length > sizeof data) break;
        memmove(data + at + length, data + at, size - at);
        size += length;
      }
      }
      feed(data, size);
    }
  }
  free(entries);
  return files;
}

static void raw_bytes_never_break_an_engine(void **state) {
  (void)state;
  assert_true(replay("wire_bytes_fuzz", test_feed_bytes, 100) >= 10);
}

static void legal_games_never_break_a_rule(void **state) {
  (void)state;
  assert_true(replay("wire_play_fuzz", test_feed_play, 10) >= 5);
}

static void bytes_as_values_never_break_the_codec(void **state) {
  (void)state;
  assert_true(replay("wire_value_fuzz", test_feed_value, 200) >= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(raw_bytes_never_break_an_engine),
      cmocka_unit_test(legal_games_never_break_a_rule),
      cmocka_unit_test(bytes_as_values_never_break_the_codec),
  };
  return cmocka_run_group_tests_name("the fuzzer's corpus", tests, NULL, NULL);
}
