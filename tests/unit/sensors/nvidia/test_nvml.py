"""The NVML sensor, read through the unmodified `pynvml` from a simulated driver and clock."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from pytest_greenops.machine import gpu
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia import device_state
from pytest_greenops.sensors.nvidia.nvml import NvmlSensor, open_sensor
from tests.simulated_host import child, nvml
from tests.simulated_host.nvml import Card, Work
from tests.simulated_host.simulated_clock import SimulatedClock

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

A = Card()
B = Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000")
OTHER_MODEL = Card(uuid="GPU-1111cccc-0000-0000-0000-000000000000", name="Simulated B")

Open = Callable[..., NvmlSensor]


@pytest.fixture
def clock(tmp_path: Path) -> SimulatedClock:
    """The clock of the cards and of the sensor."""
    return SimulatedClock(tmp_path / "clock")


@pytest.fixture
def opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: SimulatedClock
) -> Iterator[Open]:
    """Opens the sensor on simulated cards, whose script begins now."""
    sensors = []

    def opened(*cards: Card, init_error: int = 0, **environ: str) -> NvmlSensor:
        nvml.load(monkeypatch, tmp_path, cards, clock, init_error=init_error)
        sensors.append(open_sensor(environ, clock))
        return sensors[-1]

    yield opened
    for sensor in sensors:
        sensor.close()


@pytest.fixture
def refusal(opened: Open) -> Callable[..., tuple[str, str | None, bool]]:
    """Returns the reason, the remedy, and whether the device is absent."""

    def refusal(*cards: Card, **how: Any) -> tuple[str, str | None, bool]:
        with pytest.raises(SensorUnavailable) as raised:
            opened(*cards, **how)
        return raised.value.reason, raised.value.remedy, raised.value.absent

    return refusal


def names(sensor: NvmlSensor) -> list[str]:
    """Return the domains of a sensor."""
    return [domain.name for domain in sensor.domains]


# --- what is read ----------------------------------------------------------------------------


def test_two_readings_count_the_joules_between_them(opened: Open, clock: SimulatedClock) -> None:
    """Their difference is the card's energy in microjoules, to one tick at either edge."""
    start_s = clock.time_s
    card = Card(power_w=tuple((i / 10, 100.0 + 50 * (i % 3)) for i in range(60)), tick_s=0.005)
    sensor = opened(card)
    before = sensor.read()
    clock.sleep(0.5)
    after = sensor.read()
    true_j = card.joules(before.time_ns * 1e-9 - start_s, after.time_ns * 1e-9 - start_s)
    counted_j = (after.energy_uj[0] - before.energy_uj[0]) * 1e-6
    assert counted_j == pytest.approx(true_j, abs=200 * card.tick_s)


def test_each_card_is_a_domain(opened: Open) -> None:
    """A sensed one, with its number in NVML and a plausible power above the enforced limit."""
    sensor = opened(A, replace(B, limit_w=250.0))
    assert (sensor.name, sensor.source) == ("nvml", "sensed")
    assert [(d.name, d.kind, d.range_uj, d.max_power_w) for d in sensor.domains] == [
        ("gpu:0", "gpu", None, 360.0),
        ("gpu:1", "gpu", None, 300.0),
    ]


@pytest.mark.parametrize(
    ("cards", "period_s", "words"),
    [
        ([Card(tick_s=0.02)], 0.02, "ticks every 20 ms"),
        ([Card(tick_s=0.1)], 0.1, "ticks every 100 ms"),
        ([Card(tick_s=0.01), Card(uuid=B.uuid, tick_s=0.08)], 0.08, "ticks every 80 ms"),
        ([Card(power_w=((0.0, 0.0),))], 0.1, "no tick of gpu:0 seen in 1 s, 100 ms assumed"),
        (
            [Card(power_w=((0.0, 0.0),)), Card(uuid=B.uuid, tick_s=0.25)],
            0.25,
            "no tick of gpu:0 seen",
        ),
        (
            [Card(power_w=((0.0, 0.0), (0.2, 50.0), (0.3, 0.0)), tick_s=0.5)],
            1.0,
            "no tick of gpu:0 seen in 1 s, 1000 ms assumed",
        ),
    ],
    ids=["often", "seldom", "slowest", "none", "none of one", "one"],
)
def test_the_tick_is_measured(opened: Open, cards: list[Card], period_s: float, words: str) -> None:
    """The update period is the longest tick; after one change or none, the method says so."""
    sensor = opened(*cards)
    assert sensor.update_period_s == pytest.approx(period_s, rel=0.03)
    assert words in sensor.method


