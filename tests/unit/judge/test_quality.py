"""A test's quality against that of its baseline."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.accept import accept
from pytest_greenops.judge.quality import Known, changes, expired, hold
from pytest_greenops.model.baseline import Baseline, Series
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.verdict import Outcome, QualityChange, Verdict
from tests.unit.builders import GPU, MACHINE, baseline, key, result, series, session

BEFORE = [{"accuracy": 0.94}]
KNOWN = Known(BEFORE)


def only(now: float, *before: float, limit: float = 0.01) -> QualityChange:
    """The change of one quality."""
    [change] = changes({"q": now}, [{"q": value} for value in before], limit)
    return change


def held(verdict: Verdict, now: float = 0.90, action: str = "fail") -> Verdict:
    """A verdict, once a quality of 0.94 that may fall by 1 % has become this one."""
    told = {"accuracy": now}
    return hold(verdict, told, KNOWN, 0.01, "warn" if action == "warn" else "fail")


# --- how far it fell -------------------------------------------------------------------------


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
    """A drop of just the limit is allowed, any more is not, and a rise never exceeds it."""
    change = only(now, 0.94)
    assert change.relative == pytest.approx(relative)
    assert exceeded == change.exceeded


def test_a_loss_is_told_as_its_negative() -> None:
    """A loss that grew from 0.30 to 0.31 is a drop of 3.3 % of its magnitude."""
    change = only(-0.31, -0.30)
    assert change.relative == pytest.approx(-1 / 30)
    assert change.exceeded
    assert not only(-0.29, -0.30).exceeded


def test_the_reference_is_the_mean_of_the_sessions_that_hold_it() -> None:
    """A session without the quality says nothing of it."""
    [change] = changes({"q": 0.9}, [{"q": 0.9}, {}, {"q": 0.8}], 0.01)
    assert change.baseline == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("now", "relative", "exceeded"), [(-0.001, None, True), (0.0, 0.0, False), (0.5, None, False)]
)
def test_any_drop_from_zero_exceeds(now: float, relative: float | None, exceeded: bool) -> None:
    """No share can be told of a baseline of zero, but which way it went can."""
    change = only(now, 0.0, limit=0.5)
    assert (relative, exceeded) == (change.relative, change.exceeded)


def test_what_files_round_is_no_drop() -> None:
    """Six significant digits are kept: the seventh is lost without a drop, at a limit of zero."""
    assert not only(0.94123449, 0.941234, limit=0.0).exceeded
    assert not only(0.9412336, *[0.941234] * 3, limit=0.0).exceeded
    assert only(0.941233, 0.941234, limit=0.0).exceeded


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_no_finite_number_is_a_drop(now: float) -> None:
    """A quality that broke is no quality, beside a baseline that was one."""
    change = only(now, 0.94)
    assert (None, None, True) == (change.value, change.relative, change.exceeded)
    assert only(now).unheld


def test_what_one_side_alone_tells_is_not_held() -> None:
    """A quality that is new, or that is not told any more, is neither kept nor dropped."""
    gone, new = changes({"new": 0.5}, [{"gone": 0.9}], 0.01)
    assert ("gone", None, 0.9, True) == (gone.name, gone.value, gone.baseline, gone.unheld)
    assert ("new", 0.5, None, True) == (new.name, new.value, new.baseline, new.unheld)
    assert [gone.exceeded, new.exceeded] == [False, False]


# --- what it makes of a verdict --------------------------------------------------------------


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.OVER_BUDGET])
def test_a_drop_outweighs_whatever_the_joules_came_to(outcome: Outcome) -> None:
    """Improved, not measured or not comparable: a quality is a number of the test."""
    verdict = held(Verdict(outcome, "a cause"))
    assert (Outcome.REGRESSED, outcome) == (verdict.outcome, verdict.energy)
    assert ("a cause", "fail", True) == (verdict.cause, verdict.action, verdict.red)


def test_a_quality_is_not_estimated() -> None:
    """Where joules are, and so only warn, a drop fails all the same."""
    estimated = Verdict(Outcome.REGRESSED, action="warn", estimated=True)
    assert (Outcome.REGRESSED, "fail") == (held(estimated).outcome, held(estimated).action)
    over = held(Verdict(Outcome.OVER_BUDGET, action="warn", estimated=True))
    assert (Outcome.REGRESSED, "fail") == (over.outcome, over.action)


def test_the_action_of_the_budget_holds_for_a_drop() -> None:
    """It warns where the test or the run says so, unless the joules fail already."""
    assert held(Verdict(Outcome.PASSED), action="warn").action == "warn"
    assert held(Verdict(Outcome.REGRESSED), action="warn").action == "fail"


def test_an_exceeded_budget_that_fails_stays_one() -> None:
    """It fails where a drop is accepted, too; the drop stands beside it."""
    verdict = held(Verdict(Outcome.OVER_BUDGET))
    assert (Outcome.OVER_BUDGET, None) == (verdict.outcome, verdict.of_joules)
    assert [drop.name for drop in verdict.drops] == ["accuracy"]


def test_a_quality_that_is_kept_leaves_the_verdict() -> None:
    """It is told beside it."""
    verdict = held(Verdict(Outcome.IMPROVED), now=0.94)
    assert Outcome.IMPROVED is verdict.outcome
    assert verdict.of_joules is None
    assert [quality.relative for quality in verdict.qualities] == [0.0]


def test_nothing_is_judged_without_a_limit() -> None:
    """A test that limits no drop is judged by its joules alone."""
    passed = Verdict(Outcome.PASSED)
    assert passed == hold(passed, {"accuracy": 0.1}, KNOWN, None, "fail")


def test_what_could_not_be_held_is_unproven() -> None:
    """`--energy-strict` fails what is limited and could not be judged."""
    assert hold(Verdict(Outcome.PASSED), {"accuracy": 0.9}, Known(), 0.01, "fail").unproven
    assert hold(Verdict(Outcome.PASSED), {}, KNOWN, 0.01, "fail").unproven
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
def test_a_drop_does_not_hide_what_the_joules_could_not_show(
    outcome: Outcome, unproven: bool
) -> None:
    """A worse quality that only warns makes no red build green."""
    assert unproven == held(Verdict(outcome), action="warn").unproven


# --- what becomes of the baseline ------------------------------------------------------------


def judged(
    outcome: Outcome, now: float, before: list[dict[str, float]], limit: float | None = 0.01
) -> Result:
    """A result whose quality was held against that of the sessions before."""
    one = result(outcome)
    told = {"accuracy": now}
    verdict = hold(one.verdict, told, Known(before), limit, "fail")
    return replace(one, quality=told, verdict=verdict)


def qualities_after(now: float, limit: float | None = 0.01) -> list[dict[str, float]]:
    """The qualities of a baseline of two sessions of 0.94, after one more was accepted."""
    before = [{"accuracy": 0.94, "f1": 0.9}, {"accuracy": 0.94}]
    known = baseline(call=series(*(session(day=d, **q) for d, q in enumerate(before, 1))))
    new = session(day=3, accuracy=now)
    whole = accept(known, key(), MACHINE, [(judged(Outcome.PASSED, now, before, limit=limit), new)])
    return [each.quality for each in whole.measurements["call"].sessions]


def test_an_accepted_drop_is_the_baseline() -> None:
    """Sessions keep their joules, but what they held of that quality holds no more."""
    assert qualities_after(0.90) == [{}, {}, {"accuracy": 0.90}]


def test_an_accepted_rise_is_the_baseline() -> None:
    """What was gained must not be lost unseen, within the mean of worse sessions."""
    assert qualities_after(0.99) == [{}, {}, {"accuracy": 0.99}]


def test_a_quality_that_was_kept_joins_the_mean() -> None:
    """One that is not told any more is forgotten, as this was accepted."""
    assert qualities_after(0.941) == [{"accuracy": 0.94}, {"accuracy": 0.94}, {"accuracy": 0.941}]


def test_qualities_without_a_limit_are_kept_as_they_are() -> None:
    """Nothing is judged, so nothing begins anew."""
    assert qualities_after(0.5, limit=None)[0] == {"accuracy": 0.94, "f1": 0.9}


def test_a_broken_quality_takes_no_place() -> None:
    """NaN cannot be a baseline: what it is held against stays."""
    assert expired({"accuracy": math.nan}, BEFORE, 0.01) == set()


@pytest.mark.parametrize("before", [BEFORE, []])
def test_a_broken_quality_is_not_accepted(before: list[dict[str, float]]) -> None:
    """Nothing is saved where the quality that is limited could not be."""
    assert (
        why_not_a_baseline(judged(Outcome.PASSED, math.nan, before))
        == "accuracy is not a finite number"
    )
    assert why_not_a_baseline(judged(Outcome.PASSED, math.nan, before, limit=None)) is None


def saved(steps: list[float]) -> Series:
    """What is accepted of so many runs after each other, none of which drops by more than 3 %."""
    known: Baseline | None = None
    for now in steps:
        past = known.measurements["call"].sessions if known else ()
        told = judged(Outcome.PASSED, now, [each.quality for each in past], limit=0.03)
        assert not told.verdict.drops
        known = accept(known, key(), MACHINE, [(told, session(accuracy=now))])
    assert known is not None
    return known.measurements["call"]


def test_small_steps_add_up() -> None:
    """After 18 accepted steps of half a percent the first value is still known."""
    steps = [0.9 * 0.995**n for n in range(19)]
    kept = saved(steps)
    assert kept.anchor.quality == {"accuracy": 0.9}
    sessions = [each.quality for each in kept.sessions]
    [change] = changes({"accuracy": steps[-1]}, sessions, 0.03, kept.anchor.quality)
    assert not change.exceeded
    assert change.since_anchor == pytest.approx(0.995**18 - 1, abs=1e-6)


def test_nothing_is_known_since_a_first_value_that_there_is_not() -> None:
    """A quality that is new, one that broke, and one that began at zero."""
    for told, first in (({"q": 0.9}, {}), ({"q": math.nan}, {"q": 0.9}), ({"q": 0.1}, {"q": 0.0})):
        assert changes(told, [{"q": 0.9}], 0.01, first)[0].since_anchor is None


def test_the_first_value_is_that_of_the_oldest_session() -> None:
    """Of a file that holds none yet; a quality that is new to it begins with its own."""
    old = baseline(call=series(session(accuracy=0.94), session(day=2, accuracy=0.93)))
    new = session(day=3, accuracy=0.92, f1=0.5)
    whole = accept(old, key(), MACHINE, [(result(), new)])
    assert whole.measurements["call"].anchor.quality == {"accuracy": 0.94, "f1": 0.5}


def test_the_first_value_outlives_other_conditions() -> None:
    """Joules of other counters begin anew; a quality is a number of the test."""
    old = baseline(call=series(session(accuracy=0.94), domains=(GPU,)))
    whole = accept(old, key(), MACHINE, [(result(), session(day=2, accuracy=0.93))])
    anchor = whole.measurements["call"].anchor
    assert (anchor.saved_at[:10], anchor.quality) == ("2026-01-02", {"accuracy": 0.94})


def test_what_is_held_no_more_has_no_first_value() -> None:
    """A quality that is not told any more, once that is accepted, would begin anew."""
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
def test_what_cannot_be_saved_for_its_joules_is_not_saved_for_a_drop(
    outcome: Outcome, why: str | None
) -> None:
    """There would be nothing in it, or more than the budget allows."""
    before = judged(outcome, 0.90, BEFORE)
    verdict = replace(before.verdict, outcome=Outcome.REGRESSED, of_joules=outcome)
    assert why == why_not_a_baseline(replace(before, verdict=verdict))
