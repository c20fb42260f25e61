-- SPDX-License-Identifier: MIT
--
-- The results of a run: the one structure that results.json holds and every report is made from.
--
-- docs/results.md describes it field by field. `VERSION` counts up when a field changes its meaning
-- or goes; a new field changes nothing. Whatever the peer said is text here: bytes that are no
-- UTF-8 are shown as \xNN, so that any reader of JSON takes the file.

local json = require "dkjson"
local frame = require "frame"
local locate = require "locate"
local runner = require "runner"
local value = require "value"

local M = {}

M.VERSION = 1
M.SUITE = "0.1.0"

-- How much of one frame, of one case's log and of the standard error output is kept.
local MOST_BYTES, MOST_EVENTS, MOST_STDERR = 768, 400, 8192

M.red = {
  FAIL = true, CRASH = true, TIMEOUT = true, BLOCKED = true, FLAKY = true, HARNESS = true,
}
M.order = {
  "PASS", "WARN", "INFO", "FAIL", "CRASH", "TIMEOUT", "UNSUPPORTED", "BLOCKED", "FLAKY", "HARNESS",
}

local function array(list) return setmetatable(list or {}, { __jsontype = "array" }) end
local function object(map) return setmetatable(map or {}, { __jsontype = "object" }) end
M.array = array

