# Every target sets up what it needs: a virtual environment in .venv, and for the tests some Debian
# packages. Nothing has to be activated. PYTHON=python3.12 chooses the interpreter.

PYTHON ?=
export PYTHON
# RabbitMQ and its like stand in sbin, which the PATH of ordinary users leaves out.
export PATH := $(PATH):/usr/sbin:/sbin

BIN := .venv/bin
# Two processes, each with a RabbitMQ of its own: most tests wait for others (docs/decisions/0028).
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run test lint format reference unit integration faults bench million peers clean venv tools packages

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: venv ## the demo: ten messages through a simulated message centre, and their receipts
	@$(BIN)/smsgw demo --once

# Tests run even where lint complains: one call tells everything, and pytest has the last word.
test: tools packages ## everything: lint, then the whole test suite
	@status=0; \
	$(MAKE) --no-print-directory lint || status=$$?; \
	$(BIN)/python -m pytest $(TWO) || status=$$?; \
	exit $$status

lint: tools ## ruff, mypy and the import contracts
	@status=0; \
	$(BIN)/ruff check --quiet || status=$$?; \
	$(BIN)/ruff format --check --quiet || { status=$$?; echo "make format would mend the layout"; }; \
	$(BIN)/mypy || status=$$?; \
	$(BIN)/lint-imports --no-logo || status=$$?; \
	exit $$status

format: tools ## lay the code out, and mend what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

reference: tools ## the pages of docs/ that are made from the code
	@$(BIN)/python scripts/reference.py

unit: tools ## the tests that start no process
	@$(BIN)/python -m pytest -m "not integration"

integration: tools packages ## the tests that start twistd, RabbitMQ, simulators
	@$(BIN)/python -m pytest $(TWO) -m integration

faults: tools packages ## twenty runs of 5,000 messages each through faults of all kinds: docs/faults.md
	@$(BIN)/python -m tests.faults --write docs/faults.md

bench: packages ## what the figures in docs/benchmarks/ and the README come from: ten minutes on a quiet machine
	@scripts/bootstrap bench
	@$(BIN)/python -m benchmarks

million: packages ## a million messages with receipts through RabbitMQ and two channels: five minutes
	@scripts/bootstrap bench
	@$(BIN)/python -m benchmarks.million

peers: packages ## the same drain with Kannel and Jasmin, which it installs: eight minutes on a quiet machine
	@scripts/bootstrap bench
	@$(BIN)/python -m benchmarks.peers

clean: ## remove what was built, .venv too
	@rm -rf .venv .venv-jasmin build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@rm -f twisted/plugins/dropin.cache

venv:
	@scripts/bootstrap run

tools:
	@scripts/bootstrap dev

packages:
	@scripts/bootstrap packages
