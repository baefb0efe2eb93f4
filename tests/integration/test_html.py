"""The HTML report in a browser: real headless Chromium, which reads the file and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.insight.regions import factor_of
from pytest_greenops.insight.what_if.hypothetical import what_if
from pytest_greenops.model.explanation import Explanation, Layer
from pytest_greenops.model.measurement import Domain
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy, format_mass
from tests.integration.browser import browse, chromium, violations
from tests.unit import works
from tests.unit.builders import CPU, DRAM, GPU, key
from tests.unit.report.samples import by_pairs, change, regressed, result, run, suite

__all__ = ["browse", "chromium"]

PASSED = change(0.01, -0.01, 0.02)
ON_GPU: dict[Domain, float] = {CPU: 0.3, DRAM: 0.1, GPU: 0.6}
HOSTILE = (
    *("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "<!-- <script>"),
    *("\u2028\u202e\x1b[31m\x00", "**x** | `y`", "::error::", "x" * 10_000, "' onclick='alert(1)"),
)


def everything() -> Sequence[Result]:
    """Return results that fill every part of the page."""
    layers = tuple(Layer(f"layers.{n}", "Linear", 1, 0.1 * n, baseline_j=0.2) for n in range(1, 5))
    explained = regressed(
        test=key("test_explained"),
        shares=ON_GPU,
        explained=Explanation(layers, 1.0, 1.1),
        work=works.record(),
    )
    sizes = [
        result(
            test=key("test_net", param=f"size {size}"),
            joules=size,
            seconds=0.1 * size**0.5,
            quality={"accuracy": 0.9 - 0.1 / size if size != 3 else 0.5},
            change=PASSED,
        )
        for size in (1, 2, 3, 4, 5)
    ]
    windows = [
        result(test=key("test_windows"), name=name, shares=ON_GPU, change=PASSED)
        for name in ("prefill", "decode")
    ]
    pairs = by_pairs(test=key("test_pairs"), change=PASSED)
    return (*suite(), replace(explained, fresh=(explained.rounds,)), pairs, *sizes, *windows)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report that has everything."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    HtmlFile(path).write(run(everything()))
    return path


@pytest.fixture
def opened(browse: Callable[..., Any], report: Path) -> Callable[..., Any]:
    """Return a function that opens a report, which has everything unless another one is named."""
    return lambda path=report, **settings: browse(path, **settings)


def shown(page: Any) -> list[str]:
    """Return the names of the tests in the table, from top to bottom."""
    names: list[str] = page.locator("#tests > tbody:not([hidden]) .test a").all_inner_texts()
    return names


def row(page: Any, name: str) -> Any:
    """Return the part of the table with a test."""
    return page.locator("#tests > tbody").filter(
        has=page.get_by_role("link", name=name, exact=True)
    )


def test_says_first_what_happened(opened: Callable[..., Any]) -> None:
    """The verdict is the heading; each failure has its cause and commands; the table has all."""
    page = opened()
    assert page.locator("h1").inner_text() == "4 of 20 tests failed the energy check"
    assert page.title().startswith("4 of 20 tests failed the energy check")
    failure = page.locator(".failure").first
    assert "baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, limit +5 %)" in failure.inner_text()
    assert "pytest --energy-save tests/test_x.py::test_parse" in failure.inner_text()
    assert len(shown(page)) == len(everything())


def test_filters(opened: Callable[..., Any]) -> None:
    """Words in any order and verdicts narrow the table, and a status says how many are left."""
    page = opened()
    page.get_by_label("Filter").fill("net size")
    assert shown(page) == [f"test_net[size {size}]" for size in range(1, 6)]
    assert page.get_by_role("status").first.inner_text() == "5 of 21 shown"
    page.get_by_label("Filter").fill("a/b")
    assert shown(page) == ["test_pairs"]
    page.get_by_label("Filter").fill("nothing has this")
    assert page.get_by_role("status").first.inner_text() == "0 of 21 shown"
    page.get_by_label("Filter").fill("")
    page.get_by_role("button", name="over budget").click()
    assert shown(page) == ["test_resnet_inference"]
    page.get_by_role("button", name="inconclusive").click()
    assert shown(page) == ["test_resnet_inference", "test_compress[zstd 3]"]


def test_sorts(opened: Callable[..., Any]) -> None:
    """A click on a heading sorts by it and says so; unknown figures stay last."""
    page = opened()
    heading = page.get_by_role("columnheader", name="energy", exact=True)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert shown(page)[0] == "test_generate[llama] · prefill"
    assert shown(page)[-1] == "test_tick"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown(page)[0] == "test_encode"
    assert shown(page)[-1] == "test_tick"
    page.get_by_role("columnheader", name="test", exact=True).get_by_role("button").click()
    assert shown(page) == sorted(shown(page), key=str.lower)
    assert heading.get_attribute("aria-sort") == "none"


def test_opens_a_test(opened: Callable[..., Any]) -> None:
    """A click on a failure opens its row, whose charts have a text and a table each."""
    page = opened()
    assert page.evaluate("typeof Plotly") == "undefined"
    page.locator(".failure").get_by_role("link", name="test_explained").click()
    opened_row = row(page, "test_explained")
    opened_row.locator("figure .main-svg").first.wait_for()
    assert opened_row.locator("figcaption").all_inner_texts() == [
        *("Change, with its interval and the limit", "Rounds by session"),
        *("Power by round", "Joules by domain", "Joules by layer"),
        *("Counted work by operator", "Counted work by module"),
    ]
    for chart in opened_row.locator(".plot[role=img]").all():
        assert len(chart.get_attribute("aria-label")) > 20
    assert opened_row.get_by_text("Figures as a table").count() == 5
    assert "20 rounds in 2 sessions; baseline 2.00 J/sample" in opened_row.inner_text()


def test_windows_and_pairs(opened: Callable[..., Any]) -> None:
    """Named windows of a test are beside each other; pairs beside the stored baseline."""
    page = opened()
    row(page, "test_windows · decode").locator("summary").first.click()
    windows = page.locator("figure").filter(has_text="Joules by named window")
    windows.locator("summary").click()
    cells = windows.locator("td, tbody th").all_inner_texts()
    assert cells[:5] == ["prefill", "600 mJ", "200 mJ", "1.20 J", "decode"]
    row(page, "test_pairs").locator("summary").first.click()
    words = row(page, "test_pairs").locator("figure .below").first.inner_text()
    assert words.startswith("A/B against 3f2a91c (main), 7 pairs: +8.3 % (95 % CI +6.9…+9.8 %)")
    assert "stored baseline, 5 sessions: +1.0 %" in words


def test_links(opened: Callable[..., Any]) -> None:
    """An address with the id of a test opens it, also while a filter hides it."""
    page = opened()
    anchor = row(page, "test_decode").get_attribute("id")
    page = opened(anchor=f"#{anchor}")
    assert row(page, "test_decode").locator("details").first.get_attribute("open") is not None
    page.get_by_label("Filter").fill("encode")
    page.evaluate("location.hash = ''")
    page.evaluate(f"location.hash = '{anchor}'")
    row(page, "test_decode").wait_for()
    assert page.get_by_label("Filter").input_value() == ""
    assert len(shown(page)) == len(everything())


def test_keyboard(opened: Callable[..., Any]) -> None:
    """Everything is reached by Tab in reading order, shows its focus, and acts on Enter."""
    page = opened()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 30)"))
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert float(width.removesuffix("px")) >= 1, reached[-1]
        if reached[-1] == "energy":
            break
    places = [
        next(place for place, text in enumerate(reached) if text.startswith(start))
        for start in ("Skip to", "Theme", "4 regressed", "test_parse", "Copy", "Open all", "energy")
    ]
    assert places == sorted(places)
    page.keyboard.press("Enter")
    assert shown(page)[0] == "test_generate[llama] · prefill"
    first = page.locator("#tests > tbody summary").first
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#tests > tbody details").first.get_attribute("open") is not None


def test_without_scripts(opened: Callable[..., Any]) -> None:
    """Without JavaScript there is the whole table, what each row opens, and no dead control."""
    page = opened(java_script_enabled=False)
    assert page.locator("#tests > tbody").count() == len(everything())
    assert page.get_by_role("button").count() == 0
    assert page.get_by_label("Filter").count() == 0 or not page.get_by_label("Filter").is_visible()
    row(page, "test_parse").locator("summary").click()
    text = row(page, "test_parse").inner_text()
    assert "limit +5 %" in text
    assert "pytest --energy-save tests/test_x.py::test_parse" in text
    assert "test_net" in page.locator("#fronts ~ details").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(opened: Callable[..., Any], scheme: str) -> None:
    """The page follows the system's theme until its button chooses another."""
    page = opened(color_scheme=scheme)
    background = "getComputedStyle(document.body).backgroundColor"
    of_system = page.evaluate(background)
    bright = sum(map(int, re.findall(r"\d+", of_system))) > 384
    assert bright is (scheme == "light")
    theme = page.get_by_role("button", name="Theme")
    theme.click()
    theme.click() if scheme == "light" else None
    assert page.evaluate(background) != of_system
    page.reload()
    assert page.evaluate(background) != of_system


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(opened: Callable[..., Any], scheme: str, width: int) -> None:
    """axe-core finds no violation of WCAG 2.1 AA, such as a low contrast or a missing name."""
    viewport = {"width": width, "height": 900}
    page = opened(color_scheme=scheme, viewport=viewport, bypass_csp=True)
    for name in ("test_explained", "test_pairs", "test_windows · decode"):
        row(page, name).locator("summary").first.click()
        row(page, name).locator(".main-svg").first.wait_for()
    page.get_by_text("Another grid, data centre or GPU").click()
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 400, 800])
def test_narrow(opened: Callable[..., Any], width: int) -> None:
    """On a phone the page has no horizontal scroll, also with every test open."""
    page = opened(viewport={"width": width, "height": 700})
    page.get_by_role("button", name="Open all").click()
    for details in page.locator("details").all():
        details.evaluate("each => { each.open = true; each.scrollIntoView(); }")
    page.locator(".main-svg").nth(20).wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 720:
        page.get_by_label("Sort by").select_option("energy")
        assert shown(page)[0] == "test_generate[llama] · prefill"


