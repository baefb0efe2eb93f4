"""Files of the kernel with any content, below a folder, and what reads them."""

from __future__ import annotations

import json
import math
import re
import shutil
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import psutil

from pytest_greenops.machine import cpu, load, virtual
from pytest_greenops.machine.load import CpuTime, LoadProbe
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.cpu_estimate import estimate
from pytest_greenops.sensors.cpu_estimate.core_watts import core_power
from pytest_greenops.sensors.rapl import powercap
from tests.properties.stored_files import folder, written
from tests.unit.builders import FakeClock

#: What a tree may have as a path: below its folder, of names that a kernel has.
_PATH = re.compile(r"[\w@.:-]+(/[\w@.:-]+){0,9}", re.ASCII)
_MOST_FILES = 64


def encoded(files: dict[str, str]) -> bytes:
    """Return a tree as the readers below take it: a JSON object of contents by path."""
    return json.dumps(files).encode()


class _Tree:
    """A tree below a folder, of which only what differs from the one before is written."""

    def __init__(self, name: str) -> None:
        self.root = folder() / name
        self._files: dict[str, str] = {}

    def write(self, data: bytes) -> Path:
        """Write the tree that some bytes describe, and return its folder; empty if none."""
        files = _described(data)
        if files.keys() != self._files.keys():
            shutil.rmtree(self.root, ignore_errors=True)
            self._files = {}
        for path, content in files.items():
            if self._files.get(path) != content:
                file = self.root / path
                try:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.encode("latin-1", "replace"))
                except OSError:  # it is a folder, or a part of its path is a file
                    continue
        self._files = files
        return self.root


def _described(data: bytes) -> dict[str, str]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    pairs = ((path, content) for path, content in found.items() if isinstance(content, str))
    kept = [(p, c) for p, c in pairs if _PATH.fullmatch(p) and ".." not in p.split("/")]
    return dict(kept[:_MOST_FILES])


@lru_cache
def _tree(name: str) -> _Tree:
    return _Tree(name)


def powercap_tree(data: bytes) -> None:
    """Open the counters of a powercap tree, and read them once."""
    root = _tree("powercap").write(data) / "class/powercap"
    with closing(powercap.open_sensor(root, FakeClock())) as sensor:
        names = [domain.name for domain in sensor.domains]
        assert len(set(names)) == len(names)
        for domain in sensor.domains:
            assert domain.range_uj is None or domain.range_uj > 0
            assert 0 < domain.max_power_w < math.inf
        assert all(count is None or count >= 0 for count in sensor.read().energy_uj)
        sensor.states()


def machine_tree(data: bytes) -> None:
    """Read all facts of a machine."""
    root = _tree("machine").write(data)
    facts = [
        *(cpu.model(root), cpu.stepping(root), cpu.sockets(root), cpu.cores(root)),
        *(cpu.affinity(root), cpu.smt(root), cpu.turbo(root), cpu.governor(root)),
        *(cpu.clock(root), virtual.container(root), virtual.hypervisor(root)),
    ]
    json.dumps(facts, ensure_ascii=False).encode()
    temperature_c, quota = cpu.temperature_c(root), virtual.cpu_quota(root)
    assert temperature_c is None or -math.inf < temperature_c < math.inf
    assert quota is None or 0 < quota < math.inf
    assert 0 < core_power(cpu.description(root)).watts < math.inf


def cpu_times(data: bytes) -> None:
    """Read the CPU time of the machine at both ends of a window: from nothing to these counts."""
    machine = load._MachineTime(str(written(data)))
    times = iter([CpuTime(0.0, 0.0, 0.0, 0.0), None])

    def read() -> CpuTime:
        if (begun := next(times)) is not None:
            return begun
        found_s = machine.read()
        busy_s = sum(found_s.get(kind, 0.0) for kind in load._BUSY)
        return CpuTime(1.0, busy_s, found_s.get("steal", 0.0), 0.5)

    probe = LoadProbe(read, cpus=2)
    probe.start()
    assert all(0 <= share <= 1 for share in probe.stop())
    assert machine._file is not None
    machine._file.close()


def _system(data: bytes) -> Any:
    """Return a system on which each file of a process has this content."""
    return Mock(
        read_file=lambda _: data,
        clock_gettime_ns=lambda _: 1_000,
        listdir=lambda _: ["7"],
        clock_ticks=100,
    )


def process_time(data: bytes) -> None:
    """Read the CPU time of another process from its file `stat`."""
    with patch.object(estimate, "SYSTEM", _system(data)):
        assert estimate.process_ns(7) >= 0


def child_list(data: bytes) -> None:
    """Read the children of a process from the lists of its threads."""
    with patch.object(process_tree, "SYSTEM", _system(data)):
        assert all(pid >= 0 for pid in process_tree.children(7))


def memory(data: bytes) -> None:
    """Read the installed memory as psutil finds it in `meminfo`."""
    file = written(data)
    file.with_name("meminfo").write_bytes(data)
    with patch.object(psutil, "PROCFS_PATH", str(file.parent)):
        assert 0 <= estimate._memory_watts() < math.inf
