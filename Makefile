# The commands of this project; CI calls them word for word. Each makes its own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROJECT = pyproject.toml constraints.txt

.PHONY: test bench bench-plain bench-regression lint types figures clean

test: $(VENV)/.test  ## the tests
	$(BIN)/python -m pytest tests

bench: $(VENV)/.bench  ## the benchmarks as energy tests
	$(BIN)/python -m pytest benchmarks --energy

bench-plain: $(VENV)/.bench  ## the benchmarks as plain tests: nothing is measured
	$(BIN)/python -m pytest benchmarks

bench-regression: $(VENV)/.bench  ## mistakes that people make, found: these tests go red
	BENCH_REGRESSION=all $(BIN)/python -m pytest benchmarks/regressions --energy --energy-estimates fail

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

figures: $(VENV)/.test  ## what the plugin itself costs, beside its peers
	$(BIN)/python -m benchmarks.overhead.window_cost
	$(BIN)/python -m benchmarks.overhead.startup

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.test: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) --editable '.[test]'
	touch $@

# torch by its pinned version, before anything that needs some torch: see CONTRIBUTING.md
$(VENV)/.bench: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) torch
	$(INSTALL) --editable '.[bench]'
	touch $@

$(VENV)/.lint: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) --editable '.[lint]'
	touch $@
