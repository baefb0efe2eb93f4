"""The energy tests of a run: which items they are, their budgets and their keys."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_greenops.model.errors import BudgetError, OptionError, encodable
from pytest_greenops.model.run_options import Options

if TYPE_CHECKING:
    from pytest_greenops.model.budget import Budget

MARKER = "energy_budget"
#: The mark that `energy_budgets` in the ini file gave a test.
INI_MARK = pytest.StashKey[pytest.Mark]()
#: The module of our fixture.
_PLUGIN = "pytest_greenops.plugin"
#: Whether benchmarks are energy tests (`--energy-benchmarks`).
BENCHMARKS = pytest.StashKey[bool]()
#: The modules of `benchmark` fixtures that are measured.
BENCHMARK_MODULES = (
    "pytest_benchmark.plugin",
    "pytest_codspeed.plugin",
    "pytest_greenops.hooks.own_benchmark",
)
#: The fixtures, and the markers, of benchmarks.
BENCHMARK_NAMES = ("benchmark", "codspeed_benchmark")


def budget_of(item: pytest.Item) -> Budget:
    """Return the budget of an item's marks, nearest first; raises `BudgetError`.

    That of the ini file is a mark of the item itself, so that `-m` selects it, but the farthest.
    """
    from pytest_greenops.model.budget import Budget

    return Budget.from_marks((mark.args, mark.kwargs) for mark in _nearest_first(item))


def _nearest_first(item: pytest.Item) -> list[pytest.Mark]:
    of_ini = item.stash.get(INI_MARK, None)
    marks = [mark for mark in item.iter_markers(MARKER) if mark is not of_ini]
    return [*marks, of_ini] if of_ini else marks


def reject_invalid_marks(report: pytest.CollectReport) -> None:
    """Fail a collection that found tests with invalid marks, with a line for each test."""
    invalid = invalid_marks(item for item in report.result or () if isinstance(item, pytest.Item))
    if invalid:
        report.outcome = "failed"
        report.result = []
        report.longrepr = "\n".join(invalid)


def invalid_marks(items: Iterable[pytest.Item]) -> list[str]:
    """Return a line for each test function with invalid marks."""
    invalid: dict[str, str] = {}
    valid: set[tuple[int, ...]] = set()  # the marks of tests are the same for all parameters
    for item in items:
        marks = tuple(map(id, _nearest_first(item)))
        if not marks or marks in valid:
            continue
        try:
            budget_of(item)
            valid.add(marks)
        except BudgetError as error:
            module, qualname, _ = key_parts(item)
            invalid.setdefault(f"{module}::{qualname.replace('.', '::')}", str(error))
    return [f"{test}: {why}" for test, why in invalid.items()]


def is_energy_test(item: pytest.Item) -> bool:
    """Return whether the item has a budget or uses the fixture `energy` of this plugin.

    With `--energy-benchmarks`, benchmarks are energy tests too: they use the fixture of a plugin
    for benchmarks, or carry its marker.
    """
    return (
        item.get_closest_marker(MARKER) is not None
        or uses_handle(item)
        or uses_benchmark(item)
        or (
            item.config.stash.get(BENCHMARKS, False)
            and any(item.get_closest_marker(name) for name in BENCHMARK_NAMES)
        )
    )


def uses_handle(item: pytest.Item) -> bool:
    """Return whether the name `energy` of an item, or of its fixtures, is our fixture."""
    return _uses(item, "energy", (_PLUGIN,))


def uses_benchmark(item: pytest.Item) -> bool:
    """Return whether this run measures an item by its `benchmark` fixture."""
    return item.config.stash.get(BENCHMARKS, False) and times_itself(item)


def times_itself(item: pytest.Item) -> bool:
    """Return whether an item has its work repeated by the `benchmark` fixture of a plugin.

    A project's own fixture of this name is none. A test that uses `energy` too says by that what
    it measures.
    """
    return any(_uses(item, name, BENCHMARK_MODULES) for name in BENCHMARK_NAMES) and (
        not uses_handle(item)
    )


def _uses(item: pytest.Item, name: str, modules: Collection[str]) -> bool:
    """Return whether a name of an item, or of its fixtures, is a fixture of one of these modules.

    It may be a parameter of the test, or a fixture of the project; that one may use ours.
    """
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    for fixture in reversed(known.get(name, ())):
        if getattr(fixture.func, "__module__", None) in modules:
            return True
        if name not in fixture.argnames:
            return False
    return False


def has_function(item: pytest.Item) -> bool:
    """Return whether an item is a test function, and not a doctest or a file of another kind."""
    return isinstance(item, pytest.Function) or callable(getattr(item, "obj", None))


def why_never(item: pytest.Item) -> Iterator[str]:
    """Yield why an item could not measure anything, if that is not for the test to decide."""
    if not has_function(item):
        yield f"it is a {type(item).__name__}; only test functions and methods can be measured"
    elif times_itself(item) and not uses_benchmark(item):
        yield "its work runs in the fixture benchmark: add --energy-benchmarks"


def select(items: list[pytest.Item], options: Options) -> list[pytest.Item]:
    """Remove in place what `--energy-only` or `--energy-skip` excludes, and return it."""
    if not (options.only or options.skip):
        return []
    energy = {item for item in items if is_energy_test(item)}
    dropped = [item for item in items if (item in energy) != options.only]
    items[:] = [item for item in items if (item in energy) == options.only]
    return dropped


def keep_in_one_thread(items: Iterable[pytest.Item]) -> None:
    """Make pytest-run-parallel run energy tests once, and each in one thread.

    Of calls in several threads at once, none would know its own joules.
    """
    for item in items:
        if is_energy_test(item):
            item.add_marker(pytest.mark.thread_unsafe(reason="is an energy test"), append=False)
            item.add_marker(pytest.mark.iterations(1), append=False)


def key_parts(item: pytest.Item) -> tuple[str, str, str | None]:
    """Return the module path from the root directory, qualified name and param id of an item."""
    assert item.parent is not None
    function = getattr(item, "originalname", None) or item.name
    module, *classes = item.parent.nodeid.split("::")
    if not module:  # outside the root directory
        module = Path(os.path.relpath(item.path, item.config.rootpath)).as_posix()
    module = encodable(module)
    if not has_function(item):  # its name may have dots that separate no classes
        return module, encodable(f"{module}::{'::'.join([*classes, item.name])}"), None
    callspec = getattr(item, "callspec", None)
    param_id = _param_id(callspec) if callspec and item.name != function else None
    qualname = encodable(".".join([*classes, function]))
    return module, qualname, param_id and encodable(param_id)


def _param_id(callspec: Any) -> str | None:
    """Return what is in the brackets; repetitions by pytest-repeat (`[gzip-1-3]`) are one test."""
    number = callspec.params.get("__pytest_repeat_step_number")
    if number is None:
        return str(callspec.id)
    return re.sub(rf"-?{number + 1}-\d+$", "", callspec.id) or None


def refuse_collection(session: pytest.Session, why: str) -> None:
    """Run no test in a worker of pytest-xdist, which a usage error would crash, and say why."""
    session.items.clear()
    report = pytest.CollectReport("", "failed", why, [])
    session.config.hook.pytest_collectreport(report=report)


def refuse_workers(config: pytest.Config, estimated_only: bool) -> None:
    """Raise `OptionError` for workers of pytest-xdist that would disturb each other.

    Several on this host would share its counters. Several hosts are compared only if each of them
    runs all tests. Of workers elsewhere it is known which share a host once they have started.
    """
    specs = _worker_specs(config)
    here = sum(map(is_here, specs))
    if here > 1 and not estimated_only:
        raise OptionError(
            f"-n {here}: energy counters count the whole machine, so parallel tests would be "
            "charged for each other; measure with -n0, or --energy-sensors estimate"
        )
    if len(specs) > max(1, here) and config.option.dist != "each":
        raise OptionError(
            f"--dist {config.option.dist}: chance would say on which host of --tx a test runs, and "
            "each has its own baselines; run all tests on each: --dist each"
        )


def is_over_hosts(config: pytest.Config) -> bool:
    """Return whether pytest-xdist runs tests, and none in a process that this one starts here."""
    specs = _worker_specs(config)
    return bool(specs) and not any(map(is_here, specs))


def _worker_specs(config: pytest.Config) -> list[str]:
    """Return the arguments of `--tx`, one for each worker: two for `2*popen`."""
    if getattr(config.option, "dist", "no") == "no":
        return []
    return [each for spec in config.option.tx or () for each in _repeated(spec)]


def is_here(spec: str) -> bool:
    """Return whether an argument of `--tx` is a process that pytest-xdist starts on this host."""
    return "popen" in spec.rpartition("*")[2].split("//")


def _repeated(spec: str) -> list[str]:
    number, times, of_each = spec.partition("*")
    if times and number.strip().isdecimal():
        return [of_each] * int(number.strip()[:9])
    return [spec]
