"""The pyRAPL sensor: an unmodified pyRAPL on a tree at the real path, in a `/sys` of its own."""

from __future__ import annotations

import importlib.util
import io
import logging
import math
import random
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.base import Sensor, difference
from pytest_greenops.sensors.rapl import powercap, pyrapl
from tests.simulated_host import child
from tests.simulated_host.powercap_tree import PowercapTree, build, build_cpus, throttle_counter

SYS = Path("/sys")
INSTEAD = "use --energy-sensors powercap"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("pyRAPL") is None, reason="pyRAPL is not installed"
    ),
    pytest.mark.skipif(
        child.why_no_private_sys() is not None, reason=str(child.why_no_private_sys())
    ),
]


def private(function: Any, *args: Any) -> Any:
    """Call a function of this module in a process whose `/sys` is empty and its own.

    pyRAPL imports pandas, which takes most of the time.
    """
    return child.run(function, *args, private_sys=True, preload=("pandas",))


def host(packages: list[int], **description: Any) -> PowercapTree:
    """In a child: a machine with these packages, at the real path."""
    build_cpus(SYS, packages)
    return build(SYS, packages, **description)


def attempt() -> dict[str, Any]:
    """In a child: the domains that opened, or the reason why none did."""
    try:
        sensor = pyrapl.open_sensor()
    except SensorUnavailable as problem:
        return {"reason": problem.reason, "remedy": problem.remedy, "absent": problem.absent}
    return {"domains": [domain.name for domain in sensor.domains]}


def refused(reason: str, remedy: str | None = INSTEAD, absent: bool = False) -> dict[str, Any]:
    """Return what `attempt` answers if there is no sensor."""
    return {"reason": reason, "remedy": remedy, "absent": absent}


def test_a_socket_that_pyrapl_does_not_know_has_no_count() -> None:
    """pyRAPL answers -1 for it, and nothing but a number is a count."""
    domains = tuple(Domain(f"cpu:{socket}", "cpu") for socket in (0, 1, 3))
    api = SimpleNamespace(energy=lambda: [7.0, -1.0, 9.0, math.inf], _socket_ids=[0, 1, 3])
    sensor = pyrapl.PyRaplSensor([pyrapl._Device(api, domains)])
    assert sensor.read().energy_uj == [7, None, None]
    api.energy = lambda: [0.0, 7.0, 8.0, math.nan]
    assert sensor.read().energy_uj == [0, 7, None]
    api.energy = lambda: [7.0, math.nan]
    assert sensor.read().energy_uj == [None, None, None]


# --- agreement with powercap ----------------------------------------------------------------


def windows_of_both(packages: list[int], description: dict[str, Any]) -> dict[str, Any]:
    """In a child: 100 windows of both sensors at once, and the true energy of each."""
    rng = random.Random(2)
    tree = host(packages, **description)
    names = {f"cpu:{package}": f"package-{package}" for package in packages}
    if description.get("dram") != []:
        names |= {f"dram:{package}": f"package-{package}/dram" for package in packages}
    sensors: list[Sensor] = [pyrapl.open_sensor(), powercap.open_sensor()]
    windows: list[list[dict[str, int]]] = []
    for _ in range(100):
        spent = {name: rng.randrange(20_000_000) for name in names}
        for zone in names.values():  # some of them wrap
            tree[zone].set(tree[zone].range_uj - 1 - rng.randrange(40_000_000))
        before = [sensor.read() for sensor in sensors]
        for name, zone in names.items():
            tree[zone].advance(spent[name])
        read = [
            difference(sensor.domains, first, sensor.read())
            for sensor, first in zip(sensors, before, strict=True)
        ]
        counted = [{n: uj for n, uj in w.energy_uj.items() if n in names} for w in read]
        windows.append([spent, *counted])
    domains = [[repr(d) for d in sensor.domains if d.counted] for sensor in sensors]
    return {"windows": windows, "domains": domains}


