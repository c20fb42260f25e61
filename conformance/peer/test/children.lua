-- SPDX-License-Identifier: MIT
--
-- Real processes: the spawn contract from both sides, trees, what remains after kill -9, the
-- ladder. The children are testees of this peer, and programs that are none.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local uv = require "luv"
local actor = require "peer.actor"
local codec = require "peer.codec"
local failure = require "peer.failure"
local scope = require "peer.scope"
local spawn = require "peer.spawn"
local task = require "peer.task"

local TESTEE = { uv.exepath(), t.here .. "/peer/testee.lua" }

local exports = {}
function exports.echo(_, args) return args[1] end
function exports.never(ctx)
  ctx:started()
  task.wait(ctx.signal, function() return false end)
end

local root = actor.new { name = "root", exports = exports }

-- Runs fn(child, scope) beside a child of `root` that is ready; options as for spawn.
local function with(options, fn)
  local signal, result = task.signal(), nil
  root.scope:start(function()
    result = table.pack(pcall(scope.run, function(s)
      options.argv = options.argv or TESTEE
      options.name = options.name or "kid"
      local child = spawn.spawn(s, options)
      if options.ready ~= false then child:ready() end
      return fn(child, s)
    end))
    signal:notify()
  end)
  task.await(signal, function() return result end)
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

local function call(child, s, target, args, options)
  return child.link:open(s, "tck." .. target, codec.map(args or {}), options)
end

-- Waits until a process is gone, reaped or in the hands of the system's first process.
local function is_gone(pid)
  local stat = io.open("/proc/" .. pid .. "/stat")
  if not stat then return true end
  local state = stat:read("a"):match("%) (%u)")
  stat:close()
  return state == "Z" or state == "X"
end

local function until_gone(pid)
  local signal, timer = task.signal(), uv.new_timer()
  timer:start(5, 5, task.callback(function() signal:notify() end))
  task.await(signal, function() return is_gone(pid) end)
  timer:close()
end

for _, way in ipairs { "fd", "pipes", "stdio", "unix", "tcp" } do
  t.test("a child serves over " .. way .. ", finishes on END and exits 0", function()
    with({ link = way }, function(child, s)
      t.eq(call(child, s, "echo", { v = "é" }):result(), "é")
      child:finish()
      child:wait()
      t.eq(child.exit, { status = 0, signal = 0 })
      t.eq(child.terminal, "RETURN")
    end)
  end)
end

t.test("a grandchild holds one link, its own", function()
  with({}, function(child, s)
    local inner = call(child, s, "spawn", {
      argv = codec.array { "/bin/sh", "-c", "ls -l /proc/self/fd >&2; exit 5" },
    })
    local e = t.raises("died", inner.result, inner)
    t.eq(e.data.status, 5)
    local _, sockets = e.data.stderr:gsub("socket:", "")
    t.eq(sockets, 1, "links in the grandchild: " .. e.data.stderr)
    child:finish()
  end)
end)

t.test("a command that does not exist is spawn_failed", function()
  t.raises("spawn_failed", with, { argv = { "/does/not/exist" } }, function() end)
end)

t.test("a child that exits without a word is died with its status", function()
  local e = t.raises("died", with, { argv = { "/bin/sh", "-c", "echo oh >&2; exit 7" } },
    function() end)
  t.eq(e.data, codec.map { status = 7, stderr = "oh\n" })
end)

t.test("kill -9 is died with the signal, once for all that was open", function()
  local e = t.raises("died", with, {}, function(child, s)
    call(child, s, "gate", { key = "a" }):started()
    call(child, s, "gate", { key = "b" }):started()
    uv.kill(child.pid, "sigkill")
    child:wait()
  end)
  t.eq(e.data.signal, 9)
  t.eq(e.data.ladder, nil)
end)

t.test("a child that babbles is quoted, and its ladder begins at SIGTERM", function()
  local e = t.raises("died", with, {
    argv = { "/bin/sh", "-c", "echo HTTP/1.1 400 Bad Request >&3; exec sleep 1000" }, grace = 50,
    ready = false,
  }, function() end)
  t.ok(e.message:find("HTTP/1.1 400", 1, true), e.message)
  t.eq(e.data, codec.map { signal = 15, ladder = "SIGTERM" })
end)

