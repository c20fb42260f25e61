-- SPDX-License-Identifier: MIT
-- Whole programs: what they print, and how they exit. Arguments: the command, a scratch directory,
-- and the directory of the loadable module ("-" where it cannot be loaded into a stock lua5.4).
local copse = require "copse"
local tap = require "tap"
local test, is, like = tap.test, tap.is, tap.like

local M = {}

function M.main(command, directory, modules)
  local function write(name, text)
    local file = assert(io.open(directory .. "/" .. name, "w"))
    file:write(text)
    file:close()
    return directory .. "/" .. name
  end

  -- Both outputs and the exit status of a command line.
  local function run(line)
    local pipe = assert(io.popen("exec 2>&1; " .. line .. "; echo \"status $?\""))
    local text = pipe:read("a")
    pipe:close()
    local out, status = text:match("^(.*)status (%d+)\n$")
    return out, tonumber(status)
  end
  local function lua(text, arguments)
    return run(command .. " run " .. write("program.lua", text) .. " " .. (arguments or ""))
  end
  local function count(text, what) return select(2, text:gsub(what, "")) end

  test("a program gets its arguments and ends well", function()
    local out, status = lua([[
      print("chunk", ...)
      return { main = function(...) print(select("#", ...), ..., arg[0] ~= nil) end }]], "a 'b c'")
    is(out, "chunk\ta\tb c\n2\ta\ttrue\n")
    is(status, 0)
  end)

  test("a program without a table does its work when it is loaded, and may wait", function()
    local out, status = lua('local copse = require "copse" copse.sleep(0.001) print("done")')
    is(out, "done\n")
    is(status, 0)
  end)

  test("an uncaught error is reported once and is status 1", function()
    local out, status = lua('return { main = function() error("went wrong") end }')
    is(status, 1)
    is(count(out, "went wrong"), 1)
    like(out, "program.lua:1")
    like(out, "traceback")
  end)

  test("an uncaught error of a grandchild is reported once, by the root, with its path", function()
    local out, status = lua [[
      local copse = require "copse"
      local M = {}
      function M.deeper(n)
        if n == 0 then error("deep down") end
        copse.nursery(function(s) s:spawn("level" .. n):call("deeper", n - 1) end)
      end
      function M.main() M.deeper(2) end
      return M]]
    is(status, 1)
    is(count(out, "deep down"), 1)
    like(out, "level1")
    like(out, "level2")
  end)

  test("a program that prints for ever ends with its reader, cleans up and says nothing", function()
    local file = write("endless.lua", [[
      local copse = require "copse"
      local M = {}
      local put = {
        print = function() print("more") end,
        write = function() io.write("more\n") end,
      }
      function M.work(how, pause)
        local _ <close> = setmetatable({}, {
          __close = function() io.stderr:write("tidied up\n") end,
        })
        while true do put[how](); if pause then copse.sleep(0.001) end end
      end
      function M.main(where, how, pause)
        if where == "here" then M.work(how, pause) end
        copse.nursery(function(n)
          for i = 1, 2 do
            n:start(function()
              n:spawn("w" .. i, { module = "endless" }):call("work", how, pause)
            end)
          end
        end)
      end
      return M]])
    for _, arguments in ipairs { "here print", "here write", "here write pause", "below print",
      "below write pause" } do
      local out = run(("bash -c '%s run %s %s | head -1; exit ${PIPESTATUS[0]}'")
        :format(command, file, arguments))
      is((out:gsub("tidied up\n", "")), "more\n")
      like(out, "tidied up")
      local _, status = run(("bash -c '%s run %s %s 2>/dev/null | head -1; exit ${PIPESTATUS[0]}'")
        :format(command, file, arguments))
      is(status, 1)
    end
  end)

  test("a program that blocks in a read can be interrupted, by asking again", function()
    local file = write("blocked.lua", [[
      local copse = require "copse"
      return { main = function()
        local _ <close> = setmetatable({}, { __close = function() print("tidied up") end })
        print("ready")
        io.read()
        copse.sleep(3600)
      end }]])
    write("asks.sh", ([[
      cd %s && rm -f fifo out && mkfifo fifo && exec 3<>fifo && : >out
      %s run %s <&3 >out &
      blocks() {
        until grep -q '^State:.S' /proc/$!/status && ! grep -q '^ShdPnd:.*[1-9a-f]' /proc/$!/status
        do sleep 0.02; done
      }
      until grep -q ready out; do sleep 0.02; done
      blocks; kill -TERM $!; blocks; kill -TERM $!
      wait $!; status=$?; cat out; exit $status]]):format(directory, command, file))
    local out, status = run("bash " .. directory .. "/asks.sh")
    is(out, "ready\ntidied up\n")
    is(status, 0)
  end)

  test("a syntax error and a missing module are reported", function()
    local out, status = lua("return {")
    is(status, 1)
    like(out, "program.lua:1")
    out, status = run(command .. " run --module no_such_module")
    is(status, 1)
    like(out, "no_such_module")
  end)

  test("os.exit ends the tree in order and with its status", function()
    local out, status = lua [[
      local copse = require "copse"
      return { main = function()
        copse.nursery(function(n)
          n:spawn("child")
          local _ <close> = setmetatable({}, { __close = function() print("cleaned up") end })
          os.exit(7)
        end)
      end }]]
    is(out, "cleaned up\n")
    is(status, 7)
  end)

  test("a module is run by its name and can be required by itself", function()
    write("named.lua", [[
      local M = {}
      function M.main(x) print("named", x, package.loaded.named == M) end
      return M]])
    local out, status = run("cd " .. directory .. " && " .. command .. " run --module named 1")
    is(out, "named\t1\ttrue\n")
    is(status, 0)
  end)

  test("a tree that is told to end cleans up", function()
    local out = lua [[
      local copse = require "copse"
      local M = {}
      M.wait = copse.context(function(ctx)
        ctx:started(copse.self().name)
        local _ <close> = setmetatable({}, { __close = function() print("child cleans up") end })
        copse.sleep(1000)
      end)
      function M.main()
        copse.nursery(function(n)
          local ctx <close> = n:spawn("child"):open("wait")
          os.execute("kill -TERM " .. io.open("/proc/self/stat"):read("n"))
          copse.sleep(1000)
        end)
      end
      return M]]
    is(out, "child cleans up\n")
  end)

  if modules ~= "-" then
    local stock = "LUA_CPATH='" .. modules .. "/?.so;;' lua5.4 "

    test("memory that runs out is the error no_memory", function()
      local file = write("program.lua", [[
        local copse = require "copse"
        return { main = function()
          local closed
          local ok, e = pcall(copse.nursery, function(n)
            n:start(function()
              local _ <close> = setmetatable({}, { __close = function() closed = true end })
              local s = ("x"):rep(1 << 24)
              while true do s = s .. s end
            end)
          end)
          print(ok, e.code, closed)
          ok, e = pcall(copse.nursery, function() return ("x"):rep(1 << 30) end)
          print(ok, e.code)
        end }]])
      local out, status = run("ulimit -v 300000; " .. command .. " run " .. file)
      is(out, "false\tno_memory\ttrue\nfalse\tno_memory\n")
      is(status, 0)
    end)

    test("a stock interpreter becomes a root by copse.run", function()
      local file = write("stock.lua", [[
        local copse = require "copse"
        print(pcall(copse.sleep, 1))
        print(copse.run(function(...) copse.sleep(0.001) return "returned", ... end, 1, 2))
        local ok, e = pcall(copse.run, function() error("raised") end)
        print(ok, e.code, e.message:match("raised"))]])
      local out, status = run(stock .. file)
      like(out, "false.*no actor runs here")
      like(out, "returned\t1\t2\n")
      like(out, "false\tfailed\traised\n")
      is(status, 0)
    end)

    test("a run that is told to end returns nothing, and not what one before returned", function()
      local file = write("twice.lua", [[
        local copse = require "copse"
        print(copse.run(function() return "first" end))
        print("second", copse.run(function()
          os.execute("kill -TERM $PPID")
          copse.sleep(1000)
          return "unreached"
        end))]])
      local out, status = run(stock .. file)
      is(out, "first\nsecond\n")
      is(status, 0)
    end)

    test("a stock interpreter spawns actors of its kind", function()
      write("stockmod.lua", 'return { double = function(x) return 2 * x end }')
      local file = write("stock2.lua", string.format([[
        package.path = %q .. "/?.lua;" .. package.path
        local copse = require "copse"
        copse.run { main = function()
          copse.nursery(function(n)
            print(n:spawn("child", { module = "stockmod" }):call("double", 21))
          end)
        end }]], directory))
      local out, status = run(stock .. file)
      is(out, "42\n")
      is(status, 0)
    end)
  end

  tap.done()
end

return M
