"""What the processes of an A/B comparison say to each other, and the pipes that carry it."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Check
from pytest_greenops.system import SYSTEM, System

#: A message follows its length in this many bytes.
_HEAD = 4
_READABLE = 1  # POLLIN
_READ, _WRITE = os.O_RDONLY, os.O_WRONLY


class Start(msgspec.Struct, frozen=True, tag=True):
    """Run a test, and wait for orders at each of its measuring loops.

    count  only count its work, without measuring and without orders
    """

    node: str
    count: bool = False


class EndLoop(msgspec.Struct, frozen=True, tag=True):
    """Leave the measuring loop: the test goes on."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """A side has collected its tests.

    nodes     the tests that are energy tests, by path and names
    others    the tests that are not
    failures  why the tests of a file could not be collected, by its path
    not_built compiled modules that its tree lacks: their files in the user's tree
    one_start why this process can run only one test, or None if it can fork
    foreign   where the project's own packages were imported from, if that is outside of its tree
    """

    nodes: list[str]
    others: list[str]
    failures: dict[str, str]
    not_built: dict[str, str]
    one_start: str | None
    foreign: dict[str, str]


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A test has ended.

    failure  how it failed, or None
    foreign  what was imported from outside of the tree, and from where
    checks   the self-checks that its measurements failed, by name
    work     the counted work of each name, or why there is none, of a start that counts
    """

    failure: str | None
    foreign: dict[str, str]
    checks: dict[str, tuple[Check, ...]] = {}
    work: dict[str, WorkRecord | str] = {}


Command = Start | Order | EndLoop
Event = Ready | Loop | Slice | Ended


class ChannelClosed(GreenopsError):
    """The process at the other end has ended, or a test has closed the pipe."""


class NoAnswer(GreenopsError):
    """The process at the other end did not answer in time."""


class _Late(Exception):
    """A message is not complete in time."""


class Channel:
    """Two pipes to another process: messages go out by one, and come in by the other."""

    def __init__(
        self, incoming: int, outgoing: int, expected: Any, system: System = SYSTEM
    ) -> None:
        """Take two descriptors; `expected` is the union of the messages that come in."""
        self._incoming, self._outgoing = incoming, outgoing
        self._system = system
        self._identities = {end: self._identity(end) for end in (incoming, outgoing)}
        self._kept_by: int | None = None
        self._decoder = msgspec.msgpack.Decoder(expected)
        self._encoder = msgspec.msgpack.Encoder()

    @property
    def is_whole(self) -> bool:
        """Whether no test has closed the pipes."""
        try:
            for end in (self._incoming, self._outgoing):
                self._check(end)
        except OSError:
            return False
        return True

    def kept_by(self, process: int) -> None:
        """Take the pipes from another process, which has them too, if a test closes them here."""
        self._kept_by = process

    def send(self, message: Command | Event) -> None:
        """Send a message; raise `ChannelClosed` if nobody is there."""
        content = self._encoder.encode(message)
        content = len(content).to_bytes(_HEAD, "big") + content
        try:
            self._outgoing = self._usable(self._outgoing, _WRITE)
            while content:
                content = content[self._system.write(self._outgoing, content) :]
        except OSError as error:
            raise ChannelClosed(f"its process cannot be reached ({error.strerror})") from None

    def receive(self, limit_s: float | None = None) -> Any:
        """Wait for a message.

        Raises `ChannelClosed` if the other process has ended, and `NoAnswer` after `limit_s`.
        """
        try:
            self._incoming = self._usable(self._incoming, _READ)
            until_ns = None if limit_s is None else self._system.monotonic_ns() + limit_s * 1e9
            length = int.from_bytes(self._exactly(_HEAD, until_ns), "big")
            return self._decoder.decode(self._exactly(length, until_ns))
        except _Late:
            raise NoAnswer(f"its process did not answer within {limit_s:.0f} s") from None
        except (ValueError, RecursionError) as error:  # by msgspec, and for text not in UTF-8
            raise ChannelClosed(f"its process sent something else ({error})") from None
        except OSError as error:
            raise ChannelClosed(f"its process cannot be reached ({error.strerror})") from None

    def close(self) -> None:
        """Close both pipes, unless a test did and something else has their numbers."""
        for end in self._identities:
            try:
                self._check(end)
            except OSError:
                continue
            self._system.close(end)
        self._identities = {}

    def _wait(self, until_ns: float) -> None:
        left_s = max(0.0, (until_ns - self._system.monotonic_ns()) * 1e-9)
        poll = self._system.poll()
        poll.register(self._incoming, _READABLE)
        if not poll.poll(left_s * 1000):
            raise _Late

    def _exactly(self, length: int, until_ns: float | None) -> bytes:
        content = b""
        while len(content) < length:
            if until_ns is not None:
                self._wait(until_ns)
            block = self._system.read(self._incoming, length - len(content))
            if not block:
                raise ChannelClosed("its process ended")
            content += block
        return content

    def _usable(self, end: int, flags: int) -> int:
        """Return the descriptor of a pipe; open it again if a test has closed it."""
        try:
            self._check(end)
            return end
        except OSError:
            if self._kept_by is None:
                raise
        identity = self._identities.pop(end)
        again = self._system.open(f"/proc/{self._kept_by}/fd/{end}", flags)
        self._identities[again] = identity
        self._check(again)
        return again

    def _check(self, end: int) -> None:
        """Raise `OSError` if a descriptor is not that of the pipe any more."""
        if self._identities.get(end) != self._identity(end):
            raise OSError(9, "a test closed the pipe to it")

    def _identity(self, end: int) -> tuple[int, int]:
        status = self._system.fstat(end)
        return status.st_dev, status.st_ino
