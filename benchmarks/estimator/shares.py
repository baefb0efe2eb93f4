"""Least squares of relative errors, with no negative part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]


def fitted(terms: Array, usual: Array | None = None, weight: float = 1.0) -> Array:
    """Multiples of terms, none negative, with which each row sums to one as nearly as may be.

    terms   a row for each thing measured: its terms, over what they should sum to
    usual   multiples towards which they are drawn, with the weight of so many rows
    """
    import numpy as np
    from scipy.optimize import nnls

    scale = terms.mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    rows, targets = terms / scale, np.ones(len(terms))
    if usual is not None:
        rows = np.vstack([rows, weight**0.5 * np.eye(len(scale))])
        targets = np.concatenate([targets, weight**0.5 * usual * scale])
    multiples, _ = nnls(rows, targets)
    return np.asarray(multiples / scale)
