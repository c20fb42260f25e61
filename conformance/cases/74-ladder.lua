-- SPDX-License-Identifier: MIT
--
-- The ladder: CANCEL, SIGTERM, SIGKILL, each in its time, for a child that has to go and for one
-- that has lost its link; and what is left of a child whose parent was killed.
local case = ...
local child = require "child"
local pattern = require "pattern"
local play = require "play"
local value = require "value"

local function spawn_case(o) pattern.child(case, o) end

spawn_case {
  id = "cancel", req = { "LADDER-001", "CANCEL-012", "CANCEL-017" },
  title = "A cancellation reaches a child as CANCEL on copse.actor, with its cause",
  why = "It is the first rung.",
  run = function(t, c)
    c:boot()
    c.ctx:cancel { origin = "parent", by = play.someone, message = "enough", grace = 60000 }
    local f = c.actor:expect("CANCEL", "LADDER-001")
    t:is("CANCEL-012", f.value.origin, "parent", "origin")
    t:is("CANCEL-012", f.value.by, play.someone, "by")
    t:is("CANCEL-012", f.value.message, "enough", "message")
    t:check("CANCEL-016", f.value.grace == nil or f.value.grace <= 45000,
      "a grace of at most 45000", value.show(f.value))
    c.ctx:nothing("MODEL-002")
    c.actor:cancelled_with { origin = "parent", by = play.someone }
    c.ctx:nothing("LADDER-006")
    c:exit(0)
    c.ctx:is_cancelled({ origin = "parent", by = play.someone, ran = true }, "CANCEL-010")
    t:check("LADDER-001", #c.signals == 0, "no signal", #c.signals .. " signals")
  end,
}

spawn_case {
  id = "cancel.returns", req = { "CANCEL-007", "LADDER-001" },
  title = "A child that answers CANCEL with RETURN and exits is no error",
  why = "It was done already.",
  run = function(_, c)
    c:boot()
    c.ctx:cancel { grace = 60000 }
    c.actor:expect("CANCEL", "LADDER-001")
    c.actor:returns_with()
    c:exit(0)
    c.ctx:expect({ "CANCELLED", "RETURN" }, "CANCEL-007")
  end,
}

spawn_case {
  id = "cancel.before-hello", req = { "LADDER-002", "MODEL-005" }, args = { grace = 200 },
  title = "A child that is cancelled before its HELLO is ended all the same",
  why = "There may be no link to carry CANCEL.",
  run = function(_, c)
    c.ctx:cancel { grace = 400 }
    c:await_signal(15, "LADDER-001")
    c:exit(0)
    c.ctx:expect({ "CANCELLED", "ERROR" }, "MODEL-005")
  end,
}

for _, obeys in ipairs { "exits", "dies", "ignores" } do
  local ignores = obeys == "ignores"
  spawn_case {
    id = "ladder." .. obeys, req = { "LADDER-001", "SPAWN-018" },
    -- Time enough between SIGTERM and SIGKILL for who obeys.
    args = { grace = ignores and 100 or 1600 },
    title = "A child that does not answer CANCEL is sent SIGTERM, and "
      .. (obeys == "exits" and "may then exit" or obeys == "dies" and "may die of it"
        or "is killed if it ignores that"),
    why = "Every rung has its time; the last one cannot be refused.",
    run = function(t, c)
      c:boot()
      c.ctx:cancel(ignores and { grace = 1500 } or nil)
      c.actor:expect("CANCEL", "LADDER-001")
      t:check("LADDER-001", #c.signals == 0, "CANCEL before any signal", "a signal")
      c:await_signal(15, "LADDER-001")
      if obeys == "exits" then
        c:exit(0)
        return c.ctx:expect({ "CANCELLED", "ERROR" }, "LADDER-001")
      end
      if obeys == "dies" then c:die(15) end
      local e, data = c:died(nil, "SPAWN-018")
      -- Who is slow to die of SIGTERM is killed after all; then that is what has to be named.
      local number = obeys == "dies" and data.signal ~= 9 and 15 or 9
      local want = number == 15 and "TERM" or "KILL"
      t:check("SPAWN-018", type(data.ladder) == "string" and data.ladder:find(want)
        or data.ladder == number,
        "ladder: SIG" .. want, value.show(e.data))
    end,
  }
end

spawn_case {
  id = "terminal-no-exit", req = { "SPAWN-022", "LADDER-001" }, args = { grace = 150 },
  title = "A child that has said its last and does not exit is sent SIGTERM",
  why = "A process that has nothing more to say has nothing more to do.",
  run = function(_, c)
    c:boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.actor:returns_with()
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:expect({ "RETURN", "ERROR" }, "SPAWN-022")
  end,
}

spawn_case {
  id = "terminal-no-exit-stubborn", req = { "SPAWN-022", "SPAWN-018" }, args = { grace = 150 },
  title = "A child that neither exits after its last word nor obeys SIGTERM is killed, and "
    .. "reported",
  why = "The parent cannot end before it.",
  run = function(_, c)
    c:boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.actor:returns_with()
    c:await_signal(15, "SPAWN-022")
    c:died(nil, "SPAWN-018")
  end,
}

spawn_case {
  id = "link-lost", req = { "SPAWN-022", "SPAWN-016", "CTX-004" }, args = { grace = 150 },
  title = "A child that closes its link and lives on is ended and reported as `died`",
  why = "Nobody can reach it any more.",
  run = function(_, c)
    c:boot()
    c:drop()
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:errors("died", "SPAWN-016")
  end,
}

spawn_case {
  id = "link-violated", req = { "SPAWN-022", "LINK-013" }, args = { grace = 150 },
  title = "A child that violates the protocol is ended and reported",
  why = "The link is lost, whoever ended it.",
  run = function(_, c)
    c:boot()
    c.link:raw("\0\0\0\x05" .. ("\0"):rep(8))
    c.link:violation("frame", nil, "FRAME-005")
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:expect("ERROR", "SPAWN-016")
  end,
}

spawn_case {
  id = "parent-ends", req = { "ACTOR-015", "LADDER-001", "SPAWN-014" },
  boot = { args = { grace = 5000 } },
  title = "A testee that is cancelled cancels its child and waits for its exit",
  why = "The chain of processes ends from below.",
  run = function(t, c, p)
    c:boot()
    p.actor:cancel { origin = "shutdown", grace = 5000 }
    local f = c.actor:expect("CANCEL", "ACTOR-015")
    t:is("CANCEL-012", f.value.origin, "shutdown", "origin")
    p.actor:nothing("ACTOR-016")
    c.actor:cancelled_with { origin = "shutdown" }
    c:exit(0)
    c.ctx:is_cancelled({ origin = "shutdown" }, "CANCEL-010")
    p.actor:expect("CANCELLED", "ACTOR-015")
    t:ends(p)
  end,
}

case {
  id = "child.parent-killed", req = { "SPAWN-023", "SPAWN-004", "MODEL-009" }, profile = "spawn",
  title = "A child whose parent is killed learns of it by the end of its link",
  why = "No other process may hold the parent's end.",
  run = function(t)
    local p = t:boot { stat = false }
    local first = child.spawn(t, p):boot()
    local second = child.spawn(t, p):boot()
    p.process:kill(9)
    for _, c in ipairs { first, second } do
      t:await(function() return c.link.eof or c.gone end, "the end of the child's link",
        "SPAWN-004")
      c:exit(0)
    end
    p:await_eof("MODEL-009")
    p:close()
  end,
}
