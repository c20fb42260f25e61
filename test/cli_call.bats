#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# copse call: JSON in, JSON out, and an exit status for every outcome.

load support
setup() {
  support_setup
  cp "$REPO/test/server.lua" "$RUN/"
}
teardown() { support_teardown; }

# call ARG...: prints standard output alone.
call() { copse call "$@" 2>"$RUN/call.err"; }

@test "a result is printed as JSON" {
  start server.lua
  run call add '[40, 2]'
  status_is 0
  has 42
  run call nothing
  has null
}

@test "every kind of value comes back as it was sent" {
  start server.lua
  for value in 0 -1 9223372036854775807 -9223372036854775808 0.1 1.5e300 true false null '""' \
    '"äöü ☃"' '[]' '[1, [2, [3]]]' '{"a": {"b": [null]}}' '{"$bin": "/wABAg=="}' \
    '{"$float": "nan"}' '{"$float": "-inf"}' '{"$map": [[1, "one"], [-7, "minus seven"]]}'; do
    run call same "[$value]"
    status_is 0
    [ "$(jq -cS . <<<"$output")" = "$(jq -cS . <<<"$value")" ] || {
      echo "sent $value, got $output"
      return 1
    }
  done
}

@test "integers stay integers and floats stay floats" {
  start server.lua
  run call same '[3]'
  has 3
  run call same '[3.0]'
  has 3.0
}

@test "a reference is printed and can be sent" {
  start server.lua
  run call me
  status_is 0
  ref=$output
  says '"$ref"'
  says '"name": "server"'
  run call same "[$ref]"
  [ "$output" = "$ref" ]
}

@test "an object is one map of arguments, and - reads standard input" {
  start server.lua
  run call keys '[{"b": 1, "a": 2}]'
  has '["a", "b"]'
  run call add - <<<'[1, 1]'
  has 2
}

@test "arguments that are none are refused before anything is sent" {
  for args in 7 '"x"' '{"$bin": "AA=="}' '[1' '[{"$foo": 1}]' '[{"$bin": "?"}]' \
    '[9223372036854775808]'; do
    run copse call add "$args"
    status_is 2
  done
  run copse call add 7
  says "write '[7]'"
  run copse call add '[1]' '[2]'
  status_is 2
  run copse call add --timeout=never
  status_is 2
  run copse call
  status_is 2
}

@test "a function that fails is 1, with its report" {
  start server.lua
  run copse call boom
  status_is 1
  says 'it broke'
  run call boom
  status_is 1
  [ -z "$output" ]
}

@test "a function that is not there is 3" {
  start server.lua
  run copse call no_such_function
  status_is 3
  says 'there is no function no_such_function'
}

@test "no tree at all is 3, and says how to start one" {
  run copse call add '[1, 2]'
  status_is 3
  says 'copse run FILE.lua'
}

@test "an unknown name and an address without listener are 3" {
  start server.lua
  run copse call add --on nobody
  status_is 3
  says 'called nobody'
  run copse call add --on "unix:$RUN/nothing-here"
  status_is 3
}

@test "an expired timeout is 4, and the call is cancelled" {
  start server.lua
  run copse call wait --timeout 0.2
  status_is 4
  says '0.2 s'
  run call add '[1, 2]'
  has 3
}

@test "an actor that dies in the call is 1" {
  start server.lua
  run copse call die
  status_is 1
}

@test "a tree is found by its name, an actor by the name it registered, and both by address" {
  start server.lua counter
  run call add '[1, 2]' --on server
  has 3
  run call me --on counter
  status_is 0
  address=$(jq -r '."$ref".addresses[0]' <<<"$output")
  run call add '[1, 2]' --on "$address"
  has 3
}

@test "with several trees a name is needed, and the choice is listed" {
  start server.lua
  exec 8< <(exec timeout "$WATCHDOG" "$COPSE" run --name=second server.lua 3>&- 2>&1)
  BACKGROUND="$BACKGROUND $!"
  read -r -u 8 line
  [ "$line" = ready ]
  run copse call add '[1, 2]'
  status_is 3
  says '2 trees'
  says '--on unix:'
  run call add '[1, 2]' --on second
  has 3
}

@test "an interrupted call is 5, and its function is cancelled" {
  start server.lua
  contexts() { "$COPSE" tree --json | jq '.[0].contexts'; }
  before=$(contexts)
  # A shell lets its background commands ignore interrupts.
  env --default-signal=INT "$COPSE" call wait 3>&- 7>&- 2>call.err &
  pid=$!
  until [ "$(contexts)" -gt "$before" ]; do # the call has arrived
    kill -0 "$pid"
  done
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  output=$(cat call.err)
  status_is 5
  says 'cancelled'
  until [ "$(contexts)" -eq "$before" ]; do # and is gone
    kill -0 "$STARTED"
  done
}
