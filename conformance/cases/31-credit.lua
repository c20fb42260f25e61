-- SPDX-License-Identifier: MIT
--
-- Credit as a sender has to heed it: counted twice, in items and in bytes, granted as running
-- totals, never refunded. What a receiver grants is in 31-grant.lua.
local case = ...
local context = require "context"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local source, exactly = play.source, play.exactly

local most = (1 << 53) - 1
local wide = play.wide
local illegal = { illegal = true }
local both, reject = pattern.with(case, { profile = "stream" })

-- The sender: items -------------------------------------------------------------------------------

for _, n in ipairs { 0, 1, 2, 3, 10, 100 } do
  both {
    id = "credit.items." .. n, req = { "CREDIT-003", "CREDIT-001", "CREDIT-002" },
    title = "With credit for " .. n .. " items exactly " .. n .. " come, and one more for one more",
    why = "The grant begins at `credit` of OPEN, and a total of one more is one item more.",
    run = function(t, p)
      local c = source(p, {}, n)
      exactly(p, c, n, 0, "CREDIT-003")
      c:credit(n + 1, wide)
      exactly(p, c, 1, n, "CREDIT-002")
      c:credit(n + 4, wide)
      exactly(p, c, 3, n + 1, "CREDIT-002")
      c:stop()
      c:expect("END", "STREAM-004")
      t:is("CREDIT-003", c:returns(), n + 4, "items sent:")
    end,
  }
end

both {
  id = "credit.one-at-a-time", req = { "CREDIT-003", "CREDIT-002" },
  title = "A hundred items, each for a credit of its own",
  why = "The slowest of legal receivers.",
  run = function(t, p)
    local c = source(p, { count = 100 }, 0)
    for i = 0, 99 do
      p:nothing(c.id, "CREDIT-003")
      c:credit(i + 1, wide)
      c:gives(i, "CREDIT-003")
    end
    c:expect("END")
    t:is("CREDIT-003", c:returns(), 100, "items sent:")
  end,
}

-- The sender: bytes -------------------------------------------------------------------------------

-- How many bytes of payload an item of this size has, as the testee writes it.
local function length_of(p, size)
  local c = source(p, { size = size }, 1, 1)
  c:expect("ITEM")
  local length = p.monitor.ctx[c.id].sent.peer[2]
  c:cancel()
  c:is_cancelled({})
  return length
end

-- What is granted, in items' lengths and bytes, and the items that may begin with it.
local grants = {
  { "none", 0, 0, 0 }, { "one-byte", 0, 1, 1 }, { "short-of-one", 1, -1, 1 }, { "one", 1, 0, 1 },
  { "over-one", 1, 1, 2 }, { "short-of-two", 2, -1, 2 }, { "two", 2, 0, 2 },
  { "over-two", 2, 1, 3 }, { "ten", 10, 0, 10 }, { "over-ten", 10, 1, 11 },
}
for _, g in ipairs(grants) do
  both {
    id = "credit.bytes." .. g[1], req = { "CREDIT-003", "CREDIT-004", "CREDIT-006" },
    title = ("With credit for the bytes of %d items, and %d, %d items come"):format(g[2], g[3],
      g[4]),
    why = "An item may begin while the bytes sent are fewer than the bytes granted, and is then "
      .. "finished.",
    run = function(_, p)
      local length = length_of(p, 100)
      local c = source(p, { size = 100 }, 1000, g[2] * length + g[3])
      exactly(p, c, g[4], 0, "CREDIT-003")
      -- One byte beyond what was sent lets one more begin.
      c:credit(1000, g[4] * length + 1)
      exactly(p, c, 1, g[4], "CREDIT-006")
      c:cancel()
      c:is_cancelled({})
    end,
  }
end

for _, size in ipairs { 1000, 70000, 300000, 900000 } do
  both {
    id = "credit.overdraft." .. size, req = { "CREDIT-006", "CREDIT-004", "CREDIT-003" },
    title = "One byte of credit carries an item of " .. size
      .. " bytes, and then nothing until all is covered",
    why = "An unfinished message never waits; what it overdrew is paid back before the next "
      .. "begins.",
    run = function(_, p)
      local c = source(p, { size = size }, 1000, 1)
      exactly(p, c, 1, 0, "CREDIT-006")
      local whole = p.monitor.ctx[c.id].sent.peer[2]
      c:credit(1000, whole - 1)
      p:nothing(c.id, "CREDIT-004")
      c:credit(1000, whole)
      p:nothing(c.id, "CREDIT-004")
      c:credit(1000, whole + 1)
      exactly(p, c, 1, 1, "CREDIT-004")
      c:cancel()
      c:is_cancelled({})
    end,
  }
