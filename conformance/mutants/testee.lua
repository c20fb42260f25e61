-- SPDX-License-Identifier: MIT
--
-- The peer with one defect put in:
--
--     lua5.4 conformance/mutants/testee.lua AREA/NAME
--
-- A mutant is an entry of the list that AREA.lua returns: its `patch` is called with the modules of
-- the peer before the testee begins, and replaces functions or cells of state tables in them.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local peer = here .. "/../peer"
package.path = here .. "/../?.lua;" .. package.path

local area, name = (arg[1] or ""):match("^([%w-]+)/([%w-]+)$")
local list = area and assert(loadfile(here .. "/" .. area .. ".lua"))() or {}
local found
for _, mutant in ipairs(list) do found = mutant.name == name and mutant or found end
if arg[1] == "none" then found = { patch = function() end } end -- the peer as it is
if not found then
  io.stderr:write("usage: testee.lua AREA/NAME, a mutant of conformance/mutants/AREA.lua\n")
  os.exit(1)
end

-- The modules of the peer by name, and `wrap`, which replaces the function `key` of a table by
-- fn(real, ...).
local modules = setmetatable({
  wrap = function(t, key, fn)
    local real = assert(t[key], key)
    t[key] = function(...) return fn(real, ...) end
  end,
}, { __index = function(_, module) return require("peer." .. module) end })

found.patch(modules)
-- Children that the testee spawns of its own accord have the defect as well.
assert(loadfile(peer .. "/testee.lua"))()
