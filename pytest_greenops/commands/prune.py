"""`pytest-greenops prune`: remove baselines whose tests no longer exist."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.baselines.whole_file import quoted
from pytest_greenops.baselines.work_store import WorkSurvey, survey_work
from pytest_greenops.commands.command import Command, add_baselines_folder, add_machine
from pytest_greenops.commands.console import print_lines, print_problems
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.run_options import COLLECTED
from pytest_greenops.model.units import counted
from pytest_greenops.model.work_baseline import WorkBaseline
from pytest_greenops.report.drawing import visible

_PLUGIN = "pytest_greenops.hooks.collect_keys"
#: pytest's exit statuses after a collection: all went well, tests failed, errors, no tests.
_COLLECTED = (0, 1, 2, 5)
_DIR = "name the folder that pytest runs in: --root DIR"
#: A folder that has one of these may be the root directory of pytest.
_SIGNS = (
    *("conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini"),
    *("setup.cfg", "setup.py", ".git"),
)
#: Folders without projects of the user, in addition to hidden ones and virtual environments.
_NO_PROJECT = {"build", "dist", "node_modules", "venv"}


class Prune(Command):
    """The sub-command `prune`."""

    name = "prune"
    help = "remove baselines whose tests no longer exist"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the folder, the machine, the root directory and the age."""
        parser.description = (
            "Remove baselines whose tests no longer exist. pytest --collect-only lists the tests: "
            "a baseline goes if its module is missing, or if pytest collects the module but not "
            "the test or its parameters. A module that pytest does not collect, skips or cannot "
            "import keeps its baselines."
        )
        parser.epilog = (
            "Of addopts and PYTEST_ADDOPTS, only -p, -c, -o, --rootdir, --import-mode, --ignore, "
            "--ignore-glob and --doctest-modules are used. Run the command where all tests can be "
            "collected: a test or parameter that exists only with another option, library or "
            "device counts as gone. Use --dry-run first."
        )
        add_baselines_folder(parser)
        add_machine(parser)
        root = "where to run pytest (default: the parent of the baselines folder)"
        parser.add_argument("--root", metavar="DIR", type=Path, help=root)
        age = "also remove baselines that were last saved more than DAYS days ago"
        parser.add_argument("--older-than", metavar="DAYS", type=_days, help=age)
        dry = "only list what would be removed"
        parser.add_argument("--dry-run", action="store_true", help=dry)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print each removed file with the reason, then a summary."""
        folder, dry = arguments.dir, arguments.dry_run
        found = find(folder, arguments.root, arguments.machine, arguments.older_than)
        print_problems([f"{each}; its baselines stay" for each in found.not_collected])
        verb = "would remove" if dry else "removed"
        for removal in found.removals if dry else remove(folder, found.removals):
            print_lines([visible(f"{verb} {removal.path}: {removal.why}")])
        verb = "would be removed" if dry else "removed"
        total = counted(found.examined, "baseline")
        print_lines([f"energy: {len(found.removals)} of {total} {verb}"])
        return print_problems(found.damaged)


class Removal(NamedTuple):
    """A baseline to remove, and why."""

    path: Path
    why: str


class Findings(NamedTuple):
    """The result of a search.

    examined       how many baselines could be read
    damaged        a line for each file that could not be read
    not_collected  a line for each module that pytest could not collect
    """

    removals: tuple[Removal, ...]
    examined: int
    damaged: tuple[str, ...]
    not_collected: tuple[str, ...]


class Collection(msgspec.Struct, frozen=True):
    """What `pytest --collect-only` found.

    rootdir  the folder that module paths are relative to
    tests    module, qualified name and parameter id of each test
    reports  by node id of a folder, module or class, why it was not collected; None if it was
    """

    rootdir: str
    tests: frozenset[tuple[str, str, str | None]]
    reports: dict[str, str | None]

    def failure(self, module: str) -> str | None:
        """Return why a module was not collected as a whole, if pytest reported that."""
        for node, why in self.reports.items():
            above = node in ("", ".", module) or module.startswith(f"{node}/")
            if why is not None and (above or node.startswith(f"{module}::")):
                return f"{node if above else module}: not collected ({why})"
        return None

    def gone(self, test: TestKey) -> str | None:
        """Return why a test certainly does not exist, else None."""
        if not Path(self.rootdir, test.module).exists():
            return f"{test.module} is gone"
        collected = test.module in self.reports or any(t[0] == test.module for t in self.tests)
        if not collected or self.failure(test.module):
            return None
        if (test.module, test.qualname, test.param_id) in self.tests:
            return None
        known = any(each[:2] == (test.module, test.qualname) for each in self.tests)
        return f"{test.module} has no {test.name if known else test.qualname}"


def collect(root: Path) -> Collection:
    """Run `pytest --collect-only` in a folder; raises `BaselineError` if that is impossible."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "collected.json")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "greenops", "-p", _PLUGIN],
            cwd=root,
            env={**os.environ, COLLECTED: str(file)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if ran.returncode in _COLLECTED and file.exists():
            return msgspec.json.decode(file.read_bytes(), type=Collection)
    lines = [line.strip() for line in (ran.stderr or ran.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "E "))]
    why = (errors or lines or ["no output"])[-1].removeprefix("ERROR:").removeprefix("E ").strip()
    raise BaselineError(
        f"{root}: pytest cannot collect the tests (exit status {ran.returncode}: {why}), so "
        "nothing is removed; fix this, or name another folder: --root DIR"
    )


