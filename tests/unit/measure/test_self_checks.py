"""Self-checks: from where on each fails, and what it reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from pytest_greenops.measure import self_checks
from pytest_greenops.measure.faults import Fault
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    DeviceState,
    Domain,
    Kind,
    LoadShare,
    Round,
)
from tests.unit.builders import CPU, GPU, a_round

MARGIN = 0.05
IDLE_CARD = Domain("gpu:0", "gpu", counted=False, idle=True)


def with_card(*states: DeviceState) -> list[Round]:
    """Return rounds over which a card had these states."""
    return [a_round(more={"gpu:0": 1.0}, devices={"gpu:0": state}) for state in states]


# --- too short -------------------------------------------------------------------------------


def erring(cpu: float, gpu: float = 0.0, seconds: float = 1.0, used: bool | None = None) -> Round:
    """Return a round whose energies may be off by these shares."""
    return a_round(
        1.0,
        seconds=seconds,
        more={"gpu:0": 4.0},
        errors={"cpu:0": cpu, "gpu:0": 4.0 * gpu},
        devices={"gpu:0": DeviceState(used=used)},
    )


def too_short(rounds: list[Round], margin: float = MARGIN) -> list[Check]:
    """Return the checks of rounds that read one CPU and one GPU."""
    return list(self_checks.too_short(rounds, (CPU, GPU), margin))


@pytest.mark.parametrize(
    ("margin", "error", "fails"),
    [(0.05, 0.0099, False), (0.05, 0.0101, True), (0.0, 0.00019, False), (0.0, 0.00021, True)],
)
def test_edges_may_err_by_a_fifth_of_the_margin(margin: float, error: float, fails: bool) -> None:
    """A margin of zero counts as 0.1 %, since no edges are exact."""
    assert bool(too_short([erring(error)] * 5, margin)) == fails


def test_too_short_reports_span_kind_and_error() -> None:
    """No verdict on that kind of counter may rest on it."""
    assert too_short([erring(0.001, 0.16, seconds=0.1)] * 5) == [
        Check(
            CheckName.TOO_SHORT,
            "a round spans 100 ms, and its edges are off by up to 16 % of its gpu energy",
            "no verdict; let the meter repeat the work, or make one call longer",
            untrusted=True,
            kinds=("gpu",),
        )
    ]


@pytest.mark.parametrize(
    ("error", "growth", "stays"),
    [
        *((0.1, 10.0, False), (0.1, 5.0, True), (0.1, 0.5, True), (1.0, 10.0, True)),
        *((1.5, 10.0, False), (3.0, 10.0, False), (3.0, 1.0, True)),
    ],
)
def test_windows_that_stay_too_short_are_foreseen(error: float, growth: float, stays: bool) -> None:
    """The error falls as a window grows; above the energy itself, it is no forecast yet."""
    check = self_checks.stays_too_short(erring(error), (CPU, GPU), MARGIN, growth)
    assert (check is not None) == stays


def test_windows_that_stay_too_short_are_reported() -> None:
    """The check has the longest round that fits, its error, and what is allowed."""
    check = self_checks.stays_too_short(erring(0.1237), (CPU, GPU), 0.0617, 5.0)
    assert check == Check(
        CheckName.TOO_SHORT,
        "rounds of 5.00 s, the longest that fit into the time, would be off by up to 2.5 % of "
        "their cpu energy at the edges of their windows; 1.2 % is allowed",
        "no verdict; do more work in each window, or allow more time (--energy-max-time)",
        untrusted=True,
        kinds=("cpu",),
    )


def test_a_counter_that_never_moves_is_reported() -> None:
    """Many windows that are each too short for it are not made until the time is over."""
    still = a_round(0.0, seconds=1.0, errors={"cpu:0": 1.0})
    assert self_checks.stays_too_short(still, (CPU,), MARGIN, 100.0) == Check(
        CheckName.TOO_SHORT,
        "its cpu counter did not move in windows of 1.00 s in all",
        "no verdict; do more work in each window",
        untrusted=True,
        kinds=("cpu",),
    )


@pytest.mark.parametrize("growth", [1.0, 100.0])
def test_a_counter_that_has_not_moved_yet_is_no_forecast(growth: float) -> None:
    """Half a second may be too short for it."""
    still = a_round(0.0, seconds=0.5, errors={"cpu:0": 1.0})
    assert self_checks.stays_too_short(still, (CPU,), MARGIN, growth) is None


def test_rounds_in_which_a_counter_does_not_move_are_too_short() -> None:
    """Nothing is known of their energy."""
    still = a_round(0.0, seconds=0.1, errors={"cpu:0": 1.0})
    [check] = too_short([still] * 5)
    assert check.finding == ("a round spans 100 ms, and its cpu counter may not move in that time")


def test_one_short_round_of_ten_is_ignored() -> None:
    """The level is a trimmed mean, and so is the error of its edges."""
    assert too_short([erring(0.001)] * 9 + [erring(1.0)]) == []


def test_without_rounds_or_errors_nothing_is_too_short() -> None:
    """Nothing was measured, or the counter moves with every joule."""
    assert too_short([]) == []
    assert too_short([a_round(seconds=0.0)]) == []


SOCKETS = a_round(60.0, more={"cpu:1": 40.0}, errors={"cpu:0": 3.0, "cpu:1": 4.0})


@pytest.mark.parametrize(
    ("round_", "domains", "error"),
    [
        (erring(0.01, 0.16), (CPU, GPU), 0.16),
        (erring(0.01, 0.16, used=True), (CPU, GPU), 0.16),
        (erring(0.01, 0.16, used=False), (CPU, GPU), 0.01),
        (erring(0.01, 0.16), (CPU, Domain("gpu:0", "gpu", counted=False)), 0.01),
        (SOCKETS, (CPU, Domain("cpu:1", "cpu")), 0.05),
        (a_round(seconds=0.0), (CPU, GPU), 0.0),
    ],
    ids=["two kinds", "used", "unused", "not counted", "two sockets", "no errors"],
)
def test_the_error_of_a_round_is_that_of_its_worst_kind(
    round_: Round, domains: Sequence[Domain], error: float
) -> None:
    """Devices without work are ignored; errors of one kind add up as independent."""
    assert self_checks.edge_error(round_, domains) == pytest.approx(error)


# --- in step ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call_s", "period_s", "keeps"),
    [
        (0.1, 0.1, True),
        (0.104, 0.1, True),
        (0.106, 0.1, False),
        (0.2, 0.1, True),
        (0.05, 0.1, True),
        (0.07, 0.1, False),
        (0.5, 0.1, True),
        (0.6, 0.1, False),
        (0.001, 0.1, False),
        (3.0, 0.1, False),
        (0.1, 0.0, False),
        (0.0, 0.1, False),
    ],
)
def test_calls_near_the_sampling_period_keep_in_step(
    call_s: float, period_s: float, keeps: bool
) -> None:
    """They are within 5 % of the period, of a few periods or of a part of one."""
    assert self_checks.in_step(call_s, period_s) is keeps


# --- faults, lost counters, disagreement -----------------------------------------------------


def test_faults_of_devices_that_are_not_judged_are_reported() -> None:
    """Each device and check is reported once, with its kind and rounds; an idle card is not."""
    hot = Fault(CPU, CheckName.THROTTLED, "it was hot")
    odd = Fault(CPU, CheckName.IMPLAUSIBLE, "it counted 9 kW")
    faults = [hot, odd, hot._replace(finding="hot again"), odd._replace(domain=GPU)]
    assert list(self_checks.unjudged_faults(faults, (CPU, IDLE_CARD))) == [
        Check(
            CheckName.THROTTLED,
            "it was hot",
            "2 rounds kept, since cpu:0 is not judged",
            kinds=("cpu",),
        ),
        Check(
            CheckName.IMPLAUSIBLE,
            "it counted 9 kW",
            "1 round kept, since cpu:0 is not judged",
            kinds=("cpu",),
        ),
    ]


def test_a_lost_counter_is_reported_unless_its_device_is_idle() -> None:
    """The check has the reason, and the consequence for domains that include the counter."""
    reasons = {"gpu:0": "gpu:0 could not be read: GPU is lost"}
    assert list(self_checks.lost(reasons, (CPU, IDLE_CARD))) == []
    assert list(self_checks.lost(reasons, (CPU, GPU))) == [
        Check(
            CheckName.LOST,
            "gpu:0 could not be read: GPU is lost",
            "the other counters continued; domains that include it are not judged",
        )
    ]


def test_a_counter_that_contradicts_its_power_is_reported_unless_idle() -> None:
    """Each measurement in which the device had work reports it."""
    doubts = {"gpu:0": "gpu:0 counts 15 % less than its integrated power"}
    assert [c.finding for c in self_checks.disagreement(doubts, (CPU, GPU))] == [doubts["gpu:0"]]
    assert list(self_checks.disagreement(doubts, (CPU, IDLE_CARD))) == []


# --- drift -----------------------------------------------------------------------------------


def rising(total: float, n: int = 10) -> list[float]:
    """Return energies that rise evenly, by `total` from first to last."""
    return [math.exp(math.log1p(total) * i / max(1, n - 1)) for i in range(n)]


@pytest.mark.parametrize(
    ("energies", "drifts"),
    [
        (rising(0.014), True),
        (rising(-0.014), True),
        (rising(0.011), False),
        (rising(-0.011), False),
        (rising(0.5, 0), False),
        (rising(0.5, 1), False),
        (rising(0.5, 4), False),
        (rising(0.5, 5), True),
        ([0.0] * 10, False),
    ],
)
def test_a_drift_is_more_than_a_quarter_of_the_margin(energies: list[float], drifts: bool) -> None:
    """Five rounds or more rise or fall by more than 1.25 % at a margin of 5 %."""
    assert (self_checks.drift(energies, MARGIN) is not None) == drifts


def test_a_slope_by_chance_is_not_a_drift() -> None:
    """Rounds that scatter more than they rise do not drift; without the scatter they do."""
    rise = rising(0.03)
    scatter = (0.0, 0.1, -0.1, 0.05, -0.05, 0.05, -0.05, -0.1, 0.1, 0.0)
    noisy = [energy * (1 + wobble) for energy, wobble in zip(rise, scatter, strict=True)]
    assert self_checks.drift(rise, MARGIN) is not None
    assert self_checks.drift(noisy, MARGIN) is None


@pytest.mark.parametrize(
    ("energies", "finding"),
    [
        (rising(0.2), "+20 % over the rounds"),
        (rising(-0.05), "-5.0 % over the rounds"),
        ([0.0, *rising(0.2)], "+20 % over the rounds"),
    ],
)
def test_a_drift_is_reported_over_all_rounds(energies: list[float], finding: str) -> None:
    """It is the change from the first to the last round that has energy; a verdict is allowed."""
    assert self_checks.drift(energies, MARGIN) == Check(
        CheckName.DRIFT, finding, "warmed up once more, then flagged"
    )


@pytest.mark.parametrize(
    ("heat_c", "findings"),
    [
        ((40.0, 42.0, 45.0), []),
        ((40.0, 44.0, 46.0), ["gpu:0 warmed by 6 C over the rounds"]),
        ((70.0, 66.0, 61.0), ["gpu:0 cooled by 9 C over the rounds"]),
        ((None, 40.0, None, 48.0), ["gpu:0 warmed by 8 C over the rounds"]),
        ((None, None), []),
        ((), []),
    ],
)
def test_a_device_may_warm_by_five_degrees(
    heat_c: tuple[float | None, ...], findings: list[str]
) -> None:
    """More is a drift, in either direction, unless the device is idle."""
    rounds = with_card(*(DeviceState(temperature_c=c) for c in heat_c))
    assert [check.finding for check in self_checks.warming(rounds, (CPU, GPU))] == findings
    assert list(self_checks.warming(rounds, (CPU, IDLE_CARD))) == []


# --- contention ------------------------------------------------------------------------------


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
    """What this process itself leaves idle does not matter."""
    assert self_checks.contended(share) is contended


@pytest.mark.parametrize(
    ("shares", "rounds", "finding"),
    [
        ([(0.12, 0.0)], 10, "other processes used up to 12 % of the machine in 1 of 10 rounds"),
        (
            [(0.04, 0.0), (0.09, 0.0), (0.0, 0.021)],
            15,
            "other processes used up to 9 % of the machine, the hypervisor 2.1 % in 3 of 15 rounds",
        ),
    ],
)
def test_contention_reports_the_highest_shares(
    shares: list[tuple[float, float]], rounds: int, finding: str
) -> None:
    """Others and hypervisor may be of two rounds; the counters of the whole machine are spoilt."""
    assert self_checks.contention([LoadShare(*share) for share in shares], rounds) == Check(
        CheckName.CONTENTION, finding, "rounds redone, then kept", kinds=("cpu", "dram", "psys")
    )


def test_workers_of_the_run_are_not_other_processes() -> None:
    """If most of the others are workers of pytest-xdist, the finding says so, with the fix."""
    check = self_checks.contention([LoadShare(0.5, 0.0, idle=0.0, workers=0.45)] * 5, 5)
    assert check is not None
    assert check.finding == (
        "the other workers of this run (pytest -n) used up to 50 % of the machine in 5 of 5 rounds"
    )
    assert check.done == "rounds redone, then kept; measure with -n0"
    few = self_checks.contention([LoadShare(0.5, 0.0, workers=0.2)], 5)
    assert few is not None
    assert few.finding.startswith("other processes used up to 50 %")


@pytest.mark.parametrize(
    ("contended", "rounds", "untrusted"), [(1, 5, False), (2, 10, False), (3, 10, True)]
)
def test_as_many_spoilt_rounds_as_are_trimmed_do_no_harm(
    contended: int, rounds: int, untrusted: bool
) -> None:
    """A fifth of the rounds is not in the level; more than that forbids a verdict."""
    check = self_checks.contention([LoadShare(0.1, 0.0)] * contended, rounds)
    assert check is not None
    assert check.untrusted is untrusted


@pytest.mark.parametrize(
    ("crowded", "kinds"), [(2, ("cpu", "dram", "psys")), (3, ())], ids=["two", "three"]
)
def test_a_crowded_machine_spoils_estimates_too(crowded: int, kinds: tuple[Kind, ...]) -> None:
    """If others leave no CPU idle in more than a fifth of the rounds, the work gets slower."""
    full, free = LoadShare(0.6, 0.0, idle=0.09), LoadShare(0.6, 0.0, idle=0.11)
    check = self_checks.contention([full] * crowded + [free] * (5 - crowded), 10)
    assert check is not None
    assert (check.untrusted, check.kinds) == (True, kinds)


@pytest.mark.parametrize(
    ("foreign", "used", "intruded"),
    [(True, True, True), (True, None, True), (True, False, False), (None, True, False)],
)
def test_a_foreign_process_on_a_used_card_spoils_the_round(
    foreign: bool | None, used: bool | None, intruded: bool
) -> None:
    """It does not if the round did not use the card, or if nobody knows of such a process."""
    assert self_checks.intruded({"gpu:0": DeviceState(foreign=foreign, used=used)}) is intruded


@pytest.mark.parametrize(("spoilt", "untrusted"), [(1, False), (2, False), (3, True)])
def test_foreign_processes_on_a_card_are_reported_with_their_rounds(
    spoilt: int, untrusted: bool
) -> None:
    """They spoil the card's kind alone, in more than a fifth of the rounds."""
    rounds = with_card(*(DeviceState(foreign=number < spoilt, used=True) for number in range(10)))
    assert list(self_checks.intrusion(rounds, (CPU, GPU))) == [
        Check(
            CheckName.CONTENTION,
            f"another process used gpu:0 in {spoilt} of 10 rounds",
            "rounds redone, then kept",
            untrusted=untrusted,
            kinds=("gpu",),
        )
    ]
    assert list(self_checks.intrusion(rounds, (CPU, IDLE_CARD))) == []


