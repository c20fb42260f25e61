-- SPDX-License-Identifier: MIT
--
-- Cases that come to each verdict, whoever the testee is: the suite is tested with them.
local case = ...
local value = require "value"
local map = value.map

case {
  id = "good", req = "KIND-018", title = "A call that returns", why = "PASS.",
  run = function(t) t:boot():open("tck.echo", map { v = 7 }):returns(7) end,
}

case {
  id = "should", req = "KIND-016", title = "A SHOULD is broken", why = "WARN.",
  run = function(t)
    t:boot()
    t:check("KIND-016", false, "what should be", "what is")
  end,
}

case {
  id = "may", req = "KIND-004", title = "A MAY is not used", why = "INFO.",
  run = function(t)
    t:boot()
    t:note("KIND-004", false, "what may be", "what is")
  end,
}

case {
  id = "must", req = "KIND-018", title = "A MUST is broken", why = "FAIL.",
  run = function(t) t:boot():open("tck.echo", map { v = 7 }):returns(8) end,
}

case {
  id = "worst", req = "KIND-018", title = "Of several checks the worst counts", why = "FAIL.",
  run = function(t)
    t:boot()
    t:note("KIND-004", false, "a", "b")
    t:note("KIND-018", false, "c", "d")
    t:note("KIND-016", false, "e", "f")
  end,
}

case {
  id = "late", req = "KIND-018", title = "What must come does not", why = "TIMEOUT.", await = 200,
  run = function(t)
    local c = t:boot():open("tck.gate", map { key = "k" })
    c:expect("STARTED")
    c:expect("RETURN")
  end,
}

case {
  id = "dead", req = "KIND-018", title = "The testee is killed by a signal of its own",
  why = "CRASH.",
  run = function(t)
    t:boot():open("tck.crash", map { how = "signal", signal = 11 }):expect("RETURN")
  end,
}

case {
  id = "sanitizer", req = "KIND-018", title = "A sanitizer has found something", why = "CRASH.",
  run = function(t)
    local p = t:boot()
    p:open("tck.crash", map { how = "exit", status = 0,
      stderr = "==1==ERROR: AddressSanitizer: heap-use-after-free\n" })
    p:await_eof("SPAWN-014")
    p:close()
    t:expect_exit(p.process, 0)
  end,
}

case {
  id = "stream", req = "STREAM-001", title = "A profile that may not be claimed", profile =
    "stream",
  why = "UNSUPPORTED.", run = function(t) t:boot() end,
}

local runs = 0
case {
  id = "fickle", req = "KIND-018", title = "A case that fails the second time", why = "FLAKY.",
  run = function(t)
    runs = runs + 1
    local run = runs
    t:boot()
    t:check("KIND-018", run ~= 2, "the same each time", "run " .. run)
  end,
}

case {
  id = "illegal", req = "KIND-018", title = "The suite sends what it did not announce",
  why = "HARNESS.",
  run = function(t)
    local p = t:boot()
    p:send { "RETURN", 2, value = 1 }
    p:await_eof("LINK-016")
  end,
}

case {
  id = "broken", req = "KIND-018", title = "A case with a fault in it", why = "HARNESS.",
  run = function(t) t:boot():no_such_method() end,
}

case {
  id = "misled", req = "CANCEL-002",
  title = "A case trips, after a peer that sends on a cancelled context has done so",
  why = "FAIL for that peer, HARNESS for any other.",
  run = function(t)
    local p = t:boot()
    local upper = p:open("tck.relay", map { target = "x.in" })
    local below = p:accept("x.in")
    upper:cancel()
    below:expect("CANCEL")
    p:barrier()
    t:no_such_method()
  end,
}

case {
  id = "announced", req = "FRAME-008", title = "The suite sends what it announced",
  why = "PASS: not a fault of the suite.",
  run = function(t)
    local p = t:boot()
    p:send { "RETURN", 2, value = 1, illegal = true }
    p:violation("state", 2, "FRAME-008")
  end,
}
