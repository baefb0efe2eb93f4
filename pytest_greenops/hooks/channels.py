"""Where pytest keeps what a test leaves while it runs: lists, memory, files, finalizers."""

from __future__ import annotations

import io
import os
import stat
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import pytest

from pytest_greenops.system import SYSTEM

#: A batch of calls is interrupted before it leaves more than this many records, bytes of output,
#: or finalizers.
_MOST_RECORDS, _MOST_BYTES, _MOST_FINALIZERS = 10_000, 4_000_000, 1000
_STANDARD = ("stdout", "stderr", "__stdout__", "__stderr__")


class Channel(Protocol):
    """Something that grows while the work runs.

    most     how much of it one batch of calls may leave
    keeps    whether what the first repetition left may stay instead of what the last one left
    records  whether its size is a number of records, and not of characters or bytes
    """

    most: int
    keeps: bool
    records: bool

    def size(self) -> int:
        """Return how much there is."""

    def read(self, begin: int) -> Any:
        """Return what there is from a position to the end."""

    def remove(self, begin: int, end: int) -> None:
        """Remove what is between two positions."""

    def write(self, content: Any) -> None:
        """Add what `read` returned."""

    def parts(self, content: Any) -> Sequence[Any]:
        """Return the records, or the lines, in what `read` returned."""


class _Records:
    """A list, or a deque, of records; the test may replace it by another."""

    most, keeps, records = _MOST_RECORDS, True, True

    def __init__(self, records: Callable[[], MutableSequence[Any]]) -> None:
        self._records = records

    def size(self) -> int:
        return len(self._records())

    def read(self, begin: int) -> list[Any]:
        return list(self._records())[begin:]

    def remove(self, begin: int, end: int) -> None:
        records = self._records()
        kept = list(records)[end:] if end < len(records) else []
        while len(records) > begin:
            records.pop()
        records.extend(kept)

    def write(self, content: list[Any]) -> None:
        self._records().extend(content)

    def parts(self, content: list[Any]) -> list[Any]:
        return content


class _Memory:
    """Text or bytes in memory (`StringIO`, `BytesIO`); `caplog.clear()` replaces its stream."""

    most, keeps, records = _MOST_BYTES, True, False

    def __init__(self, stream: Callable[[], Any]) -> None:
        self._stream = stream

    def size(self) -> int:
        return int(self._stream().seek(0, io.SEEK_END))

    def read(self, begin: int) -> Any:
        stream = self._stream()
        stream.seek(begin)
        return stream.read()

    def remove(self, begin: int, end: int) -> None:
        stream = self._stream()
        kept = self.read(end) if end < self.size() else None
        stream.seek(begin)
        stream.truncate()
        if kept:
            stream.write(kept)

    def write(self, content: Any) -> None:
        self._stream().write(content)

    def parts(self, content: Any) -> list[Any]:
        lines: list[Any] = content.splitlines(keepends=True)
        return lines


class OutputFile:
    """A file behind a descriptor.

    live  whether it takes what would else reach the terminal: the first repetition was shown there
    path  of a file whose descriptor cannot be read
    """

    most, records = _MOST_BYTES, False

    def __init__(self, descriptor: int, live: bool = False, path: str | None = None) -> None:
        self.descriptor = descriptor
        self.keeps = not live
        self._path = path

    def size(self) -> int:
        """Return the bytes in the file; see `Channel` for this and the others."""
        return SYSTEM.fstat(self.descriptor).st_size

    def read(self, begin: int) -> bytes:
        """Return what there is from a position to the end."""
        reader = self.descriptor if self._path is None else SYSTEM.open(self._path, os.O_RDONLY)
        try:
            content: bytes = SYSTEM.pread(reader, self.size() - begin, begin)
        finally:
            if reader != self.descriptor:
                SYSTEM.close(reader)
        return content

    def remove(self, begin: int, end: int) -> None:
        """Remove what is between two positions."""
        kept = self.read(end) if end < self.size() else b""
        SYSTEM.ftruncate(self.descriptor, begin)
        SYSTEM.lseek(self.descriptor, begin, io.SEEK_SET)
        self.write(kept)

    def write(self, content: bytes) -> None:
        """Add bytes at the end."""
        while content:
            content = content[SYSTEM.write(self.descriptor, content) :]

    def parts(self, content: bytes) -> list[bytes]:
        """Return the lines in what `read` returned."""
        return content.splitlines(keepends=True)


