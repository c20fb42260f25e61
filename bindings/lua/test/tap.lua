-- SPDX-License-Identifier: MIT
-- Tests in sentences, printed as TAP. A test is a function that raises when
-- something is wrong; tests run one after the other in the task that asks for them.
-- A watchdog outside catches those that hang.
local copse = require "copse"

local tap = { count = 0, failed = 0 }

local function text(v)
  if type(v) == "string" then return string.format("%q", v) end
  if type(v) ~= "table" then return tostring(v) end
  local parts = {}
  for k, e in pairs(v) do parts[#parts + 1] = "[" .. text(k) .. "]=" .. text(e) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

function tap.is(got, expected, what)
  if not same(got, expected) then
    error(string.format("%s: got %s, expected %s", what or "value", text(got), text(expected)), 2)
  end
end

function tap.ok(value, what)
  if not value then error((what or "a condition") .. " does not hold", 2) end
  return value
end

function tap.like(got, pattern)
  if not tostring(got):find(pattern) then
    error(string.format("%s does not match %q", text(tostring(got)), pattern), 2)
  end
end

-- Calls fn, which must raise; its error must match the pattern. Returns the error.
function tap.raises(pattern, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("nothing was raised", 2) end
  if not tostring(err):find(pattern) then
    error(string.format("%s does not match %q", text(tostring(err)), pattern), 2)
  end
  return err
end

function tap.test(name, fn)
  tap.count = tap.count + 1
  local ok, err = xpcall(fn, function(e)
    return type(e) == "string" and debug.traceback(e, 2) or copse.report(e)
  end)
  print((ok and "ok " or "not ok ") .. tap.count .. " - " .. name)
  if not ok then
    tap.failed = tap.failed + 1
    for line in tostring(err):gmatch("[^\n]+") do print("# " .. line) end
  end
end

function tap.done()
  print("1.." .. tap.count)
  if tap.failed > 0 then os.exit(1) end
end

return tap
