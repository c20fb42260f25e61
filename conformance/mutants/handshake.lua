-- SPDX-License-Identifier: MIT
--
-- Defects in chapter 6: HELLO, versions, features, limits.

-- Announces the limits as always and then takes what `lax` says.
local function relax(p, lax)
  p.wrap(p.link.Link, "say_hello", function(real, self)
    real(self)
    self.announced = setmetatable(lax, { __index = self.actor.limits })
  end)
end

return {
  {
    name = "connector-waits", title = "dials and waits for the HELLO of the other side",
    breaks = { "HELLO-001" }, symptom = "HELLO / nothing within",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        if options.role == "connector" and actor.parent_link then options.waits = true end
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "child-waits", title = "says HELLO to its parent after the parent's",
    breaks = { "HELLO-001" }, symptom = "HELLO / nothing within",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        if options.role == "connector" then options.waits = true end
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "acceptor-says-nothing", title = "accepts a link and never says HELLO",
    breaks = { "HELLO-002", "ACTOR-005", "HELLO-003", "LIVE-008" },
    symptom = "HELLO / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "say_hello", function(real, self)
        if self.role == "connector" then return real(self) end
      end)
    end,
  },
  {
    name = "talks-before-hello", title = "sends a PONG before it has the peer's HELLO",
    breaks = { "HELLO-003" },
    symptom = "a frame that is legal here (link testee) / PONG nil: PONG before the o",
    patch = function(p)
      p.wrap(p.link.Link, "say_hello", function(real, self)
        real(self)
        if not self.peer then self.outbox:frame("PONG", p.codec.encode(nil)) end
      end)
    end,
  },
  {
    name = "ignores-frames-before-hello", title = "skips what arrives before the peer's HELLO",
    breaks = { "HELLO-004" }, symptom = "BYE state / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h)
        local name = h.kind and h.kind.name
        return link.state ~= "hello" or name == "HELLO" or name == "BYE"
      end
    end,
  },
  {
    name = "hello-twice", title = "ignores a second HELLO",
    breaks = { "HELLO-005" }, symptom = "BYE state / nothing within",
    patch = function(p)
      function p.hooks.admits(link, h)
        return link.state == "hello" or not (h.kind and h.kind.name == "HELLO")
      end
    end,
  },
  {
    name = "any-byte-is-a-sign-of-life", title = "waits on for HELLO while bytes come",
    breaks = { "HELLO-006" }, symptom = "BYE `timeout` between these bytes / nothing after",
    patch = function(p)
      p.wrap(p.link.Link, "feed", function(real, self, bytes)
        real(self, bytes)
        if self.state ~= "hello" then return end
        self:bound(p.link.HELLO_BOUND, function() self:violate("timeout", "no HELLO") end)
      end)
    end,
  },
  {
    name = "wrong-token-is-not-told", title = "hangs up on a wrong token without a word",
    breaks = { "HELLO-009" }, symptom = "BYE `token` / none",
    patch = function(p) function p.hooks.says_bye(code) return code ~= "token" end end,
  },
  {
    name = "features-of-the-actor",
    title = "gives up a feature on all its links where one peer lacks it",
    breaks = { "HELLO-013" }, symptom = "ITEM on context 1 / RETURN 1 0",
    patch = function(p)
      local lacked = {}
      p.wrap(p.link.Link, "take_HELLO", function(real, self, payload)
        real(self, payload)
        for _, name in ipairs(p.link.FEATURES) do
          lacked[name] = lacked[name] or not self.features[name]
          if lacked[name] then self.features[name] = nil end
        end
      end)
    end,
  },
  {
    name = "knows-no-echo", title = "takes a HELLO with its own id",
    breaks = { "HELLO-007" }, symptom = 'BYE echo / BYE {"code": "version"',
    patch = function(p) function p.hooks.knows_echo() return false end end,
  },
  {
    name = "echo-is-a-version", title = "looks at the version before the id",
    breaks = { "HELLO-007" }, symptom = 'BYE echo / BYE {"code": "version"',
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "HELLO" and result.copse[1] > 1 then
          error({ violation = "version", message = "versions first" }, 0)
        end
        return result
      end)
    end,
  },
  {
    name = "takes-any-actor", title = "takes any actor for the one it expects",
    breaks = { "HELLO-008" }, symptom = "BYE wrong_actor / nothing within",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        options.expect = nil
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "wrong-actor-is-a-loss", title = "reports `link_lost` where another actor answers",
    breaks = { "HELLO-008" }, symptom = "the error `wrong_actor` / link_lost",
    patch = function(p)
      p.wrap(p.link.Link, "lose", function(real, self, err)
        if err and err.code == "wrong_actor" then err.code = "link_lost" end
        return real(self, err)
      end)
    end,
  },
  {
    name = "one-version-only", title = "refuses a range of versions that is more than its own",
    breaks = { "HELLO-010", "HELLO-002" }, symptom = "STARTED on context 2 / BYE",
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "HELLO" and result.copse[2] ~= 1 then
          error({ violation = "version", message = "not my range" }, 0)
        end
        return result
      end)
    end,
  },
  {
    name = "any-version", title = "speaks with a peer that has no version in common",
    breaks = { "HELLO-011" }, symptom = "BYE version / nothing within",
    patch = function(p) function p.hooks.checks_version() return false end end,
  },
  {
    name = "all-features-always", title = "uses its own features whatever the peer has",
    breaks = { "FRAME-005", "ODD-001", "HELLO-015", "STREAM-003" },
    symptom = "a frame that is legal here (link dialled1) / ITEM 1 0: ITEM without th",
    patch = function(p)
      p.wrap(p.link.Link, "take_HELLO", function(real, self, payload)
        for _, name in ipairs(p.link.FEATURES) do self.features[name] = true end
        return real(self, payload)
      end)
    end,
  },
  {
    name = "unknown-features-are-faults", title = "refuses a feature that it does not know",
    breaks = { "HELLO-014", "ACTOR-005", "HELLO-002" }, symptom = "STARTED on context 2 / BYE",
    patch = function(p)
      local known = { stream = true, spawn = true, registry = true }
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        for _, name in ipairs(kind == "HELLO" and result.features or {}) do
          if not known[name] then error(p.schema.violation("schema", "feature %s", name), 0) end
        end
        return result
      end)
    end,
  },
  {
    name = "credit-without-stream",
    title = "sends items on a link without `stream` if OPEN has credit",
    breaks = { "HELLO-015", "ODD-001", "STREAM-003" },
    symptom = "RETURN or ERROR on context 1 / ITEM 1 0",
    patch = function(p)
      p.wrap(p.context.Context, "complete", function(real, self, open)
        local features = self.link.features
        local had = features.stream
        features.stream = true
        real(self, open)
        features.stream = had
        if open.credit and not had then self.link.features.stream = true end
      end)
    end,
  },
  {
    name = "default-message-below-frame",
    title = "takes 1 MiB for `message` where `frame` is greater",
    breaks = { "ACTOR-005", "HELLO-002" }, symptom = "STARTED on context 2 / BYE",
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "HELLO" and result.limits.frame > 1048576 then
          error(p.schema.violation("schema", "message below frame"), 0)
        end
        return result
      end)
    end,
  },
  {
    name = "small-defaults", title = "takes the minimum where a limit is absent",
    breaks = { "LIMIT-001" }, symptom = "OPEN of x.1 / nothing within",
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "HELLO" and result.limits.contexts == 256 then result.limits.contexts = 16 end
        return result
      end)
    end,
  },
  {
    name = "no-minima", title = "takes limits below their minimum",
    breaks = { "LIMIT-002", "HELLO-003" }, symptom = "BYE schema / nothing within",
    patch = function(p) function p.hooks.minimum() return 0 end end,
  },
  {
    name = "no-large-limits", title = "refuses a `frame` of more than 2^24-1",
    breaks = { "LIMIT-003", "HELLO-002" }, symptom = 'HELLO / BYE {"code": "schema"',
    patch = function(p)
      local max = p.frame.MAX_FRAME
      p.frame.MAX_FRAME = math.maxinteger
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "HELLO" and result.limits.frame > max then
          error(p.schema.violation("schema", "frame of more than 2^24-1"), 0)
        end
        return result
      end)
    end,
  },
  {
    name = "no-frame-limit", title = "takes fragments longer than the announced `frame`",
    breaks = { "LIMIT-004", "FRAME-003", "FRAME-010" }, symptom = "BYE frame / nothing within",
    patch = function(p) relax(p, { frame = p.frame.MAX_FRAME }) end,
  },
  {
    name = "no-message-limit", title = "takes messages longer than the announced `message`",
    breaks = { "LIMIT-005" }, symptom = "BYE limit / nothing within",
    patch = function(p) relax(p, { message = 1 << 40 }) end,
  },
  {
    name = "long-control-frames", title = "takes control frames of any length",
    breaks = { "LIMIT-006", "FRAME-003" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      for _, kind in pairs(p.frame.kinds) do
        if kind.limit == p.frame.CONTROL then kind.limit = 65536 end
      end
    end,
  },
  {
    name = "end-with-a-payload", title = "takes END and STOP with a payload",
    breaks = { "LIMIT-006", "FRAME-003" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      p.frame.kinds.END.limit, p.frame.kinds.STOP.limit = 1024, 1024
    end,
  },
  {
    name = "long-hello", title = "takes a HELLO of any length",
    breaks = { "LIMIT-006", "FRAME-003" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      p.frame.kinds.HELLO.limit, p.frame.kinds.BYE.limit = 65536, 65536
    end,
  },
  {
    name = "no-context-limit", title = "takes more contexts than it announced",
    breaks = { "LIMIT-007" }, symptom = 'BYE limit / BYE {"code": "value"',
    patch = function(p) function p.hooks.contexts() return math.huge end end,
  },
  {
    name = "no-partials-limit", title = "takes more unfinished messages than it announced",
    breaks = { "LIMIT-008" }, symptom = "BYE limit / nothing within",
    patch = function(p) relax(p, { partials = 1 << 40 }) end,
  },
  {
    name = "discarded-is-not-unfinished", title = "does not count an unfinished item it discards",
    breaks = { "LIMIT-009" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      local function recount(link)
        local n = 0
        for _, ctx in pairs(link.contexts) do
          if ctx.part and not (ctx.part.kind == "ITEM" and ctx.inward ~= "open") then n = n + 1 end
        end
        link.partials = n
      end
      p.wrap(p.link.Link, "admit_fragment", function(real, self, ...)
        recount(self)
        return real(self, ...)
      end)
    end,
  },
  {
    name = "sends-beyond-the-message-limit", title = "sends messages longer than the peer takes",
    breaks = { "LIMIT-010", "LIMIT-011" },
    symptom = "a frame that is legal here (link testee) / RETURN 8 h",
    patch = function(p)
      function p.context.Context.encode(_, value) return p.codec.encode(value) end
    end,
  },
  {
    name = "too-large-is-failed", title = "answers `failed` for a result that is too large",
    breaks = { "LIMIT-011", "LIMIT-010" }, symptom = 'code "too_large" / ',
    patch = function(p)
      p.wrap(p.failure, "raise", function(real, code, ...)
        return real(code == "too_large" and "failed" or code, ...)
      end)
    end,
  },
  {
    name = "errors-are-not-cut", title = "sends an error longer than the peer takes",
    breaks = { "LIMIT-010" }, symptom = "a frame that is legal here (link testee) / ERROR 6 h",
    patch = function(p)
      p.wrap(p.failure, "encode", function(real, e) return real(e, math.huge) end)
    end,
  },
  {
    name = "cuts-the-message-first", title = "shortens the message of an error before all else",
    breaks = { "LIMIT-012", "VALUE-014" }, symptom = "message kept / message",
    patch = function(p)
      p.wrap(p.failure, "encode", function(real, e, limit)
        local payload = real(e, math.huge)
        if #payload <= limit then return payload end
        local copy = p.failure.new(e)
        copy.message = p.failure.cut(copy.message, 10)
        return real(copy, limit)
      end)
    end,
  },
  {
    name = "cuts-data-before-the-stack", title = "drops the data of an error before its stack",
    breaks = { "LIMIT-012" }, symptom = "stack dropped / stack",
    patch = function(p)
      p.wrap(p.failure, "encode", function(real, e, limit)
        if #real(e, math.huge) > limit then
          e = p.failure.new(e)
          e.data = nil
        end
        return real(e, limit)
      end)
    end,
  },
  {
    name = "cancel-frees-the-slot", title = "frees the slot of a context when CANCEL arrives",
    breaks = { "LIMIT-013" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      p.wrap(p.context.arrived, "CANCEL", function(real, self, cancel)
        if not self.freed and self.life ~= "opening" then
          self.freed = true
          self.link.inbound = self.link.inbound - 1
        end
        return real(self, cancel)
      end)
      p.wrap(p.link.Link, "forget", function(real, self, ctx)
        if ctx.freed and self.contexts[ctx.id] == ctx then self.inbound = self.inbound + 1 end
        ctx.freed = nil
        return real(self, ctx)
      end)
    end,
  },
  {
    name = "slot-is-freed-late",
    title = "frees the slot of a context that it has refused when the next PING comes",
    breaks = { "LIMIT-014" }, symptom = '/ BYE {"code": "limit"',
    patch = function(p)
      function p.hooks.contexts(link)
        return link.announced.contexts - (link.lately or 0)
      end
      p.wrap(p.link.Link, "forget", function(real, self, ctx)
        if ctx.concluded == "ERROR" and not ctx.ran and self.contexts[ctx.id] == ctx then
          self.lately = (self.lately or 0) + 1
        end
        return real(self, ctx)
      end)
      p.wrap(p.link.Link, "take_PING", function(real, self, payload)
        self.lately = 0
        return real(self, payload)
      end)
    end,
  },
  {
    name = "opens-beyond-the-limit", title = "opens more contexts than the peer takes",
    breaks = { "LIMIT-015", "LIMIT-007" }, symptom = "ERROR `busy` / nothing within",
    patch = function(p) function p.hooks.their_contexts() return math.huge end end,
  },
  {
    name = "waits-for-a-slot", title = "waits where the peer takes no more contexts",
    breaks = { "LIMIT-015" }, symptom = "ERROR `busy` / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "open", function(real, self, ...)
        p.task.wait(self.changed, function() return self.outbound < self.limits.contexts end)
        return real(self, ...)
      end)
    end,
  },
}
