# Everything here runs without arguments. `make` alone says what there is.

# Recipes stop at the first failure of a pipe, too.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: promises deny help run demo cluster demo-without-guard test check verify fix model openapi console test-sdk dist drill sim mutants fuzz chaos chaos-nodes chaos-patterns waiting deploy galera alerts boards
.PHONY: bench bench-figures bench-growth bench-smoke bench-screens bench-stores bench-observed bench-gids bench-compare bench-relays bench-guard instructions instructions-update

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Keep a coordinator and its participants up to play with, until Ctrl-C
	@deploy/demo/run.sh

demo: ## Tell in twelve scenes what Tercet does when things go well, and when they do not
	@deploy/demo/demo.sh

# Of the servers that tests/databases starts this needs one; a URL that is set keeps it from starting the other.
cluster: ## Play three coordinators on a throw-away PostgreSQL, of which one is killed under load
	@TERCET_TEST_MYSQL_URL=unused tests/databases deploy/demo/cluster.sh

demo-without-guard: ## Run the flash sale without the participants' guard: the sums that are off, on purpose
	@deploy/demo/without-guard.sh

# Everything that tests need is built at once with all drivers of databases and all programs, since each other set of features would
# build what we depend on once more. Whoever has built the programs says so by BIN_DIR, and none is built again.
DRIVERS := tercet-participant/postgres,tercet-participant/mysql,tercet-journal/databases,tercet-tests/databases,tercet-chaos/databases
export FEATURES := $(DRIVERS),tercet-participant/test-kit,tercet-participant/relay
BUILT := $(or $(CARGO_TARGET_DIR),target)
PROGRAMS := $(or $(BIN_DIR),$(BUILT)/debug)
BUILD_PROGRAMS := $(if $(BIN_DIR),test -x $(BIN_DIR)/tercet,cargo build --workspace --bins)
BUILD_TESTS := cargo build --workspace --bins --tests --features $(FEATURES)
TESTS := cargo test --workspace --features $(FEATURES)

# With throw-away servers of PostgreSQL and MariaDB. What changes a whole server's settings comes after all others, one by one. Of the
# planted bugs, which take the longest of all, an eighth is put in, another one with each commit.
test: ## Build everything and run every test; of the planted bugs an eighth; the libraries whose toolchain is there
	$(BUILD_TESTS)
	TURN=$$(git rev-list --count HEAD) tests/databases sh -c '$(TESTS) && $(TESTS) --lib -- postgres mysql --ignored --test-threads 1 && sdk/test'
	$(MAKE) bench-smoke BIN_DIR=$(BUILT)/debug

check: ## Check format, lints and documentation; changes nothing
	cargo fmt --all --check
	$(if $(ALL_FEATURES_ALONE),,cargo clippy --workspace --all-targets -- -D warnings)
	cargo clippy --workspace --all-targets --features $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	tools/deny

deny: ## Check what we depend on by deny.toml (builds cargo-deny into target/ where it is missing: some minutes, once)
	tools/deny

verify: check test ## Everything that must hold before a change is taken; changes nothing

fix: ## Format, and mend what clippy can mend
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all

promises: ## List in docs/testing.md which tests keep which promise, as the tests themselves say
	TERCET_MAKE_PROMISES=1 cargo test -q -p tercet-tests --test rules promises

test-sdk: ## Test the libraries whose toolchain is there (python3, go, node, JDK 17 with maven; 15 minutes, the first time more)
	$(if $(BIN_DIR),,$(BUILD_TESTS))
	BIN_DIR=$(PROGRAMS) tests/databases sdk/test

dist: ## Build what is given away into target/dist: programs, libraries, SBOM, checksums; use each from there (10 minutes the first time)
	tools/dist

console: ## Try the console in a real browser, with axe (chromium, chromium-driver, npm; 5 minutes, the first time 10)
	$(BUILD_PROGRAMS)
	tests/console/run

# WAITING: how many wait where many do.
drill: ## Put right by command line and console what goes wrong; write docs/operating.md (root; chromium, npm; 6 minutes)
	$(BUILD_PROGRAMS)
	tests/console/run --drill --report "$(CURDIR)/docs/operating.md"

openapi: ## Try /openapi.json with three generators of clients and with schemathesis (python3, node, go; 4 minutes)
	$(BUILD_PROGRAMS)
	tests/openapi/run

deploy: ## Try what is in deploy/ with helm, Kubernetes' types and nginx (go, nginx; the first time some minutes)
	tests/deploy/run

alerts: ## Try deploy/prometheus with promtool: each alert firing where it must and silent where it must not (prometheus)
	tests/prometheus/run

boards: ## Draw deploy/grafana's boards with the demo's load into docs/images (prometheus, python3-matplotlib; 6 minutes)
	$(BUILD_PROGRAMS)
	BIN_DIR=$(PROGRAMS) deploy/grafana/pictures.sh

galera: ## Try two coordinators on a throw-away Galera cluster, each at its own MariaDB (galera-4; a minute)
	$(BUILD_TESTS)
	tests/galera $(TESTS) --test cluster -- --ignored galera

model: ## Explore every state of the model over the real engine
	cargo test -p tercet-engine --test model -- --nocapture

