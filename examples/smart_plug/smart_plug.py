"""Joules at the wall: the counter of a Shelly smart plug of the second generation or later."""

import json
import time
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

import pytest

from pytest_greenops.sensors import Domain, Reading, SensorUnavailable, Source

TIMEOUT_S = 1.0
UNREADABLE = (OSError, HTTPException, ValueError, KeyError, TypeError)
OPENER = build_opener(ProxyHandler({}))  # a plug is in the network of this machine


class SmartPlug:
    """A sensor of the whole machine. The plug updates its counter about once a minute."""

    name = "plug"
    source: Source = "sensed"
    method = "the energy counter of a smart plug"
    domains = (Domain("wall", "psys", max_power_w=3000.0),)

    def __init__(self, address: str, period_s: float) -> None:
        self.update_period_s = period_s + TIMEOUT_S  # an answer may come late, too
        self._url = f"{address.rstrip('/')}/rpc/Switch.GetStatus?id=0"
        try:
            self._count_uj()
        except UNREADABLE as error:
            reason = f"no plug at {address} ({error})"
            raise SensorUnavailable(reason, "check plug_address") from None

    def _count_uj(self) -> int:
        with OPENER.open(self._url, timeout=TIMEOUT_S) as answer:
            total_wh = float(json.load(answer)["aenergy"]["total"])
        return round(total_wh * 3.6e9)

    def read(self) -> Reading:
        """Return the count now, or why there is none."""
        time_ns = time.monotonic_ns()
        try:
            return Reading(time_ns, [self._count_uj()])
        except UNREADABLE as error:
            return Reading(time_ns, [None], why={"wall": f"could not be read: {error}"})

    def close(self) -> None:
        """Release nothing: each reading is a request of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two values that a user writes into the ini file."""
    parser.addini("plug_address", "address of the plug, such as http://192.168.1.20", default="")
    period = "seconds between updates of its counter"
    parser.addini("plug_update_period_s", period, type="float", default=60.0)


@pytest.hookimpl(optionalhook=True)  # for runs without pytest-greenops
def pytest_energy_sensors(config: pytest.Config) -> list[SmartPlug]:
    """Return the plug, if the user has one."""
    address = config.getini("plug_address")
    return [SmartPlug(address, config.getini("plug_update_period_s"))] if address else []
