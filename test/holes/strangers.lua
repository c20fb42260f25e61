-- SPDX-License-Identifier: MIT
--
-- An actor that strangers connect to, and what others ask of its values, streams and errors.

local copse = require "copse"
local H = require "hazard"

local M = {}

M._private = function() return "secret" end
M.number = 42
M.inner = { deep = function() return "secret" end }

local held = 0

M.held = copse.context(function(ctx)
  held = held + 1
  local here <close> = setmetatable({}, { __close = function() held = held - 1 end })
  ctx:started()
  copse.sleep(3600)
end)

-- Reads nothing until it is told to.
local reading = copse.event()
M.sink = copse.context(function(ctx)
  ctx:started()
  reading:wait()
  local count, sum = 0, 0
  for item in ctx:items() do count, sum = count + 1, sum + item end
  return { count, sum }
end, { window = 16 })

M.patient = copse.context(function(ctx)
  held = held + 1
  local here <close> = setmetatable({}, { __close = function() held = held - 1 end })
  ctx:started()
  reading:wait()
end, { window = 16 })

function M.read() reading:set() end

function M.echo(x) return x end

-- Settled: nobody is served but the asker, and no descriptor more is open than at first.
local at_first
function M.settled()
  at_first = at_first or H.descriptors()
  H.until_so(function() return held == 0 and H.descriptors() <= at_first end)
  return #H.children()
end

-- The resident memory in KiB.
function M.memory()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmRSS:%s+(%d+)"
    if kib then return math.tointeger(kib) end
  end
end

-- Three that fail because of each other.
function M.group()
  copse.nursery(function(n)
    for i = 1, 3 do
      n:start(function()
        local clean_up <close> = setmetatable({}, { __close = function()
          error { code = "not_found", message = "member " .. i, data = { i } }
        end })
        copse.sleep(3600)
      end)
    end
    copse.yield()
    n:cancel()
  end)
end

function M.long_error() error(("x"):rep(3 << 20), 0) end
function M.strange_error()
  error(setmetatable({}, { __tostring = function() error "again" end }))
end
function M.nil_error() error(nil) end

function M.deep()
  local function down(n) return 1 + down(n + 1) end
  return down(1)
end

function M.overflow_in_handler()
  return xpcall(function() error "first" end, function(e) error(e) end)
end

function M.register(name)
  copse.register(name)
  copse.sleep(3600)
end

local S = {}

function S.serve()
  H.write("address", copse.self().addresses[1])
  print "ready"
  copse.sleep(3600)
end

-- A sender is as far ahead as it was allowed to be, and nothing is lost.
function S.overrun()
  copse.nursery(function(n)
    local a = n:spawn("reader", { module = "strangers" })
    local ctx <close> = a:open "sink"
    local sent, all = 0, copse.event()
    n:start(function()
      for i = 1, 2000 do
        ctx:send(i)
        sent = sent + 1
      end
      all:set()
    end)
    for _ = 1, 20 do a:call("echo", 1) end
    print("ahead by at most the window:", sent <= 17)
    a:call "read"
    all:wait()
    print(table.concat(ctx:result(), " "))
  end)
end

function S.errors()
  copse.nursery(function(n)
    local a = n:spawn("failing", { module = "strangers" })
    local _, err = pcall(a.call, a, "group")
    print(err.code, #err.causes)
    for _, cause in ipairs(err.causes) do print(cause.code, cause.message, cause.data[1]) end
    _, err = pcall(a.call, a, "long_error")
    print("long", err.code, #err.message > 1000, err.message:sub(1, 3))
    _, err = pcall(a.call, a, "deep")
    print("deep", err.code, err.message:match "stack overflow")
    print("strange", H.attempt(a.call, a, "strange_error"))
    print("nil", H.attempt(a.call, a, "nil_error"))
    print("handler", H.attempt(a.call, a, "overflow_in_handler"))
    print("alive", a:call("echo", "yes"))
  end)
end

function S.names()
  H.again_and_again(function()
    copse.nursery(function(n)
      local watching = copse.event()
      n:start(function()
        for op, ref in copse.watch "beacon" do
          print(op, ref.name)
          if op == "remove" then return watching:set() end
        end
      end)
      local ok, err = pcall(copse.nursery, function(inner)
        local a = inner:spawn("keeper", { module = "strangers" })
        inner:start(function() a:call("register", "beacon") end)
        copse.wait "beacon"
        a:kill(9)
        copse.sleep(3600)
      end)
      print(ok, H.about(err))
      print("found", #copse.find "beacon")
      watching:wait()
    end)
  end)
end

function M.main(scenario) return S[scenario]() end

return M
