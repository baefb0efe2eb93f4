"""How many bytes the elements of tensors take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.work.footprint import footprint  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is in beta state
ONES, EYE = torch.ones(10, 4), torch.eye(8)
#: Bytes of eight values, and of what else a layout stores: two indices each, or one and the rows.
VALUES, INDICES, ROWS = 8 * 4, 8 * 8, 9 * 8


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ONES, 160),
        (lambda: ONES.double(), 320),
        (lambda: ONES.t(), 160),
        (lambda: ONES[:, :1], 40),
        (lambda: ONES[2:4], 32),
        (lambda: torch.ones(4).expand(10, 4), 16),
        (lambda: torch.ones(4)[::2].expand(3, 2), 8),
        (lambda: torch.ones(40).as_strided((10, 31), (1, 1)), 160),
        (lambda: torch.ones(0, 4), 0),
        (lambda: torch.tensor(1.0), 4),
        (lambda: EYE.to_sparse(), VALUES + 2 * INDICES),
        (lambda: EYE.to_sparse_csr(), VALUES + INDICES + ROWS),
        (lambda: EYE.to_sparse_csc(), VALUES + INDICES + ROWS),
        (lambda: EYE.to_sparse_bsr((2, 2)), 4 * 16 + 4 * 8 + 5 * 8),
        (lambda: EYE.to_sparse_bsc((4, 4)), 2 * 64 + 2 * 8 + 3 * 8),
        (lambda: EYE.to_mkldnn(), 256),
        (lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)]), 72),
    ],
    ids=[
        *("dense", "of 8 bytes", "transposed", "column", "rows"),
        *("repeated", "repeated and strided", "overlapping", "empty", "scalar"),
        *("coo", "csr", "csc", "bsr", "bsc", "blocked", "nested"),
    ],
)
def test_elements_that_share_memory_count_once(make: Callable[[], Any], expected: int) -> None:
    """Of a sparse tensor what it stores counts, and of a blocked one its elements."""
    assert footprint(make()) == expected
