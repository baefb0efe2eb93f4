"""Benchmarks as they stand: calls, pedantic ones with a set-up, and groups."""

import time

import pytest


@pytest.mark.benchmark(group="calls", min_rounds=5)
def test_call(benchmark, spend):
    """The result is that of the function."""

    def call(value):
        time.sleep(0.001)
        spend(2.0)
        return value

    assert benchmark(call, 3) == 3


def test_pedantic(benchmark, spend):
    """A set-up gives the arguments of each round."""
    assert benchmark.pedantic(spend, setup=lambda: ((4.0,), {}), rounds=3) is None
    benchmark.extra_info["size"] = 7
