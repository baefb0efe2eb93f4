"""The action and the example workflows: each step runs as in CI, in a small git repository."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ab_projects import commit, git, repository
from tests.integration.projects import CONFTEST
from tests.integration.runner import EXPRESSION, ROOT, Job, read_yaml

CI = "pytest_greenops/first_steps/ci"
EXAMPLES = sorted(each.name for each in (ROOT / CI).glob("*.yml"))
WORKFLOWS = [name for name in EXAMPLES if name.startswith("github-")]
#: What the token may do beyond reading the repository.
RIGHTS = {
    "github-count.yml": {"contents": "read", "pull-requests": "write"},
    "github-update.yml": {"contents": "read", "pull-requests": "read"},
}
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
IGNORED = "__pycache__/\n.venv/\nenergy.md\n"
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
    for inputs in ({"mode": HOSTILE}, {"save": HOSTILE}, {"strict": HOSTILE}):
        assert job.use(**inputs).code == 2
    code, out = job.use(mode="ab", ref=HOSTILE, setup=HOSTILE)
    assert code == 4, out
    assert not [*job.workspace.rglob("pwned")]


def test_arguments_that_cannot_be_split(job: Job) -> None:
    """A quote that is not closed fails the step, and runs no tests without the arguments."""
    code, out = job.use(args="-k 'test_a")
    assert code == 1
    assert "No closing quotation" in out
    assert job.outputs == {}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"mode": "joules"}, "the input mode is count, ab or stored"),
        ({"strict": "yes"}, "the inputs save and strict are true or false"),
        ({"save": "True"}, "the inputs save and strict are true or false"),
    ],
)
def test_unknown_input(job: Job, inputs: dict[str, str], said: str) -> None:
    """Another value is one line that names those there are: no gate is less strict than asked."""
    assert job.use(**inputs) == (2, f"::error title=pytest-greenops::{said}\n")


def test_inputs_that_exclude_each_other(job: Job) -> None:
    """To save and to compare with a commit is pytest's error, and saves nothing."""
    code, out = job.use(mode="ab", save="true")
    assert code == 4
    assert "--energy-ab compares, --energy-save accepts: use one of them" in out
    assert not (job.workspace / "baselines").exists()


def test_base_in_another_folder(job: Job) -> None:
    """A checkout below the workspace is where the base is fetched."""
    inside, outside = job.workspace, job.workspace.with_name("outside")
    outside.mkdir()
    job.workspace = outside
    job.environ["GITHUB_WORKSPACE"] = str(outside)
    inside.rename(outside / "package")
    code, out = job.use(mode="ab", args=" ", **{"working-directory": "package"})
    assert code == 1, out
    assert "::error file=tests/test_it.py,line=5," in out


def test_several_tests_and_a_folder(job: Job) -> None:
    """Tests are one a line; paths are from the working directory."""
    job.use(**{"working-directory": "tests", "tests": "test_it.py::test_a\n\n"})
    assert [each["test"]["qualname"] for each in results(job)["results"]] == ["test_a"]


def test_installs_its_own_checkout(job: Job) -> None:
    """Where the package is missing, the action installs the version that it is of."""
    job.program("python", 'case "$1" in -c) exit 1;; -m) echo "$@"; exit 7;; esac')
    assert job.use() == (7, f"-m pip install --quiet {ROOT}\n")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_example_may_no_more_than_it_needs(name: str) -> None:
    """An example names its rights, pastes nothing into a script, and cancels no waiting job."""
    workflow = read_yaml(f"{CI}/{name}")
    assert workflow[True]  # `on`, as YAML 1.1 reads it
    assert workflow["permissions"] == RIGHTS.get(name, {"contents": "read"})
    jobs = workflow["jobs"].values()
    assert not any("concurrency" in job for job in jobs)
    steps = _all_steps(name)
    assert not any(EXPRESSION.search(step.get("run", "")) for step in steps)
    assert {step["uses"].partition("/")[0] for step in steps if "uses" in step} == {"actions"}


