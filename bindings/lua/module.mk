# SPDX-License-Identifier: MIT
# The Lua binding: C sources, and the Lua files of the library.

LUA_SRCS := $(wildcard bindings/lua/*.c)
LUA_FILES := $(wildcard bindings/lua/copse/*.lua bindings/lua/copse/*/*.lua)
