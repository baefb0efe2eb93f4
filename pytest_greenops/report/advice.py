"""Advice: a sentence, and the command or text that follows from it."""

from __future__ import annotations

from typing import NamedTuple

from pytest_greenops.model.advised import PLAIN, Caller, Command
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted


class Advice(NamedTuple):
    """A sentence, and what to run or write next: a command of pytest, or a text as it is."""

    text: str
    command: Command | str | None = None

    def __str__(self) -> str:
        return self.line(PLAIN)

    def line(self, caller: Caller) -> str:
        """Return the sentence and the command in one line."""
        command = caller.offer(self.command)
        return f"{self.text}: {command}" if command else self.text


def save(result: Result) -> Command:
    """Return the command that saves the current energy as the baseline."""
    return Command("save", result.test.node_id)


def again(result: Result, *options: str) -> Command:
    """Return the command that measures this test again, with these options."""
    return Command("measure", result.test.node_id, options)


def sessions(count: int, which: str = "") -> str:
    """Return `'1 baseline session'` or `'3 more baseline sessions'`."""
    return counted(count, f"{which}baseline session")
