# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the whole-program tests share: the command under test, a runtime directory of its own for
# each test, so that no other tree of this user is seen or touched, and programs that run in the
# background and are waited for by what they say, never by the clock.

# shellcheck disable=SC2154 # output and status are set by bats

REPO=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
BUILD_DIR=${BUILD_DIR:-$REPO/build}
COPSE=${COPSE:-$BUILD_DIR/copse}
export COPSE BUILD_DIR

# A hang is cut off after this many seconds; nothing else depends on it.
WATCHDOG=${WATCHDOG:-120}

# Sockets have short paths, so the directory is not below the test's own.
support_setup() {
  RUN=$(mktemp -d "${TMPDIR:-/tmp}/copse-test.XXXXXX")
  chmod 700 "$RUN"
  export COPSE_RUNTIME_DIR=$RUN/copse
  unset COPSE_LOG COPSE_LINK COPSE_ACTOR COPSE_TOKEN COPSE_TOKEN_FILE NO_COLOR
  cd "$RUN" || return 1
  BACKGROUND=
}

# Every process of a test dies with it, and none may have left a socket.
support_teardown() {
  for pid in $BACKGROUND; do
    kill -TERM "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
  done
  local left end=$((SECONDS + WATCHDOG))
  while left=$(find "$RUN/copse" -type s 2>/dev/null || :) && [ -n "$left" ]; do
    [ "$SECONDS" -lt "$end" ] || break # where a root was killed, who was below it clears up
    sleep 0.05
  done
  cd / && rm -rf "$RUN"
  [ -z "$left" ] || {
    echo "sockets were left behind: $left"
    return 1
  }
}

# copse ARG...: the command, cut off if it hangs.
copse() {
  timeout -k 5 "$WATCHDOG" "$COPSE" "$@"
}

# start FILE [ARG...]: runs a program in the background and returns when it has said "ready".
# Its process is $STARTED, its output can be read on descriptor 7.
start() {
  exec 7< <(exec timeout -k 5 "$WATCHDOG" "$COPSE" run "$@" 3>&- 2>"$RUN/stderr")
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  local line
  while read -r -u 7 line; do
    [ "$line" = ready ] && return 0
    echo "said: $line"
  done
  echo "never ready:"
  cat "$RUN/stderr"
  return 1
}

# Ends the program that `start` has started, and everything in its tree.
stop() {
  kill -TERM "$STARTED" 2>/dev/null || :
  cat <&7 >/dev/null
  wait "$STARTED" 2>/dev/null || :
  BACKGROUND=
}

# has LINE: the output of `run` has this line.
has() {
  grep -Fxq -- "$1" <<<"$output" || {
    printf 'no line: %s\nin:\n%s\n' "$1" "$output"
    return 1
  }
}

# says TEXT: the output of `run` has this text somewhere.
says() {
  grep -Fq -- "$1" <<<"$output" || {
    printf 'nothing says: %s\nin:\n%s\n' "$1" "$output"
    return 1
  }
}

# status_is N: the exit status of `run`.
status_is() {
  [ "$status" -eq "$1" ] || {
    printf 'status %s, not %s; output:\n%s\n' "$status" "$1" "$output"
    return 1
  }
}
