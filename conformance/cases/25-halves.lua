-- SPDX-License-Identifier: MIT
--
-- The tables of chapter 9, cell by cell: both halves of a context at the testee, as callee and as
-- opener.
local case, spec = ...
local play = require "play"
local statetable = require "statetable"
local value = require "value"
local map, array = value.map, value.array

local illegal = { illegal = true }

-- The out half of a callee ------------------------------------------------------------------------

local out = statetable.new(case, spec, "out", "callee-out")

local function source(p, items, count)
  local c = p:open("tck.source", map { count = count }, { credit = array { items, 100000 } })
  c:expect("STARTED")
  for i = 0, items - 1 do c:gives(i) end
  return c
end

local function out_case(state, event, o)
  o.profile, o.req, o.places = "stream", o.req or { "STREAM-001" }, "both"
  out:case_for(state, event, o)
end

out_case("open", "STOP", { req = { "STREAM-001", "STREAM-004", "WAIT-002" }, run = function(t, p)
  local c = source(p, 2)
  c:stop()
  c:expect("END", "STREAM-004")
  t:is("STREAM-001", c:returns(), 2, "items sent:")
end })
out_case("open", "CREDIT", { req = { "STREAM-001", "CREDIT-002" }, run = function(t, p)
  local c = source(p, 2, 5)
  p:nothing(c.id, "CREDIT-003")
  c:credit(4, 1000000)
  c:gives(2)
  c:gives(3)
  p:nothing(c.id, "CREDIT-002")
  c:credit(9, 1000000)
  c:gives(4)
  c:expect("END")
  t:is("STREAM-001", c:returns(), 5, "items sent:")
end })
out_case("open", "CANCEL", { req = { "STREAM-001", "WAIT-004" }, run = function(_, p)
  local c = source(p, 2)
  c:cancel()
  c:is_cancelled({ ran = true }, "WAIT-004")
end })

-- Stopped and owing END: only before STARTED can a callee be seen there ([STREAM-005]).
local function owing(p)
  local c = p:open("tck.relay", map { target = "x.below" },
    { send = true, credit = array { 4, 4000 } })
  c.inner = p:accept("x.below", "KIND-018")
  c:stop()
  p:nothing(c.id, "STREAM-005")
  return c
end
local function one_end(_, p, c)
  p:nothing(c.id, "STREAM-005")
  c.inner:started(1)
  c:expect("STARTED", "STREAM-005")
  c:expect("END", "STREAM-004")
  p:nothing(c.id, "STREAM-001")
  c.inner:returns_with(5)
  c:returns(5)
end
out_case("stopped", "STOP", { req = { "STREAM-001", "STREAM-005" }, run = function(t, p)
  local c = owing(p)
  c:stop(illegal)
  c:stop(illegal)
  one_end(t, p, c)
end })
out_case("stopped", "CREDIT", { req = { "STREAM-001", "CREDIT-008" },
  why = "A CREDIT that is ignored is not judged either: its totals are smaller than those of OPEN.",
  run = function(t, p)
    local c = owing(p)
    c:credit(9, 9000, illegal)
    c:credit(1, 1, illegal)
    one_end(t, p, c)
  end })
out_case("stopped", "CANCEL", { req = { "STREAM-001", "CROSS-001" }, run = function(_, p)
  local c = owing(p)
  c:cancel()
  c.inner:expect("CANCEL", "MODEL-005")
  c.inner:cancelled_with {}
  c:is_cancelled({ ran = true }, "STREAM-001")
end })

local out_ended = {
  ["by its END"] = function(_, p)
    local c = p:open("tck.duplex", map {}, { send = true, credit = array { 4, 4000 } })
    c:expect("STARTED")
    c:stop()
    c:expect("END", "STREAM-004")
    return c
  end,
  ["from the start"] = function(_, p)
    local c = p:open("tck.gate", map { key = "k", value = 7 }, { send = true })
    c:expect("STARTED")
    return c
  end,
}
-- Ends a context of either way and shows that it went on undisturbed.
local function goes_on(t, p, c, way)
  p:nothing(c.id, "STREAM-001")
  if way == "by its END" then
    c:finish()
    c:returns(0)
  else
    t:open_gate(p, "k")
    c:returns(7)
  end
end
for way, reach in statetable.sorted(out_ended) do
  out_case("ended", "STOP", { via = way, run = function(t, p)
    local c = reach(t, p)
    c:stop(illegal)
    c:stop(illegal)
    goes_on(t, p, c, way)
  end })
  local req = { "STREAM-001", "CREDIT-008" }
  out_case("ended", "CREDIT", { via = way, req = req, run = function(t, p)
    local c = reach(t, p)
    c:credit(9, 9000, illegal)
    c:credit(1, 1, illegal)
    goes_on(t, p, c, way)
  end })
  out_case("ended", "CANCEL", { via = way, run = function(t, p)
    local c = reach(t, p)
    c:cancel()
    c:is_cancelled({ ran = true }, "STREAM-001")
  end })
end

