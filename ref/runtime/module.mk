# SPDX-License-Identifier: MIT
# The actor runtime.

RUNTIME_SRCS := $(wildcard ref/runtime/*.c)