t.test("a child that only echoes is found out", function()
  t.raises("died", with, { link = "stdio", argv = { "/bin/cat" }, grace = 50, ready = false },
    function(child)
      task.await(child.link.changed, function() return child.link.state == "closed" end)
      t.eq(child.link.violated, "echo")
    end)
end)

t.test("a child that is never ready is boot_timeout", function()
  t.raises("boot_timeout", with, { argv = { "/bin/sleep", "1000" }, boot = 50 }, function() end)
end)

t.test("a child that ignores everything but SIGKILL is killed, and that is an error", function()
  local e = t.raises("died", with, { grace = 50 }, function(child, s)
    call(child, s, "crash", { how = "hang", started = 1 }):started()
    s:cancel(failure.cause("requested", root.ref))
  end)
  t.eq(e.data, codec.map { signal = 9, ladder = "SIGKILL" })
end)

t.test("SIGTERM is a cancellation: the child cleans up, answers CANCELLED and exits 0", function()
  local e = t.raises("cancelled", with, {}, function(child, s)
    call(child, s, "cleanup", { name = "c" }):started()
    uv.kill(child.pid, "sigterm")
    child:wait()
    t.eq(child.exit, { status = 0, signal = 0 })
  end)
  t.eq(e.data.origin, "shutdown")
end)

t.test("cancelling the scope of a child stops it politely", function()
  with({}, function(child, s)
    call(child, s, "gate", { key = "a" }):started()
    s:cancel(failure.cause("requested", root.ref))
    task.await(child.changed, function() return child.gone end)
    t.eq(child.terminal, "CANCELLED")
    t.eq(child.exit, { status = 0, signal = 0 })
  end)
end)

t.test("a child that closes its link is ended by the ladder", function()
  t.raises("died", with, { grace = 50 }, function(child, s)
    call(child, s, "crash", { how = "close" })
    child:wait()
  end)
end)

for _, how in ipairs { "hang", "spin", "stubborn" } do
  t.test("when the middle is killed, nothing below it lives on: " .. how, function()
    local pid
    t.raises("died", with, { grace = 1000 }, function(child, s)
      local below = call(child, s, "spawn", { grace = 100 }, { send = true })
      pid = below:started().pid
      local _ = how
      call(child, s, "spawn", {
        grace = 100,
        call = codec.map {
          target = how == "stubborn" and "tck.stubborn" or "tck.crash",
          args = codec.map { how = how, key = "k" },
        },
      }):started()
      uv.kill(child.pid, "sigkill")
      child:wait()
    end)
    until_gone(pid)
  end)
end