-- After CANCEL the opener may not say more, but what it says concerns a half that has ended.
local function after_cancel(_, p)
  local c = play.cleanup(p, { key = "k", shield = 600000 },
    { send = true, credit = array { 4, 4000 } })
  c:cancel { grace = 600000 }
  p:nothing(c.id, "MODEL-002")
  return c
end
for event, send in statetable.sorted {
  STOP = function(c) c:stop(illegal) end,
  CREDIT = function(c) c:credit(1, 1, illegal) end,
  CANCEL = function(c) c:cancel { grace = 500000 } end,
} do
  out_case("ended", event, { via = "by CANCEL", run = function(t, p)
    local c = after_cancel(t, p)
    send(c)
    p:nothing(c.id, "STREAM-001")
    t:open_gate(p, "k")
    c:is_cancelled({ ran = true }, "STREAM-001")
  end })
end
out:reason("*", { "send ITEM", "send END", "send CANCEL" },
  "A local event: what the testee writes is judged by the monitor in every case of chapters 9 "
    .. "and 12.")
out:reason("*", { "terminal" },
  "The callee's terminal is its own; that nothing follows it is in the rows `ended` of machine "
    .. "callee.")
out:complete()

-- The in half of a callee -------------------------------------------------------------------------

local inn = statetable.new(case, spec, "in", "callee-in")

local function in_case(state, event, o)
  o.profile, o.req, o.places = "stream", o.req or { "STREAM-002" }, "both"
  inn:case_for(state, event, o)
end

local function sink(p, args) return play.sink(p, args, 4) end

in_case("open", "ITEM", { run = function(t, p)
  local c = sink(p)
  c:item(40)
  c:item(2)
  c:finish()
  local v = c:returns()
  t:is("STREAM-002", v.count, 2, "items consumed:")
  t:is("STREAM-002", v.sum, 42, "their sum:")
end })
in_case("open", "END", { req = { "STREAM-002", "WAIT-003" }, run = function(t, p)
  local c = sink(p)
  p:nothing(c.id, "WAIT-003")
  c:finish()
  t:is("WAIT-003", c:returns().ended, true, "END met:")
end })
in_case("open", "CANCEL", { req = { "STREAM-002", "WAIT-005" }, run = function(_, p)
  local c = sink(p)
  c:item(1)
  c:cancel()
  c:is_cancelled({ ran = true }, "WAIT-005")
end })

local function stopped(p)
  local c = sink(p, { stop_after = 1, linger = "k" })
  c:item(40)
  c:expect("STOP", "STREAM-002")
  return c
end
local function consumed_one(t, p, c)
  t:open_gate(p, "k")
  local v = c:returns()
  t:is("STREAM-008", v.count, 1, "items consumed:")
  t:is("STREAM-008", v.sum, 40, "their sum:")
end
in_case("stopped", "ITEM", { req = { "STREAM-002", "STREAM-008" }, run = function(t, p)
  local c = stopped(p)
  c:item(2)
  c:item(2)
  p:nothing(c.id, "STREAM-002")
  c:finish()
  consumed_one(t, p, c)
end })
in_case("stopped", "END", { run = function(t, p)
  local c = stopped(p)
  c:finish()
  p:nothing(c.id, "STREAM-002")
  consumed_one(t, p, c)
end })
in_case("stopped", "CANCEL", { run = function(_, p)
  local c = stopped(p)
  c:cancel()
  c:is_cancelled({ ran = true }, "STREAM-002")
end })

