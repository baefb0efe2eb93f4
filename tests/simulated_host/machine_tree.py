"""The files of /proc and /sys that describe a machine, written below a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CPUS = "sys/devices/system/cpu"
XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) Platinum 8280 CPU @ 2.70GHz
stepping\t: 7
microcode\t: 0x5003604
cpu MHz\t\t: 2700.123
flags\t\t: fpu vme sse2
"""
GRAVITON = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\n" + (
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
    "CPU revision\t: 1\n"
)

#: Other architectures, as the `show_cpuinfo` of each prints the first processor.
POWER = """\
processor\t: 0
cpu\t\t: POWER8 (architected), altivec supported
clock\t\t: 3425.000000MHz
revision\t: 2.1 (pvr 004b 0201)

timebase\t: 512000000
platform\t: pSeries
"""
Z15 = """\
vendor_id       : IBM/S390
# processors    : 2
bogomips per cpu: 3241.00
features\t: esan3 zarch stfle msa
processor 0: version = 00,  identification = 0A1B2C,  machine = 8561
processor 1: version = 00,  identification = 0A1B2C,  machine = 8561

cpu number      : 0
machine         : 8561
cpu MHz dynamic : 5200
"""
RISC_V = """\
processor\t: 0
hart\t\t: 1
isa\t\t: rv64imafdc_zicntr_zicsr
mmu\t\t: sv39
uarch\t\t: sifive,u74-mc
mvendorid\t: 0x489
marchid\t\t: 0x8000000000000007
mimpid\t\t: 0x4210427
"""
LOONGARCH = """\
system type\t\t: generic-loongson-machine

processor\t\t: 0
CPU Family\t\t: Loongson-64bit
Model Name\t\t: Loongson-3A5000-HV
CPU Revision\t\t: 0x10
CPU MHz\t\t\t: 2500.00
"""
ARM_32 = """\
processor\t: 0
model name\t: ARMv7 Processor rev 4 (v7l)
Features\t: half thumb neon
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4
"""


def bare_metal(cpuinfo: str = XEON) -> dict[str, str]:
    """Return a bare-metal server of two sockets, with two cores of two threads in each."""
    second = cpuinfo.replace("processor\t: 0", "processor\t: 1").replace("2700.123", "1200.456")
    files = {
        "proc/cpuinfo": f"{cpuinfo}\n{second}",
        "proc/self/status": "Name:\tpytest\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n",
        "proc/self/cgroup": "0::/user.slice/session-2.scope\n",
        "proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
        f"{CPUS}/online": "0-7\n",
        f"{CPUS}/smt/active": "1\n",
        f"{CPUS}/intel_pstate/no_turbo": "1\n",
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
        "sys/class/dmi/id/product_name": "PowerEdge R740\n",
        "sys/class/hwmon/hwmon0/name": "coretemp\n",
        "sys/class/hwmon/hwmon0/temp1_input": "41000\n",
    }
    for cpu in range(8):
        core = cpu % 4
        topology = f"{CPUS}/cpu{cpu}/topology"
        files[f"{topology}/physical_package_id"] = f"{core // 2}\n"
        files[f"{topology}/thread_siblings_list"] = f"{core},{core + 4}\n"
        files[f"{CPUS}/cpufreq/policy{cpu}/scaling_governor"] = "performance\n"
    return files


def write(root: Path, files: Mapping[str, str], **changes: str | None) -> Path:
    """Write the files below a root, and return it; changes are by the last part of a path.

    `no_turbo="0"` rewrites every file of this name, `no_turbo=None` omits them.
    """
    names = {path.rpartition("/")[2] for path in files}
    assert changes.keys() <= names, f"no such files: {changes.keys() - names}"
    for path, text in files.items():
        written = changes.get(path.rpartition("/")[2], text)
        if written is not None:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(written)
    return root
