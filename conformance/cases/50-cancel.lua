-- SPDX-License-Identifier: MIT
--
-- Cancellation of one context: at every point of its life, for every origin; what CANCEL implies,
-- who may defy it, and that none is lost. The time that it gives is the subject of 52-grace.lua.
local case = ...
local context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local someone = play.someone

local origins = { "requested", "error", "deadline", "parent", "shutdown", "link_lost" }

-- The first fragment of an OPEN; the rest is in `rest`.
local function begin_open(p, target, args)
  local bytes = value.encode(map { target = target, args = args })
  local c = context.new(p, p:new_id(), true)
  p:send { "OPEN", c.id, payload = bytes:sub(1, 7), more = true }
  c.rest = bytes:sub(8)
  return c
end

local function gate(p, key, o)
  local c = p:open("tck.gate", map { key = key, value = 7 }, o)
  c:expect("STARTED", "KIND-018")
  return c
end

-- Ten points --------------------------------------------------------------------------------------
-- reach(t, p) brings a context there; after(t, p, c, cancel) does what is left between CANCEL and
-- the terminal. `req` and `absorbs` say whose fault another answer is, where not CANCEL-005's.

local points = {
  {
    name = "unfinished", words = "while its OPEN is unfinished", ran = false, req = "FRAME-022",
    reach = function(_, p) return begin_open(p, "tck.gate", map { key = "k" }) end,
  },
  {
    name = "running", words = "before its STARTED, while it waits for a context below",
    absorbs = "CANCEL-010", -- an ERROR in its place would be what the context below has answered
    reach = function(_, p)
      local c = p:open("tck.relay", map { target = "x.below" })
      c.inner = p:accept("x.below", "KIND-018")
      return c
    end,
    after = function(t, _, c, sent)
      local f = c.inner:expect("CANCEL", "MODEL-005")
      for _, k in ipairs { "origin", "by", "message" } do
        t:is("CANCEL-012", f.value[k], sent[k], "CANCEL with " .. k)
      end
      c.inner:cancelled_with { origin = f.value.origin, by = f.value.by, message = f.value.message }
    end,
  },
  {
    name = "waiting", words = "while its handler waits",
    reach = function(_, p) return gate(p, "k") end,
  },
  {
    name = "stalled", words = "while its handler waits for credit", profile = "stream",
    reach = function(_, p)
      local c = p:open("tck.source", map {}, { credit = { 2, 1000 } })
      c:expect("STARTED")
      c:gives(0)
      c:gives(1)
      return c
    end,
  },
  {
    name = "sending", words = "while it sends items", profile = "stream",
    reach = function(_, p)
      local c = p:open("tck.source", map {}, { credit = { 500, 1 << 20 } })
      c:expect("STARTED")
      c:gives(0)
      return c
    end,
  },
  {
    name = "receiving", words = "while it receives items", profile = "stream",
    reach = function(_, p)
      local c = p:open("tck.sink", map {}, { send = true })
      c:expect("STARTED")
      c:await_credit(3, "CREDIT-001")
      for i = 1, 3 do c:item(i) end
      return c
    end,
  },
  {
    name = "ended-half", words = "after the opener's END", profile = "stream",
    reach = function(_, p)
      local c = p:open("tck.sink", map { hold = "k" }, { send = true })
      c:expect("STARTED")
      c:await_credit(1, "CREDIT-001")
      c:item(1)
      c:finish()
      return c
    end,
  },
  {
    name = "stopped-half", words = "after the opener's STOP", profile = "stream",
    reach = function(_, p)
      local c = p:open("tck.duplex", map {}, { send = true, credit = { 4, 1000 } })
      c:expect("STARTED")
      c:stop()
      c:expect("END", "STREAM-004")
      return c
    end,
  },
  {
    name = "cleaning", words = "a second time, while it cleans up", first = true,
    reach = function(_, p)
      local c = play.cleanup(p, { key = "k", shield = 600000 })
      return c
    end,
    after = function(t, p, c)
      c:cancel { origin = "requested", message = "another", grace = 500000 }
      t:open_gate(p, "k")
    end,
  },
  {
    name = "heedless", words = "while its handler heeds nothing",
    reach = function(_, p)
      local c = p:open("tck.stubborn", map { key = "k", ["then"] = "cancel" })
      c:expect("STARTED")
      return c
    end,
    after = function(t, p, c)
      c:nothing("CANCEL-005")
      t:open_gate(p, "k")
    end,
  },
}

