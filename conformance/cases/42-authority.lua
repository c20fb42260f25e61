-- SPDX-License-Identifier: MIT
--
-- Authority: who may connect to a listener of the testee, whom the testee connects to, and that
-- what a peer may do follows from its link, never from what it claims.
local case = ...
local Link = require "link"
local bridge = require "bridge"
local child = require "child"
local frame = require "frame"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

-- Who may connect ---------------------------------------------------------------------------------

local function free_port()
  local s = uv.new_tcp()
  s:bind("127.0.0.1", 0)
  local port = s:getsockname().port
  s:close()
  return port
end

-- The testee as a child that dials its parent with a token.
local function dialling(t, token)
  local stream
  local path = t:path("d")
  t:listen(path, function(s)
    stream = s
    t:poke()
  end)
  local _, process = t:spawn { link = "unix:" .. path, env = { COPSE_TOKEN = token } }
  t:await(function() return stream end, "a connection of the testee", "SPAWN-002")
  local link = Link.new(t, { name = "testee", connector = false, stream = stream })
  link.process, process.link = process, link
  return link
end

-- Boots the testee with this listener, and with a token if one is given; nil where it says that it
-- cannot.
local function listening(t, address, token)
  local link = token and dialling(t, token) or t:spawn()
  t:handshake(link)
  link.actor = link:open("copse.actor", t:actor_args { listen = value.array { address } },
    { send = true })
  local f = link.actor:expect({ "STARTED", "ERROR" }, "ACTOR-005")
  if f.name == "ERROR" then
    t:check("ACTOR-006", f.value.code == "bad_args", "ERROR `bad_args`", frame.show(f))
    link.loose = true
    return nil
  end
  return link
end
local function connect(t, port)
  local s = uv.new_tcp()
  local ok
  s:connect("127.0.0.1", port, function(err)
    ok = err or true
    t:poke()
  end)
  t:await(function() return ok end, "a connection", "SEC-004")
  local d = Link.new(t, { name = "tcp", connector = true, stream = s })
  d.loose = true
  return d
end

for _, b in ipairs {
  { "loopback", "127.0.0.1", "SEC-004",
    "A TCP listener on the loopback interface demands a token, too" },
  { "any", "0.0.0.0", "LINK-001",
    "A TCP listener beyond the loopback interface speaks no word in the clear" },
  { "with-a-token", "127.0.0.1", "HELLO-009",
    "A TCP listener of an actor that was given a token demands one of those who connect",
    ("a5"):rep(16) },
} do
  case {
    id = "listener.tcp." .. b[1], req = { b[3], "HELLO-009" }, title = b[4],
    why = "Every user of the host can connect to a port.",
    run = function(t)
      local port = free_port()
      local link = listening(t, "tcp:" .. b[2] .. ":" .. port, b[5])
      if not link then return t:pass(b[3]) end
      for _, token in ipairs { false, "x", ("t"):rep(16), ("\0"):rep(1024) } do
        local d = connect(t, port)
        d:hello { actor = value.ref(uv.random(16), "stranger", {}),
          token = token and value.bin(token) }
        local function over() return d.eof or d.hello_received or d:first_bye() end
        t:await(over, "BYE `token`", b[3])
        t:check(b[3], not d.hello_received, "no HELLO", "HELLO")
        if b[3] == "LINK-001" then
          t:check("LINK-001", not d:first_bye(), "no frame in the clear", "BYE")
        end
        if b[3] ~= "LINK-001" then
          local f = d:first_bye()
          t:check("HELLO-009", f and f.value.code == "token", "BYE `token`",
            f and frame.show(f) or "none")
        end
        d:close()
      end
      t:alive(link)
    end,
  }
end

