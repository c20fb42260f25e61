-- SPDX-License-Identifier: MIT
--
-- Two peers over a socketpair: calls, streams under credit, errors, groups, deadlines, limits.

local t = dofile(arg[0]:match("^(.*)/") .. "/tap.lua")
local codec = require "peer.codec"
local failure = require "peer.failure"
local scope = require "peer.scope"
local task = require "peer.task"

local function never(ctx) task.wait(ctx.signal, function() return false end) end

local exports = {}

function exports.echo(_, args) return args[1] end

function exports.count(ctx, args)
  ctx:started("go")
  local n = 0
  while n ~= args[1] and ctx:send(n) do n = n + 1 end
  ctx:finish()
  return n
end

function exports.sum(ctx, args)
  ctx:open_window(args[1] or 2, args[2] or 100)
  ctx:started()
  local sum, n = 0, 0
  for item in ctx.receive, ctx do
    sum, n = sum + item, n + 1
    if n == args[3] then
      ctx:stop()
      break
    end
  end
  return codec.array { n, sum }
end

function exports.fail(_, args) failure.raise("failed", "%s", args[1]) end
exports.raise = function() error "a plain error" end
exports.never = never

-- Opens `target` on the link of the context, one call for each name in args.
function exports.through(ctx, args)
  local values = codec.array {}
  scope.run(function(s)
    for i, target in ipairs(args) do
      s:start(function() values[i] = ctx.link:open(s, target, { target }):result() end)
    end
  end)
  return values
end

local function pair() return t.pair({ exports = exports }, { exports = exports }) end

t.test("a call returns what it was given, every type kept", function(s)
  local l = pair()
  local value = codec.array {
    codec.null, true, false, 0, -1, math.mininteger, math.maxinteger, 1.0, 0.5, "", "é", "a\0b",
    codec.bin "", codec.bin "\0\255", codec.array {}, codec.map {}, codec.map { a = 1, [7] = "x" },
    codec.ext(-1, "\0\0\0\1"), codec.ext(42, "abc"), codec.ref(("x"):rep(16), "n", { "unix:/abc" }),
  }
  t.eq(l:open(s, "echo", { value }):result(), value)
  t.eq(next(l.contexts), nil, "contexts left")
end)

t.test("either side may open", function(s)
  local l, r = pair()
  t.eq(r:open(s, "echo", { 1 }):result(), 1)
  t.eq(l:open(s, "through", { "echo", "echo" }):result(), codec.array { "echo", "echo" })
end)

