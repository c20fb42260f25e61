-- SPDX-License-Identifier: MIT
--
-- The testee as a child that is told by signals, or that loses its parent.
local case = ...
local child = require "child"
local play = require "play"
local process = require "process"
local value = require "value"
local map, array = value.map, value.array

local function terminal(t, p, req, origin)
  local f = p.actor:expect("CANCELLED", req)
  t:is(req, f.value.origin, origin, "origin")
  t:ends(p)
end

-- A signal of the suite after which the testee has to go on to the end in order.
local function signal(p, number)
  p.process:kill(number)
  p.process.expected[number] = nil
end

-- SIGTERM and SIGINT ------------------------------------------------------------------------------

case {
  id = "death.sigterm.idle", req = { "LADDER-003", "SPAWN-014" },
  title = "SIGTERM is the cancellation of the actor with origin shutdown",
  why = "A child told to stop by its system stops as if its parent had told it.",
  run = function(t)
    local p = t:boot()
    signal(p, 15)
    terminal(t, p, "LADDER-003", "shutdown")
  end,
}

case {
  id = "death.sigterm.busy", req = { "LADDER-003", "CANCEL-013", "MODEL-002" },
  title = "SIGTERM cancels what runs, and clean-up runs",
  why = "It is no death but a request.",
  run = function(t)
    local p = t:boot()
    local gate = p:open("tck.gate", map { key = "never" })
    gate:expect("STARTED")
    local clean = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
    local upper = p:open("tck.relay", map { target = "x.below" })
    local inner = p:accept("x.below")
    signal(p, 15)
    local f = inner:expect("CANCEL", "LADDER-003")
    t:is("LADDER-003", f.value.origin, "shutdown", "origin")
    t:check("CANCEL-013", value.is_ref(f.value.by) and f.value.by.id == p.peer.actor.id,
      "by: the testee",
      value.show(f.value))
    local undo = p:accept("x.undo", "MODEL-006")
    p:open("tck.echo", map {}):errors("closing", "ACTOR-009")
    gate:is_cancelled({ origin = "shutdown", ran = true }, "LADDER-003")
    p.actor:nothing("ACTOR-016")
    undo:returns_with(1)
    inner:cancelled_with { origin = "shutdown" }
    clean:is_cancelled({ origin = "shutdown" }, "LADDER-003")
    upper:is_cancelled({ origin = "shutdown" }, "LADDER-003")
    terminal(t, p, "LADDER-003", "shutdown")
  end,
}

case {
  id = "death.sigterm.before-actor", req = "LADDER-003", needs = "hello",
  title = "SIGTERM before copse.actor ends the child",
  why = "There is nothing to cancel yet.",
  run = function(t)
    local p = t:spawn()
    t:handshake(p)
    p:barrier()
    p.process:kill(15)
    p:await_eof("LADDER-003")
    p:close()
    t:await(function() return p.process.exit end, "the exit of the child", "LADDER-003")
  end,
}

case {
  id = "death.sigterm.after-cancel", req = { "CANCEL-003", "CROSS-001" },
  title = "SIGTERM after CANCEL is the same cancellation: the first cause stands",
  why = "Crossing sigterm-cancel.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
    p.actor:cancel { origin = "requested", message = "first", grace = 60000 }
    local undo = p:accept("x.undo")
    signal(p, 15)
    undo:returns_with(1)
    c:is_cancelled({ origin = "requested", message = "first" }, "CANCEL-003")
    terminal(t, p, "CROSS-001", "requested")
  end,
}

case {
  id = "death.sigterm.before-cancel", req = { "CANCEL-003", "CROSS-001" },
  title = "CANCEL after SIGTERM is the same cancellation: the first cause stands",
  why = "Crossing sigterm-cancel, the other way round.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
    signal(p, 15)
    local undo = p:accept("x.undo")
    p.actor:cancel { origin = "requested", grace = 60000 }
    p:barrier()
    undo:returns_with(1)
    c:is_cancelled({ origin = "shutdown" }, "CANCEL-003")
    terminal(t, p, "CROSS-001", "shutdown")
  end,
}

case {
  id = "death.sigterm.twice", req = { "LADDER-003", "MODEL-005" },
  title = "A second SIGTERM does not cut the clean-up of the first short",
  why = "It says nothing new.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
    signal(p, 15)
    local undo = p:accept("x.undo")
    signal(p, 15)
    p:barrier()
    undo:returns_with(1)
    c:is_cancelled({ origin = "shutdown" }, "LADDER-003")
    terminal(t, p, "LADDER-003", "shutdown")
  end,
}

