-- SPDX-License-Identifier: MIT
--
-- Defects in chapters 9, 11 and 12: halves, waiting, credit.

return {
  {
    name = "answers-stop-twice", title = "answers STOP with END after it has said END",
    breaks = { "STREAM-001", "STREAM-003" }, symptom = "nothing on context 1 / END 1",
    patch = function(p) p.tables.out.ended.STOP = "stopped" end,
  },
  {
    name = "credit-after-end", title = "takes CREDIT after its own END for a violation",
    breaks = { "STREAM-001", "KIND-022" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.context.arrived, "CREDIT", function(real, self, total)
        if self.out == "ended" then error({ violation = "state", message = "CREDIT" }, 0) end
        return real(self, total)
      end)
    end,
  },
  {
    name = "items-after-stop", title = "takes items that arrive after its STOP for a violation",
    breaks = { "STREAM-002" }, symptom = "a link that goes on / BYE",
    patch = function(p) p.tables.inward.stopped.ITEM = "!state" end,
  },
  {
    name = "end-after-stop", title = "takes the END that answers its STOP for a violation",
    breaks = { "STREAM-002", "CREDIT-007", "STREAM-003" },
    symptom = "a link that goes on / BYE",
    patch = function(p) p.tables.inward.stopped.END = "!state" end,
  },
  {
    name = "items-after-end", title = "ignores items after END",
    breaks = { "STREAM-003", "CANCEL-001" }, symptom = 'BYE state / BYE {"code": "credit"',
    patch = function(p) p.tables.inward.ended.ITEM = "ended" end,
  },
  {
    name = "end-twice", title = "ignores a second END",
    breaks = { "STREAM-003", "CANCEL-001" }, symptom = "BYE state / nothing within",
    patch = function(p) p.tables.inward.ended.END = "ended" end,
  },
  {
    name = "stop-is-not-answered", title = "does not answer STOP with END",
    breaks = { "STREAM-004" }, symptom = "END on context 6 / RETURN 6",
    patch = function(p) function p.hooks.answers_stop() return false end end,
  },
  {
    name = "one-more-item",
    title = "finishes the item that a STOP finds half written and sends it once more",
    breaks = { "STREAM-006" }, symptom = "END after the item that was begun / another item",
    patch = function(p)
      p.wrap(p.context.arrived, "STOP", function(real, self)
        local item = (self.outgoing or {})[1]
        local half = item and item.kind == "ITEM" and item.pos > 1
        real(self)
        if not half then return end
        local again = { ctx = self, kind = "ITEM", payload = item.payload, pos = 1 }
        table.insert(self.outgoing, 1, again)
        table.insert(self.outgoing, 1, item)
        self.link.outbox.partials = self.link.outbox.partials + 1
      end)
    end,
  },
  {
    name = "answers-stop-at-once", title = "answers STOP with END before STARTED",
    breaks = { "STREAM-005", "KIND-017" }, symptom = "STARTED on context 6 / END 6",
    patch = function(p)
      function p.context.Context:answer_stop()
        if self.out ~= "stopped" then return end
        self.out = "ended"
        self.said_no_end = true
        self.link.outbox:message(self, "END", nil, true)
      end
    end,
  },
  {
    name = "end-inside-an-item",
    title = "answers STOP in the middle of an item and goes on with it",
    breaks = { "STREAM-003", "STREAM-007" },
    symptom = "a frame that is legal here (link dialled1) / ITEM+ 1 h",
    patch = function(p)
      p.wrap(p.context.arrived, "STOP", function(real, self)
        local begun = self.outgoing and self.outgoing[1]
        begun = begun and begun.kind == "ITEM" and begun.pos > 1 and begun
        real(self)
        if begun and self.outgoing and self.outgoing[1] and self.outgoing[1].kind == "END" then
          self.link.outbox.partials = self.link.outbox.partials + 1
          table.insert(self.outgoing, begun)
        end
      end)
    end,
  },
  {
    name = "no-more-is-an-error", title = "fails the context when user code sends after STOP",
    breaks = { "CREDIT-001", "STREAM-004", "STREAM-005" },
    symptom = "END on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.context.Context, "send", function(real, self, value)
        if real(self, value) then return true end
        p.failure.raise("failed", "the peer has said STOP")
      end)
    end,
  },
  {
    name = "reassembles-what-it-discards",
    title = "puts items together and reads them after its STOP",
    breaks = { "STREAM-008", "FRAME-023" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        if name ~= "ITEM" or ctx.inward ~= "stopped" then
          return real(self, ctx, name, h, payload)
        end
        ctx.inward = "open"
        local whole = real(self, ctx, name, h, payload)
        ctx.inward = "stopped"
        if not whole then return end
        p.schema.read("ITEM", whole)
        return whole, true
      end)
    end,
  },
  {
    name = "stop-does-not-wake", title = "goes on waiting for credit after STOP",
    breaks = { "WAIT-002", "STREAM-001" }, symptom = "RETURN on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "send", function(real, self, value)
        local function stalled() return not p.hooks.may_send(self.sent, self.allowed) end
        if self.life == "started" and self.out == "open" and stalled() then
          p.task.wait(self.signal, function() return self.life == "ended" or not stalled() end)
        end
        return real(self, value)
      end)
    end,
  },
  {
    name = "end-does-not-wake",
    title = "goes on waiting for items after END, once it has had many",
    breaks = { "WAIT-003" }, symptom = "RETURN on context 1 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "receive", function(real, self)
        p.task.wait(self.signal, function()
          return self.items[self.first] or self.life == "ended"
            or self.inward ~= "open" and self.consumed.items <= 16
        end)
        return real(self)
      end)
    end,
  },
  {
    name = "end-drops-items", title = "ends a receive at END before the items that came with it",
    breaks = { "WAIT-003" }, symptom = "items consumed: 8 / items consumed: 0",
    patch = function(p)
      p.wrap(p.context.arrived, "END", function(real, self)
        self:drop_items()
        return real(self)
      end)
    end,
  },
  {
    name = "stalled-for-ever", title = "goes on waiting for credit after CANCEL",
    breaks = { "WAIT-004", "DEADLINE-002", "REG-008" },
    symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "send", function(real, self, value)
        if self.life == "started" and self.out == "open" then
          p.task.await(self.signal, function()
            return self.link.state == "closed" or p.hooks.may_send(self.sent, self.allowed)
              or self.out == "stopped" or self.said_no_end
          end)
        end
        return real(self, value)
      end)
    end,
  },
  {
    name = "listens-for-ever", title = "goes on waiting for items after CANCEL",
    breaks = { "WAIT-005" }, symptom = "CANCELLED on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "receive", function(real, self)
        local cancelled = false
        p.task.await(self.signal, function()
          cancelled = cancelled or self.requested and self.inward == "ended"
          return not cancelled and (self.items[self.first] or self.inward ~= "open")
            or self.link.state == "closed"
        end)
        return real(self)
      end)
    end,
  },
  {
    name = "grant-begins-short", title = "begins the grant of the callee one item short",
    breaks = { "CREDIT-001", "CREDIT-003" },
    symptom = "ITEM on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        local credit = self.link.features.stream and open.credit
        if credit and credit[1] > 0 then open.credit = { credit[1] - 1, credit[2] } end
        return real(self, open)
      end)
    end,
  },
  {
    name = "credit-is-added", title = "adds the items of CREDIT to those granted before",
    breaks = { "CREDIT-002", "CREDIT-003" }, symptom = "nothing on context 6 / ITEM 6 2",
    patch = function(p)
      p.wrap(p.context.arrived, "CREDIT", function(real, self, total)
        local sum = self.allowed.items + total.items
        self.allowed = self.named or self.allowed
        real(self, total)
        if self.life == "opening" then return end
        self.named = self.allowed
        self.allowed = { items = sum, bytes = self.named.bytes }
      end)
    end,
  },
  {
    name = "knows-no-bytes", title = "counts items against credit, and no bytes",
    breaks = { "CREDIT-003", "CREDIT-006" },
    symptom = "a frame that is legal here (link dialled1) / ITEM 3 h",
    patch = function(p)
      function p.hooks.may_send(sent, allowed) return sent.items < allowed.items end
    end,
  },
  {
    name = "counts-headers", title = "counts the headers of items against the bytes it granted",
    breaks = { "CREDIT-007" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        if name == "ITEM" then ctx.got.bytes = ctx.got.bytes + 12 end
        return real(self, ctx, name, h, payload)
      end)
    end,
  },
  {
    name = "refunds-what-it-discards", title = "does not count the items that it discards",
    breaks = { "CREDIT-005" }, symptom = "BYE credit / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        local before = { items = ctx.got.items, bytes = ctx.got.bytes }
        local whole, discarded = real(self, ctx, name, h, payload)
        if name == "ITEM" and ctx.inward ~= "open" then ctx.got = before end
        return whole, discarded
      end)
    end,
  },
  {
    name = "no-overdraft", title = "takes an item that exceeds the bytes granted for a violation",
    breaks = { "CREDIT-004", "CREDIT-007" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "admit_to_context", function(real, self, h, name)
        local ctx = self.contexts[h.context]
        if name == "ITEM" and ctx and ctx.life ~= "ended"
          and ctx.got.bytes + h.length > ctx.granted.bytes then
          error({ violation = "credit", message = "more bytes than granted" }, 0)
        end
        return real(self, h, name)
      end)
    end,
  },
  {
    name = "never-overdraws", title = "waits with an item until all its bytes are granted",
    breaks = { "CREDIT-006", "CREDIT-003" }, symptom = "ITEM on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "send", function(real, self, value)
        local mine = #p.codec.encode(value)
        local function fits() return self.sent.bytes + mine <= self.allowed.bytes end
        if self.life == "started" and self.out == "open" and not fits() then
          p.task.wait(self.signal, function()
            return fits() or self.life == "ended" or self.out ~= "open"
          end)
        end
        return real(self, value)
      end)
    end,
  },
  {
    name = "takes-any-item", title = "takes items beyond what it granted, before its STOP",
    breaks = { "CREDIT-007", "CREDIT-001", "CREDIT-004" },
    symptom = "BYE credit / nothing within",
    patch = function(p)
      function p.hooks.within_grant(got, granted, half)
        return half == "open" or got.items < granted.items and got.bytes < granted.bytes
      end
    end,
  },
  {
    name = "smaller-totals", title = "ignores a CREDIT with a smaller total",
    breaks = { "CREDIT-008" }, symptom = "BYE credit / nothing within",
    patch = function(p) function p.hooks.checks_totals() return false end end,
  },
  {
    name = "no-credit-before-started", title = "takes CREDIT before its STARTED for a violation",
    breaks = { "CREDIT-009" }, symptom = "STARTED on context 6 / BYE",
    patch = function(p) p.tables.callee.running.CREDIT = "!state" end,
  },
  {
    name = "open-overrules-credit", title = "forgets the CREDIT that came before the end of OPEN",
    breaks = { "CREDIT-009" }, symptom = "ITEM on context 6 / nothing within",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        self.allowed = { items = 0, bytes = 0 }
        return real(self, open)
      end)
    end,
  },
  {
    name = "grants-for-what-it-discards",
    title = "raises the grant for items that it discards",
    breaks = { "CREDIT-005" }, symptom = "BYE credit / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        local whole, discarded = real(self, ctx, name, h, payload)
        if name == "ITEM" and ctx.inward == "stopped" then
          ctx.granted = { items = ctx.granted.items + 1, bytes = ctx.granted.bytes + 100 }
          self.outbox:control(ctx, "CREDIT",
            p.codec.encode(p.codec.array { ctx.granted.items, ctx.granted.bytes }))
        end
        return whole, discarded
      end)
    end,
  },
  {
    name = "result-hides-items", title = "drops the items that wait when RETURN arrives",
    breaks = { "KIND-020" }, symptom = "items before the RETURN",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        self:drop_items()
        return real(self, value)
      end)
    end,
  },
  {
    name = "result-overtakes", title = "drops the last of the items that wait when RETURN arrives",
    breaks = { "KIND-020" }, symptom = "items before the RETURN",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        if self.last >= self.first then self.items[self.last] = nil end
        return real(self, value)
      end)
    end,
  },
  {
    name = "return-is-no-end", title = "takes RETURN without END for a stream that broke off",
    breaks = { "STREAM-009" }, symptom = "RETURN on context",
    patch = function(p)
      p.wrap(p.context.arrived, "RETURN", function(real, self, value)
        if self.inward == "ended" then return real(self, value) end
        self:over(p.failure.new { code = "failed", message = "RETURN before END" })
      end)
    end,
  },
}
