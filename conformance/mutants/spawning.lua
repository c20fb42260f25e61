-- SPDX-License-Identifier: MIT
--
-- Defects of a parent: starting a child, the ladder, how a child ended (chapter 16), copse.info.

return {
  {
    name = "name-is-forgotten", title = "gives every child the name `child`",
    breaks = { "SPAWN-001" }, symptom = '/ name "child"',
    patch = function(p)
      function p.hooks.environment(env)
        for i, v in ipairs(env) do
          env[i] = v:gsub("^(COPSE_ACTOR=%x+ ).*$", "%1child")
        end
        return env
      end
    end,
  },
  {
    name = "no-link-in-the-environment", title = "does not tell a child where its link is",
    breaks = { "SPAWN-002", "ACTOR-005" }, symptom = "COPSE_LINK / none",
    patch = function(p)
      function p.hooks.environment(env)
        for i = #env, 1, -1 do
          if env[i]:find("^COPSE_LINK=") then table.remove(env, i) end
        end
        return env
      end
    end,
  },
  {
    name = "siblings-inherit-links", title = "lets a child inherit the links of its siblings",
    breaks = { "SPAWN-004" }, symptom = "no descriptor of the parent",
    patch = function(p)
      local uv = require "luv"
      local ends = {}
      p.wrap(p.spawn.Child, "attach", function(real, self, stream)
        real(self, stream)
        ends[#ends + 1] = stream
      end)
      p.wrap(p.spawn, "start_process", function(real, argv, fds, ...)
        for i, stream in ipairs(ends) do
          if not stream.input:is_closing() then fds[8 + i] = uv.fileno(stream.input) end
        end
        return real(argv, fds, ...)
      end)
    end,
  },
  {
    name = "child-holds-both-ends", title = "lets a child inherit the other end of its own link",
    breaks = { "MODEL-009", "SPAWN-004" }, symptom = "0 processes / 3 processes",
    patch = function(p)
      local uv = require "luv"
      local mine
      p.wrap(p.spawn.Child, "attach", function(real, self, stream)
        mine = stream.input
        return real(self, stream)
      end)
      p.wrap(p.spawn, "start_process", function(real, argv, fds, ...)
        fds[8] = uv.fileno(mine)
        return real(argv, fds, ...)
      end)
    end,
  },
  {
    name = "waits-for-a-boot-for-ever", title = "sets no limit to the boot of a child",
    breaks = { "SPAWN-011" }, symptom = "signal 15 for the child / nothing within",
    patch = function(p)
      function p.spawn.Child:watch_boot() self.stop_boot = function() end end
    end,
  },
  {
    name = "boot-timeout-is-death", title = "reports `died` for a child that did not boot in time",
    breaks = { "SPAWN-011" }, symptom = ', "sub", []), "code": "died"',
    patch = function(p)
      function p.spawn.Child:watch_boot()
        self.stop_boot = p.task.after(self.options.boot or p.spawn.BOOT, function()
          self:climb("SIGTERM")
        end)
      end
    end,
  },
  {
    name = "spawn-failed-is-failed",
    title = "reports `failed` for a command that cannot be started",
    breaks = { "SPAWN-013" }, symptom = 'ERROR with code "spawn_failed" / ERROR with code "failed"',
    patch = function(p)
      p.wrap(p.failure, "raise", function(real, code, ...)
        return real(code == "spawn_failed" and "failed" or code, ...)
      end)
    end,
  },
  {
    name = "actor-without-send", title = "opens copse.actor without `send`",
    breaks = { "ACTOR-001" }, symptom = "send true, no credit /",
    patch = function(p)
      function p.hooks.open(map)
        if map.target == "copse.actor" then map.send = nil end
        return map
      end
    end,
  },
  {
    name = "calls-before-copse-actor", title = "opens something else on a child's link first",
    breaks = { "ACTOR-001" }, symptom = "OPEN of copse.actor / OPEN 2",
    patch = function(p)
      p.wrap(p.spawn.Child, "open_actor", function(real, self)
        local s = p.scope.new { parent = self.actor.base }
        pcall(self.link.open_now, self.link, s, "copse.info", p.codec.map {}, {})
        return real(self)
      end)
    end,
  },
  {
    name = "crossing-open-is-a-loss",
    title = "reports a loss for an OPEN that crossed the terminal",
    breaks = { "ACTOR-017" }, symptom = "ERROR closing / ERROR 6",
    patch = function(p)
      p.wrap(p.link.Link, "end_openers", function(real, self, err)
        if err.code == "closing" then err.code = "link_lost" end
        return real(self, err)
      end)
    end,
  },
  {
    name = "last-words-are-lost",
    title = "judges a child by what it has read when the link ends",
    breaks = { "SPAWN-015" }, symptom = "RETURN on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        if options.child then
          p.wrap(transport, "start", function(start, self, on_bytes, on_end)
            start(self, function(bytes)
              p.task.after(200, function() on_bytes(bytes) end)
            end, on_end)
          end)
        end
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "deaths-are-not-told", title = "takes every end of a child for a good one",
    breaks = { "SPAWN-016" }, symptom = 'ERROR with code "died" / ERROR with code "closing"',
    patch = function(p) function p.hooks.reports_died() return nil end end,
  },
  {
    name = "status-does-not-matter", title = "takes any exit after a terminal for a good one",
    breaks = { "SPAWN-016" }, symptom = "ERROR on context 6 / RETURN 6 nil",
    patch = function(p)
      p.wrap(p.spawn.Child, "verdict", function(real, self)
        if self.terminal and not self.report and not self.ladder then return nil end
        return real(self)
      end)
    end,
  },
  {
    name = "died-without-data", title = "reports `died` without status or signal",
    breaks = { "SPAWN-017" }, symptom = "data.status 44 / data.status nil",
    patch = function(p)
      function p.hooks.reports_died(err)
        if err and err.code == "died" then err.data = p.codec.map {} end
        return err
      end
    end,
  },
  {
    name = "ladder-is-not-told",
    title = "does not say that it was its own ladder that killed a child",
    breaks = { "SPAWN-018" }, symptom = '/ {"signal": ',
    patch = function(p)
      function p.hooks.reports_died(err)
        if err and err.code == "died" then err.data.ladder = nil end
        return err
      end
    end,
  },
  {
    name = "killing-is-no-death", title = "reports nothing for a child that its ladder killed",
    breaks = { "SPAWN-018" }, symptom = 'ERROR with code "died" / ERROR with code "closing"',
    patch = function(p)
      p.wrap(p.spawn.Child, "verdict", function(real, self)
        if self.ladder and not self.report then return nil end
        return real(self)
      end)
    end,
  },
  {
    name = "stderr-without-bound", title = "reads the error output of a dead child to its end",
    breaks = { "SPAWN-019" }, symptom = "ERROR on context 6 / nothing within",
    patch = function(p) p.spawn.STDERR = 1 << 40 end,
  },
  {
    name = "every-context-dies-alone", title = "reports the death of a child once per context",
    breaks = { "SPAWN-020" }, symptom = 'ERROR with code "died" / ERROR with code "group"',
    patch = function(p)
      p.wrap(p.link.Link, "end_openers", function(_, self, err)
        for _, ctx in pairs(self.contexts) do
          if ctx.role == "opener" then ctx:over(p.failure.new(err)) end
        end
      end)
    end,
  },
  {
    name = "waits-for-an-exit-for-ever", title = "waits without bound for a child that has ended",
    breaks = { "SPAWN-022" }, symptom = "signal 15 for the child / nothing within",
    patch = function(p) function p.spawn.Child.expect_exit() end end,
  },
  {
    name = "kills-at-once", title = "goes from CANCEL to SIGKILL",
    breaks = { "LADDER-001", "SPAWN-011", "SPAWN-022" },
    symptom = "signal 15 for the child / the child is gone",
    patch = function(p)
      p.wrap(p.spawn.Child, "climb", function(real, self, rung)
        return real(self, rung == "SIGTERM" and "SIGKILL" or rung)
      end)
    end,
  },
  {
    name = "terminates-at-once", title = "sends SIGTERM together with CANCEL",
    breaks = { "LADDER-001" }, symptom = "no signal / 1 signals",
    patch = function(p)
      p.wrap(p.spawn.Child, "cancel", function(real, self, cause)
        real(self, cause)
        self:climb("SIGTERM")
      end)
    end,
  },
  {
    name = "stops-at-sigterm", title = "never sends SIGKILL",
    breaks = { "SPAWN-011", "SPAWN-018" }, symptom = "ERROR on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.spawn.Child, "climb", function(real, self, rung)
        if rung ~= "SIGKILL" then return real(self, rung) end
      end)
    end,
  },
  {
    name = "leaves-zombies", title = "sees in /proc how a child ended, and does not reap it",
    breaks = { "LADDER-006", "MODEL-010", "SPAWN-021" },
    symptom = "no ended process that is not reaped / pids",
    patch = function(p)
      local uv = require "luv"
      p.wrap(p.spawn, "start_process", function(real, argv, fds, env, on_exit)
        local handle, pid = real(argv, fds, env, on_exit)
        if not handle then return handle, pid end
        handle:close() -- and with it the event loop's interest in the process
        local function look()
          local f <close> = assert(io.open("/proc/" .. pid .. "/stat"))
          local state, rest = f:read("a"):match("%) (%a) (.*)")
          if state ~= "Z" then return p.task.after(5, look) end
          local status = tonumber(rest:match("(%d+)%s*$"))
          on_exit(status >> 8, status & 0x7f)
        end
        look()
        return { kill = function(_, signal) return uv.kill(pid, signal) end,
          close = function() end }, pid
      end)
    end,
  },
  {
    name = "info-of-itself", title = "answers copse.info for itself alone",
    breaks = { "REG-010" }, symptom = 'then [{"acme.mood": "fine"',
    patch = function(p)
      p.wrap(p.registry, "export", function(real, actor)
        real(actor)
        p.wrap(actor.exports, "copse.info", function(info, ...)
          local list = info(...)
          return p.codec.array { list[1] }
        end)
      end)
    end,
  },
  {
    name = "info-waits-for-all", title = "leaves a child that does not answer out of copse.info",
    breaks = { "REG-011" }, symptom = "the child with ref, parent,",
    patch = function(p)
      p.wrap(p.registry, "export", function(real, actor)
        real(actor)
        p.wrap(actor.exports, "copse.info", function(info, ...)
          local kept = p.codec.array {}
          for _, entry in ipairs(info(...)) do
            if entry.state ~= "unresponsive" then kept[#kept + 1] = entry end
          end
          return kept
        end)
      end)
    end,
  },
  {
    name = "says-no-end",
    title = "never says END to a child",
    breaks = { "ACTOR-014" }, symptom = "END on context 2 / nothing within",
    patch = function(p)
      function p.spawn.Child.finish() end
    end,
  },
  {
    name = "signals-what-it-is-told",
    title = "signals the process that a child says it is",
    breaks = { "SEC-008" }, symptom = "the process that was named alive / it is gone",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        local child = self.link.child
        if child and self.target == "copse.info" then child.told = value[1].pid end
        return real(self, value)
      end)
      p.wrap(p.spawn.Child, "climb", function(real, self, rung)
        if self.told and rung ~= "CANCEL" then require("luv").kill(self.told, rung:lower()) end
        return real(self, rung)
      end)
    end,
  },
  {
    name = "sigterm-is-death",
    title = "takes a child that hung up for dead when it has sent SIGTERM",
    breaks = { "SPAWN-021" }, symptom = "no `died` while pid",
    patch = function(p)
      p.wrap(p.spawn.Child, "climb", function(real, self, rung)
        real(self, rung)
        if rung ~= "SIGTERM" or self.exit or not self.link or self.link.state ~= "closed" then
          return
        end
        self.stop_rung()
        self.errors:close()
        self.exit, self.settling = { status = 0, signal = 15 }, true
        self:tell(self:verdict())
      end)
    end,
  },
  {
    name = "loss-goes-no-further", title = "keeps the loss of its parent from its own children",
    breaks = { "SPAWN-025" }, symptom = "its child's link ended, or cancelled for the loss /",
    patch = function(p)
      local function is_child(m) return getmetatable(m) == p.spawn.Child end
      function p.hooks.passes_on(m)
        local parent = (m.actor or m.link.actor).parent_link
        return parent.state ~= "closed" or not is_child(m) and m.target ~= "copse.actor"
      end
      p.wrap(p.watchdog, "start", function(real, ...)
        local watchdog = real(...)
        function watchdog.add() end
        function watchdog.remove() end
        return watchdog
      end)
    end,
  },
}
