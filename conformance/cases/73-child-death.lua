-- SPDX-License-Identifier: MIT
--
-- The testee as the parent of a child that ends badly: errors that the child reports itself, deaths
-- of every kind, which only the parent can report, and what is left when the news of one is out.
local case = ...
local child = require "child"
local frame = require "frame"
local pattern = require "pattern"
local process = require "process"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local function spawn_case(o) pattern.child(case, o) end

-- Errors that the child reports -------------------------------------------------------------------

for _, when in ipairs { "before", "after" } do
  spawn_case {
    id = "error." .. when, req = { "ERROR-005", "ERROR-003", "SPAWN-014" },
    title = "An ERROR of copse.actor " .. when
      .. " its STARTED is passed on with the child in its path",
    why = "What the child says of itself is better than what its exit tells.",
    run = function(t, c)
      c:boot { started = when == "after" }
      c.actor:fail_with { code = "acme.no", message = "will not", data = 3 }
      c:exit(1)
      local e = c.ctx:errors("acme.no", "ERROR-005", { message = "will not", data = 3 })
      t:check("ERROR-003", value.eq(e.via, array { value.ref(c.id, c.name, {}), t.actor })
        or value.eq(e.via, array { value.ref(c.id, c.name, {}) }),
        "via: the child", value.show(e.via))
    end,
  }
end

spawn_case {
  id = "error.call", req = { "ERROR-005", "MODEL-004" },
  args = { call = map { target = "x.work" } },
  title = "An error of a call on the child cancels the child, and comes out when it is gone",
  why = "Errors go up, cancellation goes down.",
  run = function(_, c)
    c:boot()
    c.link:accept("x.work"):fail_with { code = "acme.work", message = "m" }
    local f = c.actor:next("END or CANCEL", "MODEL-004")
    c.ctx:nothing("MODEL-002")
    if f.name == "CANCEL" then
      c.actor:cancelled_with { origin = f.value.origin }
    else
      c.actor:returns_with()
    end
    c:exit(0)
    c.ctx:errors("acme.work", "ERROR-005", { message = "m" })
  end,
}

-- Death -------------------------------------------------------------------------------------------

for _, status in ipairs { 0, 1, 7, 255 } do
  for _, when in ipairs { "hello", "boot", "service" } do
    if status == 7 or when == "service" then
      spawn_case {
        id = "died." .. when .. "-" .. status, req = { "SPAWN-016", "SPAWN-017" },
        title = "A child that exits with status " .. status .. " in place of its " .. when
          .. " is `died`",
        why = "It said nothing, so the parent has to.",
        run = function(_, c)
          if when ~= "hello" then c:hello() end
          if when == "service" then c:boot_rest() end
          c:exit(status)
          c:died({ status = status })
        end,
      }
    end
  end
end

for _, signal in ipairs { 9, 15, 6 } do
  spawn_case {
    id = "died.signal-" .. signal, req = { "SPAWN-016", "SPAWN-017" },
    title = "A child that dies by signal " .. signal .. " is `died`, and the report names it",
    why = "A crash is not an exit.",
    run = function(t, c)
      c:boot()
      c:die(signal)
      local _, data = c:died()
      t:check("SPAWN-017", data.signal ~= nil and data.status == nil, "the signal, no status",
        value.show(data))
    end,
  }
end

spawn_case {
  id = "died.stderr", req = "SPAWN-017",
  title = "The report of a death ends with what the child said last, if the parent captured it",
  why = "The stack trace of a child is worth more than its status.",
  run = function(t, c)
    c:boot()
    c:stderr(("filler "):rep(4000) .. "\nlast words\n")
    c:exit(9)
    local _, data = c:died({ status = 9 })
    t:check("SPAWN-017", data.stderr == nil or type(data.stderr) == "string"
      and data.stderr:find("last words", 1, true),
      "the tail of the standard error output", value.show(data.stderr))
  end,
}

spawn_case {
  id = "died.contexts", req = { "SPAWN-020", "CTX-004" },
  args = { call = map { target = "x.work" } },
  title = "All contexts on the link of a child that died end with one and the same `died`",
  why = "One death is one error, however many were waiting.",
  run = function(t, c)
    c:boot()
    c.link:accept("x.work")
    c:exit(5)
    local e = c:died({ status = 5 }, "SPAWN-020")
    t:check("SPAWN-020", e.causes == nil or e.causes.n == 0, "no causes", value.show(e))
  end,
}

spawn_case {
  id = "died.last-frames", req = { "SPAWN-015", "CROSS-003" },
  args = { call = map { target = "x.work" } },
  title = "What a child wrote before it exited is read before it is judged",
  why = "The exit is often known before the last frames are.",
  run = function(_, c)
    c:boot()
    local work = c.link:accept("x.work")
    c.link:cork(function()
      work:returns_with(("r"):rep(50000))
      c.actor:returns_with()
    end)
    c:exit(0)
    c.ctx:returns(("r"):rep(50000), "SPAWN-015")
  end,
}

