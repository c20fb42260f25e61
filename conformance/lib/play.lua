-- SPDX-License-Identifier: MIT
--
-- The first moves of many cases: contexts opened on the handlers of TESTEE.md and brought to the
-- point where a case begins, and the few values that cases have in common.
--
-- A move that fails blames the case's first requirement, unless it names another.

local frame = require "frame"
local uv = require "luv"
local value = require "value"
local Link = require "link"
local map, array = value.map, value.array

local M = {}

-- Someone who is nobody here.
M.someone = value.ref(("\x5c"):rep(16), "someone", {})
-- The payload of an OPEN that is answered with 7.
M.echo = value.encode(map { target = "tck.echo", args = map { v = 7 } })
-- More bytes of credit than any case uses.
M.wide = 1 << 40

-- A bin that takes exactly n bytes, its head included.
function M.filler(n) return value.raw("\xc6" .. string.pack(">s4", ("f"):rep(n - 5))) end

-- A legal payload of every kind of frame.
M.sample = {
  OPEN = M.echo, STARTED = "\xc0", ITEM = "\1", END = "", STOP = "", CREDIT = "\x92\1\1",
  CANCEL = value.encode(map { origin = "requested" }), RETURN = "\7",
  ERROR = value.encode(map { code = "failed", message = "" }),
  CANCELLED = value.encode(map { origin = "requested", ran = true }),
  HELLO = value.encode(map { copse = { 1, 1 }, actor = value.ref(("h"):rep(16), "h", {}) }),
  BYE = value.encode(map { code = "none" }), PING = "\1", PONG = "\1",
}

-- What stands for a context of which no frame has been sent yet.
function M.fresh(p) return { id = p:new_id() } end

-- A handler that waits for the gate "k", and returns 7 when it is open.
function M.gate(p, args, o)
  args = args or {}
  args.key, args.value = args.key or "k", args.value or 7
  local c = p:open("tck.gate", map(args), o)
  c:expect("STARTED")
  return c
end

-- A handler that waits for ever, and does as args say when it is cancelled; its name is "c".
function M.cleanup(p, args, o)
  args = args or {}
  args.name = args.name or "c"
  local c = p:open("tck.cleanup", map(args), o)
  c:expect("STARTED")
  return c
end

-- A handler that sends items, with credit for so many items and bytes.
function M.source(p, args, items, bytes)
  local credit = array { items or 100000, bytes or M.wide }
  local c = p:open("tck.source", map(args), { credit = credit })
  c:expect("STARTED")
  return c
end

-- A handler that receives items, when it has granted so many of them (1).
function M.sink(p, args, items)
  local c = p:open("tck.sink", map(args or {}), { send = true })
  c:expect("STARTED")
  c:await_credit(items or 1, "CREDIT-001")
  return c
end

-- A sink that consumes nothing until the gate "k" is open, with the grant that it gave.
function M.held(p, items, bytes)
  local c = p:open("tck.sink", map { hold = "k", window = array { items, bytes } }, { send = true })
  c:expect("STARTED")
  p:barrier()
  return c
end

-- A handler that sends back every item, when it has granted so many of them (1).
-- o: credit (enough for all), items, window.
function M.duplex(p, o)
  o = o or {}
  local c = p:open("tck.duplex", map { window = o.window },
    { send = true, credit = o.credit or array { 100000, M.wide } })
  c:expect("STARTED")
  c:await_credit(o.items or 1, "CREDIT-001")
  return c
end

-- Exactly n items come, numbered from `from`, and then nothing.
function M.exactly(p, c, n, from, req)
  for i = from, from + n - 1 do
    local v = c:expect("ITEM", req).value
    if value.is_bin(v) then v = string.unpack(">I8", v.bytes) end
    p.t:is(req, v, i, "item")
  end
  p:nothing(c.id, req)
end

-- A context that the testee opens on the suite, and the one above it. The suite is at both ends.
function M.inner(p, o)
  local upper = p:open("tck.relay", map { target = "x.in" }, o)
  return p:accept("x.in"), upper
