"""The stored-baseline procedure: looks, noise, verdicts and advice."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from pytest_greenops.judge.decision import (
    ALPHA,
    LOOKS,
    POWER,
    Look,
    Screening,
    contradicts,
    planned_looks,
    schedule,
    screen,
)
from pytest_greenops.judge.needs import Needs, needs_of_change, needs_of_limit
from pytest_greenops.judge.noise import (
    MIN_SUITE,
    POOL_WEIGHT,
    Noise,
    Spread,
    Suite,
    estimate_spread,
    suite_of,
)
from pytest_greenops.judge.stats import t_quantile
from pytest_greenops.model.baseline import MAX_SESSIONS
from pytest_greenops.model.verdict import Outcome

MARGIN = 0.05
#: Rounds of an accepted session.
SAVED = 10


# --- looks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sessions", "least", "most", "looks"),
    [
        (0, 5, 25, (5,)),
        (0, 5, 3, (3,)),
        (1, 5, 25, (10,)),
        (2, 5, 25, (10,)),
        (2, 12, 25, (12,)),
        (2, 5, 7, (7,)),
        (3, 5, 25, (5, 10, 15)),
        (9, 5, 25, (5, 10, 15)),
        (9, 5, 15, (5, 10, 15)),
        (9, 5, 14, (5, 10)),
        (9, 10, 25, (10, 20)),
        (9, 30, 25, (25,)),
        (9, 1, 1, (1,)),
        (0, 5, 1, (1,)),
    ],
)
def test_looks_follow_the_baseline_and_the_limits(
    sessions: int, least: int, most: int, looks: tuple[int, ...]
) -> None:
    """There is one early look without a baseline, one at a young one, else up to three."""
    assert schedule(sessions, least, most) == looks


def test_all_looks_share_one_error() -> None:
    """A single look may spend all of it; four looks spend it together."""
    assert Look().alpha == pytest.approx(ALPHA, rel=1e-12)
    assert sum(Look(n, LOOKS).alpha for n in (1, 2, 3, 4)) == pytest.approx(ALPHA, rel=1e-12)


@pytest.mark.parametrize(
    ("sessions", "steps", "planned"),
    [(0, (5,), 1), (2, (10,), 1), (3, (5, 10, 15), 4), (9, (10, 20), 3), (9, (25,), 2)],
)
def test_a_grown_baseline_has_one_look_more_for_a_fresh_process(
    sessions: int, steps: tuple[int, ...], planned: int
) -> None:
    """A young baseline has a single look, which is at most confirmed."""
    assert planned_looks(sessions, steps) == planned


# --- what is known of the noise --------------------------------------------------------------

#: Sessions of one round each, so that their levels are these numbers.
THREE = ([0.00], [0.02], [0.04])
SUITE = Suite(0.0001, POOL_WEIGHT)


def test_a_suite_shares_its_variance() -> None:
    """It counts for eight sessions, and the test's own for its sessions."""
    known, _, _ = estimate_spread(THREE, [[0.0]], SUITE, 0.03)
    own = 0.0004
    assert known.session_var == pytest.approx((8 * 0.0001 + 2 * own) / 10, rel=1e-9)
    assert known.df == POOL_WEIGHT + 2


def test_a_lone_test_passes_on_its_own_variance_and_fails_on_a_careful_one() -> None:
    """To fail, the assumed spread counts for eight sessions."""
    to_pass, to_fail, _ = estimate_spread(THREE, [[0.0]], None, 0.03)
    assert (to_pass.session_var, to_pass.df) == pytest.approx((0.0004, 2), rel=1e-9)
    careful = (POOL_WEIGHT * 0.0009 + 2 * 0.0004) / (POOL_WEIGHT + 2)
    assert (to_fail.session_var, to_fail.df) == pytest.approx((careful, POOL_WEIGHT + 2))


