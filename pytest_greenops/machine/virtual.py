"""Layers between this process and the hardware: a container, a virtual machine, a quota."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from pytest_greenops.machine import cpu
from pytest_greenops.machine.tree import text

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
    if (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    traces = (text(root / "proc/self/cgroup") or "") + _mounted_files(root)
    found = next((kind for kind, trace in _TRACES.items() if trace.search(traces)), None)
    if found:
        return found
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
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
    path = re.search(r"^0::(/.*)$", text(root / "proc/self/cgroup") or "", re.MULTILINE)
    group = root / "sys/fs/cgroup" / (path[1].strip("/") if path else "")
    limits = [text(folder / "cpu.max") for folder in (group, *group.parents)]
    version_1 = root / "sys/fs/cgroup/cpu"
    quota_us, period_us = (text(version_1 / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
    limits.append(f"{quota_us} {period_us}")
    return min((quota for limit in limits if (quota := _quota(limit))), default=None)


def _mounted_files(root: Path) -> str:
    """Return the sources of the files that every runtime mounts into its containers."""
    mounts = [line.split() for line in (text(root / "proc/self/mountinfo") or "").splitlines()]
    mounted = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
    return "\n".join(mount[3] for mount in mounts if len(mount) > 4 and mount[4] in mounted)


def _quota(limit: str | None) -> float | None:
    """Return the CPUs of `200000 100000`: CPU time and period in microseconds."""
    with suppress(ValueError, ZeroDivisionError):
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
