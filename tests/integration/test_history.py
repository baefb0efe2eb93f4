"""`--energy-history`: the run is appended to a database, or kept in a file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.history.runs import counts, rows
from tests.integration.forked_python import run as run_module
from tests.integration.projects import WORKS, Project
from tests.postgresql import PASSWORD, SECURED, Server, database, postgresql

__all__ = ["database", "postgresql"]

SECRET = "s3cr3t-pa55"
CLOSED = f"postgresql+psycopg://ci:{SECRET}@127.0.0.1:1/energy"
PENDING = ".energy-history-pending"


@pytest.fixture
def working(project: Project) -> Project:
    """Return a project with one test of 2 J."""
    project.write("test_it.py", WORKS)
    return project


def commit(folder: Path) -> str:
    """Commit the project on a branch, and return the commit."""
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(folder)]
    for command in (["init", "-qb", "topic"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return head.stdout.strip()


def waiting(project: Project) -> list[Path]:
    """Return the runs that wait for their history."""
    return sorted((project.path / PENDING).glob("*.json"))


def test_a_run_is_appended(working: Project, database: str) -> None:
    """With its commit, branch, project and versions; each run is one more."""
    head = commit(working.path)
    working.write("test_it.py", WORKS + "\n")
    working.energy(f"--energy-history={database}")
    ran = working.energy(f"--energy-history={database}", joules=3.0)
    assert {"passed": 1} == ran.outcomes
    assert "history" not in ran.text
    first, second = rows(database, "runs")
    assert (first["commit"], first["dirty"], first["branch"]) == (head, True, "topic")
    assert first["project"] == working.path.name
    assert {"pytest-greenops", "python", "numpy"} <= first["versions"].keys()
    assert second["uid"] == ran.document.origin.id
    figures = [row["energy_j"] for row in rows(database, "figures")]
    assert figures == pytest.approx([2.0, 3.0])


def test_an_ini_value_is_below_the_root_directory(working: Project) -> None:
    """Wherever pytest is called; `--energy-history=` switches it off; a plain run ignores it."""
    ini = "\nenergy_history = sqlite:///build/history.db\nenergy_project = the project"
    working.write("pytest.ini", f"[pytest]\nenergy_sensors = fake{ini}")
    working.write("below/test_more.py", WORKS)
    working.run()
    working.energy("--energy-history=")
    assert not (working.path / "build").exists()
    working.energy("test_it.py")
    os.chdir(working.path / "below")
    working.run("--energy", "-o", "addopts=", "test_more.py")
    found = f"sqlite:///{working.path}/build/history.db"
    assert [row["project"] for row in rows(found, "runs")] == ["the project"] * 2


def test_a_run_that_measured_nothing_is_not_appended(project: Project) -> None:
    """Plain tests, and collection alone, leave no run."""
    project.write("test_it.py", "def test_plain(): pass")
    project.energy("--energy-history=sqlite:///history.db")
    project.energy("--energy-history=sqlite:///history.db", "--collect-only")
    assert (project.path / "history.db").read_bytes() == b""


def test_workers_append_once(working: Project, database: str) -> None:
    """The controller of pytest-xdist appends what all workers measured."""
    working.write("test_more.py", WORKS.replace("test_works", "test_more"))
    ini = "[pytest]\nenergy_sensors = estimate"
    working.write("pytest.ini", ini)
    working.energy(f"--energy-history={database}", "-p", "xdist", "-n2", "--energy-max-rounds=1")
    assert counts(database) == {"machines": 1, "runs": 1, "series": 2, "figures": 2}


def test_processes_that_measure_for_another_append_nothing(saved: Project) -> None:
    """The fresh process that confirms a regression is part of the run."""
    ran = saved.energy("--energy-history=sqlite:///history.db", "--energy-sessions=2", joules=3.0)
    assert {"failed": 1} == ran.outcomes
    found = f"sqlite:///{saved.path}/history.db"
    assert counts(found) == {"machines": 1, "runs": 1, "series": 1, "figures": 1}
    [row] = rows(found, "figures")
    assert (row["outcome"], row["sessions"]) == ("regressed", 2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://ci:{SECRET}@db/energy", "--energy-history: mysql: not a known kind of database"),
        ("history.db", "--energy-history: not a URL of a database: expected sqlite:///FILE or"),
        ("sqlite:///.", "--energy-history sqlite:///.: cannot be written (Is a directory)"),
        ("sqlite:///test_it.py", "--energy-history sqlite:///test_it.py: not a database of SQLite"),
        (f"postgresql://ci:{SECRET}@x@db/energy", "more than one @: write one in a password as"),
    ],
)
def test_a_history_that_cannot_be_is_an_error_before_the_first_test(
    working: Project, url: str, said: str
) -> None:
    """A wrong URL, a folder or another file: exit code 4, and no test has run."""
    before = (working.path / "test_it.py").read_bytes()
    ran = working.run("--energy", f"--energy-history={url}")
    assert 4 == ran.code
    assert said in "\n".join(ran.errors)
    assert SECRET not in ran.text + "\n".join(ran.errors)
    assert (working.path / "test_it.py").read_bytes() == before


@pytest.mark.parametrize("missing", ["sqlalchemy", "alembic", "psycopg"])
def test_a_missing_extra_is_an_error_before_the_first_test(working: Project, missing: str) -> None:
    """It names the extra that brings it."""
    working.write("sitecustomize.py", f"import sys; sys.modules[{missing!r}] = None")
    working.monkeypatch.setenv("PYTHONPATH", str(working.path))
    working.sensor(more=f"import sys; sys.modules[{missing!r}] = None")
    ran = working.run("--energy", f"--energy-history={CLOSED}")
    assert 4 == ran.code
    said = "\n".join(ran.errors)
    assert f"needs {missing}" in said
    assert "pip install 'pytest-greenops[history]'" in said
    assert SECRET not in said


def test_an_unreachable_history_keeps_the_run(working: Project) -> None:
    """One line says where; the tests pass, and a result file is there that all commands read."""
    ran = working.energy(f"--energy-history={CLOSED}")
    assert (0, {"passed": 1}) == (ran.code, ran.outcomes)
    [kept] = waiting(working)
    [said] = [line for line in ran.energy_lines if line.startswith("history: ")]
    place = "postgresql://127.0.0.1:1/energy"
    assert said.startswith(f"history: the run is not in the history ({place}: connection failed: ")
    assert "Connection refused" in said
    assert said.endswith(
        f"; it is kept in {kept}; the next run that reaches the history appends it"
    )
    assert json.loads(kept.read_text())["origin"]["id"] == ran.document.origin.id
    assert (working.path / PENDING / ".gitignore").read_text() == "*\n"
    assert SECRET not in ran.text + kept.read_text() + kept.name


def test_strict_fails_for_an_unreachable_history(working: Project) -> None:
    """With `--energy-strict` the exit code is 1, though every test passes."""
    working.save()
    for _ in range(2):
        working.save()
    ran = working.energy("--energy-strict", f"--energy-history={CLOSED}")
    assert 1 == ran.code
    assert len(waiting(working)) == 1


def test_the_next_run_appends_what_waits(working: Project, postgresql: Server) -> None:
    """Once, in order; a damaged file stays and is named; files of other histories stay."""
    url = postgresql.new_database()
    name = url.partition("@/")[2].partition("?")[0]
    postgresql.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    for joules in (2.0, 3.0):
        ran = working.energy(f"--energy-history={url}", joules=joules)
        assert "is not currently accepting connections" in ran.text
    first, _ = waiting(working)
    working.energy(f"--energy-history={CLOSED}")
    damaged = first.with_name(f"{first.name.partition('-')[0]}-damaged.json")
    damaged.write_text("{")
    postgresql.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    ran = working.energy(f"--energy-history={url}", joules=4.0)
    assert ran.code == 0
    done = working.path / PENDING
    assert f"energy: history: 2 earlier runs appended to the history from {done}" in ran.lines
    assert f"a run of {damaged} is not in the history: {damaged}: not a result file" in ran.text
    figures = sorted(row["energy_j"] for row in rows(url, "figures"))
    assert figures == pytest.approx([2.0, 3.0, 4.0])
    assert len(waiting(working)) == 2
    ran = working.energy("--energy-history=sqlite:///other.db")
    assert "history" not in "".join(ran.energy_lines)


@pytest.mark.parametrize("given", ["option", "ini", "environment"])
@pytest.mark.parametrize("where", ["closed", "login", "query"])
def test_a_password_is_in_no_output(
    working: Project, postgresql: Server, given: str, where: str
) -> None:
    """Wherever the URL is written, whatever fails, in all output and all files of a verbose run."""
    place = f"host={postgresql.socket}"
    url = {
        "closed": CLOSED,
        "login": f"postgresql://{SECURED}:{SECRET}@/postgres?{place}",
        "query": f"postgresql:///postgres?{place}&user={SECURED}&password={SECRET}&nonsense=1",
    }[where]
    more = ["-vv", "--showlocals", "--junit-xml=junit.xml", "--full-trace", "-rA"]
    if given == "option":
        more.append(f"--energy-history={url}")
    elif given == "ini":
        text = f"[pytest]\nenergy_sensors = fake\nenergy_history = {url}\nlog_cli_level = DEBUG"
        working.write("pytest.ini", text)
    else:
        working.monkeypatch.setenv("PYTEST_ADDOPTS", f"'--energy-history={url}'")
    working.write("test_bad.py", "def test_bad(energy, work):\n    energy(work)\n    assert 0\n")
    working.save("test_it.py", "-o", "energy_history=")
    plain = working.run(*more[:-1] if given == "option" else more)
    reports = ("--energy-html=report.html", "--energy-markdown=energy.md", "--energy-github=on")
    ran = working.energy(*more, *reports, joules=3.0)
    assert {"failed": 2} == ran.outcomes
    assert "not in the history" in ran.text
    files = [
        path for path in working.path.rglob("*") if path.is_file() and path.name != "pytest.ini"
    ]
    texts = [ran.text, *ran.errors, plain.text, *plain.errors]
    texts += [path.read_text("utf-8", "replace") for path in files]
    assert [text for text in texts if SECRET in text] == []


def test_advice_without_energy_hides_the_password(working: Project) -> None:
    """The command that the error advises has the URL without what logs in."""
    for args in ([f"--energy-history={CLOSED}"], ["--energy-history", CLOSED]):
        ran = working.run(*args)
        assert 4 == ran.code
        said = "\n".join(ran.errors)
        assert "--energy-history has no effect without --energy: pytest" in said
        assert SECRET not in said


def test_a_real_password_logs_in(working: Project, postgresql: Server) -> None:
    """By the URL, and by PGPASSWORD, which keeps it out of every command line."""
    url = postgresql.new_database()
    name = url.partition("@/")[2].partition("?")[0]
    postgresql.sql(f"GRANT CREATE ON SCHEMA public TO {SECURED}", name)
    working.energy(f"--energy-history={postgresql.url(name, f'{SECURED}:{PASSWORD}')}")
    working.monkeypatch.setenv("PGPASSWORD", PASSWORD)
    ran = working.energy(f"--energy-history={postgresql.url(name, SECURED)}")
    assert ran.code == 0
    assert counts(url)["runs"] == 2


def test_a_lost_run_is_told(working: Project) -> None:
    """Where the file cannot be written either, the line says so, and the tests still pass."""
    (working.path / PENDING).write_text("in the way")
    ran = working.energy(f"--energy-history={CLOSED}")
    assert 0 == ran.code
    assert "; the run is lost: " in ran.text


def test_a_run_without_the_option_imports_no_database(working: Project) -> None:
    """A run with `--energy` alone does not pay for it."""
    working.sensor(
        more="""
        import sys
        def pytest_unconfigure():
            print("loaded:", [n for n in ("sqlalchemy", "alembic", "ruptures") if n in sys.modules])
    """
    )
    assert "loaded: []" in working.energy("-s").text


def test_the_module_runs_in_a_process_of_its_own(working: Project) -> None:
    """The command prints the trend of what pytest has appended."""
    working.energy("--energy-history=sqlite:///history.db")
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    ran = run_module(
        "pytest_greenops.commands.main",
        *("history", "test_works", "--history=sqlite:///history.db"),
        environ=environ,
    )
    assert ran.code == 0
    assert "2.00 J" in ran.out
