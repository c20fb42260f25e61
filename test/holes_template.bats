#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Lua actors are cloned from a template. Nobody can tell them from executed ones, nothing that is
# done to a template harms them, and none outlives what it was for.

load holes_support
setup() { holes_setup; }
teardown() { holes_teardown; }

@test "a clone is in every respect like an actor that was executed" {
  hole templates alike
  status_is 0
  has 'alike'
  has '/'
}

@test "clones draw different numbers" {
  hole templates chance
  status_is 0
  has '8'
}

@test "a clone shows its own mark to who looks for orphans" {
  hole templates mark
  status_is 0
  [ "$(grep -c $'^32\ttrue$' <<<"$output")" -eq 2 ]
}

@test "finalizers run at the end of an actor, executed or cloned, and what they write is written" {
  hole templates finalizers
  status_is 0
  [ "$output" = "$(printf 'finalized %s\n' 3 2 1 3 2 1)" ]
}

# Lua unloads its modules before; one that stays is left to exit(3).
@test "what a module in C has left to be done at the exit is done in a clone too" {
  printf '%s\n' '#include <stdlib.h>' '#include <unistd.h>' \
    'static void speak(void) { if (write(1, "last words\n", 11) < 0) _exit(1); }' \
    'int luaopen_last_words(void *L) { (void)L; atexit(speak); return 0; }' >"$RUN/last_words.c"
  ${CC:-cc} -shared -fPIC -Wl,-z,nodelete -o "$RUN/last_words.so" "$RUN/last_words.c"
  hole templates last_words "$RUN/last_words.so"
  status_is 0
  [ "$output" = "last words" ]
}

@test "an actor with an environment of its own, or another link, or that asks for it, is executed" {
  hole templates option
  status_is 0
  has $'false\ttrue\ttrue\ttrue'
}

@test "a template is not shown in the tree" {
  local pid templates=0
  begin templates deep
  run copse tree --json
  status_is 0
  for pid in $(survivors); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e ' --template '; then
      templates=$((templates + 1))
      silent "\"pid\": $pid,"
    fi
  done
  [ "$templates" -eq 7 ]
  [ "$(grep -o '"pid": ' <<<"$output" | wc -l)" -eq 15 ]
  kill -TERM "$(pgrep -P "$STARTED")"
  ending
}

@test "a template that is killed again and again costs nobody an actor" {
  hole templates killed
  status_is 0
  has 'all there'
}

@test "a template that is stopped again and again costs nobody an actor" {
  hole templates stopped
  status_is 0
  has 'all there'
}

@test "a template that is asked to stop costs nobody an actor" {
  hole templates interrupted
  status_is 0
  has 'all there'
}

@test "a killed root takes a tree of clones and all their templates with it" {
  begin templates deep
  kill -KILL "$(pgrep -P "$STARTED")"
  ending
}

@test "a killed clone takes its own clones and template with it, and the root hears of it" {
  begin templates deep
  kill -KILL "$(pid_of 2)"
  ending
  status_is 1
  says '"level-3-2" was ended by SIGKILL'
}

@test "an interrupted root ends a tree of clones in order" {
  begin templates deep
  kill -INT "$(pgrep -P "$STARTED")"
  ending
}

@test "who says --template by hand is told that it is for actors" {
  run copse run --template </dev/null
  [ "$status" -ne 0 ]
  has 'copse: cannot be a template: it has no socket to its parent'
}
