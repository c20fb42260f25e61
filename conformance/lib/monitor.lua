-- SPDX-License-Identifier: MIT
--
-- The monitor: it watches one link from the suite's end and holds every frame, in both directions,
-- against the schemas and the state tables of SPEC.md.
--
-- A case says what it looks at; the monitor looks at everything else. What the peer sends is judged
-- by the tables of the receiver, which is the suite, because they already allow for frames that
-- cross. What the suite sends is judged too: an illegal frame that the case did not announce is a
-- fault of the suite, and a suite with faults proves nothing.

local frame = require "frame"
local schema = require "schema"
local value = require "value"

local M = {}
M.__index = M

local splittable = {
  OPEN = true, STARTED = true, ITEM = true, RETURN = true, ERROR = true, CANCELLED = true,
}
local stream_kinds = { ITEM = true, STOP = true, CREDIT = true }
-- What the sender of an unfinished message may send to discard it ([FRAME-017]).
local discards = {
  OPEN = { CANCEL = true },
  ITEM = { END = true, CANCEL = true, RETURN = true, ERROR = true, CANCELLED = true },
  STARTED = { RETURN = true, ERROR = true, CANCELLED = true },
  RETURN = { ERROR = true, CANCELLED = true },
}
local passes = { CANCEL = true, CREDIT = true, STOP = true }

-- machines: those of SPEC.md. connector: whether the suite is. report(side, req, text, frame) is
-- called for each fault, side being "peer" or "suite"; touch(req) for each requirement looked at.
function M.new(o)
  return setmetatable({
    machines = o.machines, connector = o.connector, report = o.report, touch = o.touch,
    ctx = {}, highest = { mine = 0, peer = 0 }, open = { mine = 0, peer = 0 },
    partials = { mine = 0, peer = 0 }, hello = {}, bye = {}, pings = {}, owed_pongs = 0,
    limits = {
      mine = { frame = 65536, message = 1048576, contexts = 256, partials = 8 },
      peer = { frame = 65536, message = 1048576, contexts = 256, partials = 8 },
    },
    stream = false, cells = {}, unfinished_open = {}, spoilt = {},
  }, M)
end

local function other(side) return side == "mine" and "peer" or "mine" end

-- The side that opens contexts of this id.
function M:owner(ctx)
  local odd = ctx % 2 == 1
  return odd == self.connector and "mine" or "peer"
end

function M:fault(side, req, text, f)
  self.faulty = true
  self.report(side == "mine" and "suite" or "peer", req, text, f)
end

-- Looks a cell up and keeps account of it. `event` is a column of the machine.
function M:cell(machine, state, event)
  local row = self.machines[machine][state]
  local cell = row and row[event]
  if not cell then
    error("SPEC.md: machine " .. machine .. " has no cell " .. state .. " x " .. event)
  end
  self.cells[machine .. "/" .. state .. "/" .. event] = true
  return cell
end

-- Limits ------------------------------------------------------------------------------------------

local function with_defaults(given)
  local l = given or {}
  local f = math.min(l.frame or 65536, (1 << 24) - 1)
  return {
    frame = f, message = l.message or math.max(1048576, f),
    contexts = l.contexts or 256, partials = l.partials or 8,
  }
end

function M:check_length(side, f, k)
  local cap = self.limits[other(side)]
  if not k or k.limit == "message" then
    self.touch("LIMIT-004")
    if f.length > cap.frame then
      return "LIMIT-004", f.length .. " bytes of payload against a frame limit of " .. cap.frame
    end
  else
    local most = k.limit == "big" and 16384 or k.limit == "small" and 1024 or 0
    self.touch("LIMIT-006")
    if f.length > most then
      return "LIMIT-006", f.length .. " bytes of payload, at most " .. most
    end
  end
end

-- The link ----------------------------------------------------------------------------------------

