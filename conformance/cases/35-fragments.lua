-- SPDX-License-Identifier: MIT
--
-- Chapter 4: messages in fragments. What may stand between them, what discards them, and when a
-- message is judged.
local case = ...
local Context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local inner, fresh = play.inner, play.fresh
local echo, sample = play.echo, play.sample

local of_stream = { ITEM = "stream", STOP = "stream", CREDIT = "stream" }
local _, reject = pattern.with(case, { why = "The peer is told which rule it broke, and where." })

local function sink(d, args) return play.sink(d, args, 4) end
local function duplex(d) return play.duplex(d, { credit = { 16, 1 << 20 }, items = 4 }) end

-- Messages in fragments ---------------------------------------------------------------------------

pattern.both(case, {
  id = "fragment.every-cut", req = { "FRAME-014", "CTX-003" },
  title = "An OPEN cut in two at each of its bytes is the same OPEN",
  why = "A decoder that keeps state at the wrong place is wrong at one of them.",
  run = function(_, d)
    for at = 1, #echo - 1 do
      local id = d:new_id()
      d:send_split({ "OPEN", id, payload = echo }, { at })
      Context.new(d, id, true):returns(7, "FRAME-014")
    end
  end,
})

pattern.both(case, {
  id = "fragment.single-bytes", req = "FRAME-014",
  title = "OPEN, STARTED, RETURN, ERROR and CANCELLED in fragments of one byte are what they are"
    .. " whole",
  why = "The size of a fragment is its sender's affair.",
  run = function(t, d)
    d:open("tck.echo", map { v = "one" }, { split = 1 }):returns("one")
    local c, upper = inner(d)
    c:started("ready", { split = 1 })
    local f = upper:expect("STARTED", "FRAME-014")
    t:is("FRAME-014", f.value, "ready", "STARTED")
    c:returns_with(array { 1, "two", value.bin "three" }, { split = 1 })
    upper:returns(array { 1, "two", value.bin "three" }, "FRAME-014")
    c, upper = inner(d)
    c:fail_with({ code = "acme.x", message = "m", data = map { a = 1 } }, { split = 1 })
    upper:errors("acme.x", "FRAME-014", { message = "m", data = map { a = 1 } })
    c, upper = inner(d)
    upper:cancel { origin = "requested", message = "why" }
    c:expect("CANCEL")
    c:cancelled_with({ origin = "requested", message = "why" }, { split = 1 })
    upper:is_cancelled({ message = "why" }, "FRAME-014")
  end,
})

pattern.both(case, {
  id = "fragment.items", req = { "FRAME-014", "STREAM-010" }, profile = "stream",
  title = "Items in fragments of any size come out whole and in order",
  why = "Where one item ends is said by `more` and by nothing else.",
  run = function(_, d)
    local c = duplex(d)
    for i, size in ipairs { 1, 2, 3, 7, 1000 } do
      local v = array { i, "item", value.bin(("x"):rep(size)) }
      c:item(v, { split = size })
      c:gives(v, "FRAME-014")
      c:await_credit(i + 1, "CREDIT-001")
    end
    c:finish()
    c:expect("END")
    c:returns(5)
  end,
})

