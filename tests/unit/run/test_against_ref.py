"""What a comparison with a git ref does to the verdict of the stored screen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.verdict import Verdict
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
