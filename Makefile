# The commands of this project, which CI calls as they are. Each installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROJECT = pyproject.toml constraints.txt
FIGURES = build/figures
ACCURACY = build/accuracy
FLEET = build/fleet

.PHONY: test test-ab test-browser test-commands test-plugins test-real-time test-studies test-history test-properties test-reliability test-fleet fleet reliability soak test-all fuzz mutation release-check bench-regression bench bench-full bench-plain lint types docs reference picture pictures figures many-tests starts report insight accuracy power ab-simulated ab-machine ab-cost ab-starts ab-bisect work-determinism work-regressions work-fidelity work-cost history benchmark-suite ranks scale suites clean

# The tests start hundreds of short processes: none of them should compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

# As many test processes as this one may use CPUs; `auto` ignores the limits of taskset and cgroups.
JOBS ?= $(shell nproc 2>/dev/null || echo auto)
PYTEST = $(BIN)/python -m pytest
SIDE_BY_SIDE = --numprocesses $(JOBS) --dist worksteal
REAL_TIME = $(shell grep --recursive --word-regexp --files-with-matches real_time tests --include='test_*.py')
OTHER_PLUGINS = $(patsubst %,tests/integration/test_%.py,async benchmark_fixture beside cov randomly repeat rerunfailures smart_plug timeout xdist xdist_hosts)
COMPARISONS = tests/unit/bisection $(addprefix tests/integration/test_,ab.py ab_report.py cli_bisect.py)
COMMANDS = $(addprefix tests/integration/test_,action.py ci_files.py commands_of_pages.py examples.py hostile_names.py power_over_time.py reports.py screens.py sessions.py walkthroughs.py) \
	$(addprefix tests/integration/test_cli,.py _compare.py _import.py _init.py _merge.py _prune.py _show.py _whatif.py)
RELEASE = tests/test_release.py
CLUSTER = tests/fleet
PROPERTIES = tests/properties
BROWSER = $(addprefix tests/integration/test_,html.py html_charts.py history_html.py)
RELIABILITY = tests/reliability $(addprefix tests/integration/test_,hostile.py selfchecks.py sensor_faults.py)
HISTORY = tests/history $(addprefix tests/integration/test_,history.py cli_history.py)
NEED_TORCH = tests/studies tests/layers tests/unit/work \
	$(addprefix tests/integration/test_,explain_layers.py ab_count.py init_torch.py worker_process.py) \
	$(addprefix tests/integration/test_count,.py _only.py _effects.py _gaps.py) tests/unit/run/test_counting.py \
	tests/ranks/test_torchrun.py
RANKS = tests/ranks

test: $(VENV)/.test  ## two minutes: all tests but those of the nine commands below
	$(PYTEST) tests -m "not real_time and not needs_torch" \
		$(addprefix --ignore=,$(COMPARISONS) $(COMMANDS) $(BROWSER) $(RELEASE) $(OTHER_PLUGINS) $(NEED_TORCH) $(HISTORY) \
		$(PROPERTIES) $(RELIABILITY) $(CLUSTER) $(RANKS)) $(SIDE_BY_SIDE)

test-ab: $(VENV)/.test  ## comparisons and bisects in git repositories, by processes of their own
	$(PYTEST) -m "not real_time" $(COMPARISONS) $(SIDE_BY_SIDE)

test-commands: $(VENV)/.test  ## the command pytest-greenops, sessions in fresh processes, files for CI, screens
	$(PYTEST) -m "not real_time" $(COMMANDS) $(SIDE_BY_SIDE)

test-browser: $(VENV)/.browser $(VENV)/.postgresql  ## HTML pages in headless Chromium; skipped where that is missing
	$(PYTEST) $(BROWSER) $(SIDE_BY_SIDE)

test-plugins: $(VENV)/.test  ## this plugin together with other pytest plugins
	$(PYTEST) $(OTHER_PLUGINS) $(SIDE_BY_SIDE)

test-real-time: $(VENV)/.test $(VENV)/.bench  ## tests that measure against the clock, one after the other
	OMP_NUM_THREADS=1 $(PYTEST) -m real_time $(REAL_TIME)

# On one thread each: threads of torch in several processes slow each other down.
test-studies: $(VENV)/.test $(VENV)/.bench  ## the tests that need torch
	OMP_NUM_THREADS=1 $(PYTEST) -m "not real_time" $(NEED_TORCH) tests/unit/insight tests/unit/machine/test_software.py \
		tests/test_docs.py $(SIDE_BY_SIDE)

test-history: $(VENV)/.postgresql  ## histories in SQLite and in a PostgreSQL that the tests start
	$(PYTEST) $(HISTORY) $(SIDE_BY_SIDE)

