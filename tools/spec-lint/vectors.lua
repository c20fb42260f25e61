-- SPDX-License-Identifier: MIT
--
-- The byte vectors of the appendix: reads the blocks, checks that they hang together, and decodes
-- frames and values into the notation in which the vectors say what they mean.
--
-- The decoder is the lint's own and knows nothing of the engine's, so a vector is right only if two
-- readers of the same bytes agree.

local M = {}

-- --------------------------------------------------------------------------------- decoding values

local function quoted(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    if c == '"' or c == "\\" then return "\\" .. c end
    return string.format("\\u%04x", c:byte())
  end) .. '"'
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local function float(number)
  if number ~= number then return "nan" end
  local text = string.format("%.17g", number)
  for digits = 1, 16 do
    local short = string.format("%." .. digits .. "g", number)
    if tonumber(short) == number then text = short break end
  end
  return text:find("[.en]") and text or text .. ".0"
end

local value

local function elements(bytes, at, count, deep)
  local out = {}
  for i = 1, count do out[i], at = value(bytes, at, deep + 1) end
  return "[" .. table.concat(out, ", ") .. "]", at
end

local function pairs_of(bytes, at, count, deep)
  local out = {}
  for i = 1, count do
    local key, content
    key, at = value(bytes, at, deep + 1)
    content, at = value(bytes, at, deep + 1)
    out[i] = key .. ": " .. content
  end
  return "{" .. table.concat(out, ", ") .. "}", at
end