for _, point in ipairs(points) do
  for _, origin in ipairs(origins) do
    case {
      id = "cancel.at-" .. point.name .. "." .. origin:gsub("_", "-"), profile = point.profile,
      req = { "CANCEL-005", "CANCEL-012", point.absorbs or point.req or "CTX-006" },
      title = "A context cancelled with origin " .. origin .. " " .. point.words
        .. " ends CANCELLED",
      why = "CANCEL is answered at every point of a context's life, once, with the cause it gave.",
      run = function(t)
        local p = t:boot()
        local before = t:stat(p)
        local c = point.reach(t, p)
        local sent = { origin = origin, by = someone, message = "enough", grace = 600000 }
        c:cancel(sent)
        if point.after then point.after(t, p, c, sent) end
        local f = c:terminal(point.req or "CANCEL-005")
        t:check(point.absorbs or point.req or "CANCEL-005", f.name == "CANCELLED", "CANCELLED",
          frame.show(f))
        t:is("CANCEL-012", f.value.origin, origin, "origin")
        t:is("CANCEL-012", f.value.by, someone, "by")
        t:is("CANCEL-012", f.value.message, "enough", "message")
        t:is("CTX-006", f.value.ran, point.ran ~= false, "ran")
        p:barrier()
        if point.ran == false then
          t:is("CANCEL-006", t:stat(p).ran - before.ran, 1, "handlers run, tck.stat included:")
        end
      end,
    }
  end
end

pattern.both(case, {
  id = "cancel.at-once", req = { "CANCEL-004", "CANCEL-006", "CTX-006" },
  title = "A CANCEL in the same write as its OPEN is answered, and `ran` tells the truth",
  why = "The callee may or may not have begun the handler; what it says about it must be so.",
  run = function(t, p)
    local before = t:stat(p)
    local c
    p:cork(function()
      c = p:open("tck.gate", map { key = "k" })
      c:cancel()
    end)
    local f = c:next("the terminal", "CANCEL-005")
    if f.name == "STARTED" then f = c:next("the terminal", "CANCEL-005") end
    t:check("CANCEL-005", f.name == "CANCELLED", "CANCELLED", frame.show(f))
    local ran = t:stat(p).ran - before.ran - 1
    t:is("CTX-006", f.value.ran, ran > 0, "ran, of " .. ran .. " handlers begun:")
  end,
})

pattern.both(case, {
  id = "cancel.ended", req = { "FRAME-011", "CROSS-002" },
  title = "A CANCEL for a context that has ended is ignored",
  why = "It crossed the terminal.",
  run = function(t, p)
    local c = p:open("tck.echo", map { v = 1 })
    c:returns(1)
    for _ = 1, 3 do c:cancel { illegal = true } end
    p:nothing(c.id, "KIND-019")
    t:alive(p)
  end,
})

pattern.both(case, {
  id = "cancel.siblings", req = "MODEL-005",
  title = "Cancelling one context leaves its siblings alone",
  why = "A cancellation goes down its own tree only.",
  run = function(t, p)
    local list = {}
    for i = 1, 5 do list[i] = gate(p, "k") end
    list[3]:cancel()
    list[3]:is_cancelled({ origin = "requested", ran = true }, "CANCEL-005")
    for _, i in ipairs { 1, 2, 4, 5 } do p:nothing(list[i].id, "MODEL-005") end
    t:open_gate(p, "k")
    for _, i in ipairs { 1, 2, 4, 5 } do list[i]:returns(7, "MODEL-005") end
  end,
})

-- What CANCEL implies -----------------------------------------------------------------------------

-- A context that stays open for a while after CANCEL, and is gone soon after the loss of its link.
-- Where that is the parent's, the testee may have to end itself by force.
local brief = { args = { grace = 100 } }
local function lingering(t, p)
  t.processes[1].expected[9] = true
  local c = play.cleanup(p, { name = "l", key = "never" }, { send = true })
  c:cancel { grace = 600000 }
  return c
end

local function heedless(p, send)
  local c = p:open("tck.stubborn", map { key = "k", value = 5 }, { send = send })
  c:expect("STARTED")
  return c
end

pattern.reject(case, {
  id = "cancel.then.end", req = { "CANCEL-001", "STREAM-003" }, code = "state",
  title = "END after CANCEL is a violation",
  why = "CANCEL implies END, so a second one is one too many.",
  twin = function(_, p)
    local c = heedless(p, true)
    c:finish()
    p:barrier()
    p:call("tck.open_gate", map { key = "k" })
    c:returns(5)
  end,
  boot = brief, setup = lingering,
  bad = function(_, _, c) c:finish { illegal = true } end,
})

pattern.reject(case, {
  id = "cancel.then.item", req = { "CANCEL-001", "STREAM-003" }, code = "state", profile = "stream",
  title = "ITEM after CANCEL is a violation",
  why = "CANCEL implies END, and after END there are no items.",
  boot = brief, setup = lingering,
  bad = function(_, _, c) c:item(1, { illegal = true }) end,
})