for _, when in ipairs { "idle", "busy", "before-actor" } do
  case {
    id = "death.sigint." .. when, req = "LADDER-004", needs = "hello",
    title = "A child ignores SIGINT (" .. when .. ")",
    why = "The terminal sends it to the whole group; the root decides what it means.",
    run = function(t)
      local p
      if when == "before-actor" then
        p = t:spawn()
        t:handshake(p)
        p:barrier()
        signal(p, 2)
        p:barrier()
        p.actor = p:open("copse.actor", t:actor_args(), { send = true })
        p.actor:expect("STARTED", "LADDER-004")
        return t:alive(p)
      end
      p = t:boot()
      local c
      if when == "busy" then
        c = p:open("tck.gate", map { key = "k", value = 1 })
        c:expect("STARTED")
      end
      for _ = 1, 3 do signal(p, 2) end
      p:nothing(nil, "LADDER-004")
      t:alive(p)
      if c then
        t:open_gate(p, "k")
        c:returns(1, "LADDER-004")
      end
    end,
  }
end

-- The loss of the parent's link -------------------------------------------------------------------

local states = {
  { "idle", "nothing runs", function() end },
  { "gate", "a handler waits", function(p) play.gate(p) end },
  { "cleanup", "a handler wants to clean up", function(p)
    play.cleanup(p)
  end },
  { "shield", "a handler cleans up in a shield that nobody ends", function(p)
    play.cleanup(p, { key = "never", shield = 600000 })
  end },
  { "shield-call", "its clean-up calls the parent that is gone", function(p)
    play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
  end },
  { "relay", "it waits for its parent", function(p)
    p:open("tck.relay", map { target = "x.below" })
    p:accept("x.below")
  end },
  { "stubborn", "a handler heeds nothing", function(p)
    p:open("tck.stubborn", map { key = "never" }):expect("STARTED")
  end },
  { "hang", "user code blocks its thread", function(p)
    p:open("tck.crash", map { how = "hang", started = 1 }):expect("STARTED")
  end },
  { "spin", "user code computes for ever", function(p)
    p:open("tck.crash", map { how = "spin", started = 1 }):expect("STARTED")
  end },
  { "sending", "it sends items without end", function(p)
    p:open("tck.source", map { size = 1000 }, { credit = { 1 << 40, 1 << 50 } }):expect("STARTED")
    p:hold()
  end, "stream" },
  { "finishing", "it is finishing its work", function(p)
    p:open("tck.gate", map { key = "never" }):expect("STARTED")
    p.actor:finish()
    p:barrier()
  end },
  { "cancelled", "it is being cancelled", function(p)
    play.cleanup(p, { key = "never", shield = 600000 })
    p.actor:cancel { origin = "parent", grace = 600000 }
    p:barrier()
  end },
}
-- User code that gives nothing else its turn: whoever ends with it has watched beside it.
local heedless = { hang = true, spin = true }
for _, s in ipairs(states) do
  local req = heedless[s[1]] and "SPAWN-023" or "SPAWN-024"
  case {
    id = "death.loss." .. s[1], req = { "SPAWN-024", "SPAWN-023", "MODEL-009" }, profile = s[4],
    processes = true,
    title = "A child whose link is lost while " .. s[2] .. " is gone after the grace",
    why = "Kill a parent in any way, and nothing below it stays.",
    run = function(t)
      local p = t:boot { args = { grace = 300 }, stat = false }
      play.own_end(p)
      s[3](p)
      p:close()
      t:await(function() return p.process.exit end, "the exit of the child", req)
      t:pass(req)
    end,
  }
end

