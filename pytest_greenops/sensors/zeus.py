"""AMD GPUs, Apple silicon and Jetson, through the device layer of Zeus.

Zeus is slow to import and heavy to install, so it is loaded only for a device that no other sensor
here reads. `nvml` and `powercap` read NVIDIA cards and RAPL more exactly. Everything slow happens
when the sensor is opened; a reading only asks for the counters.
"""

from __future__ import annotations

import importlib
import io
import logging
import math
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading, Source
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock, poll
from pytest_greenops.sensors.system_files import exists, matching
from pytest_greenops.sensors.ticks import POLL_S, WATCH_S, Tick, Ticker, period_s
from pytest_greenops.system import before_tests

AMD, APPLE, JETSON = "an AMD GPU", "Apple silicon", "a Jetson"
INSTALL = "pip install 'pytest-greenops[zeus]'"

#: How many ticks of a counter are enough to know its period.
TICKS = 6
#: How often zeus samples the power of a Jetson.
JETSON_PERIOD_S = 0.1

_UJ_PER_MJ = 1000
_ROOT = Path("/")
_TEGRA = ("etc/nv_tegra_release", "usr/lib/aarch64-linux-gnu/tegra")
_GFX_VERSION = re.compile(r"^gfx_target_version ([1-9]\d*)$", re.MULTILINE)
#: Graphics on a CPU's die (gfx902 to gfx1153 in LLVM's "User Guide for AMDGPU Backend"). The kernel
#: has no energy counter for them, so they are no reason to install Zeus.
_INTEGRATED = {90002, 90009, 90012, 100103, 100303, 100305, 100306, 110003}
_INTEGRATED |= {110500, 110501, 110502, 110503}

# The GPU's SRAM is omitted: Apple does not document whether the GPU's counter includes it. The
# Neural Engine is an accelerator that no other counter includes.
_APPLE_DOMAINS = {
    "cpu_total_mj": Domain("cpu:0", "cpu"),
    "dram_mj": Domain("dram:0", "dram"),
    "gpu_mj": Domain("gpu:0", "gpu"),
    "ane_mj": Domain("gpu:1", "gpu"),
}
# The input rail feeds the other two, so it enters no total, like the psys of RAPL.
_JETSON_DOMAINS = {
    "cpu_energy_mj": Domain("cpu:0", "cpu"),
    "gpu_energy_mj": Domain("gpu:0", "gpu"),
    "total_energy_mj": Domain("psys", "psys", counted=False),
}


class _Device(NamedTuple):
    """The counters that one call reads, in millijoules, in the order of their domains."""

    domains: tuple[Domain, ...]
    read_mj: Callable[[], Sequence[Any]]
    close: Callable[[], None] = lambda: None


