"""What the judge needs: a measurement, what it is compared with, and how strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_greenops.judge.noise import Suite
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.marker import Action
from pytest_greenops.model.measurement import Measurement, Round


@dataclass(frozen=True)
class Rules:
    """How strictly a run judges.

    margin         the increase that is a regression, for tests without their own (0.05 is 5 %)
    action         what a red verdict does, for tests without their own
    estimates      `warn`: estimated joules only warn
    session_sd     assumed spread between sessions while fewer than three are known
    suite          what the tests of the suite share, by its baselines
    quiet_suite    the same without what the control workload explains
    control_slope  the share of a control workload's shift that the tests share; 0 to ignore it
    carbon         what converts joules to grams, where the grid is known
    """

    margin: float = 0.05
    action: Action = "fail"
    estimates: Action = "warn"
    session_sd: float = 0.03
    suite: Suite | None = None
    quiet_suite: Suite | None = None
    control_slope: float = 0.0
    carbon: CarbonFactor | None = None


@dataclass(frozen=True)
class Reference:
    """The accepted sessions of a measurement, or why they cannot be used.

    differences  why the stored series is not comparable: `('cpu: A -> B',)`
    """

    series: Series | None = None
    differences: tuple[str, ...] = ()

    @property
    def usable(self) -> Series | None:
        """The accepted sessions, if they are comparable."""
        return None if self.differences else self.series


@dataclass(frozen=True)
class Case:
    """A measurement, and everything that its verdict depends on.

    unit      the unit of work whose joules are judged
    fresh     rounds of further sessions of the same measurement, each from a fresh process
    controls  joules of the control workload next to each session, by counter
    """

    measurement: Measurement
    budget: Budget
    reference: Reference
    rules: Rules
    unit: str = "call"
    fresh: Sequence[Sequence[Round]] = ()
    controls: Sequence[Mapping[str, float]] = ()

    @property
    def sessions(self) -> tuple[Sequence[Round], ...]:
        """The rounds of each session, first those of the run's own process."""
        return self.measurement.rounds, *self.fresh

    @property
    def domains(self) -> tuple[str, ...]:
        """The counters whose joules are judged."""
        return self.measurement.selected(self.budget.domain)

    @property
    def margin(self) -> float:
        """The increase that is a regression."""
        return self.rules.margin if self.budget.max_increase is None else self.budget.max_increase
