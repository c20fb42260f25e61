-- SPDX-License-Identifier: MIT
--
-- A pool of workers: which of these numbers are prime?
--
--     copse run examples/primes.lua [NUMBER...]
--
-- One actor per core, and in the root one task per actor, which gives it the next number as soon as
-- it has answered the last. Results are printed as they come. The pool needs no queue, no shutdown
-- and no sentinel: the tasks end when there are no numbers left, and the nursery ends when the
-- tasks have.

local copse = require "copse"
local M = {}

local NUMBERS = {
  112272535095293, 112582705942171, 112272535095293,
  115280095190773, 115797848077099, 1099726899285419,
}

function M.is_prime(number)
  if number < 2 then return false end
  if number % 2 == 0 then return number == 2 end
  local divisor = 3
  while divisor * divisor <= number do
    if number % divisor == 0 then return false end
    divisor = divisor + 2
  end
  return true
end

local function cores()
  local nproc <close> = io.popen("nproc")
  return nproc:read("n") or 2
end

function M.main(...)
  local numbers = NUMBERS
  if ... then
    numbers = {}
    for i, text in ipairs { ... } do
      numbers[i] = math.tointeger(tonumber(text)) or error(("'%s' is no integer"):format(text), 0)
    end
  end

  local next_number = 1
  copse.nursery(function(n)
    for i = 1, math.min(cores(), #numbers) do
      n:start(function()
        local worker = n:spawn("worker-" .. i, { module = "primes" })
        while numbers[next_number] do
          local number = numbers[next_number]
          next_number = next_number + 1
          print(("%d is %sprime"):format(number, worker:call("is_prime", number) and "" or "not "))
        end
      end)
    end
  end)
end

return M
