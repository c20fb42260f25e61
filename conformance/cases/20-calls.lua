-- SPDX-License-Identifier: MIT
--
-- Calls: one frame each way. What OPEN says and implies, in which order handlers begin, and the one
-- terminal that every context has, also where the link is lost.
local case = ...
local Link = require "link"
local context = require "context"
local pattern = require "pattern"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local illegal = { illegal = true }

-- One call ----------------------------------------------------------------------------------------

case {
  id = "call.echo", req = "KIND-018",
  title = "A call is one OPEN and one RETURN",
  why = "Everything else in the suite rests on it.",
  run = function(t)
    local p = t:boot()
    p:open("tck.echo", map { v = 7 }):returns(7)
    p:nothing(nil, "KIND-019")
  end,
}

pattern.both(case, {
  id = "call.one-frame", req = { "KIND-018", "KIND-019" },
  title = "A call that returns says nothing before and nothing after",
  why = "The callee need not say STARTED, and tck.echo does not; after the terminal all is said.",
  run = function(_, p)
    for i = 1, 5 do
      local c = p:open("tck.echo", map { v = i })
      c:expect("RETURN", "KIND-018")
      p:nothing(c.id, "KIND-019")
    end
  end,
})

pattern.both(case, {
  id = "call.args", req = { "KIND-012", "KIND-018" },
  title = "Arguments by position, by name, none at all",
  why = "An array is positional, a map is named, and an absent `args` is an empty array.",
  run = function(_, p)
    p:open("tck.echo", array { 5 }):returns(5, "KIND-012")
    p:open("tck.echo", map { v = 5 }):returns(5, "KIND-012")
    p:open("tck.echo", array {}):returns(value.null, "KIND-012")
    p:open("tck.echo", map {}):returns(value.null, "KIND-012")
    p:open("tck.echo", nil):returns(value.null, "KIND-012")
    p:open("tck.echo", array { map { v = 1 } }):returns(map { v = 1 }, "KIND-012")
    p:open("tck.echo", map { v = array { 1, array { 2 } } }):returns(array { 1, array { 2 } },
      "KIND-012")
  end,
})

pattern.both(case, {
  id = "call.unknown-arguments", req = "KIND-012",
  title = "Arguments that the handler does not know are ignored",
  why = "TESTEE.md says so for all handlers; it must not become the protocol's business.",
  run = function(_, p)
    p:open("tck.echo", map { v = 5, w = 6, ["copse.x"] = array { 1 } }):returns(5)
    p:open("tck.echo", array { 5, 6, 7 }):returns(5)
  end,
})

pattern.both(case, {
  id = "call.started", req = { "KIND-018", "CTX-002" },
  title = "STARTED is legal on a call, and carries what the handler gives",
  why = "A call and a stream are the same machine.",
  run = function(t, p)
    for _, v in ipairs { 1, "s", false, value.null, array { 1 } } do
      local c = p:open("tck.echo", map { v = 3, started = v })
      t:is("CTX-002", c:expect("STARTED", "KIND-018").value, v, "STARTED")
      c:returns(3)
    end
    -- A key of that name is meant for the testee even where the handler sends STARTED by itself.
    local c = p:open("tck.gate", map { key = "k", value = 4, started = "once" })
    t:is("CTX-002", c:expect("STARTED").value, "once", "STARTED")
    p:nothing(c.id, "CTX-002")
    t:open_gate(p, "k")
    c:returns(4)
  end,
})

case {
  id = "call.started.below", req = { "CTX-001", "CTX-003" },
  title = "STARTED of a context below is taken whatever its value, and the terminal without it "
    .. "as well",
  why = "The opener has no say in whether a callee starts before it returns.",
  run = function(t)
    local p = t:boot()
    for _, v in ipairs { 1, "s", value.null, array {} } do
      local upper = p:open("tck.relay", map { target = "x.below" })
      local inner = p:accept("x.below")
      inner:started(v)
      t:is("CTX-001", upper:expect("STARTED").value, v, "STARTED")
      inner:returns_with(9)
      upper:returns(9)
    end
    local upper = p:open("tck.relay", map { target = "x.below" })
    p:accept("x.below"):returns_with(9)
    upper:returns(9, "CTX-001")
  end,
}

-- What OPEN says and implies ----------------------------------------------------------------------

for _, send in ipairs { "absent", "false" } do
  pattern.both(case, {
    id = "open.send." .. send, req = "KIND-009", profile = "stream",
    title = "An OPEN with `send` " .. send .. " is followed by END at once",
    why = "So a call is one frame: the handler that reads until END meets it.",
    run = function(t, p)
      local o = { send = send == "false" and false or nil }
      local c = p:open("tck.sink", map {}, o)
      c:expect("STARTED")
      local v = c:returns(nil, "KIND-009")
      t:is("KIND-009", v.ended, true, "END met:")
      t:is("KIND-009", v.count, 0, "items:")
    end,
  })
