-- SPDX-License-Identifier: MIT
--
-- Several errors, and errors too large for the link that they have to cross.
local case = ...
local play = require "play"
local value = require "value"
local map, array = value.map, value.array
local relay, nursery = play.relay, play.nursery

local function codes(e)
  local out = {}
  for i = 1, value.is_array(e.causes) and e.causes.n or 0 do
    out[i] = e.causes[i].code .. ":" .. e.causes[i].message
  end
  return array(out)
end

-- Fails the contexts in this order, those after the first once they have been cancelled.
local function fail_all(inner, order, error_of)
  for n, i in ipairs(order) do
    if n > 1 then inner[i]:expect("CANCEL", "MODEL-004") end
    inner[i]:fail_with(error_of(i))
    inner[i].link:barrier()
  end
end

local function group_case(o)
  case {
    id = "group." .. o.id, req = o.req, title = o.title, why = o.why,
    run = function(t)
      local p = t:boot()
      local upper, inner = nursery(p, o.n)
      o.run(t, p, upper, inner)
    end,
  }
end

local function plain(i) return { code = "acme.e" .. i, message = tostring(i) } end

group_case {
  id = "single", n = 3, req = "ERROR-005",
  title = "One error in a scope is passed on as it is, not as a group",
  why = "What was cancelled because of it is absorbed.",
  run = function(t, _, upper, inner)
    inner[2]:fail_with { code = "acme.e2", message = "2", data = 7 }
    for _, i in ipairs { 1, 3 } do
      inner[i]:expect("CANCEL", "MODEL-004")
      inner[i]:cancelled_with { origin = "error" }
    end
    local e = upper:errors("acme.e2", "ERROR-005", { message = "2", data = 7 })
    t:check("ERROR-005", e.causes == nil or e.causes.n == 0, "no causes", value.show(e))
  end,
}

group_case {
  id = "late-return", n = 2, req = { "ERROR-005", "CANCEL-007" },
  title = "A RETURN after the first error adds nothing to it",
  why = "It is a result that nobody wants any more.",
  run = function(_, _, upper, inner)
    inner[1]:fail_with(plain(1))
    inner[2]:expect("CANCEL", "MODEL-004")
    inner[2]:returns_with(2)
    upper:errors("acme.e1", "ERROR-005")
  end,
}

group_case {
  id = "two", n = 2, req = { "ERROR-006", "ERROR-009", "CANCEL-008" },
  title = "An error, and a second one in the clean-up that it brought about, are a group of both",
  why = "The later one must not hide the earlier.",
  run = function(t, p, upper, inner)
    inner[2]:fail_with { code = "acme.first", message = "a" }
    inner[1]:expect("CANCEL", "MODEL-004")
    inner[1]:fail_with { code = "acme.second", message = "b", cancelled = true }
    local e = upper:errors("group", "ERROR-006")
    t:is("ERROR-006", codes(e), array { "acme.first:a", "acme.second:b" }, "causes")
    t:check("ERROR-003", value.eq(e.causes[1].via, array { t.actor }),
      "the first cause with its via",
      value.show(e.causes[1]))
    t:check("ERROR-002", value.eq(e.actor, value.ref(p.peer.actor.id, p.peer.actor.name, {})),
      "actor: where the group arose", value.show(e))
    t:check("CANCEL-009", not e.cancelled, "no `cancelled`: the group was not cancelled",
      value.show(e))
    t:check("ERROR-005", e.causes[2].cancelled == true, "the second cause says `cancelled`",
      value.show(e.causes[2]))
  end,
}

group_case {
  id = "order", n = 5, req = "ERROR-006",
  title = "The causes of a group stand in the order in which they arose",
  why = "Whoever reads it looks for the first cause first.",
  run = function(t, _, upper, inner)
    fail_all(inner, { 3, 5, 1, 4, 2 }, plain)
    local e = upper:errors("group", "ERROR-006")
    t:is("ERROR-006", codes(e),
      array { "acme.e3:3", "acme.e5:5", "acme.e1:1", "acme.e4:4", "acme.e2:2" }, "causes")
  end,
}

