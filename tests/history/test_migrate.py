"""The schema of a history, and its migrations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_greenops.history import migrate
from pytest_greenops.history.append import append
from pytest_greenops.history.database import reading, writing
from pytest_greenops.history.read import Wanted, read_trends
from pytest_greenops.history.tables import SCHEMA, VERSION_TABLE, tables
from pytest_greenops.model.errors import HistoryError
from tests.history.runs import counts, run, url

ROOT = Path(__file__).parents[2]
LATER = '''
"""A later schema: one more column, with a value in the rows that are there."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None


def upgrade():
    op.add_column("greenops_runs", sa.Column("note", sa.Text))
    op.execute("UPDATE greenops_runs SET note = 'migrated'")
    {then}
'''
APPEND_LATER = """
import sys
from pathlib import Path
from pytest_greenops.history import migrate
from pytest_greenops.history.append import append
from tests.history.runs import run, url
migrate.FOLDERS.append(Path(sys.argv[2]))
migrate.CURRENT = "9999"
sys.stdin.readline()
append(url(sys.argv[1]), [run(int(sys.argv[3]))])
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """Return a folder with a migration that a later version would have."""
    folder = tmp_path / "100% later"
    folder.mkdir()
    (folder / "later.py").write_text(LATER.format(before=SCHEMA, then=""))
    return folder


def with_later(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this process be of the later version."""
    monkeypatch.setattr(migrate, "FOLDERS", [*migrate.FOLDERS, folder])
    monkeypatch.setattr(migrate, "CURRENT", "9999")


def notes(database: str) -> list[str | None]:
    """Return the new column."""
    with reading(url(database)) as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT note FROM greenops_runs")]


def test_migrations_make_the_tables_that_queries_name(database: str) -> None:
    """The schema of a migrated database is that of `tables`, to the last index."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    append(url(database), [run(1)])
    with reading(url(database)) as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables().metadata) == []
        assert migrate.revision(connection) == SCHEMA


def test_the_last_migration_is_the_current_schema() -> None:
    """The revision that a run compares with is the head of the migrations, and each has a file."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "pytest_greenops/history/migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [SCHEMA]
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)


def test_an_older_history_is_migrated_with_its_rows(
    database: str, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next append migrates it; a reader does not, and says what does."""
    append(url(database), [run(1), run(2)])
    with_later(monkeypatch, later)
    with pytest.raises(HistoryError, match=r"of an older version .*: the next run with --energy-h"):
        read_trends(url(database), Wanted())
    assert append(url(database), [run(3)]) == [True]
    assert sorted(map(str, notes(database))) == ["None", "migrated", "migrated"]
    [trend] = read_trends(url(database), Wanted("test_works"))
    assert len(trend.points) == 3


def test_a_newer_history_is_refused(
    database: str, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither reading nor appending touches it; the error says how to upgrade."""
    with monkeypatch.context() as patched:
        with_later(patched, later)
        append(url(database), [run(1)])
    for use in (
        lambda: append(url(database), [run(2)]),
        lambda: read_trends(url(database), Wanted()),
    ):
        with pytest.raises(HistoryError) as caught:
            use()
        line = str(caught.value)
        assert "of a newer version of pytest-greenops (schema 9999, expected 0001): pip " in line
        assert line.splitlines() == [line]
    assert counts(database)["runs"] == 1


def test_a_failed_migration_changes_nothing(
    database: str, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the transaction of the run: the next attempt begins where it was."""
    append(url(database), [run(1)])
    wrong = LATER.format(before=SCHEMA, then="op.execute('SELECT no_such_column FROM nowhere')")
    (later / "later.py").write_text(wrong)
    with_later(monkeypatch, later)
    with pytest.raises(HistoryError):
        append(url(database), [run(2)])
    with reading(url(database)) as connection:
        assert migrate.revision(connection) == SCHEMA
    (later / "later.py").write_text(LATER.format(before=SCHEMA, then=""))
    assert append(url(database), [run(2)]) == [True]


def test_eight_writers_migrate_once(database: str, later: Path) -> None:
    """Those that come second find it done."""
    append(url(database), [run(100)])
    command = [sys.executable, "-c", APPEND_LATER, database, str(later)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    writers = [
        subprocess.Popen([*command, str(number)], cwd=ROOT, text=True, **pipes)
        for number in range(8)
    ]
    problems = [writer.communicate("\n", timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8, "\n".join(problems)
    assert sorted(map(str, notes(database))) == [*["None"] * 8, "migrated"]


def test_other_tables_are_left_alone(database: str) -> None:
    """A database may belong to another program too, with an `alembic_version` of its own."""
    with writing(url(database)) as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
    with pytest.raises(HistoryError, match="no history is in this database"):
        read_trends(url(database), Wanted())
    append(url(database), [run(1)])
    with reading(url(database)) as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert found.scalar() == "theirs"
