# SPDX-License-Identifier: MIT
#
# Documents are tested: every block of a page is tried, in order (tools/docs-test says how).
# The blocks of docs/lua.md are tried by the tests of the binding.

docs_pages := README.md $(filter-out docs/lua.md,$(wildcard docs/*.md))

define docs_suite
SUITES += docs/$(1)
CMD.docs/$(1) = tools/docs-test $(2)
DEPS.docs/$(1) = all
endef
$(foreach p,$(docs_pages),$(eval $(call docs_suite,$(if $(filter \
  README.md,$(p)),front,$(basename $(notdir $(p)))),$(p))))
