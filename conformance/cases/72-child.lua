-- SPDX-License-Identifier: MIT
--
-- The testee as a parent: what it gives a child on its way, the boot, and a good child's life. By
-- way of tck.spawn and the bridge the suite is that child. How children die is in
-- 73-child-death.lua, how they are ended in 74-ladder.lua.
local case = ...
local child = require "child"
local pattern = require "pattern"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local function spawn_case(o) pattern.child(case, o) end

-- What the parent gives ---------------------------------------------------------------------------

spawn_case {
  id = "environment", req = { "SPAWN-001", "SPAWN-002" }, args = { name = "s\u{fc}b one" },
  title = "A child finds its link, its id and its name in its environment",
  why = "That is all that a command in any language needs.",
  run = function(t, c)
    t:check("SPAWN-001", c.id and #c.id == 16, "an id of 32 hexadecimal digits",
      tostring(c.env.COPSE_ACTOR))
    t:check("SPAWN-001", c.env.COPSE_ACTOR:sub(1, 32) == c.env.COPSE_ACTOR:sub(1, 32):lower(),
      "in lower case", c.env.COPSE_ACTOR)
    t:is("SPAWN-001", c.name, "s\u{fc}b one", "name")
    t:check("SPAWN-002", c.env.COPSE_LINK, "COPSE_LINK", "none")
    if c.env.COPSE_LINK:find("^unix:") or c.env.COPSE_LINK:find("^tcp:") then
      local token = c.env.COPSE_TOKEN or ""
      t:check("SPAWN-003", #token >= 32 and #token <= 256 and token:find("^%x+$"),
        "a token of 16 bytes and more", token)
      local bytes = token:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)
      c:hello { token = value.bin(bytes) }
      c:take_actor():started(map { listen = array {} })
      c.ctx:expect("STARTED")
    else
      c:boot()
    end
    c:finish()
  end,
}

spawn_case {
  id = "environment.own", req = "SPAWN-007",
  title = "A child's variables are its own, not those of its parent",
  why = "A parent removes its own before any user code runs.",
  run = function(t, c, p)
    t:check("SPAWN-007", c.id ~= p.process.id, "an id of its own", "that of the parent")
    c:boot()
    c:finish()
  end,
}

case {
  id = "child.environment.removed", req = { "SPAWN-007", "SPAWN-006" }, profile = "spawn",
  title = "The token of a parent that dialled is not inherited by its child",
  why = "It is a secret between two.",
  run = function(t)
    local stream
    local path = t:path("d")
    t:listen(path, function(s)
      stream = s
      t:poke()
    end)
    local token = ("6b"):rep(16)
    local _, proc = t:spawn { link = "unix:" .. path, env = { COPSE_TOKEN = token } }
    t:await(function() return stream end, "a connection of the testee", "SPAWN-002")
    local p = require "link".new(t, { name = "testee", connector = false, stream = stream })
    p.process = proc
    t:handshake(p)
    p.actor = p:open("copse.actor", t:actor_args(), { send = true })
    p.actor:expect("STARTED", "ACTOR-005")
    local c = child.spawn(t, p)
    t:check("SPAWN-007", c.env.COPSE_TOKEN ~= token, "no COPSE_TOKEN, or another", token)
    t:check("SPAWN-007", c.env.COPSE_LINK ~= "unix:" .. path, "a link of its own", c.env.COPSE_LINK)
    c:boot()
    c:finish()
  end,
}

-- The sockets that a process holds: what /proc calls them -> descriptor.
local function sockets(pid)
  local held = {}
  local dir = uv.fs_scandir("/proc/" .. pid .. "/fd")
  while dir do
    local fd = uv.fs_scandir_next(dir)
    if not fd then break end
    local at = uv.fs_readlink("/proc/" .. pid .. "/fd/" .. fd)
    if at and tonumber(fd) > 2 and at:find("^socket:") then held[at] = fd end
  end
  return held
end

