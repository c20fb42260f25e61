-- SPDX-License-Identifier: MIT
--
-- What waits to be written on a link, and in which order it leaves (4.5):
--
--   1. control frames owed by contexts: CANCEL, CREDIT, STOP. A later one of a kind takes the place
--      of an earlier one, so a peer that never reads makes nothing grow [SEC-009, SEC-010];
--   2. one PONG, after the answers that the protocol layer owed before its PING [KIND-006];
--   3. OPENs, one at a time and in the order of their ids [FRAME-007, FRAME-020];
--   4. all other messages, in order within a context, by turns between contexts, in fragments.
--
-- Frames are made when the transport can take them, so at most `BATCH` bytes are encoded and
-- unsent, and whatever is not yet begun can still be withdrawn.

local frame = require "peer.frame"
local hooks = require "peer.hooks"

local M = {}

local BATCH = 49152 -- with one fragment more it stays below the 64 KiB of [FRAME-028]
M.FRAGMENT = 16384

local Outbox = {}
Outbox.__index = Outbox
M.Outbox = Outbox

function M.new(link)
  return setmetatable({
    link = link,
    plain = {}, -- frames of the link itself: HELLO, BYE, PING
    owing = {}, -- contexts that owe control frames, in order
    opens = {}, -- messages of kind OPEN
    ring = {}, -- contexts that have messages, in order of their turn
    partials = 0,
    replies = {}, -- message -> its number: answers of the protocol layer not yet written
    replied = 0,
  }, Outbox)
end

-- --- what is to be sent --------------------------------------------------------------------------

