-- SPDX-License-Identifier: MIT
-- Contexts: both directions, credit, ends, failures.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises, like = tap.test, tap.is, tap.ok, tap.raises, tap.like

local M = {}

M.pong = copse.context(function(ctx, data)
  ctx:started(data + 1)
  local count = 0
  for ping in ctx:items() do
    assert(ping == "ping")
    ctx:send("pong")
    count = count + 1
  end
  return count
end)

M.source = copse.context(function(ctx, count, size)
  ctx:started()
  for i = 1, count do
    if not ctx:send(size and ("x"):rep(size) or i) then return "stopped at " .. i end
  end
  return "sent " .. count
end)

M.sink = copse.context(function(ctx)
  local sum, count = 0, 0
  for x in ctx:items() do sum = sum + (type(x) == "number" and x or #x); count = count + 1 end
  return { sum = sum, count = count }
end, { window = 16 })

for name, window in pairs { none = 0, all = math.maxinteger, bytes = { 10, math.maxinteger } } do
  M["sink_" .. name] = copse.context(function(ctx)
    local count = 0
    for _ in ctx:items() do count = count + 1 end
    return count
  end, { window = window })
end

M.silent = copse.context(function(ctx) return "nothing was said" end)
M.values = copse.context(function(ctx)
  for v in ctx:items() do ctx:send(v) end
end)
M.fails = copse.context(function(ctx, when)
  if when == "before" then error("before it started", 0) end
  ctx:started("fine so far")
  ctx:send("last words")
  if when == "after item" then ctx:receive() end
  error("after it started", 0)
end)
M.fails_later = copse.context(function(ctx)
  ctx:started()
  ctx:receive()
  error("on purpose", 0)
end)
M.waits = copse.context(function(ctx)
  ctx:started()
  local _ <close> = setmetatable({}, { __close = function() M.ended = (M.ended or 0) + 1 end })
  copse.sleep(1000)
end)
M.stops = copse.context(function(ctx)
  ctx:started()
  local first = ctx:receive()
  ctx:stop()
  return first
end)
M.misuse = copse.context(function(ctx)
  ctx:started()
  ctx:finish()
  local _, again = pcall(ctx.started, ctx)
  local _, sent = pcall(ctx.send, ctx, 1)
  local _, result = pcall(ctx.result, ctx)
  return { tostring(again), tostring(sent), tostring(result) }
end)
M.plain = function() return "plain" end
function M.ended_count() return M.ended end

function M.main()
  local function with(fn) copse.nursery(function(n) fn(n:spawn("peer"), n) end) end

  test("ping and pong over one context", function()
    with(function(a)
      local ctx <close>, first = a:open("pong", 10)
      is(first, 11)
      for _ = 1, 10 do
        is(ctx:send("ping"), true)
        is(ctx:receive(), "pong")
      end
      ctx:finish()
      is(ctx:receive(), nil)
      is(ctx:result(), 10)
      is(ctx:result(), 10)
    end)
  end)

  test("more items than credit come in order", function()
    with(function(a)
      local ctx <close> = a:open({ "source", window = 7 }, 5000)
      local expected = 1
      for i in ctx:items() do is(i, expected); expected = expected + 1 end
      is(expected, 5001)
      is(ctx:result(), "sent 5000")
    end)
  end)

  test("a sender waits for credit", function()
    with(function(a)
      local ctx <close> = a:open("sink")
      for i = 1, 3000 do ctx:send(i) end
      is(ctx:result(), { sum = 4501500, count = 3000 })
    end)
  end)

  test("a window may be as large as a number can be, at either end, or nothing", function()
    with(function(a)
      for name, expected in pairs { none = 0, all = 3000, bytes = 3000 } do
        local ctx <close> = a:open("sink_" .. name)
        for i = 1, 3000 do if not ctx:send(i) then break end end
        is(ctx:result(), expected, name)
      end
      for _, window in ipairs { math.maxinteger, { 7, math.maxinteger } } do
        local ctx <close> = a:open({ "source", window = window }, 3000)
        local count = 0
        for _ in ctx:items() do count = count + 1 end
        is(count, 3000)
      end
      for _, window in ipairs { -1, { -1, 1 }, { 1, 0 } } do
        raises("option 'window'", copse.context, print, { window = window })
        raises("option 'window'", a.open, a, { "source", window = window }, 1)
      end
    end)
  end)

  test("items that nobody waits for are kept within the window", function()
    with(function(a)
      local ctx <close> = a:open({ "source", window = 100 }, 1000)
      copse.sleep(0.05)
      local count = 0
      for _ in ctx:items() do
        count = count + 1
        if count % 100 == 0 then copse.yield() end
      end
      is(count, 1000)
    end)
  end)

  test("large items go both ways", function()
    with(function(a)
      local ctx <close> = a:open("values")
      local bytes = ("\xff\0"):rep(300000)
      local text = ("äö"):rep(200000)
      ctx:send(bytes); is(ctx:receive() == bytes, true)
      ctx:send(copse.bin(text)); is(ctx:receive() == text, true)
      ctx:send(text); is(ctx:receive() == text, true)
      is(raises("", ctx.send, ctx, ("x"):rep(3000000)).code, "too_large")
      ctx:send("after"); is(ctx:receive(), "after")
    end)
  end)

  test("a nil item is copse.null, and nil is the end", function()
    with(function(a)
      local ctx <close> = a:open("values")
      ctx:send(nil); is(ctx:receive(), copse.null)
      ctx:send(copse.null); is(ctx:receive(), copse.null)
      ctx:send(false); is(ctx:receive(), false)
      ctx:finish()
      is(ctx:receive(), nil)
      is(ctx:receive(), nil)
      raises("after finish", ctx.send, ctx, 1)
    end)
  end)

  test("stop ends the far side's sending", function()
    with(function(a)
      local ctx <close> = a:open("source", 1000000)
      for _ = 1, 10 do ctx:receive() end
      ctx:stop()
      is(ctx:receive(), nil)
      like(ctx:result(), "stopped at")
    end)
  end)

  test("a far side that stops makes send say false", function()
    with(function(a)
      local ctx <close> = a:open("stops")
      local sent = 0
      while ctx:send("item") do sent = sent + 1; copse.yield() end
      ok(sent >= 1, "the first was sent")
      is(ctx:send("more"), false)
      is(ctx:result(), "item")
    end)
  end)

  test("result drops what was not read", function()
    with(function(a)
      local ctx <close> = a:open("source", 100)
      like(ctx:result(), "s")
    end)
  end)

  test("a handler that returns without streaming", function()
    with(function(a)
      local ctx <close>, first = a:open("silent")
      is(first, nil)
      is(ctx:receive(), nil)
      is(ctx:send(1), false)
      is(ctx:result(), "nothing was said")
      is(a:call("silent"), "nothing was said")
      local plain <close> = a:open("plain")
      is(plain:result(), "plain")
    end)
  end)

  test("an error before started is raised by open", function()
    with(function(a)
      is(raises("", a.open, a, "fails", "before").message, "before it started")
      is(raises("", a.open, a, "no such thing").code, "no_target")
      is(a:call("plain"), "plain")
    end)
  end)

  test("an operation on a failed context raises its error; closing does not repeat it", function()
    with(function(a)
      local ctx <close> = a:open("fails_later")
      ctx:send("go")
      is(raises("", ctx.receive, ctx).message, "on purpose")
      is(raises("", ctx.send, ctx, 1).message, "on purpose")
      is(raises("", ctx.result, ctx).message, "on purpose")
    end)
  end)

  test("a far side that fails ends another wait, and closing raises its error", function()
    with(function(a)
      local unwound
      local err = raises("", function()
        local ctx <close> = a:open("fails_later")
        local _ <close> = setmetatable({}, { __close = function() unwound = true end })
        ctx:send("go")
        copse.sleep(1000)
      end)
      is(err.message, "on purpose")
      is(err.actor.name, "peer")
      is(unwound, true)
      is(copse.cancelled(), false)
      copse.yield()
    end)
  end)

  test("the same through a nursery in between, and without close", function()
    with(function(a)
      local err = raises("", copse.nursery, function()
        local ctx = a:open("fails_later")
        ctx:send("go")
        copse.nursery(function(n) n:start(copse.sleep, 1000) end)
      end)
      is(err.message, "on purpose")
      copse.yield()
    end)
  end)

  test("leaving the block by an error cancels the far side", function()
    with(function(a)
      raises("mine", function()
        local ctx <close> = a:open("waits")
        error("mine")
      end)
      is(a:call("ended_count"), 1)
    end)
  end)

  test("leaving the block by a timeout cancels the far side", function()
    with(function(a)
      is(raises("", function()
        local ctx <close> = a:open("waits")
        copse.timeout(0.02, ctx.receive, ctx)
      end).code, "deadline")
      is(a:call("ended_count"), 1)
    end)
  end)

  test("cancelling a context is no error, and its result is the error cancelled", function()
    with(function(a)
      local ctx <close> = a:open("waits")
      ctx:cancel("changed my mind")
      local err = raises("changed my mind", ctx.result, ctx)
      is(err.code, "cancelled")
      is(err.actor, copse.self())
      is(err.data.origin, "requested")
      is(err.data.by, copse.self())
    end)
    with(function(a)
      local ctx <close> = a:open("waits")
      ctx:cancel()
    end)
  end)

  test("a nursery closes what was left open, innermost first", function()
    with(function(a)
      is(copse.nursery(function()
        local one = a:open("sink")
        local two = a:open("pong", 1)
        one:send(1); two:send("ping")
        return 5
      end), 5)
    end)
  end)

  test("several tasks can use one context", function()
    with(function(a)
      local ctx <close> = a:open("values")
      local got = 0
      copse.nursery(function(n)
        for _ = 1, 4 do n:start(function() for v in ctx:items() do got = got + v end end) end
        copse.nursery(function(s)
          for i = 1, 10 do s:start(function() for _ = 1, 100 do ctx:send(i) end end) end
        end)
        ctx:finish()
      end)
      is(got, 5500)
    end)
  end)

  test("what a handler must not do is refused", function()
    with(function(a)
      local ctx <close> = a:open("misuse")
      local said = ctx:result()
      like(said[1], "started was said already")
      like(said[2], "send after finish")
      like(said[3], "only the end that opened")
      raises("only the end that serves", ctx.started, ctx)
    end)
  end)

  test("a context can be closed inside a scope that was opened later", function()
    with(function(a)
      for _, scope in ipairs {
        copse.nursery,
        function(fn) return copse.timeout(1000, fn) end,
        function(fn) return copse.shield(1000, fn) end,
      } do
        for _ = 1, 20 do
          local ctx = a:open("source", 3)
          is(scope(function()
            local c <close> = ctx
            return c:receive()
          end), 1)
          is(ctx:result(), "sent 3")
          is(a:call("plain"), "plain")
        end
      end
      local ctx <close> = a:open("pong", 1)
      copse.nursery(function() copse.nursery(function() local _ <close> = ctx end) end)
      is(ctx:result(), 0)
    end)
  end)

  test("closing a context leaves those alone that were opened later", function()
    with(function(a)
      local one, two, three = a:open("source", 3), a:open("source", 3), a:open("pong", 1)
      do local _ <close> = one end
      is(one:result(), "sent 3")
      is(two:receive(), 1)
      raises("mine", function()
        local _ <close> = two
        error("mine")
      end)
      three:send("ping")
      is(three:receive(), "pong")
      three:finish()
      is(three:result(), 1)
    end)
  end)

  test("a chain of contexts, each opened before the last is closed, has no end", function()
    with(function(a)
      local last = a:open("pong", 0)
      for i = 1, 300 do
        local ctx, first = a:open("pong", i)
        is(first, i + 1)
        do local _ <close> = last end
        ctx:send("ping")
        is(ctx:receive(), "pong")
        last = ctx
      end
    end)
  end)

  test("leaving a scope opened later by an error or a timeout cancels what it closes", function()
    with(function(a)
      local ctx, later = a:open("waits"), a:open("pong", 1)
      raises("mine", copse.nursery, function()
        local _ <close> = ctx
        error("mine")
      end)
      is(a:call("ended_count"), 1)
      ctx = a:open("waits")
      is(raises("", copse.timeout, 0.02, function()
        local c <close> = ctx
        c:receive()
      end).code, "deadline")
      is(a:call("ended_count"), 2)
      ctx = a:open("waits")
      is(raises("", copse.timeout, 0.02, function()
        local _ <close> = ctx -- what is waited for is its outcome
      end).code, "deadline")
      is(a:call("ended_count"), 3)
      later:send("ping")
      is(later:receive(), "pong")
    end)
  end)

  test("closing in a scope opened later raises the far side's error, once", function()
    with(function(a)
      local ctx = a:open("fails_later")
      is(raises("", copse.nursery, function()
        local _ <close> = ctx
      end).message, "on purpose")
      is(a:call("plain"), "plain")
    end)
    with(function(a) -- another task has it already
      local ctx, heard = a:open("fails_later"), nil
      copse.nursery(function(n)
        n:start(function() heard = raises("on purpose", ctx.result, ctx) end)
        copse.yield()
        local _ <close> = ctx
      end)
      is(heard.message, "on purpose")
    end)
  end)

  test("a failure goes up to the context although it is closed in a scope opened later", function()
    with(function(a)
      local caught
      local err = raises("", copse.nursery, function()
        local ctx = a:open("fails_later")
        caught = pcall(copse.timeout, 1000, function()
          local c <close> = ctx
          local _ = a:open("pong", 1)
          c:send("go")
          copse.sleep(1000)
        end)
        copse.sleep(1000)
      end)
      is(caught, nil)
      is(err.message, "on purpose")
      is(a:call("plain"), "plain")
    end)
    with(function(a)
      is(raises("", function()
        local ctx <close> = a:open("fails_later")
        local _ = a:open("pong", 1) -- cancelled with it
        ctx:send("go")
        copse.sleep(1000)
      end).message, "on purpose")
      is(a:call("plain"), "plain")
    end)
  end)

  test("many contexts one after the other leave nothing behind", function()
    with(function(a)
      for i = 1, 600 do
        local ctx <close>, first = a:open("pong", i)
        is(first, i + 1)
      end
    end)
  end)

  test("a context relays between two actors", function()
    copse.nursery(function(n)
      local a, b = n:spawn("first"), n:spawn("second")
      local from <close> = a:open("source", 500)
      local to <close> = b:open("sink")
      for v in from:items() do to:send(v) end
      is(to:result(), { sum = 125250, count = 500 })
      is(from:result(), "sent 500")
    end)
  end)

  tap.done()
end

return M
