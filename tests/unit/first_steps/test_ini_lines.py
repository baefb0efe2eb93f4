"""Lines that are added to the file that configures pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.bisection.pytest_config import Configured
from pytest_greenops.first_steps import ini_lines
from pytest_greenops.first_steps.project import Project, Uses, parsed_toml


def project(folder: Path, name: str, text: str | bytes, **configured: Any) -> Project:
    """Return a project that is configured in this file; it uses the fixture `benchmark`."""
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    given: dict[str, Any] = {
        **{"tests": None, "setup": None, "python_files": ["test_*.py"], "testpaths": []},
        **{"addopts": [], "benchmarks": False, "max_increase": None},
        "inifile": str(folder / name),
    }
    about = parsed_toml(data.decode()) if name == "pyproject.toml" else {}
    uses = Uses(None, None, "test_b.py", frozenset({"test_b.py"}))
    return Project(folder, Configured(**given | configured), about, uses, None)


INI = "energy_max_increase = 5%\nenergy_benchmarks = true\n"
TOML = 'energy_max_increase = "5%"\nenergy_benchmarks = true\n'


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pytest.ini", "", f"[pytest]\n{INI}"),
        (
            "pytest.ini",
            "# ours\n[pytest]  # of pytest\naddopts =\n    -ra  ; all\n",
            f"# ours\n[pytest]  # of pytest\n{INI}addopts =\n    -ra  ; all\n",
        ),
        ("tox.ini", "[tox]\nenvlist = py\n\n[pytest]", f"[tox]\nenvlist = py\n\n[pytest]\n{INI}"),
        (
            "setup.cfg",
            "[metadata]\nname = a\n[tool:pytest]\nxfail_strict = 1\n",
            "[metadata]\nname = a\n[tool:pytest]\nenergy_benchmarks = true\nxfail_strict = 1\n",
        ),
        (
            "pyproject.toml",
            '[project]\nname = "a"  # ours',
            f'[project]\nname = "a"  # ours\n\n[tool.pytest.ini_options]\n{TOML}',
        ),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options] # why\r\naddopts = [\r\n  "-ra", # all\r\n]\r\n',
            "[tool.pytest.ini_options] # why\r\n"
            + TOML.replace("\n", "\r\n")
            + 'addopts = [\r\n  "-ra", # all\r\n]\r\n',
        ),
        (
            "pyproject.toml",
            '[tool.pytest]\naddopts = ["-ra"]\n',
            f'[tool.pytest]\n{TOML}addopts = ["-ra"]\n',
        ),
        ("pytest.toml", '[pytest]\naddopts = ["-ra"]\n', f'[pytest]\n{TOML}addopts = ["-ra"]\n'),
    ],
)
def test_all_else_stays(tmp_path: Path, name: str, before: str, after: str) -> None:
    """Lines are added to the section of pytest; comments, order and line ends stay."""
    found = ini_lines.propose(project(tmp_path, name, before))
    assert found.text == after


@pytest.mark.parametrize(
    ("name", "text", "section"),
    [
        ("pyproject.toml", 'tool.pytest.ini_options.addopts = "-ra"\n', "tool.pytest.ini_options"),
        ("pyproject.toml", 'tool = {pytest = {addopts = ["-ra"]}}\n', "tool.pytest"),
        ("pyproject.toml", '["tool"."pytest".ini_options]\nx = "y"\n', "tool.pytest.ini_options"),
        ("pytest.ini", b"[pytest]\n# \xfcber uns\n", "pytest"),
    ],
)
def test_what_cannot_be_changed_safely(
    tmp_path: Path, name: str, text: str | bytes, section: str
) -> None:
    """A file in another notation is left alone: the lines and their section are known."""
    found = ini_lines.propose(project(tmp_path, name, text))
    assert (found.text, found.section, len(found.lines)) == (None, section, 2)


def test_only_what_is_missing(tmp_path: Path) -> None:
    """A line is proposed only where the file does not configure its option."""
    ours = project(tmp_path, "pytest.ini", "[pytest]\n", max_increase="3%")
    assert ini_lines.propose(ours).lines == ("energy_benchmarks = true",)
    ours = project(tmp_path, "pytest.ini", "[pytest]\n", max_increase="3%", benchmarks=True)
    assert ini_lines.propose(ours).lines == ()
