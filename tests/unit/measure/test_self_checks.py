"""What a measurement says against itself, and where each check begins to."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.measure import self_checks
from pytest_greenops.measure.faults import Fault, decisive_counters, throttled
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    DeviceState,
    Domain,
    LoadShare,
    Round,
)
from tests.unit.builders import a_round

MARGIN = 0.05


def rising(total: float, n: int = 10) -> list[float]:
    """Energies that rise evenly by so much from first to last."""
    return [math.exp(math.log1p(total) * i / max(1, n - 1)) for i in range(n)]


# --- too short -------------------------------------------------------------------------------

CPU, GPU = Domain("cpu:0", "cpu"), Domain("gpu:0", "gpu")


def erring(cpu: float, gpu: float = 0.0, seconds: float = 1.0, **devices: bool) -> Round:
    """A round whose energies may be off by these shares."""
    return Round(
        {"cpu:0": 1_000_000, "gpu:0": 4_000_000},
        seconds,
        iterations=1,
        error_uj={"cpu:0": 1_000_000 * cpu, "gpu:0": 4_000_000 * gpu},
        devices={name.replace("_", ":"): DeviceState(used=used) for name, used in devices.items()},
    )


def short(rounds: list[Round], margin: float = MARGIN) -> list[Check]:
    """What is said of rounds that read one CPU and one GPU."""
    return list(self_checks.too_short(rounds, (CPU, GPU), margin))


@pytest.mark.parametrize(("error", "found"), [(0.0099, False), (0.0101, True)])
def test_edges_may_err_by_a_fifth_of_the_margin(error: float, found: bool) -> None:
    """At a margin of 5 %, by 1 %."""
    assert bool(short([erring(error)] * 5)) == found


def test_too_short_says_how_short() -> None:
    """Span, kind and error are in the finding; no verdict on that kind may rest on it."""
    assert short([erring(0.001, 0.16, seconds=0.1)] * 5) == [
        Check(
            CheckName.TOO_SHORT,
            "a round spans 100 ms, and its edges are off by up to 16 % of its gpu energy",
            "no verdict; let the meter repeat the work, or make one call longer",
            untrusted=True,
            kinds=("gpu",),
        )
    ]


def test_each_kind_of_counter_errs_by_itself() -> None:
    """The worst of them decides how long a round has to be; one that stood apart does not."""
    assert self_checks.edge_error(erring(0.01, 0.16), (CPU, GPU)) == pytest.approx(0.16)
    apart = Domain("gpu:0", "gpu", counted=False)
    assert self_checks.edge_error(erring(0.01, 0.16), (CPU, apart)) == pytest.approx(0.01)


def test_a_device_without_work_does_not_make_rounds_longer() -> None:
    """Of a card that the round did not use, edges need not be known."""
    assert self_checks.edge_error(erring(0.01, 0.16, gpu_0=False), (CPU, GPU)) == pytest.approx(
        0.01
    )
    assert self_checks.edge_error(erring(0.01, 0.16, gpu_0=True), (CPU, GPU)) == pytest.approx(0.16)


def test_errors_of_like_counters_add_up_as_independent() -> None:
    """Two sockets that err by 3 and 4 J of 100 J err by 5 % together."""
    sockets = (CPU, Domain("cpu:1", "cpu"))
    round_ = Round(
        {"cpu:0": 60_000_000, "cpu:1": 40_000_000},
        1.0,
        iterations=1,
        error_uj={"cpu:0": 3_000_000, "cpu:1": 4_000_000},
    )
    assert self_checks.edge_error(round_, sockets) == pytest.approx(0.05)


def test_one_short_round_of_ten_does_not_count() -> None:
    """The level is a trimmed mean, and so is the error of its edges."""
    assert short([erring(0.001)] * 9 + [erring(1.0)]) == []


def test_no_round_and_no_error_are_not_too_short() -> None:
    """Nothing was measured, or by a counter that moves with every joule."""
    assert short([]) == []
    assert short([a_round(seconds=0.0)]) == []
    assert self_checks.edge_error(a_round(seconds=0.0), (CPU, GPU)) == 0.0


def test_a_margin_of_zero_can_be_met() -> None:
    """`max_increase="0%"` asks for exact edges, not for infinitely exact ones."""
    assert short([erring(0.00019)], margin=0.0) == []
    assert short([erring(0.00021)], margin=0.0) != []


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
        (0.001, 0.1, False),
        (3.0, 0.1, False),
        (0.1, 0.0, False),
        (0.0, 0.1, False),
    ],
)
def test_calls_near_the_sampling_period_keep_in_step(
    call_s: float, period_s: float, keeps: bool
) -> None:
    """Within 5 % of the period, of a few of them or of a part of it."""
    assert self_checks.in_step(call_s, period_s) is keeps


# --- throttled, lost, disagreement -----------------------------------------------------------


@pytest.mark.parametrize(
    ("reasons", "used", "expected"),
    [
        (
            ("hardware thermal slowdown",),
            True,
            "gpu:0 was throttled: hardware thermal slowdown (let it cool, or lower its limit)",
        ),
        (
            ("hardware slowdown",),
            None,
            "gpu:0 was throttled: hardware slowdown (let it cool, or lower its limit)",
        ),
        (
            ("thermal throttle",),
            None,
            "gpu:0 was throttled: thermal throttle (let it cool, or turn turbo off)",
        ),
        (("software power cap",), True, None),
        (("hardware thermal slowdown",), False, None),
        ((), True, None),
    ],
)
def test_a_card_that_protects_itself_spoils_its_round(
    reasons: tuple[str, ...], used: bool | None, expected: str | None
) -> None:
    """Heat and brakes do, of a card that may have had work; keeping to the power limit does not."""
    state = DeviceState(throttle_reasons=reasons, used=used)
    assert throttled("gpu:0", state) == expected


DRAM, PSYS = Domain("dram:0", "dram"), Domain("psys", "psys", counted=False)


@pytest.mark.parametrize(
    ("judged", "decisive"),
    [
        ("total", {"cpu:0", "dram:0", "gpu:0"}),
        ("cpu", {"cpu:0"}),
        ("gpu:0", {"gpu:0"}),
        ("dram", {"cpu:0", "dram:0"}),
        ("psys", {"cpu:0", "dram:0", "gpu:0", "psys"}),
        ("gpu:7", set()),
    ],
)
def test_what_is_judged_decides_whose_faults_matter(judged: str, decisive: set[str]) -> None:
    """A processor's, for its memory too, which waits for it; anything on it, for a board."""
    assert decisive_counters((CPU, DRAM, GPU, PSYS), judged) == decisive


