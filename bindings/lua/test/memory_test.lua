-- SPDX-License-Identifier: MIT
-- The allocator of the state: objects of all sizes keep what is in them, and what
-- they leave is used again.
local tap = require "tap"
local test, is, ok = tap.test, tap.is, tap.ok

-- Kilobytes of the process; nil where a tool that watches memory is in the way.
local function resident()
  if (os.getenv "SANITIZE" or "") ~= "" then return nil end
  local status <close> = io.open("/proc/self/status")
  return tonumber(status:read("a"):match("VmRSS:%s*(%d+)"))
end

local function text_of(i) return ("%d"):format(i):rep(i % 90 + 1) end

local M = {}

function M.main()
  test("strings of all sizes keep their bytes while others come and go", function()
    local kept = {}
    for i = 1, 30000 do
      local text = text_of(i)
      if i % 3 == 0 then kept[#kept + 1] = { i, text } end
    end
    for _, pair in ipairs(kept) do is(pair[2], text_of(pair[1])) end
  end)

  test("tables keep their contents while they grow and shrink over all sizes", function()
    local tables = {}
    for size = 1, 200 do
      local t = {}
      for i = 1, size do t[i] = i; t["k" .. i] = -i end
      tables[size] = t
    end
    for size, t in ipairs(tables) do
      for i = size, size // 2 + 1, -1 do t[i], t["k" .. i] = nil, nil end
      t.fresh = size -- makes Lua count what is left, and shrink
    end
    collectgarbage()
    for size, t in ipairs(tables) do
      for i = 1, size // 2 do ok(t[i] == i and t["k" .. i] == -i, "an element") end
      is(t.fresh, size)
    end
  end)

  test("coroutines of many depths run to their ends", function()
    local function depth(n) return n == 0 and coroutine.yield() or 1 + depth(n - 1) end
    local all = {}
    for i = 1, 300 do
      all[i] = coroutine.create(depth)
      coroutine.resume(all[i], i)
    end
    for i = 1, 300 do is(select(2, coroutine.resume(all[i], 0)), i) end
  end)

  test("what objects of one size gave up serves those of all others", function()
    local before = resident()
    for class = 4, 15 do -- 114 * 16 bytes, 50000 times each, are 90 MB
      local all = {}
      for i = 1, 50000 do all[i] = ("%6d"):format(i) .. ("x"):rep(class * 16 - 32) end
      is(#all, 50000)
      all = nil
      collectgarbage()
    end
    if before then
      ok(resident() - before < 40000, "little more than the largest size takes alone")
    end
  end)

  tap.done()
end

return M
