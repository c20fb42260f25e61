-- SPDX-License-Identifier: MIT
--
-- What a control payload must look like (tables of chapter 7, appendix A). Each payload is a list
-- of fields; checking one returns a plain Lua table with every default filled in, or raises a
-- violation. The same lists say where the depth of user values begins to count, see `shape`.

local codec = require "peer.codec"
local frame = require "peer.frame"
local hooks = require "peer.hooks"

local M = {}

function M.violation(code, message, ...)
  return { violation = code, message = string.format(message, ...) }
end

local function is_uint(v) return math.type(v) == "integer" and v >= 0 and v <= frame.MAX_ID end
local function is_str(v) return type(v) == "string" end
local function is_bool(v) return type(v) == "boolean" end
local function is_text(max, min)
  return function(v) return is_str(v) and #v <= max and #v >= (min or 0) end
end
local function is_bare_ref(v) return codec.is_ref(v) and #v.addresses == 0 end

local function all(v, check)
  if not codec.is_array(v) then return false end
  for _, e in ipairs(v) do
    if not check(e) then return false end
  end
  return true
end

local function is_range(v) return #v == 2 and v[1] <= v[2] end
local function is_version(v) return math.type(v) == "integer" and v >= 1 and v <= 65535 end

local function has_str_keys(v)
  if not codec.is_map(v) then return false end
  for key in pairs(v) do
    if type(key) ~= "string" then return false end
  end
  return true
end

local ORIGINS = {
  requested = true, error = true, deadline = true, parent = true, shutdown = true, link_lost = true,
}
local function is_origin(v) return ORIGINS[v] == true end

function M.is_credit(v) return all(v, is_uint) and #v == 2 end

-- --- one map -------------------------------------------------------------------------------------

-- Checks `map` against `fields`: {key, check, default} each. A default that is a function makes
-- one.
local REQUIRED = {}

local function check_map(what, map, fields)
  local function bad(why, ...)
    error(M.violation("schema", what .. ": " .. why, ...), 0)
  end
  if not codec.is_map(map) then bad("not a map") end
  if not has_str_keys(map) then bad("a key that is not a str") end
  if hooks.refuses_equal_keys(what) and codec.has_equal_keys(map) then bad("a key occurs twice") end
  local result = {}
  for _, field in ipairs(fields) do
    local key, check, default = field[1], field[2], field[3]
    local v = map[key]
    if v == nil then
      if default == REQUIRED and hooks.requires(what, key) then bad("%s is missing", key) end
      if type(default) == "function" then default = default() end
      if default ~= REQUIRED then result[key] = default end
    elseif hooks.accepts_field(what, key, v, check(v)) then
      result[key] = v
    else
      bad("%s has the wrong type or is out of range", key)
    end
  end
  return result
end

-- --- the payloads --------------------------------------------------------------------------------

local function any() return true end

local LIMITS = {
  { "frame", is_uint }, { "message", is_uint }, { "contexts", is_uint }, { "partials", is_uint },
}
M.LIMITS = { frame = 65536, message = 1048576, contexts = 256, partials = 8 }
M.MINIMA = { frame = 16384, contexts = 16, partials = 1 }

-- The limits that a peer announced, or nil where one is too small [LIMIT-001, LIMIT-002,
-- LIMIT-003].
local function limits(map)
  local said = check_map("limits of HELLO", map, LIMITS)
  local l = {}
  for name, default in pairs(M.LIMITS) do l[name] = said[name] or default end
  if not said.message then l.message = math.max(l.message, l.frame) end
  for name, minimum in pairs(M.MINIMA) do
    if l[name] < hooks.minimum(name, minimum) then return nil end
  end
  if l.message < l.frame then return nil end
  l.frame = math.min(l.frame, frame.MAX_FRAME)
  return l
end

