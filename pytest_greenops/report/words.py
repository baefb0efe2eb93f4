"""Every sentence that a user reads about results, under one roof."""

from pytest_greenops.report.closing import (
    SensorLine,
    Unreadable,
    closing_line,
    header,
)
from pytest_greenops.report.layers import failed_while_explained
from pytest_greenops.report.reasons import (
    failed_in_repetition,
    failure,
    reason,
    unproven,
    verdict_word,
)
from pytest_greenops.report.section import failure_section

__all__ = [
    "SensorLine",
    "Unreadable",
    "closing_line",
    "failed_in_repetition",
    "failed_while_explained",
    "failure",
    "failure_section",
    "header",
    "reason",
    "unproven",
    "verdict_word",
]