# --- the others ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first_uj", "energies", "reported"),
    [
        (2000.0, [20.0, 10.0], True),
        (1999.0, [20.0, 10.0], False),
        (1000.0, [1.0], True),
        (999.0, [1.0], False),
        (2000.0, [], False),
    ],
)
def test_a_first_call_unlike_the_others_is_reported(
    first_uj: float, energies: list[float], reported: bool
) -> None:
    """It used a hundred times as much as any other, and more than a core in 250 microseconds."""
    check = Check(
        CheckName.WARM_UP,
        "the first call used over 100 times as much as any call of a round: it may cache its "
        "result, or compile",
        "judged without it; if it caches, empty the cache in energy.pedantic(f, setup=...)",
    )
    assert self_checks.warm_up(first_uj, energies) == (check if reported else None)


@pytest.mark.parametrize(("voided", "done"), [(1, "1 round left out"), (3, "3 rounds left out")])
def test_void_rounds_are_counted(voided: int, done: str) -> None:
    """The finding is the last reason."""
    reasons = [*["it failed"] * (voided - 1), "it wrapped"]
    assert self_checks.void(reasons) == Check(CheckName.VOID, "it wrapped", done)


def test_a_tracer_is_named() -> None:
    """The finding is what traces."""
    assert self_checks.instrumented("coverage (sys.settrace)") == Check(
        CheckName.INSTRUMENTED,
        "coverage (sys.settrace)",
        "neither saved nor judged; run without it",
    )


def test_a_check_that_holds_is_not_reported() -> None:
    """A quiet, complete, untraced measurement has no check."""
    assert self_checks.contention([], 10) is None
    assert self_checks.void([]) is None
    assert self_checks.instrumented(None) is None