t.test("a tree of three: the error comes up with its path, after the child was reaped", function()
  local e = t.raises("failed", with, {}, function(child, s)
    local below = call(child, s, "spawn", {
      call = codec.map { target = "tck.fail", args = codec.map { message = "deep" } },
    })
    local _, err = pcall(below.result, below)
    t.eq(call(child, s, "stat"):result().children, codec.array {})
    error(err, 0)
  end)
  t.eq(e.message, "deep")
  t.eq({ e.actor.name, e.via[1].name, e.via[2].name, #e.via }, { "sub", "sub", "kid", 2 })
end)

t.test("relay hands on STARTED, the result and errors, and cancellation reaches below", function()
  with({}, function(child, s)
    local relay = call(child, s, "relay", {
      target = "tck.relay", args = codec.map { target = "echo", args = codec.array { 5 } },
    })
    t.raises("no_target", relay.result, relay) -- "tck.relay" is not exported here
    t.eq(call(child, s, "relay", { target = "echo", args = codec.array { 5 } }):result(), 5)
    local held = call(child, s, "relay", { target = "never" })
    held:started()
    held:cancel(failure.cause("requested", root.ref))
    local _, cause = pcall(held.result, held)
    t.eq(cause.origin, "requested")
    t.eq(root.cancelled > 0, true)
    child:finish()
  end)
end)

t.test("nursery: all results in order, or the first error after all have ended", function()
  with({}, function(child, s)
    local echo = codec.map { target = "echo", args = codec.array { 1 } }
    t.eq(call(child, s, "nursery", { open = codec.array { echo, echo } }):result(),
      codec.array { 1, 1 })
    local never = codec.map { target = "never" }
    local nothing = codec.map { target = "nothing" }
    local bad = call(child, s, "nursery", { open = codec.array { never, nothing, never } })
    local e = t.raises("no_target", bad.result, bad)
    t.eq({ e.via[1].name, e.via[2].name }, { "root", "kid" })
    child:finish()
  end)
end)

t.test("clean-up: waits fail at once, a shield holds, the log tells", function()
  with({}, function(child, s)
    local ctx = call(child, s, "cleanup", { name = "c", waits = 3, key = "k" })
    ctx:started()
    ctx:cancel(failure.cause("requested", root.ref))
    t.barrier(child.link)
    call(child, s, "open_gate", { key = "k" }):result()
    pcall(ctx.result, ctx)
    local stat = call(child, s, "stat"):result()
    t.eq(stat.log, codec.array { "c:begin", "c:failed=3", "c:end" })
    t.eq({ stat.inbound, stat.outbound, stat.running }, { 0, 0, 0 })
    child:finish()
  end)
end)

t.test("bad arguments are refused before anything has happened", function()
  with({}, function(child, s)
    for target, args in pairs {
      gate = {}, open_gate = { key = 5 }, fail = { items = "x" }, sink = { window = 3 },
      crash = { how = "politely" }, stubborn = { key = "k", ["then"] = "x" },
    } do
      local ctx = call(child, s, target, args)
      t.raises("bad_args", ctx.result, ctx)
    end
    child:finish()
  end)
end)

t.test("a second copse.actor is denied; a bad first one ends the child with status 1", function()
  with({}, function(child, s)
    local args = codec.map { parent = root.ref }
    local again = child.link:open(s, "copse.actor", args, { send = true })
    t.raises("denied", again.result, again)
    child:finish()
  end)
  local e = t.raises("bad_args", with, { config = 5 }, function() end)
  t.ok(e.message:find "config", e.message)
end)

t.test("on END a registration is let go and held contexts return", function()
  with({}, function(child, s)
    local own = call(child, s, "register", { name = "svc" }, { send = true })
    own:started()
    local watch = child.link:open(s, "copse.watch", codec.map {},
      { send = true, window = { 4, 1000 } })
    watch:started()
    child:finish()
    t.eq(watch:result(), codec.null)
    t.eq(own:result(), codec.null)
    child:wait()
    t.eq(child.exit.status, 0)
  end)
end)

t.test("copse.info tells of an actor and its children", function()
  with({}, function(child, s)
    local below = call(child, s, "spawn", {}, { send = true })
    below:started()
    local info = child.link:open(s, "copse.info", codec.map {}):result()
    t.eq(#info, 2)
    t.eq(info[1].pid, child.pid)
    t.eq(info[1].state, "working")
    t.eq(info[2].ref.name, "sub")
    t.eq(info[2].state, "working")
    t.eq(info[2].parent.id, info[1].ref.id)
    below:result()
    child:finish()
  end)
end)

t.test("others dial a child that listens, with its token over TCP", function()
  local dir = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/peer-XXXXXX"))
  local path = dir .. "/s"
  with({ listen = { "unix:" .. path } }, function(child, s)
    t.eq(child.context.started_value.listen[1], "unix:" .. path)
    local link = root:dial(codec.ref(child.ref.id, "kid", { "unix:" .. path }))
    t.eq(link:open(s, "tck.echo", { 3 }):result(), 3)
    t.raises("wrong_actor", root.dial, root, codec.ref(("x"):rep(16), "kid", { "unix:" .. path }))
    t.raises("unreachable", root.dial, root, codec.ref(child.ref.id, "kid", { "unix:/nowhere/x" }))
    link:say_bye()
    child:finish()
  end)
  uv.fs_unlink(path)
  uv.fs_rmdir(dir)
end)

t.run()
