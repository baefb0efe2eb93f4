"""The action and the example workflows: each step runs as in CI, in a small git repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ab_projects import commit, git, repository
from tests.integration.projects import CONFTEST
from tests.integration.runner import EXPRESSION, ROOT, Job, read_yaml

EXAMPLES = sorted(each.name for each in (ROOT / "examples/ci").glob("*.yml"))
#: The joules of a call, in the project's package.
PACKAGE = "JOULES = 2.0\n"
#: Of another length: Python takes a cached module for the file if its size and second are the same.
MORE = "JOULES = 3.0  # more\n"
INI = "[pytest]\nenergy_sensors = fake\npythonpath = src\n"
TEST = """
import mypkg


def test_a(energy, spend):
    energy(spend, mypkg.JOULES)


def test_plain():
    raise AssertionError("not an energy test")
"""
IGNORED = "__pycache__/\n"
#: What acts where a value is pasted into a script, or split by a shell.
HOSTILE = "$(touch pwned) `touch pwned` ; touch pwned #\" '"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a clone of a project whose `main` uses 2 J, on a branch that uses 3 J."""
    origin, clone = tmp_path / "origin", tmp_path / "work"
    origin.mkdir()
    conftest = CONFTEST.format(arguments="noise=0.01")
    files = {"src/mypkg.py": PACKAGE, "tests/conftest.py": conftest, "tests/test_it.py": TEST}
    repository(origin, {**files, "pytest.ini": INI, ".gitignore": IGNORED})
    git(origin, "switch", "--quiet", "--create", "more")
    (origin / "src/mypkg.py").write_text(MORE, encoding="utf-8")
    commit(origin)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=more", f"file://{origin}", str(clone))
    return clone


@pytest.fixture
def job(workspace: Path, tmp_path: Path) -> Job:
    """Return a job of a pull request in this workspace."""
    return Job(workspace, tmp_path / "runner", GITHUB_BASE_REF="main")


def results(job: Job) -> dict[str, Any]:
    """Return the results of a job as JSON."""
    found: dict[str, Any] = json.loads(Path(job.outputs["json"]).read_bytes())
    return found


def test_gate_by_counted_work(job: Job) -> None:
    """`count`, the default, needs no sensor, and has all outputs."""
    code, out = job.use()
    assert code == 0, out
    assert results(job)["policy"]["count_only"]
    assert "<!-- pytest-greenops -->" in job.summary.read_text(encoding="utf-8")
    text = Path(job.outputs["markdown"]).read_text(encoding="utf-8")
    assert text == job.summary.read_text(encoding="utf-8")
    assert "<testcase" in Path(job.outputs["junit"]).read_text(encoding="utf-8")


def test_gate_against_the_base(job: Job) -> None:
    """`ab` fetches the base that a shallow checkout lacks, and fails on its line."""
    code, out = job.use(mode="ab")
    assert code == 1, out
    assert "::error file=tests/test_it.py,line=5,title=regressed%3A test_a::" in out
    assert results(job)["policy"]["ab"].endswith("(origin/main)")
    assert out.count("::error") == 1
    assert job.summary.read_text(encoding="utf-8").count("<!-- pytest-greenops -->") == 1


def test_base_that_is_not_known(job: Job) -> None:
    """`ab` outside of a pull request, without a ref, says what it needs."""
    del job.environ["GITHUB_BASE_REF"]
    code, out = job.use(mode="ab")
    assert (code, out) == (
        2,
        "::error title=pytest-greenops::mode ab needs the input ref, except on pull_request\n",
    )


def test_gate_by_stored_baselines(job: Job) -> None:
    """`stored` saves on main what a later run is compared with."""
    source = job.workspace / "src/mypkg.py"
    source.write_text(PACKAGE, encoding="utf-8")
    code, out = job.use(mode="stored", save="true")
    assert code == 0, out
    assert [*(job.workspace / "baselines").rglob("*.json")]
    source.write_text(MORE, encoding="utf-8")
    code, out = job.use(mode="stored", strict="true", args="-o energy_fresh_process=false")
    assert code == 1, out
    assert "1 regressed" in out


def test_inputs_are_data(job: Job) -> None:
    """Nothing in an input is run or expanded; arguments are split as quoted."""
    code, out = job.use(tests=f"tests/test_it.py\n{HOSTILE}\n", args="-k 'a or $(touch pwned)'")
    assert code == 4, out
    assert "file or directory not found: $(touch pwned)" in out
    job.use(mode=HOSTILE)
    code, out = job.use(mode="ab", ref=HOSTILE, setup=HOSTILE, save=HOSTILE, strict=HOSTILE)
    assert code == 4, out
    assert not [*job.workspace.rglob("pwned")]


