-- SPDX-License-Identifier: MIT
--
-- Chapter 19, the testee as opener: by way of tck.relay the suite is the callee. The testee's frame
-- is one that it sends by itself, CANCEL for instance, and the suite answers as if it had not read
-- it (`late`), or has answered before (`early`).
local case = ...
local frame = require "frame"
local play = require "play"
local value = require "value"
local map, nothing = value.map, play.no_effect

local function opener(row, order, o)
  play.crossing(case, row, "opener", "callee", order, o, function(t, p)
    local upper = p:open("tck.relay", map { target = "x.below" }, o.above)
    o.run(t, p, upper, p:accept("x.below"))
  end)
end

local function cancelled(inner, upper)
  upper:cancel { grace = 60000 }
  inner:expect("CANCEL", "MODEL-005")
end

opener("cancel-started", "late", { run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:started(1)
  nothing(upper)
  inner:cancelled_with {}
  upper:terminal("CROSS-001")
end })
opener("cancel-started", "early", { run = function(_, _, upper, inner)
  inner:started(1)
  upper:expect("STARTED", "KIND-018")
  cancelled(inner, upper)
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
opener("cancel-stop", "late", { profile = "stream", run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:stop { illegal = true }
  nothing(upper)
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
opener("cancel-credit", "late", { profile = "stream", run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:credit(5, 500, { illegal = true })
  inner:credit(1, 1, { illegal = true })
  nothing(upper)
  inner:cancelled_with {}
  upper:is_cancelled({}, "CROSS-001")
end })
local cancel_return = { "CROSS-001", "CANCEL-007" }
opener("cancel-return", "late", { req = cancel_return, run = function(t, _, upper, inner)
  cancelled(inner, upper)
  inner:returns_with(5)
  local f = upper:terminal("CROSS-001")
  t:check("CANCEL-007", f.name ~= "ERROR", "RETURN or CANCELLED, no error", frame.show(f))
end })
opener("cancel-return", "early", { run = function(t, p, upper, inner)
  p:cork(function()
    inner:returns_with(5)
    upper:cancel()
  end)
  local f = upper:terminal("CROSS-001")
  t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
end })
local cancel_error = { "CROSS-001", "CANCEL-008" }
opener("cancel-error", "late", { req = cancel_error, run = function(_, _, upper, inner)
  cancelled(inner, upper)
  inner:fail_with { code = "acme.x" }
  upper:errors("acme.x", "CANCEL-008", { cancelled = true })
end })
opener("cancel-error", "early", { run = function(_, p, upper, inner)
  p:cork(function()
    inner:fail_with { code = "acme.x" }
    upper:cancel()
  end)
  upper:errors("acme.x", "CROSS-001")
end })
opener("cancel-cancelled", "late", { req = { "CROSS-001", "CANCEL-010" }, run = function(_, _,
  upper, inner)
  cancelled(inner, upper)
  inner:cancelled_with { origin = "shutdown" }
  upper:is_cancelled({ origin = "requested" }, "CANCEL-010")
end })
opener("cancel-cancelled", "early", { req = { "CROSS-001", "CANCEL-011" }, run = function(_, _,
  upper, inner)
  -- It came before CANCEL was sent, so it is not absorbed.
  inner:cancels_itself { origin = "shutdown" }
  upper:errors("cancelled", "CANCEL-011")
end })
for _, kind in ipairs { "RETURN", "ERROR", "CANCELLED" } do
  opener("cancel-part." .. kind:lower(), "late", { req = { "CROSS-001", "FRAME-017" },
    run = function(t, p, upper, inner)
    local text = ("x"):rep(3000)
    local payloads = {
      RETURN = value.encode(text), ERROR = value.encode(map { code = "acme.x", message = text }),
      CANCELLED = value.encode(map { origin = "requested", ran = true, message = text }),
    }
    local bytes = payloads[kind]
    if kind == "CANCELLED" then
      -- No callee begins a CANCELLED that was not asked for; here its own shutdown asked.
      p.monitor.ctx[inner.id].cancelled = true
    end
    inner:send(kind, nil, { payload = bytes:sub(1, 1000), more = true })
    upper:cancel { grace = 60000 }
    inner:expect("CANCEL", "MODEL-005")
    inner:send(kind, nil, { payload = bytes:sub(1001) })
    local f = upper:terminal("CROSS-001")
    if kind == "ERROR" then t:check("CROSS-001", f.name == "ERROR", "ERROR", frame.show(f)) end
    if kind == "CANCELLED" then
      t:check("CROSS-001", f.name == "CANCELLED", "CANCELLED", frame.show(f))
    end
    if kind == "RETURN" then
      t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
    end
  end })
end
for _, kind in ipairs { "ERROR", "CANCELLED" } do
  opener("cancel-part.replaced-" .. kind:lower(), "late", { req = { "CROSS-001", "FRAME-017" },
    run = function(_, _, upper, inner)
    inner:send("RETURN", nil, { payload = "\xc5\x10\x00abc", more = true })
    cancelled(inner, upper)
    if kind == "ERROR" then
      inner:fail_with { code = "acme.x" }
      upper:errors("acme.x", "FRAME-017")
    else
      inner:cancelled_with {}
      upper:is_cancelled({}, "FRAME-017")
    end
  end })
end
opener("again-terminal", "late", { run = function(_, p, upper, inner)
  cancelled(inner, upper)
  upper:cancel { grace = 50000 }
  inner:cancelled_with {}
  upper:is_cancelled({ origin = "requested" }, "CROSS-001")
  p:barrier("CROSS-002")
end })
opener("deadline-return", "late", { above = { deadline = 60 }, run = function(t, _, upper, inner)
  inner:expect("CANCEL", "DEADLINE-003")
  inner:returns_with(5)
  local f = upper:terminal("CROSS-001")
  t:check("CROSS-001", f.name ~= "ERROR", "RETURN or CANCELLED", frame.show(f))
end })
opener("credit-terminal", "early", { profile = "stream", run = function(_, _, upper, inner)
  inner:credit(5, 500, { illegal = true })
  inner:stop { illegal = true }
  inner:returns_with(1)
  upper:returns(1, "CROSS-001")
end })

-- The testee as one that registers: it sends END by itself.
local function registered(row, o)
  case {
    id = "cross." .. row .. ".opener-end", req = { "CROSS-001", "CROSS-002" }, profile = "registry",
    title = "Crossing " .. row .. ", the testee as opener of a held context",
    why = "A held context is let go by END, which may cross all that the callee sends.",
    run = function(t)
      local p = t:boot()
      local upper = p:open("tck.register", map { name = "n" }, { send = true })
      local inner = p:accept("copse.register")
      inner:started()
      upper:expect("STARTED")
      upper:finish()
      inner:expect("END", "KIND-011")
      o(t, p, upper, inner)
      upper:nothing("KIND-019")
    end,
  }
end
registered("end-stop", function(_, _, upper, inner)
  inner:stop { illegal = true }
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-credit", function(_, _, upper, inner)
  inner:credit(5, 500, { illegal = true })
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-terminal", function(_, _, upper, inner)
  inner:returns_with()
  upper:returns(value.null, "CROSS-001")
end)
registered("end-error", function(_, _, upper, inner)
  inner:fail_with { code = "closing" }
  upper:errors("closing", "CROSS-001")
end)

case {
  id = "cross.cancel-stop.opener-held", req = { "CROSS-001", "STREAM-003" },
  profile = "registry",
  title = "Crossing cancel-stop, the testee as opener of a half that is open",
  why = "STOP asks for END, but CANCEL has implied it, and nothing is sent behind a CANCEL.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.register", map { name = "n" }, { send = true })
    local inner = p:accept("copse.register")
    inner:started()
    upper:expect("STARTED")
    cancelled(inner, upper)
    inner:stop { illegal = true }
    p:nothing(inner.id, "STREAM-003")
    inner:cancelled_with {}
    upper:terminal("CROSS-001")
  end,
}

-- Items that crossed the CANCEL are for nobody, and what is thrown away leaves no trace.
for _, o in ipairs { { "whole", "in two fragments" }, { "unfinished", "left unfinished" } } do
  case {
    id = "cross.cancel-item." .. o[1] .. ".opener-late", profile = "stream",
    req = { "CROSS-001", "FRAME-017", "STREAM-002" },
    title = "Crossing cancel-item, an item " .. o[2] .. ", the testee as opener",
    why = "The terminal behind a discarded item is not discarded with it.",
    run = function(t)
      local p = t:boot()
      local upper = p:open("tck.drain", map { target = "x.below" })
      local inner = p:accept("x.below")
      inner:started()
      cancelled(inner, upper)
      local bytes = value.encode(("i"):rep(100))
      inner:send("ITEM", nil, { payload = bytes:sub(1, 50), more = true, illegal = true })
      if o[1] == "whole" then
        inner:send("ITEM", nil, { payload = bytes:sub(51), illegal = true })
      end
      p:barrier("STREAM-002")
      inner:cancelled_with {}
      upper:terminal(o[1] == "whole" and "CROSS-001" or "FRAME-017")
    end,
  }
end
