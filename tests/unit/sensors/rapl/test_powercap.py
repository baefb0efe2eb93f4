"""The powercap sensor on simulated trees: what it counts, what it leaves out, what it refuses."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.base import Sensor, difference
from pytest_greenops.sensors.rapl import powercap
from pytest_greenops.system import HeldFile
from tests.simulated_host import child
from tests.simulated_host.powercap_tree import INTEL_RANGE_UJ, PowercapTree, build

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def counts(tree: PowercapTree) -> dict[str, int | None]:
    """Return the count of each domain by name."""
    with closing(powercap.open_sensor(tree.root)) as sensor:
        names = [domain.name for domain in sensor.domains]
        return dict(zip(names, sensor.read().energy_uj, strict=True))


def refusal(root: Path) -> tuple[str, str | None, bool]:
    """Return why no sensor opens there, the fix, and whether the device is absent."""
    with pytest.raises(SensorUnavailable) as info:
        powercap.open_sensor(root)
    return info.value.reason, info.value.remedy, info.value.absent


def open_as_nobody(root: str, groups: list[int]) -> dict[str, Any]:
    """In a child: what another user gets."""
    child.become_nobody(groups)
    try:
        sensor = powercap.open_sensor(Path(root))
    except SensorUnavailable as problem:
        return {"reason": problem.reason, "remedy": problem.remedy, "absent": problem.absent}
    domains = {domain.name: domain.range_uj for domain in sensor.domains}
    return {"domains": domains, "counts": list(sensor.read().energy_uj)}


def open_handles() -> int:
    """Return how many files this process holds open."""
    return len(os.listdir("/proc/self/fd"))


# --- what is counted ------------------------------------------------------------------------


def test_packages_and_their_memory_are_domains(tmp_path: Path) -> None:
    """Each package and each package's dram is a counted domain with the range of its zone."""
    tree = build(tmp_path, packages=(0, 1))
    with closing(powercap.open_sensor(tree.root)) as sensor:
        assert (
            Domain("cpu:0", "cpu", INTEL_RANGE_UJ, 820.0),
            Domain("cpu:1", "cpu", INTEL_RANGE_UJ, 820.0),
            Domain("dram:0", "dram", INTEL_RANGE_UJ, 400.0),
            Domain("dram:1", "dram", INTEL_RANGE_UJ, 400.0),
        ) == sensor.domains


def test_a_sensor_says_what_it_is(tmp_path: Path) -> None:
    """It is a sensed `powercap` sensor whose counters move every millisecond."""
    sensor: Sensor
    with closing(powercap.open_sensor(build(tmp_path).root)) as sensor:
        assert ("powercap", "sensed", 0.001) == (sensor.name, sensor.source, sensor.update_period_s)


def test_a_reading_has_the_counts_in_the_order_of_the_domains(tmp_path: Path) -> None:
    """Each domain reads its own zone's count."""
    tree = build(tmp_path, packages=(0, 1))
    tree["package-0"].set(11)
    tree["package-1"].set(22)
    tree["package-0/dram"].set(33)
    tree["package-1/dram"].set(44)
    assert {"cpu:0": 11, "cpu:1": 22, "dram:0": 33, "dram:1": 44} == counts(tree)


def test_a_reading_is_dated_by_the_monotonic_clock(tmp_path: Path) -> None:
    """Readings that follow one another have times that do."""
    with closing(powercap.open_sensor(build(tmp_path).root)) as sensor:
        first, second = sensor.read(), sensor.read()
    assert 0 < second.time_ns - first.time_ns < 10**9


def test_nothing_is_opened_to_read(tmp_path: Path) -> None:
    """The counters are held open: a reading does not need the folders."""
    tree = build(tmp_path)
    with closing(powercap.open_sensor(tree.root)) as sensor:
        tree["package-0"].set(5)
        tree.root.rename(tmp_path / "gone")
        tree.hide()
        assert 5 == sensor.read().energy_uj[0]


def test_what_a_package_holds_is_not_counted_again(tmp_path: Path) -> None:
    """Core and uncore, which their package includes, are not opened; dram is."""
    assert ["cpu:0", "dram:0"] == list(counts(build(tmp_path, core=True)))


def test_zones_are_known_by_name_whatever_their_number(tmp_path: Path) -> None:
    """Packages listed in another order, with psys between, keep their own counts."""
    tree = build(tmp_path, packages=(1, 0), psys=True)
    tree["package-0"].set(10)
    tree["package-1"].set(20)
    found = counts(tree)
    assert ("package-1\n", 10, 20) == (
        (tree.root / "intel-rapl:0" / "name").read_text(),
        found["cpu:0"],
        found["cpu:1"],
    )


