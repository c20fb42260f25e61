# SPDX-License-Identifier: MIT
# Whole-program tests: each X.bats is a suite.

define bats_suite
SUITES += program/$(1)
CMD.program/$(1) = bats --formatter tap test/$(1).bats
DEPS.program/$(1) = all
endef
$(foreach t,$(wildcard test/*.bats),$(eval $(call bats_suite,$(patsubst %.bats,%,$(notdir $(t))))))

# The tests of the holes, and those of a call, have a peer of their own that breaks every rule.
$(foreach t,$(wildcard test/holes_*.bats) test/cli_call.bats,$(eval \
  DEPS.program/$(patsubst %.bats,%,$(notdir $(t))) += $(B)/rogue-tool))

# Chaos: a short run with every `make test`, 300 rounds with `make chaos`. SEED=N
# runs again what failed.
CHAOS_SEED ?= $(SEED)
CHAOS_ROUNDS ?= 300
chaos_tool := $(B)/chaos-tool
SUITES += chaos-short
CMD.chaos-short = $(chaos_tool) $(COMMAND) test/chaos 12 $(CHAOS_SEED)
DEPS.chaos-short = all $(chaos_tool)
TIMEOUT.chaos-short = 900
CMD.chaos = $(chaos_tool) $(COMMAND) test/chaos $(CHAOS_ROUNDS) $(CHAOS_SEED)
DEPS.chaos = all $(chaos_tool)
TIMEOUT.chaos = 7200

# The long run; a short one of the same program is in `make test`.
SOAK_SECONDS ?= 600
ifeq ($(SANITIZE),)
SUITES += soak-short # a sanitizer keeps what was freed for a while: its memory is never flat
endif
CMD.soak-short = $(COMMAND) run test/soak/soak.lua 5
DEPS.soak-short = all
TIMEOUT.soak-short = 600
CMD.soak = $(COMMAND) run test/soak/soak.lua $(SOAK_SECONDS)
DEPS.soak = all
TIMEOUT.soak = 3600
