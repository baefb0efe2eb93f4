"""What pytest records of a test whose work is repeated: what a single repetition leaves.

Recorded are output, log records, warnings, properties and finalizers. Before each repetition the
records are put back to what they were before the first, so that memory stays flat; the last
repetition, or the one that fails, leaves its own. What appears only in the first (a message of a
cache, a warning that Python shows once) would be lost, so the first one's records stay if it left
more than the last.

All of this is done between windows. Within the window of a batch of calls only a function that is
known to leave records is interrupted: once before its last call, and before its records become
many.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from pytest_greenops.hooks.channels import channels, flush
from pytest_greenops.hooks.live_output import LiveOutput
from pytest_greenops.hooks.tracked_channel import TrackedChannel
from pytest_greenops.measure.calls import Repetitions
from pytest_greenops.system import Originals


class RecordedRepetitions(Repetitions):
    """The repetitions of the measurements of one test, whose records are those of one repetition.

    number  how often the work of the measurement in progress, or of the last one, has run
    hidden  the most repetitions of a measurement whose records are not shown; 0 if all are
    whole   whether the work is the whole test, which may look at its own records
    """

    def __init__(self, item: pytest.Item, live: LiveOutput) -> None:
        self.number = self.hidden = 0
        self.failed = self.whole = self._unseen = False
        self._item = item
        self._live = live
        self._tracked: list[TrackedChannel] = []
        self._first_kept = self._calling = False
        self._chunk: int | None = None
        self._part: Iterator[int] = iter(())
        self._part_size = self._since = 0
        self._failures: set[str] = set()
        self._undo: list[Callable[[], object]] = []

    @property
    def active(self) -> bool:
        """Whether a measurement is in progress."""
        return bool(self._undo)

    @contextmanager
    def repeated(self, unseen: bool = False) -> Iterator[None]:
        """Leave the records of one repetition of the work inside: the last, or one that fails.

        What is `unseen` leaves none.
        """
        if self.active:  # a measurement inside another, which the trial refuses
            yield
            return
        with Originals():
            self._unseen = unseen
            self._start()
        try:
            yield
        except BaseException:
            with Originals():
                self._end(failed=True)
            raise
        with Originals():
            self._end(failed=False)

    @property
    def together(self) -> bool:
        """Whether several calls may be made in one window."""
        if self.whole and self.number and not self._first_kept:
            with Originals():
                self._keep_first()
        return not self.whole or self._chunk is None

    def begin(self) -> None:
        """Begin a repetition, or a batch of them, outside of its window."""
        with Originals():
            self._part, self._part_size = iter(()), 0
            if self.number:
                if self.whole:
                    with warnings.catch_warnings():
                        pass  # Python forgets which warnings it has shown: the test counts its own
                if not self._first_kept:
                    self._keep_first()
                self._restore()

    def calls(self, number: int) -> Iterator[Iterable[int]]:
        """Yield the calls of one batch in parts: the first call of all is a part of its own.

        So is the last call of a batch of a function that leaves records.
        """
        left = number
        while left:
            with Originals(in_window=True):
                size = self._begin_part(left, inside=left < number)
            self._calling = True
            yield self._part
            self._calling = False
            self.number += size
            self._since += size
            left -= size

    def _begin_part(self, left: int, inside: bool) -> int:
        """Return how many of the calls that are left the next part has."""
        if inside and not self._first_kept:
            self._keep_first()
        if self.number == 0:
            size = 1
        elif self._chunk is None or left == 1:
            size = left
        else:
            size = min(left - 1, self._chunk)
        if inside and left == 1:
            if self._live.holds:
                flush()
            self._each(TrackedChannel.set_mark)
        elif inside:
            self._restore()
        self._part, self._part_size = iter(range(size)), size
        return size

    def _start(self) -> None:
        flush()
        self.number = self._since = 0
        self._first_kept = self._calling = False
        self._chunk, self._part, self._part_size = None, iter(()), 0
        self._failures.clear()
        self._tracked = []
        for channel in channels(self._item):
            with suppress(Exception):  # the test has closed it, or it is of a class of the test
                self._tracked.append(TrackedChannel.of(channel))
        counted = _failed_subtests(self._item)
        test = getattr(self._item, "id", self._item.nodeid)
        before = counted.get(test, 0)
        monitor = self._item.config.pluginmanager.add_hookcall_monitoring
        self._undo = [
            monitor(self._before_hook, lambda *_: None),
            lambda: _correct(counted, test, before, len(self._failures)),
        ]
        if self._unseen:
            hidden = self.hidden
            self._undo.append(lambda: setattr(self, "hidden", hidden))
            self._keep_first()

    def _before_hook(self, name: str, implementations: Any, arguments: Any) -> None:
        """Let the reports of one repetition's subtests through: the first's, and failures."""
        if name != "pytest_runtest_logreport":
            return
        report = arguments.get("report")
        if not hasattr(report, "context"):
            return
        if report.failed:
            self.failed = True
            described = repr(report.context)
            if described not in self._failures:
                self._failures.add(described)
                return
        elif self.number == 0 and not self._unseen:
            return
        self.hidden = max(1, self.hidden)
        implementations.clear()  # pluggy's copy for this call

    def _keep_first(self) -> None:
        self._first_kept = True
        self._each(TrackedChannel.keep_first)
        self._limit_parts()
        self._tracked += map(TrackedChannel.of, self._live.hold())
        self._undo += _quiet_live_log(self._item)

    def _each(self, act: Callable[[TrackedChannel], Any]) -> list[Any]:
        """Return what an action returns for each channel; leave out those that fail."""
        returned = []
        for each in list(self._tracked):
            try:
                returned.append(act(each))
            except Exception:
                self._tracked.remove(each)
        return returned

    def _limit_parts(self) -> None:
        parts = [each.channel.most // each.a_call for each in self._tracked if each.a_call]
        self._chunk = max(1, min(parts)) if parts else None

    def _restore(self) -> None:
        flush()
        quiet = self._chunk is None
        if any(self._each(lambda each: each.restore(self._since))):
            self.hidden = max(self.hidden, self.number)
            if quiet:
                self._limit_parts()
        self._since = 0

    def leave(self) -> None:
        """End the measurement of a whole test that measures by itself."""
        self.whole = False
        self._end(failed=False)

    def close(self) -> None:
        """End a measurement that a test has left and that still waits, if there is one."""
        if self.active:
            self._end(failed=True)

    def _end(self, failed: bool) -> None:
        if not self.active:
            return
        flush()
        for undo in self._undo:
            undo()
        self._undo.clear()
        failed = failed or self.failed
        done = max(0, self._part_size - operator.length_hint(self._part) - 1)
        if self._calling:
            self.number += done + 1
        if self._unseen:
            self._each(lambda each: each.restore(1))
        elif self._first_kept:
            size = self._part_size
            self._each(lambda each: each.settle_failure(done) if failed else each.settle(size))
            if self.hidden:
                self.hidden = max(self.hidden, self.number)
        self._live.release(shown=failed and not self._unseen)
        self._tracked.clear()


def _failed_subtests(item: pytest.Item) -> dict[Any, int]:
    """Return pytest's numbers of failed subtests by test."""
    key = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    return item.config.stash.get(key, {}) if key else {}


def _correct(counted: dict[Any, int], test: Any, before: int, failures: int) -> None:
    """Let the failed subtests of a test be those that were reported."""
    if counted.get(test, 0) != before:
        counted[test] = before + failures


def _quiet_live_log(item: pytest.Item) -> Sequence[Callable[[], object]]:
    """Show no more log records on the terminal (`log_cli`); return what undoes that."""
    plugin: Any = item.config.pluginmanager.get_plugin("logging-plugin")
    handler = getattr(plugin, "log_cli_handler", None)
    if handler is None:
        return ()
    handler.addFilter(_drop)
    return (partial(handler.removeFilter, _drop),)


def _drop(record: object) -> bool:
    return False
