"""Simulated cards do what their script says, through the unmodified `pynvml`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import child, native, nvml, power
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(not native.POSSIBLE, reason=native.WHY_NOT)

B = "GPU-2222bbbb-0000-0000-0000-000000000000"
#: Enough unlike seconds and fractions for a counter that is off to be seen.
STEPS_W = tuple((i / 20, 60.0 + 35 * (i % 7)) for i in range(600))
NOT_SUPPORTED, NO_PERMISSION, GPU_IS_LOST, UNKNOWN = 3, 4, 15, 999

#: The expressions in which a test asks a child, of the handles `h`, with `n` the module.
ENERGY = "n.nvmlDeviceGetTotalEnergyConsumption(h[0])"
INSTANT = "field(186).value.uiVal"
AVERAGE = "field(185).value.uiVal"
USAGE = "n.nvmlDeviceGetPowerUsage(h[0])"

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulated driver library, built once."""
    return nvml.build(tmp_path_factory.mktemp("cards"))


@pytest.fixture
def ask(library: Path, tmp_path: Path) -> Ask:
    """Asks cards one thing after another, a few times, from a second of their script on.

    With `at_s` None it starts as the child starts NVML, and the times told are of no script.
    """

    def ask(
        *cards: Card, what: str | list[str], at_s: float | None = 1.0, times: int = 1
    ) -> list[Any]:
        start_s = None if at_s is None else time.monotonic() - at_s
        environ = nvml.environment(library, tmp_path / "script", cards, start_s)
        questions = [what] if isinstance(what, str) else what
        answers: list[Any] = child.run(_answers, questions * times, start_s or 0.0, environ=environ)
        return answers

    return ask


def _answers(questions: list[str], start_s: float) -> list[Any]:
    """In a child: when each question was put, the answer or the error, when it was there."""
    import pynvml as n

    n.nvmlInit()
    handles = []
    for index in range(n.nvmlDeviceGetCount()):
        try:
            handles.append(n.nvmlDeviceGetHandleByIndex(index))
        except n.NVMLError as error:
            handles.append(error)
    names = {
        "n": n,
        "h": handles,
        "time": time,
        "pid": os.getpid(),
        "field": lambda number: n.nvmlDeviceGetFieldValues(handles[0], [number])[0],
    }
    answers = []
    for question in questions:
        before_s = time.monotonic() - start_s
        try:
            answer = eval(question, names)
        except n.NVMLError as error:
            answer = {"error": error.value}
        answers.append((before_s, answer, time.monotonic() - start_s))
        time.sleep(0.002)
    return answers


def answer_of(answers: list[Any]) -> Any:
    """What was answered last."""
    return answers[-1][1]


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
        Card(power_w=STEPS_W, stick_s=1.3),
        Card(power_w=STEPS_W, start_mj=5000, reset_s=1.3),
        Card(power_w=((-500.0, 40.0), (1.2, 300.0))),
        Card(power_w=tuple((i / 1000, 50.0 + i % 11) for i in range(4096))),
    ],
    ids=[
        *("plain", "exact", "slow", "phase", "jitter", "start"),
        *("gain", "stick", "reset", "before", "many"),
    ],
)
def test_counts_the_energy_of_its_script(ask: Ask, card: Card) -> None:
    """A count is one that the script has between the question and the answer."""
    for before_s, count_mj, after_s in ask(card, what=ENERGY, times=120):
        told = {card.count_mj_at(when) for when in (before_s, after_s)}
        assert min(told) - 1 <= count_mj <= max(told) + 1


def test_each_card_has_ticks_of_its_own(ask: Ask) -> None:
    """The ticks of a card are late by other shares than those of the card beside it."""
    one, other = Card(jitter=0.9, tick_s=0.02), Card(uuid=B, jitter=0.9, tick_s=0.02)
    for before_s, count_mj, after_s in ask(one, other, what=ENERGY.replace("0", "1"), times=50):
        told = {other.count_mj_at(when, index=1) for when in (before_s, after_s)}
        assert min(told) - 1 <= count_mj <= max(told) + 1
    assert one.last_tick_s(1.005, index=0) != one.last_tick_s(1.005, index=1)


