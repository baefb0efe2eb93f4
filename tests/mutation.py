"""Change the code in small ways, and see whether a unit test fails for each: mutation testing.

`python tests/mutation.py [--digits DIGITS] [--survived] [PACKAGE ...] [PACKAGE.MODULE ...]`. mutmut
makes the changes (mutants) in the functions of a package. One pytest collects the tests in the
folder of `tests/unit` that mirrors it, and runs none of them. It forks for each test, to learn
which functions that test reaches, and then for each mutant: so each one begins in a process in
which nothing is known yet. `build/mutation` has the results. A mutant that was tried is not tried
again, unless its function has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, walk_mutatable_files

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/mutation"
MUTANTS = FOLDER / "mutants"
PACKAGES = tuple(Path(pattern).parts[1] for pattern in config().only_mutate)
#: What mutmut copies.
LINKED = ("pyproject.toml", "pytest_greenops", "tests", "benchmarks")
#: The plugins of the tests alone, and mutants in the processes that tests start.
ENVIRON = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(MUTANTS)}
ARGUMENTS = ("-q", "--tb=native", "-p", "no:cacheprovider", "-m", "not real_time")
#: A test that uses more CPU time is left out, unless only such tests reach a function.
SLOW_S = 0.3
#: A mutant counts as killed when a test takes longer than this and this many times its time.
LIMIT_S, LIMIT_TIMES = 3, 6
#: A test that takes longer without a mutant is left out.
PROBE_S = 20
#: How mutmut writes down what became of a mutant.
SURVIVED, KILLED, NO_TEST, TIMEOUT = 0, 1, 33, 36
WORDS = {SURVIVED: "survived", NO_TEST: "no test"}


class Job(NamedTuple):
    """Tests that run in a fork, each for some seconds at most; "stats" notes what they reach."""

    mutant: str
    tests: Sequence[tuple[pytest.Item, float]]


class Probe(NamedTuple):
    """What a test reaches, and how long it takes."""

    test: pytest.Item
    reached: Sequence[str]
    cpu_s: float
    wall_s: float


@dataclass
class Forks:
    """A plugin of pytest that tries mutants in forks, in place of running the collected tests.

    mutants   their names, each with what mutmut knows of its file
    terminal  a file descriptor
    """

    package: str
    mutants: Mapping[str, SourceFileMutationData]
    processes: int
    terminal: int

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what each test reaches, then try each mutant with the tests that reach it."""
        reaching = self._reaching(session.items)
        jobs = []
        for mutant in self.mutants:
            every = reaching[mutant.partition("__mutmut_")[0]] + reaching[_module(mutant)]
            every.sort(key=lambda probe: probe.wall_s)
            fast = [probe for probe in every if probe.cpu_s <= SLOW_S] or every
            tests = [(probe.test, LIMIT_S + LIMIT_TIMES * probe.wall_s) for probe in fast]
            jobs.append(Job(mutant, tests))
        for number, (job, code, _) in enumerate(self._ended(jobs), 1):
            code = code if job.tests else NO_TEST
            self.mutants[job.mutant].exit_code_by_key[job.mutant] = code
            self.mutants[job.mutant].save()
            self._say(f"\r{number} of {len(jobs)}")
            if code in WORDS:
                self._say(f" {WORDS[code]}: {job.mutant}\n")
        return True

    def _say(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def _reaching(self, tests: Sequence[pytest.Item]) -> dict[str, list[Probe]]:
        """Return the tests that reach each function.

        A test that reaches none in its process may do so in another one that it starts: it counts
        for the module that its file is named after.
        """
        path = FOLDER / f"{self.package}.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        sources = [*Path("pytest_greenops", self.package).rglob("*.py")]
        known = {}
        changed_s = {}
        for test in tests:
            changed_s[test] = max(file.stat().st_mtime for file in (test.path, *sources))
            if kept.get(test.nodeid, [0])[0] == changed_s[test]:
                known[test.nodeid] = kept[test.nodeid]
        jobs = [Job("stats", [(test, PROBE_S)]) for test in tests if test.nodeid not in known]
        for number, (job, code, folder) in enumerate(self._ended(jobs), 1):
            ((test, _),) = job.tests
            self._say(f"\r{number} of {len(jobs)} tests")
            if code == SURVIVED:
                noted = json.loads((folder / "probe").read_text())
                known[test.nodeid] = [changed_s[test], *noted]
            else:
                self._say(f" left out, it fails beside mutmut: {test.nodeid}\n")
        path.write_text(json.dumps(known))
        reaching = defaultdict(list)
        for test in tests:
            if test.nodeid in known:
                probe = Probe(test, *known[test.nodeid][1:])
                for function in probe.reached or [_mirrored(test)]:
                    reaching[function].append(probe)
        return reaching

    def _ended(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, int, Path]]:
        """Run each job in a fork, some at the same time; return each with its code and folder."""
        waiting = iter(jobs)
        running: dict[int, tuple[Job, Path]] = {}
        while True:
            while len(running) < self.processes and (job := next(waiting, None)):
                folder = Path(tempfile.mkdtemp())
                running[_forked(job, folder)] = job, folder
            if not running:
                return
            pid, status = os.wait()
            with suppress(ProcessLookupError):  # what a test has started and not ended
                os.killpg(pid, signal.SIGKILL)
            job, folder = running.pop(pid)
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            yield job, TIMEOUT if late else KILLED if status else SURVIVED, folder
            shutil.rmtree(folder, ignore_errors=True)


