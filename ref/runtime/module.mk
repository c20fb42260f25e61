# SPDX-License-Identifier: MIT
# The actor runtime.

RUNTIME_SRCS := $(wildcard ref/runtime/*.c)

# Each of its allocations fails in turn: they come through the test.
every_allocation := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
LIBS.runtime_core_memory_test := $(every_allocation)
LIBS.actor_memory_test := $(every_allocation)
