-- SPDX-License-Identifier: MIT
--
-- Makes a results.json for the tests of the reports, by the same code that a run uses: a thousand
-- cases, every verdict, and texts that would like to be markup.
--
--     sample.lua OUT.json [good|bad|earlier|other]      (run in the root of the repository)

package.path = "conformance/lib/?.lua;" .. package.path

local frame = require "frame"
local results = require "results"
local spec = require("spec").load("SPEC.md")
local value = require "value"

local path, kind = arg[1], arg[2] or "bad"
local hostile = [[</script><script>document.title = "broken"</script>]]
  .. [[<img src=x onerror="document.title='broken'">]]

local function result(c, r)
  c.profile, c.area, c.file = c.profile or "core", c.area or "sample", c.file or "10-sample.lua"
  c.title, c.req = c.title or "A sample", c.req or { "KIND-018" }
  r.case, r.ms = c, r.ms or 1.5
  for _, key in ipairs { "checks", "events", "touched", "cells" } do r[key] = r[key] or {} end
  for _, id in ipairs(c.req) do r.touched[id] = 1 end
  r.termination, r.stderr = r.termination or "BYE none, exit 0", r.stderr or ""
  return r
end

-- An event of a frame; the peer's payload may be wrong.
local function sent(at, name, ctx, payload, o)
  local f = { kind = frame.number[name] or name, name = name, ctx = ctx, payload = payload,
    length = #payload }
  frame.decode(f)
  f.fault = o and o.fault
  return { at = at, link = "testee", dir = o and o.dir or "<", text = frame.show(f), frame = f,
    before = "waiting open/ended", after = o and o.after or "waiting open/ended" }
end

local list = {}
local areas = { "calls", "cancel", "values", "streams" }
for i = 1, 1000 do
  list[i] = result({ id = ("sample.number.%d"):format(i), area = areas[i % 4 + 1],
    profile = i % 4 == 3 and "stream" or "core",
    req = { spec.requirements[i % #spec.requirements + 1].id } },
    { verdict = "PASS", cells = { ["opener/waiting/RETURN"] = true } })
end

if kind ~= "good" then
  local ill = "\x81\xa4\x63\x6f\x64\x65\x05"
  local bad = "\xc1\x02"
  local events = {
    { at = 0.5, link = "testee", dir = "*", text = "started, pid 17" },
    sent(1, "PING", 0, "\xa1\x61", { dir = ">" }),
    sent(1.5, "ERROR", 2, ill,
      { fault = { side = "peer", req = "VALUE-012", text = "ERROR: code is 5" },
        after = "ended ended/ended" }),
    sent(2, "RETURN", 2, bad, { fault = { side = "peer", req = "VALUE-001",
      text = select(2, value.decode(bad)) } }),
    sent(2.5, "RETURN", 4, value.encode(hostile)),
    { at = 3, link = "testee", dir = ">", text = "raw", bytes = ("\0\1\2"):rep(9) },
  }
  local fails = kind == "earlier" and "PASS" or "FAIL"
  list[#list + 1] = result({ id = "bad.frame", req = { "VALUE-012" },
    why = "To see `code` and [CTX-001].", title = "A `frame` that is wrong: " .. hostile },
    { verdict = fails, events = events, stderr = "last words \xff\0\27[1m " .. hostile .. "\n",
      termination = "died (signal 6)",
      checks = fails == "FAIL" and {
        { req = "VALUE-012", verdict = "FAIL", expected = hostile,
          observed = frame.show(events[5].frame) },
        { req = "VALUE-012", verdict = "FAIL", expected = hostile,
          observed = frame.show(events[5].frame) },
        { req = "VALUE-001", verdict = "FAIL", monitor = true, expected = "a legal frame",
          observed = events[4].text .. ": " .. events[4].frame.fault.text },
      } or {} })
  local function more(verdict, req, checked)
    list[#list + 1] = result({ id = "bad." .. verdict:lower(), req = { req } }, { verdict = verdict,
      reason = not checked and "a reason with <b> & \"quotes\"" or nil, checks = checked and { {
        req = req, verdict = verdict, expected = "this", observed = "that" } } or {} })
  end
  more("CRASH", "ODD-004", true)
  more("TIMEOUT", "LINK-015", true)
  more("FLAKY", "CREDIT-003")
  more("BLOCKED", "CREDIT-004")
  more("WARN", "VALUE-007", true)
  more("INFO", "KIND-018", true)
  if kind == "earlier" then more("FAIL", "CTX-001", true) else more("PASS", "CTX-001") end
  list[#list].case.id = "bad.mended"
end
for i = 1, 3 do
  list[#list + 1] = result({ id = "registry." .. i, profile = "registry" },
    { verdict = "UNSUPPORTED", reason = "the feature registry is not claimed",
      termination = "not started" })
end

local r = results.build {
  results = list, spec = spec, started = kind == "earlier" and 1700000000 or 1700086400,
  seconds = 12.5, available = #list,
  opts = { command = { kind == "other" and "build/other" or "build/sample", "--name=a b" },
    seed = 7, jobs = 2,
    program = "conformance/copse-tck" },
  probe = { stage = "end", listening = 1, hello = value.map {
    agent = kind == "other" and "another/2" or "sample/1 " .. (kind == "bad" and hostile or ""),
    features = value.array { "stream" } } },
}
local f = assert(io.open(path, "wb"))
f:write(results.encode(r))
f:close()
