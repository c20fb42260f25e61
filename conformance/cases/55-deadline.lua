-- SPDX-License-Identifier: MIT
--
-- Deadlines: a timeout surfaces exactly once, where somebody asked for it.
local case = ...
local context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local relay = play.relay

local function deadline_of(c) return c.open_frame.value.deadline end

-- At the callee -----------------------------------------------------------------------------------

pattern.both(case, {
  id = "deadline.zero", req = { "DEADLINE-004", "CANCEL-006" },
  title = "A deadline of 0 is CANCELLED without the handler having run",
  why = "There is nothing left of the time, and so nothing to begin.",
  run = function(t, p)
    local before = t:stat(p)
    for _, target in ipairs { "tck.gate", "tck.echo" } do
      local c = p:open(target, map { key = "k" }, { deadline = 0 })
      c:is_cancelled({ origin = "deadline", ran = false }, "DEADLINE-004")
    end
    t:is("CANCEL-006", t:stat(p).ran - before.ran, 1, "handlers run, tck.stat included:")
    p:open("tck.echo", map { v = 1 }, { deadline = 600000 }):returns(1)
  end,
})

local points = {
  {
    "waiting", "while its handler waits", function(p, o)
      local c = p:open("tck.gate", map { key = "k" }, o)
      c:expect("STARTED")
      return c
    end,
  },
  {
    "stalled", "while its handler waits for credit", function(p, o)
      o.credit = { 1, 1000 }
      local c = p:open("tck.source", map {}, o)
      c:expect("STARTED")
      c:gives(0)
      return c
    end, "stream",
  },
  {
    "receiving", "while its handler waits for items", function(p, o)
      o.send = true
      local c = p:open("tck.sink", map {}, o)
      c:expect("STARTED")
      return c
    end, "stream",
  },
  {
    "duplex", "while it stands between two halves", function(p, o)
      o.send, o.credit = true, { 4, 1000 }
      local c = p:open("tck.duplex", map {}, o)
      c:expect("STARTED")
      return c
    end, "stream",
  },
  {
    "cleanup", "and then cleans up", function(p, o) return play.cleanup(p, {}, o) end,
  },
}
for _, point in ipairs(points) do
  case {
    id = "deadline.passes." .. point[1], req = { "DEADLINE-002", "CANCEL-013" }, profile = point[4],
    title = "A context whose deadline passes " .. point[2] .. " is cancelled by its callee",
    why = "The callee does not wait for an opener that may be slow, or gone.",
    run = function(t)
      local p = t:boot()
      local c = point[3](p, { deadline = 60 })
      local v = c:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
      t:check("CANCEL-013", value.is_ref(v.by) and v.by.id == p.peer.actor.id, "by: the testee",
        value.show(v))
    end,
  }
end

case {
  id = "deadline.from-first-fragment", req = "DEADLINE-001",
  title = "The time of an OPEN in fragments runs from the first",
  why = "Otherwise the slowness of a link would prolong the deadline.",
  run = function(t)
    local p = t:boot()
    local before = t:stat(p)
    local bytes = value.encode(map { target = "tck.gate", args = map { key = "k" }, deadline = 50 })
    local c = context.new(p, p:new_id(), true)
    p:send { "OPEN", c.id, payload = bytes:sub(1, 9), more = true }
    p:barrier()
    t:elapse(80)
    p:send { "OPEN", c.id, payload = bytes:sub(10) }
    c:is_cancelled({ origin = "deadline", ran = false }, "DEADLINE-001")
    t:is("CANCEL-006", t:stat(p).ran - before.ran, 1, "handlers run, tck.stat included:")
  end,
}

for _, d in ipairs { (1 << 31) - 1, 1 << 31, (1 << 32) + 1, (1 << 53) - 1 } do
  case {
    id = "deadline.large." .. d, req = "DEADLINE-002",
    title = "A deadline of " .. d .. " ms does not pass at once",
    why = "Such times overflow the timers of many systems.",
    run = function(t)
      local p = t:boot()
      local c = p:open("tck.gate", map { key = "k", value = 1 }, { deadline = d })
      c:expect("STARTED")
      c:nothing("DEADLINE-002")
      t:open_gate(p, "k")
      c:returns(1, "DEADLINE-002")
    end,
  }
end

