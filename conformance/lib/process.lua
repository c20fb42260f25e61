-- SPDX-License-Identifier: MIT
--
-- The testee as a process: started by the spawn contract, watched, and never left behind.
--
-- Each testee leads a process group of its own and carries a mark in its environment, by which
-- everything that descends from it is found at the end of the case, in whatever group it then is.

local uv = require "luv"
local value = require "value"

local M = {}
local Process = {}
Process.__index = Process

local devnull
local function null_fd()
  devnull = devnull or assert(uv.fs_open("/dev/null", "r+", 0))
  return devnull
end

local function environment(extra)
  local out = {}
  for k, v in pairs(uv.os_environ()) do
    if not k:find("^COPSE_") and extra[k] == nil then out[#out + 1] = k .. "=" .. v end
  end
  for k, v in pairs(extra) do if v then out[#out + 1] = k .. "=" .. v end end
  return out
end

local function pair()
  local fds = assert(uv.socketpair(nil, nil, { nonblock = true }, {}))
  return fds[1], fds[2]
end

local function stream_of(fd)
  local s = uv.new_pipe(false)
  assert(s:open(fd))
  return s
end

-- How the link reaches the child: descriptors for its stdio table, COPSE_LINK, the suite's stream.
local transports = {}

function transports.fd(stdio)
  local mine, theirs = pair()
  stdio[4] = theirs
  return "fd:3", stream_of(mine), { theirs }
end

function transports.high(stdio)
  local mine, theirs = pair()
  for i = 4, 9 do stdio[i] = null_fd() end
  stdio[10] = theirs
  return "fd:9", stream_of(mine), { theirs }
end

function transports.stdio(stdio)
  local mine, theirs = pair()
  stdio[1], stdio[2] = theirs, theirs
  return "stdio:", stream_of(mine), { theirs }
end

-- Two pipes. The suite reads one and writes the other; `duplex` makes one stream of them.
local Duplex = {}
Duplex.__index = Duplex
function Duplex:read_start(f) return self.r:read_start(f) end
function Duplex:read_stop() return self.r:read_stop() end
function Duplex:write(b, f) return self.w:write(b, f) end
function Duplex:shutdown(f)
  if not self.w:is_closing() then self.w:close() end
  if f then f() end
end
function Duplex:is_closing() return self.r:is_closing() end
function Duplex:close()
  self.r:close()
  if not self.w:is_closing() then self.w:close() end
end

local function duplex()
  local down = assert(uv.pipe({ nonblock = false }, { nonblock = true }))
  local up = assert(uv.pipe({ nonblock = true }, { nonblock = false }))
  local s = setmetatable({ r = stream_of(up.read), w = stream_of(down.write) }, Duplex)
  return s, down.read, up.write
end

transports["pair"] = function(stdio)
  local s, r, w = duplex()
  stdio[4], stdio[5] = r, w
  return "fd:3,4", s, { r, w }
end

transports["stdio-pair"] = function(stdio)
  local s, r, w = duplex()
  stdio[1], stdio[2] = r, w
  return "stdio:", s, { r, w }
end

-- Starts the testee. o: transport, link (overrides COPSE_LINK), actor (overrides COPSE_ACTOR), env,
-- name, command. The process has `stream` (nil where the child is to dial), `pid`, `id`, `name`.
function M.start(t, o)
  o = o or {}
  local self = setmetatable({
    t = t, id = o.id or uv.random(16), name = o.name or "testee", stderr = "", stdout = "",
    expected = {},
  }, Process)
  local stdio = { null_fd(), null_fd(), null_fd() }
  local errors = assert(uv.pipe({ nonblock = true }, { nonblock = false }))
  local output = assert(uv.pipe({ nonblock = true }, { nonblock = false }))
  stdio[2], stdio[3] = output.write, errors.write
  local link, stream, fds
  if o.link then
    link, fds = o.link, {}
  else
    link, stream, fds = transports[o.transport or "fd"](stdio)
  end
  local env = {
    COPSE_LINK = link, COPSE_ACTOR = o.actor or (value.hex(self.id) .. " " .. self.name),
    TCK_CASE = t.mark,
  }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local command = o.command or t.opts.command
  local args = {}
  for i = 2, #command do args[#args + 1] = command[i] end
  local handle, pid = uv.spawn(command[1], {
    args = args, stdio = stdio, env = environment(env), detached = true,
  }, function(status, signal) self:on_exit(status, signal) end)
  for _, fd in ipairs(fds) do uv.fs_close(fd) end
  uv.fs_close(errors.write)
  uv.fs_close(output.write)
  self.stream = stream
  self.pipes = { stream_of(errors.read), stream_of(output.read) }
  if not handle then
    for _, p in ipairs(self.pipes) do p:close() end
    if stream then stream:close() end
    error { verdict = "BLOCKED", text = "cannot start " .. command[1] .. ": " .. tostring(pid) }
  end
  self.handle, self.pid = handle, pid
  t.processes[#t.processes + 1] = self
  t:log { link = self.name, dir = "*", text = "started, pid " .. pid }
  self:collect(1, "stderr")
  self:collect(2, "stdout")
  return self
end

function Process:collect(n, field)
  self.pipes[n]:read_start(function(err, data)
    if not data or err then
      self.pipes[n]:close()
      self[field .. "_ended"] = true
      return self.t:poke()
    end
    self[field] = (self[field] .. data):sub(-65536)
    self.t:poke()
  end)
end

function Process:on_exit(status, signal)
  self.exit = { status = status, signal = signal }
  self.t:log { link = self.name, dir = "*",
    text = signal ~= 0 and "killed by signal " .. signal or "exited with status " .. status }
  self.handle:close()
  self.t:poke()
end

-- Signals the process; an end by it is then expected.
function Process:kill(signal)
  if self.exit then return end
  self.expected[signal] = true
  self.t:log { link = self.name, dir = "*", text = "signal " .. signal .. " sent" }
  uv.kill(self.pid, signal)
end

-- Waits for the exit; nil if it does not come in `ms`.
function Process:wait(ms)
  self.t.task:wait(function() return self.exit end, ms)
  return self.exit
end

function Process:alive() return not self.exit end

local numbers = { TERM = 15, KILL = 9, INT = 2, STOP = 19, CONT = 18, HUP = 1, USR1 = 10 }
M.signal = numbers

-- The end by force, of its process group as well. Once the leader has been reaped the system may
-- give the number to somebody else, so then nothing is signalled by it.
function Process:destroy()
  for _, p in ipairs(self.pipes) do if not p:is_closing() then p:close() end end
  if self.exit then return end
  self.expected[9] = true
  uv.kill(-self.pid, 9)
  uv.kill(self.pid, 9)
end

-- What in the output tells of a sanitizer that found something.
function Process:sanitizer()
  for _, p in ipairs { "AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "MemorySanitizer",
    "runtime error:", "ERROR SUMMARY: [1-9]" } do
    -- First the word, then its line: the other way round takes quadratic time on long lines.
    local at = self.stderr:find(p)
    if at then
      local before = self.stderr:sub(1, at - 1):match("[^\n]*$")
      return before .. self.stderr:match("^[^\n]*", at)
    end
  end
end

-- What /proc tells of a process in the file of this name; nil when it tells nothing.
local function read_proc(pid, name)
  local f = io.open("/proc/" .. pid .. "/" .. name, "rb")
  local text = f and f:read("a")
  if f then f:close() end
  return text
end

-- The resident memory of a process in KiB; nil when nothing tells it.
function M.resident(pid)
  return tonumber((read_proc(pid, "status") or ""):match("VmRSS:%s*(%d+) kB"))
end

-- Goes over all processes of the system.
local function pids()
  local dir = uv.fs_scandir("/proc")
  return function()
    local name
    repeat name = dir and uv.fs_scandir_next(dir) until not name or name:find("^%d+$")
    return name and tonumber(name)
  end
end

-- Living processes that bear this mark, whatever their parents and groups: a list of their pids.
-- With `all`, those of every mark that begins with it.
function M.marked(mark, all)
  local wanted = "\0TCK_CASE=" .. mark .. (all and "" or "\0")
  local found = {}
  for pid in pids() do
    local env = read_proc(pid, "environ")
    if env and ("\0" .. env):find(wanted, 1, true) then found[#found + 1] = pid end
  end
  return found
end

-- The mark that a process bears, nil if none.
function M.mark_of(pid)
  local env = read_proc(pid, "environ")
  return env and ("\0" .. env):match("%zTCK_CASE=([^%z]*)")
end

-- Whether a process exists and is no zombie.
function M.running(pid)
  local f = io.open("/proc/" .. pid .. "/stat", "rb")
  if not f then return false end
  local text = f:read("a") or ""
  f:close()
  return not text:match("^%d+ %(.*%) ([ZX])")
end

-- The children of a process, zombies included: a list of their pids; with `state`, only those that
-- are in it ("Z": ended, and not reaped).
function M.children(parent, state)
  local found = {}
  for pid in pids() do
    local now, ppid = (read_proc(pid, "stat") or ""):match("%) (%a) (%d+)")
    if tonumber(ppid) == parent and now == (state or now) then found[#found + 1] = pid end
  end
  return found
end

-- Whether a process is there at all, a zombie included.
function M.exists(pid) return uv.fs_stat("/proc/" .. pid) ~= nil end

M.stream_of, M.pair = stream_of, pair

return M
