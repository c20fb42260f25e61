-- SPDX-License-Identifier: MIT
--
-- A nested tree with streams composed through the middle.
--
--     copse run examples/streams.lua
--
-- root <- middle <- two sources. The middle opens a stream on each of its own children, merges what
-- they send, and passes it on as the items of the stream that the root opened. The root takes ten
-- and loses interest: closing its context cancels the middle, which cancels the sources, which
-- would count for ever.

local copse = require "copse"
local M = {}

-- Counts upwards from `first` in steps, until nobody listens any more.
M.count = copse.context(function(ctx, first, step)
  ctx:started()
  local number = first
  while ctx:send(number) do number = number + step end
end)

M.merged = copse.context(function(ctx)
  copse.nursery(function(n)
    local odd = n:spawn("odd", { module = "streams" })
    local even = n:spawn("even", { module = "streams" })
    local a <close> = odd:open("count", 1, 2)
    local b <close> = even:open("count", 2, 2)
    ctx:started()
    -- Items wait for credit at every step, so the sources are never far ahead of the root.
    while ctx:send(a:receive()) and ctx:send(b:receive()) do end
  end)
end)

function M.main()
  copse.nursery(function(n)
    local middle = n:spawn("middle", { module = "streams" })
    do
      local numbers <close> = middle:open("merged")
      local taken = {}
      for number in numbers:items() do
        taken[#taken + 1] = number
        if #taken == 10 then break end
      end
      print(table.concat(taken, " "))
    end
    print("the stream is closed, and the sources are gone")
  end)
end

return M
