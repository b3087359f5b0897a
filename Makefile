# `make dev` and `make test` are all the set-up there is; `make help` lists the rest.
# Targets are relative on purpose: the checkout may stand in a path with a space in it.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
NODE_STAMP := node_modules/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup dev test test-slow check lint types format lock openapi bench package package-vercel platforms node clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv from the locked, hashed requirements

# A half-made environment is never mistaken for a whole one: the stamp is written last.
$(STAMP): requirements-dev.txt pyproject.toml
	@rm -f $(STAMP)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'digis needs Python 3.11 or later; say which with make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'making .venv (once; about a minute)'
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $(STAMP)

dev: setup ## run everything on this laptop (make dev ARGS='--port 9000 --fresh')
	@DIGIS_ENDS_WITH_PARENT=1 exec $(BIN)/digis dev $(ARGS)

test: setup ## the tests (make test ARGS='-k creators')
	@DIGIS_ENDS_WITH_PARENT=1 exec $(BIN)/python -m pytest $(ARGS)

test-slow: setup ## the tests that take long (whole stacks, outages, every quota): ten minutes more
	@DIGIS_ENDS_WITH_PARENT=1 exec $(BIN)/python -m pytest -m slow $(ARGS)

check: lint types ## what CI checks before the tests: lint, format and types

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

format: setup ## put the code into the one format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: setup ## write the locks again from pyproject.toml (hashes, no addresses)
	@$(BIN)/python -m tools.lock

openapi: setup ## write openapi.json again from the routes
	@$(BIN)/digis openapi > openapi.json.new && mv openapi.json.new openapi.json

bench: setup ## measure ratios side by side; writes tools/bench/results/latest.*
	@$(BIN)/python -m tools.bench $(ARGS)

package: setup ## build build/lambda/<function>.zip, and arm64's below it (needs a Python 3.13)
	@$(BIN)/python -m tools.deploy $(ARGS)

package-vercel: setup node ## build build/vercel/.vercel/output (needs Node 20 and a Python 3.13)
	@$(BIN)/python -m tools.deploy.vercel $(ARGS)

platforms: setup ## write serverless.yml and vercel.json again from the routes
	@$(BIN)/python -m tools.deploy.platforms

node: $(NODE_STAMP) ## install osls and vercel into node_modules (once; about a minute)

# Not `npm ci`: it insists on optional packages for other systems, of which the registry does not have every version.
# --no-save leaves the lock as it is, and npm checks what it installs against the lock's hashes all the same.
$(NODE_STAMP): package-lock.json package.json
	@command -v npm >/dev/null || { echo 'this needs Node 20 or later, and npm' >&2; exit 1; }
	@rm -f $(NODE_STAMP)
	@echo 'installing the Node tools (once; about a minute)'
	@npm install --no-save --ignore-scripts --silent --no-progress
	@touch $(NODE_STAMP)

clean: ## remove what was made here: .venv, build output, caches (not .digis, your local data)
	rm -rf .venv build dist node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
