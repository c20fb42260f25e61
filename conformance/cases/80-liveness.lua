-- SPDX-License-Identifier: MIT
--
-- Liveness: PING is a barrier for the protocol layer, silence proves nothing within a host, and a
-- promised heartbeat is kept whatever user code does.
local case = ...
local pack = require "frame".pack
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array

-- Everything that arrives, PONG included, in order.
local function record(p)
  local seen = {}
  local on_frame = p.on_frame
  p.on_frame = function(link, f)
    seen[#seen + 1] = f
    on_frame(link, f)
  end
  return seen
end

for _, v in ipairs {
  { "nil", value.null }, { "false", false }, { "integer", 7 }, { "float", 0.1 }, { "str", "p" },
    { "empty", "" },
  { "bin", value.bin(("\0"):rep(1000)) }, { "array", array { 1, array {} } }, { "map",
    map { a = 1 } },
  { "long-form", value.raw "\xce\0\0\0\1" }, { "single", value.single(0.5) },
  { "ext", value.ext(42, "opaque") }, { "ref", value.ref(("r"):rep(16), "r", {}) },
} do
  pattern.both(case, {
    id = "ping." .. v[1], req = "KIND-005",
    title = "A PING of " .. v[1] .. " has a PONG of the same bytes",
    why = "PONG returns the bytes, not the value.",
    run = function(t, p)
      local payload = value.encode(v[2])
      p:send { "PING", payload = payload }
      t:await(function() return p.pongs[1] end, "PONG", "KIND-005")
      t:is("KIND-005", value.bin(p.pongs[1].payload), value.bin(payload), "payload")
      p.pongs = {}
      p:barrier()
    end,
  })
end

pattern.both(case, {
  id = "ping.many", req = { "KIND-005", "KIND-007" },
  title = "A thousand PINGs, each after the PONG of the last, are all answered",
  why = "The limit is one at a time, not one in all.",
  run = function(_, p) for _ = 1, 1000 do p:barrier() end end,
})

pattern.both(case, {
  id = "pong.unasked", req = "KIND-008",
  title = "A PONG that answers nothing is ignored",
  why = "It is a way to keep a promise of liveness.",
  run = function(t, p)
    for _, v in ipairs { value.null, 1, "x", map { a = array { 1 } } } do
      p:send { "PONG", value = v }
    end
    p:cork(function() for _ = 1, 500 do p:send { "PONG", value = value.null } end end)
    t:alive(p)
    p:barrier()
  end,
})

-- The barrier -------------------------------------------------------------------------------------
-- owes(p) makes the testee's protocol layer owe something; kinds are the frames that have to stand
-- before the PONG.

local function barrier_case(id, words, kinds, owes, profile)
  case {
    id = "barrier." .. id, req = "KIND-006", profile = profile,
    title = "A PONG comes after " .. words,
    why = "PONG says: all that my protocol layer owed you is behind you.",
    run = function(t)
      local p = t:boot()
      local seen
      local prepared = owes(p)
      p:barrier()
      seen = record(p)
      p:cork(function()
        prepared()
        p:send { "PING", value = "barrier" }
      end)
      t:await(function() return p.pongs[1] end, "PONG", "KIND-006")
      local need = {}
      for _, k in ipairs(kinds) do need[k] = (need[k] or 0) + 1 end
      for _, f in ipairs(seen) do
        if f.name == "PONG" then break end
        local k = f.name == "ERROR" and (f.value or {}).code or f.name
        if need[k] and not f.more then need[k] = need[k] - 1 end
      end
      for k, n in pairs(need) do
        t:check("KIND-006", n <= 0, "every " .. k .. " before the PONG", n
          .. " of them not before it")
      end
      p.pongs = {}
    end,
  }
end

barrier_case("no-target", "the refusals of unknown targets",
  { "no_target", "no_target", "no_target", "no_target", "no_target" }, function(p)
    return function() for i = 1, 5 do p:open("tck.none" .. i, map {}) end end
  end)
barrier_case("denied", "the refusals of what is denied", { "denied" }, function(p)
  return function() p:open("copse.actor", map {}) end
end)
barrier_case("deadline", "the CANCELLED of an OPEN without time", { "CANCELLED", "CANCELLED" },
  function(p)
  return function()
    for _ = 1, 2 do p:open("tck.gate", map { key = "k" }, { deadline = 0 }) end
  end
end)
barrier_case("unfinished", "the CANCELLED of an unfinished OPEN", { "CANCELLED" }, function(p)
  return function()
    local id = p:new_id()
    local bytes = value.encode(map { target = "tck.echo", args = map {} })
    p:send { "OPEN", id, payload = bytes:sub(1, 5), more = true }
    p:send { "CANCEL", id, value = map { origin = "requested" } }
  end
end)
barrier_case("stop", "the END that answers STOP", { "END", "END" }, function(p)
  local list = {}
  for i = 1, 2 do
    list[i] = p:open("tck.duplex", map {}, { send = true, credit = { 4, 400 } })
    list[i]:expect("STARTED")
  end
  return function() for i = 1, 2 do list[i]:stop() end end
end, "stream")
barrier_case("closing", "the refusals of an actor that is finishing", { "closing", "closing" },
  function(p)
  p:open("tck.relay", map { target = "x.below" })
  p:accept("x.below")
  p.actor:finish()
  return function() for _ = 1, 2 do p:open("tck.echo", map {}) end end
end)

case {
  id = "barrier.hot", req = "KIND-006",
  title = "A PONG that is sent while user code computes for ever comes after a refusal, too",
  why = "Whatever reads a link in the middle of user code owes what every reader owes.",
  run = function(t)
    local parent = t:boot { listen = true, args = { grace = 300 } }
    play.own_end(parent)
    local d = t:dial(parent)
    parent:open("tck.crash", map { how = "spin", started = 1 }):expect("STARTED")
    local seen = record(d)
    d:open("tck.none", map {})
    d:write(pack { kind = "PING", payload = "\1" })
    local function answered()
      for i, f in ipairs(seen) do if f.name == "PONG" and f.payload == "\1" then return i end end
    end
    -- Whoever reads nothing meanwhile answers nothing either.
    t.task:wait(answered, 3000 * t.scale)
    local at = answered()
    if at then
      local before = false
      for i = 1, at do before = before or seen[i].name == "ERROR" end
      t:check("KIND-006", before, "ERROR no_target before the PONG", "the PONG alone")
    end
    d.loose, parent.loose = true, true
    parent:close()
    t:await(function() return parent.process.exit end, "the exit of the testee", "SPAWN-024")
  end,
}

case {
  id = "barrier.not-handlers", req = "KIND-006",
  title = "A PONG does not wait for handlers",
  why = "It is a barrier for the protocol layer only.",
  run = function(t)
    local p = t:boot()
    local c = p:open("tck.gate", map { key = "k", value = 1 })
    p:barrier()
    c:expect("STARTED")
    p:barrier()
    t:open_gate(p, "k")
    c:returns(1)
  end,
}

case {
  id = "ping.closing", req = { "LINK-006", "KIND-005" },
  title = "PING is answered while the link is closing",
  why = "The link lives until the last context has ended.",
  run = function(t)
    local p = t:boot { listen = true }
    local d = t:dial(p)
    local c = d:open("tck.gate", map { key = "k", value = 1 })
    c:expect("STARTED")
    d:bye()
    d:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
    d:barrier()
    t:open_gate(p, "k")
    c:returns(1, "LINK-010")
    d:shutdown()
    d:await_eof("LINK-010")
  end,
}

-- Silence and promises ----------------------------------------------------------------------------

for _, place in ipairs { "parent", "dialled" } do
  case {
    waits = true,
    id = "silence." .. place, req = { "LIVE-006", place == "parent" and "LIVE-008" or "LIVE-006" },
    watchdog = 90000,
    title = "Within one host a link is not ended over silence, a broken promise included ("
      .. (place == "parent" and "suite accepts" or "suite connects") .. ")",
    why = "A process may be stopped for an afternoon in a debugger.",
    run = function(t)
      local p = t:boot { listen = true, hello = place == "parent" and { heartbeat = 1000 } or nil }
      local d = place == "dialled" and t:dial(p, { hello = { heartbeat = 1000 } }) or p
      local c = d:open("tck.gate", map { key = "k", value = 1 })
      c:expect("STARTED")
      -- A rule about time: three times the promise, and as much again as one may take to look.
      t:elapse(4000)
      t:check("LIVE-006", not d:first_bye() and not d.eof, "the link open", "its end")
      t:open_gate(p, "k")
      c:returns(1, "LIVE-006")
    end,
  }
end

for _, place in ipairs { "parent", "dialled" } do
  case {
    waits = true,
    id = "silence.half-a-frame." .. place, req = "LIVE-003", watchdog = 90000,
    title = "A peer that is slow to say one long frame is not silent ("
      .. (place == "parent" and "suite accepts" or "suite connects") .. ")",
    why = "A sign of life is bytes, not frames.",
    run = function(t)
      local promise = { heartbeat = 1000 }
      local p = t:boot { listen = true, hello = place == "parent" and promise or nil }
      local d = place == "dialled" and t:dial(p, { hello = promise }) or p
      local v = ("v"):rep(50)
      d.corked = {}
      local c = d:open("tck.echo", map { v = v })
      local bytes = table.concat(d.corked)
      d.corked = nil
      -- An answer to a PING would stand in the middle of the frame.
      d.auto_pong = false
      for i = 1, #bytes do
        t:check("LIVE-003", not d:first_bye() and not d.eof, "the link open", "its end")
        d:write(bytes:sub(i, i))
        -- More than three times the promise in all: a rule about time.
        t:elapse(3300 // #bytes + 1)
      end
      d.auto_pong = true
      while true do
        local ping = d:take(function(f) return f.name == "PING" end)
        if not ping then break end
        d:send { "PONG", payload = ping.payload }
      end
      c:returns(v, "LIVE-003")
    end,
  }
end

case {
  id = "silence.no-promise", req = "LIVE-008",
  title = "Nothing follows from the silence of a peer that promised nothing",
  why = "There is nothing to be broken.",
  run = function(t)
    local p = t:boot { listen = true }
    local d = t:dial(p, { hello = { heartbeat = 0 } })
    t:elapse(1200)
    for _, link in ipairs { p, d } do
      t:check("LIVE-008", not link:first_bye() and not link.eof, "the link open", "its end")
    end
    t:alive(d)
    t:alive(p)
  end,
}

for _, busy in ipairs { false, true } do
  case {
    waits = true,
    id = "heartbeat." .. (busy and "busy" or "idle"), req = { "LIVE-001", "HELLO-010" },
    watchdog = 120000, await = 60000,
    title = "A promised heartbeat is kept" .. (busy and " while user code computes" or ""),
    why = "It is a promise of the runtime, not of user code.",
    run = function(t)
      local p = t:boot { listen = true, stat = false, args = { grace = 300 } }
      play.own_end(p)
      local d = t:dial(p)
      local promise = d.peer.heartbeat or 0
      -- None was promised, so none is owed.
      if promise == 0 then return end
      if busy then
        p:open("tck.crash", map { how = "spin", started = 1 }):expect("STARTED")
        p.loose = true
      end
      for _ = 1, 2 do
        local before = d.received
        t:await(function() return d.received > before end, "some bytes within " .. promise
          .. " ms", "LIVE-001",
          math.floor(promise * 2 * t.scale))
      end
      if busy then
        d.loose = true
        p:close()
        t:await(function() return p.process.exit end, "the exit of the testee", "SPAWN-024")
      end
    end,
  }
end

for _, h in ipairs {
  { 1, "below the minimum" }, { 999, "just below the minimum" }, { -1, "negative" },
} do
  case {
    id = "heartbeat.bad." .. math.abs(h[1]) .. (h[1] < 0 and "-negative" or ""), req = "VALUE-012",
    title = "A heartbeat of " .. h[1] .. " ms in HELLO is a violation",
    why = "It is 0, or at least 1000.",
    run = function(t)
      local p = t:boot { listen = true }
      t:alive(t:dial(p, { hello = { heartbeat = 1000 } }))
      local d = t:dial(p, { raw = true })
      local frame = require "frame"
      d:say(frame.pack { kind = "HELLO", payload = value.encode(d:hello_value {
        actor = value.ref(("h"):rep(16), "h", {}), heartbeat = h[1] }) })
      d:violation("schema", nil, "VALUE-012")
      t:alive(p)
    end,
  }
end
