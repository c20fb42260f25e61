-- SPDX-License-Identifier: MIT
--
-- A peer that means no good, or no longer knows what it does: bytes at random, sessions that are
-- damaged or break off, links that never begin. No input is a reason to crash, to hang, or to keep
-- anything.
local case = ...
local frame = require "frame"
local play = require "play"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array
local echo = play.echo

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
    hello, f("OPEN", 1, echo),
    f("OPEN", 3, map { target = "tck.duplex", send = true, credit = array { 9, 900 } }),
    f("PING", 0, "\1"), f("OPEN", 5, echo:sub(1, 8), true), f("CREDIT", 3, array { 10, 1000 }),
    f("OPEN", 5, echo:sub(9)),
    f("OPEN", 7, map { target = "tck.gate", args = map { key = "never" } }),
    f("STOP", 3), f("CANCEL", 7, map { origin = "error", message = "m", grace = 5 }), f("END", 3),
    f("OPEN", 9, map { target = "tck.none", meta = map { a = array { 1, map {} } },
      deadline = 50 }),
    f("PONG", 0, "\1"), f(0x44, 9, "\1"), f("BYE", 0, map { code = "none" }),
  }
end

case {
  id = "abuse.garbage.mutated", req = { "ODD-004", "ODD-002", "LINK-005" }, profile = "stream",
  title = "Four hundred damaged sessions leave the testee as it was",
  why = "Damage to what is nearly right goes deeper than noise does.",
  await = 30000, watchdog = 120000,
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
        elseif how == 2 then
          frames[at] = f:sub(1, pos - 1) .. string.char(random(256) - 1) .. f:sub(pos + 1)
        elseif how == 3 then
          table.remove(frames, at)
        elseif how == 4 then
          table.insert(frames, at, f)
        elseif how == 5 then
          frames[at], frames[#frames] = frames[#frames], f
        else
          frames[at] = f:sub(1, pos)
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
  why = "The end of the input is a loss wherever it falls; the leak check looks.",
  await = 30000, watchdog = 120000,
  run = function(t)
    local parent = t:boot { listen = true }
    local bytes = table.concat(session())
    for at = 0, #bytes, 3 do feed(t, parent, bytes:sub(1, at)) end
    t:alive(parent)
  end,
}

for _, o in ipairs {
  { "PING", "value", function(d) d:put("PING", 0, "\1\1") return 0 end },
  { "OPEN", "schema", function(d)
    local id = d:new_id()
    d:put("OPEN", id, value.encode(map { target = "tck.echo", args = 7 }))
    return id
  end },
  { "CANCEL", "schema", function(d)
    local c = d:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    d:put("CANCEL", c.id, value.encode(map { origin = "whim" }))
    return c.id
  end },
  { "OPEN-behind", "frame", function(d)
    d:put(0x05, 0, "")
    d:put("OPEN", d:new_id(), echo)
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
    -- A testee may take them one by one: what counts is what it holds when it takes no more.
    local held
    repeat
      local last = held
      for _ = 1, 5 do parent:barrier() end
      held = before > 0 and t:stat(parent).fds - before or #open - over
    until held == last
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