def test_zone_numbers_are_hexadecimal(tmp_path: Path) -> None:
    """The 11th and the 12th zone, `intel-rapl:a` and `intel-rapl:b`, are counted with theirs."""
    tree = build(tmp_path, packages=range(12))
    assert (tree.root / "intel-rapl:b").exists()
    expected = [f"{kind}:{package}" for kind in ("cpu", "dram") for package in range(12)]
    found = counts(tree)
    assert expected == list(found)
    assert tree["package-11/dram"].energy_uj == found["dram:11"]


def test_a_tree_without_links_at_the_top_is_read_through_its_folders(tmp_path: Path) -> None:
    """Zones that are only nested are found as those that are shown twice are."""
    tree = build(tmp_path, packages=(0, 1))
    with_links = counts(tree)
    tree.unlink_flat()
    assert with_links == counts(tree)


def test_zones_at_the_top_alone_are_read(tmp_path: Path) -> None:
    """A tree that shows every zone side by side, as plain folders, gives the same domains."""
    for number, name in {"0": "package-0", "0:0": "core", "0:1": "dram"}.items():
        zone = tmp_path / f"intel-rapl:{number}"
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
        (zone / "energy_uj").write_text("7\n")
    with closing(powercap.open_sensor(tmp_path)) as sensor:
        assert ["cpu:0", "dram:0"] == [domain.name for domain in sensor.domains]


def test_dram_outside_packages_is_not_counted(tmp_path: Path) -> None:
    """A dram zone at the top, which no kernel has, belongs to no package."""
    tree = build(tmp_path, dram=())
    tree.add(tree.control("intel-rapl"), "dram")
    assert ["cpu:0"] == list(counts(tree))


def test_a_package_that_is_shown_twice_is_counted_once(tmp_path: Path) -> None:
    """Of two zones of one package, beside each other, the first is read."""
    tree = build(tmp_path, dram=())
    tree["package-0"].set(9)
    tree.add(tree.control("intel-rapl"), "package-0", "again").set(5)
    assert {"cpu:0": 9} == counts(tree)


def test_psys_enters_no_total(tmp_path: Path) -> None:
    """The counter of the whole platform is read for every package that has one."""
    tree = build(tmp_path, packages=(0, 1), dram=(), psys=True)
    with closing(powercap.open_sensor(tree.root)) as sensor:
        assert [
            ("cpu:0", "cpu", True),
            ("cpu:1", "cpu", True),
            ("psys", "psys", False),
            ("psys:1", "psys", False),
        ] == [(domain.name, domain.kind, domain.counted) for domain in sensor.domains]