def test_sixteen_cards_count_apart(ask: Ask) -> None:
    """Sixteen cards are there, and each counts its own energy."""
    cards = [Card(uuid=f"GPU-{i}", power_w=((0.0, 10.0 * i),), tick_s=1e6) for i in range(16)]
    cards = [Card(uuid=card.uuid, start_mj=i, power_w=card.power_w) for i, card in enumerate(cards)]
    what = "[n.nvmlDeviceGetTotalEnergyConsumption(one) for one in h]"
    ((before_s, counts_mj, after_s),) = ask(*cards, what=what)
    for card, count_mj in zip(cards, counts_mj, strict=True):
        assert card.count_mj_at(before_s) <= count_mj <= card.count_mj_at(after_s)


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
def test_tells_power_at_the_instant(ask: Ask, card: Card) -> None:
    """The instantaneous power is the script's, as late and as wrong as the script says."""

    def told_mw(when_s: float) -> float:
        sampled_s = power.last_multiple(when_s - card.power_lag_s, card.power_tick_s)
        return 1000 * card.power_gain * card.watts_at(sampled_s)

    for before_s, milliwatts, after_s in ask(card, what=INSTANT, times=120):
        expected = [told_mw(before_s), told_mw(after_s)]
        assert milliwatts in [pytest.approx(mw, abs=1) for mw in expected]


def test_noise_is_new_with_each_sample(ask: Ask) -> None:
    """Powers are off by no more than the noise, alike within a sample, unlike across samples."""
    card = Card(power_tick_s=0.05, power_noise=0.02)
    answers = ask(card, what=INSTANT, times=120)
    assert all(98_000 <= milliwatts <= 102_000 for _, milliwatts, _ in answers)
    samples = {int(after_s / 0.05) - int(answers[0][0] / 0.05) for *_, after_s in answers}
    assert 3 < len({milliwatts for _, milliwatts, _ in answers}) <= len(samples) + 1


@pytest.mark.parametrize(("average_s", "at_s"), [(1.0, 10.1), (0.4, 10.0), (0.0, 10.1)])
def test_tells_the_mean_of_the_last_second(ask: Ask, average_s: float, at_s: float) -> None:
    """The other powers are means, so that a step arrives over that time."""
    card = Card(power_w=((0.0, 100.0), (10.0, 300.0)), average_s=average_s)

    def mean_mw(when_s: float) -> float:
        if not average_s:
            return 1000 * card.watts_at(when_s)
        return 1000 * card.joules(when_s - average_s, when_s) / average_s

    for before_s, milliwatts, after_s in ask(card, what=[AVERAGE, USAGE], at_s=at_s, times=30):
        assert mean_mw(before_s) - 1 <= milliwatts <= mean_mw(after_s) + 1


def test_mean_starts_with_the_script(ask: Ask) -> None:
    """Where the script is younger than the mean, the mean is of what there is of it."""
    assert answer_of(ask(Card(), what=USAGE, at_s=0.0)) == 100_000


def test_card_may_lack_its_power_at_the_instant(ask: Ask) -> None:
    """A card without instantaneous power says so for that field, and tells the others."""
    what = "[field(number).nvmlReturn for number in (186, 185, 83)]"
    assert answer_of(ask(Card(instant=False), what=what)) == [NOT_SUPPORTED, 0, 0]


def test_read_takes_its_time(ask: Ask) -> None:
    """A read of energy or of power takes as long as the script says."""
    for what in (ENERGY, INSTANT):
        costs_s = [after - before for before, _, after in ask(Card(read_cost_s=0.002), what=what)]
        assert min(costs_s) >= 0.002


# --- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "error"),
    [(Card(lost_s=500.0), GPU_IS_LOST), (Card(deny_s=500.0), NO_PERMISSION)],
    ids=["lost", "deny"],
)
def test_card_is_gone_from_a_time_on(ask: Ask, card: Card, error: int) -> None:
    """From the time on every call fails with the error, and none does before."""
    what = [ENERGY, USAGE, INSTANT, "n.nvmlDeviceGetUUID(n.nvmlDeviceGetHandleByIndex(0))"]
    before = [answer for _, answer, _ in ask(card, what=what, at_s=1.0)]
    assert before[-1] == card.uuid
    assert not any(isinstance(answer, dict) for answer in before)
    after = [answer for _, answer, _ in ask(card, what=what[3:] * 2, at_s=600.0)]
    assert after == [{"error": error}] * 2


def test_card_goes_while_it_is_used(ask: Ask) -> None:
    """A handle that was good fails from the time on, for energy and for power."""
    card = Card(lost_s=0.5)
    what = [ENERGY, "time.sleep(0.5)", ENERGY, USAGE, INSTANT]
    first, _, *rest = [answer for _, answer, _ in ask(card, what=what, at_s=None)]
    assert isinstance(first, int)
    assert rest == [{"error": GPU_IS_LOST}] * 3


