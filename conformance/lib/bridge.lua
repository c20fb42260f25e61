-- SPDX-License-Identifier: MIT
--
-- `copse-tck bridge unix:PATH`: a child process without a will of its own.
--
-- A case that wants to be the child of a testee has it spawn this program. The bridge carries the
-- link that the testee gave it to a socket of the suite, tells what it found in its environment and
-- which signals it gets, and does to itself what the suite says: exit, die, close a descriptor.
-- Bytes and orders share one connection, so that an exit never overtakes the last frame.
--
-- Both ways of that connection carry records: a letter, four bytes of length, big-endian, and so
-- many bytes. To the suite: `i` (the environment, once), `d` (bytes of the link), `z` (the end of
-- its input), `g` (a signal). From the suite: `d` (bytes for the link), `z` (shut the link for
-- writing), `l` (close the link), `e` (write to the standard error output), `x` (exit with this
-- status), `k` (send itself this signal, with its default action).

local uv = require "luv"

local M = {}

function M.record(letter, bytes) return letter .. string.pack(">s4", bytes or "") end

-- A reader of records: feed it bytes, it calls take(letter, bytes) for each.
function M.records(take)
  local rest = ""
  return function(bytes)
    rest = rest .. bytes
    while #rest >= 5 do
      local n = string.unpack(">I4", rest, 2)
      if #rest < 5 + n then return end
      local letter, body = rest:sub(1, 1), rest:sub(6, 5 + n)
      rest = rest:sub(6 + n)
      take(letter, body)
    end
  end
end

local function open(fd)
  local s = uv.new_pipe(false)
  local ok, err = s:open(fd)
  if not ok then error("descriptor " .. fd .. ": " .. err, 0) end
  return s
end

-- The two directions of COPSE_LINK, given to ready(reader, writer).
local function open_link(text, ready)
  local r, w = text:match("^fd:(%d+),(%d+)$")
  if r then return ready(open(tonumber(r)), open(tonumber(w))) end
  local fd = text:match("^fd:(%d+)$")
  if fd then
    local s = open(tonumber(fd))
    return ready(s, s)
  end
  if text == "stdio:" then
    local kind = uv.guess_handle(0)
    local first = open(0)
    if kind == "pipe" and uv.fs_fstat(0).ino == uv.fs_fstat(1).ino then
      return ready(first, first)
    end
    return ready(first, open(1))
  end
  local path = text:match("^unix:(.+)$")
  if path then
    local s = uv.new_pipe(false)
    return s:connect(path, function(err)
      if err then error(path .. ": " .. err, 0) end
      ready(s, s)
    end)
  end
  local host, port = text:match("^tcp:%[?([^%]]-)%]?:(%d+)$")
  if host then
    local s = uv.new_tcp()
    return s:connect(host == "localhost" and "127.0.0.1" or host, tonumber(port), function(err)
      if err then error(text .. ": " .. err, 0) end
      ready(s, s)
    end)
  end
  error("COPSE_LINK is " .. text, 0)
end

-- What the suite is told: the variables, the pid, and what the descriptors are.
local function description()
  local lines = { "pid=" .. uv.os_getpid(), "ppid=" .. uv.os_getppid() }
  for _, name in ipairs { "COPSE_LINK", "COPSE_ACTOR", "COPSE_TOKEN" } do
    local v = os.getenv(name)
    if v then lines[#lines + 1] = name .. "=" .. v end
  end
  for name in pairs(uv.os_environ()) do
    if name:find("^COPSE_") then lines[#lines + 1] = "has=" .. name end
  end
  local dir = uv.fs_scandir("/proc/self/fd")
  while dir do
    local fd = uv.fs_scandir_next(dir)
    if not fd then break end
    lines[#lines + 1] = "fd" .. fd .. "=" .. (uv.fs_readlink("/proc/self/fd/" .. fd) or "?")
  end
  return table.concat(lines, "\n")
end

function M.main(arg)
  local path = (arg[2] or ""):match("^unix:(.+)$")
  if not path then
    io.stderr:write("usage: copse-tck bridge unix:PATH\n")
    return 2
  end
  local info = description()
  local suite = uv.new_pipe(false)
  local reader, writer
  local unwritten, leaving = 0, nil
  local function settle() if leaving and unwritten == 0 then leaving() end end
  local function write(stream, bytes)
    if not stream or stream:is_closing() then return end
    unwritten = unwritten + 1
    stream:write(bytes, function()
      unwritten = unwritten - 1
      settle()
    end)
  end
  local function tell(letter, bytes) write(suite, M.record(letter, bytes)) end
  local function leave(fn)
    leaving = fn
    settle()
  end

  local orders = {}
  function orders.d(bytes) write(writer, bytes) end
  function orders.e(bytes)
    io.stderr:write(bytes)
    io.stderr:flush()
  end
  function orders.x(status) leave(function() os.exit(tonumber(status), false) end) end
  function orders.z()
    leave(function()
      leaving = nil
      if writer == reader then writer:shutdown() else writer:close() end
    end)
  end
  function orders.l()
    leave(function()
      leaving = nil
      if not reader:is_closing() then reader:close() end
      if not writer:is_closing() then writer:close() end
    end)
  end
  local watched = {}
  function orders.k(signal)
    leave(function()
      for _, s in ipairs(watched) do s:stop() end
      uv.kill(uv.os_getpid(), tonumber(signal))
    end)
  end

  for name, number in pairs { sigterm = "15", sigint = "2", sighup = "1" } do
    local s = uv.new_signal()
    s:start(name, function() tell("g", number) end)
    watched[#watched + 1] = s
  end
  suite:connect(path, function(err)
    if err then
      io.stderr:write("copse-tck bridge: " .. path .. ": " .. err .. "\n")
      os.exit(70, false)
    end
    tell("i", info)
    local take = M.records(function(letter, bytes) orders[letter](bytes) end)
    open_link(os.getenv("COPSE_LINK") or "", function(r, w)
      reader, writer = r, w
      reader:read_start(function(e, data)
        if data then tell("d", data) else tell("z", e) end
      end)
      suite:read_start(function(_, data)
        -- Without the suite there is nothing to live for.
        if not data then os.exit(0, false) end
        take(data)
      end)
    end)
  end)
  uv.run()
  return 0
end

return M
