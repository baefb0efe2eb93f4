"""The connection to a history, and its errors as one line without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_greenops.baselines.whole_file import check_writable
from pytest_greenops.model.errors import HistoryError, OptionError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from pytest_greenops.model.history_url import HistoryUrl

#: How long a connection may take, and how long to wait for other writers and answers.
_CONNECT_S, _WAIT_S, _ANSWER_S = 10, 60, 120
#: The lock of PostgreSQL under which writers take turns: any number that is always the same.
_WRITERS = 0x67726565_6E6F7073
_MOST_CHARACTERS = 200
_HEAD = b"SQLite format 3\0"
_INSTALL = "pip install 'pytest-greenops[history]'"


def check_usable(url: HistoryUrl) -> None:
    """Raise `OptionError` if a history cannot be written here whatever a server says.

    That is without the extra `history`, and where a file of SQLite is something else. It imports
    what a run needs at its end, which a test may make impossible to import.
    """
    needed = ["sqlalchemy", "sqlalchemy.dialects.postgresql", "alembic"]
    for name in [*needed, "sqlite3" if url.file else "psycopg"]:
        try:
            import_module(name)
        except ImportError as error:
            why = "" if getattr(error, "name", None) == name else f" ({_first_line(str(error))})"
            raise OptionError(f"{url}: needs {name}{why}: {_INSTALL}") from None
    if url.file is not None:
        _check_file(url, url.file)


def _check_file(url: HistoryUrl, path: Path) -> None:
    try:
        check_writable(path)  # SQLite writes a journal beside it
        with path.open("ab"):  # SQLite takes an empty file for a new database
            head = path.read_bytes() if path.stat().st_size < len(_HEAD) else _head(path)
    except OSError as error:
        raise OptionError(
            f"{url}: cannot be written ({error.strerror}); name another file"
        ) from None
    if head and head != _HEAD:
        raise OptionError(f"{url}: not a database of SQLite; name another file")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_HEAD))


@contextmanager
def writing(url: HistoryUrl) -> Iterator[Connection]:
    """Connect for one transaction in which no other process writes: all of it, or nothing.

    Raises `HistoryError` if the history cannot be reached or written.
    """
    with _engine(url) as engine, engine.begin() as connection:
        _limit_time(url, connection)
        if url.file is None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        yield connection


@contextmanager
def reading(url: HistoryUrl) -> Iterator[Connection]:
    """Connect to read. Raises `HistoryError`, also for a file of SQLite that is not there."""
    if url.file is not None and not url.file.is_file():
        raise HistoryError(f"{url}: no such file; pytest --energy --energy-history=URL writes one")
    with _engine(url, begin="BEGIN") as engine, engine.begin() as connection:
        _limit_time(url, connection)
        yield connection


def _limit_time(url: HistoryUrl, connection: Connection) -> None:
    """Limit how long a server may take in this transaction.

    Not by options of the connection: a pool of connections between (PgBouncer) refuses them.
    """
    if url.file is None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_S}s'")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_ANSWER_S}s'")


@contextmanager
def _engine(url: HistoryUrl, begin: str = "BEGIN IMMEDIATE") -> Iterator[Engine]:
    """Make an engine whose errors are `HistoryError`s without a password."""
    try:
        import sqlalchemy as sa
        from sqlalchemy.pool import NullPool
    except ImportError:
        raise HistoryError(f"{url}: needs sqlalchemy: {_INSTALL}") from None
    try:
        engine = sa.create_engine(
            _address(url), poolclass=NullPool, hide_parameters=True, connect_args=_arguments(url)
        )
        if url.file is not None:
            _take_transactions(engine, begin)
        yield engine
    except sa.exc.SQLAlchemyError as error:
        said = _first_line(str(getattr(error, "orig", None) or error))
        raise HistoryError(f"{url}: {url.scrub(said)[:_MOST_CHARACTERS]}") from None
    except ImportError as error:
        raise HistoryError(f"{url}: {_first_line(str(error))}: {_INSTALL}") from None


def _address(url: HistoryUrl) -> Any:
    import sqlalchemy as sa

    if url.file is not None:
        return sa.URL.create("sqlite", database=str(url.file))
    try:
        return sa.make_url(url.login).set(drivername="postgresql+psycopg")
    except (ValueError, sa.exc.ArgumentError):  # its text may repeat a part of the password
        raise HistoryError(f"{url}: not a valid URL") from None


def _arguments(url: HistoryUrl) -> dict[str, Any]:
    """Return what the driver is given beside the URL, whose options win."""
    if url.file is not None:
        return {"timeout": _WAIT_S}
    known = _address(url).query
    ours = {
        "connect_timeout": _CONNECT_S,
        "tcp_user_timeout": _WAIT_S * 1000,
        "application_name": "pytest-greenops",
    }
    return {name: value for name, value in ours.items() if name not in known}


def _take_transactions(engine: Engine, begin: str) -> None:
    """Begin each transaction of SQLite explicitly: its module does that late, and not for DDL.

    IMMEDIATE takes the lock of writers at the beginning, and waits for it. A transaction that
    began by reading could not: SQLite refuses it where another one has written meanwhile. The
    journal is SQLite's default, so that a history is one file between runs, also on a network
    drive, where a write-ahead log does not work.
    """
    from sqlalchemy import event

    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "no reason is given"
