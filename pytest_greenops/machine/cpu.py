"""The processor: its model, and the settings that affect its power."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pytest_greenops.model.environment import fact_text
from pytest_greenops.sensors.cpu_estimate.estimate import first_processor
from pytest_greenops.sensors.system_files import cpu_count, exists, matching, text, texts

UNKNOWN = "unknown"
#: A CPU of which only the architecture is known: others of it have the same name.
UNNAMED = "unnamed"
CPUS = Path("sys/devices/system/cpu")

_MARKS = re.compile(r"\((?:R|TM|C)\)", re.IGNORECASE)
#: The end of a name: the number of cores, and the nominal clock.
_SUFFIX = re.compile(r"( CPU)?( \d+-Core)?( Processor)?( @ [\d.]+ ?GHz)?$", re.IGNORECASE)
_ARM = (r"^CPU implementer\s*: (\S+)", r"^CPU part\s*: (\S+)")
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
    name = _arm_cores(root) if "CPU implementer" in fields else _name(fields)
    name = " ".join(_MARKS.sub(" ", name).split()) or _otherwise(root)
    short = _SUFFIX.sub("", name)
    return short if re.search(r"\d", short) or not re.search(r"\d", name) else name


def _arm_cores(root: Path) -> str:
    """Return the names of Arm cores, or their numbers: `Arm Cortex-A72`.

    Large and small cores of one chip are all named. Different cores may have the same `model name`,
    `ARMv7 Processor rev 4`.
    """
    cpuinfo = text(root / "proc/cpuinfo") or ""
    found = dict.fromkeys(
        zip(*(re.findall(line, cpuinfo, re.MULTILINE) for line in _ARM), strict=False)
    )
    return " + ".join(_ARM_CORES.get(core) or " ".join(core) for core in found)


def _name(fields: Mapping[str, str]) -> str:
    """Return the name that the fields of /proc/cpuinfo hold, by architecture; empty if none.

    The fields are those of `show_cpuinfo` in the kernel's `arch/*/kernel`.
    """
    if known := fields.get("model name") or fields.get("Model Name"):  # x86; LoongArch
        return known
    if "pvr" in fields.get("revision", ""):  # `cpu: POWER10 (architected), altivec supported`
        return fields.get("cpu", "").partition(",")[0].partition(" (")[0]
    if fields.get("vendor_id") == "IBM/S390":
        numbers = re.search(r"machine = (\w+)", fields.get("processor 0", ""))
        machine = fields.get("machine") or (numbers[1] if numbers else "")
        return f"IBM Z {machine}" if machine else ""
    if "isa" in fields:  # RISC-V
        return f"RISC-V {fields.get('uarch') or fields['isa'].partition('_')[0]}"
    return fields.get("cpu model") or fields.get("cpu") or fields.get("system type") or ""


def stepping(root: Path) -> str:
    """Return `family 25 model 17 stepping 1`, as clouds shorten the names of processors."""
    fields = description(root)
    x86 = {"family": "cpu family", "model": "model", "stepping": "stepping"}
    arm = {"variant": "CPU variant", "revision": "CPU revision"}
    riscv = {word: word for word in ("mvendorid", "marchid", "mimpid")}
    named = {**x86, **arm, **riscv}
    if "pvr" in fields.get("revision", ""):  # POWER: `2.0 (pvr 0080 0200)`
        named = {"revision": "revision"}
    elif "Model Name" in fields:  # LoongArch
        named = {"revision": "CPU Revision"}
    words = [f"{word} {fields[f]}" for word, f in named.items() if f in fields]
    return " ".join(words) or UNKNOWN


def sockets(root: Path) -> str:
    """Return the number of packages of the CPUs that are online."""
    packages = texts(root / CPUS, "cpu[0-9]*/topology/physical_package_id")
    return str(len(packages)) if packages else UNKNOWN


def cores(root: Path) -> str:
    """Return the number of physical cores online; of logical CPUs if that is unknown."""
    siblings = texts(root / CPUS, "cpu[0-9]*/topology/thread_siblings_list")
    if siblings:
        return str(len(siblings))
    if online := cpu_count(text(root / CPUS / "online") or ""):
        return str(online)
    return str(os.cpu_count() or UNKNOWN) if root == Path("/") else UNKNOWN


def affinity(root: Path) -> str:
    """Return which logical CPUs this process may use: `all 8` or `2 of 8 (0-1)`."""
    status = text(root / "proc/self/status") or ""
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    may = cpu_count(allowed[1]) if allowed else 0
    all_ = cpu_count(text(root / CPUS / "online") or "")
    if not allowed or not may or not all_:
        return UNKNOWN
    return f"all {all_}" if may >= all_ else f"{may} of {all_} ({allowed[1]})"


def smt(root: Path) -> str:
    """Return whether threads share cores: `on`, `off` or `unknown`."""
    return _switch(text(root / CPUS / "smt/active"), on="1")


def turbo_switch(root: Path) -> tuple[Path, str] | None:
    """Return the file that controls turbo, and the value that turns it off, or None.

    Intel's driver has one switch; others have one for all CPUs or one for each clock policy.
    """
    no_turbo = root / CPUS / "intel_pstate/no_turbo"
    if exists(no_turbo):
        return no_turbo, "1"
    policies = matching(root / CPUS / "cpufreq", "policy*/boost")
    for boost in [root / CPUS / "cpufreq/boost", *policies]:
        if exists(boost):
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
    return sorted(texts(root / CPUS / "cpufreq", "policy*/scaling_governor"))


def governor(root: Path) -> str:
    """Return the governors with their energy preference: `powersave, balance_performance`."""
    names = governors(root)
    preferences = texts(root / CPUS / "cpufreq", "policy*/energy_performance_preference")
    preferred = sorted(preferences - set(names))
    return ", ".join(filter(None, ["/".join(names) or UNKNOWN, "/".join(preferred)]))


def clock(root: Path) -> str | None:
    """Return the clock of the first processor in /proc/cpuinfo: `2700 MHz`; None if unknown."""
    fields = description(root)
    # x86; LoongArch; s390; POWER, with its unit
    names = ("cpu MHz", "CPU MHz", "cpu MHz dynamic", "clock")
    mhz = next((fields[name] for name in names if name in fields), "").removesuffix("MHz")
    with suppress(ValueError, OverflowError):
        return f"{round(float(mhz))} MHz"
    return None


def temperature_c(root: Path) -> float | None:
    """Return the temperature of the hottest processor in degrees Celsius, or None."""
    monitors = matching(root / "sys/class/hwmon", "hwmon*")
    chips = [m for m in monitors if text(m / "name") in ("coretemp", "k10temp", "cpu_thermal")]
    readings = filter(None, (text(chip / "temp1_input") for chip in chips))
    with suppress(ValueError, OverflowError):
        return max((int(reading) / 1000 for reading in readings), default=None)
    return None


def _switch(value: str | None, on: str) -> str:
    if value is None:
        return UNKNOWN
    return "on" if value == on else "off"


def _otherwise(root: Path) -> str:
    """Return the name of a CPU that /proc does not name: `Apple M2 Pro`, or an `unnamed x86_64`."""
    compatible = text(root / "proc/device-tree/cpus/cpu@0/compatible")
    if compatible:
        return compatible.partition(r"\x00")[0]
    if root != Path("/"):
        return UNKNOWN
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        with suppress(OSError, subprocess.SubprocessError):
            ran = subprocess.run(command, capture_output=True, timeout=2, check=True)
            if name := fact_text(ran.stdout.strip()):
                return name
    if platform.system() == "Windows" and platform.processor():
        return platform.processor()
    return f"{UNNAMED} {platform.machine()}" if platform.machine() else UNKNOWN
