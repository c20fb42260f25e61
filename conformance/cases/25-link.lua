-- SPDX-License-Identifier: MIT
--
-- The link table of chapter 10, cell by cell, for the testee as connector (the link of its parent)
-- and as acceptor (a link that the suite dialled).
local case, spec = ...
local context = require "context"
local frame = require "frame"
local play = require "play"
local statetable = require "statetable"
local value = require "value"
local map = value.map

local illegal = { illegal = true }

-- Frames, each well-formed by itself. `c` is an open context of the suite, where there is one.
local frames = {
  HELLO = function(l) l:send { "HELLO", value = l:hello_value(), illegal = true } end,
  BYE = function(l) l:send { "BYE", value = map { code = "none" }, illegal = true } end,
  ["BYE CODE"] = function(l)
    l:send { "BYE", value = map { code = "internal" }, illegal = true }
  end,
  PING = function(l) l:send { "PING", value = "p", illegal = true } end,
  PONG = function(l) l:send { "PONG", value = "unasked", illegal = true } end,
  OPEN = function(l)
    l:send { "OPEN", l:new_id(), value = map { target = "tck.echo", args = map { v = 7 } },
      illegal = true }
  end,
  other = function(l, c)
    (c or context.new(l, l:new_id(), true)):finish(illegal)
  end,
  EOF = function(l) l:shutdown() end,
}

-- What arrives until the end of the input is a BYE at most.
local function closes(t, l, req)
  l:await_eof(req)
  for _, f in ipairs(l.inbox) do
    -- Extensions mean nothing here.
    t:check(req, f.name == "BYE" or f.kind >= 0x40, "the end of the input", frame.show(f))
  end
  t:check(req, not l.read_error, "an end of the input in order", "a reset")
  l:close()
end

-- One role. start(t) -> a link on which the suite has said nothing; boot(t) -> a link that is open;
-- over(t, l): the link has ended, what of the testee?
local roles = {
  connector = {
    hello = function(t)
      local l = t:spawn()
      l:expect_hello()
      return l
    end,
    open = function(t) return t:boot() end,
    over = function(t, l) t:expect_gone(l.process) end,
    let_go = function(t, l)
      l.actor:finish()
      l.actor:expect("RETURN", "ACTOR-012")
      l:await_eof("LINK-010")
      l:close()
      t:expect_exit(l.process, 0)
    end,
  },
  acceptor = {
    hello = function(t) return t:dial(t:boot { listen = true }, { raw = true }) end,
    open = function(t) return t:dial(t:boot { listen = true }) end,
    over = function(t, l) t:alive(l.parent) end,
    let_go = function(t, l)
      l:await_eof("LINK-010")
      l:close()
      t:alive(l.parent)
    end,
  },
}

local function violation(role, cell, req, reach)
  return function(t, event)
    local l, c = reach(t, role)
    frames[event](l, c)
    l:violation(cell.code, event == "HELLO" and 0 or nil, req)
    roles[role].over(t, l)
  end
end

local effects = {
  open = {
    BYE = function(t, l, c, r)
      l:bye()
      local f = l:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
      t:is("LINK-008", f.value.code, "none", "BYE with code")
      c:cancel()
      c:is_cancelled({}, "LINK-010")
      r.let_go(t, l)
    end,
    PING = function(_, l)
      l:barrier()
      l:barrier()
    end,
    PONG = function(_, l)
      frames.PONG(l)
      frames.PONG(l)
      l:nothing(nil, "KIND-008")
    end,
    OPEN = function(_, l) l:open("tck.echo", map { v = 7 }):returns(7, "LINK-006") end,
    other = function(_, l, c)
      c:finish()
      l:nothing(c.id, "LINK-006")
    end,
  },
  closing = {
    BYE = function(t, l, c, r)
      frames.BYE(l)
      l:nothing(nil, "LINK-006")
      c:cancel()
      c:is_cancelled({}, "LINK-006")
      r.let_go(t, l)
    end,
    PING = function(t, l, c, r)
      l:barrier()
      l:barrier()
      c:cancel()
      c:is_cancelled({}, "LINK-006")
      r.let_go(t, l)
    end,
    PONG = function(t, l, c, r)
      l:nothing(nil, "LINK-010")
      frames.PONG(l)
      l:nothing(nil, "KIND-008")
      c:cancel()
      c:is_cancelled({}, "LINK-006")
      r.let_go(t, l)
    end,
    OPEN = function(t, l, c, r)
      -- For the receiver it may have crossed the testee's BYE, so the monitor is not told of ours.
      local said = l.monitor.bye
      l.monitor.bye = {}
      local late = l:open("tck.echo", map { v = 7 })
      l.monitor.bye = said
      late:errors("closing", "LINK-009")
      c:cancel()
      c:is_cancelled({}, "LINK-006")
      r.let_go(t, l)
    end,
    other = function(t, l, c, r)
      c:finish()
      l:nothing(nil, "LINK-006")
      c:cancel()
      c:is_cancelled({}, "LINK-006")
      r.let_go(t, l)
    end,
  },
}

