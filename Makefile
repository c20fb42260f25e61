# SPDX-License-Identifier: MIT
#
# The one entry to everything: `make help` lists what it can do.
#
# Non-recursive: this file knows how things are built, the `module.mk` of each room says what there
# is to build. Nothing is written outside $(BUILD), and a build with other flags (SANITIZE=, HARD=1,
# FUZZ=1, CC=clang) gets a directory of its own below it, so that variants never mix.
#
# A fragment may set (each has a wildcard default in the room, so a new source needs no edit):
#   WIRE_SRCS RUNTIME_SRCS LUA_SRCS LUA_FILES CLI_SRCS   sources of the products
#   TEST_PROGS TEST_TOOLS TEST_FUZZ TEST_SUPPORT         sources of the test programs; any
#                                                        DIR/x_tool.c becomes $(B)/x-tool
#   BENCH_PROGS BENCH_SUPPORT                            sources of the benchmarks
#   EXTRA_SRCS                                           what a rule of the fragment itself builds
#   CFLAGS.ref/wire (and so on, by directory)            extra flags for the sources there
# and may register test suites, each a command that prints TAP:
#   SUITES += NAME            CMD.NAME = command     DEPS.NAME = what must be built for it
#   TIMEOUT.NAME = seconds (a hang watchdog, nothing that a slow machine could trip over)

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

VERSION := 0.1.0
SOVERSION := 0

# --- what the user may set ------------------------------------------------------------------------

# make's own defaults count as unset.
user_or = $(if $(filter default undefined,$(origin $(1))),$(2),$($(1)))
CC := $(call user_or,CC,cc)
AR := $(call user_or,AR,ar)
NM ?= nm
PKG_CONFIG ?= pkg-config
INSTALL ?= install
CLANG ?= clang

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/copse
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
LUA_VERSION := 5.4
LUA_SHAREDIR ?= $(DATADIR)/lua/$(LUA_VERSION)
LUA_CMODDIR ?= $(LIBDIR)/lua/$(LUA_VERSION)

# BUILD=DIR moves the whole build; V=1 shows the commands; ONLY=WORD runs the suites with WORD in
# their name; SETUP=no asks no package manager; SANITIZE=address,undefined (or thread), HARD=1 and
# FUZZ=1 choose a variant.
BUILD ?= build
V ?= 0
ONLY ?=
SETUP ?=
SANITIZE ?=
HARD ?=
FUZZ ?=
WERROR ?=

# --- variants -------------------------------------------------------------------------------------

comma := ,
empty :=
space := $(empty) $(empty)

cc_word := $(notdir $(firstword $(CC)))
VARIANT ?= $(subst $(space),-,$(strip $(filter-out cc gcc,$(cc_word)) \
  $(subst $(comma),-,$(SANITIZE)) $(if $(filter 1,$(HARD)),hard) $(if $(filter 1,$(FUZZ)),fuzz)))
B := $(BUILD)$(if $(VARIANT),/$(VARIANT))
Q := $(if $(filter 1,$(V)),,@)
# The tools are told where the build is in words that do not depend on where they stand.
B_ABS = $(abspath $(B))

# --- flags ----------------------------------------------------------------------------------------

# A variable whose value comes from a command asks for it when it is first needed and only once:
# on a machine without compiler or libraries, `make help` and `make setup` must work and be silent.
once = $(eval $(1) := $(2))$($(1))

# "clang 14 x86_64" or "gcc 12 aarch64"
CC_ID = $(call once,CC_ID,$(shell printf '__clang_major__ __GNUC__' | \
  $(CC) -E -P -x c - 2>/dev/null | \
  awk '{ if ($$1 ~ /^[0-9]+$$/) print "clang", $$1; else print "gcc", $$2 }') \
  $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null))))
cc_is_gcc = $(filter gcc,$(firstword $(CC_ID)))
cc_is_x86 = $(filter x86_64 i386 i486 i586 i686,$(lastword $(CC_ID)))

warnings = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
  -Wold-style-definition -Wformat=2 -Wundef -Wvla -Wcast-qual -Wwrite-strings \
  -Wimplicit-fallthrough -Wswitch-enum -Wdouble-promotion -Wpointer-arith \
  $(if $(cc_is_gcc),-Wlogical-op -Wduplicated-cond) $(if $(filter 1,$(WERROR)),-Werror)