# --- which cards -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (None, ["gpu:0", "gpu:1"]),
        ("0", ["gpu:0"]),
        ("1", ["gpu:1"]),
        ("1,0", ["gpu:1", "gpu:0"]),
        (" 1 , 0 ", ["gpu:1", "gpu:0"]),
        ("1gpu", ["gpu:1"]),
        ("1,7,0", ["gpu:1"]),
        ("1,-1,0", ["gpu:1"]),
        (B.uuid, ["gpu:1"]),
        ("GPU-2222", ["gpu:1"]),
        ("GPU-2222,GPU-1111", ["gpu:1", "gpu:0"]),
        ("MIG-GPU-2222bbbb-0000-0000-0000-000000000000/1/0", ["gpu:1"]),
    ],
)
def test_the_cards_are_those_that_cuda_shows(
    opened: Open, listed: str | None, expected: list[str]
) -> None:
    """CUDA_VISIBLE_DEVICES selects by number, UUID or unambiguous prefix, up to a wrong entry."""
    environ = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert names(opened(A, B, **environ)) == expected


def test_the_method_says_where_the_list_of_cards_ends(opened: Open) -> None:
    """CUDA drops everything after an entry that names no card."""
    method = opened(A, B, CUDA_VISIBLE_DEVICES="1,7,0").method
    assert "CUDA_VISIBLE_DEVICES ends at '7', which names no single card" in method


@pytest.mark.parametrize("listed", ["", " ", "-1"])
def test_hidden_cards_are_absent(refusal: Callable[..., Any], listed: str) -> None:
    """Cards that were hidden on purpose are not missed."""
    reason, _, absent = refusal(A, CUDA_VISIBLE_DEVICES=listed)
    assert (reason, absent) == (f"CUDA_VISIBLE_DEVICES={listed!r} hides all cards", True)


@pytest.mark.parametrize(
    ("listed", "trouble"),
    [
        *((entry, f"ends at {entry!r}, which names no single card") for entry in ("7", "none")),
        *(
            (f"{prefix}", f"ends at '{prefix}', which names no single card")
            for prefix in ("GPU-9999", "GPU-1111", "MIG-9999")
        ),
        ("0,0", "names a card twice"),
    ],
)
def test_a_list_that_shows_no_card_is_refused(
    refusal: Callable[..., Any], listed: str, trouble: str
) -> None:
    """The reason has the value as the user wrote it, and the fix."""
    assert refusal(A, Card(uuid=OTHER_MODEL.uuid), CUDA_VISIBLE_DEVICES=listed) == (
        f"CUDA_VISIBLE_DEVICES={listed!r} shows no card: it {trouble}",
        "name cards as nvidia-smi -L lists them",
        False,
    )


UNCLEAR = "taken in PCI bus order, which CUDA may not follow: set CUDA_DEVICE_ORDER=PCI_BUS_ID"


