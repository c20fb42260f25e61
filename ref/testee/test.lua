-- SPDX-License-Identifier: MIT
--
-- Each handler of the testee once, driven by an actor in Lua. What they owe in full is the
-- conformance suite's to judge; here it is shown that they are there, and that nothing of them
-- stays.
--
--     copse run ref/testee/test.lua TESTEE
package.path = "bindings/lua/test/?.lua;" .. package.path
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises = tap.test, tap.is, tap.ok, tap.raises

local M = { gate = nil }

-- What the handlers open on us.
function M.square(x) return x * x end
function M.fails(message) error(copse.error { code = "acme.quota", message = message }, 0) end
M.waits = copse.context(function(ctx)
  ctx:started("waiting")
  ctx:receive()
  copse.sleep(1000)
end)

M.streams = copse.context(function(ctx, count)
  ctx:started()
  for i = 1, count do ctx:send(i) end
  return "done"
end)

function M.main(command)
  local function map(target, args) return { "tck." .. target, args = copse.map(args) } end
  local function with(fn)
    copse.nursery(function(n) fn(n:spawn("testee", { argv = { command } })) end)
  end
  local function stat(a) return a:call("tck.stat") end

  -- What becomes of a context that is cancelled: its value, or the code of its error and that.
  local function cancelled(a, target, meanwhile)
    local ctx <close> = a:open(target)
    ctx:cancel()
    if meanwhile then meanwhile() end
    local fine, result = pcall(ctx.result, ctx)
    if fine then return result end
    return result.code, result
  end

  -- Whatever a test did, afterwards all that it used has been given back.
  local function case(name, fn)
    test(name, function()
      with(function(a)
        local before = stat(a)
        fn(a)
        local after = stat(a)
        for _, key in ipairs { "inbound", "outbound", "running", "fds" } do
          is(after[key], before[key], key)
        end
        is(#after.children, 0, "children")
      end)
    end)
  end

  case("echo brings back every kind of value", function(a)
    for _, v in ipairs { 1, -1.5, "text", true, "\xff\0", copse.array {}, copse.self() } do
      is(copse.encode(a:call("tck.echo", v)), copse.encode(v))
    end
    is(a:call(map("echo", { v = "named" })), "named")
    is(a:call("tck.echo"), nil)
  end)

  case("arguments that are missing or wrong are refused", function(a)
    is(raises("key", a.call, a, "tck.gate").code, "bad_args")
    local err = raises("then", a.call, a, map("stubborn", { key = "k", ["then"] = "dance" }))
    is(err.code, "bad_args")
    is(raises("size", a.call, a, map("source", { size = 7 })).code, "bad_args")
    is(raises("window", a.call, a, map("sink", { window = { 1 } })).code, "bad_args")
    is(raises("open", a.call, a, map("nursery", { open = { 1 } })).code, "bad_args")
    is(raises("count", a.call, a, map("source", { count = -1 })).code, "bad_args")
  end)

  case("any handler says STARTED when it is told to", function(a)
    local ctx <close>, first = a:open(map("echo", { v = 1, started = "first" }))
    is(first, "first")
    is(ctx:result(), 1)
  end)

  case("fail ends with the error that it was given, after its items", function(a)
    local err = raises("why", a.call, a, "tck.fail", "acme.quota", "why", { 1, 2 })
    is(err.code, "acme.quota")
    is(err.data[2], 2)
    is(err.actor.name, "testee")
    local ok_, got = pcall(function()
      local ctx <close> = a:open(map("fail", { items = 3 }))
      local count = 0
      for item in ctx:items() do
        is(item, count)
        count = count + 1
      end
      return count
    end)
    ok(not ok_)
    is(got.code, "failed")
  end)

  case("a gate holds its waiters until it is opened", function(a)
    local ctx <close> = a:open("tck.gate", "k", "through")
    is(stat(a).running, 1)
    is(stat(a).inbound, 1)
    is(a:call("tck.open_gate", "k"), true)
    is(ctx:result(), "through")
    is(a:call("tck.open_gate", "k"), false)
    is(a:call("tck.gate", "k"), nil)
  end)

  case("stubborn heeds no cancellation", function(a)
    for how, outcome in pairs { ["return"] = "v", fail = "failed", cancel = "cancelled" } do
      local what = map("stubborn", { key = how, value = "v", ["then"] = how })
      is(cancelled(a, what, function()
        is(stat(a).running, 1)
        a:call("tck.open_gate", how)
      end), outcome)
    end
    is(stat(a).cancelled, 3)
  end)

  case("cleanup does its steps in order when it is cancelled", function(a)
    local call = { target = "square", args = { 3 } }
    is(cancelled(a, map("cleanup", { name = "c", key = "k", waits = 3, call = call }), function()
      while #stat(a).log < 2 do copse.yield() end
      a:call("tck.open_gate", "k")
    end), "cancelled")
    is(table.concat(stat(a).log, " "), "c:begin c:failed=3 c:end")
    call = { name = "d", key = "never", shield = 10, error = "acme.dirty" }
    is(cancelled(a, map("cleanup", call)), "acme.dirty")
    is(stat(a).log[5], "d:timeout")
    call = { target = "fails", args = { "inside" } }
    is(cancelled(a, map("cleanup", { name = "e", call = call })), "acme.quota")
    is(#stat(a).log, 6)
  end)

  case("relay hands on what comes", function(a)
    is(a:call("tck.relay", "square", { 7 }), 49)
    local err = raises("no", a.call, a, "tck.relay", "fails", { "no" })
    is(err.code, "acme.quota")
    is(#err.via, 2)
    is(raises("", a.call, a, "tck.relay", "nothing").code, "no_target")
    is(raises("", a.call, a, map("relay", { target = "waits", deadline = 5 })).code, "deadline")
    is(cancelled(a, map("relay", { target = "waits" })), "cancelled")
    local ctx <close>, first = a:open("tck.relay", "waits")
    is(first, "waiting")
    is(stat(a).outbound, 1)
    ctx:cancel()
  end)

  case("nursery gathers results, or the first error cancels the others", function(a)
    local squares = {}
    for i = 1, 5 do squares[i] = { target = "square", args = { i } } end
    is(a:call("tck.nursery", squares), { 1, 4, 9, 16, 25 })
    is(a:call("tck.nursery", copse.array {}), copse.array {})
    local err = raises("no", a.call, a, "tck.nursery",
      { { target = "waits" }, { target = "fails", args = { "no" } }, { target = "waits" } })
    is(err.code, "acme.quota")
  end)

  case("source sends what was asked for, or until it is told to stop", function(a)
    local ctx <close> = a:open("tck.source", 1000)
    local sum = 0
    for item in ctx:items() do sum = sum + item end
    is(sum, 499500)
    is(ctx:result(), 1000)
    local endless <close> = a:open(map("source", { size = 8 }))
    is(endless:receive(), ("\0"):rep(8))
    endless:stop()
    ok(endless:result() >= 1)
  end)

  case("sink consumes as its gate allows, and says what", function(a)
    local ctx <close> = a:open(map("sink", { hold = "h", window = { 5, 1000 } }))
    for i = 1, 5 do ctx:send(i) end
    a:call("tck.open_gate", "h")
    ctx:send(copse.bin "bytes")
    is(ctx:result(), { count = 6, sum = 15, bytes = 5, ended = true })
    local short <close> = a:open(map("sink", { stop_after = 2, linger = "l" }))
    for i = 1, 3 do short:send(i) end
    while short:send(0) do copse.yield() end
    a:call("tck.open_gate", "l")
    is(short:result(), { count = 2, sum = 3, bytes = 0, ended = false })
  end)

  case("drain takes all that comes before the result", function(a)
    is(a:call(map("drain", { target = "streams", args = { 500 }, window = { 3, 100 } })),
      { count = 500, sum = 125250, value = "done" })
    is(raises("no", a.call, a, "tck.drain", "fails", { "no" }).code, "acme.quota")
  end)

  case("duplex sends everything back in order", function(a)
    local ctx <close> = a:open(map("duplex", { window = { 3, 100 } }))
    copse.nursery(function(n)
      n:start(function()
        for i = 1, 500 do ctx:send(i) end
        ctx:finish()
      end)
      local count = 0
      for item in ctx:items() do
        count = count + 1
        is(item, count)
      end
      is(count, 500)
    end)
    is(ctx:result(), 500)
  end)

  case("spawn starts a child, calls it, and ends it", function(a)
    is(a:call(map("spawn", { call = { target = "tck.echo", args = { "deep" } } })), "deep")
    local ctx <close>, first = a:open(map("spawn", { name = "held" }))
    is(stat(a).children, { first.pid })
    is(first.actor.name, "held")
    is(ctx:result(), nil)
    is(raises("", a.call, a, map("spawn", { argv = { "/no/such/program" } })).code, "spawn_failed")
    is(cancelled(a, map("spawn", { name = "doomed" })), "cancelled")
  end)

  case("a child that crashes is the error died, however it does so", function(a)
    local function crash(args)
      return raises("", a.call, a, map("spawn", { grace = 200,
        call = { target = "tck.crash", args = copse.map(args) } }))
    end
    local err = crash { how = "exit", status = 7, stderr = "last words\n" }
    is(err.code, "died")
    is(err.data.status, 7)
    ok(err.data.stderr:find "last words")
    is(crash({ how = "signal", signal = 6 }).data.signal, 6)
    is(crash({ how = "close" }).code, "died")
    for _, how in ipairs { "hang", "spin" } do
      local call = { target = "tck.crash", args = { how = how } }
      local code, err = cancelled(a, map("spawn", { grace = 200, call = call }))
      is(code, "died")
      is(err.data.ladder, "SIGKILL")
    end
  end)

  case("register is let go when its opener says END, and dial reaches an actor", function(a)
    local ctx <close> = a:open("tck.register", "the-testee")
    is(copse.find("the-testee")[1].id, a.id)
    is(ctx:result(), nil)
    copse.nursery(function(n)
      local b = n:spawn("other", { argv = { command } })
      is(a:call("tck.dial", b.ref, "tck.echo", { "reached" }), "reached")
    end)
  end)

  test("a registration does not keep an actor from finishing", function()
    with(function(a)
      local ctx = a:open("tck.register", "brief")
      a:finish()
      is(ctx:result(), nil)
    end)
  end)

  tap.done()
end

return M