@pytest.mark.parametrize(
    ("packages", "description"),
    [
        ([0], {}),
        ([0, 1], {"psys": True, "mmio": True}),
        ([0, 1], {"dram": []}),  # AMD has no dram
        ([1, 3], {}),  # pyRAPL fills sockets 0 and 2 with -1
    ],
)
def test_pyrapl_and_powercap_agree_to_the_microjoule(
    packages: list[int], description: dict[str, Any]
) -> None:
    """On one tree, in the same windows, some with a wrap, both give the true energy."""
    answer = private(windows_of_both, packages, description)
    for spent, by_pyrapl, by_powercap in answer["windows"]:
        assert spent == by_pyrapl
        assert spent == by_powercap


@pytest.mark.parametrize("description", [{}, {"range_uj": None}, {"max_power_uw": [15_000_000]}])
def test_pyrapl_and_powercap_describe_the_same_domains(description: dict[str, Any]) -> None:
    """Names, ranges and plausible powers are those of the zones that pyRAPL opened."""
    by_pyrapl, by_powercap = private(domains_of_both, description)
    assert by_powercap == by_pyrapl


def domains_of_both(description: dict[str, Any]) -> list[list[str]]:
    """In a child: the domains of pyrapl and of powercap, in words."""
    host([0, 1], **description)
    sensors: list[Sensor] = [pyrapl.open_sensor(), powercap.open_sensor()]
    return [[repr(domain) for domain in sensor.domains] for sensor in sensors]


# --- readings that fail ---------------------------------------------------------------------


def read_torn(text: str) -> list[int | None]:
    """In a child: a reading in which one of the two packages shows this text."""
    tree = host([0, 1])
    sensor = pyrapl.open_sensor()
    tree["package-1"].show(text.encode())
    tree["package-0/dram"].set(3)
    tree["package-1/dram"].set(4)
    return list(sensor.read().energy_uj)


@pytest.mark.parametrize("text", ["", "12x\n", "nan\n", "inf\n"])
def test_a_torn_count_is_none(text: str) -> None:
    """A count that is not a number is None, and so is what pyRAPL loses with it; dram is read."""
    reading = private(read_torn, text)
    assert [None, 3, 4] == reading[1:]


def read_failing() -> list[int | None]:
    """In a child: a reading in which the dram counter fails."""
    tree = host([0])
    tree["package-0"].set(6)
    sensor = pyrapl.open_sensor()
    tree["package-0/dram"].fail()
    return list(sensor.read().energy_uj)


def test_a_read_that_fails_is_none() -> None:
    """A handle that answers EIO is None, never zero and no exception."""
    assert [6, None] == private(read_failing)


def handles_held() -> int:
    """How many counters this process holds open."""
    links = [handle.resolve() for handle in Path("/proc/self/fd").iterdir()]
    return sum(link.name == "energy_uj" for link in links)


def handles_around_a_sensor() -> list[int]:
    """In a child: how many counters are open before, with, and after a sensor."""
    host([0, 1])
    held_before = handles_held()
    sensor = pyrapl.open_sensor()
    held_with = handles_held()
    sensor.close()
    return [held_before, held_with, handles_held()]


def test_closing_gives_the_files_back() -> None:
    """The four files of two sockets are held open until the sensor is closed."""
    assert [0, 4, 0] == private(handles_around_a_sensor)


def states_of_a_hot_socket() -> dict[str, int | None]:
    """In a child: the states of two sockets, the second of which was slowed down by heat."""
    build_cpus(SYS, [0, 1], throttle=True)
    build(SYS, [0, 1])
    sensor = pyrapl.open_sensor()
    throttle_counter(SYS / "devices/system/cpu", 3, "core").write_text("4\n")
    states = sensor.states()
    sensor.close()
    return {name: state.throttle_count for name, state in states.items()}


