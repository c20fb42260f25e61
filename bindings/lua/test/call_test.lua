-- SPDX-License-Identifier: MIT
-- Actors: spawned, called, finished, cancelled, killed; their errors.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises, like = tap.test, tap.is, tap.ok, tap.raises, tap.like

local M = {}

function M.echo(...) return select("#", ...) > 1 and { ... } or ... end
function M.count(...) return select("#", ...) end
function M.two() return 1, 2 end
function M.nothing() end
function M.fail(message) error(message, 0) end
function M.huge(size) error { code = "custom", message = "m", data = ("z"):rep(size) } end
function M.with_meta(x) return { x, copse.meta().x } end
function M.typed() error { code = "conflict", message = "taken", data = { by = copse.self() } } end
function M.nap() copse.sleep(1000) end
function M.pid() return tostring(copse.self().id) end
function M.unsendable() return print end
function M.ask_parent(x) return copse.parent():call("double", x) end
function M.ask_parent_for(target) return copse.parent():call(target) end
function M.connect_in_vain() copse.connect "unix:/there/is/no/such" end
function M.double(x) return 2 * x end
function M._hidden() return "seen" end
function M.who(ref) return ref end
function M.large(n) return ("x"):rep(n) end
function M.configured() return M.config end
function M.exit() os.exit(0) end
M.slow_cleanup = copse.context(function(ctx)
  ctx:started()
  local _ <close> = setmetatable({}, { __close = function()
    copse.shield(5, function() copse.sleep(0.05); M.cleaned = true end)
  end })
  copse.sleep(1000)
end)
function M.was_cleaned() return M.cleaned end
function M.spin() while true do end end
function M.spin_in_pcall() while true do pcall(function() while true do end end) end end
function M.spin_in_coroutine() coroutine.wrap(function() while true do end end)() end
function M.sort_forever()
  local t = {}
  for i = 1, 10000 do t[i] = (i * 7919) % 1000003 end
  while true do table.sort(t, function(a, b) return a < b end) end
end
function M.chain(depth)
  if depth == 0 then error("at the bottom", 0) end
  copse.nursery(function(n) n:spawn("level" .. depth):call("chain", depth - 1) end)
end

function M.start(config)
  M.config = config
  if config.fail then error("will not start") end
  if config.hang then copse.sleep(1000) end
end

