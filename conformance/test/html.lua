-- SPDX-License-Identifier: MIT
--
-- The HTML report in a real browser: what each address shows, at a desk and on a phone, and that
-- nothing a peer said is ever more than text. Prints TAP; run it in the root of the repository.
--
-- Chromium is large, so the tests do not ask for it to be installed: without it they are skipped.

package.path = "conformance/test/?.lua;" .. package.path

local found, Browser = pcall(require, "browser")
local browser_path = found and Browser.find()
if not browser_path then
  print("1..0 # SKIP no Chromium here (nor an environment variable CHROMIUM that names one)")
  os.exit(0)
end

local dir = io.popen("mktemp -d"):read("l")
local function sh(format, ...)
  local command = format:format(...)
  if not os.execute(command) then error("failed: " .. command, 0) end
end
for _, kind in ipairs { "bad", "good", "earlier", "other" } do
  sh("lua5.4 conformance/test/sample.lua %s/%s.json %s", dir, kind, kind)
end
local mutants = assert(io.open(dir .. "/mutants.json", "w"))
mutants:write([[{"copse-tck-mutants": 1, "mutants": [
  {"name": "sends-wrong-code", "title": "Sends a <code> that is a number",
   "breaks": ["VALUE-012"], "caught": true},
  {"name": "closes-late", "title": "Closes late", "breaks": ["LINK-015"], "caught": false}]}]])
mutants:close()
sh("conformance/copse-tck report %s/bad.json --html %s/bad.html", dir, dir)
sh("conformance/copse-tck report %s/good.json --html %s/good.html", dir, dir)
sh("conformance/copse-tck report %s/bad.json --compare %s/earlier.json %s/other.json "
  .. "--mutants %s/mutants.json --html %s/compare.html", dir, dir, dir, dir, dir)

local browser = Browser.start(browser_path)
local number, failures = 0, 0

local function test(title, fn)
  number = number + 1
  local ok, err = xpcall(fn, function(e)
    return type(e) == "string" and e or debug.traceback(tostring(e))
  end)
  if ok and #browser.problems > 0 then
    ok, err = false, "the browser complains: " .. table.concat(browser.problems, "\n")
  end
  browser.problems = {}
  print(("%sok %d - %s"):format(ok and "" or "not ", number, title))
  if not ok then
    failures = failures + 1
    print("# " .. tostring(err):gsub("\n", "\n# "))
  end
  io.stdout:flush()
end

local function show(page, address, width, scheme)
  browser:screen(width or 1280, 900, scheme)
  browser:open("file://" .. dir .. "/" .. page .. ".html" .. (address or ""))
end

local function quoted(s) return '"' .. s:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"' end
local function text(selector)
  return browser:eval(("(document.querySelector(%s) || {textContent: ''}).textContent")
    :format(quoted(selector)))
end
local function count(selector)
  return browser:eval(("document.querySelectorAll(%s).length"):format(quoted(selector)))
end
local function click(selector)
  browser:eval(("document.querySelector(%s).click()"):format(quoted(selector)))
  browser:settle()
end
local function type_in(selector, words)
  browser:eval(("{ const f = document.querySelector(%s); f.value = %s; "
    .. "f.dispatchEvent(new Event('input')); f.dispatchEvent(new Event('change')); }")
    :format(quoted(selector), quoted(words)))
  browser:settle()
end
local function address() return browser:eval("location.hash") end

local function equal(got, want, what)
  if got == want then return end
  error(("%s: expected %s, got %s"):format(what, tostring(want), tostring(got)), 2)
end
local function has(got, part)
  if not got:find(part, 1, true) then error(("no %q in %q"):format(part, got:sub(1, 800)), 2) end
end

local all_views = {
  "", "#/requirements", "#/requirement/VALUE-012", "#/cases?q=bad", "#/case/bad.frame", "#/states",
  "#/trace", "#/compare",
}

test("the verdict of each profile stands at the top", function()
  show("bad")
  has(text("p.verdict"), "Not conformant in core")
  equal(count(".card"), 4, "cards")
  has(text(".card:nth-child(1)"), "not conformant")
  has(text(".card:nth-child(2)"), "conformant")
  has(text(".card:nth-child(4)"), "not claimed")
  has(browser:eval("document.title"), "Not conformant in core")
end)

test("a run without faults says so in one line", function()
  show("good")
  has(text("p.verdict"), "Conformant in core, stream")
  has(text("main h2"), "Nothing needs attention")
end)