def test_a_suite_that_shares_little_leaves_the_rest_assumed() -> None:
    """Its variance counts for two sessions to pass; to fail, the assumed one for six more."""
    to_pass, to_fail, _ = estimate_spread(THREE, [[0.0]], Suite(0.0001, 2), 0.03)
    assert to_pass.session_var == pytest.approx((2 * 0.0001 + 2 * 0.0004) / 4, rel=1e-9)
    careful = (2 * 0.0001 + 6 * 0.0009 + 2 * 0.0004) / 10
    assert (to_fail.session_var, to_fail.df) == pytest.approx((careful, 10), rel=1e-9)


@pytest.mark.parametrize(
    ("sessions", "suite", "variance"),
    [
        ([], None, 0.0009),
        ([[0.0]], None, 0.0009),
        ([[0.0], [0.2]], None, (8 * 0.0009 + 0.02) / 9),
        ([[0.0]], Suite(0.01, 8), 0.01),
        ([[0.0]], Suite(1e-9, 8), 0.0009),
    ],
)
def test_a_young_baseline_is_taken_to_be_noisy(
    sessions: Sequence[Sequence[float]], suite: Suite | None, variance: float
) -> None:
    """The assumed spread counts for eight sessions, or that of its suite if that is larger."""
    _, known, _ = estimate_spread(sessions, [[0.0]], suite, 0.03)
    df = POOL_WEIGHT + max(len(sessions) - 1, 0)
    assert (known.session_var, known.df) == pytest.approx((variance, df), rel=1e-9)


def test_starts_of_one_occasion_that_differ_more_than_assumed_count() -> None:
    """Their variance replaces the assumed one, and does not become the usual one."""
    _, known, usual = estimate_spread([[0.0]], [[0.0]], None, 0.03, 0.01)
    assert (known.session_var, usual) == pytest.approx((0.01, 0.0009))


def test_a_test_unlike_its_suite_shares_nothing() -> None:
    """A test that scatters much more than its suite passes on its own variance."""
    known, _, _ = estimate_spread([[0.0], [0.2], [0.4]], [[0.0]], SUITE, 0.03)
    assert (known.session_var, known.df) == pytest.approx((0.04, 2), rel=1e-9)


def test_a_small_suite_shares_nothing() -> None:
    """Fewer than five tests have no shared variance."""
    assert suite_of([0.0001] * (MIN_SUITE - 1), [4] * (MIN_SUITE - 1)) is None
    assert suite_of([0.0001] * MIN_SUITE, [4] * MIN_SUITE) is not None


def test_one_very_noisy_test_does_not_move_its_suite() -> None:
    """A test that scatters 100 times as much hardly raises the variance of its suite."""
    rng = random.Random(1)
    calm = [rng.gammavariate(2, 0.0001 / 2) for _ in range(20)]
    without, with_noisy = suite_of(calm, [4] * 20), suite_of([*calm[:19], 1.0], [4] * 20)
    assert without is not None
    assert with_noisy is not None
    assert with_noisy.session_var == pytest.approx(without.session_var, rel=0.15)
    assert without.session_var == pytest.approx(0.0001, rel=0.5)


def test_unlike_tests_share_little() -> None:
    """The more the tests differ in noise, the fewer sessions their variance counts for."""
    rng = random.Random(2)
    alike = [rng.gammavariate(2, 1 / 2) for _ in range(200)]
    unlike = [value * 10 ** rng.uniform(-2, 2) for value in alike]
    one, other = suite_of(alike, [4] * 200), suite_of(unlike, [4] * 200)
    assert one is not None
    assert other is not None
    assert one.weight == POOL_WEIGHT
    assert other.weight < 2


def test_the_scatter_of_rounds_is_that_within_sessions() -> None:
    """It excludes the distance between sessions, and includes the candidate's rounds."""
    _, known, _ = estimate_spread([[0.0, 0.02], [5.0, 5.02]], [[9.0, 9.0, 9.0]], None, 0.03)
    assert known.round_var == pytest.approx((2 * 0.0002 + 2 * 0.0) / 4, rel=1e-9)


