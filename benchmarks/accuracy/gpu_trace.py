"""Traces of a card's counter and power, polled at the fastest rate.

A trace keeps each poll with a new count or power, and the poll before it. The others add nothing,
so ten seconds need only a few thousand lines.
"""

from __future__ import annotations

import gzip
import io
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.ticks import Tick, Ticker

#: `NVML_FI_DEV_POWER_INSTANT` of nvml.h.
POWER_INSTANT = 186
HEADER = "time_ns,energy_mj,power_mw"
_UJ_PER_MJ = 1000


class Sample(NamedTuple):
    """One poll: the time is the middle of the counter's read; the read of power follows."""

    time_ns: int
    energy_mj: int
    power_mw: int


class Phase(NamedTuple):
    """A phase of the load: busy for the share `duty` of each period, 0 at rest."""

    start_ns: int
    end_ns: int
    duty: float
    period_s: float = 0.0


class Spread(msgspec.Struct, frozen=True):
    """A distribution of `number` values, in the unit of its field's name."""

    median: float
    p5: float
    p95: float
    number: int


@dataclass(frozen=True)
class Trace:
    """Samples in order of time, the number of polls, and the phases of the load."""

    samples: tuple[Sample, ...]
    polls: int
    phases: tuple[Phase, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Return the time from the first sample to the last."""
        return (self.samples[-1].time_ns - self.samples[0].time_ns) * 1e-9

    def between(self, start_ns: int, end_ns: int) -> Trace:
        """Return the part between two times, with its share of the polls by time."""
        samples = tuple(s for s in self.samples if start_ns <= s.time_ns <= end_ns)
        whole_ns = self.samples[-1].time_ns - self.samples[0].time_ns
        share = min(1.0, (end_ns - start_ns) / whole_ns) if whole_ns else 1.0
        return Trace(samples, round(self.polls * share), self.phases, self.facts)

    def ticks(self) -> list[Tick]:
        """Return the counter's ticks, found by the sensor's own `Ticker`."""
        ticker, ticks = Ticker(), []
        for sample in self.samples:
            count_uj = sample.energy_mj * _UJ_PER_MJ
            if tick := ticker.see(sample.time_ns, sample.time_ns, count_uj):
                ticks.append(tick)
        return ticks


class Probe:
    """The three reads of one card; each raises `NVMLError` if it fails.

    instant  whether the card reports instantaneous power; otherwise samples use its mean
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self.instant = True
        try:
            self.instant_mw()
        except (nvml.NVMLError, AttributeError):
            self.instant = False

    def energy_mj(self) -> int:
        """Return the counter in millijoules."""
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))

    def instant_mw(self) -> int:
        """Return the instantaneous power in milliwatts."""
        value = self.nvml.nvmlDeviceGetFieldValues(self.handle, [POWER_INSTANT])[0]
        if value.nvmlReturn != self.nvml.NVML_SUCCESS:
            raise self.nvml.NVMLError(value.nvmlReturn)
        return int(value.value.uiVal)

    def usage_mw(self) -> int:
        """Return `nvmlDeviceGetPowerUsage` in milliwatts: a mean on many cards."""
        return int(self.nvml.nvmlDeviceGetPowerUsage(self.handle))

    def sample(self) -> Sample:
        """Poll once."""
        asked_ns = time.monotonic_ns()
        energy_mj = self.energy_mj()
        time_ns = (asked_ns + time.monotonic_ns()) // 2
        return Sample(time_ns, energy_mj, self.instant_mw() if self.instant else self.usage_mw())


