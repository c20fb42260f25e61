-- SPDX-License-Identifier: MIT
--
-- Chapter 6.3: the limits. Each is filled to the brim and then exceeded by one, by the suite
-- towards the testee, and, announced as small as may be, kept by the testee towards the suite.
local case = ...
local Context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local inner, echo, filler = play.inner, play.echo, play.filler

local function filled(n) return value.bin(("f"):rep(n - 5)) end

-- Contexts ----------------------------------------------------------------------------------------

-- Opens contexts until as many are open as the testee has announced.
local function fill(d, key, parent)
  local list = {}
  -- copse.actor counts as well.
  local n = d:limit("contexts") - (parent and 0 or 1)
  for i = 1, n do list[i] = d:open("tck.gate", map { key = key }) end
  for _, c in ipairs(list) do c:expect("STARTED", "LIMIT-013") end
  return list
end

pattern.both(case, {
  id = "limit.contexts.at", req = { "LIMIT-007", "LIMIT-013" },
  title = "As many contexts as announced are open at the same time, copse.actor counted",
  why = "The valid twin of the one that is too many.",
  run = function(t, d, parent)
    local list = fill(d, "full", parent)
    d:barrier()
    list[1]:cancel()
    list[1]:is_cancelled {}
    t:open_gate(d, "full")
    for i = 2, #list do list[i]:returns(value.null, "LIMIT-007") end
  end,
})

for _, o in ipairs {
  { "whole", "An OPEN", function(d, id) d:put("OPEN", id, echo) end },
  { "fragment", "The first fragment of an OPEN", function(d, id)
    d:put("OPEN", id, echo:sub(1, 3), { more = true })
  end },
  { "unknown-target", "An OPEN of an unknown target", function(d, id)
    d:put("OPEN", id, value.encode(map { target = "tck.none" }))
  end },
  { "bad-payload", "An OPEN that is no value", function(d, id) d:put("OPEN", id, "\xc1") end },
} do
  pattern.both(case, {
    id = "limit.contexts.above." .. o[1], req = { "LIMIT-007", "LIMIT-013" },
    title = o[2] .. " beyond the contexts that were announced is a violation `limit`",
    why = "Otherwise a peer can make a callee hold as much as it likes.",
    run = function(_, d, parent)
      fill(d, "full", parent)
      local id = d:new_id()
      o[3](d, id)
      d:violation("limit", id, "LIMIT-007")
    end,
  })
end

pattern.both(case, {
  id = "limit.contexts.unfinished-counts", req = { "LIMIT-013", "FRAME-019" },
  title = "An OPEN that is unfinished counts against `contexts`",
  why = "Its slot is held from its first fragment on.",
  run = function(_, d, parent)
    local list = fill(d, "full", parent)
    list[1]:cancel()
    list[1]:is_cancelled {}
    d:put("OPEN", d:new_id(), echo:sub(1, 3), { more = true })
    d:barrier()
    local id = d:new_id()
    d:put("OPEN", id, echo)
    d:violation("limit", id, "LIMIT-013")
  end,
})

case {
  id = "limit.contexts.cancelled-counts", req = "LIMIT-013",
  title = "A context that was cancelled counts until its terminal",
  why = "A slot that is free at CANCEL is what rapid resets are made of.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent)
    local stay = d:open("tck.stubborn", map { key = "held" })
    stay:expect("STARTED")
    for _ = 1, d:limit("contexts") - 1 do play.gate(d, { key = "full" }) end
    stay:cancel { grace = 60000 }
    d:nothing(stay.id, "LIMIT-013")
    local id = d:new_id()
    d:put("OPEN", id, echo)
    d:violation("limit", id, "LIMIT-013")
    t:open_gate(parent, "held")
    t:alive(parent)
  end,
}

