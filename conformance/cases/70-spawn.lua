-- SPDX-License-Identifier: MIT
--
-- The testee as a child: how it starts, what it answers before it is ready, how it finishes.
local case = ...
local frame = require "frame"
local Link = require "link"
local play = require "play"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array
local relay = play.relay

-- The start ---------------------------------------------------------------------------------------

for _, transport in ipairs { "fd", "high", "pair", "stdio", "stdio-pair" } do
  case {
    id = "spawn.link." .. transport, req = { "SPAWN-005", "HELLO-001", "FRAME-006" },
    title = "A child finds its link by COPSE_LINK (" .. transport .. ") and says who it is",
    why = "The parent minted the id and the name; the child gives them back.",
    run = function(t)
      local name = "n\u{e4}me with spaces"
      local p = t:boot { transport = transport, name = name }
      t:is("SPAWN-005", p.peer.actor.id, p.process.id, "id")
      t:is("SPAWN-005", p.peer.actor.name, name, "name")
      t:alive(p)
      local upper, inner = relay(p)
      t:check("FRAME-006", inner.id % 2 == 1, "an odd id from the connector", "id " .. inner.id)
      inner:returns_with(1)
      upper:returns(1)
    end,
  }
end

-- A child that has to dial its link. serve(on_stream) returns the address.
local function dialling(id, title, serve)
  case {
    id = "spawn.link." .. id, req = { "SPAWN-006", "SPAWN-005" }, title = title,
    why = "A launcher may start a child where no descriptor can be handed over.",
    run = function(t)
      local stream
      local address = serve(t, function(s)
        stream = s
        t:poke()
      end)
      local _, p = t:spawn { link = address, env = { COPSE_TOKEN = "00ff10a1" .. ("5a"):rep(14) } }
      t:await(function() return stream end, "a connection of the child", "SPAWN-002")
      local link = Link.new(t, { name = "testee", connector = false, stream = stream })
      link.process = p
      local h = t:handshake(link)
      t:check("SPAWN-006", value.is_bin(h.token) and h.token.bytes == "\0\xff\x10\xa1"
        .. ("\x5a"):rep(14),
        "the token of COPSE_TOKEN, as bytes", value.show(h.token))
      t:is("SPAWN-005", h.actor.id, p.id, "id")
      link.actor = link:open("copse.actor", t:actor_args(), { send = true })
      link.actor:expect("STARTED", "ACTOR-005")
      t:alive(link)
    end,
  }
end
dialling("unix", "A child dials a unix socket and says its token", function(t, on_stream)
  local path = t:path("d")
  t:listen(path, on_stream)
  return "unix:" .. path
end)
local tcp_words = "A child dials a TCP port of the loopback and says its token"
dialling("tcp", tcp_words, function(t, on_stream)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(4, function()
    local s = uv.new_tcp()
    server:accept(s)
    on_stream(s)
  end))
  t.cleanup[#t.cleanup + 1] = function() server:close() end
  return "tcp:127.0.0.1:" .. server:getsockname().port
end)

