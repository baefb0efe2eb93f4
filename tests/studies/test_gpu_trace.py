"""Replayed traces of cards, and `benchmarks.accuracy.on_gpu` on a simulated card.

Traces of real cards belong in `tests/gpu/traces`. Traces recorded here are simulated, and prove
nothing about a real card.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.accuracy import gpu_figures, gpu_loads, gpu_report, gpu_trace, on_gpu
from benchmarks.accuracy.gpu_loads import Part
from benchmarks.accuracy.gpu_repeat import rounds_j
from benchmarks.accuracy.gpu_trace import Phase, Probe, Recorder, Sample, Trace
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.ticks import (
    Edge,
    PowerSample,
    Tick,
    count_after,
    count_at_rest,
    count_between,
)
from tests.simulated_host import child, nvml
from tests.simulated_host.nvml import Card


def simulated(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test of a simulated card, whose power is read as time goes by."""
    possible = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")
    marked: Callable[..., None] = pytest.mark.real_time(possible(test))
    return marked


TRACES = sorted((Path(__file__).parents[1] / "gpu" / "traces").glob("*.csv.gz"))
NOT_RECORDED = pytest.mark.skip(
    reason="no trace of a real card was recorded yet: python -m benchmarks.accuracy.on_gpu "
    "--trace tests/gpu/traces/NAME.csv.gz"
)
REAL = [pytest.param(path, id=path.stem) for path in TRACES] or [
    pytest.param(None, marks=NOT_RECORDED, id="none")
]
EDGES = 400
MS = 1_000_000

# --- replaying a trace ------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """Edges of windows at random times, compared with the counter between ticks.

    within  whether each edge amid steady power is within its stated error
    steady  share of ticks amid steady power
    """

    within: list[bool]
    steady: float


def replay(trace: Trace, edges: int = EDGES) -> Replayed:
    """Begin and end windows amid steady power, where the true count is known at any time."""
    ticks, chance = trace.ticks(), random.Random(7)
    steady = [
        place for place in range(1, len(ticks) - 2) if is_steady(ticks[place - 1 : place + 3])
    ]
    within = []
    for place in chance.choices(steady, k=edges // 2) if steady else ():
        begin_ns = ticks[place].time_ns + chance.randrange(2 * MS)
        end_ns = chance.randrange(ticks[place].time_ns, ticks[place + 1].time_ns)
        for time_ns, edge in (
            (begin_ns, began(trace, ticks[place], begin_ns)),
            (end_ns, ended(trace, ticks[place + 1 : place + 3], end_ns)),
        ):
            truth_uj = interpolated_uj(ticks[place], ticks[place + 1], time_ns)
            within.append(abs(edge.count_uj - truth_uj) <= edge.error_uj)
    return Replayed(within, len(steady) / max(1, len(ticks)))


def is_steady(ticks: Sequence[Tick]) -> bool:
    """Return whether power between ticks differs by at most 10 %, at known times."""
    if any(b.time_ns - a.time_ns < 20 * max(a.half_ns, b.half_ns) for a, b in pairwise(ticks)):
        return False
    watts = [(b.count_uj - a.count_uj) / (b.time_ns - a.time_ns) for a, b in pairwise(ticks)]
    return max(watts) <= 1.1 * min(watts)


def began(trace: Trace, tick: Tick, time_ns: int) -> Edge:
    """Return the sensor's count at the start of a window after a tick."""
    return count_after(tick, time_ns, reported(trace, tick.time_ns, time_ns))


def ended(trace: Trace, ticks: Sequence[Tick], time_ns: int) -> Edge:
    """Return the sensor's count at the end of a window, before one or two ticks."""
    samples = reported(trace, time_ns, ticks[0].time_ns + ticks[0].half_ns)
    if max(sample.watts for sample in samples) <= 1.1 * min(sample.watts for sample in samples):
        return count_at_rest(ticks[0], time_ns, samples)
    return count_between(ticks[0], ticks[1], time_ns, samples[-1].watts)


def reported(trace: Trace, start_ns: int, end_ns: int) -> list[PowerSample]:
    """Return the power that the card reported from one time to another."""
    first = next(s for s in reversed(trace.samples) if s.time_ns <= start_ns)
    later = [s for s in trace.samples if start_ns < s.time_ns <= end_ns]
    moments = [start_ns, *(sample.time_ns for sample in later)]
    watts = [sample.power_mw * 1e-3 for sample in (first, *later)]
    return [PowerSample(*each) for each in zip(moments, watts, strict=True)]


