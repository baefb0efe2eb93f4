"""The rows of the tables: worlds, sessions, and their simulation."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.power import peers, stored
from benchmarks.power.stored import REGRESSED, Shares, Tried, tried
from benchmarks.power.worlds import Array, World, only, unlike
from pytest_greenops.judge.decision import PROVISIONAL_ROUNDS
from pytest_greenops.judge.noise import MIN_SESSIONS, Suite, suite_of
from pytest_greenops.judge.stats import trimmed_mean, variance
from pytest_greenops.judge.suite import slope_beyond_chance

REPETITIONS = 20_000
#: True changes of the work.
CHANGES = (0.0, 0.02, -0.02, 0.05, -0.05, 0.10, -0.10, 0.20, 0.30, 0.50)
#: Rounds of an accepted session.
SAVED = PROVISIONAL_ROUNDS
#: Error of a control workload of a few rounds as a measure of the machine's shift.
CONTROL_SD = 0.004


@dataclass(frozen=True)
class Row:
    """One kind of noise, and the baseline of a test.

    sessions   number of accepted sessions
    suite      number of tests that share their variance between sessions; 1 is a lone test
    factor     largest factor by which the noise of tests differs from the usual
    noisy      factor by which one test of the suite is noisier
    has_fresh  whether a fresh process can confirm
    """

    name: str
    world: World
    sessions: int = 5
    suite: int = 20
    factor: float = 1.0
    noisy: float = 1.0
    has_fresh: bool = True

    def tried(self, change: float, repetitions: int = REPETITIONS) -> Shares:
        """Return the shares of verdicts on work with this true change."""
        rng = self._rng(change)
        shape, world = (repetitions,), self.world
        factors = unlike(rng, shape, self.factor)[:, None]
        level = np.log1p(change)
        baseline = [world.session(rng, shape, SAVED) * factors for _ in range(self.sessions)]
        candidate = world.session(rng, shape, stored.MOST_ROUNDS) * factors + level
        fresh = world.session(rng, shape, SAVED) * factors + level
        suite = self._suite(rng, baseline)
        return tried(baseline, candidate, fresh, suite, has_fresh=self.has_fresh).shares

    def peers(self, change: float, repetitions: int = REPETITIONS) -> dict[str, float]:
        """Return the share that each peer calls regressed, against one stored run or five."""
        rng = self._rng(change)
        shape, rounds = (repetitions,), peers.ROUNDS
        stored = np.exp(self.world.session(rng, (repetitions, 5), rounds))
        after = np.exp(self.world.session(rng, shape, rounds, change))
        called = {name: rule(stored[:, 0], after) for name, rule in peers.PEERS.items()}
        called["mean of five stored runs + 5 %"] = peers.mean_of_five_5(stored, after)
        return {name: float(found.mean()) for name, found in called.items()}

    def _rng(self, change: float) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self}{change}".encode()))

    def _suite(self, rng: np.random.Generator, baseline: Sequence[Array]) -> Suite | None:
        """Return a suite of each repetition's own variance and random others."""
        if self.sessions < MIN_SESSIONS:
            return None
        own = _between(baseline)
        others = rng.integers(0, len(own), (len(own), self.suite - 1))
        variances = np.concatenate([own[:, None], own[others]], axis=-1)
        variances[:, -1] *= self.noisy**2
        return suite_of(variances, [self.sessions - 1] * self.suite)


def _between(sessions: Sequence[Array]) -> Array:
    levels: Array = variance(np.stack([trimmed_mean(s) for s in sessions], axis=-1))
    return levels


