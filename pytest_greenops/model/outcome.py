"""The words of a verdict."""

from __future__ import annotations

from enum import Enum


class Outcome(str, Enum):
    """The eight words of a verdict."""

    PASSED = "passed"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    OVER_BUDGET = "over budget"
    INCONCLUSIVE = "inconclusive"
    NO_BASELINE = "no baseline"
    NOT_COMPARABLE = "not comparable"
    NOT_MEASURED = "not measured"
