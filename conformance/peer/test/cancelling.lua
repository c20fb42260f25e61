-- SPDX-License-Identifier: MIT
--
-- Cancellation at every moment of a context's life, as the opener and as the callee sees it on the
-- wire: a raw end plays the other side.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local actor = require "peer.actor"
local codec = require "peer.codec"
local failure = require "peer.failure"
local scope = require "peer.scope"
local task = require "peer.task"

local BY = codec.ref(("b"):rep(16), "first")
local ran

local exports = {}
function exports.never(ctx)
  ran = true
  ctx:started()
  task.wait(ctx.signal, function() return false end)
end
function exports.flood(ctx)
  ctx:started()
  while ctx:send(("x"):rep(1000)) do end
end
function exports.reader(ctx)
  ctx:open_window(4, 1000)
  ctx:started()
  for _ in ctx.receive, ctx do end
  return "read"
end
function exports.defiant(ctx)
  ctx:started()
  task.await(ctx.signal, function() return ctx.defied end)
  return "anyway"
end
function exports.swallow(ctx)
  ctx:started()
  local failed = 0
  for _ = 1, 3 do
    if not pcall(task.wait, ctx.signal, function() return false end) then failed = failed + 1 end
  end
  return failed
end
function exports.careful(ctx)
  ctx:started()
  local _, cause = pcall(task.wait, ctx.signal, function() return false end)
  local never = task.signal()
  scope.shielded(60000, function() task.wait(never, function() return false end) end)
  error(cause, 0)
end
function exports.broken(ctx)
  ctx:started()
  pcall(task.wait, ctx.signal, function() return false end)
  failure.raise("acme.broken", "the clean-up failed")
end
function exports.below(ctx)
  ctx:started()
  return ctx.link:open(task.scope(), "x", {}):result()
end

local function callee(options)
  local owner = actor.new { name = "callee", exports = exports }
  local raw = t.raw(owner, "acceptor")
  raw:hello(options)
  return raw, owner
end

local function open(raw, id, target, fields)
  local map = codec.map { target = target }
  for k, v in pairs(fields or {}) do map[k] = v end
  raw:send("OPEN", id, map)
end

local function cancel(raw, id, fields)
  local map = codec.map { origin = "requested" }
  for k, v in pairs(fields or {}) do map[k] = v end
  raw:send("CANCEL", id, map)
end

-- --- the callee ----------------------------------------------------------------------------------

t.test("CANCEL behind OPEN in one write: nothing runs, and the answer says so", function()
  local raw = callee()
  ran = false
  local frame = require "peer.frame"
  raw:write(frame.encode("OPEN", 1, codec.encode(codec.map { target = "never" }))
    .. frame.encode("CANCEL", 1, codec.encode(codec.map { origin = "error", by = BY })))
  t.eq(raw:expect("CANCELLED", 1).value, codec.map { origin = "error", by = BY, ran = false })
  t.eq(ran, false)
  raw:barrier()
end)

for _, moment in ipairs { "never", "flood", "reader" } do
  t.test("a running context answers CANCELLED with the cause it was given: " .. moment, function()
    local raw = callee()
    open(raw, 1, moment, { send = true, credit = codec.array { 1000, 5000 } })
    raw:expect("STARTED", 1)
    cancel(raw, 1, { origin = "error", by = BY, message = "why" })
    t.eq(raw:expect("CANCELLED", 1).value,
      codec.map { origin = "error", by = BY, message = "why", ran = true })
    raw:barrier()
  end)
end

t.test("a result that the handler had come to stands", function()
  local raw = callee()
  open(raw, 1, "defiant")
  raw:expect("STARTED", 1)
  cancel(raw, 1)
  raw:barrier()
  raw.link.contexts[1].defied = true
  raw.link.contexts[1].signal:notify()
  t.eq(raw:expect("RETURN", 1).value, "anyway")
end)

t.test("waits fail again and again once a context is cancelled", function()
  local raw = callee()
  open(raw, 1, "swallow")
  raw:expect("STARTED", 1)
  cancel(raw, 1)
  t.eq(raw:expect("RETURN", 1).value, 3)
end)

t.test("a shield ends when the grace is over, and a repeated CANCEL shortens the grace", function()
  local raw = callee()
  open(raw, 1, "careful")
  raw:expect("STARTED", 1)
  cancel(raw, 1, { grace = 100000 })
  raw:barrier()
  cancel(raw, 1, { grace = 1, origin = "shutdown" })
  t.eq(raw:expect("CANCELLED", 1).value.origin, "requested")
end)

t.test("an error after a cancellation says that it is one", function()
  local raw = callee()
  open(raw, 1, "broken")
  raw:expect("STARTED", 1)
  cancel(raw, 1)
  local e = raw:expect("ERROR", 1).value
  t.eq(e.code, "acme.broken")
  t.eq(e.cancelled, true)
end)

t.test("what comes after the terminal is ignored, whatever it is", function()
  local raw = callee()
  open(raw, 1, "never", { send = true, credit = codec.array { 9, 9 } })
  raw:expect("STARTED", 1)
  cancel(raw, 1)
  raw:expect("CANCELLED", 1)
  cancel(raw, 1)
  raw:send("ITEM", 1, 1)
  raw:send("END", 1)
  raw:send("STOP", 1)
  raw:send("CREDIT", 1, codec.array { 1, 1 })
  raw:barrier()
end)

t.test("cancellation passes down with its cause, three quarters of the grace, and waits", function()
  local raw = callee()
  open(raw, 1, "below")
  raw:expect("OPEN", 2)
  cancel(raw, 1, { origin = "deadline", by = BY, grace = 1000 })
  local down = raw:expect("CANCEL", 2).value
  t.eq(down.origin, "deadline")
  t.eq(down.by, BY)
  t.ok(down.grace <= 750, "a grace of " .. down.grace)
  raw:barrier()
  t.ok(raw.link.contexts[1], "the terminal did not wait")
  raw:send("CANCELLED", 2, codec.map { origin = "deadline", by = BY, ran = true })
  t.eq(raw:expect("CANCELLED", 1).value.by, BY)
end)

