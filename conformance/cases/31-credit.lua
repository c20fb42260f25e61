-- SPDX-License-Identifier: MIT
-- Credit: counted twice, in items and in bytes, granted as running totals, never refunded.
local case = ...
local context = require "context"
local frame = require "frame"
local pattern = require "pattern"
local value = require "value"
local map, array = value.map, value.array

local most = (1 << 53) - 1
local wide = 1 << 40
local illegal = { illegal = true }

local function both(o)
  o.profile = "stream"
  pattern.both(case, o)
end
local function reject(o)
  o.profile = "stream"
  pattern.reject(case, o)
end

local function source(p, args, items, bytes)
  local c = p:open("tck.source", map(args), { credit = array { items, bytes or wide } })
  c:expect("STARTED")
  return c
end

-- Exactly n items come, numbered from `from`, and then nothing.
local function exactly(p, c, n, from, req)
  for i = from, from + n - 1 do
    local v = c:expect("ITEM", req).value
    if value.is_bin(v) then v = string.unpack(">I8", v.bytes) end
    p.t:is(req, v, i, "item")
  end
  p:nothing(c.id, req)
end

-- A sink that consumes nothing until its gate is open, with the grant that it gave.
local function held(p, items, bytes)
  local c = p:open("tck.sink", map { hold = "k", window = array { items, bytes } }, { send = true })
  c:expect("STARTED")
  p:barrier()
  return c
end

-- The sender: items
-- --------------------------------------------------------------------------------

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
  { "over-one", 1, 1, 2 }, { "short-of-two", 2, -1, 2 }, { "two", 2, 0, 2 }, { "over-two", 2, 1,
    3 },
  { "ten", 10, 0, 10 }, { "over-ten", 10, 1, 11 },
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
    title = ("Totals of [%d, %d] and then [%d, %d] are taken as they are"):format(h[2][1], h[2][2],
      h[3][1], h[3][2]),
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
  { "three", array { 1, 1, 1 }, "schema" }, { "empty", array {}, "schema" }, { "nil", value.null,
    "schema" },
  { "map", map { items = 1, bytes = 1 }, "schema" }, { "integer", 5, "schema" },
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

-- The receiver ------------------------------------------------------------------------------------

for _, n in ipairs { 1, 2, 5, 16, 50 } do
  both {
    id = "grant.items." .. n, req = { "CREDIT-001", "CREDIT-007", "CREDIT-005" },
    title = "A receiver that consumes nothing grants its window of " .. n .. " items, once",
    why = "What it has granted it can keep; it never grants more than that beyond what it has "
      .. "consumed.",
    run = function(t, p)
      local c = held(p, n, 100000)
      t:is("CREDIT-001", c:granted(), n, "items granted:")
      t:is("CREDIT-001", select(2, c:granted()), 100000, "bytes granted:")
      for i = 1, n do c:item(i) end
      p:barrier()
      t:is("CREDIT-005", c:granted(), n, "items granted with none consumed:")
      t:open_gate(p, "k")
      c:await_credit(n + 1, "CREDIT-001")
      c:finish()
      t:is("CREDIT-007", c:returns().count, n, "items consumed:")
      t:check("CREDIT-005", c:granted() <= 2 * n, "at most " .. 2 * n .. " items granted",
        tostring(c:granted()))
    end,
  }
  reject {
    id = "grant.items." .. n .. ".beyond", req = { "CREDIT-007", "CREDIT-004" }, code = "credit",
    title = "Item " .. n + 1 .. " of a grant of " .. n .. " is a violation",
    why = "Exactly as many as were granted, not one more.",
    twin = function(t, p)
      local c = held(p, n, 100000)
      for i = 1, n do c:item(i) end
      c:finish()
      t:open_gate(p, "k")
      t:is("CREDIT-007", c:returns().count, n, "items consumed:")
    end,
    setup = function(_, p)
      local c = p:open("tck.sink", map { hold = "never", window = array { n, 100000 } },
        { send = true })
      c:expect("STARTED")
      p:barrier()
      for i = 1, n do c:item(i) end
      p:barrier()
      return c
    end,
    bad = function(_, _, c) c:item(0, illegal) end,
  }
end

reject {
  id = "grant.none", req = { "CREDIT-001", "CREDIT-007" }, code = "credit",
  title = "An item before any CREDIT is a violation",
  why = "The grant of the opener's half begins at zero.",
  twin = function(_, p)
    local c = p:open("tck.duplex", map {}, { send = true, credit = array { 9, 900 } })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    c:item(1)
    c:gives(1)
    c:finish()
    c:expect("END")
    c:returns(1)
  end,
  setup = function(_, p)
    local c = p:open("tck.gate", map { key = "k" }, { send = true, credit = array { 9, 900 } })
    c:expect("STARTED")
    return c
  end,
  bad = function(_, _, c) c:item(1, illegal) end,
}