# --- one look --------------------------------------------------------------------------------


def look_at(
    change: float,
    session_sd: float = 0.002,
    *,
    sessions: int = 5,
    rounds: int = SAVED,
    round_sd: float = 0.0,
    df: float = 12,
    look: Look | None = None,
    usual: float = 0.0,
    shift: float = 0.0,
) -> Screening:
    """Screen a change of logarithms of this size, with known noise that is more than usual."""
    scatter = Noise(session_sd**2, df, round_sd**2)
    baseline = [[0.7] * SAVED] * sessions
    spread = Spread(scatter, scatter, usual)
    return screen(baseline, [[0.7 + change] * rounds], spread, MARGIN, look or Look(), shift)


LIMIT = math.log1p(MARGIN)


def needed(
    seen: Screening,
    session_sd: float,
    *,
    sessions: int = 5,
    round_sd: float = 0.0,
    df: float = 12,
    look: Look | None = None,
) -> Needs:
    """Return what such a look needs."""
    scatter = Noise(session_sd**2, df, round_sd**2)
    baseline = [[0.7] * SAVED] * sessions
    return needs_of_change(baseline, seen, Spread(scatter, scatter, 0.0), MARGIN, look or Look())


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (LIMIT + 0.001, Outcome.REGRESSED),
        (LIMIT - 0.001, Outcome.INCONCLUSIVE),
        (0.03, Outcome.PASSED),
        (0.0, Outcome.PASSED),
        (-LIMIT + 0.001, Outcome.PASSED),
        (-LIMIT - 0.001, Outcome.IMPROVED),
    ],
)
def test_a_quiet_test_is_decided_at_the_margin(change: float, outcome: Outcome) -> None:
    """With little noise the margin decides, and only values next to it are open."""
    assert look_at(change).outcome is outcome


def test_a_change_beyond_the_margin_must_be_beyond_chance_too() -> None:
    """A change that noise may explain neither fails nor passes."""
    assert look_at(0.06, session_sd=0.05).outcome is Outcome.INCONCLUSIVE
    assert look_at(-0.2, session_sd=0.2).outcome is Outcome.INCONCLUSIVE


def test_a_change_beyond_chance_must_be_beyond_the_margin_too() -> None:
    """A small change that is certain is within the margin, so it passes."""
    sure = look_at(0.02, session_sd=0.001)
    assert sure.interval()[0] > 0
    assert sure.outcome is Outcome.PASSED


def test_a_last_look_passes_what_its_interval_puts_below_the_margin() -> None:
    """The printed interval, of 95 %, ends below the margin where a test passes firmly."""
    reach = t_quantile(0.975, 12) * 0.02 * math.sqrt(1 + 1 / 5)
    passed, open_ = (look_at(LIMIT - share * reach, 0.02) for share in (1.001, 0.999))
    assert (passed.outcome, passed.provisional) == (Outcome.PASSED, False)
    assert open_.outcome is Outcome.INCONCLUSIVE
    assert passed.interval()[1] < LIMIT < open_.interval()[1]


