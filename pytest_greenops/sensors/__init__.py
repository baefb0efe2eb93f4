"""Read energy counters: one module or package for each sensor, one contract for all.

The names below are the contract, for sensors that a plugin or a conftest.py adds.
"""

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Kind, Reading, Source
from pytest_greenops.sensors.base import (
    DeviceSensor,
    EdgeSensor,
    NamableSensor,
    RestingSensor,
    Sensor,
)

__all__ = [
    "DeviceSensor",
    "DeviceState",
    "Domain",
    "EdgeSensor",
    "Kind",
    "NamableSensor",
    "Reading",
    "RestingSensor",
    "Sensor",
    "SensorUnavailable",
    "Source",
]
