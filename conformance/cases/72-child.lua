-- SPDX-License-Identifier: MIT
-- The testee as a parent. By way of tck.spawn and the bridge the suite is its child: a good one, and
-- one that breaks the contract at every point.
local case = ...
local child = require "child"
local process = require "process"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local function spawn_case(o)
  case {
    id = "child." .. o.id, req = o.req, title = o.title, why = o.why, profile = "spawn",
      processes = true,
    run = function(t)
      local p = t:boot(o.boot)
      local c = child.spawn(t, p, o.args)
      o.run(t, c, p)
      c:await_reaped("LADDER-006")
    end,
  }
end

-- The end of a child by the ladder, and what the parent says of it.
local function died(t, c, fields, req)
  local e = c.ctx:errors("died", req or "SPAWN-016")
  local data = value.is_map(e.data) and e.data or {}
  for k, v in pairs(fields or {}) do
    t:is("SPAWN-017", data[k], v, "data." .. k)
  end
  t:check("SPAWN-017", data.status ~= nil or data.signal ~= nil, "status or signal in data",
    value.show(e))
  return e, data
end

-- What the parent gives ---------------------------------------------------------------------------

spawn_case {
  id = "environment", req = { "SPAWN-001", "SPAWN-002" }, args = { name = "s\u{fc}b one" },
  title = "A child finds its link, its id and its name in its environment",
  why = "That is all that a command in any language needs.",
  run = function(t, c)
    t:check("SPAWN-001", c.id and #c.id == 16, "an id of 32 hexadecimal digits",
      tostring(c.env.COPSE_ACTOR))
    t:check("SPAWN-001", c.env.COPSE_ACTOR:sub(1, 32) == c.env.COPSE_ACTOR:sub(1, 32):lower(),
      "in lower case",
      c.env.COPSE_ACTOR)
    t:is("SPAWN-001", c.name, "s\u{fc}b one", "name")
    t:check("SPAWN-002", c.env.COPSE_LINK, "COPSE_LINK", "none")
    if c.env.COPSE_LINK:find("^unix:") or c.env.COPSE_LINK:find("^tcp:") then
      local token = c.env.COPSE_TOKEN or ""
      t:check("SPAWN-003", #token >= 32 and #token <= 256 and token:find("^%x+$"),
        "a token of 16 bytes and more", token)
      c:hello { token = value.bin(token:gsub("%x%x", function(h) return string.char(tonumber(h,
        16)) end)) }
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
  id = "actor.open", req = { "ACTOR-001", "ACTOR-002" }, args = { grace = 432,
    config = map { colour = "green", n = 3 } },
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
  id = "call", req = { "ACTOR-014", "SPAWN-014" }, args = { call = map { target = "x.work",
    args = array { 1 } } },
  title = "After the result of a call the child is told to finish, and its parent waits for the exit",
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

-- Errors that the child reports -------------------------------------------------------------------

for _, when in ipairs { "before", "after" } do
  spawn_case {
    id = "error." .. when, req = { "ERROR-005", "ERROR-003", "SPAWN-014" },
    title = "An ERROR of copse.actor " .. when
      .. " its STARTED is passed on with the child in its path",
    why = "What the child says of itself is better than what its exit tells.",
    run = function(t, c)
      c:boot { started = when == "after" }
      c.actor:fail_with { code = "acme.no", message = "will not", data = 3 }
      c:exit(1)
      local e = c.ctx:errors("acme.no", "ERROR-005", { message = "will not", data = 3 })
      t:check("ERROR-003", value.eq(e.via, array { value.ref(c.id, c.name, {}), t.actor })
        or value.eq(e.via, array { value.ref(c.id, c.name, {}) }), "via: the child",
          value.show(e.via))
    end,
  }
end

spawn_case {
  id = "error.call", req = { "ERROR-005", "MODEL-004" },
    args = { call = map { target = "x.work" } },
  title = "An error of a call on the child cancels the child, and comes out when it is gone",
  why = "Errors go up, cancellation goes down.",
  run = function(_, c)
    c:boot()
    c.link:accept("x.work"):fail_with { code = "acme.work", message = "m" }
    local f = c.actor:next("END or CANCEL", "MODEL-004")
    c.ctx:nothing("MODEL-002")
    if f.name == "CANCEL" then c.actor:cancelled_with { origin = f.value.origin } else c.actor:returns_with() end
    c:exit(0)
    c.ctx:errors("acme.work", "ERROR-005", { message = "m" })
  end,
}

-- Death -------------------------------------------------------------------------------------------

for _, status in ipairs { 0, 1, 7, 255 } do
  for _, when in ipairs { "hello", "boot", "service" } do
    if status == 7 or when == "service" then
      spawn_case {
        id = "died." .. when .. "-" .. status, req = { "SPAWN-016", "SPAWN-017" },
        title = "A child that exits with status " .. status .. " in place of its " .. when
          .. " is `died`",
        why = "It said nothing, so the parent has to.",
        run = function(t, c)
          if when ~= "hello" then c:hello() end
          if when == "service" then c:boot_rest() end
          c:exit(status)
          died(t, c, { status = status })
        end,
      }
    end
  end
end

for _, signal in ipairs { 9, 15, 6 } do
  spawn_case {
    id = "died.signal-" .. signal, req = { "SPAWN-016", "SPAWN-017" },
    title = "A child that dies by signal " .. signal .. " is `died`, and the report names it",
    why = "A crash is not an exit.",
    run = function(t, c)
      c:boot()
      c:die(signal)
      local _, data = died(t, c)
      t:check("SPAWN-017", data.signal ~= nil and data.status == nil, "the signal, no status",
        value.show(data))
    end,
  }
end

spawn_case {
  id = "died.stderr", req = "SPAWN-017",
  title = "The report of a death ends with what the child said last, if the parent captured it",
  why = "The stack trace of a child is worth more than its status.",
  run = function(t, c)
    c:boot()
    c:stderr(("filler "):rep(4000) .. "\nlast words\n")
    c:exit(9)
    local _, data = died(t, c, { status = 9 })
    t:check("SPAWN-017", data.stderr == nil or type(data.stderr) == "string"
      and data.stderr:find("last words", 1, true),
      "the tail of the standard error output", value.show(data.stderr))
  end,
}

spawn_case {
  id = "died.contexts", req = { "SPAWN-020", "CTX-004" },
    args = { call = map { target = "x.work" } },
  title = "All contexts on the link of a child that died end with one and the same `died`",
  why = "One death is one error, however many were waiting.",
  run = function(t, c)
    c:boot()
    c.link:accept("x.work")
    c:exit(5)
    local e = died(t, c, { status = 5 }, "SPAWN-020")
    t:check("SPAWN-020", e.causes == nil or e.causes.n == 0, "no causes", value.show(e))
  end,
}

spawn_case {
  id = "died.last-frames", req = { "SPAWN-015", "CROSS-003" },
    args = { call = map { target = "x.work" } },
  title = "What a child wrote before it exited is read before it is judged",
  why = "The exit is often known before the last frames are.",
  run = function(_, c)
    c:boot()
    local work = c.link:accept("x.work")
    c.link:cork(function()
      work:returns_with(("r"):rep(50000))
      c.actor:returns_with()
    end)
    c:exit(0)
    c.ctx:returns(("r"):rep(50000), "SPAWN-015")
  end,
}

for _, b in ipairs {
  { "return-1", "RETURN", 1 }, { "return-9", "RETURN", 9 }, { "error-0", "ERROR", 0 },
    { "cancelled-1", "CANCELLED", 1 },
} do
  spawn_case {
    id = "status." .. b[1], req = { "SPAWN-016", "SPAWN-014" },
    title = b[2] .. " and then exit status " .. b[3] .. " is `died`",
    why = "Something went wrong after the child had said its last.",
    run = function(t, c)
      c:boot()
      if b[2] == "CANCELLED" then
        c.ctx:cancel { grace = 60000 }
        c.actor:expect("CANCEL", "MODEL-005")
        c.actor:cancelled_with {}
      elseif b[2] == "RETURN" then
        c.ctx:finish()
        c.actor:expect("END", "ACTOR-014")
        c.actor:returns_with()
      else
        c.actor:fail_with { code = "acme.no", message = "" }
      end
      c:exit(b[3])
      local f = c.ctx:expect("ERROR", "SPAWN-016")
      local list = { f.value }
      for i = 1, value.is_array(f.value.causes) and f.value.causes.n
        or 0 do list[#list + 1] = f.value.causes[i] end
      local found
      for _, e in ipairs(list) do if e.code == "died" then found = e end end
      t:check("SPAWN-016", found, "`died`, alone or in a group", value.show(f.value))
      t:is("SPAWN-017", value.is_map(found.data) and found.data.status or nil, b[3], "data.status")
    end,
  }
end

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
      t:check("HELLO-008", f ~= "eof" and f.value.code == code, "BYE " .. code, f == "eof"
        and "the end" or value.show(f.value))
      c:await_signal(15, "SPAWN-022")
      c:exit(1)
      local e = c.ctx:expect("ERROR", "HELLO-008").value
      if code == "wrong_actor" then t:is("HELLO-008", e.code, "wrong_actor", "code") end
      c:await_reaped("LADDER-006")
    end,
  }
end
refused("echo", "echo", "A child that echoes its parent's id is refused", function(c, p)
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
      id = "boot." .. how .. (obeys and "" or "-stubborn"), req = { "SPAWN-011", "LADDER-001",
        "LADDER-002" },
      args = { boot = 150, grace = 100 },
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
        for i = 1, value.is_array(e.causes) and e.causes.n or 0 do found = found
          or e.causes[i].code == "boot_timeout" end
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

-- The ladder --------------------------------------------------------------------------------------

local someone = value.ref(("\x5c"):rep(16), "someone", {})

spawn_case {
  id = "cancel", req = { "LADDER-001", "CANCEL-012", "CANCEL-017" },
  title = "A cancellation reaches a child as CANCEL on copse.actor, with its cause",
  why = "It is the first rung.",
  run = function(t, c)
    c:boot()
    c.ctx:cancel { origin = "parent", by = someone, message = "enough", grace = 60000 }
    local f = c.actor:expect("CANCEL", "LADDER-001")
    t:is("CANCEL-012", f.value.origin, "parent", "origin")
    t:is("CANCEL-012", f.value.by, someone, "by")
    t:is("CANCEL-012", f.value.message, "enough", "message")
    t:check("CANCEL-016", f.value.grace == nil or f.value.grace <= 45000,
      "a grace of at most 45000", value.show(f.value))
    c.ctx:nothing("MODEL-002")
    c.actor:cancelled_with { origin = "parent", by = someone }
    c.ctx:nothing("LADDER-006")
    c:exit(0)
    c.ctx:is_cancelled({ origin = "parent", by = someone, ran = true }, "CANCEL-010")
    t:check("LADDER-001", #c.signals == 0, "no signal", #c.signals .. " signals")
  end,
}

spawn_case {
  id = "cancel.returns", req = { "CANCEL-007", "LADDER-001" },
  title = "A child that answers CANCEL with RETURN and exits is no error",
  why = "It was done already.",
  run = function(_, c)
    c:boot()
    c.ctx:cancel { grace = 60000 }
    c.actor:expect("CANCEL", "LADDER-001")
    c.actor:returns_with()
    c:exit(0)
    c.ctx:expect({ "CANCELLED", "RETURN" }, "CANCEL-007")
  end,
}

spawn_case {
  id = "cancel.before-hello", req = { "LADDER-002", "MODEL-005" }, args = { grace = 200 },
  title = "A child that is cancelled before its HELLO is ended all the same",
  why = "There may be no link to carry CANCEL.",
  run = function(_, c)
    c.ctx:cancel { grace = 400 }
    c:await_signal(15, "LADDER-001")
    c:exit(0)
    c.ctx:expect({ "CANCELLED", "ERROR" }, "MODEL-005")
  end,
}

for _, obeys in ipairs { "exits", "dies", "ignores" } do
  local ignores = obeys == "ignores"
  spawn_case {
    id = "ladder." .. obeys, req = { "LADDER-001", "SPAWN-018" },
    -- Time enough between SIGTERM and SIGKILL for who obeys.
    args = { grace = ignores and 100 or 1600 },
    title = "A child that does not answer CANCEL is sent SIGTERM, and "
      .. (obeys == "exits" and "may then exit" or obeys == "dies" and "may die of it"
        or "is killed if it ignores that"),
    why = "Every rung has its time; the last one cannot be refused.",
    run = function(t, c)
      c:boot()
      c.ctx:cancel(ignores and { grace = 300 } or nil)
      c.actor:expect("CANCEL", "LADDER-001")
      t:check("LADDER-001", #c.signals == 0, "CANCEL before any signal", "a signal")
      c:await_signal(15, "LADDER-001")
      if obeys == "exits" then
        c:exit(0)
        return c.ctx:expect({ "CANCELLED", "ERROR" }, "LADDER-001")
      end
      if obeys == "dies" then c:die(15) end
      local e, data = died(t, c, nil, "SPAWN-018")
      local want = obeys == "dies" and "TERM" or "KILL"
      local number = obeys == "dies" and 15 or 9
      t:check("SPAWN-018", type(data.ladder) == "string" and data.ladder:find(want)
        or data.ladder == number,
        "ladder: SIG" .. want, value.show(e.data))
    end,
  }
end

spawn_case {
  id = "terminal-no-exit", req = { "SPAWN-022", "LADDER-001" }, args = { grace = 150 },
  title = "A child that has said its last and does not exit is sent SIGTERM",
  why = "A process that has nothing more to say has nothing more to do.",
  run = function(_, c)
    c:boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.actor:returns_with()
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:expect({ "RETURN", "ERROR" }, "SPAWN-022")
  end,
}

spawn_case {
  id = "terminal-no-exit-stubborn", req = { "SPAWN-022", "SPAWN-018" }, args = { grace = 150 },
  title = "A child that neither exits after its last word nor obeys SIGTERM is killed, and reported",
  why = "The parent cannot end before it.",
  run = function(t, c)
    c:boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.actor:returns_with()
    c:await_signal(15, "SPAWN-022")
    died(t, c, nil, "SPAWN-018")
  end,
}

spawn_case {
  id = "link-lost", req = { "SPAWN-022", "SPAWN-016", "CTX-004" }, args = { grace = 150 },
  title = "A child that closes its link and lives on is ended and reported as `died`",
  why = "Nobody can reach it any more.",
  run = function(_, c)
    c:boot()
    c:drop()
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:errors("died", "SPAWN-016")
  end,
}

spawn_case {
  id = "link-violated", req = { "SPAWN-022", "LINK-013" }, args = { grace = 150 },
  title = "A child that violates the protocol is ended and reported",
  why = "The link is lost, whoever ended it.",
  run = function(_, c)
    c:boot()
    c.link:raw("\0\0\0\x05" .. ("\0"):rep(8))
    c.link:violation("frame", nil, "FRAME-005")
    c:await_signal(15, "SPAWN-022")
    c:exit(0)
    c.ctx:expect("ERROR", "SPAWN-016")
  end,
}

spawn_case {
  id = "parent-ends", req = { "ACTOR-015", "LADDER-001", "SPAWN-014" },
    boot = { args = { grace = 5000 } },
  title = "A testee that is cancelled cancels its child and waits for its exit",
  why = "The chain of processes ends from below.",
  run = function(t, c, p)
    c:boot()
    p.actor:cancel { origin = "shutdown", grace = 5000 }
    local f = c.actor:expect("CANCEL", "ACTOR-015")
    t:is("CANCEL-012", f.value.origin, "shutdown", "origin")
    p.actor:nothing("ACTOR-016")
    c.actor:cancelled_with { origin = "shutdown" }
    c:exit(0)
    c.ctx:is_cancelled({ origin = "shutdown" }, "CANCEL-010")
    p.actor:expect("CANCELLED", "ACTOR-015")
    p:await_eof("SPAWN-014")
    p:close()
    t:expect_exit(p.process, 0)
  end,
}

case {
  id = "child.parent-killed", req = { "SPAWN-023", "SPAWN-004", "MODEL-009" }, profile = "spawn",
  title = "A child whose parent is killed learns of it by the end of its link",
  why = "No other process may hold the parent's end.",
  run = function(t)
    local p = t:boot { stat = false }
    local first = child.spawn(t, p):boot()
    local second = child.spawn(t, p):boot()
    p.process:kill(9)
    for _, c in ipairs { first, second } do
      t:await(function() return c.link.eof or c.gone end, "the end of the child's link",
        "SPAWN-004")
      c:exit(0)
    end
    p:await_eof("MODEL-009")
    p:close()
  end,
}

-- The news of a death -----------------------------------------------------------------------------

-- The processes whose parent this one is, zombies included: a set of pids.
local function below(pid)
  local found = {}
  local dir = uv.fs_scandir("/proc")
  while dir do
    local name = uv.fs_scandir_next(dir)
    if not name then break end
    local f = name:find("^%d+$") and io.open("/proc/" .. name .. "/stat", "rb")
    local text = f and f:read("a")
    if f then f:close() end
    if text and tonumber(text:match("%) %a (%d+)")) == pid then found[tonumber(name)] = true end
  end
  return found
end

for _, how in ipairs { "exit", "signal" } do
  spawn_case {
    id = "died.after-the-reap." .. how, req = { "SPAWN-021", "SPAWN-016" },
    title = "Whoever hears `died` finds nothing left of the child (" .. how .. ")",
    why = "Its name, its files and its process id are free for the next one.",
    run = function(t, c)
      c:boot()
      if how == "exit" then c:exit(7) else c:die(9) end
      died(t, c)
      t:check("SPAWN-021", not process.exists(c.pid), "pid " .. c.pid .. " reaped",
        "it is still there")
    end,
  }
end

spawn_case {
  id = "died.not-before-the-exit", req = { "SPAWN-021", "SPAWN-022" }, args = { grace = 600000 },
  title = "A child whose link is lost is not `died` while its process lives",
  why = "The loss of the link is no proof of its death.",
  run = function(t, c, p)
    c:boot()
    c:drop()
    t:quiet(function() return #p.inbox > 0 end)
    c.ctx:nothing("SPAWN-021")
    c:exit(1)
    died(t, c)
  end,
}

case {
  id = "child.died.orphans", req = { "SPAWN-021", "SPAWN-016" }, profile = "spawn",
  title = "`died` comes after the orphans that the parent adopted from the child are gone",
  why = "A child is gone when all that it started is gone, as far as its parent can see it.",
  run = function(t)
    local p = t:boot()
    t.cleanup[#t.cleanup + 1] = function()
      for _, pid in ipairs(process.marked(t.mark)) do uv.kill(pid, 9) end
    end
    -- What the testee keeps for its own use it has when the first child is gone.
    child.spawn(t, p):boot():finish()
    local before = below(p.process.pid)
    local script = "sleep 1000 2>/dev/null & (sleep 1000 2>/dev/null & :) & exit 4"
    local c = p:open("tck.spawn", map { argv = array { "/bin/sh", "-c", script } }, { send = true })
    local e = c:errors("died", "SPAWN-016")
    t:is("SPAWN-017", value.is_map(e.data) and e.data.status or nil, 4, "data.status")
    local left = {}
    for pid in pairs(below(p.process.pid)) do
      if not before[pid] then left[#left + 1] = pid end
    end
    t:check("SPAWN-021", #left == 0, "no process left that the testee adopted",
      "pids " .. table.concat(left, ", "))
  end,
}

case {
  id = "child.stderr-held", req = { "SPAWN-019", "SPAWN-021" }, profile = "spawn",
  title = "A grandchild that holds the error output open does not keep its grandparent waiting",
  why = "It would wait for a process that it does not know.",
  run = function(t)
    local p = t:boot()
    t.cleanup[#t.cleanup + 1] = function()
      for _, pid in ipairs(process.marked(t.mark)) do uv.kill(pid, 9) end
    end
    local c = p:open("tck.spawn", map { argv = array { "/bin/sh", "-c",
      "setsid sleep 1000 & exit 4" } }, { send = true })
    local e = c:errors("died", "SPAWN-019")
    t:is("SPAWN-017", value.is_map(e.data) and e.data.status or nil, 4, "data.status")
  end,
}

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
        local c = p:open("tck.spawn", map { grace = 300, call = map { target = "tck.crash",
          args = map { how = how, status = 44, signal = 9 } } })
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
      if how == "signal" then t:check("SPAWN-017", data.signal ~= nil, "the signal",
        value.show(data)) end
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
