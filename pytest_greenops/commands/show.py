"""`pytest-greenops show`: list baselines, and acknowledge what crept up."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops.baselines.accept import acknowledge
from pytest_greenops.baselines.overview import by_machine, selected
from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.baselines.whole_file import saving_to
from pytest_greenops.baselines.work_store import WorkSurvey, survey_work
from pytest_greenops.commands.command import BASELINES, NEGATIVE, Command, add_machine
from pytest_greenops.commands.console import Screen, print_lines, print_problems
from pytest_greenops.judge.creep import in_small_steps
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError, nearest
from pytest_greenops.model.units import counted
from pytest_greenops.report.overview_table import inventory_lines
from pytest_greenops.report.work_inventory import Held, work_lines

#: At most this many tests are named where none matches.
_NAMED = 3


class Show(Command):
    """The sub-command `show`."""

    name = "show"
    help = "list baselines: energy, sessions, spread, creep by small accepted steps, and work"
    negative = "no test matches"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the folder, the tests, the machine and the acknowledgement."""
        parser.usage = "%(prog)s [-h] [--machine NAME] [--acknowledge] [DIR] [TEST ...]"
        text = f"the folder (default: {BASELINES}), then parts of test names"
        parser.add_argument("names", nargs="*", metavar="[DIR] [TEST ...]", help=text)
        add_machine(parser)
        text = "accept what crept up in these baselines: creep counts from their level of now"
        parser.add_argument("--acknowledge", action="store_true", help=text)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the baselines; return 1 if there are none of such tests."""
        folder, tests = _folder_and_tests(arguments.names)
        work = WorkSurvey({}, ()) if arguments.machine else survey_work(folder)
        found, damaged = survey(folder, arguments.machine, optional=not work.empty)
        if arguments.acknowledge:
            found, count = _acknowledge(folder, found, tests)
        held, counts = by_machine(folder, found, tests), list(_held(work, tests))
        screen = Screen.of_stdout()
        if held:
            save = saving_to(folder)
            print_lines(inventory_lines(held, screen.width, screen.unicode, save))
        if counts:
            print_lines([""] if held else [])
            print_lines(work_lines(counts, screen.width, screen.unicode))
        if held and arguments.acknowledge:
            print_lines([f"energy: creep of {counted(count, 'measurement')} acknowledged"])
        damaged += work.damaged
        if not (held or counts or damaged):
            known = [each.test for each in found.values()]
            known += [each.test for each in work.baselines.values()]
            print_problems([_no_such_test(folder, tests, known)])
            return NEGATIVE
        return print_problems(damaged)


def _folder_and_tests(names: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """Split the arguments: the first one is the folder if such a folder exists.

    Raises `BaselineError` if it may be the name of a folder or of a test, and nothing is there.
    """
    if names and Path(names[0]).is_dir():
        return Path(names[0]), names[1:]
    if names and not BASELINES.is_dir():
        raise BaselineError(
            f"{names[0]}: no such folder, and no folder {BASELINES} with a test of that name: name "
            "an existing folder of baselines, or save some with pytest --energy-save"
        )
    return BASELINES, names


def _held(work: WorkSurvey, tests: Sequence[str]) -> Iterator[Held]:
    """Yield the accepted work of the selected measurements."""
    for baseline in work.baselines.values():
        for name, accepted in sorted(baseline.measurements.items()):
            if selected(baseline.test, name, tests):
                yield baseline.test, name, accepted


def _no_such_test(folder: Path, tests: Sequence[str], found: Iterable[TestKey]) -> str:
    """Return which names were looked for, and the nearest or the first ones that exist."""
    known = list(dict.fromkeys(test.name for test in found))
    near = list(filter(None, (nearest(part, known) for part in tests)))
    named = list(dict.fromkeys(near or known))[:_NAMED]
    more = len(known) - len(named)
    listed = ", ".join(named) + (f" and {more} more" if more and not near else "")
    has = f"the nearest: {listed}" if near else f"it has {counted(len(known), 'test')}: {listed}"
    return f"{folder}: no baseline of a test named like {' or '.join(tests)}; {has}"


def _acknowledge(
    folder: Path, found: Mapping[Path, Baseline], tests: Sequence[str]
) -> tuple[dict[Path, Baseline], int]:
    """Acknowledge what crept up in the selected measurements; return them, and how many these are.

    Raises `BaselineError` for a file that cannot be written.
    """
    known, count = dict(found), 0
    for path, baseline in found.items():
        crept = [
            name
            for name, series in baseline.measurements.items()
            if selected(baseline.test, name, tests) and in_small_steps(series)
        ]
        if crept:
            store = Store(folder, path.relative_to(folder).parts[0])
            known[path] = store.write(path, partial(_acknowledged, crept, baseline))
            count += len(crept)
    return known, count


def _acknowledged(names: Sequence[str], seen: Baseline, there: Baseline | None) -> Baseline:
    baseline = there or seen
    kept = baseline.measurements
    changed = {name: acknowledge(kept[name]) for name in names if name in kept}
    return replace(baseline, measurements={**kept, **changed})
