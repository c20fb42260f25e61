-- SPDX-License-Identifier: MIT
--
-- What breaks a rule ends the link with the code of that rule, naming the context; what only looks
-- odd does not. The vectors of SPEC.md have the simple cases; here are those that need a history,
-- and a storm of noise.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local actor = require "peer.actor"
local codec = require "peer.codec"
local frame = require "peer.frame"
local link = require "peer.link"
local schema = require "peer.schema"
local task = require "peer.task"

local exports = {}
function exports.never(ctx)
  ctx:started()
  task.wait(ctx.signal, function() return false end)
end
function exports.sink(ctx)
  ctx:open_window(2, 10)
  ctx:started()
  task.wait(ctx.signal, function() return false end)
end
function exports.stops(ctx)
  ctx:open_window(2, 1000)
  ctx:started()
  ctx:flush() -- a grant that has not been written is withdrawn by STOP
  ctx:stop()
  task.wait(ctx.signal, function() return false end)
end

local function limits(changes)
  local l = {}
  for k, v in pairs(schema.LIMITS) do l[k] = changes[k] or v end
  return l
end

local function callee(changes, options, hello)
  local owner = actor.new { name = "callee", exports = exports, limits = limits(changes or {}) }
  local raw = t.raw(owner, "acceptor", options)
  if hello ~= false then raw:hello(hello) end
  return raw
end

local function open(raw, id, target, fields)
  local map = codec.map { target = target, send = true, credit = codec.array { 9, 9999 } }
  for k, v in pairs(fields or {}) do map[k] = v end
  raw:send("OPEN", id, map)
end

-- A test in which `play` breaks a rule: BYE must have the code and the context.
local function breaks(code, context, name, play, ...)
  local settings = table.pack(...)
  t.test(("%s is a violation %s"):format(name, code), function()
    local raw = callee(table.unpack(settings, 1, 3))
    play(raw)
    local bye = raw:expect("BYE").value
    t.eq(bye.code, code, tostring(bye.message))
    t.eq(bye.context or 0, context, "the context")
    task.await(raw.changed, function() return raw.ended end)
  end)
end

local function part(raw, kind, id, bytes, more)
  raw:write(frame.encode(kind, id, bytes, more ~= false))
end

-- An error whose causes nest `depth` deep.
local function nested(depth)
  local e = codec.map { code = "failed", message = "" }
  for _ = 1, depth do
    e = codec.map { code = "failed", message = "", causes = codec.array { e } }
  end
  return e
end

breaks("limit", 33, "an OPEN beyond contexts", function(raw)
  for i = 1, 33, 2 do open(raw, i, "never") end
end, { contexts = 16 })

breaks("limit", 1, "a message beyond message", function(raw)
  for _ = 1, 5 do part(raw, "OPEN", 1, ("x"):rep(16384)) end
end, { message = 65536 })

breaks("frame", 1, "a fragment beyond frame", function(raw)
  part(raw, "OPEN", 1, ("x"):rep(16385))
end, { frame = 16384 })

breaks("limit", 3, "a message beyond partials", function(raw)
  open(raw, 1, "sink")
  raw:expect("STARTED", 1)
  part(raw, "ITEM", 1, "\xa8a")
  part(raw, "OPEN", 3, "\x81")
end, { partials = 1 })

breaks("credit", 1, "an item beyond the items granted", function(raw)
  open(raw, 1, "sink")
  raw:expect("STARTED", 1)
  for i = 1, 3 do raw:send("ITEM", 1, i) end
end)

breaks("credit", 1, "an item beyond the bytes granted", function(raw)
  open(raw, 1, "sink")
  raw:expect("STARTED", 1)
  raw:send("ITEM", 1, "twelve bytes")
  raw:send("ITEM", 1, 1)
end)

breaks("credit", 1, "an item beyond the grant on a stopped half", function(raw)
  open(raw, 1, "stops")
  raw:expect("STOP", 1)
  for i = 1, 3 do raw:send("ITEM", 1, i) end
end)

breaks("credit", 1, "a total that shrinks", function(raw)
  open(raw, 1, "never")
  raw:send("CREDIT", 1, codec.array { 10, 9999 })
  raw:send("CREDIT", 1, codec.array { 10, 9998 })
end)

breaks("frame", 1, "ITEM between the fragments of OPEN", function(raw)
  part(raw, "OPEN", 1, "\x81")
  raw:send("ITEM", 1, 1)
end)

breaks("limit", 0, "a second PING before the PONG was handed over", function(raw)
  raw.stream:read_stop() -- until the PONGs fill the transport
  local big = codec.bin(("x"):rep(1000))
  for _ = 1, 2000 do raw:send("PING", 0, big) end
  task.await(raw.link.changed, function() return raw.link.state == "closed" end)
  raw.stream:read_start(task.callback(function(_, bytes) raw:got(bytes) end))
end)

breaks("token", 0, "a wrong token", function(raw)
  raw:send("HELLO", 0, codec.map {
    copse = codec.array { 1, 1 }, actor = codec.ref(("r"):rep(16), "raw"),
    token = codec.bin "wrong",
  })
end, {}, { token = "right", waits = true }, false)

