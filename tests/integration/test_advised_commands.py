"""Every advised command, pasted into a shell where pytest was called, does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.projects import INI, Project, conftest

TESTS = """
    import pytest

    @pytest.mark.parametrize("text", ["a b", "$HOME"])
    def test_it(energy, work, text):
        energy(work)
"""
#: What bash and zsh take literally outside of quotes.
LITERAL = re.compile(r"(?:'[^']*'|[\w@%+=:,./-])+")


class Shell:
    """A shell above the folder of a project, with baselines elsewhere."""

    def __init__(self, folder: Path) -> None:
        outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        self._environ = {**outer, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        self._folder = folder
        self.command = f"{sys.executable} -m pytest -p greenops m --energy-baselines={folder}/other"

    def run(self, command: str, joules: float) -> subprocess.CompletedProcess[str]:
        """Run a command whose tests use these joules."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env={**self._environ, "JOULES": str(joules)},
            capture_output=True,
            text=True,
        )


def commands(output: str) -> dict[str, str]:
    """Return the labelled commands of the first red test of an output."""
    found = re.findall(r"^(find the cause|try again|accept it) +(\S.*)$", output, re.MULTILINE)
    return dict(reversed(found))


@pytest.fixture
def shell(project: Project) -> Shell:
    """Return a shell above a project with two tests that have baselines of 2 J."""
    for name, text in {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS}.items():
        project.write(f"m/{name}", text)
    for name in ("pytest.ini", "conftest.py"):
        (project.path / name).unlink()
    shell = Shell(project.path)
    for _ in range(2):
        assert shell.run(f"{shell.command} --energy-save", joules=2).returncode == 0
    return shell


def test_commands_of_a_red_test(shell: Shell) -> None:
    """They work from the folder above the project, with ids that a shell would expand."""
    red = shell.run(f"{shell.command} --energy", joules=4)
    assert red.returncode == 1, red.stdout
    advised = commands(red.stdout)
    assert advised.keys() == {"find the cause", "try again", "accept it"}
    for command in advised.values():
        assert all(LITERAL.fullmatch(word) for word in re.findall(r"(?:'[^']*'|\S)+", command))
    explained = shell.run(advised["find the cause"], joules=4)
    assert "where the joules go: test_it.py::test_it[a b]" in explained.stdout
    again = shell.run(advised["try again"], joules=4)
    assert (again.returncode, "1 failed" in again.stdout) == (1, True), again.stdout
    assert "1 baseline saved" in shell.run(advised["accept it"], joules=4).stdout
    assert "1 failed, 1 passed" in shell.run(f"{shell.command} --energy", joules=4).stdout


def test_commands_for_all_tests_and_for_runs_without_effect(shell: Shell) -> None:
    """They keep the folder that pytest was called with; an option without effect names its fix."""
    refused = shell.run(f"{shell.command} --energy-strict", joules=2)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: --energy-baselines has no effect without --energy: "
    fixed = shell.run(refused.stderr.strip().removeprefix(message), joules=2)
    assert (fixed.returncode, "2 passed" in fixed.stdout) == (0, True), fixed.stdout
    more = re.findall(r"^  (\S.* --energy-save)$", fixed.stdout, re.MULTILINE)
    assert "2 baselines saved" in shell.run(more[0], joules=2).stdout
