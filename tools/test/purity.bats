#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A check that lets everything through looks just like a clean engine, so it is shown sinners.

setup() {
  tools=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
  work=$(mktemp -d)
  cd "$work" || return 1
}

teardown() {
  rm -rf "$work"
}

# object NAME SOURCE...
object() {
  name=$1
  shift
  printf '%s\n' "$@" | ${CC:-cc} -w -fPIC -O1 -x c -c -o "$name.o" -
}

@test "an object of memory functions and constant tables is pure" {
  object good 'void *memset(void *, int, unsigned long);' \
    'const char *const names[] = {"a", "b"};' \
    'int f(char *p) { memset(p, 0, 100); return names[p[0]][0]; }'
  run "$tools/purity" good.o
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 1..3 ]
}

@test "what one object of the set defines another may call" {
  object one 'int two(void); int one(void) { return two(); }'
  object two 'int two(void) { return 2; }'
  run "$tools/purity" one.o two.o
  [ "$status" -eq 0 ]
  run "$tools/purity" one.o
  [ "$status" -eq 1 ]
}

@test "a system call is found" {
  object bad 'int getpid(void); int f(void) { return getpid(); }'
  run "$tools/purity" bad.o
  [ "$status" -eq 1 ]
  [[ "$output" = *'not ok 1'*'# getpid'* ]]
}

@test "a clock is found" {
  object bad 'long time(long *); long f(void) { return time(0); }'
  run "$tools/purity" bad.o
  [ "$status" -eq 1 ]
}

@test "an initialised variable is found" {
  object bad 'static int n = 5; int f(void) { return n++; }'
  run "$tools/purity" bad.o
  [ "$status" -eq 1 ]
  [[ "$output" = *'not ok 2'* ]]
}

@test "a zeroed variable is found" {
  object bad 'static int n; int f(void) { return n++; }'
  run "$tools/purity" bad.o
  [ "$status" -eq 1 ]
}

@test "a variable of pointers is found" {
  object bad 'extern int f(void); int (*hook)(void) = f; int f(void) { return 1; }'
  run "$tools/purity" bad.o
  [ "$status" -eq 1 ]
}

@test "a second file that calls msgpack-c is found" {
  object one 'int msgpack_a(void); int one(void) { return msgpack_a(); }'
  object two 'int msgpack_a(void); int two(void) { return msgpack_a(); }'
  run "$tools/purity" one.o
  [ "$status" -eq 0 ]
  run "$tools/purity" one.o two.o
  [ "$status" -eq 1 ]
}

@test "an export that no header declares is found, and a declaration that is not exported" {
  printf '%s\n' '#define COPSE_API __attribute__((visibility("default")))' \
    '/* COPSE_API int copse_comment(void); */' \
    'COPSE_API const char *copse_a(int,' '  int);' 'COPSE_API int copse_b(void);' >api.h
  both='const char *copse_a(int a, int b) { return 0; } int copse_b(void) { return 1; }'
  library() { printf '%s\n' "$@" | ${CC:-cc} -w -fPIC -shared -x c -o lib.so -; }
  library "$both"
  run "$tools/exports" lib.so api.h
  [ "$status" -eq 0 ]
  library "$both" 'int copse_c(void) { return 2; }'
  run "$tools/exports" lib.so api.h
  [ "$status" -eq 1 ]
  [[ "$output" = *'not ok 1'*'# copse_c'* ]]
  library 'int copse_b(void) { return 1; }'
  run "$tools/exports" lib.so api.h
  [ "$status" -eq 1 ]
  [[ "$output" = *'not ok 2'*'# copse_a'* ]]
}
