"""Energy regression testing for pytest."""

from typing import TYPE_CHECKING, Any

from pytest_greenops.model.errors import (
    EnergyBudgetExceeded,
    EnergyFailure,
    EnergyRegression,
    EnergyUnproven,
    EnergyWorkIncreased,
)

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy
    from pytest_greenops.model.result import Result

__version__ = "0.2.0"
__all__ = [
    "Energy",
    "EnergyBudgetExceeded",
    "EnergyFailure",
    "EnergyRegression",
    "EnergyUnproven",
    "EnergyWorkIncreased",
    "Result",
]


def __getattr__(name: str) -> Any:
    """Import a type only when it is needed: a run without --energy needs none."""
    if name == "Result":
        from pytest_greenops.model.result import Result

        return Result
    if name == "Energy":
        from pytest_greenops.hooks.fixture import Energy

        return Energy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
