-- SPDX-License-Identifier: MIT
-- Chapter 19: frames that cross. Each row of its table is played from both ends and in both orders.
--
-- For the testee two frames cross if one arrives that was legal before what the testee itself had
-- sent. So the suite waits until it has the testee's frame and then sends its own as if it had not
-- seen it (`late`); or it sends its own so that it must arrive before (`early`). Where the suite is
-- the callee, the testee's frame is one that it sends by itself, CANCEL for instance, and the suite
-- answers as if it had not read it.
local case = ...
local frame = require "frame"
local value = require "value"
local map, array = value.map, value.array

local late = { illegal = true }

local function terminal(c, req)
  return c.link:await_frame(function(f) return f.ctx == c.id and frame.terminal[f.name] end,
    "the terminal of context " .. c.id, req)
end

-- The testee as callee ----------------------------------------------------------------------------

local function callee(row, order, o)
  case {
    id = "cross." .. row .. ".callee-" .. order, req = o.req or { "CROSS-001", "CROSS-002" },
      profile = o.profile,
    title = "Crossing " .. row .. ", the testee as callee, " .. (order == "late"
      and "its own frame first" or "the opener's frame first"),
    why = o.why or "Both orders are legal; the table says what each end does.",
    run = function(t)
      local p = t:boot()
      o.run(t, p)
      p:barrier()
      t:check("CROSS-002", not p:first_bye(), "the link open", "BYE")
    end,
  }
end

local function gate(p, args, o)
  args = args or {}
  args.key, args.value = args.key or "k", args.value or 7
  local c = p:open("tck.gate", map(args), o)
  c:expect("STARTED")
  return c
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
  local f = terminal(c, "CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })
callee("cancel-started", "late", { run = function(_, p)
  local c = gate(p)
  c:cancel()
  c:is_cancelled({ ran = true }, "CROSS-001")
end })

callee("cancel-item", "late", { profile = "stream", run = function(t, p)
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
  local f = terminal(c, "CROSS-001")
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
  local f = terminal(c, "CROSS-001")
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
  local f = terminal(c, "CROSS-001")
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
  local f = terminal(c, "CROSS-001")
  t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
end })

for _, name in ipairs { "RETURN", "ERROR", "CANCELLED" } do
  local reach = ended[name]
  callee("cancel-" .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p)
    c:cancel(late)
    c:cancel(late)
    c:nothing("CROSS-001")
  end })
  callee("again-terminal." .. name:lower(), "late", { run = function(t, p)
    local c = p:open("tck.stubborn", map { key = "k", ["then"] = ({ RETURN = "return",
      ERROR = "fail", CANCELLED = "cancel" })[name] })
    c:expect("STARTED")
    c:cancel { grace = 60000 }
    t:open_gate(p, "k")
    c:expect(name, "CROSS-001")
    c:cancel { grace = 0, illegal = true }
    c:nothing("CROSS-001")
  end })
  callee("item-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { send = true })
    c:item(1, late)
    c:item(("x"):rep(1000), late)
    c:nothing("CROSS-001")
  end })
  callee("end-terminal." .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p, { send = true })
    c:finish(late)
    c:nothing("CROSS-001")
  end })
  callee("stop-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { credit = { 5, 500 } })
    c:stop(late)
    c:nothing("CROSS-001")
  end })
  callee("credit-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    local c = reach(t, p, { credit = { 5, 500 } })
    c:credit(9, 900, late)
    c:credit(1, 1, late)
    c:nothing("CROSS-001")
  end })
  callee("part-terminal." .. name:lower(), "late", { profile = "stream", run = function(t, p)
    -- The first fragment was sent before the terminal came, the rest never is.
    local c = reach(t, p, { send = true })
    c:send("ITEM", nil, { payload = "\xc4\xff", more = true, illegal = true })
    c:nothing("CROSS-001")
    local d = p:open("tck.echo", map { v = 1 })
    d:returns(1)
  end })
  callee("deadline-terminal." .. name:lower(), "late", { run = function(t, p)
    local c = reach(t, p, { deadline = 600000 })
    c:cancel { origin = "deadline", illegal = true }
    c:nothing("CROSS-001")
  end })
end

