"""The figures of a measurement: that they add up, and when there are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.stats import t_quantile
from pytest_greenops.judge.summary import summarise
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    Measurement,
    Provenance,
    Round,
    Uncounted,
)
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, Verdict
from tests.unit.builders import CPU, DRAM, GPU, GPU_1, IDLE, PSYS, a_round, key, measurement, rounds

PASSED = Verdict(Outcome.PASSED)


def summary(of: Measurement, domain: str = "total", unit: str = "call", **more: Any) -> Result:
    """Return the result of a measurement that passed."""
    return summarise(key(), of, PASSED, domain=domain, unit=unit, conditions={}, **more)


def of_calls(*joules: float, seconds: float = 0.5) -> Measurement:
    """Return a measurement with rounds of one call each."""
    return measurement([a_round(j, seconds=seconds) for j in joules])


def test_joules_are_the_judged_level() -> None:
    """They are the trimmed mean of logarithms: for five rounds, of the middle three."""
    assert summary(of_calls(1.0, 8.0, 4.0, 1000.0, 2.0)).joules == pytest.approx(4.0)
    assert summary(of_calls(3.0)).joules == pytest.approx(3.0)


def test_joules_and_seconds_are_of_one_call() -> None:
    """A round of four calls has the energy and time of four calls."""
    seen = summary(measurement([a_round(8.0, seconds=2.0, iterations=4)] * 5))
    assert (seen.joules, seen.seconds, seen.watts) == pytest.approx((2.0, 0.5, 4.0))


@pytest.mark.parametrize("domain", ["total", "cpu", "gpu", "gpu:0"])
def test_parts_add_up_to_the_whole(domain: str) -> None:
    """The joules of the judged counters add up to the judged joules."""
    uneven = [
        a_round(j, more={"dram:0": j / 3, "gpu:0": g, "psys": 9 * j})
        for j, g in ((1.0, 5.0), (2.0, 1.0), (1.5, 9.0), (7.0, 2.0), (1.1, 3.0), (0.3, 4.0))
    ]
    of = measurement(uneven, domains=(CPU, DRAM, GPU, PSYS))
    seen = summary(of, domain)
    parts = {name: seen.by_domain[name] for name in of.selected(domain)}
    assert math.fsum(parts.values()) == pytest.approx(seen.joules, rel=1e-12)
    shares = {name: sum(r.energy_uj[name] for r in uneven) for name in parts}
    assert parts == {
        name: pytest.approx(seen.joules * share / sum(shares.values()))
        for name, share in shares.items()
    }


def test_counters_outside_the_judged_domain_are_shown_too() -> None:
    """A budget of the GPU hides neither the CPU nor psys."""
    of = measurement(rounds(2.0, more={"gpu:0": 6.0, "psys": 9.0}), domains=(CPU, GPU, PSYS))
    seen = summary(of, "gpu")
    assert seen.joules == pytest.approx(6.0, rel=1e-3)
    assert seen.by_domain == {
        "cpu:0": pytest.approx(2.0, rel=1e-3),
        "gpu:0": pytest.approx(6.0, rel=1e-3),
        "psys": pytest.approx(9.0, rel=1e-3),
    }


def test_a_lost_counter_is_in_no_figure() -> None:
    """The result has the other counters only."""
    of = measurement(rounds(2.0), domains=(CPU, GPU), lost={"gpu:0": "it fell off the bus"})
    seen = summary(of, "cpu")
    assert (seen.domains, seen.by_domain) == ((CPU,), {"cpu:0": pytest.approx(2.0, rel=1e-3)})
    assert seen.joules == pytest.approx(2.0, rel=1e-3)


def test_a_domain_with_a_lost_counter_has_no_figure() -> None:
    """A total without the counter would look like a decrease."""
    of = measurement(rounds(2.0), domains=(CPU, GPU), lost={"gpu:0": "it fell off the bus"})
    seen = summary(of)
    assert (math.isnan(seen.joules), seen.by_domain, seen.interval) == (True, {}, None)
    assert seen.provenance == Provenance({}, estimated=False)


def test_an_idle_card_is_shown_but_not_summed() -> None:
    """Its joules appear under its own name."""
    of = measurement(rounds(2.0, more={"gpu:0": 6.0, "gpu:1": 1.0}), domains=(CPU, GPU, IDLE))
    seen = summary(of)
    assert seen.joules == pytest.approx(8.0, rel=1e-3)
    assert seen.by_domain[GPU_1.name] == pytest.approx(1.0, rel=1e-3)


def test_joules_of_a_unit_are_by_the_work_of_each_round() -> None:
    """Rounds with twice the work and twice the joules are equal per unit."""
    of = measurement(
        [a_round(j, units={"token": 10 * j, "request": 2.0}) for j in (1.0, 2.0, 1.0, 2.0, 1.0)]
    )
    seen = summary(of, unit="token")
    assert seen.per_unit == {
        "token": pytest.approx(0.1),
        "request": pytest.approx(math.exp(math.log(2) / 3) / 2),
    }
    assert (seen.unit, seen.judged_j) == ("token", seen.per_unit["token"])
    assert summary(of).judged_j == summary(of).joules


def test_the_interval_is_students_on_logarithms() -> None:
    """It is 95 % about the level, from the scatter of rounds; a single round has none."""
    logs = [0.0, 0.1, 0.2, 0.3, 0.4]
    seen = summary(of_calls(*(math.exp(log) for log in logs)))
    half = t_quantile(0.975, 4) * math.sqrt(0.025 / 5)
    assert seen.interval == pytest.approx((math.exp(0.2 - half), math.exp(0.2 + half)), rel=1e-5)
    assert summary(of_calls(1.0)).interval is None
    assert summary(of_calls(1.0, 1.0)).interval == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("domain", "interval"),
    [("cpu", (0.925, 1.075)), ("gpu", (2.4, 2.6)), ("total", (3.375, 3.625))],
)
def test_the_interval_of_a_single_round_is_that_of_its_edges(
    domain: str, interval: tuple[float, float]
) -> None:
    """The errors of counters are independent, and shared by the calls of the round."""
    one = a_round(
        4.0,
        iterations=4,
        more={"gpu:0": 10.0, "psys": 99.0},
        errors={"cpu:0": 0.3, "gpu:0": 0.4, "psys": 50.0},
    )
    of = measurement([one], domains=(CPU, GPU, PSYS))
    assert summary(of, domain).interval == pytest.approx(interval)


def test_the_interval_of_edges_ends_at_zero() -> None:
    """A counter that rarely ticks is uncertain, but not below zero."""
    one = a_round(1.0, errors={"cpu:0": 3.0})
    assert summary(measurement([one])).interval == (0.0, 4.0)


@pytest.mark.parametrize(
    ("estimated", "interval"), [(["cpu:0"], None), (["gpu:0"], (1.0, 3.0)), ([], (1.0, 3.0))]
)
def test_an_estimate_has_no_edges(
    estimated: list[str], interval: tuple[float, float] | None
) -> None:
    """The reading error of an estimate does not show its accuracy."""
    one = a_round(2.0, more={"gpu:0": 9.0}, errors={"cpu:0": 1.0, "gpu:0": 0.1})
    of = measurement([one], domains=(CPU, GPU), estimated=estimated)
    assert summary(of, "cpu").interval == interval
    assert (summary(of).interval is None) == bool(estimated)


def test_several_rounds_ignore_the_edges() -> None:
    """Their scatter gives the interval, if at least two have joules."""
    alike = [a_round(2.0, errors={"cpu:0": 1.0})] * 3
    assert summary(measurement(alike)).interval == pytest.approx((2.0, 2.0))
    still = [a_round(2.0, errors={"cpu:0": 1.0}), a_round(0.0, errors={"cpu:0": 1.0})]
    assert summary(measurement(still)).interval is None


def test_calls_outside_rounds_are_reported() -> None:
    """The result has the counts of the measurement, or None."""
    known = replace(of_calls(1.0), uncounted=Uncounted(2, 1))
    assert summary(known).uncounted == Uncounted(2, 1)
    assert summary(of_calls(1.0)).uncounted is None


def test_grams_follow_the_intensity_of_the_grid() -> None:
    """3.6 MJ are a kilowatt-hour, times the PUE; without intensity there are no grams."""
    seen = summary(of_calls(3.6e6), carbon=CarbonFactor(401.0, 1.5))
    assert (seen.grams, seen.carbon) == (pytest.approx(601.5), CarbonFactor(401.0, 1.5))
    assert summary(of_calls(3.6e6)).grams is None


@pytest.mark.parametrize(
    ("of", "domain"),
    [
        (measurement([]), "total"),
        (measurement([a_round(0.0)] * 5), "total"),
        (of_calls(1.0, 2.0), "gpu"),
        (measurement([], domains=()), "total"),
    ],
)
def test_nothing_measured_is_not_a_number(of: Measurement, domain: str) -> None:
    """No rounds, no energy or no such counter give NaN, never zero joules."""
    seen = summary(of, domain, carbon=CarbonFactor(400.0))
    assert [math.isnan(v) for v in (seen.joules, seen.watts, seen.seconds)] == [True] * 3
    assert (seen.by_domain, seen.per_unit, seen.interval, seen.grams) == ({}, {}, None, None)


def test_a_round_without_energy_does_not_break_the_figures() -> None:
    """It has no logarithm; the other rounds have."""
    assert summary(of_calls(0.0, 2.0, 2.0, 2.0)).joules == pytest.approx(2.0)
    still = [a_round(joules, units={"token": 4.0}) for joules in (0.0, 2.0, 2.0, 2.0)]
    assert summary(measurement(still)).per_unit == {"token": pytest.approx(0.5)}


def test_joules_of_no_work_are_not_a_number() -> None:
    """A unit of which a round did nothing has no figure."""
    idle = [a_round(units={"token": tokens, "request": 1.0}) for tokens in (0.0, 1.0, 0.5)]
    assert summary(measurement(idle)).per_unit == {
        "token": pytest.approx(math.nan, nan_ok=True),
        "request": pytest.approx(1.0),
    }
    some = [a_round(units={"token": tokens}) for tokens in (0.5, 0.5, 0.5)]
    assert summary(measurement(some)).per_unit == {"token": pytest.approx(2.0)}


def test_power_of_no_time_is_not_a_number() -> None:
    """Joules in zero seconds have no watts."""
    assert math.isnan(summary(of_calls(1.0, seconds=0.0)).watts)


def test_a_result_has_its_origin() -> None:
    """It has test, name, domain, rounds, sensors, verdict, self-checks and conditions."""
    loud = Check(CheckName.CONTENTION, "loud", "kept", untrusted=True, kinds=("cpu",))
    spent: Sequence[Round] = rounds(2.0, more={"gpu:0": 1.0})
    of = measurement(spent, name="decode", domains=(CPU, GPU), estimated=["cpu:0"], checks=[loud])
    seen = summarise(key(), of, PASSED, domain="gpu", unit="call", conditions={"threads": "4"})
    assert (seen.test, seen.name, seen.domain, seen.unit) == (key(), "decode", "gpu", "call")
    assert (seen.rounds, seen.domains, seen.checks) == (spent, (CPU, GPU), (loud,))
    assert (seen.verdict, seen.conditions) == (PASSED, {"threads": "4"})
    assert seen.provenance == Provenance({"gpu:0": "fake"}, estimated=False)


def test_trust_is_that_of_the_judged_domain() -> None:
    """Another process on the CPU leaves the GPU's result trusted."""
    loud = Check(CheckName.CONTENTION, "loud", "kept", untrusted=True, kinds=("cpu",))
    of = measurement(rounds(2.0, more={"gpu:0": 1.0}), domains=(CPU, GPU), checks=[loud])
    assert [summary(of, domain).untrusted for domain in ("gpu", "cpu", "total")] == [
        False,
        True,
        True,
    ]