local function text_of(bytes, at, size)
  assert(at + size <= #bytes + 1, "text cut short")
  local text = bytes:sub(at, at + size - 1)
  assert(utf8.len(text), "not UTF-8")
  return quoted(text), at + size
end

local function bytes_of(bytes, at, size)
  assert(at + size <= #bytes + 1, "bytes cut short")
  return "h'" .. hex(bytes:sub(at, at + size - 1)) .. "'", at + size
end

local function ext_of(bytes, at, size)
  assert(at + 1 + size <= #bytes + 1, "ext cut short")
  local kind = string.unpack(">i1", bytes, at)
  local content = bytes:sub(at + 1, at + size)
  local after = at + 1 + size
  if kind ~= 1 then return string.format("ext(%d, h'%s')", kind, hex(content)), after end
  assert(content:sub(1, 3) == "\x93\xc4\x10", "a reference is [id, name, addresses]")
  local name, from = value(content, 20, 1)
  local addresses, rest = value(content, from, 1)
  assert(rest == #content + 1, "bytes after a reference")
  return string.format("ref(%s, %s, %s)", hex(content:sub(4, 19)), name, addresses), after
end

-- The value at `at` as text, and where the next one begins. Raises on bytes that are none.
function value(bytes, at, deep)
  assert(deep <= 33, "too deep")
  local byte = assert(bytes:byte(at), "value cut short")
  local function int(format)
    local number, after = string.unpack(format, bytes, at + 1)
    return number, after
  end
  if byte <= 0x7f then return tostring(byte), at + 1 end
  if byte <= 0x8f then return pairs_of(bytes, at + 1, byte & 15, deep) end
  if byte <= 0x9f then return elements(bytes, at + 1, byte & 15, deep) end
  if byte <= 0xbf then return text_of(bytes, at + 1, byte & 31) end
  if byte >= 0xe0 then return tostring(byte - 256), at + 1 end
  if byte == 0xc0 then return "nil", at + 1 end
  if byte == 0xc2 or byte == 0xc3 then return tostring(byte == 0xc3), at + 1 end
  if byte >= 0xc4 and byte <= 0xc6 then
    local size, after = int(({ ">I1", ">I2", ">I4" })[byte - 0xc3])
    return bytes_of(bytes, after, size)
  end
  if byte >= 0xc7 and byte <= 0xc9 then
    local size, after = int(({ ">I1", ">I2", ">I4" })[byte - 0xc6])
    return ext_of(bytes, after, size)
  end
  if byte == 0xca or byte == 0xcb then
    local number, after = int(byte == 0xca and ">f" or ">d")
    return float(number), after
  end
  if byte >= 0xcc and byte <= 0xcf then
    local number, after = int(({ ">I1", ">I2", ">I4", ">I8" })[byte - 0xcb])
    assert(number >= 0, "integer above 2^63-1")
    return tostring(number), after
  end
  if byte >= 0xd0 and byte <= 0xd3 then
    local number, after = int(({ ">i1", ">i2", ">i4", ">i8" })[byte - 0xcf])
    return tostring(number), after
  end
  if byte >= 0xd4 and byte <= 0xd8 then return ext_of(bytes, at + 1, 1 << (byte - 0xd4)) end
  if byte >= 0xd9 and byte <= 0xdb then
    local size, after = int(({ ">I1", ">I2", ">I4" })[byte - 0xd8])
    return text_of(bytes, after, size)
  end
  if byte == 0xdc or byte == 0xdd then
    local count, after = int(byte == 0xdc and ">I2" or ">I4")
    assert(count <= #bytes - after + 1, "array cut short")
    return elements(bytes, after, count, deep)
  end
  if byte == 0xde or byte == 0xdf then
    local count, after = int(byte == 0xde and ">I2" or ">I4")
    assert(count <= #bytes - after + 1, "map cut short")
    return pairs_of(bytes, after, count, deep)
  end
  error("byte c1 means nothing")
end

-- --------------------------------------------------------------------------------- decoding frames

-- The frames in `bytes`, one text each. `names` maps kind numbers to names. `unfinished`, kept by
-- the caller, holds [from .. context] of messages whose last fragment is still to come.
-- Raises on bytes that are no frames.
function M.frames(bytes, names, unfinished)
  local out, at = {}, 1
  while at <= #bytes do
    assert(#bytes - at + 1 >= 12, "header cut short")
    local length, kind, context = string.unpack(">I3I1I8", bytes, at)
    local more, number = kind >= 128, kind & 127
    local name = names[number] or string.format("0x%02x", number)
    local payload = bytes:sub(at + 12, at + 11 + length)
    assert(#payload == length, "payload cut short")
    local words = { name .. (more and "+" or "") }
    local raw = more or not names[number] or unfinished[context] == number
    if context ~= 0 or not names[number] then words[#words + 1] = tostring(context) end
    if raw then
      words[#words + 1] = "h'" .. hex(payload) .. "'"
      if names[number] then unfinished[context] = more and number or nil end
    elseif length > 0 then
      local text, after = value(payload, 1, 0)
      assert(after == length + 1, "bytes after the value")
      words[#words + 1] = text
    end
    out[#out + 1] = table.concat(words, " ")
    at = at + 12 + length
  end
  return out
end

-- --------------------------------------------------------------------------------- reading vectors

-- Reads the `vectors` blocks of a document: a list of
--   { name, line, from, after = { names }, bytes, means = { texts }, violation,
--     answers = { texts } }
-- in the order of the text. complain(line, message) is called for everything that is wrong.
function M.read(doc, complain)
  local list, byname, current = {}, {}, nil

  local function finish()
    local v = current
    current = nil
    if not v then return end
    if not v.from then complain(v.line, "vector " .. v.name .. " does not say who it is from") end
    if #v.bytes == 0 then complain(v.line, "vector " .. v.name .. " has no bytes") end
    if (#v.means > 0) == (v.violation ~= nil) then
      complain(v.line, "vector " .. v.name .. " needs either means or violation")
    end
    for _, name in ipairs(v.after) do
      if name == v.name then complain(v.line, "vector " .. v.name .. " comes after itself") end
    end
    if byname[v.name] then
      complain(v.line, "vector " .. v.name .. " occurs twice")
    elseif v.from then
      byname[v.name] = v
      list[#list + 1] = v
    end
  end

  for _, fence in ipairs(doc.fences) do
    if fence.lang == "vectors" then
      for i, line in ipairs(fence.lines) do
        local at = fence.line + i
        local name = line:match("^%[([a-z0-9-]+)%]$")
        local key, rest = line:match("^(%l+): (.+)$")
        if line == "" then
          finish()
        elseif name then
          finish()
          current = { name = name, line = at, after = {}, bytes = "", means = {}, answers = {} }
        elseif not current or not key then
          complain(at, "not a line of a vector: " .. line)
        elseif key == "from" then
          if rest ~= "connector" and rest ~= "acceptor" then
            complain(at, "no such side: " .. rest)
          end
          current.from = rest
        elseif key == "after" then
          for word in rest:gmatch("[^,%s]+") do current.after[#current.after + 1] = word end
        elseif key == "hex" then
          if rest:gsub("%x%x ?", "") ~= "" then complain(at, "not hexadecimal: " .. rest) end
          current.bytes = current.bytes .. rest:gsub("%X", ""):gsub("%x%x", function(x)
            return string.char(tonumber(x, 16))
          end)
        elseif key == "means" then
          current.means[#current.means + 1] = rest
        elseif key == "answers" then
          current.answers[#current.answers + 1] = rest
        elseif key == "violation" then
          current.violation = rest
        elseif key ~= "note" then
          complain(at, "no such key in a vector: " .. key)
        end
      end
      finish()
    end
  end
  for _, v in ipairs(list) do
    for _, name in ipairs(v.after) do
      if not byname[name] then
        complain(v.line, "vector " .. v.name .. " comes after " .. name .. ", which does not exist")
      end
    end
  end
  return list, byname
end

-- All that passed before a vector, in order, each once. Cycles end where they close.
function M.before(v, byname)
  local out, seen = {}, { [v.name] = true }
  local function visit(name)
    local w = byname[name]
    if not w or seen[name] then return end
    seen[name] = true
    for _, n in ipairs(w.after) do visit(n) end
    out[#out + 1] = w
  end
  for _, n in ipairs(v.after) do visit(n) end
  return out
end

M.hex = hex

return M
