"""Power as it was read, A/B pairs and changed work in a browser: drawn, and as tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.result import Result
from tests.integration.browser import browse, chromium, violations
from tests.integration.test_html import ON_GPU, PASSED, opened, row
from tests.unit import works
from tests.unit.builders import key
from tests.unit.report.samples import by_pairs, each_pair, pairs, result, run, sampled

__all__ = ["browse", "chromium", "opened"]

CHANGES = (0.09, 0.07, 0.085, 0.1, 0.06, 0.081, 0.09, 0.02, -0.01)


def results() -> tuple[Result, ...]:
    """Return a test with sampled power, one with pairs, and one with changed work."""
    on_card = result(test=key("test_sampled"), shares=ON_GPU, seconds=0.5, change=PASSED)
    found = pairs(every_pair=each_pair(*CHANGES, contradicted=2))
    more = result(Outcome.REGRESSED, test=key("test_work"), work=works.record())
    work = works.changed_verdict(20, 3, left_out=7)
    return (
        sampled(replace(on_card, fresh=(on_card.rounds[:6],))),
        by_pairs(found, test=key("test_pairs")),
        replace(more, verdict=replace(more.verdict, work=work)),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of these tests."""
    path = tmp_path_factory.mktemp("charts") / "report.html"
    HtmlFile(path).write(run(results()))
    return path


def chart(page: Any, test: str, title: str) -> Any:
    """Open a test, and return one of its charts when it is drawn, with its table open."""
    details = row(page, test).locator("details").first
    details.evaluate("each => { each.open = true; each.scrollIntoView(); }")
    figure = row(page, test).locator("figure").filter(has=page.get_by_text(title, exact=True))
    figure.locator(".main-svg").first.wait_for()
    figure.locator("details").evaluate("each => { each.open = true; }")
    return figure


def lines(table: Any) -> list[list[str]]:
    """Return the cells of each line of a table, the heading first."""
    return [line.locator("th, td").all_inner_texts() for line in table.locator("tr").all()]


def test_power_as_it_was_read(opened: Callable[..., Any]) -> None:
    """Each process has a line of means, and the words say what they leave out."""
    figure = chart(opened(), "test_sampled", "Power over the measured time, as it was read")
    assert figure.locator(".legendtext").all_text_contents() == [
        *("gpu:0, this run's process", "gpu:0, fresh process 1"),
    ]
    words = figure.locator(".below").inner_text()
    assert words.startswith("gpu:0, read while windows were open: 200 means of up to 50.0 ms")
    head, first, *rest = lines(figure)
    assert head == ["counter", "process", "until", "mean power"]
    assert first == ["gpu:0", "this run's process", "50.0 ms", "1.41 W"]
    assert (len(rest), rest[-1][:3]) == (199, ["gpu:0", "fresh process 1", "3.00 s"])


def test_power_of_counters_at_the_edges(opened: Callable[..., Any]) -> None:
    """Where nothing was read in between, there are steps of rounds, which say so."""
    page = opened()
    figure = chart(page, "test_pairs", "Power by round")
    assert figure.locator(".below").inner_text().startswith("mean of each round over the measured")
    assert row(page, "test_pairs").get_by_text("as it was read").count() == 0


def test_pairs(opened: Callable[..., Any]) -> None:
    """Each pair shows its change, its side that went first, and whether it counts."""
    figure = chart(opened(), "test_pairs", "A/B pairs")
    assert figure.locator(".legendtext").all_text_contents() == [
        *("working tree first", "ref first", "does not count"),
    ]
    assert figure.locator(".points path").count() == len(CHANGES)
    assert "of 7 pairs together +8.3 % (solid); 95 % CI +6.9…+9.8 % (band)" in (
        figure.locator(".below").inner_text()
    )
    head, first, second, *_, last = lines(figure)
    assert head[:5] == ["pair", "change", "working tree", "3f2a91c (main)", "first"]
    assert first[:4] == ["1", "+9.0 %", "3.06 J/sample", "2.80 J/sample"]
    assert first[4:] == ["working\xa0tree", "1", "1", "yes"]
    assert second[4] == "ref"
    assert last[-2:] == ["2", "no"]


def test_changed_work(opened: Callable[..., Any]) -> None:
    """Operators and modules that changed have both sides, and what is left out is counted."""
    page = opened()
    operators = chart(page, "test_work", "What changed, by operator")
    assert operators.locator(".points path").count() == 20
    assert "the 20 largest changes, and 7 smaller ones" in operators.inner_text()
    head, first, *_ = lines(operators)
    assert head == ["operator", "of the whole", "calls", "FLOP", "bytes moved"]
    assert first == ["aten.op_0 float32", "+24 %", "1 → 2", "500 MFLOP → 1 GFLOP", "4 kB → 8 kB"]
    modules = chart(page, "test_work", "What changed, by module")
    assert lines(modules)[1][:3] == ["model.layers.0.mlp", "+20 %", "1 → 2"]


@pytest.mark.parametrize("width", [400, 1280])
def test_without_scripts(opened: Callable[..., Any], width: int) -> None:
    """Each of these charts is a table instead; a long one says how many rows it leaves out."""
    page = opened(java_script_enabled=False, viewport={"width": width, "height": 800})
    for name in ("test_sampled", "test_pairs", "test_work"):
        row(page, name).locator("summary").first.click()
    tables = page.locator(".plain-chart")
    by_title = {table.locator("h3").inner_text(): table for table in tables.all()}
    read = by_title["Power over the measured time, as it was read"]
    assert lines(read)[1] == ["gpu:0", "this run's process", "1.00 s", "2.39 W"]
    assert "10 means of up to 1.00 s" in read.inner_text()
    assert lines(by_title["A/B pairs"])[1][:2] == ["1", "+9.0 %"]
    assert len(lines(by_title["A/B pairs"])) == 1 + len(CHANGES)
    changed = by_title["What changed, by operator"]
    assert "here the first 10 of 20 rows" in changed.inner_text()
    assert len(lines(changed)) == 11
    assert "Power by round" in by_title
    assert row(page, "test_work").bounding_box()["width"] <= width


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(opened: Callable[..., Any], scheme: str, width: int) -> None:
    """axe-core finds no violation in these charts and tables, and the page stays on the screen."""
    page = opened(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    chart(page, "test_sampled", "Power over the measured time, as it was read")
    chart(page, "test_pairs", "A/B pairs")
    chart(page, "test_work", "What changed, by module")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