def test_the_states_count_how_often_sockets_were_slowed_down() -> None:
    """Like those of the powercap sensor."""
    assert {"cpu:0": 0, "cpu:1": 4} == private(states_of_a_hot_socket)


# --- each failure in words ------------------------------------------------------------------


def attempt_on(
    zones: list[int], description: dict[str, Any], cpus: dict[str, Any] | None = None
) -> dict[str, Any]:
    """In a child: open on a machine with these zones, and CPUs of their packages or others."""
    if cpus != {}:
        build_cpus(SYS, **(cpus or {"packages": zones}))
    build(SYS, zones, **description)
    return attempt()


def test_a_machine_without_zones_has_no_such_sensor() -> None:
    """The sensor is absent."""
    reason = (
        "pyRAPL found no RAPL zone in /sys/class/powercap/intel-rapl; "
        "the powercap sensor, its alternative, needs one too"
    )
    assert refused(reason, None, True) == private(attempt_on, [0], {"msr": False})


DIES = (
    "pyRAPL cannot tell the dies of a package apart (package-0-die-0, package-0-die-1); "
    "the powercap sensor can"
)


@pytest.mark.parametrize(
    ("zones", "description", "cpus", "reason"),
    [
        (
            [0],
            {"msr": False, "mmio": True},
            None,
            "pyRAPL does not look into /sys/class/powercap/intel-rapl-mmio, where the RAPL zones "
            "are; the powercap sensor does",
        ),
        ([0], {"dies": 2}, None, DIES),
        ([0], {"dies": 2, "mirrored": True}, None, DIES),
        ([0], {"dies": 2}, {"packages": [0, 1]}, DIES),
        (
            [0],
            {},
            {"packages": [0, 1]},
            "pyRAPL cannot match its CPU sockets with the zones package-0; "
            "the powercap sensor goes by the zones alone",
        ),
        (
            [0, 1],
            {"dram": [1]},
            None,
            "pyRAPL reads dram on every socket or on none, and some here have no dram zone; "
            "the powercap sensor reads those that have",
        ),
        (
            [0, 1],
            {},
            {"packages": [0, 1], "offline": [3]},
            "pyRAPL needs every CPU online, and cpu3 is offline; the powercap sensor does not",
        ),
        (
            [0],
            {},
            {},
            "pyRAPL failed with FileNotFoundError: [Errno 2] No such file or directory: "
            "'/sys/devices/system/cpu/present'; the powercap sensor does without it",
        ),
    ],
    ids=[
        *("mmio alone", "dies", "mirrored dies", "a die for each socket"),
        *("socket without zone", "dram of one socket", "offline CPU", "no CPUs"),
    ],
)
def test_a_machine_that_pyrapl_misreads_is_refused(
    zones: list[int], description: dict[str, Any], cpus: dict[str, Any] | None, reason: str
) -> None:
    """The reason says what pyRAPL cannot read, or how it failed, and powercap is the fix."""
    assert refused(reason) == private(attempt_on, zones, description, cpus)


def test_sockets_beyond_the_tenth_zone_are_refused() -> None:
    """pyRAPL numbers zones in decimal and misses `intel-rapl:a`."""
    answer = private(attempt_on, list(range(11)), {})
    assert answer["reason"].startswith("pyRAPL cannot match its CPU sockets with the zones")
    assert answer["reason"].endswith("the powercap sensor goes by the zones alone")


def handles_after_a_refusal() -> int:
    """In a child: how many counters are open while the exception of a refusal is kept."""
    host([0, 1], dram=[1])
    with pytest.raises(SensorUnavailable) as kept:
        pyrapl.open_sensor()
    assert kept.value.reason
    return handles_held()


def test_a_refusal_holds_no_file() -> None:
    """What pyRAPL opened before it was refused is closed."""
    assert 0 == private(handles_after_a_refusal)


