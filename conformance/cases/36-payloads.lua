-- SPDX-License-Identifier: MIT
--
-- Chapter 5.2 and the field tables of chapter 7: control maps, field by field. What each may hold,
-- what it may not, keys that nobody knows, keys that come twice, and texts that have to be cut.
local case = ...
local frame = require "frame"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array, raw = value.map, value.array, value.raw
local inner, cancelled_inner, fresh = play.inner, play.cancelled_inner, play.fresh

local function gate(d) return play.gate(d, {}, { send = true }) end
local function none() return { id = 0 } end

local none_given = {}
-- The payload `base` with one field set to another value, or left out.
local function with(base, name, v)
  local list = {}
  for k, x in pairs(base) do
    if k ~= name then list[#list + 1] = { k, x } end
  end
  if v ~= none_given then list[#list + 1] = { name, v } end
  return value.encode(value.pairs(list))
end

local nil_, big = value.null, (1 << 53) - 1
local bare = value.ref(("r"):rep(16), "r", {})
local addressed = value.ref(("r"):rep(16), "r", { "unix:/x" })
local function nested(n, leaf)
  local e = leaf or map { code = "failed", message = "leaf" }
  for _ = 2, n do e = map { code = "group", message = "", causes = array { e } } end
  return e
end
local function many(n)
  local list = {}
  for i = 1, n do list[i] = map { code = "failed", message = tostring(i) } end
  return array(list)
end
local function refs(n)
  local list = {}
  for i = 1, n do list[i] = value.ref(string.pack(">I8I8", i, i), "hop" .. i, {}) end
  return array(list)
end
local count = {
  bad = { -1, 1.0, 0.5, "1", nil_, array { 1 }, true, big + 1, math.maxinteger, math.mininteger },
  good = { 0, 1, big, raw "\xcf\0\0\0\0\0\0\0\1", raw "\xd3\0\0\0\0\0\0\0\1" },
}
local text = {
  bad = { 7, nil_, value.bin "text", array { "text" }, map {}, true },
  good = { "", "text", "a\0b", "\u{e9}\u{1f333}", ("t"):rep(300), raw "\xdb\0\0\0\1t" },
}
local flag = { bad = { 0, 1, "true", nil_, array {} }, good = { true, false } }
local reference = {
  bad = { "r", nil_, 7, value.bin(("r"):rep(16)), array { bare }, map {}, value.ext(2, "x"),
    addressed },
  good = { bare, value.ref(("r"):rep(16), ("n"):rep(64), {}) },
}
local origin = {
  bad = { none_given, "", "bored", "Requested", "requested ", 7, nil_, value.bin "requested" },
  good = { "requested", "error", "deadline", "parent", "shutdown", "link_lost" },
}
local code = {
  bad = { none_given, "", ("c"):rep(65), 7, nil_, value.bin "none", array {} },
  good = { ("c"):rep(64), "acme.code", "x" },
}
local credit = {
  bad = { array {}, array { 1 }, array { 1, 2, 3 }, array { -1, 1 }, array { 1, -1 },
    array { 1.0, 1 }, array { "1", 1 }, array { nil_, 1 }, array { big + 1, 1 },
    array { 1, big + 1 }, map {},
    map { [0] = 1, [1] = 1 }, 7, "1", true, value.bin "\1\1" },
  good = { array { 0, 0 }, array { big, big }, raw "\xdc\0\2\1\1" },
}

-- base: a valid payload. on: the context. twin: what good values are sent with, if not the same.
local tables = {
  OPEN = { on = fresh, base = { target = "tck.gate", args = map { key = "k" } }, fields = {
    target = { bad = { none_given, "", ("t"):rep(256), 7, nil_, value.bin "tck.gate",
      array { "x" } },
      good = { "t", ("t"):rep(255), "t\u{e9}\0x", raw "\xda\0\1t" } },
    args = { bad = { 7, nil_, "k", true, 1.5, value.bin "k", bare, value.ext(-1, "1234") },
      good = { array { "k" }, map { key = "k", other = 1 }, map { key = "k", [1] = 2 },
        raw "\xdf\0\0\0\1\xa3key\xa1k", raw "\xdd\0\0\0\1\xa1k" } },
    send = flag, credit = { bad = credit.bad, good = credit.good, profile = "stream" },
    deadline = { bad = count.bad, good = { 60000, big, raw "\xce\0\0\xff\xff" } },
      traceparent = text,
    meta = { bad = { array {}, array { 1 }, 7, nil_, "m", map { [1] = 2 }, value.bin "" },
      good = { map {}, map { tenant = "a", n = map { [1] = 2 } }, raw "\xdf\0\0\0\1\xa1k\xa1v" } },
  } },
  CANCEL = { on = gate, base = { origin = "requested" }, fields = {
    origin = origin, by = reference, message = text, grace = count,
  } },
  BYE = { on = none, base = { code = "acme.test" }, ends = true, fields = {
    code = code, message = text, context = count, last = count,
  } },
  ERROR = { on = inner, base = { code = "failed", message = "m" }, fields = {
    code = code, message = { bad = { none_given, table.unpack(text.bad) }, good = text.good },
    type = text, stack = text, actor = reference, cancelled = flag,
    via = { bad = { 7, nil_, bare, map {}, array { 7 }, array { "r" }, array { addressed },
      refs(33),
      array { bare, nil_ } }, good = { array {}, array { bare }, refs(32) } },
    causes = {
      bad = { 7, nil_, map {}, array { 7 }, array { map {} }, array { map { code = "failed" } },
        array { map { message = "m" } }, array { map { code = "", message = "m" } },
        array { map { code = "c", message = "m", via = 7 } },
        array { map { code = "c", message = "m", actor = addressed } },
        array { map { code = "c", message = "m", cancelled = 1 } },
        array { map { code = "c", message = "m", causes = array { map { code = "c" } } } },
        array { value.pairs { { "code", "c" }, { "message", "m" }, { 7, 7 } } },
        array { nested(9) }, many(65),
        array { map { code = "group", message = "", causes = many(64) } } },
      good = { array {}, array { nested(8) }, many(64),
        array { map { code = "group", message = "", causes = many(63) } },
        array { map { code = "acme.x", message = "m", data = nil_, future = 1, type = "T",
          stack = "s",
          actor = bare, via = refs(32) } } },
    },
  } },
  CANCELLED = { on = cancelled_inner, base = { origin = "requested", ran = true }, fields = {
    origin = origin, ran = { bad = { none_given, 0, 1, "true", nil_ }, good = flag.good },
      by = reference,
    message = text,
  } },
}

local requirement = {
  by = "VALUE-018", actor = "VALUE-018", via = "VALUE-018", causes = "ERROR-008",
}

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

for _, kind in ipairs(sorted(tables)) do
  local tab = tables[kind]
  for _, name in ipairs(sorted(tab.fields)) do
    local field = tab.fields[name]
    local profile = field.profile
    case {
      id = "payload." .. kind .. "." .. name .. ".refused", profile = profile,
      req = { "VALUE-012", requirement[name] },
      title = kind .. " with `" .. name .. "` of a wrong type or range is a violation `schema`",
      why = "A field that is taken for something else is worse than a link that ends.",
      run = function(t)
        local parent = t:boot { listen = true }
        for _, v in ipairs(field.bad) do
          local d = t:dial(parent)
          local shown = v == none_given and "left out" or value.show(v)
          t:log { link = d.name, dir = "*", text = name .. " is " .. shown }
          local c = tab.on(d)
          d:put(kind, c.id, with(tab.base, name, v))
          d:violation("schema", c.id, v == addressed and "VALUE-018" or "VALUE-012")
        end
        t:alive(parent)
      end,
    }
    case {
      id = "payload." .. kind .. "." .. name .. ".accepted",
      req = { "VALUE-012", requirement[name] },
      profile = profile, title = kind .. " with every legal `" .. name .. "` is accepted",
      why = "The valid twins: the edges of a range are inside.",
      run = function(t)
        local parent = t:boot { listen = true }
        for _, v in ipairs(field.good) do
          local d = t:dial(parent)
          t:log { link = d.name, dir = "*", text = name .. " is " .. value.show(v) }
          local c, upper = tab.on(d)
          d:put(kind, c.id, with(tab.base, name, v))
          if tab.ends then
            -- A BYE with a code ends the link, without an answer.
            d:await_eof("LINK-015")
            t:check("VALUE-012", not d:first_bye(), "the BYE accepted", "a BYE in answer")
          else
            d:barrier()
            t:check("VALUE-012", not d:first_bye(), "the payload accepted", "BYE")
            if upper then
              local function above(f) return f.ctx == upper.id and frame.terminal[f.name] end
              local f = d:await_frame(above, "the terminal above", "VALUE-012")
              if name == "code" then t:is("ERROR-010", f.value.code, v, "code") end
            end
          end
          d.loose = true
          d:close()
        end
        t:alive(parent)
      end,
    }
  end
end

case {
  id = "payload.CREDIT.refused", req = "VALUE-012", profile = "stream",
  title = "CREDIT that is not an array of two counts is a violation `schema`",
  why = "Credit is what memory is bounded by.",
  run = function(t)
    local parent = t:boot { listen = true }
    for _, v in ipairs(credit.bad) do
      local d = t:dial(parent)
      t:log { link = d.name, dir = "*", text = "CREDIT " .. value.show(v) }
      local c = d:open("tck.source", map {}, { credit = { 0, 0 } })
      c:expect("STARTED")
      d:put("CREDIT", c.id, value.encode(v))
      d:violation("schema", c.id, "VALUE-012")
    end
    t:alive(parent)
  end,
}

-- Keys --------------------------------------------------------------------------------------------

for _, kind in ipairs(sorted(tables)) do
  local tab, pairs_of = tables[kind], {}
  for _, k in ipairs(sorted(tab.base)) do pairs_of[#pairs_of + 1] = { k, tab.base[k] } end
  local function encoded(...)
    local list = { table.unpack(pairs_of) }
    for _, p in ipairs { ... } do list[#list + 1] = p end
    return value.encode(value.pairs(list))
  end
  local first = pairs_of[1][1]
  pattern.reject(case, {
    id = "payload." .. kind .. ".twice", req = "VALUE-010", code = "schema",
    title = kind .. " with the key `" .. first .. "` twice is a violation `schema`",
    why = "Two readers that keep different ones disagree about what was said.",
    setup = function(_, d) return tab.on(d) end,
    bad = function(_, d, c) d:put(kind, c.id, encoded(pairs_of[1])) end,
  })
  pattern.reject(case, {
    id = "payload." .. kind .. ".twice-other-format", req = "VALUE-010", code = "schema",
    title = kind .. " with `" .. first .. "` twice, in two formats, is a violation `schema`",
    why = "A key is its value, not its bytes.",
    setup = function(_, d) return tab.on(d) end,
    bad = function(_, d, c)
      d:put(kind, c.id, encoded { raw("\xd9" .. string.char(#first) .. first), pairs_of[1][2] })
    end,
  })
  pattern.reject(case, {
    id = "payload." .. kind .. ".twice-unknown", req = "VALUE-010", code = "schema",
    title = kind .. " with an unknown key twice is a violation `schema`",
    why = "The rule is about keys, not about those that are known.",
    setup = function(_, d) return tab.on(d) end,
    bad = function(_, d, c) d:put(kind, c.id, encoded({ "acme.x", 1 }, { "acme.x", 2 })) end,
  })
  pattern.reject(case, {
    id = "payload." .. kind .. ".integer-key", req = "VALUE-012", code = "schema",
    title = kind .. " with an integer as key is a violation `schema`",
    why = "Keys of control maps are str.",
    setup = function(_, d) return tab.on(d) end,
    bad = function(_, d, c) d:put(kind, c.id, encoded { 7, 7 }) end,
  })
  pattern.reject(case, {
    id = "payload." .. kind .. ".no-map", req = "VALUE-012", code = "schema",
    title = kind .. " that is an array is a violation `schema`", why = "It has to be a map.",
    setup = function(_, d) return tab.on(d) end,
    bad = function(_, d, c) d:put(kind, c.id, "\x92\1\2") end,
  })
end

pattern.reject(case, {
  id = "payload.ERROR.twice-in-cause", req = "VALUE-010", code = "schema",
  title = "An error in `causes` with a key twice is a violation `schema`",
  why = "An error is a control map wherever it stands.",
  setup = function(_, d) return inner(d) end,
  bad = function(_, d, c)
    d:put("ERROR", c.id, value.encode(map { code = "group", message = "", causes = array {
      value.pairs { { "code", "failed" }, { "message", "a" }, { "message", "b" } } } }))
  end,
})

pattern.both(case, {
  id = "payload.user-value.twice", req = "VALUE-005",
  title = "A user value with a key twice is nobody's fault, and none that the testee makes has one",
  why = "Nobody need look for it on receipt; what is passed on unread may keep it.",
  run = function(t, d)
    local id = d:new_id()
    d:put("OPEN", id, "\x82\xa6target\xa8tck.echo\xa4args\x91\x82\xa1a\1\xa1a\2")
    local f = d:await_frame(function(f) return f.ctx == id end, "RETURN", "VALUE-005")
    t:check("VALUE-005", f.name == "RETURN" or f.value.code == "bad_args",
      "RETURN, or ERROR `bad_args`",
      frame.show(f))
    f = d:open("tck.stat", map {}):expect("RETURN", "VALUE-005")
    t:check("VALUE-005", f.value and #(f.repeated or {}) == 0, "a map with every key once",
      frame.show(f))
  end,
})

pattern.both(case, {
  id = "payload.sent.references", req = { "VALUE-018", "VALUE-013" },
  title = "References that the testee sends as `by`, `actor` and in `via` have no addresses, and"
    .. " no key is nil",
  why = "They name; nobody dials them. What has no value is left out.",
  boot = {
    listen = true, hello = { actor = value.ref(("s"):rep(16), "suite", { "unix:/suite" }) },
  },
  run = function(t, d)
    local function look(m, where)
      for _, k in ipairs { "by", "actor" } do
        local r = m[k]
        if r ~= nil then
          t:check("VALUE-018", value.is_ref(r) and #r.addresses == 0,
            k .. " without addresses in " .. where,
            value.show(r))
        end
      end
      for i = 1, m.via and m.via.n or 0 do
        t:check("VALUE-018", #m.via[i].addresses == 0, "via without addresses", value.show(m.via))
      end
      for k, v in pairs(m) do
        t:check("VALUE-013", v ~= nil_, "no nil in " .. where, tostring(k) .. " is nil")
      end
    end
    look(d:open("tck.fail", map { code = "acme.x", message = "m" }):errors("acme.x", "VALUE-018"),
      "ERROR")
    local below, upper = inner(d)
    below:fail_with { code = "acme.y", message = "m" }
    look(upper:errors("acme.y", "VALUE-018"), "ERROR")
    -- A cancellation that the testee begins names the testee.
    local n = d:open("tck.nursery",
      map { open = array { map { target = "x.a" }, map { target = "x.b" } } })
    local a, b = d:accept("x.a"), d:accept("x.b")
    n:expect("STARTED")
    a:fail_with { code = "acme.z", message = "m" }
    local f = b:expect("CANCEL", "VALUE-018")
    look(f.value, "CANCEL")
    b:cancelled_with { origin = "error" }
    look(n:errors("acme.z", "VALUE-018"), "ERROR")
    local c = d:open("tck.echo", map { v = 1 }, { deadline = 0 })
    look(c:is_cancelled({ origin = "deadline" }, "VALUE-018"), "CANCELLED")
  end,
})

-- Texts -------------------------------------------------------------------------------------------

pattern.both(case, {
  id = "payload.text.cancel-cut", req = { "VALUE-014", "CANCEL-012" },
  title = "The message of a CANCEL that is passed on is cut between characters, and not more"
    .. " than it must",
  why = "What the testee adds (grace, by) may push it over 1024 bytes.",
  run = function(t, d)
    for _, pad in ipairs { "", "x", "xx" } do
      local below, upper = inner(d)
      local message = pad
      local spare = 1024 - #value.encode(map { origin = "requested", message = "" }) - 2
      while #message + 3 <= spare do message = message .. "\u{20ac}" end
      upper:cancel { message = message }
      local f = below:expect("CANCEL", "VALUE-014")
      t:check("VALUE-014", f.length <= 1024, "a CANCEL of at most 1024 bytes", f.length .. " bytes")
      local got = f.value.message or ""
      t:check("VALUE-014", utf8.len(got) and message:sub(1, #got) == got,
        "a beginning of the message in whole characters",
        value.show(got))
      t:check("CANCEL-012", f.length > 1024 - 64 - 3 or got == message,
        "as much of the message as fits",
        f.length .. " bytes")
      below:cancelled_with { origin = "requested", message = got }
      local e = upper:is_cancelled({ origin = "requested" })
      t:check("CANCEL-012", e.message == message, "the message whole in CANCELLED",
        #(e.message or "") .. " bytes of " .. #message)
    end
  end,
})

pattern.both(case, {
  id = "payload.text.error-cut", req = { "VALUE-014", "LIMIT-012" },
  title = "The message of an error that is too long for the suite is cut between characters",
  why = "Half a character is no UTF-8, and no UTF-8 is a violation.",
  boot = { hello = { limits = map { frame = 16384, message = 16384 } } },
  run = function(t, d)
    for _, pad in ipairs { "", "x", "xx", "xxx" } do
      local message = pad .. ("\u{1f333}"):rep(6000)
      local e = d:open("tck.fail", map { message = message }, { split = 60000 }):errors("failed",
        "VALUE-014")
      t:check("VALUE-014", #e.message > 12000 and message:sub(1, #e.message) == e.message,
        "a beginning of the message, as long as fits", #e.message .. " bytes")
    end
  end,
})
