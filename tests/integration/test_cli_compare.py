"""`pytest-greenops compare A B`: two files of results, one judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import refused, run
from tests.integration.projects import INI, Project, conftest, fill, run_outside

TESTS = """
    import pytest

    def test_works(energy, work):
        energy(work)

    @pytest.mark.parametrize("size", [32])
    def test_constant(energy, spend, size):
        energy.units(token=size)
        energy(spend, 1.0)
"""


@pytest.fixture(scope="module")
def files_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `files` starts from; made once."""
    folder = tmp_path_factory.mktemp("files")
    fill(folder, {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS})
    for name, joules in (("a", 2.0), ("b", 3.0), ("c", 2.0)):
        run_outside(folder, "--energy", f"--energy-json={name}.json", joules=joules)
    return folder


@pytest.fixture
def files(project: Project, files_folder: Path) -> Path:
    """The project's folder with `a.json` of 2 J, `b.json` of 3 J and `c.json` as `a.json`."""
    project.copy(files_folder)
    return project.path


def edit(folder: Path, name: str, change: Any) -> None:
    """Change a document of results in place."""
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))


def test_a_regression_exits_with_1(files: Path) -> None:
    """The table, the sentences and the closing line are those of a run, without its commands."""
    told = run(files, "compare", "a.json", "b.json")
    assert (1, "") == (told.code, told.err)
    assert told.lines[0].startswith("energy: A is a.json: 2 measurements of 20")
    assert told.lines[1].startswith("energy: B is b.json: 2 measurements of 20")
    assert any(
        line.startswith("test_works") and "+50 %" in line and line.endswith("regressed")
        for line in told.lines
    )
    assert "call used 3.00 J in B, 2.00 J in A (+50 %, 95 % CI " in told.out
    assert told.lines[-1] == (
        "energy: 2 measured, 2 compared: 1 passed, 1 regressed, 0 inconclusive; 0 no baseline; "
        "0 not comparable"
    )
    assert "--energy-save" not in told.out


def test_the_same_energy_exits_with_0(files: Path) -> None:
    """Nothing regressed, and a gain is none."""
    assert 0 == run(files, "compare", "a.json", "c.json").code
    told = run(files, "compare", "b.json", "a.json")
    assert 0 == told.code
    assert "1 improved, 0 regressed" in told.lines[-1]


def test_it_is_plain_and_fits_80_columns_in_a_pipe(files: Path) -> None:
    """No colour and no line but the closing one is wider, whatever the verdicts."""
    lines = run(files, "compare", "a.json", "b.json").lines
    assert max(map(len, lines[:-1])) <= 80
    assert "\x1b" not in "".join(lines)
    ascii_only = run(files, "compare", "a.json", "b.json", PYTHONIOENCODING="ascii")
    assert (1, True) == (ascii_only.code, ascii_only.out.isascii())
    edit(files, "a.json", lambda document: document["results"][0].update(name="encode"))
    told = run(files, "compare", "a.json", "b.json", PYTHONIOENCODING="ascii").lines
    assert "energy: only in A: 1 measurement: test_it.py::test_works - encode" in told


def test_the_margin_can_be_named(files: Path) -> None:
    """A wide one lets the same measurements pass."""
    assert 0 == run(files, "compare", "--max-increase=80%", "a.json", "b.json").code
    told = run(files, "compare", "--max-increase", "80", "a.json", "b.json")
    assert (2, "") == (told.code, told.out)
    assert "'80' has no unit of percentage" in told.err


def test_the_margin_of_the_run_is_the_default(files: Path) -> None:
    """What B's run was asked for holds here too."""
    edit(files, "b.json", lambda document: document["policy"].update(max_increase=0.8))
    assert 0 == run(files, "compare", "a.json", "b.json").code


def test_other_machines_are_not_comparable(files: Path) -> None:
    """The fact that differs is told once for all, and nothing was gated."""
    edit(files, "a.json", lambda document: document["environment"]["machine"].update(cpu="Other"))
    told = run(files, "compare", "a.json", "b.json")
    assert 0 == told.code
    assert "not comparable: 2 measurements" in told.lines
    assert any(line.startswith("  (cpu: Other -> ") for line in told.lines)
    assert "0 compared: nothing was gated" in told.lines[-1]


def test_what_only_one_has_is_counted_and_named(files: Path) -> None:
    """Tests that came or went do not stand in the table."""
    edit(files, "a.json", lambda document: document["results"].pop(0))
    edit(files, "b.json", lambda document: document["results"].pop(1))
    told = run(files, "compare", "a.json", "b.json")
    assert 0 == told.code
    assert told.lines[2:] == [
        "energy: only in A: 1 measurement: test_it.py::test_constant[32]",
        "energy: only in B: 1 measurement: test_it.py::test_works",
        "energy: 0 measured, 0 compared: nothing was gated; 0 no baseline; 0 not comparable",
    ]


def test_a_run_that_saved_is_compared_all_the_same(project: Project) -> None:
    """What a run accepted as its baseline is no baseline here."""
    project.write("test_it.py", TESTS)
    for name, joules in (("a", 2.0), ("b", 3.0)):
        project.save(joules=joules)
        (project.path / "results.json").rename(project.path / f"{name}.json")
    told = run(project.path, "compare", "a.json", "b.json")
    assert 1 == told.code
    assert "saved" not in told.out
    assert "accepted" not in told.out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.json", None, "gone.json: cannot be read (No such file or directory); name a file"),
        ("odd.json", "{}", "odd.json: no results of a run (Object missing required field"),
        ("odd.json", '{"schema": 9}', "odd.json: written by a newer pytest-greenops (schema 9"),
    ],
)
def test_what_cannot_be_read_is_told(files: Path, name: str, text: str | None, said: str) -> None:
    """One line names the file and the mend; either file may be the one."""
    if text is not None:
        (files / name).write_text(text)
    assert refused(files, "compare", name, "b.json").startswith(said)
    assert refused(files, "compare", "a.json", name).startswith(said)
