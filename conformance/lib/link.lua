-- SPDX-License-Identifier: MIT
--
-- A link, played by the suite: the raw peer.
--
-- It can be the acceptor (a parent), or the connector (one that dialled, or a child behind the
-- bridge). Everything that goes over it is logged, decoded, and shown to the monitor. It does by
-- itself only what no case wants to think of: it answers PING, and a graceful BYE. `illegal = true`
-- on a frame says that the case means it; the monitor then looks away, once.
--
-- A case is given messages, however many fragments they came in: the last one, with the value of
-- the whole. `link.fragments = true` gives it every fragment.

local frame = require "frame"
local Monitor = require "monitor"
local context = require "context"
local value = require "value"

local Link = {}
Link.__index = Link

-- t: the case. o: name, connector, stream (a connected luv stream).
function Link.new(t, o)
  local self = setmetatable({
    t = t, name = o.name, connector = o.connector, stream = o.stream, inbox = {}, pongs = {},
    next_id = o.connector and 1 or 2, reader = frame.reader(), auto_pong = true, auto_bye = true,
    auto_end = false, received = 0, sent = 0, begun = {}, left = 0, header = "", owed = {},
  }, Link)
  self.monitor = Monitor.new {
    machines = t.spec.machines, connector = o.connector,
    report = function(side, req, text, f)
      if not (side == "suite" and self.lenient) then t:monitor_fault(self, side, req, text, f) end
    end,
    touch = function(req) t:touch(req) end,
  }
  t.links[#t.links + 1] = self
  self.stream:read_start(function(err, data) self:on_read(err, data) end)
  return self
end

function Link:on_read(err, data)
  if err or not data then
    self.eof, self.read_error = true, err
    self.t:log { link = self.name, dir = "<",
      text = err and "reset: " .. err or "end of the input" }
    if #self.reader:rest() > 0 then
      self.rest = self.reader:rest()
      self.t:log { link = self.name, dir = "<",
        text = #self.rest .. " bytes of an unfinished frame" }
    end
    self.t:poke()
    return
  end
  self.received = self.received + #data
  if self.raw_sink then
    self.raw_sink = self.raw_sink .. data
    return self.t:poke()
  end
  for _, f in ipairs(self.reader:feed(data)) do self:on_frame(f) end
  self.t:poke()
end

function Link:on_frame(f)
  frame.decode(f)
  self.monitor:frame("peer", f)
  self:log_frame("<", f)
  -- What nobody knows is skipped, by the suite as well; the monitor has said what is wrong with it.
  if not frame.kind[f.kind] then return end
  if f.name == "PING" and self.auto_pong and self.monitor.hello.mine then
    return self:between_frames(function() self:send { "PONG", payload = f.payload } end)
  end
  if f.name == "PONG" then
    self.pongs[#self.pongs + 1] = f
    return
  end
  if f.name == "HELLO" then self.hello_received = f end
  if f.name == "BYE" then
    self.bye_received = self.bye_received or f
    if f.value and f.value.code == "none" and self.auto_bye then
      self:between_frames(function() if not self.bye_sent then self:bye() end end)
    end
  end
  if f.name == "STOP" and self.auto_end then
    local c = self.monitor.ctx[f.ctx]
    if c and c.out == "stopped" and c.life ~= "ended" then self:send { "END", f.ctx } end
  end
  if f.more and f.ctx ~= 0 and not self.fragments then
    self.begun[f.ctx] = self.begun[f.ctx] or f
    return
  end
  self.begun[f.ctx] = nil
  self.inbox[#self.inbox + 1] = f
end

function Link:log_frame(dir, f)
  self.t:log {
    link = self.name, dir = dir, text = frame.show(f), frame = f, before = f.before,
    after = f.after,
  }
end

-- Writing -----------------------------------------------------------------------------------------

-- Keeps account of how much of the frame last begun is still to be written.
function Link:follow(bytes)
  local pos = 1
  while pos <= #bytes do
    if self.left > 0 then
      local n = math.min(self.left, #bytes - pos + 1)
      self.left, pos = self.left - n, pos + n
    else
      local n = 12 - #self.header
      self.header, pos = self.header .. bytes:sub(pos, pos + n - 1), pos + n
      if #self.header == 12 then self.left, self.header = string.unpack(">I3", self.header), "" end
    end
  end
end

-- What the suite owes by itself is not written into the middle of a frame that a case cut in two.
function Link:between_frames(fn)
  if self.left == 0 and self.header == "" then return fn() end
  self.owed[#self.owed + 1] = fn
end

-- Bytes as they are, unseen by the monitor.
function Link:write(bytes)
  if self.corked then
    self.corked[#self.corked + 1] = bytes
    return
  end
  self.sent = self.sent + #bytes
  self:follow(bytes)
  self:transmit(bytes)
  while self.owed[1] and self.left == 0 and self.header == "" do table.remove(self.owed, 1)() end
end

function Link:transmit(bytes)
  if self.closed or self.write_shut then return end
  if self.chop then
    for i = 1, #bytes, self.chop do
      self.stream:write(bytes:sub(i, i + self.chop - 1), function() end)
    end
  else
    self.stream:write(bytes, function(err) if err then self.write_error = err end end)
  end
end

function Link:raw(bytes, what)
  self.t:log { link = self.name, dir = ">", text = what or "raw", bytes = bytes }
  self:write(bytes)
end

-- Bytes as they are, of which the monitor follows what is legal and passes over what is not.
function Link:say(bytes, what)
  self.lenient = true
  local reader = frame.reader()
  for _, f in ipairs(reader:feed(bytes)) do
    frame.decode(f)
    f.illegal = true
    self.monitor:frame("mine", f)
    self:log_frame(">", f)
    if f.name == "BYE" then self.bye_sent = true end
  end
  self.lenient = false
  if #reader:rest() > 0 then
    self.t:log { link = self.name, dir = ">", text = what or "an unfinished frame",
      bytes = reader:rest() }
  end
  self:write(bytes)
end

-- One frame, whatever it is. o: more, length (what the header announces).
function Link:put(kind, ctx, payload, o)
  o = o or {}
  self:say(frame.pack { kind = kind, ctx = ctx, payload = payload, more = o.more,
    length = o.length })
end

-- Runs fn and then writes all that it sent in one piece.
function Link:cork(fn)
  self.corked = {}
  fn()
  local bytes = table.concat(self.corked)
  self.corked = nil
  self:write(bytes)
end

-- Sends one frame: { KIND, ctx, value = V or payload = BYTES, more =, illegal =, length = }.
-- Returns the bytes.
function Link:send(o)
  local payload = o.payload
  if not payload then
    payload = (o.value ~= nil) and value.encode(o.value) or ""
  end
  local bytes = frame.pack { kind = o[1], ctx = o[2], payload = payload, more = o.more,
    length = o.length }
  local number = frame.number[o[1]] or o[1]
  local f = {
    kind = number, name = frame.name(number), ctx = o[2] or 0, payload = payload, length = #payload,
    more = o.more, illegal = o.illegal,
  }
  if o.illegal then
    self.monitor:illegal(f)
    frame.decode(f)
  else
    self.monitor:frame("mine", f)
    if not f.more and not f.fragment then frame.decode(f) end
  end
  if o[1] == "BYE" then self.bye_sent = true end
  self:log_frame(">", f)
  self:write(bytes)
  return bytes
end

-- Sends a message in fragments. `at`: the size of the pieces, or a list of sizes.
function Link:send_split(o, at)
  local payload = o.payload or value.encode(o.value)
  local pos, i = 1, 1
  while pos <= #payload do
    local n = type(at) == "table" and (at[i] or #payload) or at
    local piece = payload:sub(pos, pos + n - 1)
    pos, i = pos + n, i + 1
    self:send { o[1], o[2], payload = piece, more = pos <= #payload, illegal = o.illegal }
  end
end

-- Handshake ---------------------------------------------------------------------------------------

-- The HELLO of the suite; o overrides its fields, false leaves one out.
function Link:hello_value(o)
  local h = {
    copse = { 1, 1 }, actor = self.t.actor, agent = "copse-tck",
    features = value.array { "stream", "spawn", "registry" },
  }
  for k, v in pairs(o or {}) do
    if v == false then h[k] = nil else h[k] = v end
  end
  return value.map(h)
end

function Link:hello(o) self:send { "HELLO", value = self:hello_value(o) } end

-- Waits for the peer's HELLO and returns its map.
function Link:expect_hello(req)
  local f = self.t:await(function() return self.hello_received or self:first_bye() or self.eof end,
    "HELLO", req or "HELLO-001")
  if f == true or f.name ~= "HELLO" then
    self.t:fail(req or "HELLO-001", "HELLO", f == true and "the end of the input" or frame.show(f))
  end
  for i, g in ipairs(self.inbox) do if g == f then table.remove(self.inbox, i) break end end
  if not f.value then self.t:fail("VALUE-001", "a HELLO that is one value", f.bad) end
  self.peer = f.value
  return f.value
end

function Link:first_bye()
  for _, f in ipairs(self.inbox) do if f.name == "BYE" then return f end end
end

-- Reading -----------------------------------------------------------------------------------------

-- Takes the first frame of the inbox that pick(f) wants; nil if there is none.
function Link:take(pick)
  for i, f in ipairs(self.inbox) do
    if pick(f) then return table.remove(self.inbox, i) end
  end
end

-- Waits for a frame that pick(f) wants. A BYE or the end of the input ends the wait.
function Link:await_frame(pick, what, req)
  local got = self.t:await(function()
    return self:take(pick) or (self:first_bye() and (self:first_bye().value
      or {}).code ~= "none" and "bye")
      or (self.eof and "eof")
  end, what, req)
  if got == "bye" then
    self.t:fail(req, what, frame.show(self:first_bye()))
  elseif got == "eof" then
    self.t:fail(req, what, "the end of the input")
  end
  return got
end

-- PING and its PONG: everything that the peer's protocol layer owed has arrived when it returns.
-- Where the link ends instead, it was something before that the peer did not like: `req`.
function Link:barrier(req)
  self.ping_count = (self.ping_count or 0) + 1
  local token = "tck-" .. self.ping_count
  self:send { "PING", value = token }
  self:pong(token, req)
end

function Link:pong(token, req)
  req = req or self.t.case.req[1]
  local wanted = value.encode(token)
  local got = self.t:await(function()
    for i, f in ipairs(self.pongs) do
      if f.payload == wanted then return table.remove(self.pongs, i) end
    end
    local bye = self:first_bye()
    return bye and (bye.value or {}).code ~= "none" and "bye" or self.eof and "eof"
  end, "PONG", "KIND-005")
  if got == "bye" then self.t:fail(req, "a link that goes on", frame.show(self:first_bye())) end
  if got == "eof" then self.t:fail(req, "a link that goes on", "the end of the input") end
  self.t:pass("KIND-005")
end

-- Nothing but CREDIT has arrived for context `id` (for any, if nil) when a barrier has passed.
function Link:nothing(id, req)
  self:barrier(req)
  local function refuse(f)
    if f.name ~= "CREDIT" and (not id or f.ctx == id) then
      self.t:fail(req, "nothing" .. (id and " on context " .. id or ""), frame.show(f))
    end
  end
  for _, f in ipairs(self.inbox) do refuse(f) end
  for _, f in pairs(self.begun) do refuse(f) end
  self.t:pass(req)
end

-- Limits ------------------------------------------------------------------------------------------

local fillable = { frame = 1 << 20, message = 1 << 26, contexts = 4096, partials = 1024 }

-- What the peer has announced as its limit `name`, or `enough` if that is less. Where a case has to
-- go up to the limit itself, it must be one that can be reached.
function Link:limit(name, enough)
  local announced = self.monitor.limits.peer[name]
  if enough then return math.min(announced, enough) end
  if announced > fillable[name] then
    self.t:unsupported("the testee announces " .. name .. " " .. announced
      .. ", and the case has to reach it")
  end
  return announced
end

-- Contexts ----------------------------------------------------------------------------------------

function Link:new_id()
  local id = self.next_id
  self.next_id = id + 2
  return id
end

-- Opens a context. o: the other keys of OPEN, and id, split (see send_split).
function Link:open(target, args, o)
  o = o or {}
  local id = o.id or self:new_id()
  if o.id then self.next_id = math.max(self.next_id, o.id + 2) end
  local v = value.map { target = target, args = args }
  for _, k in ipairs { "send", "credit", "deadline", "traceparent", "meta" } do v[k] = o[k] end
  for k, x in pairs(o.keys or {}) do v[k] = x end
  local f = { "OPEN", id, value = v, illegal = o.illegal }
  if o.split then self:send_split(f, o.split) else self:send(f) end
  return context.new(self, id, true)
end

-- A call that must return, and its value.
function Link:call(target, args, req)
  local c = self:open(target, args)
  return c:expect("RETURN", req).value
end

-- Waits for a context that the peer opens, on `target` if given.
function Link:accept(target, req)
  local f = self:await_frame(function(f)
    return f.name == "OPEN" and not f.more and (not target or f.value and f.value.target == target)
  end, "OPEN" .. (target and " of " .. target or ""), req)
  if self.fragments then
    -- Those before the last one have been seen with it.
    while self:take(function(g) return g.name == "OPEN" and g.more and g.ctx == f.ctx end) do end
  end
  local c = context.new(self, f.ctx, false)
  c.open_frame, c.args, c.target = f, f.value and f.value.args, f.value and f.value.target
  return c
end

-- The end -----------------------------------------------------------------------------------------

function Link:bye(o)
  o = o or {}
  local b = value.map { code = o.code or "none", message = o.message, context = o.context,
    last = o.last }
  self:send { "BYE", value = b, illegal = o.illegal }
end

-- Waits for the BYE of a violation with this code, and for the end of the input after it. `ctx` is
-- what it has to name, nil if it may name anything.
function Link:violation(code, ctx, req)
  local f = self.t:await(function()
    return self:take(function(f) return f.name == "BYE" end) or (self.eof and "eof")
  end, "BYE " .. code, req)
  if f == "eof" then
    self.t:fail("LINK-013", "BYE with code " .. code .. ", then the end of the input",
      "the end of the input" .. (self.read_error and " (" .. self.read_error .. ")" or ""))
  end
  self.t:pass("LINK-013")
  local got = f.value and f.value.code or frame.show(f)
  local codes = type(code) == "table" and code or { code }
  local good = false
  for _, c in ipairs(codes) do good = good or c == got end
  self.t:check(req, good, "BYE " .. table.concat(codes, " or "), frame.show(f))
  if ctx then
    local named = f.value.context or 0
    self.t:check("KIND-002", named == ctx, "BYE that names context " .. ctx, "context " .. named)
  end
  self:await_eof("LINK-016")
  self:close()
  self.violated = true
  return f
end

function Link:await_eof(req)
  self.t:await(function() return self.eof end, "the end of the input", req)
  self.t:pass(req)
end

-- Shuts the suite's direction of writing.
function Link:shutdown()
  if self.write_shut or self.closed then return end
  self.write_shut = true
  self.t:log { link = self.name, dir = ">", text = "shut down writing" }
  self.stream:shutdown(function() end)
end

-- Stops and goes on reading.
function Link:hold() self.stream:read_stop() end
function Link:release()
  self.stream:read_start(function(err, data) self:on_read(err, data) end)
end

function Link:close()
  if self.closed then return end
  self.closed = true
  if not self.stream:is_closing() then self.stream:close() end
end

return Link
