-- SPDX-License-Identifier: MIT
--
-- Cancellation through a tree: by way of tck.relay and tck.nursery the suite stands at both ends of
-- every edge, and sees that it goes down with its cause, comes up in order, and spares the rest.
local case = ...
local frame = require "frame"
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local relay, nursery, someone = play.relay, play.nursery, play.someone

-- One edge ----------------------------------------------------------------------------------------

case {
  id = "cancel.relay.waits", req = { "MODEL-002", "MODEL-003" },
  title = "A cancelled callee answers only when the context below it has been answered",
  why = "CANCELLED means that everything underneath has ended.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {})
    upper:cancel()
    inner:expect("CANCEL", "MODEL-005")
    upper:nothing("MODEL-002")
    inner:cancelled_with {}
    upper:is_cancelled({ origin = "requested", ran = true }, "MODEL-002")
  end,
}

case {
  id = "cancel.relay.absorbs", req = { "CANCEL-010", "CANCEL-012" },
  title = "CANCELLED below is absorbed whatever cause it gives; above it is the cause of above",
  why = "Identity decides nothing: whether CANCEL was sent on that very context does.",
  run = function(t)
    local p = t:boot()
    for _, origin in ipairs { "requested", "shutdown", "deadline", "error", "parent",
      "link_lost" } do
      local upper, inner = relay(p, {})
      upper:cancel { origin = "requested", by = someone }
      inner:expect("CANCEL", "MODEL-005")
      inner:cancelled_with { origin = origin, by = p.t.actor, message = "other" }
      upper:is_cancelled({ origin = "requested", by = someone }, "CANCEL-010")
    end
  end,
}

case {
  id = "cancel.relay.ran-false", req = "CANCEL-010",
  title = "CANCELLED with `ran` false below is absorbed, and `ran` above stays true",
  why = "The flag speaks of the context that it stands on.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {})
    upper:cancel()
    inner:expect("CANCEL", "MODEL-005")
    inner:cancelled_with { ran = false }
    upper:is_cancelled({ ran = true }, "CTX-006")
  end,
}

case {
  id = "cancel.relay.returns", req = "CANCEL-007",
  title = "A RETURN below, after CANCEL, is no error above",
  why = "The two crossed; the result stands.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {})
    upper:cancel()
    inner:expect("CANCEL", "MODEL-005")
    inner:returns_with(3)
    upper:expect({ "RETURN", "CANCELLED" }, "CANCEL-007")
  end,
}

case {
  id = "cancel.relay.fails", req = { "CANCEL-008", "CANCEL-009" },
  title = "An ERROR below, after CANCEL, is kept, and says `cancelled` above",
  why = "A failed clean-up is a failure, however much the cancellation was asked for.",
  run = function(t)
    local p = t:boot()
    for _, flag in ipairs { true, false } do
      local upper, inner = relay(p, {})
      upper:cancel()
      inner:expect("CANCEL", "MODEL-005")
      inner:fail_with { code = "acme.stuck", message = "m", cancelled = flag or nil }
      local e = upper:expect("ERROR", "CANCEL-008").value
      t:is("CANCEL-009", e.cancelled, true, "ERROR with cancelled")
      t:is("ERROR-005", e.code, "acme.stuck", "ERROR with code")
      t:is("ERROR-005", e.message, "m", "ERROR with message")
    end
  end,
}

case {
  id = "cancel.relay.grace", req = "CANCEL-016",
  title = "Each level gives at most three quarters of its grace to the one below",
  why = "With equal times the upper level would give up before the lower one had.",
  run = function(t)
    local p = t:boot { args = { grace = 4000 } }
    for _, o in ipairs { { 600000, 450000 }, { 10000, 7500 }, { 60000, 45000 }, { nil, 3000 } } do
      local upper, inner = relay(p, {})
      upper:cancel { grace = o[1] }
      local f = inner:expect("CANCEL", "MODEL-005")
      t:check("CANCEL-016", f.value.grace and f.value.grace <= o[2], "a grace of at most " .. o[2],
        value.show(f.value))
      inner:cancelled_with {}
      upper:is_cancelled({ ran = true }, "CANCEL-005")
    end
  end,
}

