-- SPDX-License-Identifier: MIT
--
-- Chapter 19: frames that cross. Each row of its table is played from both ends and in both orders;
-- here the testee is the callee, in 90-crossing-opener.lua the opener, in 91-crossing-link.lua an
-- end of the link itself.
--
-- For the testee two frames cross if one arrives that was legal before what the testee itself had
-- sent. So the suite waits until it has the testee's frame and then sends its own as if it had not
-- seen it (`late`); or it sends its own so that it must arrive before (`early`).
local case = ...
local frame = require "frame"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local gate, nothing = play.gate, play.no_effect

local late = { illegal = true }

local function callee(row, order, o)
  play.crossing(case, row, "callee", "opener", order, o, o.run)
end

local function duplex(p, items)
  local c = p:open("tck.duplex", map {}, { send = true, credit = { items or 8, 8000 } })
  c:expect("STARTED")
  return c
end
local function lingering(p)
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true })
  c:expect("STARTED")
  c:await_credit(4, "CREDIT-001")
  c:item(1)
  return c
end
-- A callee whose context has ended by each of the terminals.
local ended = {
  RETURN = function(t, p, o)
    local c = gate(p, {}, o)
    t:open_gate(p, "k")
    c:returns(7)
    return c
  end,
  ERROR = function(_, p, o)
    local c = p:open("tck.fail", map { code = "acme.x" }, o)
    c:errors("acme.x")
    return c
  end,
  CANCELLED = function(_, p, o)
    local c = gate(p, { key = "never" }, o)
    c:cancel()
    c:is_cancelled({})
    return c
  end,
}

callee("cancel-started", "early", { run = function(t, p)
  local c
  p:cork(function()
    c = p:open("tck.gate", map { key = "k" })
    c:cancel()
  end)
  local f = c:terminal("CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })
callee("cancel-started", "late", { run = function(_, p)
  local c = gate(p)
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })

callee("cancel-item", "late", { profile = "stream", run = function(_, p)
  local c = p:open("tck.source", map {}, { credit = { 3, 3000 } })
  c:expect("STARTED")
  for i = 0, 2 do c:gives(i) end
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })
callee("cancel-item", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.source", map {}, { credit = { 1, 3000 } })
  c:expect("STARTED")
  p:cork(function()
    c:credit(100, 30000)
    c:cancel()
  end)
  local f = c:terminal("CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })

callee("cancel-end", "late", { profile = "stream", run = function(_, p)
  local c = p:open("tck.duplex", map {}, { send = true, credit = { 1, 100 } })
  c:expect("STARTED")
  c:stop()
  c:expect("END", "STREAM-004")
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })
callee("cancel-end", "early", { profile = "stream", run = function(t, p)
  local c = duplex(p)
  p:cork(function()
    c:finish()
    c:cancel()
  end)
  local f = c:terminal("CROSS-001")
  t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
end })

callee("cancel-stop", "late", { profile = "stream", run = function(_, p)
  local c = lingering(p)
  c:expect("STOP", "STREAM-002")
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })
callee("cancel-stop", "early", { profile = "stream", run = function(t, p)
  local c = lingering(p)
  c:cancel()
  local f = c:terminal("CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })

callee("cancel-credit", "late", { profile = "stream", run = function(_, p)
  local c = p:open("tck.sink", map {}, { send = true })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })
callee("cancel-credit", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { window = array { 1, 100 } }, { send = true })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  p:cork(function()
    c:item(1)
    c:cancel()
  end)
  local f = c:terminal("CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })

for _, name in ipairs { "RETURN", "ERROR", "CANCELLED" } do
  local reach = ended[name]
  callee("cancel-" .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p)
    c:cancel(late)
    c:cancel(late)
    nothing(c)
  end })
  callee("again-terminal." .. name:lower(), "late", { run = function(t, p)
    local way = ({ RETURN = "return", ERROR = "fail", CANCELLED = "cancel" })[name]
    local c = p:open("tck.stubborn", map { key = "k", ["then"] = way })
    c:expect("STARTED")
    c:cancel { grace = 60000 }
    t:open_gate(p, "k")
    c:expect(name, "CROSS-001")
    c:cancel { grace = 0, illegal = true }
    nothing(c)
  end })
  callee("item-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { send = true })
    c:item(1, late)
    c:item(("x"):rep(1000), late)
    nothing(c)
  end })
  callee("end-terminal." .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p, { send = true })
    c:finish(late)
    nothing(c)
  end })
  callee("stop-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { credit = { 5, 500 } })
    c:stop(late)
    nothing(c)
  end })
  callee("credit-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { credit = { 5, 500 } })
    c:credit(9, 900, late)
    c:credit(1, 1, late)
    nothing(c)
  end })
  callee("part-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    -- The first fragment was sent before the terminal came, the rest never is.
    local c = reach(t, p, { send = true })
    c:send("ITEM", nil, { payload = "\xc4\xff", more = true, illegal = true })
    nothing(c)
    local d = p:open("tck.echo", map { v = 1 })
    d:returns(1)
  end })
  callee("deadline-terminal." .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p, { deadline = 600000 })
    c:cancel { origin = "deadline", illegal = true }
    nothing(c)
  end })
