"""The files for CI in `ci/`, for the gate that fits a project, with what the project installs."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from pytest_greenops.first_steps.project import Project

Gate = Literal["count", "ab", "stored"]
_TEMPLATES = Path(__file__).parent / "ci"
#: The name of each template in a project; the gate is the first of its templates.
_GITHUB: dict[Gate, dict[str, str]] = {
    "count": {"github-count.yml": "energy.yml"},
    "ab": {"github-ab.yml": "energy.yml"},
    "stored": {"github-stored.yml": "energy.yml", "github-update.yml": "energy-baselines.yml"},
}
_GITLAB: dict[Gate, str] = {
    "count": "work",
    "ab": "energy-against-target",
    "stored": "energy-on-own-runner",
}
_OURS = re.compile(r"--energy(?!-skip)|/pytest-greenops@")
_EXTRAS = ("test", "tests", "testing", "dev")


class Workflow(NamedTuple):
    """A file for CI to write, and what is left to do by hand."""

    path: Path
    text: str
    left: str


def gate(project: Project, has_sensor: bool, wanted: Gate | None = None) -> Gate | None:
    """Return the wanted gate, else the one that fits; None without a git repository."""
    if project.top is None or wanted is not None:
        return wanted if project.top else None
    return "count" if project.counted else "stored" if has_sensor else "ab"


def on_gitlab(project: Project) -> bool:
    """Return whether the repository of a project is on GitLab, not on GitHub."""
    top = project.top or project.folder
    return (top / ".gitlab-ci.yml").exists() or (
        "gitlab" in project.remote and not (top / ".github").exists()
    )


def existing(project: Project) -> Path | None:
    """Return the file for CI that runs energy tests already."""
    top = project.top or project.folder
    places = (
        top.glob(".github/workflows/*.y*ml"),
        top.glob(".gitlab-ci.yml"),
        top.glob(".gitlab/**/*.y*ml"),
    )
    for place in places:
        for file in sorted(place):
            if _OURS.search(file.read_text(encoding="utf-8", errors="replace")):
                return file
    return None


def propose(project: Project, chosen: Gate) -> list[Workflow]:
    """Return the files of a gate for a project, with what its tests install.

    Raises `OSError` for a file of the project that cannot be read.
    """
    top = project.top or project.folder
    known = project.is_installable or "project" in project.pyproject or _requirements(project)
    what = _installed(project).replace(" ", " and ")
    lacking = f"It installs {what} alone: add what else the tests need." if not known else ""
    if on_gitlab(project):
        path, left = top / ".gitlab-ci.yml", lacking
        if path.exists():
            path = _free(top / ".gitlab" / "energy.yml")
            included = path.relative_to(top).as_posix()
            left = f"Include it in .gitlab-ci.yml: include: [local: {included}]. {lacking}"
        return [Workflow(path, _adapted(_gitlab_jobs(_GITLAB[chosen]), chosen, project), left)]
    return [
        Workflow(
            _free(top / ".github/workflows" / name),
            _adapted(_template(template), chosen, project),
            lacking,
        )
        for template, name in _GITHUB[chosen].items()
    ]


def _free(path: Path) -> Path:
    """Return a path at which nothing is: this one, or one with another name."""
    while os.path.lexists(path):
        path = path.with_name(f"pytest-greenops-{path.name}")
    return path


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _gitlab_jobs(job: str) -> str:
    """Return the template of GitLab with one of its jobs."""
    common, *jobs = re.split(r"\n\n(?=\S)", _template("gitlab.yml").rstrip("\n"))
    [chosen] = [each for each in jobs if each.startswith(f"{job}:")]
    return f"{common}\n\n{chosen}\n"


def _adapted(text: str, chosen: Gate, project: Project) -> str:
    """Return a template with what a project installs, its Python, its options and its folder."""
    install = r"(\S*pip) install ((?:(?:--quiet|pytest-greenops) )*)-e \.(?! -)"
    text = re.sub(install, partial(_install, project), text)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = re.sub(r'(python-version: "|image: python:)[\d.]+', rf"\g<1>{here}", text)
    if chosen != "count":  # which neither coverage nor workers disturb
        run = " ".join(["pytest --energy-only", *project.extra_options()])
        text = text.replace("pytest --energy-only", run)
    stored = json.dumps(project.configured.baselines)  # which YAML reads too
    text = text.replace("BASELINES: baselines\n", f"BASELINES: {stored}\n")
    return text if project.below == "." else _moved(text, project.below)


def _moved(text: str, below: str) -> str:
    """Return a file for CI whose commands run in a folder; uploads are named from the root."""
    defaults = f"    defaults:\n      run:\n        working-directory: {below}\n"
    for pattern, added in (
        (r"^    runs-on: .*\n", defaults),
        (r"^  before_script:\n", f"    - cd {shlex.quote(below)}\n"),
        (r"^ +(?=(?:energy\.json|junit\.xml|energy\.md|\$\{\{ env\.BASELINES \}\})$)", f"{below}/"),
        (r"(?:paths: \[|energy\.json, |junit: |codequality: )(?=[\w-]+\.)", f"{below}/"),
    ):
        text = re.sub(pattern, partial(_followed, added), text, flags=re.MULTILINE)
    return text


def _followed(added: str, found: re.Match[str]) -> str:
    """Return what was found, with more after it."""
    return found[0] + added


def _install(project: Project, found: re.Match[str]) -> str:
    """Return the command that installs a project, in place of a template's."""
    pip, options = found.groups()
    return f"{_upgrade(project, pip)}{pip} install {options}{_installed(project)}"


def _upgrade(project: Project, pip: str) -> str:
    return f"{pip} install --upgrade pip && " if "--group" in _installed(project) else ""


def _installed(project: Project) -> str:
    """Return the arguments with which pip installs a project and what its tests need."""
    about = project.pyproject.get("project", {})
    extras = about.get("optional-dependencies", {})
    extra = next((each for each in _EXTRAS if each in extras), None)
    groups = project.pyproject.get("dependency-groups", {})
    group = next((each for each in _EXTRAS if each in groups), None)
    if project.is_installable:
        if extra:
            return f"-e '.[{extra}]'"
        return f"-e . --group {group}" if group else "-e ."
    files = _requirements(project)
    needs = [*about.get("dependencies", ()), *extras.get(extra, ())]
    known = [*map(shlex.quote, needs)] or ([] if files else list(_imported(project)))
    grouped = ["--group", group] if group and not extra else []
    return " ".join([*(f"-r {each}" for each in files), "pytest", *known, *grouped])


def _imported(project: Project) -> Iterator[str]:
    """Yield what the tests are known to import, for a project that does not say what it needs."""
    if project.uses.benchmark:
        own = find_spec("pytest_codspeed") and not find_spec("pytest_benchmark")
        yield "pytest-codspeed" if own else "pytest-benchmark"
    if project.counted:
        yield "torch"


def _requirements(project: Project) -> list[str]:
    return sorted(each.name for each in project.folder.glob("*requirements*.txt"))
