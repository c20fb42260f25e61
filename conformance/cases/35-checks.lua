-- SPDX-License-Identifier: MIT
--
-- Chapter 4: what a frame means to the context that it names. Contexts that have ended, that never
-- were, or that the other end opened; and the order of the checks, where a frame fails several.
local case = ...
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local gate, inner, fresh = play.gate, play.inner, play.fresh
local echo, sample = play.echo, play.sample

local of_stream = { ITEM = "stream", STOP = "stream", CREDIT = "stream" }
local _, reject = pattern.with(case, { why = "The peer is told which rule it broke, and where." })

local function ended(d)
  local c = d:open("tck.echo", map { v = 1 })
  c:returns(1)
  return c
end

-- Ended contexts ----------------------------------------------------------------------------------

pattern.both(case, {
  id = "frame.ended.ignored", req = { "FRAME-011", "FRAME-009" }, profile = "stream",
  title = "On an ended context every frame of its opener but OPEN is ignored, payload unseen",
  why = "They were on their way. A list of the dead is not needed for it.",
  run = function(_, d)
    local c = ended(d)
    for _, name in ipairs { "ITEM", "END", "STOP", "CREDIT", "CANCEL" } do
      d:put(name, c.id, sample[name])
      d:barrier()
    end
    for _ = 1, 30 do d:put("ITEM", c.id, "\xc1", { more = true }) end
    d:put("CANCEL", c.id, "\xc1")
    d:put("CREDIT", c.id, "\x92\0")
    d:put("CREDIT", c.id, "\x92\0\0")
    d:nothing(c.id, "FRAME-011")
    -- An id that was left out has ended as well.
    local gap = d:new_id()
    d:open("tck.echo", map { v = 2 }):returns(2)
    d:put("ITEM", gap, "\1", { more = true })
    d:put("CANCEL", gap, sample.CANCEL)
    d:put("STOP", gap, "")
    d:nothing(gap, "FRAME-009")
  end,
})

for _, o in ipairs {
  { "more", "FRAME-013", "frame", "END", "", { more = true } },
  { "empty", "FRAME-015", "frame", "ITEM", "", { more = true }, "stream" },
  { "end-payload", "LIMIT-006", "limit", "END", "\1" },
  { "cancel-long", "LIMIT-006", "limit", "CANCEL", "", { length = 1025 } },
  { "open", "FRAME-011", "state", "OPEN", echo },
  { "role", "FRAME-008", "state", "RETURN", "\7" },
} do
  reject {
    id = "frame.ended." .. o[1], req = o[2] == "FRAME-011" and o[2] or { o[2], "FRAME-011" },
    code = o[3], profile = o[7],
    title = "On an ended context " .. o[1] .. " is still a violation `" .. o[3] .. "`",
    why = "What needs no state of the context is checked without it.",
    setup = function(_, d) return ended(d) end,
    bad = function(_, d, c) d:put(o[4], c.id, o[5], o[6]) end,
  }
end

reject {
  id = "frame.gap.open", req = { "FRAME-011", "FRAME-007" }, code = "state",
  title = "OPEN of an id that was jumped over is a violation `state`",
  why = "Ids only grow; one that was left out has ended.",
  setup = function(_, d)
    local gap = d:new_id()
    ended(d)
    return { id = gap }
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, echo) end,
}

-- Contexts that are none, and roles ---------------------------------------------------------------

for _, name in ipairs { "ITEM", "END", "STOP", "CREDIT", "CANCEL" } do
  reject {
    id = "frame.never-opened." .. name, req = "FRAME-010", code = "state",
    profile = of_stream[name],
    title = name .. " on an id above all that were opened is a violation `state`",
    setup = function(_, d)
      ended(d)
      return { id = d:new_id() }
    end,
    bad = function(_, d, c) d:put(name, c.id, sample[name]) end,
  }
end
for _, name in ipairs { "STARTED", "ITEM", "END", "STOP", "CREDIT", "RETURN", "ERROR",
  "CANCELLED" } do
  reject {
    id = "frame.never-opened-by-peer." .. name, req = "FRAME-010", code = "state",
    profile = of_stream[name],
    title = name .. " on an id that the testee has not opened is a violation `state`",
    setup = function(_, d)
      -- The testee has opened one, so that its ids are in use.
      local c, upper = inner(d)
      c:returns_with(1)
      upper:returns(1)
      return { id = c.id + 2 }
    end,
    bad = function(_, d, c) d:put(name, c.id, sample[name]) end,
  }
