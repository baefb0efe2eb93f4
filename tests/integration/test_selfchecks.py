"""Each self-check through the whole plugin, on a simulated machine and clock that provoke it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from pytest_greenops.model.result import Results
from tests.simulated_host.host import Host, Socket, why_impossible
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card
from tests.simulated_host.simulated_clock import START_NS, SimulatedClock

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))

#: Other work on the machine of this test is not work on the simulated one.
CONFTEST = """
    from pytest_greenops import machine
    from pytest_greenops.measure.observer import NoLoad
    from tests.simulated_host.simulated_clock import SimulatedClock

    machine.LoadProbe = NoLoad
    SimulatedClock.of_environment(read_cost_ns=20_000).install()
"""
TEST = """
    import pytest

    from pytest_greenops.sensors.clock import SYSTEM_CLOCK


    @pytest.mark.energy_budget({budget})
    def test_works(energy):
        energy(SYSTEM_CLOCK.sleep, 0.02)
"""
#: Only this process uses the card.
CARD = Card(processes=(0,))
#: How NVML reports what limits clocks.
POWER_CAP, THERMAL_SLOWDOWN = ((0.0, 0x04),), ((0.0, 0x40),)


class Outcome:
    """What a run of pytest printed and measured."""

    def __init__(self, printed: str, results: bytes) -> None:
        self.text = " ".join(printed.split())
        rows = printed.replace("\n        ", " ").splitlines()  # continued rows are indented
        found = (line[8:] for line in rows if line.startswith("energy: "))
        self.header = [" ".join(line.split()) for line in found]
        [self.result] = msgspec.json.decode(results, type=Results).results

    @property
    def said(self) -> str:
        """The outcome and its cause."""
        verdict = self.result.verdict
        return f"{verdict.outcome.value}: {verdict.cause}"

    @property
    def checks(self) -> dict[str, str]:
        """The finding of each self-check that failed."""
        return {check.name: check.finding for check in self.result.checks}


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest on a simulated machine, in the same folder each time."""

    def run(host: Host, *args: str, budget: str = '"9 kJ"', test: str = "") -> Outcome:
        return Outcome(*run_on(host, tmp_path, test or TEST.format(budget=budget), *args))

    return run


def run_on(host: Host, base: Path, test: str, *args: str) -> tuple[str, bytes]:
    """Run pytest on a simulated machine, below a folder; return what it says, and its results."""
    project = base / "project"
    project.mkdir(exist_ok=True)
    files = {"conftest.py": CONFTEST, "pytest.ini": "[pytest]\n", "test_it.py": test}
    for name, text in files.items():
        (project / name).write_text(dedent(text))
    folder = base / f"host_{len(list(base.iterdir()))}"
    folder.mkdir()
    environ = {
        **SimulatedClock(folder / "clock").environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "200",
        "PYTHONPATH": str(ROOT),
    }
    asked = str(project), list(args)
    printed = host.run(_pytest, *asked, folder=folder, environ=environ)
    return printed, (project / "results.json").read_bytes()


def _pytest(project: str, args: list[str]) -> str:
    """In a child, on the machine: run pytest in a folder, and return what it prints."""
    os.chdir(project)
    options = ["--energy", "--energy-json=results.json", "-p", "no:cacheprovider", *args]
    with redirect_stdout(io.StringIO()) as printed:
        pytest.main(["-p", "greenops", *options])
    return printed.getvalue()


def machine(*cards: Card, **socket: LiveZone) -> Host:
    """Return a machine with a socket and cards, whose time begins with the simulated clock."""
    return Host((Socket(**socket),), cards=cards, start_s=START_NS * 1e-9)


def socket(watts: float = 50.0, **zone: object) -> Host:
    """Return a machine with one package."""
    return machine(package=LiveZone(((0.0, watts),), **zone))


def with_card(**changes: object) -> Host:
    """Return a machine with a package and a card that this process uses."""
    return machine(replace(CARD, **changes), package=LiveZone())


GPU = '"9 kJ", domain="gpu"'
#: Enough rounds to detect a change of 100 %.
FEW = "--energy-min-rounds=3", "--energy-max-rounds=3"


