#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The verdicts of the suite, its exit statuses and its words, by cases and testees that are made for
# each of them.
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and sets its own peer

setup() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  peer=(lua5.4 conformance/peer/testee.lua)
  results=$BATS_TEST_TMPDIR/results.json
}

# tck CASES [OPTION...]: runs cases of test/cases on the peer, and keeps results.json.
tck() {
  run conformance/copse-tck --quiet --cases conformance/test/cases --json "$results" \
    --only "$1" "${@:2}" -- "${peer[@]}"
}

# verdict WANTED CASE
verdict() {
  local got
  got=$(jq -r --arg id "$2" '.cases[] | select(.id == $id) | .verdict' "$results")
  [ "$got" = "$1" ] || { echo "$2 is $got; output: $output" && return 1; }
}

@test "what is right is PASS, and the exit status 0" {
  tck good
  [ "$status" -eq 0 ]
  verdict PASS good
}

@test "a broken SHOULD is WARN and not red" {
  tck should
  [ "$status" -eq 0 ]
  verdict WARN should
  [[ $output == *KIND-016* && $output == *"what should be"* && $output == *"what is"* ]]
}

@test "a MAY that is not used is INFO and not red" {
  tck may
  [ "$status" -eq 0 ]
  verdict INFO may
}

@test "a broken MUST is FAIL, with what was expected, observed, and the next command to type" {
  tck must
  [ "$status" -eq 1 ]
  verdict FAIL must
  [[ $output == *"Expected: RETURN 8"* && $output == *"Observed: RETURN 7"* ]]
  [[ $output == *"copse-tck --trace --only must"* && $output == *"NOT CONFORMANT"* ]]
}

@test "of several checks the worst is the verdict" {
  tck worst
  verdict FAIL worst
  [ "$(jq '.cases[0].checks | length' "$results")" -eq 3 ]
}

@test "what must come and does not is TIMEOUT" {
  tck late
  [ "$status" -eq 1 ]
  verdict TIMEOUT late
}

@test "a testee that dies of a signal is CRASH, and how it ended is told" {
  tck dead
  [ "$status" -eq 1 ]
  verdict CRASH dead
  [[ $(jq -r '.cases[0].termination' "$results") == *"signal 11"* ]]
}

@test "a finding of a sanitizer is CRASH, whatever the testee answers" {
  tck sanitizer
  verdict CRASH sanitizer
}

@test "a profile that is not claimed is UNSUPPORTED and not red" {
  peer=(lua5.4 conformance/exotic/testee.lua core-only)
  tck good,stream
  [ "$status" -eq 0 ]
  verdict UNSUPPORTED stream
  verdict PASS good
  [ "$(jq -r '.profiles[] | select(.name == "stream") | .verdict' "$results")" = "NOT CLAIMED" ]
}

@test "nothing executed is never green" {
  peer=(lua5.4 conformance/exotic/testee.lua core-only)
  tck stream
  [ "$status" -eq 1 ]
  run conformance/copse-tck --only no.such.case -- "${peer[@]}"
  [ "$status" -eq 1 ]
}

@test "what cannot be judged is BLOCKED, and red" {
  peer=(lua5.4 conformance/degenerate/testee.lua dies-at-start)
  tck good,must
  [ "$status" -eq 1 ]
  verdict BLOCKED good
  verdict BLOCKED must
  [ "$(jq -r '.cases[] | select(.id == "probe") | .verdict' "$results")" = FAIL ]
}

@test "repeats that disagree are FLAKY, and red" {
  tck fickle --repeat 3
  [ "$status" -eq 1 ]
  verdict FLAKY fickle
  [[ $output == *"1 FAIL, 2 PASS of 3"* ]] || { echo "$output" && return 1; }
}

@test "repeats that agree keep their verdict" {
  tck good,must --repeat 3 --shuffle 5
  verdict PASS good
  verdict FAIL must
  [ "$(jq '.cases[0].repeats' "$results")" -eq 3 ]
}

@test "an illegal frame that was not announced is HARNESS, and the exit status 70" {
  tck illegal
  [ "$status" -eq 70 ]
  verdict HARNESS illegal
}

@test "an illegal frame that was announced is not" {
  tck announced
  [ "$status" -eq 0 ]
  verdict PASS announced
}

@test "a case with a fault in it is HARNESS, and the exit status 70" {
  tck broken
  [ "$status" -eq 70 ]
  verdict HARNESS broken
  [[ $output == *no_such_method* ]]
}

@test "a case that trips over a breach of the peer's is not HARNESS: the breach is what counts" {
  tck misled
  [ "$status" -eq 70 ]
  verdict HARNESS misled
  peer=(lua5.4 conformance/mutants/testee.lua cancelling/sends-after-cancel)
  tck misled
  [ "$status" -eq 1 ]
  verdict FAIL misled
}

@test "a process that is left over is found at the end of the run, and ended" {
  peer=(sh -c 'setsid sleep 1000 & exec lua5.4 conformance/peer/testee.lua')
  tck good --time-scale 0.2
  [ "$status" -eq 1 ]
  verdict FAIL good
  pid=$(jq -r '.cases[] | select(.id == "good") | .checks[] | select(.requirement == "MODEL-009") | .observed' "$results")
  [[ $pid == pid\ * ]]
  [ ! -e "/proc/${pid#pid }/exe" ]
}

@test "wrong usage is exit status 2" {
  run conformance/copse-tck --no-such-option -- true
  [ "$status" -eq 2 ]
  run conformance/copse-tck --only good
  [ "$status" -eq 2 ]
  run conformance/copse-tck -j 0 -- true
  [ "$status" -eq 2 ]
}

@test "a command that does not exist blocks everything and says so" {
  peer=(/no/such/testee)
  tck good
  [ "$status" -eq 1 ]
  [[ $output == *"/no/such/testee"* ]]
}

@test "cases that are ill-formed are a fault of the suite" {
  mkdir "$BATS_TEST_TMPDIR/cases"
  echo 'local case = ... case { id = "x", req = "NO-001", title = "t", run = print }' \
    >"$BATS_TEST_TMPDIR/cases/x.lua"
  run conformance/copse-tck --cases "$BATS_TEST_TMPDIR/cases" -- "${peer[@]}"
  [ "$status" -eq 70 ]
  [[ $output == *NO-001* ]]
}

@test "with --fail-fast nothing is started after the first red case" {
  tck must,good,late,should --fail-fast -j 1 --seed 0
  [ "$status" -eq 1 ]
  [ "$(jq '.selected' "$results")" -lt 4 ]
}

@test "all budgets take any scale" {
  tck good,announced --time-scale 0.37
  [ "$status" -eq 0 ]
}

@test "the coverage lists every requirement that was exercised, and those that were not" {
  tck good --coverage
  [[ $output == *"KIND-018"*"exercised by 1 case"* && $output == *"NOT EXERCISED"* ]]
}

@test "an interrupted run leaves no process behind" {
  conformance/copse-tck --quiet --cases conformance/test/cases --only late --time-scale 100 \
    -- "${peer[@]}" 3>&- &
  suite=$!
  until child=$(pgrep -P "$suite" -f peer/testee.lua | head -n 1) && [ -n "$child" ]; do sleep 0.05; done
  kill -INT "$suite"
  code=0
  wait "$suite" || code=$?
  [ "$code" -eq 130 ]
  until [ ! -e "/proc/$child/exe" ]; do sleep 0.05; done
}
