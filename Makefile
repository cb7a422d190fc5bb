# `make demo` and `make test` do their own set-up. Variables:
#   PYTHON       interpreter to build the virtual environment with (3.11 to 3.13)
#   TORCH_INDEX  address of another index for torch and torchvision, such as PyTorch's CPU builds (a tenth of the size)
PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin
# Compiled at once: every stage is a separate process and would compile its imports again where it may not write.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

# Threads of OpenMP that spin while they wait slow down a training step 7 to 35 times when another process shares the cores;
# a short spin costs nothing when it is alone. The tests start hundreds of processes, which must not compile the same
# modules again and again.
TEST := GOMP_SPINCOUNT=1000 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= NO_MKDOCS_2_WARNING=1 DVC_NO_ANALYTICS=1 \
  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
# Tests wait for servers: with two workers, two cores were idle for a third of the time.
WORKERS := --numprocesses 3 --dist loadgroup --no-loadscope-reorder
CHECK := $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo --no-cache

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test test-fast docs lint lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: $(VENV)/ready ## the virtual environment, from the locked dependencies

$(VENV)/ready: requirements/lock.txt requirements/bootstrap.txt pyproject.toml
	@echo "setting up $(VENV) (once; with CUDA about 7 GB on disk)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11 to 3.13 is needed, $(PYTHON) is another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
ifeq ($(TORCH_INDEX),)
	@$(UV) --no-deps --require-hashes -r requirements/lock.txt
else
	@# Another build has other hashes: the same versions come from that index, everything else stays pinned.
	@$(UV) --index-url $(TORCH_INDEX) $$(grep -oE '^(torch|torchvision)==[^ ]+' requirements/lock.txt)
	@$(BIN)/python requirements/without_torch.py < requirements/lock.txt > $(VENV)/lock.txt
	@$(UV) --no-deps --require-hashes -r $(VENV)/lock.txt
endif
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## the whole pipeline on the embedded sample, then an animated portrait
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m flows.demo

ui: setup ## the pages of Prefect and MLflow, on this machine, until Ctrl-C
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m flows.ui

test: setup ## lint, types, imports, documentation and all tests
	@$(CHECK)
	@$(TEST) $(WORKERS) --cov=faceanim --cov-report=term --cov-fail-under=85

test-fast: setup ## lint, types, imports and the tests that take no more than seconds
	@$(CHECK)
	@$(TEST) -m "not slow and not server and not browser" $(WORKERS) --cov=faceanim --cov-report=term

docs: setup ## the documentation as a site, into site/
	@$(BIN)/python docs/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

lint: setup ## format, fix what can be fixed, check types and imports
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(CHECK)

lock: setup ## pin the newest dependencies, with their hashes
	@$(BIN)/uv pip compile requirements/bootstrap.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --upgrade --quiet --output-file requirements/bootstrap.txt
	@$(BIN)/uv pip compile pyproject.toml --all-extras --override requirements/overrides.txt --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --quiet --output-file requirements/lock.txt
