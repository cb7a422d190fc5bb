# `make demo` and `make test` do all of their own set-up. Variables:
#   PYTHON       the interpreter to build the virtual environment with (3.11 to 3.13)
#   TORCH_INDEX  address of another index for torch and torchvision, such as PyTorch's CPU one (a tenth of the size)
PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin
# Compiled at once: a stage is a process of its own, and each would compile what it imports again where it may not
# write beside it.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

# Tests that start servers and whole pipelines, or kill them at set moments: one at a time. The others run two at once.
ALONE := $(addprefix tests/,flows registry test_pipeline.py test_sharing.py test_tracking.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test lint lock

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

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
	@# Another build has other hashes: the same versions come from that index, all else stays pinned.
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

test: setup ## lint, types and tests
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(addprefix --ignore=,$(ALONE)) \
	  --numprocesses 2 --dist loadfile --cov=faceanim --cov-report=
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(ALONE) \
	  --cov=faceanim --cov-append --cov-report=term --cov-fail-under=85

lint: setup ## format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/mypy

lock: setup ## pin the newest dependencies, with their hashes
	@$(BIN)/uv pip compile requirements/bootstrap.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --upgrade --quiet --output-file requirements/bootstrap.txt
	@$(BIN)/uv pip compile pyproject.toml --all-extras --override requirements/overrides.txt --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --quiet --output-file requirements/lock.txt
