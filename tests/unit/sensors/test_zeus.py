"""The zeus sensor: an unmodified Zeus on simulated devices, or a stand-in for Zeus."""

from __future__ import annotations

import importlib.util
import io
import logging
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading
from pytest_greenops.sensors import zeus
from pytest_greenops.sensors.base import difference
from pytest_greenops.sensors.ticks import USUAL_PERIOD_S, WATCH_S
from tests.simulated_host import child, zeus_devices
from tests.simulated_host.simulated_clock import SimulatedClock
from tests.simulated_host.zeus_devices import (
    CARD_NODE,
    CPU_NODE,
    NEW_APU_NODE,
    OLD_APU_NODE,
    AmdCard,
)

INSTALL = "pip install 'pytest-greenops[zeus]'"
NO_COUNTER = "zeus finds no counter of a CPU or a GPU on this chip"
REAL = "zeus" in sys.modules or importlib.util.find_spec("zeus") is not None

with_zeus = pytest.mark.skipif(not REAL, reason="zeus is not installed")
with_private_sys = pytest.mark.skipif(
    child.why_no_private_sys() is not None, reason=str(child.why_no_private_sys())
)


class FakeGpu:
    """A GPU of the stand-in; `counts_mj` are its answers, and it repeats the last one."""

    def __init__(self, *counts_mj: Any, index: int = 0, supported: bool = True) -> None:
        self.gpu_index = index
        self._counts = list(counts_mj)
        self._supported = supported

    def get_name(self) -> str:
        """Return the model."""
        return "Simulated"

    def supports_get_total_energy_consumption(self) -> bool:
        """Return whether there is a counter."""
        return self._supported

    def get_total_energy_consumption(self) -> Any:
        """Return the next answer; raise it if it is an exception."""
        count = self._counts.pop(0) if len(self._counts) > 1 else self._counts[0]
        if isinstance(count, Exception):
            raise count
        return count


Open = Callable[..., zeus.ZeusSensor]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No GPUs are kept from another test."""
    zeus._amd_cards.cache_clear()
    monkeypatch.setattr(zeus, "WATCH_S", 0.0)
    yield
    zeus._amd_cards.cache_clear()


@pytest.fixture
def amd_root(tmp_path: Path) -> Path:
    """The files of a machine with an AMD GPU."""
    return zeus_devices.kfd_nodes(tmp_path, [CPU_NODE, CARD_NODE])


@pytest.fixture
def open_amd(amd_root: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the sensor on GPUs of the stand-in."""

    def opened(*gpus: FakeGpu) -> zeus.ZeusSensor:
        part = ModuleType("zeus.device.gpu")
        vars(part).update(
            amdsmi_is_available=lambda: True, AMDGPUs=lambda: SimpleNamespace(gpus=gpus)
        )
        install(monkeypatch, zeus_devices.stand_in(gpu=part))
        return zeus.open_sensor(amd_root, {})

    return opened


def install(monkeypatch: pytest.MonkeyPatch, modules: Mapping[str, ModuleType | None]) -> None:
    """Replace installed modules."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "zeus"]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def problem_of(function: Callable[[], Any]) -> list[Any]:
    """Return why a sensor did not open, the fix, and whether the device is absent."""
    with pytest.raises(SensorUnavailable) as caught:
        function()
    return [caught.value.reason, caught.value.remedy, caught.value.absent]


# --- which device is present ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([], None),
        ([CPU_NODE], None),
        ([CPU_NODE, CARD_NODE], zeus.AMD),
        ([OLD_APU_NODE], None),
        ([CPU_NODE, NEW_APU_NODE], None),
        ([CPU_NODE, CARD_NODE, NEW_APU_NODE], zeus.AMD),
    ],
)
def test_finds_amd_cards_in_the_topology(
    tmp_path: Path, nodes: Sequence[Mapping[str, int]], expected: str | None
) -> None:
    """A node has the instruction set of a GPU that is not on the die of a CPU."""
    zeus_devices.kfd_nodes(tmp_path, nodes)
    assert expected == zeus.present(tmp_path, "Linux", "x86_64")


def test_a_jetson_is_known_by_its_release_file(tmp_path: Path) -> None:
    """NVIDIA's system for Jetson has a file of its own."""
    zeus_devices.release_file(tmp_path)
    assert zeus.JETSON == zeus.present(tmp_path, "Linux", "aarch64")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (b"NVIDIA Jetson Orin Nano Developer Kit\0", zeus.JETSON),
        (b"Raspberry Pi 5 Model B\0", None),
        (b"\xff", None),
    ],
)
def test_a_jetson_is_known_by_its_model(tmp_path: Path, model: bytes, expected: str | None) -> None:
    """The device tree names the board."""
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(model)
    assert expected == zeus.present(tmp_path, "Linux", "aarch64")


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [("Darwin", "arm64", zeus.APPLE), ("Darwin", "x86_64", None), ("Linux", "arm64", None)],
)
def test_apple_silicon_is_known_by_its_names(
    tmp_path: Path, system: str, machine: str, expected: str | None
) -> None:
    """A Mac whose processor is Apple's own."""
    assert expected == zeus.present(tmp_path, system, machine)


