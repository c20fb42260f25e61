# SPDX-License-Identifier: MIT
# The actor runtime.

RUNTIME_SRCS := $(wildcard ref/runtime/*.c)

# Each of its allocations fails in turn: they come through the test.
LIBS.runtime_core_memory_test := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
