"""What charts show of power over time, A/B pairs and changes of counted work, and their tables."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace

from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.work_verdict import WorkChange, WorkDifference
from pytest_greenops.report.document import to_json
from pytest_greenops.report.html.chart_data import charts_of, parts_of, plain_tables
from tests.unit import works
from tests.unit.builders import CPU, GPU, key
from tests.unit.report.samples import (
    by_pairs,
    change,
    each_pair,
    pairs,
    result,
    run,
    sampled,
    unmeasured,
)

ON_GPU = {CPU: 0.4, GPU: 0.6}


def on_card(rounds: int = 10) -> Result:
    """Return a result with the power of a card over time, in two sessions."""
    of = result(shares=ON_GPU, seconds=0.5, rounds=rounds, change=change(0.01, -0.01, 0.02))
    return sampled(replace(of, fresh=(of.rounds[:2],)))


def changed(**fields: object) -> Result:
    """Return a result whose work changed, with these fields of its verdict on the work."""
    of = result(Outcome.REGRESSED, work=works.record())
    work = replace(works.changed_verdict(3, 2, left_out=7), **fields)
    return replace(of, verdict=replace(of.verdict, work=work))


def titles(of: Result) -> list[str]:
    """Return the titles of its tables for readers without scripts."""
    return [table.title for table in plain_tables(of)]


@pytest.mark.parametrize(
    ("tests", "parts"), [(0, 200), (1, 200), (300, 200), (1000, 60), (5000, 20)]
)
def test_a_page_of_many_tests_has_fewer_parts_of_each(tests: int, parts: int) -> None:
    """So a page of 1,000 tests stays small."""
    assert parts_of(tests) == parts


@pytest.mark.parametrize("parts", [20, 200])
def test_power_as_it_was_read(parts: int) -> None:
    """Rounds of a session follow one another, and all curves share the parts of a chart."""
    of = on_card()
    found = charts_of(of, parts)["read"]
    (counter, session, until_s, watts), (_, fresh, until_fresh_s, _) = found["curves"]
    assert (counter, session, fresh) == ("gpu:0", 0, 1)
    assert len(until_s) == parts // 2
    assert (until_s[-1], until_fresh_s[-1]) == (5.0, 1.0)
    curve = PowerCurve(tuple(until_s), tuple(watts))
    joules = sum(round_.energy_uj["gpu:0"] for round_ in of.rounds) * 1e-6
    assert curve.joules == pytest.approx(joules, rel=1e-3)


def test_a_round_that_was_read_at_its_edges_is_one_part() -> None:
    """A long round of the same test has parts, and the short one its mean."""
    of = replace(on_card(2), fresh=())
    short = replace(of.rounds[1], power={})
    [[_, _, until_s, watts]] = charts_of(replace(of, rounds=(of.rounds[0], short)))["read"][
        "curves"
    ]
    assert len(until_s) == 41
    assert (until_s[-1], watts[-1]) == (1.0, pytest.approx(0.6 * 2.0 * 1.01 / 0.5, rel=1e-3))


def test_without_readings_in_between_there_is_no_curve() -> None:
    """Steps of rounds are all that there is; nothing measured has neither."""
    of = result(rounds=30)
    assert "read" not in charts_of(of)
    [table] = plain_tables(of)
    assert table.title == "Power by round"
    assert len(table.rows) == 10
    assert table.words.endswith("here the first 10 of 30 rows")
    assert titles(unmeasured("no sensor")) == []


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_file_whose_curves_have_no_parts(seconds: float) -> None:
    """There is no curve, as without readings in between."""
    of = on_card(3)
    empty = tuple(
        replace(each, seconds=seconds, power={"gpu:0": PowerCurve((), ())}) for each in of.rounds
    )
    of = replace(of, rounds=empty, fresh=())
    assert "read" not in charts_of(of)
    assert "Power over the measured time, as it was read" not in titles(of)


def test_pairs_have_numbers_and_a_table() -> None:
    """Change, joules of both sides, which side began, start, processes, and whether it counts."""
    of = by_pairs(pairs(every_pair=each_pair(0.09, 0.07, 0.0, contradicted=1)))
    found = charts_of(of)["pairs"]
    assert found["pairs"][0] == [0.09, 3.055, 2.803, 0, 1, 1, 1]
    assert found["pairs"][2] == [0.0, 2.86, 2.86, 0, 3, 2, 0]
    assert (found["change"], found["low"], found["high"], found["margin"]) == (
        *(0.083, 0.069, 0.098, 0.05),
    )
    assert "crosses do not count" in found["words"]
    table = next(plain_tables(of))
    assert table.rows[1] == (
        *("2", "+7.0 %", "3.09 J/sample", "2.89 J/sample", "ref", "2", "2", "yes"),
    )


def test_pairs_without_a_change_have_no_band() -> None:
    """One pair has no interval; a comparison of an older file has no pairs."""
    one = pairs(Outcome.INCONCLUSIVE, None, None, None, every_pair=each_pair(0.09))
    found = charts_of(by_pairs(one))["pairs"]
    assert found.keys() == {"words", "ref", "pairs", "margin"}
    assert "band" not in found["words"]
    assert "pairs" not in charts_of(by_pairs())
    assert "A/B pairs" not in titles(by_pairs())


def test_changed_work_has_both_sides() -> None:
    """Rows of operators and modules, their share of the whole, and how many are left out."""
    operators, modules = charts_of(changed())["differences"]
    assert operators["rows"][0] == (
        *("aten.op_0 float32", "+24 %", "1 → 2", "500 MFLOP → 1 GFLOP", "4 kB → 8 kB"),
    )
    assert operators["shares"] == [0.24, 0.12, 0.08]
    assert "the 3 largest changes, and 7 smaller ones" in operators["words"]
    assert "against what was accepted" in operators["words"]
    assert modules["rows"][0][0] == "model.layers.0.mlp"
    [against, _] = charts_of(changed(against="3f2a91c (main)"))["differences"]
    assert "against 3f2a91c (main)" in against["words"]
    text = json.dumps([operators, modules])
    assert not any(f" {unit}" in text for unit in ("J", "mJ", "W"))


def test_changes_that_are_hard_to_see() -> None:
    """Views, elements alone, and modules of which no share is known."""
    rows = (
        WorkChange("aten.t float32", works.views(4), works.views(6), 0.001),
        WorkChange("aten.fill float32", works.calls(1), replace(works.calls(1), elements=70_000)),
        WorkChange("", works.calls(2), works.calls(2), None),
    )
    found = WorkDifference(works.table().totals, rows[:2], rows[2:])
    operators, modules = charts_of(changed(difference=found))["differences"]
    assert operators["rows"][0][2] == "4 → 6 views"
    assert operators["rows"][1] == (
        *("aten.fill float32", "–", "1", "", "4 kB (248 → 70000 elements)"),
    )
    assert modules["rows"][0][:2] == ("(outside modules)", "–")
    assert modules["shares"] == [None]


def test_an_older_file_has_its_changes_in_words() -> None:
    """A result file without the newer fields is read, and shown as before."""
    of = changed(difference=None, changes=("aten.mm float32 28 -> 29 calls",), modules=("in a",))
    found = charts_of(of)
    assert found["work_changes"] == ["aten.mm float32 28 -> 29 calls"]
    assert "differences" not in found
    written = json.loads(to_json(run([of, by_pairs(test=key("test_b")), result()])))
    text = json.dumps(written)
    assert not any(field in text for field in ("difference", "every_pair", '"power"'))
    read = msgspec.json.decode(json.dumps(written), type=Results)
    assert [titles(each) for each in read.results] == [["Power by round"]] * 3
