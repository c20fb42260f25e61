-- SPDX-License-Identifier: MIT
--
-- TAP 14, made from the results: one line per case, and what was wrong below it in YAML.

local results = require "results"

local M = {}

local function yaml(text)
  return '"' .. tostring(text):gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("%c", " ") .. '"'
end

local function diagnosis(out, c)
  local function line(...) out[#out + 1] = string.format(...) end
  line("  ---")
  line("  verdict: %s", c.verdict)
  line("  ended: %s", yaml(c.termination))
  if c.reason then line("  reason: %s", yaml(c.reason)) end
  if c.checks[1] then line("  checks:") end
  for _, k in ipairs(c.checks) do
    line("    - requirement: %s", k.requirement)
    line("      expected: %s", yaml(k.expected or ""))
    line("      observed: %s", yaml(k.observed or ""))
  end
  line("  reproduce: %s", yaml(c.reproduce))
  line("  ...")
end

-- The text of a TAP file.
function M.render(r)
  local out = { "TAP version 14", "1.." .. #r.cases }
  for i, c in ipairs(r.cases) do
    local skipped = c.verdict == "UNSUPPORTED"
    local ok = results.red[c.verdict] and "not ok" or "ok"
    out[#out + 1] = ("%s %d - %s: %s%s"):format(ok, i, c.id,
      c.title:gsub("[\\#]", "\\%0"):gsub("%c", " "),
      skipped and " # SKIP " .. (c.reason or "not claimed"):gsub("%c", " ") or "")
    if c.verdict ~= "PASS" and not skipped then diagnosis(out, c) end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
