"""`--energy-ab` with counted work: the work of the ref is counted too, with pairs or without."""

from __future__ import annotations

import pytest

from tests.integration import commands
from tests.integration.ab_projects import commit, git, repository
from tests.integration.projects import Project, Ran

pytest.importorskip("torch", reason="needs torch: make test-studies")

NET = """
import torch

def net(layers):
    torch.manual_seed(0)
    return torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(layers)))

def batch():
    return torch.ones(16, 64)
"""
TESTS = """
from mypkg import LAYERS, batch, net

def test_forward(energy):
    energy(net(LAYERS), batch())

def test_same(energy):
    energy(net(1), batch())
"""
NEW = """
def test_new(energy):
    energy(net(1), batch())
"""
FILES = {
    ".gitignore": "__pycache__/\nbaselines/\nresults.json\nrunpytest-*/\n",
    "pytest.ini": "[pytest]\npythonpath = src\n",
    "src/mypkg/__init__.py": f"{NET}\nLAYERS = 2\n",
    "tests/test_it.py": TESTS,
}


@pytest.fixture
def changed(project: Project) -> Project:
    """A working tree with one more layer than `main`, and a test that `main` lacks."""
    (project.path / "conftest.py").unlink()
    repository(project.path, FILES)
    project.write("src/mypkg/__init__.py", f"{NET}\nLAYERS = 3\n")
    project.write("tests/test_it.py", TESTS + NEW)
    return project


def against_main(project: Project, *args: str) -> Ran:
    """Run pytest against `main`."""
    return project.run("--energy-ab=main", "--energy-json=results.json", *args)


def test_without_pairs(changed: Project) -> None:
    """`--energy-count-only` compares the counts of both sides: one more layer fails."""
    ran = against_main(changed, "--energy-count-only")
    assert ran.outcomes == {"passed": 2, "failed": 1}
    head = git(changed.path, "rev-parse", "--short=7", "main").strip()
    failure = ran.failure("test_forward")
    assert f"call does +50 % work against {head} (main) (limit +0.5 %): aten.addmm" in failure
    assert "2 -> 3 calls" in failure
    assert 'energy_budget(max_work="50%")' in failure
    work = {test: ran.results[test].verdict.work for test in ran.results}
    assert [work[test].outcome.value for test in sorted(work)] == [
        "more work",
        "no baseline",
        "same work",
    ]
    assert all(result.verdict.interleaved is None for result in ran.results.values())


def test_with_pairs(changed: Project) -> None:
    """Beside the pairs of joules the report has the work against the ref."""
    ran = against_main(changed, "--energy", "--energy-max-time=20s", "-k", "same")
    [result] = ran.results.values()
    assert result.verdict.interleaved is not None
    assert result.verdict.work is not None
    assert result.verdict.work.outcome.value == "same work"
    assert (result.verdict.work.against or "").endswith(" (main)")


def test_bisect(changed: Project) -> None:
    """The commit with more work is found by counts alone."""
    for number, layers in enumerate((2, 3, 3)):
        changed.write("src/mypkg/__init__.py", f"{NET}\nLAYERS = {layers}\n")
        changed.write("notes.txt", str(number))
        commit(changed.path)
    first = git(changed.path, "rev-list", "--reverse", "HEAD").split()[0]
    test = "tests/test_it.py::test_forward"
    ran = commands.run(changed.path, "bisect", first, "--", test, "--energy-count-only")
    assert "+50 % work: aten.addmm" in ran.out
    assert f"found: {git(changed.path, 'rev-parse', '--short=7', 'HEAD~1').strip()}" in ran.out
