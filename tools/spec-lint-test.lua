-- SPDX-License-Identifier: MIT
--
-- Tests of the lint of the specification: SPEC.md passes as it is, and each copy of it with one
-- defect put in is refused, for that defect. A lint that lets something through would look exactly
-- like a specification without faults.
--
-- Prints TAP. Finds the engine's tool as $BUILD_DIR/wire-tool.

local build = os.getenv("BUILD_DIR") or "build"
local lint = "lua5.4 tools/spec-lint.lua"
do
  local interpreter = arg[-1]
  if interpreter then lint = interpreter .. " tools/spec-lint.lua" end
end

local handle = assert(io.open("SPEC.md", "rb"))
local spec = handle:read("a")
handle:close()

-- SPEC.md has links into itself only, so a copy may lie anywhere.
local copy = os.tmpname()
local function run(text, options)
  local out = assert(io.open(copy, "wb"))
  out:write(text)
  out:close()
  local pipe = assert(io.popen(lint .. " " .. (options or "") .. " " .. copy .. " 2>&1"))
  local said = pipe:read("a")
  local ok, how, status = pipe:close()
  return ok and 0 or (how == "exit" and status or 99), said
end

local with_engine = "--wire-tool '" .. build .. "/wire-tool'"

local count, failed = 0, 0
local function report(ok, name, said)
  count = count + 1
  print((ok and "ok " or "not ok ") .. count .. " - " .. name)
  if not ok then
    failed = failed + 1
    for line in (said or ""):gmatch("[^\n]+") do print("# " .. line) end
  end
end

-- Replaces the first occurrence of `old`, in which a space stands for any white space, so that it
-- is found wherever the lines are broken. A defect that finds nothing to spoil is a failure.
local function spoil(old, new)
  local pattern = old:gsub("%p", "%%%0"):gsub(" ", "%%s+")
  local from, to = spec:find(pattern)
  if not from then return nil end
  return spec:sub(1, from - 1) .. new .. spec:sub(to + 1)
end

-- One defect: `old` becomes `new`, and the lint has to say `complaint`.
local function refuses(case)
  local text = spoil(case.old, case.new)
  if not text then return report(false, case[1], "there is nothing in SPEC.md to spoil") end
  local status, said = run(text, case.engine and with_engine)
  report(status == 1 and said:find(case.complaint, 1, true) ~= nil, case[1],
         "exit status " .. status .. ", wanted: " .. case.complaint .. "\n" .. said)
end

-- ------------------------------------------------------------------------------------------- cases

do
  local status, said = run(spec)
  report(status == 0, "the specification agrees with itself", said)
  status, said = run(spec, with_engine)
  report(status == 0, "the specification agrees with the engine", said)
end

