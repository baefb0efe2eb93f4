"""Simulated devices for Zeus: vendors' libraries, files of the kernel, Zeus itself."""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

NOT_SUPPORTED = 2
#: Microjoules of one count of AMD's accumulator.
RESOLUTION_UJ = 15.259


def stand_in(**parts: Any) -> dict[str, ModuleType]:
    """Return a `zeus` with these parts of `zeus.device`, for `sys.modules`."""
    modules = {"zeus": ModuleType("zeus"), "zeus.device": ModuleType("zeus.device")}
    vars(modules["zeus.device"]).update(parts)
    return modules


# --- AMD ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AmdCard:
    """A card of AMD that draws a constant power.

    shown_w  the power that it reports, if that is wrong
    error    what its counter answers with
    hip_id   its number in HIP; None: its place
    """

    watts: float = 100.0
    model: str = "AMD Instinct Simulated"
    tick_s: float = 0.005
    shown_w: int | None = None
    error: int | None = None
    hip_id: int | None = None

    def accumulator(self) -> int:
        """Return the count now."""
        ticks = time.monotonic() // self.tick_s
        return int(ticks * self.tick_s * self.watts * 1e6 / RESOLUTION_UJ)


def amdsmi(cards: Sequence[AmdCard], init_error: int | None = None) -> ModuleType:
    """Return the functions of AMD's library that Zeus calls, on these cards."""
    module = ModuleType("amdsmi")

    class AmdSmiException(Exception):
        pass

    class AmdSmiLibraryException(AmdSmiException):
        def get_error_code(self) -> int:
            return int(self.args[0])

        def get_error_info(self) -> str:
            return f"error {self.args[0]}"

    def initialize(flag: int) -> None:
        if init_error is not None:
            raise AmdSmiLibraryException(init_error)

    # A handle is the place of its card.
    def energy(handle: int) -> dict[str, float]:
        card = cards[handle]
        if card.error is not None:
            raise AmdSmiLibraryException(card.error)
        return {"energy_accumulator": card.accumulator(), "counter_resolution": RESOLUTION_UJ}

    def power(handle: int) -> dict[str, Any]:
        card = cards[handle]
        shown_w = int(card.watts) if card.shown_w is None else card.shown_w
        return {"current_socket_power": shown_w, "average_socket_power": "N/A"}

    def enumeration(handle: int) -> dict[str, int]:
        hip_id = cards[handle].hip_id
        return {"hip_id": handle if hip_id is None else hip_id}

    vars(module).update(
        AmdSmiException=AmdSmiException,
        AmdSmiLibraryException=AmdSmiLibraryException,
        AmdSmiInitFlags=SimpleNamespace(INIT_AMD_GPUS=2),
        amdsmi_init=initialize,
        amdsmi_shut_down=lambda: None,
        amdsmi_get_processor_handles=lambda: list(range(len(cards))),
        amdsmi_get_gpu_enumeration_info=enumeration,
        amdsmi_get_gpu_asic_info=lambda handle: {"market_name": cards[handle].model},
        amdsmi_get_power_info=power,
        amdsmi_get_energy_count=energy,
    )
    return module


def kfd_nodes(root: Path, nodes: Sequence[Mapping[str, int]]) -> Path:
    """Write the kernel's topology of CPUs and AMD GPUs below a root; return the root."""
    for number, properties in enumerate(nodes):
        folder = root / "sys/class/kfd/kfd/topology/nodes" / str(number)
        folder.mkdir(parents=True)
        lines = [f"{name} {value}\n" for name, value in properties.items()]
        (folder / "properties").write_text("".join(lines))
    return root


CPU_NODE = {"cpu_cores_count": 64, "simd_count": 0, "gfx_target_version": 0}
CARD_NODE = {"cpu_cores_count": 0, "simd_count": 880, "gfx_target_version": 90402}
#: Graphics on the die of a CPU: in the same node, and in a node of its own.
OLD_APU_NODE = {"cpu_cores_count": 16, "simd_count": 8, "gfx_target_version": 90012}
NEW_APU_NODE = {"cpu_cores_count": 0, "simd_count": 4, "gfx_target_version": 100306}


# --- Apple ----------------------------------------------------------------------------------

APPLE_FIELDS = (
    "cpu_total_mj",
    "efficiency_cores_mj",
    "performance_cores_mj",
    "efficiency_cluster_mj",
    "performance_cluster_mj",
    "efficiency_core_manager_mj",
    "performance_core_manager_mj",
    "dram_mj",
    "gpu_mj",
    "gpu_sram_mj",
    "ane_mj",
)


def apple_silicon(read_mj: Callable[[], Mapping[str, int]]) -> ModuleType:
    """Return the library with which Zeus reads Apple's counters; others are None."""
    module = ModuleType("zeus_apple_silicon")

    class AppleEnergyMonitor:
        def get_cumulative_energy(self) -> SimpleNamespace:
            return SimpleNamespace(**(dict.fromkeys(APPLE_FIELDS) | dict(read_mj())))

    vars(module).update(AppleEnergyMonitor=AppleEnergyMonitor)
    return module


def pretend_apple() -> None:
    """Make this process believe, for good, that its machine is a Mac with Apple silicon."""
    # On a Mac it would load a module that only Python for a Mac has.
    importlib.import_module("urllib.request")
    sys.platform = "darwin"
    platform.system = lambda: "Darwin"
    platform.machine = lambda: "arm64"
    platform.processor = lambda: "arm"


# --- Jetson ---------------------------------------------------------------------------------


def jetson_rails(root: Path, rails_mw: Mapping[str, int]) -> Path:
    """Write the power monitor of a Jetson below a root; return the folder of its files."""
    folder = root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    folder.mkdir(parents=True)
    for number, (rail, milliwatts) in enumerate(rails_mw.items(), 1):
        (folder / f"in{number}_label").write_text(f"{rail}\n")
        (folder / f"in{number}_input").write_text("5000\n")
        (folder / f"curr{number}_input").write_text(f"{milliwatts // 5}\n")
    return folder


def release_file(root: Path) -> Path:
    """Write the release file of NVIDIA's system for Jetson below a root; return the root."""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3\n")
    return root
