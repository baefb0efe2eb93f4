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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
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
ARGUMENTS = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not real_time")
#: A test that uses more CPU time is left out, unless only such tests reach a function.
SLOW_S = 0.3
#: A mutant counts as killed when its tests take longer than this and this many times their time.
LIMIT_S, LIMIT_TIMES = 3, 6
#: How mutmut writes down what became of a mutant.
SURVIVED, KILLED, NO_TEST, TIMEOUT = 0, 1, 33, 36
WORDS = {SURVIVED: "survived", NO_TEST: "no test"}


class Job(NamedTuple):
    """Tests that run in a fork, with a mutant; "stats" notes the functions that they reach."""

    mutant: str
    tests: Sequence[pytest.Item]
    limit_s: float


class End(NamedTuple):
    """How a job ended: one of mutmut's codes, its time, and the functions that it reached."""

    job: Job
    code: int
    cpu_s: float
    wall_s: float
    reached: Sequence[str]


class Results:
    """What mutmut knows of each mutant: a code, or None if it was not tried."""

    def __init__(self) -> None:
        self._files = {}
        for path in walk_mutatable_files():
            data = SourceFileMutationData(path=path)
            data.load()
            data.meta_path = FOLDER / data.meta_path
            self._files.update(dict.fromkeys(data.exit_code_by_key, data))

    def __getitem__(self, mutant: str) -> int | None:
        """Return what became of a mutant."""
        return self._files[mutant].exit_code_by_key[mutant]

    def save(self, mutant: str, code: int) -> None:
        """Keep what became of a mutant."""
        self._files[mutant].exit_code_by_key[mutant] = code
        self._files[mutant].save()

    def of(self, part: str) -> dict[str, int | None]:
        """Return those of a package or module."""
        start = f"pytest_greenops.{part}."
        return {mutant: self[mutant] for mutant in self._files if mutant.startswith(start)}


