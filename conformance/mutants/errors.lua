-- SPDX-License-Identifier: MIT
--
-- Defects in chapter 15: errors, the path they came, groups.

return {
  {
    name = "failed-is-internal", title = "answers `internal` where user code failed",
    breaks = { "ERROR-001" }, symptom = 'ERROR with code "failed" / ERROR with code "internal"',
    patch = function(p)
      function p.hooks.error(e)
        if e.code ~= "failed" then return e end
        local copy = p.failure.new(e)
        copy.code = "internal"
        return copy
      end
    end,
  },
  {
    name = "error-without-actor", title = "does not say where an error arose",
    breaks = { "ERROR-002" }, symptom = '"testee", []) / actor nil',
    patch = function(p) function p.failure.arose_in() end end,
  },
  {
    name = "via-begins-with-oneself", title = "puts itself into `via` of its own errors",
    breaks = { "ERROR-002" }, symptom = 'no via / {"actor": ref(',
    patch = function(p)
      local me
      p.wrap(p.actor, "new", function(real, options)
        me = real(options)
        return me
      end)
      function p.hooks.error(e)
        if #e.via > 0 or e.received then return e end
        local copy = p.failure.new(e)
        copy.via = { me:name_only() }
        return copy
      end
    end,
  },
  {
    name = "path-is-lost", title = "does not append to `via` what an error came by",
    breaks = { "ERROR-003", "VALUE-018" }, symptom = "the first cause with its via /",
    patch = function(p)
      p.wrap(p.failure, "from_wire", function(real, fields) return real(fields) end)
    end,
  },
  {
    name = "path-is-backwards", title = "puts the newest hop of `via` first",
    breaks = { "ERROR-003" }, symptom = ', "tck", [])] / via [ref(',
    patch = function(p)
      p.wrap(p.failure, "from_wire", function(real, fields, peer)
        local e = real(fields, peer)
        if peer and #e.via > 1 then table.insert(e.via, 1, table.remove(e.via)) end
        return e
      end)
    end,
  },
  {
    name = "path-without-end", title = "appends to a `via` of 32 entries",
    breaks = { "ERROR-004", "VALUE-012" }, symptom = ".. 33 elements]",
    patch = function(p)
      p.wrap(p.failure, "from_wire", function(real, fields, peer)
        local full = #fields.via == 32
        local e = real(fields, peer)
        if peer and full then e.via[33] = p.codec.bare(peer) end
        return e
      end)
    end,
  },
  {
    name = "error-becomes-its-own", title = "passes an error on as one of its own",
    breaks = { "ERROR-005" }, symptom = '"n1", []) / actor ref(',
    patch = function(p)
      local me
      p.wrap(p.actor, "new", function(real, options)
        me = real(options)
        return me
      end)
      function p.hooks.error(e)
        if not e.received then return e end
        local copy = p.failure.new(e)
        copy.actor = me:name_only()
        return copy
      end
    end,
  },
  {
    name = "error-loses-its-data", title = "passes an error on without its data",
    breaks = { "ERROR-005" }, symptom = "ERROR with data 7 / ERROR with data nil",
    patch = function(p)
      function p.hooks.error(e)
        if not e.received then return e end
        local copy = p.failure.new(e)
        copy.data = nil
        return copy
      end
    end,
  },
  {
    name = "error-loses-its-causes", title = "passes an error on without its causes",
    breaks = { "ERROR-005" }, symptom = "/ causes []",
    patch = function(p)
      function p.hooks.error(e)
        if not e.received then return e end
        local copy = p.failure.new(e)
        copy.causes = {}
        return copy
      end
    end,
  },
  {
    name = "error-is-wrapped", title = "passes an error on as the cause of a new one",
    breaks = { "ERROR-005", "CANCEL-009", "ERROR-010" }, symptom = '/ ERROR with code "failed"',
    patch = function(p)
      function p.hooks.error(e)
        if not e.received then return e end
        return p.failure.new { code = "failed", message = "something failed", causes = { e } }
      end
    end,
  },
  {
    name = "first-error-only", title = "passes on the first of several errors",
    breaks = { "ERROR-006" }, symptom = 'ERROR with code "group" / ERROR with code "acme.',
    patch = function(p) function p.failure.combine(errors) return errors[1] end end,
  },
  {
    name = "group-is-backwards", title = "lists the errors of a group from the last to the first",
    breaks = { "ERROR-006" },
    symptom = 'causes ["acme.first:a", "acme.second:b"] / causes ["acme.second:b", "acme.first:a"]',
    patch = function(p)
      p.wrap(p.failure, "combine", function(real, errors, actor)
        local reversed = {}
        for i = #errors, 1, -1 do reversed[#reversed + 1] = errors[i] end
        return real(reversed, actor)
      end)
    end,
  },
  {
    name = "groups-nest", title = "puts groups into groups",
    breaks = { "ERROR-007" }, symptom = '/ causes ["group:g"',
    patch = function(p) function p.hooks.flattens() return false end end,
  },
  {
    name = "causes-without-bound", title = "sends more than 64 causes",
    breaks = { "ERROR-008", "ACTOR-016", "VALUE-012" },
    symptom = "a frame that is legal here (link testee) / ERROR 6",
    patch = function(p) p.schema.CAUSES = math.huge end,
  },
  {
    name = "causes-too-deep", title = "takes and sends causes that nest deeper than 8",
    breaks = { "ERROR-008", "ACTOR-016", "VALUE-012" },
    symptom = "BYE schema / nothing within",
    patch = function(p) p.schema.CAUSES_DEPTH = 16 end,
  },
  {
    name = "clean-up-hides-the-error", title = "keeps the last error of a scope only",
    breaks = { "ERROR-006" }, symptom = 'ERROR with code "group" / ERROR with code "acme.',
    patch = function(p) function p.failure.combine(errors) return errors[#errors] end end,
  },
  {
    name = "unknown-codes-are-failed", title = "passes an unknown code on as `failed`",
    breaks = { "ERROR-010", "ERROR-005" }, symptom = 'ERROR with code "acme.',
    patch = function(p)
      function p.hooks.error(e)
        if not e.received or not e.code:find("%.") then return e end
        local copy = p.failure.new(e)
        copy.code = "failed"
        return copy
      end
    end,
  },
  {
    name = "refusal-ends-the-link", title = "ends the link over a target that it does not have",
    breaks = { "ERROR-011", "CTX-010", "KIND-013", "KIND-014" },
    symptom = "ERROR on context 8 / BYE",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        real(self, err, reply)
        if reply and err.code == "no_target" then
          self.link:violate("state", "no target", self.id)
        end
      end)
    end,
  },
  {
    name = "one-failure-is-no-matter", title = "lets the rest of a scope run on after an error",
    breaks = { "MODEL-004", "REG-008" }, symptom = "CANCEL on context 1 / nothing within",
    patch = function(p) function p.hooks.cancels_siblings() return false end end,
  },
  {
    name = "refusals-are-swallowed", title = "RETURNs nil where something below was refused",
    breaks = { "ERROR-005" }, symptom = "ERROR on context 6 / RETURN 6 nil",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        local refused = err.received and (err.code == "no_target" or err.code == "busy")
        if not refused or self.life == "ended" then return real(self, err, reply) end
        self:conclude("RETURN", p.codec.encode(nil))
      end)
    end,
  },
  {
    name = "one-error-cancels-all",
    title = "cancels all handlers when one of them fails",
    breaks = { "ACTOR-008" }, symptom = "RETURN on context 6 / CANCELLED 6",
    patch = function(p)
      p.wrap(p.context.Context, "conclude_error", function(real, self, err, reply)
        real(self, err, reply)
        if reply then return end
        local actor = self.link.actor
        for l in pairs(actor.links) do
          for _, ctx in pairs(l.contexts) do
            if ctx.role == "callee" and ctx.scope and ctx ~= actor.context and ctx ~= self then
              ctx:be_cancelled(p.failure.cause("error", actor.ref))
            end
          end
        end
      end)
    end,
  },
  {
    name = "last-error-wins", title = "passes on the last of several errors alone",
    breaks = { "ERROR-009", "ERROR-006" }, symptom = "acme.first among the causes",
    patch = function(p)
      p.wrap(p.failure, "combine", function(_, errors) return errors[#errors] end)
    end,
  },
  {
    name = "starts-before-it-looks", title = "says STARTED before it looks at the arguments",
    breaks = { "ERROR-013" }, symptom = "ERROR bad_args before anything else / STARTED",
    patch = function(p)
      p.wrap(p.actor, "boot", function(real, options)
        for target, handler in pairs(options.exports) do
          options.exports[target] = function(ctx, args)
            if p.codec.is_map(args) and args.started ~= nil then
              ctx:started(args.started)
              ctx.started = function() end
            end
            return handler(ctx, args)
          end
        end
        return real(options)
      end)
    end,
  },
}
