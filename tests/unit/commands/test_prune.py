"""Baselines to remove are found by reading, and removed with the folders they leave empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.store import Store
from pytest_greenops.commands.prune import find, remove
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import baseline, key, series, session

MACHINE = "epyc-1a2b3c4d"
Save = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one test module."""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("def test_parse(): ...\n")
    return tmp_path


@pytest.fixture
def save(root: Path) -> Save:
    """Saves a baseline of a test in that project."""

    def save(test: TestKey, machine: str = MACHINE, saved_at: str | None = None) -> Path:
        store = Store(root / "baselines", machine)
        first = session() if saved_at is None else replace(session(), saved_at=saved_at)
        saved = baseline(test, call=series(first))
        return store.update(test, lambda known: saved)

    return save


def found(
    root: Path, naming: str = "", older_than: timedelta | None = None, at: Path | None = None
) -> list[tuple[str, str]]:
    """The name of each file that would be removed, and why."""
    removals = find(root / "baselines", at or root, naming, older_than).removals
    return [(removal.path.name, removal.why) for removal in removals]


def refusal(act: Callable[[], object]) -> str:
    """What a `BaselineError` says."""
    with pytest.raises(BaselineError) as raised:
        act()
    return str(raised.value)


def test_a_test_that_is_there_stays(root: Path, save: Save) -> None:
    """Its parameters are not looked at."""
    for test in (key("test_parse"), key("test_parse", param="no-such")):
        save(test)
    assert [] == found(root)


def test_a_test_that_is_gone_is_found(root: Path, save: Save) -> None:
    """Its function is no more, or its whole module."""
    save(key("test_parse"))
    save(key("test_load"))
    save(key("test_parse", module="tests/test_y.py"))
    assert [
        ("test_load.json", "tests/test_x.py has no test_load"),
        ("test_parse.json", "tests/test_y.py is gone"),
    ] == found(root)


def test_what_is_no_module_is_not_read(root: Path, save: Save) -> None:
    """A text file with doctests, and a doctest of a module, have no `def` to find."""
    (root / "tests" / "guide.md").write_text(">>> 1\n1\n")
    save(key("guide", module="tests/guide.md"))
    save(key("test_x.parse"))
    save(key("tests.test_x.parse"))
    assert [] == found(root)


def test_a_module_that_is_a_folder_keeps_its_tests(root: Path, save: Save) -> None:
    """What cannot be read as a module is not gone."""
    (root / "tests" / "test_y.py").mkdir()
    save(key("test_load", module="tests/test_y.py"))
    assert [] == found(root)


def test_a_file_that_was_moved_stays(root: Path, save: Save) -> None:
    """It belongs to the test that its path names, whatever stands in it."""
    path = save(key("test_old"))
    path.rename(path.with_name("test_parse.json"))
    assert [] == found(root)


def test_a_machine_can_be_chosen(root: Path, save: Save) -> None:
    """Baselines of other machines are not looked at."""
    for machine in (MACHINE, "xeon-00000000"):
        save(key("test_load"), machine)
    assert 2 == len(found(root))
    assert 1 == len(found(root, naming="xeon"))


def test_what_was_saved_long_ago_is_found(root: Path, save: Save) -> None:
    """The last session of a file counts; a date that cannot be read is no age."""
    now = datetime.now(timezone.utc)
    save(key("test_parse", param="old"), saved_at=(now - timedelta(days=91)).isoformat())
    save(key("test_parse", param="new"), saved_at=(now - timedelta(days=89)).isoformat())
    save(key("test_parse", param="odd"), saved_at="long ago")
    assert [] == found(root)
    [(name, why)] = found(root, older_than=timedelta(days=90))
    assert "test_parse[old].json" == name
    assert why == f"saved last on {(now - timedelta(days=91)).date()}"
    assert 2 == len(found(root, older_than=timedelta(0)))


def test_damaged_files_are_told_and_kept(root: Path, save: Save) -> None:
    """Each is named; the others are looked at all the same."""
    save(key("test_load"))
    broken = save(key("test_parse"))
    broken.write_text("{")
    findings = find(root / "baselines", root, "", None)
    assert (1, 1) == (len(findings.removals), findings.looked_at)
    [damaged] = findings.damaged
    assert damaged.startswith(f"{broken}: damaged")


