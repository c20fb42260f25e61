-- SPDX-License-Identifier: MIT
--
-- What a run leaves behind: the words on the terminal, the files, and `copse-tck report`, which
-- makes the same files from a results.json of long ago.
--
-- Everything here is made from the structure that lib/results.lua builds, whether it comes fresh
-- from a run or out of a file.

local html = require "html"
local junit = require "junit"
local results = require "results"
local tap = require "tap"

local M = { red = results.red, order = results.order, results = results.build }

-- Files -------------------------------------------------------------------------------------------

M.formats = { "json", "junit", "tap", "html" }

local writers = {
  json = function(r) return results.encode(r) end,
  junit = function(r) return junit.render(r) end,
  tap = function(r) return tap.render(r) end,
  html = function(r, o) return html.render(r, o) end,
}

function M.write(path, text)
  if path == "-" then
    io.stdout:write(text)
    return true
  end
  local f, err = io.open(path, "wb")
  if not f then return nil, err end
  local ok, problem = f:write(text)
  local closed = f:close()
  if not ok or not closed then return nil, path .. ": " .. (problem or "not written") end
  return true
end

-- Writes what `files` asks for by format: { json = PATH, html = PATH, ... }. o: dir of the assets,
-- others, mutants. Returns whether one of them is the standard output, or nil and a text.
function M.write_all(r, files, o)
  local to_stdout = false
  for _, format in ipairs(M.formats) do
    if files[format] then
      local wrote, err = M.write(files[format], writers[format](r, o))
      if not wrote then return nil, err end
      to_stdout = to_stdout or files[format] == "-"
    end
  end
  return to_stdout
end

-- The terminal ------------------------------------------------------------------------------------

local function paint(on)
  local codes = { red = "31", green = "32", yellow = "33", dim = "2", bold = "1" }
  return function(name, text)
    return on and "\27[" .. codes[name] .. "m" .. text .. "\27[0m" or text
  end
end

local colour_of = {
  PASS = "green", WARN = "yellow", INFO = "dim", UNSUPPORTED = "dim", CONFORMANT = "green",
  ["NOT CONFORMANT"] = "red", PARTIAL = "yellow", ["NOT CLAIMED"] = "dim", ["NOT RUN"] = "yellow",
}
local function colour(verdict) return colour_of[verdict] or "red" end

-- Long lines are cut where the terminal would break them; the reports have them whole.
local function fit(text, width)
  text = text:gsub("[\n\t]", " ")
  local cut = width and (utf8.len(text) or 0) > width and utf8.offset(text, width)
  return cut and text:sub(1, cut - 1) .. "…" or text
end

