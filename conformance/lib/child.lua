-- SPDX-License-Identifier: MIT
--
-- The suite as a child: it has the testee spawn `copse-tck bridge` and holds both ends, the context
-- `tck.spawn` above and the child's link below. So it can be a child that keeps the spawn contract,
-- and one that breaks it at any point.

local bridge = require "bridge"
local Link = require "link"
local process = require "process"
local value = require "value"

local M = {}
local Child = {}
Child.__index = Child

-- What a Link takes for its stream: it speaks records to the bridge.
local Stream = {}
Stream.__index = Stream

function Stream:read_start(fn)
  self.reading = fn
  local kept = self.kept
  self.kept = {}
  for _, data in ipairs(kept) do fn(nil, data or nil) end
end
function Stream:read_stop() self.reading = nil end
function Stream:deliver(data)
  if self.reading then self.reading(nil, data or nil) else self.kept[#self.kept + 1] = data end
end
function Stream:order(letter, bytes)
  if self.pipe:is_closing() then return end
  self.pipe:write(bridge.record(letter, bytes), function() end)
end
function Stream:write(bytes, fn)
  self:order("d", bytes)
  if fn then fn() end
end
function Stream:shutdown(fn)
  self:order("z")
  if fn then fn() end
end
function Stream:is_closing() return self.closed end
-- The connection to the bridge stays: orders come after.
function Stream:close()
  if self.closed then return end
  self.closed = true
  self.reading = nil
  self:order("l")
end

local function take_info(child, text)
  child.env, child.fds = {}, {}
  for line in text:gmatch("[^\n]+") do
    local k, v = line:match("^([^=]+)=(.*)$")
    if k:find("^fd%d") then child.fds[tonumber(k:sub(3))] = v else child.env[k] = v end
  end
  child.pid = math.tointeger(tonumber(child.env.pid))
  local id, rest = (child.env.COPSE_ACTOR or ""):match("^(%x+)(.*)$")
  if id and #id == 32 then
    child.id = id:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)
    child.group, child.name = rest:match("^(@%S+) (.*)$")
    if not child.name then child.name = rest:match("^ (.*)$") end
  end
end

-- Opens tck.spawn on the testee behind `link` with a bridge for a child, and waits for the bridge.
-- o: further arguments of tck.spawn; send (false: OPEN without). The child has `ctx` (tck.spawn),
-- `link` (the suite is the connector), `env`, `pid`, `id`, `name`, `signals` (a list, in order).
function M.spawn(t, link, o)
  o = o or {}
  local child = setmetatable({ t = t, parent = link, signals = {} }, Child)
  local path = t:path("b")
  local stream = setmetatable({ kept = {} }, Stream)
  t:listen(path, function(pipe)
    if stream.pipe then return pipe:close() end
    stream.pipe = pipe
    t.cleanup[#t.cleanup + 1] = function() if not pipe:is_closing() then pipe:close() end end
    local take = bridge.records(function(letter, bytes)
      if letter == "i" then take_info(child, bytes)
      elseif letter == "d" then stream:deliver(bytes)
      elseif letter == "z" then stream:deliver(false)
      else
        child.signals[#child.signals + 1] = tonumber(bytes)
        t:log { link = "bridge", dir = "*", text = "signal " .. bytes }
      end
      t:poke()
    end)
    pipe:read_start(function(_, data)
      if data then return take(data) end
      child.gone = true
      t:poke()
    end)
  end)
  local args = { argv = value.array { t.opts.exe, t.opts.script, "bridge", "unix:" .. path } }
  -- No ladder of a slow machine's making, unless the case is about one.
  args.grace = 20000
  for k, v in pairs(o) do if k ~= "send" then args[k] = v end end
  child.ctx = link:open("tck.spawn", value.map(args), { send = o.send ~= false })
  t:await(function()
    if child.env then return true end
    for _, f in ipairs(link.inbox) do
      if f.ctx == child.ctx.id and (f.name == "ERROR" or f.name == "CANCELLED") then
        return "refused"
      end
    end
  end, "the child started with the argv given", "SPAWN-002")
  if not child.env then
    t:fail("SPAWN-002", "a child started with the argv given",
      require "frame".show(child.ctx:next()))
  end
  child.link = Link.new(t, { name = "child", connector = true, stream = stream })
  child.link.loose = true
  child.stream = stream
  return child
end

-- HELLO both ways, and the copse.actor that the parent opens first.
function Child:boot(o)
  o = o or {}
  self:hello(o.hello)
  self:take_actor()
  if o.started ~= false then
    self.actor:started(value.map { listen = value.array {} })
    self.ctx:expect("STARTED", "ACTOR-005")
  end
  return self
end

function Child:hello(o)
  o = o or {}
  if not self.env.COPSE_LINK then self.ctx.t:fail("SPAWN-002", "COPSE_LINK", "none") end
  if o.actor == nil then o.actor = value.ref(self.id, self.name, {}) end
  self.link:hello(o)
  self.link:expect_hello("HELLO-002")
end

-- STARTED, where HELLO has been said.
function Child:boot_rest()
  self:take_actor()
  self.actor:started(value.map { listen = value.array {} })
  self.ctx:expect("STARTED", "ACTOR-005")
end

function Child:take_actor()
  self.actor = self.link:accept("copse.actor", "ACTOR-001")
  return self.actor
end

-- Orders to the process. They come after all that was written to the link before.
function Child:exit(status) self.stream:order("x", tostring(status)) end
function Child:die(signal) self.stream:order("k", tostring(signal)) end
function Child:stderr(text) self.stream:order("e", text) end
-- The end of the link, while the process lives on.
function Child:drop() self.link:close() end

-- Waits until the process has got this signal.
function Child:await_signal(number, req)
  self.t:await(function()
    for _, s in ipairs(self.signals) do if s == number then return true end end
    return self.gone and "gone"
  end, "signal " .. number .. " for the child", req)
  for _, s in ipairs(self.signals) do if s == number then return self.t:pass(req) end end
  self.t:fail(req, "signal " .. number .. " for the child", "the child is gone")
end

-- Waits until the process is gone altogether, not even a zombie left.
function Child:await_reaped(req)
  self.t:await(function() return self.gone end, "the end of the child", req)
  local reaped = self.t:poll(function() return not process.exists(self.pid) end)
  self.t:check(req, reaped, "pid " .. self.pid .. " reaped", "it is still there")
end

-- The parent says that the child is `died`, with these fields in data. Returns the error and data.
function Child:died(fields, req)
  local e = self.ctx:errors("died", req or "SPAWN-016")
  local data = value.is_map(e.data) and e.data or {}
  for k, v in pairs(fields or {}) do self.t:is("SPAWN-017", data[k], v, "data." .. k) end
  self.t:check("SPAWN-017", data.status ~= nil or data.signal ~= nil, "status or signal in data",
    value.show(e))
  return e, data
end

-- The rest of a good child's life: END, RETURN, exit 0, and RETURN above.
function Child:finish()
  self.ctx:finish()
  self.actor:expect("END", "ACTOR-014")
  self.actor:returns_with()
  self:exit(0)
  self.ctx:returns(nil, "SPAWN-014")
end

return M
