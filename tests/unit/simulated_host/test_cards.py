"""Simulated cards do what their script says, through the unmodified `pynvml`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import child, native, nvml, power
from tests.simulated_host.nvml import Card, Work
from tests.simulated_host.simulated_clock import SimulatedClock

pytestmark = pytest.mark.skipif(not native.POSSIBLE, reason=native.WHY_NOT)

B = "GPU-2222bbbb-0000-0000-0000-000000000000"
#: Enough different seconds and fractions to show a counter that is off.
STEPS_W = tuple((i / 20, 60.0 + 35 * (i % 7)) for i in range(600))
NOT_SUPPORTED, NO_PERMISSION, GPU_IS_LOST, UNKNOWN = 3, 4, 15, 999

#: A question to pynvml about the handles of all cards.
Question = Callable[[Any, list[Any]], Any]


def energy(n: Any, h: list[Any]) -> Any:
    """The energy of the first card, in millijoules."""
    return n.nvmlDeviceGetTotalEnergyConsumption(h[0])


def usage(n: Any, h: list[Any]) -> Any:
    """The plain power of the first card, in milliwatts."""
    return n.nvmlDeviceGetPowerUsage(h[0])


def field(number: int) -> Question:
    """The value of a field of the first card."""
    return lambda n, h: n.nvmlDeviceGetFieldValues(h[0], [number])[0].value.uiVal


INSTANT, AVERAGE = field(186), field(185)


class Cards:
    """Simulated cards in this process, whose script began `at_s` ago."""

    def __init__(self, n: Any, clock: SimulatedClock, start_s: float) -> None:
        self.clock = clock
        self._n = n
        self._start_s = start_s
        n.nvmlInit()
        self._handles = []
        for index in range(n.nvmlDeviceGetCount()):
            try:
                self._handles.append(n.nvmlDeviceGetHandleByIndex(index))
            except n.NVMLError as error:
                self._handles.append(error)

    @property
    def time_s(self) -> float:
        """The time of the script."""
        return self.clock.time_s - self._start_s

    def ask(self, question: Question) -> Any:
        """Return the answer now, or the number of the error in a list."""
        try:
            return question(self._n, self._handles)
        except self._n.NVMLError as error:
            return [error.value]

    def over_time(self, question: Question, times: int = 120) -> list[tuple[float, Any]]:
        """Return times of the script and answers, every 2.137 ms."""
        answers = []
        for _ in range(times):
            self.clock.sleep(0.002137)
            answers.append((self.time_s, self.ask(question)))
        return answers


See = Callable[..., Cards]


@pytest.fixture
def see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> See:
    """Makes cards, at a second of their script."""

    def see(*cards: Card, at_s: float = 1.0) -> Cards:
        clock = SimulatedClock(tmp_path / "clock", read_cost_ns=0)
        start_s = clock.time_s - at_s
        return Cards(nvml.load(monkeypatch, tmp_path, cards, clock, start_s), clock, start_s)

    return see


# --- energy ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        Card(),
        Card(power_w=STEPS_W, tick_s=0.0),
        Card(power_w=STEPS_W, tick_s=0.1),
        Card(power_w=STEPS_W, tick_s=0.02, phase_s=0.013),
        Card(power_w=STEPS_W, tick_s=0.02, jitter=0.9),
        Card(power_w=STEPS_W, start_mj=987_654_321),
        Card(power_w=STEPS_W, gain=0.85),
        Card(power_w=STEPS_W, stick_s=1.1),
        Card(power_w=STEPS_W, start_mj=5000, reset_s=1.1),
        Card(power_w=((-500.0, 40.0), (1.1, 300.0))),
        Card(power_w=tuple((i / 1000, 50.0 + i % 11) for i in range(4096))),
    ],
    ids=[
        *("plain", "exact", "slow", "phase", "jitter", "start"),
        *("gain", "stick", "reset", "before", "many"),
    ],
)
def test_a_card_counts_the_energy_of_its_script(see: See, card: Card) -> None:
    """At every moment, to a millijoule."""
    for at_s, count_mj in see(card).over_time(energy):
        assert count_mj == pytest.approx(card.count_mj_at(at_s), abs=1)


def test_each_card_has_ticks_of_its_own(see: See) -> None:
    """The ticks of two cards are late by different shares."""
    one, other = Card(jitter=0.9, tick_s=0.02), Card(uuid=B, jitter=0.9, tick_s=0.02)
    second = see(one, other).over_time(lambda n, h: energy(n, h[1:]))
    for at_s, count_mj in second:
        assert count_mj == pytest.approx(other.count_mj_at(at_s, index=1), abs=1)
    assert one.last_tick_s(1.005, index=0) != one.last_tick_s(1.005, index=1)


def test_sixteen_cards_count_apart(see: See) -> None:
    """Each of sixteen cards counts its own energy."""
    cards = [Card(uuid=f"GPU-{i}", start_mj=i, power_w=((0.0, 10.0 * i),)) for i in range(16)]
    seen = see(*cards)
    counts_mj = seen.ask(lambda n, h: [n.nvmlDeviceGetTotalEnergyConsumption(one) for one in h])
    assert counts_mj == [card.count_mj_at(1.0) for card in cards]


def test_true_energy_is_an_integral() -> None:
    """The energy of a window is power times time, across the steps in it."""
    card = Card(power_w=((0.0, 100.0), (2.0, 300.0), (3.0, 50.0)), gain=0.5)
    assert card.joules(1.0, 4.0) == pytest.approx(100 + 300 + 50)
    assert [card.watts_at(when) for when in (-1.0, 0.0, 2.5, 9.0)] == [0.0, 100.0, 300.0, 50.0]


# --- power ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        Card(power_w=STEPS_W),
        Card(power_w=STEPS_W, power_tick_s=0.1),
        Card(power_w=STEPS_W, power_lag_s=0.25),
        Card(power_w=STEPS_W, power_gain=1.1),
    ],
    ids=["exact", "tick", "lag", "gain"],
)
def test_instantaneous_power_is_that_of_the_script(see: See, card: Card) -> None:
    """It is as late and as wrong as the script says."""
    for at_s, milliwatts in see(card).over_time(INSTANT):
        sampled_s = power.last_multiple(at_s - card.power_lag_s, card.power_tick_s)
        assert milliwatts == pytest.approx(1000 * card.power_gain * card.watts_at(sampled_s), abs=1)


def test_noise_is_new_with_each_sample(see: See) -> None:
    """Powers are off by at most the noise, and all reads of one sample agree."""
    answers = see(Card(power_tick_s=0.05, power_noise=0.02)).over_time(INSTANT)
    assert all(98_000 <= milliwatts <= 102_000 for _, milliwatts in answers)
    samples = {int(at_s / 0.05) for at_s, _ in answers}
    assert 3 < len({milliwatts for _, milliwatts in answers}) == len(samples)


@pytest.mark.parametrize(("average_s", "at_s"), [(1.0, 10.1), (0.4, 10.0), (0.0, 10.1)])
def test_other_powers_are_means(see: See, average_s: float, at_s: float) -> None:
    """A step arrives over the time of the mean."""
    card = Card(power_w=((0.0, 100.0), (10.0, 300.0)), average_s=average_s)
    cards = see(card, at_s=at_s)
    for question in (AVERAGE, usage):
        for when_s, milliwatts in cards.over_time(question, times=30):
            mean_w = card.watts_at(when_s)
            if average_s:
                mean_w = card.joules(when_s - average_s, when_s) / average_s
            assert milliwatts == pytest.approx(1000 * mean_w, abs=1)


def test_the_mean_starts_with_the_script(see: See) -> None:
    """At the start of the script it covers less time."""
    assert see(Card(), at_s=0.0).ask(usage) == 100_000


def test_a_card_may_lack_its_instantaneous_power(see: See) -> None:
    """It reports the other fields."""
    numbers = (186, 185, 83)
    assert see(Card(instant=False)).ask(
        lambda n, h: [n.nvmlDeviceGetFieldValues(h[0], [i])[0].nvmlReturn for i in numbers]
    ) == [NOT_SUPPORTED, 0, 0]


@pytest.mark.parametrize("question", [energy, INSTANT])
def test_a_read_takes_the_time_of_the_script(see: See, question: Question) -> None:
    """The answer is that of the middle of the read."""
    cards = see(Card(read_cost_s=0.002, power_w=((0.0, 100.0), (1.0015, 300.0)), tick_s=0.0))
    cards.ask(question)
    assert cards.time_s == pytest.approx(1.002)
    assert cards.ask(INSTANT) == 300_000


# --- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "error"),
    [(Card(lost_s=500.0), GPU_IS_LOST), (Card(deny_s=500.0), NO_PERMISSION)],
    ids=["lost", "deny"],
)
def test_a_card_fails_from_a_time_on(see: See, card: Card, error: int) -> None:
    """Every call then has the error, with a handle that was good too."""
    cards = see(card)

    def uuid(n: Any, h: list[Any]) -> Any:
        return n.nvmlDeviceGetUUID(n.nvmlDeviceGetHandleByIndex(0))

    questions: list[Question] = [energy, usage, INSTANT, uuid]
    before = [cards.ask(question) for question in questions]
    assert before == [100_000, 100_000, 100_000, card.uuid]
    cards.clock.sleep(500.0)
    assert [cards.ask(question) for question in questions] == [[error]] * 4
    assert isinstance(see(card, at_s=600.0).ask(lambda n, h: h[0]), Exception)


def test_reads_fail_for_a_while(see: See) -> None:
    """Reads fail with the error between the two times, and neither before nor after."""
    spans = [(i / 10, i / 10 + 0.05, (UNKNOWN, GPU_IS_LOST)[i % 2]) for i in range(600)]
    cards = see(Card(fail_between=tuple(spans)))
    seen = set()
    for question in (energy, usage):
        for at_s, answer in cards.over_time(question):
            expected = next((error for start, end, error in spans if start <= at_s < end), 0)
            failed = answer[0] if isinstance(answer, list) else 0
            assert failed == expected
            seen.add(failed)
    assert seen == {0, UNKNOWN, GPU_IS_LOST}


def test_a_counter_fails_after_some_reads(see: See) -> None:
    """Only reads of the counter count, and only the counter fails."""
    cards = see(Card(fail=(3, UNKNOWN)))
    answers = [(cards.ask(usage), cards.ask(energy)) for _ in range(5)]
    assert answers == [(100_000, 100_000)] * 3 + [(100_000, [UNKNOWN])] * 2


def test_a_card_may_have_no_counter(see: See) -> None:
    """It is then of an architecture before the first one with a counter."""
    cards = see(Card(counter=False))
    assert cards.ask(energy) == [NOT_SUPPORTED]
    assert cards.ask(lambda n, h: n.nvmlDeviceGetArchitecture(h[0]) < n.NVML_DEVICE_ARCH_VOLTA)


def test_an_unknown_statement_ends_the_process(tmp_path: Path) -> None:
    """The error has the line of the script."""
    library = nvml.build(tmp_path)
    environ = nvml.environment(library, tmp_path / "script", [Card()])
    (tmp_path / "script").write_text("card GPU-1 A\npower 3\n")
    program = "import pynvml; pynvml.nvmlInit()"
    process = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True
    )
    assert "cannot obey: power 3" in process.stderr


# --- what a card does -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "question", "expected"),
    [
        (
            Card(throttle=((0.0, 0x1), (20.0, 0x44))),
            lambda n, h: n.nvmlDeviceGetCurrentClocksEventReasons(h[0]),
            [0x1, 0x44],
        ),
        (
            Card(throttle=((20.0, 0x4),)),
            lambda n, h: n.nvmlDeviceGetCurrentClocksThrottleReasons(h[0]),
            [0, 0x4],
        ),
        (
            Card(clock_mhz=((0.0, 1980), (20.0, 1200))),
            lambda n, h: n.nvmlDeviceGetClockInfo(h[0], n.NVML_CLOCK_SM),
            [1980, 1200],
        ),
        (
            Card(limit_w=300, limit_at_w=((20.0, 250.0),)),
            lambda n, h: n.nvmlDeviceGetEnforcedPowerLimit(h[0]),
            [300_000, 250_000],
        ),
        (
            Card(limit_w=300, limit_at_w=((20.0, 250.0),)),
            lambda n, h: n.nvmlDeviceGetPowerManagementLimit(h[0]),
            [300_000, 250_000],
        ),
        (
            Card(power_w=((0.0, 60.0), (20.0, 250.0))),
            lambda n, h: n.nvmlDeviceGetUtilizationRates(h[0]).gpu,
            [0, 100],
        ),
        (Card(), lambda n, h: n.nvmlDeviceGetTemperature(h[0], 0), [40, 40]),
        (
            Card(temperature_c=((5.0, 50.0), (20.0, 50.0), (25.0, 90.0))),
            lambda n, h: n.nvmlDeviceGetTemperature(h[0], 0),
            [50, 90],
        ),
        (
            Card(temperature_c=((0.0, 20.0), (40.0, 120.0))),
            lambda n, h: n.nvmlDeviceGetTemperatureV(h[0], 0),
            [45, 95],
        ),
    ],
    ids=[
        *("reasons", "older name", "clock", "enforced limit", "limit", "utilisation"),
        *("usual temperature", "temperature", "temperature on a line"),
    ],
)
def test_a_card_follows_its_script(
    see: See, card: Card, question: Question, expected: list[float]
) -> None:
    """Throttle reasons, clock, limit, utilisation and temperature, at 10 s and at 30 s."""
    cards = see(card, at_s=10.0)
    first = cards.ask(question)
    cards.clock.sleep(20.0)
    assert [first, cards.ask(question)] == expected


@pytest.mark.parametrize(
    ("processes", "expected"), [((), []), ((0, 4242), [os.getpid(), 4242]), (None, [NOT_SUPPORTED])]
)
def test_a_card_lists_the_processes_of_the_script(
    see: See, processes: tuple[int, ...] | None, expected: object
) -> None:
    """0 is the process that asks."""

    def pids(n: Any, h: list[Any]) -> list[int]:
        computing = n.nvmlDeviceGetComputeRunningProcesses(h[0])
        return [one.pid for one in computing + n.nvmlDeviceGetGraphicsRunningProcesses(h[0])]

    assert see(Card(processes=processes)).ask(pids) == expected


def test_a_split_card_shows_its_instances(see: See) -> None:
    """Instances are found by number and by id, lead to their card, and have no counter."""
    card = Card(mig=("MIG-1", "MIG-2"))
    cards = see(Card(uuid=B), card)

    def second(n: Any, h: list[Any]) -> Any:
        return n.nvmlDeviceGetMigDeviceHandleByIndex(h[1], 1)

    def parent(n: Any, h: list[Any]) -> Any:
        instance = n.nvmlDeviceGetHandleByUUID("MIG-1")
        return n.nvmlDeviceGetUUID(n.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance))

    assert cards.ask(lambda n, h: n.nvmlDeviceGetUUID(second(n, h))) == "MIG-2"
    assert cards.ask(lambda n, h: n.nvmlDeviceGetMaxMigDeviceCount(h[1])) == 7
    assert cards.ask(lambda n, h: [n.nvmlDeviceGetMigMode(one)[0] for one in h]) == [0, 1]
    assert cards.ask(parent) == card.uuid
    assert cards.ask(lambda n, h: energy(n, [second(n, h)])) == [NOT_SUPPORTED]


# --- work -----------------------------------------------------------------------------------


def test_a_card_draws_what_the_work_says(see: See, tmp_path: Path) -> None:
    """Power follows the work from that moment on, in every process, and is counted."""
    cards = see(Card(power_w=((-500.0, 60.0),), tick_s=0.0))
    work = Work()
    watts, count_mj = [cards.ask(INSTANT)], cards.ask(energy)
    before_j = work.draw(250.0)
    watts.append(cards.ask(INSTANT))
    cards.clock.sleep(0.05)
    library = nvml.build(tmp_path)
    environ = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    assert child.run(_instant_mw, environ=environ) == 250_000
    joules = work.draw(60.0) - before_j
    watts.append(cards.ask(INSTANT))
    assert joules == pytest.approx(250 * 0.05)
    assert cards.ask(energy) - count_mj == pytest.approx(1000 * joules, abs=1)
    assert watts == [60_000, 250_000, 60_000]
    cards.clock.sleep(1.0)
    assert work.joules() == pytest.approx(before_j + joules + 60.0)


def _instant_mw() -> Any:
    """In a child: what the first card draws now."""
    import pynvml

    pynvml.nvmlInit()
    return INSTANT(pynvml, [pynvml.nvmlDeviceGetHandleByIndex(0)])


def test_a_card_with_a_future_takes_no_work(see: See) -> None:
    """If the script has a later power, work cannot change it."""
    see(Card(power_w=((0.0, 60.0), (900.0, 70.0))))
    with pytest.raises(RuntimeError, match=r"card 0 cannot draw 250\.0 W now"):
        Work().draw(250.0)
