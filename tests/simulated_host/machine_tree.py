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
