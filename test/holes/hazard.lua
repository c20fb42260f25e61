-- SPDX-License-Identifier: MIT
--
-- What the programs of this directory share: looking at processes as the system sees them, and
-- spawning peers that misbehave.

local copse = require "copse"
local M = {}

local function read(path, ...)
  local file <close> = io.open(path, "rb")
  if file then return file:read(...) end
end

function M.pid() return read("/proc/self/stat", "n") end

-- The state letter of a process, nil if there is none.
function M.state(pid)
  local stat = read(("/proc/%d/stat"):format(pid), "a")
  return stat and stat:match("^.*%) (%a)")
end

-- What Lua actors are cloned from: a child of this process as long as it lives.
local function is_template(pid)
  return (read(("/proc/%d/cmdline"):format(pid), "a") or ""):find("--template", 1, true)
end

-- The children of this process, zombies included.
function M.children()
  local pids = {}
  local id = M.pid() -- of the thread that starts processes, too
  for pid in (read(("/proc/%d/task/%d/children"):format(id, id), "a") or ""):gmatch("%d+") do
    if M.state(pid) and not is_template(pid) then pids[#pids + 1] = math.tointeger(pid) end
  end
  return pids
end

-- How many descriptors this process has open, without those of the looking.
function M.descriptors()
  local count = 0
  for fd = 0, 1023 do
    local info <close> = io.open("/proc/self/fdinfo/" .. fd)
    if info then count = count + 1 end
  end
  return count
end

-- Tells the test who is who.
function M.write(name, text)
  local file <close> = assert(io.open(name .. ".new", "w"))
  file:write(text)
  file:close()
  assert(os.rename(name .. ".new", name))
end

function M.sign(name) M.write("pid." .. name, M.pid()) end

-- Waits until something is so. A watchdog above us catches what never becomes so.
function M.until_so(what)
  while not what() do copse.sleep(0.005) end
end

function M.no_descriptor_more_than(count)
  M.until_so(function() return M.descriptors() <= count end)
end

-- The options of spawn for a peer that plays these steps.
function M.rogue(options, ...)
  options.argv = { os.getenv "ROGUE", ... }
  return options
end

-- Does `attack` several times: the first may make what stays, and so may the second, which may be
-- the first to use a template; the last may not leave a descriptor or a child behind.
function M.again_and_again(attack)
  attack(1)
  attack(2)
  local descriptors, before = M.descriptors(), #M.children()
  attack(3)
  M.no_descriptor_more_than(descriptors)
  local left = #M.children() - before
  if left > 0 then error(("%d children are left"):format(left)) end
end

-- One line about an error that is easy to compare: code, actor, signal or status, the ladder's last
-- rung; of a group, its members.
function M.about(err)
  if type(err) == "string" then return err end
  if err.code == "group" then
    local members = {}
    for i, cause in ipairs(err.causes) do members[i] = M.about(cause) end
    table.sort(members)
    return "group: " .. table.concat(members, "; ")
  end
  local data = type(err.data) == "table" and err.data or {}
  return table.concat({ err.code or "?", err.actor and err.actor.name or "-",
    data.signal or data.status or "-", data.ladder or "-" }, " ")
end

function M.attempt(fn, ...)
  local ok, err = pcall(fn, ...)
  return ok and "ok" or M.about(err)
end

return M
