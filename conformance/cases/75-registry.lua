-- SPDX-License-Identifier: MIT
--
-- The registry profile: names that live exactly as long as the context that holds them.
local case = ...
local frame = require "frame"
local uv = require "luv"
local value = require "value"
local map, array = value.map, value.array

local function reg_case(o)
  case {
    id = "registry." .. o.id, req = o.req, title = o.title, why = o.why, profile = "registry",
    await = o.await, watchdog = o.watchdog,
    run = function(t)
      local p = t:boot { listen = true }
      o.run(t, p)
    end,
  }
end

-- An actor of the suite: a dialled link and its reference.
local function actor(t, p, name, addresses)
  local ref = value.ref(uv.random(16), name, addresses or {})
  return t:dial(p, { hello = { actor = ref } }), ref
end

local function register(link, name, ref)
  local c = link:open("copse.register", map { name = name, ref = ref }, { send = true })
  local f = c:expect("STARTED", "REG-001")
  c.t:is("REG-001", f.value, value.null, "STARTED")
  return c
end

local function release(c)
  c:finish()
  c:returns(value.null, "REG-002")
end

local function find(link, name) return link:call("copse.find", map { name = name }, "REG-004") end

-- The names, which tell the order at a glance, and the references.
local function show_refs(list)
  local names = {}
  for i = 1, value.is_array(list) and list.n or 0 do
    names[i] = value.is_ref(list[i]) and list[i].name or "?"
  end
  return table.concat(names, " ") .. " " .. value.show(list)
end

local function finds(t, link, name, refs, req)
  local list = find(link, name)
  t:check(req or "REG-004", value.eq(list, array(refs)), show_refs(array(refs)), show_refs(list))
end

reg_case {
  id = "find.none", req = "REG-004", title = "Nothing under a name is an empty array, not an error",
  why = "The absence of an actor is an answer.",
  run = function(t, p)
    for _, name in ipairs { "nobody", "x", ("n"):rep(64), "\u{1F333}" } do finds(t, p, name, {}) end
  end,
}

reg_case {
  id = "register", req = { "REG-001", "REG-002", "REG-004" },
  title = "A name is listed from STARTED until END is answered with RETURN nil",
  why = "Being registered is a context, and nothing else.",
  run = function(t, p)
    local d, ref = actor(t, p, "a", { "unix:/tmp/somewhere", "tcp:localhost:7" })
    local c = register(d, "service", ref)
    finds(t, p, "service", { ref }, "REG-001")
    finds(t, d, "service", { ref }, "REG-001")
    release(c)
    finds(t, p, "service", {}, "REG-001")
  end,
}

for _, how in ipairs { "cancel", "loss", "bye-code", "violation" } do
  reg_case {
    id = "gone." .. how, req = "REG-001",
    title = "A name is gone when its context ends by " .. how,
    why = "Nothing goes stale: whatever ends the context takes the name.",
    run = function(t, p)
      local d, ref = actor(t, p, "a")
      local c = register(d, "service", ref)
      local watch = p:open("copse.watch", map { name = "service" },
        { send = true, credit = { 10, 10000 } })
      watch:expect("STARTED", "REG-006")
      if how == "cancel" then
        c:cancel()
        c:is_cancelled({ origin = "requested" }, "CANCEL-005")
      elseif how == "loss" then
        d:close()
      elseif how == "bye-code" then
        d:bye { code = "internal" }
        d:await_eof("LINK-015")
        d:close()
      else
        d:raw("\0\0\0\x05" .. ("\0"):rep(8))
        d:violation("frame", nil, "FRAME-005")
      end
      local item = watch:gives(nil, "REG-006")
      t:is("REG-006", item.op, "remove", "op")
      finds(t, p, "service", {}, "REG-001")
      release(watch)
    end,
  }
end

reg_case {
  id = "order", req = { "REG-003", "REG-004" },
  title = "Several registrations of one name stand in the order in which they came",
  why = "The oldest is the one that everybody knows.",
  run = function(t, p)
    local links, refs, ctx = {}, {}, {}
    for i = 1, 5 do
      links[i], refs[i] = actor(t, p, "a" .. i)
    end
    for n, i in ipairs { 3, 1, 5, 2, 4 } do ctx[n] = register(links[i], "many", refs[i]) end
    finds(t, p, "many", { refs[3], refs[1], refs[5], refs[2], refs[4] }, "REG-003")
    release(ctx[2])
    finds(t, p, "many", { refs[3], refs[5], refs[2], refs[4] }, "REG-003")
    local again = register(links[1], "many", refs[1])
    finds(t, p, "many", { refs[3], refs[5], refs[2], refs[4], refs[1] }, "REG-003")
    for _, c in ipairs { ctx[1], ctx[3], ctx[4], ctx[5], again } do release(c) end
    finds(t, p, "many", {}, "REG-003")
  end,
}

