#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# copse tree: what is running, for people and for programs.

# shellcheck disable=SC2016 # other shells expand these

load support
setup() {
  support_setup
  cp "$REPO/test/server.lua" "$RUN/"
  # The lines are drawn as the locale allows.
  export LC_ALL=C.UTF-8
}
teardown() { support_teardown; }

@test "nothing running is no failure, and says how to start something" {
  run copse tree
  status_is 0
  says 'copse run FILE.lua'
  run copse tree --json
  status_is 0
  has '[]'
}

@test "a tree is shown nested, with its header" {
  start server.lua
  run copse tree
  status_is 0
  [[ ${lines[0]} =~ ^ACTOR\ +PID\ +STATE\ +CONTEXTS\ +MEMORY$ ]]
  [[ ${lines[1]} =~ ^server\ +[0-9]+\ +working\ +[0-9]+\ +[0-9.]+\ [KM]iB$ ]]
  [[ ${lines[2]} == '├─ branch'* ]]
  [[ ${lines[3]} == '└─ leaf'* ]]
  [ "${#lines[@]}" -eq 4 ]
}

@test "lines are drawn in ASCII where the locale has nothing else" {
  start server.lua
  LC_ALL=C run copse tree
  [[ ${lines[2]} == '|- branch'* ]]
  [[ ${lines[3]} == '`- leaf'* ]]
}

@test "colours are used when asked for, and only then" {
  start server.lua
  run copse tree
  [[ $output != *$'\033'* ]]
  run copse tree --color=always
  [[ $output == *$'\033'* ]]
}

@test "JSON has the same tree, with the processes that are really there" {
  start server.lua
  run copse tree --json
  status_is 0
  [ "$(jq -r '.[0].name' <<<"$output")" = server ]
  [ "$(jq -r '.[0].children | map(.name) | join(" ")' <<<"$output")" = 'branch leaf' ]
  [ "$(jq '.[0].memory > 100000' <<<"$output")" = true ]
  root=$(jq '.[0].pid' <<<"$output")
  for pid in $(jq '.[0].children[].pid' <<<"$output"); do
    [ "$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")" = "$root" ]
  done
}

@test "a name picks trees, and one that is not there is 3" {
  start server.lua
  run copse tree server
  status_is 0
  says 'branch'
  run copse tree nobody
  status_is 3
  says 'No tree called nobody'
}

@test "a tree that has ended is gone from the list" {
  start server.lua
  stop
  run copse tree --json
  has '[]'
}

@test "a killed root is gone from the list, and what it left is swept away" {
  start server.lua
  kill -KILL "$("$COPSE" tree --json | jq '.[0].pid')"
  cat <&7 >/dev/null # until no process of the tree holds its output any more
  run copse tree --json
  has '[]'
  [ -z "$(find "$RUN/copse" -type s)" ]
}

@test "a stopped root does not hang the command; it is shown as not answering" {
  start server.lua
  pid=$("$COPSE" tree --json | jq '.[0].pid')
  kill -STOP "$pid"
  run copse tree
  kill -CONT "$pid"
  status_is 1
  says 'no answer'
}

@test "watching shows change after change, until it is interrupted" {
  start server.lua
  exec 8< <(exec env --default-signal=INT timeout "$WATCHDOG" \
    "$COPSE" tree --watch --interval 0.1 --json 3>&- 7>&-)
  watcher=$!
  BACKGROUND="$BACKGROUND $watcher"
  read -r -u 8 line
  [ "$(jq length <<<"$line")" -eq 1 ]
  kill -TERM "$STARTED"
  until [ "$(jq length <<<"$line")" -eq 0 ]; do read -r -u 8 line; done
  kill -INT "$watcher"
  status=0
  wait "$watcher" || status=$?
  output=
  status_is 0
}

@test "wrong use is 2" {
  run copse tree one two
  status_is 2
  run copse tree --interval 0
  status_is 2
}

@test "a tree higher than a value may be deep is shown whole" {
  cat >tall.lua <<'LUA'
local copse = require "copse"
local M = {}
M.grow = copse.context(function(ctx, levels)
  copse.nursery(function(n)
    if levels == 0 then ctx:started() return ctx:receive() end
    local below <close> = n:spawn("level-" .. levels, { module = "tall" }):open("grow", levels - 1)
    ctx:started()
    ctx:receive()
    below:finish()
    below:result()
  end)
end)
function M.main()
  copse.nursery(function(n)
    local below <close> = n:spawn("level-40", { module = "tall" }):open("grow", 39)
    print("ready")
    copse.sleep(3600)
  end)
end
return M
LUA
  start tall.lua
  run copse tree --json
  status_is 0
  working=$(jq '[.. | objects | select(has("pid") and .state == "working")] | length' <<<"$output")
  [ "$working" -eq 41 ]
  [ "$(jq -r '.[0] | until(.children == []; .children[0]) | .name' <<<"$output")" = level-1 ]
  run copse tree
  has_lines=$(grep -c 'level-' <<<"$output")
  [ "$has_lines" -eq 40 ]
}

@test "watching ends when nobody reads any more" {
  start server.lua
  set -o pipefail
  run timeout "$WATCHDOG" bash -c '"$COPSE" tree --watch --interval 0.1 | head -n 3 >/dev/null
    echo "${PIPESTATUS[0]}"' 7>&- 2>&1
  [ "$output" = 1 ]
}
