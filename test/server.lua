-- SPDX-License-Identifier: MIT
--
-- The actor that the tests of `copse call` and `copse tree` ask.

local copse = require "copse"
local M = {}

function M.add(a, b) return a + b end

function M.same(value) return value end

function M.keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

function M.me() return copse.self() end

function M.nothing() end

function M.boom() error("it broke") end

function M.wait() copse.sleep(3600) end

function M.hot()
  print("hot")
  while true do end
end

function M.leave() os.exit(0) end

-- Errors of the function's own, whose codes the command knows from itself.
function M.raise(code) error { code = code, message = "says the function" } end

function M.ask_in_vain()
  copse.nursery(function(n) n:spawn("other", { module = "server" }):call("no_such_function") end)
end

function M.connect_in_vain() copse.connect "unix:/there/is/no/such" end

function M.inner_timeout() copse.timeout(0.01, copse.sleep, 3600) end

function M.die() os.execute "kill -KILL $PPID" end

-- Is held open by the root, so that it has an open context.
M.held = copse.context(function(ctx)
  ctx:started()
  for _ in ctx:items() do end
end)

function M.main(name)
  copse.nursery(function(n)
    local branch = n:spawn("branch", { module = "server" })
    n:spawn("leaf", { module = "server" })
    local ctx <close> = branch:open("held")
    if name then copse.register(name) end
    print("ready")
    copse.sleep(3600)
  end)
end

return M
