-- SPDX-License-Identifier: MIT
--
-- Credit as a receiver gives it: its window, what it holds of a grant that nobody consumes, what it
-- owes once items were consumed, and the item beyond it.
local case = ...
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local held = play.held

local illegal = { illegal = true }
local both, reject = pattern.with(case, { profile = "stream" })

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
  bad = function(_, _, c)
    c:send("ITEM", nil, { payload = "\xc4", more = true, illegal = true })
  end,
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
    title = ("Items of %s bytes fit a grant of %d bytes, and none after them"):format(
      table.concat(w[3], " and "), w[2]),
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
    p:violation("credit", c.id, "CREDIT-005")
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
            "totals that do not shrink", frame.show(f))
          last = { f.value[1], f.value[2] }
        end
      end
      while p:take(function(f) return f.ctx == c.id and f.name == "CREDIT" end) do end
    end
    c:finish()
    t:is("CREDIT-001", c:returns().count, 500, "items consumed:")
  end,
}