callee("part-terminal.abandoned", "late", {
  profile = "stream", req = { "CROSS-001", "LIMIT-009", "FRAME-017" },
  why = "An item that was begun before the terminal came is abandoned without a word, and counts no more.",
  run = function(t, p)
    for i = 1, 20 do
      local c = p:open("tck.sink", map { stop_after = 1 }, { send = true })
      c:expect("STARTED")
      c:await_credit(3, "CREDIT-001")
      p:cork(function()
        c:item(1)
        c:send("ITEM", nil, { payload = "\xc4\xff", more = true })
      end)
      local f = terminal(c, "CROSS-001")
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
  c:nothing("CROSS-001")
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
  p:barrier()
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
  why = "On a stopped half too an item beyond the grant is a violation: both ends count what is discarded.",
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
  c:nothing("CROSS-001")
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
  p:barrier()
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
  c:nothing("CROSS-001")
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
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true, credit = { 5,
    500 } })
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
  local c = p:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true, credit = { 5,
    500 } })
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
  c:nothing("CROSS-001")
  c:finish()
  c:returns(0, "CROSS-001")
end })
callee("end-credit", "late", { profile = "stream", run = function(t, p)
  local c = p:open("tck.sink", map { hold = "k" }, { send = true })
  c:expect("STARTED")
  c:await_credit(1, "CREDIT-001")
  c:finish()
  p:barrier()
  t:open_gate(p, "k")
  t:is("CROSS-001", c:returns(nil, "CROSS-001").ended, true, "ended")
end })
callee("part-stop", "late", { profile = "stream", req = { "CROSS-001", "STREAM-008",
  "CREDIT-005" }, run = function(t, p)
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
    p:barrier()
    t:open_gate(p, "k" .. ending)
    t:is("CROSS-001", c:returns(nil, "CROSS-001").count, 1, ending .. ", items consumed:")
  end
end })

-- The testee as opener ----------------------------------------------------------------------------

local function opener(row, order, o)
  case {
    id = "cross." .. row .. ".opener-" .. order, req = o.req or { "CROSS-001", "CROSS-002" },
      profile = o.profile,
    title = "Crossing " .. row .. ", the testee as opener, " .. (order == "late"
      and "its own frame first" or "the callee's frame first"),
    why = o.why or "Both orders are legal; the table says what each end does.",
    run = function(t)
      local p = t:boot()
      local upper = p:open("tck.relay", map { target = "x.below" }, o.above)
      local inner = p:accept("x.below")
      o.run(t, p, upper, inner)
      p:barrier()
      t:check("CROSS-002", not p:first_bye(), "the link open", "BYE")
    end,
  }
end

local function cancelled(inner, upper)
  upper:cancel { grace = 60000 }
  inner:expect("CANCEL", "MODEL-005")
end

