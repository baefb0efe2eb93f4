"""Energy regression testing for pytest."""

from pytest_greenops.model.errors import (
    EnergyBudgetExceeded,
    EnergyFailure,
    EnergyRegression,
    EnergyUnproven,
)

__version__ = "0.1.0"
__all__ = ["EnergyBudgetExceeded", "EnergyFailure", "EnergyRegression", "EnergyUnproven"]
