-- SPDX-License-Identifier: MIT
--
-- The state tables of chapters 8 and 9, cell by cell: the testee is brought into the state, the
-- frame is sent, and what the cell says has to come of it. A violation is answered beside a valid
-- twin on the same link; what is ignored or accepted leaves a link that serves.
local case, spec = ...
local context = require "context"
local statetable = require "statetable"
local value = require "value"
local map, array = value.map, value.array

local of_stream = { ITEM = true, STOP = true, CREDIT = true }
local illegal = { illegal = true }

-- Frames ------------------------------------------------------------------------------------------

-- Each is well-formed by itself, so that nothing but its moment can be wrong with it.
local frames = {
  ["OPEN+"] = function(c, o)
    c:send("OPEN", nil, { payload = "\x82\xa6tar", more = true, illegal = o.illegal })
  end,
  OPEN = function(c, o) c:send("OPEN", map { target = "tck.echo", args = map { v = 7 } }, o) end,
  ITEM = function(c, o) c:item(1, o) end,
  END = function(c, o) c:finish(o) end,
  STOP = function(c, o) c:stop(o) end,
  CREDIT = function(c, o) c:credit(100, 100000, o) end,
  CANCEL = function(c, o) c:cancel(o) end,
  STARTED = function(c, o) c:started(1, o) end,
  RETURN = function(c, o) c:returns_with(5, o) end,
  ERROR = function(c, o) c:fail_with({ code = "acme.x" }, o) end,
  CANCELLED = function(c, o) c:cancelled_with({}, o) end,
}

-- The testee as callee ----------------------------------------------------------------------------

local both_halves = { send = true, credit = array { 4, 4000 } }
local function options(streaming) return streaming and both_halves or { send = true } end

-- A context that takes every frame of its opener, and is over afterwards.
local function callee_twin(t, p, event)
  if event == "OPEN+" then
    p:open("tck.echo", map { v = 7 }, { split = 5 }):returns(7)
  elseif event == "OPEN" then
    p:open("tck.echo", map { v = 7 }):returns(7)
  elseif event == "CANCEL" or event == "END" then
    local c = p:open("tck.gate", map { key = "twin", value = 7 }, { send = true })
    c:expect("STARTED")
    frames[event](c, {})
    if event == "CANCEL" then return c:is_cancelled({}) end
    t:open_gate(p, "twin")
    c:returns(7)
  else
    local c = p:open("tck.duplex", map {}, both_halves)
    c:expect("STARTED")
    c:await_credit(1)
    frames[event](c, {})
    if event == "ITEM" then c:gives(1) end
    if event == "STOP" then c:expect("END") end
    c:finish()
    if event ~= "STOP" then c:expect("END") end
    c:returns(event == "ITEM" and 1 or 0)
  end
end

-- The ways into a state: name (nil where there is one), and what gets there.
local function running(_, p, streaming)
  local c = p:open("tck.relay", map { target = "x.below" }, options(streaming))
  c.inner = p:accept("x.below", "KIND-018")
  return c
end

local function gated(_, p, streaming)
  local c = p:open("tck.gate", map { key = "k", value = 7 }, options(streaming))
  c:expect("STARTED")
  return c
end

-- The first fragment of an OPEN; rest is what is left of it.
local function opening(_, p, streaming, target, args, o)
  o = o or options(streaming)
  local bytes = value.encode(map { target = target or "tck.gate", args = args or map { key = "k",
    value = 7 },
    send = o.send, credit = o.credit })
  local c = context.new(p, p:new_id(), true)
  p:send { "OPEN", c.id, payload = bytes:sub(1, 9), more = true }
  c.rest = bytes:sub(10)
  return c
end

local function complete(c) c:send("OPEN", nil, { payload = c.rest }) end

local callee_reach = {
  unopened = { { function(_, p) return context.new(p, p:new_id(), true) end } },
  opening = { { opening } },
  running = { { running } },
  started = { { gated } },
  ended = {
    { function(t, p, streaming)
      local c = gated(t, p, streaming)
      t:open_gate(p, "k")
      c:returns(7)
      return c
    end, "RETURN" },
    { function(_, p, streaming)
      local c = p:open("tck.fail", map { code = "acme.x" }, options(streaming))
      c:errors("acme.x")
      return c
    end, "ERROR" },
    { function(t, p, streaming)
      local c = gated(t, p, streaming)
      c:cancel()
      c:is_cancelled({})
      return c
    end, "CANCELLED" },
  },
}

