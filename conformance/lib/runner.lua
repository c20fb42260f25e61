-- SPDX-License-Identifier: MIT
--
-- Loads the cases, chooses, shuffles, runs them side by side, and adds the verdicts up.
--
-- Before the first case the probe (cases/00-probe.lua) boots the testee once. What it shows, how
-- far the testee comes and what it claims, decides which cases can run at all: a case whose
-- prerequisite failed is BLOCKED, which is red; a case of a profile that the testee does not claim
-- is UNSUPPORTED, which is not. A testee that stops answering costs a few timeouts, not one for
-- every case.
--
-- The result of a case, from which every report is made:
--
--   case         the stanza, with id, req, title, why, profile, area, file
--   verdict      PASS; WARN (a SHOULD is broken); INFO (a MAY is not used); FAIL (a MUST is
--                broken); CRASH (the testee died of it); TIMEOUT (what must come did not);
--                UNSUPPORTED (not claimed); BLOCKED (cannot be judged); FLAKY (repeats disagree);
--                HARNESS (the suite is at fault). Of several checks the worst counts.
--   termination  how the testee ended: the second axis
--   reason       a text where no check tells it, else nil
--   checks       list of { req, verdict, expected, observed, monitor }: those that failed
--   touched      requirement id -> number of times it was looked at
--   cells        set of "machine/state/event" of SPEC.md's tables that came by
--   events       the wire log: list of { at (ms), link, dir, text, frame, bytes, before, after }
--   stderr, stdout, ms, repeats

local uv = require "luv"
local Task = require "task"
local T = require "case"
local process = require "process"

local M = {}

-- After so many timeouts the rest is not tried: in a row, or in all where the probe has failed.
local patience, little_patience = 12, 4

M.profiles = { "core", "stream", "spawn", "registry" }
-- Verdicts that speak against nobody.
local harmless = { PASS = true, WARN = true, INFO = true, UNSUPPORTED = true }
M.is_profile = {}
for _, name in ipairs(M.profiles) do M.is_profile[name] = true end

-- How far a testee comes, and how far it must for a case that says what it needs.
M.stages = { nothing = 0, start = 1, hello = 2, boot = 3, serve = 4, ["end"] = 5 }
M.needs = { spawn = "hello", hello = "hello", boot = "end" }

-- Cases -------------------------------------------------------------------------------------------

local function check_case(c, file, spec, seen)
  local function bad(text) error(file .. ": case " .. tostring(c.id) .. ": " .. text, 0) end
  if type(c.id) ~= "string" or not c.id:find("^[%w.+-]+$") then
    bad("an id of letters, digits, . and -")
  end
  if seen[c.id] then bad("the id is used twice") end
  seen[c.id] = true
  if type(c.req) == "string" then c.req = { c.req } end
  if type(c.req) ~= "table" or #c.req == 0 then bad("no requirement") end
  for _, id in ipairs(c.req) do
    if not spec.by_id[id] then bad("SPEC.md has no requirement " .. id) end
  end
  if type(c.title) ~= "string" or type(c.run) ~= "function" then
    bad("a title and a run are needed")
  end
  c.profile, c.needs, c.file = c.profile or "core", c.needs or "boot", file
  if not M.needs[c.needs] then bad("it needs " .. tostring(c.needs) .. ", which is no stage") end
  if c.profile and not M.is_profile[c.profile] then bad("no profile " .. c.profile) end
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

-- The order by `seed`; 0 leaves it as the files have it.
local function shuffle(list, seed)
  if seed == 0 then return end
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
  for _, c in ipairs(t.checks) do
    if T.rank[c.verdict] > T.rank[first.verdict] then first = c end
  end
  local stderr = t.processes[1] and t.processes[1].stderr or ""
  return {
    case = t.case, verdict = t.verdict, reason = t.reason, checks = t.checks, events = t.events,
    touched = t.touched, cells = t.cells, ms = (uv.hrtime() - t.started) / 1e6,
    termination = t:termination(), stderr = stderr, worst = first,
    stdout = t.processes[1] and t.processes[1].stdout or "",
  }
end

-- Whether the peer has sent what the schema or the tables forbid: a case that then trips over what
-- it reads there is not at fault, and the monitor has said what is.
local function misled(t)
  for _, c in ipairs(t.checks) do
    if c.monitor and c.verdict == "FAIL" then return true end
  end
  return false
