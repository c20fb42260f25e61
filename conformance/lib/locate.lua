-- SPDX-License-Identifier: MIT
--
-- Which byte of a frame is to blame.
--
-- The monitor says which requirement a frame breaks and in which words; a person who looks at the
-- bytes wants to be shown the place. Here a fault becomes a range of offsets in the frame, its
-- header of twelve bytes included. Where nothing better is known it is the kind: the frame should
-- not be there.

local value = require "value"

local M = {}

local LENGTH, KIND, CONTEXT, HEADER = { 0, 2 }, { 3, 3 }, { 4, 11 }, 12

local by_requirement = {
  ["FRAME-004"] = CONTEXT, ["FRAME-006"] = CONTEXT, ["FRAME-007"] = CONTEXT, ["FRAME-008"] = KIND,
  ["FRAME-010"] = CONTEXT, ["FRAME-015"] = LENGTH, ["LIMIT-004"] = LENGTH, ["LIMIT-006"] = LENGTH,
}

-- Where in a map the value of the key `name` stands, by the first key spelled so.
local function value_of_key(payload, name)
  local key = value.encode(name)
  local at = payload:find(key, 1, true)
  if not at then return nil end
  local from = at + #key
  -- The shortest prefix that decodes is the value; a map is a few hundred bytes.
  for to = from, math.min(#payload, from + 1024) do
    if value.decode(payload:sub(from, to)) ~= nil then
      return { HEADER + from - 1, HEADER + to - 1 }
    end
  end
  return { HEADER + at - 1, HEADER + at + #key - 2 }
end

-- The range {first, last} of offsets in the frame that the fault is about.
function M.range(f)
  local fault = f.fault
  if not fault then return nil end
  local at = f.bad and fault.text:match("%(byte (%d+)%)")
  if at then
    local offset = HEADER + tonumber(at)
    return { offset, offset }
  end
  if by_requirement[fault.req] then return by_requirement[fault.req] end
  if fault.req == "CREDIT-008" or fault.req == "KIND-003" or fault.req == "KIND-005" then
    return f.length > 0 and { HEADER, HEADER + math.max(0, #f.payload - 1) } or KIND
  end
  local name = fault.text:match("^%u+: ([%l_]+) is ") or fault.text:match("^%u+ has ([%l_]+) ")
  local found = name and value_of_key(f.payload, name)
  if found then return found end
  if fault.req:find("^VALUE%-") and #f.payload > 0 then return { HEADER, HEADER } end
  return KIND
end

return M