end

-- The same, from above: the context of tck.relay with these args, and the one below it.
function M.relay(p, args, o)
  args = args or {}
  args.target = args.target or "x.below"
  local upper = p:open("tck.relay", map(args), o)
  return upper, p:accept(args.target, "KIND-018")
end

-- A context below to which CANCEL has come, and the one above it.
function M.cancelled_inner(p)
  local c, upper = M.inner(p)
  upper:cancel()
  c:expect("CANCEL")
  return c, upper
end

-- The context of tck.nursery, and the n contexts that it opens: x.1, x.2 and so on.
function M.nursery(p, n, o)
  local calls = {}
  for i = 1, n do calls[i] = map { target = "x." .. i, args = array { i } } end
  local upper = p:open("tck.nursery", map { open = array(calls) }, o)
  upper:expect("STARTED", "KIND-018")
  local inner = {}
  for i = 1, n do inner[i] = p:accept("x." .. i, "KIND-018") end
  return upper, inner
end

-- The testee may be its own executioner where user code heeds nothing.
function M.own_end(p)
  for _, n in ipairs { 6, 9, 14, 15 } do p.process.expected[n] = true end
end

-- The frame that crossed is not held against its sender, and has no effect.
function M.no_effect(c)
  c.link:barrier("CROSS-002")
  c:nothing("CROSS-001")
end

-- A case of chapter 19: a row of its table, the testee as `who`, its own frame `late` or that of
-- the `other` `early`; the link stays. run(t, p) plays it.
function M.crossing(case, row, who, other, order, o, run)
  case {
    id = "cross." .. row .. "." .. who .. "-" .. order,
    req = o.req or { "CROSS-001", "CROSS-002" }, profile = o.profile,
    title = "Crossing " .. row .. ", the testee as " .. who .. ", "
      .. (order == "late" and "its own frame first" or "the " .. other .. "'s frame first"),
    why = o.why or "Both orders are legal; the table says what each end does.",
    run = function(t)
      local p = t:boot()
      run(t, p)
      p:barrier("CROSS-002")
      t:check("CROSS-002", not p:first_bye(), "the link open", "BYE")
    end,
  }
end

-- Reads no more of a link, and has the testee write to it what its transport does not take. All of
-- it has been read when this returns, and all that was sent before.
function M.stuff(d, parent)
  d:hold()
  local v = value.bin(("f"):rep(d:limit("frame", 60000) - 1000))
  for _ = 1, d:limit("contexts", 60) // 2 do d:open("tck.echo", map { v = v }) end
  M.has_read(d, parent)
end

-- Waits until the testee has read what was sent on a link that the suite does not read.
function M.has_read(d, parent)
  M.reads = (M.reads or 0) + 1
  local key = "read" .. M.reads
  local c = parent:open("tck.gate", map { key = key })
  c:expect("STARTED")
  d:open("tck.open_gate", map { key = key })
  c:returns()
end

-- Has the testee dial the suite by tck.dial and waits for its HELLO; the suite has said none.
-- Returns the context of tck.dial, the link, and the id that the testee looks for on it.
-- o: token, args (of x.there).
function M.dialled(t, p, o)
  local stream
  local path = t:path("s")
  t:listen(path, function(s)
    stream = s
    t:poke()
  end)
  local id = uv.random(16)
  local c = p:open("tck.dial", map { ref = value.ref(id, "there", { "unix:" .. path }),
    target = "x.there", args = o and o.args, token = o and o.token and value.bin(o.token) },
    { split = 60000 })
  t:await(function() return stream or #p.inbox > 0 end, "a connection of the testee", "HELLO-001")
  if not stream then
    local f = c:next()
    if f.name == "ERROR" and f.value.code == "no_target" then
      t:unsupported("tck.dial is not there")
    end
    t:fail("HELLO-001", "a connection of the testee", frame.show(f))
  end
  local link = Link.new(t, { name = "there", connector = false, stream = stream })
  link:expect_hello("HELLO-001")
  return c, link, id
end

return M
