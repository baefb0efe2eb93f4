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
    path.write_text(json.dumps(document))


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
        told = run(shards.path, "merge", "all.json", "one.json", "two.json")
        assert (0, "energy: 2 measurements of 2 files in all.json\n", "") == told
        assert ["test_one", "test_two"] == names_in(shards.path / "all.json")
        assert 0 == run(shards.path, "compare", "all.json", "both.json").code

    def test_of_the_same_test_the_last_counts(self, shards: Project) -> None:
        """How many were replaced is told."""
        told = run(shards.path, "merge", "all.json", "both.json", "two.json")
        assert told.lines == [
            "energy: 2 measurements of 2 files in all.json; 1 stood in more than one: the last "
            "counts"
        ]

    def test_of_another_policy_are_told(self, shards: Project) -> None:
        """That of the first file stands in the merged one."""
        edit(shards.path / "two.json", lambda d: d["policy"].update(max_increase=0.5))
        told = run(shards.path, "merge", "all.json", "one.json", "two.json")
        assert 0 == told.code
        assert told.lines[0] == (
            "energy: the shards were judged by other policies (max_increase): that of one.json is "
            "told"
        )

    def test_of_another_machine_are_refused(self, shards: Project) -> None:
        """The difference is named, and nothing is written."""
        edit(shards.path / "two.json", lambda d: d["environment"]["machine"].update(cpu="Other"))
        said = refused(shards.path, "merge", "all.json", "one.json", "two.json")
        assert said.startswith("two.json: of another machine than one.json (cpu: ")
        assert not (shards.path / "all.json").exists()

    def test_are_not_written_over(self, shards: Project) -> None:
        """A file that holds other results, or none, stays; the same merge twice is no loss."""
        before = (shards.path / "one.json").read_bytes()
        said = refused(shards.path, "merge", "one.json", "two.json")
        assert said == (
            "one.json: exists, and 1 of its results would be lost, such as test_it.py::test_one; "
            "name another file first, or remove it"
        )
        said = refused(shards.path, "merge", "test_it.py", "two.json")
        assert said.startswith("test_it.py: exists, and is no file of results; ")
        assert before == (shards.path / "one.json").read_bytes()
        for _ in range(2):
            assert 0 == run(shards.path, "merge", "all.json", "one.json", "two.json").code

    def test_are_written_into_an_empty_file(self, shards: Project) -> None:
        """A file without content, as mktemp makes one, has nothing to lose."""
        (shards.path / "all.json").touch()
        assert 0 == run(shards.path, "merge", "all.json", "one.json").code
        assert ["test_one"] == names_in(shards.path / "all.json")

    def test_can_be_gathered_in_one_of_them(self, shards: Project) -> None:
        """The file that is written may be among those that are read."""
        assert 0 == run(shards.path, "merge", "one.json", "one.json", "two.json").code
        assert ["test_one", "test_two"] == names_in(shards.path / "one.json")

    def test_that_were_compared_can_be_gathered_too(self, shards: Project) -> None:
        """What becomes of their chances among more comparisons is no loss."""
        for name in ("one", "two"):
            edit(shards.path / f"{name}.json", compare_it)
        assert 0 == run(shards.path, "merge", "one.json", "one.json", "two.json").code
        merged = json.loads((shards.path / "one.json").read_text())
        changes = [result["verdict"]["change"] for result in merged["results"]]
        assert [(0.01, 0.02)] * 2 == [(c["p_value"], c["p_adjusted"]) for c in changes]

    def test_can_go_to_stdout(self, shards: Project) -> None:
        """Nothing else comes out there: the account is told on stderr."""
        account = "energy: 2 measurements of 2 files in /dev/stdout\n"
        told = run(shards.path, "merge", "/dev/stdout", "one.json", "two.json")
        assert (0, account) == (told.code, told.err)
        (shards.path / "all.json").write_text(told.out)
        assert ["test_one", "test_two"] == names_in(shards.path / "all.json")


