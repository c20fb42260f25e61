-- SPDX-License-Identifier: MIT
--
-- What becomes of an OPEN: a refusal, or a handler in a task and a scope of its own, and the
-- terminal that its end calls for. The answers of this file are those of the protocol layer: they
-- are queued before anything that arrives later is looked at, which makes PING a barrier
-- [KIND-006].

local failure = require "peer.failure"
local hooks = require "peer.hooks"
local scope = require "peer.scope"
local task = require "peer.task"

local M = {}

local function refuse(actor, ctx, code, message)
  ctx:conclude_error(failure.new {
    code = code, message = message or ctx.target, actor = actor:name_only(),
  }, true)
end

-- Why the actor does not serve the context now, or nil; the first of several reasons [CTX-010].
local function refusal(actor, ctx)
  if ctx.target == "copse.actor" and (ctx.link ~= actor.parent_link or actor.context) then
    return "denied"
  end
  if ctx.link.bye_sent or actor.finishing or actor.scope.cancelled then return "closing" end
  if ctx.target == "copse.actor" then return end
  if not actor.ready then return "not_ready" end
  if not actor.exports[ctx.target] then return "no_target" end
  if actor.allows and not actor:allows(ctx) then return "denied" end
end

-- The terminal for what a handler returned or raised.
local function conclude(ctx, ok, result)
  local asked = ctx:cancellation()
  if not ok and failure.is_cause(result) then
    if not asked and result.origin == "deadline" and ctx.scope.deadline then
      ctx.requested, asked = result, result
    end
    if asked then return ctx:conclude_cancelled(true) end
    result = failure.new { code = "cancelled", message = tostring(result) }
  end
  if ok then
    local fits, payload = pcall(ctx.encode, ctx, result)
    if fits then return ctx:conclude(hooks.terminal("RETURN", payload)) end
    result = failure.from_lua(payload)
  end
  failure.arose_in(result, ctx.link.actor)
  if asked and hooks.marks_cancelled() then
    local marked = failure.new(result)
    marked.cancelled = true
    result = marked
  end
  ctx:conclude_error(result)
end

local function run(actor, ctx, handler)
  if ctx.life == "ended" or ctx:cancellation() and not hooks.begins_cancelled() then
    ctx.scope.parent:remove(ctx.scope)
    return ctx:conclude_cancelled(false)
  end
  ctx.ran = true
  actor.ran = actor.ran + 1
  actor.running = actor.running + 1
  local ok, result = scope.run_in(ctx.scope, function() return handler(ctx, ctx.args) end)
  actor.running = actor.running - 1
  if ctx:cancellation() then actor.cancelled = actor.cancelled + 1 end
  conclude(ctx, ok, result)
end

-- The deadline of OPEN, counted from its first fragment. Returns false if it has passed already.
local function set_deadline(actor, ctx, deadline)
  if not deadline or not hooks.enforces_deadline() then return true end
  local left = deadline - (task.now() - ctx.since)
  local cause = failure.cause("deadline", actor.ref)
  if left <= 0 then
    ctx.requested = cause
    return false
  end
  ctx.scope.deadline = task.now() + left
  ctx.stop_deadline = task.after(left, function()
    ctx:be_cancelled(cause)
    ctx.signal:notify()
  end)
  return true
end

-- A complete OPEN. `open` is its checked content.
function M.serve(actor, ctx, open)
  ctx.traceparent = open.traceparent
  ctx.scope = scope.new { parent = actor.scope, context = ctx }
  local function drop() actor.scope:remove(ctx.scope) end
  local code = hooks.refusal(refusal(actor, ctx), ctx)
  if code then
    drop()
    return refuse(actor, ctx, code)
  end
  local in_time = set_deadline(actor, ctx, open.deadline)
  if ctx.target == "copse.actor" then
    drop()
    return actor:begin(ctx, in_time)
  end
  if not in_time then
    drop()
    return ctx:conclude_cancelled(false)
  end
  local handler = actor.exports[ctx.target]
  task.start(actor.scope, function() run(actor, ctx, handler) end)
end

return M