class ZeusSensor:
    """Counts of the devices that Zeus opened; see `Sensor` for its attributes."""

    name = "zeus"
    source: Source = "sensed"

    def __init__(
        self,
        devices: Sequence[_Device],
        method: str,
        update_period_s: float,
        notes: Sequence[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self._devices = tuple(devices)
        self.domains = tuple(domain for device in devices for domain in device.domains)
        self.notes = tuple(notes)
        self.method = "; ".join([method, *notes])
        self.update_period_s = update_period_s

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for a device that does not answer."""
        time_ns = self._clock.now_ns()
        counts_uj: list[int | None] = []
        why: dict[str, str] = {}
        for domains, read_mj, _ in self._devices:
            try:
                counts_uj += [_microjoules(mj) for mj in read_mj()]
            except Exception as error:
                # Vendors' libraries raise errors of any type.
                counts_uj += [None] * len(domains)
                words = f"could not be read ({_words(error)})"
                why |= {domain.name: words for domain in domains}
        return Reading(time_ns, counts_uj, why=why)

    def close(self) -> None:
        """Stop what Zeus started."""
        for device in self._devices:
            device.close()


@before_tests
def present(
    root: Path = _ROOT, system: str | None = None, machine: str | None = None
) -> str | None:
    """Return the device of this machine that only Zeus reads, in words; None if there is none.

    It looks at files below `root` and, for Apple silicon, at the names that `platform` has for the
    system and its machine. Zeus need not be installed.
    """
    if (system or platform.system(), machine or platform.machine()) == ("Darwin", "arm64"):
        return APPLE
    model = _text(root / "proc/device-tree/model")
    if "Jetson" in model or any(exists(root / path) for path in _TEGRA):
        return JETSON
    nodes = matching(root / "sys/class/kfd/kfd/topology/nodes", "*/properties")
    versions = {int(found) for node in nodes for found in _GFX_VERSION.findall(_text(node))}
    return AMD if versions - _INTEGRATED else None


def open_sensor(
    root: Path = _ROOT, environ: Mapping[str, str] = os.environ, clock: Clock = SYSTEM_CLOCK
) -> ZeusSensor:
    """Open the devices that `present` finds; of AMD's GPUs, those that `environ` shows.

    Raises `SensorUnavailable`: absent if there is no such device, or if all are hidden.
    """
    device = present(root)
    if device is None:
        others = "NVIDIA cards are read by the sensor nvml, RAPL counters by powercap"
        none = "there is no AMD GPU, Apple silicon or Jetson"
        raise SensorUnavailable(f"{none}; {others}", absent=True)
    if device == AMD and _all_hidden(environ):
        raise SensorUnavailable("HIP_VISIBLE_DEVICES hides every AMD GPU", absent=True)
    with _quiet() as heard:
        zeus = _import("zeus.device")
        try:
            if device == AMD:
                return _open_amd(zeus.gpu, heard, clock)
            open_soc = _open_apple if device == APPLE else _open_jetson
            return open_soc(zeus.soc, clock)
        except SensorUnavailable:
            raise
        except Exception as error:
            raise SensorUnavailable(f"zeus cannot read {device} here: {_words(error)}") from error


def _open_amd(zeus: Any, heard: io.StringIO, clock: Clock) -> ZeusSensor:
    # Not through `get_gpus`, which would take NVIDIA cards on a machine with both.
    if not zeus.amdsmi_is_available():
        raise SensorUnavailable(
            f"zeus cannot use AMD's library amdsmi: {' '.join(heard.getvalue().split())}",
            "install ROCm 6.2 or later, and the package amdsmi of the same version",
        )
    devices, notes = [], []
    for gpu in _amd_cards(zeus).gpus:
        name, model = f"gpu:{gpu.gpu_index}", gpu.get_name()
        if not gpu.supports_get_total_energy_consumption():
            notes.append(f"{name} ({model}): no counter that agrees with its power, not measured")
            continue
        devices.append(_amd_device(name, gpu))
        if "MI250" in model:
            notes.append(f"{name}: energy of both chiplets of the card")
    if not devices:
        raise SensorUnavailable(f"no AMD GPU can be measured: {'; '.join(notes)}")
    tick_s = max(_tick_s(device, clock) for device in devices)
    return ZeusSensor(devices, "energy counters of AMD, read by zeus", tick_s, notes, clock)


def _amd_device(name: str, gpu: Any) -> _Device:
    return _Device((Domain(name, "gpu"),), lambda: [gpu.get_total_energy_consumption()])


@lru_cache(maxsize=1)
def _amd_cards(zeus: Any) -> Any:
    """Return Zeus's AMD GPUs, opened once in each process.

    Zeus shuts amdsmi down with this object, but keeps its handles for the next one.
    """
    try:
        return zeus.AMDGPUs()
    except zeus.ZeusGPUNotSupportedError as error:
        raise SensorUnavailable(
            f"an AMD GPU here has no energy counter, and zeus opens all or none ({error})",
            "name those that have one in HIP_VISIBLE_DEVICES",
        ) from error


def _open_apple(zeus: Any, clock: Clock) -> ZeusSensor:
    if not zeus.apple_silicon_is_available():
        reason = "the package zeus-apple-silicon is not installed, or this Python is not for arm64"
        raise SensorUnavailable(reason, INSTALL)
    soc = zeus.AppleSilicon()
    device = _soc_device(soc, _APPLE_DOMAINS, soc.get_total_energy_consumption)
    # Its counters move together; those of idle parts are too slow to show when.
    tick_s = _tick_s(device, clock)
    method = "energy counters of Apple, read by zeus"
    return ZeusSensor([device], method, tick_s, ["gpu:1 is the Neural Engine"], clock)


def _open_jetson(zeus: Any, clock: Clock) -> ZeusSensor:
    if not zeus.jetson_is_available():
        raise SensorUnavailable(
            "zeus does not recognise this Jetson: it requires /etc/nv_tegra_release, and aarch64 "
            "from Python's platform.processor()"
        )
    soc = zeus.Jetson()

    def stop() -> None:
        soc.process.terminate()
        soc.process.join()

    def read() -> Any:
        if not soc.process.is_alive():
            raise RuntimeError("zeus's process that samples the power has ended")
        # An answer is as old as the last sample, but a question triggers the next: ask twice.
        soc.get_total_energy_consumption()
        return soc.get_total_energy_consumption()

    try:
        device = _soc_device(soc, _JETSON_DOMAINS, read)._replace(close=stop)
    except BaseException:
        stop()
        raise
    shared = not any(domain.kind == "gpu" for domain in device.domains)
    notes = ["cpu:0 is a rail that may feed the GPU too"] * shared
    method = "power of the rails, sampled and integrated by zeus"
    return ZeusSensor([device], method, JETSON_PERIOD_S, notes, clock)


def _soc_device(soc: Any, known: Mapping[str, Domain], read: Callable[[], Any]) -> _Device:
    """Return the device of the domains that the chip has."""
    available = soc.get_available_metrics()
    fields = [field for field in known if field in available]

    def read_mj() -> list[Any]:
        counts = read()
        return [getattr(counts, field) for field in fields]

    domains = tuple(known[field] for field in fields)
    if not any(domain.counted for domain in domains):
        raise SensorUnavailable("zeus finds no counter of a CPU or a GPU on this chip")
    return _Device(domains, read_mj)


def _tick_s(device: _Device, clock: Clock) -> float:
    """Return how far apart the ticks of a device's first counter are, in seconds."""
    ticker, ticks = Ticker(), list[Tick]()

    def look() -> None:
        if tick := ticker.look(lambda: device.read_mj()[0], clock):
            ticks.append(tick)

    look()
    poll(look, lambda: len(ticks) >= TICKS, clock, WATCH_S, POLL_S)
    return period_s(ticks)


@before_tests
def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # It loads vendors' libraries, which raise errors of any type.
        if isinstance(error, ModuleNotFoundError) and error.name == "zeus":
            raise SensorUnavailable("zeus is not installed", INSTALL) from None
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("zeus."):
            reason = f"the package zeus here is another one: it has no module {error.name}"
            raise SensorUnavailable(reason, f"pip uninstall -y zeus; {INSTALL}") from None
        raise SensorUnavailable(f"zeus cannot be imported ({_words(error)})", INSTALL) from error


@contextmanager
@before_tests
def _quiet() -> Iterator[io.StringIO]:
    """Hide what Zeus logs, warns and prints while it opens; yield its log."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    log = logging.getLogger("zeus")
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield said
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


def _all_hidden(environ: Mapping[str, str]) -> bool:
    """Return whether no GPU is shown: HIP follows CUDA's list if it has none of its own."""
    shown = environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES"))
    return shown in ("", "-1")


@before_tests
def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(errors="replace")
    return ""


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _microjoules(millijoules: Any) -> int | None:
    if not isinstance(millijoules, (int, float)) or not math.isfinite(millijoules):
        return None
    return round(millijoules * _UJ_PER_MJ) if millijoules >= 0 else None
