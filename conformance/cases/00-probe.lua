-- SPDX-License-Identifier: MIT
--
-- The probe: how far a testee comes at all. It runs before everything else; what it does not reach,
-- the cases that need it cannot be judged by.
local case = ...
local value = require "value"

case {
  id = "probe", req = { "EXT-001", "SPAWN-014" }, probe = true,
  title = "The testee starts, says HELLO, boots as an actor, serves a call, and ends in order",
  why = "Every other case stands on this.",
  run = function(t)
    local seen = t.seen
    local link = t:spawn()
    seen.stage = "start"
    seen.hello = t:handshake(link)
    seen.stage = "hello"
    link.actor = link:open("copse.actor",
      t:actor_args { listen = value.array { "unix:" .. t:path("p") } }, { send = true })
    local f = link.actor:expect("STARTED", "ACTOR-005")
    link.listening = value.is_map(f.value) and f.value.listen or value.array {}
    seen.listening = value.is_array(link.listening) and link.listening.n or 0
    seen.stage = "boot"
    seen.stat = t:stat(link)
    link.baseline = seen.stat
    link:open("tck.echo", value.map { v = "probe" }):returns("probe", "KIND-018")
    seen.stage = "serve"
    t:conclude()
    seen.stage = "end"
  end,
}
