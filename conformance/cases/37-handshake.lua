-- SPDX-License-Identifier: MIT
--
-- Chapter 6: the first words on a link. HELLO field by field, versions, features, the order of its
-- faults, what may not come early or twice, and who is too slow.
local case = ...
local frame = require "frame"
local play = require "play"
local uv = require "luv"
local value = require "value"
local map, array, raw = value.map, value.array, value.raw
local dialled = play.dialled

local other = value.ref(("o"):rep(16), "other", {})
local function hello(fields)
  local h = { copse = array { 1, 1 }, actor = other }
  for k, v in pairs(fields or {}) do h[k] = v end
  for k, v in pairs(h) do if v == "left out" then h[k] = nil end end
  return value.encode(map(h))
end

-- Two cases of each: the testee as acceptor, which the suite dials, and as connector, a child of
-- the suite. open(t) gives a link on which the suite has said nothing, own(t) the testee's own id.
local roles = {
  acceptor = {
    needs = "boot", words = "the testee accepts",
    open = function(t)
      t.parent_link = t:boot { listen = true }
      local d = t:dial(t.parent_link, { raw = true })
      return d, t.parent_link.process.id
    end,
    works = function(t, d, req)
      if not d.hello_received then d:expect_hello(req or "HELLO-002") end
      d:open("tck.echo", map { v = 1 }):returns(1, req or "HELLO-002")
      t:alive(t.parent_link)
    end,
    after = function(t) t:alive(t.parent_link) end,
  },
  connector = {
    needs = "hello", words = "the testee connects",
    open = function(t)
      local link = t:spawn()
      link:expect_hello()
      return link, link.process.id
    end,
    works = function(t, link, req)
      link.actor = link:open("copse.actor", t:actor_args(), { send = true })
      link.actor:expect("STARTED", req or "ACTOR-005")
      t:alive(link)
    end,
    after = function() end,
  },
}
local function both(o)
  for _, name in ipairs { "acceptor", "connector" } do
    local role = roles[name]
    case {
      id = o.id .. "." .. name, req = o.req, title = o.title .. " (" .. role.words .. ")",
      why = o.why,
      needs = role.needs, run = function(t)
        local d, id = role.open(t)
        o.run(t, d, role, id)
      end,
    }
  end
end

-- What the testee says ----------------------------------------------------------------------------

case {
  id = "hello.said", req = { "HELLO-001", "SPAWN-005", "VALUE-017" }, needs = "spawn",
  title = "A child says HELLO at once, with its id, its name and version 1",
  why = "The connector does not wait.",
  run = function(t)
    local another = t:spawn { name = "n\u{e9}", id = ("\1"):rep(16) }
    another.loose = true
    local before = another:expect_hello("HELLO-001").actor
    local link = t:spawn { name = "n\u{e9}", id = ("\xfe"):rep(16) }
    local h = link:expect_hello("HELLO-001")
    t:pass("HELLO-001")
    t:check("HELLO-010", h.copse[1] <= 1 and h.copse[2] >= 1, "a range with version 1",
      value.show(h.copse))
    t:note("VALUE-017", h.actor.id ~= before.id, "another id than at the start before",
      "the same, " .. value.show(h.actor))
    t:is("SPAWN-005", value.bin(h.actor.id), value.bin(("\xfe"):rep(16)), "id")
    t:is("SPAWN-005", h.actor.name, "n\u{e9}", "name")
    link.loose = true
  end,
}

case {
  id = "hello.nothing-more", req = "HELLO-003", needs = "spawn",
  title = "Before it has the peer's HELLO a child says its own and nothing else",
  why = "Nothing is agreed on before both have spoken.",
  run = function(t)
    local link = t:spawn()
    link:expect_hello()
    local said = 12 + link.hello_received.length
    t:quiet(function() return link.received ~= said end)
    t:check("HELLO-003", link.received == said, "no byte after HELLO",
      link.received - said .. " bytes")
    link:hello()
    roles.connector.works(t, link)
  end,
}

