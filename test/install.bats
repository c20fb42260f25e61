#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What `make install` makes can be used by somebody who has never seen this directory.

load support

setup_file() {
  STAGE=$(mktemp -d "${TMPDIR:-/tmp}/copse-stage.XXXXXX")
  export STAGE
  # shellcheck disable=SC2086 # a list of arguments
  make -s -C "$BATS_TEST_DIRNAME/.." install DESTDIR="$STAGE" PREFIX=/usr ${MAKE_ARGS:-} \
    CC="${CC:-cc}" SANITIZE="${SANITIZE:-}" >"$STAGE/log" 2>&1 || {
    cat "$STAGE/log"
    return 1
  }
  export PKG_CONFIG_SYSROOT_DIR=$STAGE PKG_CONFIG_PATH=$STAGE/usr/lib/pkgconfig
}

teardown_file() {
  rm -rf "$STAGE"
}

setup() {
  support_setup
  export COPSE=$STAGE/usr/bin/copse
}
teardown() { support_teardown; }

# build SOURCE PROGRAM: as a user would, against what was installed alone.
build() {
  # shellcheck disable=SC2046,SC2086 # lists of arguments
  ${CC:-cc} -std=c11 -Wall -Wextra -Wconversion -Werror ${SANITIZE:+-fsanitize=$SANITIZE} "$1" \
    $(pkg-config --cflags --libs copse) -Wl,-rpath,"$STAGE/usr/lib" -o "$2"
}

@test "the installed tree has everything, and nothing points back to where it was built" {
  cd "$STAGE/usr"
  for file in bin/copse lib/libcopse.a lib/libcopse.so lib/libcopse.so.0 include/copse.h \
    include/copse/wire.h lib/pkgconfig/copse.pc share/man/man1/copse.1 share/man/man7/copse.7; do
    [ -e "$file" ] || {
      echo "missing: $file"
      return 1
    }
  done
  run grep -rlF "$REPO/build" bin/copse lib/pkgconfig share
  [ "$status" -eq 1 ]
}

@test "the C examples build against the installed library and work" {
  build "$REPO/examples/c/worker.c" worker
  build "$REPO/examples/c/parent.c" parent
  run timeout "$WATCHDOG" ./parent ./worker
  status_is 0
  [ "$output" = 'sum returned 63
after 1: 1
after 2: 3
after 3: 6
after 4: 10
after 5: 15
running_sum returned 15' ]
}

@test "a worker that cannot be executed is one clear error" {
  build "$REPO/examples/c/parent.c" parent
  run timeout "$WATCHDOG" ./parent ./no-such-worker
  status_is 1
  says 'no-such-worker'
}

@test "a C actor is called from Lua like any other" {
  build "$REPO/examples/c/worker.c" worker
  cat >mixed.lua <<'END'
local copse = require "copse"
return { main = function()
  copse.nursery(function(n)
    local worker = n:spawn("worker", { argv = { "./worker" } })
    print(worker:call("sum", 1, 2, 3))
    local ok, err = pcall(worker.call, worker, "sum", "x")
    print(ok, err.code, err.message)
    local ctx <close> = worker:open("running_sum")
    for i = 1, 3 do
      ctx:send(i)
      print(ctx:receive())
    end
    ctx:finish()
    print(ctx:result())
  end)
end }
END
  run copse run mixed.lua
  status_is 0
  [ "$output" = $'6\nfalse\tbad_args\targument 1 is not an integer\n1\n3\n6\n6' ] || {
    echo "$output"
    return 1
  }
}

@test "the installed command runs an example and its children" {
  run copse run "$REPO/examples/pingpong.lua"
  status_is 0
  says 'pings played: 3'
}

@test "a stock Lua loads the installed module" {
  command -v lua5.4 >/dev/null || skip 'there is no lua5.4'
  [ -z "${SANITIZE:-}" ] || skip 'a sanitized module needs a sanitized host'
  LUA_PATH="$STAGE/usr/share/lua/5.4/?.lua;$STAGE/usr/share/lua/5.4/?/init.lua;;" \
    LUA_CPATH="$STAGE/usr/lib/lua/5.4/?.so;;" run lua5.4 -e 'print((require "copse").version)'
  status_is 0
  [[ $output =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]
}
