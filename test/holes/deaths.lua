-- SPDX-License-Identifier: MIT
--
-- Deaths, and what the living get to know of them.

local copse = require "copse"
local H = require "hazard"

local M = {}

-- ---- what the victims do ----

function M.pid() return H.pid() end

function M.wait(mark)
  if mark then H.write("waiting." .. mark, "") end
  copse.sleep(3600)
end

M.silent_stream = copse.context(function(ctx)
  ctx:started()
  copse.sleep(3600)
end)

-- A branch with two leaves, one of which never comes back to its loop.
M.branch = copse.context(function(ctx)
  H.sign("branch")
  ctx:started()
  copse.nursery(function(n)
    for _, how in ipairs { "idle", "hot", "blocked" } do
      local leaf = n:spawn("leaf-" .. how, { module = "deaths", grace = 0.5 })
      n:start(function()
        local held <close> = leaf:open("leaf", how)
        ctx:send(how)
        held:result()
      end)
    end
  end)
end)

M.leaf = copse.context(function(ctx, how)
  H.sign("leaf-" .. how)
  ctx:started()
  if how == "hot" then
    while true do end
  elseif how == "blocked" then
    return (("a"):rep(64)):find(("a?"):rep(48) .. ("a"):rep(64) .. "b")
  end
  copse.sleep(3600)
end)

-- Helpers that are no actors and would outlive anything: one in our process group,
-- one that has left it.
function M.helpers()
  os.execute "sleep 3600 & setsid sleep 3600 &"
end

-- ---- who watches them die ----

local S = {}

local function victim(n) return n:spawn("victim", { module = "deaths" }) end

-- Each kills a child at a moment at which nobody looks at it.
function S.in_call()
  H.again_and_again(function()
    print(H.attempt(copse.nursery, function(n)
      local v = victim(n)
      n:start(function()
        copse.yield()
        v:kill(9)
      end)
      v:call("wait")
    end))
  end)
end

function S.in_receive()
  H.again_and_again(function()
    print(H.attempt(copse.nursery, function(n)
      local v = victim(n)
      local ctx <close> = v:open("silent_stream")
      n:start(function() v:kill(9) end)
      ctx:receive()
    end))
  end)
end

function S.in_body()
  H.again_and_again(function()
    print(H.attempt(copse.nursery, function(n)
      local v = victim(n)
      v:kill(9)
      copse.sleep(3600)
    end))
  end)
end

-- The wait is for something else, inside a protected call that would swallow an ordinary error.
function S.in_retry_loop()
  print(H.attempt(copse.nursery, function(n)
    local v = victim(n)
    v:kill(9)
    while true do pcall(copse.sleep, 3600) end
  end))
end

function S.while_sending()
  H.again_and_again(function()
    print(H.attempt(copse.nursery, function(n)
      local v = victim(n)
      local ctx <close> = v:open("silent_stream")
      n:start(function() v:kill(9) end)
      while ctx:send(("x"):rep(1000)) do end
    end))
  end)
end

-- Every waiter hears of one death, and the nursery counts it once.
function S.counted_once()
  local heard = 0
  local ok, err = pcall(copse.nursery, function(n)
    local v = victim(n)
    for _ = 1, 5 do
      n:start(function()
        local fine, why = pcall(v.call, v, "wait")
        if not fine then heard = heard + 1 end
        error(why, 0)
      end)
    end
    copse.yield()
    v:kill(9)
  end)
  print(ok, H.about(err), heard)
end

function S.crash()
  print(H.attempt(copse.nursery, function(n)
    victim(n):kill(6)
    copse.sleep(3600)
  end))
end

-- At the moment of the error there is no such process any more, not even a zombie.
function S.reaped()
  local pid
  local ok, err = pcall(copse.nursery, function(n)
    local v = victim(n)
    pid = v:call("pid")
    n:start(function() v:kill(9) end)
    local fine, why = pcall(v.call, v, "wait")
    print("at the error:", fine, H.about(why), H.state(pid))
    error(why, 0)
  end)
  print("after the nursery:", ok, H.about(err), H.state(pid))
end

-- The same for an end that was asked for: the acknowledgement is the end.
function S.acknowledged()
  copse.nursery(function(n)
    local v = victim(n)
    local pid = v:call("pid")
    v:cancel()
    v:wait()
    print("after the cancellation:", H.state(pid))
    v = victim(n)
    pid = v:call("pid")
    v:finish()
    v:wait()
    print("after the finish:", H.state(pid))
  end)
end

-- Three levels; the middle or the root is killed by the test.
function S.tree()
  H.sign("root")
  print(H.attempt(copse.nursery, function(n)
    local branch = n:spawn("branch", { module = "deaths", grace = 1 })
    local ctx <close> = branch:open("branch")
    for _ = 1, 3 do ctx:receive() end
    print("ready")
    ctx:result()
  end))
  print("children left: " .. #H.children())
end

function S.with_helpers()
  H.sign "root"
  copse.nursery(function(n)
    local v = victim(n)
    v:call "helpers"
    H.write("pid.victim", v.pid)
    print "ready"
    copse.sleep(3600)
  end)
end

function M.main(scenario) return S[scenario]() end

return M
