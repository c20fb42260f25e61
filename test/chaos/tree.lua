-- SPDX-License-Identifier: MIT
--
-- The tree that the chaos test hurts: a root, three branches, four leaves on each. Every leaf is
-- busy in its own way, and every parent reports what became of its children on a pipe that the test
-- reads.

local copse = require "copse"

local M = {}

local MODES = { "idle", "hot", "blocked", "streaming" }

-- One line is one write of less than PIPE_BUF bytes, so that lines of many processes never mix.
local function report(...)
  local pipe <close> = assert(io.open(os.getenv "CHAOS_PIPE", "a"))
  pipe:write(table.concat({ ... }, " ") .. "\n")
end

local function grace() return tonumber(os.getenv "CHAOS_GRACE") end

-- Every single error below `err`, as "code actor signal".
local function lines_of(err, out)
  if err.code == "group" then
    for _, cause in ipairs(err.causes) do lines_of(cause, out) end
  else
    local data = type(err.data) == "table" and err.data or {}
    out[#out + 1] = ("%s %s %s"):format(err.code, err.actor and err.actor.name or "-",
      data.signal or "-")
  end
  return out
end

-- Runs `body` in a nursery and tells the test of every error that comes out, before passing it on.
local function watched(body)
  local ok, err = pcall(copse.nursery, body)
  if ok then return end
  if type(err) ~= "table" and type(err) ~= "userdata" then error(err, 0) end
  for _, line in ipairs(lines_of(err, {})) do report("saw", copse.self().name, line) end
  error(err, 0)
end

local function pid()
  local stat <close> = assert(io.open "/proc/self/stat")
  return stat:read "n"
end

local function up(mode)
  report("up", copse.self().name, pid(), mode)
end

M.leaf = copse.context(function(ctx, mode)
  up(mode)
  ctx:started()
  if mode == "hot" then
    while true do end
  elseif mode == "blocked" then
    -- A pattern that takes longer than any test: the interpreter does not come back from it.
    return (("a"):rep(64)):find(("a?"):rep(48) .. ("a"):rep(64) .. "b")
  elseif mode == "streaming" then
    for i = 1, math.huge do if not ctx:send(i) then return i end end
  else
    copse.sleep(1e6)
  end
end)

function M.branch(number)
  up("branch")
  watched(function(n)
    for i, mode in ipairs(MODES) do
      local leaf = n:spawn(("leaf.%d.%d"):format(number, i), { module = "tree", grace = grace() })
      n:start(function()
        local ctx <close> = leaf:open("leaf", mode)
        for _ in ctx:items() do end
        return ctx:result()
      end)
    end
  end)
end

function M.main()
  up("root")
  watched(function(n)
    for i = 1, 3 do
      local branch = n:spawn(("branch.%d"):format(i), { module = "tree", grace = grace() })
      n:start(function() return branch:call("branch", i) end)
    end
  end)
end

return M
