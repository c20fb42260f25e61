-- SPDX-License-Identifier: MIT
--
-- The most frequent words in the files of a directory, counted by a pool of actors.
--
--     copse run examples/wordcount.lua [DIRECTORY] [HOW-MANY]
--
-- The root reads and the actors count. Each has one bidirectional stream for the whole job: text
-- goes down it block by block, and when there is no more, the counts come back. A slow actor grants
-- less credit, so the root waits for it instead of piling text up: however much there is to read,
-- nobody holds more than a window of it.

local copse = require "copse"
local M = {}

local BLOCK = 65536 -- bytes read at once, and then to the end of the line: no word is cut
local BATCH = 500   -- words per item on the way back

-- ---- the actors ----

M.count = copse.context(function(ctx)
  ctx:started()
  local counts = {}
  for text in ctx:items() do
    for word in text:lower():gmatch("[%a\128-\255]+") do counts[word] = (counts[word] or 0) + 1 end
  end
  local batch, size = {}, 0
  for word, count in pairs(counts) do
    batch[#batch + 1] = { word, count }
    size = size + 1
    if size % BATCH == 0 then
      ctx:send(batch)
      batch = {}
    end
  end
  ctx:send(batch)
end)

-- ---- the root ----

local function output_of(command)
  local lines = {}
  local pipe <close> = io.popen(command)
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- A line on the terminal that is written over and over; nothing where standard error is none.
local function progress_meter(total)
  if not os.execute("test -t 2") then return function() end end
  return function(done)
    local filled = total == 0 and 30 or math.floor(done / total * 30)
    local bar = ("#"):rep(filled) .. ("."):rep(30 - filled)
    io.stderr:write(("\r[%s] %d of %d files\27[K"):format(bar, done, total))
    if done == total then io.stderr:write("\r\27[K") end
  end
end

-- Streams one file to an actor.
local function send_file(ctx, path)
  local file <close> = io.open(path, "rb")
  if not file then return end -- gone since it was listed, or not ours to read
  local text, rest = file:read(BLOCK, "L")
  while text do
    ctx:send(text .. (rest or ""))
    text, rest = file:read(BLOCK, "L")
  end
end

function M.main(directory, how_many)
  directory = directory or "/usr/share/common-licenses"
  -- Sorted, and only what is a file itself, so that links do not count one twice.
  local files = output_of("find " .. quoted(directory) .. " -type f | sort")
  if #files == 0 then error("there are no files in " .. directory, 0) end
  local progress = progress_meter(#files)
  local totals, next_file, done = {}, 1, 0

  copse.nursery(function(n)
    for i = 1, tonumber(output_of("nproc")[1]) or 2 do
      n:start(function()
        local counter = n:spawn("counter-" .. i, { module = "wordcount" })
        local ctx <close> = counter:open("count")
        while files[next_file] do
          local path = files[next_file]
          next_file = next_file + 1
          send_file(ctx, path)
          done = done + 1
          progress(done)
        end
        ctx:finish()
        for batch in ctx:items() do
          for _, pair in ipairs(batch) do totals[pair[1]] = (totals[pair[1]] or 0) + pair[2] end
        end
      end)
    end
  end)

  local words = {}
  for word, count in pairs(totals) do words[#words + 1] = { word = word, count = count } end
  table.sort(words, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.word < b.word
  end)
  print(("%d different words in %d files"):format(#words, #files))
  for i = 1, math.min(tonumber(how_many) or 10, #words) do
    print(("%8d  %s"):format(words[i].count, words[i].word))
  end
end

return M
