"""The state of a card, read from a driver that is a Python object."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.model.measurement import DeviceState
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.nvidia import device_state
from pytest_greenops.system import SYSTEM

OWN = os.getpid()
LIBRARIES = "7f00-7f01 r-xp 00000000 08:01 7 /usr/lib/x86_64-linux-gnu/"


class NVMLError(Exception):
    """What NVML raises."""


class FakeNvml:
    """A driver whose handles are answers by question; it fails if an answer is missing."""

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    def __getattr__(self, question: str) -> Any:
        """Any question about a card."""

        def answer(handle: dict[str, Any], *arguments: Any) -> Any:
            key = question.removeprefix("nvmlDeviceGet")
            if (known := handle.get(key)) is None:
                raise NVMLError(question)
            return known[arguments] if isinstance(known, dict) else known

        return answer


NVML = FakeNvml()
PRESENT = device_state.Presence(used=True, foreign=False)


def listing(*pids: int, drawing: Sequence[int] | None = ()) -> dict[str, Any]:
    """Return a card on which some processes compute and others draw."""
    card: dict[str, Any] = {"ComputeRunningProcesses": [SimpleNamespace(pid=pid) for pid in pids]}
    if drawing is not None:
        card["GraphicsRunningProcesses"] = [SimpleNamespace(pid=pid) for pid in drawing]
    return card


def used(cards: Sequence[Any], proc: Path) -> list[bool | None]:
    """Return whether this tree of processes is on each card."""
    return [presence.used for presence in device_state.presences(NVML, cards, proc)]


def foreign(cards: Sequence[Any], proc: Path) -> list[bool | None]:
    """Return whether another process computes on each card."""
    return [presence.foreign for presence in device_state.presences(NVML, cards, proc)]


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that collected these tests; `tests/mutation.py` runs them in forks of it."""
    for module in (device_state, process_tree):
        monkeypatch.setattr(module, "SYSTEM", replace(SYSTEM, getpid=lambda: OWN))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A `/proc` in which this process has loaded no library of NVIDIA."""
    maps(tmp_path, OWN, "libc.so.6")
    return tmp_path


@pytest.fixture
def child() -> Iterator[int]:
    """The id of a process that this one started, and that ends with the test."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def maps(proc: Path, pid: int, library: str) -> Path:
    """Record that a process has loaded a library."""
    path = proc / str(pid) / "maps"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{LIBRARIES}{library}\n", encoding="utf-8")
    return path


#: No process of this machine has such a high id.
STRANGER = 2**30


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([listing(OWN)], [True]),
        ([listing(STRANGER, OWN), listing(STRANGER)], [True, False]),
        ([listing(), listing(drawing=[OWN])], [False, True]),
        ([listing(OWN, drawing=None), listing(drawing=None)], [True, False]),
        ([listing(OWN), {}], [True, None]),
        ([listing(STRANGER)], [False]),
        ([{}], [False]),
        ([], []),
    ],
)
def test_a_card_that_lists_us_is_used(
    proc: Path, cards: list[dict[str, Any]], expected: list[bool | None]
) -> None:
    """To compute or to draw. Cards without us are then idle, those without a list are unknown.

    If no card lists us, and CUDA is not loaded, we are on none.
    """
    assert expected == used(cards, proc)


@pytest.mark.parametrize("library", ["libcuda.so.1", "libcuda.so.550.54.15", "nvcuda64.dll"])
@pytest.mark.parametrize("cards", [[listing(STRANGER), {}], [listing(), listing()]])
def test_with_cuda_loaded_a_card_that_does_not_list_us_may_be_used(
    proc: Path, cards: list[dict[str, Any]], library: str
) -> None:
    """In a container the driver knows us by other ids."""
    maps(proc, OWN, library)
    assert used(cards, proc) == [None, None]


def test_a_card_that_lists_us_settles_it_although_cuda_is_loaded(proc: Path) -> None:
    """A driver that knows us by our id is trusted about the other cards."""
    maps(proc, OWN, "libcuda.so.1")
    assert used([listing(), listing(OWN)], proc) == [False, True]


def test_a_descendant_is_one_of_us(proc: Path, child: int) -> None:
    """A card that lists a process which this one started is used."""
    assert used([listing(child), listing()], proc) == [True, False]


@pytest.mark.parametrize(
    ("library", "expected"), [("libcuda.so.1", None), ("libcudart.so.12", False), (None, False)]
)
def test_a_descendant_may_have_loaded_cuda(
    proc: Path, child: int, library: str | None, expected: bool | None
) -> None:
    """The driver's library in any process of the tree counts, except in one that ended."""
    if library:
        maps(proc, child, library)
    assert used([listing()], proc) == [expected]


def test_maps_of_any_encoding_are_read_or_leave_it_unknown(proc: Path) -> None:
    """A path that is not UTF-8 hides no others; if none can be read, CUDA may be loaded."""
    path = maps(proc, OWN, "libcuda.so.1")
    path.write_bytes(b"/home/\xff\n" + path.read_bytes())
    assert used([listing()], proc) == [None]
    path.unlink()
    path.mkdir()
    assert used([listing()], proc) == [None]


