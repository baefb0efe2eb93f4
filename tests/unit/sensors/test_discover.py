"""Which sensors a run reads: what `auto` chooses, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_greenops.model.errors import OptionError, SensorUnavailable
from pytest_greenops.model.measurement import Domain, Kind, Source
from pytest_greenops.sensors.base import Finding, Sensor
from pytest_greenops.sensors.cpu_estimate import estimate
from pytest_greenops.sensors.discover import discover, find
from pytest_greenops.sensors.nvidia import nvml
from pytest_greenops.sensors.rapl import powercap, pyrapl
from pytest_greenops.testing import FakeSensor

MODULES = {"powercap": powercap, "pyrapl": pyrapl, "nvml": nvml, "estimate": estimate}
Has = Callable[..., dict[str, FakeSensor]]
AMD = FakeSensor(Domain("gpu:1", "gpu"), name="amd")
WALL = FakeSensor(Domain("psys:1", "psys", counted=False), name="wall")


def counting(*kinds: Kind, name: str = "fake", psys: bool = False) -> FakeSensor:
    """Return a sensor with one counter of each kind."""
    domains = [Domain(f"{kind}:0", kind) for kind in kinds]
    domains += [Domain("psys", "psys", counted=False)] if psys else []
    source: Source = "estimated" if name == "estimate" else "sensed"
    return FakeSensor(*domains, name=name, source=source)


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch) -> Has:
    """Sets which kinds this machine counts, by sensor; of others, only the estimate opens."""

    def has(**kinds: Sequence[Kind]) -> dict[str, FakeSensor]:
        kinds = {"estimate": ("cpu", "dram"), **kinds}
        made = {name: counting(*kinds[name], name=name) for name in MODULES if name in kinds}
        for name, module in MODULES.items():

            def open_sensor(
                watts: float | None = None, name: str = name, **clock: object
            ) -> Sensor:
                if name in made:
                    return made[name]
                raise SensorUnavailable(f"no {name} here", f"install {name}")

            monkeypatch.setattr(module, "open_sensor", open_sensor)
        return made

    return has


def chosen(*names: str, extra: Sequence[Sensor] = ()) -> dict[str, str]:
    """Return the counters of a run, each with its sensor."""
    return discover(names or ("auto",), extra)[0].sensor_of


def refusal(*names: str, extra: Sequence[Sensor] = ()) -> str:
    """Return the message of an `OptionError`."""
    with pytest.raises(OptionError) as raised:
        discover(names, extra)
    return str(raised.value)


def test_a_sensor_is_found_or_its_reason_is(has: Has) -> None:
    """Looking raises nothing: the finding has the problem, with its fix."""
    made = has(powercap=("cpu",))
    assert find("powercap") == Finding("powercap", sensor=made["powercap"])
    missing = find("nvml")
    assert missing.sensor is None
    assert str(missing.problem) == "no nvml here; fix: install nvml"


@pytest.mark.parametrize("error", [AttributeError, OSError, RuntimeError, UnicodeDecodeError])
def test_any_error_of_a_driver_is_a_finding(
    has: Has, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What a kernel or a library answers may be anything; the run goes on with the others."""
    has()

    def open_sensor(**clock: object) -> Sensor:
        raise error(*([] if error is not UnicodeDecodeError else ["utf-8", b"\xff", 0, 1, "bad"]))

    monkeypatch.setattr(nvml, "open_sensor", open_sensor)
    instruments, findings = discover(["auto"])
    assert instruments.sensor_of == {"cpu:0": "estimate", "dram:0": "estimate"}
    assert f"it does not open ({error.__name__}: " in str(findings[1].problem)


