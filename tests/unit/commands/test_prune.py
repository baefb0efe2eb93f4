"""Which baselines `prune` removes, given what pytest collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.commands.prune import Collection, Findings, find, remove
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import baseline, key, series, session
from tests.unit.works import accepted

MACHINE = "epyc-1a2b3c4d"
MODULE = "tests/test_x.py"
Save = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a project with one test module."""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "tests").mkdir()
    (tmp_path / MODULE).touch()
    return tmp_path


@pytest.fixture
def save(root: Path) -> Save:
    """Return a function that saves a baseline in that project."""

    def save(test: TestKey, machine: str = MACHINE, saved_at: str | None = None) -> Path:
        store = Store(root / "baselines", machine)
        first = session() if saved_at is None else replace(session(), saved_at=saved_at)
        saved = baseline(test, call=series(first))
        return store.update(test, lambda known: saved)

    return save


def look(
    root: Path,
    at: Path | None = None,
    machine: str = "",
    older_than: timedelta | None = None,
    **reports: str,
) -> Findings:
    """Search the baselines; pytest collected `test_parse[a]` and `test_step` in `MODULE`."""
    tests = frozenset({(MODULE, "test_parse", "a"), (MODULE, "test_step", None)})

    def collect(where: Path) -> Collection:
        return Collection(str(where), tests, {MODULE: None, **reports})

    return find(root / "baselines", at, machine, older_than, collect)


def found(root: Path, at: Path | None = None, **more: timedelta | str) -> list[tuple[str, str]]:
    """Return the name of each file that would be removed, and why."""
    findings = look(root, at or root, **more)
    return [(removal.path.name, removal.why) for removal in findings.removals]


def test_what_pytest_does_not_collect_is_removed(root: Path, save: Save) -> None:
    """A baseline goes if its module, its function or its parameter is gone."""
    for test in (key("test_parse", param="a"), key("test_step")):
        save(test)
    assert found(root) == []
    save(key("test_parse", param="b"))
    save(key("TestModel.test_load"))
    save(key("test_parse", module="tests/test_y.py"))
    assert {why for _, why in found(root)} == {
        f"{MODULE} has no test_parse[b]",
        f"{MODULE} has no TestModel.test_load",
        "tests/test_y.py is gone",
    }


@pytest.mark.parametrize(
    ("node", "reported"), [(MODULE, MODULE), (f"{MODULE}::TestA", MODULE), ("tests", "tests")]
)
def test_a_module_that_fails_to_collect_keeps_its_baselines(
    root: Path, save: Save, node: str, reported: str
) -> None:
    """An error in the module, in a class of it, or in its folder is reported with the reason."""
    save(key("test_load"))
    findings = look(root, root, **{node: "ImportError: no torch"})
    assert findings.removals == ()
    assert findings.not_collected == (f"{reported}: not collected (ImportError: no torch)",)


def test_a_module_that_is_not_collected_keeps_its_baselines(root: Path, save: Save) -> None:
    """A file that is ignored, or outside of `testpaths`, is not gone."""
    (root / "tests" / "test_slow.py").touch()
    save(key("test_load", module="tests/test_slow.py"))
    assert found(root) == []


def test_a_file_that_was_moved_stays(root: Path, save: Save) -> None:
    """It belongs to the test that its path names, whatever its content says."""
    path = save(key("test_old"))
    path.rename(path.with_name("test_parse.json"))
    assert found(root) == []


def test_a_machine_can_be_chosen(root: Path, save: Save) -> None:
    """Baselines of other machines are not examined."""
    for machine in (MACHINE, "xeon-00000000"):
        save(key("test_load"), machine)
    assert len(found(root)) == 2
    assert len(found(root, machine="xeon")) == 1


def test_old_baselines_are_removed_on_request(root: Path, save: Save) -> None:
    """The last session counts; a date that cannot be read is no age."""
    now = datetime.now(timezone.utc)
    old = save(key("test_parse", param="a"), saved_at=(now - timedelta(days=91)).isoformat())
    save(key("test_step"), saved_at="long ago")
    assert found(root) == []
    why = f"last saved on {(now - timedelta(days=91)).date()}"
    assert found(root, older_than=timedelta(days=90)) == [(old.name, why)]
    assert found(root, older_than=timedelta(days=92)) == []


def test_damaged_files_are_reported_and_kept(root: Path, save: Save) -> None:
    """Each is named, and the others are examined all the same."""
    save(key("test_load"))
    broken = save(key("test_parse"))
    broken.write_text("{")
    findings = look(root, root)
    assert (len(findings.removals), findings.examined) == (1, 1)
    [damaged] = findings.damaged
    assert damaged.startswith(f"{broken}: damaged")


