# `make run` and `make test` need only Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Each command that is started would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run cluster test quick check docs client soak bench bench-full clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/'

run: $(VENV)/run.installed  ## Serve Harken on http://127.0.0.1:8000, with some example notes
	$(BIN)/harken migrate
	-$(BIN)/harken import markdown src/harken/vault --if-empty
	$(BIN)/harken serve

cluster: $(VENV)/test.installed  ## Run all parts on this machine: a broker, PostgreSQL with a standby, two services, a consumer
	@exec $(BIN)/python -m examples.cluster

test: check  ## Run all checks and all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest -n auto --dist worksteal

quick: check  ## Run all checks, and the quick unit tests
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" tests/unit tests/house

check: $(VENV)/test.installed  ## Check formatting, lint, security, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --recursive src --configfile pyproject.toml
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/test.installed  ## Build the documentation site into build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

client: $(VENV)/test.installed  ## Rebuild the clients from their sources and the OpenAPI document; needs Node.js
	for name in shapes async_client; do \
	  $(BIN)/python clients/python/scripts/$$name.py > build-$$name.tmp && \
	  mv build-$$name.tmp clients/python/src/harken_client/$$name.py || exit 1; done
	$(BIN)/ruff format --quiet clients/python
	$(BIN)/python clients/typescript/scripts/openapi.py client > clients/typescript/openapi.json
	$(BIN)/python clients/typescript/scripts/openapi.py pages > clients/typescript/pages/openapi.json
	cd clients/typescript && npm ci && npm run types && npm run build

soak: $(VENV)/test.installed  ## Run the fault tests and others for a longer time, and what `make test` leaves out
	HARKEN_TEST_SOAK=1 $(BIN)/python -m pytest tests/faults tests/api tests/cli tests/contract/test_*_machine.py tests/browser/test_reader_for_all.py tests/unit/test_replay_of_a_real_log.py tests/integration/test_packages.py tests/integration/test_retraining.py tests/integration/test_rolling_upgrade.py tests/integration/test_upgrades.py

bench: $(VENV)/test.installed  ## Run all benchmarks, in about ten minutes
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/test.installed  ## Run all benchmarks for longer, on larger data
	$(BIN)/python -m benchmarks --full

clean:  ## Remove the environment and caches; data is kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
	cd clients/typescript && rm -rf node_modules dist build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Harken needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[parquet]'
	@touch $@

$(VENV)/test.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/run.installed
