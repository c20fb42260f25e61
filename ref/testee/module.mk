# SPDX-License-Identifier: MIT
# The testee: the fixed handlers by which the conformance suite judges this implementation.

TESTEE_SRCS := $(wildcard ref/testee/*.c)
TESTEE := $(B)/copse-testee
EXTRA_SRCS += $(TESTEE_SRCS)
ROOM_CFLAGS.ref/testee = -fPIE

$(TESTEE): $(patsubst %.c,$(B)/obj/%.o,$(TESTEE_SRCS)) $(B)/libcopse.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) -pie -o $@ $^ $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS) -lm

testee: $(TESTEE) ## build the testee of the conformance suite
.PHONY: testee

SUITES += testee
CMD.testee = $(COMMAND) run ref/testee/test.lua $(abspath $(TESTEE))
DEPS.testee = all $(TESTEE)
