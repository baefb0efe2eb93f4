"""The power of each counter while the machine is idle: measured before the first test of a run."""

from __future__ import annotations

from collections.abc import Callable

from pytest_greenops.measure.observer import Load
from pytest_greenops.model.measurement import MICROJOULES, Rest
from pytest_greenops.sensors.base import on_our_clock
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments

#: How long this process does nothing.
REST_S = 0.1
#: The machine is idle if at least this share of its CPUs is.
IDLE = 0.98
#: The power of a counter is known if its energy errs by less than this share.
KNOWN = 0.1


def measure_idle_power(
    instruments: Instruments, probe: Callable[[], Load], clock: Clock = SYSTEM_CLOCK
) -> Rest:
    """Return the power of each counter over a tenth of a second in which this process does nothing.

    The result is empty if all joules are estimated, which takes no time, if a sensor has a clock of
    its own, or if the machine was not idle. It lacks cards that may have had work. `probe` makes a
    probe of the machine's load.
    """
    sensed = [sensor for sensor in instruments.sensors if sensor.source == "sensed"]
    if not sensed or not all(on_our_clock(sensor, clock) for sensor in sensed):
        return Rest()
    load, resting = probe(), instruments.resting()
    before = instruments.begin()
    load.start()  # not earlier: waiting for the tick of a counter is work
    clock.sleep(REST_S)
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
