"""What all trials of a run share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_greenops import machine
from pytest_greenops.baselines.store import Store
from pytest_greenops.judge.case import Rules
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.observer import Load
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.run_options import Options
from pytest_greenops.sensors.instruments import Instruments


@dataclass(frozen=True)
class Probes:
    """Functions that inspect the machine and this process for each measurement."""

    load: Callable[[], Load] = field(default_factory=lambda: machine.LoadProbe)
    instrumented: Callable[[], str | None] = machine.instrumented
    conditions: Callable[[], Mapping[str, str]] = machine.conditions
    control: Callable[[Instruments], Control] = Control


@dataclass(frozen=True)
class RunContext:
    """Sensors, baselines, rules and options of a run.

    accepted   every series of this machine's baselines
    collected  the tests of the run, which distinguish a renamed test from a new one
    progress   shows what is measured, how many rounds are done, and at most how many there are
    """

    instruments: Instruments
    environment: Environment
    store: Store
    rules: Rules
    options: Options
    accepted: Sequence[Series] = ()
    collected: Collection[TestKey] = ()
    progress: Callable[[str, int, int], None] = field(default=lambda label, done, most: None)
    probes: Probes = field(default_factory=Probes)
