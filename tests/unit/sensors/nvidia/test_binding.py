"""Which module answers to `import pynvml`: the right one, another one, or one that fails."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import pytest_greenops
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors.discover import discover, find
from pytest_greenops.sensors.nvidia import binding

#: What nvidia-ml-py3 7.352 and pynvml 8.0.4 have in common with nvidia-ml-py, and little else.
OLD = "class NVMLError(Exception): pass\ndef nvmlInit(): pass\n"
Installed = Callable[..., SensorUnavailable]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installed:
    """Returns the problem with a `pynvml.py` of some distribution, which hides the right one."""

    def installed(code: str | None, distribution: str = "", card: bool = True) -> SensorUnavailable:
        monkeypatch.setattr(binding, "may_have_card", lambda: card)
        monkeypatch.setitem(sys.modules, "pynvml", None)  # restored after the test
        if code is not None:
            del sys.modules["pynvml"]
            (tmp_path / "pynvml.py").write_text(code)
        if distribution:
            metadata = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
            (metadata / "top_level.txt").write_text("pynvml\n")
        monkeypatch.syspath_prepend(tmp_path)
        problem = find("nvml").problem
        assert problem
        return problem

    return installed


@pytest.mark.parametrize("other", ["nvidia-ml-py3", "pynvml"])
def test_another_distribution_is_named_with_the_fix(installed: Installed, other: str) -> None:
    """The command removes both, because they share a file, and installs the right one."""
    problem = installed(OLD, other)
    assert re.match(r"the module pynvml \(.*pynvml\.py\) lacks NVML_CLOCK_SM and ", problem.reason)
    assert problem.reason.endswith(f": {other} replaced nvidia-ml-py")
    assert problem.remedy == f"pip uninstall -y {other} nvidia-ml-py; pip install nvidia-ml-py"
    assert not problem.absent


@pytest.mark.parametrize("error", ["OSError", "ImportError", "RuntimeError", "AttributeError"])
def test_a_module_whose_import_fails_is_unusable(installed: Installed, error: str) -> None:
    """A file of no distribution is to be renamed."""
    problem = installed(f"raise {error}('no driver')")
    assert f"cannot be imported ({error}: no driver)" in problem.reason
    assert re.fullmatch(r"rename .*pynvml\.py, which hides .*", problem.remedy or "")


@pytest.mark.parametrize("code", [None, OLD, "raise OSError('no driver')"])
def test_without_a_card_it_is_simply_absent(installed: Installed, code: str | None) -> None:
    """Nobody needs the package where there is nothing to read, and the CPU is still measured."""
    assert installed(code, card=False).absent
    instruments, findings = discover(["auto"])
    instruments.close()
    assert "nvml" in [finding.name for finding in findings]


def test_a_missing_package_is_named(installed: Installed) -> None:
    """Without `nvidia-ml-py`, the fix installs it."""
    assert str(installed(None)) == (
        "the Python package nvidia-ml-py is not installed; fix: pip install nvidia-ml-py"
    )


@pytest.mark.parametrize(
    ("file", "text", "may"),
    [
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n", True),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n", False),
        ("dev/dxg", "", True),
        ("dev/nvidiactl", "", True),
    ],
)
def test_a_card_leaves_traces(tmp_path: Path, file: str, text: str, may: bool) -> None:
    """Its PCI vendor or its device files, also those of WSL."""
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert binding.may_have_card(tmp_path) is (may or sys.platform == "win32")


class NVMLError(Exception):
    """What NVML raises."""

    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (
            NVMLError(12),
            ("no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded", None, True),
        ),
        (NVMLError(9), ("the NVIDIA driver is not loaded", "sudo modprobe nvidia", True)),
        (
            NVMLError(18),
            (
                "the NVIDIA driver in the kernel and its library have different versions",
                "reboot, or reload the driver",
                False,
            ),
        ),
        (
            NVMLError(4),
            ("this user may not use the NVIDIA driver", "give it access to /dev/nvidia*", False),
        ),
        (NVMLError(999), ("NVML does not start: error 999", None, False)),
        (OSError("bad file"), ("NVML does not start (OSError: bad file)", None, False)),
    ],
)
def test_a_driver_that_does_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, problem: tuple[str, str | None, bool]
) -> None:
    """It is absent where none is installed or loaded."""

    def fails() -> None:
        raise error

    driver = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_ERROR_LIBRARY_NOT_FOUND=12,
        NVML_ERROR_DRIVER_NOT_LOADED=9,
        NVML_ERROR_LIB_RM_VERSION_MISMATCH=18,
        NVML_ERROR_NO_PERMISSION=4,
        nvmlInit=fails,
    )
    monkeypatch.setattr(binding, "_import", lambda: driver)
    with pytest.raises(SensorUnavailable) as raised:
        binding.start()
    assert (raised.value.reason, raised.value.remedy, raised.value.absent) == problem


def test_a_text_of_the_driver_may_have_any_bytes() -> None:
    """The binding's own decoding, which may fail, is passed by; a text stays as it is."""

    def raw(number: int) -> bytes:
        return b"card \xff" if number else b"card"

    @functools.wraps(raw)
    def decoded(number: int) -> str:
        return raw(number).decode()

    assert [binding.text(decoded, number) for number in (0, 1)] == [
        "card",
        r"card \xff",
    ]
    assert binding.text(lambda number: f"card {number}", 1) == "card 1"


def test_all_that_is_asked_of_the_binding_is_checked() -> None:
    """No module asks the binding for a name whose absence would be noticed later."""
    folder = Path(pytest_greenops.__file__).parent
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    asked = set(re.findall(r"nvml\.((?:nvml|NVML)\w+)", text))
    assert asked == binding._NEEDED