case {
  id = "hello.nothing-more.acceptor", req = "HELLO-003",
  title = "Before it has the peer's HELLO an acceptor says at most its own",
  why = "Nothing is agreed on before both have spoken.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { raw = true })
    parent:barrier()
    t:quiet(function() return #d.inbox > 1 end)
    for _, f in ipairs(d.inbox) do
      t:check("HELLO-003", f.name == "HELLO", "nothing, or HELLO", frame.show(f))
    end
    t:check("HELLO-003", #d.pongs == 0, "nothing, or HELLO", "PONG")
    d:hello { actor = other }
    d:expect_hello("HELLO-002")
  end,
}

case {
  id = "hello.answered", req = "HELLO-002",
  title = "An acceptor answers HELLO with HELLO, without a further word of the connector",
  why = "Only the acceptor may wait, and only for the connector's HELLO.",
  run = function(t)
    local parent = t:boot { listen = true }
    for _ = 1, 3 do
      local d = t:dial(parent, { raw = true })
      d:hello { actor = other }
      local h = d:expect_hello("HELLO-002")
      t:check("HELLO-002", value.is_ref(h.actor) and h.actor.id == parent.process.id,
        "HELLO of the testee",
        value.show(h))
    end
  end,
}

case {
  id = "hello.answered.finishing", req = "HELLO-002",
  title = "Who connected before the testee began to finish, and says HELLO then, has an answer",
  why = "It has stopped listening, but it has accepted this link: HELLO or BYE, and not silence.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { raw = true })
    local upper = parent:open("tck.relay", map { target = "x.in" })
    local below = parent:accept("x.in")
    t:alive(parent)
    parent.actor:finish()
    parent:barrier()
    d:hello { actor = value.ref(uv.random(16), "late", {}) }
    t:await(function() return d.hello_received or d:first_bye() end, "HELLO or BYE", "HELLO-002")
    local bye = d:first_bye()
    t:check("HELLO-002", not bye or bye.value.code ~= "timeout", "HELLO, or BYE at once",
      bye and frame.show(bye))
    d:close()
    below:returns_with(1)
    upper:terminal("ACTOR-012")
    parent.actor:expect("RETURN", "ACTOR-012")
    t:ends(parent)
  end,
}

case {
  id = "hello.late-acceptor", req = "HELLO-002",
  title = "A child waits for an acceptor that takes its time",
  why = "The acceptor may look at the connector before it says who it is.", needs = "hello",
  run = function(t)
    local link = t:spawn()
    link:expect_hello()
    t:elapse(300 * t.scale)
    link:hello()
    roles.connector.works(t, link)
  end,
}

case {
  id = "hello.features.named", req = { "EXT-006", "HELLO-013" }, needs = "hello",
  title = "The testee announces no feature without a dot that SPEC.md does not know",
  why = "Names without a dot are for later versions.",
  run = function(t)
    local link = t:spawn()
    local h = link:expect_hello()
    local known = { stream = true, spawn = true, registry = true }
    for _, name in ipairs(h.features or {}) do
      t:note("EXT-006", known[name] or name:find("%."), "a name with a dot, or a known one", name)
    end
    t:pass("EXT-006")
    link.loose = true
  end,
}

-- What it accepts ---------------------------------------------------------------------------------

local big = (1 << 53) - 1
for _, g in ipairs {
  { "bare", "HELLO-013", "nothing but version and actor", {} },
  { "range", "HELLO-010", "a range of versions that contains version 1",
    { copse = array { 1, 65535 } } },
  { "range-two", "HELLO-010", "the range 1..2", { copse = array { 1, 2 } } },
  { "agent", "VALUE-012", "an agent of 300 bytes with odd characters",
    { agent = "\u{1b}[2J\0" .. ("a"):rep(300) } },
  { "addresses", "VALUE-016", "an actor with addresses, known and unknown",
    { actor = value.ref(("o"):rep(16), "o", { "unix:/o", "carrier:pigeon" }) } },
  { "limits-empty", "LIMIT-001", "empty limits", { limits = map {} } },
  { "limits-least", "LIMIT-002", "the least of all limits",
    { limits = map { frame = 16384, message = 16384, contexts = 16, partials = 1 } } },
  { "limits-greatest", "LIMIT-003", "the greatest of all limits",
    { limits = map { frame = big, message = big, contexts = big, partials = big } } },
  { "limits-frame-24", "LIMIT-003", "a frame limit of 2^24", { limits = map { frame = 1 << 24 } } },
  { "limits-unknown", "VALUE-011", "limits that nobody knows",
    { limits = map { ["acme.x"] = -1, more = "?" } } },
  { "features-none", "HELLO-013", "an empty list of features", { features = array {} } },
  { "features-unknown", "HELLO-014", "features that nobody knows",
    { features = array { "acme.zip", "stream", "", "later", ("f"):rep(500), "stream" } } },
  { "heartbeat-0", "LIVE-008", "a heartbeat of 0", { heartbeat = 0 } },
  { "heartbeat-1000", "VALUE-012", "a heartbeat of 1000", { heartbeat = 1000 } },
  { "heartbeat-max", "VALUE-012", "a heartbeat of 2^53-1", { heartbeat = big } },
  { "unknown-keys", "VALUE-011", "keys that nobody knows",
    { future = value.null, ["acme.x"] = map { [1] = 2 } } },
  { "long-formats", "VALUE-006", "numbers in their longest formats",
    { copse = raw "\xdd\0\0\0\2\xcf\0\0\0\0\0\0\0\1\xd3\0\0\0\0\0\0\0\1" } },
} do
  both {
    id = "hello.good." .. g[1], req = g[2], title = "HELLO with " .. g[3] .. " opens the link",
    why = "It is legal, however unusual.",
    run = function(t, d, role)
      d:put("HELLO", 0, hello(g[4]))
      role.works(t, d, g[2])
    end,
  }
end

case {
  id = "hello.good.token", req = "HELLO-009",
  title = "A token where none is demanded does no harm",
  why = "Whether a token is the right one is asked by whoever demands one.",
  run = function(t)
    local parent = t:boot { listen = true }
    for _, n in ipairs { 1, 16, 1024 } do
      local d = t:dial(parent, { hello = { token = value.bin(("t"):rep(n)) } })
      d:open("tck.echo", map { v = 1 }):returns(1)
    end
  end,
}

both {
  id = "hello.good.longest", req = "LIMIT-006",
  title = "A HELLO of exactly 16384 bytes opens the link",
  why = "The twin of the one that is a byte too long.",
  run = function(t, d, role)
    local base = #hello { agent = ("a"):rep(1000) }
    d:put("HELLO", 0, hello { agent = ("a"):rep(16384 - base + 1000) })
    role.works(t, d)
  end,
}

both {
  id = "hello.good.bytewise", req = "FRAME-001",
  title = "A HELLO that comes byte by byte opens the link",
  why = "A slow link is a link.",
  run = function(t, d, role)
    d.chop = 1
    d:put("HELLO", 0, hello())
    d.chop = nil
    role.works(t, d)
  end,
}

-- What it refuses ---------------------------------------------------------------------------------

for _, b in ipairs {
  { "copse-missing", { copse = "left out" } }, { "copse-int", { copse = 1 } },
  { "copse-one", { copse = array { 1 } } }, { "copse-three", { copse = array { 1, 1, 1 } } },
  { "copse-zero", { copse = array { 0, 1 } } }, { "copse-65536", { copse = array { 1, 65536 } } },
  { "copse-reversed", { copse = array { 2, 1 } } }, { "copse-str", { copse = array { "1", 1 } } },
  { "copse-float", { copse = array { 1.0, 1 } } }, { "copse-nil", { copse = value.null } },
  { "actor-missing", { actor = "left out" } }, { "actor-str", { actor = "other" } },
  { "actor-bin", { actor = value.bin(("o"):rep(16)) } },
  { "actor-ext", { actor = value.ext(2, "o") } },
  { "agent-int", { agent = 7 } }, { "agent-bin", { agent = value.bin "a" } },
  { "agent-nil", { agent = value.null } },
  { "limits-array", { limits = array {} } }, { "limits-int", { limits = 7 } },
  { "limits-frame-small", { limits = map { frame = 16383 } }, "LIMIT-002" },
  { "limits-frame-str", { limits = map { frame = "65536" } } },
  { "limits-frame-float", { limits = map { frame = 65536.0 } } },
  { "limits-frame-negative", { limits = map { frame = -1 } }, "LIMIT-002" },
  { "limits-frame-2-53", { limits = map { frame = 1 << 53 } } },
  { "limits-frame-nil", { limits = map { frame = value.null } } },
  { "limits-message-small", { limits = map { frame = 16384, message = 16383 } }, "LIMIT-002" },
  { "limits-message-below-frame", { limits = map { frame = 65536, message = 65535 } },
    "LIMIT-002" },
  { "limits-message-below-default", { limits = map { message = 65535 } }, "LIMIT-002" },
  { "limits-contexts-15", { limits = map { contexts = 15 } }, "LIMIT-002" },
  { "limits-partials-0", { limits = map { partials = 0 } }, "LIMIT-002" },
  { "limits-twice", { limits = value.pairs { { "frame", 16384 }, { "frame", 16384 } } },
    "VALUE-010" },
  { "limits-int-key", { limits = map { [7] = 7 } } },
  { "features-str", { features = "stream" } }, { "features-map",
    { features = map { stream = true } } },
  { "features-int", { features = array { "stream", 7 } } },
  { "heartbeat-1", { heartbeat = 1 } }, { "heartbeat-999", { heartbeat = 999 } },
  { "heartbeat-negative", { heartbeat = -1 } }, { "heartbeat-float", { heartbeat = 5000.0 } },
  { "heartbeat-2-53", { heartbeat = 1 << 53 } }, { "heartbeat-bool", { heartbeat = true } },
  { "token-str", { token = "secret" } }, { "token-empty", { token = value.bin "" } },
  { "token-1025", { token = value.bin(("t"):rep(1025)) } }, { "token-nil", { token = value.null } },
} do
  both {
    id = "hello.bad." .. b[1], req = b[3] or "VALUE-012",
    title = "HELLO whose field is bad (" .. b[1] .. ") is a violation `schema`",
    why = "What a peer gets wrong here it gets wrong for the life of the link.",
    run = function(t, d, role)
      d:put("HELLO", 0, hello(b[2]))
      d:violation("schema", 0, b[3] or "VALUE-012")
      role.after(t)
    end,
  }
end

for _, b in ipairs {
  { "nothing", "\x80", "schema", "VALUE-012" }, { "array", "\x92\1\1", "schema", "VALUE-012" },
  { "empty", "", "value", "VALUE-001" }, { "two", hello() .. hello(), "value", "VALUE-001" },
  { "reserved", "\xc1", "value", "VALUE-001" }, { "bomb", "\xdf\xff\xff\xff\xff", "value",
    "VALUE-001" },
  { "bad-ref", hello { actor = raw "\xd4\1\x90" }, "value", "VALUE-015" },
  { "utf8", hello { agent = "\xff" }, "value", "VALUE-002" },
  { "twice", "\x83" .. hello():sub(2) .. "\xa5copse\x92\1\1", "schema", "VALUE-010" },
  { "version", hello { copse = array { 2, 65535 } }, "version", "HELLO-011" },
} do
  both {
    id = "hello.payload." .. b[1], req = b[4],
    title = "HELLO whose payload is bad (" .. b[1] .. ") is a violation `" .. b[3] .. "`",
    why = "The other side is told why, before anything has begun.",
    run = function(t, d, role)
      d:put("HELLO", 0, b[2])
      d:violation(b[3], 0, b[4])
      role.after(t)
    end,
  }
end

both {
  id = "hello.echo", req = "HELLO-007",
  title = "A HELLO with the testee's own id is answered BYE `echo`",
  why = "A program that copies its input to its output echoes a perfect HELLO.",
  run = function(t, d, role, id)
    d:put("HELLO", 0, hello { actor = value.ref(id, "somebody", {}) })
    d:violation("echo", 0, "HELLO-007")
    role.after(t)
  end,
}
case {
  id = "hello.echo.bytes", req = "HELLO-007", needs = "hello",
  title = "A child whose very bytes come back says BYE `echo`",
  why = "That is what `cat` in the place of a parent does.",
  run = function(t)
    local link = t:spawn()
    link:expect_hello()
    link:say(frame.pack { kind = "HELLO", payload = link.hello_received.payload })
    link:violation("echo", 0, "HELLO-007")
  end,
}

-- Several faults at once: the first of schema, echo, version, token and wrong_actor is said.
for _, b in ipairs {
  { "schema-echo", "schema", function(id)
    return { actor = value.ref(id, "x", {}), limits = map { contexts = 1 } }
  end },
  { "schema-version", "schema", function() return { copse = array { 7, 9 }, heartbeat = 1 } end },
  { "echo-version", "echo", function(id)
    return { actor = value.ref(id, "x", {}), copse = array { 7, 9 } }
  end },
} do
  both {
    id = "hello.order." .. b[1], req = "HELLO-007",
    title = "A HELLO with the faults " .. b[1] .. " is answered BYE `" .. b[2] .. "`",
    why = "Two peers give the same reason.",
    run = function(t, d, role, id)
      d:put("HELLO", 0, hello(b[3](id)))
      d:violation(b[2], 0, "HELLO-007")
      role.after(t)
    end,
  }
end

-- Shape and moment --------------------------------------------------------------------------------

for _, b in ipairs {
  { "long", "LIMIT-006", "limit", 0, "", { length = 16385 } },
  { "more", "FRAME-013", "frame", 0, hello(), { more = true } },
  { "context", "FRAME-004", "frame", 1, hello() },
} do
  both {
    id = "hello.shape." .. b[1], req = b[2], title = "HELLO that is wrong in shape (" .. b[1]
      .. ") is a violation `" .. b[3] .. "`", why = "It is a HELLO all the same, not noise.",
    run = function(t, d, role)
      d:put("HELLO", b[4], b[5], b[6])
      d:violation(b[3], b[4], b[2])
      role.after(t)
    end,
  }
end

local early = {
  PING = "\1", PONG = "\1", OPEN = value.encode(map { target = "tck.echo", args = map {} }),
    STARTED = "\xc0",
  ITEM = "\1", END = "", STOP = "", CREDIT = "\x92\1\1",
    CANCEL = value.encode(map { origin = "requested" }),
  RETURN = "\1", ERROR = value.encode(map { code = "failed", message = "" }),
  CANCELLED = value.encode(map { origin = "requested", ran = true }), [0x00] = "", [0x2a] = "\1",
    [0x40] = "",
  [0x7f] = "\1",
}
local names = {}
for k in pairs(early) do names[#names + 1] = k end
table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
for _, kind in ipairs(names) do
  local name = type(kind) == "number" and string.format("0x%02x", kind) or kind
  local ctx = type(kind) == "string" and frame.kind[kind].from ~= "link" and 1 or 0
  both {
    id = "hello.early." .. name, req = "HELLO-004",
    title = name .. " before HELLO is a violation `state`",
    why = "Before HELLO nothing has a meaning, an extension least of all.",
    run = function(t, d, role)
      d:put(kind, ctx, early[kind])
      d:violation("state", nil, "HELLO-004")
      role.after(t)
    end,
  }
end

for _, b in ipairs {
  { "http", "HTTP/1.1 400 Bad Request\r\n\r\n" }, { "shell",
    "sh: 1: no such command: copse-thing\n" },
  { "zeros", ("\0"):rep(24) }, { "ones", ("\xff"):rep(24) }, { "ssh", "SSH-2.0-OpenSSH_9.2\r\n" },
} do
  both {
    id = "hello.noise." .. b[1], req = "HELLO-004",
    title = "Bytes that are no HELLO (" .. b[1] .. ") are a violation `state`",
    why = "A program that prints to its standard output is told so, not waited for.",
    run = function(t, d, role)
      d:raw(b[2])
      d:violation("state", nil, "HELLO-004")
      role.after(t)
    end,
  }
end

for _, moment in ipairs { "at-once", "later", "closing" } do
  both {
    id = "hello.second." .. moment, req = "HELLO-005",
    title = "A second HELLO, " .. moment .. ", is a violation `state`",
    why = "Limits do not change under contexts that rely on them.",
    run = function(t, d, role)
      d:put("HELLO", 0, hello())
      if not d.hello_received then d:expect_hello("HELLO-002") end
      if moment ~= "at-once" then
        d:barrier()
        local opening = role == roles.connector
        if opening then role.works(t, d) else play.gate(d) end
      end
      if moment == "closing" then
        d:bye()
        d:await_frame(function(f) return f.name == "BYE" end, "BYE `none`", "LINK-008")
      end
      d:put("HELLO", 0, hello())
      d:violation("state", 0, "HELLO-005")
      role.after(t)
    end,
  }
end

-- Time --------------------------------------------------------------------------------------------

case {
  id = "hello.silence", req = "HELLO-006", await = 40000, watchdog = 240000,
  title = "Whoever says no HELLO within 10 s is told BYE `timeout`, silent or dribbling",
  why = "A link that never begins must not be held for ever.",
  run = function(t)
    local parent = t:boot { listen = true }
    local links = { t:dial(parent, { raw = true }), t:dial(parent, { raw = true }), (t:spawn()) }
    local began = uv.now()
    local bytes = frame.pack { kind = "HELLO", payload = hello { agent = ("a"):rep(200) } }
    local at = 0
    -- The second dribbles: a byte every 300 ms, which is a sign of life but no HELLO.
    while not links[2]:first_bye() and not links[2].eof and at < 120 do
      at = at + 1
      links[2]:write(bytes:sub(at, at))
      t.task:wait(function() return links[2]:first_bye() or links[2].eof end, 300)
    end
    t:check("HELLO-006", links[2]:first_bye() or links[2].eof, "BYE `timeout` between these bytes",
      "nothing after " .. at .. " bytes in " .. uv.now() - began .. " ms")
    for i, d in ipairs(links) do
      if i < 3 or not d:first_bye() then
        t:await(function() return d:first_bye() or d.eof end, "BYE `timeout`", "HELLO-006")
      end
      local elapsed = uv.now() - began
      t:check("HELLO-006", elapsed >= 9000, "not before 10 s have passed", elapsed .. " ms")
      d:violation("timeout", 0, "HELLO-006")
    end
    t:alive(parent)
  end,
}

-- Features ----------------------------------------------------------------------------------------

both {
  id = "hello.features.credit", req = "HELLO-015",
  title = "Without the feature `stream` the `credit` of an OPEN is taken as absent",
  why = "A callee that sends items all the same sends an unknown kind.",
  run = function(t, d, role)
    d:put("HELLO", 0, hello { features = array { "spawn" } })
    role.works(t, d)
    local c = d:open("tck.echo", map { v = 5 }, { credit = { 4, 4000 }, send = true })
    c:returns(5, "HELLO-015")
    c = d:open("tck.gate", map { key = "k", started = 3 }, { credit = { 4, 4000 } })
    local f = c:expect("STARTED", "HELLO-015")
    t:is("HELLO-015", f.value, 3, "STARTED")
    c:cancel()
    c:is_cancelled({}, "HELLO-015")
  end,
}
case {
  id = "hello.features.credit.source", req = { "HELLO-015", "HELLO-013" }, profile = "stream",
  title = "On a link without `stream` a handler that would send items sends none",
  why = "What one side does not speak is not spoken.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = { features = array {} } })
    local c = d:open("tck.source", map { count = 3 }, { credit = { 8, 8000 } })
    c:expect("STARTED", "HELLO-015")
    -- To its end, so that the monitor has seen all that came.
    t:await(function() return d.monitor:life_of(c.id) == "ended" or d:first_bye() or d.eof end,
      "RETURN or ERROR on context " .. c.id, "HELLO-015")
    local f = c:expect({ "RETURN", "ERROR" }, "HELLO-015")
    if f.name == "RETURN" then t:is("HELLO-015", f.value, 0, "items sent:") end
    -- The twin: another link of the same two actors, which has agreed on streams.
    local e = t:dial(parent)
    c = e:open("tck.source", map { count = 1 }, { credit = { 8, 8000 } })
    c:expect("STARTED")
    c:gives(0, "HELLO-013")
    c:expect("END")
    c:returns(1)
  end,
}

-- Dialled by the testee ---------------------------------------------------------------------------

-- Has the testee dial a listener of the suite. Returns the context above, the link, and the id that
-- was dialled.

case {
  id = "hello.dial.good", req = { "HELLO-001", "HELLO-008" },
  title = "An actor that is dialled by its reference and has its id is used",
  why = "The valid twin of the wrong one.",
  run = function(t)
    local p = t:boot()
    local c, link, id = dialled(t, p, { token = "secret" })
    t:is("HELLO-009", link.peer.token, value.bin "secret", "token")
    link:hello { actor = value.ref(id, "there", {}) }
    link:accept("x.there"):returns_with(11)
    c:returns(11, "HELLO-008")
    link:await_frame(function(f) return f.name == "BYE" end, "BYE `none`", "LINK-010")
    link:await_eof("LINK-010")
  end,
}

for _, b in ipairs {
  { "wrong-actor", {}, "wrong_actor", true },
  { "wrong-and-version", { copse = array { 3, 4 } }, "version" },
  { "wrong-and-schema", { copse = array { 3, 4 }, features = 7 }, "schema" },
} do
  case {
    id = "hello.dial." .. b[1], req = "HELLO-008",
    title = "Another actor than the one that was dialled is told BYE `" .. b[3] .. "`",
    why = "Addresses are used again by others; an id is not.",
    run = function(t)
      local p = t:boot()
      local c, link = dialled(t, p)
      link:put("HELLO", 0, hello(b[2]))
      link:violation(b[3], 0, "HELLO-008")
      local e = c:expect("ERROR", "HELLO-008").value
      local good = e.code == "wrong_actor" or not b[4] and e.code ~= "failed"
      t:check("HELLO-008", good, "the error `wrong_actor`", e.code)
    end,
  }
end