def test_faults_beside_what_is_judged_are_told() -> None:
    """Each device once for each check, with its kind and its rounds; none of an idle one."""
    hot = Fault(CPU, CheckName.THROTTLED, "it was hot")
    odd = Fault(CPU, CheckName.IMPLAUSIBLE, "it told 9 kW")
    idle = Domain("gpu:0", "gpu", counted=False, idle=True)
    faults = [
        hot,
        odd,
        hot._replace(finding="hot again"),
        Fault(GPU, CheckName.IMPLAUSIBLE, ""),
    ]
    assert list(self_checks.unjudged_faults(faults, (CPU, idle))) == [
        Check(
            CheckName.THROTTLED,
            "it was hot",
            "2 rounds kept, since cpu:0 is not judged",
            kinds=("cpu",),
        ),
        Check(
            CheckName.IMPLAUSIBLE,
            "it told 9 kW",
            "1 round kept, since cpu:0 is not judged",
            kinds=("cpu",),
        ),
    ]


def test_a_lost_counter_is_told() -> None:
    """With its reason, and what becomes of what holds it; of an idle device it is no matter."""
    gone = {"gpu:0": "gpu:0 could not be read: GPU is lost"}
    apart = Domain("gpu:0", "gpu", counted=False, idle=True)
    assert list(self_checks.lost(gone, (CPU, apart))) == []
    assert list(self_checks.lost(gone, (CPU, GPU))) == [
        Check(
            CheckName.LOST,
            "gpu:0 could not be read: GPU is lost",
            "the other counters continued; domains that include it are not judged",
        )
    ]