local DEFECTS = {
  {
    "an id that occurs twice is found",
    old = "**[FRAME-002]**",
    new = "**[FRAME-001]**",
    complaint = "FRAME-001 occurs twice",
  },
  {
    "an id out of order is found",
    old = "**[CREDIT-002]**",
    new = "**[CREDIT-099]**",
    complaint = "CREDIT-003 comes after CREDIT-099",
  },
  {
    "an id of another form is found",
    old = "**[CREDIT-002]**",
    new = "**[CREDIT-2]**",
    complaint = "CREDIT-2: an id is AREA-NNN",
  },
  {
    "two key words in one requirement are found",
    old = "MUST begin at `credit`",
    new = "MUST and SHOULD begin at `credit`",
    complaint = "has 2 key words",
  },
  {
    "a requirement without a key word is found",
    old = "MUST begin at `credit`",
    new = "must begin at `credit`",
    complaint = "has 0 key words",
  },
  {
    "two sentences in one requirement are found",
    old = "as the new totals of the grant, never",
    new = "as the new totals. It is never",
    complaint = "is more than one sentence",
  },
  {
    "a key word outside a requirement is found",
    old = "There is no other acknowledgement.",
    new = "It MUST come.",
    complaint = "the key word MUST stands outside a requirement",
  },
  {
    "a key word in a table is found",
    old = "| `failed` | context |",
    new = "| `failed` | context MAY |",
    complaint = "the key word MAY stands in a table",
  },
  {
    "a key word in a reason is found",
    old = "> No refunds:",
    new = "> There SHOULD be no refunds:",
    complaint = "the key word SHOULD stands outside a requirement",
  },
  {
    "a mark of another form is found",
    old = "*(untestable: ",
    new = "*(it is untestable: ",
    complaint = "the mark is *(untestable: reason)* at the end",
  },
  {
    "a mention of a requirement that is none is found",
    old = "([VALUE-010])",
    new = "([VALUE-910])",
    complaint = "VALUE-910 is no requirement",
  },
  {
    "an index that lacks a requirement is found",
    old = "| CREDIT-004 | `MUST`",
    new = "| CREDIT-003 | `MUST`",
    complaint = "the index lacks CREDIT-004",
  },
  {
    "an index with another level is found",
    old = "| CREDIT-004 | `MUST`",
    new = "| CREDIT-004 | `MAY`",
    complaint = "the requirement index is not what the text says",
  },
  {
    "a link to a heading that does not exist is found",
    old = "(#12-credit)",
    new = "(#12-debit)",
    complaint = "the link to #12-debit leads nowhere",
  },
  {
    "a link to a file that does not exist is found",
    old = "[Credit](#12-credit)",
    new = "[Credit](docs/no-such-page.md)",
    complaint = "the link to docs/no-such-page.md leads nowhere",
  },
  {
    "a chapter that does not exist is found",
    old = "(chapter 6)",
    new = "(chapter 66)",
    complaint = "there is no chapter 66",
  },
  {
    "a schema that is used and not defined is found",
    old = "? limits: limits,",
    new = "? limits: bounds,",
    complaint = "the schema bounds is used and not defined",
  },
  {
    "a schema that nobody uses is found",
    old = "target = tstr .size",
    new = "spare = tstr\ntarget = tstr .size",
    complaint = "the schema spare is defined and not used",
  },
  {
    "a frame that does not exist is found",
    old = "An opener cancels a context with CANCEL",
    new = "An opener cancels a context with RESET",
    complaint = "RESET is no frame of this protocol",
  },
  {
    "a code that does not exist is found",
    old = "is a violation `frame`.",
    new = "is a violation `frayme`.",
    complaint = "frayme is no code of BYE",
  },
  {
    "an error code as a violation is found",
    old = "is a violation `frame`.",
    new = "is a violation `no_target`.",
    complaint = "no_target is no code of BYE",
  },
  {
    "a state that is missing from the text is found",
    old = "`waiting` (OPEN is complete), ",
    new = "",
    complaint = "the state waiting of opener is not named",
  },
  {
    "a cell that is none is found",
    old = "| closing (answers BYE) |",
    new = "| shut (answers BYE) |",
    complaint = '"shut" is no cell',
  },
  {
    "a cell that differs from the engine's is found",
    old = "| waiting | started | violation state |",
    new = "| waiting | started | waiting |",
    complaint = "opener, waiting on ITEM: waiting here, violation state in the engine",
    engine = true,
  },
  {
    "an event that the engine has not is found",
    old = "| state | send ITEM | send END | STOP |",
    new = "| state | send ITEM | send END | HALT |",
    complaint = "out, open on HALT: the engine has no such cell",
    engine = true,
  },
  {
    "another number of a kind is found",
    old = "| CREDIT | `15` |",
    new = "| CREDIT | `1a` |",
    complaint = "CREDIT is 1a here",
    engine = true,
  },
  {
    "a code that the engine has not is found",
    old = "| `ids` | link |",
    new = "| `idz` | link |",
    complaint = "the engine has no code idz",
    engine = true,
  },
  {
    "another safety of a retry is found",
    old = "| `closing` | context | callee's protocol layer; opener locally | yes |",
    new = "| `closing` | context | callee's protocol layer; opener locally | no |",
    complaint = "whether closing is safe to retry differs",
    engine = true,
  },
  {
    "another default of a limit is found",
    old = "| contexts | contexts | 16 | 256 |",
    new = "| contexts | contexts | 16 | 257 |",
    complaint = "the default of contexts is 257 here",
    engine = true,
  },
  {
    "a vector that says something else than its bytes is found",
    old = 'means: OPEN 1 {"target": "tck.echo", "args": [7]}',
    new = 'means: OPEN 1 {"target": "tck.echo", "args": [8]}',
    complaint = "vector call says",
  },
  {
    "a vector with bytes missing is found",
    old = "hex: 00 00 01 17 00 00 00 00 00 00 00 01 07",
    new = "hex: 00 00 01 17 00 00 00 00 00 00 00 01",
    complaint = "vector call-return: payload cut short",
  },
  {
    "a vector after one that does not exist is found",
    old = "after: duplex-started",
    new = "after: duplex-begun",
    complaint = "comes after duplex-begun, which does not exist",
  },
  {
    "a vector that the engine does not refuse is found",
    old = 'means: PING "are you there"',
    new = "violation: value",
    complaint = "vector ping: the engine finds no violation",
    engine = true,
  },
  {
    "a vector that the engine answers otherwise is found",
    old = 'answers: PONG "are you there"',
    new = 'answers: PONG "I am here"',
    complaint = "vector ping: the engine answers PONG",
    engine = true,
  },
  {
    "a vector that the engine refuses otherwise is found",
    old = "15 00 00 00 00 00 00 00 01 92 01 cd 03 e8 violation: credit",
    new = "15 00 00 00 00 00 00 00 01 92 01 cd 03 e8\nviolation: state",
    complaint = "vector credit-smaller: the engine finds violation credit",
    engine = true,
  },
}
for _, case in ipairs(DEFECTS) do refuses(case) end

do
  local status, said = run((spec:gsub("| CREDIT%-004 |[^\n]*\n", "", 1)), "--fix")
  local fixed = assert(io.open(copy, "rb"))
  local text = fixed:read("a")
  fixed:close()
  report(status == 0 and text == spec, "--fix writes the index anew and nothing else", said)
end

do
  local page = os.tmpname()
  local out = assert(io.open(page, "wb"))
  out:write("Serves CREDIT-001.\nServes CREDIT-999, over UTF-8 and by RFC-2119.\n")
  out:close()
  local status, said = run(spec, "--citing " .. page)
  report(status == 1 and said == page .. ":2: CREDIT-999 is no requirement\n",
         "a page that cites a requirement that is none is found", said)
  os.remove(page)
end

os.remove(copy)
print("1.." .. count)
os.exit(failed == 0)
