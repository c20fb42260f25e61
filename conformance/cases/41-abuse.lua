-- SPDX-License-Identifier: MIT
-- Chapter 22: a peer that means no good, or no longer knows what it does. Floods, bombs, garbage,
-- silence. The testee ends the link where the rules say so, keeps what it holds within the bound,
-- and
-- serves everybody else.
local case = ...
local child = require "child"
local frame = require "frame"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local function put(d, kind, ctx, payload, o)
  o = o or {}
  d:say(frame.pack { kind = kind, ctx = ctx, payload = payload, more = o.more, length = o.length })
end
local function limit(d, name, enough) return d:limit(name, enough) end
local echo = value.encode(map { target = "tck.echo", args = map { v = 7 } })
local cancel = value.encode(map { origin = "requested" })

-- A dialled link to abuse, and the parent's link, on which the testee has to be alive afterwards.
local function abuse(o)
  case {
    id = "abuse." .. o.id, req = o.req, title = o.title, why = o.why,
    profile = o.profile, await = 30000,
    run = function(t)
      local parent = t:boot { listen = true }
      local d = t:dial(parent, o.dial)
      o.run(t, d, parent)
      t:alive(parent)
      t:alive(t:dial(parent))
    end,
  }
end

-- Runs fn; the resident memory of the testee may grow by at most so many MiB meanwhile.
local function within(t, parent, mib, fn)
  local before = t:stat(parent).rss
  fn()
  local after = t:stat(parent).rss
  if before > 0 and after > 0 then
    local grown = (after - before) // 1024
    t:check("SEC-009", grown <= mib, "at most " .. mib .. " MiB more than before", grown .. " MiB")
  end
end

