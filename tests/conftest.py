"""All tests: `pytester` runs pytest in folders of its own."""

import gc

import pytest

pytest_plugins = ["pytester"]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Freeze the collected objects, so that no measurement collects garbage among them."""
    gc.collect()
    gc.freeze()
