"""The Python binding of NVML: whether the package `pynvml` here is the right one, and its start."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_greenops.model.environment import fact_text
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors.system_files import exists, texts
from pytest_greenops.system import before_tests

PACKAGE = "nvidia-ml-py"
#: Highest power of a card that is believed: ten times that of the largest. Drivers that do not know
#: a power have answered 0xFFFFFFFF mW.
MOST_W = 10_000.0
#: Lowest power limit of a card that is believed: with less, every window would be implausible.
LEAST_W = 1.0

_PCI_VENDOR = "0x10de"
#: What this project asks the binding for. Older and renamed packages lack some of it.
_NEEDED = {
    *("NVMLError", "NVML_CLOCK_SM", "NVML_DEVICE_ARCH_AMPERE", "NVML_DEVICE_MIG_ENABLE"),
    *("NVML_ERROR_DRIVER_NOT_LOADED", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    *("NVML_ERROR_LIB_RM_VERSION_MISMATCH", "NVML_ERROR_NOT_SUPPORTED"),
    *("NVML_ERROR_NO_PERMISSION", "NVML_SUCCESS", "NVML_TEMPERATURE_GPU"),
    *("nvmlDeviceGetArchitecture", "nvmlDeviceGetClockInfo"),
    *("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetCount"),
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    *("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", "nvmlDeviceGetEccMode"),
    *("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetFieldValues"),
    *("nvmlDeviceGetGraphicsRunningProcesses", "nvmlDeviceGetHandleByIndex"),
    *("nvmlDeviceGetHandleByUUID", "nvmlDeviceGetMigMode", "nvmlDeviceGetName"),
    *("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetPowerUsage"),
    *("nvmlDeviceGetTemperature", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetUUID"),
    *("nvmlDeviceGetUtilizationRates", "nvmlInit", "nvmlShutdown"),
    *("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetDriverVersion"),
}


@before_tests
def start() -> Any:
    """Return the binding with NVML started.

    Raises `SensorUnavailable`: absent without a driver. With a binding that cannot be used, it is
    absent if this machine has no NVIDIA card either.
    """
    nvml = _import()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise _no_driver(nvml, error) from None
    except Exception as error:  # the binding loads a library, which may be any file
        raise SensorUnavailable(f"NVML does not start ({_words(error)})") from error
    return nvml


@before_tests
def loaded() -> Any | None:
    """Return the binding if it is loaded and whole."""
    nvml = sys.modules.get("pynvml")
    return None if nvml is None or _missing(nvml) else nvml


def text(function: Callable[..., Any], *arguments: Any) -> str:
    """Return a text of the driver, whatever its bytes: the binding itself decodes only UTF-8."""
    answer = getattr(function, "__wrapped__", function)(*arguments)
    return fact_text(answer) if isinstance(answer, bytes) else str(answer)


@before_tests
def may_have_card(root: Path = Path("/")) -> bool:
    """Return whether this machine may have an NVIDIA card, as far as its files below `root` say."""
    if not sys.platform.startswith("linux"):
        return sys.platform != "darwin"
    if any(exists(root / path) for path in ("dev/nvidiactl", "dev/nvidia0", "dev/dxg")):
        return True
    return _PCI_VENDOR in texts(root / "sys/bus/pci/devices", "*/vendor")


@before_tests
def _import() -> Any:
    absent = not may_have_card()
    try:
        with warnings.catch_warnings():  # redirects to the right package warn
            warnings.simplefilter("ignore")
            nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError as error:
        if error.name == "pynvml":
            reason = f"the Python package {PACKAGE} is not installed"
            raise SensorUnavailable(reason, f"pip install {PACKAGE}", absent) from None
        raise _unusable(f"cannot be imported ({_words(error)})", absent) from error
    except Exception as error:
        raise _unusable(f"cannot be imported ({_words(error)})", absent) from error
    if missing := _missing(nvml):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise _unusable(f"lacks {missing[0]}{more}", absent)
    return nvml


def _missing(nvml: Any) -> list[str]:
    return sorted(name for name in _NEEDED if not hasattr(nvml, name))


def _unusable(why: str, absent: bool) -> SensorUnavailable:
    """Return the error of a module `pynvml` that is not, or not wholly, that of `nvidia-ml-py`."""
    file, packages = _file(), _packages()
    reason = f"the module pynvml ({file or 'of unknown origin'}) {why}"
    others = [name for name in packages if name != PACKAGE]
    own = file is None or _is_of_package(file)
    if others:
        removed = " ".join([*others, PACKAGE] if PACKAGE in packages else others)
        reason += f": {' and '.join(others)} replaced {PACKAGE}"
        fix = f"pip uninstall -y {removed}; pip install {PACKAGE}"
    elif own:
        fix = f"pip install --upgrade --force-reinstall {PACKAGE}"
    else:
        fix = f"rename {file}, which hides the package {PACKAGE}"
    return SensorUnavailable(reason, fix, absent)


@before_tests
def _file() -> str | None:
    """Return the file of the module."""
    with suppress(Exception):
        loaded = sys.modules.get("pynvml") or importlib.util.find_spec("pynvml")
        return getattr(loaded, "__file__", None) or getattr(loaded, "origin", None)
    return None


@before_tests
def _packages() -> list[str]:
    """Return the installed distributions that contain a module of this name."""
    with suppress(Exception):  # it reads the metadata of every package, which may be damaged
        return sorted(set(importlib.metadata.packages_distributions().get("pynvml", ())))
    return []


@before_tests
def _is_of_package(file: str) -> bool:
    """Return whether a file is that of the installed `nvidia-ml-py`."""
    with suppress(Exception):
        own = importlib.metadata.distribution(PACKAGE).locate_file("pynvml.py")
        return os.path.realpath(file) == os.path.realpath(str(own))
    return False


def _no_driver(nvml: Any, error: Any) -> SensorUnavailable:
    if error.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        reason = "no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded"
        return SensorUnavailable(reason, absent=True)
    if error.value == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        reason = "the NVIDIA driver is not loaded"
        return SensorUnavailable(reason, "sudo modprobe nvidia", absent=True)
    if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        reason = "the NVIDIA driver in the kernel and its library have different versions"
        return SensorUnavailable(reason, "reboot, or reload the driver")
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        reason = "this user may not use the NVIDIA driver"
        return SensorUnavailable(reason, "give it access to /dev/nvidia*")
    return SensorUnavailable(f"NVML does not start: {error}")


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
