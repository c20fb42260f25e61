-- SPDX-License-Identifier: MIT
-- Calls: one frame each way, and what a call may and may not be.
local case = ...
local value = require "value"
local map, array = value.map, value.array

case {
  id = "call.echo", req = "KIND-018",
  title = "A call is one OPEN and one RETURN",
  why = "Everything else in the suite rests on it.",
  run = function(t)
    local p = t:boot()
    p:open("tck.echo", map { v = 7 }):returns(7)
    p:nothing(nil, "KIND-019")
  end,
}
