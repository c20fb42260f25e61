-- SPDX-License-Identifier: MIT
--
-- Chapters 4.1 and 4.5: what waits in a sender, what overtakes it, and what is read meanwhile. The
-- suite stops reading until the testee is stuck, and looks at the order of what comes when it goes
-- on.
local case = ...
local frame = require "frame"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

-- What the system takes before a writer of big frames has to wait.
local function capacity()
  local fds = assert(uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true }))
  local s = uv.new_pipe(false)
  assert(s:open(fds[1]))
  local total, chunk = 0, ("c"):rep(65548)
  while true do
    local n = s:try_write(chunk)
    if not n or n <= 0 then break end
    total = total + n
  end
  s:close()
  uv.fs_close(fds[2])
  return total
end

local size = 60000
-- The testee, a link that it will be stuck on, and one to look from. hello: limits of the suite.
local function prepare(t, limits)
  local parent = t:boot { listen = true }
  local d = t:dial(parent, { hello = { limits = limits } })
  d.fragments = true
  d.marker = d:open("tck.cleanup", map { name = "marker" })
  d.marker:expect("STARTED")
  return parent, d
end
-- Stops reading, and has the testee owe more results than the system takes.
local function stick(d)
  d:hold()
  d.held_at = d.received
  d.fill = {}
  local v = value.bin(("f"):rep(size))
  local n = math.min((capacity() + (1 << 20)) // size + 4, d.monitor.limits.peer.contexts - 8)
  for i = 1, n do d.fill[i] = d:open("tck.echo", map { v = v }) end
end
-- Waits until the testee has read all that was sent on `d`, and has begun the handlers.
local function reached(parent, d)
  local waiting = parent:open("tck.gate", map { key = "reached" })
  waiting:expect("STARTED")
  d.fill[#d.fill + 1] = d:open("tck.open_gate", map { key = "reached" })
  waiting:returns(nil, "LINK-003")
  parent:barrier()
end
-- The same for a CANCEL; and reads again.
local function unstick(t, parent, d)
  d.marker:cancel()
  t:check("LINK-003", #t:await_log(parent, 2) >= 2, "a CANCEL read while the output is stuck",
    "nothing of it")
  parent:barrier()
  parent:barrier()
  d:release()
end
local function settle(d)
  for _, c in ipairs(d.fill) do c:expect("RETURN", "FRAME-014") end
  d.marker:is_cancelled {}
end
-- The first frame that pick wants, and how many results began behind it.
local function position(d, pick, what, req)
  local found, begun
  d.t:await(function()
    local ended = 0
    found, begun = nil, {}
    for _, f in ipairs(d.inbox) do
      if not found and pick(f) then found = f end
      if f.name == "RETURN" then
        begun[f.ctx] = begun[f.ctx] or f.offset
        if not f.more then ended = ended + 1 end
      end
    end
    return found and ended >= #d.fill or d.eof
  end, what, req)
  if not found then d.t:fail(req, what, "the end of the input") end
  local behind = 0
  for _, c in ipairs(d.fill) do
    if begun[c.id] and begun[c.id] > found.offset then behind = behind + 1 end
  end
  return found, behind
end

local function overtakes(id, words, o)
  case {
    id = "sending.overtakes." .. id, req = { "FRAME-024", "FRAME-028", "LINK-003" },
    profile = o.profile,
    title = words .. " overtakes the results that wait for the transport",
    why = "Behind a megabyte of results it would come when it is of no use any more.",
    run = function(t)
      local parent, d = prepare(t)
      local c = o.before(d)
      stick(d)
      o.during(c, d)
      unstick(t, parent, d)
      local f, behind = position(d, function(f) return o.pick(f, c, d) end, words, "FRAME-024")
      t:check("FRAME-024", behind >= 8, words .. " before the results that were not begun",
        words .. " with " .. behind .. " of " .. #d.fill .. " results behind it")
      local ahead, most = f.offset - d.held_at, capacity() + 65536 + 12 + 65536 + 65536
      t:check("FRAME-028", ahead <= most, "at most " .. most .. " bytes ahead of it",
        ahead .. " bytes")
      settle(d)
      o.after(c, d)
    end,
  }
end

overtakes("CANCEL", "CANCEL", {
  before = function(d)
    local upper = d:open("tck.relay", map { target = "x.in" })
    local below = d:accept("x.in")
    return { upper = upper, below = below }
  end,
  during = function(c) c.upper:cancel() end,
  pick = function(f, c) return f.name == "CANCEL" and f.ctx == c.below.id end,
  after = function(c)
    c.below:cancelled_with { origin = "requested" }
    c.upper:is_cancelled {}
  end,
})
overtakes("STOP", "STOP", {
  profile = "stream",
  before = function(d)
    local c = d:open("tck.sink", map { stop_after = 1, linger = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(1, "CREDIT-001")
    return c
  end,
  during = function(c) c:item(1) end,
  pick = function(f, c) return f.name == "STOP" and f.ctx == c.id end,
  after = function(c, d)
    c:expect("STOP", "STREAM-002")
    c:finish()
    d.t:open_gate(d, "k")
    c:returns()
  end,
})
overtakes("CREDIT", "CREDIT", {
  profile = "stream",
  before = function(d)
    local c = d:open("tck.sink", map { window = array { 2, 65536 } }, { send = true })
    c:expect("STARTED")
    c:await_credit(2, "CREDIT-001")
    c.granted_before = c:granted()
    return c
  end,
  during = function(c)
    c:item(1)
    c:item(2)
  end,
  pick = function(f, c)
    return f.name == "CREDIT" and f.ctx == c.id and f.value and f.value[1] > c.granted_before
  end,
  after = function(c)
    c:finish()
    c:returns()
  end,
})

case {
  id = "sending.withdrawn", req = "FRAME-026",
  title = "An OPEN that was not begun when it was cancelled is not written, and neither is its"
    .. " CANCEL",
  why = "Nobody is bothered with what nobody wants any more.",
  run = function(t)
    local parent, d = prepare(t)
    stick(d)
    local upper = d:open("tck.relay", map { target = "x.never" })
    reached(parent, d)
    upper:cancel()
    unstick(t, parent, d)
    settle(d)
    upper:is_cancelled({}, "FRAME-026")
    d:barrier()
    for _, f in ipairs(d.inbox) do
      t:check("FRAME-026", f.ctx == 0 or f.ctx % 2 == 1, "nothing on a context of the testee's",
        frame.show(f))
    end
  end,
}

case {
  id = "sending.cancel-behind-its-open", req = { "FRAME-025", "FRAME-017", "FRAME-022" },
  title = "The CANCEL of an OPEN that is half written comes behind the OPEN's beginning, and in"
    .. " its place",
  why = "A CANCEL of a context that was never opened is a violation.",
  run = function(t)
    local parent, d = prepare(t, map { frame = 16384, message = 1 << 22 })
    d:hold()
    d.fill = {}
    local upper = d:open("tck.relay", map { target = "x.long",
      args = array { value.bin(("l"):rep(1000000)) } },
      { split = 60000 })
    reached(parent, d)
    upper:cancel()
    unstick(t, parent, d)
    local function ours(f) return f.ctx ~= 0 and f.ctx % 2 == 0 or f.ctx == upper.id end
    local first = d:await_frame(ours, "OPEN", "FRAME-025")
    if first.ctx ~= upper.id then
      t:check("FRAME-025", first.name == "OPEN", "OPEN first", frame.show(first))
      local last
      repeat
        last = d:await_frame(function(f) return f.ctx == first.ctx end, "CANCEL", "FRAME-025")
        t:check("FRAME-025", last.name == "OPEN" or last.name == "CANCEL",
          "more of OPEN, or CANCEL",
          frame.show(last))
      until last.name == "CANCEL"
      d:send { "CANCELLED", first.ctx, value = map { origin = "requested", ran = false },
        illegal = true }
      first = upper:next("CANCELLED", "FRAME-022")
    end
    -- Where the testee had not begun the OPEN it was withdrawn, which is as good.
    t:check("FRAME-022", first.name == "CANCELLED", "CANCELLED", frame.show(first))
    settle(d)
  end,
}

case {
  id = "sending.withdrawn.next", req = { "FRAME-026", "CTX-001" },
  title = "The OPEN that waits behind one that is withdrawn is written",
  why = "An OPEN waits for the one before it; what is gone is not waited for.",
  run = function(t)
    local parent, d = prepare(t)
    stick(d)
    local first = d:open("tck.relay", map { target = "x.never" })
    local second = d:open("tck.relay", map { target = "x.next" })
    reached(parent, d)
    first:cancel()
    unstick(t, parent, d)
    d:accept("x.next", "CTX-001"):returns_with(2)
    second:returns(2)
    -- Whether it was withdrawn is asked above.
    local f = d:take(function(f) return f.name == "OPEN" and not f.more end)
    if f then
      d:send { "ERROR", f.ctx, value = map { code = "acme.x", message = "" }, illegal = true }
    end
    first:terminal("MODEL-005")
    settle(d)
  end,
}

case {
  id = "sending.cancel-behind-its-open.next", req = { "FRAME-022", "CTX-001" },
  title = "The OPEN that waits behind one that is cancelled half written is written",
  why = "One OPEN at a time is unfinished; its CANCEL finishes it.",
  run = function(t)
    local parent, d = prepare(t, map { frame = 16384, message = 1 << 22 })
    d:hold()
    d.fill = {}
    local first = d:open("tck.relay", map { target = "x.long",
      args = array { value.bin(("l"):rep(1000000)) } }, { split = 60000 })
    local second = d:open("tck.relay", map { target = "x.next" })
    reached(parent, d)
    first:cancel()
    unstick(t, parent, d)
    -- Where the testee had not begun the OPEN there is no CANCEL, and CANCELLED comes at once.
    local function told(f)
      return f.name == "CANCEL" or f.name == "CANCELLED" and f.ctx == first.id
    end
    local f = d:await_frame(told, "CANCEL", "MODEL-005")
    if f.name == "CANCEL" then
      d:send { "CANCELLED", f.ctx, value = map { origin = "requested", ran = false },
        illegal = true }
      first:terminal("FRAME-022")
    end
    d:accept("x.next", "CTX-001"):returns_with(2)
    second:returns(2)
    settle(d)
  end,
}

case {
  id = "sending.error-behind-items", req = { "FRAME-027", "KIND-018" }, profile = "stream",
  title = "Handlers that fail when their items have been written all come to their end",
  why = "Several wait for the transport at the same time; none may be forgotten over another.",
  run = function(t)
    local parent, d = prepare(t)
    stick(d)
    local list = {}
    for i = 1, 3 do
      list[i] = d:open("tck.fail", map { code = "acme.x", items = 1 }, { credit = { 2, 1000 } })
    end
    reached(parent, d)
    unstick(t, parent, d)
    for _, c in ipairs(list) do c:terminal("KIND-018") end
    settle(d)
  end,
}

case {
  id = "sending.terminal-behind-items", req = { "FRAME-027", "KIND-020" }, profile = "stream",
  title = "END and RETURN come behind every item of their context, however long these waited",
  why = "An opener ends at the terminal; what came later would be lost.",
  run = function(t)
    local parent, d = prepare(t)
    stick(d)
    local c = d:open("tck.source", map { count = 40, size = 5000 }, { credit = { 40, 1 << 30 } })
    unstick(t, parent, d)
    settle(d)
    c:expect("STARTED", "FRAME-027")
    for i = 0, 39 do
      local f = c:expect("ITEM", "FRAME-027")
      t:is("STREAM-010", string.unpack(">I8", f.value.bytes), i, "item")
    end
    c:expect({ "END", "RETURN" }, "FRAME-027")
  end,
}

case {
  id = "sending.reads-on", req = "LINK-003",
  title = "A testee whose output is stuck goes on reading, and what it reads takes effect",
  why = "If reading waits for writing at both ends, two full buffers wait for ever.",
  run = function(t)
    local parent, d = prepare(t)
    stick(d)
    local waiting = parent:open("tck.gate", map { key = "far", value = 8 })
    waiting:expect("STARTED")
    local opener = d:open("tck.open_gate", map { key = "far" })
    waiting:returns(8, "LINK-003")
    unstick(t, parent, d)
    opener:returns(true)
    settle(d)
  end,
}

case {
  id = "sending.write-fails", req = { "LINK-004", "CROSS-003" },
  title = "A testee that cannot write any more still reads to the end what it was sent, and heeds "
    .. "it",
  why = "The last frames, often the ones that explain it all, may still be on their way.",
  run = function(t)
    local p = t:boot { transport = "pair", listen = true, stat = false }
    local d = t:dial(p)
    local waiting = d:open("tck.gate", map { key = "last", value = 9 })
    waiting:expect("STARTED")
    p.stream.r:close()
    p:send { "PING", value = "nobody hears the answer" }
    d:barrier()
    d:barrier()
    p:open("tck.open_gate", map { key = "last" })
    waiting:returns(9, "CROSS-003")
    d.loose = true
    d:close()
    p.stream.w:close()
    p.closed = true
  end,
}
