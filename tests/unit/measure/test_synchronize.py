"""Waiting for queued work: only for frameworks that are loaded and in use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.measure.synchronize import synchronize

FRAMEWORKS = ("torch", "jax", "jax._src.xla_bridge", "cupy")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts a module with some contents where an import would.

    No other framework is loaded, whatever ran before.
    """
    for name in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)

    def put(name: str, **contents: Any) -> None:
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

    return put


@pytest.fixture
def waits() -> list[object]:
    """Return a list of what was waited for."""
    return []


def cuda(
    waits: list[object], devices: int = 3, initialized: bool = True, unused: int | None = None
) -> SimpleNamespace:
    """Return a `torch.cuda` that records what is waited for."""

    def device_count() -> int:
        assert initialized, "counting devices loads the driver"
        return devices

    return SimpleNamespace(
        is_initialized=lambda: initialized,
        device_count=device_count,
        synchronize=waits.append,
        memory_reserved=lambda device: 0 if device == unused else 4096,
    )


def test_nothing_is_imported() -> None:
    """Synchronizing loads no framework."""
    code = (
        "import sys; from pytest_greenops.measure.synchronize import synchronize; "
        "before = set(sys.modules); synchronize(); print(sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("state", "waited"),
    [({}, [0, 1, 2]), ({"unused": 1}, [0, 2]), ({"initialized": False}, [])],
    ids=["every card", "a card without memory", "no context"],
)
def test_torch_waits_for_the_cards_that_it_uses(
    load: Callable[..., None], waits: list[object], state: dict[str, Any], waited: list[object]
) -> None:
    """Waiting for another card would start a context there, which takes memory and power."""
    load("torch", cuda=cuda(waits, **state))
    synchronize()
    assert waits == waited


@pytest.mark.parametrize(("available", "waited"), [(True, ["mps"]), (False, [])])
def test_torch_waits_for_the_gpu_of_a_mac(
    load: Callable[..., None], waits: list[object], available: bool, waited: list[object]
) -> None:
    """It does if torch has one."""
    load(
        "torch",
        cuda=cuda(waits, initialized=False),
        mps=SimpleNamespace(synchronize=lambda: waits.append("mps")),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: available)),
    )
    synchronize()
    assert waits == waited


def test_a_framework_that_is_being_imported_is_not_an_error(load: Callable[..., None]) -> None:
    """An empty module has nothing queued."""
    load("torch")
    load("jax")
    synchronize()


@pytest.mark.parametrize(
    ("bridge", "waited"),
    [
        ({"backends_are_initialized": lambda: True}, [["array"]]),
        ({"backends_are_initialized": lambda: False}, []),
        ({}, [["array"]]),
        (None, [["array"]]),
    ],
)
def test_jax_waits_for_its_arrays_once_a_backend_runs(
    load: Callable[..., None],
    waits: list[object],
    bridge: dict[str, Any] | None,
    waited: list[object],
) -> None:
    """Listing arrays starts the backend; a version that does not say whether it runs lists them."""
    load("jax", live_arrays=lambda: ["array"], block_until_ready=waits.append)
    if bridge is not None:
        load("jax._src.xla_bridge", **bridge)
    synchronize()
    assert waits == waited


@pytest.mark.parametrize(("available", "waited"), [(True, ["cupy"]), (False, [])])
def test_cupy_waits_if_it_has_a_device(
    load: Callable[..., None], waits: list[object], available: bool, waited: list[object]
) -> None:
    """Its device count raises without a driver, so it is not called then."""

    def no_driver() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver")

    runtime = SimpleNamespace(
        getDeviceCount=(lambda: 1) if available else no_driver,
        deviceSynchronize=lambda: waits.append("cupy"),
    )
    load("cupy", cuda=SimpleNamespace(is_available=lambda: available, runtime=runtime))
    synchronize()
    assert waits == waited
