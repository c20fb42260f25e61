# SPDX-License-Identifier: MIT
# The specification held against itself and against the engine.

LUA_INTERPRETER ?= lua5.4
SPEC_LINT = $(LUA_INTERPRETER) tools/spec-lint.lua --wire-tool $(B_ABS)/wire-tool \
  $(addprefix --citing ,$(spec_citing))
spec_citing = $(shell grep -rlIE '\b[A-Z]{2,}-[0-9]{3}\b' README.md CONTRIBUTING.md ref bindings \
  conformance docs examples test 2>/dev/null)

spec-lint: setup-test ## hold SPEC.md against itself and against the engine
	$(submake) $(parallel) $(B)/wire-tool
	$(Q)$(SPEC_LINT) SPEC.md

spec-index: ## write the requirement index of SPEC.md anew
	$(LUA_INTERPRETER) tools/spec-lint.lua --fix SPEC.md

.PHONY: spec-lint spec-index

SUITES += tools/spec-lint
CMD.tools/spec-lint = $(LUA_INTERPRETER) tools/spec-lint-test.lua
DEPS.tools/spec-lint = $(B)/wire-tool