# The sanitizers and _FORTIFY_SOURCE get into each other's way, so it is one or the other.
# Level 3 is understood from gcc 12 on; older ones complain about it.
hardening = -fstack-protector-strong $(if $(cc_is_x86),-fstack-clash-protection -fcf-protection) \
  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(if $(filter gcc-9 gcc-10 gcc-11,$(subst \
  $(space),-,$(wordlist 1,2,$(CC_ID)))),2,3)
sanitizing = -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
instrument = $(if $(SANITIZE),$(sanitizing)) \
  $(if $(filter 1,$(FUZZ)),-fsanitize=fuzzer-no-link -DCOPSE_FUZZ)
optimise = $(if $(SANITIZE),-O1,-O2) -g

# Two counters that were stored one by one and are loaded together as a vector stall the processor
# (no store to forward from), which costs every item more than the vector could ever save.
project_cflags = -std=c11 -D_GNU_SOURCE $(warnings) -Iref/include -Iref -fvisibility=hidden \
  -fno-tree-slp-vectorize \
  $(if $(SANITIZE),,$(hardening)) $(instrument) $(if $(filter 1,$(HARD)),-DCOPSE_HARD)
project_ldflags = -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed \
  $(if $(SANITIZE),-fsanitize=$(SANITIZE))

# The user's flags come last, so that they win; -O and -g stand in for them when there are none.
CFLAGS ?= $(optimise)
CPPFLAGS ?=
LDFLAGS ?=
LDLIBS ?=

# --- libraries ------------------------------------------------------------------------------------

# Some go by several names (msgpack-c was called msgpack, each system spells Lua in its own way).
# Their headers are system headers to us: our warnings are for our own code.
pc_name = $(firstword $(foreach n,$(1),$(shell \
  $(PKG_CONFIG) --exists $(n) 2>/dev/null && echo $(n))))
pc_need = $(or $(call pc_name,$(2)),$(error $(1) was not found by $(PKG_CONFIG) (as: $(2)). \
  `make setup` installs what a build needs))
pc_cflags = $(patsubst -I%,-isystem%,$(shell $(PKG_CONFIG) --cflags $(1)))
pc_libs = $(shell $(PKG_CONFIG) --libs $(1))

UV_PC = $(call once,UV_PC,$(call pc_need,libuv,libuv))
UV_CFLAGS = $(call once,UV_CFLAGS,$(call pc_cflags,$(UV_PC)))
UV_LIBS = $(call once,UV_LIBS,$(call pc_libs,$(UV_PC)))
MSGPACK_PC = $(call once,MSGPACK_PC,$(call pc_need,msgpack-c,msgpack-c msgpack))
MSGPACK_CFLAGS = $(call once,MSGPACK_CFLAGS,$(call pc_cflags,$(MSGPACK_PC)))
MSGPACK_LIBS = $(call once,MSGPACK_LIBS,$(call pc_libs,$(MSGPACK_PC)))
LUA_PC = $(call once,LUA_PC,$(call pc_need,Lua $(LUA_VERSION),lua5.4 lua-5.4 lua54 lua))
LUA_CFLAGS = $(call once,LUA_CFLAGS,$(call pc_cflags,$(LUA_PC)))
LUA_LIBS = $(call once,LUA_LIBS,$(call pc_libs,$(LUA_PC)))
JANSSON_PC = $(call once,JANSSON_PC,$(call pc_need,jansson,jansson))
JANSSON_CFLAGS = $(call once,JANSSON_CFLAGS,$(call pc_cflags,$(JANSSON_PC)))
JANSSON_LIBS = $(call once,JANSSON_LIBS,$(call pc_libs,$(JANSSON_PC)))
# The command holds what it stands on: every actor is a start of it, and a shared library costs
# each start its loading. What a system has no archive of stays shared.
archive = $(or $(filter /%,$(shell $(CC) -print-file-name=$(1) 2>/dev/null)),$(2))
COMMAND_LIBS = $(call once,COMMAND_LIBS,$(call archive,lib$(LUA_PC).a,$(LUA_LIBS)) \
  $(call archive,libuv_a.a,$(UV_LIBS)) $(call archive,libmsgpackc.a,$(MSGPACK_LIBS)) \
  $(call archive,libjansson.a,$(JANSSON_LIBS)) -lm -ldl -lpthread -lrt)
