# An index of commands: `make help` prints it. Whatever needs more than a line is in .ci/.

SEED ?=
SECONDS ?= 60
WORLDS ?= 100000
ONLY ?=
COUNT ?= 1000
ALL ?=

CARGO := cargo --locked
MUTANTS := $(CARGO) run --quiet --profile sim -p penstock-mutants --
SIM := $(CARGO) run --quiet --profile sim -p penstock-sim --
BENCH := $(CARGO) run --quiet --release -p penstock-bench --
LOOM := RUSTFLAGS="--cfg loom" $(CARGO) test --profile sim -p penstock-stack -p penstock-kernel -p penstock-ixgbe --lib --target-dir target/loom loom_tests

.PHONY: help check test sim mutants loom bench counts fuzz soak host-test cfg-test cfg-fuzz cfg-corpus reg-test nic-test kernel-test qemu-fetch qemu-lock format build build-hosted build-bare fetch clean run image qemu-test

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

check: fetch ## Format, lints, documentation, unit tests, licences: minutes, no root, no network
	@.ci/need rustfmt clippy cc cargo-deny
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path kernel/foreign/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) test --workspace --quiet
	cargo deny --locked --offline check licenses bans sources
	cargo deny --locked --offline --manifest-path fuzz/Cargo.toml check licenses bans sources
	cargo deny --locked --offline --manifest-path kernel/foreign/Cargo.toml check licenses bans sources

test: ## Everything, in stages with their seconds; a stage above its budget fails (SLOWER=3: budgets times 3)
	@.ci/need setpriv
	@setpriv --pdeathsig TERM .ci/test

sim: ## A thousand simulated worlds, or with SEED=n that one again
	$(SIM) $(or $(SEED),smoke)

mutants: ## Planted defects: the simulator and the proxy's tests must find each (ONLY='its name')
	@$(MUTANTS) $(if $(ONLY),'$(ONLY)')

loom: ## Every memory ordering of what crosses between cores: mail, sleep, the card's resets
	@for what in mail handshake shared; do \
		$(LOOM) -- --list 2>/dev/null | grep "$$what::.*: test$$" >/dev/null || { echo "loom: no test of $$what was found"; exit 1; }; done
	$(LOOM)

bench: ## What a connection costs, beside peers, into bench/results.txt; fails when a figure that must hold does not
	@.ci/need valgrind objdump python3 ip ab nginx haproxy
	$(CARGO) build --quiet --release -p penstock-host
	$(BENCH)

counts: ## The counts of the bench alone, in a minute: no clock, nothing kept
	@.ci/need valgrind objdump
	$(BENCH) --quick

fuzz: ## Each fuzzing target for SECONDS=60, with other inputs each time or those of SEED=n
	@.ci/need c++
	@SEED=$(SEED) .ci/fuzz $(SECONDS)

host-test: ## Real clients and servers around the hosted server, on a TAP: curl, nmap, haproxy, dnsmasq, .. (ONLY=check)
	@.ci/need cargo python3 ip curl ab wrk nginx hping3 nmap haproxy dnsmasq chronyd faketime openssl redis-server redis-cli redis-benchmark
	$(CARGO) build --quiet --release -p penstock-host
	@apps/host/host-test $(ONLY)

soak: ## Hours of the same: WORLDS=100000 simulated, mutants, fuzzing for SECONDS=1800 each, machines booted
	$(SIM) smoke $(WORLDS)
	$(MUTANTS)
	WORLDS=$(WORLDS) $(CARGO) test --profile sim -p penstock-server --test worlds
	WORLDS=$(WORLDS) $(CARGO) test --profile sim -p penstock-proxy --test storms
	$(BENCH) --churn 10000000
	@$(MAKE) --no-print-directory fuzz SECONDS=1800
	@$(MAKE) --no-print-directory cfg-fuzz COUNT=20000
	@for round in 1 2 3 4 5 6 7 8 9 10; do image/test || exit 1; done

cfg-test: ## Configurations of HAProxy's: our words and verdicts beside the real program's, examples, generated ones
	@.ci/need cargo python3 haproxy
	$(CARGO) build --quiet --release -p penstock-host
	@apps/config/compare