function M:on_hello(side, f)
  local h = f.value
  self.hello[side] = h
  self.limits[side] = with_defaults(h.limits)
  if self.hello.mine and self.hello.peer then
    local both = { mine = {}, peer = {} }
    for s, set in pairs(both) do
      for _, name in ipairs(self.hello[s].features or {}) do set[name] = true end
    end
    self.features = {}
    for name in pairs(both.mine) do if both.peer[name] then self.features[name] = true end end
    self.stream = self.features.stream or false
  end
end

function M:on_bye(side, f)
  local b = f.value
  self.bye[side] = b.code
  if side == "peer" and b.last then
    self.touch("KIND-003")
    if b.last > self.highest.mine then
      self:fault(side, "KIND-003", "last is " .. b.last .. ", beyond every id that was sent", f)
    end
  end
end

function M:on_ping(side, f)
  if side == "peer" then
    self.owed_pongs = self.owed_pongs + 1
    self.touch("KIND-007")
    if self.owed_pongs > 1 then
      self:fault(side, "KIND-007", "a second PING before the PONG to the first", f)
    end
  else
    self.pings[#self.pings + 1] = f.payload
    if #self.pings > 1 then self:fault(side, "KIND-007", "a second PING of the suite", f) end
  end
end

function M:on_pong(side, f)
  if side == "mine" then
    self.owed_pongs = math.max(0, self.owed_pongs - 1)
    return
  end
  local asked = table.remove(self.pings, 1)
  if asked then
    self.touch("KIND-005")
    if asked ~= f.payload then
      self:fault(side, "KIND-005", "PONG carries other bytes than the PING: " .. frame.show(f), f)
    end
  end
end

local on_link = { HELLO = M.on_hello, BYE = M.on_bye, PING = M.on_ping, PONG = M.on_pong }

-- Contexts ----------------------------------------------------------------------------------------

-- A context seen from the suite's end. `mine`: the suite opened it.
function M:new_context(id, mine)
  local c = {
    id = id, mine = mine, machine = mine and "opener" or "callee", life = "unopened",
    out = "open", inn = "open", partial = {}, cancelled = false,
    -- items and bytes granted to, and begun by, each side
    grant = { mine = { 0, 0 }, peer = { 0, 0 } }, sent = { mine = { 0, 0 }, peer = { 0, 0 } },
  }
  self.ctx[id] = c
  return c
end

function M:half(c, which, event)
  local machine = which == "out" and "out" or "in"
  local field = which == "out" and "out" or "inn"
  local cell = self:cell(machine, c[field], event)
  if cell.state then c[field] = cell.state end
  return cell
end

function M:end_context(c)
  if c.life == "ended" then return end
  c.life = "ended"
  self:half(c, "out", "terminal")
  self:half(c, "in", "terminal")
  local opener = c.mine and "mine" or "peer"
  self.open[opener] = self.open[opener] - 1
  for side in pairs(c.partial) do self:drop_partial(c, side) end
end

function M:drop_partial(c, side)
  local p = c.partial[side]
  if p then
    if p.name == "OPEN" then self.unfinished_open[side] = nil end
    c.partial[side] = nil
    self.partials[side] = self.partials[side] - 1
  end
end

function M:open_complete(c, f)
  local o = f.value
  local opener = c.mine and "mine" or "peer"
  local credit = self.stream and o.credit or nil
  if not o.send then
    if c.mine then c.out = "ended" else c.inn = "ended" end
  end
  if not credit then
    if c.mine then c.inn = "ended" else c.out = "ended" end
  else
    local g = c.grant[other(opener)]
    g[1], g[2] = math.max(g[1], credit[1]), math.max(g[2], credit[2])
    c.has_credit = true
  end
  c.target = o.target
end

-- Fragments: whether the frame may come now. Returns true if it continues a message.
function M:fragments(side, c, f)
  local p = c.partial[side]
  if f.more and not splittable[f.name] then return nil, "FRAME-013", "`more` on " .. f.name end
  if f.more then
    self.touch("FRAME-015")
    if f.length == 0 then return nil, "FRAME-015", "a fragment with `more` and no payload" end
  end
  if p then
    self.touch("FRAME-014")
    self.touch("FRAME-016")
    if p.name == f.name and splittable[f.name] then return true end
    local drop = discards[p.name] and discards[p.name][f.name]
    if not passes[f.name] and not drop then
      return nil, "FRAME-016", f.name .. " between the fragments of " .. p.name
    end
    if drop then self:drop_partial(c, side) end
  end
  return false
end

-- Credit: an ITEM begins or goes on. Returns a fault.
function M:count_item(side, c, f, continues)
  local g, s = c.grant[side], c.sent[side]
  if not continues then
    self.touch("CREDIT-003")
    if s[1] >= g[1] or s[2] >= g[2] then
      local text = string.format("item %d, byte %d of a grant of %d items, %d bytes",
        s[1] + 1, s[2] + 1, g[1], g[2])
      return "CREDIT-003", text
    end
    s[1] = s[1] + 1
  end
  s[2] = s[2] + f.length
end

-- The peer answers by the tables of callee or opener; whose rule it broke is the other machine's.
local function blame_of(c, side)
  local opener = c.mine and "mine" or "peer"
  return side == opener and "CTX-001" or "CTX-002"
end

local function received_event(c, f)
  if f.name == "OPEN" and f.more then return "OPEN+" end
  if f.name == "CANCELLED" and c.cancelled then return "CANCELLED after CANCEL" end
  return f.name
end

local function sent_event(c, f)
  if f.name == "OPEN" and f.more then return "send OPEN+" end
  if f.name == "CANCELLED" and c.cancelled then return "send CANCELLED when cancelled" end
  return "send " .. f.name
end

function M:half_event(side, f)
  local received = side == "peer"
  if f.name == "ITEM" or f.name == "END" then
    return received and "in" or "out", received and f.name or "send " .. f.name
  end
  return received and "out" or "in", received and f.name or "send " .. f.name
end

local is_half_kind = { ITEM = true, END = true, STOP = true, CREDIT = true }

function M:on_credit(side, c, f)
  local g = c.grant[other(side)]
  local items, bytes = f.value[1], f.value[2]
  self.touch("CREDIT-008")
  if items < g[1] or bytes < g[2] then
    return "CREDIT-008", string.format("[%d, %d] after [%d, %d]", items, bytes, g[1], g[2])
  end
  g[1], g[2] = items, bytes
end

-- Applies the life table and the halves. Returns a fault: requirement, text.
function M:life(side, c, f, continues)
  local event = side == "peer" and received_event(c, f) or sent_event(c, f)
  local life = c.life
  if continues and f.name ~= "OPEN" then life = c.partial[side].life end
  local cell = self:cell(c.machine, life, event)
  if cell.result == "-" then cell = self:cell(c.machine, life, f.name) end
  local req = blame_of(c, side)
  self.touch(req)
  if cell.result == "violation" or cell.result == "misuse" or cell.result == "nothing" then
    if c.life == "ended" and side == "peer" then
      req = c.mine and "KIND-019" or c.cancelled and "CANCEL-002" or req
    end
    if f.name == "ITEM" or f.name == "END" then
      if c.life == "waiting" or c.life == "running" then req = "KIND-017" end
    end
    if f.name == "CANCELLED" and side == "peer" then req = "CTX-005" end
    return req, f.name .. " in state " .. life .. " of machine " .. c.machine
  end
  if cell.result == "ignored" then return nil, nil, true end
  if is_half_kind[f.name] and not continues then
    local which, half_event = self:half_event(side, f)
    local half = which == "out" and c.out or c.inn
    local hc = self:half(c, which, half_event)
    self.touch(which == "out" and "STREAM-001" or "STREAM-002")
    if hc.result == "violation" or hc.result == "misuse" then
      self.touch("STREAM-003")
      return f.name == "CREDIT" and "STREAM-002" or "STREAM-003",
        f.name .. " in state " .. half .. " of the half"
    end
    if hc.result == "ignored" or hc.result == "nothing" then return nil, nil, true end
  end
  c.next_life = (not f.more or f.name == "OPEN") and cell.state or nil
end

function M:limits_of_open(side)
  local opener = side
  self.open[opener] = self.open[opener] + 1
  self.touch("LIMIT-007")
  local most = self.limits[other(opener)].contexts
  if self.open[opener] > most then
    return "LIMIT-007", self.open[opener] .. " contexts of " .. most
  end
end

function M:on_open_id(side, f)
  self.touch("FRAME-006")
  self.touch("FRAME-007")
  if f.ctx <= self.highest[side] then
    return "FRAME-007", "OPEN " .. f.ctx .. " after " .. self.highest[side]
  end
  self.touch("LINK-007")
  if self.bye[side] or side == "mine" and self.bye.peer then
    return "LINK-007", "OPEN after BYE was sent or received"
  end
  self.touch("FRAME-020")
  if f.more then
    if self.unfinished_open[side] then return "FRAME-020", "a second unfinished OPEN" end
    self.unfinished_open[side] = f.ctx
  end
  self.highest[side] = f.ctx
  return self:limits_of_open(side)
end

-- Reassembly: counts and, at the last fragment, puts the payload together.
function M:assemble(side, c, f, continues)
  local p = c.partial[side]
  if not continues then
    if not f.more then return end
    self.partials[side] = self.partials[side] + 1
    p = { name = f.name, chunks = {}, bytes = 0, life = c.life }
    c.partial[side] = p
    self.touch("LIMIT-008")
    if self.partials[side] > self.limits[other(side)].partials then
      return "LIMIT-008", self.partials[side] .. " unfinished messages"
    end
  end
  p.bytes = p.bytes + f.length
  p.chunks[#p.chunks + 1] = f.payload
  self.touch("LIMIT-010")
  if p.bytes > self.limits[other(side)].message then
    return "LIMIT-010", "a message of " .. p.bytes .. " bytes and more"
  end
  if f.more then return end
  f.whole = table.concat(p.chunks)
  f.value, f.bad, f.repeated = value.decode(f.whole)
  self:drop_partial(c, side)
end

function M:payload(f)
  if f.more then return end
  local k = frame.kind[f.kind]
  if k.payload == "empty" then return end
  self.touch("VALUE-001")
  if f.bad then return "VALUE-001", f.bad end
  self.touch("VALUE-012")
  local text, req = schema.check(f.name, f.value, f.repeated)
  if text then return req, text end
end

function M:finish(side, c, f)
  if f.more then
    if f.name == "OPEN" then c.life = c.next_life or c.life end
    return
  end
  if f.name == "OPEN" then self:open_complete(c, f) end
  if f.name == "CANCEL" then
    c.cancelled, c.unfinished = true, c.life == "opening"
    self:half(c, "out", side == "mine" and "send CANCEL" or "CANCEL")
    self:half(c, "in", side == "mine" and "send CANCEL" or "CANCEL")
  end
  if frame.terminal[f.name] then
    self:end_context(c)
  elseif c.next_life then
    c.life = c.next_life
  end
end

function M:context_frame(side, f, k)
  local c = self.ctx[f.ctx]
  local owner = self:owner(f.ctx)
  if k.from ~= "both" then
    self.touch("FRAME-008")
    if (k.from == "opener") ~= (owner == side) then
      if f.name == "OPEN" then return "FRAME-006", "OPEN with an id of the other's parity" end
      return "FRAME-008", f.name .. " from the " .. (k.from == "opener" and "callee" or "opener")
    end
  end
  if not c then
    if passes[f.name] and owner == side then
      return "FRAME-025", f.name .. " before the OPEN of its context " .. f.ctx
    elseif f.name ~= "OPEN" then
      return "FRAME-010", f.name .. " on context " .. f.ctx .. ", which was never opened"
    end
    local req, text = self:on_open_id(side, f)
    if req then return req, text end
    c = self:new_context(f.ctx, side == "mine")
  elseif f.name == "OPEN" and c.life ~= "opening" then
    if c.unfinished then return "CANCEL-002", "a fragment of an OPEN that was cancelled" end
    return "FRAME-007", "OPEN on context " .. f.ctx .. ", which was opened before"
  end
  f.before = c.life .. " " .. c.out .. "/" .. c.inn
  local late_ok = not c.mine and c.life == "ended" and side == "peer"
  if late_ok and f.name ~= "OPEN" then
    f.after = f.before
    return
  end
  local continues, req, text = self:fragments(side, c, f)
  if req then return req, text end
  c.next_life = nil
  local ignored
  req, text, ignored = self:life(side, c, f, continues)
  if req then return req, text end
  if f.name == "ITEM" then
    req, text = self:count_item(side, c, f, continues)
    if req then return req, text end
  end
  if f.more or continues then f.fragment = true end
  req, text = self:assemble(side, c, f, continues)
  if req then return req, text end
  frame.decode(f)
  req, text = self:payload(f)
  if req then return req, text end
  if f.name == "CREDIT" and not ignored then
    req, text = self:on_credit(side, c, f)
    if req then return req, text end
  end
  if not ignored then self:finish(side, c, f) end
  f.after = c.life .. " " .. c.out .. "/" .. c.inn
end

-- One frame. side: "mine" for what the suite sends, "peer" for what it receives.
function M:frame(side, f)
  local k = frame.kind[f.kind]
  if self.bye[side] and self.bye[side] ~= "none" then
    return self:fault(side, "LINK-014", f.name .. " after BYE " .. self.bye[side], f)
  end
  if not self.hello[side] and f.name ~= "HELLO" and f.name ~= "BYE" then
    return self:fault(side, "HELLO-003", f.name .. " before HELLO", f)
  end
  -- The suite plays by HELLO-003 as well: nothing but HELLO before the peer's. And what it has not
  -- said, the peer cannot have received.
  if not self.hello[other(side)] and f.name ~= "HELLO" and f.name ~= "BYE" then
    return self:fault(side, "HELLO-003", f.name .. " before the other side's HELLO", f)
  end
  local req, text = self:check_length(side, f, k)
  if req then return self:fault(side, req, text, f) end
  if not k then
    if f.kind < 0x40 then self:fault(side, "ODD-001", "the unknown kind " .. f.name, f) end
    return
  end
  self.touch("FRAME-001")
  if stream_kinds[f.name] and not self.stream then
    return self:fault(side, "ODD-001", f.name .. " without the feature stream", f)
  end
  self.touch("FRAME-004")
  if (k.from == "link") ~= (f.ctx == 0) or f.ctx >> 53 ~= 0 then
    return self:fault(side, "FRAME-004", f.name .. " on context " .. f.ctx, f)
  end
  if k.from == "link" then
    if f.more then return self:fault(side, "FRAME-013", "`more` on " .. f.name, f) end
    if f.name == "HELLO" and self.hello[side] then
      return self:fault(side, "HELLO-005", "a second HELLO", f)
    end
    frame.decode(f)
    req, text = self:payload(f)
    if req then return self:fault(side, req, text, f) end
    return on_link[f.name](self, side, f)
  end
  req, text = self:context_frame(side, f, k)
  if not req or side == "peer" and self.spoilt[f.ctx] then return end
  self:fault(side, req, text, f)
  if side == "mine" then self:spoil(f.ctx) end
end

-- Once the suite has broken the rules on a context, what the peer makes of it is for the case to
-- judge.
function M:spoil(id)
  if id ~= 0 then self.spoilt[id] = true end
end

-- What the suite sends against the rules: the monitor passes over it, but it has been sent, and the
-- peer may name its id.
function M:illegal(f)
  self:spoil(f.ctx)
  if f.name == "OPEN" and f.ctx >> 53 == 0 and self:owner(f.ctx) == "mine" then
    self.highest.mine = math.max(self.highest.mine, f.ctx)
  end
end

-- Whether the suite may still use the context `id` at all.
function M:life_of(id)
  local c = self.ctx[id]
  return c and c.life or "unopened"
end

return M
