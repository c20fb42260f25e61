-- SPDX-License-Identifier: MIT
--
-- The report for people: one HTML file that needs nothing else.
--
-- The page is conformance/report/: a frame, a style and a program. The results go into it as JSON,
-- in an element that browsers do not look into, and the program shows all of it as text nodes.
-- Nothing that a peer said is ever written as HTML, neither here nor there.

local json = require "dkjson"
local results = require "results"

local M = {}

-- Inside <script> only "<" could end the element; JSON can say it in another way.
local function as_data(v)
  local text = json.encode(v, { keyorder = results.key_order(v) })
  return (text:gsub("[<>&]", { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026" }))
end

local function asset(dir, name)
  local f = assert(io.open(dir .. "/" .. name, "rb"))
  local s = f:read("a")
  f:close()
  return s
end

-- Of the runs to compare with, the verdicts are enough.
local function slim(r)
  local cases, requirements = {}, {}
  for _, c in ipairs(r.cases) do
    cases[c.id] = { verdict = c.verdict, title = c.title, profile = c.profile, area = c.area }
  end
  for _, q in ipairs(r.requirements) do requirements[q.id] = q.verdict end
  return {
    testee = r.testee, command = r.command, date = r.date, started = r.started, seconds = r.seconds,
    seed = r.seed, exit = r.exit, counts = r.counts, profiles = r.profiles, selected = r.selected,
    available = r.available, cases = cases, requirements = requirements,
  }
end

-- The files of the program, in the order in which they build upon each other.
local program = {
  "dom", "model", "filter", "summary", "requirements", "cases", "states", "compare", "main",
}

local function program_text(dir)
  local out = {}
  for i, name in ipairs(program) do out[i] = asset(dir, name .. ".js") end
  return '(() => {\n"use strict";\n' .. table.concat(out, "\n") .. "})();\n"
end

-- The text of the page. o: dir (of the assets), others (results to compare with), mutants.
function M.render(r, o)
  local data = {
    results = r, others = results.array(), mutants = o.mutants and o.mutants.mutants or nil,
  }
  for i, other in ipairs(o.others or {}) do data.others[i] = slim(other) end
  local parts = {
    style = asset(o.dir, "report.css"), program = program_text(o.dir), data = as_data(data),
  }
  return (asset(o.dir, "report.html"):gsub("{{(%l+)}}", function(name)
    return parts[name] or error("report.html wants " .. name)
  end))
end

return M
