"""Sentences about quality: drops, and Pareto fronts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.quality import changes
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, QualityChange
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report import reasons
from pytest_greenops.report.closing import closing_line
from pytest_greenops.report.comparison import OF_TWO_FILES
from pytest_greenops.report.document import properties
from pytest_greenops.report.drawing import wrapped
from pytest_greenops.report.notes import remarks
from pytest_greenops.report.section import fact_lines
from pytest_greenops.report.terminal import render, render_brief
from tests.unit.report.samples import change, key, regressed, result, unmeasured

FELL = changes({"accuracy": 0.9}, [{"accuracy": 0.94}], 0.01)
[BROKE] = changes({"q": float("nan")}, [], 0.01)
DROP = "reached accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)"


def fell(**more: Any) -> Result:
    """Return a result with half the joules, and 0.90 after 0.94."""
    given: dict[str, Any] = {
        "of_joules": Outcome.IMPROVED,
        "change": change(-0.5, -0.52, -0.48),
        "qualities": FELL,
        "quality": {"accuracy": 0.9},
    }
    return result(Outcome.REGRESSED, **{**given, **more})


def one(now: float, before: float, limit: float = 0.01) -> QualityChange:
    """Return the change of one quality."""
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
        (one(float("nan"), 0.94), "q not a finite number, baseline 0.94 (broken, limit -1 %)"),
        (BROKE, "q not a finite number, no baseline (limit -1 %)"),
    ],
)
def test_a_quality_is_compared_with_its_baseline(change: QualityChange, said: str) -> None:
    """Both figures have the same decimals, followed by the change and the limit."""
    assert said == quality.comparison(change)


class TestFailure:
    """The message of the exception."""

    def test_has_the_drop_and_the_command_to_accept_it(self) -> None:
        """A model that uses less energy and is worse has no joules in its message."""
        expected = f"call {DROP}. Accept it: pytest --energy-save tests/test_x.py::test_parse"
        assert expected == str(reasons.failure(fell()))

    def test_has_joules_and_quality_if_both_regressed(self) -> None:
        """One line has both figures and one command."""
        both = regressed(qualities=FELL, of_joules=Outcome.REGRESSED)
        assert str(reasons.failure(both)) == (
            "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, limit "
            f"+5 %) and {DROP}. Accept it: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_of_strict_names_the_quality(self) -> None:
        """A quality without a baseline is named, with the command that saves one."""
        new = result(qualities=changes({"accuracy": 0.9}, [], 0.01))
        assert str(reasons.failure(new)) == (
            "call could not be judged, and --energy-strict is on: the baseline has no accuracy to "
            "compare with; save one: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_of_strict_names_the_joules_if_a_drop_only_warns(self) -> None:
        """The test fails because the joules were not comparable."""
        other = fell(cause="cpu: A -> B", of_joules=Outcome.NOT_COMPARABLE, change=None)
        assert str(reasons.unproven(other)) == (
            "call could not be judged, and --energy-strict is on: not comparable (cpu: A -> B); "
            "save a baseline for these conditions: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_offers_nothing_that_cannot_be_accepted(self) -> None:
        """Without joules there is nothing to save, and NaN is not a baseline."""
        broken = fell(qualities=changes({"accuracy": float("nan")}, [{"accuracy": 0.94}], 0.01))
        assert str(reasons.failure(broken)) == (
            "call reached accuracy not a finite number, baseline 0.94 (broken, limit -1 %). "
            "It cannot be accepted: a quality must be a finite number"
        )
        missing = fell(rounds=0, of_joules=Outcome.NOT_MEASURED, change=None)
        assert str(reasons.failure(missing)) == (
            f"call {DROP}. It can be accepted once its energy is measured"
        )

    def test_of_a_saved_result_has_no_command(self) -> None:
        """A run that saves has accepted the drop."""
        assert reasons.reason(fell(saved=True)) == (
            f"call {DROP}. This run accepted it as the baseline"
        )


QUIET = fell(rounds=0, cause="gpu did not move", of_joules=Outcome.NOT_MEASURED)


@pytest.mark.parametrize(
    ("one", "energy"),
    [
        (fell(), "improved: -50 % (95 % CI -52…-48 %) against a limit of +5 %"),
        (QUIET, "not measured: gpu did not move"),
    ],
    ids=["improved", "not measured"],
)
def test_the_section_has_the_verdict_on_the_joules(one: Result, energy: str) -> None:
    """The improvement of the joules is reported too, or why nothing was measured."""
    why = "why             what was measured does not show it"
    assert list(fact_lines(one, 200)) == [why, f"its energy      {energy}"]


def test_the_word_of_a_drop_is_not_that_of_an_estimate() -> None:
    """The joules may be estimated, but the quality is not."""
    assert reasons.verdict_word(fell(estimated=True)) == "regressed"


def test_the_table_shows_a_drop() -> None:
    """The quality has a line, and the bar shows its limit."""
    lines = list(render([fell()], 80, color=False, unicode=True))
    assert "    accuracy            0.9 (-4.3 %)" in lines
    assert any(line.endswith("▸ of -1 %") for line in lines)
    assert max(map(len, lines)) == 80


def test_the_brief_line_names_a_drop() -> None:
    """With `-q` the line has the quality instead of the joules."""
    assert list(render_brief([fell()], 80, color=False, unicode=True)) == [
        "regressed  tests/test_x.py::test_parse  accuracy -4.3 %, limit -1 %"
    ]


def test_the_closing_line_counts_drops() -> None:
    """A drop is a regression; the joules are counted by their own verdict."""
    missing = fell(rounds=0, joules=float("nan"), of_joules=Outcome.NOT_MEASURED, change=None)
    assert closing_line([fell(), regressed(), missing]) == (
        "energy: 2 measured, 2 compared: 0 passed, 3 regressed (2 quality), 0 inconclusive; "
        "0 no baseline; 0 not comparable; 1 not measured"
    )
    assert closing_line([fell(of_joules=Outcome.NOT_COMPARABLE, change=None)]) == (
        "energy: 1 measured, 0 compared: 0 passed, 1 regressed (quality), 0 inconclusive; "
        "0 no baseline; 1 not comparable"
    )


def test_properties_have_every_figure_of_a_quality() -> None:
    """JUnit has the limit, the baseline and the change of a quality."""
    found = dict(properties(fell()))
    assert {name: value for name, value in found.items() if "quality" in name} == {
        "energy.quality.accuracy": 0.9,
        "energy.max_quality_drop.accuracy": 0.01,
        "energy.quality_baseline.accuracy": 0.94,
        "energy.quality_change.accuracy": -0.0425532,
    }
    assert found["energy.verdict"] == "regressed"


class TestRemarks:
    """The remarks below the table."""

    def test_a_quality_without_a_baseline(self) -> None:
        """The test passes with a remark."""
        new = result(qualities=changes({"accuracy": 0.9, "f1": 0.9}, [], 0.01))
        assert str(list(remarks([new]))[-1]) == (
            "test_parse: the baseline has no accuracy and no f1 to compare with; save one: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_a_quality_that_is_not_reported_any_more(self) -> None:
        """It is named, with the call that reports it."""
        gone = result(qualities=changes({"f1": 0.9}, [{"accuracy": 0.9, "f1": 0.9}], 0.01))
        assert str(list(remarks([gone]))[-1]) == (
            "test_parse: the baseline has accuracy, but the test does not report it any more: call "
            "energy.quality(accuracy=...), or save a baseline without it: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_a_quality_that_broke_without_a_baseline(self) -> None:
        """There is no command, as NaN cannot be saved."""
        assert list(map(str, remarks([result(qualities=(BROKE,))]))) == [
            "test_parse: q is not a finite number"
        ]

    def test_small_drops_that_have_added_up(self) -> None:
        """The largest come first; a regression is not mentioned again."""
        many = [
            result(test=key(f"test_{n}"), qualities=changes({"q": now}, [{"q": now}], 0.01, first))
            for n, now in enumerate((0.85, 0.83, 0.892, 0.86, 0.84))
            for first in [{"q": 0.9}]
        ]
        assert list(map(str, remarks(many))) == [
            "Quality crept down in small accepted steps: test_1 q -7.8 %, test_4 q -6.7 %, "
            "test_0 q -5.6 %, and 1 more. Acknowledge it: pytest-greenops show --acknowledge "
            "tests/test_x.py::test_1 tests/test_x.py::test_4 tests/test_x.py::test_0"
        ]
        dropped = changes({"accuracy": 0.9}, [{"accuracy": 0.94}], 0.01, {"accuracy": 0.99})
        assert list(remarks([fell(qualities=dropped)])) == []

    def test_a_drop_of_just_the_limit_has_not_crept(self) -> None:
        """A floating-point error does not matter."""
        dropped = changes({"q": 0.9306}, [{"q": 0.9306}], 0.01, {"q": 0.94})
        assert list(remarks([result(qualities=dropped)])) == []

    def test_a_test_without_a_baseline_has_no_remark(self) -> None:
        """Its note has the same command already."""
        new = result(Outcome.NO_BASELINE, qualities=changes({"accuracy": 0.9}, [], 0.01))
        assert list(remarks([new])) == []

    def test_a_drop_has_no_chance(self) -> None:
        """Its joules did not regress, so no probability is printed."""
        assert list(remarks([fell(), fell()])) == []

    def test_of_two_files_name_what_one_lacks(self) -> None:
        """There is no command."""
        new = result(qualities=changes({"accuracy": 0.9}, [], 0.01))
        found = [str(each) for each in remarks([new], OF_TWO_FILES)]
        assert found == ["test_parse: only one file has accuracy."]


def test_a_drop_between_two_files_names_them() -> None:
    """A takes the place of the baseline."""
    said = "reached accuracy 0.90 in B, 0.94 in A (-4.3 %, limit -1 %)"
    assert str(OF_TWO_FILES.explain(fell())) == f"call {said}"
    both = regressed(qualities=FELL, of_joules=Outcome.REGRESSED)
    assert str(OF_TWO_FILES.explain(both)).endswith(f"limit +5 %) and {said}")


def test_unmeasured_results_keep_their_words() -> None:
    """A result without a limit of quality has its usual reason."""
    assert reasons.reason(unmeasured("no sensor")) == "not measured: no sensor"


def infers(param: str, accuracy: float, joules: float, **more: Any) -> Result:
    """Return a result of one parameter with its quality and joules."""
    test = key("test_infer", param=param)
    return result(test=test, joules=joules, quality={"accuracy": accuracy}, **more)


def sentences(*results: Result) -> list[str]:
    """Return the sentences about the fronts."""
    return list(quality.fronts(results))


THREE = (infers("a", 0.95, 10.0), infers("b", 0.94, 5.0), infers("c", 0.93, 8.0))


def test_the_front_comes_first_by_its_joules() -> None:
    """Dominated points follow, with the point that dominates them."""
    assert sentences(*THREE) == [
        "Pareto front (accuracy, J) of test_infer: b 0.94 at 5.00 J, a 0.95 at 10.0 J; "
        "dominated: c 0.93 at 8.00 J by b."
    ]
    assert str(list(remarks(THREE))[-1]) == sentences(*THREE)[0]


SAMPLES: dict[str, Any] = {"units": {"sample": 10.0}, "unit": "sample"}
OF_11: dict[str, Any] = {"units": {"sample": 11.0}, "unit": "sample"}
NEAR = [
    replace(infers(name, 0.9, joules), interval=(joules * 0.95, joules * 1.05))
    for name, joules in (("a", 2.0001), ("b", 2.0002), ("c", 2.3))
]


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (
            [infers("a", 0.9, 10.0, **SAMPLES), infers("b", 0.8, 5.0, **SAMPLES)],
            "J/sample) of test_infer: b 0.8 at 500 mJ, a 0.9 at 1.00 J.",
        ),
        (
            [
                infers("a", 0.9, 5.0, estimated=True),
                infers("b", 0.8, 6.0, estimated=True),
                infers("c", 0.99, 1.0),
            ],
            "J) of test_infer: a 0.9 at ~5.00 J; dominated: b 0.8 at ~6.00 J by a.",
        ),
        (
            NEAR,
            "J) of test_infer: a 0.9 at 2.00 J, b 0.9 at 2.00 J; dominated: c 0.9 at 2.30 J by a.",
        ),
        (
            [infers("a", 0.9, 10.0, **OF_11), infers("b", 0.9, 10.0, **SAMPLES)],
            "J/sample) of test_infer: a 0.9 at 909 mJ; dominated: b 0.9 at 1.00 J by a.",
        ),
        (
            [infers("a", 0.9, 1.0, rounds=1), infers("b", 0.8, 9.0)],
            "J) of test_infer: a 0.9 at 1.00 J, b 0.8 at 9.00 J.",
        ),
    ],
    ids=["unit", "estimates", "noise", "noise of a unit", "single round"],
)
def test_a_front_has_the_joules_of_the_judged_unit_and_their_noise(
    results: list[Result], said: str
) -> None:
    """Estimates are compared only with estimates; noise and a single round dominate nothing."""
    assert sentences(*results) == [f"Pareto front (accuracy, {said}"]


def test_other_work_is_not_compared() -> None:
    """Functions, measurements, domains and qualities are compared only among themselves."""
    other = result(test=key("test_other", param="d"), quality={"accuracy": 0.9})
    window = infers("d", 0.9, 1.0, name="prefill")
    unlike = result(test=key("test_infer", param="d"), quality={"f1": 0.9})
    assert sentences(THREE[0], other, window, unlike, infers("d", 0.9, 1.0, domain="cpu")) == []


def test_each_quality_has_a_front() -> None:
    """A quality that several measurements report has its own sentence."""
    two = [
        result(test=key("test_infer", param=name), joules=joules, quality={"f1": f1, "bleu": bleu})
        for name, joules, f1, bleu in (("a", 1.0, 0.9, 30.0), ("b", 2.0, 0.8, 31.0))
    ]
    assert sentences(*two) == [
        "Pareto front (f1, J) of test_infer: a 0.9 at 1.00 J; dominated: b 0.8 at 2.00 J by a.",
        "Pareto front (bleu, J) of test_infer: a 30 at 1.00 J, b 31 at 2.00 J.",
    ]


def test_only_what_was_measured_counts() -> None:
    """Results that are missing, untrusted or NaN are omitted."""
    missing = unmeasured("no sensor", key("test_infer", param="d"))
    broken = infers("e", float("nan"), 1.0)
    assert sentences(THREE[0], missing, broken, infers("f", 0.99, 1.0, untrusted=True)) == []


def test_many_are_elided_to_two_lines() -> None:
    """Many points and long names are shortened."""
    many = [infers(f"a model of a rather long name {n}", n / 100, 1.0 + n) for n in range(40)]
    worse = [infers(f"worse {n}", 0.0, 90.0 + n) for n in range(40)]
    [text] = sentences(*many, *worse)
    assert len(wrapped(text, 80)) <= 2
    assert "more; 40 dominated." in text
    [text] = sentences(many[0], *worse)
    assert len(wrapped(text, 80)) <= 2
    assert text.startswith("Pareto front (accuracy, J) of test_infer: a model of…")
    assert text.endswith(" more.")
