"""Figures as files keep them."""

from __future__ import annotations

from typing import Any

DIGITS = 6


def significant(value: Any) -> Any:
    """The same document with every float rounded to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: significant(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [significant(item) for item in value]
    return value
