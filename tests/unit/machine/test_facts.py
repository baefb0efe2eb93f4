"""Facts of the machine, read from simulated trees of files."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_greenops.commands.doctor import diagnose
from pytest_greenops.machine import gaps, machine_facts, recorded_facts
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.simulated_host import child
from tests.simulated_host.machine_tree import (
    ARM_32,
    CPUS,
    GRAVITON,
    LOONGARCH,
    POWER,
    RISC_V,
    XEON,
    Z15,
    bare_metal,
    write,
)

POWERCAP = FakeSensor(Domain("cpu:0", "cpu"), Domain("dram:0", "dram"), name="powercap")
INSTRUMENTS = Instruments([POWERCAP])
UNKNOWN = dict.fromkeys(("cpu", "cores", "affinity", "governor"), "unknown").items()


def v1(mount: str, top: str, ours: str, limited: str) -> dict[str, str]:
    """Return the files of version 1, beside a version 2 that has only the group `/user`.

    mount    where the CPU controller is mounted
    top      the group that is at the top of the mount
    ours     the group of this process
    limited  the folder below the mount with half a CPU
    """
    return {
        "proc/self/cgroup": f"5:memory:/else\n4:cpu,cpuacct:{ours}\n0::/user\n",
        "proc/self/mountinfo": (
            f"33 32 0:30 {top} {mount} rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct\n"
            "34 32 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "35 32 0:32 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n"
        ),
        f"{mount[1:]}/{limited}/cpu.cfs_quota_us": "50000",
        f"{mount[1:]}/{limited}/cpu.cfs_period_us": "100000",
    }


def facts(root: Path) -> dict[str, str]:
    """Return the facts of the machine below a root, measured by powercap."""
    return machine_facts(INSTRUMENTS, root)


def test_describes_a_bare_metal_server(tmp_path: Path) -> None:
    """Every fact of a server's fingerprint is read from its tree."""
    assert facts(write(tmp_path, bare_metal())) == {
        "sensors": "powercap",
        "domains": "powercap: cpu:0 dram:0",
        "cpu": "Intel Xeon Platinum 8280",
        "cpu stepping": "family 6 model 85 stepping 7",
        "sockets": "2",
        "cores": "4",
        "affinity": "all 8",
        "smt": "on",
        "turbo": "off",
        "governor": "performance",
        "container": "none",
        "hypervisor": "none",
    }


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """Without /proc and /sys each fact is present, and unknown."""
    found = facts(tmp_path)
    assert found.keys() == facts(write(tmp_path / "whole", bare_metal())).keys()
    assert {name: said for name, said in found.items() if said != "unknown"} == {
        "sensors": "powercap",
        "domains": "powercap: cpu:0 dram:0",
        "container": "none",
    }


def test_names_every_sensor_and_makes_a_readable_folder(tmp_path: Path) -> None:
    """Two sensors are both named, in the facts and in the name of the baselines folder."""
    estimate = FakeSensor(Domain("gpu:0", "gpu"), name="estimate")
    found = machine_facts(Instruments([POWERCAP, estimate]), write(tmp_path, bare_metal()))
    assert found["sensors"] == "powercap estimate"
    assert found["domains"] == "powercap: cpu:0 dram:0; estimate: gpu:0"
    slug = Environment(found).slug
    assert slug.startswith("intel-xeon-platinum-8280-4c-powercap-estimate-")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("AMD EPYC 9654 96-Core Processor", "AMD EPYC 9654"),
        ("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", "Intel Xeon CPU E5-2690 v4"),
        ("12th Gen Intel(R) Core(TM) i9-12900K", "12th Gen Intel Core i9-12900K"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Xeon CPU @ 2.20GHz"),
        ("AMD EPYC", "AMD EPYC"),
    ],
)
def test_shortens_a_cpu_name_but_keeps_it_distinct(tmp_path: Path, written: str, read: str) -> None:
    """Trademarks, core count and clock are removed, unless only the clock distinguishes models."""
    root = write(tmp_path, bare_metal(f"processor\t: 0\nmodel name\t: {written}\nflags\t\t: fpu\n"))
    assert facts(root)["cpu"] == read


