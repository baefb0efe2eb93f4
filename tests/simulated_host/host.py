"""A whole machine: sockets with live RAPL counters and cards, in a `/sys` of its own.

Its files are at the real paths, so that tools which know no other path run unmodified.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulated_host import child, live_counters, native, nvml
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card
from tests.simulated_host.powercap_tree import PowercapTree, build_cpus

CPUS_EACH = 2


@dataclass(frozen=True)
class Socket:
    """A CPU package, and the zones inside its zone: it includes `core`, but not `dram`."""

    package: LiveZone
    dram: LiveZone | None = None
    core: LiveZone | None = None


@dataclass(frozen=True)
class Host:
    """A machine whose true energy in any window is known; `start_s` is when its time is zero.

    Times are seconds since then; a time of the monotonic clock is turned into one by `seconds`.
    """

    sockets: tuple[Socket, ...] = ()
    psys: LiveZone | None = None
    cards: tuple[Card, ...] = ()
    start_s: float = field(default_factory=time.monotonic)

    def seconds(self, monotonic_s: float) -> float:
        """Return a time of the monotonic clock as a time of the scripts."""
        return monotonic_s - self.start_s

    def joules(self, from_s: float, to_s: float) -> dict[str, float]:
        """Return what each device draws between two times: `cpu:0`, `dram:0`, `gpu:0`, `psys`."""
        return {name: device.joules(from_s, to_s) for name, device in self._devices()}

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        folder: Path,
        python: str = sys.executable,
        environ: Mapping[str, str] | None = None,
    ) -> Any:
        """Call a module's function on this machine, in a fresh interpreter; see `child.run`.

        Args:
            function: what to call.
            args: its arguments.
            folder: an empty folder, for what is built.
            python: the interpreter, which may have other packages than this one.
            environ: additions to the environment.
        """
        (folder / "host").write_bytes(pickle.dumps(self))
        nvml.build(folder)
        live_counters.build(folder)
        called = (child.importable(function.__module__), function.__qualname__, args)
        more = dict(environ or {})
        return child.run(_on_host, str(folder), python, more, *called, private_sys=True)

    def build(self, base: Path, folder: Path) -> Mapping[str, str]:
        """Make the tree below `base`; return the environment of a process on the machine."""
        packages = range(max(1, len(self.sockets)))
        build_cpus(base, packages, each=CPUS_EACH, throttle=bool(self.sockets))
        tree = PowercapTree(base)
        zones: dict[Path, LiveZone] = {}

        def add(parent: Path, name: str, zone: LiveZone | None) -> Path:
            if zone is None:
                return parent
            counter = tree.add(parent, name, range_uj=zone.range_uj)
            counter.set(zone.start_uj)
            zones[counter.file] = zone
            return counter.zone

        if self.sockets:
            rapl = tree.control("intel-rapl")
            for number, socket in enumerate(self.sockets):
                package = add(rapl, f"package-{number}", socket.package)
                add(package, "core", socket.core)
                add(package, "dram", socket.dram)
            add(rapl, "psys", self.psys)
        live = live_counters.environment(
            folder / "live_counters.so", folder / "zones", zones, self.start_s
        )
        error = 0 if self.cards else nvml.DRIVER_NOT_LOADED
        driver = nvml.environment(folder, folder / "cards", self.cards, self.start_s, error)
        path = f"{_tools(folder, self.cards)}{os.pathsep}{driver.get('PATH', os.defpath)}"
        return {**driver, **live, "PATH": path}

    def _devices(self) -> Iterator[tuple[str, LiveZone | Card]]:
        for number, socket in enumerate(self.sockets):
            yield f"cpu:{number}", socket.package
            if socket.dram:
                yield f"dram:{number}", socket.dram
        if self.psys:
            yield "psys", self.psys
        for number, card in enumerate(self.cards):
            yield f"gpu:{number}", card


def why_impossible() -> str | None:
    """Return why no such machine can be made here; None if it can."""
    return child.why_no_private_sys() if native.POSSIBLE else native.WHY_NOT


def _tools(folder: Path, cards: Sequence[Card]) -> Path:
    """Make the programs of a driver: codecarbon looks for cards only if `nvidia-smi` starts."""
    tools = folder / "bin"
    tools.mkdir()
    if cards:
        (tools / "nvidia-smi").write_text("#!/bin/sh\n")
        (tools / "nvidia-smi").chmod(0o755)
    return tools


def _on_host(
    folder: str, python: str, environ: dict[str, str], module: str, function: str, args: list[Any]
) -> Any:
    """In a child with an empty `/sys`: make the machine there, and call the function on it."""
    # Only what this process's parent wrote is read here.
    host: Host = pickle.loads((Path(folder) / "host").read_bytes())
    seen = host.build(Path("/sys"), Path(folder))
    return child.call(module, function, args, python=python, environ={**seen, **environ})
