"""The warm process of a side."""

from __future__ import annotations

from pytest_greenops.hooks.side_process import scattered_memory


def test_each_start_has_a_memory_layout_of_its_own() -> None:
    """Two starts keep different numbers of small blocks, of different sizes."""
    layouts = [[len(block) for block in scattered_memory()] for _ in range(5)]
    assert len({len(sizes) for sizes in layouts}) > 1
    assert len({sum(sizes) for sizes in layouts}) == len(layouts)
    assert all(1 <= size < 512 for sizes in layouts for size in sizes)