def find(
    folder: Path,
    root: Path | None,
    machine: str = "",
    older_than: timedelta | None = None,
    collect: Callable[[Path], Collection] = collect,
) -> Findings:
    """Find the baselines in `folder` whose tests are gone, or whose last session is too old.

    pytest runs in `root`, by default the folder that contains `folder`. `machine` is a part of the
    names of the machines to look at; without it, accepted work is looked at, too.

    Raises `BaselineError` if there are no baselines, or if tests would seem gone only because
    `root` is not the right folder.
    """
    found, damaged = _all(folder, machine)
    at = root or folder.absolute().parent
    if not at.is_dir():
        raise BaselineError(f"{at}: no such folder; {_DIR}")
    modules = {baseline.test.module for baseline in found.values()}
    _check_root(at, modules, guessed=root is None)
    collection = collect(at)
    rootdir = Path(collection.rootdir)
    if rootdir.resolve() != at.resolve():
        _check_root(rootdir, modules, guessed=root is None)
    removals, not_collected = [], []
    for path, baseline in found.items():
        # A file that was moved by hand belongs to the test that its path names: keep it.
        moved = Store(folder, path.relative_to(folder).parts[0]).path(baseline.test) != path
        why = None if moved else collection.gone(baseline.test)
        why = why or _too_old(baseline, older_than)
        removals += [Removal(path, why)] if why else []
        not_collected += [] if why else [collection.failure(baseline.test.module)]
    reported = tuple(dict.fromkeys(filter(None, not_collected)))
    return Findings(tuple(removals), len(found), damaged, reported)


def remove(folder: Path, removals: tuple[Removal, ...]) -> Iterator[Removal]:
    """Remove baselines one by one, yielding each; raises `BaselineError`."""
    for removal in removals:
        Store(folder, removal.path.relative_to(folder).parts[0]).remove(removal.path)
        yield removal


def _check_root(root: Path, modules: set[str], guessed: bool) -> None:
    """Refuse a folder in which tests would seem to be gone for the wrong reason.

    A folder that nobody named (`guessed`) may belong to a project around that of the tests.
    """
    missing = {module for module in modules if not (root / module).exists()}
    none_there = missing == modules
    if not missing or not (guessed or none_there):
        return
    for above in root.resolve().parents if none_there else ():
        if any((above / module).exists() for module in modules):
            raise BaselineError(
                f"{root}: contains none of the tests, but {above} does; use --root {quoted(above)}"
            )
    if nested := _nested_project(root, missing):
        module, folder = nested
        raise BaselineError(
            f"{root}: has no {module}, but {folder} has one; name the folder that pytest runs in: "
            f"--root {quoted(folder)}" + ("" if none_there else f", or --root {quoted(root)}")
        )
    if none_there and (guessed or not any((root / sign).exists() for sign in _SIGNS)):
        why = "" if guessed else ", and no sign of a pytest project"
        raise BaselineError(f"{root}: contains none of the tests{why}; {_DIR}")


def _nested_project(root: Path, modules: set[str]) -> tuple[str, Path] | None:
    """Find a module in a folder below the root, at the place where it should be in the root."""
    named: dict[str, list[str]] = {}
    for module in sorted(modules):
        named.setdefault(module.rpartition("/")[2], []).append(module)
    for here, folders, files in os.walk(root):
        folders[:] = [name for name in sorted(folders) if _may_contain_project(Path(here, name))]
        for file in sorted(named.keys() & set(files)):
            path = Path(here, file).as_posix()
            for module in named[file]:
                if path.endswith(f"/{module}"):
                    return module, Path(path.removesuffix(f"/{module}"))
    return None


def _may_contain_project(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NO_PROJECT
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _all(folder: Path, machine: str) -> tuple[dict[Path, Baseline | WorkBaseline], tuple[str, ...]]:
    """Return every baseline, of energy and of work, and a line for each damaged file."""
    work = WorkSurvey({}, ()) if machine else survey_work(folder)
    energy = survey(folder, machine, optional=not work.empty)
    return {**energy.baselines, **work.baselines}, energy.damaged + work.damaged


def _saved(baseline: Baseline | WorkBaseline) -> list[str]:
    """Return when each session was saved, or when work was accepted."""
    if isinstance(baseline, WorkBaseline):
        return [work.accepted_at for work in baseline.measurements.values()]
    return [each.saved_at for series in baseline.measurements.values() for each in series.sessions]


def _too_old(baseline: Baseline | WorkBaseline, age: timedelta | None) -> str | None:
    if age is None:
        return None
    saved = _saved(baseline)
    dates = [date for each in saved if (date := _date(each)) is not None]
    if not dates or len(dates) < len(saved) or datetime.now(timezone.utc) - max(dates) <= age:
        return None
    return f"last saved on {max(dates).date()}"


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def _days(text: str) -> timedelta:
    try:
        return timedelta(days=int(text if text.isdecimal() else "none"))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a whole number of days >= 0, e.g. 90"
        ) from None