def test_a_counter_that_contradicts_its_power_is_told_where_it_counts() -> None:
    """Each measurement says so, unless the device had no work in it."""
    doubts = {"gpu:0": "gpu:0 counts 15 % less than its integrated power"}
    assert [c.finding for c in self_checks.disagreement(doubts, (CPU, GPU))] == [doubts["gpu:0"]]
    idle = Domain("gpu:0", "gpu", counted=False, idle=True)
    assert list(self_checks.disagreement(doubts, (CPU, idle))) == []


# --- drift -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "drifts"), [(0.014, True), (-0.014, True), (0.011, False), (-0.011, False)]
)
def test_a_drift_is_more_than_a_quarter_of_the_margin(total: float, drifts: bool) -> None:
    """Rounds that rise or fall by more than 1.25 % over all, at a margin of 5 %."""
    assert bool(self_checks.drift(rising(total), MARGIN)) is drifts


def test_a_slope_by_chance_is_no_drift() -> None:
    """Rounds that scatter more than they rise do not drift; the same rise without scatter does."""
    rise = rising(0.03)
    scatter = (0.0, 0.1, -0.1, 0.05, -0.05, 0.05, -0.05, -0.1, 0.1, 0.0)
    noisy = [energy * (1 + wobble) for energy, wobble in zip(rise, scatter, strict=True)]
    assert (bool(self_checks.drift(rise, MARGIN)), bool(self_checks.drift(noisy, MARGIN))) == (
        True,
        False,
    )