end

local needs_both = {
  { "items-only", 5, 0 }, { "bytes-only", 0, 1 << 30 }, { "none", 0, 0 },
}
for _, n in ipairs(needs_both) do
  both {
    id = "credit.zero." .. n[1], req = { "CREDIT-003", "CREDIT-001" },
    title = ("Credit for %d items and %d bytes is none"):format(n[2], n[3]),
    why = "An item needs both.",
    run = function(t, p)
      local c = source(p, { count = 2 }, n[2], n[3])
      p:nothing(c.id, "CREDIT-003")
      c:credit(math.max(2, n[2]), wide)
      c:gives(0, "CREDIT-003")
      c:gives(1, "CREDIT-003")
      c:expect("END")
      t:is("CREDIT-003", c:returns(), 2, "items sent:")
    end,
  }
end

both {
  id = "credit.none-needed", req = { "CREDIT-003", "KIND-018" },
  title = "STARTED, END and the terminal need no credit",
  why = "Credit is for items; an empty stream ends without any.",
  run = function(t, p)
    local c = source(p, { count = 0 }, 0, 0)
    c:expect("END", "CREDIT-003")
    t:is("CREDIT-003", c:returns(), 0, "items sent:")
    c = p:open("tck.fail", map { code = "acme.x" }, { credit = array { 0, 0 } })
    c:errors("acme.x", "CREDIT-003")
    c = p:open("tck.echo", map { v = ("x"):rep(3000) }, { credit = array { 0, 0 } })
    c:expect({ "END", "RETURN" }, "CREDIT-003")
  end,
}

-- Totals ------------------------------------------------------------------------------------------

both {
  id = "credit.totals.repeated", req = "CREDIT-002",
  title = "A total that is said again grants nothing",
  why = "A grant is a total, never an addition, so a repeated CREDIT does no harm.",
  run = function(_, p)
    local c = source(p, {}, 2, 1000)
    exactly(p, c, 2, 0, "CREDIT-003")
    p:cork(function() for _ = 1, 50 do c:credit(2, 1000) end end)
    p:nothing(c.id, "CREDIT-002")
    c:credit(3, 1000)
    exactly(p, c, 1, 2, "CREDIT-002")
    p:cork(function() for _ = 1, 50 do c:credit(3, 1000) end end)
    p:nothing(c.id, "CREDIT-002")
    c:cancel()
    c:is_cancelled({})
  end,
}

both {
  id = "credit.totals.merged", req = "CREDIT-002",
  title = "Of ten totals in one write the last counts",
  why = "Grants may be merged on the way to the handler.",
  run = function(_, p)
    local c = source(p, {}, 0, 0)
    p:cork(function() for i = 1, 10 do c:credit(i, i * 100) end end)
    exactly(p, c, 10, 0, "CREDIT-002")
    c:credit(25, 2500)
    exactly(p, c, 15, 10, "CREDIT-002")
    c:cancel()
    c:is_cancelled({})
  end,
}

both {
  id = "credit.totals.one-rises", req = { "CREDIT-002", "CREDIT-008" },
  title = "One total may rise while the other stays",
  why = "Each is judged against its own last value.",
  run = function(_, p)
    local c = source(p, { size = 100 }, 1, wide)
    exactly(p, c, 1, 0, "CREDIT-003")
    c:credit(2, wide)
    exactly(p, c, 1, 1, "CREDIT-002")
    c:credit(2, wide + 1)
    p:nothing(c.id, "CREDIT-002")
    c:credit(3, wide + 1)
    exactly(p, c, 1, 2, "CREDIT-002")
    c:cancel()
    c:is_cancelled({})
  end,
}

-- Stale totals: what is said first, and what then is too little.
local stale = {
  { "items", { 5, 1000 }, { 4, 1000 } },
  { "bytes", { 5, 1000 }, { 5, 999 } },
  { "both", { 5, 1000 }, { 4, 999 } },
  { "items-though-bytes-rise", { 5, 1000 }, { 4, 2000 } },
  { "bytes-though-items-rise", { 5, 1000 }, { 6, 999 } },
  { "zero", { 5, 1000 }, { 0, 0 } },
}
for _, s in ipairs(stale) do
  for _, before in ipairs { "open", "credit" } do
    reject {
      id = "credit.stale." .. s[1] .. "." .. before, req = "CREDIT-008", code = "credit",
      title = ("CREDIT [%d, %d] after [%d, %d] of %s is a violation"):format(s[3][1], s[3][2],
        s[2][1], s[2][2],
        before == "open" and "OPEN" or "a CREDIT"),
      why = "A grant that shrinks takes back what the sender may have used already.",
      twin = function(_, p)
        local c = source(p, {}, s[2][1], s[2][2])
        c:credit(s[2][1], s[2][2])
        exactly(p, c, s[2][1], 0, "CREDIT-003")
        c:cancel()
        c:is_cancelled({})
      end,
      setup = function(_, p)
        local c
        if before == "open" then
          c = source(p, { count = 3 }, s[2][1], s[2][2])
          c:expect("ITEM")
          local again = p:open("tck.gate", map { key = "k" }, { credit = array(s[2]) })
          again:expect("STARTED")
          return again
        end
        c = p:open("tck.gate", map { key = "k" }, { credit = array { 0, 0 } })
        c:expect("STARTED")
        c:credit(s[2][1], s[2][2])
        p:barrier()
        return c
      end,
      bad = function(_, _, c) c:credit(s[3][1], s[3][2], illegal) end,
    }
  end
