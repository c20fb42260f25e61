#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Whoever dies: everyone who depended on it hears of it at once and by its name, everything below it
# goes, and nothing stays behind, not even a zombie.

load holes_support
setup() { holes_setup; }
teardown() { holes_teardown; }

# died_each_time LINE: the attack was made three times and told so each time.
died_each_time() {
  status_is 0
  [ "$(grep -Fxc -- "$1" <<<"$output")" -eq 3 ] || {
    printf 'not three times "%s" in:\n%s\n' "$1" "$output"
    return 1
  }
}

@test "a child killed while its parent waits in a call fails the call with died" {
  hole deaths in_call
  died_each_time 'died victim 9 -'
}

@test "a child killed while its parent waits in a receive fails the receive with died" {
  hole deaths in_receive
  died_each_time 'died victim 9 -'
}

@test "a child killed while its parent does something else ends that at once" {
  hole deaths in_body
  died_each_time 'died victim 9 -'
}

@test "a loop that catches every error does not outlive the death of a child" {
  hole deaths in_retry_loop
  status_is 0
  has 'died victim 9 -'
}

@test "a child killed while its parent sends ends the sending, also without credit" {
  hole deaths while_sending
  died_each_time 'died victim 9 -'
}

@test "one death is one error, however many were waiting" {
  hole deaths counted_once
  status_is 0
  has $'false\tdied victim 9 -\t5'
}

@test "a crash is told by its signal" {
  hole deaths crash
  status_is 0
  has 'died victim 6 -'
}

@test "when a death is told, the process has been reaped" {
  hole deaths reaped
  status_is 0
  has $'at the error:\tfalse\tdied victim 9 -\tnil'
  has $'after the nursery:\tfalse\tdied victim 9 -\tnil'
}

@test "the acknowledgement of a cancellation or a finish means that the process has been reaped" {
  hole deaths acknowledged
  status_is 0
  has $'after the cancellation:\tnil'
  has $'after the finish:\tnil'
}

@test "a root killed by SIGKILL takes idle, hot and blocked descendants with it" {
  begin deaths tree
  kill -KILL "$(pid_of root)"
  ending
}

@test "a root killed by SIGKILL while it is stopped takes everything with it" {
  begin deaths tree
  kill -STOP "$(pid_of root)"
  kill -KILL "$(pid_of root)"
  ending
}

@test "a root killed by SIGKILL takes a branch with it that is stopped, and what is below" {
  begin deaths tree
  kill -STOP "$(pid_of branch)"
  kill -KILL "$(pid_of root)"
  ending
}

@test "a root killed by SIGKILL takes a stopped leaf with it" {
  begin deaths tree
  kill -STOP "$(pid_of leaf-idle)"
  kill -KILL "$(pid_of root)"
  ending
}

@test "everything stopped and the root killed: nothing stays" {
  begin deaths tree
  for name in leaf-idle leaf-hot leaf-blocked branch root; do kill -STOP "$(pid_of $name)"; done
  kill -KILL "$(pid_of root)"
  ending
}

@test "a branch killed in the middle is named above, and its leaves are gone and reaped" {
  begin deaths tree
  kill -KILL "$(pid_of branch)"
  ending
  has 'died branch 9 -'
  has 'children left: 0'
  status_is 0
}

@test "a branch killed while its leaves are stopped leaves none of them" {
  begin deaths tree
  for name in leaf-idle leaf-hot leaf-blocked; do kill -STOP "$(pid_of $name)"; done
  kill -KILL "$(pid_of branch)"
  ending
  has 'died branch 9 -'
  has 'children left: 0'
}

@test "a leaf killed is named at the root, with its own name and signal" {
  begin deaths tree
  kill -KILL "$(pid_of leaf-hot)"
  ending
  says 'died leaf-hot 9 -'
  has 'children left: 0'
}

@test "SIGTERM to the root ends idle, hot and blocked descendants, and the root ends by itself" {
  begin deaths tree
  kill -TERM "$(pid_of root)"
  ending
}

@test "SIGTERM to a branch is not silent: its parent is told" {
  begin deaths tree
  kill -TERM "$(pid_of branch)"
  ending
  [[ $output == *branch* ]]
  has 'children left: 0'
}

@test "SIGINT to a branch does nothing: the terminal's signal is the root's" {
  begin deaths tree
  kill -INT "$(pid_of branch)" "$(pid_of leaf-idle)"
  kill -INT "$(pid_of root)"
  ending
  silent 'died branch'
}

@test "helpers of an actor go when the root is killed, also those in a session of their own" {
  begin deaths with_helpers
  kill -KILL "$(pid_of root)"
  ending
}

@test "helpers that an actor has started go when that actor is killed" {
  begin deaths with_helpers
  kill -KILL "$(pid_of victim)"
  ending
  says 'died'
}