for _, kind in ipairs { "STOP", "CREDIT" } do
  pattern.both(case, {
    id = "cancel.then." .. kind:lower(), req = { "STREAM-001", "CANCEL-001" }, profile = "stream",
    title = kind .. " after CANCEL is ignored",
    why = "The out half has ended; the state table ignores what it would have meant.",
    run = function(t, p)
      local c = heedless(p, true)
      c:cancel()
      if kind == "STOP" then
        c:stop { illegal = true }
      else
        c:credit(5, 5, { illegal = true })
        c:credit(1, 1, { illegal = true })
      end
      p:nothing(c.id, "STREAM-001")
      t:open_gate(p, "k")
      c:returns(5, "CANCEL-005")
    end,
  })
end

case {
  id = "cancel.no-end-owed", req = { "CANCEL-001", "STREAM-001" }, profile = "stream",
  title = "A callee that was cancelled sends no END, only its terminal",
  why = "CANCEL implies STOP, but the out half ends with it and owes nothing.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.duplex", map {}, { send = true, credit = { 4, 1000 } })
    c:expect("STARTED")
    c:cancel()
    c:is_cancelled({ ran = true }, "CANCEL-005")
  end,
}

local bad_payloads = {
  { "no-origin", map { by = someone }, "has no origin" },
  { "origin-unknown", map { origin = "boredom" }, "has an unknown origin" },
  { "origin-nil", map { origin = value.null }, "has nil for its origin" },
  { "grace-negative", map { origin = "requested", grace = -1 }, "has a negative grace" },
  { "grace-float", map { origin = "requested", grace = 1.5 }, "has a fraction for its grace" },
  { "grace-huge", map { origin = "requested", grace = 1 << 53 }, "has a grace of 2^53" },
  { "by-text", map { origin = "requested", by = "me" }, "has a text for `by`" },
  { "by-address", map { origin = "requested", by = value.ref(("a"):rep(16), "a", { "unix:/x" }) },
    "has addresses in `by`" },
  { "message-bin", map { origin = "requested", message = value.bin "x" },
    "has a bin for its message" },
  { "array", array { "requested" }, "is an array" },
}
for _, b in ipairs(bad_payloads) do
  pattern.reject(case, {
    id = "cancel.bad." .. b[1], req = "VALUE-012", code = "schema",
    title = "A CANCEL that " .. b[3] .. " is a violation",
    why = "Its schema is closed for the keys that it knows.",
    twin = function(_, p)
      local c = gate(p, "twin")
      c:send("CANCEL", map { origin = "requested", by = someone, grace = 0, message = "m",
        ["acme.extra"] = array { 1 } })
      c:is_cancelled({ origin = "requested" })
    end,
    setup = function(_, p) return gate(p, "k") end,
    bad = function(_, _, c) c:send("CANCEL", b[2], { illegal = true }) end,
  })
end

pattern.reject(case, {
  id = "cancel.never-opened", req = "FRAME-010", code = "state",
  title = "CANCEL for a context that was never opened is a violation",
  why = "Nothing can have crossed what was never there.",
  twin = function(_, p) p:call("tck.echo", map {}) end,
  bad = function(_, p)
    local c = context.new(p, p:new_id() + 10, true)
    c:cancel { illegal = true }
    return c.id
  end,
})

pattern.reject(case, {
  id = "cancel.by-callee", req = "FRAME-008", code = "state",
  title = "CANCEL from the callee is a violation",
  why = "Only the opener cancels; the callee answers.",
  setup = function(_, p)
    p:open("tck.relay", map { target = "x.below" })
    return p:accept("x.below", "KIND-018")
  end,
  bad = function(_, _, c) c:cancel { illegal = true } end,
})

-- The heedless ------------------------------------------------------------------------------------

case {
  id = "cancel.heedless.return", req = { "CANCEL-005", "KIND-018" },
  title = "A handler that heeds no cancellation may still RETURN, after its grace too",
  why = "Cancellation is a request; what the handler came to by itself stands.",
  run = function(t)
    local p = t:boot()
    local c = heedless(p)
    c:cancel { grace = 0 }
    c:nothing("CANCEL-005")
    t:open_gate(p, "k")
    c:returns(5, "CANCEL-005")
  end,
}

case {
  id = "cancel.heedless.error", req = { "CANCEL-009", "CANCEL-005" },
  title = "An ERROR after CANCEL says `cancelled`",
  why = "So that whoever reads it knows a failure from an aftermath.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.stubborn", map { key = "k", ["then"] = "fail" })
    c:expect("STARTED")
    c:cancel { grace = 0 }
    p:barrier()
    t:open_gate(p, "k")
    c:errors("failed", "CANCEL-009", { cancelled = true })
  end,
}