test-properties: $(VENV)/.test  ## bad input of every reader, round trips, and relations between results
	$(PYTEST) $(PROPERTIES) $(SIDE_BY_SIDE)

test-reliability: $(VENV)/.test  ## faults: kills, full disks, signals, hostile tests, broken sensors, names, secrets
	$(PYTEST) $(RELIABILITY) $(SIDE_BY_SIDE)

# Not in test-all: minutes, as each test starts a cluster of several nodes.
test-fleet: $(FLEET)/.installed  ## the suite over a Ray cluster, with nodes that are killed
	$(FLEET)/bin/python -m pytest $(CLUSTER)

release-check: $(VENV)/.release  ## wheel and source distribution, built to build/dist and tried
	$(PYTEST) $(RELEASE)

test-all:  ## all tests, as in CI; a command runs even if another one failed
	$(MAKE) --keep-going test test-ab test-browser test-commands test-plugins test-real-time test-studies \
		test-history test-properties test-reliability

# Looks for input that raises an undocumented error: hours for all readers, FUZZ="baseline results" for two.
EXECUTIONS ?= 1000000
fuzz: $(VENV)/.fuzz  ## each reader on a million inputs
	$(BIN)/python -m tests.properties.fuzz --executions $(EXECUTIONS) $(FUZZ)

# Changes the code in small ways, and expects that a unit test fails: hours for all, MUTATE="judge measure.meter" for some.
mutation: $(VENV)/.mutation  ## mutation testing of what measures, judges and remembers
	$(BIN)/python tests/mutation.py $(MUTATE)

# A common mistake with language models, compared with a baseline of the right way: must fail.
REGRESSIONS = $(PYTEST) benchmarks/regressions -k generation --energy-baselines=$(VENV)/right-way

bench-regression: $(VENV)/.bench  ## detect generation without a cache
	$(REGRESSIONS) --energy-save-new
	BENCH_REGRESSION=no_cache $(REGRESSIONS) --energy --energy-estimates fail; test $$? -eq 1

# Minutes: few rounds, and no second measurement in a fresh process. On one thread: other threads
# spin while they wait, and the CPU estimate counts that as work. The first run saves what the second
# one compares with; baselines/ has those of the machine that CI runs on.
BASELINES ?= $(if $(CI),baselines,build/baselines)
bench: $(VENV)/.bench  ## a slice of each benchmark, as energy tests
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PYTEST) benchmarks --energy-save-new --energy-baselines=$(BASELINES) \
		--energy-max-rounds=10 -o energy_fresh_process=false

bench-full: $(VENV)/.bench  ## every value of every axis of the benchmarks: hours, on a machine with a GPU
	$(PYTEST) benchmarks --energy --bench-full --bench-tables=build/studies.md

bench-plain: $(VENV)/.bench  ## the benchmarks as plain tests, unmeasured
	$(PYTEST) benchmarks

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive pytest_greenops

types: $(VENV)/.lint
	$(BIN)/mypy

# From nothing each time: Sphinx repeats no warning of a page that it has read before.
docs: $(VENV)/.docs  ## the site of the documentation, in build/site; a warning is an error
	rm -rf build/site
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir build/site-cache \
		--conf-dir docs/site . build/site

reference: $(VENV)/.test  ## the tables of the reference, from the code
	$(BIN)/python -m docs.reference_tables

picture: $(VENV)/.bench  ## the picture in the README: a regression, as the terminal shows it
	$(BIN)/python -m docs.picture

pictures: $(VENV)/.browser  ## the pictures of each kind of output, with simulated joules
	$(BIN)/python -m docs.pictures

# The overhead of the plugin and of its peers, installed as users install them; then its verdicts.
figures: $(FIGURES)/.installed
	$(FIGURES)/bin/python -m benchmarks.overhead.startup
	$(FIGURES)/bin/python -m benchmarks.overhead.window_cost
	$(FIGURES)/bin/python -m benchmarks.verdicts.tries

# What a test costs beside pytest-benchmark's, from 100 to 10,000 tests; needs a quiet machine.
many-tests: $(FIGURES)/.installed
	$(FIGURES)/bin/python -m benchmarks.overhead.many_tests

# What joules add to a suite for pytest-benchmark; half an hour, on a quiet machine.
benchmark-suite: $(FIGURES)/.installed
	$(FIGURES)/bin/python -m benchmarks.overhead.benchmark_suite

# How much the same work differs between two starts of its process; needs a quiet machine.
starts: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.verdicts.starts

# How often a verdict is wrong, and which increases it detects: simulated with the judge's code.
power: $(VENV)/.test
	$(BIN)/python -m benchmarks.power

# The same for comparisons with a git ref, whose two sides run in turns.
ab-simulated: $(VENV)/.test
	$(BIN)/python -m benchmarks.ab.simulated

