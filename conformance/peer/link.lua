-- SPDX-License-Identifier: MIT
--
-- A link: bytes in, checked frame by frame in the order of [FRAME-002], handed to contexts; the
-- handshake, PING, BYE and the ways in which a link ends (chapters 4, 6, 10, 18).
--
-- Everything but the payload is checked when the header is there, so a violation is reported
-- without waiting for the rest. The checks run once more when the payload has come: what this side
-- did meanwhile can only have made a frame more welcome, or one to ignore [CROSS-002].

local uv = require "luv"
local codec = require "peer.codec"
local context = require "peer.context"
local failure = require "peer.failure"
local frame = require "peer.frame"
local hooks = require "peer.hooks"
local outbox = require "peer.outbox"
local schema = require "peer.schema"
local tables = require "peer.tables"
local task = require "peer.task"

local M = {}

M.HELLO_BOUND = 10000 -- ms, for HELLO and for the answer to BYE [HELLO-006, LINK-011]
M.FEATURES = { "stream", "spawn", "registry" }

local Link = {}
Link.__index = Link
M.Link = Link

-- options: role "connector" or "acceptor"; token, to say or to demand; expect, the id of the actor
-- dialled; child, the child at the other end; waits, the acceptor says HELLO second; heartbeat in
-- ms; on_open(link) after the handshake, on_lost(link, failure) once when the link is lost, or
-- closed in agreement, then without a failure.
function M.new(actor, transport, options)
  local link = setmetatable({
    actor = actor, transport = transport, role = options.role, options = options,
    child = options.child,
    state = "hello",
    contexts = {}, -- by id, both directions
    inbound = 0, outbound = 0,
    next_id = options.role == "connector" and 1 or 2,
    highest = 0, -- the highest id that the peer has opened
    partials = 0, -- unfinished messages of the peer
    announced = actor.limits,
    features = {},
    buffer = "",
    heard = task.now(), wrote = task.now(),
    changed = task.signal(),
  }, Link)
  link.outbox = outbox.new(link)
  link.flush = function() link:pump() end
  actor.links[link] = true
  link:bound(M.HELLO_BOUND, function() link:violate("timeout", "no HELLO came in time") end)
  transport:start(function(bytes) link:feed(bytes) end, function() link:at_end() end)
  if not options.waits then link:say_hello() end
  return link
end

function Link:bound(ms, fn)
  if self.stop_bound then self.stop_bound() end
  self.stop_bound = task.after(ms, fn)
end

function Link:unbound()
  if self.stop_bound then self.stop_bound() end
  self.stop_bound = nil
end

-- --- writing -------------------------------------------------------------------------------------

function Link:wants_to_write() task.defer(self.flush) end

function Link:pump()
  local transport = self.transport
  while not transport.closing and not transport.broken and transport:pending() == 0 do
    local list = self.outbox:batch()
    if #list == 0 then break end
    self.wrote = task.now()
    transport:write(list, self.flush)
  end
  self:check_idle()
end

function Link:say_hello()
  if self.said_hello then return end
  self.said_hello = true
  local token = self.role == "connector" and self.options.token
  local limits = codec.map {}
  for name, value in pairs(self.announced) do
    if value ~= schema.LIMITS[name] then limits[name] = value end
  end
  self.outbox:frame("HELLO", codec.encode_control(hooks.hello(codec.map {
    copse = codec.array { 1, 1 },
    actor = self.actor.ref,
    agent = "copse-peer/1.0",
    limits = next(limits) and limits or nil,
    features = codec.array { table.unpack(hooks.features(M.FEATURES)) },
    heartbeat = self.options.heartbeat,
    token = token and codec.bin(token) or nil,
  })))
end

-- --- reading -------------------------------------------------------------------------------------

function Link:feed(bytes)
  self.heard = task.now()
  if self.state == "closed" then return end
  if not self.peer and #(self.began or "") < 64 then
    self.began = ((self.began or "") .. bytes):sub(1, 64)
  end
  self.buffer = self.buffer .. bytes
  local pos, concerned = 1, 0
  local ok, err = xpcall(function()
    while self.state ~= "closed" do
      local left = #self.buffer - pos + 1
      local header = self.header
      if not header then
        if left < frame.HEADER then break end
        header = frame.parse(self.buffer, pos)
        concerned = header.context
        self:admit(header)
        self.header = header
        pos, left = pos + frame.HEADER, left - frame.HEADER
      end
      concerned = header.context
      if left < header.length then break end
      local payload = self.buffer:sub(pos, pos + header.length - 1)
      pos = pos + header.length
      self.header = nil
      if self:admit(header) then self:take(header, payload) end
    end
  end, function(e)
    return type(e) == "table" and e.violation and e or debug.traceback(tostring(e), 2)
  end)
  self.buffer = self.buffer:sub(pos)
  if ok then return end
  if type(err) ~= "table" then
    io.stderr:write("peer: ", err, "\n")
    err = { violation = "internal", message = "a fault of this side" }
  end
  self:violate(err.violation, err.message, concerned)
