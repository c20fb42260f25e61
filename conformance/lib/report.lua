-- SPDX-License-Identifier: MIT
--
-- results.json and what is made of it: TAP, JUnit, and the words on the terminal.
--
-- `results` builds the one structure that all reports are written from; its shape is described in
-- docs/conformance.md and its version counts up when a field changes its meaning.

local frame = require "frame"
local json = require "json"
local runner = require "runner"
local value = require "value"

local M = {}
M.version = 1

local red = {
  FAIL = true, CRASH = true, TIMEOUT = true, BLOCKED = true, FLAKY = true, HARNESS = true,
}
M.red = red

local order = {
  "PASS", "WARN", "INFO", "FAIL", "CRASH", "TIMEOUT", "UNSUPPORTED", "BLOCKED", "FLAKY", "HARNESS",
}
M.order = order

local function event(e)
  local f = e.frame
  return {
    at = e.at, link = e.link, dir = e.dir, text = e.text, before = e.before, after = e.after,
    hex = f and value.hex(f.payload, 256) or e.bytes and value.hex(e.bytes, 256) or nil,
    kind = f and f.name or nil, context = f and f.ctx or nil, length = f and f.length or nil,
    more = f and f.more or nil, announced = f and f.illegal or nil,
    fault = f and f.fault and { side = f.fault.side, req = f.fault.req, text = f.fault.text } or nil,
  }
end