end

reject {
  id = "credit.stale.unfinished-open", req = { "CREDIT-008", "CREDIT-009" }, code = "credit",
  title = "Totals that shrink between the fragments of OPEN are a violation as well",
  why = "From its first fragment on the context has a grant.",
  setup = function(_, p)
    local c = context.new(p, p:new_id(), true)
    local bytes = value.encode(map { target = "tck.source", credit = array { 1, 1 } })
    p:send { "OPEN", c.id, payload = bytes:sub(1, 8), more = true }
    c:credit(5, 500)
    return c
  end,
  bad = function(_, _, c) c:credit(4, 500, illegal) end,
}

local huge = {
  { "largest", { most, most }, { most, most } },
  { "near", { most - 1, most - 1 }, { most, most } },
  { "items", { most, 0 }, { most, most } },
  { "2-32", { 1 << 32, 1 << 32 }, { (1 << 32) + 1, (1 << 32) + 1 } },
  { "2-31", { (1 << 31) - 1, (1 << 31) - 1 }, { 1 << 31, 1 << 31 } },
}
for _, h in ipairs(huge) do
  both {
    id = "credit.huge." .. h[1], req = { "CREDIT-002", "CREDIT-003" },
    title = ("Totals of [%d, %d] and then [%d, %d] are taken as they are"):format(
      h[2][1], h[2][2], h[3][1], h[3][2]),
    why = "A total is an integer of 0..2^53-1, and no sum or product of it may overflow.",
    run = function(t, p)
      local c = p:open("tck.source", map { count = 20 }, { credit = array(h[2]) })
      c:credit(h[3][1], h[3][2])
      c:expect("STARTED")
      for i = 0, 19 do c:gives(i, "CREDIT-003") end
      c:expect("END")
      t:is("CREDIT-003", c:returns(), 20, "items sent:")
      c = p:open("tck.source", map { count = 20 }, { credit = array { 0, 0 } })
      c:expect("STARTED")
      c:credit(h[2][1], h[2][2])
      c:credit(h[3][1], h[3][2])
      for i = 0, 19 do c:gives(i, "CREDIT-002") end
      c:expect({ "END" }, "CREDIT-002")
      c:returns(20)
    end,
  }
end

