"""What every benchmark shares: its libraries, device and seed, its axes, and the study's tables."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.axes import Axes
from benchmarks.checkpoints import Checkpoint
from benchmarks.tables import Tables

if TYPE_CHECKING:
    import torch

SEED = 2503_23934

#: What the modules of a room import: where one is missing, the room is skipped and says why.
NEEDS = {
    "anomaly": ("sklearn",),
    "discriminative": ("torch", "transformers"),
    "generative": ("torch", "transformers"),
    "regressions": ("torch", "transformers"),
    "tasks": ("torch", "transformers"),
}
AXES = pytest.StashKey[Axes]()


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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register what only the benchmarks have."""
    group = parser.getgroup("benchmarks", "benchmarks of pytest-greenops")
    group.addoption(
        "--bench-full", action="store_true", help="every value of every axis, not a small slice"
    )
    group.addoption(
        "--bench-axis",
        action="append",
        default=[],
        metavar="NAME=ID,ID",
        help="only these values of an axis, such as architecture=vit,swin; may be repeated",
    )
    group.addoption(
        "--energy-model",
        metavar="NAME_OR_PATH",
        help="a checkpoint that from_pretrained loads, in place of the models made here",
    )
    group.addoption(
        "--bench-tables", type=Path, metavar="PATH", help="write the tables as Markdown"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what was asked for, and gather what is measured."""
    config.addinivalue_line("markers", "axis(axis): an axis of a study, over which a test runs")
    asked = config.getoption  # which are unknown where this file is no argument's own
    config.stash[AXES] = Axes(
        full=asked("bench_full", False),
        chosen=asked("bench_axis", None) or [],
        checkpoint=Checkpoint.read(asked("energy_model", None)),
    )
    plugins = config.pluginmanager
    if not hasattr(config, "workerinput") and not plugins.hasplugin("greenops-fresh-child"):
        plugins.register(Tables(asked("bench_tables", None)), "benchmark-tables")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip what cannot be imported here, instead of failing at collection."""
    if missing_libraries(module_path):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over the chosen values of its axes."""
    metafunc.config.stash[AXES].parametrize(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse an axis that no test has; leave out what cannot run the checkpoint."""
    axes = config.stash[AXES]
    axes.refuse_unknown()
    dropped = axes.without_checkpoint(items)
    if dropped:
        config.hook.pytest_deselected(items=dropped)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same weights and data for a benchmark, whatever ran before it."""
    random.seed(SEED)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


@pytest.fixture(autouse=True)
def axes_told(request: pytest.FixtureRequest, facts: Callable[..., None]) -> None:
    """Tell the tables where on its axes a test stands."""
    facts(**request.config.stash[AXES].ids_of(request.node))


@pytest.fixture
def facts(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Keep facts of a test beside its joules, for the tables: `facts(parameters=11_200_000)`."""

    def keep(**facts: object) -> None:
        for name, value in facts.items():
            record_property(f"study.{name}", value)

    return keep


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU where there is one, else the CPU with as many threads as PyTorch chooses."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
