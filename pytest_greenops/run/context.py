"""What all trials of a run share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.run_options import Options
from pytest_greenops.sensors.instruments import Instruments


@dataclass(frozen=True)
class RunContext:
    """Sensors, baselines, rules and options of a run.

    accepted   every series of this machine's baselines
    collected  the tests of the run, which tell a renamed one from a new one
    progress   shows what is measured, how many rounds are done, and how many there may be
    """

    instruments: Instruments
    environment: Environment
    store: Store
    rules: Rules
    options: Options
    accepted: Sequence[Series] = ()
    collected: Collection[TestKey] = ()
    progress: Callable[[str, int, int], None] = field(default=lambda label, done, most: None)
