"""Tests of torch code whose work changes with the environment, for projects that pytest runs.

`LAYERS` and `DTYPE` are those of the model; `JOULES`, as in other projects, what a call uses.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.integration.projects import ALONE, Project, Ran

#: Layers that compute for long enough for their coverage to be known.
MODEL = """
import os

import pytest
import torch


@pytest.fixture
def model():
    layers, dtype = int(os.environ.get("LAYERS", "2")), os.environ.get("DTYPE", "float32")
    blocks = [torch.nn.Sequential(torch.nn.Linear(1024, 1024)) for _ in range(layers)]
    return torch.nn.Sequential(*blocks).to(getattr(torch, dtype))


@pytest.fixture
def batch(model):
    return torch.ones(512, 1024, dtype=next(model.parameters()).dtype)


@pytest.fixture
def call(model, batch, work):
    def call():
        work()
        return model(batch)

    return call
"""
FORWARD = f"""{MODEL}

def test_forward(energy, call):
    energy(call)
"""
#: Joules that are estimated, so that the count decides where they do not.
ESTIMATED = 'source="estimated"'
#: Joules against a baseline of 2 J that decide nothing, and joules that regress.
OPEN_J, MORE_J = 2.12, 6.0


#: Most of the CPU time is inside of operators: how much is measured, and differs by run.
COVERED = """
    from pytest_greenops.model.counted import Coverage
    from pytest_greenops.work import passes

    passes._coverage = lambda tallies, used, notes: Coverage(share=0.97, notes=notes)
"""


def estimated(project: Project, test: str = FORWARD, more: str = "") -> Project:
    """Write a test, and a sensor that estimates."""
    project.sensor(ESTIMATED, more)
    project.write("test_it.py", test)
    return project


def count(project: Project, *args: str, plugins: bool = False) -> Ran:
    """Run pytest --energy-count-only and keep its results."""
    return project.run("--energy-count-only", "--energy-json=results.json", *args, plugins=plugins)


def measured(project: Project, *args: str, joules: float = 2.0) -> Ran:
    """Measure in this process only."""
    return project.energy(*ALONE, *args, joules=joules)


def works(ran: Ran) -> dict[str, str]:
    """Return the outcome of the counted work of each result that has one."""
    found = {name: result.verdict.work for name, result in ran.results.items()}
    return {name: work.outcome.value for name, work in found.items() if work is not None}


def flop(ran: Ran) -> dict[str, int]:
    """Return the counted operations of each result."""
    found = {name: result.work for name, result in ran.results.items()}
    return {name: work.totals.all_flop for name, work in found.items() if work is not None}


def junit(project: Project) -> ElementTree.Element:
    """Return the report of `--junitxml=junit.xml`."""
    return ElementTree.parse(project.path / "junit.xml").getroot()


#: A number with a unit of energy, power or mass: `3 J`, `2.1 mJ/token`, `4 W`, `1.2 g CO2e`.
OF_ENERGY = re.compile(r"\d ?(?:[munpµkMG]?(?:J|Wh?)|[mµk]?g)(?![A-Za-z])")
