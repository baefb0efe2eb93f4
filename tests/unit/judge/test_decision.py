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
    ASSUMED_WEIGHT,
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
    """Without a baseline one early look, at a young one a single later one, else up to three."""
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
    """A young one is looked at once, and then at the most confirmed."""
    assert planned_looks(sessions, steps) == planned


# --- what is known of the noise --------------------------------------------------------------

#: Sessions of one round each, so that their levels are these numbers.
THREE = ([0.00], [0.02], [0.04])
SUITE = Suite(0.0001, POOL_WEIGHT)


def test_a_suite_shares_its_variance() -> None:
    """It counts for eight sessions, the test's own for those that it has."""
    known, _ = estimate_spread(THREE, [[0.0]], SUITE, 0.03)
    own = 0.0004
    assert known.session_var == pytest.approx((8 * 0.0001 + 2 * own) / 10, rel=1e-9)
    assert known.df == POOL_WEIGHT + 2


def test_a_lone_test_passes_on_its_own_variance_and_fails_on_a_careful_one() -> None:
    """With one test too few to share, what is assumed counts for four sessions against a red."""
    to_pass, to_fail = estimate_spread(THREE, [[0.0]], None, 0.03)
    assert (to_pass.session_var, to_pass.df) == pytest.approx((0.0004, 2), rel=1e-9)
    careful = (ASSUMED_WEIGHT * 0.0009 + 2 * 0.0004) / (ASSUMED_WEIGHT + 2)
    assert (to_fail.session_var, to_fail.df) == pytest.approx((careful, ASSUMED_WEIGHT + 2))


@pytest.mark.parametrize(
    ("sessions", "suite", "variance"),
    [
        ([], None, 0.0009),
        ([[0.0]], None, 0.0009),
        ([[0.0], [0.2]], None, 0.02),
        ([[0.0]], Suite(0.01, 8), 0.01),
        ([[0.0]], Suite(1e-9, 8), 0.0009),
    ],
)
def test_a_young_baseline_is_taken_to_be_noisy(
    sessions: Sequence[Sequence[float]], suite: Suite | None, variance: float
) -> None:
    """What is assumed holds until the test itself, or the suite, is known to be noisier."""
    _, known = estimate_spread(sessions, [[0.0]], suite, 0.03)
    assert (known.session_var, known.df) == pytest.approx((variance, POOL_WEIGHT), rel=1e-9)


def test_a_test_unlike_its_suite_shares_nothing() -> None:
    """One that scatters as hardly any other of its suite keeps to its own variance."""
    known, _ = estimate_spread([[0.0], [0.2], [0.4]], [[0.0]], SUITE, 0.03)
    assert (known.session_var, known.df) == pytest.approx((0.04, 2), rel=1e-9)


def test_a_small_suite_says_nothing() -> None:
    """Fewer than five tests have nothing to pool."""
    assert suite_of([0.0001] * (MIN_SUITE - 1), [4] * (MIN_SUITE - 1)) is None
    assert suite_of([0.0001] * MIN_SUITE, [4] * MIN_SUITE) is not None


def test_one_very_noisy_test_does_not_move_its_suite() -> None:
    """A test that scatters a hundred times as much makes its suite's variance hardly larger."""
    rng = random.Random(1)
    calm = [rng.gammavariate(2, 0.0001 / 2) for _ in range(20)]
    without, beside = suite_of(calm, [4] * 20), suite_of([*calm[:19], 1.0], [4] * 20)
    assert without is not None
    assert beside is not None
    assert beside.session_var == pytest.approx(without.session_var, rel=0.15)
    assert without.session_var == pytest.approx(0.0001, rel=0.5)


def test_unlike_tests_share_little() -> None:
    """The more the tests differ in noise, the fewer sessions their common variance counts for."""
    rng = random.Random(2)
    alike = [rng.gammavariate(2, 1 / 2) for _ in range(200)]
    unlike = [value * 10 ** rng.uniform(-2, 2) for value in alike]
    one, other = suite_of(alike, [4] * 200), suite_of(unlike, [4] * 200)
    assert one is not None
    assert other is not None
    assert one.weight == POOL_WEIGHT
    assert other.weight < 2


def test_the_scatter_of_rounds_is_that_within_sessions() -> None:
    """Sessions far apart do not make their rounds noisy; the candidate's rounds count too."""
    _, known = estimate_spread([[0.0, 0.02], [5.0, 5.02]], [[9.0, 9.0, 9.0]], None, 0.03)
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
) -> Screening:
    """Screen a change of logarithms by this much, with noise that is known."""
    scatter = Noise(session_sd**2, df, round_sd**2)
    baseline = [[0.7] * SAVED] * sessions
    return screen(
        baseline, [[0.7 + change] * rounds], Spread(scatter, scatter), MARGIN, look or Look()
    )


LIMIT = math.log1p(MARGIN)


