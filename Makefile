# Build, test and try NEDB. `make` alone lists the targets.
#
# Needs: Rust, Python 3.9 or newer, Node 18 or newer, a C linker, make. The rest is fetched from
# crates.io, PyPI and npm into .venv/, node_modules/ and examples/node_modules/.
#
# A target that builds leaves a stamp in build/, so that nothing is built twice.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
CARGO ?= cargo
NPM ?= npm
NODE ?= node
# Options for pytest, for example: make test-python PYTEST_ARGS="-k transaction"
PYTEST_ARGS ?=
# Options for bench/compare.py
BENCH_ARGS ?=
# NEDB_1X=skip leaves out the comparison with NEDB 1.2.2.
NEDB_1X ?= run

ifeq ($(OS),Windows_NT)
  VENV_BIN := Scripts
  EXE := .exe
else
  VENV_BIN := bin
  EXE :=
endif
PY := $(CURDIR)/.venv/$(VENV_BIN)/python$(EXE)
PY_1X := $(CURDIR)/.venv-1x/$(VENV_BIN)/python$(EXE)
STAMPS := build/stamps
NEDBD := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/nedbd$(EXE)
# Versions of one crate in cargo's registry, oldest first, for the bench of files; those that were fetched.
SOURCE_TREES ?= $(sort $(wildcard $(HOME)/.cargo/registry/src/*/tokio-1.[0-9]*))
FILMS := examples/node_modules/vega-datasets/data/movies.json

export PYO3_PYTHON := $(PY)
export VIRTUAL_ENV := $(CURDIR)/.venv
export NPM_CONFIG_FUND := false
export NPM_CONFIG_AUDIT := false
export NPM_CONFIG_UPDATE_NOTIFIER := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifneq ($(NEDB_1X),skip)
  export NEDB_1X_PYTHON := $(PY_1X)
  STAMP_1X := $(STAMPS)/venv-1x
endif

CORE_SOURCES := $(shell find rust/nedb-core/src -name '*.rs') Cargo.toml Cargo.lock rust/nedb-core/Cargo.toml
WHEEL_SOURCES := $(CORE_SOURCES) pyproject.toml $(shell find rust/nedb-py -type f)
NEDBD_SOURCES := $(CORE_SOURCES) $(shell find rust/nedbd -type f)
ADDON_SOURCES := $(CORE_SOURCES) package.json $(shell find rust/nedb-node -type f)

step = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# ---------------------------------------------------------------------------------- tools and builds

# A Python without ensurepip (Debian splits it off) makes the environment with the pip it has.
$(STAMPS)/venv: scripts/requirements-dev.txt
	$(call step,Python environment .venv)
	scripts/make_venv $(PYTHON) .venv
	$(PY) -m pip install --quiet --requirement scripts/requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv-1x:
	$(call step,Python environment .venv-1x with NEDB 1.2.2)
	scripts/make_venv $(PYTHON) .venv-1x
	$(PY_1X) -m pip install --quiet nedb-engine==1.2.2
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/npm: package.json package-lock.json
	$(call step,Node tools)
	$(NPM) ci --no-progress --ignore-scripts
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/films: examples/package.json examples/package-lock.json
	$(call step,Films for the tours)
	$(NPM) ci --no-progress --ignore-scripts --prefix examples
	@test -s $(FILMS)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/wheel: $(STAMPS)/venv $(WHEEL_SOURCES)
	$(call step,Python extension)
	$(PY) -m maturin develop --release --quiet
	@touch $@

$(STAMPS)/addon: $(ADDON_SOURCES) scripts/build_addon.mjs
	$(call step,Node addon)
	$(NODE) scripts/build_addon.mjs --cargo $(CARGO)
	@mkdir -p $(STAMPS) && touch $@

# The server that ships, so that a wheel, which holds it, finds it built.
$(STAMPS)/nedbd: $(NEDBD_SOURCES) scripts/build_addon.mjs
	$(call step,Server)
	$(NODE) scripts/build_addon.mjs --cargo $(CARGO) --nedbd
	@mkdir -p $(STAMPS) && touch $@

.PHONY: build wheel addon nedbd npm-packages
build: wheel addon ## Build the Python extension and the Node addon (release)
nedbd: $(STAMPS)/nedbd ## Build the server (release), as target/release/nedbd
wheel: $(STAMPS)/wheel
addon: $(STAMPS)/addon
npm-packages: addon nedbd ## Make the packages for npm, with the addon and the server of this platform, in build/npm
	$(NODE) scripts/npm_packages.mjs
	cd build/npm && $(NPM) pack --silent ./*/

# ------------------------------------------------------------------------------------------- trying

.PHONY: tour tour-node tour-rust
tour: $(STAMPS)/wheel $(STAMPS)/addon $(STAMPS)/films ## Load 3,201 films and ask questions, from Python
	$(PY) examples/tour.py

tour-node: $(STAMPS)/addon $(STAMPS)/films ## The same tour from Node
	$(NODE) examples/tour.mjs

tour-rust: $(STAMPS)/films ## The same tour from Rust
	$(CARGO) run --quiet --package nedb-core --example tour

# ------------------------------------------------------------------------------------------ checking

.PHONY: test check lint test-rust test-python test-node test-server test-tours test-docs
test: lint test-rust test-python test-node test-server test-docs test-tours ## Run everything: lints, tests in three languages and over HTTP, tours

check: lint test-docs ## Run what takes seconds: formatting, lints, the core's unit tests, the documents
	$(call step,Unit tests of the core)
	$(CARGO) test --quiet --package nedb-core --lib

# What is denied because it could take a host down is how tests and examples fail.
LINTS_OFF_IN_TESTS := $(addprefix --allow clippy::,indexing_slicing panic print_stderr print_stdout type_complexity unwrap_used)
lint: $(STAMPS)/venv
	$(call step,cargo fmt --check)
	$(CARGO) fmt --all --check
	$(call step,cargo clippy)
	$(CARGO) clippy --quiet --workspace --lib --bins -- --deny warnings
	$(CARGO) clippy --quiet --workspace --examples --tests --benches -- --deny warnings $(LINTS_OFF_IN_TESTS)

# nextest runs tests in parallel processes; where it is not installed cargo's own runner does.
test-rust: $(STAMP_1X) ## Rust: unit, model, crash, damage and conformance tests
	$(call step,Rust tests)
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --package nedb-core --no-fail-fast --status-level slow --final-status-level fail; \
	else \
	  $(CARGO) test --package nedb-core --lib --tests --no-fail-fast; \
	fi
	$(call step,Rust documentation examples)
	$(CARGO) test --package nedb-core --doc

test-python: $(STAMPS)/wheel $(STAMP_1X) ## Python: pytest (the type stubs against the extension too), mypy
	$(call step,Python tests)
	$(PY) -m pytest tests/python $(PYTEST_ARGS)
	$(call step,Python types)
	$(PY) -m mypy

test-node: $(STAMPS)/addon $(STAMPS)/npm ## Node: node --test, and the type declarations
	$(call step,Node types)
	$(NPM) run --silent test:types
	$(call step,Node tests)
	$(NODE) --test --test-reporter=spec tests/node/*.test.js

test-server: $(STAMPS)/wheel $(STAMPS)/addon $(STAMPS)/nedbd ## The server: unit tests, pytest against the binary, the conformance suite through the clients
	$(call step,Server unit tests)
	$(CARGO) test --quiet --package nedbd
	$(call step,Server tests)
	NEDBD_BINARY=$(NEDBD) $(PY) -m pytest tests/server $(PYTEST_ARGS)
	$(call step,Client for Node and packages for npm)
	NEDBD_BINARY=$(NEDBD) $(NODE) --test --test-reporter=spec tests/server/*.test.js

test-docs: $(STAMPS)/venv ## The documents: generated pages are current, links lead somewhere
	$(call step,Documents)
	$(PY) scripts/make_errors_page.py --check
	$(PY) scripts/check_links.py
	$(PY) tests/conformance/lint_cases.py

test-tours: $(STAMPS)/wheel $(STAMPS)/addon $(STAMPS)/films ## Run the three tours and compare their heads
	$(call step,Tours from Python Node and Rust)
	$(CARGO) build --quiet --package nedb-core --example tour
	$(PY) scripts/compare_tours.py --node $(NODE) --cargo $(CARGO)

.PHONY: bench bench-compare
# Three quarters of an hour; make bench BENCH_ARGS=--quick takes a few minutes and only prints.
bench: bench-compare bench-disk ## Measure everything but the server

bench-compare: $(STAMPS)/wheel $(STAMPS)/venv-1x ## Measure beside SQLite and NEDB 1.2.2 (see bench/README.md)
	$(PY) bench/compare.py --nedb-1x $(PY_1X) $(BENCH_ARGS)

.PHONY: bench-disk
bench-disk: $(STAMPS)/wheel $(STAMPS)/venv-1x $(STAMPS)/films ## Measure what a disk bounds, files and encryption (see bench/README.md)
	$(PY) bench/disk.py --nedb-1x $(PY_1X) $(BENCH_ARGS)
	$(CARGO) run --release --quiet --package nedb-core --example files -- --films $(FILMS) $(SOURCE_TREES)
	$(CARGO) run --release --quiet --package nedb-core --example encryption

.PHONY: bench-server
bench-server: $(STAMPS)/venv $(STAMPS)/nedbd ## Measure the server, with wrk; five minutes (see bench/README.md)
	NEDBD_BINARY=$(NEDBD) $(PY) bench/serve.py $(BENCH_ARGS)

.PHONY: bench-hostile
bench-hostile: $(STAMPS)/venv $(STAMPS)/nedbd ## Measure what hostile clients cost the others; two minutes (see bench/README.md)
	NEDBD_BINARY=$(NEDBD) $(PY) bench/hostile.py $(BENCH_ARGS)

# The tool is fetched from crates.io; libFuzzer, which it builds, needs a C++ compiler. What it finds is left in
# build/fuzz/found, with how to look at it.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(sort $(basename $(notdir $(wildcard rust/fuzz/targets/*.rs))))
FUZZ := $(CURDIR)/build/fuzz
# Where databases are opened and thrown away: in memory, where that can be had.
FUZZ_FOLDER := $(firstword $(wildcard /dev/shm) $(TMPDIR) /tmp)

.PHONY: fuzz
fuzz: $(STAMPS)/wheel ## Fuzz every parser with coverage, a minute each (FUZZ_SECONDS, FUZZ_TARGETS)
	$(call step,cargo-fuzz and seeds)
	$(CARGO) install --quiet --root $(FUZZ)/tools cargo-fuzz
	$(PY) scripts/make_fuzz_seeds.py $(FUZZ)/corpus
	@mkdir -p $(addprefix $(FUZZ)/corpus/,$(FUZZ_TARGETS)) $(FUZZ)/found
	cd rust/fuzz && for target in $(FUZZ_TARGETS); do \
	  printf '\n== %s\n' $$target; \
	  RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(FUZZ)/target TMPDIR=$(FUZZ_FOLDER) \
	    $(FUZZ)/tools/bin/cargo-fuzz run --fuzz-dir . --sanitizer none $$target \
	    $(FUZZ)/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -print_final_stats=1 \
	    -artifact_prefix=$(FUZZ)/found/$$target- -verbosity=0; \
	done

.PHONY: clean
clean: ## Remove everything that was built or fetched
	$(CARGO) clean
	rm -rf build dist .venv .venv-1x node_modules examples/node_modules .pytest_cache .mypy_cache
	rm -f node/*.node node/nedbd.*-* python/nedb/_native*.so python/nedb/_native*.pyd