def over(*sessions: Sequence[Round]) -> Result:
    """Return the result of several sessions, first that of this process."""
    first, *fresh = map(tuple, sessions)
    return summarise(
        key(), measurement(first), PASSED, domain="total", unit="call", conditions={}, fresh=fresh
    )


def test_joules_are_the_mean_of_the_sessions() -> None:
    """Each session counts equally, whatever its number of rounds."""
    parts = over(rounds(2.0, 5, units={"sample": 4.0}), rounds(8.0, 10, units={"sample": 4.0}))
    assert parts.joules == pytest.approx(4.0, rel=1e-3)
    assert parts.per_unit == {"sample": pytest.approx(1.0, rel=1e-3)}
    assert sum(parts.by_domain.values()) == pytest.approx(parts.joules)
    assert parts.watts == pytest.approx(parts.joules / 0.1)
    assert [len(session) for session in parts.sessions] == [5, 10]


@pytest.mark.parametrize(("number", "parts"), [(1, 100), (10, 20), (100, 2), (101, 0)])
def test_power_over_time_is_bounded(number: int, parts: int) -> None:
    """All rounds of all sessions have at most 200 parts; less than two each say nothing more."""
    curve = PowerCurve.of_counts((0.005 * part, 1.0 * part) for part in range(1, 101))
    sampled = replace(a_round(100.0), power={"cpu:0": curve})
    of = summary(measurement([sampled] * number), fresh=[(sampled,) * number] if number > 1 else [])
    seen = [round_.power for rounds in of.sessions for round_ in rounds]
    most = parts if number == 1 else parts // 2
    assert {len(power["cpu:0"].until_s) for power in seen if power} == (
        {most} if most > 1 else set()
    )
    assert all(power["cpu:0"].joules == pytest.approx(100.0) for power in seen if power)