-- A frame of the link, BYE and HELLO among them.
function Outbox:frame(kind, payload)
  self.plain[#self.plain + 1] = frame.encode(kind, 0, payload)
  self.link:wants_to_write()
end

function Outbox:answer_ping(payload)
  self.pong = { payload = payload, after = self.replied }
  self.link:wants_to_write()
end

function Outbox:owes_pong() return self.pong ~= nil end

-- A control frame of a context. Before its OPEN is begun there is nothing to overtake.
function Outbox:control(ctx, kind, payload)
  if not ctx.owes then
    ctx.owes = {}
    self.owing[#self.owing + 1] = ctx
  end
  ctx.owes[kind] = payload or "" -- the newest of a kind says it all
  self.link:wants_to_write()
end

-- A message of a context. reply: it is an answer of the protocol layer.
function Outbox:message(ctx, kind, payload, reply)
  local message = { ctx = ctx, kind = kind, payload = payload or "", pos = 1 }
  if reply then
    self.replied = self.replied + 1
    self.replies[message] = self.replied
  end
  if kind == "OPEN" then
    self.opens[#self.opens + 1] = message
  else
    ctx.outgoing = ctx.outgoing or {}
    table.insert(ctx.outgoing, message)
    self:enlist(ctx)
  end
  self.link:wants_to_write()
end

function Outbox:enlist(ctx)
  if ctx.enlisted then return end
  ctx.enlisted = true
  self.ring[#self.ring + 1] = ctx
end

-- --- what is not to be sent after all ------------------------------------------------------------

local function begun(message) return message.pos > 1 end

-- Withdraws the messages of a context that `unwanted(message)` names; one that is begun is
-- abandoned, which its receiver understands by the END, CANCEL or terminal that follows
-- [FRAME-017].
function Outbox:withdraw(ctx, unwanted)
  local left = {}
  for _, message in ipairs(ctx.outgoing or left) do
    if unwanted(message) then
      if begun(message) then self.partials = self.partials - 1 end
      self.replies[message] = nil
    else
      left[#left + 1] = message
    end
  end
  ctx.outgoing = left
end

-- Withdraws the OPEN of a context, be it begun or not. Returns true if not a byte of it was
-- written.
function Outbox:withdraw_open(ctx)
  for i, message in ipairs(self.opens) do
    if message.ctx == ctx then
      table.remove(self.opens, i)
      if begun(message) then self.partials = self.partials - 1 end
      return not begun(message)
    end
  end
  return false
end

-- Contexts whose OPEN is not begun. After BYE none may be [LINK-007].
function Outbox:unbegun()
  local list = {}
  for _, message in ipairs(self.opens) do
    if not begun(message) then list[#list + 1] = message.ctx end
  end
  return list
end

function Outbox.has_messages(_, ctx) return ctx.outgoing and #ctx.outgoing > 0 end

-- --- frames, one by one --------------------------------------------------------------------------

local CONTROL = { "CANCEL", "STOP", "CREDIT" }

-- The next control frame that may leave: not before the OPEN of its own context [FRAME-025].
function Outbox:next_control()
  local i = 1
  while self.owing[i] do
    local ctx = self.owing[i]
    if ctx.life == "unopened" then
      i = i + 1
    else
      for _, kind in ipairs(CONTROL) do
        local payload = ctx.owes[kind]
        if payload then
          ctx.owes[kind] = nil
          if kind == "CREDIT" then ctx.told = ctx.granted end
          return frame.encode(kind, ctx.id, payload)
        end
      end
      ctx.owes = nil
      table.remove(self.owing, i)
    end
  end
end

function Outbox:next_pong()
  local pong = self.pong
  if not pong then return end
  for _, number in pairs(self.replies) do
    if number <= pong.after and hooks.pong_waits() then return end
  end
  self.pong = nil
  return frame.encode("PONG", 0, hooks.pong(pong.payload))
end

-- The next fragment of a message, and whether it is the last; nil where the peer's `partials` is
-- used up and the message would need one more.
function Outbox:fragment(message)
  local max = math.min(self.link.limits.frame, M.FRAGMENT)
  local left = #message.payload - message.pos + 1
  local more = left > max
  if begun(message) then
    if not more then self.partials = self.partials - 1 end
  elseif more then
    if self.partials >= self.link.limits.partials then return end
    self.partials = self.partials + 1
  end
  local bytes = message.payload:sub(message.pos, message.pos + max - 1)
  message.pos = message.pos + math.max(1, #bytes)
  self.replies[message] = more and self.replies[message] or nil
  message.ctx:left(message.kind, more, #bytes) -- first: a terminal frees its slot [LIMIT-014]
  return frame.encode(message.kind, message.ctx.id, bytes, more), not more
end

function Outbox:next_open()
  local message = self.opens[1]
  if not message then return end
  local bytes, last = self:fragment(message)
  if last then table.remove(self.opens, 1) end
  return bytes
end

-- One turn around the ring; contexts whose message cannot begin now keep their place.
function Outbox:next_message()
  for _ = 1, #self.ring do
    local ctx = table.remove(self.ring, 1)
    ctx.enlisted = false
    local message = ctx.outgoing[1]
    if ctx.life == "unopened" or ctx.life == "opening" then -- its OPEN goes first
      self:enlist(ctx)
    elseif message then
      local bytes, last = self:fragment(message)
      if last then table.remove(ctx.outgoing, 1) end
      if #ctx.outgoing > 0 then self:enlist(ctx) end
      if bytes then return bytes end
    end
  end
end

function Outbox:next_frame()
  return self:next_control() or self:next_pong() or self:next_open() or self:next_message()
end

-- The next bytes to write, or nil if there is nothing that may leave now.
function Outbox:next()
  if #self.plain > 0 then return table.remove(self.plain, 1) end
  if not self.link.limits then return end -- the peer has not said HELLO
  return hooks.next_frame(self)
end

-- Up to BATCH bytes of frames.
function Outbox:batch()
  local list, size = {}, 0
  while size < BATCH do
    local bytes = self:next()
    if not bytes then break end
    list[#list + 1] = bytes
    size = size + #bytes
  end
  return list
end

-- BYE is the last thing that leaves [LINK-014].
function Outbox:last(payload)
  self.owing, self.opens, self.ring, self.pong, self.replies = {}, {}, {}, nil, {}
  self:frame("BYE", payload)
end

return M
