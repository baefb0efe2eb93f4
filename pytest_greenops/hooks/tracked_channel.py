"""One channel of a test's records during a measurement: what of it stays, and what is undone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pytest_greenops.hooks.channels import Channel

#: What a test may consume (`capsys.readouterr()`) is put back, if it was no longer than this.
_LONGEST_PREFIX = 100_000


@dataclass
class TrackedChannel:
    """A channel during one measurement.

    start   its size before the first repetition; what was there then is the `prefix`
    mark    its size before the calls in progress
    first   what the first repetition left there, if anything
    a_call  how much a call leaves there, and how many records or lines that is
    """

    channel: Channel
    start: int
    prefix: Any = None
    mark: int = 0
    first: Any = None
    a_call: int = 0
    parts: int = 0

    @classmethod
    def of(cls, channel: Channel) -> TrackedChannel:
        """Begin with what is in a channel now."""
        start = channel.size()
        prefix = channel.read(0) if 0 < start <= _LONGEST_PREFIX else None
        return cls(channel, start, prefix, start)

    def set_mark(self) -> None:
        """Note where the calls in progress begin."""
        self.mark = self.channel.size()

    def keep_first(self) -> None:
        """Keep what the first repetition left."""
        grown = self.channel.size() - self.start
        if grown > 0:
            left = self.channel.read(self.start)
            self.a_call, self.parts = grown, len(self.channel.parts(left))
            if self.channel.keeps:
                self.first = left

    def restore(self, calls: int) -> bool:
        """Undo what a number of calls left, and return whether there was something."""
        size = self.channel.size()
        if size > self.start:
            if not self.a_call:
                left = self.channel.parts(self.channel.read(self.start))
                self.a_call = max(1, (size - self.start) // max(1, calls))
                self.parts = max(1, len(left) // max(1, calls))
            self.channel.remove(self.start, size)
        elif size < self.start and self.prefix is not None:  # the test has read it
            self.channel.remove(0, size)
            self.channel.write(self.prefix)
        self.mark = self.start
        return size > self.start

    def settle(self, calls: int) -> None:
        """Leave what the last of the calls in progress left, or the first call."""
        size, channel = self.channel.size(), self.channel
        if calls > 1 and size > self.mark and channel.keeps:  # the last call is not known
            channel.remove(self.start, size)
            size = self.mark = self.start
        if size > self.mark > self.start:
            channel.remove(self.start, self.mark)
        if self.first is not None:
            left = channel.read(self.start)
            if len(channel.parts(left)) < self.parts:
                channel.remove(self.start, channel.size())
                channel.write(self.first)

    def settle_failure(self, done: int) -> None:
        """Leave what the failing call left, the first after `done` calls in progress.

        Where it begins is known if each call leaves as many records or lines; if not, as many as
        the first call left stay.
        """
        size, channel, begin = self.channel.size(), self.channel, self.mark
        if done and size > begin:
            parts = channel.parts(channel.read(begin))
            a_call = self.parts or math.ceil(len(parts) / (done + 1))
            own = len(parts) - done * a_call
            if 0 <= own <= a_call:
                begin = size - (
                    own if channel.records else sum(map(len, parts[len(parts) - own :]))
                )
            elif self.a_call:
                begin = max(begin, size - self.a_call)
        if size >= begin > self.start:
            channel.remove(self.start, begin)
