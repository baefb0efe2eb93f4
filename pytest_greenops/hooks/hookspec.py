"""What other plugins and a conftest.py may add to a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result
    from pytest_greenops.sensors.base import Sensor


@pytest.hookspec
def pytest_energy_sensors(config: pytest.Config) -> Sequence[Sensor] | None:
    """Add sensors of your own; `--energy-sensors` can name them, and `auto` prefers them."""


@pytest.hookspec
def pytest_energy_facts(config: pytest.Config) -> Mapping[str, str] | None:
    """Add facts to the machine's fingerprint: measurements on others are not compared."""


@pytest.hookspec
def pytest_energy_verdict(item: pytest.Item, result: Result) -> None:
    """See a result and its verdict, before a red one fails its test."""
