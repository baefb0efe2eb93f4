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
    """A self-check that did not hold."""
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
    """What another counter holds already is in no sum, and is had by its own name alone."""
    assert names == measurement([], domains=ALL).selected(domain)


def test_a_kind_that_is_not_there_selects_nothing() -> None:
    """Without a GPU, `gpu` is no counter at all, rather than zero joules."""
    assert measurement([], domains=(CPU,)).selected("gpu") == ()


@pytest.mark.parametrize(
    ("domain", "names", "why"),
    [
        ("total", (), "gpu:1 is lost"),
        ("gpu", (), "gpu:1 is lost"),
        ("gpu:1", (), "gpu:1 is lost"),
        ("gpu:0", ("gpu:0",), None),
        ("cpu", ("cpu:0", "cpu:1"), None),
        ("psys", (), "psys is lost"),
    ],
)
def test_what_holds_a_lost_counter_selects_nothing(
    domain: str, names: tuple[str, ...], why: str | None
) -> None:
    """A part is not the whole: none of its counters is summed, and the reason can be asked."""
    of = measurement([], domains=ALL, lost={"psys": "psys is lost", "gpu:1": "gpu:1 is lost"})
    assert (names, why) == (of.selected(domain), of.lost_of(domain))


@pytest.mark.parametrize(
    ("domain", "names"), [("total", ("cpu:0",)), ("gpu", ()), ("gpu:1", ("gpu:1",))]
)
def test_an_idle_card_is_had_by_its_own_name_alone(domain: str, names: tuple[str, ...]) -> None:
    """Where all cards are idle, there is no GPU to judge."""
    assert names == measurement([], domains=(CPU, IDLE)).selected(domain)


def test_where_nothing_is_lost_there_is_no_reason() -> None:
    """Neither of what is there nor of what never was."""
    of = measurement([], domains=ALL)
    assert [of.lost_of(domain) for domain in ("total", "gpu", "gpu:9")] == [None] * 3


def test_what_is_not_said_of_a_value_is_its_harmless_default() -> None:
    """A counter counts and never wraps, a round is one window, a check only tells."""
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
def test_values_never_change(value: Any) -> None:
    """What one room was given, another cannot alter."""
    field = next(iter(getattr(value, "__struct_fields__", None) or vars(value)))
    with pytest.raises(AttributeError):
        setattr(value, field, None)


# --- devices ---------------------------------------------------------------------------------


def test_a_state_over_a_round_is_that_after_it() -> None:
    """Heat, clock and limit are those of the end, with every reason that was seen, once."""
    before = DeviceState(40.0, 1980, 300.0, ("sync boost", "software power cap"))
    after = DeviceState(71.0, 1410, 250.0, ("hardware slowdown", "sync boost"))
    assert after.after(before) == DeviceState(
        71.0, 1410, 250.0, ("sync boost", "software power cap", "hardware slowdown")
    )


@pytest.mark.parametrize(
    ("before", "now", "used"),
    [
        (True, False, True),
        (False, True, True),
        (True, None, True),
        (False, False, False),
        (False, None, None),
        (None, True, True),
        (None, None, None),
    ],
)
def test_a_device_was_used_if_it_was_seen_at_work(
    before: bool | None, now: bool | None, used: bool | None
) -> None:
    """Before or after; what is not known in the end was not shown to be idle."""
    assert DeviceState(used=now).after(DeviceState(used=before)).used is used


# --- trust -----------------------------------------------------------------------------------


def test_a_check_that_forbids_a_verdict_is_found_behind_those_that_do_not() -> None:
    """The first untrusted check is the one that is told."""
    first, second = check(), Check(CheckName.DRIFT, "it is louder", "nothing", untrusted=True)
    loud = measurement([], checks=(check(untrusted=False), first, second))
    assert first == loud.untrusted("total")


def test_checks_that_only_tell_leave_the_measurement_trusted() -> None:
    """A check without `untrusted` is for the reader."""
    assert None is measurement([], checks=(check(untrusted=False),)).untrusted("total")


@pytest.mark.parametrize(
    ("domain", "spoilt"), [("total", True), ("cpu", True), ("cpu:0", True), ("gpu", False)]
)
def test_a_check_spoils_only_the_kinds_it_names(domain: str, spoilt: bool) -> None:
    """A neighbour on the CPU says nothing against the joules of the GPU."""
    beside = measurement([], domains=(CPU, GPU), checks=(check("cpu", "dram"),))
    assert spoilt == (beside.untrusted(domain) is not None)