def test_no_test_has_a_token_that_may_write() -> None:
    """The job that pushes baselines runs no code of the project, and takes only two paths."""
    jobs = read_yaml(f"{CI}/github-update.yml")["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["propose"]
    assert jobs["propose"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    scripts = "".join(step.get("run", "") for step in jobs["propose"]["steps"])
    assert not re.search(r"pip|pytest|python", scripts)
    [upload] = [step for step in jobs["save"]["steps"] if "upload" in step.get("uses", "")]
    assert upload["with"]["path"].split("\n")[:2] == ["${{ env.BASELINES }}", "energy.md"]


def test_placeholder_is_explained() -> None:
    """The one place that names the action has the sentence that says what to replace."""
    files = [ROOT / name for name in ("README.md", "action.yml")]
    files += [*(ROOT / "docs").rglob("*.md"), *(ROOT / CI).iterdir()]
    having = [path for path in files if "OWNER/" in path.read_text(encoding="utf-8")]
    assert having == [ROOT / "docs/ci.md"]
    text = having[0].read_text(encoding="utf-8")
    [step] = re.findall(r"uses: (OWNER/\S+)@main$", text, re.MULTILINE)
    assert f"Replace `{step}` with" in text.partition("## The action")[2]


def test_example_of_counted_work(job: Job) -> None:
    """The job passes, and its Markdown becomes a comment, once for each pull request."""
    job.program("gh", 'echo "$@" >> "$HOME/gh"; cat "$HOME/comments" 2>/dev/null || true')
    count, comment = _steps("github-count.yml")
    assert job.run(count, {}).code == 0
    known = {"github.token": "secret", "github.event.number": "12"}
    for comments in ("", "77\n78\n"):
        Path(job.environ["HOME"], "comments").write_text(comments, encoding="utf-8")
        assert job.run(comment, known).code == 0
    said = Path(job.environ["HOME"], "gh").read_text(encoding="utf-8").splitlines()
    assert [line for line in said if "--paginate" not in line] == [
        "pr comment 12 --body-file energy.md",
        "api --method PATCH repos/someone/project/issues/comments/77 --field body=@energy.md "
        "--silent",
    ]
    text = (job.workspace / "energy.md").read_text(encoding="utf-8")
    [mark] = re.findall(r'startswith\("(.*?)"\)', comment["run"])
    assert text.startswith(mark)


def test_example_against_the_base(job: Job) -> None:
    """The job fails on the line of the test that uses more than on the base."""
    git(
        job.workspace,
        "fetch",
        "--quiet",
        "--unshallow",
        "origin",
        "+refs/heads/*:refs/remotes/origin/*",
    )
    [step] = _steps("github-ab.yml")
    code, out = job.run(step, {})
    assert code == 1, out
    assert "::error file=tests/test_it.py,line=5,title=regressed%3A test_a::" in out


def test_example_of_stored_baselines(job: Job) -> None:
    """The job fails without baselines, and has its files for the artifact."""
    [step] = _steps("github-stored.yml")
    code, out = job.run(step, {})
    assert code == 1, out
    assert "1 no baseline" in out
    uploaded = _all_steps("github-stored.yml")[-1]["with"]["path"].split()
    assert [name for name in uploaded if (job.workspace / name).stat().st_size] == uploaded


def test_update_proposes_baselines(job: Job) -> None:
    """The example for main commits what it saved, and goes on with what is proposed."""
    job.program("gh", 'echo "$@" >> "$HOME/gh"; if [ -e "$HOME/open" ]; then echo 3; fi')
    origin = job.workspace.with_name("origin")
    for sessions in (1, 2):
        _update(job)
        stored = json.loads(git(origin, "show", f"energy-baselines:{_stored(origin)}"))
        assert len(stored["measurements"]["call"]["sessions"]) == sessions
    said = Path(job.environ["HOME"], "gh").read_text(encoding="utf-8").splitlines()
    assert [line for line in said if "pr list" not in line] == [
        "pr create --head energy-baselines --title Accept the energy of the suite "
        f"--body-file {job.workspace}/saved/energy.md",
        "api --method PATCH repos/someone/project/pulls/3 --field "
        f"body=@{job.workspace}/saved/energy.md --silent",
    ]


def test_update_keeps_what_main_has_accepted(job: Job) -> None:
    """Where a baseline was accepted on main meanwhile, the proposal begins anew from it."""
    job.program("gh", 'if [ -e "$HOME/open" ]; then echo 3; fi')
    origin = job.workspace.with_name("origin")
    _update(job)
    path = _stored(origin)
    accepted = json.loads(git(origin, "show", f"energy-baselines:{path}"))
    [session] = accepted["measurements"]["call"]["sessions"]
    session["saved_at"] = "2026-01-01T00:00:00+00:00"
    git(origin, "switch", "--quiet", "more")
    (origin / path).parent.mkdir(parents=True)
    (origin / path).write_text(json.dumps(accepted, indent=2), encoding="utf-8")
    commit(origin)
    out = _update(job)
    assert "::notice::main has other baselines since" in out
    sessions = json.loads(git(origin, "show", f"energy-baselines:{path}"))["measurements"]["call"]
    assert session["saved_at"] in [each["saved_at"] for each in sessions["sessions"]]
    assert len(sessions["sessions"]) == 2


def test_update_of_a_proposal_without_its_branch(job: Job) -> None:
    """Where the branch of the proposal is gone, it begins anew."""
    job.program("gh", "echo 3")
    assert "the proposal begins anew" in _update(job)
    assert _stored(job.workspace.with_name("origin"))


def test_update_that_cannot_ask_keeps_the_proposal(job: Job) -> None:
    """Where GitHub does not answer, the job ends before it pushes over what is proposed."""
    job.program("gh", "exit 1")
    job.environ |= read_yaml(f"{CI}/github-update.yml")["env"]
    before, *_ = _steps("github-update.yml")
    assert job.run(before, {"github.token": "secret"}).code == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [("work-against-target", 0), ("energy-against-target", 1), ("energy-on-own-runner", 1)],
)
def test_gitlab(job: Job, name: str, expected: int) -> None:
    """The template of GitLab writes JUnit and code quality at the places that it uploads."""
    template = read_yaml(f"{CI}/gitlab.yml")
    base = template[".energy"]
    energy = template[name]["variables"]["ENERGY"]
    (job.workspace / "src/mypkg.py").write_text("JOULES = 4.0  # still more\n", encoding="utf-8")
    base_sha = git(job.workspace, "rev-parse", "HEAD").strip()
    job.environ["ENERGY"] = energy.replace("$CI_MERGE_REQUEST_DIFF_BASE_SHA", base_sha)
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        del job.environ[variable]
    code, out = job.run({"run": "\n".join(base["script"])}, {})
    assert code == expected, out
    for kind, file in base["artifacts"]["reports"].items():
        assert (job.workspace / file).stat().st_size, kind
    found = json.loads((job.workspace / "gl-code-quality-report.json").read_bytes())
    paths = [each["location"]["path"] for each in found]
    assert paths == (["tests/test_it.py"] if code else [])


def _update(job: Job) -> str:
    """Run the jobs of the example for main, each on a new checkout; return what they print."""
    workflow = read_yaml(f"{CI}/github-update.yml")
    job.environ |= workflow["env"]
    saved, said = job.workspace / "saved", ""
    for name in workflow["jobs"]:
        git(job.workspace, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git(job.workspace, "checkout", "--quiet", "--force", "-B", "more", "origin/more")
        for step in _scripts(workflow["jobs"][name]["steps"]):
            code, out = job.run(step, {"github.token": "secret"})
            assert code == 0, out
            said += out
        if name == "save":  # the artifact, without hidden files
            shutil.rmtree(saved, ignore_errors=True)
            hidden = shutil.ignore_patterns(".*")
            shutil.copytree(job.workspace / "baselines", saved / "baselines", ignore=hidden)
            (job.workspace / "energy.md").rename(saved / "energy.md")
    Path(job.environ["HOME"], "open").touch()
    return said


def _stored(repository: Path) -> str:
    """Return the path of the only baseline on the proposed branch."""
    [path] = git(
        repository, "ls-tree", "-r", "--name-only", "energy-baselines", "baselines"
    ).split()
    return path


def _all_steps(name: str) -> list[Any]:
    jobs = read_yaml(f"{CI}/{name}")["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def _steps(name: str) -> list[Any]:
    """Return the scripts of an example, without the installation."""
    return _scripts(_all_steps(name))


def _scripts(steps: list[Any]) -> list[Any]:
    return [each for each in steps if "run" in each and "pip install" not in each["run"]]
