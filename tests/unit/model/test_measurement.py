"""What a measurement sums, trusts and divides by."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    DeviceState,
    Domain,
    Kind,
    LoadShare,
    Provenance,
    Round,
    Window,
    by_kind,
    joules_per_unit,
    work_done,
)
from tests.unit.builders import CPU, DRAM, GPU, IDLE, PSYS, a_round, measurement

CPU_1 = Domain("cpu:1", "cpu")
GPU_1 = Domain("gpu:1", "gpu")
IDLE_GPU = Domain("gpu:2", "gpu", counted=False)
ALL = (CPU, CPU_1, DRAM, GPU, GPU_1, IDLE_GPU, PSYS)


def check(*kinds: Kind, untrusted: bool = True) -> Check:
    """Return a failed self-check."""
    return Check(CheckName.CONTENTION, "it is loud", "nothing", untrusted, kinds)


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("total", ("cpu:0", "cpu:1", "dram:0", "gpu:0", "gpu:1")),
        ("cpu", ("cpu:0", "cpu:1")),
        ("dram", ("dram:0",)),
        ("gpu", ("gpu:0", "gpu:1")),
        ("gpu:1", ("gpu:1",)),
        ("gpu:2", ("gpu:2",)),
        ("psys", ("psys",)),
        ("cpu:7", ()),
    ],
)
def test_a_judged_domain_sums_each_joule_once(domain: str, names: tuple[str, ...]) -> None:
    """A counter that another one includes is selected only by its own name."""
    assert names == measurement([], domains=ALL).selected(domain)


@pytest.mark.parametrize(
    ("domain", "names", "why"),
    [
        ("total", (), "gpu:1 is lost"),
        ("gpu", (), "gpu:1 is lost"),
        ("gpu:1", (), "gpu:1 is lost"),
        ("gpu:0", ("gpu:0",), None),
        ("cpu", ("cpu:0", "cpu:1"), None),
        ("gpu:9", (), None),
        ("psys", (), "psys is lost"),
    ],
)
def test_a_domain_with_a_lost_counter_selects_nothing(
    domain: str, names: tuple[str, ...], why: str | None
) -> None:
    """The rest is not the whole, and the reason is available."""
    of = measurement([], domains=ALL, lost={"psys": "psys is lost", "gpu:1": "gpu:1 is lost"})
    assert (names, why) == (of.selected(domain), of.lost_of(domain))


@pytest.mark.parametrize(
    ("domains", "domain", "names"),
    [
        ((CPU, IDLE), "total", ("cpu:0",)),
        ((CPU, IDLE), "gpu", ()),
        ((CPU, IDLE), "gpu:1", ("gpu:1",)),
        ((CPU,), "gpu", ()),
    ],
)
def test_an_idle_card_is_selected_only_by_its_own_name(
    domains: tuple[Domain, ...], domain: str, names: tuple[str, ...]
) -> None:
    """If all cards are idle or there is none, `gpu` selects nothing, rather than zero joules."""
    assert names == measurement([], domains=domains).selected(domain)


def test_values_have_harmless_defaults() -> None:
    """A counter counts and never wraps, a round is one window, a check only informs."""
    assert Domain("cpu:0", "cpu") == Domain("cpu:0", "cpu", None, 1000.0, counted=True)
    assert Round({}, 1.0, 2) == Round({}, 1.0, 2, windows=1, units={}, error_uj={}, devices={})
    assert DeviceState() == DeviceState(None, None, None, throttle_reasons=(), used=None)
    assert measurement([]).lost == {}
    assert Check(CheckName.VOID, "b", "c") == Check(
        CheckName.VOID, "b", "c", untrusted=False, kinds=()
    )
    assert LoadShare(0.0, 0.0).idle == 1.0


@pytest.mark.parametrize(
    "value",
    [
        CPU,
        Window(1.0, {}),
        DeviceState(),
        a_round(),
        check(),
        Provenance({}, False),
        measurement([]),
        Environment({}),
        Budget(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_immutable(value: Any) -> None:
    """A package cannot change the values of another."""
    field = next(iter(getattr(value, "__struct_fields__", None) or vars(value)))
    with pytest.raises(AttributeError):
        setattr(value, field, None)


def test_a_state_over_a_round_is_the_one_after_it() -> None:
    """Temperature, clock and limit are the last ones; all reasons are kept once."""
    before = DeviceState(40.0, 1980, 300.0, ("sync boost", "software power cap"))
    after = DeviceState(71.0, 1410, 250.0, ("hardware slowdown", "sync boost"))
    assert after.after(before) == DeviceState(
        71.0, 1410, 250.0, ("sync boost", "software power cap", "hardware slowdown")
    )


@pytest.mark.parametrize("field", ["used", "foreign"])
@pytest.mark.parametrize(
    ("before", "now", "over"),
    [
        (True, False, True),
        (False, True, True),
        (True, None, True),
        (None, True, True),
        (False, False, False),
        (False, None, None),
        (None, False, None),
        (None, None, None),
    ],
)
def test_use_of_a_device_at_either_end_counts(
    field: str, before: bool | None, now: bool | None, over: bool | None
) -> None:
    """A device is idle over a round only if it was idle at both ends."""
    state = DeviceState(**{field: now}).after(DeviceState(**{field: before}))
    assert getattr(state, field) is over


LOUD = check()
INFORMS = check(untrusted=False)
LOUDER = Check(CheckName.DRIFT, "it is louder", "nothing", untrusted=True)
CPU_BUSY = check("cpu", "dram")


@pytest.mark.parametrize(
    ("checks", "estimated", "domain", "estimates", "found"),
    [
        ((INFORMS, LOUD, LOUDER), (), "total", False, LOUD),
        ((INFORMS,), (), "total", False, None),
        ((CPU_BUSY,), (), "total", False, CPU_BUSY),
        ((CPU_BUSY,), (), "cpu", False, CPU_BUSY),
        ((CPU_BUSY,), (), "cpu:0", False, CPU_BUSY),
        ((CPU_BUSY,), (), "gpu", False, None),
        ((CPU_BUSY,), ("cpu:0",), "cpu", False, None),
        ((CPU_BUSY,), ("cpu:0",), "cpu", True, CPU_BUSY),
        ((check("gpu"),), ("cpu:0",), "cpu", True, None),
        ((LOUD,), ("cpu:0",), "cpu", False, LOUD),
    ],
)
def test_the_first_check_that_forbids_a_verdict_is_found(
    checks: tuple[Check, ...],
    estimated: tuple[str, ...],
    domain: str,
    estimates: bool,
    found: Check | None,
) -> None:
    """A check of some kinds spoils only these, and estimates only with `estimates=True`."""
    seen = measurement([], domains=(CPU, GPU), estimated=estimated, checks=checks)
    assert seen.untrusted(domain, estimates=estimates) == found


def test_provenance_is_that_of_the_judged_counters() -> None:
    """A total with an estimate is estimated; a sensed part of it is not."""
    mixed = measurement([], domains=(CPU, GPU), estimated=("cpu:0",))
    assert Provenance({"cpu:0": "fake", "gpu:0": "fake"}, True) == mixed.provenance("total")
    assert Provenance({"gpu:0": "fake"}, False) == mixed.provenance("gpu")
    assert Provenance({}, False) == mixed.provenance("dram")


def test_joules_of_a_call_are_of_one_iteration() -> None:
    """The counters are summed and divided by the iterations of each round."""
    rounds = [
        a_round(8.0, iterations=4, more={"dram:0": 2.0}),
        a_round(3.0, iterations=1, more={"dram:0": 1.0}),
    ]
    assert joules_per_unit(rounds, ("cpu:0", "dram:0"), "call") == (2.5, 4.0)
    assert joules_per_unit(rounds, ("dram:0",), "call") == (0.5, 1.0)
    assert joules_per_unit(rounds, (), "call") == (0.0, 0.0)


def test_joules_of_a_unit_are_over_all_iterations() -> None:
    """Units of a round include all its calls, so the iterations do not divide again."""
    done = a_round(8.0, iterations=4, units={"token": 16.0, "request": 4.0})
    assert (
        joules_per_unit([done], ("cpu:0",), "token"),
        joules_per_unit([done], ("cpu:0",), "request"),
    ) == ((0.5,), (2.0,))
    assert (work_done(done, "call"), work_done(done, "token")) == (4, 16.0)


def test_counters_of_one_kind_are_added_up() -> None:
    """Counters without energy and energies without counter are ignored."""
    energy = {"cpu:0": 1.0, "cpu:1": 2.0, "gpu:0": 4.0, "other": 8.0}
    assert by_kind(energy, ALL) == {"cpu": 3.0, "gpu": 4.0}


@pytest.mark.parametrize(
    ("before", "now", "throttled"),
    [(7, 8, True), (0, 1, True), (7, 7, False), (8, 7, False), (None, 8, False), (7, None, False)],
)
def test_a_cpu_that_throttled_during_a_round_has_a_reason(
    before: int | None, now: int | None, throttled: bool
) -> None:
    """A higher count is one; the count of a CPU that went offline decreases."""
    over = DeviceState(throttle_count=now).after(DeviceState(throttle_count=before))
    assert over.throttle_reasons == ("thermal throttle",) * throttled
