-- SPDX-License-Identifier: MIT
--
-- A specification as the lint sees it: paragraphs, quotes, tables with their captions, fenced
-- blocks and headings, each with the line it begins at.
--
-- This is not a Markdown parser. It reads the little Markdown that SPEC.md is written in, and what
-- it cannot place becomes an ordinary paragraph, where the checks of prose meet it.

local M = {}

-- The text without its code spans, for checks that look at words.
function M.without_code(text)
  return (text:gsub("`[^`]*`", "`"))
end

-- The anchor that GitHub and most renderers give a heading.
function M.anchor(title)
  local text = title:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")
  return text
end

local function cells(line)
  local out = {}
  for cell in line:gsub("^%s*|", ""):gmatch("([^|]*)|") do
    out[#out + 1] = cell:match("^%s*(.-)%s*$")
  end
  return out
end

-- Parses text into { paragraphs, tables, fences, headings, anchors }.
--   paragraphs: { line, text, quote }           lines joined by spaces
--   tables:     { line, caption, head, rows }   rows: { line, [i] = cell }
--   fences:     { line, lang, lines }           lines: { [i] = text }, the first is line + 1
--   headings:   { line, level, title, number }  number: "7.2", "Appendix A" or nil
function M.parse(text)
  local doc = { paragraphs = {}, tables = {}, fences = {}, headings = {}, anchors = {} }
  local paragraph, fence, tab, caption
  local number = 0
  local comment = false

  local function close()
    if paragraph then doc.paragraphs[#doc.paragraphs + 1] = paragraph end
    paragraph, tab = nil, nil
  end

  for line in (text:gsub("\n?$", "\n")):gmatch("(.-)\n") do
    number = number + 1
    if fence then
      if line:match("^```%s*$") then fence = nil else fence.lines[#fence.lines + 1] = line end
    elseif line:match("^```") then
      close()
      fence = { line = number, lang = line:match("^```%s*(%S*)"), lines = {} }
      doc.fences[#doc.fences + 1] = fence
    elseif line:match("^<!%-%-") or comment then
      comment = not line:find("-->", 1, true)
      close()
    elseif line:match("^%s*$") then
      close()
    elseif line:match("^#+ ") then
      close()
      local marks, title = line:match("^(#+) (.-)%s*$")
      doc.headings[#doc.headings + 1] = {
        line = number, level = #marks, title = title,
        number = title:match("^([%d.]*%d)") or title:match("^(Appendix %u)") or
          title:match("^(%u%.%d+)"),
      }
      doc.anchors[M.anchor(title)] = true
    elseif line:match("^Table: ") then
      close()
      caption = line:match("^Table: (.-)%s*$")
    elseif line:match("^%s*|") then
      if not tab then
        close()
        tab = { line = number, caption = caption, head = cells(line), rows = {} }
        caption = nil
        doc.tables[#doc.tables + 1] = tab
      elseif not line:match("^[%s|:-]+$") then
        local row = cells(line)
        row.line = number
        tab.rows[#tab.rows + 1] = row
      end
    else
      local quote = line:match("^> ?") ~= nil
      local item = line:match("^%s*[-*] ") or line:match("^%s*%d+%. ")
      if paragraph and (item or paragraph.quote ~= quote) then close() end
      tab = nil
      local words = line:gsub("^> ?", ""):match("^%s*(.-)%s*$")
      if paragraph then
        paragraph.text = paragraph.text .. " " .. words
      else
        paragraph = { line = number, text = words, quote = quote }
      end
    end
  end
  close()
  return doc
end

return M
