"""Lines of a node: what it reports is read back, and anything else is refused."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from pytest_greenops.fleet.node_events import Ended, Event, Finished, from_line, to_line
from pytest_greenops.model.errors import GreenopsError
from tests.unit.builders import message_of
from tests.unit.fleet.runs import TESTS, collected, ended
from tests.unit.judge.test_two_files import measured, results


@pytest.mark.parametrize(
    "event",
    [
        collected(),
        ended(TESTS[0], measured(), **{"m-12345678/test_x.py/test_a.json": "{}"}),
        Finished(1, results(measured())),
    ],
    ids=lambda event: type(event).__name__,
)
def test_events_are_read_back(event: Event) -> None:
    """An event is one line, with its results."""
    line = to_line(event)
    assert line.count(b"\n") == 1
    assert from_line(line) == event


def test_unknown_figures_are_left_out() -> None:
    """A test that was not measured has no joules, which JSON cannot say."""
    event = ended(TESTS[0], replace(measured(), joules=math.nan))
    back = from_line(to_line(event))
    assert isinstance(back, Ended)
    assert math.isnan(back.results[0].joules)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"type":"else"}', b'{"type":"ended"}', b"\xff", b"[" * 10_000]
)
def test_another_line_is_refused(line: bytes) -> None:
    """Whatever a node sends, the error is one line."""
    said = message_of(GreenopsError, lambda: from_line(line))
    assert said.startswith("sent what is no event of pytest-greenops (")
    assert said.isprintable()
