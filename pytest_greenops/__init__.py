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

__version__ = "0.1.0"
__all__ = [
    "Energy",
    "EnergyBudgetExceeded",
    "EnergyFailure",
    "EnergyRegression",
    "EnergyUnproven",
    "EnergyWorkIncreased",
]


def __getattr__(name: str) -> Any:
    """Import the type of the fixture only when it is needed: a run without --energy does not."""
    if name == "Energy":
        from pytest_greenops.hooks.fixture import Energy

        return Energy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
