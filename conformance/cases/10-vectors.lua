-- SPDX-License-Identifier: MIT
--
-- The byte vectors of appendix B: each whole, byte by byte, cut in two at every byte, and in one
-- write with what comes before it. Generated from SPEC.md.
--
-- Where a vector has to find a context still open, the target of the OPEN before it is replaced by
-- one that stays: an echo may have answered by then, and what comes for an ended context is
-- ignored, rightly. tck.gate stays until it is told; tck.stubborn stays even when it is cancelled.
local case, spec = ...
local frame = require "frame"
local value = require "value"
local map, array = value.map, value.array

local root = value.ref("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff", "root")
local child = value.ref("\0\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15", "child")

-- The requirement that a vector shows to be broken; what is not here is told by its code.
local requirement_of = {
  ["hello-noise"] = "HELLO-004", ["hello-missing"] = "HELLO-004",
  ["hello-extension-first"] = "HELLO-004", ["hello-more"] = "FRAME-013",
  ["hello-context"] = "FRAME-004", ["hello-other-version"] = "HELLO-011",
  ["hello-frame-small"] = "LIMIT-002", ["hello-message-small"] = "LIMIT-002",
  ["hello-contexts-small"] = "LIMIT-002", ["hello-partials-zero"] = "LIMIT-002",
  ["hello-twice-key"] = "VALUE-010", ["hello-short-id"] = "VALUE-015",
  ["hello-empty-name"] = "VALUE-015", ["hello-control-name"] = "VALUE-015",
  ["hello-twice"] = "HELLO-005", ["open-even"] = "FRAME-006", ["open-link"] = "FRAME-004",
  ["open-beyond"] = "FRAME-004", ["open-again"] = "FRAME-007", ["open-below"] = "FRAME-007",
  ["open-ended"] = "FRAME-007", ["open-twice-key"] = "VALUE-010", ["open-frame"] = "LIMIT-004",
  ["open-two-unfinished"] = "FRAME-020", ["open-empty-fragment"] = "FRAME-015",
  ["open-mixed"] = "FRAME-018", ["role-return"] = "FRAME-008", ["role-cancel"] = "FRAME-008",
  ["never-opened"] = "FRAME-010", ["never-opened-own"] = "FRAME-010", ["cancel-more"] = "FRAME-013",
  ["item-after-cancel"] = "STREAM-003", ["return-twice"] = "CTX-001", ["started-twice"] = "CTX-001",
  ["item-unwanted"] = "STREAM-003", ["error-replaced"] = "FRAME-018",
  ["item-no-send"] = "STREAM-003", ["end-no-send"] = "STREAM-003",
  ["item-after-end"] = "STREAM-003", ["end-after-end"] = "STREAM-003",
  ["credit-smaller"] = "CREDIT-008", ["value-reserved"] = "VALUE-001", ["value-bomb"] = "VALUE-009",
  ["value-str-long"] = "VALUE-009", ["value-map-bomb"] = "VALUE-009", ["value-utf8"] = "VALUE-002",
  ["value-overlong"] = "VALUE-002", ["value-surrogate"] = "VALUE-002",
  ["value-uint64"] = "VALUE-003", ["value-key-float"] = "VALUE-004",
  ["value-key-nil"] = "VALUE-004",
  ["value-key-array"] = "VALUE-004", ["value-ref-empty"] = "VALUE-015",
  ["value-ref-map"] = "VALUE-015", ["value-depth-33"] = "VALUE-008",
  ["value-args-depth-33"] = "VALUE-008", ["extension-long"] = "LIMIT-004",
  ["ping-context"] = "FRAME-004", ["ping-more"] = "FRAME-013", ["kind-zero"] = "FRAME-005",
  ["kind-unassigned"] = "FRAME-005", ["kind-later"] = "FRAME-005",
  -- what is accepted
  ["hello-unknown-key"] = "VALUE-011", ["hello-range"] = "HELLO-010", ["hello-full"] = "HELLO-014",
  ["hello-large-limits"] = "LIMIT-003", ["call-named"] = "KIND-012", ["call-gap"] = "FRAME-001",
  ["call-unknown-key"] = "VALUE-011", ["call-expired"] = "DEADLINE-004",
  ["call-fragments"] = "FRAME-014", ["call-fragments-crossed"] = "FRAME-018",
  ["call-cancel"] = "CANCEL-012", ["call-cancel-again"] = "CANCEL-003",
  ["call-cancelled-early"] = "FRAME-022", ["late-cancel"] = "FRAME-011",
  ["late-fragment"] = "FRAME-011", ["duplex-credit"] = "CREDIT-002", ["duplex-stop"] = "STREAM-001",
  ["duplex-cancel-late"] = "FRAME-011", ["value-formats"] = "VALUE-006",
  ["value-types"] = "VALUE-006", ["value-depth-32"] = "VALUE-008",
  ["value-args-depth-32"] = "VALUE-008", ["ping"] = "KIND-005", ["pong"] = "KIND-008",
  ["pong-unsolicited"] = "KIND-008", ["bye"] = "LINK-008", ["open-crosses-bye"] = "LINK-009",
  ["bye-context-left"] = "LINK-010", ["extension"] = "EXT-003", ["bye-violation"] = "LINK-015",
  ["bye-unknown-code"] = "KIND-001", ["refusal"] = "LINK-015", ["call-unasked"] = "CTX-001",
  ["call-unknown-code"] = "ERROR-010", ["call-error"] = "ERROR-005", ["bye-first"] = "LINK-008",
}
local requirement_by_code = {
  frame = "FRAME-002", limit = "LIMIT-006", state = "FRAME-002", value = "VALUE-001",
  schema = "VALUE-012", credit = "CREDIT-007", version = "HELLO-011", echo = "HELLO-007",
}
local function requirement(v)
  local id = requirement_of[v.name] or requirement_by_code[v.violation] or "KIND-018"
  return spec.by_id[id] and id or "FRAME-001"
