-- SPDX-License-Identifier: MIT
--
-- Defects of a child: its boot, the context copse.actor, finishing, the exit, the loss of its
-- parent (chapter 16), and the registry (chapter 17).

local function env(p, variable, change)
  local uv = require "luv"
  p.wrap(p.actor, "boot", function(real, options)
    local value = uv.os_getenv(variable)
    if value then uv.os_setenv(variable, change(value)) end
    return real(options)
  end)
end

return {
  {
    name = "takes-an-id-of-its-own", title = "takes an id of its own where its parent gave it one",
    breaks = { "SPAWN-005", "ACTOR-005" }, symptom = "' / id h'",
    patch = function(p)
      local uv = require "luv"
      env(p, "COPSE_ACTOR", function(value)
        local id = uv.random(16):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
        return id .. value:sub(33)
      end)
    end,
  },
  {
    name = "takes-a-name-of-its-own",
    title = "takes a name of its own where its parent gave it one",
    breaks = { "SPAWN-005" }, symptom = '/ name "copse-peer"',
    patch = function(p)
      env(p, "COPSE_ACTOR", function(value) return value:sub(1, 33) .. "copse-peer" end)
    end,
  },
  {
    name = "says-no-token", title = "does not say the token that it found",
    breaks = { "SPAWN-006" }, symptom = "the token of COPSE_TOKEN, as bytes / nil",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        if options.role == "connector" then options.token = nil end
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "hands-its-variables-on", title = "leaves its variables to the processes it starts",
    breaks = { "SPAWN-007", "ACTOR-001", "ACTOR-005" },
    symptom = "an id of its own / that of the parent",
    patch = function(p)
      function p.hooks.unsets() return false end
      local uv = require "luv"
      function p.hooks.environment(list)
        for _, v in ipairs { "COPSE_LINK", "COPSE_ACTOR", "COPSE_TOKEN" } do
          local value = uv.os_getenv(v)
          if value then table.insert(list, 1, v .. "=" .. value) end
        end
        return list
      end
    end,
  },
  {
    name = "hands-its-link-on", title = "lets the processes it starts inherit its link",
    breaks = { "SPAWN-008" }, symptom = "no descriptor of its parent's own link",
    patch = function(p)
      local uv = require "luv"
      local me
      p.wrap(p.actor, "boot", function(real, options)
        me = real(options)
        return me
      end)
      p.wrap(p.spawn, "start_process", function(real, argv, fds, ...)
        fds[8] = uv.fileno(me.parent_link.transport.output)
        return real(argv, fds, ...)
      end)
    end,
  },
  {
    name = "leaves-stdio", title = "leaves its link in the places of its standard input and output",
    breaks = { "SPAWN-009" }, symptom = "an empty input /",
    patch = function(p) function p.transport.replace_stdio() end end,
  },
  {
    name = "wants-its-group", title = "refuses to start in a process group it does not know",
    breaks = { "SPAWN-010" }, symptom = "HELLO / the end of the input",
    patch = function(p)
      env(p, "COPSE_ACTOR", function(value)
        return value:find("@", 1, true) == 33 and "nonsense" or value
      end)
    end,
  },
  {
    name = "asks-before-it-is-asked", title = "opens a context before copse.actor has arrived",
    breaks = { "ACTOR-002", "ACTOR-015" }, symptom = "nothing / OPEN 1",
    patch = function(p)
      p.wrap(p.link.Link, "take_HELLO", function(real, self, payload)
        real(self, payload)
        local actor = self.actor
        if self ~= actor.parent_link or self.state ~= "open" then return end
        local s = p.scope.new { parent = actor.base }
        self:open_now(s, "copse.find", p.codec.map { name = "someone" }, {})
      end)
    end,
  },
  {
    name = "serves-before-it-is-ready", title = "serves before its STARTED on copse.actor",
    breaks = { "ACTOR-003", "CTX-010" }, symptom = "ERROR on context 2 / RETURN 2 nil",
    patch = function(p)
      p.wrap(p.actor, "boot", function(real, options)
        local actor, why = real(options)
        if actor then actor.ready = true end
        return actor, why
      end)
    end,
  },
  {
    name = "two-parents", title = "begins a second life when copse.actor comes again",
    breaks = { "ACTOR-004", "SEC-002" }, symptom = "ERROR on context 6 / BYE",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        if open.target ~= "copse.actor" or not actor.context then return real(actor, ctx, open) end
        ctx.scope = p.scope.new { parent = actor.scope, context = ctx }
        actor.scope:remove(ctx.scope)
        ctx.ran = true
        ctx:started(p.codec.map { listen = p.codec.array {} })
        ctx:conclude("RETURN", p.codec.encode(nil))
      end)
    end,
  },
  {
    name = "tells-no-addresses", title = "does not say where it listens",
    breaks = { "ACTOR-005" }, symptom = "the address at which it listens / []",
    patch = function(p)
      p.wrap(p.context.Context, "started", function(real, self, value)
        if self == self.link.actor.context then
          value = p.codec.map { listen = p.codec.array {} }
        end
        return real(self, value)
      end)
    end,
  },
  {
    name = "takes-any-arguments", title = "overlooks arguments of copse.actor that it cannot use",
    breaks = { "ACTOR-006" }, symptom = "ERROR on context 2 / STARTED 2",
    patch = function(p)
      p.wrap(p.actor.Actor, "begin", function(real, self, ctx, in_time)
        local known = { error = true, warn = true, info = true, debug = true, trace = true }
        if p.codec.is_map(ctx.args) then
          if not known[ctx.args.log] then ctx.args.log = nil end
          if type(ctx.args.debug) ~= "boolean" then ctx.args.debug = nil end
          if math.type(ctx.args.grace) ~= "integer" then ctx.args.grace = nil end
        end
        return real(self, ctx, in_time)
      end)
    end,
  },
  {
    name = "listens-where-it-can", title = "overlooks an address at which it cannot listen",
    breaks = { "ACTOR-006" }, symptom = "ERROR on context 2 / STARTED 2",
    patch = function(p)
      p.wrap(p.actor.Actor, "listen", function(real, self, address, token)
        return real(self, address, token) or address
      end)
    end,
  },
  {
    name = "dies-of-an-error", title = "ends when a handler fails with a code of its own",
    breaks = { "ACTOR-012", "ERROR-011", "KIND-018" },
    symptom = "CANCELLED on context 2 / ERROR 2",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        real(self, err, reply)
        local own = err.code == "failed" or err.code:find("^acme%.")
        if own and not reply then self.link.actor.scope:fail(err) end
      end)
    end,
  },
  {
    name = "serves-while-finishing", title = "serves what is opened after END on copse.actor",
    breaks = { "ACTOR-009" }, symptom = "ERROR on context 8 / RETURN 8 nil",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        local finishing = actor.finishing
        actor.finishing = false
        real(actor, ctx, open)
        actor.finishing = finishing or actor.finishing
      end)
    end,
  },
  {
    name = "listens-while-finishing", title = "goes on listening after END on copse.actor",
    breaks = { "ACTOR-010" }, symptom = "a connection refused / a connection",
    patch = function(p) function p.actor.Actor.stop_listening() end end,
  },
  {
    name = "stays-registered", title = "keeps its registrations after END on copse.actor",
    breaks = { "ACTOR-010" }, symptom = "END on context 1 / nothing within",
    patch = function(p)
      p.wrap(p.actor.Actor, "finish", function(real, self)
        self.registrations = {}
        return real(self)
      end)
    end,
  },
  {
    name = "holds-on", title = "does not end held contexts after END on copse.actor",
    breaks = { "ACTOR-011" }, symptom = "RETURN on context 1 / nothing within",
    patch = function(p) function p.hooks.finishes_held() return false end end,
  },
  {
    name = "finishes-at-once", title = "RETURNs at END on copse.actor while handlers run",
    breaks = { "ACTOR-012" }, symptom = "nothing on context 2 / RETURN 2 nil",
    patch = function(p)
      function p.hooks.waits_for_contexts() return false end
      function p.hooks.may_end() return true end
    end,
  },
  {
    name = "cuts-short", title = "cancels its handlers at END on copse.actor",
    breaks = { "ACTOR-012", "ACTOR-010", "ACTOR-011" },
    symptom = "RETURN on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.actor.Actor, "finish", function(real, self)
        real(self)
        for member in pairs(self.scope.members) do
          if member.context and member.cancel then
            member.context:be_cancelled(p.failure.cause("shutdown", self.ref))
          end
        end
      end)
    end,
  },
  {
    name = "waits-for-every-reader", title = "waits without bound for terminals that nobody reads",
    breaks = { "ACTOR-013" }, symptom = "RETURN on context 2 / nothing within",
    patch = function(p)
      p.wrap(p.task, "after", function(real, ms, fn)
        local info = debug.getinfo(2, "n")
        return real(info and info.name == "live" and 1 << 40 or ms, fn)
      end)
    end,
  },
  {
    name = "goes-without-the-rest",
    title = "answers CANCEL on copse.actor and leaves the rest running",
    breaks = { "ACTOR-016" }, symptom = "nothing on context 2 / CANCELLED 2",
    patch = function(p)
      p.wrap(p.scope.Scope, "is_empty", function(real, self)
        return self.actor and self == self.actor.scope and self.cancelled ~= nil or real(self)
      end)
      function p.hooks.may_end() return true end
    end,
  },
  {
    name = "lives-on", title = "does not exit after the terminal of copse.actor",
    breaks = { "SPAWN-014" }, symptom = "the exit of the testee / nothing within",
    patch = function(p)
      p.wrap(p.actor.Actor, "exit", function(real, self, status)
        if not self.context or not self.context.concluded then return real(self, status) end
        if self.watchdog then self.watchdog:stop() end
        self.watchdog = nil
      end)
    end,
  },
  {
    name = "exits-with-any-status", title = "exits with status 0 after ERROR on copse.actor",
    breaks = { "SPAWN-014" }, symptom = "exit status 1 / exit status 0",
    patch = function(p) function p.hooks.exit_status() return 0 end end,
  },
  {
    name = "exits-with-one", title = "exits with status 1 after CANCELLED on copse.actor",
    breaks = { "SPAWN-014" }, symptom = "exit status 0 / exit status 1",
    patch = function(p)
      p.wrap(p.actor.Actor, "leave", function(real, self, link, status)
        if self.context and self.context.concluded == "CANCELLED" then status = 1 end
        return real(self, link, status)
      end)
    end,
  },
  {
    name = "outlives-its-parent", title = "does not watch the link of its parent",
    breaks = { "SPAWN-023", "SPAWN-024" }, symptom = "the exit of the child / nothing within",
    patch = function(p) function p.hooks.watches_parent() return false end end,
  },
  {
    name = "no-watchdog",
    title = "leaves the watch over its parent to the loop its handlers run in",
    breaks = { "SPAWN-023" }, symptom = "the exit of the child / nothing within",
    patch = function(p)
      function p.watchdog.start() end
    end,
  },
  {
    name = "sigterm-kills", title = "dies of SIGTERM without clean-up",
    breaks = { "LADDER-003", "ODD-004" },
    symptom = "CANCELLED on context 2 / the end of the input",
    patch = function(p)
      p.wrap(p.actor, "boot", function(real, options)
        local actor, why = real(options)
        if actor then actor.signals[1]:close() end
        return actor, why
      end)
    end,
  },
  {
    name = "sigterm-is-requested", title = "takes SIGTERM for a cancellation of origin `requested`",
    breaks = { "LADDER-003" }, symptom = 'origin "shutdown" / origin "requested"',
    patch = function(p)
      p.wrap(p.failure, "cause", function(real, origin, ...)
        return real(origin == "shutdown" and "requested" or origin, ...)
      end)
    end,
  },
  {
    name = "sigint-kills", title = "dies of the SIGINT of the terminal",
    breaks = { "LADDER-004", "ODD-004" },
    symptom = "a link that goes on / the end of the input",
    patch = function(p)
      p.wrap(p.actor, "boot", function(real, options)
        local actor, why = real(options)
        if actor then actor.signals[2]:close() end
        return actor, why
      end)
    end,
  },
  {
    name = "lists-nothing", title = "does not list who registers",
    breaks = { "REG-001", "REG-004", "REG-006", "REG-008", "REG-003" }, symptom = ")] / ",
    patch = function(p) function p.hooks.lists() return false end end,
  },
  {
    name = "forgets-nothing", title = "keeps a name whose registration has ended",
    breaks = { "REG-001", "REG-004", "REG-006", "REG-003" }, symptom = " [] / a [",
    patch = function(p) function p.hooks.forgets() return false end end,
  },
  {
    name = "end-is-not-enough", title = "holds a registration on after the opener's END",
    breaks = { "REG-002" }, symptom = "RETURN on context 1 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "held", function(_, self)
        self.is_held = true
        p.task.wait(self.signal, function() return self.let_go end)
      end)
    end,
  },
  {
    name = "one-name-one-actor", title = "replaces the registration of a name by a newer one",
    breaks = { "REG-003" }, symptom = "a a [",
    patch = function(p)
      p.wrap(p.registry.Registry, "add", function(real, self, entry)
        for i = #self.entries, 1, -1 do
          if self.entries[i].name == entry.name then table.remove(self.entries, i) end
        end
        return real(self, entry)
      end)
    end,
  },
  {
    name = "newest-first", title = "lists the newest registration of a name first",
    breaks = { "REG-003" }, symptom = "a3 a1 a5 a2 a4 [",
    patch = function(p)
      p.wrap(p.registry.Registry, "add", function(real, self, entry)
        real(self, entry)
        table.insert(self.entries, 1, table.remove(self.entries))
      end)
    end,
  },
  {
    name = "nobody-is-an-error", title = "answers `not_found` where no name is listed",
    breaks = { "REG-004" }, symptom = "RETURN on context 12 / ERROR 12",
    patch = function(p)
      p.wrap(p.registry.Registry, "find", function(real, self, ctx, args)
        local list = real(self, ctx, args)
        if #list == 0 then p.failure.raise("not_found", "nobody") end
        return list
      end)
    end,
  },
  {
    name = "waits-for-the-next", title = "waits for a registration though there is one",
    breaks = { "REG-005" }, symptom = "RETURN on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.registry.Registry, "wait", function(real, self, ctx, args)
        local before, changed = #self.entries, false
        p.task.wait(self.changed, function()
          changed = changed or #self.entries > before
          return changed
        end)
        return real(self, ctx, args)
      end)
    end,
  },
  {
    name = "waits-for-nothing", title = "answers copse.wait with nil where there is nobody",
    breaks = { "REG-005", "DEADLINE-002" }, symptom = "nothing on context 6 / RETURN 6 nil",
    patch = function(p)
      function p.registry.Registry:wait(_, args)
        return self:list(args.name, function(entry) return entry.ref end)[1]
      end
    end,
  },
  {
    name = "changes-are-told-twice", title = "tells a watcher every change twice",
    breaks = { "REG-006" }, symptom = '"a", []) / {"name": "n", "op": "add"',
    patch = function(p)
      p.wrap(p.registry.Registry, "tell", function(real, self, op, entry)
        real(self, op, entry)
        real(self, op, entry)
      end)
    end,
  },
  {
    name = "removals-are-not-told", title = "does not tell a watcher that a name is gone",
    breaks = { "REG-006" }, symptom = '"a", []) / {"name": "n", "op": "add"',
    patch = function(p)
      p.wrap(p.registry.Registry, "tell", function(real, self, op, entry)
        if op == "add" then return real(self, op, entry) end
        self.changed:notify()
      end)
    end,
  },
  {
    name = "watches-all-names", title = "tells a watcher of one name about all of them",
    breaks = { "REG-007" }, symptom = 'the name n / {"name": "m"',
    patch = function(p)
      p.wrap(p.registry.Registry, "tell", function(real, self, op, entry)
        for watcher in pairs(self.watchers) do watcher.name = nil end
        return real(self, op, entry)
      end)
    end,
  },
  {
    name = "items-without-a-name", title = "does not say under which name a reference is listed",
    breaks = { "REG-007" }, symptom = 'the name m / {"op": "add"',
    patch = function(p)
      p.wrap(p.registry.Registry, "tell", function(real, self, op, entry)
        real(self, op, entry)
        for watcher in pairs(self.watchers) do
          for _, item in ipairs(watcher.queue) do item.name = nil end
        end
      end)
    end,
  },
  {
    name = "watchers-without-bound", title = "keeps changes for a watcher without end",
    breaks = { "REG-008" }, symptom = "ERROR busy / nothing after",
    patch = function(p) function p.hooks.watch_bound() return math.huge end end,
  },
  {
    name = "registers-anyone", title = "lets an actor register another",
    breaks = { "REG-009" }, symptom = "ERROR on context 1 / STARTED 1 nil",
    patch = function(p) function p.hooks.owner_only() return false end end,
  },
  {
    name = "half-a-testee",
    title = "lacks a key of tck.stat",
    breaks = { "EXT-001" }, symptom = "tck.stat with an integer cancelled /",
    patch = function(p)
      p.wrap(p.actor, "new", function(real, options)
        p.wrap(options.exports, "tck.stat", function(stat, ...)
          local map = stat(...)
          map.cancelled = nil
          return map
        end)
        return real(options)
      end)
    end,
  },
  {
    name = "exports-under-every-name", title = "exports its handlers under copse., too",
    breaks = { "ACTOR-007" }, symptom = "ERROR no_target for copse.echo / RETURN",
    patch = function(p)
      p.wrap(p.actor, "boot", function(real, o)
        local more = {}
        for k, v in pairs(o.exports) do more[k:gsub("^tck%.", "copse.")] = v end
        for k, v in pairs(more) do o.exports[k] = v end
        return real(o)
      end)
    end,
  },
}
