"""Commands that write baselines, started again and again from the same folder with a fault."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_greenops.baselines.baseline_file import read
from pytest_greenops.baselines.store import survey
from pytest_greenops.model.baseline import Session
from tests.integration import commands, forked_python
from tests.integration.forked_python import Finished
from tests.integration.projects import ALONE, INI, conftest, fill, run_outside
from tests.reliability.injector import LIBRARY, Call, Injector, build

COMMANDS = ("save", "merge", "prune")
TESTS = """
def test_works(energy, work):
    energy(work)
"""
NEW, GONE = "test_new", "test_gone"
#: The variables that no run may have from outside.
_OUTSIDE = ("PYTEST_", "GITHUB_", "CI")


def make_shards(folder: Path) -> Path:
    """Make a project with a baseline of a test that stays, and of one whose test goes.

    `first` and `second` are shards with another session of each, and of a test that is new. The
    library is loaded in these runs too: sessions without it have other conditions.
    """
    build(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(folder / LIBRARY))
        return _save_shards(folder)


def _save_shards(folder: Path) -> Path:
    gone = TESTS.replace("test_works", GONE)
    fill(folder, {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS + gone})
    run_outside(folder, "--energy-save", *ALONE)
    fill(folder, {"test_it.py": TESTS + gone + TESTS.replace("test_works", NEW)})
    for shard in ("first", "second"):
        run_outside(folder, "--energy-save", f"--energy-baselines={shard}", *ALONE)
    fill(folder, {"test_it.py": TESTS + TESTS.replace("test_works", NEW)})
    return folder


class Writer:
    """One command, and what its baselines folder may contain before, between and after.

    old    the content of each file before, by its path in the folder
    calls  the calls of a run without a fault
    """

    def __init__(self, name: str, template: Path, made: Path, all_calls: bool) -> None:
        """Run it once without a fault; `all_calls` is whether `tries` leaves none out."""
        self.name = name
        self._template = template
        self._all = all_calls
        self.project = made / "project"
        self.folder = self.project / "baselines"
        self.injector = Injector(template / LIBRARY, self.folder, made / "calls.log")
        self._restore()
        self.old, self.old_places = contents(self.folder), everything(self.folder)
        clean = self.start(self.injector.counting())
        assert clean.code == 0, clean.out + clean.err
        self.calls = self.injector.calls()
        self._new, self._places = contents(self.folder), everything(self.folder)

    def start(self, environ: Mapping[str, str]) -> Finished:
        """Run the command."""
        if self.name == "save":
            outer = {k: v for k, v in os.environ.items() if not k.startswith(_OUTSIDE)}
            outer |= {"JOULES": "2.0", "SEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            arguments = ("-p", "greenops", "-p", "no:cacheprovider", "--energy-save", *ALONE)
            return forked_python.run(
                "pytest", *arguments, environ={**outer, **environ}, folder=self.project
            )
        shards = [self.project / "first", self.project / "second"]
        arguments = ("merge", self.folder, *shards) if self.name == "merge" else ("prune",)
        return commands.run(self.project, *arguments, **environ)

    def tries(self, kinds: str, every: int = 1) -> Iterator[tuple[int, Call]]:
        """Yield calls of some kinds with their number, each with the folder as it was at first.

        Of a test that must be short, the first of each function and kind of file, and of these
        each `every`-th; of a prune, which starts pytest, half as many.
        """
        found = [(n, call) for n, call in enumerate(self.calls, 1) if call.kind in kinds]
        if not self._all:
            first = {_function_and_file(call): (n, call) for n, call in reversed(found)}
            found = sorted(first.values())[:: every * (2 if self.name == "prune" else 1)]
        for number, call in found:
            self._restore()
            yield number, call

    def check_whole(self, where: str) -> None:
        """Check that each file is the old or the new one, and that none is missing."""
        assert survey(self.folder).damaged == (), where
        now = contents(self.folder)
        may_go = {place for place in self.old if self.name == "prune" and GONE in place}
        assert self.old.keys() - may_go <= now.keys() <= self.old.keys() | self._new.keys(), where
        for place, content in now.items():
            if content != self.old.get(place):
                self._check_new(place, content, where)

    def check_clean(self, where: str) -> None:
        """Run the command without a fault, and check that nothing lies beside its files."""
        ran = self.start(self.injector.counting())
        assert ran.code == 0, f"{where}\n{ran.out}{ran.err}"
        self.check_whole(where)
        assert everything(self.folder) == self._places, where

    def check_no_leftover(self, where: str) -> None:
        """Check that nothing lies beside the files that a run without a fault leaves."""
        assert set(everything(self.folder)) <= {*self._places, *self.old_places}, where

    def check_new(self, where: str) -> None:
        """Check that all is as after a run without a fault."""
        assert contents(self.folder).keys() == self._new.keys(), where
        for place, content in contents(self.folder).items():
            assert (content == self.old.get(place)) == (self._new[place] == self.old.get(place))

    def _check_new(self, place: str, content: bytes, where: str) -> None:
        if self.name == "save":  # each run has its own times
            before, after = self._sessions_before(place), sessions(self.folder / place)
            assert after[: len(before)] == before, where
            assert 1 <= len(after) - len(before) <= 2, where
        else:
            assert content == self._new[place], where

    def _sessions_before(self, place: str) -> tuple[Session, ...]:
        path = self._template / "baselines" / place
        return sessions(path) if path.exists() else ()

    def _restore(self) -> None:
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.copytree(self._template, self.project)
        shutil.rmtree(self.folder / ".saving")


def _function_and_file(call: Call) -> tuple[str, str]:
    return call.name, re.sub(r"^\d+-[0-9a-f]{32}", "temporary", Path(call.path).name)


def sessions(path: Path) -> tuple[Session, ...]:
    """Return the sessions of a baseline."""
    return read(path).measurements["call"].sessions


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each baseline by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def everything(folder: Path) -> list[str]:
    """Return each file and folder in a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
