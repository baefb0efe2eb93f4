"""What is said of baselines that are removed."""

from __future__ import annotations

from pytest_greenops.model.units import counted


def removal_line(path: str, why: str, dry: bool) -> str:
    """One removed file, or one that would be: `removed baselines/….json: test_x.py is gone`."""
    return f"{'would remove' if dry else 'removed'} {path}: {why}"


def closing_line(removed: int, looked_at: int, dry: bool) -> str:
    """How many of how many."""
    verb = "would be removed" if dry else "removed"
    return f"energy: {removed} of {counted(looked_at, 'baseline')} {verb}"
