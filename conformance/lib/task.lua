-- SPDX-License-Identifier: MIT
--
-- Cases run as coroutines on libuv's loop. A case that waits gives a condition; whatever happens to
-- the case (a frame, an exit, a signal) asks the condition again. There is no other way to wait, so
-- there is nothing that could depend on how long something took, but for the three budgets: `await`
-- for what must come, `quiet` for the few places where nothing must come and no barrier can prove
-- it, and the watchdog that ends a case which hangs in some other way.

local uv = require "luv"

local Task = {}
Task.__index = Task

-- Starts fn(task) as a coroutine. done(ok, err, traceback) is called once, when it has ended.
function Task.start(fn, done)
  local task = setmetatable({ done = done }, Task)
  task.co = coroutine.create(function()
    local trace
    local ok, err = xpcall(fn, function(e)
      trace = type(e) == "table" and "" or debug.traceback(tostring(e), 2)
      return e
    end, task)
    task.ended = true
    task:clear()
    done(ok, err, trace)
  end)
  task:resume()
  return task
end

function Task:clear()
  if self.timer and not self.timer:is_closing() then self.timer:close() end
  self.timer, self.condition = nil, nil
end

function Task:resume(...)
  local ok, err = coroutine.resume(self.co, ...)
  if not ok then error(err) end
end

-- Waits until condition() returns something true, which is the result, or until `ms` have passed:
-- nil. Raises what `interrupt` was given.
function Task:wait(condition, ms)
  assert(coroutine.running() == self.co, "a wait outside of its case")
  if self.interrupted then
    local e = self.interrupted
    self.interrupted = nil
    error(e, 0)
  end
  local result = condition()
  if result then return result end
  ms = math.ceil(ms)
  if ms <= 0 then return nil end
  self.condition = condition
  self.timer = uv.new_timer()
  -- What arrived while the suite itself was held up (or stopped) counts: the loop reads once more
  -- before the time is called over.
  self.timer:start(ms, 0, function()
    self.timer:start(1, 0, function()
      self:clear()
      self:resume("timeout")
    end)
  end)
  local how, what = coroutine.yield()
  if how == "raise" then error(what, 0) end
  return how == "event" and what or nil
end

-- Something happened: asks the condition of the wait, if there is one.
function Task:poke()
  if not self.condition then return end
  local result = self.condition()
  if result then
    self:clear()
    self:resume("event", result)
  end
end

-- Raises `what` in the case: now if it waits, else at its next wait.
function Task:interrupt(what)
  if self.ended then return end
  if self.condition then
    self:clear()
    self:resume("raise", what)
  else
    self.interrupted = what
  end
end

return Task
