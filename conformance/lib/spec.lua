-- SPDX-License-Identifier: MIT
--
-- SPEC.md, read by a machine.
--
-- The suite holds no copy of the protocol's tables: the requirements, the five state machines, the
-- rows of the crossing frames, the codes and the byte vectors are taken from SPEC.md each time.
-- What the document says is therefore what is tested, and a requirement that is added there shows
-- up as not exercised here.

local M = {}

local function slurp(path)
  local f = assert(io.open(path, "rb"), "cannot read " .. path)
  local text = f:read("a")
  f:close()
  return text
end

local function trim(s) return (s:gsub("^%s+", ""):gsub("%s+$", "")) end

local keywords = { "MUST NOT", "SHOULD NOT", "MUST", "SHOULD", "MAY" }

local function level_of(text)
  for _, k in ipairs(keywords) do
    if text:find(k, 1, true) then return k end
  end
end

-- The profile of a requirement, by the last paragraph of chapter 1.
local function profile_of(area, section)
  local chapter = section:match("^(%d+)")
  if chapter == "9" or chapter == "12" then return "stream" end
  if area == "REG" then return "registry" end
  if area == "LADDER" then return "spawn" end
  return "core"
end

-- Requirements of area SPAWN and others that speak of a parent, and copse.info.
local function speaks_of_parent(id, text)
  return id == "REG-010" or id == "REG-011" or id:find("^SPAWN%-") and text:find("^A parent")
    or id:find("^SPAWN%-") and text:find("its parent MUST")
    or id == "SPAWN-017" or id == "SPAWN-025" or id == "LADDER-003" and false
end

local function read_requirements(text)
  local list, by_id = {}, {}
  local section, title = "", ""
  for block in (text .. "\n\n"):gmatch("(.-)\n\n+") do
    local number, name = block:match("^##+ (%d[%d.]*) ?(.*)")
    if number then section, title = number:gsub("%.$", ""), name end
    local id, body = block:match("^%*%*%[([A-Z]+%-%d%d%d)%]%*%* (.*)")
    if id then
      body = body:gsub("\n", " ")
      local reason = body:match("%*%(untestable: (.-)%)%*")
      body = trim((body:gsub("%*%(untestable:.-%)%*", "")))
      local area = id:match("^%a+")
      local r = {
        id = id, area = area, text = body, level = level_of(body), section = section,
        title = title, untestable = reason, profile = profile_of(area, section),
      }
      if speaks_of_parent(id, body) then r.profile = "spawn" end
      list[#list + 1], by_id[id] = r, r
    end
  end
  return list, by_id
end

local function row_cells(line)
  local cells = {}
  for cell in line:gmatch("|([^|]*)") do cells[#cells + 1] = trim((cell:gsub("`", ""))) end
  cells[#cells] = nil
  return cells
end

-- Every table that has a caption: {caption, head, rows}.
local function read_tables(text)
  local tables = {}
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  local i = 1
  while i <= #lines do
    local caption = lines[i]:match("^Table: (.+)")
    if caption then
      local pending = { caption = caption, rows = {} }
      i = i + 1
      while lines[i] and not lines[i]:find("^|") do i = i + 1 end
      pending.head = row_cells(lines[i])
      i = i + 2
      while lines[i] and lines[i]:find("^|") do
        pending.rows[#pending.rows + 1] = row_cells(lines[i])
        i = i + 1
      end
      tables[#tables + 1] = pending
    else
      i = i + 1
    end
  end
  return tables
end

-- Machines: machine[name][state][event] = {result, state=, code=, remark=}.
local function read_machines(tables)
  local machines = {}
  for _, t in ipairs(tables) do
    local name = t.caption:match("%[(%a+)%]$")
    if name then
      machines[name] = machines[name] or { states = {} }
      local m = machines[name]
      for _, row in ipairs(t.rows) do
        local state = row[1]
        if not m[state] then
          m[state] = {}
          m.states[#m.states + 1] = state
        end
        for c = 2, #row do
          local remark = row[c]:match("%((.-)%)$")
          local result = trim((row[c]:gsub("%s*%b()$", "")))
          local code = result:match("^violation (%S+)$")
          local cell = { result = code and "violation" or result, code = code, remark = remark }
          if not code and result ~= "ignored" and result ~= "misuse" and result ~= "nothing"
            and result ~= "-" then
            cell.state = result
          end
          m[state][t.head[c]] = cell
        end
      end
    end
  end
  return machines
end

local function unhex(s)
  return (s:gsub("%s+", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local function read_vectors(text)
  local list, by_name = {}, {}
  for block in text:gmatch("```vectors\n(.-)```") do
    for chunk in (block .. "\n"):gmatch("(%[.-)\n\n") do
      local v = { after = {}, means = {}, hex = {} }
      for line in (chunk .. "\n"):gmatch("(.-)\n") do
        local name = line:match("^%[(.-)%]$")
        local key, rest = line:match("^(%a+): (.*)$")
        if name then v.name = name
        elseif key == "hex" then v.hex[#v.hex + 1] = rest
        elseif key == "means" then v.means[#v.means + 1] = rest
        elseif key == "after" then
          for n in rest:gmatch("[%w-]+") do v.after[#v.after + 1] = n end
        elseif key then v[key] = rest
        end
      end
      v.bytes = unhex(table.concat(v.hex))
      list[#list + 1], by_name[v.name] = v, v
    end
  end
  return list, by_name
end

local function table_with(tables, caption)
  for _, t in ipairs(tables) do
    if t.caption == caption then return t end
  end
  error("SPEC.md has no table '" .. caption .. "'")
end

local function column_set(t, column)
  local set = {}
  for _, row in ipairs(t.rows) do set[row[column or 1]] = true end
  return set
end

-- Reads the document at `path`. Raises if it is not there or lacks a table.
function M.load(path)
  local text = slurp(path)
  local spec = { path = path }
  spec.requirements, spec.by_id = read_requirements(text)
  spec.tables = read_tables(text)
  spec.machines = read_machines(spec.tables)
  spec.vectors, spec.vector = read_vectors(text)
  spec.error_codes = column_set(table_with(spec.tables, "error codes"))
  spec.bye_codes = column_set(table_with(spec.tables, "BYE codes"))
  for _, row in ipairs(table_with(spec.tables, "error codes").rows) do
    if row[2] == "both" then spec.bye_codes[row[1]] = true end
  end
  spec.origins = column_set(table_with(spec.tables, "origins"))
  spec.crossings = {}
  for _, caption in ipairs { "crossing frames on a context", "crossing frames on a link" } do
    for _, row in ipairs(table_with(spec.tables, caption).rows) do
      spec.crossings[#spec.crossings + 1] = row[1]
    end
  end
  for _, name in ipairs { "opener", "callee", "out", "in", "link" } do
    if not spec.machines[name] then error("SPEC.md has no machine '" .. name .. "'") end
  end
  return spec
end

return M