reg_case {
  id = "twice", req = "REG-003",
  title = "One actor may hold a name twice, and then loses it once",
  why = "There is no conflict: each registration is a context.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local one, two = register(d, "n", ref), register(d, "n", ref)
    finds(t, p, "n", { ref, ref }, "REG-003")
    release(one)
    finds(t, p, "n", { ref }, "REG-003")
    release(two)
    finds(t, p, "n", {}, "REG-003")
  end,
}

reg_case {
  id = "names", req = { "REG-001", "REG-004" },
  title = "One actor may have several names, and names do not touch each other",
  why = "A name is compared byte by byte.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local names, list = { "a", "A", "a ", "a.b", "\u{e9}", "e\u{301}" }, {}
    for i, n in ipairs(names) do list[i] = register(d, n, ref) end
    for _, n in ipairs(names) do finds(t, p, n, { ref }) end
    release(list[1])
    finds(t, p, "a", {})
    for i = 2, #names do finds(t, p, names[i], { ref }) end
    for i = 2, #names do release(list[i]) end
  end,
}

reg_case {
  id = "denied", req = { "REG-009", "ERROR-011" },
  title = "A reference with another id than the peer's is `denied`",
  why = "Nobody registers in the name of others.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local _, other = actor(t, p, "b")
    d:open("copse.register", map { name = "n", ref = other }, { send = true }):errors("denied",
      "REG-009")
    d:open("copse.register", map { name = "n", ref = p.peer.actor },
      { send = true }):errors("denied", "REG-009")
    finds(t, p, "n", {})
    local c = register(d, "n", ref)
    finds(t, p, "n", { ref })
    release(c)
  end,
}

for _, b in ipairs {
  { "no-name", "copse.register", function(r) return map { ref = r } end },
  { "no-ref", "copse.register", function() return map { name = "n" } end },
  { "ref-text", "copse.register", function() return map { name = "n", ref = "me" } end },
  { "name-int", "copse.register", function(r) return map { name = 1, ref = r } end },
  { "find-nothing", "copse.find", function() return map {} end },
  { "find-int", "copse.find", function() return map { name = 7 } end },
  { "wait-nothing", "copse.wait", function() return map {} end },
  { "watch-int", "copse.watch", function() return map { name = 7 } end },
} do
  reg_case {
    id = "bad-args." .. b[1], req = "KIND-013",
    title = b[2] .. " with arguments it cannot use (" .. b[1] .. ") is `bad_args`",
    why = "The targets of the protocol check theirs as all do.",
    run = function(t, p)
      local d, ref = actor(t, p, "a")
      d:open(b[2], b[3](ref), { send = true, credit = { 1, 100 } }):errors("bad_args", "KIND-013")
      t:alive(d)
    end,
  }
end

-- Waiting -----------------------------------------------------------------------------------------

reg_case {
  id = "wait.there", req = "REG-005",
  title = "Waiting for a name that is there returns its first reference",
  why = "The oldest comes first.",
  run = function(t, p)
    local a, ra = actor(t, p, "a")
    local b, rb = actor(t, p, "b")
    local ca, cb = register(a, "n", ra), register(b, "n", rb)
    p:open("copse.wait", map { name = "n" }):returns(ra, "REG-005")
    release(ca)
    p:open("copse.wait", map { name = "n" }):returns(rb, "REG-005")
    release(cb)
  end,
}

reg_case {
  id = "wait.later", req = "REG-005",
  title = "Waiting for a name ends as soon as somebody takes it, for all who wait",
  why = "Programs start in any order.",
  run = function(t, p)
    local list = {}
    for i = 1, 5 do list[i] = p:open("copse.wait", map { name = "n" }) end
    local other = p:open("copse.wait", map { name = "m" })
    for i = 1, 5 do p:nothing(list[i].id, "REG-005") end
    local d, ref = actor(t, p, "a")
    local c = register(d, "n", ref)
    for i = 1, 5 do list[i]:returns(ref, "REG-005") end
    p:nothing(other.id, "REG-005")
    other:cancel()
    other:is_cancelled({ origin = "requested" }, "CANCEL-005")
    release(c)
  end,
}

reg_case {
  id = "wait.gone", req = "REG-005",
  title = "A name that has gone again satisfies nobody who comes later",
  why = "The registrar knows the present only.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    release(register(d, "n", ref))
    local w = p:open("copse.wait", map { name = "n" })
    p:nothing(w.id, "REG-005")
    local c = register(d, "n", ref)
    w:returns(ref, "REG-005")
    release(c)
  end,
}

reg_case {
  id = "wait.deadline", req = { "REG-005", "DEADLINE-002" },
  title = "Waiting for a name has a deadline like any context",
  why = "It is a call.",
  run = function(_, p)
    p:open("copse.wait", map { name = "n" }, { deadline = 30 })
      :is_cancelled({ origin = "deadline", ran = true }, "DEADLINE-002")
  end,
}