def wanted(
    seen: Screening,
    session_sd: float,
    *,
    sessions: int = 5,
    round_sd: float = 0.0,
    df: float = 12,
    look: Look | None = None,
) -> Needs:
    """What such a look asks for."""
    scatter = Noise(session_sd**2, df, round_sd**2)
    baseline = [[0.7] * SAVED] * sessions
    return needs_of_change(baseline, seen, Spread(scatter, scatter), MARGIN, look or Look())


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
    """With hardly any noise the margin alone decides; only right beside it nothing can be told."""
    assert look_at(change).outcome is outcome


def test_a_change_beyond_the_margin_must_be_beyond_chance_too() -> None:
    """What noise may well have made fails nobody, and is not passed either."""
    assert look_at(0.06, session_sd=0.05).outcome is Outcome.INCONCLUSIVE
    assert look_at(-0.2, session_sd=0.2).outcome is Outcome.INCONCLUSIVE


def test_a_change_beyond_chance_must_be_beyond_the_margin_too() -> None:
    """A small change that is sure is within the margin, so it passes."""
    sure = look_at(0.02, session_sd=0.001)
    assert sure.interval()[0] > 0
    assert sure.outcome is Outcome.PASSED


def test_a_look_may_pass_with_five_times_the_error_that_it_may_fail_with() -> None:
    """To call a regression unchanged costs less than to call unchanged code regressed."""
    error = 0.02 * math.sqrt(1 + 1 / 5)
    reach = t_quantile(1 - 5 * ALPHA, 12) * error
    assert look_at(LIMIT - 1.001 * reach, 0.02).outcome is Outcome.PASSED
    assert look_at(LIMIT - 0.999 * reach, 0.02).outcome is Outcome.INCONCLUSIVE


def test_an_early_look_needs_more_to_decide() -> None:
    """The first of three looks may spend a ninth of the error, so it leaves open what a last one
    decides.
    """
    seen = [look_at(0.062, 0.02, look=Look(number, 3)).outcome for number in (1, 2, 3)]
    assert seen == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, Outcome.REGRESSED]


def test_a_young_baseline_passes_what_it_cannot_find() -> None:
    """With two sessions what is not found passes, flagged; with three it is inconclusive."""
    young, grown = (look_at(0.06, 0.05, sessions=k) for k in (2, 3))
    assert (young.outcome, young.provisional) == (Outcome.PASSED, True)
    assert (grown.outcome, grown.provisional) == (Outcome.INCONCLUSIVE, False)
    assert look_at(0.5, 0.03, sessions=1).outcome is Outcome.REGRESSED


def test_the_error_is_that_of_sessions_and_of_rounds_that_are_fewer() -> None:
    """Both sides' sessions count; rounds only as far as there are fewer than in the baseline."""
    sessions = 0.02**2 * (1 + 1 / 5)
    fewer = 0.03**2 * (1 / 5 - 1 / SAVED)
    assert look_at(0, 0.02, round_sd=0.03).error == pytest.approx(math.sqrt(sessions))
    assert look_at(0, 0.02, round_sd=0.03, rounds=5).error == pytest.approx(
        math.sqrt(sessions + fewer)
    )
    assert look_at(0, 0.02, round_sd=0.03, rounds=15).error == pytest.approx(math.sqrt(sessions))


def test_the_interval_is_students() -> None:
    """95 % about the estimate, with the degrees of freedom of the noise."""
    seen = look_at(0.03, 0.02, df=8)
    half = t_quantile(0.975, 8) * seen.error
    assert seen.interval() == pytest.approx((0.03 - half, 0.03 + half))


def test_further_sessions_of_the_candidate_lower_the_error() -> None:
    """Two fresh processes tell more than one, as two baseline sessions do."""
    scatter, baseline = Noise(0.02**2, 12, 0.0), [[0.0] * SAVED] * 5
    two = screen(baseline, [[0.0] * 10, [0.1] * 10], Spread(scatter, scatter), MARGIN, Look())
    assert two.estimate == pytest.approx(0.05)
    assert two.error == pytest.approx(0.02 * math.sqrt(1 / 2 + 1 / 5))


def test_each_verdict_rests_on_its_own_noise() -> None:
    """A quiet view may pass what a careful one could not fail, and the other way round."""
    quiet, loud = Noise(0.005**2, 12, 0.0), Noise(0.5**2, 12, 0.0)
    seen = [
        screen([[0.0]] * 5, [[change]], spread, MARGIN, Look()).outcome
        for spread in (Spread(quiet, loud), Spread(loud, quiet))
        for change in (0.0, 0.2)
    ]
    assert seen == [
        Outcome.PASSED,
        Outcome.INCONCLUSIVE,
        Outcome.INCONCLUSIVE,
        Outcome.REGRESSED,
    ]


