"""Every sentence that a user reads about results, under one roof."""

from pytest_greenops.report.closing import (
    SensorLine,
    Unreadable,
    closing_line,
    header,
)
from pytest_greenops.report.reasons import failed_in_repetition, failure, reason, verdict_word
from pytest_greenops.report.section import failure_section

__all__ = [
    "SensorLine",
    "Unreadable",
    "closing_line",
    "failed_in_repetition",
    "failure",
    "failure_section",
    "header",
    "reason",
    "verdict_word",
]