-- Words below each other, each line behind `indent`.
local function wrapped(text, indent, width)
  if not width then return indent .. text end
  local out, line = {}, indent
  for word in text:gmatch("%S+") do
    if #line > #indent and #line + 1 + #word > width then
      out[#out + 1], line = line, indent
    end
    line = line .. (#line > #indent and " " or "") .. word
  end
  out[#out + 1] = line
  return table.concat(out, "\n")
end

local arrows = { ["<"] = "<-", [">"] = "->", ["*"] = " *" }

-- The wire log of a case: `->` is what the suite sent.
local function wire_log(out, c, o, p)
  for _, e in ipairs(c.events or {}) do
    local moved = e.after and e.before ~= e.after
    local state = moved and "   [" .. e.before .. " => " .. e.after .. "]" or ""
    local line = ("      %9.2f  %-9s %s %s"):format(e.at, e.link, arrows[e.dir] or e.dir, e.text)
    out[#out + 1] = fit(line, o.width and math.max(40, o.width - #state)) .. p("dim", state)
    if e.fault then
      local where = e.fault.first and ", byte " .. e.fault.first
        .. (e.fault.last > e.fault.first and "-" .. e.fault.last or "") or ""
      out[#out + 1] = p("red", ("                 ^^^ %s: %s, %s%s"):format(e.fault.by,
        e.fault.requirement, e.fault.text, where))
    end
  end
end

-- One case that needs attention, for people. o: trace, colour, width (of the terminal, or nil);
-- sentences: requirement id -> its text.
function M.describe(c, sentences, o)
  local p = paint(o.colour)
  local verdict = p(colour(c.verdict), ("%-11s"):format(c.verdict))
  local out = { verdict .. " " .. p("bold", c.id) .. "  " .. c.title }
  if c.reason then out[#out + 1] = "   " .. c.reason:gsub("\n", "\n   ") end
  for i, k in ipairs(c.checks) do
    if i > 8 then
      out[#out + 1] = "   and " .. #c.checks - 8 .. " more checks"
      break
    end
    local sentence = sentences[k.requirement] or ""
    out[#out + 1] = wrapped(k.requirement .. "  " .. sentence, "   ", o.width)
    out[#out + 1] = "      Expected: " .. (k.expected or "")
    local times = k.times and "  (" .. k.times .. " times)" or ""
    out[#out + 1] = "      Observed: " .. (k.observed or "") .. times
  end
  out[#out + 1] = "   Ended: " .. c.termination
  if o.trace then
    wire_log(out, c, o, p)
    if c.stderr then
      out[#out + 1] = "   stderr: "
        .. c.stderr:sub(-2000):gsub("\n$", ""):gsub("\n", "\n           ")
    end
  else
    out[#out + 1] = "   Next: " .. c.reproduce
  end
  return table.concat(out, "\n")
end

-- The check that decided over a case.
local function decisive(c)
  for _, k in ipairs(c.checks) do if k.verdict == c.verdict then return k end end
  return c.checks[1]
end

-- What a person should look at: all that is not in order, put together where the same verdict has
-- the same requirement behind it, or the same reason. What fails twenty times is told once.
function M.attention(r, o)
  local groups, by_key = {}, {}
  for _, c in ipairs(r.cases) do
    local good = c.verdict == "PASS" or c.verdict == "UNSUPPORTED"
    if not good or o.trace and #r.cases <= 3 then
      local k = decisive(c)
      local key = good and c.id or c.verdict .. (k and k.requirement or c.reason or "")
      if not by_key[key] then
        by_key[key] = { first = c, others = {} }
        groups[#groups + 1] = by_key[key]
      else
        table.insert(by_key[key].others, c.id)
      end
    end
  end
  return groups
end

-- All of the terminal's words after a run.
function M.terminal(r, o)
  local sentences, out = {}, {}
  for _, q in ipairs(r.requirements) do sentences[q.id] = q.text end
  for _, g in ipairs(M.attention(r, o)) do
    out[#out + 1] = M.describe(g.first, sentences, o)
    if #g.others > 0 then
      local shown = table.concat(g.others, ", ", 1, math.min(4, #g.others))
      out[#out + 1] = wrapped(("Likewise: %s%s"):format(shown,
        #g.others > 4 and " and " .. #g.others - 4 .. " more" or ""), "   ", o.width)
    end
    out[#out + 1] = ""
  end
  out[#out + 1] = M.closing(r, o)
  return table.concat(out, "\n")
end

-- The last lines of a run.
function M.closing(r, o)
  local p = paint(o and o.colour)
  local out, parts = {}, {}
  for _, v in ipairs(results.order) do
    if r.counts[v] then parts[#parts + 1] = p(colour(v), r.counts[v] .. " " .. v) end
  end
  out[1] = ("%d cases in %.1f s, seed %d: %s"):format(#r.cases, r.seconds, r.seed,
    table.concat(parts, ", "))
  for _, q in ipairs(r.profiles) do
    local verdict = p(colour(q.verdict), ("%-15s"):format(q.verdict))
    out[#out + 1] = ("  %-9s %s %d ran, %d red"):format(q.name, verdict, q.ran, q.red)
  end
  local must, seen = 0, 0
  for _, q in ipairs(r.requirements) do
    if (q.level == "MUST" or q.level == "MUST NOT") and not q.untestable then
      must = must + 1
      if q.exercised then seen = seen + 1 end
    end
  end
  out[#out + 1] = ("  %d of %d testable MUSTs exercised"):format(seen, must)
  if r.selected < r.available then
    out[#out + 1] = ("  %d of %d cases were run: no verdict on the whole"):format(r.selected,
      r.available)
  end
  return table.concat(out, "\n")
end

-- copse-tck report --------------------------------------------------------------------------------

local usage = [[
usage: copse-tck report RESULTS.json [--html FILE] [--junit FILE] [--tap FILE] [--json FILE]
                        [--compare OTHER.json]... [--mutants FILE]

Makes reports of the results of an earlier run. Without a FILE it says what was wrong.

  --compare OTHER.json   set the results of another peer, or of an earlier run, beside these in the
                         HTML; may be given several times, and take several files
  --mutants FILE         what a run of the mutants has shown, for the traceability of the HTML
]]

-- The subcommand: returns the exit status, which is 0 when all files have been written, and without
-- a file that of the run.
function M.main(args, dir, terminal)
  local function fail(text)
    io.stderr:write("copse-tck report: ", text, "\n")
    return 2
  end
  local files, compare, path, mutants = {}, {}, nil, nil
  local i, want = 2, nil
  while args[i] do
    local a, joined = args[i], nil
    local name, v = a:match("^%-%-(%l+)=(.*)$")
    if name then joined = v else name = a:match("^%-%-(%l+)$") end
    if a == "--help" then
      io.write(usage)
      return 0
    elseif name == "compare" or name == "mutants" or name and writers[name] then
      if not joined then
        i = i + 1
        joined = args[i]
      end
      if not joined then return fail(a .. " needs a file\n" .. usage) end
      if name == "compare" then
        compare[#compare + 1] = joined
      elseif name == "mutants" then
        mutants = joined
      else
        files[name] = joined
      end
      want = name == "compare" and "compare" or nil
    elseif a:find("^%-.") then
      return fail("unknown option " .. a .. "\n" .. usage)
    elseif want == "compare" then
      compare[#compare + 1] = a
    elseif path then
      return fail("one file of results at a time: " .. a .. "\n" .. usage)
    else
      path = a
    end
    i = i + 1
  end
  if not path then return fail("no results.json\n" .. usage) end
  local r, err = results.load(path)
  if not r then return fail(err) end
  local o = { dir = dir, others = {} }
  for n, file in ipairs(compare) do
    o.others[n], err = results.load(file)
    if err then return fail(err) end
  end
  if mutants then
    o.mutants, err = results.load_mutants(mutants)
    if err then return fail(err) end
  end
  if next(files) then
    local _, problem = M.write_all(r, files, o)
    if problem then return fail(problem) end
    return 0
  end
  io.write(M.terminal(r, terminal), "\n")
  return r.exit
end

return M