CMOCKA_PC = $(call once,CMOCKA_PC,$(call pc_need,cmocka,cmocka))
CMOCKA_CFLAGS = $(call once,CMOCKA_CFLAGS,$(call pc_cflags,$(CMOCKA_PC)))
CMOCKA_LIBS = $(call once,CMOCKA_LIBS,$(call pc_libs,$(CMOCKA_PC)))

# --- the rooms ------------------------------------------------------------------------------------

SUITES :=
include $(wildcard ref/wire/module.mk ref/runtime/module.mk bindings/lua/module.mk \
  ref/cli/module.mk ref/test/module.mk ref/bench/module.mk ref/testee/module.mk \
  conformance/module.mk test/module.mk \
  examples/module.mk docs/module.mk docs/model/module.mk tools/module.mk tools/test/module.mk)

# What a room may see is part of the design: the engine knows no libuv and no Lua, only one of its
# files msgpack-c; the runtime knows no Lua.
ROOM_CFLAGS.ref/wire = $(MSGPACK_CFLAGS)
ROOM_CFLAGS.ref/runtime = $(UV_CFLAGS) $(MSGPACK_CFLAGS)
ROOM_CFLAGS.bindings/lua = $(UV_CFLAGS) $(MSGPACK_CFLAGS) $(LUA_CFLAGS)
ROOM_CFLAGS.ref/cli = $(UV_CFLAGS) $(MSGPACK_CFLAGS) $(LUA_CFLAGS) $(JANSSON_CFLAGS) \
  -DCOPSE_LUA_SHAREDIR='"$(LUA_SHAREDIR)"' -DCOPSE_LUA_CMODDIR='"$(LUA_CMODDIR)"'
ROOM_CFLAGS.ref/test = $(UV_CFLAGS) $(MSGPACK_CFLAGS) $(CMOCKA_CFLAGS)
ROOM_CFLAGS.ref/bench = $(UV_CFLAGS) $(MSGPACK_CFLAGS) $(LUA_CFLAGS)

# Library code is position independent, because it is also linked into shared objects. What Lua
# loads from a shared object must be visible; its version script hides the rest.
ROOM_CFLAGS.ref/wire += -fPIC
ROOM_CFLAGS.ref/runtime += -fPIC
ROOM_CFLAGS.bindings/lua += -fPIC -fvisibility=default
ROOM_CFLAGS.ref/cli += -fPIE
ROOM_CFLAGS.ref/test += -fPIE
ROOM_CFLAGS.ref/bench += -fPIE

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
room = $(patsubst %/,%,$(dir $(1)))

LIB_OBJS := $(call objects,$(WIRE_SRCS) $(RUNTIME_SRCS))
LUA_OBJS := $(call objects,$(LUA_SRCS))
CLI_OBJS := $(call objects,$(CLI_SRCS))
ALL_SRCS := $(WIRE_SRCS) $(RUNTIME_SRCS) $(LUA_SRCS) $(CLI_SRCS) $(TEST_PROGS) $(TEST_TOOLS) \
  $(TEST_FUZZ) $(TEST_SUPPORT) $(BENCH_PROGS) $(BENCH_SUPPORT) $(EXTRA_SRCS)
