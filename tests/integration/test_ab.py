"""`--energy-ab`: tests are compared with a git ref, whose processes and this one's take turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.ab_projects import HERE, compared_project, git, repository
from tests.integration.projects import ALONE, Project, spread_over_days

#: What both sides have in common.
TESTS = """
import os
import unittest

import pytest

import mypkg

#: One call in a window, and as many windows as there are to be: that takes no time.
ONE = {{"iterations": 1, "warmup_rounds": 1}}


def test_same(energy, work):
    energy.pedantic(work, **ONE)


def test_more(energy, work):
    energy.pedantic(work, ("more",), **ONE)


def test_less(energy, work):
    energy.pedantic(work, ("less",), **ONE)


@pytest.mark.energy_budget(max_time="1 ms")  # not even the fewest pairs
def test_without_time(energy, work):
    energy.pedantic(work, **ONE)


def test_fails_there(energy, work):
    assert not mypkg.REF, "not yet"
    energy(work)


def test_is_skipped_there(energy, work):
    if mypkg.REF:
        pytest.skip("too old")
    energy(work)


@pytest.fixture
def server():
    if mypkg.REF:
        raise OSError("no such server")


def test_set_up_fails_there(energy, work, server):
    energy(work)


def test_dies_there(energy, work):
    if mypkg.REF:
        os._exit(3)
    energy(work)


def test_measures_less_there(energy, work):
    energy.named("first").pedantic(work, **ONE)
    if not mypkg.REF:
        energy.named("second").pedantic(work, **ONE)


@pytest.mark.parametrize("name", {parameters})
def test_parameters(energy, work, name):
    energy.pedantic(work, **ONE)


@pytest.mark.energy_budget("9 J", max_rounds=1)
def test_two_windows(energy, work):
    for _ in energy.rounds():
        with energy.measure("load"):
            work()
        with energy.measure("step"):
            work()


def test_two_loops(energy, work):
    energy.named("first").pedantic(work, **ONE)
    energy.named("second").pedantic(work, **ONE)


def test_set_up(energy, work):
    made = []

    def make():
        made.append("same")
        return made[-1:], {{}}

    energy.pedantic(work, setup=make, rounds=3, **ONE)
    assert made


@pytest.mark.energy_budget("9 J", max_rounds=1)
def test_whole(work):
    work()


def test_units(energy, work):
    energy.units(word=10)
    energy.pedantic(work, **ONE)
    assert energy.results["call"].per_unit["word"] == pytest.approx(0.2, rel=0.1)


class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, energy, work):
        self.energy, self.work = energy, work

    def test_method(self):
        self.energy.pedantic(self.work, **ONE)


{more}
"""
ON_MAIN = TESTS.format(parameters='["same"]', more="def test_was_plain(): pass")
HERE_ONLY = """
def test_was_plain(energy, work):
    energy(work)


def test_new(energy, work):
    energy(work)