def test_psys_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A psys counter without a number does not affect the others."""
    tree = build(tmp_path, dram=(), psys=True)
    tree["psys"].show(b"")
    assert ["cpu:0"] == list(counts(tree))


def test_mmio_zones_that_repeat_a_package_are_not_counted(tmp_path: Path) -> None:
    """A package shown through MSR and MMIO is counted once, through its MSR."""
    tree = build(tmp_path, dram=(), mmio=True)
    tree.add(tree.control("intel-rapl-mmio"), "package-0", "again").set(5)
    tree["package-0"].set(9)
    assert {"cpu:0": 9} == counts(tree)


def test_mmio_zones_add_nothing_to_a_package_that_has_dies(tmp_path: Path) -> None:
    """A package whose dies MSR shows is not counted again through MMIO, nor is its memory."""
    tree = build(tmp_path, dies=2, dram=())
    again = tree.add(tree.control("intel-rapl-mmio"), "package-0")
    tree.add(again.zone, "dram")
    assert ["cpu:0-die-0", "cpu:0-die-1"] == list(counts(tree))


def test_a_package_that_only_mmio_shows_is_counted(tmp_path: Path) -> None:
    """MMIO zones are used for the packages that have no MSR zone."""
    tree = build(tmp_path, packages=(0,), dram=())
    tree.add(tree.control("intel-rapl-mmio"), "package-0", "again")
    tree.add(tree.control("intel-rapl-mmio"), "package-1").set(8)
    assert {"cpu:0": tree["package-0"].energy_uj, "cpu:1": 8} == counts(tree)


def test_a_tree_of_mmio_zones_alone_is_counted(tmp_path: Path) -> None:
    """A machine without MSR zones is measured through MMIO."""
    tree = build(tmp_path, msr=False, mmio=True)
    assert {"cpu:0": tree["intel-rapl-mmio/package-0"].energy_uj} == counts(tree)


# --- dies -----------------------------------------------------------------------------------


def test_dies_that_count_for_themselves_are_all_counted(tmp_path: Path) -> None:
    """Two dies of a package, and the memory of each, are domains of their own."""
    tree = build(tmp_path, packages=(0, 1), dies=2)
    found = counts(tree)
    assert [
        *("cpu:0-die-0", "cpu:0-die-1", "cpu:1-die-0", "cpu:1-die-1"),
        *("dram:0-die-0", "dram:0-die-1", "dram:1-die-0", "dram:1-die-1"),
    ] == list(found)
    assert tree["package-1-die-1/dram"].energy_uj == found["dram:1-die-1"]


def test_dies_that_mirror_their_package_are_counted_once(tmp_path: Path) -> None:
    """Four dies that show one counter are the package, on each of two packages."""
    tree = build(tmp_path, packages=(0, 1), dies=4, mirrored=True)
    assert {
        "cpu:0": tree["package-0-die-0"].energy_uj,
        "cpu:1": tree["package-1-die-0"].energy_uj,
    } == counts(tree)


def test_mirrored_dies_are_found_while_they_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies that mirror one counter are found though it moves between any two reads."""
    tree = build(tmp_path, dies=2, mirrored=True)
    read, moved = HeldFile.read, []

    def move_and_read(file: HeldFile, most: int) -> bytes:
        tree["package-0-die-0"].advance(100)
        moved.append(file)
        return read(file, most)

    monkeypatch.setattr(HeldFile, "read", move_and_read)
    assert ["cpu:0"] == list(counts(tree))
    assert moved


def test_dies_whose_counts_are_close_are_not_mirrors(tmp_path: Path) -> None:
    """Two counters that differ by a microjoule are two."""
    tree = build(tmp_path, dies=2, dram=())
    tree["package-0-die-0"].set(1000)
    tree["package-0-die-1"].set(1001)
    assert {"cpu:0-die-0": 1000, "cpu:0-die-1": 1001} == counts(tree)


def test_dies_are_in_order_whatever_their_number(tmp_path: Path) -> None:
    """Dies that the kernel lists in another order keep their own counts."""
    tree = PowercapTree(tmp_path)
    for die in (2, 0, 1):
        tree.add(tree.control("intel-rapl"), f"package-0-die-{die}").set(die + 10)
    found = counts(tree)
    assert [*found.items()] == [(f"cpu:0-die-{die}", die + 10) for die in range(3)]


@pytest.mark.parametrize("after", [b"2000\n", b""], ids=["another count", "no count"])
@pytest.mark.parametrize(
    ("reads", "domains"), [(2, ["cpu:0-die-0", "cpu:0-die-1"]), (3, ["cpu:0"])]
)
def test_most_of_five_reads_decide_whether_dies_are_mirrors(
    tmp_path: Path, reads: int, domains: list[str], after: bytes
) -> None:
    """Dies that agree in two of them are two: what is dropped is missing in all totals."""
    tree = build(tmp_path, dies=2, dram=())
    for die in (0, 1):
        tree[f"package-0-die-{die}"].set(1000)
    pauses_s: list[float] = []

    def pause(seconds: float) -> None:
        pauses_s.append(seconds)
        if len(pauses_s) == reads:
            tree["package-0-die-1"].show(after)

    clock: Any = SimpleNamespace(now_ns=time.monotonic_ns, sleep=pause)
    with closing(powercap.open_sensor(tree.root, clock)) as sensor:
        assert domains == [domain.name for domain in sensor.domains]
    assert pauses_s == [0.001] * 4


def test_dropped_mirrors_are_not_held_open(tmp_path: Path) -> None:
    """A sensor of mirrored dies holds one handle for the package."""
    tree = build(tmp_path, dies=4, mirrored=True)
    before = open_handles()
    with closing(powercap.open_sensor(tree.root)):
        assert before + 1 == open_handles()


# --- where a counter wraps, and how much power is plausible ----------------------------------


