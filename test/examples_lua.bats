#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What the examples print is what their readers are promised.

load support
setup() {
  support_setup
  EXAMPLES=$REPO/examples
}
teardown() { support_teardown; }

# is TEXT: the output is exactly this.
is() {
  [ "$output" = "$1" ] || {
    diff <(echo "$1") <(echo "$output")
    return 1
  }
}

@test "hello: one function in a process of its own" {
  run copse run "$EXAMPLES/hello.lua"
  status_is 0
  is 'Hello, world, from greeter
its process is not mine: true
and it is gone'
  run copse run "$EXAMPLES/hello.lua" reader
  says 'Hello, reader, from greeter'
}

@test "pingpong: a bidirectional stream" {
  run copse run "$EXAMPLES/pingpong.lua"
  status_is 0
  is 'started with 42
pong to ping 1
pong to ping 2
pong to ping 3
pings played: 3'
}

@test "errors: from three levels down, with the path that it came" {
  run copse run "$EXAMPLES/errors.lua"
  status_is 0
  grep -v '^message: ' <<<"$output" >rest
  says 'the bottom gives way'
  output=$(cat rest)
  is 'ok: false
code: failed
raised in: level-1
came by: level-1, level-2, level-3'
}

@test "errors, uncaught: one report, and exit status 1" {
  run copse run "$EXAMPLES/errors.lua" uncaught
  status_is 1
  says 'the bottom gives way'
  for level in level-1 level-2 level-3; do says "$level"; done
}

@test "streams: composed through the middle of a nested tree" {
  run copse run "$EXAMPLES/streams.lua"
  status_is 0
  is '1 2 3 4 5 6 7 8 9 10
the stream is closed, and the sources are gone'
}

@test "primes: the pool finds which of the six numbers are prime" {
  run copse run "$EXAMPLES/primes.lua"
  status_is 0
  output=$(sort <<<"$output")
  is '1099726899285419 is not prime
112272535095293 is prime
112272535095293 is prime
112582705942171 is prime
115280095190773 is prime
115797848077099 is prime'
  run copse run "$EXAMPLES/primes.lua" 1 2 9 97
  output=$(sort <<<"$output")
  is '1 is not prime
2 is prime
9 is not prime
97 is prime'
}

@test "wordcount: counts like one process would" {
  mkdir -p text/deeper
  printf 'The quick brown fox\njumps over the lazy dog, the fox said.\n' >text/one
  printf 'A fox! And the End without newline: fox' >text/deeper/two
  : >text/empty
  run copse run "$EXAMPLES/wordcount.lua" text 3
  status_is 0
  is '14 different words in 3 files
       4  fox
       4  the
       1  a'
}

@test "wordcount: the same words in a real directory as grep and sort find" {
  directory=/usr/share/common-licenses
  [ -d "$directory" ] || directory=$REPO
  run copse run "$EXAMPLES/wordcount.lua" "$directory" 5
  status_is 0
  find "$directory" -type f -exec cat {} + | LC_ALL=C tr '[:upper:]' '[:lower:]' |
    LC_ALL=C grep -aoE $'[a-z\x80-\xff]+' | LC_ALL=C sort | uniq -c |
    LC_ALL=C sort -k1,1nr -k2,2 | head -5 | awk '{ printf "%8d  %s\n", $1, $2 }' >expected
  output=$(tail -n +2 <<<"$output")
  is "$(cat expected)"
}

@test "wordcount: an empty directory is said to be empty" {
  mkdir nothing
  run copse run "$EXAMPLES/wordcount.lua" nothing
  status_is 1
  says 'there are no files in nothing'
}

@test "self_destruct: the tree is shown, and shown to be gone" {
  run copse run "$EXAMPLES/self_destruct.lua" 3
  status_is 0
  is 'the tree:
  branch-1 (working, 2 below)
    leaf-1 (working, 0 below)
    leaf-2 (working, 0 below)
  branch-2 (working, 2 below)
    leaf-1 (working, 0 below)
    leaf-2 (working, 0 below)
  branch-3 (working, 2 below)
    leaf-1 (working, 0 below)
    leaf-2 (working, 0 below)
the nursery failed: self-destruct
of 9 processes, 0 are left'
}

@test "the demo runs the three big ones" {
  mkdir text
  echo 'some words' >text/file
  run timeout "$WATCHDOG" "$EXAMPLES/demo" "$RUN/text"
  status_is 0
  says '112272535095293 is prime'
  says '2 different words in 1 files'
  says '0 are left'
}
