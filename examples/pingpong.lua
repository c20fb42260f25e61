-- SPDX-License-Identifier: MIT
--
-- Ping-pong over a bidirectional stream.
--
--     copse run examples/pingpong.lua
--
-- `copse.context` makes a function an endpoint that streams: it says when it is ready, both sides
-- send items as they like, and what it returns is the result of the whole.

local copse = require "copse"
local M = {}

M.pong = copse.context(function(ctx, data)
  ctx:started(data + 1)
  local count = 0
  for ping in ctx:items() do -- until the other side sends no more
    ctx:send("pong to " .. ping)
    count = count + 1
  end
  return count
end)

function M.main()
  copse.nursery(function(n)
    local player = n:spawn("player", { module = "pingpong" })
    -- <close>: however this block is left, the context has ended at both ends when it is.
    local ctx <close>, first = player:open("pong", 41)
    print("started with " .. first)
    for i = 1, 3 do
      ctx:send("ping " .. i)
      print(ctx:receive())
    end
    ctx:finish() -- I send no more
    print("pings played: " .. ctx:result())
  end)
end

return M
