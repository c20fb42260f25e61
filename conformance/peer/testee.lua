-- SPDX-License-Identifier: MIT
--
-- The testee on this peer: the handlers of TESTEE.md and nothing else. It is what an implementer
-- writes to have an implementation judged:
--
--     copse-tck -- lua5.4 conformance/peer/testee.lua

local script = arg and arg[0] or "conformance/peer/testee.lua"
package.path = (script:match("^(.*)/peer/[^/]*$") or ".") .. "/?.lua;" .. package.path

local uv = require "luv"
local actor = require "peer.actor"
local codec = require "peer.codec"
local failure = require "peer.failure"
local registry = require "peer.registry"
local scope = require "peer.scope"
local spawn = require "peer.spawn"
local task = require "peer.task"

local me -- the actor
local log, gates, never = codec.array {}, {}, task.signal()

local function gate(key)
  gates[key] = gates[key] or { signal = task.signal() }
  return gates[key]
end

local function note(name, text) log[#log + 1] = name .. ":" .. text end

-- --- arguments -----------------------------------------------------------------------------------

local is
is = {
  any = function() return true end,
  int = function(v) return math.type(v) == "integer" and v >= 0 end,
  size = function(v) return math.type(v) == "integer" and v >= 8 end,
  str = function(v) return type(v) == "string" end,
  bin = codec.is_bin,
  ref = codec.is_ref,
  map = codec.is_map,
  call = function(v)
    return codec.is_map(v) and type(v.target) == "string"
      and (v.args == nil or codec.is_map(v.args) or codec.is_array(v.args))
  end,
  args = function(v) return codec.is_map(v) or codec.is_array(v) end,
  window = function(v)
    return codec.is_array(v) and #v == 2 and math.type(v[1]) == "integer"
      and math.type(v[2]) == "integer" and v[1] >= 0 and v[2] >= 0
  end,
  argv = function(v)
    for _, s in ipairs(codec.is_array(v) and v or {}) do
      if type(s) ~= "string" then return false end
    end
    return codec.is_array(v) and #v > 0
  end,
  calls = function(v)
    for _, c in ipairs(codec.is_array(v) and v or {}) do
      if not is.call(c) then return false end
    end
    return codec.is_array(v)
  end,
  ["then"] = function(v) return v == "return" or v == "fail" or v == "cancel" end,
  how = function(v)
    return v == "exit" or v == "signal" or v == "close" or v == "hang" or v == "spin"
  end,
}

-- The arguments by name, from a map or by position. fields: {name, type, default}; a default of nil
-- makes the argument optional, REQUIRED does not.
local REQUIRED = {}

local function arguments(args, fields)
  local result = {}
  for i, field in ipairs(fields) do
    local name, kind, default = table.unpack(field, 1, 3)
    local v
    if codec.is_array(args) then v = args[i] else v = args[name] end
    if v == nil and default == REQUIRED or v ~= nil and not is[kind](v) then
      failure.raise("bad_args", "%s: %s is wanted", name, kind)
    end
    if v == nil and default ~= REQUIRED then v = default end
    result[name] = v
  end
  return result
end

local function call(link, c, options)
  return link:open(task.scope(), c.target, c.args or codec.map {}, options)
end

-- --- handlers: {fields, function(ctx, arguments)} ------------------------------------------------

local handlers = {}

handlers.echo = { { { "v", "any", codec.null } }, function(_, a) return a.v end }

handlers.fail = { {
  { "code", "str", "failed" }, { "message", "str", "" }, { "data", "any" }, { "items", "int", 0 },
}, function(ctx, a)
  if a.items > 0 then
    ctx:started()
    for i = 0, a.items - 1 do
      if not ctx:send(i) then break end
    end
    ctx:flush()
  end
  error(failure.new { code = a.code, message = a.message, data = a.data }, 0)
end }

handlers.source = { { { "count", "int", math.huge }, { "size", "size" } }, function(ctx, a)
  ctx:started()
  local n = 0
  while n < a.count do
    local item = n
    if a.size then item = codec.bin(string.pack(">I8", n) .. ("\0"):rep(a.size - 8)) end
    if not ctx:send(item) then break end
    n = n + 1
  end
  ctx:finish()
  return n
end }

local DEFAULT_WINDOW = { 16, 65536 }

handlers.sink = { {
  { "window", "window", DEFAULT_WINDOW }, { "hold", "str" }, { "stop_after", "int" },
  { "linger", "str" },
}, function(ctx, a)
  ctx:open_window(a.window[1], a.window[2])
  ctx:started()
  if a.hold then
    local g = gate(a.hold)
    task.wait(g.signal, function() return g.open end)
  end
  local count, sum, bytes, ended = 0, 0, 0, false
  while count ~= a.stop_after do
    local item = ctx:receive()
    if item == nil then
      ended = true
      break
    end
    count = count + 1
    if math.type(item) == "integer" then sum = sum + item end
    if codec.is_bin(item) then bytes = bytes + #item.bytes end
  end
  if not ended then
    ctx:stop()
    if a.linger then
      local g = gate(a.linger)
      task.wait(g.signal, function() return g.open end)
    end
  end
  return codec.map { count = count, sum = sum, bytes = bytes, ended = ended }
end }

handlers.duplex = { { { "window", "window", DEFAULT_WINDOW } }, function(ctx, a)
  ctx:open_window(a.window[1], a.window[2])
  ctx:started()
  local count = 0
  for item in ctx.receive, ctx do
    count = count + 1
    ctx:send(item)
  end
  ctx:finish()
  return count
end }

handlers.drain = { {
  { "target", "str", REQUIRED }, { "args", "args" }, { "window", "window", DEFAULT_WINDOW },
}, function(ctx, a)
  local below = call(ctx.link, a, { window = a.window })
  local count, sum = 0, 0
  for item in below.receive, below do
    count = count + 1
    if math.type(item) == "integer" then sum = sum + item end
  end
  return codec.map { count = count, sum = sum, value = below:result() }
end }

handlers.gate = { { { "key", "str", REQUIRED }, { "value", "any" } }, function(ctx, a)
  local g = gate(a.key)
  ctx:started()
  task.wait(g.signal, function() return g.open end)
  return a.value
end }

handlers.open_gate = { { { "key", "str", REQUIRED } }, function(_, a)
  local g = gate(a.key)
  local first = not g.open
  g.open = true
  g.signal:notify()
  return first
end }

handlers.stubborn = { {
  { "key", "str", REQUIRED }, { "value", "any" }, { "then", "then", "return" },
}, function(ctx, a)
  local g, after = gate(a.key), a["then"]
  ctx:started()
  task.await(g.signal, function() return g.open end) -- defies every cancellation
  if after == "fail" then failure.raise("failed", "stubborn") end
  if after == "cancel" then task.check() end
  return a.value
end }

handlers.cleanup = { {
  { "name", "str", REQUIRED }, { "key", "str" }, { "shield", "int", 5000 }, { "waits", "int", 0 },
  { "call", "call" }, { "error", "str" },
}, function(ctx, a)
  local function wait_for_ever() task.wait(never, function() return false end) end
  ctx:started()
  local _, cause = pcall(wait_for_ever)
  note(a.name, "begin")
  local failed = 0
  for _ = 1, a.waits do
    if not pcall(wait_for_ever) then failed = failed + 1 end
  end
  if a.waits > 0 then note(a.name, "failed=" .. failed) end
  local done = scope.shielded(a.shield, function()
    if a.key then
      local g = gate(a.key)
      task.wait(g.signal, function() return g.open end)
    end
    if a.call then call(ctx.link, a.call):result() end
  end)
  note(a.name, done and "end" or "timeout")
  if a.error then failure.raise(a.error, "the clean-up of %s failed", a.name) end
  error(cause, 0)
end }

handlers.relay = { {
  { "target", "str", REQUIRED }, { "args", "args" }, { "deadline", "int" },
}, function(ctx, a)
  local below = call(ctx.link, a, { deadline = a.deadline })
  local value = below:started()
  if value ~= nil then ctx:started(value) end
  return below:result()
end }

handlers.nursery = { { { "open", "calls", REQUIRED } }, function(ctx, a)
  local values = codec.array {}
  scope.run(function(s)
    for i, c in ipairs(a.open) do
      local below = call(ctx.link, c)
      values[i] = codec.null
      s:start(function() values[i] = below:result() end)
    end
    ctx:started()
  end)
  return values
end }

handlers.spawn = { {
  { "argv", "argv", codec.array { uv.exepath(), script, table.unpack(arg) } },
  { "name", "str", "sub" },
  { "grace", "int", 1000 }, { "config", "map" }, { "call", "call" }, { "boot", "int", 30000 },
}, function(ctx, a)
  return scope.run(function(s)
    local child = spawn.spawn(s, a)
    child:ready()
    ctx:started(codec.map { pid = child.pid, actor = child.ref })
    local value
    if a.call then value = call(child.link, a.call):result() else ctx:until_end() end
    child:finish()
    child:wait()
    return value
  end)
end }

handlers.crash = { {
  { "how", "how", REQUIRED }, { "status", "int", 3 }, { "signal", "int", 9 },
  { "stderr", "str", "" },
}, function(ctx, a)
  local hows = {
    exit = function() me:exit(a.status) end,
    signal = function()
      for _, handle in ipairs(me.signals) do handle:close() end
      uv.kill(math.tointeger(uv.os_getpid()), a.signal)
    end,
    close = function()
      for _, handle in ipairs(me.signals) do handle:close() end
      ctx.link.transport.input:close()
      if not ctx.link.transport.output:is_closing() then ctx.link.transport.output:close() end
      ctx.link.transport.broken = true
      uv.new_timer():start(1 << 40, 0, function() end) -- something to live for
    end,
    hang = function() uv.sleep(1 << 30) end,
    spin = function() while true do end end,
  }
  io.stderr:write(a.stderr)
  ctx:flush()
  hows[a.how]()
  task.wait(never, function() return false end)
end }

handlers.register = { { { "name", "str", REQUIRED } }, function(ctx, a)
  local function over() ctx:release() end
  local registration = registry.register(task.scope(), ctx.link, a.name, over)
  ctx:started()
  ctx:until_end()
  return registration:result()
end }

handlers.dial = { {
  { "ref", "ref", REQUIRED }, { "target", "str", REQUIRED }, { "args", "args" }, { "token", "bin" },
}, function(ctx, a)
  local link = ctx.link.actor:dial(a.ref, a.token and a.token.bytes)
  local _ <close> = setmetatable({}, { __close = function() link:say_bye() end })
  return call(link, a):result()
end }

handlers.stat = { {}, function(ctx)
  local inbound, outbound = 0, 0
  for _, other in pairs(ctx.link.contexts) do
    if other.role == "opener" then outbound = outbound + 1
    elseif other ~= ctx and other ~= me.context then inbound = inbound + 1 end
  end
  local children, fds = codec.array {}, 0
  for child in pairs(me.children) do children[#children + 1] = child.pid end
  for _ in uv.fs_scandir_next, (uv.fs_scandir("/proc/self/fd")) do fds = fds + 1 end
  return codec.map {
    pid = math.tointeger(uv.os_getpid()), actor = me.ref, inbound = inbound, outbound = outbound,
    running = me.running - 1, ran = me.ran, cancelled = me.cancelled, log = log,
    children = children, fds = fds, rss = uv.resident_set_memory() // 1024,
  }
end }

local exports = {}
for name, handler in pairs(handlers) do
  exports["tck." .. name] = function(ctx, args)
    local a = arguments(args, handler[1])
    if codec.is_map(args) and args.started ~= nil then
      ctx:started(args.started)
      ctx.started = function() end
    end
    return handler[2](ctx, a)
  end
end

local why
me, why = actor.boot { exports = exports }
if not me then
  io.stderr:write(script, ": ", why, "; it is started as an actor's child\n")
  os.exit(1)
end
actor.run()
