-- SPDX-License-Identifier: MIT
-- Values survive the way to bytes and back.
local copse = require "copse"
local tap = require "tap"
local test, is, ok, raises = tap.test, tap.is, tap.ok, tap.raises

local function trip(v) return copse.decode(copse.encode(v)) end
local function hex(v)
  return (copse.encode(v):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local M = {}

function M.main()
  test("integers stay integers and floats stay floats", function()
    for _, i in ipairs { 0, 1, -1, 127, 128, -32, -33, 255, 256, 65535, 65536,
      math.maxinteger, math.mininteger } do
      is(trip(i), i)
    end
    is(trip(1.0), 1.0)
    is(math.type(trip(1.0)), "float")
    is(trip(math.huge), math.huge)
    local nan = trip(0 / 0)
    ok(nan ~= nan, "a NaN")
  end)

  test("booleans, nil and strings come back", function()
    is(trip(true), true)
    is(trip(false), false)
    is(trip(nil), nil)
    is(trip(""), "")
    is(trip("a\0b"), "a\0b")
    is(trip(("x"):rep(70000)), ("x"):rep(70000))
  end)

  test("text goes as str, other bytes as bin, and copse.bin insists", function()
    is(hex("a"), "a161")
    is(hex("ä"), "a2c3a4")
    is(hex("\xff"), "c401ff")
    is(hex("\xc0\x80"), "c402c080")
    is(hex("\xed\xa0\x80"), "c403eda080")
    is(hex("\xf4\x90\x80\x80"), "c404f4908080")
    is(hex("\xf0\x9f\x8c\xb3"), "a4f09f8cb3")
    is(hex(("a"):rep(9) .. "\x80"):sub(1, 4), "c40a")
    is(hex(copse.bin("a")), "c40161")
    is(trip(copse.bin("a")), "a")
  end)

  test("a table with positions 1..n is an array", function()
    is(hex { 1, 2, 3 }, "93010203")
    is(trip { 1, "two", { 3 } }, { 1, "two", { 3 } })
  end)

  test("a table without positions is a map", function()
    is(hex { a = 1 }, "81a16101")
    is(hex { [5] = 1 }, "810501")
    is(trip { a = 1, b = { c = true } }, { a = 1, b = { c = true } })
  end)

  test("an empty table is an array unless copse.map says otherwise", function()
    is(hex {}, "90")
    is(hex(copse.map {}), "80")
    is(hex(copse.array {}), "90")
    is(hex(copse.decode("\x80")), "80")
    is(hex(copse.decode("\x90")), "90")
  end)

  test("a map with integer keys goes back as a map", function()
    is(hex(copse.map { [1] = 2 }), "810102")
    is(hex(copse.decode("\x81\x01\x02")), "810102")
  end)

  test("copse.null stands for nil inside tables", function()
    is(hex { 1, copse.null, 3 }, "9301c003")
    local t = trip { 1, copse.null, a = nil }
    is(t[2], copse.null)
    is(tostring(copse.null), "null")
    is(trip(copse.null), nil)
  end)

  test("a table that is array and map at once is refused by name", function()
    raises("both positions and the key 'x'", copse.encode, { 1, 2, x = 3 })
    raises("at %.a%[2%]", copse.encode, { a = { 1, { 1, x = 2 } } })
    raises("hole or stray position at 2", copse.encode, { 1, nil, 3 })
    raises("a boolean as key", copse.encode, { [true] = 1 })
    raises("a number as key", copse.encode, { [1.5] = 1 })
    raises("not UTF%-8", copse.encode, { ["\xff"] = 1 })
    raises("position", copse.encode, copse.array { a = 1 })
  end)

  test("what has no bytes is refused with its place", function()
    raises("cannot encode a function at %.f", copse.encode, { f = print })
    raises("cannot encode a thread", copse.encode, coroutine.create(print))
    raises("userdata", copse.encode, io.stdout)
  end)

  test("nesting ends at 32 levels, and a table in itself is refused", function()
    local v = 1
    for _ = 1, 32 do v = { v } end
    is(trip(v), v)
    raises("32 levels", copse.encode, { v })
    local knot = {}
    knot.self = knot
    raises("32 levels", copse.encode, knot)
  end)

  test("opaque extensions keep type and data", function()
    local e = trip(copse.ext(-1, "1234"))
    is(e.type, -1)
    is(e.data, "1234")
    is(hex(copse.ext(5, "x")), "d40578")
    raises("not 1", copse.ext, 1, "x")
  end)

  test("an actor reference is a value", function()
    local me = copse.self()
    local r = trip(me)
    ok(r == me, "the same actor")
    is(r.name, me.name)
    is(r.id, me.id)
    is(#r.id, 32)
    is(r.addresses, me.addresses)
    is(trip({ who = me }).who.id, me.id)
  end)

  test("a finalizer may encode, too, whenever garbage is collected", function()
    collectgarbage("generational")
    for i = 1, 2000 do
      setmetatable({}, { __gc = function() copse.encode(("z"):rep(i)) end })
      local e = copse.error { message = "m" .. i, data = { i } }
      is(e.data[1], i)
      is(trip { i, tostring(i) }, { i, tostring(i) })
    end
    collectgarbage("incremental")
  end)

  test("bytes that are no value are refused", function()
    for _, bytes in ipairs { "", "\xc1", "\x92\x01", "\x01\x01", "\xdd\xff\xff\xff\xff",
      "\xa1\xff" } do
      raises("not a value", copse.decode, bytes)
    end
  end)

  tap.done()
end

return M
