"""A small runner of GitHub Actions: the `run` steps of a file, as the real one starts them.

A step is a script in a file for `bash --noprofile --norc -eo pipefail`, or for `bash -e` where it
names no shell, with the environment files of a job. Inputs reach it through `env` alone. Steps with
`uses` are left out: there is no network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def read_yaml(path: str) -> dict[Any, Any]:
    """Return the content of a YAML file of this repository."""
    yaml = pytest.importorskip("yaml")
    content: dict[Any, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return content


class Step(NamedTuple):
    """What a step did: its exit status and output."""

    code: int
    out: str


class Job:
    """A job in a workspace; `environ` is added to the environment of its steps."""

    def __init__(self, workspace: Path, folder: Path, **environ: str) -> None:
        self.workspace = workspace
        self._folder = folder
        folder.mkdir()
        self.summary, self._outputs = folder / "summary.md", folder / "output"
        self.programs = folder / "bin"
        self.programs.mkdir()
        for path in (self.summary, self._outputs):
            path.touch()
        self.program("python", f'exec {sys.executable} "$@"')
        for place in (None, workspace / ".venv/bin"):
            self.program("pytest", f'exec {sys.executable} -m pytest "$@"', place)
        self.environ = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "-p greenops -p no:cacheprovider",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "someone/project",
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self._outputs),
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(folder),
            **environ,
        }

    def program(self, name: str, script: str, folder: Path | None = None) -> None:
        """Put a program on the path, or in a folder."""
        path = (folder or self.programs) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the steps."""
        lines = self._outputs.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def use(self, **inputs: str) -> Step:
        """Run the action with these inputs, up to the first step that fails."""
        action = read_yaml("action.yml")
        unknown = inputs.keys() - action["inputs"].keys()
        assert not unknown
        given = {name: each["default"] for name, each in action["inputs"].items()} | inputs
        said = ""
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash"
            if _holds(step.get("if"), given):
                code, out = self.run(step, {f"inputs.{name}": each for name, each in given.items()})
                said += out
                if code:
                    return Step(code, said)
        return Step(0, said)

    def run(self, step: Mapping[str, Any], context: Mapping[str, str]) -> Step:
        """Run a step; expressions of `context` are replaced in `env`, never in the script."""

        def filled(text: str) -> str:
            return EXPRESSION.sub(lambda found: context[found[1]], text)

        assert "${{" not in step["run"]
        script = self._folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        environ = {name: filled(value) for name, value in step.get("env", {}).items()}
        strict = ["--noprofile", "--norc", "-eo", "pipefail"]
        ran = subprocess.run(
            ["bash", *(strict if step.get("shell") == "bash" else ["-e"]), str(script)],
            cwd=self.workspace / filled(step.get("working-directory", ".")),
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return Step(ran.returncode, ran.stdout)


def _holds(condition: str | None, inputs: Mapping[str, str]) -> bool:
    """Return whether a condition on inputs holds: `inputs.a == 'b' && inputs.c == ''`."""
    return all(
        inputs[name.removeprefix("inputs.")] == value.strip("'")
        for name, value in _comparisons(condition or "")
    )


def _comparisons(condition: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, condition.split(" && ")):
        name, _, value = part.partition(" == ")
        yield name, value
