-- SPDX-License-Identifier: MIT
--
-- Loads the cases, chooses, shuffles, runs them side by side, and adds the verdicts up.
--
-- Before the first case a probe boots the testee once. What it shows (how far the testee comes, what
-- it claims) decides which cases can run at all: a case whose prerequisite failed is BLOCKED, which
-- is red; a case of a profile that the testee does not claim is UNSUPPORTED, which is not.

local uv = require "luv"
local Task = require "task"
local T = require "case"
local value = require "value"

local M = {}

M.profiles = { "core", "stream", "spawn", "registry" }

-- Cases -------------------------------------------------------------------------------------------

local function check_case(c, file, spec, seen)
  local function bad(text) error(file .. ": case " .. tostring(c.id) .. ": " .. text, 0) end
  if type(c.id) ~= "string" or not c.id:find("^[%w.+-]+$") then bad("an id of letters, digits, . and -") end
  if seen[c.id] then bad("the id is used twice") end
  seen[c.id] = true
  if type(c.req) == "string" then c.req = { c.req } end
  if type(c.req) ~= "table" or #c.req == 0 then bad("no requirement") end
  for _, id in ipairs(c.req) do
    if not spec.by_id[id] then bad("SPEC.md has no requirement " .. id) end
  end
  if type(c.title) ~= "string" or type(c.run) ~= "function" then bad("a title and a run are needed") end
  c.profile, c.needs, c.file = c.profile or "core", c.needs or "boot", file
end

