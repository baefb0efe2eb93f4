"""`pytest-greenops history --html` in a browser: trends and their steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.history.append import append
from pytest_greenops.history.steps import changes
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.trend import Trend
from pytest_greenops.report.html.renderer import TRENDS
from pytest_greenops.report.html.trend_page import Written, trend_page_of
from tests.history.runs import run, url
from tests.integration import commands
from tests.integration.browser import browse, chromium, violations
from tests.integration.test_html import HOSTILE
from tests.postgresql import database, postgresql
from tests.unit.builders import key
from tests.unit.report.samples import result
from tests.unit.report.test_trend_text import point, trend

__all__ = ["browse", "chromium", "database", "postgresql"]

#: Rises at the seventh of twelve runs, falls at the tenth.
JOULES = (2.0, 2.01, 1.99, 2.0, 2.02, 2.0, 2.4, 2.41, 2.39, 2.0, 2.01, 1.99)
STEPS = changes([float(joules) for joules in (2, 2, 2, 2, 2, 2, 2.4, 2.4, 2.4, 2, 2, 2)])
WRITTEN = Written("2026-11-29T12:30:59+00:00", "0.2.0", {"test": "test_works"})
STEPPED = trend(*(point(day, j) for day, j in enumerate(JOULES, start=10)), steps=STEPS)
WORK = trend(
    *(point(day, 100.0 + 5 * (day > 12), low=None, high=None) for day in range(10, 16)),
    quantity="work",
    steps=changes([100.0] * 3 + [105.0] * 3),
)
#: As the history has them: joules and work of a machine, estimates of another one.
SEVERAL = (STEPPED, WORK, replace(STEPPED, machine="xeon-2", estimated=True, steps=()))


def write(folder: Path, trends: Sequence[Trend]) -> Path:
    """Return a file with some trends."""
    path = folder / "trends.html"
    HtmlFile(path, TRENDS).write_page(trend_page_of(trends, WRITTEN, "No figures of such runs"))
    return path


@pytest.fixture
def opened(browse: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that opens a page of some trends."""
    return lambda trends=SEVERAL, **settings: browse(write(tmp_path, trends), **settings)


def drawn(page: Any, number: int = 1) -> list[Any]:
    """Return the charts, scrolled into sight, of the first `number` trends."""
    for body in page.locator("#tests > tbody").all()[:number]:
        body.locator("summary").scroll_into_view_if_needed()
        body.locator(".main-svg").first.wait_for()
    plots: list[Any] = page.locator(".plot").all()
    return plots


def texts(plot: Any, selector: str) -> list[str]:
    """Return the texts in a chart."""
    found: list[str] = plot.locator(selector).evaluate_all("each => each.map((e) => e.textContent)")
    return found