local function open_and_return(t, p, c)
  t:open_gate(p, "k")
  c:returns(7)
end

-- What shows that an accepted frame has arrived, and the end of its context. Those that are given
-- their own context say so by `own`.
local callee_effect = {
  unopened = {
    ["OPEN+"] = function(_, _, c)
      c:send("OPEN", nil, { payload = "get\xa8tck.echo\xa4args\x91\x07" })
      c:returns(7)
    end,
    OPEN = function(_, _, c) c:returns(7) end,
  },
  opening = {
    ["OPEN+"] = { own = true, run = function(t, p)
      local c = opening(t, p, false)
      c:send("OPEN", nil, { payload = c.rest:sub(1, 4), more = true })
      c:send("OPEN", nil, { payload = c.rest:sub(5, 5), more = true })
      p:nothing(c.id, "FRAME-021")
      c:send("OPEN", nil, { payload = c.rest:sub(6) })
      c:expect("STARTED")
      open_and_return(t, p, c)
    end },
    OPEN = { own = true, run = function(t, p)
      local c = opening(t, p, false)
      p:nothing(c.id, "FRAME-021")
      complete(c)
      c:expect("STARTED")
      open_and_return(t, p, c)
    end },
    STOP = { own = true, run = function(t, p)
      local c = opening(t, p, true)
      c:stop()
      p:nothing(c.id, "FRAME-021")
      complete(c)
      c:expect("STARTED", "STREAM-005")
      c:expect("END", "STREAM-004")
      open_and_return(t, p, c)
    end },
    CREDIT = { own = true, run = function(t, p)
      local c = opening(t, p, true, "tck.source", map { count = 3 }, { credit = array { 1, 9 } })
      c:credit(3, 3000)
      p:nothing(c.id, "FRAME-021")
      complete(c)
      c:expect("STARTED")
      for i = 0, 2 do c:gives(i, "CREDIT-009") end
      c:expect("END")
      t:is("CREDIT-009", c:returns(), 3, "items sent:")
    end },
    CANCEL = function(t, p, c)
      c:is_cancelled({ ran = false }, "FRAME-022")
      p:nothing(c.id, "KIND-019")
      t:alive(p)
    end,
  },
  running = {
    END = function(_, p, c)
      p:nothing(c.id, "STREAM-002")
      c.inner:returns_with(5)
      c:returns(5)
    end,
    STOP = function(_, p, c)
      p:nothing(c.id, "STREAM-005")
      c.inner:started(1)
      c:expect("STARTED", "STREAM-005")
      c:expect("END", "STREAM-004")
      c.inner:returns_with(5)
      c:returns(5)
    end,
    CREDIT = function(_, p, c)
      p:nothing(c.id, "CREDIT-009")
      c.inner:returns_with(5)
      c:returns(5)
    end,
    CANCEL = function(_, _, c)
      c.inner:expect("CANCEL", "MODEL-005")
      c.inner:cancelled_with {}
      c:is_cancelled({ ran = true }, "CANCEL-005")
    end,
  },
  started = {
    ITEM = { own = true, run = function(_, p) callee_twin(nil, p, "ITEM") end },
    END = { own = true, run = function(_, p)
      local c = p:open("tck.gate", map { key = "ended" }, { send = true })
      c:expect("STARTED")
      c:finish()
      p:barrier()
      p:call("tck.open_gate", map { key = "ended" })
      c:returns(value.null)
    end },
    STOP = { own = true, run = function(_, p)
      local c = p:open("tck.duplex", map {}, both_halves)
      c:expect("STARTED")
      c:stop()
      c:expect("END", "STREAM-004")
      c:finish()
      c:returns(0)
    end },
    CREDIT = { own = true, run = function(_, p)
      local c = p:open("tck.source", map { count = 3 }, { credit = array { 1, 1000 } })
      c:expect("STARTED")
      c:gives(0)
      p:nothing(c.id, "CREDIT-003")
      c:credit(3, 3000)
      c:gives(1)
      c:gives(2)
      c:expect("END")
      c:returns(3)
    end },
    CANCEL = function(_, _, c) c:is_cancelled({ ran = true }, "CANCEL-005") end,
  },
}

