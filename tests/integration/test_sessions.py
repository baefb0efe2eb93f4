"""Sessions in fresh processes: those of `--energy-sessions`, and one for an open verdict."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from pytest_greenops.model.result import Result
from tests.integration.projects import NOISY, Project

#: Joules that neither pass nor fail at five sessions of 2 J, which are assumed to scatter by 3 %.
OPEN = 2.12
#: A fixture that is true in the fresh process, which runs after the first one.
AGAIN = """
from pathlib import Path

@pytest.fixture
def again():
    seen = Path(__file__).with_name("seen")
    if seen.exists():
        return True
    seen.touch()
    return False
"""
#: Work that uses 2 J in the fresh process, and the joules of the run in the first one.
CALMS_DOWN = (
    AGAIN
    + """
@pytest.fixture
def work(again):
    return lambda: SENSOR.spend(2.0 if again else float(os.environ["JOULES"]))
"""
)
LOGS = """
    import os

    def test_works(energy, work):
        with open("log.txt", "a") as log:
            print(os.getpid(), file=log)
        energy(work)
"""


def only(project: Project, *args: str, joules: float = OPEN, plugins: bool = False) -> Result:
    """Return the result of `test_works` in a run that passes."""
    ran = project.energy(*args, joules=joules, plugins=plugins)
    assert ran.outcomes.get("passed", 0) == 1, ran.text
    return ran.results["test_works"]


def said(result: Result) -> str:
    """Return why a fresh session was not used, the only check of a result."""
    assert result.fresh == ()
    assert result.verdict.outcome == "inconclusive"
    [check] = result.checks
    assert (check.name, check.done) == ("fresh session", "judged without it")
    return check.finding


# --- --energy-sessions -----------------------------------------------------------------------


def test_three_sessions_at_once_are_one_occasion(project: Project) -> None:
    """Each session is measured in its own process and saved, but the baseline stays provisional."""
    project.write("test_it.py", LOGS)
    ran = project.save("--energy-sessions=3")
    assert ran.outcomes == {"passed": 1}
    assert len(set(project.log())) == 3
    sessions = project.baseline().measurements["call"].sessions
    assert [len(session.rounds) for session in sessions] == [10, 10, 10]
    ran.stdout.fnmatch_lines(["*30 rounds in 3 sessions*"])
    change = project.energy().results["test_works"].verdict.change
    assert change
    assert (change.sessions, change.occasions, change.provisional) == (3, 1, True)


def test_sessions_are_judged_together(saved: Project) -> None:
    """Without saving, all sessions of a test are judged together, and none is kept."""
    saved.sensor(more=CALMS_DOWN)
    before = saved.files()
    result = only(saved, "--energy-sessions=2", joules=2.04)
    assert result.verdict.outcome == "passed"
    assert [len(rounds) for rounds in result.sessions] == [10, 10]
    assert result.joules == pytest.approx((2.0 * 2.04) ** 0.5)
    assert saved.files() == before


def test_accepting_a_change_replaces_the_baseline_once(saved: Project) -> None:
    """An accepted regression replaces the baseline with all sessions of its run."""
    saved.save("--energy-sessions=2", joules=3.0)
    assert len(saved.baseline().measurements["call"].sessions) == 2


def test_the_ini_twin(project: Project) -> None:
    """`energy_sessions` does the same, and a test that runs once has sessions of one round."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_sessions = 2\n")
    project.write("test_it.py", LOGS)
    project.save("--energy-max-rounds=1")
    assert len(project.log()) == len(set(project.log())) == 2
    sessions = project.baseline().measurements["call"].sessions
    assert [len(session.rounds) for session in sessions] == [1, 1]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (
            ["--energy-sessions=0"],
            "ERROR: --energy-sessions: '0': expected a whole number >= 1",
        ),
        (
            ["--energy-sessions=3", "-o", "energy_fresh_process=false"],
            "ERROR: --energy-sessions 3 needs fresh processes, but energy_fresh_process is off: "
            "change one",
        ),
    ],
    ids=["none", "no fresh process"],
)
def test_impossible_sessions_are_usage_errors(
    project: Project, args: list[str], error: str
) -> None:
    """No session, or several without fresh processes, is an error that names the option."""
    ran = project.energy(*args)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert error in ran.errors


# --- the last look ---------------------------------------------------------------------------


