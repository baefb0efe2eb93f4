"""What a profiler does that stops as soon as it can tell."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_greenops.insight.what_if.extrapolate import WINDOW, extrapolate
from pytest_greenops.model.scenario import Extrapolation


def after_start_up(epochs_j: Sequence[float]) -> Extrapolation:
    """Project a training by its start-up and the first window that is stable, and by no more.

    What comes after that window is held out: it is not looked at.
    """
    total = len(epochs_j)
    projected = extrapolate(epochs_j[:WINDOW], total)
    while not projected.stable and projected.seen < total:
        projected = extrapolate(epochs_j[: projected.seen + 1], total)
    return projected
