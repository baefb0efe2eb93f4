"""AMD GPUs, Apple silicon and Jetson, through the device layer of Zeus.

Zeus is slow to import and heavy to install, so it is loaded only where there is a device that
nothing else here reads. NVIDIA cards and RAPL are left to `nvml` and `powercap`, which are more
exact. All that takes long happens when the sensor is opened: a reading asks for the counters alone.
"""

from __future__ import annotations

import importlib
import io
import logging
import math
import os
import platform
import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading, Source

AMD, APPLE, JETSON = "an AMD GPU", "Apple silicon", "a Jetson"
INSTALL = "pip install 'pytest-greenops[zeus]'"

#: For how long a counter is watched for ticks, how many changes are enough, and what is taken
#: where it stood still.
WATCH_S = 1.0
CHANGES = 6
USUAL_TICK_S = 0.1
#: How often zeus samples the power of a Jetson.
JETSON_PERIOD_S = 0.1

_PAUSE_S = 0.0005
_UJ_PER_MJ = 1000
_ROOT = Path("/")
_TEGRA = ("etc/nv_tegra_release", "usr/lib/aarch64-linux-gnu/tegra")
_GFX_VERSION = re.compile(r"^gfx_target_version ([1-9]\d*)$", re.MULTILINE)
#: Graphics on a CPU's die (gfx902 to gfx1153 in LLVM's "User Guide for AMDGPU Backend"): the kernel
#: has no energy counter for them, and they are no reason to install Zeus.
_INTEGRATED = {90002, 90009, 90012, 100103, 100303, 100305, 100306, 110003}
_INTEGRATED |= {110500, 110501, 110502, 110503}

# The GPU's SRAM is left out: Apple tells nowhere whether the GPU's counter holds it. The Neural
# Engine is an accelerator that no other counter holds.
_APPLE_DOMAINS = {
    "cpu_total_mj": Domain("cpu:0", "cpu"),
    "dram_mj": Domain("dram:0", "dram"),
    "gpu_mj": Domain("gpu:0", "gpu"),
    "ane_mj": Domain("gpu:1", "gpu"),
}
# The input rail feeds the other two: it stands apart, as the psys of RAPL does.
_JETSON_DOMAINS = {
    "cpu_energy_mj": Domain("cpu:0", "cpu"),
    "gpu_energy_mj": Domain("gpu:0", "gpu"),
    "total_energy_mj": Domain("psys", "psys", counted=False),
}


class _Device(NamedTuple):
    """What one call reads: counts in millijoules, in the order of their domains."""

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
    ) -> None:
        self._devices = tuple(devices)
        self.domains = tuple(domain for device in devices for domain in device.domains)
        self.notes = tuple(notes)
        self.method = "; ".join([method, *notes])
        self.update_period_s = update_period_s

    def read(self) -> Reading:
        """The counts now, in microjoules; None for those of a device that does not answer."""
        time_ns = time.monotonic_ns()
        counts_uj: list[int | None] = []
        why: dict[str, str] = {}
        for domains, read_mj, _ in self._devices:
            try:
                counts_uj += [_microjoules(mj) for mj in read_mj()]
            except Exception as error:
                # Vendors' libraries raise what they like.
                counts_uj += [None] * len(domains)
                words = f"could not be read ({_words(error)})"
                why |= {domain.name: words for domain in domains}
        return Reading(time_ns, counts_uj, why=why)

    def close(self) -> None:
        """Stop what Zeus started."""
        for device in self._devices:
            device.close()


def present(
    root: Path = _ROOT, system: str | None = None, machine: str | None = None
) -> str | None:
    """A device of this machine that Zeus alone reads, in words; None without one.

    Looks at files below `root` and, for Apple silicon, at the names that `platform` has for the
    system and its machine. Zeus need not be there.
    """
    if (system or platform.system(), machine or platform.machine()) == ("Darwin", "arm64"):
        return APPLE
    if any((root / path).exists() for path in _TEGRA):
        return JETSON
    if "Jetson" in _text(root / "proc/device-tree/model"):
        return JETSON
    nodes = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    versions = {int(found) for node in nodes for found in _GFX_VERSION.findall(_text(node))}
    return AMD if versions - _INTEGRATED else None


