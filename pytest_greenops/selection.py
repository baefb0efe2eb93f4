"""The energy tests of a run: which items they are, their budgets, their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_greenops.model.errors import BudgetError, OptionError
from pytest_greenops.model.options import Options

if TYPE_CHECKING:
    from pytest_greenops.model.budget import Budget

MARKER = "energy_budget"


def budget_of(item: pytest.Item) -> Budget:
    """The budget of an item's marks, nearest first; raises `BudgetError`."""
    from pytest_greenops.model.budget import Budget

    return Budget.from_marks((mark.args, mark.kwargs) for mark in item.iter_markers(MARKER))


def refuse_wrong_marks(report: pytest.CollectReport) -> None:
    """Make a collection fail that brought tests with wrong marks, with a line for each of them."""
    wrong: dict[str, str] = {}
    for item in report.result or ():
        try:
            if isinstance(item, pytest.Item) and item.get_closest_marker(MARKER):
                budget_of(item)
        except BudgetError as error:
            function = getattr(item, "originalname", None) or item.name
            wrong.setdefault(f"{item.nodeid.rpartition('::')[0]}::{function}", str(error))
    if wrong:
        report.outcome = "failed"
        report.result = []
        report.longrepr = "\n".join(f"{test}: {MARKER}: {why}" for test, why in wrong.items())


def is_energy_test(item: pytest.Item) -> bool:
    """Whether the item has a budget, or asks for the fixture `energy`."""
    marked = item.get_closest_marker(MARKER) is not None
    return marked or "energy" in getattr(item, "fixturenames", ())


def choose(items: list[pytest.Item], options: Options) -> list[pytest.Item]:
    """Keep what `--energy-only` or `--energy-skip` leaves, in place; return what it does not."""
    if not (options.only or options.skip):
        return []
    energy = {item for item in items if is_energy_test(item)}
    kept = [item for item in items if (item in energy) == options.only]
    dropped = [item for item in items if (item in energy) != options.only]
    items[:] = kept
    return dropped


def key_parts(item: pytest.Item) -> tuple[str, str, str | None]:
    """Module path from the root directory, qualified name, and param id of an item."""
    module, *names = item.nodeid.split("::")
    names[-1:] = [getattr(item, "originalname", None) or item.name]
    callspec = getattr(item, "callspec", None)
    return module, ".".join(names), callspec.id if callspec else None


def refuse_workers(config: pytest.Config, estimated_only: bool) -> None:
    """Raise `OptionError` where several workers would share counters of the whole machine."""
    workers = len(getattr(config.option, "tx", None) or ())
    if workers > 1 and not estimated_only:
        raise OptionError(
            f"-n {workers}: energy counters count the whole machine, so tests that run side by "
            "side would be charged for each other; measure with -n0, or --energy-sensors estimate"
        )
