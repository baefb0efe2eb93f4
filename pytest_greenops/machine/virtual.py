"""Layers between this process and the hardware: a container, a virtual machine, a quota."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pytest_greenops.machine import cpu
from pytest_greenops.sensors.system_files import exists, text

NONE = "none"
#: Hypervisors by words in the vendor and product name of the firmware.
_VENDORS = {
    "amazon ec2": "amazon ec2",
    "google compute engine": "google",
    "microsoft corporation virtual machine": "hyper-v",
    "vmware": "vmware",
    "virtualbox": "virtualbox",
    "parallels": "parallels",
    "bhyve": "bhyve",
    "xen": "xen",
    "openstack": "kvm",
    "kvm": "kvm",
    "qemu": "qemu",
    "apple virtualization": "apple",
}
#: Names of the control groups of containers, and folders of their runtimes.
_TRACES = {
    "kubernetes": re.compile(r"/kubepods|/kubelet/pods/"),
    "podman": re.compile(r"/libpod-|/overlay-containers/"),
    "docker": re.compile(r"/docker[/-][0-9a-f]{12,}|/docker/containers/"),
    "lxc": re.compile(r"/lxc/|/lxc\.payload"),
}


def container(root: Path) -> str:
    """Return `docker`, `podman`, `kubernetes`, …, or `none`."""
    if exists(root / "var/run/secrets/kubernetes.io"):
        return "kubernetes"
    traces = (text(root / "proc/self/cgroup") or "") + _mounted_files(root)
    found = next((kind for kind, trace in _TRACES.items() if trace.search(traces)), None)
    if found:
        return found
    if exists(root / "run/.containerenv"):
        return "podman"
    if exists(root / ".dockerenv"):
        return "docker"
    return text(root / "run/systemd/container") or NONE


def hypervisor(root: Path) -> str:
    """Return `kvm`, `amazon ec2`, …, `unnamed` for one without a name, `none`, or `unknown`."""
    if "microsoft" in (text(root / "proc/sys/kernel/osrelease") or "").lower():
        return "wsl"
    fields = cpu.description(root)
    if not fields:
        return cpu.UNKNOWN
    if "flags" in fields:  # x86 has a flag for it, which bare-metal clouds lack
        return (_named(root) or "unnamed") if "hypervisor" in fields["flags"].split() else NONE
    return _named(root) or NONE


def cpu_quota(root: Path) -> float | None:
    """Return the number of CPUs to which control groups limit this process, or None."""
    quotas = []
    for mount, group in _cpu_groups(root):
        while True:
            limits = (text(mount / group / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
            quotas += [_quota(text(mount / group / "cpu.max")), _quota(" ".join(map(str, limits)))]
            if group == group.parent:
                break
            group = group.parent
    return min(filter(None, quotas), default=None)


def _cpu_groups(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield where control groups with CPU quotas are mounted, and the group of this process there.

    Version 1 has a mount for each set of controllers (`cpu,cpuacct`), version 2 has one for all; a
    machine may have both. In a container the top of a mount is a group, of which paths are relative
    to the top of the machine.
    """
    ours: dict[str, str] = {}
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        ours |= dict.fromkeys(controllers.split(","), path)
    mounts = list(_group_mounts(root)) or [
        ("", "/", "sys/fs/cgroup"),
        ("cpu", "/", "sys/fs/cgroup/cpu"),
    ]
    for controller, top, mount in mounts:
        group = PurePosixPath(ours.get(controller, "/"))
        inside = group.relative_to(top).parts if group.is_relative_to(top) else ()
        yield root / mount.strip("/"), Path(*(part for part in inside if part not in ("/", "..")))


def _group_mounts(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield controller, top and place of each mount with CPU quotas: `""` for version 2."""
    for line in (text(root / "proc/self/mountinfo") or "").splitlines():
        own, _, system = line.partition(" - ")
        fields, (kind, _, options) = own.split(), (*system.split(), "", "", "")[:3]
        controllers = {"cgroup": options.split(","), "cgroup2": [""]}.get(kind, [])
        for controller in {"", "cpu"}.intersection(controllers if len(fields) > 4 else ()):
            yield controller, fields[3], fields[4].replace(r"\040", " ")


def _mounted_files(root: Path) -> str:
    """Return the sources of the files that every runtime mounts into its containers."""
    mounts = [line.split() for line in (text(root / "proc/self/mountinfo") or "").splitlines()]
    mounted = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
    return "\n".join(mount[3] for mount in mounts if len(mount) > 4 and mount[4] in mounted)


def _quota(limit: str | None) -> float | None:
    """Return the CPUs of `200000 100000`: CPU time and period in microseconds."""
    with suppress(ValueError, ZeroDivisionError, OverflowError):
        quota_us, period_us = map(int, (limit or "").split())
        return quota_us / period_us if quota_us > 0 else None
    return None


def _named(root: Path) -> str | None:
    firmware = root / "sys/class/dmi/id"
    names = [text(firmware / name) or "" for name in ("sys_vendor", "product_name")]
    vendor = " ".join(names).lower()
    if vendor.endswith(".metal"):  # an Arm server of a cloud, named after the cloud
        return None
    named = next((kind for words, kind in _VENDORS.items() if words in vendor), None)
    tree = text(root / "proc/device-tree/hypervisor/compatible") or ""
    return named or text(root / "sys/hypervisor/type") or ("kvm" if "kvm" in tree else None)
