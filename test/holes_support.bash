# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of the holes share. Every process of a test bears a mark in its
# environment, so that what is left when the test is over can be found, whatever
# group, session or parent it has got itself.

load support

holes_setup() {
  support_setup
  export HOLES_MARK=$RUN ROGUE=$BUILD_DIR/rogue-tool
  HOLES=$REPO/test/holes
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
}

# Nothing may be left: no process, no zombie below one of them, no socket (see support_teardown).
holes_teardown() {
  local left pid
  for pid in $BACKGROUND; do
    kill -TERM "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
  done
  BACKGROUND=
  left=$(survivors)
  for pid in $left; do
    echo "left alive: $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline"))"
    kill -KILL "$pid" 2>/dev/null || :
  done
  support_teardown || left="$left sockets"
  [ -z "$left" ]
}

# The processes of this test that are alive.
survivors() {
  local found file
  found=$(exec env -u HOLES_MARK grep -lzxF "HOLES_MARK=$RUN" /proc/[0-9]*/environ 2>/dev/null)
  for file in $found; do
    file=${file#/proc/}
    echo "${file%/environ}"
  done
}

# hole FILE SCENARIO...: runs a program of test/holes to its end. As `run` waits for the end of the
# output, which every process of the tree holds, there is nothing left to wait for when it returns.
hole() {
  run copse run "$HOLES/$1.lua" "${@:2}"
  nobody_left
}

nobody_left() {
  local left
  left=$(survivors)
  [ -z "$left" ] || {
    printf 'left alive: %s; output:\n%s\n' "$left" "$output"
    return 1
  }
}

# begin FILE SCENARIO...: the same in the background; returns when it has said "ready". Its standard
# error output is with the rest, so that the end of descriptor 7 is the end of all.
begin() {
  exec 7< <(exec timeout -k 5 "$WATCHDOG" "$COPSE" run "$HOLES/$1.lua" "${@:2}" 3>&- 2>&1)
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  await ready
}

# await LINE: reads the output until this line has come; what came before is in $seen.
await() {
  local line
  seen=
  while read -r -u 7 line; do
    [ "$line" = "$1" ] && return 0
    seen="$seen$line"$'\n'
  done
  printf 'never said "%s", but:\n%s\n' "$1" "$seen"
  return 1
}

# ending: waits for the end of everything that `begin` began. Its status is $status,
# its output $output.
ending() {
  output=$(cat <&7)
  # shellcheck disable=SC2034 # what status_is looks at
  status=0
  # shellcheck disable=SC2034 # what status_is looks at
  wait "$STARTED" || status=$?
  BACKGROUND=${BACKGROUND% "$STARTED"}
  nobody_left
}

# pid_of NAME: of an actor of the program that `begin` began, which wrote it into a
# file of that name.
pid_of() { cat "$RUN/pid.$1"; }

# silent TEXT: the output of `run` has this text nowhere.
silent() {
  ! grep -Fq -- "$1" <<<"$output" || {
    printf 'should not say: %s\nin:\n%s\n' "$1" "$output"
    return 1
  }
}