@pytest.mark.parametrize("range_uj", [0, None])
def test_a_wrap_without_a_known_range_voids_the_window(
    tmp_path: Path, range_uj: int | None
) -> None:
    """A range that is zero or missing is None: a count that went back is then unknown."""
    tree = build(tmp_path, dram=(), range_uj=range_uj)
    with closing(powercap.open_sensor(tree.root)) as sensor:
        first = sensor.read()
        tree["package-0"].set(first.energy_uj[0] + 5)
        second = sensor.read()
        tree["package-0"].set(3)
        third = sensor.read()
    assert sensor.domains[0].range_uj is None
    assert {"cpu:0": 5} == difference(sensor.domains, first, second).energy_uj
    assert "cpu:0 went back and its range is not known" == (
        difference(sensor.domains, second, third).void
    )


@pytest.mark.parametrize(
    ("max_power_uw", "cpu_w", "dram_w"),
    [
        ((), 1000.0, 400.0),  # the zone names none: the constants
        ((0, 0), 1000.0, 400.0),
        ((15_000_000, 0), 60.0, 60.0),  # four times the TDP of a 15 W part
        ((125_000_000, 241_000_000), 964.0, 400.0),  # the highest of its limits
        ((350_000_000,), 1000.0, 525.0),  # limited by the constant, but not below what is named
        ((800_000_000,), 1200.0, 1200.0),
        ((2**64 - 1,), 1000.0, 400.0),  # firmware that knows none may name any
    ],
)
def test_the_plausible_power_follows_what_the_zone_names(
    tmp_path: Path, max_power_uw: tuple[int, ...], cpu_w: float, dram_w: float
) -> None:
    """Four times the highest limit, at most the constant of the kind, at least 1.5 times."""
    tree = build(tmp_path, max_power_uw=max_power_uw)
    with closing(powercap.open_sensor(tree.root)) as sensor:
        assert [cpu_w, dram_w] == pytest.approx([d.max_power_w for d in sensor.domains])


# --- readings that fail ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"123", b"12\x0034\n", b"-5\n", b"1_0\n", b" 5\n", b"5\n6\n", b"9" * 40]
)
def test_a_torn_count_is_none(tmp_path: Path, text: bytes) -> None:
    """Text that is not one whole number is None for this domain, and the others are read."""
    tree = build(tmp_path, packages=(0, 1), dram=())
    with closing(powercap.open_sensor(tree.root)) as sensor:
        tree["package-0"].show(text)
        assert [None, tree["package-1"].energy_uj] == sensor.read().energy_uj
        tree["package-0"].set(77)
        assert 77 == sensor.read().energy_uj[0]


def test_a_count_of_64_bits_is_read(tmp_path: Path) -> None:
    """The longest number that the kernel can show is one."""
    tree = build(tmp_path, dram=())
    with closing(powercap.open_sensor(tree.root)) as sensor:
        tree["package-0"].show(b"18446744073709551615\n")
        assert sensor.read().energy_uj == [2**64 - 1]


def test_a_read_that_fails_is_none(tmp_path: Path) -> None:
    """A counter whose handle answers EIO is None, neither zero nor an exception."""
    tree = build(tmp_path, packages=(0, 1), dram=())
    with closing(powercap.open_sensor(tree.root)) as sensor:
        tree["package-1"].fail()
        assert [tree["package-0"].energy_uj, None] == sensor.read().energy_uj


def test_a_closed_sensor_reads_none_and_closes_again(tmp_path: Path) -> None:
    """No handle is left open."""
    tree = build(tmp_path)
    before = open_handles()
    sensor = powercap.open_sensor(tree.root)
    assert before + 2 == open_handles()
    sensor.close()
    sensor.close()
    assert before == open_handles()
    assert [None, None] == sensor.read().energy_uj


# --- no sensor, and why ---------------------------------------------------------------------


def test_no_tree_is_no_sensor(tmp_path: Path) -> None:
    """If the kernel has no powercap, the sensor is absent and there is no fix."""
    assert refusal(tmp_path / "powercap") == (
        f"{tmp_path}/powercap is not there: this system shows no RAPL counters, "
        "as a virtual machine does",
        None,
        True,
    )


def test_a_tree_without_zones_is_no_sensor(tmp_path: Path) -> None:
    """For a powercap folder without RAPL, the fix names the kernel module."""
    (tmp_path / "dtpm").mkdir()
    assert refusal(tmp_path) == (
        f"{tmp_path} has no RAPL zone: a virtual machine has none, "
        "bare metal needs its kernel module",
        "sudo modprobe intel_rapl_msr",
        True,
    )