-- Cells whose fault an earlier check finds, or a later one that the table leads to.
local callee_code = {
  ["opening/ITEM"] = { "frame", "FRAME-018",
    "8.3: it comes between the fragments of OPEN, which is checked first." },
  ["opening/END"] = { "frame", "FRAME-018",
    "8.3: it comes between the fragments of OPEN, which is checked first." },
  ["running/ITEM"] = { "credit", "CREDIT-007",
    "The life table lets it pass, and the half finds that nothing was granted: `credit` and not "
      .. "`state`." },
}

local callee = statetable.new(case, spec, "callee", "callee")
local callee_events = { "OPEN+", "OPEN", "ITEM", "END", "STOP", "CREDIT", "CANCEL" }

local function callee_case(state, event, reach, via)
  local cell = callee:cell(state, event)
  local early = callee_code[state .. "/" .. event]
  local code = early and early[1] or cell.code
  local effect = callee_effect[state] and callee_effect[state][event]
  local streaming = of_stream[event]
  local o = { via = via, places = "both", profile = streaming and "stream" or nil }
  if code then
    o.code, o.why = code, early and early[3]
    o.req = { early and early[2] or state == "unopened" and "FRAME-010" or "CTX-002", "CTX-002",
      "ODD-003" }
    o.run = function(t, p)
      callee_twin(t, p, event)
      local c = reach(t, p, streaming)
      frames[event](c, illegal)
      p:violation(code, c.id, o.req[1])
    end
  elseif cell.result == "ignored" then
    o.req = { "FRAME-011", "CTX-002" }
    o.run = function(t, p)
      local c = reach(t, p, streaming)
      frames[event](c, illegal)
      frames[event](c, illegal)
      p:nothing(c.id, "KIND-019")
      t:alive(p)
    end
  else
    assert(effect, "no effect for callee " .. state .. " x " .. event)
    o.req = { "CTX-002" }
    o.run = function(t, p)
      if type(effect) == "table" then return effect.run(t, p) end
      local c = reach(t, p, streaming)
      frames[event](c, {})
      effect(t, p, c)
    end
  end
  callee:case_for(state, event, o)
end

for _, state in ipairs(callee:states()) do
  for _, event in ipairs(callee_events) do
    for _, way in ipairs(callee_reach[state]) do callee_case(state, event, way[1], way[2]) end
  end
end
callee:reason("*", { "send STARTED", "send ITEM", "send END", "send STOP", "send CREDIT",
  "send RETURN",
  "send ERROR", "send CANCELLED", "send CANCELLED when cancelled", "cancelled", "loss" },
  "A local event of the testee: what it writes is held against this table by the monitor in "
    .. "every case, "
  .. "and what it refuses its own user code cannot be asked from outside.")
callee:complete()

-- The testee as opener ----------------------------------------------------------------------------

-- A context that the testee opened and is the suite's to answer: `inner`; `upper` is the context
-- that made it do so. Two handlers open contexts: one alone, or one beside another.
local openers = {
  relay = function(_, p)
    local upper = p:open("tck.relay", map { target = "x.below" })
    return { upper = upper, inner = p:accept("x.below", "KIND-018") }
  end,
  nursery = function(_, p)
    local upper = p:open("tck.nursery",
      map { open = array { map { target = "x.beside" }, map { target = "x.below" } } })
    local s = { upper = upper, beside = p:accept("x.beside", "KIND-018"),
      inner = p:accept("x.below", "KIND-018") }
    upper:expect("STARTED")
    return s
  end,
}

local function cancel_down(s)
  s.upper:cancel { grace = 60000 }
  s.inner:expect("CANCEL", "MODEL-005")
end

-- What ends a context that the testee opened, and what has to come of it above.
local endings = {
  RETURN = function(s)
    s.inner:returns_with(5)
    s.upper:returns(5, "CTX-001")
  end,
  ERROR = function(s)
    s.inner:fail_with { code = "acme.x" }
    s.upper:errors("acme.x", "CTX-001")
  end,
  CANCELLED = function(s)
    s.inner:cancels_itself { origin = "shutdown" }
    s.upper:errors("cancelled", "CANCEL-011")
  end,
  ["CANCELLED after CANCEL"] = function(s)
    cancel_down(s)
    s.inner:cancelled_with {}
    s.upper:is_cancelled({}, "CANCEL-010")
  end,
}