local ill = {
  { "2-53", array { 1 << 53, 1 }, "schema" }, { "bytes-2-53", array { 1, 1 << 53 }, "schema" },
  { "2-63", array { math.maxinteger, 1 }, "schema" }, { "negative", array { -1, 1 }, "schema" },
  { "bytes-negative", array { 1, -1 }, "schema" }, { "float", array { 1.0, 1 }, "schema" },
  { "str", array { "1", 1 }, "schema" }, { "one", array { 1 }, "schema" },
  { "three", array { 1, 1, 1 }, "schema" }, { "empty", array {}, "schema" },
  { "nil", value.null, "schema" }, { "map", map { items = 1, bytes = 1 }, "schema" },
  { "integer", 5, "schema" },
  { "above-2-63", value.raw("\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "value" },
  { "rest", value.raw("\x92\x01\x01\xc0"), "value" }, { "cut", value.raw("\x92\x01"), "value" },
}
for _, i in ipairs(ill) do
  reject {
    id = "credit.ill." .. i[1], req = { i[3] == "value" and "VALUE-001" or "VALUE-012",
      "CREDIT-002" },
    code = i[3],
    title = "CREDIT " .. i[1]:gsub("-", " ") .. " is a violation `" .. i[3] .. "`",
    why = "Its payload is [uint, uint], each 0..2^53-1.",
    twin = function(_, p)
      local c = source(p, { count = 1 }, 0, 0)
      c:credit(1, 1)
      c:gives(0)
      c:expect("END")
      c:returns(1)
    end,
    setup = function(_, p) return source(p, {}, 0, 0) end,
    bad = function(_, _, c)
      c:send("CREDIT", nil, { payload = value.encode(i[2]), illegal = true })
    end,
  }
end

-- Before STARTED ----------------------------------------------------------------------------------

both {
  id = "credit.early.same-write", req = "CREDIT-009",
  title = "CREDIT in the same write as OPEN",
  why = "Nobody has to wait for STARTED to grant.",
  run = function(t, p)
    for round = 1, 5 do
      local c
      p:cork(function()
        c = p:open("tck.source", map { count = 6 }, { credit = array { 0, 0 } })
        for i = 1, 6 do c:credit(i, wide) end
      end)
      c:expect("STARTED", "CREDIT-009")
      for i = 0, 5 do c:gives(i, "CREDIT-009") end
      c:expect("END")
      t:is("CREDIT-009", c:returns(), 6, "items sent, round " .. round .. ":")
    end
  end,
}

both {
  id = "credit.early.before-started", req = { "CREDIT-009", "CREDIT-001" },
  title = "CREDIT for a context that runs and has not started",
  why = "The half is there from OPEN on.",
  run = function(_, p)
    local c = p:open("tck.relay", map { target = "x.below" }, { credit = array { 0, 0 } })
    local inner = p:accept("x.below")
    for i = 1, 5 do c:credit(i, i) end
    p:nothing(c.id, "CREDIT-009")
    inner:returns_with(1)
    c:expect({ "RETURN" }, "CREDIT-009")
  end,
}

-- OPEN in two fragments, CREDIT between them; what its own `credit` then counts for.
local between = {
  { "greater", { 1, 10 }, { 4, wide }, 4 },
  { "smaller", { 4, wide }, { 1, 10 }, 4 },
  { "mixed", { 1, wide }, { 4, 1 }, 4 },
  { "mixed-back", { 4, 1 }, { 1, wide }, 4 },
  { "equal", { 4, wide }, { 4, wide }, 4 },
}
for _, b in ipairs(between) do
  both {
    id = "credit.early.between." .. b[1], req = "CREDIT-009",
    title = ("CREDIT [%d, %d] between the fragments of an OPEN with credit [%d, %d]: each "
      .. "greater total counts")
      :format(b[3][1], b[3][2], b[2][1], b[2][2]),
    why = "The grant never shrinks, whichever of the two is looked at first.",
    run = function(_, p)
      local c = context.new(p, p:new_id(), true)
      local bytes = value.encode(map { target = "tck.source", args = map {}, credit = array(b[2]) })
      p:send { "OPEN", c.id, payload = bytes:sub(1, 9), more = true }
      c:credit(b[3][1], b[3][2])
      p:nothing(c.id, "FRAME-021")
      p:send { "OPEN", c.id, payload = bytes:sub(10) }
      c:expect("STARTED")
      exactly(p, c, b[4], 0, "CREDIT-009")
      c:credit(b[4] + 2, wide)
      exactly(p, c, 2, b[4], "CREDIT-009")
      c:cancel()
      c:is_cancelled({})
    end,
  }
end

-- Where nothing listens ---------------------------------------------------------------------------

both {
  id = "credit.ignored", req = { "STREAM-001", "CREDIT-008" },
  title = "CREDIT for a half that has ended is ignored, whatever it says",
  why = "It crossed the END. What is ignored is not judged.",
  run = function(t, p)
    local c = p:open("tck.gate", map { key = "k", value = 1 })
    c:expect("STARTED")
    for _, total in ipairs { 5, 3, most, 0 } do c:credit(total, total, illegal) end
    p:nothing(c.id, "STREAM-001")
    t:open_gate(p, "k")
    c:returns(1)
    c = p:open("tck.duplex", map {}, { send = true, credit = array { 4, 400 } })
    c:expect("STARTED")
    c:stop()
    c:expect("END", "STREAM-004")
    for _, total in ipairs { 9, 1, 0 } do c:credit(total, total, illegal) end
    p:nothing(c.id, "CREDIT-008")
    c:finish()
    c:returns(0)
  end,
}

case {
  id = "credit.on-the-actor", req = { "STREAM-001", "ACTOR-001" }, profile = "stream",
  title = "CREDIT and STOP on copse.actor are ignored",
  why = "It was opened without `credit`, like any other context without items.",
  run = function(t)
    local p = t:boot()
    p.actor:credit(5, 500, illegal)
    p.actor:credit(1, 1, illegal)
    p.actor:stop(illegal)
    p:nothing(p.actor.id, "STREAM-001")
    t:alive(p)
  end,
}
