-- SPDX-License-Identifier: MIT
--
-- Defects in chapter 4: headers, ids, fragments, the order of sending.

return {
  {
    name = "context-of-32-bits", title = "writes the lower half of a context id only",
    breaks = { "FRAME-001", "FRAME-010" },
    symptom = "a header that says 9007199254740990 / RETURN 4294967294 2",
    patch = function(p)
      p.wrap(p.frame, "encode", function(real, kind, context, payload, more)
        return real(kind, context & 0xffffffff, payload, more)
      end)
    end,
  },
  {
    name = "ids-of-either-parity",
    title = "takes the next free id, odd or even, where it connected",
    breaks = { "FRAME-006" }, symptom = "OPEN with an id of the other's parity",
    patch = function(p)
      p.wrap(p.link.Link, "open_now", function(real, self, ...)
        local ctx = real(self, ...)
        if self.role == "acceptor" then return ctx end
        self.next_id = ctx.id
        while self.contexts[self.next_id] do self.next_id = self.next_id + 1 end
        return ctx
      end)
      function p.link.Link:my_role(id)
        return id % 2 == (self.role == "connector" and 1 or 0) and "opener" or "callee"
      end
    end,
  },
  {
    name = "ids-are-used-again", title = "takes the lowest id that is free where it connected",
    breaks = { "FRAME-007" }, symptom = "which was opened before",
    patch = function(p)
      p.wrap(p.link.Link, "open_now", function(real, self, ...)
        if self.role == "connector" then
          self.next_id = 1
          while self.contexts[self.next_id] do self.next_id = self.next_id + 2 end
        end
        return real(self, ...)
      end)
    end,
  },
  {
    name = "pads-long-frames", title = "writes twelve zeros after a payload of 300 bytes and more",
    breaks = { "ODD-001" }, symptom = "0x00: the unknown kind 0x00",
    patch = function(p)
      p.wrap(p.frame, "encode", function(real, kind, context, payload, more)
        local bytes = real(kind, context, payload, more)
        return #bytes > 312 and bytes .. ("\0"):rep(12) or bytes
      end)
    end,
  },
  {
    name = "checks-context-before-length", title = "looks at the context before the length",
    breaks = { "FRAME-002" }, symptom = 'BYE limit / BYE {"code": "frame"',
    patch = function(p)
      p.wrap(p.link.Link, "admit", function(real, self, h)
        if self.state == "open" and h.kind and h.kind.on == "link" and h.context ~= 0 then
          error({ violation = "frame", message = "on a context" }, 0)
        end
        return real(self, h)
      end)
    end,
  },
  {
    name = "checks-life-before-fragments", title = "looks at the state before the flag more",
    breaks = { "FRAME-002" }, symptom = 'BYE frame / BYE {"code": "state"',
    patch = function(p)
      p.wrap(p.link.Link, "check_more", function(real, h, name)
        if h.kind.on == "link" then return real(h, name) end
      end)
      p.wrap(p.link.Link, "admit_to_context", function(real, self, h, name)
        local admitted = real(self, h, name)
        if h.more and (not h.kind.split or h.length == 0) then
          error({ violation = "frame", message = "the flag more" }, 0)
        end
        return admitted
      end)
    end,
  },
  {
    name = "waits-for-the-payload", title = "checks a frame when its payload is there",
    breaks = { "FRAME-003" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      local seen = setmetatable({}, { __mode = "k" })
      p.wrap(p.link.Link, "admit", function(real, self, h)
        if seen[h] then return real(self, h) end
        seen[h] = true
        return false
      end)
    end,
  },
  {
    name = "ping-on-any-context",
    title = "takes a frame of the link on any context, but for the first",
    breaks = { "FRAME-004" }, symptom = 'BYE frame / BYE {"code": "none"',
    patch = function(p)
      function p.hooks.admits(link, h)
        if link.state ~= "hello" and h.kind and h.kind.on == "link" then h.context = 0 end
        return true
      end
    end,
  },
  {
    name = "open-on-the-link", title = "skips a frame of a context that is on the link",
    breaks = { "FRAME-004" }, symptom = "BYE frame / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h)
        return link.state == "hello" or not (h.kind and h.kind.on == "context" and h.context == 0)
      end
    end,
  },
  {
    name = "skips-unknown-kinds", title = "skips a frame of any kind that it does not know",
    breaks = { "FRAME-005", "ODD-002" }, symptom = "BYE frame / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h) return link.state == "hello" or h.kind ~= nil end
    end,
  },
  {
    name = "takes-items-without-the-feature", title = "takes ITEM on a link without `stream`",
    breaks = { "FRAME-005" }, symptom = 'BYE frame / BYE {"code": "credit"',
    patch = function(p)
      for _, kind in pairs(p.frame.kinds) do kind.feature = nil end
    end,
  },
  {
    name = "ignores-the-wrong-role", title = "ignores a frame of the wrong role",
    breaks = { "FRAME-008" }, symptom = "BYE state / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h)
        if link.state == "hello" or h.context < 1 then return true end
        if not h.kind or not h.kind.from then return true end
        return h.kind.from ~= link:my_role(h.context)
      end
    end,
  },
  {
    name = "keeps-no-mark-of-gaps", title = "takes an id that was jumped over for one never opened",
    breaks = { "FRAME-009" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "first_of_open", function(real, self, id)
        self.used = self.used or {}
        self.used[id] = true
        return real(self, id)
      end)
      function p.hooks.admits(link, h)
        local known = link.used or {}
        if link.state ~= "hello" and h.kind and h.kind.on == "context" and h.kind.name ~= "OPEN"
          and h.context > 0 and link:my_role(h.context) == "callee"
          and h.context < link.highest and not known[h.context] then
          error({ violation = "state", message = "never opened" }, 0)
        end
        return true
      end
    end,
  },
  {
    name = "opens-in-a-gap",
    title = "takes an OPEN of a lower id than before, if it was never used",
    breaks = { "FRAME-011" }, symptom = "BYE state / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "first_of_open", function(real, self, id)
        self.used = self.used or {}
        self.used[id] = true
        local highest = self.highest
        local ctx = real(self, id)
        self.highest = math.max(id, highest)
        return ctx
      end)
      p.wrap(p.link.Link, "admit_to_context", function(real, self, h, name)
        local used, highest = self.used or {}, self.highest
        if name == "OPEN" and self:my_role(h.context) == "callee" and not used[h.context] then
          self.highest = h.context - 1
        end
        local ok, admitted = pcall(real, self, h, name)
        self.highest = highest
        if not ok then error(admitted, 0) end
        return admitted
      end)
    end,
  },
  {
    name = "ignores-ids-never-opened", title = "ignores a frame of a context that was never opened",
    breaks = { "FRAME-010" }, symptom = "BYE state / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h)
        if link.state == "hello" or not h.kind or h.kind.on == "link" or h.context < 1 then
          return true
        end
        if h.kind.name == "OPEN" or h.kind.from == link:my_role(h.context) then return true end
        local last = link:my_role(h.context) == "callee" and link.highest or link.next_id - 2
        return h.context <= last
      end
    end,
  },
  {
    name = "late-frames-are-faults",
    title = "takes a late frame on an ended context for a violation",
    breaks = { "FRAME-011", "CROSS-002", "KIND-014", "KIND-018", "KIND-019", "LIMIT-009" },
    symptom = "a link that goes on / BYE",
    patch = function(p)
      local ended = p.tables.callee.ended
      for kind, cell in pairs(ended) do if cell == "ignored" then ended[kind] = "!state" end end
    end,
  },
  {
    name = "more-on-any-kind",
    title = "does not look at the flag more of what may not be split, but for HELLO",
    breaks = { "FRAME-013" }, symptom = 'BYE frame / BYE {"code": "none"',
    patch = function(p)
      p.wrap(p.link.Link, "check_more", function(real, h, name)
        if not h.kind.split and name ~= "HELLO" then h.more = false end
        return real(h, name)
      end)
    end,
  },
  {
    name = "forgets-more", title = "sets the flag more on the first fragment only",
    breaks = { "FRAME-014", "SPAWN-015", "STREAM-010", "VALUE-001" }, symptom = "/ RETURN nil",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "fragment", function(real, self, message)
        local first = message.pos == 1
        local bytes, last = real(self, message)
        if bytes and not first and not last then
          bytes = bytes:sub(1, 3) .. string.char(bytes:byte(4) & 0x7f) .. bytes:sub(5)
        end
        return bytes, last
      end)
    end,
  },
  {
    name = "another-kind-for-the-rest",
    title = "sends all but the first fragment of RETURN as STARTED",
    breaks = { "FRAME-014", "FRAME-016", "SPAWN-015" },
    symptom = "RETURN on context 12 / STARTED 12 h",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "fragment", function(real, self, message)
        local first = message.pos == 1
        local bytes, last = real(self, message)
        if bytes and not first and message.kind == "RETURN" then
          bytes = bytes:sub(1, 3) .. string.char(bytes:byte(4) & 0x80 | 0x11) .. bytes:sub(5)
        end
        return bytes, last
      end)
    end,
  },
  {
    name = "takes-empty-fragments", title = "takes fragments without payload for ever",
    breaks = { "FRAME-015" }, symptom = "BYE frame / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "check_more", function(real, h, name)
        if h.length > 0 or not h.kind.split then return real(h, name) end
      end)
    end,
  },
  {
    name = "mixes-messages", title = "sends the values of one context by turns",
    breaks = { "FRAME-016" },
    symptom = ") / STARTED+ ",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "next_message", function(real, self)
        local ctx = self.ring[1]
        local bytes = real(self)
        local queue = ctx and ctx.outgoing or {}
        if #queue > 1 and queue[1].pos > 1 and queue[2].kind ~= "END" then
          table.insert(queue, table.remove(queue, 1))
        end
        return bytes
      end)
    end,
  },
  {
    name = "end-does-not-discard", title = "takes END after half an ITEM for a violation",
    breaks = { "FRAME-017" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p) p.link.DISCARDS.ITEM.END = nil end,
  },
  {
    name = "error-does-not-replace", title = "takes ERROR after half a RETURN for a violation",
    breaks = { "FRAME-017" }, symptom = "ERROR on context 8 / BYE",
    patch = function(p) p.link.DISCARDS.RETURN = {} end,
  },
  {
    name = "cancel-does-not-discard", title = "takes CANCEL after half an ITEM for a violation",
    breaks = { "FRAME-017" }, symptom = "CANCELLED on context 8 / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "admit_fragment", function(real, self, h, name, ctx, ...)
        if name == "CANCEL" and ctx and ctx.part and ctx.part.kind == "ITEM" then
          error({ violation = "frame", message = "CANCEL between fragments" }, 0)
        end
        return real(self, h, name, ctx, ...)
      end)
    end,
  },
  {
    name = "takes-mixed-messages", title = "takes any frame between the fragments of a message",
    breaks = { "FRAME-018" }, symptom = 'BYE frame / BYE {"code": "state"',
    patch = function(p) function p.hooks.checks_mixing() return false end end,
  },
  {
    name = "id-is-used-at-the-last-fragment",
    title = "takes an OPEN of a lower id than that of an unfinished one",
    breaks = { "FRAME-019" }, symptom = "BYE state / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "first_of_open", function(real, self, id)
        self.highest_before = self.highest
        local ctx = real(self, id)
        self.highest = math.max(id, self.highest_before)
        return ctx
      end)
      p.wrap(p.link.Link, "admit_to_context", function(real, self, h, name)
        local highest = self.highest
        if name == "OPEN" and self.opening and not self.contexts[h.context] then
          self.highest = self.highest_before
        end
        local ok, admitted = pcall(real, self, h, name)
        self.highest = highest
        if not ok then error(admitted, 0) end
        return admitted
      end)
    end,
  },
  {
    name = "opens-at-the-last-fragment", title = "knows a context only when its OPEN is complete",
    breaks = { "FRAME-022" }, symptom = '/ BYE {"code": "state"',
    patch = function(p)
      local opening = p.tables.callee.opening
      opening.CANCEL, opening.CREDIT, opening.STOP = "!state", "!state", "!state"
    end,
  },
  {
    name = "many-unfinished-opens", title = "takes a second unfinished OPEN",
    breaks = { "FRAME-020" }, symptom = "BYE frame / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "admit_fragment", function(real, self, h, name, ...)
        if name == "OPEN" then self.opening = nil end
        return real(self, h, name, ...)
      end)
    end,
  },
  {
    name = "answers-half-an-open", title = "grants credit when the first fragment of OPEN is there",
    breaks = { "FRAME-021", "CTX-002" }, symptom = "nothing on context 6 / CREDIT 6 [0, 0]",
    patch = function(p)
      p.wrap(p.link.Link, "first_of_open", function(real, self, id)
        local ctx = real(self, id)
        self.outbox:control(ctx, "CREDIT", p.codec.encode(p.codec.array { 0, 0 }))
        return ctx
      end)
    end,
  },
  {
    name = "cancelled-open-is-forgotten",
    title = "does not answer the CANCEL of an unfinished OPEN",
    breaks = { "FRAME-022" },
    symptom = "the terminal of context 8 / nothing within",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCEL", function(real, self, cancel)
        if self.life ~= "opening" then return real(self, cancel) end
        self.life = "ended"
        self.link:forget(self)
      end)
    end,
  },
  {
    name = "cancelled-open-keeps-its-place",
    title = "counts a cancelled OPEN as unfinished for ever",
    breaks = { "FRAME-022", "FRAME-021" }, symptom = 'CANCELLED / BYE {"code": "frame"',
    patch = function(p)
      p.wrap(p.link.Link, "abandon_part", function(real, self, ctx, name)
        if ctx.part and ctx.part.kind == "OPEN" and name == "CANCEL" then
          local opening = self.opening
          real(self, ctx, name)
          self.opening = opening
          return
        end
        return real(self, ctx, name)
      end)
    end,
  },
  {
    name = "checks-what-is-discarded", title = "checks the value of an ITEM that nobody will read",
    breaks = { "FRAME-023", "STREAM-008" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        if name == "ITEM" and ctx.inward == "stopped" and not h.more and not ctx.part then
          p.schema.read("ITEM", payload)
        end
        return real(self, ctx, name, h, payload)
      end)
    end,
  },
  {
    name = "checks-each-fragment", title = "judges a message by its first fragment",
    breaks = { "FRAME-023", "FRAME-017", "FRAME-021" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.link.Link, "assemble", function(real, self, ctx, name, h, payload)
        if h.more and not ctx.part and payload:byte(1) == 0xc1 then
          error({ violation = "value", message = "c1 begins no value" }, 0)
        end
        return real(self, ctx, name, h, payload)
      end)
    end,
  },
  {
    name = "cancel-waits-its-turn", title = "sends control frames after all messages",
    breaks = { "FRAME-024" },
    symptom = "CANCEL before the results that were not begun / CANCEL with 0 of ",
    patch = function(p)
      function p.hooks.next_frame(outbox)
        return outbox:next_open() or outbox:next_message() or outbox:next_control()
          or outbox:next_pong()
      end
    end,
  },
  {
    name = "opens-what-is-cancelled",
    title = "writes an OPEN that was cancelled before it was begun",
    breaks = { "FRAME-026" }, symptom = "CANCELLED on context ",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "withdraw_open", function(real, self, ctx)
        return not (ctx.cancel_sent and ctx.life == "unopened") and real(self, ctx)
      end)
    end,
  },
  {
    name = "cancel-overtakes-its-open", title = "sends CANCEL at once, be the OPEN written or not",
    breaks = { "FRAME-025", "FRAME-026" }, symptom = "CANCEL before the OPEN of its context",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "withdraw_open", function(real, self, ctx)
        return not (ctx.cancel_sent and ctx.life == "unopened") and real(self, ctx)
      end)
      p.wrap(p.outbox.Outbox, "next_control", function(real, self)
        for _, ctx in ipairs(self.owing) do
          local cancel = ctx.life == "unopened" and ctx.owes.CANCEL
          ctx.owes.CANCEL = not cancel and ctx.owes.CANCEL or nil
          if cancel then return p.frame.encode("CANCEL", ctx.id, cancel) end
        end
        return real(self)
      end)
    end,
  },
  {
    name = "encodes-far-ahead", title = "lets 384 KiB of encoded frames wait for the transport",
    breaks = { "FRAME-028" }, symptom = "bytes ahead of it /",
    patch = function(p)
      p.wrap(p.transport.Transport, "pending", function(real, self)
        return math.max(0, real(self) - 393216)
      end)
    end,
  },
  {
    name = "return-overtakes-items", title = "sends RETURN and END before the items that wait",
    breaks = { "FRAME-027", "STREAM-003", "STREAM-010" },
    symptom = "ITEM on context 9 / END 9",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "message", function(real, self, ctx, kind, payload, reply)
        real(self, ctx, kind, payload, reply)
        local queue = ctx.outgoing
        if (kind == "RETURN" or kind == "END") and #queue > 1 and queue[1].kind == "ITEM" then
          table.insert(queue, 1, table.remove(queue))
        end
      end)
    end,
  },
}