local function by_name(a, b) return tostring(a) < tostring(b) end
local function sorted_keys(set)
  local list = array()
  for k in pairs(set) do list[#list + 1] = k end
  table.sort(list, by_name)
  return list
end

-- Text that any reader takes: what is no UTF-8 is shown, and so are control characters.
local function text(s)
  if type(s) ~= "string" then return s end
  if not utf8.len(s) then
    s = s:gsub("[\x80-\xff]", function(c) return string.format("\\x%02x", c:byte()) end)
  end
  return (s:gsub("[%z\1-\8\11-\31\127]", function(c) return string.format("\\x%02x", c:byte()) end))
end
M.text = text

-- Events and cases --------------------------------------------------------------------------------

local function event(e)
  local f = e.frame
  local bytes = f and frame.pack(f) or e.bytes
  local out = {
    at = e.at, link = text(e.link), dir = e.dir, text = text(e.text),
    before = e.before, after = e.after,
    bytes = bytes and value.hex(bytes:sub(1, MOST_BYTES)) or nil, size = bytes and #bytes or nil,
  }
  if f then
    out.kind, out.context, out.more, out.announced = f.name, f.ctx, f.more or nil, f.illegal or nil
    -- The suite may lie about a length: then the bytes are as many as were written.
    if f.fault then
      local range = locate.range(f)
      out.fault = {
        by = f.fault.side, requirement = f.fault.req, text = text(f.fault.text),
        first = range and range[1], last = range and range[2],
      }
    end
  end
  return out
end

-- Equal checks of one case become one that counts.
local function checks_of(r)
  local list, known = array(), {}
  for _, k in ipairs(r.checks) do
    local key = table.concat({ k.req, k.verdict or "", k.expected or "", k.observed or "" }, "\0")
    local seen = known[key]
    if seen then
      seen.times = (seen.times or 1) + 1
    else
      known[key] = {
        requirement = k.req, verdict = k.verdict, expected = text(k.expected),
        observed = text(k.observed), monitor = k.monitor or nil,
      }
      list[#list + 1] = known[key]
    end
  end
  return list
end

-- What a check observed is often a frame: the last one of the log that reads so is pointed at.
local function point_at_events(checks, events)
  for _, k in ipairs(checks) do
    for i = #events, 1, -1 do
      local e = events[i]
      if k.observed and e.dir == "<" and e.text == k.observed
        or k.monitor and e.fault and k.observed == e.text .. ": " .. e.fault.text then
        k.event = i
        break
      end
    end
  end
end

local function quoted(word)
  return word:find("^[%w%-%._/=:+,@]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command of the testee as a shell takes it.
function M.command_line(command)
  local out = {}
  for _, w in ipairs(command) do out[#out + 1] = quoted(w) end
  return table.concat(out, " ")
end

local function reproduce(id, opts)
  local out = { quoted(opts.program or "copse-tck"), "--trace", "--only", quoted(id) }
  if (opts.time_scale or 1) ~= 1 then out[#out + 1] = "--time-scale " .. opts.time_scale end
  out[#out + 1] = "-- " .. M.command_line(opts.command)
  return table.concat(out, " ")
end
M.reproduce = reproduce

local function case_entry(r, opts, cell_index)
  local c = r.case
  local entry = {
    id = c.id, area = c.area, profile = c.profile, title = text(c.title), why = text(c.why),
    file = "cases/" .. c.file, generated = c.generated and true or nil,
    requirements = array { table.unpack(c.req) }, verdict = r.verdict, reason = text(r.reason),
    termination = text(r.termination), ms = r.ms,
    repeats = (r.repeats or 1) > 1 and r.repeats or nil,
    checks = checks_of(r), exercised = sorted_keys(r.touched), cells = array(),
    reproduce = reproduce(c.id, opts),
  }
  for cell in pairs(r.cells) do entry.cells[#entry.cells + 1] = cell_index[cell] end
  table.sort(entry.cells)
  if opts.trace or r.verdict ~= "PASS" and r.verdict ~= "UNSUPPORTED" then
    entry.events = array()
    for i, e in ipairs(r.events) do
      if i > MOST_EVENTS then
        entry.events[i] = { at = e.at, link = text(e.link), dir = "*",
          text = #r.events - MOST_EVENTS .. " more events" }
        break
      end
      entry.events[i] = event(e)
    end
    point_at_events(entry.checks, entry.events)
    if r.stderr ~= "" then entry.stderr = text(r.stderr:sub(-MOST_STDERR)) end
  end
  return entry
end

-- Requirements, machines, profiles ----------------------------------------------------------------

local function verdict_of(q, h, claimed)
  if q.untestable then return "UNTESTABLE" end
  if h and h.failed[1] then return "FAIL" end
  if h and h.warned then return "WARN" end
  if h then return "PASS" end
  return claimed[q.profile] and "NOT EXERCISED" or "NOT CLAIMED"
end

-- What the run has shown of each requirement; a fault of the suite shows nothing. `cases` counts
-- those that exercised it; which ones they are, their own `exercised` says.
local function requirement_list(spec, results, claimed)
  local how = {}
  for _, r in ipairs(results) do
    for id, n in pairs(r.touched) do
      how[id] = how[id] or { checks = 0, cases = 0, failed = array() }
      how[id].checks, how[id].cases = how[id].checks + n, how[id].cases + 1
    end
    for _, k in ipairs(r.checks) do
      local h = how[k.req]
      if h and k.verdict ~= "HARNESS" and M.red[k.verdict] and h.failed[#h.failed] ~= r.case.id then
        h.failed[#h.failed + 1] = r.case.id
      elseif h and k.verdict == "WARN" then
        h.warned = true
      end
    end
  end
  local list = array()
  for i, q in ipairs(spec.requirements) do
    local h = how[q.id]
    list[i] = {
      id = q.id, area = q.area, level = q.level, section = q.section, title = q.title,
      profile = q.profile, text = q.text, untestable = q.untestable,
      verdict = verdict_of(q, h, claimed), exercised = h ~= nil, checks = h and h.checks or 0,
      cases = h and h.cases or 0, failed = h and h.failed or array(),
    }
  end
  return list
end

-- The state tables of SPEC.md, each cell with the number of cases that came by. A cell has a number
-- of its own, by which cases name it.
local function machine_list(spec, results)
  local hits, index = {}, {}
  for _, r in ipairs(results) do
    for cell in pairs(r.cells) do hits[cell] = (hits[cell] or 0) + 1 end
  end
  local machines, by, serial = array(), {}, 0
  for _, t in ipairs(spec.tables) do
    local name = t.caption:match("%[(%a+)%]$")
    if name then
      if not by[name] then
        by[name] = { name = name, tables = array() }
        machines[#machines + 1] = by[name]
      end
      local out = { caption = t.caption:gsub("%s*%[%a+%]$", ""), events = array(), rows = array() }
      for c = 2, #t.head do out.events[c - 1] = t.head[c] end
      for _, row in ipairs(t.rows) do
        local cells = array()
        for c = 2, #row do
          local key = name .. "/" .. row[1] .. "/" .. t.head[c]
          serial = serial + 1
          index[key] = serial
          cells[c - 1] = { cell = serial, result = row[c], hits = hits[key] or 0 }
        end
        out.rows[#out.rows + 1] = { state = row[1], cells = cells }
      end
      table.insert(by[name].tables, out)
    end
  end
  return machines, index
end

-- The verdict per profile: conformant is what ran as a whole without anything red. A part of the
-- cases proves nothing of the rest, and is called so.
local function profile_list(results, probe, available)
  local out = array()
  for i, name in ipairs(runner.profiles) do
    local p = { name = name, claimed = runner.claims(probe, name), counts = object(), ran = 0,
      red = 0, selected = 0 }
    for _, r in ipairs(results) do
      if r.case.profile == name then
        p.selected = p.selected + 1
        p.counts[r.verdict] = (p.counts[r.verdict] or 0) + 1
        if r.verdict ~= "UNSUPPORTED" and r.verdict ~= "BLOCKED" then p.ran = p.ran + 1 end
        if M.red[r.verdict] then p.red = p.red + 1 end
      end
    end
    p.available = available and available[name] or p.selected
    if not p.claimed and p.red == 0 then p.verdict = "NOT CLAIMED"
    elseif p.red > 0 then p.verdict = "NOT CONFORMANT"
    elseif p.ran == 0 then p.verdict = "NOT RUN"
    elseif p.selected < p.available then p.verdict = "PARTIAL"
    else p.verdict = "CONFORMANT"
    end
    out[i] = p
  end
  return out
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

-- The whole ---------------------------------------------------------------------------------------

local function testee_of(probe)
  local h = probe.hello or {}
  local features = array()
  for i, f in ipairs(h.features or {}) do features[i] = text(f) end
  return {
    agent = text(h.agent), hello = probe.hello and text(value.show(probe.hello)) or nil,
    features = features, stage = probe.stage, listens = (probe.listening or 0) > 0,
    problem = probe.stage ~= "end" and text(probe.text) or nil,
  }
end

-- Builds the structure. o: results (of the runner), probe, opts, spec, started (of os.time),
-- seconds, available (number of cases there are), available_by (the same for each profile).
function M.build(o)
  local opts = o.opts
  local claimed = {}
  for _, name in ipairs(runner.profiles) do claimed[name] = runner.claims(o.probe, name) end
  local counts = object()
  for _, r in ipairs(o.results) do counts[r.verdict] = (counts[r.verdict] or 0) + 1 end
  local machines, cell_index = machine_list(o.spec, o.results)
  local cases = array()
  for i, r in ipairs(o.results) do cases[i] = case_entry(r, opts, cell_index) end
  local r = {
    ["copse-tck-results"] = M.VERSION, suite = M.SUITE, protocol = 1,
    command = array { table.unpack(opts.command) }, seed = opts.seed, repeats = opts.repeats or 1,
    jobs = opts.jobs, time_scale = opts.time_scale or 1, trace = opts.trace or false,
    only = opts.only, skip = opts.skip, profile = opts.profile, started = o.started,
    date = os.date("!%Y-%m-%dT%H:%M:%SZ", o.started), seconds = o.seconds, selected = #o.results,
    available = o.available, testee = testee_of(o.probe), counts = counts,
    profiles = profile_list(o.results, o.probe, o.available_by), cases = cases,
    requirements = requirement_list(o.spec, o.results, claimed), machines = machines,
  }
  r.exit = M.exit_status(r)
  return r
end

-- The file ----------------------------------------------------------------------------------------

-- The order of the fields, so that two files can be compared line by line. What is not listed comes
-- at the end, sorted.
local fields = {
  "copse-tck-results", "suite", "protocol", "exit", "testee", "command", "date", "started",
  "seconds", "seed", "repeats", "jobs", "time_scale", "trace", "only", "skip", "selected",
  "available", "counts", "profiles", "cases", "requirements", "machines",
  "id", "name", "area", "profile", "verdict", "claimed", "level", "section", "title", "caption",
  "why", "text",
}

local function collect_keys(v, into)
  if type(v) ~= "table" then return end
  local list = getmetatable(v) and getmetatable(v).__jsontype == "array" or v[1] ~= nil
  for k, e in pairs(v) do
    if not list then into[k] = true end
    collect_keys(e, into)
  end
end

-- The keys of all objects in `r` in the order in which they are written.
function M.key_order(r)
  local rest, order = {}, {}
  collect_keys(r, rest)
  for i, k in ipairs(fields) do
    order[i] = k
    rest[k] = nil
  end
  for _, k in ipairs(sorted_keys(rest)) do order[#order + 1] = k end
  return order
end

local function rounded(v)
  if math.type(v) ~= "float" then return v end
  if v ~= v or v == math.huge or v == -math.huge then return 0 end
  return tonumber(string.format("%.3f", v))
end

local function copy(v)
  if type(v) ~= "table" then return rounded(v) end
  local out = setmetatable({}, getmetatable(v))
  for k, e in pairs(v) do out[k] = copy(e) end
  return out
end

-- The text of results.json: an element of a list on each line, so that diff and grep are of use.
function M.encode(r)
  local state = { keyorder = M.key_order(r) }
  local out = {}
  r = copy(r)
  local seen, names = {}, {}
  for _, k in ipairs(state.keyorder) do
    if r[k] ~= nil and not seen[k] then names[#names + 1] = k end
    seen[k] = true
  end
  for i, k in ipairs(names) do
    local v = r[k]
    local head = (i == 1 and "{" or " ") .. json.quotestring(k) .. ": "
    if type(v) == "table" and type(v[1]) == "table" then
      local lines = {}
      for n, e in ipairs(v) do lines[n] = "  " .. json.encode(e, { keyorder = state.keyorder }) end
      out[i] = head .. "[\n" .. table.concat(lines, ",\n") .. "]"
    else
      out[i] = head .. json.encode(v, { keyorder = state.keyorder })
    end
  end
  return table.concat(out, ",\n") .. "}\n"
end

local function load_json(path, key, what)
  local f, err = io.open(path, "rb")
  if not f then return nil, err end
  local bytes = f:read("a")
  f:close()
  local r, _, problem = json.decode(bytes, 1, nil)
  if type(r) ~= "table" then
    return nil, path .. ": not JSON" .. (problem and ": " .. tostring(problem) or "")
  end
  local version = r[key]
  if math.type(version) ~= "integer" then
    return nil, path .. ": not " .. what .. " of copse-tck"
  end
  if version ~= M.VERSION then
    return nil, ("%s: version %d, and this is made for version %d"):format(path, version, M.VERSION)
  end
  return r
end

-- Reads results.json. Returns nil and a text if it cannot.
function M.load(path)
  local r, err = load_json(path, "copse-tck-results", "results")
  if not r then return nil, err end
  local needed = { "cases", "requirements", "machines", "profiles", "counts", "testee", "command" }
  for _, k in ipairs(needed) do
    if type(r[k]) ~= "table" then return nil, path .. ": " .. k .. " is missing" end
  end
  return r
end

-- Reads what a run of the mutants has left: { mutants = LIST }, each with name, title, breaks,
-- failed and caught.
function M.load_mutants(path) return load_json(path, "copse-tck-mutants", "mutants") end

return M