pattern.both(case, {
  id = "limit.contexts.freed", req = "LIMIT-014",
  title = "Whoever has read a terminal may use its slot at once, by whatever terminal it was freed",
  why = "The slot is free before the last byte of the terminal is handed over.",
  run = function(_, d, parent)
    local n = d:limit("contexts") - (parent and 0 or 1)
    for _ = 1, n - 1 do d:open("tck.gate", map { key = "full" }):expect("STARTED") end
    for i = 1, 100 do
      local c
      if i % 5 == 0 then
        c = d:open("tck.none", map {})
        c:errors("no_target", "LIMIT-014")
      elseif i % 5 == 1 then
        c = d:open("tck.echo", map { v = i })
        c:returns(i, "LIMIT-014")
      elseif i % 5 == 2 then
        c = d:open("tck.fail", map {})
        c:errors("failed", "LIMIT-014")
      elseif i % 5 == 3 then
        c = d:open("tck.echo", map {}, { deadline = 0 })
        c:is_cancelled({ ran = false }, "LIMIT-014")
      else
        c = d:open("tck.gate", map { key = "never" })
        c:cancel()
        c:expect({ "CANCELLED", "STARTED" }, "LIMIT-014")
        if d.monitor.ctx[c.id].life ~= "ended" then c:is_cancelled({}, "LIMIT-014") end
      end
    end
    d.loose = true
  end,
})

for _, n in ipairs { 16, 17 } do
  pattern.both(case, {
    id = "limit.contexts.kept-" .. n, req = "LIMIT-015",
    title = "A testee that has " .. n .. " contexts to open towards a limit of 16 "
      .. (n == 16 and "opens them all" or "fails the last at once with `busy`"),
    why = "Handlers that each hold a slot and wait for one more would wait for ever.",
    boot = { hello = { limits = map { contexts = 16 } } },
    run = function(t, d)
      local calls = {}
      for i = 1, n do calls[i] = map { target = "x." .. i } end
      local upper = d:open("tck.nursery", map { open = array(calls) })
      if n == 16 then
        local list = {}
        for i = 1, 16 do list[i] = d:accept("x." .. i, "LIMIT-015") end
        upper:expect("STARTED")
        for i = 1, 16 do list[i]:returns_with(i) end
        upper:expect("RETURN", "LIMIT-015")
        return
      end
      -- Those that were opened are cancelled, because their sibling failed. The suite never lets
      -- one end by itself: a testee that waits for a slot waits for ever.
      local seen = {}
      local on_frame = d.on_frame
      d.on_frame = function(l, f)
        on_frame(l, f)
        if f.name == "OPEN" and not f.more then seen[f.ctx] = true end
        if f.name == "CANCEL" and seen[f.ctx] then
          l:send { "CANCELLED", f.ctx, value = map { origin = "error", ran = false } }
        end
      end
      local f = upper:next("ERROR `busy`", "LIMIT-015")
      if f.name == "STARTED" then f = upper:next("ERROR `busy`", "LIMIT-015") end
      t:check("LIMIT-015", f.name == "ERROR", "ERROR `busy`", frame.show(f))
      t:is("LIMIT-015", f.value.code, "busy", "code")
    end,
  })
end

-- Partials ----------------------------------------------------------------------------------------

-- The suite answers relays; each answer is a message under way. One OPEN may be among them.
local function partials(d, n)
  local list = {}
  for i = 1, n do
    local below, upper = inner(d)
    list[i] = { below = below, upper = upper }
  end
  return list
end

pattern.both(case, {
  id = "limit.partials.at", req = { "LIMIT-008", "LIMIT-009" },
  title = "As many unfinished messages as announced are under way, and again when they have ended",
  why = "The twin of the one that is too many; and an end frees its place.",
  run = function(_, d)
    local n = d:limit("partials")
    for round = 1, 2 do
      local list = partials(d, n)
      for _, p in ipairs(list) do p.below:send("RETURN", nil, { payload = "\xa2", more = true }) end
      d:barrier()
      for i, p in ipairs(list) do
        if (i + round) % 3 == 0 then
          -- Abandoned: another terminal in its place.
          p.below:fail_with { code = "acme.instead" }
          p.upper:errors("acme.instead", "LIMIT-009")
        else
          p.below:send("RETURN", nil, { payload = "ok" })
          p.upper:returns("ok", "LIMIT-008")
        end
      end
    end
  end,
})

for _, o in ipairs {
  { "RETURN", function(_, p) return p.below.id end, "\xa2" },
  { "STARTED", function(_, p) return p.below.id end, "\xa2" },
  { "ERROR", function(_, p) return p.below.id end, "\x82" },
  { "OPEN", function(d) return d:new_id() end, "\x82" },
} do
  pattern.reject(case, {
    id = "limit.partials.above." .. o[1], req = "LIMIT-008", code = "limit",
    title = "A fragment that begins " .. o[1] .. " beyond `partials` is a violation `limit`",
    why = "Each unfinished message may take as much memory as the limit on messages.",
    setup = function(_, d)
      local n = d:limit("partials")
      local list = partials(d, n + 1)
      for i = 1, n do list[i].below:send("RETURN", nil, { payload = "\xa2", more = true }) end
      d:barrier()
      return { id = o[2](d, list[n + 1]) }
    end,
    bad = function(_, d, c) d:put(o[1], c.id, o[3], { more = true }) end,
  })
