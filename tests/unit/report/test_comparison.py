"""What is said of two files of results."""

from __future__ import annotations

import pytest

from pytest_greenops.model.environment import Environment
from pytest_greenops.model.result import SCHEMA, Result, Results
from pytest_greenops.model.verdict import Change, Outcome
from pytest_greenops.report import comparison
from pytest_greenops.report.notes import notes, remarks
from pytest_greenops.report.terminal import render
from tests.unit.report.samples import POLICY, key, result

CHANGE = Change(0.55, 0.48, 0.61, 0.2, 0.05, 2.0, 1, provisional=True)


def said(of: Result) -> str:
    """The sentence under the table about one result."""
    [note] = notes([of], comparison.OF_TWO_FILES)
    assert note.advice.command is None
    return note.advice.text


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (
            result(Outcome.REGRESSED, joules=3.1, change=CHANGE),
            "call used 3.10 J in B, 2.00 J in A (+55 %, 95 % CI +48…+61 %, limit +5 %)",
        ),
        (
            result(Outcome.INCONCLUSIVE, change=CHANGE, needs_rounds=20),
            "can't tell: +55 % (95 % CI +48…+61 %) against a limit of +5 %; about 20 rounds in B "
            "would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, change=CHANGE, needs_processes=3),
            "can't tell: +55 % (95 % CI +48…+61 %) against a limit of +5 %; B in "
            "--energy-sessions=3 would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, change=CHANGE, needs_sessions=1),
            "can't tell: +55 % (95 % CI +48…+61 %) against a limit of +5 %; 1 more session in A "
            "would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, cause="drift: +4 %"),
            "can't tell: drift: +4 %; mend that and measure B again",
        ),
        (
            result(Outcome.NO_BASELINE, cause="drift: +4 %"),
            "A has nothing to compare with: drift: +4 %",
        ),
        (result(Outcome.NOT_COMPARABLE, cause="cpu: A -> B"), "(cpu: A -> B)"),
        (result(Outcome.NOT_MEASURED, cause="no sensor"), "in B: no sensor"),
    ],
)
def test_each_verdict_has_its_sentence(of: Result, text: str) -> None:
    """It speaks of A and B, and holds no command: neither file says where it can be run."""
    assert text == said(of)


def test_no_advice_to_save_is_printed() -> None:
    """The whole report names no command, whatever the verdicts are."""
    results = [
        result(outcome, test=key(f"test_{number}"), change=CHANGE, not_saved="compared")
        for number, outcome in enumerate(Outcome)
    ]
    results += [result(Outcome.PASSED, change=CHANGE, test=key("test_more"))]
    report = "\n".join(render(results, 80, False, True, comparison.OF_TWO_FILES))
    assert "regressed: tests/test_x.py::test_2" in report
    assert "--energy-save" not in report
    assert "pytest " not in report


def test_few_sessions_are_those_of_a() -> None:
    """What passed provisionally is told with what would tell more."""
    [remark] = remarks([result(Outcome.PASSED, change=CHANGE)], comparison.OF_TWO_FILES)
    expected = (
        "1 passed provisionally: with fewer than 3 sessions in A only an increase from +20 % on is "
        "sure to be found. Measure A with --energy-sessions=3 to find smaller ones."
    )
    assert expected == str(remark)


def test_the_heading_tells_which_file_is_which() -> None:
    """Each with when it was made and how much it holds."""
    one, two = (
        Results(SCHEMA, f"2026-01-0{day}T12:30:45+00:00", "0.1", Environment({}), POLICY, of)
        for day, of in ((1, (result(),)), (2, (result(), result(name="decode"))))
    )
    assert [
        "energy: A is main.json: 1 measurement of 2026-01-01 12:30",
        "energy: B is pr.json: 2 measurements of 2026-01-02 12:30",
    ] == list(comparison.heading(("main.json", "pr.json"), (one, two), 80))


@pytest.mark.parametrize(
    ("count", "lines"),
    [
        (0, []),
        (1, ["energy: only in A: 1 measurement: tests/test_x.py::test_0"]),
        (
            5,
            [
                "energy: only in A: 5 measurements: tests/test_x.py::test_0,",
                "tests/test_x.py::test_1, tests/test_x.py::test_2 and 2 more",
            ],
        ),
    ],
)
def test_what_has_no_counterpart_is_counted(count: int, lines: list[str]) -> None:
    """A few are named, within the width."""
    alone = [result(test=key(f"test_{number}")) for number in range(count)]
    assert lines == list(comparison.unmatched("A", alone, 80))


def test_a_named_measurement_is_named() -> None:
    """A measurement other than `call` has its name behind that of the test."""
    assert ["energy: only in B: 1 measurement: tests/test_x.py::test_parse · decode"] == list(
        comparison.unmatched("B", [result(name="decode")], 80)
    )
