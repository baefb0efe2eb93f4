"""What every benchmark shares: the libraries that its room needs, its device and its seed."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

SEED = 2503_23934

#: What the modules of a room import: where one is missing, the room is skipped and says why.
NEEDS = {
    "discriminative": ("torch", "transformers"),
    "generative": ("torch", "transformers"),
    "regressions": ("torch", "transformers"),
}


class SkippedModule(pytest.Module):
    """A module that is left alone, since importing it would fail."""

    def collect(self) -> Iterator[pytest.Item]:
        """No tests, but the reason."""
        missing = missing_libraries(self.path)
        pytest.skip(f"needs {' and '.join(missing)}: pip install 'pytest-greenops[bench]'")


def missing_libraries(module: Path) -> list[str]:
    """Those libraries of the module's room that are not installed."""
    room = module.relative_to(Path(__file__).parent).parts[0]
    return [library for library in NEEDS.get(room, ()) if find_spec(library) is None]


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip what cannot be imported here, instead of failing at collection."""
    if missing_libraries(module_path):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same weights and data for a benchmark, whatever ran before it."""
    random.seed(SEED)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU where there is one, else the CPU with as many threads as PyTorch chooses."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
