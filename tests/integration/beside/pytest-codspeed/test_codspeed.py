"""Benchmarks as they stand: with the fixture, and with the marker alone."""

import pytest


def test_call(benchmark, spend):
    """The result is that of the function."""

    def call(value):
        spend(2.0)
        return value

    assert benchmark(call, 3) == 3


@pytest.mark.benchmark
def test_marked(spend):
    """A marked test is timed as a whole."""
    spend(4.0)