def test_an_open_test_is_measured_once_more(grown: Project) -> None:
    """A test that its looks leave open is measured in one fresh process, then judged."""
    grown.sensor(NOISY, CALMS_DOWN)
    grown.write("test_it.py", LOGS)
    ran = grown.energy(joules=OPEN, seed=9)
    result = ran.results["test_works"]
    assert len(set(grown.log())) == 2
    assert [len(rounds) for rounds in result.sessions] == [15, 10]
    assert result.joules == pytest.approx((2.0 * OPEN) ** 0.5, rel=0.01)
    assert result.checks == ()
    ran.stdout.fnmatch_lines(["*25 rounds in 2 sessions*"])


@pytest.mark.parametrize(
    ("args", "joules"),
    [((), 2.0), (("--energy-max-rounds=1",), OPEN), (("--energy-save",), OPEN)],
    ids=["it passed", "it cannot be repeated", "it is accepted"],
)
def test_no_fresh_process_for_what_needs_none(
    grown: Project, args: tuple[str, ...], joules: float
) -> None:
    """A decided test, a test that runs once and a test that is saved use one process."""
    grown.write("test_it.py", LOGS)
    assert only(grown, *args, joules=joules).fresh == ()
    assert len(set(grown.log())) == 1


@pytest.mark.parametrize("joules", [OPEN, 3.0], ids=["open", "red"])
def test_fresh_processes_can_be_forbidden(grown: Project, joules: float) -> None:
    """With `energy_fresh_process = false` a test runs in one process, and the report says so."""
    grown.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_fresh_process = false\n")
    grown.write("test_it.py", LOGS)
    result = grown.energy(joules=joules).results["test_works"]
    assert len(set(grown.log())) == 1
    assert result.fresh == ()
    [check] = result.checks
    assert (check.name, check.finding) == ("fresh session", "energy_fresh_process is off")
    assert result.verdict.confirmed is None


def test_a_regression_is_reported_with_its_confirmation(saved: Project) -> None:
    """The failure also shows what the fresh process found."""
    saved.write("test_it.py", LOGS)
    ran = saved.energy(joules=3.0)
    assert ran.outcomes == {"failed": 1}
    assert len(set(saved.log())) == 2
    assert ran.results["test_works"].verdict.confirmed == pytest.approx(0.5)
    assert "fresh process +50 %" in ran.failure("test_works")


def test_an_unconfirmed_increase_does_not_fail(saved: Project) -> None:
    """A test that a fresh process finds unchanged is inconclusive, and the run says why."""
    saved.sensor(more=CALMS_DOWN)
    ran = saved.energy(joules=3.0)
    assert ran.outcomes == {"passed": 1}
    assert ran.verdicts == {"test_works": "inconclusive"}
    ran.stdout.fnmatch_lines(
        ["*because it is not confirmed: +50 % in this process, +0.0 % in a fresh one,"]
    )


def test_no_fresh_process_at_a_young_baseline(saved: Project) -> None:
    """With one baseline session, an increase that chance may explain stays open in one process."""
    saved.write("test_it.py", LOGS)
    assert only(saved, joules=OPEN).verdict.outcome == "inconclusive"
    assert len(set(saved.log())) == 1


@pytest.mark.parametrize(
    ("happens", "finding"),
    [
        ("assert not again, 'no gas'", "the test failed there: AssertionError: no gas"),
        ("import pytest; again and pytest.skip()", "the test was skipped there"),
        ("again and os._exit(3)", "its process ended with exit code 3"),
        ("again and os.kill(os.getpid(), 9)", "its process was ended by SIGKILL"),
        ("again and sys.setprofile(lambda *a: 0)", "instrumented (test_it (sys.setprofile))"),
    ],
    ids=["fails", "skips", "exits", "is killed", "is profiled"],
)
def test_a_fresh_session_that_cannot_be_used(grown: Project, happens: str, finding: str) -> None:
    """The verdict stays, the test passes, and the report says why the session was not used."""
    grown.sensor(NOISY, AGAIN)
    grown.write(
        "test_it.py",
        f"""
        import os, sys

        def test_works(energy, work, again):
            {happens}
            energy(work)
        """,
    )
    ran = grown.energy(joules=OPEN)
    found = said(ran.results["test_works"])
    assert found.startswith(finding)
    assert "fresh session (" in ran.text


def test_a_fresh_session_on_another_machine(grown: Project) -> None:
    """A session is not used if facts differ between the processes, and they are named."""
    grown.sensor(
        NOISY,
        """
def pytest_energy_facts(config):
    return {"asked": "yes"} if os.path.exists("seen") else None

@pytest.fixture(autouse=True)
def _seen():
    open("seen", "w").close()
""",
    )
    finding = said(only(grown))
    assert finding == "it was measured under other conditions (asked: yes -> unset)"


