"""`--energy-sensors`: which sensors are read."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.integration.projects import WORKS, Project

TWO = """
    SECOND = FakeSensor(Domain("gpu:0", "gpu"), name="card")

    @pytest.fixture
    def work():
        def work():
            SENSOR.spend(2.0)
            SECOND.spend(3.0, "gpu:0")

        return work

    def pytest_energy_sensors(config):
        return [SENSOR, SECOND]
"""


def test_list(project: Project) -> None:
    """Sensors are read in the order named; others are ignored."""
    project.sensor('Domain("cpu:0", "cpu")', more=TWO)
    project.write("test_it.py", WORKS)
    both = project.energy("--energy-sensors=card, fake")
    assert both.energy_lines[0] == "sensed by card (gpu:0), fake (cpu:0)"
    assert both.results["test_works"].by_domain == {"cpu:0": 2.0, "gpu:0": 3.0}
    one = project.energy("--energy-sensors=fake")
    assert one.energy_lines[0] == "sensed by fake (cpu:0)"
    assert one.results["test_works"].by_domain == {"cpu:0": 2.0}


def test_auto_prefers_sensors_of_plugins(project: Project) -> None:
    """`auto` takes a plugin's sensor, and nothing of the machine that counts the same."""
    project.write("test_it.py", WORKS)
    ran = project.energy("--energy-sensors=auto")
    by_domain = ran.results["test_works"].by_domain
    assert by_domain["cpu:0"] == 2.0
    assert {name.partition(":")[0] for name in by_domain} <= {"cpu", "dram", "gpu"}
    assert "estimate" not in ran.energy_lines[0]


def test_estimate_is_always_there(project: Project) -> None:
    """Without any counter CPU joules are estimated from the process's own CPU time, above zero."""
    project.write(
        "test_it.py",
        """
        def test_it(energy):
            energy.pedantic(sum, args=(range(10**6),), rounds=1, iterations=3)
        """,
    )
    ran = project.energy("--energy-sensors=estimate")
    assert ran.energy_lines[0].startswith("ESTIMATED, not sensed, ±50 %: cpu:0")
    result = ran.results["test_it"]
    assert result.provenance.estimated
    assert result.joules > 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("powercup", "unknown sensor 'powercup'; did you mean 'powercap'?"),
        (
            "fake,xyz",
            "unknown sensor 'xyz'; one of: auto, fake, second, powercap, *",
        ),
        (",", "',': expected auto, or a list such as powercap,nvml"),
        ("fake,second", "fake and second both count gpu:0; name one of them"),
    ],
)
def test_mistakes(project: Project, value: str, said: str) -> None:
    """A sensor that is unknown, or counts what another counts, is a usage error."""
    project.sensor(
        'Domain("gpu:0", "gpu")',
        more="""
        def pytest_energy_sensors(config):
            return [SENSOR, FakeSensor(Domain("gpu:0", "gpu"), name="second")]
        """,
    )
    ran = project.energy(f"--energy-sensors={value}")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [error] = ran.errors
    assert fnmatch(error, f"ERROR: --energy-sensors: {said}")


def test_unreadable(project: Project) -> None:
    """A named sensor that cannot be read is a usage error that says why.

    The header names, with the fix, all that cannot be read: a sensor, the load of other processes.
    """
    project.sensor(
        more="""
        from pytest_greenops.model.errors import SensorUnavailable
        from pytest_greenops.sensors.rapl import powercap

        def closed(**clock):
            raise SensorUnavailable("only root may read it", "sudo chmod o+r the counter")

        powercap.open_sensor = closed
        machine.load.unreadable = lambda: "its CPU time cannot be read"
        """
    )
    project.write("test_it.py", WORKS)
    ran = project.energy("--energy-sensors=powercap")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [
        "ERROR: --energy-sensors: powercap cannot be used: only root may read it; "
        "fix: sudo chmod o+r the counter"
    ]
    automatic = project.energy("--energy-sensors=auto")
    assert automatic.energy_lines[0].startswith("sensed by fake ")
    assert (
        "powercap cannot be read: only root may read it; fix: sudo chmod o+r the counter"
        in automatic.energy_lines
    )
    [load] = [line for line in automatic.energy_lines if line.startswith("other load ")]
    assert load.startswith("other load cannot be read: its CPU time cannot be read: rounds that ")
