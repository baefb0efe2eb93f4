"""What can go wrong, by name: failures of a test on one side, mistakes and mishaps on the other."""

from __future__ import annotations


class EnergyFailure(AssertionError):
    """A test that passed, but whose energy did not: raised in its call phase."""


class EnergyRegression(EnergyFailure):
    """A test used more energy than its baseline and margin allow."""


class EnergyBudgetExceeded(EnergyFailure):
    """A test used more energy, power or carbon than the absolute budget of its marker."""


class EnergyUnproven(EnergyFailure):
    """`--energy-strict`: a test whose energy could not be shown to be within its limits."""


class GreenopsError(Exception):
    """A mistake or a mishap, told in one line that names the thing and the mend."""


class UnitError(GreenopsError, ValueError):
    """A quantity that cannot be read: no number, no unit, an unknown unit, or a negative value."""


class BudgetError(GreenopsError, ValueError):
    """A keyword or value that the marker `energy_budget` does not take."""


class OptionError(GreenopsError, ValueError):
    """A command-line option or ini value that cannot be used."""


class BaselineError(GreenopsError):
    """A baseline that cannot be read or written."""


class ResultsError(GreenopsError):
    """A file of JSON results that cannot be read, written or used."""


class InsightError(GreenopsError, ValueError):
    """Figures that do not answer a question: too few, of a wrong kind, or of no known region."""


class SensorUnavailable(GreenopsError):
    """A sensor that cannot be read here.

    `reason` says what is in the way; `remedy` is the command or step that mends it, if there is
    one; `absent` is True where the machine has no such device at all, so that nobody misses it.
    """

    def __init__(self, reason: str, remedy: str | None = None, absent: bool = False) -> None:
        super().__init__(reason if remedy is None else f"{reason}; to mend: {remedy}")
        self.reason = reason
        self.remedy = remedy
        self.absent = absent
