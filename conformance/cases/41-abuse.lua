-- SPDX-License-Identifier: MIT
--
-- Chapter 22: a peer that says too much, or never reads. The testee ends the link where the rules
-- say so, keeps what it holds within the bound, and serves everybody else. What means nothing at
-- all is in 41-garbage.lua.
local case = ...
local frame = require "frame"
local play = require "play"
local process = require "process"
local value = require "value"
local map, array = value.map, value.array
local echo = play.echo

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
    local function answers() -- a PONG that is no answer is a sign of life
      local n = 0
      for _, f in ipairs(d.pongs) do n = f.payload == "\1" and n + 1 or n end
      return n
    end
    local function over() return d:first_bye() or answers() > 1 or d.eof end
    t:await(over, "BYE limit", "KIND-007")
    t:check("SEC-010", answers() <= 1, "one PONG that waited, at most", answers() .. " PONGs")
    d:violation("limit", nil, "KIND-007")
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
      local payload = ("\xc1"):rep(d:limit("frame", 60000))
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
-- n CANCELs, each of which shortens the grace of the one before it.
local function impatient(id, n, message)
  local last = (1 << 32) - 1
  local payload = value.encode(map { origin = "requested", message = message, grace = last })
  local at = payload:find("\xce\xff\xff\xff\xff", 1, true)
  local pieces = {}
  for i = 1, n do
    pieces[i] = frame.pack { kind = "CANCEL", ctx = id,
      payload = payload:sub(1, at) .. string.pack(">I4", last - 16 * i) .. payload:sub(at + 5) }
  end
  return table.concat(pieces)
end

abuse {
  id = "cancel.impatient.relayed", req = { "MODEL-008", "CANCEL-003", "SEC-010" },
  title = "CANCELs with ever less grace are passed on to fifty contexts of a peer that reads none"
    .. " of them, and do not pile up",
  why = "What only shortens a grace takes the place of what it shortens.",
  run = function(t, d, parent)
    local upper = play.nursery(d, math.min(50, d:limit("contexts", 256) // 2))
    play.stuff(d, parent)
    within(t, parent, 16, function()
      d:write(impatient(upper.id, 4000, ("m"):rep(300)))
      play.has_read(d, parent)
    end)
    d.loose = true
    d:close()
  end,
}
case {
  id = "abuse.cancel.impatient.hot", req = { "MODEL-008", "LINK-003" }, await = 30000,
  title = "CANCELs with ever less grace are recorded while user code computes for ever, and not"
    .. " kept",
  why = "What is read in the middle of user code is kept for later; a repeat leaves nothing to"
    .. " keep.",
  run = function(t)
    local parent = t:boot { listen = true, args = { grace = 300 } }
    play.own_end(parent)
    local d = t:dial(parent)
    local c, pid = play.gate(d), t:stat(parent).pid
    parent:open("tck.crash", map { how = "spin", started = 1 }):expect("STARTED")
    local before = process.resident(pid)
    local e = d:open("tck.gate", map { key = "k" })
    d:write(impatient(c.id, 15000))
    d:write(impatient(e.id, 15000))
    d:write(frame.pack { kind = "PING", payload = "\1" })
    local function answered()
      for _, f in ipairs(d.pongs) do if f.payload == "\1" then return true end end
    end
    -- Whoever reads nothing meanwhile keeps nothing either; that it should is looked at elsewhere.
    t.task:wait(answered, 3000 * t.scale)
    local after = process.resident(pid)
    if before and after then
      t:check("MODEL-008", (after - before) // 1024 <= 16, "at most 16 MiB more than before",
        (after - before) // 1024 .. " MiB")
    end
    d.loose, parent.loose = true, true
    parent:close()
    t:await(function() return parent.process.exit end, "the exit of the testee", "SPAWN-024")
  end,
}
abuse {
  id = "open-cancel.unfinished", req = { "FRAME-022", "LIMIT-014" },
  title = "Ten thousand OPENs that are begun and cancelled are each answered, and nothing ever ran",
  why = "A reset costs its sender little; it must cost the callee no more.",
  run = function(t, d, parent)
    local ran = t:stat(parent).ran
    local batch, left = d:limit("contexts", 256), 10000
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
      local req = left == 10000 and "FRAME-022" or "LIMIT-014"
      for _, id in ipairs(list) do
        local f = d:await_frame(function(f) return f.ctx == id end, "CANCELLED", req)
        t:check(req, f.name == "CANCELLED" and f.value.ran == false,
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
    local batch, left = d:limit("contexts", 256), 10000
    while left > 0 do
      local list = {}
      d:cork(function()
        for i = 1, math.min(batch, left) do list[i] = d:open("tck.none", map {}) end
      end)
      local req = left == 10000 and "KIND-014" or "LIMIT-014"
      for _, c in ipairs(list) do c:errors("no_target", req) end
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
    d:put("ITEM", c.id, "\xc0")
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
        args = map { v = value.bin(("x"):rep(d:limit("message", 200000) - 1000)) } })
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
      local v = value.bin(("f"):rep(d:limit("frame", 60000) - 1000))
      for _ = 1, d:limit("contexts") do d:open("tck.echo", map { v = v }) end
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
      local c = d:open("tck.source", map { size = 50000 },
        { credit = { (1 << 53) - 1, (1 << 53) - 1 } })
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
      local payload = ("\xc1"):rep(d:limit("frame", 60000))
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
    local c = d:open("tck.sink",
      map { window = array { 1000, 1 << 30 }, stop_after = 1, linger = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(1000, "CREDIT-001")
    c:item(1)
    c:expect("STOP", "STREAM-002")
    within(t, parent, 16, function()
      local item = value.encode(value.bin(("i"):rep(d:limit("frame", 60000) - 5)))
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
        local size = d:limit("message", 1000000) - 100
        local payload = "\x82\xa6target\xa8tck.echo\xa4args\x91" .. b[2]:rep(size // #b[2])
        local id, step = d:new_id(), d:limit("frame", 65536)
        for at = 1, #payload, step do
          d:put("OPEN", id, payload:sub(at, at + step - 1), { more = at + step <= #payload })
        end
        d:violation("value", id, "VALUE-001")
      end)
    end,
  }
end
