"""The values of the page: what comes first, what charts show, and how a file is made of them."""

from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace

from pytest_greenops.insight.regions import factor_of
from pytest_greenops.model.explanation import Explanation, Layer
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Verdict
from pytest_greenops.report.html.chart_data import charts_of
from pytest_greenops.report.html.correlations import correlation, matrices
from pytest_greenops.report.html.page import Page, Region, page_of
from pytest_greenops.report.html.renderer import GENERATOR, Renderer, in_script
from tests.unit import works
from tests.unit.builders import CPU, DRAM, GPU, key
from tests.unit.report.samples import (
    by_pairs,
    change,
    inconclusive,
    limit,
    over_budget,
    regressed,
    result,
    run,
    suite,
    unmeasured,
)
from tests.unit.report.test_entry import HOSTILE

PASSED = change(0.01, -0.01, 0.02)


def page(*results: Result) -> Page:
    """Return the page of a run with these results."""
    return page_of(run(results), [Region(factor_of("DE"), "Germany")])


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """Return what makes files."""
    return Renderer.load()


@pytest.mark.parametrize(
    ("results", "headline"),
    [
        ((), "Nothing was measured: no energy test ran"),
        ((unmeasured("no sensor"),), "Nothing was measured: none of 1 test"),
        ((regressed(),), "1 of 1 test failed the energy check"),
        (
            (regressed(), over_budget(test=key("test_b")), result(test=key("test_c"))),
            "2 of 3 tests failed the energy check",
        ),
        ((regressed(action="warn"),), "1 of 1 test would fail the energy check, and only warned"),
        ((result(),), "The test is within its limits"),
        ((result(), result(test=key("test_b"))), "All 2 tests are within their limits"),
        ((inconclusive(),), "No verdict was reached on 1 test"),
        (
            (result(), inconclusive(test=key("test_b"))),
            "No test failed the energy check; 1 measurement could not be judged",
        ),
    ],
)
def test_headline(results: tuple[Result, ...], headline: str) -> None:
    """The first sentence says what happened; a run without measurements says so."""
    assert page(*results).headline == headline


def test_failures_come_first() -> None:
    """Failures are before warnings, and above the table, which has the gravest first."""
    made = page(*suite())
    assert [each.name.shown for each in made.failures] == [
        "test_parse",
        "test_resnet_inference",
        "test_train_step",
    ]
    assert len(made.entries) == len(suite())
    assert [each.word for each in made.entries[:4]] == [
        *("regressed", "regressed (warned)", "over budget", "inconclusive")
    ]
    assert [(count.outcome, count.number) for count in made.counts][:2] == [
        ("regressed", 2),
        ("over budget", 1),
    ]


def test_many_failures_are_cut() -> None:
    """A page shows 25 failures above the table, and says how many more are in it."""
    made = page(*(regressed(test=key(f"test_{number}")) for number in range(60)))
    assert (len(made.failures), made.omitted[0], len(made.entries)) == (25, 35, 60)


def test_notes_are_those_of_the_terminal() -> None:
    """What could not be judged has its reason and command; failures have theirs above."""
    notes = page(regressed(), inconclusive(test=key("test_b"), needs_rounds=20)).notes
    assert [note.word for note in notes] == ["inconclusive"]
    assert notes[0].command is not None
    assert "--energy-min-rounds=20" in notes[0].command.full


def test_data_of_rounds() -> None:
    """Rounds are joules per judged unit, by session, with baseline, limit, interval and budget."""
    of = regressed(limits=(replace(limit("energy", 3.1, 2.5), unit="sample"),))
    found = charts_of(replace(of, fresh=(of.rounds[:3],)))
    rounds = found["rounds"]
    assert [len(each) for each in rounds["sessions"]] == [10, 3]
    assert rounds["sessions"][0][0] == pytest.approx(3.1 * 0.98)
    assert (rounds["unit"], rounds["baseline"], rounds["limit"]) == ("J/sample", 2.0, 2.1)
    assert (rounds["low"], rounds["high"], rounds["budget"]) == (2.96, 3.22, 2.5)
    assert found["power"][0][0] == [4.81, pytest.approx(3.1 * 64 * 0.98 / 4.81, 1e-4)]
    assert found["power"][0][1][0] == 9.62
    assert found["kinds"] == {"cpu": 198.4}


def test_many_rounds_are_cut() -> None:
    """A test has at most 200 points in all sessions, and says so."""
    of = result(rounds=1000)
    rounds = charts_of(replace(of, fresh=(of.rounds,) * 3))["rounds"]
    assert [len(each) for each in rounds["sessions"]] == [50, 50, 50, 50]
    assert rounds["of"] == "4000 rounds in 4 sessions, the first 50 of each session"


def test_data_of_domains() -> None:
    """Domains are those that the terminal prints: none of an estimate by CPU time."""
    shares = {CPU: 0.3, DRAM: 0.1, GPU: 0.6}
    assert charts_of(result(shares=shares))["domains"] == {"cpu": 0.6, "dram": 0.2, "gpu": 1.2}
    assert "domains" not in charts_of(result(shares={CPU: 0.8, DRAM: 0.2}, estimated=True))