t.test("a message of a million bytes goes in fragments, and calls pass between", function(s)
  local l = pair()
  local big = codec.bin(("x"):rep(1000000))
  local slow = l:open(s, "echo", { big })
  t.eq(l:open(s, "echo", { 1 }):result(), 1)
  t.eq(#slow:result().bytes, 1000000)
end)

t.test("a value beyond the peer's message limit is too_large, and nothing else ends", function(s)
  local l, r = pair()
  local huge = codec.bin(("x"):rep(1048577))
  t.raises("too_large", l.open, l, s, "echo", { huge })
  r.actor.exports.huge = function() return huge end
  t.raises("too_large", function() return l:open(s, "huge", {}):result() end)
  t.eq(l:open(s, "echo", { 1 }):result(), 1)
end)

t.test("an unknown target is refused and the link goes on", function(s)
  local l = pair()
  local e = t.raises("no_target", function() return l:open(s, "nothing", {}):result() end)
  t.eq(e.via[1].name, "right", "the path")
  t.eq(l:open(s, "echo", { 1 }):result(), 1)
end)

t.test("an error has a code, a type, an actor and a path of one hop", function(s)
  local l, r = pair()
  local e = t.raises("failed", function() return l:open(s, "raise", {}):result() end)
  t.ok(e.message:find "a plain error" and e.type == "error", e.message)
  t.eq(e.actor.id, r.actor.ref.id)
  t.eq(#e.via, 1)
end)

t.test("an error that is passed on keeps all and grows its path", function(s)
  local l = pair()
  local e = t.raises("failed", function() return l:open(s, "through", { "fail" }):result() end)
  t.eq(e.actor.name, "left", "where it arose")
  t.eq({ e.via[1].name, e.via[2].name }, { "left", "right" }, "the path")
  t.eq(e.message, "fail")
end)

t.test("the first error cancels the rest of a scope", function(s)
  local l = pair()
  local e = t.raises("failed", function()
    return l:open(s, "through", { "never", "never", "fail" }):result()
  end)
  t.eq(e.message, "fail")
  t.barrier(l)
  t.eq(next(l.contexts), nil, "contexts left")
end)

t.test("several errors become one group without a group in it", function()
  local a, b = failure.new { code = "failed", message = "a" }, failure.new { code = "failed" }
  local inner = failure.combine({ a, b })
  local outer = failure.combine({ inner, a })
  t.eq(outer.code, "group")
  t.eq(#outer.causes, 3)
end)

t.test("an error is cut until it fits: stack, data, causes and via, then the message", function()
  local e = failure.new {
    code = "failed", message = ("m"):rep(300), stack = ("s"):rep(300), data = ("d"):rep(300),
    causes = { failure.new { code = "failed", message = ("c"):rep(300) } },
  }
  local function at(limit) return codec.decode(failure.encode(e, limit)) end
  t.ok(at(5000).stack and at(5000).causes, "nothing is cut without need")
  t.ok(not at(1000).stack and at(1000).data, "the stack goes first")
  t.ok(not at(800).data and at(800).causes, "then data")
  t.ok(not at(400).causes and #at(400).message == 300, "then causes")
  t.ok(#failure.encode(e, 100) <= 100, "then the message")
end)

t.test("errors nest eight deep and number sixty-four at most", function()
  local e = failure.new { code = "failed", message = "bottom" }
  for _ = 1, 20 do e = failure.new { code = "failed", causes = { e } } end
  local wide = failure.new { code = "group" }
  for i = 1, 100 do wide.causes[i] = failure.new { code = "failed" } end
  local schema = require "peer.schema"
  schema.read("ERROR", failure.encode(e, 100000))
  t.eq(#schema.read("ERROR", failure.encode(wide, 100000)).causes, 64)
end)

-- --- streams -------------------------------------------------------------------------------------

t.test("items come under credit, in order, before the result", function(s)
  local l = pair()
  local ctx = l:open(s, "count", { 50 }, { window = { 3, 1000 } })
  t.eq(ctx:started(), "go")
  local n = 0
  for item in ctx.receive, ctx do
    t.eq(item, n)
    n = n + 1
  end
  t.eq(n, 50)
  t.eq(ctx:result(), 50)
end)

t.test("a sender stops exactly at the grant", function(s)
  local l, r = pair()
  local ctx = l:open(s, "count", {}, { window = { 5, 1000 } })
  ctx:started()
  t.barrier(l)
  local callee = r.contexts[ctx.id]
  t.eq(callee.sent.items, 5)
  ctx:receive()
  ctx:receive()
  ctx:receive()
  t.barrier(l)
  t.eq(callee.sent.items, 8)
  ctx:stop()
  t.eq(ctx:result(), 8)
end)

t.test("bytes overdraw by one item and no more", function(s)
  local l, r = pair()
  local ctx = l:open(s, "count", {}, { window = { 1000, 3 } })
  ctx:started()
  t.barrier(l)
  t.eq(r.contexts[ctx.id].sent.items, 3)
  ctx:cancel(failure.cause("requested"))
end)

t.test("STOP ends a sender softly: it learns no more", function(s)
  local l = pair()
  local ctx = l:open(s, "count", {}, { window = { 2, 1000 } })
  ctx:receive()
  t.ok(ctx:result() >= 2)
end)

t.test("the opener sends under the callee's credit, and END ends it", function(s)
  local l = pair()
  local ctx = l:open(s, "sum", { 2, 10 }, { send = true })
  for i = 1, 100 do t.ok(ctx:send(i)) end
  ctx:finish()
  t.eq(ctx:result(), codec.array { 100, 5050 })
end)

t.test("a callee's STOP tells the opener: no more", function(s)
  local l = pair()
  local ctx = l:open(s, "sum", { 4, 100, 3 }, { send = true })
  local sent = 0
  while sent < 1000 and ctx:send(1) do sent = sent + 1 end
  t.ok(sent < 1000, "the sender never stopped")
  t.eq(ctx:result(), codec.array { 3, 3 })
end)

t.test("a call onto a streaming handler ends at once", function(s)
  local l = pair()
  t.eq(l:open(s, "count", { 5 }):result(), 0)
  t.eq(l:open(s, "sum", {}):result(), codec.array { 0, 0 })
end)

t.test("a stalled stream does not hold up a live one", function(s)
  local l = pair()
  local stalled = l:open(s, "count", {}, { window = { 1, 1 } })
  local live = l:open(s, "count", { 20 }, { window = { 4, 100 } })
  local n = 0
  for _ in live.receive, live do n = n + 1 end
  t.eq(n, 20)
  stalled:cancel(failure.cause("requested"))
end)

-- --- deadlines -----------------------------------------------------------------------------------

t.test("a deadline that was asked for raises deadline", function(s)
  local l = pair()
  t.raises("deadline", function() return l:open(s, "never", {}, { deadline = 20 }):result() end)
  t.barrier(l)
  t.eq(next(l.contexts), nil)
end)

t.test("a deadline of nothing runs nothing", function(s)
  local l, r = pair()
  t.raises("deadline", function() return l:open(s, "echo", {}, { deadline = 0 }):result() end)
  t.eq(r.actor.ran, 0)
end)

t.test("a deadline is inherited and surfaces once, where it was asked for", function(s)
  local l = pair()
  local e = t.raises("deadline", function()
    return l:open(s, "through", { "never" }, { deadline = 30 }):result()
  end)
  t.eq(#e.causes, 0)
  t.barrier(l)
  t.eq(next(l.contexts), nil)
end)

-- --- limits --------------------------------------------------------------------------------------

t.test("at the limit of contexts an open fails at once with busy", function(s)
  local schema = require "peer.schema"
  local limits = {}
  for k, v in pairs(schema.LIMITS) do limits[k] = v end
  limits.contexts = 16
  local l = t.pair({}, { exports = exports, limits = limits })
  local list = {}
  for i = 1, 16 do list[i] = l:open(s, "never", {}) end
  t.raises("busy", l.open, l, s, "never", {})
  list[1]:cancel(failure.cause("requested"))
  t.barrier(l)
  l:open(s, "never", {})
  s:cancel(failure.cause("requested"))
end)

-- --- closing -------------------------------------------------------------------------------------

t.test("BYE waits for what is open, refuses what is new, then closes", function(s)
  local l, r = pair()
  local ctx = l:open(s, "sum", {}, { send = true })
  ctx:started()
  r:say_bye()
  t.barrier(l)
  t.raises("closing", l.open, l, s, "echo", {})
  t.ok(ctx:send(5))
  t.eq(ctx:result(), codec.array { 1, 5 })
  task.await(l.changed, function() return l.released end)
  task.await(r.changed, function() return r.released end)
  t.ok(not l.violated and not r.violated)
end)

t.test("the loss of a link cancels callees and fails openers", function()
  local l, r = pair()
  local origin
  l.actor.exports.wait = function(ctx)
    local _, cause = pcall(never, ctx)
    origin = cause.origin
    error(cause, 0)
  end
  local e
  local ok = pcall(scope.run, function(inner)
    local back = r:open(inner, "wait", {})
    local ctx = l:open(inner, "never", {})
    t.barrier(l)
    t.barrier(r)
    r.transport.input:close()
    local _, err = pcall(ctx.result, ctx)
    e = err
    back:over(nil, failure.cause("requested"))
  end)
  t.eq(ok, true)
  t.eq(e.code, "link_lost")
  task.await(l.actor.scope.changed, function() return l.actor.scope:is_empty() end)
  t.eq(origin, "link_lost")
end)

t.run()