def test_zones_that_a_container_hides_are_refused(tmp_path: Path) -> None:
    """Dead links are not an absent device: the fix names the container's option."""
    tree = build(tmp_path)
    tree.hide()
    assert refusal(tree.root) == (
        f"the RAPL zones in {tree.root} lead nowhere: a container runtime hides them",
        "start the container with --security-opt systempaths=unconfined",
        False,
    )


def test_a_tree_without_packages_is_refused(tmp_path: Path) -> None:
    """The reason names its zones."""
    tree = PowercapTree(tmp_path)
    tree.add(tree.control("intel-rapl"), "psys")
    assert f"{tree.root} has no package zone, only psys" == refusal(tree.root)[0]


def test_a_counter_without_a_number_is_refused(tmp_path: Path) -> None:
    """And nothing stays open."""
    tree = build(tmp_path, packages=(0, 1))
    tree["package-1"].show(b"?\n")
    before = open_handles()
    reason, *_ = refusal(tree.root)
    assert re.fullmatch(r".*/energy_uj contains b'\?\\n', which is not a count", reason)
    assert before == open_handles()


def test_a_counter_that_fails_from_the_start_is_refused(tmp_path: Path) -> None:
    """The reason has the words of the system."""
    tree = build(tmp_path)
    tree["package-0"].file.unlink()
    tree["package-0"].file.symlink_to("/proc/self/mem")
    file = tree.root / "intel-rapl:0" / "energy_uj"
    assert refusal(tree.root) == (f"{file} cannot be read: Input/output error", None, False)


def test_a_counter_for_root_alone_is_refused_with_the_fix(folder: Path) -> None:
    """The reason names the file of the package."""
    tree = build(folder)
    tree["package-0/dram"].file.chmod(0o444)
    if os.geteuid() != 0:
        tree["package-0"].forbid()
    answer = child.run(open_as_nobody, str(tree.root), [])
    file = tree.root / tree["package-0"].zone.name / "energy_uj"
    assert {
        "reason": f"{file} may be read by root alone",
        "remedy": powercap.GRANT,
        "absent": False,
    } == answer


def test_memory_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """Packages are measured without it, on every socket, and the sensor says why, with the fix."""
    tree = build(tmp_path, packages=(0, 1))
    tree["package-1/dram"].file.unlink()
    tree["package-1/dram"].file.symlink_to("/proc/self/mem")
    before = open_handles()
    with closing(powercap.open_sensor(tree.root)) as sensor:
        assert [domain.name for domain in sensor.domains] == ["cpu:0", "cpu:1"]
        assert None not in sensor.read().energy_uj
        [(name, problem)] = sensor.left_out.items()
    assert name == "powercap dram"
    assert re.fullmatch(r".*/energy_uj cannot be read: Input/output error", str(problem))
    assert before == open_handles()


def test_psys_is_read_without_memory_that_cannot_be(tmp_path: Path) -> None:
    """Memory that is left out on the first socket takes nothing but memory with it."""
    tree = build(tmp_path, packages=(0, 1), psys=True)
    tree["package-0/dram"].show(b"?\n")
    assert ["cpu:0", "cpu:1", "psys", "psys:1"] == list(counts(tree))


