#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What `make install` leaves must be usable by someone who has only that.

setup_file() {
  dest=$(mktemp -d)
  export dest
  unset MAKEFLAGS MFLAGS MAKELEVEL
  # shellcheck disable=SC2086 # a list of variables
  make --no-print-directory $MAKE_ARGS install DESTDIR="$dest" >"$dest/log" 2>&1 || {
    cat "$dest/log"
    return 1
  }
  rm "$dest/log"
}

teardown_file() {
  rm -rf "$dest"
}

setup() {
  tools=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
  work=$(mktemp -d)
  cd "$work" || return 1
  prefix=$dest/usr/local
  export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
}

teardown() {
  rm -rf "$work"
}

pc() {
  pkg-config "$@" copse
}

@test "the shared library has its SONAME, and the links that lead to it" {
  [ "$(readlink "$prefix/lib/libcopse.so")" = "libcopse.so.$VERSION" ]
  [ "$(readlink "$prefix/lib/libcopse.so.0")" = "libcopse.so.$VERSION" ]
  objdump -p "$prefix/lib/libcopse.so" | grep -q 'SONAME *libcopse.so.0$'
}

@test "pkg-config knows the version" {
  [ "$(pc --modversion)" = "$VERSION" ]
}

@test "a program is built by pkg-config's word and runs, shared and static" {
  printf '%s\n' '#include <copse.h>' '#include <copse/wire.h>' \
    'int main(void) { return copse_status_name(COPSE_OK) == 0; }' >user.c
  flags=${SANITIZE:+-fsanitize=$SANITIZE}
  # shellcheck disable=SC2046,SC2086 # lists of flags
  ${CC:-cc} $flags -o shared user.c $(pc --cflags --libs)
  LD_LIBRARY_PATH=$prefix/lib ./shared
  # shellcheck disable=SC2046,SC2086
  ${CC:-cc} $flags -o static user.c $(pc --cflags) "$prefix/lib/libcopse.a" \
    $(PKG_CONFIG_SYSROOT_DIR='' pc --static --libs | sed 's/-lcopse//')
  ./static
}

@test "the headers stand alone, in strict C11" {
  for header in copse.h copse/wire.h; do
    echo "#include <$header>" |
      ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only -x c -
  done
}

@test "the installed command runs from where it was installed" {
  "$prefix/bin/copse" --version | grep -q "$VERSION"
}

@test "a stock Lua loads the module" {
  [ -z "$SANITIZE" ] || skip 'the sanitizer is in our programs, not in the stock Lua'
  LUA_PATH="$prefix/share/lua/5.4/?.lua;$prefix/share/lua/5.4/?/init.lua" \
    LUA_CPATH="$prefix/lib/lua/5.4/?.so" lua5.4 -e 'assert(type(require "copse") == "table")'
}

@test "the manual pages of the command and of the concepts are there" {
  [ -s "$prefix/share/man/man1/copse.1" ]
  [ -s "$prefix/share/man/man7/copse.7" ]
}

@test "uninstall leaves nothing of ours" {
  unset MAKEFLAGS MFLAGS MAKELEVEL
  cp -a "$dest" copy
  # shellcheck disable=SC2086
  make --no-print-directory -C "$tools/.." $MAKE_ARGS uninstall \
    DESTDIR="$PWD/copy" >/dev/null
  run find copy ! -type d
  [ -z "$output" ]
}