class TestBaselines:
    """Folders of baselines into a folder."""

    @pytest.fixture
    def folders(self, project: Project, both_folders: Path) -> Path:
        """Folders `one` and `two`, each with a session of `test_one`, and `two` with `test_two`."""
        project.copy(both_folders)
        return project.path

    def test_of_shards_become_one(self, folders: Path) -> None:
        """Sessions of one test stand side by side, and `show` tells them."""
        told = run(folders, "merge", "baselines", "one", "two")
        expected = "energy: 2 of 2 baselines of 2 folders brought something new to baselines\n"
        assert (0, expected, "") == told
        shown = run(folders, "show").out
        assert 1 == shown.count("  2 sessions")
        assert 1 == shown.count("  1 session,")

    def test_are_merged_in_place(self, folders: Path) -> None:
        """A folder that is there counts as an input; merged twice, nothing changes any more."""
        told = run(folders, "merge", "one", "two")
        assert told.lines == ["energy: 2 of 2 baselines of 1 folder brought something new to one"]
        before = {p: p.read_bytes() for p in (folders / "one").rglob("*.json")}
        told = run(folders, "merge", "one", "two", "one")
        assert told.lines == ["energy: 0 of 2 baselines of 1 folder brought something new to one"]
        assert before == {p: p.read_bytes() for p in (folders / "one").rglob("*.json")}

    def test_are_used_by_the_next_run(self, folders: Path, project: Project) -> None:
        """What was merged is what is compared with."""
        run(folders, "merge", "baselines", "one", "two")
        ran = project.energy(joules=3.0)
        assert {"test_one": "regressed", "test_two": "regressed"} == ran.verdicts
        changes = {name: r.verdict.change for name, r in ran.results.items()}
        assert {"test_one": 2, "test_two": 1} == {
            name: change.sessions for name, change in changes.items() if change
        }

    def test_that_cannot_stand_together_are_told(self, folders: Path) -> None:
        """The newer one wins."""
        [path] = (folders / "two").rglob("test_one.json")
        edit(path, lambda d: d["measurements"]["call"]["conditions"].update(threads="99"))
        [other] = (folders / "one").rglob("test_one.json")
        edit(other, lambda d: d["measurements"]["call"]["conditions"].update(threads="1"))
        told = run(folders, "merge", "baselines", "one", "two")
        assert 0 == told.code
        assert told.lines[0].endswith(
            "test_it.py/test_one.json: call: other counters, conditions or units of work: the "
            "series that was saved last is kept; delete the wrong one of the two and merge again"
        )

    def test_that_are_damaged_stop_it(self, folders: Path) -> None:
        """Nothing is written, whichever file is damaged."""
        [path] = (folders / "two").rglob("test_two.json")
        path.write_text("{")
        said = refused(folders, "merge", "baselines", "one", "two")
        assert said.startswith(f"{path.relative_to(folders)}: damaged")
        assert [] == list((folders / "baselines").rglob("*.json"))

    def test_begin_in_the_folder_that_is_named(self, folders: Path) -> None:
        """A folder around them is told from them; an empty one brings nothing."""
        (folders / "shard").mkdir()
        assert 0 == run(folders, "merge", "baselines", "shard", "one").code
        shutil.move(folders / "two", folders / "shard" / "baselines")
        said = refused(folders, "merge", "baselines", "shard")
        assert said == "shard: holds no baselines; they begin in shard/baselines"


def test_what_does_not_go_together_is_told(shards: Project) -> None:
    """Files and folders mixed, or missing, or merged into the other."""
    (shards.path / "folder").mkdir()
    for arguments, said in (
        (["out", "one.json", "folder"], "folder is a folder, one.json a file; merge files of"),
        (["out", "gone"], "gone: no such file or folder; name what a shard wrote"),
        (["folder", "one.json"], "folder: a folder, but files are merged; name a file first"),
        (["one.json", "folder"], "one.json: a file, but folders are merged; name a folder first"),
    ):
        assert refused(shards.path, "merge", *arguments).startswith(said)
