"""What the doctor says, as plain lines: for a terminal, a pipe, a bug report."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from pytest_greenops.model.diagnosis import Diagnosis, Observation

WIDTH = 80
_NAME_AT, _WHAT_AT = 8, 25
#: A remedy that begins with one of these is a command, and must survive being copied.
_PROGRAMS = ("sudo", "echo", "pip", "docker", "podman", "ps")
_SHELL_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_JOINTS = ("&&", "|", "||", ";")


def doctor_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """A table of the findings with their remedies, then what a measurement is worth.

    No line is longer than 80 characters; a command that is longer goes on over several lines, which
    a shell reads as one.
    """
    for finding in diagnosis.findings:
        yield from _finding(finding)
    yield ""
    yield from _wrapped(diagnosis.worth)


def _finding(finding: Observation) -> Iterator[str]:
    label = f"{finding.state:{_NAME_AT}}{finding.name:{_WHAT_AT - _NAME_AT}}"
    yield from _wrapped(finding.what, label, " " * _WHAT_AT)
    if finding.remedy is None:
        return
    if finding.remedy.startswith(tuple(f"{program} " for program in _PROGRAMS)):
        yield f"{' ' * _NAME_AT}Fix:"
        yield from (f"{' ' * (_NAME_AT + 2)}{line}" for line in _command(finding.remedy))
    else:
        first, rest = " " * _NAME_AT, " " * (_NAME_AT + 2)
        yield from _wrapped(f"Fix: {finding.remedy}", first, rest)


def _wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _command(command: str) -> Iterator[str]:
    """Break a long command where a shell allows it: after an operator, or at a backslash."""
    room = WIDTH - _NAME_AT - 2 - len(" \\")
    if len(command) <= room:
        yield command
        return
    line = ""
    for word in _words(command, room):
        if line and (len(line) + 1 + len(word) > room or line.endswith("&&")):
            yield line if line.endswith(_JOINTS) else f"{line} \\"
            line = word
        else:
            line = f"{line} {word}".lstrip()
    yield line


def _words(command: str, room: int) -> Iterator[str]:
    """The words of a command. What `echo` is given in quotes is split, as it joins it again."""
    echoed = False
    for word in _SHELL_WORD.findall(command):
        if echoed and len(word) > room and word[0] == word[-1] == "'":
            yield from (f"'{part}'" for part in textwrap.wrap(word[1:-1], room - 2))
        else:
            yield word
        echoed = word == "echo"
