-- SPDX-License-Identifier: MIT
--
-- One context at one of its ends: the life machine, two halves, credit (chapters 8, 9, 12). The
-- link has decided by the tables that a frame may come before it calls `arrived`; user code calls
-- the methods of the last part, which wait.

local codec = require "peer.codec"
local failure = require "peer.failure"
local frame = require "peer.frame"
local hooks = require "peer.hooks"
local tables = require "peer.tables"
local task = require "peer.task"

local M = {}

local Context = {}
Context.__index = Context
M.Context = Context

local function new(link, id, role, life)
  return setmetatable({
    link = link, id = id, role = role, life = life,
    out = "open", inward = "open",
    granted = { items = 0, bytes = 0 }, -- what the peer may send, in total
    told = { items = 0, bytes = 0 }, -- the same, as far as it has been written
    got = { items = 0, bytes = 0 }, -- what it did send
    consumed = { items = 0, bytes = 0 }, -- what user code took of that
    allowed = { items = 0, bytes = 0 }, -- what I may send, in total
    sent = { items = 0, bytes = 0 },
    items = {}, first = 1, last = 0, -- arrived and not yet taken: {value, size}
    signal = task.signal(),
  }, Context)
end

-- The machine of this end's life, its next state for an event; nil if the cell is no state.
function Context:cell(event) return tables[self.role][self.life][event] end

-- --- opener --------------------------------------------------------------------------------------

-- options: send, window {items, bytes} (absent: no items wanted), deadline, traceparent, meta,
-- all of them already agreed with the scope by Link:open.
function M.open(link, id, target, args, options)
  local ctx = new(link, id, "opener", "unopened")
  ctx.target = target
  if not options.send then ctx.out = "ended" end
  if options.window then
    ctx.window = { items = options.window[1], bytes = options.window[2] }
    ctx.granted = { items = ctx.window.items, bytes = ctx.window.bytes }
    ctx.told = ctx.granted
  else
    ctx.inward = "ended"
  end
  local open = codec.map {
    target = target, args = args, send = options.send or nil,
    credit = options.window and codec.array { ctx.granted.items, ctx.granted.bytes },
    deadline = options.deadline, traceparent = options.traceparent, meta = options.meta,
  }
  return ctx, codec.encode_control(hooks.open(open))
end

-- --- callee --------------------------------------------------------------------------------------

-- The first fragment of an OPEN has arrived.
function M.opened(link, id)
  local ctx = new(link, id, "callee", "opening")
  ctx.since = task.now()
  return ctx
end

-- The OPEN is complete.
function Context:complete(open)
  self.life = "running"
  self.target, self.args = open.target, open.args
  if not open.send and hooks.implies_end() then self.inward = "ended" end
  if open.credit and self.link.features.stream then
    self.allowed.items = math.max(self.allowed.items, open.credit[1])
    self.allowed.bytes = math.max(self.allowed.bytes, open.credit[2])
  else
    self.out = "ended"
    self.implied_stop = true
  end
end

-- --- frames that arrived -------------------------------------------------------------------------

local arrived = {}
M.arrived = arrived

function Context:drop_items() self.items, self.first, self.last = {}, 1, 0 end

-- A whole message or control frame; `value` is its checked content. A half that the table does not
-- name for a frame is not concerned by it.
function Context:arrived(kind, value, size)
  if frame.kinds[kind].terminal then self.terminal = kind end
  arrived[kind](self, value, size)
  self.signal:notify()
  if self.terminal and self.on_terminal then self.on_terminal() end
end

-- Moves the machine `half` ("out" or "inward") by an event and returns what its table said.
local function move(self, half, event)
  local cell = tables[half][self[half]][event]
  if tables[half][cell] then self[half] = cell end
  return cell
end

local function end_halves(self)
  move(self, "out", "terminal")
  move(self, "inward", "terminal")
end

function arrived:STARTED(value)
  self.life = "started"
  self.started_value = value
end

function arrived:ITEM(value, size)
  if self.inward ~= "open" then return end
  self.last = self.last + 1
  self.items[self.last] = { value, size }
end

arrived["END"] = function(self)
  move(self, "inward", "END")
  if self.on_end then self.on_end() end
end

function arrived:STOP()
  if move(self, "out", "STOP") ~= "stopped" then return end
  self.link.outbox:withdraw(self, function(m) return m.kind == "ITEM" end)
  self:answer_stop()
end