"""
TESTS_HERE = TESTS.format(parameters='["same", "more"]', more=HERE_ONLY)
AB = "--energy-ab=main"
#: Where this plugin is.
PLUGIN = str(Path(__file__).parents[2])


def test_each_kind_of_test(project: Project) -> None:
    """Every measurement of every kind of test is compared, or it is said why it cannot be."""
    compared_project(project, ON_MAIN, TESTS_HERE)
    ran = project.energy(AB, "tests")
    outcomes = dict(ran.verdicts)
    decided = {"test_more": "regressed", "test_less": "improved"}
    decided["test_without_time"] = "inconclusive"
    assert decided == {name: outcomes.pop(name) for name in decided}
    passed = {
        *("test_same", "test_parameters[same]", "test_two_windows/load", "test_two_windows/step"),
        *("test_two_loops/first", "test_two_loops/second", "test_set_up", "test_whole"),
        *("test_units", "TestCase.test_method"),
    }
    assert {name for name, outcome in outcomes.items() if outcome == "passed"} == passed
    assert {name: outcome for name, outcome in outcomes.items() if name not in passed} == {
        "test_fails_there": "not comparable",
        "test_is_skipped_there": "not comparable",
        "test_set_up_fails_there": "not comparable",
        "test_dies_there": "not comparable",
        "test_measures_less_there/first": "not comparable",
        "test_measures_less_there/second": "not comparable",
        "test_parameters[more]": "no baseline",
        "test_was_plain": "no baseline",
        "test_new": "no baseline",
    }
    ran.stdout.fnmatch_lines(
        [
            "not comparable: tests/test_it.py::test_fails_there",
            "  (in main, the test failed: AssertionError: not yet)*",
            "  (in main, the test was skipped)*",
            "  (in main, the test failed in its setup: OSError: no such server)*",
            "  (in main, its process ended with exit code 3)*",
            "  (the test measures less in main)*",
            "no baseline: 2 measurements",
            "  no baseline (not in main)*",
            "  no baseline (not an energy test in main)*",
        ]
    )
    nothing_is_left(project)


def nothing_is_left(project: Project) -> None:
    """Assert that no tree, no folder and no file of the comparison is there."""
    assert len(git(project.path, "worktree", "list").splitlines()) == 1
    temporary = Path(os.environ.get("TMPDIR", "/tmp"))
    mine = [each.name.split("-")[3] for each in temporary.glob("pytest-greenops-ab-*")]
    assert not [pid for pid in mine if not psutil.pid_exists(int(pid))]


FACTS = """
import json
import os
import sys
from pathlib import Path

import pytest

import mypkg

ONE = {"iterations": 1, "warmup_rounds": 1}


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tmp_path_factory.mktemp("model")


