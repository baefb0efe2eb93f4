"""What was accepted: the sessions of a test, kept under its name."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pytest_greenops.model.explanation import LayerJoules
from pytest_greenops.model.measurement import Domain, Round

#: Version of the baseline file. Its history:
#: 1  the first: sessions of rounds with joules by domain, seconds, iterations, units; an anchor.
SCHEMA = 1
#: A baseline rolls over its last sessions.
MAX_SESSIONS = 10


class TestKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which test a baseline belongs to: more lasting than a node id.

    module    path of the test module from the root directory, with forward slashes
    qualname  `TestClass.test_name`, without parameters
    param_id  what stands in the brackets of a parametrized test, or None
    """

    __test__ = False

    module: str
    qualname: str
    param_id: str | None = None

    @property
    def name(self) -> str:
        """`TestClass.test_name[param]`."""
        return self.qualname if self.param_id is None else f"{self.qualname}[{self.param_id}]"

    @property
    def node_id(self) -> str:
        """What to give to pytest to run this test."""
        return f"{self.module}::{self.name.replace('.', '::', self.qualname.count('.'))}"


class Revision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that was measured: its commit, and whether the tree had uncommitted changes."""

    commit: str | None
    dirty: bool | None


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one process measured of one name of a test.

    saved_at   UTC, ISO 8601
    versions   of the plugin, Python, and torch where it was loaded
    run        when its run began: sessions of one run share the machine's day
    control_j  joules of the control workload as it began, by counter
    layers     joules of the layers of its models, where it was explained
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
    def day(self) -> str:
        """What its run is known by."""
        return self.run or self.saved_at


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first accepted level: joules by unit of work (`call` and the test's own), by counter.

    quality  by name the first accepted value; of what was saved before it was kept, the first known
    """

    saved_at: str
    joules_per_unit: dict[str, dict[str, float]]
    quality: dict[str, float] = {}


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accepted sessions of one named measurement, oldest first, and the level it began at."""

    domains: tuple[Domain, ...]
    conditions: dict[str, str]
    anchor: Anchor
    sessions: Annotated[tuple[Session, ...], msgspec.Meta(min_length=1)]


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the baselines folder: one test on one machine."""

    schema: int
    test: TestKey
    machine: dict[str, str]
    measurements: dict[str, Series]
