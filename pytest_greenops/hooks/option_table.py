"""The table of the options: what `pytest --help`, the ini file and the reference say of each."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple


class Option(NamedTuple):
    """One option: its name without dashes, its help, and the type of its ini twin.

    flag  whether the command line has it, too
    """

    name: str
    help: str
    metavar: str | None = None
    type: str = "string"
    flag: bool = True

    @property
    def ini(self) -> str:
        """Its ini twin."""
        return self.name.replace("-", "_")


#: An option that takes no value.
_switch = partial(Option, type="bool")
#: An option that only the ini file has.
_ini = partial(Option, flag=False)
OPTIONS = (
    _switch("energy", "measure, compare with the baselines, and judge"),
    _switch(
        "energy-save",
        "measure, and save the results of passed tests as baselines. A regression does not fail; "
        "an exceeded absolute budget does, and is not saved",
    ),
    _switch(
        "energy-save-new",
        "like --energy-save, for tests without a baseline only; the others are judged",
    ),
    Option(
        "energy-sessions",
        "processes that measure each test: this one and N - 1 fresh ones, each a session "
        "(default: 1)",
        "N",
        "int",
    ),
    Option(
        "energy-baselines",
        "directory of the baselines, from pytest's root directory (default: baselines)",
        "DIR",
    ),
    Option(
        "energy-max-increase",
        "increase that is a regression, for tests that name none (default: 5%%)",
        "PERCENT",
    ),
    Option(
        "energy-action",
        "what a regression or an exceeded budget does, for tests that name none: fail or warn "
        "(default: fail)",
        "ACTION",
    ),
    Option("energy-estimates", "the same for estimated joules (default: warn)", "ACTION"),
    _switch(
        "energy-strict",
        "fail also where nothing could be judged (inconclusive, no baseline, not comparable, not "
        "measured), and a run that compares, or should save, and does not",
    ),
    _switch("energy-only", "run only energy tests: those with a budget or the fixture"),
    _switch("energy-skip", "run no energy tests"),
    Option(
        "energy-sensors",
        "auto, or a list of powercap,pyrapl,nvml,zeus,estimate and of sensors that hooks add "
        "(default: auto)",
        "LIST",
    ),
    Option("energy-min-rounds", "rounds of a measurement, at least (default: 5)", "N", "int"),
    Option(
        "energy-max-rounds",
        "rounds of a measurement, at most; 1 runs each test exactly once (default: 25)",
        "N",
        "int",
    ),
    Option(
        "energy-max-time",
        "time of a measurement after its warm-up, at most; one round is always made "
        "(default: 60 s)",
        "TIME",
    ),
    Option(
        "energy-ab",
        "compare with the code at this git ref, on this machine, now: a branch, tag or commit, "
        "merge-base:BRANCH, or stash",
        "REF",
    ),
    Option(
        "energy-ab-tests",
        "tests of an A/B comparison: own (each side its own), or here (both those of the working "
        "tree) (default: own)",
        "WHOSE",
    ),
    Option("energy-ab-setup", "shell command that builds the ref's package in its tree", "COMMAND"),
    Option(
        "energy-count",
        "count the work of torch beside the joules: auto (if it is loaded), on or off "
        "(default: auto)",
        "WHEN",
    ),
    _switch(
        "energy-count-only",
        "count the work, and measure no joules: implies --energy, excludes --energy-sessions",
    ),
    _switch(
        "energy-explain",
        "report where the joules and the counted work go: by named window and by layer",
    ),
    _switch(
        "energy-benchmarks",
        "tests that use a benchmark fixture, or carry its marker, are energy tests too",
    ),
    Option("energy-json", "write the results to this file", "PATH"),
    Option(
        "energy-html",
        "write a report to this file, to read in a browser; needs the extra report",
        "PATH",
    ),
    Option("energy-markdown", "write a report to this file, as Markdown for a comment", "PATH"),
    Option(
        "energy-export",
        "write the results to a file for another program: bencher, github-action-benchmark, "
        "openmetrics, csv or codequality; repeatable",
        "FORMAT:PATH",
        "linelist",
    ),
    Option(
        "energy-github",
        "annotations and a job summary for GitHub Actions: auto (if it runs there), on or off "
        "(default: auto)",
        "WHEN",
    ),
    Option(
        "energy-history",
        "append the results to this database: sqlite:///FILE or "
        "postgresql+psycopg://USER@HOST/DATABASE; an empty value appends nothing",
        "URL",
    ),
    _ini("energy-project", "name of the project in a history (default: the root folder's)"),
    Option(
        "energy-carbon-intensity",
        "report grams of CO2e for this carbon intensity in g/kWh, kg/kWh, kg/MWh or lb/kWh: "
        "'401 g/kWh'",
        "INTENSITY",
    ),
    Option(
        "energy-region", "report grams of CO2e for the grid of this region: DE or US-CA", "CODE"
    ),
    Option(
        "energy-pue",
        "power usage effectiveness of the data centre, from 1 to below 10 (default: 1)",
        "PUE",
        "float",
    ),
    _ini(
        "energy-cpu-watts", "estimate: power of a busy core, such as 4 W (default: by CPU family)"
    ),
    _ini(
        "energy-fresh-process",
        "measure again in a second process before a test fails (default: true)",
        type="bool",
    ),
    _ini(
        "energy-benchmark-units",
        "units of work in a benchmark's extra_info, one KEY:UNIT a line: batch_size:sample",
        type="linelist",
    ),
    _ini(
        "energy-rank-wait",
        "how long a rank of a job waits for the others before a test is not measured "
        "(default: 300 s)",
    ),
    _ini(
        "energy-session-sd",
        "assumed spread between sessions, for young baselines and small suites (default: 3%%)",
    ),
    _ini(
        "energy-stable-memory",
        "the allocator keeps freed memory: on, off, or auto (with glibc, unless MALLOC_* or "
        "GLIBC_TUNABLES are set) (default: auto)",
    ),
    _ini(
        "energy-budgets",
        "budgets of tests without a marker: a line for each glob over test ids: "
        "tests/bench/* = max_increase=3%%",
        type="linelist",
    ),
)
