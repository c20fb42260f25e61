-- SPDX-License-Identifier: MIT
--
-- Cancellation: of the willing, the slow and the unwilling.

local copse = require "copse"
local H = require "hazard"

local M = {}

-- ---- what is cancelled ----

local running, ticks = 0, 0
local release = copse.event()

-- Counts what is under way until it has really ended.
local function counted()
  running = running + 1
  return setmetatable({}, { __close = function() running = running - 1 end })
end

function M.echo(x) return x end

function M.running() return running end

function M.release() release:set() end

function M.tick()
  local here <close> = counted()
  while true do
    ticks = ticks + 1
    copse.yield()
  end
end

function M.burn()
  local here <close> = counted()
  while true do end
end

function M.ticks() return ticks end

-- Its clean-up takes until somebody calls `release`.
M.slow = copse.context(function(ctx)
  local here <close> = counted()
  local clean_up <close> = setmetatable({}, { __close = function()
    copse.shield(60, function() release:wait() end)
  end })
  ctx:started()
  copse.sleep(3600)
end)

M.held = copse.context(function(ctx)
  local here <close> = counted()
  ctx:started()
  copse.sleep(3600)
end)

-- Catches everything, for ever.
M.stubborn = copse.context(function(ctx)
  local here <close> = counted()
  ctx:started()
  while true do pcall(copse.sleep, 3600) end
end)

M.tidy = copse.context(function(ctx)
  local clean_up <close> = setmetatable({}, { __close = function()
    copse.shield(1, function()
      copse.sleep(0.001)
      print("tidied up")
    end)
  end })
  ctx:started()
  copse.sleep(3600)
end)

-- ---- who cancels ----

local S = {}

local function worker(n, grace)
  return n:spawn("worker", { module = "cancels", grace = grace })
end

function S.slow_clean_up()
  copse.nursery(function(n)
    local w = worker(n)
    local ctx <close> = w:open "slow"
    ctx:cancel()
    for i = 1, 3 do print("meanwhile", w:call("echo", i)) end
    print("in clean-up", w:call "running")
    w:call "release"
    print("then", H.attempt(ctx.result, ctx))
    print("at its answer", w:call "running")
  end)
end

local function really_stops(target)
  copse.nursery(function(n)
    local w = worker(n)
    H.again_and_again(function()
      local started = copse.event()
      copse.nursery(function(inner)
        inner:start(function() w:call(target) end)
        H.until_so(function() return target == "burn" or w:call "running" == 1 end)
        inner:cancel()
      end)
      print("at the answer", w:call "running")
    end)
    local before = w:call "ticks"
    for _ = 1, 10 do w:call "echo" end
    print("ticks since", w:call "ticks" - before)
  end)
end

function S.call_stops() really_stops "tick" end
function S.hot_call_stops() really_stops "burn" end

function S.deadline_of_a_call()
  copse.nursery(function(n)
    local w = worker(n)
    print(H.attempt(w.call, w, { "tick", deadline = 0.01 }))
    print("at the answer", w:call "running")
    print(H.attempt(copse.timeout, 0.01, w.call, w, "tick"))
    print("at the answer", w:call "running")
  end)
end

function S.stubborn()
  copse.nursery(function(n)
    local w = worker(n)
    local ctx <close> = w:open "stubborn"
    ctx:cancel()
    print(H.attempt(ctx.result, ctx))
    print("at the answer", w:call "running")
  end)
end

function S.stop_and_cancel()
  print(H.attempt(copse.nursery, function(n)
    local w = worker(n, 0.2)
    local ctx <close> = w:open "tidy"
    w:kill(19)
    H.until_so(function() return H.state(w.pid) == "T" end)
    n:cancel()
  end))
end

-- One that does not even hear SIGTERM, and is stopped.
function S.rogue_stopped()
  print(H.attempt(copse.nursery, function(n)
    local r = n:spawn("rogue",
      H.rogue({ grace = 0.1 }, "ignore=15", "hello", "started", "stop", "hang"))
    H.until_so(function() return H.state(r.pid) == "T" end)
    n:cancel()
  end))
end

local function unwilling(...)
  local steps = { ... }
  H.again_and_again(function()
    print(H.attempt(copse.nursery, function(n)
      n:spawn("rogue", H.rogue({ grace = 0.1 }, table.unpack(steps)))
      n:cancel()
    end))
  end)
end

function S.deaf() unwilling("hello", "started", "hang") end
function S.ignores_sigterm() unwilling("ignore=15", "hello", "started", "hang") end
function S.spins() unwilling("ignore=15", "hello", "started", "spin") end
function S.says_yes_and_stays()
  unwilling("ignore=15", "hello", "started", "until=CANCEL", "cancelled", "hang")
end
function S.closes_and_stays() unwilling("ignore=15", "hello", "started", "close", "hang") end
function S.reads_nothing() unwilling("ignore=15", "hello", "started", "pings=100000", "hang") end
function S.leaves_a_daemon()
  unwilling("detach", "hello", "started", "until=CANCEL", "cancelled")
end
function S.leaves_a_clean_daemon()
  unwilling("detach-away", "hello", "started", "until=CANCEL", "cancelled")
end

-- Waits for a call to a child that takes it and never answers: nothing but the ladder helps.
function S.call_unanswered()
  print(H.attempt(copse.nursery, function(n)
    local r = n:spawn("rogue", H.rogue({ grace = 0.1 }, "hello", "started", "eof", "hang"))
    copse.timeout(0.01, function() r:call "anything" end)
  end))
end

-- For the test to look at from outside.
function S.serve()
  copse.nursery(function(n)
    local w = worker(n)
    H.write("pid.worker", w.pid)
    H.write("address", copse.self().addresses[1])
    print "ready"
    copse.sleep(3600)
  end)
end

function M.main(scenario) return S[scenario]() end

return M