reject {
  id = "grant.none.fragment", req = { "CREDIT-004", "CREDIT-007" }, code = "credit",
  title = "The first fragment of an item beyond the grant is a violation at once",
  why = "An item is counted where it begins.",
  setup = function(_, p)
    local c = p:open("tck.gate", map { key = "k" }, { send = true })
    c:expect("STARTED")
    return c
  end,
  bad = function(_, _, c) c:send("ITEM", nil, { payload = "\xc4", more = true,
    illegal = true }) end,
}

-- Bytes: the window, the sizes that are legal one after another, and one item that is not.
local byte_windows = {
  { "exact", 100, { 100 } },
  { "exact-by-two", 100, { 50, 50 } },
  { "overdrawn", 100, { 99, 5000 } },
  { "overdrawn-at-once", 1, { 5000 } },
}
for _, w in ipairs(byte_windows) do
  local function fill(c)
    for _, size in ipairs(w[3]) do
      c:item(value.bin(("x"):rep(size - (size > 257 and 3 or 2))))
    end
  end
  reject {
    id = "grant.bytes." .. w[1], req = { "CREDIT-007", "CREDIT-004", "CREDIT-006" },
      code = "credit",
    title = ("Items of %s bytes fit a grant of %d bytes, and none after "
      .. "them"):format(table.concat(w[3], " and "),
      w[2]),
    why = "Both ends count payload bytes; an item that has begun may be finished, the next may "
      .. "not begin.",
    twin = function(t, p)
      local c = held(p, 100, w[2])
      fill(c)
      c:finish()
      p:barrier()
      t:open_gate(p, "k")
      t:is("CREDIT-006", c:returns().count, #w[3], "items consumed:")
    end,
    setup = function(_, p)
      local c = p:open("tck.sink", map { hold = "never", window = array { 100, w[2] } },
        { send = true })
      c:expect("STARTED")
      p:barrier()
      fill(c)
      p:barrier()
      return c
    end,
    bad = function(_, _, c) c:item(0, illegal) end,
  }
end

both {
  id = "grant.bytes.fragments", req = { "CREDIT-004", "CREDIT-006" },
  title = "An item that overdraws its grant fragment by fragment is finished in peace",
  why = "Only the beginning of an item needs credit.",
  run = function(t, p)
    local c = held(p, 4, 50)
    c:item(value.bin(("x"):rep(9000)), { split = 40 })
    c:finish()
    p:barrier()
    t:open_gate(p, "k")
    local v = c:returns(nil, "CREDIT-006")
    t:is("CREDIT-006", v.count, 1, "items consumed:")
    t:is("CREDIT-006", v.bytes, 9000, "their bytes:")
  end,
}

both {
  id = "grant.never-starves", req = { "CREDIT-001", "CREDIT-005" },
  title = "A receiver that consumes grants on, also where one item overdraws the whole window",
  why = "A sender may not wait for ever for bytes that were consumed long ago.",
  run = function(t, p)
    for _, w in ipairs { { 1, 1 }, { 1, 100000 }, { 3, 10 }, { 16, 100 } } do
      local c = p:open("tck.sink", map { window = array(w) }, { send = true })
      c:expect("STARTED")
      local sent = 0
      for i = 1, 20 do
        local v = value.bin(("x"):rep(i % 3 == 0 and 500 or 3))
        t:await(function()
          local items, bytes = c:granted()
          return items >= i and bytes > sent
        end, "credit for item " .. i, "CREDIT-001")
        c:item(v)
        sent = sent + #value.encode(v)
      end
      c:finish()
      t:is("CREDIT-005", c:returns().count, 20, "items consumed:")
    end
  end,
}

both {
  id = "grant.discarded-counts", req = { "CREDIT-005", "CREDIT-007", "STREAM-008" },
  title = "Items that are discarded use up the grant",
  why = "No refunds: both ends count the same frames and never disagree.",
  run = function(t, p)
    local c = p:open("tck.sink", map { stop_after = 1, linger = "k", window = array { 6, 100000 } },
      { send = true })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    c:item(1)
    c:expect("STOP", "STREAM-002")
    p:barrier()
    local items = c:granted()
    for i = 2, items do c:item(i) end
    p:barrier()
    t:is("CREDIT-005", c:granted(), items, "items granted after STOP:")
    c:item(0, illegal)
    p:violation("credit", c.id, "CREDIT-007")
  end,
}

-- Streams beside one another ----------------------------------------------------------------------

both {
  id = "beside.stalled-senders", req = { "CREDIT-003", "CTX-009" },
  title = "Ten stalled streams beside a live one",
  why = "Credit belongs to a half: none waits for the credit of another.",
  run = function(t, p)
    local stalled = {}
    for i = 1, 10 do
      stalled[i] = source(p, { size = 100 }, 1 + i % 2, wide)
      exactly(p, stalled[i], 1 + i % 2, 0, "CREDIT-003")
    end
    local live = source(p, { count = 300 }, 300)
    for i = 0, 299 do live:gives(i, "CTX-009") end
    live:expect("END")
    live:returns(300)
    t:alive(p)
    for i = 1, 10 do p:nothing(stalled[i].id, "CREDIT-003") end
    for i = 10, 1, -1 do
      stalled[i]:credit(5, wide)
      exactly(p, stalled[i], 4 - i % 2, 1 + i % 2, "CREDIT-002")
      stalled[i]:stop()
      stalled[i]:expect("END")
      t:is("CREDIT-003", stalled[i]:returns(), 5, "items sent:")
    end
  end,
}

both {
  id = "beside.stalled-receivers", req = { "CREDIT-001", "CTX-009" },
  title = "Streams that nobody consumes beside one that is consumed",
  why = "A full window is the business of one half.",
  run = function(t, p)
    local stalled = {}
    for i = 1, 6 do
      stalled[i] = held(p, 4, 100000)
      for n = 1, 4 do stalled[i]:item(n) end
    end
    local live = p:open("tck.duplex", map {}, { send = true, credit = array { 1000, wide } })
    live:expect("STARTED")
    for i = 1, 200 do
      live:await_credit(i, "CREDIT-001")
      live:item(i)
      live:gives(i, "CTX-009")
    end
    live:finish()
    live:expect("END")
    live:returns(200)
    for i = 1, 6 do p:nothing(stalled[i].id, "CREDIT-001") end
    t:open_gate(p, "k")
    for i = 1, 6 do
      stalled[i]:finish()
      t:is("CREDIT-001", stalled[i]:returns().count, 4, "items consumed:")
    end
  end,
}

both {
  id = "beside.stalled-then-call", req = { "CREDIT-003", "KIND-018" },
  title = "A stream with a mountain of items to send and no credit does not delay calls",
  why = "Control frames and calls need no credit of anybody.",
  run = function(_, p)
    local c = source(p, { size = 100000 }, 1, 1)
    exactly(p, c, 1, 0, "CREDIT-003")
    for i = 1, 30 do p:open("tck.echo", map { v = i }):returns(i) end
    c:cancel()
    c:is_cancelled({})
  end,
}

both {
  id = "beside.both-halves", req = { "CREDIT-001", "CREDIT-003" },
  title = "The two halves of a context have credit of their own",
  why = "Items one way do not use the grant of the other.",
  run = function(t, p)
    local c = p:open("tck.duplex", map { window = array { 3, 100000 } }, { send = true,
      credit = array { 1, wide } })
    c:expect("STARTED")
    c:await_credit(3, "CREDIT-001")
    for i = 1, 3 do c:item(i) end
    c:gives(1)
    p:nothing(c.id, "CREDIT-003")
    t:check("CREDIT-001", c:granted() <= 3 + 2, "at most 3 items beyond the 2 consumed",
      tostring(c:granted()))
    c:credit(3, wide)
    c:gives(2)
    c:gives(3)
    c:await_credit(4, "CREDIT-001")
    c:finish()
    c:expect("END")
    c:returns(3)
  end,
}

both {
  id = "beside.slow-drip", req = { "CREDIT-003", "CTX-009" },
  title = "Five streams that are given credit in turns deliver in turns",
  why = "Whoever has credit sends; whoever has none waits without harm.",
  run = function(t, p)
    local list = {}
    for i = 1, 5 do list[i] = source(p, { count = 12 }, 0) end
    for n = 1, 12 do
      for _, i in ipairs { 3, 1, 5, 2, 4 } do
        list[i]:credit(n, wide)
        list[i]:gives(n - 1, "CREDIT-003")
      end
    end
    for i = 1, 5 do
      list[i]:expect("END")
      t:is("CREDIT-003", list[i]:returns(), 12, "items sent:")
    end
  end,
}

-- The testee's own grants, seen over a long stream: the monitor holds each CREDIT against the one
-- before.
both {
  id = "grant.monotonic", req = { "CREDIT-008", "CREDIT-001" },
  title = "Over five hundred items the totals that the receiver grants only rise, and reach all "
    .. "of them",
  why = "The suite is a sender as well, and would have to end the link over a total that shrinks.",
  run = function(t, p)
    local c = p:open("tck.sink", map { window = array { 7, 1000 } }, { send = true })
    c:expect("STARTED")
    local last = { 0, 0 }
    for i = 1, 500 do
      c:await_credit(i, "CREDIT-001")
      t:await(function() return select(2, c:granted()) > 2 * i end, "bytes for item " .. i,
        "CREDIT-001")
      c:item(i)
      for _, f in ipairs(p.inbox) do
        if f.ctx == c.id and f.name == "CREDIT" then
          t:check("CREDIT-008", f.value[1] >= last[1] and f.value[2] >= last[2],
            "totals that do not shrink",
            frame.show(f))
          last = { f.value[1], f.value[2] }
        end
      end
      while p:take(function(f) return f.ctx == c.id and f.name == "CREDIT" end) do end
    end
    c:finish()
    t:is("CREDIT-001", c:returns().count, 500, "items consumed:")
  end,
}
