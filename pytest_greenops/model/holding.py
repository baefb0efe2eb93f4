"""What a baselines folder holds, as a reader sees it."""

from __future__ import annotations

import msgspec

from pytest_greenops.model.baseline import TestKey


class Holding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accepted level of one named measurement of a test.

    joules         of a unit of work, by unit: `call` and the test's own; empty where it holds none
    sessions       how many it rests on
    spread         how far sessions lie apart, as a share of the level; None of a single one
    since_anchor   the change since the first accepted level; None where this is that level
    saved_at       when its last session was saved, UTC, ISO 8601
    commit, dirty  of which code, where that is known
    provisional    fewer sessions than tell their spread
    """

    test: TestKey
    name: str
    joules: dict[str, float]
    sessions: int
    spread: float | None
    since_anchor: float | None
    saved_at: str
    commit: str | None
    dirty: bool | None
    provisional: bool