def test_the_interval_of_two_sessions_includes_both() -> None:
    """Their rounds scatter by less than they differ."""
    interval = over(rounds(2.0), rounds(2.2)).interval
    assert interval
    low, high = interval
    assert low == pytest.approx(2.0, rel=1e-3)
    assert high == pytest.approx(2.2, rel=1e-3)


def test_the_interval_of_sessions_that_agree_is_that_of_their_rounds() -> None:
    """It is narrower than that of one session."""
    both, one = over(rounds(2.0), rounds(2.0)).interval, over(rounds(2.0)).interval
    assert both
    assert one
    assert one[0] < both[0] < 2.0 < both[1] < one[1]


def test_the_interval_of_three_sessions_is_that_of_their_levels() -> None:
    """It is Student's t with two degrees of freedom on their logarithms."""
    sessions = [rounds(joules) for joules in (1.9, 2.0, 2.1)]
    levels = [math.log(over(session).joules) for session in sessions]
    middle = sum(levels) / 3
    error = math.sqrt(sum((level - middle) ** 2 for level in levels) / 2 / 3)
    half = t_quantile(0.975, 2) * error
    assert over(*sessions).interval == pytest.approx(
        (math.exp(middle - half), math.exp(middle + half))
    )


def test_the_interval_of_single_rounds() -> None:
    """For two sessions of one round each it reaches from one to the other."""
    assert over([a_round(2.0)], [a_round(2.2)]).interval == pytest.approx((2.0, 2.2))