for _, transport in ipairs { "pair", "stdio-pair" } do
  case {
    id = "child.descriptors.own-link." .. transport, req = "SPAWN-008", profile = "spawn",
    title = "A child does not inherit the link of the process that starts it (" .. transport .. ")",
    why = "A copy of it keeps the link open when its owner is killed.",
    run = function(t)
      local p = t:boot { transport = transport }
      -- Both ends of a pipe go by one name, so the suite knows what its own are called over there.
      local link = {}
      for _, stream in ipairs { p.stream.r, p.stream.w } do
        link[uv.fs_readlink("/proc/self/fd/" .. uv.fileno(stream))] = true
      end
      local c = child.spawn(t, p)
      for fd, at in pairs(c.fds) do
        t:check("SPAWN-008", not link[at], "no descriptor of its parent's own link",
          "descriptor " .. fd .. " is " .. at)
      end
      c:boot()
      c:finish()
    end,
  }
end

case {
  id = "child.descriptors", req = { "SPAWN-004", "SPAWN-008" }, profile = "spawn",
  title = "A child inherits neither the parent's link nor the links of its siblings",
  why = "A copy of it keeps a link open when its owner is killed.",
  run = function(t)
    local p = t:boot { listen = true }
    -- Its own link is among these: there is no child yet whose link it could hold.
    local own = sockets(p.process.pid)
    local d = t:dial(p)
    local first = child.spawn(t, p):boot()
    local held = sockets(p.process.pid)
    local second = child.spawn(t, p)
    for fd, at in pairs(second.fds) do
      if fd > 2 then
        local req = own[at] and "SPAWN-008" or "SPAWN-004"
        t:check(req, not held[at], "no descriptor of the parent's",
          "descriptor " .. fd .. " is " .. at .. ", which the parent holds as "
            .. tostring(held[at]))
      end
    end
    for fd, at in pairs(second.fds) do
      for other, theirs in pairs(first.fds) do
        if fd > 2 and other > 2 and at:find("^socket:") then
          t:check("SPAWN-004", at ~= theirs, "no descriptor of a sibling's", at)
        end
      end
    end
    second:boot()
    second:finish()
    first:finish()
    t:alive(d)
  end,
}

spawn_case {
  id = "actor.open", req = { "ACTOR-001", "ACTOR-002" },
  args = { grace = 432, config = map { colour = "green", n = 3 } },
  title = "The first context on a child's link is copse.actor, with `send` and without `credit`",
  why = "END is how a child is told to finish; items it has none.",
  run = function(t, c, p)
    c:hello()
    local f = c.link:await_frame(function(f) return f.name ~= "HELLO" end, "a frame", "ACTOR-001")
    local o = f.value
    t:check("ACTOR-001", f.name == "OPEN" and o.target == "copse.actor", "OPEN of copse.actor",
      require "frame".show(f))
    t:check("ACTOR-001", o.send == true and o.credit == nil, "send true, no credit", value.show(o))
    t:check("ACTOR-001", value.is_map(o.args) and value.is_ref(o.args.parent)
      and o.args.parent.id == p.peer.actor.id, "the parent in args", value.show(o))
    t:is("ACTOR-001", o.args.grace, 432, "grace")
    t:is("ACTOR-001", o.args.config, map { colour = "green", n = 3 }, "config")
    c.actor = require "context".new(c.link, f.ctx, false)
    c.actor:started(map { listen = array {} })
    local s = c.ctx:expect("STARTED", "ACTOR-005").value
    t:is("ACTOR-005", s.pid, c.pid, "pid in STARTED")
    t:check("ACTOR-005", value.is_ref(s.actor) and s.actor.id == c.id and s.actor.name == c.name,
      "the reference of the child", value.show(s))
    c:finish()
  end,
}

spawn_case {
  id = "serves", req = { "ACTOR-005", "FRAME-006" },
  title = "A child may open contexts on its parent",
  why = "A link has two directions.",
  run = function(_, c)
    c:boot()
    c.link:open("tck.echo", map { v = 5 }):returns(5, "FRAME-006")
    c:finish()
  end,
}

