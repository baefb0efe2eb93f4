"""Relations between joules on a whole simulated machine: counters in `/sys`, a card, a clock.

Those that hold for any input, on a simulated counter, are in `tests/properties/test_relations.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from pytest_greenops.model.result import Result, Results
from tests.integration.test_selfchecks import CARD, machine, run_on
from tests.simulated_host.host import Host, why_impossible
from tests.simulated_host.live_counters import LiveZone

pytestmark = pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))

#: Reading the clock and the counters takes simulated time too.
WITHIN = 0.02
TESTS = """
    import pytest

    from pytest_greenops.sensors.clock import SYSTEM_CLOCK


    @pytest.mark.parametrize("times", [1, 2, 4, 8])
    def test_work(energy, times):
        energy(SYSTEM_CLOCK.sleep, 0.05 * times)


    @pytest.mark.parametrize("times", [1, 3])
    def test_parts(energy, times):
        for _ in energy.rounds():
            with energy.measure("whole"):
                for number in range(times):
                    with energy.measure(f"part {number}"):
                        SYSTEM_CLOCK.sleep(0.07 * (number + 1))
"""
WATTS = {"cpu:0": 80.0, "dram:0": 12.0, "gpu:0": 100.0}


def constant() -> Host:
    """Return a machine that always draws the same."""
    return machine(
        CARD,
        package=LiveZone(((0.0, WATTS["cpu:0"]),), start_uj=262_143_000_000),
        dram=LiveZone(((0.0, WATTS["dram:0"]),)),
    )


def varying() -> Host:
    """Return a machine whose package changes its power ten times a second."""
    steps = tuple((number / 10, 60.0 + 40.0 * (number % 4)) for number in range(6000))
    return machine(CARD, package=LiveZone(steps), dram=LiveZone(((0.0, 12.0),)))


def results(host: Host, folder: Path, *args: str) -> dict[str, Result]:
    """Run the tests on a machine; return the results by test and measurement."""
    _, data = run_on(host, folder, TESTS, *args)
    found = msgspec.json.decode(data, type=Results).results
    return {f"{each.test.name}/{each.name}": each for each in found}


def test_twice_the_work_uses_twice_the_joules(tmp_path: Path) -> None:
    """Of the package, one of whose counters wraps, of its memory, and of the card."""
    found = results(constant(), tmp_path, "-k", "work")
    by_domain = [found[f"test_work[{times}]/call"].by_domain for times in (1, 2, 4, 8)]
    for name, watts in WATTS.items():
        used = [each[name] for each in by_domain]
        assert used == pytest.approx([watts * 0.05 * times for times in (1, 2, 4, 8)], rel=WITHIN)
        for once, twice in pairwise(used):
            assert twice == pytest.approx(2 * once, rel=WITHIN)


@pytest.mark.parametrize("host", [constant, varying])
def test_the_parts_of_a_window_have_its_joules(tmp_path: Path, host: Callable[[], Host]) -> None:
    """In each round, whatever the machine draws meanwhile."""
    found = results(host(), tmp_path, "-k", "parts")
    for times in (1, 3):
        whole = found[f"test_parts[{times}]/whole"]
        parts = [found[f"test_parts[{times}]/part {number}"] for number in range(times)]
        assert len(whole.rounds) >= 5
        for rounds in zip(whole.rounds, *(part.rounds for part in parts), strict=True):
            for name in WATTS:
                of_whole, *of_parts = [each.energy_uj[name] for each in rounds]
                assert sum(of_parts) == pytest.approx(of_whole, rel=WITHIN)
