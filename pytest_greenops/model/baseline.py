"""The accepted sessions of a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from pytest_greenops.model.explanation import LayerJoules
from pytest_greenops.model.measurement import Domain, Round

#: Version of the baseline file. Its history:
#: 1  the first: sessions of rounds with joules by domain, seconds, iterations, units; an anchor.
SCHEMA = 1
#: A baseline keeps this many sessions, the last ones.
MAX_SESSIONS = 10
#: Sessions that begin within this time on one boot of a machine share its state: they are one
#: occasion. Three sessions of one minute agreed within 1 %, and the next minutes differed by 10 %.
APART_S = 3600.0
#: The recorded fact that tells two boots, and two runners of CI, apart.
BOOT = "boot"


class TestKey(msgspec.Struct, frozen=True, gc=False):
    """The identity of a test, more stable than a node id, which result files hold as well.

    module    path of the test module from the root directory, with forward slashes
    qualname  `TestClass.test_name`, without parameters; of an item that is not a test function,
              such as a doctest, its whole node id
    param_id  the id of the parameters of a parametrized test, or None
    """

    __test__ = False

    module: str
    qualname: str
    param_id: str | None = None

    @property
    def name(self) -> str:
        """`TestClass.test_name[param]`."""
        if "::" in self.qualname:
            return self.qualname.rpartition("::")[2]
        return self.qualname if self.param_id is None else f"{self.qualname}[{self.param_id}]"

    @property
    def node_id(self) -> str:
        """The node id that pytest runs this test by."""
        if "::" in self.qualname:
            return self.qualname
        return f"{self.module}::{self.name.replace('.', '::', self.qualname.count('.'))}"


class Revision(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The measured code: its commit, and whether there were uncommitted changes."""

    commit: str | None
    dirty: bool | None


class Session(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The measurement of one name of a test in one process.

    saved_at   UTC, ISO 8601
    versions   of the plugin, Python, and torch if it was loaded
    run        start of its run: sessions of one run share the machine's state
    control_j  joules of the control workload, by counter
    layers     joules of the layers of its models, if explained
    """

    saved_at: str
    revision: Revision
    versions: dict[str, str]
    rounds: Annotated[tuple[Round, ...], msgspec.Meta(min_length=1)]
    recorded: dict[str, str] = {}
    quality: dict[str, float] = {}
    control_j: dict[str, float] = {}
    layers: LayerJoules | None = None
    run: str | None = None

    @property
    def run_key(self) -> str:
        """The run that it belongs to."""
        return self.run or self.saved_at


def occasions(sessions: Sequence[Session]) -> list[list[int]]:
    """Return the places of sessions by occasion: those of one boot that begin within an hour.

    A session that lacks the boot counts as one of the same boot as others that lack it.
    """
    found: list[list[int]] = []
    begun: dict[str | None, tuple[float, list[int]]] = {}
    for place in sorted(range(len(sessions)), key=lambda place: _seconds(sessions[place])):
        boot, now_s = sessions[place].recorded.get(BOOT), _seconds(sessions[place])
        since_s, together = begun.get(boot, (-APART_S, []))
        if not together or now_s - since_s >= APART_S:
            together = []
            begun[boot] = now_s, together
            found.append(together)
        together.append(place)
    return found


def _seconds(session: Session) -> float:
    try:
        return datetime.fromisoformat(session.saved_at).timestamp()
    except (ValueError, OverflowError):  # written by hand
        return 0.0


class Anchor(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """The level from which small accepted steps add up: joules by unit of work, by counter.

    It is the first accepted level. A larger step that somebody accepts moves it by that step, and
    an acknowledgement moves it to the accepted level.

    saved_at  when the first level was saved
    quality   the same for qualities by name; the first known value in older baselines
    moved_at  when the session was saved that moved it last; None if it is the first level
    """

    saved_at: str
    joules_per_unit: dict[str, dict[str, float]]
    quality: dict[str, float] = {}
    moved_at: str | None = None


class Series(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The accepted sessions of one named measurement, oldest first, and their anchor."""

    domains: tuple[Domain, ...]
    conditions: dict[str, str]
    anchor: Anchor
    sessions: Annotated[tuple[Session, ...], msgspec.Meta(min_length=1)]

    @property
    def occasions(self) -> int:
        """The number of occasions on which its sessions were saved; see `occasions`."""
        return len(occasions(self.sessions))


class Baseline(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One file of the baselines folder: one test on one machine."""

    schema: int
    test: TestKey
    machine: dict[str, str]
    measurements: dict[str, Series]


class SeriesOverview(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The accepted level of one named measurement, as `pytest-greenops show` prints it.

    joules         of a unit of work, by unit: `call` and the test's own; empty if none is known
    sessions       number of sessions
    spread         standard deviation of the sessions, as a share of the level; None for one session
    since_anchor   the change by small accepted steps; None if there were none
    saved_at       when its last session was saved, UTC, ISO 8601
    commit, dirty  the code of that session, if known
    provisional    too few occasions to know the spread of sessions
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
