-- SPDX-License-Identifier: MIT
--
-- Children that do not get as far as being ready.

local copse = require "copse"
local H = require "hazard"

local M = {}

local S = {
  no_command = { argv = { "/nowhere/no-such-program" } },
  not_executable = { argv = { "/etc/passwd" } },
  no_module = { module = "no_such_module" },
  broken_module = { module = "boots_broken" },
  broken_start = { module = "boots", config = { fail = true } },
  cannot_change_directory = { module = "boots", cwd = "/nowhere" },
  never_dials = { link = "unix", boot = 0.2, "hang" },
  exits_well = { "exit=0" },
  exits_badly = { "grumble=my last words", "exit=7" },
  dies = { "die=9" },
  says_nothing = { boot = 0.2, "hang" },
  closes_and_hangs = { grace = 0.2, "close", "hang" },
  half_a_hello_and_exit = { "hello=20", "exit=0" },
  half_a_hello_and_hang = { boot = 0.2, "hello=20", "hang" },
  http = { boot = 0.2, "hex=474554202f20485454502f312e310d0a0d0a", "until=BYE", "exit=0" },
  hello_and_exit = { "hello", "exit=0" },
  hello_and_close = { grace = 0.2, "hello", "close", "hang" },
  never_ready = { boot = 0.2, "hello", "hang" },
  never_ready_and_deaf = { boot = 0.2, "ignore=15", "hello", "hang" },
  stops_itself = { boot = 0.2, "ignore=15", "hello", "stop", "hang" },
  floods = { boot = 0.2, "hello", "pings=200000", "hang" },
  returns_at_once = { "hello", "returned", "exit=0" },
  fails_at_once = { "hello", "failed", "exit=1" },
  lies_about_its_end = { "hello", "started", "returned", "exit=3" },
  leaves_a_daemon = { grace = 0.2, "detach", "hello", "exit=0" },
}

function M.start(config)
  if config.fail then error("start fails") end
end

function M.main(scenario)
  local given = S[scenario]
  H.again_and_again(function()
    local options, steps = { grace = 1 }, { table.unpack(given) }
    for key, value in pairs(given) do
      if math.type(key) == nil then options[key] = value end
    end
    if #steps > 0 then H.rogue(options, table.unpack(steps)) end
    local ok, err = pcall(copse.nursery, function(n) n:spawn("child", options) end)
    print(ok, H.about(err))
    if not ok then print("message: " .. err.message) end
    if not ok and type(err.data) == "table" then print("stderr: " .. tostring(err.data.stderr)) end
  end)
end

return M