def test_the_watts_of_a_core_go_to_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the user reaches the sensor that needs it."""
    asked: list[float | None] = []

    def open_sensor(watts: float | None, **clock: object) -> Sensor:
        asked.append(watts)
        return counting("cpu")

    monkeypatch.setattr(estimate, "open_sensor", open_sensor)
    find("estimate", 4.5)
    discover(["estimate"], cpu_watts=5.5)
    assert asked == [4.5, 5.5]


def test_auto_takes_all_counters_of_the_machine(has: Has) -> None:
    """CPU, memory and GPU are sensed, so nothing is estimated."""
    made = has(powercap=("cpu", "dram"), nvml=("gpu",))
    instruments, findings = discover(["auto"])
    assert instruments.sensors == (made["powercap"], made["nvml"])
    assert [finding.name for finding in findings] == ["powercap", "nvml"]
    assert instruments.estimated == ()


def test_auto_estimates_if_nothing_counts_the_cpu(has: Has) -> None:
    """A GPU is still counted, and the findings have the problems of the other sensors."""
    has(nvml=("gpu",))
    instruments, findings = discover(["auto"])
    assert instruments.sensor_of == {"gpu:0": "nvml", "cpu:0": "estimate", "dram:0": "estimate"}
    assert instruments.estimated == ("cpu:0", "dram:0")
    assert [(f.name, f.problem is None) for f in findings] == [
        ("powercap", False),
        ("nvml", True),
        ("estimate", True),
    ]


@pytest.mark.parametrize(
    ("names", "kinds", "extra", "expected"),
    [
        ((), {"pyrapl": ("cpu", "dram")}, None, {"cpu:0": "estimate", "dram:0": "estimate"}),
        ((), {"powercap": ("cpu",)}, WALL, {"psys:1": "wall", "cpu:0": "powercap"}),
        (("powercap",), {"powercap": ("cpu",)}, AMD, {"cpu:0": "powercap"}),
        (("nvml", "amd"), {"nvml": ("gpu",)}, AMD, {"gpu:0": "nvml", "gpu:1": "amd"}),
    ],
    ids=["auto without pyrapl", "psys covers nothing", "extra not named", "two cards"],
)
def test_the_sensors_of_a_run(
    has: Has,
    names: tuple[str, ...],
    kinds: dict[str, Sequence[Kind]],
    extra: FakeSensor | None,
    expected: dict[str, str],
) -> None:
    """`auto` reads neither pyrapl, which has to be named, nor less for psys; a list is complete."""
    has(**kinds)
    assert chosen(*names, extra=[extra] if extra else []) == expected


def test_auto_prefers_what_plugins_bring(has: Has) -> None:
    """The machine's own sensor of the same kinds is closed unread."""
    made = has(powercap=("cpu", "dram"), nvml=("gpu",))
    extra = counting("cpu", "dram", name="plug")
    assert chosen(extra=[extra]) == {"cpu:0": "plug", "dram:0": "plug", "gpu:0": "nvml"}
    assert (made["powercap"].closed, made["nvml"].closed, extra.closed) == (True, False, False)


def test_auto_prefers_a_gpu_that_plugins_bring(has: Has) -> None:
    """One sensor counts the GPUs, so that no card is counted twice."""
    made = has(powercap=("cpu",), nvml=("gpu",))
    extra = counting("gpu", name="amd")
    assert chosen(extra=[extra]) == {"gpu:0": "amd", "cpu:0": "powercap"}
    assert made["nvml"].closed


def test_a_counted_psys_is_the_whole_machine(has: Has) -> None:
    """`auto` adds nothing to it, and a list may name nothing beside it: no joule counts twice."""
    made = has(powercap=("cpu", "dram"), nvml=("gpu",))
    plug = FakeSensor(Domain("plug", "psys"), name="plug")
    assert chosen(extra=[plug]) == {"plug": "plug"}
    assert made["powercap"].closed
    assert made["nvml"].closed
    for names in (("plug", "nvml"), ("estimate", "plug")):
        [other] = {*names} - {"plug"}
        assert refusal(*names, extra=[plug]) == (
            f"--energy-sensors: plug counts the whole machine, and {other} a part of it; name one "
            "of them"
        )
    assert refusal("auto", extra=[plug, counting("gpu", name="card")]).endswith("name one of them")
    assert chosen(extra=[plug, WALL]) == {"plug": "plug", "psys:1": "wall"}


@pytest.mark.parametrize("brought", ["dram", "cpu"])
def test_auto_completes_what_plugins_bring(has: Has, brought: Kind) -> None:
    """A plugin's memory counter does not replace the machine's CPU counter, nor the reverse."""
    made = has(powercap=("cpu", "dram"))
    other = {"cpu": "dram", "dram": "cpu"}[brought]
    extra = counting(brought, name="plug")
    instruments, _ = discover(["auto"], [extra])
    assert instruments.sensor_of == {f"{brought}:0": "plug", f"{other}:0": "powercap"}
    assert instruments.estimated == ()
    before = instruments.read()
    made["powercap"].spend(2.0, f"{other}:0", seconds=0.5)
    made["powercap"].spend(9.0, f"{brought}:0", seconds=0.0)
    extra.spend(1.0, f"{brought}:0", seconds=0.5)
    window = instruments.window(before, instruments.read())
    assert window.energy_uj == {f"{brought}:0": 1_000_000, f"{other}:0": 2_000_000}
    instruments.close()
    assert made["powercap"].closed


