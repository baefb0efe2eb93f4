"""Projects in git repositories, whose package uses a known number of joules at each commit.

`work(name)` uses the joules that `mypkg.JOULES` has for this name, with a noise of 1 %. The commit
`main` has `MAIN`; the working tree has `HERE`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from textwrap import dedent

from tests.integration.projects import Project, conftest

INI = """
[pytest]
energy_sensors = fake
pythonpath = src
"""
#: The sensor of a fork starts with the state of the process that it is a fork of; so the noise
#: comes from the system.
WORK = """
import math
import random

import mypkg

CHANCE = random.SystemRandom()


@pytest.fixture
def work():
    def work(name="same"):
        joules = mypkg.JOULES[name] * math.exp(CHANCE.gauss(0.0, 0.01))
        SENSOR.spend(joules)
        return joules

    return work
"""
MAIN = """
JOULES = {"same": 2.0, "more": 2.0, "less": 2.0}
REF = True
"""
HERE = MAIN.replace('"more": 2.0', '"more": 2.6').replace('"less": 2.0', '"less": 1.4')
HERE = HERE.replace("REF = True", "REF = False")
IGNORED = "__pycache__/\n.pytest_cache/\nbaselines/\nresults.json\nrunpytest-*/\n"


def repository(folder: Path, files: dict[str, str]) -> None:
    """Make a git repository with these files on `main`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)


def commit(folder: Path) -> None:
    """Commit all files."""
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "made")


def git(folder: Path, *args: str) -> str:
    """Run git, and return what it prints."""
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *args]
    done = subprocess.run(
        command, cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout


def ab_files(tests: str) -> dict[str, str]:
    """Return the files of a project on `main`."""
    return {
        ".gitignore": IGNORED,
        "pytest.ini": INI,
        "conftest.py": conftest(more=WORK),
        "src/mypkg/__init__.py": MAIN,
        "tests/test_it.py": tests,
    }


def compared_project(project: Project, tests: str, here: str | None = None) -> Project:
    """Make a project whose package and tests differ from `main`, by default only the package."""
    repository(project.path, ab_files(tests))
    project.write("src/mypkg/__init__.py", HERE)
    if here is not None:
        project.write("tests/test_it.py", here)
    return project
