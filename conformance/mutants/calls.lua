-- SPDX-License-Identifier: MIT
--
-- Defects in chapters 7 and 8: BYE, PING, OPEN, terminals, refusals, the life of a context.

return {
  {
    name = "unknown-bye-is-graceful", title = "takes a BYE of an unknown code for a graceful one",
    breaks = { "KIND-001", "LINK-015" }, symptom = "the end of the input / nothing within",
    patch = function(p)
      local known = {
        none = true, version = true, frame = true, value = true, schema = true, state = true,
        limit = true, credit = true, echo = true, timeout = true, token = true, heartbeat = true,
        ids = true, internal = true, wrong_actor = true, unresponsive = true, no_memory = true,
      }
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "BYE" and not known[result.code] then result.code = "none" end
        return result
      end)
    end,
  },
  {
    name = "bye-names-no-context", title = "does not name the context of a violation in BYE",
    breaks = { "KIND-002" }, symptom = "BYE that names context 10 / context 0",
    patch = function(p)
      function p.hooks.bye(map)
        map.context = nil
        return map
      end
    end,
  },
  {
    name = "bye-names-no-last", title = "does not say in BYE how far it has come",
    breaks = { "KIND-003" }, symptom = "/ last nil",
    patch = function(p)
      function p.hooks.bye(map)
        map.last = nil
        return map
      end
    end,
  },
  {
    name = "last-is-its-own", title = "gives its own highest id in `last` of BYE",
    breaks = { "KIND-003" }, symptom = "a frame that is legal here (link dialled1) / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "bye", function(real, self, ...)
        local highest = self.highest
        self.highest = self.next_id
        local payload = real(self, ...)
        self.highest = highest
        return payload
      end)
    end,
  },
  {
    name = "pong-is-encoded-anew", title = "echoes the value of a PING, not its bytes",
    breaks = { "KIND-005" }, symptom = "' / payload h'",
    patch = function(p)
      function p.hooks.pong(payload) return p.codec.encode(p.codec.decode(payload)) end
    end,
  },
  {
    name = "pong-comes-first", title = "sends PONG before the refusals that it owes",
    breaks = { "KIND-006" }, symptom = "every END before the PONG",
    patch = function(p)
      function p.hooks.pong_waits() return false end
      function p.hooks.next_frame(outbox)
        return outbox:next_pong() or outbox:next_control() or outbox:next_open()
          or outbox:next_message()
      end
    end,
  },
  {
    name = "pong-was-not-asked-for", title = "takes a PONG without PING for a violation",
    breaks = { "KIND-008", "KIND-018" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      function p.link.Link.take_PONG()
        error({ violation = "state", message = "PONG without PING" }, 0)
      end
    end,
  },
  {
    name = "send-is-the-default", title = "takes an OPEN without `send` for one with it",
    breaks = { "KIND-009" }, symptom = "RETURN on context 6 / nothing within",
    patch = function(p) function p.hooks.implies_end() return false end end,
  },
  {
    name = "implied-stop-is-answered", title = "answers END to the STOP that an OPEN implies",
    breaks = { "ACTOR-012", "STREAM-003" },
    symptom = "RETURN on copse.actor after END / END 2",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        real(self, open)
        if not open.credit then self.out = "stopped" end
      end)
    end,
  },
  {
    name = "no-credit-is-boundless", title = "sends items to an opener that granted none",
    breaks = { "KIND-010", "STREAM-003", "STREAM-005" },
    symptom = "nothing on context 6 / ITEM 6",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        open.credit = open.credit or { 16, 65536 }
        return real(self, open)
      end)
    end,
  },
  {
    name = "held-without-send", title = "opens a registration without `send`",
    breaks = { "KIND-011" }, symptom = "`send` in its OPEN: true / `send` in its OPEN: nil",
    patch = function(p)
      function p.hooks.open(map)
        if map.target == "copse.register" then map.send = nil end
        return map
      end
    end,
  },
  {
    name = "arguments-backwards", title = "hands positional arguments on in reverse",
    breaks = { "KIND-012" }, symptom = "RETURN 5 / RETURN 7",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        if p.codec.is_array(open.args) then
          local reversed = p.codec.array {}
          for i = #open.args, 1, -1 do reversed[#reversed + 1] = open.args[i] end
          open.args = reversed
        end
        return real(self, open)
      end)
    end,
  },
  {
    name = "no-positional-arguments", title = "refuses positional arguments",
    breaks = { "KIND-012", "KIND-018" }, symptom = "RETURN 5 / RETURN nil",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        if p.codec.is_array(open.args) then open.args = p.codec.map {} end
        return real(self, open)
      end)
    end,
  },
  {
    name = "bad-args-is-failed", title = "answers `failed` where arguments cannot be used",
    breaks = { "KIND-013" }, symptom = 'ERROR with code "bad_args" / ERROR with code "failed"',
    patch = function(p)
      p.wrap(p.failure, "raise", function(real, code, ...)
        return real(code == "bad_args" and "failed" or code, ...)
      end)
    end,
  },
  {
    name = "starts-before-it-looks", title = "sends STARTED before it looks at the arguments",
    breaks = { "KIND-013", "ERROR-013" }, symptom = "ERROR on context 6 / STARTED 6 nil",
    patch = function(p)
      p.wrap(p.actor, "new", function(real, options)
        for target, handler in pairs(options.exports or {}) do
          options.exports[target] = function(ctx, args)
            local ok, result = pcall(handler, ctx, args)
            if ok then return result end
            if p.failure.is(result) and result.code == "bad_args" and ctx.life == "running" then
              ctx:started()
            end
            error(result, 0)
          end
        end
        return real(options)
      end)
    end,
  },
  {
    name = "no-target-is-not-found", title = "answers `not_found` for a target it does not have",
    breaks = { "KIND-014" }, symptom = 'ERROR with code "no_target" / ERROR with code "not_found"',
    patch = function(p)
      function p.hooks.refusal(code) return code == "no_target" and "not_found" or code end
    end,
  },
  {
    name = "no-target-is-silence", title = "does not answer an OPEN of a target it does not have",
    breaks = { "KIND-014", "ERROR-005" }, symptom = "ERROR on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        if err.code ~= "no_target" then return real(self, err, reply) end
      end)
    end,
  },
  {
    name = "items-before-started", title = "sends the first item before STARTED",
    breaks = { "KIND-017", "STREAM-010" },
    symptom = "a frame that is legal here (link testee) / ITEM 6 0: ITEM in state wai",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "fragment", function(real, self, message)
        local bytes, last = real(self, message)
        local ctx = message.ctx
        if message.kind == "STARTED" and ctx.target == "tck.source" and ctx.allowed.items > 0 then
          ctx.late, bytes = bytes, nil
        elseif message.kind == "ITEM" and ctx.late and last then
          ctx.late, bytes = nil, bytes .. ctx.late
        end
        return bytes, last
      end)
    end,
  },
  {
    name = "no-cancelled", title = "ends a wait that is cancelled without a terminal",
    breaks = { "CANCEL-005" },
    symptom = "the terminal of context 8 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_cancelled", function(real, self, ran)
        local late = self:cancellation().origin == "deadline"
        if not ran or late or self.target ~= "tck.gate" then return real(self, ran) end
        self.life = "ended"
        if self.stop_deadline then self.stop_deadline() end
        self.link:forget(self)
      end)
    end,
  },
  {
    name = "two-terminals", title = "sends CANCELLED after a RETURN of nil",
    breaks = { "CTX-005" }, symptom = "a frame that is legal here (link testee) / CANCELLED 6",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "fragment", function(real, self, message)
        local bytes, last = real(self, message)
        if last and message.kind == "RETURN" and message.ctx.target == "tck.echo" then
          bytes = bytes .. p.frame.encode("CANCELLED", message.ctx.id, p.codec.encode(p.codec.map {
            origin = "requested", ran = true,
          }))
        end
        return bytes, last
      end)
    end,
  },
  {
    name = "started-after-return", title = "sends STARTED after RETURN where user code sent none",
    breaks = { "KIND-019" },
    symptom = "a frame that is legal here (link testee) / STARTED 6 nil: STARTED in s",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "fragment", function(real, self, message)
        local bytes, last = real(self, message)
        if last and message.kind == "RETURN" and message.ctx.target == "tck.echo" then
          bytes = bytes .. p.frame.encode("STARTED", message.ctx.id, "\xc0")
        end
        return bytes, last
      end)
    end,
  },
  {
    name = "error-waits-for-its-end",
    title = "does not take ERROR for an end of the half that it has not ended itself",
    breaks = { "KIND-021" },
    symptom = "ERROR on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.arrived, "ERROR", function(real, self, fields)
        local served = self == (self.link.child or {}).context
        if self.out ~= "open" or served then return real(self, fields) end
      end)
    end,
  },
  {
    name = "started-twice", title = "takes a second STARTED",
    breaks = { "CTX-001" }, symptom = "BYE state / nothing within",
    patch = function(p) p.tables.opener.started.STARTED = "started" end,
  },
  {
    name = "open-twice", title = "ignores a second OPEN of a running context",
    breaks = { "CTX-002" }, symptom = "BYE state / nothing within",
    patch = function(p)
      for _, state in ipairs { "running", "started" } do
        p.tables.callee[state].OPEN, p.tables.callee[state]["OPEN+"] = "ignored", "ignored"
      end
    end,
  },
  {
    name = "open-again", title = "ignores an OPEN of a context that has ended",
    breaks = { "CTX-002" }, symptom = "BYE state / nothing within",
    patch = function(p)
      p.tables.callee.ended.OPEN, p.tables.callee.ended["OPEN+"] = "ignored", "ignored"
    end,
  },
  {
    name = "first-fragment-is-all", title = "takes a RETURN as arrived with its first fragment",
    breaks = { "CTX-003" }, symptom = "nothing on context 6 / RETURN 6 nil",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        local first = h.more and not ctx.part and name == "RETURN"
        local whole, discarded = real(self, ctx, name, h, payload)
        if first then ctx:arrived("RETURN", p.codec.null, 0) end
        return whole, discarded
      end)
    end,
  },
  {
    name = "loss-is-forgotten", title = "leaves a context waiting when its link is lost",
    breaks = { "CTX-004" }, symptom = "ERROR on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "end_openers", function(real, self, err)
        if self.child then return real(self, err) end
      end)
    end,
  },
  {
    name = "loss-is-a-failure", title = "reports `failed` where a link was lost",
    breaks = { "CTX-004" }, symptom = 'ERROR with code "link_lost" / ERROR with code "failed"',
    patch = function(p)
      p.wrap(p.link.Link, "lose", function(real, self, err)
        if err and err.code == "link_lost" then err.code = "failed" end
        return real(self, err)
      end)
    end,
  },
  {
    name = "cancelled-without-cancel", title = "passes the CANCELLED of another on as its own",
    breaks = { "CTX-005", "CANCEL-011" }, symptom = "ERROR on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        if err.code ~= "cancelled" then return real(self, err, reply) end
        self.requested = self.requested or p.failure.cause("requested", self.link.actor.ref)
        self:conclude_cancelled(true)
      end)
    end,
  },
  {
    name = "ran-is-always-true", title = "says `ran` of what never ran",
    breaks = { "CTX-006" }, symptom = "CANCELLED with ran false / CANCELLED with ran true",
    patch = function(p)
      function p.hooks.cancelled(map)
        map.ran = true
        return map
      end
    end,
  },
  {
    name = "ran-is-always-false", title = "denies that user code ran",
    breaks = { "CTX-006", "DEADLINE-002", "LINK-006" },
    symptom = "CANCELLED with ran true / CANCELLED with ran false",
    patch = function(p)
      function p.hooks.cancelled(map)
        map.ran = false
        return map
      end
    end,
  },
  {
    name = "newest-item-first", title = "hands the newest item to user code first",
    breaks = { "STREAM-010", "CTX-009" }, symptom = "ITEM 2 / ITEM 16",
    patch = function(p)
      p.wrap(p.context.Context, "receive", function(real, self)
        local last = self.last
        if last > self.first and self.items[self.first] then
          self.items[self.first], self.items[last] = self.items[last], self.items[self.first]
        end
        return real(self)
      end)
    end,
  },
  {
    name = "deadline-before-refusals", title = "looks at a deadline of 0 before anything else",
    breaks = { "CTX-010" }, symptom = "ERROR on context 12 / CANCELLED 12",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        if open.deadline == 0 and actor.ready then
          ctx.requested = p.failure.cause("deadline", actor.ref)
          return ctx:conclude_cancelled(false)
        end
        return real(actor, ctx, open)
      end)
    end,
  },
  {
    name = "arguments-before-the-deadline", title = "looks at the arguments before a deadline of 0",
    breaks = { "CTX-010" }, symptom = "CANCELLED on context 8 / ERROR 8",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        if open.deadline == 0 and actor.exports[ctx.target] and ctx.target:find("^tck%.") then
          open.deadline = 100
          local done = real(actor, ctx, open)
          return done
        end
        return real(actor, ctx, open)
      end)
    end,
  },
  {
    name = "dials-again-after-a-loss",
    title = "dials once more when the link of a context is lost",
    breaks = { "CTX-008" }, symptom = "one connection / 2 connections",
    patch = function(p)
      local transport
      p.wrap(p.transport, "dial", function(real, address, done)
        function transport() real(address, function() end) end
        return real(address, done)
      end)
      p.wrap(p.link.Link, "lose", function(real, self, err)
        if self.options.expect and self.state == "open" and transport then transport() end
        return real(self, err)
      end)
    end,
  },
  {
    name = "waits-with-both-halves",
    title = "leaves both halves of a call open that it waits for",
    breaks = { "WAIT-001" }, symptom = "no `send` in OPEN /",
    patch = function(p)
      function p.hooks.open(map)
        if not map.target:find("^copse%.") then
          map.send, map.credit = true, p.codec.array { 1, 100 }
        end
        return map
      end
    end,
  },
  {
    name = "newest-first", title = "begins the handler of the newest OPEN first",
    breaks = { "KIND-015" }, symptom = "handler 1 found the gate closed: true /",
    patch = function(p)
      local waiting = {} -- handlers that are to begin: a stack, where a queue is wanted
      p.wrap(p.task, "start", function(real, scope, fn)
        if scope ~= scope.actor.scope then return real(scope, fn) end
        table.insert(waiting, fn)
        return real(scope, function() table.remove(waiting)() end)
      end)
    end,
  },
}
