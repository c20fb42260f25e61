-- SPDX-License-Identifier: MIT
--
-- JSON, written: just enough for results.json. An array is a table with an element 1 or made by
-- `array`; keys of objects are sorted, so that two runs can be compared with diff.

local M = {}

local Array = {}
function M.array(t) return setmetatable(t or {}, Array) end

local function quote(s)
  if not utf8.len(s) then
    s = s:gsub("[\x80-\xff]", function(c) return string.format("\\x%02x", c:byte()) end)
  end
  return '"' .. s:gsub('[%c"\\\x7f]', function(c)
    if c == '"' or c == "\\" then return "\\" .. c end
    return string.format("\\u%04x", c:byte())
  end) .. '"'
end

local function write(out, v, indent)
  local kind = type(v)
  if kind == "string" then out[#out + 1] = quote(v)
  elseif kind == "number" then
    if v ~= v or v == math.huge or v == -math.huge then v = 0 end
    out[#out + 1] = math.type(v) == "integer" and tostring(v) or string.format("%.3f", v)
  elseif kind == "boolean" then out[#out + 1] = tostring(v)
  elseif kind ~= "table" then out[#out + 1] = "null"
  elseif v[1] ~= nil or getmetatable(v) == Array then
    if #v == 0 then out[#out + 1] = "[]" return end
    out[#out + 1] = "["
    for i, e in ipairs(v) do
      out[#out + 1] = (i > 1 and "," or "") .. "\n" .. indent .. " "
      write(out, e, indent .. " ")
    end
    out[#out + 1] = "\n" .. indent .. "]"
  else
    local keys = {}
    for k in pairs(v) do keys[#keys + 1] = tostring(k) end
    if #keys == 0 then out[#out + 1] = "{}" return end
    table.sort(keys)
    out[#out + 1] = "{"
    for i, k in ipairs(keys) do
      out[#out + 1] = (i > 1 and "," or "") .. "\n" .. indent .. " " .. quote(k) .. ": "
      write(out, v[k], indent .. " ")
    end
    out[#out + 1] = "\n" .. indent .. "}"
  end
end

function M.encode(v)
  local out = {}
  write(out, v, "")
  return table.concat(out) .. "\n"
end

return M