local function group_of(...)
  local list = {}
  for _, m in ipairs { ... } do list[#list + 1] = map { code = "acme.in", message = m } end
  return { code = "group", message = "g", causes = array(list) }
end

group_case {
  id = "flat", n = 3, req = "ERROR-007",
  title = "A group among the causes of a group gives way to its own causes",
  why = "A deep tree would otherwise nest its report deeper than any value may.",
  run = function(t, _, upper, inner)
    inner[1]:fail_with(group_of("a", "b"))
    inner[2]:expect("CANCEL", "MODEL-004")
    inner[2]:fail_with(plain(2))
    inner[2].link:barrier()
    inner[3]:expect("CANCEL", "MODEL-004")
    inner[3]:fail_with(group_of("c"))
    local e = upper:errors("group", "ERROR-006")
    t:is("ERROR-007", codes(e), array { "acme.in:a", "acme.in:b", "acme.e2:2", "acme.in:c" },
      "causes")
  end,
}

group_case {
  id = "flat-alone", n = 2, req = "ERROR-005",
  title = "A group that is the only error is passed on unchanged",
  why = "It is one error.",
  run = function(t, _, upper, inner)
    inner[1]:fail_with(group_of("a", "b"))
    inner[2]:expect("CANCEL", "MODEL-004")
    inner[2]:cancelled_with { origin = "error" }
    local e = upper:errors("group", "ERROR-005", { message = "g" })
    t:is("ERROR-005", codes(e), array { "acme.in:a", "acme.in:b" }, "causes")
  end,
}

group_case {
  id = "cancelled", n = 2, req = { "CANCEL-009", "ERROR-006" },
  title = "A group that arises after a cancellation says `cancelled`",
  why = "The flag is that of the context, not of its causes.",
  run = function(t, p, upper, inner)
    upper:cancel()
    for i = 1, 2 do
      inner[i]:expect("CANCEL", "MODEL-005")
      inner[i]:fail_with(plain(i))
      p:barrier()
    end
    local e = upper:errors("group", "ERROR-006", { cancelled = true })
    t:is("ERROR-006", codes(e), array { "acme.e1:1", "acme.e2:2" }, "causes")
  end,
}

for _, n in ipairs { 64, 70 } do
  group_case {
    id = "number." .. n, n = n, req = "ERROR-008",
    title = n == 64 and "A group holds 64 causes"
      or "Of more than 64 causes the last ones are left out",
    why = "The bound keeps a report from growing with the tree.",
    run = function(t, p, upper, inner)
      inner[1]:fail_with(plain(1))
      for i = 2, n do inner[i]:expect("CANCEL", "MODEL-004") end
      p:cork(function() for i = 2, n do inner[i]:fail_with(plain(i)) end end)
      local e = upper:errors("group", "ERROR-008")
      local have = value.is_array(e.causes) and e.causes.n or 0
      t:check("ERROR-008", have == 64, "64 causes", have .. " causes")
      for i = 1, 64 do t:is("ERROR-006", e.causes[i].code, "acme.e" .. i, "cause " .. i) end
    end,
  }
end

group_case {
  id = "number.inner", n = 2, req = { "ERROR-008", "ERROR-007" },
  title = "Causes of causes count against the 64",
  why = "64 is the number in all.",
  run = function(t, _, upper, inner)
    local function many(prefix)
      local list = {}
      for i = 1, 40 do list[i] = map { code = "c", message = prefix .. i } end
      return { code = "acme.wrapped", message = prefix, causes = array(list) }
    end
    inner[1]:fail_with(many("a"))
    inner[2]:expect("CANCEL", "MODEL-004")
    inner[2]:fail_with(many("b"))
    local e = upper:errors("group", "ERROR-008")
    t:is("ERROR-006", e.causes[1].message, "a", "the first cause")
    t:is("ERROR-008", e.causes[1].causes.n, 40, "causes of the first cause:")
  end,
}

group_case {
  id = "depth", n = 2, req = "ERROR-008",
  title = "A group of errors whose causes nest as deep as they may is cut to the depth allowed",
  why = "One level more would be a violation.",
  run = function(t, _, upper, inner)
    local function nest(depth)
      local e = map { code = "c", message = "d" .. depth }
      for _ = 1, depth do e = map { code = "c", message = "n", causes = array { e } } end
      return e
    end
    inner[1]:fail_with(nest(8))
    inner[2]:expect("CANCEL", "MODEL-004")
    inner[2]:fail_with(nest(8))
    local e = upper:errors("group", "ERROR-008")
    t:is("ERROR-006", e.causes.n, 2, "causes:")
  end,
}

-- Too large ---------------------------------------------------------------------------------------
-- The suite announces the smallest `message` there is, 16384, so that ERRORs have to be cut.

local small = { hello = { limits = map { frame = 16384, message = 16384 } } }
local filler = ("x"):rep(10000)

local function cut_case(o)
  case {
    id = "error.cut." .. o.id, req = { "LIMIT-012", "LIMIT-010" }, title = o.title,
    why = "The code must arrive; what can be spared is dropped in a fixed order, and no more than "
      .. "needed.",
    run = function(t)
      local p = t:boot(small)
      local upper, inner = relay(p)
      -- The testee's own limits are the default ones, so it takes all of it.
      inner:fail_with(o.given)
      local e = upper:errors("acme.big", "LIMIT-012")
      for _, k in ipairs(o.kept) do
        t:check("LIMIT-012", value.eq(e[k], o.given[k]), k .. " kept", k .. " " .. value.show(e[k]))
      end
      for _, k in ipairs(o.dropped) do
        t:check("LIMIT-012", e[k] == nil or k == "via" and e.via.n <= 1, k .. " dropped", k .. " "
          .. value.show(e[k]))
      end
      if o.check then o.check(t, e) end
    end,
  }
end

local function cause(text) return array { map { code = "c", message = text } } end
local function via(n)
  local list = {}
  for i = 1, n do list[i] = value.ref(("\x40"):rep(15) .. string.char(i), ("n"):rep(64), {}) end
  return array(list)
end

cut_case {
  id = "nothing", title = "An error that fits is not cut",
  given = { code = "acme.big", message = "m", stack = ("s"):rep(4000), data = ("d"):rep(4000),
    causes = cause(("c"):rep(4000)) },
  kept = { "message", "stack", "data", "causes" }, dropped = {},
}
cut_case {
  id = "stack", title = "The stack goes first",
  given = { code = "acme.big", message = "m", stack = filler, data = filler, causes = cause("c") },
  kept = { "message", "data", "causes" }, dropped = { "stack" },
}
cut_case {
  id = "data", title = "After the stack, the data",
  given = { code = "acme.big", message = "m", stack = filler, data = filler .. filler,
    causes = cause("c") },
  kept = { "message", "causes" }, dropped = { "stack", "data" },
}
cut_case {
  id = "causes", title = "After the data, the causes",
  given = { code = "acme.big", message = "m", stack = filler, data = filler, causes = cause(filler
    .. filler), via = via(3) },
  kept = { "message" }, dropped = { "stack", "data", "causes" },
  check = function(t, e) t:is("LIMIT-012", e.via and e.via.n, 4, "entries in via:") end,
}
cut_case {
  id = "via", title = "After the causes, the path",
  given = { code = "acme.big", message = ("m"):rep(15500), stack = "s", data = 1,
    causes = cause("c"), via = via(20) },
  kept = { "message" }, dropped = { "stack", "data", "causes", "via" },
}
cut_case {
  id = "message", title = "At last the message is shortened, at a character boundary",
  given = { code = "acme.big", message = ("\u{1F333}"):rep(10000), stack = "s", data = 1 },
  kept = {}, dropped = { "stack", "data", "causes", "via" },
  check = function(t, e)
    t:check("VALUE-014", #e.message > 8000 and #e.message % 4 == 0
      and e.message == ("\u{1F333}"):rep(#e.message // 4), "as much of the message as fits",
        #e.message .. " bytes")
  end,
}

case {
  id = "error.cut.own", req = { "LIMIT-012", "VALUE-014" },
  title = "An error of the testee's own is cut to the peer's `message` like any other",
  why = "The limit is the receiver's.",
  run = function(t)
    local p = t:boot(small)
    -- Too large for one message of the suite, but not for the testee.
    local e = p:open("tck.fail", map { code = "acme.big", message = "m", data = filler .. filler })
      :errors("acme.big", "LIMIT-012", { message = "m" })
    t:check("LIMIT-012", e.data == nil, "data dropped", value.show(e))
    e = p:open("tck.fail", map { code = "acme.big",
      message = ("\u{e9}"):rep(20000) }):errors("acme.big", "LIMIT-012")
    t:check("VALUE-014", #e.message > 8000 and e.message == ("\u{e9}"):rep(#e.message // 2),
      "as much of the message as fits", #e.message .. " bytes")
  end,
}

case {
  id = "error.too-large.return", req = { "LIMIT-011", "LIMIT-010" },
  title = "A result that exceeds the peer's `message` becomes ERROR too_large",
  why = "The context must end with something.",
  run = function(t)
    local p = t:boot(small)
    p:open("tck.echo", map { v = ("v"):rep(16000) }):returns(("v"):rep(16000), "LIMIT-010")
    p:open("tck.echo", map { v = filler .. filler }):errors("too_large", "LIMIT-011")
    t:alive(p)
  end,
}

case {
  id = "error.too-large.started", req = { "LIMIT-011", "LIMIT-010" },
  title = "A STARTED value that exceeds the peer's `message` is not sent: the context ends "
    .. "otherwise",
  why = "ERROR too_large, unless the handler has another answer.",
  run = function(t)
    local p = t:boot(small)
    local c = p:open("tck.echo", map { v = 1, started = filler .. filler })
    local f = c:expect({ "ERROR", "RETURN" }, "LIMIT-011")
    if f.name == "ERROR" then t:is("LIMIT-011", f.value.code, "too_large", "code") end
    t:alive(p)
  end,
}

case {
  id = "error.too-large.open", req = "LIMIT-010",
  title = "An OPEN that exceeds the peer's `message` is not sent: the caller gets `too_large`",
  why = "Nothing is begun that the peer would have to refuse.",
  run = function(t)
    local p = t:boot(small)
    local c = p:open("tck.relay", map { target = "x.below", args = array { filler .. filler } })
    c:errors("too_large", "LIMIT-010")
    p:nothing(nil, "LIMIT-010")
  end,
}

case {
  id = "error.too-large.passed", req = "LIMIT-011",
  title = "A result from below that does not fit the link above becomes too_large above",
  why = "Each link has its own limits.",
  run = function(t)
    local p = t:boot { listen = true }
    local d = t:dial(p, { hello = { limits = map { frame = 16384, message = 16384 } } })
    local upper = d:open("tck.relay", map { target = "x.below" })
    d:accept("x.below"):returns_with(filler .. filler)
    upper:errors("too_large", "LIMIT-011")
  end,
}