end

pattern.both(case, {
  id = "open.credit.absent", req = { "KIND-010", "STREAM-005", "STREAM-007" }, profile = "stream",
  title = "An OPEN without `credit` is followed by STOP at once, to which no END is owed",
  why = "The handler that sends items learns that nobody wants them, and is not failed by it.",
  run = function(t, p)
    local c = p:open("tck.source", map { count = 5 })
    c:expect("STARTED")
    t:is("KIND-010", c:returns(nil, "STREAM-005"), 0, "items sent:")
    c = p:open("tck.fail", map { code = "acme.x", items = 5 })
    c:expect("STARTED")
    c:errors("acme.x", "STREAM-007")
  end,
})

case {
  id = "open.waits-with-both-ended", req = "WAIT-001",
  title = "Who waits for a result alone opens without `send` and without `credit`",
  why = "Otherwise the callee could wait for an END, or for credit, that nobody will send.",
  run = function(t)
    local p = t:boot()
    local function check(inner)
      local o = inner.open_frame.value
      t:check("WAIT-001", o.send ~= true, "no `send` in OPEN", value.show(o))
      t:check("WAIT-001", o.credit == nil, "no `credit` in OPEN", value.show(o))
      inner:returns_with(1)
    end
    local upper = p:open("tck.relay", map { target = "x.below", args = map { a = 1 } })
    check(p:accept("x.below"))
    upper:returns(1)
    upper = p:open("tck.nursery",
      map { open = array { map { target = "x.a" }, map { target = "x.b" } } })
    check(p:accept("x.a"))
    check(p:accept("x.b"))
    upper:expect("STARTED")
    upper:returns(array { 1, 1 })
  end,
}

