-- SPDX-License-Identifier: MIT
--
-- Errors: what one carries, how it travels, and what refuses a context before it has run.
local case = ...
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local relay = play.relay

local function actor_of(p) return value.ref(p.peer.actor.id, p.peer.actor.name, {}) end
local function someone(n) return value.ref(("\x40"):rep(15) .. string.char(n), "n" .. n, {}) end

local function same(t, req, e, key, want)
  t:check(req, value.eq(e[key], want), key .. " " .. value.show(want), key .. " "
    .. value.show(e[key]))
end

-- Where it arises ---------------------------------------------------------------------------------

for _, d in ipairs {
  { "nil", value.null }, { "bool", false }, { "integer", -(1 << 62) }, { "float", 0.5 }, { "str",
    "\u{1F333}" },
  { "bin", value.bin "\0\xff" }, { "array", array { 1, array {} } },
  { "map", map { a = 1, [7] = map {} } }, { "ref", someone(1) }, { "ext", value.ext(99, "x") },
} do
  case {
    id = "error.data." .. d[1], req = { "ERROR-002", "VALUE-006" },
    title = "An error carries data of type " .. d[1] .. " as it is",
    why = "`data` is user code's own.",
    run = function(t)
      local p = t:boot()
      local c = p:open("tck.fail", map { code = "acme.x", message = "no", data = d[2] })
      local e = c:errors("acme.x", "ERROR-002", { message = "no" })
      same(t, "VALUE-006", e, "data", d[2])
      same(t, "ERROR-002", e, "actor", actor_of(p))
      t:check("ERROR-002", e.via == nil or e.via.n == 0, "no via", value.show(e))
      t:check("ERROR-002", e.causes == nil or e.causes.n == 0, "no causes", value.show(e))
      t:check("CANCEL-009", not e.cancelled, "no `cancelled`", value.show(e))
    end,
  }
end

pattern.both(case, {
  id = "error.default", req = { "ERROR-001", "ERROR-002" },
  title = "An ordinary exception is `failed`, and names the actor in which it arose",
  why = "The code is for programs; that of an exception nobody coded is one and the same.",
  run = function(t, p)
    local e = p:open("tck.fail", map {}):errors("failed", "ERROR-001", { message = "" })
    same(t, "ERROR-002", e, "actor", actor_of(p))
  end,
})

case {
  id = "error.message", req = "ERROR-005",
  title = "A message keeps its control characters, NUL included",
  why = "Cleaning it is the business of what shows it.",
  run = function(t)
    local p = t:boot()
    local text = "a\0b\nc\27[31m\u{202e}"
    p:open("tck.fail", map { message = text }):errors("failed", "ERROR-001", { message = text })
  end,
}

case {
  id = "error.items-first", req = { "FRAME-027", "CREDIT-003" }, profile = "stream",
  title = "An ERROR comes after the items that were sent before it",
  why = "A terminal overtakes no message that was sent.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.fail", map { code = "acme.x", items = 5 }, { credit = { 3, 1000 } })
    c:expect("STARTED")
    for i = 0, 2 do c:gives(i) end
    c:nothing("CREDIT-003")
    c:credit(5, 1000)
    for i = 3, 4 do c:gives(i) end
    c:errors("acme.x", "FRAME-027")
  end,
}

case {
  id = "error.isolated", req = { "ACTOR-008", "ERROR-011" },
  title = "A hundred errors and refusals leave the link and its other contexts as they were",
  why = "An error belongs to one context.",
  run = function(t)
    local p = t:boot()
    local g = p:open("tck.gate", map { key = "k", value = 1 })
    g:expect("STARTED")
    for i = 1, 100 do
      p:open(i % 2 == 0 and "tck.fail" or "tck.none", map {}):errors(i % 2 == 0 and "failed"
        or "no_target",
        "ERROR-011")
    end
    t:open_gate(p, "k")
    g:returns(1, "ACTOR-008")
  end,
}

-- Passing on --------------------------------------------------------------------------------------

