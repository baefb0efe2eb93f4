"""One A/B run of a bisect: pytest in a temporary working tree of the step's commit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from pytest_greenops.ab import own_packages, ref_setup
from pytest_greenops.ab.git import of_no_repository
from pytest_greenops.ab.moved_call import moved_argument
from pytest_greenops.ab.places import Places
from pytest_greenops.ab.redirect import Redirect, load, write
from pytest_greenops.ab.tests_here import copy_tests
from pytest_greenops.ab.worktree import Worktree, remove_stale
from pytest_greenops.bisection import pytest_config
from pytest_greenops.bisection.interrupts import Interrupts
from pytest_greenops.bisection.search import Run
from pytest_greenops.judge.work_and_joules import as_interleaved
from pytest_greenops.model.bisected import Commit, Measured
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.run_options import ONLY_VARIABLE, TREE_VARIABLE

#: How long an interrupted run may take to end its processes and to remove its trees.
_GRACE_S = 10.0
#: Lines of pytest's output that say why a test was not measured.
_REASON = re.compile(r"^(?:FAILED|ERROR:?|INTERNALERROR>) +(.*)$", re.MULTILINE)
_MOST_CHARACTERS = 300
#: Exit codes of pytest that say why there is no result.
_UNMEASURED = {0: "no test measured energy", 5: "pytest found no such test"}
#: The plugin that runs the followed test alone.
_ONLY_TEST = "pytest_greenops.hooks.only_test"
#: Starts pytest in a tree whose imports are redirected to it. Where Linux can, the process is
#: interrupted when the one that started it ends (prctl(2): PR_SET_PDEATHSIG is 1).
_PROGRAM = """
import os, sys
sys.path[:] = [os.getcwd(), *filter(None, sys.path)]
{redirect}
import ctypes, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGINT)
if os.getppid() != {parent}:
    sys.exit("the process that started this one has ended")
