-- SPDX-License-Identifier: MIT
--
-- A tree of processes, and what one error in its root makes of it.
--
--     copse run examples/self_destruct.lua [BRANCHES]
--
-- One actor per core, each with two leaves below it, none of which would ever end by itself. Then
-- the root fails. When the nursery has passed its error on, everything that was born in it has been
-- cancelled, has ended and has been reaped, at every level; the program counts, to see that it is
-- true.

local copse = require "copse"
local M = {}

-- ---- the actors below ----

M.leaf = copse.context(function(ctx)
  ctx:started()
  while true do copse.sleep(3600) end
end)

M.branch = copse.context(function(ctx, leaves)
  ctx:started()
  copse.nursery(function(n)
    for i = 1, leaves do
      n:start(function()
        local leaf = n:spawn("leaf-" .. i, { module = "self_destruct" })
        local held <close> = leaf:open("leaf")
        ctx:send(i) -- tells the root that this leaf has grown
        held:result()
      end)
    end
  end)
end)

-- ---- looking at them ----

-- Every actor answers copse.info with a list: itself, then all that is below it, each with its
-- parent; `copse tree` asks the same.
local function show(list, indent, pids)
  local below, depth = {}, {}
  for _, info in ipairs(list) do
    local above = info.parent and info.parent.id
    depth[info.ref.id] = above and depth[above] and depth[above] + 1 or 0
    if above then below[above] = (below[above] or 0) + 1 end
    pids[#pids + 1] = info.pid
  end
  for _, info in ipairs(list) do
    print(("%s%s (%s, %d below)"):format(indent .. ("  "):rep(depth[info.ref.id]), info.ref.name,
      info.state, below[info.ref.id] or 0))
  end
end

-- A process that has ended and was not reaped is still there, as a zombie.
local function exists(pid)
  local status <close> = io.open(("/proc/%d/status"):format(pid))
  return status ~= nil
end

-- ---- the root ----

local function cores()
  local nproc <close> = io.popen("nproc")
  return nproc:read("n") or 2
end

function M.main(branches)
  branches = tonumber(branches) or cores()
  local pids = {}

  local ok, err = pcall(copse.nursery, function(n)
    local grown = copse.event()
    local count = 0
    local peers = {}
    for i = 1, branches do
      peers[i] = n:spawn("branch-" .. i, { module = "self_destruct" })
      n:start(function()
        local ctx <close> = peers[i]:open("branch", 2)
        for _ in ctx:items() do
          count = count + 1
          if count == 2 * branches then grown:set() end
        end
      end)
    end
    grown:wait()

    print("the tree:")
    for _, peer in ipairs(peers) do show(peer:call("copse.info"), "  ", pids) end
    error("self-destruct", 0)
  end)

  print("the nursery failed: " .. err.message)
  local left = 0
  for _, pid in ipairs(pids) do
    if exists(pid) then left = left + 1 end
  end
  print(("of %d processes, %d are left"):format(#pids, left))
  if ok or left > 0 then error("something survived", 0) end
end

return M