def test_a_right_that_is_missing_is_refused_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the file that the system does not let this user open."""

    def refuse(path: str) -> HeldFile:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    tree = build(tmp_path)
    monkeypatch.setattr(powercap, "HeldFile", refuse)
    file = tree.root / "intel-rapl:0" / "energy_uj"
    assert refusal(tree.root) == (f"{file} may be read by root alone", powercap.GRANT, False)


def test_a_range_for_root_alone_is_unknown(folder: Path) -> None:
    """A range that this user may not read is None, but the count is read."""
    tree = build(folder, dram=())
    tree["package-0"].file.chmod(0o444)
    (tree["package-0"].zone / "max_energy_range_uj").chmod(0)
    answer = child.run(open_as_nobody, str(tree.root), [])
    assert {"domains": {"cpu:0": None}, "counts": [tree["package-0"].energy_uj]} == answer


def test_a_folder_that_may_not_be_entered_is_refused(folder: Path) -> None:
    """The device is not absent."""
    tree = build(folder)
    tree.root.chmod(0)
    answer = child.run(open_as_nobody, str(tree.root), [])
    tree.root.chmod(0o755)
    assert {
        "reason": f"{tree.root} cannot be read: Permission denied",
        "remedy": None,
        "absent": False,
    } == answer


# --- the fix ---------------------------------------------------------------------------------


def rule_of_the_fix(folder: Path) -> str:
    """Run the fix in a shell whose sudo only runs `tee`, into the folder; return its rule."""
    programs = folder / "bin"
    programs.mkdir()
    sudo = (
        f'#!/bin/sh\nto="{folder}/$2"\n'
        '[ "$1" = tee ] && { mkdir -p "${to%/*}"; exec cat > "$to"; }\n'
        f'echo "$@" >> "{folder}/sudo"\n'
    )
    for name, script in {"sudo": sudo, "newgrp": "#!/bin/sh\n"}.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "USER": "someone"}
    subprocess.run(["sh", "-c", powercap.GRANT], env=environment, check=True)
    [rule] = (path for path in (folder / "etc").rglob("*") if path.is_file())
    # udev applies what is here, and has this ending, when a device appears: after a reboot too.
    assert rule == folder / "etc/udev/rules.d/70-rapl.rules"
    return rule.read_text()


def matches(rule: str, zone: Path, action: str) -> bool:
    """Return whether udev applies a rule to a device: all its `==` hold."""
    of_device = {"SUBSYSTEM": "powercap", "KERNEL": zone.name, "ACTION": action}
    patterns = dict(re.findall(r'(\w+)=="([^"]*)"', rule))
    assert patterns.keys() <= of_device.keys()
    return all(
        any(fnmatchcase(of_device[key], part) for part in pattern.split("|"))
        for key, pattern in patterns.items()
    )


def rights(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return owner, group and mode of everything in a folder, by path."""
    return {
        str(path.relative_to(folder)): (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        for path in folder.rglob("*")
        for status in [path.lstat()]
    }


def test_the_fix_is_one_line_for_a_shell(folder: Path) -> None:
    """Pasted into a shell it makes the group, adds the user, writes the rule and applies it."""
    assert powercap.UDEV_RULE + "\n" == rule_of_the_fix(folder)
    assert [
        "groupadd --force rapl",
        "usermod --append --groups rapl someone",
        "udevadm control --reload",
        "udevadm trigger --settle --subsystem-match=powercap",
    ] == (folder / "sudo").read_text().splitlines()
    assert "\n" not in powercap.GRANT


@needs_root
def test_the_fix_allows_only_the_group_to_read(folder: Path) -> None:
    """A member of the group reads the counters, a stranger does not; no other right changes."""
    group = 54321
    tree = build(folder, psys=True)
    (tree.control("intel-rapl") / "enabled").chmod(0o644)
    for zone in tree.root.glob("*:*"):
        (zone / "energy_uj").chmod(0o400)
        (zone / "constraint_0_max_power_uw").chmod(0o644)
    before = rights(folder)
    rule = rule_of_the_fix(folder)
    assert len(rule.splitlines()) == 1
    zones = [path for path in tree.root.iterdir() if matches(rule, path, "add")]
    assert {"intel-rapl:0", "intel-rapl:0:0"} <= {zone.name for zone in zones}
    for zone in zones:
        for command in re.findall(r'RUN\+="([^"]*)"', rule):
            # udev puts the device's path below /sys for %p.
            command = command.replace("/sys%p", str(zone)).replace(" rapl ", f" {group} ")
            subprocess.run(command.split(), check=True)
    member = child.run(open_as_nobody, str(tree.root), [group])
    stranger = child.run(open_as_nobody, str(tree.root), [])
    assert member["domains"].keys() == {"cpu:0", "dram:0", "psys"}
    assert None not in member["counts"]
    assert powercap.GRANT == stranger["remedy"]
    after = rights(folder)
    changed = {path: after[path] for path in before if before[path] != after[path]}
    counters = [path for path in before if path.endswith("/energy_uj") and "class" not in path]
    assert changed == dict.fromkeys(counters, (0, group, 0o440))


@pytest.mark.parametrize(
    ("name", "action", "applies"),
    [
        ("intel-rapl:0", "add", True),
        ("intel-rapl:1:2", "change", True),
        ("intel-rapl-mmio:0", "add", True),
        ("intel-rapl:0", "remove", False),
        ("intel-rapl", "add", False),
        ("dtpm:0", "add", False),
    ],
)
def test_the_rule_is_for_zones_of_rapl(name: str, action: str, applies: bool) -> None:
    """It applies when a zone appears, at each start, and when `udevadm trigger` says `change`."""
    assert matches(powercap.UDEV_RULE, Path(name), action) == applies