end

callee("part-terminal.abandoned", "late", {
  profile = "stream", req = { "CROSS-001", "LIMIT-009", "FRAME-017" },
  why = "An item that was begun before the terminal came is abandoned without a word, and counts "
    .. "no more.",
  run = function(t, p)
    for i = 1, 20 do
      local c = p:open("tck.sink", map { stop_after = 1 }, { send = true })
      c:expect("STARTED")
      c:await_credit(3, "CREDIT-001")
      p:cork(function()
        c:item(1)
        c:send("ITEM", nil, { payload = "\xc4\xff", more = true })
      end)
      local f = c:terminal("CROSS-001")
      t:check("CROSS-001", f.name == "RETURN", "RETURN", i .. ": " .. frame.show(f))
    end
    t:alive(p)
  end,
})

callee("deadline-deadline", "late", { req = { "CROSS-001", "DEADLINE-002" }, run = function(_, p)
  local c = p:open("tck.gate", map { key = "never" }, { deadline = 30 })
  c:expect("STARTED")
  c:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  c:cancel { origin = "deadline", illegal = true }
  nothing(c)
end })
callee("deadline-deadline", "early", { run = function(_, p)
  local c = p:open("tck.gate", map { key = "never" }, { deadline = 600000 })
  c:expect("STARTED")
  c:cancel { origin = "deadline" }
  c:is_cancelled({ origin = "deadline", ran = true }, "CROSS-001")
end })

callee("item-stop", "late", { profile = "stream", run = function(t, p)
  local c = lingering(p)
  c:expect("STOP", "STREAM-002")
  for i = 2, 4 do c:item(i) end
  c:finish()
  p:barrier("CROSS-002")
  t:open_gate(p, "k")
  local v = c:returns(nil, "CROSS-001")
  t:is("CROSS-001", v.count, 1, "items consumed:")
end })
callee("item-stop", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true })
  c:expect("STARTED")
  c:await_credit(4, "CREDIT-001")
  p:cork(function() for i = 1, 4 do c:item(i) end end)
  c:expect("STOP", "STREAM-002")
  c:finish()
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, "items consumed:")
end })
callee("item-stop", "beyond", { profile = "stream", req = { "CREDIT-007", "CREDIT-005" },
  why = "On a stopped half too an item beyond the grant is a violation: both ends count what is "
    .. "discarded.",
  run = function(t, p)
    local c = p:open("tck.sink", map { stop_after = 1, linger = "k", window = array { 2, 1000 } },
      { send = true })
    c:expect("STARTED")
    c:await_credit(2, "CREDIT-001")
    p:cork(function() for i = 1, 2 do c:item(i) end end)
    c:expect("STOP", "STREAM-002")
    local items = c:granted()
    t:check("CREDIT-005", items <= 3, "a grant of at most 3", tostring(items))
    c:finish()
    t:open_gate(p, "k")
    c:returns(nil, "CREDIT-005")
  end })

callee("end-stop", "late", { profile = "stream", run = function(t, p)
  local c = lingering(p)
  c:expect("STOP", "STREAM-002")
  c:finish()
  nothing(c)
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, "items consumed:")
end })
callee("end-stop", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true })
  c:expect("STARTED")
  c:await_credit(4, "CREDIT-001")
  p:cork(function()
    c:item(1)
    c:finish()
  end)
  p:barrier("CROSS-002")
  t:open_gate(p, "k")
  while true do
    local f = c:expect({ "STOP", "RETURN" }, "CROSS-001")
    if f.name == "RETURN" then break end
  end
end })

callee("stop-item", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.source", map {}, { credit = { 3, 3000 } })
  c:expect("STARTED")
  for i = 0, 2 do c:gives(i) end
  c:stop()
  c:expect("END", "STREAM-004")
  t:is("CROSS-001", c:returns(nil, "CROSS-001"), 3, "items sent:")
end })
callee("stop-item", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.source", map {}, { credit = { 1, 3000 } })
  c:expect("STARTED")
  c:gives(0)
  p:cork(function()
    c:credit(50, 50000)
    c:stop()
  end)
  local n = 1
  while true do
    local f = c:expect({ "ITEM", "END" }, "CROSS-001")
    if f.name == "END" then break end
    n = n + 1
  end
  t:is("CROSS-001", c:returns(nil, "CROSS-001"), n, "items sent:")
end })

callee("stop-end", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.duplex", map {}, { send = true, credit = { 8, 800 } })
  c:expect("STARTED")
  c:stop()
  c:expect("END", "STREAM-004")
  c:stop { illegal = true }
  nothing(c)
  c:finish()
  t:is("CROSS-001", c:returns(nil, "CROSS-001"), 0, "items:")
end })
callee("stop-end", "early", { profile = "stream", run = function(_, p)
  local c = p:open("tck.source", map { count = 2 }, { credit = { 2, 2000 } })
  c:stop()
  c:expect("STARTED", "STREAM-005")
  while true do
    local f = c:expect({ "ITEM", "END", "RETURN" }, "CROSS-001")
    if f.name == "RETURN" then break end
  end
end })