def test_nothing_is_loaded_without_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the sensors for other devices, and zeus is not loaded."""
    install(monkeypatch, {"zeus": None})
    reason = (
        "there is no AMD GPU, Apple silicon or Jetson; NVIDIA cards are read by the sensor nvml, "
        "RAPL counters by powercap"
    )
    assert [reason, None, True] == problem_of(lambda: zeus.open_sensor(tmp_path))


@pytest.mark.parametrize(
    "environ",
    [
        {"HIP_VISIBLE_DEVICES": ""},
        {"CUDA_VISIBLE_DEVICES": "-1"},
        {"HIP_VISIBLE_DEVICES": "-1", "CUDA_VISIBLE_DEVICES": "0"},
    ],
)
def test_hidden_cards_are_absent(
    amd_root: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    """Cards that were hidden on purpose are not missed."""
    install(monkeypatch, {"zeus": None})
    expected = ["HIP_VISIBLE_DEVICES hides every AMD GPU", None, True]
    assert expected == problem_of(lambda: zeus.open_sensor(amd_root, environ))


# --- zeus that cannot be used ---------------------------------------------------------------


def test_zeus_that_is_not_installed_is_named(
    amd_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fix installs it."""
    install(monkeypatch, {})
    without = [folder for folder in sys.path if not (Path(folder) / "zeus").is_dir()]
    monkeypatch.setattr(sys, "path", without)
    expected = ["zeus is not installed", INSTALL, False]
    assert expected == problem_of(lambda: zeus.open_sensor(amd_root, {}))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('wrong moon')", "RuntimeError: wrong moon"),
        ("import none_such", "ModuleNotFoundError: No module named 'none_such'"),
    ],
)
def test_zeus_that_cannot_be_imported_is_named(
    amd_root: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    """With the error that it raises, of any type."""
    install(monkeypatch, {})
    (amd_root / "zeus").mkdir()
    (amd_root / "zeus/__init__.py").write_text(f"{code}\n")
    monkeypatch.syspath_prepend(str(amd_root))
    expected = [f"zeus cannot be imported ({words})", INSTALL, False]
    assert expected == problem_of(lambda: zeus.open_sensor(amd_root, {}))


def test_another_package_of_this_name_is_named(
    amd_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fix removes it, and installs the right one."""
    install(monkeypatch, {})
    (amd_root / "zeus").mkdir()
    (amd_root / "zeus/__init__.py").touch()
    monkeypatch.syspath_prepend(str(amd_root))
    reason = "the package zeus here is another one: it has no module zeus.device"
    expected = [reason, f"pip uninstall -y zeus; {INSTALL}", False]
    assert expected == problem_of(lambda: zeus.open_sensor(amd_root, {}))


def test_an_older_zeus_is_refused(amd_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason has the name that is missing."""
    install(monkeypatch, zeus_devices.stand_in(gpu=ModuleType("zeus.device.gpu")))
    reason = (
        "zeus cannot read an AMD GPU here: AttributeError: "
        "module 'zeus.device.gpu' has no attribute 'amdsmi_is_available'"
    )
    assert reason == problem_of(lambda: zeus.open_sensor(amd_root, {}))[0]


# --- readings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count_mj", "expected"),
    [
        (7, 7000),
        (1234.5678, 1_234_568),
        (2**63, 2**63 * 1000),
        (None, None),
        ("N/A", None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_counts_are_whole_microjoules(open_amd: Open, count_mj: Any, expected: int | None) -> None:
    """Rounded millijoules of zeus; an answer that is not a number has no count."""
    assert [expected] == open_amd(FakeGpu(count_mj)).read().energy_uj


def test_a_card_that_fails_in_a_run_has_no_count(open_amd: Open) -> None:
    """It is missing from the window, with the reason, and the others are read."""
    lost = OSError("the card fell off the bus")
    gone, last = FakeGpu(1, 5, lost, index=0), FakeGpu(1, 7, lost, index=2)
    sensor = open_amd(gone, FakeGpu(9, index=1), last)
    before, after = sensor.read(), sensor.read()
    assert [[5000, 9000, 7000], [None, 9000, None]] == [before.energy_uj, after.energy_uj]
    window = difference(sensor.domains, before, after)
    assert {"gpu:1": 0} == window.energy_uj
    assert {
        name: f"{name} could not be read (OSError: the card fell off the bus)"
        for name in ("gpu:0", "gpu:2")
    } == window.missing


def test_a_counter_that_goes_back_is_missing(open_amd: Open) -> None:
    """A driver that was loaded again starts at zero, which is not a wrap."""
    sensor = open_amd(FakeGpu(1, 5000, 3))
    window = difference(sensor.domains, sensor.read(), sensor.read())
    assert {"gpu:0": "gpu:0 went back and its range is not known"} == window.missing


def test_a_card_without_counter_is_named(open_amd: Open) -> None:
    """The method says which card is not measured."""
    sensor = open_amd(FakeGpu(1, index=0), FakeGpu(index=3, supported=False))
    assert ["gpu:0"] == [domain.name for domain in sensor.domains]
    assert sensor.method == (
        "energy counters of AMD, read by zeus; "
        "gpu:3 (Simulated): no counter that agrees with its power, not measured"
    )


def test_closing_twice_is_closing_once(open_amd: Open) -> None:
    """The second call does nothing."""
    sensor = open_amd(FakeGpu(1))
    sensor.close()
    sensor.close()


@pytest.mark.parametrize(("changes", "expected"), [(0, USUAL_PERIOD_S), (1, WATCH_S), (3, 0.02)])
def test_the_tick_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, expected: float
) -> None:
    """A counter that did not move has a usual tick, one that moved once the whole watch."""
    monkeypatch.setattr(zeus, "WATCH_S", WATCH_S)
    clock = SimulatedClock(tmp_path / "clock")
    began_s = clock.time_s
    device = zeus._Device(
        (Domain("gpu:0", "gpu"),), lambda: [min(changes, (clock.time_s - began_s) // 0.02)]
    )
    assert expected == pytest.approx(zeus._tick_s(device, clock), rel=0.05)


class FakeChip:
    """A Jetson whose sampling returns one count after another, until it ends."""

    def __init__(self, *answers: Any, metrics: Sequence[str] = ("cpu_energy_mj",)) -> None:
        self._answers = list(answers)
        self._metrics = set(metrics)
        self.alive = True
        self.process = self

    def get_available_metrics(self) -> set[str]:
        """Return the rails."""
        return self._metrics

    def get_total_energy_consumption(self) -> Any:
        """Return the next answer."""
        return SimpleNamespace(cpu_energy_mj=self._answers.pop(0))

    def is_alive(self) -> bool:
        """Return whether it samples."""
        return self.alive

    def terminate(self) -> None:
        """End the sampling."""
        self.alive = False

    def join(self) -> None:
        """Wait for its end."""
        assert not self.alive


@pytest.fixture
def open_jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the sensor on a Jetson of the stand-in."""

    def opened(chip: FakeChip) -> zeus.ZeusSensor:
        part = SimpleNamespace(jetson_is_available=lambda: True, Jetson=lambda: chip)
        install(monkeypatch, zeus_devices.stand_in(soc=part))
        return zeus.open_sensor(zeus_devices.release_file(tmp_path))

    return opened


def test_a_jetson_is_asked_twice(open_jetson: Open) -> None:
    """The first answer is as old as the last sample; the second is new."""
    assert [2500] == open_jetson(FakeChip(1.0, 2.5)).read().energy_uj


def test_a_jetson_is_not_asked_after_its_sampling_ended(open_jetson: Open) -> None:
    """It would not answer; closing ends it, and may be repeated."""
    chip = FakeChip()
    sensor = open_jetson(chip)
    sensor.close()
    sensor.close()
    reading = sensor.read()
    assert [None] == reading.energy_uj
    words = "could not be read (RuntimeError: zeus's process that samples the power has ended)"
    assert {"cpu:0": words} == reading.why


def test_a_jetson_that_is_refused_is_not_left_sampling(open_jetson: Open) -> None:
    """The process that zeus started is stopped."""
    chip = FakeChip(metrics=["total_energy_mj"])
    assert NO_COUNTER == problem_of(lambda: open_jetson(chip))[0]
    assert not chip.alive


def test_apple_silicon_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters of the chip, in microjoules."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    counts = {"cpu_total_mj": 1, "ane_mj": 2, "gpu_sram_mj": 3}
    chip = SimpleNamespace(
        get_available_metrics=counts.keys,
        get_total_energy_consumption=lambda: SimpleNamespace(**counts),
    )
    part = SimpleNamespace(apple_silicon_is_available=lambda: True, AppleSilicon=lambda: chip)
    install(monkeypatch, zeus_devices.stand_in(soc=part))
    sensor = zeus.open_sensor()
    assert ["cpu:0", "gpu:1"] == [domain.name for domain in sensor.domains]
    assert [1000, 2000] == sensor.read().energy_uj


# --- an unmodified Zeus ---------------------------------------------------------------------


def opened(sensor: zeus.ZeusSensor) -> dict[str, Any]:
    """In a child: describe a sensor."""
    return {
        "domains": [[d.name, d.kind, d.counted] for d in sensor.domains],
        "method": sensor.method,
    }


def open_cards(cards: Sequence[AmdCard], folder: str, **more: Any) -> zeus.ZeusSensor:
    """In a child: an unmodified zeus on these cards."""
    sys.modules["amdsmi"] = zeus_devices.amdsmi(cards, **more)
    return zeus.open_sensor(zeus_devices.kfd_nodes(Path(folder), [CARD_NODE]))


def attempt(cards: list[dict[str, Any]], folder: str, more: dict[str, Any]) -> dict[str, Any]:
    """In a child: open these cards, and describe the sensor or the problem."""
    try:
        return opened(open_cards([AmdCard(**card) for card in cards], folder, **more))
    except SensorUnavailable as problem:
        return {"problem": [problem.reason, problem.remedy]}


def watts_of_cards(cards: list[dict[str, Any]], folder: str) -> dict[str, Any]:
    """In a child: the power of each card over half a second, and how often its counter moves."""
    sensor = open_cards([AmdCard(**card) for card in cards], folder)
    before = sensor.read()
    time.sleep(0.5)
    window = difference(sensor.domains, before, sensor.read())
    sensor.close()
    return {
        "watts": {name: uj * 1e-6 / window.seconds for name, uj in window.energy_uj.items()},
        "period": sensor.update_period_s,
        "exact": all(isinstance(uj, int) for uj in before.energy_uj),
    }


@pytest.mark.real_time
@with_zeus
def test_counts_the_joules_of_amd_cards(tmp_path: Path) -> None:
    """Each card has its number in HIP, and the tick of its counter is measured."""
    cards = [{"watts": 100.0, "hip_id": 1, "tick_s": 0.02}, {"watts": 300.0, "hip_id": 0}]
    answer = child.run(watts_of_cards, cards, str(tmp_path))
    assert {"gpu:0": 300.0, "gpu:1": 100.0} == pytest.approx(answer["watts"], rel=0.06)
    assert 0.02 == pytest.approx(answer["period"], rel=0.3)
    assert answer["exact"]


@with_zeus
@pytest.mark.parametrize(
    ("cards", "more", "reason", "remedy"),
    [
        (
            [{}, {"error": zeus_devices.NOT_SUPPORTED}],
            {},
            "an AMD GPU here has no energy counter, and zeus opens all or none (error 2)",
            "name those that have one in HIP_VISIBLE_DEVICES",
        ),
        (
            [{"shown_w": 5000}],
            {},
            "no AMD GPU can be measured: gpu:0 (AMD Instinct Simulated): "
            "no counter that agrees with its power, not measured",
            None,
        ),
        (
            [{"error": 10}],
            {},
            "zeus cannot read an AMD GPU here: ZeusGPUNoPermissionError: error 10",
            None,
        ),
        (
            [{}],
            {"init_error": 34},
            "zeus cannot use AMD's library amdsmi: amdsmi is available but could not "
            "initialize: 34",
            "install ROCm 6.2 or later, and the package amdsmi of the same version",
        ),
    ],
    ids=["old card", "wrong counter", "no permission", "amdsmi"],
)
def test_cards_that_cannot_be_read_are_named(
    tmp_path: Path,
    cards: list[dict[str, Any]],
    more: dict[str, int],
    reason: str,
    remedy: str | None,
) -> None:
    """The reason has what zeus raises or only logs; cards without a counter can be hidden."""
    answer = child.run(attempt, cards, str(tmp_path), more)
    assert answer == {"problem": [reason, remedy]}


@with_zeus
def test_two_chiplets_are_one_card(tmp_path: Path) -> None:
    """An MI250 counts both at its even number."""
    cards = [{"model": "AMD Instinct MI250X"}, {"model": "AMD Instinct MI250X", "shown_w": 0}]
    assert child.run(attempt, cards, str(tmp_path), {}) == {
        "domains": [["gpu:0", "gpu", True]],
        "method": "energy counters of AMD, read by zeus; "
        "gpu:0: energy of both chiplets of the card; gpu:1 (AMD Instinct MI250X): "
        "no counter that agrees with its power, not measured",
    }


def what_is_heard(folder: str) -> dict[str, Any]:
    """In a child: logs, warnings and output while a sensor is opened that makes zeus log a lot.

    It is opened twice, as by a second run in the same process.
    """
    stream, out = io.StringIO(), io.StringIO()
    logging.basicConfig(stream=stream, level=logging.DEBUG)
    loaded_before = "zeus" in sys.modules
    cards = [AmdCard(model="MI250"), AmdCard(model="MI250", shown_w=0)]
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(out):
        warnings.simplefilter("always")
        open_cards(cards, folder).close()
        sensor = zeus.open_sensor(Path(folder))
    log = logging.getLogger("zeus")
    return {
        "loaded": [loaded_before, "zeus" in sys.modules],
        "heard": [line for line in stream.getvalue().splitlines() if "zeus" in line],
        "printed": out.getvalue(),
        "warned": [str(warning.message) for warning in caught],
        "left": [log.level, log.propagate, [type(h).__name__ for h in log.handlers]],
        "read": [type(uj).__name__ for uj in sensor.read().energy_uj],
    }


@with_zeus
def test_zeus_is_loaded_on_demand_and_silently(tmp_path: Path) -> None:
    """Its logs, warnings and output are hidden; its logger is as it was."""
    assert child.run(what_is_heard, str(tmp_path)) == {
        "loaded": [False, True],
        "heard": [],
        "printed": "",
        "warned": [],
        "left": [0, True, ["NullHandler"]],
        "read": ["int"],
    }


def apple(readings: list[dict[str, int]]) -> dict[str, Any]:
    """In a child: two readings of a Mac with these answers; it repeats the last one."""
    answers = iter([*[readings[0]] * 3, *readings[1:]])
    last = readings[-1]
    zeus_devices.pretend_apple()
    sys.modules["zeus_apple_silicon"] = zeus_devices.apple_silicon(lambda: next(answers, last))
    zeus.__dict__["WATCH_S"] = 0.0
    sensor = zeus.open_sensor(Path("/none"))
    return opened(sensor) | {"read": [list(sensor.read().energy_uj) for _ in range(2)]}


@with_zeus
def test_parts_of_apple_silicon_are_counted_once() -> None:
    """The total of the CPU, memory, GPU, and the Neural Engine as a second GPU."""
    counts = {"cpu_total_mj": 10, "dram_mj": 3, "gpu_mj": 5, "gpu_sram_mj": 1, "ane_mj": 2}
    assert child.run(apple, [counts, counts | {"gpu_mj": 6}]) == {
        "domains": [
            ["cpu:0", "cpu", True],
            ["dram:0", "dram", True],
            ["gpu:0", "gpu", True],
            ["gpu:1", "gpu", True],
        ],
        "method": "energy counters of Apple, read by zeus; gpu:1 is the Neural Engine",
        "read": [[10_000, 3000, 5000, 2000], [10_000, 3000, 6000, 2000]],
    }


@with_zeus
def test_apple_silicon_has_the_domains_that_it_reports() -> None:
    """A chip without a counter of its memory has no such domain."""
    answer = child.run(apple, [{"cpu_total_mj": 10, "gpu_mj": 5}])
    assert [["cpu:0", "cpu", True], ["gpu:0", "gpu", True]] == answer["domains"]


def apple_without_library() -> list[Any]:
    """In a child: a Mac with only zeus itself installed."""
    zeus_devices.pretend_apple()
    return problem_of(lambda: zeus.open_sensor(Path("/none")))


@with_zeus
def test_apple_silicon_needs_a_library_of_its_own() -> None:
    """Its package is named by the extra."""
    assert [
        "the package zeus-apple-silicon is not installed, or this Python is not for arm64",
        INSTALL,
        False,
    ] == child.run(apple_without_library)


def pretend_jetson(folder: str, rails_mw: dict[str, int]) -> Path:
    """In a child with its own `/sys`: simulate a Jetson; return the folder of its rails."""
    from zeus.device.soc import jetson

    release = zeus_devices.release_file(Path(folder)) / "etc/nv_tegra_release"
    platform.processor = lambda: "aarch64"
    jetson.os = SimpleNamespace(path=SimpleNamespace(exists=lambda _: release.exists()))
    return zeus_devices.jetson_rails(Path("/"), rails_mw)


def jetson(folder: str, rails_mw: dict[str, int]) -> dict[str, Any]:
    """In a child: the power of each rail over a window that follows a change of power."""
    files = pretend_jetson(folder, rails_mw)
    try:
        sensor = zeus.open_sensor(Path(folder))
    except SensorUnavailable as problem:
        return {"reason": problem.reason}
    time.sleep(0.25)
    for file in files.glob("curr*_input"):
        file.write_text(str(int(file.read_text()) * 2))
    before = sensor.read()
    time.sleep(0.33)
    window = difference(sensor.domains, before, sensor.read())
    watts = {name: uj * 1e-6 / window.seconds for name, uj in window.energy_uj.items()}
    sensor.close()
    sensor.close()
    closed: Reading = sensor.read()
    return opened(sensor) | {"watts": watts, "closed": list(closed.energy_uj)}


@pytest.mark.real_time
@with_zeus
@with_private_sys
def test_rails_of_a_jetson_are_counted_once(tmp_path: Path) -> None:
    """CPU and GPU are counted; the input that feeds them enters no total."""
    rails = {"POM_5V_IN": 6000, "POM_5V_GPU": 1000, "POM_5V_CPU": 2000}
    answer = child.run(jetson, str(tmp_path), rails, private_sys=True)
    expected = {"cpu:0": 4.0, "gpu:0": 2.0, "psys": 12.0}
    assert expected == pytest.approx(answer.pop("watts"), rel=0.1)
    assert answer == {
        "domains": [["cpu:0", "cpu", True], ["gpu:0", "gpu", True], ["psys", "psys", False]],
        "method": "power of the rails, sampled and integrated by zeus",
        "closed": [None, None, None],
    }


@with_zeus
@with_private_sys
def test_a_rail_that_cpu_and_gpu_share_is_named(tmp_path: Path) -> None:
    """An Orin Nano has one rail for both."""
    rails = {"VDD_IN": 6000, "VDD_CPU_GPU_CV": 2000, "VDD_SOC": 500}
    answer = child.run(jetson, str(tmp_path), rails, private_sys=True)
    assert [["cpu:0", "cpu", True], ["psys", "psys", False]] == answer["domains"]
    assert answer["method"].endswith("; cpu:0 is a rail that may feed the GPU too")


@with_zeus
@with_private_sys
@pytest.mark.parametrize("rails", [{}, {"VDD_IN": 6000}])
def test_a_jetson_without_rails_is_refused(tmp_path: Path, rails: dict[str, int]) -> None:
    """Its input alone is neither CPU nor GPU."""
    answer = child.run(jetson, str(tmp_path), rails, private_sys=True)
    assert answer == {"reason": NO_COUNTER}


def jetson_whose_sampling_ends(folder: str) -> list[int | None]:
    """In a child: a reading after the process that samples read a torn file."""
    files = pretend_jetson(folder, {"VDD_CPU": 2000})
    sensor = zeus.open_sensor(Path(folder))
    (files / "in1_input").write_text("")
    time.sleep(0.5)
    return list(sensor.read().energy_uj)


@with_zeus
@with_private_sys
def test_a_jetson_that_is_no_longer_sampled_has_no_count(tmp_path: Path) -> None:
    """Zeus would wait for an answer for 15 s."""
    assert [None] == child.run(jetson_whose_sampling_ends, str(tmp_path), private_sys=True)


def jetson_that_zeus_does_not_see(folder: str) -> list[Any]:
    """In a child: a board whose release file only we see."""
    return problem_of(lambda: zeus.open_sensor(zeus_devices.release_file(Path(folder))))


@with_zeus
def test_a_jetson_that_zeus_does_not_recognise_is_refused(tmp_path: Path) -> None:
    """In a container Python may not know the processor, which zeus requires."""
    reason = (
        "zeus does not recognise this Jetson: it requires /etc/nv_tegra_release, and aarch64 "
        "from Python's platform.processor()"
    )
    assert reason == child.run(jetson_that_zeus_does_not_see, str(tmp_path))[0]