def test_facts(energy, work, model, pytestconfig):
    facts = {
        "flags": list(sys.flags),
        "warnings": sys.warnoptions,
        "hash": hash("a"),
        "argv": sys.argv,
        "limits": Path("/proc/self/limits").read_text(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "options": {name: str(value) for name, value in vars(pytestconfig.option).items()},
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "path": sys.path,
        "modules": sorted(sys.modules),
        "model": str(model),
    }
    tree = str(Path(mypkg.__file__).parents[2])
    text = json.dumps(facts).replace(tree, "TREE").replace(os.environ["HOME"], "TREE")
    Path(os.environ["FACTS"], "ref" if mypkg.REF else "here").write_text(text)
    print("printed by the test")
    energy.pedantic(work, **ONE)


def test_closes(energy, work):
    os.closerange(30, 200)
    energy.pedantic(work, **ONE)


def test_goes_elsewhere(energy, work, tmp_path):
    os.chdir(tmp_path)
    energy.pedantic(work, **ONE)


def test_replaces(energy, work, monkeypatch):
    import subprocess
    import time

    def refuse(*args, **kwargs):
        raise AssertionError("replaced")

    for module, name in (
        *((time, "time"), (time, "sleep"), (time, "monotonic"), (os, "read"), (os, "write")),
        *((os, "fork"), (os, "waitpid"), (os, "getpid"), (subprocess, "Popen")),
    ):
        monkeypatch.setattr(module, name, refuse)
    energy.pedantic(work, **ONE)
    monkeypatch.undo()


def test_threads(energy, work):
    import threading

    end = threading.Event()
    threading.Thread(target=end.wait).start()
    energy.pedantic(work, **ONE)
    end.set()


def test_port(energy, work):
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", int(os.environ["PORT"])))
        energy.pedantic(work, **ONE)
"""


def test_sides_are_alike(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both processes differ in nothing but the tree, and bear what tests do to theirs."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(free.getsockname()[1]))
    facts = tmp_path / "facts"
    facts.mkdir()
    monkeypatch.setenv("FACTS", str(facts))
    compared_project(project, FACTS)
    ran = project.energy(AB, "tests")
    assert set(ran.verdicts.values()) == {"passed"}
    here, ref = (json.loads((facts / name).read_text()) for name in ("here", "ref"))
    assert ref["environ"].pop("PYTEST_GREENOPS_TREE")
    for different in ("/here/", "/ref/"):
        assert (different in here["model"]) == (different == "/here/")
    for side in (here, ref):
        side["options"].pop("basetemp")
        side.pop("model")
        path = side["environ"]["PYTHONPATH"].split(os.pathsep)
        side["environ"]["PYTHONPATH"] = path[1:]
        side["path"] = list(dict.fromkeys(side["path"]))
    assert {name: value for name, value in here.items() if value != ref[name]} == {}
    assert here["environ"]["PYTHONHASHSEED"]
    notes = {n: r.verdict.interleaved.notes for n, r in ran.results.items()}
    [why] = notes.pop("test_port")
    assert "Address already in use" in why
    assert not any(notes.values())
    assert "printed by the test" not in ran.text
    nothing_is_left(project)


ONE_TEST = """
def test_works(energy, work):
    energy.pedantic(work, iterations=1, warmup_rounds=1)
"""


def test_refusals(project: Project) -> None:
    """What cannot be compared with is an error of one line, before anything runs."""
    project.write("test_it.py", ONE_TEST)
    for args, words in (
        ((AB,), "is not in a git repository"),
        (("--energy-ab=none",), "--energy-ab='none': no such branch, tag or commit"),
        ((AB, "-p", "xdist", "-n2"), "--energy-ab compares one test at a time"),
        ((AB, *ALONE), "--energy-ab runs each test in other processes too"),
    ):
        ran = project.run("--energy", *args)
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        errors = [line for line in ran.errors if line.startswith("ERROR: ")]
        assert len(errors) == 1
        assert words in errors[0]
        if words.startswith("is not"):
            repository(project.path, {})


def test_after_a_stored_baseline(project: Project) -> None:
    """Of what the stored screen does not pass, both its change and that over the ref are shown."""
    compared_project(project, ONE_TEST)
    git(project.path, "checkout", "--quiet", "--", ".")
    project.save("tests", *ALONE)
    source = HERE.replace('"same": 2.0', '"same": 2.6')
    project.write("src/mypkg/__init__.py", source)
    ran = project.energy(AB, "tests", "--strict-markers")
    found = ran.results["test_works"]
    assert found.verdict.outcome == "regressed"
    assert found.verdict.change.relative == pytest.approx(0.3, abs=0.05)
    assert found.verdict.interleaved.relative == pytest.approx(0.3, abs=0.05)
    nothing_is_left(project)


def test_after_a_firm_baseline(project: Project) -> None:
    """What the stored screen passes firmly is not compared with the ref."""
    compared_project(project, ONE_TEST)
    git(project.path, "checkout", "--quiet", "--", ".")
    for _ in range(3):
        project.save("tests", *ALONE)
    spread_over_days(project.path / "baselines")
    found = project.energy(AB, "tests").results["test_works"]
    assert found.verdict.outcome == "passed"
    assert not found.verdict.change.provisional
    assert found.verdict.interleaved is None
    nothing_is_left(project)


WAITS = """
import os
import time
from pathlib import Path


def test_waits(energy, work):
    def wait():
        work()
        if "pytest-greenops-ab" in os.getcwd():
            Path(os.environ["BEGUN"]).touch()
            time.sleep(60)

    energy(wait)
"""


#: A shell in the background lets Python ignore Ctrl-C.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import pytest
sys.path.insert(0, "")
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    """Ctrl-C leaves nothing; after SIGKILL all processes end, and the next run removes the rest."""
    begun = tmp_path / "begun"
    monkeypatch.setenv("BEGUN", str(begun))
    monkeypatch.setenv("JOULES", "2")
    monkeypatch.setenv("SEED", "0")
    compared_project(project, WAITS)
    command = [sys.executable, "-c", INTERRUPTIBLE, "-p", "greenops", "--energy", AB, "tests"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": PLUGIN}
    parent = subprocess.Popen(
        command,
        cwd=project.path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process = psutil.Process(parent.pid)
        until(begun.exists)
        children = process.children(recursive=True)
        assert len(children) >= 2
        parent.send_signal(how)
        parent.wait(20)
        until(lambda: not any(map(_lives, children)))
    finally:
        parent.kill()
    if how == signal.SIGKILL:
        assert len(git(project.path, "worktree", "list").splitlines()) == 2
        project.run("--energy", AB, "tests", "-k", "nothing")
        project.write("tests/test_it.py", "def test_new(energy, work): energy(work)")
        project.run("--energy", AB, "tests")
    nothing_is_left(project)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is the case, for at most 30 s."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
