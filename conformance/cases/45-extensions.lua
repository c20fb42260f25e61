-- SPDX-License-Identifier: MIT
--
-- Chapter 21, and the rows of chapter 20 about what nobody knows: kinds, keys, features, codes,
-- addresses and targets of a later version or of somebody's own. What may be ignored is, without a
-- trace, and what may not is refused with the right code.
local case = ...
local Context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local gate, inner, echo = play.gate, play.inner, play.echo

-- Kinds -------------------------------------------------------------------------------------------

case {
  id = "extension.kinds", req = "EXT-003",
  title = "Each of the kinds 0x40 to 0x7f is skipped, with and without `more`, on any context",
  why = "An extension must be able to speak to a peer that has never heard of it.",
  run = function(t)
    local d = t:boot()
    local over = d:open("tck.echo", map { v = 1 })
    over:returns(1)
    local c = gate(d)
    for kind = 0x40, 0x7f do
      for _, ctx in ipairs { 0, c.id, over.id, c.id + 200, c.id + 1, 1 << 53, -1 } do
        d:put(kind, ctx, "\xc1\xc1", { more = kind % 2 == 0 })
        d:put(kind, ctx, "", { more = kind % 2 == 1 })
      end
      d:barrier()
    end
    d:nothing(nil, "EXT-003")
    t:open_gate(d, "k")
    c:returns(7, "EXT-004")
  end,
}

for _, o in ipairs {
  { "context-0", 0 }, { "fresh", 4001 }, { "fresh-other-parity", 4000 }, { "beyond", 1 << 60 },
    { "all-ones", -1 },
} do
  pattern.both(case, {
    id = "extension.context." .. o[1], req = { "EXT-003", "EXT-004" },
    title = "A skipped frame on context " .. o[1] .. " opens nothing and uses no id",
    why = "What is skipped changes nothing.",
    run = function(t, d)
      d:put(0x41, o[2], "\1\2\3", { more = true })
      d:put(0x41, o[2], "")
      d:put(0x7f, o[2], ("\xff"):rep(1000))
      d:nothing(nil, "EXT-004")
      d:open("tck.echo", map { v = 1 }):returns(1, "EXT-004")
      if d.connector then
        d:bye()
        local f = d:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
        t:is("EXT-004", f.value.last, 1, "last")
        d:shutdown()
        d:await_eof("LINK-010")
      end
    end,
  })
end

