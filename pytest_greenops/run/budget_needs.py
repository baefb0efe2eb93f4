"""What a budget needs of its test and of its run, and what to add where that is missing."""

from __future__ import annotations

from collections.abc import Collection

from pytest_greenops.judge.case import Rules
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.errors import GreenopsError

_NOT_COUNTED = (
    "the benchmark does not count this unit; name the key of its extra_info that does: "
    "energy_benchmark_units = KEY:{per}"
)


def check_run(budget: Budget, rules: Rules) -> None:
    """Raise `GreenopsError` if carbon is limited, and the run does not know that of its grid."""
    if budget.max_carbon_g is not None and rules.carbon is None:
        raise GreenopsError(
            "energy_budget: max_carbon needs the carbon intensity of the grid; add "
            "--energy-carbon-intensity '400 g/kWh' (its own figure) or --energy-region CODE, "
            "or the same in the ini file"
        )


def check_call(budget: Budget, units: Collection[str]) -> None:
    """Raise `GreenopsError` if the budget is per a unit that the test has not declared so far."""
    if budget.per and budget.per not in (*units, "call"):
        raise GreenopsError(
            f"energy_budget: per={budget.per!r}, but the test does not count this unit; "
            f"declare it before the call: energy.units({budget.per}=...)"
        )


def check_quality(budget: Budget, reported: Collection[str]) -> None:
    """Raise `GreenopsError` if the budget limits a drop of quality and the test reported none."""
    if budget.max_quality_drop is not None and not reported:
        raise GreenopsError(
            "energy_budget: max_quality_drop needs a quality, but the test reports none; "
            "report it before the test ends: energy.quality(accuracy=...)"
        )


def check_benchmark(budget: Budget, units: Collection[str]) -> None:
    """Raise `GreenopsError` if the budget is per a unit that a benchmark does not count."""
    if why := why_not_counted(budget, units):
        raise GreenopsError(f"energy_budget: per={budget.per!r}, but {why}")


def why_not_counted(budget: Budget, units: Collection[str]) -> str | None:
    """Return what to add for the unit of the budget to a benchmark that counts these, or None."""
    if budget.per in (None, "call", *units):
        return None
    return _NOT_COUNTED.format(per=budget.per)
