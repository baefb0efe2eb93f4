"""`--energy-save`: the energy of passed tests becomes their baseline, and nothing else does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_greenops.model.baseline import SCHEMA
from tests.integration.projects import ALONE, NOISY, WORKS, Project


def test_one_file_for_each_test(project: Project) -> None:
    """A file has the path machine, module, test and parameters, and holds the rounds."""
    project.write("unit/test_it.py", WORKS + "\n\ndef test_other(): pass\n")
    project.write(
        "test_top.py",
        """
        import pytest

        @pytest.mark.parametrize("size", [1, 2])
        class TestClass:
            def test_method(self, size, energy, spend):
                energy.units(sample=4)
                energy.quality(accuracy=0.9)
                energy.named("a")(spend, size)
                energy.named("b")(spend, 8.0)
        """,
    )
    ran = project.save()
    assert ran.outcomes == {"passed": 4}
    assert ran.counts == {"measured": 5, "no baseline": 5, "baselines saved": 5}
    assert all(result.saved for result in ran.results.values())
    [machine] = (project.path / "baselines").glob("[!.]*")
    assert machine.name.startswith(ran.energy_lines[1].rpartition("/")[2])
    files = project.baselines()
    assert sorted(files)[-1] == "unit/test_it.py/test_works.json"
    assert len(files) == 3
    assert {file.rpartition("/")[0] for file in files} == {"test_top.py", "unit/test_it.py"}
    [method] = [baseline for baseline in files.values() if baseline.test.param_id == "2"]
    assert method.test.qualname == "TestClass.test_method"
    [session] = method.measurements["a"].sessions
    assert len(session.rounds) == 10
    assert session.quality == {"accuracy": 0.9}
    for round_ in session.rounds:
        assert round_.energy_uj["cpu:0"] == 2_000_000 * round_.iterations
        assert round_.units == {"sample": 4.0 * round_.iterations}
    assert method.measurements["b"].anchor.joules_per_unit == {
        "call": {"cpu:0": 8.0, "dram:0": 0.0},
        "sample": {"cpu:0": 2.0, "dram:0": 0.0},
    }


def test_files_are_for_diffs(project: Project) -> None:
    """Keys are sorted, floats short, the last line ends; no user, host or folder is named."""
    project.sensor(
        NOISY,
        more="""
        import os, platform, socket

        UNAME = tuple(os.uname())
        os.uname = lambda: os.uname_result((UNAME[0], "the-host-name", *UNAME[2:]))
        socket.gethostname = platform.node = lambda: "the-host-name"
        """,
    )
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        project.monkeypatch.setenv(name, "the-user-name")
    project.write("test_it.py", WORKS)
    project.save()
    [data] = project.files().values()
    text = data.decode()
    assert text.endswith("}\n")
    for name in ("the-host-name", "the-user-name", str(project.path), str(Path.home())):
        assert name not in text
    document = msgspec.json.decode(data)
    assert [key for keys in _objects(document) for key in keys] == [
        key for keys in _objects(document) for key in sorted(keys)
    ]
    assert [leaf for leaf in _leaves(document) if isinstance(leaf, str) and "/" in leaf[:1]] == []
    floats = [leaf for leaf in _leaves(document) if isinstance(leaf, float)]
    assert floats
    assert floats == [float(f"{number:.6g}") for number in floats]


def _objects(value: Any) -> list[list[str]]:
    if isinstance(value, dict):
        return [list(value), *(keys for item in value.values() for keys in _objects(item))]
    return [keys for item in value for keys in _objects(item)] if isinstance(value, list) else []


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]
    )


def test_sessions_add_up(saved: Project) -> None:
    """A session that agrees joins the others; an accepted regression replaces them."""
    first = saved.baseline().measurements["call"]
    counts = {"measured": 1, "compared": 1, "passed": 1, "baseline saved": 1}
    assert saved.save(joules=2.02).counts == counts
    second = saved.baseline().measurements["call"]
    assert len(second.sessions) == 2
    assert second.sessions[0] == first.sessions[0]
    assert second.anchor == first.anchor

    regressed = saved.save(joules=4.0)
    assert regressed.outcomes == {"passed": 1}
    assert "0 passed, 1 regressed (accepted); 1 baseline saved" in regressed.closing
    assert regressed.counts["baseline saved"] == 1
    third = saved.baseline().measurements["call"]
    assert [session.rounds[0].energy_uj["cpu:0"] for session in third.sessions] == [4_000_000]
    assert third.anchor.saved_at == first.anchor.saved_at

    assert saved.energy(joules=4.0).verdicts == {"test_works": "passed"}
    improved = saved.save(joules=2.0)
    assert improved.verdicts == {"test_works": "improved"}
    [session] = saved.baseline().measurements["call"].sessions
    assert session.rounds[0].energy_uj["cpu:0"] == 2_000_000


def test_only_passed_tests_are_saved(project: Project) -> None:
    """A failed test is reported as not saved; a test that only warns over its budget too."""
    project.write(
        "test_it.py",
        """
        import pytest


        @pytest.mark.energy_budget("1 J")
        def test_over(work):
            work()


        def test_fails(energy, work):
            energy(work)
            assert False


        @pytest.fixture
        def broken():
            yield
            raise RuntimeError


        def test_teardown(energy, work, broken):
            energy(work)


        @pytest.mark.energy_budget("1 J", action="warn")
        def test_warns(work):
            work()


        def test_good(energy, work):
            energy(work)


        @pytest.mark.skip
        def test_skipped(energy):
            pass


        def test_skips(energy):
            pytest.skip("not here")
        """,
    )
    ran = project.save(*ALONE)
    assert ran.outcomes == {"passed": 3, "failed": 2, "errors": 1, "skipped": 2}
    assert list(project.files()) == ["test_it.py/test_good.json"]
    assert [line for line in ran.energy_lines if line.startswith("not saved")] == [
        "not saved: test_it.py::test_over: the test did not pass",
        "not saved: test_it.py::test_fails: the test did not pass",
        "not saved: test_it.py::test_teardown: the test did not pass",
        "not saved: test_it.py::test_warns: over its budget",
    ]
    ran.stdout.fnmatch_lines(["EnergyBudgetExceeded: call used 2.00 J, budget 1.00 J *"])


def test_other_files_are_not_touched(saved: Project) -> None:
    """Baselines of tests that did not run keep their bytes and their time."""
    saved.write("test_it.py", WORKS + "\n\ndef test_more(energy, work): energy(work)\n")
    before, path = saved.files(), saved.baseline_path()
    written_ns = path.stat().st_mtime_ns
    saved.save("test_it.py::test_more")
    after = saved.files()
    assert after.pop("test_it.py/test_more.json")
    assert after == before
    assert path.stat().st_mtime_ns == written_ns


def test_a_measured_run_writes_no_baseline(project: Project) -> None:
    """`--energy` alone only reads."""
    project.write("test_it.py", WORKS)
    project.energy()
    assert not (project.path / "baselines").exists()


DAMAGES = {
    "damaged": lambda data: data[: len(data) // 2],
    "a newer pytest-greenops": lambda data: data.replace(
        b'"schema": %d' % SCHEMA, b'"schema": %d' % (SCHEMA + 1)
    ),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_damaged_files_stop_the_run(saved: Project, said: str) -> None:
    """A baseline that cannot be read ends the run in one line that names it, and is kept."""
    path = saved.baseline_path()
    bad = DAMAGES[said](path.read_bytes())
    path.write_bytes(bad)
    for run in (saved.energy, saved.save):
        ran = run()
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        [line] = ran.errors
        assert line.startswith(f"ERROR: {path}: ")
        assert said in line
        assert path.read_bytes() == bad


def test_no_folder_can_be_made(project: Project) -> None:
    """If baselines cannot be written, the run ends in one line before it measures."""
    project.write("test_it.py", 'def test_it(energy): raise AssertionError("ran")')
    project.write("baselines", "a file")
    ran = project.save()
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [line] = ran.errors
    assert line == (
        f"ERROR: {project.path / 'baselines'}: a file, expected a folder of baselines: "
        "--energy-baselines=DIR"
    )
    assert "ran" not in ran.text


def test_a_file_cannot_be_written(saved: Project) -> None:
    """A baseline that cannot be written is reported, and fails a run whose tests passed."""
    path = saved.baseline_path()
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file where a folder should be")
    ran = saved.save("test_it.py")
    assert ran.outcomes == {"passed": 1}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    [line] = [line for line in ran.energy_lines if str(path) in line]
    assert "cannot be written" in line
    assert "baseline saved" not in ran.closing


def test_folder_is_read_only(saved: Project) -> None:
    """A folder without write access ends a saving run in one line; other runs still read it."""
    folder = saved.path / "baselines"
    folders = [path for path in (folder, *folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        ran = saved.save()
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        [line] = ran.errors
        assert line.startswith(f"ERROR: {folder}: cannot be written (Permission denied); ")
        assert saved.energy().verdicts == {"test_works": "passed"}
    finally:
        for path in folders:
            path.chmod(0o755)


@pytest.mark.parametrize("option", ["--collect-only", "--fixtures"])
def test_what_runs_no_test_makes_no_folder(project: Project, option: str) -> None:
    """A run that only lists tests or fixtures makes no folder and has no closing line."""
    project.write("test_it.py", "def test_it(energy): pass")
    ran = project.run("--energy", "--energy-save", option)
    assert ran.code == pytest.ExitCode.OK
    assert not (project.path / "baselines").exists()
    assert not [line for line in ran.energy_lines if "measured" in line]


def test_names_of_tests_are_their_own(project: Project) -> None:
    """Tests outside the root, and with hidden or odd param ids, have their own baselines."""
    project.write("one/test_x.py", "def test_it(energy, work): energy(work)")
    project.write("two/test_x.py", "def test_it(energy, work): energy(work)")
    project.write("pytest.ini", "")
    project.write("root/pytest.ini", "[pytest]\nenergy_sensors = fake\naddopts = -p conftest\n")
    project.write(
        "root/test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("x", [1], ids=["a::b"])
        def test_odd(energy, work, x): energy(work)

        @pytest.mark.parametrize("x", [1], ids=[getattr(pytest, "HIDDEN_PARAM", "1")])
        def test_hidden(energy, work, x): energy(work)
        """,
    )
    ran = project.save(
        *("-c", "root/pytest.ini", "--rootdir=root", "--import-mode=importlib"),
        *("one/test_x.py", "two/test_x.py", "root/test_it.py"),
    )
    assert {(r.test.module, r.test.name) for r in ran.document.results} == {
        ("../one/test_x.py", "test_it"),
        ("../two/test_x.py", "test_it"),
        ("test_it.py", "test_odd[a::b]"),
        ("test_it.py", "test_hidden" if hasattr(pytest, "HIDDEN_PARAM") else "test_hidden[1]"),
    }
    assert ran.counts["baselines saved"] == 4


