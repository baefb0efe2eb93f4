"""A suite for pytest-benchmark, as it was before it measured energy."""

from changes import kept

OLD = [f"row {n}" for n in range(4000)]
NEW = [f"row {n}" for n in range(2000, 6000)]


def test_kept(benchmark):
    """Half of the rows are in both."""
    assert len(benchmark(kept, OLD, NEW)) == 2000
