-- SPDX-License-Identifier: MIT
--
-- The testee as the opener of a stream. It owes END where it is told to STOP, and it delivers what
-- arrived before the terminal, whether that had been consumed or not.
local case = ...
local pattern = require "pattern"
local value = require "value"
local map, array = value.map, value.array

local both = pattern.with(case, { profile = "stream" })

-- The opener's side -------------------------------------------------------------------------------

case {
  id = "stop.opener", req = { "STREAM-004", "STREAM-001", "KIND-011" }, profile = "registry",
  title = "An opener with an open half answers STOP by END, and goes on holding the context",
  why = "Held contexts have `send`; a callee that says STOP is owed its END all the same.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.register", map { name = "n" }, { send = true })
    local inner = p:accept("copse.register")
    t:is("KIND-011", inner.open_frame.value.send, true, "`send` in its OPEN:")
    inner:started()
    upper:expect("STARTED")
    inner:stop()
    inner:expect("END", "STREAM-004")
    upper:finish()
    p:nothing(inner.id, "STREAM-001")
    inner:returns_with()
    upper:returns(value.null)
  end,
}

-- The opener's half -------------------------------------------------------------------------------
-- tck.drain opens a context on the suite and consumes what the suite sends it.

local function drain(p, window)
  local upper = p:open("tck.drain", map { target = "x.items", window = array(window
    or { 16, 65536 }) })
  return upper, p:accept("x.items", "KIND-018")
end

-- What the opener made of it: so many items of this sum, and this value of RETURN. That the end of
-- the items was seen at all shows that RETURN is enough.
local function drained(t, upper, count, sum, v, req)
  local got = upper:returns(nil, "STREAM-009")
  t:check(req, value.is_map(got) and got.count == count, count .. " items before the RETURN",
    value.show(got))
  t:is(req, got.sum, sum, "their sum:")
  t:is("KIND-018", got.value, v, "what RETURN brought:")
end

for _, n in ipairs { 0, 1, 2, 16 } do
  for _, last in ipairs { "return", "end" } do
    both {
      id = "opener." .. last .. "." .. n, req = { "KIND-020", "STREAM-009" },
      title = n .. " items and " .. (last == "end" and "END and " or "")
        .. "RETURN in one write: the items are delivered first",
      why = "What arrived before the result belongs to it, whether it had been consumed or not.",
      run = function(t, p)
        local upper, inner = drain(p)
        p:cork(function()
          inner:started()
          for i = 1, n do inner:item(i * i) end
          if last == "end" then inner:finish() end
          inner:returns_with("done")
        end)
        drained(t, upper, n, n * (n + 1) * (2 * n + 1) // 6, "done", "KIND-020")
        p:nothing(inner.id, "KIND-020")
      end,
    }
  end
end

both {
  id = "opener.fragments", req = { "KIND-020", "FRAME-014" },
  title = "The last item and the RETURN behind it are delivered when they come in fragments, too",
  why = "A message has arrived when its last fragment has, and so has the terminal.",
  run = function(t, p)
    local upper, inner = drain(p)
    p:cork(function()
      inner:started()
      inner:item(20)
      inner:item(1 << 40, { split = 2 })
      inner:returns_with(("v"):rep(100), { split = 30 })
    end)
    drained(t, upper, 2, 20 + (1 << 40), ("v"):rep(100), "KIND-020")
  end,
}

both {
  id = "opener.byte-by-byte", req = "KIND-020",
  title = "Items and a RETURN that come byte by byte are all delivered",
  why = "What was delivered must not hang on what came in one read.",
  run = function(t, p)
    local upper, inner = drain(p)
    p.chop = 1
    inner:started()
    for i = 1, 5 do inner:item(i) end
    inner:returns_with(value.null)
    p.chop = nil
    drained(t, upper, 5, 15, value.null, "KIND-020")
  end,
}

both {
  id = "opener.window", req = { "KIND-020", "CREDIT-001" },
  title = "After two hundred items under a window of three, the last one is delivered as well",
  why = "An opener raises its grant like a callee, and owes none when the context has ended.",
  run = function(t, p)
    local upper, inner = drain(p, { 3, 1000 })
    t:is("CREDIT-001", inner.open_frame.value.credit, array { 3, 1000 }, "credit of OPEN:")
    inner:started()
    for i = 1, 199 do
      inner:await_credit(i, "CREDIT-001")
      inner:item(i)
    end
    inner:await_credit(200, "CREDIT-001")
    p:cork(function()
      inner:item(200)
      inner:returns_with(true)
    end)
    drained(t, upper, 200, 20100, true, "KIND-020")
  end,
}

both {
  id = "opener.several", req = { "KIND-020", "CTX-009" },
  title = "Items and RETURNs of four contexts in turns reach each its own",
  why = "The end of one context takes nothing of another with it.",
  run = function(t, p)
    local upper, inner = {}, {}
    for i = 1, 4 do upper[i], inner[i] = drain(p) end
    p:cork(function()
      for i = 1, 4 do inner[i]:started() end
      for n = 1, 8 do
        for i = 1, 4 do if n <= 2 * i then inner[i]:item(100 * i + n) end end
        if n % 2 == 0 then inner[n // 2]:returns_with(n) end
      end
    end)
    for i = 4, 1, -1 do
      drained(t, upper[i], 2 * i, 200 * i * i + i * (2 * i + 1), 2 * i, "KIND-020")
    end
  end,
}

both {
  id = "opener.error", req = { "KIND-021", "ERROR-005" },
  title = "Items and an ERROR in one write: the error comes out, whatever was consumed",
  why = "What failed has no result, and items that are left are dropped.",
  run = function(t, p)
    local upper, inner = drain(p)
    p:cork(function()
      inner:started()
      for i = 1, 16 do inner:item(i) end
      inner:fail_with { code = "acme.broken", message = "m" }
    end)
    upper:errors("acme.broken", "KIND-021", { message = "m" })
    t:alive(p)
  end,
}
