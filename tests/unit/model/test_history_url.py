"""The address of a history: what is accepted, and that no text of it has a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.history_url import HistoryUrl, hidden

FOLDER = Path("/project")


def refused(written: str) -> str:
    """Return the error of a URL that cannot be used."""
    with pytest.raises(OptionError) as caught:
        HistoryUrl(written, FOLDER)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("sqlite:///energy.db", "/project/energy.db"),
        ("sqlite:////var/energy.db", "/var/energy.db"),
        ("sqlite+pysqlite:///a%20b.db", "/project/a b.db"),
    ],
)
def test_sqlite_is_a_file(written: str, file: str) -> None:
    """Three slashes are relative to a folder, four absolute."""
    url = HistoryUrl(written, FOLDER)
    assert (str(url.file), url.scrub("as it is")) == (file, "as it is")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("postgresql://ci@db.example:5432/energy", "postgresql://db.example:5432/energy"),
        ("postgresql+psycopg://ci:pa55@db/energy?sslmode=require", "postgresql://db/energy"),
        ("postgres://ci:p/a?5@[::1]/energy", "postgresql://[::1]/energy"),
        ("postgresql://ci:pa55@/energy?user=x&host=/run", "postgresql:///energy?host=/run"),
        (
            "postgresql:///?host=/tmp&dbname=energy&password=pa55",
            "postgresql:///?host=/tmp&dbname=energy",
        ),
    ],
)
def test_postgresql_shows_its_place(written: str, place: str) -> None:
    """User and password are in no text of it; options are if they say where it is."""
    url = HistoryUrl(written, FOLDER)
    assert [str(url), repr(url), f"{url}", f"{[url]}"] == [place, place, place, f"[{place}]"]
    assert url.login == written


def test_texts_of_drivers_are_scrubbed() -> None:
    """A password is removed as it is written, and as it is meant."""
    url = HistoryUrl("postgresql://ci:p%40ss@db/energy?sslpassword=key", FOLDER)
    said = "could not log in with p%40ss, p@ss or key"
    assert url.scrub(said) == "could not log in with ***, *** or ***"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("energy.db", "not a URL of a database: expected sqlite:///FILE or"),
        ("mysql://ci:pa55@db/energy", "mysql: not a known kind of database: expected"),
        ("sqlite://", "sqlite needs a file: sqlite:///energy-history.db"),
        ("sqlite:///:memory:", "sqlite needs a file"),
        ("sqlite:///energy.db?mode=ro", "sqlite:///FILE has no options"),
        ("sqlite:///~/energy.db", "a URL has no ~"),
        ("postgresql://ci:pa55@x@db/energy", "more than one @: write one in a password as %40"),
        ("postgresql://ci:pa55", "no valid host, port and database"),
        ("postgresql://ci:pa55@db:port/energy", "no valid host, port and database"),
        ("postgresql://ci:pa55@db", "no database is named"),
        ("postgresql://db/pa55@energy", "write @ in the name of a database as %40"),
        ("pa55@db", "not a URL of a database"),
    ],
)
def test_wrong_urls_are_refused(written: str, said: str) -> None:
    """The error says what is expected, and repeats no password."""
    assert said in refused(written)
    assert "pa55" not in refused(written)


def test_histories_are_told_apart_without_their_passwords() -> None:
    """A new password does not make another history; another database does."""
    one, renewed, other = (
        HistoryUrl(written, FOLDER)
        for written in ("postgresql://a:1@h/d", "postgresql://a:2@h/d", "postgresql://a:1@h/e")
    )
    assert one.digest == renewed.digest != other.digest
    assert one != renewed


def test_a_url_in_a_message_is_hidden() -> None:
    """Messages that repeat the command line show a file, and of a server only its kind."""
    assert [hidden("sqlite:///x.db"), hidden("postgresql://a:b@h/d"), hidden("a:b@h")] == [
        *("sqlite:///x.db", "postgresql://***", "***"),
    ]
