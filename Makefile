# SPDX-License-Identifier: MIT
# squall - load generation and chaos testing for NFS on DRBD. `make help` lists the targets.

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
SANITIZE ?=
comma    := ,
BUILD    := build/$(notdir $(CC))$(if $(SANITIZE),-$(subst $(comma),+,$(SANITIZE)))
Q        := $(if $(V),,@)
# What is built is built by all processors, what is tested one after the other: tests look at the clock.
MAKE_ALL  = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

WARN := -Wall -Wextra -Werror -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings -Wswitch-enum -Wconversion
CFLAGS  ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -pthread -iquote include $(WARN) $(CFLAGS) \
              $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
COMMIT := $(shell git describe --always --dirty --exclude='*' 2>/dev/null)
ALL_CFLAGS += -DSQUALL_VERSION=\"0.1\" -DSQUALL_COMMIT=\"$(COMMIT)\"
LIBS := -lyaml -ljansson -lseccomp -lsqlite3 -laio -luring -lmosquitto -lssl -lcrypto -lz -lm -ldl

LAYERS := common loadgen chaos observe report coord lab
layer_objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))

.DELETE_ON_ERROR:
.PHONY: all clean help
all: $(BUILD)/squall ## build the program

# One archive per layer, in the order in which they may depend on each other.
ARCHIVES := $(foreach l,lab coord report observe chaos loadgen common,$(BUILD)/lib$(l).a)

define LAYER_RULE
$(BUILD)/lib$(1).a: $(call layer_objects,$(1))
	$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call LAYER_RULE,$(l))))

$(BUILD)/squall: $(BUILD)/main.o $(ARCHIVES)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What names the commit is built anew with each.
.PHONY: FORCE
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@
$(BUILD)/main.o $(BUILD)/coord/run.o $(BUILD)/coord/agent.o: $(BUILD)/commit

