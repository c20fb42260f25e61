#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Bad places to run in: without standard descriptors, without a directory for
# sockets, without memory, processes or descriptors, as the first process of a
# namespace, with and without a terminal.

# shellcheck disable=SC2016 # other shells expand these
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load holes_support

setup() {
  holes_setup
  cat >family.lua <<'END'
local copse = require "copse"
local M = {}
function M.answer() return 42 end
function M.main()
  copse.nursery(function(n)
    local a = n:spawn("child", { module = "family" })
    local answer = a:call("answer")
    local file <close> = io.open("answer", "w")
    file:write(answer)
    print("answer " .. answer)
  end)
end
return M
END
  cat >sleeper.lua <<'END'
local copse = require "copse"
local M = {}
M.hold = copse.context(function(ctx)
  local tidy <close> = setmetatable({}, { __close = function()
    local file <close> = io.open("tidied", "w")
  end })
  ctx:started()
  copse.sleep(3600)
end)
function M.main()
  copse.nursery(function(n)
    local a = n:spawn("child", { module = "sleeper" })
    local ctx <close> = a:open("hold")
    local file <close> = io.open("pid", "w")
    file:write(io.open("/proc/self/stat"):read("n"))
    file:close()
    print("ready")
    ctx:result()
  end)
end
return M
END
}
teardown() { holes_teardown; }

works() {
  status_is 0
  [ "$(cat answer)" = 42 ]
  rm answer
  nobody_left
}

@test "standard descriptors that are closed do no harm, whichever they are" {
  run timeout "$WATCHDOG" "$COPSE" run family.lua <&-
  works
  timeout "$WATCHDOG" "$COPSE" run family.lua >&- && status=0 || status=$?
  works
  timeout "$WATCHDOG" "$COPSE" run family.lua 2>&- && status=0 || status=$?
  works
  timeout "$WATCHDOG" "$COPSE" run family.lua <&- >&- 2>&- && status=0 || status=$?
  works
  COPSE_LOG=trace timeout "$WATCHDOG" "$COPSE" run family.lua <&- >&- 2>&- && status=0 || status=$?
  works
}

@test "a full standard error output does no harm" {
  COPSE_LOG=trace timeout "$WATCHDOG" "$COPSE" run family.lua 2>/dev/full && status=0 || status=$?
  works
}

@test "a standard error output that nobody reads any more does no harm" {
  {
    COPSE_LOG=trace timeout "$WATCHDOG" "$COPSE" run family.lua 2>&1 >&8 &&
      echo 0 >status || echo $? >status
  } 8>out | true
  status=$(cat status)
  works
}

@test "without XDG_RUNTIME_DIR, or with one that cannot be used, a tree works" {
  for place in "" relative /nowhere/at/all /proc "$RUN/answer-file" "$RUN/link" "$RUN/open" \
    "$RUN/$(printf 'long%.0s' {1..40})"; do
    mkdir -p "$RUN/open" "$RUN/$(printf 'long%.0s' {1..40})"
    chmod 777 "$RUN/open"
    : >"$RUN/answer-file"
    ln -sfn /tmp "$RUN/link"
    XDG_RUNTIME_DIR=$place run copse run family.lua
    works
  done
  run env -u XDG_RUNTIME_DIR timeout "$WATCHDOG" "$COPSE" run family.lua
  works
}

@test "a file in the place of the directory is said, and the tree works" {
  : >"$RUN/copse"
  run copse run family.lua
  works
  rm "$RUN/copse"
}

@test "a full disk below the runtime directory is said, and the tree works" {
  mkdir full
  unshare -m true 2>/dev/null || skip 'no mount namespaces here'
  # The directory, as many files as there can be, and not one more.
  run unshare -m sh -c 'mount -t tmpfs -o size=4k,nr_inodes=2,mode=700 none full &&
    XDG_RUNTIME_DIR=$PWD/full timeout '"$WATCHDOG"' "$COPSE" run family.lua'
  works
}

@test "a name of a directory that is just too long for a socket is no surprise" {
  for extra in {1..60}; do
    long="$RUN/$(printf 'x%.0s' $(seq "$extra"))"
    mkdir -m 700 "$long"
    XDG_RUNTIME_DIR=$long run copse run family.lua
    works
    rm -r "$long"
  done
}

