-- SPDX-License-Identifier: MIT
--
-- Many contexts at once, and very many one after another: each has its own answer, and each slot is
-- used again.
local case = ...
local pattern = require "pattern"
local value = require "value"
local map = value.map

-- As many contexts as the testee lets the suite have, copse.actor left out.
local function capacity(p, most)
  return math.min((p.peer.limits or {}).contexts or 256, most) - 2
end

pattern.both(case, {
  id = "many.at-once", req = { "KIND-018", "CTX-009" },
  title = "As many calls at once as the limit allows, in one write, each with its own answer",
  why = "An answer that reaches the wrong context is the worst of faults.",
  run = function(_, p)
    local list, n = {}, capacity(p, 200)
    p:cork(function()
      for i = 1, n do list[i] = p:open("tck.echo", map { v = i * 7 }) end
    end)
    for i = n, 1, -1 do list[i]:returns(i * 7) end
    p:nothing(nil, "KIND-019")
  end,
})

pattern.both(case, {
  id = "many.waiting", req = { "KIND-018", "CTX-009" },
  title = "A hundred waiting contexts end with one gate, and calls go on meanwhile",
  why = "Contexts that wait cost the others nothing.",
  run = function(t, p)
    local list, n = {}, capacity(p, 100)
    for i = 1, n do list[i] = p:open("tck.gate", map { key = "all", value = i }) end
    for i = 1, n do list[i]:expect("STARTED") end
    for i = 1, 20 do p:open("tck.echo", map { v = i }):returns(i) end
    t:is("KIND-018", t:stat(p).inbound, n, "contexts open:")
    t:open_gate(p, "all")
    for i = 1, n do list[i]:returns(i) end
  end,
})

case {
  id = "many.in-a-row", req = { "KIND-018", "LIMIT-014" },
  title = "Two thousand calls one after another, each in the slot of the one before",
  why = "An id, a slot or a table that is not given back shows here.",
  run = function(t)
    local p = t:boot()
    for i = 1, 2000 do p:open("tck.echo", map { v = i }):returns(i) end
  end,
}

for seed = 1, 6 do
  pattern.both(case, {
    id = "many.mixed." .. seed, req = { "KIND-018", "KIND-019", "CTX-009" },
    title = "Calls, gates, relays, failures, refusals and cancellations in a drawn order, number "
      .. seed,
    why = "Each ends as it would have ended alone, however they are mixed.",
    run = function(t, p)
      local state = seed * 2654435761 % 4294967296
      local function draw(n)
        state = (state * 1664525 + 1013904223) % 4294967296
        return (state >> 16) % n + 1
      end
      local waiting, opened, inner = {}, 0, {}
      local deeds = {
        function(i) return { p:open("tck.echo", map { v = i }), "RETURN", i } end,
        function(i)
          return { p:open("tck.fail", map { code = "acme.c" .. i }), "ERROR", "acme.c" .. i }
        end,
        function() return { p:open("tck.nothing", map {}), "ERROR", "no_target" } end,
        function(i)
          return { p:open("tck.gate", map { key = "m" .. i, value = i }), "RETURN", i,
            before = function(c)
              c:expect("STARTED")
              t:open_gate(p, "m" .. i)
            end }
        end,
        function()
          return { p:open("tck.gate", map { key = "never" }), "CANCELLED", before = function(c)
            c:expect("STARTED")
            c:cancel()
          end }
        end,
        function(i)
          return { p:open("tck.relay", map { target = "x.r" .. i }), "RETURN", i * 3,
            before = function()
              inner[i] = p:accept("x.r" .. i)
              inner[i]:returns_with(i * 3)
            end }
        end,
        function(i)
          return { p:open("tck.relay", map { target = "x.r" .. i }), "CANCELLED",
            before = function(c)
              inner[i] = p:accept("x.r" .. i)
              c:cancel()
              inner[i]:expect("CANCEL", "MODEL-005")
              inner[i]:cancelled_with {}
            end }
        end,
      }
      local function settle(k)
        local w = table.remove(waiting, k)
        local c = w[1]
        if w.before then w.before(c) end
        local f = c:expect(w[2], "KIND-018")
        if w[2] == "RETURN" then t:is("KIND-018", f.value, w[3], "RETURN") end
        if w[2] == "ERROR" then t:is("KIND-018", f.value.code, w[3], "code") end
      end
      while opened < 150 do
        if #waiting < 12 and draw(3) > 1 then
          opened = opened + 1
          waiting[#waiting + 1] = deeds[draw(#deeds)](opened)
        elseif #waiting > 0 then
          settle(draw(#waiting))
        end
      end
      while #waiting > 0 do settle(draw(#waiting)) end
      p:nothing(nil, "KIND-019")
    end,
  })
end

case {
  id = "many.links", req = { "LINK-002", "KIND-018" },
  title = "The same ids on five links are five different contexts",
  why = "Ids, limits and credit belong to the link.",
  run = function(t)
    local p = t:boot { listen = true }
    local links, list = {}, {}
    for i = 1, 5 do
      links[i] = t:dial(p)
      list[i] = links[i]:open("tck.gate", map { key = "g" .. i, value = i })
      list[i]:expect("STARTED")
      t:is("LINK-002", list[i].id, 1, "id")
    end
    for _, i in ipairs { 3, 1, 5, 2, 4 } do
      t:open_gate(p, "g" .. i)
      list[i]:returns(i, "LINK-002")
      for k = 1, 5 do links[k]:nothing(nil, "LINK-002") end
    end
  end,
}
