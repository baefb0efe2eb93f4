"""Live RAPL counters show what their script says, however a process reads them."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import child, live_counters, native
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.powercap_tree import build
from tests.simulated_host.simulated_clock import SimulatedClock

pytestmark = pytest.mark.skipif(not native.POSSIBLE, reason=native.WHY_NOT)

STEPS_W = tuple((i / 20, 60.0 + 35 * (i % 7)) for i in range(600))
NO_POWER = ((0.0, 0.0),)
#: Zones that show their count at every moment.
COUNTS = {
    "plain": LiveZone(),
    "exact": LiveZone(STEPS_W, tick_s=0.0, start_uj=987_654_321),
    "slow": LiveZone(STEPS_W, tick_s=0.1, phase_s=0.03),
    "unit": LiveZone(STEPS_W, unit_uj=1e6),
    "stick": LiveZone(STEPS_W, stick_s=1.3),
    "before": LiveZone(((-500.0, 40.0), (1.2, 300.0)), range_uj=None),
    "wrap": LiveZone(((0.0, 200.0),), range_uj=20_000_000, start_uj=19_000_000),
}
#: Zones with a fault, and what they show at 1, 10 and 20 s: a text or an errno.
FAULTS: dict[str, tuple[LiveZone, list[str | int]]] = {
    "no newline": (
        LiveZone(NO_POWER, start_uj=123_456_789, tears=((5.0, 15.0, 1),)),
        ["123456789\n", "123456789", "123456789\n"],
    ),
    "no digits": (
        LiveZone(NO_POWER, start_uj=123_456_789, tears=((5.0, 15.0, 4),)),
        ["123456789\n", "123456", "123456789\n"],
    ),
    "no text": (
        LiveZone(NO_POWER, start_uj=123_456_789, tears=((5.0, 15.0, 99),)),
        ["123456789\n", "", "123456789\n"],
    ),
    "fails": (
        LiveZone(NO_POWER, start_uj=7, failures=((5.0, 15.0, errno.EIO),)),
        ["7\n", errno.EIO, "7\n"],
    ),
    "denies": (LiveZone(NO_POWER, start_uj=7, deny_s=5.0), ["7\n", errno.EACCES, errno.EACCES]),
}
ZONES = COUNTS | {name: zone for name, (zone, _) in FAULTS.items()}
#: When each zone is read, in seconds of the script.
TIMES_S = [*(1.0 + 0.00713 * i for i in range(90)), 10.0, 20.0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library that makes counters move."""
    made = tmp_path_factory.mktemp("live")
    live_counters.build(made)
    return made


@pytest.fixture(scope="module")
def shown(folder: Path) -> dict[str, list[Any]]:
    """What one child read of all zones, in each way, by the name of the zone."""
    tree = build(folder / "sys", packages=range(len(ZONES)), core=False, dram=())
    files = [tree[f"package-{number}"].file for number in range(len(ZONES))]
    clock = SimulatedClock(folder / "clock")
    zones = dict(zip(files, ZONES.values(), strict=True))
    environ = live_counters.environment(
        folder / "live_counters.so", folder / "script", zones, clock.time_s
    )
    everything = {**os.environ, **environ, **clock.environ}
    read = child.run(_read_over_time, [str(file) for file in files], TIMES_S, environ=everything)
    return dict(zip(ZONES, read, strict=True))


def _read_over_time(files: list[str], times_s: list[float]) -> list[list[Any]]:
    """In a child: what each file shows at each time, in four ways."""
    clock = SimulatedClock.of_environment()
    start_s, read = clock.time_s, []
    for time_s in times_s:
        clock.sleep(start_s + time_s - clock.time_s)
        read.append([_in_each_way(file) for file in files])
    return [list(of_file) for of_file in zip(*read, strict=True)]


def _in_each_way(file: str) -> list[str | int | None]:
    with open(file) as held, open(file, "rb", buffering=0) as raw:
        ways: list[Callable[[], str]] = [
            lambda: Path(file).read_text(),
            lambda: (held.seek(0, 0), held.readline())[1],
            lambda: os.pread(raw.fileno(), 64, 0).decode(),
            lambda: _one_by_one(raw),
        ]
        answers: list[str | int | None] = []
        for way in ways:
            try:
                answers.append(way())
            except OSError as error:
                answers.append(error.errno)
        return answers


def _one_by_one(raw: io.FileIO) -> str:
    raw.seek(0)
    return b"".join(iter(lambda: raw.read(1), b"")).decode()


@pytest.mark.parametrize("name", COUNTS)
def test_a_zone_shows_the_count_of_the_moment(shown: dict[str, list[Any]], name: str) -> None:
    """In whatever way it is read, to a microjoule."""
    zone = COUNTS[name]
    for time_s, texts in zip(TIMES_S, shown[name], strict=True):
        [text] = set(texts)
        assert text.endswith("\n")
        assert int(text) == pytest.approx(zone.energy_uj_at(time_s), abs=1)


def test_a_count_wraps_at_its_range() -> None:
    """It starts again from zero, and the true energy goes on."""
    zone = COUNTS["wrap"]
    assert zone.energy_uj_at(0.5) == 19_000_000 + 100_000_000 - 5 * 20_000_000
    assert zone.joules(0.0, 0.5) == pytest.approx(100)


@pytest.mark.parametrize("name", FAULTS)
def test_a_zone_has_its_fault_for_a_while(shown: dict[str, list[Any]], name: str) -> None:
    """A torn text, a read that fails, or no permission, and not before."""
    at_1_10_20 = [shown[name][0], *shown[name][-2:]]
    assert [set(answers) for answers in at_1_10_20] == [{each} for each in FAULTS[name][1]]


def test_links_and_mirrors_show_one_counter(folder: Path, tmp_path: Path) -> None:
    """A counter is the same by each path to it; other files are what they are."""
    tree = build(tmp_path / "sys", mmio=True)
    zones = {tree["package-0"].file: LiveZone(NO_POWER, start_uj=42)}
    environ = live_counters.environment(
        folder / "live_counters.so", tmp_path / "script", zones, 0.0
    )
    files = [
        tree.root / "intel-rapl:0" / "energy_uj",
        tree.root / "intel-rapl" / "intel-rapl:0" / "energy_uj",
        tree["intel-rapl-mmio/package-0"].file,
        tree["package-0/core"].file,
        tree["package-0"].zone / "name",
    ]
    texts = child.run(_read_all, list(map(str, files)), environ={**os.environ, **environ})
    assert texts == ["42\n"] * 3 + [tree["package-0/core"].file.read_text(), "package-0\n"]


def _read_all(files: list[str]) -> list[str]:
    """In a child: what the files contain."""
    return [Path(file).read_text() for file in files]
