"""Trends in the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.model.trend import Step, Trend, TrendPoint
from pytest_greenops.report.drawing import cells
from pytest_greenops.report.trend_text import overview_lines, trend_lines


def point(day: int, value: float, **more: Any) -> TrendPoint:
    """Return the figure of a day, known to 1 %."""
    given: dict[str, Any] = {
        "commit": f"{day}abcdef0123456",
        "dirty": False,
        "low": value * 0.99,
        "high": value * 1.01,
        **more,
    }
    return TrendPoint(f"run-{day}", f"2026-11-{day:02}T12:30:00+00:00", value, "passed", **given)


def trend(*points: TrendPoint, steps: tuple[Step, ...] = (), **more: Any) -> Trend:
    """Return the trend of a test."""
    given: dict[str, Any] = {
        "project": "demo",
        "test": "tests/test_x.py::test_works",
        "name": "call",
        "machine": "epyc-1a2b3c4d",
        "quantity": "energy",
        "domain": "total",
        "unit": "call",
        "estimated": False,
        **more,
    }
    return Trend(points=points, steps=steps, **given)


STEP = Step(at=2, after=1, until=2, relative=0.1, low=0.08, high=0.12)
STEPPED = trend(
    point(1, 2.0),
    point(2, 2.0, versions={"torch": "2.12"}),
    point(3, 2.2, dirty=True, versions={"torch": "2.13"}, saved=True),
    point(4, 2.2),
    steps=(STEP,),
)


def test_a_trend_is_a_line_for_each_run_with_its_steps() -> None:
    """A step stands between its runs, with its commits, and what else changed with it."""
    assert list(trend_lines([STEPPED], 80, True)) == [
        "tests/test_x.py::test_works",
        "  epyc-1a2b3c4d",
        "  energy (total), 4 runs, 2026-11-01 to 2026-11-04",
        "  ▁▁██",
        "  2026-11-01 12:30  1abcdef   2.00 J  ±1.0 %  █████████████████▎·  passed",
        "  2026-11-02 12:30  2abcdef   2.00 J  ±1.0 %  █████████████████▎·  passed",
        "  -> +10 % (95 % CI +8.0…+12 %) between 2abcdef and 3abcdef+; torch 2.12 -> 2.13",
        "  2026-11-03 12:30  3abcdef+  2.20 J  ±1.0 %  ███████████████████  passed, saved",
        "  2026-11-04 12:30  4abcdef   2.20 J  ±1.0 %  ███████████████████  passed",
        "  find the commit:",
        "    pytest-greenops bisect 2abcdef 3abcdef -- tests/test_x.py::test_works",
    ]


def test_a_step_between_branches_is_told() -> None:
    """Commits of two branches have no order: the step names both, and no bisect is offered."""
    runs = (point(day, 2.0 if day < 3 else 2.2) for day in range(1, 5))
    branches = ("main", "main", "topic", "topic")
    points = (replace(each, branch=name) for each, name in zip(runs, branches, strict=True))
    lines = list(trend_lines([trend(*points, steps=(STEP,))], 100, True))
    [step] = [line for line in lines if line.startswith("  -> ")]
    assert step.endswith("between 2abcdef and 3abcdef; branch main -> topic")
    assert not [line for line in lines if "bisect" in line]


def test_machines_are_separate() -> None:
    """Each has a heading and a course of its own, below one name."""
    other = trend(point(1, 5.0), machine="xeon-11112222", estimated=True)
    lines = list(trend_lines([STEPPED, other], 80, True))
    assert 1 == lines.count("tests/test_x.py::test_works")
    assert lines[-5:] == [
        "",
        "  xeon-11112222",
        "  energy (total), estimated, 1 run, 2026-11-01",
        "  ▁",
        "  2026-11-01 12:30  1abcdef  ~5.00 J  ±1.0 %  ██████████████████████████  passed",
    ]


def test_the_overview_is_a_line_for_each_trend() -> None:
    """It has the runs, the last figure, the course and the last step as a range of commits."""
    work = trend(point(1, 1234.5, low=None), quantity="work", name="decode")
    assert list(overview_lines([STEPPED, work], 80, True)) == [
        "epyc-1a2b3c4d",
        "  tests/test_x.py",
        "    test_works                  4 runs  2.20 J  ▁▁██  +10 %  2abcdef..3abcdef",
        "    test_works · decode (work)   1 run    1234  ▁",
        "",
        "energy: 2 trends, 1 with a step; each run of one: pytest-greenops history TEST",
    ]


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("unicode", [True, False])
def test_lines_fit_the_terminal(width: int, unicode: bool) -> None:
    """Long names are cut, in ASCII where nothing else is shown; commands stay whole."""
    long = trend(
        *(point(day, 2.0 + day / 10) for day in range(1, 28)),
        test="tests/" + "deep/" * 30 + "test_x.py::test_" + "ä" * 100,
        machine="a-" * 50,
        unit="token",
    )
    for lines in (trend_lines([long], width, unicode), overview_lines([long], width, unicode)):
        drawn = list(lines)
        assert max(map(cells, drawn)) <= max(width, 60) + 20 * (width < 80)
        assert unicode or all(map(str.isascii, drawn))


def test_names_cannot_command_a_terminal_or_a_log() -> None:
    """Control characters are visible, and no line begins with a command of GitHub."""
    evil = trend(point(1, 2.0, commit="\x1b[31m"), test="::error::\x1b[31mx\ntest", machine="\r")
    for lines in (trend_lines([evil], 80, True), overview_lines([evil], 80, True)):
        text = "\n".join(lines)
        assert not any(sign in text for sign in ("\x1b", "\r"))
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_a_step_without_commits_names_the_days() -> None:
    """A step at one commit is one of the machine or of a library."""
    days = trend(point(1, 2.0, commit=None), point(2, 3.0), steps=(Step(1, 0, 1, 0.5),))
    assert "  -> +50 % between 2026-11-01 and 2026-11-02" in trend_lines([days], 80, True)
    same = trend(point(1, 2.0), point(1, 3.0), steps=(Step(1, 0, 1, 0.5),))
    lines = list(trend_lines([same], 80, True))
    assert "  -> +50 % at 1abcdef" in lines
    assert "  find the commit:" not in lines