@pytest.mark.parametrize("change", [-0.2, -0.065, -0.026, 0.0, 0.03, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("levels", [(0.0, 0.058, 0.02), (0.0, 0.01, 0.02), (0.0, 0.2, 0.1, 0.05)])
def test_the_interval_shown_is_the_one_that_decided(
    change: float, levels: tuple[float, ...]
) -> None:
    """None that reaches the margin passes firmly, and none that holds no change is red."""
    baseline, candidate = [[level] * SAVED for level in levels], [[change] * SAVED]
    spread = estimate_spread(baseline, candidate, None, 0.03)
    seen = screen(baseline, candidate, spread, MARGIN, Look(4, 4))
    low, high = seen.interval()
    assert (seen.outcome is Outcome.PASSED and not seen.provisional) <= (high < LIMIT)
    assert (seen.outcome is Outcome.REGRESSED) <= (low > 0)
    assert (seen.outcome is Outcome.IMPROVED) <= (high < 0)
    assert (seen.outcome is Outcome.INCONCLUSIVE) <= (high >= LIMIT)


def test_an_early_look_needs_more_to_decide() -> None:
    """The first of three looks leaves open what the last one decides."""
    seen = [look_at(0.062, 0.02, look=Look(number, 3)).outcome for number in (1, 2, 3)]
    assert seen == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, Outcome.REGRESSED]


def test_a_young_baseline_passes_what_it_cannot_detect() -> None:
    """A change below the margin passes provisionally, and one above it needs sessions."""
    within, above = (look_at(change, 0.03, sessions=2, usual=math.inf) for change in (0.04, 0.06))
    assert (within.outcome, within.provisional) == (Outcome.PASSED, True)
    assert (above.outcome, above.provisional) == (Outcome.INCONCLUSIVE, True)
    assert needed(above, 0.03, sessions=2) == Needs(sessions=1)
    assert look_at(0.5, 0.03, sessions=1).outcome is Outcome.REGRESSED


def test_sessions_that_differ_more_than_usual_do_not_pass_provisionally() -> None:
    """Where so little would be found, the last look stays open; earlier ones always do."""
    usual = look_at(0.0, 0.05, usual=0.05**2)
    assert (usual.outcome, usual.provisional) == (Outcome.PASSED, True)
    assert look_at(0.0, 0.05, usual=0.02**2).outcome is Outcome.INCONCLUSIVE
    early = look_at(0.0, 0.05, usual=0.05**2, look=Look(3, 4))
    assert early.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("change", "shift", "outcome"),
    [
        (0.2, 0.0, Outcome.REGRESSED),
        (0.2, 0.1, Outcome.REGRESSED),
        (0.2, 0.18, Outcome.INCONCLUSIVE),
        (0.0, -0.1, Outcome.INCONCLUSIVE),
        (0.0, 0.1, Outcome.PASSED),
        (-0.2, -0.1, Outcome.IMPROVED),
        (-0.2, -0.18, Outcome.PASSED),
    ],
)
def test_what_may_be_the_machine_decides_nothing(
    change: float, shift: float, outcome: Outcome
) -> None:
    """A verdict holds with the shift of the machine in the change, and without it."""
    assert look_at(change, 0.01, sessions=1, usual=math.inf, shift=shift).outcome is outcome


def test_the_error_is_of_sessions_and_of_missing_rounds() -> None:
    """Rounds add to it only if there are fewer than in the baseline."""
    sessions = 0.02**2 * (1 + 1 / 5)
    fewer = 0.03**2 * (1 / 5 - 1 / SAVED)
    assert look_at(0, 0.02, round_sd=0.03).error == pytest.approx(math.sqrt(sessions))
    assert look_at(0, 0.02, round_sd=0.03, rounds=5).error == pytest.approx(
        math.sqrt(sessions + fewer)
    )
    assert look_at(0, 0.02, round_sd=0.03, rounds=15).error == pytest.approx(math.sqrt(sessions))


def test_the_interval_is_students() -> None:
    """It is 95 % about the estimate, with the degrees of freedom of the noise."""
    seen = look_at(0.03, 0.02, df=8)
    half = t_quantile(0.975, 8) * seen.error
    assert seen.interval() == pytest.approx((0.03 - half, 0.03 + half))


def test_further_sessions_of_the_candidate_lower_the_error() -> None:
    """Two fresh processes have a smaller error than one."""
    scatter, baseline = Noise(0.02**2, 12, 0.0), [[0.0] * SAVED] * 5
    two = screen(baseline, [[0.0] * 10, [0.1] * 10], Spread(scatter, scatter, 0.0), MARGIN, Look())
    assert two.estimate == pytest.approx(0.05)
    assert two.error == pytest.approx(0.02 * math.sqrt(1 / 2 + 1 / 5))