@test "too few descriptors are an error, not a hang or a crash, at whatever number they end" {
  for limit in {8..24}; do
    run timeout "$WATCHDOG" sh -c "ulimit -n $limit && exec \"\$COPSE\" run family.lua" 3>&-
    case $status in
    0 | 1 | 2 | 127) ;; # 127: the system's loader
    *) echo "limit $limit: status $status: $output" && return 1 ;;
    esac
    [ "$status" -eq 0 ] || [ -n "$output" ] || {
      echo "limit $limit: failed without a word"
      return 1
    }
    nobody_left
  done
}

@test "too little memory is an error, not a hang or a crash" {
  [ -z "${SANITIZE:-}" ] || skip 'a sanitizer needs more address space than there is'
  for limit in 6000 8000 10000 12000 16000 24000; do
    run timeout "$WATCHDOG" sh -c "ulimit -v $limit && exec \"\$COPSE\" run family.lua" 3>&-
    case $status in
    0 | 1 | 2 | 127) ;; # 127: the system's loader
    *) echo "limit $limit: status $status: $output" && return 1 ;;
    esac
    nobody_left
  done
}

# refused CALL ERROR FROM TO: the system refuses one such call, the N-th for each N;
# a hang would be cut off.
refused() {
  command -v strace >/dev/null || skip 'there is no strace'
  [ -z "${SANITIZE:-}" ] || skip 'a sanitizer looks for leaks by ptrace, too'
  strace -qq -o /dev/null true 2>/dev/null || skip 'tracing is not allowed here'
  local n
  for ((n = $3; n <= $4; n++)); do
    run timeout -k 5 "$WATCHDOG" strace -qq -o /dev/null -e inject="$1:error=$2:when=$n" \
      "$COPSE" run family.lua
    case $status in
    124 | 137 | 139) echo "$1 $n: status $status: $output" && return 1 ;;
    # libuv aborts over some: the next to look sweeps what it left.
    134) "$COPSE" tree >/dev/null || : ;;
    esac
    nobody_left
  done
}

@test "a socket pair, a pipe or a process that is refused is no hang" {
  refused socketpair EMFILE 1 2
  refused pipe2 EMFILE 1 5
  refused clone EAGAIN 1 2
  refused fcntl EMFILE 1 8
}

@test "a descriptor that cannot be watched is no hang" { refused epoll_ctl ENOMEM 1 16; }

@test "a link that cannot be written to for want of memory is no hang" {
  refused write ENOBUFS 1 10
}

@test "when no more processes may be started, the spawn fails and is told" {
  [ "$(id -u)" -eq 0 ] || skip 'needs another user'
  id nobody >/dev/null || skip 'there is no nobody'
  command -v setpriv >/dev/null || skip 'there is no setpriv'
  chmod 755 "$RUN"
  # The build may lie where only its owner may look.
  cp "$COPSE" "$RUN/program"
  # (The leak check of the address sanitizer would want a process of its own.)
  run env -u XDG_RUNTIME_DIR ASAN_OPTIONS=detect_leaks=0 timeout "$WATCHDOG" \
    setpriv --reuid=nobody --clear-groups \
    bash -c 'ulimit -u 1 && exec "$1" run family.lua' - "$RUN/program"
  chmod 700 "$RUN"
  status_is 1
  says spawn_failed
  nobody_left
}

@test "the first process of a pid namespace ends like any other" {
  unshare -pf --mount-proc true 2>/dev/null || skip 'no pid namespaces here'
  run timeout "$WATCHDOG" unshare -pf --mount-proc "$COPSE" run family.lua
  works
}

@test "the first process of a pid namespace is killed, and everything with it" {
  unshare -pf true 2>/dev/null || skip 'no pid namespaces here'
  exec 7< <(exec timeout -k 5 "$WATCHDOG" \
    unshare -pf --kill-child "$COPSE" run sleeper.lua 3>&- 2>&1)
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  await ready
  kill -TERM "$STARTED"
  ending
  # Some versions of unshare kill all at once: what is left then is for the next command to remove.
  copse tree >/dev/null 2>&1 || :
}

@test "an actor that is a child and the first process of a pid namespace goes with its parent" {
  unshare -pf true 2>/dev/null || skip 'no pid namespaces here'
  cat >outer.lua <<'END'
local copse = require "copse"
return { main = function()
  copse.nursery(function(n)
    local command = { "unshare", "-pf", os.getenv "COPSE", "run", "sleeper.lua" }
    local a = n:spawn("inner", { argv = command })
    local ctx <close> = a:open "hold"
    local file <close> = io.open("pid", "w")
    file:write(io.open("/proc/self/stat"):read("n"))
    file:close()
    print "ready"
    ctx:result()
  end)
end }
END
  exec 7< <(exec timeout -k 5 "$WATCHDOG" "$COPSE" run outer.lua 3>&- 2>&1)
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  await ready
  kill -KILL "$(cat pid)"
  ending
}