local function case_entry(r, opts)
  local c = r.case
  local entry = {
    id = c.id, title = c.title, why = c.why, area = c.area, profile = c.profile,
    requirements = json.array { table.unpack(c.req) }, generated = c.generated or false,
    verdict = r.verdict, reason = r.reason, termination = r.termination, ms = r.ms,
    repeats = r.repeats or 1, checks = json.array(), file = "cases/" .. c.file,
  }
  for _, k in ipairs(r.checks) do
    table.insert(entry.checks, {
      requirement = k.req, verdict = k.verdict, expected = k.expected, observed = k.observed,
      monitor = k.monitor or false,
    })
  end
  local touched = json.array()
  for id in pairs(r.touched) do touched[#touched + 1] = id end
  table.sort(touched)
  entry.exercised = touched
  if opts.trace or r.verdict ~= "PASS" then
    entry.events = json.array()
    for i, e in ipairs(r.events) do
      if i > 400 then
        table.insert(entry.events, { at = e.at, link = e.link, dir = "*",
          text = #r.events - 400 .. " more events" })
        break
      end
      table.insert(entry.events, event(e))
    end
    if r.stderr ~= "" then entry.stderr = r.stderr:sub(-8192) end
  end
  return entry
end

local function requirement_list(spec, results)
  local how = {}
  for _, r in ipairs(results) do
    for id, n in pairs(r.touched) do
      how[id] = how[id] or { checks = 0, cases = 0, failed = json.array() }
      how[id].checks, how[id].cases = how[id].checks + n, how[id].cases + 1
    end
    for _, k in ipairs(r.checks) do
      local h = how[k.req]
      if h and red[k.verdict] then
        if h.failed[#h.failed] ~= r.case.id then table.insert(h.failed, r.case.id) end
      end
    end
  end
  local list = json.array()
  for _, q in ipairs(spec.requirements) do
    local h = how[q.id]
    table.insert(list, {
      id = q.id, level = q.level, section = q.section, profile = q.profile, text = q.text,
      untestable = q.untestable, exercised = h ~= nil, checks = h and h.checks or 0,
      cases = h and h.cases or 0, failed = h and h.failed or json.array(),
    })
  end
  return list
end

-- The verdict per profile: a profile is conformant if something of it ran and nothing was red.
local function profile_list(results, probe)
  local out = {}
  for _, name in ipairs(runner.profiles) do
    local p = { name = name, claimed = runner.claims(probe, name), counts = {}, ran = 0, red = 0 }
    for _, r in ipairs(results) do
      if r.case.profile == name then
        p.counts[r.verdict] = (p.counts[r.verdict] or 0) + 1
        if r.verdict ~= "UNSUPPORTED" and r.verdict ~= "BLOCKED" then p.ran = p.ran + 1 end
        if red[r.verdict] then p.red = p.red + 1 end
      end
    end
    if not p.claimed and p.red == 0 then p.verdict = "NOT CLAIMED"
    elseif p.red > 0 then p.verdict = "NOT CONFORMANT"
    elseif p.ran == 0 then p.verdict = "NOT RUN"
    else p.verdict = "CONFORMANT"
    end
    out[#out + 1] = p
  end
  return out
end

local function plain(v)
  if v == nil then return nil end
  return value.show(v)
end

-- The structure behind results.json.
function M.results(o)
  local counts = {}
  for _, r in ipairs(o.results) do counts[r.verdict] = (counts[r.verdict] or 0) + 1 end
  local entries = json.array()
  for _, r in ipairs(o.results) do table.insert(entries, case_entry(r, o.opts)) end
  local cells = {}
  for _, r in ipairs(o.results) do for c in pairs(r.cells) do cells[c] = true end end
  local cell_list = json.array()
  for c in pairs(cells) do cell_list[#cell_list + 1] = c end
  table.sort(cell_list)
  local peer = o.probe.hello or {}
  local summary = {
    format = "copse-tck-results", version = M.version, protocol = 1,
    command = json.array { table.unpack(o.opts.command) },
    seed = o.opts.seed, repeats = o.opts.repeats or 1, time_scale = o.opts.time_scale or 1,
    seconds = o.seconds, started = o.started, selected = #o.results, available = o.available,
    testee = {
      agent = peer.agent, features = json.array { table.unpack(peer.features or {}) },
      limits = plain(peer.limits), stage = o.probe.stage, listens = (o.probe.listening or 0) > 0,
      problem = o.probe.stage ~= "serve" and o.probe.text or nil,
    },
    counts = counts, profiles = profile_list(o.results, o.probe), cases = entries,
    requirements = requirement_list(o.spec, o.results), cells = cell_list,
  }
  summary.exit = M.exit_status(summary)
  return summary
end

-- 0 conformant, 1 not, 70 a fault of the suite. Nothing executed is never green.
function M.exit_status(r)
  if (r.counts.HARNESS or 0) > 0 then return 70 end
  local ran = 0
  for _, p in ipairs(r.profiles) do
    ran = ran + p.ran
    if p.red > 0 then return 1 end
  end
  return ran > 0 and 0 or 1
end

-- Writers -----------------------------------------------------------------------------------------

local function yaml(text)
  return '"' .. tostring(text):gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("%c", " ") .. '"'
end

function M.tap(r)
  local out = { "TAP version 14", "1.." .. #r.cases }
  for i, c in ipairs(r.cases) do
    local good = not red[c.verdict]
    local skip = c.verdict == "UNSUPPORTED" and " # SKIP " .. (c.reason or "") or ""
    out[#out + 1] = (good and "ok " or "not ok ") .. i .. " - " .. c.id .. ": "
      .. c.title:gsub("#", "\\#") .. skip
    if c.verdict ~= "PASS" and skip == "" then
      out[#out + 1] = "  ---"
      out[#out + 1] = "  verdict: " .. c.verdict
      out[#out + 1] = "  termination: " .. yaml(c.termination)
      if c.reason then out[#out + 1] = "  reason: " .. yaml(c.reason) end
      for _, k in ipairs(c.checks) do
        out[#out + 1] = "  requirement: " .. k.requirement
        out[#out + 1] = "  expected: " .. yaml(k.expected)
        out[#out + 1] = "  observed: " .. yaml(k.observed)
        break
      end
      out[#out + 1] = "  ..."
    end
  end
  return table.concat(out, "\n") .. "\n"
end

local function xml(text)
  text = tostring(text):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" })
  text = text:gsub("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", "?")
  return utf8.len(text) and text or (text:gsub("[\x80-\xff]", "?"))
end

function M.junit(r)
  local failures, errors, skipped = 0, 0, 0
  local body = {}
  for _, c in ipairs(r.cases) do
    local lines = {}
    for _, k in ipairs(c.checks) do
      lines[#lines + 1] = k.requirement .. "\nExpected: " .. (k.expected or "") .. "\nObserved: "
        .. (k.observed or "")
    end
    if c.reason then lines[#lines + 1] = c.reason end
    local text = xml(table.concat(lines, "\n"))
    local head = string.format('    <testcase classname="%s" name="%s" time="%.3f"', xml(c.profile .. "." .. c.area),
      xml(c.id), c.ms / 1000)
    local element
    if c.verdict == "UNSUPPORTED" then
      skipped = skipped + 1
      element = "<skipped/>"
    elseif c.verdict == "FAIL" or c.verdict == "TIMEOUT" or c.verdict == "FLAKY" then
      failures = failures + 1
      element = string.format('<failure message="%s" type="%s">%s</failure>', xml(c.title), c.verdict, text)
    elseif red[c.verdict] then
      errors = errors + 1
      element = string.format('<error message="%s" type="%s">%s</error>', xml(c.title), c.verdict, text)
    end
    body[#body + 1] = head .. (element and ">" .. element .. "</testcase>" or "/>")
  end
  return table.concat({
    '<?xml version="1.0" encoding="UTF-8"?>',
    string.format('<testsuites name="copse-tck" tests="%d" failures="%d" errors="%d" time="%.3f">', #r.cases,
      failures, errors, r.seconds),
    string.format('  <testsuite name="copse-tck" tests="%d" failures="%d" errors="%d" skipped="%d" '
      .. 'time="%.3f" timestamp="%s" hostname="localhost">', #r.cases, failures, errors, skipped, r.seconds,
      os.date("!%Y-%m-%dT%H:%M:%S", r.started)),
    table.concat(body, "\n"), "  </testsuite>", "</testsuites>", "",
  }, "\n")
end

-- The terminal ------------------------------------------------------------------------------------

local function wire_log(c)
  local out = {}
  for _, e in ipairs(c.events) do
    local state = e.after and e.before ~= e.after and "   [" .. e.before .. " -> " .. e.after .. "]" or ""
    out[#out + 1] = string.format("      %9.2f  %-9s %s %s%s", e.at, e.link, e.dir, e.text, state)
    if e.frame and e.frame.fault then
      out[#out + 1] = "                 ^^^ " .. e.frame.fault.side .. ": " .. e.frame.fault.req .. ", "
        .. e.frame.fault.text
    end
  end
  return table.concat(out, "\n")
end
M.wire_log = wire_log

local function command_line(opts)
  local out = {}
  for _, w in ipairs(opts.command) do
    out[#out + 1] = w:find("^[%w%-%._/=:]+$") and w or "'" .. w:gsub("'", "'\\''") .. "'"
  end
  return table.concat(out, " ")
end

-- One case that needs attention, for people.
function M.describe(r, spec, opts)
  local c = r.case
  local out = { string.format("%-11s %s  %s", r.verdict, c.id, c.title) }
  if r.reason then out[#out + 1] = "   " .. r.reason end
  local shown = {}
  for _, k in ipairs(r.checks) do
    local key = k.req .. "\0" .. (k.expected or "") .. "\0" .. (k.observed or "")
    if not shown[key] and #out < 30 then
      shown[key] = true
      out[#out + 1] = "   " .. k.req .. "  " .. spec.by_id[k.req].text
      out[#out + 1] = "      Expected: " .. (k.expected or "")
      out[#out + 1] = "      Observed: " .. (k.observed or "")
    end
  end
  out[#out + 1] = "   Ended: " .. r.termination
  if opts.trace then
    out[#out + 1] = wire_log(r)
    if r.stderr ~= "" then out[#out + 1] = "   stderr: " .. r.stderr:sub(-2000) end
  else
    out[#out + 1] = "   Next: copse-tck --trace --only " .. c.id .. " -- " .. command_line(opts)
  end
  return table.concat(out, "\n")
end

function M.closing(r)
  local out = {}
  local parts = {}
  for _, v in ipairs(order) do
    if r.counts[v] then parts[#parts + 1] = r.counts[v] .. " " .. v end
  end
  out[#out + 1] = string.format("%d cases in %.1f s, seed %d: %s", #r.cases, r.seconds, r.seed,
    table.concat(parts, ", "))
  for _, p in ipairs(r.profiles) do
    out[#out + 1] = string.format("  %-9s %-15s %d ran, %d red", p.name, p.verdict, p.ran, p.red)
  end
  local must, seen = 0, 0
  for _, q in ipairs(r.requirements) do
    if (q.level == "MUST" or q.level == "MUST NOT") and not q.untestable then
      must = must + 1
      if q.exercised then seen = seen + 1 end
    end
  end
  out[#out + 1] = string.format("  %d of %d testable MUSTs exercised", seen, must)
  return table.concat(out, "\n")
end

function M.write(path, text)
  local f, err = io.open(path, "wb")
  if not f then return nil, err end
  f:write(text)
  f:close()
  return true
end

M.json = json.encode
M.show_frame = frame.show

return M
