-- SPDX-License-Identifier: MIT
--
-- Defects in chapters 13 and 14: cancellation, grace, deadlines.

return {
  {
    name = "items-after-cancel", title = "takes items of an opener that has cancelled",
    breaks = { "CANCEL-001" }, symptom = "BYE state / nothing within",
    patch = function(p) p.tables.inward.open.CANCEL = "open" end,
  },
  {
    name = "sends-after-cancel", title = "says END on a context that it has cancelled",
    breaks = { "STREAM-003" },
    symptom = "a frame that is legal here (link testee) / END 1: END in state ended o",
    patch = function(p)
      p.wrap(p.context.Context, "cancel", function(real, self, cause)
        local first = not self.cancel_sent and self.life ~= "unopened" and self.life ~= "ended"
        real(self, cause)
        if first then self.link.outbox:message(self, "END") end
      end)
    end,
  },
  {
    name = "grace-grows", title = "takes a longer grace from a repeated CANCEL",
    breaks = { "CANCEL-003" }, symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p) function p.hooks.takes_grace(new, old) return new ~= old end end,
  },
  {
    name = "grace-is-fixed", title = "takes no shorter grace from a repeated CANCEL",
    breaks = { "CANCEL-003" }, symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p) function p.hooks.takes_grace() return false end end,
  },
  {
    name = "last-cause-wins", title = "takes the origin of a repeated CANCEL",
    breaks = { "CANCEL-003", "CROSS-001" },
    symptom = 'origin "shutdown" / origin "requested"',
    patch = function(p)
      p.wrap(p.context.Context, "be_cancelled", function(real, self, cause, grace)
        self.requested = cause
        return real(self, cause, grace)
      end)
    end,
  },
  {
    name = "begins-though-cancelled",
    title = "runs a handler though it has answered that it did not",
    breaks = { "CANCEL-006", "CTX-006", "CANCEL-004" },
    symptom = "handlers run, tck.stat included: 1 / handlers run, tck.stat included:",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_cancelled", function(real, self, ran)
        local unopened = self.life ~= "running"
        real(self, ran)
        local actor = self.link.actor
        local handler = actor.exports[self.target or ""]
        if ran or unopened or not handler then return end
        actor.ran = actor.ran + 1
        p.task.start(actor.base, function() pcall(handler, self, self.args) end)
      end)
    end,
  },
  {
    name = "cancel-is-ignored", title = "ignores CANCEL while its handler waits for another",
    breaks = { "CANCEL-005" }, symptom = "the terminal of context 8 / nothing within",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCEL", function(real, self, cancel)
        if not self.ran or self.target ~= "tck.gate" then return real(self, cancel) end
      end)
    end,
  },
  {
    name = "return-after-cancel-is-lost", title = "drops the RETURN that crosses its CANCEL",
    breaks = { "CANCEL-007" }, symptom = "RETURN on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        if not self.cancel_sent or self == (self.link.child or {}).context then
          return real(self, value)
        end
        p.context.arrived.CANCELLED(self, { origin = self.cancel_sent.origin, ran = true })
      end)
    end,
  },
  {
    name = "return-after-cancel-fails", title = "takes a RETURN after its CANCEL for an error",
    breaks = { "CANCEL-007", "CANCEL-008", "ERROR-005" },
    symptom = "RETURN or CANCELLED on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        if not self.cancel_sent or self == (self.link.child or {}).context then
          return real(self, value)
        end
        self:over(p.failure.new { code = "failed", message = "RETURN after CANCEL" })
      end)
    end,
  },
  {
    name = "error-after-cancel-is-lost", title = "absorbs the ERROR that answers its CANCEL",
    breaks = { "CANCEL-008", "ERROR-006" }, symptom = "ERROR on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.context.arrived, "ERROR", function(real, self, fields)
        if not self.cancel_sent then return real(self, fields) end
        self:over(nil, self.cancel_sent)
      end)
    end,
  },
  {
    name = "error-is-not-marked", title = "does not say that an error came after a cancellation",
    breaks = { "CANCEL-009", "CANCEL-008", "ERROR-006" },
    symptom = "ERROR with cancelled true / ERROR with cancelled nil",
    patch = function(p) function p.hooks.marks_cancelled() return false end end,
  },
  {
    name = "absorbs-nothing", title = "takes the CANCELLED it asked for as an error",
    breaks = { "CANCEL-010", "CANCEL-008", "CTX-006", "LINK-006" },
    symptom = "CANCELLED on context 6 / ERROR 6",
    patch = function(p) function p.hooks.absorbs() return false end end,
  },
  {
    name = "absorbs-by-identity", title = "absorbs CANCELLED only if it is the canceller itself",
    breaks = { "CANCEL-010", "CANCEL-008", "CTX-006", "LINK-006" },
    symptom = "CANCELLED on context 6 / ERROR 6",
    patch = function(p)
      function p.hooks.absorbs(ctx)
        local by = ctx.cancel_sent.by
        return by and by.id == ctx.link.actor.ref.id
      end
    end,
  },
  {
    name = "absorbs-everything", title = "absorbs CANCELLED that it did not ask for",
    breaks = { "CANCEL-011" }, symptom = "/ data.origin nil",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCELLED", function(real, self, cancelled)
        self.cancel_sent = self.cancel_sent
          or p.failure.cause(cancelled.origin, cancelled.by, cancelled.message)
        return real(self, cancelled)
      end)
    end,
  },
  {
    name = "unasked-without-data", title = "raises `cancelled` without origin and `by`",
    breaks = { "CANCEL-011" }, symptom = "/ data.origin nil",
    patch = function(p)
      p.wrap(p.context.Context, "over", function(real, self, err, absorbed)
        if err and err.code == "cancelled" then err.data = nil end
        return real(self, err, absorbed)
      end)
    end,
  },
  {
    name = "unasked-deadline-is-cancelled",
    title = "raises `cancelled` for a CANCELLED of a deadline",
    breaks = { "CANCEL-011" }, symptom = 'ERROR with code "deadline" / ERROR with code "cancelled"',
    patch = function(p)
      p.wrap(p.context.Context, "over", function(real, self, err, absorbed)
        if err and err.code == "deadline" and not self.explicit then err.code = "cancelled" end
        return real(self, err, absorbed)
      end)
    end,
  },
  {
    name = "origin-is-parent", title = "passes a cancellation on with origin `parent`",
    breaks = { "CANCEL-012" }, symptom = '/ origin "parent"',
    patch = function(p)
      function p.hooks.cancel(map)
        map.origin = "parent"
        return map
      end
    end,
  },
  {
    name = "by-is-oneself", title = "puts itself into `by` when it passes a cancellation on",
    breaks = { "CANCEL-012" }, symptom = '"someone", []) / by ref(',
    patch = function(p)
      local me
      p.wrap(p.actor, "new", function(real, options)
        me = real(options)
        return me
      end)
      function p.hooks.cancel(map)
        map.by = me:name_only()
        return map
      end
    end,
  },
  {
    name = "message-is-lost", title = "drops the message of a cancellation that it passes on",
    breaks = { "CANCEL-012" }, symptom = 'message "enough" / ',
    patch = function(p)
      function p.hooks.cancel(map)
        map.message = nil
        return map
      end
    end,
  },
  {
    name = "answers-with-its-own-cause", title = "answers CANCELLED with a cause of its own",
    breaks = { "CANCEL-012", "CANCEL-010", "MODEL-002" }, symptom = "/ CANCELLED with by nil",
    patch = function(p)
      function p.hooks.cancelled(map)
        map.by, map.message = nil, nil
        return map
      end
    end,
  },
  {
    name = "by-is-missing", title = "begins a cancellation without saying who does",
    breaks = { "CANCEL-013" }, symptom = 'by: the testee / {"origin": "deadline"',
    patch = function(p)
      p.wrap(p.failure, "cause", function(real, origin, by, message)
        if origin == "error" or origin == "deadline" then by = nil end
        return real(origin, by, message)
      end)
    end,
  },
  {
    name = "error-is-requested",
    title = "cancels the rest of a failed scope with origin `requested`",
    breaks = { "CANCEL-013" }, symptom = 'origin "error" / origin "requested"',
    patch = function(p)
      p.wrap(p.failure, "cause", function(real, origin, ...)
        return real(origin == "error" and "requested" or origin, ...)
      end)
    end,
  },
  {
    name = "shields-outlast-grace", title = "keeps a shield up when the grace is over",
    breaks = { "CANCEL-015" }, symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p) function p.hooks.ends_shields() return false end end,
  },
  {
    name = "equal-grace-below", title = "passes all of its grace on",
    breaks = { "CANCEL-016" }, symptom = 'a grace of at most 450000 / {"grace": ',
    patch = function(p) function p.hooks.grace_below(left) return left end end,
  },
  {
    name = "wait-after-cancel",
    title = "fails one wait of a cancelled scope and lets the next ones wait",
    breaks = { "MODEL-006" }, symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p) function p.hooks.raises_again() return false end end,
  },
  {
    name = "cancellation-stays-above", title = "does not cancel the contexts below a cancelled one",
    breaks = { "MODEL-005", "DEADLINE-002", "LADDER-001", "LINK-006", "MODEL-004" },
    symptom = "CANCEL on context 1 / nothing within",
    patch = function(p) function p.hooks.passes_on() return false end end,
  },
  {
    name = "answers-before-those-below",
    title = "answers CANCEL before the contexts below have ended",
    breaks = { "MODEL-002" }, symptom = "nothing on context 6 / CANCELLED 6",
    patch = function(p)
      local function opened_below(scope)
        for member in pairs(scope.members) do
          if member.members and opened_below(member) or member.role == "opener" then return true end
        end
      end
      p.wrap(p.context.Context, "be_cancelled", function(real, self, cause, grace)
        real(self, cause, grace)
        if self == self.link.actor.context or not self.scope then return end
        if opened_below(self.scope) then self:conclude_cancelled(true) end
      end)
    end,
  },
  {
    name = "scope-ends-early", title = "ends a scope while contexts are open in it",
    breaks = { "MODEL-002", "ERROR-006" }, symptom = "nothing on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.scope.Scope, "is_empty", function(real, self)
        if real(self) then return true end
        for member in pairs(self.members) do
          if member.role ~= "opener" or not member.cancel_sent then return false end
        end
        return not next(self.tasks)
      end)
    end,
  },
  {
    name = "deadline-from-the-last-fragment",
    title = "counts a deadline from the last fragment of OPEN",
    breaks = { "DEADLINE-001" }, symptom = "CANCELLED on context 8 / STARTED 8 nil",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        self.since = p.task.now()
        return real(self, open)
      end)
    end,
  },
  {
    name = "callee-keeps-no-deadline", title = "leaves deadlines to the opener",
    breaks = { "DEADLINE-002", "CANCEL-015" },
    symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        if open.deadline and open.deadline > 0 then open.deadline = nil end
        return real(actor, ctx, open)
      end)
    end,
  },
  {
    name = "opener-keeps-no-deadline", title = "leaves deadlines to the callee",
    breaks = { "DEADLINE-003" }, symptom = "CANCEL on context 1 / nothing within",
    patch = function(p) function p.context.Context.expire() end end,
  },
  {
    name = "deadline-zero-runs", title = "begins a handler whose deadline has passed",
    breaks = { "DEADLINE-004", "CTX-010" }, symptom = "CANCELLED on context 8 / STARTED 8 nil",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        if open.deadline == 0 then open.deadline = 100 end
        return real(actor, ctx, open)
      end)
    end,
  },
  {
    name = "deadline-is-not-inherited", title = "opens below without the deadline from above",
    breaks = { "DEADLINE-005" }, symptom = '/ {"args": {}, "target": "x.',
    patch = function(p) function p.hooks.inherits_deadline() return false end end,
  },
  {
    name = "longer-deadline-wins", title = "gives the looser of two deadlines to what it opens",
    breaks = { "DEADLINE-005" },
    symptom = 'a deadline of 1..600000 / {"args": {}, "deadline": 900000',
    patch = function(p)
      p.wrap(p.link.Link, "agree", function(real, self, scope, options)
        local deadline = scope.deadline
        if options.deadline then scope.deadline = nil end
        local agreed = real(self, scope, options)
        scope.deadline = deadline
        return agreed
      end)
    end,
  },
  {
    name = "explicit-deadline-is-silent", title = "absorbs the expiry of a deadline that it gave",
    breaks = { "DEADLINE-006" },
    symptom = 'ERROR with code "deadline" / ERROR with code "cancelled"',
    patch = function(p)
      p.wrap(p.context.arrived, "CANCELLED", function(real, self, cancelled)
        if cancelled.origin == "deadline" and self.explicit then
          self.cancel_sent = self.cancel_sent or p.failure.cause("deadline", cancelled.by)
          self.explicit, self.deadline_sent = false, false
        end
        return real(self, cancelled)
      end)
    end,
  },
  {
    name = "inherited-deadline-is-an-error",
    title = "raises `deadline` where it was only inherited",
    breaks = { "DEADLINE-007" }, symptom = "CANCELLED on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCELLED", function(real, self, cancelled)
        if cancelled.origin == "deadline" then self.inherited, self.explicit = false, true end
        return real(self, cancelled)
      end)
    end,
  },
  {
    name = "deadline-does-not-wait",
    title = "ends a context at its deadline without the terminal of the callee",
    breaks = { "MODEL-003", "CANCEL-003", "DEADLINE-002", "MODEL-002" },
    symptom = "nothing on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.context.Context, "expire", function(real, self)
        real(self)
        self:over(p.failure.new { code = "deadline", message = "the deadline has passed" })
      end)
    end,
  },
  {
    name = "finishes-a-cancelled-open",
    title = "goes on writing an OPEN after its CANCEL",
    breaks = { "CANCEL-002" }, symptom = "OPEN+ 2 h",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "withdraw_open", function(real, self, ctx)
        return ctx.life ~= "opening" and real(self, ctx)
      end)
    end,
  },
  {
    name = "cancels-only-who-waits", title = "forgets a CANCEL that finds no wait to end",
    breaks = { "CANCEL-004" }, symptom = "CANCELLED / RETURN",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCEL", function(real, self, cancel)
        if self.target == "tck.stubborn" then return end
        return real(self, cancel)
      end)
    end,
  },
  {
    name = "cancels-only-what-runs",
    title = "forgets a CANCEL that comes before the handler begins",
    breaks = { "CANCEL-004", "CANCEL-005" }, symptom = "the terminal / nothing within",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCEL", function(real, self, cancel)
        if self.life ~= "opening" and not self.ran then return end
        return real(self, cancel)
      end)
    end,
  },
  {
    name = "begins-what-was-cancelled",
    title = "answers CANCELLED and runs the handler all the same",
    breaks = { "CANCEL-004" },
    symptom = "is closed: true / the gate of a handler that did not begin is closed: false",
    patch = function(p)
      local real = p.serve.serve
      function p.serve.serve(actor, ctx, open)
        p.task.start(actor.scope, function()
          if ctx.life == "ended" and ctx.target == "tck.open_gate" then
            pcall(actor.exports[ctx.target], ctx, ctx.args)
          end
        end)
        return real(actor, ctx, open)
      end
    end,
  },
  {
    name = "patient-with-children",
    title = "gives children their own time, whatever is left of its grace",
    breaks = { "CANCEL-017" },
    symptom = "the end of the child, within the grace of its parent / nothing within",
    patch = function(p)
      p.wrap(p.spawn, "spawn", function(real, ...)
        local child = real(...)
        function child:patience(rung) return rung == "CANCEL" and self.grace or p.spawn.TERM end
        return child
      end)
    end,
  },
}
