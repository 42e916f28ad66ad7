# Two commands do everything on a fresh machine: `make run` and `make test`. Python 3.11 or later is all they start from.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-deps
# What running needs, and all that is needed here. The first is a part of the second, whichever was asked for first.
RUNNABLE := $(VENV)/.runnable
STAMP := $(VENV)/.installed
RUN ?= examples/echo-python
# Tests wait about as much as they compute.
WORKERS ?= 3
PORT ?=
# Where modules may not be kept compiled, every process compiles all that it imports: the suite starts hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run parts test kills e2e tck lint format bench bench-operator bench-events crds reference manifests lock clean
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) ## Install what the lock names into .venv
$(STAMP): requirements.lock $(RUNNABLE)
	@echo "Installing what tests need besides into $(VENV); this happens once"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

# Compiled when first used: most of it never is, and compiling it takes longer than fetching it.
$(RUNNABLE): requirements.runtime.lock requirements.build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; set PYTHON=" >&2; exit 1; }
	@echo "Installing what running needs into $(VENV); this happens once"
	@$(PYTHON) -m venv $(VENV) || { echo "install the package python3-venv" >&2; exit 1; }
	@$(PIP) --no-compile --require-hashes -r requirements.runtime.lock -r requirements.build.lock
	@$(PIP) --quiet --no-build-isolation --editable .
	@touch $@

run: $(RUNNABLE) ## Run the example agent here: no cluster, broker or database needed; PORT= chooses the port
	$(BIN)/lambdaagent dev $(if $(PORT),--port $(PORT)) $(RUN)

parts: setup
	@$(BIN)/python -m tests.parts.fetch

test: lint parts ## Run every test, those on a real API server and a real RabbitMQ included
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --cov --cov-report=term --durations=25

kills: parts ## Kill gateways, database, broker and dispatcher under load: KILLS=100 of them, SEED= repeats a run's choices
	LAMBDAAGENT_TEST_KILLS=$(or $(KILLS),30) LAMBDAAGENT_TEST_SEED=$(or $(SEED),0) \
	  $(BIN)/python -m pytest tests/integration/durability/test_random_kills.py

e2e: setup ## Install it on a cluster and use it: on the one of KUBECONFIG, else on a node of this machine's own
	$(BIN)/python -m pytest tests/e2e --exitfirst

tck: setup ## Run the public A2A conformance kit: TCK_DIR=its checkout, TCK_ARGS=what its runner takes
	@$(BIN)/python -m tests.conformance.run "$(TCK_DIR)" $(TCK_ARGS)

lint: setup ## Style, types and layers
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Put the code into its form
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

bench: setup ## Measure the gateway, as ratios
	$(BIN)/python -m benchmarks

bench-operator: setup parts ## Measure the operator at 100 and 1,000 agents beside a bare client; some minutes
	$(BIN)/python -m benchmarks.reconcile

bench-events: setup parts ## Measure ingress and dispatcher on RabbitMQ beside bare pika
	$(BIN)/python -m benchmarks.events

crds: setup ## Write crds/ anew from the models
	$(BIN)/lambdaagent crd > crds/lambdaagents.yaml

reference: setup ## Write docs/reference/lambdaagent.md anew from the models
	$(BIN)/python -m docs.generate

manifests: crds reference ## Write what follows from the code in charts/ and manifests/ anew
	$(BIN)/python -m charts.generate "$$($(BIN)/python -c 'from tests.parts import fetch; print(fetch.go_part("helm"))')"

lock: setup ## Resolve the dependencies anew
	$(BIN)/uv pip compile --quiet pyproject.toml --group test --group lint --group build --group lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 --upgrade -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra postgres --constraint requirements.lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 -o requirements.runtime.lock
	$(BIN)/uv pip compile --quiet --group build --constraint requirements.lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 -o requirements.build.lock

clean: ## Remove what was made here
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
