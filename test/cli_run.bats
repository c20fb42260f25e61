#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# copse run, and what all subcommands have in common.

# shellcheck disable=SC2016 # other shells expand these

load support
setup() { support_setup; }
teardown() { support_teardown; }

@test "help and version are printed by the command and by each subcommand" {
  run copse --help
  status_is 0
  says 'run FILE'
  says 'call TARGET'
  run copse --version
  status_is 0
  says 'copse '
  says 'protocol version 1'
  for command in run call tree decode; do
    run copse "$command" --help
    status_is 0
    says "Usage: copse $command"
    says 'Exit status:'
  done
}

@test "a wrong command line is 2, and says what to do" {
  run copse
  status_is 2
  run copse grow
  status_is 2
  says "there is no command 'grow'"
  run copse program.lua
  status_is 2
  says 'copse run program.lua'
  run copse run
  status_is 2
  says 'which program?'
  run copse --log-level=loud tree
  status_is 2
  says "there is no log level 'loud'"
}

@test "a program gets its arguments, and its own options are not ours" {
  cat >args.lua <<'END'
return { main = function(...) print(table.concat({ ... }, "|")) end }
END
  run copse run args.lua one --two -v --help
  status_is 0
  has 'one|--two|-v|--help'
}

@test "a file that cannot be read is 3" {
  run copse run no-such-file.lua
  status_is 3
  says 'cannot read no-such-file.lua: No such file'
  run copse run /
  status_is 3
  says 'is a directory'
}

@test "an uncaught error is 1, with one report on standard error" {
  echo 'return { main = function() error("it broke") end }' >broken.lua
  run copse run broken.lua
  status_is 1
  [ "$(grep -c 'it broke' <<<"$output")" -eq 1 ] || {
    echo "$output"
    return 1
  }
}

@test "a syntax error is 1 and names the line" {
  printf 'local x = 1\nlocal = 2\n' >syntax.lua
  run copse run syntax.lua
  status_is 1
  says 'syntax.lua:2:'
}

@test "the program may choose its exit status" {
  echo 'return { main = function() os.exit(42) end }' >exit.lua
  run copse run exit.lua
  status_is 42
}

@test "a module is found as require would" {
  echo 'return { main = function(x) print("module " .. x) end }' >some_module.lua
  LUA_PATH="$RUN/?.lua;;" run copse run --module some_module here
  status_is 0
  has 'module here'
}

@test "the tree is named after the file, or as --name says" {
  cat >name.lua <<'END'
local copse = require "copse"
return { main = function() print(copse.self().name) end }
END
  run copse run name.lua
  has 'name'
  run copse run --name=other name.lua
  has 'other'
}

@test "a file's name that cannot be an actor's makes one that can" {
  echo 'return { main = function() print(require("copse").self().name) end }' >name.lua
  long=$(printf 'ä%.0s' {1..31})
  for file in "x$long" "xx$long" "$(printf 'x%.0s' {1..64})"; do
    cp name.lua "$file.lua"
    run copse run "$file.lua"
    has "$file"
  done
  cp name.lua "xyz$long.lua" # the last character begins within the 64 bytes and ends beyond
  run copse run "xyz$long.lua"
  has "xyz${long%ä}"
  cp name.lua $'a\nb\xff\xc3c\xc2\x85d.lua'
  run copse run $'a\nb\xff\xc3c\xc2\x85d.lua'
  has 'a?b??c??d'
}

@test "the log level is inherited by the whole tree, and a flag wins over COPSE_LOG" {
  cat >log.lua <<'END'
local copse = require "copse"
local M = {}
function M.speak() copse.log("info", "the child speaks") end
function M.main()
  copse.nursery(function(n) n:spawn("child", { module = "log" }):call("speak") end)
end
return M
END
  run copse run log.lua
  status_is 0
  [[ $output != *'the child speaks'* ]]
  run copse run --log-level=info log.lua
  says 'the child speaks'
  COPSE_LOG=info run copse run log.lua
  says 'the child speaks'
  COPSE_LOG=info run copse run --log-level=error log.lua
  [[ $output != *'the child speaks'* ]]
}

@test "a program that returns something else than its functions is told so" {
  echo 'return 3' >three.lua
  run copse run three.lua
  status_is 1
  says 'three.lua returns a number and not a table of its functions'
  echo 'return { mian = print }' >nomain.lua
  run copse run nomain.lua
  status_is 1
  says 'nomain.lua has no function main'
}

@test "the same signal twice in a breath is one request, and clean-up is not cut short" {
  cat >slow.lua <<'END_LUA'
local copse = require "copse"
return { main = function()
  local cleaned <close> = setmetatable({}, { __close = function()
    copse.shield(5, function() copse.sleep(0.05) end)
    print "cleaned up"
  end })
  print "ready"
  copse.sleep(1e6)
end }
END_LUA
  start slow.lua
  kill -TERM "$STARTED"
  kill -TERM "$STARTED"
  run cat <&7
  has 'cleaned up'
}

@test "output that cannot be written is 1, and says so once" {
  cp "$REPO/test/server.lua" .
  start server.lua
  printf 'return { main = function() for i = 1, 10 do print(i) end end }' >talks.lua
  for command in '--help' '--version' 'tree' 'tree --watch' 'tree --json' 'call add [1,2]' \
    'decode hello' 'run talks.lua'; do
    printf '000000030000000000000000' >hello
    # shellcheck disable=SC2086
    run timeout "$WATCHDOG" bash -c '"$COPSE" "$@" 2>&1 >/dev/full' - $command
    status_is 1
    says 'the output could not be written'
    [ "${#lines[@]}" -eq 1 ]
  done
}

@test "a reader who goes away is no news to anybody but the status" {
  # The writer begins when the reader has gone for good.
  cat >talks.lua <<'END'
local c = require "copse"
return { main = function() io.read() for i = 1, 10 do print(i) end end }
END
  mkfifo gone
  for command in '--version' 'tree' 'run talks.lua'; do
    # shellcheck disable=SC2086
    run timeout "$WATCHDOG" \
      bash -c 'exec 5<>gone 6>gone; exec 5>&-; "$COPSE" "$@" 2>&1 >&6 </dev/null' - $command
    [ "$status" -eq 1 ] || [ "$status" -eq 141 ] || status_is 1
    [ -z "$output" ]
  done
}
