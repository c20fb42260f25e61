-- SPDX-License-Identifier: MIT
--
-- The parent's half of the spawn contract (chapter 16): start a command with a link, hold
-- copse.actor open on it, end it by the ladder when it must end, and say once and truly how it
-- ended.
--
-- A child is a member of the scope it was spawned in, so that scope ends after the child is reaped.

local uv = require "luv"
local codec = require "peer.codec"
local failure = require "peer.failure"
local hooks = require "peer.hooks"
local link = require "peer.link"
local task = require "peer.task"
local transport = require "peer.transport"

local M = {}

M.BOOT = 30000 -- ms until STARTED [SPAWN-011]
M.TERM = 500 -- ms after SIGTERM
local DRAIN = 1000 -- ms to read what an ended child left behind
M.STDERR = 200 -- ms to read its standard error output after the reap [SPAWN-019]
local TAIL = 4096 -- bytes of that which a report quotes

local Child = {}
Child.__index = Child
M.Child = Child

local births = 0 -- in this process, so far

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- --- starting ------------------------------------------------------------------------------------

-- How the child gets its link: each returns the value of COPSE_LINK, the descriptors for its stdio
-- and what to close here after the start; `attach(child)` makes the link.
local ways = {}

function ways.fd(child)
  local pair = assert(uv.socketpair("stream", nil, { nonblock = true }, {}))
  local mine = uv.new_pipe(false)
  mine:open(pair[1])
  child:attach(transport.new(mine))
  return "fd:3", { nil, 1, nil, pair[2] }, { pair[2] }
end

function ways.pipes(child)
  local up = assert(uv.pipe({ nonblock = true }, {}))
  local down = assert(uv.pipe({}, { nonblock = true }))
  local input, output = uv.new_pipe(false), uv.new_pipe(false)
  input:open(up.read)
  output:open(down.write)
  child:attach(transport.new(input, output))
  return "fd:3,4", { nil, 1, nil, down.read, up.write }, { down.read, up.write }
end

function ways.stdio(child)
  local _, fds, close = ways.pipes(child)
  return "stdio:", { fds[4], fds[5] }, close
end

-- The child dials: a listener for one link, with a token that is good for one [SPAWN-003].
local function dialled(child, address, cleanup)
  child.token = uv.random(16)
  local at, stop
  at, stop = transport.listen(address, function(stream)
    child:attach(stream)
  end)
  if not at then failure.raise("spawn_failed", "%s", stop) end
  child.stop_listening = function()
    stop()
    if cleanup then cleanup() end
  end
  return at, { nil, 1 }, {}
end

function ways.unix(child)
  local dir = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/copse-peer-XXXXXX"))
  return dialled(child, "unix:" .. dir .. "/link", function()
    uv.fs_unlink(dir .. "/link")
    uv.fs_rmdir(dir)
  end)
end

function ways.tcp(child) return dialled(child, "tcp:127.0.0.1:0") end

