-- SPDX-License-Identifier: MIT
--
-- One context on a link of the suite, as opener or as callee: the words in which cases are written.
--
-- `expect` takes the next frame of the context and insists on its kind. CREDIT is left out of
-- account unless it is asked for, because its cadence is the receiver's own affair.

local frame = require "frame"
local value = require "value"

local Context = {}
Context.__index = Context

local M = {}

function M.new(link, id, mine)
  return setmetatable({ link = link, t = link.t, id = id, mine = mine }, Context)
end

-- Sending -----------------------------------------------------------------------------------------

function Context:send(kind, v, o)
  o = o or {}
  local f = { kind, self.id, value = v, payload = o.payload, more = o.more, illegal = o.illegal,
    length = o.length }
  if o.split then return self.link:send_split(f, o.split) end
  return self.link:send(f)
end

function Context:item(v, o) return self:send("ITEM", v, o) end
function Context:finish(o) return self:send("END", nil, o) end
function Context:stop(o) return self:send("STOP", nil, o) end
function Context:credit(items, bytes, o)
  return self:send("CREDIT", value.array { items, bytes or 1 << 30 }, o)
end
function Context:cancel(o)
  o = o or {}
  local v = value.map {
    origin = o.origin or "requested", by = o.by, message = o.message, grace = o.grace,
  }
  return self:send("CANCEL", v, o)
end
function Context:started(v, o) return self:send("STARTED", v == nil and value.null or v, o) end
function Context:returns_with(v, o) return self:send("RETURN", v == nil and value.null or v, o) end
function Context:fail_with(e, o)
  local v = value.map { code = "failed", message = "" }
  for k, x in pairs(e or {}) do v[k] = x end
  return self:send("ERROR", v, o)
end
function Context:cancelled_with(c, o)
  local v = value.map { origin = "requested", ran = true }
  for k, x in pairs(c or {}) do v[k] = x end
  return self:send("CANCELLED", v, o)
end

-- CANCELLED for a reason of the suite's own, as callee: its deadline, its shutdown.
function Context:cancels_itself(c, o)
  self.link.monitor.ctx[self.id].cancelled = true
  return self:cancelled_with(c, o)
end

-- Receiving ---------------------------------------------------------------------------------------

function Context:req(req) return req or self.t.case.req[1] end

-- The next frame of the context, CREDIT left out.
function Context:next(what, req)
  return self.link:await_frame(function(f) return f.ctx == self.id and f.name ~= "CREDIT" end,
    what or "a frame on context " .. self.id, self:req(req))
end

-- The next frame, which has to be of this kind (or of one of these).
function Context:expect(kind, req)
  local kinds = type(kind) == "table" and kind or { kind }
  local what = table.concat(kinds, " or ") .. " on context " .. self.id
  if kinds[1] == "CREDIT" then
    return self.link:await_frame(function(f) return f.ctx == self.id and f.name == "CREDIT" end,
      what, self:req(req))
  end
  local f = self:next(what, req)
  for _, k in ipairs(kinds) do
    if f.name == k and not (f.more) then
      self.t:pass(self:req(req))
      return f
    end
  end
  if f.more then return self:rest_of(f, kinds, what, req) end
  self.t:fail(self:req(req), what, frame.show(f))
end

-- The terminal, whatever comes before it.
function Context:terminal(req)
  return self.link:await_frame(function(f) return f.ctx == self.id and frame.terminal[f.name] end,
    "the terminal of context " .. self.id, self:req(req))
end

-- A message in fragments: goes on to the last one, whose `value` is that of the whole.
function Context:rest_of(f, kinds, what, req)
  local wanted = false
  for _, k in ipairs(kinds) do wanted = wanted or f.name == k end
  if not wanted then self.t:fail(self:req(req), what, frame.show(f)) end
  local first = f
  repeat f = self:next(what, req) until not f.more
  if f.name ~= first.name then return self:judge(f, kinds, what, req) end
  self.t:pass(self:req(req))
  f.fragments_before = true
  return f
end

function Context:judge(f, kinds, what, req)
  for _, k in ipairs(kinds) do if f.name == k then return f end end
  self.t:fail(self:req(req), what, frame.show(f))
end

local function same(t, req, observed, wanted, what)
  t:check(req, value.eq(observed, wanted), what .. " " .. value.show(wanted),
    what .. " " .. value.show(observed))
end

function Context:returns(v, req)
  local f = self:expect("RETURN", req)
  if v ~= nil then same(self.t, self:req(req), f.value, v, "RETURN") end
  return f.value
end

function Context:gives(v, req)
  local f = self:expect("ITEM", req)
  if v ~= nil then same(self.t, self:req(req), f.value, v, "ITEM") end
  return f.value
end

-- ERROR with this code; fields compares further keys of the map.
function Context:errors(code, req, fields)
  local f = self:expect("ERROR", req)
  same(self.t, self:req(req), f.value.code, code, "ERROR with code")
  for k, v in pairs(fields or {}) do
    same(self.t, self:req(req), f.value[k], v, "ERROR with " .. k)
  end
  return f.value
end

-- CANCELLED; fields as above.
function Context:is_cancelled(fields, req)
  local f = self:expect("CANCELLED", req)
  for k, v in pairs(fields or {}) do
    same(self.t, self:req(req), f.value[k], v, "CANCELLED with " .. k)
  end
  return f.value
end

-- Waits until the peer has granted at least so many items.
function Context:await_credit(items, req)
  local state = self.link.monitor.ctx[self.id]
  self.t:await(function() return state.grant.mine[1] >= items end,
    "CREDIT for " .. items .. " items", self:req(req))
end

-- What the peer has granted: items, bytes.
function Context:granted()
  local g = self.link.monitor.ctx[self.id].grant.mine
  return g[1], g[2]
end

function Context:nothing(req) return self.link:nothing(self.id, self:req(req)) end

return M