spawn_case {
  id = "call", req = { "ACTOR-014", "SPAWN-014" },
  args = { call = map { target = "x.work", args = array { 1 } } },
  title = "After the result of a call the child is told to finish, and its parent waits for the "
    .. "exit",
  why = "The result is final when the process is gone.",
  run = function(_, c)
    c:boot()
    local work = c.link:accept("x.work")
    work:returns_with("done")
    c.actor:expect("END", "ACTOR-014")
    c.ctx:nothing("LADDER-006")
    c.actor:returns_with()
    c.ctx:nothing("LADDER-006")
    c:exit(0)
    c.ctx:returns("done", "SPAWN-014")
  end,
}

spawn_case {
  id = "opens-after-end", req = { "CROSS-001", "ACTOR-012" },
  title = "A child that finishes may still open contexts on its parent",
  why = "Crossing open-actorend: the parent serves it or refuses it.",
  run = function(_, c)
    c:boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.link:open("tck.echo", map { v = 1 }):expect({ "RETURN", "ERROR" }, "CROSS-001")
    c.actor:returns_with()
    c:exit(0)
    c.ctx:returns(nil, "SPAWN-014")
  end,
}

-- Boot --------------------------------------------------------------------------------------------

spawn_case {
  id = "boot.garbage", req = { "HELLO-004", "LADDER-006" }, args = { grace = 100 },
  title = "A child that says something else in place of HELLO is an error, and is ended",
  why = "Any command can be started by mistake.",
  run = function(t, c)
    c.link:raw("Usage: true [ignored command line arguments]\n")
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    local e = c.ctx:expect("ERROR", "SPAWN-016").value
    t:check("SPAWN-016", e.code == "died" or e.code == "spawn_failed", "died or spawn_failed",
      value.show(e))
    local text = value.show(e)
    t:note("SPAWN-012", text:find("Usage: true", 1, true), "what the child wrote, quoted", text)
  end,
}

local function refused(id, code, title, hello)
  case {
    id = "child.boot." .. id, req = { "HELLO-008", "SPAWN-016" }, profile = "spawn",
    processes = true, title = title,
    why = "The parent knows whom it started.",
    run = function(t)
      local p = t:boot()
      local c = child.spawn(t, p, { grace = 100 })
      c.link:hello(hello(c, p))
      local f = t:await(function()
        return c.link:take(function(f) return f.name == "BYE" end) or c.link.eof and "eof"
      end, "BYE " .. code, "HELLO-008")
      t:check("HELLO-008", f ~= "eof" and f.value.code == code, "BYE " .. code,
        f == "eof" and "the end" or value.show(f.value))
      c:await_signal(15, "SPAWN-022")
      c:exit(1)
      local e = c.ctx:expect("ERROR", "HELLO-008").value
      if code == "wrong_actor" then t:is("HELLO-008", e.code, "wrong_actor", "code") end
      c:await_reaped("LADDER-006")
    end,
  }
end
refused("echo", "echo", "A child that echoes its parent's id is refused", function(_, p)
  return { actor = value.ref(p.peer.actor.id, p.peer.actor.name, {}) }
end)
refused("wrong-id", "wrong_actor",
  "A child with another id than the one that it was given is refused", function(c)
  return { actor = value.ref(("w"):rep(16), c.name, {}) }
end)
refused("version", "version", "A child that speaks no common version is refused", function(c)
  return { actor = value.ref(c.id, c.name, {}), copse = array { 2, 9 } }
end)

for _, how in ipairs { "silent", "no-started" } do
  for _, obeys in ipairs { true, false } do
    spawn_case {
      id = "boot." .. how .. (obeys and "" or "-stubborn"),
      req = { "SPAWN-011", "LADDER-001", "LADDER-002" },
      args = { boot = 1000, grace = 100 },
      title = "A child that " .. (how == "silent" and "never says HELLO" or "never sends STARTED")
        .. (obeys and " is sent SIGTERM and reported"
          or " and ignores SIGTERM is killed and reported"),
      why = "The boot deadline is the only thing that notices.",
      run = function(t, c)
        if how == "no-started" then c:boot { started = false } end
        c:await_signal(15, "SPAWN-011")
        if obeys then c:exit(1) end
        local e = c.ctx:expect("ERROR", "SPAWN-011").value
        local found = e.code == "boot_timeout"
        for i = 1, value.is_array(e.causes) and e.causes.n or 0 do
          found = found or e.causes[i].code == "boot_timeout"
        end
        t:check("SPAWN-011", found, "boot_timeout", value.show(e))
      end,
    }
  end