class Recorder:
    """The polls that a trace keeps."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.polls = 0
        self._last: Sample | None = None

    def see(self, sample: Sample) -> None:
        """Add a poll."""
        if self._last is None or sample[1:] != self._last[1:]:
            self._keep_last()
            self.samples.append(sample)
        self.polls += 1
        self._last = sample

    def trace(self, phases: Iterable[Phase]) -> Trace:
        """Return the trace until now."""
        self._keep_last()
        return Trace(tuple(self.samples), self.polls, tuple(phases))

    def _keep_last(self) -> None:
        if self._last is not None and self.samples[-1] is not self._last:
            self.samples.append(self._last)


def record(probe: Probe, play: Callable[[], Iterable[Phase]]) -> Trace:
    """Poll at full speed while another thread plays a load; raise what that thread raises."""
    recorder = Recorder()
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(play)
        while not playing.done():
            recorder.see(probe.sample())
        return recorder.trace(playing.result())


def spread(values: Sequence[float]) -> Spread:
    """Return median, 5th and 95th percentile; nan without values."""
    if len(values) < 2:
        value = values[0] if values else math.nan
        return Spread(value, value, value, len(values))
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return Spread(statistics.median(values), cuts[0], cuts[-1], len(values))


def tick_spans_ms(ticks: Sequence[Tick]) -> list[float]:
    """Return the milliseconds between ticks."""
    return [(later.time_ns - tick.time_ns) * 1e-6 for tick, later in pairwise(ticks)]


def tick_steps_mj(ticks: Sequence[Tick]) -> list[int]:
    """Return the millijoules between ticks."""
    return [(later.count_uj - tick.count_uj) // _UJ_PER_MJ for tick, later in pairwise(ticks)]


def power_spans_ms(trace: Trace) -> list[float]:
    """Return the milliseconds between new power values."""
    moved = [b.time_ns for a, b in pairwise(trace.samples) if a.power_mw != b.power_mw]
    return [(later - earlier) * 1e-6 for earlier, later in pairwise(moved)]


def integrated_j(trace: Trace, start_ns: int, end_ns: int) -> float:
    """Return the reported power, integrated by trapezoid with interpolated edges."""
    joules = 0.0
    for a, b in pairwise(trace.samples):
        from_ns, to_ns = max(a.time_ns, start_ns), min(b.time_ns, end_ns)
        if from_ns < to_ns:
            mean_mw = (_power_at(a, b, from_ns) + _power_at(a, b, to_ns)) / 2
            joules += mean_mw * (to_ns - from_ns) * 1e-12
    return joules


def _power_at(a: Sample, b: Sample, time_ns: int) -> float:
    share = (time_ns - a.time_ns) / (b.time_ns - a.time_ns)
    return a.power_mw + share * (b.power_mw - a.power_mw)


def write_trace(trace: Trace, path: Path) -> None:
    """Write a trace as gzipped CSV, with times and counts relative to its first sample."""
    first = trace.samples[0]
    lines = [f"# {name}: {value}" for name, value in trace.facts.items()]
    lines += [f"# polls: {trace.polls}"]
    lines += [
        f"# phase: {p.start_ns - first.time_ns} {p.end_ns - first.time_ns} {p.duty} {p.period_s}"
        for p in trace.phases
    ]
    lines += [HEADER]
    lines += [
        f"{s.time_ns - first.time_ns},{s.energy_mj - first.energy_mj},{s.power_mw}"
        for s in trace.samples
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8", newline="\n") as text,
    ):
        text.writelines(f"{line}\n" for line in lines)


def read_trace(path: Path) -> Trace:
    """Read a file of `write_trace`; raise `GreenopsError` for any other file."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        head, found, body = text.partition(f"{HEADER}\n")
        if not found:
            raise ValueError(f"no line {HEADER!r}")
        samples = tuple(Sample(*map(int, line.split(","))) for line in body.splitlines())
        facts = dict(_facts(head))
        polls = int(facts.pop("polls"))
        phases = tuple(_phase(line) for line in head.splitlines() if line.startswith("# phase: "))
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise GreenopsError(f"{path} is not a trace of a card: {error}") from error
    facts.pop("phase", None)
    return Trace(samples, polls, phases, facts)


def _facts(head: str) -> Iterator[tuple[str, str]]:
    for line in head.splitlines():
        name, _, value = line.removeprefix("# ").partition(": ")
        yield name, value


def _phase(line: str) -> Phase:
    start, end, duty, period = line.removeprefix("# phase: ").split()
    return Phase(int(start), int(end), float(duty), float(period))