end

-- Runs one case; done(result) is called when all of it is over.
function M.run_case(case, o, done)
  local t = T.new(case, o)
  local watchdog = uv.new_timer()
  t.task = nil
  local function body()
    local trace
    local ok, err = xpcall(function()
      case.run(t)
      t:conclude()
    end, function(e)
      trace = type(e) == "table" and "" or debug.traceback(tostring(e), 2)
      return e
    end)
    if ok then return end
    t:last_words()
    if trace == "" then error(err, 0) end
    if not misled(t) then error({ verdict = "HARNESS", text = trace }, 0) end
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

function M.probe_of(cases)
  for _, c in ipairs(cases) do if c.probe then return c end end
end

-- What the testee is and how far it comes: { stage, hello, listening, stat, text, result }.
function M.probe(case, o, done)
  local seen = { stage = "nothing" }
  o.seen = seen
  M.run_case(case, o, function(result)
    local first = result.worst
    if not harmless[result.verdict] and seen.stage == "end" then seen.stage = "serve" end
    seen.result = result
    seen.text = result.reason
      or first and ("expected " .. (first.expected or "?") .. ", observed " .. (first.observed
        or "?"))
    done(seen)
  end)
end

local function claims(probe, profile)
  if profile == "core" then return true end
  local list = probe.hello and probe.hello.features
  for _, name in ipairs(type(list) == "table" and list or {}) do
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

-- Takes one more result of a case: the worst is kept, and how often each verdict came.
local function add(entry, result)
  entry.n = entry.n + 1
  entry.counts[result.verdict] = (entry.counts[result.verdict] or 0) + 1
  local kept = entry.kept
  if not kept then
    entry.kept = result
    return
  end
  local worse = T.rank[result.verdict] > T.rank[kept.verdict]
  local better, other = worse and result or kept, worse and kept or result
  for k, n in pairs(other.touched) do better.touched[k] = (better.touched[k] or 0) + n end
  for k in pairs(other.cells) do better.cells[k] = true end
  entry.kept = better
end

