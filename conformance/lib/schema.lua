-- SPDX-License-Identifier: MIT
--
-- The schemas of appendix A, as code.
--
-- `check` looks at one decoded control payload and names the first thing that is wrong with it,
-- together with the requirement that says so. It serves the monitor, which applies it to every
-- frame in both directions.

local value = require "value"

local M = {}

local max_count = (1 << 53) - 1

local function is_count(v) return math.type(v) == "integer" and v >= 0 and v <= max_count end
local function is_str(v) return type(v) == "string" end
local function is_bool(v) return type(v) == "boolean" end
local function sized(min, max)
  return function(v) return type(v) == "string" and #v >= min and #v <= max end
end

local function is_pair(v)
  return value.is_array(v) and v.n == 2 and is_count(v[1]) and is_count(v[2])
end

-- A reference without addresses.
local function is_name(v)
  if not value.is_ref(v) then return false end
  if #v.addresses > 0 then return false, "VALUE-018", "a reference with addresses" end
  return true
end

local function is_version(v) return math.type(v) == "integer" and v >= 1 and v <= 65535 end

local function is_range(v)
  return value.is_array(v) and v.n == 2 and is_version(v[1]) and is_version(v[2]) and v[1] <= v[2]
end

local function is_features(v)
  if not value.is_array(v) then return false end
  for i = 1, v.n do if not is_str(v[i]) then return false end end
  return true
end

local function is_limits(v)
  if not value.is_map(v) then return false end
  local frame = is_count(v.frame) and v.frame or 0
  local minimum = { frame = 16384, message = math.max(16384, frame), contexts = 16, partials = 1 }
  for name, least in pairs(minimum) do
    local n = v[name]
    if n ~= nil and (not is_count(n) or n < least) then
      return false, "LIMIT-002", name .. " is " .. value.show(n)
    end
  end
  return true
end

local function is_heartbeat(v) return is_count(v) and (v == 0 or v >= 1000) end
local function is_token(v) return value.is_bin(v) and #v.bytes >= 1 and #v.bytes <= 1024 end

local function is_user(v)
  local depth = value.depth(v)
  if depth > 32 then return false, "VALUE-008", "nested " .. depth .. " deep" end
  return true
end

local function is_args(v)
  if not (value.is_array(v) or value.is_map(v)) then return false end
  return is_user(v)
end

local function is_meta(v)
  if not value.is_map(v) then return false end
  for k in pairs(v) do if type(k) ~= "string" then return false end end
  return is_user(v)
end

local function is_via(v)
  if not value.is_array(v) or v.n > 32 then return false end
  for i = 1, v.n do
    local good, req, text = is_name(v[i])
    if not good then return false, req, text end
  end
  return true
end

local fields = {}

-- Causes: [ERROR-008] bounds their depth and their number.
local function is_causes(v, count, depth)
  if not value.is_array(v) then return false end
  if depth > 8 then return false, "ERROR-008", "causes nest deeper than 8" end
  for i = 1, v.n do
    count.n = count.n + 1
    if count.n > 64 then return false, "ERROR-008", "more than 64 causes" end
    local e = v[i]
    if not value.is_map(e) then return false end
    for _, f in ipairs(fields.ERROR) do
      local name, required, test = f[1], f[2], f[3]
      if e[name] == nil then
        if required then return false, nil, "a cause lacks " .. name end
      elseif name == "causes" then
        local good, req, text = is_causes(e[name], count, depth + 1)
        if not good then return false, req, text end
      else
        local good, req, text = test(e[name])
        if not good then return false, req, text or "a cause with " .. name end
      end
    end
  end
  return true
end

local origins = {
  requested = true, error = true, deadline = true, parent = true, shutdown = true, link_lost = true,
}
local function is_origin(v) return type(v) == "string" and origins[v] ~= nil end

-- name, required, test
fields.HELLO = {
  { "copse", true, is_range }, { "actor", true, value.is_ref }, { "agent", false, is_str },
  { "limits", false, is_limits }, { "features", false, is_features },
  { "heartbeat", false, is_heartbeat }, { "token", false, is_token },
}
fields.BYE = {
  { "code", true, sized(1, 64) }, { "message", false, is_str }, { "context", false, is_count },
  { "last", false, is_count },
}
fields.OPEN = {
  { "target", true, sized(1, 255) }, { "args", false, is_args }, { "send", false, is_bool },
  { "credit", false, is_pair }, { "deadline", false, is_count },
  { "traceparent", false, is_str }, { "meta", false, is_meta },
}
fields.CANCEL = {
  { "origin", true, is_origin }, { "by", false, is_name }, { "message", false, is_str },
  { "grace", false, is_count },
}
fields.ERROR = {
  { "code", true, sized(1, 64) }, { "message", true, is_str }, { "type", false, is_str },
  { "stack", false, is_str }, { "actor", false, is_name }, { "via", false, is_via },
  { "causes", false, function(v) return is_causes(v, { n = 0 }, 1) end },
  { "data", false, is_user }, { "cancelled", false, is_bool },
}
fields.CANCELLED = {
  { "origin", true, is_origin }, { "by", false, is_name }, { "message", false, is_str },
  { "ran", true, is_bool },
}

-- What is wrong with the payload of a frame of this kind: a text and a requirement, or nothing.
function M.check(kind, v, repeated)
  if kind == "CREDIT" then
    if not is_pair(v) then return "CREDIT is not an array of two counts", "VALUE-012" end
    return
  end
  local list = fields[kind]
  if not list then
    local good, req, text = is_user(v)
    if not good then return text, req end
    return
  end
  if not value.is_map(v) then return kind .. " is not a map", "VALUE-012" end
  for k in pairs(v) do
    if type(k) ~= "string" then return kind .. " has a key that is not a str", "VALUE-012" end
  end
  for _, f in ipairs(list) do
    local name, required, test = f[1], f[2], f[3]
    local field = v[name]
    if field == nil then
      if required then return kind .. " lacks " .. name, "VALUE-012" end
    elseif field == value.null and name ~= "data" then
      return kind .. " has " .. name .. " with nil in place of leaving it out", "VALUE-013"
    else
      local good, req, text = test(field)
      if not good then
        return kind .. ": " .. name .. " is " .. value.show(field) .. (text and " (" .. text
          .. ")" or ""),
          req or "VALUE-012"
      end
    end
    for _, k in ipairs(repeated or {}) do
      if k == name and kind ~= "ERROR" then
        return kind .. " has " .. name .. " twice", "VALUE-010"
      end
    end
  end
end

return M
