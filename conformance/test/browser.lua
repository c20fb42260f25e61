-- SPDX-License-Identifier: MIT
--
-- A headless Chromium, driven through its debugging pipe, to look at the HTML report as a reader
-- would: at a width, in light or dark, with keys and a mouse, and with an ear for errors.
--
-- It blocks: each call turns the loop until the browser has answered. A hang ends in an error after
-- a minute. Everything the browser keeps lies in a directory that goes with it.

local json = require "dkjson"
local uv = require "luv"

local Browser = {}
Browser.__index = Browser

local WATCHDOG = 60000

-- The name of the browser of this machine, or nil.
function Browser.find()
  local names = { os.getenv("CHROMIUM") or "chromium", "chromium-browser", "google-chrome" }
  for _, name in ipairs(names) do
    for dir in (os.getenv("PATH") or ""):gmatch("[^:]+") do
      if uv.fs_access(dir .. "/" .. name, "X") then return dir .. "/" .. name end
    end
  end
end

local function pipe_end(fd)
  local p = uv.new_pipe(false)
  assert(p:open(fd))
  return p
end

function Browser.start(path)
  local self = setmetatable({ serial = 0, answers = {}, buffer = "", problems = {} }, Browser)
  self.dir = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/copse-browser.XXXXXX"))
  local down = assert(uv.pipe({ nonblock = false }, { nonblock = true }))
  local up = assert(uv.pipe({ nonblock = true }, { nonblock = false }))
  local null = assert(uv.fs_open("/dev/null", "r+", 0))
  local handle, pid = uv.spawn(path, {
    args = {
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--no-first-run", "--disable-extensions", "--disable-background-networking",
      "--disable-sync", "--mute-audio",
      "--remote-debugging-pipe", "--user-data-dir=" .. self.dir, "about:blank",
    },
    stdio = { null, null, null, down.read, up.write }, detached = true,
  }, function() self.gone = true end)
  uv.fs_close(down.read)
  uv.fs_close(up.write)
  uv.fs_close(null)
  assert(handle, pid)
  self.handle, self.pid = handle, pid
  self.to, self.from = pipe_end(down.write), pipe_end(up.read)
  self.from:read_start(function(_, bytes) self:on_bytes(bytes) end)
  local targets = self:call("Target.getTargets").targetInfos
  local target
  for _, t in ipairs(targets) do if t.type == "page" then target = t.targetId end end
  self.session = self:call("Target.attachToTarget", { targetId = target, flatten = true }).sessionId
  for _, domain in ipairs { "Page", "Runtime", "Log" } do self:call(domain .. ".enable") end
  return self
end

function Browser:on_bytes(bytes)
  if not bytes then
    self.gone = true
    return
  end
  self.buffer = self.buffer .. bytes
  while true do
    local at = self.buffer:find("\0", 1, true)
    if not at then return end
    local message = json.decode(self.buffer:sub(1, at - 1))
    self.buffer = self.buffer:sub(at + 1)
    if message.id then
      self.answers[message.id] = message
    elseif message.method == "Runtime.exceptionThrown" then
      local d = message.params.exceptionDetails
      table.insert(self.problems, d.exception and d.exception.description or d.text)
    elseif message.method == "Log.entryAdded" then
      table.insert(self.problems, message.params.entry.text)
    elseif message.method == "Runtime.consoleAPICalled" and message.params.type ~= "log" then
      table.insert(self.problems, "console." .. message.params.type)
    elseif message.method == "Page.loadEventFired" then
      self.loaded = true
    end
  end
end

-- Turns the loop until condition() holds.
function Browser:wait(condition, what)
  local late = false
  local timer = uv.new_timer()
  timer:start(WATCHDOG, 0, function() late = true end)
  while not condition() and not late and not self.gone do uv.run("once") end
  timer:close()
  if self.gone then error("the browser is gone, waiting for " .. what, 0) end
  if not condition() then error("nothing after a minute: " .. what, 0) end