def _module(mutant: str) -> str:
    """Return the module of a mutant below the package, `judge.stats`."""
    return mutant.partition(".")[2].partition(".x")[0]


def _mirrored(test: pytest.Item) -> str:
    """Return the module that the file of a test is named after."""
    folders, _, file = test.nodeid.partition("::")[0].rpartition("/test_")
    return f"{folders.removeprefix('tests/unit/')}/{file.removesuffix('.py')}".replace("/", ".")


def _forked(job: Job, folder: Path) -> int:
    """Fork, and run the tests of a job in the child until one fails; return its process id."""
    if pid := os.fork():
        with suppress(PermissionError, ProcessLookupError):  # the child does it too
            os.setpgid(pid, pid)
        return pid
    code = KILLED
    try:
        os.setpgid(0, 0)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
        set_mutant_under_test(job.mutant)
        began, used = time.monotonic(), sum(os.times()[:4])
        following = [test for test, _ in job.tests[1:]]
        for (test, limit_s), after in zip(job.tests, [*following, None], strict=True):
            signal.setitimer(signal.ITIMER_REAL, limit_s)  # it ends the process
            test.ihook.pytest_runtest_protocol(item=test, nextitem=after)
            if test.session.testsfailed:
                break
        else:
            code = SURVIVED
        if job.mutant == "stats":
            times = sum(os.times()[:4]) - used, time.monotonic() - began
            (folder / "probe").write_text(json.dumps([[*state()._stats], *times]))
    finally:
        os._exit(code)


def main(arguments: Sequence[str]) -> int:
    """Try the mutants of some packages, print what survived and a row for each module."""
    parser = argparse.ArgumentParser(prog="python tests/mutation.py")
    parser.add_argument("parts", metavar="PACKAGE[.MODULE]", nargs="*", help="default: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument(
        "--digits", default="0123456789", help="only mutants whose number ends in one of these"
    )
    parser.add_argument("--survived", action="store_true", help="try again those that survived")
    given = parser.parse_args(arguments)
    parts = given.parts or PACKAGES
    packages = dict.fromkeys(part.partition(".")[0] for part in parts)
    if unknown := packages.keys() - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(PACKAGES)}")
    _make_mutants()
    again = (None, SURVIVED, NO_TEST) if given.survived else (None,)
    for package in packages:
        chosen = [
            (mutant, file)
            for part in parts
            if part.partition(".")[0] == package
            for mutant, file in _mutants(part).items()
            if file.exit_code_by_key[mutant] in again and mutant[-1] in given.digits
        ]
        random.Random(1).shuffle(chosen)  # what was tried is an even sample at any time
        if chosen:
            _try_mutants(Forks(package, dict(chosen), given.processes, os.dup(1)))
    for part in parts:
        _print_table(part)
    print(f"What a mutant changes: (cd {FOLDER.relative_to(ROOT)} && mutmut show NAME)")
    return 0


def _make_mutants() -> None:
    """Let mutmut make the mutants of all packages; it keeps the results of functions as before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    for name in LINKED:
        Path(name).unlink(missing_ok=True)
        Path(name).symlink_to(ROOT / name)
    shutil.rmtree("mutants/tests", ignore_errors=True)
    set_mutant_under_test("mutant_generation")
    MUTANTS.mkdir(exist_ok=True)
    with redirect_stdout(StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 1)


def _mutants(part: str) -> dict[str, SourceFileMutationData]:
    """Return the mutants of a package or module, each with what mutmut knows of its file."""
    found = {}
    for path in walk_mutatable_files():
        file = SourceFileMutationData(path=path)
        file.load()
        file.meta_path = FOLDER / file.meta_path
        found.update(dict.fromkeys(file.exit_code_by_key, file))
    start = f"pytest_greenops.{part}."
    return {mutant: file for mutant, file in found.items() if mutant.startswith(start)}


def _try_mutants(plugin: Forks) -> None:
    """Try mutants of a package, in a fork: it imports the package."""
    path = FOLDER / f"{plugin.package}.log"
    if pid := os.fork():
        if os.waitpid(pid, 0)[1]:
            sys.exit(f"pytest failed, see {path}")
        return
    with path.open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(ENVIRON)
    os.chdir(MUTANTS)
    sys.path[0] = str(MUTANTS)
    set_mutant_under_test("")
    os._exit(pytest.main([*ARGUMENTS, f"tests/unit/{plugin.package}"], plugins=[plugin]))


def _print_table(part: str) -> None:
    """Print what survived in a part, and a row of figures for each module and for the whole."""
    counted: dict[str, Counter[int | None]] = defaultdict(Counter)
    for mutant, file in _mutants(part).items():
        code = file.exit_code_by_key[mutant]
        if code in WORDS:
            print(f"{WORDS[code]}: {mutant}")
        for row in {_module(mutant), part}:
            counted[row][code] += 1
    print(f"{'part':36}{'mutants':>9}{'tried':>8}{'killed':>8}{'survived':>10}{'share':>9}")
    for row, count in sorted(counted.items(), reverse=True):
        tried = count.total() - count[None]
        survived = count[SURVIVED] + count[NO_TEST]
        share = f"{100 * (1 - survived / max(1, tried)):.1f} %"
        figures = f"{tried:8}{tried - survived:8}{survived:10}{share:>9}"
        print(f"{row:36}{count.total():9}{figures}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