-- END answers STOP at once, but not before STARTED [STREAM-004, STREAM-005].
function Context:answer_stop()
  if self.out ~= "stopped" or self.life ~= "started" and self.role == "callee" then return end
  self.out = "ended"
  self.said_no_end = true
  if hooks.answers_stop() then self.link.outbox:message(self, "END", nil, true) end
end

local function smaller_total()
  if hooks.checks_totals() then
    error({ violation = "credit", message = "a total that is smaller than before" }, 0)
  end
end

function arrived:CREDIT(total)
  if move(self, "out", "CREDIT") ~= "open" then return end
  local allowed = self.allowed
  if self.life == "opening" then
    local last = self.last_credit or total
    if total.items < last.items or total.bytes < last.bytes then return smaller_total() end
    self.last_credit = total
  elseif total.items < allowed.items or total.bytes < allowed.bytes then
    return smaller_total()
  end
  self.allowed = hooks.credit(allowed, total)
end

function arrived:CANCEL(cancel)
  if self.life == "opening" then
    self.requested = failure.cause(cancel.origin, cancel.by, cancel.message)
    return self:conclude_cancelled(false)
  end
  move(self, "out", "CANCEL")
  move(self, "inward", "CANCEL")
  self:drop_items()
  self.link.outbox:withdraw(self, function(m) return m.kind == "ITEM" end)
  self:withdraw_credit()
  if self.owes then self.owes.STOP = nil end
  self:be_cancelled(failure.cause(cancel.origin, cancel.by, cancel.message), cancel.grace)
end

-- The context is cancelled at its callee, by CANCEL or by a cause of the callee's own.
function Context:be_cancelled(cause, grace)
  if self.life == "ended" then return end
  self.requested = self.requested or cause
  self.scope:cancel(cause, grace)
  if not self.ran then self:conclude_cancelled(false) end
end

-- Why the context was cancelled, by its opener or with its actor, or nil. That its scope failed by
-- itself is no cancellation of the context.
function Context:cancellation()
  if self.requested or not self.scope then return self.requested end
  if self.scope == self.link.actor.scope then return self.scope.cancelled end
  return self.scope.parent:doom()
end

-- The link of a callee is lost: nobody waits for a terminal any more [MODEL-007].
function Context:lost()
  local ended = self.life == "ended"
  self.life = "ended"
  end_halves(self)
  if self.stop_deadline then self.stop_deadline() end
  self.link:forget(self)
  local actor = self.link.actor
  if not ended and self.scope and self.scope ~= actor.scope then
    self.requested = self.requested or failure.cause("link_lost", actor.ref)
    self.scope:cancel(self.requested, actor.grace)
  end
  self.signal:notify()
end

arrived["RETURN"] = function(self, value)
  self.result_value = value
  end_halves(self)
  self:over()
end

function arrived:ERROR(fields)
  self:drop_items()
  end_halves(self)
  self:over(failure.from_wire(fields, self.link.peer))
end

-- CANCELLED is absorbed if and only if it was asked for [CANCEL-010], save that a time limit shows
-- where it was set [DEADLINE-006].
function arrived:CANCELLED(cancelled)
  self:drop_items()
  end_halves(self)
  local expired = cancelled.origin == "deadline"
  if self.cancel_sent and not (self.deadline_sent and self.explicit) and hooks.absorbs(self) then
    return self:over(nil, self.cancel_sent)
  end
  local where = failure.new {
    code = "cancelled", message = cancelled.message or "cancelled: " .. cancelled.origin,
    actor = self.link.actor:name_only(),
    data = codec.map { origin = cancelled.origin, by = cancelled.by },
  }
  if expired and not self.explicit and self.inherited then
    local cause = failure.cause("deadline", cancelled.by, cancelled.message)
    self.scope:expire(cause)
    return self:over(nil, cause)
  end
  if expired or self.deadline_sent then
    where.code, where.message = "deadline", self.target .. ": the deadline has passed"
  end
  self:over(where)
end

-- The opener's end of a context: it has its terminal, or its link is lost. `err` goes to whoever
-- waits on the context, else to its scope.
function Context:over(err, absorbed)
  if self.life == "ended" then return end
  self.life = "ended"
  end_halves(self)
  if self.stop_deadline then self.stop_deadline() end
  self.error, self.absorbed = err, absorbed
  self.link:forget(self)
  if err and self.signal:has_waiters() then
    self.signal:notify() -- the waiter takes it, and the context leaves the scope then
  else
    if err then self.scope:fail(err) end
    self.scope:remove(self)
    self.signal:notify()
  end
end

-- --- frames that leave ---------------------------------------------------------------------------

