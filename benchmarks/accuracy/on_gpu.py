"""Measure the accuracy of joules on a real NVIDIA card; needs torch with CUDA.

    python -m benchmarks.accuracy.on_gpu --out FOLDER
    python -m benchmarks.accuracy.on_gpu --trace tests/gpu/traces/NAME.csv.gz

Run it from the repository's root, on a card that no other process uses. The first command takes
under eight minutes and writes `report.md`, `report.json` and `trace.csv.gz`. The second writes only
the trace, which the tests replay.

The report has the counter's tick, the cost of a read, counter against integrated power, single
windows against the long run, the lag of counter and power, the wait at edges, and a fixed loop in
fresh processes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy import gpu_figures, gpu_repeat, gpu_report, gpu_windows
from benchmarks.accuracy.gpu_loads import Load, Matmul, Part, busy, play
from benchmarks.accuracy.gpu_trace import Probe, Trace, record, write_trace
from benchmarks.accuracy.gpu_windows import Windows
from pytest_greenops.model.errors import GreenopsError, SensorUnavailable
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import NvmlSensor, open_sensor

#: Measures a loop in a fresh process: maps calls and rounds to joules per call.
Process = Callable[[int, int], Sequence[float]]


@dataclass(frozen=True)
class Plan:
    """Durations in seconds, and numbers of windows or repetitions.

    inside, alone  length and number of windows
    trace          parts of the trace to keep
    """

    steady_s: float = 10.0
    rest_s: float = 5.0
    settle_s: float = gpu_figures.SETTLE_S
    reads: int = 2000
    pulse_periods_s: tuple[float, ...] = (0.02, 0.05, 0.1, 0.15, 0.4)
    pulsed_s: float = 6.0
    pulsed_windows: int = 5
    pulsed_window_s: float = 1.0
    inside: tuple[tuple[float, int], ...] = ((0.05, 100), (0.2, 100), (0.5, 30), (1.0, 30))
    alone: tuple[tuple[float, int], ...] = ((0.05, 30), (0.2, 30), (0.5, 20), (1.0, 20))
    long_s: float = 4.0
    lag_steps: int = 5
    lag_s: float = 1.5
    processes: int = 5
    rounds: int = 6
    round_s: float = 0.5
    trace: tuple[Part, ...] = (
        *(Part(1.5, 0.0), Part(3.0, 1.0), Part(1.0, 0.0)),
        *(Part(3.0, 0.5, 0.15), Part(1.5, 0.0)),
    )


@dataclass(frozen=True)
class RunContext:
    """A ready card, read by `probe` and by the project's own `instruments`."""

    probe: Probe
    instruments: Instruments
    domain: str
    load: Load
    facts: dict[str, str]


def measure(
    bench: RunContext, plan: Plan, process: Process, say: Callable[[str], None] = lambda what: None
) -> gpu_report.Figures:
    """Measure everything in turn; `say` receives the name of each step."""
    windows = Windows(bench.instruments, bench.domain)
    say("reads")
    costs = gpu_figures.read_costs(bench.probe, plan.reads)
    say("rest and steady load")
    states = _states(bench, plan)
    say("steps of load")
    lags = gpu_figures.steps(bench.probe, bench.load, plan.lag_steps, plan.lag_s)
    say("pulsed load")
    pulsed = list(_pulsed(bench, windows, plan))
    say("single windows")
    singles = list(_singles(windows, bench.load, plan))
    say("fresh processes")
    calls = max(1, round(plan.round_s / bench.load.call_s))
    return gpu_report.Figures(
        facts=bench.facts,
        doubts=tuple(bench.instruments.doubts.values()),
        ticks=tuple(gpu_figures.tick_figures(name, part) for name, part in states.items()),
        costs=tuple(costs),
        agreements=tuple(gpu_figures.agreement(name, part) for name, part in states.items()),
        pulsed=tuple(pulsed),
        singles=tuple(singles),
        lags=lags,
        waits=windows.waits(),
        repeatability=gpu_repeat.repeatability(process, plan.processes, calls, plan.rounds),
    )


def _states(bench: RunContext, plan: Plan) -> dict[str, Trace]:
    """Return settled traces of the card at rest and under steady load."""
    parts = [Part(plan.settle_s + plan.rest_s, 0.0), Part(plan.settle_s + plan.steady_s, 1.0)]
    trace = record(bench.probe, lambda: play(bench.load, parts))
    return {
        name: gpu_figures.settled(trace, phase, plan.settle_s)
        for name, phase in zip(("rest", "steady load"), trace.phases, strict=True)
    }


def _pulsed(bench: RunContext, windows: Windows, plan: Plan) -> Iterator[gpu_windows.Pulsed]:
    for period_s in plan.pulse_periods_s:
        yield gpu_windows.pulsed(
            *(bench.probe, windows, bench.load, Part(plan.pulsed_s, 0.5, period_s)),
            *(plan.pulsed_windows, plan.pulsed_window_s),
        )