end

-- The vectors that come before, in order, each once.
local function chain(v, out, seen)
  out, seen = out or {}, seen or {}
  for _, name in ipairs(v.after) do
    local a = spec.vector[name]
    if not seen[name] then
      chain(a, out, seen)
      seen[name] = true
      out[#out + 1] = a
    end
  end
  return out
end

local function comes_after(v, name)
  for _, a in ipairs(chain(v)) do if a.name == name then return true end end
  return false
end

local function frames(bytes) return (frame.reader():feed(bytes)) end

-- The same frames on another context.
local function on_context(bytes, from, to)
  local out, pos = {}, 1
  while #bytes - pos + 1 >= 12 do
    local length, kind, ctx = string.unpack(">I3BI8", bytes, pos)
    if ctx == from then ctx = to end
    out[#out + 1] = string.pack(">I3BI8", length, kind, ctx)
    out[#out + 1] = bytes:sub(pos + 12, pos + 11 + length)
    pos = pos + 12 + length
  end
  return table.concat(out) .. bytes:sub(pos)
end

local function last_context(bytes)
  local ctx, pos = 0, 1
  while #bytes - pos + 1 >= 12 do
    local length, _, c = string.unpack(">I3BI8", bytes, pos)
    ctx, pos = c, pos + 12 + length
  end
  return ctx
end

local function profile_of(v)
  if v.name:find("^duplex") or comes_after(v, "duplex") then return "stream" end
  for _, f in ipairs(frames(v.bytes)) do
    if f.name == "ITEM" or f.name == "STOP" or f.name == "CREDIT" then return "stream" end
  end
  return "core"
end

-- From the connector: on a link that the suite dials ----------------------------------------------

-- What a testee has to answer to a vector that is accepted, and what is left to do so that nothing
-- of it stays open.
local function terminal(link, ctx, what, req)
  return link:await_frame(function(f)
    return f.ctx == ctx and not f.more and f.name ~= "CREDIT" and f.name ~= "STARTED"
      and f.name ~= "END"
  end, what, req)
end
local function returns(ctx, wanted)
  return function(link, req)
    local f = terminal(link, ctx, "RETURN " .. ctx, req)
    link.t:check(req, f.name == "RETURN" and value.eq(f.value, wanted),
      "RETURN " .. ctx .. " " .. value.show(wanted), frame.show(f))
  end
end
local function cancelled(ctx, fields)
  return function(link, req)
    local f = terminal(link, ctx, "CANCELLED " .. ctx, req)
    local good = f.name == "CANCELLED"
    for k, v in pairs(fields) do good = good and value.eq(f.value[k], v) end
    link.t:check(req, good, "CANCELLED " .. ctx .. " " .. value.show(map(fields)), frame.show(f))
  end
end
local function pong(link, req)
  local asked = link.monitor.pings[1]
  link.t:await(function() return #link.pongs > 0 or link.eof end, "PONG", req)
  local f = table.remove(link.pongs, 1)
  link.t:check(req, f and f.payload == (asked or f.payload), "PONG with the payload of the PING",
    f and frame.show(f) or "the end of the input")
end
local function calls(link)
  link:send { "OPEN", 1, value = map { target = "tck.echo", args = array { 7 } } }
  returns(1, 7)(link, "KIND-018")
end
local function nothing() end
local function ends_stream(link, req)
  if link.monitor.ctx[1].out == "open" then link:send { "END", 1 } end
  local f = terminal(link, 1, "RETURN 1", req)
  link.t:check(req, f.name == "RETURN" and f.value == 0, "RETURN 1 0", frame.show(f))
end

local answers = {
  ["hello-connector"] = calls, ["hello-full"] = calls, ["hello-unknown-key"] = calls,
  ["hello-range"] = calls, ["hello-large-limits"] = calls,
  ["call"] = returns(1, 7), ["call-named"] = returns(1, true),
  ["call-gap"] = function(link, req)
    returns(5, value.null)(link, req)
    returns((1 << 53) - 1, value.null)(link, req)
  end,
  ["call-unknown-key"] = returns(1, value.null),
  ["call-expired"] = cancelled(1, { origin = "deadline", ran = false }),
  ["call-fragments"] = returns(1, 7),
  ["call-fragments-crossed"] = function(link, req)
    pong(link, "KIND-005")
    returns(1, 7)(link, req)
  end,
  ["call-cancel"] = cancelled(1, { origin = "requested", by = child, message = "enough" }),
  ["call-cancel-again"] = nothing,
  ["call-cancelled-early"] = cancelled(1, { origin = "requested", ran = false }),
  ["late-cancel"] = nothing, ["late-fragment"] = nothing,
  ["duplex"] = ends_stream, ["duplex-credit"] = ends_stream, ["duplex-stop"] = ends_stream,
  ["duplex-end"] = ends_stream,
  ["duplex-cancel"] = cancelled(1, { origin = "error", by = child }),
  ["duplex-cancel-late"] = nothing,
  ["value-formats"] = pong, ["value-args-depth-32"] = function(link, req)
    -- The array of arguments is one of the 32.
    local deep = value.decode(spec.vector["value-depth-32"].bytes:sub(13))
    returns(1, deep[1])(link, req)
  end,
  ["ping"] = pong, ["extension"] = nothing, ["bye"] = nothing,
  ["bye-context-left"] = cancelled(1, { origin = "shutdown" }),
  ["open-crosses-bye"] = function(link, req)
    local f = terminal(link, 1, "ERROR 1 closing", req)
    link.t:check(req, f.name == "ERROR" and f.value.code == "closing", "ERROR 1 closing",
      frame.show(f))
  end,
}

-- After END of its parent a testee is about to leave: one run is all it gives.
local leaves = { ["open-crosses-bye"] = true }

-- Which target stands in for that of the OPEN before: nil for its own.
local accepted_and_held = { ["call-cancel"] = "tck.gate", ["call-cancel-again"] = "tck.stubborn",
  ["bye-context-left"] = "tck.gate" }
local function holder(v)
  if not comes_after(v, "call") and not comes_after(v, "duplex") then return nil end
  if not v.violation then return accepted_and_held[v.name] end
  local cancelled_before = comes_after(v, "call-cancel") or comes_after(v, "duplex-cancel")
  return cancelled_before and "tck.stubborn" or "tck.gate"
end

-- The limits of this testee in place of the default ones, where a vector exceeds them.
local function mend(v, link, parent)
  if v.name == "hello-echo" then
    return frame.pack { kind = "HELLO",
      payload = value.encode(map { copse = { 1, 1 }, actor = parent.peer.actor }) }
  elseif v.name == "open-frame" or v.name == "extension-long" then
    local most = link.monitor.limits.peer.frame
    if most >= 0xffffff then link.t:unsupported("the testee takes every length there is") end
    return string.pack(">I3", math.max(most + 1, 0x010001)) .. v.bytes:sub(4)
  end
  return v.bytes
end

local function held_open(a, target, key)
  local o = frames(a.bytes)[1]
  local open = value.decode(o.payload)
  open.target, open.args = target, map { key = key }
  return frame.pack { kind = "OPEN", ctx = 1, payload = value.encode(open) }
end

local function next_on(link, ctx, name, req)
  return link:await_frame(function(f) return f.ctx == ctx and f.name == name end, name .. " "
    .. ctx, req)
end

-- A link on which all that comes before `v` has passed. What of it may go out together with `v` in
-- one write is returned instead, if `together`.
local function prepare(t, parent, v, together)
  local link = t:dial(parent, { raw = true })
  local target = holder(v)
  local kept = {}
  for _, a in ipairs(chain(v)) do
    if a.name == "bye-first" then
      -- An actor that is to finish says it some time from now on. What still runs keeps it from
      -- leaving, and the suite does not answer yet, so the link stays.
      link.auto_bye = false
      parent.stays = parent:open("tck.gate", map { key = "vector" })
      parent.stays:expect("STARTED")
      parent.actor:finish()
      parent:barrier()
      link.monitor.bye.peer = nil
    elseif a.from == "connector" then
      local held = target and (a.name == "call" or a.name == "duplex")
      local bytes = held and held_open(a, target, link.name) or a.bytes
      -- Nothing but HELLO may precede the peer's HELLO, and a handler that is to be cancelled has
      -- to have begun.
      local apart = a.name:find("^hello%-") or held and target == "tck.stubborn"
      if together and not apart then
        kept[#kept + 1] = bytes
      else
        link:say(bytes)
        if a.name:find("^hello%-") then link:expect_hello("HELLO-002") end
        if held or v.name ~= "duplex-cancel" and a.name == "duplex" then
          next_on(link, 1, "STARTED", "KIND-017")
        elseif a.name == "call-cancelled-early" then
          answers[a.name](link, "FRAME-022")
        end
      end
    end
  end
  return link, table.concat(kept)
end

local function judge(t, parent, v, link, bytes)
  local req = requirement(v)
  if v.violation then
    local named = last_context(bytes)
    link:violation(v.violation, named < 1 << 53 and named or nil, req)
  elseif v.name == "bye" or v.name == "bye-context-left" then
    link:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
    answers[v.name](link, req)
    link:shutdown()
    link:await_eof("LINK-010")
  else
    if not link.hello_received then link:expect_hello("HELLO-002") end
    answers[v.name](link, req)
    if not leaves[v.name] then link:barrier() end
    t:check(req, not link.bye_received or leaves[v.name], "the vector accepted", "BYE")
    t:pass(req)
  end
  if holder(v) == "tck.stubborn" then parent:call("tck.open_gate", map { key = link.name }) end
end

-- One run of a vector on a link of its own. write(link, bytes).
local function once(t, parent, v, together, write)
  local link, prefix = prepare(t, parent, v, together)
  local bytes = mend(v, link, parent)
  write(link, prefix .. bytes, parent)
  judge(t, parent, v, link, bytes)
  return link
end

local function whole(link, bytes) link:say(bytes) end
local function bytewise(link, bytes)
  link.chop = 1
  link:say(bytes)
  link.chop = nil
end
-- The monitor sees the frames; the bytes go out in two writes with a barrier on the other link
-- between them, by when the first half has been there to be read.
local function cut_at(at)
  return function(link, bytes, parent)
    local write = link.write
    link.write = function() end
    link:say(bytes)
    link.write = write
    link:write(bytes:sub(1, at))
    parent:barrier()
    link:write(bytes:sub(at + 1))
  end
end

local cuts_in_a_case = 64
for _, v in ipairs(spec.vectors) do
  if v.from == "connector" then
    local function variant(id, title, run)
      case {
        id = "vector." .. id, req = requirement(v), profile = profile_of(v),
        title = "Vector " .. v.name .. ", " .. title, generated = true,
        why = v.note and "SPEC.md on this vector: " .. v.note .. "."
          or "SPEC.md promises it, so a peer is held to it.",
        run = run,
      }
    end
    local function one(together, write)
      return function(t)
        local parent = t:boot { listen = true }
        local link = once(t, parent, v, together, write)
        if not leaves[v.name] then return t:alive(parent) end
        parent.stays:cancel {}
        parent.stays:is_cancelled()
        link:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-010")
        link:bye()
        link:await_eof("LINK-010")
        link:close()
        parent.actor:expect("RETURN", "ACTOR-012")
        parent:await_eof("LINK-010")
        parent:close()
      end
    end
    variant("whole." .. v.name, "in one write", one(false, whole))
    variant("bytewise." .. v.name, "byte by byte", one(false, bytewise))
    if #chain(v) > 2 and not leaves[v.name] then
      variant("coalesced." .. v.name, "in one write with what precedes it", one(true, whole))
    end
    if not leaves[v.name] then
      for first = 1, #v.bytes - 1, cuts_in_a_case do
        local last = math.min(first + cuts_in_a_case - 1, #v.bytes - 1)
        variant("split." .. v.name .. (first > 1 and "." .. first or ""),
          "cut in two after each of the bytes " .. first .. " to " .. last, function(t)
            local parent = t:boot { listen = true }
            for at = first, last do
              local link = once(t, parent, v, false, cut_at(at))
              link.loose = true
              link:close()
            end
            t:alive(parent)
          end)
      end
    end
  end
end

-- From the acceptor: on the link on which the suite is the parent ---------------------------------

-- What is to be seen above, at tck.relay, of a vector that the suite sends below as the callee.
local seen_above = {
  ["call-return"] = function(upper) upper:returns(7, "KIND-018") end,
  ["call-error"] = function(upper)
    upper:errors("failed", "ERROR-005", { message = "no such luck" })
  end,
  ["call-refused"] = function(upper) upper:errors("no_target", "ERROR-005") end,
  ["call-unasked"] = function(upper) upper:errors("cancelled", "CANCEL-011") end,
  ["call-unknown-code"] = function(upper) upper:errors("acme.quota", "ERROR-010") end,
  ["value-types"] = function(upper)
    upper:returns(value.decode(spec.vector["value-types"].bytes:sub(13)), "VALUE-006")
  end,
  ["value-depth-32"] = function(upper) upper:expect("RETURN", "VALUE-008") end,
}

local function acceptor_case(v, mode)
  local write = mode == "whole" and whole or bytewise
  local req = requirement(v)
  return function(t)
    t.actor = root
    if v.name == "refusal" or v.name == "hello-acceptor" then
      local link = t:spawn()
      link:expect_hello()
      write(link, v.bytes)
      if v.name == "refusal" then link:await_eof(req) else link:barrier() end
      link.violated = true
      return
    end
    local link = t:boot()
    if v.name == "pong" then
      -- The token of the vector, asked in the way of the vector before it.
      link:send { "PING", payload = frames(spec.vector["ping"].bytes)[1].payload }
      return pong(link, "KIND-005")
    elseif v.name == "bye-first" then
      -- The context that makes it an actor stays, so the answer is all that comes.
      write(link, v.bytes)
      link.bye_sent = true
      link:await_frame(function(f) return f.name == "BYE" end, "BYE none", req)
      link.actor:finish()
      link.actor:expect("RETURN", "ACTOR-012")
      link:shutdown()
      link:await_eof("LINK-010")
      return
    elseif v.name == "bye-answer" then
      local c = link:open("tck.gate", map { key = "vector" })
      c:expect("STARTED")
      link:bye()
      link:await_frame(function(f) return f.name == "BYE" end, "BYE none", "LINK-008")
      c:cancel {}
      c:is_cancelled()
      link.actor:finish()
      link.actor:expect("RETURN", "ACTOR-012")
      link:shutdown()
      link:await_eof("LINK-010")
      return
    end
    local upper, inner
    if comes_after(v, "call") then
      upper = link:open("tck.relay", map { target = "tck.echo", args = array { 7 } })
      inner = link:accept("tck.echo", "KIND-018")
    end
    if comes_after(v, "call-cancel") then
      upper:cancel { by = child, message = "enough", grace = 1000 }
      inner:expect("CANCEL", "CANCEL-012")
    end
    local function here(bytes) return inner and on_context(bytes, 1, inner.id) or bytes end
    for _, a in ipairs(chain(v)) do
      if a.from == "acceptor" and a.name ~= "hello-acceptor" then
        link:say(here(a.bytes))
        if a.name == "call-return" then upper:returns(7, "KIND-018") end
      end
    end
    if v.name == "call-unasked" then link.monitor.ctx[inner.id].cancelled = true end
    local bytes = here(v.bytes)
    write(link, bytes)
    if v.violation then
      link:violation(v.violation, last_context(bytes), req)
    elseif v.name:find("^bye%-") then
      link:await_eof(req)
      link.violated = true
    elseif v.name == "call-cancelled" then
      upper:is_cancelled({ origin = "requested" }, "CANCEL-012")
    elseif v.name == "call-started" then
      upper:expect("STARTED", "KIND-018")
      inner:returns_with(7)
      upper:returns(7, "KIND-018")
    else
      if seen_above[v.name] then seen_above[v.name](upper) end
      link:barrier()
      t:pass(req)
    end
  end
end

-- What follows an OPEN with items cannot be sent to a testee: none of its handlers opens a context
-- that carries any.
for _, v in ipairs(spec.vectors) do
  if v.from == "acceptor" and not comes_after(v, "duplex") then
    for mode, title in pairs { whole = "in one write", bytewise = "byte by byte" } do
      case {
        id = "vector." .. mode .. "." .. v.name, req = requirement(v), profile = profile_of(v),
        title = "Vector " .. v.name .. ", " .. title, generated = true,
        why = v.note and "SPEC.md on this vector: " .. v.note .. "."
          or "SPEC.md promises it, so a peer is held to it.",
        needs = (v.name == "refusal" or v.name == "hello-acceptor") and "hello" or "boot",
        run = acceptor_case(v, mode),
      }
    end
  end
end

-- What a connector may not say in its HELLO, an acceptor may not either: the same bytes, sent by a
-- parent in answer to the child's HELLO.
for _, v in ipairs(spec.vectors) do
  if v.from == "connector" and #v.after == 0 and v.violation and v.name ~= "hello-echo" then
    case {
      id = "vector.acceptor." .. v.name, req = requirement(v), needs = "hello", generated = true,
      title = "Vector " .. v.name .. ", said by an acceptor",
      why = "A connector reads HELLO with the same care.",
      run = function(t)
        local link = t:spawn()
        link:expect_hello()
        link:say(v.bytes)
        judge(t, nil, v, link, v.bytes)
      end,
    }
  end
end