case {
  id = "cancel.relay.once", req = { "MODEL-005", "CANCEL-003" },
  title = "A cancellation repeated above goes down with its first cause",
  why = "Every context below is cancelled once; a repeat may only shorten its grace.",
  run = function(t)
    local p = t:boot()
    local upper, inner = relay(p, {})
    upper:cancel { origin = "parent", by = someone, grace = 600000 }
    local first = inner:expect("CANCEL", "MODEL-005").value
    for _ = 1, 5 do upper:cancel { origin = "error", by = p.t.actor, grace = 500000 } end
    p:barrier()
    inner:returns_with(1)
    local left = first.grace
    while true do
      local f = p:take(function(f) return f.ctx == inner.id end)
      if not f then break end
      t:check("CANCEL-003", f.name == "CANCEL" and f.value.grace and f.value.grace <= left,
        "at most a shorter grace", frame.show(f))
      t:is("CANCEL-012", f.value.origin, "parent", "origin")
      left = f.value.grace
    end
    upper:expect({ "CANCELLED", "RETURN" }, "CANCEL-005")
  end,
}

for _, ran in ipairs { true, false } do
  for _, origin in ipairs { "requested", "error", "parent", "shutdown", "link_lost", "deadline" } do
    local code = origin == "deadline" and "deadline" or "cancelled"
    case {
      id = "cancel.unasked." .. origin:gsub("_", "-") .. (ran and "" or "-not-run"),
      req = { "CANCEL-011", "CANCEL-010", "CTX-005" },
      title = "CANCELLED of origin " .. origin .. " that nobody asked for is the error " .. code
        .. (ran and "" or ", with `ran` false as well"),
      why = "The opener did not cancel; that something stopped its callee is news, and bad.",
      run = function(t)
        local p = t:boot()
        local upper, inner = relay(p, {})
        inner:cancels_itself { origin = origin, by = someone, ran = ran, message = "why not" }
        local e = upper:errors(code, "CANCEL-011")
        local data = value.is_map(e.data) and e.data or {}
        t:is("CANCEL-011", data.origin, origin, "data.origin")
        t:is("CANCEL-011", data.by, someone, "data.by")
        t:check("CANCEL-009", not e.cancelled, "no `cancelled`", value.show(e))
      end,
    }
  end
end

-- Wide --------------------------------------------------------------------------------------------

for _, width in ipairs { 2, 16 } do
  case {
    id = "cancel.wide." .. width, req = { "MODEL-005", "MODEL-002", "CANCEL-012" },
    title = "Each of " .. width .. " contexts is cancelled once, and the answer waits for the last",
    why = "A fan-out is where a count goes wrong.",
    run = function(t)
      local p = t:boot()
      local upper, inner = nursery(p, width)
      upper:cancel { origin = "shutdown", by = someone, message = "enough", grace = 60000 }
      for i = 1, width do
        local f = inner[i]:expect("CANCEL", "MODEL-005")
        t:is("CANCEL-012", f.value.origin, "shutdown", "origin")
        t:is("CANCEL-012", f.value.by, someone, "by")
        t:is("CANCEL-012", f.value.message, "enough", "message")
        t:check("CANCEL-016", f.value.grace and f.value.grace <= 45000, "a grace of at most 45000",
          value.show(f.value))
      end
      for i = width, 1, -1 do
        upper:nothing("MODEL-002")
        inner[i]:cancelled_with {}
      end
      upper:is_cancelled({ origin = "shutdown", by = someone, ran = true }, "MODEL-002")
    end,
  }
end