case {
  id = "cancel.heedless.error-unasked", req = { "CANCEL-009", "VALUE-013" },
  title = "An ERROR without CANCEL does not say `cancelled`",
  why = "The flag would mean nothing if it were always there.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.stubborn", map { key = "k", ["then"] = "fail" })
    c:expect("STARTED")
    t:open_gate(p, "k")
    local e = c:errors("failed", "ERROR-001")
    t:check("CANCEL-009", not e.cancelled, "no `cancelled`", value.show(e))
  end,
}

case {
  id = "cancel.heedless.not-cancelled", req = "CTX-005",
  title = "A context that was not cancelled never ends CANCELLED",
  why = "CANCELLED is the answer to a cancellation and nothing else.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.stubborn", map { key = "k", value = 9, ["then"] = "cancel" })
    c:expect("STARTED")
    t:open_gate(p, "k")
    c:returns(9, "CTX-005")
  end,
}

-- Recorded when it arrives ------------------------------------------------------------------------

pattern.both(case, {
  id = "cancel.recorded.defied", req = { "CANCEL-004", "CANCEL-012" },
  title = "A CANCEL that arrives while user code heeds none is kept until it does",
  why = "What user code is doing says nothing about what its opener has asked for.",
  run = function(t, p)
    local c = p:open("tck.stubborn", map { key = "k", value = 5, ["then"] = "cancel" })
    c:expect("STARTED")
    c:cancel { origin = "parent", by = someone, message = "enough", grace = 600000 }
    p:nothing(c.id, "CANCEL-004")
    t:open_gate(p, "k")
    local f = c:terminal("CANCEL-004")
    t:check("CANCEL-004", f.name == "CANCELLED", "CANCELLED", frame.show(f))
    t:is("CANCEL-012", f.value.origin, "parent", "origin")
    t:is("CANCEL-012", f.value.by, someone, "by")
    t:is("CANCEL-012", f.value.message, "enough", "message")
  end,
})

pattern.both(case, {
  id = "cancel.recorded.unbegun", req = { "CANCEL-004", "CANCEL-006" },
  title = "A CANCEL behind its OPEN, both among many others in one write, is not lost, and what it "
    .. "found not begun does not begin",
  why = "A handler that has its place in a queue is out of it when its CANCEL has arrived.",
  run = function(t, p)
    local waiting, opening = {}, {}
    p:cork(function()
      for i = 1, 8 do
        waiting[i] = p:open("tck.gate", map { key = "w" .. i })
        opening[i] = p:open("tck.open_gate", map { key = "o" .. i })
      end
      for i = 8, 1, -1 do
        opening[i]:cancel()
        waiting[i]:cancel()
      end
    end)
    for i = 1, 8 do
      local f = waiting[i]:terminal("CANCEL-004")
      t:check("CANCEL-004", f.name == "CANCELLED", "CANCELLED of a handler that waits for ever",
        frame.show(f))
      f = opening[i]:terminal("CANCEL-004")
      if f.name == "CANCELLED" and not f.value.ran then
        t:is("CANCEL-004", p:call("tck.open_gate", map { key = "o" .. i }), true,
          "the gate of a handler that did not begin is closed:")
      end
    end
  end,
})

-- The suite gives the OPEN of one handler in two parts, and its CANCEL between them.
pattern.both(case, {
  id = "cancel.recorded.busy", req = { "CANCEL-004", "CANCEL-006" },
  title = "An OPEN that is cancelled before its last fragment does not begin, while other handlers "
    .. "begin, wait and defy",
  why = "Nothing that user code does keeps the protocol layer from writing down a CANCEL.",
  run = function(t, p)
    local c = p:open("tck.stubborn", map { key = "k", value = 5 })
    c:expect("STARTED")
    c:cancel { grace = 0 }
    local late, busy
    p:cork(function()
      late = begin_open(p, "tck.open_gate", map { key = "late" })
      busy = p:open("tck.open_gate", map { key = "other" })
      late:cancel()
    end)
    local f = late:terminal("CANCEL-004")
    t:check("CANCEL-004", f.name == "CANCELLED" and f.value.ran == false,
      "CANCELLED with ran false", frame.show(f))
    busy:returns(true)
    t:is("CANCEL-004", p:call("tck.open_gate", map { key = "late" }), true,
      "the gate of a handler that did not begin is closed:")
    t:open_gate(p, "k")
    c:returns(5, "CANCEL-005")
  end,
})
