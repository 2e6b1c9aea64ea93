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
	$(UV) pip sync --quiet requirements/dev.txt requirements/uv.txt
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Create .venv with the locked dependencies

.PHONY: lock
lock: $(VENV)/bin/uv ## Resolve the dependencies anew into requirements/
	$(UV) pip compile --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url --group dev pyproject.toml -o requirements/dev.txt
	$(UV) pip compile --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --extra media -o requirements/runtime.txt

# ------------------------------------------------------------------- build
.PHONY: build
build: install ## Build the media core (release) into media_relay/
	$(VENV)/bin/maturin develop --release --quiet --uv