def test_data_of_comparisons() -> None:
    """The pairs and the stored baseline are both there, and which of them decides."""
    ab, stored = charts_of(by_pairs(change=PASSED))["changes"]
    assert ab[0] == [
        *("A/B against 3f2a91c (main), 7 pairs", "+8.3 %", "+6.9…+9.8 %", "+5 %", "decides")
    ]
    assert stored[0][0] == "stored baseline, 5 sessions"
    assert stored[0][-1] == ""
    assert ab[1:] == [0.083, 0.069, 0.098, 0.05]
    assert "baseline" not in charts_of(by_pairs(change=PASSED))["rounds"]


def test_data_of_layers() -> None:
    """Layers have their joules, share and change; those after the 25th are one row."""
    layers = tuple(Layer(f"layers.{i}", "Linear", 1, 0.1, baseline_j=0.08) for i in range(30))
    rows = charts_of(result(explained=Explanation(layers, 3.0, 3.0)))["layers"]
    assert rows[0] == ["layers.0", "Linear", 0.1, 0.08, "3.3 %", "+25 %"]
    assert rows[-1] == ["5 more", "", 0.5, None, "17 %", ""]
    assert len(rows) == 26


def test_counted_work_has_no_joules() -> None:
    """A run that only counts shows FLOP, bytes and calls, and nothing in J, W or g."""
    work = works.verdict(changes=("aten.mm float32 28 -> 29 calls",), modules=("in a", "in b"))
    counted = replace(
        unmeasured("counts only"),
        work=works.record(),
        verdict=Verdict(
            Outcome.REGRESSED, of_joules=Outcome.NOT_MEASURED, work=work, cause_kind="counted only"
        ),
    )
    found = charts_of(counted)
    assert found["operators"]["rows"][0] == [
        "aten.mm float32",
        "28",
        "15 GFLOP",
        "18.9 MB",
        "6.3 MB",
    ]
    assert found["work_changes"] == ["aten.mm float32 28 -> 29 calls"]
    assert found.keys() == {"operators", "modules", "work_changes", "module_changes"}
    text = json.dumps(found)
    assert not re.search(r"\d [mkµ]?[JWg]\b", text)
    assert page(counted).columns[2] == "work"


def test_fronts_and_matrices() -> None:
    """Parameters with a quality have a front; five of them, and three figures, a matrix."""
    tests = [
        result(
            test=key("test_net", param=f"{size}"),
            joules=size,
            seconds=0.1 * size**0.5,
            quality={"accuracy": 0.9 - 0.1 / size if size != 3 else 0.5},
            change=PASSED,
        )
        for size in (1, 2, 3, 4, 5)
    ]
    made = page(*tests)
    [front] = made.fronts
    assert [point[0] for point in front["front"]] == ["1", "2", "4", "5"]
    assert front["dominated"] == [["3", 0.5, 3.0, "0.5 at 3.00 J", "1"]]
    [matrix] = made.matrices
    assert matrix.names == ("joules", "seconds", "watts", "accuracy")
    assert [cell.text for cell in matrix.rows[0]] == ["+1", "+1", "+1", "+0.7"]
    assert list(matrices(tests[:4])) == []


def test_rank_correlation() -> None:
    """Equal values share a rank; a constant figure has no correlation."""
    assert correlation([1, 2, 2, 4], [1, 3, 3, 9]).value == pytest.approx(1)
    assert correlation([1, 2, 3], [3, 2, 1]).text == "-1"
    assert correlation([1, 1, 1], [1, 2, 3]).text == "–"


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "\u2028\u2029", "&amp;"])
def test_json_cannot_end_its_script(text: str) -> None:
    """Strings in the data have escapes for what HTML and JavaScript would read."""
    made = in_script(json.dumps({"name": text}, ensure_ascii=False))
    assert not re.search("[<>&\u2028\u2029]", made)
    assert json.loads(made) == {"name": text}


@pytest.mark.parametrize("param", HOSTILE)
def test_file_escapes_names(renderer: Renderer, param: str) -> None:
    """A name adds no element, and no control character, to the file."""
    plain = renderer.render(page(regressed()))
    hostile = renderer.render(page(regressed(test=key(param=param), name=param)))
    assert re.findall(r"<\w+", hostile).count("<script") == plain.count("<script")
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", hostile.split('id="plotly"')[0]
    )
    assert f"[{param}]" not in hostile or not re.search("[<\x1b\udce9]", param)


def test_file_is_a_report_and_asks_for_nothing(renderer: Renderer) -> None:
    """The file says what wrote it, names no address to load, and allows only its own scripts."""
    text = renderer.render(page(*suite()))
    assert GENERATOR in text[:200]
    page_itself = text.replace(renderer.charts, "")
    assert not re.search(r"(src|href)=\"(?!#|data:)", page_itself)
    assert "default-src 'none'" in page_itself
    assert page_itself.count("sha256-") == 5
    assert re.search(r' on\w+="', page_itself) is None