end

pattern.reject(case, {
  id = "limit.partials.above.ITEM", req = "LIMIT-008", code = "limit", profile = "stream",
  title = "A fragment that begins an item beyond `partials` is a violation `limit`",
  why = "Messages of both directions of opening count together.",
  setup = function(_, d)
    local n = d:limit("partials")
    for i = 1, n do
      local c = d:open("tck.sink", map {}, { send = true })
      c:expect("STARTED")
      c:await_credit(1, "CREDIT-001")
      if i < n - 1 then c:send("ITEM", nil, { payload = "\xa2", more = true }) end
    end
    local below = inner(d)
    below:send("RETURN", nil, { payload = "\xa2", more = true })
    local last = d:open("tck.sink", map {}, { send = true })
    last:expect("STARTED")
    last:await_credit(1, "CREDIT-001")
    if n > 1 then d:put("OPEN", d:new_id(), echo:sub(1, 3), { more = true }) end
    d:barrier()
    return last
  end,
  bad = function(_, d, c) d:put("ITEM", c.id, "\xa2", { more = true }) end,
})

pattern.both(case, {
  id = "limit.partials.freed", req = "LIMIT-009", profile = "stream",
  title = "An unfinished item that END or CANCEL discards, or whose context ends, is counted no"
    .. " longer",
  why = "Both ends count the same, or one of them breaks the link.",
  run = function(t, d)
    local n = d:limit("partials")
    for how = 1, 3 do
      local list = {}
      for i = 1, n do
        list[i] = d:open("tck.sink", map { hold = "never" }, { send = true })
        list[i]:expect("STARTED")
        list[i]:await_credit(1, "CREDIT-001")
        list[i]:send("ITEM", nil, { payload = "\xa2", more = true })
      end
      d:barrier()
      for i = 1, n do
        if how == 1 then list[i]:finish() end
        if how ~= 3 or i % 2 == 0 then list[i]:cancel() end
        if how == 3 and i % 2 == 1 then
          list[i]:send("ITEM", nil, { payload = "ok" })
          list[i]:cancel()
        end
      end
      for i = 1, n do list[i]:is_cancelled({}, "LIMIT-009") end
      t:check("LIMIT-009", not d:first_bye(), "the link open", "BYE")
    end
  end,
})

pattern.reject(case, {
  id = "limit.partials.discarded-count", req = "LIMIT-009", code = "limit", profile = "stream",
  title = "Unfinished items on stopped halves are discarded and count all the same",
  why = "The sender need not have seen the STOP; both count until the last fragment.",
  setup = function(_, d)
    local n, list = d:limit("partials"), {}
    for i = 1, n + 1 do
      list[i] = d:open("tck.sink",
        map { stop_after = 1, linger = "never", window = array { 9, 9000 } }, { send = true })
      list[i]:expect("STARTED")
      list[i]:await_credit(3, "CREDIT-001")
      list[i]:item(1)
      list[i]:expect("STOP")
    end
    for i = 1, n do d:put("ITEM", list[i].id, "\xa2", { more = true }) end
    d:barrier()
    return list[n + 1]
  end,
  bad = function(_, d, c) d:put("ITEM", c.id, "\xa2", { more = true }) end,
})

pattern.both(case, {
  id = "limit.partials.ended-not-counted", req = { "LIMIT-009", "FRAME-011" }, profile = "stream",
  title = "Fragments on ended contexts count against nothing",
  why = "They were on their way; nobody keeps them.",
  run = function(t, d)
    local list = {}
    for i = 1, d:limit("partials") + 4 do
      list[i] = d:open("tck.echo", map { v = i })
      list[i]:returns(i)
    end
    for _, c in ipairs(list) do d:put("ITEM", c.id, "\xa2", { more = true }) end
    d:barrier()
    local p = partials(d, d:limit("partials"))
    for _, q in ipairs(p) do q.below:send("RETURN", nil, { payload = "\xa2", more = true }) end
    d:barrier()
    for _, q in ipairs(p) do q.below:send("RETURN", nil, { payload = "ok" }) end
    for _, q in ipairs(p) do q.upper:returns("ok", "LIMIT-009") end
    t:pass("FRAME-011")
  end,
})

