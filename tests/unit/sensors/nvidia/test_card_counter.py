"""The power that a card reports, from a driver that is a Python object."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.nvidia.card_counter import CardCounter, CardPower
from pytest_greenops.sensors.nvidia.device_state import Presence
from pytest_greenops.sensors.nvidia.visible_cards import Card

AMPERE = 7


class NVMLError(Exception):
    """What NVML raises."""


class Driver:
    """A driver that knows what a test says, and fails if it is asked for anything else."""

    NVMLError = NVMLError
    NVML_DEVICE_ARCH_AMPERE = AMPERE
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_SUCCESS = 0
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, question: str) -> Any:
        """Any question about the card."""

        def answer(*arguments: object) -> Any:
            if (known := self.answers.get(question.removeprefix("nvmlDeviceGet"))) is None:
                raise NVMLError(question)
            return known

        return answer


def field(milliwatts: int, code: int = 0) -> list[Any]:
    """Return what a driver answers for the field of the power of the moment."""
    return [SimpleNamespace(nvmlReturn=code, value=SimpleNamespace(uiVal=milliwatts))]


@pytest.mark.parametrize(
    ("architecture", "fields", "watts", "instant"),
    [
        (AMPERE, field(250_000), 250.0, True),
        (None, field(250_000), 250.0, True),
        (AMPERE, field(250_000, code=3), 100.0, False),
        (AMPERE, None, 100.0, False),
        (None, None, 100.0, False),
        (AMPERE - 1, field(250_000), 100.0, True),
    ],
    ids=["field", "unknown", "no such field", "no fields", "nothing known", "Turing"],
)
def test_the_power_of_the_moment_is_preferred(
    architecture: int | None, fields: list[Any] | None, watts: float, instant: bool
) -> None:
    """It is a field since Ampere, and the plain power before; else the plain power is a mean."""
    driver = Driver(Architecture=architecture, FieldValues=fields, PowerUsage=100_000)
    power = CardPower(driver, None)
    assert (power.watts(), power.instant) == (watts, instant)


def test_a_field_that_fails_later_is_no_power() -> None:
    """The mean is not taken for the power of the moment."""
    driver = Driver(Architecture=AMPERE, FieldValues=field(250_000), PowerUsage=100_000)
    power = CardPower(driver, None)
    driver.answers["FieldValues"] = field(0, code=999)
    with pytest.raises(NVMLError, match="999"):
        power.watts()


@pytest.mark.parametrize(("milliwatts", "watts"), [(10_000_000, 10_000.0), (10_000_001, None)])
def test_a_power_that_no_card_has_is_not_supported(milliwatts: int, watts: float | None) -> None:
    """Drivers answer 0xFFFFFFFF where they know none."""
    power = CardPower(Driver(PowerUsage=milliwatts), None)
    if watts:
        assert power.watts() == watts
        return
    with pytest.raises(NVMLError, match="3"):
        power.watts()


@pytest.mark.parametrize(
    ("limit_mw", "most_w"), [(300_000, 360.0), (None, Domain("gpu:1", "gpu").max_power_w)]
)
def test_a_card_may_exceed_its_limit_by_a_fifth(limit_mw: int | None, most_w: float) -> None:
    """A card without a limit may draw what any card draws."""
    counter = CardCounter(Driver(EnforcedPowerLimit=limit_mw), Card(1, "GPU-1", "a card"), None)
    assert counter.domain == Domain("gpu:1", "gpu", max_power_w=most_w)


@pytest.mark.parametrize("used", [True, False, None])
def test_a_counter_knows_whether_its_card_was_used(used: bool | None) -> None:
    """As of the last state, which has it too."""
    counter = CardCounter(Driver(Temperature=61), Card(0, "GPU-0", "a card"), None)
    state = counter.state(Presence(used))
    assert (state.used, state.temperature_c, counter.used) == (used, 61, used)
