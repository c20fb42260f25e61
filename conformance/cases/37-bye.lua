-- SPDX-License-Identifier: MIT
--
-- Chapter 10: how a link ends. BYE in all its forms, what stands in it, what may come after it, and
-- what an endpoint still reads before it lets go.
local case = ...
local child = require "child"
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array
local echo, gate = play.echo, play.gate

local function bye_of(d, what, req)
  return d:await_frame(function(f) return f.name == "BYE" end, what or "BYE `none`",
    req or "LINK-008")
end
-- The testee closes by itself: the suite keeps its direction open until then.
local function closed(t, d, req)
  d:await_eof(req or "LINK-010")
  d:close()
  t:check(req or "LINK-010", not d.read_error, "an orderly end", tostring(d.read_error))
end

-- A link that the suite dialled; the testee lives on.
local function link_case(o)
  case {
    id = "bye." .. o.id, req = o.req, title = o.title, why = o.why,
    profile = o.profile, await = o.await,
    run = function(t)
      local parent = t:boot { listen = true }
      local d = t:dial(parent, o.dial)
      o.run(t, d, parent)
      t:alive(parent)
    end,
  }
end

-- In agreement ------------------------------------------------------------------------------------

link_case {
  id = "answered", req = { "LINK-008", "LINK-010", "KIND-003" },
  title = "BYE `none` is answered at once with BYE `none`, which names the last context, and"
    .. " closed",
  why = "Both ends know then that nothing was lost.",
  run = function(t, d)
    for i = 1, 3 do d:open("tck.echo", map { v = i }):returns(i) end
    d:open("tck.echo", map { v = 9 }, { id = 101 }):returns(9)
    d:bye { message = "done" }
    local f = bye_of(d)
    t:is("LINK-008", f.value.code, "none", "code")
    t:is("KIND-003", f.value.last, 101, "last")
    closed(t, d)
    t:check("LINK-014", #d.inbox == 0, "nothing after BYE", #d.inbox .. " frames")
  end,
}
link_case {
  id = "answered.unused", req = { "LINK-008", "KIND-003" },
  title = "BYE `none` on a link on which nothing was opened is answered, with `last` 0 or none",
  why = "0 stands for none.",
  run = function(t, d)
    d:bye()
    local f = bye_of(d)
    t:check("KIND-003", (f.value.last or 0) == 0, "last 0 or left out", value.show(f.value))
    closed(t, d)
  end,
}
link_case {
  id = "last.unfinished", req = "KIND-003",
  title = "`last` counts an OPEN of which only a fragment has come",
  why = "Its first fragment uses the id.",
  run = function(t, d)
    d:put("OPEN", 77, echo:sub(1, 4), { more = true })
    d:barrier()
    d:put(0x05, 0, "")
    local f = d:violation("frame", 0, "LINK-013")
    t:is("KIND-003", f.value.last, 77, "last")
  end,
}
link_case {
  id = "last.violation", req = { "KIND-003", "KIND-002", "LINK-013" },
  title = "The BYE of a violation names the context and the last one as well",
  why = "An opener may retry what lies above `last`, and nothing else.",
  run = function(t, d)
    d:open("tck.echo", map { v = 1 }):returns(1)
    local c = d:open("tck.gate", map { key = "k" }, { id = 51 })
    c:expect("STARTED")
    d:open("tck.echo", map { v = 1 }, { id = 99 }):returns(1)
    d:put("STARTED", 51, "\xc0")
    local f = d:violation("state", 51, "LINK-013")
    t:is("KIND-003", f.value.last, 99, "last")
  end,
}
link_case {
  id = "waits", req = { "LINK-010", "LINK-006" },
  title = "After BYE both ways the link stays until no context is open in either direction",
  why = "BYE ends a link, not what runs on it.",
  run = function(t, d, parent)
    local c = gate(d, { value = 4 })
    local upper = d:open("tck.relay", map { target = "x.below" })
    local below = d:accept("x.below")
    d:bye()
    bye_of(d)
    for _ = 1, 3 do d:barrier() end
    t:open_gate(parent, "k")
    c:returns(4, "LINK-010")
    d:barrier()
    t:check("LINK-010", not d.eof, "the link open while a context is", "the end of the input")
    below:returns_with(5)
    upper:returns(5, "LINK-010")
    closed(t, d)
  end,
}
link_case {
  id = "waits.relay-cancelled", req = { "LINK-010", "LINK-006" },
  title = "In `closing` contexts are cancelled like in `open`",
  why = "The machine of a context knows nothing of BYE.",
  run = function(t, d)
    local upper = d:open("tck.relay", map { target = "x.below" })
    local below = d:accept("x.below")
    d:bye()
    bye_of(d)
    upper:cancel { message = "enough" }
    below:expect("CANCEL", "LINK-006")
    below:cancelled_with { origin = "requested" }
    upper:is_cancelled({ ran = true }, "LINK-006")
    closed(t, d)
  end,
}
link_case {
  id = "unfinished-open", req = "LINK-006",
  title = "An OPEN of which a fragment came before BYE is completed and served",
  why = "It was begun in time.",
  run = function(t, d)
    local id = d:new_id()
    d:send { "OPEN", id, payload = echo:sub(1, 5), more = true }
    d:bye()
    d:send { "OPEN", id, payload = echo:sub(6) }
    local f = d:await_frame(function(f) return f.ctx == id end, "a terminal", "LINK-006")
    t:check("LINK-006", f.name == "RETURN" or f.name == "ERROR" and f.value.code == "closing",
      "RETURN, or ERROR `closing`", frame.show(f))
    bye_of(d)
    closed(t, d)
  end,
}

-- In hello ----------------------------------------------------------------------------------------

for _, code in ipairs { "none", "version", "token", "acme.unheard" } do
  case {
    id = "bye.in-hello." .. code .. ".acceptor", req = "LINK-006",
    title = "BYE `" .. code .. "` in place of HELLO closes the link (the testee accepts)",
    why = "The table of the link says so.",
    run = function(t)
      local parent = t:boot { listen = true }
      local d = t:dial(parent, { raw = true })
      d:bye { code = code }
      d:await_eof("LINK-006")
      d:close()
      t:alive(parent)
    end,
  }
  case {
    id = "bye.in-hello." .. code .. ".connector", req = "LINK-006", needs = "hello",
    title = "BYE `" .. code .. "` in place of HELLO closes the link (the testee connects)",
    why = "A child that is not wanted goes.",
    run = function(t)
      local link = t:spawn()
      link:expect_hello()
      link:bye { code = code }
      link:await_eof("LINK-006")
      link:close()
      link.loose = true
    end,
  }
end

-- With a code -------------------------------------------------------------------------------------

for _, code in ipairs { "version", "frame", "value", "schema", "state", "limit", "credit", "echo",
  "timeout", "token", "heartbeat", "ids", "internal", "wrong_actor", "unresponsive", "no_memory",
  "bored", "acme.own" } do
  link_case {
    id = "code." .. code:gsub("_", "-"), req = { "LINK-015", "KIND-001" },
    title = "BYE `" .. code .. "` is the loss of the link: contexts on it end, and nothing is"
      .. " answered",
    why = "Whoever has said BYE with a code reads no more.",
    run = function(t, d, parent)
      local before = t:stat(parent).cancelled
      play.cleanup(d)
      d:bye { code = code, message = "no reason", context = 1, last = 0 }
      d:await_eof("LINK-015")
      for _, f in ipairs(d.inbox) do
        t:check("LINK-015", f.name ~= "BYE", "no BYE in answer", frame.show(f))
      end
      d:close()
      t:is("MODEL-007", array(t:await_log(parent, 2)), array { "c:begin", "c:end" }, "log")
      t:check("MODEL-007", t:stat(parent).cancelled == before + 1, "the handler cancelled",
        "it was not")
    end,
  }
end

for _, more in ipairs { false, true } do
  link_case {
    id = "code.unread" .. (more and ".and-more" or ""), req = { "LINK-015", "LINK-016" },
    title = "BYE with a code of a peer that reads nothing " .. (more and "and says more behind it "
      or "") .. "is the loss of the link, and the descriptor goes after a second",
    why = "What is still to be written has nobody any more that it could be written for.",
    run = function(t, d, parent)
      local before = t:stat(parent).fds
      play.cleanup(d)
      play.stuff(d, parent)
      d:bye { code = "internal" }
      if more then d:raw(("\xff"):rep(5000)) end
      t:is("LINK-015", array(t:await_log(parent, 2)), array { "c:begin", "c:end" }, "log")
      local function gone() return t:stat(parent).fds < before end
      t:check("LINK-016", before == 0 or t:poll(gone), "one descriptor fewer than " .. before,
        tostring(t:stat(parent).fds))
      d.loose = true
      d:close()
    end,
  }
end

-- After BYE ---------------------------------------------------------------------------------------

link_case {
  id = "nothing-after", req = "LINK-014", profile = "stream",
  title = "After BYE with a code the testee sends nothing, however much it had to say",
  why = "BYE is the last frame, or it explains nothing.",
  run = function(_, d)
    local c = d:open("tck.source", map { size = 4000 }, { credit = { 1 << 40, 1 << 50 } })
    c:expect("STARTED")
    for _ = 1, 5 do c:gives() end
    d:put(0x3f, 0, "")
    d:violation("frame", 0, "LINK-014")
  end,
}
link_case {
  id = "garbage-after", req = { "LINK-016", "LINK-008" },
  title = "Garbage in one write with a BYE `none` keeps nobody from the answer and an orderly end",
  why = "The link is about to be closed; there is nobody to be offended.",
  run = function(t, d)
    d:cork(function()
      d:bye()
      d:raw(("\xff"):rep(5000))
    end)
    bye_of(d)
    d:await_eof("LINK-016")
    d:close()
    t:check("LINK-016", not d.read_error, "an orderly end", tostring(d.read_error))
  end,
}
link_case {
  id = "violation.reads-on", req = { "LINK-016", "LINK-013" },
  title = "The BYE of a violation arrives although more has come behind it, and its end is no"
    .. " reset",
  why = "A socket closed over unread input destroys what was on its way.",
  run = function(t, d, parent)
    -- The testee is stopped while all of it is written, so that it finds it all at once.
    parent.process:kill(19)
    d:cork(function()
      d:put(0x05, 0, "")
      for _ = 1, 64 do d:raw(("\1"):rep(16384)) end
    end)
    parent.process:kill(18)
    t:await(function() return d:first_bye() or d.eof end, "BYE `frame`", "LINK-013")
    local f, began = d:first_bye(), uv.hrtime()
    if not f then parent:open("tck.echo", map { v = 1 }):returns(1, "LINK-013") end
    t:check("LINK-016", f or not d.read_error, "BYE `frame` and an orderly end",
      tostring(d.read_error))
    t:check("LINK-013", f, "BYE `frame`", "the end of the input")
    t:is("LINK-013", f.value and f.value.code, "frame", "code")
    d:await_eof("LINK-016")
    t:check("LINK-016", not d.read_error, "an orderly end", tostring(d.read_error))
    -- It reads on for a second, so this one still has a reader (where the suite itself was not
    -- late).
    local result
    d.stream:write(("\1"):rep(4096), function(err)
      result = err or "written"
      t:poke()
    end)
    t:await(function() return result end, "a write to end", "LINK-016")
    t:check("LINK-016", result == "written" or uv.hrtime() - began > 500 * 1000000,
      "an orderly end, the input read for a second after BYE", result)
    d.violated = true
    d:close()
  end,
}
link_case {
  id = "violation.lets-go", req = "LINK-016",
  title = "After a violation the descriptor is released in a second, though the suite keeps its"
    .. " end",
  why = "A peer that never closes must not hold anything.",
  run = function(t, d, parent)
    local before = t:stat(parent).fds
    d:put(0x05, 0, "")
    t:await(function() return d:take(function(f) return f.name == "BYE" end) or d.eof end, "BYE",
      "LINK-013")
    d:await_eof("LINK-016")
    if before > 0 then
      local now
      for _ = 1, 100 do
        now = t:stat(parent).fds
        if now < before then break end
        t:elapse(50 * t.scale)
      end
      t:check("LINK-016", now < before, "one descriptor fewer than " .. before, tostring(now))
    end
    d.violated = true
    d:close()
  end,
}

-- The loss ----------------------------------------------------------------------------------------

local one = frame.pack { kind = "PING", payload = "\1" }
for _, at in ipairs { 0, 1, 11, 12 } do
  link_case {
    id = "loss.at-" .. at, req = "LINK-005",
    title = "The end of the input after " .. at .. " bytes of a frame is the loss of the link",
    why = "An end without BYE is a loss wherever it falls.",
    run = function(t, d, parent)
      play.cleanup(d)
      d:write(one:sub(1, at))
      d:shutdown()
      d.loose = true
      d:await_eof("LINK-005")
      t:is("LINK-005", array(t:await_log(parent, 2)), array { "c:begin", "c:end" }, "log")
    end,
  }
end

pattern.both(case, {
  id = "bye.independent", req = "LINK-002",
  title = "A violation on one link leaves another of the same two actors alone",
  why = "Ids, limits, credit and fate belong to the link.",
  run = function(t, d, parent)
    if not parent then
      -- The parent's own link is the child's life; here the twin is two sets of ids on one link.
      d:open("tck.echo", map { v = 1 }):returns(1, "LINK-002")
      return
    end
    local e = t:dial(parent)
    local a, b = gate(d, { value = 1 }), gate(e, { value = 2 })
    t:check("LINK-002", a.id == b.id, "the same id on both links", a.id .. " and " .. b.id)
    local upper = e:open("tck.relay", map { target = "x.below" })
    local below = e:accept("x.below")
    d:put("RETURN", a.id, "\7")
    d:violation("state", a.id, "LINK-002")
    e:barrier()
    t:open_gate(parent, "k")
    b:returns(2, "LINK-002")
    below:returns_with(3)
    upper:returns(3, "LINK-002")
  end,
})

link_case {
  id = "independent.contexts", req = "LINK-002",
  title = "Contexts that are open on one link take no place from another",
  why = "Limits belong to the link.",
  run = function(t, d, parent)
    local e = t:dial(parent)
    local n = d:limit("contexts")
    for i = 1, n do d:open("tck.gate", map { key = "a" .. i % 2 }) end
    d:barrier()
    for _ = 1, n do e:open("tck.gate", map { key = "b" }) end
    e:barrier("LINK-002")
    t:check("LINK-002", not e:first_bye(), "both links full", "BYE")
    d.loose, e.loose = true, true
    d:close()
    e:close()
  end,
}
link_case {
  id = "independent.features", req = "LINK-002", profile = "stream",
  title = "What was agreed on one link holds on it, and not on another",
  why = "Features belong to the link.",
  run = function(t, d, parent)
    local e = t:dial(parent, { hello = { features = array {} } })
    local f = t:dial(parent)
    for _, l in ipairs { d, f } do
      local c = l:open("tck.source", map { count = 1 }, { credit = { 4, 400 } })
      c:expect("STARTED")
      c:gives(0, "LINK-002")
      c:expect("END")
      c:returns(1)
    end
    local c = e:open("tck.source", map { count = 1 }, { credit = { 4, 400 } })
    c:expect("STARTED", "LINK-002")
    c:expect({ "RETURN", "ERROR" }, "LINK-002")
    local g = e:open("tck.gate", map { key = "k" }, { send = true })
    g:expect("STARTED")
    e:put("ITEM", g.id, "\1")
    e:violation("frame", g.id, "LINK-002")
  end,
}

-- A BYE of the testee's own -----------------------------------------------------------------------
-- tck.dial closes its link with BYE when it has its result.

local function dialled(t, p)
  local c, link, id = play.dialled(t, p)
  link:hello { actor = value.ref(id, "there", {}) }
  return c, link
end

case {
  id = "bye.own.crossed-by-open", req = "LINK-009",
  title = "An OPEN that crosses the testee's BYE is answered ERROR `closing`",
  why = "The opener learns that nothing ran and goes elsewhere.",
  run = function(t)
    local p = t:boot()
    local c, link = dialled(t, p)
    link.auto_bye = false
    link:accept("x.there"):returns_with(1)
    bye_of(link, "BYE `none`", "LINK-009")
    -- As if it had not been read.
    link.monitor.bye.peer = nil
    link:open("tck.echo", map { v = 1 }):errors("closing", "LINK-009")
    link:barrier()
    link:bye()
    closed(t, link)
    c:returns(1)
  end,
}

-- The suite keeps its end: only what it said tells that the link is over.
local losses = {
  { "code", "by BYE with a code", function(link) link:bye { code = "internal" } end },
  { "violation", "over a violation of the other side",
    function(link) link:put(0x3f, 0, "") end },
}
for _, l in ipairs(losses) do
  case {
    id = "bye.own.lost." .. l[1], req = { "CTX-004", "LINK-015" },
    title = "A link that the testee dialled and that ends " .. l[2] .. " ends what runs on it, once"
      .. " and for all",
    why = "Whoever dialled waits for the end of the link, and must notice that it was there.",
    run = function(t)
      local p = t:boot()
      local c, link = dialled(t, p)
      link:accept("x.there")
      l[3](link)
      c:errors("link_lost", "CTX-004")
      link.violated = true
      link:close()
    end,
  }
end
case {
  id = "bye.own.lost.unread", req = { "LINK-015", "CTX-004" },
  title = "A link that the testee dialled ends by BYE with a code though its OPEN was never read",
  why = "Whoever waits until it is written waits for ever.",
  run = function(t)
    local p = t:boot()
    local c, link, id = play.dialled(t, p,
      { args = array { value.bin(("l"):rep(p:limit("message", 1000000) - 1000)) } })
    link:hold()
    link:hello { actor = value.ref(id, "there", {}) }
    for _ = 1, 3 do p:barrier() end
    link:bye { code = "internal" }
    c:errors("link_lost", "LINK-015")
    link.loose = true
    link:close()
  end,
}
case {
  id = "bye.own.held", req = { "CANCEL-005", "LINK-011" },
  title = "A testee that is cancelled while it waits for the end of a link that it dialled does not"
    .. " wait beyond its grace for what the other side holds open there",
  why = "No peer can take the end of a scope from it.",
  run = function(t)
    local p = t:boot()
    local c, link = dialled(t, p)
    local inner = link:accept("x.there")
    gate(link)
    inner:returns_with(1)
    bye_of(link, "BYE `none`", "LINK-011")
    c:cancel { grace = 500 }
    c:expect({ "CANCELLED", "RETURN", "ERROR" }, "CANCEL-005")
    link.violated = true
    link:close()
  end,
}
case {
  id = "bye.own.unanswered", req = "LINK-011", await = 30000,
  title = "A BYE of the testee's that is not answered within 10 s is followed by BYE `timeout`",
  why = "A peer that is too busy to say good-bye does not hold the link.",
  run = function(t)
    local p = t:boot()
    local c, link = dialled(t, p)
    link.auto_bye = false
    link:accept("x.there"):returns_with(1)
    local began = uv.now()
    bye_of(link, "BYE `none`", "LINK-011")
    t:await(function() return link:first_bye() or link.eof end, "BYE `timeout`", "LINK-011")
    t:check("LINK-011", uv.now() - began >= 9000, "not before 10 s have passed",
      uv.now() - began .. " ms")
    local f = link:take(function(f) return f.name == "BYE" end)
    t:check("LINK-011", f and f.value.code == "timeout", "BYE `timeout`",
      f and frame.show(f) or "none")
    link:close()
    c:next()
  end,
}

case {
  id = "bye.own.unfinished-open", req = "LINK-017",
  title = "An OPEN of the testee's that is half written when BYE comes is completed or cancelled",
  why = "Left half written it holds its slot, and with it the link, for ever.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent, { hello = { limits = map { frame = 16384, message = 1 << 22 } } })
    d.fragments = true
    local upper = d:open("tck.relay", map { target = "x.long",
      args = array { value.bin(("l"):rep(900000)) } }, { split = 60000 })
    local first = d:await_frame(function(f) return f.name == "OPEN" end, "OPEN", "LINK-017")
    d:hold()
    d:bye()
    for _ = 1, 3 do parent:barrier() end
    d:release()
    local last = first
    while last.more do
      last = d:await_frame(function(f) return f.ctx == first.ctx end, "the rest of OPEN, or CANCEL",
        "LINK-017")
    end
    if last.name == "CANCEL" then
      d:send { "CANCELLED", first.ctx, value = map { origin = last.value.origin, ran = false },
        illegal = true }
    else
      d:send { "ERROR", first.ctx, value = map { code = "closing", message = "" } }
    end
    upper:expect({ "ERROR", "CANCELLED" }, "LINK-017")
    bye_of(d)
    closed(t, d)
    t:alive(parent)
  end,
}

case {
  id = "bye.own.queued-open", req = { "LINK-007", "LINK-010" },
  title = "An OPEN of the testee's that waits behind other messages when BYE comes fails with"
    .. " `closing`",
  why = "It may not be begun any more, and whoever waits for it has to be told.",
  run = function(t)
    local parent = t:boot { listen = true }
    local d = t:dial(parent)
    d:hold()
    local v, list = value.bin(("f"):rep(60000)), {}
    for i = 1, 40 do list[i] = d:open("tck.echo", map { v = v }) end
    local upper = d:open("tck.relay", map { target = "x.queued" })
    local read = gate(parent, { key = "read" })
    d:open("tck.open_gate", map { key = "read" })
    read:returns()
    d:bye()
    for _ = 1, 3 do parent:barrier() end
    d:release()
    for _, c in ipairs(list) do c:expect("RETURN", "LINK-010") end
    local f = upper:next("ERROR `closing`", "LINK-007")
    t:check("LINK-007", f.name == "ERROR" and f.value.code == "closing", "ERROR `closing`",
      frame.show(f))
    bye_of(d)
    closed(t, d)
    t:alive(parent)
  end,
}

case {
  id = "bye.child.none", req = "LINK-012", profile = "spawn", processes = true,
  title = "A child that goes after its terminal without a BYE has ended in order",
  why = "The end of the input is then its answer.",
  run = function(t)
    local p = t:boot()
    local c = child.spawn(t, p):boot()
    c.ctx:finish()
    c.actor:expect("END", "ACTOR-014")
    c.link.auto_bye = false
    c.actor:returns_with()
    c:exit(0)
    c.ctx:returns(value.null, "LINK-012")
    c:await_reaped("LADDER-006")
  end,
}