def _singles(windows: Windows, load: Load, plan: Plan) -> Iterator[gpu_windows.Singles]:
    for seconds, number in plan.inside:
        yield gpu_windows.inside(windows, load, seconds, number, plan.settle_s)
    for seconds, number in plan.alone:
        yield gpu_windows.alone(windows, load, seconds, number, plan.long_s)


def trace_of(bench: RunContext, plan: Plan) -> Trace:
    """Record the trace to keep: rest, steady load, pulses, rest."""
    trace = record(bench.probe, lambda: play(bench.load, plan.trace))
    return Trace(trace.samples, trace.polls, trace.phases, bench.facts)


def open_card(card: int | None, environ: MutableMapping[str, str]) -> tuple[NvmlSensor, Any]:
    """Return the sensor and NVML handle of a card, by NVML's number; None is CUDA's first.

    CUDA then shows only this card, so that the work and the sensor use the same one. Raises
    `SensorUnavailable` if the card cannot be read or has no energy counter.
    """
    if card is not None:
        # CUDA's numbers must follow NVML's order here; the work uses the UUID below.
        environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environ["CUDA_VISIBLE_DEVICES"] = str(card)
    sensor = open_sensor(environ)
    import pynvml

    name = sensor.domains[0].name
    handle = pynvml.nvmlDeviceGetHandleByIndex(int(name.partition(":")[2]))
    if len(sensor.domains) > 1:
        environ["CUDA_VISIBLE_DEVICES"] = str(pynvml.nvmlDeviceGetUUID(handle))
        sensor.close()
        return open_card(None, environ)
    try:
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        raise SensorUnavailable(
            f"{name} has no energy counter ({error})", "choose a card of Volta or newer with --card"
        ) from None
    return sensor, handle


def ready(sensor: NvmlSensor, probe: Probe, load: Load, settle_s: float = 1.0) -> RunContext:
    """Return the card with its load, and its facts under load."""
    with busy(load, settle_s):
        about = facts(probe.nvml, probe.handle, probe.instant, load)
    return RunContext(probe, Instruments([sensor]), sensor.domains[0].name, load, about)


def facts(nvml: Any, handle: Any, instant: bool, load: Load) -> dict[str, str]:
    """Return card, driver and settings; nothing that identifies the machine or the card."""
    cuda = _query(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2)
    limit_mw = _query(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    heat = _query(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    sm_mhz = _query(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)
    memory_mhz = _query(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM)
    torch = sys.modules.get("torch")
    return {
        "device": str(_query(nvml, nvml.nvmlDeviceGetName, handle)),
        "driver": str(_query(nvml, nvml.nvmlSystemGetDriverVersion)),
        "CUDA of the driver": "not reported"
        if cuda is None
        else f"{cuda // 1000}.{cuda % 1000 // 10}",
        "torch": "not loaded" if torch is None else str(torch.__version__),
        "power limit": "not reported" if limit_mw is None else f"{limit_mw / 1000:.0f} W",
        "temperature under load": f"{heat} C",
        "clocks under load": f"SM {sm_mhz} MHz, memory {memory_mhz} MHz",
        "power": "instantaneous" if instant else "a mean over time, not instantaneous",
        "load": f"{load.words}, {load.call_s * 1e3:.2f} ms a call",
        "Python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _query(nvml: Any, question: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.on_gpu",
        description="Measure the accuracy of joules on a real NVIDIA card.",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the report")
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="trace file; without --out, write only this"
    )
    parser.add_argument(
        "--seconds", type=float, default=Plan.steady_s, help="duration of steady load (default: 10)"
    )
    parser.add_argument(
        "--card", type=int, help="the card's number in nvidia-smi (default: CUDA's first)"
    )
    known = parser.parse_args(given)
    if known.out is None and known.trace is None:
        parser.error("expected --out FOLDER for a report, --trace FILE for a trace, or both")
    if known.seconds <= 0:
        parser.error(f"--seconds {known.seconds}: expected a number > 0")
    return known


def run(known: argparse.Namespace) -> None:
    """Measure a real card and write the chosen files."""
    sensor, handle = open_card(known.card, os.environ)
    import pynvml

    load = Matmul()
    bench = ready(sensor, Probe(pynvml, handle), load)
    plan = Plan(steady_s=known.seconds)
    _say(gpu_report.facts_in_words(bench.facts))
    path = known.trace or known.out / "trace.csv.gz"
    write_trace(trace_of(bench, plan), path)
    _say(f"trace written to {path}")
    if known.out:
        figures = measure(
            bench, plan, lambda calls, n: gpu_repeat.fresh_process(load.size, calls, n), _say
        )
        gpu_report.write(figures, known.out)
        _say(f"report written to {known.out}")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main(given: Sequence[str] | None = None) -> int:
    """Run; on an error, print the reason and the fix in one line and return 2."""
    known = arguments(given)
    try:
        run(known)
    except GreenopsError as problem:
        _say(f"on_gpu: {problem}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