def test_what_if(opened: Callable[..., Any]) -> None:
    """The controls compute what `pytest-greenops whatif region` does, and mark it hypothetical."""
    page = opened()
    page.get_by_text("Another grid, data centre or GPU").click()
    page.get_by_label("Region").select_option(label="Poland (PL), 615 g/kWh")
    page.get_by_label("PUE").fill("1.5")
    page.get_by_label("GPU: operations").fill("2")
    line = page.locator("#supposed tr").filter(has_text="test_windows · prefill")
    answer = what_if(
        {"cpu": 0.6, "dram": 0.2, "gpu": 1.2},
        factor=factor_of("PL"),
        pue=1.5,
        gpu_efficiency=2,
    )
    assert answer.grams is not None
    assert line.locator("td").all_inner_texts() == [
        *("2.00 J", format_energy(answer.facility_j), f"{format_mass(answer.grams)} CO2e")
    ]
    estimated = page.locator("#supposed tr").filter(has_text="test_train_step")
    assert all(text.startswith("~") for text in estimated.locator("td").all_inner_texts())
    assert page.locator("#assumed").inner_text().startswith("Hypothetical, not measured: ")
    page.get_by_label("PUE").fill("0.5")
    assert page.locator("#supposed tbody tr").count() == 0


def test_hostile_names(opened: Callable[..., Any], report: Path) -> None:
    """Names with HTML, scripts, controls and 10,000 characters are text, cut, and copied whole."""
    path = report.with_name("hostile.html")
    HtmlFile(path).write(run([regressed(test=key(param=p), name=p) for p in HOSTILE]))
    page = opened(path, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Open all").click()
    page.locator(".main-svg").nth(2).wait_for(state="attached")
    assert page.locator("main img, main script").count() == 0
    assert max(map(len, shown(page))) <= 120
    longest = page.locator("#tests > tbody").filter(has_text="xxxxxxxx")
    longest.get_by_role("button", name="full name").click()
    longest.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"tests/test_x.py::test_parse[{'x' * 10_000}]"


def test_nothing_measured(opened: Callable[..., Any], report: Path) -> None:
    """A report of no measurement says so, without an error."""
    path = report.with_name("nothing.html")
    HtmlFile(path).write(run([]))
    page = opened(path)
    assert page.locator("h1").inner_text() == "Nothing was measured: no energy test ran"


def test_thousand_tests(opened: Callable[..., Any], report: Path) -> None:
    """A report of 1,000 tests is smaller than 15 MB, and works; benchmarks/report has the times."""
    path = report.with_name("thousand.html")
    tests = [
        result(test=key(f"test_{number}"), shares=ON_GPU, change=PASSED, work=works.record())
        for number in range(1000)
    ]
    HtmlFile(path).write(run(tests))
    assert path.stat().st_size < 15e6
    page = opened(path)
    page.get_by_label("Filter").fill("test_999")
    assert shown(page) == ["test_999"]
