"""`pytest-greenops init`: what can be measured in a project, and the files to begin with."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.baselines.whole_file import quoted, unreadable, write_whole
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import Screen, print_problems
from pytest_greenops.commands.doctor import sensor_names
from pytest_greenops.first_steps import first_test, ini_lines, workflow
from pytest_greenops.first_steps.conclusion import conclusion, next_steps, sensed
from pytest_greenops.first_steps.project import Project, look_at
from pytest_greenops.first_steps.workflow import Gate
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.report.drawing import cells, hanging
from pytest_greenops.sensors import discover

_PARTS = ("ini", "test", "workflow")
_GATES = ("count", "ab", "stored")
_LABEL, _WIDEST = 10, 80


class Proposal(NamedTuple):
    """A file of a part of the proposal, or why that part has none.

    path   the file; None if there is nothing to write
    place  where the added text belongs: `add to pytest.ini, below [pytest]`
    added  the text that is new in the file
    whole  its whole content; None if it cannot be changed safely
    done   what was written, once it is
    note   why nothing is written, or what is left to do
    """

    part: str
    path: Path | None = None
    place: str = ""
    added: str = ""
    whole: str | None = None
    done: str = ""
    note: str = ""


class Init(Command):
    """The sub-command `init`."""

    name = "init"
    help = "show what can be measured in this project, and propose ini lines, a test and CI"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what to write, and the gate."""
        parts, gates = (*_PARTS, "all"), _GATES
        text = "write a part of the proposal: %(choices)s; may be repeated (default: nothing)"
        parser.add_argument(
            "--write", metavar="PART", action="append", default=[], choices=parts, help=text
        )
        text = "the gate of the workflow: %(choices)s (default: the one that fits)"
        parser.add_argument("--gate", metavar="GATE", choices=gates, help=text)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the conclusion, and the proposals or what was written of them."""
        project = look_at(Path.cwd())
        findings = [discover.find(name) for name in sensor_names()]
        for finding in findings:
            if finding.sensor:
                finding.sensor.close()
        has_sensor = bool(sensed(findings))
        gate = workflow.gate(project, has_sensor, arguments.gate)
        proposals = list(_proposals(project, gate))
        asked = _PARTS if "all" in arguments.write else tuple(arguments.write)

        screen = Screen.of_stdout()
        width = min(screen.width, _WIDEST)
        for label, text in conclusion(project, findings, gate):
            screen.print(hanging(f"{label:<{_LABEL}}", text, width))
        screen.print([""])
        problems = []
        for each in proposals:
            if each.part in asked and each.whole is not None and each.path is not None:
                _write(each.path, each.whole)
            elif each.part in asked and each.path is not None:
                problems.append(
                    f"{each.path}: not changed, as it cannot be done safely: {each.place}"
                )
            screen.print(_shown(each, asked, width))
        left = [each for each in proposals if each.path and each.part not in asked]
        screen.print(_go_on(project, gate, has_sensor, left, asked))
        return print_problems(problems)


def _proposals(project: Project, gate: Gate | None) -> Iterator[Proposal]:
    """Yield a proposal for each file; one without a file for a part that needs none."""
    ini = ini_lines.propose(project)
    name, lines = _name(ini.path, project), "; ".join(ini.lines)
    if not ini.lines:
        yield Proposal("ini", note=f"{name} needs no further line")
    elif ini.text is None:
        yield Proposal("ini", ini.path, f"paste into {name}{ini.place}", ini.added)
    elif ini.path.exists():
        done = f"{name}{ini.place}: {lines}"
        yield Proposal("ini", ini.path, f"add to {name}{ini.place}", ini.added, ini.text, done)
    else:
        yield Proposal("ini", ini.path, f"write {name}", ini.added, ini.text, f"{name}: {lines}")
    yield _test(project)
    yield from _workflows(project, gate)


def _test(project: Project) -> Proposal:
    if file := project.uses.energy:
        return Proposal("test", note=f"{file} has an energy test already")
    if file := project.uses.benchmark:
        note = f"{file} has benchmarks: with energy_benchmarks = true they are energy tests"
        return Proposal("test", note=note)
    test = first_test.propose(project)
    if test is None:
        names = ", ".join(project.configured.python_files)
        note = f"none: pytest collects only {names} here. Write one with the fixture energy there"
        return Proposal("test", note=note)
    name = _name(test.path, project)
    return Proposal("test", test.path, f"write {name}", test.text, test.text, name)


def _workflows(project: Project, gate: Gate | None) -> Iterator[Proposal]:
    if gate is None:
        yield Proposal("workflow", note="none without a git repository")
        return
    if file := workflow.existing(project):
        yield Proposal("workflow", note=f"{_name(file, project)} runs energy tests already")
        return
    for each in workflow.propose(project, gate):
        name = _name(each.path, project)
        yield Proposal(
            "workflow", each.path, f"write {name}", each.text, each.text, name, each.left
        )


def _name(path: Path, project: Project) -> str:
    """Return a path as a user of the project's folder writes it."""
    for folder in (project.folder, project.top):
        if folder is not None and path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


def _write(path: Path, text: str) -> None:
    """Write a file atomically; raises `GreenopsError` for one that the system refuses."""
    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        folder = next(each for each in path.parents if each.exists())
        fix = unreadable(path, error).fix
        if error.errno in (errno.EACCES, errno.EPERM):
            fix = f"allow it: chmod u+w {quoted(folder)}"
        raise GreenopsError(f"{path}: cannot be written ({error.strerror}): {fix}") from None


def _shown(each: Proposal, asked: Collection[str], width: int) -> Iterator[str]:
    """Yield what is proposed, or in a line what was written or is there."""
    if each.path is None:
        yield from hanging(f"{each.part:<{_LABEL}}", each.note, width)
        return
    if asked and each.part not in asked:
        what = f"not written: {each.path.name} (--write {each.part})"
        yield from hanging(f"{each.part:<{_LABEL}}", what, width)
        return
    if each.part in asked and each.whole is not None:
        yield from hanging(f"{each.part:<{_LABEL}}", f"written: {each.done}", width)
    else:
        title = f"── {each.part}: {each.place} "
        yield title + "─" * (width - cells(title))
        yield from each.added.rstrip("\n").split("\n")
        yield ""
    if each.note:
        yield from hanging(" " * _LABEL, each.note, width)


def _go_on(
    project: Project,
    gate: Gate | None,
    has_sensor: bool,
    left: Sequence[Proposal],
    asked: Sequence[str],
) -> Iterator[str]:
    """Yield how to write what is left, or the commands up to the first failing budget."""
    parts = list(dict.fromkeys(each.part for each in left))
    if parts and not asked:
        yield f"Nothing is written yet. Write all of it, or --write {', '.join(parts)}:"
        yield "  pytest-greenops init --write all"
        return
    for what, command in next_steps(project, gate, has_sensor):
        yield ""
        yield f"{what}:" if command else f"{what}."
        if command:
            yield f"  {command}"
