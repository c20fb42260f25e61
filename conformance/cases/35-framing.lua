-- SPDX-License-Identifier: MIT
--
-- Chapter 4: the header and its edges, field by field, and how the bytes arrive. What is checked
-- against the state of a context, and in which order, is in 35-checks.lua.
local case = ...
local Context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local gate, inner, fresh = play.gate, play.inner, play.fresh
local echo, filler, sample = play.echo, play.filler, play.sample

local of_stream = { ITEM = "stream", STOP = "stream", CREDIT = "stream" }
local _, reject = pattern.with(case, { why = "The peer is told which rule it broke, and where." })

local function most(d) return d:limit("frame") end

-- An OPEN of tck.echo that takes exactly n bytes, and the bin in it.
local function long_open(n)
  local base = #value.encode(map { target = "tck.echo", args = map { v = filler(5) } })
  return value.encode(map { target = "tck.echo", args = map { v = filler(n - base + 5) } }),
    value.bin(("f"):rep(n - base))
end

local function sink(d) return play.sink(d, {}, 4) end
local function duplex(d) return play.duplex(d, { credit = { 16, 1 << 20 }, items = 4 }) end

-- The kinds and their lengths ---------------------------------------------------------------------
-- Each kind at the length that it may have, and one byte above. `on` makes the context that the
-- frame goes to.

local small, big = 1024, 16384

for _, k in ipairs {
  { "OPEN", frame = true, on = fresh },
  { "ITEM", frame = true, on = sink, profile = "stream" },
  { "STARTED", frame = true, on = inner },
  { "RETURN", frame = true, on = inner },
  { "ERROR", frame = true, on = inner },
  { "CANCELLED", frame = true, on = inner },
  { 0x40, frame = true }, { 0x7f, frame = true, on = gate },
  { "BYE", most = big }, { "PING", most = small }, { "PONG", most = small },
  { "CREDIT", most = small, on = gate, profile = "stream" },
  { "CANCEL", most = small, on = gate }, { "END", most = 0, on = duplex, profile = "stream" },
  { "STOP", most = 0, on = gate, profile = "stream" },
} do
  local kind = k[1]
  local name = type(kind) == "string" and kind or string.format("0x%02x", kind)
  local code = k.frame and "frame" or "limit"
  local req = k.frame and "LIMIT-004" or "LIMIT-006"
  local function prepare(_, d) return k.on and k.on(d) or { id = 0 } end
  reject {
    id = "frame.length." .. name .. ".above", req = { "FRAME-003", req }, code = code,
    profile = k.profile, setup = prepare,
    title = "A header of " .. name .. " one byte above its limit is a violation `" .. code
      .. "`, before a byte of its payload",
    bad = function(_, d, c)
      d:put(kind, c.id, "", { length = (k.most or most(d)) + 1 })
    end,
  }
  reject {
    id = "frame.length." .. name .. ".huge", req = { "FRAME-003", req }, code = code,
    profile = k.profile, setup = prepare,
    title = "A header of " .. name .. " that announces 16 MiB is refused at once",
    why = "Whoever waits for the payload waits for an attacker.",
    bad = function(_, d, c)
      if 0xffffff > most(d) then return d:put(kind, c.id, "", { length = 0xffffff }) end
      d:put("END", c.id, "", { length = 0xffffff })
    end,
  }
end

for _, k in ipairs {
  { "PING", 1025 }, { "PONG", 1025 }, { "BYE", 16385 }, { "CREDIT", 1025, "stream" },
  { "CANCEL", 1025 }, { "END", 1 }, { "STOP", 1, "stream" },
} do
  reject {
    id = "frame.length." .. k[1] .. ".whole-payload", req = "LIMIT-006", code = "limit",
    profile = k[3],
    title = k[1] .. " of " .. k[2] .. " bytes, with all of them behind it, is a violation `limit`",
    setup = function(_, d) return frame.kind[k[1]].from == "link" and { id = 0 } or gate(d) end,
    bad = function(_, d, c)
      local payload = value.encode(value.bin(("p"):rep(k[2] - (k[2] > 1 and 3 or 1))))
      d:put(k[1], c.id, payload:sub(1, k[2]))
    end,
  }
end

reject {
  id = "frame.length.whole-payload", req = "LIMIT-004", code = "frame",
  title = "A message frame above the limit is a violation with its payload behind it as well",
  setup = function(_, d) return { id = d:new_id() } end,
  twin = function(_, d)
    local bytes, v = long_open(most(d))
    local id = d:new_id()
    d:send { "OPEN", id, payload = bytes }
    Context.new(d, id, true):returns(v, "LIMIT-004")
  end,
  bad = function(_, d, c) d:put("OPEN", c.id, (long_open(most(d) + 1))) end,
}

