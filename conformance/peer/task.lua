-- SPDX-License-Identifier: MIT
--
-- Tasks, waiting and the event loop. A task is a coroutine that runs in a scope (scope.lua); it
-- waits for a signal, which is anything that may change. Cancellation is a level: once a scope
-- around a task is cancelled, every wait raises the cause, again and again [MODEL-006].
--
-- Everything that happens comes from the event loop through `callback`, which lets the tasks run
-- that it made ready before it returns.

local uv = require "luv"
local hooks = require "peer.hooks"

local M = {}

local ready, first, last = {}, 1, 0
local current -- the task that runs
local deferred = {} -- done once when no task is ready: links write out what they gathered
local draining = false

-- --- the scheduler -------------------------------------------------------------------------------

local function make_ready(task)
  if task.ready then return end
  task.ready = true
  last = last + 1
  ready[last] = task
end
M.wake = make_ready

local function step(task)
  task.ready = false
  if coroutine.status(task.co) == "dead" then return end -- woken when it had just ended
  current = task
  local ok, err = coroutine.resume(task.co)
  current = nil
  if not ok then -- the functions of tasks catch what is raised: this is a fault of the peer itself
    io.stderr:write("peer: ", debug.traceback(task.co, tostring(err)), "\n")
    os.exit(70)
  end
end

function M.drain()
  if draining then return end
  draining = true
  repeat
    while first <= last do
      local task = ready[first]
      ready[first] = nil
      first = first + 1
      step(task)
    end
    first, last = 1, 0
    local work = next(deferred)
    if work then
      deferred[work] = nil
      work()
    end
  until first > last and not next(deferred)
  draining = false
end

-- Wraps what the event loop is to call.
function M.callback(fn)
  return function(...)
    fn(...)
    M.drain()
  end
end

-- Has `work` called once before the event loop goes on.
function M.defer(work) deferred[work] = true end

-- Calls fn once after `ms`; the function returned prevents it.
function M.after(ms, fn)
  local timer = uv.new_timer()
  local function stop()
    if not timer:is_closing() then timer:close() end
  end
  uv.update_time()
  timer:start(math.min(ms, 1 << 40), 0, M.callback(function()
    stop()
    fn()
  end))
  return stop
end

-- Milliseconds on a clock that only moves forward.
function M.now()
  uv.update_time()
  return uv.now()
end

-- What cannot be put off until user code lets go: functions that are called now and then while a
-- task computes without a wait. They must neither wait nor touch what a task might be changing.
M.look_ins = {}

local LOOK_IN = 1000000 -- instructions of Lua; a call into C is not interrupted

local function look_in()
  for fn in pairs(M.look_ins) do fn() end
end

-- A new task in `scope`. fn must not raise.
function M.start(scope, fn)
  local task = { scope = scope }
  task.co = coroutine.create(function()
    fn()
    task.scope.tasks[task] = nil
    task.scope.changed:notify()
  end)
  debug.sethook(task.co, look_in, "", LOOK_IN)
  scope.tasks[task] = true
  make_ready(task)
  return task
end

-- Moves the running task into another scope and returns the one it was in.
function M.enter(scope)
  local outer = current.scope
  outer.tasks[current] = nil
  scope.tasks[current] = true
  current.scope = scope
  return outer
end

function M.scope() return current and current.scope end

-- --- waiting -------------------------------------------------------------------------------------

local Signal = {}
Signal.__index = Signal

function M.signal() return setmetatable({ waiting = {} }, Signal) end

function Signal:notify()
  for task in pairs(self.waiting) do make_ready(task) end
end

function Signal:has_waiters() return next(self.waiting) ~= nil end

local function park(signal)
  local task = current
  signal.waiting[task] = true
  coroutine.yield()
  signal.waiting[task] = nil
end

-- Waits until look() gives something true and returns that; cancellation does not end it.
function M.await(signal, look)
  local result = look()
  while not result do
    park(signal)
    result = look()
  end
  return result
end

-- The same, ended by the cancellation of a scope around the task, at its very begin too.
function M.wait(signal, look)
  while true do
    M.check()
    local result = look()
    if result then return result end
    park(signal)
  end
end

-- Raises the cause if a scope around the running task is cancelled.
function M.check()
  local cause = current.scope:cause()
  if not cause or current.seen == cause and not hooks.raises_again() then return end
  current.seen = cause
  error(cause, 0)
end

return M