@test "ctrl-C in a terminal ends the whole tree, once and in order" {
  command -v script >/dev/null || skip 'there is no script(1)'
  mkfifo keys
  exec 7< <(exec timeout -k 5 "$WATCHDOG" \
    script -qec "$COPSE run sleeper.lua" /dev/null <keys 3>&- 2>&1)
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  exec 8>keys
  await $'ready\r'
  printf '\003' >&8
  ending
  exec 8>&-
  [ -e tidied ]
  silent died
}

@test "a terminal that hangs up takes the tree with it" {
  command -v script >/dev/null || skip 'there is no script(1)'
  mkfifo keys
  exec 7< <(exec timeout -k 5 "$WATCHDOG" \
    script -qec "$COPSE run sleeper.lua" /dev/null <keys 3>&- 2>&1)
  STARTED=$!
  BACKGROUND="$BACKGROUND $STARTED"
  exec 8>keys
  await $'ready\r'
  # Its end is the end of the process; nothing else is left to read from.
  exec 6<"/proc/$(cat pid)/stat"
  kill -KILL "$STARTED" "$(pgrep -P "$STARTED" | head -n 1)"
  exec 8>&- 6<&-
  cat <&7 >/dev/null || :
  until [ -z "$(survivors)" ]; do :; done
}

@test "a tree in the background of a terminal works and ends" {
  command -v script >/dev/null || skip 'there is no script(1)'
  run timeout "$WATCHDOG" \
    script -qec "bash -ic '$COPSE run family.lua & wait \$!'" /dev/null </dev/null
  works
}

@test "names: 64 bytes are taken, 65, none and bytes that are no UTF-8 are an error" {
  cat >names.lua <<'END'
local copse = require "copse"
local M = {}
function M.me() return copse.self().name end
function M.main()
  copse.nursery(function(n)
    for _, name in ipairs { ("n"):rep(64), ("ä"):rep(32), "with a blank", "@:/\"'$(x)" } do
      print(n:spawn(name, { module = "names" }):call("me") == name)
    end
    for _, name in ipairs { "", ("n"):rep(65), "\xff\xfe", "line\nbreak", "nul\0" } do
      print(pcall(n.spawn, n, name, { module = "names" }))
    end
  end)
end
return M
END
  run copse run names.lua
  status_is 0
  [ "$(grep -c '^true' <<<"$output")" -eq 4 ]
  [ "$(grep -c '^false' <<<"$output")" -eq 5 ]
  nobody_left
}

@test "a low soft limit of descriptors is no limit of children; a spawned command has it again" {
  cat >many.lua <<'END'
local copse = require "copse"
local M = {}
function M.hello() return 1 end
function M.main()
  copse.nursery(function(n)
    local sum = 0
    for i = 1, 60 do n:spawn("child-" .. i, { module = "many" }) end
    local script = 'ulimit -Sn >limit; exec "$COPSE" run --module many'
    local a = n:spawn("last", { argv = { "sh", "-c", script } })
    print(a:call("hello"))
  end)
end
return M
END
  run timeout "$WATCHDOG" bash -c 'ulimit -Sn 64 && exec "$COPSE" run many.lua' 3>&-
  status_is 0
  has 1
  [ "$(cat limit)" = 64 ]
  nobody_left
}

@test "when descriptors run out, spawning says so, and the tree goes on and ends" {
  cat >greedy.lua <<'END'
local copse = require "copse"
local M = {}
function M.hello() return "hello" end
function M.main()
  copse.nursery(function(n)
    local first, why = n:spawn("first", { module = "greedy" })
    for i = 1, 1000 do
      local ok, err = pcall(n.spawn, n, "child-" .. i, { module = "greedy" })
      if not ok then why = err break end
    end
    print(why.code, why.message)
    print(first:call("hello"))
  end)
end
return M
END
  run timeout "$WATCHDOG" bash -c 'ulimit -n 48 && exec "$COPSE" run greedy.lua' 3>&-
  says spawn_failed
  says 'Too many open files'
  has hello
  nobody_left
}