def test_names_an_arm_machine(tmp_path: Path) -> None:
    """An Arm processor, which has no name in /proc/cpuinfo, is named by its part."""
    root = write(tmp_path, bare_metal(GRAVITON), sys_vendor="Amazon EC2", product_name="m6g.large")
    found = facts(root)
    assert found["cpu"] == "Arm Neoverse N1"
    assert found["cpu stepping"] == "variant 0x3 revision 1"
    assert found["hypervisor"] == "amazon ec2"


def test_an_arm_part_without_a_name_keeps_its_numbers(tmp_path: Path) -> None:
    """Two unknown Arm processors have different names."""
    root = write(tmp_path, bare_metal(GRAVITON.replace("0xd0c", "0xfff")))
    assert facts(root)["cpu"] == "0x41 0xfff"


@pytest.mark.parametrize(
    ("cpuinfo", "name", "stepping", "clock"),
    [
        (POWER, "POWER8", "revision 2.1 (pvr 004b 0201)", "3425 MHz"),
        (POWER.replace("POWER8 (architected)", "POWER9"), "POWER9", "revision 2.1 (*)", "3425 MHz"),
        (Z15, "IBM Z 8561", "unknown", "5200 MHz"),
        (Z15.partition("\n\n")[0] + "\n\n", "IBM Z 8561", "unknown", None),
        (
            RISC_V,
            "RISC-V sifive,u74-mc",
            "mvendorid 0x489 marchid 0x8000000000000007 mimpid 0x4210427",
            None,
        ),
        (RISC_V.replace("uarch", "other"), "RISC-V rv64imafdc", "mvendorid 0x489 *", None),
        (LOONGARCH, "Loongson-3A5000-HV", "revision 0x10", "2500 MHz"),
        (ARM_32, "0x41 0xd03", "variant 0x0 revision 4", None),
        (
            f"{ARM_32}\n{ARM_32}\n{ARM_32.replace('0xd03', '0xd08')}",
            "0x41 0xd03 + Arm Cortex-A72",
            "variant 0x0 revision 4",
            None,
        ),
        ("processor: 0\ncpu model: MIPS 1004Kc V2.15\n", "MIPS 1004Kc V2.15", "unknown", None),
        ("processor: 0\ncpu MHz: ~\n", "unknown", "unknown", None),
    ],
)
def test_names_the_processors_of_every_architecture(
    tmp_path: Path, cpuinfo: str, name: str, stepping: str, clock: str | None
) -> None:
    """Each has fields of its own in /proc/cpuinfo, and two models are two machines."""
    root = write(tmp_path, {"proc/cpuinfo": cpuinfo})
    found = facts(root)
    assert found["cpu"] == name
    assert fnmatch(found["cpu stepping"], stepping)
    assert recorded_facts(root).get("cpu clock") == clock


def test_a_processor_without_a_name_is_said(tmp_path: Path) -> None:
    """Where only the device tree knows it, that names it; where nothing does, a gap is reported."""
    tree = "proc/device-tree/cpus/cpu@0/compatible"
    assert facts(write(tmp_path, {tree: "arm,cortex-a53\0arm,armv8\0"}))["cpu"] == "arm,cortex-a53"
    assert "CPU model" not in gaps({"cpu": "arm,cortex-a53"})
    for name in ("unknown", "unnamed x86_64"):
        assert f"names none ({name})" in str(gaps({"cpu": name})["CPU model"])


@pytest.mark.parametrize(
    "content", [b"\xff\xfe=\x00-3,-,x\n", b"", b"-1", b"9" * 40, b"a: b\n: \n"]
)
def test_no_content_of_a_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Whatever a kernel shows, each fact is a line of text, and the doctor has an answer."""
    root = write(tmp_path, {**bare_metal(), "proc/self/mountinfo": "", f"{CPUS}/cpufreq/boost": ""})
    for file in root.rglob("*"):
        if file.is_file():
            file.write_bytes(content)
    found = {**facts(root), **recorded_facts(root)}
    assert all(text and "\0" not in text for text in found.values())
    assert "".join(found.values()).encode()
    assert diagnose([], root).findings


def test_a_file_that_fails_when_it_is_read_is_unknown(tmp_path: Path) -> None:
    """An input error is not an error of the run."""
    root = write(tmp_path, bare_metal())
    for file in root.rglob("*"):
        if file.is_file():
            file.unlink()
            file.symlink_to("/proc/self/mem")  # its first page can never be read
    assert UNKNOWN <= facts(root).items()
    assert diagnose([], root).findings


@pytest.mark.skipif(os.name != "posix", reason="needs rights of files")
def test_a_folder_that_may_not_be_searched_is_unknown() -> None:
    """Another user's folders hide whether a file exists."""
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder), {**bare_metal(), "run/x": "", "var/run/secrets/x": ""})
        for closed in ("proc", "sys", "run", "var"):
            (root / closed).chmod(0)
        root.chmod(0o755)
        assert UNKNOWN <= child.run(facts_as_nobody, folder).items()
        for closed in ("proc", "sys", "run", "var"):
            (root / closed).chmod(0o755)