case {
  id = "cancel.wide.mixed", req = { "CANCEL-007", "CANCEL-008", "CANCEL-010" },
  title = "Of results, errors and CANCELLED below, only the error comes up from a cancelled scope",
  why = "What was absorbed is gone, what returned is of no use, what failed is not.",
  run = function(t)
    local p = t:boot()
    local upper, inner = nursery(p, 4)
    upper:cancel()
    for i = 1, 4 do inner[i]:expect("CANCEL", "MODEL-005") end
    inner[1]:returns_with(1)
    inner[2]:cancelled_with {}
    inner[3]:fail_with { code = "acme.x", message = "three" }
    upper:nothing("MODEL-002")
    inner[4]:cancelled_with { origin = "deadline" }
    upper:errors("acme.x", "CANCEL-008", { message = "three", cancelled = true })
  end,
}

case {
  id = "cancel.wide.half-done", req = "MODEL-005",
  title = "What has ended already is not cancelled",
  why = "CANCEL for an ended context is of no use to anybody.",
  run = function(t)
    local p = t:boot()
    local upper, inner = nursery(p, 3)
    inner[2]:returns_with(2)
    p:barrier()
    upper:cancel()
    for _, i in ipairs { 1, 3 } do
      inner[i]:expect("CANCEL", "MODEL-005")
      inner[i]:cancelled_with {}
    end
    upper:is_cancelled({ ran = true }, "MODEL-002")
    p:nothing(inner[2].id, "MODEL-005")
  end,
}

case {
  id = "cancel.wide.error", req = { "MODEL-004", "CANCEL-013" },
  title = "The first error cancels the rest of its scope, with origin error",
  why = "That is what a scope is for; `by` says who began it.",
  run = function(t)
    local p = t:boot()
    local upper, inner = nursery(p, 4)
    inner[3]:fail_with { code = "failed", message = "three" }
    for _, i in ipairs { 1, 2, 4 } do
      local f = inner[i]:expect("CANCEL", "MODEL-004")
      t:is("CANCEL-013", f.value.origin, "error", "origin")
      t:check("CANCEL-013", value.is_ref(f.value.by) and f.value.by.id == p.peer.actor.id,
        "by: the actor whose scope it is", value.show(f.value))
      t:check("CANCEL-016", f.value.grace == nil or f.value.grace <= 3000,
        "no more than the grace given at boot",
        value.show(f.value))
    end
    upper:nothing("MODEL-004")
    for _, i in ipairs { 4, 1, 2 } do inner[i]:cancelled_with { origin = "error" } end
    upper:errors("failed", "MODEL-004", { message = "three" })
  end,
}

case {
  id = "cancel.wide.error-then-cancel", req = { "CANCEL-003", "MODEL-005" },
  title = "A cancellation from above after an error does not change the cause below",
  why = "The first cause stands.",
  run = function(t)
    local p = t:boot()
    local upper, inner = nursery(p, 2)
    inner[1]:fail_with { code = "failed", message = "one" }
    local f = inner[2]:expect("CANCEL", "MODEL-004")
    t:is("CANCEL-013", f.value.origin, "error", "origin")
    upper:cancel { origin = "shutdown", grace = 600000 }
    p:barrier()
    inner[2]:cancelled_with { origin = "error" }
    upper:errors("failed", "CANCEL-008", { message = "one" })
  end,
}

-- Deep --------------------------------------------------------------------------------------------
-- The suite passes every tck.* context that the testee opens on it back to the testee, so that a
-- path of relays goes to and fro; the leaves are x.leaf. It forwards what comes either way, and
-- keeps account of the order.

local Router = {}
Router.__index = Router

local function route(t, p)
  local r = setmetatable({ t = t, p = p, twin = {}, leaves = {}, order = {}, below = {} }, Router)
  local on_frame = p.on_frame
  p.on_frame = function(link, f)
    on_frame(link, f)
    r:frame(f)
  end
  return r
end

