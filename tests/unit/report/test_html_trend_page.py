"""The page of trends: values of its rows, runs, steps and charts."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from pytest_greenops.model.trend import Step, Trend
from pytest_greenops.report.html.renderer import GENERATOR, TRENDS, Renderer
from pytest_greenops.report.html.trend_page import TrendPage, Written, trend_page_of
from tests.unit.report.test_entry import HOSTILE
from tests.unit.report.test_trend_text import STEP, STEPPED, point, trend

WRITTEN = Written("2026-11-29T12:30:59+00:00", "0.2.0", {"test": "test_works"})
LEVEL = trend(*(point(day, 2.0) for day in range(1, 8)))
WORK = trend(point(1, 1234.5, low=None, high=None), quantity="work", domain="1")


def page(*trends: Trend) -> TrendPage:
    """Return the page of some trends."""
    return trend_page_of(trends, WRITTEN, "No figures of such runs")


def test_a_step_stands_between_its_runs() -> None:
    """Runs are the newest first; the row of a run that begins a level says what changed."""
    [made] = page(STEPPED).entries
    assert [each.commit for each in made.runs] == ["4abcdef", "3abcdef+", "2abcdef", "1abcdef"]
    assert made.runs[1][2:] == (
        *("2.20 J", "2.18…2.22 J", "passed, saved", "rose"),
        "+10 % (95 % CI +8.0…+12 %) between 2abcdef and 3abcdef+; torch 2.12 -> 2.13",
    )
    assert [each.step for each in made.runs if each is not made.runs[1]] == ["", "", ""]
    assert made.reason == made.runs[1].step
    assert made.change == ("+10 %", "2abcdef..3abcdef")
    assert made.steps[0].command.full == (
        "pytest-greenops bisect 2abcdef 3abcdef -- tests/test_x.py::test_works"
    )


def test_marks_and_levels() -> None:
    """A mark has its place and its words; a level is the geometric mean between steps."""
    [data] = page(STEPPED).data["tests"]
    [mark] = data["steps"]
    assert mark[:5] == [1, 2, 2, True, "+10 %"]
    assert mark[5] == "between 2abcdef and 3abcdef+: +10 %"
    assert data["levels"] == [[0, 1, 2.0], [2, 3, 2.2]]
    assert (data["values"], data["saved"], data["red"]) == ([2.0, 2.0, 2.2, 2.2], [2], [])
    uneven = trend(point(1, 1.0), point(2, 4.0), point(3, 9.0), steps=(replace(STEP, at=2),))
    [data] = page(uneven).data["tests"]
    assert data["levels"] == [[0, 1, 2.0], [2, 2, 9.0]]
    assert page(trend(point(1, 0.0))).data["tests"][0]["levels"] == []


def test_what_is_not_comparable_is_apart() -> None:
    """Machines, counted work and estimates have rows, ids and charts of their own."""
    machine = replace(STEPPED, machine="xeon-2", estimated=True)
    of_gpu = replace(STEPPED, domain="gpu")
    made = page(STEPPED, machine, WORK, of_gpu).entries
    assert len({each.anchor for each in made}) == 4
    assert [each.module.shown for each in made] == [
        *("tests/test_x.py · epyc-1a2b3c4d", "tests/test_x.py · xeon-2"),
        *("tests/test_x.py · epyc-1a2b3c4d",) * 2,
    ]
    assert [each.tags for each in made] == [(), ("estimated ±50 %",), ("gpu",), ("counted work",)]
    assert page(machine).estimated
    assert not page(STEPPED).estimated


@pytest.mark.parametrize(
    ("trends", "headline"),
    [
        ((), "No figures of such runs"),
        ((STEPPED,), "test_works: +10 % between 2abcdef and 3abcdef+"),
        ((LEVEL,), "test_works: no step in 7 runs"),
        ((trend(point(1, 2.0)),), "test_works: no step in 1 run (one needs 3 on each side)"),
        ((WORK,), "test_works: the same work in 1 run"),
        (
            (replace(WORK, points=(point(1, 0.0), point(2, 5.0))),),
            "test_works: no step is looked for in 2 runs (a figure is not above zero)",
        ),
        ((STEPPED, WORK), "test_works: 1 of 2 trends has a step"),
        ((LEVEL, replace(LEVEL, test="t.py::test_b")), "No step in 2 trends"),
        (
            (trend(*(point(day, float(day)) for day in range(8))),),
            "test_works: no step is looked for in 8 runs (a figure is not above zero)",
        ),
    ],
)
def test_headline(trends: tuple[Trend, ...], headline: str) -> None:
    """The first sentence says what changed, or why nothing is known of a change."""
    assert page(*trends).headline == headline


def test_what_changed_comes_first() -> None:
    """Trends that rose are above those that fell; the counts and the first order say so."""
    fell = replace(STEPPED, test="t.py::test_a", steps=(replace(STEP, relative=-0.1),))
    made = page(LEVEL, fell, STEPPED)
    assert [each.word for each in made.entries] == ["rose", "fell", "no step"]
    assert [(count.outcome, count.number) for count in made.counts] == [
        *(("rose", 1), ("fell", 1), ("no step", 1))
    ]
    assert [each["keys"][0] for each in made.data["tests"]] == [0, 1, 2]


def test_many_steps_are_cut() -> None:
    """The last ten steps are listed, the table of runs has all, and the list says so."""
    steps = tuple(Step(at, at - 1, at, 0.1) for at in range(1, 25))
    made = page(trend(*(point(1, float(day)) for day in range(1, 26)), steps=steps)).entries[0]
    listed = [text for label, text in made.facts if label == "steps"]
    assert len(listed) == 11
    assert listed[-1] == "14 earlier ones are in the table of runs"
    assert sum(bool(each.step) for each in made.runs) == 24


def test_unknown_cells_are_dashes() -> None:
    """A run without a commit, and work without an interval, have no hyphen for it."""
    [made] = page(replace(WORK, points=(point(1, 5.0, commit=None, low=None),))).entries
    assert made.runs[0][:4] == ("2026-11-01 12:30", "–", "5", "–")
    assert (made.change[0], made.rounds) == ("–", None)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """Return what makes files."""
    return Renderer.load(TRENDS)


@pytest.mark.parametrize("name", HOSTILE)
def test_file_escapes_names(renderer: Renderer, name: str) -> None:
    """A name adds no element, and no control character, to the file, and is cut."""
    points = (
        point(1, 2.0, commit=name, branch=name, versions={name: "1"}),
        replace(point(2, 3.0, commit=name, versions={name: "2"}), outcome=name),
    )
    of_names = {"test": name, "name": name, "machine": name, "project": name, "unit": name}
    evil = trend(*points, steps=(Step(1, 0, 1, 0.5),), domain=name, **of_names)
    written = WRITTEN._replace(facts={"test": name})
    hostile = renderer.render(trend_page_of([evil], written))
    plain = renderer.render(page(STEPPED))
    assert re.findall(r"<\w+", hostile).count("<script") == plain.count("<script")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", hostile.split("plotly")[0])
    seen = re.sub(r' (title|data-copy)="[^"]*"', "", hostile.partition('<script type="appl')[0])
    assert "x" * 1000 not in seen


def test_file_is_a_report_and_asks_for_nothing(renderer: Renderer) -> None:
    """The file says what wrote it, names no address to load, and allows only its own scripts."""
    text = renderer.render(page(STEPPED, WORK))
    assert GENERATOR in text[:200]
    page_itself = text.replace(renderer.charts, "")
    assert not re.search(r"(src|href)=\"(?!#|data:)", page_itself)
    assert page_itself.count("sha256-") == 4
    assert re.search(r' on\w+="', page_itself) is None
