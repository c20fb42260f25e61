-- SPDX-License-Identifier: MIT
--
-- The watch over the parent's link that no handler can delay [SPAWN-023]: a thread with an event
-- loop of its own, asleep until the link hangs up. Then it shuts down the links to this process's
-- own children at once, so that one grace holds for the whole subtree [SPAWN-025], and when the
-- grace has passed it kills this process, should that still be there.

local uv = require "luv"

local M = {}

local Watchdog = {}
Watchdog.__index = Watchdog

-- Runs in the thread. `control` brings "+N\n" and "-N\n", the descriptors of children's links, and
-- its end is the end of the watch.
local function watch(fd, control, pid, grace)
  local loop = require "luv"
  local children, text = {}, ""

  local commands = loop.new_pipe(false)
  commands:open(control)
  commands:read_start(function(_, bytes)
    if not bytes then return loop.stop() end
    text = text .. bytes
    for sign, n in text:gmatch("([+-])(%d+)\n") do
      children[math.tointeger(tonumber(n))] = sign == "+" or nil
    end
    text = text:match("[^\n]*$")
  end)

  local poll = loop.new_poll(fd)
  poll:start("d", function()
    poll:stop()
    for child in pairs(children) do
      local stream = loop.new_pipe(false)
      if stream:open(child) then stream:shutdown() end
    end
    local timer = loop.new_timer()
    timer:start(grace, 0, function() loop.kill(pid, "sigkill") end)
  end)
  -- It stands when the event loop has taken up both descriptors, which the first turn does.
  local idle, check = loop.new_idle(), loop.new_check()
  idle:start(function() end)
  check:start(function()
    idle:close()
    check:close()
    commands:write("up")
  end)
  loop.run("default")
end

-- Starts the watch over the input of `transport`, and returns when it stands.
function M.start(transport, grace)
  local pair = assert(uv.socketpair("stream", nil, {}, { nonblock = true }))
  local thread = uv.new_thread(watch, uv.fileno(transport.input), pair[2],
    math.tointeger(uv.os_getpid()), math.min(grace, 1 << 40))
  uv.fs_read(pair[1], 2, -1)
  local control = uv.new_pipe(false)
  control:open(pair[1])
  return setmetatable({ control = control, thread = thread }, Watchdog)
end

function Watchdog:add(fd) self.control:write(("+%d\n"):format(fd)) end
function Watchdog:remove(fd) self.control:write(("-%d\n"):format(fd)) end

-- Ends the thread: a process that exits beside it would pull the event loop away from under it.
function Watchdog:stop()
  self.control:close()
  uv.run("nowait")
  self.thread:join()
end

return M