def test_each_verdict_rests_on_its_own_noise() -> None:
    """Passing and failing use different estimates of the noise."""
    quiet, loud = Noise(0.005**2, 12, 0.0), Noise(0.5**2, 12, 0.0)
    seen = [
        screen([[0.0]] * 5, [[change]], spread, MARGIN, Look()).outcome
        for spread in (Spread(quiet, loud, 0.0), Spread(loud, quiet, 0.0))
        for change in (0.0, 0.2)
    ]
    assert seen == [Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, Outcome.REGRESSED]


# --- advice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [0.0, 0.02, 0.06, 0.08])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_needed_rounds_decide(change: float, number: int) -> None:
    """An inconclusive look is decided with the needed rounds, and not with one fewer."""

    look = Look(number, 3)

    def after(rounds: int) -> Screening:
        return look_at(change, 0.008, rounds=rounds, round_sd=0.08, look=look)

    asked = needed(after(2), 0.008, round_sd=0.08, look=look).rounds
    assert after(2).outcome is Outcome.INCONCLUSIVE
    assert asked is not None
    assert 2 < asked <= SAVED
    assert after(asked - 1).outcome is Outcome.INCONCLUSIVE
    assert after(asked).outcome is (Outcome.PASSED if change < LIMIT else Outcome.REGRESSED)


@pytest.mark.parametrize(
    ("look", "change", "session_sd"),
    [
        (Look(1, 3), 0.0, 0.017),
        (Look(1, 3), 0.02, 0.016),
        (Look(1, 3), 0.09, 0.03),
        (Look(3, 3), 0.0, 0.031),
        (Look(3, 3), 0.02, 0.021),
        (Look(3, 3), 0.09, 0.035),
        (Look(), 0.0, 0.029),
        (Look(), 0.02, 0.024),
        (Look(), 0.09, 0.035),
    ],
)
def test_the_needed_processes_decide(look: Look, change: float, session_sd: float) -> None:
    """If rounds do not help, the needed processes do, and one fewer does not."""

    def after(processes: int) -> Screening:
        scatter = Noise(session_sd**2, 12, 0.0)
        candidate = [[0.7 + change] * SAVED] * processes
        baseline = [[0.7] * SAVED] * 5
        return screen(baseline, candidate, Spread(scatter, scatter, 0.0), MARGIN, look)

    rounds, asked, sessions = needed(after(1), session_sd, look=look)
    assert after(1).outcome is Outcome.INCONCLUSIVE
    assert (rounds, sessions) == (None, None)
    assert asked is not None
    assert 1 < asked <= MAX_SESSIONS
    assert after(asked - 1).outcome is Outcome.INCONCLUSIVE
    assert after(asked).outcome is (Outcome.PASSED if change < LIMIT else Outcome.REGRESSED)


@pytest.mark.parametrize("session_sd", [0.023, 0.027, 0.031])
def test_the_needed_sessions_decide(session_sd: float) -> None:
    """If the baseline is too uncertain, more of its sessions decide."""

    def after(more: int) -> Screening:
        return look_at(0.09, session_sd, sessions=3 + more, df=2 + more)

    seen = after(0)
    asked = needed(seen, session_sd, sessions=3, df=2)
    assert (seen.outcome, asked.rounds, asked.processes) == (Outcome.INCONCLUSIVE, None, None)
    assert asked.sessions is not None
    assert 1 <= asked.sessions <= MAX_SESSIONS - 3
    assert after(asked.sessions - 1).outcome is Outcome.INCONCLUSIVE
    assert after(asked.sessions).outcome is Outcome.REGRESSED


