-- SPDX-License-Identifier: MIT
--
-- Streams of bytes under a link: inherited descriptors, pipes, unix sockets, TCP on the loopback
-- interface (4.1, 16.1). A transport reads all the time, says how much it could not yet write, and
-- is closed as 10.4 demands: written out, shut down, read until the end.

local uv = require "luv"
local hooks = require "peer.hooks"
local task = require "peer.task"

local M = {}

local Transport = {}
Transport.__index = Transport
M.Transport = Transport

local CLOSE_BOUND = 1000 -- ms [LINK-016]

-- A write to a link whose peer is gone is an error of that write, and no reason to die.
local pipe_signal = uv.new_signal()
pipe_signal:start("sigpipe", function() end)
pipe_signal:unref()

-- input and output are uv streams, one and the same unless the link is a pair of pipes.
function M.new(input, output)
  return setmetatable({ input = input, output = output or input }, Transport)
end

-- Calls on_bytes(bytes) for what arrives and on_end() once after the last of it.
function Transport:start(on_bytes, on_end)
  self.on_bytes, self.on_end = on_bytes, on_end
  self.input:read_start(task.callback(function(_, bytes)
    if bytes then return self.on_bytes(bytes) end
    self:ended()
  end))
end

function Transport:ended()
  if self.at_end then return end
  self.at_end = true
  self.input:read_stop()
  self.on_end()
end

-- What was written and not yet taken by the system, in bytes.
function Transport:pending() return self.output:get_write_queue_size() end

-- Writes a list of strings. A write that fails is not the end: that comes by reading [LINK-004].
function Transport:write(list, done)
  if self.broken or self.closing then return end
  local _, err = self.output:write(list, task.callback(function(failed)
    if failed then self.broken = true end
    if done then done() end
  end))
  if err then self.broken = true end
end

-- Ends the direction of writing after what was written; reading goes on.
function Transport:shut_down()
  if self.closing or self.broken then return end
  self.broken = true
  if self.output == self.input then self.output:shutdown() else self.output:close() end
end

-- Writes out, shuts down, reads and discards until the end or a second has passed, and releases the
-- descriptors; then calls done().
function Transport:close(done)
  if self.closing then return end
  self.closing = true
  self.on_bytes = function() end
  local stop
  local function release()
    if self.released then return end
    self.released = true
    stop()
    if not self.input:is_closing() then self.input:close() end
    if not self.output:is_closing() then self.output:close() end
    if done then done() end
  end
  self.on_end = release
  stop = task.after(CLOSE_BOUND, release)
  local function shut()
    if self.released then return end
    if self.output ~= self.input and not self.output:is_closing() then self.output:close() end
    if self.at_end or not hooks.drains_at_close() then release() end
  end
  if self.broken or self.output:is_closing() then return shut() end
  local ok = self.output:shutdown(task.callback(shut))
  if not ok then shut() end
end

-- Releases the descriptors at once, of a link that never began.
function Transport:drop()
  self.closing, self.released = true, true
  self.input:close()
  if self.output ~= self.input then self.output:close() end
end

-- --- inherited descriptors -----------------------------------------------------------------------

-- A stream over a descriptor this process was given, moved to a new one that no child inherits; the
-- old one is closed, unless it is one of 0 to 2. The system's way to copy a descriptor from Lua is
-- to send it to oneself.
local function adopt(fd)
  local pair = assert(uv.socketpair("stream", nil, { nonblock = true }, { nonblock = true }))
  local here, there = uv.new_pipe(true), uv.new_pipe(true)
  here:open(pair[1])
  there:open(pair[2])
  local kind = uv.guess_handle(fd)
  local old = kind == "tcp" and uv.new_tcp() or uv.new_pipe(false)
  local ok, err = old:open(fd)
  if not ok then return nil, ("descriptor %d: %s"):format(fd, err) end
  local stream
  there:read_start(function()
    if stream or there:pending_count() == 0 then return end
    stream = there:pending_type() == "tcp" and uv.new_tcp() or uv.new_pipe(false)
    assert(there:accept(stream))
  end)
  assert(here:write2(".", old))
  while not stream do uv.run("once") end
  here:close()
  there:close()
  old:close()
  uv.run("nowait")
  return stream
end

