"""Wait for work that the measured code queued on a device, at the edges of a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_greenops.system import SYSTEM


def synchronize() -> None:
    """Wait for the devices of the frameworks that are loaded and in use; load none."""
    for name, wait in _WAITS.items():
        module = SYSTEM.modules.get(name)
        if module is not None:
            wait(module)


def _torch(torch: Any) -> None:
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        for device in range(cuda.device_count()):
            if cuda.memory_reserved(device):  # waiting for an unused card would start a context
                cuda.synchronize(device)
    mps = getattr(torch, "mps", None)
    if mps is not None and torch.backends.mps.is_available():
        mps.synchronize()


def _jax(jax: Any) -> None:
    """Wait for the live arrays, since JAX has no barrier for a device.

    Listing them would start the backend, which takes most of a GPU's memory: skip if none runs.
    """
    bridge = SYSTEM.modules.get("jax._src.xla_bridge")
    if not getattr(bridge, "backends_are_initialized", lambda: True)():
        return
    if getattr(jax, "live_arrays", None) is not None:
        jax.block_until_ready(jax.live_arrays())


def _cupy(cupy: Any) -> None:
    if cupy.cuda.is_available():
        cupy.cuda.runtime.deviceSynchronize()


_WAITS: dict[str, Callable[[Any], None]] = {"torch": _torch, "jax": _jax, "cupy": _cupy}
