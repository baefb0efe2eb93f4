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
from pytest_greenops.ab.git import git
from pytest_greenops.ab.redirect import Redirect, load, write
from pytest_greenops.ab.tests_here import copy_tests
from pytest_greenops.ab.worktree import Worktree, remove_stale
from pytest_greenops.bisection.interrupts import Interrupts
from pytest_greenops.bisection.search import Run
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
_TEST_FILES = ("test_*.py", "*_test.py")
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
        self._environ = dict(os.environ)
        for name in git(top, "rev-parse", "--local-env-vars").split():
            self._environ.pop(name, None)
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
            if self._value("--energy-ab-tests") == "here":
                copy_tests(self._top, made.tree, *self._test_files())
            site = self._build(made) if self._value("--energy-ab-setup") else None
            roots = own_packages.source_roots(tree)
            yield Redirect(str(self._top), tree, site, roots), made.folder
        finally:
            made.remove()

    def _build(self, made: Worktree) -> str:
        command, folder = self._value("--energy-ab-setup") or "", made.tree / self._below
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
            args=self._arguments(redirect.tree, folder, against),
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

    def _arguments(self, tree: str, folder: Path, against: Commit) -> list[str]:
        """Return the arguments of pytest: the user's, moved into the tree, and ours, which win.

        There are no baselines: each test is compared with GOOD, whatever its stored baseline says.
        """
        own = [
            *("--energy", f"--energy-ab={against.short}", f"--energy-json={folder}/step.json"),
            *(f"--energy-baselines={folder}/baselines", "--color=no", "-rfE"),
            *("-p", _ONLY_TEST),
        ]
        users = [_moved(argument, str(self._top), tree) for argument in self._args]
        end = users.index("--") if "--" in users else len(users)
        return [*users[:end], *own, *users[end:]]

    def _value(self, option: str) -> str | None:
        """Return the value of an option that the user gave to pytest."""
        value = None
        for place, argument in enumerate(self._args):
            name, equals, written = argument.partition("=")
            if name == option:
                value = written if equals else next(iter(self._args[place + 1 :]), None)
        return value

    def _test_files(self) -> tuple[list[str], list[Path]]:
        """Return patterns of the test files, and folders with tests, that the user named."""
        patterns, folders = list(_TEST_FILES), []
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


def _moved(argument: str, top: str, tree: str) -> str:
    """Return an argument whose absolute path is below `top` with the path in the tree."""
    start, value = "", argument
    if argument.startswith("-") and "=" in argument:
        option, _, value = argument.partition("=")
        start = f"{option}="
    inside = value == top or value.startswith(f"{top}{os.sep}")
    return f"{start}{tree}{value[len(top) :]}" if inside else argument


def _read(written: Path, code: int, said: str) -> Run:
    """Return what a run of pytest found, or why it found nothing."""
    try:
        results = msgspec.json.decode(written.read_bytes(), type=Results).results
    except (OSError, ValueError):
        results = ()
    found: dict[Measured, Interleaved] = {}
    failure = None
    for result in results:
        if result.verdict.interleaved is None:
            failure = failure or _uncompared(result)
        else:
            found[Measured(result.test.node_id, result.name)] = result.verdict.interleaved
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
