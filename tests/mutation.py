"""Change the code in small ways, and see whether a unit test fails for each: mutation testing.

`python -m tests.mutation [--digits DIGITS] [PACKAGE ...] [PACKAGE.MODULE ...]`. mutmut makes the
changes (mutants) in the functions of a package, and runs the tests in the folder of `tests/unit`
that mirrors it. The mutants of a module that is named are all tried, or those whose number ends in
some digits. Those of a package are tried if they survived the last time, or if their function has
changed: `build/mutation` has the results.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/mutation"
PACKAGES = ("judge", "baselines", "measure", "sensors", "work")
#: What mutmut says of a mutant that a test has found: one that never ends is found too.
KILLED = {"killed", "timeout"}
#: The plugins of the tests alone: mutmut starts pytest anew for each mutant.
ENVIRON = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": ""}
#: What the tests import; mutmut copies it.
LINKED = ("pytest_greenops", "tests", "benchmarks")
#: Simulations and races of processes that take a second: each mutant that survives runs its tests.
SLOW = tuple(
    f"tests/unit/{file}.py::test_{name}"
    for file, *names in (
        (
            "judge/test_pair_confirmation",
            "false_alarms_of_processes_that_are_shifted",
            "passes_of_an_increase_that_processes_hide",
        ),
        ("judge/test_pair_decision", "error_and_detection_rates_hold_in_simulated_noise"),
        ("judge/test_decision", "a_session_that_agrees_never_makes_a_verdict_less_certain"),
        ("judge/test_judgement", "three_sessions_of_a_minute_prove_little"),
        ("judge/test_work_comparison", "steps_add_up_to_the_whole_change"),
        (
            "baselines/test_folder_lock",
            "processes_with_other_temporary_folders_keep_all_that_each_saved",
            "killed_processes_leave_whole_files_and_nothing_else",
        ),
        (
            "baselines/test_store",
            "a_full_disk_keeps_the_old_file",
            "a_read_only_disk_is_refused_before_measuring",
        ),
        ("baselines/test_whole_file", "a_log_keeps_what_is_before_and_after"),
        ("baselines/test_work_store", "processes_that_save_at_once_keep_what_each_accepted"),
    )
    for name in names
)
#: What a process imports, or may read as another user, which would include mutmut; and how long the
#: same work takes twice.
DISTURBED = tuple(
    f"tests/unit/{test}"
    for test in (
        "measure/test_synchronize.py::test_nothing_is_imported",
        "sensors/rapl/test_powercap.py::test_a_counter_for_root_alone_is_refused_with_the_fix",
        "sensors/rapl/test_powercap.py::test_a_range_for_root_alone_is_unknown",
        "sensors/rapl/test_powercap.py::test_the_fix_allows_only_the_group_to_read",
        "sensors/rapl/test_pyrapl.py::test_a_counter_for_root_alone_is_refused_with_the_fix",
        "work/test_counting_trip.py::test_the_compiler_is_not_loaded",
        "work/test_counting_trip.py::test_time_inside_operators",
    )
)
#: Each mutant begins in a process that has run no test: what is computed once is computed there.
SETTINGS = """\
[tool.mutmut]
source_paths = ["pytest_greenops"]
also_copy = ["benchmarks"]
only_mutate = ["pytest_greenops/{package}/*"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = ["tests/unit/{package}", "-m", "not real_time", {left_out}]
use_git_change_detection = false
process_isolation = "forkserver"

"""


class Count(NamedTuple):
    """How many mutants of a part there are, how many were killed, and what survived.

    survived  the name of each one, and what mutmut says of it
    """

    all: int
    killed: int
    survived: tuple[tuple[str, str], ...]

    @property
    def row(self) -> str:
        """Its figures; the share is that of the mutants that were tried."""
        tried = self.killed + len(self.survived)
        share = f"{100 * self.killed / max(1, tried):.1f} %"
        return f"{self.all:9}{tried:8}{self.killed:8}{len(self.survived):10}{share:>9}"


def main(arguments: Sequence[str]) -> int:
    """Try the mutants of some packages, print a row for each and what is not killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("parts", metavar="PACKAGE[.MODULE]", nargs="*", help="default: all")
    parser.add_argument("--processes", type=int, default=1, help="mutants at the same time")
    parser.add_argument(
        "--digits", default="", help="only mutants whose number ends in one of these"
    )
    given = parser.parse_args(arguments)
    parts = given.parts or PACKAGES
    packages = dict.fromkeys(part.partition(".")[0] for part in parts)
    if unknown := packages.keys() - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(PACKAGES)}")
    counts = {}
    for package in packages:
        modules = [part for part in parts if part.startswith(f"{package}.")]
        counts.update(_tried(package, modules, given.digits, given.processes))
    for part, count in counts.items():
        for mutant, state in count.survived:
            print(f"{state}: {mutant}")
        if count.survived:
            print(f"The change: (cd {FOLDER / part.partition('.')[0]} && mutmut show NAME)\n")
    print(f"{'part':28}{'mutants':>9}{'tried':>8}{'killed':>8}{'survived':>10}{'share':>9}")
    for part, count in counts.items():
        print(f"{part:28}{count.row}")
    return 0


def _tried(package: str, modules: list[str], digits: str, processes: int) -> dict[str, Count]:
    """Try mutants of a package, or of some of its modules; raise `CalledProcessError`."""
    folder = FOLDER / package
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    shutil.rmtree(folder / "mutants/tests", ignore_errors=True)
    left_out = ", ".join(f'"--deselect", "{test}"' for test in (*SLOW, *DISTURBED))
    settings = SETTINGS.format(package=package, left_out=left_out)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(settings + project, encoding="utf-8")
    run = ("run", "--max-children", str(processes))
    if modules or digits:
        end = f"*[{digits}]" if digits else "*"
        _mutmut(folder, *run, *(f"pytest_greenops.{part}.{end}" for part in modules or [package]))
    else:
        before = _counted(folder, package).survived if (folder / "mutants").is_dir() else ()
        _mutmut(folder, *run)
        if before:
            _mutmut(folder, *run, *(mutant for mutant, _ in before))
    return {part: _counted(folder, part) for part in modules or [package]}


def _counted(folder: Path, part: str) -> Count:
    """Return what mutmut knows of the mutants of a package or module."""
    listed = _mutmut(folder, "results", "--all", "true", quiet=True)
    name = rf"pytest_greenops\.{re.escape(part)}\.\S+__mutmut_\d+"
    states = re.findall(rf"^    ({name}): (.+)$", listed, re.MULTILINE)
    tried = [(mutant, state) for mutant, state in states if state != "not checked"]
    survived = tuple((mutant, state) for mutant, state in tried if state not in KILLED)
    return Count(len(states), len(tried) - len(survived), survived)


def _mutmut(folder: Path, *arguments: str, quiet: bool = False) -> str:
    """Run mutmut in a folder; return what it printed, if nobody sees it."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRON},
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=True,
    )
    return ran.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