def test_nothing_is_written_by_a_fresh_process(grown: Project) -> None:
    """Reports, caches, temporary folders and baselines are those of the parent run."""
    grown.write(
        "test_it.py",
        """
        def test_works(energy, work, tmp_path, pytestconfig):
            energy(work)
            print(pytestconfig.getini("cache_dir"), file=open("caches.txt", "a"))

        def test_plain(tmp_path):
            assert (tmp_path.parent / "test_works0").is_dir()
        """,
    )
    before = grown.files()
    ran = grown.energy(
        *("--junitxml=junit.xml", "--basetemp=tmp", "--log-file=log.txt", "--durations=1"),
        *("--ff", "-x", "-v", "--color=yes", "-o", "cache_dir=mine"),
        joules=OPEN,
    )
    assert len(ran.results["test_works"].fresh) == 1
    names = [
        case.get("name") for case in ElementTree.parse(grown.path / "junit.xml").iter("testcase")
    ]
    assert names == ["test_works", "test_plain"]
    assert sorted(path.name for path in (grown.path / "tmp").iterdir() if path.is_dir()) == [
        *("test_plain0", "test_plaincurrent", "test_works0", "test_workscurrent")
    ]
    nodes = (grown.path / "mine/v/cache/nodeids").read_text()
    assert "test_plain" in nodes
    assert [cache == "mine" for cache in grown.log("caches.txt")] == [True, False]
    assert grown.files() == before


def test_any_parameter_id_is_found(project: Project) -> None:
    """The fresh process runs this one test, whatever its id looks like, and not its neighbour."""
    project.write(
        "test_it.py",
        r"""
        import pytest

        IDS = ["a/b::c [x]-[y", 'é ü it\'s \\"it\\" $HOME *']

        class TestClass:
            @pytest.mark.parametrize("it", [*IDS, *(f"{it}!" for it in IDS)], ids=str)
            def test_works(self, energy, work, it):
                print(it, file=open("log.txt", "a", encoding="utf-8"))
                if it.endswith("!"):
                    pytest.skip("only a neighbour")
                energy(work)
        """,
    )
    ran = project.save("--energy-sessions=2")
    assert ran.outcomes == {"passed": 2, "skipped": 2}
    measured, neighbours = project.log()[:4], project.log()[4:]
    assert measured[::2] == measured[1::2] == [each.removesuffix("!") for each in neighbours]
    assert [len(result.fresh) for result in ran.results.values()] == [1, 1]


def test_folder_and_options_are_kept(project: Project) -> None:
    """A fresh process has the folder and the options of its parent, of a conftest.py too."""
    project.sensor(
        more="""
def pytest_addoption(parser):
    parser.addoption("--size", type=float)

@pytest.fixture
def work(pytestconfig):
    return lambda: SENSOR.spend(pytestconfig.getoption("size"))
"""
    )
    project.write("below/pytest.ini", "[pytest]\nenergy_sensors = fake\n")
    project.write("test_it.py", LOGS)
    project.monkeypatch.chdir(project.path / "below")
    root = ("--rootdir=.", "--confcutdir=..", "-c", "pytest.ini", "..")
    ran = project.run("--energy", *root, "--size=7", "-k", "works", "--energy-sessions=2")
    assert ran.outcomes == {"passed": 1}
    ran.stdout.fnmatch_lines(["*7.00 J*", "*20 rounds in 2 sessions*"])


def test_plugin_objects_are_missing(project: Project) -> None:
    """A plugin object given to pytest.main is missing in the fresh process, which says so."""
    project.write("test_it.py", "def test_works(energy, work, given):\n    energy(work)\n")
    script = project.write(
        "run.py",
        """
        import sys

        import pytest

        class Plugin:
            @pytest.fixture
            def given(self):
                return 1

        if __name__ == "__main__":
            sys.exit(pytest.main(["-p", "greenops", *sys.argv[1:]], plugins=[Plugin()]))
        """,
    )
    project.monkeypatch.setenv("JOULES", "2")
    ran = project.pytester.run(sys.executable, script, "--energy", "--energy-sessions=2")
    assert ran.ret == 0
    ran.stdout.fnmatch_lines(["*fresh session (the test failed there in its setup: fixture*"])


def test_a_unit_holds_for_later_measurements(project: Project) -> None:
    """A fresh session is judged in the unit that its measurement had."""
    project.write(
        "test_model.py",
        """
        def test_model(energy, work):
            energy.named("load")(work)
            energy.units(inference=1)
            energy(work)
        """,
    )
    project.save()
    ran = project.energy(joules=4.0)
    assert ran.verdicts == {"test_model/load": "regressed", "test_model": "regressed"}
    assert [ran.results[name].unit for name in ran.verdicts] == ["call", "inference"]
    assert ran.code == 1
