-- SPDX-License-Identifier: MIT
--
-- Holds SPEC.md against itself and against the engine.
--
--   lua5.4 tools/spec-lint.lua [--fix] [--wire-tool FILE] [--citing FILE]... [SPEC.md]
--
-- Against itself: requirement ids are unique and ascend, each requirement is one sentence with one
-- key word and no key word stands elsewhere, the index is what the text says, links and references
-- resolve, the schemas use only rules that exist, every vector means what its bytes say.
--
-- Against the engine, of which `wire-tool tables` prints the tables and `wire-tool vector` plays
-- either side: kinds, codes, limits and states are the same in both, every cell of every state
-- machine is the same, and the engine makes of each vector what the text says.
--
-- Against whatever cites it (--citing): a requirement that is named there exists.
--
-- `--fix` writes the requirement index anew. Exit status 0: no complaint; 1: complaints, one a
-- line, `FILE:LINE: what`; 2: wrong use. Without --wire-tool only the first half is checked.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "spec-lint/?.lua;" .. package.path
local document = require "document"
local vectors = require "vectors"

-- -------------------------------------------------------------------------------- what it is given

local file, wire_tool, fix = nil, nil, false
local citing = {}
do
  local i = 1
  while arg[i] do
    if arg[i] == "--fix" then
      fix = true
    elseif arg[i] == "--wire-tool" and arg[i + 1] then
      i = i + 1
      wire_tool = arg[i]
    elseif arg[i] == "--citing" and arg[i + 1] then
      i = i + 1
      citing[#citing + 1] = arg[i]
    elseif arg[i]:sub(1, 1) == "-" or file then
      io.stderr:write("usage: spec-lint [--fix] [--wire-tool FILE] [--citing FILE]... [SPEC.md]\n")
      os.exit(2)
    else
      file = arg[i]
    end
    i = i + 1
  end
  file = file or "SPEC.md"
end

local function slurp(name)
  local handle, why = io.open(name, "rb")
  if not handle then
    io.stderr:write("spec-lint: ", why, "\n")
    os.exit(2)
  end
  local text = handle:read("a")
  handle:close()
  return text
end

local text = slurp(file)
local doc = document.parse(text)

local complaints = {}
local function complain(line, format, ...)
  complaints[#complaints + 1] =
    { line = line, order = #complaints, text = select("#", ...) > 0 and format:format(...) or
     format }
end

local function table_named(caption)
  for _, tab in ipairs(doc.tables) do
    if tab.caption == caption then return tab end
  end
  complain(1, "there is no table with the caption %q", caption)
  return { line = 1, head = {}, rows = {} }
end

local function bare(cell) return (cell or ""):match("^`(.-)`$") or cell or "" end

-- ------------------------------------------------------------------------------------ requirements

-- Longer ones first, so that each occurrence is counted once.
local KEYWORDS = {
  "NOT RECOMMENDED", "MUST NOT", "SHALL NOT", "SHOULD NOT",
  "MUST", "SHALL", "SHOULD", "REQUIRED", "RECOMMENDED", "OPTIONAL", "MAY",
}

local function keywords_in(prose)
  local found = {}
  local rest = document.without_code(prose)
  for _, word in ipairs(KEYWORDS) do
    rest = rest:gsub("%f[%w]" .. word .. "%f[%W]", function()
      found[#found + 1] = word
      return "~"
    end)
  end
  return found
end

local UNTESTABLE_PERCENT = 5

-- The section that a line stands in.
local function section_at(line)
  local best
  for _, heading in ipairs(doc.headings) do
    if heading.line > line then break end
    if heading.number then best = heading end
  end
  return best
end

local requirements, byid = {}, {}

local function check_requirements()
  local last, untestable = {}, 0
  for _, p in ipairs(doc.paragraphs) do
    local id, sentence = p.text:match("^%*%*%[(%u+%-%d+)%]%*%* (.+)$")
    local words = keywords_in(p.text)
    if not id then
      if p.text:match("^%*%*%[") then
        complain(p.line, "not a requirement id: %s", p.text:sub(1, 30))
      end
      if words[1] then
        complain(p.line, "the key word %s stands outside a requirement", words[1])
      end
    else
      local area, number = id:match("^(%u+)%-(%d%d%d)$")
      if not area then
        complain(p.line, "%s: an id is AREA-NNN", id)
        area, number = id:match("^(%u+)%-(%d+)$")
      end
      number = tonumber(number)
      if byid[id] then
        complain(p.line, "%s occurs twice, first in line %d", id, byid[id].line)
      elseif number <= (last[area] or 0) then
        complain(p.line, "%s comes after %s-%03d", id, area, last[area])
      end
      last[area] = math.max(number, last[area] or 0)
      if p.quote then complain(p.line, "%s stands in a block quote, which is not normative", id) end
      if #words ~= 1 then
        complain(p.line, "%s has %d key words (%s), not one", id, #words, table.concat(words, ", "))
      end
      local reason = sentence:match(" %*%(untestable: (.+)%)%*$")
      if reason then
        sentence = sentence:gsub(" %*%(untestable: .+%)%*$", "")
        untestable = untestable + 1
      elseif sentence:find("untestable", 1, true) then
        complain(p.line, "%s: the mark is *(untestable: reason)* at the end", id)
      end
      local plain = document.without_code(sentence)
      if not plain:match("%.$") then complain(p.line, "%s does not end with a full stop", id) end
      if plain:match("[.?!] +%u") then complain(p.line, "%s is more than one sentence", id) end
      local section = section_at(p.line)
      local requirement = {
        id = id, area = area, line = p.line, keyword = words[1] or "", untestable = reason,
        section = section and section.number or "",
        anchor = section and document.anchor(section.title),
      }
      byid[id] = byid[id] or requirement
      requirements[#requirements + 1] = requirement
    end
  end
  for _, tab in ipairs(doc.tables) do
    for _, row in ipairs(tab.rows) do
      local id = row[1] and row[1]:match("^%[?%u+%-%d%d%d%]?$")
      local words = keywords_in(table.concat(row, " "))
      if words[1] and not id then
        complain(row.line, "the key word %s stands in a table", words[1])
      end
    end
  end
  for _, heading in ipairs(doc.headings) do
    local words = keywords_in(heading.title)
    if words[1] then complain(heading.line, "the key word %s stands in a heading", words[1]) end
  end
  if untestable * 100 > #requirements * UNTESTABLE_PERCENT then
    complain(1, "%d of %d requirements are marked untestable, more than %d %%", untestable,
             #requirements, UNTESTABLE_PERCENT)
  end
  if #requirements == 0 then complain(1, "there is no requirement") end
end

-- Every AREA-NNN that is mentioned anywhere must be one that is defined. Elsewhere than in the text
-- itself, only words that begin with an area are taken for one.
local function check_mentions()
  local areas = {}
  for _, r in ipairs(requirements) do areas[r.area] = true end
  local function look(name, content)
    local number = 0
    for line in (content:gsub("\n?$", "\n")):gmatch("(.-)\n") do
      number = number + 1
      for id in line:gmatch("%f[%w]%u%u+%-%d%d%d%f[%W]") do
        if not byid[id] and (name == file or areas[id:match("%u+")]) then
          complain(number, "%s is no requirement", id)
          complaints[#complaints].file = name
        end
      end
    end
  end
  look(file, text)
  for _, name in ipairs(citing) do look(name, slurp(name)) end
end

-- ------------------------------------------------------------------------------------------- index

local INDEX_BEGIN = "<!-- requirement index begin -->"
local INDEX_END = "<!-- requirement index end -->"

local function index_text()
  local out = { "", "Table: requirement index", "", "| id | level | section | test |",
               "|---|---|---|---|" }
  local areas, order = {}, {}
  for _, r in ipairs(requirements) do
    if not areas[r.area] then
      areas[r.area] = {}
      order[#order + 1] = r.area
    end
    table.insert(areas[r.area], r)
  end
  for _, area in ipairs(order) do
    for _, r in ipairs(areas[area]) do
      -- The level is a code span: here it is data, and demands nothing.
      out[#out + 1] = string.format("| %s | `%s` | [%s](#%s) | %s |", r.id, r.keyword, r.section,
                                    r.anchor or "", r.untestable and "no" or "yes")
    end
  end
  out[#out + 1] = ""
  return table.concat(out, "\n") .. "\n"
end

local function check_index()
  local b1, b2 = text:find(INDEX_BEGIN .. "\n", 1, true)
  local e1 = text:find(INDEX_END, 1, true)
  if not b1 or not e1 or e1 < b2 then
    return complain(1, "the marks of the requirement index are missing")
  end
  local wanted = index_text()
  local found = text:sub(b2 + 1, e1 - 1)
  if found == wanted then return end
  if fix then
    local handle = assert(io.open(file, "wb"))
    handle:write(text:sub(1, b2), wanted, text:sub(e1))
    handle:close()
    return
  end
  local _, newlines = text:sub(1, b1):gsub("\n", "")
  local known, line = {}, newlines + 1
  for row in found:gmatch("| (%u+%-%d+) |") do known[row] = true end
  for _, r in ipairs(requirements) do
    if not known[r.id] then
      complain(line, "the index lacks %s", r.id)
      return
    end
  end
  complain(line, "the requirement index is not what the text says; --fix writes it anew")
end

-- ------------------------------------------------------------------------------- links and schemas

local function check_links()
  local directory = file:match("^(.*/)") or ""
  local seen = {}
  for _, heading in ipairs(doc.headings) do
    local anchor = document.anchor(heading.title)
    if seen[anchor] then complain(heading.line, "a second heading with the anchor #%s", anchor) end
    seen[anchor] = true
  end
  local function look(line, prose)
    for target in document.without_code(prose):gmatch("%]%(([^)]+)%)") do
      local path, anchor = target:match("^([^#]*)#?(.*)$")
      if target:match("^%a+://") then
        -- The world outside is not checked.
      elseif path ~= "" then
        local handle = io.open(directory .. path, "rb")
        if handle then handle:close() else complain(line, "the link to %s leads nowhere", path) end
      elseif not doc.anchors[anchor] then
        complain(line, "the link to #%s leads nowhere", anchor)
      end
    end
    -- "chapter 9", "chapters 9 and 12", "7.9": sections by number.
    local numbers = {}
    for _, heading in ipairs(doc.headings) do
      if heading.number then numbers[heading.number:gsub("%.$", "")] = true end
    end
    for number in prose:gmatch("%f[%w]chapters? (%d+)") do
      if not numbers[number] then complain(line, "there is no chapter %s", number) end
    end
    for letter in prose:gmatch("%f[%w]appendix (%u)%f[%W]") do
      if not numbers["Appendix " .. letter] then
        complain(line, "there is no appendix %s", letter)
      end
    end
  end
  for _, p in ipairs(doc.paragraphs) do look(p.line, p.text) end
  for _, tab in ipairs(doc.tables) do
    for _, row in ipairs(tab.rows) do look(row.line, table.concat(row, " ")) end
  end
end

local CDDL_WORDS = {}
local CDDL_PRELUDE = "any bool bstr tstr uint nint int float nil null true false number size cbor"
for word in CDDL_PRELUDE:gmatch("%a+") do
  CDDL_WORDS[word] = true
end

local function check_schemas(kinds)
  local defined, used = {}, {}
  for _, fence in ipairs(doc.fences) do
    if fence.lang == "cddl" then
      for i, line in ipairs(fence.lines) do
        local code = line:gsub(";.*$", ""):gsub('"[^"]*"', "")
        local name, rest = code:match("^(%a[%w-]*) = ?(.*)$")
        if name then
          if defined[name] then complain(fence.line + i, "the schema %s is defined twice", name) end
          defined[name] = fence.line + i
          code = rest
        end
        -- Member keys (`word:`) and controls (`.word`) are no references.
        code = code:gsub("[%a][%w_-]*%s*:", ""):gsub("%.%a+", "")
        for word in code:gmatch("%f[%w]%a[%w_-]*") do
          if not CDDL_WORDS[word] then used[word] = used[word] or fence.line + i end
        end
      end
    end
  end
  for word, line in pairs(used) do
    if not defined[word] then complain(line, "the schema %s is used and not defined", word) end
  end
  local TOPS = { "%-payload$", "%-args$", "%-started$", "%-item$", "%-return$" }
  for name, line in pairs(defined) do
    local top = used[name]
    for _, pattern in ipairs(TOPS) do top = top or name:match(pattern) end
    if not top then complain(line, "the schema %s is defined and not used", name) end
    local kind = name:match("^(.*)%-payload$")
    if kind and not kinds[kind:upper()] then
      complain(line, "the schema %s is of no frame", name)
    end
  end
  for kind, row in pairs(kinds) do
    if row.payload ~= "empty" and not defined[kind:lower() .. "-payload"] then
      complain(row.line, "the payload of %s has no schema", kind)
    end
  end
end

-- -------------------------------------------------------------------------- tables of the document

local function read_kinds()
  local kinds, numbers = {}, {}
  for _, row in ipairs(table_named("frame kinds").rows) do
    local hex = tonumber(bare(row[2]), 16)
    kinds[row[1]] = { line = row.line, hex = hex, payload = row[5] }
    numbers[hex or -1] = row[1]
  end
  return kinds, numbers
end

local function read_codes()
  local codes = {}
  for _, caption in ipairs { "error codes", "BYE codes" } do
    for _, row in ipairs(table_named(caption).rows) do
      local name = bare(row[1])
      if codes[name] then complain(row.line, "the code %s is listed twice", name) end
      codes[name] = { line = row.line, scope = row[2], retry = row[4] == "yes" and "1" or "0" }
    end
  end
  return codes
end

local function read_limits()
  local limits = {}
  for _, row in ipairs(table_named("limits").rows) do
    limits[row[1]] = { line = row.line, min = row[3], default = row[4] }
  end
  return limits
end

-- machines[name] = { line, states = {set}, cells[state][event] = { line, result } }
local function read_machines()
  local machines = {}
  for _, tab in ipairs(doc.tables) do
    local name = tab.caption and tab.caption:match("%[(%l+)%]$")
    if name then
      local machine = machines[name] or { line = tab.line, states = {}, cells = {} }
      machines[name] = machine
      for _, row in ipairs(tab.rows) do
        machine.states[row[1]] = true
        machine.cells[row[1]] = machine.cells[row[1]] or {}
        if #row ~= #tab.head then
          complain(row.line, "the row has %d cells, the head %d", #row, #tab.head)
        end
        for i = 2, #tab.head do
          machine.cells[row[1]][tab.head[i]] = { line = row.line, result = (row[i] or
                                                                            ""):gsub(" %(.*%)$",
                                                                                     "") }
        end
      end
    end
  end
  for name, machine in pairs(machines) do
    for state, row in pairs(machine.cells) do
      for event, cell in pairs(row) do
        local r = cell.result
        if not (machine.states[r] or r:match("^violation %l+$") or r == "ignored" or
                r == "misuse" or
                r == "nothing" or r == "-") then
          complain(cell.line, "%s, %s on %s: %q is no cell", name, state, event, r)
        end
      end
    end
  end
  return machines
end

-- ---------------------------------------------------------------------------------- names in prose

-- Words in capitals that are no frames.
local CAPITALS = {}
local ACRONYMS = [[
  BCP RFC IEEE UTF CDDL CBOR JSON TCP TLS EOF
  NNN AREA CODE STATE ID NAME ADDRESSES TYPE HOST PORT PATH
  SIGTERM SIGKILL SIGINT]]
for word in ACRONYMS:gmatch("%S+") do
  CAPITALS[word] = true
end

local function check_names(kinds, codes, machines, areas)
  local function look(line, prose)
    local spans = prose:gsub("%[%u+%-%d+%]", ""):gsub("%[[^%]]*%]%([^)]*%)", "")
    for code in spans:gmatch("violation `([%l_]+)`") do
      if not codes[code] or codes[code].scope == "context" then
        complain(line, "%s is no code of BYE", code)
      end
    end
    for code in spans:gmatch("BYE `([%l_]+)`") do
      if not codes[code] or codes[code].scope == "context" then
        complain(line, "%s is no code of BYE", code)
      end
    end
    for code in spans:gmatch("ERROR `([%l_]+)`") do
      if not codes[code] or codes[code].scope == "link" then
        complain(line, "%s is no code of an error", code)
      end
    end
    for code in spans:gmatch("errors? `([%l_]+)`") do
      if not codes[code] or codes[code].scope == "link" then
        complain(line, "%s is no code of an error", code)
      end
    end
    for word in document.without_code(spans):gmatch("%f[%w_]%u[%u_]+%f[^%w_]") do
      local known = kinds[word] or kinds[word:gsub("S$", "")] or CAPITALS[word] or areas[word] or
        word:match("^B$") or #word == 1
      for _, keyword in ipairs(KEYWORDS) do
        known = known or (" " .. keyword .. " "):find(" " .. word .. " ", 1, true)
      end
      if not known then complain(line, "%s is no frame of this protocol", word) end
    end
  end
  for _, p in ipairs(doc.paragraphs) do
    look(p.line, p.text)
    -- "The states are `a`, `b`": for the machines that stand in the section.
    local list = p.text:match("^The states are ([^.]+)%.")
    if list then
      local section = section_at(p.line)
      local names, mine = {}, {}
      for state in list:gsub("%([^)]*%)", ""):gmatch("`(%l+)`") do names[state] = true end
      for _, tab in ipairs(doc.tables) do
        local machine = tab.caption and tab.caption:match("%[(%l+)%]$")
        if machine and section_at(tab.line) == section then mine[machine] = true end
      end
      for machine in pairs(mine) do
        for state in pairs(names) do
          if not machines[machine].states[state] then
            complain(p.line, "%s is no state of %s", state, machine)
          end
        end
        for state in pairs(machines[machine].states) do
          if not names[state] then
            complain(p.line, "the state %s of %s is not named", state, machine)
          end
        end
      end
    end
  end
  for _, tab in ipairs(doc.tables) do
    for _, row in ipairs(tab.rows) do look(row.line, table.concat(row, " ; ")) end
  end
end

-- ------------------------------------------------------------------------------------- the vectors

local function check_vectors(names, codes)
  local list, byname = vectors.read(doc, complain)
  if #list == 0 then complain(1, "there are no vectors") end
  for _, v in ipairs(list) do
    local unfinished = {}
    local fine = true
    for _, w in ipairs(vectors.before(v, byname)) do
      if w.violation then
        complain(v.line, "vector %s comes after %s, which is a violation", v.name, w.name)
        fine = false
      elseif w.from == v.from then
        fine = pcall(vectors.frames, w.bytes, names, unfinished) and fine
      end
    end
    if v.violation then
      if not codes[v.violation] or codes[v.violation].scope == "context" then
        complain(v.line, "vector %s: %s is no code of BYE", v.name, v.violation)
      end
    elseif fine then
      local ok, frames = pcall(vectors.frames, v.bytes, names, unfinished)
      if not ok then
        complain(v.line, "vector %s: %s", v.name, tostring(frames):gsub("^.-:%d+: ", ""))
      else
        for i = 1, math.max(#frames, #v.means) do
          if frames[i] ~= v.means[i] then
            complain(v.line, "vector %s says %s and means %s", v.name, v.means[i] or "nothing",
                     frames[i] or "nothing")
            break
          end
        end
      end
    end
  end
  return list, byname
end

-- --------------------------------------------------------------------------------------- main line

check_requirements()
local kinds, kind_names = read_kinds()
local codes, limits, machines = read_codes(), read_limits(), read_machines()
local areas = {}
for _, r in ipairs(requirements) do areas[r.area] = true end
check_mentions()
check_index()
check_links()
check_schemas(kinds)
check_names(kinds, codes, machines, areas)
local list, byname = check_vectors(kind_names, codes)
if wire_tool then
  local engine = require "engine"
  local mine = { kinds = kinds, codes = codes, limits = limits, machines = machines }
  engine.check_tables(wire_tool, mine, complain)
  engine.check_vectors(wire_tool, list, byname, kind_names, complain)
end

table.sort(complaints, function(a, b)
  if a.line ~= b.line then return a.line < b.line end
  return a.order < b.order
end)
for _, c in ipairs(complaints) do
  print(string.format("%s:%d: %s", c.file or file, c.line, c.text))
end
if #complaints > 0 then os.exit(1) end
local cells = 0
for _, machine in pairs(machines) do
  for _, row in pairs(machine.cells) do
    for _ in pairs(row) do cells = cells + 1 end
  end
end
print(string.format("%s: %d requirements, %d cells, %d vectors%s", file, #requirements, cells,
                    #list,
                    wire_tool and ", as the engine has them" or " (engine not asked)"))
