"""Measurements, baselines and their parts, with defaults for what a test does not state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.model.baseline import (
    SCHEMA,
    Anchor,
    Baseline,
    Revision,
    Series,
    Session,
    TestKey,
)
from pytest_greenops.model.measurement import (
    Check,
    DeviceState,
    Domain,
    Measurement,
    Provenance,
    Round,
)
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Change, Outcome, Verdict

CPU = Domain("cpu:0", "cpu")
DRAM = Domain("dram:0", "dram")
GPU = Domain("gpu:0", "gpu")
PSYS = Domain("psys", "psys", counted=False)
#: A second card, used and idle.
GPU_1 = Domain("gpu:1", "gpu")
IDLE = replace(GPU_1, counted=False, idle=True)
#: Rounds scatter by these factors; their 20 % trimmed mean of logarithms is zero to 1e-4.
WOBBLE = (0.99, 1.01, 1.0, 1.005, 0.995, 0.99, 1.01, 1.0, 1.005, 0.995)
MACHINE = {"cpu": "AMD EPYC 9654", "cores": "4", "sensors": "fake"}


class FakeClock:
    """A clock that moves only when a test sleeps on it; it starts apart from a `FakeSensor`."""

    def __init__(self) -> None:
        self.time_ns = 10**12

    def now_ns(self) -> int:
        """Return the time in nanoseconds."""
        return self.time_ns

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.time_ns += round(seconds * 1e9)

    def repeat(self, action: object, pause_s: object, name: str) -> Any:
        """Refuse to run anything in the background."""
        raise NotImplementedError


def message_of(error: type[Exception], act: Callable[[], object]) -> str:
    """Return the message of an error that must be raised."""
    with pytest.raises(error) as raised:
        act()
    return str(raised.value)


def key(
    name: str = "test_parse", module: str = "tests/test_x.py", param: str | None = None
) -> TestKey:
    """Return the key of a test."""
    return TestKey(module, name, param)


def a_round(
    joules: float = 1.0,
    *,
    seconds: float = 0.1,
    iterations: int = 1,
    windows: int = 1,
    units: dict[str, float] | None = None,
    more: dict[str, float] | None = None,
    errors: dict[str, float] | None = None,
    devices: dict[str, DeviceState] | None = None,
) -> Round:
    """Return a round that used `joules` of the CPU, and `more` of other counters.

    errors  the error of each counter, in joules
    """
    spent = {"cpu:0": joules, **(more or {})}
    return Round(
        {name: round(j * 1e6) for name, j in spent.items()},
        seconds,
        iterations,
        windows,
        units or {},
        {name: j * 1e6 for name, j in (errors or {}).items()},
        devices or {},
    )


def rounds(
    joules: float = 2.0,
    n: int = 10,
    *,
    seconds: float = 0.1,
    units: dict[str, float] | None = None,
    more: dict[str, float] | None = None,
) -> tuple[Round, ...]:
    """Return rounds of one call each that scatter by about 1 % about `joules`."""
    return tuple(
        a_round(
            joules * wobble,
            seconds=seconds,
            units=units,
            more={name: j * wobble for name, j in (more or {}).items()},
        )
        for wobble in (WOBBLE * (n // len(WOBBLE) + 1))[:n]
    )


def measurement(
    of: Iterable[Round],
    *,
    name: str = "call",
    domains: Sequence[Domain] = (CPU,),
    estimated: Sequence[str] = (),
    checks: Sequence[Check] = (),
    lost: dict[str, str] | None = None,
) -> Measurement:
    """Return a measurement of these rounds, with one sensor for all counters."""
    return Measurement(
        name=name,
        domains=tuple(domains),
        rounds=tuple(of),
        sensors={domain.name: "fake" for domain in domains},
        estimated=tuple(estimated),
        checks=tuple(checks),
        lost=lost or {},
    )


def session(of: Iterable[Round] | None = None, day: int = 1, **quality: float) -> Session:
    """Return the session of one process, on a day of January."""
    return Session(
        saved_at=f"2026-01-{day:02}T00:00:00+00:00",
        revision=Revision("1234567", dirty=False),
        versions={"python": "3.12.1"},
        rounds=rounds() if of is None else tuple(of),
        quality=quality,
    )


def series(
    *sessions: Session,
    domains: Sequence[Domain] = (CPU,),
    conditions: dict[str, str] | None = None,
    anchor: dict[str, dict[str, float]] | None = None,
) -> Series:
    """Return accepted sessions; the default anchor is two joules a call."""
    return Series(
        domains=tuple(domains),
        conditions=conditions or {},
        anchor=Anchor("2026-01-01T00:00:00+00:00", anchor or {"call": {"cpu:0": 2.0}}),
        sessions=sessions,
    )


def grown(joules: float = 2.0, sessions: int = 5, spread: float = 0.01) -> Series:
    """Return a series of sessions spread evenly about a level, lowest first."""
    steps = [spread * (i / (sessions - 1) - 0.5) if sessions > 1 else 0.0 for i in range(sessions)]
    return series(*(session(rounds(joules * (1 + s)), day) for day, s in enumerate(steps, 1)))


def baseline(test: TestKey | None = None, **measurements: Series) -> Baseline:
    """Return the baseline of a test; by default one session under `call`."""
    known = measurements or {"call": series(session())}
    return Baseline(SCHEMA, test or key(), MACHINE, known)


def change(relative: float = 0.0) -> Change:
    """Return a change against a margin of 5 %, with an interval of 1 % to each side."""
    return Change(relative, relative - 0.01, relative + 0.01, 0.07, 0.05, 2.0, 5)


def result(
    outcome: Outcome = Outcome.PASSED,
    *,
    compared: bool = True,
    name: str = "call",
    checks: Sequence[Check] = (),
    untrusted: bool = False,
    conditions: dict[str, str] | None = None,
) -> Result:
    """Return the result of a measurement, compared with a baseline or not."""
    return Result(
        test=key(),
        name=name,
        domain="total",
        unit="call",
        domains=(CPU,),
        provenance=Provenance({"cpu:0": "fake"}, False),
        verdict=Verdict(outcome, change=replace(change(), outcome=outcome) if compared else None),
        checks=tuple(checks),
        untrusted=untrusted,
        conditions=conditions or {},
    )
