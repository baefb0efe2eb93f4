"""What the doctor finds on machines of all kinds, and how it says it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_greenops.commands.diagnose import diagnose
from pytest_greenops.machine import LoadShare
from pytest_greenops.model.diagnosis import Diagnosis, Observation
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading, Source
from pytest_greenops.report.doctor_table import doctor_lines
from pytest_greenops.sensors.base import Finding
from pytest_greenops.sensors.rapl.powercap import GRANT, UDEV_RULE
from tests.simulated_host.machine_tree import CPUS, XEON, bare_metal, write


class KnownSensor:
    """A sensor whose words are known; nobody reads it here."""

    update_period_s = 0.001

    def __init__(self, name: str, source: Source, method: str, *domains: Domain) -> None:
        self.name, self.source, self.method, self.domains = name, source, method, domains

    def read(self) -> Reading:
        """Not done here."""
        raise NotImplementedError

    def close(self) -> None:
        """Not done here."""
        raise NotImplementedError


CPU, DRAM, GPU = Domain("cpu:0", "cpu"), Domain("dram:0", "dram"), Domain("gpu:0", "gpu")
SENSED = Finding("powercap", KnownSensor("powercap", "sensed", "RAPL", CPU, DRAM))
CARD = Finding("nvml", KnownSensor("nvml", "sensed", "NVML", GPU))
GUESS = Finding("estimate", KnownSensor("estimate", "estimated", "CPU time x 5 W", CPU))
LOCKED = Finding("powercap", problem=SensorUnavailable("root alone may read it", "sudo chmod it"))
NO_CARD = Finding("nvml", problem=SensorUnavailable("no NVIDIA driver", absent=True))
QUIET = LoadShare(0.01, 0.0)


def found(diagnosis: Diagnosis, name: str) -> Observation:
    """The finding of this name."""
    return next(finding for finding in diagnosis.findings if finding.name == name)


def test_a_quiet_server_has_nothing_to_mend(tmp_path: Path) -> None:
    """On bare metal with readable counters and steady clocks nothing warns or needs a mend."""
    diagnosis = diagnose([SENSED, CARD], write(tmp_path, bare_metal()), QUIET)
    assert {finding.state for finding in diagnosis.findings} == {"ok"}
    assert not any(finding.remedy for finding in diagnosis.findings)
    assert diagnosis.measurable
    assert diagnosis.worth.startswith("CPU, memory and GPU energy is sensed")
    assert "noise" not in diagnosis.worth


def test_says_what_a_sensor_reads(tmp_path: Path) -> None:
    """A sensor that works is described by its counters, how often they move, and its method."""
    powercap = found(diagnose([SENSED], tmp_path), "powercap")
    assert powercap.what == "reads cpu:0, dram:0; they move every 1 ms. RAPL"


def test_hands_on_why_a_sensor_fails_and_what_mends_it(tmp_path: Path) -> None:
    """A sensor that is there but cannot be read is bad, with its reason and its remedy."""
    locked = found(diagnose([LOCKED, GUESS], tmp_path), "powercap")
    assert locked == Observation("powercap", "bad", "root alone may read it", "sudo chmod it")


def test_nobody_need_miss_what_the_machine_does_not_have(tmp_path: Path) -> None:
    """A device that is not there is absent, and is no fault."""
    assert found(diagnose([NO_CARD], tmp_path), "nvml").state == "absent"


def test_is_honest_about_an_estimate(tmp_path: Path) -> None:
    """Where only an estimate is left it warns, and the last paragraph says what it is blind to."""
    diagnosis = diagnose([LOCKED, GUESS], write(tmp_path, bare_metal()), QUIET)
    assert found(diagnosis, "estimate").state == "warn"
    assert diagnosis.measurable
    for word in ("estimated", "off by half", "vector width", "never compared with sensed"):
        assert word in diagnosis.worth
    assert "is sensed" not in diagnosis.worth


def test_needs_no_estimate_beside_a_sensor(tmp_path: Path) -> None:
    """Where the CPU is sensed the estimate is not needed, and is no part of what it is worth."""
    diagnosis = diagnose([SENSED, GUESS], write(tmp_path, bare_metal()))
    assert found(diagnosis, "estimate").what == "not needed: the CPU is sensed"
    assert "estimated" not in diagnosis.worth


def test_tells_a_sensed_card_from_an_estimated_cpu(tmp_path: Path) -> None:
    """With a card sensed and the CPU estimated, the paragraph says which is which."""
    worth = diagnose([CARD, GUESS], write(tmp_path, bare_metal())).worth
    assert "GPU energy is sensed" in worth
    assert "CPU energy is estimated" in worth


def test_says_where_only_a_card_is_measured(tmp_path: Path) -> None:
    """With neither sensor nor estimate of the CPU, its energy is not measured, and so it says."""
    assert "CPU energy is not measured" in diagnose([CARD], tmp_path).worth


def test_says_where_nothing_can_be_measured(tmp_path: Path) -> None:
    """Without any sensor nothing can be measured."""
    diagnosis = diagnose([LOCKED, NO_CARD], tmp_path)
    assert not diagnosis.measurable
    assert diagnosis.worth.startswith("Nothing can be measured here")


def test_warns_of_clocks_that_follow_the_load(tmp_path: Path) -> None:
    """A governor other than performance warns, with the command that sets it."""
    root = write(tmp_path, bare_metal(), scaling_governor="powersave")
    diagnosis = diagnose([SENSED], root, QUIET)
    governor = found(diagnosis, "governor")
    assert (governor.state, governor.what.partition(":")[0]) == ("warn", "powersave")
    assert governor.remedy is not None
    assert governor.remedy.startswith("echo performance | sudo tee")
    assert "More noise than need be comes from: governor." in diagnosis.worth


@pytest.mark.parametrize(
    ("file", "on", "remedy"),
    [
        ("intel_pstate/no_turbo", "0", f"echo 1 | sudo tee /{CPUS}/intel_pstate/no_turbo"),
        ("cpufreq/boost", "1", f"echo 0 | sudo tee /{CPUS}/cpufreq/boost"),
        ("cpufreq/policy3/boost", "1", f"echo 0 | sudo tee /{CPUS}/cpufreq/policy*/boost"),
    ],
)
def test_the_remedy_of_turbo_fits_the_driver(
    tmp_path: Path, file: str, on: str, remedy: str
) -> None:
    """The command that turns turbo off writes to the switch that this machine has."""
    files = {path: text for path, text in bare_metal().items() if "no_turbo" not in path}
    root = write(tmp_path, {**files, f"{CPUS}/{file}": on})
    turbo = found(diagnose([SENSED], root), "turbo")
    assert (turbo.state, turbo.remedy) == ("warn", remedy)
    switch = next(root.glob(remedy.partition("tee /")[2]))
    switch.write_text(remedy.split()[1])
    assert found(diagnose([SENSED], root), "turbo").state == "ok"


def test_clocks_that_are_not_shown_are_no_fault(tmp_path: Path) -> None:
    """In a machine that shows neither governor nor turbo both are absent."""
    diagnosis = diagnose([SENSED], tmp_path)
    assert {found(diagnosis, name).state for name in ("governor", "turbo")} == {"absent"}


@pytest.mark.parametrize(("others", "state"), [(0.02, "ok"), (0.04, "warn")])
def test_warns_of_other_load(tmp_path: Path, others: float, state: str) -> None:
    """Other processes warn above the 3 % at which a round would be done again."""
    load = found(diagnose([SENSED], tmp_path, LoadShare(others, 0.0)), "other load")
    assert (load.state, f"{others * 100:.0f} %" in load.what) == (state, True)


def test_warns_of_steal(tmp_path: Path) -> None:
    """Time that the hypervisor gave to others is told, and only where there was any."""
    stolen = diagnose([SENSED], tmp_path, LoadShare(0.0, 0.004))
    assert "0.4 %" in found(stolen, "steal").what
    quiet = diagnose([SENSED], tmp_path, QUIET)
    assert "steal" not in [finding.name for finding in quiet.findings]


def test_says_nothing_of_load_that_was_not_measured(tmp_path: Path) -> None:
    """Without a look at the load there is no line on it."""
    names = [finding.name for finding in diagnose([SENSED], tmp_path).findings]
    assert "other load" not in names


def test_warns_of_a_virtual_machine(tmp_path: Path) -> None:
    """In a guest without counters the mend is to measure elsewhere."""
    root = write(tmp_path, bare_metal(XEON.replace("sse2", "hypervisor")), sys_vendor="QEMU")
    guest = found(diagnose([NO_CARD, GUESS], root), "virtual machine")
    assert (guest.state, guest.what.partition(":")[0]) == ("warn", "qemu")
    assert guest.remedy is not None
    assert "bare-metal" in guest.remedy


@pytest.mark.parametrize(
    ("trace", "remedy"),
    [
        (".dockerenv", "docker run --security-opt systempaths=unconfined ..."),
        ("run/.containerenv", "podman run --security-opt unmask=ALL ..."),
    ],
)
def test_tells_how_to_show_counters_to_a_container(tmp_path: Path, trace: str, remedy: str) -> None:
    """Where a runtime hides counters that the machine has, its own option to show them is named."""
    hidden = {**bare_metal(), trace: "", "sys/class/powercap/intel-rapl/enabled": "1"}
    container = found(diagnose([LOCKED, GUESS], write(tmp_path, hidden)), "container")
    assert (container.state, container.remedy) == ("warn", remedy)


def test_a_container_that_shows_the_counters_is_fine(tmp_path: Path) -> None:
    """A container is no fault where it shows the counters, or where the machine has none."""
    root = write(tmp_path, {**bare_metal(), ".dockerenv": ""})
    for findings in ([SENSED], [NO_CARD, GUESS]):
        container = found(diagnose(findings, root), "container")
        assert (container.state, container.remedy) == ("ok", None)


def test_warns_of_a_cpu_quota(tmp_path: Path) -> None:
    """A quota warns, as it stops work in the middle of a round."""
    root = write(tmp_path, {**bare_metal(), "sys/fs/cgroup/cpu.max": "200000 100000"})
    quota = found(diagnose([SENSED], root), "CPU quota")
    assert (quota.state, quota.what.partition(":")[0]) == ("warn", "2 CPUs")


def lines_of(*findings: Observation, worth: str = "A paragraph.") -> Sequence[str]:
    """How some findings are shown."""
    return list(doctor_lines(Diagnosis(findings, worth, measurable=True)))


def test_shows_each_finding_with_its_state_and_then_what_it_is_worth() -> None:
    """State, name and words stand in columns; the remedy follows; the paragraph comes last."""
    assert lines_of(
        Observation("powercap", "ok", "reads cpu:0"),
        Observation("virtual machine", "warn", "qemu", "measure on the host"),
        Observation("turbo", "warn", "on", "echo 0 | sudo tee /sys/boost"),
    ) == [
        "ok      powercap         reads cpu:0",
        "warn    virtual machine  qemu",
        "        to mend: measure on the host",
        "warn    turbo            on",
        "        to mend:",
        "          echo 0 | sudo tee /sys/boost",
        "",
        "A paragraph.",
    ]


def test_stays_within_80_columns_of_plain_text(tmp_path: Path) -> None:
    """However long the words, no line is wider than 80 columns, and none holds an escape."""
    root = write(tmp_path, {**bare_metal(), ".dockerenv": ""}, scaling_governor="powersave")
    locked = Finding("powercap", problem=SensorUnavailable("long " * 40 + "x" * 90, GRANT))
    shown = list(doctor_lines(diagnose([locked, GUESS], root, LoadShare(0.3, 0.1))))
    assert 75 < max(map(len, shown)) <= 80
    assert "".join(shown).isprintable()


def copied(lines: Sequence[str]) -> str:
    """The command below `to mend:`, as it is copied from the screen."""
    start = next(i for i, line in enumerate(lines) if line.strip() == "to mend:") + 1
    return "\n".join(lines[start : lines.index("", start)])


def test_a_long_command_does_the_same_when_it_is_copied() -> None:
    """The udev rule of the powercap sensor goes over several lines; a shell reads it whole."""
    command = copied(lines_of(Observation("powercap", "bad", "locked", GRANT)))
    assert len(command.splitlines()) > 4
    # Each program says what it was called with, `tee` what it was given, in place of doing it.
    script = """
    sudo() { if [ "$1" = tee ]; then printf 'to %s:' "$2"; cat; else printf '[%s]' "$@"; fi; }
    newgrp() { printf '[%s]' newgrp "$@"; }
    USER=me
    """
    said = [
        subprocess.run(["bash", "-c", script + text], capture_output=True, text=True, check=True)
        for text in (command, GRANT)
    ]
    assert UDEV_RULE in said[1].stdout
    assert said[0].stdout == said[1].stdout


def test_a_command_that_fits_is_left_as_it_is() -> None:
    """Nothing is broken that need not be."""
    remedy = "pip install 'pytest-greenops[rapl]'"
    command = copied(lines_of(Observation("pyrapl", "bad", "missing", remedy)))
    assert shlex.split(command) == shlex.split(remedy)
    assert len(command.splitlines()) == 1
