# SPDX-License-Identifier: MIT
# The Lua binding: C sources, and its tests, each a Lua program that prints TAP.

LUA_SRCS := $(wildcard bindings/lua/*.c)
LUA_FILES := $(wildcard bindings/lua/copse/*.lua bindings/lua/copse/*/*.lua)

LUA_TEST_SCRATCH = $(B)/test/lua

# What a test gets as arguments. A module with sanitizers cannot be loaded into a stock interpreter.
LUA_TEST_ARGS.run = $(B_ABS)/copse $(abspath $(LUA_TEST_SCRATCH)) $(if $(SANITIZE),-,$(B_ABS)/lua)

define lua_suite
SUITES += lua/$(1)
CMD.lua/$(1) = mkdir -p $$(LUA_TEST_SCRATCH) && \
  $$(B)/copse run bindings/lua/test/$(1)_test.lua $$(LUA_TEST_ARGS.$(1))
DEPS.lua/$(1) = all
TIMEOUT.lua/$(1) = 120
endef
$(foreach t,$(wildcard bindings/lua/test/*_test.lua),$(eval $(call \
  lua_suite,$(patsubst %_test.lua,%,$(notdir $(t))))))