local function sender_of(event)
  return frames[event == "CANCELLED after CANCEL" and "CANCELLED" or event]
end

-- A context of the testee's that takes this frame.
local function opener_twin(t, p, event)
  local s = openers.relay(t, p)
  if endings[event] then return endings[event](s) end
  if event == "ITEM" or event == "END" then
    -- Nothing that a testee opens wants items: what is left as a twin is the context without them.
    s.inner:started(1)
    s.upper:expect("STARTED")
  else
    sender_of(event)(s.inner, {})
  end
  if event == "STARTED" then s.upper:expect("STARTED") end
  s.inner:returns_with(5)
  s.upper:returns(5)
end

local function started_inner(s)
  s.inner:started(1)
  if not s.beside then s.upper:expect("STARTED") end
  return s
end

local opener_effect = {
  waiting = {
    STARTED = function(_, p, s)
      s.upper:expect("STARTED", "CTX-001")
      p:nothing(s.upper.id, "CTX-001")
      s.inner:returns_with(5)
      s.upper:returns(5)
    end,
  },
}
-- A half that does not listen leaves the life as it is.
local function goes_on(_, p, s)
  p:nothing(s.inner.id, "STREAM-001")
  s.inner:returns_with(5)
  s.upper:returns(5, "CTX-001")
end
for _, state in ipairs { "waiting", "started" } do
  opener_effect[state] = opener_effect[state] or {}
  opener_effect[state].STOP, opener_effect[state].CREDIT = goes_on, goes_on
end

local opener = statetable.new(case, spec, "opener", "opener")
local opener_events = { "STARTED", "ITEM", "END", "STOP", "CREDIT", "RETURN", "ERROR", "CANCELLED",
  "CANCELLED after CANCEL" }

-- An id of the testee's parity that it is far from having opened.
local function never_opened(p)
  return context.new(p, (1 << 40) + (p.connector and 0 or 1), false)
end

local opener_reach = {
  waiting = {
    { openers.relay, "relay" },
    { openers.nursery, "nursery" },
  },
  started = {
    { function(t, p) return started_inner(openers.relay(t, p)) end, "relay" },
    { function(t, p) return started_inner(openers.nursery(t, p)) end, "nursery" },
  },
  ended = {
    { function(t, p)
      local s = openers.relay(t, p)
      endings.RETURN(s)
      return s
    end, "RETURN" },
    { function(t, p)
      local s = openers.relay(t, p)
      endings.ERROR(s)
      return s
    end, "ERROR" },
    { function(t, p)
      local s = openers.relay(t, p)
      endings.CANCELLED(s)
      return s
    end, "CANCELLED" },
    { function(t, p)
      -- Its scope goes on, because another context runs in it.
      local s = openers.nursery(t, p)
      s.inner:returns_with(5)
      p:nothing(s.upper.id, "MODEL-002")
      return s
    end, "RETURN in a scope that goes on" },
  },
}
local absorbed = { function(t, p)
  local s = openers.relay(t, p)
  endings["CANCELLED after CANCEL"](s)
  return s
end, "absorbed" }

local function opener_violation(state, event, reach, via, code, req, why)
  opener:case_for(state, event, {
    via = via, places = "both", profile = of_stream[event] and "stream" or nil, code = code,
      why = why,
    req = { req, "CTX-001", "ODD-003" },
    run = function(t, p)
      opener_twin(t, p, event)
      local s = reach(t, p)
      sender_of(event)(s.inner, illegal)
      p:violation(code, s.inner.id, req)
    end,
  })
end

local function opener_accepted(state, event, reach, via)
  opener:case_for(state, event, {
    via = via, places = "both", profile = of_stream[event] and "stream" or nil, req = { "CTX-001" },
    run = function(t, p)
      local s = reach(t, p)
      if endings[event] then
        endings[event](s)
      else
        sender_of(event)(s.inner, {})
        opener_effect[state][event](t, p, s)
      end
      p:nothing(s.upper.id, "KIND-019")
      t:alive(p)
    end,
  })
end