callee("stop-stop", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" },
    { send = true, credit = { 5, 500 } })
  c:expect("STARTED")
  c:await_credit(2, "CREDIT-001")
  c:item(1)
  c:expect("STOP", "STREAM-002")
  c:stop()
  c:expect("END", "CROSS-001")
  c:finish()
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, "items consumed:")
end })
callee("stop-stop", "early", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" },
    { send = true, credit = { 5, 500 } })
  c:stop()
  c:expect("STARTED", "STREAM-005")
  c:expect("END", "CROSS-001")
  c:await_credit(2, "CREDIT-001")
  c:item(1)
  c:expect("STOP", "STREAM-002")
  c:finish()
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, "items consumed:")
end })

callee("stop-started", "early", { profile = "stream", run = function(t, p)
  local c
  p:cork(function()
    c = p:open("tck.duplex", map {}, { send = true, credit = { 8, 800 } })
    c:stop()
    c:finish()
  end)
  c:expect("STARTED", "STREAM-005")
  c:expect("END", "CROSS-001")
  t:is("CROSS-001", c:returns(nil, "CROSS-001"), 0, "items:")
end })
callee("stop-started", "late", { profile = "stream", run = function(_, p)
  local c = duplex(p)
  c:stop()
  c:expect("END", "CROSS-001")
  c:finish()
  c:returns(0, "CROSS-001")
end })

callee("end-end", "late", { profile = "stream", run = function(_, p)
  local c = duplex(p)
  c:stop()
  c:expect("END", "STREAM-004")
  c:finish()
  c:returns(0, "CROSS-001")
end })
callee("end-end", "early", { profile = "stream", run = function(_, p)
  local c = duplex(p)
  c:finish()
  c:expect("END", "CROSS-001")
  c:returns(0, "CROSS-001")
end })

callee("end-started", "early", { profile = "stream", run = function(t, p)
  local c
  p:cork(function()
    c = p:open("tck.sink", map {}, { send = true })
    c:finish()
  end)
  c:expect("STARTED", "CROSS-001")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").ended, true, "ended")
end })
callee("end-started", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map {}, { send = true })
  c:expect("STARTED", "CROSS-001")
  c:finish()
  t:is("CROSS-001", c:returns(nil, "CROSS-001").ended, true, "ended")
end })

callee("credit-item", "late", { profile = "stream", run = function(_, p)
  local c = p:open("tck.source", map { count = 4 }, { credit = { 2, 2000 } })
  c:expect("STARTED")
  for i = 0, 1 do c:gives(i) end
  c:credit(4, 4000)
  for i = 2, 3 do c:gives(i) end
  c:expect("END")
  c:returns(4, "CROSS-001")
end })
callee("credit-item", "early", { profile = "stream", run = function(_, p)
  local c
  p:cork(function()
    c = p:open("tck.source", map { count = 4 }, { credit = { 0, 0 } })
    c:credit(2, 2000)
    c:credit(4, 4000)
  end)
  c:expect("STARTED")
  for i = 0, 3 do c:gives(i) end
  c:expect("END")
  c:returns(4, "CROSS-001")
end })
callee("credit-end", "late", { profile = "stream", run = function(_, p)
  local c = duplex(p)
  c:stop()
  c:expect("END", "STREAM-004")
  c:credit(9, 9000, late)
  c:credit(1, 1, late)
  nothing(c)
  c:finish()
  c:returns(0, "CROSS-001")
end })
callee("end-credit", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { hold = "k" }, { send = true })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  c:finish()
  p:barrier("CROSS-002")
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").ended, true, "ended")
end })
local discarding = { "CROSS-001", "STREAM-008", "CREDIT-005" }
callee("part-stop", "late", { profile = "stream", req = discarding, run = function(t, p)
  for _, ending in ipairs { "finished", "abandoned", "ill-formed" } do
    local c = p:open("tck.sink", map { stop_after = 1, linger = "k" .. ending }, { send = true })
    c:expect("STARTED")
    c:await_credit(3, "CREDIT-001")
    p:cork(function()
      c:item(1)
      c:send("ITEM", nil, { payload = "\xc4\x05abc", more = true })
    end)
    c:expect("STOP", "STREAM-002")
    if ending == "finished" then
      c:send("ITEM", nil, { payload = "de" })
    elseif ending == "ill-formed" then
      -- Discarded fragments are not put together, so nobody sees what they would be.
      c:send("ITEM", nil, { payload = "\xc1", illegal = true })
      p.monitor:drop_partial(p.monitor.ctx[c.id], "mine")
    end
    c:finish()
    p:barrier(ending == "ill-formed" and "STREAM-008" or "CROSS-002")
    t:open_gate(p, "k" .. ending)
    t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, ending .. ", items consumed:")
  end
end })
