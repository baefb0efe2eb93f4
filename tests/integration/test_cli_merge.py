"""`pytest-greenops merge OUT IN...`: shards of a run become one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_greenops.model.result import Results
from tests.integration.commands import refused, run
from tests.integration.projects import INI, Project, conftest, fill, run_outside

TESTS = """
    def test_one(energy, work):
        energy(work)

    def test_two(energy, work):
        energy(work)
"""
FILES = {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS}


@pytest.fixture(scope="module")
def shards_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `shards` starts from; made once."""
    folder = tmp_path_factory.mktemp("shards")
    fill(folder, FILES)
    for name, chosen in (("one", "one"), ("two", "two"), ("both", "test")):
        run_outside(folder, "--energy", f"--energy-json={name}.json", "-k", chosen)
    return folder


@pytest.fixture
def shards(project: Project, shards_folder: Path) -> Project:
    """A project with `one.json`, `two.json` and `both.json`: of each test, and of both."""
    project.copy(shards_folder)
    return project


@pytest.fixture(scope="module")
def both_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `folders` starts from; made once."""
    folder = tmp_path_factory.mktemp("folders")
    fill(folder, FILES)
    run_outside(folder, "--energy-save", "--energy-baselines=one", "-k", "one")
    run_outside(folder, "--energy-save", "--energy-baselines=two", joules=2.02)
    return folder


def names_in(path: Path) -> list[str]:
    """The tests in a file of results, which is as a run writes it."""
    document = msgspec.json.decode(path.read_bytes(), type=Results)
    return [result.test.name for result in document.results]


def edit(path: Path, change: Any) -> None:
    """Change a document in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=1))


def compare_it(document: Any) -> None:
    """Say of its one result that it was compared, with a chance of 1 %, in a run of its own."""
    [result] = document["results"]
    change = {"relative": 0.1, "low": 0.0, "high": 0.2, "smallest": 0.1, "margin": 0.05}
    change |= {"baseline_j": 1.8, "sessions": 5, "p_value": 0.01, "p_adjusted": 0.01}
    result["verdict"] = {"outcome": "inconclusive", "change": change}


class TestResults:
    """Files of results into a file."""

    def test_of_shards_become_one(self, shards: Project) -> None:
        """The merged file holds every test, and can be compared like any other."""
        ran = run(shards.path, "merge", "all.json", "one.json", "two.json")
        assert (0, "energy: 2 measurements from 2 files in all.json\n", "") == ran
        assert ["test_one", "test_two"] == names_in(shards.path / "all.json")
        assert 0 == run(shards.path, "compare", "all.json", "both.json").code

    def test_of_the_same_test_the_last_counts(self, shards: Project) -> None:
        """The number of replaced results is printed."""
        ran = run(shards.path, "merge", "all.json", "both.json", "two.json")
        assert ran.lines == [
            "energy: 2 measurements from 2 files in all.json; 1 in more than one file: the last "
            "one counts"
        ]

    def test_of_another_policy_are_reported(self, shards: Project) -> None:
        """The merged file has the policy of the first file."""
        edit(shards.path / "two.json", lambda d: d["policy"].update(max_increase=0.5))
        ran = run(shards.path, "merge", "all.json", "one.json", "two.json")
        assert 0 == ran.code
        assert ran.lines[0] == (
            "energy: the shards used different policies (max_increase): the output has that of "
            "one.json"
        )

    def test_of_another_machine_are_refused(self, shards: Project) -> None:
        """The difference is named, and nothing is written."""
        edit(shards.path / "two.json", lambda d: d["environment"]["machine"].update(cpu="Other"))
        said = refused(shards.path, "merge", "all.json", "one.json", "two.json")
        assert said.startswith("two.json: another machine than one.json (cpu: ")
        assert not (shards.path / "all.json").exists()

    def test_are_not_written_over(self, shards: Project) -> None:
        """A file with other content stays; the same merge can be repeated."""
        before = (shards.path / "one.json").read_bytes()
        said = refused(shards.path, "merge", "one.json", "two.json")
        assert said == (
            "one.json: exists, and 1 of its results would be lost, e.g. test_it.py::test_one; "
            "name another output file, or remove it"
        )
        said = refused(shards.path, "merge", "test_it.py", "two.json")
        assert said.startswith("test_it.py: exists, and is not a result file; ")
        assert before == (shards.path / "one.json").read_bytes()
        for _ in range(2):
            assert 0 == run(shards.path, "merge", "all.json", "one.json", "two.json").code

    def test_are_written_into_an_empty_file(self, shards: Project) -> None:
        """An empty file, as mktemp creates it, may be overwritten."""
        (shards.path / "all.json").touch()
        assert 0 == run(shards.path, "merge", "all.json", "one.json").code
        assert ["test_one"] == names_in(shards.path / "all.json")

    def test_can_be_gathered_in_one_of_them(self, shards: Project) -> None:
        """The output may be one of the inputs."""
        assert 0 == run(shards.path, "merge", "one.json", "one.json", "two.json").code
        assert ["test_one", "test_two"] == names_in(shards.path / "one.json")

    def test_that_were_compared_can_be_gathered_too(self, shards: Project) -> None:
        """Chances that change with the number of comparisons do not count as a loss."""
        for name in ("one", "two"):
            edit(shards.path / f"{name}.json", compare_it)
        assert 0 == run(shards.path, "merge", "one.json", "one.json", "two.json").code
        merged = json.loads((shards.path / "one.json").read_text())
        changes = [result["verdict"]["change"] for result in merged["results"]]
        assert [(0.01, 0.02)] * 2 == [(c["p_value"], c["p_adjusted"]) for c in changes]

    def test_can_go_to_stdout(self, shards: Project) -> None:
        """Then the summary goes to stderr."""
        summary = "energy: 2 measurements from 2 files in /dev/stdout\n"
        ran = run(shards.path, "merge", "/dev/stdout", "one.json", "two.json")
        assert (0, summary) == (ran.code, ran.err)
        (shards.path / "all.json").write_text(ran.out)
        assert ["test_one", "test_two"] == names_in(shards.path / "all.json")