def test_reads_fail_for_a_while(ask: Ask) -> None:
    """Reads fail with the error between the two times, and neither before nor after."""
    spans = [(i / 10, i / 10 + 0.05, (UNKNOWN, GPU_IS_LOST)[i % 2]) for i in range(600)]
    seen = set()
    for before_s, answer, after_s in ask(
        Card(fail_between=tuple(spans)), what=[ENERGY, USAGE], times=80
    ):
        expected = {_error_at(spans, when) for when in (before_s, after_s)}
        failed = answer["error"] if isinstance(answer, dict) else 0
        assert failed in expected
        seen.add(failed)
    assert seen == {0, UNKNOWN, GPU_IS_LOST}


def _error_at(spans: list[tuple[float, float, int]], when_s: float) -> int:
    return next((error for start, end, error in spans if start <= when_s < end), 0)


def test_counter_fails_after_some_reads(ask: Ask) -> None:
    """Only the counter fails, after so many reads of it."""
    what = f"[{USAGE}, {ENERGY}]"
    answers = [answer for _, answer, _ in ask(Card(fail=(3, UNKNOWN)), what=what, times=5)]
    assert [isinstance(answer, dict) for answer in answers] == [False] * 3 + [True] * 2


def test_card_may_have_no_counter(ask: Ask) -> None:
    """A card without counter says so, and that it is older than the first that had one."""
    what = ["n.nvmlDeviceGetArchitecture(h[0]) < n.NVML_DEVICE_ARCH_VOLTA", ENERGY]
    answers = [answer for _, answer, _ in ask(Card(counter=False), what=what)]
    assert answers == [True, {"error": NOT_SUPPORTED}]


def test_unknown_statement_ends_the_process(library: Path, tmp_path: Path) -> None:
    """A script that cannot be obeyed is told with its line, not passed over."""
    environ = nvml.environment(library, tmp_path / "script", [Card()])
    (tmp_path / "script").write_text("card GPU-1 A\npower 3\n")
    program = "import pynvml; pynvml.nvmlInit()"
    process = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True
    )
    assert "cannot obey: power 3" in process.stderr


