-- SPDX-License-Identifier: MIT
--
-- Frames: the header of twelve bytes, and the kinds of chapter 7.
--
-- `pack` writes whatever it is given, legal or not; the reader takes a stream of bytes apart into
-- frames and judges nothing. Judging is the monitor's business.

local value = require "value"

local M = {}

-- name, number, class of its limit, who may send it on a context, what its payload is.
local kinds = {
  { "HELLO", 0x01, "big", "link", "map" },
  { "BYE", 0x02, "big", "link", "map" },
  { "PING", 0x03, "small", "link", "value" },
  { "PONG", 0x04, "small", "link", "value" },
  { "OPEN", 0x10, "message", "opener", "map" },
  { "STARTED", 0x11, "message", "callee", "value" },
  { "ITEM", 0x12, "message", "both", "value" },
  { "END", 0x13, "empty", "both", "empty" },
  { "STOP", 0x14, "empty", "both", "empty" },
  { "CREDIT", 0x15, "small", "both", "array" },
  { "CANCEL", 0x16, "small", "opener", "map" },
  { "RETURN", 0x17, "message", "callee", "value" },
  { "ERROR", 0x18, "message", "callee", "map" },
  { "CANCELLED", 0x19, "message", "callee", "map" },
}

M.number, M.kind, M.names = {}, {}, {}
for _, k in ipairs(kinds) do
  local entry = { name = k[1], number = k[2], limit = k[3], from = k[4], payload = k[5] }
  M.number[k[1]] = k[2]
  M.kind[k[1]], M.kind[k[2]] = entry, entry
  M.names[#M.names + 1] = k[1]
end
M.terminal = { RETURN = true, ERROR = true, CANCELLED = true }

-- The bytes of one frame. `f` has kind (name or number), ctx, payload (bytes), more, and may lie:
-- `length` stands in the header in place of the payload's.
function M.pack(f)
  local payload = f.payload or ""
  local number = M.number[f.kind] or f.kind
  local length = f.length or #payload
  return string.pack(">I3BI8", length, number | (f.more and 0x80 or 0), f.ctx or 0) .. payload
end

-- The name of a kind, or its number in hexadecimal.
function M.name(number)
  local k = M.kind[number]
  return k and k.name or string.format("0x%02x", number)
end

-- A reader: feed it bytes, it returns the frames that have become complete.
local Reader = {}
Reader.__index = Reader

function M.reader()
  return setmetatable({ chunks = {}, have = 0, need = 12, offset = 0 }, Reader)
end

function Reader:feed(bytes)
  self.chunks[#self.chunks + 1] = bytes
  self.have = self.have + #bytes
  if self.have < self.need then return {} end
  local buf, pos, out = table.concat(self.chunks), 1, {}
  while true do
    self.need = 12
    if #buf - pos + 1 < 12 then break end
    local length, kind, ctx = string.unpack(">I3BI8", buf, pos)
    if #buf - pos + 1 < 12 + length then
      self.need = 12 + length
      break
    end
    out[#out + 1] = {
      length = length, kind = kind & 0x7f, name = M.name(kind & 0x7f), more = kind >= 0x80,
      ctx = ctx, payload = buf:sub(pos + 12, pos + 11 + length), offset = self.offset,
    }
    pos = pos + 12 + length
    self.offset = self.offset + 12 + length
  end
  buf = buf:sub(pos)
  self.chunks, self.have = { buf }, #buf
  return out
end

-- What is left over when the input ends: empty between two frames.
function Reader:rest() return table.concat(self.chunks) end

-- Attaches the decoded payload to a frame: `value`, or `bad` with the reason. Fragments and empty
-- kinds stay as they are.
function M.decode(f)
  local k = M.kind[f.kind]
  if not k or k.payload == "empty" or f.more or f.fragment then return f end
  f.value, f.bad, f.repeated = value.decode(f.payload)
  return f
end

-- One line for people: `RETURN 1 [7]`.
function M.show(f)
  local head = f.name .. (f.more and "+" or "") .. (f.ctx ~= 0 and " " .. f.ctx or "")
  if f.length == 0 then return head end
  if f.value ~= nil then return head .. " " .. value.show(f.value) end
  return head .. " h'" .. value.hex(f.payload, 40) .. "'" .. (f.bad and " (" .. f.bad .. ")" or "")
end

return M
