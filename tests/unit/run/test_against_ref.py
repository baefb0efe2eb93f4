"""What a comparison with a git ref does to the verdict of the stored screen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.verdict import Limit, Verdict
from pytest_greenops.run.against_ref import with_ref
from tests.unit.builders import change

PASSED, IMPROVED, REGRESSED, OPEN, NEW, UNLIKE = (
    Outcome.PASSED,
    Outcome.IMPROVED,
    Outcome.REGRESSED,
    Outcome.INCONCLUSIVE,
    Outcome.NO_BASELINE,
    Outcome.NOT_COMPARABLE,
)


def stored(outcome: Outcome) -> Verdict:
    """Return the verdict of a stored screen; of one without a baseline there is no change."""
    if outcome in (NEW, UNLIKE):
        return Verdict(outcome)
    return Verdict(outcome, change=replace(change(), outcome=outcome))


def found(outcome: Outcome) -> Interleaved:
    """Return what a comparison found, or why there was none."""
    if outcome in (NEW, UNLIKE):
        return Interleaved("main", "3f2a91c", outcome, 0.05, cause="why not")
    return Interleaved("main", "3f2a91c", outcome, 0.05, relative=0.0, low=-0.01, high=0.01)


@pytest.mark.parametrize(
    ("screen", "ref", "outcome"),
    [
        *((screen, REGRESSED, REGRESSED) for screen in (PASSED, OPEN, REGRESSED, NEW, UNLIKE)),
        *((screen, PASSED, PASSED) for screen in (PASSED, OPEN, REGRESSED, NEW, UNLIKE)),
        *((screen, IMPROVED, IMPROVED) for screen in (PASSED, OPEN, REGRESSED, NEW, UNLIKE)),
        *((screen, OPEN, OPEN) for screen in (OPEN, REGRESSED, NEW, UNLIKE)),
        (PASSED, OPEN, PASSED),
        *((screen, NEW, screen) for screen in (PASSED, OPEN)),
        *((screen, UNLIKE, screen) for screen in (PASSED, OPEN)),
        *((screen, NEW, NEW) for screen in (NEW, UNLIKE)),
        *((screen, UNLIKE, UNLIKE) for screen in (NEW, UNLIKE)),
        *((REGRESSED, ref, OPEN) for ref in (NEW, UNLIKE)),
    ],
)
def test_outcome(screen: Outcome, ref: Outcome, outcome: Outcome) -> None:
    """A comparison decides if there was one; an unconfirmed stored regression stays open."""
    verdict = with_ref(stored(screen), found(ref))
    assert verdict.outcome is outcome
    assert verdict.interleaved == found(ref)


LIMIT = Limit("energy", 2.0, 1.9, 2.1, 2.05)
CLEAR = Limit("energy", 2.0, 1.9, 2.1, 3.0)


@pytest.mark.parametrize(
    ("screen", "limit", "ref", "outcome"),
    [
        (PASSED, CLEAR, PASSED, PASSED),
        (PASSED, CLEAR, NEW, PASSED),
        (PASSED, CLEAR, OPEN, OPEN),
        (PASSED, CLEAR, REGRESSED, REGRESSED),
        (OPEN, LIMIT, PASSED, OPEN),
        (OPEN, LIMIT, REGRESSED, REGRESSED),
        (REGRESSED, LIMIT, PASSED, OPEN),
    ],
)
def test_absolute_limit(screen: Outcome, limit: Limit, ref: Outcome, outcome: Outcome) -> None:
    """An absolute limit keeps its own outcome: a comparison with a ref does not pass it."""
    change_ = change() if screen is REGRESSED else None
    verdict = with_ref(Verdict(screen, limits=(limit,), change=change_), found(ref))
    assert verdict.outcome is outcome


def test_a_limit_of_doubtful_joules() -> None:
    """A limit that a self-check forbids to judge stays open, whatever the pairs show."""
    verdict = Verdict(OPEN, "contention: others", limits=(CLEAR,))
    assert with_ref(verdict, found(PASSED)) == replace(verdict, interleaved=found(PASSED))


def test_a_regression_that_is_not_compared() -> None:
    """However unlikely by chance, a stored regression that no process confirms is not red."""
    sure = Verdict(REGRESSED, change=replace(change(), outcome=REGRESSED, p_value=1e-6))
    verdict = with_ref(sure, found(NEW))
    assert (verdict.outcome, verdict.cause) == (OPEN, "not confirmed: why not")