# How often comparisons with a git ref are right on this machine: hours, and needs root.
ab-machine: $(VENV)/.test $(VENV)/.bench
	$(BIN)/python -m benchmarks.ab.machine

# What such a comparison costs beyond its windows; minutes, on a quiet machine.
ab-cost: $(VENV)/.bench
	$(BIN)/python -m benchmarks.ab.cost

# How much two sides of the same code differ: pairs, starts and processes; needs a quiet machine.
ab-starts: $(VENV)/.bench
	$(BIN)/python -m benchmarks.ab.starts

# How often a bisect over 64 commits finds the one that uses 15 % more; needs a quiet machine.
ab-bisect: $(VENV)/.test
	$(BIN)/python -m benchmarks.ab.bisect

# Whether counted work is the same in 180 processes, and changes nothing in one: an hour.
work-determinism: $(VENV)/.bench
	$(BIN)/python -m benchmarks.work.determinism
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.work.twins

# Which regressions of a catalogue counted work finds, and whether it names them: minutes.
work-regressions: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.work.regressions

# Weights that fit some workloads, and how the weighted sum orders others; needs a quiet machine.
work-fidelity: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.work.fidelity fit
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.work.fidelity

# What counting costs: an operator, a call, a suite; minutes, on a quiet machine.
work-cost: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.work.cost

# What benchmark suites of other projects report with and without this plugin: half an hour.
suites: $(VENV)/.test
	$(BIN)/python -m benchmarks.suites

# How large the HTML report is, and how fast it opens in Chromium.
report: $(VENV)/.browser
	$(BIN)/python -m benchmarks.report.opening

# The faults of test-reliability at every system call, not at some: half an hour.
reliability: $(VENV)/.test
	$(PYTEST) $(RELIABILITY) --all-faults $(SIDE_BY_SIDE)

# What one process keeps after hundreds of runs, beside a busy one: two hours.
HOURS ?= 2
soak: $(VENV)/.test $(VENV)/.bench
	$(BIN)/python -m tests.reliability.soak --hours $(HOURS)

# Ranks that die or hang, two hosts (which need root), and J/sample of DDP and FSDP over ranks; minutes.
ranks: $(VENV)/.test $(VENV)/.bench
	$(PYTEST) $(RANKS)
	$(BIN)/python -m benchmarks.ranks.training

# What 10,000 tests on 50 kinds of machine cost in files, git, merges and histories; needs a quiet machine.
scale: $(VENV)/.postgresql
	$(BIN)/python -m benchmarks.scale

# How often a step in a trend is wrong, and how fast a history of a million rows is; minutes.
history: $(VENV)/.test
	$(BIN)/python -m benchmarks.history.steps
	$(BIN)/python -m benchmarks.history.million

# How exact the insights are on this machine: layers, whole trainings, networks that never ran.
insight: $(VENV)/.bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.attribution
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.extrapolation
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.estimator

# The errors of this project and of its peers on the same simulated machines; needs root.
accuracy: $(ACCURACY)/.installed
	$(ACCURACY)/bin/python -m benchmarks.accuracy

# What a fleet of four nodes takes beyond the slowest of them: eleven minutes, on a quiet machine.
fleet: $(FLEET)/.installed
	$(FLEET)/bin/python -m benchmarks.fleet.wall_time

clean:
	rm -rf $(VENV) build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.test: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) --editable '.[test]'
	touch $@

# Without the rights to install it, the tests say what is missing.
$(VENV)/.browser: $(VENV)/.test
	command -v chromium || { apt-get update -qq && apt-get install -y -qq chromium; } || true
	$(INSTALL) playwright axe-playwright-python
	touch $@

$(VENV)/.postgresql: $(VENV)/.test
	ls /usr/lib/postgresql/*/bin/initdb || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql; } || true
	touch $@

$(VENV)/.release: $(VENV)/.test
	$(INSTALL) build check-wheel-contents towncrier twine
	touch $@

$(VENV)/.fuzz: $(VENV)/.test
	$(INSTALL) atheris
	touch $@

$(VENV)/.mutation: $(VENV)/.test $(VENV)/.bench
	$(INSTALL) mutmut
	touch $@

# The pinned torch first, before a package pulls in another one: see CONTRIBUTING.md
$(VENV)/.bench: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) torch
	$(INSTALL) --editable '.[bench]'
	touch $@

$(VENV)/.lint: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) --editable '.[lint]'
	touch $@

$(VENV)/.docs: $(VENV)/bin/python $(PROJECT)
	$(INSTALL) --editable '.[docs]'
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

# An environment of its own: Ray does not start beside the amdsmi that zeus brings.
$(FLEET)/.installed: $(PROJECT)
	$(PYTHON) -m venv --clear $(FLEET)
	$(FLEET)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[fleet,report]'
	touch $@
