"""`pytest-greenops init`, in projects of different shape."""

from __future__ import annotations

import os
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.integration import forked_python
from tests.integration.ab_projects import commit, git, repository
from tests.integration.commands import run
from tests.integration.forked_python import Finished
from tests.integration.projects import conftest
from tests.integration.runner import read_yaml

ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p greenops"}
#: The code of a project, which uses 2 J in the sensor of its conftest.
CODE = """
import random

from conftest import SENSOR


def encode():
    SENSOR.spend(random.SystemRandom().gauss(2.0, 0.02))
"""
#: What a test says whose call uses 3 J in place of 2 J.
RED = re.compile(r"EnergyRegression: call used 1[45]\d(\.\d)? \u00b5J/item, .*[( ]\+[45]\d %")
PLAIN = {"calc.py": "def double(x): return 2 * x\n", "test_calc.py": "def test_it(): pass\n"}
BENCHMARK = "def test_b(benchmark): benchmark(len, 'ab')\n"
PYPROJECT = """
[project]
name = "mypkg"
version = "1"  # the first
optional-dependencies.test = ["pytest-cov"]

# How we test.
[tool.pytest.ini_options]
addopts = "--cov=mypkg -n 4"  # all of it
testpaths = ["checks"]
python_files = ["check_*.py"]
"""
SRC = {
    "pyproject.toml": PYPROJECT,
    "src/mypkg/__init__.py": "",
    "checks/check_it.py": "def test_it(): pass\n",
}


def fill(folder: Path, files: dict[str, str], in_git: bool = True) -> Path:
    """Write the files of a project, in a git repository or without one."""
    folder.mkdir(exist_ok=True)
    if in_git:
        repository(folder, files)
        return folder
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def init(folder: Path, *arguments: str, **environ: str) -> Finished:
    """Run the command in a folder."""
    return run(folder, "init", *arguments, **{**ALONE, "COLUMNS": "80", **environ})


def written(folder: Path) -> set[str]:
    """Return the files that git does not know."""
    return {*git(folder, "ls-files", "--others", "--exclude=__pycache__").split()}


def measure(folder: Path, command: str) -> Finished:
    """Run pytest as advised."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "GITHUB"))}
    return forked_python.run(
        "pytest", *command.split()[1:], environ={**environ, **ALONE}, folder=folder
    )


def test_its_test_has_the_blank_lines_of_a_formatter(tmp_path: Path) -> None:
    """Two before a function, with and without a line for the project's own import."""
    for files in ({"test_calc.py": ""}, PLAIN):
        folder = fill(tmp_path / f"calc{len(files)}", files)
        init(folder, "--write", "test")
        text = (folder / "test_energy.py").read_text(encoding="utf-8")
        assert "\n\n\ndef work(" in text
        assert "\n\n\n\n" not in text


def test_writes_nothing_without_being_asked(tmp_path: Path) -> None:
    """The three lines are printed, and each file as it would be written."""
    folder = fill(tmp_path / "calc", PLAIN)
    ran = init(folder)
    assert (ran.code, ran.err, written(folder)) == (0, "", set())
    assert [line.split()[0] for line in ran.lines if re.match(r"\w+  +\w", line)] == [
        *("joules", "work", "gate")
    ]
    assert [line.strip("─ ") for line in ran.lines if line.startswith("──")] == [
        *("ini: write pytest.ini", "test: write test_energy.py"),
        "workflow: write .github/workflows/energy.yml",
    ]
    assert ran.out.endswith("  pytest-greenops init --write all\n")
    asked = init(folder, "--write", "all")
    assert asked.code == 0
    for name in written(folder):
        assert (folder / name).read_text(encoding="utf-8").rstrip("\n") in ran.out, name


def own_code(folder: Path) -> None:
    """Put a call of the project's code into the test, as a user does."""
    test = folder / "test_energy.py"
    text = test.read_text(encoding="utf-8").replace(
        "# from calc import ...", "from calc import encode"
    )
    test.write_text(text.replace("    return sorted(", "    encode()\n    return sorted("))


