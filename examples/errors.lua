-- SPDX-License-Identifier: MIT
--
-- An error from three levels down, with the path that it came.
--
--     copse run examples/errors.lua           it is caught, and looked at
--     copse run examples/errors.lua uncaught  it ends the program, with a report
--
-- Each level spawns the next and calls it. The lowest one fails; on its way up, every actor that
-- the error passes adds whom it got it from. Nobody on the way had to do anything for that.

local copse = require "copse"
local M = {}

function M.descend(depth)
  if depth == 0 then error("the bottom gives way") end
  return copse.nursery(function(n)
    local below = n:spawn("level-" .. depth, { module = "errors" })
    return below:call("descend", depth - 1)
  end)
end

function M.main(mode)
  if mode == "uncaught" then return M.descend(3) end

  local ok, err = pcall(M.descend, 3)
  print("ok: " .. tostring(ok))
  print("code: " .. err.code)
  print("message: " .. err.message)
  print("raised in: " .. err.actor.name)
  local path = {}
  for i, ref in ipairs(err.via) do path[i] = ref.name end
  print("came by: " .. table.concat(path, ", "))
end

return M