#: The noise of the stated goals.
GOALS = (
    Row("3 % / 1 %", World(0.03, 0.01)),
    Row("3 % / 2 %", World(0.03, 0.02)),
    Row("1 % / 0.5 %", World(0.01, 0.005)),
    Row("3 % / 1 %", World(0.03, 0.01), sessions=1),
    Row("3 % / 2 %", World(0.03, 0.02), sessions=1),
)
_BAR = Row("3 % / 1 %", World(0.03, 0.01))
#: The same test with other baselines.
DESIGNS = (
    replace(_BAR, name="3 sessions", sessions=3),
    replace(_BAR, name="5 sessions"),
    replace(_BAR, name="10 sessions", sessions=10),
    replace(_BAR, name="3 sessions, a lone test", sessions=3, suite=1),
    replace(_BAR, name="5 sessions, a lone test", suite=1),
    replace(_BAR, name="10 sessions, a lone test", sessions=10, suite=1),
    replace(_BAR, name="5 sessions, no fresh process", has_fresh=False),
)
#: The same test in other worlds.
WORLDS = (
    replace(_BAR, name="white noise alone", world=only()),
    replace(_BAR, name="AR(1) drift alone, 0.8", world=only(drift=1.0)),
    replace(_BAR, name="contention spikes, 5 %", world=only(spikes=0.05)),
    replace(_BAR, name="contention spikes, 20 %", world=only(spikes=0.2)),
    replace(_BAR, name="thermal creep of 3 %", world=only(creep=0.03)),
    replace(_BAR, name="heavy-tailed sessions (t5)", world=only(tails=True)),
    replace(_BAR, name="tests unlike by up to 3 times", factor=3.0),
    replace(_BAR, name="one test 20 times as noisy", noisy=20.0),
    replace(_BAR, name="5 % / 3 %", world=World(0.05, 0.03)),
)


@dataclass(frozen=True)
class Run:
    """Runs of a whole suite, whose tests may share the shifts of their machine.

    control  whether to subtract the control workload if it explains the tests' shifts
    """

    name: str
    world: World
    control: bool = False
    sessions: int = 5
    tests: int = 20

    def tried(self, change: float, suites: int) -> tuple[Tried, float]:
        """Return verdicts (suites, tests), and the standard deviation of the estimated change."""
        rng = np.random.default_rng(zlib.crc32(f"{self.world}{change}".encode()))
        shape, world = (suites, self.tests), self.world
        shifts = [world.machine(rng, suites) for _ in range(self.sessions + 1)]
        *baseline, candidate = (
            world.session(rng, shape, rounds, grown, shift)
            for rounds, grown, shift in zip(
                [SAVED] * self.sessions + [stored.MOST_ROUNDS],
                [0.0] * self.sessions + [change],
                shifts,
                strict=True,
            )
        )
        fresh = world.session(rng, shape, SAVED, change, shifts[-1])
        controls = np.stack([s + rng.normal(0, CONTROL_SD, suites) for s in shifts], axis=-1)
        controls -= controls[:, :-1].mean(axis=-1, keepdims=True)
        if self.control:
            taken = self._slopes(baseline, controls)[:, None] * controls
            cut = [taken[:, run, None, None] for run in range(self.sessions + 1)]
            baseline = [s - c for s, c in zip(baseline, cut[:-1], strict=True)]
            candidate, fresh = candidate - cut[-1], fresh - cut[-1]
        common = suite_of(_between(baseline), [self.sessions - 1] * self.tests)
        assert common is not None
        suite = Suite(common.session_var[:, None], common.weight[:, None])
        level = np.mean([trimmed_mean(s) for s in baseline], axis=0)
        estimate = trimmed_mean(candidate[..., :SAVED]) - level
        return tried(baseline, candidate, fresh, suite), float(estimate.std())

    def _slopes(self, baseline: Sequence[Array], controls: Array) -> Array:
        """Return the slope of each suite, computed from its baselines as in a run."""
        levels = np.stack([trimmed_mean(s) for s in baseline], axis=-1)
        means = (levels - levels.mean(axis=-1, keepdims=True)).mean(axis=1)
        of_runs = zip(controls[:, :-1].tolist(), means.tolist(), strict=True)
        return np.array([slope_beyond_chance(x, y) for x, y in of_runs])

    def any_false_alarm(self, suites: int) -> float:
        """Return the share of runs of unchanged suites with at least one false alarm."""
        found, _ = self.tried(0.0, suites)
        return float((found.outcomes == REGRESSED).any(axis=-1).mean())


def any_mean_5(world: World, suites: int, tests: int = 20) -> float:
    """Return that share for a limit at the mean + 5 % of one stored run."""
    rng = np.random.default_rng(5)
    shape = (suites, tests)
    before, after = (np.exp(world.session(rng, shape, peers.ROUNDS)) for _ in range(2))
    return float(peers.mean_5(before, after).any(axis=-1).mean())


RUNS = tuple(
    Run(f"{name}{', control taken out' if control else ''}", world, control)
    for name, world in (
        ("nothing shared", World(0.03, 0.01)),
        ("half of 2 % shared", World(0.03, 0.02, shared=0.5)),
        ("nearly all of 3 % shared", World(0.03, 0.03, shared=0.9)),
    )
    for control in (False, True)
)
