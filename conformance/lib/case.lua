-- SPDX-License-Identifier: MIT
--
-- What a case gets as `t`: checks that carry requirement ids, waits with budgets, testees and
-- links, and the end that is the same for all: nothing leaked, the testee finished as an actor
-- does, nothing of it survived.
--
-- A check that fails ends the case. Its requirement decides the verdict: MUST fails, SHOULD warns,
-- MAY informs.

local uv = require "luv"
local frame = require "frame"
local Link = require "link"
local process = require "process"
local value = require "value"

local T = {}
T.__index = T

local rank = {
  PASS = 0, INFO = 1, WARN = 2, UNSUPPORTED = 3, BLOCKED = 4, FAIL = 5, TIMEOUT = 6, CRASH = 7,
  HARNESS = 8,
}
T.rank = rank

local most_faults, most_events = 50, 50000
local clashes = { ["FRAME-006"] = true, ["FRAME-007"] = true }

function T.new(case, o)
  local t = setmetatable({
    case = case, spec = o.spec, opts = o.opts, probe = o.probe, dir = o.dir, checks = {},
    events = {}, links = {}, processes = {}, touched = {}, verdict = "PASS", started = uv.hrtime(),
    actor = value.ref(uv.random(16), "tck", {}), mark = o.mark, seen = o.seen, cleanup = {},
    cells = {}, scale = o.opts.time_scale or 1,
  }, T)
  t.budget = {
    await = math.floor((case.await or 10000) * t.scale), quiet = math.floor(60 * t.scale),
    watchdog = math.floor((case.watchdog or 60000) * t.scale),
  }
  return t
end

-- The wire log. Of a flood the beginning tells enough.
function T:log(e)
  local n = #self.events
  if n >= most_events then return end
  e.at = (uv.hrtime() - self.started) / 1e6
  self.events[n + 1] = n < most_events - 1 and e
    or { at = e.at, link = "suite", dir = "*", text = "the log ends here" }
end

function T:poke() if self.task then self.task:poke() end end
function T:touch(req) self.touched[req] = (self.touched[req] or 0) + 1 end

local severity = { MUST = "FAIL", ["MUST NOT"] = "FAIL", SHOULD = "WARN", ["SHOULD NOT"] = "WARN",
  MAY = "INFO" }

function T:worse(verdict)
  if rank[verdict] > rank[self.verdict] then self.verdict = verdict end
end