-- Several results of one case become one: the worst, or FLAKY if they disagree.
local function merged(entry)
  local r = entry.kept
  r.repeats = entry.n
  local parts = {}
  for v, n in pairs(entry.counts) do parts[#parts + 1] = n .. " " .. v end
  if #parts > 1 then
    table.sort(parts)
    local text = table.concat(parts, ", ") .. " of " .. entry.n
    r.reason = r.reason and text .. "; " .. r.reason or text
    if r.verdict ~= "HARNESS" then r.verdict = "FLAKY" end
  end
  return r
end

-- Processes that outlived the run, for each case by its mark. A testee that the suite killed may
-- take a moment, and so may what watches over it.
local function survivors(mark, scale, done)
  local tries = 0
  local timer = uv.new_timer()
  timer:start(0, math.ceil(50 * scale), function()
    local left = process.marked(mark, true)
    tries = tries + 1
    if #left > 0 and tries < 100 then return end
    timer:close()
    done(left)
  end)
end

local Run = {}
Run.__index = Run

function Run:options(probe)
  self.serial = self.serial + 1
  local mark = self.o.mark .. "." .. self.serial
  return { spec = self.o.spec, opts = self.o.opts, dir = self.o.dir, probe = probe, mark = mark }
end

-- Sorts out what cannot run; the rest is queued, as often as it is to be repeated.
function Run:plan()
  local probe, stage = self.probe, M.stages[self.probe.stage]
  for _, c in ipairs(self.cases) do
    local entry = { n = 0, counts = {} }
    self.entries[c] = entry
    if c.probe then
      add(entry, probe.result)
    elseif stage < M.stages[M.needs[c.needs]] then
      add(entry, skipped(c, "BLOCKED", "the probe failed: " .. (probe.text or "no text")))
    elseif not claims(probe, c.profile) then
      add(entry, skipped(c, "UNSUPPORTED", "the feature " .. c.profile .. " is not claimed"))
    else
      for _ = 1, self.o.opts.repeats or 1 do
        self.queue[#self.queue + 1] = c
      end
    end
  end
  shuffle(self.queue, self.o.opts.seed)
  -- Cases that only wait cost no processor: they run beside the others, from the beginning.
  if self.jobs > 1 then
    local busy = {}
    for _, c in ipairs(self.queue) do table.insert(c.waits and self.waiting or busy, c) end
    self.queue = busy
  end
  self.total = #self.queue + #self.waiting
end

-- The next case that may start now, and what it takes: a slot, or one of those for waiting.
function Run:next()
  if self.stopped or self.alone then return end
  local w = self.waiting[1]
  if w and self.dozing < 4 then return table.remove(self.waiting, 1), "dozing" end
  local c = self.queue[self.at]
  if not c or self.running >= self.jobs then return end
  if c.alone and self.running + self.dozing > 0 then return end
  self.at = self.at + 1
  return c, "running"
end

function Run:pump()
  local c, lane = self:next()
  while c do
    self:launch(c, lane)
    c, lane = self:next()
  end
  if self.running + self.dozing == 0 and (self.stopped or self.finished == self.total) then
    self:wind_up()
  end
end

function Run:launch(c, lane)
  self[lane] = self[lane] + 1
  self.alone = c.alone
  local o = self:options(self.probe)
  self.marks[o.mark] = c
  M.run_case(c, o, function(result)
    self[lane] = self[lane] - 1
    self.alone = false
    self:take(c, result)
    -- A fresh stack for each case.
    local timer = uv.new_timer()
    timer:start(0, 0, function()
      timer:close()
      self:pump()
    end)
  end)
end

function Run:take(c, result)
  self.finished = self.finished + 1
  local entry = self.entries[c]
  if harmless[result.verdict] and not self.o.opts.trace then result.events = {} end
  add(entry, result)
  local good_probe = harmless[self.probe.result.verdict]
  if result.verdict == "TIMEOUT" then
    self.timeouts = self.timeouts + 1
  elseif good_probe then
    self.timeouts = 0
  end
  if self.timeouts >= (good_probe and patience or little_patience)
    and not self.o.opts.keep_going then
    self.stopped = "given up after " .. self.timeouts .. " timeouts (--keep-going goes on)"
  elseif self.o.opts.fail_fast and not harmless[result.verdict] then
    self.stopped = "fail-fast"
  end
  self.progress(result, self.finished, self.total)
end

function Run:wind_up()
  survivors(self.o.mark, self.o.opts.time_scale or 1, function(left)
    for _, pid in ipairs(left) do
      local case = self.marks[process.mark_of(pid) or ""]
      local r = case and self.entries[case] and self.entries[case].kept or self.probe.result
      if r then
        r.checks[#r.checks + 1] = { req = "MODEL-009", verdict = "FAIL", observed = "pid " .. pid,
          expected = "nothing of the testee's tree left after the run" }
        r.touched["MODEL-009"] = (r.touched["MODEL-009"] or 0) + 1
        if harmless[r.verdict] then r.verdict = "FAIL" end
      end
      uv.kill(pid, 9)
    end
    local results = {}
    local probe = self.probe.result
    if not harmless[probe.verdict] and not self.entries[probe.case] then results[1] = probe end
    for _, c in ipairs(self.cases) do
      local entry = self.entries[c]
      if entry.n == 0 and self.stopped ~= "fail-fast" then
        add(entry, skipped(c, "BLOCKED", self.stopped))
      end
      if entry.n > 0 then results[#results + 1] = merged(entry) end
    end
    self.done(results, self.probe)
  end)
end

-- Runs the cases. o: spec, opts, dir, mark, probe (the case that goes first). progress(result,
-- count, total) after each; done(results, probe) at the end, the results in the order of `cases`,
-- the probe before them if it failed.
function M.run(cases, o, progress, done)
  local run = setmetatable({
    cases = cases, o = o, progress = progress, done = done, serial = 0, entries = {}, queue = {},
    waiting = {}, marks = {}, at = 1, running = 0, dozing = 0, finished = 0, total = 0,
    timeouts = 0, jobs = o.opts.jobs or 2,
  }, Run)
  local options = run:options()
  run.marks[options.mark] = o.probe
  M.probe(o.probe, options, function(probe)
    run.probe = probe
    run:plan()
    run:pump()
  end)
end

return M