-- Loads cases/*.lua. Raises a text if one is ill-formed.
function M.load(dir, spec)
  local cases, seen, names = {}, {}, {}
  local scan = assert(uv.fs_scandir(dir))
  while true do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    if name:find("%.lua$") then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local chunk, err = loadfile(dir .. "/" .. name)
    if not chunk then error(err, 0) end
    local function case(c)
      check_case(c, name, spec, seen)
      c.area = name:gsub("%.lua$", ""):gsub("^%d+%-", "")
      cases[#cases + 1] = c
    end
    chunk(case, spec)
  end
  return cases
end

local function matches(c, pattern)
  for word in pattern:gmatch("[^,]+") do
    local plain = word:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
    if c.id:find("^" .. plain .. "$") or c.id:find("^" .. plain .. "%.") then return true end
    for _, r in ipairs(c.req) do if r:find("^" .. plain .. "$") then return true end end
  end
  return false
end

function M.select(cases, opts)
  local out = {}
  for _, c in ipairs(cases) do
    local good = not opts.profile or c.profile == opts.profile
    good = good and (not opts.only or matches(c, opts.only))
    good = good and not (opts.skip and matches(c, opts.skip))
    if good then out[#out + 1] = c end
  end
  return out
end

local function shuffle(list, seed)
  math.randomseed(seed)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
end

-- One case ----------------------------------------------------------------------------------------

local function describe(err, trace)
  if type(err) == "table" then return err.text or err.verdict end
  return trace or tostring(err)
end

local function settle(t, err, trace)
  if type(err) == "table" and err.stop then return end
  if type(err) == "table" and err.verdict then
    t:worse(err.verdict)
    t.reason = err.text
    return
  end
  t:worse("HARNESS")
  t.reason = describe(err, trace)
end

local function summary(t)
  local first = t.checks[1]
  for _, c in ipairs(t.checks) do if T.rank[c.verdict] > T.rank[first.verdict] then first = c end end
  local stderr = t.processes[1] and t.processes[1].stderr or ""
  return {
    case = t.case, verdict = t.verdict, reason = t.reason, checks = t.checks, events = t.events,
    touched = t.touched, cells = t.cells, ms = (uv.hrtime() - t.started) / 1e6,
    termination = t:termination(), stderr = stderr, worst = first,
    stdout = t.processes[1] and t.processes[1].stdout or "",
  }
end

-- Runs one case; done(result) is called when all of it is over.
function M.run_case(case, o, done)
  local t = T.new(case, o)
  local watchdog = uv.new_timer()
  t.task = nil
  local function body()
    case.run(t)
    t:conclude()
  end
  local function finish(_, err, trace)
    watchdog:close()
    if err then settle(t, err, trace) end
    local ok, problem = pcall(t.tear_down, t)
    if not ok then settle(t, problem, tostring(problem)) end
    done(summary(t))
  end
  watchdog:start(t.budget.watchdog, 0, function()
    t:record { req = case.req[1], ok = false, verdict = "TIMEOUT", expected = "the end of the case",
      observed = "still running after " .. t.budget.watchdog .. " ms" }
    t.task:interrupt { stop = true }
  end)
  -- The task must be known before its body first waits.
  local started = false
  local wrapper = function(task)
    t.task = task
    started = true
    body()
  end
  Task.start(wrapper, function(ok, err, trace)
    if not started then error("the case did not start") end
    finish(ok, not ok and err or nil, trace)
  end)
end

-- The probe ---------------------------------------------------------------------------------------

local stages = { spawn = 0, hello = 1, boot = 2, serve = 3 }
M.stages = stages

-- What the testee is and how far it comes: { stage, hello, listening, stat, text }.
function M.probe(o, done)
  local seen = { stage = "spawn" }
  local case = {
    id = "probe", req = { "EXT-001" }, title = "the probe", profile = "core", await = 10000,
    run = function(t)
      local link = t:spawn()
      seen.hello = t:handshake(link)
      seen.stage = "hello"
      link.actor = link:open("copse.actor", t:actor_args { listen = value.array { "unix:" .. t:path("p") } },
        { send = true })
      local f = link.actor:expect("STARTED", "ACTOR-005")
      link.listening = value.is_map(f.value) and f.value.listen or nil
      seen.listening = link.listening and link.listening.n or 0
      seen.stage = "boot"
      t:alive(link)
      seen.stat = t:stat(link)
      seen.stage = "serve"
      link.loose = true
    end,
  }
  M.run_case(case, o, function(result)
    seen.result = result
    seen.text = result.reason or result.worst and (result.worst.expected .. ": " .. result.worst.observed)
    done(seen)
  end)
end

local function claims(probe, profile)
  if profile == "core" then return true end
  for _, name in ipairs(probe.hello and probe.hello.features or {}) do
    if name == profile then return true end
  end
  return false
end
M.claims = claims

-- All ---------------------------------------------------------------------------------------------

local function skipped(case, verdict, reason)
  return { case = case, verdict = verdict, reason = reason, checks = {}, events = {}, touched = {},
    cells = {}, ms = 0, termination = "not started", stderr = "", stdout = "" }
end

-- Several results of one case become one: the worst, or FLAKY if they disagree.
local function merge(results)
  local worst, same = results[1], true
  for _, r in ipairs(results) do
    if r.verdict ~= results[1].verdict then same = false end
    if T.rank[r.verdict] > T.rank[worst.verdict] then worst = r end
  end
  worst.repeats = #results
  if not same then
    local count = {}
    for _, r in ipairs(results) do count[r.verdict] = (count[r.verdict] or 0) + 1 end
    local parts = {}
    for v, n in pairs(count) do parts[#parts + 1] = n .. " " .. v end
    table.sort(parts)
    if worst.verdict ~= "CRASH" and worst.verdict ~= "HARNESS" then worst.verdict = "FLAKY" end
    worst.reason = table.concat(parts, ", ") .. " of " .. #results
  end
  for _, r in ipairs(results) do
    for k, n in pairs(r.touched) do worst.touched[k] = (worst.touched[k] or 0) + (r == worst and 0 or n) end
  end
  return worst
end

-- Runs the cases. progress(result, count, total) after each; done(results, probe) at the end, the
-- results in the order of `cases`.
function M.run(cases, o, progress, done)
  local base = { spec = o.spec, opts = o.opts, dir = o.dir }
  local serial = 0
  local function options(probe)
    serial = serial + 1
    return { spec = base.spec, opts = base.opts, dir = base.dir, probe = probe,
      mark = o.mark .. "." .. serial }
  end
  M.probe(options(), function(probe)
    local queue, collected, left, running = {}, {}, 0, 0
    local stage = stages[probe.stage]
    for _, c in ipairs(cases) do
      collected[c] = {}
      if not claims(probe, c.profile) and probe.stage ~= "spawn" then
        collected[c][1] = skipped(c, "UNSUPPORTED", "the feature " .. c.profile .. " is not claimed")
      elseif stage < stages[c.needs] then
        collected[c][1] = skipped(c, "BLOCKED", "the testee does not come so far: " .. (probe.text or ""))
      else
        for _ = 1, o.opts.repeats or 1 do queue[#queue + 1] = c end
      end
    end
    shuffle(queue, o.opts.seed)
    left = #queue
    local total, finished, next_one = #queue, 0, 1
    local function finish()
      local results = {}
      for _, c in ipairs(cases) do results[#results + 1] = merge(collected[c]) end
      done(results, probe)
    end
    if left == 0 then return finish() end
    local launch
    local function pump()
      while running < (o.opts.jobs or 2) and next_one <= #queue do
        local c = queue[next_one]
        if c.alone and running > 0 then return end
        next_one = next_one + 1
        launch(c)
        if c.alone then return end
      end
    end
    local alone
    function launch(c)
      running = running + 1
      alone = c.alone
      M.run_case(c, options(probe), function(result)
        running, alone = running - 1, false
        finished, left = finished + 1, left - 1
        local list = collected[c]
        list[#list + 1] = result
        progress(result, finished, total)
        if left == 0 then return finish() end
        -- A fresh stack for each case.
        local timer = uv.new_timer()
        timer:start(0, 0, function()
          timer:close()
          if not alone then pump() end
        end)
      end)
    end
    pump()
  end)
end

return M