for _, code in ipairs {
  "failed", "cancelled", "deadline", "group", "no_target", "denied", "bad_args", "not_ready",
  "closing", "busy", "too_large", "link_lost", "died", "spawn_failed", "boot_timeout",
  "unreachable", "not_found", "conflict", "wrong_actor", "unresponsive", "no_memory",
  "acme.quota", "nobody_knows", "x", ("c"):rep(64), "\u{e9}\u{e8}",
} do
  case {
    id = "error.code." .. (code:find("^[%w_.]+$") and #code < 30 and code:gsub("_", "-")
      or #code .. "-bytes"),
    req = { "ERROR-005", "ERROR-010" },
    title = "The code " .. (#code < 30 and code or "of 64 bytes") .. " is passed on as it came",
    why = "Known or not, a code is for whoever asked.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p)
      inner:fail_with { code = code, message = "m" }
      upper:errors(code, "ERROR-005", { message = "m" })
    end,
  }
end

case {
  id = "error.pass.whole", req = { "ERROR-005", "ERROR-003" },
  title = "A single error is passed on with everything that was in it, one entry longer in `via`",
  why = "The report at the top must be the report from the bottom.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    local given = {
      code = "acme.x", message = "no such luck", type = "LuckError", stack = "a:1\nb:2",
      actor = someone(1), via = array { someone(2), someone(3) },
      causes = array { map { code = "failed", message = "why", actor = someone(4),
        via = array { someone(5) },
        data = map { deep = array { 1, 2.5 } } }, map { code = "c", message = "",
          cancelled = true } },
      data = map { k = value.bin "\0\1", r = someone(6) },
    }
    inner:fail_with(given)
    local e = upper:errors("acme.x", "ERROR-005")
    for _, k in ipairs { "code", "message", "type", "stack", "actor", "causes", "data" } do
      same(t, "ERROR-005", e, k, given[k])
    end
    same(t, "ERROR-003", e, "via", array { someone(2), someone(3), t.actor })
    t:check("ERROR-005", not e.cancelled, "no `cancelled`", value.show(e))
  end,
}

case {
  id = "error.pass.bare", req = { "ERROR-005", "ERROR-003" },
  title = "An error of a code and a message gains nothing but a `via`",
  why = "Whoever passes on invents nothing.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    inner:fail_with { code = "failed", message = "m" }
    local e = upper:errors("failed", "ERROR-005", { message = "m" })
    same(t, "ERROR-003", e, "via", array { t.actor })
    t:check("ERROR-005", e.actor == nil, "no actor, as it came", value.show(e))
    t:check("ERROR-005", e.data == nil, "no data, as it came", value.show(e))
    t:check("ERROR-005", e.causes == nil or e.causes.n == 0, "no causes, as it came", value.show(e))
  end,
}

case {
  id = "error.pass.data-nil", req = { "ERROR-005", "VALUE-013" },
  title = "`data` that is nil is not the same as none",
  why = "nil is a user value.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    inner:fail_with { data = value.null }
    local e = upper:errors("failed", "ERROR-005")
    t:check("ERROR-005", e.data == nil or e.data == value.null, "data nil, or none", value.show(e))
  end,
}

case {
  id = "error.pass.cancelled-flag", req = { "ERROR-005", "CANCEL-009" },
  title = "`cancelled` of an error stays when it is passed on by one that was not cancelled",
  why = "It says that the error is an aftermath, wherever it goes.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    inner:fail_with { cancelled = true }
    upper:errors("failed", "ERROR-005", { cancelled = true })
  end,
}

case {
  id = "error.pass.unknown-keys", req = "VALUE-011",
  title = "An error with keys that nobody knows is an error like any other",
  why = "Later versions add keys.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p)
    inner:fail_with { code = "acme.x", ["acme.extra"] = map { a = 1 }, hint = "none" }
    upper:errors("acme.x", "VALUE-011")
  end,
}

for _, n in ipairs { 0, 1, 31, 32 } do
  case {
    id = "error.via." .. n, req = n < 32 and { "ERROR-003" } or { "ERROR-004" },
    title = "A `via` of " .. n .. (n < 32 and " grows by the peer's actor" or " stays as it is"),
    why = "Only the receiver appends, only what HELLO verified, and only up to 32.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p)
      local via = {}
      for i = 1, n do via[i] = someone(i) end
      inner:fail_with { via = n > 0 and array { table.unpack(via) } or nil }
      local e = upper:errors("failed", "ERROR-003")
      if n < 32 then via[n + 1] = t.actor end
      same(t, n < 32 and "ERROR-003" or "ERROR-004", e, "via", array(via))
    end,
  }
end

case {
  id = "error.via.identity", req = { "ERROR-003", "VALUE-018" },
  title = "The entry in `via` is the actor of HELLO, without its addresses",
  why = "It names; nobody dials it.",
  run = function(t)
    local name = value.ref(t.actor.id, t.actor.name, { "unix:/tmp/none" })
    local p = t:boot { hello = { actor = name } }
    local upper, inner = relay(p)
    inner:fail_with { actor = someone(9) }
    local e = upper:errors("failed", "ERROR-003")
    same(t, "VALUE-018", e, "via", array { t.actor })
  end,
}

case {
  id = "error.via.dialled", req = { "ERROR-003", "LINK-002" },
  title = "On a link that was dialled, the entry is the actor that dialled",
  why = "Each link has its own peer.",
  run = function(t)
    local p = t:boot { listen = true }
    local me = someone(77)
    local d = t:dial(p, { hello = { actor = me } })
    local upper, inner = relay(d)
    inner:fail_with {}
    same(t, "ERROR-003", upper:errors("failed", "ERROR-003"), "via", array { me })
  end,
}

case {
  id = "error.via.loop", req = { "ERROR-003", "ERROR-005" },
  title = "Over three relays an error gathers three entries",
  why = "The first entry is nearest to where it arose.",
  run = function(t)
    local p = t:boot()
    local a, a2 = relay(p)
    local b, b2 = relay(p)
    local c, c2 = relay(p)
    c2:fail_with { code = "acme.x", actor = someone(1) }
    local e = c:errors("acme.x", "ERROR-003")
    local me, it = t.actor, actor_of(p)
    local function onwards(inner, err, via)
      inner:fail_with { code = err.code, message = err.message, actor = err.actor,
        via = array(via) }
    end
    onwards(b2, e, { me, it })
    e = b:errors("acme.x", "ERROR-003")
    same(t, "ERROR-003", e, "via", array { me, it, me })
    onwards(a2, e, { me, it, me, it })
    e = a:errors("acme.x", "ERROR-003")
    same(t, "ERROR-003", e, "via", array { me, it, me, it, me })
    same(t, "ERROR-005", e, "actor", someone(1))
  end,
}

-- Refusals ----------------------------------------------------------------------------------------

pattern.both(case, {
  id = "refusal.no-target", req = { "KIND-014", "ERROR-011" },
  title = "An unknown target is `no_target`",
  why = "Nothing ran; the opener may go elsewhere.",
  run = function(t, p)
    local before = t:stat(p)
    for _, target in ipairs { "x", "tck.nothing", "tck", "tck.", "tck.echo ", "TCK.ECHO",
      "copse.nothing",
      "copse.", "\0", ("t"):rep(255), "\u{1F333}" } do
      p:open(target, map {}):errors("no_target", "KIND-014")
    end
    t:is("KIND-014", t:stat(p).ran - before.ran, 1, "handlers run, tck.stat included:")
  end,
})

case {
  id = "refusal.no-target.stream", req = { "KIND-014", "FRAME-011" }, profile = "stream",
  title = "What was sent along with an OPEN that is refused is ignored",
  why = "It crossed the refusal.",
  run = function(t)
    local p = t:boot()
    local c
    p:cork(function()
      c = p:open("tck.nothing", map {}, { send = true, credit = { 5, 500 } })
      c:credit(6, 600)
      c:stop()
      c:finish()
      c:cancel()
    end)
    c:expect({ "ERROR" }, "KIND-014")
    p:nothing(c.id, "KIND-019")
  end,
}

local bad_args = {
  { "gate.missing", "tck.gate", map {} }, { "gate.type", "tck.gate", map { key = 7 } },
  { "gate.bin", "tck.gate", map { key = value.bin "k" } },
  { "gate.array", "tck.gate", array {} },
  { "open-gate.missing", "tck.open_gate", map {} },
  { "stubborn.then", "tck.stubborn", map { key = "k", ["then"] = "explode" } },
  { "cleanup.missing", "tck.cleanup", map {} },
  { "cleanup.shield", "tck.cleanup", map { name = "n", shield = -1 } },
  { "cleanup.call", "tck.cleanup", map { name = "n", call = "x.y" } },
  { "relay.missing", "tck.relay", map {} },
  { "relay.args", "tck.relay", map { target = "x.y", args = 7 } },
  { "relay.deadline", "tck.relay", map { target = "x.y", deadline = "soon" } },
  { "nursery.missing", "tck.nursery", map {} },
  { "nursery.call", "tck.nursery", map { open = array { map { args = array {} } } } },
  { "fail.items", "tck.fail", map { items = -1 } },
  { "fail.code", "tck.fail", map { code = 1 } },
  { "crash.missing", "tck.crash", map {} },
  { "crash.how", "tck.crash", map { how = "politely" } },
}
for _, b in ipairs(bad_args) do
  case {
    id = "refusal.bad-args." .. b[1], req = { "KIND-013", "ERROR-013" },
    title = b[2] .. " with " .. value.show(b[3]) .. " is `bad_args`",
    why = "The handler cannot use them, and says so before it has had any effect.",
    run = function(t)
      local p = t:boot()
      local c = p:open(b[2], b[3])
      c:errors("bad_args", "KIND-013")
      t:alive(p)
    end,
  }
end

case {
  id = "refusal.order.deadline", req = "CTX-010",
  title = "An unknown target with a deadline of 0 is `no_target`, bad arguments with it are "
    .. "CANCELLED",
  why = "Of several reasons the first of the list is given, so that all peers say the same.",
  run = function(t)
    local p = t:boot()
    p:open("tck.nothing", map {}, { deadline = 0 }):errors("no_target", "CTX-010")
    p:open("tck.gate", map {}, { deadline = 0 }):is_cancelled({ origin = "deadline", ran = false },
      "CTX-010")
    p:open("copse.actor", map {}, { deadline = 0 }):errors("denied", "CTX-010")
  end,
}

case {
  id = "refusal.positional", req = { "KIND-012", "KIND-013" },
  title = "Arguments may come by position, and are checked there as well",
  why = "An array in `args` is positional, a map is named.",
  run = function(t)
    local p = t:boot()
    p:open("tck.echo", array { 5 }):returns(5, "KIND-012")
    p:open("tck.fail", array { "acme.x", "m" }):errors("acme.x", "KIND-012", { message = "m" })
    p:open("tck.gate", array { 7 }):errors("bad_args", "KIND-013")
    local c = p:open("tck.gate", array { "k", 3 })
    c:expect("STARTED", "KIND-012")
    t:open_gate(p, "k")
    c:returns(3, "KIND-012")
  end,
}

for _, code in ipairs { "no_target", "denied", "not_ready", "closing", "busy", "bad_args" } do
  case {
    id = "refusal.below." .. code:gsub("_", "-"), req = "ERROR-005",
    title = "A refusal below, " .. code
      .. ", comes out above as it is, without an actor of its own",
    why = "A refusal may leave `actor` out; who passes it on does not add one.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p)
      inner:fail_with { code = code, message = "" }
      local e = upper:errors(code, "ERROR-005")
      same(t, "ERROR-003", e, "via", array { t.actor })
    end,
  }
end

-- The schema --------------------------------------------------------------------------------------

local function nest(depth)
  local e = map { code = "c", message = "" }
  for _ = 1, depth do e = map { code = "c", message = "", causes = array { e } } end
  return e
end
local function causes(n)
  local list = {}
  for i = 1, n do list[i] = map { code = "c", message = "" .. i } end
  return map { code = "group", message = "", causes = array(list) }
end
local function vias(n)
  local list = {}
  for i = 1, n do list[i] = someone(i) end
  return map { code = "c", message = "", via = array(list) }
end

for _, b in ipairs {
  { "no-code", map { message = "" }, "without a code" },
  { "no-message", map { code = "c" }, "without a message" },
  { "code-empty", map { code = "", message = "" }, "with an empty code" },
  { "code-65", map { code = ("c"):rep(65), message = "" }, "with a code of 65 bytes" },
  { "code-int", map { code = 5, message = "" }, "with an integer for a code" },
  { "message-nil", map { code = "c", message = value.null }, "with nil for a message" },
  { "via-33", vias(33), "with 33 entries in `via`", vias(32) },
  { "via-address",
    map { code = "c", message = "", via = array { value.ref(("a"):rep(16), "a", { "unix:/x" }) } },
    "with an address in `via`" },
  { "actor-address",
    map { code = "c", message = "", actor = value.ref(("a"):rep(16), "a", { "unix:/x" }) },
    "with an address in `actor`" },
  { "causes-9", nest(9), "whose causes nest nine deep", nest(8) },
  { "causes-65", causes(65), "with 65 causes", causes(64) },
  { "cause-bad", map { code = "c", message = "", causes = array { map { code = "c" } } },
    "with an ill-formed cause" },
  { "cancelled-int", map { code = "c", message = "", cancelled = 1 },
    "with an integer for `cancelled`" },
  { "array", array { "c", "m" }, "that is an array" },
} do
  pattern.reject(case, {
    id = "error.schema." .. b[1], req = { b[1]:find("^causes") and "ERROR-008" or "VALUE-012" },
    code = "schema",
    title = "An ERROR " .. b[3] .. " is a violation",
    why = "The schema of an error bounds what its report can cost.",
    twin = function(_, p)
      local upper, inner = relay(p)
      inner:send("ERROR", b[4] or map { code = "c", message = "" })
      upper:expect("ERROR", "ERROR-005")
    end,
    setup = function(_, p)
      local _, inner = relay(p)
      return inner
    end,
    bad = function(_, _, c) c:send("ERROR", b[2], { illegal = true }) end,
  })
end

-- An error after an error -------------------------------------------------------------------------

-- Whether an error of this code is among the causes of `e`, however deep.
local function holds(e, code)
  for i = 1, value.is_array(e.causes) and e.causes.n or 0 do
    if e.causes[i].code == code or holds(e.causes[i], code) then return true end
  end
  return false
end

-- Whether nothing has taken the place of the error: it is there, alone or among others.
local function keeps(e, code) return e.code == code or holds(e, code) end

for _, w in ipairs {
  { "context",
    "The error of a context that was cleaning up after another keeps that one as a cause",
    { code = "acme.second", cancelled = true } },
  { "group", "It is kept as well when the later error is a group",
    { code = "group", cancelled = true, causes = array {
      map { code = "acme.second", message = "", cancelled = true },
      map { code = "acme.third", message = "", cancelled = true },
    } } },
} do
  case {
    id = "error.clean-up." .. w[1], req = { "ERROR-009", "CANCEL-008" }, title = w[2],
    why = "Whoever reads the report wants to know what began it.",
    run = function(t)
      local p = t:boot()
      local upper = p:open("tck.nursery",
        map { open = array { map { target = "x.first" }, map { target = "x.second" } } })
      upper:expect("STARTED", "KIND-018")
      local first, second = p:accept("x.first", "KIND-018"), p:accept("x.second", "KIND-018")
      first:fail_with { code = "acme.first" }
      second:expect("CANCEL", "MODEL-004")
      second:fail_with(w[3])
      local e = upper:expect("ERROR", "ERROR-009").value
      t:check("ERROR-009", keeps(e, "acme.first"), "acme.first among the causes", value.show(e))
      t:check("ERROR-006", keeps(e, "acme.second"), "acme.second among them, too", value.show(e))
    end,
  }
end

for _, how in ipairs { "terminal", "exit" } do
  case {
    id = "error.clean-up.child." .. how, req = { "ERROR-009", "SPAWN-016" }, profile = "spawn",
    processes = true,
    title = "A child that " .. (how == "exit" and "dies" or "fails")
      .. " while it is ended because of an error keeps that error as a cause",
    why = "`died` alone would send everybody after the wrong fault.",
    run = function(t)
      local p = t:boot()
      local c = require "child".spawn(t, p, { call = map { target = "x.work" } })
      c:boot()
      c.link:accept("x.work", "KIND-018"):fail_with { code = "acme.first" }
      local f = c.actor:expect({ "CANCEL", "END" }, "MODEL-004")
      if how == "exit" then
        c:exit(7)
      else
        c.actor:fail_with { code = "acme.second", cancelled = f.name == "CANCEL" or nil }
        c:exit(1)
      end
      local e = c.ctx:expect("ERROR", "ERROR-009").value
      t:check("ERROR-009", holds(e, "acme.first"), "acme.first among the causes", value.show(e))
      c:await_reaped("LADDER-006")
    end,
  }
end

-- Codes that say: nothing has happened -----------------------------------------------------------

-- Handlers that are told to send STARTED and given arguments of which one is wrong.
for _, b in ipairs {
  { "gate", map { key = 7, started = 1 } }, { "open_gate", map { started = 1 } },
  { "stubborn", map { key = "k", ["then"] = "explode", started = 1 } },
  { "cleanup", map { name = "n", call = map { args = array {} }, started = 1 } },
  { "relay", map { target = "x.below", args = "none", started = 1 } },
  { "nursery", map { open = array { map { target = "x.below" }, map { target = 5 } },
    started = 1 } },
  { "crash", map { how = "politely", started = 1 } },
  { "drain", map { target = "x.below", window = array { 1 }, started = 1 }, "stream" },
  { "sink", map { window = 5, started = 1 }, "stream" },
  { "source", map { count = "many", started = 1 }, "stream" },
} do
  case {
    id = "refusal.no-effect." .. b[1]:gsub("_", "-"), req = { "ERROR-013", "KIND-013" },
    profile = b[3],
    title = "tck." .. b[1] .. " says `bad_args` before anything has come of it",
    why = "Who reads `bad_args` may try again, and must not do a thing twice by it.",
    run = function(t)
      local p = t:boot()
      local c = p:open("tck." .. b[1], b[2], b[3] and { send = true, credit = { 4, 1000 } } or nil)
      local f = c:next("ERROR bad_args", "KIND-013")
      t:check("ERROR-013", f.name == "ERROR", "ERROR bad_args before anything else", frame.show(f))
      t:is("KIND-013", f.value.code, "bad_args", "code")
      p:nothing(nil, "ERROR-013")
      t:is("ERROR-013", t:stat(p).log, array {}, "log")
      t:open_gate(p, "k")
    end,
  }
end

for _, code in ipairs { "no_target", "denied", "bad_args", "not_ready", "closing", "busy" } do
  case {
    id = "refusal.after-effect." .. code:gsub("_", "-"), req = { "ERROR-013", "ERROR-003" },
    title = "A handler that has had an effect passes on " .. code
      .. " as the refusal of another, and not as its own",
    why = "`via` tells them apart: only with an empty one would it say that nothing has happened.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p, { started = "begun" })
      upper:expect("STARTED", "KIND-018")
      inner:fail_with { code = code, actor = someone(3) }
      local e = upper:expect("ERROR", "ERROR-005").value
      local path = value.is_array(e.via) and e.via.n > 0
      t:check("ERROR-013", path or e.code ~= code or value.eq(e.actor, someone(3)),
        "a `via` that says who refused", value.show(e))
      t:check("ERROR-003", path, "a `via` that says who refused", value.show(e))
      same(t, "ERROR-005", e, "code", code)
      same(t, "ERROR-005", e, "actor", someone(3))
    end,
  }
end

for _, how in ipairs { "finish", "cancel" } do
  case {
    id = "refusal.closing." .. how, req = { "ERROR-013", "ACTOR-009" },
    title = "`closing` is for what comes after " .. (how == "finish" and "END" or "CANCEL")
      .. " on copse.actor, and not for what has begun",
    why = "What has had an effect has its own end, and may not be tried again elsewhere.",
    run = function(t)
      local p = t:boot()
      local upper, inner = relay(p, { started = "begun" })
      upper:expect("STARTED", "KIND-018")
      if how == "finish" then p.actor:finish() else p.actor:cancel { grace = 600000 } end
      p:open("tck.echo", map {}):errors("closing", "ACTOR-009")
      if how == "finish" then
        p:nothing(upper.id, "ERROR-013")
        inner:returns_with(5)
      else
        inner:expect("CANCEL", "MODEL-005")
        inner:cancelled_with { origin = "requested" }
      end
      local f = upper:next("the terminal", "KIND-018")
      t:check("ERROR-013", f.name ~= "ERROR" or f.value.code ~= "closing",
        "a terminal other than ERROR closing", frame.show(f))
      p.actor:expect(how == "finish" and "RETURN" or "CANCELLED", "ACTOR-012")
      t:ends(p)
    end,
  }
end

-- Targets of the protocol's own -------------------------------------------------------------------

pattern.both(case, {
  id = "refusal.reserved", req = { "ACTOR-007", "KIND-014" },
  title = "No handler can be reached under a target that begins with `copse.`",
  why = "These names are the protocol's; later versions give them meanings.",
  run = function(t, p)
    local before = t:stat(p).ran
    local n = 0
    for _, name in ipairs { "echo", "fail", "gate", "open_gate", "stubborn", "cleanup", "relay",
      "nursery", "crash", "stat", "source", "sink", "duplex", "drain", "spawn", "dial", "tck" } do
      for _, prefix in ipairs { "copse.", "copse.tck.", "copse..", "copse.actor." } do
        local f = p:open(prefix .. name, map {}):next("ERROR", "KIND-014")
        local wanted = "ERROR no_target for " .. prefix .. name
        t:check("ACTOR-007", f.name == "ERROR", wanted, frame.show(f))
        t:check("KIND-014", f.value.code == "no_target", wanted, frame.show(f))
        n = n + 1
      end
    end
    t:is("ACTOR-007", t:stat(p).ran - before, 1, "handlers run, tck.stat included, after " .. n
      .. " refusals:")
  end,
})