-- Called by the outbox as a fragment of a message is handed to the transport.
function Context:left(kind, more, size)
  if kind == "OPEN" then
    self.life = more and "opening" or "waiting"
  elseif kind == "ITEM" then
    self.sent.bytes = self.sent.bytes + size
  elseif self.concluded and not more and kind == self.concluded then
    self.link:forget(self)
  end
  if not more or kind == "OPEN" then self.signal:notify() end
end

-- The callee's terminal. `reply`: user code did not come into it.
function Context:conclude(kind, payload, reply)
  if self.life == "ended" then return end
  local outbox = self.link.outbox
  if kind ~= "RETURN" then -- [KIND-022]
    outbox:withdraw(self, function(m) return m.kind == "ITEM" or m.kind == "END" end)
  end
  self.life = "ended"
  end_halves(self)
  self:drop_items()
  self.owes = self.owes and {}
  self.concluded = kind
  if self.stop_deadline then self.stop_deadline() end
  outbox:message(self, kind, payload, reply)
  self.signal:notify()
end

function Context:conclude_cancelled(ran)
  if self.life == "ended" then return end
  local cause = self:cancellation()
  self:conclude("CANCELLED", codec.encode_control(hooks.cancelled(codec.map {
    origin = cause.origin, by = cause.by, message = cause.message, ran = ran,
  })), not ran)
end

function Context:conclude_error(err, reply)
  self:conclude("ERROR", failure.encode(hooks.error(err), self.link.limits.message), reply)
end

-- --- cancelling, as the opener -------------------------------------------------------------------

-- The grace that goes down: at most three quarters of what is left [CANCEL-016].
function Context:grace_below()
  local left = self.scope:grace_left()
  return left and math.floor(hooks.grace_below(left))
end

