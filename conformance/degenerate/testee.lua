-- SPDX-License-Identifier: MIT
--
-- Peers that nobody could take for one, but for a suite that looks the wrong way:
--
--     lua5.4 conformance/degenerate/testee.lua NAME
--
-- Each is never conformant, and has to be found out within seconds.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/../lib/?.lua;" .. here .. "/../?.lua;" .. package.path

local uv = require "luv"
local frame = require "frame"
local value = require "value"

local degenerate = {}

-- The link, for those that do not even use the peer.
local function link()
  local fd = (os.getenv("COPSE_LINK") or ""):match("^fd:(%d+)")
  if not fd then
    io.stderr:write("no COPSE_LINK\n")
    os.exit(1)
  end
  local stream = uv.new_pipe(false)
  assert(stream:open(math.tointeger(tonumber(fd))))
  return stream
end

local function hello()
  local id, name = os.getenv("COPSE_ACTOR"):match("^(%x+)%S* (.*)$")
  id = id:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)
  return frame.pack { kind = "HELLO", payload = value.encode(value.map {
    copse = { 1, 1 }, actor = value.ref(id, name), features = { "stream", "spawn", "registry" },
  }) }
end

-- Calls on_frame(frame, stream) for each frame, and exits at the end of the input.
local function each_frame(stream, on_frame)
  local reader = frame.reader()
  stream:read_start(function(_, bytes)
    if not bytes then os.exit(0, false) end
    for _, f in ipairs(reader:feed(bytes)) do on_frame(f, stream) end
  end)
  uv.run()
end

-- Reads, and never says a word.
function degenerate.silent() each_frame(link(), function() end) end

-- Says HELLO, and then nothing more.
function degenerate.deaf()
  local stream = link()
  stream:write(hello())
  each_frame(stream, function() end)
end

-- Sends back what comes, once its own HELLO is out.
function degenerate.echo()
  local stream = link()
  stream:write(hello())
  each_frame(stream, function(f) stream:write(frame.pack(f)) end)
end

-- Closes its link at once, and lives on.
function degenerate.closes()
  link():close()
  uv.new_timer():start(60000, 0, function() os.exit(0, false) end)
  uv.run()
end

-- Says yes to everything.
degenerate["yes-man"] = function()
  local stream = link()
  stream:write(hello())
  each_frame(stream, function(f)
    if f.name == "OPEN" then
      stream:write(frame.pack { kind = "STARTED", ctx = f.ctx, payload = "\xc0" })
      stream:write(frame.pack { kind = "RETURN", ctx = f.ctx, payload = "\xc3" })
    elseif f.name == "PING" then
      stream:write(frame.pack { kind = "PONG", payload = f.payload })
    end
  end)
end

-- Bytes without any sense.
function degenerate.garbage()
  local stream = link()
  for _ = 1, 64 do stream:write(uv.random(1024)) end
  each_frame(stream, function() end)
end

-- Talks, and does not listen.
function degenerate.chatter()
  local stream = link()
  stream:write(hello())
  local ping = frame.pack { kind = "PING", payload = value.encode("are you there") }
  local function talk() stream:write(ping,
    function(err) if err then os.exit(0) else talk() end end) end
  talk()
  each_frame(stream, function() end)
end

-- Ends before anything has begun.
degenerate["dies-at-start"] = function()
  io.stderr:write("testee: cannot find my configuration\n")
  os.exit(1)
end

-- Dies by a signal before anything has begun.
degenerate["aborts-at-start"] = function()
  uv.kill(uv.os_getpid(), 6)
  uv.run()
end

-- Refuses everybody.
function degenerate.refuses()
  local stream = link()
  stream:write(frame.pack { kind = "BYE", payload = value.encode(value.map { code = "token" }) })
  each_frame(stream, function() end)
end

-- From here on: the peer, and one thing that it does badly.

-- A bad frame, and it is dead.
function degenerate.fragile()
  local hooks = require "peer.hooks"
  function hooks.says_bye(code)
    if code ~= "none" then uv.kill(uv.os_getpid(), 6) end
    return true
  end
end

-- Hangs instead of ending.
degenerate["hangs-at-stop"] = function()
  require "peer.hooks".may_end = function() return false end
end

-- Claims every profile, and has the core alone.
function degenerate.boaster()
  local actor = require "peer.actor"
  local boot = actor.boot
  function actor.boot(options)
    for _, name in ipairs { "source", "sink", "duplex", "spawn", "register" } do
      options.exports["tck." .. name] = nil
    end
    return boot(options)
  end
end

-- A violation does not disturb it: it goes on as if the frame had never come.
function degenerate.tolerant()
  local Link = require "peer.link".Link
  local admit = Link.admit
  function Link:admit(h)
    local ok, answer = pcall(admit, self, h)
    return ok and answer
  end
end

local name = arg[1]
if name == "--list" then
  local names = {}
  for n in pairs(degenerate) do names[#names + 1] = n end
  table.sort(names)
  print(table.concat(names, "\n"))
  os.exit(0)
end
if not degenerate[name] then
  io.stderr:write("usage: testee.lua NAME (or --list)\n")
  os.exit(2)
end
degenerate[name]()
assert(loadfile(here .. "/../peer/testee.lua"))()