pattern.both(case, {
  id = "limit.partials.kept", req = { "LIMIT-008", "LIMIT-005" },
  title = "A testee that may have one message under way sends long results one after the other",
  why = "The receiver's limit binds the sender; the monitor counts.",
  boot = { hello = { limits = map { frame = 16384, message = 1 << 20, partials = 1 } } },
  run = function(_, d)
    local list, v = {}, filled(50000)
    for i = 1, 8 do list[i] = d:open("tck.echo", map { v = v }, { split = 60000 }) end
    local upper = d:open("tck.relay", map { target = "x.long", args = array { v } })
    local below = d:accept("x.long", "LIMIT-008")
    below:returns_with(1)
    upper:returns(1)
    for i = 1, 8 do list[i]:returns(v, "LIMIT-008") end
  end,
})

-- Messages ----------------------------------------------------------------------------------------

-- Sends payload in fragments of the testee's frame limit, without waiting for anything.
local function long(d, kind, id, payload, last_more)
  local step = d:limit("frame", 65536)
  for at = 1, #payload, step do
    d:put(kind, id, payload:sub(at, at + step - 1), { more = at + step <= #payload or last_more })
  end
end

pattern.both(case, {
  id = "limit.message.at", req = "LIMIT-005",
  title = "A message of exactly the announced length is read",
  why = "The valid twin of the one that is a byte too long.",
  boot = { hello = { limits = map { message = 1 << 26 } } },
  run = function(_, d)
    local n = d:limit("message", 1 << 24)
    local base = #value.encode(map { target = "tck.echo", args = map { v = filler(5) } })
    local payload = value.encode(map { target = "tck.echo",
      args = map { v = filler(n - base + 5) } })
    local id = d:new_id()
    d:send_split({ "OPEN", id, payload = payload }, d:limit("frame", 1 << 20))
    Context.new(d, id, true):returns(filled(n - base + 5), "LIMIT-005")
    local below, upper = inner(d)
    below:send("RETURN", nil, { payload = value.encode(filler(n)),
      split = d:limit("frame", 1 << 20) })
    upper:returns(filled(n), "LIMIT-005")
  end,
})

for _, o in ipairs {
  { "OPEN", function(d) return { id = d:new_id() } end }, { "RETURN", inner }, { "STARTED", inner },
  { "ERROR", inner },
  { "ITEM", function(d)
    local c = d:open("tck.sink", map { hold = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    return c
  end, "stream" },
} do
  pattern.reject(case, {
    id = "limit.message.above." .. o[1], req = "LIMIT-005", code = "limit", profile = o[3],
    title = "The fragment that makes " .. o[1] .. " a byte too long is a violation `limit`,"
      .. " there and then",
    why = "Whoever waits for the end of it has kept it all.",
    setup = function(_, d)
      local c = o[2](d)
      long(d, o[1], c.id, ("\xc1"):rep(d:limit("message")), true)
      d:barrier()
      return c
    end,
    bad = function(_, d, c) d:put(o[1], c.id, "\xc1", { more = true }) end,
  })
end

-- What the suite announces is kept: each with a result that just fits and one that does not.
local least = { hello = { limits = map { frame = 16384, message = 16384 } } }
pattern.both(case, {
  id = "limit.message.kept.return", req = { "LIMIT-011", "LIMIT-010" }, boot = least,
  title = "A result that is too long for the suite becomes ERROR `too_large`, one that just fits"
    .. " is sent",
  why = "The opener has to learn that it will not get it.",
  run = function(_, d)
    -- A few bytes are left for whatever format the testee writes; those that follow fit in none.
    d:open("tck.echo", map { v = filler(16384) }):returns(filled(16384), "LIMIT-010")
    d:open("tck.echo", map { v = filler(16384 + 5) }):errors("too_large", "LIMIT-011")
    d:open("tck.echo", map { v = filler(60000) }):errors("too_large", "LIMIT-011")
    d:open("tck.echo", map { v = 1 }):returns(1, "LIMIT-010")
  end,
})
pattern.both(case, {
  id = "limit.message.kept.started", req = "LIMIT-011", boot = least,
  title = "A STARTED value that is too long for the suite becomes ERROR `too_large`",
  why = "The opener waits for it.",
  run = function(t, d)
    local c = d:open("tck.gate", map { key = "k", started = filler(16384) })
    local f = c:expect("STARTED", "LIMIT-010")
    t:is("LIMIT-010", f.value, filled(16384), "STARTED")
    c:cancel()
    c:is_cancelled {}
    d:open("tck.gate", map { key = "k", started = filler(16384 + 5) }):errors("too_large",
      "LIMIT-011")
  end,
})
pattern.both(case, {
  id = "limit.message.kept.open", req = "LIMIT-010", boot = least,
  title = "A call that is too long for the suite fails locally with `too_large`, and nothing of"
    .. " it is sent",
  why = "The caller learns it before the peer is bothered.",
  run = function(_, d)
    local n = 16384 - #value.encode(map { target = "x.in", args = array { filler(5) } }) + 5
    local upper = d:open("tck.relay", map { target = "x.in", args = array { filler(n) } })
    d:accept("x.in", "LIMIT-010"):returns_with(1)
    upper:returns(1)
    upper = d:open("tck.relay", map { target = "x.in", args = array { filler(n + 2000) } })
    upper:errors("too_large", "LIMIT-010")
    d:nothing(nil, "LIMIT-010")
  end,
})
pattern.both(case, {
  id = "limit.message.kept.item", req = "LIMIT-010", boot = least, profile = "stream",
  title = "An item that is too long for the suite is not sent; the sender fails with `too_large`",
  why = "A violation of the suite's limit would end the link for all.",
  run = function(_, d)
    local c = d:open("tck.source", map { count = 1, size = 16384 - 3 }, { credit = { 4, 1 << 20 } })
    c:expect("STARTED")
    c:expect("ITEM", "LIMIT-010")
    c:expect({ "END", "RETURN" })
    local big = d:open("tck.source", map { count = 1, size = 20000 }, { credit = { 4, 1 << 20 } })
    big:expect({ "STARTED", "ERROR" })
    if d.monitor.ctx[big.id].life ~= "ended" then big:errors("too_large", "LIMIT-010") end
    d:open("tck.echo", map { v = 1 }):returns(1, "LIMIT-010")
    d.loose = true
  end,
})
pattern.both(case, {
  id = "limit.message.kept.error", req = "LIMIT-012", boot = least,
  title = "An error that is too long loses its data before its message, and its message only at"
    .. " the end",
  why = "What happened matters more than what was attached to it.",
  run = function(t, d)
    local e = d:open("tck.fail", map { code = "acme.x", message = "what happened",
      data = filler(1000) })
      :errors("acme.x", "LIMIT-012", { message = "what happened" })
    t:is("LIMIT-012", e.data, filled(1000), "data")
    e = d:open("tck.fail", map { code = "acme.x", message = "what happened", data = filler(20000) })
      :errors("acme.x", "LIMIT-012", { message = "what happened" })
    t:check("LIMIT-012", e.data == nil, "no data", "data")
    e = d:open("tck.fail", map { code = "acme.x", message = ("m"):rep(20000),
      data = filler(20000) })
      :errors("acme.x", "LIMIT-012")
    t:check("LIMIT-012", e.data == nil and #e.message > 14000,
      "no data, and as much message as fits",
      #e.message .. " bytes of message")
  end,
})
pattern.both(case, {
  id = "limit.message.kept.order", req = "LIMIT-012", boot = least,
  title = "An error that is passed on loses stack, data, causes and via in this order until it"
    .. " fits",
  why = "Two implementations cut alike.",
  run = function(t, d)
    local order = { "stack", "data", "causes", "via" }
    -- Each kept part takes a few bytes; the one that is too big has to go with all before it.
    for big = 1, 4 do
      local e = { code = "acme.x", message = "m", stack = "s", data = 1, type = "T",
        causes = array { map { code = "acme.c", message = "c" } }, via = array {} }
      local name = order[big]
      if name == "via" then
        local hops = {}
        for i = 1, 32 do hops[i] = value.ref(string.pack(">I8I8", i, i), ("h"):rep(64), {}) end
        e.via, e.message = array(hops), ("m"):rep(14500)
      else
        e[name] = name == "causes" and array { map { code = "c", message = ("c"):rep(16384) } }
          or name == "stack" and ("s"):rep(16384) or filler(16384)
      end
      local below, upper = inner(d)
      below:send("ERROR", map(e), { split = 16384 })
      local got = upper:errors("acme.x", "LIMIT-012")
      for i = 1, 4 do
        local there = got[order[i]] ~= nil and not (order[i] == "via" and got.via.n == 0)
        if i <= big then
          t:check("LIMIT-012", not there, "no " .. order[i] .. " (" .. name .. " was too long)",
            "it is there")
        elseif order[i] ~= "via" then
          t:check("LIMIT-012", there, order[i] .. " kept (" .. name .. " was too long)",
            "it is gone")
        end
      end
      t:check("LIMIT-012", got.message == e.message, "the message whole", #got.message .. " bytes")
    end
  end,
})

-- Defaults ----------------------------------------------------------------------------------------

-- A result of three parts of `part` bytes, which the testee puts together from answers of the
-- suite.
local function sum(d, part, n)
  local calls = {}
  for i = 1, n do calls[i] = map { target = "x." .. i } end
  local upper = d:open("tck.nursery", map { open = array(calls) })
  for i = 1, n do
    d:accept("x." .. i):send("RETURN", nil, { payload = value.encode(filler(part)),
      split = d:limit("frame", 1 << 20) })
  end
  upper:expect("STARTED")
  return upper
end

for _, o in ipairs {
  { "absent", nil, 3, false }, { "frame-only-small", { frame = 16384 }, 3, false },
  { "frame-only-large", { frame = 4 << 20 }, 3, true }, { "message-large", { message = 4 << 20 },
    3, true },
} do
  pattern.both(case, {
    id = "limit.default.message." .. o[1], req = "LIMIT-001",
    title = "Where `message` is " .. o[1] .. ", a result of 1.8 MB is " .. (o[4] and "sent" or
      "too large"),
    why = "An absent limit has its default, or that of `frame` where it is greater.",
    boot = { hello = { limits = o[2] and map(o[2]) } },
    run = function(_, d)
      local upper = sum(d, 600000, o[3])
      if o[4] then
        local one = filled(600000)
        upper:returns(array { one, one, one }, "LIMIT-001")
      else
        upper:errors("too_large", "LIMIT-001")
      end
      d:open("tck.echo", map { v = filler(60000) }):returns(filled(60000), "LIMIT-001")
    end,
  })
end

pattern.both(case, {
  id = "limit.default.message.just-fits", req = "LIMIT-001",
  title = "Where no limit is announced, a result of a million bytes is sent",
  why = "The default is 1 MiB; a sender that takes less for granted withholds what it may send.",
  run = function(_, d)
    local upper = sum(d, 500000, 2)
    local one = filled(500000)
    upper:returns(array { one, one }, "LIMIT-001")
  end,
})

pattern.both(case, {
  id = "limit.default.contexts", req = "LIMIT-001",
  title = "Where no limit is announced, the testee opens 255 contexts at the same time",
  why = "The default is 256.",
  run = function(t, d)
    local n, calls, seen = 255, {}, {}
    for i = 1, n do calls[i] = map { target = "x." .. i } end
    local upper = d:open("tck.nursery", map { open = array(calls) })
    for i = 1, n do seen[i] = d:accept("x." .. i, "LIMIT-001") end
    upper:expect("STARTED")
    for i = 1, n do seen[i]:returns_with(i) end
    local v = upper:returns(nil, "LIMIT-001")
    t:check("LIMIT-001", value.is_array(v) and v.n == n and v[n] == n, n .. " results",
      value.show(v))
  end,
})

case {
  id = "limit.default.frame-24", req = "LIMIT-003",
  title = "A frame limit beyond 2^24-1 counts as 2^24-1: what is longer still comes in fragments",
  why = "The header has 24 bits for the length.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = {
      limits = map { frame = (1 << 53) - 1, message = (1 << 53) - 1 } } })
    local part = 900000
    local upper = sum(d, part, 19)
    local f = upper:expect("RETURN", "LIMIT-003")
    local good = value.is_array(f.value) and f.value.n == 19 and #f.value[19].bytes == part - 5
    t:check("LIMIT-003", good,
      "19 parts of " .. part .. " bytes", value.show(f.value))
  end,
}
