"""What a release would publish: the wheel, the source distribution, and the changelog."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_greenops import __version__
from tests.integration.runner import read_yaml
from tests.test_docs import CONFTEST, ROOT, projects

#: Where the release workflow finds what was built and checked.
DIST = ROOT / "build" / "dist"
#: What else runs on this machine does not keep a result from being saved.
UNDISTURBED = """
from pytest_greenops import machine
from pytest_greenops.measure.observer import NoLoad

machine.LoadProbe = NoLoad
"""
TOOLS = ("build", "check_wheel_contents", "towncrier", "twine")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, TOOLS)), reason="needs the tools of `make release-check`"
)


def run(*command: object, folder: Path = ROOT, path: str = "") -> str:
    """Run a program that succeeds, with a folder first in PATH, and return its standard output."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ = {**outer, "PYTHONPATH": "", "PATH": f"{path}:{outer['PATH']}".lstrip(":")}
    words = [str(word) for word in command]
    ran = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel() -> Path:
    """Build both anew, the wheel from the source distribution, and return the wheel."""
    for file in DIST.glob("*"):
        file.unlink()
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    [built] = DIST.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def source(wheel: Path) -> Path:
    """Return the source distribution."""
    [built] = DIST.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def in_git() -> set[str]:
    """Return the files that git has."""
    return set(run("git", "ls-files").splitlines())


def metadata(wheel: Path) -> str:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode()


def test_pypi_would_take_both(wheel: Path, source: Path) -> None:
    """Their metadata are complete, and the README renders."""
    said = run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    assert said.count("PASSED") == 2
    named = HeaderParser().parsestr(metadata(wheel))
    assert named["Version"] == __version__
    assert (named["License-Expression"], named["License-File"]) == ("Apache-2.0", "LICENSE")


def test_pypi_shows_no_link_that_leads_nowhere(wheel: Path) -> None:
    """Every link and picture of the README has an address of its own there."""
    page = metadata(wheel)
    assert "## A first budget" in page
    assert [link for link in re.findall(r"\]\(([^)]+)\)", page) if "://" not in link] == []


def test_the_wheel_has_the_package_alone(wheel: Path, in_git: set[str]) -> None:
    """It has each file of the package that git has, and nothing beside its metadata."""
    run(sys.executable, "-m", "check_wheel_contents", wheel)
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == {name for name in in_git if name.startswith("pytest_greenops/")}


def test_the_source_has_what_git_has(source: Path, in_git: set[str]) -> None:
    """It has all that tests and documentation need, nothing of CI, and nothing that was built."""
    with tarfile.open(source) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert files - in_git == {"PKG-INFO"}
    assert {name.partition("/")[0] for name in in_git - files} <= {
        *(".ci", ".github", ".pre-commit-config.yaml", "baselines", "changelog.d")
    }


def test_the_wheel_alone_runs_the_first_budget(wheel: Path, tmp_path: Path) -> None:
    """In an environment with nothing else, the example is run, accepted and compared."""
    venv.create(tmp_path / "environment", with_pip=True)
    programs = tmp_path / "environment" / "bin"
    pinned = ("--quiet", "--constraint", ROOT / "constraints.txt")
    run(programs / "python", "-m", "pip", "install", *pinned, wheel)
    first, *_ = projects(ROOT / "docs" / "first-budget.md")
    for name, text in {"pytest.ini": "[pytest]\n", **first}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def example(*command: str) -> str:
        return run(*command, folder=tmp_path, path=str(programs))

    plain = example("pytest").splitlines()
    assert "energy: 1 budget not enforced; measure it: pytest --energy" in plain
    assert "energy: 1 measured, " in example("pytest", "--energy", "--energy-max-time=5s")
    (tmp_path / "conftest.py").write_text(CONFTEST + UNDISTURBED, encoding="utf-8")
    example("pytest", "--energy-save")
    assert [file.name for file in (tmp_path / "baselines").rglob("*.json")] == ["test_encode.json"]
    assert "energy: 1 measured, 1 compared: " in example("pytest", "--energy")
    assert "test_encode" in example("pytest-greenops", "show")


def test_the_changelog_of_a_release_has_every_fragment() -> None:
    """New features come first, then changes and fixes, each fragment as the list that it is."""
    fragments = sorted((ROOT / "changelog.d").glob("*.md"))
    drafted = run(sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9")
    texts = {path.name: path.read_text(encoding="utf-8").strip() for path in fragments}
    headings = {"feature": "New", "change": "Changed", "fix": "Fixed"}
    kinds = {name.split(".")[1] for name in texts}
    expected = [f"### {heading}" for kind, heading in headings.items() if kind in kinds]
    assert re.findall(r"^### .+$", drafted, re.MULTILINE) == expected
    assert [name for name, text in texts.items() if text not in drafted] == []
    lines = [(name, line) for name, text in texts.items() for line in text.splitlines()]
    assert [(name, line) for name, line in lines if not line.startswith(("* ", "  "))] == []


def test_the_citation_names_the_version() -> None:
    """A citation is of the version that is built."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]


def test_workflows_may_no_more_than_they_need() -> None:
    """Actions are pinned by commit; only jobs that publish get a token, and none gets a secret."""
    with_token = set()
    for file in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"uses: (?![\w./-]+@[0-9a-f]{40} # v).*", text) == []
        assert "{{ secrets" not in text
        workflow = read_yaml(str(file.relative_to(ROOT)))
        for name, job in workflow["jobs"].items():
            rights = job.get("permissions", workflow["permissions"])
            if "id-token" in rights:
                with_token.add((file.name, name, job["environment"]["name"]))
    assert with_token == {
        ("docs.yml", "publish", "github-pages"),
        ("release.yml", "publish", "pypi"),
    }
