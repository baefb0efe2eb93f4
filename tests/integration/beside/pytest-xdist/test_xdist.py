"""Tests that run in two workers."""

import os

import pytest


@pytest.mark.parametrize("joules", [1, 2, 3, 4])
def test_call(energy, spend, worker_id, joules):
    """Each test runs in a worker, which measures it."""
    assert worker_id == os.environ["PYTEST_XDIST_WORKER"]
    energy(spend, joules)