end

local function violation(code, why, ...)
  error({ violation = code, message = why:format(...) }, 0)
end

-- Kinds of which the link's table speaks by name; all others are `other` there.
local NAMED = { HELLO = true, BYE = true, PING = true, PONG = true, OPEN = true }

-- Whether a frame may come now. Returns true if it is to be taken, false if it is to be ignored or
-- skipped; raises a violation otherwise.
function Link:admit(h)
  local kind = h.kind
  local name = kind and kind.name or ("0x%02x"):format(h.code)
  if not hooks.admits(self, h) then return false end

  if tables.link[self.state][NAMED[name] and name or "other"] == "!state" then
    violation("state", "%s while the link is in state %s", name, self.state)
  end
  local limit = kind and kind.limit or self.announced.frame
  if h.length > limit then
    violation(kind and kind.limit and "limit" or "frame", "%s of %d bytes", name, h.length)
  end
  if not kind and frame.is_extension(h.code) then return false end
  if not kind or kind.feature and not self.features[kind.feature] then
    violation("frame", "%s is not defined on this link", name)
  end
  if (kind.on == "link") ~= (h.context == 0) or h.context < 0 or h.context > frame.MAX_ID then
    violation("frame", "%s on context %d", name, h.context)
  end
  if kind.on == "link" then
    self.check_more(h, name)
    if name == "PING" and self.outbox:owes_pong() then
      self:pump()
      if self.outbox:owes_pong() then violation("limit", "a second PING") end
    end
    return true
  end
  return self:admit_to_context(h, name)
end

-- [FRAME-013, FRAME-015]
function Link.check_more(h, name)
  if h.more and (not h.kind.split or h.length == 0) then
    violation("frame", "%s with the flag more", name)
  end
end

-- The role of the receiver on a context, from the parity of its id.
function Link:my_role(id)
  return id % 2 == self.next_id % 2 and "opener" or "callee"
end

local function sender_of(role) return role == "opener" and "callee" or "opener" end

function Link:admit_to_context(h, name)
  local role, id = self:my_role(h.context), h.context
  if h.kind.from and h.kind.from ~= sender_of(role) and hooks.checks_role() then
    violation("state", "%s from the wrong side", name)
  end
  self.check_more(h, name)
  local ctx = self.contexts[id]
  if ctx and ctx.life == "ended" then ctx = nil end
  local life = ctx and ctx.life or "unopened"
  if not ctx and (role == "callee" and id <= self.highest) then life = "ended" end
  if not ctx and (role == "opener" and id < self.next_id) then life = "ended" end

  local continues = self:admit_fragment(h, name, ctx, role, life)
  if continues then return true end

  local event = name
  if name == "OPEN" and h.more then event = "OPEN+" end
  if name == "CANCELLED" and ctx and ctx.cancel_sent then event = "CANCELLED*" end
  local cell = tables[role][life][event]
  if cell == "ignored" then return false end
  if cell == "!state" then violation("state", "%s on a context that is %s", name, life) end
  if name == "OPEN" and life == "unopened" and self.inbound >= hooks.contexts(self) then
    violation("limit", "a context beyond the %d announced", self.announced.contexts)
  end
  if ctx and (name == "ITEM" or name == "END") then
    if tables.inward[ctx.inward][name] == "!state" then
      violation("state", "%s on a half that has ended", name)
    end
    if name == "ITEM" and not hooks.within_grant(ctx.got, ctx.granted, ctx.inward) then
      violation("credit", "item %d of %d, byte %d of %d", ctx.got.items + 1, ctx.granted.items,
        ctx.got.bytes, ctx.granted.bytes)
    end
  end
  return true
end

