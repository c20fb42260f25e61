-- SPDX-License-Identifier: MIT
-- What actors do on their own, and what happens when processes die.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises, like = tap.test, tap.is, tap.ok, tap.raises, tap.like

local M = { ended = 0 }
local tick, gate

function M.start(config, n)
  gate = copse.event()
  if config.background then
    n:start(function()
      local _ <close> = setmetatable({}, { __close = function() M.ended = M.ended + 1 end })
      tick = "from the background"
      gate:wait()
      error("the background failed", 0)
    end)
  end
  if config.helper then M.helper = n:spawn("helper", { config = {} }) end
end

function M.get_tick() return tick end
function M.open_gate() gate:set() end
function M.ask_helper() return M.helper:call("name") end
function M.name() return copse.self().name end
function M.meta() return copse.meta() end
M.meta_of_context = copse.context(function(ctx) ctx:started(copse.meta()) end)
function M.env(name) return os.getenv(name) end
function M.directory()
  local pipe = io.popen("pwd")
  local line = pipe:read()
  pipe:close()
  return line
end
function M.say(text) print(text); io.stdout:flush() end
function M.ended_count() return M.ended end
M.hold = copse.context(function(ctx)
  local _ <close> = setmetatable({}, { __close = function() M.ended = M.ended + 1; gate:set() end })
  ctx:started()
  ctx:receive()
  return "was let go"
end)
function M.wait_gate() gate:wait() return M.ended end
function M.hold_other(ref)
  local ctx <close> = copse.reach(ref):open("hold")
  gate:set()
  copse.sleep(1000)
end
function M.die() os.execute("kill -9 " .. io.open("/proc/self/stat"):read("n")) end
function M.cancel_me() error(copse.error { code = "cancelled", message = "not really" }) end

function M.main()
  test("a task of start lives beside the calls", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { config = { background = true } })
      local tick
      repeat tick = a:call("get_tick") until tick
      is(tick, "from the background")
      a:cancel()
    end)
  end)

  test("an error of a task of start fails the actor and its nursery", function()
    local err = raises("the background failed", copse.nursery, function(n)
      local a = n:spawn("a", { config = { background = true } })
      pcall(a.call, a, "open_gate")
      copse.sleep(1000)
    end)
    is(err.actor.name, "a")
  end)

  test("an actor of start lives with the actor", function()
    copse.nursery(function(n)
      is(n:spawn("a", { config = { helper = true } }):call("ask_helper"), "helper")
    end)
  end)

  test("environment and directory of an actor are what spawn says", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { env = { TREE = "beech", NUMBER = 3 }, cwd = "/" })
      is(a:call("env", "TREE"), "beech")
      is(a:call("env", "NUMBER"), "3")
      is(a:call("directory"), "/")
      is(a:call("env", "COPSE_LINK"), nil)
      is(a:call("env", "COPSE_LUA_PATH"), nil)
    end)
  end)

  test("links over stdio and unix sockets serve as well", function()
    copse.nursery(function(n)
      for _, link in ipairs { "fd", "stdio", "unix" } do
        is(n:spawn("over-" .. link, { link = link }):call("name"), "over-" .. link)
      end
    end)
  end)

  test("an actor that loses its opener cancels what it served", function()
    copse.nursery(function(n)
      local a, b = n:spawn("server"), n:spawn("client")
      raises("", copse.nursery, function(inner)
        local c = inner:spawn("dies")
        inner:start(function() c:call("hold_other", a.ref) end)
        c:call("wait_gate")
        c:kill(9)
        copse.sleep(1000)
      end)
      is(a:call("wait_gate"), 1)
      is(b:call("name"), "client")
    end)
  end)

  test("a context dies with the actor behind it", function()
    local err = raises("", copse.nursery, function(n)
      local a = n:spawn("victim")
      local ctx <close> = a:open("hold")
      a:kill(9)
      ctx:receive()
    end)
    is(err.code, "died")
    like(copse.report(err), "victim")
  end)

  test("whichever of several open contexts an actor dies behind, its death is raised", function()
    for victim = 1, 3 do
      local err = raises("", copse.nursery, function(n)
        local actors = {}
        for i = 1, 3 do
          actors[i] = n:spawn("actor-" .. i)
          actors[i]:open("hold")
        end
        actors[victim]:kill(9)
        copse.sleep(1000)
      end)
      is(err.code, "died")
      like(err.message, "actor%-" .. victim)
    end
  end)

  test("an actor that kills itself in a call is the error died", function()
    local err = raises("", copse.nursery, function(n) n:spawn("suicidal"):call("die") end)
    is(err.code, "died")
  end)

  test("several actors that fail come as one group", function()
    local err = raises("", copse.nursery, function(n)
      local a, b = n:spawn("a"), n:spawn("b")
      a:kill(9)
      b:kill(9)
      copse.sleep(1000)
    end)
    ok(err.code == "group" or err.code == "died", "an honest code: " .. err.code)
  end)

  test("an error that calls itself cancelled is still an error", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      is(raises("not really", a.call, a, "cancel_me").code, "cancelled")
    end)
  end)

  test("an actor cannot be found by a name that is not registered any more", function()
    copse.nursery(function(n)
      copse.nursery(function() copse.register("short") end)
      is(copse.find("short"), {})
      n:cancel()
    end)
  end)

  test("a nursery of twenty actors comes and goes", function()
    local names = {}
    copse.nursery(function(n)
      for i = 1, 20 do
        n:start(function()
          local name = n:spawn("w" .. i):call("name")
          names[name] = true
        end)
      end
    end)
    local count = 0
    for _ in pairs(names) do count = count + 1 end
    is(count, 20)
  end)

  test("a ping tells how long there and back takes, and can be cancelled", function()
    local err = raises("", copse.nursery, function(n)
      local a = n:spawn("a")
      local seconds = a:ping()
      ok(seconds >= 0 and seconds < 1000, "a time")
      os.execute("kill -STOP " .. a.pid)
      is(raises("", copse.timeout, 0.01, a.ping, a).code, "deadline")
      raises("under way", a.ping, a)
      a:kill()
      a:wait()
      raises("", a.ping, a)
    end)
    is(err.code, "died")
  end)

  test("meta goes along with a call and with a context", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      is(a:call { "meta", meta = { tenant = "oak", [ "x-y" ] = { 1 } } },
        { tenant = "oak", ["x-y"] = { 1 } })
      is(a:call("meta"), nil)
      local ctx <close>, meta = a:open { "meta_of_context", meta = { depth = 3 }, args = { 1, 2 } }
      is(meta, { depth = 3 })
      raises("by name", a.call, a, { "meta", meta = { 1 } })
      raises("a table", a.call, a, { "meta", meta = 1 })
    end)
    is(copse.meta(), nil)
  end)

  test("cancelling while actors are being spawned leaves none", function()
    copse.nursery(function(n)
      for i = 1, 10 do n:start(function() n:spawn("w" .. i) end) end
      copse.yield()
      n:cancel()
    end)
  end)

  tap.done()
end

return M
