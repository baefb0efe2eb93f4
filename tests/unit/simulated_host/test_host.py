"""A whole simulated machine, and unmodified tools of other projects that measure on it."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import child
from tests.simulated_host.host import Host, Socket, why_impossible
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))

STEPS_W = tuple((i / 10, 100.0 + 50 * (i % 3)) for i in range(3000))
WINDOW_S = 0.5


def machine() -> Host:
    """Two sockets with memory, and two cards."""
    return Host(
        sockets=(
            Socket(
                LiveZone(STEPS_W, start_uj=5_000_000),
                dram=LiveZone(((0.0, 20.0),), start_uj=77),
                core=LiveZone(((0.0, 30.0),), start_uj=123),
            ),
            Socket(LiveZone(((0.0, 60.0),), start_uj=9_000_000), LiveZone(((0.0, 10.0),))),
        ),
        psys=LiveZone(((0.0, 700.0),), unit_uj=1e6),
        cards=(
            Card(power_w=STEPS_W, tick_s=0.02),
            Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000", tick_s=0.02),
        ),
    )


def needs(module: str) -> pytest.MarkDecorator:
    """Skip a test if a tool is not installed."""
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed")


def truth(host: Host, opened_s: float, closed_s: float) -> dict[str, float]:
    """Return what each device drew between two times of the monotonic clock."""
    return host.joules(host.seconds(opened_s), host.seconds(closed_s))


def test_shows_the_machine_at_the_real_paths(tmp_path: Path) -> None:
    """Zones, CPUs and cards are where tools look for them."""
    seen = machine().run(_look_around, folder=tmp_path)
    assert seen["zones"] == ["package-0", "package-1", "psys"]
    assert seen["inside"] == ["core", "dram"]
    assert seen["packages"] == ["0", "0", "1", "1"]
    assert seen["cards"] == 2
    assert seen["moved_uj"] > 0


def _look_around() -> dict[str, Any]:
    """In a child: what a tool finds."""
    import pynvml

    rapl = Path("/sys/class/powercap/intel-rapl")
    cpus = sorted(Path("/sys/devices/system/cpu").glob("cpu*/topology/physical_package_id"))
    counter = rapl / "intel-rapl:0" / "energy_uj"
    before_uj = int(counter.read_text())
    time.sleep(0.01)
    pynvml.nvmlInit()
    return {
        "zones": [(zone / "name").read_text().strip() for zone in sorted(rapl.glob("intel-*:?"))],
        "inside": [
            (zone / "name").read_text().strip()
            for zone in sorted((rapl / "intel-rapl:0").glob("intel-*"))
        ],
        "packages": [file.read_text().strip() for file in cpus],
        "cards": pynvml.nvmlDeviceGetCount(),
        "moved_uj": int(counter.read_text()) - before_uj,
    }


def test_true_energy_is_known_by_device() -> None:
    """Of each device, whatever counts it."""
    assert machine().joules(0.0, 0.3) == pytest.approx(
        {
            "cpu:0": 45.0,
            "dram:0": 6.0,
            "cpu:1": 18.0,
            "dram:1": 3.0,
            "psys": 210.0,
            "gpu:0": 45.0,
            "gpu:1": 30.0,
        }
    )


def test_a_machine_may_have_nothing(tmp_path: Path) -> None:
    """Without sockets and cards, it has no counters, and the driver is not loaded."""
    assert Host().run(_look_for_anything, folder=tmp_path) == [[], 9]


def _look_for_anything() -> list[Any]:
    """In a child: the zones, and why there are no cards."""
    import pynvml

    zones = os.listdir("/sys/class/powercap")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [zones, error.value]
    return [zones, 0]


@pytest.mark.real_time
@needs("pyRAPL")
def test_pyrapl_measures_on_it(tmp_path: Path) -> None:
    """An unmodified pyRAPL measures the energy of a window to a few ticks."""
    host = machine()
    opened_s, closed_s, package_uj, dram_uj = host.run(_pyrapl_window, folder=tmp_path)
    true_j = truth(host, opened_s, closed_s)
    measured_j = [value * 1e-6 for value in (*package_uj, *dram_uj)]
    names = ["cpu:0", "cpu:1", "dram:0", "dram:1"]
    assert measured_j == pytest.approx([true_j[name] for name in names], rel=0.05)


def _pyrapl_window() -> list[Any]:
    """In a child: a window of pyRAPL."""
    pyrapl: Any = importlib.import_module("pyRAPL")
    pyrapl.setup()
    window = pyrapl.Measurement("window")
    window.begin()
    opened_s = time.monotonic()
    time.sleep(WINDOW_S)
    closed_s = time.monotonic()
    window.end()
    return [opened_s, closed_s, window.result.pkg, window.result.dram]


@pytest.mark.real_time
@needs("zeus")
def test_zeus_measures_on_it(tmp_path: Path) -> None:
    """An unmodified Zeus measures the energy of a window to a few ticks."""
    host = machine()
    opened_s, closed_s, measured_j = host.run(_zeus_window, folder=tmp_path)
    true_j = truth(host, opened_s, closed_s)
    del true_j["psys"], true_j["gpu:1"]
    # Zeus takes psys, the third zone, for a CPU.
    assert {name: measured_j[name] for name in true_j} == pytest.approx(true_j, rel=0.1)


def _zeus_window() -> list[Any]:
    """In a child: a window of Zeus, after a first one that starts what it needs."""
    zeus: Any = importlib.import_module("zeus.monitor")
    monitor = zeus.ZeusMonitor(gpu_indices=[0])
    monitor.begin_window("first", sync_execution=False)
    monitor.end_window("first", sync_execution=False)
    monitor.begin_window("window", sync_execution=False)
    opened_s = time.monotonic()
    time.sleep(WINDOW_S)
    closed_s = time.monotonic()
    found = monitor.end_window("window", sync_execution=False)
    kinds = {"cpu": found.cpu_energy, "dram": found.dram_energy, "gpu": found.gpu_energy}
    joules = {f"{kind}:{i}": j for kind, of in kinds.items() for i, j in (of or {}).items()}
    return [opened_s, closed_s, joules]


@pytest.mark.real_time
@needs("codecarbon")
def test_codecarbon_measures_on_it(tmp_path: Path) -> None:
    """An unmodified codecarbon measures the energy of sockets and cards, to 30 %."""
    host = machine()
    opened_s, closed_s, cpu_kwh, gpu_kwh = host.run(_codecarbon_window, folder=tmp_path)
    true_j = truth(host, opened_s, closed_s)
    assert gpu_kwh * 3.6e6 == pytest.approx(true_j["gpu:0"] + true_j["gpu:1"], rel=0.3)
    assert cpu_kwh > 0


def _codecarbon_window() -> list[Any]:
    """In a child: a run of codecarbon's tracker, off the network."""
    codecarbon: Any = importlib.import_module("codecarbon")
    tracker = codecarbon.OfflineEmissionsTracker(
        country_iso_code="USA",
        measure_power_secs=0.5,
        save_to_file=False,
        log_level="error",
        allow_multiple_runs=True,
    )
    tracker.start()
    opened_s = time.monotonic()
    time.sleep(2.0)
    closed_s = time.monotonic()
    tracker.stop()
    found = tracker.final_emissions_data
    return [opened_s, closed_s, found.cpu_energy, found.gpu_energy]


def test_threads_get_the_answers_to_their_own_calls() -> None:
    """Several threads may run children at the same time."""
    numbers = range(1, 65)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: child.run(math.factorial, n), numbers))
    assert answers == [math.factorial(n) for n in numbers]