def test_without_proc_it_is_unknown(tmp_path: Path) -> None:
    """The maps of this process are missing because the system has none."""
    assert used([listing(), listing()], tmp_path) == [None, None]


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([listing(OWN)], [False]),
        ([listing(OWN, STRANGER)], [True]),
        ([listing(OWN), listing(STRANGER)], [False, True]),
        ([listing(OWN), {}], [False, None]),
        ([listing(OWN, drawing=[STRANGER])], [False]),
        ([listing(OWN, STRANGER, drawing=[STRANGER])], [False]),
        ([listing(OWN, STRANGER, drawing=[STRANGER + 1])], [True]),
        ([listing(OWN, drawing=None), listing(STRANGER, drawing=None)], [False, True]),
        ([listing(STRANGER)], [None]),
        ([listing()], [None]),
        ([{}], [None]),
    ],
)
def test_a_stranger_that_computes_is_foreign(
    proc: Path, cards: list[dict[str, Any]], expected: list[bool | None]
) -> None:
    """A process that draws on a screen is not, although it may compute too, like a browser.

    If the driver lists none of us, the answer is unknown.
    """
    assert expected == foreign(cards, proc)


def test_a_relative_is_not_foreign(proc: Path, child: int) -> None:
    """A child's work is our own, and a parent that waits may hold memory of the card meanwhile."""
    assert foreign([listing(OWN, child)], proc) == [False]
    assert foreign([listing(OWN, os.getppid())], proc) == [False]


def test_a_child_that_has_just_begun_is_not_foreign(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started after this tree was read, and before the driver was asked."""
    trees = iter([{OWN}, {OWN, STRANGER}])
    monkeypatch.setattr(device_state, "tree", lambda: next(trees))
    assert foreign([listing(OWN, STRANGER)], proc) == [False]


@pytest.mark.parametrize(
    ("comm", "expected"), [("nvidia-cuda-mps\n", False), ("python\n", True), (None, True)]
)
def test_the_server_of_a_shared_card_is_not_foreign(
    proc: Path, comm: str | None, expected: bool
) -> None:
    """CUDA's Multi-Process Service computes for its clients, which are listed as well."""
    if comm:
        (proc / str(STRANGER)).mkdir()
        (proc / str(STRANGER) / "comm").write_text(comm)
    assert foreign([listing(OWN, STRANGER)], proc) == [expected]


def occupied(percent: int | None, *pids: int) -> dict[str, Any]:
    """Return a card of this utilisation, on which these processes compute."""
    load = {} if percent is None else {"UtilizationRates": SimpleNamespace(gpu=percent, memory=0)}
    return {**listing(*pids), **load}


@pytest.mark.parametrize(
    ("card", "rests"),
    [
        (occupied(0), True),
        (occupied(1), False),
        (occupied(0, STRANGER), False),
        (occupied(0, OWN), False),
        (occupied(None), False),
        ({"UtilizationRates": SimpleNamespace(gpu=0, memory=0)}, False),
    ],
)
def test_a_card_rests_if_it_reports_so(card: dict[str, Any], rests: bool) -> None:
    """It had no work for a moment, and no process computes on it; without reports it may work."""
    assert device_state.rests(NVML, card) is rests


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x00, ()),
        (0x01, ()),
        (0x02, ()),
        (0x100, ()),
        (0x04, ("software power cap",)),
        (0x08, ("hardware slowdown",)),
        (0x10, ("sync boost",)),
        (0x20, ("software thermal slowdown",)),
        (0x40, ("hardware thermal slowdown",)),
        (0x80, ("hardware power brake",)),
        (0x45, ("software power cap", "hardware thermal slowdown")),
    ],
)
def test_reasons_are_named_by_their_bit(bits: int, reasons: tuple[str, ...]) -> None:
    """As in `nvml.h`; idle and requested clocks, and no report, are not reasons."""
    card = {"CurrentClocksThrottleReasons": bits}
    assert reasons == device_state.throttle_reasons(NVML, card)
    assert device_state.throttle_reasons(NVML, {}) == ()


@pytest.mark.parametrize(
    ("card", "mhz"), [({"ClockInfo": {(0,): 300, (1,): 1410, (2,): 877}}, 1410), ({}, None)]
)
def test_the_clock_is_that_of_the_multiprocessors(card: dict[str, Any], mhz: int | None) -> None:
    """Of several clocks; None if none is reported."""
    clocks = device_state.Clocks(NVML, card)
    clocks.note()
    assert clocks.mhz == mhz


def test_the_state_is_that_of_now_with_noted_clocks() -> None:
    """Temperature in degrees and limit in watts now; clock and reasons of the time of the note."""
    card: dict[str, Any] = {"ClockInfo": {(1,): 1410}, "CurrentClocksThrottleReasons": 0x10}
    clocks = device_state.Clocks(NVML, card)
    clocks.note()
    card |= {"ClockInfo": {(1,): 300}, "CurrentClocksThrottleReasons": 0x00}
    card |= {"Temperature": {(0,): 71, (1,): 99}, "EnforcedPowerLimit": 312_500}
    assert device_state.state(NVML, card, clocks, PRESENT) == DeviceState(
        temperature_c=71,
        clock_mhz=1410,
        power_limit_w=312.5,
        throttle_reasons=("sync boost",),
        used=True,
        foreign=False,
    )


def test_what_a_card_does_not_report_is_none() -> None:
    """It is neither zero degrees nor zero watts."""
    clocks = device_state.Clocks(NVML, {})
    assert device_state.state(NVML, {}, clocks, device_state.Presence()) == DeviceState()
