"""Waiting for what the measured code queued: only for frameworks that are loaded and in use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.measure.synchronize import synchronize

FRAMEWORKS = ("torch", "jax", "jax._src.xla_bridge", "cupy")


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework is loaded, whatever ran before."""
    for name in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a module with these contents where an import would."""

    def put(name: str, **contents: Any) -> None:
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

    return put


def cuda(
    waits: list[object], devices: int = 2, initialized: bool = True, unused: int | None = None
) -> SimpleNamespace:
    """What `torch.cuda` has, noting what is waited for."""

    def device_count() -> int:
        assert initialized, "counting devices loads the driver"
        return devices

    return SimpleNamespace(
        is_initialized=lambda: initialized,
        device_count=device_count,
        synchronize=waits.append,
        memory_reserved=lambda device: 0 if device == unused else 4096,
    )


def mps(waits: list[object], available: bool = True) -> dict[str, Any]:
    """What torch has for the GPU of a Mac."""
    backend = SimpleNamespace(is_available=lambda: available)
    return {
        "mps": SimpleNamespace(synchronize=lambda: waits.append("mps")),
        "backends": SimpleNamespace(mps=backend),
    }


def test_a_card_that_torch_never_used_is_left_alone(load: Callable[..., None]) -> None:
    """To wait for it would start a context there, which takes its memory and power."""
    waits: list[object] = []
    load("torch", cuda=cuda(waits, devices=3, unused=1))
    synchronize()
    assert waits == [0, 2]


def test_nothing_is_imported() -> None:
    """Where no framework is loaded, none is loaded for it."""
    code = (
        "import sys; from pytest_greenops.measure.synchronize import synchronize; "
        "before = set(sys.modules); synchronize(); print(sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_every_device_of_torch_is_waited_for(load: Callable[..., None]) -> None:
    """Work may be queued on any card, in any stream."""
    waits: list[object] = []
    load("torch", cuda=cuda(waits, devices=3))
    synchronize()
    assert waits == [0, 1, 2]


def test_torch_without_a_context_is_left_alone(load: Callable[..., None]) -> None:
    """A test on the CPU makes no context on a card, which takes memory and joules."""
    waits: list[object] = []
    load("torch", cuda=cuda(waits, initialized=False))
    synchronize()
    assert waits == []


@pytest.mark.parametrize(("available", "waited"), [(True, ["mps"]), (False, [])])
def test_the_gpu_of_a_mac_is_waited_for(
    load: Callable[..., None], available: bool, waited: list[str]
) -> None:
    """Where torch has one."""
    waits: list[object] = []
    load("torch", cuda=cuda(waits, initialized=False), **mps(waits, available))
    synchronize()
    assert waits == waited


def test_a_torch_that_is_being_imported_is_no_error(load: Callable[..., None]) -> None:
    """A module that has nothing yet has nothing queued."""
    load("torch")
    load("jax")
    synchronize()
    assert "torch" in sys.modules


@pytest.mark.parametrize(
    ("bridge", "waited"),
    [
        ({"backends_are_initialized": lambda: True}, [["array"]]),
        ({"backends_are_initialized": lambda: False}, []),
        ({}, [["array"]]),
        (None, [["array"]]),
    ],
)
def test_arrays_of_jax_are_waited_for_once_a_backend_runs(
    load: Callable[..., None], bridge: dict[str, Any] | None, waited: list[object]
) -> None:
    """To ask for live arrays starts the backend; of a version that does not tell they are asked."""
    waits: list[object] = []
    load("jax", live_arrays=lambda: ["array"], block_until_ready=waits.append)
    if bridge is not None:
        load("jax._src.xla_bridge", **bridge)
    synchronize()
    assert waits == waited


@pytest.mark.parametrize(("available", "waited"), [(True, ["cupy"]), (False, [])])
def test_cupy_is_waited_for_where_it_has_a_device(
    load: Callable[..., None], available: bool, waited: list[str]
) -> None:
    """Without a driver its device count raises, so it is asked whether it can be used."""
    waits: list[object] = []

    def no_driver() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver")

    runtime = SimpleNamespace(
        getDeviceCount=(lambda: 1) if available else no_driver,
        deviceSynchronize=lambda: waits.append("cupy"),
    )
    load("cupy", cuda=SimpleNamespace(is_available=lambda: available, runtime=runtime))
    synchronize()
    assert waits == waited