pattern.both(case, {
  id = "open.extras", req = { "KIND-018", "VALUE-011" },
  title = "`meta`, `traceparent`, a far deadline and unknown keys change nothing about a call",
  why = "Keys of `meta` that the callee does not know mean nothing to it, and `traceparent` is "
    .. "not judged.",
  run = function(_, p)
    for i, o in ipairs {
      { meta = map {} }, { meta = map { tenant = "a", deep = array { map { x = value.null } } } },
      { traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
      { traceparent = "" }, { traceparent = "not one at all" },
      { deadline = 3600000 }, { deadline = (1 << 53) - 1 },
      { keys = { ["acme.x"] = 1.5, later = array { map {} } } },
    } do
      p:open("tck.echo", map { v = i }, o):returns(i)
    end
  end,
})

case {
  id = "open.traceparent-below", req = "KIND-016",
  title = "`traceparent` is passed on in what is opened on behalf of the context",
  why = "A trace that breaks at the first relay is none. Only the trace id is compared.",
  run = function(t)
    local p = t:boot()
    local trace = "0af7651916cd43dd8448eb211c80319c"
    local upper = p:open("tck.relay", map { target = "x.below" },
      { traceparent = "00-" .. trace .. "-b7ad6b7169203331-01" })
    local inner = p:accept("x.below")
    local got = inner.open_frame.value.traceparent
    inner:returns_with(1)
    upper:returns(1)
    t:note("KIND-016", type(got) == "string" and got:find(trace, 1, true) ~= nil,
      "traceparent with the trace id " .. trace, value.show(got))
  end,
}

-- Order -------------------------------------------------------------------------------------------

pattern.both(case, {
  id = "order.begin", req = "KIND-015",
  title = "Handlers begin in the order in which their OPENs became complete",
  why = "Ten OPENs in one write: only the first to open the gate finds it closed.",
  run = function(t, p)
    for round = 1, 3 do
      local list = {}
      p:cork(function()
        for i = 1, 10 do list[i] = p:open("tck.open_gate", map { key = "r" .. round }) end
      end)
      for i = 1, 10 do
        t:is("KIND-015", list[i]:returns(), i == 1, "handler " .. i .. " found the gate closed:")
      end
    end
  end,
})

pattern.both(case, {
  id = "order.complete", req = "KIND-015",
  title = "It is the last fragment of an OPEN that counts, and not the first",
  why = "An OPEN that takes long does not hold up those behind it.",
  run = function(t, p)
    local bytes = value.encode(map { target = "tck.open_gate", args = map { key = "k" } })
    local slow = context.new(p, p:new_id(), true)
    local quick
    p:cork(function()
      p:send { "OPEN", slow.id, payload = bytes:sub(1, 8), more = true }
      quick = context.new(p, p:new_id(), true)
      p:send { "OPEN", quick.id, payload = bytes }
      p:send { "OPEN", slow.id, payload = bytes:sub(9) }
    end)
    t:is("KIND-015", quick:returns(), true, "the one complete first found the gate closed:")
    t:is("KIND-015", slow:returns(), false, "the one begun first found the gate closed:")
  end,
})

pattern.both(case, {
  id = "order.answers", req = { "CTX-009", "KIND-018" },
  title = "Contexts end in whatever order their handlers do",
  why = "Between contexts there is no order: one that waits does not hold up the others.",
  run = function(t, p)
    local list = {}
    for i = 1, 12 do
      list[i] = p:open("tck.gate", map { key = "g" .. i, value = i })
      list[i]:expect("STARTED")
    end
    for _, i in ipairs { 7, 12, 1, 3, 11, 2, 10, 4, 9, 5, 8, 6 } do
      t:open_gate(p, "g" .. i)
      list[i]:returns(i, "CTX-009")
      p:nothing(nil, "CTX-009")
    end
  end,
})

pattern.both(case, {
  id = "order.within", req = { "CTX-009", "STREAM-010" }, profile = "stream",
  title = "The frames of one context are delivered in their order, whatever comes between",
  why = "Items of eight streams in one write, in turns; each stream gets its own back in order.",
  run = function(_, p)
    local list = {}
    for i = 1, 8 do
      list[i] = p:open("tck.duplex", map {}, { send = true, credit = array { 100, 100000 } })
      list[i]:expect("STARTED")
      list[i]:await_credit(16, "CREDIT-001")
    end
    p:cork(function()
      for n = 1, 16 do
        for i = 1, 8 do list[i]:item(i * 1000 + n) end
      end
      for i = 1, 8 do list[i]:finish() end
    end)
    for i = 8, 1, -1 do
      for n = 1, 16 do list[i]:gives(i * 1000 + n, "CTX-009") end
      list[i]:expect("END", "CTX-009")
      list[i]:returns(16, "CTX-009")
    end
  end,
})

-- Terminals ---------------------------------------------------------------------------------------

-- Handlers, how each is opened, what else it needs, and how it ends.
local ways = {
  { "echo", "RETURN", function(_, p) return p:open("tck.echo", map { v = 1 }) end },
  { "echo-nil", "RETURN", function(_, p) return p:open("tck.echo", map {}) end },
  { "fail", "ERROR", function(_, p) return p:open("tck.fail", map { code = "acme.x" }) end },
  { "gate", "RETURN", function(t, p)
    local c = p:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    t:open_gate(p, "k")
    return c
  end },
  { "gate-cancelled", "CANCELLED", function(_, p)
    local c = p:open("tck.gate", map { key = "never" })
    c:expect("STARTED")
    c:cancel()
    return c
  end },
  { "unknown", "ERROR", function(_, p) return p:open("tck.nothing", map {}) end },
  { "bad-args", "ERROR", function(_, p) return p:open("tck.gate", map {}) end },
  { "deadline", "CANCELLED", function(_, p)
    return p:open("tck.echo", map {}, { deadline = 0 })
  end },
  { "denied", "ERROR", function(_, p) return p:open("copse.actor", map {}) end },
  { "relay", "RETURN", function(_, p)
    local c = p:open("tck.relay", map { target = "x.below" })
    p:accept("x.below"):returns_with(1)
    return c
  end },
  { "relay-error", "ERROR", function(_, p)
    local c = p:open("tck.relay", map { target = "x.below" })
    p:accept("x.below"):fail_with { code = "acme.x" }
    return c
  end },
  { "nursery-empty", "RETURN", function(_, p)
    local c = p:open("tck.nursery", map { open = array {} })
    c:expect("STARTED")
    return c
  end },
}
for _, w in ipairs(ways) do
  pattern.both(case, {
    id = "terminal.once." .. w[1], req = { "KIND-018", "KIND-019", "CTX-002" },
    title = "Exactly one terminal and nothing behind it: " .. w[1]:gsub("-", ", "),
    why = "Whoever reads two terminals believes the wrong one; whoever reads none waits for ever.",
    run = function(t, p)
      local c = w[3](t, p)
      c:expect(w[2], "KIND-018")
      p:nothing(c.id, "KIND-019")
      -- Late frames of the opener, and the end of others, bring nothing up again.
      c:cancel(illegal)
      c:finish(illegal)
      t:open_gate(p, "k")
      t:alive(p)
      p:nothing(c.id, "KIND-019")
    end,
  })
end

case {
  id = "terminal.unasked", req = "CTX-005",
  title = "A context that was not cancelled itself never ends CANCELLED",
  why = "What was cancelled below by another is the error `cancelled` here.",
  run = function(t)
    local p = t:boot()
    for _, origin in ipairs { "requested", "error", "parent", "shutdown", "link_lost" } do
      local upper = p:open("tck.relay", map { target = "x.below" })
      p:accept("x.below"):cancels_itself { origin = origin }
      local e = upper:errors("cancelled", "CTX-005")
      t:is("CANCEL-011", value.is_map(e.data) and e.data.origin, origin, "data.origin")
    end
  end,
}

pattern.both(case, {
  id = "terminal.ran", req = { "CTX-006", "CANCEL-006" },
  title = "`ran` tells whether user code ran",
  why = "What ended with `ran` false may be tried again elsewhere.",
  run = function(t, p)
    local before = t:stat(p).ran
    p:open("tck.gate", map { key = "k" }, { deadline = 0 }):is_cancelled({ ran = false }, "CTX-006")
    local bytes = value.encode(map { target = "tck.gate", args = map { key = "k" } })
    local c = context.new(p, p:new_id(), true)
    p:send { "OPEN", c.id, payload = bytes:sub(1, 9), more = true }
    c:cancel()
    c:is_cancelled({ ran = false }, "CTX-006")
    t:is("CTX-006", t:stat(p).ran - before, 1, "handlers begun, tck.stat included:")
    c = p:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    c:cancel()
    c:is_cancelled({ ran = true }, "CTX-006")
    t:is("CTX-006", t:stat(p).ran - before, 3, "handlers begun, tck.stat included:")
  end,
})

-- Messages in fragments at the opener -------------------------------------------------------------

case {
  id = "message.last-fragment", req = "CTX-003",
  title = "A message has arrived when its last fragment has",
  why = "A STARTED and a RETURN of which a part is there are neither.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.relay", map { target = "x.below" })
    local inner = p:accept("x.below")
    local text = ("t"):rep(100)
    for _, kind in ipairs { "STARTED", "RETURN" } do
      local bytes = value.encode(text)
      for i = 1, 100, 25 do
        inner:send(kind, nil, { payload = bytes:sub(i, i + 24), more = true })
        p:nothing(upper.id, "CTX-003")
      end
      inner:send(kind, nil, { payload = bytes:sub(101) })
      t:is("CTX-003", upper:expect(kind).value, text, kind)
    end
  end,
}