def facts_as_nobody(root: str) -> dict[str, str]:
    """In a child: the facts that another user gets."""
    child.become_nobody()
    diagnose([], Path(root))
    return {**facts(Path(root)), **recorded_facts(Path(root))}


@pytest.mark.parametrize(
    ("allowed", "affinity"),
    [("0-7", "all 8"), ("0-1", "2 of 8 (0-1)"), ("1,4-6", "4 of 8 (1,4-6)")],
)
def test_counts_and_lists_the_cpus_allowed(tmp_path: Path, allowed: str, affinity: str) -> None:
    """A process that is bound to some CPUs differs from one that may use all."""
    root = write(
        tmp_path, bare_metal(), status=f"Cpus_allowed_list:\t{allowed}\nMems_allowed:\t1\n"
    )
    assert facts(root)["affinity"] == affinity


@pytest.mark.parametrize(
    ("file", "said", "turbo"),
    [
        ("intel_pstate/no_turbo", "0", "on"),
        ("intel_pstate/no_turbo", "1", "off"),
        ("cpufreq/boost", "1", "on"),
        ("cpufreq/boost", "0", "off"),
        ("cpufreq/policy0/boost", "1", "on"),
        ("cpufreq/policy0/boost", "0", "off"),
    ],
)
def test_reads_turbo_of_every_driver(tmp_path: Path, file: str, said: str, turbo: str) -> None:
    """Intel's switch has the opposite meaning of the switches of other clock drivers."""
    files = {path: text for path, text in bare_metal().items() if "no_turbo" not in path}
    assert facts(write(tmp_path, {**files, f"{CPUS}/{file}": said}))["turbo"] == turbo


def test_names_governors_and_their_preference(tmp_path: Path) -> None:
    """Different governors are all named, and so is an energy preference."""
    root = write(tmp_path, bare_metal(), scaling_governor="powersave")
    policies = root / CPUS / "cpufreq"
    (policies / "policy3/scaling_governor").write_text("performance")
    (policies / "policy0/energy_performance_preference").write_text("balance_power")
    assert facts(root)["governor"] == "performance/powersave, balance_power"


GUEST = XEON.replace("sse2", "sse2 hypervisor")
WSL = "5.15.153.1-microsoft-standard-WSL2\n"