-- Watching ----------------------------------------------------------------------------------------

local function watch(link, name, credit)
  local c = link:open("copse.watch", map { name = name },
    { send = true, credit = credit or { 1000, 1 << 20 } })
  local f = c:expect("STARTED", "REG-006")
  return c, f.value
end

local function change(t, c, op, ref, name)
  local item = c:gives(nil, "REG-006")
  t:check("REG-006", value.is_map(item) and item.op == op and value.eq(item.ref, ref),
    op .. " " .. value.show(ref), value.show(item))
  t:check("REG-007", item.name == (name or "n"), "the name " .. (name or "n"), value.show(item))
end
local function entry(name, ref) return map { name = name, ref = ref } end

reg_case {
  id = "watch.changes", req = { "REG-006", "REG-002" },
  title = "A watch has the list of the moment in STARTED and every change after it, once",
  why = "A list and its changes, with no gap between them.",
  run = function(t, p)
    local a, ra = actor(t, p, "a")
    local b, rb = actor(t, p, "b")
    local ca = register(a, "n", ra)
    local w, list = watch(p, "n")
    t:is("REG-006", list, array { entry("n", ra) }, "the list")
    local cb = register(b, "n", rb)
    change(t, w, "add", rb)
    release(ca)
    change(t, w, "remove", ra)
    ca = register(a, "n", ra)
    change(t, w, "add", ra)
    release(cb)
    change(t, w, "remove", rb)
    w:nothing("REG-006")
    release(w)
    release(ca)
  end,
}