def test_a_sound_machine_fails_no_check(run: Run) -> None:
    """The machine of the other tests, without their faults."""
    seen = run(with_card())
    assert (seen.said, seen.checks) == ("passed: None", {})
    assert seen.header[0] == "sensed by powercap (cpu:0), nvml (gpu:0)"
    assert seen.result.watts == pytest.approx(150.0, rel=0.05)


# --- too short, disagreement -----------------------------------------------------------------


def test_a_round_that_is_too_short_decides_nothing(run: Run) -> None:
    """The work is done once, and ends before the counter has moved twice."""
    seen = run(with_card(tick_s=0.1), budget=f"{GPU}, max_rounds=1")
    assert seen.said.startswith("inconclusive: too short: a round spans 20")
    assert "make one call longer" in seen.text


def test_a_counter_that_contradicts_its_power_is_labelled(run: Run) -> None:
    """In the header and with the measurement; its verdict stays."""
    seen = run(with_card(gain=0.8), budget=GPU)
    found = "gpu:0 counts 20 % less than its integrated power"
    assert f"nvml: {found}" in seen.header
    assert (seen.said, seen.checks) == ("passed: None", {"disagreement": found})


# --- wrapped ---------------------------------------------------------------------------------


def test_a_counter_that_wraps_loses_nothing(run: Run) -> None:
    """At 400 W it wraps each second; every round has its joules."""
    seen = run(socket(400.0, range_uj=400_000_000), "--energy-min-rounds=20")
    watts = [round_.energy_uj["cpu:0"] * 1e-6 / round_.seconds for round_ in seen.result.rounds]
    assert watts == pytest.approx([400.0] * len(watts), rel=0.05)
    assert (len(watts) >= 20, seen.checks) == (True, {})


def test_a_window_in_which_it_may_have_wrapped_twice_is_void(run: Run) -> None:
    """A package of 820 W could fill 25 J three times in a round."""
    seen = run(socket(50.0, range_uj=25_000_000))
    assert seen.result.verdict.outcome == "not measured"
    assert seen.checks["void"].startswith("cpu:0 may have wrapped unseen in a window")


# --- stuck -----------------------------------------------------------------------------------


def test_a_processor_whose_counter_is_stuck_is_estimated(run: Run) -> None:
    """The header has the reason and the fix."""
    seen = run(socket(stick_s=0.0))
    assert seen.result.provenance.estimated
    assert seen.header[0].startswith("ESTIMATED, not sensed")
    assert seen.header[1] == (
        "powercap cannot be read: its counters are stuck: cpu:0 did not move in 300 ms of work; "
        "fix: measure on the host itself, or on a bare-metal machine"
    )


def test_memory_whose_counter_is_stuck_is_left_out(run: Run) -> None:
    """The processor is sensed without it, and the header says so."""
    seen = run(machine(package=LiveZone(), dram=LiveZone(stick_s=0.0)))
    assert seen.result.provenance.sensors == {"cpu:0": "powercap"}
    assert seen.header[:2] == [
        "sensed by powercap (cpu:0)",
        "powercap: dram:0 did not move in 300 ms of work: not measured",
    ]


# --- implausible -----------------------------------------------------------------------------


def test_power_beyond_the_limit_is_void(run: Run) -> None:
    """A package of 205 W cannot draw 4 kW: its counter is wrong, and there is no figure."""
    seen = run(socket(4000.0))
    assert re.fullmatch(
        r"not measured: cpu:0 counted [34]\.\d+ kW, which is implausible: its limit is 820 W",
        seen.said,
    )


# --- throttled -------------------------------------------------------------------------------

HOT = """
    from pathlib import Path

    import pytest

    from pytest_greenops.sensors.clock import SYSTEM_CLOCK

    COUNT = Path("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count")
    CALLS = []


    def work():
        SYSTEM_CLOCK.sleep(0.15)
        CALLS.append(1)
        if len(CALLS) in {hot}:
            COUNT.write_text(f"{{len(CALLS)}}\\n")


    @pytest.mark.energy_budget("9 kJ")
    def test_works(energy):
        energy(work)
"""
ALWAYS_HOT = HOT.format(hot=list(range(99)))
THROTTLED = "cpu:0 was throttled: thermal throttle (let it cool, or turn turbo off)"


