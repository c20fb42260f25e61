-- SPDX-License-Identifier: MIT
--
-- One function in a process of its own.
--
--     copse run examples/hello.lua [NAME]
--
-- What a module returns is what others may call. This one is run twice: as the root of a tree,
-- where `main` runs, and as a child, which only waits to be called.

local copse = require "copse"
local M = {}

local function pid()
  return io.open("/proc/self/stat"):read("n")
end

function M.greet(name)
  return ("Hello, %s, from %s"):format(name, copse.self().name)
end

function M.main(name)
  copse.nursery(function(n)
    local greeter = n:spawn("greeter", { module = "hello" })
    print(greeter:call("greet", name or "world"))
    print("its process is not mine: " .. tostring(greeter:call("pid") ~= pid()))
  end)
  -- Here the greeter has ended and has been reaped: nothing outlives the nursery that it was born
  -- in.
  print("and it is gone")
end

M.pid = pid

return M