end
for _, name in ipairs { "STARTED", "RETURN", "ERROR", "CANCELLED" } do
  reject {
    id = "frame.role." .. name, req = "FRAME-008", code = "state",
    title = name .. " of the opener is a violation `state`",
    why = "An opener does not answer itself.",
    setup = function(_, d) return gate(d) end,
    bad = function(_, d, c) d:put(name, c.id, sample[name]) end,
  }
end
for _, name in ipairs { "OPEN", "CANCEL" } do
  reject {
    id = "frame.role." .. name, req = name == "OPEN" and "FRAME-006" or "FRAME-008", code = "state",
    title = name .. " of the callee is a violation `state`",
    why = "Parity says who opens, cancels and answers.",
    setup = function(_, d) return inner(d) end,
    bad = function(_, d, c) d:put(name, c.id, sample[name]) end,
  }
end
reject {
  id = "frame.role.open-fresh", req = "FRAME-006", code = "state",
  title = "OPEN of a fresh id of the other's parity is a violation `state`",
  setup = function(_, d) return { id = d.connector and 4000 or 4001 } end,
  bad = function(_, d, c) d:put("OPEN", c.id, echo) end,
}

-- The order of the checks -------------------------------------------------------------------------
-- Frames with two faults. The first check that fails is the one that is reported.

local function order(id, first, second, code, o)
  reject {
    id = "frame.order." .. id, req = "FRAME-002", code = code, profile = o.profile, names = o.names,
    title = "A frame that fails as to its " .. first .. " and its " .. second .. " is a violation `"
      .. code .. "`", why = "Two implementations that check in another order give two answers.",
    setup = function(_, d) return o.on and o.on(d) end, bad = o.bad,
  }
end
order("length-kind", "length", "kind", "limit", { on = gate, bad = function(_, d, c)
  d:put("END", c.id, "12345", { more = true })
end })
order("length-more", "length", "`more`", "limit", { names = false, bad = function(_, d)
  d:put("PING", 0, "", { more = true, length = 1025 })
end })
order("length-context", "length", "context", "limit", { names = false, bad = function(_, d)
  d:put("END", 0, "\1")
end })
order("length-context-link", "length", "context", "limit", { on = gate, bad = function(_, d, c)
  d:put("PING", c.id, "", { length = 1025 })
end })
order("length-role", "length", "role", "limit", { on = inner, bad = function(_, d, c)
  d:put("CANCEL", c.id, "", { length = 1025 })
end })
order("length-life", "length", "life", "limit", { on = fresh, bad = function(_, d, c)
  d:put("END", c.id, "\1")
end })
order("context-role", "context", "role", "frame", { names = false, bad = function(_, d)
  d:put("RETURN", 0, "\7")
end })
order("role-more", "role", "`more`", "state", { on = inner, bad = function(_, d, c)
  d:put("CANCEL", c.id, sample.CANCEL, { more = true })
end })
order("role-empty", "role", "empty fragment", "state", { on = gate, bad = function(_, d, c)
  d:put("RETURN", c.id, "", { more = true })
end })
order("more-life", "`more`", "life", "frame", { on = fresh, bad = function(_, d, c)
  d:put("END", c.id, "", { more = true })
end })
order("empty-life", "empty fragment", "life", "frame", { profile = "stream", on = fresh,
  bad = function(_, d, c) d:put("ITEM", c.id, "", { more = true }) end })
order("second-open-life", "second unfinished OPEN", "life", "frame", {
  on = function(d)
    local low = d:new_id()
    d:put("OPEN", d:new_id(), echo:sub(1, 3), { more = true })
    return { id = low }
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, echo:sub(1, 3), { more = true }) end,
})
order("life-payload", "life", "payload", "state", { on = fresh, bad = function(_, d, c)
  d:put("CANCEL", c.id, "\xc1")
end })
order("half-payload", "half", "payload", "state", { profile = "stream", on = gate,
  bad = function(_, d, c) d:put("ITEM", c.id, "\xc1") end })
order("credit-payload", "credit", "payload", "credit", { profile = "stream",
  on = function(d)
    local c = d:open("tck.sink", map { window = array { 1, 1000 }, hold = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    c:item(1)
    return c
  end,
  bad = function(_, d, c) d:put("ITEM", c.id, "\xc1") end })
order("half-credit", "half", "credit", "state", { profile = "stream",
  on = function(d)
    local c = d:open("tck.sink", map { window = array { 1, 1000 }, hold = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    c:item(1)
    c:finish()
    return c
  end,
  bad = function(_, d, c) d:put("ITEM", c.id, "\1") end })
order("value-schema", "value", "schema", "value", { on = fresh, bad = function(_, d, c)
  d:put("OPEN", c.id, "\x82\xa4args\7\xa1x\xc1")
end })