class Forks:
    """A plugin of pytest that tries mutants in forks, in place of running the collected tests."""

    def __init__(
        self,
        mutants: Sequence[str],
        results: Results,
        processes: int,
        say: Callable[[str], object],
    ) -> None:
        self._mutants = mutants
        self._results = results
        self._processes = processes
        self._say = say

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what each test reaches, then try each mutant with the tests that reach it."""
        reaching = defaultdict(list)
        self._say(f"{len(session.items)} tests\n")
        ends = [*self._ended([Job("stats", [test], 60) for test in session.items])]
        for end in sorted(ends, key=lambda end: end.cpu_s):
            if end.code != SURVIVED:
                self._say(f"fails beside mutmut, left out: {end.job.tests[0].nodeid}\n")
                continue
            for function in end.reached:
                reaching[function].append(end)
        jobs = []
        for mutant in self._mutants:
            every = reaching[mutant.partition("__mutmut_")[0]]
            fast = [end for end in every if end.cpu_s <= SLOW_S] or every
            limit_s = LIMIT_S + LIMIT_TIMES * sum(end.wall_s for end in fast)
            jobs.append(Job(mutant, [test for end in fast for test in end.job.tests], limit_s))
        for number, end in enumerate(self._ended(jobs), 1):
            code = end.code if end.job.tests else NO_TEST
            self._results.save(end.job.mutant, code)
            self._say(f"\r{number} of {len(jobs)}")
            if code in WORDS:
                self._say(f" {WORDS[code]}: {end.job.mutant}\n")
        return True

    def _ended(self, jobs: Iterable[Job]) -> Iterator[End]:
        """Run each job in a fork of its own, some at the same time; return how each one ended."""
        waiting = iter(jobs)
        running: dict[int, tuple[Job, Path, float]] = {}
        overdue: set[int] = set()
        while True:
            while len(running) < self._processes and (job := next(waiting, None)):
                folder = Path(tempfile.mkdtemp())
                running[_forked(job, folder)] = job, folder, time.monotonic()
            if not running:
                return
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            now = time.monotonic()
            if not pid:
                for late in [pid for pid, (job, _, at) in running.items() if now > at + job.limit_s]:
                    os.killpg(late, signal.SIGKILL)
                    overdue.add(late)
                time.sleep(0.002)
                continue
            with suppress(ProcessLookupError):  # what a test has started and not ended
                os.killpg(pid, signal.SIGKILL)
            job, folder, begun = running.pop(pid)
            code = TIMEOUT if pid in overdue else KILLED if status else SURVIVED
            noted = folder / "reached"
            reached = json.loads(noted.read_text()) if noted.exists() else ()
            shutil.rmtree(folder, ignore_errors=True)
            yield End(job, code, usage.ru_utime + usage.ru_stime, now - begun, reached)
            overdue.discard(pid)


def _forked(job: Job, folder: Path) -> int:
    """Fork, and run the tests of a job in the child until one fails; return its process id."""
    if pid := os.fork():
        with suppress(PermissionError, ProcessLookupError):  # whoever of the two is first
            os.setpgid(pid, pid)
        return pid
    status = KILLED
    try:
        os.setpgid(0, 0)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
        set_mutant_under_test(job.mutant)
        for test, following in zip(job.tests, [*job.tests[1:], None], strict=True):
            test.ihook.pytest_runtest_protocol(item=test, nextitem=following)
            if test.session.testsfailed:
                break
        else:
            status = SURVIVED
        if job.mutant == "stats":
            (folder / "reached").write_text(json.dumps([*state()._stats]))
    finally:
        os._exit(status)


def main(arguments: Sequence[str]) -> int:
    """Try the mutants of some packages, print what survived and a row for each module."""
    parser = argparse.ArgumentParser(prog="python tests/mutation.py")
    parser.add_argument("parts", metavar="PACKAGE[.MODULE]", nargs="*", help="default: all")
    parser.add_argument("--processes", type=int, default=1, help="mutants at the same time")
    parser.add_argument("--digits", default="0123456789", help="how their numbers end")
    parser.add_argument("--survived", action="store_true", help="try these again too")
    given = parser.parse_args(arguments)
    parts = given.parts or PACKAGES
    packages = dict.fromkeys(part.partition(".")[0] for part in parts)
    if unknown := packages.keys() - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(PACKAGES)}")
    _make_mutants()
    again = (None, SURVIVED, NO_TEST) if given.survived else (None,)
    for package in packages:
        results = Results()
        chosen = [
            mutant
            for part in parts
            if part.split(".")[0] == package
            for mutant, code in results.of(part).items()
            if code in again and mutant[-1] in given.digits
        ]
        random.Random(1).shuffle(chosen)  # what was tried is an even sample at any time
        if chosen:
            _try_mutants(package, chosen, results, given.processes)
    results = Results()
    for part in parts:
        _print_table(part, results.of(part))
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
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(os.cpu_count() or 1)


def _try_mutants(package: str, mutants: Sequence[str], results: Results, processes: int) -> None:
    """Try mutants of a package, in a fork: it imports the package."""
    say = open(os.dup(1), "w", buffering=1)
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    with open(FOLDER / f"{package}.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(ENVIRON)
    os.chdir(MUTANTS)
    sys.path[0] = str(MUTANTS)
    set_mutant_under_test("")
    plugin = Forks(mutants, results, processes, say.write)
    os._exit(pytest.main([*ARGUMENTS, f"tests/unit/{package}"], plugins=[plugin]))


def _print_table(part: str, codes: dict[str, int | None]) -> None:
    """Print what survived in a part, and a row of figures for each module and for the whole."""
    counted: dict[str, Counter[int | None]] = defaultdict(Counter)
    for mutant, code in codes.items():
        if code in WORDS:
            print(f"{WORDS[code]}: {mutant}")
        module = mutant.partition(".")[2].partition(".x")[0]
        for row in {module, part}:
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