def test_a_round_of_a_processor_that_is_too_hot_is_made_again(run: Run) -> None:
    """The kernel counted it in two rounds; both are left out and reported."""
    seen = run(socket(), test=HOT.format(hot=[3, 5]))
    [check] = seen.result.checks
    assert (check.finding, check.done) == (THROTTLED, "2 rounds left out")
    assert seen.said == "passed: None"


def test_a_processor_that_stays_too_hot_measures_nothing(run: Run) -> None:
    """After four such rounds only the reason is reported, for an estimate too."""
    assert run(socket(), test=ALWAYS_HOT).said == f"not measured: {THROTTLED}"
    estimated = run(socket(), "--energy-sensors=estimate", test=ALWAYS_HOT)
    assert estimated.said == f"not measured: {THROTTLED}"


def test_a_processor_that_stays_too_hot_leaves_the_card_alone(run: Run) -> None:
    """If only the card is judged, its verdict stays, and the throttling is reported."""
    test = ALWAYS_HOT.replace('"9 kJ"', GPU)
    seen = run(with_card(), "--energy-sensors=estimate,nvml", *FEW, test=test)
    assert (seen.said, seen.checks) == ("passed: None", {"throttled": THROTTLED})
    assert "3 rounds kept, since cpu:0 is not judged" in seen.text


def test_a_card_that_is_too_hot_measures_nothing(run: Run) -> None:
    """No round is left in which heat did not slow it down."""
    seen = run(with_card(throttle=THERMAL_SLOWDOWN), budget=GPU)
    assert seen.said.startswith("not measured: gpu:0 was throttled: hardware thermal slowdown")


# --- drift -----------------------------------------------------------------------------------


def test_a_card_that_keeps_warming_is_flagged(run: Run) -> None:
    """With the degrees, after its rounds were made twice."""
    seen = run(with_card(temperature_c=((0.0, 30.0), (60.0, 3030.0))), budget=GPU)
    assert seen.checks["drift"].startswith("gpu:0 warmed by ")
    assert "warmed up once more, then flagged" in seen.text


# --- contention on a card --------------------------------------------------------------------


def test_a_stranger_on_the_card_makes_it_inconclusive(run: Run) -> None:
    """Another process computes on it: there is no verdict on the card, but advice."""
    seen = run(with_card(processes=(0, 1)), *FEW, budget=GPU)
    rounds = len(seen.result.rounds)
    finding = f"another process used gpu:0 in {rounds} of {rounds} rounds"
    assert seen.said == f"inconclusive: contention: {finding}"
    assert "stop other processes" in seen.text


def test_a_stranger_on_the_card_leaves_the_processor_alone(run: Run) -> None:
    """Its joules are in another counter."""
    seen = run(with_card(processes=(0, 1)), *FEW, budget='"9 kJ", domain="cpu"')
    assert (seen.said, list(seen.checks)) == ("passed: None", ["contention"])


# --- another machine -------------------------------------------------------------------------


def test_a_card_with_another_limit_is_another_machine(run: Run) -> None:
    """A higher power with another limit is not a regression."""
    budget = 'domain="gpu"'
    run(with_card(limit_w=300.0), "--energy-save", *FEW, budget=budget)
    seen = run(with_card(limit_w=250.0, power_w=((0.0, 200.0),)), *FEW, budget=budget)
    assert seen.said == "not comparable: gpu power limit: 300 W -> 250 W"


# --- power cap -------------------------------------------------------------------------------


def watts(power_w: float, capped: bool) -> Host:
    """Return a card of this power, which its power limit holds down or not."""
    return with_card(power_w=((0.0, power_w),), throttle=POWER_CAP if capped else ())


def test_a_power_cap_that_the_baseline_did_not_have_is_not_a_regression(run: Run) -> None:
    """It is inconclusive until the user accepts it; then it is normal."""
    budget = 'domain="gpu"'
    run(watts(100.0, capped=False), "--energy-save", *FEW, budget=budget)
    accepted = run(watts(200.0, capped=True), "--energy-save", *FEW, budget=budget)
    assert accepted.said == "inconclusive: gpu:0: software power cap (baseline: none)"
    assert accepted.result.saved
    assert run(watts(200.0, capped=True), *FEW, budget=budget).said == "passed: None"