case {
  id = "listener.dial.in-the-clear", req = "LINK-001",
  title = "An address beyond the loopback interface is not spoken to in the clear",
  why = "What leaves the host, or may, is for TLS.",
  run = function(t)
    local address
    for _, list in pairs(uv.interface_addresses()) do
      for _, a in ipairs(type(list) == "table" and (list[1] and list or { list }) or {}) do
        if not a.internal and a.family == "inet" then address = a.ip end
      end
    end
    if not address then t:unsupported("this host has the loopback interface only") end
    local server, heard = uv.new_tcp(), ""
    server:bind(address, 0)
    server:listen(4, function()
      local s = uv.new_tcp()
      server:accept(s)
      t.cleanup[#t.cleanup + 1] = function() s:close() end
      s:read_start(function(_, data)
        heard = heard .. (data or "")
        t:poke()
      end)
    end)
    t.cleanup[#t.cleanup + 1] = function() server:close() end
    local p = t:boot()
    local where = "tcp:" .. address .. ":" .. server:getsockname().port
    local c = p:open("tck.dial", map { ref = value.ref(uv.random(16), "there", { where }),
      target = "x.there" })
    t:await(function() return #heard >= 12 or #p.inbox > 0 end, "an error, or TLS", "LINK-001")
    local f = #heard >= 12 and frame.reader():feed(heard)[1]
    t:check("LINK-001", not f or f.name ~= "HELLO", "no HELLO in the clear",
      f and frame.show(f) or "")
    if #p.inbox == 0 then
      c:cancel()
      return c:expect({ "ERROR", "CANCELLED" }, "LINK-001")
    end
    f = c:expect("ERROR", "LINK-001")
    if f.value.code == "no_target" then t:unsupported("tck.dial is not there") end
  end,
}

case {
  id = "listener.unix.other-user", req = "SEC-005",
  title = "A listener on a unix socket refuses a peer of another uid",
  why = "What a peer may open follows from the link, and the link is the user's.",
  run = function(t)
    if uv.getuid() ~= 0 then t:unsupported("only root can be somebody else") end
    local parent = t:boot { listen = true }
    local mine = t:path("b")
    local seen, pipe = { d = "", z = false }, nil
    t:listen(mine, function(s)
      pipe = s
      s:read_start((function()
        local take = bridge.records(function(letter, bytes)
          if letter == "d" then seen.d = seen.d .. bytes else seen[letter] = bytes end
          t:poke()
        end)
        return function(_, data)
          if data then return take(data) end
          seen.z = true
          t:poke()
        end
      end)())
    end)
    local theirs = parent.listening[1]:match("^unix:(.*)$")
    for _, path in ipairs { t.dir, t.made } do uv.fs_chmod(path, tonumber("711", 8)) end
    -- The testee's own socket stays as it made it: its mode is a way to refuse.
    uv.fs_chmod(mine, tonumber("777", 8))
    local exit
    local handle = uv.spawn(t.opts.exe, {
      args = { t.opts.script, "bridge", "unix:" .. mine }, env = { "COPSE_LINK=unix:" .. theirs },
      uid = 65534, gid = 65534, stdio = {},
    }, function(status)
      exit = status
      t:poke()
    end)
    if not handle then t:unsupported("no process of another user can be started here") end
    t.cleanup[#t.cleanup + 1] = function()
      if not exit then handle:kill(9) end
      if pipe and not pipe:is_closing() then pipe:close() end
    end
    t:await(function() return seen.i or exit end, "a process of another user", "SEC-005")
    if not pipe then t:quiet(function() return pipe end) end
    if not pipe then t:unsupported("another user cannot run the suite here") end
    pipe:write(bridge.record("d", frame.pack { kind = "HELLO", payload = value.encode(map {
      copse = value.array { 1, 1 }, actor = value.ref(uv.random(16), "stranger", {}) }) }))
    t:await(function() return seen.z or exit or #seen.d >= 12 end, "the end of the link, or BYE",
      "SEC-005")
    local f = frame.reader():feed(seen.d)[1]
    t:check("SEC-005", not f or f.name == "BYE", "no HELLO for a stranger",
      f and frame.show(f) or "")
    t:alive(t:dial(parent))
  end,
}

-- What a peer may do ------------------------------------------------------------------------------

case {
  id = "abuse.claimed-identity", req = { "SEC-001", "SEC-002", "ACTOR-004" },
  title = "A stranger that bears the parent's id may open what a stranger may, and not copse.actor",
  why = "What a peer may follows from the link, never from a reference that it claims.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = { actor = t.actor } })
    d:open("copse.actor", t:actor_args(), { send = true }):errors("denied", "SEC-002")
    d:open("tck.echo", map { v = 1 }):returns(1, "SEC-001")
    t:alive(parent)
  end,
}
case {
  id = "abuse.dial.far", req = "SEC-003",
  title = "A reference to another host is not dialled: the policy of the testee allows the loopback"
    .. " interface only",
  why = "Otherwise whoever passes references on makes an actor connect wherever they want.",
  run = function(t)
    local p = t:boot()
    for _, address in ipairs { "tcp:192.0.2.1:9", "tcp:[2001:db8::1]:9" } do
      local c = p:open("tck.dial", map { ref = value.ref(("f"):rep(16), "far", { address }),
        target = "x.there" })
      local f = c:expect("ERROR", "SEC-003")
      if f.value.code == "no_target" then t:unsupported("tck.dial is not there") end
      t:check("SEC-003", f.value.code ~= "link_lost", "an error without a connection", f.value.code)
    end
  end,
}
case {
  id = "abuse.dial.near", req = "SEC-003",
  title = "An address that is not of the loopback interface is not dialled, though somebody "
    .. "listens",
  why = "A policy that is not asked shows only where the connection would succeed.",
  run = function(t)
    local server, connections = uv.new_tcp(), 0
    t.cleanup[#t.cleanup + 1] = function() server:close() end
    server:bind("0.0.0.0", 0)
    server:listen(4, function()
      local s = uv.new_tcp()
      server:accept(s)
      t.cleanup[#t.cleanup + 1] = function() s:close() end
      connections = connections + 1
      t:poke()
    end)
    local p = t:boot()
    local where = "tcp:0.0.0.0:" .. server:getsockname().port
    local c = p:open("tck.dial", map { ref = value.ref(("n"):rep(16), "near", { where }),
      target = "x.there" })
    t:await(function() return connections > 0 or #p.inbox > 0 end, "an error", "SEC-003")
    p:barrier()
    t:check("SEC-003", connections == 0, "no connection", "a connection")
    local f = c:expect("ERROR", "SEC-003")
    if f.value.code == "no_target" then t:unsupported("tck.dial is not there") end
  end,
}
case {
  id = "abuse.pid", req = "SEC-008", profile = "spawn", processes = true,
  title = "A process id that a child sends is not signalled when the child has to go",
  why = "It may be anybody's.",
  run = function(t)
    local p = t:boot()
    local gone
    local decoy, pid = uv.spawn("/bin/sh", { args = { "-c", "exec sleep 600" }, detached = true },
      function() gone = true end)
    if not decoy then t:unsupported("no /bin/sh") end
    t.cleanup[#t.cleanup + 1] = function() decoy:kill(9) end
    local c = child.spawn(t, p, { grace = 200 })
    c:boot()
    local info = p:open("copse.info", map {})
    local asked = c.link:accept("copse.info", "REG-010")
    local entry = map { ref = value.ref(c.id, c.name, {}), pid = pid, state = "running",
      contexts = 0, rss = 0 }
    asked:returns_with(array { entry })
    info:next()
    c.ctx:cancel { grace = 3000 }
    c:await_signal(15, "LADDER-001")
    c:await_reaped("LADDER-006")
    c.ctx:next()
    t:check("SEC-008", not gone and uv.kill(pid, 0) == 0, "the process that was named alive",
      "it is gone")
  end,
}