def interpolated_uj(tick: Tick, later: Tick, time_ns: int) -> float:
    """Return the count at a time between two ticks, on a straight line."""
    share = (time_ns - tick.time_ns) / (later.time_ns - tick.time_ns)
    return tick.count_uj + share * (later.count_uj - tick.count_uj)


def check(trace: Trace) -> None:
    """Assert what must hold for the trace of any card."""
    counts = [sample.energy_mj for sample in trace.samples]
    assert counts == sorted(counts)
    spans_ms = gpu_trace.tick_spans_ms(trace.ticks())
    tick_ms = statistics.median(spans_ms)
    assert 5 <= tick_ms <= 600
    assert statistics.median(abs(span - tick_ms) for span in spans_ms) <= 0.1 * tick_ms
    replayed = replay(trace)
    assert replayed.steady >= 0.2
    assert statistics.fmean(replayed.within) >= 0.95


@pytest.mark.parametrize("path", REAL)
def test_replays_a_trace_of_a_real_card(path: Path) -> None:
    """The tick is regular, the count never falls, and edges are within their stated error."""
    check(gpu_trace.read_trace(path))


@pytest.mark.parametrize("path", REAL)
def test_trace_of_a_real_card_is_small_and_names_it(path: Path) -> None:
    """It names the card and its driver, and is at most 200 kB."""
    assert {"device", "driver", "date"} <= gpu_trace.read_trace(path).facts.keys()
    assert path.stat().st_size <= 200_000


# --- on a simulated card ----------------------------------------------------------------------

BUSY_W, REST_W, TICK_S, CALL_S = 250.0, 60.0, 0.02, 0.001
SMALL = on_gpu.Plan(
    steady_s=0.8,
    rest_s=0.5,
    settle_s=0.2,
    reads=100,
    pulse_periods_s=(0.02, 0.1),
    pulsed_s=0.5,
    pulsed_windows=2,
    pulsed_window_s=0.2,
    inside=((0.05, 20), (0.1, 5)),
    alone=((0.1, 3),),
    long_s=0.2,
    lag_steps=2,
    lag_s=0.4,
    processes=2,
    rounds=2,
    round_s=0.1,
    trace=(Part(0.4, 0.0), Part(0.6, 1.0), Part(0.3, 0.5, 0.1), Part(0.3, 0.0)),
)


class SimulatedWork:
    """A load for a simulated card, which draws more during calls."""

    words = "simulated"
    call_s = CALL_S

    def __init__(self) -> None:
        self._work = nvml.Work()
        self._work.draw(REST_W)

    def calls(self, number: int) -> None:
        """Draw for as long as this many calls take."""
        self.until(time.monotonic() + number * CALL_S)

    def until(self, monotonic_s: float) -> None:
        """Draw until a time."""
        self._work.draw(BUSY_W)
        gpu_loads.wait_until(monotonic_s)
        self._work.draw(REST_W)


def simulated_bench() -> on_gpu.RunContext:
    """Return the simulated card as `on_gpu` sees a real one, in a child process."""
    import pynvml

    sensor, handle = on_gpu.open_card(None, {})
    return on_gpu.ready(sensor, Probe(pynvml, handle), SimulatedWork(), settle_s=0.1)


def measure_simulated(folder: str) -> None:
    """Run all of `on_gpu` briefly in a child process, with its trace."""
    bench = simulated_bench()
    gpu_trace.write_trace(on_gpu.trace_of(bench, SMALL), Path(folder) / "trace.csv.gz")

    def process(calls: int, rounds: int) -> list[float]:
        return rounds_j(bench.instruments, bench.domain, bench.load, calls, rounds)

    gpu_report.write(on_gpu.measure(bench, SMALL, process), Path(folder))