def test_arguments_that_cannot_be_split(job: Job) -> None:
    """A quote that is not closed fails the step, and runs no tests without the arguments."""
    code, out = job.use(args="-k 'test_a")
    assert code == 1
    assert "No closing quotation" in out
    assert job.outputs == {}


def test_unknown_mode(job: Job) -> None:
    """Another mode is one line that names those there are."""
    code, out = job.use(mode="joules")
    assert code == 2
    assert out == "::error title=pytest-greenops::the input mode is count, ab or stored\n"


def test_several_tests_and_a_folder(job: Job) -> None:
    """Tests are one a line; paths are from the working directory."""
    job.use(**{"working-directory": "tests", "tests": "test_it.py::test_a\n\n"})
    assert [each["test"]["qualname"] for each in results(job)["results"]] == ["test_a"]


def test_installs_its_own_checkout(job: Job) -> None:
    """Where the package is missing, the action installs the version that it is of."""
    job.program("python", 'case "$1" in -c) exit 1;; -m) echo "$@"; exit 7;; esac')
    assert job.use() == (7, f"-m pip install --quiet {ROOT}\n")


@pytest.mark.parametrize("name", [each for each in EXAMPLES if each != "gitlab.yml"])
def test_example_uses_what_the_action_has(name: str) -> None:
    """An example gives inputs and reads outputs that exist, and pastes nothing into a script."""
    action, workflow = read_yaml("action.yml"), read_yaml(f"examples/ci/{name}")
    assert workflow[True]  # `on`, as YAML 1.1 reads it
    assert workflow["permissions"]
    text = (ROOT / "examples/ci" / name).read_text(encoding="utf-8")
    assert {*re.findall(r"greenops\.outputs\.(\w+)", text)} <= action["outputs"].keys()
    steps = [step for each in workflow["jobs"].values() for step in each["steps"]]
    [ours] = [each for each in steps if each.get("uses", "").endswith("/pytest-greenops@main")]
    assert ours["with"].keys() <= action["inputs"].keys()
    assert not any(EXPRESSION.search(step.get("run", "")) for step in steps)


def test_update_proposes_baselines(job: Job) -> None:
    """The example for main commits what the action saved, and goes on with what is proposed."""
    job.program("gh", 'echo "$@" >> "$HOME/gh"; if [ -e "$HOME/open" ]; then echo 3; fi')
    before, after = _steps("github-update.yml")
    origin = job.workspace.with_name("origin")
    for sessions in (1, 2):
        assert job.run(before, {"github.token": "secret"}).code == 0
        assert job.use(mode="stored", save="true").code == 0
        code, out = job.run(after, {"github.token": "secret"})
        assert code == 0, out
        Path(job.environ["HOME"], "open").touch()
        git(job.workspace, "switch", "--quiet", "more")
        [path] = git(origin, "show", "--format=", "--name-only", "energy-baselines").split()
        stored = json.loads(git(origin, "show", f"energy-baselines:{path}"))
        assert len(stored["measurements"]["call"]["sessions"]) == sessions
    said = Path(job.environ["HOME"], "gh").read_text(encoding="utf-8").splitlines()
    assert [line for line in said if "create" in line] == [
        "pr create --head energy-baselines --fill"
    ]


def test_comment_of_a_pull_request(job: Job) -> None:
    """The example for counted work hands the Markdown of the action to a comment."""
    job.program("gh", 'echo "$@"')
    (step,) = _steps("github-count.yml")
    known = {"github.token": "secret", "github.event.number": "12"}
    known["steps.greenops.outputs.markdown"] = "/tmp/a b.md"
    assert job.run(step, known).out == (
        "pr comment 12 --edit-last --create-if-none --body-file /tmp/a b.md\n"
    )


@pytest.mark.parametrize("name", ["work-against-target", "energy-on-own-runner"])
def test_gitlab(job: Job, name: str) -> None:
    """The template of GitLab writes JUnit and code quality at the places that it uploads."""
    template = read_yaml("examples/ci/gitlab.yml")
    base = template[".energy"]
    target = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "more"}
    energy = template[name]["variables"]["ENERGY"]
    for variable, value in target.items():
        energy = energy.replace(f"${variable}", value)
    job.environ["ENERGY"] = energy
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        del job.environ[variable]
    code, out = job.run({"run": "\n".join(base["script"])}, {})
    assert code == (1 if name == "energy-on-own-runner" else 0), out
    for kind, file in base["artifacts"]["reports"].items():
        assert (job.workspace / file).stat().st_size, kind
    found = json.loads((job.workspace / "gl-code-quality-report.json").read_bytes())
    paths = [each["location"]["path"] for each in found]
    assert paths == (["tests/test_it.py"] if code else [])


def _steps(name: str) -> list[Any]:
    """Return the scripts of an example, without the installation."""
    [one] = read_yaml(f"examples/ci/{name}")["jobs"].values()
    return [each for each in one["steps"] if "run" in each and "pip install" not in each["run"]]