-- The payload of CANCEL, its message cut until it fits [VALUE-014].
local function encode_cancel(map)
  local payload = codec.encode_control(map)
  local excess = #payload - frame.CONTROL
  if excess <= 0 then return payload end
  map.message = failure.cut(map.message, #map.message - excess)
  return codec.encode_control(map)
end

function Context:cancel(cause)
  if self.life == "ended" then return end
  local again = self.cancel_sent ~= nil
  self.cancel_sent = self.cancel_sent or cause
  local outbox = self.link.outbox
  if not again then
    if self.life == "unopened" and outbox:withdraw_open(self) then
      return self:over(nil, cause) -- nothing was written [FRAME-026]
    end
    outbox:withdraw_open(self)
    move(self, "out", "send:CANCEL")
    move(self, "inward", "send:CANCEL")
    outbox:withdraw(self, function() return true end)
    self:withdraw_credit()
    if self.owes then self.owes.STOP = nil end
    self:drop_items()
  end
  cause = self.cancel_sent
  local grace = self:grace_below()
  if again and not (grace and grace < (self.grace_sent or math.huge)) then return end
  self.grace_sent = grace
  outbox:control(self, "CANCEL", encode_cancel(hooks.cancel(codec.map {
    origin = cause.origin, by = cause.by, message = cause.message, grace = grace,
  })))
  self.signal:notify()
end

function Context:shorten()
  if self.cancel_sent then self:cancel(self.cancel_sent) end
end

-- The deadline passed at the opener [DEADLINE-003].
function Context:expire()
  if self.life == "ended" then return end
  if not self.cancel_sent then self.deadline_sent = true end
  self:cancel(failure.cause("deadline", self.link.actor.ref))
end

-- --- for user code -------------------------------------------------------------------------------

-- Waits on the context. An error that ended it is raised here, and nowhere else.
local function wait(self, look)
  local ok, result = pcall(task.wait, self.signal, look)
  if self.error and self.role == "opener" and not self.taken then
    self.taken = true
    if not ok then self.scope:fail(self.error) end
    self.scope:remove(self)
  end
  if not ok then error(result, 0) end
  return result
end

-- Raises what ended the context, unless it was RETURN.
local function check_alive(self)
  if self.life ~= "ended" then return end
  if self.error then error(self.error, 0) end
  if self.absorbed then error(self.absorbed, 0) end
end

-- Callee: sends STARTED. Opener: waits for it and returns its value, nil if RETURN came instead.
function Context:started(value)
  if self.role == "callee" then
    task.check()
    if self:cell "send:STARTED" ~= "started" then
      failure.raise("failed", "STARTED cannot be sent now")
    end
    local payload = self:encode(value)
    self.life = "started"
    self.link.outbox:message(self, "STARTED", payload)
    self:answer_stop()
    return
  end
  wait(self, function() return self.life == "started" or self.life == "ended" end)
  check_alive(self)
  return self.started_value
end

function Context:encode(value)
  local payload = codec.encode(value)
  if #payload > self.link.limits.message then
    failure.raise("too_large", "a value of %d bytes where the peer takes %d", #payload,
      self.link.limits.message)
  end
  return payload
end

-- Sends an item when credit allows. Returns true, or false if the peer wants no more.
function Context:send(value)
  if not self.link.features.stream then return false end
  if self.role == "callee" and self.life == "running" then
    failure.raise("failed", "an item cannot be sent before STARTED")
  elseif self.out == "ended" and self.life ~= "ended" and not self:no_more() then
    failure.raise("failed", "an item cannot be sent after END")
  end
  local payload = self:encode(value)
  local outbox, verdict = self.link.outbox, nil
  wait(self, function()
    if self.life == "ended" then verdict = "ended"
    elseif self.out ~= "open" then verdict = "no more"
    elseif not outbox:has_messages(self) and hooks.may_send(self.sent, self.allowed) then
      verdict = "send"
    end
    return verdict
  end)
  if verdict == "ended" then check_alive(self) end
  if verdict ~= "send" then return false end
  self.sent.items = self.sent.items + 1
  outbox:message(self, "ITEM", payload)
  return true
end

-- The out half ended without a word of mine: the peer wants no items.
function Context:no_more()
  return self.out ~= "open" and (self.said_no_end or self.implied_stop or self.out == "stopped")
end

-- END: no more items from me. Harmless if it has been said.
function Context:finish()
  if self.life == "ended" or self.out == "ended" or self.cancel_sent then return end
  if self.role == "callee" and self.life == "running" then
    failure.raise("failed", "END cannot be said before STARTED")
  end
  move(self, "out", "send:END")
  self.link.outbox:message(self, "END")
end

-- A grant that has not been written is none.
function Context:withdraw_credit()
  if self.owes and self.owes.CREDIT then
    self.owes.CREDIT = nil
    self.granted = self.told
  end
end

-- STOP: I read no more.
function Context:stop()
  if self.life == "ended" or self.inward ~= "open" then return end
  move(self, "inward", "send:STOP")
  self:drop_items()
  self:withdraw_credit()
  self.link.outbox:control(self, "STOP")
end

-- Lets the peer send up to `items` items and `bytes` bytes ahead of what is consumed.
function Context:open_window(items, bytes)
  self.window = { items = items, bytes = bytes }
  self:grant()
end

-- Raises the grant to the window when half of it is used up.
function Context:grant()
  local window = self.window
  if not window or self.inward ~= "open" or self.life == "ended" then return end
  local items, bytes = self.consumed.items + window.items, self.consumed.bytes + window.bytes
  if items - self.granted.items < window.items / 2 and bytes - self.granted.bytes < window.bytes / 2
  then
    return
  end
  self.granted = { items = items, bytes = bytes }
  self.link.outbox:control(self, "CREDIT",
    codec.encode(hooks.grant(codec.array { items, bytes }, window)))
end

-- The next item, or nil when the peer has said END or RETURN.
function Context:receive()
  wait(self, function()
    return self.items[self.first] or self.inward ~= "open" or self.life == "ended"
  end)
  local item = self.items[self.first]
  if not item then
    check_alive(self)
    return nil
  end
  self.items[self.first] = nil
  self.first = self.first + 1
  self.consumed.items = self.consumed.items + 1
  self.consumed.bytes = self.consumed.bytes + item[2]
  self:grant()
  return item[1]
end

-- Opener: says END and STOP for what is still open [WAIT-001], waits for the terminal and returns
-- the value of RETURN. Raises the error, or the cancellation.
function Context:result()
  self:finish()
  self:stop()
  wait(self, function() return self.life == "ended" end)
  check_alive(self)
  return self.result_value
end

-- Waits until all that was sent has been handed to the transport.
function Context:flush()
  wait(self, function() return not self.link.outbox:has_messages(self) or self.life == "ended" end)
end

-- Callee: waits until the opener has said END.
function Context:until_end()
  wait(self, function() return self.inward ~= "open" or self.life == "ended" or self.let_go end)
end

-- Ends such a wait from this side.
function Context:release()
  self.let_go = true
  self.signal:notify()
end

-- The same as until_end for a context that exists to be held: it ends as well when this actor is to
-- finish [ACTOR-011].
function Context:held()
  self.is_held = true
  self:until_end()
end

return M
