"""Facts of NVIDIA GPUs, read by the unmodified `pynvml` from a simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated_host import nvml
from tests.simulated_host.nvml import Card

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json
from pytest_greenops.machine import machine_facts, recorded_facts
from pytest_greenops.sensors.nvidia import nvml
from pytest_greenops.sensors.instruments import Instruments
instruments = Instruments([nvml.open_sensor()])
print(json.dumps([machine_facts(instruments), recorded_facts(instruments=instruments)]))
"""
SECOND = Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000", name="Simulated B", limit_w=250)

Facts = Callable[..., Any]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the simulated driver's library."""
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def facts(library: Path, tmp_path: Path) -> Facts:
    """Return the facts of some GPUs in a fresh process: those compared, and those recorded."""

    def facts(*cards: Card, cuda: int = 0, **environ: str) -> Any:
        seen = nvml.environment(library, tmp_path / "script", cards, cuda=cuda)
        told = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**seen, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    return facts


def test_describes_the_gpu_and_its_settings(facts: Facts) -> None:
    """Name, count, power limit, MIG and the driver's major version are compared."""
    matched, _ = facts(Card())
    assert matched["gpu"] == "Simulated A"
    assert matched["gpus"] == "1"
    assert matched["gpu power limit"] == "300 W"
    assert matched["mig"] == "off"
    assert matched["driver"].isdigit()


@pytest.mark.parametrize(("ecc", "told"), [(True, "on"), (False, "off")])
def test_error_correction_and_the_major_version_of_cuda_are_matched(
    facts: Facts, ecc: bool, told: str
) -> None:
    """Another minor version is the same machine."""
    matched, _ = facts(Card(ecc=ecc), cuda=12040)
    assert (matched["ecc"], matched["cuda"]) == (told, "12")
    assert facts(Card(ecc=ecc), cuda=12080)[0] == matched


def test_what_the_driver_does_not_tell_is_unknown(facts: Facts) -> None:
    """A driver without ECC or a CUDA version leaves those facts unknown."""
    matched, _ = facts(Card())
    assert (matched["ecc"], matched["cuda"]) == ("unknown", "unknown")


def test_describes_only_measured_gpus(facts: Facts) -> None:
    """A GPU that CUDA hides from this process is not part of the machine."""
    cards = (Card(name="Simulated B"), SECOND)
    hidden, _ = facts(*cards, CUDA_VISIBLE_DEVICES=SECOND.uuid)
    assert (hidden["gpus"], hidden["gpu power limit"]) == ("1", "250 W")
    both, _ = facts(*cards)
    assert (both["gpus"], both["gpu"]) == ("2", "Simulated B")
    assert both["gpu power limit"] == "300 W + 250 W"


def test_a_uuid_is_recorded_and_not_matched(facts: Facts) -> None:
    """Another GPU of the same kind is the same machine, but its UUID is recorded."""
    matched, recorded = facts(Card())
    other_matched, other_recorded = facts(Card(uuid=SECOND.uuid))
    assert matched == other_matched
    assert (recorded["gpu uuid"], other_recorded["gpu uuid"]) == (Card().uuid, SECOND.uuid)
