"""What one run of a suite left in its files, and two runs beside each other."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import msgspec

from pytest_greenops.model.result import Result, Results
from pytest_greenops.report.work_text import coverage


class Reported(NamedTuple):
    """What the plugin of a suite reports by itself.

    medians_s  seconds of one call by test
    minima_s   the least of them
    others     all that is no time by test: group, parameters, options, keys of `extra_info`
    """

    medians_s: Mapping[str, float]
    minima_s: Mapping[str, float]
    others: Mapping[str, object]


class Ours(NamedTuple):
    """What this plugin reports: how many tests it measured, and what it says of counted work."""

    measured: int
    not_measured: int
    work: Mapping[str, int]


class Run(NamedTuple):
    """One run of pytest."""

    seconds: float
    outcomes: Mapping[str, str]
    reported: Reported
    ours: Ours | None = None


class Ratios(NamedTuple):
    """The ratios of some tests: their median, the least and the greatest."""

    median: float
    least: float
    most: float

    @property
    def text(self) -> str:
        """The ratios in one cell."""
        return f"{self.median:.2f} ({self.least:.2f} … {self.most:.2f})"


def outcomes(junit: Path) -> dict[str, str]:
    """Return the outcome of each test in a JUnit file."""
    return {
        f"{case.get('classname')}::{case.get('name')}": next(
            (part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed"
        )
        for case in ElementTree.parse(junit).getroot().iter("testcase")
    }


def of_benchmark(file: Path) -> Reported:
    """Read the file of `--benchmark-json`."""
    found = json.loads(file.read_bytes())["benchmarks"]
    return Reported(
        {each["fullname"]: each["stats"]["median"] for each in found},
        {each["fullname"]: each["stats"]["min"] for each in found},
        {
            each["fullname"]: [
                *(each[key] for key in ("group", "name", "params", "options")),
                sorted(each["extra_info"]),
                sorted(each["stats"]),
            ]
            for each in found
        },
    )


def of_codspeed(file: Path) -> Reported:
    """Read a file of results of `--codspeed`."""
    found = json.loads(file.read_bytes())["benchmarks"]
    return Reported(
        {each["uri"]: each["stats"]["median_ns"] * 1e-9 for each in found},
        {each["uri"]: each["stats"]["min_ns"] * 1e-9 for each in found},
        {each["uri"]: [each["name"], each["config"], sorted(each["stats"])] for each in found},
    )


def ours(file: Path) -> Ours:
    """Read the file of `--energy-json`."""
    results = msgspec.json.decode(file.read_bytes(), type=Results).results
    measured = sum(not math.isnan(result.joules) for result in results)
    said = Counter(map(_work, results))
    return Ours(measured, len(results) - measured, dict(said.most_common()))


def _work(result: Result) -> str:
    """Return what is said of the counted work of one test."""
    if result.verdict.work is None:
        return "none"
    if result.verdict.work.cause is not None:
        return result.verdict.work.cause
    return "not counted" if result.work is None else coverage(result.work.coverage)


def ratios(top: Run, bottoms: Sequence[Run], of: str) -> Ratios:
    """Return the times of a run over those of others, test by test.

    `of` is the name of the times: `medians_s` or `minima_s`.
    """
    times_s, *others_s = (getattr(run.reported, of) for run in (top, *bottoms))
    shared = set(times_s).intersection(*others_s)
    found = [
        times_s[test] / statistics.geometric_mean(each[test] for each in others_s)
        for test in shared
    ]
    return Ratios(statistics.median(found), min(found), max(found))


def differences(with_us: Run, plain: Run) -> list[str]:
    """Return what differs between two runs of a suite, in words, besides times and joules."""
    found = []
    for what, here, there in (
        ("outcome", with_us.outcomes, plain.outcomes),
        ("benchmark", with_us.reported.others, plain.reported.others),
    ):
        for test in sorted({*here, *there}):
            if here.get(test) != there.get(test):
                found.append(f"{what} of {test}: {there.get(test)} -> {here.get(test)}")
    return found