def look_at_simulated() -> list[Any]:
    """Return counter over integrated power, lags, and doubts, in a child process."""
    bench = simulated_bench()
    probe, load = bench.probe, bench.load
    parts = [Part(0.5, 0.0), Part(0.6, 1.0)]
    trace = gpu_trace.record(probe, lambda: gpu_loads.play(load, parts))
    found = [gpu_figures.settled(trace, phase, 0.2) for phase in trace.phases]
    ratios = [gpu_figures.agreement("", part).ratio for part in found]
    up, down = gpu_figures.steps(probe, load, 2, 0.4)
    lags = [[lag.counter_ms.median, lag.power_ms.median] for lag in (up, down)]
    return [ratios, lags, list(bench.instruments.doubts)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the simulated driver library once and return its folder."""
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def folder(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of `on_gpu` on a simulated card."""
    written = tmp_path_factory.mktemp("on_gpu")
    card = Card(
        power_w=((0.0, REST_W),), tick_s=TICK_S, power_tick_s=0.01, power_noise=0.01, processes=(0,)
    )
    child.run(measure_simulated, str(written), environ=seen(library, written, card))
    return written


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """Return the figures of that run."""
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return values


def seen(library: Path, folder: Path, card: Card, **more: int) -> Mapping[str, str]:
    """Return the environment of a process that sees one card, on this test's clock."""
    return nvml.environment(library, folder / "script", [card], time.monotonic(), **more)


@simulated
def test_records_a_simulated_trace_that_can_be_replayed(folder: Path) -> None:
    """Edges during rest, load and pulses are within their stated error."""
    trace = gpu_trace.read_trace(folder / "trace.csv.gz")
    counts = [sample.energy_mj for sample in trace.samples]
    assert counts == sorted(counts)
    assert trace.facts["device"] == "Simulated A"
    assert [phase.duty for phase in trace.phases] == [0.0, 1.0, 0.5, 0.0]
    assert replay(trace).within.count(False) <= 0.05 * EDGES


@simulated
def test_finds_the_tick(report: dict[str, Any]) -> None:
    """The tick is found within 2 % and the polls' uncertainty, at rest and under load."""
    assert [tick["load"] for tick in report["ticks"]] == ["rest", "steady load"]
    for tick in report["ticks"]:
        off_ms = 0.02 * TICK_S * 1e3 + tick["known_to_ms"]
        assert tick["interval_ms"]["median"] == pytest.approx(TICK_S * 1e3, abs=off_ms)
        assert tick["power_ms"]["median"] == pytest.approx(10.0, abs=off_ms)
    rest, load = (tick["step_mj"] for tick in report["ticks"])
    assert rest == pytest.approx(REST_W * TICK_S * 1e3, rel=0.01)
    assert load == pytest.approx(BUSY_W * TICK_S * 1e3, rel=0.01)


@simulated
def test_truthful_counter_agrees_with_power(report: dict[str, Any]) -> None:
    """Counter and integrated power agree under steady and pulsed load."""
    assert report["agreement_ratios"] == pytest.approx([1.0, 1.0], abs=0.03)
    assert [one["ratio"] for one in report["pulsed"]] == pytest.approx([1.0, 1.0], abs=0.1)
    assert report["doubts"] == []


@simulated
def test_windows_have_the_joules_of_the_long_run(report: dict[str, Any]) -> None:
    """Windows of pulses, and single windows of each length, agree with the truth."""
    assert [p["window_of_truth"] for p in report["pulsed"]] == pytest.approx([1.0, 1.0], abs=0.3)
    assert [s["where"] for s in report["singles"]] == ["in steady load"] * 2 + ["alone"]
    for single in report["singles"]:
        assert single["of_truth"] == pytest.approx(1.0, abs=0.1)
        assert single["sd_share"] < 0.2
    inside = [single for single in report["singles"] if single["where"] == "in steady load"]
    assert sum(one["covered"] for one in inside) >= 0.8 * sum(one["number"] for one in inside)


@simulated
def test_prompt_card_has_no_lag(report: dict[str, Any]) -> None:
    """A step of load shows at once in a prompt counter and power."""
    assert [lag["edge"] for lag in report["lags"]] == ["rest to load", "load to rest"]
    for lag in report["lags"]:
        assert lag["counter_ms"]["median"] == pytest.approx(0.0, abs=50.0)
        assert lag["power_ms"]["median"] == pytest.approx(5.0, abs=50.0)


@simulated
def test_a_call_costs_what_it_draws(report: dict[str, Any]) -> None:
    """The joules of a call follow from a known power, in every process."""
    repeated = report["repeatability"]
    assert repeated["call_j"] == pytest.approx(BUSY_W * CALL_S, rel=0.25)
    assert repeated["processes"] == 2
    assert repeated["between_sd_share"] < 0.2


@simulated
def test_reports_costs_waits_and_the_card(folder: Path, report: dict[str, Any]) -> None:
    """The report has the cost of reads, the wait at edges, and the card."""
    assert [cost["read"] for cost in report["costs"]] == [
        "nvmlDeviceGetTotalEnergyConsumption",
        "NVML_FI_DEV_POWER_INSTANT",
        "nvmlDeviceGetPowerUsage",
    ]
    assert all(0 < cost["us"]["median"] < 10_000 for cost in report["costs"])
    assert 0 < report["waits"]["begin_s"]["median"] < 3 * TICK_S
    assert 0 < report["waits"]["end_s"]["median"] < 3 * TICK_S
    text = (folder / "report.md").read_text()
    assert text.startswith("# Accuracy on Simulated A\n")
    assert {"driver", "power limit", "temperature under load", "date"} <= report["facts"].keys()
    assert "| in steady load | 0.05 | 20 |" in text


@simulated
def test_sees_gain_and_lag(library: Path, tmp_path: Path) -> None:
    """A gain of 85 % and a power lag of 100 ms are found, and the sensor doubts the counter."""
    card = Card(power_w=((0.0, REST_W),), tick_s=TICK_S, gain=0.85, power_lag_s=0.1)
    ratios, lags, doubts = child.run(look_at_simulated, environ=seen(library, tmp_path, card))
    assert ratios == pytest.approx([0.85, 0.85], abs=0.03)
    for counter_ms, power_ms in lags:
        assert counter_ms == pytest.approx(0.0, abs=50.0)
        assert power_ms == pytest.approx(100.0, abs=50.0)
    assert doubts == ["gpu:0"]


# --- without any card, nor any clock ----------------------------------------------------------

STEP_W = ((0.0, REST_W), (1.0, BUSY_W), (2.0, REST_W))
PULSES_W = tuple((k * 0.05, BUSY_W if k % 2 else REST_W) for k in range(60))
STEP_PHASES = tuple(Phase(k * 10**9, (k + 1) * 10**9, float(k == 1)) for k in range(3))


def polled(card: Card, seconds: float, phases: Sequence[Phase] = ()) -> Trace:
    """Return the trace of a scripted card, polled about three times a millisecond."""
    recorder, chance, now_s = Recorder(), random.Random(1), 0.0
    while now_s < seconds:
        mw = round(1000 * card.watts_at(max(0.0, now_s - card.power_lag_s)))
        recorder.see(Sample(round(now_s * 1e9), card.count_mj_at(now_s), mw))
        now_s += chance.uniform(0.0002, 0.0005)
    return recorder.trace(phases)


@pytest.mark.parametrize("tick_s", [0.02, 0.1])
@pytest.mark.parametrize("power_w", [STEP_W, PULSES_W], ids=["step", "pulses"])
@pytest.mark.parametrize("gain", [1.0, 0.85])
def test_tick_and_gain_are_found(
    tick_s: float, power_w: tuple[tuple[float, float], ...], gain: float
) -> None:
    """The tick is found within 2 %, and the ratio of counter to power within 1 %."""
    trace = polled(Card(power_w=power_w, tick_s=tick_s, gain=gain), 3.0)
    found = gpu_figures.tick_figures("", trace)
    assert found.interval_ms.median == pytest.approx(tick_s * 1e3, rel=0.02)
    assert found.known_to_ms <= 0.25
    assert gpu_figures.agreement("", trace).ratio == pytest.approx(gain, abs=0.01)


@pytest.mark.parametrize("tick_s", [0.02, 0.05, 0.1])
def test_long_run_of_pulses_is_whole_pulses(tick_s: float) -> None:
    """The mean power of pulses has equal parts of rest and load, wherever it is cut."""
    power_w = tuple((k * 0.2, REST_W if k % 2 else BUSY_W) for k in range(30))
    trace = polled(Card(power_w=power_w, tick_s=tick_s), 3.1)
    found = gpu_figures.agreement("", trace, period_s=0.4)
    assert found.watts == pytest.approx((REST_W + BUSY_W) / 2, rel=0.002)


@pytest.mark.parametrize("phase_s", [0.0, 0.003, 0.05])
@pytest.mark.parametrize("lag_s", [0.0, 0.1])
def test_lag_is_found(phase_s: float, lag_s: float) -> None:
    """Power lag by area is found within a millisecond; a counter without lag has none."""
    card = Card(power_w=STEP_W, tick_s=0.1, phase_s=phase_s, power_lag_s=lag_s)
    up, down = gpu_figures.lags(polled(card, 3.0), STEP_PHASES)
    for lag in (up, down):
        assert lag.counter_ms.median == pytest.approx(0.0, abs=1.0)
        assert lag.power_ms.median == pytest.approx(lag_s * 1e3, abs=1.0)
        assert lag.power_half_ms.median == pytest.approx(lag_s * 1e3, abs=500.0)
        assert -50 <= lag.counter_half_ms.median <= 100


def test_equal_levels_have_no_lag() -> None:
    """A step that does not show has no lag."""
    up, _ = gpu_figures.lags(polled(Card(), 3.0), STEP_PHASES)
    assert math.isnan(up.counter_ms.median)
    assert up.counter_ms.number == 0


@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_what_holds_for_a_real_trace_holds_for_a_truthful_script(tick_s: float) -> None:
    """The trace of a truthful card passes the replay that real traces must pass."""
    check(polled(Card(power_w=STEP_W, tick_s=tick_s), 3.0))


def test_replay_finds_a_wrong_counter() -> None:
    """Edges of a counter that is 30 % too low are not within their stated error."""
    trace = polled(Card(power_w=STEP_W, tick_s=0.1, gain=0.7), 3.0)
    assert statistics.fmean(replay(trace).within) < 0.95


def steady_trace(watts: int = 100, seconds: int = 1, phases: Sequence[Phase] = ()) -> Trace:
    """Return a trace of a counter with a tick of 20 ms, polled each millisecond."""
    recorder = Recorder()
    for ms in range(seconds * 1000):
        recorder.see(Sample(10**15 + ms * MS, 5000 + watts * (ms // 20 * 20), watts * 1000))
    return recorder.trace(phases)


def test_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A file keeps all of a trace, relative to the first time and count."""
    trace = steady_trace(phases=[Phase(10**15, 10**15 + 500 * MS, 0.5, 0.1)])
    named = Trace(trace.samples, trace.polls, trace.phases, {"device": "Simulated A: 1"})
    gpu_trace.write_trace(named, tmp_path / "new" / "trace.csv.gz")
    again = gpu_trace.read_trace(tmp_path / "new" / "trace.csv.gz")
    assert again.facts == named.facts
    assert again.polls == 1000
    assert again.phases == (Phase(0, 500 * MS, 0.5, 0.1),)
    assert [s.time_ns for s in again.samples] == [s.time_ns - 10**15 for s in trace.samples]
    assert [s.energy_mj for s in again.samples] == [s.energy_mj - 5000 for s in trace.samples]
    assert [s.power_mw for s in again.samples] == [s.power_mw for s in trace.samples]


def test_trace_keeps_what_moved_and_the_poll_before() -> None:
    """A tenth of the polls gives ticks of the same precision."""
    trace = steady_trace()
    assert len(trace.samples) == 2 + 2 * 49
    assert {tick.half_ns for tick in trace.ticks()} == {MS // 2}
    assert gpu_trace.tick_spans_ms(trace.ticks()) == [20.0] * 48


@pytest.mark.parametrize("text", [b"", b"no gzip", None])
def test_refuses_a_file_that_is_not_a_trace(tmp_path: Path, text: bytes | None) -> None:
    """The error names a missing file or one of another kind."""
    path = tmp_path / "trace.csv.gz"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(GreenopsError, match=r"trace\.csv\.gz is not a trace of a card: "):
        gpu_trace.read_trace(path)


def test_integral_has_its_edges_on_straight_lines() -> None:
    """Power that rises evenly has the energy of the area under it, cut anywhere."""
    trace = Trace((Sample(0, 0, 0), Sample(10**9, 0, 100_000)), 2)
    assert gpu_trace.integrated_j(trace, 0, 10**9) == pytest.approx(50.0)
    assert gpu_trace.integrated_j(trace, 5 * 10**8, 10**9) == pytest.approx(37.5)
    assert gpu_trace.integrated_j(trace, -(10**9), 5 * 10**8) == pytest.approx(12.5)


def test_counter_without_ticks_has_no_figures() -> None:
    """A counter that never moves has neither ratio nor tick."""
    trace = Trace((Sample(0, 7, 1000), Sample(10**9, 7, 1000)), 2)
    assert math.isnan(gpu_figures.agreement("rest", trace).ratio)
    assert math.isnan(gpu_figures.tick_figures("rest", trace).interval_ms.median)


NO_CUDA = SimpleNamespace(
    __version__="2.4",
    version=SimpleNamespace(cuda=None),
    cuda=SimpleNamespace(is_available=lambda: False),
)


class FakeCuda:
    """The part of torch that a load uses; counts calls queued and done."""

    bfloat16, float32 = "torch.bfloat16", "torch.float32"

    def __init__(self) -> None:
        self.queued = self.done = self.ahead = 0
        self.cuda = SimpleNamespace(
            is_available=lambda: True,
            is_bf16_supported=lambda: True,
            synchronize=lambda: self.wait(self.queued),
            Event=lambda: FakeEvent(self),
        )

    def matmul(self, a: object, b: object, out: object) -> None:
        """Queue a call."""
        self.queued += 1
        self.ahead = max(self.ahead, self.queued - self.done)

    def wait(self, number: int) -> None:
        """Wait until this many calls are done, a millisecond each."""
        time.sleep(max(0, number - self.done) * 1e-3)
        self.done = max(self.done, number)

    def manual_seed(self, seed: int) -> None:
        """Do nothing: nothing is random here."""

    def randn(self, *sizes: int, device: str, dtype: str) -> list[object]:
        """Return two matrices."""
        assert (sizes[0], device, dtype) == (2, "cuda", "torch.bfloat16")
        return [object(), object()]

    def empty_like(self, a: object) -> object:
        """Return another matrix."""
        return object()


class FakeEvent:
    """A place in the queue."""

    def __init__(self, torch: FakeCuda) -> None:
        self._torch, self._place = torch, 0

    def record(self) -> None:
        """Queue it after the others."""
        self._place = self._torch.queued

    def synchronize(self) -> None:
        """Wait for all before it."""
        self._torch.wait(self._place)


def test_load_is_one_call_ahead_of_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card never waits for the next call, and soon stops after the given time."""
    torch = FakeCuda()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(gpu_loads, "WARM_UP_S", 0.0)
    load = gpu_loads.Matmul()
    assert load.words == "torch.matmul of 1024 x 1024, bfloat16"
    assert load.call_s >= 0.001
    assert torch.queued == torch.done
    torch.ahead = 0
    until_s = time.monotonic() + 0.02
    load.until(until_s)
    assert torch.queued == torch.done
    assert torch.ahead == 2
    assert 0 <= time.monotonic() - until_s < 0.2


@pytest.mark.parametrize(
    ("torch", "why"),
    [
        (None, "torch is not installed; fix: pip install torch"),
        (NO_CUDA, "torch 2.4 sees no CUDA card (its CUDA: none); fix: install a CUDA build"),
    ],
)
def test_reports_what_torch_lacks(monkeypatch: pytest.MonkeyPatch, torch: object, why: str) -> None:
    """Without torch or CUDA, one line has the reason and the fix."""
    monkeypatch.setitem(sys.modules, "torch", torch)
    with pytest.raises(GreenopsError) as caught:
        gpu_loads.Matmul()
    assert str(caught.value).startswith(why)


def test_returns_2_without_a_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One line has NVML's reason."""
    monkeypatch.setattr(on_gpu, "open_sensor", no_driver)
    assert on_gpu.main(["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "on_gpu: no NVIDIA driver; fix: install it\n"
    assert list(tmp_path.iterdir()) == []


def no_driver(environ: Mapping[str, str]) -> None:
    """Fail as on a machine without a driver."""
    from pytest_greenops.model.errors import SensorUnavailable

    raise SensorUnavailable("no NVIDIA driver", "install it")


@pytest.mark.parametrize("given", [[], ["--out", "x", "--seconds", "0"]])
def test_refuses_a_useless_command_line(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the expected options or value."""
    with pytest.raises(SystemExit) as caught:
        on_gpu.arguments(given)
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err
