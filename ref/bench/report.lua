-- SPDX-License-Identifier: MIT
--
-- Runs the benchmarks and writes down what they say: `make bench`.
--
--     lua5.4 ref/bench/report.lua [--rounds N] [--only WORD] [--json FILE] [--docs FILE]
--
-- A figure alone says little: machines differ, and the same machine differs from minute to minute.
-- So each round runs every limit and every measurement once, one after another, and what counts is
-- the ratio of the two in the same round; reported are the medians over the rounds.

local build = os.getenv "BUILD" or "build"
local copse = os.getenv "COPSE" or build .. "/copse"

-- ---- what is measured ----

local function program(name) return build .. "/bench/" .. name .. "_bench " end
local lua = copse .. " run ref/bench/actors.lua "

local small_spawn = lua .. "spawn 20"

-- A ratio is Copse's figure by that of the limit. goal: "<= 1.3" where less is better; none where
-- the figure is only told.
local MEASURES = {
  { name = "rtt.stream.c", unit = "us", goal = "<= 1.3",
    what = "64-byte item there and back, C, one core", against = "raw unix socket, blocking",
    limit = program "rtt" .. "raw 30000", copse = program "rtt" .. "stream 30000" },
  { name = "rtt.stream.lua", unit = "us", goal = "<= 2",
    what = "the same in Lua", against = "raw unix socket, blocking",
    limit = program "rtt" .. "raw 30000", copse = "BENCH_CPUS=0 " .. lua .. "stream 30000" },
  { name = "rtt.call.c", unit = "us", goal = "<= 1.6",
    what = "call with a 64-byte argument that returns it, C", against = "raw unix socket, blocking",
    limit = program "rtt" .. "raw 30000", copse = program "rtt" .. "call 30000" },
  { name = "rate.64.c", unit = "items/s", goal = ">= 0.6",
    what = "64-byte items one way, C, two cores",
    against = "libuv in batches, msgpack-c per message",
    limit = program "rate" .. "uv64 8000000", copse = program "rate" .. "copse64 4000000" },
  { name = "rate.64.lua", unit = "items/s", goal = ">= 0.15",
    what = "the same in Lua", against = "libuv in batches, msgpack-c per message",
    limit = program "rate" .. "uv64 8000000", copse = lua .. "rate 1000000" },
  { name = "rate.64k.c", unit = "GB/s", goal = ">= 0.8",
    what = "64 KiB items one way, C, two cores", against = "raw unix socket, 64 KiB writes",
    limit = program "rate" .. "raw64k 40000", copse = program "rate" .. "copse64k 40000" },
  { name = "spawn.lua", unit = "us", goal = "<= 1.6",
    what = "spawn of a Lua actor until its first answer",
    against = "posix_spawn of a bare program to its first byte",
    limit = program "bare" .. "spawn 20", copse = small_spawn },
  { name = "spawn.lua.cold", unit = "us",
    what = "the same of an actor that is executed: the first one of a parent",
    against = "posix_spawn of a bare program to its first byte",
    limit = program "bare" .. "spawn 20", copse = lua .. "cold 20" },
  { name = "spawn.lua.1g", unit = "us", goal = "<= 1.2",
    what = "the same from a parent of 1 GB", against = "from a small parent",
    limit = small_spawn, copse = lua .. "spawn 20 1024" },
  { name = "down.100", unit = "ms", goal = "<= 2",
    what = "graceful end of 100 Lua actors, all reaped",
    against = "closing 100 bare programs' sockets and waiting",
    limit = program "bare" .. "down 100", copse = lua .. "down 100" },
  { name = "mem.actor", unit = "KiB", goal = "<= 1.5",
    what = "proportional memory of an idle Lua actor, one of nine",
    against = "the bare program, one of nine",
    limit = program "bare" .. "memory 9", copse = lua .. "memory 9" },
  { name = "mem.template", unit = "KiB",
    what = "that of the template of the nine, which is there once for all children of a parent",
    against = "the bare program, one of nine",
    limit = program "bare" .. "memory 9", copse = lua .. "template 9" },
}

-- ---- arguments ----

local options = { rounds = "7" }
do
  local i = 1
  while i <= #arg do
    local name = arg[i]:match "^%-%-(%a+)$"
    if not name or not arg[i + 1] or not ({ rounds = 1, only = 1, json = 1, docs = 1 })[name] then
      io.stderr:write("usage: report.lua [--rounds N] [--only WORD] [--json FILE] [--docs FILE]\n")
      os.exit(2)
    end
    options[name] = arg[i + 1]
    i = i + 2
  end
end
local rounds = math.tointeger(options.rounds)
if not rounds or rounds < 1 then
  io.stderr:write("report.lua: --rounds takes a number of at least 1\n")
  os.exit(2)
end

local function fail(format, ...)
  io.stderr:write(("\nbench: " .. format .. "\n"):format(...))
  os.exit(1)
end

-- ---- running ----

local on_terminal = os.execute("test -t 2")

local function progress(text)
  if on_terminal then io.stderr:write("\r" .. text .. "\27[K") end
end

-- The first two processors that this process may use, as the programs want them.
local function processors()
  for line in io.lines("/proc/self/status") do
    local list = line:match("^Cpus_allowed_list:%s*(.*)")
    if list then
      local cpus = {}
      for first, last in list:gmatch("(%d+)%-?(%d*)") do
        for cpu = tonumber(first), tonumber(last) or tonumber(first) do
          if #cpus < 2 then cpus[#cpus + 1] = cpu end
        end
      end
      return table.concat(cpus, " ")
    end
  end
  return "0"
end

