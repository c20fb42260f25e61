-- SPDX-License-Identifier: MIT
-- The byte vectors of appendix B: each whole, byte by byte, cut at every byte, and in one write
-- with all that comes before it. Generated from SPEC.md.
local case, spec = ...
local frame = require "frame"
local value = require "value"
local map = value.map

local root = value.ref(("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"), "root")
local child = value.ref(("\0\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15"), "child")

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

-- What a testee of TESTEE.md has to answer to some of them.
local answers = {
  ["call"] = function(link) link:await_frame(function(f) return f.name == "RETURN" end, "RETURN", "KIND-018") end,
  ["call-named"] = function(t_link)
    local f = t_link:await_frame(function(f) return f.ctx == 1 end, "RETURN 1", "KIND-018")
    t_link.t:check("KIND-018", f.name == "RETURN" and f.value == true, "RETURN 1 true", frame.show(f))
  end,
  ["call-expired"] = function(link)
    local f = link:await_frame(function(f) return f.ctx == 1 end, "CANCELLED 1", "DEADLINE-004")
    link.t:check("DEADLINE-004", f.name == "CANCELLED" and f.value.origin == "deadline"
      and f.value.ran == false, "CANCELLED, origin deadline, ran false", frame.show(f))
  end,
  ["call-cancelled-early"] = function(link)
    local f = link:await_frame(function(f) return f.ctx == 1 end, "CANCELLED 1", "FRAME-022")
    link.t:check("FRAME-022", f.name == "CANCELLED" and f.value.ran == false, "CANCELLED, ran false",
      frame.show(f))
  end,
  ["call-fragments"] = function(link)
    local f = link:await_frame(function(f) return f.ctx == 1 end, "RETURN 1", "FRAME-014")
    link.t:check("FRAME-014", f.name == "RETURN", "RETURN 1", frame.show(f))
  end,
}

local needs_stream = {
  duplex = true, ["credit-smaller"] = true,
}
local function profile_of(v)
  if needs_stream[v.name] or comes_after(v, "duplex") then return "stream" end
  local r = frame.reader()
  for _, f in ipairs(r:feed(v.bytes)) do
    if f.name == "ITEM" or f.name == "STOP" or f.name == "CREDIT" then return "stream" end
  end
  return "core"
end

local function requirement(v)
  local by_code = { frame = "FRAME-002", limit = "LIMIT-006", state = "FRAME-002", value = "VALUE-001",
    schema = "VALUE-012", credit = "CREDIT-007", version = "HELLO-011", echo = "HELLO-007" }
  if v.violation then return by_code[v.violation] end
  return "FRAME-001"
end

local function expect(t, link, v, bytes, names)
  if v.violation then
    link:violation(v.violation, names and last_context(bytes) or nil, requirement(v))
  elseif v.name:find("^bye") then
    link:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
    if v.name == "bye-context-left" then return end
    link:await_eof("LINK-010")
    link:close()
  else
    link:barrier()
    t:check(requirement(v), not link:first_bye(), "the vector accepted", "BYE")
    if answers[v.name] then answers[v.name](link) end
    link.loose = true
  end
end

-- A violation on a context has to be named; at the header of a frame that has no context it is 0.
local function names_context(v) return v.violation and last_context(v.bytes) < 1 << 53 end

-- Writing ------------------------------------------------------------------------------------------

local function write_bytewise(link, bytes)
  link.chop = 1
  link:say(bytes)
  link.chop = nil
end

-- From the connector: on a link that the suite dials ------------------------------------------------

local function mend(v, parent)
  if v.name ~= "hello-echo" then return v.bytes end
  local id = parent.peer.actor
  return frame.pack { kind = "HELLO", payload = value.encode(map { copse = { 1, 1 }, actor = id }) }
end

