-- SPDX-License-Identifier: MIT
--
-- Defects in chapter 5: what is a value, what a control payload must hold, actor references.

local function no_field_is_wrong(p, key)
  p.wrap(p.hooks, "accepts_field", function(real, what, k, value, fits)
    return k == key or real(what, k, value, fits)
  end)
end

return {
  {
    name = "bytes-after-the-value", title = "takes a payload with bytes after the value",
    breaks = { "VALUE-001", "VALUE-015" }, symptom = "BYE value / nothing within",
    patch = function(p)
      p.wrap(p.codec, "decode", function(real, bytes, shape)
        local ok, v = pcall(real, bytes, shape)
        if ok then return v end
        local n = type(v) == "table" and v.malformed and v.malformed:match("^(%d+) bytes after")
        if not n then error(v, 0) end
        return real(bytes:sub(1, -1 - n), shape)
      end)
    end,
  },
  {
    name = "ping-of-nothing", title = "takes a PING whose payload is no value",
    breaks = { "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p)
      p.wrap(p.link.Link, "take_PING", function(real, self, payload)
        if payload ~= "" and payload ~= "\xc1" then return real(self, payload) end
        self.outbox:answer_ping(payload)
      end)
    end,
  },
  {
    name = "takes-c1", title = "reads the byte c1 as nil",
    breaks = { "VALUE-001" }, symptom = 'BYE value / BYE {"code": "schema"',
    patch = function(p) p.codec.readers[0xc1] = p.codec.readers[0xc0] end,
  },
  {
    name = "str-of-any-bytes", title = "takes a str that is not UTF-8",
    breaks = { "VALUE-002", "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p) function p.codec.is_utf8() return true end end,
  },
  {
    name = "lax-utf8", title = "takes surrogates in a str",
    breaks = { "VALUE-002", "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p) function p.codec.is_utf8(s) return utf8.len(s, 1, -1, true) ~= nil end end,
  },
  {
    name = "wraps-large-integers", title = "takes integers above 2^63-1 and makes them negative",
    breaks = { "VALUE-003", "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p) p.codec.readers[0xcf] = p.codec.readers[0xd3] end,
  },
  {
    name = "any-map-key", title = "takes a map key of any type",
    breaks = { "VALUE-004", "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p) function p.codec.is_key() return true end end,
  },
  {
    name = "no-integer-keys", title = "refuses integers as the keys of a map",
    breaks = { "VALUE-004" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p) function p.codec.is_key(v) return type(v) == "string" end end,
  },
  {
    name = "sends-equal-keys", title = "sends a map with a key twice",
    breaks = { "VALUE-005" }, symptom = "a map with every key once / RETURN",
    patch = function(p)
      p.wrap(p.context.Context, "conclude", function(real, self, kind, payload, reply)
        if kind == "RETURN" and self.target == "tck.stat" then
          local pid = p.codec.encode(math.tointeger(require "luv".os_getpid()))
          payload = string.char(payload:byte(1) + 1) .. payload:sub(2) .. "\xa3pid" .. pid
        end
        return real(self, kind, payload, reply)
      end)
    end,
  },
  {
    name = "shortest-forms-only", title = "refuses an integer that has a shorter form",
    breaks = { "VALUE-006", "VALUE-004" }, symptom = "RETURN on context 1 / BYE",
    patch = function(p)
      for byte, least in pairs { [0xcc] = 0x80, [0xcd] = 0x100, [0xce] = 0x10000 } do
        p.wrap(p.codec.readers, byte, function(real, d)
          local v = real(d)
          if v < least then error({ malformed = "not the shortest form" }, 0) end
          return v
        end)
      end
    end,
  },
  {
    name = "no-binary32", title = "refuses floats of four bytes",
    breaks = { "VALUE-006" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p) p.codec.readers[0xca] = nil end,
  },
  {
    name = "no-long-strings",
    title = "refuses a str of the long formats that would fit a short one",
    breaks = { "VALUE-006", "VALUE-008", "VALUE-011" }, symptom = '/ BYE {"code": "value"',
    patch = function(p)
      for byte, least in pairs { [0xd9] = 32, [0xda] = 0x100, [0xdb] = 0x10000 } do
        p.wrap(p.codec.readers, byte, function(real, d)
          local v = real(d)
          if #v < least then error({ malformed = "not the shortest form" }, 0) end
          return v
        end)
      end
    end,
  },
  {
    name = "nests-too-deep", title = "takes a value of one level more than is allowed",
    breaks = { "VALUE-008" }, symptom = "BYE value / nothing within",
    patch = function(p) p.codec.DEPTH = 33 end,
  },
  {
    name = "nests-too-little", title = "refuses a value of the deepest level that is allowed",
    breaks = { "VALUE-008", "VALUE-011" }, symptom = "a link that goes on / BYE",
    patch = function(p) p.codec.DEPTH = 31 end,
  },
  {
    name = "counts-the-control-map",
    title = "counts depth from the control map, not from its values",
    breaks = { "VALUE-008", "VALUE-011" }, symptom = "a link that goes on / BYE",
    patch = function(p)
      p.wrap(p.codec, "try_decode", function(real, bytes) return real(bytes) end)
    end,
  },
  {
    name = "equal-keys-in-limits", title = "takes a limit that occurs twice",
    breaks = { "VALUE-010" }, symptom = "BYE schema / nothing within",
    patch = function(p)
      function p.hooks.refuses_equal_keys(what) return what ~= "limits of HELLO" end
    end,
  },
  {
    name = "unknown-keys-are-faults",
    title = "takes a key of OPEN that it does not know for a fault",
    breaks = { "VALUE-011", "EXT-004", "KIND-018" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p)
      local known = {
        target = true, args = true, send = true, credit = true, deadline = true,
        traceparent = true, meta = true,
      }
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind ~= "OPEN" then return result end
        for key in pairs(p.codec.decode(payload)) do
          if not known[key] then error(p.schema.violation("schema", "OPEN: %s", key), 0) end
        end
        return result
      end)
    end,
  },
  {
    name = "cancel-without-origin", title = "takes a CANCEL without origin",
    breaks = { "VALUE-012", "LINK-013" }, symptom = "BYE schema / nothing within",
    patch = function(p)
      function p.hooks.requires() return false end
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "CANCEL" then result.origin = result.origin or "requested" end
        if kind == "OPEN" then result.target = result.target or "tck.echo" end
        if kind == "ERROR" then
          result.code, result.message = result.code or "failed", result.message or ""
        end
        if kind == "CANCELLED" then result.origin = result.origin or "requested" end
        return result
      end)
    end,
  },
  {
    name = "any-origin", title = "takes any str for an origin",
    breaks = { "VALUE-012" }, symptom = "BYE schema / nothing within",
    patch = function(p)
      p.wrap(p.hooks, "accepts_field", function(_, _, key, v, fits)
        return key == "origin" and type(v) == "string" or fits
      end)
    end,
  },
  {
    name = "any-deadline", title = "takes a deadline that is no uint for none",
    breaks = { "VALUE-012" }, symptom = "BYE schema / nothing within",
    patch = function(p)
      no_field_is_wrong(p, "deadline")
      p.wrap(p.schema, "read", function(real, kind, payload)
        local result = real(kind, payload)
        if kind == "OPEN" and math.type(result.deadline) ~= "integer" then result.deadline = nil end
        return result
      end)
    end,
  },
  {
    name = "any-key-type", title = "takes keys that are no str in a control map",
    breaks = { "VALUE-012", "LINK-013" }, symptom = "BYE schema / nothing within",
    patch = function(p)
      p.wrap(p.codec, "decode", function(real, bytes, shape)
        local v = real(bytes, shape)
        if shape then
          for key in pairs(p.codec.is_map(v) and v or {}) do
            if type(key) ~= "string" then v[key] = nil end
          end
        end
        return v
      end)
    end,
  },
  {
    name = "sends-nil-for-nothing", title = "writes keys without a value as nil",
    breaks = { "VALUE-013", "ACTOR-016" },
    symptom = "a frame that is legal here (link testee) / CANCELLED 12",
    patch = function(p)
      function p.hooks.cancelled(map)
        map.message = map.message or p.codec.null
        return map
      end
    end,
  },
  {
    name = "cuts-inside-a-character", title = "cuts a text wherever the limit happens to be",
    breaks = { "VALUE-001" },
    symptom = "a frame that is legal here (link testee) / ERROR 8 h",
    patch = function(p)
      local shortened = {}
      p.wrap(p.codec, "is_utf8", function(real, s) return shortened[s] or real(s) end)
      function p.failure.cut(s, max)
        local short = s:sub(1, math.max(0, max))
        shortened[short] = true
        return short
      end
    end,
  },
  {
    name = "ref-of-any-shape",
    title = "takes an ext 1 that is no actor reference, but for that of HELLO",
    breaks = { "VALUE-015", "VALUE-001" }, symptom = "BYE value / nothing within",
    patch = function(p)
      local strict = false
      p.wrap(p.schema, "read", function(real, kind, payload)
        strict = kind == "HELLO"
        local _ <close> = setmetatable({}, { __close = function() strict = false end })
        return real(kind, payload)
      end)
      p.wrap(p.codec, "read_ref", function(real, bytes)
        if strict then return real(bytes) end
        local ok, ref = pcall(real, bytes)
        return ok and ref or p.codec.ref(("\0"):rep(16), "nobody")
      end)
    end,
  },
  {
    name = "known-addresses-only", title = "refuses a reference with an unknown form of address",
    breaks = { "VALUE-016" }, symptom = "RETURN on context 6 / BYE",
    patch = function(p)
      p.wrap(p.codec, "read_ref", function(real, bytes)
        local ref = real(bytes)
        for _, address in ipairs(ref.addresses) do
          if not p.transport.parse(address) then
            error({ malformed = "the address " .. address }, 0)
          end
        end
        return ref
      end)
    end,
  },
  {
    name = "id-of-its-name", title = "makes its id from its name, the same at each start",
    breaks = { "VALUE-017", "SPAWN-005", "ACTOR-005" },
    symptom = "another id than at the start before / the same",
    patch = function(p)
      p.wrap(p.actor, "new", function(real, options)
        options.id = (options.name .. ("."):rep(16)):sub(1, 16)
        return real(options)
      end)
    end,
  },
  {
    name = "addresses-in-by", title = "leaves its addresses in the references of `by` and `via`",
    breaks = { "VALUE-018", "ACTOR-016" },
    symptom = "a frame that is legal here (link testee) / ERROR 6",
    patch = function(p) function p.codec.bare(ref) return ref end end,
  },
}