end

function Browser:call(method, params)
  self.serial = self.serial + 1
  local id = self.serial
  self.to:write(json.encode({
    id = id, method = method, params = params or setmetatable({}, { __jsontype = "object" }),
    sessionId = self.session,
  }) .. "\0")
  self:wait(function() return self.answers[id] end, method)
  local answer = self.answers[id]
  self.answers[id] = nil
  if answer.error then error(method .. ": " .. answer.error.message, 0) end
  return answer.result
end

-- A screen of this size; scheme is "light" or "dark".
function Browser:screen(width, height, scheme)
  self:call("Emulation.setDeviceMetricsOverride",
    { width = width, height = height, deviceScaleFactor = 1, mobile = width < 600 })
  self:call("Emulation.setEmulatedMedia",
    { features = { { name = "prefers-color-scheme", value = scheme or "light" } } })
end

-- Loads a page anew, and waits until all of it has been drawn.
function Browser:open(url)
  self:call("Page.navigate", { url = "about:blank" })
  self.loaded, self.problems = false, {}
  self:call("Page.navigate", { url = url })
  self:wait(function() return self.loaded end, "the page " .. url)
  self:settle()
end

-- Two frames: whatever the last event has caused is drawn then.
function Browser:settle()
  self:eval("new Promise(r => requestAnimationFrame(() => "
    .. "requestAnimationFrame(() => setTimeout(r, 0))))")
end

-- The value of an expression of JavaScript.
function Browser:eval(expression)
  local answer = self:call("Runtime.evaluate",
    { expression = expression, awaitPromise = true, returnByValue = true, userGesture = true })
  if answer.exceptionDetails then
    local d = answer.exceptionDetails
    error(expression .. ": " .. (d.exception and d.exception.description or d.text), 0)
  end
  return answer.result.value
end

-- Presses and releases a key by its name: "Tab", "Enter", "/".
function Browser:key(name)
  local codes = { Tab = 9, Enter = 13 }
  local text = name == "Enter" and "\r" or #name == 1 and name or nil
  local code = codes[name] or name:upper():byte()
  self:call("Input.dispatchKeyEvent",
    { type = "keyDown", key = name, text = text, windowsVirtualKeyCode = code })
  self:call("Input.dispatchKeyEvent", { type = "keyUp", key = name, windowsVirtualKeyCode = code })
  self:settle()
end

local function from_base64(s)
  local out, bits, held = {}, 0, 0
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local index = {}
  for i = 1, 64 do index[alphabet:byte(i)] = i - 1 end
  for i = 1, #s do
    local v = index[s:byte(i)]
    if v then
      held, bits = (held << 6 | v) & 0xffffff, bits + 6
      if bits >= 8 then
        bits = bits - 8
        out[#out + 1] = string.char(held >> bits & 0xff)
      end
    end
  end
  return table.concat(out)
end

-- Writes a picture of the page to `path`; whole: of all of it, not of the screen only.
function Browser:screenshot(path, whole)
  local shot = self:call("Page.captureScreenshot",
    { format = "png", captureBeyondViewport = whole or false })
  local f = assert(io.open(path, "wb"))
  f:write(from_base64(shot.data))
  f:close()
end

function Browser:pdf(path)
  local shot = self:call("Page.printToPDF", { printBackground = true })
  local f = assert(io.open(path, "wb"))
  f:write(from_base64(shot.data))
  f:close()
end

function Browser:stop()
  if not self.gone then pcall(self.call, self, "Browser.close") end
  local timer = uv.new_timer()
  local late = false
  timer:start(5000, 0, function() late = true end)
  while not self.gone and not late do uv.run("once") end
  timer:close()
  uv.kill(-self.pid, 9)
  for _, handle in ipairs { self.to, self.from, self.handle } do
    if not handle:is_closing() then handle:close() end
  end
  uv.run()
  os.execute("rm -rf '" .. self.dir .. "'")
end

return Browser