local function environment(child, where)
  local env = {}
  for k, v in pairs(uv.os_environ()) do
    if not k:find("^COPSE_") then env[#env + 1] = k .. "=" .. v end
  end
  env[#env + 1] = "COPSE_LINK=" .. where
  env[#env + 1] = "COPSE_ACTOR=" .. hex(child.ref.id) .. " " .. child.ref.name
  if child.token then env[#env + 1] = "COPSE_TOKEN=" .. hex(child.token) end
  return hooks.environment(env)
end

-- Spawns a child in scope `s`. options: argv, name, link ("fd", "pipes", "stdio", "unix", "tcp"),
-- grace and boot in ms, config, listen, registrar, on_exit(child). Raises spawn_failed. The child
-- is ready when `ready` returns.
function M.spawn(s, options)
  task.check()
  local actor = s.actor
  local child = setmetatable({
    scope = s, actor = actor, options = options,
    ref = codec.ref(uv.random(16), options.name),
    grace = options.grace or math.floor(hooks.grace_below(actor.grace)),
    tail = "",
    changed = task.signal(),
  }, Child)
  local where, fds, close = ways[options.link or "fd"](child)
  local errors = uv.new_pipe(false)
  local pair = assert(uv.pipe({ nonblock = true }, {}))
  errors:open(pair.read)
  fds[3] = pair.write
  close[#close + 1] = pair.write
  local handle, pid = M.start_process(options.argv, fds, environment(child, where),
    task.callback(function(status, signal) child:exited(status, signal) end))
  for _, fd in ipairs(close) do uv.fs_close(fd) end
  child.errors, child.handle, child.pid = errors, handle, pid
  if not handle then
    errors:close()
    child:unlisten()
    if child.link then child.link:shut() end
    failure.raise("spawn_failed", "%s: %s", options.argv[1], pid)
  end
  child:read_errors()
  child:watch_boot()
  births = births + 1
  child.serial = births
  actor.children[child] = true
  s:add(child)
  return child
end

-- A list with holes, of which the event loop wants to see the end.
local function slots(fds, i, last)
  if i <= last then return fds[i], slots(fds, i + 1, last) end
end

function M.start_process(argv, fds, env, on_exit)
  local last = 0
  for i in pairs(fds) do last = math.max(last, i) end
  return uv.spawn(argv[1], {
    args = { table.unpack(argv, 2) }, stdio = { slots(fds, 1, last) }, env = env,
  }, on_exit)
end

-- Makes the link once there is a stream for it.
function Child:attach(stream)
  self.link = link.new(self.actor, stream, {
    role = "acceptor", child = self, expect = self.ref.id, token = self.token,
    waits = self.token ~= nil,
    heartbeat = self.token and 5000 or nil,
    used_token = function() self:unlisten() end,
    on_open = function() self:open_actor() end,
    on_lost = function(_, err) self:lost(err) end,
  })
end

function Child:unlisten()
  if self.stop_listening then self.stop_listening() end
  self.stop_listening = nil
end

-- The first context on the link [ACTOR-001].
function Child:open_actor()
  if self.climbing or self.context then return end
  local actor, options = self.actor, self.options
  local registrar = codec.array(options.registrar or actor.registrar or {})
  local ok, ctx = pcall(self.link.open_now, self.link, self.scope, "copse.actor", codec.map {
    parent = actor.ref,
    registrar = #registrar > 0 and registrar or nil,
    listen = options.listen and codec.array(options.listen),
    grace = self.grace,
    log = actor.log_level,
    config = options.config,
  }, { send = true })
  if not ok then return self:climb("SIGTERM") end
  self.context = ctx
  ctx.on_terminal = function() self:ended() end
  if actor.watchdog then
    self.fd = uv.fileno(self.link.transport.output)
    actor.watchdog:add(self.fd)
  end
  self.changed:notify()
end

function Child:watch_boot()
  self.stop_boot = task.after(self.options.boot or M.BOOT, function()
    if self.context and self.context.life ~= "waiting" then return end
    self.report = failure.new {
      code = "boot_timeout",
      message = ("%s did not boot in time%s"):format(self.ref.name, self:said()),
      actor = codec.bare(self.ref),
    }
    self:climb("SIGTERM")
  end)
end

-- What was said in place of HELLO [SPAWN-012].
function Child:said()
  local began = self.link and not self.link.peer and self.link.began
  local function escape(c) return ("\\x%02x"):format(c:byte()) end
  return began and ': it said "' .. began:gsub("[^ -~]", escape) .. '"' or ""
end

-- Its standard error output passes through to ours; the end of it is kept.
function Child:read_errors()
  self.errors:read_start(task.callback(function(_, bytes)
    if not bytes then
      self.errors_end = true
      return self.changed:notify()
    end
    io.stderr:write(bytes)
    self.tail = (self.tail .. bytes):sub(-TAIL)
  end))
end

-- --- using it ------------------------------------------------------------------------------------

-- Waits until the child has sent STARTED; raises what came instead.
function Child:ready()
  task.wait(self.changed, function() return self.context or self.gone end)
  if not self.context then error(self.report, 0) end
  local started = self.context:started()
  self.stop_boot()
  return started
end

-- END: finish your work. Waits for nothing.
function Child:finish() if self.context then self.context:finish() end end

-- Waits until the child is reaped and its end is told.
function Child:wait() task.wait(self.changed, function() return self.gone end) end

-- --- ending it -----------------------------------------------------------------------------------

-- The scope is cancelled. CANCEL on copse.actor is the scope's own doing, that context being one of
-- its members; here the ladder goes on from there.
function Child:cancel(cause)
  if cause.origin == "link_lost" and self.link then self.link:hang_up() end -- [SPAWN-025]
  self:climb(self.context and self.link.state ~= "closed" and "CANCEL" or "SIGTERM")
end

function Child:shorten()
  if self.rung == "CANCEL" then self:set_rung("CANCEL") end
end

-- How long each rung may last, within this actor's own grace [CANCEL-017].
function Child:patience(rung)
  local left = self.scope:grace_left()
  if rung == "CANCEL" then
    return math.min(self.grace, left and math.floor(hooks.grace_below(left)) or self.grace)
  end
  return math.min(M.TERM, left and math.floor(left / 2) or M.TERM)
end

function Child:set_rung(rung)
  self.rung = rung
  if self.stop_rung then self.stop_rung() end
  local up = rung == "CANCEL" and "SIGTERM" or "SIGKILL"
  self.stop_rung = task.after(self:patience(rung), function() self:climb(up) end)
end

local HEIGHT = { CANCEL = 1, SIGTERM = 2, SIGKILL = 3 }

function Child:climb(rung)
  if self.exit or HEIGHT[rung] <= (self.rung and HEIGHT[self.rung] or 0) then return end
  self.climbing = true
  if rung ~= "CANCEL" and hooks.climbs(rung) then
    self.ladder = rung
    self.handle:kill(rung:lower())
  end
  if rung ~= "SIGKILL" then return self:set_rung(rung) end
  self.rung = rung
end

-- The terminal of copse.actor has arrived: OPENs that crossed it end here [ACTOR-017].
function Child:ended()
  self.terminal = self.context.terminal
  self.stop_boot()
  self.link:end_openers(failure.new {
    code = "closing", message = self.ref.name .. " has ended", actor = self.actor:name_only(),
  })
  self:expect_exit()
end

-- The link is lost, or the terminal is there: it has to exit within the grace [SPAWN-022].
function Child:expect_exit()
  self.stop_expecting = self.stop_expecting or task.after(self.grace, function()
    self:climb("SIGTERM")
  end)
end

function Child:lost(err)
  if err and err.code == "wrong_actor" then self.report = self.report or err end -- [HELLO-008]
  self:expect_exit()
  if self.exit then self:settle() end
end

-- --- how it ended --------------------------------------------------------------------------------

-- The process is reaped. What it wrote is read to its end before that is judged [SPAWN-015].
function Child:exited(status, signal)
  self.exit = { status = status, signal = signal }
  self.handle:close()
  self:unlisten()
  for _, stop in ipairs { "stop_boot", "stop_rung", "stop_expecting" } do
    if self[stop] then self[stop]() end
  end
  if not self.link or self.link.state == "closed" then return self:settle() end
  self.stop_drain = task.after(DRAIN, function() self.link:at_end() end)
end

local NAMES = { [6] = "SIGABRT", [9] = "SIGKILL", [11] = "SIGSEGV", [15] = "SIGTERM" }

-- The error that the end of the child is, or nil.
function Child:verdict()
  if self.report then return self.report end
  local exit = self.exit
  local expected = self.terminal and (self.terminal == "ERROR" and 1 or 0)
  if exit.signal == 0 and exit.status == expected then return nil end
  local data, how = codec.map {}, "status " .. exit.status
  if exit.signal ~= 0 then
    data.signal, how = exit.signal, NAMES[exit.signal] or "signal " .. exit.signal
    if NAMES[exit.signal] == self.ladder then data.ladder = self.ladder end
  else
    data.status = exit.status
  end
  if self.tail ~= "" then
    data.stderr = utf8.len(self.tail) and self.tail or self.tail:gsub("[\128-\255]", "?")
  end
  return failure.new {
    code = "died", message = ("%s ended with %s%s"):format(self.ref.name, how, self:said()),
    actor = codec.bare(self.ref), data = data,
  }
end

function Child:settle()
  if self.settling then return end
  self.settling = true
  if self.stop_drain then self.stop_drain() end
  task.start(self.actor.base, function()
    local stop = task.after(M.STDERR, function()
      self.errors_end = true
      self.changed:notify()
    end)
    task.await(self.changed, function() return self.errors_end end)
    stop()
    self.errors:close()
    self:tell(hooks.reports_died(self:verdict()))
  end)
end

-- One and the same error for all contexts on the link, and once for the scope [SPAWN-020].
function Child:tell(err)
  local actor = self.actor
  if actor.watchdog and self.fd then actor.watchdog:remove(self.fd) end
  actor.children[self] = nil
  self.gone, self.report = true, err or self.report
  if self.link then
    self.link:end_openers(err or failure.new {
      code = "closing", message = self.ref.name .. " has ended", actor = actor:name_only(),
    })
  end
  if err and not (self.context and self.context.error == err) then self.scope:fail(err) end
  self.changed:notify()
  self.scope:remove(self)
end

return M