class TestRoot:
    """The folder in which pytest runs."""

    def refusal(self, root: Path, at: Path | None = None) -> str:
        """Return the message of the `BaselineError`."""
        with pytest.raises(BaselineError) as raised:
            look(root, at)
        return str(raised.value)

    def test_is_refused_below_the_tests(self, root: Path, save: Save) -> None:
        """The folder that contains the tests is named."""
        save(key("test_parse"))
        at = root / "tests"
        expected = f"{at}: contains none of the tests, but {root} does; use --root {root}"
        assert self.refusal(root, at) == expected

    def test_is_refused_if_nothing_runs_there(self, root: Path, save: Save) -> None:
        """A folder without tests and without any sign of pytest is a mistake."""
        save(key("test_load", module="gone/test_z.py"))
        (root / "pytest.ini").unlink()
        assert self.refusal(root, root) == (
            f"{root}: contains none of the tests, and no sign of a pytest project; name the folder "
            "that pytest runs in: --root DIR"
        )

    def test_is_refused_if_it_does_not_exist(self, root: Path, save: Save) -> None:
        """It is named."""
        save(key("test_parse"))
        expected = "nowhere: no such folder; name the folder that pytest runs in: --root DIR"
        assert self.refusal(root, Path("nowhere")) == expected

    def test_may_have_lost_all_tests_if_named(self, root: Path, save: Save) -> None:
        """In a project every module may be gone; in a guessed folder this is refused."""
        save(key("test_load", module="gone/test_z.py"))
        assert found(root) == [("test_load.json", "gone/test_z.py is gone")]
        assert self.refusal(root) == (
            f"{root}: contains none of the tests; name the folder that pytest runs in: --root DIR"
        )

    @pytest.mark.parametrize("named", [True, False])
    def test_is_refused_around_a_project(self, root: Path, save: Save, named: bool) -> None:
        """In a repository with the project in a subfolder, that subfolder is named."""
        (root / "pkg").mkdir()
        (root / "tests").rename(root / "pkg" / "tests")
        save(key("test_parse"))
        assert self.refusal(root, root if named else None) == (
            f"{root}: has no {MODULE}, but {root / 'pkg'} has one; name the folder that "
            f"pytest runs in: --root {root / 'pkg'}"
        )

    def test_is_refused_around_one_project_of_several_if_guessed(
        self, root: Path, save: Save
    ) -> None:
        """A missing module may belong to another project, unless the root is named."""
        (root / "pkg" / "tests").mkdir(parents=True)
        (root / "pkg" / "tests" / "test_y.py").touch()
        save(key("test_step"))
        save(key("test_parse", module="tests/test_y.py"))
        assert self.refusal(root) == (
            f"{root}: has no tests/test_y.py, but {root / 'pkg'} has one; name the folder that "
            f"pytest runs in: --root {root / 'pkg'}, or --root {root}"
        )
        assert found(root) == [("test_parse.json", "tests/test_y.py is gone")]

    @pytest.mark.parametrize("inner", [".tox", "build", "env"])
    def test_is_accepted_around_a_copy_of_the_tests(
        self, root: Path, save: Save, inner: str
    ) -> None:
        """Folders that are built, hidden or a virtual environment contain no project."""
        (root / inner / "tests").mkdir(parents=True)
        (root / inner / "tests" / "test_y.py").touch()
        (root / "env").mkdir(exist_ok=True)
        (root / "env" / "pyvenv.cfg").touch()
        save(key("test_step"))
        save(key("test_parse", module="tests/test_y.py"))
        [removal] = look(root).removals
        assert removal.why == "tests/test_y.py is gone"

    def test_may_be_next_to_the_tests(self, root: Path, save: Save) -> None:
        """A module outside of the root directory is found where it is."""
        (root / "inner").mkdir()
        save(key("test_parse", module="../tests/test_x.py"))
        save(key("test_load", module="../tests/test_z.py"))
        assert found(root, root / "inner") == [("test_load.json", "../tests/test_z.py is gone")]


def names(paths: Iterable[Path], folder: Path) -> list[str]:
    """Return paths relative to a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in paths)


def test_removing_leaves_no_empty_folder(root: Path, save: Save) -> None:
    """Empty folders go too, but never the baselines folder itself."""
    folder = root / "baselines"
    save(key("test_step"))
    save(key("test_load", module="tests/deep/test_y.py"))
    save(key("test_load"), "xeon-00000000")
    removals = look(root, root).removals
    assert list(removals) == list(remove(folder, removals))
    assert names((folder / MACHINE).rglob("*"), folder) == [
        f"{MACHINE}/tests",
        f"{MACHINE}/tests/test_x.py",
        f"{MACHINE}/tests/test_x.py/test_step.json",
    ]

    (root / MODULE).unlink()
    assert len(list(remove(folder, look(root, root).removals))) == 1
    assert names(folder.iterdir(), folder) == [".saving"]


def test_accepted_work_of_missing_tests_is_removed(root: Path, save: Save) -> None:
    """It belongs to no machine: a part of a machine's name leaves it alone."""
    work = WorkStore(root / "baselines")
    gone, _ = (work.accept(key(name), {"call": accepted()}) for name in ("test_gone", "test_step"))
    assert [each.path for each in look(root).removals] == [gone]
    save(key("test_step"))
    found = look(root)
    assert ([each.path for each in found.removals], found.examined) == ([gone], 3)
    assert look(root, machine=MACHINE).removals == ()
    list(remove(root / "baselines", found.removals))
    assert look(root).removals == ()


def test_accepted_work_may_be_too_old(root: Path) -> None:
    """Its age is that of the last accepted table."""
    WorkStore(root / "baselines").accept(key("test_step"), {"call": accepted()})
    [removal] = look(root, older_than=timedelta(days=90)).removals
    assert removal.why == "last saved on 2026-01-01"
    assert look(root, older_than=timedelta(days=9999)).removals == ()
