-- SPDX-License-Identifier: MIT
--
-- Lua actors that are cloned from a template: what they are, and what becomes of them when somebody
-- meddles with it. Run with the name of a scenario.

local copse = require "copse"
local M = {}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function own_pid() return math.tointeger(read "/proc/self/stat":match "^%d+") end

local function shell(command)
  local pipe <close> = io.popen(command)
  return (pipe:read "a":gsub("%s+$", ""))
end

-- ---- the children's side ----

M.pid = own_pid

-- All that the system knows of a process and that a parent decides about.
function M.look()
  local seen = { "cmdline " .. read "/proc/self/cmdline":gsub("%z+", " "):gsub("%s+$", "") }
  local status = read "/proc/self/status"
  for _, key in ipairs { "Name", "Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn",
    "SigCgt", "CapEff", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed", "CoreDumping" } do
    local value = ("\n" .. status):match("\n" .. key .. ":[ \t]*([^\n]*)")
    seen[#seen + 1] = key .. " " .. (value or "-")
  end
  seen[#seen + 1] = read "/proc/self/limits"
  seen[#seen + 1] = read "/proc/self/cgroup"
  local stat = read "/proc/self/stat"
  local pid, parent, group, session = stat:match "^(%d+) .*%) %S (%d+) (%d+) (%d+)"
  seen[#seen + 1] = ("parent %s session %s leads %s"):format(parent, session, pid == group)
  seen[#seen + 1] = "nice " .. stat:match "%) %S+ (.*)":gsub("%S+ ", "", 15):match "^%S+"
  seen[#seen + 1] = "cwd " .. shell "pwd"
  local names = {}
  for name in shell "env":gmatch "([%w_]+)=[^\n]*" do names[#names + 1] = name end
  table.sort(names)
  seen[#seen + 1] = table.concat(names, " ")
  seen[#seen + 1] = package.path .. " " .. package.cpath
  seen[#seen + 1] = ("%s %s %s"):format(arg[0], #arg, os.setlocale())
  return table.concat(seen, "\n")
end

-- Of sockets and pipes only the kind counts. Seen from outside, while it rests.
local function descriptors(pid)
  local fds = shell(("cd /proc/%d/fd && for f in *; do echo descriptor $f $(readlink $f); done")
    :format(pid))
  return "\n" .. fds:gsub("%[%d+%]", "")
end

function M.draw() return math.random(0) end

function M.mark()
  return {
    own = shell "printenv COPSE_WITHIN",
    shown = read "/proc/self/environ":match "COPSE_WITHIN=(%x+)",
  }
end

-- Leaves a trail: what is made last is finalized first.
function M.leave_finalizers()
  for i = 1, 3 do
    M[i] = setmetatable({}, {
      __gc = function() io.write("finalized ", i, i == 1 and "" or "\n") end,
    })
  end
end

-- Loads a module in C, which has something to do when the process ends.
function M.load(file) assert(package.loadlib(file, "luaopen_last_words"))() end

-- Bothers the template of a parent with a signal, again and again.
M.bother = copse.context(function(ctx, parent, signal)
  ctx:started()
  local script = ([[
    while kill -0 %d 2>/dev/null; do
      for p in $(cat /proc/%d/task/%d/children 2>/dev/null); do
        if tr '\0' ' ' </proc/$p/cmdline 2>/dev/null | grep -q -e '--template'; then
          kill -%s $p 2>/dev/null
        fi
      done
    done]]):format(own_pid(), parent, parent, signal)
  local pipe = io.popen(script .. " >/dev/null 2>&1 & echo $!")
  local pid = pipe:read "n"
  pipe:close()
  for _ in ctx:items() do end
  os.execute("kill " .. pid)
end)

-- ---- the parent's side ----

local function children()
  return read(("/proc/self/task/%d/children"):format(own_pid()))
end

local function template()
  for pid in children():gmatch "%d+" do
    local file <close> = io.open(("/proc/%s/cmdline"):format(pid))
    if file and file:read "a":find("--template", 1, true) then return math.tointeger(pid) end
  end
end

local function spawn(n, name, options)
  options = options or {}
  options.file = arg[0]
  return n:spawn(name, options)
end

-- A nursery with a template: two actors, of which the second is a clone.
local function with_template(body)
  copse.nursery(function(n)
    local executed = spawn(n, "executed")
    assert(not template(), "a single child needs no template")
    local clone = spawn(n, "clone")
    assert(template(), "a second one has one")
    body(n, executed, clone)
  end)
end

local scenarios = {}

function scenarios.alike()
  with_template(function(n, executed, clone)
    local a = executed:call "look" .. descriptors(executed.pid)
    local b = clone:call "look" .. descriptors(clone.pid)
    if a ~= b then
      local lines = {}
      for line in a:gmatch "[^\n]+" do lines[line] = true end
      for line in b:gmatch "[^\n]+" do
        if not lines[line] then print("only the clone: " .. line) end
        lines[line] = nil
      end
      for line in pairs(lines) do print("only the executed: " .. line) end
    end
    print(a == b and "alike" or "different")
    local there = spawn(n, "there", { cwd = "/" })
    print(there:call "look":match "\ncwd ([^\n]*)")
  end)
end

function scenarios.chance()
  with_template(function(n, _, clone)
    local seen, count = {}, 0
    for i = 1, 8 do
      local number = (i == 1 and clone or spawn(n, "clone-" .. i)):call "draw"
      if not seen[number] then count = count + 1 end
      seen[number] = true
    end
    print(count)
  end)
end

-- What adopts the orphans of a clone must see whose they are.
function scenarios.mark()
  with_template(function(_, executed, clone)
    for _, peer in ipairs { executed, clone } do
      local mark = peer:call "mark"
      print(#mark.own, mark.own == mark.shown)
    end
  end)
end

function scenarios.finalizers()
  for _, name in ipairs { "executed", "clone" } do
    copse.nursery(function(n) spawn(n, name):call "leave_finalizers" end)
    print ""
  end
end

function scenarios.last_words(file)
  with_template(function(n) spawn(n, "speaker"):call("load", file) end)
end

function scenarios.option()
  with_template(function(n)
    local function environ(options)
      local shown = read(("/proc/%d/environ"):format(spawn(n, "other", options).pid))
      return shown:find("COPSE_ACTOR=", 1, true) ~= nil
    end
    print(environ {}, environ { template = false }, environ { env = { X = "1" } },
      environ { link = "unix" })
  end)
end

local function bothered(signal)
  with_template(function(n, executed, clone)
    local ctx <close> = executed:open("bother", own_pid(), signal)
    for i = 1, 60 do
      copse.nursery(function(inner)
        assert(spawn(inner, "one-" .. i):call "pid" ~= clone.pid)
      end)
    end
    assert(clone:call "pid" == clone.pid)
    ctx:finish()
    ctx:result()
  end)
  print "all there"
end

function scenarios.killed() bothered "KILL" end
function scenarios.stopped() bothered "STOP" end
function scenarios.interrupted() bothered "TERM" end

-- A tree of four levels in which all but the lowest have a template, until somebody is killed.
local function grow(levels, on_child, on_up)
  copse.nursery(function(n)
    local up, count = copse.event(), 0
    for i = 1, 2 do
      local child = spawn(n, ("level-%d-%d"):format(levels, i))
      on_child(child, i)
      n:start(function()
        if levels == 1 then
          count = count + 1
          if count == 2 then up:set() end
          return
        end
        local ctx <close> = child:open("grow", levels - 1)
        count = count + 1
        if count == 2 then up:set() end
        copse.sleep(1e6)
      end)
    end
    up:wait()
    on_up()
  end)
end

M.grow = copse.context(function(ctx, levels)
  grow(levels, function() end, function()
    ctx:started()
    for _ in ctx:items() do end
  end)
end)

function scenarios.deep()
  grow(3, function(child, i)
    local file <close> = assert(io.open(("%s/pid.%d"):format(os.getenv "HOLES_MARK", i), "w"))
    file:write(child.pid)
  end, function()
    print "ready"
    copse.sleep(1e6)
  end)
end

function M.main(scenario, ...) scenarios[scenario](...) end

return M