import pytest
sys.exit(pytest.main({args!r}))
"""


class AbRuns:
    """Compares commits of the repository at `top` by pytest's own A/B."""

    def __init__(self, top: Path, folder: str, args: Sequence[str], interrupts: Interrupts) -> None:
        """Prepare runs.

        folder  where pytest runs, from the top of each tree
        args    the tests and further options, as the user wrote them
        """
        self._top = top
        self._below = Path(folder)
        self._args = list(args)
        self._interrupts = interrupts
        self._environ = of_no_repository(os.environ)
        self._environ["COLUMNS"] = "1000"  # so that pytest cuts no reason
        remove_stale(self._top)

    def __call__(self, commit: Commit, against: Commit, only: Measured | None) -> Run:
        """Compare the code of two commits; a signal interrupts it only while pytest runs."""
        try:
            with self._tree(commit) as (redirect, folder):
                cwd = Path(redirect.tree, self._below)
                if not cwd.is_dir():
                    return Run({}, f"{self._below} does not exist in this commit")
                return self._run(redirect, folder, against, only)
        except GreenopsError as error:  # the tree could not be made, or not be built
            return Run({}, str(error))

    @contextmanager
    def _tree(self, commit: Commit) -> Iterator[tuple[Redirect, Path]]:
        """Make the tree of a commit as its user would have it, and a folder that ends with it."""
        made = Worktree(self._top, commit.sha)
        try:
            made.make()
            tree = os.path.realpath(made.tree)
            configured = self._configured(made)
            if configured is not None and configured.tests == "here":
                copy_tests(self._top, made.tree, *self._test_files(configured, Path(tree)))
                configured = self._configured(made)  # the ini file may be another one now
            setup = None if configured is None else configured.setup
            site = self._build(made, setup) if setup else None
            roots = own_packages.source_roots(tree)
            yield Redirect(str(self._top), tree, site, roots), made.folder
        finally:
            made.remove()

    def _configured(self, made: Worktree) -> pytest_config.Configured | None:
        """Return how pytest is configured in a tree; None if that lacks the user's folder."""
        tree = os.path.realpath(made.tree)
        folder = Path(tree, self._below)
        if not folder.is_dir():
            return None
        written = made.folder / "configured.json"
        return pytest_config.read(self._users(tree), folder, self._environ, written)

    def _users(self, tree: str) -> list[str]:
        """Return the user's arguments, moved into a tree."""
        places = Places(str(self._top), tree)
        return [moved_argument(argument, places) for argument in self._args]

    def _build(self, made: Worktree, command: str) -> str:
        folder = made.tree / self._below
        with self._interrupts.allowed():
            return ref_setup.build(
                command,
                tree=made.tree,
                users=self._top,
                environment=made.folder / "environment",
                folder=folder if folder.is_dir() else None,
            )

    def _run(self, redirect: Redirect, folder: Path, against: Commit, only: Measured | None) -> Run:
        written, output = folder / "step.json", folder / "output"
        program = _PROGRAM.format(
            redirect=load(redirect),
            parent=os.getpid(),
            args=self._arguments(redirect.tree, folder, against, only is not None and only.work),
        )
        environ = {**self._environ, TREE_VARIABLE: write(redirect, folder / "step-redirect.json")}
        if only is not None:
            environ[ONLY_VARIABLE] = only.node_id
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=Path(redirect.tree, self._below),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with self._interrupts.allowed():
                    process.wait()
            finally:
                _end(process)
        said = output.read_text(encoding="utf-8", errors="replace")
        return _read(written, process.returncode, said.replace(redirect.tree, "."))

    def _arguments(self, tree: str, folder: Path, against: Commit, count: bool) -> list[str]:
        """Return the arguments of pytest: the user's, moved into the tree, and ours, which win.

        There are no baselines: each test is compared with GOOD, whatever its stored baseline says.
        """
        own = [
            *("--energy", f"--energy-ab={against.short}", f"--energy-json={folder}/step.json"),
            *(f"--energy-baselines={folder}/baselines", "--energy-history=", "--color=no", "-rfE"),
            *("-p", _ONLY_TEST, *(["--energy-count-only"] if count else [])),
        ]
        users = self._users(tree)
        end = users.index("--") if "--" in users else len(users)
        return [*users[:end], *own, *users[end:]]

    def _test_files(
        self, configured: pytest_config.Configured, tree: Path
    ) -> tuple[list[str], list[Path]]:
        """Return patterns of the test files, and folders with tests, configured or named."""
        patterns, folders = list(configured.python_files), []
        for each in map(Path, configured.testpaths):
            if each.is_relative_to(tree):
                folders.append(self._top / each.relative_to(tree))
        for argument in self._args:
            path = Path(self._top, self._below, argument.partition("::")[0])
            if path.is_dir():
                folders.append(path)
            elif path.is_file():
                with suppress(ValueError):
                    patterns.append(path.resolve().relative_to(self._top).as_posix())
        return patterns, folders


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a run, so that it ends its processes; then kill what is left of its group."""
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(written: Path, code: int, said: str) -> Run:
    """Return what a run of pytest found, or why it found nothing."""
    try:
        results = msgspec.json.decode(written.read_bytes(), type=Results).results
    except (OSError, ValueError):
        results = ()
    found: dict[Measured, Interleaved] = {}
    failure = None
    for result in results:
        joules, work = result.verdict.interleaved, result.verdict.work
        if work is not None and work.against is not None:
            found[Measured(result.test.node_id, result.name, work=True)] = as_interleaved(work)
        if joules is not None:
            found[Measured(result.test.node_id, result.name)] = joules
        elif work is None or work.against is None:
            failure = failure or _uncompared(result)
    return Run(found, failure or _reason(code, said))


def _uncompared(result: Result) -> str:
    cause = f" ({result.verdict.cause})" if result.verdict.cause else ""
    return f"{result.verdict.outcome.value}{cause}"


def _reason(code: int, said: str) -> str:
    """Return why pytest measured nothing: the first reason of its summary, or its last line."""
    if code in _UNMEASURED:
        return _UNMEASURED[code]
    reason = _REASON.search(said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1].strip("= ") if lines else f"pytest ended with exit code {code}"
    return (reason[1] if reason else last)[:_MOST_CHARACTERS]
