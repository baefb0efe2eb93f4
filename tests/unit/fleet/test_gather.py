"""What a fleet brings home: nothing lands where a node says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.baseline_file import encode
from pytest_greenops.baselines.store import Store
from pytest_greenops.commands import results_file
from pytest_greenops.fleet.gather import (
    bring_baselines,
    check_shipped,
    checked_results,
    do_each,
    own_folder,
    write_results,
)
from pytest_greenops.fleet.part import Part
from pytest_greenops.model.errors import GreenopsError
from tests.unit.builders import MACHINE, baseline, key, message_of
from tests.unit.fleet.runs import TESTS, collected, ended, node, part
from tests.unit.judge.test_two_files import measured, results


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in which the command is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saving(name: str, text: str, baselines: str = "baselines") -> list[Part]:
    """Return a run whose one test has saved a file."""
    run = part()
    policy = replace(results().policy, baselines=baselines)
    said = replace(collected(), results=replace(collected().results, policy=policy))
    run.kind = run.kind._replace(collected=said)
    run.add(node(), said)
    run.add(node(), ended(TESTS[0], **{name: text}))
    return [run]


def test_a_saved_baseline_comes_home(project: Path) -> None:
    """It has the path that a run here would have given it."""
    slug = part().kind.slug
    saved = baseline()
    path = Store(project / "baselines", slug).path(saved.test)
    name = path.relative_to(project / "baselines").as_posix()
    [line] = bring_baselines(saving(name, encode(saved).decode()))
    assert line == "1 baseline from 1 folder: 1 new or changed in baselines"
    assert path.read_bytes() == encode(saved)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "/etc/evil.json",
        "{slug}/../../evil.json",
        "{slug}/a/../../../evil.json",
        "{slug}//evil.json",
        "other-12345678/test_x.py/test.json",
        "{slug}/conftest.py",
        "{slug}/a\0.json",
        "{slug}.json",
    ],
)
def test_another_path_is_refused(project: Path, name: str) -> None:
    """Nothing is written for a path that is no baseline of that machine."""
    run = saving(name.format(slug=part().kind.slug), "{}")
    said = message_of(GreenopsError, lambda: list(bring_baselines(run)))
    assert "which is no baseline of this machine" in said
    assert list(project.iterdir()) == []


def test_results_that_cannot_be_written_do_not_cost_the_baselines(project: Path) -> None:
    """The step after one that fails is done, and the error is a line among the others."""

    def fails() -> Iterator[str]:
        yield "results of one machine"
        raise GreenopsError("all.json: no space left")

    slug, saved = part().kind.slug, baseline()
    path = Store(project / "baselines", slug).path(saved.test)
    name = path.relative_to(project / "baselines").as_posix()
    sent = saving(name, encode(saved).decode())
    lines, failed = do_each([fails(), bring_baselines(sent)])
    assert lines[:2] == ["results of one machine", "all.json: no space left"]
    assert failed == 1
    assert path.is_file()


def test_another_content_is_refused(project: Path) -> None:
    """What is no baseline is refused before anything is written."""
    slug = part().kind.slug
    run = saving(f"{slug}/test_x.py/test_a.json", "import os")
    said = message_of(GreenopsError, lambda: list(bring_baselines(run)))
    assert said == f"{slug}: sent 1 damaged baseline: none was merged; save again"
    assert not list(project.rglob("*.json"))


@pytest.mark.parametrize("folder", ["/tmp", "../elsewhere", "a/../../b"])
def test_a_folder_outside_of_the_project_is_refused(folder: str) -> None:
    """A node cannot name another folder for the baselines."""
    [run] = saving("", "", folder)
    assert "outside of the project" in message_of(GreenopsError, lambda: own_folder(run.kind))


def test_baselines_that_were_not_shipped_are_said(project: Path) -> None:
    """Nodes that see fewer baselines than there are here would compare less than they should."""
    kind = part().kind
    store = Store(project / "baselines", kind.slug)
    store.update(key("test_a"), lambda known: baseline())
    said = message_of(GreenopsError, lambda: check_shipped([kind]))
    assert said.startswith(f"baselines/{kind.slug}: 1 baseline here, 0 on the nodes")
    seen = replace(kind.collected, baselines=1)
    check_shipped([kind._replace(collected=seen)])


def test_results_are_checked_as_those_of_a_file(project: Path) -> None:
    """Results without the sensors of their domain are refused, with the name of the machine."""
    run = part()
    run.add(node(), collected())
    broken = measured(provenance=replace(measured().provenance, sensors={"gpu:9": "fake"}))
    run.add(node(), ended(TESTS[0], broken))
    said = message_of(GreenopsError, lambda: checked_results([run]))
    assert said.startswith(f"{run.kind.slug}: its results are damaged (")


def test_results_of_several_machines_are_one_file_and_one_each(project: Path) -> None:
    """The file has all; commands that take one machine get the file of one."""
    one, two = results(measured()), results(measured(), machine={**MACHINE, "cores": "8"})
    path = project / "all.json"
    lines = list(write_results(path, {"kind-a": one, "kind-a #2": two}))
    assert lines == [
        f"results of kind-a in {project}/all.kind-a.json",
        f"results of kind-a #2 in {project}/all.kind-a-2.json",
    ]
    assert results_file.read_machines(path) == (one, two)
    assert results_file.read(project / "all.kind-a-2.json") == two
    said = message_of(GreenopsError, lambda: results_file.read(path))
    assert said.startswith(f"{path}: results of 2 machines; name that of one, such as")
    results_file.check_writable(path)


def test_results_of_one_machine_are_an_ordinary_file(project: Path) -> None:
    """With one run, every command reads the file."""
    path = project / "all.json"
    assert list(write_results(path, {"kind": results(measured())})) == []
    assert results_file.read(path) == results(measured())
