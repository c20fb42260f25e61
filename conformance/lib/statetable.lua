-- SPDX-License-Identifier: MIT
--
-- Cases made from the state tables of SPEC.md.
--
-- A grid is one machine as one role of the testee shows it. A file of cases says how the testee is
-- brought into each state and what shows that a frame had its effect; which frames meet which
-- states, and what has to come of it, is read from the document. A cell for which there is neither
-- a case nor a reason why no case can reach it stops the suite: the document has grown, and nobody
-- has looked.

local pattern = require "pattern"

local M = {}

local Grid = {}
Grid.__index = Grid

-- machine: one of SPEC.md; role: how the testee plays it, a word for ids and titles.
function M.new(case, spec, machine, role)
  return setmetatable({
    case = case, cells = spec.machines[machine], machine = machine, role = role, seen = {},
  }, Grid)
end

-- pairs(t) in the order of the keys, so that the cases of a file are always in the same order.
function M.sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  local i = 0
  return function()
    i = i + 1
    return keys[i], t[keys[i]]
  end
end

local function word(s)
  return (s:gsub("%+", "-part"):gsub("%s+", "-"):gsub("[^%w%-]", ""):lower())
end

-- Every state and every event of the machine, in the order of the tables.
function Grid:states() return self.cells.states end

function Grid:cell(state, event)
  local cell = self.cells[state] and self.cells[state][event]
  if not cell then
    error("SPEC.md: machine " .. self.machine .. " has no cell " .. state .. " x " .. event, 0)
  end
  return cell
end

local function outcome(cell, code)
  if code then return "is a violation `" .. code .. "`" end
  if cell.result == "violation" then return "is a violation `" .. cell.code .. "`" end
  if cell.result == "ignored" then return "is ignored" end
  return "is accepted"
end

-- One case for the cell. o: run(t, link, cell, parent), req, profile, via (several ways into one
-- state), code (where an earlier check than that of the table finds the fault), places ("both": on
-- the parent's link and on one that the suite dialled), why.
function Grid:case_for(state, event, o)
  local cell = self:cell(state, event)
  self.seen[state .. "/" .. event] = true
  local name = self.machine .. "/" .. state .. "/" .. event
  local c = {
    id = "state." .. self.role .. "." .. word(state) .. "." .. word(event)
      .. (o.via and "." .. word(o.via) or ""),
    req = o.req, profile = o.profile, needs = o.needs,
    title = ("%s, %s%s: %s %s"):format(self.role, state, o.via and " (" .. o.via .. ")" or "",
      event, outcome(cell, o.code)),
    why = o.why or ("The table of machine %s has `%s` for %s in state %s%s."):format(self.machine,
      cell.code and "violation " .. cell.code or cell.result, event, state,
      cell.remark and ", " .. cell.remark or ""),
    run = function(t, link, parent)
      t.cells[name] = true
      o.run(t, link, cell, parent)
    end,
  }
  if o.places == "both" then pattern.both(self.case, c) else self.case(c) end
end

-- Why no case reaches the cells of these states and events; "*" stands for all of either.
function Grid:reason(states, events, text)
  assert(#text > 20, "a reason is a sentence")
  for _, state in ipairs(states == "*" and self.cells.states or states) do
    for event in pairs(self.cells[state]) do
      local meant = events == "*"
      for _, e in ipairs(meant and {} or events) do meant = meant or e == event end
      local at = state .. "/" .. event
      if meant and not self.seen[at] then self.seen[at] = text end
    end
  end
end

-- To be called last: raises if a cell has neither.
function Grid:complete()
  for _, state in ipairs(self.cells.states) do
    for event, cell in pairs(self.cells[state]) do
      if not self.seen[state .. "/" .. event] and cell.result ~= "-" then
        error(("machine %s as %s: no case and no reason for %s x %s"):format(self.machine,
          self.role, state, event), 0)
      end
    end
  end
end

return M
