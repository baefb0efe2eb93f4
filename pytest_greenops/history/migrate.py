"""The schema of a history: which one it has, and how it gets that of this version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_greenops.history.tables import SCHEMA, VERSION_TABLE
from pytest_greenops.model.errors import HistoryError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

#: Where the migrations are; a test adds a folder with a later one, and says the new revision.
FOLDERS = [Path(__file__).parent / "migrations" / "versions"]
CURRENT = SCHEMA


def upgrade(connection: Connection) -> None:
    """Bring a history to the schema of this version, in the transaction of the connection.

    The caller holds the lock of writers, so that one of several processes does it. Raises
    `HistoryError` for a history of a newer version.
    """
    found = revision(connection)
    if found == CURRENT:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise _newer(found)
    command.upgrade(config, CURRENT)


def check_readable(connection: Connection) -> None:
    """Raise `HistoryError` if a history has another schema than this version reads."""
    found = revision(connection)
    if found is None:
        raise HistoryError("no history is in this database; pytest --energy --energy-history=URL")
    if found < CURRENT:
        raise HistoryError(
            f"of an older version (schema {found}, expected {CURRENT}): the next run with "
            "--energy-history=URL updates it"
        )
    if found != CURRENT:
        raise _newer(found)


def revision(connection: Connection) -> str | None:
    """Return the revision of a database; None if it holds no history."""
    import sqlalchemy as sa

    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    query = f"SELECT version_num FROM {VERSION_TABLE}"  # a constant  # nosec B608
    found = connection.exec_driver_sql(query).scalar()
    return None if found is None else str(found)


def _newer(found: str) -> HistoryError:
    return HistoryError(
        f"of a newer version of pytest-greenops (schema {found}, expected {CURRENT}): "
        "pip install --upgrade 'pytest-greenops[history]'"
    )


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", _escaped(str(folder)))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", _escaped(os.pathsep.join(map(str, FOLDERS))))
    return config


def _escaped(value: str) -> str:
    """Return a value for a reader of ini files, to which `%` is special."""
    return value.replace("%", "%%")