def advised(ran: Finished) -> list[str]:
    """Return the commands of pytest that a run printed."""
    return [line.strip() for line in ran.lines if line.startswith("  pytest ")]


def test_up_to_the_first_failing_budget(tmp_path: Path) -> None:
    """Without git its test is saved and compared: with the user's code it fails on an increase."""
    files = {"calc.py": CODE, "conftest.py": conftest()}
    folder = fill(tmp_path / "calc", files, in_git=False)
    asked = init(folder, "--write", "all")
    assert advised(asked) == [
        "pytest --energy-only --energy-save",
        "pytest --energy-only --energy --energy-estimates=fail",
    ]
    save, judge = advised(asked)
    plain = measure(folder, "pytest -p no:cacheprovider")
    assert "energy: 1 budget not enforced; measure it: " in plain.out
    own_code(folder)
    assert "energy: 1 baseline saved" in measure(folder, save).lines
    assert measure(folder, judge).code == 0
    (folder / "calc.py").write_text(CODE.replace("2.0", "3.00"), encoding="utf-8")
    red = measure(folder, judge)
    assert red.code == 1
    assert RED.search(red.out)


def test_up_to_the_first_failing_comparison(tmp_path: Path) -> None:
    """In git the commit is the baseline: the advised A/B run fails on an increase."""
    files = {"calc.py": CODE, "conftest.py": conftest(), ".gitignore": "__pycache__/\n"}
    folder = fill(tmp_path / "calc", files)
    asked = init(folder, "--write", "all")
    assert advised(asked) == [
        "pytest --energy-only --energy",
        "pytest --energy-only --energy --energy-estimates=fail --energy-ab=HEAD",
    ]
    assert "Commit these files: A/B compares with a commit." in asked.lines
    first, judge = advised(asked)
    own_code(folder)
    assert measure(folder, first).code == 0
    commit(folder)
    (folder / "calc.py").write_text(CODE.replace("2.0", "3.00"), encoding="utf-8")
    red = measure(folder, judge)
    assert red.code == 1
    assert RED.search(red.out)


def test_its_test_runs_with_the_sensors_of_this_machine(tmp_path: Path) -> None:
    """As it stands, it passes measured."""
    folder = fill(tmp_path / "calc", {**PLAIN, "test_calc.py": ""})
    init(folder, "--write", "test")
    ran = measure(folder, "pytest --energy")
    assert (ran.code, "1 passed in" in ran.out) == (0, True), ran.out
    assert "energy: 1 measured, " in ran.out


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """What is there is said to be there, and no file is written again."""
    folder = fill(tmp_path / "calc", PLAIN)
    init(folder, "--write", "all")
    before = {name: (folder / name).read_bytes() for name in written(folder)}
    assert before.keys() == {"pytest.ini", "test_energy.py", ".github/workflows/energy.yml"}
    for arguments in ([], ["--write", "all"]):
        again = init(folder, *arguments)
        assert (again.code, again.err) == (0, "")
        assert "pytest.ini needs no further line" in again.out
        assert "test_energy.py has an energy test already" in again.out
        assert ".github/workflows/energy.yml runs energy tests already" in again.out
    assert before == {name: (folder / name).read_bytes() for name in written(folder)}


def test_one_part(tmp_path: Path) -> None:
    """`--write` names one part, and may be repeated; the others are named in a line each."""
    folder = fill(tmp_path / "calc", PLAIN)
    ran = init(folder, "--write", "test")
    assert written(folder) == {"test_energy.py"}
    assert "ini       not written: pytest.ini (--write ini)" in ran.lines
    init(folder, "--write", "ini", "--write", "workflow")
    assert written(folder) == {"pytest.ini", "test_energy.py", ".github/workflows/energy.yml"}


