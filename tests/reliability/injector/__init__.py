"""Make one system call below a folder fail, or end the process there: `injector.c` says how."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import NamedTuple

from tests.simulated_host import native

SOURCES = Path(__file__).parent
LIBRARY = "injector.so"


class Call(NamedTuple):
    """A system call below the folder.

    kind  r(ead), w(rite), d(elete) or c(lose)
    name  of its function, without the size of its numbers
    path  of its file
    """

    kind: str
    name: str
    path: str


def build(folder: Path) -> Path:
    """Compile the library into a folder; return its path."""
    return native.compile_library(SOURCES, folder / LIBRARY)


class Injector:
    """The environment of processes whose calls below a folder are counted and may fail."""

    def __init__(self, library: Path, folder: Path, log: Path) -> None:
        """Count the calls below `folder`, and note them in the file `log`."""
        self.library = library
        self.folder = folder
        self._log = log

    def counting(self) -> dict[str, str]:
        """Return the environment in which all calls are noted and none fails."""
        self._log.unlink(missing_ok=True)
        return {
            "LD_PRELOAD": str(self.library),
            "FAULT_FOLDER": str(self.folder),
            "FAULT_LOG": str(self._log),
        }

    def killing(self, at: int, signal: int) -> dict[str, str]:
        """Return the environment in which the process gets a signal before a call, from 1."""
        return {**self.counting(), "FAULT_AT": str(at), "FAULT_KILL": str(signal)}

    def failing(self, at: int, error: int, kinds: str, stays: bool = False) -> dict[str, str]:
        """Return the environment in which a call, or each from there on, fails with an errno."""
        more = {"FAULT_STAYS": "1"} if stays else {}
        faults = {"FAULT_AT": str(at), "FAULT_ERRNO": str(error), "FAULT_KINDS": kinds}
        return {**self.counting(), **faults, **more}

    def calls(self) -> list[Call]:
        """Return the calls of the last process, in order, without those of its children."""
        lines = self._log.read_text("utf-8", "surrogateescape").splitlines()
        calls = [line.split(" ", 3) for line in lines]
        return [Call(*call[1:]) for call in calls if call[0] == calls[0][0]]


def set_clock(library: str, clock: int, *, frozen: bool = False, step_s: float = 0.0) -> None:
    """Let a clock of this process, which has the library loaded, stand still or step."""
    act = ctypes.CDLL(library).set_clock
    act.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_double]
    act(clock, frozen, step_s)
