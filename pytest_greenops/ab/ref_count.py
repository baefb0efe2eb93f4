"""The counted work of a test in a git ref: one start of its side, and no pairs."""

from __future__ import annotations

from pytest_greenops.ab.messages import Ended
from pytest_greenops.ab.side import Side, SideFailure
from pytest_greenops.model.counted import WorkRecord


def count(side: Side, node: str, limit_s: float) -> dict[str, WorkRecord | str]:
    """Return the work of each measured name, or why there is none.

    node     the test, by path from the top of the tree and names
    limit_s  how long the side may take to answer

    Raises `SideFailure` if the side has no such test, or its test fails there.
    """
    ready = side.ready(limit_s)
    if node not in ready.nodes:
        raise SideFailure(side.name, "this test does not exist")
    side.start(node, limit_s, count=True)
    event = side.event(limit_s)
    if not isinstance(event, Ended):
        side.finish(limit_s)
        raise SideFailure(side.name, "the test was measured, not counted")
    if event.failure:
        raise SideFailure(side.name, event.failure)
    for module, path in event.foreign.items():
        raise SideFailure(side.name, f"{module} was imported from {path}")
    return event.work