pattern.both(case, {
  id = "frame.length.at", req = "LIMIT-004",
  title = "A frame of exactly the announced length is read, as one OPEN, as a fragment, as a"
    .. " result",
  why = "The twin of the byte that is one too many.",
  run = function(_, d)
    local n = most(d)
    for _, extra in ipairs { 0, -1, 1, 12, n } do
      if n + extra > d.monitor.limits.peer.message then break end
      local bytes, v = long_open(n + extra)
      local id = d:new_id()
      d:send_split({ "OPEN", id, payload = bytes }, n)
      Context.new(d, id, true):returns(v, "LIMIT-004")
    end
    local below, upper = inner(d)
    below:send("RETURN", nil, { payload = value.encode(filler(n)) })
    upper:returns(value.bin(("f"):rep(n - 5)), "LIMIT-004")
  end,
})

pattern.both(case, {
  id = "frame.length.small-kinds", req = "LIMIT-006",
  title = "PING, PONG and CANCEL of exactly 1024 bytes are read, and BYE of exactly 16384",
  why = "The twins of the byte that is one too many.",
  run = function(t, d, parent)
    local ping = value.encode(value.bin(("p"):rep(1021)))
    assert(#ping == 1024)
    d:send { "PING", payload = ping }
    t:await(function() return d.pongs[1] or d.eof end, "PONG of 1024 bytes", "LIMIT-006")
    t:check("KIND-005", d.pongs[1] and d.pongs[1].payload == ping, "the same 1024 bytes", "others")
    d.pongs = {}
    d:send { "PONG", payload = ping }
    local c = gate(d)
    local text = ("c"):rep(1024 - #value.encode(map { origin = "requested", message = "" }) - 2)
    local bytes = value.encode(map { origin = "requested", message = text })
    assert(#bytes == 1024)
    d:send { "CANCEL", c.id, payload = bytes }
    c:is_cancelled({}, "LIMIT-006")
    if not parent then return end
    local rest = #value.encode(map { code = "none", message = "" }) + 2
    d:send { "BYE", value = map { code = "none", message = ("b"):rep(16384 - rest) } }
    d:await_frame(function(f) return f.name == "BYE" end, "BYE `none`", "LIMIT-006")
    d:shutdown()
    d:await_eof("LINK-010")
  end,
})

pattern.both(case, {
  id = "frame.length.longest-credit", req = { "VALUE-006", "CREDIT-002" }, profile = "stream",
  title = "CREDIT in the longest formats that MessagePack has is CREDIT all the same",
  why = "A fixed size would be an assumption that the format does not grant.",
  run = function(_, d)
    local c = d:open("tck.source", map { count = 2 }, { credit = { 1, 1000 } })
    c:expect("STARTED")
    c:gives(0)
    c:send("CREDIT", nil, { payload = "\xdd\0\0\0\2\xcf\0\0\0\0\0\0\0\2\xd3\0\0\0\0\0\0\x10\0" })
    c:gives(1, "CREDIT-002")
    c:expect("END")
    c:returns(2)
  end,
})

-- Kinds -------------------------------------------------------------------------------------------

local unassigned = { 0x00, 0x05, 0x0f, 0x1a, 0x1f, 0x20, 0x2a, 0x3f }
for _, kind in ipairs(unassigned) do
  local name = string.format("0x%02x", kind)
  reject {
    id = "frame.kind." .. name, req = "FRAME-005", code = "frame", names = false,
    title = "A frame of the unassigned kind " .. name .. " is a violation `frame`",
    bad = function(_, d) d:put(kind, 0, "\1") end,
  }
  reject {
    id = "frame.kind." .. name .. ".context", req = "FRAME-005", code = "frame",
    setup = function(_, d) return gate(d) end,
    title = "The unassigned kind " .. name .. " on an open context is a violation `frame`",
    bad = function(_, d, c) d:put(kind, c.id, "", { more = kind % 2 == 1 }) end,
  }
end

case {
  id = "frame.kind.all", req = { "FRAME-005", "ODD-002" },
  title = "Each of the kinds below 0x40 that are not assigned is a violation `frame`, whatever else"
    .. " is wrong with it",
  why = "One that slips through would be a hole in the next version.",
  run = function(t)
    local parent = t:boot { listen = true }
    for kind = 0x00, 0x3f do
      if not frame.kind[kind] then
        local d = t:dial(parent)
        d:barrier()
        -- On the link, and on a context that was never opened, which is the later check.
        d:put(kind, kind % 2, "", { more = kind % 3 == 0 })
        d:violation("frame", kind % 2, "ODD-002")
      end
    end
    t:alive(parent)
  end,
}

for _, name in ipairs { "ITEM", "STOP", "CREDIT" } do
  pattern.both(case, {
    id = "frame.kind." .. name .. ".no-stream", req = "FRAME-005",
    title = name .. " on a link that has not negotiated `stream` is a violation `frame`",
    why = "A feature that was not agreed on is a kind that nobody knows.",
    boot = { hello = { features = array { "spawn" } } },
    run = function(_, d)
      d:barrier()
      local c = d:open("tck.gate", map { key = "k" }, { send = true })
      c:expect("STARTED")
      local payload = ({ ITEM = "\7", STOP = "", CREDIT = "\x92\1\1" })[name]
      d:put(name, c.id, payload)
      d:violation("frame", c.id, "FRAME-005")
    end,
  })
end

-- The context id ----------------------------------------------------------------------------------

local on_context = { "OPEN", "STARTED", "ITEM", "END", "STOP", "CREDIT", "CANCEL", "RETURN",
  "ERROR", "CANCELLED" }
for _, name in ipairs(on_context) do
  reject {
    id = "frame.context.zero." .. name, req = "FRAME-004", code = "frame", names = false,
    profile = of_stream[name], title = name .. " on context 0 is a violation `frame`",
    bad = function(_, d) d:put(name, 0, sample[name]) end,
  }
  case {
    id = "frame.context.beyond." .. name, req = "FRAME-004", profile = of_stream[name],
    title = name .. " on a context above 2^53-1 is a violation `frame`",
    why = "Ids have to survive languages whose only number is a double.",
    run = function(t)
      local parent = t:boot { listen = true }
      for _, id in ipairs { 1 << 53, (1 << 53) + 1, 1 << 56, math.mininteger, -1, -2 } do
        local d = t:dial(parent)
        d:barrier()
        d:put(name, id, sample[name])
        d:violation("frame", nil, "FRAME-004")
      end
      t:alive(parent)
    end,
  }
end
for _, name in ipairs { "BYE", "PING", "PONG" } do
  reject {
    id = "frame.context.link-kind." .. name, req = "FRAME-004", code = "frame",
    title = name .. " on a context is a violation `frame`, on an open one too",
    setup = function(_, d) return gate(d) end,
    bad = function(_, d, c) d:put(name, c.id, sample[name]) end,
  }
end

pattern.both(case, {
  id = "frame.context.last", req = { "FRAME-004", "FRAME-001", "FRAME-007" },
  title = "The greatest id of all is a context like any other",
  why = "The limit itself is inside.",
  run = function(t, d)
    d:open("tck.echo", map { v = 1 }, { id = d.connector and 12345677 or 12345678 }):returns(1)
    local id = d.connector and (1 << 53) - 1 or (1 << 53) - 2
    d:open("tck.echo", map { v = 2 }, { id = id })
    local answer = d:await_frame(function(f) return f.name == "RETURN" end, "RETURN", "FRAME-004")
    t:check("FRAME-001", answer.ctx == id, "a header that says " .. id, frame.show(answer))
    t:is("FRAME-004", answer.value, 2, "RETURN")
    d.loose = true
  end,
})

pattern.both(case, {
  id = "frame.sent.ids", req = { "FRAME-006", "FRAME-007" },
  title = "The ids that the testee opens are of its parity and ever greater",
  why = "That is how both sides open without asking.",
  run = function(t, d)
    local last = 0
    for _ = 1, 6 do
      local c, upper = inner(d)
      t:check("FRAME-006", c.id % 2 == (d.connector and 0 or 1), "an id of the testee's parity",
        c.id)
      t:check("FRAME-007", c.id > last, "an id above " .. last, c.id)
      last = c.id
      c:returns_with(1)
      upper:returns(1)
    end
  end,
})

-- `more`, and empty fragments ---------------------------------------------------------------------

for _, name in ipairs { "BYE", "PING", "PONG", "END", "STOP", "CREDIT", "CANCEL" } do
  local on_link = frame.kind[name].from == "link"
  reject {
    id = "frame.more." .. name, req = "FRAME-013", code = "frame", profile = of_stream[name],
    title = "`more` on " .. name .. " is a violation `frame`",
    setup = function(_, d) return not on_link and gate(d) or nil end,
    bad = function(_, d, c) d:put(name, c and c.id or 0, sample[name], { more = true }) end,
  }
end

for _, k in ipairs {
  { "OPEN", on = function(d) return { id = d:new_id() } end }, { "ITEM", on = sink,
  profile = "stream" },
  { "STARTED", on = inner }, { "RETURN", on = inner }, { "ERROR", on = inner },
  { "CANCELLED", on = inner },
} do
  local name = k[1]
  reject {
    id = "frame.empty." .. name .. ".first", req = "FRAME-015", code = "frame", profile = k.profile,
    title = "An empty first fragment of " .. name .. " is a violation `frame`",
    why = "An endless stream of nothing would be free of charge.",
    setup = function(_, d) return k.on(d) end,
    bad = function(_, d, c) d:put(name, c.id, "", { more = true }) end,
  }
  reject {
    id = "frame.empty." .. name .. ".later", req = "FRAME-015", code = "frame", profile = k.profile,
    title = "An empty fragment in the middle of " .. name .. " is a violation `frame`",
    setup = function(_, d)
      local c, upper = k.on(d)
      if name == "CANCELLED" then
        -- It is legal only after a CANCEL.
        upper:cancel()
        c:expect("CANCEL")
      end
      return c
    end,
    bad = function(_, d, c)
      d:put(name, c.id, sample[name]:sub(1, 1), { more = true })
      d:put(name, c.id, "", { more = true })
    end,
  }
end

pattern.both(case, {
  id = "frame.empty.last", req = { "FRAME-015", "FRAME-014" },
  title = "The last fragment of a message may be empty",
  why = "Only `more` with nothing is forbidden; a sender that learns late that it is done may"
    .. " say so.",
  run = function(_, d)
    local id = d:new_id()
    d:send { "OPEN", id, payload = echo, more = true }
    d:send { "OPEN", id, payload = "" }
    Context.new(d, id, true):returns(7, "FRAME-015")
    local below, upper = inner(d)
    below:send("RETURN", nil, { payload = "\xa2ok", more = true })
    below:send("RETURN", nil, { payload = "" })
    upper:returns("ok", "FRAME-015")
  end,
})

-- How bytes arrive --------------------------------------------------------------------------------

-- A session with calls, fragments, an item or two and a PING; the answers are what matters.
local function session(t, d, stream)
  local calls, upper, c = {}, nil, nil
  d:cork(function()
    for i = 1, 3 do calls[i] = d:open("tck.echo", map { v = ("%d"):format(i):rep(i * 7) }) end
    calls[4] = d:open("tck.echo", map { v = 4 }, { split = 3 })
    upper = d:open("tck.relay", map { target = "x.in", args = array { 1, 2 } })
    if stream then
      c = d:open("tck.duplex", map {}, { send = true, credit = { 4, 4000 } })
    end
    d:send { "PING", value = "session" }
  end)
  for i = 1, 3 do calls[i]:returns(("%d"):format(i):rep(i * 7), "FRAME-001") end
  calls[4]:returns(4, "FRAME-001")
  d:pong("session")
  local below = d:accept("x.in")
  t:is("FRAME-001", below.args, array { 1, 2 }, "args")
  below:returns_with(array { 3 }, { split = 1 })
  upper:returns(array { 3 }, "FRAME-001")
  if c then
    c:expect("STARTED")
    c:await_credit(2, "CREDIT-001")
    d:cork(function()
      c:item("x", { split = 1 })
      c:item("y")
      c:finish()
    end)
    c:gives("x", "FRAME-001")
    c:gives("y", "FRAME-001")
    c:expect("END")
    c:returns(2)
  end
end

for _, stream in ipairs { false, true } do
  local suffix, profile = stream and ".stream" or "", stream and "stream" or "core"
  for _, chop in ipairs { 1, 2, 5, 11, 12, 13, 29 } do
    pattern.both(case, {
      id = "frame.arrival.pieces-" .. chop .. suffix, req = "FRAME-001", profile = profile,
      title = "A session that arrives in pieces of " .. chop .. " bytes is the same session",
      why = "A stream of bytes has no borders.",
      run = function(t, d)
        d.chop = chop
        session(t, d, stream)
        d.chop = nil
      end,
    })
  end
  pattern.both(case, {
    id = "frame.arrival.coalesced" .. suffix, req = "FRAME-001", profile = profile,
    title = "Twenty calls, fragments and a PING in one write are twenty calls",
    why = "One read may bring many frames, and the last of them half.",
    run = function(t, d)
      local list = {}
      d:cork(function()
        for i = 1, 20 do
          list[i] = d:open("tck.echo", map { v = i }, { split = i % 3 == 0 and 4 or nil })
        end
        d:send { "PING", value = "end" }
      end)
      for i = 1, 20 do list[i]:returns(i, "FRAME-001") end
      d:pong("end")
      session(t, d, stream)
    end,
  })
  case {
    id = "frame.arrival.transports" .. suffix, req = "FRAME-001", profile = profile,
    title = "The same session over a socket, a pair of pipes and stdio",
    why = "Any reliable stream of bytes carries a link.",
    run = function(t)
      for _, transport in ipairs { "fd", "high", "pair", "stdio", "stdio-pair" } do
        local d = t:boot { transport = transport }
        session(t, d, stream)
      end
    end,
  }
end