def test_a_check_of_a_kind_does_not_spoil_estimates() -> None:
    """An estimate is of this process alone, so that a neighbour's joules are not in it."""
    beside = measurement([], estimated=("cpu:0",), checks=(check("cpu"),))
    assert None is beside.untrusted("total")


def test_a_check_of_a_kind_puts_estimates_in_doubt() -> None:
    """Asked for estimates too, a neighbour on the CPU is found; on another kind it is not."""
    beside = measurement([], estimated=("cpu:0",), checks=(check("cpu"),))
    assert beside.untrusted("total", estimates=True) == check("cpu")
    other = measurement([], estimated=("cpu:0",), checks=(check("gpu"),))
    assert other.untrusted("total", estimates=True) is None


def test_a_check_of_every_kind_spoils_estimates_too() -> None:
    """A check that names no kind is about the measurement itself."""
    assert check() == measurement([], estimated=("cpu:0",), checks=(check(),)).untrusted("total")


# --- provenance ------------------------------------------------------------------------------


def test_provenance_is_that_of_the_judged_counters() -> None:
    """A total with an estimated part is estimated; a sensed part of it by itself is not."""
    mixed = measurement([], domains=(CPU, GPU), estimated=("cpu:0",))
    assert Provenance({"cpu:0": "fake", "gpu:0": "fake"}, True) == mixed.provenance("total")
    assert Provenance({"gpu:0": "fake"}, False) == mixed.provenance("gpu")
    assert Provenance({}, False) == mixed.provenance("dram")


# --- figures ---------------------------------------------------------------------------------


def test_joules_of_a_call_are_of_one_iteration() -> None:
    """The counters asked for are added up and divided by the iterations, round by round."""
    rounds = [
        a_round(8.0, iterations=4, more={"dram:0": 2.0}),
        a_round(3.0, iterations=1, more={"dram:0": 1.0}),
    ]
    assert joules_per_unit(rounds, ("cpu:0", "dram:0"), "call") == (2.5, 4.0)
    assert joules_per_unit(rounds, ("dram:0",), "call") == (0.5, 1.0)
    assert joules_per_unit(rounds, (), "call") == (0.0, 0.0)


def test_joules_of_a_unit_are_of_the_work_that_all_iterations_did() -> None:
    """Units of a round count all its calls, so the iterations do not divide once more."""
    done = a_round(8.0, iterations=4, units={"token": 16.0, "request": 4.0})
    assert (
        joules_per_unit([done], ("cpu:0",), "token"),
        joules_per_unit([done], ("cpu:0",), "request"),
    ) == ((0.5,), (2.0,))
    assert (work_done(done, "call"), work_done(done, "token")) == (4, 16.0)


def test_counters_of_one_kind_are_added_up() -> None:
    """Two sockets are one CPU figure; counters without a figure, and figures without, are left."""
    energy = {"cpu:0": 1.0, "cpu:1": 2.0, "gpu:0": 4.0, "other": 8.0}
    assert by_kind(energy, ALL) == {"cpu": 3.0, "gpu": 4.0}


@pytest.mark.parametrize(
    ("before", "now", "over"),
    [
        (True, False, True),
        (None, False, None),
        (False, None, None),
        (False, True, True),
        (False, False, False),
    ],
)
def test_a_device_is_idle_only_if_it_was_known_to_be(
    before: bool | None, now: bool | None, over: bool | None
) -> None:
    """Work that was seen at either end counts, and what was not known is not taken for rest."""
    assert DeviceState(used=now).after(DeviceState(used=before)).used is over


@pytest.mark.parametrize(
    ("before", "now", "throttled"),
    [(7, 8, True), (0, 1, True), (7, 7, False), (8, 7, False), (None, 8, False), (7, None, False)],
)
def test_a_processor_that_was_slowed_down_meanwhile_has_a_reason(
    before: int | None, now: int | None, throttled: bool
) -> None:
    """A count that grew is one; that of a processor that went offline falls."""
    over = DeviceState(throttle_count=now).after(DeviceState(throttle_count=before))
    assert over.throttle_reasons == ("thermal throttle",) * throttled


@pytest.mark.parametrize(("before", "now", "over"), [(True, False, True), (None, False, None)])
def test_a_stranger_that_was_there_is_remembered(
    before: bool | None, now: bool, over: bool | None
) -> None:
    """At either end of a round, as the use of a device is."""
    assert DeviceState(foreign=now).after(DeviceState(foreign=before)).foreign is over
