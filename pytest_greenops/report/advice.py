"""Advice: a sentence, and the command or text that follows from it."""

from __future__ import annotations

from typing import NamedTuple

from pytest_greenops.model.advised import PLAIN, Caller, Command
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted
from pytest_greenops.report.drawing import SENTENCE, elide


class Advice(NamedTuple):
    """A sentence, and what to run or write next: a command of pytest, or a text as it is."""

    text: str
    command: Command | str | None = None

    def __str__(self) -> str:
        return self.line(PLAIN)

    def line(self, caller: Caller) -> str:
        """Return the sentence, cut if a name in it is very long, and the command in one line."""
        command, text = caller.offer(self.command), elide(self.text, SENTENCE)
        return f"{text}: {command}" if command else text


def save(result: Result) -> Command:
    """Return the command that saves the current energy as the baseline."""
    return Command("save", result.test.node_id)


def again(result: Result, *options: str) -> Command:
    """Return the command that measures this test again, with these options."""
    return Command("measure", result.test.node_id, options)


def sessions(count: int, which: str = "") -> str:
    """Return `'1 baseline session'` or `'3 more baseline sessions'`."""
    return counted(count, f"{which}baseline session")
