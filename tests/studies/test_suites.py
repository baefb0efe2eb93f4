"""The study of other projects' suites: what it reads from the files of runs, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.suites.__main__ import HEAD, Tried, page, row, try_out
from benchmarks.suites.catalogue import CATALOGUE, SUITES
from benchmarks.suites.figures import (
    Ours,
    Reported,
    Run,
    differences,
    of_benchmark,
    of_codspeed,
    outcomes,
    ratios,
)

JUNIT = """<testsuites><testsuite name="pytest">
<testcase classname="test_a" name="test_x[1]"/>
<testcase classname="test_a" name="test_y"><failure message="no">...</failure></testcase>
<testcase classname="test_a" name="test_z"><properties/><skipped/></testcase>
</testsuite></testsuites>"""


def a_run(*medians_s: float, seconds: float = 10.0, work: dict[str, int] | None = None) -> Run:
    """Return a run of tests with these medians; with `work`, one that measured joules."""
    names = [f"test_{number}" for number, _ in enumerate(medians_s)]
    times_s = dict(zip(names, medians_s, strict=True))
    reported = Reported(times_s, times_s, {name: ["group"] for name in names})
    ours = None if work is None else Ours(len(names), 0, work)
    return Run(seconds, dict.fromkeys(names, "passed"), reported, ours)


def test_outcomes_of_a_junit_file(tmp_path: Path) -> None:
    """Each test has one, by its class and its name."""
    file = tmp_path / "junit.xml"
    file.write_text(JUNIT)
    assert outcomes(file) == {
        "test_a::test_x[1]": "passed",
        "test_a::test_y": "failure",
        "test_a::test_z": "skipped",
    }


def test_what_pytest_benchmark_reports(tmp_path: Path) -> None:
    """The median of a test is a time; its group, parameters, options and keys are not."""
    one = {"fullname": "t::x", "group": None, "name": "x", "params": {"n": 1}, "options": {}}
    one |= {"extra_info": {"lib": "json"}, "stats": {"median": 0.5, "min": 0.4}}
    file = tmp_path / "benchmark.json"
    file.write_text(json.dumps({"benchmarks": [one]}))
    others = [None, "x", {"n": 1}, {}, ["lib"], ["median", "min"]]
    assert of_benchmark(file) == Reported({"t::x": 0.5}, {"t::x": 0.4}, {"t::x": others})


def test_what_codspeed_reports(tmp_path: Path) -> None:
    """Its times are in nanoseconds."""
    one = {"uri": "t::x", "name": "x", "config": {"max_rounds": None}}
    one |= {"stats": {"median_ns": 5e8, "min_ns": 4e8}}
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"benchmarks": [one]}))
    others = ["x", {"max_rounds": None}, ["median_ns", "min_ns"]]
    assert of_codspeed(file) == Reported({"t::x": 0.5}, {"t::x": 0.4}, {"t::x": others})


def test_ratios_of_medians_are_by_test() -> None:
    """Several runs count by their geometric mean; a test that one run lacks does not."""
    found = ratios(a_run(4.0, 8.0), [a_run(1.0, 2.0, 7.0), a_run(4.0, 8.0)], "medians_s")
    assert found == pytest.approx((2.0, 2.0, 2.0))
    assert (
        ratios(a_run(0.9, 1.0, 2.0), [a_run(1.0, 1.0, 1.0)], "minima_s").text
        == "1.00 (0.90 … 2.00)"
    )


def test_runs_are_kept_in_a_file(tmp_path: Path) -> None:
    """A suite whose three runs are in its folder does not run again."""
    runs = [a_run(1.0), a_run(1.1, work={"same": 1}), a_run(1.3)]
    (tmp_path / "runs.json").write_bytes(msgspec.json.encode(runs))
    assert try_out(SUITES[0], tmp_path, None) == Tried(SUITES[0], *runs)


def test_a_difference_is_named() -> None:
    """A benchmark that is missing, and an outcome that is another."""
    plain, other = a_run(1.0, 1.0), a_run(1.0)
    assert differences(plain, a_run(2.0, 2.0)) == []
    other = other._replace(outcomes={"test_0": "failure", "test_1": "passed"})
    assert differences(other, plain) == [
        "outcome of test_0: passed -> failure",
        "benchmark of test_1: ['group'] -> None",
    ]


def test_the_table_has_a_row_for_each_suite() -> None:
    """With the time beside plain, the ratios of medians, and what counted work says."""
    work = {"0 % covered: the work runs in another process": 2}
    with_us = a_run(1.1, 2.2, seconds=25.0, work=work)
    tried = Tried(SUITES[0], a_run(1.0, 2.0), with_us, a_run(1.0, 2.4))
    cells = dict(zip(HEAD, row(tried), strict=True))
    assert cells["tests"] == "2 passed"
    assert cells["measured"] == "2"
    assert cells["outcomes, other figures"] == "equal"
    assert cells["time beside plain"] == "2.5 x (10 s plain)"
    assert cells["its medians"] == "1.05 (1.00 … 1.10); plain 1.10 (1.00 … 1.20)"
    assert cells["counted work"] == "0 % covered: the work runs in another process (2)"
    lines = list(page([tried]))
    assert f"# {SUITES[0].url} at {SUITES[0].commit[:7]}" in lines
    assert lines[-2].startswith("pytest test_bench.py -k 'dcgan or ")
    assert lines[-2].endswith(" --energy --energy-benchmarks")


def test_each_suite_is_at_a_commit_and_has_packages_at_versions() -> None:
    """So the same suite can be measured again."""
    assert len(CATALOGUE) == len(SUITES)
    for suite in SUITES:
        assert len(suite.commit) == 40
        assert all("==" in package for package in suite.packages.split() if package != ".")
