"""A real PostgreSQL for tests: a server in a temporary folder, which listens at a socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import alembic.command
import psycopg
import pytest
import sqlalchemy.dialects.postgresql

#: Loaded with this module: `pytester` unloads what a test has loaded.
LIBRARIES = (alembic.command, psycopg, sqlalchemy.dialects.postgresql)
#: The superuser of the server, and a user that needs a password.
OWNER, SECURED, PASSWORD = "greenops", "secured", "correct-horse"
#: PostgreSQL refuses to run as root: it runs as one of these users then.
_USERS = ("postgres", "nobody")
_HBA = f"local all {SECURED} scram-sha-256\nlocal all all trust\n"
_NUMBERS = count()


class Server:
    """A running server, and how to reach it."""

    def __init__(self, programs: Path, folder: Path, user: list[str]) -> None:
        self._programs, self._folder, self._user = programs, folder, user
        self.socket = str(folder)

    def start(self) -> None:
        """Make the files of a server, and start it."""
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", OWNER, "--no-sync", "-E", "UTF8", "--locale=C")
        (data / "pg_hba.conf").write_text(_HBA)
        options = f"-k {self.socket} -c listen_addresses= -c max_connections=60"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
        self.sql(f"CREATE ROLE {SECURED} LOGIN PASSWORD '{PASSWORD}'")

    def stop(self) -> None:
        """Stop it, and remove its files."""
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement, and return what psql prints."""
        place = ("-h", self.socket, "-U", OWNER, "-d", database)
        return self._run("psql", *place, "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", statement)

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"history_{os.getpid()}_{next(_NUMBERS)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str, login: str = OWNER) -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{login}@/{database}?host={self.socket}"

    def _run(self, program: str, *arguments: object) -> str:
        command = [*self._user, str(self._programs / program), *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with tempfile.TemporaryFile("w+") as output:  # the server inherits it, and keeps it open
            ran = subprocess.run(command, cwd="/", stdout=output, text=True, check=False, **pipes)
            output.seek(0)
            assert ran.returncode == 0, f"{command}\n{ran.stderr}"
            return output.read().strip()


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server; skip the test where PostgreSQL cannot be installed, never in CI."""
    programs = _programs()
    if programs is None:
        reason = "needs PostgreSQL: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    user: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="greenops-postgresql-", dir="/tmp"))
    if os.geteuid() == 0:
        name = next(each for each in _USERS if _known(each))
        shutil.chown(folder, name)
        user = ["runuser", "-u", name, "--"]
    server = Server(programs, folder, user)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _programs() -> Path | None:
    """Return the folder of the newest server that is installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
    found = shutil.which("initdb")
    folders = [*reversed(debian), *([Path(found).resolve().parent] if found else [])]
    return next((each for each in folders if (each / "initdb").exists()), None)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Start one server for all tests of this process."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new history, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()