for _, b in ipairs {
  { "return-1", "RETURN", 1 }, { "return-9", "RETURN", 9 }, { "error-0", "ERROR", 0 },
    { "cancelled-1", "CANCELLED", 1 },
} do
  spawn_case {
    id = "status." .. b[1], req = { "SPAWN-016", "SPAWN-014" },
    title = b[2] .. " and then exit status " .. b[3] .. " is `died`",
    why = "Something went wrong after the child had said its last.",
    run = function(t, c)
      c:boot()
      if b[2] == "CANCELLED" then
        c.ctx:cancel { grace = 60000 }
        c.actor:expect("CANCEL", "MODEL-005")
        c.actor:cancelled_with {}
      elseif b[2] == "RETURN" then
        c.ctx:finish()
        c.actor:expect("END", "ACTOR-014")
        c.actor:returns_with()
      else
        c.actor:fail_with { code = "acme.no", message = "" }
      end
      c:exit(b[3])
      local f = c.ctx:expect("ERROR", "SPAWN-016")
      local list = { f.value }
      for i = 1, value.is_array(f.value.causes) and f.value.causes.n or 0 do
        list[#list + 1] = f.value.causes[i]
      end
      local found
      for _, e in ipairs(list) do if e.code == "died" then found = e end end
      t:check("SPAWN-016", found, "`died`, alone or in a group", value.show(f.value))
      t:is("SPAWN-017", value.is_map(found.data) and found.data.status or nil, b[3], "data.status")
    end,
  }
end

-- The news of a death -----------------------------------------------------------------------------

for _, how in ipairs { "exit", "signal" } do
  spawn_case {
    id = "died.after-the-reap." .. how, req = { "SPAWN-021", "SPAWN-016" },
    title = "Whoever hears `died` finds nothing left of the child (" .. how .. ")",
    why = "Its name, its files and its process id are free for the next one.",
    run = function(t, c)
      c:boot()
      if how == "exit" then c:exit(7) else c:die(9) end
      c:died()
      t:check("SPAWN-021", not process.exists(c.pid), "pid " .. c.pid .. " reaped",
        "it is still there")
    end,
  }
end

spawn_case {
  id = "died.not-before-the-exit", req = { "SPAWN-021", "SPAWN-022" }, args = { grace = 150 },
  title = "A child whose link is lost is not `died` while its process lives, SIGTERM or not",
  why = "The loss of the link is no proof of its death, and a signal may be caught.",
  run = function(t, c, p)
    c:boot()
    c:drop()
    c:await_signal(15, "SPAWN-022")
    p:barrier()
    -- SIGKILL follows, for which a slow machine may have left the time.
    local told = p:take(function(f) return f.ctx == c.ctx.id end)
    t:check("SPAWN-021", not told or not process.exists(c.pid), "no `died` while pid " .. c.pid
      .. " lives", told and frame.show(told))
    c:exit(1)
    if not told then c:died() end
  end,
}

case {
  id = "child.died.orphans", req = { "SPAWN-021", "SPAWN-016" }, profile = "spawn",
  title = "`died` comes after the orphans that the parent adopted from the child are gone",
  why = "A child is gone when all that it started is gone, as far as its parent can see it.",
  run = function(t)
    local p = t:boot()
    t.cleanup[#t.cleanup + 1] = function()
      for _, pid in ipairs(process.marked(t.mark)) do uv.kill(pid, 9) end
    end
    -- What the testee keeps for its own use it has when the first child is gone.
    child.spawn(t, p):boot():finish()
    local before = {}
    for _, pid in ipairs(process.children(p.process.pid)) do before[pid] = true end
    local script = "sleep 1000 2>/dev/null & (sleep 1000 2>/dev/null & :) & exit 4"
    local c = p:open("tck.spawn", map { argv = array { "/bin/sh", "-c", script } }, { send = true })
    local e = c:errors("died", "SPAWN-016")
    t:is("SPAWN-017", value.is_map(e.data) and e.data.status or nil, 4, "data.status")
    local left = {}
    for _, pid in ipairs(process.children(p.process.pid)) do
      if not before[pid] then left[#left + 1] = pid end
    end
    t:check("SPAWN-021", #left == 0, "no process left that the testee adopted",
      "pids " .. table.concat(left, ", "))
  end,
}

case {
  id = "child.stderr-held", req = { "SPAWN-019", "SPAWN-021" }, profile = "spawn",
  title = "A grandchild that holds the error output open does not keep its grandparent waiting",
  why = "It would wait for a process that it does not know.",
  run = function(t)
    local p = t:boot()
    t.cleanup[#t.cleanup + 1] = function()
      for _, pid in ipairs(process.marked(t.mark)) do uv.kill(pid, 9) end
    end
    local argv = array { "/bin/sh", "-c", "setsid sleep 1000 & exit 4" }
    local c = p:open("tck.spawn", map { argv = argv }, { send = true })
    local e = c:errors("died", "SPAWN-019")
    t:is("SPAWN-017", value.is_map(e.data) and e.data.status or nil, 4, "data.status")
  end,
}
