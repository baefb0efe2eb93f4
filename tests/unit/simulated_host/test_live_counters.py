"""Live RAPL counters show what their script says, however a process reads them."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import child, live_counters, native
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.powercap_tree import build

pytestmark = pytest.mark.skipif(not native.POSSIBLE, reason=native.WHY_NOT)

STEPS_W = tuple((i / 20, 60.0 + 35 * (i % 7)) for i in range(600))

Watch = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes counters move, built once."""
    return live_counters.build(tmp_path_factory.mktemp("live"))


@pytest.fixture
def watch(library: Path, tmp_path: Path) -> Watch:
    """Reads a zone's counter a few times, in each way, from a second of its script on."""
    package = build(tmp_path / "sys")["package-0"]

    def watch(zone: LiveZone, *, at_s: float = 1.0, times: int = 60) -> Any:
        start_s = time.monotonic() - at_s
        script = tmp_path / "script"
        added = live_counters.environment(library, script, {package.file: zone}, start_s)
        args = (str(package.file), times, start_s)
        return child.run(_texts, *args, environ={**os.environ, **added})

    return watch


def _texts(file: str, times: int, start_s: float) -> list[Any]:
    """In a child: when a read began, the text or the errno, when it was there."""
    with open(file) as held, open(file, "rb", buffering=0) as raw:
        ways: list[Callable[[], str]] = [
            lambda: Path(file).read_text(),
            lambda: (held.seek(0, 0), held.readline())[1],
            lambda: os.pread(raw.fileno(), 64, 0).decode(),
            lambda: _one_by_one(raw),
        ]
        answers: list[Any] = []
        for way in ways * times:
            before_s = time.monotonic() - start_s
            try:
                answer: object = way()
            except OSError as error:
                answer = error.errno
            answers.append((before_s, answer, time.monotonic() - start_s))
            time.sleep(0.001)
    return answers


def _one_by_one(raw: io.FileIO) -> str:
    raw.seek(0)
    return b"".join(iter(lambda: raw.read(1), b"")).decode()


def answers(watched: list[Any]) -> set[Any]:
    """The answers that there were, in whatever way."""
    return {answer for _, answer, _ in watched}


@pytest.mark.parametrize(
    "zone",
    [
        LiveZone(),
        LiveZone(STEPS_W, tick_s=0.0, start_uj=987_654_321),
        LiveZone(STEPS_W, tick_s=0.1, phase_s=0.03),
        LiveZone(STEPS_W, unit_uj=1e6),
        LiveZone(STEPS_W, stick_s=1.3),
        LiveZone(((-500.0, 40.0), (1.2, 300.0)), range_uj=None),
    ],
    ids=["plain", "exact", "slow", "unit", "stick", "before"],
)
def test_shows_the_count_of_this_moment(watch: Watch, zone: LiveZone) -> None:
    """A count, read in whatever way, is one that the script has while it is read."""
    for before_s, text, after_s in watch(zone):
        assert text.endswith("\n")
        assert zone.energy_uj_at(before_s) - 1 <= int(text) <= zone.energy_uj_at(after_s) + 1


def test_wraps_at_its_range(watch: Watch) -> None:
    """The count starts again from zero at the range, and the true energy goes on."""
    zone = LiveZone(((0.0, 200.0),), range_uj=20_000_000, start_uj=19_000_000)
    for before_s, text, after_s in watch(zone, at_s=1.0, times=60):
        gone_uj = (int(text) - zone.energy_uj_at(before_s)) % 20_000_000
        assert 0 <= int(text) < 20_000_000
        assert gone_uj <= 200e6 * (after_s - before_s + zone.tick_s) + 1
    assert zone.energy_uj_at(0.5) == 19_000_000 + 100_000_000 - 5 * 20_000_000
    assert zone.joules(0.0, 0.5) == pytest.approx(100)


@pytest.mark.parametrize(("missing", "end"), [(1, None), (4, -3), (99, 0)])
def test_text_is_torn_for_a_while(watch: Watch, missing: int, end: int | None) -> None:
    """Between the two times the end of the text is missing: the newline, digits, or all."""
    zone = LiveZone(((0.0, 0.0),), start_uj=123_456_789, tears=((5.0, 15.0, missing),))
    texts = [answers(watch(zone, at_s=at_s, times=1)) for at_s in (1.0, 10.0, 20.0)]
    assert texts == [{"123456789\n"}, {"123456789"[:end]}, {"123456789\n"}]


def test_read_fails_for_a_while(watch: Watch) -> None:
    """Between the two times a read has the errno, and neither before nor after."""
    zone = LiveZone(((0.0, 0.0),), start_uj=7, failures=((5.0, 15.0, errno.EIO),))
    seen = [answers(watch(zone, at_s=at_s, times=1)) for at_s in (1.0, 10.0, 20.0)]
    assert seen == [{"7\n"}, {errno.EIO}, {"7\n"}]


def test_denies_from_a_time_on(watch: Watch) -> None:
    """From the time on a reader has no permission."""
    zone = LiveZone(((0.0, 0.0),), start_uj=7, deny_s=5.0)
    seen = [answers(watch(zone, at_s=at_s, times=1)) for at_s in (1.0, 10.0)]
    assert seen == [{"7\n"}, {errno.EACCES}]


def test_links_and_mirrors_show_one_counter(library: Path, tmp_path: Path) -> None:
    """A counter is the same by each path to it; other files are what they are."""
    tree = build(tmp_path / "sys", mmio=True)
    zone = LiveZone(((0.0, 0.0),), start_uj=42)
    zones = {tree["package-0"].file: zone}
    added = live_counters.environment(library, tmp_path / "script", zones, time.monotonic())
    files = [
        tree.root / "intel-rapl:0" / "energy_uj",
        tree.root / "intel-rapl" / "intel-rapl:0" / "energy_uj",
        tree["intel-rapl-mmio/package-0"].file,
        tree["package-0/core"].file,
        tree["package-0"].zone / "name",
    ]
    texts = child.run(_read_all, list(map(str, files)), environ={**os.environ, **added})
    assert texts == ["42\n"] * 3 + [tree["package-0/core"].file.read_text(), "package-0\n"]


def _read_all(files: list[str]) -> list[str]:
    """In a child: what is in the files."""
    return [Path(file).read_text() for file in files]
