"""Answers of NVML with any value of their C types, and which cards `CUDA_VISIBLE_DEVICES` names."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_greenops.sensors.nvidia import device_state
from pytest_greenops.sensors.nvidia.card_counter import CardCounter
from pytest_greenops.sensors.nvidia.visible_cards import Card, all_cards, visible_cards

SEEDS = (bytes(range(64)), b"\1" * 200, b"\0\1\0\0\0\0\0\0" * 40)
_CARDS = [Card(0, "GPU-0a1b", "H100"), Card(1, "GPU-1c2d", "H100")]
_OTHERS = [*_CARDS[:1], Card(1, "GPU-1c2d", "A10")]
#: Functions that answer with text, with a list of processes, or with a list of fields.
_TEXTS = {"nvmlDeviceGetUUID", "nvmlDeviceGetName"}
_LISTS = {"nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"}
_SMALL = {"nvmlDeviceGetCount"}


class _NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class _Nvml:
    """A binding whose answers are in some bytes: one that fails, or 1 to 8 bytes of a value."""

    NVMLError = _NVMLError
    NVML_SUCCESS = 0

    def __init__(self, data: bytes) -> None:
        self._data = data

    def _take(self, number: int) -> bytes:
        taken, self._data = self._data[:number], self._data[number:]
        return taken.ljust(number, b"\0")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_"):
            return sum(name.encode()) % 1000
        return self._function(name)

    def _function(self, name: str) -> Callable[..., Any]:
        def answer(*_: Any) -> Any:
            kind = self._take(1)[0]
            if kind % 8 == 7:
                raise _NVMLError(kind >> 3)
            if name in _TEXTS:
                return self._take(kind % 16)
            if name in _LISTS:
                return [SimpleNamespace(pid=self._unsigned(4)) for _ in range(kind % 4)]
            if name == "nvmlDeviceGetFieldValues":
                value = SimpleNamespace(uiVal=self._unsigned(4))
                return [SimpleNamespace(nvmlReturn=kind % 2, value=value)]
            if name == "nvmlDeviceGetUtilizationRates":
                return SimpleNamespace(gpu=self._unsigned(4), memory=0)
            return self._unsigned(1) % 9 if name in _SMALL else self._unsigned(8)

        return answer

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")


def answers(data: bytes) -> None:
    """Ask a card everything that is asked before and after a round."""
    nvml: Any = _Nvml(data)
    card = all_cards(nvml).cards[0]
    counter = CardCounter(nvml, card, object())
    assert 0 < counter.domain.max_power_w < math.inf
    try:
        assert 0 <= counter.power.watts() < math.inf
    except _NVMLError as error:
        counter.fail(error)
    counter.clocks.note()
    [presence] = device_state.presences(nvml, [object()], Path("/proc"))
    state = counter.state(presence)
    assert state.power_limit_w is None or 0 < state.power_limit_w < math.inf
    device_state.rests(nvml, object())


def visible(text: str) -> None:
    """Find the cards that a list names, on machines with equal and with different cards."""
    for cards in (_CARDS, _OTHERS):
        nvml: Any = _Nvml(text.encode("utf-8", "surrogateescape"))
        found, notes = visible_cards(nvml, cards, {"CUDA_VISIBLE_DEVICES": text})
        assert found
        assert len(set(found)) == len(found)
        assert all("\n" not in note for note in notes)
