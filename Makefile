# The commands of this project; CI calls them word for word. Each makes its own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROJECT = pyproject.toml constraints.txt
FIGURES = build/figures
ACCURACY = build/accuracy

.PHONY: test test-studies bench bench-full bench-plain bench-regression lint types figures insight accuracy power clean

# Tests that hold windows against the clock, one after the other; the rest side by side.
BY_THE_CLOCK = tests/unit/sensors tests/unit/simulated_host tests/gpu \
	$(addprefix tests/integration/test_,contention.py selfchecks.py sensors.py timeout.py)

test: $(VENV)/.test  ## the tests
	$(BIN)/python -m pytest $(BY_THE_CLOCK)
	$(BIN)/python -m pytest tests $(addprefix --ignore=,$(BY_THE_CLOCK)) \
		--numprocesses auto --dist worksteal

# Many processes with a thread each, for threads of torch would get in each other's way.
test-studies: $(VENV)/.test $(VENV)/.bench  ## the tests that need torch
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/studies tests/layers tests/unit/insight \
		tests/integration/test_explain_layers.py --numprocesses auto --dist worksteal

# In minutes: few rounds, and no test is measured once more in a process of its own. On one thread:
# others that wait for it spin, and an estimate takes that for work.
bench: $(VENV)/.bench  ## the benchmarks as energy tests, a slice of each
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest benchmarks --energy --energy-max-rounds=10 -o energy_fresh_process=false

bench-full: $(VENV)/.bench  ## every value of every axis of them: hours, on a machine with a GPU
	$(BIN)/python -m pytest benchmarks --energy --bench-full --bench-tables=build/studies.md

bench-plain: $(VENV)/.bench  ## the benchmarks as plain tests: nothing is measured
	$(BIN)/python -m pytest benchmarks

# A mistake that people make with language models, against a baseline of the right way: goes red.
REGRESSIONS = $(BIN)/python -m pytest benchmarks/regressions -k generation \
	--energy-baselines=$(VENV)/right-way

bench-regression: $(VENV)/.bench  ## generation without a cache, found
	$(REGRESSIONS) --energy-save-new
	BENCH_REGRESSION=no_cache $(REGRESSIONS) --energy --energy-estimates fail; test $$? -eq 1

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

# What the plugin costs beside its peers, installed as a user has it; and its verdicts, tried.
figures: $(FIGURES)/.installed
	$(FIGURES)/bin/python -m benchmarks.overhead.startup
	$(FIGURES)/bin/python -m benchmarks.overhead.window_cost
	$(FIGURES)/bin/python -m benchmarks.verdicts.tries

# How often a verdict is wrong and what is found: simulated, by the judge's own code.
power: $(VENV)/.test
	$(BIN)/python -m benchmarks.power

# How exact the insights are, on this machine: parts of models, whole trainings, networks never run.
insight: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.attribution
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.extrapolation
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.estimator

# How far off this project and its peers are, all on the same simulated machines; needs root.
accuracy: $(ACCURACY)/.installed
	$(ACCURACY)/bin/python -m benchmarks.accuracy

clean:
	rm -rf $(VENV) build

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

$(FIGURES)/.installed: $(PROJECT) $(wildcard pytest_greenops/*.py pytest_greenops/*/*.py)
	$(PYTHON) -m venv --clear $(FIGURES)
	$(FIGURES)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt '.[rapl]' pytest-benchmark
	touch $@

$(ACCURACY)/.installed: $(PROJECT)
	$(PYTHON) -m venv --clear $(ACCURACY)
	$(ACCURACY)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[rapl,zeus]' codecarbon
	touch $@