def test_nothing_is_needed_if_nothing_helps() -> None:
    """Next to the margin no rounds, processes or sessions decide."""
    assert needed(look_at(LIMIT - 1e-4, 0.02), 0.02) == Needs()


def test_rounds_without_scatter_are_not_needed() -> None:
    """Identical rounds cause no division by zero."""
    for change in (0.0, 0.04, LIMIT, 0.06):
        assert needed(look_at(change, 0.05, rounds=2), 0.05).rounds is None


def test_an_absolute_limit_needs_what_separates_it_from_the_level() -> None:
    """With the needed rounds or processes half the interval is less than the gap."""
    scatter = Noise(0.01**2, 8, 0.06**2)
    t = t_quantile(0.975, 8)
    rounds = needs_of_limit(scatter, 10, 0.035).rounds
    assert rounds is not None
    assert t * math.sqrt(0.01**2 + 0.06**2 / rounds) <= 0.035
    assert t * math.sqrt(0.01**2 + 0.06**2 / (rounds - 1)) > 0.035
    processes = needs_of_limit(scatter, 10, 0.02).processes
    assert processes is not None
    assert t * 0.01 / math.sqrt(processes) < 0.02 <= t * 0.01 / math.sqrt(processes - 1)
    assert needs_of_limit(scatter, 10, 0.0) == Needs()


# --- fresh processes -------------------------------------------------------------------------


def test_half_of_the_sessions_can_contradict_a_regression() -> None:
    """One session that passes alone outweighs another, but not two others."""
    scatter = Noise(0.005**2, 12, 0.0)
    spread, baseline = Spread(scatter, scatter), [[0.0] * SAVED] * 5

    def outcome(*sessions: float) -> Outcome:
        candidate = [[level] * SAVED for level in sessions]
        return screen(baseline, candidate, spread, MARGIN, Look()).outcome

    assert outcome(0.3) is Outcome.REGRESSED
    assert outcome(0.3, 0.2) is Outcome.REGRESSED
    assert outcome(0.3, 0.0) is Outcome.INCONCLUSIVE
    assert outcome(0.3, 0.0, 0.3) is Outcome.REGRESSED
    assert outcome(0.3, 0.0, 0.3, 0.0) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("sessions", "session_sd", "change", "against"),
    [
        (5, 0.01, 0.0, True),
        (5, 0.04, 0.04, True),
        (5, 0.06, 0.04, True),
        (5, 0.01, 0.06, False),
        (5, 0.04, 0.0, True),
        (5, 0.04, 0.06, False),
        (5, 0.2, 0.0, True),
        (1, 0.03, 0.0, True),
        (1, 0.03, 0.04, True),
        (1, 0.03, 0.06, False),
    ],
)
def test_a_session_without_an_increase_contradicts(
    sessions: int, session_sd: float, change: float, against: bool
) -> None:
    """It passes alone, or is within the margin and shows little of 30 %."""
    scatter = Noise(session_sd**2, 12, 0.0)
    spread, baseline = Spread(scatter, scatter), [[0.0] * SAVED] * sessions
    assert contradicts(baseline, [change] * SAVED, [[0.3] * SAVED], spread, MARGIN) is against


@pytest.mark.parametrize(
    ("change", "others", "against"),
    [
        (0.028, 0.06, True),  # it passes alone: 0.028 + 1.70 * 0.0115 is below the margin
        (0.030, 0.06, False),
        (0.039, 0.12, True),  # less than a third of what the others show
        (0.041, 0.12, False),
        (0.050, 0.18, False),  # above the margin of log(1.05), whatever the others show
    ],
)
@pytest.mark.parametrize("level", [0.0, 0.7])
def test_a_session_contradicts_by_its_error_or_by_its_share(
    level: float, change: float, others: float, against: bool
) -> None:
    """Its one-sided 94 % interval ends within the margin, or it shows less than a third."""
    scatter = Noise(0.0001, 10, 0.0)
    spread, baseline = Spread(scatter, scatter), [[level] * SAVED] * 3
    session, other = [level + change] * SAVED, [level + others] * SAVED
    assert contradicts(baseline, session, [other], spread, MARGIN) is against


