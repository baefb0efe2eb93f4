"""Watts of a busy core by CPU family, for machines whose energy counters cannot be read.

Watts are the thermal design power (TDP) over the number of cores of one well-known processor of
the family. Both are as its vendor states them: Intel at ark.intel.com, AMD at
amd.com/en/products/specifications, checked against the data sets that codecarbon and Boavizta made
of these pages. For the Altra, the 285K and the cores of Meteor Lake, only press reports of the
vendor's figures were available. All cores at work draw about the TDP, so this share already
includes the idle and uncore power that a busy core causes. Within a family it differs from
processor to processor, which is part of the +-50 % of every estimate.

A family is identified by the family and model numbers of CPUID, as Linux shows them in
`/proc/cpuinfo`: virtual machines often hide the name of the processor, seldom its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: Assumed for a CPU that is not in the table: about the middle of the servers in it.
DEFAULT_WATTS = 5.0
#: Two threads that share a core draw little more than one: a busy thread counts for a whole core
#: if its sibling is idle, and for half a core if not. This is the middle.
SHARED_CORE = 0.75

_INTEL, _AMD, _ARM = "GenuineIntel", "AuthenticAMD", "0x41"


class CorePower(NamedTuple):
    """Watts of one busy logical CPU, and the source of the figure in words."""

    watts: float
    basis: str


class _Family(NamedTuple):
    """A row of the table; `brand`, a word of the name, separates families of the same numbers."""

    vendor: str
    family: int
    models: tuple[int, ...]
    name: str
    processor: str
    tdp_w: float
    cores: int
    brand: str = ""


_FAMILIES = (
    # Intel servers
    _Family(_INTEL, 6, (0x2D,), "Intel Xeon E5", "E5-2690", 135, 8),
    _Family(_INTEL, 6, (0x3E,), "Intel Xeon E5 v2", "E5-2690 v2", 130, 10),
    _Family(_INTEL, 6, (0x3F,), "Intel Xeon E5 v3", "E5-2690 v3", 135, 12),
    _Family(_INTEL, 6, (0x4F,), "Intel Xeon E5 v4", "E5-2690 v4", 135, 14),
    _Family(_INTEL, 6, (0x55,), "Intel Xeon Scalable, 1st and 2nd generation", "8280", 205, 28),
    _Family(_INTEL, 6, (0x56,), "Intel Xeon D-1500", "D-1541", 45, 8),
    _Family(_INTEL, 6, (0x6C,), "Intel Xeon D-2700", "D-2796NT", 120, 20),
    _Family(_INTEL, 6, (0x6A,), "Intel Xeon Scalable, 3rd generation", "8380", 270, 40),
    _Family(_INTEL, 6, (0x8F,), "Intel Xeon Scalable, 4th generation", "8480+", 350, 56),
    _Family(_INTEL, 6, (0xCF,), "Intel Xeon Scalable, 5th generation", "8592+", 350, 64),
    _Family(_INTEL, 6, (0xAD,), "Intel Xeon 6 with P-cores", "6980P", 500, 128),
    _Family(_INTEL, 6, (0xAF,), "Intel Xeon 6 with E-cores", "6780E", 330, 144),
    # Intel desktops and laptops; from the 12th generation on the processor base power
    _Family(_INTEL, 6, (0x2A,), "Intel Core, 2nd generation", "i7-2600", 95, 4),
    _Family(_INTEL, 6, (0x3A,), "Intel Core, 3rd generation", "i7-3770", 77, 4),
    _Family(_INTEL, 6, (0x3C, 0x46), "Intel Core, 4th generation", "i7-4770", 84, 4),
    _Family(_INTEL, 6, (0x45,), "Intel Core, 4th generation, mobile", "i7-4600U", 15, 2),
    _Family(_INTEL, 6, (0x3D,), "Intel Core, 5th generation, mobile", "i7-5600U", 15, 2),
    _Family(_INTEL, 6, (0x47,), "Intel Core, 5th generation", "i7-5775C", 65, 4),
    _Family(_INTEL, 6, (0x4E,), "Intel Core, 6th generation, mobile", "i7-6600U", 15, 2),
    _Family(_INTEL, 6, (0x5E,), "Intel Core, 6th generation", "i7-6700", 65, 4),
    _Family(_INTEL, 6, (0x8E,), "Intel Core, 7th to 10th generation, mobile", "i7-8550U", 15, 4),
    _Family(_INTEL, 6, (0xA6,), "Intel Core, 10th generation, mobile", "i7-10710U", 15, 6),
    _Family(_INTEL, 6, (0x9E,), "Intel Core, 7th to 9th generation", "i7-8700K", 95, 6),
    _Family(_INTEL, 6, (0xA5,), "Intel Core, 10th generation", "i9-10900K", 125, 10),
    _Family(_INTEL, 6, (0x7E,), "Intel Core, 10th generation, mobile", "i7-1065G7", 15, 4),
    _Family(_INTEL, 6, (0x8C,), "Intel Core, 11th generation, mobile", "i7-1185G7", 28, 4),
    _Family(_INTEL, 6, (0x8D,), "Intel Core, 11th generation, H series", "i7-11800H", 45, 8),
    _Family(_INTEL, 6, (0xA7,), "Intel Core, 11th generation", "i9-11900K", 125, 8),
    _Family(_INTEL, 6, (0x97,), "Intel Core, 12th generation", "i9-12900K", 125, 16),
    _Family(_INTEL, 6, (0x9A,), "Intel Core, 12th generation, mobile", "i7-12700H", 45, 14),
    _Family(_INTEL, 6, (0xB7, 0xBF), "Intel Core, 13th and 14th generation", "i9-13900K", 125, 24),
    _Family(_INTEL, 6, (0xBA,), "Intel Core, 13th generation, mobile", "i7-13700H", 45, 14),
    _Family(_INTEL, 6, (0xAA,), "Intel Core Ultra 100, mobile", "Ultra 7 155H", 28, 16),
    _Family(_INTEL, 6, (0xC6,), "Intel Core Ultra 200", "Ultra 9 285K", 125, 24),
    _Family(_INTEL, 6, (0x7A,), "Intel Celeron J4000", "J4105", 10, 4),
    _Family(_INTEL, 6, (0x9C,), "Intel Celeron N5000", "N5105", 10, 4),
    _Family(_INTEL, 6, (0xBE,), "Intel N series", "N100", 6, 4),
    # AMD servers; a Threadripper with the numbers of an EPYC comes first
    _Family(_AMD, 0x17, (0x01,), "AMD Ryzen Threadripper 1000", "1950X", 180, 16, "Threadripper"),
    _Family(_AMD, 0x17, (0x01,), "AMD Ryzen 1000", "1800X", 95, 8, "Ryzen"),
    _Family(_AMD, 0x17, (0x01,), "AMD EPYC 7001", "7601", 180, 32),
    _Family(_AMD, 0x17, (0x31,), "AMD Ryzen Threadripper 3000", "3970X", 280, 32, "Threadripper"),
    _Family(_AMD, 0x17, (0x31,), "AMD EPYC 7002", "7742", 225, 64),
    _Family(_AMD, 0x19, (0x01,), "AMD EPYC 7003", "7763", 280, 64),
    _Family(_AMD, 0x19, (0x11,), "AMD EPYC 9004", "9654", 360, 96),
    _Family(_AMD, 0x19, (0xA0,), "AMD EPYC 9004 and 8004 with Zen 4c", "9754", 360, 128),
    _Family(_AMD, 0x1A, (0x02,), "AMD EPYC 9005", "9755", 500, 128),
    _Family(_AMD, 0x1A, (0x11,), "AMD EPYC 9005 with Zen 5c", "9965", 500, 192),
    # AMD desktops and laptops
    _Family(_AMD, 0x17, (0x08,), "AMD Ryzen Threadripper 2000", "2950X", 180, 16, "Threadripper"),
    _Family(_AMD, 0x17, (0x08,), "AMD Ryzen 2000", "2700X", 105, 8),
    _Family(_AMD, 0x17, (0x11, 0x18), "AMD Ryzen 2000 and 3000, mobile", "3700U", 15, 4),
    _Family(_AMD, 0x17, (0x60,), "AMD Ryzen 4000, mobile", "4800H", 45, 8),
    _Family(_AMD, 0x17, (0x68,), "AMD Ryzen 5000, mobile with Zen 2", "5700U", 15, 8),
    _Family(_AMD, 0x17, (0xA0,), "AMD Ryzen 7020, mobile", "7520U", 15, 4),
    _Family(_AMD, 0x17, (0x71,), "AMD Ryzen 3000", "3950X", 105, 16),
    _Family(_AMD, 0x19, (0x08,), "AMD Ryzen Threadripper PRO 5000", "5995WX", 280, 64),
    _Family(_AMD, 0x19, (0x18,), "AMD Ryzen Threadripper 7000", "7980X", 350, 64),
    _Family(_AMD, 0x19, (0x21,), "AMD Ryzen 5000", "5950X", 105, 16),
    _Family(_AMD, 0x19, (0x50,), "AMD Ryzen 5000, mobile", "5800H", 45, 8),
    _Family(_AMD, 0x19, (0x44,), "AMD Ryzen 6000, mobile", "6800H", 45, 8),
    _Family(_AMD, 0x19, (0x61,), "AMD Ryzen 7000", "7950X", 170, 16),
    _Family(_AMD, 0x19, (0x74,), "AMD Ryzen 7000, mobile", "7840U", 28, 8),
    _Family(_AMD, 0x19, (0x75,), "AMD Ryzen 8000, mobile", "8840U", 28, 8),
    _Family(_AMD, 0x19, (0x78,), "AMD Ryzen Z1", "Z1", 28, 6),
    _Family(_AMD, 0x1A, (0x08,), "AMD Ryzen Threadripper 9000", "9980X", 350, 64),
    _Family(_AMD, 0x1A, (0x24,), "AMD Ryzen AI 300", "AI 9 HX 370", 28, 12),
    _Family(_AMD, 0x1A, (0x60,), "AMD Ryzen AI 300", "AI 7 350", 28, 8),
    _Family(_AMD, 0x1A, (0x70,), "AMD Ryzen AI Max", "AI Max+ 395", 55, 16),
    _Family(_AMD, 0x1A, (0x44,), "AMD Ryzen 9000", "9950X", 170, 16),
    # Arm: "CPU implementer" and "CPU part"
    _Family(_ARM, 8, (0xD0C,), "Arm Neoverse N1", "Ampere Altra Q80-30", 210, 80),
)


def core_power(cpu: Mapping[str, str]) -> CorePower:
    """Return the watts of a busy logical CPU with these fields in `/proc/cpuinfo`, if any."""
    name = cpu.get("model name", "")
    family = _family(cpu, name)
    if family is None:
        basis = f"a default: {name or 'this CPU'} is not in the table; set energy_cpu_watts"
        return CorePower(DEFAULT_WATTS, basis)
    watts = family.tdp_w / family.cores
    basis = f"{family.name}: {family.tdp_w} W / {family.cores} cores of the {family.processor}"
    if _threads_share_cores(cpu):
        return CorePower(watts * SHARED_CORE, f"{basis}, x {SHARED_CORE} for two threads a core")
    return CorePower(watts, basis)


def _family(cpu: Mapping[str, str], name: str) -> _Family | None:
    vendor = cpu.get("vendor_id", cpu.get("CPU implementer"))
    family = _number(cpu.get("cpu family", cpu.get("CPU architecture")))
    model = _number(cpu.get("model", cpu.get("CPU part")))
    alike = (f for f in _FAMILIES if (f.vendor, f.family) == (vendor, family) and model in f.models)
    return next((known for known in alike if known.brand in name), None)


def _number(text: str | None) -> int | None:
    try:
        return int(text or "", 0)
    except ValueError:
        return None


def _threads_share_cores(cpu: Mapping[str, str]) -> bool:
    siblings, cores = _number(cpu.get("siblings")), _number(cpu.get("cpu cores"))
    return siblings is not None and cores is not None and siblings > cores