$(BUILD)/lab/guest.o: $(wildcard lab/guest/*)
$(BUILD)/report/html.o: $(wildcard report/page/*)

# Unit tests: tests/unit/<layer>/*.c, one program a layer, linked with that layer and common alone; coord, which is above the others, with all. Criterion's
# own runner leaks now and then when it has two jobs, which the sanitizers would report.
LIBS_loadgen := -lnfs	# whose XDR the test server speaks
unit_objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/$(1)/*.c))
define UNIT_RULE
$(BUILD)/tests/unit-$(1): $(call unit_objects,$(1)) $(if $(filter coord,$(1)),$(ARCHIVES),$(BUILD)/lib$(1).a $(BUILD)/libcommon.a)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS) -lcriterion $(LIBS_$(1))
unit-$(1): $(BUILD)/tests/unit-$(1)
	$(Q)$$< --jobs=$(if $(SANITIZE),1,2)
endef
$(foreach l,$(LAYERS),$(eval $(call UNIT_RULE,$(l))))

# By the names of Debian's packages: what squall is built with and what it runs, and what else its tests want.
PACKAGES := gcc libc6-dev pkg-config iproute2 nftables procps libyaml-dev libjansson-dev libseccomp-dev libsqlite3-dev libaio-dev liburing-dev libmosquitto-dev \
            mosquitto libssl-dev zlib1g-dev libnfs-dev qemu-system-x86 openssh-client
TEST_PACKAGES := libcriterion-dev clang jq scdoc openssl default-jre-headless libhdrhistogram-java
APT := env DEBIAN_FRONTEND=noninteractive apt-get
define INSTALL
	$(Q)missing=; for p in $(1); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then echo "missing packages:$$missing"; exit 0; fi; \
	$(APT) -qq install -y --no-install-recommends $$missing || { $(APT) -qq update && $(APT) -qq install -y --no-install-recommends $$missing; }
endef

.PHONY: deps deps-to-run check unit units $(addprefix unit-,$(LAYERS))
deps: ## install the packages that are missing (as root on Debian; else name them and go on)
	$(call INSTALL,$(PACKAGES) $(TEST_PACKAGES))
deps-to-run: ## those without which squall is not built or does not run
	$(call INSTALL,$(PACKAGES))

TESTED := $(foreach l,$(LAYERS),$(if $(wildcard tests/unit/$(l)/*.c),$(l)))
unit: $(addprefix unit-,$(TESTED)) ## the unit tests of every layer
units: $(TESTED:%=$(BUILD)/tests/unit-%)

# tests/race: plain programs, each with one_process.c, which runs the worker's threads in the process of the test. ThreadSanitizer of gcc 12
# does not start where addresses are more random than it knows; setarch is there on every Debian, but may be forbidden in a container.
RACES := $(patsubst tests/race/%.c,race-%,$(wildcard tests/race/*_race.c))
RACE_WRAP := $(addprefix -Wl$(comma)--wrap=,shared_init fork pipe2 tgkill pthread_create)
$(BUILD)/tests/race-%: $(BUILD)/tests/race/%.o $(BUILD)/tests/race/one_process.o $(BUILD)/libloadgen.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(RACE_WRAP) $(LIBS)
$(RACES): race-%: $(BUILD)/tests/race-%
	$(Q)run=; ! setarch -R true 2>/dev/null || run='setarch -R'; TSAN_OPTIONS=halt_on_error=1 $$run $<

.PHONY: race $(RACES)
race: ## the tests under ThreadSanitizer, built by gcc
	$(Q)$(MAKE) --no-print-directory CC=gcc SANITIZE=thread $(RACES)

# tests/scale: agents by the hundred, with a load that is simulated: sim_load.o stands in for the supervisor of loadgen, no_courier.o for the couriers.
$(BUILD)/tests/swarm: $(patsubst %,$(BUILD)/tests/scale/%.o,swarm sim_load no_courier) $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

.PHONY: scale
scale: $(BUILD)/tests/swarm all ## a run with 64 agents on this host, through a real broker, with a simulated load
	$(Q)tests/scale/run $(BUILD)/squall $< 64 5

# tests/fail: one program; each call in turn fails.
FAIL_WRAP := $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc strdup strndup open_memstream open openat read write fsync rename renameat mkdir unlink scandir json_loads json_loadb)
$(BUILD)/tests/fail-acts: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/fail/*.c)) $(foreach l,chaos loadgen common,$(BUILD)/lib$(l).a)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(FAIL_WRAP) $(LIBS)

.PHONY: fail run-fail
run-fail: $(BUILD)/tests/fail-acts
	$(Q)$<
fail: ## every call that takes memory or a file fails in turn, under ASan and UBSan
	$(Q)$(MAKE_ALL) CC=gcc SANITIZE=$(SAN) run-fail

# tests/fuzz: a program a target, with libFuzzer when SANITIZE has it, else with replay.c.
FUZZERS := $(filter-out replay folder,$(basename $(notdir $(wildcard tests/fuzz/*.c))))
FUZZ_MAIN := $(if $(findstring fuzzer,$(SANITIZE)),,$(BUILD)/tests/fuzz/replay.o)
FUZZ_SECONDS ?= 20
$(BUILD)/tests/fuzz-%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/folder.o $(FUZZ_MAIN) $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

.PHONY: fuzz fuzz-long replay run-fuzz run-fuzz-long run-replay
run-replay: $(FUZZERS:%=$(BUILD)/tests/fuzz-%)
	$(Q)for t in $(FUZZERS); do $(BUILD)/tests/fuzz-$$t tests/fuzz/corpus/$$t || { echo "tests/fuzz/$$t.c failed"; exit 1; }; done
	@echo 'replayed: $(FUZZERS)'
replay: ## the parsers of what squall did not write, fed with tests/fuzz/corpus, under ASan and UBSan
	$(Q)$(MAKE_ALL) CC=gcc SANITIZE=$(SAN) run-replay
run-fuzz: $(FUZZERS:%=$(BUILD)/tests/fuzz-%)
	$(Q)mkdir -p build/fuzz && tests/fuzz/run $(BUILD)/tests $(FUZZ_SECONDS) build/fuzz/all.json $(FUZZERS)
fuzz: ## the same parsers under libFuzzer (clang), FUZZ_SECONDS each
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,$(SAN) run-fuzz

# What a privileged process reads that somebody else wrote.
FUZZ_LONG := journal fault allow courier
FUZZ_LONG_SECONDS ?= 3600
run-fuzz-long: $(FUZZ_LONG:%=$(BUILD)/tests/fuzz-%)
	$(Q)mkdir -p results && tests/fuzz/run $(BUILD)/tests $(FUZZ_LONG_SECONDS) results/fuzz-long.json $(FUZZ_LONG)
fuzz-long: ## journal, commands, allow file and courier under libFuzzer, FUZZ_LONG_SECONDS (an hour) each; results/fuzz-long.json
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,$(SAN) run-fuzz-long

# A leak does not fail a Criterion test: the log is read for what the sanitizers say.
SAN := address,undefined
check: deps check-source ## install what is missing, build, pass the tests: gcc, clang, and gcc with ASan and UBSan
	$(Q)$(MAKE_ALL) CC=gcc all units
	$(Q)$(MAKE) --no-print-directory CC=gcc unit
	$(Q)if command -v clang >/dev/null; then $(MAKE_ALL) CC=clang all units && $(MAKE) --no-print-directory CC=clang unit; else echo 'clang is not there: not checked with it'; fi
	$(Q)$(MAKE_ALL) CC=gcc SANITIZE=$(SAN) units
	$(Q)$(MAKE) --no-print-directory CC=gcc SANITIZE=$(SAN) unit >build/sanitizers.log 2>&1 || { cat build/sanitizers.log; exit 1; }
	$(Q)! grep -E 'Sanitizer|runtime error:' build/sanitizers.log
	$(Q)$(MAKE) --no-print-directory race fail replay
	$(Q)$(MAKE) --no-print-directory CC=gcc scale
	$(Q)for t in $$(find tests/cli -maxdepth 1 -type f -perm -u+x | sort); do $$t build/gcc/squall || exit 1; done
	@echo 'check: passed'

.PHONY: bench
bench: deps all $(BUILD)/tests/swarm ## squall and fio through the same stall, then squall's speed; two tables, and results/bench/latest.json
	$(Q){ command -v fio && command -v valgrind; } >/dev/null || { [ "$$(id -u)" = 0 ] && $(APT) -qq install -y --no-install-recommends fio valgrind; } || true
	$(Q)tools/bench $(BUILD)/squall

.PHONY: reproduce
reproduce: deps-to-run ## the outage of 2015 in the lab, and the same without the reboot: verdicts side by side, about 8 minutes
	$(Q)$(MAKE_ALL) all
	$(Q)$(BUILD)/squall reproduce profiles/pythonanywhere-2015.yaml

.PHONY: check-lab
check-lab: deps ## a fault on real DRBD and nfsd in the lab, and every way to lose it; every engine and op; a trace; the guard rails; 20 cells of check-chaos
	$(Q)$(MAKE_ALL) all
	$(Q)tests/lab/short $(BUILD)/squall && tests/lab/truth $(BUILD)/squall && tests/lab/engines $(BUILD)/squall && tests/lab/trace $(BUILD)/squall && tests/lab/rails $(BUILD)/squall && tests/lab/faults $(BUILD)/squall --sample 20 --seed 20150905 && echo 'check-lab: passed'

.PHONY: check-chaos
check-chaos: deps ## every fault in the lab, with each of those killed that hold it; goes on where it was stopped; results/check-chaos.json
	$(Q)$(MAKE_ALL) all
	$(Q)mkdir -p results && tests/lab/faults $(BUILD)/squall --out results/check-chaos.json

.PHONY: check-fleet
check-fleet: deps ## agents, broker, coordinator and network cut off or killed in a run, claim by claim, on this host; results/check-fleet.json
	$(Q)$(MAKE_ALL) all
	$(Q)mkdir -p results && tools/check-fleet $(BUILD)/squall results/check-fleet.json

.PHONY: check-source
check-source: ## headers stand alone, layers hold, plug-ins listed, banned calls, long functions
	$(Q)tools/test-check-source && tools/check-source

PREFIX ?= /usr/local
.PHONY: man install
man: deps ## the man pages of docs/, into build/man
	$(Q)tools/man build/man

install: all ## program, pages, profiles, completion, systemd unit: DESTDIR= PREFIX=/usr/local
	$(Q)tools/man build/man
	$(Q)install -D -m 755 $(BUILD)/squall $(DESTDIR)$(PREFIX)/bin/squall
	$(Q)for p in $$(cd build/man && find . -type f); do install -D -m 644 build/man/$$p $(DESTDIR)$(PREFIX)/share/man/$$p || exit 1; done
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/squall/profiles profiles/*.yaml
	$(Q)install -D -m 644 tools/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/squall
	$(Q)sed 's|@PREFIX@|$(PREFIX)|' tools/squall-heal.service >$(BUILD)/squall-heal.service
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system $(BUILD)/squall-heal.service

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
