# SPDX-License-Identifier: MIT
#
# Documents are tested: every block of a page is tried, in order (tools/docs-test says how).

docs_pages := README.md $(wildcard docs/*.md)

define docs_suite
SUITES += docs/$(1)
CMD.docs/$(1) = tools/docs-test $(2)
DEPS.docs/$(1) = all
endef
$(foreach p,$(docs_pages),$(eval $(call docs_suite,$(if $(filter \
  README.md,$(p)),front,$(basename $(notdir $(p)))),$(p))))

# Two pages try the conformance suite, one of them on the testee; the other runs much of it.
DEPS.docs/results += $(B)/copse-testee
CMD.docs/conformance := WATCHDOG=1100 conformance/test/with-luv $(CMD.docs/conformance)
CMD.docs/results := conformance/test/with-luv $(CMD.docs/results)
TIMEOUT.docs/conformance = 1200