-- What may discard an unfinished message [FRAME-017].
local DISCARDS = {
  OPEN = { CANCEL = true },
  STARTED = { RETURN = true, ERROR = true, CANCELLED = true },
  ITEM = { END = true, CANCEL = true, RETURN = true, ERROR = true, CANCELLED = true },
  RETURN = { ERROR = true, CANCELLED = true },
  ERROR = {}, CANCELLED = {},
}
M.DISCARDS = DISCARDS
local PASSES = { CANCEL = true, CREDIT = true, STOP = true }

-- The rules of 4.4. Returns true if the frame continues a message.
function Link:admit_fragment(h, name, ctx, role, life)
  local part = ctx and ctx.part
  if name == "OPEN" and h.more and self.opening and not part then
    violation("frame", "a second unfinished OPEN")
  end
  if role == "callee" and life == "ended" then return false end
  if part and part.kind == name then
    if part.size + h.length > self.announced.message then
      violation("limit", "%s of more than %d bytes", name, self.announced.message)
    end
    return true
  end
  if part and not PASSES[name] and not DISCARDS[part.kind][name] and hooks.checks_mixing() then
    violation("frame", "%s between the fragments of %s", name, part.kind)
  end
  if not h.more then return false end
  if self.partials - (part and 1 or 0) >= self.announced.partials then
    violation("limit", "more than %d unfinished messages", self.announced.partials)
  end
  return false
end

-- --- taking frames -------------------------------------------------------------------------------