def test_four_rounds_tell_no_drift() -> None:
    """Five are the fewest that a slope is believed of."""
    assert [bool(self_checks.drift(rising(0.5, n), MARGIN)) for n in (0, 1, 4, 5)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(("total", "told"), [(0.2, "+20.0 %"), (-0.05, "-5.0 %")])
def test_a_drift_is_told_over_all_rounds(total: float, told: str) -> None:
    """The finding is the change from the first to the last round; the verdict may stand."""
    assert self_checks.drift(rising(total), MARGIN) == Check(
        CheckName.DRIFT, f"{told} over the rounds", "warmed up once more, then flagged"
    )
    assert self_checks.drift(rising(0.0), MARGIN) is None


def test_a_round_without_energy_tells_nothing_of_drift() -> None:
    """A counter that stood still in one round is left out, and breaks nothing."""
    assert self_checks.drift([0.0, *rising(0.2)], MARGIN) == self_checks.drift(rising(0.2), MARGIN)
    assert self_checks.drift([0.0] * 10, MARGIN) is None


def heats(*heat_c: float | None, used: bool | None = True) -> list[Round]:
    """Rounds after which a card had these temperatures."""
    states = [DeviceState(temperature_c=c, used=used) for c in heat_c]
    return [a_round(more={"gpu:0": 1.0}, devices={"gpu:0": state}) for state in states]


@pytest.mark.parametrize(
    ("heat_c", "told"),
    [
        ((40.0, 42.0, 45.0), None),
        ((40.0, 44.0, 46.0), "gpu:0 warmed by 6 C over the rounds"),
        ((70.0, 66.0, 61.0), "gpu:0 cooled by 9 C over the rounds"),
        ((None, 40.0, None, 48.0), "gpu:0 warmed by 8 C over the rounds"),
        ((None, None), None),
        ((), None),
    ],
)
def test_a_device_may_warm_by_five_degrees(
    heat_c: tuple[float | None, ...], told: str | None
) -> None:
    """More is told as a drift, in either direction; what tells no temperature has none."""
    found = [check.finding for check in self_checks.warming(heats(*heat_c), (CPU, GPU))]
    assert found == ([told] if told else [])


def test_a_device_without_work_may_be_as_warm_as_it_likes() -> None:
    """A card that stands apart, because no round used it, does not drift."""
    apart = Domain("gpu:0", "gpu", counted=False, idle=True)
    assert list(self_checks.warming(heats(40.0, 60.0, used=False), (CPU, apart))) == []


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
    assert self_checks.contended(share) is contended


def test_contention_is_told_with_its_share() -> None:
    """How much others took, in how many rounds; it spoils what the whole machine counts."""
    assert self_checks.contention([LoadShare(0.12, 0.0)], 10) == Check(
        CheckName.CONTENTION,
        "other processes used up to 12 % of the machine in 1 of 10 rounds",
        "rounds redone, then kept",
        kinds=("cpu", "dram", "psys"),
    )


def test_the_worst_of_the_contended_rounds_is_told() -> None:
    """The highest share of others and the highest steal, be they of two rounds."""
    kept = [LoadShare(0.04, 0.0), LoadShare(0.09, 0.0), LoadShare(0.0, 0.021)]
    check = self_checks.contention(kept, 5)
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
    check = self_checks.contention([LoadShare(0.1, 0.0)] * contended, rounds)
    assert check is not None
    assert check.untrusted is untrusted


@pytest.mark.parametrize(
    ("crowded", "kinds"), [(2, ("cpu", "dram", "psys")), (3, ())], ids=["two", "three"]
)
def test_a_crowded_machine_spoils_estimates_too(crowded: int, kinds: tuple[str, ...]) -> None:
    """Where others leave no CPU idle, the work itself gets slower, in more than a fifth."""
    full, roomy = LoadShare(0.6, 0.0, idle=0.09), LoadShare(0.6, 0.0, idle=0.11)
    check = self_checks.contention([full] * crowded + [roomy] * (5 - crowded), 10)
    assert check is not None
    assert (check.untrusted, check.kinds) == (True, kinds)


@pytest.mark.parametrize(
    ("foreign", "used", "intruded"),
    [(True, True, True), (True, None, True), (True, False, False), (None, True, False)],
)
def test_a_stranger_on_a_card_with_work_spoils_the_round(
    foreign: bool | None, used: bool | None, intruded: bool
) -> None:
    """On a card that the round did not use it does not, and where nobody can tell neither."""
    assert self_checks.intruded({"gpu:0": DeviceState(foreign=foreign, used=used)}) is intruded


@pytest.mark.parametrize(("spoilt", "untrusted"), [(1, False), (2, False), (3, True)])
def test_strangers_on_a_card_are_told_with_their_rounds(spoilt: int, untrusted: bool) -> None:
    """They spoil the card's kind alone, and as contention does: in more than a fifth of rounds."""
    states = [DeviceState(foreign=number < spoilt, used=True) for number in range(10)]
    rounds = [a_round(more={"gpu:0": 1.0}, devices={"gpu:0": state}) for state in states]
    assert list(self_checks.intrusion(rounds, (CPU, GPU))) == [
        Check(
            CheckName.CONTENTION,
            f"another process used gpu:0 in {spoilt} of 10 rounds",
            "rounds redone, then kept",
            untrusted=untrusted,
            kinds=("gpu",),
        )
    ]
    idle = Domain("gpu:0", "gpu", counted=False, idle=True)
    assert list(self_checks.intrusion(rounds, (CPU, idle))) == []


@pytest.mark.parametrize(("voided", "done"), [(1, "1 round left out"), (3, "3 rounds left out")])
def test_void_windows_are_counted(voided: int, done: str) -> None:
    """The last reason, and how many were left out."""
    assert self_checks.void(["it wrapped"] * voided) == Check(CheckName.VOID, "it wrapped", done)


def test_a_tracer_is_named() -> None:
    """What traces is the finding."""
    assert self_checks.instrumented("coverage (sys.settrace)") == Check(
        CheckName.INSTRUMENTED,
        "coverage (sys.settrace)",
        "neither saved nor judged; run without it",
    )


def test_where_all_is_well_nothing_is_told() -> None:
    """A check that holds is no check."""
    assert [
        self_checks.contention([], 10),
        self_checks.void([]),
        self_checks.instrumented(None),
    ] == [None, None, None]