-- Writes a piece again and again, in writes of some 60 KB, letting the testee keep up.
local function repeatedly(d, bytes, total)
  local times = math.max(1, 60000 // #bytes)
  local block = bytes:rep(times)
  local sent = 0
  while sent < total and not d.eof do
    d:write(block)
    sent = sent + #block
    if sent % (60000 * 16) < #block then d:barrier() end
  end
end

-- Floods ------------------------------------------------------------------------------------------

abuse {
  id = "ping.stuck", req = { "KIND-007", "SEC-010" },
  title = "PINGs whose PONG cannot be written are a violation `limit` from the second on",
  why = "A reply for every frame of a peer that never reads is a queue without bound.",
  run = function(t, d, parent)
    d:hold()
    local v = value.bin(("f"):rep(60000))
    for _ = 1, 60 do d:open("tck.echo", map { v = v }) end
    -- What opens this gate comes behind all of them: they have been read, and their results wait.
    local read = parent:open("tck.gate", map { key = "read" })
    read:expect("STARTED")
    d:open("tck.open_gate", map { key = "read" })
    read:returns()
    d:write(frame.pack { kind = "PING", payload = "\1" }:rep(20))
    for _ = 1, 5 do parent:barrier() end
    d:release()
    d:violation("limit", nil, "KIND-007")
    t:pass("SEC-010")
  end,
}
abuse {
  id = "ping.flood", req = { "KIND-005", "SEC-010" },
  title = "Ten thousand PINGs in one go are answered each in its turn, or end the link with"
    .. " `limit`",
  why = "A testee that writes as fast as it reads may answer; nobody has to.",
  run = function(t, d)
    local pieces = {}
    for i = 1, 10000 do pieces[i] = frame.pack { kind = "PING", payload = value.encode(i) } end
    d:write(table.concat(pieces))
    t:await(function() return #d.pongs >= 10000 or d:first_bye() or d.eof end,
      "10000 PONGs, or BYE", "KIND-005")
    for i, f in ipairs(d.pongs) do
      t:check("KIND-005", f.payload == value.encode(i), "PONG " .. i, frame.show(f))
    end
    if #d.pongs < 10000 then d:violation("limit", 0, "KIND-007") end
  end,
}
abuse {
  id = "pong.flood", req = { "KIND-008", "SEC-009" },
  title = "A flood of PONGs that nobody asked for is read and forgotten",
  why = "They are ignored one by one and in any number.",
  run = function(t, d, parent)
    within(t, parent, 16, function()
      repeatedly(d, frame.pack { kind = "PONG", payload = value.encode(("p"):rep(900)) },
        16 << 20)
      d:barrier()
    end)
  end,
}
abuse {
  id = "extension.flood", req = { "EXT-003", "EXT-004", "SEC-009" },
  title = "A flood of frames of extension kinds is skipped, fragments without end included",
  why = "What is skipped is not kept.",
  run = function(t, d, parent)
    within(t, parent, 16, function()
      local payload = ("\xc1"):rep(limit(d, "frame", 60000))
      repeatedly(d, frame.pack { kind = 0x55, ctx = 3, payload = payload, more = true },
        24 << 20)
      repeatedly(d, frame.pack { kind = 0x40, payload = "", more = true }, 1 << 20)
      d:barrier()
    end)
  end,
}
abuse {
  id = "credit.flood", req = { "CREDIT-002", "SEC-009" }, profile = "stream",
  title = "A flood of CREDIT, the same and ever more, on every kind of context is taken as it"
    .. " comes",
  why = "Totals cost nothing, however many of them arrive.",
  run = function(_, d)
    local c = d:open("tck.source", map {}, { credit = { 0, 0 } })
    c:expect("STARTED")
    local g = d:open("tck.gate", map { key = "k" })
    g:expect("STARTED")
    local over = d:open("tck.echo", map { v = 1 })
    over:returns(1)
    local pieces = {}
    for i = 1, 10000 do
      pieces[#pieces + 1] = frame.pack { kind = "CREDIT", ctx = c.id,
        payload = value.encode(array { 0, i }) }
      pieces[#pieces + 1] = frame.pack { kind = "CREDIT", ctx = g.id, payload = "\x92\1\1" }
      pieces[#pieces + 1] = frame.pack { kind = "CREDIT", ctx = over.id, payload = "\x92\1\1" }
    end
    d:write(table.concat(pieces))
    d:barrier()
    d.monitor.ctx[c.id].grant.peer[2] = 10000
    c:credit(3, 20000)
    for i = 0, 2 do c:gives(i, "CREDIT-002") end
    c:nothing("CREDIT-003")
  end,
}
abuse {
  id = "stop.flood", req = { "STREAM-001", "SEC-010" }, profile = "stream",
  title = "Ten thousand STOPs are answered by one END",
  why = "The second is ignored; a queue of answers would have no bound.",
  run = function(_, d)
    local c = d:open("tck.duplex", map {}, { send = true, credit = { 4, 4000 } })
    c:expect("STARTED")
    c:stop()
    d:write(frame.pack { kind = "STOP", ctx = c.id }:rep(10000))
    c:expect("END", "STREAM-004")
    c:nothing("STREAM-001")
    c:finish()
    c:returns(0)
  end,
}
abuse {
  id = "cancel.flood", req = { "CANCEL-003", "SEC-010" },
  title = "Ten thousand CANCELs of one context are one cancellation and one terminal",
  why = "A repeat has no effect but on the grace.",
  run = function(t, d, parent)
    local before = t:stat(parent).cancelled
    local c = d:open("tck.gate", map { key = "never" })
    c:expect("STARTED")
    c:cancel { grace = 60000 }
    d:write(frame.pack { kind = "CANCEL", ctx = c.id, payload = cancel }:rep(10000))
    c:is_cancelled({ ran = true }, "CANCEL-003")
    c:nothing("KIND-019")
    t:is("CANCEL-003", t:stat(parent).cancelled - before, 1, "handlers cancelled:")
  end,
}
abuse {
  id = "open-cancel.unfinished", req = { "FRAME-022", "LIMIT-014" },
  title = "Ten thousand OPENs that are begun and cancelled are each answered, and nothing ever ran",
  why = "A reset costs its sender little; it must cost the callee no more.",
  run = function(t, d, parent)
    local ran = t:stat(parent).ran
    local batch, left = limit(d, "contexts", 256), 10000
    while left > 0 do
      local list, pieces = {}, {}
      for i = 1, math.min(batch, left) do
        local id = d:new_id()
        list[i] = id
        pieces[#pieces + 1] = frame.pack { kind = "OPEN", ctx = id, payload = echo:sub(1, 9),
          more = true }
        pieces[#pieces + 1] = frame.pack { kind = "CANCEL", ctx = id, payload = cancel }
      end
      d:say(table.concat(pieces))
      for _, id in ipairs(list) do
        local f = d:await_frame(function(f) return f.ctx == id end, "CANCELLED", "FRAME-022")
        t:check("FRAME-022", f.name == "CANCELLED" and f.value.ran == false,
          "CANCELLED, ran false", frame.show(f))
      end
      left = left - #list
    end
    t:is("CANCEL-006", t:stat(parent).ran - ran, 1, "handlers run, tck.stat included:")
  end,
}
abuse {
  id = "open.unknown-targets", req = { "KIND-014", "LIMIT-014" },
  title = "Ten thousand OPENs of targets that are not there are each refused",
  why = "A refusal is cheap and frees its slot.",
  run = function(t, d)
    local batch, left = limit(d, "contexts", 256), 10000
    while left > 0 do
      local list = {}
      d:cork(function()
        for i = 1, math.min(batch, left) do list[i] = d:open("tck.none", map {}) end
      end)
      for _, c in ipairs(list) do c:errors("no_target", "KIND-014") end
      left = left - #list
    end
    t:pass("LIMIT-014")
  end,
}
abuse {
  id = "items.one-byte", req = { "CREDIT-003", "CREDIT-007" }, profile = "stream",
  title = "As many items of one byte as were granted are kept, and the next one is a violation"
    .. " `credit`",
  why = "Bytes alone do not bound what empty items cost.",
  run = function(t, d)
    local c = d:open("tck.sink", map { window = array { 20000, 1 << 20 }, hold = "k" },
      { send = true })
    c:expect("STARTED")
    c:await_credit(20000, "CREDIT-001")
    d:say(frame.pack { kind = "ITEM", ctx = c.id, payload = "\xc0" }:rep(20000))
    d:barrier()
    t:check("CREDIT-007", (c:granted()) == 20000, "no more granted while nothing is consumed",
      tostring((c:granted())))
    put(d, "ITEM", c.id, "\xc0")
    d:violation("credit", c.id, "CREDIT-007")
  end,
}
abuse {
  id = "fragments.one-byte", req = { "FRAME-014", "SEC-009" },
  title = "A message of 200 KB in fragments of one byte takes no more memory than in one piece",
  why = "A chunk per fragment is memory that nobody granted.",
  run = function(t, d, parent)
    within(t, parent, 24, function()
      local below = value.encode(map { target = "tck.echo",
        args = map { v = value.bin(("x"):rep(limit(d, "message", 200000) - 1000)) } })
      local id, pieces = d:new_id(), {}
      for at = 1, #below - 1 do
        pieces[at] = frame.pack { kind = "OPEN", ctx = id, payload = below:sub(at, at),
          more = true }
      end
      d:write(table.concat(pieces))
      d:say(frame.pack { kind = "OPEN", ctx = id, payload = echo:sub(1, 1), more = true })
      d:send { "CANCEL", id, value = map { origin = "requested" } }
      local f = d:await_frame(function(f) return f.ctx == id end, "CANCELLED", "FRAME-022")
      t:check("FRAME-022", f.name == "CANCELLED", "CANCELLED", frame.show(f))
    end)
  end,
}

-- A peer that never reads -------------------------------------------------------------------------

abuse {
  id = "never-reads.calls", req = { "SEC-009", "LINK-003", "SEC-010" },
  title = "A peer that opens all it may and never reads holds up nobody else",
  why = "Its results wait for it, within the bound; its neighbours do not.",
  run = function(t, d, parent)
    within(t, parent, 96, function()
      d:hold()
      local v = value.bin(("f"):rep(limit(d, "frame", 60000) - 1000))
      for _ = 1, limit(d, "contexts") do d:open("tck.echo", map { v = v }) end
      for i = 1, 20 do
        t:alive(parent)
        if i % 5 == 0 then t:alive(t:dial(parent)) end
      end
    end)
    d.loose = true
    d:close()
  end,
}
abuse {
  id = "never-reads.items", req = { "SEC-009", "FRAME-028" }, profile = "stream",
  title = "A peer that grants without end and never reads makes the testee hold 64 KiB, not all"
    .. " of it",
  why = "Items that the transport does not take wait in the handler, not in a queue.",
  run = function(t, d, parent)
    within(t, parent, 16, function()
      local c = d:open("tck.source", map { size = 50000 }, { credit = { (1 << 53) - 1,
        (1 << 53) - 1 } })
      c:expect("STARTED")
      d:hold()
      for _ = 1, 200 do parent:barrier() end
    end)
    d.loose = true
    d:close()
  end,
}
abuse {
  id = "never-reads.then-gone", req = { "MODEL-007", "MODEL-008" },
  title = "When a peer that never read is gone, all that waited for it is",
  why = "The loss of a link frees everything on it; the leak check looks.",
  run = function(_, d)
    d:hold()
    local v = value.bin(("f"):rep(60000))
    for _ = 1, 50 do d:open("tck.echo", map { v = v }) end
    for i = 1, 50 do d:open("tck.gate", map { key = "never" .. i }) end
    d:open("tck.relay", map { target = "x.in" })
    d.loose = true
    d:close()
  end,
}

-- What is thrown away is not kept -----------------------------------------------------------------

abuse {
  id = "discarded.ended", req = { "FRAME-011", "SEC-009" }, profile = "stream",
  title = "Megabytes on a context that has ended are not kept",
  why = "A late frame is ignored, and its payload with it.",
  run = function(t, d, parent)
    d:open("tck.echo", map { v = 1 }):returns(1)
    within(t, parent, 16, function()
      local payload = ("\xc1"):rep(limit(d, "frame", 60000))
      repeatedly(d, frame.pack { kind = "ITEM", ctx = 1, payload = payload, more = true },
        32 << 20)
      d:barrier()
    end)
  end,
}
abuse {
  id = "discarded.stopped", req = { "STREAM-008", "SEC-009" }, profile = "stream",
  title = "Megabytes for a half that was stopped are counted and not kept",
  why = "They are discarded without being put together.",
  run = function(t, d, parent)
    local c = d:open("tck.sink", map { window = array { 1000, 1 << 30 }, stop_after = 1,
      linger = "k" },
      { send = true })
    c:expect("STARTED")
    c:await_credit(1000, "CREDIT-001")
    c:item(1)
    c:expect("STOP", "STREAM-002")
    within(t, parent, 16, function()
      local item = value.encode(value.bin(("i"):rep(limit(d, "frame", 60000) - 5)))
      for i = 1, 500 do
        c:send("ITEM", nil, { payload = item })
        if i % 20 == 0 then d:barrier() end
      end
    end)
    c:finish()
    t:open_gate(parent, "k")
    local v = c:returns(nil, "STREAM-008")
    t:is("STREAM-008", v.count, 1, "items consumed:")
  end,
}

-- Bombs -------------------------------------------------------------------------------------------

for _, b in ipairs {
  { "arrays", "\x91" }, { "maps", "\x81\1" }, { "map-keys", "\x81" }, { "wide", "\xdc\xff\xff" },
  { "refs", "\xc7\xff\1\x93" },
} do
  abuse {
    id = "bomb." .. b[1], req = { "VALUE-001", "ODD-004" },
    title = "A megabyte of nested beginnings (" .. b[1] .. ") is a violation `value` and nothing"
      .. " worse",
    why = "A decoder that calls itself runs out of stack.",
    run = function(t, d, parent)
      within(t, parent, 64, function()
        local size = limit(d, "message", 1000000) - 100
        local payload = "\x82\xa6target\xa8tck.echo\xa4args\x91" .. b[2]:rep(size // #b[2])
        local id, step = d:new_id(), limit(d, "frame", 65536)
        for at = 1, #payload, step do
          put(d, "OPEN", id, payload:sub(at, at + step - 1), { more = at + step <= #payload })
        end
        d:violation("value", id, "VALUE-001")
      end)
    end,
  }
end

-- Garbage -----------------------------------------------------------------------------------------

local function generator(seed)
  local state = seed & 0x7fffffff
  return function(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n + 1
  end
end

local hello = frame.pack { kind = "HELLO", payload = value.encode(map {
  copse = array { 1, 1 }, actor = value.ref(("g"):rep(16), "garbage", {}),
  features = array { "stream", "spawn", "registry" } }) }

-- Sends bytes on a fresh link and shuts it; the testee has to end it, in whatever way.
local function feed(t, parent, bytes)
  local d = t:dial(parent, { raw = true })
  d.loose = true
  -- Nothing that comes is judged but that the end comes: the monitor knows nothing of such a link.
  d.raw_sink = ""
  d:raw(bytes)
  d:shutdown()
  d:await_eof("LINK-005")
  d:close()
end

case {
  id = "abuse.garbage.random", req = { "ODD-004", "LINK-005" },
  title = "Two hundred links of random bytes, before and after HELLO, leave the testee as it was",
  why = "No input whatever is a reason to crash or to hang.", await = 30000,
  run = function(t)
    local parent = t:boot { listen = true }
    local random = generator(t.opts.seed)
    for i = 1, 200 do
      local out = {}
      for k = 1, random(400) do out[k] = string.char(random(256) - 1) end
      feed(t, parent, (i % 2 == 0 and hello or "") .. table.concat(out))
    end
    t:alive(parent)
    t:pass("ODD-004")
  end,
}

local function session()
  local function f(kind, ctx, v, more)
    return frame.pack { kind = kind, ctx = ctx,
      payload = v and (type(v) == "string" and v or value.encode(v)),
      more = more }
  end
  return {
    hello, f("OPEN", 1, echo), f("OPEN", 3, map { target = "tck.duplex", send = true,
      credit = array { 9, 900 } }),
    f("PING", 0, "\1"), f("OPEN", 5, echo:sub(1, 8), true), f("CREDIT", 3, array { 10, 1000 }),
    f("OPEN", 5, echo:sub(9)), f("OPEN", 7, map { target = "tck.gate",
      args = map { key = "never" } }),
    f("STOP", 3), f("CANCEL", 7, map { origin = "error", message = "m", grace = 5 }), f("END", 3),
    f("OPEN", 9, map { target = "tck.none", meta = map { a = array { 1, map {} } },
      deadline = 50 }),
    f("PONG", 0, "\1"), f(0x44, 9, "\1"), f("BYE", 0, map { code = "none" }),
  }
end

case {
  id = "abuse.garbage.mutated", req = { "ODD-004", "ODD-002", "LINK-005" }, profile = "stream",
  title = "Four hundred damaged sessions leave the testee as it was",
  why = "Damage to what is nearly right goes deeper than noise does.", await = 30000, watchdog =
    120000,
  run = function(t)
    local parent = t:boot { listen = true }
    local random = generator(t.opts.seed + 1)
    for _ = 1, 400 do
      local frames = session()
      for _ = 1, random(3) do
        local how, at = random(6), random(#frames - 1) + 1
        local f = frames[at]
        local pos = random(#f)
        if how == 1 then
          local flipped = string.char(f:byte(pos) ~ (1 << (random(8) - 1)))
          frames[at] = f:sub(1, pos - 1) .. flipped .. f:sub(pos + 1)
        elseif how == 2 then frames[at] = f:sub(1,
          pos - 1) .. string.char(random(256) - 1) .. f:sub(pos + 1)
        elseif how == 3 then table.remove(frames, at)
        elseif how == 4 then table.insert(frames, at, f)
        elseif how == 5 then frames[at], frames[#frames] = frames[#frames], f
        else frames[at] = f:sub(1, pos)
        end
      end
      feed(t, parent, table.concat(frames))
    end
    t:alive(parent)
  end,
}

case {
  id = "abuse.cut-everywhere", req = { "LINK-005", "MODEL-007" }, profile = "stream",
  title = "A session that breaks off after each of its bytes leaves nothing behind",
  why = "The end of the input is a loss wherever it falls; the leak check looks.", await = 30000,
  watchdog = 120000,
  run = function(t)
    local parent = t:boot { listen = true }
    local bytes = table.concat(session())
    for at = 0, #bytes, 3 do feed(t, parent, bytes:sub(1, at)) end
    t:alive(parent)
  end,
}

for _, o in ipairs {
  { "PING", "value", function(d) put(d, "PING", 0, "\1\1") return 0 end },
  { "OPEN", "schema", function(d)
    local id = d:new_id()
    put(d, "OPEN", id, value.encode(map { target = "tck.echo", args = 7 }))
    return id
  end },
  { "CANCEL", "schema", function(d)
    local c = d:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    put(d, "CANCEL", c.id, value.encode(map { origin = "whim" }))
    return c.id
  end },
  { "OPEN-behind", "frame", function(d)
    put(d, 0x05, 0, "")
    put(d, "OPEN", d:new_id(), echo)
    return 0
  end },
} do
  case {
    id = "abuse.answer." .. o[1], req = { "ODD-003", "LINK-014" },
    title = "A violation by " .. o[1] .. " is answered by BYE and the end, and by nothing else",
    why = "An answer to a frame that was refused would be an answer to nothing.",
    run = function(t)
      local parent = t:boot { listen = true }
      local d = t:dial(parent)
      d:barrier()
      local pongs = #d.pongs
      local id = o[3](d)
      d:violation(o[2], id, "ODD-003")
      t:check("ODD-003", #d.inbox == 0 and #d.pongs == pongs, "nothing but BYE",
        d.inbox[1] and frame.show(d.inbox[1]) or "PONG")
      t:alive(parent)
    end,
  }
end

-- Links that never begin --------------------------------------------------------------------------

case {
  id = "abuse.links.silent", req = "SEC-011", await = 30000,
  title = "A thousand links that never say HELLO are not all held, and a good one is served"
    .. " after them",
  why = "Before HELLO nobody knows who it is; a listener that takes all comers can be filled by"
    .. " one.",
  run = function(t)
    local parent = t:boot { listen = true }
    local path = parent.listening[1]:match("^unix:(.+)")
    local before = t:stat(parent).fds
    local n, open, over = 1000, {}, 0
    local function connect()
      local s = uv.new_pipe(false)
      local result
      s:connect(path, function(err)
        result = err or "connected"
        t:poke()
      end)
      t.task:wait(function() return result end, 1000 * t.scale)
      if result ~= "connected" then
        s:close()
        return false
      end
      open[#open + 1] = s
      s:read_start(function(_, data)
        if data then return end
        over = over + 1
        s:read_stop()
      end)
      return true
    end
    for i = 1, n do
      -- Where the testee lags behind, it is given time; where it takes no more, it has refused.
      local good = connect()
      for _ = 1, 3 do
        if not good then
          parent:barrier()
          good = connect()
        end
      end
      if not good then break end
      if i % 50 == 0 then parent:barrier() end
    end
    t.cleanup[#t.cleanup + 1] = function()
      for _, s in ipairs(open) do if not s:is_closing() then s:close() end end
    end
    parent:barrier()
    parent:barrier()
    local held = before > 0 and t:stat(parent).fds - before or #open - over
    t:check("SEC-011", held < n, "fewer than " .. n .. " links held", held .. " held")
    for _, s in ipairs(open) do s:close() end
    open = {}
    t:alive(parent)
    t:alive(t:dial(parent))
  end,
}
case {
  id = "abuse.links.churn", req = { "LINK-005", "MODEL-008" },
  title = "Three hundred links that come and go leave no descriptor behind",
  why = "A listener lives longer than its links.",
  run = function(t)
    local parent = t:boot { listen = true }
    for i = 1, 300 do
      local d = t:dial(parent, { raw = true })
      d.loose = true
      if i % 3 == 1 then d:raw(hello) elseif i % 3 == 2 then d:raw(hello:sub(1, 7)) end
      d:close()
      if i % 20 == 0 then parent:barrier() end
    end
    t:alive(parent)
  end,
}

-- Authority ---------------------------------------------------------------------------------------

case {
  id = "abuse.claimed-identity", req = { "SEC-001", "SEC-002", "ACTOR-004" },
  title = "A stranger that bears the parent's id may open what a stranger may, and not copse.actor",
  why = "What a peer may follows from the link, never from a reference that it claims.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = { actor = t.actor } })
    d:open("copse.actor", t:actor_args(), { send = true }):errors("denied", "SEC-002")
    d:open("tck.echo", map { v = 1 }):returns(1, "SEC-001")
    t:alive(parent)
  end,
}
case {
  id = "abuse.dial.far", req = "SEC-003",
  title = "A reference to another host is not dialled: the policy of the testee allows this host"
    .. " only",
  why = "Otherwise whoever passes references on makes an actor connect wherever they want.",
  run = function(t)
    local p = t:boot()
    for _, address in ipairs { "tcp:192.0.2.1:9", "tcp:[2001:db8::1]:9" } do
      local c = p:open("tck.dial", map { ref = value.ref(("f"):rep(16), "far", { address } ),
        target = "x.there" })
      local f = c:expect("ERROR", "SEC-003")
      if f.value.code == "no_target" then t:unsupported("tck.dial is not there") end
      t:check("SEC-003", f.value.code ~= "link_lost", "an error without a connection", f.value.code)
    end
  end,
}
case {
  id = "abuse.pid", req = "SEC-008", profile = "spawn", processes = true,
  title = "A process id that a child sends is not signalled when the child has to go",
  why = "It may be anybody's.",
  run = function(t)
    local p = t:boot()
    local gone
    local decoy, pid = uv.spawn("/bin/sh", { args = { "-c", "exec sleep 600" }, detached = true },
      function() gone = true end)
    if not decoy then t:unsupported("no /bin/sh") end
    t.cleanup[#t.cleanup + 1] = function() decoy:kill(9) end
    local c = child.spawn(t, p, { grace = 200 })
    c:boot()
    local info = p:open("copse.info", map {})
    local asked = c.link:accept("copse.info", "REG-010")
    local entry = map { ref = value.ref(c.id, c.name, {}), pid = pid, state = "running",
      contexts = 0, rss = 0 }
    asked:returns_with(array { entry })
    info:next()
    c.ctx:cancel { grace = 100 }
    c:await_signal(15, "LADDER-001")
    c:await_reaped("LADDER-006")
    c.ctx:next()
    t:check("SEC-008", not gone and uv.kill(pid, 0) == 0, "the process that was named alive",
      "it is gone")
  end,
}