@pytest.mark.parametrize(
    ("cpuinfo", "more", "hypervisor"),
    [
        (GUEST, {"sys_vendor": "QEMU", "product_name": "Standard PC (Q35 + ICH9, 2009)"}, "qemu"),
        (GUEST, {"sys_vendor": "Amazon EC2", "product_name": "c5.large"}, "amazon ec2"),
        (
            GUEST,
            {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"},
            "hyper-v",
        ),
        (GUEST, {"sys_vendor": "", "product_name": ""}, "unnamed"),
        (XEON, {"sys_vendor": "Amazon EC2", "product_name": "c5.metal"}, "none"),
        (GRAVITON, {"sys_vendor": "Amazon EC2", "product_name": "c6g.metal"}, "none"),
        (XEON, {"osrelease": WSL}, "wsl"),
    ],
)
def test_detects_a_virtual_machine(
    tmp_path: Path, cpuinfo: str, more: dict[str, str], hypervisor: str
) -> None:
    """A hypervisor has its firmware's name, or none; bare metal of a cloud is not virtual."""
    assert facts(write(tmp_path, bare_metal(cpuinfo), **more))["hypervisor"] == hypervisor


HOSTS = "519 509 8:1 {source} /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("file", "text", "container"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("var/run/secrets/kubernetes.io/token", "x", "kubernetes"),
        ("proc/self/cgroup", f"12:cpu:/docker/{'ab12' * 16}\n", "docker"),
        ("proc/self/cgroup", "12:cpu:/kubepods/burstable/pod1/2\n", "kubernetes"),
        ("proc/self/mountinfo", HOSTS.format(source="/var/lib/kubelet/pods/1/etc"), "kubernetes"),
        ("proc/self/mountinfo", HOSTS.format(source="/var/lib/docker/containers/1"), "docker"),
        ("proc/self/cgroup", "0::/system.slice/docker.service\n", "none"),
        (
            "proc/self/mountinfo",
            "61 29 8:1 /var/lib/kubelet/pods/1/volumes/x /var/lib/sub rw - ext4 x rw",
            "none",
        ),
    ],
)
def test_distinguishes_a_container_from_its_host(
    tmp_path: Path, file: str, text: str, container: str
) -> None:
    """Each runtime is detected by its traces in a container, but not on its own host."""
    assert facts(write(tmp_path, {**bare_metal(), file: text}))["container"] == container


def test_what_jitters_is_recorded_and_not_matched(tmp_path: Path) -> None:
    """Another kernel, clock, temperature or microcode is recorded, but is the same machine."""
    warm = write(tmp_path / "warm", bare_metal())
    hotter = write(
        tmp_path / "hotter",
        bare_metal(XEON.replace("2700.123", "2699.871").replace("0x5003604", "0x5003707")),
        osrelease="6.8.0-47-generic",
        temp1_input="63000",
    )
    assert facts(warm) == facts(hotter)
    recorded = recorded_facts(hotter)
    assert recorded["kernel"] == "6.8.0-47-generic"
    assert recorded["microcode"] == "0x5003707"
    assert recorded["cpu clock"] == "2700 MHz"
    assert recorded["cpu temperature"] == "63 C"
    assert recorded["python"].startswith("CPython 3.")


def test_records_nothing_where_nothing_can_be_read(tmp_path: Path) -> None:
    """A fact that cannot be read is omitted."""
    assert not {"kernel", "microcode", "cpu clock", "cpu temperature", "cpu quota"} & set(
        recorded_facts(tmp_path)
    )


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, "1.5 CPUs"),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "sys/fs/cgroup/user.slice/session-2.scope/cpu.max": "max 100000\n",
                "sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n",
            },
            "2 CPUs",
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            "0.5 CPUs",
        ),
        (v1("/sys/fs/cgroup/cpu,cpuacct", "/", "/docker/12/app", "docker/12"), "0.5 CPUs"),
        (v1("/sys/fs/cgroup/cpu,cpuacct", "/", "/docker/12", "docker/12"), "0.5 CPUs"),
        (v1("/sys/fs/cgroup/cpu", "/docker/12", "/docker/12/app", "."), "0.5 CPUs"),
        (v1("/sys/fs/cgroup/cpu", "/../..", "/", "."), "0.5 CPUs"),
        (v1("/cg/cpu", "/", "/a/b", "a/b/c"), None),
        (
            {
                **v1("/sys/fs/cgroup/cpu,cpuacct", "/", "/app", "app"),
                "sys/fs/cgroup/unified/user/cpu.max": "20000 100000\n",
            },
            "0.2 CPUs",
        ),
    ],
)
def test_records_the_tightest_cpu_quota(
    tmp_path: Path, files: dict[str, str], quota: str | None
) -> None:
    """The quota counts if it is set on the control group or on one above it."""
    recorded = recorded_facts(write(tmp_path, {**bare_metal(), **files}))
    assert recorded.get("cpu quota") == quota


def test_never_names_the_host_or_the_user() -> None:
    """Facts of the real machine contain no host name, user name or home directory."""
    said = [*machine_facts(INSTRUMENTS).items(), *recorded_facts().items()]
    words = {word for pair in said for text in pair for word in text.split()}
    assert "cpu" in words
    assert not {socket.gethostname(), getpass.getuser(), str(Path.home())} & words
