# SPDX-License-Identifier: MIT
# The sans-IO engine.

WIRE_SRCS := $(wildcard ref/wire/*.c)
