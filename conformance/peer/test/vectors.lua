-- SPDX-License-Identifier: MIT
--
-- Every byte vector of SPEC.md's appendix B, played against the peer: what is legal must leave the
-- link alive and be decoded as the vector says; what is a violation must be answered by a BYE with
-- its code. Each is also played one byte at a time.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local actor = require "peer.actor"
local codec = require "peer.codec"
local failure = require "peer.failure"
local frame = require "peer.frame"
local scope = require "peer.scope"
local task = require "peer.task"

-- --- reading the appendix ------------------------------------------------------------------------

local vectors, order = {}, {}

local function read_block(block)
  for stanza in (block .. "\n\n"):gmatch("(%[.-)\n\n") do
    local v = { means = {}, after = {}, answers = {}, hex = "" }
    for line in stanza:gmatch("[^\n]+") do
      local key, text = line:match("^(%w+): (.*)$")
      if not key then v.name = line:match("^%[(.*)%]$")
      elseif key == "hex" then v.hex = v.hex .. text
      elseif key == "means" or key == "answers" then table.insert(v[key], text)
      elseif key == "after" then
        for name in text:gmatch("[%w-]+") do table.insert(v.after, name) end
      else v[key] = text end
    end
    vectors[v.name] = v
    order[#order + 1] = v
  end
end

local spec = assert(io.open(t.here .. "/../SPEC.md")):read("a")
for block in spec:gmatch("\n```vectors\n(.-)\n```") do read_block(block) end

-- The vectors that come before v on the link, in order, each once.
local function history(v, list, seen)
  list, seen = list or {}, seen or {}
  for _, name in ipairs(v.after) do
    local before = assert(vectors[name], name)
    history(before, list, seen)
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = before
    end
  end
  return list
end

-- --- decoding, as the appendix writes it ---------------------------------------------------------

local function frames_of(bytes)
  local list, pos = {}, 1
  while pos <= #bytes do
    local h = frame.parse(bytes, pos)
    h.name = h.kind and h.kind.name or ("0x%02x"):format(h.code)
    h.payload = bytes:sub(pos + 12, pos + 11 + h.length)
    pos = pos + 12 + h.length
    list[#list + 1] = h
  end
  return list
end

local EMPTY = { END = true, STOP = true }

-- Numbers and maps have more than one spelling: both sides are brought to the form of tap.show.
local function written(h, continues)
  local text = h.name .. (h.more and "+" or "")
  if h.context ~= 0 or not h.kind then text = text .. " " .. math.tointeger(h.context) end
  if EMPTY[h.name] then return text end
  if h.more or continues or not h.kind then return text .. " h'" .. t.hex(h.payload) .. "'" end
  return text .. " " .. t.show(codec.decode(h.payload, h.name == "OPEN" and codec.control()))
end

-- Reads the notation of the appendix.
local function parse_value(s, pos)
  local function skip() pos = s:find("%S", pos) or #s + 1 end
  local value
  local function list(close, each)
    pos = pos + 1
    skip()
    while s:sub(pos, pos) ~= close do
      each()
      skip()
      if s:sub(pos, pos) == "," then pos = pos + 1 end
      skip()
    end
    pos = pos + 1
  end
  local function str()
    local stop = pos + 1
    while s:sub(stop, stop) ~= '"' do
      stop = stop + (s:sub(stop, stop) == "\\" and 2 or 1)
    end
    local text = s:sub(pos + 1, stop - 1)
    pos = stop + 1
    text = text:gsub("\\u(%x%x%x%x)", function(h) return utf8.char(tonumber(h, 16)) end)
    return (text:gsub('\\(["\\])', "%1"))
  end
  function value()
    skip()
    local c = s:sub(pos, pos)
    if c == "{" then
      local map = codec.map {}
      list("}", function()
        local key = value()
        skip()
        pos = pos + 1
        map[key] = value()
      end)
      return map
    elseif c == "[" then
      local array = codec.array {}
      list("]", function() array[#array + 1] = value() end)
      return array
    elseif c == '"' then return str()
    end
    local hex, stop = s:match("^h'(%x*)'()", pos)
    if hex then
      pos = stop
      return codec.bin(t.unhex(hex))
    end
    local id, at = s:match("^ref%((%x+), ()", pos)
    if id then
      pos = at
      local name = str()
      pos = s:find("%[", pos)
      local addresses = value()
      pos = s:find("%)", pos) + 1
      return codec.ref(t.unhex(id), name, addresses)
    end
    local kind, bytes, behind = s:match("^ext%((-?%d+), h'(%x*)'%)()", pos)
    if kind then
      pos = behind
      return codec.ext(math.tointeger(tonumber(kind)), t.unhex(bytes))
    end
    local word, after = s:match("^([%w.+-]+)()", pos)
    pos = after
    if word == "nil" then return codec.null end
    if word == "true" then return true end
    if word == "false" then return false end
    return assert(tonumber(word), word)
  end
  return value()
end

local function normal(means)
  local head, rest = means:match("^(%S+ %d+) (.*)$")
  if not head then head, rest = means:match("^(%S+) (%D.*)$") end
  if not head then head, rest = means:match("^([^%d ]%S*) (%d+)$") end
  if not head or EMPTY[means:match("^%u+")] then return means end
  return head .. " " .. t.show(parse_value(rest, 1))
end

-- --- the side under test -------------------------------------------------------------------------

local CHILD = t.unhex "000102030405060708090a0b0c0d0e0f"
local ROOT = t.unhex "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

-- A handler that does nothing, whatever comes, so that only the vectors move.
local function wait_for_ever(ctx)
  task.await(ctx.signal, function() return false end)
end

local function owner(role)
  return actor.new {
    id = role == "connector" and CHILD or ROOT, name = role == "connector" and "child" or "root",
    exports = { ["tck.echo"] = wait_for_ever, ["tck.duplex"] = wait_for_ever },
  }
end

-- Does with the API what a vector of the side under test says on the wire.
local function perform(raw, s, contexts, h)
  local l, id = raw.link, h.context
  if h.name == "HELLO" then return end -- that is said by itself
  local value = not EMPTY[h.name] and codec.decode(h.payload) or nil
  if h.name == "OPEN" then
    contexts[id] = l:open(s, value.target, value.args or codec.array {}, {
      send = value.send, window = value.credit,
    })
    t.eq(contexts[id].id, id, "the id of OPEN")
  elseif h.name == "CANCEL" then
    contexts[id]:cancel(failure.cause(value.origin, value.by, value.message))
  elseif h.name == "PING" then
    l.outbox:frame("PING", h.payload)
  elseif h.name == "BYE" then
    return l:say_bye(value.message)
  else
    error("a vector does " .. h.name)
  end
  raw:expect(h.name, id)
end

-- What the protocol layer says because of the vector, before anything else.
local function check_answers(v, raw)
  for _, answer in ipairs(v.answers) do
    local name, id = answer:match("^(%u+) ?(%d*)")
    local h = raw:expect(name, frame.kinds[name].on == "context" and tonumber(id) or 0)
    h.more = false
    if answer:find("[{\"h]", 1 + #h.name) then t.eq(written(h), normal(answer), "the answer") end
  end
end

local function check(v, raw, bytes)
  check_answers(v, raw)
  local last = frames_of(bytes)[1]
  if v.violation then
    local bye = raw:expect("BYE").value
    t.eq(bye.code, v.violation, "the code of BYE (" .. tostring(bye.message) .. ")")
  elseif last.name == "BYE" then
    local state = v.name == "bye-context-left" and "closing" or "closed"
    task.await(raw.link.changed, function() return raw.link.state == state end)
    t.ok(raw.link.violated == nil, "the link found a violation")
  else
    if last.name == "HELLO" then raw:expect("HELLO") else raw:barrier() end
    t.ok(raw.link.state ~= "closed", "the link ended")
  end
end

-- Plays what comes before v and v itself, and checks what becomes of it. What the contexts of the
-- side under test end with is of no concern here.
local function play(v, in_pieces)
  return function()
    local role = v.from == "connector" and "acceptor" or "connector"
    local raw = t.raw(owner(role), role)
    local ok, err
    pcall(scope.run, function(s)
      ok, err = pcall(function()
        local contexts = {}
        for _, before in ipairs(history(v)) do
          if before.from == v.from then
            raw:write(t.unhex(before.hex))
            -- The handler has begun when the next one comes: a CANCEL before that would end it.
            if before.name:find("^hello") then raw:expect("HELLO") else raw:barrier() end
          else
            for _, h in ipairs(frames_of(t.unhex(before.hex))) do perform(raw, s, contexts, h) end
          end
        end
        local bytes = t.unhex(v.hex)
        for i = 1, #bytes, in_pieces and 1 or #bytes do
          raw:write(bytes:sub(i, in_pieces and i or -1))
        end
        check(v, raw, bytes)
      end)
      raw:close()
    end)
    if not ok then error(err, 0) end
  end
end

t.test("the appendix has vectors", function() t.ok(#order > 100, #order .. " vectors") end)

for _, v in ipairs(order) do
  if #v.means > 0 then
    t.test(v.name .. " is decoded as the appendix says", function()
      local open = {}
      for i, h in ipairs(frames_of(t.unhex(v.hex))) do
        local continues = open[h.context] == h.name
        t.eq(written(h, continues), normal(v.means[i]), "frame " .. i)
        open[h.context] = h.more and h.name or open[h.context]
      end
      t.eq(#frames_of(t.unhex(v.hex)), #v.means, "the number of frames")
    end)
  end
  t.test(v.name .. (v.violation and " is a violation " .. v.violation or " is taken"), play(v))
  t.test(v.name .. ", byte by byte", play(v, true))
end

t.run()