def test_a_machine_without_dram_is_read_without() -> None:
    """AMD has no dram zone: only the packages are measured."""
    assert {"domains": ["cpu:0", "cpu:1"]} == private(attempt_on, [0, 1], {"dram": []})


def attempt_without_the_right(zone: str) -> dict[str, Any]:
    """In a child: as a user who may read every counter but this one."""
    importlib.import_module("pyRAPL")
    tree = host([0])
    for name in ("package-0", "package-0/dram"):
        tree[name].file.chmod(0o444)
    tree[zone].forbid()
    child.become_nobody()
    return attempt()


@pytest.mark.parametrize(
    ("zone", "path"),
    [("package-0", "intel-rapl:0"), ("package-0/dram", "intel-rapl:0/intel-rapl:0:2")],
)
def test_a_counter_for_root_alone_is_refused_with_the_fix(zone: str, path: str) -> None:
    """The reason names the file; powercap needs the same right."""
    reason = (
        f"/sys/class/powercap/intel-rapl/{path}/energy_uj may be read by root alone, by pyRAPL "
        "as by the powercap sensor, which needs the same right"
    )
    assert refused(reason, powercap.GRANT) == private(attempt_without_the_right, zone)


def attempt_without_pyrapl() -> dict[str, Any]:
    """In a child: as if it had not been installed."""
    sys.path[:] = [folder for folder in sys.path if not (Path(folder) / "pyRAPL").is_dir()]
    return attempt()


def test_pyrapl_that_is_not_installed_is_named() -> None:
    """The fix installs it; powercap is the alternative."""
    reason = "pyRAPL is not installed; the powercap sensor reads the same counters without it"
    assert refused(reason, "pip install 'pytest-greenops[rapl]'") == private(attempt_without_pyrapl)


def attempt_with_a_broken_pandas(folder: str) -> dict[str, Any]:
    """In a child: pandas is installed and raises when it is imported."""
    sys.modules.pop("pandas", None)
    sys.path.insert(0, folder)
    return attempt()


def test_pyrapl_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    """The error of a library that pyRAPL imports is in the reason."""
    (tmp_path / "pandas.py").write_text("raise ValueError('numpy.dtype size changed')\n")
    reason = (
        "pyRAPL cannot be imported (numpy.dtype size changed); the powercap sensor does without it"
    )
    assert refused(reason) == private(attempt_with_a_broken_pandas, str(tmp_path))


# --- what it does to its surroundings -------------------------------------------------------


def what_is_heard() -> dict[str, Any]:
    """In a child: the log, the warnings and the root handlers around opening a sensor."""
    host([0])
    sys.dont_write_bytecode = True
    loaded_before = "pyRAPL" in sys.modules
    stream = io.StringIO()
    sys.stderr = stream
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sensor = pyrapl.open_sensor()
    sys.stderr = sys.__stderr__
    sensor.close()
    handlers = [repr(handler) for handler in logging.getLogger().handlers]
    filters = len(logging.getLogger().filters)
    return {
        "loaded before": loaded_before,
        "loaded after": "pyRAPL" in sys.modules,
        "heard": stream.getvalue(),
        "warned": [str(warning.message) for warning in caught],
        "left": [handlers, filters],
    }


def test_pyrapl_is_loaded_on_demand_and_silently() -> None:
    """Its log lines and warnings are hidden, and the root logger is as it was."""
    assert {
        "loaded before": False,
        "loaded after": True,
        "heard": "",
        "warned": [],
        "left": [[], 0],
    } == private(what_is_heard)


def log_in_between() -> list[str]:
    """In a child: what others log on the root logger while pyRAPL is being silenced."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    with pyrapl._quiet():
        logging.warning("of another")
        importlib.import_module("pyRAPL")
    return [record.getMessage() for record in records]


def test_messages_of_others_are_still_logged() -> None:
    """Only those of pyRAPL are dropped."""
    assert ["of another"] == private(log_in_between)
