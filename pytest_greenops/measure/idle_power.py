"""What the counters show while the machine rests: taken once, before the first test of a run."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_greenops.measure.meter import Load
from pytest_greenops.model.measurement import MICROJOULES, Rest
from pytest_greenops.sensors.base import on_our_clock
from pytest_greenops.sensors.instruments import Instruments

#: For how long is rested.
REST_S = 0.1
#: The machine rests where at least this share of its CPUs is idle.
IDLE = 0.98
#: The power of a counter is known where its energy errs by less than this share.
KNOWN = 0.1


def at_rest(instruments: Instruments, probe: Callable[[], Load]) -> Rest:
    """Watch the counters for a tenth of a second in which this process does nothing.

    probe  makes what tells how far the machine rested

    Nothing is known, and no time spent, where all joules are estimated; nothing is known where the
    machine did not rest, nor of a card that does not tell that it had no work.
    """
    sensed = [sensor for sensor in instruments.sensors if sensor.source == "sensed"]
    if not any(on_our_clock(sensor) for sensor in sensed):
        return Rest()
    load, resting = probe(), instruments.resting()
    before = instruments.begin()
    load.start()  # not earlier: waiting for a counter's tick is work
    time.sleep(REST_S)
    share = load.stop()
    window = instruments.window(before, instruments.end())
    resting &= instruments.resting()
    if share.idle < IDLE:
        return Rest()
    domains = [domain for sensor in sensed for domain in sensor.domains]
    names = [d.name for d in domains if d.kind != "gpu" or d.name in resting]
    states = instruments.states()
    return Rest(
        watts={
            name: window.energy_uj[name] * MICROJOULES / window.seconds
            for name in names
            if window.error_uj.get(name, 0.0) < KNOWN * window.energy_uj.get(name, 0)
        },
        idle=share.idle,
        clock_mhz={n: s.clock_mhz for n, s in states.items() if s.clock_mhz is not None},
    )