HEADERS := $(wildcard ref/include/*.h ref/include/copse/*.h ref/*/*.h bindings/lua/*.h)

LIB_A := $(B)/libcopse.a
LIB_SO := $(B)/libcopse.so.$(VERSION)
COMMAND := $(B)/copse
LUA_MODULE := $(B)/lua/copse.so

# --- compiling ------------------------------------------------------------------------------------

say = @printf '  %-7s %s\n' '$(1)' '$(2)'
ifeq ($(Q),)
say = @:
endif

# The room's flags are looked up by the directory of the source.
compile = $(CC) $(CPPFLAGS) $(project_cflags) $(ROOM_CFLAGS.$(call room,$<)) $(CFLAGS.$(call \
  room,$<)) $(CFLAGS)

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(compile) -MMD -MP -c -o $@ $<

# Stamps, rewritten only when what they hold has changed: the flags, on which all that is compiled
# depends; the places known to the command; and the list of sources, for without one that was taken
# away an archive must be made anew.
stamp = @mkdir -p $(@D); new=$@.$$$$; printf '%s\n' '$(subst ','\'',$(1))' >$$new; \
  if cmp -s $$new $@; then rm -f $$new; else mv -f $$new $@; fi

$(B)/flags: FORCE
	$(call stamp,$(CC) $(CC_ID) $(CPPFLAGS) $(project_cflags) $(CFLAGS) $(project_ldflags) $(LDFLAGS))

$(B)/places: FORCE
	$(call stamp,$(LUA_SHAREDIR) $(LUA_CMODDIR))

$(B)/sources: FORCE
	$(call stamp,$(ALL_SRCS))

$(CLI_OBJS): $(B)/places

-include $(patsubst %.c,$(B)/obj/%.d,$(ALL_SRCS))

link = $(CC) $(CFLAGS) $(instrument) $(project_ldflags) $(LDFLAGS)

# --- the library ----------------------------------------------------------------------------------

$(LIB_A): $(LIB_OBJS) $(B)/sources
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJS)

# -z defs is not for sanitizers: their runtime is only in the program.
$(LIB_SO): $(LIB_OBJS) $(B)/sources ref/libcopse.map
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) -shared -Wl,-soname,libcopse.so.$(SOVERSION) \
	  -Wl,--version-script=ref/libcopse.map $(if $(SANITIZE)$(FUZZ),,-Wl$(comma)-z$(comma)defs) \
	  -o $@ $(LIB_OBJS) $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS)
	@ln -sf $(@F) $(B)/libcopse.so.$(SOVERSION) && ln -sf $(@F) $(B)/libcopse.so

# --- Lua and the command --------------------------------------------------------------------------

# The module for a stock Lua holds the library itself; the lua_* symbols are its host's.
$(LUA_MODULE): $(LUA_OBJS) $(LIB_A) bindings/lua/module.map
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) -shared -Wl,--version-script=bindings/lua/module.map -o $@ $(LUA_OBJS) $(LIB_A) \
	  $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS)

# $(B)/lua looks like an installed share/lua/5.4, one level nearer to the command: the command
# looks for lua/copse beside itself, then for ../share/lua/5.4/copse, then where PREFIX said.
$(B)/lua/copse: | bindings/lua/copse
	@mkdir -p $(@D)
	@ln -sfn $(abspath bindings/lua/copse) $@

# A module in C finds the functions of Lua, and nothing else, in the command that loads it.
$(COMMAND): $(CLI_OBJS) $(LUA_OBJS) $(LIB_A) ref/cli/lua.exports
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) -pie -Wl,--dynamic-list=ref/cli/lua.exports -o $@ $(CLI_OBJS) $(LUA_OBJS) $(LIB_A) \
	  $(COMMAND_LIBS) $(LDLIBS)

# --- test programs and benchmarks -----------------------------------------------------------------

# An archive, so that a program takes of the helpers only what it uses.
$(B)/test/libsupport.a: $(call objects,$(TEST_SUPPORT)) $(B)/sources
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/bench/libsupport.a: $(call objects,$(BENCH_SUPPORT)) $(B)/sources
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

test_programs := $(patsubst ref/test/%.c,$(B)/test/%,$(TEST_PROGS))
test_tools := $(foreach s,$(TEST_TOOLS),$(B)/$(subst _,-,$(basename $(notdir $(s)))))
fuzz_programs := $(patsubst ref/test/%.c,$(B)/test/%,$(TEST_FUZZ))
bench_programs := $(patsubst ref/bench/%.c,$(B)/bench/%,$(BENCH_PROGS))

$(test_programs): $(B)/test/%: $(B)/obj/ref/test/%.o $(B)/test/libsupport.a $(LIB_A)
	$(call say,LINK,$@)
	$(Q)$(link) -pie -o $@ $^ $(CMOCKA_LIBS) $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS) $(LIBS.$(@F)) -lm

define tool_rule
$(B)/$(subst _,-,$(basename $(notdir $(1)))): $(call objects,$(1)) $(B)/test/libsupport.a $(LIB_A)
	$$(call say,LINK,$$@)
	$$(Q)$$(link) -pie -o $$@ $$^ $$(UV_LIBS) $$(MSGPACK_LIBS) $$(LDLIBS) -lm
endef
$(foreach s,$(TEST_TOOLS),$(eval $(call tool_rule,$(s))))

$(fuzz_programs): $(B)/test/%: $(B)/obj/ref/test/%.o $(B)/test/libsupport.a $(LIB_A)
	$(call say,LINK,$@)
	$(Q)$(link) -fsanitize=fuzzer -pie -o $@ $^ $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS) -lm

$(bench_programs): $(B)/bench/%: $(B)/obj/ref/bench/%.o $(B)/bench/libsupport.a $(LIB_A)
	$(call say,LINK,$@)
	$(Q)$(link) -pie -o $@ $^ $(LUA_LIBS) $(UV_LIBS) $(MSGPACK_LIBS) $(LDLIBS) $(LIBS.$(@F)) -lm -lrt

# --- goals ----------------------------------------------------------------------------------------

submake = +@$(MAKE) --no-print-directory

# While a room is still empty, what would be made of it is left out.
PRODUCTS := $(if $(LIB_OBJS),$(LIB_A) $(LIB_SO)) $(if $(LUA_OBJS),$(LUA_MODULE)) \
  $(if $(wildcard bindings/lua/copse),$(B)/lua/copse) $(if $(CLI_OBJS),$(COMMAND))

all: $(PRODUCTS) ## build the library, the command and the Lua module

demo: ## install what is missing, build, and watch three trees of actors at work
	@$(if $(filter no,$(SETUP)),,tools/setup -q run)
	$(submake) $(parallel) all
	@COPSE=$(B_ABS)/copse examples/demo

test: ## install what is missing, build, and run every test (ONLY=WORD: suites by name)
	@$(if $(filter no,$(SETUP)),,tools/setup -q test)
	$(submake) $(parallel) test-build
	$(submake) test-run

# What `make test` does when nobody asked for a number of jobs: one per core.
parallel = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1))

selected = $(if $(ONLY),$(foreach s,$(SUITES),$(if $(findstring $(ONLY),$(s)),$(s))),$(SUITES))

test-build: $(if $(ONLY),,all test-programs) $(sort $(foreach s,$(selected),$(DEPS.$(s))))
	@:

# $(call run_suites,LIST,NAMES): writes what tap-run reads, and runs it. The tests find what was
# built by the environment, so that the same tests serve every variant.
define newline


endef
tab := $(empty)	$(empty)
suite_line = $(1)$(tab)$(or $(TIMEOUT.$(1)),$(TIMEOUT))$(tab)$(CMD.$(1))$(newline)
run_suites = $(file >$(B)/tap/$(1).list,$(subst $(newline)$(space),$(newline),$(foreach \
  s,$(2),$(call suite_line,$(s)))))@$(test_env) tools/tap-run -o $(B)/tap $(if \
  $(SANITIZE),-r $(sanitizer_log)) $(B)/tap/$(1).list
TIMEOUT ?= 300

$(B)/tap:
	@mkdir -p $@

test_env = COPSE=$(B_ABS)/copse BUILD_DIR=$(B_ABS) VERSION=$(VERSION) SANITIZE='$(SANITIZE)' \
  CC='$(CC)' NM='$(NM)' CMOCKA_MESSAGE_OUTPUT=TAP $(if $(SANITIZE),$(sanitizer_env)) \
  MAKE_ARGS='SETUP=no BUILD=$(BUILD) HARD=$(HARD) WERROR=$(WERROR)'

# A sanitizer's report from a process deep in some tree must not go by unseen: all write to files,
# and tap-run holds them against the suite.
sanitizer_log = $(B_ABS)/tap/sanitizer
sanitizer_env = ASAN_OPTIONS=exitcode=99:log_path=$(sanitizer_log) \
  UBSAN_OPTIONS=print_stacktrace=1:log_path=$(sanitizer_log) \
  TSAN_OPTIONS=exitcode=99:log_path=$(sanitizer_log)

test-run: | $(B)/tap ## run the tests, taking for granted that all is built
	$(call run_suites,test,$(selected))

# The longer ones are single suites that `make test` leaves out; the rooms say what they are.
chaos soak: setup-test
	$(submake) $(parallel) $(DEPS.$@)
	$(submake) suite-$@
chaos: ## kill, stop and interrupt random processes of busy trees, 300 rounds
soak: ## ten minutes of open, stream, cancel and spawn, with flat memory

suite-%: | $(B)/tap
	$(if $(CMD.$*),,$(error there is no suite $*))
	$(call run_suites,$*,$*)

# A fuzz target needs clang whatever builds the rest, so it always is a variant of its own.
fuzz_dir := $(BUILD)/fuzz
FUZZ_SECONDS ?= 60
fuzz_make = $(MAKE) --no-print-directory VARIANT=fuzz CC='$(CLANG)' CFLAGS='-O1 -g' FUZZ=1 \
  SANITIZE=address,undefined HARD= WERROR=
fuzz_built := $(patsubst ref/test/%.c,$(fuzz_dir)/test/%,$(TEST_FUZZ))

fuzz-programs: $(fuzz_programs)

fuzz-if-clang:
	+@if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	  $(CLANG) -w -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null; \
	then $(fuzz_make) fuzz-programs; else rm -f $(fuzz_built); fi

fuzz: setup-test ## fuzz the engine, FUZZ_SECONDS=60 for each target
	$(if $(TEST_FUZZ),,$(error there is no fuzz target))
	+@$(fuzz_make) $(parallel) fuzz-programs
	$(submake) suite-fuzz-long
CMD.fuzz-long = tools/fuzz-run -s $(FUZZ_SECONDS) -c ref/test/corpus \
  -o $(fuzz_dir)/corpus $(fuzz_built)
TIMEOUT.fuzz-long = 100000

# Valgrind cannot follow what is itself instrumented; suites that it cannot run are in NO_VALGRIND.
# What a test forks off to be killed may hold memory: it is the test that is judged.
VALGRIND ?= valgrind -q --error-exitcode=99 --child-silent-after-fork=yes --leak-check=full \
  --show-leak-kinds=all --errors-for-leak-kinds=definite,indirect,possible --track-fds=no
valgrind_suites = $(addprefix valgrind-,$(filter-out $(NO_VALGRIND),$(filter unit/%,$(selected))))
valgrind: setup-test ## run the unit tests under valgrind
	$(submake) $(parallel) test-programs
	$(submake) valgrind-run
valgrind-run: | $(B)/tap
	$(foreach s,$(valgrind_suites),$(eval CMD.$(s) := $(VALGRIND) $(CMD.$(s:valgrind-%=%))))
	$(foreach s,$(valgrind_suites),$(eval TIMEOUT.$(s) := 1200))
	$(call run_suites,valgrind,$(valgrind_suites))

setup: ## install what building and running takes, if anything is missing
	@tools/setup run

setup-test: ## install what the tests need besides
	@$(if $(filter no,$(SETUP)),:,tools/setup -q test)

# --- tidiness -------------------------------------------------------------------------------------

# The layout of clang-format differs between versions, so the one we all use comes first.
CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14) clang-format)
formatted := $(sort $(ALL_SRCS) $(HEADERS) $(wildcard examples/*.c examples/*/*.c))

