# SPDX-License-Identifier: MIT
# The conformance suite: tested itself, and run on both implementations at hand.
#
# `make test` runs the whole of it on each, what tests the suite, and some cases on every peer of
# exotic/; `make exotic` runs all of them there, which takes as many minutes as there are peers.

TCK := conformance/copse-tck
WITH_LUV := conformance/test/with-luv
PEER_COMMAND := lua5.4 conformance/peer/testee.lua

# What is all Lua says nothing new under a sanitizer.
ifeq ($(SANITIZE),)

# The second peer by itself, file by file.
define peer_suite
SUITES += peer/$(1)
CMD.peer/$(1) = $(WITH_LUV) lua5.4 conformance/peer/test/$(1).lua
endef
$(foreach t,$(filter-out tap,$(patsubst conformance/peer/test/%.lua,%,$(wildcard \
  conformance/peer/test/*.lua))),$(eval $(call peer_suite,$(t))))

# The suite's own tests.
define tck_suite
SUITES += tck/$(1)
CMD.tck/$(1) = $(WITH_LUV) bats --formatter tap conformance/test/$(1).bats
DEPS.tck/$(1) = $(TESTEE)
TIMEOUT.tck/$(1) = 900
endef
$(foreach t,$(patsubst conformance/test/%.bats,%,$(wildcard conformance/test/*.bats)),$(eval \
  $(call tck_suite,$(t))))

# The HTML report in Chromium; where there is none, it is skipped.
SUITES += tck/html
CMD.tck/html = $(WITH_LUV) lua5.4 conformance/test/html.lua

SUITES += tck/degenerate tck/exotic
CMD.tck/degenerate = $(WITH_LUV) conformance/test/peers degenerate
TIMEOUT.tck/degenerate = 900
CMD.tck/exotic = $(WITH_LUV) conformance/test/peers exotic
TIMEOUT.tck/exotic = 1800

SUITES += conformance/peer
CMD.conformance/peer = $(WITH_LUV) $(TCK) -j 4 --quiet --tap - -- $(PEER_COMMAND)
TIMEOUT.conformance/peer = 1800

endif

# The verdict on the reference. What a sanitizer finds in the testee is a CRASH.
SUITES += conformance/ref
CMD.conformance/ref = $(WITH_LUV) $(TCK) -j 4 --quiet --tap - -- $(abspath $(TESTEE))
DEPS.conformance/ref = $(TESTEE)
TIMEOUT.conformance/ref = 1800

exotic: setup-test ## the whole conformance suite on every strange but legal peer
	$(submake) suite-exotic
CMD.exotic = conformance/test/peers exotic --all
TIMEOUT.exotic = 14400

# How often a case may disagree with itself: never.
REPEATS ?= 50
repeats: setup-test ## the conformance suite on the C testee, REPEATS=50 times, shuffled
	$(submake) $(TESTEE)
	$(submake) suite-repeats
CMD.repeats = $(TCK) --quiet --repeat $(REPEATS) --tap - -- $(abspath $(TESTEE))
TIMEOUT.repeats = 36000
.PHONY: exotic repeats

include conformance/mutants.mk

# Not part of CI: each change is built and judged by the whole suite, which takes an hour.
MUTATIONS ?= 100
mutate-ref: setup-test ## mechanical changes of the reference, nine in ten found by the suite
	conformance/mutate-ref --count $(MUTATIONS)
.PHONY: mutate-ref