local cpus = processors()

-- Sockets are where a session has them: in memory. A machine without sessions has /dev/shm.
local runtime_directory
local function output_of(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe:read("a"):gsub("%s+$", "")
  pipe:close()
  return text
end
if output_of "stat -f -c %T \"${COPSE_RUNTIME_DIR:-$XDG_RUNTIME_DIR}\"" ~= "tmpfs" then
  runtime_directory = output_of "mktemp -d /dev/shm/copse-bench.XXXXXX"
  if runtime_directory == "" then fail("no directory can be made in /dev/shm") end
end

local function clean_up()
  if runtime_directory then os.execute("rm -rf " .. runtime_directory) end
end

-- Runs a command that prints one number. A hang is cut off; nothing else depends on time.
local function run(command)
  local directory = runtime_directory and "COPSE_RUNTIME_DIR=" .. runtime_directory .. " " or ""
  local environment = directory .. ("BENCH_CPUS='%s' "):format(cpus)
  local only = command:match("^BENCH_CPUS=0 (.*)")
  if only then
    environment = directory .. ("BENCH_CPUS='%s' "):format(cpus:match("%d+"))
    command = only
  end
  local pipe = io.popen(environment .. "timeout 120 " .. command, "r")
  local number = tonumber(pipe:read("a"))
  if not pipe:close() or not number then
    clean_up()
    fail("this failed: %s", command)
  end
  return number
end

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) / 2
  return (sorted[math.floor(middle)] + sorted[math.ceil(middle)]) / 2
end

local measures = {}
for _, m in ipairs(MEASURES) do
  if m.name:find(options.only or "", 1, true) then
    m.values, m.limits, m.ratios = {}, {}, {}
    measures[#measures + 1] = m
  end
end
if #measures == 0 then fail("nothing is called %s", options.only) end

for round = 1, rounds do
  -- What several measure themselves against is measured once a round.
  local seen = {}
  local function once(command)
    seen[command] = seen[command] or run(command)
    return seen[command]
  end
  for _, m in ipairs(measures) do
    progress(("round %d of %d: %s"):format(round, rounds, m.name))
    m.limits[round] = once(m.limit)
    m.values[round] = once(m.copse)
    m.ratios[round] = m.values[round] / m.limits[round]
  end
end
progress("")
clean_up()

-- ---- reporting ----

local function met(m)
  if not m.goal then return true end
  local relation, bound = m.goal:match("^([<>]=) (.*)$")
  if relation == "<=" then return m.ratio <= tonumber(bound) end
  return m.ratio >= tonumber(bound)
end

for _, m in ipairs(measures) do
  m.value, m.bound, m.ratio = median(m.values), median(m.limits), median(m.ratios)
  m.met = met(m)
end

local function figure(number, unit)
  if number >= 1e6 then return ("%.1f M %s"):format(number / 1e6, unit) end
  if number >= 1e4 then return ("%.0f k %s"):format(number / 1e3, unit) end
  return (number < 10 and "%.2f %s" or number < 100 and "%.1f %s" or "%.0f %s"):format(number, unit)
end

local rows = { { "", "Copse", "limit", "ratio", "goal", "" } }
for _, m in ipairs(measures) do
  rows[#rows + 1] = { m.name, figure(m.value, m.unit), figure(m.bound, m.unit),
    ("%.2f"):format(m.ratio), m.goal or "", not m.goal and "" or m.met and "met" or "MISSED" }
end
local widths = {}
for _, row in ipairs(rows) do
  for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
end
for _, row in ipairs(rows) do
  local cells = {}
  for i, cell in ipairs(row) do
    local left = i == 1 or i == 6
    local space = (" "):rep(widths[i] - #cell)
    cells[i] = left and cell .. space or space .. cell
  end
  print((table.concat(cells, "  "):gsub("%s+$", "")))
end

local function write(path, text)
  local file, why = io.open(path, "w")
  if not file then fail("%s", why) end
  file:write(text)
  file:close()
end

if options.json then
  local objects = {}
  for i, m in ipairs(measures) do
    objects[i] = ('  {"name": "%s", "value": %.6g, "unit": "%s", "limit": %.6g, "ratio": %.4f, ' ..
      '"goal": %s, "met": %s, "rounds": %d}')
      :format(m.name, m.value, m.unit, m.bound, m.ratio,
        m.goal and ('"%s"'):format(m.goal) or "null", m.met, rounds)
  end
  write(options.json, "[\n" .. table.concat(objects, ",\n") .. "\n]\n")
end

if options.docs then
  local file, why = io.open(options.docs)
  if not file then fail("%s", why) end
  local text = file:read("a")
  file:close()
  local lines = {
    "| | what | against | Copse | limit | ratio | goal |",
    "|---|---|---|--:|--:|--:|--:|",
  }
  for _, m in ipairs(measures) do
    local bold = m.met and "" or "**"
    lines[#lines + 1] = ("| `%s` | %s | %s | %s | %s | %s%.2f%s | %s |"):format(m.name, m.what,
      m.against, figure(m.value, m.unit), figure(m.bound, m.unit), bold, m.ratio, bold,
      m.goal or "")
  end
  local table_text = table.concat(lines, "\n")
  local from, to = text:find("<!%-%- bench:begin %-%->.-<!%-%- bench:end %-%->")
  if not from then fail("%s has no place for the table", options.docs) end
  write(options.docs, text:sub(1, from - 1) .. "<!-- bench:begin -->\n" ..
    ("%d rounds, medians.\n\n"):format(rounds) .. table_text .. "\n<!-- bench:end -->" ..
    text:sub(to + 1))
end
