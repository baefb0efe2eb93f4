"""`--energy-json`: the results for programs."""

from __future__ import annotations

import json
import math

import pytest

from pytest_greenops.model.result import SCHEMA
from tests.integration.projects import Project


def test_document(project: Project) -> None:
    """The file holds every figure of every result, and the policy of the run."""
    project.write(
        "unit/test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("3 J", max_increase="7%")
        @pytest.mark.parametrize("size", [8])
        def test_it(energy, work, size):
            energy.units(sample=size)
            energy(work)
            energy.quality(accuracy=0.5)

        def test_never(energy): pass
        """,
    )
    document = project.energy("--energy-strict", "--energy-save-new").document
    assert document.schema == SCHEMA
    assert document.policy.strict
    assert document.policy.saving == "new"
    assert document.policy.baselines == "baselines"
    assert document.environment.machine["sensors"] == "fake"
    assert document.environment.recorded["python"]
    measured, never = document.results
    assert (measured.test.module, measured.test.name) == ("unit/test_it.py", "test_it[8]")
    assert (measured.joules, measured.watts, measured.seconds) == (2.0, 20.0, 0.1)
    assert measured.per_unit == {"sample": 0.25}
    assert measured.quality == {"accuracy": 0.5}
    assert measured.verdict.limits[0].limit == 3.0
    assert measured.saved
    assert never.verdict.outcome == "not measured"
    assert math.isnan(never.joules)


def test_is_plain_json(project: Project) -> None:
    """Unknown figures are omitted, never NaN; keys are sorted; the last line ends."""
    project.write("test_it.py", "def test_never(energy): pass")
    project.energy()
    text = (project.path / "results.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    def in_order(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
        return dict(pairs)

    document = json.loads(text, parse_constant=refuse, object_pairs_hook=in_order)
    [never] = document["results"]
    assert "joules" not in never
    assert text.endswith("}\n")


def test_place(project: Project) -> None:
    """The path is relative to the folder in which pytest starts; its folders are made."""
    (project.path / "below").mkdir()
    project.write("below/test_it.py", "def test_it(): pass")
    project.monkeypatch.chdir(project.path / "below")
    project.run("--energy", "--energy-json=out/put.json")
    assert (project.path / "below" / "out" / "put.json").is_file()


def test_cannot_be_written(project: Project) -> None:
    """A file that cannot be written is refused before anything is measured."""
    project.write("test_it.py", "def test_it(): pass")
    project.write("taken", "a file")
    ran = project.run("--energy", "--energy-json=taken/out.json")
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.USAGE_ERROR, {})
    [said] = ran.errors
    path = project.path / "taken/out.json"
    assert said.startswith(f"ERROR: --energy-json {path}: cannot be written (")
    assert said.endswith("; name another file")


def test_another_file_is_kept(project: Project) -> None:
    """The option takes the next argument: a test file is not replaced by results."""
    path = project.write("test_it.py", "def test_it(): pass")
    before = path.read_bytes()
    ran = project.run("--energy", "--energy-json", "test_it.py", "-k", "one")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [
        f"ERROR: --energy-json {path}: holds no results of pytest-greenops, and would be "
        f"overwritten; name another file, or delete it: rm {path}"
    ]
    assert path.read_bytes() == before


def test_needs_a_measured_run(project: Project) -> None:
    """Without `--energy` it is a usage error."""
    ran = project.run("--energy-json=out.json")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [
        "ERROR: --energy-json has no effect without --energy: "
        "pytest --energy --energy-json=out.json"
    ]
