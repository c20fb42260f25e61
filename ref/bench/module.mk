# SPDX-License-Identifier: MIT
# Benchmarks: each X_bench.c is a program, X.lua its half in Lua, bare.c the program
# that an actor is measured against; anything else is support, linked to all.
# report.lua runs them and writes down what they say.

BENCH_PROGS := $(wildcard ref/bench/*_bench.c)
BENCH_SUPPORT := $(filter-out $(BENCH_PROGS) ref/bench/bare.c,$(wildcard ref/bench/*.c))

# The limit of what a process on this stack can be: static, nothing but the libraries. Static
# linking is not for sanitizers, and its warnings about name services concern nothing used here.
$(B)/bench/bare: $(B)/obj/ref/bench/bare.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) -static -o $@ $< $(shell $(PKG_CONFIG) --static --libs $(LUA_PC)) \
	  -l:libuv_a.a -l:libmsgpackc.a -lm -lpthread -ldl -lrt 2>$(B)/bench/bare.log || \
	  { cat $(B)/bench/bare.log >&2; exit 1; }

-include $(B)/obj/ref/bench/bare.d

# ROUNDS=N overrides the number of rounds, ONLY=WORD measures what has it in its name (and then
# leaves the table alone).
.PHONY: bench
bench: ## measure the limit and Copse side by side; writes build/bench.json and docs/bench.md
	$(submake) $(parallel) all bench-programs $(B)/bench/bare
	@BUILD=$(B_ABS) COPSE=$(B_ABS)/copse $(LUA_INTERPRETER) ref/bench/report.lua \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY),--docs docs/bench.md) \
	  --json $(B)/bench.json

LUA_INTERPRETER ?= $(firstword $(shell command -v lua5.4 || command -v lua))
