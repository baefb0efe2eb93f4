"""The projects in `examples/`: their READMEs are followed word by word, in a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = EXAMPLES.parent
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What other processes do does not matter here: the red tests use several times their budget.
QUIET = """
from pytest_greenops import machine
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.observer import NoLoad

machine.LoadProbe = NoLoad
Control._names = ()
"""
#: Enough for differences that are this large, and half the time.
FEW_ROUNDS = "-o energy_max_rounds=5"


class Command(NamedTuple):
    """A command of a README, and the lines of its output that the README shows.

    `...` in a line stands for any text.
    """

    text: str
    shown: tuple[str, ...]

    @property
    def red(self) -> bool:
        """Whether the README shows a failure."""
        return any(line.startswith("Energy") for line in self.shown)


class Ran(NamedTuple):
    """A command that ran."""

    command: Command
    code: int
    out: str

    @property
    def missing(self) -> list[str]:
        """The lines that the README shows and the command did not print."""
        printed = self.out.splitlines()
        patterns = {line: re.escape(line).replace(r"\.\.\.", ".*") for line in self.command.shown}
        return [
            line
            for line, pattern in patterns.items()
            if not any(re.fullmatch(pattern, each) for each in printed)
        ]


def commands(name: str) -> Iterator[Command]:
    """Yield the commands of an example's README, in order."""
    for block in CONSOLE.findall((EXAMPLES / name / "README.md").read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, *shown = part.splitlines()
            yield Command(text, tuple(shown))


class Copy:
    """A copy of an example, whose commands run with these plugins and no others."""

    def __init__(self, name: str, tmp_path: Path, *plugins: str) -> None:
        self.folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, self.folder)
        own = tmp_path / "own"
        own.mkdir()
        (own / "quiet_machine.py").write_text(QUIET, encoding="utf-8")
        outer = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "GITHUB_"))
        }
        loaded = ("greenops", "quiet_machine", *plugins)
        self._environ = {
            **outer,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), outer["PATH"]]),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, own))),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": " ".join([*(f"-p {plugin}" for plugin in loaded), FEW_ROUNDS]),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "80",
        }

    def run(self, command: Command) -> Ran:
        """Run a command in the copy, by a shell, as a user does."""
        ran = subprocess.run(
            ["bash", "-c", command.text],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return Ran(command, ran.returncode, ran.stdout)


def follow(name: str, tmp_path: Path, *plugins: str) -> None:
    """Run the commands of a README in turn: each prints what is shown, and only red ones fail."""
    copy = Copy(name, tmp_path, *plugins)
    for command in commands(name):
        ran = copy.run(command)
        assert (ran.code, ran.missing) == (int(command.red), []), f"{command.text}\n{ran.out}"