# --- advice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [0.0, 0.02, 0.06, 0.08])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_as_many_rounds_as_it_needs_decide(change: float, number: int) -> None:
    """What is inconclusive is decided with the rounds that it asks for, and not with one less."""

    look = Look(number, 3)

    def after(rounds: int) -> Screening:
        return look_at(change, 0.008, rounds=rounds, round_sd=0.08, look=look)

    asked = wanted(after(2), 0.008, round_sd=0.08, look=look).rounds
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
def test_as_many_processes_as_it_needs_decide(look: Look, change: float, session_sd: float) -> None:
    """Where rounds do not help, the processes that it asks for do, and one less do not."""

    def after(processes: int) -> Screening:
        scatter = Noise(session_sd**2, 12, 0.0)
        candidate = [[0.7 + change] * SAVED] * processes
        baseline = [[0.7] * SAVED] * 5
        return screen(baseline, candidate, Spread(scatter, scatter), MARGIN, look)

    rounds, asked, sessions = wanted(after(1), session_sd, look=look)
    assert after(1).outcome is Outcome.INCONCLUSIVE
    assert (rounds, sessions) == (None, None)
    assert asked is not None
    assert 1 < asked <= MAX_SESSIONS
    assert after(asked - 1).outcome is Outcome.INCONCLUSIVE
    assert after(asked).outcome is (Outcome.PASSED if change < LIMIT else Outcome.REGRESSED)


@pytest.mark.parametrize("session_sd", [0.025, 0.029, 0.033])
def test_as_many_sessions_as_it_needs_decide(session_sd: float) -> None:
    """Where the baseline itself is too uncertain, more of its sessions are asked for."""

    def after(more: int) -> Screening:
        return look_at(0.09, session_sd, sessions=3 + more, df=2 + more)

    seen = after(0)
    asked = wanted(seen, session_sd, sessions=3, df=2)
    assert (seen.outcome, asked.rounds, asked.processes) == (Outcome.INCONCLUSIVE, None, None)
    assert asked.sessions is not None
    assert 1 <= asked.sessions <= MAX_SESSIONS - 3
    assert after(asked.sessions - 1).outcome is Outcome.INCONCLUSIVE
    assert after(asked.sessions).outcome is Outcome.REGRESSED


def test_nothing_is_asked_for_where_nothing_would_help() -> None:
    """Right beside the margin neither rounds, processes nor as many sessions as are kept decide."""
    assert wanted(look_at(LIMIT - 1e-4, 0.02), 0.02) == Needs()


def test_rounds_are_asked_for_of_a_test_without_scatter_too() -> None:
    """Rounds that are all alike divide by no zero: sessions are asked for, if anything."""
    for change in (0.0, 0.04, LIMIT, 0.06):
        assert wanted(look_at(change, 0.05, rounds=2), 0.05).rounds is None


def test_an_absolute_limit_asks_for_what_tells_it_from_the_level() -> None:
    """With the rounds or the processes it asks for, half the interval is less than the gap."""
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


def test_what_half_of_the_sessions_contradict_is_no_regression() -> None:
    """A session that would pass alone makes the other one a mishap; of three it is outvoted."""
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
def test_a_session_contradicts_that_has_not_grown(
    sessions: int, session_sd: float, change: float, against: bool
) -> None:
    """One that would pass alone does, and one within the margin that shows little of 30 %."""
    scatter = Noise(session_sd**2, 12, 0.0)
    spread, baseline = Spread(scatter, scatter), [[0.0] * SAVED] * sessions
    assert contradicts(baseline, [change] * SAVED, [[0.3] * SAVED], spread, MARGIN) is against


def test_repetitions_are_judged_as_each_by_itself() -> None:
    """Arrays of repetitions give what their rows give one by one, to the last look."""
    rng = np.random.default_rng(3)
    baseline = [rng.normal(0.0, 0.03, (200, SAVED)) for _ in range(4)]
    candidate = [rng.normal(0.05, 0.03, (200, n)) for n in (15, 10)]
    suite = suite_of(rng.gamma(2, 0.00005, (200, 20)), [3] * 20)
    assert suite is not None
    look = Look(4, 4)
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


def test_no_change_below_the_margin_is_called_findable() -> None:
    """Even of a test without noise the smallest change that counts is the margin."""
    assert look_at(0.0, 0.0).smallest == pytest.approx(LIMIT)
    assert look_at(0.0, 0.001).smallest > LIMIT


def test_what_could_be_found_is_what_could_fail() -> None:
    """The smallest change rests on the noise that a red verdict rests on."""
    quiet, loud = Noise(0.005**2, 12, 0.0), Noise(0.02**2, 12, 0.0)
    seen = screen([[0.0]] * 5, [[0.0]], Spread(quiet, loud), MARGIN, Look())
    expected = (t_quantile(1 - ALPHA, 12) + t_quantile(POWER, 12)) * 0.02 * math.sqrt(1.2)
    assert seen.smallest == pytest.approx(expected)