for _, event in ipairs(opener_events) do
  if opener:cell("unopened", event).result == "violation" then
    opener_violation("unopened", event, function(_, p) return { inner = never_opened(p) } end, nil,
      opener:cell("unopened", event).code, "FRAME-010")
  end
  for _, state in ipairs { "waiting", "started" } do
    local cell = opener:cell(state, event)
    for _, way in ipairs(opener_reach[state]) do
      if cell.result == "violation" then
        opener_violation(state, event, way[1], way[2], cell.code, "CTX-001")
      elseif event == "ITEM" or event == "END" then
        opener_violation(state, event, way[1], way[2], "state", "STREAM-003",
          "The life lets it pass; the half has ended, because the OPEN had no `credit`.")
      elseif way[2] == "relay" then
        opener_accepted(state, event, way[1])
      end
    end
  end
  local cell = opener:cell("ended", event)
  if event == "CANCELLED after CANCEL" then
    opener_violation("ended", event, absorbed[1], absorbed[2], cell.code, "CTX-001")
  else
    for _, way in ipairs(opener_reach.ended) do
      opener_violation("ended", event, way[1], way[2], cell.code, "CTX-001")
    end
    opener_violation("ended", event, absorbed[1], absorbed[2], cell.code, "CTX-001")
  end
end

-- `opening` at the opener: the testee is made to write an OPEN that no transport takes at once, and
-- the suite stops reading after its first fragment. That the testee has met the frame before it
-- could go on writing is shown by calls on another link, which the same testee answers meanwhile.
local function opening_opener(t, p)
  local limits = p.peer.limits or {}
  local size = math.min((limits.message or 1 << 20) - 1000, 900000)
  if size < 400000 then
    t:unsupported("a message that no transport takes at once is beyond its limits")
  end
  local upper = p:open("tck.relay", map { target = "x.below",
    args = array { value.bin(("x"):rep(size)) } },
    { split = 16000 })
  local f = p:await_frame(function(f) return f.name == "OPEN" end, "the first fragment of OPEN",
    "FRAME-019")
  t:check("LIMIT-010", f.more, "an OPEN of " .. size .. " bytes in fragments", "one frame")
  return { upper = upper, inner = context.new(p, f.ctx, false) }
end

local function hold_at_open(p)
  p.fragments = true
  local on_frame = p.on_frame
  p.on_frame = function(l, f)
    on_frame(l, f)
    if f.name == "OPEN" and f.more then
      l:hold()
      l.on_frame = nil
    end
  end
end

local function settle(t, parent)
  for _ = 1, 5 do t:alive(parent) end
end

local function opening_case(event, o)
  opener:case_for("opening", event, {
    profile = of_stream[event] and "stream" or nil, code = o.code, req = { "CTX-001", "FRAME-019" },
    run = function(t)
      local parent = t:boot { listen = true }
      local p = t:dial(parent, { hello = { limits = map { frame = 16384 } } })
      if not o.ends then opener_twin(t, p, event) end
      hold_at_open(p)
      o.run(t, p, opening_opener(t, p), parent)
      t:alive(parent)
    end,
  })
end
for _, event in ipairs(opener_events) do
  local cell = opener:cell("opening", event)
  if cell.result == "violation" then
    opening_case(event, { code = cell.code, run = function(t, p, s, parent)
      sender_of(event)(s.inner, illegal)
      settle(t, parent)
      p:release()
      p:violation(cell.code, s.inner.id, "CTX-001")
    end })
  end
end
opening_case("CANCELLED after CANCEL", { ends = true, run = function(t, p, s, parent)
  s.upper:cancel { grace = 60000 }
  settle(t, parent)
  p:release()
  local f = p:await_frame(function(f)
    return f.ctx == s.inner.id and (f.name == "CANCEL" or not f.more)
  end,
    "CANCEL between the fragments of OPEN", "FRAME-024")
  t:check("FRAME-024", f.name == "CANCEL", "CANCEL before the last fragment of OPEN",
    "the whole OPEN")
  -- What came before it are fragments; one that came after it is the monitor's to find.
  while p:take(function(g) return g.ctx == s.inner.id end) do end
  s.inner:cancelled_with({ ran = false }, illegal)
  s.upper:is_cancelled({}, "CANCEL-010")
  p:nothing(s.inner.id, "CANCEL-002")
  t:alive(p)
end })
opener:reason("*", { "send OPEN+", "send OPEN", "send ITEM", "send END", "send STOP", "send CREDIT",
  "send CANCEL", "loss" },
  "A local event of the testee: what it writes is held against this table by the monitor in "
    .. "every case, "
  .. "and what it refuses its own user code cannot be asked from outside.")
opener:complete()
