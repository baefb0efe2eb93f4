"""The hooks that other plugins and a conftest.py may implement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_greenops import Result
    from pytest_greenops.sensors import Sensor


@pytest.hookspec
def pytest_energy_sensors(config: pytest.Config) -> Sequence[Sensor] | None:
    """Return sensors of your own, or None: called once, before collection.

    `--energy-sensors` can name them, and `auto` prefers them. A `SensorUnavailable` stops the run
    in one line.
    """


@pytest.hookspec
def pytest_energy_facts(config: pytest.Config) -> Mapping[str, str] | None:
    """Return facts, text to text, or None: called once, before collection.

    They join the machine's fingerprint; only equal fingerprints are compared.
    """


@pytest.hookspec
def pytest_energy_verdict(item: pytest.Item, result: Result) -> None:
    """Receive a result and its verdict, before a red verdict fails the test.

    With pytest-xdist it is called in the worker.
    """
