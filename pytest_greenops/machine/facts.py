"""The facts of the machine's fingerprint, and further facts for the reader."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_greenops.machine import cpu, gpu, interpreter, load, virtual
from pytest_greenops.machine.software import libraries
from pytest_greenops.model.baseline import BOOT
from pytest_greenops.model.errors import OptionError, SensorUnavailable, encodable, shown
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.system_files import text

ROOT = Path("/")
#: The name of a gap: how much other processes work is unknown.
LOAD = "other load"


def machine_facts(instruments: Instruments, root: Path = ROOT) -> dict[str, str]:
    """Return the facts that two comparable measurements must share, as short strings.

    They do not name the host or a user, and do not change by themselves. A fact that cannot be read
    is `unknown`. Facts of GPUs are included if one is measured through NVML.
    """
    sensors = instruments.sensors
    estimates = "; ".join(sensor.method for sensor in sensors if sensor.source == "estimated")
    return {
        "sensors": " ".join(sensor.name for sensor in sensors) or "none",
        "domains": "; ".join(f"{s.name}: {' '.join(d.name for d in s.domains)}" for s in sensors),
        **({"estimate": estimates} if estimates else {}),
        "cpu": cpu.model(root),
        "cpu stepping": cpu.stepping(root),
        "sockets": cpu.sockets(root),
        "cores": cpu.cores(root),
        "affinity": cpu.affinity(root),
        "smt": cpu.smt(root),
        "turbo": cpu.turbo(root),
        "governor": cpu.governor(root),
        "container": virtual.container(root),
        "hypervisor": virtual.hypervisor(root),
        **gpu.matched(instruments),
    }


def gaps(facts: Mapping[str, str]) -> dict[str, SensorUnavailable]:
    """Return what this machine does not tell and a reader of its figures has to know, by name."""
    found = {}
    name = facts.get("cpu", cpu.UNKNOWN)
    if name == cpu.UNKNOWN or name.startswith(f"{cpu.UNNAMED} "):
        found["CPU model"] = SensorUnavailable(
            f"/proc/cpuinfo names none ({name}), so baselines of another model count as this one's",
            "keep baselines of each machine apart: --energy-baselines DIR",
        )
    if why := load.unreadable():
        found[LOAD] = SensorUnavailable(
            f"{why}: rounds that other processes disturb are not repeated",
            "let this process read /proc/stat (in a systemd unit: ProcSubset=all)",
        )
    return found


def _boot(root: Path) -> str | None:
    """Return what tells this boot of this machine from others, and names neither."""
    boot_id = text(root / "proc/sys/kernel/random/boot_id")
    return hashlib.sha256(boot_id.encode()).hexdigest()[:8] if boot_id else None


def recorded_facts(root: Path = ROOT, instruments: Instruments | None = None) -> dict[str, str]:
    """Return further facts, which are not compared: they vary, or do not determine joules.

    Unknown facts are omitted. Facts of GPUs are included if `instruments` measure one through NVML.
    """
    fields = cpu.description(root)
    temperature_c, quota = cpu.temperature_c(root), virtual.cpu_quota(root)
    facts = {
        "kernel": text(root / "proc/sys/kernel/osrelease"),
        BOOT: _boot(root),
        "microcode": fields.get("microcode"),
        "cpu clock": cpu.clock(root),
        "cpu temperature": None if temperature_c is None else f"{temperature_c:.0f} C",
        "cpu quota": None if quota is None else f"{quota:g} CPUs",
        "python options": interpreter.options(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return {**known, **libraries(), **(gpu.recorded(instruments) if instruments else {})}


def brought_facts(returned: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts that hooks returned; raise `OptionError` for what is no text."""
    for facts in returned:
        if not isinstance(facts, Mapping):
            raise OptionError(f"pytest_energy_facts: {shown(facts)}: expected a dict of text")
        for name, fact in facts.items():
            if not isinstance(name, str) or not isinstance(fact, str):
                pair = f"{shown(name)}: {shown(fact)}"
                raise OptionError(f"pytest_energy_facts: {pair}: expected text; write str(...)")
            yield encodable(name), encodable(fact)