local function in_closing(t, role)
  local l = roles[role].open(t)
  local c = play.gate(l, {}, { send = true })
  l:bye()
  l:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
  return l, c
end

local function in_open(t, role)
  local l = roles[role].open(t)
  return l, play.gate(l, {}, { send = true })
end

local reach = {
  open = in_open, closing = in_closing,
  hello = function(t, role) return roles[role].hello(t) end,
}

local events = { "HELLO", "BYE", "BYE CODE", "PING", "PONG", "OPEN", "other", "EOF" }

-- In one write with an offence: what comes after it meets a closed link.
local function closed_case(role, event)
  return function(t)
    local l = roles[role].open(t)
    local before = role == "acceptor" and t:stat(l.parent)
    l:cork(function()
      context.new(l, l.next_id + 100, true):finish(illegal)
      if event ~= "EOF" then frames[event](l) end
    end)
    if event == "EOF" then l:shutdown() end
    l:await_eof("LINK-006")
    local n = 0
    for _, f in ipairs(l.inbox) do
      local code = value.is_map(f.value) and f.value.code
      if f.name == "BYE" then n = n + 1 end
      t:check("LINK-006", f.name == "BYE" and code == "state" or f.kind >= 0x40,
        "BYE state and nothing else",
        frame.show(f))
    end
    t:check("LINK-013", n == 1, "one BYE", tostring(n))
    t:check("LINK-006", #l.pongs == 0, "no PONG from a closed link", "PONG")
    l:close()
    roles[role].over(t, l)
    if before then
      t:is("LINK-006", t:stat(l.parent).ran - before.ran, 2,
        "handlers begun since, tck.stat and tck.echo:")
    end
  end
end

for _, role in ipairs { "connector", "acceptor" } do
  local link = statetable.new(case, spec, "link", role)
  for _, state in ipairs(link:states()) do
    for _, event in ipairs(events) do
      local cell = link:cell(state, event)
      local o = { req = { "LINK-006" } }
      local effect = effects[state] and effects[state][event]
      if state == "hello" then o.needs = "hello" end
      if state == "closed" then
        o.run = closed_case(role, event)
      elseif cell.result == "violation" then
        o.req = { state == "hello" and "HELLO-004" or "HELLO-005", "LINK-006" }
        local run = violation(role, cell, o.req[1], reach[state])
        o.run = function(t) run(t, event) end
      elseif cell.state == "closed" then
        o.req = { event == "EOF" and "LINK-005" or event == "BYE" and "LINK-006" or "LINK-015",
          "LINK-006" }
        o.run = function(t)
          local l = reach[state](t, role)
          l.auto_bye = false
          frames[event](l)
          closes(t, l, o.req[1])
          roles[role].over(t, l)
        end
      elseif state == "hello" then
        o.run = function(t)
          local l = reach[state](t, role)
          if role == "connector" then
            l:hello()
            l.actor = l:open("copse.actor", t:actor_args(), { send = true })
            l.actor:expect("STARTED", "ACTOR-005")
          else
            l:hello { actor = value.ref(("\x5d"):rep(16), "dialler", {}) }
            l:expect_hello("HELLO-002")
          end
          l:open("tck.echo", map { v = 7 }):returns(7, "LINK-006")
        end
      else
        assert(effect, "no effect for link " .. state .. " x " .. event)
        o.run = function(t)
          local l, c = reach[state](t, role)
          effect(t, l, c, roles[role])
          if state == "open" and not l.closed then
            t:open_gate(l, "k")
            c:returns(7)
          end
        end
      end
      link:case_for(state, event, o)
    end
  end
  link:reason("*", { "send BYE", "idle", "fault" },
    "An event of the testee's own: seen in what it writes, and tested with the closing of "
      .. "chapter 10.")
  link:complete()
end
