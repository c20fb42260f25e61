# SPDX-License-Identifier: MIT
# Unit tests. The name of a source says what becomes of it: X_test.c is a test program (cmocka,
# linked with the static library, so that it reaches internals), X_tool.c a helper program
# $(B)/X-tool, X_fuzz.c or fuzz_X.c a libFuzzer target; anything else is support, linked to all.

TEST_PROGS := $(wildcard ref/test/*_test.c)
TEST_TOOLS := $(wildcard ref/test/*_tool.c)
TEST_FUZZ := $(wildcard ref/test/*_fuzz.c ref/test/fuzz_*.c)
TEST_SUPPORT := $(filter-out $(TEST_PROGS) $(TEST_TOOLS) $(TEST_FUZZ),$(wildcard ref/test/*.c))

define unit_suite
SUITES += unit/$(1)
CMD.unit/$(1) = $$(B)/test/$(1)_test
DEPS.unit/$(1) = $$(B)/test/$(1)_test $(if $(filter actor_%,$(1)),$$(B)/actor-tool)
endef
$(foreach t,$(TEST_PROGS),$(eval $(call unit_suite,$(patsubst %_test.c,%,$(notdir $(t))))))
