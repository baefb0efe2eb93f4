"""The NVML sensor, read through the unmodified `pynvml` from a simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.simulated_host import nvml
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

ROOT = Path(__file__).parents[4]
A = Card()
B = Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000")
OTHER_MODEL = Card(uuid="GPU-1111cccc-0000-0000-0000-000000000000", name="Simulated B")

#: Opens the sensor in a fresh process and prints as JSON what `shown` makes of it.
PROGRAM = """\
import json, time
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors.nvidia import nvml
{before}
try:
    sensor = nvml.open_sensor()
except SensorUnavailable as problem:
    shown = [problem.reason, problem.remedy, problem.absent]
else:
    shown = {shown}
{after}
print(json.dumps(shown))
"""
DOMAINS = "[domain.name for domain in sensor.domains]"

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulated driver library, built once."""
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def run(library: Path, tmp_path: Path) -> Run:
    """Runs `PROGRAM` beside simulated cards, and gives back what it shows."""

    def run(
        cards: Sequence[Card],
        shown: str = DOMAINS,
        before: str = "",
        after: str = "",
        start_s: float | None = None,
        init_error: int = 0,
        **environ: str,
    ) -> Any:
        seen = nvml.environment(library, tmp_path / "script", cards, start_s, init_error)
        program = PROGRAM.format(before=before, shown=shown, after=after)
        process = subprocess.run(
            [sys.executable, "-c", program],
            env={**seen, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)

    return run


def test_counts_joules_of_the_window(run: Run) -> None:
    """The difference of two readings is the card's energy in microjoules, to one tick."""
    start_s = time.monotonic()
    power_w = tuple((second / 10, 100.0 + 50 * (second % 3)) for second in range(60))
    card = Card(power_w=power_w, tick_s=0.005)
    readings = "[sensor.read(), time.sleep(0.5), sensor.read()][::2]"
    before, after = run([card], readings, start_s=start_s)
    times_s = [reading[0] * 1e-9 - start_s for reading in (before, after)]
    true_j = card.joules_until(times_s[1]) - card.joules_until(times_s[0])
    counted_j = (after[1][0] - before[1][0]) * 1e-6
    assert counted_j == pytest.approx(true_j, abs=2 * 200 * card.tick_s)


def test_reads_all_cards_without_a_list(run: Run) -> None:
    """Every card is one domain of its own, named by its number in NVML."""
    kinds = "[(d.name, d.kind, d.range_uj) for d in sensor.domains]"
    assert run([A, B], kinds) == [["gpu:0", "gpu", None], ["gpu:1", "gpu", None]]


def test_is_sensed(run: Run) -> None:
    """What a counter holds is sensed, not estimated."""
    assert run([A], "[sensor.name, sensor.source]") == ["nvml", "sensed"]


def test_power_limit_bounds_the_plausible_power(run: Run) -> None:
    """The highest plausible power stands a fifth above the limit that the driver enforces."""
    card = Card(limit_w=250.0)
    assert run([card], "[d.max_power_w for d in sensor.domains]") == pytest.approx([300.0])


@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_measures_the_tick(run: Run, tick_s: float) -> None:
    """The update period is the tick of the counter, whatever the driver makes of it."""
    period_s, method = run([Card(tick_s=tick_s)], "[sensor.update_period_s, sensor.method]")
    assert period_s == pytest.approx(tick_s, rel=0.25)
    assert "ticks every" in method


def test_slowest_card_sets_the_period(run: Run) -> None:
    """Of cards with unlike ticks, the longest bounds the error at the edges."""
    cards = [Card(tick_s=0.01), Card(uuid=B.uuid, tick_s=0.08)]
    assert run(cards, "sensor.update_period_s") == pytest.approx(0.08, rel=0.25)


def test_card_without_tick_does_not_hide_a_slower_one(run: Run) -> None:
    """Beside a counter that stands still, a tick longer than the usual one still counts."""
    cards = [Card(power_w=((0.0, 0.0),)), Card(uuid=B.uuid, tick_s=0.25)]
    period_s, method = run(cards, "[sensor.update_period_s, sensor.method]")
    assert period_s == pytest.approx(0.25, rel=0.25)
    assert "no tick of gpu:0 seen" in method


def test_says_that_no_tick_was_seen(run: Run) -> None:
    """A counter that stands still gets a usual tick, and the method says so."""
    resting = Card(power_w=((0.0, 0.0),))
    period_s, method = run([resting], "[sensor.update_period_s, sensor.method]")
    assert period_s == 0.1
    assert "no tick of gpu:0 seen in 1 s, 100 ms assumed" in method


def test_assumes_a_long_tick_after_one_change(run: Run) -> None:
    """A counter that moved once while it was watched is taken to be as slow as it may be."""
    once = Card(power_w=((0.0, 0.0), (0.2, 50.0), (0.3, 0.0)), tick_s=0.5)
    period_s, method = run([once], "[sensor.update_period_s, sensor.method]")
    assert period_s == 1.0
    assert "no tick of gpu:0 seen in 1 s, 1000 ms assumed" in method


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
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
def test_shows_the_cards_that_cuda_shows(run: Run, listed: str, expected: list[str]) -> None:
    """CUDA_VISIBLE_DEVICES selects by number, UUID or unambiguous prefix, up to a wrong entry."""
    assert run([A, B], CUDA_VISIBLE_DEVICES=listed) == expected


def test_says_where_the_list_of_cards_ends(run: Run) -> None:
    """An entry that names no card is told, as CUDA drops all that follow it."""
    method = run([A, B], "sensor.method", CUDA_VISIBLE_DEVICES="1,7,0")
    assert "CUDA_VISIBLE_DEVICES ends at '7', which names no single card" in method


@pytest.mark.parametrize("listed", ["", " ", "-1"])
def test_hidden_cards_are_absent(run: Run, listed: str) -> None:
    """Cards that were hidden on purpose are not missed."""
    reason, _, absent = run([A], CUDA_VISIBLE_DEVICES=listed)
    assert reason == f"CUDA_VISIBLE_DEVICES={listed!r} hides all cards"
    assert absent


@pytest.mark.parametrize(
    ("listed", "trouble"),
    [
        ("7", "ends at '7', which names no single card"),
        ("GPU-9999", "ends at 'GPU-9999', which names no single card"),
        ("GPU-1111", "ends at 'GPU-1111', which names no single card"),
        ("MIG-9999", "ends at 'MIG-9999', which names no single card"),
        ("none", "ends at 'none', which names no single card"),
        ("0,0", "names a card twice"),
    ],
)
def test_refuses_a_list_that_shows_no_card(run: Run, listed: str, trouble: str) -> None:
    """A list that CUDA makes nothing of is a mistake, told with its value and the mend."""
    cards = [A, Card(uuid=OTHER_MODEL.uuid)]
    reason, remedy, absent = run(cards, CUDA_VISIBLE_DEVICES=listed)
    assert reason == f"CUDA_VISIBLE_DEVICES={listed!r} shows no card: it {trouble}"
    assert remedy == "name cards as nvidia-smi -L lists them"
    assert not absent


UNCLEAR = "taken in PCI bus order, which CUDA may not follow: set CUDA_DEVICE_ORDER=PCI_BUS_ID"


@pytest.mark.parametrize(
    ("cards", "environ", "unclear"),
    [
        ([A, OTHER_MODEL], {"CUDA_VISIBLE_DEVICES": "1"}, True),
        (
            [A, OTHER_MODEL],
            {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"},
            True,
        ),
        (
            [A, OTHER_MODEL],
            {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            False,
        ),
        ([A, OTHER_MODEL], {"CUDA_VISIBLE_DEVICES": OTHER_MODEL.uuid}, False),
        ([A, OTHER_MODEL], {}, False),
        ([A, B], {"CUDA_VISIBLE_DEVICES": "1"}, False),
    ],
)
def test_says_when_numbers_are_unclear(
    run: Run, cards: list[Card], environ: dict[str, str], unclear: bool
) -> None:
    """Numbers of unlike cards mean what CUDA_DEVICE_ORDER says; its silence is told."""
    assert (UNCLEAR in run(cards, "sensor.method", **environ)) == unclear


TORCH = """
import sys, types
card = types.SimpleNamespace(uuid="1111aaaa-0000-0000-0000-000000000000")
sys.modules["torch"] = types.SimpleNamespace(cuda=types.SimpleNamespace(
    is_initialized=lambda: {initialised}, device_count=lambda: 1,
    get_device_properties=lambda number: card))
"""


@pytest.mark.parametrize(("initialised", "expected"), [(True, ["gpu:0"]), (False, ["gpu:1"])])
def test_asks_torch_which_card_a_number_means(
    run: Run, initialised: bool, expected: list[str]
) -> None:
    """Where numbers are unclear, a torch that has started CUDA knows; no other is asked."""
    before = TORCH.format(initialised=initialised)
    assert run([A, OTHER_MODEL], DOMAINS, before, CUDA_VISIBLE_DEVICES="1") == expected


def test_mig_instance_is_measured_as_its_whole_card(run: Run) -> None:
    """A MIG instance has no counter of its own: its card's is read, and the method says so."""
    split = Card(uuid=B.uuid, mig="MIG-3333dddd-0000-0000-0000-000000000000")
    shown = f"[{DOMAINS}, sensor.method]"
    domains, method = run([A, split], shown, CUDA_VISIBLE_DEVICES=split.mig)
    assert domains == ["gpu:1"]
    assert "gpu:1: energy of the whole card, not of one MIG instance" in method


def test_a_card_without_counter_is_sampled(run: Run) -> None:
    """Beside cards that count, the power of one that does not is integrated, and it is said."""
    domains, method = run([A, Card(uuid=B.uuid, counter=False)], f"[{DOMAINS}, sensor.method]")
    assert domains == ["gpu:0", "gpu:1"]
    assert "gpu:1 without an energy counter: power sampled every 2 ms" in method
    assert "and integrated, told by the card to 5 %" in method


def test_closed_sensor_has_no_counts(run: Run) -> None:
    """NVML is given back on close: nothing can be read after it."""
    assert run([A], "[sensor.close(), sensor.read().energy_uj][1]") == [None]


def test_refusal_gives_nvml_back(run: Run) -> None:
    """A sensor that is refused leaves NVML as it found it: not started."""
    after = """
import pynvml
try:
    shown = pynvml.nvmlDeviceGetCount()
except pynvml.NVMLError_Uninitialized:
    shown = "not started"
"""
    assert run([Card(deny_s=0.0)], after=after) == "not started"


@pytest.mark.parametrize(
    ("cards", "init_error", "expected"),
    [
        ([A], 9, ["the NVIDIA driver is not loaded", "sudo modprobe nvidia", True]),
        (
            [A],
            18,
            [
                "the NVIDIA driver in the kernel and its library have different versions",
                "reboot, or reload the driver",
                False,
            ],
        ),
        (
            [A],
            4,
            ["this user may not use the NVIDIA driver", "give it access to /dev/nvidia*", False],
        ),
        ([A], 999, ["NVML does not start: Unknown Error", None, False]),
        ([], 0, ["the NVIDIA driver shows no card", None, True]),
    ],
)
def test_says_why_there_is_no_card(
    run: Run, cards: list[Card], init_error: int, expected: list[object]
) -> None:
    """What keeps NVML from its cards is told in words, with the mend where there is one."""
    assert run(cards, init_error=init_error) == expected


def test_machine_without_driver_is_no_fault(run: Run, tmp_path: Path) -> None:
    """A driver library that cannot be loaded means that the machine has no such device."""
    (tmp_path / "libnvidia-ml.so.1").touch()
    reason, _, absent = run([A], LD_LIBRARY_PATH=str(tmp_path))
    assert reason == "no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded"
    assert absent


def test_missing_python_package_is_told(run: Run) -> None:
    """Without `nvidia-ml-py` the reason names it, and the remedy installs it."""
    problem = run([A], before="import sys; sys.modules['pynvml'] = None")
    assert problem == [
        "the Python package nvidia-ml-py is not installed",
        "pip install nvidia-ml-py",
        False,
    ]


# --- windows ---------------------------------------------------------------------------------

#: Measures windows of 0.2 s, up to one that is void; tells of each when it was and what it says.
WINDOWS = """
from pytest_greenops.sensors.instruments import Instruments
instruments, windows = Instruments([sensor]), []
while len(windows) < {windows} and not (windows and windows[-1][-1]):
    before = instruments.begin()
    time.sleep(0.2)
    after = instruments.end()
    window = instruments.window(before, after)
    times = [before[0].time_ns * 1e-9, after[0].time_ns * 1e-9]
    windows.append([*times, window.energy_uj, window.error_uj, window.missing])
states = {name: msgspec.to_builtins(state) for name, state in instruments.states().items()}
"""


class Seen(NamedTuple):
    """A window: when it was on the monotonic clock, and what is said of it, by domain."""

    begin_s: float
    end_s: float
    energy_uj: dict[str, int]
    error_uj: dict[str, float]
    missing: dict[str, str]


@pytest.fixture
def windows(run: Run) -> Callable[..., list[Seen]]:
    """Measures windows beside cards whose script began at a given time."""

    def windows(cards: Sequence[Card], start_s: float | None, most: int = 3) -> list[Seen]:
        inside = WINDOWS.replace("{windows}", str(most)).replace("\n", "\n    ")
        shown = f"None{inside}\n    shown = windows"
        return [Seen(*w) for w in run(cards, shown, "import msgspec", start_s=start_s)]

    return windows


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
def test_a_single_window_is_exact_and_says_how_exact(run: Run, card: Card) -> None:
    """Work of 0.2 s between rests, however the card tells its power: known to 5 %, as is said."""
    tick_s = 0.1 if card.tick_s == Card.tick_s else card.tick_s
    card = replace(card, tick_s=tick_s, power_w=((0.0, 60.0),), processes=(0,))
    inside = SINGLE.replace("\n", "\n    ")
    told = run([card], f"None{inside}\n    shown = windows")
    errors = [abs(energy_uj - true_uj) for energy_uj, _, true_uj in told]
    assert sorted(errors)[len(errors) // 2] <= 0.05 * told[0][2]
    assert sum(off <= stated for off, (_, stated, _) in zip(errors, told, strict=True)) >= 4


#: Five windows of work of 0.2 s: energy, stated error and truth in microjoules.
SINGLE = """
import random
from pytest_greenops.sensors.instruments import Instruments
from tests.simulated_host.nvml import Work
instruments, work, windows, chance = Instruments([sensor]), Work(), [], random.Random(1)
for _ in range(5):
    time.sleep(chance.uniform(0.15, 0.25))
    before = instruments.begin()
    first_j, until_s = work.joules(), time.monotonic() + 0.2
    for watts in (300.0, 180.0, 250.0):
        work.draw(watts)
        time.sleep(0.06)
    while time.monotonic() < until_s:
        pass
    last_j = work.draw(60.0)
    window = instruments.window(before, instruments.end())
    windows.append([window.energy_uj["gpu:0"], window.error_uj["gpu:0"], 1e6 * (last_j - first_j)])
"""


@pytest.mark.parametrize("cards", [2, 8])
def test_every_card_has_edges_of_its_own(windows: Callable[..., list[Seen]], cards: int) -> None:
    """Counters that tick at unlike times and rates are all known at the same edges."""
    start_s = time.monotonic()
    many = [
        Card(
            uuid=f"GPU-{number}",
            power_w=((0.0, 60.0 + 20 * number),),
            tick_s=0.02 + 0.01 * number,
            phase_s=0.003 * number,
        )
        for number in range(cards)
    ]
    for window in windows(many, start_s):
        assert len(window.energy_uj) == cards
        for number, card in enumerate(many):
            true_j = card.joules(window.begin_s - start_s, window.end_s - start_s)
            off_j = abs(window.energy_uj[f"gpu:{number}"] * 1e-6 - true_j)
            assert off_j <= max(0.03 * true_j, window.error_uj[f"gpu:{number}"] * 1e-6)


#: When a card fails, in seconds since NVML was started: long after the sensor was opened.
FAILS_S = 3.0


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (
            Card(uuid=B.uuid, lost_s=FAILS_S),
            "gpu:1 could not be read: GPU is lost (nvidia-smi -q tells more)",
        ),
        (
            Card(uuid=B.uuid, deny_s=FAILS_S),
            "gpu:1 could not be read: Insufficient Permissions (nvidia-smi -q tells more)",
        ),
        (
            Card(uuid=B.uuid, tick_s=0.02, stick_s=FAILS_S),
            "gpu:1 stands still although the card draws 100 W: it is stuck (reload the driver)",
        ),
        (Card(uuid=B.uuid, reset_s=FAILS_S), "gpu:1 went back and its range is not known"),
        (
            Card(uuid=B.uuid, counter=False, lost_s=FAILS_S),
            "gpu:1 could not be read: GPU is lost (nvidia-smi -q tells more)",
        ),
    ],
)
def test_a_card_that_fails_in_the_middle_says_why(
    windows: Callable[..., list[Seen]], card: Card, why: str
) -> None:
    """Lost, forbidden, stuck, reset: no number of it, and the other card keeps its own."""
    *whole, void = windows([A, card], None, most=40)
    assert void.missing == {"gpu:1": why}
    assert "gpu:1" not in void.energy_uj
    for window in [*whole, void]:
        true_j = 100.0 * (window.end_s - window.begin_s)
        off_j = abs(window.energy_uj["gpu:0"] * 1e-6 - true_j)
        assert off_j <= max(0.03 * true_j, window.error_uj["gpu:0"] * 1e-6)


def test_cards_rest_on_which_nobody_works(run: Run) -> None:
    """One that is busy, one that somebody computes on and one that does not tell may not rest."""
    cards = [
        A,
        Card(uuid=B.uuid, power_w=((0.0, 20.0), (0.001, 100.0))),
        Card(uuid="GPU-3", processes=(1,)),
        Card(uuid="GPU-4", processes=None),
    ]
    assert run(cards, "sorted(sensor.resting())") == ["gpu:0"]


def test_a_counter_that_disagrees_with_its_power_is_labelled(run: Run) -> None:
    """One that counts 85 % of its power is told in the method and among the doubts."""
    doubts, method = run([Card(gain=0.85)], "[sensor.doubts, sensor.method]")
    assert doubts == {"gpu:0": "gpu:0 counts 15 % less than its integrated power"}
    assert doubts["gpu:0"] in method


@pytest.mark.parametrize("card", [Card(), Card(power_noise=0.05), Card(gain=1.07)])
def test_a_counter_that_agrees_is_not_labelled(run: Run, card: Card) -> None:
    """Up to 10 % is agreement."""
    assert run([card], "sensor.doubts") == {}


STILL = "stands still although the card draws 100 W: not measured"


def test_a_counter_that_stands_still_from_the_start_is_left_out(run: Run) -> None:
    """The other card is measured without it, and a note for the header says why."""
    shown = f"[{DOMAINS}, sensor.notes]"
    assert run([A, replace(B, stick_s=0.0)], shown) == [["gpu:0"], [f"gpu:1 {STILL}"]]


def test_cards_that_all_stand_still_are_no_sensor(run: Run) -> None:
    """There is nothing left to measure, and a mend."""
    reason, remedy, absent = run([replace(A, stick_s=0.0)])
    assert reason == f"no card can be measured: gpu:0 {STILL}"
    assert (remedy, absent) == ("reload the driver", False)


@pytest.mark.parametrize(("processes", "waits"), [((0,), True), ((), False)])
def test_a_card_without_work_is_not_waited_for(
    run: Run, processes: tuple[int, ...], waits: bool
) -> None:
    """Once it is known to be idle its counts are taken as they stand, and known to a tick only."""
    window = "instruments.window(instruments.begin(), instruments.end())"
    before = "from pytest_greenops.sensors.instruments import Instruments"
    shown = f"[instruments := Instruments([sensor]), instruments.states(), {window}.error_uj][2]"
    error_uj = run([Card(tick_s=0.1, processes=processes)], shown, before)["gpu:0"]
    a_tick_uj = 100.0 * 0.1 * 1e6
    assert (error_uj < 0.5 * a_tick_uj) == waits
    assert (error_uj > a_tick_uj) != waits


# --- states ----------------------------------------------------------------------------------

STATES = "{name: msgspec.to_builtins(state) for name, state in sensor.states().items()}"


def test_tells_the_state_of_each_card(run: Run) -> None:
    """Temperature, clock, limit and what held the clocks down, as they were when a window ended."""
    card = Card(
        temperature_c=((0.0, 40.0), (1000.0, 40.0)),
        clock_mhz=((0.0, 1410),),
        limit_w=300.0,
        throttle=((0.0, 0x40),),
    )
    shown = f"[sensor.begin(), sensor.end(), {STATES}, {STATES}][2:]"
    first, second = run([card], shown, before="import msgspec")
    assert first["gpu:0"] == {
        "temperature_c": 40,
        "clock_mhz": 1410,
        "power_limit_w": 300.0,
        "throttle_reasons": ["hardware thermal slowdown"],
        "used": False,
    }
    assert "throttle_reasons" not in second["gpu:0"]


USED = "[state.used for state in sensor.states().values()]"
LOADED = """
import ctypes, os, shutil
path = os.environ["LD_LIBRARY_PATH"] + "/libcuda.so.1"
shutil.copy(os.environ["LD_LIBRARY_PATH"] + "/libnvidia-ml.so.1", path)
ctypes.CDLL(path)
"""


@pytest.mark.parametrize(
    ("processes", "before", "used"),
    [
        (((0,), ()), "", [True, False]),
        (((1,), ()), "", [False, False]),
        (((1,), ()), LOADED, [None, None]),
        (((), None), "", [False, False]),
        (((0,), None), "", [True, None]),
    ],
)
def test_tells_which_cards_this_process_uses(
    run: Run, processes: Sequence[tuple[int, ...] | None], before: str, used: list[bool | None]
) -> None:
    """By the driver's list, where it knows us; else by whether CUDA is loaded at all."""
    cards = [Card(processes=processes[0]), Card(uuid=B.uuid, processes=processes[1])]
    assert run(cards, USED, before) == used


FOREIGN = "[state.foreign for state in sensor.states().values()]"


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
def test_tells_whether_somebody_else_computes_on_a_card(
    run: Run, processes: tuple[int, ...], named: str, foreign: list[bool | None]
) -> None:
    """Where the driver knows us; on a card that is judged by name others may do the work."""
    cards = [Card(processes=processes), Card(uuid=B.uuid)]
    shown = f"[setattr(sensor, 'named', {named!r}), {FOREIGN}][1]"
    assert run(cards, shown) == foreign


#: Lets the meter repeat a call that draws much in its first half and little in its second.
PULSED = """
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.sensors.instruments import Instruments
from tests.simulated_host.nvml import Work
work = Work()

def call():
    for watts in (250.0, 60.0):
        work.draw(watts)
        until_s = time.monotonic() + {half_s}
        while time.monotonic() < until_s:
            pass

meter = Meter(Instruments([sensor]), Plan(looks=(3,), iterations=16), lambda *asked: True)
for trip in meter.trips():
    for calls in trip.batches():
        with trip.window("call"):
            for _ in range(calls):
                call()
"""


def test_work_that_keeps_in_step_with_the_samples_is_spread(run: Run) -> None:
    """Power that is renewed every 100 ms and calls of 100 ms: each phase of them is seen."""
    card = Card(
        power_w=((0.0, 60.0),), counter=False, power_tick_s=0.1, average_s=0.0, processes=(0,)
    )
    inside = PULSED.format(half_s=0.05).replace("\n", "\n    ")
    rounds = 'meter.measurements()["call"].rounds'
    shown = f"None{inside}\n    shown = [[r.energy_uj['gpu:0'], r.seconds] for r in {rounds}]"
    for energy_uj, seconds in run([card], shown):
        assert energy_uj * 1e-6 == pytest.approx(155.0 * seconds, rel=0.25)


def test_a_child_that_came_and_went_may_have_used_a_card(run: Run) -> None:
    """A card that is idle before and after it is not known to be idle."""
    child = "__import__('subprocess').run(['true'])"
    assert run([A], f"[{USED}, {child} and None, {USED}, {USED}][::2]") == [[False], [None]]


def test_a_card_that_is_judged_by_name_counts_as_used(run: Run) -> None:
    """Whoever uses it, a server that the test did not start included."""
    shown = f"[setattr(sensor, 'named', 'gpu:1'), {USED}][1]"
    assert run([A, B], shown) == [False, True]
