"""The output that pytest does not capture (`-s`), held back while work is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pytest_greenops.hooks.channels import Channel, OutputFile, flush, is_anonymous
from pytest_greenops.system import SYSTEM


class LiveOutput:
    """Holds back what repetitions write to a terminal that pytest does not capture (`-s`).

    It goes to a file, as what pytest captures does, so that it costs the same.
    """

    def __init__(self, captures: str) -> None:
        """Prepare for what pytest captures: `fd`, or less."""
        self._files = {} if captures == "fd" else {fd: SYSTEM.nameless_file() for fd in (1, 2)}
        self._saved: dict[int, int] = {}

    def hold(self) -> Iterator[Channel]:
        """Hold back the output of descriptors that are not captured; yield where it goes."""
        flush()
        for fd, file in self._files.items():
            with suppress(OSError):
                if not is_anonymous(fd):
                    self._saved[fd] = SYSTEM.dup(fd)
                    SYSTEM.dup2(file, fd)
                    channel = OutputFile(file, live=True)
                    channel.remove(0, channel.size())
                    yield channel

    @property
    def holds(self) -> bool:
        """Whether output is held back now."""
        return bool(self._saved)

    def release(self, shown: bool = False) -> None:
        """Let output through again; show what was held back if it is that of a failure."""
        if self._saved:
            flush()
        for fd, saved in self._saved.items():
            SYSTEM.dup2(saved, fd)
            SYSTEM.close(saved)
            if shown:
                OutputFile(fd).write(OutputFile(self._files[fd]).read(0))
        self._saved.clear()

    @contextmanager
    def through(self) -> Iterator[None]:
        """Let the output of this block through."""
        if not self._saved:
            yield
            return
        flush()
        for fd, saved in self._saved.items():
            SYSTEM.dup2(saved, fd)
        try:
            yield
        finally:
            flush()
            for fd in self._saved:
                SYSTEM.dup2(self._files[fd], fd)

    def close(self) -> None:
        """Close the files."""
        self.release()
        for file in self._files.values():
            SYSTEM.close(file)
        self._files.clear()
