"""What decides which operators run for the same code: counts compare only where it is the same."""

from __future__ import annotations

from typing import Any

from pytest_greenops.model.work_baseline import MODEL_PACKAGES
from pytest_greenops.system import SYSTEM

#: Version of what is counted: formulas, bytes and views. Other counts are not comparable.
COUNTING = "v1"
#: The kinds of attention that may be switched off, by the name of the function that says so.
_ATTENTION = {
    "flash": "flash_sdp_enabled",
    "memory-efficient": "mem_efficient_sdp_enabled",
    "math": "math_sdp_enabled",
    "cudnn": "cudnn_sdp_enabled",
}


def work_facts(torch: Any) -> dict[str, str]:
    """Return versions and backend flags, by name; the same on every machine with the same torch."""
    facts = {"counting": COUNTING, "torch": str(torch.__version__).partition("+")[0]}
    mkldnn = torch.backends.mkldnn
    facts["oneDNN"] = "on" if mkldnn.is_available() and _enabled(mkldnn) else "off"
    allowed = [
        name
        for name, asks in _ATTENTION.items()
        if getattr(torch.backends.cuda, asks, lambda: False)()
    ]
    facts["attention"] = ", ".join(allowed) or "none"
    for name in MODEL_PACKAGES:
        version = getattr(SYSTEM.modules.get(name), "__version__", None)
        if version is not None:
            facts[name] = str(version)
    return facts


def _enabled(backend: Any) -> bool:
    return bool(getattr(backend, "enabled", True))
