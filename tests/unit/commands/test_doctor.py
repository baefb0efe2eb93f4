"""What the doctor finds on different machines, and how it prints that."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_greenops.commands.doctor import diagnose
from pytest_greenops.machine import LoadShare
from pytest_greenops.model.diagnosis import Diagnosis, Observation
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.report.doctor_table import doctor_lines
from pytest_greenops.sensors.base import Finding
from pytest_greenops.sensors.rapl.powercap import GRANT, UDEV_RULE
from pytest_greenops.testing import FakeSensor
from tests.simulated_host.machine_tree import CPUS, XEON, bare_metal, write

CPU, DRAM, GPU = Domain("cpu:0", "cpu"), Domain("dram:0", "dram"), Domain("gpu:0", "gpu")
SENSED = Finding("powercap", FakeSensor(CPU, DRAM, name="powercap"))
CARD = Finding("nvml", FakeSensor(GPU, name="nvml"))
GUESS = Finding("estimate", FakeSensor(CPU, name="estimate", source="estimated"))
LOCKED = Finding("powercap", problem=SensorUnavailable("root alone may read it", "sudo chmod it"))
NO_CARD = Finding("nvml", problem=SensorUnavailable("no NVIDIA driver", absent=True))
QUIET = LoadShare(0.01, 0.0)


def found(diagnosis: Diagnosis, name: str) -> Observation:
    """Return the finding with this name."""
    return next(finding for finding in diagnosis.findings if finding.name == name)


def test_a_quiet_server_has_nothing_to_fix(tmp_path: Path) -> None:
    """On bare metal with readable counters and steady clocks nothing warns."""
    diagnosis = diagnose([SENSED, CARD], write(tmp_path, bare_metal()), QUIET)
    assert {finding.state for finding in diagnosis.findings} == {"ok"}
    assert not any(finding.remedy for finding in diagnosis.findings)
    assert diagnosis.measurable
    assert diagnosis.worth.startswith("CPU, memory and GPU energy is sensed")
    assert "noise" not in diagnosis.worth


def test_says_what_a_sensor_reads(tmp_path: Path) -> None:
    """A sensor is described by its domains, its update period and its method."""
    powercap = found(diagnose([SENSED], tmp_path), "powercap")
    assert powercap.what == "reads cpu:0, dram:0, updated every 1 ms. spent by a test"


def test_reports_why_a_sensor_fails_and_how_to_fix_it(tmp_path: Path) -> None:
    """A sensor that exists but cannot be read is bad, with its reason and its fix."""
    locked = found(diagnose([LOCKED, GUESS], tmp_path), "powercap")
    assert locked == Observation("powercap", "bad", "root alone may read it", "sudo chmod it")


def test_reports_what_a_sensor_leaves_out_and_what_the_machine_does_not_tell(
    tmp_path: Path,
) -> None:
    """Each has a line with its reason and its fix."""
    part = FakeSensor(CPU, name="powercap")
    part.left_out = {"powercap dram": SensorUnavailable("locked", "unlock it")}  # type: ignore[attr-defined]
    unknown = {"other load": SensorUnavailable("no /proc/stat", "show it")}
    diagnosis = diagnose([Finding("powercap", part)], tmp_path, unknown=unknown)
    assert found(diagnosis, "powercap").state == "ok"
    assert found(diagnosis, "powercap dram") == Observation(
        "powercap dram", "bad", "locked", "unlock it"
    )
    assert found(diagnosis, "other load").what == "no /proc/stat"


def test_a_missing_device_is_absent(tmp_path: Path) -> None:
    """A device that the machine does not have is not an error."""
    assert found(diagnose([NO_CARD], tmp_path), "nvml").state == "absent"


def test_is_honest_about_an_estimate(tmp_path: Path) -> None:
    """With only an estimate it warns, and the last paragraph names the limits of the estimate."""
    diagnosis = diagnose([LOCKED, GUESS], write(tmp_path, bare_metal()), QUIET)
    assert found(diagnosis, "estimate").state == "warn"
    assert diagnosis.measurable
    for word in ("estimated", "off by half", "vector width", "never compared with sensed"):
        assert word in diagnosis.worth
    assert "is sensed" not in diagnosis.worth


def test_needs_no_estimate_with_a_sensor(tmp_path: Path) -> None:
    """If the CPU has a sensor, the estimate is not needed and not described."""
    diagnosis = diagnose([SENSED, GUESS], write(tmp_path, bare_metal()))
    assert found(diagnosis, "estimate").what == "not needed: the CPU has a sensor"
    assert "estimated" not in diagnosis.worth


@pytest.mark.parametrize(
    ("findings", "measurable", "worth"),
    [
        ([CARD, GUESS], True, ("GPU energy is sensed", "CPU energy is estimated")),
        ([CARD], True, ("CPU energy is not measured",)),
        ([LOCKED, NO_CARD], False, ("Nothing can be measured here",)),
    ],
)
def test_says_what_is_sensed_estimated_or_not_measured(
    tmp_path: Path, findings: list[Finding], measurable: bool, worth: tuple[str, ...]
) -> None:
    """The paragraph distinguishes GPU and CPU, and says if nothing can be measured."""
    diagnosis = diagnose(findings, write(tmp_path, bare_metal()))
    assert diagnosis.measurable is measurable
    assert diagnosis.worth.startswith("Nothing can be measured here") is not measurable
    for words in worth:
        assert words in diagnosis.worth


def test_warns_of_a_governor_that_follows_the_load(tmp_path: Path) -> None:
    """A governor other than performance warns, with the command that sets it."""
    root = write(tmp_path, bare_metal(), scaling_governor="powersave")
    diagnosis = diagnose([SENSED], root, QUIET)
    governor = found(diagnosis, "governor")
    assert (governor.state, governor.what.partition(":")[0]) == ("warn", "powersave")
    assert governor.remedy is not None
    assert governor.remedy.startswith("echo performance | sudo tee")
    assert "Avoidable noise comes from: governor." in diagnosis.worth


@pytest.mark.parametrize(
    ("file", "on", "remedy"),
    [
        ("intel_pstate/no_turbo", "0", f"echo 1 | sudo tee /{CPUS}/intel_pstate/no_turbo"),
        ("cpufreq/boost", "1", f"echo 0 | sudo tee /{CPUS}/cpufreq/boost"),
        ("cpufreq/policy3/boost", "1", f"echo 0 | sudo tee /{CPUS}/cpufreq/policy*/boost"),
    ],
)
def test_the_fix_for_turbo_fits_the_driver(tmp_path: Path, file: str, on: str, remedy: str) -> None:
    """The command writes to the switch of this machine."""
    files = {path: text for path, text in bare_metal().items() if "no_turbo" not in path}
    root = write(tmp_path, {**files, f"{CPUS}/{file}": on})
    turbo = found(diagnose([SENSED], root), "turbo")
    assert (turbo.state, turbo.remedy) == ("warn", remedy)
    switch = next(root.glob(remedy.partition("tee /")[2]))
    switch.write_text(remedy.split()[1])
    assert found(diagnose([SENSED], root), "turbo").state == "ok"


def test_clocks_that_are_not_visible_are_absent(tmp_path: Path) -> None:
    """A machine that shows neither governor nor turbo has no warning."""
    diagnosis = diagnose([SENSED], tmp_path)
    assert {found(diagnosis, name).state for name in ("governor", "turbo")} == {"absent"}


@pytest.mark.parametrize(("others", "state"), [(0.02, "ok"), (0.04, "warn")])
def test_warns_of_other_load(tmp_path: Path, others: float, state: str) -> None:
    """Other processes warn above the 3 % from which on a round is repeated."""
    load = found(diagnose([SENSED], tmp_path, LoadShare(others, 0.0)), "other load")
    assert (load.state, f"{others * 100:.0f} %" in load.what) == (state, True)


def test_warns_of_steal(tmp_path: Path) -> None:
    """Time that the hypervisor gave to others is reported if there was any."""
    stolen = diagnose([SENSED], tmp_path, LoadShare(0.0, 0.004))
    assert "0.4 %" in found(stolen, "steal").what
    quiet = diagnose([SENSED], tmp_path, QUIET)
    assert "steal" not in [finding.name for finding in quiet.findings]


def test_omits_load_that_was_not_measured(tmp_path: Path) -> None:
    """Without a load there is no line about it."""
    names = [finding.name for finding in diagnose([SENSED], tmp_path).findings]
    assert "other load" not in names


def test_warns_of_a_virtual_machine(tmp_path: Path) -> None:
    """In a guest without counters the fix is to measure elsewhere."""
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
def test_says_how_to_show_counters_to_a_container(tmp_path: Path, trace: str, remedy: str) -> None:
    """If a container hides the counters, the fix is an option of its runtime."""
    hidden = {**bare_metal(), trace: "", "sys/class/powercap/intel-rapl/enabled": "1"}
    container = found(diagnose([LOCKED, GUESS], write(tmp_path, hidden)), "container")
    assert (container.state, container.remedy) == ("warn", remedy)


def test_a_container_that_shows_the_counters_is_fine(tmp_path: Path) -> None:
    """A container does not warn if it shows the counters or the machine has none."""
    root = write(tmp_path, {**bare_metal(), ".dockerenv": ""})
    for findings in ([SENSED], [NO_CARD, GUESS]):
        container = found(diagnose(findings, root), "container")
        assert (container.state, container.remedy) == ("ok", None)


def test_warns_of_a_cpu_quota(tmp_path: Path) -> None:
    """A quota warns because it pauses the work within a round."""
    root = write(tmp_path, {**bare_metal(), "sys/fs/cgroup/cpu.max": "200000 100000"})
    quota = found(diagnose([SENSED], root), "CPU quota")
    assert (quota.state, quota.what.partition(":")[0]) == ("warn", "2 CPUs")


@pytest.mark.parametrize(
    ("starts", "state", "said"),
    [
        ([1.0, 1.01, 0.99, 1.0, 1.0], "ok", "differs by 0.7 %"),
        ([1.0, 1.1, 0.9, 1.0, 1.2], "warn", "detect increases of at least 69 %"),
    ],
)
def test_says_which_increase_the_machine_can_hold(
    tmp_path: Path, starts: list[float], state: str, said: str
) -> None:
    """The same work in a few processes shows it; too few say nothing."""
    steadiness = found(diagnose([SENSED], tmp_path, starts=starts), "steadiness")
    assert steadiness.state == state
    assert said in steadiness.what
    names = [each.name for each in diagnose([SENSED], tmp_path, starts=starts[:2]).findings]
    assert "steadiness" not in names


def lines_of(*findings: Observation, worth: str = "A paragraph.") -> Sequence[str]:
    """Return the lines for some findings."""
    return list(doctor_lines(Diagnosis(findings, worth, measurable=True)))


def test_prints_findings_then_a_paragraph() -> None:
    """Each finding has a state, a name, a text and maybe a fix; the paragraph comes last."""
    assert lines_of(
        Observation("powercap", "ok", "reads cpu:0"),
        Observation("virtual machine", "warn", "qemu", "measure on the host"),
        Observation("turbo", "warn", "on", "echo 0 | sudo tee /sys/boost"),
    ) == [
        "ok      powercap         reads cpu:0",
        "warn    virtual machine  qemu",
        "        Fix: measure on the host",
        "warn    turbo            on",
        "        Fix:",
        "          echo 0 | sudo tee /sys/boost",
        "",
        "A paragraph.",
    ]


def test_stays_within_80_columns_of_plain_text(tmp_path: Path) -> None:
    """No line is wider than 80 columns or contains an escape sequence."""
    root = write(tmp_path, {**bare_metal(), ".dockerenv": ""}, scaling_governor="powersave")
    locked = Finding("powercap", problem=SensorUnavailable("long " * 40 + "x" * 90, GRANT))
    shown = list(doctor_lines(diagnose([locked, GUESS], root, LoadShare(0.3, 0.1))))
    assert 75 < max(map(len, shown)) <= 80
    assert "".join(shown).isprintable()


def copied(lines: Sequence[str]) -> str:
    """Return the command below `Fix:`, as a user copies it."""
    start = next(i for i, line in enumerate(lines) if line.strip() == "Fix:") + 1
    return "\n".join(lines[start : lines.index("", start)])


def test_a_long_command_does_the_same_when_it_is_copied() -> None:
    """A shell reads the udev rule of the powercap sensor, on several lines, as one command."""
    command = copied(lines_of(Observation("powercap", "bad", "locked", GRANT)))
    assert len(command.splitlines()) > 4
    # Each program prints its arguments, and `tee` its input, instead of doing anything.
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


def test_a_command_that_fits_is_unchanged() -> None:
    """A short command stays on one line."""
    remedy = "pip install 'pytest-greenops[rapl]'"
    command = copied(lines_of(Observation("pyrapl", "bad", "missing", remedy)))
    assert shlex.split(command) == shlex.split(remedy)
    assert len(command.splitlines()) == 1
