/* SPDX-License-Identifier: MIT
 *
 * A libFuzzer target: see test_feed_value. */
#include "wire_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  test_feed_value(data, size);
  return 0;
}