cfg-fuzz: ## Thousands of generated configurations: whether haproxy and we say the same (SEED=first COUNT=1000 ALL=1)
	@.ci/need cargo python3 haproxy
	$(CARGO) build --quiet --release -p penstock-host
	@apps/config/cfg-fuzz --count $(COUNT) $(if $(ALL),--all) $(SEED)

cfg-corpus: ## HAProxy's own configurations, which of them it and we accept, into docs/cfg-corpus.txt
	@.ci/need cargo python3 haproxy
	$(CARGO) build --quiet --release -p penstock-host
	@apps/config/cfg-corpus

reg-test: ## HAProxy's own regression tests with the hosted proxy in its place, into docs/reg-tests.txt (ONLY=test)
	@.ci/need cargo python3 ip haproxy varnishtest
	$(CARGO) build --quiet --release -p penstock-host
	@apps/host/reg-test $(ONLY)

nic-test: ## Drivers by others on the emulated 82599: Linux and iPXE in QEMU, a minute and a half
	@.ci/need cc ip
	qemu/nic-test all

run: ## Boots the appliance in QEMU on the emulated 82599: ARGS='maxcpus=1 -- server -k' SMP=2 CFG=file
	@.ci/need cc python3
	@image/run $(ARGS)

image: ## What boots: penstock.elf, .img and .iso in target/appliance, from CMDLINE='...' CFG=file
	@.ci/need cc python3
	@mkdir -p target/appliance
	@cp "$$(.ci/image penstock-image)" target/appliance/penstock.elf
	@image/package target/appliance/penstock.elf target/appliance --cmdline='$(CMDLINE)' $(addprefix --file=,$(CFG))
	@ls -l target/appliance
	@image/figures target/appliance/penstock.elf

kernel-test: ## Our kernel on bare machines: boots, cores, clocks, faults, power, each judged under QEMU
	@.ci/need cc python3
	kernel/test

qemu-test: ## The appliance in QEMU on the emulated 82599, judged by Linux's clients: boots, loads, faults, ends (ONLY=check)
	@.ci/need cc python3 ip ab wrk curl nginx hping3 dnsmasq chronyd redis-server redis-benchmark pgbench psql halog setpriv
	image/test $(ONLY)

qemu-fetch: ## Downloads QEMU, GRUB and the kernel that nic-test boots, into target/qemu: 150 MB
	qemu/packages fetch

qemu-lock: ## Newest versions of what nic-test runs, into qemu/qemu.lock
	qemu/packages lock

format: ## Rewrites every file in the format that `make check` asks for
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo fmt --manifest-path kernel/foreign/Cargo.toml

# Two at a time: a release, an image or a fuzzing target is compiled crate after crate and linked as a whole, for which
# a second processor has no use.
build: fetch ## Compiles what `make test` runs
	@.ci/need rustfmt clippy cc c++ valgrind objdump cargo-deny
	@$(MAKE) --no-print-directory -j2 build-hosted build-bare

build-hosted: ## One half of that: tests, releases, the simulator
	$(CARGO) test --workspace --no-run --quiet
	$(CARGO) build --quiet --profile sim -p penstock-sim -p penstock-mutants
	$(CARGO) build --quiet --release -p penstock-bench -p penstock-host -p penstock-vfio-user

build-bare: ## The other half: images, fuzzing, memory orderings
	$(LOOM) --no-run --quiet
	@.ci/image penstock-image >/dev/null
	@.ci/image penstock-probe >/dev/null
	@.ci/image penstock-foreign kernel/foreign/Cargo.toml >/dev/null
	@.ci/fuzz build

fetch: ## Downloads the crates of Cargo.lock; but for qemu-fetch nothing else needs a network
	@.ci/need cargo
	$(CARGO) fetch
	$(CARGO) fetch --manifest-path fuzz/Cargo.toml
	$(CARGO) fetch --manifest-path kernel/foreign/Cargo.toml

clean: ## Removes what was built
	rm -rf target fuzz/target