class _Finalizers:
    """What a test's body added to run at its end: it runs at the end of each repetition.

    So a body that opens something closes it as often. The last repetition's run at the end of the
    test, where the first failure of the others is raised. Fixtures that the body requested stay.
    """

    most, keeps, records = _MOST_FINALIZERS, False, True

    def __init__(
        self,
        added: list[Any],
        run: Callable[[Any], object],
        entry: Callable[[Callable[[], object]], Any],
    ) -> None:
        self._added = added
        self._run = run
        self._entry = entry
        self._before = list(added)
        self._failed = False

    def size(self) -> int:
        return len(self._own())

    def read(self, begin: int) -> list[Any]:
        return self._own()[begin:]

    def remove(self, begin: int, end: int) -> None:
        gone = self._own()[begin:end]
        self._added[:] = [each for each in self._added if not _among(each, gone)]
        for each in reversed(gone):
            try:
                self._run(each)
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
                if not self._failed:
                    self._before.append(self._entry(partial(_raise, error)))
                    self._added.append(self._before[-1])
                self._failed = True

    def write(self, content: list[Any]) -> None:
        """Add nothing: what was removed has run."""

    def parts(self, content: list[Any]) -> list[Any]:
        return content

    def _own(self) -> list[Any]:
        before = self._before
        return [e for e in self._added if not (_finishes_fixture(e) or _among(e, before))]


def _among(value: object, others: Iterable[object]) -> bool:
    return any(value is other for other in others)


def _raise(error: BaseException) -> None:
    raise error


def _finishes_fixture(finalizer: Any) -> bool:
    return isinstance(
        getattr(getattr(finalizer, "func", None), "__self__", None), pytest.FixtureDef
    )


def flush() -> None:
    """Write out what the standard streams still hold."""
    for name in _STANDARD:
        with suppress(Exception):
            getattr(sys, name).flush()


def channels(item: pytest.Item) -> Iterator[Channel]:
    """Yield what pytest, and the test's own redirections, record of a test in progress."""
    yield from _output_channels()
    for records in _record_lists(item):
        yield _Records(partial(_same, records))
    plugin: Any = item.config.pluginmanager.get_plugin("logging-plugin")
    for handler in (plugin.caplog_handler, plugin.report_handler) if plugin else ():
        yield _Records(partial(getattr, handler, "records"))
        yield _Memory(partial(getattr, handler, "stream"))
    log_file = getattr(getattr(plugin, "log_file_handler", None), "stream", None)
    if log_file is not None and not hasattr(item.config, "workerinput"):
        with suppress(OSError, ValueError):
            if stat.S_ISREG(SYSTEM.fstat(log_file.fileno()).st_mode):
                yield OutputFile(log_file.fileno(), path=plugin.log_file_handler.baseFilename)
    stack: Any = getattr(getattr(item.session, "_setupstate", None), "stack", {})
    if item in stack:
        yield _Finalizers(stack[item][0], lambda finalizer: finalizer(), _same)
    cleanups = getattr(getattr(item, "instance", None), "_cleanups", None)  # unittest's
    if isinstance(cleanups, list):
        yield _Finalizers(
            cleanups, lambda each: each[0](*each[1], **each[2]), lambda function: (function, (), {})
        )


def _output_channels() -> Iterator[Channel]:
    """Yield where the output goes: into memory, or into files without a name, as of `capfd`."""
    seen: list[object] = []
    for fd, name in enumerate(_STANDARD[:2], 1):
        stream: Any = getattr(sys, name, None)
        while isinstance(stream, io.TextIOBase):  # of a `Mock`, every attribute is another one
            with suppress(Exception):
                kept = (
                    stream if isinstance(stream, io.StringIO) else getattr(stream, "buffer", None)
                )
                if isinstance(kept, (io.StringIO, io.BytesIO)) and kept not in seen:
                    seen.append(kept)
                    yield _Memory(partial(_same, kept))
            stream = getattr(stream, "_other", None)  # of pytest's tee-sys
        with suppress(OSError):
            file = SYSTEM.fstat(fd).st_ino
            if is_anonymous(fd) and file not in seen:
                seen.append(file)
                yield OutputFile(fd)


def is_anonymous(descriptor: int) -> bool:
    """Return whether a descriptor is of a temporary file, which no one else reads."""
    state = SYSTEM.fstat(descriptor)
    return stat.S_ISREG(state.st_mode) and state.st_nlink == 0


def _same(value: Any) -> Any:
    return value


def _record_lists(item: pytest.Item) -> Iterator[MutableSequence[Any]]:
    """Yield the lists to which warnings, properties, marks and sections of a test are added."""
    recorded = getattr(getattr(warnings, "_showwarnmsg_impl", None), "__self__", None)
    if recorded is None and hasattr(warnings, "_get_context"):  # free-threaded Python 3.14
        recorded = getattr(warnings._get_context(), "log", None)
    if isinstance(recorded, list):
        yield recorded
    yield item.user_properties
    yield item.own_markers
    yield item._report_sections
    for module, name in (
        ("_pytest.unraisableexception", "unraisable_exceptions"),
        ("_pytest.threadexception", "thread_exceptions"),
    ):
        key = getattr(sys.modules.get(module), name, None)
        found = item.config.stash.get(key, None) if key else None
        if found is not None:
            yield found
    key = getattr(sys.modules.get("_pytest.junitxml"), "xml_key", None)
    xml: Any = item.config.stash.get(key, None) if key else None
    if isinstance(getattr(xml, "global_properties", None), list):
        yield xml.global_properties
