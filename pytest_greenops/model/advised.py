"""The commands that messages advise, written for a shell as the user called pytest."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

#: What a command does: measure as this run did, save, find the layers that use the energy, find
#: the commit that made them grow, or acknowledge what crept up.
Aim = Literal["measure", "save", "explain", "bisect", "acknowledge"]
#: Options of an A/B comparison, which a command of these aims, or with these options, cannot have.
_AB = ("--energy-ab", "--energy-ab-tests", "--energy-ab-setup")
_WITHOUT_AB = {"save", "explain", "--energy-sessions"}


def shell_line(tokens: Iterable[str]) -> str:
    """Return a command that bash, zsh and ksh read as these tokens, however it is shown.

    Characters that a terminal or a log acts on are written as escapes, in `$'…'`.
    """
    return " ".join(map(_quoted, tokens))


def _quoted(token: str) -> str:
    if token.isprintable() and "##[" not in token:
        return shlex.quote(token)
    shown = token.replace("\\", r"\\").replace("'", r"\'").replace("##[", r"##\x5b")
    return f"$'{''.join(map(_escaped, shown))}'"


def _escaped(character: str) -> str:
    """Return a character as it is, or the escapes of its bytes in UTF-8."""
    if character.isprintable():
        return character
    surrogate = "surrogateescape" if "\udc80" <= character <= "\udcff" else "backslashreplace"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", surrogate))


#: Options of advised commands that a job of several ranks does not support.
_NOT_IN_RANKS = ("--energy-sessions", "--energy-ab", "--energy-explain")


class Command(NamedTuple):
    """A call of pytest to advise, or of `pytest-greenops`: `bisect`, `show --acknowledge`.

    aim      what it does
    test     the node id of one test; None for the tests of this run
    options  further options, in place of those of this run with the same names; the good ref to
             bisect from; the node ids of the tests to acknowledge
    """

    aim: Aim
    test: str | None = None
    options: tuple[str, ...] = ()


class Caller(NamedTuple):
    """How the user called pytest, so that an advised command works where this one did.

    start    the program: `('pytest',)`, or `('python', '-m', 'pytest')`
    args     its arguments, as they were
    kept     options of this run that a command for one test needs, each with its value
    run      the same for a command for all tests of this run, with what selected them
    root     the root directory, from where pytest was called
    folder   the folder of the baselines, from there; empty if `pytest-greenops show` finds it
    width    columns of the sections below a failed test
    measure  the option of this run that made it measure, or save; empty if one that is kept did
    pinned   returns the options that keep root directory and ini file for tests of one module
    implied  returns what an option needs that the ini file forbids
    several  whether it is a job of several ranks, in which some commands cannot run
    """

    start: tuple[str, ...] = ("pytest",)
    args: tuple[str, ...] = ()
    kept: tuple[tuple[str, ...], ...] = ()
    run: tuple[tuple[str, ...], ...] = ()
    root: str = "."
    folder: tuple[str, ...] = ()
    width: int = 79
    measure: str = "--energy"
    pinned: Callable[[str], tuple[str, ...]] = lambda module: ()
    implied: Callable[[str], tuple[str, ...]] = lambda option: ()
    several: bool = False

    def shell(self, command: Command | str) -> str:
        """Return the command for a shell, to run where pytest was called; a text stays as it is."""
        if isinstance(command, str):
            return command
        if command.aim == "acknowledge":
            show = ("pytest-greenops", "show", "--acknowledge")
            return shell_line((*show, *self.folder, *command.options))
        if command.aim == "bisect":
            arguments = self._arguments(command._replace(options=()))
            return shell_line(("pytest-greenops", "bisect", *command.options, "--", *arguments))
        return shell_line((*self.start, *self._arguments(command)))

    def adding(self, option: str) -> str:
        """Return the command of this run with one more option."""
        return shell_line((*self.start, option, *self.args))

    def offer(self, command: Command | str | None) -> str | None:
        """Return the command, unless it cannot run, or a run that saves has just run it in vain."""
        if command is None or not self.can_run(command):
            return None
        if isinstance(command, Command) and self._in_vain(command):
            return None
        return self.shell(command)

    def can_run(self, command: Command | str) -> bool:
        """Return whether a command can run where this one did: not all can in several ranks."""
        if not self.several or isinstance(command, str):
            return True
        options = {option.partition("=")[0] for option in command.options}
        return command.aim not in ("explain", "bisect") and options.isdisjoint(_NOT_IN_RANKS)

    def _in_vain(self, command: Command) -> bool:
        ran = (token for tokens in self.run for token in tokens)
        if self.measure in ("--energy", ""):
            return False
        return sorted(self._arguments(command)) == sorted([*ran, self.measure])

    def _arguments(self, command: Command) -> list[str]:
        names = {option.partition("=")[0] for option in command.options}
        if not _WITHOUT_AB.isdisjoint((command.aim, *names)):
            names |= set(_AB)
        elif command.aim == "bisect":  # which has the ref itself
            names.add("--energy-ab")
        if command.aim == "explain":  # which needs joules
            names.add("--energy-count-only")
        given = self.run if command.test is None else self.kept
        arguments = [
            token
            for tokens in given
            if tokens[0].partition("=")[0] not in names
            for token in tokens
        ]
        tests = []
        if command.test is not None:
            module, names_inside = command.test.partition("::")[::2]
            arguments += self.pinned(module)
            path = posixpath.normpath(posixpath.join(self.root, module))
            tests = [f"{path}::{names_inside}" if names_inside else path]
        measure: dict[str, tuple[str, ...]] = {
            "save": ("--energy-save",),
            "explain": ("--energy", "--energy-explain"),
            "bisect": (),
        }
        arguments += measure.get(command.aim, (self.measure,) if self.measure else ())
        for option in command.options:
            arguments += [option, *self.implied(option)]
        return [*arguments, *tests]


#: A caller in the root directory, without options.
PLAIN = Caller()