function Link:take(h, payload)
  local name = h.kind.name
  if h.kind.on == "link" then return self["take_" .. name](self, payload) end
  local ctx = self.contexts[h.context]
  if name == "OPEN" and not ctx then ctx = self:first_of_open(h.context) end
  self:abandon_part(ctx, name)
  if not h.kind.split then
    local value = schema.read(name, payload)
    return ctx:arrived(name, value, #payload)
  end
  local whole, discarded = self:assemble(ctx, name, h, payload)
  if not whole then return end
  if name == "OPEN" then
    self.opening = nil
    local open = schema.read("OPEN", whole)
    ctx:complete(open)
    return self.actor:serve(ctx, open)
  end
  if discarded then return ctx.signal:notify() end
  ctx:arrived(name, schema.read(name, whole), #whole)
end

function Link:first_of_open(id)
  local ctx = context.opened(self, id)
  self.highest = id
  self.contexts[id] = ctx
  self.inbound = self.inbound + 1
  self.opening = ctx
  return ctx
end

-- Forgets the unfinished message of a context if the frame `name` discards it, or all if nil.
function Link:abandon_part(ctx, name)
  local part = ctx.part
  if not part or part.kind == name or name and not DISCARDS[part.kind][name] then return end
  ctx.part = nil
  self.partials = self.partials - 1
  if part.kind == "OPEN" then self.opening = nil end
end

-- Adds a fragment. Returns the whole payload when it was the last, and whether nobody wants it.
function Link:assemble(ctx, name, h, payload)
  local part = ctx.part or { kind = name, size = 0, chunks = {} }
  if name == "ITEM" then
    if part.size == 0 then ctx.got.items = ctx.got.items + 1 end
    ctx.got.bytes = ctx.got.bytes + #payload
  end
  part.size = part.size + #payload
  local discarded = name == "ITEM" and ctx.inward ~= "open"
  if discarded then part.chunks = {} else part.chunks[#part.chunks + 1] = payload end
  if h.more then
    if not ctx.part then self.partials = self.partials + 1 end
    ctx.part = part
    return
  end
  if ctx.part then self.partials = self.partials - 1 end
  ctx.part = nil
  return table.concat(part.chunks), discarded
end

-- --- frames of the link --------------------------------------------------------------------------

-- Constant time in the place where the two differ [SEC-006].
local function equal(a, b)
  local diff = #a ~ #b
  for i = 1, #b do diff = diff | ((a:byte(i) or 0) ~ b:byte(i)) end
  return diff == 0
end

function Link:take_HELLO(payload)
  local hello = schema.read("HELLO", payload)
  if hello.actor.id == self.actor.ref.id and hooks.knows_echo() then
    violation("echo", "my own id came back")
  end
  if hello.copse[1] > 1 and hooks.checks_version() then
    violation("version", "versions %d to %d; here is 1", hello.copse[1], hello.copse[2])
  end
  local options = self.options
  if self.role == "acceptor" and options.token then
    local said = hello.token and hello.token.bytes or ""
    if not hooks.token_is_right(equal(said, options.token)) then
      violation("token", "the token is missing or wrong")
    end
    if options.used_token then options.used_token() end
  end
  if options.expect and hello.actor.id ~= options.expect then
    violation("wrong_actor", "%s answered", hello.actor.name)
  end
  self.peer = hello.actor
  self.hello = hello
  self.limits = hello.limits
  for _, theirs in ipairs(hello.features) do
    for _, mine in ipairs(hooks.features(M.FEATURES)) do
      if mine == theirs then self.features[mine] = true end
    end
  end
  self.state = "open"
  self:unbound()
  self:say_hello()
  self:keep_alive()
  if options.on_open then options.on_open(self) end
  self.changed:notify()
end

function Link:take_BYE(payload)
  local bye = schema.read("BYE", payload)
  self.bye_received = bye
  if bye.code ~= "none" or self.state == "hello" then
    return self:lose(failure.new {
      code = bye.code == "wrong_actor" and "wrong_actor" or "link_lost",
      message = ("BYE %s: %s"):format(bye.code, bye.message), actor = self.actor:name_only(),
    })
  end
  self:say_bye()
  self:wants_to_write()
end

function Link:take_PING(payload)
  local _, why = codec.try_decode(payload)
  if why then violation("value", "PING: %s", why) end
  if hooks.answers_ping() then self.outbox:answer_ping(payload) end
end

function Link.take_PONG(_, payload)
  local _, why = codec.try_decode(payload)
  if why then violation("value", "PONG: %s", why) end
end

-- --- contexts ------------------------------------------------------------------------------------

-- Opens a context in `scope`; options as for context.open, with deadline in ms. Raises what forbids
-- it: busy, closing, too_large, link_lost.
function Link:open(scope, target, args, options)
  task.check()
  return self:open_now(scope, target, args, options or {})
end

function Link:open_now(scope, target, args, options)
  if self.state == "closed" then error(self:lost_error(), 0) end
  if self.state == "closing" then failure.raise("closing", "the link is ending") end
  if self.state == "hello" then failure.raise("not_ready", "the link is not open yet") end
  if self.outbound >= hooks.their_contexts(self.limits.contexts) then
    failure.raise("busy", "%s takes %d contexts", self.peer.name, self.limits.contexts)
  end
  if self.next_id > frame.MAX_ID then failure.raise("busy", "the ids are used up") end
  options = self:agree(scope, options)
  local ctx, payload = context.open(self, self.next_id, target, args, options)
  if #payload > self.limits.message then
    failure.raise("too_large", "an OPEN of %d bytes", #payload)
  end
  self.next_id = hooks.next_id(self.next_id)
  self.contexts[ctx.id] = ctx
  self.outbound = self.outbound + 1
  ctx.scope = scope
  scope:add(ctx)
  self.outbox:message(ctx, "OPEN", payload)
  ctx.explicit, ctx.inherited = options.explicit, options.inherited
  if options.deadline then
    ctx.stop_deadline = task.after(options.deadline, function() ctx:expire() end)
  end
  return ctx
end

-- What a context takes over from the one on whose behalf it is opened: the tighter deadline
-- [DEADLINE-005] and the traceparent.
function Link:agree(scope, options)
  local left = scope.deadline and math.max(0, scope.deadline - task.now())
  local asked = options.deadline
  local behalf = scope.context
  local inherits = left and (not asked or left < asked) and hooks.inherits_deadline()
  return {
    send = options.send,
    window = self.features.stream and options.window or nil,
    deadline = inherits and left or asked,
    explicit = asked and not inherits,
    inherited = inherits,
    traceparent = options.traceparent or behalf and behalf.traceparent,
    meta = options.meta,
  }
end

-- A context has ended for good: its terminal has arrived or was handed over, or the link is lost.
function Link:forget(ctx)
  if self.contexts[ctx.id] ~= ctx then return end
  self:abandon_part(ctx)
  self.contexts[ctx.id] = nil
  if ctx.role == "opener" then self.outbound = self.outbound - 1
  else self.inbound = self.inbound - 1 end
  self.outbox:withdraw(ctx, function(m) return m.pos <= #m.payload or m.pos == 1 end)
  self.changed:notify()
  self.actor.scope.changed:notify() -- who finishes waits for that
  if self.state == "closing" then self:wants_to_write() end
end

-- --- the ways in which it ends -------------------------------------------------------------------

function Link:bye(code, message, ctx)
  return codec.encode_control(hooks.bye(codec.map {
    code = code, message = message, last = self.highest,
    context = ctx and ctx > 0 and ctx <= frame.MAX_ID and ctx or nil,
  }))
end

-- The graceful end: no more contexts from this side; closed when all have ended [LINK-007..010].
function Link:say_bye(message)
  if self.state == "closed" or self.bye_sent then return end
  if self.state == "hello" then return self:violate("none", message) end
  self.state = "closing"
  self.bye_sent = true
  self.changed:notify()
  for _, ctx in ipairs(self.outbox:unbegun()) do
    self.outbox:withdraw_open(ctx)
    ctx:over(failure.new { code = "closing", message = "the link is ending" })
  end
  if hooks.answers_bye(self.bye_received) then
    self.outbox:frame("BYE", self:bye("none", message))
  end
  self:bound(M.HELLO_BOUND, function()
    if not self.bye_received then self:violate("timeout", "BYE was not answered") end
  end)
end

function Link:check_idle()
  if self.state ~= "closing" or not self.bye_sent or not self.bye_received then return end
  if next(self.contexts) or #self.outbox.plain > 0 then return end
  self:shut()
  if self.options.on_lost then self.options.on_lost(self) end
end

-- A violation found here, or another reason to end at once [LINK-013].
function Link:violate(code, message, ctx)
  if self.state == "closed" then return end
  if hooks.says_bye(code) then
    self.outbox:last(self:bye(code, failure.cut(message or "", 4096), ctx))
    local list = self.outbox:batch()
    self.transport:write(list)
  end
  self.violated = code
  self:lose(failure.new {
    code = code == "wrong_actor" and code or "link_lost",
    message = ("%s: %s"):format(code, message or ""), actor = self.actor:name_only(),
  })
end

function Link:at_end()
  if self.state == "closed" then return end
  local terminal = self.child and self.child.terminal
  self:lose(failure.new {
    code = terminal and "closing" or "link_lost", message = "the link ended",
    actor = self.actor:name_only(),
  })
end

-- The link is of no use any more. Callees are cancelled, openers fail, with one and the same error;
-- those of a child's link when it is known how the child ended [MODEL-007, SPAWN-020].
function Link:lose(err)
  if self.state == "closed" then return end
  self.loss = err
  self:shut()
  for _, ctx in pairs(self.contexts) do
    if ctx.role == "callee" then
      ctx:lost()
    end
  end
  if not self.child then self:end_openers(err) end
  if self.options.on_lost then self.options.on_lost(self, err) end
end

function Link:end_openers(err)
  self.loss = err
  for _, ctx in pairs(self.contexts) do
    if ctx.role == "opener" then ctx:over(err) end
  end
end

function Link:lost_error()
  return self.loss or failure.new { code = "link_lost", message = "the link is closed" }
end

-- Lets the peer know at once that this side is lost, while it goes on reading.
function Link:hang_up() self.transport:shut_down() end

function Link:shut()
  self.state = "closed"
  self:unbound()
  self.actor.links[self] = nil
  if self.stop_heartbeat then self.stop_heartbeat() end
  self.transport:close(function()
    self.released = true
    self.changed:notify()
  end)
  self.changed:notify()
end

-- --- signs of life -------------------------------------------------------------------------------

-- Keeps the promise that this side made, even while a handler computes, and watches the peer's.
-- Links here stay within one host, so silence is reported and ends nothing [LIVE-006, LIVE-007].
function Link:keep_alive()
  local mine, theirs = self.options.heartbeat or 0, self.hello.heartbeat
  if mine == 0 and theirs == 0 then return end
  local every = math.min(mine > 0 and mine / 2 or math.huge, theirs > 0 and theirs or math.huge)
  local timer = uv.new_timer()
  local function beat()
    local due = mine > 0 and task.now() - self.wrote >= mine / 2 and self.transport:pending() == 0
    if not due or not hooks.keeps_heartbeat() then return end
    self.wrote = task.now()
    self.transport:write { frame.encode("PONG", 0, codec.encode(nil)) }
  end
  task.look_ins[beat] = true
  timer:start(math.floor(every / 2), math.floor(every / 2), task.callback(function()
    local now = task.now()
    beat()
    if theirs > 0 and now - self.heard > 3 * theirs and not self.silent then
      self.silent = true
      self.actor:log("warn", self.peer.name .. " is suspended or unresponsive")
      hooks.silence(self)
    elseif theirs > 0 and now - self.heard <= theirs then
      self.silent = false
    end
  end))
  self.stop_heartbeat = function()
    task.look_ins[beat] = nil
    if not timer:is_closing() then timer:close() end
  end
end

return M
