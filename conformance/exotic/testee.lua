-- SPDX-License-Identifier: MIT
--
-- Peers that are strange, and right:
--
--     lua5.4 conformance/exotic/testee.lua NAME
--
-- A suite that fails one of them asks for more than SPEC.md does. Each is the Lua peer with
-- something changed that the document leaves free.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/../?.lua;" .. package.path

local uv = require "luv"
local codec = require "peer.codec"
local frame = require "peer.frame"
local link = require "peer.link"
local outbox = require "peer.outbox"
local Context = require "peer.context".Context
local Transport = require "peer.transport".Transport

local Link, Outbox = link.Link, outbox.Outbox

local function wrap(t, key, fn)
  local real = assert(t[key], key)
  t[key] = function(...) return fn(real, ...) end
end

local exotic = {}

-- Every byte in a write of its own; of long writes the first and the last hundred.
exotic["bytewise"] = function()
  wrap(Transport, "write", function(real, self, list, done)
    local bytes = table.concat(list)
    local from, to = 101, #bytes - 100
    for i = 1, math.min(#bytes, 100) do real(self, bytes:sub(i, i)) end
    for i = from, to, 1000 do real(self, bytes:sub(i, math.min(i + 999, to))) end
    for i = math.max(from, to + 1), #bytes - 1 do real(self, bytes:sub(i, i)) end
    if #bytes > 100 then real(self, bytes:sub(-1)) end
    real(self, "", done)
  end)
end

-- Messages in fragments of one byte, the very long ones aside, and what comes late in a flood.
exotic["fragments"] = function()
  local usual, left = outbox.FRAGMENT, 50000
  wrap(Outbox, "fragment", function(real, self, message)
    left = left - 1
    outbox.FRAGMENT = (#message.payload > 4096 or left < 0) and usual or 1
    return real(self, message)
  end)
end

-- Credit is raised by one item at a time, as soon as one has been consumed.
exotic["one-credit"] = function()
  wrap(Context, "grant", function(real, self)
    local window = self.window
    if not window or self.inward ~= "open" or self.life == "ended" then return end
    self.window = { items = window.items, bytes = window.bytes }
    local consumed, granted = self.consumed.items, self.granted.items
    if granted > 0 and consumed + window.items > granted then
      -- The real one raises when half of the window is used up; so this half is always used up.
      self.window.items = window.items
      local keep = self.granted
      self.granted = { items = 0, bytes = 0 }
      local wanted = granted + 1
      self.consumed = { items = wanted - window.items, bytes = self.consumed.bytes }
      real(self)
      self.consumed = { items = consumed, bytes = self.consumed.bytes }
      if self.granted.items == 0 then self.granted = keep end
    else
      real(self)
    end
    self.window = window
  end)
end

-- Kinds that nobody knows between all frames, and keys that nobody knows in every control map.
exotic["extensions"] = function()
  local count = 0
  wrap(Outbox, "next", function(real, self)
    local bytes = real(self)
    if not bytes or not self.link.limits or self.link.state == "closed" or bytes:byte(4) == 1 then
      return bytes
    end
    count = count + 1
    local more = count % 2 == 0 and 0x80 or 0
    local payload = ("\xc1"):rep(count % 40)
    return string.pack(">I3BI8", #payload, 0x40 + count % 64 | more, count * 0x1234567) .. payload
      .. bytes
  end)
  wrap(codec, "encode_control", function(real, map)
    local plain = real(map)
    local more = codec.map {}
    for k, v in pairs(map) do more[k] = v end
    more["acme.mood"] = codec.array { 1, codec.map { x = codec.null } }
    more["zz.top"] = codec.bin "\0"
    local bytes = real(more)
    return #bytes <= 1000 and bytes or plain
  end)
end

-- Twenty times slower: the testee thinks before it reads and before it writes. A flood it does not
-- think about.
exotic["slow"] = function()
  local left = 2000
  local function think()
    left = left - 1
    if left >= 0 then uv.sleep(3) end
  end
  wrap(Link, "feed", function(real, self, bytes)
    think()
    real(self, bytes)
  end)
  wrap(Transport, "write", function(real, ...)
    think()
    return real(...)
  end)
end

-- Whenever it writes and no PING is under way, it adds one.
exotic["eager-pings"] = function()
  local asked = setmetatable({}, { __mode = "k" })
  wrap(Outbox, "next", function(real, self)
    local bytes = real(self)
    local of_context = bytes and string.unpack(">I8", bytes, 5) ~= 0
    if not of_context or asked[self.link] or self.link.state ~= "open" then return bytes end
    asked[self.link] = true
    return bytes .. frame.encode("PING", 0, codec.encode("still there?"))
  end)
  wrap(Link, "take_PONG", function(real, self, payload)
    asked[self] = nil
    return real(self, payload)
  end)
end

-- Ids just below the last one.
exotic["largest-ids"] = function()
  local first = setmetatable({}, { __mode = "k" })
  wrap(link, "new", function(real, ...)
    local l = real(...)
    l.next_id = l.next_id + frame.MAX_ID - 1 - 100000
    first[l] = l.next_id
    return l
  end)
  -- What is below the first has never been opened.
  wrap(Link, "admit_to_context", function(real, self, h, name)
    local admitted = real(self, h, name)
    if not admitted and self:my_role(h.context) == "opener" and h.context < first[self] then
      error({ violation = "state", message = name .. " on an id that was never opened" }, 0)
    end
    return admitted
  end)
end

local function announces(limits)
  return function()
    wrap(link, "new", function(real, actor, ...)
      actor.limits = limits
      return real(actor, ...)
    end)
  end
end
exotic["minimal-limits"] = announces { frame = 16384, message = 16384, contexts = 16, partials = 1 }
exotic["largest-limits"] = announces {
  frame = frame.MAX_ID, message = frame.MAX_ID, contexts = frame.MAX_ID, partials = frame.MAX_ID,
}

-- Contexts take their turns by lot. One round goes past all of them, or the only context that may
-- go on could be missed.
exotic["lottery"] = function()
  wrap(Outbox, "next_message", function(real, self)
    local ring = self.ring
    if #ring > 1 then
      local i = math.random(#ring)
      ring[1], ring[i] = ring[i], ring[1]
    end
    return real(self)
  end)
end

-- No value in its shortest form: every number and every length takes as many bytes as there are.
local function widen(bytes)
  local pos = 1
  local out = {}
  local function put(format, ...) out[#out + 1] = string.pack(format, ...) end
  local function take(n)
    out[#out + 1] = bytes:sub(pos, pos + n - 1)
    pos = pos + n
  end
  local function get(format)
    local v
    v, pos = string.unpack(format, bytes, pos)
    return v
  end
  while pos <= #bytes do
    local b = get "B"
    if b < 0x80 then put(">BI8", 0xcf, b)
    elseif b < 0x90 then put(">BI4", 0xdf, b & 15)
    elseif b < 0xa0 then put(">BI4", 0xdd, b & 15)
    elseif b < 0xc0 then
      put(">BI4", 0xdb, b & 31)
      take(b & 31)
    elseif b >= 0xe0 then put(">Bi8", 0xd3, b - 256)
    elseif b >= 0xcc and b <= 0xcf then put(">BI8", 0xcf, get(">I" .. (1 << b - 0xcc)))
    elseif b >= 0xd0 and b <= 0xd3 then put(">Bi8", 0xd3, get(">i" .. (1 << b - 0xd0)))
    elseif b >= 0xc4 and b <= 0xc6 or b >= 0xd9 and b <= 0xdb then
      local bin = b <= 0xc6
      local n = get(">I" .. (1 << b - (bin and 0xc4 or 0xd9)))
      put(">BI4", bin and 0xc6 or 0xdb, n)
      take(n)
    elseif b >= 0xd4 and b <= 0xd8 or b >= 0xc7 and b <= 0xc9 then
      local n = b >= 0xd4 and 1 << b - 0xd4 or get(">I" .. (1 << b - 0xc7))
      put(">BI4", 0xc9, n)
      take(1 + n)
    elseif b == 0xdc or b == 0xdd then put(">BI4", 0xdd, get(b == 0xdc and ">I2" or ">I4"))
    elseif b == 0xde or b == 0xdf then put(">BI4", 0xdf, get(b == 0xde and ">I2" or ">I4"))
    else
      pos = pos - 1
      take(b == 0xcb and 9 or b == 0xca and 5 or 1)
    end
  end
  return table.concat(out)
end
exotic["long-formats"] = function()
  wrap(codec, "encode", function(real, v, depth)
    local bytes = real(v, depth)
    if #bytes > 300 then return bytes end
    local wide = widen(bytes)
    return #wide <= 1000 and wide or bytes
  end)
end

-- The core, and nothing else.
exotic["core-only"] = function()
  require "peer.hooks".features = function() return {} end
  local actor = require "peer.actor"
  wrap(actor, "boot", function(real, options)
    for _, handler in ipairs { "source", "sink", "duplex", "spawn", "register" } do
      options.exports["tck." .. handler] = nil
    end
    return real(options)
  end)
end

local name = arg[1]
if name == "--list" then
  local names = {}
  for n in pairs(exotic) do names[#names + 1] = n end
  table.sort(names)
  print(table.concat(names, "\n"))
  os.exit(0)
end
if not exotic[name] then
  io.stderr:write("usage: testee.lua NAME (or --list)\n")
  os.exit(2)
end
exotic[name]()
assert(loadfile(here .. "/../peer/testee.lua"))()