@pytest.mark.parametrize(
    ("other", "environ", "unclear"),
    [
        (OTHER_MODEL, {"CUDA_VISIBLE_DEVICES": "1"}, True),
        (OTHER_MODEL, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, True),
        (OTHER_MODEL, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        (OTHER_MODEL, {"CUDA_VISIBLE_DEVICES": OTHER_MODEL.uuid}, False),
        (OTHER_MODEL, {}, False),
        (B, {"CUDA_VISIBLE_DEVICES": "1"}, False),
    ],
)
def test_the_method_says_when_numbers_are_unclear(
    opened: Open, other: Card, environ: dict[str, str], unclear: bool
) -> None:
    """The numbers of different models depend on CUDA_DEVICE_ORDER."""
    assert (UNCLEAR in opened(A, other, **environ).method) == unclear


@pytest.mark.parametrize(("initialised", "expected"), [(True, ["gpu:0"]), (False, ["gpu:1"])])
def test_torch_knows_which_card_a_number_means(
    opened: Open, monkeypatch: pytest.MonkeyPatch, initialised: bool, expected: list[str]
) -> None:
    """Where numbers are unclear, a torch that has initialised CUDA is asked; no other is."""
    cuda = SimpleNamespace(
        is_initialized=lambda: initialised,
        device_count=lambda: 1,
        get_device_properties=lambda number: SimpleNamespace(uuid=A.uuid.removeprefix("GPU-")),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert names(opened(A, OTHER_MODEL, CUDA_VISIBLE_DEVICES="1")) == expected


def test_a_mig_instance_is_measured_as_its_whole_card(opened: Open) -> None:
    """An instance has no counter of its own: its card's is read, and the method says so."""
    instance = "MIG-3333dddd-0000-0000-0000-000000000000"
    sensor = opened(A, Card(uuid=B.uuid, mig=instance), CUDA_VISIBLE_DEVICES=instance)
    assert names(sensor) == ["gpu:1"]
    assert "gpu:1: energy of the whole card, not of one MIG instance" in sensor.method


def test_a_card_without_counter_is_sampled(opened: Open) -> None:
    """Its power is integrated, next to cards that count, and the method says so."""
    sensor = opened(A, Card(uuid=B.uuid, counter=False))
    assert names(sensor) == ["gpu:0", "gpu:1"]
    assert (
        "gpu:1 without an energy counter: power sampled every 2 ms and integrated; "
        "the card reports it to 5 %"
    ) in sensor.method


# --- no sensor -------------------------------------------------------------------------------


def test_a_closed_sensor_has_no_counts(opened: Open) -> None:
    """NVML is released on close: nothing can be read after it."""
    sensor = opened(A)
    sensor.close()
    assert sensor.read().energy_uj == [None]


def test_a_refusal_releases_nvml(refusal: Callable[..., Any]) -> None:
    """A sensor that is refused leaves NVML as it found it: not started."""
    import pynvml

    refusal(Card(deny_s=0.0))
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()


@pytest.mark.parametrize(
    ("cards", "init_error", "expected"),
    [
        ([A], 9, ("the NVIDIA driver is not loaded", "sudo modprobe nvidia", True)),
        (
            [A],
            18,
            (
                "the NVIDIA driver in the kernel and its library have different versions",
                "reboot, or reload the driver",
                False,
            ),
        ),
        (
            [A],
            4,
            ("this user may not use the NVIDIA driver", "give it access to /dev/nvidia*", False),
        ),
        ([A], 999, ("NVML does not start: Unknown Error", None, False)),
        ([], 0, ("the NVIDIA driver shows no card", None, True)),
        (
            [replace(A, lost_s=0.0), replace(B, lost_s=0.0)],
            0,
            (
                "no NVIDIA card can be used: gpu:0 does not answer (GPU is lost), "
                "gpu:1 does not answer (GPU is lost)",
                "sudo nvidia-smi --gpu-reset -i 0,1, or reboot",
                False,
            ),
        ),
        (
            [replace(A, deny_s=0.0)],
            0,
            ("this user may not use the NVIDIA card", "give it access to /dev/nvidia*", False),
        ),
    ],
)
def test_the_reason_says_why_there_is_no_card(
    refusal: Callable[..., Any], cards: list[Card], init_error: int, expected: object
) -> None:
    """With the fix, if there is one."""
    assert refusal(*cards, init_error=init_error) == expected


def test_a_card_that_is_lost_before_the_run_is_named(opened: Open) -> None:
    """The others are measured, and a note says which one does not answer."""
    sensor = opened(A, replace(B, lost_s=0.0))
    assert names(sensor) == ["gpu:0"]
    assert sensor.notes == ("gpu:1 does not answer (GPU is lost): not measured",)


def test_a_name_that_is_not_utf_8_stays_a_fact(opened: Open) -> None:
    """Names that differ only in such a byte are different facts, which any file can hold."""
    found = []
    for byte in (0xFF, 0xFE):
        sensor = opened(replace(A, name=f"Simulated {os.fsdecode(bytes([byte]))}"))
        found.append(gpu.matched(Instruments([sensor]))["gpu"])
    assert found == [r"Simulated \xff", r"Simulated \xfe"]


def test_powers_that_no_card_has_are_unknown(opened: Open) -> None:
    """A driver that answers 4 MW knows no power: neither a limit nor joules come from it."""
    absurd = replace(A, limit_w=4_294_967.0)
    assert opened(absurd).domains[0].max_power_w == Domain("gpu:0", "gpu").max_power_w
    with pytest.raises(SensorUnavailable, match="has neither an energy counter nor a power"):
        opened(replace(absurd, counter=False, power_gain=40_000.0))


# --- windows ---------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A window: when it was in the script, and what was measured, by domain."""

    begin_s: float
    end_s: float
    energy_uj: dict[str, int]
    error_uj: dict[str, float]
    missing: dict[str, str]

    def is_exact(self, name: str, true_j: float) -> bool:
        """Return whether its energy is within 3 %, or within its stated error."""
        off_uj = abs(self.energy_uj[name] - 1e6 * true_j)
        return off_uj <= max(0.03e6 * true_j, self.error_uj[name])


def windows(
    sensor: NvmlSensor, clock: SimulatedClock, most: int, start_s: float = 0.0
) -> list[Seen]:
    """Measure windows of 0.2 s, up to one that misses a card."""
    instruments = Instruments([sensor], clock)
    seen: list[Seen] = []
    while len(seen) < most and not (seen and seen[-1].missing):
        before = instruments.begin()
        clock.sleep(0.2)
        after = instruments.end()
        window = instruments.window(before, after)
        begin_s, end_s = (reading[0].time_ns * 1e-9 - start_s for reading in (before, after))
        seen.append(Seen(begin_s, end_s, window.energy_uj, window.error_uj, window.missing))
    return seen


def work_between_rests(
    sensor: NvmlSensor, clock: SimulatedClock
) -> Iterator[tuple[float, float, float]]:
    """Yield energy, stated error and truth of five windows of 0.2 s, in microjoules."""
    instruments, work, chance = Instruments([sensor], clock), Work(), random.Random(1)
    for _ in range(5):
        clock.sleep(chance.uniform(0.15, 0.25))
        before = instruments.begin()
        first_j = work.joules()
        for watts, seconds in ((300.0, 0.06), (180.0, 0.06), (250.0, 0.08)):
            work.draw(watts)
            clock.sleep(seconds)
        true_uj = 1e6 * (work.draw(60.0) - first_j)
        window = instruments.window(before, instruments.end())
        yield window.energy_uj["gpu:0"], window.error_uj["gpu:0"], true_uj


@pytest.mark.parametrize(
    "card",
    [
        Card(),
        Card(tick_s=0.02),
        Card(jitter=0.3),
        Card(power_noise=0.02),
        Card(power_tick_s=0.0253),
        Card(power_tick_s=0.1013, power_lag_s=0.05),
        Card(instant=False),
        Card(counter=False, average_s=0.0, power_tick_s=0.02, power_noise=0.01),
    ],
    ids=["prompt", "often", "jitter", "noise", "renewed", "late", "mean", "sampled"],
)
def test_a_window_is_exact_and_states_its_error(
    opened: Open, clock: SimulatedClock, card: Card
) -> None:
    """Work of 0.2 s between rests is known to 5 %, however the card reports its power."""
    tick_s = 0.1 if card.tick_s == Card.tick_s else card.tick_s
    sensor = opened(replace(card, tick_s=tick_s, power_w=((0.0, 60.0),), processes=(0,)))
    measured = list(work_between_rests(sensor, clock))
    errors = [abs(energy_uj - true_uj) for energy_uj, _, true_uj in measured]
    assert sorted(errors)[len(errors) // 2] <= 0.05 * measured[0][2]
    assert sum(off <= stated for off, (_, stated, _) in zip(errors, measured, strict=True)) >= 4


@pytest.mark.parametrize("cards", [2, 8])
def test_every_card_has_edges_of_its_own(opened: Open, clock: SimulatedClock, cards: int) -> None:
    """Counters that tick at different times and rates are all known at the same edges."""
    start_s = clock.time_s
    many = [
        Card(
            uuid=f"GPU-{number}",
            power_w=((0.0, 60.0 + 20 * number),),
            tick_s=0.02 + 0.01 * number,
            phase_s=0.003 * number,
        )
        for number in range(cards)
    ]
    for window in windows(opened(*many), clock, 3, start_s):
        assert len(window.energy_uj) == cards
        for number, card in enumerate(many):
            assert window.is_exact(f"gpu:{number}", card.joules(window.begin_s, window.end_s))


#: When a card fails, in seconds of the script: long after the sensor was opened.
FAILS_S = 3.0
LOST = "gpu:1 could not be read: GPU is lost (nvidia-smi -q shows more)"


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (Card(lost_s=FAILS_S), LOST),
        (
            Card(deny_s=FAILS_S),
            "gpu:1 could not be read: Insufficient Permissions (nvidia-smi -q shows more)",
        ),
        (
            Card(tick_s=0.02, stick_s=FAILS_S),
            "gpu:1 does not move although the card draws 100 W: it is stuck (reload the driver)",
        ),
        (Card(reset_s=FAILS_S), "gpu:1 went back and its range is not known"),
        (Card(counter=False, lost_s=FAILS_S), LOST),
    ],
    ids=["lost", "forbidden", "stuck", "reset", "sampled and lost"],
)
def test_a_card_that_fails_in_the_middle_says_why(
    opened: Open, clock: SimulatedClock, card: Card, why: str
) -> None:
    """It has no figure, and the other card keeps its own."""
    *whole, void = windows(opened(A, replace(card, uuid=B.uuid)), clock, most=40)
    assert void.missing == {"gpu:1": why}
    assert "gpu:1" not in void.energy_uj
    for window in [*whole, void]:
        assert window.is_exact("gpu:0", 100.0 * (window.end_s - window.begin_s))


@pytest.mark.parametrize("card", [A, Card(counter=False)], ids=["counted", "sampled"])
def test_a_read_that_fails_once_leaves_the_next_window_alone(
    opened: Open, clock: SimulatedClock, card: Card
) -> None:
    """A card that answers again is measured again."""
    start_s = clock.time_s
    sensor = opened(replace(card, fail_between=((1.0, 2.0, 999),)))
    instruments = Instruments([sensor], clock)
    missing = []
    for until_s in (0.9, 1.5, 2.5):
        clock.sleep(start_s + until_s - clock.time_s)
        before = instruments.begin()
        clock.sleep(0.2)
        missing.append(list(instruments.window(before, instruments.end()).missing))
    assert missing == [["gpu:0"], ["gpu:0"], []]


def test_a_card_rests_if_no_process_works_on_it(opened: Open, clock: SimulatedClock) -> None:
    """A busy card, one that a process computes on and one that does not report may be at work."""
    cards = [
        A,
        Card(uuid=B.uuid, power_w=((0.0, 20.0), (0.001, 100.0))),
        Card(uuid="GPU-3", processes=(1,)),
        Card(uuid="GPU-4", processes=None),
    ]
    assert opened(*cards).resting() == {"gpu:0"}


@pytest.mark.parametrize(
    ("card", "doubts"),
    [
        (Card(gain=0.85), {"gpu:0": "gpu:0 counts 15 % less than its integrated power"}),
        (Card(gain=1.2), {"gpu:0": "gpu:0 counts 20 % more than its integrated power"}),
        (Card(), {}),
        (Card(power_noise=0.05), {}),
        (Card(gain=1.07), {}),
    ],
)
def test_a_counter_that_disagrees_with_its_power_is_labelled(
    opened: Open, card: Card, doubts: dict[str, str]
) -> None:
    """In the doubts and in the method; up to 10 % is agreement."""
    sensor = opened(card)
    assert sensor.doubts == doubts
    assert all(why in sensor.method for why in doubts.values())


STUCK = "does not move although the card draws 100 W: not measured"


def test_a_counter_that_is_stuck_from_the_start_is_left_out(opened: Open) -> None:
    """The other card is measured without it, and a note for the header says why."""
    sensor = opened(A, replace(B, stick_s=0.0))
    assert (names(sensor), list(sensor.notes)) == (["gpu:0"], [f"gpu:1 {STUCK}"])


def test_a_machine_whose_counters_are_all_stuck_has_no_sensor(refusal: Callable[..., Any]) -> None:
    """There is nothing left to measure."""
    reason = f"no card can be measured: gpu:0 {STUCK}"
    assert refusal(replace(A, stick_s=0.0)) == (reason, "reload the driver", False)


@pytest.mark.parametrize(("processes", "waits"), [((0,), True), ((), False)])
def test_a_card_without_work_is_not_waited_for(
    opened: Open, clock: SimulatedClock, processes: tuple[int, ...], waits: bool
) -> None:
    """A card that is known to be idle is read at once, and its count is known to a tick only."""
    instruments = Instruments([opened(Card(tick_s=0.1, processes=processes))], clock)
    instruments.states()
    began_s = clock.time_s
    window = instruments.window(instruments.begin(), instruments.end())
    a_tick_uj = 100.0 * 0.1 * 1e6
    error_uj = window.error_uj["gpu:0"]
    assert (error_uj < 0.5 * a_tick_uj) == waits
    assert (error_uj > a_tick_uj) != waits
    assert (clock.time_s - began_s > 0.01) == waits


def test_work_that_keeps_in_step_with_the_samples_is_spread(
    opened: Open, clock: SimulatedClock
) -> None:
    """If power is renewed every 100 ms and calls take 100 ms, each phase of them is seen."""
    power = ((0.0, 60.0),)
    sensor = opened(
        Card(power_w=power, counter=False, power_tick_s=0.1, average_s=0.0, processes=(0,))
    )
    work = Work()

    def call() -> None:
        for watts in (250.0, 60.0):
            work.draw(watts)
            clock.sleep(0.05)

    instruments, plan = Instruments([sensor], clock), Plan(looks=(3,), iterations=16)
    meter = Meter(instruments, plan, lambda *asked: True, clock=clock)
    for trip in meter.trips():
        for calls in trip.batches():
            with trip.window("call"):
                for _ in range(calls):
                    call()
    for round_ in meter.measurements()["call"].rounds:
        joules = round_.energy_uj["gpu:0"] * 1e-6
        assert joules == pytest.approx(155.0 * round_.seconds, rel=0.25)


# --- states ----------------------------------------------------------------------------------


def test_a_state_is_that_of_the_end_of_the_window(opened: Open) -> None:
    """Temperature, clock, limit, and what limited the clocks since the last call."""
    card = Card(
        temperature_c=((0.0, 40.0), (1000.0, 40.0)),
        clock_mhz=((0.0, 1410),),
        limit_w=300.0,
        throttle=((0.0, 0x40),),
    )
    sensor = opened(card)
    sensor.begin()
    sensor.end()
    first, second = sensor.states()["gpu:0"], sensor.states()["gpu:0"]
    assert (first.temperature_c, first.clock_mhz, first.power_limit_w) == (40, 1410, 300.0)
    assert (first.throttle_reasons, first.used) == (("hardware thermal slowdown",), False)
    assert second.throttle_reasons == ()


def used(sensor: NvmlSensor) -> list[bool | None]:
    """Return whether this process uses each card."""
    return [state.used for state in sensor.states().values()]


@pytest.mark.parametrize(
    ("processes", "cuda", "expected"),
    [
        (((0,), ()), False, [True, False]),
        (((1,), ()), False, [False, False]),
        (((1,), ()), True, [None, None]),
        (((), None), False, [False, False]),
        (((0,), None), False, [True, None]),
    ],
)
def test_a_card_is_used_if_the_driver_lists_this_process(
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    processes: Sequence[tuple[int, ...] | None],
    cuda: bool,
    expected: list[bool | None],
) -> None:
    """If it lists this process on no card, the question is whether CUDA is loaded at all."""
    monkeypatch.setattr(device_state, "_loads_cuda", lambda pids, proc: cuda)
    assert used(opened(Card(processes=processes[0]), replace(B, processes=processes[1]))) == (
        expected
    )


@pytest.mark.parametrize(
    ("processes", "named", "foreign"),
    [
        ((0, 1), "", [True, False]),
        ((0,), "", [False, False]),
        ((1,), "", [None, None]),
        ((0, 1), "gpu:0", [True, False]),
        ((0,), "gpu:1", [False, None]),
    ],
)
def test_a_card_may_have_foreign_work(
    opened: Open, processes: tuple[int, ...], named: str, foreign: list[bool | None]
) -> None:
    """It is known where the driver lists us; on a card judged by name, others may do the work."""
    sensor = opened(Card(processes=processes), B)
    sensor.named = named
    assert [state.foreign for state in sensor.states().values()] == foreign


def test_a_child_that_came_and_went_may_have_used_a_card(opened: Open) -> None:
    """A card that is idle before and after the child is not known to have been idle."""
    sensor = opened(A)
    assert used(sensor) == [False]
    subprocess.run(["true"])
    assert used(sensor) == [None]
    assert used(sensor) == [False]


def test_a_card_that_is_judged_by_name_counts_as_used(opened: Open) -> None:
    """Whichever process uses it, for example a server that the test did not start."""
    sensor = opened(A, B)
    sensor.named = "gpu:1"
    assert used(sensor) == [False, True]


# --- in a process of its own, on the real clock ----------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulated driver library."""
    return nvml.build(tmp_path_factory.mktemp("nvml"))


def attempt() -> list[Any]:
    """In a child: open the sensor; return what it is, or why there is none."""
    try:
        sensor = open_sensor()
    except SensorUnavailable as problem:
        return [problem.reason, problem.absent]
    return [names(sensor), sensor.method]


def test_a_machine_without_driver_has_no_such_device(library: Path, tmp_path: Path) -> None:
    """A driver library that cannot be loaded is no fault."""
    (tmp_path / "libnvidia-ml.so.1").touch()
    environ = {**nvml.environment(library, tmp_path / "script", [A])}
    assert child.run(attempt, environ={**environ, "LD_LIBRARY_PATH": str(tmp_path)}) == [
        "no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded",
        True,
    ]


def measured_on_the_real_clock() -> list[Any]:
    """In a child: windows on the real clock, of a card that counts or whose power is sampled."""
    import time

    sensor = open_sensor()
    instruments, work = Instruments([sensor]), Work()
    measured = []
    for _ in range(3):
        time.sleep(0.1)
        before = instruments.begin()
        first_j = work.draw(250.0)
        time.sleep(0.2)
        true_uj = 1e6 * (work.draw(60.0) - first_j)
        window = instruments.window(before, instruments.end())
        energy_uj, error_uj = window.energy_uj["gpu:0"], window.error_uj["gpu:0"]
        measured.append([abs(energy_uj - true_uj) / true_uj, error_uj / true_uj])
    return [sensor.update_period_s, measured]


@pytest.mark.real_time
@pytest.mark.parametrize(
    "card",
    [
        Card(tick_s=0.05),
        Card(tick_s=0.02, jitter=0.3, power_tick_s=0.0253),
        Card(counter=False, average_s=0.0, power_tick_s=0.02),
    ],
    ids=["ticks", "jitter", "sampled"],
)
def test_windows_are_exact_on_the_real_clock(library: Path, tmp_path: Path, card: Card) -> None:
    """The same holds without a simulated clock."""
    card = replace(card, power_w=((0.0, 60.0),), processes=(0,))
    environ = nvml.environment(library, tmp_path / "script", [card])
    period_s, measured = child.run(measured_on_the_real_clock, environ=environ)
    if card.counter:
        assert period_s == pytest.approx(card.tick_s, rel=0.25)
    assert sorted(off for off, _ in measured)[1] <= 0.05
    assert sum(off <= stated for off, stated in measured) >= 2


def test_a_process_that_has_loaded_cuda_may_use_any_card(library: Path, tmp_path: Path) -> None:
    """If the driver does not list the process, as in a container."""
    environ = nvml.environment(library, tmp_path / "script", [Card(processes=(1,)), B])
    assert child.run(used_after_loading_cuda, environ=environ) == [None, None]


def used_after_loading_cuda() -> list[bool | None]:
    """In a child: load a library of CUDA's name, then ask which cards this process uses."""
    import ctypes
    import shutil

    folder = os.environ["LD_LIBRARY_PATH"]
    shutil.copy(f"{folder}/libnvidia-ml.so.1", f"{folder}/libcuda.so.1")
    ctypes.CDLL(f"{folder}/libcuda.so.1")
    return used(open_sensor())
