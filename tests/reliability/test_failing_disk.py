"""A disk that fails while baselines are written, at each call in turn.

A real full disk and a real read-only mount are in `tests/unit/baselines/test_store.py`, a folder
without write access in `tests/integration/test_save.py`, both at the moments that they come to.
"""

from __future__ import annotations

import errno
import os

import pytest

from tests.reliability.writers import Writer

#: The kinds of calls that a full, a read-only and a broken disk let fail.
KINDS = {"ENOSPC": "wc", "EROFS": "wd", "EIO": "rwdc"}


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", KINDS)
def test_a_failing_disk_loses_nothing(writer: Writer, name: str, stays: bool) -> None:
    """Each file is the old or the new one, and what was not written is said in a line."""
    error, kinds = getattr(errno, name), KINDS[name]
    for number, call in writer.tries(kinds, 6):
        where = f"{name} at call {number} of {len(writer.calls)}: {call}"
        ran = writer.start(writer.injector.failing(number, error, kinds, stays))
        shown = f"{where}\n{ran.out}{ran.err}"
        assert "Traceback" not in ran.out + ran.err, shown
        assert "INTERNALERROR" not in ran.out + ran.err, shown
        writer.check_whole(shown)
        if ran.code:
            said = [line for line in (ran.out + ran.err).splitlines() if os.strerror(error) in line]
            assert said, shown
        else:
            writer.check_new(shown)
        if not stays:
            writer.check_no_leftover(shown)
