-- SPDX-License-Identifier: MIT
--
-- The five machines of chapters 8 to 10, written like the tables there: rows are states, columns
-- events. A cell is the next state or `!CODE` (violation), `ignored`, `misuse` (the local caller is
-- refused), `nothing` (legal, writes nothing) or `-` (cannot occur). What a frame does beyond the
-- state is in link.lua and context.lua; whether it may come at all is decided here and nowhere
-- else.

local M = {}

-- One table of text as a map of rows, each a map from event to cell. Several may be joined.
local function rows(...)
  local machine = {}
  for _, text in ipairs { ... } do
    local columns
    for line in text:gmatch("[^\n]+") do
      local cells = {}
      for cell in line:gmatch("%S+") do cells[#cells + 1] = cell end
      local state = table.remove(cells, 1)
      if not columns then
        columns = cells
      else
        assert(#cells == #columns, "a row of another length: " .. line)
        machine[state] = machine[state] or {}
        for i, cell in ipairs(cells) do machine[state][columns[i]] = cell end
      end
    end
  end
  return machine
end

-- `CANCELLED*` is CANCELLED after CANCEL was sent; `OPEN+` a fragment of OPEN with `more`.
M.opener = rows([[
  state     STARTED  ITEM     END      STOP     CREDIT   RETURN  ERROR   CANCELLED  CANCELLED*
  unopened  !state   !state   !state   !state   !state   !state  !state  !state     -
  opening   !state   !state   !state   !state   !state   !state  !state  !state     ended
  waiting   started  !state   !state   waiting  waiting  ended   ended   ended      ended
  started   !state   started  started  started  started  ended   ended   ended      ended
  ended     !state   !state   !state   !state   !state   !state  !state  !state     !state
]], [[
  state     send:OPEN+ send:OPEN send:ITEM send:END send:STOP send:CREDIT send:CANCEL loss
  unopened  opening    waiting   misuse    misuse   misuse    misuse      ended       ended
  opening   opening    waiting   misuse    misuse   opening   opening     opening     ended
  waiting   misuse     misuse    waiting   waiting  waiting   waiting     waiting     ended
  started   misuse     misuse    started   started  started   started     started     ended
  ended     misuse     misuse    misuse    misuse   nothing   nothing     nothing     ended
]])

M.callee = rows([[
  state     OPEN+    OPEN     ITEM     END      STOP     CREDIT   CANCEL
  unopened  opening  running  !state   !state   !state   !state   !state
  opening   opening  running  !state   !state   opening  opening  ended
  running   !state   !state   running  running  running  running  running
  started   !state   !state   started  started  started  started  started
  ended     !state   !state   ignored  ignored  ignored  ignored  ignored
]], [[
  state     send:STARTED send:ITEM send:END send:STOP send:CREDIT send:RETURN send:ERROR
  unopened  misuse       misuse    misuse   misuse    misuse      misuse      misuse
  opening   misuse       misuse    misuse   misuse    misuse      misuse      misuse
  running   started      misuse    misuse   running   running     ended       ended
  started   misuse       started   started  started   started     ended       ended
  ended     misuse       misuse    misuse   nothing   nothing     misuse      misuse
]], [[
  state     send:CANCELLED send:CANCELLED* cancelled loss
  unopened  misuse         -               -         -
  opening   misuse         -               opening   ended
  running   misuse         ended           running   ended
  started   misuse         ended           started   ended
  ended     misuse         misuse          ended     ended
]])

M.out = rows [[
  state    send:ITEM send:END STOP     CREDIT   send:CANCEL CANCEL terminal
  open     open      ended    stopped  open     ended       ended  ended
  stopped  nothing   ended    ignored  ignored  ended       ended  ended
  ended    misuse    misuse   ignored  ignored  ended       ended  ended
]]

M.inward = rows [[
  state    ITEM     END      send:STOP send:CREDIT send:CANCEL CANCEL terminal
  open     open     ended    stopped   open        stopped     ended  ended
  stopped  stopped  ended    nothing   misuse      stopped     ended  ended
  ended    !state   !state   nothing   nothing     ended       ended  ended
]]

M.link = rows([[
  state    HELLO    BYE      BYE*     PING     PONG     OPEN
  hello    open     closed   closed   !state   !state   !state
  open     !state   closing  closed   open     open     open
  closing  !state   closing  closed   closing  closing  closing
  closed   ignored  ignored  ignored  ignored  ignored  ignored
]], [[
  state    other    send:BYE idle    fault   EOF
  hello    !state   closed   -       closed  closed
  open     open     closing  -       closed  closed
  closing  closing  closing  closed  closed  closed
  closed   ignored  nothing  -       closed  closed
]])

return M
