-- SPDX-License-Identifier: MIT
--
-- Values: the MessagePack of chapter 5, both ways.
--
-- The suite has a codec of its own, because a codec shared with an implementation would share its
-- mistakes. The decoder is strict: what it refuses, no conforming peer sends. The encoder is the
-- opposite: `raw` puts any bytes in any place, and a map given as pairs may repeat its keys, so
-- that there is nothing illegal that a case cannot say.
--
-- In Lua a value is: nil as `null`; booleans, integers and floats as they are; str as a string;
-- bin, ref and ext as small tables made by the functions here; an array as a table made by `array`
-- (its length in `n`), a map as a table made by `map`. A plain table stands for an array if it has
-- an element 1, else for a map.

local M = {}

local Null = setmetatable({}, { __tostring = function() return "nil" end })
local Bin, Ref, Ext, Array, Map, Pairs, Raw, Single = {}, {}, {}, {}, {}, {}, {}, {}
M.null = Null

function M.bin(bytes) return setmetatable({ bytes = bytes }, Bin) end
function M.ref(id, name, addresses)
  return setmetatable({ id = id, name = name, addresses = addresses or {} }, Ref)
end
function M.ext(type_, bytes) return setmetatable({ type = type_, bytes = bytes }, Ext) end
function M.array(list)
  list.n = list.n or #list
  return setmetatable(list, Array)
end
function M.map(t) return setmetatable(t, Map) end
-- A map as a list of {key, value}: order and repetition as written.
function M.pairs(list) return setmetatable(list, Pairs) end
-- Bytes that stand for themselves, whatever they are.
function M.raw(bytes) return setmetatable({ bytes = bytes }, Raw) end
-- A float written as binary32.
function M.single(x) return setmetatable({ x = x }, Single) end

function M.is_bin(v) return getmetatable(v) == Bin end
function M.is_ref(v) return getmetatable(v) == Ref end
function M.is_ext(v) return getmetatable(v) == Ext end
function M.is_array(v) return getmetatable(v) == Array end
function M.is_map(v) return getmetatable(v) == Map end

-- The name of a value's type, as SPEC.md calls it.
function M.type(v)
  local mt = getmetatable(v)
  if v == nil or v == Null then return "nil" end
  if type(v) == "string" then return "str" end
  if type(v) == "boolean" then return "bool" end
  if math.type(v) then return math.type(v) end
  if mt == Bin then return "bin" end
  if mt == Ref then return "ref" end
  if mt == Ext then return v.type == -1 and "timestamp" or "ext" end
  if mt == Array then return "array" end
  if mt == Map or mt == Pairs then return "map" end
  return v[1] ~= nil and "array" or "map"
end

-- Encoding ----------------------------------------------------------------------------------------

local encode

local function head(n, small, small_max, f8, f16, f32)
  if small and n <= small_max then return string.char(small + n) end
  if f8 and n < 0x100 then return string.pack(">BB", f8, n) end
  if n < 0x10000 then return string.pack(">BI2", f16, n) end
  return string.pack(">BI4", f32, n)
end

local function encode_integer(v)
  if v >= 0 then
    if v < 0x80 then return string.char(v) end
    if v < 0x100 then return string.pack(">BB", 0xcc, v) end
    if v < 0x10000 then return string.pack(">BI2", 0xcd, v) end
    if v < 0x100000000 then return string.pack(">BI4", 0xce, v) end
    return string.pack(">Bi8", 0xcf, v)
  end
  if v >= -32 then return string.pack("b", v) end
  if v >= -0x80 then return string.pack(">Bb", 0xd0, v) end
  if v >= -0x8000 then return string.pack(">Bi2", 0xd1, v) end
  if v >= -0x80000000 then return string.pack(">Bi4", 0xd2, v) end
  return string.pack(">Bi8", 0xd3, v)
end

local fixext = { [1] = 0xd4, [2] = 0xd5, [4] = 0xd6, [8] = 0xd7, [16] = 0xd8 }