function Router:frame(f)
  if f.more then return end -- what it passes on is whole
  local p = self.p
  local function drop() p:take(function(g) return g == f end) end
  if f.name == "OPEN" then
    if f.value.target == "x.leaf" then
      self.leaves[#self.leaves + 1] = f.ctx
      return drop()
    end
    local c = p:open(f.value.target, f.value.args, { deadline = f.value.deadline })
    self.twin[f.ctx], self.twin[c.id] = c.id, f.ctx
    self.below[#self.below + 1] = { upper = f.ctx, lower = c.id }
    return drop()
  end
  local other = self.twin[f.ctx]
  if f.name == "CANCEL" then
    self.order[#self.order + 1] = "cancel " .. f.ctx
    if other then p:send { "CANCEL", other, value = f.value } end
    if other then drop() end
    self.cancelled = (self.cancelled or 0) + 1
  elseif frame.terminal[f.name] and other then
    p:send { f.name, other, value = f.value }
    drop()
  elseif f.name == "STARTED" and other then
    p:send { "STARTED", other, value = f.value }
    drop()
  end
end

function Router:is_leaf(id)
  for _, l in ipairs(self.leaves) do if l == id then return true end end
end

function Router:await(n, req)
  self.t:await(function() return #self.leaves == n end, n .. " leaves opened", req)
end

-- The arguments of a tree: `depth` levels, each a nursery of `width`, above the leaves.
local function tree(depth, width)
  local calls = {}
  for i = 1, width do
    if depth == 1 then
      calls[i] = map { target = "x.leaf", args = array { i } }
    else
      calls[i] = map { target = "tck.nursery", args = tree(depth - 1, width) }
    end
  end
  return map { open = array(calls) }
end

-- Every level is as wide, and the last of its calls goes one deeper.
local function comb(depth, width)
  local args = tree(1, width)
  if depth > 1 then
    args.open[width] = map { target = "tck.nursery", args = comb(depth - 1, width) }
  end
  return args
end

local function chain(depth)
  local args = map { target = "x.leaf" }
  for _ = 2, depth do args = map { target = "tck.relay", args = args } end
  return args
end

local shapes = {
  { "deep-8", "tck.relay", function() return chain(8) end, 1, "A path of eight relays" },
  { "tree-3x4", "tck.nursery", function() return tree(3, 4) end, 64,
    "A tree of depth 3 and width 4" },
  { "tree-6x2", "tck.nursery", function() return tree(6, 2) end, 64,
    "A tree of depth 6 and width 2" },
  { "tree-1x16", "tck.nursery", function() return tree(1, 16) end, 16,
    "A tree of depth 1 and width 16" },
  { "tree-8-deep-16-wide", "tck.nursery", function() return comb(8, 16) end, 8 * 15 + 1,
    "A tree of depth 8, each level 16 wide," },
}

for _, s in ipairs(shapes) do
  local id, target, args, leaves, words = table.unpack(s)
  case {
    id = "cancel.order." .. id, req = { "MODEL-002", "MODEL-005", "CANCEL-012" },
    title = words .. " is cancelled from the top, and answers from the bottom",
    why = "No level answers before everything below it has.",
    run = function(t)
      local p = t:boot()
      local r = route(t, p)
      local top = p:open(target, args())
      if target == "tck.nursery" then top:expect("STARTED", "KIND-018") end
      r:await(leaves, "KIND-018")
      top:cancel { origin = "parent", by = someone, grace = 600000 }
      local edges = leaves + #r.below
      t:await(function() return r.cancelled == edges end, edges .. " CANCELs", "MODEL-005")
      top:nothing("MODEL-002")
      for i = #r.leaves, 1, -1 do
        local x = p.monitor.ctx[r.leaves[i]]
        t:check("MODEL-002", x.life ~= "ended" and p.monitor.ctx[top.id].life ~= "ended",
          "the top open as long as a leaf is", "ended")
        p:send { "CANCELLED", r.leaves[i],
          value = map { origin = "parent", by = someone, ran = true } }
      end
      top:is_cancelled({ origin = "parent", by = someone, ran = true }, "MODEL-002")
      for _, b in ipairs(r.below) do
        t:check("MODEL-002", p.monitor.ctx[b.lower].life == "ended",
          "every level ended before the top",
          "context " .. b.lower .. " open")
      end
    end,
  }
end

case {
  id = "cancel.order.error-in-tree", req = { "MODEL-004", "MODEL-002" },
  title = "An error in one leaf of a tree cancels all others and comes out once at the top",
  why = "Errors go up, cancellation goes down, nobody is left behind.",
  run = function(t)
    local p = t:boot()
    local r = route(t, p)
    local top = p:open("tck.nursery", tree(3, 3))
    top:expect("STARTED", "KIND-018")
    r:await(27, "KIND-018")
    p:send { "ERROR", r.leaves[14], value = map { code = "acme.leaf", message = "14" } }
    local answered = 0
    while answered < 26 do
      local f = p:await_frame(function(f) return f.name == "CANCEL" and r:is_leaf(f.ctx) end,
        "CANCEL for the 26 other leaves", "MODEL-004")
      t:check("MODEL-002", p.monitor.ctx[top.id].life ~= "ended", "the top open", "ended")
      p:send { "CANCELLED", f.ctx, value = map { origin = "error", ran = true } }
      answered = answered + 1
    end
    top:errors("acme.leaf", "MODEL-004", { message = "14" })
  end,
}

-- Storms ------------------------------------------------------------------------------------------

local function storm(id, total, batch, req, title, opener)
  case {
    id = "cancel.storm." .. id, req = req, title = title, await = 60000, watchdog = 180000,
    why = "Opening and cancelling without end must cost the callee no more than its limits.",
    run = function(t)
      local p = t:boot()
      for _ = 1, total // batch do
        local list = {}
        p:cork(function()
          for i = 1, batch do
            list[i] = opener(p, i)
            list[i]:cancel { grace = 600000 }
          end
        end)
        for i = 1, batch do
          list[i]:terminal(req)
        end
        p.inbox = {}
      end
      t:alive(p)
    end,
  }
end

storm("gates", 10000, 100, "LIMIT-014",
  "Ten thousand contexts opened and cancelled in one breath each",
  function(p) return p:open("tck.gate", map { key = "never" }) end)
storm("calls", 2000, 100, "CANCEL-005",
  "Two thousand calls cancelled while they are being answered",
  function(p, i) return p:open("tck.echo", map { v = i }) end)
storm("unknown", 2000, 100, "KIND-014",
  "Two thousand contexts of unknown targets, cancelled at once",
  function(p, i) return p:open("tck.unknown-" .. i, map {}) end)

case {
  id = "cancel.storm.started", req = "LIMIT-014", await = 60000, watchdog = 180000,
  title = "Two thousand waiting handlers are cancelled one by one",
  why = "The slot is free again when the terminal has been read.",
  run = function(t)
    local p = t:boot()
    for _ = 1, 20 do
      local list = {}
      for i = 1, 100 do
        list[i] = p:open("tck.gate", map { key = "never" })
        list[i]:expect("STARTED", "KIND-018")
      end
      for i = 100, 1, -1 do
        list[i]:cancel()
        list[i]:is_cancelled({ ran = true }, "CANCEL-005")
      end
    end
  end,
}

case {
  id = "cancel.storm.relays", req = { "MODEL-002", "FRAME-026" }, await = 60000,
  title = "Two hundred relays cancelled at once leave nothing open below",
  why = "What the callee had not yet written it withdraws; what it had, it cancels.",
  run = function(t)
    local p = t:boot()
    t:answer_open(p)
    for _ = 1, 4 do
      local list = {}
      p:cork(function()
        for i = 1, 50 do
          list[i] = p:open("tck.relay", map { target = "x.below" })
          list[i]:cancel { grace = 600000 }
        end
      end)
      for i = 1, 50 do
        list[i]:terminal("MODEL-002")
      end
      p.inbox = {}
    end
    t:is("MODEL-002", t:stat(p).outbound, 0, "contexts of the testee open:")
  end,
}
