"""Each self-check through the whole plugin, on a simulated machine that provokes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from pytest_greenops.model.result import Results
from tests.simulated_host.host import Host, Socket, why_impossible
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))

#: What else runs on the machine of this test is no part of the simulated one.
CONFTEST = """
    from pytest_greenops import machine
    from pytest_greenops.measure.observer import NoLoad

    machine.LoadProbe = NoLoad
"""
TEST = """
    import time

    import pytest


    @pytest.mark.energy_budget({budget})
    def test_works(energy):
        energy(time.sleep, 0.02)
"""
#: Nothing else uses this process's card.
CARD = Card(processes=(0,))
#: How NVML tells what holds clocks down.
POWER_CAP, THERMAL_SLOWDOWN = ((0.0, 0x04),), ((0.0, 0x40),)


class Outcome:
    """What a run of pytest printed, and what it measured."""

    def __init__(self, printed: str, results: bytes) -> None:
        self.text = " ".join(printed.split())
        self.header = [line[8:] for line in printed.splitlines() if line.startswith("energy: ")]
        [self.result] = msgspec.json.decode(results, type=Results).results

    @property
    def said(self) -> str:
        """The outcome and its cause."""
        verdict = self.result.verdict
        return f"{verdict.outcome.value}: {verdict.cause}"

    @property
    def checks(self) -> dict[str, str]:
        """The finding of each self-check that did not hold."""
        return {check.name: check.finding for check in self.result.checks}


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest on a simulated machine, in one folder all the time."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "conftest.py").write_text(dedent(CONFTEST))
    (project / "pytest.ini").write_text("[pytest]\n")

    def run(host: Host, *args: str, budget: str = '"9 kJ"', test: str = "") -> Outcome:
        (project / "test_it.py").write_text(dedent(test or TEST.format(budget=budget)))
        folder = tmp_path / f"host_{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        printed = host.run(_pytest, str(project), list(args), folder=folder)
        return Outcome(printed, (project / "results.json").read_bytes())

    return run


def _pytest(project: str, args: list[str]) -> str:
    """In a child, on the machine: run pytest there, and give back what it printed."""
    options = ["--energy", "--energy-json=results.json", "-p", "no:cacheprovider", *args]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "greenops", *options],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def socket(watts: float = 50.0, **zone: object) -> Host:
    """A machine with one package."""
    return Host((Socket(LiveZone(((0.0, watts),), **zone)),))  # type: ignore[arg-type]


def with_card(**changes: object) -> Host:
    """A machine with a package and a card that this process uses."""
    return Host((Socket(LiveZone()),), cards=(replace(CARD, **changes),))  # type: ignore[arg-type]


GPU = '"9 kJ", domain="gpu"'
#: As many rounds as tell a change of 100 %.
FEW = "--energy-min-rounds=3", "--energy-max-rounds=3"


def test_a_sound_machine_has_nothing_against_itself(run: Run) -> None:
    """The same machine as below, without what they provoke."""
    seen = run(with_card())
    assert (seen.said, seen.checks) == ("passed: None", {})
    assert seen.header[0] == "sensed by powercap (cpu:0), nvml (gpu:0)"
    assert seen.result.watts == pytest.approx(150.0, rel=0.05)


# --- too short, disagreement -----------------------------------------------------------------


def test_a_round_that_is_too_short_decides_nothing(run: Run) -> None:
    """Of work that is done once, and over before the counter has moved twice."""
    seen = run(with_card(tick_s=0.1), budget=f"{GPU}, max_rounds=1")
    assert seen.said.startswith("inconclusive: too short: a round spans 20")
    assert "make one call longer" in seen.text


def test_a_counter_that_contradicts_its_power_is_labelled(run: Run) -> None:
    """In the header, and with the measurement; its verdict stands."""
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
    """A package of 820 W could fill 25 J three times in a round: nothing can be said."""
    seen = run(socket(50.0, range_uj=25_000_000))
    assert seen.result.verdict.outcome == "not measured"
    assert seen.checks["void"].startswith("cpu:0 may have wrapped unseen in a window")


# --- stuck -----------------------------------------------------------------------------------


def test_a_processor_whose_counter_stands_still_is_estimated(run: Run) -> None:
    """The header says why, and what mends it."""
    seen = run(socket(stick_s=0.0))
    assert seen.result.provenance.estimated
    assert seen.header[0].startswith("ESTIMATED, not sensed")
    assert seen.header[1] == (
        "powercap cannot be read: its counters are stuck: cpu:0 did not move in 300 ms of work; "
        "fix: measure on the host itself, or on a bare-metal machine"
    )


def test_memory_whose_counter_stands_still_is_left_out(run: Run) -> None:
    """The processor is sensed without it, and the header says so."""
    seen = run(Host((Socket(LiveZone(), dram=LiveZone(stick_s=0.0)),)))
    assert seen.result.provenance.sensors == {"cpu:0": "powercap"}
    assert seen.header[:2] == [
        "sensed by powercap (cpu:0)",
        "powercap: dram:0 did not move in 300 ms of work: not measured",
    ]


# --- implausible -----------------------------------------------------------------------------


def test_power_beyond_the_limit_is_void(run: Run) -> None:
    """A package of 205 W cannot draw 4 kW: its counter is wrong, and no figure comes of it."""
    seen = run(socket(4000.0))
    assert re.fullmatch(
        r"not measured: cpu:0 counted [34]\.\d+ kW, which is implausible: its limit is 820 W",
        seen.said,
    )


# --- throttled -------------------------------------------------------------------------------

HOT = """
    import time
    from pathlib import Path

    import pytest

    COUNT = Path("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count")
    CALLS = []


    def work():
        time.sleep(0.15)
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
    """The kernel counted it in two rounds; both are left out, and told."""
    seen = run(socket(), test=HOT.format(hot=[3, 5]))
    [check] = seen.result.checks
    assert (check.finding, check.done) == (THROTTLED, "2 rounds left out")
    assert seen.said == "passed: None"


