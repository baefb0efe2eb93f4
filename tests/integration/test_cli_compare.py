"""`pytest-greenops compare A B`: judge one result file against another."""

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
    """Return the folder that `files` copies."""
    folder = tmp_path_factory.mktemp("files")
    fill(folder, {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS})
    for name, joules in (("a", 2.0), ("b", 3.0), ("c", 2.0)):
        run_outside(folder, "--energy", f"--energy-json={name}.json", joules=joules)
    return folder


@pytest.fixture
def files(project: Project, files_folder: Path) -> Path:
    """Return a folder with `a.json` of 2 J, `b.json` of 3 J and `c.json` like `a.json`."""
    project.copy(files_folder)
    return project.path


def edit(folder: Path, name: str, change: Any) -> None:
    """Change a result file in place."""
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))


def test_a_regression_exits_with_1(files: Path) -> None:
    """Table, sentences and closing line look like those of a run, without commands."""
    ran = run(files, "compare", "a.json", "b.json")
    assert (1, "") == (ran.code, ran.err)
    assert ran.lines[0].startswith("energy: A is a.json: 2 measurements, 20")
    assert ran.lines[1].startswith("energy: B is b.json: 2 measurements, 20")
    assert any(
        line.startswith("test_works") and "+50 %" in line and line.endswith("regressed")
        for line in ran.lines
    )
    assert "call used 3.00 J in B, 2.00 J in A (+50 %, 95 % CI " in ran.out
    assert ran.lines[-1] == "energy: 2 measured, 2 compared: 1 passed, 1 regressed"
    assert "--energy-save" not in ran.out


def test_the_same_energy_exits_with_0(files: Path) -> None:
    """An improvement is not a regression."""
    assert 0 == run(files, "compare", "a.json", "c.json").code
    ran = run(files, "compare", "b.json", "a.json")
    assert 0 == ran.code
    assert "1 improved, 0 regressed" in ran.lines[-1]


def test_it_is_plain_and_fits_80_columns_in_a_pipe(files: Path) -> None:
    """There is no color, and no line is wider."""
    lines = run(files, "compare", "a.json", "b.json").lines
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
    ascii_only = run(files, "compare", "a.json", "b.json", PYTHONIOENCODING="ascii")
    assert (1, True) == (ascii_only.code, ascii_only.out.isascii())
    edit(files, "a.json", lambda document: document["results"][0].update(name="encode"))
    ran = run(files, "compare", "a.json", "b.json", PYTHONIOENCODING="ascii").lines
    assert "energy: only in A: 1 measurement: test_it.py::test_works - encode" in ran


def test_the_margin_can_be_set(files: Path) -> None:
    """A wide margin lets the same measurements pass."""
    assert 0 == run(files, "compare", "--max-increase=80%", "a.json", "b.json").code
    ran = run(files, "compare", "--max-increase", "80", "a.json", "b.json")
    assert (2, "") == (ran.code, ran.out)
    assert "'80': expected a percentage" in ran.err


def test_the_margin_of_the_run_is_the_default(files: Path) -> None:
    """The margin of the run that wrote B applies."""
    edit(files, "b.json", lambda document: document["policy"].update(max_increase=0.8))
    assert 0 == run(files, "compare", "a.json", "b.json").code


def test_other_machines_are_not_comparable(files: Path) -> None:
    """The fact that differs is printed once, and nothing was gated."""
    edit(files, "a.json", lambda document: document["environment"]["machine"].update(cpu="Other"))
    ran = run(files, "compare", "a.json", "b.json")
    assert 0 == ran.code
    assert "not comparable: 2 measurements" in ran.lines
    assert any(line.startswith("  (cpu: Other -> ") for line in ran.lines)
    assert "0 compared: nothing was gated" in ran.lines[-1]


def test_tests_of_only_one_file_are_counted_and_named(files: Path) -> None:
    """They are not in the table."""
    edit(files, "a.json", lambda document: document["results"].pop(0))
    edit(files, "b.json", lambda document: document["results"].pop(1))
    ran = run(files, "compare", "a.json", "b.json")
    assert 0 == ran.code
    assert ran.lines[2:] == [
        "energy: only in A: 1 measurement: test_it.py::test_constant[32]",
        "energy: only in B: 1 measurement: test_it.py::test_works",
        "energy: 0 measured, 0 compared: nothing was gated",
    ]


def test_runs_that_compared_with_a_ref_are_compared_with_each_other(files: Path) -> None:
    """What each found against its ref is in neither table; a merged file keeps it."""
    known = {"ref": "main", "commit": "3f2a91c", "outcome": "regressed", "margin": 0.05}
    found = {**known, "relative": 0.5, "low": 0.4, "high": 0.6, "baseline_j": 1.0, "pairs": 7}

    def compared_with_a_ref(document: Any) -> None:
        document["policy"]["ab"] = "3f2a91c (main)"
        for result in document["results"]:
            result["verdict"] |= {"outcome": "regressed", "interleaved": found}

    for name in ("a.json", "c.json"):
        edit(files, name, compared_with_a_ref)
    ran = run(files, "compare", "a.json", "c.json")
    assert (0, "") == (ran.code, ran.err)
    assert "2 passed" in ran.lines[-1]
    assert "A/B" not in ran.out
    assert run(files, "merge", "all.json", "a.json", "c.json").code == 0
    merged = json.loads((files / "all.json").read_text())
    assert merged["policy"]["ab"] == "3f2a91c (main)"
    assert [each["verdict"]["interleaved"] for each in merged["results"]] == [found, found]


def test_a_run_that_saved_is_compared_too(project: Project) -> None:
    """A run that saved its results as a baseline is compared like any other."""
    project.write("test_it.py", TESTS)
    for name, joules in (("a", 2.0), ("b", 3.0)):
        project.save(joules=joules)
        (project.path / "results.json").rename(project.path / f"{name}.json")
    ran = run(project.path, "compare", "a.json", "b.json")
    assert 1 == ran.code
    assert "saved" not in ran.out
    assert "accepted" not in ran.out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.json", None, "gone.json: cannot be read (No such file or directory); name a file"),
        ("odd.json", "{}", "odd.json: not a result file (Object missing required field"),
        ("odd.json", '{"schema": 9}', "odd.json: written by a newer pytest-greenops (schema 9"),
    ],
)
def test_files_that_cannot_be_read_are_reported(
    files: Path, name: str, text: str | None, said: str
) -> None:
    """One line names the file and the fix, for A and for B."""
    if text is not None:
        (files / name).write_text(text)
    assert refused(files, "compare", name, "b.json").startswith(said)
    assert refused(files, "compare", "a.json", name).startswith(said)
