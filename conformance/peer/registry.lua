-- SPDX-License-Identifier: MIT
--
-- The registry profile (chapter 17). A name is listed while the context that registered it is open,
-- and nothing else is kept, so nothing can go stale. Also copse.info, which every actor answers.

local uv = require "luv"
local codec = require "peer.codec"
local failure = require "peer.failure"
local hooks = require "peer.hooks"
local scope = require "peer.scope"
local task = require "peer.task"

local M = {}

local WATCH_BOUND = 1024 -- changes kept for a watcher that grants no credit [REG-008]
local INFO_BOUND = 1000 -- ms for a child to answer [REG-011]

local function name_of(args, optional)
  local name = codec.is_map(args) and args.name or nil
  if not (optional and name == nil) and not codec.is_name(name) then
    failure.raise("bad_args", "name: a str of 1 to 64 bytes without control characters")
  end
  return name
end

-- --- the list ------------------------------------------------------------------------------------

local Registry = {}
Registry.__index = Registry
M.Registry = Registry

-- The entries named `name`, or all, in the order in which they came, each as shown(entry).
function Registry:list(name, shown)
  local list = codec.array {}
  for _, entry in ipairs(self.entries) do
    if not name or entry.name == name then list[#list + 1] = shown(entry) end
  end
  return list
end

local function reference(entry) return entry.ref end
local function named(entry) return codec.map { name = entry.name, ref = entry.ref } end

function Registry:tell(op, entry)
  for watcher in pairs(self.watchers) do
    if not watcher.name or watcher.name == entry.name then
      watcher.queue[#watcher.queue + 1] = codec.map {
        op = op, name = entry.name, ref = entry.ref,
      }
      watcher.signal:notify()
    end
  end
  self.changed:notify()
end

function Registry:add(entry)
  if not hooks.lists(entry) then return end
  self.entries[#self.entries + 1] = entry
  self:tell("add", entry)
end

function Registry:remove(entry)
  if not hooks.forgets(entry) then return end
  for i, e in ipairs(self.entries) do
    if e == entry then
      table.remove(self.entries, i)
      return self:tell("remove", entry)
    end
  end
end

-- --- the targets ---------------------------------------------------------------------------------

function Registry:register(ctx, args)
  local entry = { name = name_of(args), ref = args.ref }
  if not codec.is_ref(entry.ref) then failure.raise("bad_args", "ref: not an actor reference") end
  if entry.ref.id ~= ctx.link.peer.id and hooks.owner_only() then -- [REG-009]
    failure.raise("denied", "%s may not register %s", ctx.link.peer.name, entry.ref.name)
  end
  ctx:started(nil)
  self:add(entry)
  local _ <close> = setmetatable({}, { __close = function() self:remove(entry) end })
  ctx:held()
end

function Registry:find(_, args) return self:list(name_of(args), reference) end

function Registry:wait(_, args)
  local name = name_of(args)
  return task.wait(self.changed, function() return self:list(name, reference)[1] end)
end

function Registry:watch(ctx, args)
  local watcher = { name = name_of(args, true), queue = {}, signal = task.signal() }
  self.watchers[watcher] = true
  local _ <close> = setmetatable({}, { __close = function() self.watchers[watcher] = nil end })
  ctx:started(self:list(watcher.name, named))
  scope.run(function(s)
    s:start(function() -- sends what is queued, under credit
      while true do
        task.wait(watcher.signal, function() return watcher.queue[1] end)
        local item = watcher.queue[1]
        if not ctx:send(item) then return end
        table.remove(watcher.queue, 1)
      end
    end)
    s:start(function()
      task.wait(watcher.signal, function()
        return #watcher.queue > hooks.watch_bound(WATCH_BOUND)
      end)
      failure.raise("busy", "the watcher grants no credit for %d changes", #watcher.queue)
    end)
    ctx:held()
    s:cancel(failure.cause("parent", ctx.link.actor.ref))
  end)
end

-- --- copse.info ----------------------------------------------------------------------------------

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function own_entry(actor)
  local contexts = 0
  for l in pairs(actor.links) do contexts = contexts + count(l.contexts) end
  return codec.map {
    ref = actor.ref, parent = codec.bare(actor.parent), pid = math.tointeger(uv.os_getpid()),
    state = actor.finishing and "finishing" or actor.ready and "working" or "booting",
    contexts = contexts, rss = uv.resident_set_memory(),
  }
end

local function is_info(v)
  for _, entry in ipairs(codec.is_array(v) and v or {}) do
    if not codec.is_map(entry) then return false end
  end
  return codec.is_array(v)
end

-- Asks a child and calls done(entries), or done(nil) if no value came. The question has a scope of
-- its own, which nobody waits for: a child that does not answer is left in peace [REG-011].
local function ask(child, done)
  local base = child.actor.base
  local s = scope.new { parent = base }
  s.deadline = task.scope().deadline
  local ok, ctx = pcall(child.link.open_now, child.link, s, "copse.info", codec.map {}, {})
  if not ok then
    base:remove(s)
    return done(nil)
  end
  task.start(base, function()
    task.await(ctx.signal, function() return ctx.life == "ended" end)
    base:remove(s)
    done(is_info(ctx.result_value) and ctx.result_value or nil)
  end)
end

-- The actor itself and what its children answer in time, in the order of their births.
local function info(actor)
  local children, answers, left = {}, {}, 0
  for child in pairs(actor.children) do children[#children + 1] = child end
  table.sort(children, function(a, b) return a.serial < b.serial end)
  local changed, late = task.signal(), false
  for i, child in ipairs(children) do
    left = left + 1
    local function done(entries)
      answers[i], left = entries, left - 1
      changed:notify()
    end
    if child.link and child.link.state == "open" then ask(child, done) else done(nil) end
  end
  local stop = task.after(INFO_BOUND, function()
    late = true
    changed:notify()
  end)
  local _ <close> = setmetatable({}, { __close = stop })
  task.wait(changed, function() return left == 0 or late end)
  local entries = codec.array { own_entry(actor) }
  for i, child in ipairs(children) do
    local answer = answers[i] or { codec.map {
      ref = child.ref, parent = codec.bare(actor.ref), pid = child.pid, state = "unresponsive",
    } }
    table.move(answer, 1, #answer, #entries + 1, entries)
  end
  return entries
end

-- --- exports -------------------------------------------------------------------------------------

-- Adds the targets of the chapter to what the actor exports.
function M.export(actor)
  local registry = setmetatable({
    entries = {}, watchers = {}, changed = task.signal(),
  }, Registry)
  for _, op in ipairs { "register", "find", "wait", "watch" } do
    actor.exports["copse." .. op] = function(ctx, args) return registry[op](registry, ctx, args) end
  end
  actor.exports["copse.info"] = function() return info(actor) end
end

-- Registers the actor itself with the registrar at the other end of `link`, until the actor
-- finishes or `s` is cancelled. Returns the context, once the name is listed; on_end() is called
-- when it ends.
function M.register(s, link, name, on_end)
  local actor = link.actor
  local ctx = link:open(s, "copse.register", codec.map { name = name, ref = actor.ref },
    { send = true })
  actor.registrations[ctx] = true
  ctx.on_terminal = function()
    actor.registrations[ctx] = nil
    if on_end then on_end() end
  end
  ctx:started()
  return ctx
end

return M
