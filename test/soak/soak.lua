-- SPDX-License-Identifier: MIT
--
-- The long run: opens, streams, cancels and spawns for many minutes, and demands that memory and
-- descriptors are as many at the end as they were at the beginning.
--
--     copse run test/soak/soak.lua [SECONDS]      prints TAP
--
-- What leaks a little leaks in every round, so a long run shows it whatever the machine's speed.
-- Memory counts from the second fifth of the run on, when every pool and cache has its size.

local copse = require "copse"
local M = {}

-- ---- the worker ----

function M.echo(value) return value end

M.count = copse.context(function(ctx)
  ctx:started()
  local i = 0
  while ctx:send(i) do i = i + 1 end
end)

M.sum = copse.context(function(ctx)
  ctx:started()
  local sum = 0
  for item in ctx:items() do sum = sum + item end
  return sum
end)

function M.fail() error("on purpose", 0) end

function M.sleep() copse.sleep(1e6) end

function M.stat()
  -- What Lua itself has not collected yet is no leak.
  collectgarbage() collectgarbage()
  local statm <close> = assert(io.open "/proc/self/statm")
  local _, pages = statm:read("n", "n")
  -- Without a shell that would look: at its first moment the parent's half of its pipe is open yet.
  local fds = 0
  for fd = 0, 255 do
    local file = io.open("/proc/self/fdinfo/" .. fd)
    if file then fds = fds + 1 file:close() end
  end
  return { rss = pages * 4, fds = fds }
end

-- ---- one round of each ----

local rounds = {}

function rounds.calls(worker)
  for i = 1, 200 do assert(worker:call("echo", i) == i) end
end

function rounds.large_calls(worker)
  local text = ("x"):rep(300000)
  assert(worker:call("echo", text) == text)
end

function rounds.streams(worker)
  local ctx <close> = worker:open "sum"
  for i = 1, 1000 do ctx:send(i) end
  ctx:finish()
  assert(ctx:result() == 500500)
end

function rounds.lost_interest(worker)
  local ctx <close> = worker:open "count"
  for i = 0, 99 do assert(ctx:receive() == i) end
end

function rounds.cancels(worker)
  for _ = 1, 50 do
    copse.nursery(function(n)
      n:start(function() worker:call "sleep" end)
      copse.yield()
      n:cancel()
    end)
  end
end

function rounds.deadlines(worker)
  local ok, err = pcall(copse.timeout, 0.001, function() worker:call "sleep" end)
  assert(not ok and err.code == "deadline", tostring(err))
end

function rounds.errors(worker)
  for _ = 1, 20 do
    local ok, err = pcall(worker.call, worker, "fail")
    assert(not ok and err.message == "on purpose", tostring(err))
  end
end

function rounds.spawns()
  copse.nursery(function(n)
    local a, b = n:spawn("a", { module = "soak" }), n:spawn("b", { module = "soak" })
    assert(a:call("echo", 1) + b:call("echo", 2) == 3)
  end)
end

function rounds.kills()
  local ok, err = pcall(copse.nursery, function(n)
    n:spawn("victim", { module = "soak" }):kill(9)
    copse.sleep(1e6)
  end)
  assert(not ok and err.code == "died", tostring(err))
end

-- ---- measuring ----

-- The least that each fifth of the run has seen: what leaks is there in every sample, a large buffer
-- that the C library has not given back yet only in some. (A list of samples would itself grow.)
local function fifths()
  local least = {}
  return least, function(part, sample)
    local at = math.min(5, 1 + part * 5 // 1)
    local seen = least[at] or sample
    least[at] = { rss = math.min(seen.rss, sample.rss), fds = math.min(seen.fds, sample.fds) }
  end
end

function M.main(seconds)
  seconds = tonumber(seconds) or 600
  local names = {}
  for name in pairs(rounds) do names[#names + 1] = name end
  table.sort(names)

  local own, add_own = fifths()
  local other, add_other = fifths()
  local count, slack = 0, nil
  copse.nursery(function(n)
    local worker = n:spawn("worker", { module = "soak" })
    local start = copse.now()
    local part
    repeat
      for _, name in ipairs(names) do rounds[name](worker) end
      count = count + 1
      part = math.min((copse.now() - start) / seconds, count / 50)
      local mine = M.stat()
      slack = slack or mine.rss // 50 + 256
      add_own(part, mine)
      add_other(part, worker:call "stat")
    until part >= 1
  end)

  print "TAP version 13\n1..4"
  local number = 0
  local function judge(who, least, field, more, unit)
    local early = (least[2] or least[1] or least[5])[field]
    local late = least[5][field]
    number = number + 1
    print(("%s %d - %s of the %s stay flat: %d -> %d %s in %d rounds"):format(
      late <= early + more and "ok" or "not ok", number, field, who, early, late, unit, count))
  end
  judge("root", own, "rss", slack, "KiB")
  judge("worker", other, "rss", slack, "KiB")
  judge("root", own, "fds", 0, "descriptors")
  judge("worker", other, "fds", 0, "descriptors")
end

return M
