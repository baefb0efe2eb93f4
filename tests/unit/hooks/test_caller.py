"""How the user called pytest, and the commands that follow from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_greenops.hooks.caller import _read, _start
from pytest_greenops.model.advised import Caller, Command

TEST = "test_it.py::test_it"
AGAIN, SAVE_ALL = Command("measure", TEST), Command("save")
Called = Callable[..., Caller]


@pytest.fixture
def called(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Called:
    """Return a function that reads how pytest was called with these arguments."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def read(*args: str, ini: str = "") -> Caller:
        (pytester.path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        return _read(pytester.parseconfig(*args))

    return read


@pytest.mark.parametrize(
    ("args", "again", "save_all"),
    [
        (["--energy", "-vx", "--tb=short", "--energy-json=a.json", "-rA"], "--energy", ""),
        (["--energy", "m", "-k", "a b", "-n2"], "--energy", "m -k 'a b' -n2"),
        (
            ["--energy", "--energy-baselines=/o p"],
            "'--energy-baselines=/o p' --energy",
            "'--energy-baselines=/o p'",
        ),
        (
            ["--energy", "-qpno:doctest", "-o", "x=y"],
            "-pno:doctest -o x=y --energy",
            "-pno:doctest -o x=y",
        ),
    ],
    ids=["reports", "selection", "quoted", "short"],
)
def test_a_command_keeps_what_matters(
    called: Called, args: list[str], again: str, save_all: str
) -> None:
    """It keeps options with their values; a named test replaces what selected the tests."""
    caller = called(*args)
    assert caller.shell(AGAIN) == f"pytest {again} {TEST}"
    assert caller.shell(SAVE_ALL) == f"pytest {save_all} --energy-save".replace("  ", " ")


def test_selection_stays_where_it_overrides_the_ini_file(called: Called) -> None:
    """Without `-m ''` the ini file would deselect the named test."""
    caller = called("--energy", "-m", "", ini="addopts = -m 'not slow'")
    assert caller.shell(AGAIN) == f"pytest -m '' --energy {TEST}"


def test_an_advised_option_takes_the_place_of_the_given_one(called: Called) -> None:
    """What the ini file forbids is overridden with it."""
    caller = called("--energy", "--energy-sessions=2", ini="energy_max_rounds = 10")
    more = Command("measure", TEST, ("--energy-min-rounds=20",))
    assert caller.shell(more) == (
        f"pytest --energy-sessions=2 --energy --energy-min-rounds=20 --energy-max-rounds=20 {TEST}"
    )
    assert "--energy --energy-sessions=5 test" in caller.shell(
        Command("measure", TEST, ("--energy-sessions=5",))
    )


AB = ["--energy-ab", "a b", "--energy-ab-tests=here", "--energy-ab-setup=make x"]
AB_AGAIN = "--energy-ab 'a b' --energy-ab-tests=here '--energy-ab-setup=make x'"


def test_a_command_compares_with_the_ref_again(called: Called) -> None:
    """A command that saves, explains or starts several processes cannot, so it has no such option.

    The command that bisects has the ref itself.
    """
    caller = called("--energy", *AB, "-p", "no:doctest")
    assert caller.shell(AGAIN) == f"pytest {AB_AGAIN} -p no:doctest --energy {TEST}"
    assert caller.shell(SAVE_ALL) == "pytest -p no:doctest --energy-save"
    explain = caller.shell(Command("explain", TEST))
    assert explain == f"pytest -p no:doctest --energy --energy-explain {TEST}"
    three = caller.shell(Command("measure", TEST, ("--energy-sessions=3",)))
    assert three == f"pytest -p no:doctest --energy --energy-sessions=3 {TEST}"
    assert caller.shell(Command("bisect", TEST, ("a b",))) == (
        "pytest-greenops bisect 'a b' -- --energy-ab-tests=here '--energy-ab-setup=make x' "
        f"-p no:doctest {TEST}"
    )


def test_a_nested_ini_file_does_not_take_the_test_away(
    called: Called, pytester: pytest.Pytester
) -> None:
    """Where the named test alone has another root directory, the command names this one."""
    (pytester.path / "a" / "b").mkdir(parents=True)
    (pytester.path / "a" / "tox.ini").write_text("[pytest]\n")
    command = called("--energy").shell(Command("measure", "a/b/test_it.py::test_it[x]"))
    assert command == "pytest --rootdir=. -c pytest.ini --energy 'a/b/test_it.py::test_it[x]'"


def test_a_command_of_a_run_without_joules_measures_none(called: Called) -> None:
    """It counts, compares and saves as that run did; only an explanation needs joules."""
    caller = called("--energy-count-only", "m", "-n2", "--energy-ab=main")
    assert caller.shell(AGAIN) == f"pytest --energy-count-only --energy-ab=main {TEST}"
    assert caller.shell(SAVE_ALL) == "pytest --energy-count-only m -n2 --energy-save"
    explain = caller.shell(Command("explain", TEST))
    assert explain == f"pytest --energy --energy-explain {TEST}"
    saving = called("--energy-count-only", "--energy-save")
    assert saving.shell(AGAIN) == f"pytest --energy-count-only --energy-save {TEST}"
    assert called("--energy-count-only", TEST).offer(AGAIN) == caller.shell(AGAIN).replace(
        " --energy-ab=main", ""
    )
    by_ini = called(ini="energy_count_only = true\naddopts = --energy")
    assert by_ini.shell(Command("save", TEST)) == f"pytest --energy-save {TEST}"


def test_a_run_that_saved_nothing_does_not_advise_itself(called: Called) -> None:
    """The command just run is not its own advice; without saving, another try may help."""
    assert called("--energy-save", TEST).offer(AGAIN) is None
    assert called("--energy-save").offer(AGAIN) == f"pytest --energy-save {TEST}"
    assert called("--energy", TEST).offer(AGAIN) == f"pytest --energy {TEST}"


@pytest.mark.parametrize(
    ("argv", "start"),
    [
        (["python3", "-X", "dev", "-m", "pytest", "-q"], ["python3", "-X", "dev", "-m", "pytest"]),
        (["/v/bin/python", "v/bin/pytest", "-q"], ["v/bin/pytest"]),
        (["/v/bin/python", "/ide/runner.py", "--x"], ["pytest"]),
    ],
)
def test_a_command_starts_as_the_run_did(argv: list[str], start: list[str]) -> None:
    """It is the program that the user wrote; an IDE's own is replaced by `pytest`."""
    assert _start(["-q"], argv) == start