end

for _, b in ipairs {
  { "missing", array { "/nonexistent/command" } }, { "directory", array { "/tmp" } },
  { "not-executable", array { "/etc/passwd" } },
} do
  case {
    id = "child.spawn-failed." .. b[1], req = "SPAWN-013", profile = "spawn",
    title = "A command that cannot be started (" .. b[1] .. ") is `spawn_failed`, with the reason",
    why = "Nothing ran, and nothing is left.",
    run = function(t)
      local p = t:boot()
      local e = p:open("tck.spawn", map { argv = b[2] }, { send = true }):errors("spawn_failed",
        "SPAWN-013")
      t:check("SPAWN-013", #e.message > 0, "a reason", value.show(e))
    end,
  }
end

-- The testee's own command as a child -------------------------------------------------------------

case {
  id = "child.own.echo", req = { "SPAWN-014", "ACTOR-005" }, profile = "spawn", processes = true,
  title = "The testee spawns itself, calls its child, and gives back the result",
  why = "Both ends are the same implementation here.",
  run = function(t)
    local p = t:boot()
    for i = 1, 5 do
      local c = p:open("tck.spawn", map { call = map { target = "tck.echo", args = array { i } } })
      c:expect("STARTED", "ACTOR-005")
      c:returns(i, "SPAWN-014")
    end
  end,
}

for _, how in ipairs { "exit", "signal", "close", "hang", "spin" } do
  case {
    id = "child.own." .. how, req = { "SPAWN-016", "SPAWN-017" }, profile = "spawn",
    processes = true,
    title = "A child that ends by tck.crash " .. how .. " is `died`",
    why = "Every way to die is told.",
    run = function(t)
      local p = t:boot()
      local function crash()
        local args = map { how = how, status = 44, signal = 9 }
        local c = p:open("tck.spawn",
          map { grace = 300, call = map { target = "tck.crash", args = args } })
        c:expect("STARTED", "ACTOR-005")
        return c
      end
      local f
      if how == "hang" or how == "spin" then
        -- Nothing tells when it hangs. One that is cancelled before that ends in order, and the
        -- next one is given more time.
        for try = 1, 8 do
          local c = crash()
          t:elapse(10 << try)
          c:cancel { grace = 600 }
          f = c:expect({ "ERROR", "CANCELLED" }, "SPAWN-016")
          if f.name == "ERROR" then break end
        end
      else
        f = crash():expect("ERROR", "SPAWN-016")
      end
      local e = f.name == "ERROR" and f.value or map {}
      t:is("SPAWN-016", e.code, "died", "ERROR with code")
      local data = value.is_map(e.data) and e.data or map {}
      if how == "exit" then t:is("SPAWN-017", data.status, 44, "data.status") end
      if how == "signal" then
        t:check("SPAWN-017", data.signal ~= nil, "the signal", value.show(data))
      end
    end,
  }
end

case {
  id = "child.own.many", req = { "LADDER-006", "MODEL-008" }, profile = "spawn", processes = true,
  await = 30000,
  title = "Twenty children, ten at a time, leave neither processes nor descriptors behind",
  why = "Leaks show in numbers.",
  run = function(t)
    local p = t:boot()
    for _ = 1, 2 do
      local list = {}
      for i = 1, 10 do list[i] = p:open("tck.spawn", map { name = "m" .. i }, { send = true }) end
      for i = 1, 10 do list[i]:expect("STARTED", "ACTOR-005") end
      for i = 1, 10 do list[i]:finish() end
      for i = 1, 10 do list[i]:returns(nil, "SPAWN-014") end
    end
  end,
}
