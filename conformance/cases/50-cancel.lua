-- SPDX-License-Identifier: MIT
-- Cancellation of one context: at every point of its life, for every origin; what CANCEL implies,
-- what a repeat does, and what the grace ends.
local case = ...
local context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local value = require "value"
local map, array = value.map, value.array

local origins = { "requested", "error", "deadline", "parent", "shutdown", "link_lost" }
local someone = value.ref(("\x5c"):rep(16), "someone", {})

-- The terminal of a context, whatever items are before it.
local function terminal(c, req)
  return c.link:await_frame(function(f) return f.ctx == c.id and frame.terminal[f.name] end,
    "the terminal of context " .. c.id, req)
end

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
-- the terminal.

local points = {
  {
    name = "unfinished", words = "while its OPEN is unfinished", ran = false, req = "FRAME-022",
    reach = function(_, p) return begin_open(p, "tck.gate", map { key = "k" }) end,
  },
  {
    name = "running", words = "before its STARTED, while it waits for a context below",
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
      local c = p:open("tck.cleanup", map { name = "c", key = "k", shield = 600000 })
      c:expect("STARTED")
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
      req = { "CANCEL-005", "CANCEL-012", point.req or "CTX-006" },
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
        local f = terminal(c, "CANCEL-005")
        t:check("CANCEL-005", f.name == "CANCELLED", "CANCELLED", frame.show(f))
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
  local c = p:open("tck.cleanup", map { name = "l", key = "never" }, { send = true })
  c:expect("STARTED")
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

-- Clean-up, shields, grace ------------------------------------------------------------------------

local function cleaner(p, args)
  args.name = args.name or "c"
  local c = p:open("tck.cleanup", map(args))
  c:expect("STARTED")
  return c
end

local function log_is(t, p, req, ...)
  t:is(req, array(t:testee_log(p)), array { ... }, "log")
end

case {
  id = "cancel.cleanup.shielded", req = { "MODEL-002", "MODEL-006" },
  title = "A shield holds while the grace lasts, and CANCELLED comes after clean-up",
  why = "Whoever has the terminal may rely on the clean-up being done.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { key = "k", shield = 600000 })
    c:cancel { grace = 600000 }
    c:nothing("MODEL-002")
    log_is(t, p, "MODEL-002", "c:begin")
    t:open_gate(p, "k")
    c:is_cancelled({ ran = true }, "MODEL-002")
    log_is(t, p, "MODEL-002", "c:begin", "c:end")
  end,
}

local function timed_out(o)
  case {
    id = "cancel.grace." .. o.id, req = o.req, title = o.title, why = o.why,
    run = function(t)
      local p = t:boot { args = o.args }
      local c = cleaner(p, { key = "k", shield = o.shield or 600000 })
      o.cancel(t, p, c)
      c:is_cancelled({ ran = true }, o.req)
      log_is(t, p, o.req, "c:begin", "c:timeout")
    end,
  }
end

timed_out {
  id = "ends-shield", req = "CANCEL-015", title = "The end of the grace ends a shield",
  why = "A shield without a bound would make cancellation optional.",
  cancel = function(_, _, c) c:cancel { grace = 30 } end,
}
timed_out {
  id = "zero", req = "CANCEL-015", title = "A grace of 0 ends a shield at once",
  why = "It is the way to say: now.",
  cancel = function(_, _, c) c:cancel { grace = 0 } end,
}
timed_out {
  id = "default", req = "CANCEL-015", args = { grace = 50 },
  title = "A CANCEL without grace has the one given at boot",
  why = "The parent sets what holds where nobody says otherwise.",
  cancel = function(_, _, c) c:cancel() end,
}
timed_out {
  id = "shield-first", req = "MODEL-002", shield = 30,
  title = "A shield ends by its own time, within a long grace",
  why = "The tighter of the two bounds holds.",
  cancel = function(_, _, c) c:cancel { grace = 600000 } end,
}
timed_out {
  id = "shortened", req = "CANCEL-003", title = "A repeated CANCEL shortens the grace",
  why = "This is the one thing that a repeat is for.",
  cancel = function(_, p, c)
    c:cancel { grace = 600000 }
    c:nothing("CANCEL-003")
    c:cancel { grace = 0 }
  end,
}
timed_out {
  id = "not-lengthened", req = "CANCEL-003",
    title = "A repeated CANCEL does not lengthen the grace",
  why = "A promise once given to the layer above must hold.",
  cancel = function(_, p, c)
    p:cork(function()
      c:cancel { grace = 300 }
      c:cancel { grace = 600000 }
    end)
  end,
}

case {
  id = "cancel.grace.large", req = "CANCEL-015",
  title = "The largest grace is not an overflow",
  why = "2^53-1 ms does not fit the timers of some systems.",
  run = function(t)
    local p = t:boot()
    for i, grace in ipairs { (1 << 31) - 1, 1 << 31, 1 << 32, (1 << 53) - 1 } do
      local c = cleaner(p, { key = "k" .. i, shield = 600000, name = "n" .. i })
      c:cancel { grace = grace }
      c:nothing("CANCEL-015")
      t:open_gate(p, "k" .. i)
      c:is_cancelled({ ran = true }, "CANCEL-015")
      local log = t:testee_log(p)
      t:is("CANCEL-015", log[#log], "n" .. i .. ":end", "log")
    end
  end,
}

case {
  id = "cancel.repeat.storm", req = { "CANCEL-003", "KIND-018" },
  title = "A hundred CANCELs for one context have one terminal, of the first cause",
  why = "Nervous openers repeat themselves.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { key = "k", shield = 600000 })
    p:cork(function()
      for i = 1, 100 do
        c:cancel { origin = origins[(i - 1) % 6 + 1], message = "m" .. i, grace = 600000 }
      end
    end)
    c:nothing("CANCEL-003")
    t:open_gate(p, "k")
    c:is_cancelled({ origin = "requested", message = "m1" }, "CANCEL-003")
    p:nothing(c.id, "KIND-019")
    log_is(t, p, "MODEL-005", "c:begin", "c:end")
  end,
}

for _, waits in ipairs { 1, 50 } do
  case {
    id = "cancel.level.waits-" .. waits, req = "MODEL-006",
    title = "After a cancellation every further wait fails (" .. waits .. ")",
    why = "A handler that swallows one cancellation must meet the next.",
    run = function(t)
      local p = t:boot()
      local c = cleaner(p, { waits = waits })
      c:cancel { grace = 600000 }
      c:is_cancelled({ ran = true }, "MODEL-006")
      log_is(t, p, "MODEL-006", "c:begin", "c:failed=" .. waits, "c:end")
    end,
  }
end

case {
  id = "cancel.cleanup.error", req = { "CANCEL-009", "CANCEL-005" },
  title = "An error in clean-up becomes an ERROR that says `cancelled`",
  why = "A failed clean-up must not look like a good one.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { error = "acme.leftover" })
    c:cancel { grace = 600000 }
    local e = c:errors("acme.leftover", "CANCEL-009", { cancelled = true })
    t:is("ERROR-002", e.actor, value.ref(p.peer.actor.id, p.peer.actor.name, {}), "actor")
    log_is(t, p, "MODEL-002", "c:begin", "c:end")
  end,
}

case {
  id = "cancel.cleanup.call", req = { "MODEL-006", "MODEL-002" },
  title = "Clean-up can open contexts in its shield, and the terminal waits for them",
  why = "To undo something remote takes a call.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { shield = 600000, call = map { target = "x.undo", args = array { 1 } } })
    c:cancel { grace = 600000 }
    local inner = p:accept("x.undo", "MODEL-006")
    c:nothing("MODEL-002")
    inner:returns_with(1)
    c:is_cancelled({ ran = true }, "MODEL-002")
    log_is(t, p, "MODEL-002", "c:begin", "c:end")
  end,
}

case {
  id = "cancel.cleanup.call-error", req = { "CANCEL-009", "ERROR-005" },
  title = "The error of a call in clean-up is passed on, and says `cancelled`",
  why = "It arose after the cancellation, whoever raised it.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { shield = 600000, call = map { target = "x.undo" } })
    c:cancel { grace = 600000 }
    p:accept("x.undo", "MODEL-006"):fail_with { code = "conflict", message = "no" }
    c:errors("conflict", "CANCEL-009", { message = "no", cancelled = true })
  end,
}

case {
  id = "cancel.cleanup.call-cut", req = { "MODEL-002", "MODEL-006" },
  title = "The end of a shield cancels a call in clean-up, and the terminal still waits for it",
  why = "No shield keeps a subtree alive, and no terminal leaves one behind.",
  run = function(t)
    local p = t:boot()
    local c = cleaner(p, { shield = 50, call = map { target = "x.undo" } })
    c:cancel { grace = 600000 }
    local inner = p:accept("x.undo", "MODEL-006")
    inner:expect("CANCEL", "MODEL-006")
    c:nothing("MODEL-002")
    inner:cancelled_with {}
    c:is_cancelled({ ran = true }, "MODEL-002")
    log_is(t, p, "MODEL-006", "c:begin", "c:timeout")
  end,
}

-- Loss --------------------------------------------------------------------------------------------

for _, how in ipairs { "end", "cut", "violation", "bye-code" } do
  local words = {
    ["end"] = "the end of its input", cut = "an end in the middle of a frame",
    violation = "a violation of its opener", ["bye-code"] = "BYE with a code",
  }
  case {
    id = "cancel.loss." .. how, req = { "MODEL-007", how == "cut" and "LINK-005" or "MODEL-002" },
    title = "A link lost by " .. words[how] .. " cancels what was opened over it, and nothing else",
    why = "A callee whose opener is gone works for nobody.",
    run = function(t)
      local p = t:boot { listen = true }
      local d = t:dial(p)
      local mine = gate(p, "k")
      cleaner(d, { key = "k2", shield = 600000, name = "lost" })
      local before = t:stat(p)
      if how == "end" then
        d:close()
      elseif how == "cut" then
        d:write("\0\0\9\16")
        d:close()
      elseif how == "violation" then
        d:raw("\0\0\0\x05" .. ("\0"):rep(8))
        d:violation("frame", nil, "FRAME-005")
      else
        d:bye { code = "internal" }
        d:await_eof("LINK-015")
        d:close()
      end
      -- The log of the clean-up tells when the cancellation has arrived.
      local log
      for try = 1, 200 do
        log = t:testee_log(p)
        if log[1] then break end
        t:elapse(math.min(try, 20))
      end
      t:is("MODEL-007", log[1], "lost:begin", "log")
      p:nothing(mine.id, "MODEL-007")
      t:open_gate(p, "k2")
      t:open_gate(p, "k")
      mine:returns(7, "MODEL-007")
      for try = 1, 200 do
        log = t:testee_log(p)
        if log[2] then break end
        t:elapse(math.min(try, 20))
      end
      t:is("MODEL-002", log[2], "lost:end", "log")
      t:is("MODEL-007", t:stat(p).cancelled - before.cancelled, 1, "handlers cancelled")
      d.loose = true
    end,
  }
end

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
    local f = terminal(c, "CANCEL-004")
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
      local f = terminal(waiting[i], "CANCEL-004")
      t:check("CANCEL-004", f.name == "CANCELLED", "CANCELLED of a handler that waits for ever",
        frame.show(f))
      f = terminal(opening[i], "CANCEL-004")
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
    local f = terminal(late, "CANCEL-004")
    t:check("CANCEL-004", f.name == "CANCELLED" and f.value.ran == false,
      "CANCELLED with ran false", frame.show(f))
    busy:returns(true)
    t:is("CANCEL-004", p:call("tck.open_gate", map { key = "late" }), true,
      "the gate of a handler that did not begin is closed:")
    t:open_gate(p, "k")
    c:returns(5, "CANCEL-005")
  end,
})

-- The ladders of children -------------------------------------------------------------------------
-- The testee has a child that heeds nothing, and was told to be patient with it: ten minutes. Its
-- own grace is a second or two. What is looked for is not how punctual the ladder is, but whose
-- time it goes by.

local function ladder(o)
  case {
    id = "cancel.ladder." .. o.id, req = { "CANCEL-017", "LADDER-001" }, profile = "spawn",
    processes = true, title = o.title,
    why = "A patient middle is killed by the layer above before it has killed the layer below.",
    run = function(t)
      local p = t:boot { args = o.args }
      local c = require "child".spawn(t, p, { grace = 600000, boot = 600000 })
      if o.boots ~= false then c:boot() end
      o.cancel(c.ctx, c)
      t:await(function() return c.gone end, "the end of the child, within the grace of its parent",
        "CANCEL-017")
      c.ctx:expect({ "CANCELLED", "ERROR" }, "CANCEL-017")
      c:await_reaped("LADDER-006")
    end,
  }
end

ladder {
  id = "cancel", title = "A child that heeds nothing ends within the grace of its parent's CANCEL",
  cancel = function(ctx) ctx:cancel { grace = 1500 } end,
}
ladder {
  id = "boot", args = { grace = 1500 },
  title = "A child that heeds nothing ends within the grace that its parent was given at boot",
  cancel = function(ctx) ctx:cancel() end,
}
ladder {
  id = "unbooted", boots = false,
  title = "A child that never says a word ends within the grace of its parent's CANCEL",
  cancel = function(ctx) ctx:cancel { grace = 1500 } end,
}
ladder {
  id = "shortened",
  title = "A ladder that has begun hurries when a repeated CANCEL shortens the grace",
  cancel = function(ctx, c)
    ctx:cancel { grace = 600000 }
    c.actor:expect("CANCEL", "LADDER-001")
    ctx:cancel { grace = 1500 }
  end,
}
