"""Options, axes, device, seed and tables of all benchmarks."""

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

#: Libraries that the modules of a folder import; the folder is skipped where one is missing.
NEEDS = {
    "anomaly": ("sklearn",),
    "discriminative": ("torch", "transformers"),
    "generative": ("torch", "transformers"),
    "regressions": ("torch", "transformers"),
    "tasks": ("torch", "transformers"),
}
AXES = pytest.StashKey[Axes]()


class SkippedModule(pytest.Module):
    """A module that is not imported, since a library is missing."""

    def collect(self) -> Iterator[pytest.Item]:
        """Skip, with the reason."""
        missing = missing_libraries(self.path)
        pytest.skip(f"needs {' and '.join(missing)}: pip install 'pytest-greenops[bench]'")


def missing_libraries(module: Path) -> list[str]:
    """Return the libraries of the module's folder that are not installed."""
    folder = module.relative_to(Path(__file__).parent).parts[0]
    return [library for library in NEEDS.get(folder, ()) if find_spec(library) is None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options of the benchmarks."""
    group = parser.getgroup("benchmarks", "benchmarks of pytest-greenops")
    group.addoption(
        "--bench-full", action="store_true", help="run all values of all axes, not a small slice"
    )
    group.addoption(
        "--bench-axis",
        action="append",
        default=[],
        metavar="NAME=ID,ID",
        help="run only these values of an axis, e.g. architecture=vit,swin; may be repeated",
    )
    group.addoption(
        "--energy-model",
        metavar="NAME_OR_PATH",
        help="a checkpoint for from_pretrained, in place of the models that are built here",
    )
    group.addoption(
        "--bench-tables", type=Path, metavar="PATH", help="write the tables to a Markdown file"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and collect measurements for the tables."""
    config.addinivalue_line("markers", "axis(axis): run a test over an axis of a study")
    option = config.getoption  # unknown where pytest was not started with this folder
    config.stash[AXES] = Axes(
        full=option("bench_full", False),
        chosen=option("bench_axis", None) or [],
        checkpoint=Checkpoint.read(option("energy_model", None)),
    )
    plugins = config.pluginmanager
    if not hasattr(config, "workerinput") and not plugins.hasplugin("greenops-fresh-child"):
        plugins.register(Tables(option("bench_tables", None)), "benchmark-tables")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip a module with missing libraries, instead of failing at collection."""
    if missing_libraries(module_path):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over the chosen values of its axes."""
    metafunc.config.stash[AXES].parametrize(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the chosen axes, and deselect tests that cannot run the checkpoint."""
    axes = config.stash[AXES]
    axes.check_choices()
    dropped = axes.remove_without_checkpoint(items)
    if dropped:
        config.hook.pytest_deselected(items=dropped)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed weights and data, whatever ran before."""
    random.seed(SEED)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


@pytest.fixture(autouse=True)
def axis_facts(request: pytest.FixtureRequest, facts: Callable[..., None]) -> None:
    """Record the ids of the test on its axes, for the tables."""
    facts(**request.config.stash[AXES].ids_of(request.node))


@pytest.fixture
def facts(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Record facts of a test for the tables: `facts(parameters=11_200_000)`."""

    def keep(**facts: object) -> None:
        for name, value in facts.items():
            record_property(f"study.{name}", value)

    return keep


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
