-- SPDX-License-Identifier: MIT
--
-- OPENs that are refused: which of several reasons is given, and that a refusal is the end of one
-- context and of nothing else.
local case = ...
local pattern = require "pattern"
local value = require "value"
local map, array = value.map, value.array

-- Everything that is wrong with an OPEN beside the reason that has to be given.
local refusals = {
  { "no-target", "no_target", { "tck.nothing", map {}, { deadline = 0 } } },
  { "no-target.stream", "no_target", { "tck.nothing", map { started = 1 }, { send = true } } },
  { "denied", "denied", { "copse.actor", map { parent = 7 }, { deadline = 0 } } },
  { "denied.empty", "denied", { "copse.actor", map {}, {} } },
}
for _, r in ipairs(refusals) do
  pattern.both(case, {
    id = "refusal.first." .. r[1], req = { "CTX-010", "ERROR-011" },
    title = "Of several reasons to refuse an OPEN, " .. r[2] .. " comes first: " .. r[1],
    why = "All peers have to say the same; and a refusal ends the context alone.",
    run = function(t, p)
      local before = t:stat(p).ran
      local c = p:open(table.unpack(r[3]))
      c:errors(r[2], "CTX-010")
      p:nothing(c.id, "KIND-019")
      p:open("tck.echo", map { v = 1 }):returns(1, "ERROR-011")
      t:is("CTX-010", t:stat(p).ran - before, 2, "handlers begun, tck.stat and tck.echo:")
    end,
  })
end

pattern.both(case, {
  id = "refusal.first.deadline", req = { "CTX-010", "DEADLINE-004" },
  title = "A deadline of 0 comes before bad arguments",
  why = "Time is over before the handler is asked what it can use.",
  run = function(t, p)
    local before = t:stat(p).ran
    for _, args in ipairs { map {}, map { key = 7 }, array { array {} } } do
      p:open("tck.gate", args, { deadline = 0 }):is_cancelled({ origin = "deadline", ran = false },
        "CTX-010")
      p:open("tck.gate", args):errors("bad_args", "KIND-013")
    end
    t:check("CTX-010", t:stat(p).ran - before <= 4, "at most the three that judged their arguments",
      tostring(t:stat(p).ran - before))
  end,
})

case {
  id = "refusal.first.closing", req = { "CTX-010", "ACTOR-009" },
  title = "On an actor that finishes, `closing` comes before all but the `denied` of copse.actor",
  why = "An actor that ends says so, whatever else could be said of the OPEN.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.gate", map { key = "k", value = 1 }, { send = true })
    c:expect("STARTED")
    p.actor:finish()
    p:barrier()
    p:open("tck.echo", map { v = 1 }):errors("closing", "ACTOR-009")
    p:open("tck.nothing", map {}):errors("closing", "CTX-010")
    p:open("tck.echo", map { v = 1 }, { deadline = 0 }):errors("closing", "CTX-010")
    p:open("tck.gate", map {}):errors("closing", "CTX-010")
    p:open("tck.nothing", map {}, { deadline = 0 }):errors("closing", "CTX-010")
    p:open("copse.actor", map {}):errors("denied", "CTX-010")
    c:cancel()
    c:is_cancelled({}, "ACTOR-012")
    p.actor:expect("RETURN", "ACTOR-012")
    t:ends(p)
  end,
}

case {
  id = "refusal.first.not-ready", req = { "CTX-010", "ACTOR-003" }, needs = "hello",
  title = "Before STARTED of copse.actor, `not_ready` comes before no target, no time and no use",
  why = "It is safe to retry, which none of the others would say.",
  run = function(t)
    local p = t:spawn()
    t:handshake(p)
    p:open("tck.nothing", map {}, { deadline = 0 }):errors("not_ready", "CTX-010")
    p:open("tck.gate", map {}):errors("not_ready", "CTX-010")
    p:open("tck.gate", map {}, { deadline = 0, send = true }):errors("not_ready", "CTX-010")
    p.actor = p:open("copse.actor", t:actor_args(), { send = true })
    p.actor:expect("STARTED", "ACTOR-005")
    p:open("tck.nothing", map {}, { deadline = 0 }):errors("no_target", "CTX-010")
  end,
}

pattern.both(case, {
  id = "refusal.among-calls", req = { "ERROR-011", "KIND-014" },
  title = "Refusals and calls in one write do not disturb each other",
  why = "A refusal is the end of one context and of nothing else.",
  run = function(_, p)
    local good, bad, late = {}, {}, {}
    p:cork(function()
      for i = 1, 4 do
        good[i] = p:open("tck.echo", map { v = i })
        bad[i] = p:open("tck.nothing" .. i, map {})
        late[i] = p:open("tck.gate", map { key = 7 })
      end
    end)
    for i = 1, 4 do
      late[i]:errors("bad_args", "KIND-013")
      bad[i]:errors("no_target", "KIND-014")
      good[i]:returns(i, "ERROR-011")
    end
  end,
})
