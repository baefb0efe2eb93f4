"""The simulated machines that every tool measures."""

from __future__ import annotations

import random
from typing import Any

from tests.simulated_host.host import Host, Socket
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.nvml import Card
from tests.simulated_host.power import PowerOverTime

IDLE_W = 60.0
#: Seconds and watts of a busy card, repeated. Its period and that of power updates have no small
#: common multiple.
BUSY: tuple[tuple[float, float], ...] = (
    *((0.0097, 330.0), (0.0121, 170.0)),
    *((0.0079, 300.0), (0.0134, 220.0)),
)
#: Power of a card before any work: older than any mean of its power.
RESTED: PowerOverTime = ((-1000.0, IDLE_W),)
#: Duration of a read of energy or power: some tens of microseconds.
READ_COST_S = 50e-6
#: Period of power updates. Windows begin after a tick, so a multiple of the tick would always give
#: them the same phase.
RENEWAL_S = 0.0253
SLOW_RENEWAL_S = 0.1013
#: Largest error of each new power, as a share.
POWER_NOISE = 0.005

#: Sockets change to a random power every 1 to 50 ms, for longer than any run.
SCRIPT_S = 900.0
PIECE_S = (0.001, 0.050)
PACKAGE_W, DRAM_W = (40.0, 200.0), (5.0, 30.0)
SEED = 20_251


def card(tick_s: float, **more: Any) -> Card:
    """Return a resting card with a tick of `tick_s`, used by the process that reads it."""
    usual: dict[str, Any] = {
        "power_w": RESTED,
        "tick_s": tick_s,
        "phase_s": 0.37 * tick_s,
        "power_tick_s": RENEWAL_S,
        "power_noise": POWER_NOISE,
        "read_cost_s": READ_COST_S,
        "processes": (0,),
    }
    return Card(**{**usual, **more})


def gpu(tick_s: float, **more: Any) -> Host:
    """Return a machine with one card that has an energy counter."""
    return Host(cards=(card(tick_s, **more),))


def gpu_without_counter() -> Host:
    """Return a machine with one card that reports only power, instantaneous or mean."""
    return Host(cards=(card(0.0, counter=False, average_s=RENEWAL_S),))


def sockets() -> Host:
    """Return a machine with two sockets and memory, whose power always changes."""
    chance = random.Random(SEED)

    def zone(watts: tuple[float, float], phase_s: float, start_uj: int) -> LiveZone:
        return LiveZone(_restless(chance, watts), phase_s=phase_s, start_uj=start_uj)

    return Host(
        sockets=(
            Socket(zone(PACKAGE_W, 0.0001, 7_000_000_000), zone(DRAM_W, 0.0002, 900_000_000)),
            Socket(zone(PACKAGE_W, 0.0006, 5_000_000_000), zone(DRAM_W, 0.0007, 300_000_000)),
        )
    )


def _restless(chance: random.Random, watts: tuple[float, float]) -> PowerOverTime:
    pieces, at_s = [], 0.0
    while at_s < SCRIPT_S:
        pieces.append((at_s, chance.uniform(*watts)))
        at_s += chance.uniform(*PIECE_S)
    return tuple(pieces)
