-- SPDX-License-Identifier: MIT
--
-- Chapter 5: the values. Every MessagePack format that can hold one is read, every type comes back
-- as what it was, and what is no value ends the link, wherever it stands.
local case = ...
local Context = require "context"
local pattern = require "pattern"
local play = require "play"
local value = require "value"
local map, array, raw = value.map, value.array, value.raw
local gate, inner, cancelled_inner = play.gate, play.inner, play.cancelled_inner

local function bytes_of(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

-- Floats by their bits: -0.0 and 0.0 differ, all NaN are one.
local function same(a, b)
  if math.type(a) == "float" and math.type(b) == "float" and a == a then
    return string.pack(">d", a) == string.pack(">d", b)
  end
  return value.eq(a, b)
end

-- What comes back ---------------------------------------------------------------------------------

local function echoes(t, d, bytes, req)
  local wanted, problem = value.decode(bytes)
  if wanted == nil then error(problem) end
  local payload = value.encode(map { target = "tck.echo", args = map { v = raw(bytes) } })
  local sizes = { false, math.max(1, #payload // 300), #payload // 2 + 1 }
  for _, size in ipairs(sizes) do
    local id = d:new_id()
    local f = { "OPEN", id, payload = payload }
    if size or #payload > 60000 then d:send_split(f, size or 60000) else d:send(f) end
    local got = Context.new(d, id, true):expect("RETURN", req)
    t:check(req, same(got.value, wanted), "RETURN " .. value.show(wanted) .. " for h'"
      .. value.hex(bytes, 40) .. "'", "RETURN " .. value.show(got.value))
  end
end

local function accepts(id, title, list, req)
  pattern.both(case, {
    id = "value." .. id, req = req or "VALUE-006", title = title .. " come back as what they were",
    why = "A type that changes on the way is a fault that is found in production.",
    run = function(t, d)
      for _, item in ipairs(list) do echoes(t, d, item, req or "VALUE-006") end
    end,
  })
end
local function hexes(text)
  local out = {}
  for word in text:gmatch("[^,]+") do out[#out + 1] = bytes_of(word) end
  return out
end

accepts("nil-bool", "nil and the booleans, in arrays and maps too", hexes [[
  c0, c2, c3, 93 c0 c2 c3, 82 a1 61 c0 a1 62 c2, 91 c0, 92 c0 c0, 93 01 c0 c0]])
accepts("fixint", "The integers of one byte", hexes "00, 01, 7f, e0, ff")
accepts("uint", "Unsigned integers at the edges of each format, the shortest or not", hexes [[
  cc 00, cc 7f, cc 80, cc ff, cd 00 00, cd 00 ff, cd 01 00, cd ff ff, ce 00 00 00 00,
    ce 00 00 00 7f,
  ce 00 01 00 00, ce ff ff ff ff, cf 00 00 00 00 00 00 00 00, cf 00 00 00 00 ff ff ff ff,
  cf 00 00 00 01 00 00 00 00, cf 00 1f ff ff ff ff ff ff, cf 00 20 00 00 00 00 00 00,
  cf 00 20 00 00 00 00 00 01, cf 7f ff ff ff ff ff ff ff]])
accepts("int", "Signed integers at the edges of each format, the shortest or not", hexes [[
  d0 00, d0 7f, d0 80, d0 df, d0 e0, d0 ff, d1 00 00, d1 7f ff, d1 80 00, d1 ff 7f, d1 ff ff,
  d2 00 00 00 00, d2 7f ff ff ff, d2 80 00 00 00, d2 ff ff 7f ff, d2 ff ff ff ff,
  d3 00 00 00 00 00 00 00 00, d3 7f ff ff ff ff ff ff ff, d3 80 00 00 00 00 00 00 00,
  d3 ff df ff ff ff ff ff ff, d3 ff ff ff ff 7f ff ff ff, d3 ff ff ff ff ff ff ff ff]])
accepts("float64", "Floats of 64 bits, zeros of both signs, infinities, NaN and whole numbers",
  hexes [[
  cb 00 00 00 00 00 00 00 00, cb 80 00 00 00 00 00 00 00, cb 3f f0 00 00 00 00 00 00,
  cb bf f0 00 00 00 00 00 00, cb 3f b9 99 99 99 99 99 9a, cb 00 00 00 00 00 00 00 01,
  cb 7f ef ff ff ff ff ff ff, cb 43 40 00 00 00 00 00 00, cb 43 f0 00 00 00 00 00 00,
  cb 7f f0 00 00 00 00 00 00, cb ff f0 00 00 00 00 00 00, cb 7f f8 00 00 00 00 00 00,
  cb ff f8 00 00 00 00 00 01]])
accepts("float32", "Floats of 32 bits, widened,", hexes [[
  ca 00 00 00 00, ca 80 00 00 00, ca 3f 80 00 00, ca 3f c0 00 00, ca 3d cc cc cd, ca 00 00 00 01,
  ca 7f 7f ff ff, ca 7f 80 00 00, ca ff 80 00 00, ca 7f c0 00 00]])
accepts("str-formats", "Strings in every format, the shortest or not,", {
  "\xa0", "\xa1a", "\xbf" .. ("f"):rep(31), "\xd9\0", "\xd9\1a", "\xd9\x20" .. ("g"):rep(32),
  "\xd9\xff" .. ("h"):rep(255), "\xda\0\0", "\xda\0\1a", "\xda\1\0" .. ("i"):rep(256),
    "\xdb\0\0\0\0",
  "\xdb\0\0\0\1a", "\xda\xff\xff" .. ("j"):rep(65535), "\xdb\0\1\0\0" .. ("k"):rep(65536),
})
accepts("str-utf8", "Strings with the first and last character of each length, U+0000 included,",
  hexes [[
  a1 00, a3 61 00 62, a1 7f, a2 c2 80, a2 df bf, a3 e0 a0 80, a3 ed 9f bf, a3 ee 80 80, a3 ef bf bd,
  a3 ef bf be, a3 ef bf bf, a3 ef bb bf, a4 f0 90 80 80, a4 f4 8f bf bf, a4 f0 9f 8c b3,
  a3 e2 80 ae, a2 c2 85, a4 1b 5b 32 4a]], "VALUE-002")
accepts("bin", "Bins in every format, bytes that are no UTF-8 and none at all,", {
  "\xc4\0", "\xc4\1\xff", "\xc4\3\xed\xa0\x80", "\xc4\xff" .. ("\x80"):rep(255), "\xc5\0\0",
    "\xc5\0\1a",
  "\xc5\1\0" .. ("\0"):rep(256), "\xc6\0\0\0\0", "\xc6\0\0\0\1a",
    "\xc6\0\1\0\0" .. ("\xc1"):rep(65536),
})
accepts("array", "Arrays in every format, empty ones included,", {
  "\x90", "\x91\x90", "\x9f" .. ("\1"):rep(15), "\xdc\0\0", "\xdc\0\1\1",
    "\xdc\0\x10" .. ("\2"):rep(16),
  "\xdd\0\0\0\0", "\xdd\0\0\0\2\1\2", "\xdc\xff\xff" .. ("\3"):rep(65535),
  "\xdd\0\1\0\0" .. ("\xc0"):rep(65536),
})
accepts("map", "Maps in every format, empty ones included,", {
  "\x80", "\x81\xa0\x80", "\xde\0\0", "\xde\0\1\xa1a\1", "\xdf\0\0\0\0", "\xdf\0\0\0\1\xa1a\1",
  "\x81\xd9\1a\1", "\x81\xdb\0\0\0\1a\xc0",
  value.encode(map((function()
    local m = {}
    for i = 1, 300 do m["k" .. i] = i end
    return m
  end)())),
})
accepts("map-keys", "Maps with integers as keys, beside strings that look the same,", {
  "\x81\0\1", "\x81\xff\1", "\x83\0\1\xff\2\xa1k\3", "\x82\1\xa1a\xa1" .. "1\xa1b", "\x81\xcc\1\7",
  "\x81\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\1", "\x81\xd3\x80\0\0\0\0\0\0\0\1",
  "\x83\1\1\2\2\3\3", "\x82\xd3\0\0\0\0\0\0\0\5\1\6\2", "\x82\0\xc2\1\xc3",
}, "VALUE-004")
accepts("timestamp", "Timestamps of each size, whatever their content,", hexes [[
  d6 ff 00 00 00 00, d6 ff ff ff ff ff, d7 ff 00 00 00 00 00 00 00 00,
    d7 ff ff ff ff ff ff ff ff ff,
  c7 04 ff 5f b8 f0 c0, c7 08 ff ff ff ff ff ff ff ff ff,
    c7 0c ff 00 00 00 00 7f ff ff ff ff ff ff ff,
  c7 0c ff ff ff ff ff ff ff ff ff ff ff ff ff, c8 00 04 ff 00 00 00 01,
    c9 00 00 00 0c ff 00 00 00 00
  00 00 00 00 00 00 00 00]])

local exts = {}
for _, type_ in ipairs { 0, 2, 31, 32, 42, 127, -2, -64, -128 } do
  for _, size in ipairs { 0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 255, 256 } do
    exts[#exts + 1] = value.encode(value.ext(type_, ("\xc1"):rep(size)))
  end
  exts[#exts + 1] = string.pack(">BI2bB", 0xc8, 1, type_, 7)
  exts[#exts + 1] = string.pack(">BI4bB", 0xc9, 1, type_, 7)
  exts[#exts + 1] = string.pack(">BBbB", 0xc7, 1, type_, 7)
end
exts[#exts + 1] = value.encode(value.ext(42, ("e"):rep(70000)))
accepts("ext", "Other ext of every type and format, bytes that are no value inside,", exts)

local id16 = ("r"):rep(16)
local function ref(name, addresses) return value.encode(value.ref(id16, name, addresses or {})) end
local function ref_of(payload, head)
  return (head or string.pack("BB", 0xc7, #payload)) .. "\1" .. payload
end
local eight = {}
for i = 1, 8 do eight[i] = "unix:/" .. i end
local plain = "\x93\xc4\x10" .. id16 .. "\xa1n\x90"
accepts("ref", "References with names and addresses of every size", {
  ref("n"), ref(("n"):rep(64)), ref("n\u{e9}\u{1f333} x"), ref("a b"), ref("\u{a0}"),
  ref("n", { "unix:/run/a" }), ref("n", { "tcp:[::1]:7000", "unix:/a", "tcp:host:1",
    "tcp:10.0.0.1:65535" }),
  ref("n", eight), ref("n", { "unix:/" .. ("p"):rep(114) }),
  ref_of(plain, string.pack(">BI2", 0xc8, #plain)),
  ref_of(plain, string.pack(">BI4", 0xc9, #plain)),
  ref_of("\xdc\0\3\xc5\0\x10" .. id16 .. "\xd9\1n\xdc\0\0"),
  ref_of("\xdd\0\0\0\3\xc6\0\0\0\x10" .. id16 .. "\xdb\0\0\0\1n\xdd\0\0\0\0"),
})

pattern.both(case, {
  id = "value.ref.addresses", req = "VALUE-016",
  title = "A reference with addresses in no known form is a reference all the same",
  why = "A later version has forms that this one does not.",
  run = function(t, d)
    for _, list in ipairs {
      { "" }, { "unix:" }, { "unix:relative" }, { "tcp:" }, { "tcp:h" }, { "tcp:h:0" },
        { "tcp:h:65536" },
      { "tcp:h:x" }, { "quic:host:1" }, { "x" }, { ("y"):rep(2000) }, { "unix:/a\0b" },
        { "tcp:[::1:7" },
      { "nonsense", "unix:/good", "more nonsense" },
    } do
      local v = d:call("tck.echo", map { v = value.ref(id16, "n", list) }, "VALUE-016")
      t:check("VALUE-016", value.is_ref(v) and v.id == id16 and v.name == "n", "the reference back",
        value.show(v))
      local has = list[2] == nil
      for _, a in ipairs(v.addresses) do has = has or a == "unix:/good" end
      t:check("VALUE-016", has, "its usable address kept", value.show(v))
    end
  end,
})

pattern.both(case, {
  id = "value.all-at-once", req = "VALUE-006",
  title = "A value of all types passes a relay unchanged as args, STARTED, RETURN and data of an"
    .. " error",
  why = "An actor between two others must not lose what it does not understand.",
  run = function(t, d)
    local v = array {
      value.null, true, 7, -7, 2 ^ 53 | 0, 0.5, 1.0, "s", value.bin "s", array {}, map {},
        map { a = array { 1 } },
      value.pairs { { 1, "int" }, { "1", "str" } }, value.ext(-1, ("t"):rep(8)), value.ext(9, "e"),
      value.ref(id16, "n", { "unix:/x" }),
    }
    local wanted = assert(value.decode(value.encode(v)))
    local upper = d:open("tck.relay", map { target = "x.in", args = v })
    local below = d:accept("x.in")
    t:is("VALUE-006", below.args, wanted, "args")
    below:started(v)
    t:is("VALUE-006", upper:expect("STARTED").value, wanted, "STARTED")
    below:returns_with(v)
    upper:returns(wanted, "VALUE-006")
    below, upper = inner(d)
    below:fail_with { code = "failed", message = "m", data = v }
    upper:errors("failed", "VALUE-006", { data = wanted })
  end,
})

pattern.both(case, {
  id = "value.items", req = "VALUE-006", profile = "stream",
  title = "Items of every type come back as what they were, whole and in fragments",
  why = "An item is a value like any other.",
  run = function(_, d)
    local list = { "\xc0", "\xc3", "\xd0\5", "\xcb\x3f\xf0\0\0\0\0\0\0", "\xd9\1a", "\xc4\1\xff",
      "\x90", "\x80",
      "\x81\0\1", "\xd6\xff\0\0\0\1", "\xc7\0\5", ref("n") }
    local c = d:open("tck.duplex", map {}, { send = true, credit = { 100, 10000 } })
    c:expect("STARTED")
    local n = 0
    for _, bytes in ipairs(list) do
      for _, split in ipairs { false, 1 } do
        n = n + 1
        c:await_credit(n, "CREDIT-001")
        c:send("ITEM", nil, { payload = bytes, split = split and #bytes > 1 and split or nil })
        c:gives(assert(value.decode(bytes)), "VALUE-006")
      end
    end
    c:finish()
    c:expect("END")
    c:returns(n)
  end,
})

pattern.both(case, {
  id = "value.sent.float64", req = "VALUE-007",
  title = "Floats are written as binary64, and never as integers",
  why = "1.0 that becomes 1 has changed its type.",
  run = function(t, d)
    for _, bytes in ipairs { "\xca\x3f\xc0\0\0", "\xcb\x3f\xf0\0\0\0\0\0\0", "\xca\0\0\0\0" } do
      local c = d:open("tck.echo", map { v = raw(bytes) })
      local f = c:expect("RETURN")
      local payload = f.whole or f.payload
      t:note("VALUE-007", payload:byte() == 0xcb, "a float of 64 bits",
        "h'" .. value.hex(payload) .. "'")
    end
  end,
})

-- What is no value --------------------------------------------------------------------------------
-- Each as an element of `args`, whole and in fragments. The requirement is the one that it breaks.

local function nest(n, innermost) return ("\x91"):rep(n) .. (innermost or "\0") end
local bad = {
  { "reserved", "VALUE-001", "\xc1" }, { "cut-int8", "VALUE-001", "\xd0", cut = true },
  { "cut-uint64", "VALUE-001", "\xcf\0\0\0\0\0\0\0", cut = true },
  { "cut-float", "VALUE-001", "\xcb\0\0\0\0\0\0\0", cut = true },
  { "cut-str", "VALUE-001", "\xa5abcd", cut = true }, { "cut-bin", "VALUE-001", "\xc4\5abcd",
    cut = true },
  { "cut-array", "VALUE-001", "\x92\1", cut = true }, { "cut-map", "VALUE-001", "\x81\xa1a",
    cut = true },
  { "cut-ext", "VALUE-001", "\xd5\5a", cut = true }, { "cut-length", "VALUE-001", "\xdb\0\0\0",
    cut = true },
  { "bomb-array32", "VALUE-001", "\xdd\xff\xff\xff\xff" }, { "bomb-array16", "VALUE-001",
    "\xdc\xff\xff" },
  { "bomb-map32", "VALUE-001", "\xdf\xff\xff\xff\xff" }, { "bomb-map-half", "VALUE-001",
    "\xdf\x7f\xff\xff\xff" },
  { "bomb-map16", "VALUE-001", "\xde\xff\xff" }, { "bomb-str32", "VALUE-001",
    "\xdb\xff\xff\xff\xff" },
  { "bomb-bin32", "VALUE-001", "\xc6\xff\xff\xff\xff" }, { "bomb-ext32", "VALUE-001",
    "\xc9\xff\xff\xff\xff\5" },
  { "bomb-array-signed", "VALUE-001", "\xdd\x80\0\0\0" }, { "bomb-nested", "VALUE-001",
    ("\xdd\xff\xff\xff\xff"):rep(20) },
  { "utf8-lone", "VALUE-002", "\xa1\x80" }, { "utf8-ff", "VALUE-002", "\xa1\xff" },
  { "utf8-short", "VALUE-002", "\xa2\xe2\x82" }, { "utf8-overlong2", "VALUE-002", "\xa2\xc0\x80" },
  { "utf8-overlong2b", "VALUE-002", "\xa2\xc1\xbf" }, { "utf8-overlong3", "VALUE-002",
    "\xa3\xe0\x9f\xbf" },
  { "utf8-overlong4", "VALUE-002", "\xa4\xf0\x8f\xbf\xbf" },
  { "utf8-surrogate-low", "VALUE-002", "\xa3\xed\xa0\x80" },
  { "utf8-surrogate-high", "VALUE-002", "\xa3\xed\xbf\xbf" },
  { "utf8-beyond", "VALUE-002", "\xa4\xf4\x90\x80\x80" }, { "utf8-f5", "VALUE-002",
    "\xa4\xf5\x80\x80\x80" },
  { "utf8-five", "VALUE-002", "\xa5\xf8\x88\x80\x80\x80" }, { "utf8-split", "VALUE-002",
    "\xa3a\xc3b" },
  { "utf8-long", "VALUE-002", "\xd9\x40" .. ("a"):rep(63) .. "\xc3" },
  { "utf8-key", "VALUE-002", "\x81\xa1\xff\1" },
  { "uint64", "VALUE-003", "\xcf\x80\0\0\0\0\0\0\0" }, { "uint64-max", "VALUE-003",
    "\xcf" .. ("\xff"):rep(8) },
  { "uint64-key", "VALUE-003", "\x81\xcf" .. ("\xff"):rep(8) .. "\1" },
  { "key-nil", "VALUE-004", "\x81\xc0\1" }, { "key-bool", "VALUE-004", "\x81\xc3\1" },
  { "key-float", "VALUE-004", "\x81\xcb\x3f\xf0\0\0\0\0\0\0\1" }, { "key-float32", "VALUE-004",
    "\x81\xca\0\0\0\0\1" },
  { "key-bin", "VALUE-004", "\x81\xc4\1a\1" }, { "key-array", "VALUE-004", "\x81\x90\1" },
  { "key-map", "VALUE-004", "\x81\x80\1" }, { "key-ext", "VALUE-004", "\x81\xd4\5\0\1" },
  { "key-ref", "VALUE-004", "\x81" .. ref("n") .. "\1" }, { "key-second", "VALUE-004",
    "\x82\xa1a\1\xc2\1" },
  { "time-0", "VALUE-001", "\xc7\0\xff" }, { "time-1", "VALUE-001", "\xd4\xff\0" },
  { "time-2", "VALUE-001", "\xd5\xff\0\0" }, { "time-5", "VALUE-001", "\xc7\5\xff12345" },
  { "time-16", "VALUE-001", "\xd8\xff" .. ("\0"):rep(16) },
  { "ref-none", "VALUE-015", "\xc7\0\1" }, { "ref-nil", "VALUE-015", "\xd4\1\xc0" },
  { "ref-map", "VALUE-015", "\xd4\1\x80" }, { "ref-two", "VALUE-015",
    ref_of("\x92\xc4\x10" .. id16 .. "\xa1n") },
  { "ref-four", "VALUE-015", ref_of("\x94\xc4\x10" .. id16 .. "\xa1n\x90\xc0") },
  { "ref-trailing", "VALUE-015", ref_of(plain .. "\xc0") }, { "ref-cut", "VALUE-015",
    ref_of(plain:sub(1, -2)) },
  { "ref-id-15", "VALUE-015", ref_of("\x93\xc4\x0f" .. id16:sub(2) .. "\xa1n\x90") },
  { "ref-id-17", "VALUE-015", ref_of("\x93\xc4\x11" .. id16 .. "x\xa1n\x90") },
  { "ref-id-str", "VALUE-015", ref_of("\x93\xb0" .. id16 .. "\xa1n\x90") },
  { "ref-name-empty", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa0\x90") },
  { "ref-name-65", "VALUE-015",
    ref_of("\x93\xc4\x10" .. id16 .. "\xd9\x41" .. ("n"):rep(65) .. "\x90") },
  { "ref-name-bin", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xc4\1n\x90") },
  { "ref-name-utf8", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1\xff\x90") },
  { "ref-name-nul", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1\0\x90") },
  { "ref-name-escape", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa2a\x1b\x90") },
  { "ref-name-del", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1\x7f\x90") },
  { "ref-name-c1", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa2\xc2\x9f\x90") },
  { "ref-nine", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1n\x99" .. ("\xa1x"):rep(9)) },
  { "ref-address-int", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1n\x91\7") },
  { "ref-addresses-str", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1n\xa1x") },
  { "ref-addresses-nil", "VALUE-015", ref_of("\x93\xc4\x10" .. id16 .. "\xa1n\xc0") },
  { "depth-33", "VALUE-008", nest(32) }, { "depth-33-map", "VALUE-008",
    ("\x81\xa1a"):rep(32) .. "\0" },
  { "depth-100", "VALUE-008", nest(99) }, { "depth-9000", "VALUE-008", nest(9000) },
  { "depth-mixed", "VALUE-008", ("\x91\x81\0"):rep(16) .. "\0" },
  { "depth-last", "VALUE-008", "\x92" .. nest(31) .. nest(32) },
}

for _, b in ipairs(bad) do
  local name, req, bytes = b[1], b[2], b[3]
  pattern.reject(case, {
    id = "value.bad." .. name, req = { req, "VALUE-001" }, code = "value",
    title = "An argument that is h'" .. value.hex(bytes, 16) .. "' is a violation `value`",
    why = "One decoder that lets it pass, and two peers disagree about what was said.",
    setup = function(_, d) return { id = d:new_id() } end,
    bad = function(_, d, c)
      d:put("OPEN", c.id, "\x82\xa6target\xa8tck.echo\xa4args\x91" .. bytes)
    end,
  })
end

-- The count of what follows in a message is not known before its last fragment; neither is the end.
case {
  id = "value.bad.in-fragments", req = { "VALUE-001", "FRAME-023" },
  title = "What is no value in one frame is none in fragments of one byte either",
  why = "A decoder that reads from fragments counts differently at their borders.",
  run = function(t)
    local parent = t:boot { listen = true }
    for _, b in ipairs(bad) do
      local payload = "\x82\xa6target\xa8tck.echo\xa4args\x91" .. b[3]
      local d = t:dial(parent)
      d:barrier()
      t:log { link = d.name, dir = "*", text = b[1] }
      local id, step = d:new_id(), #payload > 300 and 900 or 1
      for at = 1, #payload, step do
        d:put("OPEN", id, payload:sub(at, at + step - 1), { more = at + step <= #payload })
      end
      d:violation("value", id, b[2])
    end
    t:alive(parent)
  end,
}

-- Where a value may stand -------------------------------------------------------------------------
-- Every place of every payload: what is accepted there at depth 32, and what is not a value there.
-- `above`: arrays and maps that are counted and stand around the value. `send` returns the context.

local function text_map(extra, rest)
  local list = {}
  for k, v in pairs(rest or {}) do
    if extra[k] == nil then list[#list + 1] = { k, v } end
  end
  for k, v in pairs(extra) do list[#list + 1] = { k, v } end
  return value.encode(value.pairs(list))
end
local open_rest = { target = "tck.gate", args = map { key = "k" } }
local function on_new(extra)
  return function(d, v)
    local id = d:new_id()
    d:put("OPEN", id, text_map(extra(v), open_rest))
    return id
  end
end
local function on(make, kind, payload)
  return function(d, v)
    local c = make(d)
    d:put(kind, c.id, payload(v))
    return c.id
  end
end
local hello_rest = { copse = array { 1, 1 }, actor = value.ref(("h"):rep(16), "h", {}) }
local failed = { code = "failed", message = "" }
local places = {
  { "ping", above = 0, send = function(d, v) d:put("PING", 0, v) return 0 end,
    accepted = function(t, d)
      t:await(function() return d.pongs[1] or d.eof end, "PONG", "VALUE-008")
    end },
  { "pong", above = 0, send = function(d, v) d:put("PONG", 0, v) return 0 end },
  { "args", above = 1, send = on_new(function(v)
    return { args = map { key = "k", x = raw(v) } }
  end) },
  { "args-positional", above = 1, send = on_new(function(v)
    return { args = array { "k", raw(v), 3 } }
  end) },
  { "meta", above = 1, send = on_new(function(v) return { meta = map { x = raw(v) } } end) },
  { "open-unknown", above = 0, send = on_new(function(v) return { ["acme.x"] = raw(v) } end) },
  { "cancel-unknown", above = 0, send = on(gate, "CANCEL", function(v)
    return text_map({ x = raw(v) }, { origin = "requested" })
  end) },
  { "item", above = 0, profile = "stream", send = on(function(d)
    local c = d:open("tck.sink", map { window = array { 4, 65536 }, hold = "k" }, { send = true })
    c:expect("STARTED")
    c:await_credit(4, "CREDIT-001")
    return c
  end, "ITEM", function(v) return v end) },
  { "started", above = 0, send = on(inner, "STARTED", function(v) return v end) },
  { "return", above = 0, send = on(inner, "RETURN", function(v) return v end) },
  { "error-data", above = 0, send = on(inner, "ERROR", function(v)
    return text_map({ data = raw(v) }, failed)
  end) },
  { "error-unknown", above = 0, send = on(inner, "ERROR", function(v)
    return text_map({ x = raw(v) }, failed)
  end) },
  { "cause-data", above = 0, send = on(inner, "ERROR", function(v)
    return text_map({ causes = array { raw(text_map({ data = raw(v) }, failed)) } }, failed)
  end) },
  { "cancelled-unknown", above = 0, send = on(cancelled_inner, "CANCELLED", function(v)
    return text_map({ x = raw(v) }, { origin = "requested", ran = true })
  end) },
  { "bye-unknown", above = 0, send = function(d, v)
    d:put("BYE", 0, text_map({ x = raw(v) }, { code = "none" }))
    d.bye_sent = true
    return 0
  end, accepted = function(_, d)
    d:await_frame(function(f) return f.name == "BYE" and f.value.code == "none" end, "BYE `none`",
      "VALUE-011")
    d:close()
  end },
  { "hello-unknown", above = 0, raw = true, send = function(d, v)
    d:put("HELLO", 0, text_map({ x = raw(v) }, hello_rest))
    return 0
  end, accepted = function(_, d) d:expect_hello("VALUE-011") d:barrier() end },
  { "limits-unknown", above = 1, raw = true, send = function(d, v)
    d:put("HELLO", 0, text_map({ limits = map { x = raw(v) } }, hello_rest))
    return 0
  end, accepted = function(_, d) d:expect_hello("VALUE-011") d:barrier() end },
}

for _, p in ipairs(places) do
  case {
    id = "value.place." .. p[1] .. ".accepted", req = { "VALUE-008", "VALUE-006" },
    profile = p.profile,
    title = "At " .. p[1] .. " a value of every type and of depth 32 is accepted",
    why = "The limit is inside; a peer that counts from another place refuses what is legal.",
    run = function(t)
      local parent = t:boot { listen = true }
      local room = 32 - p.above
      for _, v in ipairs {
        nest(room), ("\x81\xa1a"):rep(room) .. "\0", nest(room - 1, "\x90"), nest(room, ref("n")),
        nest(room, "\xc7\3\5abc"), "\xc0", "\xcf\0\0\0\0\0\0\0\1", "\xdb\0\0\0\1a",
          "\x82\0\1\xff\2",
        "\x92" .. nest(room - 1) .. nest(room - 1),
      } do
        local d = t:dial(parent, { raw = p.raw })
        t:log { link = d.name, dir = "*", text = "h'" .. value.hex(v, 40) .. "'" }
        p.send(d, v)
        if p.accepted then p.accepted(t, d) else d:barrier() end
        t:check("VALUE-008", not d:first_bye() or p[1] == "bye-unknown", "the value accepted",
          "BYE")
        d.loose = true
        d:close()
      end
      t:alive(parent)
    end,
  }
  case {
    id = "value.place." .. p[1] .. ".refused", req = { "VALUE-001", "VALUE-008" },
    profile = p.profile,
    title = "At " .. p[1] .. " what is no value, or nests too deep, is a violation `value`",
    why = "Every payload is one value of the profile, in the parts that nobody reads as well.",
    run = function(t)
      local parent = t:boot { listen = true }
      local room = 32 - p.above
      for _, b in ipairs {
        { "VALUE-008", nest(room + 1) }, { "VALUE-008", ("\x81\xa1a"):rep(room + 1) .. "\0" },
        { "VALUE-008", nest(1000) }, { "VALUE-001", "\xc1" }, { "VALUE-001",
          "\xdd\xff\xff\xff\xff" },
        { "VALUE-002", "\xa1\xff" }, { "VALUE-003", "\xcf\xff\0\0\0\0\0\0\0" }, { "VALUE-004",
          "\x81\xc0\1" },
        { "VALUE-015", "\xd4\1\x90" }, { "VALUE-001", "\xd5\xff\0\0" },
      } do
        if #b[2] < 800 or p[1] ~= "cancel-unknown" then
          local d = t:dial(parent, { raw = p.raw })
          t:log { link = d.name, dir = "*", text = "h'" .. value.hex(b[2], 40) .. "'" }
          local id = p.send(d, b[2])
          d:violation("value", id, b[1])
        end
      end
      t:alive(parent)
    end,
  }
end

-- The edges of a payload --------------------------------------------------------------------------

for _, k in ipairs {
  { "PING", on = function() return { id = 0 } end, good = "\1" },
  { "PONG", on = function() return { id = 0 } end, good = "\1" },
  { "BYE", on = function() return { id = 0 } end, good = value.encode(map { code = "none" }) },
  { "OPEN", on = function(d) return { id = d:new_id() } end, good = text_map({}, open_rest) },
  { "CANCEL", on = gate, good = value.encode(map { origin = "requested" }) },
  { "CREDIT", on = gate, good = "\x92\1\1", profile = "stream" },
  { "STARTED", on = inner, good = "\1" }, { "RETURN", on = inner, good = "\1" },
  { "ERROR", on = inner, good = text_map({}, failed) },
  { "CANCELLED", on = cancelled_inner,
    good = value.encode(map { origin = "requested", ran = true }) },
} do
  local name = k[1]
  for _, b in ipairs {
    { "empty", "", "no payload at all" }, { "two", k.good .. k.good, "two values" },
    { "trailing", k.good .. "\xc0", "a nil after its value" },
    { "padded", k.good .. "\0", "a zero byte after its value" },
  } do
    pattern.reject(case, {
      id = "value.edge." .. name .. "." .. b[1], req = "VALUE-001", code = "value",
      profile = k.profile,
      title = name .. " with " .. b[3] .. " is a violation `value`",
      why = "A payload is exactly one value, with nothing before or after it.",
      setup = function(_, d) return k.on(d) end,
      bad = function(_, d, c) d:put(name, c.id, b[2]) end,
    })
  end
end
