-- SPDX-License-Identifier: MIT
-- Streams: items both ways, END and STOP, half-closed contexts, items in fragments, and what ends a
-- wait on a half. Credit has cases of its own.
local case = ...
local frame = require "frame"
local pattern = require "pattern"
local value = require "value"
local map, array = value.map, value.array

local plenty = array { 100000, 1 << 40 }
local illegal = { illegal = true }

local function both(o)
  o.profile = "stream"
  pattern.both(case, o)
end

local function duplex(p, o)
  o = o or {}
  local c = p:open("tck.duplex", map { window = o.window }, { send = true, credit = o.credit
    or plenty })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  return c
end

-- Opens tck.sink and waits for its first grant.
local function sink(p, args, o)
  o = o or {}
  local c = p:open("tck.sink", map(args or {}), { send = true, credit = o.credit })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  return c
end

local function source(p, args, o)
  local c = p:open("tck.source", map(args), o or { credit = plenty })
  c:expect("STARTED")
  return c
end

-- Leaves a case out whose items the testee does not want to receive.
local function takes(t, p, size, partials)
  local l = p.peer.limits or {}
  if size > (l.message or math.max(1 << 20, l.frame or 0)) or (partials or 1) > (l.partials
    or 8) then
    t:unsupported("beyond the limits of the testee")
  end
end

local function send_all(c, list)
  for i, v in ipairs(list) do
    c:await_credit(i, "CREDIT-001")
    c:item(v)
  end
end

-- Items from the callee ---------------------------------------------------------------------------

for _, n in ipairs { 0, 1, 2, 17, 1000 } do
  both {
    id = "stream.out." .. n, req = { "STREAM-010", "KIND-017", "STREAM-001" },
    title = n .. " items of the callee: STARTED, the items in order, END, RETURN",
    why = "The plain stream, from its first frame to its last.",
    run = function(t, p)
      local c = source(p, { count = n })
      for i = 0, n - 1 do c:gives(i, "STREAM-010") end
      c:expect("END", "STREAM-001")
      t:is("STREAM-010", c:returns(), n, "items sent:")
      p:nothing(c.id, "KIND-019")
    end,
  }
end

for _, size in ipairs { 8, 1000, 16384, 70000, 300000 } do
  both {
    id = "stream.out.size-" .. size, req = { "STREAM-010", "FRAME-014" },
    title = "Items of " .. size .. " bytes of the callee arrive whole and in order",
    why = "Long items come in fragments, and what is put together again is the item that was sent.",
    run = function(t, p)
      local c = source(p, { count = 5, size = size })
      for i = 0, 4 do
        local v = c:expect("ITEM", "STREAM-010").value
        t:check("STREAM-010", value.is_bin(v) and #v.bytes == size, "a bin of " .. size .. " bytes",
          value.show(v))
        t:is("STREAM-010", string.unpack(">I8", v.bytes), i, "number")
      end
      c:expect({ "END", "RETURN" }, "STREAM-001")
    end,
  }
end

both {
  id = "stream.out.started-first", req = "KIND-017",
  title = "No item and no END comes before STARTED, which may bear a value",
  why = "STARTED tells the opener that there is somebody at the other end.",
  run = function(t, p)
    for i = 1, 10 do
      local c = p:open("tck.source", map { count = i, started = "go" }, { credit = plenty })
      t:is("KIND-017", c:expect("STARTED", "KIND-017").value, "go", "STARTED")
      for k = 0, i - 1 do c:gives(k) end
      c:expect("END", "KIND-017")
      c:returns(i)
    end
  end,
}

both {
  id = "stream.out.then-error", req = { "KIND-018", "STREAM-010" },
  title = "Items, and then an ERROR without END",
  why = "A stream may fail half-way; what arrived before stays valid.",
  run = function(t, p)
    local c = p:open("tck.fail", map { code = "acme.broken", items = 4 }, { credit = plenty })
    c:expect("STARTED")
    for i = 0, 3 do c:gives(i, "STREAM-010") end
    local f = c:expect({ "ERROR", "END" }, "KIND-018")
    if f.name == "END" then f = c:expect("ERROR", "KIND-018") end
    t:is("KIND-018", f.value.code, "acme.broken", "code")
    p:nothing(c.id, "KIND-019")
  end,
}

