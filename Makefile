# Everything a newcomer runs. Each target sets up the virtual environment first, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo up test lint check bench soak format lock clean

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/python -m sandbox demo

up: setup
	@$(BIN)/python -m sandbox up

# Group by group (tests/groups.py), the longest first. Acceptance tests come before all others and wait for most
# of their time, so more run at once than there are cores, where there are few; `make test AT_ONCE=2` changes that.
AT_ONCE = $(shell $(BIN)/python -c 'import os; cores = os.cpu_count(); print(max(cores, min(2 * cores, 8)))')
test: setup
	@$(BIN)/python -m pytest --numprocesses=$(AT_ONCE) --dist=loadgroup --no-loadscope-reorder

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint
	@$(BIN)/python -m pytest --numprocesses=auto tests/unit tests/contract

# Some 15 minutes. What others' programs need is installed into .bench/, outside the product's environment.
bench: setup
	@$(BIN)/python -m benchmarks.synchronous_get
	@$(BIN)/python -m benchmarks.rate_limit
	@$(BIN)/python -m benchmarks.rate_limit --starved
	@$(BIN)/python -m benchmarks.lanes
	@$(BIN)/python -m benchmarks.submission
	@$(BIN)/python -m benchmarks.download --records 100000
	@$(BIN)/python -m benchmarks.current_copy
	@$(BIN)/python -m benchmarks.dispatch
	@$(BIN)/python -m benchmarks.fairness
	@$(BIN)/python -m benchmarks.flood
	@$(BIN)/python -m benchmarks.turns
	@$(BIN)/python -m benchmarks.sweep
	@$(BIN)/python -m benchmarks.idle
	@$(BIN)/python -m benchmarks.peers
	@$(BIN)/python -m benchmarks.growth
	@$(BIN)/python -m benchmarks.accounts
	@$(BIN)/python -m benchmarks.objects --synced 20000
	@$(BIN)/python -m benchmarks.call_paths

# Five minutes in which everything fails; `make soak OPTIONS="--seconds 60 --seed 7"` changes that.
soak: setup
	@$(BIN)/python -m benchmarks.soak $(OPTIONS)

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Resolves the ranges of pyproject.toml again and writes the exact, hashed sets that are installed.
lock: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
		--output-file requirements/runtime.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
		--extra sandbox --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt pyproject.toml
	@echo hatchling | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
		--constraint requirements/dev.txt --output-file requirements/build.txt -

clean:
	rm -rf $(VENV) .bench
