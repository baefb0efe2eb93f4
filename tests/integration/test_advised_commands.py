"""Every advised command, pasted into a shell where pytest was called, does what it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration import forked_python
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
        self.command = f"pytest -p greenops m --energy-baselines={folder}/other"

    def run(self, command: str, joules: float) -> forked_python.Finished:
        """Run a command, as bash reads it; its tests use these joules."""
        read = ["bash", "-c", f"printf '%s\\0' {command}"]
        printed = subprocess.run(read, cwd=self._folder, capture_output=True, text=True, check=True)
        program, *arguments = printed.stdout.split("\0")[:-1]
        assert program == "pytest"
        environ = {**self._environ, "JOULES": str(joules)}
        return forked_python.run("pytest", *arguments, environ=environ, folder=self._folder)


def commands(output: str) -> dict[str, str]:
    """Return the labelled commands of the first red test of an output."""
    found = re.findall(r"^(find the cause|try again|accept it) +(\S.*)$", output, re.MULTILINE)
    return dict(reversed(found))


@pytest.fixture
def shell(project: Project) -> Shell:
    """Return a shell above a project with two tests."""
    ini = f"{INI}energy_fresh_process = false\n"
    for name, text in {"pytest.ini": ini, "conftest.py": conftest(), "test_it.py": TESTS}.items():
        project.write(f"m/{name}", text)
    for name in ("pytest.ini", "conftest.py"):
        (project.path / name).unlink()
    return Shell(project.path)


def test_commands_do_what_they_say(shell: Shell) -> None:
    """They work from the folder above the project, with ids that a shell would expand."""
    assert shell.run(f"{shell.command} --energy-save", joules=2).code == 0
    refused = shell.run(f"{shell.command} --energy-strict", joules=2)
    assert refused.code == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: --energy-baselines has no effect without --energy: "
    fixed = shell.run(refused.err.strip().removeprefix(message), joules=2)
    assert (fixed.code, "2 passed" in fixed.out) == (0, True), fixed.out
    more = re.findall(r"^  (\S.* --energy-save)$", fixed.out, re.MULTILINE)
    assert "2 baselines saved" in shell.run(more[0], joules=2).out

    red = shell.run(f"{shell.command} --energy", joules=4)
    assert red.code == 1, red.out
    advised = commands(red.out)
    assert advised.keys() == {"find the cause", "try again", "accept it"}
    for command in advised.values():
        assert all(LITERAL.fullmatch(word) for word in re.findall(r"(?:'[^']*'|\S)+", command))
    explained = shell.run(advised["find the cause"], joules=4)
    assert "where the joules go: test_it.py::test_it[a b]" in explained.out
    again = shell.run(advised["try again"], joules=4)
    assert (again.code, "1 failed" in again.out) == (1, True), again.out
    assert "1 baseline saved" in shell.run(advised["accept it"], joules=4).out
    assert "1 failed, 1 passed" in shell.run(f"{shell.command} --energy", joules=4).out