for _, how in ipairs { "half", "cut", "before-hello", "hello-only", "violation", "bye-code" } do
  local words = {
    half = "shut down in one direction", cut = "cut in the middle of a frame",
      ["before-hello"] = "ended before HELLO",
    ["hello-only"] = "ended after HELLO", violation = "ended over a violation",
      ["bye-code"] = "ended by BYE with a code",
  }
  case {
    id = "death.link." .. how, req = { "SPAWN-024", "LINK-005" }, processes = true, needs = "hello",
    title = "A child whose link is " .. words[how] .. " exits",
    why = "However it was lost, it is lost.",
    run = function(t)
      local p
      if how == "before-hello" or how == "hello-only" then
        p = t:spawn()
        if how == "hello-only" then t:handshake(p) end
        p:close()
      else
        p = t:boot { args = { grace = 300 }, stat = false }
        p:open("tck.gate", map { key = "never" }):expect("STARTED")
        if how == "half" then
          p:shutdown()
        elseif how == "cut" then
          p:write("\0\0\9\16\0\0")
          p:shutdown()
        elseif how == "violation" then
          p:raw("\0\0\0\x05" .. ("\0"):rep(8))
          p:violation("frame", nil, "FRAME-005")
        else
          p:bye { code = "internal" }
        end
      end
      if not p.closed then play.own_end(p) end
      t:await(function() return p.process.exit end, "the exit of the child", "SPAWN-024")
      p:close()
    end,
  }
end

for _, status in ipairs { 0, 3 } do
  case {
    id = "death.crash.exit-" .. status, req = "LINK-005",
    title = "A testee that exits with status " .. status .. " leaves no frame behind",
    why = "The suite relies on tck.crash.",
    run = function(t)
      local p = t:boot { stat = false }
      p:open("tck.crash", map { how = "exit", status = status, stderr = "last words",
        started = 1 }):expect("STARTED")
      p:await_eof("LINK-005")
      p:close()
      t:expect_exit(p.process, status)
      t:await(function() return p.process.stderr_ended end, "the end of its error output",
        "LINK-005")
      t:check("LINK-005", p.process.stderr:find("last words", 1, true),
        "last words on its error output",
        p.process.stderr)
    end,
  }
end

case {
  id = "death.crash.close", req = { "LINK-005", "LADDER-002" },
  title = "A testee that closes its link lives on without a word until SIGTERM",
  why = "The suite relies on tck.crash.",
  run = function(t)
    local p = t:boot { stat = false }
    p:open("tck.crash", map { how = "close", started = 1 }):expect("STARTED")
    p:await_eof("LINK-005")
    t:check("LINK-005", not p:first_bye(), "no BYE", "BYE")
    p:close()
    p.process:kill(15)
    t:await(function() return p.process.exit end, "the end by SIGTERM", "LADDER-002")
  end,
}

-- The subtree -------------------------------------------------------------------------------------

local patience = 20000

-- Processes tell nobody that they are there, or gone: one has to look.
local function await_processes(t, n, req)
  local have
  local good = t:poll(function()
    have = #process.marked(t.mark)
    return have == n
  end, patience * t.scale)
  t:check(req, good, n .. " processes", have .. " processes")
end

-- A process that has ended stays in the system's list until its parent has asked how.
local function await_reaped(t, parent, req)
  local zombies
  local good = t:poll(function()
    zombies = process.children(parent, "Z")
    return #zombies == 0
  end, patience * t.scale)
  t:check(req, good, "no ended process that is not reaped", "pids " .. table.concat(zombies, ", "))
end

-- Processes that wait below the testee, each the parent of the next.
local function line(depth)
  local call = map { target = "tck.gate", args = map { key = "never" } }
  for i = depth, 1, -1 do
    call = map { target = "tck.spawn", args = map { name = "d" .. i, grace = 800, call = call } }
  end
  return call
end

local function grow(t, p, depth)
  local call = line(depth)
  local c = p:open(call.target, call.args)
  c:expect("STARTED", "ACTOR-005")
  await_processes(t, depth + 1, "ACTOR-005")
  return c
end

-- The grace is longer than any wait of the suite: what comes at its end comes too late.
for _, s in ipairs(states) do
  if s[1] == "idle" or s[1] == "shield" or s[1] == "stubborn" or heedless[s[1]] then
    case {
      id = "death.loss.passed-on." .. s[1], req = "SPAWN-025", profile = "spawn", processes = true,
      title = "A child whose link is lost while " .. s[2]
        .. " passes the loss on to its own child before its grace is over",
      why = "One grace holds for the whole subtree.",
      run = function(t)
        local p = t:boot { args = { grace = 600000 }, stat = false }
        play.own_end(p)
        local c = child.spawn(t, p, { grace = 600000 }):boot()
        s[3](p)
        p:close()
        -- The end of the link says it, and so does a CANCEL that names the loss as its cause.
        local got = t:await(function()
          return c.link:take(function(f) return f.ctx == c.actor.id and f.name == "CANCEL" end)
            or c.link.eof or c.link:first_bye()
        end, "its child's link ended, or cancelled for the loss", "SPAWN-025")
        if type(got) == "table" and got.name == "CANCEL" then
          t:is("SPAWN-025", got.value.origin, "link_lost", "origin")
        end
        t:pass("SPAWN-025")
        c:exit(0)
        t:await(function() return c.gone end, "the end of the child", "SPAWN-025")
        p.process:kill(9)
        t:await(function() return p.process.exit end, "the exit of the testee", "SPAWN-024")
      end,
    }
  end
