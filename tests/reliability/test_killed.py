"""A process that is ended while it writes baselines, before each of its calls in turn.

A loop of random kills is in `tests/unit/baselines/test_folder_lock.py`.
"""

from __future__ import annotations

import signal

import pytest

from tests.reliability.writers import Writer

#: The distance of the calls that get a signal in the short run.
EVERY = {"SIGKILL": 1, "SIGTERM": 7, "SIGHUP": 7}


@pytest.mark.parametrize("name", EVERY)
def test_a_killed_writer_loses_nothing(writer: Writer, name: str) -> None:
    """Each file is the old or the new one, whole, and the next run removes what was left."""
    how = signal.Signals[name]
    for number, call in writer.tries("wd", EVERY[name]):
        where = f"{name} before call {number} of {len(writer.calls)}: {call}"
        ran = writer.start(writer.injector.killing(number, how))
        assert ran.code == -how, f"{where}\n{ran.out}{ran.err}"
        writer.check_whole(where)
        writer.check_clean(where)


def test_an_interrupted_writer_ends_as_others_do(writer: Writer) -> None:
    """Ctrl-C: the exit status of pytest or of a command, no traceback, and nothing left over."""
    for number, call in writer.tries("wd", 4):
        where = f"SIGINT before call {number} of {len(writer.calls)}: {call}"
        ran = writer.start(writer.injector.killing(number, signal.SIGINT))
        shown = f"{where}\n{ran.out}{ran.err}"
        expected = pytest.ExitCode.INTERRUPTED if writer.name == "save" else 130
        assert ran.code == expected, shown
        assert "Traceback" not in ran.out + ran.err, shown
        writer.check_whole(where)
        writer.check_no_leftover(where)
