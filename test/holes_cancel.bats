#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A cancellation always gets an answer, the answer is true, nobody else waits for it, and who does
# not give it is made to.

load holes_support
setup() { holes_setup; }
teardown() { holes_teardown; }

# each_time LINE: the attack was made three times and told so each time.
each_time() {
  status_is 0
  [ "$(grep -Fxc -- "$1" <<<"$output")" -eq 3 ] || {
    printf 'not three times "%s" in:\n%s\n' "$1" "$output"
    return 1
  }
}

@test "while a peer cleans up slowly, other contexts on that link go on" {
  hole cancels slow_clean_up
  status_is 0
  for i in 1 2 3; do has $'meanwhile\t'$i; done
  has $'in clean-up\t1'
  says $'then\tcancelled '
  has $'at its answer\t0'
}

@test "the far side of a cancelled call has really stopped when the cancellation is answered" {
  hole cancels call_stops
  each_time $'at the answer\t0'
  has $'ticks since\t0'
}

@test "a call that burns CPU stops, too" {
  hole cancels hot_call_stops
  each_time $'at the answer\t0'
}

@test "a deadline stops the far side of a call, and surfaces once" {
  hole cancels deadline_of_a_call
  status_is 0
  [ "$(grep -c '^deadline' <<<"$output")" -eq 2 ]
  [ "$(grep -Fxc $'at the answer\t0' <<<"$output")" -eq 2 ]
}

@test "a loop that catches every error cannot refuse a cancellation" {
  hole cancels stubborn
  status_is 0
  says 'cancelled '
  has $'at the answer\t0'
}

@test "a child that does not answer CANCEL gets SIGTERM, and that is told" {
  hole cancels deaf
  each_time 'died rogue 15 SIGTERM'
}

@test "a child that ignores SIGTERM gets SIGKILL, without anybody asking again" {
  hole cancels ignores_sigterm
  each_time 'died rogue 9 SIGKILL'
}

@test "a child in an endless loop that ignores SIGTERM gets SIGKILL" {
  hole cancels spins
  each_time 'died rogue 9 SIGKILL'
}

@test "a child that acknowledges the cancellation but stays is made to go" {
  hole cancels says_yes_and_stays
  each_time 'died rogue 9 SIGKILL'
}

@test "a child that closes its link but stays is made to go" {
  hole cancels closes_and_stays
  each_time 'died rogue 9 SIGKILL'
}

@test "a child that never reads is made to go, however much is owed to it" {
  hole cancels reads_nothing
  status_is 0
  [ "$(grep -c '^died rogue 9 SIGKILL' <<<"$output")" -eq 3 ]
}

@test "a call that a child never answers is bounded by the ladder once it is cancelled" {
  hole cancels call_unanswered
  status_is 0
  says 'died rogue 15 SIGTERM'
}

@test "what a child has put into a session of its own is found and ended with it" {
  hole cancels leaves_a_daemon
  status_is 0
}

@test "so is what holds none of its descriptors any more" {
  hole cancels leaves_a_clean_daemon
  status_is 0
}

@test "a stopped child is woken for its clean-up by the ladder" {
  hole cancels stop_and_cancel
  status_is 0
  has 'tidied up'
}

@test "a stopped child that ignores SIGTERM is killed by the ladder" {
  hole cancels rogue_stopped
  status_is 0
  has 'died rogue 9 SIGKILL'
}

@test "a stopped child is reported as suspended" {
  begin cancels serve
  kill -STOP "$(pid_of worker)"
  run copse tree --json
  [ "$(jq -r '.[0].children[0].state' <<<"$output")" = suspended ] || {
    echo "$output"
    return 1
  }
  kill -TERM "$STARTED"
  ending
}

@test "a caller that goes away cancels what it has called" {
  begin cancels serve
  address=$(cat address)
  for farewell in close shut die=9 exit=0; do
    run "$ROGUE" dial "$address" hello until=HELLO open=1:held:s until=STARTED "$farewell"
    has STARTED
    until [ "$("$COPSE" call running)" -eq 0 ]; do :; done
  done
  kill -TERM "$STARTED"
  ending
}
