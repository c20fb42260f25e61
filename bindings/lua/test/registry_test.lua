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
function M.start(config, n)
  if config.name then copse.register(config.name) end
  if config.waits_for then n:start(copse.wait, config.waits_for) end
end

-- Until the link is gone, and time for what is left of it to go.
local function see_off(peer)
  while pcall(peer.ping, peer) do copse.yield() end
  for _ = 1, 20 do copse.yield() end
end

-- What using a handle raises when its scope has been cancelled and is still cleaning up.
function M.outlive(how, where)
  local codes = {}
  local _, err = pcall(copse.timeout, 0.02, function()
    local peer = copse[how](where)
    local _ <close> = setmetatable({}, { __close = function()
      copse.shield(1000, function()
        see_off(peer)
        for i, use in ipairs { "call", "open" } do
          codes[i + 1] = select(2, pcall(peer[use], peer, "hello")).code
        end
      end)
    end })
    copse.sleep(1000)
  end)
  codes[1] = err.code
  return codes
end

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

  test("what is no name is refused, and a watch over all names goes on", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local watching <close> = a:open("watch_all")
      for _, bad in ipairs { "", ("x"):rep(65), "a\xff", "a\0b" } do
        for _, use in ipairs { "register", "find", "wait", "watch" } do
          raises(bad == "a\0b" and "without a zero byte" or "1 to 64 bytes of UTF%-8", copse[use], bad)
        end
        raises("", n.spawn, n, bad)
      end
      copse.register("näme")
      is(watching:receive()[3], "näme")
      watching:cancel()
    end)
  end)

  test("an address with a zero byte is none", function()
    copse.nursery(function(n)
      local address = n:spawn("a").ref.addresses[1]
      raises("without a zero byte", copse.connect, address .. "\0b")
      raises("without a zero byte", copse.listen, "tcp:127.0.0.1:0\0b", { token = ("x"):rep(16) })
    end)
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

  test("a watch can be closed inside a scope that was opened later", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      for _, scope in ipairs { copse.nursery, function(fn) return copse.timeout(1000, fn) end } do
        local follow, watch, _, closes = copse.watch()
        scope(function() local _ <close> = closes end)
        is(follow(watch), nil)
        is(a:call("hello"), "hello from a")
      end
    end)
  end)

  test("leaving a loop over a watch leaves a context alone that was opened in it", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { config = { name = "streams" } })
      local ctx
      for op in copse.watch("streams") do
        if op == "add" then
          ctx = a:open("watch_all")
          break
        end
      end
      is(ctx:receive()[3], "streams")
      local follow, watch, _, closes = copse.watch("streams")
      is(follow(watch), "add")
      local waiting = copse.event()
      n:start(function()
        waiting:set()
        is(follow(watch), nil) -- woken by the end of the watch
      end)
      waiting:wait()
      local other = a:open("registered", "another")
      is(ctx:receive()[3], "another")
      do local _ <close> = closes end
      other:send("go")
      is(other:result(), nil)
      is(ctx:receive()[1], "remove")
      ctx:cancel()
    end)
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

  test("a handle whose link has gone before its scope says so", function()
    copse.nursery(function(n)
      local a, b = n:spawn("a"), n:spawn("b")
      is(M.outlive("connect", a.ref.addresses[1]), { "deadline", "closing", "closing" })
      is(b:call("outlive", "reach", a.ref), { "deadline", "closing", "closing" })
    end)
  end)

  test("a handle in another task says so, too, while its scope waits for others", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local shared
      local connected = copse.event()
      n:start(function()
        connected:wait()
        see_off(shared)
        is(raises("", shared.call, shared, "hello").code, "closing")
        copse.register("go on")
        copse.sleep(1000)
      end)
      copse.nursery(function(inner)
        shared = copse.connect(a.ref.addresses[1])
        inner:spawn("slow", { config = { waits_for = "go on" } })
        connected:set()
      end)
      raises("ended", shared.call, shared, "hello")
      n:cancel()
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
