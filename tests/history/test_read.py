"""Reading trends."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_greenops.history.append import append
from pytest_greenops.history.read import Wanted, read_trends
from pytest_greenops.model.errors import HistoryError
from pytest_greenops.model.trend import Trend
from tests.history.runs import run, url
from tests.unit.builders import key
from tests.unit.report import samples


def read(database: str, *wanted: Any, **more: Any) -> tuple[Trend, ...]:
    """Return the trends of a history."""
    return read_trends(url(database), Wanted(*wanted, **more))


def subjects(database: str, test: str) -> list[str]:
    """Return the names of the trends that a name selects."""
    return [trend.subject.rpartition("::")[2] for trend in read(database, test)]


def test_steps_are_marked_with_their_commits(database: str) -> None:
    """An increase in the eleventh run is between the commits of the tenth and the eleventh."""
    append(url(database), [run(n, joules=2.0 if n < 10 else 2.4) for n in range(16)])
    [trend] = read(database, "test_works")
    [step] = trend.steps
    commits = [trend.points[at].commit for at in (step.after, step.until)]
    assert commits == [f"{9:040x}", f"{10:040x}"]
    assert round(step.relative, 3) == 0.2


def test_what_cannot_be_compared_is_separate(database: str) -> None:
    """Machines, domains, units and estimates have trends of their own."""
    result = samples.result
    test = key("test_works")
    append(
        url(database),
        [
            run(1, [result(test=test)]),
            run(2, [result(test=test)], machine="Xeon"),
            run(3, [result(test=test, estimated=True)]),
            run(4, [result(test=test, domain="cpu")]),
            run(5, [result(test=test, unit="token", units={"token": 10.0})]),
            run(6, [result(test=test)], project="other"),
            run(7, [result(test=test)]),
        ],
    )
    found = read(database, "test_works")
    assert [len(trend.points) for trend in found] == [1, 2, 1, 1, 1, 1]
    assert len({trend.machine for trend in found}) == 2
    [units] = [trend for trend in found if trend.unit == "token"]
    assert units.points[0].value == pytest.approx(0.2)


def test_names_are_found_by_what_they_most_likely_mean(database: str) -> None:
    """A node id, a test, a pattern, a measurement, then a part of a name."""
    results = [
        samples.result(test=key("test_a"), name="prefill"),
        samples.result(test=key("test_a", param="1")),
        samples.result(test=key("test_ab")),
        samples.result(test=key("TestX.test_decode"), name="decode"),
        samples.result(test=key("test_url", param="a::b")),
    ]
    append(url(database), [run(1, results)])
    assert subjects(database, "tests/test_x.py::test_a[1]") == ["test_a[1]"]
    assert subjects(database, "tests/test_x.py::test_a · prefill") == ["test_a · prefill"]
    assert subjects(database, "test_ab") == ["test_ab"]
    assert subjects(database, "*test_a*") == ["test_a · prefill", "test_a[1]", "test_ab"]
    assert subjects(database, "*::test_a[?]") == ["test_a[1]"]
    assert subjects(database, "test_ab*") == ["test_ab"]
    assert subjects(database, "test_url[a::b]") == ["b]"]
    assert subjects(database, "test_url[*") == ["b]"]
    assert subjects(database, "prefill") == ["test_a · prefill"]
    assert subjects(database, "TestX::") == ["test_decode · decode"]
    with pytest.raises(HistoryError, match="named like test_zz"):
        read(database, "test_zz")


def test_the_last_runs_are_read(database: str) -> None:
    """Of each machine; without a test, of the whole history."""
    append(url(database), [run(n, joules=float(n + 1)) for n in range(10)])
    append(url(database), [run(n, machine="Xeon") for n in range(10, 14)])
    epyc, xeon = read(database, "test_works", 3)
    assert [point.value for point in epyc.points] == [8.0, 9.0, 10.0]
    assert len(xeon.points) == 3
    assert [len(trend.points) for trend in read(database, None, 6)] == [2, 4]


def test_runs_are_selected_by_machine_branch_and_project(database: str) -> None:
    """A part of the machine's name; the whole name of a branch or project."""
    append(url(database), [run(1), run(2, machine="Xeon 100%"), run(3, branch="topic")])
    append(url(database), [run(4, project="other")])
    for given, runs in (
        ({"machine": "xeon"}, 1),
        ({"machine": "%"}, 0),
        ({"branch": "topic"}, 1),
        ({"branch": "main"}, 3),
        ({"project": "other"}, 1),
        ({"project": "none"}, 0),
    ):
        found = read(database, None, 50, **given)
        assert (given, sum(len(trend.points) for trend in found)) == (given, runs)


def test_what_changed_with_a_step_is_told(database: str) -> None:
    """Versions and conditions that both runs have, and that differ."""
    runs = []
    for n in range(12):
        old = n < 6
        conditions = {"threads": "1" if old else "8"}
        result = samples.result(test=key("t"), joules=2.0 if old else 3.0, conditions=conditions)
        versions = {"torch": "2.12" if old else "2.13", "python": "3.11"}
        runs.append(run(n, [result], versions=versions))
    append(url(database), runs)
    [trend] = read(database, "t")
    assert trend.differences(trend.steps[0]) == ("torch 2.12 -> 2.13", "threads 1 -> 8")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Any) -> None:
    """Reading makes no empty database."""
    missing = tmp_path / "no.db"
    with pytest.raises(HistoryError, match="no such file; pytest --energy --energy-history=URL"):
        read(f"sqlite:///{missing}")
    assert not missing.exists()