t.test("an error below a cancelled context is kept", function()
  local raw = callee()
  open(raw, 1, "below")
  raw:expect("OPEN", 2)
  cancel(raw, 1)
  raw:expect("CANCEL", 2)
  raw:send("ERROR", 2, codec.map { code = "failed", message = "late" })
  local e = raw:expect("ERROR", 1).value
  t.eq(e.message, "late")
  t.eq(e.cancelled, true)
  t.eq(e.via[1].name, "raw")
end)

t.test("a CANCELLED below that nobody asked for is the error cancelled above", function()
  local raw = callee()
  open(raw, 1, "below")
  raw:expect("OPEN", 2)
  raw:send("CANCELLED", 2, codec.map { origin = "shutdown", ran = true })
  t.eq(raw:expect("ERROR", 1).value.code, "cancelled")
end)

t.test("ten thousand contexts opened and cancelled leave nothing behind", function()
  local raw, owner = callee()
  local frame = require "peer.frame"
  local o = codec.encode(codec.map { target = "never", send = true })
  local c = codec.encode(codec.map { origin = "requested" })
  local id = 1
  for _ = 1, 40 do
    local first, list = id, {}
    for _ = 1, 250 do
      list[#list + 1] = frame.encode("OPEN", id, o) .. frame.encode("CANCEL", id, c)
      id = id + 2
    end
    raw:write(table.concat(list))
    for i = first, id - 2, 2 do raw:expect("CANCELLED", i) end
  end
  t.eq({ raw.link.inbound, next(raw.link.contexts), owner.running }, { 0, nil, 0 })
end)

-- --- the opener ----------------------------------------------------------------------------------

-- Runs fn(raw, scope, context) with a context opened towards the raw end.
local function opener(options, fn)
  local owner = actor.new { name = "opener" }
  local raw = t.raw(owner, "connector")
  raw:hello()
  return pcall(scope.run, function(s)
    local ctx = raw.link:open(s, "x", {}, options)
    return fn(raw, s, ctx)
  end)
end

t.test("an OPEN that was not written is withdrawn, and its id is a gap", function()
  opener({}, function(raw, s)
    local ctx = raw.link:open(s, "y", {})
    ctx:cancel(failure.cause("requested"))
    t.eq(ctx.life, "ended")
    raw.link:open(s, "z", {})
    t.eq(raw:expect("OPEN").context, 1)
    t.eq(raw:expect("OPEN").context, 5)
    raw:close()
  end)
end)

t.test("an OPEN that is half written is completed by CANCEL", function()
  local owner = actor.new { name = "opener" }
  local raw = t.raw(owner, "connector")
  raw:hello()
  pcall(scope.run, function(s)
    raw.stream:read_stop()
    local ctx = raw.link:open(s, "x", { codec.bin(("x"):rep(1000000)) })
    task.await(ctx.signal, function() return ctx.life == "opening" end)
    ctx:cancel(failure.cause("requested"))
    raw.stream:read_start(task.callback(function(_, bytes) raw:got(bytes) end))
    raw:expect("CANCEL", 1)
    raw:send("CANCELLED", 1, codec.map { origin = "requested", ran = false })
    raw:barrier()
    t.eq(ctx.life, "ended")
    raw:close()
  end)
end)

for terminal, value in pairs {
  RETURN = 5, CANCELLED = codec.map { origin = "requested", ran = true },
} do
  t.test("a scope that is cancelled waits for the terminal and absorbs it: " .. terminal, function()
    local ok, err = opener({ send = true, window = { 4, 100 } }, function(raw, s, ctx)
      raw:expect("OPEN", 1)
      s:cancel(failure.cause("requested"))
      raw:expect("CANCEL", 1)
      raw:send("STARTED", 1, codec.null)
      raw:send("ITEM", 1, 1)
      raw:send("CREDIT", 1, codec.array { 4, 100 })
      raw:send("STOP", 1)
      raw:send("END", 1)
      raw:barrier()
      t.ok(ctx.life ~= "ended")
      raw:send(terminal, 1, value)
      raw:barrier()
      raw:close()
    end)
    t.ok(ok, tostring(err))
  end)
end

t.test("an ERROR after CANCEL is an error of the scope", function()
  local ok, err = opener({}, function(raw, s)
    raw:expect("OPEN", 1)
    s:cancel(failure.cause("requested"))
    raw:expect("CANCEL", 1)
    raw:send("ERROR", 1, codec.map { code = "failed", message = "late", cancelled = true })
    raw:barrier()
    raw:close()
  end)
  t.eq(ok, false)
  t.eq(err.message, "late")
end)

t.test("an opener that has cancelled says nothing more but CANCEL", function()
  opener({ send = true, window = { 4, 100 } }, function(raw, s, ctx)
    raw:expect("OPEN", 1)
    raw:send("STARTED", 1, codec.null)
    raw:send("CREDIT", 1, codec.array { 100, 1000 })
    raw:barrier()
    ctx:send(1)
    s:cancel(failure.cause("requested"))
    ctx:finish()
    ctx:stop()
    raw:expect("CANCEL", 1)
    raw:barrier()
    t.eq(raw.skipped == "ITEM" or raw.skipped == nil, true)
    raw:send("CANCELLED", 1, codec.map { origin = "requested", ran = true })
    raw:barrier()
    t.eq(#raw.frames, 0)
    raw:close()
  end)
end)

t.run()
