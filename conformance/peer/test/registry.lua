-- SPDX-License-Identifier: MIT
--
-- The registry profile, served by one peer to others.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local codec = require "peer.codec"
local failure = require "peer.failure"
local registry = require "peer.registry"
local scope = require "peer.scope"
local task = require "peer.task"

local function register(s, l, name) return registry.register(s, l, name) end

local function find(s, l, name)
  local names = {}
  for i, ref in ipairs(l:open(s, "copse.find", codec.map { name = name }):result()) do
    names[i] = ref.name
  end
  return names
end

t.test("a name is listed while its context is open, in the order of coming", function(s)
  local l = t.pair({ name = "a" })
  local first = register(s, l, "svc")
  local second = register(s, l, "svc")
  register(s, l, "other")
  t.eq(find(s, l, "svc"), { "a", "a" })
  t.eq(find(s, l, "none"), {})
  first:result()
  t.eq(find(s, l, "svc"), { "a" })
  second:cancel(failure.cause("requested"))
  t.barrier(l)
  t.eq(find(s, l, "svc"), {})
  s:cancel(failure.cause("requested"))
end)

t.test("the loss of the link takes the names with it", function()
  local l, r = t.pair()
  pcall(scope.run, function(inner)
    register(inner, l, "svc")
    t.eq(#find(inner, l, "svc"), 1)
    l.transport.input:close()
    r:violate("internal", "a test")
    l:violate("internal", "a test")
  end)
  task.await(r.actor.scope.changed, function() return r.actor.scope:is_empty() end)
end)

t.test("another's reference is denied, and what is no name is bad_args", function(s)
  local l = t.pair()
  local function open(args)
    return l:open(s, "copse.register", codec.map(args), { send = true }):result()
  end
  t.raises("denied", open, { name = "x", ref = codec.ref(("o"):rep(16), "other") })
  t.raises("bad_args", open, { name = "", ref = l.actor.ref })
  t.raises("bad_args", open, { name = "x" })
end)

t.test("wait answers when there is one", function(s)
  local l = t.pair()
  local waiting = l:open(s, "copse.wait", codec.map { name = "late" })
  t.barrier(l)
  local held = register(s, l, "late")
  t.eq(waiting:result().name, "left")
  held:result()
end)

t.test("a watch tells the list and then every change, of one name or of all", function(s)
  local l = t.pair()
  local held = register(s, l, "a")
  local function watch(args)
    return l:open(s, "copse.watch", codec.map(args), { send = true, window = { 2, 100 } })
  end
  local all, one = watch {}, watch { name = "b" }
  t.eq(#all:started(), 1)
  t.eq(#one:started(), 0)
  local other = register(s, l, "b")
  held:result()
  other:result()
  local ops = {}
  for i = 1, 3 do ops[i] = all:receive().op end
  t.eq(ops, { "add", "remove", "remove" })
  t.eq({ one:receive().op, one:receive().op }, { "add", "remove" })
  t.eq(all:result(), codec.null)
  t.eq(one:result(), codec.null)
end)

t.test("a watcher that grants nothing is given up at the bound", function()
  local l = t.pair()
  local e = t.raises("busy", scope.run, function(inner)
    local watch = l:open(inner, "copse.watch", codec.map {}, { send = true, window = { 0, 0 } })
    watch:started()
    for _ = 1, 2000 do register(inner, l, "x"):result() end
  end)
  t.ok(e.message:find "credit")
end)

t.run()
