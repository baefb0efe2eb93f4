"""The address of a history: what the user wrote, without its password wherever it is shown."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from pytest_greenops.model.errors import OptionError

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")
_FORMS = "expected sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
_SCHEME = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9]+)?")
#: Host, port and database; several hosts are separated by commas.
_PLACE = re.compile(r"(\[[^\]/?@]+\]|[^:/?@\[\]]*)(:\d{1,5})?(/[^?@]*)?")


#: Options that say where a database is, and nothing of who logs in.
_WHERE = ("host", "hostaddr", "port", "dbname", "service")


class HistoryUrl:
    """Where a history is: a file of SQLite, or a database of PostgreSQL.

    file   the file of SQLite, absolute; None for PostgreSQL
    place  what readers see: without user and password, and with no option but those of its place

    Its text is `place`, so that no message, traceback or list of options shows a password.
    """

    __slots__ = ("_secrets", "_written", "file", "place")

    def __init__(self, written: str, folder: Path) -> None:
        """Check a URL; a relative file is in `folder`.

        Raises `OptionError`, which repeats no secret.
        """
        scheme, found, rest = written.partition("://")
        if not found or not _SCHEME.fullmatch(scheme):
            is_file = not found and "@" not in written and written.isprintable()
            hint = f"; a file is sqlite:///{written}" if is_file else ""
            raise OptionError(f"not a URL of a database: {_FORMS}{hint}")
        self._written, self._secrets = written, tuple(_secrets(rest))
        self.file: Path | None = None
        if scheme in _SQLITE:
            self.file = _file(rest, folder)
            self.place = f"sqlite:///{unquote(rest[1:])}"
        elif scheme in _POSTGRESQL:
            self.place = f"postgresql://{_place(rest)}"
        else:
            raise OptionError(f"{scheme}: not a known kind of database: {_FORMS}")

    def __repr__(self) -> str:
        return self.place

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HistoryUrl) and self._written == other._written

    def __hash__(self) -> int:
        return hash(self._written)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell two histories apart, with no secret in them."""
        place = str(self.file) if self.file else self.place
        return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:8]

    @property
    def login(self) -> str:
        """The URL as the user wrote it, for the driver alone: it may have a password."""
        return self._written

    def scrub(self, text: str) -> str:
        """Return a text of a driver without the password and what else logs in."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def hidden(written: str) -> str:
    """Return a URL for a message that repeats what the user wrote: only files have no password."""
    scheme, found, _ = written.partition("://")
    if not found or not _SCHEME.fullmatch(scheme):
        return "***"
    return written if scheme in _SQLITE else f"{scheme}://***"


def _file(rest: str, folder: Path) -> Path:
    path = unquote(rest[1:])
    if not rest.startswith("/") or not path or path == ":memory:":
        raise OptionError("sqlite needs a file: sqlite:///energy-history.db, or sqlite:////var/...")
    if "?" in path or "\0" in path or path.startswith("file:"):
        raise OptionError("sqlite:///FILE has no options: expected the path of a file")
    if path.startswith("~"):
        raise OptionError("sqlite:///FILE: a URL has no ~; write the path: sqlite:////home/...")
    return folder / path


def _place(rest: str) -> str:
    """Return host, port and database; what stands before them may be secret."""
    if rest.count("@") > 1:
        raise OptionError("postgresql: more than one @: write one in a password as %40")
    login, _, after = rest.rpartition("@")
    if "/" in login.partition(":")[0]:  # the last @ is that of a database or an option
        raise OptionError("postgresql: write @ in the name of a database as %40")
    place = _PLACE.fullmatch(after.partition("?")[0])
    if place is None:
        raise OptionError(f"postgresql: no valid host, port and database: {_FORMS}")
    if not (place[3] or "").strip("/") and "dbname" not in dict(_options(rest)):
        raise OptionError(f"postgresql: no database is named: {_FORMS}")
    where = [f"{name}={value}" for name, value in _options(rest) if name in _WHERE]
    return unquote(place[0]) + (f"?{'&'.join(where)}" if where else "")


def _options(rest: str) -> list[tuple[str, str]]:
    return parse_qsl(rest.rpartition("@")[2].partition("?")[2], keep_blank_values=True)


def _secrets(rest: str) -> set[str]:
    """Return each text that logs in, as it is written and as it is meant."""
    login = rest.rpartition("@")[0]
    found: set[Any] = {login.partition(":")[2]}
    found |= {value for name, value in _options(rest) if "pass" in name.lower()}
    return {form for each in found for form in (each, unquote(each)) if form}
