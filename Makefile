# GB/T 28181 platform: every command a person or CI needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
CARGO_DIR := media_core
export UV_PYTHON_DOWNLOADS := never
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# ------------------------------------------------------------------ set-up
$(VENV)/bin/uv:
	@bash .ci/check-tools.sh
	@"$$(bash .ci/find-python.sh)" -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.installed: requirements/dev.txt $(VENV)/bin/uv
	@echo "Installing the locked Python packages into $(VENV). 正在安装 Python 依赖。"
	$(UV) pip sync --quiet requirements/dev.txt requirements/uv.txt
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Create .venv with the locked dependencies

.PHONY: hooks
hooks: install ## Run the checks before each commit
	$(VENV)/bin/pre-commit install

.PHONY: lock
lock: $(VENV)/bin/uv ## Resolve the dependencies anew into requirements/
	$(UV) pip compile --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url --group dev pyproject.toml -o requirements/dev.txt
	$(UV) pip compile --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --extra media -o requirements/runtime.txt

# ------------------------------------------------------------------- build
.PHONY: build
build: install ## Build the media core (release) into media_relay/
	@[ -e media_relay/_core.abi3.so ] || echo "Building the media core; the first time takes a few minutes. 首次构建媒体核心需要几分钟。"
	$(VENV)/bin/maturin develop --release --quiet --uv

.PHONY: build-dev
build-dev: install ## Build the media core unoptimised (quicker to compile)
	$(VENV)/bin/maturin develop --quiet --uv

console/node_modules/.installed: console/package.json console/package-lock.json
	cd console && npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: console
console: console/node_modules/.installed ## Build the web console into console/static
	cd console && npm run --silent build

.PHONY: wheel
wheel: build console ## Build the wheel, console included, into dist/
	$(VENV)/bin/maturin build --release --quiet --out dist

# --------------------------------------------------------------------- run
.PHONY: serve
serve: build console ## Start the platform alone on its embedded database
	$(VENV)/bin/gb28181 serve $(ARGS)

.PHONY: demo
demo: build console ## Start the platform with simulated cameras and print the console's address
	$(VENV)/bin/gb28181 demo $(ARGS)

# ------------------------------------------------------------------ checks
PYTHON_FILES := sipserver sdp catalog media_relay cascade simulators conformance manscdp boundary storage api console app tests bench fuzz

.PHONY: format
format: install ## Format Python, Rust and the console
	$(VENV)/bin/ruff check --fix $(PYTHON_FILES)
	$(VENV)/bin/ruff format $(PYTHON_FILES)
	cd $(CARGO_DIR) && cargo fmt

.PHONY: lint
lint: install ## Style, spelling, import arrows, rustfmt
	$(VENV)/bin/ruff check $(PYTHON_FILES)
	$(VENV)/bin/ruff format --check $(PYTHON_FILES)
	$(VENV)/bin/codespell
	$(VENV)/bin/lint-imports
	cd $(CARGO_DIR) && cargo fmt --check

.PHONY: clippy
clippy: install ## Rust lints, warnings are errors
	cd $(CARGO_DIR) && PYO3_PYTHON=$(CURDIR)/$(PY) cargo clippy --quiet --release --all-targets -- -D warnings

.PHONY: types
types: build ## mypy --strict, and the native stub against the built module
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m mypy.stubtest media_relay._core

.PHONY: console-check
console-check: console/node_modules/.installed ## Type-check, lint and unit-test the console
	cd console && npm run --silent check

.PHONY: docs
docs: build ## Write the generated documents anew: OpenAPI and configuration
	$(VENV)/bin/gb28181 export-openapi -o api/openapi.json
	$(VENV)/bin/gb28181 export-configuration -o docs/configuration.md

# ------------------------------------------------------------------- tests
.PHONY: test
test: build console ## Every test: Rust, Python, end to end, foreign programs where installed
	cd $(CARGO_DIR) && cargo test --quiet --release -p gbmedia -p gbmedia-io
	$(PY) -m pytest -q -n 2 -m "not e2e and not foreign and not slow"
	$(PY) -m pytest -q -m "e2e or foreign or slow"

.PHONY: test-unit
test-unit: build ## The quick Python tests alone
	$(PY) -m pytest -q -n 2 -m "not e2e and not foreign and not slow"

FUZZ_SECONDS ?= 30
build/tools/bin/cargo-fuzz:
	cargo install --quiet --locked --root build/tools cargo-fuzz

.PHONY: fuzz
fuzz: build build/tools/bin/cargo-fuzz ## Fuzz every parser for FUZZ_SECONDS each
	for target in fuzz/*.py; do $(PY) $$target --seconds $(FUZZ_SECONDS); done
	cd $(CARGO_DIR) && for target in $$(ls fuzz/fuzz_targets | sed 's/\.rs$$//'); do \
	  RUSTC_BOOTSTRAP=1 $(CURDIR)/build/tools/bin/cargo-fuzz run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -print_final_stats=1; done

.PHONY: cover
cover: build ## Branch coverage of the Python packages
	$(VENV)/bin/coverage run -m pytest -q -m "not e2e and not foreign and not slow"
	$(VENV)/bin/coverage report --skip-covered

.PHONY: bench
bench: build ## Measure against reference programs; writes build/bench.json and docs/performance.md
	$(PY) bench/run.py $(ARGS)

.PHONY: all
all: lint console-check build clippy types test fuzz ## What CI runs, cheapest first

.PHONY: clean
clean: ## Remove what was built
	rm -rf build dist media_core/target console/static console/node_modules media_relay/_core*.so