class TestBaselines:
    """Folders of baselines into a folder."""

    @pytest.fixture
    def folders(self, project: Project, both_folders: Path) -> Path:
        """Folders `one` and `two`, each with a session of `test_one`, and `two` with `test_two`."""
        project.copy(both_folders)
        return project.path

    def test_of_shards_become_one(self, folders: Path) -> None:
        """Sessions of the same test are joined, and `show` counts them."""
        ran = run(folders, "merge", "baselines", "one", "two")
        expected = "energy: 2 baselines from 2 folders: 2 new or changed in baselines\n"
        assert (0, expected, "") == ran
        shown = run(folders, "show").out
        assert 1 == shown.count("  2 sessions")
        assert 1 == shown.count("  1 session,")

    def test_are_merged_in_place(self, folders: Path) -> None:
        """An existing output folder is also an input; a second merge changes nothing."""
        ran = run(folders, "merge", "one", "two")
        assert ran.lines == ["energy: 2 baselines from 1 folder: 2 new or changed in one"]
        before = {p: p.read_bytes() for p in (folders / "one").rglob("*.json")}
        ran = run(folders, "merge", "one", "two", "one")
        assert ran.lines == ["energy: 2 baselines from 1 folder: 0 new or changed in one"]
        assert before == {p: p.read_bytes() for p in (folders / "one").rglob("*.json")}

    def test_are_used_by_the_next_run(self, folders: Path, project: Project) -> None:
        """The next run compares with the merged baselines."""
        run(folders, "merge", "baselines", "one", "two")
        ran = project.energy(joules=3.0)
        assert {"test_one": "regressed", "test_two": "regressed"} == ran.verdicts
        changes = {name: r.verdict.change for name, r in ran.results.items()}
        assert {"test_one": 2, "test_two": 1} == {
            name: change.sessions for name, change in changes.items() if change
        }

    def test_that_do_not_fit_together_are_reported(self, folders: Path) -> None:
        """The newer one is kept."""
        [path] = (folders / "two").rglob("test_one.json")
        edit(path, lambda d: d["measurements"]["call"]["conditions"].update(threads="99"))
        [other] = (folders / "one").rglob("test_one.json")
        edit(other, lambda d: d["measurements"]["call"]["conditions"].update(threads="1"))
        ran = run(folders, "merge", "baselines", "one", "two")
        assert 0 == ran.code
        assert ran.lines[0].endswith(
            "test_it.py/test_one.json: call: counters, conditions or units of work differ: the "
            "series saved last is kept: if that is wrong, delete it and merge again"
        )

    def test_that_are_damaged_stop_it(self, folders: Path) -> None:
        """Nothing is written, whichever file is damaged."""
        [path] = (folders / "two").rglob("test_two.json")
        path.write_text("{")
        said = refused(folders, "merge", "baselines", "one", "two")
        assert said.startswith(f"{path.relative_to(folders)}: damaged")
        assert [] == list((folders / "baselines").rglob("*.json"))

    def test_are_directly_in_the_named_folder(self, folders: Path) -> None:
        """Their parent is refused and the folder named; an empty folder is ignored."""
        (folders / "shard").mkdir()
        assert 0 == run(folders, "merge", "baselines", "shard", "one").code
        shutil.move(folders / "two", folders / "shard" / "baselines")
        said = refused(folders, "merge", "baselines", "shard")
        assert said == "shard: contains no baselines: use shard/baselines"


def test_inputs_that_do_not_fit_together_are_refused(shards: Project) -> None:
    """Files and folders are mixed, missing, or merged into the other kind."""
    (shards.path / "folder").mkdir()
    for arguments, said in (
        (["out", "one.json", "folder"], "folder is a folder, one.json a file; merge either"),
        (["out", "gone"], "gone: no such file or folder; name the output of a shard"),
        (["folder", "one.json"], "folder: a folder, but the inputs are files; name the output"),
        (["one.json", "folder"], "one.json: a file, but the inputs are folders; name the"),
    ):
        assert refused(shards.path, "merge", *arguments).startswith(said)
