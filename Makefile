# On a fresh machine, `make run` and `make test` install what they need. `make run` requires Python 3.11 or later; `make
# test` also Go 1.25 or later, and root for apt.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-deps
# RUNNABLE: what `make run` needs is installed. STAMP: what the other targets need is installed; it requires RUNNABLE.
RUNNABLE := $(VENV)/.runnable
STAMP := $(VENV)/.installed
RUN ?= examples/echo-python
# The number of pytest workers. Tests wait for about as long as they compute.
WORKERS ?= 4
PORT ?=
# With this variable, each of the hundreds of processes that the suite starts would compile all modules that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run parts test kills e2e tck lint format bench bench-operator bench-coordination bench-mcp bench-events crds reference manifests lock clean
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) ## Install everything that the lock files name into .venv
$(STAMP): requirements.lock $(RUNNABLE)
	@echo "Installing what tests need besides into $(VENV); this happens once"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

# --no-compile: most modules are never imported, and compiling all of them takes longer than downloading them.
$(RUNNABLE): requirements.runtime.lock requirements.build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; set PYTHON=" >&2; exit 1; }
	@echo "Installing what running needs into $(VENV); this happens once"
	@$(PYTHON) -m venv $(VENV) || { echo "install the package python3-venv" >&2; exit 1; }
	@$(PIP) --no-compile --require-hashes -r requirements.runtime.lock -r requirements.build.lock
	@$(PIP) --quiet --no-build-isolation --editable .
	@touch $@

run: $(RUNNABLE) ## Run the example agent on this machine, without a cluster, broker or database; PORT= sets the port
	$(BIN)/lambdaagent dev $(if $(PORT),--port $(PORT)) $(RUN)

parts: setup ## Fetch or build what tests start: API server, etcd, helm, kustomize, RabbitMQ, PostgreSQL, nginx, MCP suite
	@$(BIN)/python -m tests.parts.fetch

test: lint parts ## Run lint and every test, including those that use a real API server and a real RabbitMQ
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --cov --cov-report=term --durations=25

kills: parts ## Kill gateways, database, broker, dispatcher under load; KILLS= sets how many (30), SEED= repeats a run
	LAMBDAAGENT_TEST_KILLS=$(or $(KILLS),30) LAMBDAAGENT_TEST_SEED=$(or $(SEED),0) \
	  $(BIN)/python -m pytest tests/integration/durability/test_random_kills.py

e2e: setup ## Test an installation on the cluster of KUBECONFIG, or else on a one-node cluster on this machine
	$(BIN)/python -m pytest tests/e2e --exitfirst

tck: setup ## Run the public A2A conformance kit; TCK_DIR= is its checkout, TCK_ARGS= are arguments of its runner
	@$(BIN)/python -m tests.conformance.run "$(TCK_DIR)" $(TCK_ARGS)

lint: setup ## Check style, types and layers
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Fix and format the code
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

bench: setup ## Measure the gateway; the results are ratios
	$(BIN)/python -m benchmarks

bench-operator: setup parts ## Measure the operator at 100 and 1,000 agents against a bare client; takes some minutes
	$(BIN)/python -m benchmarks.reconcile

bench-coordination: setup ## Measure messages, contexts, jobs and votes of 1,000 agents on each kind of database
	$(BIN)/python -m benchmarks.gateway_coordination

bench-mcp: setup ## Measure the MCP endpoint against the official SDK's server
	$(BIN)/python -m benchmarks.gateway_mcp

bench-events: setup parts ## Measure ingress and dispatcher on RabbitMQ against bare pika
	$(BIN)/python -m benchmarks.events

crds: setup ## Generate crds/ from the models
	$(BIN)/lambdaagent crd > crds/lambdaagents.yaml

reference: setup ## Generate the references of fields and routes
	$(BIN)/python -m docs.generate

manifests: crds reference ## Generate crds/, the reference, manifests/ and the generated files of charts/
	$(BIN)/python -m charts.generate "$$($(BIN)/python -c 'from tests.parts import fetch; print(fetch.go_part("helm"))')"

lock: setup ## Resolve the dependencies again and write the lock files
	$(BIN)/uv pip compile --quiet pyproject.toml --group test --group lint --group build --group lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 --upgrade -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra postgres --constraint requirements.lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 -o requirements.runtime.lock
	$(BIN)/uv pip compile --quiet --group build --constraint requirements.lock --generate-hashes \
	  --no-header --no-annotate --universal --python-version 3.11 -o requirements.build.lock

clean: ## Remove .venv, coverage data and caches
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
