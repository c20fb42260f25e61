-- SPDX-License-Identifier: MIT
--
-- Chapter 19, the second table: frames that cross on a link.
local case = ...
local child = require "child"
local frame = require "frame"
local play = require "play"
local value = require "value"
local map = value.map

local function link_case(row, o)
  case {
    id = "cross-link." .. row, req = o.req or { "CROSS-001", "CROSS-002" }, profile = o.profile,
    needs = o.needs,
    title = o.title, why = "Both orders are legal.",
    run = function(t)
      local p = not o.needs and t:boot { listen = true } or nil
      local d = o.dial and t:dial(p) or nil
      o.run(t, d or p, p)
      if o.dial then t:alive(p) end
    end,
  }
end

local function closed(t, d)
  d:shutdown()
  d:await_eof("LINK-010")
  d:close()
  t:check("LINK-010", not d.read_error, "an orderly end", tostring(d.read_error))
end
local function bye_answer(d)
  return d:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
end

link_case("hello-hello.both-at-once", {
  needs = "hello", title = "Two HELLOs that cross open the link",
  run = function(t)
    local p = t:spawn()
    -- The acceptor need not wait for the connector's.
    p:hello()
    p:expect_hello()
    p.actor = p:open("copse.actor", t:actor_args(), { send = true })
    p.actor:expect("STARTED", "CROSS-001")
    t:alive(p)
  end,
})
link_case("hello-bye.refused", {
  needs = "hello", req = { "CROSS-001", "LINK-015" },
    title = "A BYE with a code that crosses HELLO closes the link",
  run = function(t)
    local p = t:spawn()
    p:bye { code = "version" }
    p:await_eof("LINK-015")
    p.loose = true
    p:close()
    t:await(function() return p.process.exit end, "the exit of the child", "SPAWN-024")
  end,
})
link_case("open-open", {
  title = "OPENs that cross are both served: their ids differ in parity",
  run = function(_, p)
    local uppers, mine = {}, {}
    p:cork(function()
      for i = 1, 10 do
        uppers[i] = p:open("tck.relay", map { target = "x." .. i })
        mine[i] = p:open("tck.echo", map { v = i })
      end
    end)
    for i = 1, 10 do
      p:accept("x." .. i):returns_with(-i)
      mine[i]:returns(i, "CROSS-001")
      uppers[i]:returns(-i, "CROSS-001")
    end
  end,
})
link_case("bye-bye", {
  dial = true, req = { "CROSS-001", "LINK-008" }, title = "A BYE that crosses a BYE is its answer",
  run = function(t, d)
    d:bye()
    bye_answer(d)
    closed(t, d)
    t:check("CROSS-001", #d.inbox == 0, "nothing after the BYE", #d.inbox .. " frames")
  end,
})
link_case("bye-bye.twice", {
  dial = true, req = { "LINK-006" }, title = "A second BYE `none` changes nothing",
  run = function(t, d)
    local c = d:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    d:bye()
    bye_answer(d)
    d:bye()
    d:barrier()
    t:open_gate(t.links[1], "k")
    c:returns(value.null, "LINK-010")
    closed(t, d)
  end,
})
link_case("open-bye.before", {
  dial = true, title = "An OPEN before BYE in one write is served to its end",
  run = function(t, d)
    local c
    d:cork(function()
      c = d:open("tck.echo", map { v = 4 })
      d:bye()
    end)
    c:returns(4, "CROSS-001")
    bye_answer(d)
    closed(t, d)
  end,
})
link_case("open-bye.relay", {
  dial = true, req = { "CROSS-001", "LINK-007" },
  title = "After a BYE the testee opens nothing any more; what needs it fails with `closing`",
  run = function(t, d)
    local c = play.cleanup(d, { shield = 60000, call = map { target = "x.undo" } })
    d:bye()
    bye_answer(d)
    c:cancel { grace = 60000 }
    c:errors("closing", "LINK-007", { cancelled = true })
    closed(t, d)
  end,
})
link_case("terminal-bye.callee", {
  dial = true, title = "A terminal and a BYE cross: the link closes after both",
  run = function(t, d, p)
    local c = d:open("tck.gate", map { key = "k", value = 1 })
    c:expect("STARTED")
    t:open_gate(p, "k")
    d:bye()
    c:returns(1, "CROSS-001")
    bye_answer(d)
    closed(t, d)
  end,
})
link_case("terminal-bye.opener", {
  dial = true,
  title = "A terminal of the suite after its BYE ends the context, which makes the link idle",
  run = function(t, d)
    local upper = d:open("tck.relay", map { target = "x.below" })
    local inner = d:accept("x.below")
    d:bye()
    bye_answer(d)
    d:barrier()
    inner:returns_with(2)
    upper:returns(2, "CROSS-001")
    closed(t, d)
  end,
})
link_case("ping-bye", {
  dial = true, title = "A PING before BYE is answered, and one after it too",
  run = function(t, d)
    local c = d:open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    d:cork(function()
      d:send { "PING", value = "a" }
      d:bye()
    end)
    d:pong("a")
    bye_answer(d)
    d:barrier()
    c:cancel()
    c:is_cancelled({}, "LINK-010")
    closed(t, d)
  end,
})
link_case("open-violation", {
  dial = true, req = { "CROSS-001", "LINK-015" },
    title = "After a BYE with a code what crossed it is discarded",
  run = function(t, d, p)
    local before = t:stat(p).ran
    d:bye { code = "internal" }
    d:write(frame.pack { kind = "OPEN", ctx = d:new_id(),
      payload = value.encode(map { target = "tck.echo", args = map {} }) })
    d:await_eof("LINK-015")
    d:close()
    t:is("CROSS-001", t:stat(p).ran - before, 1, "handlers run, tck.stat included:")
  end,
})
link_case("childopen-end", {
  title = "An OPEN before END on copse.actor is served, since it came before",
  run = function(t, p)
    local c
    p:cork(function()
      c = p:open("tck.echo", map { v = 3 })
      p.actor:finish()
    end)
    c:returns(3, "CROSS-001")
    p.actor:returns(value.null, "ACTOR-012")
    t:ends(p)
  end,
})
link_case("childopen-end.after", {
  req = { "CROSS-001", "ACTOR-009" },
  title = "An OPEN after END on copse.actor, in one write with it, is not served",
  run = function(t, p)
    local upper = p:open("tck.relay", map { target = "x.below" })
    local inner = p:accept("x.below")
    local c
    p:cork(function()
      p.actor:finish()
      c = p:open("tck.echo", map { v = 3 })
    end)
    c:errors("closing", "ACTOR-009")
    inner:returns_with()
    upper:returns(value.null)
    p.actor:returns(value.null, "ACTOR-012")
    t:ends(p)
  end,
})
link_case("cancel-actorterminal", {
  title = "CANCEL on copse.actor that crosses its terminal is ignored, and the child exits with 0",
  run = function(t, p)
    p:cork(function()
      p.actor:finish()
      p.actor:cancel { origin = "parent" }
    end)
    local f = p.actor:expect({ "RETURN", "CANCELLED" }, "CROSS-001")
    t:check("CROSS-001", f ~= nil, "a terminal", "none")
    t:ends(p)
  end,
})
link_case("open-actorterminal", {
  req = { "CROSS-001", "ACTOR-016" },
  title = "An OPEN that crosses the terminal of copse.actor finds nobody, and disturbs nobody",
  run = function(t, p)
    p.auto_bye = false
    p.actor:finish()
    p.actor:returns(value.null, "ACTOR-012")
    -- It crosses a BYE as well, if the child says one.
    p.monitor.bye = {}
    p:open("tck.echo", map { v = 1 })
    t:await(function() return p.eof end, "the end of the link", "SPAWN-014")
    p:close()
    t:expect_exit(p.process, 0)
  end,
})
for _, order in ipairs { "late", "early" } do
  case {
    id = "cross-link.open-actorterminal.parent-" .. order, req = { "ACTOR-017", "CROSS-001" },
    profile = "spawn",
    title = "A parent whose OPEN meets the terminal of copse.actor ends it with `closing`",
    why = "The child has gone in peace; what was asked of it was not begun.",
    run = function(t)
      local p = t:boot()
      local c = child.spawn(t, p, { call = map { target = "x.work" } })
      c:hello()
      c:take_actor()
      c.link:cork(function()
        c.actor:started(map { listen = value.array {} })
        if order == "early" then c.actor:returns_with() end
      end)
      if order == "late" then
        c.link:accept("x.work")
        c.link.monitor.ctx[c.actor.id].life = "started"
        c.actor:returns_with()
      end
      c:exit(0)
      local f = c.ctx:terminal("ACTOR-017")
      t:check("ACTOR-017", f.name == "ERROR" and f.value.code == "closing", "ERROR closing",
        frame.show(f))
      c:await_reaped("LADDER-006")
    end,
  }
end