for _, b in ipairs {
  { "negative", -1 }, { "float", 10.5 }, { "text", "10" }, { "huge", 1 << 53 },
  { "nil", value.null },
} do
  pattern.reject(case, {
    id = "deadline.bad." .. b[1], req = "VALUE-012", code = "schema",
    title = "A deadline that is " .. value.show(b[2]) .. " is a violation",
    why = "It is a count of milliseconds.",
    twin = function(_, p) p:open("tck.echo", map {}, { deadline = 600000 }):expect("RETURN") end,
    bad = function(_, p)
      local id = p:new_id()
      local v = map { target = "tck.echo", args = map {}, deadline = b[2] }
      p:say(frame.pack { kind = "OPEN", ctx = id, payload = value.encode(v) })
      return id
    end,
  })
end

case {
  id = "deadline.heedless.return", req = { "DEADLINE-002", "KIND-018" },
  title = "A RETURN after the deadline stands",
  why = "The callee may have been done already.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.stubborn", map { key = "k", value = 4 }, { deadline = 20 })
    c:expect("STARTED")
    t:elapse(60)
    c:nothing("KIND-018")
    t:open_gate(p, "k")
    c:returns(4, "KIND-018")
  end,
}

case {
  id = "deadline.cleanup-error", req = "CANCEL-009",
  title = "An ERROR after the deadline says `cancelled`",
  why = "The deadline is a cancellation like any other.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { error = "acme.mess" }, { deadline = 20 })
    c:errors("acme.mess", "CANCEL-009", { cancelled = true })
  end,
}

case {
  id = "deadline.grace", req = { "DEADLINE-002", "CANCEL-015" },
  title = "A context whose deadline has passed has the grace given at boot for its clean-up",
  why = "There is no CANCEL that could say another.",
  run = function(t)
    local p = t:boot { args = { grace = 60 } }
    local c = play.cleanup(p, { key = "k", shield = 600000 }, { deadline = 20 })
    c:is_cancelled({ origin = "deadline" }, "CANCEL-015")
    t:is("CANCEL-015", array(t:testee_log(p)), array { "c:begin", "c:timeout" }, "log")
  end,
}

case {
  id = "deadline.siblings", req = { "DEADLINE-002", "MODEL-005" },
  title = "One deadline ends one context",
  why = "Its siblings have their own time.",
  run = function(t)
    local p = t:boot()
    local a = p:open("tck.gate", map { key = "k", value = 1 })
    local b = p:open("tck.gate", map { key = "k" }, { deadline = 30 })
    local c = p:open("tck.gate", map { key = "k", value = 3 }, { deadline = 600000 })
    for _, x in ipairs { a, b, c } do x:expect("STARTED") end
    b:is_cancelled({ origin = "deadline" }, "DEADLINE-002")
    t:open_gate(p, "k")
    a:returns(1, "MODEL-005")
    c:returns(3, "MODEL-005")
  end,
}

case {
  id = "deadline.both-ends", req = { "CROSS-001", "KIND-018" },
  title = "The CANCEL of the opener's clock and the CANCELLED of the callee's cross without harm",
  why = "Both deadlines pass within a moment of each other.",
  run = function(t)
    local p = t:boot()
    for _ = 1, 20 do
      local c = p:open("tck.gate", map { key = "k" }, { deadline = 5 })
      c:expect({ "STARTED" })
      t:elapse(5)
      c:cancel { origin = "deadline", illegal = p.monitor:life_of(c.id) == "ended" }
      c:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
      p:nothing(c.id, "KIND-019")
    end
  end,
}

-- Inheritance -------------------------------------------------------------------------------------

for _, r in ipairs {
  { "inherited", nil, 600000, 600000,
    "A context below has at most what is left of the time above" },
  { "tighter", 1000, 600000, 1000, "A tighter deadline asked for below holds below" },
  { "looser", 900000, 600000, 600000,
    "A looser deadline asked for below is cut to what is left above" },
  { "own", 5000, nil, 5000, "A deadline asked for below holds where above has none" },
} do
  case {
    id = "deadline.below." .. r[1], req = "DEADLINE-005", title = r[5],
    why = "Nothing below may outlast the time of what it works for.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p, { deadline = r[2] }, { deadline = r[3] })
      local d = deadline_of(inner)
      t:check("DEADLINE-005", d and d > 0 and d <= r[4], "a deadline of 1.." .. r[4],
        value.show(inner.open_frame.value))
      inner:returns_with(1)
      upper:returns(1)
    end,
  }
end

