-- SPDX-License-Identifier: MIT
--
-- What can go wrong in a scope, as Lua values: a *failure*, which is the error map of chapter 15,
-- and a *cause*, which is why a scope was cancelled (13.2). Both are raised with error(); they are
-- told apart by `is` and `is_cause`.

local codec = require "peer.codec"
local hooks = require "peer.hooks"
local schema = require "peer.schema"

local M = {}

local Failure, Cause = {}, {}
Failure.__index = Failure
Failure.__tostring = function(e)
  local text = ("%s: %s"):format(e.code, e.message)
  for _, cause in ipairs(e.causes) do
    text = text .. "\n  " .. tostring(cause):gsub("\n", "\n  ")
  end
  return text
end
Cause.__tostring = function(c) return "cancelled: " .. c.origin end

-- fields: code, message, and any of type, stack, actor, via, causes, data, cancelled.
function M.new(fields)
  local e = setmetatable({}, Failure)
  for k, v in pairs(fields) do e[k] = v end
  e.message = e.message or e.code
  e.via = e.via or {}
  e.causes = e.causes or {}
  return e
end

function M.raise(code, message, ...)
  error(M.new { code = code, message = message and message:format(...) }, 0)
end

-- A cause: origin, by (an actor reference without addresses) and message.
function M.cause(origin, by, message)
  return setmetatable({ origin = origin, by = codec.bare(by), message = message }, Cause)
end

-- Names where `e` arose, unless that was told with it or it came from another actor: what is passed
-- on stays as it is [ERROR-002, ERROR-005].
function M.arose_in(e, actor)
  if not e.actor and not e.received then e.actor = codec.bare(actor.ref) end
end

function M.is(e) return getmetatable(e) == Failure end
function M.is_cause(e) return getmetatable(e) == Cause end

-- Message handler of xpcall: whatever was raised, as a failure or a cause [ERROR-001].
function M.from_lua(e)
  if M.is(e) or M.is_cause(e) then return e end
  return M.new {
    code = "failed", type = "error", message = tostring(e), stack = debug.traceback("", 2),
  }
end

-- --- groups --------------------------------------------------------------------------------------

-- One error is itself; several become a group, in which no group is nested [ERROR-006, ERROR-007].
function M.combine(errors, actor)
  if #errors == 1 then return errors[1] end
  local causes = {}
  for _, e in ipairs(errors) do
    if e.code == "group" and hooks.flattens() then
      table.move(e.causes, 1, #e.causes, #causes + 1, causes)
    else
      causes[#causes + 1] = e
    end
  end
  return M.new {
    code = "group", message = #causes .. " errors", actor = actor and codec.bare(actor.ref),
    causes = causes,
  }
end

-- --- the wire ------------------------------------------------------------------------------------

-- An ERROR as it arrived over the link to `peer` [ERROR-003, ERROR-004].
function M.from_wire(fields, peer)
  local e = setmetatable(fields, Failure)
  e.received = true
  for i, cause in ipairs(e.causes) do e.causes[i] = M.from_wire(cause) end
  if peer and #e.via < 32 then e.via[#e.via + 1] = codec.bare(hooks.via(peer)) end
  return e
end

local function list(t, fn)
  local array = codec.array {}
  for i, v in ipairs(t) do array[i] = fn and fn(v) or v end
  return array
end

-- The map of an error, its causes bounded in depth and number [ERROR-008].
local function to_map(e, depth, room)
  local map = codec.map {
    code = e.code, message = e.message, type = e.type, stack = e.stack,
    actor = codec.bare(e.actor), data = e.data, cancelled = e.cancelled or nil,
  }
  if #e.via > 0 then map.via = list(e.via, codec.bare) end
  if #e.causes > 0 and depth < schema.CAUSES_DEPTH then
    local taken = math.min(#e.causes, room.n)
    room.n = room.n - taken
    map.causes = codec.array {}
    for i = 1, taken do map.causes[i] = to_map(e.causes[i], depth + 1, room) end
  end
  return map
end

-- `s` cut at a character boundary to at most `max` bytes [VALUE-014].
function M.cut(s, max)
  if #s <= max then return s end
  local n = math.max(0, max)
  while n > 0 and s:byte(n + 1) & 0xc0 == 0x80 do n = n - 1 end
  return s:sub(1, n)
end

-- The payload of ERROR for `e`, cut until it fits `limit`: stack, data, causes and via are dropped
-- in this order, then the message is shortened [LIMIT-012].
function M.encode(e, limit)
  local map = to_map(e, 0, { n = schema.CAUSES })
  local payload = codec.encode_control(map)
  for _, key in ipairs { "stack", "data", "causes", "via" } do
    if #payload <= limit then return payload end
    map[key] = nil
    payload = codec.encode_control(map)
  end
  if #payload > limit then
    map.message = M.cut(map.message, #map.message - (#payload - limit) - 4)
    payload = codec.encode_control(map)
  end
  if #payload > limit then
    map.type = nil
    payload = codec.encode_control(map)
  end
  return payload
end

return M
