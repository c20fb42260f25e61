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

@test "an error of the function that sounds like one of the command is 1" {
  start server.lua
  run copse call raise '["not_found"]'
  status_is 1
  says 'says the function'
  run copse call raise '["deadline"]' --timeout 1000
  status_is 1
  run copse call raise '["busy"]'
  status_is 1
  # What it does may fail before it has begun, and what it calls may refuse it, after something else.
  run copse call connect_in_vain
  status_is 1
  says 'No such file or directory'
  run copse call ask_in_vain
  status_is 1
  says 'no_such_function is not exported here'
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

# rogue STEP...: a peer that plays these steps to the first that calls it at $ROGUE.
rogue() {
  ROGUE=unix:$RUN/rogue
  exec 8< <(exec timeout -k 5 "$WATCHDOG" "$BUILD_DIR/rogue-tool" listen "$ROGUE" "$@" 3>&-)
  BACKGROUND="$BACKGROUND $!"
  local line
  read -r -u 8 line
  [ "$line" = ready ]
}

@test "a timeout that expires before there is a link is 4" {
  rogue eof
  run copse call add --timeout 0.2 --on "$ROGUE"
  status_is 4
  says '0.2 s'
}

@test "a timeout that the function does not heed is 4" {
  rogue hello until=OPEN eof
  run copse call add --timeout 0.2 --on "$ROGUE"
  status_is 4
  says '0.2 s'
}

@test "a deadline of the function's own, or of its actor's, is not the command's" {
  start server.lua
  run copse call inner_timeout --timeout 1000
  status_is 1
  says '0.01 s have passed'
  # An actor whose time was up says so by the same origin: {"origin": "deadline", "ran": true}.
  rogue hello until=OPEN frame=19:1:82a66f726967696ea8646561646c696e65a372616ec3 eof
  run copse call add --timeout 1000 --on "$ROGUE"
  status_is 5
  has 'copse call: cancelled: deadline'
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

@test "an actor that has registered a name twice is one" {
  cat >twice.lua <<'END'
local copse = require "copse"
local M = {}
function M.hello() return "hello" end
function M.main()
  copse.register("service")
  copse.register("service")
  print("ready")
  copse.sleep(3600)
end
return M
END
  start twice.lua
  run call hello --on service
  status_is 0
  has '"hello"'
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

# begin_call ARG...: in the background, as process $pid.
begin_call() {
  # A shell lets its background commands ignore interrupts.
  env --default-signal=INT "$COPSE" call "$@" 3>&- 7>&- 2>call.err &
  pid=$!
}

# interrupt_call: and waits for its end, with $status and in $output what it said on standard error.
interrupt_call() {
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  output=$(cat call.err)
}

@test "an interrupted call is 5, and its function is cancelled" {
  start server.lua
  contexts() { "$COPSE" tree --json | jq '.[0].contexts'; }
  before=$(contexts)
  begin_call wait
  until [ "$(contexts)" -gt "$before" ]; do # the call has arrived
    kill -0 "$pid"
  done
  interrupt_call
  status_is 5
  says 'cancelled'
  until [ "$(contexts)" -eq "$before" ]; do # and is gone
    kill -0 "$STARTED"
  done
}

@test "a function that was interrupted in its first step did begin" {
  start server.lua
  begin_call hot
  read -r -u 7 line
  [ "$line" = hot ]
  interrupt_call
  status_is 5
  has 'copse call: cancelled: SIGINT'
  run copse call leave
  status_is 5
  says 'cancelled'
  [[ $output != *'before it began'* ]]
}

@test "a function whose time was over before its first step did not begin" {
  start server.lua
  address=$(call me | jq -r '."$ref".addresses[0]')
  # {"target": "hot", "deadline": 0}
  run timeout -k 5 "$WATCHDOG" "$BUILD_DIR/rogue-tool" dial "$address" hello \
    frame=10:1:82a6746172676574a3686f74a8646561646c696e6500 until=CANCELLED
  has 'CANCELLED not ran'
}