-- Items to the callee -----------------------------------------------------------------------------

for _, n in ipairs { 0, 1, 2, 17, 1000 } do
  both {
    id = "stream.in." .. n, req = { "STREAM-002", "WAIT-003" },
    title = n .. " items to the callee, then END: all are delivered before it ends",
    why = "A receive ends on END after the items that arrived before it were delivered.",
    run = function(t, p)
      local c = sink(p)
      local list, sum = {}, 0
      for i = 1, n do list[i], sum = i, sum + i end
      send_all(c, list)
      c:finish()
      local v = c:returns(nil, "WAIT-003")
      t:is("WAIT-003", v.count, n, "items consumed:")
      t:is("STREAM-002", v.sum, sum, "their sum:")
      t:is("WAIT-003", v.ended, true, "END met:")
    end,
  }
end

both {
  id = "stream.in.held", req = { "WAIT-003", "STREAM-009" },
  title = "Items and END that came while nobody consumed are all delivered",
  why = "What was granted is kept without the help of user code.",
  run = function(t, p)
    local c = sink(p, { hold = "k", window = array { 8, 100000 } })
    c:await_credit(8, "CREDIT-001")
    for i = 1, 8 do c:item(i) end
    c:finish()
    p:nothing(c.id, "WAIT-003")
    t:open_gate(p, "k")
    local v = c:returns(nil, "WAIT-003")
    t:is("WAIT-003", v.count, 8, "items consumed:")
    t:is("WAIT-003", v.sum, 36, "their sum:")
  end,
}