breaks("timeout", 0, "silence in place of HELLO", function(raw)
  raw.link:bound(1, function() raw.link:violate("timeout", "no HELLO came in time") end)
end, {}, {}, false)

breaks("frame", 1, "ITEM on a link without stream", function(raw)
  open(raw, 1, "never")
  raw:send("ITEM", 1, 1)
end, {}, {}, { features = codec.array {} })

t.test("causes nested eight deep are legal, nine a violation schema", function()
  for depth = 8, 9 do
    local raw = t.raw(actor.new { name = "opener" }, "connector")
    raw:hello()
    local s = raw.link.actor.scope
    s:start(function() pcall(function() raw.link:open(s, "x", {}):result() end) end)
    raw:expect("OPEN", 1)
    raw:send("ERROR", 1, nested(depth))
    if depth == 8 then raw:barrier() else t.eq(raw:expect("BYE").value.code, "schema") end
    raw:close()
  end
end)

t.test("a fragmented OPEN may be crossed by other contexts and cancelled in the middle", function()
  local raw = callee()
  part(raw, "OPEN", 1, "\x81")
  raw:barrier()
  raw:send("STOP", 1)
  raw:send("CREDIT", 1, codec.array { 1, 1 })
  raw:send("CANCEL", 1, codec.map { origin = "requested" })
  t.eq(raw:expect("CANCELLED", 1).value.ran, false)
  open(raw, 3, "never")
  raw:expect("STARTED", 3)
  t.eq(raw.link.partials, 0)
end)

t.test("abandoned and discarded messages are counted until they end", function()
  local raw = callee { partials = 1 }
  open(raw, 1, "stops")
  raw:expect("STOP", 1)
  part(raw, "ITEM", 1, "\xa8a")
  raw:barrier()
  t.eq(raw.link.partials, 1)
  raw:send("END", 1)
  raw:barrier()
  t.eq(raw.link.partials, 0)
end)

t.test("PONG waits for the refusals before it", function()
  local raw = callee()
  for i = 1, 9, 2 do open(raw, i, "nothing") end
  raw:send("PING", 0, 1)
  raw:expect("PONG")
  t.eq(raw.skipped, "ERROR")
  t.eq(next(raw.link.contexts), nil)
end)

t.test("a link that is only pushed holds no more than was granted", function()
  local raw = callee { contexts = 16 }
  raw.stream:read_stop()
  for i = 1, 31, 2 do open(raw, i, "never") end
  for _ = 1, 2000 do
    for i = 1, 31, 2 do raw:send("STOP", i) end
  end
  raw.stream:read_start(task.callback(function(_, bytes) raw:got(bytes) end))
  raw:barrier()
  t.eq(raw.link.inbound, 16)
end)

t.test("noise of every kind ends links and nothing else", function()
  math.randomseed(7)
  local good = frame.encode("OPEN", 1, codec.encode(codec.map { target = "never", send = true }))
    .. frame.encode("ITEM", 1, codec.encode(5)) .. frame.encode("PING", 0, "\1")
    .. frame.encode("CANCEL", 1, codec.encode(codec.map { origin = "requested" }))
  for _ = 1, 300 do
    local raw = callee()
    local bytes = { good:byte(1, -1) }
    for _ = 1, math.random(4) do bytes[math.random(#bytes)] = math.random(0, 255) end
    raw:write(string.char(table.unpack(bytes)))
    raw.stream:shutdown()
    task.await(raw.changed, function() return raw.ended end)
    t.ok(raw.link.violated ~= "internal", "a fault of the peer itself")
    raw:close()
  end
end)

t.test("deep and large payloads are refused without harm", function()
  for _, payload in ipairs {
    ("\x91"):rep(60000), ("\x81\xa6causes\x91"):rep(7000), "\xdf\xff\xff\xff\xff",
    "\xc9\xff\xff\xff\xff\1", ("\x81\xa1a"):rep(20000),
  } do
    local raw = t.raw(actor.new { name = "opener" }, "connector")
    raw:hello()
    local s = raw.link.actor.scope
    s:start(function() pcall(function() raw.link:open(s, "x", {}):result() end) end)
    raw:expect("OPEN", 1)
    part(raw, "ERROR", 1, payload, false)
    t.eq(raw:expect("BYE").value.code, "value")
    raw:close()
  end
end)

t.test("a heartbeat is kept without a word from user code", function()
  local owner = actor.new { name = "owner" }
  local raw = t.raw(owner, "acceptor", { heartbeat = 1000 })
  local hello = raw:hello()
  t.eq(hello.value.heartbeat, 1000)
  raw:expect("PONG")
end)

t.test("a link is closed only after its BYE was written and its input drained", function()
  t.eq(link.HELLO_BOUND, 10000)
  local raw = callee()
  raw:write(frame.encode("PING", 5, "\1"))
  for _ = 1, 2000 do raw:write(frame.encode("PING", 0, "\1")) end
  t.eq(raw:expect("BYE").value.code, "frame")
end)

t.run()
