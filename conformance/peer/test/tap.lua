-- SPDX-License-Identifier: MIT
--
-- What the tests of the peer share: tests in tasks, printed as TAP; two actors over a socketpair; a
-- raw end of a link that says whatever a test wants.

local here = arg[0]:match("^(.*)/peer/test/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local actor = require "peer.actor"
local codec = require "peer.codec"
local frame = require "peer.frame"
local link = require "peer.link"
local scope = require "peer.scope"
local task = require "peer.task"
local transport = require "peer.transport"

local M = { here = here, tests = {} }

local WATCHDOG = 60000 -- ms: catches what hangs, nothing else

-- --- values --------------------------------------------------------------------------------------

-- A value as appendix B writes it, keys in order, for comparing and for messages.
function M.show(v)
  local t = type(v)
  if v == nil or v == codec.null then return "nil" end
  if t == "string" then return ("%q"):format(v) end
  if t ~= "table" then return tostring(v) end
  if codec.is_bin(v) then return "h'" .. M.hex(v.bytes) .. "'" end
  if codec.is_ref(v) then
    return ("ref(%s, %q, %s)"):format(M.hex(v.id), v.name, M.show(codec.array(v.addresses)))
  end
  if codec.is_ext(v) then return ("ext(%d, h'%s')"):format(v.type, M.hex(v.bytes)) end
  local parts, keys = {}, {}
  if codec.is_array(v) or not codec.is_map(v) and v[1] ~= nil then
    for i, e in ipairs(v) do parts[i] = M.show(e) end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, k in ipairs(keys) do parts[i] = M.show(k) .. ": " .. M.show(v[k]) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

function M.hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
function M.unhex(s)
  return (s:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

function M.eq(found, wanted, what)
  local f, w = M.show(found), M.show(wanted)
  if f ~= w then error(("%s: wanted %s, found %s"):format(what or "a value", w, f), 2) end
end

function M.ok(condition, what)
  if not condition then error(what or "not so", 2) end
  return condition
end

-- fn must raise a failure of this code; returns it.
function M.raises(code, fn, ...)
  local done, err = pcall(fn, ...)
  if done then error("no error, where " .. code .. " was wanted", 2) end
  if type(err) ~= "table" or err.code ~= code then
    error(("wanted the error %s, found %s"):format(code, tostring(err)), 2)
  end
  return err
end

-- --- tests ---------------------------------------------------------------------------------------

function M.test(name, fn) M.tests[#M.tests + 1] = { name, fn } end

function M.run()
  local root = actor.new { name = "tests" }
  local failed = 0
  print("1.." .. #M.tests)
  task.start(root.base, function()
    for i, test in ipairs(M.tests) do
      local name, fn = table.unpack(test)
      local stop = task.after(WATCHDOG, function()
        print(("not ok %d - %s\n# hangs"):format(i, name))
        os.exit(1)
      end)
      local ok, err = xpcall(scope.run, function(e)
        return type(e) == "string" and debug.traceback(e, 2) or e
      end, function(s) fn(s) end)
      stop()
      print(("%sok %d - %s"):format(ok and "" or "not ", i, name))
      if not ok then
        failed = failed + 1
        print("# " .. (tostring(err) .. (err.stack or "")):gsub("\n", "\n# "))
      end
      io.stdout:flush()
    end
    os.exit(failed == 0 and 0 or 1)
  end)
  actor.run()
end

-- Lets everything happen that needs no more than turns of the event loop: a PING there and back.
function M.barrier(l)
  local signal, answered = task.signal(), false
  local take = l.take_PONG
  l.take_PONG = function(self, payload)
    take(self, payload)
    if payload == "\xa7barrier" then
      answered = true
      signal:notify()
    end
  end
  l.outbox:frame("PING", "\xa7barrier")
  task.await(signal, function() return answered or l.state == "closed" end)
  l.take_PONG = nil
end

-- --- two ends ------------------------------------------------------------------------------------

local function stream_pair()
  local pair = assert(uv.socketpair("stream", nil, { nonblock = true }, { nonblock = true }))
  local a, b = uv.new_pipe(false), uv.new_pipe(false)
  a:open(pair[1])
  b:open(pair[2])
  return a, b
end

-- Two actors with a link between them: "left" is the connector. Options per side, as for actor.new.
function M.pair(left, right)
  left, right = left or {}, right or {}
  left.name, right.name = left.name or "left", right.name or "right"
  local a, b = stream_pair()
  local l, r = actor.new(left), actor.new(right)
  local up = link.new(l, transport.new(a), { role = "connector", heartbeat = left.heartbeat })
  local down = link.new(r, transport.new(b), { role = "acceptor", heartbeat = right.heartbeat })
  task.await(up.changed, function() return up.state ~= "hello" end)
  task.await(down.changed, function() return down.state ~= "hello" end)
  return up, down
end

-- --- a raw end -----------------------------------------------------------------------------------

local Raw = {}
Raw.__index = Raw

-- A link of `actor` whose other end is the test: `role` is the actor's. Options as for link.new.
function M.raw(owner, role, options)
  local mine, theirs = stream_pair()
  options = options or {}
  options.role = role
  local raw = setmetatable({
    stream = mine, frames = {}, buffer = "", changed = task.signal(),
  }, Raw)
  raw.link = link.new(owner, transport.new(theirs), options)
  mine:read_start(task.callback(function(_, bytes) raw:got(bytes) end))
  return raw
end

function Raw:got(bytes)
  if not bytes then
    self.ended = true
    return self.changed:notify()
  end
  self.buffer = self.buffer .. bytes
  while #self.buffer >= 12 do
    local h = frame.parse(self.buffer, 1)
    if #self.buffer < 12 + h.length then break end
    h.payload = self.buffer:sub(13, 12 + h.length)
    h.name = h.kind and h.kind.name
    self.buffer = self.buffer:sub(13 + h.length)
    self.frames[#self.frames + 1] = h
  end
  self.changed:notify()
end

function Raw:write(bytes) if not self.stream:is_closing() then self.stream:write(bytes) end end

function Raw:send(name, context, value, more)
  local payload = value == nil and "" or codec.encode_control(value)
  self:write(frame.encode(name, context, payload, more))
end

-- The next frame of this name (and context), those before it dropped; nil at the end of the link.
function Raw:expect(name, context)
  local found
  task.await(self.changed, function()
    while self.frames[1] do
      local h = table.remove(self.frames, 1)
      if h.name == name and (not context or h.context == context) then
        found = h
        return true
      end
      self.skipped = h.name
    end
    return self.ended
  end)
  if not found then error(("the link ended where %s was wanted"):format(name), 2) end
  if #found.payload > 0 then found.value = codec.decode(found.payload) end
  return found
end

function Raw:hello(fields)
  local map = codec.map {
    copse = codec.array { 1, 1 }, actor = codec.ref(uv.random(16), "raw"),
    features = codec.array { "stream", "spawn", "registry" },
  }
  for k, v in pairs(fields or {}) do map[k] = v end
  self:send("HELLO", 0, map)
  return self:expect("HELLO")
end

-- PING and PONG: what was sent before has been looked at, and the link lives.
function Raw:barrier()
  self:send("PING", 0, "barrier")
  repeat until self:expect("PONG").value == "barrier"
end

function Raw:close() if not self.stream:is_closing() then self.stream:close() end end

return M