def test_a_processor_that_stays_too_hot_measures_nothing(run: Run) -> None:
    """After four such rounds the reason is all there is; an estimate is no better off."""
    assert run(socket(), test=ALWAYS_HOT).said == f"not measured: {THROTTLED}"
    estimated = run(socket(), "--energy-sensors=estimate", test=ALWAYS_HOT)
    assert estimated.said == f"not measured: {THROTTLED}"


def test_a_processor_that_stays_too_hot_leaves_the_card_alone(run: Run) -> None:
    """Where only the card is judged its verdict stands, and the throttling is told."""
    test = ALWAYS_HOT.replace('"9 kJ"', GPU)
    seen = run(with_card(), "--energy-sensors=estimate,nvml", *FEW, test=test)
    assert (seen.said, seen.checks) == ("passed: None", {"throttled": THROTTLED})
    assert "3 rounds kept, since cpu:0 is not judged" in seen.text


def test_a_card_that_is_too_hot_measures_nothing(run: Run) -> None:
    """Of the rounds in which it slowed down for heat, none is left."""
    seen = run(with_card(throttle=THERMAL_SLOWDOWN), budget=GPU)
    assert seen.said.startswith("not measured: gpu:0 was throttled: hardware thermal slowdown")


# --- drift -----------------------------------------------------------------------------------


def test_a_card_that_warms_on_is_told(run: Run) -> None:
    """By how many degrees, after its rounds were made twice."""
    seen = run(with_card(temperature_c=((0.0, 30.0), (60.0, 3030.0))), budget=GPU)
    assert seen.checks["drift"].startswith("gpu:0 warmed by ")
    assert "warmed up once more, then flagged" in seen.text


# --- contention on a card --------------------------------------------------------------------


def test_a_stranger_on_the_card_makes_it_inconclusive(run: Run) -> None:
    """Another process computes on it: no verdict on the card, and what to do is said."""
    seen = run(with_card(processes=(0, 1)), *FEW, budget=GPU)
    rounds = len(seen.result.rounds)
    finding = f"another process used gpu:0 in {rounds} of {rounds} rounds"
    assert seen.said == f"inconclusive: contention: {finding}"
    assert "stop what else runs on the machine" in seen.text


def test_a_stranger_on_the_card_leaves_the_processor_alone(run: Run) -> None:
    """Its joules are in another counter."""
    seen = run(with_card(processes=(0, 1)), *FEW, budget='"9 kJ", domain="cpu"')
    assert (seen.said, list(seen.checks)) == ("passed: None", ["contention"])


# --- another machine -------------------------------------------------------------------------


def test_a_card_with_another_limit_is_another_machine(run: Run) -> None:
    """What it draws there is no regression here."""
    budget = 'domain="gpu"'
    run(with_card(limit_w=300.0), "--energy-save", *FEW, budget=budget)
    seen = run(with_card(limit_w=250.0, power_w=((0.0, 200.0),)), *FEW, budget=budget)
    assert seen.said == "not comparable: gpu power limit: 300 W -> 250 W"


# --- power cap -------------------------------------------------------------------------------


def watts(power_w: float, capped: bool) -> Host:
    """A card that draws so much, and keeps to its power limit or need not."""
    return with_card(power_w=((0.0, power_w),), throttle=POWER_CAP if capped else ())


def test_a_power_cap_that_the_baseline_had_not_is_no_regression(run: Run) -> None:
    """It is inconclusive until the user accepts it; then it is normal."""
    budget = 'domain="gpu"'
    run(watts(100.0, capped=False), "--energy-save", *FEW, budget=budget)
    accepted = run(watts(200.0, capped=True), "--energy-save", *FEW, budget=budget)
    assert accepted.said == "inconclusive: gpu:0: software power cap (baseline: none)"
    assert accepted.result.saved
    assert run(watts(200.0, capped=True), *FEW, budget=budget).said == "passed: None"