local function dial_and_prepare(t, parent, v, mode)
  local link = t:dial(parent, { raw = true })
  local before = {}
  for _, a in ipairs(chain(v)) do
    if a.from == "connector" then before[#before + 1] = a end
  end
  if mode == "coalesced" then
    -- Nothing but HELLO may precede the peer's HELLO, so that one goes ahead.
    local rest = {}
    for i, a in ipairs(before) do
      if i == 1 then
        link:say(a.bytes)
        link:expect_hello("HELLO-002")
      else
        rest[#rest + 1] = a.bytes
      end
    end
    return link, table.concat(rest)
  end
  for _, a in ipairs(before) do
    link:say(a.bytes)
    if a.name == "hello-connector" then link:expect_hello("HELLO-002") end
  end
  if comes_after(v, "call-return") or comes_after(v, "duplex") and not comes_after(v, "duplex-cancel") then
    link:await_frame(function(f) return f.ctx == 1 and f.name ~= "CREDIT" end, "an answer", "KIND-018")
  end
  return link, ""
end

local function boot(t) return t:boot { listen = true } end

for _, v in ipairs(spec.vectors) do
  if v.from == "connector" then
    local function variant(mode, title, run)
      case {
        id = "vector." .. mode .. "." .. v.name, req = requirement(v), profile = profile_of(v),
        title = "Vector " .. v.name .. ", " .. title, generated = true,
        why = v.note or "SPEC.md promises it, so a peer is held to it.", run = run,
      }
    end
    local function one(mode, write)
      return function(t)
        local parent = boot(t)
        local link, prefix = dial_and_prepare(t, parent, v, mode)
        local bytes = mend(v, parent)
        write(t, parent, link, prefix .. bytes)
        expect(t, link, v, bytes, names_context(v))
        t:alive(parent)
      end
    end
    variant("whole", "in one write", one("whole", function(_, _, link, bytes) link:say(bytes) end))
    variant("bytewise", "byte by byte", one("bytewise", function(_, _, link, bytes)
      write_bytewise(link, bytes)
    end))
    if #chain(v) > 1 then
      variant("coalesced", "in one write with what precedes it",
        one("coalesced", function(_, _, link, bytes) link:say(bytes) end))
    end
    if #v.bytes <= 120 then
      variant("split", "cut in two at every byte", function(t)
        local parent = boot(t)
        for at = 1, #v.bytes - 1 do
          local link = dial_and_prepare(t, parent, v, "whole")
          local bytes = mend(v, parent)
          if at < #bytes then
            -- The monitor sees the frames; the bytes go out in two writes with a barrier on the
            -- other link between them, by when the first half has been read.
            local write = link.write
            link.write = function() end
            link:say(bytes)
            link.write = write
            link:write(bytes:sub(1, at))
            parent:barrier()
            link:write(bytes:sub(at + 1))
            expect(t, link, v, bytes, names_context(v))
          end
          link:close()
        end
        t:alive(parent)
      end)
    end
  end
end

-- From the acceptor: on the link on which the suite is the parent -----------------------------------

-- The testee opens the context `call` on the suite by way of tck.relay.
local function make_call(t, link)
  local upper = link:open("tck.relay", map { target = "tck.echo", args = value.array { 7 } })
  local inner = link:accept("tck.echo", "KIND-018")
  return upper, inner
end

local acceptor_results = {
  ["call-return"] = function(upper) upper:returns(7, "KIND-018") end,
  ["call-error"] = function(upper) upper:errors("failed", "ERROR-005", { message = "no such luck" }) end,
  ["call-refused"] = function(upper) upper:errors("no_target", "ERROR-005") end,
  ["call-unasked"] = function(upper) upper:errors("cancelled", "CANCEL-011") end,
  ["call-unknown-code"] = function(upper) upper:errors("acme.quota", "ERROR-010") end,
  ["value-types"] = function(upper) upper:returns(value.decode(spec.vector["value-types"].bytes:sub(13)), "VALUE-006") end,
  ["value-depth-32"] = function(upper) upper:expect("RETURN", "VALUE-008") end,
}

for _, v in ipairs(spec.vectors) do
  if v.from == "acceptor" and #v.after > 0 and not comes_after(v, "duplex") then
    for _, mode in ipairs { "whole", "bytewise" } do
      case {
        id = "vector." .. mode .. "." .. v.name, req = requirement(v), profile = profile_of(v),
        title = "Vector " .. v.name .. (mode == "whole" and ", in one write" or ", byte by byte"),
        generated = true, why = v.note or "SPEC.md promises it, so a peer is held to it.",
        needs = v.name == "refusal" and "hello" or "boot",
        run = function(t)
          t.actor = root
          local function say(link, bytes)
            if mode == "bytewise" then write_bytewise(link, bytes) else link:say(bytes) end
          end
          if v.name == "refusal" or v.name == "hello-acceptor" then
            local link = t:spawn()
            link:expect_hello()
            say(link, v.bytes)
            if v.name == "hello-acceptor" then
              link:barrier()
            else
              link:await_eof("LINK-015")
            end
            link.violated = true
            return
          end
          local link = t:boot()
          if v.name == "pong" then
            link:say(v.bytes)
            return link:barrier()
          end
          if v.name == "bye-answer" then
            link:bye()
            link:await_frame(function(f) return f.name == "BYE" end, "BYE", "LINK-008")
            link.bye_sent = true
            return
          end
          local upper, inner
          if comes_after(v, "call") or v.name == "call" then upper, inner = make_call(t, link) end
          if comes_after(v, "call-cancel") then
            upper:cancel { by = child, message = "enough", grace = 1000 }
            inner:expect("CANCEL", "CANCEL-012")
          end
          for _, a in ipairs(chain(v)) do
            if a.from == "acceptor" and a.name ~= "hello-acceptor" then
              link:say(inner and on_context(a.bytes, 1, inner.id) or a.bytes)
              if a.name == "call-return" then upper:returns(7, "KIND-018") end
            end
          end
          local bytes = inner and on_context(v.bytes, 1, inner.id) or v.bytes
          say(link, bytes)
          if v.violation then
            link:violation(v.violation, last_context(bytes), requirement(v))
          elseif v.name:find("^bye%-") then
            link:await_eof("LINK-015")
            link.violated = true
          elseif v.name == "call-cancelled" then
            upper:is_cancelled({ origin = "requested" }, "CANCEL-012")
          elseif v.name == "call-started" then
            inner:returns_with(7)
            upper:expect("STARTED", "KIND-018")
            upper:returns(7, "KIND-018")
          else
            if acceptor_results[v.name] then acceptor_results[v.name](upper) end
            link:barrier()
          end
        end,
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
      title = "Vector " .. v.name .. ", said by an acceptor", why = "A connector reads HELLO with the same care.",
      run = function(t)
        local link = t:spawn()
        link:expect_hello()
        link:say(v.bytes)
        link:violation(v.violation, names_context(v) and last_context(v.bytes) or nil, requirement(v))
      end,
    }
  end
end
