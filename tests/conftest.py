"""All tests: `pytester` runs pytest in folders of its own."""

import gc
import signal

import pytest

pytest_plugins = ["pytester"]

# A shell without job control starts what runs in the background with Ctrl-C ignored, and nohup with
# hang-ups ignored. What tests start would inherit that, and never end where they send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Freeze the collected objects, so that no measurement collects garbage among them."""
    gc.collect()
    gc.freeze()
