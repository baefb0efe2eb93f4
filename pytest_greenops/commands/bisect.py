"""`pytest-greenops bisect GOOD [BAD] -- TEST`: which commit made a test use more energy?"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pytest_greenops.ab.refs import resolve, toplevel
from pytest_greenops.bisection.ab_run import AbRuns
from pytest_greenops.bisection.git_bisect import GitBisect, Task, ancestry, commit
from pytest_greenops.bisection.interrupts import Interrupted, Interrupts
from pytest_greenops.bisection.search import NothingRegressed, Search
from pytest_greenops.commands.command import NEGATIVE, Command
from pytest_greenops.commands.console import PROGRAM, Screen, print_problems
from pytest_greenops.model.bisected import Commit, Found, Step
from pytest_greenops.model.errors import GreenopsError, OptionError
from pytest_greenops.model.units import counted
from pytest_greenops.report import bisect_lines
from pytest_greenops.report.drawing import visible

T = TypeVar("T")
_RESET = "git bisect reset ends it"


class Bisect(Command):
    """The sub-command `bisect`."""

    name = "bisect"
    help = "find the commit that made a test use more energy"
    negative = "no commit was found"
    passes_on = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the two commits; the arguments of pytest follow `--`."""
        parser.usage = "%(prog)s [-h] GOOD [BAD] -- PYTEST_ARGUMENT ..."
        parser.description = (
            "Find the commit that made a test use more energy, by git's own bisect between GOOD "
            "and BAD. Each step compares a commit with GOOD, as pytest does with --energy-ab, in a "
            "temporary git worktree. Nothing is checked out: HEAD, index and files stay as they "
            "are, and git bisect log, skip and reset work meanwhile."
        )
        text = "a branch, tag or commit where the test used less energy; an ancestor of BAD"
        parser.add_argument("good", metavar="GOOD", help=text)
        text = "where it uses more (default: HEAD)"
        parser.add_argument("bad", metavar="BAD", nargs="?", default="HEAD", help=text)
        parser.epilog = (
            "After -- follow the tests and further options of pytest: -k, --energy-ab-tests=here, "
            "--energy-max-increase=10%. Of several tests, the first one that uses more energy in "
            "BAD is followed. The exit status is 0 if the commit was found, and 1 if it was not. "
            "After Ctrl-C the same command continues."
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Print each step and the commit; return 1 if none was found."""
        args = list(arguments.rest)
        if not args:
            raise GreenopsError(
                f"no test to measure: {PROGRAM} bisect GOOD [BAD] -- tests/test_x.py::test_y"
            )
        here = Path.cwd().resolve()
        top = _plainly(lambda: toplevel(here)).resolve()
        good, bad = (_commit(top, written) for written in (arguments.good, arguments.bad))
        if why := ancestry(top, good, bad, (arguments.good, arguments.bad)):
            raise GreenopsError(why)
        asked = _Asked(good, bad, str(here.relative_to(top)), args)
        bisect, lines = GitBisect(top), _Lines(Screen.of_stdout())
        with Interrupts() as interrupts:
            runs = AbRuns(top, asked.folder, args, interrupts)
            try:
                return _search(Search(bisect, runs, lines), bisect, asked, lines)
            except NothingRegressed as answer:
                lines.line(f"{answer}{_uncommitted(bisect, arguments.bad)}")
                return NEGATIVE
            except Interrupted as interrupted:
                more = f": the same command continues the bisect, {_RESET}"
                lines.close()
                print_problems([f"interrupted{more if bisect.in_progress else ''}"])
                return interrupted.status
            finally:
                lines.close()


class _Asked(NamedTuple):
    """What the user asks for."""

    good: Commit
    bad: Commit
    folder: str
    args: list[str]


def _commit(top: Path, written: str) -> Commit:
    """Return the commit that a branch, tag or hash names, as `--energy-ab` understands them."""
    return commit(top, _plainly(lambda: resolve(written, top)).commit)


def _plainly(ask: Callable[[], T]) -> T:
    """Return an answer; an error says nothing about `--energy-ab`, which the user did not write."""
    try:
        return ask()
    except OptionError as error:
        raise GreenopsError(re.sub("^--energy-ab(=|: )", "", str(error))) from None


def _search(search: Search, bisect: GitBisect, asked: _Asked, lines: _Lines) -> int:
    if bisect.in_progress:
        _check_same(bisect.task, asked)
        lines.line("a bisect is in progress from the same GOOD and BAD: continues")
        bisect.resume()
    else:
        search.start(*asked)
    ended = search.finish()
    steps = list(bisect.steps())
    lines.close()
    bisect.reset()
    lines.print(bisect_lines.closing(ended, steps, asked.good, lines.width))
    lines.line(f"energy: {counted(search.runs, 'A/B run')}")
    return 0 if isinstance(ended, Found) else NEGATIVE


def _check_same(task: Task | None, asked: _Asked) -> None:
    """Raise `GreenopsError` unless the bisect in progress is the one that the user asks for."""
    if task is None:
        raise GreenopsError("a bisect of yours is in progress here: end it with git bisect reset")
    if (task.good, task.bad, task.folder, task.args) != (
        asked.good.sha,
        asked.bad.sha,
        asked.folder,
        asked.args,
    ):
        own = [PROGRAM, "bisect", task.good[:10], task.bad[:10], "--", *task.args]
        where = "" if task.folder == asked.folder else f" in {task.folder}"
        raise GreenopsError(
            f"another bisect is in progress here: {shlex.join(own)}{where} continues it, {_RESET}"
        )


def _uncommitted(bisect: GitBisect, bad: str) -> str:
    """Return a note if there are changes that HEAD does not have."""
    changed = bad == "HEAD" and bisect.git("status", "--porcelain", "--untracked-files=no")
    return "; your uncommitted changes are not part of HEAD" if changed else ""


class _Lines:
    """The lines of a search on stdout: the current one is replaced where stdout is a terminal."""

    def __init__(self, screen: Screen) -> None:
        self.width = screen.width
        self._screen = screen
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._open = False

    def measuring(self, label: str, commit: Commit) -> None:
        """Show the commit that is being measured, until its step replaces it."""
        if self._live:
            text = bisect_lines.measuring_line(label, commit, self.width - 1)
            print(visible(text), end="", flush=True)
            self._open = True

    def step(self, label: str, step: Step) -> None:
        """Show a step."""
        self.print(bisect_lines.step_lines(label, step, self.width))

    def line(self, text: str) -> None:
        """Show a text."""
        self.print(bisect_lines.text_lines(text, self.width))

    def print(self, lines: Iterable[str]) -> None:
        """Print lines, in place of the current one; a subject cannot move the cursor."""
        self.close()
        self._screen.print(map(visible, lines))

    def close(self) -> None:
        """Erase the current line."""
        if self._open:
            print("\r\x1b[K", end="", flush=True)
            self._open = False
