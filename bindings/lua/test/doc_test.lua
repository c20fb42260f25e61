-- SPDX-License-Identifier: MIT
-- The examples of docs/lua.md do what they say. Blocks that begin with "-- file: NAME" are written to a
-- directory; the others are run, and what they print is held against their "-->" lines.
local copse = require "copse"
local tap = require "tap"

local M = {}

local function blocks(path)
  local file = assert(io.open(path))
  local list, block, number = {}, nil, 0
  for line in file:lines() do
    number = number + 1
    if not block and line == "```lua" then block = { line = number }
    elseif block and line == "```" then list[#list + 1] = block; block = nil
    elseif block then block[#block + 1] = line end
  end
  file:close()
  return list
end

local function run(block)
  local out, expected = {}, {}
  for _, line in ipairs(block) do
    local text = line:match("^%s*%-%-> (.*)$")
    if text then expected[#expected + 1] = text end
  end
  local function put(text) out[#out + 1] = text end
  local env = setmetatable({
    copse = copse,
    print = function(...)
      local parts = table.pack(...)
      for i = 1, parts.n do parts[i] = tostring(parts[i]) end
      put(table.concat(parts, "\t") .. "\n")
    end,
    io = setmetatable({ write = function(...) put(table.concat({ ... })) end }, { __index = io }),
  }, { __index = _G })
  local fn = assert(load(table.concat(block, "\n"), "=docs/lua.md:" .. block.line, "t", env))
  copse.timeout(60, fn)
  local text = {}
  for line in table.concat(out):gmatch("[^\n]+") do text[#text + 1] = line end
  tap.is(text, expected)
end

function M.main(doc, directory)
  package.path = directory .. "/?.lua;" .. package.path
  local list = blocks(doc)
  assert(#list > 5, "no examples were found")
  for _, block in ipairs(list) do
    local name = block[1]:match("^%-%- file: (%S+)$")
    if name then
      local file = assert(io.open(directory .. "/" .. name, "w"))
      file:write(table.concat(block, "\n"), "\n")
      file:close()
    end
  end
  for _, block in ipairs(list) do
    if not block[1]:match("^%-%- file:") then
      tap.test("the example at line " .. block.line .. " does what it says", function() run(block) end)
    end
  end
  tap.done()
end

return M
