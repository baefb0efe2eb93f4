"""Simulated readings of a machine in a plant, minute by minute; some minutes are faulty.

Eight channels follow one changing load, so that most of them are redundant::

    load            cycles of two hours, with drift
    current         rises with the load
    speed           falls a little with it
    temperature     follows it with a lag, follows the day, and increases with wear
    vibration       rises with it, and increases with wear
    pressure, flow  rise with it
    ambient         follows the day: 24 hours

Faults occur in episodes of five minutes, each of one kind and strength::

    leak      pressure falls, and flow rises
    bearing   vibration and temperature rise
    jam       current rises, and speed falls
    dropout   the temperature reads too low

In about half of these minutes every channel stays in its normal range, but the channels contradict
each other. Limits on single channels would miss these faults.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Readings: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

CHANNELS = (
    "load",
    "current",
    "speed",
    "temperature",
    "vibration",
    "pressure",
    "flow",
    "ambient",
)
#: Standard deviation of the noise of each channel, in its unit.
NOISE = np.array([0.02, 0.8, 4.0, 1.0, 0.08, 0.15, 1.5, 0.5])
#: Shift of each channel by a fault of strength 1, in multiples of the noise.
FAULTS: dict[str, dict[str, float]] = {
    "leak": {"pressure": -9.0, "flow": 7.0},
    "bearing": {"vibration": 9.0, "temperature": 6.0},
    "jam": {"current": 9.0, "speed": -7.0},
    "dropout": {"temperature": -13.0},
}
#: Share of faulty minutes: exact, if the number of samples is a multiple of 100.
FAULT_SHARE = 0.05
#: F1 of calling every minute faulty: the best score without looking at the readings.
CHANCE_F1 = 2 * FAULT_SHARE / (1 + FAULT_SHARE)
EPISODE = 5
#: Minutes of a working cycle and of a day.
CYCLE, DAY = 120, 1440


class Recording(NamedTuple):
    """Readings, `(samples, 8)`, and for each minute whether it is faulty."""

    readings: Readings
    faulty: Labels


def recording(samples: int, seed: int) -> Recording:
    """Return minutes of the machine from midnight on; each seed gives another recording."""
    rng = np.random.default_rng(seed)
    readings = _good(samples, rng)
    faulty = np.zeros(samples, dtype=np.int64)
    episodes = round(FAULT_SHARE * samples / EPISODE)
    begins = EPISODE * rng.choice(samples // EPISODE, size=episodes, replace=False)
    kinds = rng.permutation(np.arange(episodes) % len(FAULTS))
    for begin, kind in zip(begins, kinds, strict=True):
        strength = rng.uniform(0.6, 1.4)
        for channel, moved in list(FAULTS.values())[kind].items():
            column = CHANNELS.index(channel)
            readings[begin : begin + EPISODE, column] += strength * moved * NOISE[column]
        faulty[begin : begin + EPISODE] = 1
    return Recording(readings, faulty)


def _good(samples: int, rng: np.random.Generator) -> Readings:
    minute = np.arange(samples)
    wear = np.linspace(0.0, 1.0, samples)
    wandering = _lagged(rng.normal(0.0, 0.02, samples), slowness=0.95)
    load = 0.6 + 0.25 * np.tanh(3 * np.sin(2 * np.pi * minute / CYCLE)) + wandering
    ambient = 20 + 5 * np.sin(2 * np.pi * minute / DAY)
    warmth = _lagged(0.1 * load, slowness=0.9)
    channels: list[Any] = [
        load,
        12 + 30 * load,
        1480 - 40 * load,
        ambient + 35 * warmth + 6 * wear,
        1.2 + 0.8 * load + 0.5 * wear,
        6 + 2 * load,
        40 + 25 * load,
        ambient,
    ]
    return np.column_stack(channels) + NOISE * rng.normal(size=(samples, len(CHANNELS)))


def _lagged(signal: Readings, slowness: float) -> Readings:
    """Return a first-order lag of the signal, which starts at its steady state."""
    value = signal[0] / (1 - slowness)
    lagged = np.empty_like(signal)
    for i, pushed in enumerate(signal):
        value = slowness * value + pushed
        lagged[i] = value
    return lagged
