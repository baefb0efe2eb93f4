"""The processor: its model, and the settings that affect its power."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from pytest_greenops.machine.tree import cpu_count, text, texts
from pytest_greenops.sensors.cpu_estimate.estimate import first_processor

UNKNOWN = "unknown"
CPUS = Path("sys/devices/system/cpu")

_MARKS = re.compile(r"\((?:R|TM|C)\)", re.IGNORECASE)
#: The end of a name: the number of cores, and the nominal clock.
_SUFFIX = re.compile(r"( CPU)?( \d+-Core)?( Processor)?( @ [\d.]+ ?GHz)?$", re.IGNORECASE)
#: Arm cores by implementer and part, the only names in /proc/cpuinfo (Arm, MIDR_EL1).
_ARM_CORES = {
    ("0x41", "0xd08"): "Arm Cortex-A72",
    ("0x41", "0xd0b"): "Arm Cortex-A76",
    ("0x41", "0xd0c"): "Arm Neoverse N1",
    ("0x41", "0xd40"): "Arm Neoverse V1",
    ("0x41", "0xd42"): "Arm Cortex-A78AE",
    ("0x41", "0xd49"): "Arm Neoverse N2",
    ("0x41", "0xd4f"): "Arm Neoverse V2",
    ("0xc0", "0xac3"): "Ampere-1",
}


def description(root: Path) -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo; empty if there is no such file."""
    return first_processor(root / "proc/cpuinfo")


def model(root: Path) -> str:
    """Return the name without trademarks, core count and nominal clock: `AMD EPYC 9654`.

    The clock stays if nothing else distinguishes models: `Intel Xeon CPU @ 2.20GHz`.
    """
    fields = description(root)
    arm = (fields.get("CPU implementer", ""), fields.get("CPU part", ""))
    name = fields.get("model name") or _ARM_CORES.get(arm) or " ".join(filter(None, arm))
    name = " ".join(_MARKS.sub(" ", name).split()) or _apple_model(root)
    short = _SUFFIX.sub("", name)
    return short if re.search(r"\d", short) or not re.search(r"\d", name) else name


def stepping(root: Path) -> str:
    """Return `family 25 model 17 stepping 1`, as clouds shorten the names of processors."""
    fields = description(root)
    x86 = {"family": "cpu family", "model": "model", "stepping": "stepping"}
    arm = {"variant": "CPU variant", "revision": "CPU revision"}
    words = [f"{word} {fields[f]}" for word, f in {**x86, **arm}.items() if f in fields]
    return " ".join(words) or UNKNOWN


def sockets(root: Path) -> str:
    """Return the number of packages of the CPUs that are online."""
    packages = texts((root / CPUS).glob("cpu[0-9]*/topology/physical_package_id"))
    return str(len(packages)) if packages else UNKNOWN


def cores(root: Path) -> str:
    """Return the number of physical cores online; of logical CPUs if that is unknown."""
    siblings = texts((root / CPUS).glob("cpu[0-9]*/topology/thread_siblings_list"))
    if siblings:
        return str(len(siblings))
    online = text(root / CPUS / "online")
    if online:
        return str(cpu_count(online))
    return str(os.cpu_count() or UNKNOWN) if root == Path("/") else UNKNOWN


def affinity(root: Path) -> str:
    """Return which logical CPUs this process may use: `all 8` or `2 of 8 (0-1)`."""
    status = text(root / "proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    online = text(root / CPUS / "online")
    if not allowed or not online:
        return UNKNOWN
    may, all_ = cpu_count(allowed[1]), cpu_count(online)
    return f"all {all_}" if may >= all_ else f"{may} of {all_} ({allowed[1]})"


def smt(root: Path) -> str:
    """Return whether threads share cores: `on`, `off` or `unknown`."""
    return _switch(text(root / CPUS / "smt/active"), on="1")


def turbo_switch(root: Path) -> tuple[Path, str] | None:
    """Return the file that controls turbo, and the value that turns it off, or None.

    Intel's driver has one switch; others have one for all CPUs or one for each clock policy.
    """
    no_turbo = root / CPUS / "intel_pstate/no_turbo"
    if no_turbo.exists():
        return no_turbo, "1"
    policies = sorted((root / CPUS / "cpufreq").glob("policy*/boost"))
    for boost in [root / CPUS / "cpufreq/boost", *policies]:
        if boost.exists():
            return boost, "0"
    return None


def turbo(root: Path) -> str:
    """Return whether the clock may exceed its nominal frequency: `on`, `off` or `unknown`."""
    switch = turbo_switch(root)
    if switch is None:
        return UNKNOWN
    file, off = switch
    return _switch(text(file), on="0" if off == "1" else "1")


def governors(root: Path) -> list[str]:
    """Return the names of the clock governors in use, in alphabetical order."""
    return sorted(texts((root / CPUS / "cpufreq").glob("policy*/scaling_governor")))


def governor(root: Path) -> str:
    """Return the governors with their energy preference: `powersave, balance_performance`."""
    names = governors(root)
    preferences = (root / CPUS / "cpufreq").glob("policy*/energy_performance_preference")
    preferred = sorted(texts(preferences) - set(names))
    return ", ".join(filter(None, ["/".join(names) or UNKNOWN, "/".join(preferred)]))


def temperature_c(root: Path) -> float | None:
    """Return the temperature of the hottest processor in degrees Celsius, or None."""
    monitors = (root / "sys/class/hwmon").glob("hwmon*")
    chips = [m for m in monitors if text(m / "name") in ("coretemp", "k10temp", "cpu_thermal")]
    readings = texts(chip / "temp1_input" for chip in chips)
    with suppress(ValueError):
        return max((int(reading) / 1000 for reading in readings), default=None)
    return None


def _switch(value: str | None, on: str) -> str:
    if value is None:
        return UNKNOWN
    return "on" if value == on else "off"


def _apple_model(root: Path) -> str:
    """Return the name on macOS, which has no /proc: `Apple M2 Pro`."""
    if root != Path("/") or platform.system() != "Darwin":
        return UNKNOWN
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    with suppress(OSError, subprocess.SubprocessError):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=2, check=True)
        return ran.stdout.strip() or UNKNOWN
    return UNKNOWN
