"""All tests: `pytester` runs pytest in folders of its own."""

import gc
import signal

import pytest

pytest_plugins = ["pytester"]

# A shell without job control starts what runs in the background with Ctrl-C ignored. What tests
# start would inherit that, and never end where they press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Freeze the collected objects, so that no measurement collects garbage among them."""
    gc.collect()
    gc.freeze()
