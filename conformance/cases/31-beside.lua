-- SPDX-License-Identifier: MIT
--
-- Streams beside one another: credit belongs to one half of one context, so a half that has none,
-- or that nobody consumes, keeps no other waiting.
local case = ...
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local source, held, exactly, wide = play.source, play.held, play.exactly, play.wide

local both = pattern.with(case, { profile = "stream" })

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
    local c = p:open("tck.duplex", map { window = array { 3, 100000 } },
      { send = true, credit = array { 1, wide } })
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