local function encode_ext(type_, bytes)
  local fix = fixext[#bytes]
  if fix then return string.pack("Bb", fix, type_) .. bytes end
  return head(#bytes, nil, nil, 0xc7, 0xc8, 0xc9) .. string.pack("b", type_) .. bytes
end

local function encode_array(v, n)
  local out = { head(n, 0x90, 15, nil, 0xdc, 0xdd) }
  for i = 1, n do out[i + 1] = encode(v[i]) end
  return table.concat(out)
end

local function key_order(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  return a < b
end

local function encode_map(v)
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, key_order)
  local out = { head(#keys, 0x80, 15, nil, 0xde, 0xdf) }
  for _, k in ipairs(keys) do
    out[#out + 1] = encode(k)
    out[#out + 1] = encode(v[k])
  end
  return table.concat(out)
end

function encode(v)
  local mt, kind = getmetatable(v), type(v)
  if v == nil or v == Null then return "\xc0" end
  if kind == "boolean" then return v and "\xc3" or "\xc2" end
  if kind == "number" then
    return math.type(v) == "integer" and encode_integer(v) or string.pack(">Bd", 0xcb, v)
  end
  if kind == "string" then return head(#v, 0xa0, 31, 0xd9, 0xda, 0xdb) .. v end
  if mt == Bin then return head(#v.bytes, nil, nil, 0xc4, 0xc5, 0xc6) .. v.bytes end
  if mt == Raw then return v.bytes end
  if mt == Single then return string.pack(">Bf", 0xca, v.x) end
  if mt == Ext then return encode_ext(v.type, v.bytes) end
  if mt == Ref then
    local list = M.array { M.bin(v.id), v.name, M.array(v.addresses) }
    return encode_ext(1, encode_array(list, 3))
  end
  if mt == Array then return encode_array(v, v.n) end
  if mt == Pairs then
    local out = { head(#v, 0x80, 15, nil, 0xde, 0xdf) }
    for _, kv in ipairs(v) do out[#out + 1] = encode(kv[1]) .. encode(kv[2]) end
    return table.concat(out)
  end
  if mt == nil and v[1] ~= nil then return encode_array(v, #v) end
  return encode_map(v)
end

M.encode = encode

-- Decoding ----------------------------------------------------------------------------------------

local function fail(at, text) error({ value_error = true, at = at, text = text }, 0) end

-- Controls of C0 and C1, in UTF-8.
local function has_controls(s)
  return s:find("[\0-\x1f\x7f]") ~= nil or s:find("\xc2[\x80-\x9f]") ~= nil
end
M.has_controls = has_controls

local function decode_ref(bytes, at)
  local ok, list = pcall(M.decode_strict, bytes)
  if not ok then fail(at, "ext 1 does not hold one value") end
  if getmetatable(list) ~= Array or list.n ~= 3 then fail(at, "ext 1 is not an array of three") end
  local id, name, addresses = list[1], list[2], list[3]
  if not M.is_bin(id) or #id.bytes ~= 16 then fail(at, "ref: the id is not a bin of 16 bytes") end
  if type(name) ~= "string" or #name < 1 or #name > 64 then
    fail(at, "ref: the name is not a str of 1..64 bytes")
  end
  if has_controls(name) then fail(at, "ref: the name has control characters") end
  if not M.is_array(addresses) or addresses.n > 8 then
    fail(at, "ref: the addresses are not an array of at most 8")
  end
  for i = 1, addresses.n do
    if type(addresses[i]) ~= "string" then fail(at, "ref: an address is not a str") end
  end
  return setmetatable({ id = id.bytes, name = name, addresses = addresses }, Ref)
end

local decoder = {}

function decoder.take(s, d, n, what)
  if n > #s - d.pos + 1 then fail(d.pos - 1, what .. " is longer than what remains") end
  local bytes = s:sub(d.pos, d.pos + n - 1)
  d.pos = d.pos + n
  return bytes
end

function decoder.int(s, d, fmt, n)
  return (string.unpack(fmt, decoder.take(s, d, n, "a number")))
end

function decoder.str(s, d, n, at)
  local bytes = decoder.take(s, d, n, "a str")
  local good, bad = utf8.len(bytes)
  if not good then fail(at, "a str is not UTF-8 at its byte " .. bad - 1) end
  return bytes
end

function decoder.ext(s, d, n, at)
  local type_ = decoder.int(s, d, "b", 1)
  local bytes = decoder.take(s, d, n, "an ext")
  if type_ == 1 then return decode_ref(bytes, at) end
  if type_ == -1 and n ~= 4 and n ~= 8 and n ~= 12 then
    fail(at, "a timestamp of " .. n .. " bytes")
  end
  return setmetatable({ type = type_, bytes = bytes }, Ext)
end

function decoder.array(s, d, n, at)
  if n > #s - d.pos + 1 then fail(at, "an array announces more elements than bytes remain") end
  d.depth = d.depth + 1
  if d.depth > 200 then fail(at, "nested deeper than 200") end
  local list = setmetatable({ n = n }, Array)
  for i = 1, n do list[i] = decoder.value(s, d) end
  d.depth = d.depth - 1
  return list
end

function decoder.map(s, d, n, at)
  if 2 * n > #s - d.pos + 1 then fail(at, "a map announces more pairs than bytes remain") end
  d.depth = d.depth + 1
  if d.depth > 200 then fail(at, "nested deeper than 200") end
  local map = setmetatable({}, Map)
  for _ = 1, n do
    local key_at = d.pos - 1
    local k = decoder.value(s, d)
    if type(k) ~= "string" and math.type(k) ~= "integer" then
      fail(key_at, "a map key is a " .. M.type(k))
    end
    local v = decoder.value(s, d)
    if map[k] ~= nil then d.repeated[#d.repeated + 1] = k end
    map[k] = v
  end
  d.depth = d.depth - 1
  return map
end

local function u(fmt, n) return function(s, d) return decoder.int(s, d, fmt, n) end end
local by_byte = {
  [0xc0] = function() return Null end,
  [0xc2] = function() return false end,
  [0xc3] = function() return true end,
  [0xca] = u(">f", 4), [0xcb] = u(">d", 8),
  [0xcc] = u("B", 1), [0xcd] = u(">I2", 2), [0xce] = u(">I4", 4),
  [0xcf] = function(s, d, at)
    local v = decoder.int(s, d, ">i8", 8)
    if v < 0 then fail(at, "an integer above 2^63-1") end
    return v
  end,
  [0xd0] = u("b", 1), [0xd1] = u(">i2", 2), [0xd2] = u(">i4", 4), [0xd3] = u(">i8", 8),
}
for i, size in ipairs { 1, 2, 4, 8, 16 } do
  by_byte[0xd3 + i] = function(s, d, at) return decoder.ext(s, d, size, at) end
end
for i, f in ipairs { "B", ">I2", ">I4" } do
  local n = 1 << (i - 1)
  by_byte[0xc3 + i] = function(s, d)
    return setmetatable({ bytes = decoder.take(s, d, decoder.int(s, d, f, n), "a bin") }, Bin)
  end
  by_byte[0xc6 + i] = function(s, d, at) return decoder.ext(s, d, decoder.int(s, d, f, n), at) end
  by_byte[0xd8 + i] = function(s, d, at) return decoder.str(s, d, decoder.int(s, d, f, n), at) end
end
for i, f in ipairs { ">I2", ">I4" } do
  local n = 1 << i
  by_byte[0xdb + i] = function(s, d, at) return decoder.array(s, d, decoder.int(s, d, f, n), at) end
  by_byte[0xdd + i] = function(s, d, at) return decoder.map(s, d, decoder.int(s, d, f, n), at) end
end

function decoder.value(s, d)
  local at = d.pos - 1
  local b = s:byte(d.pos)
  if not b then fail(at, "a value is missing") end
  d.pos = d.pos + 1
  if b < 0x80 then return b end
  if b >= 0xe0 then return b - 0x100 end
  if b < 0x90 then return decoder.map(s, d, b - 0x80, at) end
  if b < 0xa0 then return decoder.array(s, d, b - 0x90, at) end
  if b < 0xc0 then return decoder.str(s, d, b - 0xa0, at) end
  local f = by_byte[b]
  if not f then fail(at, string.format("the byte 0x%02x begins no value", b)) end
  return f(s, d, at)
end

-- Decodes bytes as exactly one value. Raises a table with `text` and `at`. The second result lists
-- the map keys that occurred twice.
function M.decode_strict(bytes)
  local d = { pos = 1, depth = 0, repeated = {} }
  local v = decoder.value(bytes, d)
  if d.pos <= #bytes then fail(d.pos - 1, "bytes follow the value") end
  return v, d.repeated
end

-- The same, but returns nil and a text instead of raising.
function M.decode(bytes)
  local ok, v, repeated = pcall(M.decode_strict, bytes)
  if ok then return v, nil, repeated end
  if type(v) == "table" and v.value_error then return nil, v.text .. " (byte " .. v.at .. ")" end
  error(v, 0)
end

-- Asking ------------------------------------------------------------------------------------------

-- Depth as [VALUE-008] counts it: a scalar 0, an array or map one more than its deepest element.
function M.depth(v)
  local mt = getmetatable(v)
  if type(v) ~= "table" or (mt and mt ~= Array and mt ~= Map) then return 0 end
  local deepest = 0
  for k, e in pairs(v) do
    if not (mt == Array and k == "n") then deepest = math.max(deepest, M.depth(e)) end
  end
  return deepest + 1
end

-- Equality of type and content; an integer is never equal to a float, nor a str to a bin.
function M.eq(a, b)
  local ta, tb = M.type(a), M.type(b)
  if ta ~= tb then return false end
  if ta == "nil" then return true end
  if ta == "float" then return a == b or (a ~= a and b ~= b) end
  if type(a) ~= "table" then return a == b end
  if ta == "bin" then return a.bytes == b.bytes end
  if ta == "ext" or ta == "timestamp" then return a.type == b.type and a.bytes == b.bytes end
  if ta == "ref" then
    if a.id ~= b.id or a.name ~= b.name or #a.addresses ~= #b.addresses then return false end
    for i, address in ipairs(a.addresses) do
      if b.addresses[i] ~= address then return false end
    end
    return true
  end
  if ta == "array" then
    local n = a.n or #a
    if n ~= (b.n or #b) then return false end
    for i = 1, n do if not M.eq(a[i], b[i]) then return false end end
    return true
  end
  for k, v in pairs(a) do if b[k] == nil or not M.eq(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

-- Showing -----------------------------------------------------------------------------------------

function M.hex(bytes, limit)
  local shown = limit and bytes:sub(1, limit) or bytes
  local text = shown:gsub(".", function(c) return string.format("%02x", c:byte()) end)
  return #shown < #bytes and text .. ".." or text
end

local function quote(s)
  if #s > 160 then
    return quote(s:sub(1, 120):gsub("[\x80-\xff]+$", "")) .. ".. " .. #s .. " bytes"
  end
  return '"' .. s:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

-- The diagnostic notation of appendix B, shortened where it would be long.
function M.show(v)
  local t = M.type(v)
  if t == "nil" then return "nil" end
  if t == "str" then return utf8.len(v) and quote(v) or "h'" .. M.hex(v, 40) .. "'" end
  if t == "float" then
    local text = string.format("%.17g", v)
    return text:find("[.en]") and text or text .. ".0"
  end
  if type(v) ~= "table" then return tostring(v) end
  if getmetatable(v) == Raw then return "raw(h'" .. M.hex(v.bytes, 40) .. "')" end
  if getmetatable(v) == Single then return v.x .. "f" end
  if t == "bin" then return "h'" .. M.hex(v.bytes, 40) .. "'" end
  if t == "ext" or t == "timestamp" then
    return "ext(" .. v.type .. ", h'" .. M.hex(v.bytes, 40) .. "')"
  end
  if t == "ref" then
    return "ref(" .. M.hex(v.id) .. ", " .. quote(v.name) .. ", " .. M.show(M.array(v.addresses))
      .. ")"
  end
  local out = {}
  if t == "array" then
    local n = v.n or #v
    for i = 1, math.min(n, 24) do out[i] = M.show(v[i]) end
    if n > 24 then out[#out + 1] = ".. " .. n .. " elements" end
    return "[" .. table.concat(out, ", ") .. "]"
  end
  if getmetatable(v) == Pairs then
    for i, kv in ipairs(v) do out[i] = M.show(kv[1]) .. ": " .. M.show(kv[2]) end
    return "{" .. table.concat(out, ", ") .. "}"
  end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, key_order)
  for _, k in ipairs(keys) do out[#out + 1] = M.show(k) .. ": " .. M.show(v[k]) end
  return "{" .. table.concat(out, ", ") .. "}"
end

return M
