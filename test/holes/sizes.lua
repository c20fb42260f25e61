-- SPDX-License-Identifier: MIT
--
-- Many and much: contexts, children, memory.

local copse = require "copse"
local H = require "hazard"

local M = {}

function M.wait() copse.sleep(3600) end
function M.echo(x) return x end

local S = {}

-- Ten thousand calls at once, on a link that takes 256: what is too much fails at
-- once, the rest goes on.
function S.contexts()
  copse.nursery(function(n)
    local a = n:spawn("busy", { module = "sizes" })
    local busy, cancelled = 0, 0
    local ok = pcall(copse.nursery, function(inner)
      for _ = 1, 10000 do
        inner:start(function()
          local fine, err = pcall(a.call, a, "wait")
          if not fine and err.code == "busy" then busy = busy + 1 end
        end)
      end
      H.until_so(function() return busy > 0 end)
      for _ = 1, 10 do copse.yield() end
      inner:cancel()
    end)
    print("at once", ok, busy)
    print("afterwards", a:call("echo", "alive"))
    local sum = 0
    for i = 1, 10000 do sum = sum + a:call("echo", i) end
    print("one after the other", sum)
  end)
end

function S.children()
  copse.nursery(function(n)
    local count = 0
    for i = 1, 200 do
      n:start(function()
        local child = n:spawn("child-" .. i, { module = "sizes" })
        if child:call("echo", i) == i then count = count + 1 end
        if count == 200 then print("children", count) end
      end)
    end
  end)
  print("left", #H.children())
end

-- Two hundred that have to be ended, of which one has died.
function S.massacre()
  local ok, err = pcall(copse.nursery, function(n)
    local first
    for i = 1, 200 do
      local child = n:spawn("child-" .. i, { module = "sizes", wait = false })
      first = first or child
    end
    first:kill(9)
    copse.sleep(3600)
  end)
  print(ok, H.about(err))
  print("left", #H.children())
end

function S.large_parent()
  local ballast = ("x"):rep(1 << 30)
  copse.nursery(function(n)
    for i = 1, 5 do print(n:spawn("child-" .. i, { module = "sizes" }):call("echo", i)) end
  end)
  print("left", #H.children(), #ballast >> 20)
end

function M.main(scenario) return S[scenario]() end

return M