def test_a_project_with_a_configuration(tmp_path: Path) -> None:
    """Its folder and names of tests, its extra for tests and its options are respected."""
    folder = fill(tmp_path / "mypkg", SRC)
    plugins = "-p greenops -p pytest_cov -p xdist.plugin"
    ran = init(folder, "--write", "all", PYTEST_ADDOPTS=plugins)
    assert ran.code == 0, ran.err
    assert written(folder) == {"checks/check_energy.py", ".github/workflows/energy.yml"}
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert text == PYPROJECT.replace("options]\n", 'options]\nenergy_max_increase = "5%"\n')
    assert "  pytest --energy-only --no-cov -n0 --energy" in ran.lines
    *_, install, ours = workflow(folder)["jobs"]["energy"]["steps"]
    assert install == {"run": "pip install pytest-greenops -e '.[test]'"}
    assert ours["run"].startswith("pytest --energy-only --no-cov -n0 --energy --energy-ab=")


def workflow(folder: Path, name: str = ".github/workflows/energy.yml") -> dict[str, Any]:
    """Return the content of a workflow."""
    return read_yaml(str(folder / name))


def test_gates_of_a_project(tmp_path: Path) -> None:
    """Torch has the gate by counted work; a wanted gate has its files, two where it saves too."""
    files = {**PLAIN, "requirements.txt": "torch\n", "net.py": "import json, torch\n"}
    counted = fill(tmp_path / "net", files)
    ran = init(counted, "--write", "workflow")
    assert "gate      counted work: needs no sensor, and is the same on any runner" in ran.lines
    *_, install, ours, _comment = workflow(counted)["jobs"]["work"]["steps"]
    assert install == {"run": "pip install pytest-greenops -r requirements.txt pytest"}
    assert ours["run"].startswith("pytest --energy-only --energy-count-only")
    stored = fill(tmp_path / "calc", PLAIN)
    init(stored, "--gate", "stored", "--write", "workflow")
    assert written(stored) == {f".github/workflows/energy{each}.yml" for each in ("", "-baselines")}


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        ({}, "'net>=2' pytest-xdist"),
        ({"net/__init__.py": ""}, "-e '.[test]'"),
        ({"src/net/__init__.py": ""}, "-e '.[test]'"),
        ({"setup.py": ""}, "-e '.[test]'"),
    ],
)
def test_modules_without_a_package(tmp_path: Path, files: dict[str, str], installed: str) -> None:
    """pip builds no folder of several modules: what they need is installed in its place."""
    about = '[project]\nname = "calc"\nversion = "1"\ndependencies = ["net>=2"]\n'
    about += 'optional-dependencies.test = ["pytest-xdist"]\n'
    folder = fill(tmp_path / "calc", {**PLAIN, **files, "pyproject.toml": about})
    init(folder, "--write", "workflow")
    *_, install, _ours = workflow(folder)["jobs"]["energy"]["steps"]
    before = "pytest " if not files else ""
    assert install == {"run": f"pip install pytest-greenops {before}{installed}"}


def test_gitlab(tmp_path: Path) -> None:
    """On GitLab the file has the job of the gate, and the line that includes it is printed."""
    folder = fill(tmp_path / "calc", {**PLAIN, ".gitlab-ci.yml": "stages: [test]\n"})
    ran = init(folder, "--write", "workflow")
    assert written(folder) == {".gitlab/energy.yml"}
    assert "include: [local: .gitlab/energy.yml]" in " ".join(ran.out.split())
    assert workflow(folder, ".gitlab/energy.yml").keys() == {".energy", "energy-against-target"}


def test_project_below_the_root_of_its_repository(tmp_path: Path) -> None:
    """Its workflow is written at the root, and works in the folder of the project."""
    fill(tmp_path, {f"part/{name}": text for name, text in PLAIN.items()})
    ran = init(tmp_path / "part", "--write", "workflow")
    assert ran.code == 0, ran.err
    assert written(tmp_path) == {".github/workflows/energy.yml"}
    job = workflow(tmp_path)["jobs"]["energy"]
    assert job["defaults"] == {"run": {"working-directory": "part"}}
    gitlab = fill(tmp_path / "gitlab", {f"my part/{name}": "" for name in PLAIN})
    git(gitlab, "remote", "add", "origin", "https://gitlab.com/a/b.git")
    init(gitlab / "my part", "--gate", "stored", "--write", "workflow")
    common = workflow(gitlab, ".gitlab-ci.yml")[".energy"]
    assert common["before_script"][0] == "cd 'my part'"
    assert common["artifacts"] == {
        "when": "always",
        "paths": ["my part/energy.json", "my part/energy.md"],
        "reports": {
            "junit": "my part/junit.xml",
            "codequality": "my part/gl-code-quality-report.json",
        },
    }