@pytest.mark.parametrize(
    ("change", "margin", "outcome", "p_value"),
    [
        (math.log1p(0.05), 0.05, Outcome.REGRESSED, 0.0),
        (-math.log1p(0.05), 0.05, Outcome.IMPROVED, 1.0),
        (0.0, 0.0, Outcome.INCONCLUSIVE, 1.0),
    ],
)
def test_a_change_of_exactly_the_margin_is_beyond_it(
    change: float, margin: float, outcome: Outcome, p_value: float
) -> None:
    """Where nothing scatters, 5 % is a regression; with a margin of zero, no change is neither.

    Chance then explains no increase at all, and everything else.
    """
    none = Noise(0.0, 10, 0.0)
    screening = screen([[0.0]] * 3, [[change]], Spread(none, none, 0.0009), margin, Look())
    assert (screening.outcome, screening.p_value) == (outcome, p_value)


@pytest.mark.parametrize(
    ("session_var", "last", "outcome"),
    [(0.0013, True, Outcome.PASSED), (0.0013, False, Outcome.INCONCLUSIVE)]
    + [(variance, True, Outcome.INCONCLUSIVE) for variance in (0.0014, 0.0015, 0.0019, 0.0026)],
)
def test_a_test_passes_provisionally_if_its_sessions_differ_as_usual(
    session_var: float, last: bool, outcome: Outcome
) -> None:
    """At the last look, a change within the margin may have twice the usual variance of 0.0009."""
    scatter = Noise(session_var, 10, 0.0)
    spread, look = Spread(scatter, scatter, 0.0009), Look(4 if last else 3, 4)
    screening = screen([[0.0]] * 3, [[0.02]], spread, MARGIN, look)
    assert screening.outcome is outcome
    assert screening.provisional is (outcome is Outcome.PASSED)


@pytest.mark.parametrize(("sessions", "provisional"), [(2, True), (3, False)])
def test_three_sessions_pass_a_test_for_good(sessions: int, provisional: bool) -> None:
    """Of fewer, how much they differ is assumed."""
    scatter = Noise(0.000001, 10, 0.0)
    screening = screen(
        [[0.0]] * sessions, [[0.0]], Spread(scatter, scatter, 0.0009), MARGIN, Look()
    )
    assert (screening.outcome, screening.provisional) == (Outcome.PASSED, provisional)


@pytest.mark.parametrize(
    ("change", "error", "df"),
    [(0.0, 0.0011547, 5), (0.2, 0.011547, 10), (-0.2, 0.011547, 10)],
)
def test_the_error_of_a_change_is_that_on_which_its_outcome_rests(
    change: float, error: float, df: int
) -> None:
    """What passes has the variance of its own suite; what fails or improves the careful one."""
    spread = Spread(Noise(0.000001, 5, 0.0), Noise(0.0001, 10, 0.0), 0.0009)
    screening = screen([[0.0]] * 3, [[change]], spread, MARGIN, Look())
    assert (screening.error, screening.df) == (pytest.approx(error, rel=1e-4), df)


def test_a_session_is_compared_with_the_others_alone() -> None:
    """Of 10 % and 3 %, the second shows less than a third of the first: half contradict."""
    scatter = Noise(0.0002, 10, 0.0)
    screening = screen([[0.0]] * 3, [[0.1], [0.03]], Spread(scatter, scatter), MARGIN, Look())
    assert screening.disputed
    assert screening.outcome is Outcome.INCONCLUSIVE


def test_a_p_value_is_the_tail_of_students_t() -> None:
    """An increase of 2 % with an error of 1.155 %, of ten degrees of freedom: 5.7 %."""
    scatter = Noise(0.0001, 10, 0.0)
    screening = screen([[0.0]] * 3, [[0.02]], Spread(scatter, scatter), MARGIN, Look())
    assert screening.p_value == pytest.approx(0.05696, abs=5e-5)