def test_a_step_of_a_history(
    database: str, tmp_path: Path, browse: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    """From a database to the page: the heading, the mark and the table name the same commits."""
    joules = [2.0 if number < 6 else 2.4 for number in range(12)]
    runs = [
        run(n, [result(test=key("test_works"), joules=j)], commit=f"{n:02}{'a' * 38}")
        for n, j in enumerate(joules)
    ]
    append(url(database), runs)
    ran = commands.run(
        tmp_path, "history", "test_works", "--html=out/trends.html", ENERGY_HISTORY=database
    )
    assert (ran.code, ran.out, ran.err) == (
        *(0, "energy: 1 trend, 1 with a step, in out/trends.html\n", ""),
    )
    page = browse(tmp_path / "out/trends.html")
    between = "between 05aaaaa and 06aaaaa"
    assert page.locator("h1").inner_text() == f"test_works: +20 % {between}"
    [plot] = drawn(page)
    assert texts(plot, ".annotation-text") == [f"{between}: +20 %"]
    assert f"{between}: +20 %" in plot.get_attribute("aria-label")
    rows = page.locator(".runs tbody tr").all_inner_texts()
    assert len(rows) == 13
    assert rows[0].split("\t")[:3] == ["2026-01-12 12:00", "11aaaaa", "2.40 J"]
    assert rows[6].startswith("+20 % (95 % CI +20…+20 %) between 05aaaaa and 06aaaaa")
    command = page.locator(".command code").inner_text()
    assert command.startswith("pytest-greenops bisect 05aaaaa 06aaaaa -- ")


def test_a_chart_has_runs_intervals_levels_and_steps(opened: Callable[..., Any]) -> None:
    """Each run is a dot, or a cross if it regressed; each step a mark at its place."""
    points = [
        replace(each, outcome=Outcome.REGRESSED.value if n == 6 else "passed", saved=n == 7)
        for n, each in enumerate(STEPPED.points)
    ]
    page = opened([replace(STEPPED, points=tuple(points))])
    [plot] = drawn(page)
    traces = plot.evaluate("plot => plot.data.map((trace) => [trace.x.length, trace.mode])")
    assert traces == [
        *([36, "lines"], [10, "markers"], [1, "markers"], [1, "markers"]),
        *([9, "lines"], [2, "markers"]),
    ]
    lines = plot.evaluate(
        "plot => plot.layout.shapes.filter((s) => s.type === 'line').map((s) => [s.x0, s.x1])"
    )
    assert lines == [[5.5, 5.5], [8.5, 8.5]]
    assert texts(plot, ".annotation-text") == [
        "between 15abcde and 16abcde: +20 %",
        "between 18abcde and 19abcde: -17 %",
    ]
    words = page.locator("figure .below").inner_text()
    assert "crosses regressed" in words
    assert "the 2 dashed marks are steps" in words
    assert texts(plot, ".xtick")[-1] == "21abcde2026-11-21"


def test_charts_by_time(opened: Callable[..., Any]) -> None:
    """The runs stand at their times, in UTC, when a reader chooses so."""
    page = opened([STEPPED])
    [plot] = drawn(page)
    page.get_by_label("Charts by").select_option("time")
    page.locator(".xtick").filter(has_text="Nov 13").wait_for()
    first = plot.evaluate("plot => new Date(plot.data[1].x[0]).toISOString()")
    assert first == "2026-11-10T12:30:00.000Z"


def test_zoom_names_the_runs_in_sight(opened: Callable[..., Any]) -> None:
    """A part of many runs has names of commits at its axis, too."""
    many = trend(*(point(1 + day % 28, 2.0, commit=f"{day:07}") for day in range(500)))
    page = opened([many])
    [plot] = drawn(page)
    assert len(texts(plot, ".xtick")) <= 12
    plot.evaluate("plot => Plotly.relayout(plot, {'xaxis.range[0]': 100, 'xaxis.range[1]': 103})")
    page.locator(".xtick").nth(4).wait_for(state="detached")
    assert [text[:7] for text in sorted(texts(plot, ".xtick"))] == [
        *("0000100", "0000101", "0000102", "0000103"),
    ]


def test_what_is_not_comparable_has_its_own_chart(opened: Callable[..., Any]) -> None:
    """Joules and work, two machines, and estimates; work is drawn without a unit of energy."""
    page = opened()
    plots = drawn(page, 3)
    assert page.locator("h1").inner_text() == "test_works: 2 of 3 trends have a step"
    assert page.locator("figcaption").all_inner_texts() == [
        *("Weighted work of 6 runs", "Energy of 12 runs", "Energy of 12 runs"),
    ]
    assert [texts(plot, ".ytitle")[0] for plot in plots] == ["weighted work", "J", "J"]
    assert "xeon-2" in page.locator("#tests > tbody").nth(2).inner_text()
    page.get_by_role("button", name="fell").click()
    assert page.locator("#tests > tbody:not([hidden])").count() == 1


def test_without_scripts(opened: Callable[..., Any]) -> None:
    """Without JavaScript each run has its row, each step its sentence, and no control is dead."""
    page = opened(java_script_enabled=False)
    assert page.get_by_role("button").count() == 0
    assert page.get_by_role("combobox").count() == 0
    rows = page.locator(".runs").nth(1).locator("tbody tr")
    assert rows.count() == 14
    assert rows.first.inner_text().split("\t") == [
        *("2026-11-21 12:30", "21abcde", "1.99 J", "1.97…2.01 J", "passed"),
    ]
    assert page.get_by_text("+20 % between 15abcde and 16abcde").first.is_visible()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(opened: Callable[..., Any], scheme: str, width: int) -> None:
    """axe-core finds no violation of WCAG 2.1 AA, such as a low contrast or a missing name."""
    viewport = {"width": width, "height": 900}
    page = opened(color_scheme=scheme, viewport=viewport, bypass_csp=True)
    drawn(page, 3)
    assert violations(page) == []


def test_keyboard(opened: Callable[..., Any]) -> None:
    """A closed trend is reached by Tab, and Enter opens its chart."""
    tests = [replace(STEPPED, test=f"tests/test_x.py::test_{n}") for n in range(6)]
    page = opened(tests)
    assert page.locator("details[open]").count() == 0
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    page.locator("figure .main-svg").first.wait_for()
    page.get_by_label("Filter").fill("test_3")
    assert page.locator("#tests > tbody:not([hidden])").count() == 1


@pytest.mark.parametrize("width", [320, 400])
def test_narrow(opened: Callable[..., Any], width: int) -> None:
    """On a phone nothing scrolls sideways but tables, whose columns stay columns."""
    page = opened(viewport={"width": width, "height": 700})
    drawn(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    places = page.locator(".runs").first.locator("tr:not([class]) > :nth-child(2)")
    lefts = places.evaluate_all("each => each.map((e) => e.getBoundingClientRect().left)")
    assert len(set(lefts)) == 1


def test_a_finger_scrolls_the_page(opened: Callable[..., Any]) -> None:
    """On a touch screen a chart leaves a movement to the page, and is not zoomed by it."""
    page = opened([STEPPED], has_touch=True, is_mobile=True)
    [plot] = drawn(page)
    taken = plot.locator(".nsewdrag").evaluate(
        """each => {
            const { x, y } = each.getBoundingClientRect();
            const touch = new Touch({ identifier: 1, target: each, clientX: x, clientY: y });
            const begun = new TouchEvent("touchstart", {
                bubbles: true, cancelable: true, touches: [touch], changedTouches: [touch],
            });
            each.dispatchEvent(begun);
            return begun.defaultPrevented;
        }"""
    )
    assert taken is False


def named(name: str) -> Trend:
    """Return a trend all of whose names are this one."""
    points = tuple(
        replace(each, commit=name, branch=name, outcome=name, versions={name: str(n < 6)})
        for n, each in enumerate(STEPPED.points)
    )
    of_names = {"machine": name, "project": name, "name": name, "unit": name, "domain": name}
    return replace(STEPPED, test=f"t.py::test_x[{name}]", points=points, **of_names)


def test_hostile_names(opened: Callable[..., Any]) -> None:
    """Names with HTML, scripts, controls and 10,000 characters are text everywhere, and cut."""
    page = opened([named(name) for name in HOSTILE], viewport={"width": 400, "height": 800})
    page.get_by_role("button", name="Open all").click()
    drawn(page, len(HOSTILE))
    assert page.locator("main img, main script, main svg a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    cut = page.locator(".test a, .module, .energy, .change, .tag, .runs td:not([colspan])")
    assert max(map(len, cut.all_inner_texts())) <= 200
    image = page.locator("#tests > tbody").filter(has_text="test_x[<img")
    assert texts(image, ".ytitle") == ["J/<img src=x onerror=alert(1)>"]
    assert texts(image, ".xtick")[0].startswith("<img sr")


def test_no_runs(opened: Callable[..., Any]) -> None:
    """A page without runs says so."""
    page = opened([])
    assert page.locator("h1").inner_text() == "No figures of such runs"
    assert page.get_by_text("appends a run").is_visible()


@pytest.mark.parametrize("number", [1, 5000])
def test_few_and_many_runs(opened: Callable[..., Any], number: int) -> None:
    """One run is a dot without a step; thousands are one chart, and a row each."""
    points = [point(1 + day % 28, 2.0 + day % 7 / 50, commit=f"{day:07}") for day in range(number)]
    page = opened([trend(*points)])
    [plot] = drawn(page)
    assert plot.evaluate("plot => plot.data[1].x.length") == number
    assert page.locator(".runs tbody tr").count() == number
    assert re.match(r"test_works: no step in \d+ run", page.locator("h1").inner_text())
