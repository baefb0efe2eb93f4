"""Sentences about two result files."""

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
    """Return the sentence below the table about one result."""
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
            "because +55 % (95 % CI +48…+61 %) is too uncertain for a limit of +5 %; about 20 "
            "rounds in B would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, change=CHANGE, needs_processes=3),
            "because +55 % (95 % CI +48…+61 %) is too uncertain for a limit of +5 %; B with "
            "--energy-sessions=3 would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, change=CHANGE, needs_sessions=1),
            "because +55 % (95 % CI +48…+61 %) is too uncertain for a limit of +5 %; 1 more "
            "session in A would decide",
        ),
        (
            result(Outcome.INCONCLUSIVE, cause="drift: +4 %"),
            "because of drift: +4 %; fix this and measure B again",
        ),
        (
            result(Outcome.NO_BASELINE, cause="drift: +4 %"),
            "nothing to compare with in A: drift: +4 %",
        ),
        (result(Outcome.NOT_COMPARABLE, cause="cpu: A -> B"), "(cpu: A -> B)"),
        (result(Outcome.NOT_MEASURED, cause="no sensor"), "in B: no sensor"),
    ],
)
def test_each_verdict_has_its_sentence(of: Result, text: str) -> None:
    """It names A and B, and has no command: the files may be of different commits."""
    assert text == said(of)


def test_no_advice_to_save_is_printed() -> None:
    """The report has no command, whatever the verdicts are."""
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
    """Provisional results come with the way to a firm result."""
    [remark] = remarks([result(Outcome.PASSED, change=CHANGE)], comparison.OF_TWO_FILES)
    expected = (
        "1 passed provisionally: A is of one hour, so only increases of at least +20 % are "
        "detected. Save sessions of three hours as a baseline to detect smaller ones."
    )
    assert expected == str(remark)


def test_the_heading_names_both_files() -> None:
    """Each file has the number of its measurements and its date."""
    one, two = (
        Results(SCHEMA, f"2026-01-0{day}T12:30:45+00:00", "0.1", Environment({}), POLICY, of)
        for day, of in ((1, (result(),)), (2, (result(), result(name="decode"))))
    )
    assert [
        "energy: A is main.json: 1 measurement, 2026-01-01 12:30",
        "energy: B is pr.json: 2 measurements, 2026-01-02 12:30",
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
def test_measurements_without_a_counterpart_are_counted(count: int, lines: list[str]) -> None:
    """A few of them are named."""
    alone = [result(test=key(f"test_{number}")) for number in range(count)]
    assert lines == list(comparison.unmatched("A", alone, 80))


def test_a_named_measurement_has_its_name() -> None:
    """The name of a measurement other than `call` follows that of the test."""
    assert ["energy: only in B: 1 measurement: tests/test_x.py::test_parse · decode"] == list(
        comparison.unmatched("B", [result(name="decode")], 80)
    )