function T:record(c)
  if not self.spec.by_id[c.req] then error("unknown requirement " .. tostring(c.req)) end
  self:touch(c.req)
  self.checks[#self.checks + 1] = c
  if not c.ok then
    c.verdict = c.verdict or severity[self.spec.by_id[c.req].level]
    self:worse(c.verdict)
  end
end

function T:pass(req)
  if not self.spec.by_id[req] then error("unknown requirement " .. tostring(req)) end
  self:touch(req)
end

function T:check(req, ok, expected, observed)
  if ok then return self:pass(req) end
  self:fail(req, expected, observed)
end

function T:fail(req, expected, observed)
  self:record { req = req, ok = false, expected = expected, observed = observed }
  error({ stop = true }, 0)
end

-- A check that does not end the case.
function T:note(req, ok, expected, observed)
  if ok then return self:pass(req) end
  self:record { req = req, ok = false, expected = expected, observed = observed }
end

function T:is(req, observed, expected, what)
  what = what and what .. " " or ""
  self:check(req, value.eq(observed, expected), what .. value.show(expected), what
    .. value.show(observed))
end

function T:unsupported(text) error({ verdict = "UNSUPPORTED", text = text }, 0) end
function T:blocked(text) error({ verdict = "BLOCKED", text = text }, 0) end

-- Waits for what must come. The result is that of condition(); none in time is TIMEOUT.
function T:await(condition, what, req, ms)
  local got = self.task:wait(condition, ms or self.budget.await)
  if got then return got end
  self:record { req = req or self.case.req[1], ok = false, verdict = "TIMEOUT", expected = what,
    observed = "nothing within " .. (ms or self.budget.await) .. " ms" }
  error({ stop = true }, 0)
end

-- Lets the loop turn for the quiet budget: for what must not come where no barrier is possible.
function T:quiet(condition)
  return self.task:wait(condition or function() return false end, self.budget.quiet)
end

-- Asks again and again, for the budget of a wait or for `ms`, what no frame tells. Returns the last
-- result of fn().
function T:poll(fn, ms)
  local limit = uv.hrtime() + (ms or self.budget.await) * 1000000
  for try = 1, math.maxinteger do
    local got = fn()
    if got or uv.hrtime() > limit then return got end
    self:elapse(math.min(5 * try, 50) * self.scale)
  end
end

-- Lets `ms` pass. Only for rules of the protocol that are themselves about time.
function T:elapse(ms) self.task:wait(function() return false end, ms) end

-- Faults of the suite that are none where the peer announces less than the default.
local limit_of = { ["LIMIT-004"] = "frame", ["LIMIT-007"] = "contexts", ["LIMIT-008"] = "partials",
  ["LIMIT-010"] = "message" }
local default_limit = { frame = 65536, message = 1048576, contexts = 256, partials = 8 }

-- Whether the case needs more than the peer takes. If so it ends as UNSUPPORTED.
function T:too_much(link, side, req)
  local name = side == "suite" and limit_of[req]
  local most = name and link.monitor.limits.peer[name]
  if self.task.interrupted or self.beyond then return self.beyond end
  if not most or most >= default_limit[name] then return false end
  self.beyond = true
  self.task:interrupt { verdict = "UNSUPPORTED",
    text = "the testee announces " .. name .. " " .. most .. ", and the case needs more" }
  return true
end

function T:monitor_fault(link, side, req, text, f)
  f.fault = { side = side, req = req, text = text }
  if self:too_much(link, side, req) then return end
  local c = { req = req, ok = false, observed = frame.show(f) .. ": " .. text }
  if side == "suite" then
    c.verdict, c.expected = "HARNESS", "a legal frame of the suite"
  else
    c.expected = "a frame that is legal here (link " .. link.name .. ")"
  end
  c.monitor = true
  self:record(c)
  -- A peer that breaks rules as fast as it can is not followed for ever; and where the ids of both
  -- sides clash, nobody knows whose context a frame is on.
  self.faults = (self.faults or 0) + 1
  if self.faults == most_faults or side == "peer" and clashes[req] then
    link:hold()
    self.task:interrupt { stop = true }
  end
end

-- Testees -----------------------------------------------------------------------------------------

-- Starts the testee; returns the suite's end of its link, on which nothing has been said yet.
function T:spawn(o)
  local p = process.start(self, o)
  if not p.stream then return nil, p end
  local link = Link.new(self, { name = p.name, connector = false, stream = p.stream })
  link.process, p.link = p, link
  return link, p
end

function T:actor_args(o)
  local args = value.map { parent = self.actor }
  for k, v in pairs(o or {}) do args[k] = v end
  return args
end

-- HELLO both ways. o: the fields of the suite's HELLO.
function T:handshake(link, o)
  local h = link:expect_hello()
  link:hello(o)
  return h
end

function T:require_profile(link)
  local want = self.case.profile
  if not want or want == "core" then return end
  for _, name in ipairs(link.peer.features or {}) do if name == want then return end end
  self:unsupported("the testee does not claim the feature " .. want)
end

-- Starts a testee, boots it as an actor, and takes its figures as the baseline for leaks.
-- o: those of spawn, hello (fields of HELLO), args (of copse.actor), listen (true: on a unix
-- socket), stat (false: no baseline).
function T:boot(o)
  o = o or {}
  local link = self:spawn(o)
  self:handshake(link, o.hello)
  self:require_profile(link)
  local args = self:actor_args(o.args)
  if o.listen then
    args.listen = value.array { o.listen == true and "unix:" .. self:path("l") or o.listen }
  end
  link.actor = link:open("copse.actor", args, { send = true })
  local f = link.actor:expect("STARTED", "ACTOR-005")
  link.listening = value.is_map(f.value) and f.value.listen or value.array {}
  if o.stat ~= false and self.case.leak ~= false then link.baseline = self:stat(link) end
  return link
end

-- A socket path of this case.
function T:path(name)
  if not self.made then
    self.made = assert(uv.fs_mkdtemp(self.dir .. "/XXXXXX"))
  end
  self.serial = (self.serial or 0) + 1
  return self.made .. "/" .. name .. self.serial
end

-- A second link to a booted testee, dialled by the suite. HELLO is exchanged unless o.raw.
function T:dial(link, o)
  o = o or {}
  local address = link.listening[1]
  if not address then self:unsupported("the testee listens nowhere") end
  local path = address:match("^unix:(.+)")
  if not path then self:blocked("an address that the suite did not ask for: " .. address) end
  local s = uv.new_pipe(false)
  local connected, err
  s:connect(path, function(e) connected, err = not e, e; self:poke() end)
  self:await(function() return connected ~= nil and (connected or err) end, "a connection",
    "ACTOR-005")
  if err then self:fail("ACTOR-005", "a listener at " .. address, err) end
  self.dialled = (self.dialled or 0) + 1
  local d = Link.new(self, { name = "dialled" .. self.dialled, connector = true, stream = s })
  d.parent = link
  if o.raw then return d end
  local h = o.hello or {}
  if h.actor == nil then h.actor = value.ref(uv.random(16), "dialler", {}) end
  d:hello(h)
  d:expect_hello("HELLO-002")
  return d
end

-- Listens on a unix socket of the suite. on_connect(stream) is called for each connection.
function T:listen(path, on_connect)
  local server = uv.new_pipe(false)
  assert(server:bind(path))
  assert(server:listen(8, function()
    local s = uv.new_pipe(false)
    server:accept(s)
    on_connect(s)
  end))
  self.cleanup[#self.cleanup + 1] = function() server:close() end
  return server
end

-- The figures of tck.stat.
local stat_keys = { "pid", "inbound", "outbound", "running", "ran", "cancelled", "fds", "rss" }

function T:stat(link)
  local v = link:call("tck.stat", value.map {}, "KIND-018")
  self:check("EXT-001", value.is_map(v), "a map from tck.stat", value.show(v))
  for _, key in ipairs(stat_keys) do
    self:check("EXT-001", math.type(v[key]) == "integer", "tck.stat with an integer " .. key,
      value.show(v))
  end
  self:check("EXT-001", value.is_array(v.children) and value.is_array(v.log),
    "tck.stat with arrays log and children", value.show(v))
  return v
end

-- The gate handlers of the testee: open_gate returns when the gate is open.
function T:open_gate(link, key) return link:call("tck.open_gate", value.map { key = key }) end

-- The log that tck.cleanup writes, as a list of str.
function T:testee_log(link)
  local list = self:stat(link).log
  local out = {}
  for i = 1, list and list.n or 0 do out[i] = list[i] end
  return out
end

-- The same when it has n entries, or when they do not come.
function T:await_log(link, n)
  local log
  self:poll(function()
    log = self:testee_log(link)
    return #log >= n
  end)
  return log
end

-- Proof that the testee lives and serves: a call that is answered.
function T:alive(link)
  local n = math.random(1 << 30)
  local c = link:open("tck.echo", value.map { v = n })
  c:returns(n, "KIND-018")
end

-- The end of a case -------------------------------------------------------------------------------

local leaks = { "inbound", "outbound", "running", "fds" }

function T:leak_check(link)
  local before, wrong, now = link.baseline, nil, nil
  for try = 1, 60 do
    now, wrong = self:stat(link), nil
    for _, key in ipairs(leaks) do
      if math.type(before[key]) == "integer" and math.type(now[key]) == "integer"
        and now[key] > before[key] then
        wrong = key
      end
    end
    local children = value.is_array(now.children) and now.children.n or 0
    if children > 0 then wrong = "children" end
    if not wrong then
      self:pass("MODEL-008")
      return
    end
    self:elapse(math.min(5 * try, 100) * self.scale)
  end
  self:note(wrong == "children" and "LADDER-006" or "MODEL-008", false,
    "tck.stat: " .. wrong .. " back at " .. value.show(before[wrong]), value.show(now[wrong]))
end

function T:open_contexts(link)
  local n = 0
  for _, c in pairs(link.monitor.ctx) do
    if c.life ~= "ended" and not (link.actor and c.id == link.actor.id) then n = n + 1 end
  end
  return n
end

-- Ends a booted testee as a parent does: END where nothing is open any more, else CANCEL.
function T:finish_actor(link)
  if link.baseline and self:open_contexts(link) == 0 then self:leak_check(link) end
  link.finishing = true
  local polite = self:open_contexts(link) == 0
  if polite then
    link.actor:finish()
  else
    self:answer_open(link)
    link.actor:cancel { origin = "parent", grace = 1000 }
  end
  local f = link.actor:next("the terminal of copse.actor", polite and "ACTOR-012" or "ACTOR-015")
  if polite then
    self:check("ACTOR-012", f.name == "RETURN", "RETURN on copse.actor after END", frame.show(f))
  else
    self:check("ACTOR-015", f.name == "CANCELLED", "CANCELLED on copse.actor", frame.show(f))
    self:check("ACTOR-016", self:open_contexts(link) == 0, "no other context open at the terminal",
      self:open_contexts(link) .. " open")
  end
  self:await(function() return link.eof end, "the end of the link", "SPAWN-014")
  link:close()
  self:expect_exit(link.process, 0)
end

-- Contexts that the testee opened on the suite and that are still open: cancelled ones are
-- answered, now and from now on.
function T:answer_open(link)
  for id, c in pairs(link.monitor.ctx) do
    if not c.mine and c.life ~= "ended" and c.cancelled and c.life ~= "opening" then
      link:send { "CANCELLED", id, value = value.map { origin = "parent", ran = true } }
    end
  end
  local on_frame = link.on_frame
  link.on_frame = function(l, f)
    on_frame(l, f)
    local c = l.monitor.ctx[f.ctx]
    if not c or c.mine or c.life == "ended" or c.life == "opening" then return end
    if f.name == "CANCEL" then
      l:send { "CANCELLED", f.ctx, value = value.map { origin = "parent", ran = true } }
    elseif f.name == "OPEN" and not f.more then
      l:send { "ERROR", f.ctx, value = value.map { code = "closing", message = "" } }
    end
  end
end

function T:expect_exit(p, status)
  self:await(function() return p.exit end, "the exit of the testee", "SPAWN-014")
  local e = p.exit
  if e.signal ~= 0 then return self:crash(p) end
  self:check("SPAWN-014", e.status == status, "exit status " .. status, "exit status " .. e.status)
end

function T:crash(p)
  self:record { req = "ODD-004", ok = false, verdict = "CRASH",
    expected = "a testee that goes on or ends in order",
    observed = "killed by signal " .. p.exit.signal }
end

-- The end of a booted testee in order: that of its link, then that of its process.
function T:ends(link, status)
  link:await_eof("SPAWN-014")
  link:close()
  self:expect_exit(link.process, status or 0)
end

-- A testee whose link is gone has to end by itself.
function T:expect_gone(p)
  if p.exit then return end
  if not self.task:wait(function() return p.exit end, self.budget.await) then
    self:note("SPAWN-024", false, "the exit of a child whose link is lost", "pid " .. p.pid
      .. " lives on")
  else
    self:pass("SPAWN-024")
  end
end

-- What every case does when its body has ended well.
function T:conclude()
  for _, link in ipairs(self.links) do
    if link.connector and not link.closed and not link.violated and not link.eof and not link.loose
      and link.hello_received then
      -- A dialled link ends in agreement.
      if self:open_contexts(link) == 0 then
        if not link.bye_sent then link:bye() end
        link:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
        link:shutdown()
        link:await_eof("LINK-010")
      end
    end
    if link.connector then link:close() end
  end
  for _, link in ipairs(self.links) do
    if link.actor and not link.closed and not link.violated and not link.eof and not link.bye_sent
      and not link.loose then
      self:finish_actor(link)
    end
  end
  for _, link in ipairs(self.links) do link:close() end
  for _, p in ipairs(self.processes) do if not p.loose then self:expect_gone(p) end end
end

-- A testee whose link has ended is about to be reaped: how it ended is worth a moment.
function T:last_words()
  for _, p in ipairs(self.processes) do
    local link = p.link
    if not p.exit and link and link.eof then p:wait(1000 * self.scale) end
  end
end

-- Runs after conclude, also where the case failed: closes and kills all that is left.
function T:tear_down()
  for _, link in ipairs(self.links) do
    for cell in pairs(link.monitor.cells) do self.cells[cell] = true end
    link:close()
  end
  for _, p in ipairs(self.processes) do
    if p.exit and p.exit.signal ~= 0 and not p.expected[p.exit.signal] then
      local known = false
      for _, c in ipairs(self.checks) do known = known or c.verdict == "CRASH" end
      if not known then self:crash(p) end
    end
    local line = p:sanitizer()
    if line then
      self:record { req = "ODD-004", ok = false, verdict = "CRASH",
        expected = "no finding of a sanitizer", observed = line }
    end
  end
  self:survivors()
  for _, p in ipairs(self.processes) do p:destroy() end
  for _, fn in ipairs(self.cleanup) do pcall(fn) end
  if self.made then
    local dir = uv.fs_scandir(self.made)
    while dir do
      local name = uv.fs_scandir_next(dir)
      if not name then break end
      uv.fs_unlink(self.made .. "/" .. name)
    end
    uv.fs_rmdir(self.made)
  end
end

-- Descendants of the testees that live although their testee has gone.
function T:survivors()
  if not self.case.processes then return end
  local mine = {}
  for _, p in ipairs(self.processes) do if not p.exit then mine[p.pid] = true end end
  local left = {}
  for _, pid in ipairs(process.marked(self.mark)) do
    if not mine[pid] then left[#left + 1] = pid end
  end
  if #left > 0 then
    if self.verdict == "PASS" then
      self:note("MODEL-009", false, "nothing of the testee's tree left", "pids "
        .. table.concat(left, ", "))
    end
    for _, pid in ipairs(left) do uv.kill(pid, 9) end
  else
    self:pass("MODEL-009")
  end
end

-- How the testee ended: the second axis.
function T:termination()
  local p, link = self.processes[1], self.links[1]
  if not p then return "none" end
  local how
  if not p.exit then how = "killed by the suite"
  elseif p.exit.signal ~= 0 then
    how = (p.expected[p.exit.signal] and "killed" or "died") .. " (signal " .. p.exit.signal .. ")"
  else how = "exit " .. p.exit.status
  end
  if link and link.bye_received and link.bye_received.value then
    return "BYE " .. tostring(link.bye_received.value.code) .. ", " .. how
  end
  if link and link.read_error then return "reset, " .. how end
  return (link and link.eof and "end of input, " or "") .. how
end

return T