for _, size in ipairs { 1000, 16384, 70000, 300000 } do
  both {
    id = "stream.in.size-" .. size, req = { "STREAM-002", "CTX-003" },
    title = "Items of " .. size .. " bytes to the callee, in fragments of every size",
    why = "The receiver puts together what the sender took apart, however that was.",
    run = function(t, p)
      takes(t, p, size + 100)
      local c = sink(p, { window = array { 64, 1 << 22 } })
      local pieces = { math.min((p.peer.limits or {}).frame or 65536, 65536), 16384, 5000, 777 }
      for i, piece in ipairs(pieces) do
        c:await_credit(i, "CREDIT-001")
        c:item(value.bin(("b"):rep(size)), { split = piece })
      end
      c:finish()
      local v = c:returns()
      t:is("STREAM-002", v.count, #pieces, "items consumed:")
      t:is("STREAM-002", v.bytes, size * #pieces, "their bytes:")
    end,
  }
end

both {
  id = "stream.in.byte-fragments", req = { "CTX-003", "CREDIT-004" },
  title = "An item in fragments of one byte is one item",
  why = "An item is counted at its first fragment, its bytes fragment by fragment.",
  run = function(t, p)
    local c = sink(p, { hold = "k", window = array { 2, 10000 } })
    c:await_credit(2, "CREDIT-001")
    c:item(value.bin(("b"):rep(300)), { split = 1 })
    c:item(value.bin(("c"):rep(300)), { split = 1 })
    c:finish()
    p:barrier()
    t:open_gate(p, "k")
    local v = c:returns()
    t:is("CREDIT-004", v.count, 2, "items consumed:")
    t:is("CREDIT-004", v.bytes, 600, "their bytes:")
  end,
}

-- Both ways ---------------------------------------------------------------------------------------

both {
  id = "stream.both.echo", req = { "STREAM-010", "STREAM-001", "STREAM-002" },
  title = "A hundred items there and back, one after another",
  why = "Each is sent back before the next is consumed.",
  run = function(_, p)
    local c = duplex(p)
    for i = 1, 100 do
      c:await_credit(i, "CREDIT-001")
      c:item(i)
      c:gives(i, "STREAM-010")
    end
    c:finish()
    c:expect("END", "STREAM-001")
    c:returns(100)
  end,
}

both {
  id = "stream.both.values", req = { "STREAM-010", "VALUE-006" },
  title = "Items of every type come back as what they were, nil among them",
  why = "An item that is nil, false or empty is an item, and not the end.",
  run = function(_, p)
    local c = duplex(p)
    local list = { value.null, false, true, 0, -1, math.maxinteger, math.mininteger, 1.5, "",
      "text", "\0",
      value.bin(""), value.bin("\xff"), array {}, map {}, array { value.null },
        map { a = array { map {} } },
      value.ref(("\x5e"):rep(16), "someone", {}), value.ext(40, "xyz"), value.ext(-1, "\0\0\0\1") }
    for i, v in ipairs(list) do
      c:await_credit(i, "CREDIT-001")
      c:item(v)
      c:gives(v, "STREAM-010")
    end
    c:finish()
    c:expect("END")
    c:returns(#list)
  end,
}

both {
  id = "stream.both.pipelined", req = { "STREAM-010", "CTX-009" },
  title = "A window full of items in one write comes back in order",
  why = "The sender need not wait for anything but credit.",
  run = function(_, p)
    local c = duplex(p)
    c:await_credit(16, "CREDIT-001")
    p:cork(function() for i = 1, 16 do c:item(i) end end)
    for i = 1, 16 do c:gives(i, "STREAM-010") end
    c:finish()
    c:expect("END")
    c:returns(16)
  end,
}

both {
  id = "stream.both.large", req = { "STREAM-010", "FRAME-018" },
  title = "Long items there and back on four streams, their fragments in turns",
  why = "Fragments of different contexts may be interleaved freely.",
  run = function(t, p)
    takes(t, p, 50000, 4)
    local list = {}
    for i = 1, 4 do list[i] = duplex(p, { window = array { 4, 1 << 20 } }) end
    local payloads = {}
    for i = 1, 4 do payloads[i] = value.encode(value.bin(string.char(64 + i):rep(40000 + i))) end
    for pos = 1, 40008, 10000 do
      for i = 1, 4 do
        local last = pos + 10000 > #payloads[i]
        list[i]:send("ITEM", nil, { payload = payloads[i]:sub(pos, last and -1 or pos + 9999),
          more = not last })
      end
    end
    for i = 4, 1, -1 do
      local v = list[i]:expect("ITEM").value
      t:check("STREAM-010", value.is_bin(v) and v.bytes == string.char(64 + i):rep(40000 + i),
        "the item that was sent on stream " .. i, value.show(v):sub(1, 60))
      list[i]:finish()
      list[i]:expect("END")
      list[i]:returns(1)
    end
  end,
}

-- Half-closed -------------------------------------------------------------------------------------

both {
  id = "half.opener-ended", req = { "STREAM-001", "STREAM-002" },
  title = "After the opener's END the callee goes on sending",
  why = "Each half ends by itself.",
  run = function(t, p)
    local c = p:open("tck.source", map { count = 6 }, { send = true, credit = array { 2, 100000 } })
    c:expect("STARTED")
    c:gives(0)
    c:gives(1)
    c:finish()
    p:nothing(c.id, "STREAM-002")
    c:credit(6, 100000)
    for i = 2, 5 do c:gives(i, "STREAM-001") end
    c:expect("END")
    t:is("STREAM-001", c:returns(), 6, "items sent:")
  end,
}

both {
  id = "half.callee-ended", req = { "STREAM-001", "STREAM-002", "STREAM-007" },
  title = "After the callee's END the opener goes on sending",
  why = "tck.duplex consumes on when nobody wants its items.",
  run = function(_, p)
    local c = duplex(p)
    c:item(1)
    c:gives(1)
    c:stop()
    c:expect("END", "STREAM-004")
    for i = 2, 40 do
      c:await_credit(i, "CREDIT-001")
      c:item(i)
    end
    p:nothing(c.id, "STREAM-007")
    c:finish()
    c:returns(40, "STREAM-007")
  end,
}

both {
  id = "half.ended-at-once", req = { "KIND-009", "STREAM-002" },
  title = "END in the same write as OPEN",
  why = "The half has ended before the handler begins.",
  run = function(t, p)
    local c
    p:cork(function()
      c = p:open("tck.sink", map {}, { send = true })
      c:finish()
    end)
    c:expect("STARTED")
    t:is("STREAM-002", c:returns().ended, true, "END met:")
  end,
}

both {
  id = "half.end-not-terminal", req = { "STREAM-002", "KIND-018" },
  title = "END ends a half, and not the context",
  why = "The handler may have work left, and says when it is done.",
  run = function(t, p)
    local c = p:open("tck.gate", map { key = "k", value = 3 }, { send = true, credit = plenty })
    c:expect("STARTED")
    c:finish()
    p:nothing(c.id, "STREAM-002")
    t:is("KIND-018", t:stat(p).inbound, 1, "contexts open:")
    t:open_gate(p, "k")
    c:expect({ "END", "RETURN" }, "KIND-018")
  end,
}

-- STOP --------------------------------------------------------------------------------------------

for _, n in ipairs { 0, 1, 5 } do
  both {
    id = "stop.after-" .. n, req = { "STREAM-004", "STREAM-001", "WAIT-002" },
    title = "STOP after " .. n .. " items: END at once, and RETURN tells how many there were",
    why = "A stopped sender ends in order; a stalled one is woken by it.",
    run = function(t, p)
      local c = source(p, {}, { credit = array { n, 1 << 30 } })
      for i = 0, n - 1 do c:gives(i) end
      p:nothing(c.id, "CREDIT-003")
      c:stop()
      c:expect("END", "STREAM-004")
      t:is("STREAM-001", c:returns(nil, "WAIT-002"), n, "items sent:")
    end,
  }
end

both {
  id = "stop.running", req = { "STREAM-004", "STREAM-007" },
  title = "STOP while items flow: what was under way comes, then END, then RETURN",
  why = "Items that cross the STOP are legal; after END there are none.",
  run = function(t, p)
    local c = source(p, { size = 2000 })
    for i = 0, 9 do
      t:is("STREAM-010", string.unpack(">I8", c:expect("ITEM").value.bytes), i, "number")
    end
    c:stop()
    local n = 10
    while true do
      local f = c:expect({ "ITEM", "END" }, "STREAM-004")
      if f.name == "END" then break end
      n = n + 1
    end
    local sent = c:returns(nil, "STREAM-007")
    t:check("STREAM-007", sent == n or sent == n + 1, "RETURN " .. n
      .. " (or one more, begun and withdrawn)",
      value.show(sent))
    p:nothing(c.id, "KIND-019")
  end,
}

both {
  id = "stop.before-started", req = "STREAM-005",
  title = "STOP in the same write as OPEN: STARTED, END, RETURN, in this order",
  why = "END may not come before STARTED, not even the one that answers STOP.",
  run = function(t, p)
    local c
    p:cork(function()
      c = p:open("tck.source", map {}, { credit = plenty })
      c:stop()
    end)
    c:expect("STARTED", "STREAM-005")
    local n = 0
    while true do
      local f = c:expect({ "ITEM", "END" }, "STREAM-005")
      if f.name == "END" then break end
      n = n + 1
    end
    local sent = c:returns(nil, "STREAM-005")
    t:check("STREAM-007", sent == n or sent == n + 1, "RETURN " .. n, value.show(sent))
  end,
}

local never_started = {
  { "return", "RETURN", function(inner) inner:returns_with(4) end },
  { "error", "ERROR", function(inner) inner:fail_with { code = "acme.x" } end },
}
for _, w in ipairs(never_started) do
  both {
    id = "stop.never-started." .. w[1], req = "STREAM-005",
    title = "STOP on a context that ends by " .. w[2] .. " without STARTED is not answered by END",
    why = "There is no moment at which the END would be legal.",
    run = function(_, p)
      local c = p:open("tck.relay", map { target = "x.below" }, { credit = plenty })
      local inner = p:accept("x.below")
      c:stop()
      p:nothing(c.id, "STREAM-005")
      w[3](inner)
      c:expect(w[2], "STREAM-005")
    end,
  }
end

both {
  id = "stop.call", req = { "STREAM-004", "STREAM-005" },
  title = "STOP on a context whose handler sends no items is answered by its protocol layer",
  why = "Nobody has to ask user code.",
  run = function(t, p)
    local c = p:open("tck.gate", map { key = "k", value = 2 }, { credit = plenty })
    c:expect("STARTED")
    c:stop()
    c:expect("END", "STREAM-004")
    p:nothing(c.id, "STREAM-004")
    t:open_gate(p, "k")
    c:returns(2)
  end,
}

case {
  id = "stop.blocked", req = { "STREAM-004", "CTX-002" }, profile = "stream",
  title = "STOP is answered although the handler heeds nothing",
  why = "The stopped side's protocol layer answers, whatever user code does.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.stubborn", map { key = "k", value = 2 }, { credit = plenty, send = true })
    c:expect("STARTED")
    c:stop()
    c:expect("END", "STREAM-004")
    t:open_gate(p, "k")
    c:returns(2)
  end,
}

both {
  id = "stop.of-the-callee", req = { "STREAM-002", "STREAM-008" },
  title = "STOP of the callee, once, after the items that it asked for",
  why = "The receiver of a half says that it wants no more, and the opener answers END.",
  run = function(t, p)
    for n = 1, 4 do
      local c = sink(p, { stop_after = n, linger = "k" .. n })
      local list = {}
      for i = 1, n do list[i] = i end
      send_all(c, list)
      c:expect("STOP", "STREAM-002")
      c:finish()
      p:nothing(c.id, "STREAM-002")
      t:open_gate(p, "k" .. n)
      local v = c:returns()
      t:is("STREAM-008", v.count, n, "items consumed:")
    end
  end,
}

both {
  id = "stop.discards", req = { "STREAM-008", "FRAME-023" },
  title = "What arrives after its own STOP is discarded and not even looked at",
  why = "Items in fragments are not put together, and bytes that are no value are not seen.",
  run = function(t, p)
    local c = sink(p, { stop_after = 1, linger = "k" })
    c:await_credit(6, "CREDIT-001")
    c:item(1)
    c:expect("STOP", "STREAM-002")
    p:say(frame.pack { kind = "ITEM", ctx = c.id, payload = "\xc1" })
    c:send("ITEM", nil, { payload = "\xc4\xff", more = true })
    c:send("ITEM", nil, { payload = "abc", more = true })
    p:nothing(c.id, "STREAM-008")
    c:finish()
    t:open_gate(p, "k")
    t:is("STREAM-008", c:returns().count, 1, "items consumed:")
  end,
}

both {
  id = "stop.discards.twin", req = { "FRAME-023", "VALUE-001" },
  title = "The same bytes without a STOP are a violation",
  why = "Only what is discarded goes unread.",
  run = function(t, p)
    local c = sink(p, { hold = "k" })
    c:await_credit(6, "CREDIT-001")
    c:item(1)
    p:say(frame.pack { kind = "ITEM", ctx = c.id, payload = "\xc1" })
    p:violation("value", c.id, "FRAME-023")
    t:pass("VALUE-001")
  end,
}

-- The testee in the middle of an item: the suite reads its first fragment and then no more, so the
-- rest waits for the transport. Calls on another link show that the STOP has been met by then.
case {
  id = "stop.unfinished-item", req = { "STREAM-006", "STREAM-004" }, profile = "stream",
  title = "STOP amid an item: it is finished or abandoned, and END comes after it",
  why = "Fragments behind the END would belong to nothing.",
  run = function(t)
    local parent = t:boot { listen = true }
    local p = t:dial(parent, { hello = { limits = map { frame = 16384, message = 1 << 24 } } })
    p.fragments = true
    local on_frame = p.on_frame
    p.on_frame = function(l, f)
      on_frame(l, f)
      if f.name == "ITEM" and f.more then
        l:hold()
        l.on_frame = nil
      end
    end
    local c = p:open("tck.source", map { size = 900000 }, { credit = plenty })
    c:expect("STARTED")
    local first = c:next("the first fragment of an item", "STREAM-006")
    t:check("STREAM-006", first.name == "ITEM" and first.more, "a fragment of ITEM",
      frame.show(first))
    c:stop()
    for _ = 1, 5 do t:alive(parent) end
    p:release()
    local finished = false
    while true do
      local f = c:next("END", "STREAM-004")
      if f.name == "END" then break end
      t:check("STREAM-006", f.name == "ITEM", "the rest of the item, or END", frame.show(f))
      t:check("STREAM-006", not finished, "END after the item that was begun", "another item")
      finished = not f.more
    end
    local n = c:returns(nil, "STREAM-007")
    t:check("STREAM-007", n == 0 or n == 1 or n == 2, "RETURN of the number sent", value.show(n))
  end,
}

-- Waits -------------------------------------------------------------------------------------------

-- Handlers that wait on a half, opened on a link that is then lost.
local waits = {
  { "send", "WAIT-004", function(d)
    local c = d:open("tck.source", map {}, { credit = array { 1, 100 } })
    c:expect("STARTED")
    c:gives(0)
  end },
  { "receive", "WAIT-005", function(d) sink(d) end },
  { "both", "WAIT-005", function(d)
    local c = duplex(d, { credit = array { 0, 0 } })
    c:item(1)
  end },
}
for _, w in ipairs(waits) do
  case {
    id = "wait.loss." .. w[1], req = { w[2], "MODEL-007" }, profile = "stream",
    title = "A wait to " .. w[1] .. " ends with the link: " .. w[2],
    why = "Nobody will ever send what it waits for.",
    run = function(t)
      local p = t:boot { listen = true }
      local d = t:dial(p)
      local before = t:stat(p)
      w[3](d)
      t:is(w[2], t:stat(p).running, 1, "handlers running:")
      d:close()
      local now
      for try = 1, 100 do
        now = t:stat(p)
        if now.running == 0 then break end
        t:elapse(math.min(try, 50))
      end
      t:is(w[2], now.running, 0, "handlers running:")
      t:is("MODEL-007", now.cancelled - before.cancelled, 1, "handlers that ended cancelled:")
    end,
  }
end

for _, w in ipairs { { "send", "WAIT-004" }, { "receive", "WAIT-005" } } do
  both {
    id = "wait.cancel." .. w[1], req = { w[2], "CANCEL-005" },
    title = "A wait to " .. w[1] .. " ends at once with CANCEL, and the context is CANCELLED",
    why = "A handler that waits cannot cancel itself.",
    run = function(_, p)
      for _ = 1, 5 do
        local c = w[1] == "send" and source(p, {}, { credit = array { 0, 0 } }) or sink(p)
        p:nothing(c.id, w[2])
        c:cancel()
        c:is_cancelled({ origin = "requested", ran = true }, w[2])
      end
    end,
  }
end

both {
  id = "wait.cancel.no-queued-items", req = { "KIND-022", "STREAM-001" },
  title = "Credit that comes behind CANCEL brings no item up any more",
  why = "CANCEL ends the half: what waited for credit is dropped, and CANCELLED is the next frame.",
  run = function(_, p)
    for _ = 1, 5 do
      local c = source(p, {}, { credit = array { 2, 100000 } })
      c:gives(0)
      c:gives(1)
      p:nothing(c.id, "CREDIT-003")
      p:cork(function()
        c:cancel()
        c:credit(50, 100000, illegal)
      end)
      c:expect("CANCELLED", "KIND-022")
    end
  end,
}

both {
  id = "wait.deadline", req = { "WAIT-004", "DEADLINE-002" },
  title = "A stalled sender ends when its deadline passes",
  why = "A deadline is a cancellation like any other.",
  run = function(_, p)
    local c = p:open("tck.source", map {}, { credit = array { 0, 0 }, deadline = 50 })
    c:expect("STARTED")
    c:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  end,
}

-- The opener's side -------------------------------------------------------------------------------

case {
  id = "stop.opener", req = { "STREAM-004", "STREAM-001", "KIND-011" }, profile = "registry",
  title = "An opener with an open half answers STOP by END, and goes on holding the context",
  why = "Held contexts have `send`; a callee that says STOP is owed its END all the same.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.register", map { name = "n" }, { send = true })
    local inner = p:accept("copse.register")
    t:is("KIND-011", inner.open_frame.value.send, true, "`send` in its OPEN:")
    inner:started()
    upper:expect("STARTED")
    inner:stop()
    inner:expect("END", "STREAM-004")
    upper:finish()
    p:nothing(inner.id, "STREAM-001")
    inner:returns_with()
    upper:returns(value.null)
  end,
}

-- A transport that is full ------------------------------------------------------------------------
-- The suite reads the first fragment of a long answer and then no more, so that all that follows is
-- queued in the testee; calls on another link show that it has been. What comes then has to be in
-- order, and complete.
case {
  id = "queued.order", profile = "stream",
  req = { "KIND-017", "KIND-019", "STREAM-010", "FRAME-027", "STREAM-005" },
  title = "STARTED, items, END and terminals that had to queue come in their order, once",
  why = "A queue is where frames are mixed up; on an idle link there is none.",
  run = function(t)
    local parent = t:boot { listen = true }
    local p = t:dial(parent, { hello = { limits = map { frame = 16384 } } })
    takes(t, p, 800000)
    local on_frame = p.on_frame
    p.on_frame = function(l, f)
      on_frame(l, f)
      if f.name == "RETURN" and f.more then
        l:hold()
        l.on_frame = nil
      end
    end
    local long = value.bin(("q"):rep(790000))
    local big = p:open("tck.echo", map { v = long }, { split = 16000 })
    t:await(function() return p.on_frame ~= nil and rawget(p, "on_frame") == nil end,
      "the first fragment of RETURN", "FRAME-014")
    local nothing = p:open("tck.echo", map {})
    local one = p:open("tck.echo", map { v = 1 })
    local refused = p:open("tck.nothing", map {})
    local items = p:open("tck.source", map { count = 5 }, { credit = plenty })
    local failing = p:open("tck.fail", map { code = "acme.x", items = 3 }, { credit = plenty })
    local waiting = p:open("tck.gate", map { key = "k" }, { credit = plenty })
    waiting:stop()
    for _ = 1, 5 do t:alive(parent) end
    p:release()
    nothing:returns(value.null, "KIND-019")
    one:returns(1, "KIND-019")
    refused:errors("no_target", "KIND-014")
    items:expect("STARTED", "KIND-017")
    for i = 0, 4 do items:gives(i, "STREAM-010") end
    items:expect("END", "FRAME-027")
    items:returns(5)
    failing:expect("STARTED", "KIND-017")
    for i = 0, 2 do failing:gives(i, "STREAM-010") end
    local f = failing:expect({ "END", "ERROR" }, "FRAME-027")
    if f.name == "END" then failing:errors("acme.x") end
    waiting:expect("STARTED", "STREAM-005")
    waiting:expect("END", "STREAM-005")
    waiting:cancel()
    waiting:is_cancelled({})
    t:check("STREAM-010", value.eq(big:returns(), long), "the long value", "another")
    for _, c in ipairs { nothing, one, refused, items, failing, waiting, big } do p:nothing(c.id,
      "KIND-019") end
  end,
}

-- The opener's half -------------------------------------------------------------------------------
-- tck.drain opens a context on the suite and consumes what the suite sends it.

local function drain(p, window)
  local upper = p:open("tck.drain", map { target = "x.items", window = array(window
    or { 16, 65536 }) })
  return upper, p:accept("x.items", "KIND-018")
end

-- What the opener made of it: so many items of this sum, and this value of RETURN.
local function drained(t, upper, count, sum, v, req)
  local got = upper:returns(nil, req)
  t:check(req, value.is_map(got) and got.count == count, count .. " items before the RETURN",
    value.show(got))
  t:is(req, got.sum, sum, "their sum:")
  t:is("KIND-018", got.value, v, "what RETURN brought:")
end

for _, n in ipairs { 0, 1, 2, 16 } do
  for _, last in ipairs { "return", "end" } do
    both {
      id = "opener." .. last .. "." .. n, req = "KIND-020",
      title = n .. " items and " .. (last == "end" and "END and " or "")
        .. "RETURN in one write: the items are delivered first",
      why = "What arrived before the result belongs to it, whether it had been consumed or not.",
      run = function(t, p)
        local upper, inner = drain(p)
        p:cork(function()
          inner:started()
          for i = 1, n do inner:item(i * i) end
          if last == "end" then inner:finish() end
          inner:returns_with("done")
        end)
        drained(t, upper, n, n * (n + 1) * (2 * n + 1) // 6, "done", "KIND-020")
        p:nothing(inner.id, "KIND-020")
      end,
    }
  end
end

both {
  id = "opener.fragments", req = { "KIND-020", "FRAME-014" },
  title = "The last item and the RETURN behind it are delivered when they come in fragments, too",
  why = "A message has arrived when its last fragment has, and so has the terminal.",
  run = function(t, p)
    local upper, inner = drain(p)
    p:cork(function()
      inner:started()
      inner:item(20)
      inner:item(1 << 40, { split = 2 })
      inner:returns_with(("v"):rep(100), { split = 30 })
    end)
    drained(t, upper, 2, 20 + (1 << 40), ("v"):rep(100), "KIND-020")
  end,
}

both {
  id = "opener.byte-by-byte", req = "KIND-020",
  title = "Items and a RETURN that come byte by byte are all delivered",
  why = "What was delivered must not hang on what came in one read.",
  run = function(t, p)
    local upper, inner = drain(p)
    p.chop = 1
    inner:started()
    for i = 1, 5 do inner:item(i) end
    inner:returns_with(value.null)
    p.chop = nil
    drained(t, upper, 5, 15, value.null, "KIND-020")
  end,
}

both {
  id = "opener.window", req = { "KIND-020", "CREDIT-001" },
  title = "After two hundred items under a window of three, the last one is delivered as well",
  why = "An opener raises its grant like a callee, and owes none when the context has ended.",
  run = function(t, p)
    local upper, inner = drain(p, { 3, 1000 })
    t:is("CREDIT-001", inner.open_frame.value.credit, array { 3, 1000 }, "credit of OPEN:")
    inner:started()
    for i = 1, 199 do
      inner:await_credit(i, "CREDIT-001")
      inner:item(i)
    end
    inner:await_credit(200, "CREDIT-001")
    p:cork(function()
      inner:item(200)
      inner:returns_with(true)
    end)
    drained(t, upper, 200, 20100, true, "KIND-020")
  end,
}

both {
  id = "opener.several", req = { "KIND-020", "CTX-009" },
  title = "Items and RETURNs of four contexts in turns reach each its own",
  why = "The end of one context takes nothing of another with it.",
  run = function(t, p)
    local upper, inner = {}, {}
    for i = 1, 4 do upper[i], inner[i] = drain(p) end
    p:cork(function()
      for i = 1, 4 do inner[i]:started() end
      for n = 1, 8 do
        for i = 1, 4 do if n <= 2 * i then inner[i]:item(100 * i + n) end end
        if n % 2 == 0 then inner[n // 2]:returns_with(n) end
      end
    end)
    for i = 4, 1, -1 do
      drained(t, upper[i], 2 * i, 200 * i * i + i * (2 * i + 1), 2 * i, "KIND-020")
    end
  end,
}

both {
  id = "opener.error", req = { "KIND-021", "ERROR-005" },
  title = "Items and an ERROR in one write: the error comes out, whatever was consumed",
  why = "What failed has no result, and items that are left are dropped.",
  run = function(t, p)
    local upper, inner = drain(p)
    p:cork(function()
      inner:started()
      for i = 1, 16 do inner:item(i) end
      inner:fail_with { code = "acme.broken", message = "m" }
    end)
    upper:errors("acme.broken", "KIND-021", { message = "m" })
    t:alive(p)
  end,
}