def test_configured_folder_of_baselines(tmp_path: Path) -> None:
    """Commands and workflows name the folder that the configuration names, also below a root."""
    ini = "[pytest]\nenergy_baselines = the levels\n"
    files = {**PLAIN, "pytest.ini": ini, "net.py": "import torch\n"}
    counted = fill(tmp_path / "counted", files)
    assert "git add 'the levels'" in init(counted, "--write", "all").out
    stored = fill(tmp_path / "stored", {f"part/{name}": text for name, text in files.items()})
    init(stored / "part", "--gate", "stored", "--write", "workflow")
    update = workflow(stored, ".github/workflows/energy-baselines.yml")
    assert update["env"]["BASELINES"] == "the levels"
    save, propose = update["jobs"].values()
    assert save["steps"][-1]["with"]["path"].split("\n")[:2] == [
        "part/${{ env.BASELINES }}",
        "part/energy.md",
    ]
    for job in (save, propose):
        assert job["defaults"] == {"run": {"working-directory": "part"}}


def test_benchmarks(tmp_path: Path) -> None:
    """A suite for pytest-benchmark needs an ini line, and no test of ours."""
    files = {"test_b.py": BENCHMARK}
    folder = fill(tmp_path / "bench", files, in_git=False)
    ran = init(folder, "--write", "all")
    assert "workflow  none without a git repository" in ran.lines
    ini = (folder / "pytest.ini").read_text(encoding="utf-8")
    assert ini == "[pytest]\nenergy_max_increase = 5%\nenergy_benchmarks = true\n"
    assert not (folder / "test_energy.py").exists()


def test_a_repository_that_git_cannot_read(tmp_path: Path) -> None:
    """It is not taken for no repository: the line on the gate says what git says."""
    folder = fill(tmp_path / "calc", {**PLAIN, ".git": "gitdir: nowhere\n"}, in_git=False)
    ran = init(folder)
    said = " ".join(ran.out.split())
    assert "gate none yet: git cannot read this repository (git rev-parse: not a git" in said
    assert ran.code == 0


def test_a_pipe_is_no_code(tmp_path: Path) -> None:
    """A pipe whose name ends in .py keeps nothing waiting."""
    folder = fill(tmp_path / "calc", PLAIN)
    os.mkfifo(folder / "a.py")
    assert init(folder).code == 0


def test_pytest_without_this_plugin(tmp_path: Path) -> None:
    """It is one line that names the fix of each reason."""
    ran = init(fill(tmp_path / "calc", PLAIN), PYTEST_ADDOPTS="")
    assert (ran.code, ran.err) == (
        2,
        "pytest-greenops: pytest cannot be configured: it does not load pytest-greenops: add "
        "-p greenops to PYTEST_ADDOPTS, or remove -p no:greenops from addopts\n",
    )


def test_never_overwrites(tmp_path: Path) -> None:
    """Where its names are taken by other files it takes others."""
    taken = {"other/test_energy.py": "", ".github/workflows/energy.yml": "on: push\n"}
    folder = fill(tmp_path / "calc", {**PLAIN, **taken})
    init(folder, "--write", "all")
    assert git(folder, "diff", "--stat") == ""
    assert written(folder) == {
        *("pytest.ini", "test_energy_budget.py"),
        ".github/workflows/pytest-greenops-energy.yml",
    }


def test_never_overwrites_where_all_its_names_are_taken(tmp_path: Path) -> None:
    """It takes further names, that pytest collects."""
    names = ("test_energy", "test_energy_budget", "test_first_energy", "energy_test")
    workflows = {f".github/workflows/{each}energy.yml": "" for each in ("", "pytest-greenops-")}
    folder = fill(tmp_path / "calc", {**{f"{name}.py": "" for name in names}, **workflows})
    assert init(folder, "--write", "all").code == 0
    assert git(folder, "diff", "--stat") == ""
    assert written(folder) == {
        *("pytest.ini", "test_energy_2.py"),
        ".github/workflows/pytest-greenops-pytest-greenops-energy.yml",
    }


