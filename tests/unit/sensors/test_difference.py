"""Two readings become a window, or a reason why there is none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.model.measurement import Domain, Reading, Window
from pytest_greenops.sensors.base import difference
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.rapl import powercap
from pytest_greenops.testing import FakeSensor
from tests.simulated_host import powercap_tree

SECOND_NS = 1_000_000_000
RANGE_UJ = powercap_tree.INTEL_RANGE_UJ
CPU = Domain("cpu:0", "cpu", range_uj=RANGE_UJ, max_power_w=300.0)
DRAM = Domain("dram:0", "dram", range_uj=RANGE_UJ, max_power_w=100.0)
ENDLESS = Domain("gpu:0", "gpu")


def test_a_window_holds_the_seconds_and_the_microjoules_of_every_domain() -> None:
    """Counts are subtracted, each under the name of its domain."""
    window = difference(
        (CPU, DRAM), Reading(5 * SECOND_NS, [100, 7]), Reading(7 * SECOND_NS, [350, 7])
    )
    assert Window(2.0, {"cpu:0": 250, "dram:0": 0}) == window


@pytest.mark.parametrize("seed", range(10))
def test_one_wrap_anywhere_in_a_window_loses_no_microjoule(seed: int) -> None:
    """Wherever a counter of any range wraps, the energy of the window is exact."""
    rng = random.Random(seed)
    for _ in range(100):
        range_uj = rng.choice([RANGE_UJ, powercap_tree.AMD_RANGE_UJ, rng.randint(10**6, 10**15)])
        domain = Domain("cpu:0", "cpu", range_uj=range_uj, max_power_w=300.0)
        start = rng.randrange(range_uj)
        true_uj = rng.randrange(range_uj - start, range_uj)
        end = start + true_uj - range_uj
        assert 0 <= end < start
        # The shortest time in which 300 W give this energy: a second wrap is not plausible.
        after = Reading(int(true_uj / 300 * 1000), [end])
        assert {"cpu:0": true_uj} == difference((domain,), Reading(0, [start]), after).energy_uj


LOST = Reading(SECOND_NS, [None], why={"gpu:0": "could not be read: GPU is lost"})


@pytest.mark.parametrize(
    ("domains", "before", "after", "energy_uj", "void"),
    [
        (
            (CPU, DRAM),
            Reading(0, [RANGE_UJ - 10, 500]),
            Reading(SECOND_NS, [5, 900]),
            {"cpu:0": 15, "dram:0": 400},
            None,
        ),
        (
            (ENDLESS,),
            Reading(0, [10]),
            Reading(SECOND_NS, [9]),
            {},
            "gpu:0 went back and its range is not known",
        ),
        ((ENDLESS,), Reading(0, [10]), Reading(10**6 * SECOND_NS, [12]), {"gpu:0": 2}, None),
        ((ENDLESS,), Reading(0, [10]), LOST, {}, "gpu:0 could not be read: GPU is lost"),
        (
            (CPU,),
            Reading(0, [10**9]),
            Reading(SECOND_NS // 10, [500_000]),
            {},
            "cpu:0 went back further than a wrap explains: it was reset",
        ),
        ((CPU,), Reading(0, [100], [30.0]), Reading(SECOND_NS, [90], [40.0]), {"cpu:0": 0}, None),
    ],
    ids=["wrap of one", "went back", "endless", "own words", "reset", "within its error"],
)
def test_a_count_that_went_back_has_wrapped_or_has_no_figure(
    domains: tuple[Domain, ...],
    before: Reading,
    after: Reading,
    energy_uj: dict[str, int],
    void: str | None,
) -> None:
    """A wrap needs a known range and a plausible power; a sensor may give the reason itself."""
    window = difference(domains, before, after)
    assert (window.energy_uj, window.void) == (energy_uj, void)


@pytest.mark.parametrize(
    ("wrapped_uj", "void"),
    [
        (600_000_000, None),
        (600_000_001, "cpu:0 went back further than a wrap explains: it was reset"),
    ],
)
def test_a_wrap_is_one_that_the_power_allows(wrapped_uj: int, void: str | None) -> None:
    """300 W for a second, and for the second by which energy may be late, are 600 J."""
    start_uj = RANGE_UJ - 100
    after = Reading(SECOND_NS, [start_uj + wrapped_uj - RANGE_UJ])
    window = difference((CPU,), Reading(0, [start_uj]), after)
    assert (window.energy_uj, window.void) == ({} if void else {"cpu:0": wrapped_uj}, void)


@pytest.mark.parametrize(("before", "after"), [(None, 5), (5, None), (None, None)])
def test_a_count_that_is_missing_voids_the_window(before: int | None, after: int | None) -> None:
    """A counter that is unreadable at either edge has no figure; the others keep theirs."""
    window = difference((CPU, DRAM), Reading(0, [1, before]), Reading(SECOND_NS, [9, after]))
    assert Window(1.0, {"cpu:0": 8}, {"dram:0": "dram:0 could not be read"}) == window


# At 300 W a window of 1000 s may hold 300 kJ: one range of 262.1 kJ and 37.9 kJ more.
@pytest.mark.parametrize(
    ("delta_uj", "void"),
    [
        (37_856_671_150, "cpu:0 may have wrapped unseen in a window of 1000 s"),
        (37_856_671_151, None),
    ],
)
@pytest.mark.parametrize("start_uj", [0, RANGE_UJ - 1])
def test_a_wrap_that_may_be_two_voids_the_window(
    start_uj: int, delta_uj: int, void: str | None
) -> None:
    """A window is void exactly if the highest plausible power allows one more range."""
    after = Reading(1000 * SECOND_NS, [(start_uj + delta_uj) % RANGE_UJ])
    window = difference((CPU,), Reading(0, [start_uj]), after)
    assert (void, {} if void else {"cpu:0": delta_uj}) == (window.void, window.energy_uj)


def test_a_sensor_that_fails_leaves_the_others_their_figures(tmp_path: Path) -> None:
    """A counter that fails is missing, with the reason."""
    tree = powercap_tree.build(tmp_path)
    card = FakeSensor(ENDLESS, name="card")
    instruments = Instruments([card, powercap.open_sensor(tree.root)])
    before = instruments.begin()
    tree["package-0"].show(b"")
    tree["package-0/dram"].advance(7)
    card.spend(2.0, "gpu:0")
    window = instruments.window(before, instruments.end())
    instruments.close()
    assert {"gpu:0": 2_000_000, "dram:0": 7} == window.energy_uj
    assert {"cpu:0": "cpu:0 could not be read"} == window.missing


def test_the_errors_of_both_edges_add_up_as_independent() -> None:
    """The errors of two readings make that of the window."""
    window = difference((ENDLESS,), Reading(0, [10], [3.0]), Reading(SECOND_NS, [90], [4.0]))
    assert {"gpu:0": 5.0} == window.error_uj


@pytest.mark.parametrize("errors", [([3.0], ()), ((), [4.0])], ids=["first", "last"])
def test_one_edge_without_an_error_leaves_the_window_without_one(errors: tuple[Any, Any]) -> None:
    """Half of an error would be too small; the energy is known."""
    window = difference(
        (ENDLESS,), Reading(0, [10], errors[0]), Reading(SECOND_NS, [90], errors[1])
    )
    assert Window(1.0, {"gpu:0": 80}) == window


@pytest.mark.parametrize("lost_first", [True, False], ids=["first", "last"])
def test_either_edge_may_say_why_there_is_no_energy(lost_first: bool) -> None:
    """The reason is that of the reading that has none."""
    known = Reading(SECOND_NS, [10], [3.0])
    edges = (LOST, known) if lost_first else (known, LOST)
    assert {"gpu:0": "gpu:0 could not be read: GPU is lost"} == difference(
        (ENDLESS,), *edges
    ).missing


def test_a_reading_that_lacks_a_count_makes_no_window() -> None:
    """A domain is never left out without a reason."""
    with pytest.raises(ValueError, match="shorter"):
        difference((CPU, DRAM), Reading(0, [1, 2]), Reading(SECOND_NS, [9]))


@pytest.mark.parametrize(("end_uj", "energy_uj"), [(96, {"gpu:0": 0}), (94, {})])
def test_a_count_may_seem_to_go_back_by_its_error(end_uj: int, energy_uj: dict[str, int]) -> None:
    """A window of almost nothing is then 0; a count that goes back by more has no figure."""
    window = difference((ENDLESS,), Reading(0, [100], [3.0]), Reading(1, [end_uj], [4.0]))
    assert energy_uj == window.energy_uj


@pytest.mark.parametrize(("seconds", "share"), [(1.0, 0.078), (0.05, 1.0), (0.0, 1.0)])
def test_a_counter_that_moves_seldom_is_late_by_its_period(seconds: float, share: float) -> None:
    """If a sensor states no error, it is 0.78 updates, and at most the whole energy."""
    card = FakeSensor(ENDLESS, update_period_s=0.1)
    instruments = Instruments([card])
    before = instruments.begin()
    card.spend(2.0, "gpu:0", seconds=seconds)
    window = instruments.window(before, instruments.end())
    assert window.error_uj["gpu:0"] == pytest.approx(2_000_000 * share)


def test_a_counter_that_wraps_inside_a_window_of_the_sensor_is_exact(tmp_path: Path) -> None:
    """From the tree to the window: of 1,000 windows, half with a wrap, each is exact."""
    rng = random.Random(1)
    tree = powercap_tree.build(tmp_path)
    sensor = powercap.open_sensor(tree.root)
    zones = {"cpu:0": tree["package-0"], "dram:0": tree["package-0/dram"]}
    for _ in range(1000):
        spent = {name: rng.randrange(200_000_000) for name in zones}
        for zone in zones.values():
            zone.set(RANGE_UJ - 1 - rng.randrange(400_000_000))
        before = sensor.read()
        for name, zone in zones.items():
            zone.advance(spent[name])
        assert spent == difference(sensor.domains, before, sensor.read()).energy_uj
    sensor.close()


@pytest.mark.parametrize(("seconds", "late_j"), [(0.2, 78.0), (0.4, 0.0)])
def test_a_slow_counter_that_did_not_move_is_uncertain(seconds: float, late_j: float) -> None:
    """In a window of less than three updates; in a longer one it would have moved."""
    card = FakeSensor(ENDLESS, CPU, update_period_s=0.1)
    instruments = Instruments([card])
    before = instruments.begin()
    card.spend(2.0, "cpu:0", seconds=seconds)
    window = instruments.window(before, instruments.end())
    assert window.error_uj["gpu:0"] == pytest.approx(late_j * 1e6)
