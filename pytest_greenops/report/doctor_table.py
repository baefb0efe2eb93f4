"""The diagnosis of the doctor as plain lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from pytest_greenops.model.diagnosis import Diagnosis, Observation
from pytest_greenops.report.drawing import hanging, wrapped

#: Longer lines are hard to read; narrower ones hold no sentence.
_WIDEST, _NARROWEST = 80, 50
_NAME_AT, _WHAT_AT = 8, 25
#: A fix that starts with one of these is a command, which users copy.
_PROGRAMS = ("sudo", "echo", "pip", "docker", "podman", "ps")
_SHELL_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_JOINTS = ("&&", "|", "||", ";")


def doctor_lines(diagnosis: Diagnosis, width: int = _WIDEST) -> Iterator[str]:
    """Yield a table of the findings with their fixes, then what a measurement is worth.

    No line is longer than `width`, from 50 to 80. A longer command is split where a shell allows
    it.
    """
    width = min(max(width, _NARROWEST), _WIDEST)
    for finding in diagnosis.findings:
        yield from _finding(finding, width)
    yield ""
    yield from wrapped(diagnosis.worth, width)


def _finding(finding: Observation, width: int) -> Iterator[str]:
    label = f"{finding.state:{_NAME_AT}}{finding.name:{_WHAT_AT - _NAME_AT}}"
    yield from hanging(label, finding.what, width)
    if finding.remedy is None:
        return
    if finding.remedy.startswith(tuple(f"{program} " for program in _PROGRAMS)):
        yield f"{' ' * _NAME_AT}Fix:"
        yield from (f"{' ' * (_NAME_AT + 2)}{line}" for line in _command(finding.remedy, width))
    else:
        yield from hanging(f"{' ' * _NAME_AT}Fix: ", finding.remedy, width)


def _command(command: str, width: int) -> Iterator[str]:
    """Split a long command where a shell allows it: after an operator, or at a backslash."""
    width -= _NAME_AT + 2 + len(" \\")
    if len(command) <= width:
        yield command
        return
    line = ""
    for word in _words(command, width):
        if line and (len(line) + 1 + len(word) > width or line.endswith("&&")):
            yield line if line.endswith(_JOINTS) else f"{line} \\"
            line = word
        else:
            line = f"{line} {word}".lstrip()
    yield line


def _words(command: str, width: int) -> Iterator[str]:
    """Yield the words of a command; a quoted argument of `echo` is split, as echo joins it."""
    echoed = False
    for word in _SHELL_WORD.findall(command):
        if echoed and len(word) > width and word[0] == word[-1] == "'":
            yield from (f"'{part}'" for part in textwrap.wrap(word[1:-1], width - 2))
        else:
            yield word
        echoed = word == "echo"