# One seed is one world; the same seed does the same again. TRACE=1 prints every event of SEED.
SEED ?= 1
RUNS ?= 2000
sim: ## Run RUNS simulated worlds full of faults from SEED on, on all cores
	cargo run --release --quiet -p tercet-sim -- $(if $(TRACE),--trace) $(SEED) $(RUNS)

# Those that have this in their name, or their file's.
BUGS ?=
mutants: ## Put bugs back one at a time (BUGS=word: some of them), and see what catches each
	BUGS="$(BUGS)" cargo test -p tercet-mutants -- --nocapture

# What comes in by default; `make fuzz TARGET=rows SECONDS=300` for another, or longer.
TARGET ?= bodies
SECONDS ?= 60

fuzz: ## Search for inputs that break a promise: TARGET=access|bodies|calls|face|headers|journal|rows|texts|urls SECONDS=60
	@tools/fuzz/run "$(TARGET)" "$(SECONDS)"

CHAOS := $(or $(CARGO_TARGET_DIR),target)/release/tercet-chaos

chaos: ## Kill, stop, cut off and fill up the real programs under load; write docs/chaos.md (root; 7 minutes)
	cargo build --release -p tercet-coordinator -p tercet-demo -p tercet-chaos --bins
	$(CHAOS) run --report docs/chaos.md

chaos-nodes: ## Kill, freeze and cut off nodes, and their database; write docs/chaos.md (throw-away servers; 16 minutes)
	cargo build --release -p tercet-coordinator -p tercet-demo -p tercet-chaos --bins
	tests/databases $(CHAOS) nodes --report docs/chaos.md

# The relay is a program of the SDK's; it has the drivers of whoever is built with it.
chaos-patterns: ## Kill and cut off what sagas and an outbox need; write docs/chaos.md (root; throw-away PostgreSQL; 4 minutes)
	cargo build --release -p tercet-coordinator -p tercet-demo -p tercet-participant -p tercet-chaos --bins
	TERCET_TEST_MYSQL_URL=unused tests/databases $(CHAOS) patterns --report docs/chaos.md

waiting: ## Let 100 000 transactions wait for a dead participant; write docs/chaos.md (3 minutes)
	cargo build --release -p tercet-coordinator -p tercet-demo -p tercet-chaos --bins
	$(CHAOS) waiting --report docs/chaos.md

# Measured is what would run: the release build. Both are built in one go, so that they share
# what they depend on.
BENCH := cargo build --release -p tercet-coordinator -p tercet-bench --bins

bench: ## Measure the daemon against its own bound: tables, target/bench/report.md, a plot; under ten minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench run --daemon $(BUILT)/release/tercet

bench-figures: ## Put the last report of `make bench` into docs/performance.md
	sed -i '/^<!-- figures -->$$/q' docs/performance.md
	cat target/bench/report.md >> docs/performance.md
	cp target/bench/latency.svg docs/latency.svg

bench-growth: ## Measure how cost grows with what is finished, waits and fails, and how lists and screens fare; twenty minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench growth --daemon $(BUILT)/release/tercet

bench-screens: ## Measure the lists and screens of that alone, and the load beside somebody who looks; eight minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench screens --daemon $(BUILT)/release/tercet

bench-stores: ## Measure SQLite, PostgreSQL and MariaDB in turns, and two nodes, on throw-away servers; eight minutes
	$(BENCH)
	tests/databases sh -c '$(BUILT)/release/tercet-bench stores --daemon $(BUILT)/release/tercet \
		--postgres "$$TERCET_TEST_POSTGRES_URL" --mysql "$$TERCET_TEST_MYSQL_URL"'

bench-observed: ## Measure what logs, metrics and traces cost, in turns; three minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench observed --daemon $(BUILT)/release/tercet

bench-gids: ## Measure what whose gids transactions have costs, with a million of each; twelve minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench gids --daemon $(BUILT)/release/tercet

# BEFORE: the program of the other daemon.
bench-compare: ## Measure another daemon against this one, in turns: make bench-compare BEFORE=PROGRAM; five minutes
	$(BENCH)
	$(BUILT)/release/tercet-bench compare --before "$(BEFORE)" --daemon $(BUILT)/release/tercet

bench-relays: ## Measure one and three relays of an outbox on a throw-away PostgreSQL; write docs/performance.md; two minutes
	cargo build --release -p tercet-coordinator -p tercet-demo -p tercet-participant -p tercet-chaos --bins
	TERCET_TEST_MYSQL_URL=unused tests/databases $(CHAOS) relays --report docs/performance.md

bench-guard: ## Measure a Rust participant on SQLite, with a commit for each call and with a group commit, in turns; two minutes
	cargo bench -p tercet-participant --bench guard

bench-smoke: ## Run every case of the benchmark for a moment: every answer must be right, no figure counts
	$(BUILD_PROGRAMS)
	$(PROGRAMS)/tercet-bench smoke --daemon $(PROGRAMS)/tercet --below target/bench-smoke

# Needs valgrind; on Debian: apt-get install valgrind.
INSTRUCTIONS := cargo bench -q -p tercet-coordinator -p tercet-bench --bench instructions

instructions: ## Compare the instructions of the pure parts with the counts in tools/bench/instructions.toml
	$(INSTRUCTIONS)

instructions-update: ## Write these counts anew
	$(INSTRUCTIONS) -- --update
