-- SPDX-License-Identifier: MIT
-- Names, references and addresses.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises = tap.test, tap.is, tap.ok, tap.raises

local M = {}

function M.hello() return "hello from " .. copse.self().name end
function M.call_by_name(name) return copse.reach(copse.wait(name)):call("hello") end
function M.connect_to(address, token) return copse.connect(address, { token = token }).name end
M.watch_all = copse.context(function(ctx)
  ctx:started()
  for op, ref, name in copse.watch() do ctx:send({ op, ref.name, name }) end
end)
M.registered = copse.context(function(ctx, name)
  copse.register(name)
  ctx:started()
  ctx:receive()
end)
function M.start(config) if config.name then copse.register(config.name) end end

function M.main()
  test("nobody is found under a name that nobody has", function()
    is(copse.find("nobody"), {})
  end)

  test("a registered actor is found, reached and called", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { config = { name = "service" } })
      local found = copse.find("service")
      is(#found, 1)
      ok(found[1] == a.ref, "it is that one")
      is(copse.reach(found[1]):call("hello"), "hello from a")
      local b = n:spawn("b")
      is(b:call("call_by_name", "service"), "hello from a")
    end)
    is(copse.find("service"), {})
  end)

  test("a name can be waited for", function()
    copse.nursery(function(n)
      local got
      n:start(function() got = copse.wait("late").name; n:cancel() end)
      copse.yield()
      copse.nursery(function(inner)
        inner:spawn("comes", { config = { name = "late" } })
        copse.sleep(1000)
      end)
      is(got, "comes")
    end)
    is(raises("", copse.timeout, 0.01, copse.wait, "never").code, "deadline")
  end)

  test("a watch tells who comes and goes", function()
    local log = {}
    copse.nursery(function(n)
      local a = n:spawn("a")
      n:start(function()
        local ctx <close> = a:open("registered", "watched")
        copse.sleep(0)
      end)
      for op, ref in copse.watch("watched") do
        log[#log + 1] = op .. " " .. ref.name
        if op == "remove" then break end
      end
    end)
    is(log, { "add a", "remove a" })
  end)

  test("a watch over all names tells each name, here and from another actor", function()
    local here, there = {}, {}
    copse.nursery(function(n)
      local early = n:spawn("early", { config = { name = "first" } })
      local watcher = n:spawn("watcher")
      local watching <close> = watcher:open("watch_all")
      local ctx <close> = n:spawn("late"):open("registered", "second")
      n:start(function()
        for op, ref, name in copse.watch() do
          here[#here + 1] = table.concat({ op, ref.name, name }, " ")
          if op == "remove" then break end
        end
      end)
      for change in watching:items() do
        there[#there + 1] = table.concat(change, " ")
        if #there == 2 then
          ctx:finish()
          ctx:result()
        end
        if change[1] == "remove" then break end
      end
      watching:cancel()
      early:cancel()
    end)
    local expected = { "add early first", "add late second", "remove late second" }
    is(here, expected)
    is(there, expected)
  end)

  test("registering again and again leaves nothing behind", function()
    local function memory()
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end
    local function again(times)
      for _ = 1, times do copse.nursery(function() copse.register("again") end) end
    end
    again(100)
    local before = memory()
    again(2000)
    local left = memory() - before
    ok(left < 8, ("%.1f KiB are left"):format(left))
  end)

  test("a watch ends with its scope", function()
    local err = raises("", copse.timeout, 0.01, function() for _ in copse.watch() do end end)
    is(err.code, "deadline")
  end)

  test("an actor is reached by its address", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local address = a.ref.addresses[1]
      ok(address, "a spawned actor listens")
      local again = copse.connect(address)
      is(again:call("hello"), "hello from a")
      is(again.name, "a")
      raises("only the actor that spawned", again.cancel, again)
    end)
  end)

  test("a handle ends with the scope in which it was made", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local kept
      copse.nursery(function() kept = copse.connect(a.ref.addresses[1]) end)
      raises("ended", kept.call, kept, "hello")
    end)
  end)

  test("a handle of an actor that has died says so", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local b = n:spawn("b")
      local found, connected = copse.reach(a.ref), copse.connect(b.ref.addresses[1])
      ok(rawequal(found, a), "a child has one handle")
      a:cancel()
      a:wait()
      raises("ended", found.call, found, "hello")
      b:cancel()
      b:wait()
      raises("", connected.call, connected, "hello")
      raises("", connected.open, connected, "hello")
      is(connected.alive, false)
    end)
  end)

  test("who listens on a port is connected to by those who have the token", function()
    local token = ("secret"):rep(3)
    copse.listen("tcp:127.0.0.1:0", { token = token })
    local address
    for _, a in ipairs(copse.self().addresses) do address = a:match("^tcp:.*") or address end
    ok(address, "an address with the port that was given")
    copse.nursery(function(n)
      local a = n:spawn("a")
      is(raises("", a.call, a, "connect_to", address).code, "denied")
      is(a:call("connect_to", address, token), copse.self().name)
    end)
    raises("cannot listen: tcp:127.0.0.1:0: a TCP listener needs a token",
      copse.listen, "tcp:127.0.0.1:0")
  end)

  test("what cannot be reached is an error", function()
    is(raises("", copse.connect, "unix:/no/such/socket").code, "unreachable")
    raises("", copse.connect, "nonsense")
    raises("this actor itself", copse.reach, copse.self())
    raises("", copse.connect, "tcp:192.0.2.1:99")
  end)

  tap.done()
end

return M
