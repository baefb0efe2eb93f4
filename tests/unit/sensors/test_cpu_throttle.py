"""How often processors were slowed down by heat, on trees of files."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from pytest_greenops.model.measurement import DeviceState, Domain
from pytest_greenops.sensors.cpu_estimate import estimate
from pytest_greenops.sensors.cpu_throttle import ThrottleCounts
from pytest_greenops.sensors.rapl import powercap
from tests.simulated_host.powercap_tree import build, build_cpus, throttle_counter

SOCKETS = (Domain("cpu:0", "cpu"), Domain("cpu:1-die-0", "cpu"), Domain("dram:0", "dram"))


@pytest.fixture
def cpus(tmp_path: Path) -> Path:
    """Two packages with two cores each, none of which was ever slowed down."""
    build_cpus(tmp_path, (0, 1), throttle=True)
    return tmp_path / "devices" / "system" / "cpu"


def counted(counts: ThrottleCounts) -> dict[str, int | None]:
    """Return the count of each domain that has one."""
    return {name: state.throttle_count for name, state in counts.states(SOCKETS).items()}


def test_each_package_has_the_sum_of_its_counts(cpus: Path) -> None:
    """The counts of its cores, and its own once, although each of its CPUs shows it."""
    for cpu, cores, package in ((0, 3, 10), (1, 4, 10), (2, 100, 0), (3, 0, 0)):
        throttle_counter(cpus, cpu, "core").write_text(f"{cores}\n")
        throttle_counter(cpus, cpu, "package").write_text(f"{package}\n")
    with closing(ThrottleCounts(cpus)) as counts:
        assert counted(counts) == {"cpu:0": 17, "cpu:1-die-0": 100}


def test_threads_of_a_core_show_one_count(cpus: Path) -> None:
    """The count is not added twice."""
    for cpu in (0, 1):
        (cpus / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text("0-1\n")
        throttle_counter(cpus, cpu, "core").write_text("5\n")
    with closing(ThrottleCounts(cpus)) as counts:
        assert counted(counts)["cpu:0"] == 5


def test_a_count_that_grows_is_seen(cpus: Path) -> None:
    """Files are held open, and read again each time."""
    with closing(ThrottleCounts(cpus)) as counts:
        before = counts.states(SOCKETS)["cpu:0"]
        throttle_counter(cpus, 1, "core").write_text("1\n")
        after = counts.states(SOCKETS)["cpu:0"].after(before)
    assert after.throttle_reasons == ("thermal throttle",)


@pytest.mark.parametrize("level", ["core", "package"])
def test_a_processor_may_have_one_of_the_two(cpus: Path, level: str) -> None:
    """Older ones do not count their package."""
    for cpu in range(4):
        throttle_counter(cpus, cpu, level).unlink()
    with closing(ThrottleCounts(cpus)) as counts:
        assert counted(counts) == {"cpu:0": 0, "cpu:1-die-0": 0}


def test_a_machine_without_counters_has_no_states(tmp_path: Path) -> None:
    """For example a virtual machine."""
    with closing(ThrottleCounts(tmp_path)) as counts:
        assert counted(counts) == {}


def test_a_processor_that_went_offline_counts_no_more(cpus: Path) -> None:
    """A counter that cannot be read counts as 0, without an error."""
    throttle_counter(cpus, 0, "core").write_text("7\n")
    with closing(ThrottleCounts(cpus)) as counts:
        throttle_counter(cpus, 0, "core").write_text("")
        assert counted(counts)["cpu:0"] == 0


def test_closing_gives_the_files_back(cpus: Path) -> None:
    """There are no states then; closing twice does no harm."""
    held = len(os.listdir("/proc/self/fd"))
    counts = ThrottleCounts(cpus)
    assert len(os.listdir("/proc/self/fd")) == held + 4 + 2
    counts.close()
    counts.close()
    assert (len(os.listdir("/proc/self/fd")), counted(counts)) == (held, {})


def test_powercap_has_the_states_of_its_packages(tmp_path: Path) -> None:
    """From the same `/sys` as its zones; a package without counts has no state."""
    build_cpus(tmp_path, (0,), throttle=True)
    throttle_counter(tmp_path / "devices/system/cpu", 0, "core").write_text("2\n")
    with closing(powercap.open_sensor(build(tmp_path, (0, 1)).root)) as sensor:
        assert sensor.states() == {"cpu:0": DeviceState(throttle_count=2)}


def test_an_estimate_has_the_sum_of_all_packages(
    cpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know on which package its process runs."""
    throttle_counter(cpus, 0, "core").write_text("2\n")
    throttle_counter(cpus, 3, "core").write_text("3\n")
    monkeypatch.setattr(estimate, "ThrottleCounts", lambda: ThrottleCounts(cpus))
    with closing(estimate.open_sensor(4.0)) as sensor:
        assert sensor.states() == {"cpu:0": DeviceState(throttle_count=5)}
