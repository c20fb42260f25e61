-- SPDX-License-Identifier: MIT
--
-- The specification against the engine, by way of the engine's tool: `wire-tool tables` prints the
-- tables that the engine runs on, `wire-tool vector ROLE` is an engine that is fed bytes.

local vectors = require "vectors"

local M = {}

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function lines_of(command)
  local pipe = assert(io.popen(command, "r"))
  local out = {}
  for line in pipe:lines() do out[#out + 1] = line end
  return out, pipe:close()
end

-- -------------------------------------------------------------------------------------- the tables

local MACHINE_NAMES = { "opener", "callee", "out", "in", "link" }

-- What one line of `wire-tool tables` says against the text: a function for each first field, given
-- the rest. Each marks what it has seen, so that what only the text has can be told afterwards.
local function judges(text, seen, complain)
  local judge = {}

  function judge.kind(name, hex)
    seen.kind[name] = true
    local mine = text.kinds[name]
    if not mine then
      complain(1, "the engine has the frame %s, the text has not", name)
    elseif mine.hex ~= tonumber((hex:gsub("^0x", "")), 16) then
      complain(mine.line, "%s is %02x here and %s in the engine", name, mine.hex, hex)
    end
  end

  function judge.code(name, scope, retry)
    seen.code[name] = true
    local mine = text.codes[name]
    if not mine then return complain(1, "the engine has the code %s, the text has not", name) end
    if mine.scope ~= scope:lower() then
      complain(mine.line, "the scope of %s is %s here and %s in the engine", name, mine.scope,
               scope)
    end
    if mine.retry ~= retry then
      complain(mine.line, "whether %s is safe to retry differs from the engine", name)
    end
  end

  function judge.limit(name, minimum, default)
    seen.limit[name] = true
    local mine = text.limits[name]
    if not mine then return complain(1, "the engine has the limit %s, the text has not", name) end
    -- A minimum that is another limit (`message` is at least `frame`) is in words in the text.
    if tonumber(mine.min) and mine.min ~= minimum then
      complain(mine.line, "the minimum of %s is %s here and %s in the engine", name, mine.min,
               minimum)
    end
    if mine.default ~= default then
      complain(mine.line, "the default of %s is %s here and %s in the engine", name, mine.default,
               default)
    end
  end

  function judge.state(machine, state)
    seen.state[machine .. " " .. state] = true
    if not (text.machines[machine] and text.machines[machine].states[state]) then
      complain(1, "the engine has the state %s of %s, the text has not", state, machine)
    end
  end

  function judge.cell(machine, state, event, result)
    seen.cell[machine .. "\t" .. state .. "\t" .. event] = true
    local mine = text.machines[machine]
    local cell = mine and mine.cells[state] and mine.cells[state][event]
    if not cell then
      complain(mine and mine.line or 1, "%s, %s on %s: the engine has this cell, the text has not",
               machine, state, event)
    elseif cell.result ~= result then
      complain(cell.line, "%s, %s on %s: %s here, %s in the engine", machine, state, event,
               cell.result, result)
    end
  end

  return judge
end

-- Compares kinds, codes, limits, states and cells, both ways. `text` holds what the document has.
function M.check_tables(tool, text, complain)
  local lines, ok = lines_of(quote(tool) .. " tables")
  if not ok or #lines == 0 then return complain(1, "%s tables failed", tool) end
  local seen = { kind = {}, code = {}, state = {}, cell = {}, limit = {} }
  local judge = judges(text, seen, complain)
  for _, line in ipairs(lines) do
    local fields = {}
    for field in (line .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = field end
    if judge[fields[1]] then judge[fields[1]](table.unpack(fields, 2)) end
  end

  for name, kind in pairs(text.kinds) do
    if not seen.kind[name] then complain(kind.line, "the engine has no frame %s", name) end
  end
  for name, code in pairs(text.codes) do
    if not seen.code[name] then complain(code.line, "the engine has no code %s", name) end
  end
  for name, limit in pairs(text.limits) do
    if not seen.limit[name] then complain(limit.line, "the engine has no limit %s", name) end
  end
  local known = {}
  for _, name in ipairs(MACHINE_NAMES) do
    known[name] = true
    if not text.machines[name] then complain(1, "there is no table of the machine %s", name) end
  end
  for name, machine in pairs(text.machines) do
    if not known[name] then complain(machine.line, "there is no machine %s", name) end
    for state, row in pairs(machine.cells) do
      if not seen.state[name .. " " .. state] then
        complain(machine.line, "the engine has no state %s of %s", state, name)
      end
      for event, cell in pairs(row) do
        if not seen.cell[name .. "\t" .. state .. "\t" .. event] then
          complain(cell.line, "%s, %s on %s: the engine has no such cell", name, state, event)
        end
      end
    end
  end
end

-- ------------------------------------------------------------------------------------- the vectors

-- Whether the engine's last frames are the answers that the text promises. `sent` is all that it
-- has written, in hexadecimal.
local function answers_differ(v, sent, names)
  local bytes = sent:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)
  local ok, frames = pcall(vectors.frames, bytes, names, {})
  if not ok then return "bytes that are no frames" end
  for i, wanted in ipairs(v.answers) do
    local found = frames[#frames - #v.answers + i] or "nothing"
    if found ~= wanted and found:sub(1, #wanted + 1) ~= wanted .. " " then return found end
  end
end

-- Plays each vector to an engine in the role of the other side. A line `HEX` is what the engine
-- receives, a line `> HEX` what the vectors before say that its side has sent.
function M.check_vectors(tool, list, byname, names, complain)
  local name = os.tmpname()
  for _, v in ipairs(list) do
    local input = {}
    local sound = true
    local before = vectors.before(v, byname)
    before[#before + 1] = v
    for _, w in ipairs(before) do
      input[#input + 1] = (w.from == v.from and "" or "> ") .. vectors.hex(w.bytes)
      sound = sound and (w == v or not w.violation)
    end
    if sound then
      local file = assert(io.open(name, "wb"))
      file:write(table.concat(input, "\n"), "\n")
      file:close()
      local role = v.from == "connector" and "acceptor" or "connector"
      local lines, ok, _, status = lines_of(("%s vector %s <%s 2>&1"):format(quote(tool), role,
                                                                             quote(name)))
      local found = "no violation"
      local sent = ""
      for _, line in ipairs(lines) do
        found = line:match("^violation %S+") or found
        sent = line:match("^sent (%x*)$") or sent
      end
      local wanted = v.violation and "violation " .. v.violation or "no violation"
      if not ok then
        complain(v.line, "vector %s: the engine's tool ended with status %s: %s", v.name,
                 tostring(status), lines[#lines] or "")
      elseif found ~= wanted then
        complain(v.line, "vector %s: the engine finds %s, the text %s", v.name, found, wanted)
      elseif #v.answers > 0 then
        local other = answers_differ(v, sent, names)
        if other then complain(v.line, "vector %s: the engine answers %s", v.name, other) end
      end
    end
  end
  os.remove(name)
end

return M
