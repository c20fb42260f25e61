-- SPDX-License-Identifier: MIT
--
-- MessagePack, as chapter 5 narrows it. Reading is validation: whatever `decode` returns is a value
-- of the profile, and whatever breaks the profile is refused before anything is allocated for it.
--
-- Lua has fewer types than the wire, so those it lacks are objects here, and `encode(decode(b))`
-- keeps every type:
--
--   nil                         codec.null
--   bool, integer, float, str   their Lua namesakes
--   bin                         codec.bin(bytes)
--   array, map                  codec.array{...}, codec.map{...}
--   timestamp, other ext        codec.ext(type, bytes)
--   actor reference             codec.ref(id, name, addresses)
--
-- A plain table is written as an array if it has an element 1 and as a map otherwise.

local M = {}

local Bin, Ext, Ref, Array, Map = {}, {}, {}, {}, {}
Array.__name, Map.__name = "array", "map"

M.null = setmetatable({}, { __tostring = function() return "nil" end })
M.DEPTH = 32

function M.bin(bytes) return setmetatable({ bytes = bytes }, Bin) end
function M.ext(type, bytes) return setmetatable({ type = type, bytes = bytes }, Ext) end
function M.array(t) return setmetatable(t or {}, Array) end
function M.map(t) return setmetatable(t or {}, Map) end
function M.ref(id, name, addresses)
  return setmetatable({ id = id, name = name, addresses = addresses or {} }, Ref)
end

function M.is_bin(v) return getmetatable(v) == Bin end
function M.is_ext(v) return getmetatable(v) == Ext end
function M.is_ref(v) return getmetatable(v) == Ref end
function M.is_array(v) return getmetatable(v) == Array end
function M.is_map(v) return getmetatable(v) == Map end

-- The reference as CANCEL, `actor` and `via` carry it: a name, nothing to dial [VALUE-018].
function M.bare(ref) return ref and M.ref(ref.id, ref.name) end

-- Maps in which a key occurred twice. Control payloads may not contain one [VALUE-010].
local twice = setmetatable({}, { __mode = "k" })
function M.has_equal_keys(map) return twice[map] == true end

-- --- reading -------------------------------------------------------------------------------------

-- A shape says where the depth of a value is counted anew [VALUE-008]: `fresh` at this value
-- itself, `each` is the shape of an array's elements, `keys` and `others` are those of a map's
-- values. The values of a control map are all counted from themselves.
function M.control(keys) return { fresh = true, keys = keys or {}, others = { fresh = true } } end

local function bad(why, ...) error({ malformed = string.format(why, ...) }, 0) end

local function need(d, n)
  if d.pos + n - 1 > #d.bytes then bad("ends within a value") end
end

local function take(d, n)
  need(d, n)
  local pos = d.pos
  d.pos = pos + n
  return d.bytes:sub(pos, pos + n - 1)
end

local function number(d, format, n)
  need(d, n)
  local v = string.unpack(format, d.bytes, d.pos)
  d.pos = d.pos + n
  return v
end

local value

function M.is_utf8(s) return utf8.len(s) ~= nil end

function M.is_key(v) return type(v) == "string" or math.type(v) == "integer" end

local function str(d, n)
  local s = take(d, n)
  if not M.is_utf8(s) then bad("a str that is not UTF-8") end
  return s
end

local function below(depth, shape) return shape and shape.fresh and M.DEPTH or depth - 1 end

local function array(d, n, depth, shape)
  if depth < 1 then bad("nests too deep") end
  need(d, n) -- each element takes a byte at least [VALUE-009]
  local t, each = M.array(), shape and shape.each
  for i = 1, n do t[i] = value(d, below(depth, each), each) end
  return t
end

local function map(d, n, depth, shape)
  if depth < 1 then bad("nests too deep") end
  need(d, 2 * n)
  local t = M.map()
  for _ = 1, n do
    local key = value(d, 0)
    if not M.is_key(key) then
      bad("a map key that is neither str nor integer")
    end
    local inner = shape and shape.keys and (shape.keys[key] or shape.others)
    local v = value(d, below(depth, inner), inner)
    if t[key] ~= nil then twice[t] = true end
    t[key] = v
  end
  return t
end

local function has_control(s)
  return s:find("[\0-\31\127]") or s:find("\xc2[\x80-\x9f]")
end

function M.is_name(s)
  return type(s) == "string" and #s >= 1 and #s <= 64 and not has_control(s)