def open_sensor(root: Path = _ROOT, environ: Mapping[str, str] = os.environ) -> ZeusSensor:
    """Open the devices that `present` tells of; of AMD's GPUs, those that `environ` shows.

    Raises `SensorUnavailable`: absent where there is no such device, or where all are hidden.
    """
    device = present(root)
    if device is None:
        raise SensorUnavailable(
            "there is no AMD GPU, Apple silicon or Jetson; NVIDIA cards are read by the sensor "
            "nvml, RAPL counters by powercap",
            absent=True,
        )
    if device == AMD and _all_hidden(environ):
        raise SensorUnavailable("HIP_VISIBLE_DEVICES hides every AMD GPU", absent=True)
    with _quiet() as heard:
        zeus = _import("zeus.device")
        try:
            if device == AMD:
                return _open_amd(zeus.gpu, heard)
            return _open_apple(zeus.soc) if device == APPLE else _open_jetson(zeus.soc)
        except SensorUnavailable:
            raise
        except Exception as error:
            raise SensorUnavailable(f"zeus cannot read {device} here: {_words(error)}") from error


def _open_amd(zeus: Any, heard: io.StringIO) -> ZeusSensor:
    # Not through `get_gpus`, which would take NVIDIA cards where there are both.
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
    period_s = max(_tick_s(device) for device in devices)
    return ZeusSensor(devices, "energy counters of AMD, read by zeus", period_s, notes)


def _amd_device(name: str, gpu: Any) -> _Device:
    return _Device((Domain(name, "gpu"),), lambda: [gpu.get_total_energy_consumption()])


@lru_cache(maxsize=1)
def _amd_cards(zeus: Any) -> Any:
    """Zeus's AMD GPUs, once for each process.

    Zeus shuts amdsmi down with this object, but keeps the handles it had for the next one.
    """
    try:
        return zeus.AMDGPUs()
    except zeus.ZeusGPUNotSupportedError as error:
        raise SensorUnavailable(
            f"an AMD GPU here has no energy counter, and zeus opens all or none ({error})",
            "name those that have one in HIP_VISIBLE_DEVICES",
        ) from error


def _open_apple(zeus: Any) -> ZeusSensor:
    if not zeus.apple_silicon_is_available():
        raise SensorUnavailable(
            "the package zeus-apple-silicon is not installed, or this Python is not for arm64",
            INSTALL,
        )
    soc = zeus.AppleSilicon()
    device = _soc_device(soc, _APPLE_DOMAINS, soc.get_total_energy_consumption)
    # Its counters move together; those of idle parts are too slow to show when.
    period_s = _tick_s(device)
    method = "energy counters of Apple, read by zeus"
    return ZeusSensor([device], method, period_s, ["gpu:1 is the Neural Engine"])


def _open_jetson(zeus: Any) -> ZeusSensor:
    if not zeus.jetson_is_available():
        raise SensorUnavailable(
            "zeus does not take this for a Jetson: it wants /etc/nv_tegra_release, and aarch64 "
            "from Python's platform.processor()"
        )
    soc = zeus.Jetson()

    def stop() -> None:
        soc.process.terminate()
        soc.process.join()

    def read() -> Any:
        if not soc.process.is_alive():
            raise RuntimeError("zeus's process that samples the power has ended")
        # An answer is as old as the last sample, but asking makes the next one: so ask twice.
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
    return ZeusSensor([device], method, JETSON_PERIOD_S, notes)


def _soc_device(soc: Any, known: Mapping[str, Domain], read: Callable[[], Any]) -> _Device:
    """The domains that the chip says it has."""
    available = soc.get_available_metrics()
    fields = [field for field in known if field in available]

    def read_mj() -> list[Any]:
        counts = read()
        return [getattr(counts, field) for field in fields]

    domains = tuple(known[field] for field in fields)
    if not any(domain.counted for domain in domains):
        raise SensorUnavailable("zeus finds no counter of a CPU or a GPU on this chip")
    return _Device(domains, read_mj)


def _tick_s(device: _Device) -> float:
    """How far apart the changes of a device's first counter are, in seconds."""
    changes: list[float] = []
    last, until_s = device.read_mj()[0], time.monotonic() + WATCH_S
    while time.monotonic() < until_s and len(changes) < CHANGES:
        time.sleep(_PAUSE_S)
        now = device.read_mj()[0]
        if now != last:
            changes.append(time.monotonic())
            last = now
    if len(changes) > 1:
        return statistics.median(after - before for before, after in pairwise(changes))
    # One change in all that time: the tick is longer than half of it.
    return WATCH_S if changes else USUAL_TICK_S


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # It loads vendor libraries, and they fail in ways of their own.
        if isinstance(error, ModuleNotFoundError) and error.name == "zeus":
            raise SensorUnavailable("zeus is not installed", INSTALL) from None
        raise SensorUnavailable(f"zeus cannot be imported ({_words(error)})", INSTALL) from error


@contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keep what Zeus says while it opens from users' logs, warnings and output; yield its log."""
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
    """Whether no GPU is shown: HIP heeds CUDA's list where it has none of its own."""
    shown = environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES"))
    return shown in ("", "-1")


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
