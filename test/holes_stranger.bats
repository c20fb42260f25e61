#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Nothing that comes in by a link hurts anybody but that link: the actor lives on, serves others
# meanwhile, and is the same afterwards, to the last descriptor.

load holes_support

setup() { holes_setup; }
teardown() { holes_teardown; }

serve() {
  begin strangers serve
  ADDRESS=$(cat address)
  "$COPSE" call settled >/dev/null
}

# stranger STEP...: one plays these steps, several times.
stranger() {
  local i
  for i in 1 2 3; do run timeout -k 5 "$WATCHDOG" "$ROGUE" dial "$ADDRESS" "$@"; done
}

# unharmed: the actor answers, nobody else is connected, no descriptor is lost; and then it ends.
unharmed() {
  run copse call echo '["alive"]'
  status_is 0
  has '"alive"'
  run copse call settled
  status_is 0
  has 0
  kill -TERM "$STARTED"
  ending
}

# ends_with CODE STEP...: the link is ended with BYE of this code, and only the link.
ends_with() {
  serve
  stranger "${@:2}" until=BYE eof
  has "BYE $1"
  has eof
  status_is 0
  unharmed
}

@test "one that connects and goes costs nothing" {
  serve
  stranger close
  stranger shut eof
  unharmed
}

@test "a link lost at any step of the handshake costs nothing" {
  serve
  for steps in 'hello=1' 'hello=11' 'hello=12' 'hello=13' 'hello=-1' 'hello' 'hello until=HELLO' \
    'hello open=1:held:s' 'hello until=HELLO open=1:held:s until=STARTED'; do
    for farewell in close shut die=9; do
      # shellcheck disable=SC2086 # a list of steps
      stranger $steps $farewell
    done
  done
  unharmed
}

@test "a connection that says nothing holds nobody up" {
  serve
  "$ROGUE" dial "$ADDRESS" hang 7>&- 3>&- &
  silent_one=$!
  run copse call echo '["meanwhile"]'
  has '"meanwhile"'
  kill -KILL "$silent_one"
  wait "$silent_one" || :
  unharmed
}

@test "a hundred connections that say nothing hold nobody up" {
  serve
  silent_ones=
  for i in {1..100}; do
    "$ROGUE" dial "$ADDRESS" hello=5 hang 7>&- 3>&- &
    silent_ones="$silent_ones $!"
  done
  run copse call echo '["meanwhile"]'
  has '"meanwhile"'
  # shellcheck disable=SC2086 # a list
  kill -KILL $silent_ones
  for pid in $silent_ones; do wait "$pid" || :; done
  unharmed
}

@test "one byte at a time is as good as any" {
  serve
  stranger slowly hello until=HELLO open=1:echo until=RETURN
  has RETURN
  status_is 0
  unharmed
}

@test "HTTP is refused, and only that" { ends_with state hex=474554202f20485454502f312e310d0a0d0a; }

@test "zeros are refused" { ends_with state hex=00000000000000000000000000000000; }

@test "a frame that claims 16 MiB is refused at its header" {
  ends_with frame hello until=HELLO header=10:1:16777215
}

@test "a HELLO that claims 16 MiB is refused at its header" { ends_with limit header=1:0:16777215; }

@test "a HELLO that is not a map is refused" { ends_with schema frame=1:0:c0; }

@test "a HELLO that is not a value is refused" { ends_with value frame=1:0:c1; }

@test "arguments that nest without end are refused" {
  ends_with value hello until=HELLO bomb=1:depth
}

@test "arguments that claim four thousand million elements are refused, and reserve nothing" {
  ends_with value hello until=HELLO bomb=1:count
}

@test "an unknown kind of frame is refused" { ends_with frame hello until=HELLO frame=3f:1:c0; }

@test "an unknown kind of the range for extensions is skipped" {
  serve
  stranger hello until=HELLO frame=40:1:c0 frame=7f:0 open=1:echo until=RETURN
  has RETURN
  unharmed
}

@test "a second HELLO is refused" { ends_with state hello until=HELLO hello; }

@test "a context of the wrong parity is refused" { ends_with state hello until=HELLO open=2:echo; }

@test "a frame on a context that was never opened is refused" {
  ends_with state hello until=HELLO frame=13:7
}

@test "an item beyond the credit is refused: no overrun, nothing dropped" {
  ends_with credit hello until=HELLO open=1:patient:s until=STARTED items=1:300:10
}

@test "a terminal from an opener is refused" {
  ends_with state hello until=HELLO open=1:held:s until=STARTED frame=17:1:c0
}

@test "more contexts than allowed are refused" {
  ends_with limit hello until=HELLO calls=1:300:held
}

@test "what is not exported cannot be called, whatever it is called" {
  serve
  for target in main start _private number inner inner.deep __index copse string.rep print os.exit \
    nonsense; do
    run copse call "$target"
    status_is 3
    stranger hello until=HELLO open=1:$target until=ERROR
    has 'ERROR no_target'
  done
  unharmed
}

@test "a stranger cannot pose as the parent" {
  serve
  stranger hello until=HELLO open=1:copse.actor:s until=ERROR
  has 'ERROR denied'
  unharmed
}

@test "one that calls and never reads gets no more memory than its limits, and holds nobody up" {
  serve
  before=$("$COPSE" call memory)
  "$ROGUE" dial "$ADDRESS" hello calls=1:100000:copse.info say=done hang 7>&- 3>&- >said 2>&1 &
  never_reads=$!
  run copse call echo '["meanwhile"]'
  has '"meanwhile"'
  run copse call memory
  [ "$output" -lt $((before + 20000)) ] || {
    echo "from $before KiB to $output KiB"
    return 1
  }
  kill -KILL "$never_reads"
  wait "$never_reads" || :
  unharmed
}

@test "a sender is never further ahead than it was allowed to be, and nothing is lost" {
  hole strangers overrun
  status_is 0
  has $'ahead by at most the window:\ttrue'
  has '2000 2001000'
}

@test "errors arrive whole: members of a group, their data, long messages, overflows" {
  hole strangers errors
  status_is 0
  has $'group\t3'
  for i in 1 2 3; do has "not_found"$'\t'"member $i"$'\t'"$i"; done
  has $'long\tfailed\ttrue\txxx'
  has $'deep\tfailed\tstack overflow'
  says $'strange\tfailed failing'
  says $'nil\tfailed failing'
  has $'alive\tyes'
}

@test "a name goes with its owner, however that dies" {
  hole strangers names
  status_is 0
  [ "$(grep -Fxc $'found\t0' <<<"$output")" -eq 3 ]
  [ "$(grep -Fxc $'remove\tkeeper' <<<"$output")" -eq 3 ]
  [ "$(grep -Fxc $'false\tdied keeper 9 -' <<<"$output")" -eq 3 ]
}
