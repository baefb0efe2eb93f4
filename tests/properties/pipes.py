"""What comes from other processes of this package: messages in a pipe, answers in a file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from pytest_greenops.ab.messages import Channel, ChannelClosed, NoAnswer
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.run import fresh_process
from pytest_greenops.system import SYSTEM
from tests.properties import stored_files

_HEAD = 4


class _Pipe:
    """A system on which one descriptor holds some bytes, and then ends."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def fstat(self, handle: int) -> Any:
        """Return the status of a descriptor that nobody replaces."""
        return SimpleNamespace(st_dev=0, st_ino=handle)

    def read(self, handle: int, most: int) -> bytes:
        """Return the next bytes."""
        block, self._content = self._content[:most], self._content[most:]
        return block


def framed(message: msgspec.Struct) -> bytes:
    """Return a message as it is in a pipe."""
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(_HEAD, "big") + content


def received(expected: Any, sent: bytes) -> Any:
    """Receive one message from a pipe; the process at its other end has ended then."""
    return Channel(0, 1, expected, _Pipe(sent)).receive()


def message_of(expected: Any, data: bytes) -> None:
    """Receive a message: bytes as they are, and the same with a right length before them."""
    content = data[_HEAD:]
    refused: GreenopsError | None = None
    for sent in (data, len(content).to_bytes(_HEAD, "big") + content):
        try:
            received(expected, sent)
        except (ChannelClosed, NoAnswer) as error:
            refused = error
    if refused:
        raise refused


def answer_of(data: bytes) -> object:
    """Read what a fresh process left, which ended well."""
    path = stored_files.written(data)
    path.with_name("output").touch()
    return fresh_process._read(str(path), 0, str(path.with_name("output")), SYSTEM)