pattern.both(case, {
  id = "extension.between-fragments", req = { "EXT-003", "EXT-004", "FRAME-018" },
  title = "Skipped frames between the fragments of a message, on its context too, do not disturb"
    .. " it",
  why = "Not even the rules of fragments are theirs.",
  run = function(_, d)
    local id = d:new_id()
    for at = 1, #echo do
      d:send { "OPEN", id, payload = echo:sub(at, at), more = at < #echo }
      if at < #echo then
        d:put(0x40 + at % 0x40, id, "\xc1", { more = at % 3 == 0 })
        d:put(0x50, 0, "")
      end
    end
    Context.new(d, id, true):returns(7, "EXT-004")
    local below, upper = inner(d)
    below:send("RETURN", nil, { payload = "\xa2", more = true })
    d:put(0x60, below.id, "\xa2", { more = true })
    below:send("RETURN", nil, { payload = "ok" })
    upper:returns("ok", "EXT-004")
  end,
})

pattern.both(case, {
  id = "extension.not-counted", req = "EXT-004",
  title = "Unfinished frames of extension kinds do not count as partials, contexts or credit",
  why = "They count against no limit but `frame`.",
  run = function(_, d)
    for i = 1, d:limit("partials") * 2 + 400 do
      d:put(0x42, d:new_id(), "\1", { more = true })
      if i % 100 == 0 then d:barrier() end
    end
    local n = d:limit("partials")
    local list = {}
    for i = 1, n do
      local below, upper = inner(d)
      below:send("RETURN", nil, { payload = "\xa2", more = true })
      list[i] = { below, upper }
    end
    d:barrier()
    for _, p in ipairs(list) do
      p[1]:send("RETURN", nil, { payload = "ok" })
      p[2]:returns("ok", "EXT-004")
    end
  end,
})

pattern.both(case, {
  id = "extension.longest", req = { "LIMIT-004", "EXT-003" },
  title = "A frame of an extension kind of exactly the frame limit is skipped, whole and byte by"
    .. " byte",
  why = "The valid twin of the one that is a byte too long.",
  run = function(_, d)
    local n = d:limit("frame")
    d:put(0x40, 0, ("\xc1"):rep(n))
    d:barrier()
    d:put(0x7e, 5, ("\xc1"):rep(n), { more = true })
    d.chop = 4096
    d:put(0x55, 5, ("\xc1"):rep(n))
    d.chop = 1
    d:put(0x55, 5, ("\xc1"):rep(50))
    d.chop = nil
    d:nothing(nil, "EXT-003")
  end,
})

case {
  id = "extension.closing", req = "EXT-003",
  title = "A frame of an extension kind is skipped while the link is closing, too",
  why = "HELLO has arrived; that is all it takes.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent)
    local c = gate(d)
    d:bye()
    d:await_frame(function(f) return f.name == "BYE" end, "BYE `none`", "LINK-008")
    d:put(0x40, 0, "\1")
    d:put(0x77, c.id, "\xc1", { more = true })
    d:barrier()
    t:open_gate(parent, "k")
    c:returns(7, "EXT-003")
    d:shutdown()
    d:await_eof("LINK-010")
  end,
}

-- Unassigned kinds are for later versions: they are no extensions. Every one of them is tried in
-- 35-framing; here, beside each other, the last that is refused and the first that is skipped.
pattern.reject(case, {
  id = "extension.border", req = { "FRAME-005", "EXT-003" }, code = "frame", names = false,
  title = "Kind 0x40 is skipped and kind 0x3f is a violation `frame`",
  why = "A receiver that skips what it does not know misses what it has to know.",
  setup = function(_, d)
    d:put(0x40, 0, "\1")
    d:barrier()
  end,
  bad = function(_, d) d:put(0x3f, 0, "\1") end,
})

-- Keys --------------------------------------------------------------------------------------------

local unknown = {
  ["acme.x"] = 1, future = value.null, [""] = map {}, ["x\0y"] = array { 1, 2 },
    Target = "tck.none",
  ["code "] = "none", ["\u{1f333}"] = value.bin "b", ref = value.ref(("r"):rep(16), "r",
    { "unix:/x" }),
  ext = value.ext(99, "e"), time = value.ext(-1, "1234"), [("k"):rep(300)] = 0.5,
}
local function with_unknown(base)
  local m = {}
  for k, v in pairs(unknown) do m[k] = v end
  for k, v in pairs(base) do m[k] = v end
  return map(m)
end
-- CANCEL has 1024 bytes.
local function with_few(base)
  local m = { ["acme.x"] = 1, future = value.null, [""] = map {}, ref = unknown.ref,
    ext = unknown.ext }
  for k, v in pairs(base) do m[k] = v end
  return map(m)
end

pattern.both(case, {
  id = "extension.keys.open", req = "VALUE-011",
  title = "Keys of OPEN that nobody knows are ignored, whatever their value",
  why = "That is how the next version says more to this one.",
  run = function(_, d)
    local id = d:new_id()
    d:send { "OPEN", id, value = with_unknown { target = "tck.echo", args = map { v = 3 } } }
    Context.new(d, id, true):returns(3, "VALUE-011")
  end,
})
pattern.both(case, {
  id = "extension.keys.cancel", req = "VALUE-011",
  title = "Keys of CANCEL that nobody knows are ignored and not passed on as if they were known",
  why = "The cause is what the table says it is.",
  run = function(t, d)
    local below, upper = inner(d)
    upper:send("CANCEL", with_few { origin = "requested", message = "why", grace = 5000 })
    local f = below:expect("CANCEL", "VALUE-011")
    t:is("VALUE-011", f.value.message, "why", "message")
    below:cancelled_with { origin = "requested", message = "why" }
    upper:is_cancelled({ origin = "requested", message = "why" }, "VALUE-011")
  end,
})
pattern.both(case, {
  id = "extension.keys.error", req = "VALUE-011",
  title = "Keys of ERROR, and of an error in its causes, that nobody knows do no harm",
  why = "An error that cannot be read is lost.",
  run = function(t, d)
    local below, upper = inner(d)
    below:send("ERROR", with_unknown { code = "acme.x", message = "m", type = "T",
      causes = array { with_unknown { code = "failed", message = "c" } } })
    local e = upper:errors("acme.x", "VALUE-011", { message = "m", type = "T" })
    local good = value.is_array(e.causes) and e.causes.n == 1 and e.causes[1].message == "c"
    t:check("VALUE-011", good, "its cause", value.show(e.causes))
  end,
})
pattern.both(case, {
  id = "extension.keys.cancelled", req = "VALUE-011",
  title = "Keys of CANCELLED that nobody knows do no harm",
  why = "The answer to a CANCEL has to arrive.",
  run = function(_, d)
    local below, upper = inner(d)
    upper:cancel { message = "why" }
    below:expect("CANCEL")
    below:send("CANCELLED", with_unknown { origin = "requested", ran = true })
    upper:is_cancelled({ origin = "requested", message = "why" }, "VALUE-011")
    below, upper = inner(d)
    below.link.monitor.ctx[below.id].cancelled = true
    below:send("CANCELLED", with_unknown { origin = "shutdown", ran = true })
    upper:errors("cancelled", "VALUE-011")
  end,
})
case {
  id = "extension.keys.hello-and-bye", req = "VALUE-011",
  title = "Keys of HELLO, of its limits and of BYE that nobody knows are ignored",
  why = "The first and the last word on a link are those that versions have in common.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { raw = true })
    local base = { copse = array { 1, 9 }, actor = value.ref(("o"):rep(16), "o", {}),
      limits = map { contexts = 20, packets = 7, [""] = value.null },
      features = array { "stream", "acme.y" } }
    d:send { "HELLO", value = with_unknown(base) }
    d:expect_hello("VALUE-011")
    d:open("tck.echo", map { v = 1 }):returns(1, "VALUE-011")
    d.auto_bye = false
    d:send { "BYE", value = with_unknown { code = "none" } }
    d:await_frame(function(f) return f.name == "BYE" and f.value.code == "none" end, "BYE `none`",
      "VALUE-011")
    d:shutdown()
    d:await_eof("LINK-010")
    t:alive(parent)
  end,
}
case {
  id = "extension.keys.actor", req = "VALUE-011", needs = "hello",
  title = "Arguments of copse.actor that nobody knows are ignored",
  why = "A newer parent tells more than an older child can hear.",
  run = function(t)
    local link = t:spawn()
    t:handshake(link)
    local args = with_unknown { parent = t.actor, grace = 4000, config = map { any = array { 1 } } }
    link.actor = link:open("copse.actor", args, { send = true })
    link.actor:expect("STARTED", "VALUE-011")
    t:alive(link)
  end,
}
pattern.both(case, {
  id = "extension.meta", req = { "VALUE-011", "KIND-018" },
  title = "Keys of `meta` that the callee does not know mean nothing to it, copse's own names"
    .. " included",
  why = "They are for whoever asks for them.",
  run = function(_, d)
    d:open("tck.echo", map { v = 1 }, { meta = map { tenant = "a", deadline = 0,
      ["copse.deadline"] = 0,
      credit = array { 1, 1 }, [""] = value.null } }):returns(1, "VALUE-011")
  end,
})

-- Names -------------------------------------------------------------------------------------------

for _, code in ipairs { "acme.quota", "later", "x", ("c"):rep(64), "none", "state", "no_target ",
  "FAILED" } do
  pattern.both(case, {
    id = "extension.error-code." .. code:gsub("[^%w]", "-"):sub(1, 12),
    req = { "ERROR-010", "ERROR-005" },
    title = "The unknown error code `" .. code:sub(1, 12) .. "` is passed on unchanged",
    why = "Whoever is further up may know it.",
    run = function(_, d)
      local below, upper = inner(d)
      below:fail_with { code = code, message = "m", type = "T" }
      upper:errors(code, "ERROR-010", { message = "m", type = "T" })
    end,
  })
end

pattern.both(case, {
  id = "extension.targets", req = { "KIND-014", "ACTOR-007" },
  title = "Targets that are not there are answered `no_target`, those of later versions too",
  why = "A peer can ask for what may be there and go on without it.",
  run = function(_, d)
    for _, target in ipairs { "copse.future", "copse.", "copse", "tck.", "tck.echo ", "TCK.ECHO",
      "tck.echo\0",
      "\u{1f333}", " ", ("t"):rep(255), "copse.actor.x" } do
      d:open(target, map {}):errors("no_target", "KIND-014")
    end
    d:open("tck.echo", map { v = 1 }):returns(1)
  end,
})

pattern.reject(case, {
  id = "extension.origin", req = "VALUE-012", code = "schema",
  title = "An origin of CANCEL that nobody knows is a violation `schema`",
  why = "Causes are a closed list: what cannot be understood cannot be passed on.",
  setup = function(_, d) return gate(d) end,
  bad = function(_, d, c) d:put("CANCEL", c.id, value.encode(map { origin = "acme.bored" })) end,
})

for _, code in ipairs { "bored", "acme.own", "X", ("b"):rep(64) } do
  case {
    id = "extension.bye-code." .. code:sub(1, 8):gsub("%.", "-"), req = "KIND-001",
    title = "BYE with the unknown code `" .. code:sub(1, 8) .. "` ends the link as `internal` does",
    why = "An end is an end, whatever it is called.",
    run = function(t)
      local parent = t:boot { listen = true }
      local d = t:dial(parent)
      local upper = d:open("tck.relay", map { target = "x.in" })
      d:accept("x.in")
      local c = gate(d)
      d:bye { code = code }
      d:await_eof("KIND-001")
      t:check("KIND-001", not d:first_bye(), "no answer", "BYE")
      d:close()
      t:alive(parent)
      t:check("KIND-001", upper.id ~= c.id, "two contexts", "one")
    end,
  }
end

-- Everything at once ------------------------------------------------------------------------------

-- A peer of a later version: unknown features, keys and frames wherever they may stand. The session
-- has to go as it would without them.
for _, place in ipairs { "parent", "dialled" } do
  case {
    id = "extension.grease." .. place, req = { "EXT-003", "EXT-004", "VALUE-011", "HELLO-014" },
    profile = "stream",
    title = "A session full of unknown frames, keys and features goes as it would without",
    why = "Only what is exercised stays possible.",
    run = function(t)
      local grease = { features = array { "acme.a", "stream", "grease", "spawn", "registry", "" },
        limits = map { grease = value.null }, grease = array { map { [1] = 2 } } }
      local parent = t:boot { listen = true, hello = grease }
      local d = place == "parent" and parent or t:dial(parent, { hello = grease })
      local write, n = d.write, 0
      -- Between any two frames of the suite one that nobody knows.
      function d:write(bytes)
        n = n + 1
        write(self, bytes)
        write(self, frame.pack { kind = 0x40 + n % 0x40, ctx = n * 7 % 50,
          payload = ("\xc1"):rep(n % 9),
          more = n % 2 == 0 })
      end
      local id = d:new_id()
      local open = with_unknown { target = "tck.echo", args = map { v = 4 } }
      d:send_split({ "OPEN", id, value = open }, 7)
      Context.new(d, id, true):returns(4, "EXT-004")
      local c = d:open("tck.duplex", map {}, { send = true, credit = { 9, 9000 },
        keys = { grease = 1 } })
      c:expect("STARTED")
      for i = 1, 3 do
        c:await_credit(i, "CREDIT-001")
        c:item("item " .. i, { split = 3 })
        c:gives("item " .. i, "EXT-004")
      end
      c:finish()
      c:expect("END")
      c:returns(3, "EXT-004")
      local below, upper = inner(d)
      below:started("s", { split = 1 })
      upper:expect("STARTED", "EXT-004")
      upper:send("CANCEL", with_few { origin = "error" })
      below:expect("CANCEL")
      below:send("CANCELLED", with_unknown { origin = "error", ran = true })
      upper:is_cancelled({ origin = "error" }, "EXT-004")
      d:barrier()
    end,
  }
end

-- What the testee sends ---------------------------------------------------------------------------

case {
  id = "extension.sent", req = { "ODD-001", "EXT-006" }, profile = "stream",
  title = "To a peer that announces nothing the testee sends only what version 1 has",
  why = "An extension is used where it was agreed on.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = { features = array { "stream" } } })
    local foreign
    local on_frame = d.on_frame
    d.on_frame = function(l, f)
      if not frame.kind[f.kind] and f.kind < 0x40 then foreign = f end
      on_frame(l, f)
    end
    local c = d:open("tck.source", map { count = 3 }, { credit = { 9, 900 } })
    c:expect("STARTED")
    for i = 0, 2 do c:gives(i) end
    c:expect("END")
    c:returns(3)
    d:open("tck.fail", map { code = "acme.x" }):errors("acme.x")
    t:check("ODD-001", not foreign, "kinds of version 1, or of extensions",
      foreign and frame.show(foreign) or "")
    local h = d.peer
    for k in pairs(h) do
      local known = ({ copse = 1, actor = 1, agent = 1, limits = 1, features = 1, heartbeat = 1,
        token = 1 })[k]
      t:note("EXT-006", known or tostring(k):find("%."), "keys of HELLO that SPEC.md defines",
        tostring(k))
    end
  end,
}
