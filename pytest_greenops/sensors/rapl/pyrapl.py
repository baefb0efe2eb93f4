"""RAPL through pyRAPL, for users who have it: its raw device readings, with our wrap rule."""

from __future__ import annotations

import importlib
import logging
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Kind, Reading, Source
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.cpu_throttle import ThrottleCounts
from pytest_greenops.sensors.rapl import powercap, zones
from pytest_greenops.system import SYSTEM, before_tests

_INSTALL = "pip install 'pytest-greenops[rapl]'"
_OFFLINE_CPU = re.compile(r"/cpu(\d+)/topology/")


class _Device(NamedTuple):
    """One of pyRAPL's devices, and the domains of the sockets that it reads, in order."""

    api: Any
    domains: tuple[Domain, ...]

    def counts_uj(self) -> list[int | None]:
        try:
            # One value for each socket number from 0 up; -1 if there is no such socket.
            by_socket = self.api.energy()
            return [_count(by_socket[socket]) for socket in self.api._socket_ids]
        except Exception:  # it raises errors of any type for what is not a list of numbers
            return [None] * len(self.domains)

    def close(self) -> None:
        for file in self.api._sys_files:
            file.close()


class PyRaplSensor:
    """Cumulative RAPL counts, in microjoules, as pyRAPL's `PkgAPI` and `DramAPI` read them."""

    name = "pyrapl"
    source: Source = "sensed"
    method = "cumulative RAPL counters, read by pyRAPL"
    update_period_s = powercap.UPDATE_PERIOD_S

    def __init__(self, devices: Sequence[_Device], clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._devices = tuple(devices)
        self._throttle = ThrottleCounts()
        # pyRAPL seeks, then reads: the thread of a long window must not do so at the same time.
        self._lock = SYSTEM.allocate_lock()
        self.domains = tuple(domain for device in devices for domain in device.domains)

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for all of a device whose reading fails."""
        with self._lock:
            time_ns = self._clock.now_ns()
            return Reading(time_ns, [uj for device in self._devices for uj in device.counts_uj()])

    def states(self) -> dict[str, DeviceState]:
        """Return how often each package was slowed down by heat, if the kernel counts it."""
        return self._throttle.states(self.domains)

    def close(self) -> None:
        """Close the files that pyRAPL opened."""
        self._throttle.close()
        for device in self._devices:
            device.close()


def open_sensor(clock: Clock = SYSTEM_CLOCK) -> PyRaplSensor:
    """Open pyRAPL's package counters, and its dram counters if the machine has them.

    Raises `SensorUnavailable` with what pyRAPL cannot do here and `powercap` can.
    """
    with _quiet():
        api = _import()
        try:
            packages = api.PkgAPI()
        except Exception as error:
            raise _explained(error) from error
        devices = [_device(packages, "cpu")]
        try:
            _check_zones(packages)
            devices += _dram(api)
        except SensorUnavailable:
            devices[0].close()
            raise
    return PyRaplSensor(devices, clock)


@before_tests
def _import() -> ModuleType:
    try:
        return importlib.import_module("pyRAPL.device_api")
    except ModuleNotFoundError as error:
        if error.name == "pyRAPL":
            raise SensorUnavailable(
                "pyRAPL is not installed; the powercap sensor reads the same counters without it",
                _INSTALL,
            ) from None
        raise _unimportable(error) from error
    except Exception as error:
        # It imports pandas and pymongo if they are installed, which raise errors of any type.
        raise _unimportable(error) from error


def _unimportable(error: Exception) -> SensorUnavailable:
    return _instead(f"pyRAPL cannot be imported ({error}); the powercap sensor does without it")


def _instead(reason: str) -> SensorUnavailable:
    return SensorUnavailable(reason, "use --energy-sensors powercap")


@contextmanager
@before_tests
def _quiet() -> Iterator[None]:
    """Hide what pyRAPL logs and warns while it loads and opens.

    It logs on the root logger that pandas and pymongo are missing, which would also install a
    handler there. It leaves files for the garbage collector to close, and has an invalid escape.
    """

    def is_not_its_own(record: logging.LogRecord) -> bool:
        return "pyRAPL" not in Path(record.pathname).parts

    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(is_not_its_own)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(is_not_its_own)
        root.removeHandler(handler)


@before_tests
def _device(api: Any, kind: Kind) -> _Device:
    domains = tuple(
        zones.domain(f"{kind}:{socket}", kind, Path(file.name).parent)
        for socket, file in zip(api._socket_ids, api._sys_files, strict=True)
    )
    return _Device(api, domains)


def _dram(api: ModuleType) -> list[_Device]:
    try:
        return [_device(api.DramAPI(), "dram")]
    except api.PyRAPLCantInitDeviceAPI:
        if any(zone.name == "dram" for zone in _zones()):
            raise _instead(
                "pyRAPL reads dram on every socket or on none, and some here have no dram zone; "
                "the powercap sensor reads those that have"
            ) from None
        return []
    except Exception as error:
        raise _explained(error) from error


@before_tests
def _check_zones(packages: Any) -> None:
    """Refuse if a file that pyRAPL opened for a socket belongs to a die or another socket."""
    names = [(Path(file.name).parent / "name").read_text().strip() for file in packages._sys_files]
    if names != [f"package-{socket}" for socket in packages._socket_ids]:
        raise _unlike_pyrapl(names)


def _explained(error: Exception) -> SensorUnavailable:
    """Return why pyRAPL could not open its devices."""
    file = str(getattr(error, "filename", None) or "")
    if isinstance(error, PermissionError):
        return SensorUnavailable(
            f"{file} may be read by root alone, by pyRAPL as by the powercap sensor, which needs "
            "the same right",
            powercap.GRANT,
        )
    if cpu := _OFFLINE_CPU.search(file):
        offline = f"pyRAPL needs every CPU online, and cpu{cpu[1]} is offline"
        return _instead(f"{offline}; the powercap sensor does not")
    if type(error).__name__ == "PyRAPLCantInitDeviceAPI":
        return _unlike_pyrapl([zone.name for zone in _zones() if zone.name.startswith("package")])
    failure = f"pyRAPL failed with {type(error).__name__}: {error}"
    return _instead(f"{failure}; the powercap sensor does without it")


def _unlike_pyrapl(packages: Sequence[str]) -> SensorUnavailable:
    if any("-die-" in name for name in packages):
        listed = ", ".join(packages)
        return _instead(
            f"pyRAPL cannot tell the dies of a package apart ({listed}); the powercap sensor can"
        )
    if packages:
        return _instead(
            f"pyRAPL cannot match its CPU sockets with the zones {', '.join(packages)}; "
            "the powercap sensor goes by the zones alone"
        )
    if _zones("intel-rapl-mmio"):
        return _instead(
            f"pyRAPL does not look into {zones.ROOT}/intel-rapl-mmio, where the RAPL zones "
            "are; the powercap sensor does"
        )
    return SensorUnavailable(
        f"pyRAPL found no RAPL zone in {zones.ROOT}/intel-rapl; the powercap sensor, its "
        "alternative, needs one too",
        absent=True,
    )


def _zones(control: str = "intel-rapl") -> list[zones.Zone]:
    try:
        return [zone for zone in zones.find_zones(zones.ROOT) if zone.control == control]
    except OSError:
        return []


def _count(value_uj: float) -> int | None:
    return int(value_uj) if math.isfinite(value_uj) and value_uj >= 0 else None