class TestRoot:
    """The folder below which tests are looked for."""

    def test_above_which_the_tests_are_is_refused(self, root: Path, save: Save) -> None:
        """The one that holds them is named."""
        save(key("test_parse"))
        below = root / "tests"
        said = refusal(lambda: found(root, at=below))
        expected = (
            f"{below}: none of the tests is below it, but they are below {root}; name that: "
            f"--root {root}"
        )
        assert expected == said

    def test_where_nothing_runs_is_refused(self, root: Path, save: Save) -> None:
        """A folder without tests and without any sign of pytest is a mistake."""
        save(key("test_load", module="gone/test_z.py"))
        (root / "pytest.ini").unlink()
        expected = (
            f"{root}: none of the tests is below it, and nothing says that pytest runs there; name "
            "the folder that pytest runs in: --root DIR"
        )
        assert expected == refusal(lambda: found(root))

    def test_that_is_not_there_is_refused(self, root: Path, save: Save) -> None:
        """It is named."""
        save(key("test_parse"))
        at = root / "nowhere"
        said = refusal(lambda: found(root, at=at))
        assert f"{at}: no such folder; name the one that pytest runs in: --root DIR" == said

    def test_may_have_lost_all_its_tests(self, root: Path, save: Save) -> None:
        """Where pytest runs, as is said, every module may be gone indeed."""
        save(key("test_load", module="gone/test_z.py"))
        assert [("test_load.json", "gone/test_z.py is gone")] == found(root, at=root)

    def test_that_is_guessed_and_without_tests_is_refused(self, root: Path, save: Save) -> None:
        """Whatever else lies in it: only who names it can know that pytest runs there."""
        save(key("test_load", module="gone/test_z.py"))
        expected = (
            f"{root}: none of the tests is below it; name the folder that pytest runs in: "
            "--root DIR"
        )
        assert expected == refusal(lambda: find(root / "baselines", None, "", None))

    @pytest.mark.parametrize("named", [True, False])
    def test_around_a_project_is_refused(self, root: Path, save: Save, named: bool) -> None:
        """A repository whose project lies in a folder of it: that one is named."""
        (root / "pkg").mkdir()
        (root / "tests").rename(root / "pkg" / "tests")
        save(key("test_parse"))
        expected = (
            f"{root}: has no tests/test_x.py, but {root / 'pkg'} has one; name the folder that "
            f"pytest runs in: --root {root / 'pkg'}"
        )
        at = root if named else None
        assert expected == refusal(lambda: find(root / "baselines", at, "", None))

    def test_around_one_project_of_several_is_refused_where_guessed(
        self, root: Path, save: Save
    ) -> None:
        """A module that is missing may be another project's, unless the root is named."""
        (root / "pkg" / "tests").mkdir(parents=True)
        (root / "pkg" / "tests" / "test_y.py").touch()
        save(key("test_parse"))
        save(key("test_parse", module="tests/test_y.py"))
        expected = (
            f"{root}: has no tests/test_y.py, but {root / 'pkg'} has one; name the folder that "
            f"pytest runs in: --root {root / 'pkg'}, or --root {root}"
        )
        assert expected == refusal(lambda: find(root / "baselines", None, "", None))
        assert [("test_parse.json", "tests/test_y.py is gone")] == found(root, at=root)

    @pytest.mark.parametrize("inner", [".tox", "build", "env"])
    def test_is_not_doubted_for_a_copy_that_is_no_project(
        self, root: Path, save: Save, inner: str
    ) -> None:
        """What was built, installed or hidden, in a virtual environment too, is passed over."""
        (root / inner / "tests").mkdir(parents=True)
        (root / inner / "tests" / "test_y.py").touch()
        (root / "env").mkdir(exist_ok=True)
        (root / "env" / "pyvenv.cfg").touch()
        save(key("test_parse"))
        save(key("test_parse", module="tests/test_y.py"))
        [removal] = find(root / "baselines", None, "", None).removals
        assert "tests/test_y.py is gone" == removal.why

    def test_may_lie_beside_the_tests(self, root: Path, save: Save) -> None:
        """A module outside of the root directory is looked for where it is."""
        inner = root / "inner"
        inner.mkdir()
        save(key("test_parse", module="../tests/test_x.py"))
        save(key("test_load", module="../tests/test_x.py"))
        assert [("test_load.json", "../tests/test_x.py has no test_load")] == found(root, at=inner)


def names(paths: Iterable[Path], folder: Path) -> list[str]:
    """Paths within a folder."""
    return sorted(str(path.relative_to(folder)) for path in paths)


def test_removing_leaves_no_empty_folder(root: Path, save: Save) -> None:
    """Folders that held nothing else go too, but never the folder of baselines itself."""
    folder = root / "baselines"
    save(key("test_parse"))
    save(key("test_load", module="tests/deep/test_y.py"))
    save(key("test_load"), "xeon-00000000")
    removals = find(folder, root, "", None).removals
    assert list(removals) == list(remove(folder, removals))
    assert [
        MACHINE,
        f"{MACHINE}/tests",
        f"{MACHINE}/tests/test_x.py",
        f"{MACHINE}/tests/test_x.py/test_parse.json",
    ] == names(folder.rglob("*"), folder)

    (root / "tests" / "test_x.py").unlink()
    assert 1 == len(list(remove(folder, find(folder, root, "", None).removals)))
    assert [] == list(folder.iterdir())
