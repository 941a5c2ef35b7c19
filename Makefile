# Two commands: `make lab` opens the course, `make test` proves that it works.
# Each makes its own .venv; run again, it starts at once.

PYTHON ?= python3
BIN := .venv/bin
FIRST := notebooks/00-start-here.ipynb
LAB_ARGS ?=
TEST_ARGS ?=

.PHONY: lab test nightly peers bench notebooks format clean

lab: .venv/lab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/$(FIRST) $(LAB_ARGS)

test: .venv/test
	$(BIN)/python -m pytest --nbval --nbval-cell-timeout=20 -n auto --dist loadfile $(TEST_ARGS)

# The verdict against brute force, on so many random programs, others each time.
EXAMPLES ?= 20000
nightly: .venv/test
	DEADLOCK_LAB_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/engine/test_verdict.py \
	  tests/engine/test_against_asyncio.py tests/engine/test_against_the_clock.py

# Who finds which deadlocks: we, and others, on the same programs.
peers: .venv/test
	$(BIN)/python -m tests.peers

bench: .venv/bench
	$(BIN)/python -m tests.bench

# Runs every notebook from the top and stores its outputs as they are compared in the tests.
notebooks: .venv/test
	$(BIN)/python -m tests.notebooks.refresh

format: .venv/test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "deadlock_lab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version)." \
	       "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/lab: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[lab]'
	@touch $@

.venv/bench: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[lab,test,peers,bench]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[lab,test,peers]'
	@touch $@
