# SPDX-License-Identifier: MIT
# Checks of the products by the project's own tools, and tests of those tools.

define tool_suite
SUITES += tools/$(1)
CMD.tools/$(1) = bats --formatter tap tools/test/$(1).bats
endef
$(foreach t,$(wildcard tools/test/*.bats),$(eval $(call tool_suite,$(basename $(notdir $(t))))))

# An instrumented object calls its instrumentation; purity is a property of the plain one.
ifeq ($(SANITIZE)$(FUZZ),)
ifneq ($(WIRE_SRCS),)
SUITES += purity
CMD.purity = tools/purity $(call objects,$(WIRE_SRCS))
DEPS.purity = $(call objects,$(WIRE_SRCS))

SUITES += exports
CMD.exports = tools/exports $(LIB_SO) ref/include/copse.h ref/include/copse/wire.h
DEPS.exports = $(LIB_SO)
endif

# Fuzz targets are instrumented in their own way, whatever the variant.
ifneq ($(TEST_FUZZ),)
SUITES += fuzz
CMD.fuzz = tools/fuzz-run -n $(FUZZ_RUNS) -c ref/test/corpus -o $(B)/tap/fuzz $(fuzz_built)
DEPS.fuzz = fuzz-if-clang
TIMEOUT.fuzz = 900
endif
endif
FUZZ_RUNS ?= 20000
DEPS.tools/install = all $(B)/copse.pc