reg_case {
  id = "watch.name", req = "REG-007",
  title = "A watch of one name hears of no other, one without a name of all",
  why = "Most care for one; a debugger for all.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local one, l1 = watch(p, "n")
    local all, l2 = watch(p, nil)
    t:check("REG-006", l1.n == 0 and value.is_array(l2), "lists", value.show(l1) .. value.show(l2))
    t:is("REG-006", l2, array {}, "the list of all names")
    local m = register(d, "m", ref)
    change(t, all, "add", ref, "m")
    local n = register(d, "n", ref)
    change(t, all, "add", ref)
    change(t, one, "add", ref)
    local _, l3 = watch(p, nil)
    local listed = {}
    for _, e in ipairs(l3) do
      t:check("REG-007", value.is_map(e) and value.eq(e.ref, ref), "entries {name, ref}",
        value.show(l3))
      listed[#listed + 1] = e.name
    end
    table.sort(listed)
    t:is("REG-007", table.concat(listed, " "), "m n", "all names")
    local _, l4 = watch(p, "m")
    t:is("REG-007", l4, array { entry("m", ref) }, "the list of one name")
    release(m)
    change(t, all, "remove", ref, "m")
    one:nothing("REG-007")
    release(n)
    change(t, one, "remove", ref)
    change(t, all, "remove", ref)
  end,
}

reg_case {
  id = "watch.credit", req = { "REG-006", "CREDIT-003" },
  title = "Changes wait for credit, in order, none lost",
  why = "A slow watcher sees everything, later.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local w = watch(p, "n", { 1, 10000 })
    for _ = 1, 3 do release(register(d, "n", ref)) end
    change(t, w, "add", ref)
    w:nothing("CREDIT-003")
    w:credit(6, 100000)
    for _ = 1, 2 do
      change(t, w, "remove", ref)
      change(t, w, "add", ref)
    end
    change(t, w, "remove", ref)
    release(w)
  end,
}

reg_case {
  id = "watch.stop", req = { "STREAM-004", "REG-002" },
  title = "A watch that is stopped says END, and END returns it",
  why = "It is a stream like others.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local w = watch(p, "n")
    w:stop()
    w:expect("END", "STREAM-004")
    local c = register(d, "n", ref)
    w:nothing("STREAM-001")
    release(c)
    release(w)
  end,
}

reg_case {
  id = "watch.many", req = "REG-006",
  title = "Ten watchers hear the same fifty changes in the same order",
  why = "None missing and none twice.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local list = {}
    for i = 1, 10 do list[i] = watch(p, "n") end
    for _ = 1, 25 do release(register(d, "n", ref)) end
    for i = 1, 10 do
      for _ = 1, 25 do
        change(t, list[i], "add", ref)
        change(t, list[i], "remove", ref)
      end
    end
    for i = 1, 10 do release(list[i]) end
  end,
}

reg_case {
  id = "watch.bound", req = "REG-008", await = 30000, watchdog = 120000,
  title = "A watcher that grants no credit is ended with `busy`, and the registrar lives on",
  why = "What is kept for a watcher is memory of the registrar.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local w = watch(p, "n", { 0, 0 })
    -- Until it comes, for as many changes as nobody keeps, or for as long as there is patience.
    local got
    local changes, limit = 0, uv.hrtime() + t.budget.watchdog * 600000
    repeat
      local list = {}
      d:cork(function()
        for i = 1, 100 do
          list[i] = d:open("copse.register", map { name = "n", ref = ref }, { send = true })
          list[i]:finish()
        end
      end)
      for i = 1, 100 do
        list[i]:terminal("REG-002")
      end
      d.inbox = {}
      p:barrier()
      got = p:take(function(f) return f.ctx == w.id and not f.more and f.name ~= "CREDIT" end)
      changes = changes + 200
    until got or changes == 200000 or uv.hrtime() > limit
    t:check("REG-008", got and got.name == "ERROR" and got.value.code == "busy", "ERROR busy",
      got and frame.show(got) or "nothing after " .. changes .. " changes")
    t:alive(p)
  end,
}

reg_case {
  id = "watch.no-credit", req = "KIND-010",
  title = "A watch without credit is a list and nothing more",
  why = "An OPEN without `credit` wants no items.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local w = p:open("copse.watch", map { name = "n" }, { send = true })
    w:expect("STARTED", "REG-006")
    local c = register(d, "n", ref)
    w:nothing("KIND-010")
    release(c)
    release(w)
  end,
}

-- Finishing ---------------------------------------------------------------------------------------

reg_case {
  id = "finish.held", req = { "ACTOR-011", "ACTOR-012" },
  title = "An actor told to finish ends the held contexts that it serves with RETURN nil",
  why = "Nobody but it could end them, and it would wait for ever.",
  run = function(t, p)
    local d, ref = actor(t, p, "a")
    local mine = p:open("copse.watch", map { name = "n" }, { send = true, credit = { 5, 1000 } })
    mine:expect("STARTED")
    local c = register(d, "n", ref)
    mine:gives(nil, "REG-006")
    p.actor:finish()
    c:returns(value.null, "ACTOR-011")
    local f = mine:terminal("ACTOR-011")
    t:check("ACTOR-011", f.name == "RETURN" and f.value == value.null, "RETURN nil", frame.show(f))
    p.actor:returns(value.null, "ACTOR-012")
    d.loose = true
    t:ends(p)
  end,
}

-- The testee as the one who registers -------------------------------------------------------------

local function registering(t, p, name)
  local upper = p:open("tck.register", map { name = name or "me" }, { send = true })
  local inner = p:accept("copse.register", "KIND-011")
  local o = inner.open_frame.value
  t:check("KIND-011", o.send == true, "send true on a held context", value.show(o))
  t:check("REG-009", value.is_map(o.args) and o.args.name == (name or "me")
    and value.is_ref(o.args.ref) and o.args.ref.id == p.peer.actor.id,
    "its name and its own reference", value.show(o))
  return upper, inner
end

reg_case {
  id = "client", req = { "KIND-011", "REG-002" },
  title = "To register is to hold a context open; to let go is END",
  why = "The other side of the profile.",
  run = function(t, p)
    local upper, inner = registering(t, p)
    upper:nothing("KIND-011")
    inner:started()
    upper:expect("STARTED", "KIND-011")
    upper:finish()
    inner:expect("END", "KIND-011")
    upper:nothing("MODEL-002")
    inner:returns_with()
    upper:returns(value.null, "REG-002")
  end,
}

reg_case {
  id = "client.refused", req = "ERROR-005",
  title = "A registration that is refused is an error above",
  why = "Whoever wanted the name has to know.",
  run = function(t, p)
    local upper, inner = registering(t, p)
    inner:fail_with { code = "denied", message = "no" }
    upper:errors("denied", "ERROR-005")
  end,
}

reg_case {
  id = "client.cancelled", req = { "MODEL-005", "MODEL-002" },
  title = "A registration is cancelled with its scope",
  why = "It is a context like any other.",
  run = function(t, p)
    local upper, inner = registering(t, p)
    inner:started()
    upper:expect("STARTED")
    upper:cancel()
    inner:expect("CANCEL", "MODEL-005")
    inner:cancelled_with {}
    upper:is_cancelled({ origin = "requested" }, "CANCEL-010")
  end,
}

reg_case {
  id = "client.finish", req = { "ACTOR-010", "ACTOR-012" },
  title = "An actor told to finish lets its registrations go",
  why = "So that nobody finds it any more.",
  run = function(t, p)
    local upper, inner = registering(t, p)
    inner:started()
    upper:expect("STARTED")
    p.actor:finish()
    inner:expect("END", "ACTOR-010")
    inner:returns_with()
    upper:returns(value.null, "ACTOR-010")
    p.actor:returns(value.null, "ACTOR-012")
    t:ends(p)
  end,
}