end

-- The reference that the payload of an ext 1 is [VALUE-015]. What an address says is judged by who
-- dials it [VALUE-016].
function M.read_ref(bytes)
  local a = M.decode(bytes)
  if not M.is_array(a) or #a ~= 3 then bad("ext 1 that is not an array of three") end
  local id, name, addresses = a[1], a[2], a[3]
  if not M.is_bin(id) or #id.bytes ~= 16 then bad("an actor id that is not 16 bytes") end
  if not M.is_name(name) then bad("an actor name out of range") end
  if not M.is_array(addresses) or #addresses > 8 then bad("addresses that are no short array") end
  for _, address in ipairs(addresses) do
    if type(address) ~= "string" then bad("an address that is no str") end
  end
  return M.ref(id.bytes, name, addresses)
end

local function ext(d, n)
  local kind = number(d, "b", 1)
  local bytes = take(d, n)
  if kind == 1 then return M.read_ref(bytes) end
  if kind == -1 and n ~= 4 and n ~= 8 and n ~= 12 then bad("a timestamp of %d bytes", n) end
  return M.ext(kind, bytes)
end

-- By the byte a value begins with, where that says no more than the format.
local readers = {
  [0xc0] = function() return M.null end,
  [0xc2] = function() return false end,
  [0xc3] = function() return true end,
  [0xc4] = function(d) return M.bin(take(d, number(d, ">I1", 1))) end,
  [0xc5] = function(d) return M.bin(take(d, number(d, ">I2", 2))) end,
  [0xc6] = function(d) return M.bin(take(d, number(d, ">I4", 4))) end,
  [0xc7] = function(d) return ext(d, number(d, ">I1", 1)) end,
  [0xc8] = function(d) return ext(d, number(d, ">I2", 2)) end,
  [0xc9] = function(d) return ext(d, number(d, ">I4", 4)) end,
  [0xca] = function(d) return number(d, ">f", 4) end,
  [0xcb] = function(d) return number(d, ">d", 8) end,
  [0xcc] = function(d) return number(d, ">I1", 1) end,
  [0xcd] = function(d) return number(d, ">I2", 2) end,
  [0xce] = function(d) return number(d, ">I4", 4) end,
  [0xcf] = function(d)
    local v = number(d, ">i8", 8)
    return v >= 0 and v or bad("an integer above 2^63-1")
  end,
  [0xd0] = function(d) return number(d, ">i1", 1) end,
  [0xd1] = function(d) return number(d, ">i2", 2) end,
  [0xd2] = function(d) return number(d, ">i4", 4) end,
  [0xd3] = function(d) return number(d, ">i8", 8) end,
  [0xd4] = function(d) return ext(d, 1) end,
  [0xd5] = function(d) return ext(d, 2) end,
  [0xd6] = function(d) return ext(d, 4) end,
  [0xd7] = function(d) return ext(d, 8) end,
  [0xd8] = function(d) return ext(d, 16) end,
  [0xd9] = function(d) return str(d, number(d, ">I1", 1)) end,
  [0xda] = function(d) return str(d, number(d, ">I2", 2)) end,
  [0xdb] = function(d) return str(d, number(d, ">I4", 4)) end,
  [0xdc] = function(d, depth, shape) return array(d, number(d, ">I2", 2), depth, shape) end,
  [0xdd] = function(d, depth, shape) return array(d, number(d, ">I4", 4), depth, shape) end,
  [0xde] = function(d, depth, shape) return map(d, number(d, ">I2", 2), depth, shape) end,
  [0xdf] = function(d, depth, shape) return map(d, number(d, ">I4", 4), depth, shape) end,
}

M.readers = readers

function value(d, depth, shape)
  local c = number(d, "B", 1)
  if c < 0x80 then return c end
  if c >= 0xe0 then return c - 256 end
  if c < 0x90 then return map(d, c & 15, depth, shape) end
  if c < 0xa0 then return array(d, c & 15, depth, shape) end
  if c < 0xc0 then return str(d, c & 31) end
  local read = readers[c]
  if not read then bad("the byte 0x%02x begins no value", c) end
  return read(d, depth, shape)
end

-- The one value that `bytes` is. Raises {malformed = why} for anything else.
function M.decode(bytes, shape)
  local d = { bytes = bytes, pos = 1 }
  local v = value(d, M.DEPTH, shape)
  if d.pos <= #bytes then bad("%d bytes after the value", #bytes - d.pos + 1) end
  return v