def test_a_baseline_that_starts_anew_is_named(grown: Project) -> None:
    """Both levels, what is left of the sessions, and what confirmed the change or explains it."""
    [line] = [x for x in grown.save(joules=3.0, seed=6).energy_lines if "started anew" in x]
    assert re.fullmatch(
        r"baseline started anew: test_it\.py::test_works: 2\.00 J, 5 sessions -> \d\.\d\d J, "
        r"1 session \(provisional\): \+\d\d % \(95 % CI .*\), confirmed by a fresh process",
        line,
    )
    [line] = [x for x in grown.save(joules=1.0, seed=7).energy_lines if "started anew" in x]
    assert line.endswith(
        "in one process: if this is noise, restore the file with git and save again"
    )
    assert not [x for x in grown.save(joules=1.0, seed=8).energy_lines if "anew" in x]


def test_a_run_that_saves_nothing_says_so(project: Project) -> None:
    """It says why before the closing line, advises something else, and is red if it is strict."""
    project.write("test_it.py", "def test_it(energy, spend):\n    energy(spend, 2.0)\n    1 / 0\n")
    ran = project.save()
    assert ran.energy_lines[-3:-1] == [
        "not saved: test_it.py::test_it: the test did not pass",
        "nothing was saved: the lines above say why",
    ]
    assert "pytest --energy-save" not in ran.text
    project.write("test_it.py", "def test_plain(): pass\n")
    strict = project.save("--energy-strict")
    assert (strict.code, strict.outcomes) == (pytest.ExitCode.TESTS_FAILED, {"passed": 1})
    why = "nothing was saved: no energy test ran; pytest-greenops init proposes a first one"
    assert why in strict.energy_lines
    assert strict.closing.endswith("exit status 1: --energy-strict is on, and nothing was saved")
    assert project.save().code == pytest.ExitCode.OK
