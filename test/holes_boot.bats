#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A child that does not start is one clear error within a bound, whichever step it fails at.

load holes_support
setup() { holes_setup; }
teardown() { holes_teardown; }

# fails SCENARIO ERROR [TEXT...]: it fails each of three times like this, says so,
# and leaves nothing.
fails() {
  hole boots "$1"
  status_is 0
  [ "$(grep -Fc $'false\t'"$2" <<<"$output")" -eq 3 ] || {
    printf 'not three times "%s" in:\n%s\n' "$2" "$output"
    return 1
  }
  local text
  for text in "${@:3}"; do says "$text"; done
}

@test "a command that is not there is spawn_failed and named" {
  fails no_command 'spawn_failed child' '/nowhere/no-such-program' 'No such file'
}

@test "a file that cannot be executed is spawn_failed" {
  fails not_executable 'spawn_failed child' 'Permission denied'
}

@test "a directory that is not there is spawn_failed" {
  fails cannot_change_directory 'spawn_failed child' 'No such file'
}

@test "a module that is not there is the error of the spawn, with the reason" {
  fails no_module '' 'no_such_module'
}

@test "a module that fails while it is loaded is the error of the spawn, with the reason" {
  fails broken_module '' 'this module does not load'
}

@test "a start function that fails is the error of the spawn" {
  fails broken_start 'failed child' 'start fails'
}

@test "a child that exits with 0 and without a word has died, and nobody waits for it" {
  fails exits_well 'died child 0' 'did not say how it ended'
}

@test "the last words of a child that exits while starting are in the error" {
  fails exits_badly 'died child 7' 'stderr: my last words'
}

@test "a child killed while starting is died with its signal" {
  fails dies 'died child 9'
}

@test "a child that never says a word is boot_timeout" {
  fails says_nothing 'boot_timeout child 15 SIGTERM'
}

@test "a child that never connects is boot_timeout" {
  fails never_dials 'boot_timeout child 15 SIGTERM'
}

@test "a child that closes its link while starting, and stays, is made to go" {
  fails closes_and_hangs 'died child 15 SIGTERM'
}

@test "a child that exits in the middle of its HELLO has died" {
  fails half_a_hello_and_exit 'died child 0'
}

@test "a child that stops talking in the middle of its HELLO is boot_timeout" {
  fails half_a_hello_and_hang 'boot_timeout child 15 SIGTERM'
}

@test "a program that is no actor is told by what it wrote in place of HELLO" {
  fails http '' 'GET / HTTP/1.1'
}

@test "a child that exits after its HELLO has died" {
  fails hello_and_exit 'died child 0'
}

@test "a child that closes its link after its HELLO, and stays, is made to go" {
  fails hello_and_close 'died child 15 SIGTERM'
}

@test "a child that is never ready is boot_timeout" {
  fails never_ready 'boot_timeout child 15 SIGTERM'
}

@test "a child that is never ready and ignores SIGTERM is killed" {
  fails never_ready_and_deaf 'boot_timeout child 9 SIGKILL'
}

@test "a child that stops itself while starting is killed" {
  fails stops_itself 'boot_timeout child 9 SIGKILL'
}

@test "a child that floods its parent instead of being ready is ended" {
  fails floods ''
}

@test "a child that returns before it was ready does not leave the spawn waiting" {
  fails returns_at_once ''
}

@test "a child that says why it cannot start is believed" {
  fails fails_at_once 'failed' 'the rogue says that it failed'
}

@test "a child that says that it ended well and exits badly is not believed" {
  fails lies_about_its_end 'died child 3'
}

@test "what a child has left that died while starting is found and ended" {
  fails leaves_a_daemon 'died child 0'
}