def test_pytest_collects_no_new_file(tmp_path: Path) -> None:
    """Where `python_files` is one name, no test is written that would never run."""
    files = {"pytest.ini": "[pytest]\npython_files = tests.py\n", "tests.py": ""}
    folder = fill(tmp_path / "calc", files)
    ran = init(folder, "--write", "all")
    assert ran.code == 0
    assert "test      none: pytest collects only tests.py here. " in ran.out
    assert written(folder) == {".github/workflows/energy.yml"}


def test_setup_cfg_builds_as_before(tmp_path: Path) -> None:
    """It gets no percent sign, with which setuptools would build nothing."""
    files = {"setup.cfg": "[tool:pytest]\nxfail_strict = true\n", "test_b.py": BENCHMARK}
    folder = fill(tmp_path / "calc", files)
    assert init(folder, "--write", "ini").code == 0
    parser = ConfigParser()
    parser.read(folder / "setup.cfg")
    assert dict(parser["tool:pytest"]) == {"energy_benchmarks": "true", "xfail_strict": "true"}


def test_an_ini_file_that_it_cannot_change(tmp_path: Path) -> None:
    """It prints the line and its place, says so on stderr, and leaves the file as it is."""
    text = 'tool.pytest.ini_options.addopts = "-q"\n'
    folder = fill(tmp_path / "calc", {**PLAIN, "pyproject.toml": text})
    ran = init(folder, "--write", "all")
    assert ran.code == 2
    place = "paste into pyproject.toml, below [tool.pytest.ini_options]"
    assert f"── ini: {place} ─" in ran.out
    assert 'energy_max_increase = "5%"' in ran.lines
    assert ran.err == (
        f"pytest-greenops: {folder}/pyproject.toml: not changed, as it cannot be done safely: "
        f"{place}\n"
    )
    assert (folder / "pyproject.toml").read_text(encoding="utf-8") == text
    assert "test_energy.py" in written(folder)


def test_a_folder_without_write_access(tmp_path: Path) -> None:
    """It is one line with the command that allows it; nothing is left behind."""
    folder = fill(tmp_path / "calc", PLAIN)
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        ran = init(folder, "--write", "test")
    finally:
        folder.chmod(0o755)
    assert (ran.code, written(folder)) == (2, set())
    assert ran.err == (
        f"pytest-greenops: {folder}/test_energy.py: cannot be written (Permission denied): "
        f"allow it: chmod u+w {folder}\n"
    )


@pytest.mark.parametrize(
    ("files", "problem", "fix"),
    [
        ({}, "HERE: no project here: ", "cd to the root folder of your project"),
        (
            {"pyproject.toml": "[project\n"},
            "HERE/pyproject.toml: invalid TOML: ",
            "correct that line first",
        ),
        (
            {"pytest.ini": "addopts = -q\n"},
            "pytest cannot be configured: HERE/pytest.ini:1: ",
            "no section header defined",
        ),
        (
            {"a.py": "", "../pytest.ini": "[pytest]\n"},
            "HERE: pytest is configured in ABOVE/pytest.ini, so the project is there: ",
            "cd ..",
        ),
        (
            {"a.py": "", ".github": "a file"},
            "HERE/.github/workflows/energy.yml: cannot be written (Not a directory): ",
            "move it away: mv HERE/.github DIR",
        ),
    ],
)
def test_mistakes(tmp_path: Path, files: dict[str, str], problem: str, fix: str) -> None:
    """Each is one line that names the file or folder and the fix."""
    folder = tmp_path / "folder"
    fill(folder, files, in_git=False)
    if ".github" in files:
        git(folder, "init", "--quiet")
    ran = init(folder, "--write", "workflow")
    assert ran.code == 2
    [line] = ran.err.splitlines()
    line = line.replace(str(folder), "HERE").replace(str(tmp_path), "ABOVE")
    assert line.startswith(f"pytest-greenops: {problem}")
    assert line.endswith(fix)