opener("cancel-started", "late", { run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:started(1)
  upper:nothing("CROSS-001")
  inner:cancelled_with {}
  terminal(upper, "CROSS-001")
end })
opener("cancel-started", "early", { run = function(_, p, upper, inner)
  inner:started(1)
  upper:expect("STARTED", "KIND-018")
  cancelled(inner, upper)
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
opener("cancel-stop", "late", { profile = "stream", run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:stop { illegal = true }
  upper:nothing("CROSS-001")
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
opener("cancel-credit", "late", { profile = "stream", run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:credit(5, 500, { illegal = true })
  inner:credit(1, 1, { illegal = true })
  upper:nothing("CROSS-001")
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
opener("cancel-return", "late", { req = { "CROSS-001", "CANCEL-007" }, run = function(t, _, upper,
  inner)
  cancelled(inner, upper)
  inner:returns_with(5)
  local f = terminal(upper, "CROSS-001")
  t:check("CANCEL-007", f.name ~= "ERROR", "RETURN or CANCELLED, no error", frame.show(f))
end })
opener("cancel-return", "early", { run = function(t, p, upper, inner)
  p:cork(function()
    inner:returns_with(5)
    upper:cancel()
  end)
  local f = terminal(upper, "CROSS-001")
  t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
end })
opener("cancel-error", "late", { req = { "CROSS-001", "CANCEL-008" }, run = function(_, _, upper,
  inner)
  cancelled(inner, upper)
  inner:fail_with { code = "acme.x" }
  upper:errors("acme.x", "CANCEL-008", { cancelled = true })
end })
opener("cancel-error", "early", { run = function(_, p, upper, inner)
  p:cork(function()
    inner:fail_with { code = "acme.x" }
    upper:cancel()
  end)
  upper:errors("acme.x", "CROSS-001")
end })
opener("cancel-cancelled", "late", { req = { "CROSS-001", "CANCEL-010" }, run = function(_, _,
  upper, inner)
  cancelled(inner, upper)
  inner:cancelled_with { origin = "shutdown" }
  upper:is_cancelled({ origin = "requested" }, "CANCEL-010")
end })
opener("cancel-cancelled", "early", { req = { "CROSS-001", "CANCEL-011" }, run = function(_, _,
  upper, inner)
  -- It came before CANCEL was sent, so it is not absorbed.
  inner:cancels_itself { origin = "shutdown" }
  upper:errors("cancelled", "CANCEL-011")
end })
for _, kind in ipairs { "RETURN", "ERROR", "CANCELLED" } do
  opener("cancel-part." .. kind:lower(), "late", { req = { "CROSS-001", "FRAME-017" },
    run = function(t, p, upper, inner)
    local text = ("x"):rep(3000)
    local payloads = { RETURN = value.encode(text), ERROR = value.encode(map { code = "acme.x",
      message = text }),
      CANCELLED = value.encode(map { origin = "requested", ran = true, message = text }) }
    local bytes = payloads[kind]
    if kind == "CANCELLED" then
      -- No callee begins a CANCELLED that was not asked for; here its own shutdown asked.
      p.monitor.ctx[inner.id].cancelled = true
    end
    inner:send(kind, nil, { payload = bytes:sub(1, 1000), more = true })
    upper:cancel { grace = 60000 }
    inner:expect("CANCEL", "MODEL-005")
    inner:send(kind, nil, { payload = bytes:sub(1001) })
    local f = terminal(upper, "CROSS-001")
    if kind == "ERROR" then t:check("CROSS-001", f.name == "ERROR", "ERROR", frame.show(f)) end
    if kind == "CANCELLED" then t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED",
      frame.show(f)) end
    if kind == "RETURN" then t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED",
      frame.show(f)) end
  end })
end
for _, kind in ipairs { "ERROR", "CANCELLED" } do
  opener("cancel-part.replaced-" .. kind:lower(), "late", { req = { "CROSS-001", "FRAME-017" },
    run = function(_, _, upper, inner)
    inner:send("RETURN", nil, { payload = "\xc5\x10\x00abc", more = true })
    cancelled(inner, upper)
    if kind == "ERROR" then
      inner:fail_with { code = "acme.x" }
      upper:errors("acme.x", "FRAME-017")
    else
      inner:cancelled_with {}
      upper:is_cancelled({}, "FRAME-017")
    end
  end })
end
opener("again-terminal", "late", { run = function(_, p, upper, inner)
  cancelled(inner, upper)
  upper:cancel { grace = 50000 }
  inner:cancelled_with {}
  upper:is_cancelled({ origin = "requested" }, "CROSS-001")
  p:barrier()
end })
opener("deadline-return", "late", { above = { deadline = 60 }, run = function(t, _, upper, inner)
  inner:expect("CANCEL", "DEADLINE-003")
  inner:returns_with(5)
  local f = terminal(upper, "CROSS-001")
  t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
end })
opener("credit-terminal", "early", { profile = "stream", run = function(_, _, upper, inner)
  inner:credit(5, 500, { illegal = true })
  inner:stop { illegal = true }
  inner:returns_with(1)
  upper:returns(1, "CROSS-001")
end })

-- The testee as one that registers: it sends END by itself.
local function registered(row, o)
  case {
    id = "cross." .. row .. ".opener-end", req = { "CROSS-001", "CROSS-002" }, profile = "registry",
    title = "Crossing " .. row .. ", the testee as opener of a held context",
    why = "A held context is let go by END, which may cross all that the callee sends.",
    run = function(t)
      local p = t:boot()
      local upper = p:open("tck.register", map { name = "n" }, { send = true })
      local inner = p:accept("copse.register")
      inner:started()
      upper:expect("STARTED")
      upper:finish()
      inner:expect("END", "KIND-011")
      o(t, p, upper, inner)
      upper:nothing("KIND-019")
    end,
  }
end
registered("end-stop", function(_, _, upper, inner)
  inner:stop { illegal = true }
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-credit", function(_, _, upper, inner)
  inner:credit(5, 500, { illegal = true })
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-terminal", function(_, _, upper, inner)
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-error", function(_, _, upper, inner)
  inner:fail_with { code = "closing" }
  upper:errors("closing", "CROSS-001")
end)
