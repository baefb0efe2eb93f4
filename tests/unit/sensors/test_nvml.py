"""The NVML sensor, read through the unmodified `pynvml` from a simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import nvml
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

ROOT = Path(__file__).parents[3]
A = Card()
B = Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000")
OTHER_MODEL = Card(uuid="GPU-1111cccc-0000-0000-0000-000000000000", name="Simulated B")

#: Opens the sensor in a fresh process and prints as JSON what `shown` makes of it.
PROGRAM = """\
import json, time
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors import nvml
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


def test_refuses_a_card_without_counter(run: Run) -> None:
    """A card that counts no energy cannot be measured, and is named."""
    reason, _, absent = run([Card(counter=False)])
    assert reason == "no card can be measured: gpu:0 (Simulated A) has no energy counter"
    assert not absent


def test_names_the_card_that_is_not_measured(run: Run) -> None:
    """Beside cards that count, one that does not is named in the method."""
    domains, method = run([A, Card(uuid=B.uuid, counter=False)], f"[{DOMAINS}, sensor.method]")
    assert domains == ["gpu:0"]
    assert "gpu:1 (Simulated A) has no energy counter: not measured" in method


def test_failing_card_has_no_count(run: Run) -> None:
    """A card whose counter fails in the middle of a run has no count; the others keep theirs."""
    failing = Card(uuid=B.uuid, fail=(300, 15))
    readings = run([A, failing], "[sensor.read().energy_uj for _ in range(400)]")
    assert None not in readings[0]
    assert readings[-1][0] is not None
    assert readings[-1][1] is None


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
    assert run([Card(counter=False)], after=after) == "not started"


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