local in_ended = {
  ["by END"] = function(_, p)
    local c = p:open("tck.sink", map { hold = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(4, "CREDIT-001")
    c:finish()
    p:barrier()
    return c
  end,
  ["by END after STOP"] = function(_, p)
    local c = stopped(p)
    c:finish()
    p:barrier()
    return c
  end,
  ["from the start"] = function(_, p)
    local c = p:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    return c
  end,
}
for way, reach in statetable.sorted(in_ended) do
  for event, send in statetable.sorted {
    ITEM = function(c) c:item(1, illegal) end,
    END = function(c) c:finish(illegal) end,
  } do
    in_case("ended", event, { via = way, req = { "STREAM-003", "STREAM-002" },
      why = "The half has ended, and each end knows it: granted or not, this is `state`.",
      run = function(t, p, cell)
        local twin = sink(p)
        twin:item(1)
        twin:finish()
        t:is("STREAM-002", twin:returns().count, 1, "items consumed:")
        local c = reach(t, p)
        send(c)
        p:violation(cell.code, c.id, "STREAM-003")
      end })
  end
  in_case("ended", "CANCEL", { via = way, run = function(t, p)
    local c = reach(t, p)
    c:cancel()
    c:is_cancelled({ ran = true }, "STREAM-002")
  end })
end
inn:reason("*", { "send STOP", "send CREDIT", "send CANCEL" },
  "A local event: what the testee writes is judged by the monitor in every case of chapters 9 "
    .. "and 12.")
inn:reason("*", { "terminal" },
  "The callee's terminal is its own; what arrives after it is in the rows `ended` of machine "
    .. "callee.")
inn:complete()

-- The halves of an opener -------------------------------------------------------------------------
-- tck.register holds a context with `send`: its out half is open until it lets go. Nothing that a
-- testee opens wants items.

local oout = statetable.new(case, spec, "out", "opener-out")

local function registered(p)
  local upper = p:open("tck.register", map { name = "n" }, { send = true })
  local inner = p:accept("copse.register", "KIND-011")
  inner:started()
  upper:expect("STARTED")
  return upper, inner
end

oout:case_for("open", "STOP", { profile = "registry", req = { "STREAM-004", "STREAM-001" },
  why = "STOP is answered by the protocol layer, at once; the context goes on until its terminal.",
  run = function(t)
    local p = t:boot()
    local upper, inner = registered(p)
    inner:stop()
    inner:expect("END", "STREAM-004")
    p:nothing(inner.id, "STREAM-001")
    inner:returns_with()
    -- The registration is over, and what held it learns so: how it ends is the handler's affair.
    if p.monitor:life_of(upper.id) ~= "ended" then upper:finish() end
    upper:terminal("KIND-018")
  end })
oout:case_for("open", "CREDIT", { profile = "registry", req = { "STREAM-001", "CREDIT-002" },
  run = function(t)
    local p = t:boot()
    local upper, inner = registered(p)
    inner:credit(5, 500)
    inner:credit(5, 500)
    inner:credit(6, 500)
    p:nothing(inner.id, "STREAM-001")
    upper:finish()
    inner:expect("END", "KIND-011")
    inner:returns_with()
    upper:returns(value.null, "STREAM-001")
  end })
oout:case_for("open", "terminal", { profile = "registry", req = { "STREAM-001", "KIND-021" },
  run = function(t)
    local p = t:boot()
    local upper, inner = registered(p)
    inner:fail_with { code = "acme.x" }
    upper:errors("acme.x", "KIND-021")
    p:nothing(inner.id, "STREAM-001")
  end })

local oout_ended = {
  ["by its END"] = { "registry", function(p)
    local upper, inner = registered(p)
    upper:finish()
    inner:expect("END", "KIND-011")
    return upper, inner, value.null
  end },
  ["from the start"] = { "stream", function(p)
    local upper = p:open("tck.relay", map { target = "x.below" })
    return upper, p:accept("x.below", "KIND-018"), 5
  end },
}
for way, w in statetable.sorted(oout_ended) do
  for event, send in statetable.sorted {
    STOP = function(inner) inner:stop(illegal) end,
    CREDIT = function(inner)
      inner:credit(9, 900, illegal)
      inner:credit(1, 1, illegal)
    end,
    terminal = function() end,
  } do
    oout:case_for("ended", event, { via = way, profile = w[1], req = { "STREAM-001", "CTX-001" },
      run = function(t)
        local p = t:boot()
        local upper, inner, result = w[2](p)
        send(inner)
        p:nothing(inner.id, "STREAM-001")
        inner:returns_with(result)
        upper:returns(result, "STREAM-001")
        p:nothing(inner.id, "CTX-001")
      end })
  end
end
oout:reason({ "stopped" }, "*",
  "An opener answers STOP at once; it owes an END only behind an ITEM of its own, and no handler "
    .. "of a "
  .. "testee sends items as an opener.")
oout:reason("*", { "CANCEL" },
  "An opener never receives CANCEL: a wrong role, before any table ([FRAME-008]).")
oout:reason("*", { "send ITEM", "send END", "send CANCEL" },
  "A local event: what the testee writes is judged by the monitor in every case that opens "
    .. "something.")
oout:complete()

local oin = statetable.new(case, spec, "in", "opener-in")
for event, send in statetable.sorted {
  ITEM = function(inner) inner:item(1, illegal) end,
  END = function(inner) inner:finish(illegal) end,
} do
  oin:case_for("ended", event, { profile = event == "ITEM" and "stream" or nil, places = "both",
    req = { "STREAM-003", "STREAM-002" },
    why = "An OPEN without `credit` is a STOP to which no END is owed ([KIND-010]).",
    run = function(t, p, cell)
      local function started()
        local upper = p:open("tck.relay", map { target = "x.below" })
        local inner = p:accept("x.below", "KIND-018")
        t:is("KIND-010", value.is_array(inner.open_frame.value.credit), false,
          "`credit` in its OPEN:")
        inner:started(1)
        upper:expect("STARTED")
        return upper, inner
      end
      local upper, inner = started()
      inner:returns_with(5)
      upper:returns(5)
      inner = select(2, started())
      send(inner)
      p:violation(cell.code, inner.id, "STREAM-003")
    end })
end
oin:reason({ "open", "stopped" }, "*",
  "Nothing that a testee opens asks for items: the handlers of TESTEE.md open without `credit`.")
oin:reason("*", { "CANCEL" },
  "An opener never receives CANCEL: a wrong role, before any table ([FRAME-008]).")
oin:reason("*", { "send STOP", "send CREDIT", "send CANCEL" },
  "A local event: what the testee writes is judged by the monitor in every case that opens "
    .. "something.")
oin:reason("*", { "terminal" },
  "The rows `waiting` and `started` of machine opener have every terminal.")
oin:complete()