local HELLO = {
  { "copse", function(v) return all(v, is_version) and is_range(v) end, REQUIRED },
  { "actor", codec.is_ref, REQUIRED },
  { "agent", is_str, "" },
  { "limits", codec.is_map, codec.map },
  { "features", function(v) return all(v, is_str) end, codec.array },
  { "heartbeat", function(v) return v == 0 or is_uint(v) and v >= 1000 end, 0 },
  { "token", function(v) return codec.is_bin(v) and #v.bytes >= 1 and #v.bytes <= 1024 end },
}

local BYE = {
  { "code", is_text(64, 1), REQUIRED },
  { "message", is_str, "" },
  { "context", is_uint, 0 },
  { "last", is_uint, 0 },
}

local OPEN = {
  { "target", is_text(255, 1), REQUIRED },
  { "args", function(v) return codec.is_array(v) or codec.is_map(v) end, codec.array },
  { "send", is_bool, false },
  { "credit", M.is_credit },
  { "deadline", is_uint },
  { "traceparent", is_str },
  { "meta", has_str_keys, codec.map },
}

local CANCEL = {
  { "origin", is_origin, REQUIRED },
  { "by", is_bare_ref },
  { "message", is_str },
  { "grace", is_uint },
}

local CANCELLED = {
  { "origin", is_origin, REQUIRED },
  { "ran", is_bool, REQUIRED },
  { "by", is_bare_ref },
  { "message", is_str },
}

local ERROR = {
  { "code", is_text(64, 1), REQUIRED },
  { "message", is_str, REQUIRED },
  { "type", is_str },
  { "stack", is_str },
  { "actor", is_bare_ref },
  { "via", function(v) return all(v, is_bare_ref) and #v <= 32 end, codec.array },
  { "causes", codec.is_array, codec.array },
  { "data", any },
  { "cancelled", is_bool, false },
}

M.CAUSES_DEPTH, M.CAUSES = 8, 64

-- An error and, below it, its causes: at most 8 levels, at most 64 in all [ERROR-008].
local function check_error(map, depth, count)
  local err = check_map("ERROR", map, ERROR)
  count.n = count.n + #err.causes
  if #err.causes > 0 and (depth >= M.CAUSES_DEPTH or count.n > M.CAUSES) then
    error(M.violation("schema", "ERROR: causes out of range"), 0)
  end
  for i, cause in ipairs(err.causes) do
    err.causes[i] = check_error(cause, depth + 1, count)
  end
  return err
end

local checks = {
  HELLO = function(map)
    local hello = check_map("HELLO", map, HELLO)
    hello.limits = limits(hello.limits)
    if not hello.limits then error(M.violation("schema", "HELLO: a limit below its minimum"), 0) end
    return hello
  end,
  BYE = function(map) return check_map("BYE", map, BYE) end,
  OPEN = function(map) return check_map("OPEN", map, OPEN) end,
  CANCEL = function(map) return check_map("CANCEL", map, CANCEL) end,
  CANCELLED = function(map) return check_map("CANCELLED", map, CANCELLED) end,
  ERROR = function(map) return check_error(map, 0, { n = 0 }) end,
  CREDIT = function(v)
    if not M.is_credit(v) then error(M.violation("schema", "CREDIT: not two totals"), 0) end
    return { items = v[1], bytes = v[2] }
  end,
}

-- How deep the values in a payload may be: causes, however deep they nest, are control maps each.
local plain, err = codec.control(), codec.control()
err.keys.causes = { fresh = true, each = err }
local shapes = {
  HELLO = plain, BYE = plain, OPEN = plain, CANCEL = plain, CANCELLED = plain, ERROR = err,
}

-- The content of a payload of `kind`, checked; raises a violation. END and STOP have none.
function M.read(kind, payload)
  if kind == "END" or kind == "STOP" then return nil end
  local v, why = codec.try_decode(payload, shapes[kind])
  if why then error(M.violation("value", "%s: %s", kind, why), 0) end
  local check = checks[kind]
  if check then return check(v) end
  return v
end

return M