# --- what a card does -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "what", "expected"),
    [
        (
            Card(throttle=((0.0, 0x1), (20.0, 0x44))),
            "n.nvmlDeviceGetCurrentClocksEventReasons(h[0])",
            [0x1, 0x44],
        ),
        (
            Card(throttle=((20.0, 0x4),)),
            "n.nvmlDeviceGetCurrentClocksThrottleReasons(h[0])",
            [0, 0x4],
        ),
        (
            Card(clock_mhz=((0.0, 1980), (20.0, 1200))),
            "n.nvmlDeviceGetClockInfo(h[0], n.NVML_CLOCK_SM)",
            [1980, 1200],
        ),
        (
            Card(limit_w=300, limit_at_w=((20.0, 250.0),)),
            "n.nvmlDeviceGetEnforcedPowerLimit(h[0])",
            [300_000, 250_000],
        ),
        (
            Card(limit_w=300, limit_at_w=((20.0, 250.0),)),
            "n.nvmlDeviceGetPowerManagementLimit(h[0])",
            [300_000, 250_000],
        ),
        (
            Card(power_w=((0.0, 60.0), (20.0, 250.0))),
            "n.nvmlDeviceGetUtilizationRates(h[0]).gpu",
            [0, 100],
        ),
        (Card(), "n.nvmlDeviceGetTemperature(h[0], 0)", [40, 40]),
        (
            Card(temperature_c=((5.0, 50.0), (20.0, 50.0), (25.0, 90.0))),
            "n.nvmlDeviceGetTemperature(h[0], 0)",
            [50, 90],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_tells_what_it_does_at_a_time(
    ask: Ask, card: Card, what: str, expected: list[float]
) -> None:
    """Throttle reasons, clock, limit, utilisation and temperature follow the script."""
    assert [answer_of(ask(card, what=what, at_s=at_s)) for at_s in (10.0, 30.0)] == expected


def test_temperature_rises_in_a_line(ask: Ask) -> None:
    """Between two points the temperature is on a straight line."""
    card = Card(temperature_c=((0.0, 20.0), (10.0, 120.0)))
    what = "n.nvmlDeviceGetTemperatureV(h[0], 0)"
    for before_s, celsius, after_s in ask(card, what=what, at_s=3.0, times=30):
        assert int(20 + 10 * before_s) <= celsius <= 20 + 10 * after_s


@pytest.mark.parametrize(
    ("processes", "expected"),
    [((), []), ((0, 4242), ["own", 4242]), (None, {"error": NOT_SUPPORTED})],
)
def test_tells_who_computes_on_it(
    ask: Ask, processes: tuple[int, ...] | None, expected: object
) -> None:
    """The processes are those of the script, 0 being the one that asks."""
    what = (
        "['own' if one.pid == pid else one.pid for one in "
        "n.nvmlDeviceGetComputeRunningProcesses(h[0]) + n.nvmlDeviceGetGraphicsRunningProcesses("
        "h[0])]"
    )
    assert answer_of(ask(Card(processes=processes), what=what)) == expected


def test_split_card_shows_its_instances(ask: Ask) -> None:
    """Instances are found by number and by id, lead back to their card, and have no counter."""
    card = Card(mig=("MIG-1", "MIG-2"))
    instance = "n.nvmlDeviceGetMigDeviceHandleByIndex(h[1], 1)"
    what = (
        f"[n.nvmlDeviceGetUUID({instance}), n.nvmlDeviceGetMaxMigDeviceCount(h[1]),"
        "n.nvmlDeviceGetMigMode(h[1])[0], n.nvmlDeviceGetMigMode(h[0])[0],"
        "n.nvmlDeviceGetUUID(n.nvmlDeviceGetDeviceHandleFromMigDeviceHandle("
        "n.nvmlDeviceGetHandleByUUID('MIG-1')))]"
    )
    assert answer_of(ask(Card(uuid=B), card, what=what)) == ["MIG-2", 7, 1, 0, card.uuid]
    counter = f"n.nvmlDeviceGetTotalEnergyConsumption({instance})"
    assert answer_of(ask(Card(uuid=B), card, what=counter)) == {"error": NOT_SUPPORTED}


# --- work -----------------------------------------------------------------------------------


def test_card_draws_what_the_work_says(library: Path, tmp_path: Path) -> None:
    """Power follows the work from the moment on, in every process, and is counted as drawn."""
    card = Card(power_w=((-500.0, 60.0),), tick_s=0.0)
    environ = nvml.environment(library, tmp_path / "script", [card], time.monotonic())
    told = child.run(_work, environ=environ)
    seconds, joules = told["seconds"], told["joules"]
    assert 250 * seconds[0] <= joules <= 250 * seconds[1]
    assert told["watts"] == [60_000, 250_000, 60_000]
    assert told["elsewhere"] == 60_000
    # A count ends on a whole millijoule; the rest is what was drawn beside the two draws.
    assert joules <= told["counted_j"] + 0.001
    assert told["counted_j"] - joules <= 60 * (seconds[1] - seconds[0]) + 0.001


def _work() -> dict[str, Any]:
    """In a child: a piece of work between two of another power, and what was seen of it."""
    import pynvml as n

    n.nvmlInit()
    card, work = n.nvmlDeviceGetHandleByIndex(0), nvml.Work()
    watts, counts_mj, times_s = [n.nvmlDeviceGetPowerUsage(card)], [], []
    work.draw(60.0)
    times_s.append(time.monotonic())
    counts_mj.append(n.nvmlDeviceGetTotalEnergyConsumption(card))
    before_j = work.draw(250.0)
    times_s.append(time.monotonic())
    watts.append(n.nvmlDeviceGetFieldValues(card, [186])[0].value.uiVal)
    time.sleep(0.05)
    times_s.append(time.monotonic())
    joules = work.draw(60.0) - before_j
    counts_mj.append(n.nvmlDeviceGetTotalEnergyConsumption(card))
    times_s.append(time.monotonic())
    watts.append(n.nvmlDeviceGetFieldValues(card, [186])[0].value.uiVal)
    assert work.joules() > before_j + joules
    return {
        "joules": joules,
        "seconds": [times_s[2] - times_s[1], times_s[3] - times_s[0]],
        "watts": watts,
        "counted_j": (counts_mj[1] - counts_mj[0]) / 1000,
        "elsewhere": child.run(_watts),
    }


def _watts() -> int:
    """In a child: what the first card draws now."""
    import pynvml as n

    n.nvmlInit()
    value: int = n.nvmlDeviceGetFieldValues(n.nvmlDeviceGetHandleByIndex(0), [186])[0].value.uiVal
    return value


def test_card_with_a_future_takes_no_work(library: Path, tmp_path: Path) -> None:
    """Where the script knows what the card draws later, work cannot change it."""
    card = Card(power_w=((0.0, 60.0), (900.0, 70.0)))
    environ = nvml.environment(library, tmp_path / "script", [card], time.monotonic())
    with pytest.raises(AssertionError, match=r"card 0 cannot draw 250\.0 W now"):
        child.run(_draw, environ=environ)


def _draw() -> None:
    """In a child: work that makes the first card draw."""
    import pynvml

    pynvml.nvmlInit()
    nvml.Work().draw(250.0)
