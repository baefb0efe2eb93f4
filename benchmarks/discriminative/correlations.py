"""How closely one figure follows another, over the architectures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

#: Two points always lie on a line.
FEWEST = 3
#: So many points have few enough orders to try them all; of more, p is approximated.
_EXACT = 8
_ROUNDING = 1e-9


class Correlation(NamedTuple):
    """Pearson's and Spearman's coefficients of `n` points, each with its two-sided p-value.

    Pearson's p supposes figures that are normally distributed. Spearman's is exact for up to eight
    points, and Student's t beyond.
    """

    n: int
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def correlation(xs: Sequence[float], ys: Sequence[float]) -> Correlation | None:
    """How `ys` follow `xs`; None of fewer than three points, or where either never changes."""
    from scipy.stats import pearsonr, spearmanr

    if len(xs) < FEWEST or len(set(xs)) == 1 or len(set(ys)) == 1:
        return None
    pearson, spearman = pearsonr(xs, ys), spearmanr(xs, ys)
    spearman_p = _exact_p(xs, ys) if len(xs) <= _EXACT else spearman.pvalue
    found = (pearson.statistic, pearson.pvalue, spearman.statistic, spearman_p)
    return Correlation(len(xs), *map(float, found)) if all(map(math.isfinite, found)) else None


def _exact_p(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The share of all orders of `ys` whose ranks follow those of `xs` as closely."""
    import numpy as np
    from scipy.stats import rankdata

    x, y = (ranks - ranks.mean() for ranks in (rankdata(xs), rankdata(ys)))
    products: Any = np.abs(np.array(list(permutations(y))) @ x)
    return float(np.mean(products >= abs(x @ y) - _ROUNDING))
