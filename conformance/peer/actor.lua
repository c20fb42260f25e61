-- SPDX-License-Identifier: MIT
--
-- An actor: an id, the targets it exports, its links, and the life that its parent holds open on it
-- as the context copse.actor (16.2, 16.3). A child is one that `boot` made from its environment; a
-- root has no parent and is ready at once.

local uv = require "luv"
local codec = require "peer.codec"
local failure = require "peer.failure"
local hooks = require "peer.hooks"
local link = require "peer.link"
local registry = require "peer.registry"
local schema = require "peer.schema"
local scope = require "peer.scope"
local serve = require "peer.serve"
local task = require "peer.task"
local transport = require "peer.transport"
local watchdog = require "peer.watchdog"

local M = {}

local Actor = {}
Actor.__index = Actor
M.Actor = Actor

M.HEARTBEAT = 5000 -- ms, on links that were dialled

-- options: name, id (random if nil), limits, exports (target -> function(ctx, args)), grace in ms,
-- allows(actor, ctx), main(actor, scope): the actor's own work.
function M.new(options)
  local actor = setmetatable({
    ref = codec.ref(options.id or uv.random(16), options.name),
    limits = options.limits or schema.LIMITS,
    grace = options.grace or 3000,
    exports = {},
    allows = options.allows,
    main = options.main,
    links = {}, children = {}, listeners = {}, registrations = {},
    ready = true,
    ran = 0, running = 0, cancelled = 0, log_level = "warn",
    changed = task.signal(),
  }, Actor)
  for target, handler in pairs(options.exports or {}) do actor.exports[target] = handler end
  registry.export(actor)
  actor.base = scope.new { actor = actor }
  actor.scope = scope.new { parent = actor.base }
  return actor
end

function Actor:name_only() return codec.bare(self.ref) end

function Actor:serve(ctx, open) return serve.serve(self, ctx, open) end

local LEVELS = { error = 1, warn = 2, info = 3, debug = 4, trace = 5 }

-- Control characters of a peer's text do not reach a terminal [SEC-007].
function Actor:log(level, text)
  if LEVELS[level] > LEVELS[self.log_level] then return end
  io.stderr:write(self.ref.name, ": ", (text:gsub("%c", "?")), "\n")
end

-- --- links ---------------------------------------------------------------------------------------

