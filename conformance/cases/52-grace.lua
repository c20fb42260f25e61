-- SPDX-License-Identifier: MIT
--
-- What lies between CANCEL and its answer: clean-up, the shields that protect it, and the grace
-- that bounds them. So too where no CANCEL came because the link was lost, and where the time is
-- that of a child's ladder.
local case = ...
local child = require "child"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array

local origins = { "requested", "error", "deadline", "parent", "shutdown", "link_lost" }

-- Clean-up, shields, grace ------------------------------------------------------------------------

local function log_is(t, p, req, ...)
  t:is(req, array(t:testee_log(p)), array { ... }, "log")
end

case {
  id = "cancel.cleanup.shielded", req = { "MODEL-002", "MODEL-006" },
  title = "A shield holds while the grace lasts, and CANCELLED comes after clean-up",
  why = "Whoever has the terminal may rely on the clean-up being done.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { key = "k", shield = 600000 })
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
      local c = play.cleanup(p, { key = "k", shield = o.shield or 600000 })
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
  cancel = function(_, _, c)
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
      local c = play.cleanup(p, { key = "k" .. i, shield = 600000, name = "n" .. i })
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
    local c = play.cleanup(p, { key = "k", shield = 600000 })
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
      local c = play.cleanup(p, { waits = waits })
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
    local c = play.cleanup(p, { error = "acme.leftover" })
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
    local undo = map { target = "x.undo", args = array { 1 } }
    local c = play.cleanup(p, { shield = 600000, call = undo })
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
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
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
    local c = play.cleanup(p, { shield = 50, call = map { target = "x.undo" } })
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
      local mine = p:open("tck.gate", map { key = "k", value = 7 })
      mine:expect("STARTED", "KIND-018")
      play.cleanup(d, { key = "k2", shield = 600000, name = "lost" })
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
      t:is("MODEL-007", t:await_log(p, 1)[1], "lost:begin", "log")
      p:nothing(mine.id, "MODEL-007")
      t:open_gate(p, "k2")
      t:open_gate(p, "k")
      mine:returns(7, "MODEL-007")
      t:is("MODEL-002", t:await_log(p, 2)[2], "lost:end", "log")
      t:is("MODEL-007", t:stat(p).cancelled - before.cancelled, 1, "handlers cancelled")
      d.loose = true
    end,
  }
end

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
      local c = child.spawn(t, p, { grace = 600000, boot = 600000 })
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
