"""What is said of a test's quality."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_greenops.judge.quality import changes
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, QualityChange
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report import reasons, section
from pytest_greenops.report.closing import closing_line
from pytest_greenops.report.comparison import OF_TWO_FILES
from pytest_greenops.report.document import properties
from pytest_greenops.report.notes import remarks
from pytest_greenops.report.terminal import render, render_brief
from tests.unit.report.samples import change, key, regressed, result, unmeasured

FELL = changes({"accuracy": 0.9}, [{"accuracy": 0.94}], 0.01)
[BROKE] = changes({"q": float("nan")}, [], 0.01)
SAYS = "kept accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)"


def fell(**more: Any) -> Result:
    """Half the joules, and 0.90 after 0.94."""
    given: dict[str, Any] = {
        "of_joules": Outcome.IMPROVED,
        "change": change(-0.5, -0.52, -0.48),
        "qualities": FELL,
        "quality": {"accuracy": 0.9},
    }
    return result(Outcome.REGRESSED, **{**given, **more})


def one(now: float, before: float, limit: float = 0.01) -> QualityChange:
    """The change of one quality."""
    [found] = changes({"q": now}, [{"q": before}], limit)
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one(0.9, 0.94), "q 0.90, baseline 0.94 (-4.3 %, limit -1 %)"),
        (one(-0.31, -0.3), "q -0.31, baseline -0.30 (-3.3 %, limit -1 %)"),
        (one(0.94, 0.9401, 0.0), "q 0.9400, baseline 0.9401 (-0.011 %, limit 0 %)"),
        (one(0.5, 0.94, 0.125), "q 0.50, baseline 0.94 (-47 %, limit -12.5 %)"),
        (one(30.0, 31.0), "q 30, baseline 31 (-3.2 %, limit -1 %)"),
        (one(1e-9, 2e-9), "q 1e-09, baseline 2e-09 (-50 %, limit -1 %)"),
        (one(-0.1, 0.0), "q -0.1, baseline 0.0 (below 0, limit -1 %)"),
        (one(float("nan"), 0.94), "q no finite number, baseline 0.94 (broken, limit -1 %)"),
        (BROKE, "q no finite number, no baseline (limit -1 %)"),
    ],
)
def test_a_quality_is_told_beside_its_baseline(change: QualityChange, said: str) -> None:
    """With as many decimals as either needs, the change and the limit of it."""
    assert said == quality.held(change)


class TestFailure:
    """The message of the exception."""

    def test_says_what_was_kept_and_how_to_accept_it(self) -> None:
        """A cheaper model that is worse says nothing of joules in its first line."""
        expected = f"call {SAYS}. Accept it: pytest --energy-save tests/test_x.py::test_parse"
        assert expected == reasons.failure(fell())

    def test_says_both_where_joules_regressed_too(self) -> None:
        """One line has both figures and one command."""
        both = regressed(qualities=FELL, of_joules=Outcome.REGRESSED)
        assert reasons.failure(both) == (
            "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, limit "
            f"+5 %) and {SAYS}. Accept it: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_says_what_strict_could_not_show(self) -> None:
        """A quality without a baseline is named, with the command that accepts one."""
        new = result(qualities=changes({"accuracy": 0.9}, [], 0.01))
        assert reasons.failure(new) == (
            "call could not be judged, and --energy-strict is on: its baseline has no accuracy to "
            "hold it against; accept one: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_says_what_strict_could_not_show_beside_a_drop(self) -> None:
        """That the joules were not comparable is what fails, where the drop only warns."""
        other = fell(cause="cpu: A -> B", of_joules=Outcome.NOT_COMPARABLE, change=None)
        assert reasons.unproven(other) == (
            "call could not be judged, and --energy-strict is on: not comparable (cpu: A -> B); "
            "accept what it uses here: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_does_not_offer_what_cannot_be_accepted(self) -> None:
        """Without joules there is nothing to save, and NaN is no baseline."""
        broken = fell(qualities=changes({"accuracy": float("nan")}, [{"accuracy": 0.94}], 0.01))
        assert reasons.failure(broken) == (
            "call kept accuracy no finite number, baseline 0.94 (broken, limit -1 %). "
            "It cannot be accepted: a quality has to be a finite number"
        )
        missing = fell(rounds=0, of_joules=Outcome.NOT_MEASURED, change=None)
        assert reasons.failure(missing) == (
            f"call {SAYS}. It can be accepted once its energy is measured"
        )

    def test_says_that_it_was_accepted(self) -> None:
        """In a run that saves there is nothing left to do."""
        assert reasons.reason(fell(saved=True)) == (
            f"call {SAYS}. This run accepted it as the baseline"
        )


class TestSection:
    """What stands under a failure."""

    def test_says_what_the_joules_came_to(self) -> None:
        """The gain in joules is told, and that it is not what failed."""
        lines = list(section.failure_section(fell()))
        assert "quality    accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)" in lines
        assert "its energy improved: -50 % (95 % CI -52…-48 %) against a limit of +5 %" in lines

    def test_of_unmeasured_joules_has_the_quality(self) -> None:
        """Why they were not measured stands beside it."""
        lines = list(
            section.failure_section(
                fell(rounds=0, cause="gpu did not move", of_joules=Outcome.NOT_MEASURED)
            )
        )
        assert "quality    accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)" in lines
        assert "its energy not measured: gpu did not move" in lines


def test_the_word_of_a_drop_is_not_that_of_an_estimate() -> None:
    """The joules may be estimated; the quality is not."""
    assert reasons.verdict_word(fell(estimated=True)) == "regressed"


def test_the_table_shows_it() -> None:
    """The quality has a line, and the bar is that of its limit."""
    lines = list(render([fell()], 80, color=False, unicode=True))
    assert "    accuracy            0.9 (-4.3 %)" in lines
    assert any(line.endswith("▸ of -1 %") for line in lines)
    assert max(map(len, lines)) == 80


def test_the_brief_line_names_it() -> None:
    """With `-q` one line says what fell, and not how the joules did."""
    assert list(render_brief([fell()], 80, color=False, unicode=True)) == [
        "regressed  tests/test_x.py::test_parse  accuracy -4.3 %, limit -1 %"
    ]


def test_the_closing_line_tells_it_from_joules() -> None:
    """It is a regression; joules that were not compared are still counted as such."""
    missing = fell(rounds=0, joules=float("nan"), of_joules=Outcome.NOT_MEASURED, change=None)
    assert closing_line([fell(), regressed(), missing]) == (
        "energy: 2 measured, 2 compared: 0 passed, 3 regressed (2 quality), 0 inconclusive; "
        "0 no baseline; 0 not comparable; 1 not measured"
    )
    assert closing_line([fell(of_joules=Outcome.NOT_COMPARABLE, change=None)]) == (
        "energy: 1 measured, 0 compared: 0 passed, 1 regressed (quality), 0 inconclusive; "
        "0 no baseline; 1 not comparable"
    )


def test_properties_have_each_figure() -> None:
    """JUnit holds the limit, the baseline and the change beside the quality."""
    found = dict(properties(fell()))
    assert {name: value for name, value in found.items() if "quality" in name} == {
        "energy.quality.accuracy": 0.9,
        "energy.max_quality_drop.accuracy": 0.01,
        "energy.quality_baseline.accuracy": 0.94,
        "energy.quality_change.accuracy": -0.0425532,
    }
    assert found["energy.verdict"] == "regressed"


class TestRemarks:
    """What is said under the table."""

    def test_a_quality_without_a_baseline(self) -> None:
        """It passes, and it is said that this rests on nothing."""
        new = result(qualities=changes({"accuracy": 0.9, "f1": 0.9}, [], 0.01))
        assert str(list(remarks([new]))[-1]) == (
            "test_parse: its baseline has no accuracy and no f1 to hold it against; accept one: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_a_quality_that_is_not_told_any_more(self) -> None:
        """It is named, and how to tell it."""
        gone = result(qualities=changes({"f1": 0.9}, [{"accuracy": 0.9, "f1": 0.9}], 0.01))
        assert str(list(remarks([gone]))[-1]) == (
            "test_parse: its baseline has accuracy, which it does not tell any more: "
            "energy.quality(accuracy=...), or accept that: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_a_quality_that_broke_without_a_baseline(self) -> None:
        """To accept it would not help."""
        assert list(map(str, remarks([result(qualities=(BROKE,))]))) == [
            "test_parse: q is no finite number"
        ]

    def test_small_drops_that_have_added_up(self) -> None:
        """The largest first; one that exceeds its limit is told as a regression."""
        many = [
            result(test=key(f"test_{n}"), qualities=changes({"q": now}, [{"q": now}], 0.01, first))
            for n, now in enumerate((0.85, 0.83, 0.892, 0.86, 0.84))
            for first in [{"q": 0.9}]
        ]
        assert list(map(str, remarks(many))) == [
            "Crept down since first accepted, step by step: test_1 q -7.8 %, test_4 q -6.7 %, "
            "test_0 q -5.6 %, and 1 more."
        ]
        told = changes({"accuracy": 0.9}, [{"accuracy": 0.94}], 0.01, {"accuracy": 0.99})
        assert list(remarks([fell(qualities=told)])) == []

    def test_a_drop_of_just_the_limit_has_not_crept(self) -> None:
        """Whatever floating point makes of it."""
        told = changes({"q": 0.9306}, [{"q": 0.9306}], 0.01, {"q": 0.94})
        assert list(remarks([result(qualities=told)])) == []

    def test_nothing_is_said_where_there_is_no_baseline_at_all(self) -> None:
        """That is told already, with the same command."""
        new = result(Outcome.NO_BASELINE, qualities=changes({"accuracy": 0.9}, [], 0.01))
        assert list(remarks([new])) == []

    def test_a_drop_has_no_chance(self) -> None:
        """Its joules are none of the regressions whose probability is told."""
        assert list(remarks([fell(), fell()])) == []

    def test_of_two_files_names_what_one_lacks(self) -> None:
        """No command is told."""
        new = result(qualities=changes({"accuracy": 0.9}, [], 0.01))
        told = [str(each) for each in remarks([new], OF_TWO_FILES)]
        assert told == ["test_parse: only one of both tells accuracy."]


def test_of_two_files_says_which_is_which() -> None:
    """A is what the baseline is to a run."""
    said = "kept accuracy 0.90 in B, 0.94 in A (-4.3 %, limit -1 %)"
    assert str(OF_TWO_FILES.explain(fell())) == f"call {said}"
    both = regressed(qualities=FELL, of_joules=Outcome.REGRESSED)
    assert str(OF_TWO_FILES.explain(both)).endswith(f"limit +5 %) and {said}")


def test_unmeasured_results_keep_their_words() -> None:
    """Without a limit of quality nothing changes."""
    assert reasons.reason(unmeasured("no sensor")) == "not measured: no sensor"
