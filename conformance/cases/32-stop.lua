-- SPDX-License-Identifier: MIT
--
-- What ends a half before its time: STOP, from either end and at every moment, and what ends a
-- handler's wait to send or to receive.
local case = ...
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local source, sink, duplex = play.source, play.sink, play.duplex

local plenty = array { 100000, play.wide }
local illegal = { illegal = true }
local both = pattern.with(case, { profile = "stream" })

-- STOP --------------------------------------------------------------------------------------------

for _, n in ipairs { 0, 1, 5 } do
  both {
    id = "stop.after-" .. n, req = { "STREAM-004", "STREAM-001", "WAIT-002" },
    title = "STOP after " .. n .. " items: END at once, and RETURN tells how many there were",
    why = "A stopped sender ends in order; a stalled one is woken by it.",
    run = function(t, p)
      local c = source(p, {}, n, 1 << 30)
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
      for i = 1, n do
        c:await_credit(i, "CREDIT-001")
        c:item(i)
      end
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
      t:check("STREAM-004", f.name == "ITEM", "the rest of the item, or END", frame.show(f))
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
      t:poll(function()
        now = t:stat(p)
        return now.running == 0
      end)
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
        local c = w[1] == "send" and source(p, {}, 0, 0) or sink(p)
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
      local c = source(p, {}, 2, 100000)
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
