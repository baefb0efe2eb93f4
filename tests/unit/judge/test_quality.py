"""The quality of a test, compared with its baseline's."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.accept import accept
from pytest_greenops.judge.quality import AcceptedQualities, changes, expired, judge_quality
from pytest_greenops.model.baseline import Baseline, Series
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.verdict import Outcome, QualityChange, Verdict
from tests.unit.builders import GPU, MACHINE, baseline, key, result, series, session

BEFORE = [{"accuracy": 0.94}]
KNOWN = AcceptedQualities(BEFORE)


def only(now: float, *before: float, limit: float = 0.01) -> QualityChange:
    """Return the change of one quality."""
    [change] = changes({"q": now}, [{"q": value} for value in before], limit)
    return change


def held(verdict: Verdict, now: float = 0.90, action: str = "fail") -> Verdict:
    """Return a verdict after a quality of 0.94, which may fall by 1 %, became `now`."""
    reported = {"accuracy": now}
    return judge_quality(verdict, reported, KNOWN, 0.01, "warn" if action == "warn" else "fail")


@pytest.mark.parametrize(
    ("now", "relative", "exceeded"),
    [
        (0.90, -0.04255319, True),
        (0.94, 0.0, False),
        (0.95, 0.01063830, False),
        (0.9306, -0.01, False),
        (0.93, -0.01063830, True),
    ],
)
def test_a_drop_is_relative_to_the_baseline(now: float, relative: float, exceeded: bool) -> None:
    """A drop of exactly the limit is allowed, a larger one is not."""
    change = only(now, 0.94)
    assert change.relative == pytest.approx(relative)
    assert exceeded == change.exceeded


def test_a_loss_is_reported_as_its_negative() -> None:
    """A loss that grew from 0.30 to 0.31 is a drop of 3.3 %."""
    change = only(-0.31, -0.30)
    assert change.relative == pytest.approx(-1 / 30)
    assert change.exceeded
    assert not only(-0.29, -0.30).exceeded


def test_the_reference_is_the_mean_of_the_sessions_that_have_it() -> None:
    """Sessions without the quality do not count."""
    [change] = changes({"q": 0.9}, [{"q": 0.9}, {}, {"q": 0.8}], 0.01)
    assert change.baseline == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("now", "relative", "exceeded"), [(-0.001, None, True), (0.0, 0.0, False), (0.5, None, False)]
)
def test_any_drop_from_zero_exceeds(now: float, relative: float | None, exceeded: bool) -> None:
    """A baseline of zero has no relative change, but a drop from it exceeds."""
    change = only(now, 0.0, limit=0.5)
    assert (relative, exceeded) == (change.relative, change.exceeded)


def test_rounding_is_no_drop() -> None:
    """Files keep six significant digits, so the seventh does not count."""
    assert not only(0.94123449, 0.941234, limit=0.0).exceeded
    assert not only(0.9412336, *[0.941234] * 3, limit=0.0).exceeded
    assert only(0.941233, 0.941234, limit=0.0).exceeded


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_drop(now: float) -> None:
    """It is one only if the baseline has a finite value."""
    change = only(now, 0.94)
    assert (None, None, True) == (change.value, change.relative, change.exceeded)
    assert only(now).unheld


def test_a_quality_of_one_side_is_not_compared() -> None:
    """A quality that is new or gone is neither kept nor dropped."""
    gone, new = changes({"new": 0.5}, [{"gone": 0.9}], 0.01)
    assert ("gone", None, 0.9, True) == (gone.name, gone.value, gone.baseline, gone.unheld)
    assert ("new", 0.5, None, True) == (new.name, new.value, new.baseline, new.unheld)
    assert [gone.exceeded, new.exceeded] == [False, False]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.OVER_BUDGET])
def test_a_drop_takes_precedence_over_the_joules(outcome: Outcome) -> None:
    """It is a regression even if the joules improved or were not measured."""
    verdict = held(Verdict(outcome, "a cause"))
    assert (Outcome.REGRESSED, outcome) == (verdict.outcome, verdict.energy)
    assert ("a cause", "fail", True) == (verdict.cause, verdict.action, verdict.red)


def test_a_quality_is_not_estimated() -> None:
    """A drop fails even where estimated joules only warn."""
    estimated = Verdict(Outcome.REGRESSED, action="warn", estimated=True)
    assert (Outcome.REGRESSED, "fail") == (held(estimated).outcome, held(estimated).action)
    over = held(Verdict(Outcome.OVER_BUDGET, action="warn", estimated=True))
    assert (Outcome.REGRESSED, "fail") == (over.outcome, over.action)


def test_the_action_of_the_budget_applies_to_a_drop() -> None:
    """A drop warns if the budget says so, unless the joules fail already."""
    assert held(Verdict(Outcome.PASSED), action="warn").action == "warn"
    assert held(Verdict(Outcome.REGRESSED), action="warn").action == "fail"


def test_an_exceeded_budget_that_fails_stays_one() -> None:
    """It takes precedence over the drop, which is still reported."""
    verdict = held(Verdict(Outcome.OVER_BUDGET))
    assert (Outcome.OVER_BUDGET, None) == (verdict.outcome, verdict.of_joules)
    assert [drop.name for drop in verdict.drops] == ["accuracy"]


def test_a_kept_quality_does_not_change_the_verdict() -> None:
    """It is reported with it."""
    verdict = held(Verdict(Outcome.IMPROVED), now=0.94)
    assert Outcome.IMPROVED is verdict.outcome
    assert verdict.of_joules is None
    assert [quality.relative for quality in verdict.qualities] == [0.0]


def test_nothing_is_judged_without_a_limit() -> None:
    """A test without a limit of drops is judged by its joules."""
    passed = Verdict(Outcome.PASSED)
    assert passed == judge_quality(passed, {"accuracy": 0.1}, KNOWN, None, "fail")


def test_a_quality_that_cannot_be_compared_is_unproven() -> None:
    """`--energy-strict` fails a limit that could not be judged."""
    assert judge_quality(
        Verdict(Outcome.PASSED), {"accuracy": 0.9}, AcceptedQualities(), 0.01, "fail"
    ).unproven
    assert judge_quality(Verdict(Outcome.PASSED), {}, KNOWN, 0.01, "fail").unproven
    assert not held(Verdict(Outcome.PASSED), now=0.94).unproven


@pytest.mark.parametrize(
    ("outcome", "unproven"),
    [
        (Outcome.PASSED, False),
        (Outcome.REGRESSED, False),
        (Outcome.INCONCLUSIVE, True),
        (Outcome.NOT_COMPARABLE, True),
        (Outcome.NOT_MEASURED, True),
    ],
)
def test_a_drop_does_not_hide_unproven_joules(outcome: Outcome, unproven: bool) -> None:
    """A drop that only warns does not make a strict build pass."""
    assert unproven == held(Verdict(outcome), action="warn").unproven


def judged(
    outcome: Outcome, now: float, before: list[dict[str, float]], limit: float | None = 0.01
) -> Result:
    """Return a result whose quality was compared with that of earlier sessions."""
    one = result(outcome)
    reported = {"accuracy": now}
    verdict = judge_quality(one.verdict, reported, AcceptedQualities(before), limit, "fail")
    return replace(one, quality=reported, verdict=verdict)


def qualities_after(now: float, limit: float | None = 0.01) -> list[dict[str, float]]:
    """Return the qualities of a baseline of two sessions after accepting a third."""
    before = [{"accuracy": 0.94, "f1": 0.9}, {"accuracy": 0.94}]
    known = baseline(call=series(*(session(day=d, **q) for d, q in enumerate(before, 1))))
    new = session(day=3, accuracy=now)
    whole = accept(known, key(), MACHINE, [(judged(Outcome.PASSED, now, before, limit=limit), new)])
    return [each.quality for each in whole.measurements["call"].sessions]


@pytest.mark.parametrize(
    ("now", "limit", "kept"),
    [
        (0.90, 0.01, [{}, {}, {"accuracy": 0.90}]),
        (0.99, 0.01, [{}, {}, {"accuracy": 0.99}]),
        (0.941, 0.01, [{"accuracy": 0.94}, {"accuracy": 0.94}, {"accuracy": 0.941}]),
        (0.5, None, [{"accuracy": 0.94, "f1": 0.9}, {"accuracy": 0.94}, {"accuracy": 0.5}]),
    ],
    ids=["drop", "rise", "kept", "no limit"],
)
def test_an_accepted_change_beyond_the_limit_replaces_earlier_values(
    now: float, limit: float | None, kept: list[dict[str, float]]
) -> None:
    """Sessions keep their joules; a quality that is no longer reported expires too."""
    assert qualities_after(now, limit) == kept


def test_a_broken_quality_replaces_nothing() -> None:
    """NaN cannot be a baseline."""
    assert expired({"accuracy": math.nan}, BEFORE, 0.01) == set()


@pytest.mark.parametrize("before", [BEFORE, []])
def test_a_broken_quality_is_not_accepted(before: list[dict[str, float]]) -> None:
    """Nothing is saved if a limited quality is not finite."""
    assert (
        why_not_a_baseline(judged(Outcome.PASSED, math.nan, before))
        == "accuracy is not a finite number"
    )
    assert why_not_a_baseline(judged(Outcome.PASSED, math.nan, before, limit=None)) is None


def saved(steps: list[float]) -> Series:
    """Return the series after accepting these values one after the other."""
    known: Baseline | None = None
    for now in steps:
        past = known.measurements["call"].sessions if known else ()
        reported = judged(Outcome.PASSED, now, [each.quality for each in past], limit=0.03)
        assert not reported.verdict.drops
        known = accept(known, key(), MACHINE, [(reported, session(accuracy=now))])
    assert known is not None
    return known.measurements["call"]


def test_small_steps_add_up() -> None:
    """After 18 accepted steps of half a percent the baseline is compared with the first value."""
    steps = [0.9 * 0.995**n for n in range(19)]
    kept = saved(steps)
    assert kept.anchor.quality == {"accuracy": 0.9}
    sessions = [each.quality for each in kept.sessions]
    [change] = changes({"accuracy": steps[-1]}, sessions, 0.03, kept.anchor.quality)
    assert not change.exceeded
    assert change.since_anchor == pytest.approx(fmean(steps[-10:]) / 0.9 - 1, abs=1e-6)


def test_without_a_first_value_there_is_no_creep() -> None:
    """The quality is new, is not finite, or began at zero."""
    for reported, first in (
        ({"q": 0.9}, {}),
        ({"q": math.nan}, {"q": 0.9}),
        ({"q": 0.1}, {"q": 0.0}),
    ):
        assert changes(reported, [{"q": 0.9}], 0.01, first)[0].since_anchor is None


def test_the_first_value_is_that_of_the_oldest_session() -> None:
    """That applies to old files; a new quality begins with its own first value."""
    old = baseline(call=series(session(accuracy=0.94), session(day=2, accuracy=0.93)))
    new = session(day=3, accuracy=0.92, f1=0.5)
    whole = accept(old, key(), MACHINE, [(result(), new)])
    assert whole.measurements["call"].anchor.quality == {"accuracy": 0.94, "f1": 0.5}


def test_the_first_value_outlives_other_conditions() -> None:
    """A quality does not depend on the counters, which get a new anchor."""
    old = baseline(call=series(session(accuracy=0.94), domains=(GPU,)))
    whole = accept(old, key(), MACHINE, [(result(), session(day=2, accuracy=0.93))])
    anchor = whole.measurements["call"].anchor
    assert (anchor.saved_at[:10], anchor.quality) == ("2026-01-02", {"accuracy": 0.94})


def test_an_expired_quality_has_no_first_value() -> None:
    """A quality that is no longer reported starts again if it returns."""
    old = baseline(call=series(session(f1=0.9)))
    gone = judged(Outcome.PASSED, 0.94, [{"f1": 0.9}])
    whole = accept(old, key(), MACHINE, [(gone, session(day=2, accuracy=0.94))])
    assert whole.measurements["call"].anchor.quality == {"accuracy": 0.94}


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome.IMPROVED, None),
        (Outcome.NOT_COMPARABLE, None),
        (Outcome.OVER_BUDGET, "over its budget"),
        (Outcome.NOT_MEASURED, "not measured"),
    ],
)
def test_a_drop_does_not_make_a_result_savable(outcome: Outcome, why: str | None) -> None:
    """Joules over budget or not measured are not saved."""
    before = judged(outcome, 0.90, BEFORE)
    verdict = replace(before.verdict, outcome=Outcome.REGRESSED, of_joules=outcome)
    assert why == why_not_a_baseline(replace(before, verdict=verdict))
