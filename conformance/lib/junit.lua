-- SPDX-License-Identifier: MIT
--
-- JUnit XML, made from the results, in the form that build servers agree on. There is a suite per
-- profile and a class per area, so that a server's own tree of results is of use.
--
-- A failure is the testee's; an error is where nothing could be judged: it crashed, it did not come
-- far enough, or the suite itself is at fault.

local results = require "results"

local M = {}

local escapes = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\n"] = "&#10;",
  ["\t"] = "&#9;",
}

-- XML 1.0 has no way to write most control characters.
local function xml(text)
  text = results.text(tostring(text)):gsub("\r", "\\x0d")
  return (text:gsub("\xef\xbf[\xbe\xbf]", "?"):gsub('[&<>"]', escapes))
end

local function attribute(text) return (xml(text):gsub("[\n\t]", escapes)) end

local element = {
  FAIL = "failure", TIMEOUT = "failure", FLAKY = "failure", CRASH = "error", BLOCKED = "error",
  HARNESS = "error", UNSUPPORTED = "skipped",
}

local function words(c)
  local lines = {}
  if c.reason then lines[#lines + 1] = c.reason end
  for _, k in ipairs(c.checks) do
    lines[#lines + 1] = k.requirement
    lines[#lines + 1] = "  Expected: " .. (k.expected or "")
    lines[#lines + 1] = "  Observed: " .. (k.observed or "")
  end
  lines[#lines + 1] = "Ended: " .. c.termination
  lines[#lines + 1] = "Next: " .. c.reproduce
  return table.concat(lines, "\n")
end

local function headline(c)
  local k = c.checks[1]
  if k and k.observed then return k.requirement .. ": " .. k.observed end
  return c.reason or c.title
end

local function testcase(c)
  local name = element[c.verdict]
  local head = ('    <testcase classname="copse.%s.%s" name="%s" time="%.3f"'):format(
    attribute(c.profile), attribute(c.area), attribute(c.id), c.ms / 1000)
  local body = {}
  if name == "skipped" then
    body[1] = ('<skipped message="%s"/>'):format(attribute(c.reason or "not claimed"))
  elseif name then
    body[1] = ('<%s message="%s" type="%s">%s</%s>'):format(name, attribute(headline(c)), c.verdict,
      xml(words(c)), name)
  elseif c.verdict ~= "PASS" then
    body[1] = "<system-out>" .. xml(c.verdict .. "\n" .. words(c)) .. "</system-out>"
  end
  if c.stderr then body[#body + 1] = "<system-err>" .. xml(c.stderr) .. "</system-err>" end
  if #body == 0 then return head .. "/>" end
  return head .. ">\n      " .. table.concat(body, "\n      ") .. "\n    </testcase>"
end

local suite_form = [[
  <testsuite name="copse.%s" tests="%d" failures="%d" errors="%d" skipped="%d" time="%.3f" ]]
  .. [[timestamp="%s" hostname="localhost">
    <properties>
      <property name="verdict" value="%s"/>
      <property name="seed" value="%d"/>
      <property name="testee" value="%s"/>
    </properties>
%s
  </testsuite>]]
local form = [[
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="copse-tck" tests="%d" failures="%d" errors="%d" time="%.3f">
%s
</testsuites>
]]

-- The text of a JUnit file.
function M.render(r)
  local suites, total = {}, { tests = 0, failure = 0, error = 0, skipped = 0, ms = 0 }
  for _, p in ipairs(r.profiles) do
    local n, body = { tests = 0, failure = 0, error = 0, skipped = 0, ms = 0 }, {}
    for _, c in ipairs(r.cases) do
      if c.profile == p.name then
        body[#body + 1] = testcase(c)
        n.tests, n.ms = n.tests + 1, n.ms + c.ms
        local e = element[c.verdict]
        if e then n[e] = n[e] + 1 end
      end
    end
    for k, v in pairs(n) do total[k] = total[k] + v end
    if n.tests > 0 then
      suites[#suites + 1] = suite_form:format(attribute(p.name), n.tests, n.failure, n.error,
        n.skipped, n.ms / 1000, (r.date:gsub("Z$", "")), attribute(p.verdict), r.seed,
        attribute(r.testee.agent or "?"), table.concat(body, "\n"))
    end
  end
  return form:format(total.tests, total.failure, total.error, r.seconds,
    table.concat(suites, "\n"))
end

return M