pattern.both(case, {
  id = "fragment.interleaved.opens-and-results", req = { "FRAME-014", "FRAME-018" },
  title = "Fragments of results of several contexts, of an OPEN and whole frames interleave freely",
  why = "That is what fragments are for: a long message does not block the link for others.",
  run = function(_, d)
    local below, above, bytes = {}, {}, {}
    local n = math.min(4, d.monitor.limits.peer.partials - 1)
    for i = 1, n do
      below[i], above[i] = inner(d)
      bytes[i] = value.encode(("r" .. i):rep(40))
    end
    local id = d:new_id()
    local opened = Context.new(d, id, true)
    for at = 1, #echo do
      d:send { "OPEN", id, payload = echo:sub(at, at), more = at < #echo }
      for i = 1, n do
        below[i]:send("RETURN", nil, { payload = bytes[i]:sub(at, at), more = true })
      end
    end
    d:barrier()
    opened:returns(7, "FRAME-014")
    for i = n, 1, -1 do
      below[i]:send("RETURN", nil, { payload = bytes[i]:sub(#echo + 1) })
      above[i]:returns(("r" .. i):rep(40), "FRAME-014")
    end
  end,
})

pattern.both(case, {
  id = "fragment.interleaved.items", req = { "FRAME-014", "FRAME-018" }, profile = "stream",
  title = "As many items as `partials` allows, byte by byte in turns, each come out whole",
  why = "Every context reassembles for itself.",
  run = function(_, d)
    local n = math.min(8, d.monitor.limits.peer.partials)
    local list, bytes = {}, {}
    for i = 1, n do
      list[i] = duplex(d)
      bytes[i] = value.encode(("%d"):format(i):rep(10 + i))
    end
    for at = 1, 30 do
      for i = 1, n do
        if at <= #bytes[i] then
          list[i]:send("ITEM", nil, { payload = bytes[i]:sub(at, at), more = at < #bytes[i] })
        end
      end
    end
    for i = 1, n do
      list[i]:gives(("%d"):format(i):rep(10 + i), "FRAME-014")
      list[i]:finish()
      list[i]:expect("END")
      list[i]:returns(1)
    end
  end,
})

pattern.both(case, {
  id = "fragment.between.legal", req = { "FRAME-016", "FRAME-018", "CREDIT-009" },
  profile = "stream",
  title = "CREDIT and STOP stand between the fragments of OPEN and of ITEM",
  why = "They are what may not wait behind a long message.",
  run = function(t, d)
    local bytes = value.encode(map { target = "tck.source", args = map { count = 9 } ,
      credit = { 0, 1000 } })
    local id = d:new_id()
    local c = Context.new(d, id, true)
    d:send { "OPEN", id, payload = bytes:sub(1, 4), more = true }
    c:credit(2, 1000)
    d:barrier()
    d:send { "OPEN", id, payload = bytes:sub(5, 9), more = true }
    d:send { "OPEN", id, payload = bytes:sub(10) }
    c:expect("STARTED")
    c:gives(0, "CREDIT-009")
    c:gives(1, "CREDIT-009")
    c:nothing("CREDIT-003")
    c:stop()
    c:expect("END")
    c:returns(2)

    c = duplex(d)
    c:send("ITEM", nil, { payload = "\xa4ab", more = true })
    c:credit(20, 1 << 20)
    c:send("ITEM", nil, { payload = "c", more = true })
    c:stop()
    c:expect("END", "STREAM-004")
    c:send("ITEM", nil, { payload = "d" })
    c:finish()
    t:is("FRAME-018", c:returns(), 1, "items consumed:")
  end,
})

-- What may not stand between fragments. For each message: its first fragment, then the intruder.
local function unfinished(name, on, intruders, profile)
  for _, other in ipairs(intruders) do
    local second = other:gsub("%+$", "")
    reject {
      id = "fragment.between." .. name .. "." .. other, req = "FRAME-018", code = "frame",
      profile = profile or of_stream[second],
      title = other .. " between the fragments of " .. name .. " is a violation `frame`",
      why = "A receiver that mixes two messages passes on one that nobody sent.",
      setup = function(_, d) return on(d) end,
      bad = function(_, d, c)
        d:put(name, c.id, sample[name]:sub(1, 1), { more = true })
        d:barrier()
        d:put(second, c.id, other ~= second and sample[second]:sub(1, 1) or sample[second],
          { more = other ~= second })
      end,
    }
  end
end
unfinished("OPEN", fresh, { "ITEM", "ITEM+", "END" })
unfinished("ITEM", sink, { "OPEN", "OPEN+" }, "stream")
unfinished("STARTED", inner, { "ITEM", "END" })
unfinished("RETURN", inner, { "STARTED", "STARTED+", "ITEM", "END" })
unfinished("ERROR", inner, { "STARTED", "ITEM", "END", "RETURN", "RETURN+" })

reject {
  id = "fragment.between.ERROR.CANCELLED", req = "FRAME-018", code = "frame",
  title = "CANCELLED between the fragments of ERROR is a violation `frame`",
  why = "Only an unfinished RETURN may be replaced.",
  setup = function(_, d)
    local c, upper = inner(d)
    upper:cancel()
    c:expect("CANCEL")
    return c
  end,
  bad = function(_, d, c)
    d:put("ERROR", c.id, sample.ERROR:sub(1, 9), { more = true })
    d:put("CANCELLED", c.id, sample.CANCELLED)
  end,
}
reject {
  id = "fragment.between.CANCELLED.RETURN", req = "FRAME-018", code = "frame",
  title = "RETURN between the fragments of CANCELLED is a violation `frame`",
  setup = function(_, d)
    local c, upper = inner(d)
    upper:cancel()
    c:expect("CANCEL")
    return c
  end,
  bad = function(_, d, c)
    d:put("CANCELLED", c.id, sample.CANCELLED:sub(1, 9), { more = true })
    d:put("RETURN", c.id, sample.RETURN)
  end,
}

-- Discarding --------------------------------------------------------------------------------------

pattern.both(case, {
  id = "fragment.discard.open", req = { "FRAME-022", "FRAME-017", "FRAME-019", "FRAME-023" },
  title = "CANCEL discards an unfinished OPEN, whatever was in it, and is answered at once",
  why = "An opener that changes its mind need not send the rest of a long message.",
  run = function(_, d)
    for _, bytes in ipairs { echo:sub(1, 1), echo:sub(1, -2), "\xc1\xc1\xc1",
      "\xdd\xff\xff\xff\xff" } do
      local id = d:new_id()
      local c = Context.new(d, id, true)
      d:send { "OPEN", id, payload = bytes, more = true }
      d:nothing(id, "FRAME-021")
      c:cancel { origin = "error", message = "changed my mind" }
      c:is_cancelled({ ran = false, origin = "error", message = "changed my mind" }, "FRAME-022")
      -- What was on its way is ignored: the context has ended.
      d:put("CANCEL", id, sample.CANCEL)
      d:nothing(id, "FRAME-011")
    end
    d:open("tck.echo", map { v = 1 }):returns(1)
  end,
})

pattern.both(case, {
  id = "fragment.discard.item", req = { "FRAME-017", "FRAME-023", "CREDIT-005" },
  profile = "stream",
  title = "END and CANCEL discard an unfinished item, whatever was in it",
  why = "Nobody looks at a value that nobody gets.",
  run = function(t, d)
    local c = sink(d)
    c:item(5)
    c:send("ITEM", nil, { payload = "\xc1\xc1", more = true })
    c:finish()
    t:is("FRAME-017", c:returns(), map { count = 1, sum = 5, bytes = 0, ended = true }, "the sink:")
    c = sink(d, { hold = "k" })
    c:send("ITEM", nil, { payload = "\xdf\xff\xff\xff\xff", more = true })
    c:cancel()
    c:is_cancelled({ ran = true }, "FRAME-017")
  end,
})

pattern.both(case, {
  id = "fragment.discard.terminal", req = { "FRAME-017", "FRAME-023" },
  title = "A terminal discards an unfinished STARTED; ERROR and CANCELLED replace an unfinished"
    .. " RETURN",
  why = "What a handler began to say before it failed is not said.",
  run = function(_, d)
    local c, upper = inner(d)
    c:send("STARTED", nil, { payload = "\xc1", more = true })
    c:returns_with(3)
    upper:returns(3, "FRAME-017")
    c, upper = inner(d)
    c:send("RETURN", nil, { payload = "\xc1", more = true })
    c:fail_with { code = "acme.late", message = "changed" }
    upper:errors("acme.late", "FRAME-017", { message = "changed" })
    c, upper = inner(d)
    c:send("RETURN", nil, { payload = "\xa9", more = true })
    upper:cancel()
    c:expect("CANCEL")
    c:cancelled_with { origin = "requested" }
    upper:is_cancelled({}, "FRAME-017")
    c, upper = inner(d)
    c:send("STARTED", nil, { payload = "\xdd\xff", more = true })
    c:fail_with { code = "acme.early" }
    upper:errors("acme.early", "FRAME-017")
  end,
})

reject {
  id = "fragment.checked-at-last", req = { "FRAME-023", "VALUE-001" }, code = "value",
  title = "A message is judged as a value when its last fragment has arrived, and not before",
  why = "A message that is never finished is never judged.",
  setup = function(_, d)
    local id = d:new_id()
    d:put("OPEN", id, "\xc1", { more = true })
    d:nothing(id, "FRAME-023")
    d:put("OPEN", id, "\xc1\xc1", { more = true })
    d:nothing(id, "FRAME-023")
    return { id = id }
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, "\xc1") end,
}

pattern.both(case, {
  id = "fragment.discard.stopped", req = { "FRAME-023", "STREAM-008" }, profile = "stream",
  title = "Items for a half that was stopped are not looked at, whole or in fragments",
  why = "What is discarded is never judged as a value.",
  run = function(t, d)
    local c = sink(d, { stop_after = 1, linger = "k", window = array { 16, 1 << 20 } })
    c:item(1)
    c:expect("STOP", "STREAM-002")
    d:put("ITEM", c.id, "\xc1\xc1\xc1")
    d:nothing(c.id, "FRAME-023")
    d:put("ITEM", c.id, "\xa5", { more = true })
    d:put("ITEM", c.id, "\xff")
    d:nothing(c.id, "FRAME-023")
    c:finish()
    t:open_gate(d, "k")
    t:is("STREAM-008", c:returns().count, 1, "items consumed:")
  end,
})

pattern.both(case, {
  id = "fragment.open.silence", req = "FRAME-021", profile = "stream",
  title = "Before its OPEN is complete nothing comes on a context, not even credit",
  why = "Until then nobody knows what was asked for.",
  run = function(t, d)
    local bytes = value.encode(map { target = "tck.sink", args = map {}, send = true,
      deadline = 0 })
    for _, at in ipairs { 1, 20, #bytes - 1 } do
      local id = d:new_id()
      d:send { "OPEN", id, payload = bytes:sub(1, at), more = true }
      d:barrier("FRAME-021")
      for _, f in ipairs(d.inbox) do
        t:check("FRAME-021", f.ctx ~= id, "nothing on context " .. id, frame.show(f))
      end
      d:send { "OPEN", id, payload = bytes:sub(at + 1) }
      Context.new(d, id, true):is_cancelled({ origin = "deadline", ran = false }, "FRAME-021")
    end
  end,
})

-- One unfinished OPEN at a time -------------------------------------------------------------------

reject {
  id = "fragment.open.second", req = "FRAME-020", code = "frame",
  title = "A second unfinished OPEN is a violation `frame`",
  why = "Handlers begin in the order in which their OPENs became complete.",
  setup = function(_, d)
    d:put("OPEN", d:new_id(), echo:sub(1, 3), { more = true })
    d:barrier()
    return { id = d:new_id() }
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, echo:sub(1, 3), { more = true }) end,
}

pattern.both(case, {
  id = "fragment.open.next", req = { "FRAME-020", "FRAME-019" },
  title = "A whole OPEN passes an unfinished one, and after its end or its CANCEL the next may"
    .. " begin",
  why = "The valid twins of a second unfinished OPEN.",
  run = function(_, d)
    local first = d:new_id()
    d:send { "OPEN", first, payload = echo:sub(1, 3), more = true }
    d:open("tck.echo", map { v = "whole" }):returns("whole", "FRAME-020")
    d:send { "OPEN", first, payload = echo:sub(4) }
    Context.new(d, first, true):returns(7, "FRAME-020")
    for _ = 1, 5 do
      local id = d:new_id()
      local c = Context.new(d, id, true)
      d:send { "OPEN", id, payload = echo:sub(1, 3), more = true }
      c:cancel()
      local next_id = d:new_id()
      d:send_split({ "OPEN", next_id, payload = echo }, 5)
      c:is_cancelled({ ran = false }, "FRAME-022")
      Context.new(d, next_id, true):returns(7, "FRAME-020")
    end
  end,
})

reject {
  id = "fragment.open.uses-id", req = { "FRAME-019", "FRAME-007" }, code = "state",
  title = "An OPEN below the id of an unfinished one is a violation `state`",
  why = "From its first fragment on the id is used.",
  setup = function(_, d)
    local low, high = d:new_id(), d:new_id()
    d:put("OPEN", high, echo:sub(1, 3), { more = true })
    d:barrier()
    return { id = low }
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, echo) end,
}

-- What the testee sends ---------------------------------------------------------------------------

pattern.both(case, {
  id = "frame.sent.fragments", req = { "FRAME-014", "LIMIT-004", "FRAME-001" },
  title = "Results longer than a frame come in fragments no longer than what the suite announced",
  why = "The receiver's limit binds the sender; the monitor looks at every frame.",
  boot = { hello = { limits = map { frame = 16384, message = 1 << 20 } } },
  run = function(_, d)
    for _, n in ipairs { 16383, 16384, 16385, 32768, 32769, 100000 } do
      local v = value.bin(("s"):rep(n - 5))
      d:open("tck.echo", map { v = v }, { split = 60000 }):returns(v, "FRAME-014")
    end
    local v = value.bin(("s"):rep(50000))
    local list = {}
    for i = 1, 6 do list[i] = d:open("tck.echo", map { v = v }) end
    for i = 1, 6 do list[i]:returns(v, "FRAME-014") end
    local c = d:open("tck.relay", map { target = "x.long", args = array { v } })
    local below = d:accept("x.long", "FRAME-014")
    below:returns_with(value.null)
    c:returns(value.null)
  end,
})

pattern.both(case, {
  id = "frame.sent.item-fragments", req = { "FRAME-014", "FRAME-016", "STREAM-010" },
  profile = "stream",
  title = "Items longer than a frame come in fragments, and other contexts are served meanwhile",
  why = "No message blocks a link for others.",
  boot = { hello = { limits = map { frame = 16384, message = 1 << 20 } } },
  run = function(t, d)
    local c = d:open("tck.source", map { count = 4, size = 200000 }, { credit = { 4, 1 << 20 } })
    c:expect("STARTED")
    local e = d:open("tck.echo", map { v = 1 })
    for i = 0, 3 do
      local f = c:expect("ITEM", "FRAME-014")
      t:check("STREAM-010", value.is_bin(f.value) and #f.value.bytes == 200000
        and string.unpack(">I8", f.value.bytes) == i, "item " .. i .. " of 200000 bytes",
        value.show(f.value))
    end
    e:returns(1)
    c:expect({ "END", "RETURN" }, "STREAM-009")
  end,
})

pattern.both(case, {
  id = "frame.sent.in-turn", req = { "FRAME-016", "FRAME-027" },
  title = "Two long messages of one context come one after the other, not mixed",
  why = "Within a context there is an order, and nothing but CREDIT, STOP and CANCEL leaves it.",
  boot = { hello = { limits = map { frame = 16384, message = 1 << 20 } } },
  run = function(t, d)
    local s, v = value.bin(("s"):rep(100000)), value.bin(("v"):rep(100000))
    local list = {}
    for i = 1, 4 do list[i] = d:open("tck.echo", map { v = v, started = s }, { split = 60000 }) end
    for i = 1, 4 do
      local f = list[i]:expect("STARTED", "FRAME-016")
      t:is("FRAME-016", f.value, s, "STARTED")
      list[i]:returns(v, "FRAME-016")
    end
  end,
})
