"""Ctrl-C, SIGTERM and SIGHUP, which interrupt a bisect only while it waits for an A/B run.

Between two runs git marks a commit and moves on. A signal there is kept until the next run begins,
or the bisect ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal ended the wait for an A/B run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def status(self) -> int:
        """The exit status of a process that a signal ends, as shells have it."""
        return 128 + self.number


class Interrupts:
    """Handles these signals from `__enter__` to `__exit__`, except those that are ignored."""

    def __init__(self) -> None:
        self._allowed = False
        self._raised = False
        self._pending: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __enter__(self) -> Interrupts:
        numbers = (getattr(signal, name) for name in _NAMES if hasattr(signal, name))
        for number in numbers:
            before = signal.getsignal(number)
            # Ignored by nohup or a shell in the background; None is a handler that is not Python's.
            if before is not signal.SIG_IGN and before is not None:
                self._before[number] = before
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._pending is not None and error is None and not self._raised:
            signal.raise_signal(self._pending)  # it came after the last run

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal raise `Interrupted` in here, also one that was kept."""
        self._allowed = True
        try:
            if self._pending is not None:
                self._raised = True
                raise Interrupted(self._pending)
            yield
        finally:
            self._allowed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._pending = number
        if self._allowed:
            self._allowed, self._raised = False, True
            raise Interrupted(number)