def test_auto_estimates_only_what_nothing_counts(has: Has) -> None:
    """If a plugin counts memory, the CPU alone is estimated."""
    has()
    instruments, findings = discover(["auto"], [counting("dram", name="plug")])
    assert instruments.sensor_of == {"dram:0": "plug", "cpu:0": "estimate"}
    assert instruments.estimated == ("cpu:0",)
    part = findings[-1].sensor
    assert findings[-1].name == "estimate"
    assert part is not None
    assert (part.name, part.source, part.method, part.update_period_s) == (
        "estimate",
        "estimated",
        "spent by a test",
        0.001,
    )


def test_psys_is_read_only_with_what_is_counted(has: Has, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor is not kept for its psys alone."""
    has()
    whole = counting("cpu", "dram", name="powercap", psys=True)
    monkeypatch.setattr(powercap, "open_sensor", lambda clock: whole)
    assert chosen() == {"cpu:0": "powercap", "dram:0": "powercap", "psys": "powercap"}
    both = counting("cpu", "dram", name="plug")
    assert chosen(extra=[both]) == {"cpu:0": "plug", "dram:0": "plug"}
    assert whole.closed


def test_auto_may_find_nothing_but_reasons(has: Has, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding then says why."""
    has()

    def refuse(watts: float | None = None, **clock: object) -> Sensor:
        raise SensorUnavailable("no clock")

    monkeypatch.setattr(estimate, "open_sensor", refuse)
    instruments, findings = discover(["auto"])
    assert (instruments.sensors, len(findings)) == ((), 3)
    assert [finding.problem is None for finding in findings] == [False] * 3


def test_named_sensors_are_taken_in_their_order(has: Has) -> None:
    """No others are taken; extra ones may be named too."""
    has(powercap=("cpu",), nvml=("gpu",))
    extra = counting("dram", name="plug")
    assert list(chosen("nvml", "plug", "powercap", extra=[extra]).values()) == [
        "nvml",
        "plug",
        "powercap",
    ]


def test_an_extra_sensor_may_take_the_name_of_one_of_ours(has: Has) -> None:
    """The name then means the plugin's sensor."""
    has(nvml=("gpu",))
    extra = counting("gpu", name="nvml")
    assert discover(["nvml"], [extra])[0].sensors == (extra,)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("powercup", "did you mean 'powercap'?"),
        ("NVLM", "did you mean 'nvml'?"),
        ("rapl", "did you mean 'powercap'?"),
        ("nvidia", "did you mean 'nvml'?"),
        ("plugg", "did you mean 'plug'?"),
        ("xyz", "one of: auto, plug, powercap, pyrapl, nvml, zeus, estimate"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(has: Has, wrong: str, hint: str) -> None:
    """The names of plugins' sensors are known too."""
    has()
    message = refusal("estimate", wrong, extra=[counting("gpu", name="plug")])
    assert message == f"--energy-sensors: unknown sensor {wrong!r}; {hint}"


def test_a_named_sensor_that_cannot_be_read_is_refused(has: Has) -> None:
    """With the reason and the fix; it is not silently replaced by an estimate."""
    has(nvml=("gpu",))
    assert refusal("nvml", "powercap") == (
        "--energy-sensors: powercap cannot be used: no powercap here; fix: install powercap"
    )


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("powercap", "pyrapl"), "powercap and pyrapl both count cpu; name one of them"),
        (("powercap", "estimate"), "powercap and estimate both count cpu; name one of them"),
        (("plug", "estimate"), "plug and estimate both count dram; name one of them"),
        (("nvml", "nvml"), "nvml and nvml both count gpu:0; name one of them"),
    ],
)
def test_two_that_count_the_same_are_refused(
    has: Has, names: tuple[str, ...], problem: str
) -> None:
    """Joules that are read twice would be added twice."""
    has(powercap=("cpu", "dram"), pyrapl=("cpu",), nvml=("gpu",), estimate=("cpu", "dram"))
    message = refusal(*names, extra=[counting("dram", name="plug")])
    assert message == f"--energy-sensors: {problem}"


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("auto", "pyrapl"), "pyrapl"),
        (("pyrapl", "auto"), "pyrapl"),
        (("nvml", "auto", "pyrapl"), "nvml, pyrapl"),
    ],
)
def test_auto_allows_no_other_name(has: Has, names: tuple[str, ...], others: str) -> None:
    """A sensor that is named as well would not be read."""
    has(pyrapl=("cpu",))
    assert refusal(*names) == (
        f"--energy-sensors: auto chooses by itself; omit it to name {others}"
    )


def test_refused_sensors_are_closed() -> None:
    """Nothing is left open where a run cannot begin."""
    sensors = [FakeSensor(name="one"), FakeSensor(name="two")]
    with pytest.raises(OptionError, match="both count"):
        discover(["one", "two"], sensors)
    assert [sensor.closed for sensor in sensors] == [True, True]
