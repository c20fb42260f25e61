-- SPDX-License-Identifier: MIT
-- Tasks, scopes and cancellation inside one process.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises, like = tap.test, tap.is, tap.ok, tap.raises, tap.like

local M = {}

-- A value whose __close calls f.
local function closing(f) return setmetatable({}, { __close = f }) end

function M.main()
  test("a nursery gives what its body returns", function()
    local a, b, c = copse.nursery(function(n) return 1, nil, tostring(n) end)
    is(a, 1)
    is(b, nil)
    like(c, "open")
    is(select("#", copse.nursery(function() end)), 0)
    is(copse.nursery(function(_, x, y) return x + y end, 2, 3), 5)
  end)

  test("a nursery waits for its tasks", function()
    local log = {}
    copse.nursery(function(n)
      n:start(function(x) copse.yield(); log[#log + 1] = x end, "a")
        :start(function() log[#log + 1] = "b" end)
      log[#log + 1] = "body"
    end)
    is(log, { "body", "b", "a" })
  end)

  test("an error of a task cancels the others and is raised", function()
    local slept, closed = false, false
    local err = raises("boom", copse.nursery, function(n)
      n:start(function()
        local _ <close> = closing(function() closed = true end)
        copse.sleep(1000)
        slept = true
      end)
      n:start(function() error("boom") end)
      copse.sleep(1000)
    end)
    ok(not slept and closed, "the other was cancelled and cleaned up")
    is(err.code, "failed")
    like(err.message, "task_test.lua:%d+: boom")
    like(err.stack, "traceback")
    like(err.stack, "started at .*task_test.lua")
  end)

  test("an error of the body is raised as the very value", function()
    local value = { code = "mine", message = "a table" }
    local got, err = pcall(copse.nursery, function() error(value) end)
    ok(not got and rawequal(err, value), "the same table")
    like(raises("text", copse.nursery, function() error("text") end).stack, "traceback")
  end)

  test("errors of several tasks come as a group", function()
    local err = raises("", copse.nursery, function(n)
      n:start(function()
        local _ <close> = closing(function() error("second") end)
        copse.sleep(1000)
      end)
      n:start(function() error("first") end)
    end)
    is(err.code, "group")
    is(#err.causes, 2)
    like(err.causes[1].message .. err.causes[2].message, "first")
    like(err.causes[1].message .. err.causes[2].message, "second")
  end)

  test("cancelling a nursery ends it without an error", function()
    local reached
    local values = table.pack(copse.nursery(function(n)
      n:start(function() n:cancel() end)
      copse.sleep(1000)
      reached = true
    end))
    is(values.n, 0)
    is(reached, nil)
  end)

  test("a body that finishes keeps its values although the nursery was cancelled", function()
    is(copse.nursery(function(n) n:start(copse.sleep, 1000); n:cancel(); return 7 end), 7)
  end)

  test("a cancelled scope fails every further wait, and pcall does not stop it", function()
    local waits = 0
    copse.nursery(function(n)
      n:start(function() n:cancel() end)
      while true do
        pcall(function() waits = waits + 1; copse.sleep(1000) end)
        xpcall(copse.sleep, debug.traceback, 1000)
      end
    end)
    is(waits, 1)
  end)

  test("a nursery that ends because all around it is cancelled ends its task, too", function()
    local log = {}
    copse.nursery(function(n)
      copse.nursery(function(inner)
        inner:start(function() n:cancel(); copse.sleep(1000) end)
      end)
      log[1] = "as if it had been done"
    end)
    is(log, {})
  end)

  test("a wait in the clean-up of a cancelled scope fails again", function()
    local again
    copse.nursery(function(n)
      n:start(function() n:cancel() end)
      local _ <close> = closing(function() again = "began"; copse.sleep(0); again = "went on" end)
      copse.sleep(1000)
    end)
    is(again, "began")
  end)

  test("a shield gives clean-up its time", function()
    local done
    copse.nursery(function(n)
      n:start(function() n:cancel() end)
      local _ <close> = closing(function()
        done = copse.shield(10, function() copse.sleep(0.001); return copse.cancelled() end)
      end)
      copse.sleep(1000)
    end)
    is(done, false)
  end)

  test("a shield ends after its time", function()
    local log = {}
    copse.nursery(function(n)
      n:start(function() n:cancel() end)
      local _ <close> = closing(function()
        copse.shield(0.01, function() copse.sleep(1000); log[1] = "too long" end)
      end)
      copse.sleep(1000)
    end)
    is(log, {})
  end)

  test("a timeout raises the error deadline", function()
    local err = raises("", copse.timeout, 0.01, copse.sleep, 1000)
    is(err.code, "deadline")
    is(copse.timeout(1000, function(a, b) return a + b end, 1, 2), 3)
  end)

  test("the tightest timeout counts, whatever the nesting", function()
    local err = raises("", copse.timeout, 0.01, function()
      copse.timeout(1000, function() copse.sleep(1000) end)
    end)
    is(err.code, "deadline")
    local inner = raises("", copse.timeout, 1000, function()
      copse.timeout(0.01, copse.sleep, 1000)
    end)
    is(inner.code, "deadline")
  end)

  test("an error of a timeout's body is its own", function()
    raises("mine", copse.timeout, 1000, function() error("mine") end)
  end)

  test("tasks wait for each other by events", function()
    local e, log = copse.event(), {}
    copse.nursery(function(n)
      for i = 1, 3 do n:start(function() local v = i .. e:wait(); log[#log + 1] = v end) end
      copse.yield()
      is(e:is_set(), false)
      is(e:set("!"), true)
      is(e:set("?"), false)
    end)
    is(log, { "1!", "2!", "3!" })
    is(e:wait(), "!")
  end)

  test("a task that waits for an event can be cancelled", function()
    local e = copse.event()
    is(raises("", copse.timeout, 0.005, function() e:wait() end).code, "deadline")
    e:set()
  end)

  test("sleeping tasks wake after their time, all of them", function()
    local woken = 0
    copse.nursery(function(n)
      for _, ms in ipairs { 30, 10, 20, 5, 25, 15, 0, 1 } do
        n:start(function()
          local before = copse.now()
          copse.sleep(ms / 1000)
          ok(copse.now() - before >= (ms - 1) / 1000, "it slept")
          woken = woken + 1
        end)
      end
    end)
    is(woken, 8)
  end)

  test("many sleeping tasks are cancelled at once", function()
    copse.nursery(function(n)
      for i = 1, 100 do n:start(copse.sleep, 1000 - i) end
      copse.yield()
      n:cancel()
    end)
  end)

  test("an error in a __close keeps the first error as its cause", function()
    local err = raises("second", copse.nursery, function()
      local _ <close> = closing(function() error("second") end)
      error("first")
    end)
    is(#err.causes, 1)
    like(err.causes[1].message, "first")
  end)

  test("a __close that runs while an error unwinds may wait", function()
    local waited
    raises("boom", copse.nursery, function()
      local _ <close> = closing(function() copse.yield(); copse.sleep(0.001); waited = true end)
      error("boom")
    end)
    is(waited, true)
  end)

  test("waits in coroutines of one's own are refused", function()
    raises("coroutine of your own", coroutine.wrap(function() copse.sleep(0) end))
    local co = coroutine.create(function() copse.yield() end)
    local fine, err = coroutine.resume(co)
    is(fine, false)
    like(err, "coroutine of your own")
    raises("not a coroutine of your own", coroutine.yield)
    is(coroutine.isyieldable(), false)
  end)

  test("waits across functions that are not written in Lua are refused", function()
    raises("cannot wait here", table.sort, { 2, 1, 3 }, function() copse.sleep(0) end)
    raises("cannot wait here", string.gsub, "x", "x", function() copse.sleep(0) end)
  end)

  test("coroutines of one's own work as ever", function()
    local gen = coroutine.wrap(function(a)
      for i = 1, 3 do a = a + coroutine.yield(a * i) end
      return "end"
    end)
    is(gen(1), 1)
    is(gen(1), 4)
    is(gen(1), 9)
    is(gen(1), "end")
    raises("dead", gen)
    local co = coroutine.create(function() error("inside") end)
    local fine, err = coroutine.resume(co)
    is(fine, false)
    like(err, "inside")
    local closed
    local c2 = coroutine.create(function()
      local _ <close> = closing(function() closed = true end)
      coroutine.yield()
    end)
    coroutine.resume(c2)
    is(coroutine.close(c2), true)
    is(closed, true)
    is(coroutine.status(c2), "dead")
    raises("cannot resume a task", function()
      local me = coroutine.running()
      assert(coroutine.resume(me))
    end)
  end)

  test("pcall and xpcall work as ever", function()
    is({ pcall(function(...) return ... end, 1, nil, 3) }, { true, 1, nil, 3 })
    is({ pcall(error, "e") }, { false, "e" })
    is({ pcall(error) }, { false })
    is({ xpcall(function(a) error(a, 0) end, function(m) return m .. "!" end, "x") },
      { false, "x!" })
    is({ xpcall(function(...) return select("#", ...) end, print, 1, 2) }, { true, 2 })
    is({ pcall(pcall, error, 1) }, { true, false, 1 })
    is(select("#", pcall(function() copse.yield(); return 1, 2 end)), 3)
    ok(not pcall(pcall), "an argument is needed")
  end)

  test("an error object says what it was made of", function()
    local e = copse.error { code = "not_found", message = "no such thing", data = { id = 7 } }
    is(e.code, "not_found")
    is(e.message, "no such thing")
    is(e.data, { id = 7 })
    is(tostring(e), "not_found: no such thing")
    is(e.retry, false)
    is(copse.error("text").code, "failed")
    local got = raises("no such thing", copse.nursery, function(n) n:start(error, e) end)
    is(got.code, "not_found")
    like(got.stack, "traceback")
    like(copse.report(got), "no such thing")
  end)

  test("a table that is raised becomes an error with its fields", function()
    local got = raises("x", copse.nursery, function(n)
      n:start(error, { code = "busy", message = "x", type = "Mine", data = { 1 } })
    end)
    is({ got.code, got.message, got.type, got.data }, { "busy", "x", "Mine", { 1 } })
    local bad = setmetatable({}, { __tostring = function() error("no") end })
    like(raises("", copse.nursery, function(n) n:start(error, bad) end).message, "__tostring fails")
  end)

  test("deep recursion is an ordinary error", function()
    local function f() return 1 + f() end
    like(raises("", copse.nursery, function(n) n:start(f) end).message, "overflow")
  end)

  test("a nursery that has ended takes nothing more", function()
    local kept
    copse.nursery(function(n) kept = n end)
    raises("has ended", kept.start, kept, print)
    like(kept, "ended")
  end)

  test("a task that was cancelled before its first step does not run", function()
    local ran
    copse.nursery(function(n) n:start(function() ran = true end); n:cancel() end)
    is(ran, nil)
  end)

  test("many tasks come and go", function()
    local sum = 0
    copse.nursery(function(n)
      for i = 1, 5000 do n:start(function() copse.yield(); sum = sum + i end) end
    end)
    is(sum, 12502500)
  end)

  test("arguments are checked", function()
    raises("number", copse.sleep, "x")
    raises("not negative", copse.sleep, -1)
    raises("function", copse.nursery, 1)
    raises("function", copse.timeout, 1)
    copse.nursery(function(n) raises("function expected, got nil", n.start, n, nil) end)
  end)

  test("an option that does not exist is refused, and those that do are named", function()
    copse.nursery(function(n)
      like(raises("spawn has no option 'modul'", n.spawn, n, "x", { modul = "x" }), "module, ")
    end)
    raises("copse.context has no option 'windov'; there are: window",
      copse.context, print, { windov = 1 })
    raises("copse.connect has no option 'tokn'", copse.connect, "unix:/x", { tokn = "x" })
  end)

  tap.done()
end

return M
