"""A plugin that runs one of the collected tests: the one that a bisect follows.

`-p pytest_greenops.hooks.only_test` loads it, and an environment variable names the test.
"""

from __future__ import annotations

import os

import pytest

from pytest_greenops.hooks.selection import key_parts
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.run_options import ONLY_VARIABLE


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect every other test."""
    node_id = os.environ.get(ONLY_VARIABLE)
    if node_id is None:
        return
    kept: list[pytest.Item] = []
    rest: list[pytest.Item] = []
    for item in items:
        followed = TestKey(*key_parts(item)).node_id == node_id
        (kept if followed else rest).append(item)
    if rest:
        config.hook.pytest_deselected(items=rest)
    items[:] = kept