end

-- The same without raising: value, or nil and why.
function M.try_decode(bytes, shape)
  local ok, v = pcall(M.decode, bytes, shape)
  if ok then return v end
  if type(v) == "table" and v.malformed then return nil, v.malformed end
  if tostring(v):find("stack overflow") then return nil, "nests too deep" end
  error(v, 0)
end

-- --- writing -------------------------------------------------------------------------------------

local function head(n, fix, fixmax, c8, c16, c32)
  if fix and n <= fixmax then return string.char(fix | n) end
  if c8 and n < 0x100 then return string.pack("B>I1", c8, n) end
  if n < 0x10000 then return string.pack(">BI2", c16, n) end
  return string.pack(">BI4", c32, n)
end

local function integer(v)
  if v >= 0 then
    if v < 0x80 then return string.char(v) end
    if v < 0x100 then return string.pack("BB", 0xcc, v) end
    if v < 0x10000 then return string.pack(">BI2", 0xcd, v) end
    if v < 0x100000000 then return string.pack(">BI4", 0xce, v) end
    return string.pack(">Bi8", 0xcf, v)
  end
  if v >= -32 then return string.char(v & 0xff) end
  if v >= -0x80 then return string.pack("Bb", 0xd0, v) end
  if v >= -0x8000 then return string.pack(">Bi2", 0xd1, v) end
  if v >= -0x80000000 then return string.pack(">Bi4", 0xd2, v) end
  return string.pack(">Bi8", 0xd3, v)
end

local fixext = { [1] = 0xd4, [2] = 0xd5, [4] = 0xd6, [8] = 0xd7, [16] = 0xd8 }

local function write_ext(out, kind, bytes)
  local fix = fixext[#bytes]
  out[#out + 1] = fix and string.char(fix) or head(#bytes, nil, nil, 0xc7, 0xc8, 0xc9)
  out[#out + 1] = string.pack("b", kind)
  out[#out + 1] = bytes
end

local function by_type_and_value(a, b)
  if type(a) == type(b) then return a < b end
  return type(a) == "number"
end

local write

local function write_array(out, t, depth)
  out[#out + 1] = head(#t, 0x90, 15, nil, 0xdc, 0xdd)
  for i = 1, #t do write(out, t[i], depth - 1) end
end

local function write_map(out, t, depth)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, by_type_and_value)
  out[#out + 1] = head(#keys, 0x80, 15, nil, 0xde, 0xdf)
  for _, k in ipairs(keys) do
    write(out, k, 0)
    write(out, t[k], depth - 1)
  end
end

function write(out, v, depth)
  local t = type(v)
  if v == nil or v == M.null then
    out[#out + 1] = "\xc0"
  elseif t == "boolean" then
    out[#out + 1] = v and "\xc3" or "\xc2"
  elseif t == "number" then
    out[#out + 1] = math.type(v) == "integer" and integer(v) or string.pack(">Bd", 0xcb, v)
  elseif t == "string" then
    if not M.is_utf8(v) then error("a str that is not UTF-8: use codec.bin", 0) end
    out[#out + 1] = head(#v, 0xa0, 31, 0xd9, 0xda, 0xdb)
    out[#out + 1] = v
  elseif t ~= "table" then
    error("a " .. t .. " is no value of the protocol", 0)
  elseif M.is_bin(v) then
    out[#out + 1] = head(#v.bytes, nil, nil, 0xc4, 0xc5, 0xc6)
    out[#out + 1] = v.bytes
  elseif M.is_ref(v) then
    write_ext(out, 1, M.encode(M.array { M.bin(v.id), v.name, M.array(v.addresses) }))
  elseif M.is_ext(v) then
    write_ext(out, v.type, v.bytes)
  else
    if depth < 1 then error("a value that nests deeper than 32", 0) end
    if M.is_array(v) or not M.is_map(v) and v[1] ~= nil then
      write_array(out, v, depth)
    else
      write_map(out, v, depth)
    end
  end
end

-- The bytes of a value; raises a message for what is none. A control map has room for a whole user
-- value below it; what exceeds the bound in there is found where that value was first encoded.
function M.encode(v, depth)
  local out = {}
  write(out, v, depth or M.DEPTH)
  return table.concat(out)
end

function M.encode_control(v) return M.encode(v, 3 * M.DEPTH) end

return M