local good_id = ("0f"):rep(16)
for _, b in ipairs {
  { "actor-missing", { actor = "" }, "an empty COPSE_ACTOR" },
  { "actor-short", { actor = "0f0f child" }, "a short id" },
  { "actor-nothex", { actor = ("zz"):rep(16) .. " child" }, "an id that is not hexadecimal" },
  { "actor-noname", { actor = good_id }, "no name" },
  { "actor-name-empty", { actor = good_id .. " " }, "an empty name" },
  { "actor-name-long", { actor = good_id .. " " .. ("n"):rep(65) }, "a name of 65 bytes" },
  { "actor-name-control", { actor = good_id .. " a\27b" }, "a control character in the name" },
  { "actor-group", { actor = good_id .. "@x:y:z child" }, "a process group that is no number" },
  { "link-unknown", { link = "carrier-pigeon:7" }, "a COPSE_LINK of no known form" },
  { "link-closed", { link = "fd:73" }, "a descriptor that is not open" },
  { "link-nobody", { link = "unix:/nonexistent/copse" }, "a socket where nobody listens" },
} do
  case {
    id = "spawn.bad." .. b[1], req = "SPAWN-005", needs = "spawn",
    title = "A child with " .. b[3] .. " complains and exits with status 1",
    why = "It was started by mistake, and silence would hide it.",
    run = function(t)
      local link = t:spawn(b[2])
      local p = link and link.process or t.processes[1]
      t:await(function() return p.exit end, "the exit of the child", "SPAWN-005")
      t:check("SPAWN-005", p.exit.signal == 0 and p.exit.status == 1, "exit status 1",
        p.exit.signal ~= 0 and "signal " .. p.exit.signal or "exit status " .. p.exit.status)
      t:await(function() return p.stderr_ended end, "the end of its error output", "SPAWN-005")
      t:check("SPAWN-005", #p.stderr > 0, "a line on the standard error output", "nothing")
      if link then link:close() end
    end,
  }
end

-- A testee that is told a process group, booted by hand: taking offence at it has an id of its own.
local function grouped(t, group, args)
  local id = uv.random(16)
  local p = t:spawn { id = id, actor = value.hex(id) .. "@" .. group .. " far away" }
  local hello = p:expect_hello("SPAWN-010")
  p:hello()
  t:is("SPAWN-010", hello.actor.name, "far away", "name")
  p.actor = p:open("copse.actor", t:actor_args(args), { send = true })
  p.actor:expect("STARTED", "SPAWN-010")
  return p
end

case {
  id = "spawn.actor.foreign-group", req = "SPAWN-010",
  title = "A child that is told a process group of another host is a child like any other",
  why = "A launcher may have carried the variables into a container.",
  -- A number beyond those that systems give: a child that signals it harms nobody, whereas 0 and 1
  -- would stand for everybody.
  run = function(t) t:alive(grouped(t, "999999999:0123-4567:1")) end,
}

-- The group of an innocent process, said to be the child's own, in a system that is not this one.
local function this_system()
  local f = io.open("/proc/sys/kernel/random/boot_id")
  local boot = f and f:read("l")
  if f then f:close() end
  return boot, (uv.fs_readlink("/proc/self/ns/pid") or ""):match("%d+")
end
for _, foreign in ipairs { "boot-id", "namespace" } do
  case {
    id = "spawn.actor.foreign-group." .. foreign, req = "SPAWN-010",
    title = "A process group of another " .. (foreign == "boot-id" and "boot" or "pid namespace")
      .. " is left alone, even by a child that dies of the loss of its link",
    why = "Here the number belongs to somebody else.",
    run = function(t)
      local boot, namespace = this_system()
      if not boot or not namespace then t:unsupported("this system tells no boot id") end
      local gone
      local handle, pid = uv.spawn("sleep", { args = { "600" }, detached = true }, function()
        gone = true
        t:poke()
      end)
      if not handle then t:blocked("cannot start sleep: " .. pid) end
      t.cleanup[#t.cleanup + 1] = function()
        if not gone then handle:kill(9) end
        handle:close()
      end
      if foreign == "boot-id" then
        boot = boot:gsub("%x", function(digit) return digit == "0" and "1" or "0" end)
      else
        namespace = tostring(tonumber(namespace) + 1)
      end
      local p = grouped(t, pid .. ":" .. boot .. ":" .. namespace, { grace = 300 })
      play.own_end(p)
      p:open("tck.crash", map { how = "hang", started = 1 }):expect("STARTED")
      p:close()
      t:await(function() return p.process.exit end, "the exit of the child", "SPAWN-024")
      t:quiet(function() return gone end)
      t:check("SPAWN-010", not gone, "the foreign group alive", "it was killed")
    end,
  }
end

case {
  id = "spawn.stdio.moved", req = "SPAWN-009",
  title = "A child on stdio moves its link away from descriptors 0 and 1",
  why = "One print of user code would break the link.",
  run = function(t)
    local p = t:boot { transport = "stdio" }
    local function at(fd)
      return uv.fs_readlink("/proc/" .. p.process.pid .. "/fd/" .. fd) or "nothing"
    end
    t:check("SPAWN-009", not at(0):find("^socket:"), "an empty input", at(0))
    t:check("SPAWN-009", at(1) == at(2), "the standard error output " .. at(2), at(1))
    t:alive(p)
  end,
}

case {
  id = "spawn.quiet", req = { "ACTOR-002", "HELLO-003" }, needs = "hello",
  title = "A child says HELLO and then nothing before copse.actor",
  why = "It does not know yet for whom it works.",
  run = function(t)
    local p = t:spawn()
    t:handshake(p)
    p:nothing(nil, "ACTOR-002")
    p.actor = p:open("copse.actor", t:actor_args(), { send = true })
    p.actor:expect("STARTED", "ACTOR-005")
  end,
}

case {
  id = "spawn.not-ready", req = { "ACTOR-003", "CTX-010" }, needs = "hello",
  title = "Every OPEN before the STARTED of copse.actor is `not_ready`, known target or not",
  why = "Of several reasons this one comes first, and it is safe to retry.",
  run = function(t)
    local p = t:spawn()
    t:handshake(p)
    for _, target in ipairs { "tck.echo", "tck.nothing", "tck.gate", "copse.info" } do
      p:open(target, map {}):errors("not_ready", "ACTOR-003")
    end
    p:open("tck.echo", map {}, { deadline = 0 }):errors("not_ready", "CTX-010")
    p.actor = p:open("copse.actor", t:actor_args(), { send = true })
    p.actor:expect("STARTED", "ACTOR-005")
    p:open("tck.echo", map { v = 1 }):returns(1, "ACTOR-005")
  end,
}

case {
  id = "spawn.denied", req = { "ACTOR-004", "CTX-010" },
  title = "A second copse.actor, or one on another link, is `denied`, before every other reason",
  why = "An actor has one parent.",
  run = function(t)
    local p = t:boot { listen = true }
    p:open("copse.actor", t:actor_args(), { send = true }):errors("denied", "ACTOR-004")
    p:open("copse.actor", map {}):errors("denied", "CTX-010")
    p:open("copse.actor", map {}, { deadline = 0 }):errors("denied", "CTX-010")
    local d = t:dial(p)
    d:open("copse.actor", t:actor_args(), { send = true }):errors("denied", "ACTOR-004")
    t:alive(d)
    local upper, inner = relay(p)
    p.actor:finish()
    p:open("copse.actor", t:actor_args(), { send = true }):errors("denied", "CTX-010")
    inner:returns_with(1)
    upper:returns(1)
    p.actor:returns(value.null, "ACTOR-012")
    t:await(function() return p.eof end, "the end of the link", "SPAWN-014")
    t:expect_exit(p.process, 0)
  end,
}

local function bad_args(id, words, args_of)
  case {
    id = "spawn.bad-args." .. id, req = { "ACTOR-006", "SPAWN-014" }, needs = "hello",
    title = "copse.actor with " .. words .. " is `bad_args`, and the exit status is 1",
    why = "A child that cannot do what it was started for says so before it is ready.",
    run = function(t)
      local p = t:spawn()
      t:handshake(p)
      local c = p:open("copse.actor", args_of(t), { send = true })
      c:errors("bad_args", "ACTOR-006")
      t:ends(p, 1)
    end,
  }
end
local function with(k, v) return function(t) return t:actor_args { [k] = v } end end
bad_args("no-parent", "no parent", function() return map {} end)
bad_args("parent", "a text for the parent", with("parent", "me"))
bad_args("grace", "a negative grace", with("grace", -1))
bad_args("log", "an unknown log level", with("log", "loud"))
bad_args("config", "an array for its configuration", with("config", array { 1 }))
bad_args("listen", "a text where addresses are listed", with("listen", "unix:/tmp/x"))
bad_args("unlistenable", "an address at which it cannot listen",
  with("listen", array { "unix:/nonexistent/directory/socket" }))
bad_args("debug", "a number for `debug`", with("debug", 1))
bad_args("positional", "positional arguments", function(t) return array { t.actor } end)

case {
  id = "spawn.args.all", req = { "ACTOR-005", "VALUE-011" },
  title = "A child takes all arguments of copse.actor, and ignores those that it does not know",
  why = "Later versions add some.",
  run = function(t)
    local p = t:boot { listen = true, args = { registrar = array {}, grace = 5000, log = "error",
      debug = false, config = map { a = array { 1 } }, ["acme.extra"] = 7 } }
    t:check("ACTOR-005", p.listening.n == 1, "the address at which it listens",
      value.show(p.listening))
    local d = t:dial(p)
    t:alive(d)
  end,
}

-- Finishing ---------------------------------------------------------------------------------------

-- What the testee does when it has to finish; the link's own end is taken here.
local function ended(t, p, kind, status, req)
  local f = p.actor:expect(kind, req or "ACTOR-012")
  t:check("ACTOR-016", t:open_contexts(p) == 0, "no other context open", t:open_contexts(p)
    .. " open")
  t:ends(p, status or 0)
  return f.value
end

case {
  id = "spawn.end.idle", req = { "ACTOR-012", "SPAWN-014" },
  title = "END on copse.actor is answered with RETURN nil, and the exit status is 0",
  why = "This is the polite end of an actor.",
  run = function(t)
    local p = t:boot()
    p.actor:finish()
    t:is("ACTOR-012", ended(t, p, "RETURN"), value.null, "RETURN")
  end,
}

case {
  id = "spawn.end.drains", req = { "ACTOR-012", "ACTOR-009", "ACTOR-016", "CTX-010" },
  title = "After END what runs may finish, and nothing new begins",
  why = "END means: finish your work.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    p.actor:finish()
    for _, target in ipairs { "tck.echo", "tck.nothing" } do
      p:open(target, map {}):errors("closing", "ACTOR-009")
    end
    p:open("tck.echo", map {}, { deadline = 0 }):errors("closing", "CTX-010")
    p.actor:nothing("ACTOR-012")
    inner:returns_with(5)
    upper:returns(5, "ACTOR-012")
    ended(t, p, "RETURN")
  end,
}

case {
  id = "spawn.end.opens-on", req = { "ACTOR-012", "CROSS-001" },
  title = "An actor that finishes may still open contexts for what runs in it",
  why = "Crossing open-actorend: it goes on until it has its terminals.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { shield = 600000, call = map { target = "x.undo" } })
    p.actor:finish()
    p:barrier()
    c:cancel { grace = 600000 }
    local inner = p:accept("x.undo", "ACTOR-012")
    inner:returns_with(1)
    c:is_cancelled({ origin = "requested" }, "ACTOR-012")
    ended(t, p, "RETURN")
  end,
}

case {
  id = "spawn.end.stops-listening", req = "ACTOR-010",
  title = "After END an actor listens no more",
  why = "Whoever dials it would only be refused.",
  run = function(t)
    local p = t:boot { listen = true }
    local d = t:dial(p)
    d.loose = true
    d:bye()
    d:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
    d:close()
    local upper, inner = relay(p)
    p.actor:finish()
    p:barrier()
    local s, done, err = uv.new_pipe(false), false, nil
    s:connect(p.listening[1]:match("^unix:(.+)"), function(e)
      done, err = true, e
      t:poke()
    end)
    t:await(function() return done end, "an answer of the system", "ACTOR-010")
    s:close()
    t:check("ACTOR-010", err, "a connection refused", "a connection")
    inner:returns_with(1)
    upper:returns(1)
    ended(t, p, "RETURN")
  end,
}

case {
  id = "spawn.end.other-link", req = { "ACTOR-013", "ACTOR-012", "LINK-003" },
  title = "A peer that does not read its answers delays the end by no more than the grace",
  why = "A stranger must not keep a tree alive.",
  run = function(t)
    local p = t:boot { listen = true, args = { grace = 150 } }
    local d = t:dial(p)
    d.loose = true
    d:hold()
    local v = value.bin(("v"):rep(300000))
    for _ = 1, 30 do
      local bytes = value.encode(map { target = "tck.echo", args = map { v = v } })
      d:send_split({ "OPEN", d:new_id(), payload = bytes }, 60000)
    end
    local before = t:stat(p).ran
    t:poll(function() return t:stat(p).ran - before > 20 end)
    p.actor:finish()
    ended(t, p, "RETURN", 0, "ACTOR-013")
  end,
}

case {
  id = "spawn.end.other-link-finishes", req = "ACTOR-012",
  title = "Contexts on other links may finish after END as well",
  why = "They are the actor's work, whoever ordered it.",
  run = function(t)
    local p = t:boot { listen = true }
    local d = t:dial(p)
    d.loose = true
    local upper, inner = relay(d)
    p.actor:finish()
    p.actor:nothing("ACTOR-012")
    inner:returns_with(3)
    upper:returns(3, "ACTOR-012")
    ended(t, p, "RETURN")
  end,
}

case {
  id = "spawn.end.then-cancel", req = { "ACTOR-015", "CANCEL-012" },
  title = "CANCEL after END ends an actor that does not come to its end",
  why = "The ladder begins with it.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.gate", map { key = "never" })
    c:expect("STARTED")
    p.actor:finish()
    p.actor:nothing("ACTOR-012")
    p.actor:cancel { origin = "parent", grace = 1000 }
    c:is_cancelled({ origin = "parent" }, "ACTOR-015")
    t:is("CANCEL-012", ended(t, p, "CANCELLED").origin, "parent", "origin")
  end,
}

for _, origin in ipairs { "requested", "error", "deadline", "parent", "shutdown", "link_lost" } do
  case {
    id = "spawn.cancel." .. origin:gsub("_", "-"), req = { "ACTOR-015", "CANCEL-012", "SPAWN-014" },
    title = "CANCEL of origin " .. origin
      .. " on copse.actor cancels all that runs in the actor, with this cause",
    why = "It is the cancellation of the whole subtree.",
    run = function(t)
      local p = t:boot()
      local by = value.ref(("b"):rep(16), "boss", {})
      local gate = p:open("tck.gate", map { key = "never" })
      gate:expect("STARTED")
      local upper, inner = relay(p)
      local clean = play.cleanup(p)
      p.actor:cancel { origin = origin, by = by, message = "enough", grace = 60000 }
      local f = inner:expect("CANCEL", "ACTOR-015")
      t:is("CANCEL-012", f.value.origin, origin, "origin")
      t:is("CANCEL-012", f.value.by, by, "by")
      p:open("tck.echo", map {}):errors("closing", "ACTOR-009")
      for _, c in ipairs { gate, clean } do
        c:is_cancelled({ origin = origin, by = by, message = "enough", ran = true }, "CANCEL-012")
      end
      upper:nothing("MODEL-002")
      p.actor:nothing("ACTOR-016")
      inner:cancelled_with { origin = origin }
      upper:is_cancelled({ origin = origin, by = by }, "CANCEL-012")
      local v = ended(t, p, "CANCELLED")
      t:is("CANCEL-012", v.origin, origin, "origin")
      t:is("CTX-006", v.ran, true, "ran")
    end,
  }
end

case {
  id = "spawn.cancel-mess", req = { "ACTOR-016", "SPAWN-014", "ACTOR-008" },
  title = "A failed clean-up in a context of others does not change how the actor ends",
  why = "The error belongs to that context, and was reported there.",
  run = function(t)
    local p = t:boot()
    local c = play.cleanup(p, { error = "acme.mess" })
    p.actor:cancel { origin = "parent", grace = 60000 }
    c:errors("acme.mess", "CANCEL-009", { cancelled = true })
    ended(t, p, "CANCELLED")
  end,
}

case {
  id = "spawn.order.terminal-last", req = "ACTOR-016",
  title = "The terminal of copse.actor is the last frame on its link",
  why = "After it there is nobody to send anything.",
  run = function(t)
    local p = t:boot()
    local list = {}
    for i = 1, 30 do
      list[i] = p:open("tck.gate", map { key = "never" })
      list[i]:expect("STARTED")
    end
    p.actor:cancel { origin = "parent", grace = 60000 }
    p:await_eof("SPAWN-014")
    local last = p.inbox[#p.inbox]
    if last.name == "BYE" then last = p.inbox[#p.inbox - 1] end
    t:check("ACTOR-016", last.ctx == p.actor.id and frame.terminal[last.name],
      "the terminal of copse.actor",
      frame.show(last))
    p:close()
    t:expect_exit(p.process, 0)
  end,
}
