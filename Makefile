# `make help` lists the targets. `make demo` and `make test` need Python 3.11 to 3.13 and make, nothing
# else: they make the virtual environment and install what is missing. All targets may be run again.

VENV ?= .venv
WORKERS ?= 2
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
SERVICE_SECONDS ?= 1800
SOAK_KILLS ?= 200
ORDERS ?= 10000000
ENGINE ?= docker
BIN := $(VENV)/bin
export PYTHON VENV WORKERS

.DEFAULT_GOAL := help
.PHONY: help demo test setup check format lint types layers security coverage fuzz soak nightly bench containers docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## dry-run the shipped orders: the shipped policies against a tightened copy of them
	@.ci/setup
	@$(BIN)/ringfence validate policies examples/tightened
	@$(BIN)/ringfence test policies/tests --policies policies
	@echo
	@$(BIN)/ringfence dry-run --orders examples/data/orders.parquet --marks examples/data/marks.parquet \
	  --balances examples/data/balances.csv --instruments examples/data/instruments.yaml \
	  --base policies --policies examples/tightened --out build/demo
	@echo
	@echo "The report, with plots, for a browser: $(CURDIR)/build/demo/report.html"
	@echo "The same orders live, through a running guard, with a dashboard: $(BIN)/ringfence serve --demo"

test: ## run every test; installs what tests need
	@.ci/setup dev
	@.ci/test

# Watching which lines run takes more than twice the time.
coverage: ## the same, and at least 90 % of the lines are run; build/coverage shows which are not
	@.ci/setup dev
	@.ci/test --cov --cov-report=term --cov-report=html

setup: ## make the virtual environment, with all tools for development
	@.ci/setup dev

check: format lint types layers security coverage ## everything that continuous integration checks

format: setup
	$(BIN)/black --check --quiet --diff .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

security: setup ## faults in the source (bandit), and known ones in what it depends on (pip-audit)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive engine production_deployment.py
	@.ci/audit

soak: setup ## kills and faults under load; guards for SOAK_SECONDS (600), the service for SERVICE_SECONDS (1800)
	rm -f build/soak.json
	RINGFENCE_SOAK_SECONDS=$(SOAK_SECONDS) RINGFENCE_SOAK_KILLS=$(SOAK_KILLS) \
	  RINGFENCE_SOAK_SERVICE_SECONDS=$(SERVICE_SECONDS) $(BIN)/python -m pytest -s \
	  -o faulthandler_timeout=$$(( 2 * $(SOAK_SECONDS) + 2 * $(SERVICE_SECONDS) + 1200 )) tests/soak

nightly: setup ## the property tests with 20,000 examples each
	RINGFENCE_HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(WORKERS) -m "unit or security"

fuzz: ## fuzz what reads foreign text, FUZZ_SECONDS (60) for each target
	@.ci/setup dev fuzz
	@set -e; for target in tests/fuzz/fuzz_*.py; do \
	  corpus=build/fuzz/$$(basename $$target .py); mkdir -p $$corpus; echo "$$target"; \
	  $(BIN)/python $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $$corpus; \
	done

bench: setup ## measure speed and memory with ORDERS (10,000,000) orders; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks --orders $(ORDERS) --write-docs

containers: setup ## build the image and run it, by ENGINE (docker, podman)
	RINGFENCE_CONTAINERS=$(ENGINE) $(BIN)/python -m pytest -s tests/deployment/test_containers.py tests/deployment/test_compose_containers.py

docs: setup ## write docs/reference and the schemas for editors, from the rules and the program
	$(BIN)/python -m docs.generate

lock: ## renew requirements.lock, within the bounds of pyproject.toml
	@.ci/setup lock
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --all-extras --universal --fork-strategy fewest \
	  --python-version 3.11 --no-annotate --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove what was built; keeps the virtual environment
	rm -rf build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find engine tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
