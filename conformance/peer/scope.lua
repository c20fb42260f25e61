-- SPDX-License-Identifier: MIT
--
-- Scopes: the structured concurrency inside one process, which the protocol carries on to the next.
-- `scope.run(fn)` ends only when all that was started in the scope has ended: tasks, contexts,
-- children. The first error cancels the rest; cancellation reaches everything below, save what is
-- in a shield, and that too when the grace is over [MODEL-003..006, CANCEL-015].
--
-- Members of a scope are scopes below it, contexts and children. All but scopes have two methods,
-- cancel(cause) and shorten(): the scope calls the first once, the second when the grace shrank.

local failure = require "peer.failure"
local hooks = require "peer.hooks"
local task = require "peer.task"

local M = {}

local Scope = {}
Scope.__index = Scope
M.Scope = Scope

-- options: parent; actor and context where not the parent's; shield.
function M.new(options)
  local parent = options.parent or {}
  local scope = setmetatable({
    parent = options.parent,
    actor = options.actor or parent.actor,
    context = options.context or parent.context, -- on whose behalf it is
    deadline = parent.deadline,
    shield = options.shield,
    members = {},
    tasks = {}, -- those that are in this very scope now
    errors = {},
    changed = task.signal(),
  }, Scope)
  if options.parent then options.parent.members[scope] = true end
  return scope
end

function Scope:add(member) self.members[member] = true end

function Scope:remove(member)
  self.members[member] = nil
  self.changed:notify()
end

-- --- cancellation --------------------------------------------------------------------------------

-- Why a wait in this scope fails, or nil.
function Scope:cause()
  local shielded, scope = false, self
  while scope do
    if scope.cancelled and (not shielded or scope.grace_over) then return scope.cancelled end
    shielded = shielded or scope.shield
    scope = scope.parent
  end
end

-- The first cancellation that holds for the scope, be it in a shield or not.
function Scope:doom()
  return self.cancelled or self.parent and self.parent:doom()
end

-- Milliseconds of grace that are left, by the tightest cancellation around the scope, or nil.
function Scope:grace_left()
  local left = self.parent and self.parent:grace_left()
  if not self.grace_end then return left end
  local own = math.max(0, self.grace_end - task.now())
  return left and math.min(left, own) or own
end

local function is_scope(member) return getmetatable(member) == Scope end

function Scope:pass_on(cause)
  for t in pairs(self.tasks) do task.wake(t) end
  for member in pairs(self.members) do
    if not is_scope(member) then
      if hooks.passes_on(member) then member:cancel(cause) end
    elseif not member.shield or member:cause() then
      member:pass_on(cause)
    end
  end
end

function Scope:shorten()
  for member in pairs(self.members) do member:shorten() end
end

-- Cancels the scope, with a grace in ms (the actor's if nil). The first cause stands; a repeat can
-- shorten the grace and nothing else [MODEL-005, CANCEL-003].
function Scope:cancel(cause, grace)
  local now = task.now()
  local ends = now + (grace or self.actor.grace)
  if self.cancelled and not hooks.takes_grace(ends, self.grace_end) then return end
  self.grace_end = ends
  if self.stop_grace then self.stop_grace() end
  self.stop_grace = task.after(ends - now, function()
    self.grace_over = hooks.ends_shields()
    self:pass_on(self.cancelled)
  end)
  if self.cancelled then return self:shorten() end
  self.cancelled = cause
  self:pass_on(cause)
end

-- The deadline that this scope inherited is due: the scope that it came from is cancelled.
function Scope:expire(cause)
  local scope = self
  while scope.parent and scope.parent.deadline do scope = scope.parent end
  if scope.context then scope.context:be_cancelled(cause) else scope:cancel(cause) end
end

-- --- errors --------------------------------------------------------------------------------------

-- An error of the scope: it is kept, once, and the rest is cancelled [MODEL-004].
function Scope:fail(err)
  for _, known in ipairs(self.errors) do
    if rawequal(known, err) then return end
  end
  failure.arose_in(err, self.actor)
  self.errors[#self.errors + 1] = err
  if hooks.cancels_siblings() then
    self:cancel(failure.cause("error", self.actor.ref), self:grace_left())
  end
end

-- --- running -------------------------------------------------------------------------------------

-- Starts fn in a task of its own in the scope.
function Scope:start(fn)
  task.start(self, function()
    local ok, err = xpcall(fn, failure.from_lua)
    if not ok and failure.is(err) then self:fail(err) end
  end)
end

function Scope:is_empty() return not next(self.members) and not next(self.tasks) end

-- Ends the scope: everything in it has ended, its time of grace is of no interest any more.
local function finish(scope)
  if scope.stop_grace then scope.stop_grace() end
  if scope.parent then scope.parent:remove(scope) end
end

-- Runs fn(scope) inside `scope` and waits for all that was started there. Returns true and what fn
-- returned; or false and the failure that arose (a group if several did) or the cause that ended
-- fn.
function M.run_in(scope, fn)
  local outer = task.enter(scope)
  local results = table.pack(xpcall(fn, failure.from_lua, scope))
  local err = not results[1] and results[2] or nil
  if failure.is(err) then scope:fail(err) end
  task.enter(outer)
  task.await(scope.changed, function() return hooks.scope_may_end(scope:is_empty()) end)
  finish(scope)
  if #scope.errors > 0 then return false, failure.combine(scope.errors, scope.actor) end
  return table.unpack(results, 1, results.n)
end

-- Runs fn(scope) in a new scope inside the present one; returns what fn returns. Raises the failure
-- that arose. The scope's own cancellation ends here; that of a scope around it goes on, which the
-- end of this scope, being a wait, shows like any other.
function M.run(fn, options)
  options = options or {}
  options.parent = task.scope()
  local scope = M.new(options)
  local results = table.pack(M.run_in(scope, fn))
  if results[1] then
    task.check()
    return table.unpack(results, 2, results.n)
  end
  if not rawequal(results[2], scope.cancelled) then error(results[2], 0) end
  task.check()
end

-- Clean-up that outer cancellation does not interrupt, for at most `ms` and never beyond the grace.
-- Returns whether it came to its end in that time.
function M.shielded(ms, fn)
  local done = false
  local ok, err = pcall(M.run, function(scope)
    local stop = task.after(ms, function()
      scope:cancel(failure.cause("deadline", scope.actor.ref), 0)
    end)
    local _ <close> = setmetatable({}, { __close = stop })
    fn()
    done = true
  end, { shield = true })
  if not ok and failure.is(err) then error(err, 0) end
  return done
end

return M