test("what needs attention is grouped by requirement, and opens to its cases", function()
  show("bad")
  equal(count(".problem"), 7, "groups")
  click(".problem summary")
  has(text(".problem .body"), "bad.frame")
end)

test("the matrix has every requirement, and leads to its page", function()
  show("bad")
  local all = "JSON.parse(document.getElementById('data').textContent).results.requirements.length"
  equal(count(".matrix a.cell"), browser:eval(all), "squares")
  browser:eval("[...document.querySelectorAll('.cell.bad')]"
    .. ".find(c => c.title.startsWith('VALUE-012')).click()")
  browser:settle()
  equal(address(), "#/requirement/VALUE-012", "address")
  has(text("main h2"), "VALUE-012")
  has(text("main blockquote"), "MUST treat a map")
  has(text("main .rows"), "bad.frame")
end)

test("filters of requirements come from the address", function()
  show("bad", "#/requirements?verdict=FAIL")
  equal(count(".matrix a.cell"), count(".matrix a.cell.bad"), "squares")
  equal(count(".chip[aria-pressed=true]"), 1, "chips that are on")
  show("bad", "#/requirements?area=CREDIT&level=MUST")
  equal(browser:eval("document.querySelector('select[name=area]').value"), "CREDIT", "area")
  local of_area = "[...document.querySelectorAll('.row .id')]"
    .. ".every(a => a.textContent.startsWith('CREDIT'))"
  equal(browser:eval(of_area), true, "rows")
end)

test("and go into it when they are chosen, so that Back and a link find them again", function()
  show("bad", "#/cases")
  type_in("select[name=area]", "cancel")
  type_in("#search", "number 17")
  has(address(), "area=cancel")
  has(address(), "q=number+17")
  local here, rows = address(), count(".row")
  click(".row a")
  has(address(), "#/case/")
  browser:eval("history.back()")
  browser:wait(function() return address() == here end, "the way back")
  browser:settle()
  equal(count(".row"), rows, "rows after Back")
  equal(browser:eval("document.getElementById('search').value"), "number 17", "the words")
end)

test("cases are filtered by verdict, profile, requirement and words, from the address", function()
  show("bad", "#/cases?verdict=FAIL,CRASH")
  has(text(".lead"), "2 of 1011 cases")
  show("bad", "#/cases?profile=registry")
  has(text(".lead"), "3 of 1011 cases")
  show("bad", "#/cases?req=LINK-015&q=timeout")
  has(text(".lead"), "1 of 1011 cases")
  equal(text(".row .id"), "bad.timeout", "the case")
end)

test("a thousand cases are drawn as far as they are looked at", function()
  show("bad", "#/cases")
  has(text(".lead"), "1011 of 1011 cases")
  local before = count(".row")
  if before >= 1011 then error("all rows are drawn at once") end
  browser:eval("window.scrollTo(0, document.body.scrollHeight)")
  browser:wait(function() return count(".row") > before end, "more rows")
end)

test("a case's page has the sentence, the reason, both sides of the check, the command", function()
  show("bad", "#/case/bad.frame")
  has(text("main h2"), "bad.frame")
  has(text(".why"), "To see code and CTX-001.")
  has(text(".check .spec"), "MUST treat a map")
  has(text(".check dd.observed"), "RETURN 4")
  has(text(".commandbox pre"),
    "conformance/copse-tck --trace --only bad.frame -- build/sample '--name=a b'")
  has(text(".stderr"), "last words \\xff\\x00")
  has(text(".facts"), "died (signal 6)")
end)

test("its wire log opens at the fault and marks the byte", function()
  show("bad", "#/case/bad.frame")
  equal(count(".event"), 6, "events")
  equal(count(".event.fault[open]"), 2, "open faults")
  equal(text("#event-3 mark"), "05", "the marked byte")
  equal(text("#event-4 mark"), "c1", "the marked byte")
  has(text("#event-3 .states"), "waiting open/ended ⇒ ended ended/ended")
  has(text("#event-3 .remark"), "VALUE-012 ERROR: code is 5 (byte 18)")
  equal(text("#event-3 .hex .kind"), "18", "the kind of ERROR")
  click("#event-2 summary")
  equal(count("#event-2 .hex .len"), 3, "bytes of the length")
end)

