"""What a measurement says against itself, and where each check begins to."""

from __future__ import annotations

import math

import pytest

from pytest_greenops import selfchecks
from pytest_greenops.model.measurement import Check, LoadShare
from tests.unit.builders import a_round

MARGIN = 0.05
#: The shortest round of one window whose edges err by a fifth of 5 %, for a counter that moves
#: every 10 ms: 0.78 * 10 ms / 1 %.
LONG_ENOUGH_S = 0.78


def rising(total: float, n: int = 10) -> list[float]:
    """Energies that rise evenly by so much from first to last."""
    return [math.exp(math.log1p(total) * i / max(1, n - 1)) for i in range(n)]


# --- too short -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "windows", "short"),
    [
        (LONG_ENOUGH_S * 1.001, 1, False),
        (LONG_ENOUGH_S * 0.999, 1, True),
        (LONG_ENOUGH_S * 2.001, 4, False),
        (LONG_ENOUGH_S * 1.999, 4, True),
        (0.0, 1, True),
    ],
)
def test_windows_must_be_long_against_the_counters_updates(
    seconds: float, windows: int, short: bool
) -> None:
    """A round may err by a fifth of the margin; errors of several windows grow by their root."""
    rounds = [a_round(seconds=seconds, windows=windows)] * 5
    assert (selfchecks.too_short(rounds, 0.01, MARGIN) is not None) == short


def test_too_short_says_how_short() -> None:
    """Update period, span and error are in the finding, and no verdict may rest on it."""
    check = selfchecks.too_short([a_round(seconds=0.1)] * 5, 0.02, MARGIN)
    assert check == Check(
        "too short",
        "the counter moves every 20 ms and a round spans 100 ms: its edges are off by up to 16 %",
        "no verdict; let the meter repeat the work, or make one call longer",
        untrusted=True,
    )


def test_one_short_round_of_ten_does_not_count() -> None:
    """The level is a trimmed mean, and so is the error of its edges."""
    rounds = [a_round(seconds=1.0)] * 9 + [a_round(seconds=0.0)]
    assert selfchecks.too_short(rounds, 0.01, MARGIN) is None


def test_no_round_and_no_period_are_not_too_short() -> None:
    """Nothing was measured, or by a counter that moves with every joule."""
    assert selfchecks.too_short([], 0.01, MARGIN) is None
    assert selfchecks.too_short([a_round(seconds=0.0)], 0.0, MARGIN) is None
    assert selfchecks.edge_error(a_round(seconds=0.0), 0.0) == 0.0


def test_a_margin_of_zero_can_be_met() -> None:
    """`max_increase="0%"` asks for long windows, not for infinite ones."""
    # as of 0.1 %: 0.78 * 1 ms / 0.02 % = 3.9 s
    assert selfchecks.too_short([a_round(seconds=4.0)], 0.001, 0.0) is None
    assert selfchecks.too_short([a_round(seconds=3.8)], 0.001, 0.0) is not None


# --- drift -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "drifts"), [(0.014, True), (-0.014, True), (0.011, False), (-0.011, False)]
)
def test_a_drift_is_more_than_a_quarter_of_the_margin(total: float, drifts: bool) -> None:
    """Rounds that rise or fall by more than 1.25 % over all, at a margin of 5 %."""
    assert selfchecks.drifts(rising(total), MARGIN) is drifts


def test_a_slope_by_chance_is_no_drift() -> None:
    """Rounds that scatter more than they rise do not drift; the same rise without scatter does."""
    rise = rising(0.03)
    scatter = (0.0, 0.1, -0.1, 0.05, -0.05, 0.05, -0.05, -0.1, 0.1, 0.0)
    noisy = [energy * (1 + wobble) for energy, wobble in zip(rise, scatter, strict=True)]
    assert (selfchecks.drifts(rise, MARGIN), selfchecks.drifts(noisy, MARGIN)) == (True, False)