-- Puts an empty input and the standard error output in the places of 0 and 1 [SPAWN-009].
function M.replace_stdio()
  uv.fs_close(0) -- the event loop closes none of the three
  assert(uv.fs_open("/dev/null", "r", 0) == 0)
  uv.fs_close(1)
  assert(uv.fs_open("/proc/self/fd/2", "a", 0) or uv.fs_open("/dev/null", "w", 0))
end

-- --- dialling and listening ----------------------------------------------------------------------

-- Splits an address: "unix", path; "tcp", host, port; or nil for a form that is not known.
function M.parse(address)
  local path = address:match("^unix:(/.+)$")
  if path and #path <= 107 then return "unix", path end
  local host, port = address:match("^tcp:%[([%x:.]+)%]:(%d+)$")
  if not host then host, port = address:match("^tcp:([^:%[%]]+):(%d+)$") end
  port = math.tointeger(tonumber(port))
  if port and port >= 0 and port <= 65535 then return "tcp", host, port end
end

-- Without TLS, TCP ends at the loopback interface [LINK-001].
function M.is_loopback(host)
  return host == "localhost" or host == "::1" or host:match("^127%.%d+%.%d+%.%d+$") ~= nil
end

local function numeric(host) return host == "localhost" and "127.0.0.1" or host end

-- Dials an address; calls done(transport) or done(nil, why).
function M.dial(address, done)
  local form, where, port = M.parse(address)
  if not form then return done(nil, address .. ": an address of a form that is not known") end
  if form == "tcp" and not M.is_loopback(where) then
    return done(nil, address .. ": not on the loopback interface, and TLS is not spoken here")
  end
  local stream = form == "unix" and uv.new_pipe(false) or uv.new_tcp()
  local connected = task.callback(function(err)
    if err then
      stream:close()
      return done(nil, address .. ": " .. err)
    end
    if form == "tcp" then stream:nodelay(true) end
    done(M.new(stream))
  end)
  local ok, err
  if form == "unix" then
    ok, err = stream:connect(where, connected)
  else
    ok, err = stream:connect(numeric(where), port, connected)
  end
  if not ok then
    stream:close()
    done(nil, address .. ": " .. tostring(err))
  end
end

-- Listens at an address; on_link(transport) is called for each that connects. Returns the address
-- as others can dial it and a function that ends it, or nil and why. Port 0 is any. A unix socket
-- is for this user alone [SEC-005]: the system refuses others, since they may not write to it.
function M.listen(address, on_link)
  local form, where, port = M.parse(address)
  if not form then return nil, address .. ": an address of a form that is not known" end
  if form == "tcp" and not M.is_loopback(where) then
    return nil, address .. ": not on the loopback interface, and TLS is not spoken here"
  end
  local server = form == "unix" and uv.new_pipe(false) or uv.new_tcp()
  local ok, err
  if form == "unix" then
    ok, err = server:bind(where)
    if ok then ok, err = uv.fs_chmod(where, 384) end -- 0600
  else
    ok, err = server:bind(numeric(where), port)
  end
  if ok then
    ok, err = server:listen(64, task.callback(function(failed)
      if failed then return end
      local stream = form == "unix" and uv.new_pipe(false) or uv.new_tcp()
      if server:accept(stream) then on_link(M.new(stream)) else stream:close() end
    end))
  end
  if not ok then
    server:close()
    return nil, address .. ": " .. tostring(err)
  end
  if form == "tcp" and port == 0 then
    address = address:gsub("0$", tostring(server:getsockname().port))
  end
  return address, function()
    if not server:is_closing() then server:close() end
  end
end

-- --- COPSE_LINK ----------------------------------------------------------------------------------

-- The link of a child. Calls done(transport, dialled) or done(nil, why).
function M.from_environment(link, done)
  local read, write = link:match("^fd:(%d+),(%d+)$")
  local fd = link:match("^fd:(%d+)$")
  if link == "stdio:" then read, write = "0", "1" end
  if not (read or fd) then
    return M.dial(link, function(stream, err) done(stream, stream and "dialled" or err) end)
  end
  local input, err = adopt(math.tointeger(tonumber(read or fd)))
  if not input then return done(nil, err) end
  local output
  if write then
    output, err = adopt(math.tointeger(tonumber(write)))
    if not output then return done(nil, err) end
  end
  if link == "stdio:" then M.replace_stdio() end
  done(M.new(input, output))
end

return M
