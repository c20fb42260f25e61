#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What tap-run must never do is call a run good that was not.

setup() {
  tools=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
  work=$(mktemp -d)
  cd "$work" || return 1
  tap_run=$tools/tap-run
}

teardown() {
  rm -rf "$work"
}

# suite NAME COMMAND [SECONDS]
suite() {
  printf '%s\t%s\t%s\n' "$1" "${3:-60}" "$2" >>list
}

judge() {
  run "$tap_run" -o out list
  last=${lines[${#lines[@]} - 1]}
}

@test "passing suites are added up and succeed" {
  suite a 'echo 1..2; echo ok 1 - x; echo ok 2 - y'
  suite b 'echo ok 1; echo 1..1'
  judge
  [ "$status" -eq 0 ]
  [ "$last" = '3 passed, 0 failed' ]
}

@test "the TAP of a suite is kept" {
  suite dir/a 'echo 1..1; echo ok 1 - x'
  judge
  [ "$(cat out/dir-a.tap)" = "$(printf '1..1\nok 1 - x')" ]
}

@test "a failing test fails the run and is shown with its diagnostics" {
  suite a 'echo 1..2; echo not ok 1 - broken; echo "# because"; echo ok 2 - fine; echo oops >&2'
  judge
  [ "$status" -eq 1 ]
  [ "$last" = '1 passed, 1 failed' ]
  [[ "$output" = *"not ok 1 - broken"*"# because"*"oops"* ]]
  [[ "$output" != *"fine"* ]]
}

@test "skipped tests are counted apart, whichever way they are written" {
  suite a 'echo 1..3; echo "ok 1 - x # SKIP no"; echo "not ok 2 # SKIP y"; echo ok 3'
  suite b 'echo "1..0 # skip nothing here"'
  judge
  [ "$status" -eq 0 ]
  [ "$last" = '1 passed, 0 failed, 3 skipped' ]
}

@test "a skip alone is no success" {
  suite a 'echo "1..0 # skip nothing here"'
  judge
  [ "$status" -eq 1 ]
}

@test "an exit status that no failed test explains is a failure" {
  suite a 'echo 1..1; echo ok 1; exit 3'
  judge
  [ "$status" -eq 1 ]
  [ "$last" = '1 passed, 1 failed' ]
  [[ "$output" = *"exited with status 3"* ]]
}

@test "a suite that dies before its last test is a failure" {
  suite a 'echo 1..2; echo ok 1'
  judge
  [ "$status" -eq 1 ]
  [[ "$output" = *"2 tests were planned, 1 ran"* ]]
}

@test "a suite without a plan is a failure" {
  suite a 'echo ok 1'
  judge
  [ "$status" -eq 1 ]
}

@test "a suite that prints nothing is a failure" {
  suite a 'true'
  judge
  [ "$status" -eq 1 ]
  [ "$last" = '0 passed, 1 failed' ]
}

@test "a command that does not exist is a failure" {
  suite a '/nonexistent/command'
  judge
  [ "$status" -eq 1 ]
}

@test "bailing out is a failure" {
  suite a 'echo 1..2; echo ok 1; echo "Bail out! no disk"'
  judge
  [ "$status" -eq 1 ]
  [ "$last" = '1 passed, 1 failed' ]
}

@test "an empty list is a failure" {
  : >list
  judge
  [ "$status" -eq 1 ]
  [ "$last" = '0 passed, 1 failed' ]
}

@test "a suite that hangs is stopped with what it started, and is a failure" {
  suite a 'echo 1..1; sleep 1000 & echo $! >child; echo ok 1; wait' 1
  judge
  [ "$status" -eq 1 ]
  [[ "$output" = *"hung: stopped after 1 s"* ]]
  while kill -0 "$(cat child)" 2>/dev/null; do sleep 0.05; done
}

@test "a sanitizer's report fails a suite whose tests all passed, and only that one" {
  echo old >report.1
  suite a 'echo 1..1; echo ok 1'
  suite b 'echo 1..1; echo ok 1; echo heap-use-after-free >report.2'
  suite c 'echo 1..1; echo ok 1'
  run "$tap_run" -o out -r report list
  [ "$status" -eq 1 ]
  [ "${lines[${#lines[@]} - 1]}" = '3 passed, 1 failed' ]
  [[ "$output" = *heap-use-after-free* ]]
  [[ "$output" != *old* ]]
}

@test "several groups in one program add up, and their summaries are not tests" {
  suite a 'echo 1..1; echo ok 1 - x; echo ok - group; echo 1..1; echo ok 1 - y; echo ok - group'
  judge
  [ "$status" -eq 0 ]
  [ "$last" = '2 passed, 0 failed' ]
}

@test "SIGINT keeps its meaning inside a suite" {
  suite a "echo 1..1; sh -c 'kill -INT \$\$; echo survived'; echo ok 1"
  judge
  [ "$status" -eq 0 ]
  run grep survived out/a.tap
  [ "$status" -eq 1 ]
}