for _, kind in ipairs { "STARTED", "ITEM" } do
  pattern.both(case, {
    id = "message.first-fragment." .. kind:lower(), req = { "CTX-003", "CTX-001" },
    profile = kind == "ITEM" and "stream" or nil,
    title = "Whether a message is legal is decided at its first fragment: " .. kind,
    why = "No fragment of an illegal message is waited for.",
    run = function(_, p)
      local function started()
        local upper = p:open("tck.relay", map { target = "x.below" })
        local inner = p:accept("x.below")
        inner:send("STARTED", "abc", { split = 2 })
        upper:expect("STARTED")
        return inner, upper
      end
      local inner, upper = started()
      inner:send("RETURN", "abc", { split = 2 })
      upper:returns("abc")
      inner = started()
      inner:send(kind, nil, { payload = "\xa3a", more = true, illegal = true })
      p:violation("state", inner.id, "CTX-003")
    end,
  })
end

-- Loss --------------------------------------------------------------------------------------------

case {
  id = "loss.no-retry", req = { "CTX-008", "CTX-004" },
  title = "What ended by the loss of a link is `link_lost`, and is not tried again",
  why = "Whether the handler ran is unknown; only whoever asked can decide.",
  run = function(t)
    local p = t:boot()
    local streams, path, id = {}, t:path("s"), uv.random(16)
    t:listen(path, function(s)
      streams[#streams + 1] = s
      t:poke()
    end)
    local upper = p:open("tck.dial", map { ref = value.ref(id, "there", { "unix:" .. path }),
      target = "x.there" })
    t:await(function() return streams[1] or #p.inbox > 0 end, "a connection of the testee",
      "HELLO-001")
    if not streams[1] then
      upper:errors("no_target")
      t:unsupported("tck.dial is not there")
    end
    local link = Link.new(t, { name = "there", connector = false, stream = streams[1] })
    link:expect_hello("HELLO-001")
    link:hello { actor = value.ref(id, "there", {}) }
    link:accept("x.there")
    link:close()
    upper:errors("link_lost", "CTX-004")
    for _ = 1, 3 do t:alive(p) end
    t:quiet(function() return streams[2] end)
    t:check("CTX-008", #streams == 1, "one connection", #streams .. " connections")
  end,
}