end

for _, depth in ipairs { 1, 3 } do
  for _, how in ipairs { "loss", "kill", "kill-stopped" } do
    case {
      id = "death.tree." .. how .. "-" .. depth, profile = "spawn", processes = true,
      req = { "MODEL-009", how == "loss" and "SPAWN-025" or "SPAWN-024" },
      title = depth .. (depth == 1 and " level" or " levels")
        .. " of processes below a testee that "
        .. (how == "loss" and "lost its link" or how == "kill" and "was killed"
          or "was stopped, then killed")
        .. " are gone",
      why = "kill -9 anything anywhere leaves nothing behind.",
      run = function(t)
        local p = t:boot { args = { grace = 1000 }, stat = false }
        play.own_end(p)
        grow(t, p, depth)
        if how == "loss" then
          p:close()
        else
          if how == "kill-stopped" then p.process:kill(19) end
          p.process:kill(9)
        end
        t:await(function() return p.process.exit end, "the exit of the testee", "SPAWN-024")
        p:close()
        await_processes(t, 0, "MODEL-009")
      end,
    }
  end
end

case {
  id = "death.tree.cancel-3", req = { "MODEL-005", "LADDER-006" }, profile = "spawn",
  processes = true,
  title = "Three levels of processes are cancelled from the top and end in order",
  why = "Cancellation crosses every process boundary.",
  run = function(t)
    local p = t:boot { args = { grace = 10000 } }
    local c = grow(t, p, 3)
    -- All three have booted when each answers for itself.
    local function answered(v, depth)
      if not value.is_array(v) or v.n ~= depth + 1 then return false end
      for i = 2, v.n do
        if v[i].rss == nil or not value.eq(v[i].parent, v[i - 1].ref) then return false end
      end
      return true
    end
    local info
    for _ = 1, 200 do
      info = p:call("copse.info", map {}, "REG-010")
      if answered(info, 3) then break end
      t:elapse(10)
    end
    t:check("REG-010", answered(info, 3), "three generations in copse.info", value.show(info))
    c:cancel { origin = "requested", grace = 10000 }
    c:is_cancelled({ origin = "requested", ran = true }, "MODEL-005")
    await_processes(t, 1, "LADDER-006")
  end,
}

case {
  id = "death.tree.sigkill-middle", req = { "SPAWN-016", "SPAWN-017", "MODEL-009", "MODEL-010" },
  profile = "spawn", processes = true,
  title = "A process killed in the middle is `died`, and what was below it is gone",
  why = "The parent survives and cleans up after its child.",
  run = function(t)
    local p = t:boot { args = { grace = 1000 } }
    local c = p:open("tck.spawn", line(2).args)
    local mid = c:expect("STARTED").value.pid
    await_processes(t, 3, "ACTOR-005")
    require "luv".kill(mid, 9)
    local e = c:errors("died", "SPAWN-016")
    t:check("SPAWN-017", value.is_map(e.data) and e.data.signal ~= nil, "the signal in data",
      value.show(e))
    await_processes(t, 1, "MODEL-009")
    await_reaped(t, p.process.pid, "MODEL-010")
  end,
}

case {
  id = "death.tree.finish-3", req = { "ACTOR-012", "SPAWN-014" }, profile = "spawn",
  processes = true,
  title = "A call through three levels of processes returns, and all of them have ended",
  why = "The result comes up after the last process has been reaped.",
  run = function(t)
    local p = t:boot()
    local inner = map { name = "c", call = map { target = "tck.echo", args = array { 42 } } }
    local args = map { name = "a", call = map { target = "tck.spawn",
      args = map { name = "b", call = map { target = "tck.spawn", args = inner } } } }
    local c = p:open("tck.spawn", args)
    c:expect("STARTED")
    c:returns(42, "ACTOR-012")
    t:is("LADDER-006", #process.marked(t.mark), 1, "processes:")
  end,
}