-- Listens at `address` for links of others, who have to say `token` if one is given.
function Actor:listen(address, token)
  if address:match("^tcp:") and not token then
    return nil, address .. ": a TCP listener needs a token" -- [SEC-004]
  end
  local at, stop = transport.listen(address, function(stream)
    local strangers = 0
    for l in pairs(self.links) do
      if l.state == "hello" then strangers = strangers + 1 end
    end
    if strangers >= 64 then return stream:drop() end -- [SEC-011]
    link.new(self, stream, {
      role = "acceptor", waits = true, token = token, heartbeat = M.HEARTBEAT,
    })
  end)
  if not at then return nil, stop end
  self.listeners[#self.listeners + 1] = stop
  table.insert(self.ref.addresses, at)
  return at
end

function Actor:stop_listening()
  for _, stop in ipairs(self.listeners) do stop() end
  self.listeners = {}
end

-- Waits for a link to the actor that `ref` names, trying its addresses in turn. Raises unreachable,
-- wrong_actor, or what ended the link.
function Actor:dial(ref, token)
  local why = "no address"
  for _, address in ipairs(ref.addresses) do
    local signal, stream, err, done = task.signal(), nil, nil, false
    transport.dial(address, function(s, e)
      stream, err, done = s, e, true
      signal:notify()
    end)
    task.await(signal, function() return done end)
    if stream then
      local l = link.new(self, stream, {
        role = "connector", token = token, expect = ref.id, heartbeat = M.HEARTBEAT,
      })
      task.await(l.changed, function() return l.state ~= "hello" end)
      if l.state == "open" then return l end
      error(l:lost_error(), 0)
    end
    why = err
  end
  failure.raise("unreachable", "%s: %s", ref.name, why)
end

-- --- the context copse.actor ---------------------------------------------------------------------

local LOG = { error = true, warn = true, info = true, debug = true, trace = true }

local function is_addresses(v)
  if not codec.is_array(v) then return false end
  for _, e in ipairs(v) do
    if type(e) ~= "string" then return false end
  end
  return true
end

-- What is wrong with the arguments, or nil.
local function misfit(args)
  local function is(key, fits) return args[key] == nil or fits(args[key]) end
  if not codec.is_map(args) then return "not a map" end
  if not codec.is_ref(args.parent) then return "parent" end
  if not is("registrar", is_addresses) then return "registrar" end
  if not is("listen", is_addresses) then return "listen" end
  if not is("grace", function(v)
    return math.type(v) == "integer" and v >= 0 and v < 1 << 53
  end) then return "grace" end
  if not is("log", function(v) return LOG[v] end) then return "log" end
  if not is("debug", function(v) return type(v) == "boolean" end) then return "debug" end
  if not is("config", codec.is_map) then return "config" end
end

-- The parent has opened copse.actor; `in_time` is false if its deadline has passed already. From
-- END on nothing is served, be it in the very next bytes [ACTOR-009].
function Actor:begin(ctx, in_time)
  self.context = ctx
  ctx.scope = self.scope
  local function refuse(why)
    self:finale(ctx, failure.new {
      code = "bad_args", message = "copse.actor: " .. why, actor = self:name_only(),
    })
  end
  if not in_time then return self:finale(ctx) end
  local why = misfit(ctx.args)
  if why then return refuse(why) end
  local function ended() self.finishing = true end
  ctx.on_end = ended
  if ctx.inward == "ended" then ended() end
  local args = ctx.args
  self.grace = args.grace or self.grace
  self.log_level = args.log or self.log_level
  self.parent, self.registrar, self.config = args.parent, args.registrar, args.config
  if hooks.watches_parent() then self.watchdog = watchdog.start(ctx.link.transport, self.grace) end
  local listen = codec.array {}
  for _, address in ipairs(args.listen or {}) do
    local at, err = self:listen(address, self.token)
    if not at then return refuse(err) end
    listen[#listen + 1] = at
  end
  ctx.ran = true
  task.start(self.base, function() self:live(ctx, listen) end)
end

local function only(ctx)
  for _, other in pairs(ctx.link.contexts) do
    if other ~= ctx then return false end
  end
  return true
end

-- Every terminal has been handed over on the links other than the parent's.
local function others_are_told(actor, ctx)
  for l in pairs(actor.links) do
    if l ~= ctx.link then
      for _, other in pairs(l.contexts) do
        if other.concluded then return false end
      end
    end
  end
  return true
end

-- From STARTED to the terminal.
function Actor:live(ctx, listen)
  if not self.scope.cancelled then
    self.ready = true
    ctx:started(codec.map { listen = listen })
    if self.main then self.scope:start(function() self.main(self, self.scope) end) end
    task.await(ctx.signal, function()
      return ctx.inward == "ended" or self.scope.cancelled or ctx.life == "ended"
    end)
  end
  self:stop_listening()
  if not self.scope.cancelled then self:finish() end
  task.await(self.scope.changed, function()
    return self.scope:is_empty() or not (self.scope.cancelled or hooks.waits_for_contexts())
  end)
  -- Terminals that the parent does not read hold the actor back [ACTOR-016], those that others do
  -- not read only so long [ACTOR-013].
  local overdue = false
  local stop = task.after(self.grace, function()
    overdue = true
    self.scope.changed:notify()
  end)
  task.await(self.scope.changed, function()
    return hooks.may_end(only(ctx)) and (overdue or others_are_told(self, ctx))
  end)
  stop()
  local errors = self.scope.errors
  self:finale(ctx, #errors > 0 and failure.combine(errors, self) or nil)
end

-- END has arrived: refuse and let go; the rest finishes by itself [ACTOR-009..012].
function Actor:finish()
  self.finishing = true
  for registration in pairs(self.registrations) do registration:finish() end
  for l in pairs(self.links) do
    for _, held in pairs(l.contexts) do
      if held.is_held and hooks.finishes_held() then held:release() end
    end
  end
end

-- The terminal of copse.actor, and the exit [SPAWN-014].
function Actor:finale(ctx, err)
  local status = 0
  if err then
    status = 1
    if ctx:cancellation() then err.cancelled = true end
    ctx:conclude_error(err)
  elseif ctx:cancellation() then
    ctx:conclude_cancelled(ctx.ran == true)
  else
    ctx:conclude(hooks.terminal("RETURN", codec.encode(nil)))
  end
  if ctx.link.loss then status = 1 end
  self:leave(ctx.link, status)
end

-- Exits when all links are closed, the parent's after the terminal has left.
function Actor:leave(parent_link, status)
  task.start(self.base, function()
    task.await(parent_link.changed, function()
      return next(parent_link.contexts) == nil or parent_link.state == "closed"
    end)
    for l in pairs(self.links) do
      if l ~= parent_link then l:violate("none", "the actor ends") end
    end
    parent_link:pump()
    if parent_link.state ~= "closed" then parent_link:shut() end
    task.await(parent_link.changed, function() return parent_link.released end)
    self:exit(status)
  end)
end

-- The end of the process, at once.
function Actor:exit(status)
  if self.watchdog then self.watchdog:stop() end
  os.exit(hooks.exit_status(status))
end

-- --- a child -------------------------------------------------------------------------------------

-- The parent's link is lost: everything is cancelled, and the process is gone when the grace is
-- over, whatever its handlers do [SPAWN-024].
local function orphaned(actor)
  if not hooks.watches_parent() then return end
  -- A little before the watchdog would do it the hard way.
  task.after(actor.grace * 7 // 8, function() actor:exit(1) end)
  actor:stop_listening()
  actor.scope:cancel(failure.cause("link_lost", actor.ref), actor.grace)
  if actor.context then return actor.context.signal:notify() end
  actor:leave(actor.parent_link, 1)
end

local function take(variable)
  local value = uv.os_getenv(variable)
  if hooks.unsets(variable) then uv.os_unsetenv(variable) end -- [SPAWN-007]
  return value
end

local function unhex(s)
  return (s:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

-- What a signal means to a child [LADDER-003, LADDER-004].
local function handle_signals(actor)
  local terminate, interrupt = uv.new_signal(), uv.new_signal()
  terminate:start("sigterm", task.callback(function()
    if not actor.context then actor:exit(1) end
    actor.context:be_cancelled(failure.cause("shutdown", actor.ref))
    actor.context.signal:notify()
  end))
  interrupt:start("sigint", function() end)
  actor.signals = { terminate, interrupt }
end

-- The id and the name in the value of COPSE_ACTOR, by the grammar of 16.1; nil if it is malformed.
local function identity(who)
  local id, group, name = who:match("^(%x+)(%S*) (.*)$")
  if not id or #id ~= 32 or id:find("%u") or not codec.is_name(name) or not utf8.len(name) then
    return
  end
  if group ~= "" and not group:find("^@%d+:[%x-]+:%d+$") then return end
  return unhex(id), name
end

-- Makes this process the child that its environment says it is; options as for new. Returns the
-- actor, whose life begins when the event loop runs; or nil and why there is none. The process
-- group in COPSE_ACTOR is of no use to this implementation, which makes none.
function M.boot(options)
  local where, who, token = take "COPSE_LINK", take "COPSE_ACTOR", take "COPSE_TOKEN"
  if not where or not who then return nil, "COPSE_LINK and COPSE_ACTOR are not set" end
  options.id, options.name = identity(who)
  if not options.id then return nil, "COPSE_ACTOR is malformed" end
  local actor = M.new(options)
  actor.ready = false
  actor.token = token and unhex(token)
  handle_signals(actor)
  transport.from_environment(where, function(stream, how)
    if not stream then
      io.stderr:write("COPSE_LINK: ", how, "\n")
      os.exit(1)
    end
    actor.parent_link = link.new(actor, stream, {
      role = "connector", token = actor.token,
      heartbeat = how == "dialled" and M.HEARTBEAT or nil,
      on_lost = function() orphaned(actor) end,
    })
  end)
  return actor
end

-- Runs the event loop. Returns when nothing is left to wait for.
function M.run()
  task.drain()
  uv.run("default")
end

return M
