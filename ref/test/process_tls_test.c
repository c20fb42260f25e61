/* SPDX-License-Identifier: MIT
 *
 * A program with much memory for each of its threads: the C library takes that from their stacks,
 * and the watchdog's is small.
 */
#include "runtime/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static _Thread_local volatile char large[256 * 1024];

static void ignore_loss(void *arg) { (void)arg; }

static void it_has_a_watchdog_too(void **state) {
  (void)state;
  static atomic_int turns;
  copse__watchdog *dog;
  int ends[2];
  large[sizeof large - 1] = 1;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  copse__watchdog_config config = {
      .fds = {ends[1], -1}, .grace_ms = 1000, .turns = &turns, .lost = ignore_loss};
  assert_int_equal(copse__watchdog_start(&dog, &config), COPSE_OK);
  copse__watchdog_stop(dog);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(it_has_a_watchdog_too)};
  alarm(60);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