@pytest.mark.parametrize("suite", [None, SUITE, Suite(0.0004, 2), Suite(0.01, 5)])
@pytest.mark.parametrize("start_var", [0.0, 0.004])
def test_a_session_that_agrees_never_makes_a_verdict_less_certain(
    suite: Suite | None, start_var: float
) -> None:
    """With one more at the level of the others, no test is undecided that was decided."""
    rng = np.random.default_rng(50)
    counts = dict.fromkeys(Outcome, 0)
    for _ in range(600):
        k, sd = int(rng.integers(1, 10)), float(rng.choice([0.005, 0.02, 0.05]))
        levels = rng.normal(0.0, sd, k)
        baseline = [[level] * SAVED for level in levels]
        candidate = [[float(rng.normal(0.0, rng.choice([0.05, 0.3])))] * SAVED]
        outcomes = []
        for known in (baseline, [*baseline, [float(levels.mean())] * SAVED]):
            planned = planned_looks(len(known), schedule(len(known), 5, 25))
            spread = estimate_spread(known, candidate, suite, 0.03, start_var)
            outcomes.append(
                screen(known, candidate, spread, MARGIN, Look(planned, planned)).outcome
            )
        before, after = outcomes
        counts[before] += 1
        sharper = (before, after) == (Outcome.PASSED, Outcome.IMPROVED)
        kept = after is before or before is Outcome.INCONCLUSIVE
        assert kept or sharper, (levels, candidate[0][0])
    assert min(counts[o] for o in (Outcome.PASSED, Outcome.REGRESSED, Outcome.IMPROVED)) > 10


def test_repetitions_are_judged_like_single_runs() -> None:
    """Arrays of repetitions give the same results as their rows."""
    rng = np.random.default_rng(3)
    baseline = [rng.normal(0.0, 0.03, (200, SAVED)) for _ in range(4)]
    candidate = [rng.normal(0.05, 0.03, (200, n)) for n in (15, 10)]
    suite = suite_of(rng.gamma(2, 0.00005, (200, 20)), [3] * 20)
    assert suite is not None
    look = Look(3, 4)
    whole = screen(
        baseline, candidate, estimate_spread(baseline, candidate, suite, 0.03), MARGIN, look
    )
    outcomes = set()
    for row in range(200):
        of_row = [s[row].tolist() for s in baseline], [s[row].tolist() for s in candidate]
        own = Suite(suite.session_var[row].item(), suite.weight[row].item())
        one = screen(*of_row, estimate_spread(*of_row, own, 0.03), MARGIN, look)
        outcomes.add(one.outcome)
        assert (one.regressed, one.improved, one.passed) == (
            whole.regressed[row],
            whole.improved[row],
            whole.passed[row],
        )
        assert one.p_value == pytest.approx(whole.p_value[row])
    assert outcomes == {Outcome.REGRESSED, Outcome.PASSED, Outcome.INCONCLUSIVE}


def test_no_change_below_the_margin_is_detectable() -> None:
    """Without noise the smallest detectable increase is the margin."""
    assert look_at(0.0, 0.0).smallest == pytest.approx(LIMIT)
    assert look_at(0.0, 0.001).smallest > LIMIT


def test_the_smallest_increase_rests_on_the_noise_to_fail() -> None:
    """It uses the noise of a red verdict."""
    quiet, loud = Noise(0.005**2, 12, 0.0), Noise(0.02**2, 12, 0.0)
    seen = screen([[0.0]] * 5, [[0.0]], Spread(quiet, loud), MARGIN, Look())
    expected = (t_quantile(1 - ALPHA, 12) + t_quantile(POWER, 12)) * 0.02 * math.sqrt(1.2)
    assert seen.smallest == pytest.approx(expected)
