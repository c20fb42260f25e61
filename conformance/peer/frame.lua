-- SPDX-License-Identifier: MIT
--
-- The twelve bytes in front of every payload, and what is known of each kind without any state:
-- where it may stand, who sends it, whether it may be split, and how long it may be (chapters 4,
-- 7).

local M = {}

M.HEADER = 12
M.MAX_ID = (1 << 53) - 1
M.MAX_FRAME = (1 << 24) - 1
M.HELD_FRAME = 16384 -- the limit of HELLO and BYE
M.CONTROL = 1024 -- the limit of the other frames that are no messages

-- on: where it lives; from: who sends it; split: may be fragmented; limit: nil is the announced
-- one.
M.kinds = {
  HELLO = { code = 0x01, on = "link", limit = M.HELD_FRAME },
  BYE = { code = 0x02, on = "link", limit = M.HELD_FRAME },
  PING = { code = 0x03, on = "link", limit = M.CONTROL },
  PONG = { code = 0x04, on = "link", limit = M.CONTROL },
  OPEN = { code = 0x10, on = "context", from = "opener", split = true },
  STARTED = { code = 0x11, on = "context", from = "callee", split = true },
  ITEM = { code = 0x12, on = "context", split = true, feature = "stream" },
  END = { code = 0x13, on = "context", limit = 0 },
  STOP = { code = 0x14, on = "context", limit = 0, feature = "stream" },
  CREDIT = { code = 0x15, on = "context", limit = M.CONTROL, feature = "stream" },
  CANCEL = { code = 0x16, on = "context", from = "opener", limit = M.CONTROL },
  RETURN = { code = 0x17, on = "context", from = "callee", split = true, terminal = true },
  ERROR = { code = 0x18, on = "context", from = "callee", split = true, terminal = true },
  CANCELLED = { code = 0x19, on = "context", from = "callee", split = true, terminal = true },
}

M.by_code = {}
for name, kind in pairs(M.kinds) do
  kind.name = name
  M.by_code[kind.code] = kind
end

-- A header as a table: length, more, code, context, and kind, nil for a code without a name.
function M.parse(bytes, pos)
  local hi, lo, flags, context = string.unpack(">I2I1BI8", bytes, pos)
  local code = flags & 0x7f
  return {
    length = hi << 8 | lo,
    more = flags & 0x80 ~= 0,
    code = code,
    kind = M.by_code[code],
    context = context, -- as signed 64 bits: what is below 0 is above 2^53-1 as well
  }
end

function M.is_extension(code) return code >= 0x40 end

function M.encode(name, context, payload, more)
  payload = payload or ""
  local code = M.kinds[name].code | (more and 0x80 or 0)
  return string.pack(">I3BI8", #payload, code, context) .. payload
end

return M