format: ## lay out the C sources by .clang-format
	@$(CLANG_FORMAT) -i $(formatted)

format-check: ## check that format would change nothing
	@$(CLANG_FORMAT) --dry-run -Werror $(formatted)

shell_sources = $(shell grep -lsE '^\#!/(bin/|usr/bin/env )(ba)?sh' \
  tools/* test/* examples/* .ci/*) $(wildcard test/*.bats tools/test/*.bats)
lint_flags = -std=c11 -D_GNU_SOURCE -Iref/include -Iref $(UV_CFLAGS) $(MSGPACK_CFLAGS) \
  $(LUA_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS) \
  -DCOPSE_LUA_SHAREDIR='""' -DCOPSE_LUA_CMODDIR='""'

lint: ## run the analysers that are installed: clang-tidy, cppcheck, shellcheck, luacheck
	@status=0; \
	run() { \
	  if command -v "$$1" >/dev/null; then echo "  $$1"; "$$@" || status=1; \
	  else echo "  $$1: not installed, left out"; fi; \
	}; \
	run clang-tidy --quiet --warnings-as-errors='*' $(ALL_SRCS) -- $(lint_flags); \
	run cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability \
	  --inline-suppr --suppress=missingIncludeSystem -D_GNU_SOURCE -Iref/include -Iref $(ALL_SRCS); \
	run shellcheck $(shell_sources); \
	run luacheck --quiet --std lua54 --max-line-length 100 bindings/lua examples; \
	exit $$status

# --- installing -----------------------------------------------------------------------------------

# One list serves both ways: mode|what|where.
man_pages = $(wildcard docs/man/*.[1-8])
install_list = 755|$(COMMAND)|$(BINDIR)/copse \
  644|$(LIB_A)|$(LIBDIR)/libcopse.a \
  755|$(LIB_SO)|$(LIBDIR)/$(notdir $(LIB_SO)) \
  644|ref/include/copse.h|$(INCLUDEDIR)/copse.h \
  644|ref/include/copse/wire.h|$(INCLUDEDIR)/copse/wire.h \
  644|$(B)/copse.pc|$(PKGCONFIGDIR)/copse.pc \
  755|$(LUA_MODULE)|$(LUA_CMODDIR)/copse.so \
  $(foreach f,$(LUA_FILES),644|$(f)|$(LUA_SHAREDIR)/$(f:bindings/lua/%=%)) \
  $(foreach f,$(man_pages),644|$(f)|$(MANDIR)/man$(patsubst .%,%,$(suffix $(f)))/$(notdir $(f))) \
  $(foreach f,$(EXAMPLES),$(if $(shell test -x $(f) && echo x),755,644)|$(f)|$(DOCDIR)/$(f)) \
  $(foreach f,$(wildcard README.md SPEC.md LICENSE),644|$(f)|$(DOCDIR)/$(f))
install_links := $(LIBDIR)/libcopse.so.$(SOVERSION) $(LIBDIR)/libcopse.so
part = $(word $(2),$(subst |, ,$(1)))

# Written anew each time: it holds PREFIX and the like, which no stamp knows.
$(B)/copse.pc: ref/copse.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	  -e 's|@VERSION@|$(VERSION)|; s|@REQUIRES@|$(UV_PC) $(MSGPACK_PC)|' $< >$@

install: all $(B)/copse.pc ## install below DESTDIR and PREFIX=/usr/local
	$(foreach i,$(install_list),$(Q)$(INSTALL) -D -m $(call part,$(i),1) $(call part,$(i),2) \
	  $(DESTDIR)$(call part,$(i),3)$(newline)$(tab))
	$(foreach l,$(install_links),$(Q)ln -sf $(notdir $(LIB_SO)) $(DESTDIR)$(l)$(newline)$(tab))
	$(if $(DESTDIR),,$(Q)ldconfig 2>/dev/null || :)

uninstall: ## remove what install has put there
	$(foreach i,$(install_list),$(Q)rm -f $(DESTDIR)$(call part,$(i),3)$(newline)$(tab))
	$(foreach l,$(install_links),$(Q)rm -f $(DESTDIR)$(l)$(newline)$(tab))
	$(Q)for dir in $(INCLUDEDIR)/copse $(LUA_SHAREDIR)/copse $(DOCDIR); do \
	  [ ! -d "$(DESTDIR)$$dir" ] || find "$(DESTDIR)$$dir" -depth -type d -empty -delete; done

dist: ## pack the committed tree as build/copse-VERSION.tar.gz
	@mkdir -p $(BUILD)
	@git archive --prefix=copse-$(VERSION)/ HEAD | gzip -9n >$(BUILD)/copse-$(VERSION).tar.gz
	@echo $(BUILD)/copse-$(VERSION).tar.gz

test-programs: $(test_programs) $(test_tools) ## build the unit tests without running them

bench-programs: $(bench_programs)

clean: ## remove everything built
	rm -rf $(BUILD)

help: ## this list
	@echo 'Copse $(VERSION)'
	@awk -F ':[^#]*## ' '/^[a-z][a-z-]*:.*## / && $$1 !~ /-run$$/ \
	  { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Variables: CC CFLAGS LDFLAGS PKG_CONFIG PREFIX DESTDIR LIBDIR INCLUDEDIR (as usual);'
	@echo '  V=1 shows the commands        WERROR=1 makes warnings errors'
	@echo '  BUILD=DIR builds there        SETUP=no installs nothing'
	@echo '  SANITIZE=address,undefined and HARD=1 (one-byte reads and writes) build a variant'
	@echo '  in a directory of its own below build/, for any goal: make test SANITIZE=address'

FORCE:
.PHONY: all demo test test-build test-run chaos soak fuzz fuzz-programs fuzz-if-clang valgrind \
  valgrind-run setup setup-test format format-check lint install uninstall dist test-programs \
  bench-programs clean help FORCE
