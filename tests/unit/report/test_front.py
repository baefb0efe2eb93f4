"""The Pareto front under the table."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pytest_greenops.model.result import Result
from pytest_greenops.report.drawing import wrapped
from pytest_greenops.report.front import fronts
from pytest_greenops.report.notes import remarks
from tests.unit.report.samples import key, result, unmeasured


def infers(param: str, quality: float, joules: float, **more: Any) -> Result:
    """What one parametrization used, and how well it did."""
    test = key("test_infer", param=param)
    return result(test=test, joules=joules, quality={"accuracy": quality}, **more)


def said(*results: Result) -> list[str]:
    """The sentences of the fronts."""
    return [str(each) for each in fronts(results)]


THREE = (infers("a", 0.95, 10.0), infers("b", 0.94, 5.0), infers("c", 0.93, 8.0))


def test_the_front_comes_first_by_its_joules() -> None:
    """Then what is dominated, with who dominates it."""
    assert said(*THREE) == [
        "Pareto front (accuracy, J) of test_infer: b 0.94 at 5.00 J, a 0.95 at 10.0 J; "
        "dominated: c 0.93 at 8.00 J by b."
    ]
    assert str(list(remarks(THREE))[-1]) == said(*THREE)[0]


def test_joules_are_those_of_the_judged_unit() -> None:
    """Ten samples a call are a tenth of the joules."""
    two = [
        infers(name, quality, joules, units={"sample": 10.0}, unit="sample")
        for name, quality, joules in (("a", 0.9, 10.0), ("b", 0.8, 5.0))
    ]
    assert said(*two) == [
        "Pareto front (accuracy, J/sample) of test_infer: b 0.8 at 500 mJ, a 0.9 at 1.00 J."
    ]


def test_estimates_are_marked() -> None:
    """And never held against what was sensed."""
    two = [
        infers(name, quality, joules, estimated=True)
        for name, quality, joules in (("a", 0.9, 5.0), ("b", 0.8, 6.0))
    ]
    assert said(*two, infers("c", 0.99, 1.0)) == [
        "Pareto front (accuracy, J) of test_infer: a 0.9 at ~5.00 J; "
        "dominated: b 0.8 at ~6.00 J by a."
    ]


def test_noise_is_not_told_as_dominance() -> None:
    """Joules that are known to 5 % differ by less than that, or by more."""
    near = [
        replace(infers(name, 0.9, joules), interval=(joules * 0.95, joules * 1.05))
        for name, joules in (("a", 2.0001), ("b", 2.0002), ("c", 2.3))
    ]
    assert said(*near) == [
        "Pareto front (accuracy, J) of test_infer: a 0.9 at 2.00 J, b 0.9 at 2.00 J; "
        "dominated: c 0.9 at 2.30 J by a."
    ]


def test_noise_is_that_of_the_judged_unit() -> None:
    """The interval of a call is scaled to it: 10 samples each here, 11 there."""
    two = [
        infers(name, 0.9, 10.0, units={"sample": samples}, unit="sample")
        for name, samples in (("a", 11.0), ("b", 10.0))
    ]
    assert said(*two) == [
        "Pareto front (accuracy, J/sample) of test_infer: a 0.9 at 909 mJ; "
        "dominated: b 0.9 at 1.00 J by a."
    ]


def test_what_ran_once_dominates_nothing() -> None:
    """How it would vary is not known."""
    assert said(infers("a", 0.9, 1.0, rounds=1), infers("b", 0.8, 9.0)) == [
        "Pareto front (accuracy, J) of test_infer: a 0.9 at 1.00 J, b 0.8 at 9.00 J."
    ]


def test_other_work_is_not_compared() -> None:
    """Other functions, measurements, domains, and qualities that are told by one alone."""
    other = result(test=key("test_other", param="d"), quality={"accuracy": 0.9})
    window = infers("d", 0.9, 1.0, name="prefill")
    unlike = result(test=key("test_infer", param="d"), quality={"f1": 0.9})
    assert said(THREE[0], other, window, unlike, infers("d", 0.9, 1.0, domain="cpu")) == []


def test_each_quality_has_its_own() -> None:
    """One that several tell, whatever else they do."""
    two = [
        result(test=key("test_infer", param=name), joules=joules, quality={"f1": f1, "bleu": bleu})
        for name, joules, f1, bleu in (("a", 1.0, 0.9, 30.0), ("b", 2.0, 0.8, 31.0))
    ]
    assert said(*two) == [
        "Pareto front (f1, J) of test_infer: a 0.9 at 1.00 J; dominated: b 0.8 at 2.00 J by a.",
        "Pareto front (bleu, J) of test_infer: a 30 at 1.00 J, b 31 at 2.00 J.",
    ]


def test_only_what_was_measured_counts() -> None:
    """Neither what was not, nor what a self-check forbids, nor a quality that is no number."""
    missing = unmeasured("no sensor", key("test_infer", param="d"))
    broken = infers("e", float("nan"), 1.0)
    assert said(THREE[0], missing, broken, infers("f", 0.99, 1.0, untrusted=True)) == []


def test_many_are_elided_to_two_lines() -> None:
    """However many there are, and however long their names."""
    many = [infers(f"a model of a rather long name {n}", n / 100, 1.0 + n) for n in range(40)]
    worse = [infers(f"worse {n}", 0.0, 90.0 + n) for n in range(40)]
    [text] = said(*many, *worse)
    assert len(wrapped(text, 80)) <= 2
    assert "more; 40 dominated." in text
    [text] = said(many[0], *worse)
    assert len(wrapped(text, 80)) <= 2
    assert text.startswith("Pareto front (accuracy, J) of test_infer: a model of…")
    assert text.endswith(" more.")
