-- SPDX-License-Identifier: MIT
--
-- Streams: items both ways, END, half-closed contexts, items in fragments, and the order of all
-- that had to queue. What ends a half before its time is in 32-stop.lua, credit in 31-credit.lua.
local case = ...
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local source, sink, duplex = play.source, play.sink, play.duplex

local plenty = array { 100000, play.wide }
local both = pattern.with(case, { profile = "stream" })

-- Leaves a case out whose items the testee does not want to receive.
local function takes(t, p, size, partials)
  local l = p.peer.limits or {}
  local message = l.message or math.max(1 << 20, l.frame or 0)
  if size > message or (partials or 1) > (l.partials or 8) then
    t:unsupported("beyond the limits of the testee")
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
      for i = 1, n do
        c:await_credit(i, "CREDIT-001")
        c:item(i)
      end
      c:finish()
      local v = c:returns(nil, "WAIT-003")
      t:is("WAIT-003", v.count, n, "items consumed:")
      t:is("STREAM-002", v.sum, n * (n + 1) // 2, "their sum:")
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
    local list = {
      value.null, false, true, 0, -1, math.maxinteger, math.mininteger, 1.5, "", "text", "\0",
      value.bin(""), value.bin("\xff"), array {}, map {}, array { value.null },
      map { a = array { map {} } }, value.ref(("\x5e"):rep(16), "someone", {}),
      value.ext(40, "xyz"), value.ext(-1, "\0\0\0\1"),
    }
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
    for _, c in ipairs { nothing, one, refused, items, failing, waiting, big } do
      p:nothing(c.id, "KIND-019")
    end
  end,
}
