"""A first energy test, whose work a user replaces by a call of their own code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.first_steps.project import Project

_NAMES = ("test_energy.py", "test_energy_budget.py", "test_first_energy.py")
_PLAIN = '''\
"""A first energy test. Its work is a stand-in: call your own code in its place."""

import pytest
{imports}

def work(count):
    """Sort numbers, as a stand-in for your own code."""
    return sorted(number * 7919 % count for number in range(count))


@pytest.mark.energy_budget(max_increase="5%")
def test_work(energy):
    energy.units(item=20_000)  # one call sorts 20,000 items: J/item is reported and judged
    result = energy(work, 20_000)  # calls it, measures it, returns its value
    assert len(result) == 20_000
'''
_TORCH = '''\
"""A first energy test. Its model is a stand-in: load your own model in its place."""

import pytest
import torch
{imports}

@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    layers = torch.nn.Linear(256, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 256)
    return torch.nn.Sequential(*layers).eval()


@pytest.mark.energy_budget(max_increase="5%", max_work="0.5%")
def test_forward(energy, model):
    batch = torch.randn(64, 256)
    energy.units(sample=64)  # one call handles 64 samples: J/sample is reported and judged
    with torch.inference_mode():
        result = energy(model, batch)  # calls it, measures it, returns its value
    assert result.shape == (64, 256)
'''


class FirstTest(NamedTuple):
    """A test file to write."""

    path: Path
    text: str


def propose(project: Project) -> FirstTest | None:
    """Return a test that runs in this project, in a new file whose name no other file has.

    None where pytest collects no new name: `python_files = tests.py`.
    """
    taken = project.uses.names
    places = (project.tests / name for name in _names(project) if name not in taken)
    path = next((place for place in places if not os.path.lexists(place)), None)
    if path is None:
        return None
    package = project.package()
    imports = f"\n# from {package} import ...\n" if package else ""
    text = (_TORCH if project.counted else _PLAIN).format(imports=imports)
    return FirstTest(path, text)


def _names(project: Project) -> Iterator[str]:
    """Yield names of files that pytest collects here; without end if a pattern has a `*`."""
    patterns = project.configured.python_files
    yield from (name for name in _NAMES if any(fnmatch(name, each) for each in patterns))
    stars = [each for each in patterns if "*" in each and fnmatch(each.replace("*", "e"), each)]
    for number in count(1) if stars else ():
        name = "energy" if number == 1 else f"energy_{number}"
        yield from (each.replace("*", name, 1).replace("*", "") for each in stars)