def test_four_rounds_tell_no_drift() -> None:
    """Five are the fewest that a slope is believed of."""
    assert [selfchecks.drifts(rising(0.5, n), MARGIN) for n in (0, 1, 4, 5)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(("total", "told"), [(0.2, "+20.0 %"), (-0.05, "-5.0 %")])
def test_a_drift_is_told_over_all_rounds(total: float, told: str) -> None:
    """The finding is the change from the first to the last round; the verdict may stand."""
    assert selfchecks.drift(rising(total), MARGIN) == Check(
        "drift", f"{told} over the rounds", "warmed up once more, then flagged"
    )
    assert selfchecks.drift(rising(0.0), MARGIN) is None


def test_a_round_without_energy_tells_nothing_of_drift() -> None:
    """A counter that stood still in one round is left out, and breaks nothing."""
    assert selfchecks.drift([0.0, *rising(0.2)], MARGIN) == selfchecks.drift(rising(0.2), MARGIN)
    assert selfchecks.drift([0.0] * 10, MARGIN) is None


# --- the others ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "contended"),
    [
        (LoadShare(0.031, 0.0), True),
        (LoadShare(0.029, 0.0), False),
        (LoadShare(0.0, 0.001), True),
        (LoadShare(0.0, 0.0, idle=0.0), False),
    ],
)
def test_others_may_use_three_percent_and_a_hypervisor_none(
    share: LoadShare, contended: bool
) -> None:
    """A round is spoilt by what others take, not by what this process itself leaves idle."""
    assert selfchecks.contended(share) is contended


def test_contention_is_told_with_its_share() -> None:
    """How much others took, in how many rounds; it spoils what the whole machine counts."""
    assert selfchecks.contention([LoadShare(0.12, 0.0)], 10) == Check(
        "contention",
        "other processes used up to 12 % of the machine in 1 of 10 rounds",
        "rounds redone, then kept",
        kinds=("cpu", "dram", "psys"),
    )


def test_the_worst_of_the_contended_rounds_is_told() -> None:
    """The highest share of others and the highest steal, be they of two rounds."""
    kept = [LoadShare(0.04, 0.0), LoadShare(0.09, 0.0), LoadShare(0.0, 0.021)]
    check = selfchecks.contention(kept, 5)
    assert check is not None
    assert check.finding == (
        "other processes used up to 9 % of the machine, the hypervisor 2.1 % in 3 of 5 rounds"
    )


@pytest.mark.parametrize(
    ("contended", "rounds", "untrusted"), [(1, 5, False), (2, 10, False), (3, 10, True)]
)
def test_as_many_spoilt_rounds_as_are_trimmed_do_no_harm(
    contended: int, rounds: int, untrusted: bool
) -> None:
    """A fifth of the rounds is not in the level; more than that forbids a verdict."""
    check = selfchecks.contention([LoadShare(0.1, 0.0)] * contended, rounds)
    assert check is not None
    assert check.untrusted is untrusted


@pytest.mark.parametrize(
    ("crowded", "kinds"), [(2, ("cpu", "dram", "psys")), (3, ())], ids=["two", "three"]
)
def test_a_crowded_machine_spoils_estimates_too(crowded: int, kinds: tuple[str, ...]) -> None:
    """Where others leave no CPU idle, the work itself gets slower, in more than a fifth."""
    full, roomy = LoadShare(0.6, 0.0, idle=0.09), LoadShare(0.6, 0.0, idle=0.11)
    check = selfchecks.contention([full] * crowded + [roomy] * (5 - crowded), 10)
    assert check is not None
    assert (check.untrusted, check.kinds) == (True, kinds)


@pytest.mark.parametrize(("voided", "done"), [(1, "1 round left out"), (3, "3 rounds left out")])
def test_void_windows_are_counted(voided: int, done: str) -> None:
    """The last reason, and how many were left out."""
    assert selfchecks.void("it wrapped", voided) == Check("void", "it wrapped", done)


def test_a_tracer_is_named() -> None:
    """What traces is the finding."""
    assert selfchecks.instrumented("coverage (sys.settrace)") == Check(
        "instrumented", "coverage (sys.settrace)", "neither saved nor judged; run without it"
    )


def test_where_all_is_well_nothing_is_told() -> None:
    """A check that holds is no check."""
    assert [
        selfchecks.contention([], 10),
        selfchecks.void(None, 0),
        selfchecks.instrumented(None),
    ] == [None, None, None]
