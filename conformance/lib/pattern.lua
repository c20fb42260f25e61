-- SPDX-License-Identifier: MIT
--
-- Shapes that many cases have in common.
--
-- `both` makes two cases of one: on the link on which the suite is the parent (it accepts, and
-- opens even ids), and on a link that the suite dialled (it connects, and opens odd ids). `reject`
-- is a rejection that counts: the valid twin is accepted first on the same link, then the offence
-- is answered with the right code for the right context, and the testee is alive afterwards.
-- `child` has the testee start the suite as its child.

local child = require "child"

local M = {}

-- o: a case whose run is run(t, link, parent); parent is the parent's link where link is dialled.
-- boot: options for T:boot.
function M.both(case, o)
  for _, place in ipairs { "parent", "dialled" } do
    local c = {}
    for k, v in pairs(o) do c[k] = v end
    c.id = o.id .. "." .. place
    c.title = o.title .. (place == "parent" and " (suite accepts)" or " (suite connects)")
    c.run = function(t)
      if place == "parent" then
        o.run(t, t:boot(o.boot), nil)
      else
        local boot = { listen = true }
        for k, v in pairs(o.boot or {}) do if k ~= "hello" then boot[k] = v end end
        local parent = t:boot(boot)
        local link = t:dial(parent, { hello = o.boot and o.boot.hello })
        t.dialled_link = link
        o.run(t, link, parent)
        if link.violated then t:alive(parent) end
      end
    end
    case(c)
  end
end

-- o: setup(t, link) -> context (optional), twin(t, link, context), bad(t, link, context) sends the
-- offence, code, names (false: the BYE names no context; a function gives the id; default: that of
-- the context).
function M.reject(case, o)
  o.run = function(t, link)
    if o.twin then o.twin(t, link) end
    local c = o.setup and o.setup(t, link)
    local id = o.bad(t, link, c)
    local names = 0
    if o.names ~= false then names = id or c and c.id or 0 end
    link:violation(o.code, names, type(o.req) == "table" and o.req[1] or o.req)
  end
  M.both(case, o)
end

-- Both patterns of this case, with defaults for what a stanza leaves out.
function M.with(case, defaults)
  local function filled(pattern)
    return function(o)
      for k, v in pairs(defaults) do if o[k] == nil then o[k] = v end end
      pattern(case, o)
    end
  end
  return filled(M.both), filled(M.reject)
end

-- The testee as the parent of the suite, by way of tck.spawn and the bridge. o: a case whose run
-- is run(t, child, parent); boot: options for T:boot; args: arguments of tck.spawn.
function M.child(case, o)
  case {
    id = "child." .. o.id, req = o.req, title = o.title, why = o.why, profile = "spawn",
    processes = true,
    run = function(t)
      local p = t:boot(o.boot)
      local c = child.spawn(t, p, o.args)
      o.run(t, c, p)
      c:await_reaped("LADDER-006")
    end,
  }
end

return M