case {
  id = "deadline.below.none", req = { "DEADLINE-005", "VALUE-013" },
  title = "Without a deadline above or asked for, there is none below",
  why = "An optional key without a value is left out.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {})
    t:check("DEADLINE-005", deadline_of(inner) == nil, "no deadline",
      value.show(inner.open_frame.value))
    inner:returns_with(1)
    upper:returns(1)
  end,
}

case {
  id = "deadline.below.shrinks", req = "DEADLINE-005",
  title = "The time left shrinks from level to level",
  why = "It is a duration, and it is passing.",
  run = function(t)
    local p = t:boot()
    local first = p:open("tck.relay", map { target = "x.below" }, { deadline = 600000 })
    local chain, left = { first }, 600010
    for _ = 1, 6 do
      local inner = p:accept("x.below", "KIND-018")
      local d = deadline_of(inner)
      t:check("DEADLINE-005", d and d <= left - 10, "a deadline of at most " .. left - 10,
        value.show(inner.open_frame.value))
      t:elapse(15)
      left = d
      chain[#chain + 1] = inner
      chain[#chain + 1] = p:open("tck.relay", map { target = "x.below" }, { deadline = d - 10 })
    end
    local last = p:accept("x.below", "KIND-018")
    last:returns_with(1)
    for i = #chain, 1, -1 do
      if chain[i].mine then chain[i]:returns(1) else chain[i]:returns_with(1) end
    end
  end,
}

case {
  id = "deadline.below.all", req = { "DEADLINE-005", "DEADLINE-003", "MODEL-002" },
  title = "When the time of a scope is over, everything in it is cancelled for the deadline",
  why = "One clock above, many contexts below.",
  run = function(t)
    local p = t:boot()
    local calls = {}
    for i = 1, 4 do calls[i] = map { target = "x." .. i } end
    local upper = p:open("tck.nursery", map { open = array(calls) }, { deadline = 100 })
    upper:expect("STARTED")
    for i = 1, 4 do
      local inner = p:accept("x." .. i)
      local d = deadline_of(inner)
      t:check("DEADLINE-005", d and d <= 100, "a deadline of at most 100",
        value.show(inner.open_frame.value))
      calls[i] = inner
    end
    for i = 1, 4 do
      local f = calls[i]:expect("CANCEL", "DEADLINE-003")
      t:is("DEADLINE-003", f.value.origin, "deadline", "origin")
    end
    for i = 1, 4 do
      upper:nothing("MODEL-002")
      calls[i]:cancelled_with { origin = "deadline" }
    end
    upper:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  end,
}

case {
  id = "deadline.above-cut", req = { "DEADLINE-005", "DEADLINE-004" },
  title = "A context opened when the time is over does not run",
  why = "The time left is 0, and 0 means: not at all.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } },
      { deadline = 20 })
    -- Clean-up runs in a shield after the deadline; what it opens has the time of the shield.
    local inner = p:accept("x.undo", "MODEL-006")
    inner:returns_with(1)
    c:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  end,
}

-- At the opener -----------------------------------------------------------------------------------

case {
  id = "deadline.explicit", req = { "DEADLINE-003", "DEADLINE-006", "CANCEL-013" },
  title = "A deadline asked for raises `deadline` above, after the answer from below",
  why = "Where somebody asked for it, there it surfaces.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 50 })
    local f = inner:expect("CANCEL", "DEADLINE-003")
    t:is("DEADLINE-003", f.value.origin, "deadline", "origin")
    t:check("CANCEL-013", value.is_ref(f.value.by) and f.value.by.id == p.peer.actor.id,
      "by: the testee",
      value.show(f.value))
    upper:nothing("MODEL-003")
    inner:cancelled_with { origin = "deadline" }
    local e = upper:errors("deadline", "DEADLINE-006")
    t:check("CANCEL-009", not e.cancelled, "no `cancelled`", value.show(e))
  end,
}

case {
  id = "deadline.explicit-crossing", req = { "DEADLINE-006", "CROSS-001" },
  title = "A deadline asked for raises `deadline` once, when CANCELLED comes unasked and in time",
  why = "The callee's clock was ahead; it is the same timeout.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 60000 })
    inner:cancels_itself { origin = "deadline", ran = true }
    upper:errors("deadline", "DEADLINE-006")
    p:nothing(inner.id, "CTX-001")
    upper:nothing("KIND-019")
  end,
}

case {
  id = "deadline.explicit-return", req = { "CANCEL-007", "CROSS-001" },
  title = "A RETURN that crosses the CANCEL of a deadline stands",
  why = "Crossing deadline-return: the result is there, so nobody timed out.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 40 })
    inner:expect("CANCEL", "DEADLINE-003")
    inner:returns_with(6)
    upper:returns(6, "CANCEL-007")
  end,
}

case {
  id = "deadline.explicit-error", req = "CANCEL-008",
  title = "An ERROR that crosses the CANCEL of a deadline is kept",
  why = "It says more than `deadline` does.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 40 })
    inner:expect("CANCEL", "DEADLINE-003")
    inner:fail_with { code = "acme.broken", message = "late", cancelled = true }
    local e = upper:errors("acme.broken", "CANCEL-008")
    t:is("CANCEL-008", e.message, "late", "message")
  end,
}

case {
  id = "deadline.explicit-other-cancel", req = { "CANCEL-010", "CANCEL-012" },
  title = "A cancellation from above before the deadline asked for is no timeout",
  why = "The deadline had not passed when it was cancelled.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 600000 })
    upper:cancel { origin = "requested" }
    local f = inner:expect("CANCEL", "CANCEL-012")
    t:is("CANCEL-012", f.value.origin, "requested", "origin")
    inner:cancelled_with {}
    upper:is_cancelled({ origin = "requested" }, "CANCEL-010")
  end,
}

case {
  id = "deadline.explicit-absent-cancelled", req = "CANCEL-011",
  title = "CANCELLED of another origin, unasked, under a deadline is `cancelled`, not `deadline`",
  why = "Its time was not over.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, { deadline = 600000 })
    inner:cancels_itself { origin = "shutdown" }
    upper:errors("cancelled", "CANCEL-011")
  end,
}

case {
  id = "deadline.inherited.asked", req = { "DEADLINE-003", "CANCEL-010" },
  title = "A deadline that was inherited is absorbed below and answered CANCELLED above",
  why = "Whoever gave the deadline raises the error; the middle only passes it on.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {}, { deadline = 60 })
    local f = inner:expect("CANCEL", "DEADLINE-003")
    t:is("DEADLINE-003", f.value.origin, "deadline", "origin")
    t:quiet() -- until both clocks of the testee have struck, whichever came first
    inner:cancelled_with { origin = "deadline" }
    upper:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  end,
}

case {
  id = "deadline.inherited.unasked", req = "DEADLINE-007",
  title = "CANCELLED of a deadline that was inherited is not an error, though it came first",
  why = "The callee's clock was ahead of that of its opener.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {}, { deadline = 300 })
    inner:cancels_itself { origin = "deadline" }
    upper:is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-007")
  end,
}

case {
  id = "deadline.inherited.unasked-siblings", req = "DEADLINE-007",
  title = "The first CANCELLED of an inherited deadline cancels the rest for the deadline",
  why = "It is the cancellation of the scope.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.nursery",
      map { open = array { map { target = "x.1" }, map { target = "x.2" } } }, { deadline = 300 })
    upper:expect("STARTED")
    local a, b = p:accept("x.1"), p:accept("x.2")
    a:cancels_itself { origin = "deadline" }
    local f = b:expect("CANCEL", "DEADLINE-007")
    t:is("DEADLINE-007", f.value.origin, "deadline", "origin")
    upper:nothing("MODEL-002")
    b:cancelled_with { origin = "deadline" }
    upper:is_cancelled({ origin = "deadline" }, "DEADLINE-007")
  end,
}

case {
  id = "deadline.opener.once", req = { "DEADLINE-003", "MODEL-005" },
  title = "A deadline that passes during a cancellation changes nothing",
  why = "The first cause stands.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {}, { deadline = 300 })
    upper:cancel { origin = "requested", grace = 600000 }
    local f = inner:expect("CANCEL", "MODEL-005")
    if f.value.origin == "deadline" then
      -- The machine was so slow that the deadline came first; then it stands.
      inner:cancelled_with { origin = "deadline" }
      return upper:is_cancelled({ origin = "deadline" }, "DEADLINE-002")
    end
    t:elapse(350)
    inner:cancelled_with {}
    local v = upper:is_cancelled({ origin = "requested" }, "CANCEL-003")
    t:check("CANCEL-003", v.ran, "ran true", value.show(v))
    for _, g in ipairs(p.inbox) do
      if g.ctx == inner.id then
        t:check("CANCEL-003", g.name == "CANCEL", "nothing but CANCEL", frame.show(g))
      end
    end
  end,
}
