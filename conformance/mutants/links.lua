-- SPDX-License-Identifier: MIT
--
-- Defects in chapters 4.1, 10 and 18 to 22: links, closing, liveness, extensions, authority,
-- memory.

return {
  {
    name = "tcp-anywhere", title = "listens and dials beyond the loopback interface without TLS",
    breaks = { "LINK-001", "SEC-003" }, symptom = "no HELLO in the clear / HELLO h",
    patch = function(p) function p.transport.is_loopback() return true end end,
  },
  {
    name = "links-share-their-limits", title = "counts the contexts of all links together",
    breaks = { "LINK-002" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      function p.hooks.contexts(link)
        local others = 0
        for l in pairs(link.actor.links) do
          if l ~= link then others = others + l.inbound end
        end
        return link.announced.contexts - others
      end
    end,
  },
  {
    name = "links-share-their-features", title = "keeps the features of all links in one place",
    breaks = { "LINK-002", "FRAME-005", "ODD-001", "STREAM-003" },
    symptom = "RETURN or ERROR on context 1 / ITEM 1 0",
    patch = function(p)
      local features = {}
      p.wrap(p.link, "new", function(real, ...)
        local l = real(...)
        l.features = features
        return l
      end)
    end,
  },
  {
    name = "reads-when-it-has-written", title = "reads no more while its output is not taken",
    breaks = { "LINK-003" },
    symptom = "a CANCEL read while the output is stuck / nothing of it",
    patch = function(p)
      local Transport = p.transport.Transport
      p.wrap(Transport, "write", function(real, self, list, done)
        self.input:read_stop()
        return real(self, list, function()
          if not self.at_end and not self.input:is_closing() then
            self.input:read_start(p.task.callback(function(_, bytes)
              if bytes then return self.on_bytes(bytes) end
              self:ended()
            end))
          end
          if done then done() end
        end)
      end)
    end,
  },
  {
    name = "failed-write-is-the-end", title = "gives a link up when a write fails",
    breaks = { "LINK-004" }, symptom = "a link that goes on / the end of the input",
    patch = function(p)
      p.wrap(p.transport.Transport, "write", function(real, self, list, done)
        return real(self, list, function()
          if self.broken and not self.closing then self:ended() end
          if done then done() end
        end)
      end)
    end,
  },
  {
    name = "end-of-input-is-polite", title = "takes the end of the input for an agreed close",
    breaks = { "LINK-005", "ACTOR-012", "MODEL-007", "MODEL-008", "WAIT-004", "WAIT-005" },
    symptom = 'log ["c:begin", "c:end"] / log []',
    patch = function(p)
      p.wrap(p.link.Link, "at_end", function(real, self)
        if self.child or self == self.actor.parent_link then return real(self) end
        self:shut()
      end)
    end,
  },
  {
    name = "half-a-frame-is-waited-for", title = "waits on after the end of the input in a frame",
    breaks = { "LINK-005", "MODEL-007", "MODEL-008" },
    symptom = "the end of the input / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "at_end", function(real, self)
        if #self.buffer == 0 and not self.header then return real(self) end
      end)
    end,
  },
  {
    name = "no-ping-while-closing", title = "takes PING on a closing link for a violation",
    breaks = { "LINK-006", "LINK-010" }, symptom = "a link that goes on / BYE",
    patch = function(p) p.tables.link.closing.PING = "!state" end,
  },
  {
    name = "opens-after-bye", title = "opens contexts on a link that is closing",
    breaks = { "LINK-007" }, symptom = "a frame that is legal here (link dialled1) / OPEN 2",
    patch = function(p)
      p.wrap(p.link.Link, "open_now", function(real, self, ...)
        local state = self.state
        if state == "closing" then self.state = "open" end
        local results = table.pack(pcall(real, self, ...))
        if self.state == "open" then self.state = state end
        if not results[1] then error(results[2], 0) end
        return table.unpack(results, 2, results.n)
      end)
    end,
  },
  {
    name = "bye-is-not-answered", title = "does not answer BYE",
    breaks = { "LINK-008" }, symptom = "BYE / the end of the input",
    patch = function(p) function p.hooks.answers_bye(received) return not received end end,
  },
  {
    name = "serves-after-bye", title = "serves an OPEN that arrives after its BYE",
    breaks = { "LINK-009" }, symptom = "ERROR on context 2 / RETURN 2 1",
    patch = function(p)
      p.wrap(p.serve, "serve", function(real, actor, ctx, open)
        local sent = ctx.link.bye_sent
        ctx.link.bye_sent = nil
        real(actor, ctx, open)
        ctx.link.bye_sent = sent
      end)
    end,
  },
  {
    name = "never-closes", title = "keeps a link on which nothing is open after BYE and BYE",
    breaks = { "LINK-010" }, symptom = "the end of the input / nothing within",
    patch = function(p) function p.link.Link.check_idle() end end,
  },
  {
    name = "closes-with-contexts-open", title = "closes a link at once when BYE arrives",
    breaks = { "LINK-010", "LINK-006" },
    symptom = "a link that goes on / the end of the input",
    patch = function(p)
      function p.link.Link:check_idle()
        if self.state ~= "closing" or not self.bye_sent or not self.bye_received then return end
        if #self.outbox.plain > 0 then return end
        self:lose(p.failure.new { code = "link_lost", actor = self.actor:name_only() })
      end
    end,
  },
  {
    name = "exit-without-bye-is-death", title = "wants a BYE after the RETURN of copse.actor",
    breaks = { "LINK-012", "SPAWN-014", "SPAWN-015", "ACTOR-012" },
    symptom = "RETURN on context 6 / ERROR 6",
    patch = function(p)
      p.wrap(p.spawn.Child, "verdict", function(real, self)
        local link = self.link
        local silent = link and not link.bye_received
        if self.terminal == "RETURN" and silent then self.terminal = nil end
        return real(self)
      end)
    end,
  },
  {
    name = "violations-end-in-silence", title = "closes a link over a violation without BYE",
    breaks = { "LINK-013" },
    symptom = "BYE with code state, then the end of the input / the end of the input",
    patch = function(p)
      local closing = false
      p.wrap(p.link.Link, "violate", function(real, self, ...)
        closing = self.state == "closing"
        return real(self, ...)
      end)
      function p.hooks.says_bye(code)
        return closing or code == "none" or code == "timeout"
      end
    end,
  },
  {
    name = "violations-are-forgiven", title = "says BYE over a violation and goes on",
    breaks = { "LINK-014", "LINK-016" },
    symptom = "a frame that is legal here (link dialled1) / ITEM 1 h",
    patch = function(p)
      p.wrap(p.link.Link, "violate", function(real, self, code, message, ctx)
        if code == "none" or code == "timeout" then return real(self, code, message, ctx) end
        if self.state == "closed" then return end
        self.outbox:frame("BYE", self:bye(code, message, ctx))
      end)
    end,
  },
  {
    name = "talks-after-bye", title = "sends a PONG after a BYE over a violation",
    breaks = { "LINK-014", "ODD-003" },
    symptom = "a frame that is legal here (link dialled1) / PONG nil: PONG after BYE",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "last", function(real, self, payload)
        real(self, payload)
        if self.link.state ~= "hello" then self:frame("PONG", p.codec.encode(nil)) end
      end)
    end,
  },
  {
    name = "every-bye-is-graceful",
    title = "goes on with its contexts after a BYE over a violation",
    breaks = { "LINK-015" }, symptom = "the end of the input / nothing within",
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "BYE" then result.code = "none" end
        return result
      end)
    end,
  },
  {
    name = "closes-over-unread-input", title = "releases a link without reading to its end",
    breaks = { "LINK-016" }, symptom = "an orderly end",
    patch = function(p) function p.hooks.drains_at_close() return false end end,
  },
  {
    name = "closes-before-it-has-written", title = "releases a link before its BYE is written",
    breaks = { "ACTOR-012" }, symptom = "the terminal of copse.actor / the end of the input",
    patch = function(p)
      p.wrap(p.transport.Transport, "close", function(_, self, done)
        if self.closing then return end
        self.closing, self.released = true, true
        if not self.input:is_closing() then self.input:close() end
        if not self.output:is_closing() then self.output:close() end
        if done then p.task.after(0, done) end
      end)
      p.wrap(p.transport.Transport, "write", function(real, self, list, done)
        if self.held then return end
        local held = table.concat(list)
        self.held = true
        p.task.after(1, function()
          self.held = false
          if not self.closing then real(self, { held }, done) end
        end)
      end)
      p.wrap(p.transport.Transport, "pending", function(real, self)
        return self.held and 1 or real(self)
      end)
    end,
  },
  {
    name = "half-an-open-for-ever", title = "leaves an OPEN half written when BYE arrives",
    breaks = { "LINK-017" }, symptom = "the rest of OPEN, or CANCEL / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "say_bye", function(real, self, message)
        real(self, message)
        self.outbox.opens = {}
      end)
    end,
  },
  {
    name = "promise-is-not-kept", title = "promises a heartbeat and keeps silent",
    breaks = { "LIVE-001" }, symptom = "some bytes within 5000 ms / nothing within",
    patch = function(p) function p.hooks.keeps_heartbeat() return false end end,
  },
  {
    name = "no-beat-while-busy", title = "keeps its heartbeat only while no handler computes",
    breaks = { "LIVE-001" }, symptom = "some bytes within 5000 ms / nothing within",
    patch = function(p) setmetatable(p.task.look_ins, { __newindex = function() end }) end,
  },
  {
    name = "silence-is-death", title = "ends a link within the host over silence",
    breaks = { "LIVE-006" }, symptom = "the link open / its end",
    patch = function(p)
      function p.hooks.silence(link) link:violate("heartbeat", "silence") end
    end,
  },
  {
    name = "extensions-are-faults", title = "takes an extension that it does not know for a fault",
    breaks = { "EXT-003", "EXT-004", "FRAME-005", "LIMIT-004" },
    symptom = "a link that goes on / BYE",
    patch = function(p)
      function p.frame.is_extension() return false end
    end,
  },
  {
    name = "extensions-have-a-context", title = "wants a known context on an extension frame",
    breaks = { "EXT-003", "EXT-004" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      function p.hooks.admits(link, h)
        if link.state ~= "hello" and h.code >= 0x40 and h.context ~= 0
          and not link.contexts[h.context] then
          error({ violation = "state", message = "an extension on no context" }, 0)
        end
        return true
      end
    end,
  },
  {
    name = "extensions-break-messages",
    title = "forgets an unfinished message at an extension frame",
    breaks = { "EXT-004" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p)
      function p.hooks.admits(link, h)
        local ctx = h.code >= 0x40 and link.contexts[h.context]
        if ctx and ctx.part then
          ctx.part = nil
          link.partials = link.partials - 1
        end
        return true
      end
    end,
  },
  {
    name = "extensions-count-as-opened",
    title = "takes the id of an extension frame for an opened one",
    breaks = { "EXT-004", "EXT-003", "KIND-003" }, symptom = "RETURN on context 1 / BYE",
    patch = function(p)
      function p.hooks.admits(link, h)
        if link.state ~= "hello" and h.code >= 0x40 and h.context > link.highest
          and h.context <= p.frame.MAX_ID and link:my_role(h.context) == "callee" then
          link.highest = h.context
        end
        return true
      end
    end,
  },
  {
    name = "violations-are-ignored",
    title = "skips a frame that breaks a rule instead of ending the link",
    breaks = { "CANCEL-001", "FRAME-010" }, symptom = "BYE state / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "admit_to_context", function(real, self, h, name)
        local ok, admitted = pcall(real, self, h, name)
        return ok and admitted
      end)
    end,
  },
  {
    name = "violations-are-refusals", title = "answers a violation of a context with ERROR",
    breaks = { "ACTOR-012", "MODEL-008" },
    symptom = "the terminal of copse.actor / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "violate", function(real, self, code, message, id)
        local ctx = id and self.contexts[id]
        if ctx and ctx.role == "callee" and ctx.life ~= "ended" then
          ctx:conclude_error(p.failure.new { code = "failed", message = message }, true)
        end
        p.task.after(30, function() real(self, code, message, id) end)
      end)
    end,
  },
  {
    name = "dies-of-deep-values", title = "crashes over a value that nests without end",
    breaks = { "ACTOR-005", "LINK-013" },
    symptom = ", then the end of the input / the end of the input",
    patch = function(p)
      p.wrap(p.schema, "read", function(real, kind, payload)
        local ok, result = pcall(real, kind, payload)
        if ok then return result end
        local why = type(result) == "table" and result.message or ""
        if why:find("nests too deep") then os.exit(70) end
        error(result, 0)
      end)
    end,
  },
  {
    name = "dies-of-violations", title = "crashes over any violation",
    breaks = { "ACTOR-005", "LINK-013" },
    symptom = ", then the end of the input / the end of the input",
    patch = function(p)
      p.wrap(p.link.Link, "violate", function(real, self, code, message, ctx)
        if code == "none" or code == "timeout" then return real(self, code, message, ctx) end
        os.exit(70)
      end)
    end,
  },
  {
    name = "hangs-over-garbage",
    title = "reads no more after a wrong flag `more` and closes nothing",
    breaks = { "FRAME-013", "FRAME-015", "FRAME-002" },
    symptom = "BYE frame / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "violate", function(real, self, code, message, ctx)
        if not message:find("with the flag more", 1, true) then
          return real(self, code, message, ctx)
        end
        function self.feed() end
      end)
    end,
  },
  {
    name = "everyone-is-the-parent", title = "takes copse.actor from any link",
    breaks = { "SEC-002" }, symptom = "ERROR on context 1 / RETURN 1 nil",
    patch = function(p)
      function p.hooks.refusal(code, ctx)
        if ctx.target == "copse.actor" and ctx.link ~= ctx.link.actor.parent_link then
          ctx.link.actor.scope:remove(ctx.scope)
          ctx:conclude("RETURN", p.codec.encode(nil))
        end
        return code
      end
    end,
  },
  {
    name = "name-is-authority", title = "takes copse.actor from whoever claims to be the parent",
    breaks = { "SEC-002" }, symptom = 'ERROR with code "denied" / ERROR with code "closing"',
    patch = function(p)
      function p.hooks.refusal(code, ctx)
        local parent = ctx.link.actor.parent
        if code == "denied" and parent and ctx.link.peer.id == parent.id
          and ctx.link ~= ctx.link.actor.parent_link then
          return "closing"
        end
        return code
      end
    end,
  },
  {
    name = "denied-is-no-target", title = "answers `no_target` for what is not allowed",
    breaks = { "SEC-002" }, symptom = 'ERROR with code "denied" / ERROR with code "no_target"',
    patch = function(p)
      function p.hooks.refusal(code) return code == "denied" and "no_target" or code end
    end,
  },
  {
    name = "tcp-without-a-token", title = "listens on TCP without a token",
    breaks = { "SEC-004" }, symptom = "no HELLO / HELLO",
    patch = function(p)
      p.wrap(p.actor.Actor, "listen", function(real, self, address, token)
        return real(self, address, token or address:find("^tcp:") and "")
      end)
      p.wrap(p.link, "new", function(real, actor, transport, options)
        if options.token == "" then options.token = nil end
        return real(actor, transport, options)
      end)
    end,
  },
  {
    name = "strangers-without-bound", title = "keeps any number of links that say no HELLO",
    breaks = { "SEC-011", "ACTOR-001", "ACTOR-005" },
    symptom = "fewer than 1000 links held / 1000 held",
    patch = function(p)
      p.wrap(p.link, "new", function(real, actor, ...)
        local l = real(actor, ...)
        if l ~= actor.parent_link and l.role == "acceptor" then
          actor.links[l] = nil
          l.options.on_open = function() actor.links[l] = true end
        end
        return l
      end)
    end,
  },
  {
    name = "children-are-not-cancelled-by-loss",
    title = "goes on with what was opened over a lost link",
    breaks = { "MODEL-007", "ACTOR-012", "MODEL-008", "WAIT-004", "WAIT-005" },
    symptom = 'log "lost:begin" / log nil',
    patch = function(p)
      p.wrap(p.context.Context, "lost", function(real, self)
        if self.link == self.link.actor.parent_link then return real(self) end
        self.life = "ended"
        self.link:forget(self)
      end)
    end,
  },
  {
    name = "claims-decide",
    title = "refuses a peer that claims the id of the parent",
    breaks = { "SEC-001" }, symptom = "RETURN on context 3 / ERROR 3",
    patch = function(p)
      function p.hooks.refusal(code, ctx)
        local parent = ctx.link.actor.parent
        if parent and ctx.link ~= ctx.link.actor.parent_link and ctx.link.peer.id == parent.id then
          return code or "denied"
        end
        return code
      end
    end,
  },
  {
    name = "keeps-what-it-read",
    title = "keeps all that it has ever read",
    breaks = { "SEC-009" }, symptom = "at most 16 MiB more than before /",
    patch = function(p)
      local kept = {}
      p.wrap(p.link.Link, "feed", function(real, self, bytes)
        kept[#kept + 1] = bytes
        return real(self, bytes)
      end)
    end,
  },
  {
    name = "socket-for-everybody", title = "lets every user write to its unix sockets",
    breaks = { "SEC-005" }, symptom = "no HELLO for a stranger / HELLO", as_root = true,
    patch = function()
      local uv = require "luv"
      local chmod = uv.fs_chmod
      function uv.fs_chmod(path, mode) return chmod(path, mode | 54) end -- 0066
    end,
  },
  {
    name = "frames-are-the-signs-of-life",
    title = "wants a frame to be whole within the time in which the peer promised a sign of life",
    breaks = { "LIVE-003" }, symptom = "the link open / its end",
    patch = function(p)
      p.wrap(p.link.Link, "feed", function(real, self, bytes)
        real(self, bytes)
        local begun = self.header or #self.buffer > 0
        if begun and not self.overdue and self.hello and self.hello.heartbeat > 0 then
          self.overdue = p.task.after(self.hello.heartbeat, function()
            self:violate("heartbeat", "silence")
          end)
        elseif not begun and self.overdue then
          self.overdue()
          self.overdue = nil
        end
      end)
    end,
  },
  {
    name = "a-kind-of-its-own", title = "tells every peer its figures in a kind that it made up",
    breaks = { "ODD-001" }, symptom = "the unknown kind 0x20",
    patch = function(p)
      p.wrap(p.link.Link, "take_HELLO", function(real, self, payload)
        real(self, payload)
        table.insert(self.outbox.plain, string.pack(">I3BI8", 0, 0x20, 0))
      end)
    end,
  },
  {
    name = "one-pong-for-many",
    title = "answers the last of the PINGs that came while results waited to be written",
    breaks = { "KIND-007" }, symptom = "BYE limit / nothing within",
    patch = function(p)
      p.wrap(p.outbox.Outbox, "owes_pong", function(real, self)
        return #self.ring == 0 and real(self)
      end)
    end,
  },
  {
    name = "pongs-queue-up", title = "keeps a PONG for every PING that comes while it cannot write",
    breaks = { "SEC-010" }, symptom = "one PONG that waited, at most /",
    patch = function(p)
      local Outbox = p.outbox.Outbox
      function Outbox.owes_pong() return false end
      p.wrap(Outbox, "answer_ping", function(real, self, payload)
        self.pongs = self.pongs or {}
        if self.pong then table.insert(self.pongs, payload) else real(self, payload) end
      end)
      p.wrap(Outbox, "next_pong", function(real, self)
        local pong = real(self)
        local payload = pong and self.pongs and table.remove(self.pongs, 1)
        if payload then self:answer_ping(payload) end
        return pong
      end)
    end,
  },
  {
    name = "heeds-nothing-when-it-cannot-write",
    title = "reads on after a failed write and throws away what it reads",
    breaks = { "CROSS-003" }, symptom = "RETURN on context 1 / nothing within",
    patch = function(p)
      p.wrap(p.transport.Transport, "start", function(real, self, on_bytes, on_end)
        real(self, function(bytes)
          if not self.broken then on_bytes(bytes) end
        end, on_end)
      end)
    end,
  },
}
