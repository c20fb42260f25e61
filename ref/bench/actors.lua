-- SPDX-License-Identifier: MIT
--
-- The Lua half of the benchmarks: both sides of each measurement. Each prints one number.
--
--     copse run ref/bench/actors.lua stream N     an item there and back, microseconds
--                                    rate N       64-byte items one way, per second
--                                    spawn N [MB] until the first answer of a fresh actor, in
--                                                 microseconds; a parent of so many megabytes
--                                    cold N       the same of one that is executed, not cloned
--                                    down N       graceful end of N actors, all reaped,
--                                                 milliseconds
--                                    memory N     proportional share of memory of one of N, KiB
--                                    template N   that of the template of N, KiB

local copse = require "copse"
local M = {}

local PAYLOAD = ("x"):rep(64)
local WARM_UP = 2000

-- ---- the other side ----

M.echo = copse.context(function(ctx)
  ctx:started()
  for item in ctx:items() do ctx:send(item) end
end)

-- The processors to use are the driver's choice; where there are two, each side gets its own.
local function pin(which)
  local cpus = {}
  for cpu in (os.getenv "BENCH_CPUS" or "0 1"):gmatch "%d+" do cpus[#cpus + 1] = cpu end
  local pid = io.open("/proc/self/stat"):read("n")
  os.execute(("taskset -cp %s %d >/dev/null"):format(cpus[which] or cpus[1], pid))
end

M.pin = pin

M.sink = copse.context(function(ctx)
  ctx:started()
  local count = 0
  for item in ctx:items() do
    if #item ~= #PAYLOAD then error("an item that was not sent") end
    count = count + 1
  end
  return count
end, { window = { 65536, 8 << 20 } })

-- ---- the measuring side ----

local modes = {}

local function spawn(n, name)
  return n:spawn(name, { module = "actors" })
end

-- An actor that is little more than an actor.
local function spawn_small(n, name, template)
  return n:spawn(name, { module = "answer", template = template })
end

function modes.stream(count)
  pin(1)
  return copse.nursery(function(n)
    local ctx <close> = spawn(n, "echo"):open("echo")
    local begun
    for i = 1, count + WARM_UP do
      if i == WARM_UP + 1 then begun = copse.now() end
      ctx:send(PAYLOAD)
      ctx:receive()
    end
    local took = copse.now() - begun
    ctx:finish()
    ctx:result()
    return took * 1e6 / count
  end)
end

function modes.rate(count)
  pin(1)
  return copse.nursery(function(n)
    local peer = spawn(n, "sink")
    peer:call("pin", 2)
    local ctx <close> = peer:open("sink")
    local begun = copse.now()
    for _ = 1, count do ctx:send(PAYLOAD) end
    ctx:finish()
    if ctx:result() ~= count then error("something was lost on the way") end
    return count / (copse.now() - begun)
  end)
end

local function spawn_one_by_one(count, megabytes, template)
  pin(1)
  local ballast = ("x"):rep((megabytes or 0) << 20)
  collectgarbage() -- what making it left behind is not to be freed while the clock runs
  local took = {}
  for i = 1, count do
    copse.nursery(function(n)
      local begun = copse.now()
      spawn_small(n, "fresh-" .. i, template):call("answer")
      took[i] = copse.now() - begun
    end)
  end
  table.sort(took)
  return took[(count + 1) // 2] * 1e6, #ballast
end

function modes.spawn(count, megabytes) return spawn_one_by_one(count, megabytes, true) end
function modes.cold(count) return spawn_one_by_one(count, 0, false) end

function modes.down(count)
  local begun
  copse.nursery(function(n)
    for i = 1, count do spawn_small(n, "actor-" .. i):call("answer") end
    begun = copse.now()
  end)
  return (copse.now() - begun) * 1e3
end

local function share_of(pid)
  local rollup <close> = io.open(("/proc/%d/smaps_rollup"):format(pid))
  return tonumber(rollup:read("a"):match("\nPss:%s*(%d+) kB"))
end

local function template_pid()
  local me = io.open("/proc/self/stat"):read("n")
  for pid in io.open(("/proc/%d/task/%d/children"):format(me, me)):read("a"):gmatch "%d+" do
    local words = io.open(("/proc/%s/cmdline"):format(pid)):read("a")
    if words:find("--template", 1, true) then return pid end
  end
  error("there is no template", 0)
end

local function with_idle(count, measure)
  return copse.nursery(function(n)
    local peers = {}
    for i = 1, count do
      peers[i] = spawn_small(n, "idle-" .. i)
      peers[i]:call("answer")
    end
    return measure(peers)
  end)
end

function modes.memory(count)
  return with_idle(count, function(peers)
    local total = 0
    for _, peer in ipairs(peers) do total = total + share_of(peer.pid) end
    return total / count
  end)
end

function modes.template(count)
  return with_idle(count, function() return share_of(template_pid()) end)
end

function M.main(mode, count, ...)
  local run = modes[mode]
    or error("which mode? stream, rate, spawn, cold, down, memory, template", 0)
  local megabytes = ...
  print(("%.4f"):format((run(math.tointeger(count), megabytes and math.tointeger(megabytes)))))
end

return M