function M.main()
  test("a function of another process is called with its arguments", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      is(a:call("echo", 5), 5)
      is(a:call("echo", "x", 2, { y = { copse.null, 1.5 } }),
        { "x", 2, { y = { copse.null, 1.5 } } })
      is(a:call("count", nil, nil, 3), 3)
      is(a:call("count"), 0)
      is(a:call("nothing"), nil)
      is(a:call({ "echo", args = { key = "value" } }), { key = "value" })
      is(#a:call("large", 500000), 500000)
    end)
  end)

  test("an actor has a name, an id, a pid, and is a value", function()
    copse.nursery(function(n)
      local a = n:spawn("somebody")
      is(a.name, "somebody")
      is(a.id, a:call("pid"))
      ok(a.pid > 1, "a pid")
      is(a.alive, true)
      like(a, "somebody %(pid %d+%)")
      local back = a:call("who", a)
      ok(back == a.ref, "it is the same actor")
      ok(copse.reach(back) == a, "and is reached by its reference")
      local me = a:call("who", copse.self())
      ok(me == copse.self(), "this actor")
    end)
  end)

  test("an actor can call its parent", function()
    copse.nursery(function(n) is(n:spawn("a"):call("ask_parent", 21), 42) end)
  end)

  test("what is not exported is not found", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      for _, name in ipairs { "nope", "main", "start", "_hidden", "config" } do
        is(raises("", a.call, a, name).code, "no_target")
      end
      is(raises("", a.call, a, "nope").retry, true)
    end)
  end)

  test("what comes out of a function does not say that nothing was done", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      local err = raises("", a.call, a, "ask_parent_for", "nope")
      is(err.code, "no_target")
      is(err.retry, false)
      err = raises("", a.call, a, "connect_in_vain")
      is(err.code, "unreachable")
      is(err.retry, false)
    end)
    is(raises("", M.connect_in_vain).retry, true)
  end)

  test("a target or an option with a zero byte is refused, not cut", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      for _, target in ipairs { "echo\0", { "echo\0", args = { 1 } } } do
        for _, use in ipairs { "call", "open" } do
          raises("without a zero byte", a[use], a, target)
        end
      end
      raises("without a zero byte", n.spawn, n, "b", { cwd = "/\0tmp" })
      raises("zero byte", n.spawn, n, "b", { env = { VARIABLE = "one\0two" } })
    end)
  end)

  test("an error of the callee is raised by the call, with its stack and actor", function()
    copse.nursery(function(n)
      local a = n:spawn("fails")
      local err = raises("boom", a.call, a, "fail", "boom")
      is(err.code, "failed")
      is(err.message, "boom")
      is(err.actor.name, "fails")
      is(#err.via, 1)
      like(err.stack, "call_test.lua")
      like(err, "boom %(from fails%)")
      local typed = raises("taken", a.call, a, "typed")
      is(typed.code, "conflict")
      ok(typed.data.by == a.ref, "data with a reference")
    end)
  end)

  test("an error's data that is too much is left out, and the error stays whole", function()
    local err = raises("custom: m", copse.nursery, function(n)
      n:start(M.huge, 2000000)
      copse.sleep(1000)
    end)
    is(err.data, nil)
    copse.nursery(function(n)
      local a = n:spawn("a")
      err = raises("custom: m", a.call, a, "huge", 2000000)
      is(err.code, "custom")
      is(err.data, nil)
      is(err.actor, a.ref)
      like(err.stack, "call_test.lua")
      is(#raises("", a.call, a, "huge", 1000).data, 1000)
    end)
  end)

  test("reading an error's fields or a target's options may encode", function()
    local function fields(t) -- each is read by code that encodes
      return setmetatable({}, { __index = function(_, key)
        copse.encode(("noise"):rep(10))
        return t[key]
      end })
    end
    is(copse.error(fields { message = "m", data = { 1, 2 } }).data, { 1, 2 })
    copse.nursery(function(n)
      local a = n:spawn("a")
      local target = fields { args = { 7 }, meta = { x = 1 } }
      rawset(target, 1, "with_meta")
      is(a:call(target), { 7, 1 })
    end)
  end)

  test("a function that answers with two values or an unsendable one fails", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      raises("answers with one value, but the function returned 2", a.call, a, "two")
      raises("cannot encode a function", a.call, a, "unsendable")
    end)
  end)

  test("an argument that cannot be sent is refused here", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      raises("cannot encode a function at %[2%]", a.call, a, "echo", 1, print)
      is(raises("", a.call, a, "echo", ("x"):rep(2000000)).code, "too_large")
      is(raises("", a.call, a, "large", 2000000).code, "too_large")
      is(a:call("echo", 1), 1)
    end)
  end)

  test("a call can have a deadline", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      is(raises("", a.call, a, { "nap", deadline = 0.02 }).code, "deadline")
      is(raises("", copse.timeout, 0.02, a.call, a, "nap").code, "deadline")
      is(a:call("echo", "still there"), "still there")
    end)
  end)

  test("cancelling lets the far side clean up before anything goes on here", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      raises("leaving", function()
        local _ <close> = a:open("slow_cleanup")
        error("leaving")
      end)
      is(a:call("was_cleaned"), true)
    end)
  end)

  test("start gets the config, and its error is the error of spawn", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { config = { depth = 3, list = { 1, 2 } } })
      is(a:call("configured"), { depth = 3, list = { 1, 2 } })
    end)
    local err = raises("will not start", copse.nursery, function(n)
      n:spawn("bad", { config = { fail = true } })
    end)
    is(err.actor.name, "bad")
  end)

  test("an actor that is not ready in time, a command or a module that is not there", function()
    local function fails(what, name, options)
      return raises(what, copse.nursery, function(n) n:spawn(name, options) end)
    end
    is(fails("", "slow", { config = { hang = true }, boot = 0.05 }).code, "boot_timeout")
    is(fails("", "none", { argv = { "/no/such/command" } }).code, "spawn_failed")
    fails("no_such_module", "none", { module = "no_such_module" })
    fails("no such file", "none", { file = "/no/such/file.lua" })
    fails("option 'link'", "x", { link = "rope" })
    fails("1 to 64 bytes", "")
  end)

  test("an error of spawn that is caught does no harm", function()
    is(copse.nursery(function(n)
      pcall(n.spawn, n, "bad", { config = { fail = true } })
      return n:spawn("good"):call("echo", "fine")
    end), "fine")
  end)

  test("spawning under a timeout cancels what is not ready", function()
    copse.nursery(function(n)
      local err = raises("", copse.timeout, 0.1, n.spawn, n, "slow", { config = { hang = true } })
      is(err.code, "deadline")
    end)
  end)

  test("an actor that is not awaited is called when it is ready", function()
    copse.nursery(function(n)
      local a = n:spawn("a", { wait = false })
      is(a:call("echo", "later"), "later")
    end)
  end)

  test("an actor that was killed fails its nursery and the call that waits", function()
    local call_error
    local err = raises("", copse.nursery, function(n)
      local a = n:spawn("victim")
      n:start(function()
        local fine, e = pcall(a.call, a, "nap")
        call_error = e
        if not fine then error(e) end
      end)
      copse.yield()
      a:kill(9)
      copse.sleep(1000)
    end)
    is(err.code, "died")
    is(err.actor and err.actor.name or "victim", "victim")
    is(call_error and call_error.code, "died")
  end)

  test("a handle outlives its actor and says so", function()
    local kept
    copse.nursery(function(n) kept = n:spawn("gone") end)
    is(kept.alive, false)
    is(kept.name, "gone")
    raises("has ended", kept.call, kept, "echo")
  end)

  test("finishing and waiting for an actor", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      a:finish()
      a:wait()
      is(a.alive, false)
    end)
  end)

  test("cancelling an actor is no error", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      n:start(function() pcall(a.call, a, "nap") end)
      copse.yield()
      a:cancel("enough")
      a:wait()
    end)
  end)

  test("hot loops are cancelled", function()
    copse.nursery(function(n)
      local a = n:spawn("hot")
      for _, name in ipairs { "spin", "spin_in_pcall", "spin_in_coroutine", "sort_forever" } do
        is(raises("", a.call, a, { name, deadline = 0.05 }).code, "deadline")
        is(a:call("echo", name), name)
      end
    end)
  end)

  test("a hot loop here is ended by a timeout", function()
    is(raises("", copse.timeout, 0.05, function() while true do end end).code, "deadline")
    is(raises("", copse.timeout, 0.05, function()
      while true do pcall(coroutine.wrap(function() while true do end end)) end
    end).code, "deadline")
  end)

  test("an error comes up three levels with its path", function()
    local err = raises("at the bottom", M.chain, 3)
    is(err.message, "at the bottom")
    is(#err.via, 3)
    is(err.actor.name, "level1")
    is(err.via[1].name, "level1")
    is(err.via[3].name, "level3")
    like(copse.report(err), "at the bottom")
  end)

  test("os.exit in a spawned actor is an error", function()
    copse.nursery(function(n)
      local a = n:spawn("a")
      raises("ends when its parent lets it", a.call, a, "exit")
    end)
  end)

  test("many calls at once", function()
    copse.nursery(function(n)
      local a, sum = n:spawn("a"), 0
      copse.nursery(function(inner)
        for i = 1, 200 do
          inner:start(function() local d = a:call("double", i); sum = sum + d end)
        end
      end)
      is(sum, 40200)
    end)
  end)

  tap.done()
end

return M