test("nothing that a peer said is more than text", function()
  for _, at in ipairs(all_views) do
    show("compare", at)
    equal(count("img"), 0, "images at " .. at)
    equal(count("script"), 2, "scripts at " .. at)
    if browser:eval("document.title") == "broken" then
      error("a script of the peer ran at " .. at)
    end
  end
  show("compare", "#/case/bad.frame")
  has(text(".check dd"), "</script><script>document.title")
  show("compare", "#/cases?q=%3Cimg%20src=x%20onerror=1%3E")
  equal(count("img"), 0, "images")
  show("compare", "#/case/%3Cimg%20src=x%3E")
  has(text("main"), "No such case")
end)

test("the heat-map counts cases by state and frame, and leads to them", function()
  show("bad", "#/states")
  equal(count("table.heat") >= 7, true, "tables")
  equal(count(".heat .hit"), 1, "cells that were reached")
  equal(text(".heat .hit .hits"), "1000", "cases")
  click(".heat .hit a")
  has(address(), "#/cases?cell=")
  has(text(".lead"), "1000 of 1011")
end)

test("traceability shows requirements, their cases and the mutants that prove them", function()
  show("compare", "#/trace?q=VALUE-012")
  has(text("table.trace tbody"), "sends-wrong-code")
  show("compare", "#/trace?gap=without+a+mutant&q=VALUE-012")
  has(text(".lead"), "0 of")
  show("compare", "#/requirement/LINK-015")
  has(text("main .plain"), "survives")
end)

test("an earlier run shows what is newly red and what is mended, other peers beside it", function()
  show("compare", "#/compare")
  has(text("table.heads thead"), "another/2")
  equal(count("table.heads thead th"), 4, "columns")
  has(text("h3"), "Since 2023-11-14 22:13 UTC")
  has(text(".problem.bad .body"), "bad.frame")
  has(text(".problem.good summary"), "mended")
  show("compare", "#/compare?by=requirements")
  has(text("table.compare:not(.heads) tbody"), "VALUE-012")
end)

test("without others there is nothing to compare with, and no tab for it", function()
  show("bad")
  equal(count("#nav a"), 5, "tabs")
  show("compare")
  equal(count("#nav a"), 6, "tabs")
end)

test("on a phone nothing sticks out, in any view", function()
  for _, at in ipairs(all_views) do
    for _, width in ipairs { 390, 320 } do
      show("compare", at, width)
      local real = browser:eval("document.documentElement.scrollWidth")
      equal(real <= width, true, ("%d pixels, %d wide at %s"):format(width, real, at))
    end
  end
end)

test("dark is dark, light is light, and words can be read in both", function()
  local function brightness(colour)
    local r, g, b = colour:match("(%d+), (%d+), (%d+)")
    return (tonumber(r) * 2 + tonumber(g) * 5 + tonumber(b)) / 8
  end
  for scheme, dark in pairs { light = false, dark = true } do
    show("bad", "", 1280, scheme)
    local ground = brightness(browser:eval("getComputedStyle(document.body).backgroundColor"))
    local words = brightness(browser:eval("getComputedStyle(document.body).color"))
    equal(ground < 60, dark, scheme .. ": the ground is dark")
    equal(math.abs(ground - words) > 150, true, scheme .. ": the words stand out")
  end
end)

test("keys are enough: Tab and Enter lead to a case, / to the search, n to the next one", function()
  show("bad", "#/cases?q=bad.frame")
  browser:key("Tab")
  equal(browser:eval("document.activeElement.id"), "skip", "the first stop")
  browser:key("Enter")
  equal(browser:eval("document.activeElement.id"), "main", "after skipping")
  browser:key("/")
  equal(browser:eval("document.activeElement.id"), "search", "after /")
  show("bad", "#/cases?verdict=FAIL,CRASH")
  browser:eval("document.querySelector('.row a').focus()")
  browser:key("Enter")
  equal(address(), "#/case/bad.frame", "after Enter")
  browser:key("n")
  equal(address(), "#/case/bad.crash", "after n")
end)

test("on paper the whole list is there and the controls are not", function()
  show("bad", "#/cases")
  browser:eval("window.dispatchEvent(new Event('beforeprint'))")
  equal(count(".row"), 1011, "rows")
  browser:call("Emulation.setEmulatedMedia", { media = "print" })
  equal(browser:eval("getComputedStyle(document.querySelector('.filters')).display"), "none",
    "the filters")
  browser:call("Emulation.setEmulatedMedia", { media = "" })
end)

browser:stop()
sh("rm -rf '%s'", dir)
print("1.." .. number)
os.exit(failures == 0)
